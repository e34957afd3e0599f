/*
** Looks for secrets in freed memory. The script given as the first argument runs
** once and returns a table of secrets; every block freed meanwhile was copied at
** that moment, and the copies are searched at the end. bmwi's own blocks and its
** userdata must be clean. bmwi cannot wipe Lua's strings and libcurl's blocks: how
** many held a secret is only reported.
** For `make memory`.
*/
#include <curl/curl.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int luaopen_bmwi(lua_State *L);
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void __real_free(void *p);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
void __wrap_free(void *p);

enum { OWN, USERDATA, STRINGS, CURL_, OWNERS };
static const char *const names[] = {"bmwi", "bmwi's userdata", "Lua's own", "libcurl"};

/* The copies: length, bytes, length, bytes, ... */
static struct {
  char *bytes;
  size_t len, cap;
} freed[OWNERS];

static void copy_block(int owner, const void *p, size_t size) {
  if (size == 0) return;
  if (freed[owner].len + size + sizeof size > freed[owner].cap) {
    freed[owner].cap = (freed[owner].cap + size + sizeof size) * 2;
    freed[owner].bytes = __real_realloc(freed[owner].bytes, freed[owner].cap);
    if (freed[owner].bytes == NULL) abort();
  }
  char *to = freed[owner].bytes + freed[owner].len;
  memcpy(to, &size, sizeof size);
  memcpy(to + sizeof size, p, size);
  freed[owner].len += sizeof size + size;
}

/* Each block of bmwi and libcurl begins with its size. */
#define HEAD 16

/* Always zeroed, so that old contents are not attributed to the new owner. */
static void *make(size_t size) {
  char *p = __real_calloc(1, size + HEAD);
  if (p == NULL) return NULL;
  memcpy(p, &size, sizeof size);
  return p + HEAD;
}

static void drop(int owner, void *p) {
  size_t size;
  if (p == NULL) return;
  memcpy(&size, (char *)p - HEAD, sizeof size);
  copy_block(owner, p, size);
  __real_free((char *)p - HEAD);
}

/* Always moves the block, so that the old one is freed and searched. */
static void *change(int owner, void *p, size_t size) {
  size_t before;
  void *new = make(size);
  if (new == NULL || p == NULL) return new;
  memcpy(&before, (char *)p - HEAD, sizeof before);
  memcpy(new, p, before < size ? before : size);
  drop(owner, p);
  return new;
}

void *__wrap_malloc(size_t size) { return make(size); }
void *__wrap_calloc(size_t count, size_t size) { return make(count * size); }
void *__wrap_realloc(void *p, size_t size) { return change(OWN, p, size); }
void __wrap_free(void *p) { drop(OWN, p); }

static void *curl_make(size_t size) { return make(size); }
static void *curl_zeroed(size_t count, size_t size) { return make(count * size); }
static void *curl_change(void *p, size_t size) { return change(CURL_, p, size); }
static void curl_drop(void *p) { drop(CURL_, p); }
static char *curl_copy(const char *text) {
  size_t size = strlen(text) + 1;
  char *copy = make(size);
  return copy != NULL ? memcpy(copy, text, size) : NULL;
}

/* Lua says what a new block is for; that is stored in front of it. */
static void *lua_memory(void *user, void *p, size_t before, size_t size) {
  size_t kind = p == NULL && before == LUA_TUSERDATA ? USERDATA : STRINGS;
  char *new = NULL;
  (void)user;
  if (p != NULL) memcpy(&kind, (char *)p - HEAD, sizeof kind);
  if (size > 0) {
    new = __real_malloc(size + HEAD);
    if (new == NULL) return NULL;
    memcpy(new, &kind, sizeof kind);
    new += HEAD;
    if (p != NULL) memcpy(new, p, before < size ? before : size);
  }
  if (p != NULL) {
    copy_block((int)kind, p, before);
    __real_free((char *)p - HEAD);
  }
  return new;
}

static bool holds(const char *block, size_t len, const char *secret, size_t size) {
  for (size_t i = 0; i + size <= len; i++)
    if (block[i] == secret[0] && memcmp(block + i, secret, size) == 0) return true;
  return false;
}

static int count(int owner, const char *secret, bool show) {
  int found = 0;
  size_t len;
  for (size_t at = 0; at < freed[owner].len; at += sizeof len + len) {
    memcpy(&len, freed[owner].bytes + at, sizeof len);
    const char *block = freed[owner].bytes + at + sizeof len;
    if (!holds(block, len, secret, strlen(secret))) continue;
    if (show) printf("%s: %s in a block of %zu bytes\n", names[owner], secret, len);
    found++;
  }
  return found;
}

int main(int argc, char **argv) {
  enum { MOST = 64 };
  char *secrets[MOST];
  int secret_count = 0, bad = 0;
  if (argc < 2) return 2;
  curl_global_init_mem(CURL_GLOBAL_DEFAULT, curl_make, curl_drop, curl_change, curl_copy,
                       curl_zeroed);
  lua_State *L = lua_newstate(lua_memory, NULL);
  luaL_openlibs(L);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, luaopen_bmwi);
  lua_setfield(L, -2, "bmwi");
  lua_newtable(L);
  for (int i = 2; i < argc; i++) {
    lua_pushstring(L, argv[i]);
    lua_rawseti(L, -2, i - 1);
  }
  lua_setglobal(L, "arg");
  if (luaL_loadfile(L, argv[1]) != 0 || lua_pcall(L, 0, 1, 0) != 0 || !lua_istable(L, -1)) {
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
    return 1;
  }
  for (; secret_count < MOST; secret_count++) {
    lua_rawgeti(L, -1, secret_count + 1);
    if (lua_isnil(L, -1)) break;
    const char *text = lua_tostring(L, -1);
    secrets[secret_count] = __real_malloc(strlen(text) + 1);
    strcpy(secrets[secret_count], text);
    lua_pop(L, 1);
  }
  lua_close(L);
  for (int owner = 0; owner < OWNERS; owner++) {
    int found = 0;
    bool ours = owner == OWN || owner == USERDATA, any = freed[owner].len > 0;
#if LUA_VERSION_NUM < 502
    any = any || owner == USERDATA; /* Lua 5.1 does not say what a block is for */
#endif
    for (int i = 0; i < secret_count; i++) found += count(owner, secrets[i], ours);
    printf("%s: %zu KiB given back, %d times with a secret in it%s\n", names[owner],
           freed[owner].len / 1024, found, ours ? "" : " (not ours to wipe)");
    if (ours && (found > 0 || !any)) bad++;
  }
  /* The search itself is broken if not even Lua's strings held a secret. */
  if (secret_count < 8 || count(STRINGS, secrets[0], false) == 0) bad++;
  for (int i = 0; i < secret_count; i++) __real_free(secrets[i]);
  printf("%d passed, %d failed\n", bad > 0 ? 0 : 1, bad);
  return bad > 0;
}
