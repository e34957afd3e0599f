/* A connection of the stream, below the MQTT protocol: reading, sending, ending. */
#ifndef BMWI_SIM_CARDATA_SESSION_H
#define BMWI_SIM_CARDATA_SESSION_H

#include "../link.h"
#include "../listen.h"
#include "../packet.h"
#include "token.h"

enum phase {
  OPENING,   /* in the TLS handshake */
  EXPECTING, /* a CONNECT packet */
  CONNECTED,
  ENDING,   /* still sends what is queued */
  LINGERING /* waits for the client to close, so that it can read everything */
};
enum ending { END_NOTIFY, END_CUT /* without TLS's close_notify */, END_RESET };

struct session {
  struct session *next;
  struct link link;
  struct bytes in;
  struct bytes out;
  size_t sent; /* bytes of `out` */
  enum phase phase;
  enum ending ending;
  bool frozen;   /* neither reads nor writes */
  bool over;     /* to be freed */
  bool read_all; /* the client sends no more */
  double ready_at, write_at, linger_until;
  json_t *record; /* this attempt in the report */

  int protocol; /* 4 or 5; 0: no CONNECT yet */
  char *client_id;
  double keepalive; /* in force; 0: none */
  double heard_at;
  double cut_at;
  const struct id_token *token; /* NULL: not checked (`anyone`) */
  json_t *filters;              /* subscribed topic filters */
  json_t *will;                 /* NULL: none */
  char *alias_topic;            /* what alias 1 stands for */
  unsigned long aliases;        /* how many the client allows */
  unsigned long last_id;
};

struct session *session_first(void);
void session_open(int fd, const struct sockaddr_storage *address);
void sessions_sweep(void); /* frees those that are over; only in the broker's thread */
void sessions_reset(void); /* ends all of them, and clears the report */

void session_send(struct session *session, int first_byte, const struct bytes *body);
void session_send_bytes(struct session *session, const struct bytes *bytes);
void session_delay(struct session *session, double seconds); /* delays queued output */
void session_end(struct session *session, const char *why, enum ending how);
void session_receive(struct session *session, int type); /* counts a received packet */

short session_events(const struct session *session); /* for poll */
double session_due(const struct session *session);
void session_step(struct session *session, short happened);

json_t *sessions_report(void);

#endif
