/*
** MQTT: see mqtt.h.
*/
#include "core/mqtt.h"

#include <string.h>

#define HEADER 5               /* maximum size of a fixed header in bytes */
#define RETAIN_AS_PUBLISHED 8U /* section 3.8.3.1 */

/* ---- encoding ------------------------------------------------------------------------------- */

static void put_byte(bmwi_buffer *b, unsigned value) {
  char byte = (char)value;
  bmwi_buffer_add(b, &byte, 1);
}

static void put_word(bmwi_buffer *b, unsigned value) {
  put_byte(b, value >> 8);
  put_byte(b, value & 0xFF);
}

static void put_text(bmwi_buffer *b, bmwi_bytes text) {
  put_word(b, (unsigned)text.len);
  bmwi_buffer_add(b, text.data, text.len);
}

/* Reserves room for the whole packet, so that nothing after this fails; then writes the fixed
** header. */
static bool begin(bmwi_buffer *b, unsigned first, size_t remaining) {
  if (!bmwi_buffer_reserve(b, HEADER + remaining)) return false;
  put_byte(b, first);
  for (; remaining > 127; remaining >>= 7) put_byte(b, (unsigned)(remaining & 127) | 128);
  put_byte(b, (unsigned)remaining);
  return true;
}

static size_t text_size(bmwi_bytes text) { return text.data != NULL ? 2 + text.len : 0; }

bool bmwi_mqtt_connect(bmwi_buffer *b, const bmwi_mqtt_login *login) {
  static const bmwi_bytes name = {"MQTT", 4};
  const bmwi_mqtt_message *will = &login->will;
  bool v5 = login->protocol == 5, wills = will->topic.data != NULL;
  size_t properties = v5 ? 5 : 0; /* maximum packet size */
  unsigned flags = 2;             /* clean start */
  if (wills) flags |= 4U | (unsigned)will->qos << 3 | (will->retain ? 32U : 0);
  if (login->password.data != NULL) flags |= 64;
  if (login->username.data != NULL) flags |= 128;
  size_t size = 6 + 4 + (v5 ? 1 : 0) + properties + 2 + login->client_id.len +
                text_size(login->username) + text_size(login->password);
  if (wills) size += (v5 ? 1 : 0) + text_size(will->topic) + 2 + will->payload.len;
  if (!begin(b, BMWI_MQTT_CONNECT << 4, size)) return false;
  put_text(b, name);
  put_byte(b, (unsigned)login->protocol);
  put_byte(b, flags);
  put_word(b, login->keepalive);
  if (v5) {
    put_byte(b, (unsigned)properties);
    put_byte(b, 0x27);
    put_word(b, BMWI_MQTT_MAX_PACKET >> 16);
    put_word(b, BMWI_MQTT_MAX_PACKET & 0xFFFF);
  }
  put_text(b, login->client_id);
  if (wills) {
    if (v5) put_byte(b, 0);
    put_text(b, will->topic);
    put_text(b, will->payload);
  }
  if (login->username.data != NULL) put_text(b, login->username);
  if (login->password.data != NULL) put_text(b, login->password);
  return true;
}

bool bmwi_mqtt_subscribe(bmwi_buffer *b, int protocol, unsigned id, bmwi_bytes filter, int qos) {
  bool v5 = protocol == 5;
  if (!begin(b, BMWI_MQTT_SUBSCRIBE << 4 | 2, 2 + (v5 ? 1 : 0) + 2 + filter.len + 1)) return false;
  put_word(b, id);
  if (v5) put_byte(b, 0);
  put_text(b, filter);
  put_byte(b, (unsigned)qos | (v5 ? RETAIN_AS_PUBLISHED : 0));
  return true;
}

static size_t publish_remaining(int protocol, const bmwi_mqtt_message *message) {
  return 2 + message->topic.len + (message->qos > 0 ? 2 : 0) + (protocol == 5 ? 1 : 0) +
         message->payload.len;
}

size_t bmwi_mqtt_publish_size(int protocol, const bmwi_mqtt_message *message) {
  size_t remaining = publish_remaining(protocol, message), size = 2 + remaining;
  for (; remaining > 127; remaining >>= 7) size++;
  return size;
}

bool bmwi_mqtt_publish(bmwi_buffer *b, int protocol, unsigned id,
                       const bmwi_mqtt_message *message) {
  unsigned first =
    BMWI_MQTT_PUBLISH << 4 | (unsigned)message->qos << 1 | (message->retain ? 1U : 0);
  if (!begin(b, first, publish_remaining(protocol, message))) return false;
  put_text(b, message->topic);
  if (message->qos > 0) put_word(b, id);
  if (protocol == 5) put_byte(b, 0);
  bmwi_buffer_add(b, message->payload.data, message->payload.len);
  return true;
}

bool bmwi_mqtt_puback(bmwi_buffer *b, unsigned id) {
  if (!begin(b, BMWI_MQTT_PUBACK << 4, 2)) return false;
  put_word(b, id);
  return true;
}

bool bmwi_mqtt_pingreq(bmwi_buffer *b) { return begin(b, BMWI_MQTT_PINGREQ << 4, 0); }

bool bmwi_mqtt_disconnect(bmwi_buffer *b, int protocol, unsigned reason) {
  bool says = protocol == 5 && reason != BMWI_MQTT_SUCCESS;
  if (!begin(b, BMWI_MQTT_DISCONNECT << 4, says ? 1 : 0)) return false;
  if (says) put_byte(b, reason);
  return true;
}

/* ---- decoding ------------------------------------------------------------------------------- */

/* The unread rest of a packet. Missing bytes read as zero and mark it as malformed. */
typedef struct reader {
  const unsigned char *at, *end;
  bool wrong;
} reader;

static size_t left(const reader *r) { return (size_t)(r->end - r->at); }

static bmwi_bytes get_bytes(reader *r, size_t len) {
  bmwi_bytes bytes = {(const char *)r->at, len};
  if (len > left(r)) {
    r->wrong = true;
    return (bmwi_bytes){"", 0};
  }
  r->at += len;
  return bytes;
}

/* A big-endian number of this many bytes. */
static uint32_t get_number(reader *r, size_t len) {
  bmwi_bytes bytes = get_bytes(r, len);
  uint32_t value = 0;
  for (size_t i = 0; i < bytes.len; i++) value = value << 8 | (unsigned char)bytes.data[i];
  return value;
}

/* Section 1.5.5: at most four bytes. */
static uint32_t get_variable(reader *r) {
  uint32_t value = 0;
  for (unsigned shift = 0; shift < 28; shift += 7) {
    uint32_t byte = get_number(r, 1);
    value |= (byte & 127) << shift;
    if (byte < 128) return value;
  }
  r->wrong = true;
  return 0;
}

bool bmwi_mqtt_is_text(bmwi_bytes text) {
  for (size_t i = 0, n; i < text.len; i += n) {
    n = text.data[i] == '\0' ? 0 : bmwi_utf8_length(text.data + i, text.len - i);
    if (n == 0) return false;
  }
  return true;
}

static bmwi_bytes get_text(reader *r) {
  bmwi_bytes text = get_bytes(r, get_number(r, 2));
  if (!bmwi_mqtt_is_text(text)) r->wrong = true;
  return text;
}

/* ---- properties: section 2.2.2.2 ------------------------------------------------------------ */

typedef enum value_type { BYTE, WORD, LONG, VARIABLE, TEXT, BINARY, PAIR } value_type;

#define IN(type) (1U << BMWI_MQTT_##type)

/* Properties that a server sends: the type of each, and the packets that may contain it. */
static const struct {
  unsigned char id;
  value_type type;
  unsigned packets;
} properties[] = {
  {0x01, BYTE, IN(PUBLISH)},
  {0x02, LONG, IN(PUBLISH)},
  {0x03, TEXT, IN(PUBLISH)},
  {0x08, TEXT, IN(PUBLISH)},
  {0x09, BINARY, IN(PUBLISH)},
  {0x0B, VARIABLE, IN(PUBLISH)},
  {0x11, LONG, IN(CONNACK)},
  {0x12, TEXT, IN(CONNACK)}, /* assigned client identifier */
  {0x13, WORD, IN(CONNACK)}, /* server keep alive */
  {0x15, TEXT, IN(CONNACK)},
  {0x16, BINARY, IN(CONNACK)},
  {0x1A, TEXT, IN(CONNACK)},
  {0x1C, TEXT, IN(CONNACK) | IN(DISCONNECT)},
  {0x1F, TEXT, IN(CONNACK) | IN(PUBACK) | IN(SUBACK) | IN(DISCONNECT)}, /* reason string */
  {0x21, WORD, IN(CONNACK)},                                            /* receive maximum */
  {0x22, WORD, IN(CONNACK)},
  {0x23, WORD, IN(PUBLISH)}, /* topic alias */
  {0x24, BYTE, IN(CONNACK)}, /* maximum QoS */
  {0x25, BYTE, IN(CONNACK)}, /* retain available */
  {0x26, PAIR, IN(CONNACK) | IN(PUBLISH) | IN(PUBACK) | IN(SUBACK) | IN(DISCONNECT)},
  {0x27, LONG, IN(CONNACK)}, /* maximum packet size */
  {0x28, BYTE, IN(CONNACK)},
  {0x29, BYTE, IN(CONNACK)},
  {0x2A, BYTE, IN(CONNACK)},
};
#define PROPERTIES (sizeof properties / sizeof properties[0])

static size_t find_property(unsigned id) {
  size_t i = 0;
  while (i < PROPERTIES && properties[i].id != id) i++;
  return i;
}

/* Reads a property's value: a number, text or binary data. */
static uint32_t get_value(reader *r, value_type type, bmwi_bytes *text) {
  switch (type) {
    case BYTE: return get_number(r, 1);
    case WORD: return get_number(r, 2);
    case LONG: return get_number(r, 4);
    case VARIABLE: return get_variable(r);
    case BINARY: *text = get_bytes(r, get_number(r, 2)); return 0;
    case PAIR: get_text(r); /* fall through */
    case TEXT: break;
  }
  *text = get_text(r);
  return 0;
}

/* Stores a property that is used here. Returns the reason code if the value is invalid, or 0. */
static unsigned keep_property(bmwi_mqtt_packet *packet, unsigned id, uint32_t number,
                              bmwi_bytes text) {
  switch (id) {
    case 0x12: packet->client_id = text; return 0;
    case 0x13: packet->keepalive = (long)number; return 0;
    case 0x1F: packet->reason_string = text; return 0;
    case 0x21: packet->receive_maximum = number; return number == 0 ? BMWI_MQTT_PROTOCOL_ERROR : 0;
    case 0x23: return BMWI_MQTT_NO_ALIAS; /* CONNECT has not allowed any */
    case 0x24: packet->max_qos = (int)number; return number > 1 ? BMWI_MQTT_PROTOCOL_ERROR : 0;
    case 0x25: packet->no_retain = number == 0; return number > 1 ? BMWI_MQTT_PROTOCOL_ERROR : 0;
    case 0x27: packet->max_packet = number; return number == 0 ? BMWI_MQTT_PROTOCOL_ERROR : 0;
    default: return 0;
  }
}

/* Section 2.2.2. Unused properties are skipped. */
static unsigned get_properties(reader *r, bmwi_mqtt_packet *packet) {
  uint32_t seen = 0, size = get_variable(r);
  bmwi_bytes all = get_bytes(r, size);
  reader inner = {(const unsigned char *)all.data, (const unsigned char *)all.data + all.len,
                  false};
  while (left(&inner) > 0) {
    bmwi_bytes text = {"", 0};
    unsigned id = get_variable(&inner);
    size_t row = find_property(id);
    if (row == PROPERTIES) return BMWI_MQTT_MALFORMED;
    if ((properties[row].packets >> packet->type & 1) == 0) return BMWI_MQTT_PROTOCOL_ERROR;
    bool repeated = (seen >> row & 1) != 0 && id != 0x26 && id != 0x0B;
    if (repeated) return BMWI_MQTT_PROTOCOL_ERROR;
    seen |= (uint32_t)1 << row;
    uint32_t number = get_value(&inner, properties[row].type, &text);
    if (inner.wrong) return BMWI_MQTT_MALFORMED;
    unsigned fault = keep_property(packet, id, number, text);
    if (fault != 0) return fault;
  }
  return 0;
}

/* ---- packets -------------------------------------------------------------------------------- */

static unsigned read_connack(reader *r, bmwi_mqtt_packet *packet, bool v5) {
  uint32_t flags = get_number(r, 1);
  packet->reason = get_number(r, 1);
  packet->session_present = flags == 1;
  if (flags > 1) return BMWI_MQTT_MALFORMED;
  /* A server that only supports 3.1.1 refuses an unknown level in its own format. */
  packet->older = v5 && left(r) == 0 && packet->reason >= 1 && packet->reason <= 5;
  if (packet->older) return 0;
  /* Section 3.2.2.1.1: no session was requested. */
  if (flags == 1 && v5) return BMWI_MQTT_PROTOCOL_ERROR;
  return v5 ? get_properties(r, packet) : 0;
}

/* Section 4.7, of what is known to be text. A filter's wildcard stands for a whole level, '#' for
** all that are left. */
static const char *levels_fault(bmwi_bytes topic, bool filter) {
  if (topic.len == 0) return "it is empty";
  for (size_t i = 0; i < topic.len; i++) {
    char c = topic.data[i];
    if (c != '+' && c != '#') continue;
    if (!filter) return "it has a wildcard";
    bool starts = i == 0 || topic.data[i - 1] == '/';
    bool ends = i + 1 == topic.len || (c == '+' && topic.data[i + 1] == '/');
    if (!starts || !ends) return "a wildcard must be a whole level, '#' the last one";
  }
  return NULL;
}

static unsigned read_publish(reader *r, bmwi_mqtt_packet *packet, bool v5, unsigned flags) {
  bmwi_mqtt_message *message = &packet->message;
  message->qos = (int)(flags >> 1 & 3);
  message->retain = (flags & 1) != 0;
  message->topic = get_text(r);
  if (message->qos == 3 || (message->qos == 0 && flags >= 8)) return BMWI_MQTT_MALFORMED;
  if (message->qos == 2) return BMWI_MQTT_NO_SUCH_QOS; /* never subscribed to */
  if (message->qos == 1) {
    packet->id = get_number(r, 2);
    if (packet->id == 0) return BMWI_MQTT_PROTOCOL_ERROR;
  }
  unsigned fault = v5 ? get_properties(r, packet) : 0;
  if (fault == 0 && !r->wrong && levels_fault(message->topic, false) != NULL)
    return BMWI_MQTT_PROTOCOL_ERROR;
  message->payload = get_bytes(r, left(r));
  return fault;
}

/* PUBACK and DISCONNECT: the reason exists at level 5 only, and is optional. */
static unsigned read_reason(reader *r, bmwi_mqtt_packet *packet, bool v5) {
  if (v5 && left(r) > 0) packet->reason = get_number(r, 1);
  return v5 && left(r) > 0 ? get_properties(r, packet) : 0;
}

static unsigned read_body(reader *r, bmwi_mqtt_packet *packet, bool v5, unsigned flags) {
  unsigned fault = 0;
  if (packet->type != BMWI_MQTT_PUBLISH && flags != 0) return BMWI_MQTT_MALFORMED;
  switch (packet->type) {
    case BMWI_MQTT_CONNACK: return read_connack(r, packet, v5);
    case BMWI_MQTT_PUBLISH: return read_publish(r, packet, v5, flags);
    case BMWI_MQTT_PUBACK:
      packet->id = get_number(r, 2);
      fault = read_reason(r, packet, v5);
      break;
    case BMWI_MQTT_SUBACK:
      packet->id = get_number(r, 2);
      if (v5) fault = get_properties(r, packet);
      packet->codes = get_bytes(r, left(r));
      if (packet->codes.len == 0) r->wrong = true;
      break;
    case BMWI_MQTT_PINGRESP: break;
    case BMWI_MQTT_DISCONNECT: return v5 ? read_reason(r, packet, v5) : BMWI_MQTT_PROTOCOL_ERROR;
    default: return BMWI_MQTT_PROTOCOL_ERROR; /* never sent by a server */
  }
  return fault;
}

bmwi_mqtt_frame bmwi_mqtt_measure(const char *data, size_t len, size_t *size) {
  size_t remaining = 0;
  for (size_t i = 1; i < len && i < HEADER; i++) {
    unsigned byte = (unsigned char)data[i];
    remaining |= (size_t)(byte & 127) << (7 * (i - 1));
    if (byte >= 128) continue;
    *size = 1 + i + remaining;
    if (*size > BMWI_MQTT_MAX_PACKET) return BMWI_FRAME_LARGE;
    return *size <= len ? BMWI_FRAME_WHOLE : BMWI_FRAME_PART;
  }
  *size = HEADER;
  return len < HEADER ? BMWI_FRAME_PART : BMWI_FRAME_WRONG;
}

int bmwi_mqtt_type(const char *data) { return (unsigned char)data[0] >> 4; }

unsigned bmwi_mqtt_read(bmwi_mqtt_packet *packet, int protocol, const char *data, size_t size) {
  size_t header = 2;
  memset(packet, 0, sizeof *packet);
  packet->type = bmwi_mqtt_type(data);
  packet->keepalive = -1;
  packet->max_packet = UINT32_MAX;
  packet->receive_maximum = 65535;
  packet->max_qos = 1;
  while (header < size && (unsigned char)data[header - 1] >= 128) header++;
  const unsigned char *bytes = (const unsigned char *)data;
  reader r = {bytes + header, bytes + size, false};
  unsigned fault = read_body(&r, packet, protocol == 5, bytes[0] & 15);
  if (r.wrong || (fault == 0 && left(&r) > 0)) return BMWI_MQTT_MALFORMED;
  return fault;
}

/* ---- names of the reasons ------------------------------------------------------------------- */

typedef struct word {
  unsigned reason;
  const char *text;
} word;

/* Section 3.2.2.3 of version 3.1.1. */
static const word return_codes[] = {
  {1, "unacceptable protocol version"},
  {2, "identifier rejected"},
  {3, "server unavailable"},
  {4, "bad user name or password"},
  {5, "not authorized"},
  {0x80, "failure"},
  {0, NULL},
};

/* Section 2.4. */
static const word reasons[] = {
  {0x00, "normal disconnection"},
  {0x04, "disconnect with will message"},
  {0x10, "no matching subscribers"},
  {0x80, "unspecified error"},
  {0x81, "malformed packet"},
  {0x82, "protocol error"},
  {0x83, "implementation specific error"},
  {0x84, "unsupported protocol version"},
  {0x85, "client identifier not valid"},
  {0x86, "bad user name or password"},
  {0x87, "not authorized"},
  {0x88, "server unavailable"},
  {0x89, "server busy"},
  {0x8A, "banned"},
  {0x8B, "server shutting down"},
  {0x8C, "bad authentication method"},
  {0x8D, "keep alive timeout"},
  {0x8E, "session taken over"},
  {0x8F, "topic filter invalid"},
  {0x90, "topic name invalid"},
  {0x91, "packet identifier in use"},
  {0x92, "packet identifier not found"},
  {0x93, "receive maximum exceeded"},
  {0x94, "topic alias invalid"},
  {0x95, "packet too large"},
  {0x96, "message rate too high"},
  {0x97, "quota exceeded"},
  {0x98, "administrative action"},
  {0x99, "payload format invalid"},
  {0x9A, "retain not supported"},
  {0x9B, "QoS not supported"},
  {0x9C, "use another server"},
  {0x9D, "server moved"},
  {0x9E, "shared subscriptions not supported"},
  {0x9F, "connection rate exceeded"},
  {0xA0, "maximum connect time"},
  {0xA1, "subscription identifiers not supported"},
  {0xA2, "wildcard subscriptions not supported"},
  {0, NULL},
};

const char *bmwi_mqtt_reason(int protocol, unsigned reason) {
  for (const word *w = protocol == 5 ? reasons : return_codes; w->text != NULL; w++)
    if (w->reason == reason) return w->text;
  return "unknown reason";
}

/* Section 4.7. */
const char *bmwi_mqtt_topic_fault(bmwi_bytes topic, bool filter) {
  if (topic.len > BMWI_MQTT_MAX_TEXT) return "it is longer than 65535 bytes";
  if (!bmwi_mqtt_is_text(topic)) return "it must be UTF-8 without NUL";
  return levels_fault(topic, filter);
}
