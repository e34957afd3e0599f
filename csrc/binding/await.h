/*
** Waiting: see await.c.
*/
#ifndef BMWI_AWAIT_H
#define BMWI_AWAIT_H

#include "binding/kept.h"

#pragma GCC visibility push(hidden)

#define BMWI_OP "bmwi.op" /* the metatable of operations */

void bmwi_await_open(lua_State *L);
/* Moves everything on, waits at most so long. `defer`: no coroutine is woken meanwhile. */
void bmwi_move(lua_State *L, bmwi_engine *engine, double seconds, bool defer);
/* Enters the coroutine at 2, its operation at 3 and the client at 4 into the tables. False, and an
** error on top, without memory. */
bool bmwi_await_begin(lua_State *L);
/* Keeps the error on top for the next step, which is due now, and pops it. */
void bmwi_keep_fault(lua_State *L);
/* Pushes the error that was kept, which is not any more, or false. */
bool bmwi_take_fault(lua_State *L, bmwi_engine *engine);

#pragma GCC visibility pop

#endif
