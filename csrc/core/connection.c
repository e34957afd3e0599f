/*
** Connections: see connection.h. Contains the rules for keepalive, back-pressure and
** acknowledgement.
*/
#include "core/connection.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#include "core/attempt.h"
#include "core/clock.h"
#include "core/redact.h"

#define CHUNK ((size_t)16 * 1024) /* maximum size of a TLS record */
#define TURN (4 * CHUNK)          /* read before others get their turn */
#define PLENTY (4 * CHUNK)        /* unread packets: beyond this, reading stops */
#define PONG 15.0                 /* seconds to wait for PINGRESP */
#define SLACK ((size_t)64 * 1024) /* room in the send buffer for everything but PUBLISH */
#define ACK 8                     /* maximum size of a PUBACK in bytes */

static bmwi_connection *connection_of(bmwi_stream *stream) {
  return (bmwi_connection *)((char *)stream - offsetof(bmwi_connection, stream));
}

/* ---- closing --------------------------------------------------------------------------------- */

static void drop_stream(bmwi_connection *c) {
  if (c->engine != NULL && bmwi_engine_mine(c->engine)) bmwi_stream_close(&c->stream);
  bmwi_buffer_free(&c->out);
  bmwi_drop(&c->secret);
}

/* Packets received before are still delivered. */
static void end(bmwi_connection *c, const bmwi_failure *failure) {
  static const char *const names[] = {"connect", "connack", "session"};
  if (c->phase == BMWI_ENDED) return;
  c->failed_in = names[c->phase];
  c->phase = BMWI_ENDED;
  c->failure = *failure;
  if (c->transport != NULL) {
    bmwi_redact(c->failure.text, c->transport->proxy, 4);
    bmwi_redact(c->failure.text, c->transport->proxy_password, 4);
  }
  drop_stream(c);
  bmwi_feed_wake(&c->feed);
}

static void end_with(bmwi_connection *c, bmwi_code code, const char *text) {
  bmwi_failure failure;
  bmwi_failure_set(&failure, code, text);
  end(c, &failure);
}

/* Ends it with libcurl's error. */
static void end_by_curl(bmwi_connection *c) {
  const bmwi_stream *stream = &c->stream;
  bmwi_transfer t = {.result = stream->result, .reset = stream->reset, .error = stream->error};
  bmwi_failure failure;
  /* A broker without TLS answers the handshake by an end or, as mosquitto, by a reset. */
  if (t.result == CURLE_SSL_CONNECT_ERROR) t.reset = false;
  bmwi_explain(&t, BMWI_ASKED_READING, &failure);
  /* The handshake was not finished: the server, or a proxy before it, may be restarting. What the
  ** library says about it does not tell that from a lasting failure. */
  if (t.result == CURLE_SSL_CONNECT_ERROR) failure.retryable = true;
  if (c->transport != NULL &&
      bmwi_transport_explain(c->transport, t.result, t.error, failure.text, sizeof failure.text))
    failure.retryable = false;
  end(c, &failure);
}

/* The failure codes for reasons of CONNACK and DISCONNECT, if not "server". */
static const struct {
  int protocol;
  unsigned reason;
  bmwi_code code;
} codes[] = {
  {4, 4, BMWI_AUTH},    {4, 5, BMWI_AUTH},    {5, 0x86, BMWI_AUTH},
  {5, 0x87, BMWI_AUTH}, {5, 0x8C, BMWI_AUTH}, {5, 0x8A, BMWI_FORBIDDEN},
};

/* Redacted before it is truncated. Omitted if there is no memory. */
static void note_words(const bmwi_connection *c, bmwi_failure *failure, bmwi_bytes said) {
  bmwi_buffer words;
  bmwi_buffer_init(&words, BMWI_MQTT_MAX_TEXT, true);
  if (said.len > 0 && bmwi_buffer_add(&words, said.data, said.len)) {
    bmwi_sanitize(words.data);
    bmwi_redact(words.data, c->secret, 4);
    bmwi_cut(failure->description, sizeof failure->description, words.data);
  }
  bmwi_buffer_free(&words);
}

/* The server refused or disconnected. */
static void end_by_server(bmwi_connection *c, const bmwi_mqtt_packet *packet) {
  bmwi_failure failure;
  char text[96];
  bmwi_code code = BMWI_SERVER;
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
    if (codes[i].protocol == c->protocol && codes[i].reason == packet->reason) code = codes[i].code;
  c->reason = (int)packet->reason;
  snprintf(text, sizeof text, "the server %s: %u (%s)",
           packet->type == BMWI_MQTT_CONNACK ? "refused the connection" : "disconnected",
           packet->reason, bmwi_mqtt_reason(c->protocol, packet->reason));
  bmwi_failure_set(&failure, code, text);
  failure.retryable = code == BMWI_SERVER;
  note_words(c, &failure, packet->reason_string);
  end(c, &failure);
}

/* After this, the start of the next packet is unknown. */
static void end_by_fault(bmwi_connection *c, unsigned reason) {
  bmwi_failure failure;
  char text[96];
  snprintf(text, sizeof text, "the server broke the protocol: %s",
           reason == BMWI_MQTT_TOO_LARGE ? "a packet of more than 1 MiB"
                                         : bmwi_mqtt_reason(5, reason));
  bmwi_failure_set(&failure, BMWI_SERVER, text);
  if (c->phase == BMWI_ENDED) { /* it ended before this was delivered */
    c->failure = failure;
    c->reason = -1;
    c->eof = false;
    return;
  }
  if (c->phase == BMWI_CONNECTED && c->protocol == 5 && c->written == c->out.len) {
    bmwi_buffer_clear(&c->out);
    size_t done;
    if (bmwi_mqtt_disconnect(&c->out, c->protocol, reason))
      bmwi_stream_write(&c->stream, c->out.data, c->out.len, &done);
  }
  end(c, &failure);
}

/* ---- sending --------------------------------------------------------------------------------- */

/* False: the connection is broken. */
static bool write_out(bmwi_connection *c) {
  bmwi_io io = BMWI_IO_DONE;
  while (io == BMWI_IO_DONE && c->written < c->out.len) {
    size_t done = 0;
    io = bmwi_stream_write(&c->stream, c->out.data + c->written, c->out.len - c->written, &done);
    if (io != BMWI_IO_DONE) break;
    c->written += done;
    c->wrote = bmwi_now();
  }
  if (io == BMWI_IO_FAILED || io == BMWI_IO_EOF) return false;
  if (c->written < c->out.len || c->written == 0) return true;
  c->written = 0;
  bmwi_buffer_clear(&c->out);
  if (!c->out.secret) return true;
  bmwi_buffer_free(&c->out); /* CONNECT, with the password, has been sent */
  bmwi_buffer_init(&c->out, BMWI_MQTT_MAX_PACKET + SLACK, false);
  return true;
}

/* Frees the part of the buffer that has been sent. */
static void compact_out(bmwi_connection *c) {
  if (c->written == 0 || c->written < c->out.len / 2) return;
  memmove(c->out.data, c->out.data + c->written, c->out.len - c->written);
  c->out.len -= c->written;
  c->written = 0;
}

static void serve_soon(bmwi_connection *c) { bmwi_stream_wake(&c->stream, bmwi_now()); }

/* ---- receiving ------------------------------------------------------------------------------- */

static void greeted(bmwi_connection *c, const bmwi_mqtt_packet *packet) {
  if (packet->reason != BMWI_MQTT_SUCCESS) {
    c->looked = c->taken;
    if (packet->older) c->protocol = 4;
    end_by_server(c, packet);
    return;
  }
  c->phase = BMWI_CONNECTED;
  if (packet->keepalive > 0) c->keepalive = (double)packet->keepalive;
  c->max_packet =
    packet->max_packet < BMWI_MQTT_MAX_PACKET ? packet->max_packet : BMWI_MQTT_MAX_PACKET;
  c->receive_maximum = packet->receive_maximum;
  c->max_qos = packet->max_qos;
  c->no_retain = packet->no_retain;
}

/* Inspects a packet on arrival. PUBLISH and everything for the caller is left in the buffer. */
static void look(bmwi_connection *c, const char *data, size_t size) {
  bmwi_mqtt_packet packet;
  int type = bmwi_mqtt_type(data);
  bool greeting = type == BMWI_MQTT_CONNACK;
  if (greeting != (c->phase == BMWI_GREETS)) {
    end_by_fault(c, BMWI_MQTT_PROTOCOL_ERROR);
    return;
  }
  if (type == BMWI_MQTT_PUBLISH || type == BMWI_MQTT_PUBACK || type == BMWI_MQTT_SUBACK) return;
  unsigned fault = bmwi_mqtt_read(&packet, c->protocol, data, size);
  if (fault != 0) end_by_fault(c, fault);
  else if (greeting) greeted(c, &packet);
  else if (type == BMWI_MQTT_PINGRESP) c->pong = 0;
  else end_by_server(c, &packet); /* DISCONNECT */
}

static void look_at_all(bmwi_connection *c) {
  size_t size;
  while (c->phase != BMWI_ENDED && c->looked < c->in.len) {
    const char *data = c->in.data + c->looked;
    bmwi_mqtt_frame frame = bmwi_mqtt_measure(data, c->in.len - c->looked, &size);
    if (frame == BMWI_FRAME_PART) return;
    if (frame == BMWI_FRAME_LARGE) end_by_fault(c, BMWI_MQTT_TOO_LARGE);
    else if (frame == BMWI_FRAME_WRONG) end_by_fault(c, BMWI_MQTT_MALFORMED);
    else look(c, data, size);
    if (c->phase != BMWI_ENDED) c->looked += size;
  }
}

/* Room for another chunk. */
static bool make_room(bmwi_connection *c) {
  bool roomy = c->in.cap > c->in.len + CHUNK;
  if (c->taken > 0 && (c->taken == c->in.len || !roomy)) {
    c->in.len -= c->taken;
    c->looked -= c->taken;
    memmove(c->in.data, c->in.data + c->taken, c->in.len);
    c->taken = 0;
  }
  return bmwi_buffer_reserve(&c->in, CHUNK);
}

/* Whether enough data waits for the caller. A single packet is always read completely. */
static bool has_plenty(const bmwi_connection *c) {
  return c->pins > 0 || (c->looked > c->taken && c->in.len - c->taken >= PLENTY);
}

/* Returns whether there may be more to read. */
static bool read_in(bmwi_connection *c) {
  size_t total = 0, done;
  while (c->phase != BMWI_ENDED && !has_plenty(c)) {
    if (total >= TURN) return true;
    if (!make_room(c)) {
      end_with(c, BMWI_NO_MEMORY, "not enough memory");
      return false;
    }
    bmwi_io io = bmwi_stream_read(&c->stream, c->in.data + c->in.len, CHUNK, &done);
    if (io == BMWI_IO_AGAIN) {
      c->held = false;
      return false;
    }
    if (io == BMWI_IO_EOF) {
      c->eof = true;
      end_with(c, BMWI_NETWORK, "the server closed the connection");
    } else if (io == BMWI_IO_FAILED) {
      end_by_curl(c);
    } else {
      c->in.len += done;
      total += done;
      look_at_all(c);
    }
  }
  c->held = true;
  return false;
}

/* ---- timing ---------------------------------------------------------------------------------- */

static void keep_alive(bmwi_connection *c, bool more) {
  double now = bmwi_now();
  if (c->phase < BMWI_CONNECTED) {
    if (now >= c->deadline)
      end_with(c, BMWI_TIMEOUT,
               c->phase == BMWI_GREETS ? "the server did not answer CONNECT within connect_timeout"
                                       : "no connection within connect_timeout");
    return;
  }
  /* A PINGRESP may be behind the unread data. */
  if (c->pong > 0 && (more || c->held)) c->pong = now + PONG;
  if (c->pong > 0 && now >= c->pong) {
    end_with(c, BMWI_TIMEOUT, "the server did not answer PINGREQ");
    return;
  }
  if (c->written < c->out.len) { /* nothing could be written for a long time */
    if (now >= c->wrote + c->keepalive + PONG)
      end_with(c, BMWI_TIMEOUT, "the server has stopped reading");
    return;
  }
  if (now < c->wrote + c->keepalive) return;
  if (!bmwi_mqtt_pingreq(&c->out)) return; /* tried again next time */
  c->wrote = now;
  if (c->pong == 0) c->pong = now + PONG;
}

/* Schedules when it must be served next, and for which events. */
static void plan(bmwi_connection *c, bool more) {
  double wake = c->deadline;
  if (c->phase == BMWI_CONNECTED) {
    wake = c->wrote + c->keepalive + (c->written < c->out.len ? PONG : 0);
    if (c->pong > 0 && c->pong < wake) wake = c->pong;
  }
  bmwi_stream_wake(&c->stream, more ? bmwi_now() : wake);
  if (c->stream.open) bmwi_stream_watch(&c->stream, !c->held, c->written < c->out.len);
}

/* Whether a packet can be delivered: there must be room for the acknowledgement that it
** requires. */
bool bmwi_connection_ready(const bmwi_connection *c) {
  if (c->phase == BMWI_ENDED) return true;
  return c->taken < c->looked && c->out.max - c->out.len >= ACK;
}

static void exchange(bmwi_connection *c) {
  bool works = write_out(c), more = read_in(c); /* read what arrived before it broke */
  if (c->phase != BMWI_ENDED && !works && !more) end_by_curl(c);
  if (c->phase != BMWI_ENDED) keep_alive(c, more);
  if (c->phase != BMWI_ENDED) works = write_out(c) && works;
  if (c->phase != BMWI_ENDED) plan(c, more || !works);
}

static void serve(bmwi_stream *stream, bmwi_streams *streams) {
  bmwi_connection *c = connection_of(stream);
  if (streams == NULL) {
    bmwi_connection_free(c);
    return;
  }
  if (stream->open) {
    if (c->phase == BMWI_CONNECTS) c->phase = BMWI_GREETS;
    exchange(c);
  } else if (stream->result != 0) {
    end_by_curl(c);
  } else {
    keep_alive(c, false);
    if (c->phase != BMWI_ENDED) plan(c, false);
  }
  if (bmwi_connection_ready(c)) bmwi_feed_wake(&c->feed);
}

void bmwi_connection_tend(bmwi_connection *c) {
  if (c->phase == BMWI_CONNECTED && c->stream.timer.wake <= bmwi_now())
    bmwi_stream_serve(&c->stream);
}

/* ---- packets for the caller ------------------------------------------------------------------ */

static void free_id(bmwi_connection *c, unsigned id) {
  c->in_use[id / 8] &= (unsigned char)~(1U << id % 8);
}

static bool id_in_use(const bmwi_connection *c, unsigned id) {
  return (c->in_use[id / 8] >> id % 8 & 1) != 0;
}

/* An unused identifier; 0 if all are in use. */
static unsigned next_id(bmwi_connection *c) {
  for (unsigned i = 1; i < BMWI_PACKET_IDS; i++) {
    unsigned id = (c->last_id + i) % BMWI_PACKET_IDS;
    if (id != 0 && !id_in_use(c, id)) return id;
  }
  return 0;
}

static void use_id(bmwi_connection *c, unsigned id) {
  c->last_id = id;
  c->in_use[id / 8] |= (unsigned char)(1U << id % 8);
}

/* Whether the packet is to be delivered to the caller. */
static bool matters(const bmwi_connection *c, const bmwi_mqtt_packet *packet) {
  bool answer = packet->type == BMWI_MQTT_PUBACK || packet->type == BMWI_MQTT_SUBACK;
  return packet->type != BMWI_MQTT_PINGRESP && (!answer || id_in_use(c, packet->id));
}

static void step_over(bmwi_connection *c, size_t size) {
  c->taken += size;
  if (c->held && c->phase != BMWI_ENDED && !has_plenty(c)) serve_soon(c); /* continue reading */
}

bool bmwi_connection_peek(bmwi_connection *c, bmwi_mqtt_packet *packet) {
  /* Reserves room for an acknowledgement, so that no packet is delivered without it. */
  if (c->phase != BMWI_ENDED && !bmwi_buffer_reserve(&c->out, ACK)) return false;
  while (c->taken < c->looked) {
    size_t size;
    const char *data = c->in.data + c->taken;
    bmwi_mqtt_measure(data, c->looked - c->taken, &size);
    unsigned fault = bmwi_mqtt_read(packet, c->protocol, data, size);
    if (fault != 0) {
      c->looked = c->taken;
      end_by_fault(c, fault);
      return false;
    }
    c->peeked = size;
    if (matters(c, packet)) return true;
    step_over(c, size);
  }
  return false;
}

void bmwi_connection_took(bmwi_connection *c, const bmwi_mqtt_packet *packet) {
  if (c->peeked == 0) return; /* closed meanwhile */
  /* its identifier may be a subscription's, by the server's mistake */
  if (packet->type == BMWI_MQTT_PUBACK && c->unacknowledged > 0) c->unacknowledged--;
  if (packet->type == BMWI_MQTT_PUBACK || packet->type == BMWI_MQTT_SUBACK) free_id(c, packet->id);
  if (packet->type == BMWI_MQTT_PUBLISH && packet->id != 0 && c->phase == BMWI_CONNECTED) {
    bmwi_mqtt_puback(&c->out, packet->id);
    serve_soon(c);
  }
  step_over(c, c->peeked);
  c->peeked = 0;
}

unsigned bmwi_connection_subscribe(bmwi_connection *c, bmwi_bytes filter, int qos) {
  unsigned id = next_id(c);
  compact_out(c);
  if (id == 0 || !bmwi_mqtt_subscribe(&c->out, c->protocol, id, filter, qos)) return 0;
  use_id(c, id);
  serve_soon(c);
  return id;
}

bool bmwi_connection_publish(bmwi_connection *c, const bmwi_mqtt_message *message, unsigned *id) {
  bool counts = message->qos > 0;
  size_t size = bmwi_mqtt_publish_size(c->protocol, message);
  *id = counts ? next_id(c) : 0;
  if (counts && (*id == 0 || c->unacknowledged >= c->receive_maximum)) return false;
  compact_out(c);
  if (c->out.len + size > BMWI_MQTT_MAX_PACKET) return false;
  if (!bmwi_mqtt_publish(&c->out, c->protocol, *id, message)) return false;
  if (counts) {
    c->unacknowledged++;
    use_id(c, *id);
  }
  serve_soon(c);
  return true;
}

/* ---- lifetime -------------------------------------------------------------------------------- */

bool bmwi_connection_open(bmwi_connection *c, bmwi_engine *engine, const char *url,
                          const bmwi_mqtt_login *login) {
  c->engine = engine;
  c->protocol = login->protocol;
  c->keepalive = login->keepalive;
  c->reason = -1;
  c->stream.serve = serve;
  bmwi_buffer_init(&c->in, PLENTY + BMWI_MQTT_MAX_PACKET + 2 * CHUNK, false);
  bmwi_buffer_init(&c->out, BMWI_MQTT_MAX_PACKET + SLACK, true);
  if (login->password.data != NULL) c->secret = bmwi_copy(login->password.data);
  bool ok = (login->password.data == NULL || c->secret != NULL) &&
            bmwi_mqtt_connect(&c->out, login) &&
            bmwi_stream_open(&c->stream, bmwi_engine_streams(engine), url, c->transport);
  c->wrote = bmwi_now();
  c->deadline = c->wrote + c->transport->connect_timeout;
  if (ok) bmwi_stream_wake(&c->stream, c->deadline);
  return ok;
}

/* Sends DISCONNECT if that is possible at once. */
static void send_disconnect(bmwi_connection *c, unsigned reason) {
  bool mine = c->engine != NULL && bmwi_engine_mine(c->engine);
  bool silent = c->protocol == 4 && reason == BMWI_MQTT_WITH_WILL;
  if (!mine || c->phase != BMWI_CONNECTED) return;
  write_out(c);
  if (c->written < c->out.len || silent) return;
  if (bmwi_mqtt_disconnect(&c->out, c->protocol, reason)) write_out(c);
}

static void forget(bmwi_connection *c) {
  c->taken = c->looked = c->peeked = 0;
  if (c->pins == 0) bmwi_buffer_free(&c->in);
  bmwi_queue_leave(&c->link);
  c->transport = NULL;
}

void bmwi_connection_close(bmwi_connection *c, unsigned reason) {
  send_disconnect(c, reason);
  end_with(c, BMWI_CLOSED, "");
  bmwi_failure_set(&c->failure, BMWI_CLOSED, "the connection was closed");
  c->reason = -1;
  c->eof = false;
  forget(c);
}

void bmwi_connection_lose_client(bmwi_connection *c) {
  send_disconnect(c, BMWI_MQTT_SUCCESS);
  end_with(c, BMWI_CLOSED, "the client was closed");
  forget(c);
}

void bmwi_connection_free(bmwi_connection *c) {
  bmwi_connection_close(c, BMWI_MQTT_SUCCESS);
  if (c->feed.waiter != NULL) { /* it may be finished but not delivered yet */
    bmwi_op_cancel(c->feed.waiter, BMWI_CLOSED, "");
    bmwi_attempt_fail(c->feed.waiter, BMWI_CLOSED, "the connection was closed");
  }
  bmwi_feed_leave(&c->feed);
  bmwi_buffer_free(&c->in);
  bmwi_transport_clear(&c->own);
  c->engine = NULL;
}
