/*
** A plain program on libmosquitto's own loop: counts the messages that come, and with `decode`
** gives each to cjson.decode in an embedded Lua.
** usage: mosquitto PORT CA-FILE TOPIC count|decode      a worker: waits for N messages
*/
#include <lauxlib.h>
#include <lualib.h>
#include <mosquitto.h>

#include "worker.h"

static struct mosquitto *client;
static long received, subscribed;
static lua_State *L; /* NULL: only count */

static void on_message(struct mosquitto *m, void *user, const struct mosquitto_message *message) {
  (void)m;
  (void)user;
  received++;
  if (L == NULL) return;
  lua_pushvalue(L, 1);
  lua_pushlstring(L, message->payload, (size_t)message->payloadlen);
  check(lua_pcall(L, 1, 1, 0) == 0 && lua_istable(L, -1), "cjson.decode failed");
  lua_settop(L, 1);
}

static void on_subscribe(struct mosquitto *m, void *user, int id, int count, const int *granted) {
  (void)m;
  (void)user;
  (void)id;
  check(count == 1 && granted[0] < 3, "the subscription was refused");
  subscribed = 1;
}

static void step(void) {
  check(mosquitto_loop(client, 1000, 1) == MOSQ_ERR_SUCCESS, "the connection to the broker is lost");
}

static void run(long n) {
  received = 0;
  while (received < n) step();
}

static void tidy(void) {
  if (L != NULL) lua_gc(L, LUA_GCCOLLECT, 0);
}

static void make_decoder(void) {
  L = luaL_newstate();
  check(L != NULL, "no memory");
  luaL_openlibs(L);
  check(luaL_dostring(L, "return require('cjson').decode") == 0, "no cjson");
  lua_settop(L, 1);
}

int main(int argc, char **argv) {
  check(argc == 5, "usage: mosquitto PORT CA-FILE TOPIC count|decode");
  if (strcmp(argv[4], "decode") == 0) make_decoder();
  mosquitto_lib_init();
  client = mosquitto_new(argv[4], true, NULL);
  check(client != NULL, "no memory");
  check(mosquitto_tls_set(client, argv[2], NULL, NULL, NULL, NULL) == MOSQ_ERR_SUCCESS, "no TLS");
  mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
  mosquitto_message_callback_set(client, on_message);
  mosquitto_subscribe_callback_set(client, on_subscribe);
  check(mosquitto_connect(client, "127.0.0.1", atoi(argv[1]), 30) == MOSQ_ERR_SUCCESS,
        "no connection to the broker");
  check(mosquitto_subscribe(client, NULL, argv[3], 0) == MOSQ_ERR_SUCCESS, "no subscription");
  while (!subscribed) step();
  work(RUSAGE_SELF, run, tidy);
  return 0;
}
