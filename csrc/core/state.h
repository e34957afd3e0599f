/*
** The state of operations: what one is, the session whose token it waits for, and the account of
** both. The rules are in attempt.h, session.h, op.h and account.h.
*/
#ifndef BMWI_STATE_H
#define BMWI_STATE_H

#include <stdint.h>

#include "core/device.h"
#include "core/engine.h"
#include "core/oauth.h"
#include "core/verdict.h"
#include "core/word.h"

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
  BMWI_CALL,    /* an exchange with the service */
  BMWI_LOGIN,   /* only sees to a good token */
  BMWI_RENEW,   /* the same, but never logs in; its body holds a token that is to be replaced */
  BMWI_TOKEN,   /* the token request itself; a session owns it */
  BMWI_SLEEP,   /* until its deadline (below 0: until it is ended), or its account is closed */
  BMWI_RECEIVE, /* until its deadline (as above), or its feed has something */
  BMWI_LOST     /* finished, but its outcome could not be delivered */
} bmwi_kind;

/* What an operation waits for that is no answer. */
typedef struct bmwi_feed {
  struct bmwi_op *waiter;            /* one at a time; NULL: none */
  const struct bmwi_feed_face *face; /* how the Lua face hands out what it has */
} bmwi_feed;

typedef struct bmwi_op {
  bmwi_transfer transfer;
  bmwi_kind kind;
  enum { BMWI_NEW, BMWI_WAITING, BMWI_ASKING, BMWI_RUNNING, BMWI_BACKOFF, BMWI_FINISHED } state;
  bmwi_engine *engine;
  bmwi_account *account; /* NULL without one, and once the client is closed */
  bmwi_session *session;
  struct bmwi_op *previous, *next; /* all of the account's */
  struct bmwi_op *next_waiting;    /* for the session's token */
  bmwi_feed *feed;                 /* of a receive */
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
  unsigned untried;    /* the generation that replaced a refused token, and has not worked yet */
  bool kept;           /* somebody keeps tokens for several processes: asked first */
  bool begun;          /* the token store waits for the end of the renewal */
  bool granted;        /* there is a new token: those that wait go on when the hooks are done */
  bool announce;       /* on_token is to be called */
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
  char *stream_url;                         /* the broker of the service's live data */
  long daily_limit;
  char *username, *password, *api_key, *api_secret, *basic, *scope, *document_field;
  bool has_position;
  double lat, lon; /* degrees */
  char *event;     /* the id of the last one that the server named */
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
  bmwi_queue connections; /* to brokers */
};

/* What the binding must do with an operation whose transfer is complete. */
typedef enum bmwi_next {
  BMWI_GO_ON,     /* nothing: sent again, pausing or waiting */
  BMWI_DELIVER,   /* the operation is finished: deliver its outcome */
  BMWI_ASK_STORE, /* a token is needed: is there a newer one than ours? */
  BMWI_READ_TOKEN /* the token request is complete: decode the answer, then accept or refuse */
} bmwi_next;

#endif
