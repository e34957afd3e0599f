/*
** The state of operations: the operation, the session whose token it waits for, and the account of
** both. The rules are in attempt.h, session.h, op.h and account.h. */
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

/* What this layer must know about a request. A service's endpoint begins with it. */
typedef struct bmwi_exchange {
  const char *name;   /* used in messages and by the log hook */
  const char *method; /* "GET", "POST", "DELETE" */
  const char *accept; /* the whole header line; NULL: JSON */
  const char *header; /* an additional line; NULL: none */
  bool metered;       /* each request counts towards a quota: never repeated automatically */
  bool command;       /* sent only once; its outcome is unknown if the response is lost */
} bmwi_exchange;

typedef enum bmwi_kind {
  BMWI_CALL,    /* an exchange with the service */
  BMWI_LOGIN,   /* only makes sure that there is a valid token */
  BMWI_RENEW,   /* the same, but never logs in; its body holds a token that must be replaced */
  BMWI_TOKEN,   /* the token request itself; a session owns it */
  BMWI_SLEEP,   /* until its deadline (below 0: until cancelled), or until its account is closed */
  BMWI_RECEIVE, /* until its deadline (as above), or its feed has something */
  BMWI_LOST     /* finished, but its outcome could not be delivered */
} bmwi_kind;

/* Something other than a response that an operation waits for. */
typedef struct bmwi_feed {
  struct bmwi_op *waiter;            /* one at a time; NULL: none */
  const struct bmwi_feed_face *face; /* how the binding delivers its content */
} bmwi_feed;

typedef struct bmwi_op {
  bmwi_transfer transfer;
  bmwi_kind kind;
  enum { BMWI_NEW, BMWI_WAITING, BMWI_ASKING, BMWI_RUNNING, BMWI_BACKOFF, BMWI_FINISHED } state;
  bmwi_engine *engine;
  bmwi_account *account;              /* NULL if it has none, and once the client is closed */
  const struct bmwi_service *service; /* of its account, which may end before it */
  bmwi_session *session;
  struct bmwi_op *previous, *next; /* all operations of the account */
  struct bmwi_op *next_waiting;    /* for the session's token */
  bmwi_feed *feed;                 /* of a receive */
  const bmwi_exchange *exchange;   /* of a call */
  bmwi_buffer url, body;
  const char *content_type; /* of the body; NULL: a form */
  double deadline;          /* monotonic, for everything together */
  int attempt;
  bool renewed;        /* was already sent again after a 401 */
  bool newly_own;      /* its resource was found to refuse new tokens too */
  unsigned generation; /* of the token it was sent with */
  /* NULL unless it finished without a response. It may be a constant: only attempt.c sets it. */
  const bmwi_failure *failure;
  int slot; /* where the binding keeps it while a coroutine waits for it; 0: nowhere */
} bmwi_op;

#define BMWI_MAX_REQUEST (1024 * 1024) /* of an URL and of a body */
#define BMWI_RETRY_BUDGET 20.0         /* for each server */
#define BMWI_SESSIONS 3                /* maximum for one account */

/* A server and its token. */
struct bmwi_session {
  char *base_url, *token_url;
  bmwi_token token;
  unsigned generation; /* counts the tokens */
  unsigned refused;    /* the generation that the server refused although it was new */
  unsigned untried; /* the generation that replaced a refused token and has not been accepted yet */
  bool kept;        /* tokens are shared with other processes: ask for theirs first */
  bool begun;       /* the token store waits for the end of the renewal */
  bool granted;     /* there is a new token: waiting operations continue after the hooks */
  bool announce;    /* on_token is to be called */
  bool refreshing;  /* the running token request is a refresh grant */
  bool by_resource; /* the token is renewed because a resource refused it */
  bool forced;      /* an explicit log-in: earlier refusals do not count */
  bmwi_op request;  /* the token request */
  bmwi_device_login device; /* the log-in with a code, while it is in progress */
  bmwi_op *waiting;         /* operations that wait for it */
  bmwi_failure auth_error;  /* of the log-in; sticky: not retried automatically */
  double auth_error_until;  /* monotonic, or HUGE_VAL if it is permanent */
  bool auth_error_shared;   /* reported by the server: other processes should know it */
  uint64_t *resources; /* those that refuse a new token too: their 401 is not about the token */
  size_t resource_count;
  double retry_credit; /* remaining retry budget */
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
  char *login_url, *device_url, *client_id; /* for a public client: log-in with a code */
  char *stream_url;                         /* the broker of the service's live data */
  long daily_limit;
  char *username, *password, *api_key, *api_secret, *basic, *scope, *document_field;
  bool has_position;
  double lat, lon; /* degrees */
  char *event;     /* the id of the last event that the server named */
  double timeout;
  long retries;
  bool closed;
  bool logs;                            /* there is a log hook */
  bool records;                         /* a recorder gets each response as received */
  int hooks;                            /* client hooks that are running */
  int pins;                             /* users of data that closing the client would wipe */
  bmwi_session sessions[BMWI_SESSIONS]; /* one per region, or only the first */
  int session_count, home;
  bmwi_route *routes; /* which session serves which car, if known */
  size_t route_count;
  bmwi_op *ops;
  bmwi_queue connections; /* to brokers */
};

/* What the binding must do with an operation whose transfer is complete. */
typedef enum bmwi_next {
  BMWI_GO_ON,     /* nothing: sent again, pausing or waiting */
  BMWI_DELIVER,   /* the operation is finished: deliver its results */
  BMWI_ASK_STORE, /* a token is needed: is there a newer one than ours? */
  BMWI_READ_TOKEN /* the token request is complete: decode the answer, then accept or refuse */
} bmwi_next;

#endif
