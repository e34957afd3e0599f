/*
** Fuzzing: bytes from outside through everything that reads them. One program
** for each target, built with -DTARGET=<name> by `make fuzz`, which gives each
** a minute; without a fuzzer's main it replays files (-DREPLAY), for CI.
**
** base64  decode, then encode again
** answer  an answer's body as each endpoint gets it (the first byte chooses the
**         endpoint and the status), through the JSON bridge into Lua
** token   the body of a token answer or of a refused log-in
** text    dates and navigation curves, in Lua
** http    a whole HTTP answer, through libcurl and a real socket
*/
#include <arpa/inet.h>
#include <errno.h>
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../csrc/base64.h"
#include "../../csrc/bmwi.h"

int luaopen_bmwi(lua_State *L);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fail(const char *what) {
  fprintf(stderr, "%s\n", what);
  abort();
}

/* One Lua state for the whole run, with a client that is logged in at `url`. */
static lua_State *state(const char *url) {
  static lua_State *L;
  if (L != NULL) return L;
  L = luaL_newstate();
  luaL_openlibs(L);
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, luaopen_bmwi);
  lua_setfield(L, -2, "bmwi");
  lua_pushstring(L, url);
  lua_setglobal(L, "url");
  if (luaL_dostring(L,
        "bmwi = require 'bmwi'\n"
        "time, navigation = require 'bmwi.time', require 'bmwi.navigation'\n"
        "client = bmwi.new{base_url = url, username = 'u', password = 'PASSWORD',\n"
        "  api_key = 'k', api_secret = 's', retries = 0, timeout = 2,\n"
        "  max_response_bytes = 100000, token = {access_token = 'ACCESS'}}\n"
        "car = client:vehicle('WAB1C23456V123456')\n"
        "function judge(result, message, code, info)\n"
        "  if result == nil then\n"
        "    assert(type(message) == 'string' and type(code) == 'string', 'a failure is incomplete')\n"
        "    if info then assert(not message:find('ACCESS', 1, true), 'a secret in a message') end\n"
        "  end\n"
        "end\n"
        "function text(s)\n"
        "  judge(time.parse(s)) judge(time.local_clock(s)) judge(navigation.curve(s))\n"
        "end") != 0)
    fail(lua_tostring(L, -1));
  lua_settop(L, 0);
  return L;
}

static void call(lua_State *L, int arguments) {
  if (lua_pcall(L, arguments, 0, 0) != 0) fail(lua_tostring(L, -1));
  lua_settop(L, 0);
}

#define base64 1
#define answer 2
#define token 3
#define text 4
#define http 5

#if TARGET == base64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  unsigned char *bytes = malloc(BMWI_BASE64_DECODED(size) + 1);
  char *again = malloc(size + 4);
  size_t written;
  if (bmwi_base64_decode(bytes, &written, (const char *)data, size)) {
    bmwi_base64_encode(again, bytes, written);
    if (BMWI_BASE64_ENCODED(written) != size || memcmp(again, data, size) != 0)
      fail("base64 does not come back as it was");
  }
  free(bytes);
  free(again);
  return 0;
}

#elif TARGET == answer || TARGET == token

/* (operation) -> what the caller of the method would get */
static int deliver(lua_State *L) { return bmwi_client_deliver(L, lua_touserdata(L, 1)); }

static int read_token(lua_State *L) {
  bmwi_client_token(L, lua_touserdata(L, 1), 2);
  return 0;
}

static const long statuses[] = {200, 200, 200, 204, 400, 401, 403, 404, 410, 429, 500, 503};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lua_State *L = state("http://127.0.0.1:9");
  if (size == 0) return 0;
  long status = statuses[(data[0] >> 4) % (sizeof statuses / sizeof statuses[0])];
  lua_getglobal(L, "client");
  bmwi_client *client = bmwi_client_check(L, 1);
  bmwi_account *account = (bmwi_account *)client;
#if TARGET == token
  bmwi_op *op = &account->sessions[0].request;
  bmwi_buffer_clear(&op->transfer.body);
#else
  bmwi_op *op = bmwi_client_op(L, client, (bmwi_endpoint_id)((data[0] & 15) % (BMWI_POST + 1)),
                               "WAB1C23456V123456");
#endif
  bmwi_buffer_add(&op->transfer.body, data + 1, size - 1);
  op->transfer.status = status;
  op->transfer.result = CURLE_OK;
#if TARGET == token
  op->session->refreshing = (data[0] & 1) != 0;
  bmwi_drop(&account->password); /* no new request after a refused refresh */
  lua_pushcfunction(L, read_token);
  lua_pushlightuserdata(L, op);
  lua_pushvalue(L, 1);
  call(L, 2);
#else
  if (!bmwi_op_explain(op, &op->failure)) op->state = BMWI_FINISHED;
  lua_getglobal(L, "judge");
  lua_pushcfunction(L, deliver);
  lua_pushlightuserdata(L, op);
  if (lua_pcall(L, 1, LUA_MULTRET, 0) != 0) fail(lua_tostring(L, -1));
  call(L, lua_gettop(L) - 3);
  bmwi_op_release(op);
#endif
  lua_gc(L, LUA_GCSTEP, 100);
  return 0;
}

#elif TARGET == text

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lua_State *L = state("http://127.0.0.1:9");
  lua_getglobal(L, "text");
  lua_pushlstring(L, (const char *)data, size);
  call(L, 1);
  return 0;
}

#elif TARGET == http

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t reply[1 << 16];
static size_t reply_size;

/* Reads a request and answers with the bytes of the round, whatever they are. */
static void *serve(void *user) {
  int listener = *(int *)user;
  for (;;) {
    static uint8_t mine[sizeof reply];
    char request[4096];
    int s = accept(listener, NULL, NULL);
    if (s < 0) continue;
    pthread_mutex_lock(&lock);
    size_t size = reply_size;
    memcpy(mine, reply, size);
    pthread_mutex_unlock(&lock);
    if (recv(s, request, sizeof request, 0) > 0)
      for (size_t at = 0; at < size;) {
        ssize_t n = send(s, mine + at, size - at, MSG_NOSIGNAL);
        if (n <= 0) break;
        at += (size_t)n;
      }
    shutdown(s, SHUT_WR);
    while (recv(s, request, sizeof request, 0) > 0) continue;
    close(s);
  }
  return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static int listener = -1;
  static char url[64];
  if (size > sizeof reply) return 0;
  pthread_mutex_lock(&lock);
  memcpy(reply, data, size);
  reply_size = size;
  pthread_mutex_unlock(&lock);
  if (listener < 0) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    pthread_t thread;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, 64) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0 ||
        pthread_create(&thread, NULL, serve, &listener) != 0)
      fail("no server");
    snprintf(url, sizeof url, "http://127.0.0.1:%d", ntohs(address.sin_port));
  }
  lua_State *L = state(url);
  /* A fresh client each time: the answers to a log-in are drawn too. */
  if (luaL_dostring(L, "local c = bmwi.new{base_url = url, username = 'u', password = 'PASSWORD',\n"
                       "  api_key = 'k', api_secret = 's', retries = 0, timeout = 2,\n"
                       "  max_response_bytes = 100000}\n"
                       "judge(c:vehicles())\n"
                       "judge(client:vehicle('WAB1C23456V123456'):status())\n"
                       "c:close()") != 0)
    fail(lua_tostring(L, -1));
  lua_settop(L, 0);
  return 0;
}

#endif

#if defined(REPLAY)
/* Runs the target on every file that is named. */
int main(int argc, char **argv) {
  static uint8_t data[1 << 20];
  for (int i = 1; i < argc; i++) {
    FILE *file = fopen(argv[i], "rb");
    if (file == NULL) fail(argv[i]);
    size_t size = fread(data, 1, sizeof data, file);
    fclose(file);
    uint8_t *copy = malloc(size + 1); /* its exact size, for the sanitizer */
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
  }
  printf("%d files\n", argc - 1);
  return 0;
}
#endif
