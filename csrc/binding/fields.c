/*
** Tables of names and values that become a query or a form. Defines which names and values are
** valid.
*/
#include <math.h>

#include "binding/bmwi.h"

const char *bmwi_field_name(lua_State *L, int argument) {
  size_t len;
  luaL_argcheck(L, lua_type(L, -2) == LUA_TSTRING, argument, "names must be strings");
  const char *name = lua_tolstring(L, -2, &len);
  luaL_argcheck(L, strlen(name) == len, argument, "a name must not contain a zero byte");
  return name;
}

void bmwi_push_field(lua_State *L, int argument) {
  int type = lua_type(L, -1);
  luaL_argcheck(L, type == LUA_TSTRING || type == LUA_TNUMBER || type == LUA_TBOOLEAN, argument,
                "values must be strings, numbers or booleans");
  luaL_argcheck(L, type != LUA_TNUMBER || isfinite(lua_tonumber(L, -1)), argument,
                "a number that is not finite cannot be sent");
  if (type == LUA_TBOOLEAN) lua_pushstring(L, lua_toboolean(L, -1) ? "true" : "false");
  else if (type == LUA_TNUMBER) bmwi_push_decimal(L, lua_gettop(L));
  else lua_pushvalue(L, -1);
}

/* Adds the value on top of the stack under this name. */
static void add_value(lua_State *L, bmwi_op *op, int argument, const char *name,
                      bmwi_add_field *add) {
  size_t len;
  bmwi_push_field(L, argument);
  const char *value = lua_tolstring(L, -1, &len);
  add(L, op, name, value, len);
}

/* The length of the array on top of the stack. */
static int list_length(lua_State *L, int argument) {
  int length = (int)lua_rawlen(L, -1), members = 0;
  bmwi_check_plain(L, -1);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) members++;
  luaL_argcheck(L, length > 0 && members == length, argument,
                "a table as a value must be an array");
  return length;
}

void bmwi_add_fields(lua_State *L, bmwi_op *op, int argument, bmwi_add_field *add) {
  if (lua_isnoneornil(L, argument)) return;
  luaL_checktype(L, argument, LUA_TTABLE);
  bmwi_check_plain(L, argument);
  for (lua_pushnil(L); lua_next(L, argument); lua_pop(L, 1)) bmwi_field_name(L, argument);
  int count, top = lua_gettop(L);
  const bmwi_name *names = bmwi_push_names(L, argument, &count);
  for (int i = 0; i < count; i++) {
    lua_getfield(L, argument, names[i].text);
    int value = lua_gettop(L);
    bool list = lua_istable(L, value);
    int values = list ? list_length(L, argument) : 1;
    for (int k = 1; k <= values; k++) {
      if (list) lua_rawgeti(L, value, k);
      add_value(L, op, argument, names[i].text, add);
      lua_settop(L, value);
    }
    lua_settop(L, value - 1);
  }
  lua_settop(L, top);
}
