/*
** Runs the script given as the first argument in many Lua states at once, each in
** a thread of its own; the second argument is their number. For `make tsan`.
*/
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static char **arguments;

static void *run(void *failed) {
  lua_State *L = luaL_newstate();
  if (L == NULL) return failed;
  luaL_openlibs(L);
  lua_createtable(L, 0, 0);
  for (int i = 3; arguments[i] != NULL; i++) {
    lua_pushstring(L, arguments[i]);
    lua_rawseti(L, -2, i - 2);
  }
  lua_setglobal(L, "arg");
  int status = luaL_dofile(L, arguments[1]);
  if (status != 0) fprintf(stderr, "threads: %s\n", lua_tostring(L, -1));
  lua_close(L);
  return status != 0 ? failed : NULL;
}

int main(int argc, char **argv) {
  pthread_t threads[64];
  int count = argc > 2 ? atoi(argv[2]) : 0, failures = 0, started = 0;
  arguments = argv;
  if (count < 1 || count > 64) {
    fprintf(stderr, "usage: %s SCRIPT COUNT [ARGUMENT...]\n", argv[0]);
    return 2;
  }
  while (started < count && pthread_create(&threads[started], NULL, run, argv) == 0) started++;
  for (int i = 0; i < started; i++) {
    void *failed;
    pthread_join(threads[i], &failed);
    failures += failed != NULL;
  }
  printf("%d passed, %d failed\n", started - failures, failures + count - started);
  return failures == 0 && started == count ? 0 : 1;
}
