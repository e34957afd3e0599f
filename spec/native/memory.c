/*
** Fails every allocation in turn: Lua's, bmwi's own and libcurl's. The script
** given as the first argument is run for each of its operations, in a fresh
** Lua state each time: once with "load" to load what it needs, then with its
** first allocation failing, then the second, until a run completes before the
** allocation that would fail. Every run must end with a result or an error, and
** free all memory. For `make memory`.
**
** usage: memory SCRIPT ADDRESS OPERATION...
**
** bmwi's own calls of malloc, calloc and realloc are redirected here by the linker's
** --wrap; the program contains bmwi's objects instead of loading bmwi.so.
*/
#include <curl/curl.h>
#include <lauxlib.h>
#include <locale.h>
#include <lua.h>
#include <lualib.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST 300 /* allocations that are always failed one by one, whatever EVERY says */
#define LIMIT 30 /* seconds for one run, so that an endless wait is a failure */

int luaopen_bmwi(lua_State *L);
/* lua-cjson leaks these when a memory error interrupts it; for LeakSanitizer. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:strbuf_new\nleak:strbuf_init\n"; }
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
void __wrap_free(void *p);

/* The three allocators; one at a time fails. Without memory for a numeric address libcurl asks its
** resolver thread. If the engine is closed meanwhile, that thread ends by itself
** (CURLOPT_QUICK_EXIT) and frees its memory a little later, during the next runs. So its blocks are
** counted, too, but only this thread's allocations are numbered. */
enum { LUA, OWN, CURL_, ALLOCATORS };
static const char *const names[] = {"Lua", "bmwi", "libcurl"};
static struct {
  long granted;     /* allocations until the one that fails; negative: none will */
  atomic_long live; /* blocks not freed */
} allocator[ALLOCATORS];
static _Thread_local bool numbered;

/* Since 5.2 Lua collects garbage and retries, so its next allocation fails, too. */
static bool denied(int which) {
  static bool again;
  if (!numbered) return false;
  if (which == LUA && again) {
    again = false;
    return true;
  }
  bool now = allocator[which].granted >= 0 && allocator[which].granted-- == 0;
  again = now && which == LUA && LUA_VERSION_NUM >= 502;
  return now;
}

static void *counted(int which, void *p) {
  allocator[which].live += p != NULL;
  return p;
}

static void *make(int which, size_t size) {
  return denied(which) ? NULL : counted(which, __real_malloc(size));
}

static void *make_zeroed(int which, size_t count, size_t size) {
  return denied(which) ? NULL : counted(which, __real_calloc(count, size));
}

static void *change(int which, void *p, size_t size) {
  if (p == NULL) return make(which, size);
  return denied(which) ? NULL : __real_realloc(p, size);
}

static void drop(int which, void *p) {
  allocator[which].live -= p != NULL;
  __real_free(p);
}

void *__wrap_malloc(size_t size) { return make(OWN, size); }
void *__wrap_calloc(size_t count, size_t size) { return make_zeroed(OWN, count, size); }
void *__wrap_realloc(void *p, size_t size) { return change(OWN, p, size); }
void __wrap_free(void *p) { drop(OWN, p); }

static void *curl_make(size_t size) { return make(CURL_, size); }
static void *curl_zeroed(size_t count, size_t size) { return make_zeroed(CURL_, count, size); }
static void *curl_change(void *p, size_t size) { return change(CURL_, p, size); }
static void curl_drop(void *p) { drop(CURL_, p); }
static char *curl_copy(const char *text) {
  size_t size = strlen(text) + 1;
  char *copy = make(CURL_, size);
  return copy != NULL ? memcpy(copy, text, size) : NULL;
}

static void *lua_memory(void *user, void *p, size_t before, size_t size) {
  (void)user;
  (void)before;
  if (size == 0) {
    drop(LUA, p);
    return NULL;
  }
  if (p != NULL && size <= before) return __real_realloc(p, size); /* may not fail */
  return change(LUA, p, size);
}

static int prepare(lua_State *L) {
  const char **argv = lua_touserdata(L, 1);
  luaL_openlibs(L);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, luaopen_bmwi);
  lua_setfield(L, -2, "bmwi");
  lua_newtable(L);
  for (int i = 1; argv[i] != NULL; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i);
  }
  lua_setglobal(L, "arg");
  lua_settop(L, 0);
  if (luaL_loadfile(L, argv[0]) != 0) return lua_error(L);
  lua_pushvalue(L, -1);
  lua_pushliteral(L, "load");
  lua_call(L, 1, 0);
  return 1;
}

static const char *running[2]; /* the operation, and whose allocation fails */
static long running_number;

static void stuck(int number) {
  char text[200];
  int len = snprintf(text, sizeof text, "%s: %s: allocation %ld failed, and then nothing went on\n",
                     running[0], running[1], running_number);
  (void)number;
  _exit(write(STDERR_FILENO, text, (size_t)len) == len ? 1 : 2);
}

/* Runs the script {path, address, operation, whose allocation} once; true if it succeeded without
** an allocation failing. */
static bool run(const char **argv, int which, long granted) {
  lua_State *L = lua_newstate(lua_memory, NULL);
  lua_pushcfunction(L, prepare);
  lua_pushlightuserdata(L, argv);
  if (lua_pcall(L, 1, 1, 0) != 0) {
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    exit(1);
  }
  running[0] = argv[2];
  running[1] = names[which];
  running_number = granted;
  alarm(LIMIT);
  allocator[which].granted = granted;
  bool good = lua_pcall(L, 0, 1, 0) == 0 && lua_toboolean(L, -1);
  bool all = allocator[which].granted >= 0;
  allocator[which].granted = -1;
  if (uselocale((locale_t)0) != LC_GLOBAL_LOCALE) {
    fprintf(stderr, "%s: the locale was left changed\n", names[which]);
    exit(1);
  }
  if (all && !good) {
    fprintf(stderr, "failed with all memory: %s\n", lua_tostring(L, -1));
    exit(1);
  }
  lua_close(L);
  alarm(0);
  return good && all;
}

/* Whether all memory is freed, once a resolver thread has had time to end. */
static bool all_back(int which, long before) {
  for (int ms = 0; ms < LIMIT * 1000 && allocator[which].live != before; ms++) usleep(1000);
  if (allocator[which].live == before) return true;
  printf("%ld blocks of %s not given back\n", allocator[which].live - before, names[which]);
  return false;
}

/* Fails each allocation of one kind; false if memory leaked. */
static bool fail_each(const char **argv, int which) {
  long before[ALLOCATORS], runs = 0;
  long every = getenv("EVERY") != NULL ? atol(getenv("EVERY")) : 1; /* of those beyond the first */
  if (every < 1) every = 1;
  bool good = true;
  for (int i = 0; i < ALLOCATORS; i++) before[i] = allocator[i].live;
  for (long number = 0; !run(argv, which, number); number += number < FIRST ? 1 : every) runs++;
  for (int i = 0; i < ALLOCATORS; i++) good = all_back(i, before[i]) && good;
  printf("%s: %s: %ld allocations failed in turn\n", argv[2], names[which], runs);
  return good;
}

/* Keeps cjson's library in memory, so that its leaks can be recognised by name. */
static void load_cjson(void) {
  static lua_State *L; /* never closed */
  L = luaL_newstate();
  luaL_openlibs(L);
  if (luaL_loadstring(L, "require 'cjson'") != 0 || lua_pcall(L, 0, 0, 0) != 0) exit(2);
}

int main(int argc, char **argv) {
  int passed = 0, failed = 0;
  if (argc < 4) return 2;
  load_cjson();
  numbered = true;
  signal(SIGALRM, stuck);
  for (int i = 0; i < ALLOCATORS; i++) allocator[i].granted = -1;
  curl_global_init_mem(CURL_GLOBAL_DEFAULT, curl_make, curl_drop, curl_change, curl_copy,
                       curl_zeroed);
  for (int operation = 3; operation < argc; operation++) {
    const char *script[] = {argv[1], argv[2], argv[operation], names[LUA], NULL};
    run(script, LUA, 1000000000); /* makes what is made once and kept */
    for (int which = 0; which < ALLOCATORS; which++) {
      script[3] = names[which];
      if (fail_each(script, which)) passed++;
      else failed++;
    }
  }
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
