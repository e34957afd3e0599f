/*
** Connections: a connection to an MQTT broker, from CONNECT to its end, as a state machine over a
** stream. No lua.h. Received data is kept unparsed until it is delivered; while too much of it is
** waiting, nothing more is read.
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
  bmwi_link link; /* must be first; in the client's account, if there is a client */
  bmwi_feed feed;
  bmwi_stream stream;
  bmwi_engine *engine;             /* NULL: abandoned */
  bmwi_transport own;              /* used if there is no client */
  const bmwi_transport *transport; /* its own or the client's; NULL once the client is closed */
  char *secret;                    /* the password, so that it can be redacted */
  int protocol;
  enum { BMWI_CONNECTS, BMWI_GREETS, BMWI_CONNECTED, BMWI_ENDED } phase;
  bmwi_buffer in, out;
  size_t taken, looked; /* in `in`: what was delivered, and what was inspected on arrival */
  size_t written;       /* in `out` */
  size_t peeked;        /* the size of the packet being delivered; 0: none */
  int pins;             /* readers of `in` across Lua calls: it must not be moved */
  bool held;            /* reading is paused until some of it is delivered */
  double deadline;      /* for connecting, on the monotonic clock */
  double keepalive;     /* seconds */
  double wrote, pong;   /* when something was last written; when PINGRESP is due, or 0 */
  /* The server's limits. */
  size_t max_packet;
  unsigned receive_maximum, unacknowledged; /* number of PUBLISH packets with QoS 1 */
  int max_qos;
  bool no_retain;
  unsigned last_id;
  unsigned char in_use[BMWI_PACKET_IDS / 8]; /* packet identifiers, one bit each */
  /* How it ended. */
  bmwi_failure failure;
  const char *failed_in; /* "connect", "connack" or "session" */
  int reason;            /* from CONNACK or DISCONNECT; negative: none */
  bool eof;
} bmwi_connection;

/* Starts connecting; `c` is zeroed except for its transport and `feed`. The login's strings are
** copied. False without memory; then nothing has been started. */
bool bmwi_connection_open(bmwi_connection *c, bmwi_engine *engine, const char *url,
                          const bmwi_mqtt_login *login);
/* Reads the next packet for the caller: CONNACK (successful), PUBLISH, PUBACK or SUBACK. Its
** strings stay valid while the connection is pinned. False: there is none, or no memory. */
bool bmwi_connection_peek(bmwi_connection *c, bmwi_mqtt_packet *packet);
/* Marks it as delivered. */
void bmwi_connection_took(bmwi_connection *c, const bmwi_mqtt_packet *packet);
/* Whether there is one, or the connection has ended. */
bool bmwi_connection_ready(const bmwi_connection *c);
/* Does what is due if the engine has not been stepped for a while. */
void bmwi_connection_tend(bmwi_connection *c);

/* Returns the packet identifier, above 0; 0 if it is not accepted because the buffer is full or too
** many are unacknowledged. */
unsigned bmwi_connection_subscribe(bmwi_connection *c, bmwi_bytes filter, int qos);
/* The same; for QoS 0 `*id` is 0. False if not accepted. */
bool bmwi_connection_publish(bmwi_connection *c, const bmwi_mqtt_message *message, unsigned *id);

/* Sends DISCONNECT if that is possible at once, then ends. Undelivered packets are lost. */
void bmwi_connection_close(bmwi_connection *c, unsigned reason);
/* Its client was closed. */
void bmwi_connection_lose_client(bmwi_connection *c);
/* Frees everything. */
void bmwi_connection_free(bmwi_connection *c);

#pragma GCC visibility pop

#endif
