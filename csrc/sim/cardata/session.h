/* One connection of the stream: its bytes and its end, independent of the packets. */
#ifndef BMWI_SIM_CARDATA_SESSION_H
#define BMWI_SIM_CARDATA_SESSION_H

#include "../link.h"
#include "../listen.h"
#include "../packet.h"
#include "token.h"

enum phase {
  OPENING,   /* the TLS handshake */
  EXPECTING, /* a CONNECT */
  CONNECTED,
  ENDING,   /* queued data is still sent */
  LINGERING /* for the client's end, so that it gets to read all of it */
};
enum ending { END_NOTIFY, END_CUT /* without TLS's close_notify */, END_RESET };

struct session {
  struct session *next;
  struct link link;
  struct bytes in;
  struct bytes out;
  size_t sent; /* of `out` */
  enum phase phase;
  enum ending ending;
  bool frozen;   /* reading and writing have stopped */
  bool over;     /* to be freed */
  bool read_all; /* the client sends no more */
  double ready_at, write_at, linger_until;
  json_t *record; /* what the report says of this attempt */

  int protocol; /* 4 or 5; 0: there was no CONNECT yet */
  char *client_id;
  double keepalive; /* in force; 0: none */
  double heard_at;
  double cut_at;
  const struct id_token *token; /* NULL: any client is accepted */
  json_t *filters;              /* of the subscriptions */
  json_t *will;                 /* NULL: none */
  char *alias_topic;            /* what alias 1 stands for */
  unsigned long aliases;        /* how many the client allows */
  unsigned long last_id;
};

struct session *session_first(void);
void session_open(int fd, const struct sockaddr_storage *address);
void sessions_sweep(void); /* frees those that are over; for the broker's thread */
void sessions_reset(void); /* all are over, and forgotten */

void session_send(struct session *session, int first_byte, const struct bytes *body);
void session_send_bytes(struct session *session, const struct bytes *bytes);
void session_hold(struct session *session, double seconds); /* what is not sent yet */
void session_end(struct session *session, const char *why, enum ending how);
void session_receive(struct session *session, int type); /* counts it */

short session_events(const struct session *session); /* for poll */
double session_due(const struct session *session);
void session_step(struct session *session, short happened);

json_t *sessions_report(void);

#endif
