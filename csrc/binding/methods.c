/*
** Methods: what a service's method table contains besides the functions in C: those of its Lua
** module, and one that fails as unsupported for each method that only another service has.
*/
#include "binding/bmwi.h"

/* A method that its service lacks: nil, message, "unsupported", info */
static int lacking(lua_State *L) {
  bmwi_failure failure;
  const bmwi_service *service = lua_touserdata(L, lua_upvalueindex(1));
  bmwi_failure_set(&failure, BMWI_UNSUPPORTED, service->lacks);
  return bmwi_fail(L, lua_tostring(L, lua_upvalueindex(2)), &failure, service);
}

void bmwi_method_lacking(lua_State *L, const bmwi_service *service, const char *name) {
  lua_getfield(L, -1, name);
  bool there = !lua_isnil(L, -1);
  lua_pop(L, 1);
  if (there) return;
  lua_pushlightuserdata(L, (void *)service);
  lua_pushstring(L, name);
  lua_pushcclosure(L, lacking, 2);
  lua_setfield(L, -2, name);
}

void bmwi_methods_lacking(lua_State *L, const bmwi_service *service, const char *const *names) {
  for (; names != NULL && *names != NULL; names++) bmwi_method_lacking(L, service, *names);
}

void bmwi_methods_of_module(lua_State *L, const bmwi_service *service, const char *kind) {
  int methods = lua_gettop(L);
  if (service->module == NULL) return;
  lua_getglobal(L, "require");
  lua_pushstring(L, service->module);
  lua_call(L, 1, 1);
  lua_getfield(L, -1, kind);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, methods);
  }
  lua_settop(L, methods);
}
