/*
** Operations: what a call of a method goes through, as a state machine over the
** engine. Needs a token? Renew it or log in, once for all who wait. Send. 401?
** Renew once and send again. Passing trouble? Back off and retry what is safe to
** retry. Done. No lua.h: the Lua face decodes JSON and hands tokens in.
*/
#ifndef BMWI_OP_H
#define BMWI_OP_H

#include <stdint.h>

#include "core/device.h"
#include "core/engine.h"
#include "core/oauth.h"
#include "core/verdict.h"
#include "core/word.h"

#pragma GCC visibility push(hidden)

typedef struct bmwi_account bmwi_account;
typedef struct bmwi_session bmwi_session;

/* What this layer must know of a request. An endpoint of a service begins with it. */
typedef struct bmwi_exchange {
  const char *name;   /* as in messages and in the log hook */
  const char *method; /* "GET", "POST", "DELETE" */
  const char *accept; /* the whole header line; NULL: JSON */
  const char *header; /* one line more; NULL: none */
  bool metered;       /* each time it is sent costs: nothing is repeated without its caller */
  bool command;       /* it acts on something: sent once, and unknown where its answer is lost */
} bmwi_exchange;

typedef enum bmwi_kind {
  BMWI_CALL,  /* an exchange with the service */
  BMWI_LOGIN, /* only sees to a good token */
  BMWI_TOKEN, /* the token request itself; a session owns it */
  BMWI_SLEEP, /* without an account, until its deadline; below 0: until it is ended */
  BMWI_LOST   /* finished, but its outcome could not be handed over */
} bmwi_kind;

typedef struct bmwi_op {
  bmwi_transfer transfer;
  bmwi_kind kind;
  enum { BMWI_NEW, BMWI_WAITING, BMWI_ASKING, BMWI_RUNNING, BMWI_BACKOFF, BMWI_FINISHED } state;
  bmwi_engine *engine;
  bmwi_account *account; /* NULL for a sleep, and once the client is closed */
  bmwi_session *session;
  struct bmwi_op *previous, *next; /* all of the account's */
  struct bmwi_op *next_waiting;    /* for the session's token */
  const bmwi_exchange *exchange;   /* of a call */
  bmwi_buffer url, body;
  const char *content_type; /* of the body; NULL: a form */
  double deadline;          /* monotonic, for everything together */
  int attempt;
  bool renewed;         /* was sent again after a 401 already */
  bool newly_own;       /* its resource was found to refuse new tokens, too */
  unsigned generation;  /* of the token it was sent with */
  bmwi_failure failure; /* its code is BMWI_OK unless it finished without an answer */
} bmwi_op;

#define BMWI_MAX_REQUEST (1024 * 1024) /* of an URL and of a body */
#define BMWI_RETRY_BUDGET 20.0         /* of each server */
#define BMWI_SESSIONS 3                /* of one account, at most */

/* One server with its token. */
struct bmwi_session {
  char *base_url, *token_url;
  bmwi_token token;
  unsigned generation; /* counts the tokens */
  unsigned refused;    /* the generation that the server refused though new */
  bool kept;           /* somebody keeps tokens for several processes: asked first */
  bool begun;          /* the token store waits for the end of the renewal */
  bool granted;        /* there is a new token: those that wait go on when the hooks are done */
  bool announce;       /* it is to be told to whoever wants to know */
  bool refreshing;     /* the running token request is a refresh grant */
  bool by_resource;    /* the token is renewed because a resource refused it */
  bool forced;         /* a log-in is asked for by name: what was refused before does not count */
  bmwi_op request;     /* the token request */
  bmwi_device_login device; /* the log-in by a code, while there is one */
  bmwi_op *waiting;         /* operations that wait for it */
  bmwi_failure auth_error;  /* of the log-in; sticky: not retried by itself */
  double auth_error_until;  /* monotonic, or HUGE_VAL for one that lasts */
  bool auth_error_shared;   /* the server said so: other processes should know */
  uint64_t *resources;      /* that refuse a new token as well: their 401 is their own */
  size_t resource_count;
  double retry_credit; /* what is left of the retry budget */
};

/* Which session serves a car. */
typedef struct bmwi_route {
  char vin[BMWI_VIN_LENGTH + 1];
  int session;
} bmwi_route;

/* The plain C part of a client. */
struct bmwi_account {
  bmwi_engine *engine;
  bmwi_transport transport;
  const struct bmwi_service *service;
  char *service_name;
  char *base_url, *region, *token_path, *token_url, *second_url;
  char *login_url, *device_url, *client_id; /* of a public client: a log-in by a code */
  long daily_limit;
  char *username, *password, *api_key, *api_secret, *basic, *scope, *document_field;
  bool has_position;
  double lat, lon; /* degrees */
  char *event;     /* the id of the last one that the server told of */
  double timeout;
  long retries;
  bool closed;
  bool logs;    /* there is a log hook */
  bool records; /* somebody gets each answer as it came */
  int hooks;    /* of the client that are running */
  int pins;     /* of those that read what is wiped when the client is closed */
  bmwi_session sessions[BMWI_SESSIONS]; /* one per region, or only the first */
  int session_count, home;
  bmwi_route *routes; /* which session serves which car, as far as it is known */
  size_t route_count;
  bmwi_op *ops;
};

/* What the Lua face must do with an operation whose transfer is complete. */
typedef enum bmwi_next {
  BMWI_GO_ON,     /* nothing: sent again, pausing or waiting */
  BMWI_DELIVER,   /* the operation is finished: hand its outcome over */
  BMWI_ASK_STORE, /* a token is needed: is there a newer one than ours? */
  BMWI_READ_TOKEN /* the token request is complete: decode the answer, then accept or refuse */
} bmwi_next;

void bmwi_op_init(bmwi_op *op, bmwi_engine *engine, bmwi_kind kind);
void bmwi_op_join(bmwi_op *op, bmwi_account *account, bmwi_session *session,
                  const bmwi_exchange *exchange);
/* Starts it (a sleep ends at its deadline). It comes back through
** bmwi_engine_next, also when it failed at once. */
void bmwi_op_start(bmwi_op *op);
/* Moves an operation on whose transfer has come back. */
bmwi_next bmwi_op_advance(bmwi_op *op);
/* Finishes it early; it comes back as any other. */
void bmwi_op_cancel(bmwi_op *op, bmwi_code code, const char *text);
/* Gives back all it holds, whatever it is doing. */
void bmwi_op_release(bmwi_op *op);
/* Takes it out of its account. */
void bmwi_op_leave(bmwi_op *op);

/* Takes a decoded token (its texts are moved); go_on lets the waiting go on. */
void bmwi_session_accept(bmwi_session *session, bmwi_token *token);
/* The token store's answers: a token to take over if it is another than ours (true: it
** is good, and the waiting go on), ask again later, or go on and request one. */
bool bmwi_session_take(bmwi_session *session, bmwi_token *token);
void bmwi_session_ask_later(bmwi_session *session, double seconds);
void bmwi_session_request(bmwi_session *session);
/* Notes a resource that refuses new tokens. False if it was, or cannot be. */
bool bmwi_session_note(bmwi_session *session, uint64_t resource);
/* The token request failed, or its answer was no token. True if it goes on, since it is
** retried, or with the password in place of a refused refresh token; nobody is told yet. */
bool bmwi_session_refuse(bmwi_session *session, const bmwi_failure *failure);
/* A number of eight bits that changes, nearly always, with what a log-in is made with. It tells a
** changed password from the one that was refused, and far too little about either to guess it. */
unsigned bmwi_session_trace(const bmwi_session *session);
/* Another process's auth error of the same log-in, which lasts `seconds` (HUGE_VAL: for good). */
void bmwi_session_recall(bmwi_session *session, const bmwi_failure *failure, double seconds);
/* The answer with the code was read: keeps it, and begins to poll once somebody was told of it. */
bool bmwi_session_take_code(bmwi_session *session, const char *code, double interval,
                            double lifetime);
bool bmwi_session_poll(bmwi_session *session);
/* Fails the waiting, whatever has become of the token. */
void bmwi_session_fail(bmwi_session *session, const bmwi_failure *failure);
/* After the answer was read: if that broke off without either, fails the waiting. */
void bmwi_session_settle(bmwi_session *session);
/* After the hooks: with a new token the waiting go on. */
void bmwi_session_go_on(bmwi_session *session);

/* What the answer, or the missing answer, of its last exchange means: fills
** `failure` and returns false, or true if it is a success to be decoded. */
bool bmwi_op_explain(const bmwi_op *op, bmwi_failure *failure);

#pragma GCC visibility pop

#endif
