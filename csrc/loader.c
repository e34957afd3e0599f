/*
** bmwi.so, which is not linked to libcurl: opens the module itself, bmwi/core.so beside it. Lua
** opens a C module with RTLD_NOW, which binds every function of libcurl's thirty or so libraries at
** each start; RTLD_LAZY leaves each of them until it is called. A program that contains the module
** calls the core's luaopen_bmwi itself and does without this file.
*/
#define _GNU_SOURCE /* dladdr */
#include <dlfcn.h>
#include <lauxlib.h>
#include <lua.h>
#include <stddef.h>
#include <string.h>

int luaopen_bmwi(lua_State *L);

/* Pushes this file's path and the core's: DIR/bmwi.so and DIR/bmwi/core.so. */
static int push_paths(lua_State *L) {
  static const char anchor;
  Dl_info self;
  if (dladdr(&anchor, &self) == 0 || self.dli_fname == NULL)
    return luaL_error(L, "bmwi.so does not know its own path");
  const char *path = self.dli_fname, *suffix = strrchr(path, '.');
  size_t len = suffix != NULL ? (size_t)(suffix - path) : strlen(path);
  lua_pushstring(L, path);
  lua_pushlstring(L, path, len);
  lua_pushliteral(L, "/core.so");
  lua_concat(L, 2);
  return 2;
}

/* The core is never closed: after lua_close libcurl's resolver thread may still be running in it.
** Each Lua state gets the same one. */
static lua_CFunction open_core(lua_State *L) {
  lua_CFunction open = NULL;
  int paths = push_paths(L);
  void *core = dlopen(lua_tostring(L, -1), RTLD_LAZY | RTLD_LOCAL);
  if (core != NULL) *(void **)&open = dlsym(core, "luaopen_bmwi");
  if (open == NULL) {
    const char *why = dlerror();
    luaL_error(L, "%s needs %s, which cannot be loaded: %s", lua_tostring(L, -2),
               lua_tostring(L, -1), why != NULL ? why : "no luaopen_bmwi");
  }
  lua_pop(L, paths);
  return open;
}

/* lua_call is a function in Lua 5.1 and a macro for lua_callk in later versions. Lua binds this
** file's functions at once, so that neither loads the file of the other; in the core, which may be
** bound late, a missing function would end the process. Later versions are told apart there, by
** luaL_checkversion. */
int luaopen_bmwi(lua_State *L) {
  lua_pushcfunction(L, open_core(L));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, 1);
  return 1;
}
