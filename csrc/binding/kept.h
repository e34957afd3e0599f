/*
** What this Lua state keeps in the registry for its loop: the loop itself and a few tables of
** pending operations. Clearing an entry needs no memory, so it can be done at any time.
*/
#ifndef BMWI_KEPT_H
#define BMWI_KEPT_H

#include "binding/bmwi.h"

#pragma GCC visibility push(hidden)

#define BMWI_FAULTS 100 /* the maximum of errors that are kept for later steps */

typedef struct bmwi_loop {
  bmwi_engine *engine; /* NULL if it could not be opened */
  bool ended;          /* the state is being closed */
  int nested; /* nested blocking calls, each inside a task that the one before has resumed */
  int hooks;  /* client hooks that are running */
  /* The errors without an owner: a ring in BMWI_KEPT_FAULTS. */
  int first_fault, faults; /* where it begins (from 0), and how many there are */
  int lost_faults;         /* how many more there were */
} bmwi_loop;

/* Each key is the address of an element of an array. */
enum {
  BMWI_KEPT_SELF,    /* the bmwi_loop */
  BMWI_KEPT_ENGINE,  /* its engine: in the state's own memory, which outlives every finalizer */
  BMWI_KEPT_WAKES,   /* thread -> function to call with the results (weak keys) */
  BMWI_KEPT_WAITS,   /* thread -> operation it waits for (weak keys) */
  BMWI_KEPT_OPS,     /* slot of an operation -> {the coroutine that waits for it, its userdata, what
                     ** must stay alive meanwhile} */
  BMWI_KEPT_CLIENTS, /* account -> client userdata (weak values) */
  BMWI_KEPT_RAISED,  /* operation that a blocking read waits for -> its hook's error, or false */
  BMWI_KEPT_FAULTS,  /* errors without an owner, or false; what stands for nil behind them */
  BMWI_KEPT_COUNT
};

/* Makes the tables, empty. */
void bmwi_kept_open(lua_State *L);
void bmwi_push_kept(lua_State *L, int which);
/* Stores and pops the value on top. */
void bmwi_keep(lua_State *L, int which);
/* Raises in a forked child and while the state is being closed. */
bmwi_loop *bmwi_get_loop(lua_State *L);

/* For the tables: table[p] = the value on top, which is popped. */
void bmwi_set_entry(lua_State *L, int which, const void *p);
void bmwi_push_entry(lua_State *L, int which, const void *p);
/* The same for nil, in the table at `index` (positive). */
void bmwi_clear_entry(lua_State *L, int index, const void *p);
/* table[the value on top, which is popped] = nil */
void bmwi_clear_value(lua_State *L, int which);

/* Keeps an operation that the coroutine at `thread` (positive) waits for: pops {coroutine,
** userdata, client}. Runs no finalizer. */
void bmwi_keep_op(lua_State *L, int thread, bmwi_op *op);
/* Pushes one of these; nil if it is not kept. */
enum { BMWI_KEPT_THREAD = 1, BMWI_KEPT_USERDATA };
void bmwi_push_kept_op(lua_State *L, const bmwi_op *op, int which);
void bmwi_drop_op(lua_State *L, bmwi_op *op);

#pragma GCC visibility pop

#endif
