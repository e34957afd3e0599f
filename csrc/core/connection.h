/*
** Connections: one to an MQTT broker, from CONNECT to its end, as a state machine over a stream. No
** lua.h. What comes is kept as it came, and decoded when it is handed out; while too much of it is
** there, nothing more is read.
*/
#ifndef BMWI_CONNECTION_H
#define BMWI_CONNECTION_H

#include "core/engine.h"
#include "core/mqtt.h"
#include "core/op.h"
#include "core/stream.h"
#include "core/verdict.h"

#pragma GCC visibility push(hidden)

#define BMWI_PACKET_IDS 65536

typedef struct bmwi_connection {
  bmwi_link link; /* first; in the client's account, if there is a client */
  bmwi_feed feed;
  bmwi_stream stream;
  bmwi_engine *engine;             /* NULL: it was given up */
  bmwi_transport own;              /* where there is no client */
  const bmwi_transport *transport; /* its own or the client's; NULL once the client is closed */
  char *secret;                    /* the password, to know it when it is said back */
  int protocol;
  enum { BMWI_CONNECTS, BMWI_GREETS, BMWI_CONNECTED, BMWI_ENDED } phase;
  bmwi_buffer in, out;
  size_t taken, looked; /* of `in`: what was handed out, and what was looked at when it came */
  size_t written;       /* of `out` */
  size_t peeked;        /* the size of the packet that is being handed out; 0: none */
  int pins;             /* of those that read `in` across calls of Lua: it is left where it is */
  bool held;            /* reading has stopped until some of it was handed out */
  double deadline;      /* to be connected, on the monotonic clock */
  double keepalive;     /* seconds */
  double wrote, pong;   /* when something was last written; when PINGRESP must be there, or 0 */
  /* What the server allows. */
  size_t max_packet;
  unsigned receive_maximum, unacknowledged; /* of PUBLISH with QoS 1 */
  int max_qos;
  bool no_retain;
  unsigned last_id;
  unsigned char in_use[BMWI_PACKET_IDS / 8]; /* packet identifiers, a bit each */
  /* The end. */
  bmwi_failure failure;
  const char *failed_in; /* "connect", "connack" or "session" */
  int reason;            /* of CONNACK or DISCONNECT; negative: the server has not said */
  bool eof;
} bmwi_connection;

/* Begins to connect; `c` is zeroed but for its transport and `feed`. The login's texts are copied.
** False, and nothing is under way, without memory. */
bool bmwi_connection_open(bmwi_connection *c, bmwi_engine *engine, const char *url,
                          const bmwi_mqtt_login *login);
/* Looks at the next packet for the caller: CONNACK (with a success), PUBLISH, PUBACK or SUBACK. Its
** texts stay for as long as the connection is pinned. False: there is none, or no memory. */
bool bmwi_connection_peek(bmwi_connection *c, bmwi_mqtt_packet *packet);
/* It has been handed out. */
void bmwi_connection_took(bmwi_connection *c, const bmwi_mqtt_packet *packet);
/* Whether there is one, or the connection has ended. */
bool bmwi_connection_ready(const bmwi_connection *c);
/* Sees to what is due, where nobody has moved the engine for some time. */
void bmwi_connection_tend(bmwi_connection *c);

/* The packet's identifier, above 0; 0 where it is not taken: the buffer is full, or too many are
** unacknowledged. */
unsigned bmwi_connection_subscribe(bmwi_connection *c, bmwi_bytes filter, int qos);
/* The same; of QoS 0 `*id` is 0. False as above. */
bool bmwi_connection_publish(bmwi_connection *c, const bmwi_mqtt_message *message, unsigned *id);

/* Sends DISCONNECT if that can be done at once, then ends. What has not been handed out is lost. */
void bmwi_connection_close(bmwi_connection *c, unsigned reason);
/* Its client is closed. */
void bmwi_connection_lose_client(bmwi_connection *c);
/* Gives all back. */
void bmwi_connection_free(bmwi_connection *c);

#pragma GCC visibility pop

#endif
