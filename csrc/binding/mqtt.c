/*
** MQTT: a connection to a broker as an object, for the modules in lua/bmwi. Private.
*/
#include "binding/await.h"
#include "binding/options.h"
#include "core/clock.h"
#include "core/connection.h"
#include "core/url.h"

#define CONNECTION "bmwi.mqtt"
#define MAX_URL 600

/* ---- options of connect --------------------------------------------------------------------- */

static const struct {
  const char *name;
  int type;
} options[] = {
  {"url", LUA_TSTRING},      {"protocol", LUA_TNUMBER},        {"client_id", LUA_TSTRING},
  {"username", LUA_TSTRING}, {"password", LUA_TSTRING},        {"keepalive", LUA_TNUMBER},
  {"will", LUA_TTABLE},      {"client", LUA_TUSERDATA},        {"ca_file", LUA_TSTRING},
  {"proxy", LUA_TSTRING},    {"connect_timeout", LUA_TNUMBER},
};
#define OPTIONS (sizeof options / sizeof options[0])

static void check_names(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  bmwi_check_plain(L, 1);
  for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
    size_t i = 0;
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
    while (i < OPTIONS && strcmp(options[i].name, name) != 0) i++;
    if (i == OPTIONS) luaL_error(L, "unknown option '%s'", name);
    else if (lua_type(L, -1) != options[i].type)
      luaL_error(L, "option '%s': a %s expected, got a %s", name, lua_typename(L, options[i].type),
                 luaL_typename(L, -1));
  }
}

/* The bytes stay on the stack; empty if the option is absent. */
static bmwi_bytes bytes_option(lua_State *L, int table, const char *name) {
  bmwi_bytes text = {NULL, 0};
  lua_getfield(L, table, name);
  if (lua_isnil(L, -1)) return text;
  text.data = luaL_checklstring(L, -1, &text.len);
  if (text.len > BMWI_MQTT_MAX_TEXT)
    luaL_error(L, "option '%s': longer than %d bytes", name, BMWI_MQTT_MAX_TEXT);
  return text;
}

static bmwi_bytes text_option(lua_State *L, int table, const char *name) {
  bmwi_bytes text = bytes_option(L, table, name);
  if (!bmwi_mqtt_is_text(text)) luaL_error(L, "option '%s': UTF-8 without NUL expected", name);
  return text;
}

static double number_option(lua_State *L, int table, const char *name, double standard,
                            double least, double most) {
  lua_getfield(L, table, name);
  double value = lua_isnil(L, -1) ? standard : luaL_checknumber(L, -1);
  lua_pop(L, 1);
  if (!(value >= least && value <= most))
    luaL_error(L, "option '%s': a number from %s to %s expected", name,
               bmwi_message_number(L, least), bmwi_message_number(L, most));
  return value;
}

static int whole_option(lua_State *L, int table, const char *name, int standard, int least,
                        int most) {
  double value = number_option(L, table, name, standard, least, most);
  if (value != (int)value) luaL_error(L, "option '%s': a whole number expected", name);
  return (int)value;
}

static bool flag_option(lua_State *L, int table, const char *name) {
  lua_getfield(L, table, name);
  bool flag = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return flag;
}

static void check_topic(lua_State *L, bmwi_bytes topic, bool filter) {
  const char *fault = bmwi_mqtt_topic_fault(topic, filter);
  if (fault != NULL) luaL_error(L, "the %s is invalid: %s", filter ? "filter" : "topic", fault);
}

static void read_will(lua_State *L, bmwi_mqtt_message *will) {
  lua_getfield(L, 1, "will");
  if (lua_isnil(L, -1)) return;
  int table = lua_gettop(L);
  will->topic = text_option(L, table, "topic");
  check_topic(L, will->topic, false);
  will->payload = bytes_option(L, table, "payload");
  will->qos = whole_option(L, table, "qos", 0, 0, 1);
  will->retain = flag_option(L, table, "retain");
}

/* Its strings stay on the stack. */
static void read_login(lua_State *L, bmwi_mqtt_login *login) {
  login->protocol = whole_option(L, 1, "protocol", 5, 4, 5);
  login->keepalive = (unsigned)whole_option(L, 1, "keepalive", 30, 1, 65535);
  login->client_id = text_option(L, 1, "client_id");
  if (login->client_id.data == NULL) login->client_id.data = "";
  login->username = text_option(L, 1, "username");
  login->password = bytes_option(L, 1, "password");
  if (login->protocol == 4 && login->password.data != NULL && login->username.data == NULL)
    luaL_error(L, "option 'password': MQTT 3.1.1 does not allow it without a username");
  read_will(L, &login->will);
}

/* Pushes the client whose transport is used; otherwise nil, after reading the connection's own
** transport. */
static void read_transport(lua_State *L, bmwi_connection *c) {
  static const char *const own_only[] = {"ca_file", "proxy", "connect_timeout"};
  bmwi_transport *own = &c->own;
  lua_getfield(L, 1, "client");
  if (!lua_isnil(L, -1)) {
    for (size_t i = 0; i < sizeof own_only / sizeof own_only[0]; i++) {
      lua_getfield(L, 1, own_only[i]);
      if (!lua_isnil(L, -1))
        luaL_error(L, "options 'client' and '%s' are mutually exclusive", own_only[i]);
      lua_pop(L, 1);
    }
    c->transport = &bmwi_client_check(L, lua_gettop(L))->account.transport;
    return;
  }
  own->connect_timeout = number_option(L, 1, "connect_timeout", 10, 0.001, 86400);
  own->user_agent = bmwi_keep_text(L, "bmwi/" BMWI_VERSION);
  own->ca_file = bmwi_keep_text(L, text_option(L, 1, "ca_file").data);
  own->proxy = bmwi_keep_text(L, text_option(L, 1, "proxy").data);
  const char *fault = own->proxy != NULL ? bmwi_proxy_fault(own->proxy) : NULL;
  if (fault != NULL) luaL_error(L, "option 'proxy': %s", fault);
  if (!bmwi_transport_find_proxy(own)) luaL_error(L, "not enough memory");
  c->transport = own;
  lua_pop(L, 2);
}

/* ---- receiving ------------------------------------------------------------------------------ */

typedef struct packet_pushing {
  const char *name;
  int (*push)(lua_State *L, const bmwi_connection *c, const bmwi_mqtt_packet *packet);
} packet_pushing;

static int push_connected(lua_State *L, const bmwi_connection *c, const bmwi_mqtt_packet *packet) {
  lua_pushboolean(L, packet->session_present);
  lua_pushinteger(L, (lua_Integer)c->keepalive);
  if (packet->client_id.data != NULL)
    lua_pushlstring(L, packet->client_id.data, packet->client_id.len);
  else lua_pushnil(L);
  return 4;
}

static int push_message(lua_State *L, const bmwi_connection *c, const bmwi_mqtt_packet *packet) {
  const bmwi_mqtt_message *message = &packet->message;
  (void)c;
  lua_pushlstring(L, message->topic.data, message->topic.len);
  lua_pushlstring(L, message->payload.data, message->payload.len);
  lua_pushinteger(L, message->qos);
  lua_pushboolean(L, message->retain);
  return 5;
}

static int push_puback(lua_State *L, const bmwi_connection *c, const bmwi_mqtt_packet *packet) {
  (void)c;
  lua_pushinteger(L, (lua_Integer)packet->id);
  lua_pushinteger(L, (lua_Integer)packet->reason);
  return 3;
}

static int push_suback(lua_State *L, const bmwi_connection *c, const bmwi_mqtt_packet *packet) {
  (void)c;
  lua_pushinteger(L, (lua_Integer)packet->id);
  lua_createtable(L, (int)packet->codes.len, 0);
  for (size_t i = 0; i < packet->codes.len; i++) {
    lua_pushinteger(L, (unsigned char)packet->codes.data[i]);
    lua_rawseti(L, -2, (int)i + 1);
  }
  return 3;
}

static const packet_pushing pushings[] = {
  [BMWI_MQTT_CONNACK] = {"connected", push_connected},
  [BMWI_MQTT_PUBLISH] = {"publish", push_message},
  [BMWI_MQTT_PUBACK] = {"puback", push_puback},
  [BMWI_MQTT_SUBACK] = {"suback", push_suback},
};

/* (connection, packet) -> its results; protected: if this fails, the packet has not been
** delivered. */
static int push_packet(lua_State *L) {
  const bmwi_connection *c = lua_touserdata(L, 1);
  const bmwi_mqtt_packet *packet = lua_touserdata(L, 2);
  lua_pushstring(L, pushings[packet->type].name);
  return pushings[packet->type].push(L, c, packet);
}

static const char push_key; /* Lua 5.1 needs memory to push a function */

static int push_end(lua_State *L, const bmwi_connection *c) {
  if (c->failure.code == BMWI_NO_MEMORY) return luaL_error(L, "not enough memory");
  int results = bmwi_fail(L, "MQTT connection", &c->failure, NULL);
  lua_pushstring(L, c->failed_in);
  lua_setfield(L, -2, "phase");
  if (c->reason >= 0) {
    lua_pushinteger(L, c->reason);
    lua_setfield(L, -2, "reason");
    lua_pushstring(L, bmwi_mqtt_reason(c->protocol, (unsigned)c->reason));
    lua_setfield(L, -2, "reason_name");
  }
  if (c->eof) {
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "eof");
  }
  return results;
}

static int push_nothing(lua_State *L) {
  int results = bmwi_fail_plain(L, bmwi_code_name(BMWI_TIMEOUT), "nothing was received in time");
  lua_createtable(L, 0, 1);
  lua_pushboolean(L, 1);
  lua_setfield(L, -2, "waiting");
  return results + 1;
}

static bmwi_connection *connection_of(bmwi_feed *feed) {
  return (bmwi_connection *)((char *)feed - offsetof(bmwi_connection, feed));
}

/* A finalizer that runs meanwhile may close the connection or step the engine: what has been pushed
** stays in place. */
static int hand_out(lua_State *L, bmwi_feed *feed) {
  bmwi_connection *c = connection_of(feed);
  bmwi_mqtt_packet packet;
  luaL_checkstack(L, 8, NULL);
  if (c->pins > 0) return luaL_error(L, "attempt to receive in a finalizer during receive");
  if (!bmwi_connection_peek(c, &packet)) {
    if (c->phase == BMWI_ENDED) return push_end(L, c);
    return bmwi_connection_ready(c) ? luaL_error(L, "not enough memory") : push_nothing(L);
  }
  int top = lua_gettop(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &push_key);
  lua_pushlightuserdata(L, c);
  lua_pushlightuserdata(L, &packet);
  c->pins++;
  int status = lua_pcall(L, 2, LUA_MULTRET, 0);
  c->pins--;
  if (status != 0) return lua_error(L);
  bmwi_connection_took(c, &packet);
  bmwi_engine_arm(c->engine);
  return lua_gettop(L) - top;
}

static const bmwi_feed_face face = {hand_out};

/* ---- methods -------------------------------------------------------------------------------- */

static bmwi_connection *check(lua_State *L) {
  bmwi_connection *c = luaL_checkudata(L, 1, CONNECTION);
  bmwi_loop_engine(L); /* raises in a forked child */
  return c;
}

/* Whether the operation is still waiting: not after a yield that failed, nor once it was
** cancelled. */
static bool waits(const bmwi_op *op) {
  return op != NULL && op->state != BMWI_NEW && op->failure == NULL;
}

/* connection:receive([seconds]) -> "connected", session present, keepalive, assigned client id |
** "suback", id, {codes} | "puback", id, reason | "publish", topic, payload, qos, retain |
** nil, message, code, info */
static int receive(lua_State *L) {
  bmwi_connection *c = check(L);
  double seconds = luaL_optnumber(L, 2, -1);
  luaL_argcheck(L, lua_isnoneornil(L, 2) || (seconds >= 0 && seconds <= 1e9), 2,
                "0 to 1e9 seconds expected");
  lua_settop(L, 1);
  bmwi_connection_tend(c);
  if (bmwi_connection_ready(c)) return hand_out(L, &c->feed);
  bmwi_op *op = bmwi_loop_op(L, BMWI_RECEIVE);
  if (bmwi_connection_ready(c)) return hand_out(L, &c->feed); /* a finalizer has just closed it */
  if (waits(c->feed.waiter)) return luaL_error(L, "another call waits for this connection already");
  bmwi_feed_leave(&c->feed);
  op->deadline = seconds < 0 ? -1 : bmwi_now() + seconds;
  bmwi_op_attend(op, &c->feed);
  return bmwi_loop_await(L, 1);
}

/* Whether something can be sent; otherwise pushes the failure. */
static bool can_send(lua_State *L, const bmwi_connection *c, int *results) {
  if (c->phase == BMWI_CONNECTED) return true;
  *results = c->phase == BMWI_ENDED
               ? push_end(L, c)
               : bmwi_fail_plain(L, "busy", "the connection is not established yet");
  return false;
}

static int busy(lua_State *L) {
  return bmwi_fail_plain(L, "busy", "too many messages are waiting to be sent or acknowledged");
}

static bmwi_bytes check_bytes(lua_State *L, int argument) {
  bmwi_bytes bytes;
  bytes.data = luaL_checklstring(L, argument, &bytes.len);
  return bytes;
}

/* connection:subscribe(filter[, qos]) -> packet id | nil, message, code, info */
static int subscribe(lua_State *L) {
  int results;
  bmwi_connection *c = check(L);
  bmwi_bytes filter = check_bytes(L, 2);
  lua_Integer qos = luaL_optinteger(L, 3, 0);
  luaL_argcheck(L, qos == 0 || qos == 1, 3, "0 or 1 expected");
  check_topic(L, filter, true);
  if (!can_send(L, c, &results)) return results;
  unsigned id = bmwi_connection_subscribe(c, filter, (int)qos);
  if (id == 0) return busy(L);
  bmwi_engine_arm(c->engine);
  lua_pushinteger(L, (lua_Integer)id);
  return 1;
}

/* Whether the server accepts it; otherwise pushes the failure. */
static bool is_taken(lua_State *L, const bmwi_connection *c, const bmwi_mqtt_message *message,
                     int *results) {
  if (message->qos > c->max_qos)
    *results = bmwi_fail_plain(L, "unsupported", "the server accepts QoS 0 only");
  else if (message->retain && c->no_retain)
    *results = bmwi_fail_plain(L, "unsupported", "the server does not retain messages");
  else if (bmwi_mqtt_publish_size(c->protocol, message) > c->max_packet)
    *results =
      bmwi_fail_plain(L, "too_large", "the message is larger than %d bytes", (int)c->max_packet);
  else return true;
  return false;
}

/* connection:publish(topic, payload[, {qos =, retain =}]) -> packet id, 0 for QoS 0 | nil, message,
** code, info */
static int publish(lua_State *L) {
  int results;
  unsigned id;
  bmwi_connection *c = check(L);
  bmwi_mqtt_message message = {.topic = check_bytes(L, 2), .payload = check_bytes(L, 3)};
  check_topic(L, message.topic, false);
  if (!lua_isnoneornil(L, 4)) {
    luaL_checktype(L, 4, LUA_TTABLE);
    message.qos = whole_option(L, 4, "qos", 0, 0, 1);
    message.retain = flag_option(L, 4, "retain");
  }
  if (!can_send(L, c, &results) || !is_taken(L, c, &message, &results)) return results;
  if (!bmwi_connection_publish(c, &message, &id)) return busy(L);
  bmwi_engine_arm(c->engine);
  lua_pushinteger(L, (lua_Integer)id);
  return 1;
}

/* connection:close([reason]): sends DISCONNECT with this reason (4: publish the will) if that is
** possible at once */
static int close_connection(lua_State *L) {
  bmwi_connection *c = luaL_checkudata(L, 1, CONNECTION);
  bool given = lua_type(L, 2) == LUA_TNUMBER; /* __close is called with an error or nil */
  lua_Integer reason = given ? lua_tointeger(L, 2) : BMWI_MQTT_SUCCESS;
  luaL_argcheck(L, reason >= 0 && reason <= 255, 2, "0 to 255 expected");
  bool mine = c->engine != NULL && bmwi_engine_mine(c->engine);
  bmwi_connection_close(c, (unsigned)reason);
  if (mine) bmwi_engine_arm(c->engine);
  return 0;
}

static int collect(lua_State *L) {
  bmwi_connection_free(luaL_checkudata(L, 1, CONNECTION));
  return 0;
}

/* connection:state() -> "connecting" | "connected" | "closed" */
static int state(lua_State *L) {
  static const char *const names[] = {"connecting", "connecting", "connected", "closed"};
  const bmwi_connection *c = luaL_checkudata(L, 1, CONNECTION);
  lua_pushstring(L, names[c->phase]);
  return 1;
}

static int to_string(lua_State *L) {
  luaL_checkudata(L, 1, CONNECTION);
  lua_pushliteral(L, CONNECTION);
  return 1;
}

static const luaL_Reg methods[] = {
  {"receive", receive},        {"subscribe", subscribe}, {"publish", publish},
  {"close", close_connection}, {"state", state},         {NULL, NULL},
};

static const luaL_Reg meta[] = {
  {"__gc", collect},
  {"__close", close_connection},
  {"__tostring", to_string},
  {NULL, NULL},
};

/* ---- lifetime ------------------------------------------------------------------------------- */

/* connect{...} -> connection. Raises for an invalid option; does not wait. */
static int connect(lua_State *L) {
  char url[MAX_URL];
  bmwi_mqtt_login login = {0};
  check_names(L);
  lua_settop(L, 1);
  bmwi_engine *engine = bmwi_loop_engine(L); /* raises in a forked child */
  bmwi_bytes address = text_option(L, 1, "url");
  luaL_argcheck(L, address.data != NULL, 1, "option 'url' is missing");
  const char *fault = bmwi_mqtt_url_fault(address.data, true);
  if (fault == NULL && !bmwi_mqtt_url(url, sizeof url, address.data)) fault = "it is too long";
  if (fault != NULL) luaL_error(L, "option 'url': %s", fault);
  bmwi_connection *c = lua_newuserdata(L, sizeof *c);
  memset(c, 0, sizeof *c);
  c->feed.face = &face;
  c->phase = BMWI_ENDED; /* until it starts connecting */
  luaL_setmetatable(L, CONNECTION);
  int at = lua_gettop(L);
  read_login(L, &login);
  read_transport(L, c);
  lua_createtable(L, 1, 0);
  bool has_client = c->transport != &c->own;
  if (has_client) lua_pushvalue(L, -2);
  else lua_pushnil(L);
  lua_rawseti(L, -2, 1);
  lua_setuservalue(L, at);
  bmwi_account *account = has_client ? &bmwi_client_check(L, -1)->account : NULL;
  c->phase = BMWI_CONNECTS;
  if (!bmwi_connection_open(c, engine, url, &login)) return luaL_error(L, "not enough memory");
  if (account != NULL) bmwi_queue_add(&account->connections, &c->link);
  bmwi_engine_arm(engine);
  lua_settop(L, at);
  return 1;
}

void bmwi_mqtt_open(lua_State *L) {
  lua_pushcfunction(L, push_packet);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &push_key);
  luaL_newmetatable(L, CONNECTION);
  luaL_setfuncs(L, meta, 0);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushcfunction(L, connect);
  lua_setfield(L, -2, "connect");
}
