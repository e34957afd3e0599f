/*
** Verdicts: the only place that interprets a finished exchange: which failure it is, whether it is
** transient, and what was refused. No lua.h.
*/
#ifndef BMWI_VERDICT_H
#define BMWI_VERDICT_H

#include "core/engine.h"

#pragma GCC visibility push(hidden)

/* The codes of a failure; their names are in fail.c. */
typedef enum bmwi_code {
  BMWI_OK,
  BMWI_NETWORK,
  BMWI_TIMEOUT,
  BMWI_TLS,
  BMWI_TOO_LARGE,
  BMWI_JSON,
  BMWI_AUTH,
  BMWI_FORBIDDEN,
  BMWI_NOT_FOUND,
  BMWI_GONE,
  BMWI_RATE_LIMITED,
  BMWI_SERVER,
  BMWI_QUOTA,       /* the day's calls are used up */
  BMWI_UNSUPPORTED, /* the service does not offer this */
  BMWI_HTTP,
  BMWI_UNKNOWN, /* the outcome of a POST is unknown: its response was lost */
  BMWI_CLOSED,
  BMWI_CANCELLED,
  BMWI_STORE,    /* a method of the store raised an error */
  BMWI_NO_MEMORY /* raised, never returned */
} bmwi_code;

typedef struct bmwi_failure {
  bmwi_code code;
  long status;           /* HTTP; 0 if there was no response */
  double retry_after;    /* seconds; negative if not given */
  double refused_at;     /* seconds since 1970, of a sticky auth error; else 0 */
  bool retryable;        /* the same call may succeed later */
  bool login;            /* the log-in failed, not the call that needed it */
  bool own;              /* a new token was refused too: the refusal is specific to this resource */
  bool budget;           /* it would have been retried within the retry budget */
  bool oauth;            /* the response has an `error` member of RFC 6749 that is a refusal */
  char text[256];        /* what happened, without secrets and without a full stop */
  char description[320]; /* the service's description, redacted; or empty */
  char api_code[16];     /* "A-2013"; or empty */
  char error[40];        /* OAuth 2.0's error code; or empty */
  char location[256];    /* the target of a redirect, without its query; or empty */
} bmwi_failure;

/* The kind of request. */
typedef enum bmwi_asked { BMWI_ASKED_READING, BMWI_ASKED_COMMAND, BMWI_ASKED_TOKEN } bmwi_asked;

/* Fills a failure without an HTTP status. */
void bmwi_failure_set(bmwi_failure *failure, bmwi_code code, const char *text);
/* Converts a server's text to one line without control characters, for terminals and logs. */
void bmwi_sanitize(char *text);
/* Interprets a response, or the lack of one: fills `failure` and returns false, or returns true for
** a success that is to be decoded. */
bool bmwi_explain(const bmwi_transfer *t, bmwi_asked asked, bmwi_failure *failure);

/* What a response of the token endpoint refuses. */
typedef enum bmwi_verdict {
  BMWI_NOTHING_REFUSED, /* a transient failure, or a gateway's response */
  BMWI_REQUEST_REFUSED, /* the log-in, but not its credentials: a wrong URL, for example */
  BMWI_GRANT_REFUSED    /* the password, the refresh token or the API key */
} bmwi_verdict;

/* Whether the `error` member of a response is a refusal according to OAuth 2.0. */
bool bmwi_oauth_refuses(const char *error);
/* Judges a failed token request whose body has been read. */
bmwi_verdict bmwi_judge_token(bmwi_failure *failure);
/* The number of seconds after such a failure during which no token may be requested; 0: none.
** `password`: it was sent. */
double bmwi_token_pause(const bmwi_failure *failure, bool password);

#pragma GCC visibility pop

#endif
