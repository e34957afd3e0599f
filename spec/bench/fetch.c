/*
** A plain libcurl loop: fetches one URL again and again, and with `decode`
** gives each body to cjson.decode in an embedded Lua.
** usage: fetch URL CA-FILE fetch|decode
*/
#include <lauxlib.h>
#include <lualib.h>

#include "request.h"

static CURL *easy;
static body answer;
static lua_State *L; /* NULL: only fetch */

static void run(long n) {
  for (long i = 0; i < n; i++) {
    answer.len = 0;
    check_answer(easy, curl_easy_perform(easy));
    if (L == NULL) continue;
    lua_pushvalue(L, 1);
    lua_pushlstring(L, answer.data, answer.len);
    check(lua_pcall(L, 1, 1, 0) == 0 && lua_istable(L, -1), "cjson.decode failed");
    lua_settop(L, 1);
  }
}

static void tidy(void) {
  if (L != NULL) lua_gc(L, LUA_GCCOLLECT, 0);
}

int main(int argc, char **argv) {
  check(argc == 4, "usage: fetch URL CA-FILE fetch|decode");
  curl_global_init(CURL_GLOBAL_DEFAULT);
  easy = make(argv[1], argv[2], &answer);
  if (strcmp(argv[3], "decode") == 0) {
    L = luaL_newstate();
    check(L != NULL, "no memory");
    luaL_openlibs(L);
    check(luaL_dostring(L, "return require('cjson').decode") == 0, "no cjson");
    lua_settop(L, 1);
  }
  work(RUSAGE_SELF, run, tidy);
  return 0;
}
