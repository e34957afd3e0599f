/*
** The car: holds a VIN and keeps its client alive. Its methods are rows of the service, and one
** function here makes the request for all of them.
*/
#include "binding/bmwi.h"
#include "binding/schema.h"

typedef struct car {
  char vin[BMWI_VIN_LENGTH + 1];
} car;

static const car *check_car(lua_State *L) {
  for (const bmwi_service *const *p = bmwi_services; *p != NULL; p++) {
    const car *self = luaL_testudata(L, 1, (*p)->car_type);
    if (self != NULL) return self;
  }
  return luaL_checkudata(L, 1, "bmwi.vehicle"); /* raises */
}

/* Pushes the client of the car at 1, which has been checked, and returns the client's index. */
static bmwi_client *push_client(lua_State *L, int *index) {
  lua_getuservalue(L, 1);
  lua_rawgeti(L, -1, 1);
  lua_replace(L, -2);
  *index = lua_gettop(L);
  return bmwi_client_check(L, *index);
}

static bmwi_client *car_client(lua_State *L, int *index) {
  check_car(L);
  return push_client(L, index);
}

/* ---- making a request --------------------------------------------------------------------- */

/* Adds a pair to the query of a GET or the form of a POST. */
static void add_pair(lua_State *L, bmwi_op *op, const char *name, const char *value, size_t len) {
  if (strcmp(op->exchange->method, "POST") == 0) bmwi_client_form(L, op, name, value, len);
  else bmwi_client_query(L, op, name, value, len);
}

/* Adds the member on top of the stack as a pair; its schema has been checked. */
static void add_member(lua_State *L, bmwi_op *op, const bmwi_member *m, const char *name,
                       int argument) {
  size_t len;
  if (m != NULL && m->type == BMWI_DOCUMENT && lua_istable(L, -1)) bmwi_json_encode(L, -1);
  else bmwi_push_field(L, argument);
  const char *value = lua_tolstring(L, -1, &len);
  add_pair(L, op, m != NULL && m->wire != NULL ? m->wire : name, value, len);
  lua_pop(L, 1);
}

/* Adds each member of the table at `argument`. A finalizer may close the client meanwhile. */
static void add_pairs(lua_State *L, bmwi_op *op, const bmwi_method *method, int argument) {
  lua_pushnil(L);
  while (lua_next(L, argument)) {
    const char *name = bmwi_field_name(L, argument);
    if (method->typed && strcmp(name, op->service->type_field) == 0)
      luaL_argerror(L, argument, lua_pushfstring(L, "%s must be a separate argument", name));
    add_member(L, op, bmwi_schema_member(method->schema, name), name, argument);
    lua_pop(L, 1);
  }
}

/* Checks the table at `argument` and pushes its JSON. */
static void push_document(lua_State *L, const bmwi_method *method, int argument) {
  bmwi_schema_check(L, argument, method->schema, method->subject);
  lua_pushvalue(L, argument);
  if (method->root != NULL) {
    lua_createtable(L, 0, 1);
    lua_insert(L, -2);
    lua_setfield(L, -2, method->root);
  }
  bmwi_json_encode(L, -1);
  lua_remove(L, -2);
}

static bool takes_table(lua_State *L, const bmwi_method *method, int argument) {
  if (method->carrier == BMWI_CARRIED_NOT) return false;
  if (method->optional && lua_isnoneornil(L, argument)) return false;
  luaL_checktype(L, argument, LUA_TTABLE);
  return true;
}

/* car:METHOD([type][, table]) -> the answer | nil, message, code, info */
static int call_method(lua_State *L) {
  const bmwi_method *method = lua_touserdata(L, lua_upvalueindex(1));
  const char *type = method->type, *secret = NULL;
  int argument = 2, index;
  size_t len = type != NULL ? strlen(type) : 0;
  const char *vin = check_car(L)->vin;
  if (method->typed && type == NULL) {
    type = luaL_checklstring(L, argument, &len);
    luaL_argcheck(L, bmwi_is_word(type, len), argument,
                  "a service type expected: capital letters, digits and '_'");
    argument++;
  }
  if (method->kept_secret) secret = luaL_optstring(L, argument++, NULL);
  bool table = takes_table(L, method, argument);
  lua_settop(L, argument);
  if (table && method->carrier == BMWI_AS_DOCUMENT) push_document(L, method, argument);
  else if (table) bmwi_schema_check(L, argument, method->schema, method->subject);
  int document = lua_gettop(L);
  bmwi_client *client = push_client(L, &index);
  bmwi_op *op = bmwi_client_op(L, client, method->endpoint, vin);
  int at = lua_gettop(L);
  if (secret != NULL) bmwi_account_event(op->account, secret);
  if (method->position) bmwi_client_position(L, client, op);
  if (method->typed) add_pair(L, op, op->service->type_field, type, len);
  if (table && method->carrier == BMWI_AS_PAIRS) add_pairs(L, op, method, argument);
  if (table && method->carrier == BMWI_AS_DOCUMENT) {
    const char *json = lua_tolstring(L, document, &len);
    add_pair(L, op, method->field != NULL ? method->field : op->account->document_field, json, len);
  }
  lua_settop(L, at);
  return bmwi_loop_await(L, index);
}

/* ---- the object --------------------------------------------------------------------------- */

/* car:vin() -> the VIN, upper-cased */
static int car_vin(lua_State *L) {
  const car *self = check_car(L);
  lua_pushstring(L, self->vin);
  return 1;
}

static bool has_name(const char *const *names, const char *name) {
  for (; names != NULL && *names != NULL; names++)
    if (strcmp(*names, name) == 0) return true;
  return false;
}

static bool supports(const bmwi_service *service, const char *name) {
  for (const bmwi_method *m = service->methods; m->name != NULL; m++)
    if (strcmp(m->name, name) == 0) return true;
  return has_name(service->car_methods, name);
}

/* car:supports(name) -> whether this car's service has a method of this name */
static int car_supports(lua_State *L) {
  int index;
  const bmwi_client *client = car_client(L, &index);
  lua_pushboolean(L, supports(client->account.service, luaL_checkstring(L, 2)));
  return 1;
}

/* car:_client() -> its client */
static int car_owner(lua_State *L) {
  int index;
  car_client(L, &index);
  lua_pushvalue(L, index);
  return 1;
}

/* The end of a VIN is the serial number, which must not be logged. */
static int car_tostring(lua_State *L) {
  const car *self = check_car(L);
  lua_pushfstring(L, "bmwi.vehicle: %c%c%c...", self->vin[0], self->vin[1], self->vin[2]);
  return 1;
}

/* Pushes the metatable of a service's cars. */
static void push_meta(lua_State *L, const bmwi_service *service) {
  static const luaL_Reg functions[] = {{"vin", car_vin}, {"supports", car_supports}, {NULL, NULL}};
  if (!luaL_newmetatable(L, service->car_type)) return;
  lua_pushcfunction(L, car_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_newtable(L);
  luaL_setfuncs(L, functions, 0);
  for (const bmwi_method *m = service->methods; m->name != NULL; m++) {
    lua_pushlightuserdata(L, (void *)m);
    lua_pushcclosure(L, call_method, 1);
    lua_setfield(L, -2, m->name);
  }
  if (service->module != NULL) {
    lua_pushcfunction(L, car_owner);
    lua_setfield(L, -2, "_client");
    bmwi_methods_of_module(L, service, "car");
  }
  for (const bmwi_service *const *p = bmwi_services; *p != NULL; p++) {
    for (const bmwi_method *m = (*p)->methods; m->name != NULL; m++)
      bmwi_method_lacking(L, service, m->name);
    bmwi_methods_lacking(L, service, (*p)->car_methods);
  }
  lua_setfield(L, -2, "__index");
}

/* client:vehicle(vin) -> car. No I/O; raises for an invalid VIN. */
int bmwi_car_new(lua_State *L) {
  size_t len;
  const bmwi_client *client = bmwi_client_check(L, 1);
  const char *text = luaL_checklstring(L, 2, &len);
  car *self = lua_newuserdata(L, sizeof *self);
  if (!bmwi_vin(self->vin, text, len)) {
    char shown[41];
    bmwi_cut(shown, sizeof shown, text);
    bmwi_sanitize(shown);
    lua_pushfstring(L, "'%s' is not a VIN (17 characters, letters and digits)", shown);
    return luaL_argerror(L, 2, lua_tostring(L, -1));
  }
  push_meta(L, client->account.service);
  lua_setmetatable(L, -2);
  lua_getuservalue(L, 1); /* which holds the client */
  lua_setuservalue(L, -2);
  return 1;
}
