/*
** Schemas: check a table against a service's description of it.
*/
#ifndef BMWI_SCHEMA_H
#define BMWI_SCHEMA_H

#include <lua.h>

#include "service/service.h"

#pragma GCC visibility push(hidden)

/* Raises, with the path of the wrong member, unless the table at `index` matches. `subject` names
** it in the message. */
void bmwi_schema_check(lua_State *L, int index, const bmwi_schema *schema, const char *subject);

/* The row of a member by its name, or NULL. */
const bmwi_member *bmwi_schema_member(const bmwi_schema *schema, const char *name);

#pragma GCC visibility pop

#endif
