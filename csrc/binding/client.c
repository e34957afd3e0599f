/*
** The client: options, methods, and what answers become in Lua. A client owns
** one account (op.h) with its secrets; close wipes them and ends its calls.
*/
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "binding/bmwi.h"
#include "binding/kept.h"
#include "binding/options.h"
#include "core/clock.h"

#define CLIENT "bmwi.client"
#define MAX_TOKEN (16 * 1024) /* of a text in it */
/* Which session serves a car. */
typedef struct bmwi_route {
  char vin[BMWI_VIN_LENGTH + 1];
  int session;
} bmwi_route;

struct bmwi_client {
  bmwi_account account; /* first: found by its address */
  bool logs;
};

static char *keep(lua_State *L, const char *text) {
  char *copy = bmwi_copy(text);
  if (copy == NULL && text != NULL) luaL_error(L, "not enough memory");
  return copy;
}

/* ---- tokens -------------------------------------------------------------------------- */

/* Takes a text member of the token table at `index`: a copy, or NULL. */
static bool token_member(lua_State *L, int index, const char *name, bool header, char **out) {
  size_t len;
  lua_getfield(L, index, name);
  bool absent = lua_isnil(L, -1);
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : NULL;
  bool good = absent || (text != NULL && strlen(text) == len && len <= MAX_TOKEN &&
                         (!header || bmwi_token_text(text, len)));
  if (good && text != NULL) *out = keep(L, text);
  lua_pop(L, 1);
  return good;
}

/* Reads the common members of a token answer and of a saved token. */
static bool read_token(lua_State *L, int index, bmwi_token *token) {
  return token_member(L, index, "access_token", true, &token->access) && token->access != NULL &&
         token_member(L, index, "refresh_token", true, &token->refresh) &&
         token_member(L, index, "token_type", true, &token->type) &&
         token_member(L, index, "scope", false, &token->scope);
}

/* Reads a saved token: the common members and expires_at. */
static bool read_kept_token(lua_State *L, int index, bmwi_token *token) {
  if (!read_token(L, index, token)) return false;
  lua_getfield(L, index, "expires_at");
  if (lua_type(L, -1) == LUA_TNUMBER) {
    double wall = bmwi_wall();
    bmwi_token_lives(token, lua_tonumber(L, -1) - wall, wall, bmwi_now());
  }
  lua_pop(L, 1);
  return true;
}

/* Calls store:method(...) with the arguments on top, if there is a store. */
static bool call_store(lua_State *L, int store, const char *method, int arguments, int results) {
  if (!lua_istable(L, store)) {
    lua_pop(L, arguments);
    return false;
  }
  lua_getfield(L, store, method);
  lua_pushvalue(L, store);
  lua_insert(L, -2 - arguments);
  lua_insert(L, -2 - arguments);
  lua_call(L, arguments + 1, results);
  return true;
}

/* Checks that the store on top of the stack has its methods. */
static void check_store(lua_State *L) {
  static const char *const methods[] = {"load", "save", "begin", "finish"};
  for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
    lua_getfield(L, -1, methods[i]);
    if (!lua_isfunction(L, -1)) luaL_error(L, "option 'store': it has no method '%s'", methods[i]);
    lua_pop(L, 1);
  }
}

/* Pushes {server, username}: for whom a store keeps a token. */
static void push_owner(lua_State *L, const bmwi_account *account) {
  lua_createtable(L, 0, 2);
  lua_pushstring(L, account->sessions[account->home].base_url);
  lua_setfield(L, -2, "server");
  lua_pushstring(L, account->username); /* nil for NULL */
  lua_setfield(L, -2, "username");
}

/* The options `token` (what client:token() gave at an earlier time) and `store`,
** which is asked for one if there is none. */
static void read_saved_token(lua_State *L, bmwi_account *account) {
  bmwi_session *session = &account->sessions[account->home];
  lua_getfield(L, 1, "store");
  session->kept = lua_istable(L, -1);
  if (session->kept) check_store(L);
  lua_getfield(L, 1, "token");
  int store = lua_gettop(L) - 1;
  if (lua_isnil(L, -1)) {
    push_owner(L, account);
    if (call_store(L, store, "load", 1, 3)) {
      const char *code = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
      bool unsafe = strcmp(code, "insecure") == 0 || strcmp(code, "file") == 0;
      if (unsafe) luaL_error(L, "option 'store': %s", lua_tostring(L, -2));
      lua_settop(L, store + 2);
    }
  }
  if (lua_istable(L, -1)) {
    if (!read_kept_token(L, lua_gettop(L), &session->token))
      luaL_error(L, "option 'token': a table as client:token() returns it expected");
    bmwi_resources_read(L, lua_gettop(L), session);
    session->generation = 1;
  }
  lua_settop(L, store - 1);
}

/* Pushes {access_token, refresh_token, token_type, scope, expires_at}, or nil. */
static void push_token(lua_State *L, const bmwi_token *token) {
  if (token->access == NULL) {
    lua_pushnil(L);
    return;
  }
  lua_createtable(L, 0, 5);
  const struct {
    const char *name, *value;
  } members[] = {{"access_token", token->access},
                 {"refresh_token", token->refresh},
                 {"token_type", token->type},
                 {"scope", token->scope}};
  for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
    if (members[i].value == NULL) continue;
    lua_pushstring(L, members[i].value);
    lua_setfield(L, -2, members[i].name);
  }
  if (token->expires) {
    bmwi_push_whole(L, (double)(long long)token->expires_wall);
    lua_setfield(L, -2, "expires_at");
  }
}

/* Reads the answer on top of the stack. False and a failure if it is no token. */
static bool take_token(lua_State *L, bmwi_op *op, bmwi_token *token, bmwi_failure *failure) {
  const char *asked = op->account->scope;
  int answer = lua_gettop(L);
  if (!lua_istable(L, answer) || !read_token(L, answer, token)) {
    bmwi_failure_set(failure, BMWI_JSON, "");
    failure->status = op->transfer.status; /* for its words; told only if they are an error's */
    bmwi_failure_describe(L, op, failure);
    if (failure->oauth) {
      snprintf(failure->text, sizeof failure->text, "HTTP %ld", failure->status);
      return false;
    }
    bmwi_failure_set(failure, BMWI_JSON, "the answer holds no access_token");
    return false;
  }
  if (token->type == NULL) token->type = keep(L, "Bearer");
  if (token->scope != NULL) bmwi_failure_hide(op, token->scope); /* it is shown to people */
  lua_getfield(L, answer, "expires_in"); /* a number, or a string with one */
  if (lua_isnumber(L, -1))
    bmwi_token_fresh(token, lua_tonumber(L, -1), bmwi_wall(), bmwi_now());
  lua_pop(L, 1);
  if (!op->session->refreshing && !bmwi_oauth_scope_granted(asked, token->scope)) {
    bmwi_failure_set(failure, BMWI_AUTH, "");
    snprintf(failure->text, sizeof failure->text,
             "not the scope '%.160s' that was asked for was granted, but another", asked);
    bmwi_cut(failure->description, sizeof failure->description, token->scope);
    return false;
  }
  return true;
}

/* Tells the log hook if the store's save, whose results are on top, has failed:
** the call goes on with its new token. */
static void tell_unsaved(lua_State *L, int client) {
  if (!lua_toboolean(L, -2) && bmwi_client_logs(L, client)) {
    lua_createtable(L, 0, 1);
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "error");
    bmwi_client_log(L, client, "unsaved");
  }
}

/* Runs in a protected call: whatever is raised, the token's texts are owned. */
void bmwi_client_token(lua_State *L, bmwi_op *op, int client) {
  bmwi_session *session = op->session;
  bmwi_account *account = op->account;
  const bmwi_buffer *body = &op->transfer.body;
  bmwi_failure failure;
  bmwi_token *token = lua_newuserdata(L, sizeof *token);
  memset(token, 0, sizeof *token);
  luaL_setmetatable(L, "bmwi.token");
  bool good = false;
  if (!bmwi_op_explain(op, &failure)) {
    bmwi_failure_describe(L, op, &failure);
  } else if (body->len == 0) { /* recorded: what the service says without a Basic value */
    bmwi_failure_set(&failure, BMWI_AUTH, "the server answered the log-in with nothing");
  } else if (!bmwi_json_decode(L, body->data, body->len)) {
    bmwi_failure_set(&failure, BMWI_JSON, "the log-in was answered with something that is not JSON");
  } else {
    good = take_token(L, op, token, &failure);
  }
  if (good) bmwi_session_accept(session, token);
  else if (bmwi_session_refuse(session, &failure)) return; /* the password is tried now */
  if (session != &account->sessions[account->home]) return; /* saved is the home server's */
  lua_getuservalue(L, client);
  lua_getfield(L, -1, "store");
  int store = lua_gettop(L);
  if (good) {
    push_token(L, &session->token);
    bmwi_resources_push(L, session);
    push_owner(L, account);
    if (call_store(L, store, "save", 2, 2)) tell_unsaved(L, client);
  }
  bmwi_refusal_push(L, session);
  push_owner(L, account);
  call_store(L, store, "finish", 2, 0);
  if (!good) return;
  lua_getfield(L, store - 1, "on_token");
  if (lua_isfunction(L, -1)) {
    push_token(L, &session->token);
    lua_call(L, 1, 0);
  }
}

/* store:begin() returns a token, or seconds after which to ask again, or nil to
** go on; and the refusal that store:finish() was told. Runs in a protected call. */
void bmwi_client_ask(lua_State *L, bmwi_op *op, int client) {
  bmwi_session *session = op->session;
  lua_getuservalue(L, client);
  lua_getfield(L, -1, "store");
  int store = lua_gettop(L);
  bmwi_token *token = lua_newuserdata(L, sizeof *token);
  memset(token, 0, sizeof *token);
  luaL_setmetatable(L, "bmwi.token");
  push_owner(L, op->account);
  call_store(L, store, "begin", 1, 2);
  int found = lua_gettop(L) - 1;
  if (lua_type(L, found) == LUA_TNUMBER) {
    bmwi_session_ask_later(session, lua_tonumber(L, found));
  } else if (lua_istable(L, found) && read_kept_token(L, found, token) &&
             bmwi_session_take(session, token)) {
    bmwi_resources_read(L, found, session);
    call_store(L, store, "finish", 0, 0);
  } else if (bmwi_refusal_recall(L, session)) {
    call_store(L, store, "finish", 0, 0);
  } else {
    bmwi_session_request(session);
    if (session->request.state == BMWI_NEW) call_store(L, store, "finish", 0, 0); /* it cannot be */
  }
}

/* (client) -> tells its store that the renewal is over; protected. */
static int finish_store(lua_State *L) {
  lua_getuservalue(L, 1);
  lua_getfield(L, -1, "store");
  call_store(L, lua_gettop(L), "finish", 0, 0);
  return 0;
}

/* (operation) -> saves the token anew, since one more resource was found to refuse it: unless
** somebody has another token by now, or renews it. Protected. */
static int save_resources(lua_State *L) {
  const bmwi_op *op = lua_touserdata(L, 1);
  bmwi_push_entry(L, BMWI_KEPT_CLIENTS, op->account);
  if (lua_isnil(L, -1)) return 0;
  lua_getuservalue(L, -1);
  lua_getfield(L, -1, "store");
  int store = lua_gettop(L);
  push_owner(L, op->account);
  call_store(L, store, "begin", 1, 1);
  if (lua_type(L, -1) == LUA_TNUMBER) return 0;
  if (lua_istable(L, -1) && op->account != NULL) {
    lua_getfield(L, -1, "access_token");
    push_token(L, &op->session->token);
    if (lua_istable(L, -1)) lua_getfield(L, -1, "access_token");
    if (lua_rawequal(L, -1, -3)) {
      lua_pop(L, 1);
      bmwi_resources_push(L, op->session);
      push_owner(L, op->account);
      call_store(L, store, "save", 2, 0);
    }
  }
  call_store(L, store, "finish", 0, 0);
  return 0;
}

static void tell_resource(lua_State *L, bmwi_op *op) {
  if (!op->newly_own || op->account == NULL || !op->session->kept) return;
  lua_pushcfunction(L, save_resources);
  lua_pushlightuserdata(L, op);
  if (lua_pcall(L, 1, 0, 0) == 0) return;
  lua_pop(L, 1); /* the next process finds out by itself, then */
  if (op->account == NULL) return;
  lua_pushcfunction(L, finish_store);
  bmwi_push_entry(L, BMWI_KEPT_CLIENTS, op->account);
  if (lua_isnil(L, -1)) lua_pop(L, 2);
  else if (lua_pcall(L, 1, 0, 0) != 0) lua_pop(L, 1);
}

static int token_gc(lua_State *L) {
  bmwi_token_clear(lua_touserdata(L, 1));
  return 0;
}

/* ---- answers ---------------------------------------------------------------------------- */

/* A failed call. A command whose fate is unknown leaves an execution without an
** eventId behind, with which bmwi.wait can go on as far as that is possible. */
static int fail_call(lua_State *L, const bmwi_op *op, const bmwi_failure *failure) {
  const char *first = "serviceType="; /* of a command's form, and it needs no escaping */
  int results = bmwi_fail(L, op->endpoint->name, failure);
  if (failure->code != BMWI_UNKNOWN || op->endpoint != &bmwi_endpoints[BMWI_EXECUTE]) return results;
  const char *service = op->form.data + strlen(first);
  lua_createtable(L, 0, 2);
  lua_pushlstring(L, service, strcspn(service, "&"));
  lua_setfield(L, -2, "serviceType");
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "lost");
  lua_setfield(L, -2, "execution");
  return results;
}

static int not_promised(lua_State *L, const bmwi_op *op, const char *text) {
  bmwi_failure failure;
  bmwi_failure_set(&failure, op->endpoint->post ? BMWI_UNKNOWN : BMWI_JSON, text);
  failure.status = op->transfer.status;
  return fail_call(L, op, &failure);
}

/* Which car belongs to which server, from the vehicle list on top of the stack. */
static void note_routes(lua_State *L, bmwi_account *account) {
  if (account->session_count == 1) return;
  size_t count = lua_rawlen(L, -1);
  bmwi_route *routes = calloc(count + 1, sizeof *routes);
  if (routes == NULL) {
    luaL_error(L, "not enough memory"); /* raises */
    return;
  }
  free(account->routes);
  account->routes = routes; /* owned before Lua is called again */
  account->route_count = 0;
  for (size_t i = 1; i <= count; i++) {
    lua_rawgeti(L, -1, (int)i);
    if (lua_istable(L, -1)) {
      size_t len = 0;
      lua_getfield(L, -1, "vin");
      lua_getfield(L, -2, account->service->region_member);
      const char *vin = lua_type(L, -2) == LUA_TSTRING ? lua_tolstring(L, -2, &len) : NULL;
      const char *mark = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
      bmwi_route *entry = &account->routes[account->route_count];
      entry->session = bmwi_service_region_of(account->service, mark);
      if (vin != NULL && entry->session >= 0 && bmwi_vin(entry->vin, vin, len))
        account->route_count++;
      lua_pop(L, 2);
    }
    lua_pop(L, 1);
  }
}

/* Keeps the id of the event on top of the stack, to know it when a server says it back. */
static void note_event(lua_State *L, bmwi_account *account) {
  lua_getfield(L, -1, "eventId");
  if (lua_type(L, -1) == LUA_TSTRING) bmwi_account_event(account, lua_tostring(L, -1));
  lua_pop(L, 1);
}

static bool starts_array(const bmwi_buffer *body) {
  return body->data[strspn(body->data, " \t\r\n\xEF\xBB\xBF")] == '[';
}

static int deliver_json(lua_State *L, bmwi_op *op) {
  const bmwi_endpoint *endpoint = op->endpoint;
  bmwi_buffer *body = &op->transfer.body;
  if (body->len == 0) {
    if (endpoint->answer != BMWI_ANSWER_ANY) return not_promised(L, op, "the answer is empty");
    lua_pushboolean(L, 1);
    return 1;
  }
  bool array = starts_array(body);
  bool decoded = bmwi_json_decode(L, body->data, body->len);
  bmwi_buffer_free(body);
  if (!decoded) return not_promised(L, op, "the answer is not JSON");
  if (endpoint->answer == BMWI_ANSWER_ANY && lua_isnil(L, -1)) lua_pop(L, 1);
  if (!lua_istable(L, -1)) return not_promised(L, op, "the answer is not an object");
  bool wants_array = endpoint->answer == BMWI_ANSWER_ARRAY;
  if (endpoint->envelope != NULL && !array) {
    lua_getfield(L, -1, endpoint->envelope);
    if (!lua_istable(L, -1)) {
      char text[96];
      snprintf(text, sizeof text, "the answer has no member '%s'", endpoint->envelope);
      return not_promised(L, op, text);
    }
    array = bmwi_is_array(L, -1) && (wants_array || lua_rawlen(L, -1) > 0);
  }
  if (endpoint->answer != BMWI_ANSWER_ANY && array != wants_array)
    return not_promised(L, op, wants_array ? "the answer is not an array"
                                           : "the answer is an array, not an object");
  if (endpoint == &bmwi_endpoints[BMWI_EXECUTE]) {
    lua_getfield(L, -1, "eventId");
    if (lua_type(L, -1) != LUA_TSTRING) return not_promised(L, op, "the answer has no eventId");
    lua_pop(L, 1);
  }
  if (endpoint == &bmwi_endpoints[BMWI_VEHICLES] && op->account != NULL)
    note_routes(L, op->account);
  bool event = endpoint == &bmwi_endpoints[BMWI_EXECUTE] || endpoint == &bmwi_endpoints[BMWI_EXECUTION];
  if (event && op->account != NULL) note_event(L, op->account);
  return 1;
}

static int deliver_protected(lua_State *L) {
  return deliver_json(L, lua_touserdata(L, 1));
}

/* A command that was answered has been sent, be there memory to read the answer or not. */
static int deliver_command(lua_State *L, bmwi_op *op) {
  int top = lua_gettop(L);
  lua_pushcfunction(L, deliver_protected);
  lua_pushlightuserdata(L, op);
  int status = lua_pcall(L, 1, LUA_MULTRET, 0);
  if (status == LUA_ERRMEM) {
    lua_settop(L, top);
    lua_gc(L, LUA_GCCOLLECT, 0);
    return not_promised(L, op, "there was not enough memory to read the answer");
  }
  return status == 0 ? lua_gettop(L) - top : lua_error(L);
}

/* Other servers than BMW's answer with a blank line or an empty object where it sends nothing. */
static bool says_nothing(const bmwi_buffer *body) {
  char left[3] = "";
  size_t n = 0;
  for (size_t i = 0; i < body->len && n < 3; i++)
    if (memchr(" \t\r\n", body->data[i], 4) == NULL) left[n++] = body->data[i];
  return n == 0 || (n == 2 && memcmp(left, "{}", 2) == 0);
}

int bmwi_client_deliver(lua_State *L, bmwi_op *op) {
  const bmwi_buffer *body = &op->transfer.body;
  if (op->failure.code == BMWI_NO_MEMORY) return luaL_error(L, "not enough memory");
  if (op->kind == BMWI_SLEEP) return 0;
  if (op->failure.code != BMWI_OK) {
    if (op->kind == BMWI_CALL && !op->failure.login) bmwi_failure_describe(L, op, &op->failure);
    tell_resource(L, op);
    return op->kind == BMWI_LOGIN ? bmwi_fail(L, "log-in", &op->failure)
                                  : fail_call(L, op, &op->failure);
  }
  if (op->kind == BMWI_CALL && op->endpoint->answer == BMWI_ANSWER_PNG) {
    if (body->len < 8 || memcmp(body->data, "\x89PNG\r\n\x1a\n", 8) != 0)
      return not_promised(L, op, "the answer is not a PNG picture");
    lua_pushlstring(L, body->data, body->len);
    return 1;
  }
  if (op->kind == BMWI_CALL && op->endpoint->answer != BMWI_ANSWER_NOTHING)
    return op->endpoint->post ? deliver_command(L, op) : deliver_json(L, op);
  if (op->kind == BMWI_CALL && !says_nothing(body))
    return not_promised(L, op, "the answer is not empty");
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- making operations ------------------------------------------------------------------- */

bmwi_client *bmwi_client_check(lua_State *L, int index) {
  bmwi_client *client = luaL_checkudata(L, index, CLIENT);
  if (client->account.closed) luaL_error(L, "attempt to use a closed client");
  return client;
}

static void need(lua_State *L, bool ok) {
  if (!ok) luaL_error(L, "the request is too large");
}

static bmwi_session *session_of(bmwi_account *account, const char *vin) {
  for (size_t i = 0; vin != NULL && i < account->route_count; i++)
    if (strcmp(account->routes[i].vin, vin) == 0)
      return &account->sessions[account->routes[i].session];
  return &account->sessions[account->home];
}

bmwi_op *bmwi_client_op(lua_State *L, bmwi_client *client, bmwi_endpoint_id id, const char *vin) {
  const bmwi_endpoint *endpoint = &bmwi_endpoints[id];
  bmwi_account *account = &client->account;
  bmwi_session *session = session_of(account, vin);
  bmwi_op *op = bmwi_loop_op(L, BMWI_CALL);
  bmwi_op_join(op, account, session, endpoint);
  const char *server =
    endpoint->host == BMWI_HOST_NAVIGATION ? account->second_url : session->base_url;
  need(L, bmwi_buffer_text(&op->url, server));
  if (endpoint->path != NULL) need(L, bmwi_endpoint_path(&op->url, endpoint, vin));
  return op;
}

void bmwi_client_query(lua_State *L, bmwi_op *op, const char *name, const char *value,
                       size_t len) {
  bool first = strchr(op->url.data, '?') == NULL;
  need(L, bmwi_buffer_add(&op->url, first ? "?" : "&", 1) &&
            bmwi_buffer_pair(&op->url, op->url.len, name, value, len, false));
}

void bmwi_client_form(lua_State *L, bmwi_op *op, const char *name, const char *value, size_t len) {
  need(L, bmwi_buffer_pair(&op->form, 0, name, value, len, true));
}

/* Decimal degrees with a point in every locale. */
static void degrees(lua_State *L, bmwi_op *op, const char *name, double value) {
  char text[BMWI_DECIMAL];
  bmwi_decimal_places(text, value, 6);
  bmwi_client_query(L, op, name, text, strlen(text));
}

void bmwi_client_position(lua_State *L, const bmwi_client *client, bmwi_op *op) {
  const bmwi_account *account = &client->account;
  if (!account->has_position) return;
  degrees(L, op, "dlat", account->lat);
  degrees(L, op, "dlon", account->lon);
}

const char *bmwi_client_document_field(const bmwi_client *client) {
  return client->account.document_field;
}

/* ---- the log hook -------------------------------------------------------------------------- */

/* Asks no table: it is called where nothing may raise. */
bool bmwi_client_logs(lua_State *L, int client) {
  return ((const bmwi_client *)lua_touserdata(L, client))->logs;
}

void bmwi_client_log(lua_State *L, int client, const char *event) {
  lua_getuservalue(L, client);
  lua_getfield(L, -1, "log");
  lua_pushstring(L, event);
  lua_pushvalue(L, -4);
  lua_call(L, 2, 0);
}

/* ---- methods ------------------------------------------------------------------------------- */

/* client:login() -> true | nil, message, code, info. Sees to a good token: sends
** a log-in or a renewal only if there is none. */
static int client_login(lua_State *L) {
  bmwi_client *client = bmwi_client_check(L, 1);
  bmwi_op *op = bmwi_loop_op(L, BMWI_LOGIN);
  bmwi_op_join(op, &client->account, &client->account.sessions[client->account.home], NULL);
  return bmwi_loop_await(L, 1);
}

/* client:vehicles() -> array of vehicle tables | nil, message, code, info */
static int client_vehicles(lua_State *L) {
  bmwi_client_op(L, bmwi_client_check(L, 1), BMWI_VEHICLES, NULL);
  return bmwi_loop_await(L, 1);
}

/* client:token() -> {access_token, refresh_token, token_type, scope, expires_at} | nil */
static int client_token(lua_State *L) {
  bmwi_client *client = bmwi_client_check(L, 1);
  push_token(L, &client->account.sessions[client->account.home].token);
  return 1;
}

static int free_call(lua_State *L, bmwi_endpoint_id id, bmwi_add_field *add) {
  size_t len;
  bmwi_client *client = bmwi_client_check(L, 1);
  const char *path = luaL_checklstring(L, 2, &len);
  luaL_argcheck(L, bmwi_path(path, len), 2,
                "a path such as /webapi/v1/user/vehicles expected; a query is an argument of its own");
  lua_settop(L, 3);
  bmwi_op *op = bmwi_client_op(L, client, id, NULL);
  need(L, bmwi_buffer_text(&op->url, path));
  bmwi_add_fields(L, op, 3, add);
  return bmwi_loop_await(L, 1);
}

/* client:get(path[, query]) -> decoded answer | nil, message, code, info */
static int client_get(lua_State *L) { return free_call(L, BMWI_GET, bmwi_client_query); }

/* client:post(path[, form]) -> decoded answer, or true for an empty one */
static int client_post(lua_State *L) { return free_call(L, BMWI_POST, bmwi_client_form); }

/* Whether a token request is under way for which the store holds its lock. */
static bool is_renewing(const bmwi_account *account) {
  for (int i = 0; i < account->session_count; i++) {
    const bmwi_session *session = &account->sessions[i];
    int state = session->request.state;
    if (session->kept && (state == BMWI_RUNNING || state == BMWI_BACKOFF)) return true;
  }
  return false;
}

void bmwi_client_end(bmwi_client *client) {
  bmwi_account *account = &client->account;
  bmwi_account_close(account);
  bmwi_options_wipe(account);
  free(account->routes);
  account->routes = NULL;
  account->route_count = 0;
}

/* client:close(): wipes the secrets; calls that are under way end with `closed` */
static int client_close(lua_State *L) {
  bmwi_client *client = luaL_checkudata(L, 1, CLIENT);
  if (client->account.closed) return 0;
  bool renewing = is_renewing(&client->account);
  bmwi_client_end(client);
  bmwi_engine *engine = client->account.engine; /* NULL where bmwi.new broke off */
  if (engine != NULL && bmwi_engine_mine(engine)) bmwi_engine_arm(engine); /* its calls come back now */
  if (renewing) { /* its store holds a lock for it, which others wait for */
    lua_pushcfunction(L, finish_store);
    lua_pushvalue(L, 1);
    if (lua_pcall(L, 1, 0, 0) != 0) lua_pop(L, 1);
  }
  return 0;
}

static int client_tostring(lua_State *L) {
  const bmwi_client *client = luaL_checkudata(L, 1, CLIENT);
  const bmwi_account *account = &client->account;
  if (account->closed) lua_pushliteral(L, CLIENT ": closed");
  else lua_pushfstring(L, CLIENT ": %s", account->sessions[account->home].base_url);
  return 1;
}

/* bmwi.new(options) -> client. Raises for a wrong option; no I/O. */
int bmwi_client_new(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  bmwi_engine *engine = bmwi_loop_engine(L); /* raises in a forked child */
  bmwi_client *client = lua_newuserdata(L, sizeof *client);
  memset(client, 0, sizeof *client);
  luaL_setmetatable(L, CLIENT);
  bmwi_account *account = &client->account;
  account->engine = engine;
  bmwi_options_read(L, &bmwi_classic, account);
  read_saved_token(L, account);
  bmwi_options_check_login(L, account);
  lua_settop(L, 2);
  lua_createtable(L, 0, 2); /* the hooks; a table of its own for each client */
  lua_getfield(L, 1, "log");
  client->logs = !lua_isnil(L, -1);
  lua_setfield(L, -2, "log");
  lua_getfield(L, 1, "on_token");
  lua_setfield(L, -2, "on_token");
  lua_getfield(L, 1, "store");
  lua_setfield(L, -2, "store");
  lua_setuservalue(L, 2);
  bmwi_loop_adopt(L, 2, account);
  return 1;
}

static const luaL_Reg client_methods[] = {
  {"login", client_login}, {"vehicles", client_vehicles}, {"vehicle", bmwi_car_new},
  {"token", client_token}, {"get", client_get},           {"post", client_post},
  {"close", client_close}, {NULL, NULL},
};

static const luaL_Reg client_meta[] = {
  {"__gc", client_close},
  {"__close", client_close},
  {"__tostring", client_tostring},
  {NULL, NULL},
};

void bmwi_client_open(lua_State *L) {
  luaL_newmetatable(L, "bmwi.token"); /* a token on its way from the answer to the session */
  lua_pushcfunction(L, token_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  luaL_newmetatable(L, CLIENT);
  luaL_setfuncs(L, client_meta, 0);
  lua_newtable(L);
  luaL_setfuncs(L, client_methods, 0);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
