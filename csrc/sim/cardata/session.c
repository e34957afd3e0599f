/* Must come first: plain C11 hides sockets. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "session.h"

#include "../world.h"
#include "stream_settings.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RECORDS = 1000, RECORD_SIZE = 16384 /* bytes in a TLS record */ };
static const size_t out_limit = (size_t)64 << 20;
static const double linger_time = 2;

static struct session *sessions;
static json_t *records; /* of connection attempts, oldest first */
static long attempts;
static long received[PACKET_TYPES];
static long sent[PACKET_TYPES];

struct session *session_first(void) {
  return sessions;
}

/* ---- the records ---- */

static void add_record(struct session *session, const struct sockaddr_storage *address) {
  char text[ADDRESS_ROOM];
  address_text(address, text);
  session->record =
    json_pack("{s:I, s:f, s:s}", "n", (json_int_t)++attempts, "at", world_epoch(), "address", text);
  records = records != NULL ? records : json_array();
  if (json_array_size(records) == RECORDS) {
    json_array_remove(records, 0);
  }
  json_array_append(records, session->record);
}

static void record_end(struct session *session, const char *why) {
  if (json_object_get(session->record, "ended") == NULL) {
    json_object_set_new(session->record, "ended", json_string(why));
    json_object_set_new(session->record, "ended_at", json_real(world_epoch()));
  }
}

static json_t *counts(const long of[PACKET_TYPES]) {
  json_t *out = json_object();
  for (int type = 1; type < PACKET_TYPES; type++) {
    if (of[type] > 0) {
      json_object_set_new(out, packet_name(type), json_integer(of[type]));
    }
  }
  return out;
}

static json_t *connections(void) {
  static const char *const phases[] = {"opening", "expecting", "connected", "ending", "ending"};
  json_t *list = json_array();
  for (const struct session *s = sessions; s != NULL; s = s->next) {
    json_t *entry = json_copy(s->record);
    json_object_set_new(entry, "state", json_string(phases[s->phase]));
    json_object_set_new(entry, "frozen", json_boolean(s->frozen));
    json_object_set_new(entry, "unsent", json_integer((json_int_t)(s->out.length - s->sent)));
    json_object_set(entry, "subscriptions", s->filters);
    json_array_append_new(list, entry);
  }
  return list;
}

json_t *sessions_report(void) {
  return json_pack("{s:o, s:I, s:o, s:o, s:o}", "connections", connections(), "attempt_count",
                   (json_int_t)attempts, "attempts",
                   records != NULL ? json_copy(records) : json_array(), "received",
                   counts(received), "sent", counts(sent));
}

void sessions_reset(void) {
  for (struct session *s = sessions; s != NULL; s = s->next) {
    s->over = true;
  }
  json_decref(records);
  records = NULL;
  attempts = 0;
  memset(received, 0, sizeof received);
  memset(sent, 0, sizeof sent);
}

/* ---- lifetime ---- */

void session_open(int fd, const struct sockaddr_storage *address) {
  struct session *session = must_alloc(sizeof *session);
  if (!link_open(&session->link, fd)) {
    free(session);
    return;
  }
  session->filters = json_array();
  session->ready_at = world_now() + stream.handshake_delay;
  session->cut_at = never;
  session->next = sessions;
  sessions = session;
  add_record(session, address);
}

static void session_free(struct session *session) {
  record_end(session, "reset");
  link_close(&session->link, session->ending == END_RESET);
  bytes_free(&session->in);
  bytes_free(&session->out);
  json_decref(session->record);
  json_decref(session->filters);
  json_decref(session->will);
  free(session->client_id);
  free(session->alias_topic);
  free(session);
}

void sessions_sweep(void) {
  for (struct session **at = &sessions; *at != NULL;) {
    struct session *session = *at;
    if (session->over) {
      *at = session->next;
      session_free(session);
    } else {
      at = &session->next;
    }
  }
}

void session_receive(struct session *session, int type) {
  received[type]++;
  session->heard_at = world_now();
}

void session_delay(struct session *session, double seconds) {
  double until = world_now() + seconds;
  session->write_at = until > session->write_at ? until : session->write_at;
}

void session_send_bytes(struct session *session, const struct bytes *bytes) {
  if (session->phase >= ENDING) {
    return;
  }
  if (session->out.length - session->sent + bytes->length > out_limit) {
    session_end(session, "the client does not read", END_RESET);
    return;
  }
  if (session->out.length == 0) {
    session_delay(session, stream.gather);
  }
  bytes_add(&session->out, bytes->at, bytes->length);
}

void session_send(struct session *session, int first_byte, const struct bytes *body) {
  struct bytes packet = {0};
  packet_add(&packet, first_byte, body, (int)stream.length_bytes);
  session_send_bytes(session, &packet);
  bytes_free(&packet);
  sent[first_byte >> 4]++;
}

void session_end(struct session *session, const char *why, enum ending how) {
  record_end(session, why);
  session->ending = how;
  session->phase = session->phase < ENDING ? ENDING : session->phase;
  session->over = session->over || how == END_RESET;
}

/* ---- bytes ---- */

short session_events(const struct session *session) {
  double now = world_now();
  if (session->frozen || now < session->ready_at) {
    return 0;
  }
  if (session->phase == OPENING) {
    return link_wants_write(&session->link) ? POLLOUT : POLLIN;
  }
  bool writing = session->out.length > 0 && now >= session->write_at;
  return (short)(POLLIN | (writing ? POLLOUT : 0));
}

double session_due(const struct session *session) {
  double now = world_now();
  if (session->frozen) {
    return never;
  }
  if (now < session->ready_at) {
    return session->ready_at;
  }
  if (session->phase == LINGERING) {
    return session->linger_until;
  }
  return session->out.length > 0 && now < session->write_at ? session->write_at : never;
}

static void flush(struct session *session) {
  while (session->out.length > 0 && world_now() >= session->write_at) {
    size_t left = session->out.length - session->sent;
    size_t most = stream.chunk >= 1 ? (size_t)stream.chunk : RECORD_SIZE;
    long done =
      link_write(&session->link, session->out.at + session->sent, left < most ? left : most);
    if (done <= 0) {
      session->over = done < 0;
      return;
    }
    session->sent += (size_t)done;
    if (session->sent == session->out.length) {
      session->out.length = 0;
      session->sent = 0;
    }
    if (stream.chunk >= 1) {
      session_delay(session, stream.chunk_pause);
    }
  }
}

/* Keeps reading after the end: closing with unread data would reset the connection, and the client
   would lose what it has not read yet. */
static void fill(struct session *session) {
  char part[RECORD_SIZE];
  for (;;) {
    long got = link_read(&session->link, part, sizeof part);
    session->read_all = got < 0;
    if (got <= 0) {
      return;
    }
    if (session->phase < ENDING) {
      bytes_add(&session->in, part, (size_t)got);
    }
  }
}

static void finish(struct session *session) {
  if (session->phase == ENDING && session->out.length == 0) {
    link_finish(&session->link, session->ending == END_NOTIFY);
    session->phase = LINGERING;
    session->linger_until = world_now() + linger_time;
  } else if (session->phase == LINGERING && world_now() >= session->linger_until) {
    session->over = true;
  }
}

void session_step(struct session *session, short happened) {
  if (session->frozen || session->over || world_now() < session->ready_at) {
    return;
  }
  if (session->read_all) { /* and everything read has been answered */
    record_end(session, "the client's end");
    session->over = true;
    return;
  }
  if (session->phase == OPENING) {
    int done = link_handshake(&session->link);
    if (done < 0) {
      record_end(session, "the TLS handshake failed");
      session->over = true;
    } else if (done > 0) {
      session->phase = EXPECTING;
    }
  }
  if (session->phase == OPENING || session->over) {
    return;
  }
  if (happened != 0) {
    fill(session);
  }
  if (!session->over) {
    flush(session);
    finish(session);
  }
}
