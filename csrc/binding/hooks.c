/*
** Hooks: the functions that a client calls in the program (store, log, on_token, on_prompt). A
** hook, or a finalizer at any allocation, may raise or close the client; op->account is NULL then.
** Callers of this file have the account pinned, so its contents stay valid. An error from a store
** or from on_prompt fails the calls that wait for a token; await.c assigns an error from the other
** hooks to the operation.
*/
#include <math.h>
#include <stdio.h>

#include "binding/bmwi.h"
#include "binding/kept.h"
#include "binding/options.h"
#include "core/clock.h"

#define MAX_ERROR (64 * 1024) /* for an error message of a store */

/* ---- calling ------------------------------------------------------------------------- */

/* lua_pcall of a hook. No call of the same client, and no task, may wait inside it. */
static int call_hook(lua_State *L, bmwi_account *account, int arguments, int results) {
  bmwi_push_kept(L, BMWI_KEPT_SELF);
  bmwi_loop *loop = lua_touserdata(L, -1);
  lua_pop(L, 1);
  account->hooks++;
  loop->hooks++;
  int status = lua_pcall(L, arguments, results, 0);
  loop->hooks--;
  account->hooks--;
  return status;
}

/* Inserts the store's method and the store below the arguments on top. */
static void push_method(lua_State *L, int store, const char *method, int arguments) {
  lua_getfield(L, store, method);
  lua_pushvalue(L, store);
  lua_insert(L, -2 - arguments);
  lua_insert(L, -2 - arguments);
}

/* Calls store:method(...) with the arguments on top, if there is a store. Its errors propagate. */
static bool call_store(lua_State *L, bmwi_account *account, int store, const char *method,
                       int arguments, int results) {
  if (!lua_istable(L, store)) {
    lua_pop(L, arguments);
    return false;
  }
  push_method(L, store, method, arguments);
  if (call_hook(L, account, arguments + 1, results) != 0) lua_error(L);
  return true;
}

/* Uses the error on top, without secrets, as the description of a failure. */
static void describe_error(lua_State *L, const bmwi_op *op, bmwi_failure *failure) {
  size_t len;
  if (!lua_isstring(L, -1) && !luaL_callmeta(L, -1, "__tostring"))
    lua_pushfstring(L, "error object is a %s value", luaL_typename(L, -1));
  const char *whole = lua_isstring(L, -1) ? lua_tolstring(L, -1, &len) : NULL;
  if (whole == NULL) return;
  if (len > MAX_ERROR) len = MAX_ERROR;
  char *text = lua_newuserdata(L, len + 1); /* redacted before it is truncated */
  memcpy(text, whole, len);
  text[len] = '\0';
  bmwi_failure_redact(op, text);
  bmwi_cut(failure->description, sizeof failure->description, text);
  bmwi_wipe(text, len);
}

/* The store's method raised the error on top, so the calls that wait for a token fail with it. If
** there are none, or memory is short, it is raised again. */
static int blame_store(lua_State *L, bmwi_op *op, const char *method, int status) {
  bmwi_session *session = op->session;
  bmwi_failure failure;
  if (status == LUA_ERRMEM || op->account == NULL || session->waiting == NULL) return lua_error(L);
  bmwi_failure_set(&failure, BMWI_STORE, "");
  snprintf(failure.text, sizeof failure.text, "the store's %s raised an error", method);
  describe_error(L, op, &failure);
  bmwi_session_fail(session, &failure);
  return 0;
}

/* Pushes the client's hook or store of this name. */
static void push_hook(lua_State *L, int client, const char *name) {
  lua_getuservalue(L, client);
  lua_getfield(L, -1, name);
  lua_remove(L, -2);
}

/* Calls store:method(...) for the calls that wait for a token. False if it raised. */
static bool ask_store(lua_State *L, bmwi_op *op, bmwi_account *account, int store,
                      const char *method, int arguments, int results) {
  push_method(L, store, method, arguments);
  int status = call_hook(L, account, arguments + 1, results);
  if (status != 0) blame_store(L, op, method, status);
  return status == 0;
}

/* Checks that the store on top of the stack has all methods. */
static void check_store(lua_State *L) {
  static const char *const methods[] = {"load", "save", "begin", "finish"};
  for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
    lua_getfield(L, -1, methods[i]);
    if (!lua_isfunction(L, -1)) luaL_error(L, "option 'store': it has no method '%s'", methods[i]);
    lua_pop(L, 1);
  }
}

/* Pushes {server, username}: whose token the store keeps. */
static void push_owner(lua_State *L, const bmwi_account *account) {
  lua_createtable(L, 0, 2);
  /* An operation loses its account only in a hook, and that is checked after each hook. */
  /* cppcheck-suppress nullPointerRedundantCheck */
  lua_pushstring(L, account->sessions[account->home].base_url);
  lua_setfield(L, -2, "server");
  /* cppcheck-suppress nullPointerRedundantCheck */
  lua_pushstring(L, account->client_id != NULL ? account->client_id : account->username);
  lua_setfield(L, -2, "username");
}

/* Raises the failure of a store (message, code, info) that is on top. */
static void raise_store_failure(lua_State *L) {
  if (lua_istable(L, -1)) lua_getfield(L, -1, "hint");
  else lua_pushnil(L);
  if (lua_isstring(L, -1))
    luaL_error(L, "option 'store': %s (%s)", lua_tostring(L, -4), lua_tostring(L, -1));
  luaL_error(L, "option 'store': %s", lua_tostring(L, -4));
}

/* Reads the options `token` (a result of an earlier client:token()) and `store`, which is asked for
** a token if there is none. */
void bmwi_hooks_load(lua_State *L, bmwi_account *account) {
  bmwi_session *session = &account->sessions[account->home];
  lua_getfield(L, 1, "store");
  session->kept = lua_istable(L, -1);
  if (session->kept) check_store(L);
  lua_getfield(L, 1, "token");
  int store = lua_gettop(L) - 1;
  bool saved = lua_isnil(L, -1);
  if (saved) {
    push_owner(L, account);
    if (call_store(L, account, store, "load", 1, 4)) {
      const char *code = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
      if (strcmp(code, "insecure") == 0 || strcmp(code, "file") == 0) raise_store_failure(L);
      lua_settop(L, store + 2);
    }
  }
  if (lua_istable(L, -1)) {
    if (bmwi_read_kept_token(L, lua_gettop(L), account, &session->token)) {
      bmwi_resources_read(L, lua_gettop(L), session);
      session->generation = 1;
    } else if (saved) {
      bmwi_token_clear(&session->token); /* a file that was damaged holds no log-in */
    } else {
      luaL_error(L, "option 'token': a table as client:token() returns it expected");
    }
  }
  lua_settop(L, store - 1);
}

/* ---- the log hook -------------------------------------------------------------------------- */

/* Does not index any table, since it is called where nothing may raise. */
bool bmwi_logs(lua_State *L, int client) {
  return ((const bmwi_account *)lua_touserdata(L, client))->logs;
}

void bmwi_call_log_hook(lua_State *L, int client, const char *event) {
  push_hook(L, client, "log");
  lua_pushstring(L, event);
  lua_pushvalue(L, -3);
  if (call_hook(L, lua_touserdata(L, client), 2, 0) != 0) lua_error(L);
}

/* ---- the recorder -------------------------------------------------------------------------- */

void bmwi_hooks_recorder(lua_State *L, int client) { push_hook(L, client, "record"); }

/* The part of a URL after the host. */
static const char *path_of(const char *url) {
  const char *host = strstr(url, "://");
  const char *path = host != NULL ? strchr(host + 3, '/') : NULL;
  return path != NULL ? path : "/";
}

/* Log-ins are not recorded. Copies everything first, since a finalizer may close the client. */
void bmwi_hooks_record(lua_State *L, bmwi_op *op, int client) {
  const bmwi_buffer *body = &op->transfer.body;
  if (op->kind != BMWI_CALL || op->transfer.result != 0 || op->url.len == 0) return;
  size_t bytes = body->len, length = op->url.len;
  char *copy = lua_newuserdata(L, bytes + length + 1);
  bmwi_account *account = op->account;
  if (account == NULL) return;
  if (bytes > 0) memcpy(copy, body->data, bytes);
  memcpy(copy + bytes, op->url.data, length);
  copy[bytes + length] = '\0';
  push_hook(L, client, "record");
  lua_createtable(L, 0, 6);
  lua_pushliteral(L, "answer");
  lua_setfield(L, -2, "kind");
  lua_pushstring(L, op->exchange->name);
  lua_setfield(L, -2, "call");
  lua_pushstring(L, op->exchange->method);
  lua_setfield(L, -2, "method");
  lua_pushstring(L, path_of(copy + bytes));
  lua_setfield(L, -2, "path");
  lua_pushinteger(L, op->transfer.status);
  lua_setfield(L, -2, "status");
  lua_pushlstring(L, copy, bytes);
  lua_setfield(L, -2, "body");
  if (call_hook(L, account, 1, 0) != 0) lua_error(L);
}

/* ---- tokens in transit ------------------------------------------------------------------- */

/* Reads the response on top of the stack. False and a failure if it is not a token. */
static bool take_token(lua_State *L, bmwi_op *op, const bmwi_account *account, bmwi_token *token,
                       bmwi_failure *failure) {
  int answer = lua_gettop(L);
  if (!lua_istable(L, answer) || !bmwi_read_token(L, answer, account, token)) {
    bmwi_failure_set(failure, BMWI_JSON, "");
    failure->status =
      op->transfer.status; /* needed to describe the error; reported only for an HTTP error */
    bmwi_failure_describe(L, op, failure);
    if (failure->oauth) {
      snprintf(failure->text, sizeof failure->text, "HTTP %ld", failure->status);
      return false;
    }
    bmwi_failure_set(failure, BMWI_JSON, "the response has no access_token");
    return false;
  }
  if (token->type == NULL) token->type = bmwi_keep_text(L, "Bearer");
  if (token->scope != NULL) bmwi_failure_redact(op, token->scope); /* it is shown to users */
  lua_getfield(L, answer, "expires_in"); /* a number, or a string with one */
  if (lua_isnumber(L, -1)) bmwi_token_fresh(token, lua_tonumber(L, -1), bmwi_wall(), bmwi_now());
  lua_pop(L, 1);
  if (op->account == NULL) return false; /* closed by a finalizer meanwhile */
  int missing = 0;
  const char *word = bmwi_oauth_missing_scope(op->account->scope, token->scope, &missing);
  if (!op->session->refreshing && word != NULL) {
    bmwi_failure_set(failure, BMWI_AUTH, "");
    if (missing > 160) missing = 160;
    snprintf(failure->text, sizeof failure->text, "the scope '%.*s' was asked for, but not granted",
             missing, word);
    bmwi_cut(failure->description, sizeof failure->description, token->scope);
    return false;
  }
  return true;
}

/* The number of this name in the table on top, or `absent`. */
static double number_of(lua_State *L, const char *name, double absent) {
  lua_getfield(L, -1, name);
  double value = lua_isnumber(L, -1) ? lua_tonumber(L, -1) : absent;
  lua_pop(L, 1);
  return value;
}

/* Whether a text of the prompt may be shown, and a link be opened: the server is not trusted. */
static bool is_prompt_text(lua_State *L, int index, bool link) {
  size_t len = 0;
  const char *text = lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, &len) : NULL;
  if (text == NULL || !bmwi_token_text(text, len)) return false;
  return !link || strncmp(text, "https://", 8) == 0 || strncmp(text, "http://", 7) == 0;
}

/* Pushes {verification_uri, verification_uri_complete, user_code, expires_in, interval} from the
** response on top. Builds the link that includes the code if the service does not send it. */
static bool push_prompt(lua_State *L, double lifetime, double interval) {
  static const char *const names[] = {"verification_uri", "user_code", "verification_uri_complete"};
  int answer = lua_gettop(L);
  lua_createtable(L, 0, 5);
  for (int i = 0; i < 3; i++) {
    lua_getfield(L, answer, names[i]);
    bool given = !lua_isnil(L, -1) && lua_type(L, -1) != LUA_TLIGHTUSERDATA;
    if ((given || i < 2) && !is_prompt_text(L, -1, i != 1)) return false;
    if (!given) {
      lua_pop(L, 1);
      lua_getfield(L, answer, names[0]);
      lua_pushliteral(L, "?user_code=");
      lua_getfield(L, answer, names[1]);
      lua_concat(L, 3);
    }
    lua_setfield(L, -2, names[i]);
  }
  bmwi_push_whole(L, lifetime);
  lua_setfield(L, -2, "expires_in");
  bmwi_push_whole(L, interval);
  lua_setfield(L, -2, "interval");
  return true;
}

/* The response holds a code that the user must confirm: calls on_prompt and starts polling. */
static void read_code(lua_State *L, bmwi_op *op, int client) {
  bmwi_session *session = op->session;
  bmwi_failure failure;
  const bmwi_buffer *body = &op->transfer.body;
  bmwi_failure_set(&failure, BMWI_JSON, "the response has no device code");
  bool object = body->len > 0 && bmwi_json_decode(L, body->data, body->len) && lua_istable(L, -1);
  if (op->account == NULL) return; /* closed by a finalizer meanwhile */
  if (!object) {
    bmwi_session_refuse(session, &failure);
    return;
  }
  double lifetime = floor(number_of(L, "expires_in", 300)), interval = number_of(L, "interval", 5);
  lua_getfield(L, -1, "device_code");
  if (op->account == NULL) return; /* closed by a finalizer meanwhile */
  const char *code = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  if (session->device.alone != NULL) { /* only asked for to see whether its scope is granted */
    if (code != NULL) failure.code = BMWI_OK;
    bmwi_session_refuse(session, &failure);
    return;
  }
  bool kept = code != NULL && bmwi_session_take_code(session, code, interval, lifetime);
  lua_pop(L, 1);
  push_hook(L, client, "on_prompt");
  lua_insert(L, -2);
  /* The times actually used: those sent may be invalid. */
  double ends = floor(session->device.ends - bmwi_now() + 0.5);
  bool shown = kept && push_prompt(L, ends, floor(session->device.interval));
  bmwi_account *account = op->account;
  if (account == NULL) return;
  if (!shown) {
    bmwi_session_refuse(session, &failure);
    return;
  }
  lua_remove(L, -2);
  bool hook = lua_isfunction(L, -2);
  if (!hook || call_hook(L, account, 1, 0) != 0) {
    const char *why = hook ? "the hook on_prompt raised an error"
                           : "the option on_prompt, which shows the code, is missing";
    bmwi_failure_set(&failure, BMWI_AUTH, why);
    failure.login = true;
    if (hook) describe_error(L, op, &failure);
    if (op->account != NULL) bmwi_session_fail(session, &failure);
    return;
  }
  if (op->account != NULL && !bmwi_session_poll(session)) {
    bmwi_failure_set(&failure, BMWI_NO_MEMORY, "not enough memory");
    bmwi_session_fail(session, &failure);
  }
}

/* Has the store save the session's token. If that fails, calls the log hook: the calls continue
** with the new token. */
static void save(lua_State *L, bmwi_op *op, bmwi_account *account, int client) {
  push_hook(L, client, "store");
  int store = lua_gettop(L);
  if (!lua_istable(L, store)) return;
  bmwi_push_token(L, account, &op->session->token);
  bmwi_resources_push(L, op->session);
  push_owner(L, account);
  if (op->account == NULL) return;
  if (!ask_store(L, op, account, store, "save", 2, 2) || lua_toboolean(L, -2)) return;
  if (op->account == NULL || !bmwi_logs(L, client)) return;
  lua_createtable(L, 0, 1);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "error");
  bmwi_call_log_hook(L, client, "store_error");
}

/* Runs in a protected call: if anything raises, the token's strings still have an owner. */
void bmwi_read_token_answer(lua_State *L, bmwi_op *op, int client) {
  bmwi_session *session = op->session;
  bmwi_account *account = op->account;
  const bmwi_buffer *body = &op->transfer.body;
  bmwi_failure failure;
  bmwi_token *token = bmwi_new_token(L);
  bool good = false;
  if (!bmwi_attempt_explain(op, &failure)) {
    bmwi_failure_describe(L, op, &failure);
  } else if (session->device.stage == BMWI_DEVICE_CODE) {
    read_code(L, op, client);
    return;
  } else if (body->len == 0) { /* from a gateway, or BMW's answer to missing Basic credentials */
    bmwi_failure_set(&failure, BMWI_JSON, "the response to the log-in is empty");
  } else if (!bmwi_json_decode(L, body->data, body->len)) {
    bmwi_failure_set(&failure, BMWI_JSON, "the response to the log-in is not JSON");
  } else {
    good = take_token(L, op, account, token, &failure);
  }
  if (op->account == NULL) return; /* closed by a finalizer meanwhile */
  if (!good) {
    bmwi_session_refuse(session, &failure);
    return;
  }
  bmwi_session_accept(session, token);
  if (session != &account->sessions[account->home]) return; /* only the home token is saved */
  session->announce = true;
  save(L, op, account, client);
}

void bmwi_hooks_finish(lua_State *L, bmwi_op *op, int client) {
  bmwi_session *session = op->session;
  bmwi_account *account = op->account;
  push_hook(L, client, "store");
  int store = lua_gettop(L);
  bmwi_auth_error_push(L, session);
  push_owner(L, account);
  if (!session->begun) return; /* closed by a finalizer, which has called finish() */
  session->begun = false;
  push_method(L, store, "finish", 2);
  int status = call_hook(L, account, 3, 0);
  session->begun = status == LUA_ERRMEM && op->account != NULL; /* finish() may not have run */
  if (status != 0) blame_store(L, op, "finish", status);
}

void bmwi_hooks_announce(lua_State *L, bmwi_op *op, int client) {
  bmwi_account *account = op->account;
  push_hook(L, client, "on_token");
  if (!lua_isfunction(L, -1)) return;
  bmwi_push_token(L, account, &op->session->token);
  if (op->account != NULL && call_hook(L, account, 1, 0) != 0) lua_error(L);
}

/* store:begin() returns a token, or the number of seconds after which to ask again, or nil to
** continue; and the auth error that store:finish() was given. Runs in a protected call. */
void bmwi_ask_store(lua_State *L, bmwi_op *op, int client) {
  bmwi_session *session = op->session;
  bmwi_account *account = op->account;
  push_hook(L, client, "store");
  int store = lua_gettop(L);
  bmwi_token *token = bmwi_new_token(L);
  push_owner(L, account);
  if (op->account == NULL) return;
  if (!ask_store(L, op, account, store, "begin", 1, 2)) return;
  int found = lua_gettop(L) - 1;
  bool later = lua_type(L, found) == LUA_TNUMBER;
  session->begun = !later;
  if (op->account == NULL) { /* it has closed the client */
    bmwi_hooks_closed(L, client, account);
  } else if (later) {
    bmwi_session_ask_later(session, lua_tonumber(L, found));
  } else if (lua_istable(L, found) && bmwi_read_kept_token(L, found, account, token) &&
             bmwi_session_take(session, token)) {
    bmwi_resources_read(L, found, session);
  } else if (!bmwi_session_stay(session) && !bmwi_session_repeat(session) &&
             !bmwi_auth_error_recall(L, session)) {
    bmwi_session_request(session);
  }
}

/* (client) -> calls finish() of its store; protected. */
static int finish_store(lua_State *L) {
  bmwi_account *account = lua_touserdata(L, 1); /* its first member */
  push_hook(L, 1, "store");
  call_store(L, account, lua_gettop(L), "finish", 0, 0);
  return 0;
}

void bmwi_hooks_closed(lua_State *L, int client, bmwi_account *account) {
  bool begun = false;
  for (int i = 0; i < account->session_count; i++) {
    begun = begun || account->sessions[i].begun;
    account->sessions[i].begun = false;
  }
  if (!begun) return;
  lua_pushvalue(L, client);
  lua_pushcfunction(L, finish_store);
  lua_insert(L, -2);
  if (lua_pcall(L, 1, 0, 0) != 0) lua_pop(L, 1);
}

/* (operation) -> saves the token again because one more resource refuses it, unless the token has
** been replaced or is being renewed. Protected. */
static int save_resources(lua_State *L) {
  const bmwi_op *op = lua_touserdata(L, 1);
  bmwi_account *account = op->account;
  const bmwi_session *session = op->session;
  bmwi_push_entry(L, BMWI_KEPT_CLIENTS, account);
  if (lua_isnil(L, -1)) return 0;
  push_hook(L, lua_gettop(L), "store");
  int store = lua_gettop(L);
  push_owner(L, account);
  call_store(L, account, store, "begin", 1, 1);
  if (lua_type(L, -1) == LUA_TNUMBER) return 0;
  bool ours = false;
  if (lua_istable(L, -1) && op->account != NULL) {
    lua_getfield(L, -1, "access_token");
    bmwi_push_token(L, account, &session->token);
    if (lua_istable(L, -1)) lua_getfield(L, -1, "access_token");
    ours = lua_rawequal(L, -1, -3);
    if (ours) {
      lua_pop(L, 1);
      bmwi_resources_push(L, session);
      push_owner(L, account);
      call_store(L, account, store, "save", 2, 0);
    }
  }
  ours = ours && op->account != NULL;
  if (ours) {
    bmwi_auth_error_push(L, session);
    push_owner(L, account);
  }
  call_store(L, account, store, "finish", ours ? 2 : 0, 0);
  return 0;
}

void bmwi_hooks_resource(lua_State *L, bmwi_op *op) {
  if (!op->newly_own) return;
  lua_pushcfunction(L, save_resources);
  lua_pushlightuserdata(L, op);
  bmwi_account *account = op->account;
  if (account == NULL || !op->session->kept) {
    lua_pop(L, 2);
    return;
  }
  account->pins++;
  int status = lua_pcall(L, 1, 0, 0);
  bmwi_account_unpin(account);
  if (status == 0) return;
  lua_pop(L, 1); /* the next process will find out by itself */
  if (op->account == NULL) return;
  lua_pushcfunction(L, finish_store);
  bmwi_push_entry(L, BMWI_KEPT_CLIENTS, op->account);
  if (lua_isnil(L, -1)) lua_pop(L, 2);
  else if (lua_pcall(L, 1, 0, 0) != 0) lua_pop(L, 1);
}

void bmwi_hooks_keep(lua_State *L, bmwi_account *account) {
  bmwi_options_keep(L, account->service); /* a table for each client */
  lua_getfield(L, -1, "log");
  account->logs = !lua_isnil(L, -1);
  lua_pop(L, 1);
  lua_pushvalue(L, 2); /* for its cars, which share the table */
  lua_rawseti(L, -2, 1);
  lua_setuservalue(L, 2);
}
