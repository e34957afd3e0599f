/*
** What this Lua state keeps in the registry for its loop: the loop itself, and a few tables of the
** operations that are under way. Clearing needs no memory, so that it works at any moment.
*/
#ifndef BMWI_KEPT_H
#define BMWI_KEPT_H

#include "binding/bmwi.h"

#pragma GCC visibility push(hidden)

typedef struct bmwi_loop {
  bmwi_engine *engine; /* NULL once the state is being closed */
  int nested;          /* calls that wait here, each inside a task that the one before has woken */
  int hooks;           /* of clients that are running */
} bmwi_loop;

/* Each stands under the address of its place in an array. */
enum {
  BMWI_KEPT_SELF,    /* the bmwi_loop */
  BMWI_KEPT_WAKES,   /* thread -> function to call with the results (weak keys) */
  BMWI_KEPT_WAITS,   /* thread -> operation it waits for (weak keys) */
  BMWI_KEPT_OPS,     /* operation -> its userdata, while a coroutine waits for it */
  BMWI_KEPT_THREADS, /* operation -> the coroutine that waits for it */
  BMWI_KEPT_ANCHORS, /* operation -> what must stay alive meanwhile */
  BMWI_KEPT_CLIENTS, /* account -> client userdata (weak values) */
  BMWI_KEPT_RAISED,  /* operation that a reading waits for here -> its hook's error, or false */
  BMWI_KEPT_FAULT,   /* the first error that is nobody's, for the next step to raise, or false */
  BMWI_KEPT_COUNT
};

/* Makes the tables, empty. */
void bmwi_kept_open(lua_State *L);
void bmwi_push_kept(lua_State *L, int which);
/* Pops the value on top. */
void bmwi_keep(lua_State *L, int which);
/* Raises in a forked child, and once the state is being closed. */
bmwi_loop *bmwi_get_loop(lua_State *L);

/* Of the tables: table[p] = the value on top, which is popped. */
void bmwi_set_entry(lua_State *L, int which, const void *p);
void bmwi_push_entry(lua_State *L, int which, const void *p);
void bmwi_clear_entry(lua_State *L, int which, const void *p);
/* table[the value on top, which is popped] = nil */
void bmwi_clear_value(lua_State *L, int which);
/* Forgets an operation that a coroutine waited for. */
void bmwi_drop_entries(lua_State *L, const bmwi_op *op);

#pragma GCC visibility pop

#endif
