/*
** MQTT: the packets of a client, protocol levels 4 (3.1.1) and 5, to and from bytes. Plain C, no
** I/O. "Section" below means one of the OASIS standard, MQTT Version 5.0.
*/
#ifndef BMWI_MQTT_H
#define BMWI_MQTT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"

#pragma GCC visibility push(hidden)

#define BMWI_MQTT_MAX_PACKET (1024 * 1024) /* bytes, header included, both ways */
#define BMWI_MQTT_MAX_TEXT 65535           /* a length of two bytes stands before it */

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

/* Section 2.4, of those that are used by name. */
enum {
  BMWI_MQTT_SUCCESS = 0x00,
  BMWI_MQTT_WITH_WILL = 0x04,
  BMWI_MQTT_MALFORMED = 0x81,
  BMWI_MQTT_PROTOCOL_ERROR = 0x82,
  BMWI_MQTT_NO_ALIAS = 0x94,
  BMWI_MQTT_TOO_LARGE = 0x95,
  BMWI_MQTT_NO_SUCH_QOS = 0x9B
};

/* Bytes in memory of somebody else. */
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

/* What a packet from the server says; its texts are in the bytes that were decoded. */
typedef struct bmwi_mqtt_packet {
  int type;
  unsigned reason;      /* of CONNACK, PUBACK, DISCONNECT */
  bool session_present; /* of CONNACK */
  bool older;           /* a CONNACK of 3.1.1 at level 5: it refuses */
  unsigned id;          /* of PUBLISH with QoS 1, PUBACK, SUBACK */
  bmwi_mqtt_message message;
  bmwi_bytes codes; /* of SUBACK: one byte for each filter */
  /* Properties. */
  bmwi_bytes client_id, reason_string;
  long keepalive; /* negative: the client's own */
  uint32_t max_packet;
  unsigned receive_maximum;
  int max_qos;
  bool no_retain;
} bmwi_mqtt_packet;

/* Each appends one packet; false, and nothing, beyond the buffer's maximum or without memory. */
bool bmwi_mqtt_connect(bmwi_buffer *b, const bmwi_mqtt_login *login);
bool bmwi_mqtt_subscribe(bmwi_buffer *b, int protocol, unsigned id, bmwi_bytes filter, int qos);
bool bmwi_mqtt_publish(bmwi_buffer *b, int protocol, unsigned id, const bmwi_mqtt_message *message);
bool bmwi_mqtt_puback(bmwi_buffer *b, unsigned id);
bool bmwi_mqtt_pingreq(bmwi_buffer *b);
bool bmwi_mqtt_disconnect(bmwi_buffer *b, int protocol, unsigned reason);
/* How many bytes such a PUBLISH has. */
size_t bmwi_mqtt_publish_size(int protocol, const bmwi_mqtt_message *message);

/* What stands at the start of some bytes. */
typedef enum bmwi_mqtt_frame {
  BMWI_FRAME_PART,  /* the packet goes on behind them */
  BMWI_FRAME_WHOLE, /* a packet of `size` bytes */
  BMWI_FRAME_LARGE, /* a packet beyond the maximum */
  BMWI_FRAME_WRONG  /* no packet */
} bmwi_mqtt_frame;

bmwi_mqtt_frame bmwi_mqtt_measure(const char *data, size_t len, size_t *size);
int bmwi_mqtt_type(const char *data);
/* Reads a whole packet. Returns the reason code of what is wrong with it; 0: nothing. */
unsigned bmwi_mqtt_read(bmwi_mqtt_packet *packet, int protocol, const char *data, size_t size);

/* A reason code, or a return code of 3.1.1's CONNACK, in the words of the standard. */
const char *bmwi_mqtt_reason(int protocol, unsigned reason);
/* Section 1.5.4: whether it is UTF-8 without U+0000. */
bool bmwi_mqtt_is_text(bmwi_bytes text);
/* What is wrong with a topic, or with a filter, in which there may be wildcards; NULL: nothing. */
const char *bmwi_mqtt_topic_fault(bmwi_bytes topic, bool filter);

#pragma GCC visibility pop

#endif
