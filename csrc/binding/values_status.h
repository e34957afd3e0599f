/*
** The two results of car:status(), from what is known of a car (values.h).
*/
#ifndef BMWI_VALUES_STATUS_H
#define BMWI_VALUES_STATUS_H

#include "binding/values.h"

#pragma GCC visibility push(hidden)

/* (state[, {drive_train =, now =}]) -> status, details; called with these alone on the stack.
** details[member] = {value, unit, time, age, descriptor, source, raw, flag, refused}, or, for what
** is not in the status, {reason, message, descriptor, raw}. `flag`: "predicted", "unit_inferred",
** "unit_unknown" (as it came), or "refused" (a newer value without a unit, which is `refused`, fits
** the old one in no unit). */
int bmwi_values_status(lua_State *L);
/* Pushes a table of this function and those of values.h. */
void bmwi_values_open(lua_State *L);

#pragma GCC visibility pop

#endif
