/*
** Waiting: see await.c.
*/
#ifndef BMWI_AWAIT_H
#define BMWI_AWAIT_H

#include "binding/kept.h"

#pragma GCC visibility push(hidden)

#define BMWI_OP "bmwi.op" /* the metatable of operations */

void bmwi_await_open(lua_State *L);
/* Advances everything, and waits at most `seconds`. With `defer` no coroutine is resumed. */
void bmwi_move(lua_State *L, bmwi_engine *engine, double seconds, bool defer);
/* Pushes the info for the unknown outcome of the command on top, and returns 1. */
int bmwi_push_unknown_info(lua_State *L);
/* Pops the error on top and keeps it for a later step, which becomes due at once. Needs no
** memory. */
void bmwi_keep_fault(lua_State *L);
/* Removes and pushes the oldest kept error; after all of them one that tells how many were not
** kept. False if there is none. take_fault makes a step due for those that remain. */
bool bmwi_push_fault(lua_State *L, bmwi_loop *self);
bool bmwi_take_fault(lua_State *L, bmwi_loop *self);

#pragma GCC visibility pop

#endif
