#include "mqtt.h"

#include "../world.h"
#include "stream_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PACKET_LIMIT = 256 * 1024, KEPT = 1000 };
/* Reason codes (MQTT 5, section 2.4). */
enum {
  MALFORMED = 129,
  PROTOCOL_ERROR = 130,
  BAD_VERSION = 132,
  BAD_CREDENTIALS = 134,
  NOT_AUTHORIZED = 135,
  SERVER_BUSY = 137,
  RATE_EXCEEDED = 159
};
enum { CLIENT_ID_PROPERTY = 18, KEEP_ALIVE_PROPERTY = 19, ALIASES_PROPERTY = 34, ALIAS_PROPERTY };

static json_t *last_connect;
static json_t *published; /* by clients, including wills */
static long pubacks;
static double last_end = -1e9; /* when the last accepted connection ended */
static struct {
  double at;
  char address[ADDRESS_ROOM];
} connects[KEPT];
static unsigned long connect_count;
static void (*on_subscribe)(void);
void mqtt_on_subscribe(void (*then)(void)) { on_subscribe = then; }

/* ---- ends ---- */

static void end_with(struct session *session, const char *why, double reason, enum ending how) {
  if (session->phase == CONNECTED) {
    last_end = world_now();
  }
  if (session->protocol == 5 && reason > 0 && session->phase == CONNECTED) {
    struct bytes body = {0};
    put_number(&body, (unsigned long)reason, 1);
    put_number(&body, 0, 1); /* no properties */
    session_send(session, DISCONNECT << 4, &body);
    bytes_free(&body);
  }
  session_end(session, why, how);
}

static void keep_published(json_t *entry) {
  published = published != NULL ? published : json_array();
  if (json_array_size(published) == KEPT) {
    json_array_remove(published, 0);
  }
  json_array_append_new(published, entry);
}

static void malformed(struct session *session) {
  end_with(session, "malformed packet", MALFORMED, END_NOTIFY);
}

void mqtt_end_all(const char *why, int reason, enum ending how) {
  for (struct session *s = session_first(); s != NULL; s = s->next) {
    if (s->phase < ENDING) {
      end_with(s, why, reason, how);
    }
  }
}

/* ---- CONNECT ---- */

struct connect {
  struct part name, client_id, user, password, will_topic, will_payload;
  struct properties properties;
  unsigned long level, flags, keepalive;
};

static void read_connect(struct reader *in, struct connect *out) {
  struct properties of_will;
  memset(out, 0, sizeof *out);
  out->name = read_part(in);
  out->level = read_number(in, 1);
  if (out->level != 4 && out->level != 5) {
    return;
  }
  out->flags = read_number(in, 1);
  out->keepalive = read_number(in, 2);
  if (out->level == 5) {
    read_properties(in, &out->properties);
  }
  out->client_id = read_part(in);
  if (out->flags & 0x04) {
    if (out->level == 5) {
      read_properties(in, &of_will);
    }
    out->will_topic = read_part(in);
    out->will_payload = read_part(in);
  }
  if (out->flags & 0x80) {
    out->user = read_part(in);
  }
  if (out->flags & 0x40) {
    out->password = read_part(in);
  }
  in->bad = in->bad || in->left > 0 || (out->flags & 0x01) != 0;
}

static json_t *will_of(const struct connect *connect) {
  if (!(connect->flags & 0x04)) {
    return NULL;
  }
  return json_pack("{s:o, s:o, s:I, s:b, s:b}", "topic",
                   json_text(connect->will_topic.at, connect->will_topic.length), "payload",
                   json_text(connect->will_payload.at, connect->will_payload.length), "qos",
                   (json_int_t)(connect->flags >> 3 & 3), "retain", (connect->flags & 0x20) != 0,
                   "will", 1);
}

/* Does not store the password. */
static void record_connect(const struct connect *connect, bool right, const json_t *will) {
  json_decref(last_connect);
  last_connect = json_pack(
    "{s:I, s:o, s:I, s:b, s:o, s:I, s:b, s:O?, s:I}", "protocol", (json_int_t)connect->level,
    "client_id", json_text(connect->client_id.at, connect->client_id.length), "keepalive",
    (json_int_t)connect->keepalive, "clean", (connect->flags & 0x02) != 0, "username",
    json_text(connect->user.at, connect->user.length), "password_length",
    (json_int_t)connect->password.length, "password_right", right, "will", will,
    "topic_alias_maximum", (json_int_t)connect->properties.number[ALIASES_PROPERTY]);
}

/* Refused connections count, too. */
static bool rate_exceeded(const char *address) {
  double now = world_now();
  unsigned long within = 0;
  size_t place = connect_count++ % KEPT;
  connects[place].at = now;
  snprintf(connects[place].address, ADDRESS_ROOM, "%s", address);
  for (unsigned long i = 0; i < KEPT && i < connect_count; i++) {
    within +=
      connects[i].at > now - stream.rate_window && strcmp(connects[i].address, address) == 0;
  }
  return stream.rate_limit >= 1 && (double)within > stream.rate_limit;
}

/* 0 or an MQTT 5 reason code. */
static int refusal(const struct connect *connect, const struct id_token *token, bool too_many) {
  if (too_many) {
    return RATE_EXCEEDED;
  }
  if (world_now() < last_end + stream.refuse_after_disconnect) {
    return NOT_AUTHORIZED;
  }
  if (stream.anyone) {
    return 0;
  }
  if (token == NULL || world_now() >= token->ends || connect->user.length != strlen(gcid) ||
      memcmp(connect->user.at, gcid, connect->user.length) != 0) {
    return BAD_CREDENTIALS;
  }
  return token->streaming ? 0 : NOT_AUTHORIZED;
}

/* The CONNACK code for an MQTT 5 reason. */
static int connack_code(int protocol, int reason) {
  static const int old[] = {[BAD_VERSION - 132] = 1,
                            [133 - 132] = 2,
                            [BAD_CREDENTIALS - 132] = 4,
                            [NOT_AUTHORIZED - 132] = 5};
  if (protocol == 5 || reason == 0) {
    return reason;
  }
  return reason >= 132 && reason <= 135 ? old[reason - 132] : 3;
}

static void send_connack(struct session *session, int code, bool assigned) {
  struct bytes body = {0};
  put_number(&body, 0, 1);
  put_number(&body, (unsigned long)code, 1);
  if (session->protocol == 5) {
    struct bytes properties = {0};
    if (assigned && code == 0) {
      put_number(&properties, CLIENT_ID_PROPERTY, 1);
      put_part(&properties, session->client_id, strlen(session->client_id));
    }
    if (stream.server_keep_alive > 0 && code == 0) {
      put_number(&properties, KEEP_ALIVE_PROPERTY, 1);
      put_number(&properties, (unsigned long)stream.server_keep_alive, 2);
    }
    put_varint(&body, properties.length, 0);
    bytes_add(&body, properties.at, properties.length);
    bytes_free(&properties);
  }
  session_delay(session, stream.connack_delay);
  session_send(session, CONNACK << 4, &body);
  bytes_free(&body);
}

/* Sends the bytes that a test has set instead of the response; false: it has set none. */
static bool answer_raw(struct session *session, const json_t *digits) {
  struct bytes bytes = {0};
  if (!json_is_string(digits)) {
    return false;
  }
  read_hex(&bytes, json_string_value(digits));
  session_send_bytes(session, &bytes);
  bytes_free(&bytes);
  return true;
}

/* A user has one connection (with `anyone`, a client id has one): a new one ends the old. */
static void kick_others(const struct session *session) {
  for (struct session *s = session_first(); s != NULL; s = s->next) {
    if (s != session && s->phase == CONNECTED &&
        (!stream.anyone || strcmp(s->client_id, session->client_id) == 0)) {
      end_with(s, "taken over", stream.kick_reason, END_NOTIFY);
    }
  }
}

static void accept_client(struct session *session, const struct connect *connect) {
  double now = world_now();
  bool obeyed = stream.server_keep_alive > 0 && session->protocol == 5;
  session->keepalive = obeyed ? stream.server_keep_alive : (double)connect->keepalive;
  if (stream.keepalive_limit >= 1 &&
      (session->keepalive < 1 || session->keepalive > stream.keepalive_limit)) {
    session->cut_at = now + stream.keepalive_cut;
  }
  session->aliases = connect->properties.number[ALIASES_PROPERTY];
  session->phase = CONNECTED;
  kick_others(session);
}

/* The CONNACK code set by a test, until `connack_times` is used up; negative: none. */
static int wanted_code(void) {
  int code = stream.connack >= 1 ? (int)stream.connack : -1;
  if (code > 0 && stream.connack_times >= 1 && --stream.connack_times < 1) {
    stream.connack = 0;
  }
  return code;
}

static void take_connect(struct session *session, struct reader *in) {
  struct connect connect;
  read_connect(in, &connect);
  if (in->bad || connect.name.length != 4 || memcmp(connect.name.at, "MQTT", 4) != 0) {
    session_end(session, "malformed CONNECT", END_NOTIFY);
    return;
  }
  bool known = connect.level == 4 || (connect.level == 5 && stream.protocol >= 5);
  session->protocol = connect.level < 5 || stream.protocol < 5 ? 4 : 5;
  const struct id_token *token = id_token_find(connect.password.at, connect.password.length);
  session->token = stream.anyone ? NULL : token;
  session->will = will_of(&connect);
  bool assigned = connect.client_id.length == 0;
  session->client_id = must_copy(connect.client_id.at, connect.client_id.length);
  if (assigned) {
    free(session->client_id);
    session->client_id = must_alloc(24);
    memcpy(session->client_id, "auto-", 5);
    random_text(session->client_id + 5, 16);
  }
  record_connect(&connect, token != NULL && world_now() < token->ends, session->will);
  bool too_many = rate_exceeded(json_word(session->record, "address"));
  int wanted = wanted_code();
  int reason = known ? refusal(&connect, token, too_many) : BAD_VERSION;
  int code = wanted >= 0 ? wanted : connack_code(session->protocol, reason);
  json_object_set_new(session->record, "protocol", json_integer((json_int_t)connect.level));
  json_object_set_new(session->record, "connack", json_integer(code));
  if (stream.connack_silent || (too_many && stream.rate_silent)) {
    return;
  }
  if (answer_raw(session, stream.connack_raw)) {
    session->phase = CONNECTED;
    return;
  }
  send_connack(session, code, assigned);
  if (code != 0) {
    session_end(session, "refused", END_NOTIFY);
  } else {
    accept_client(session, &connect);
  }
}

/* ---- subscriptions ---- */

/* Compares level by level: "+" matches one level, "#" all that follow. */
static bool topic_matches(const char *filter, const char *topic) {
  while (*filter != '\0') {
    size_t level = strcspn(filter, "/");
    size_t part = strcspn(topic, "/");
    if (filter[0] == '#') {
      return true;
    }
    bool any = level == 1 && filter[0] == '+';
    if (!any && (level != part || memcmp(filter, topic, level) != 0)) {
      return false;
    }
    filter += level;
    topic += part;
    if (*topic == '\0' && strcmp(filter, "/#") == 0) {
      return true;
    }
    if (*filter != *topic) {
      return false;
    }
    if (*filter == '/') {
      filter++;
      topic++;
    }
  }
  return *topic == '\0';
}

/* A user may subscribe to GCID/VIN and GCID/+ only. */
static bool may_subscribe(const struct session *session, const char *filter) {
  if (session->token == NULL) {
    return true;
  }
  size_t length = strlen(gcid);
  const char *rest = filter + length + 1;
  return session->token->dynamic && strncmp(filter, gcid, length) == 0 && filter[length] == '/' &&
         rest[0] != '\0' && rest[0] != '#' && strchr(rest, '/') == NULL;
}

/* Reads what precedes the filters, and begins the answer. */
static struct bytes begin_answer(const struct session *session, struct reader *in) {
  struct bytes body = {0};
  struct properties unused;
  put_number(&body, read_number(in, 2), 2);
  if (session->protocol == 5) {
    read_properties(in, &unused);
    put_number(&body, 0, 1);
  }
  in->bad = in->bad || in->left == 0;
  return body;
}

static void take_subscribe(struct session *session, struct reader *in) {
  bool refused = false;
  struct bytes body = begin_answer(session, in);
  while (in->left > 0 && !in->bad) {
    struct part part = read_part(in);
    unsigned long options = read_number(in, 1);
    char *filter = must_copy(part.at, part.length);
    bool good = may_subscribe(session, filter);
    int code = good ? 0 : session->protocol == 5 ? NOT_AUTHORIZED : 128;
    code = stream.suback >= 0 ? (int)stream.suback : code;
    in->bad = in->bad || part.length == 0 || (options & 3) == 3;
    refused = refused || code >= 128;
    put_number(&body, (unsigned long)code, 1);
    if (code < 128 && !in->bad) {
      json_array_append_new(session->filters, json_text(filter, strlen(filter)));
    }
    free(filter);
  }
  if (in->bad) {
    malformed(session);
  } else if (!stream.suback_silent) {
    on_subscribe();
    session_delay(session, stream.suback_delay);
    if (!answer_raw(session, stream.suback_raw)) {
      session_send(session, SUBACK << 4, &body);
    }
    if (refused && !stream.suback_open) {
      end_with(session, "subscription refused", 0, END_NOTIFY);
    }
  }
  bytes_free(&body);
}

static void take_unsubscribe(struct session *session, struct reader *in) {
  struct bytes body = begin_answer(session, in);
  while (in->left > 0 && !in->bad) {
    struct part part = read_part(in);
    bool found = false;
    for (size_t i = json_array_size(session->filters); i > 0; i--) {
      json_t *filter = json_array_get(session->filters, i - 1);
      if (json_string_length(filter) == part.length &&
          memcmp(json_string_value(filter), part.at, part.length) == 0) {
        json_array_remove(session->filters, i - 1);
        found = true;
      }
    }
    if (session->protocol == 5) {
      put_number(&body, found ? 0 : 17, 1);
    }
  }
  if (in->bad) {
    malformed(session);
  } else {
    session_send(session, UNSUBACK << 4, &body);
  }
  bytes_free(&body);
}

/* ---- messages ---- */

/* From a client: kept for the report, not distributed. */
static void take_publish(struct session *session, int flags, struct reader *in) {
  struct properties unused;
  int qos = flags >> 1 & 3;
  struct part topic = read_part(in);
  unsigned long id = qos > 0 ? read_number(in, 2) : 0;
  if (session->protocol == 5) {
    read_properties(in, &unused);
  }
  if (in->bad || qos > 1 || topic.length == 0 || (qos == 1 && id == 0)) {
    malformed(session);
    return;
  }
  keep_published(json_pack("{s:o, s:o, s:i, s:b, s:b}", "topic", json_text(topic.at, topic.length),
                           "payload", json_text((const char *)in->at, in->left), "qos", qos,
                           "retain", flags & 1, "dup", flags >> 3 & 1));
  if (qos == 1 && !stream.puback_silent) {
    struct bytes body = {0};
    put_number(&body, id, 2);
    if (session->protocol == 5 && stream.puback > 0) {
      put_number(&body, (unsigned long)stream.puback, 1);
    }
    session_send(session, PUBACK << 4, &body);
    bytes_free(&body);
  }
}

static bool wants(const struct session *session, const char *topic) {
  size_t i;
  json_t *filter;
  json_array_foreach(session->filters, i, filter) {
    if (topic_matches(json_string_value(filter), topic)) {
      return true;
    }
  }
  return false;
}

/* The topic; with aliases, the second time only its alias. */
static void put_topic(struct session *session, struct bytes *out, struct bytes *properties,
                      const char *topic) {
  bool aliased =
    session->protocol == 5 && (stream.topic_alias >= TOPIC_ALIAS_ALWAYS ||
                               (stream.topic_alias >= TOPIC_ALIAS_ALLOWED && session->aliases > 0));
  bool known = aliased && session->alias_topic != NULL && strcmp(session->alias_topic, topic) == 0;
  put_part(out, topic, known ? 0 : strlen(topic));
  if (aliased) {
    put_number(properties, ALIAS_PROPERTY, 1);
    put_number(properties, 1, 2);
  }
  if (aliased && !known) {
    free(session->alias_topic);
    session->alias_topic = must_copy(topic, strlen(topic));
  }
}

static void send_publish(struct session *session, const struct message *message) {
  struct bytes body = {0};
  struct bytes properties = {0};
  put_topic(session, &body, &properties, message->topic);
  if (message->qos > 0) {
    session->last_id = session->last_id % 65535 + 1;
    put_number(&body, session->last_id, 2);
  }
  if (session->protocol == 5) {
    put_varint(&body, properties.length, 0);
    bytes_add(&body, properties.at, properties.length);
  }
  bytes_add(&body, message->payload, message->length);
  session_send(
    session, PUBLISH << 4 | (message->dup ? 8 : 0) | message->qos << 1 | (message->retain ? 1 : 0),
    &body);
  bytes_free(&body);
  bytes_free(&properties);
}

void mqtt_publish(const struct message *message) {
  for (struct session *s = session_first(); s != NULL; s = s->next) {
    if (s->phase == CONNECTED && wants(s, message->topic)) {
      send_publish(s, message);
    }
  }
}

/* ---- packets ---- */

static void take_disconnect(struct session *session, struct reader *in) {
  bool with_will = session->protocol == 5 && in->left > 0 && read_number(in, 1) == 4;
  if (!with_will) {
    json_decref(session->will);
    session->will = NULL;
  }
  end_with(session, "the client's DISCONNECT", 0, END_NOTIFY);
}

static void take(struct session *session, int first_byte, struct reader *in) {
  static const struct bytes empty = {0};
  int type = first_byte >> 4;
  int flags = first_byte & 15;
  int wanted = type == SUBSCRIBE || type == UNSUBSCRIBE ? 2 : 0;
  session_receive(session, type);
  if ((type == CONNECT) != (session->phase == EXPECTING) || (type != PUBLISH && flags != wanted)) {
    end_with(session, "malformed packet", PROTOCOL_ERROR, END_NOTIFY);
    return;
  }
  switch (type) {
    case CONNECT: take_connect(session, in); break;
    case SUBSCRIBE: take_subscribe(session, in); break;
    case UNSUBSCRIBE: take_unsubscribe(session, in); break;
    case PUBLISH: take_publish(session, flags, in); break;
    case PUBACK: pubacks++; break;
    case PINGREQ:
      if (!stream.ping_silent) {
        session_send(session, PINGRESP << 4, &empty);
      }
      break;
    case DISCONNECT: take_disconnect(session, in); break;
    default: end_with(session, "malformed packet", PROTOCOL_ERROR, END_NOTIFY);
  }
}

void mqtt_take(struct session *session) {
  struct reader body;
  size_t taken = 0;
  while (session->phase == EXPECTING || session->phase == CONNECTED) {
    struct bytes rest = {session->in.at + taken, session->in.length - taken, 0};
    long length = packet_read(&rest, PACKET_LIMIT, &body);
    if (length < 0) {
      malformed(session);
    }
    if (length <= 0) {
      break;
    }
    take(session, (unsigned char)rest.at[0], &body);
    taken += (size_t)length;
  }
  if (taken > 0) {
    memmove(session->in.at, session->in.at + taken, session->in.length - taken);
    session->in.length -= taken;
  }
}

/* ---- time ---- */

double mqtt_due(const struct session *session) {
  double due = session->cut_at;
  if (session->phase != CONNECTED || session->frozen) {
    return never;
  }
  if (session->keepalive > 0 && session->heard_at + session->keepalive * 1.5 < due) {
    due = session->heard_at + session->keepalive * 1.5;
  }
  return session->token != NULL && session->token->ends < due ? session->token->ends : due;
}

void mqtt_watch(struct session *session) {
  double now = world_now();
  if (session->over && session->phase == CONNECTED) {
    last_end = now;
  }
  if ((session->over || session->phase >= ENDING) && session->will != NULL) {
    keep_published(session->will);
    session->will = NULL;
  }
  if (session->over || now < mqtt_due(session)) {
    return;
  }
  if (session->token != NULL && now >= session->token->ends) {
    end_with(session, "expired", stream.expire_reason, END_NOTIFY);
  } else if (now >= session->cut_at) {
    end_with(session, "keepalive too long", 0, END_NOTIFY);
  } else {
    end_with(session, "keepalive", stream.keepalive_reason, END_NOTIFY);
  }
}

/* ---- report ---- */

json_t *mqtt_report(void) {
  json_t *out = sessions_report();
  json_object_set_new(out, "connect",
                      last_connect != NULL ? json_incref(last_connect) : json_null());
  json_object_set_new(out, "published", published != NULL ? json_copy(published) : json_array());
  json_object_set_new(out, "pubacks", json_integer(pubacks));
  return out;
}

void mqtt_reset(void) {
  for (struct session *s = session_first(); s != NULL; s = s->next) {
    json_decref(s->will);
    s->will = NULL;
    s->phase = LINGERING;
  }
  sessions_reset();
  json_decref(last_connect);
  json_decref(published);
  last_connect = NULL;
  published = NULL;
  pubacks = 0;
  last_end = -1e9;
  connect_count = 0;
}
