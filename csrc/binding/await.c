/*
** Waiting: carries an operation from its call to its results, either by blocking here or by
** yielding in a coroutine of bmwi.async. A coroutine's operation is anchored in the registry until
** it is delivered; a blocking one is anchored by the stack of the call.
*/
#include "binding/await.h"

#include "binding/options.h"
#include "core/clock.h"

#define MAX_NESTED 12 /* Lua allows about 200 nested C calls; one level takes six */
#define RESERVE 120   /* stack slots, enough for a coroutine's function and what it calls */
#define RESERVE_HERE (RESERVE + 40) /* so that a turn of a blocking wait still has RESERVE left */

/* ---- operations --------------------------------------------------------------- */

bmwi_op *bmwi_loop_op(lua_State *L, bmwi_kind kind) {
  bmwi_engine *engine = bmwi_loop_engine(L);
  bmwi_op *op = lua_newuserdata(L, sizeof *op);
  bmwi_op_init(op, engine, kind);
  luaL_setmetatable(L, BMWI_OP);
  return op;
}

static int op_gc(lua_State *L) {
  bmwi_op *op = luaL_checkudata(L, 1, BMWI_OP);
  bmwi_op_release(op);
  bmwi_attempt_forget(op);
  return 0;
}

#if LUA_VERSION_NUM >= 504
static int op_close(lua_State *L) {
  bmwi_op_cancel(luaL_checkudata(L, 1, BMWI_OP), BMWI_CANCELLED, "the coroutine was closed");
  return 0;
}
#endif

bool bmwi_is_task(lua_State *L) {
  if (!bmwi_yieldable(L)) return false;
  bmwi_push_kept(L, BMWI_KEPT_WAKES);
  lua_pushthread(L);
  lua_rawget(L, -2);
  bool task = !lua_isnil(L, -1);
  lua_pop(L, 2);
  return task;
}

/* C functions that are needed where nothing may raise: in Lua 5.1 pushing one allocates memory. */
enum {
  DELIVER,
  READ_TOKEN,
  ASK_STORE,
  FINISH_STORE,
  ANNOUNCE,
  CALL_LOG_HOOK,
  RECORD,
  TURN,
  FUNCTIONS
};
static const lua_CFunction functions[FUNCTIONS];

static void push_function(lua_State *L, int which) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &functions[which]);
}

/* ---- moving on ------------------------------------------------------------------ */

/* Pops the error on top and keeps it for a later step, which becomes due at once. */
void bmwi_keep_fault(lua_State *L) {
  bmwi_push_kept(L, BMWI_KEPT_SELF);
  bmwi_loop *self = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (self->faults == BMWI_FAULTS) {
    self->lost_faults++;
    lua_pop(L, 1);
  } else {
    bmwi_push_kept(L, BMWI_KEPT_FAULTS);
    if (lua_toboolean(L, -2)) lua_pushvalue(L, -2);
    else lua_rawgeti(L, -1, BMWI_FAULTS + 1); /* error(nil) is an error too */
    lua_rawseti(L, -2, (self->first_fault + self->faults++) % BMWI_FAULTS + 1);
    lua_pop(L, 2);
  }
  bmwi_engine_ask(self->engine, true);
}

bool bmwi_push_fault(lua_State *L, bmwi_loop *self) {
  if (self->faults > 0) {
    int slot = self->first_fault + 1;
    bmwi_push_kept(L, BMWI_KEPT_FAULTS);
    lua_rawgeti(L, -1, slot);
    lua_pushboolean(L, 0);
    lua_rawseti(L, -3, slot);
    lua_remove(L, -2);
    self->first_fault = slot % BMWI_FAULTS;
    self->faults--;
    return true;
  }
  if (self->lost_faults == 0) return false;
  lua_pushfstring(L, "%d more errors were not kept", self->lost_faults);
  self->lost_faults = 0;
  return true;
}

bool bmwi_take_fault(lua_State *L, bmwi_loop *self) {
  bool taken = bmwi_push_fault(L, self);
  bmwi_engine_ask(self->engine, self->faults > 0 || self->lost_faults > 0);
  return taken;
}

/* Whether a blocking read waits here that takes the error on top (which stays), or already has
** one. */
static bool takes(lua_State *L, const bmwi_op *op) {
  bmwi_push_entry(L, BMWI_KEPT_RAISED, op);
  bool waits = !lua_isnil(L, -1), free = lua_isboolean(L, -1);
  lua_pop(L, 1);
  lua_pushvalue(L, -1);
  if (free) bmwi_set_entry(L, BMWI_KEPT_RAISED, op);
  else lua_pop(L, 1);
  return waits;
}

/* Pops the error on top, which a hook raised on behalf of this operation. It is raised by the
** blocking reads that wait for the operation, or by the next step if there are none. */
static void blame(lua_State *L, const bmwi_op *op) {
  bool taken = takes(L, op);
  if (op->kind == BMWI_TOKEN && op->session != NULL)
    for (const bmwi_op *p = op->session->waiting; p != NULL; p = p->next_waiting)
      taken = takes(L, p) || taken;
  if (taken) lua_pop(L, 1);
  else bmwi_keep_fault(L);
}

/* A command that was sent has an outcome, even if there is no memory to report it. */
static bool is_sent_command(const bmwi_op *op) {
  return op->exchange != NULL && op->exchange->command &&
         (op->transfer.sent || op->transfer.phase == BMWI_SENDING);
}

/* Pushes the results for such a command, the operation at `index`; they were created in advance. */
static int push_kept_unknown(lua_State *L, int index) {
  lua_getuservalue(L, index);
  lua_pushnil(L);
  for (int i = 1; i <= 3; i++) lua_rawgeti(L, -1 - i, i);
  lua_remove(L, -5);
  return 4;
}

int bmwi_push_unknown_info(lua_State *L) {
  lua_getuservalue(L, -1);
  if (!lua_istable(L, -1)) return 0;
  lua_rawgeti(L, -1, 3);
  return 1;
}

/* (operation) -> its results; protected. */
static int deliver(lua_State *L) {
  bmwi_op *op = lua_touserdata(L, 1);
  if (op->kind == BMWI_LOST && is_sent_command(op)) return push_kept_unknown(L, 1);
  int results = bmwi_deliver(L, op);
  bmwi_op_release(op);
  return results;
}

/* Pushes the results of the finished operation at `index`. False: pushes an error instead. */
static bool push_results(lua_State *L, const bmwi_op *op, int index) {
  int top = lua_gettop(L);
  push_function(L, DELIVER);
  lua_pushvalue(L, index);
  if (lua_pcall(L, 1, LUA_MULTRET, 0) == 0) return true;
  if (!is_sent_command(op)) return false;
  lua_settop(L, top);
  push_kept_unknown(L, index);
  return true;
}

/* The coroutine could not be resumed. Pops the reason, and has the next step resume it with that
** error. */
static void wake_again(lua_State *L, bmwi_op *op) {
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "not enough memory";
  op->kind = BMWI_LOST;
  bmwi_attempt_fail(op, BMWI_NO_MEMORY, text);
  bmwi_engine_complete(op->engine, &op->transfer);
  lua_pop(L, 1);
}

static void push_wake(lua_State *L, int thread) {
  bmwi_push_kept(L, BMWI_KEPT_WAKES);
  lua_pushvalue(L, thread);
  lua_rawget(L, -2);
  lua_remove(L, -2);
}

/* Resumes the coroutine that waits for the operation at `index`, unless it was detached meanwhile:
** with true and the results, or with false and an error. The operation is dropped only after that,
** since there may not be enough memory to resume it now. */
static void wake(lua_State *L, bmwi_op *op, int index) {
  int top = lua_gettop(L), thread = top + 1, function = top + 2;
  bmwi_push_kept_op(L, op, BMWI_KEPT_THREAD);
  lua_pushvalue(L, thread);
  bmwi_clear_value(L, BMWI_KEPT_WAITS);
  push_wake(L, thread);
  if (lua_isnil(L, function)) {
    bmwi_drop_op(L, op);
    lua_settop(L, top);
    return;
  }
  lua_pushboolean(L, 1);
  if (!push_results(L, op, index)) {
    lua_pushboolean(L, 0);
    lua_replace(L, function + 1);
  }
  if (lua_pcall(L, lua_gettop(L) - function, 0, 0) != 0) {
    push_wake(L, thread);
    bool resumed = lua_isnil(L, -1);
    lua_pop(L, 1);
    if (!resumed) {
      wake_again(L, op);
      lua_settop(L, top);
      return;
    }
    bmwi_keep_fault(L);
  }
  bmwi_drop_op(L, op);
  lua_settop(L, top);
}

/* (operation, client) -> calls one hook of a token request, unless a finalizer has just closed the
** client; protected. */
static int call_hook(lua_State *L, void (*hook)(lua_State *, bmwi_op *, int)) {
  bmwi_op *op = lua_touserdata(L, 1);
  if (op->account != NULL) hook(L, op, 2);
  return 0;
}

static int read_token(lua_State *L) { return call_hook(L, bmwi_read_token_answer); }
static int ask_store(lua_State *L) { return call_hook(L, bmwi_ask_store); }
static int finish_store(lua_State *L) { return call_hook(L, bmwi_hooks_finish); }
static int announce(lua_State *L) { return call_hook(L, bmwi_hooks_announce); }
static int record(lua_State *L) { return call_hook(L, bmwi_hooks_record); }

/* (operation, client, previous state) -> calls the log hook; protected. */
static int call_log_hook(lua_State *L) {
  const bmwi_op *op = lua_touserdata(L, 1);
  const bmwi_transfer *t = &op->transfer;
  bool exchanged = lua_toboolean(L, 3);
  lua_settop(L, 2);
  lua_createtable(L, 0, 8);
  lua_pushstring(L, op->kind == BMWI_TOKEN ? "token" : op->exchange->name);
  lua_setfield(L, -2, "call");
  lua_pushstring(L, op->kind == BMWI_TOKEN ? "POST" : op->exchange->method);
  lua_setfield(L, -2, "method");
  lua_pushinteger(L, op->attempt + 1);
  lua_setfield(L, -2, "attempt");
  if (!exchanged) { /* a retry has just been scheduled */
    lua_pushnumber(L, t->timer.wake - bmwi_now());
    lua_setfield(L, -2, "wait");
    bmwi_call_log_hook(L, 2, "retry");
    return 0;
  }
  lua_pushnumber(L, t->seconds);
  lua_setfield(L, -2, "seconds");
  if (t->result == 0) {
    lua_pushinteger(L, t->status);
    lua_setfield(L, -2, "status");
    lua_pushinteger(L, (lua_Integer)t->body.len);
    lua_setfield(L, -2, "bytes");
    double date = bmwi_transfer_date(t);
    if (date >= 0) {
      lua_pushnumber(L, date);
      lua_setfield(L, -2, "date");
    }
  } else {
    bmwi_failure failure;
    bmwi_attempt_explain(op, &failure);
    lua_pushstring(L, failure.text);
    lua_setfield(L, -2, "error");
    lua_pushstring(L, bmwi_code_name(failure.code));
    lua_setfield(L, -2, "code");
  }
  bmwi_call_log_hook(L, 2, "response");
  return 0;
}

/* Calls one of the functions above with the operation, the client on top of the stack, and a
** flag. */
static void call_back(lua_State *L, int function, bmwi_op *op, bool flag) {
  bmwi_account *account = lua_touserdata(L, -1); /* a client's first member */
  push_function(L, function);
  lua_pushlightuserdata(L, op);
  lua_pushvalue(L, -3);
  lua_pushboolean(L, flag);
  account->pins++;
  if (lua_pcall(L, 3, 0, 0) != 0) blame(L, op);
  bmwi_account_unpin(account);
}

/* Runs one stage of a token request and its hooks. Any of them may close the client. */
static void renew(lua_State *L, bmwi_op *op, int stage) {
  bmwi_session *session = op->session;
  if (stage == ASK_STORE && session->begun)
    call_back(L, FINISH_STORE, op, false); /* the last one */
  call_back(L, stage, op, false);
  bmwi_session_settle(session);
  if (op->account != NULL && session->begun && op->state == BMWI_NEW)
    call_back(L, FINISH_STORE, op, false);
  if (op->account != NULL && session->announce) call_back(L, ANNOUNCE, op, false);
  session->announce = false;
  bmwi_session_go_on(session);
}

/* Delivers completed operations for about 5 ms, so that the host gets its turn no matter how many
** complete at once or fail immediately; the rest makes the next step due. With `defer` no coroutine
** is resumed: those that are ready are deferred. Each operation and its client stay on the stack
** meanwhile, since a hook may cancel the operation, and a token request is stored in the client. */
static void dispatch(lua_State *L, bmwi_engine *engine, bool defer) {
  bmwi_transfer *t;
  double until = bmwi_now() + BMWI_TIME_SLICE;
  luaL_checkstack(L, RESERVE, NULL); /* nothing raises from here on */
  while ((t = bmwi_engine_next(engine)) != NULL) {
    bmwi_op *op = (bmwi_op *)t; /* its first member */
    bmwi_push_kept_op(L, op, BMWI_KEPT_USERDATA);
    if (op->account != NULL) bmwi_push_entry(L, BMWI_KEPT_CLIENTS, op->account);
    else lua_pushnil(L);
    if (op->kind == BMWI_TOKEN && lua_isnil(L, -1)) { /* its client is being collected */
      lua_pop(L, 2);
      continue;
    }
    bool exchanged = op->state == BMWI_RUNNING && op->kind != BMWI_SLEEP;
    bool runs = exchanged && !lua_isnil(L, -1);
    bool logs = runs && bmwi_logs(L, lua_gettop(L));
    if (logs) call_back(L, CALL_LOG_HOOK, op, true);
    if (runs && op->account != NULL && op->account->records) call_back(L, RECORD, op, true);
    bmwi_next next = bmwi_op_advance(op);
    bool awaited = !lua_isnil(L, -2); /* by a coroutine; a blocking call looks for itself */
    if (next == BMWI_DELIVER && awaited && defer) bmwi_engine_defer(engine, t);
    else if (next == BMWI_DELIVER && awaited) wake(L, op, lua_gettop(L) - 1);
    if (next == BMWI_READ_TOKEN || next == BMWI_ASK_STORE)
      renew(L, op, next == BMWI_READ_TOKEN ? READ_TOKEN : ASK_STORE);
    if (logs && op->state == BMWI_BACKOFF) call_back(L, CALL_LOG_HOOK, op, false);
    lua_pop(L, 2);
    if (bmwi_now() >= until) break;
  }
}

static int nothing(lua_State *L) {
  (void)L;
  return 0;
}

/* Calling any function runs a pending debug hook, which is how the stand-alone interpreter turns
** Ctrl-C into an error. The engine is armed even then, so that the host learns of remaining
** work. */
static void let_hooks_run(lua_State *L, bmwi_engine *engine) {
  bmwi_sys_check(L);
  if (lua_gethook(L) == NULL) return;
  bmwi_engine_arm(engine);
  lua_pushcfunction(L, nothing);
  lua_call(L, 0, 0);
}

/* Advances everything. A Ctrl-C during the wait must not be raised in a coroutine that is
** resumed. */
void bmwi_move(lua_State *L, bmwi_engine *engine, double seconds, bool defer) {
  bmwi_engine_step(engine, seconds);
  let_hooks_run(L, engine);
  dispatch(L, engine, defer);
  let_hooks_run(L, engine);
}

/* One round of a blocking call; protected. */
static int turn(lua_State *L) {
  const bmwi_loop *self = bmwi_get_loop(L);
  bmwi_move(L, self->engine, -1, self->nested > MAX_NESTED);
  return 0;
}

/* Yields the operation on top to the scheduler of the coroutine. */
static int yield(lua_State *L, int client) {
  int at = lua_gettop(L);
#if LUA_VERSION_NUM >= 504
  lua_toclose(L, at); /* coroutine.close cancels the call */
  /* Lua also calls our __close at each return, and allocates memory for that call. */
  lua_pushcfunction(L, nothing);
  lua_call(L, 0, 0);
#endif
  /* loop:begin starts the operation after the yield has succeeded. Before Lua 5.3 a yield can fail
  ** (across pcall, for example), and then nothing must have been sent. */
  bmwi_push_kept(L, BMWI_KEPT_SELF);
  lua_pushvalue(L, at);
  if (client != 0) lua_pushvalue(L, client);
  else lua_pushnil(L);
  return lua_yield(L, 3);
}

/* Blocks until the operation on top is done. Returns a Lua status, and pushes an error if it is not
** 0. */
static int wait_here(lua_State *L, bmwi_loop *self, bmwi_op *op) {
  int nested = self->nested++, status = 0;
  bmwi_op_start(op);
  while (status == 0 && op->state != BMWI_FINISHED) {
    push_function(L, TURN);
    status = lua_pcall(L, 0, 0, 0);
  }
  self->nested = nested;
  if (nested <= MAX_NESTED) bmwi_engine_release(op->engine);
  return status;
}

/* Removes a blocking read from the table at `index`, and pushes the error that a hook has raised
** on its behalf. False if there is none. */
static bool take_raised(lua_State *L, int index, const bmwi_op *op) {
  lua_rawgetp(L, index, op);
  bool raised = lua_toboolean(L, -1);
  bmwi_clear_entry(L, index, op);
  if (!raised) lua_pop(L, 1);
  return raised;
}

int bmwi_loop_await(lua_State *L, int client) {
  bmwi_op *op = lua_touserdata(L, -1);
  int at = lua_gettop(L);
  bool reading = op->exchange == NULL || !op->exchange->command;
  if (!reading) {
    bmwi_push_unknown(L, op);
    lua_setuservalue(L, at);
  }
  if (bmwi_is_task(L)) return yield(L, client);
  bmwi_loop *self = bmwi_get_loop(L);
  if (op->account != NULL && op->account->hooks > 0)
    luaL_error(L, "a hook of a client (log, store, on_token, on_prompt) cannot wait for a call of "
                  "that client");
  luaL_checkstack(L, RESERVE_HERE, NULL);
  if (reading) { /* a hook's error must not hide the outcome of a command */
    bmwi_push_kept(L, BMWI_KEPT_RAISED);
    lua_pushboolean(L, 0);
    lua_rawsetp(L, at + 1, op);
  }
  int status = wait_here(L, self, op);
  bool unknown = status == LUA_ERRMEM && is_sent_command(op);
  /* Ctrl-C cancels the call: it must not be sent later, in addition to a repeated call. */
  if (status != 0) bmwi_op_release(op);
  bmwi_engine_arm(op->engine);
  if (reading && take_raised(L, at + 1, op)) {
    if (status != 0) lua_pop(L, 1); /* the wait's own error counts */
    else status = LUA_ERRRUN;
  }
  if (unknown) return push_kept_unknown(L, at);
  int top = lua_gettop(L);
  if (status == 0 && push_results(L, op, at)) return lua_gettop(L) - top;
  bmwi_op_release(op);
  return lua_error(L);
}

int bmwi_loop_sleep(lua_State *L) {
  double seconds = luaL_checknumber(L, 1);
  luaL_argcheck(L, seconds >= 0 && seconds <= 1e9, 1, "0 to 1e9 seconds expected");
  bmwi_op *op = bmwi_loop_op(L, BMWI_SLEEP);
  op->deadline = bmwi_now() + seconds;
  return bmwi_loop_await(L, 0);
}

static const lua_CFunction functions[FUNCTIONS] = {
  [DELIVER] = deliver,     [READ_TOKEN] = read_token,
  [ASK_STORE] = ask_store, [FINISH_STORE] = finish_store,
  [ANNOUNCE] = announce,   [CALL_LOG_HOOK] = call_log_hook,
  [RECORD] = record,       [TURN] = turn,
};

void bmwi_await_open(lua_State *L) {
  luaL_newmetatable(L, BMWI_OP);
  lua_pushcfunction(L, op_gc);
  lua_setfield(L, -2, "__gc");
#if LUA_VERSION_NUM >= 504
  lua_pushcfunction(L, op_close);
  lua_setfield(L, -2, "__close");
#endif
  lua_pop(L, 1);
  for (int i = 0; i < FUNCTIONS; i++) {
    lua_pushcfunction(L, functions[i]);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &functions[i]);
  }
}
