/*
** The two results of car:status(), made from the known state of a car (values.h).
*/
#ifndef BMWI_VALUES_STATUS_H
#define BMWI_VALUES_STATUS_H

#include "binding/values.h"

#pragma GCC visibility push(hidden)

/* Pushes a table with status() and the functions of values.h. */
void bmwi_values_open(lua_State *L);

#pragma GCC visibility pop

#endif
