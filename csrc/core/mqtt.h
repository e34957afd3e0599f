/*
** MQTT: encodes and decodes a client's packets, protocol levels 4 (3.1.1) and 5. Plain C, no I/O.
** "Section" refers to the OASIS standard MQTT Version 5.0.
*/
#ifndef BMWI_MQTT_H
#define BMWI_MQTT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"

#pragma GCC visibility push(hidden)

#define BMWI_MQTT_MAX_PACKET (1024 * 1024) /* bytes including the header, in both directions */
#define BMWI_MQTT_MAX_TEXT 65535           /* its length has two bytes */

/* Section 2.1.2. */
enum {
  BMWI_MQTT_CONNECT = 1,
  BMWI_MQTT_CONNACK = 2,
  BMWI_MQTT_PUBLISH = 3,
  BMWI_MQTT_PUBACK = 4,
  BMWI_MQTT_SUBSCRIBE = 8,
  BMWI_MQTT_SUBACK = 9,
  BMWI_MQTT_PINGREQ = 12,
  BMWI_MQTT_PINGRESP = 13,
  BMWI_MQTT_DISCONNECT = 14
};

/* Section 2.4; only those that are used by name. */
enum {
  BMWI_MQTT_SUCCESS = 0x00,
  BMWI_MQTT_WITH_WILL = 0x04,
  BMWI_MQTT_MALFORMED = 0x81,
  BMWI_MQTT_PROTOCOL_ERROR = 0x82,
  BMWI_MQTT_NO_ALIAS = 0x94,
  BMWI_MQTT_TOO_LARGE = 0x95,
  BMWI_MQTT_NO_SUCH_QOS = 0x9B
};

/* Bytes owned by someone else. */
typedef struct bmwi_bytes {
  const char *data; /* NULL: absent */
  size_t len;
} bmwi_bytes;

typedef struct bmwi_mqtt_message {
  bmwi_bytes topic, payload;
  int qos; /* 0 or 1 */
  bool retain;
} bmwi_mqtt_message;

typedef struct bmwi_mqtt_login {
  int protocol; /* 4 or 5 */
  bmwi_bytes client_id, username, password;
  unsigned keepalive;     /* seconds */
  bmwi_mqtt_message will; /* without a topic: none */
} bmwi_mqtt_login;

/* A packet from the server; its strings point into the decoded bytes. */
typedef struct bmwi_mqtt_packet {
  int type;
  unsigned reason;      /* in CONNACK, PUBACK, DISCONNECT */
  bool session_present; /* in CONNACK */
  bool older;           /* a CONNACK of 3.1.1 in reply to level 5: a refusal */
  unsigned id;          /* in PUBLISH with QoS 1, PUBACK, SUBACK */
  bmwi_mqtt_message message;
  bmwi_bytes codes; /* in SUBACK: one byte for each filter */
  /* Properties. */
  bmwi_bytes client_id, reason_string;
  long keepalive; /* negative: the client's own applies */
  uint32_t max_packet;
  unsigned receive_maximum;
  int max_qos;
  bool no_retain;
} bmwi_mqtt_packet;

/* Each appends one packet; false, and appends nothing, if the buffer is full or there is no
** memory. */
bool bmwi_mqtt_connect(bmwi_buffer *b, const bmwi_mqtt_login *login);
bool bmwi_mqtt_subscribe(bmwi_buffer *b, int protocol, unsigned id, bmwi_bytes filter, int qos);
bool bmwi_mqtt_publish(bmwi_buffer *b, int protocol, unsigned id, const bmwi_mqtt_message *message);
bool bmwi_mqtt_puback(bmwi_buffer *b, unsigned id);
bool bmwi_mqtt_pingreq(bmwi_buffer *b);
bool bmwi_mqtt_disconnect(bmwi_buffer *b, int protocol, unsigned reason);
/* The size of such a PUBLISH in bytes. */
size_t bmwi_mqtt_publish_size(int protocol, const bmwi_mqtt_message *message);

/* What some bytes start with. */
typedef enum bmwi_mqtt_frame {
  BMWI_FRAME_PART,  /* an incomplete packet */
  BMWI_FRAME_WHOLE, /* a packet of `size` bytes */
  BMWI_FRAME_LARGE, /* a packet above the maximum */
  BMWI_FRAME_WRONG  /* not a packet */
} bmwi_mqtt_frame;

bmwi_mqtt_frame bmwi_mqtt_measure(const char *data, size_t len, size_t *size);
int bmwi_mqtt_type(const char *data);
/* Decodes a complete packet. Returns the reason code if it is invalid, or 0. */
unsigned bmwi_mqtt_read(bmwi_mqtt_packet *packet, int protocol, const char *data, size_t size);

/* The standard's name for a reason code, or for a return code in a CONNACK of 3.1.1. */
const char *bmwi_mqtt_reason(int protocol, unsigned reason);
/* Section 1.5.4: whether it is UTF-8 without U+0000. */
bool bmwi_mqtt_is_text(bmwi_bytes text);
/* What is wrong with a topic, or with a filter, which may have wildcards; NULL: nothing. */
const char *bmwi_mqtt_topic_fault(bmwi_bytes topic, bool filter);

#pragma GCC visibility pop

#endif
