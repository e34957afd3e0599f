/*
** The loop: this Lua state's engine as an object that any host can drive
** (cqueues' protocol: pollfd, events, timeout; then step), and the waiting of
** calls, here or in a coroutine of bmwi.async.
**
** It owns the engine and a few tables in the registry. Operations of coroutines
** are anchored in them until delivered; an operation that is waited for here is
** anchored by the stack of the call.
*/
#include <stdio.h>

#include "binding/bmwi.h"
#include "core/clock.h"

#define LOOP "bmwi.loop"
#define OP "bmwi.op"

#define MAX_NESTED 12 /* Lua allows some 200 C calls inside each other; one level takes six */

typedef struct loop {
  bmwi_engine *engine;
  int nested; /* calls that wait here, each inside a task that the one before has woken */
} loop;

/* What the registry holds, each under the address of its place in `keys`. */
enum {
  SELF,    /* the loop */
  WAKES,   /* thread -> function to call with the results (weak keys) */
  WAITS,   /* thread -> operation it waits for (weak keys) */
  OPS,     /* operation -> its userdata, while a coroutine waits for it */
  THREADS, /* operation -> the coroutine that waits for it */
  ANCHORS, /* operation -> what must stay alive meanwhile */
  CLIENTS, /* account -> client userdata (weak values) */
  FAULT,   /* the first error of a callback, for the next step or reading to raise, or false */
  KEPT
};
static const char keys[KEPT];

static void push_kept(lua_State *L, int which) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &keys[which]);
}

/* Pops the value on top. */
static void keep(lua_State *L, int which) { lua_rawsetp(L, LUA_REGISTRYINDEX, &keys[which]); }

static loop *get_loop(lua_State *L) {
  push_kept(L, SELF);
  loop *self = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (!bmwi_engine_mine(self->engine))
    luaL_error(L, "bmwi was loaded before this process was forked; load it in the child instead");
  return self;
}

bmwi_engine *bmwi_loop_engine(lua_State *L) { return get_loop(L)->engine; }

/* One of the tables: table[p] = the value on top, which is popped. */
static void set_entry(lua_State *L, int which, const void *p) {
  push_kept(L, which);
  lua_insert(L, -2);
  lua_rawsetp(L, -2, p);
  lua_pop(L, 1);
}

static void push_entry(lua_State *L, int which, const void *p) {
  push_kept(L, which);
  lua_rawgetp(L, -1, p);
  lua_remove(L, -2);
}

/* Forgets an operation that a coroutine waited for. */
static void drop_entries(lua_State *L, const bmwi_op *op) {
  static const int tables[] = {OPS, THREADS, ANCHORS};
  for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
    lua_pushnil(L);
    set_entry(L, tables[i], op);
  }
}

void bmwi_loop_adopt(lua_State *L, int client, const bmwi_account *account) {
  lua_pushvalue(L, client);
  set_entry(L, CLIENTS, account);
}

/* ---- operations --------------------------------------------------------------- */

bmwi_op *bmwi_loop_op(lua_State *L, bmwi_kind kind) {
  bmwi_engine *engine = bmwi_loop_engine(L);
  bmwi_op *op = lua_newuserdata(L, sizeof *op);
  bmwi_op_init(op, engine, kind);
  luaL_setmetatable(L, OP);
  return op;
}

static int op_gc(lua_State *L) {
  bmwi_op_release(luaL_checkudata(L, 1, OP));
  return 0;
}

#if LUA_VERSION_NUM >= 504
static int op_close(lua_State *L) {
  bmwi_op_cancel(luaL_checkudata(L, 1, OP), BMWI_CANCELLED, "the coroutine was closed");
  return 0;
}
#endif

/* Whether this thread is a coroutine of bmwi.async that can yield now. */
static bool is_task(lua_State *L) {
  push_kept(L, WAKES);
  lua_pushthread(L);
  lua_rawget(L, -2);
  bool task = !lua_isnil(L, -1) && bmwi_yieldable(L);
  lua_pop(L, 2);
  return task;
}

/* ---- moving on ------------------------------------------------------------------ */

/* Keeps the error on top for the end of the step, and pops it. */
static void keep_fault(lua_State *L) {
  push_kept(L, FAULT);
  bool later = lua_toboolean(L, -1);
  lua_pop(L, 1);
  if (later) lua_pop(L, 1);
  else keep(L, FAULT);
}

static void raise_fault(lua_State *L) {
  push_kept(L, FAULT);
  if (!lua_toboolean(L, -1)) {
    lua_pop(L, 1);
    return;
  }
  lua_pushboolean(L, 0);
  keep(L, FAULT);
  lua_error(L);
}

/* (operation) -> its results, for a coroutine; protected. */
static int deliver(lua_State *L) {
  bmwi_op *op = lua_touserdata(L, 1);
  int results = bmwi_client_deliver(L, op);
  bmwi_op_release(op);
  return results;
}

/* Wakes the coroutine with true and the results, or with false and an error. */
static void wake(lua_State *L, bmwi_op *op) {
  int top = lua_gettop(L);
  push_entry(L, OPS, op);
  if (lua_isnil(L, -1)) { /* somebody waits for it here, or nobody any more */
    lua_settop(L, top);
    return;
  }
  push_entry(L, THREADS, op);
  push_kept(L, WAITS);
  lua_pushvalue(L, -2);
  lua_pushnil(L);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  push_kept(L, WAKES);
  lua_insert(L, -2);
  lua_rawget(L, -2); /* userdata, wakes, function */
  lua_remove(L, -2);
  drop_entries(L, op);
  if (lua_isnil(L, -1)) {
    lua_settop(L, top);
    return;
  }
  lua_pushboolean(L, 1);
  lua_pushcfunction(L, deliver);
  lua_pushvalue(L, top + 1);
  if (lua_pcall(L, 1, LUA_MULTRET, 0) != 0) {
    lua_pushboolean(L, 0);
    lua_replace(L, top + 3);
  }
  if (lua_pcall(L, lua_gettop(L) - top - 2, 0, 0) != 0) keep_fault(L);
  lua_settop(L, top);
}

/* (operation, client) -> reads the token answer; protected. */
static int read_token(lua_State *L) {
  bmwi_client_token(L, lua_touserdata(L, 1), 2);
  return 0;
}

/* (operation, client) -> asks the keeper of saved tokens; protected. */
static int ask_keeper(lua_State *L) {
  bmwi_client_ask(L, lua_touserdata(L, 1), 2);
  return 0;
}

/* (operation, client, state before) -> tells the log hook; protected. */
static int tell(lua_State *L) {
  const bmwi_op *op = lua_touserdata(L, 1);
  const bmwi_transfer *t = &op->transfer;
  bool exchanged = lua_toboolean(L, 3);
  lua_settop(L, 2);
  lua_createtable(L, 0, 8);
  lua_pushstring(L, op->kind == BMWI_TOKEN ? "token" : op->endpoint->name);
  lua_setfield(L, -2, "call");
  lua_pushstring(L, op->kind == BMWI_TOKEN || op->endpoint->post ? "POST" : "GET");
  lua_setfield(L, -2, "method");
  lua_pushinteger(L, op->attempt + 1);
  lua_setfield(L, -2, "attempt");
  if (!exchanged) { /* the repeat was planned just now */
    lua_pushnumber(L, t->timer.wake - bmwi_now());
    lua_setfield(L, -2, "wait");
    bmwi_client_log(L, 2, "repeat");
    return 0;
  }
  lua_pushnumber(L, t->seconds);
  lua_setfield(L, -2, "seconds");
  if (t->result == CURLE_OK) {
    lua_pushinteger(L, t->status);
    lua_setfield(L, -2, "status");
    lua_pushinteger(L, (lua_Integer)t->body.len);
    lua_setfield(L, -2, "bytes");
    if (t->date >= 0) {
      lua_pushnumber(L, t->date);
      lua_setfield(L, -2, "date");
    }
  } else {
    bmwi_failure failure;
    bmwi_op_explain(op, &failure);
    lua_pushstring(L, failure.text);
    lua_setfield(L, -2, "error");
    lua_pushstring(L, bmwi_code_name(failure.code));
    lua_setfield(L, -2, "code");
  }
  bmwi_client_log(L, 2, "answer");
  return 0;
}

/* Calls one of the functions above with the operation, the client that is on
** top of the stack, and a flag. */
static void call_back(lua_State *L, lua_CFunction function, bmwi_op *op, bool flag) {
  lua_pushcfunction(L, function);
  lua_pushlightuserdata(L, op);
  lua_pushvalue(L, -3);
  lua_pushboolean(L, flag);
  if (lua_pcall(L, 3, 0, 0) != 0) keep_fault(L);
}

/* Hands out what has ended, for some 5 ms: a host has its turn however many end at once
** or ask again and are refused at once. What is left makes the next step due. `hold`: no
** coroutine is woken, those that could be are held back. The operation and its client stay on the
** stack meanwhile: a hook may cancel the one, a token request lives in the other. */
static void dispatch(lua_State *L, bmwi_engine *engine, bool hold) {
  bmwi_transfer *t;
  double until = bmwi_now() + BMWI_BUDGET;
  luaL_checkstack(L, 20, NULL);
  while ((t = bmwi_engine_next(engine)) != NULL) {
    bmwi_op *op = (bmwi_op *)t; /* its first member */
    push_entry(L, OPS, op);
    if (op->account != NULL) push_entry(L, CLIENTS, op->account);
    else lua_pushnil(L);
    if (op->kind == BMWI_TOKEN && lua_isnil(L, -1)) { /* its client is being collected */
      lua_pop(L, 2);
      continue;
    }
    bool logs = op->state == BMWI_RUNNING && !lua_isnil(L, -1) &&
                bmwi_client_logs(L, lua_gettop(L));
    if (logs) call_back(L, tell, op, true);
    bmwi_next next = bmwi_op_advance(op);
    if (logs && op->state == BMWI_BACKOFF) call_back(L, tell, op, false);
    if (next == BMWI_DELIVER && hold && !lua_isnil(L, -2)) bmwi_engine_hold(engine, t);
    else if (next == BMWI_DELIVER) wake(L, op);
    if (next == BMWI_READ_TOKEN || next == BMWI_ASK_KEEPER) {
      call_back(L, next == BMWI_READ_TOKEN ? read_token : ask_keeper, op, false);
      bmwi_session_settle(op->session);
    }
    lua_pop(L, 2);
    if (bmwi_now() >= until) break;
  }
}

static int nothing(lua_State *L) {
  (void)L;
  return 0;
}

/* Calling anything lets a pending hook run: that is how the stand-alone
** interpreter turns Ctrl-C into an error. A host is told of what is left to do even then. */
static void let_hooks_run(lua_State *L, bmwi_engine *engine) {
  if (lua_gethook(L) == NULL) return;
  bmwi_engine_arm(engine);
  lua_pushcfunction(L, nothing);
  lua_call(L, 0, 0);
}

/* Moves everything on. A Ctrl-C of the wait must not be taken for the fault of a coroutine that
** is woken. */
static void move(lua_State *L, bmwi_engine *engine, double seconds, bool hold) {
  bmwi_engine_step(engine, seconds);
  let_hooks_run(L, engine);
  dispatch(L, engine, hold);
  let_hooks_run(L, engine);
}

/* One round of a call that waits here; protected. */
static int turn(lua_State *L) {
  const loop *self = get_loop(L);
  move(L, self->engine, -1, self->nested > MAX_NESTED);
  return 0;
}

int bmwi_loop_await(lua_State *L, int client) {
  bmwi_op *op = luaL_checkudata(L, -1, OP);
  bmwi_engine *engine = op->engine;
  if (is_task(L)) {
    int at = lua_gettop(L);
#if LUA_VERSION_NUM >= 504
    lua_toclose(L, at); /* coroutine.close gives the call up */
#endif
    /* Started by loop:begin, when the yield has worked: below Lua 5.3 it can fail
    ** (across pcall, say), and then nothing must have been sent. */
    push_kept(L, SELF);
    lua_pushvalue(L, at);
    if (client != 0) lua_pushvalue(L, client);
    else lua_pushnil(L);
    return lua_yield(L, 3);
  }
  loop *self = get_loop(L);
  int nested = self->nested++, status = 0;
  bmwi_op_start(op);
  while (status == 0 && op->state != BMWI_FINISHED) {
    lua_pushcfunction(L, turn);
    status = lua_pcall(L, 0, 0, 0);
  }
  self->nested = nested;
  if (nested <= MAX_NESTED) bmwi_engine_unhold(engine);
  /* Ctrl-C gives the call up: it must not be sent later, beside the same call made again. */
  if (status != 0) bmwi_op_release(op);
  bmwi_engine_arm(engine);
  if (status != 0) return lua_error(L);
  /* What somebody else did wrong does not take the outcome of a command: that comes out later. */
  if (op->endpoint == NULL || !op->endpoint->post) raise_fault(L);
  int results = bmwi_client_deliver(L, op);
  bmwi_op_release(op);
  return results;
}

/* ---- the object --------------------------------------------------------------------- */

static loop *check_loop(lua_State *L) {
  luaL_checkudata(L, 1, LOOP);
  return get_loop(L);
}

/* loop:pollfd() -> a descriptor that is readable when step() has work */
static int loop_pollfd(lua_State *L) {
  lua_pushinteger(L, bmwi_engine_fd(check_loop(L)->engine));
  return 1;
}

/* loop:events() -> "r" */
static int loop_events(lua_State *L) {
  check_loop(L);
  lua_pushliteral(L, "r");
  return 1;
}

/* loop:timeout() -> seconds until step() must run, or nil when it need not */
static int loop_timeout(lua_State *L) {
  double left = bmwi_engine_timeout(check_loop(L)->engine);
  if (left < 0) lua_pushnil(L);
  else lua_pushnumber(L, left);
  return 1;
}

/* loop:step([seconds]) -> true; moves everything on, waits at most so long (0) */
static int loop_step(lua_State *L) {
  bmwi_engine *engine = check_loop(L)->engine;
  double seconds = luaL_optnumber(L, 2, 0);
  luaL_argcheck(L, seconds >= 0, 2, "seconds must not be negative");
  bmwi_engine_unhold(engine); /* whoever steps may wait for any of them */
  move(L, engine, seconds, false);
  bmwi_engine_arm(engine);
  raise_fault(L);
  lua_pushboolean(L, 1);
  return 1;
}

/* loop:wait(): one round of waiting for tasks. Only Ctrl-C is raised: what became of these tasks
** must not be lost by an error of others, which comes out later. For bmwi.async. */
static int loop_wait(lua_State *L) {
  bmwi_engine *engine = check_loop(L)->engine;
  bmwi_engine_unhold(engine);
  move(L, engine, -1, false);
  bmwi_engine_arm(engine);
  return 0;
}

/* loop:limit(connections) -> the limit before; at most so many connections to one
** server, 0 for any */
static int loop_limit(lua_State *L) {
  bmwi_engine *engine = check_loop(L)->engine;
  lua_Integer connections = luaL_checkinteger(L, 2);
  luaL_argcheck(L, connections >= 0 && connections <= 100000, 2, "0 to 100000 expected");
  lua_pushinteger(L, bmwi_engine_limit(engine, (long)connections));
  bmwi_engine_arm(engine);
  return 1;
}

/* loop:attach(thread, wake): calls of this coroutine yield, and wake(ok, ...)
** gets their results. For bmwi.async. */
static int loop_attach(lua_State *L) {
  check_loop(L);
  luaL_checktype(L, 2, LUA_TTHREAD);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  lua_settop(L, 3);
  push_kept(L, WAKES);
  lua_insert(L, 2);
  lua_rawset(L, 2);
  return 0;
}

/* loop:begin(thread, operation, client): starts what a call of the coroutine has
** yielded, and keeps both alive meanwhile. For bmwi.async. */
static int loop_begin(lua_State *L) {
  bmwi_engine *engine = check_loop(L)->engine;
  luaL_checktype(L, 2, LUA_TTHREAD);
  bmwi_op *op = luaL_checkudata(L, 3, OP);
  lua_settop(L, 4);
  set_entry(L, ANCHORS, op);
  set_entry(L, OPS, op);
  push_kept(L, WAITS);
  lua_pushvalue(L, 2);
  lua_pushlightuserdata(L, op);
  lua_rawset(L, -3);
  lua_settop(L, 2);
  set_entry(L, THREADS, op);
  bmwi_op_start(op);
  bmwi_engine_arm(engine);
  return 0;
}

/* loop:detach(thread): forgets the coroutine and ends what it waits for. */
static int loop_detach(lua_State *L) {
  check_loop(L);
  luaL_checktype(L, 2, LUA_TTHREAD);
  lua_settop(L, 2);
  push_kept(L, WAKES);
  lua_pushvalue(L, 2);
  lua_pushnil(L);
  lua_rawset(L, -3);
  push_kept(L, WAITS);
  lua_pushvalue(L, 2);
  lua_rawget(L, -2);
  bmwi_op *op = lua_touserdata(L, -1);
  if (op != NULL) {
    push_entry(L, OPS, op); /* keeps its memory until the end of this function */
    drop_entries(L, op);
    bmwi_op_release(op);
    bmwi_engine_arm(get_loop(L)->engine);
  }
  return 0;
}

static int loop_gc(lua_State *L) {
  loop *self = lua_touserdata(L, 1);
  push_kept(L, FAULT); /* nobody came to be told */
  if (lua_isstring(L, -1)) fprintf(stderr, "bmwi: %s\n", lua_tostring(L, -1));
  else if (lua_toboolean(L, -1)) fprintf(stderr, "bmwi: error that is a %s\n", luaL_typename(L, -1));
  if (self->engine != NULL) bmwi_engine_free(self->engine);
  self->engine = NULL;
  return 0;
}

static int loop_tostring(lua_State *L) {
  lua_pushliteral(L, LOOP);
  return 1;
}

int bmwi_loop_sleep(lua_State *L) {
  double seconds = luaL_checknumber(L, 1);
  luaL_argcheck(L, seconds >= 0 && seconds <= 1e9, 1, "0 to 1e9 seconds expected");
  bmwi_op *op = bmwi_loop_op(L, BMWI_SLEEP);
  op->deadline = bmwi_now() + seconds;
  return bmwi_loop_await(L, 0);
}

static const luaL_Reg loop_methods[] = {
  {"pollfd", loop_pollfd}, {"events", loop_events}, {"timeout", loop_timeout},
  {"step", loop_step},     {"limit", loop_limit},   {"attach", loop_attach},
  {"begin", loop_begin},   {"detach", loop_detach}, {"wait", loop_wait},
  {NULL, NULL},
};

static const luaL_Reg loop_meta[] = {
  {"__gc", loop_gc},
  {"__tostring", loop_tostring},
  {NULL, NULL},
};

static void weak_table(lua_State *L, int which, const char *mode) {
  lua_newtable(L);
  if (mode != NULL) {
    lua_createtable(L, 0, 1);
    lua_pushstring(L, mode);
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
  }
  keep(L, which);
}

void bmwi_loop_open(lua_State *L) {
  luaL_newmetatable(L, OP);
  lua_pushcfunction(L, op_gc);
  lua_setfield(L, -2, "__gc");
#if LUA_VERSION_NUM >= 504
  lua_pushcfunction(L, op_close);
  lua_setfield(L, -2, "__close");
#endif
  lua_pop(L, 1);
  push_kept(L, SELF);
  if (!lua_isnil(L, -1)) return; /* required twice, under another name */
  lua_pop(L, 1);
  luaL_newmetatable(L, LOOP);
  luaL_setfuncs(L, loop_meta, 0);
  lua_newtable(L);
  luaL_setfuncs(L, loop_methods, 0);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  loop *self = lua_newuserdata(L, sizeof *self);
  self->engine = NULL;
  self->nested = 0;
  luaL_setmetatable(L, LOOP);
  weak_table(L, WAKES, "k");
  weak_table(L, WAITS, "k");
  weak_table(L, OPS, NULL);
  weak_table(L, THREADS, NULL);
  weak_table(L, ANCHORS, NULL);
  weak_table(L, CLIENTS, "v");
  lua_pushboolean(L, 0);
  keep(L, FAULT);
  self->engine = bmwi_engine_new();
  if (self->engine == NULL) luaL_error(L, "libcurl could not be started: no memory or descriptors");
  lua_pushvalue(L, -1);
  keep(L, SELF);
}
