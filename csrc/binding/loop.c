/*
** The loop: this Lua state's engine as an object that any event loop can drive, by the protocol of
** cqueues: pollfd, events and timeout, then step.
*/
#include "binding/await.h"
#include "binding/options.h"
#include "core/clock.h"

#include <stdio.h>

#define LOOP "bmwi.loop"

void bmwi_loop_adopt(lua_State *L, int client, const bmwi_account *account) {
  lua_pushvalue(L, client);
  bmwi_set_entry(L, BMWI_KEPT_CLIENTS, account);
}

static bmwi_loop *check_loop(lua_State *L) {
  luaL_checkudata(L, 1, LOOP);
  return bmwi_get_loop(L);
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

/* loop:step([seconds]) -> true; advances everything, and waits at most `seconds` (0) */
static int loop_step(lua_State *L) {
  bmwi_loop *self = check_loop(L);
  bmwi_engine *engine = self->engine;
  double seconds = luaL_optnumber(L, 2, 0);
  luaL_argcheck(L, seconds >= 0, 2, "seconds must not be negative");
  bmwi_engine_release(engine); /* a step may be waiting for any of them */
  bmwi_move(L, engine, seconds, false);
  bmwi_engine_arm(engine);
  if (bmwi_take_fault(L, self)) return lua_error(L);
  lua_pushboolean(L, 1);
  return 1;
}

/* loop:wait() -> true | false, error; one round of waiting for tasks. Raises only for Ctrl-C:
** another task's error must not hide the results of these tasks, so it is raised later. False:
** nothing can wake a task any more; the error, if one was kept, is the reason. For bmwi.async. */
static int loop_wait(lua_State *L) {
  bmwi_loop *self = check_loop(L);
  bmwi_engine *engine = self->engine;
  if (self->hooks > 0)
    luaL_error(L, "a hook of a client (log, store, on_token, on_prompt) cannot wait for tasks");
  bmwi_engine_release(engine);
  if (!bmwi_engine_busy(engine)) {
    lua_settop(L, 1);
    lua_pushboolean(L, 0);
    bmwi_take_fault(L, self);
    return lua_gettop(L) - 1;
  }
  bmwi_move(L, engine, -1, false);
  bmwi_engine_arm(engine);
  lua_pushboolean(L, 1);
  return 1;
}

/* loop:fail(error): a later step raises the error. For bmwi.async. */
static int loop_fail(lua_State *L) {
  check_loop(L);
  lua_settop(L, 2);
  bmwi_keep_fault(L);
  return 0;
}

double bmwi_gate_deadline(lua_State *L, int argument) {
  if (lua_isnoneornil(L, argument)) return -1;
  double seconds = luaL_checknumber(L, argument);
  luaL_argcheck(L, seconds >= 0 && seconds <= 1e9, argument, "0 to 1e9 seconds expected");
  return bmwi_now() + seconds;
}

/* loop:gate([seconds]) -> operation that completes when loop:open(gate) is called, or after that
** many seconds. For bmwi.async and the stream. */
static int loop_gate(lua_State *L) {
  check_loop(L);
  double deadline = bmwi_gate_deadline(L, 2);
  bmwi_loop_op(L, BMWI_SLEEP)->deadline = deadline;
  return 1;
}

/* loop:open(gate): completes it, whether or not anything waits for it yet */
static int loop_open(lua_State *L) {
  bmwi_engine *engine = check_loop(L)->engine;
  bmwi_op *gate = luaL_checkudata(L, 2, BMWI_OP);
  luaL_argcheck(L, gate->kind == BMWI_SLEEP, 2, "a gate expected");
  if (gate->state == BMWI_NEW) gate->state = BMWI_FINISHED;
  else if (gate->state == BMWI_RUNNING) bmwi_engine_complete(engine, &gate->transfer);
  bmwi_engine_arm(engine);
  return 0;
}

/* Whether nothing waits for it. */
static bool is_free(const bmwi_op *op) {
  return op->state == BMWI_NEW || op->state == BMWI_FINISHED;
}

/* loop:pass(gate) -> nothing, or nil, message, "closed" for a client's gate; waits until it opens,
** like any call: blocking, or by yielding in a task */
static int loop_pass(lua_State *L) {
  const bmwi_loop *self = check_loop(L);
  const bmwi_op *gate = luaL_checkudata(L, 2, BMWI_OP);
  luaL_argcheck(L, is_free(gate) && gate->kind == BMWI_SLEEP, 2,
                "a gate that nobody waits for expected");
  lua_settop(L, 2);
  if (self->hooks > 0 && !bmwi_is_task(L))
    luaL_error(L, "a hook of a client (log, store, on_token, on_prompt) cannot wait for a stream");
  return bmwi_loop_await(L, 0);
}

/* loop:limit(connections) -> the previous limit; the most connections to one server, 0 for
** unlimited */
static int loop_limit(lua_State *L) {
  bmwi_engine *engine = check_loop(L)->engine;
  lua_Integer connections = luaL_checkinteger(L, 2);
  luaL_argcheck(L, connections >= 0 && connections <= 100000, 2, "0 to 100000 expected");
  lua_pushinteger(L, bmwi_engine_limit(engine, (long)connections));
  bmwi_engine_arm(engine);
  return 1;
}

/* loop:attach(thread, wake): calls in this coroutine yield, and wake(ok, ...) gets their results.
** For bmwi.async. */
static int loop_attach(lua_State *L) {
  check_loop(L);
  luaL_checktype(L, 2, LUA_TTHREAD);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  lua_settop(L, 3);
  bmwi_push_kept(L, BMWI_KEPT_WAKES);
  lua_insert(L, 2);
  lua_rawset(L, 2);
  return 0;
}

/* loop:begin(thread, operation, client): starts the operation that a call in the coroutine has
** yielded, and keeps it and the client alive. For bmwi.async. */
static int loop_begin(lua_State *L) {
  bmwi_engine *engine = check_loop(L)->engine;
  luaL_checktype(L, 2, LUA_TTHREAD);
  bmwi_op *op = luaL_checkudata(L, 3, BMWI_OP);
  lua_settop(L, 4);
  lua_createtable(L, 3, 0); /* before the check: a finalizer may begin the operation */
  for (int i = 1; i <= 3; i++) {
    lua_pushvalue(L, i + 1);
    lua_rawseti(L, 5, i);
  }
  luaL_argcheck(L, is_free(op) && op->slot == 0, 3, "an operation that has not begun expected");
  bmwi_keep_op(L, 2, op);
  bmwi_op_start(op);
  bmwi_engine_arm(engine);
  return 0;
}

/* loop:detach(thread) -> info or nothing: forgets the coroutine and cancels what it waits for. If
** that is a command that was sent, info has its execution. */
static int loop_detach(lua_State *L) {
  check_loop(L);
  luaL_checktype(L, 2, LUA_TTHREAD);
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  bmwi_clear_value(L, BMWI_KEPT_WAKES);
  bmwi_push_kept(L, BMWI_KEPT_WAITS);
  lua_pushvalue(L, 2);
  lua_rawget(L, -2);
  bmwi_op *op = lua_touserdata(L, -1);
  if (op != NULL) {
    lua_pushvalue(L, 2);
    bmwi_clear_value(L, BMWI_KEPT_WAITS);
    bmwi_push_kept_op(L, op, BMWI_KEPT_USERDATA); /* alive until the end of this function */
    bmwi_drop_op(L, op);
    bmwi_op_cancel(op, BMWI_CANCELLED, "the task was cancelled");
    bool unknown =
      op->failure != NULL && op->failure->code == BMWI_UNKNOWN && lua_isuserdata(L, -1);
    bmwi_op_release(op);
    bmwi_engine_arm(bmwi_get_loop(L)->engine);
    if (unknown) return bmwi_push_unknown_info(L);
  }
  return 0;
}

/* Before Lua 5.4 a finalizer that collects garbage gets here, even from within a call of ours. */
static void end_all(lua_State *L, bmwi_engine *engine) {
  bmwi_push_kept(L, BMWI_KEPT_CLIENTS);
  lua_pushnil(L);
  for (; lua_next(L, -2); lua_pop(L, 1)) bmwi_account_end(lua_touserdata(L, -1));
  bmwi_engine_complete_all(engine);
  while (bmwi_engine_next(engine) != NULL) continue; /* their owners release them */
}

static int loop_gc(lua_State *L) {
  bmwi_loop *self = lua_touserdata(L, 1);
  bmwi_push_kept(L, BMWI_KEPT_SELF);
  bool served = lua_touserdata(L, -1) == self;      /* false if it could not be opened */
  for (; bmwi_push_fault(L, self); lua_pop(L, 1)) { /* no step has raised it */
    if (lua_isstring(L, -1)) fprintf(stderr, "bmwi: %s\n", lua_tostring(L, -1));
    else fprintf(stderr, "bmwi: error object is a %s value\n", luaL_typename(L, -1));
  }
  if (self->engine != NULL && bmwi_engine_mine(self->engine)) {
    if (served) end_all(L, self->engine);
    bmwi_engine_close(self->engine);
  }
  self->ended = true;
  return 0;
}

static int loop_tostring(lua_State *L) {
  lua_pushliteral(L, LOOP);
  return 1;
}

static const luaL_Reg loop_methods[] = {
  {"pollfd", loop_pollfd},   {"events", loop_events},
  {"timeout", loop_timeout}, {"step", loop_step},
  {"limit", loop_limit},     {"attach", loop_attach},
  {"begin", loop_begin},     {"detach", loop_detach},
  {"wait", loop_wait},       {"fail", loop_fail},
  {"gate", loop_gate},       {"open", loop_open},
  {"pass", loop_pass},       {NULL, NULL},
};

static const luaL_Reg loop_meta[] = {
  {"__gc", loop_gc},
  {"__tostring", loop_tostring},
  {NULL, NULL},
};

void bmwi_loop_open(lua_State *L) {
  bmwi_push_kept(L, BMWI_KEPT_SELF);
  if (!lua_isnil(L, -1)) return; /* required a second time under another name */
  lua_pop(L, 1);
  bmwi_await_open(L);
  bmwi_kept_open(L);
  luaL_newmetatable(L, LOOP);
  luaL_setfuncs(L, loop_meta, 0);
  lua_newtable(L);
  luaL_setfuncs(L, loop_methods, 0);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  bmwi_loop *self = lua_newuserdata(L, sizeof *self);
  self->engine = NULL;
  self->ended = false;
  self->nested = self->hooks = self->first_fault = self->faults = self->lost_faults = 0;
  luaL_setmetatable(L, LOOP);
  bmwi_engine *engine = lua_newuserdata(L, bmwi_engine_size());
  bmwi_keep(L, BMWI_KEPT_ENGINE);
  if (!bmwi_engine_open(engine))
    luaL_error(L, "libcurl could not be initialized: out of memory or file descriptors");
  self->engine = engine;
  lua_pushvalue(L, -1);
  bmwi_keep(L, BMWI_KEPT_SELF);
}
