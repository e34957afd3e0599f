/*
** Verdicts: the one place that says what an ended exchange means: which failure
** it is, whether it passes by itself, and what it refuses. No lua.h.
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
  BMWI_UNSUPPORTED, /* the service has no such thing */
  BMWI_HTTP,
  BMWI_UNKNOWN, /* a POST whose answer was lost: nobody knows */
  BMWI_CLOSED,
  BMWI_CANCELLED,
  BMWI_STORE,    /* a hook of the store raised */
  BMWI_NO_MEMORY /* raised, never returned */
} bmwi_code;

typedef struct bmwi_failure {
  bmwi_code code;
  long status;           /* HTTP; 0 when there was no answer */
  double retry_after;    /* seconds; negative when not said */
  double refused_at;     /* seconds since 1970, of a sticky auth error; else 0 */
  bool retryable;        /* the same call may well succeed later */
  bool login;            /* it is the log-in that failed, not the call that needed it */
  bool own;              /* a new token was refused as well: it is this resource that is refused */
  bool budget;           /* it would have been retried, but for the retry budget */
  bool oauth;            /* the answer has the member `error` of RFC 6749 and it refuses */
  char text[256];        /* what happened, without secrets, without a full stop */
  char description[320]; /* what the service says, redacted; or empty */
  char api_code[16];     /* "A-2013"; or empty */
  char error[40];        /* what OAuth 2.0 calls it; or empty */
  char location[256];    /* where a redirect points to, without its query; or empty */
} bmwi_failure;

/* What was asked for. */
typedef enum bmwi_asked { BMWI_ASKED_READING, BMWI_ASKED_COMMAND, BMWI_ASKED_TOKEN } bmwi_asked;

/* Fills a failure with no HTTP status. */
void bmwi_failure_set(bmwi_failure *failure, bmwi_code code, const char *text);
/* Makes a text of strangers one line without control characters: it goes to terminals and logs. */
void bmwi_sanitize(char *text);
/* What an answer, or its absence, means: fills `failure` and returns false, or true if it
** is a success to be decoded. */
bool bmwi_explain(const bmwi_transfer *t, bmwi_asked asked, bmwi_failure *failure);

/* What the answer of the token endpoint refuses. */
typedef enum bmwi_verdict {
  BMWI_NOTHING_REFUSED, /* trouble that passes, or a gateway in between */
  BMWI_REQUEST_REFUSED, /* the log-in, but not what it was made with: a wrong address, say */
  BMWI_GRANT_REFUSED    /* the password, the refresh token or the API key */
} bmwi_verdict;

/* Whether the member `error` of an answer is a refusal by OAuth 2.0. */
bool bmwi_oauth_refuses(const char *error);
/* Judges a failed token request, whose body has been read by now. */
bmwi_verdict bmwi_judge_token(bmwi_failure *failure);
/* After such a failure: for how many seconds no token may be asked for; 0: none. `password`:
** it was sent. */
double bmwi_token_pause(const bmwi_failure *failure, bool password);

#pragma GCC visibility pop

#endif
