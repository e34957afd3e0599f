/*
** cjson.decode in an embedded Lua, for the C programs that do not throw the answers away.
*/
#ifndef BENCH_DECODE_H
#define BENCH_DECODE_H

#include <lauxlib.h>
#include <lualib.h>

#include "request.h"

static lua_State *L; /* NULL: only fetch */

static inline void open_lua(void) {
  L = luaL_newstate();
  check(L != NULL, "no memory");
  luaL_openlibs(L);
  check(luaL_dostring(L, "return require('cjson').decode") == 0, "no cjson");
  lua_settop(L, 1);
}

static inline void decode(const body *b) {
  if (L == NULL) return;
  lua_pushvalue(L, 1);
  lua_pushlstring(L, b->data, b->len);
  check(lua_pcall(L, 1, 1, 0) == 0 && lua_istable(L, -1), "cjson.decode failed");
  lua_settop(L, 1);
}

static inline void tidy(void) {
  if (L != NULL) lua_gc(L, LUA_GCCOLLECT, 0);
}

#endif
