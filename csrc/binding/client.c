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
#define CLOSED "attempt to use a closed client"
#define MAX_TOKEN (16 * 1024) /* of a text in it */
/* Which session serves a car. */
typedef struct bmwi_route {
  char vin[BMWI_VIN_LENGTH + 1];
  int session;
} bmwi_route;

struct bmwi_client {
  bmwi_account account; /* first: found by its address */
};

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
    bmwi_hooks_resource(L, op);
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
  if (client->account.closed) luaL_error(L, CLOSED);
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
  if (account->closed) luaL_error(L, CLOSED); /* by a finalizer, just now */
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

/* ---- methods ------------------------------------------------------------------------------- */

/* client:login() -> true | nil, message, code, info. Sees to a good token: sends
** a log-in or a renewal only if there is none. */
static int client_login(lua_State *L) {
  bmwi_client *client = bmwi_client_check(L, 1);
  bmwi_op *op = bmwi_loop_op(L, BMWI_LOGIN);
  bmwi_client_check(L, 1); /* a finalizer may have closed it just now */
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
  bmwi_push_token(L, &client->account.sessions[client->account.home].token);
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
  bmwi_client_end(client);
  bmwi_engine *engine = client->account.engine; /* NULL where bmwi.new broke off */
  if (engine != NULL && bmwi_engine_mine(engine)) bmwi_engine_arm(engine); /* its calls come back now */
  bmwi_hooks_closed(L, 1, &client->account);
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
  bmwi_hooks_load(L, account);
  bmwi_options_check_login(L, account);
  lua_settop(L, 2);
  bmwi_hooks_keep(L, account);
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
  bmwi_hooks_open(L);
  luaL_newmetatable(L, CLIENT);
  luaL_setfuncs(L, client_meta, 0);
  lua_newtable(L);
  luaL_setfuncs(L, client_methods, 0);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
