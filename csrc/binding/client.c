/*
** The client: its methods. close() wipes its secrets and cancels its calls.
*/
#include "binding/bmwi.h"
#include "binding/options.h"
#include "core/url.h"

/* client:login() -> true | nil, message, code, info. Makes sure that there is a valid token; sends
** a log-in or a renewal only if there is none. */
static int client_login(lua_State *L) {
  bmwi_client *client = bmwi_client_check(L, 1);
  bmwi_op *op = bmwi_loop_op(L, BMWI_LOGIN);
  bmwi_client_check(L, 1); /* a finalizer may have just closed it */
  bmwi_op_join(op, &client->account, &client->account.sessions[client->account.home], NULL);
  return bmwi_loop_await(L, 1);
}

/* client:vehicles() -> array of vehicle tables | nil, message, code, info */
static int client_vehicles(lua_State *L) {
  bmwi_client *client = bmwi_client_check(L, 1);
  bmwi_client_op(L, client, client->account.service->vehicles, NULL);
  return bmwi_loop_await(L, 1);
}

/* client:token() -> {access_token, refresh_token, token_type, scope, expires_at} | nil */
static int client_token(lua_State *L) {
  const bmwi_account *account = &bmwi_client_check(L, 1)->account;
  lua_settop(L, 1);
  bmwi_push_token(L, account, &account->sessions[account->home].token);
  return 1;
}

static const char *check_path(lua_State *L, int argument) {
  size_t len;
  const char *path = luaL_checklstring(L, argument, &len);
  luaL_argcheck(L, bmwi_path(path, len), argument,
                "a path such as /webapi/v1/user/vehicles expected, without a query");
  return path;
}

static int free_call(lua_State *L, const bmwi_endpoint *endpoint, bmwi_add_field *add) {
  bmwi_client *client = bmwi_client_check(L, 1);
  const char *path = check_path(L, 2);
  lua_settop(L, 3);
  bmwi_op *op = bmwi_client_op(L, client, endpoint, NULL);
  bmwi_client_path(L, op, path);
  bmwi_add_fields(L, op, 3, add);
  return bmwi_loop_await(L, 1);
}

/* client:get(path[, query]) -> decoded answer | nil, message, code, info */
static int client_get(lua_State *L) { return free_call(L, &bmwi_free_get, bmwi_client_query); }

static void add_nothing(lua_State *L, bmwi_op *op, const char *name, const char *value,
                        size_t len) {
  (void)L, (void)op, (void)name, (void)value, (void)len;
}

/* client:_check_get(path[, query]): raises what get() would. For a service that counts a call
** before it makes the request. */
static int client_check_get(lua_State *L) {
  bmwi_client_check(L, 1);
  check_path(L, 2);
  lua_settop(L, 3);
  bmwi_add_fields(L, NULL, 3, add_nothing);
  return 0;
}

/* client:post(path[, form]) -> decoded answer, or true for an empty one */
static int client_post(lua_State *L) { return free_call(L, &bmwi_free_post, bmwi_client_form); }

/* client:close(): wipes the secrets; pending calls fail with `closed` */
static int client_close(lua_State *L) {
  bmwi_client *client = bmwi_client_get(L, 1);
  if (client->account.closed) return 0;
  bmwi_account_end(&client->account);
  bmwi_engine *engine = client->account.engine; /* NULL if bmwi.new failed early */
  if (engine != NULL && bmwi_engine_mine(engine)) bmwi_engine_arm(engine); /* its calls end now */
  bmwi_hooks_closed(L, 1, &client->account);
  return 0;
}

static int client_tostring(lua_State *L) {
  const bmwi_client *client = bmwi_client_get(L, 1);
  const bmwi_account *account = &client->account;
  char text[BMWI_MAX_TEXT + 1] = "closed"; /* a copy, since pushing may run finalizers */
  if (!account->closed) bmwi_cut(text, sizeof text, account->sessions[account->home].base_url);
  lua_pushfstring(L, "bmwi.client: %s", text);
  return 1;
}

/* ---- used by the Lua module of a service ------------------------------------------------- */

/* Pushes the member of the request, the table at 3, as text; NULL if it is absent. */
static const char *push_text_of(lua_State *L, const char *name, size_t *len) {
  lua_getfield(L, 3, name);
  return lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, len) : NULL;
}

/* client:_exchange(endpoint, {vin =, id =, path =, query =, body =}) -> the response | nil,
** message, code, info. Sends one request, without retries; not counted in the quota. */
static int client_exchange(lua_State *L) {
  size_t len;
  char vin[BMWI_VIN_LENGTH + 1];
  bmwi_client *client = bmwi_client_check(L, 1);
  const char *name = luaL_checkstring(L, 2);
  const bmwi_endpoint *endpoint = bmwi_service_endpoint(client->account.service, name);
  luaL_argcheck(L, endpoint != NULL, 2, "no such endpoint");
  luaL_checktype(L, 3, LUA_TTABLE);
  lua_settop(L, 3);
  lua_getfield(L, 3, "body");
  bool has_body = !lua_isnil(L, 4);
  if (has_body) bmwi_json_encode(L, 4);
  else lua_pushnil(L);
  const char *text = push_text_of(L, "vin", &len);
  luaL_argcheck(L, text == NULL || bmwi_vin(vin, text, len), 3, "an invalid VIN");
  const char *value = text != NULL ? vin : push_text_of(L, "id", &len);
  bool needs = endpoint->path != NULL && strchr(endpoint->path, '{') != NULL;
  luaL_argcheck(L, !needs || value != NULL, 3, "neither a VIN nor an id");
  const char *path = push_text_of(L, "path", &len);
  luaL_argcheck(L, endpoint->path != NULL || (path != NULL && bmwi_path(path, len)), 3, "no path");
  lua_getfield(L, 3, "query");
  int query = lua_gettop(L);
  bmwi_op *op = bmwi_client_op(L, client, endpoint, value);
  if (endpoint->path == NULL) bmwi_client_path(L, op, path);
  bmwi_add_fields(L, op, query, bmwi_client_query);
  if (has_body) {
    const char *json = lua_tolstring(L, 5, &len);
    bmwi_client_document(L, op, json, len);
  }
  return bmwi_loop_await(L, 1);
}

/* client:_renew([access_token]) -> true | nil, message, code, info. Gets the newest token without a
** log-in by user name and password. The given access token must be replaced, unless this or another
** process has already done so. */
static int client_renew(lua_State *L) {
  size_t len;
  bmwi_client_check(L, 1);
  const char *used = luaL_optlstring(L, 2, "", &len);
  lua_settop(L, 2);
  bmwi_op *op = bmwi_loop_op(L, BMWI_RENEW);
  bmwi_account *account = &bmwi_client_check(L, 1)->account; /* see client_login */
  bmwi_op_join(op, account, &account->sessions[account->home], NULL);
  if (!bmwi_buffer_add(&op->body, used, len)) return luaL_error(L, "not enough memory");
  return bmwi_loop_await(L, 1);
}

/* client:_gate([seconds]) -> like loop:gate(), but closing the client ends it too */
static int client_gate(lua_State *L) {
  bmwi_client_check(L, 1);
  double deadline = bmwi_gate_deadline(L, 2);
  bmwi_op *op = bmwi_loop_op(L, BMWI_SLEEP);
  bmwi_account *account = &bmwi_client_check(L, 1)->account; /* see client_login */
  bmwi_op_join(op, account, &account->sessions[account->home], NULL);
  op->deadline = deadline;
  return 1;
}

/* client:_option(name) -> the option's value */
static int client_option(lua_State *L) {
  const bmwi_client *client = bmwi_client_check(L, 1);
  lua_settop(L, 2);
  lua_getuservalue(L, 1);
  return bmwi_options_get(L, &client->account, 3);
}

/* client:_closed() -> boolean. Does not raise, as the other methods of a closed client do. */
static int client_closed(lua_State *L) {
  lua_pushboolean(L, bmwi_client_get(L, 1)->account.closed);
  return 1;
}

/* client:_in_hook() -> whether one of its hooks is running, so that no call of it may wait here */
static int client_in_hook(lua_State *L) {
  lua_pushboolean(L, bmwi_client_get(L, 1)->account.hooks > 0 && !bmwi_is_task(L));
  return 1;
}

/* client:_record([fn]) -> the function that gets each response as received; a function or false
** sets it. */
static int client_record(lua_State *L) {
  bmwi_client *client = bmwi_client_check(L, 1);
  if (lua_isnoneornil(L, 2)) {
    bmwi_hooks_recorder(L, 1);
    return 1;
  }
  if (lua_toboolean(L, 2)) luaL_checktype(L, 2, LUA_TFUNCTION);
  bool records = lua_toboolean(L, 2);
  lua_settop(L, 2);
  lua_getuservalue(L, 1);
  lua_insert(L, 2);
  lua_setfield(L, 2, "record");
  client->account.records = records;
  return 0;
}

/* ---- lifetime --------------------------------------------------------------------------- */

static const luaL_Reg client_methods[] = {
  {"login", client_login}, {"vehicles", client_vehicles}, {"vehicle", bmwi_car_new},
  {"token", client_token}, {"get", client_get},           {"post", client_post},
  {"close", client_close}, {"_record", client_record},    {NULL, NULL},
};

/* For a service with its own Lua module. */
static const luaL_Reg module_methods[] = {
  {"login", client_login},
  {"vehicle", bmwi_car_new},
  {"token", client_token},
  {"close", client_close},
  {"_exchange", client_exchange},
  {"_option", client_option},
  {"_closed", client_closed},
  {"_renew", client_renew},
  {"_gate", client_gate},
  {"_record", client_record},
  {"_in_hook", client_in_hook},
  {"_check_get", client_check_get},
  {NULL, NULL},
};

static const luaL_Reg client_meta[] = {
  {"__gc", client_close},
  {"__close", client_close},
  {"__tostring", client_tostring},
  {NULL, NULL},
};

/* Pushes the metatable of a service's clients. */
static void push_meta(lua_State *L, const bmwi_service *service) {
  if (!luaL_newmetatable(L, service->client_type)) return;
  luaL_setfuncs(L, client_meta, 0);
  lua_newtable(L);
  luaL_setfuncs(L, service->module == NULL ? client_methods : module_methods, 0);
  bmwi_methods_of_module(L, service, "client");
  for (const bmwi_service *const *p = bmwi_services; *p != NULL; p++)
    bmwi_methods_lacking(L, service, (*p)->client_methods);
  lua_setfield(L, -2, "__index");
}

/* bmwi.new(options) -> client. Raises for an invalid option; no I/O. */
int bmwi_client_new(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  bmwi_engine *engine = bmwi_loop_engine(L); /* raises in a forked child */
  bmwi_client *client = lua_newuserdata(L, sizeof *client);
  memset(client, 0, sizeof *client);
  luaL_setmetatable(L, bmwi_services[0]->client_type); /* until its service is known */
  bmwi_account *account = &client->account;
  account->engine = engine;
  bmwi_options_read(L, account);
  push_meta(L, account->service);
  lua_setmetatable(L, 2);
  bmwi_hooks_load(L, account);
  bmwi_options_check_login(L, account);
  lua_settop(L, 2);
  bmwi_hooks_keep(L, account);
  bmwi_loop_adopt(L, 2, account);
  return 1;
}

void bmwi_client_open(lua_State *L) {
  push_meta(L, bmwi_services[0]);
  lua_pop(L, 1);
}
