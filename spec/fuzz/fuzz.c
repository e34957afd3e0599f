/*
** Fuzzing: feeds bytes to everything that parses external data. One program for each
** target, built with -DTARGET=TARGET_<name> by `make fuzz`, which runs each for a
** minute; without a fuzzer's main (-DREPLAY) it replays files, for CI. The Lua side
** of the targets is in fuzz.lua.
**
** base64  decode, then encode again
** redact  a secret in a text: the first byte selects its encoding, then a line with the secret, a
**         line with the text before it, and the text after it
** answer  an answer decoded to Lua, and passed to everything that uses it; the first byte selects
**         the endpoint ('a' is the first), the second the status ('0' is 200)
** token   the answer to a log-in ('0') or a renewal ('1'), or CarData's to a renewal ('2'), the
**         request for a code ('3') or a poll ('4'), then as above
** cardata CarData's answers to one method, which the first byte selects; separated as below, each
**         begins with its status, and the last one is repeated
** mqtt    a broker's packets, one after the other; the first byte selects the protocol level ('4'
**         or '5')
** text    dates, numbers and navigation curves, in Lua
** values  CarData's values as JSON, one response or an array of them, merged into a status; the
**         first byte selects the drive train ('0' is none)
** http    complete HTTP answers, sent to libcurl over a real socket: one after the other,
**         separated by "=====" and a line feed, the last one repeated
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

#include "binding/bmwi.h"
#include "core/base64.h"
#include "core/mqtt.h"
#include "core/redact.h"

int luaopen_bmwi(lua_State *L);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fail(const char *what) {
  fprintf(stderr, "%s\n", what);
  abort();
}

#define TARGET_base64 1
#define TARGET_answer 2
#define TARGET_token 3
#define TARGET_text 4
#define TARGET_http 5
#define TARGET_values 6
#define TARGET_redact 7
#define TARGET_mqtt 8
#define TARGET_cardata 9

#if TARGET == TARGET_base64

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

#elif TARGET == TARGET_redact

/* How each byte of a secret is encoded: unchanged if it is in `plain`, else in that format. */
static const char unreserved[] =
  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
static const struct {
  const char *format, *plain;
} spellings[] = {
  {"%c", ""},        {"%%%02X", unreserved}, {"%%%02x", ""}, {"%%25%02X", unreserved},
  {"\\u00%02x", ""}, {"\\x%02x", ""},        {"&#x%x;", ""}, {"&#%d;", unreserved},
};
#define FORMATS (sizeof spellings / sizeof spellings[0])
#define SPELLINGS (FORMATS + 3 + 3) /* quoted 0 to 2 times; base64 from each place in a group */

static void quote(char *out, const char *secret, unsigned times) {
  for (; *secret != '\0'; secret++) {
    bool special = *secret == '"' || *secret == '\\';
    size_t slashes = special ? ((size_t)1 << times) - 1 : 0;
    memset(out, '\\', slashes);
    out += slashes;
    *out++ = *secret;
  }
  *out = '\0';
}

static void spell(char *out, const char *secret, size_t choice) {
  if (choice >= FORMATS + 3) {
    size_t place = choice - FORMATS - 3, len = strlen(secret);
    char plain[4096 + 2] = "xx";
    memcpy(plain + place, secret, len);
    bmwi_base64_encode(out, plain, place + len);
    out[BMWI_BASE64_ENCODED(place + len)] = '\0';
  } else if (choice >= FORMATS) {
    quote(out, secret, (unsigned)(choice - FORMATS));
  } else {
    const char *format = spellings[choice].format;
    for (; *secret != '\0'; secret++) {
      bool plain = strchr(spellings[choice].plain, *secret) != NULL;
      out += sprintf(out, plain ? "%c" : format, (unsigned char)*secret);
    }
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static char copy[4097], spelt[6 * 4096 + 1];
  if (size < 2 || size > 4096 || memchr(data, '\0', size) != NULL) return 0;
  memcpy(copy, data, size);
  copy[size] = '\0';
  char *secret = copy + 1, *before = strchr(secret, '\n');
  char *after = before != NULL ? strchr(before + 1, '\n') : NULL;
  if (after == NULL) return 0;
  *before++ = *after++ = '\0';
  size_t choice = data[0] % SPELLINGS;
  spell(spelt, secret, choice);
  size_t len = strlen(before) + strlen(spelt) + strlen(after);
  char *text = malloc(len + 1);
  sprintf(text, "%s%s%s", before, spelt, after);
  bmwi_redact(text, secret, 3);
  /* The redacted text could be a part of a secret with '*' in it; of base64, five bytes are
  ** needed for what is the same wherever it stands. */
  size_t least = choice >= FORMATS + 3 ? 5 : 3;
  if (strlen(text) > len) fail("redacted text is longer");
  if (strchr(secret, '*') == NULL && strlen(secret) >= least &&
      (strstr(text, secret) != NULL || strstr(text, spelt) != NULL))
    fail("the secret is still there");
  free(text);
  return 0;
}

#elif TARGET == TARGET_mqtt

static void check_within(bmwi_bytes bytes, const char *packet, size_t size) {
  if (bytes.len > 0 && (bytes.data < packet || bytes.len > size - (size_t)(bytes.data - packet)))
    fail("bytes beyond the packet");
}

/* A decoded message must read the same after it is encoded again. */
static void write_again(int protocol, const bmwi_mqtt_packet *packet) {
  bmwi_buffer b;
  bmwi_mqtt_packet again;
  size_t size;
  bmwi_buffer_init(&b, BMWI_MQTT_MAX_PACKET + 16, false);
  if (!bmwi_mqtt_publish(&b, protocol, packet->id, &packet->message)) fail("it is not written");
  if (bmwi_mqtt_measure(b.data, b.len, &size) != BMWI_FRAME_WHOLE || size != b.len ||
      size != bmwi_mqtt_publish_size(protocol, &packet->message))
    fail("what is written has another size");
  if (bmwi_mqtt_read(&again, protocol, b.data, size) != 0) fail("it is not read again");
  const bmwi_mqtt_message *one = &packet->message, *two = &again.message;
  if (again.id != packet->id || one->qos != two->qos || one->retain != two->retain ||
      one->topic.len != two->topic.len || one->payload.len != two->payload.len ||
      memcmp(one->topic.data, two->topic.data, one->topic.len) != 0 ||
      memcmp(one->payload.data, two->payload.data, one->payload.len) != 0)
    fail("it reads differently");
  bmwi_buffer_free(&b);
}

static void read_one(int protocol, const char *packet, size_t size) {
  bmwi_mqtt_packet p;
  if (bmwi_mqtt_read(&p, protocol, packet, size) != 0) return;
  const bmwi_bytes all[] = {p.message.topic, p.message.payload, p.codes, p.client_id,
                            p.reason_string};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) check_within(all[i], packet, size);
  if (bmwi_mqtt_reason(protocol, p.reason) == NULL) fail("a reason without words");
  if (p.type == BMWI_MQTT_PUBLISH) write_again(protocol, &p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  int protocol = (data[0] & 1) != 0 ? 5 : 4;
  for (size_t at = 1, found; at < size; at += found) {
    const char *rest = (const char *)data + at;
    if (bmwi_mqtt_measure(rest, size - at, &found) != BMWI_FRAME_WHOLE) return 0;
    if (found < 2 || found > size - at) fail("a packet beyond the bytes");
    char *copy = malloc(found); /* its exact size, for the sanitizer */
    memcpy(copy, rest, found);
    read_one(protocol, copy, found);
    free(copy);
  }
  return 0;
}

#else

#if !defined(REPLAY)
/* Coverage that libFuzzer cannot see by itself: which lines of Lua were run. */
__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t lines[1 << 15];

static void on_line(lua_State *L, lua_Debug *where) {
  lua_getinfo(L, "S", where);
  size_t line = (size_t)where->source * 31 + (size_t)where->currentline;
  lines[line % sizeof lines]++;
}
#endif

/* One Lua state for the whole run; pushes one of the functions of fuzz.lua. */
static lua_State *state(const char *url, const char *name) {
  static lua_State *L;
  if (L == NULL) {
    L = luaL_newstate();
    luaL_openlibs(L);
    lua_getglobal(L, "package");
    lua_getfield(L, -1, "preload");
    lua_pushcfunction(L, luaopen_bmwi);
    lua_setfield(L, -2, "bmwi");
    lua_settop(L, 0);
    if (luaL_loadfile(L, "spec/fuzz/fuzz.lua") != 0) fail(lua_tostring(L, -1));
    lua_pushstring(L, url);
    if (lua_pcall(L, 1, 1, 0) != 0) fail(lua_tostring(L, -1));
#if !defined(REPLAY)
    lua_sethook(L, on_line, LUA_MASKLINE, 0);
#endif
  }
  lua_settop(L, 1);
  lua_getfield(L, 1, name);
  return L;
}

static void call(lua_State *L, int arguments) {
  if (lua_pcall(L, arguments, 0, 0) != 0) fail(lua_tostring(L, -1));
}

#if TARGET == TARGET_answer || TARGET == TARGET_token || TARGET == TARGET_cardata

#define SERVER "http://127.0.0.1:9" /* never contacted: the answer is supplied */

static const long statuses[] = {200, 204, 400, 401, 403, 404, 408, 410, 429, 500, 502, 503};

static void put_in(bmwi_op *op, uint8_t status, const void *body, size_t size) {
  bmwi_buffer_clear(&op->transfer.body);
  bmwi_buffer_add(&op->transfer.body, body, size);
  op->transfer.status = statuses[status % (sizeof statuses / sizeof statuses[0])];
  op->transfer.result = 0;
}

/* (operation) -> the results that a method's caller would get */
static int deliver(lua_State *L) { return bmwi_deliver(L, lua_touserdata(L, 1)); }

/* Pushes the results that the operation's caller would get. */
static void push_results(lua_State *L, bmwi_op *op) {
  lua_pushcfunction(L, deliver);
  lua_pushlightuserdata(L, op);
  if (lua_pcall(L, 1, LUA_MULTRET, 0) != 0) fail(lua_tostring(L, -1));
}

#if TARGET == TARGET_cardata

/* (client, endpoint, status and body) -> what the endpoint would return */
static int answered(lua_State *L) {
  size_t size;
  const bmwi_endpoint *endpoint = bmwi_service_endpoint(&bmwi_cardata, luaL_checkstring(L, 2));
  const char *body = luaL_checklstring(L, 3, &size);
  bmwi_op *op = bmwi_client_op(L, bmwi_client_check(L, 1), endpoint, "WBYCARDATA0000001");
  put_in(op, (uint8_t)body[0], body + 1, size - 1);
  bmwi_failure failure;
  if (bmwi_attempt_explain(op, &failure)) bmwi_attempt_finish(op);
  else bmwi_attempt_fail_with(op, &failure);
  int top = lua_gettop(L);
  push_results(L, op);
  bmwi_op_release(op);
  return lua_gettop(L) - top;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lua_State *L = state(SERVER, "cardata");
  if (size < 2) return 0;
  lua_pushinteger(L, data[0]);
  lua_pushlstring(L, (const char *)data + 1, size - 1);
  lua_pushcfunction(L, answered);
  call(L, 3);
  return 0;
}

#else

static bmwi_client *client_of(lua_State *L, int index, const char *name) {
  lua_getfield(L, 1, name);
  lua_insert(L, index);
  return bmwi_client_check(L, index);
}

#endif

#if TARGET == TARGET_answer

/* The list of cars, or that of some method. */
static const bmwi_endpoint *some_endpoint(uint8_t choice) {
  int count = 0;
  while (bmwi_classic.methods[count].name != NULL) count++;
  int which = choice % (count + 2);
  if (which == count) return bmwi_classic.vehicles;
  return which > count ? &bmwi_free_get : bmwi_classic.methods[which].endpoint;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lua_State *L = state(SERVER, "answer");
  if (size < 2) return 0;
  bmwi_client *client = client_of(L, 2, "client");
  const bmwi_endpoint *endpoint = some_endpoint(data[0]);
  bmwi_op *op = bmwi_client_op(L, client, endpoint, "WAB1C23456V123456");
  lua_insert(L, 3);
  if (endpoint->starts_event) bmwi_client_form(L, op, bmwi_classic.type_field, "DOOR_LOCK", 9);
  put_in(op, data[1], data + 2, size - 2);
  bmwi_failure failure;
  if (bmwi_attempt_explain(op, &failure)) bmwi_attempt_finish(op);
  else bmwi_attempt_fail_with(op, &failure);
  lua_pushstring(L, op->exchange->name);
  push_results(L, op);
  call(L, lua_gettop(L) - 4);
  bmwi_op_release(op);
  return 0;
}

#elif TARGET == TARGET_token

static int read_token(lua_State *L) {
  bmwi_read_token_answer(L, lua_touserdata(L, 1), 2);
  return 0;
}

enum { LOGIN, RENEWAL, CARDATA_RENEWAL, CARDATA_CODE, CARDATA_POLL, CHOICES };

/* Puts the session in the state before the answer. */
static void begin(bmwi_session *session, int choice) {
  const bmwi_account *account = session->request.account;
  bmwi_buffer *form = &session->request.body;
  bmwi_device_login_clear(&session->device);
  bmwi_buffer_clear(form);
  session->refreshing = choice == RENEWAL || choice == CARDATA_RENEWAL;
  session->forced = choice >= CARDATA_CODE;
  if (session->forced)
    bmwi_device_login_begin(&session->device, form, account->client_id, account->scope);
  if (choice == CARDATA_POLL) bmwi_session_take_code(session, "DEVICECODE", 5, 300);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < 2) return 0;
  int choice = (uint8_t)(data[0] - '0') % CHOICES;
  bool cardata = choice >= CARDATA_RENEWAL;
  lua_State *L = state(SERVER, cardata ? "code" : "token");
  bmwi_client *client = client_of(L, 2, cardata ? "cardata_client" : "client");
  bmwi_account *account = (bmwi_account *)client;
  bmwi_session *session = &account->sessions[0];
  bmwi_op *op = &session->request;
  bmwi_token_clear(&session->token);
  session->token.access = bmwi_copy("ACCESS");
  session->token.refresh = bmwi_copy("REFRESH");
  session->auth_error.code = BMWI_OK;
  begin(session, choice);
  /* An operation that waits for it. */
  bmwi_op *login = bmwi_loop_op(L, BMWI_LOGIN);
  lua_insert(L, 3);
  bmwi_op_join(login, account, session, NULL);
  login->state = BMWI_WAITING;
  session->waiting = login;
  put_in(op, data[1], data + 2, size - 2);
  op->state = BMWI_RUNNING;
  lua_pushcfunction(L, read_token);
  lua_pushlightuserdata(L, op);
  lua_pushvalue(L, 2);
  call(L, 2);
  bmwi_session_settle(session);
  bmwi_session_go_on(session);
  if (session->waiting == NULL) {
    push_results(L, login);
    call(L, lua_gettop(L) - 4);
  } else if (session->forced
               ? op->state != BMWI_BACKOFF
               : op->state != BMWI_RUNNING || choice != RENEWAL || session->refreshing) {
    fail("somebody waits for a log-in that nobody sent");
  }
  bmwi_op_release(login);
  bmwi_engine_stop(op->engine, &op->transfer); /* the password after a refused renewal, a poll */
  op->state = BMWI_NEW;
  return 0;
}

#endif

#elif TARGET == TARGET_text || TARGET == TARGET_values

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lua_State *L = state("http://127.0.0.1:9", TARGET == TARGET_text ? "text" : "values");
  lua_pushlstring(L, (const char *)data, size);
  call(L, 1);
  return 0;
}

#elif TARGET == TARGET_http

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint8_t reply[1 << 16];
static size_t reply_size, reply_at;

/* Copies the next answer; the last one stays. */
static size_t next_answer(uint8_t *copy) {
  static const char mark[] = "=====\n";
  const size_t len = sizeof mark - 1;
  pthread_mutex_lock(&lock);
  const uint8_t *start = reply + reply_at, *end = start;
  const uint8_t *last = reply + reply_size;
  while ((size_t)(last - end) >= len && memcmp(end, mark, len) != 0) end++;
  bool parted = (size_t)(last - end) >= len;
  if (parted) reply_at = (size_t)(end - reply) + len;
  else end = last;
  memcpy(copy, start, (size_t)(end - start));
  pthread_mutex_unlock(&lock);
  return (size_t)(end - start);
}

/* Reads a request and answers with the next bytes, whatever they are. */
static void *serve(void *user) {
  int listener = *(int *)user;
  for (;;) {
    static uint8_t mine[sizeof reply];
    char request[4096];
    int s = accept(listener, NULL, NULL);
    if (s < 0) continue;
    if (recv(s, request, sizeof request, 0) > 0)
      for (size_t at = 0, size = next_answer(mine); at < size;) {
        ssize_t n = send(s, mine + at, size - at, MSG_NOSIGNAL);
        if (n <= 0) break;
        at += (size_t)n;
      }
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
  reply_at = 0;
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
  lua_State *L = state(url, "http");
  lua_pushstring(L, url);
  call(L, 1);
  return 0;
}

#endif

#endif

#if defined(REPLAY)
/* Runs the target on every file named on the command line. */
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
