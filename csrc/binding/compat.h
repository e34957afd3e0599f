/*
** One C source for Lua 5.1, 5.2, 5.3, 5.4 and LuaJIT: the few functions of newer versions that
** older ones lack, under our own names.
*/
#ifndef BMWI_COMPAT_H
#define BMWI_COMPAT_H

#include <lauxlib.h>
#include <lua.h>
#include <string.h>

#if LUA_VERSION_NUM < 502

#define lua_absindex(L, i) ((i) > 0 || (i) <= LUA_REGISTRYINDEX ? (i) : lua_gettop(L) + (i) + 1)
#define lua_rawlen lua_objlen
#define lua_getuservalue(L, i) lua_getfenv(L, i)
#define lua_setuservalue(L, i) lua_setfenv(L, i)

#define luaL_setfuncs bmwi_setfuncs
static inline void bmwi_setfuncs(lua_State *L, const luaL_Reg *list, int upvalues) {
  for (; list->name != NULL; list++) {
    for (int i = 0; i < upvalues; i++) lua_pushvalue(L, -upvalues);
    lua_pushcclosure(L, list->func, upvalues);
    lua_setfield(L, -(upvalues + 2), list->name);
  }
  lua_pop(L, upvalues);
}

#define luaL_setmetatable bmwi_setmetatable
static inline void bmwi_setmetatable(lua_State *L, const char *name) {
  luaL_getmetatable(L, name);
  lua_setmetatable(L, -2);
}

#define luaL_testudata bmwi_testudata
static inline void *bmwi_testudata(lua_State *L, int index, const char *name) {
  void *p = lua_touserdata(L, index);
  if (p == NULL || !lua_getmetatable(L, index)) return NULL;
  luaL_getmetatable(L, name);
  if (!lua_rawequal(L, -1, -2)) p = NULL;
  lua_pop(L, 2);
  return p;
}

#define luaL_checkversion(L) ((void)(L))

#define lua_rawgetp bmwi_rawgetp
static inline void bmwi_rawgetp(lua_State *L, int index, const void *p) {
  index = lua_absindex(L, index);
  lua_pushlightuserdata(L, (void *)p);
  lua_rawget(L, index);
}

#define lua_rawsetp bmwi_rawsetp
static inline void bmwi_rawsetp(lua_State *L, int index, const void *p) {
  index = lua_absindex(L, index);
  lua_pushlightuserdata(L, (void *)p);
  lua_insert(L, -2);
  lua_rawset(L, index);
}

#endif

/* Whether a C function may yield here. Before 5.3 this cannot be known: a task that cannot yield
** there gets Lua's own error message. */
#if LUA_VERSION_NUM >= 503
#define bmwi_yieldable(L) lua_isyieldable(L)
#else
#define bmwi_yieldable(L) 1
#endif

/* Pushes an integer where Lua has integers. */
static inline void bmwi_push_whole(lua_State *L, double value) {
#if LUA_VERSION_NUM >= 503
  lua_pushinteger(L, (lua_Integer)value);
#else
  lua_pushnumber(L, value);
#endif
}

#endif
