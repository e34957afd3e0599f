/*
** Verdicts: see verdict.h.
*/
#include "core/verdict.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

#define MAX_RETRY_AFTER 86400.0
#define RATE_LIMIT_PAUSE 300.0 /* seconds, if a 429 does not say */
#define PASSWORD_PAUSE 60.0    /* seconds between log-ins by password to a server that fails */

void bmwi_failure_set(bmwi_failure *failure, bmwi_code code, const char *text) {
  memset(failure, 0, sizeof *failure);
  failure->code = code;
  failure->retry_after = -1;
  failure->retryable = code == BMWI_NETWORK || code == BMWI_TIMEOUT;
  bmwi_cut(failure->text, sizeof failure->text, text);
  bmwi_sanitize(failure->text); /* libcurl's messages may quote the server's certificate */
}

void bmwi_sanitize(char *text) {
  for (unsigned char *p = (unsigned char *)text; *p != '\0'; p++) {
    if (*p < 32 || *p == 127) *p = ' ';
    else if (p[0] == 0xC2 && p[1] >= 0x80 && p[1] < 0xA0) p[0] = p[1] = ' '; /* C1 in UTF-8 */
  }
}

static bmwi_code transport_code(const bmwi_transfer *t) {
  switch (t->result) {
    case CURLE_OPERATION_TIMEDOUT: return BMWI_TIMEOUT;
    case CURLE_OUT_OF_MEMORY: return BMWI_NO_MEMORY;
    case CURLE_SSL_CONNECT_ERROR: return t->reset ? BMWI_NETWORK : BMWI_TLS;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_SSL_ENGINE_SETFAILED:
    case CURLE_SSL_ENGINE_INITFAILED: return BMWI_TLS;
    default: return t->too_large ? BMWI_TOO_LARGE : BMWI_NETWORK;
  }
}

static bmwi_code status_code(bmwi_asked asked, long status) {
  if (asked == BMWI_ASKED_TOKEN && status == 400) return BMWI_AUTH;
  switch (status) {
    case 401: return BMWI_AUTH;
    case 403: return BMWI_FORBIDDEN;
    case 404: return BMWI_NOT_FOUND;
    case 410: return BMWI_GONE;
    case 429: return BMWI_RATE_LIMITED;
    default: return status >= 500 && status <= 599 ? BMWI_SERVER : BMWI_HTTP;
  }
}

static bool passing_status(long status) {
  return status == 408 || status == 429 || status == 500 || (status >= 502 && status <= 504) ||
         (status >= 520 && status <= 524); /* from a CDN: the origin server failed */
}

/* Statuses of a gateway that may have forwarded the request before it gave up: 408, a closed
** connection (460, 499), and all server errors. */
static bool perhaps_passed_on(long status) {
  return status == 408 || status == 460 || status == 499 || status >= 500;
}

/* The response to a POST was lost, or a gateway or server failed while handling it: the car may
** have received the command anyway. */
static void mark_unknown(bmwi_failure *failure) {
  failure->code = BMWI_UNKNOWN;
  failure->retryable = false;
}

/* Without user, query and fragment, which may hold a secret. */
static void note_location(bmwi_failure *failure, const char *url) {
  const char *host = strstr(url, "://");
  size_t room = sizeof failure->location;
  host = host != NULL ? host + 3 : url;
  size_t named = strcspn(host, "/?#"), user = 0;
  for (size_t i = 0; i < named; i++)
    if (host[i] == '@') user = i + 1;
  snprintf(failure->location, room, "%.*s%.*s", (int)(host - url), url,
           (int)(strcspn(host, "?#") - user), host + user);
}

bool bmwi_explain(const bmwi_transfer *t, bmwi_asked asked, bmwi_failure *failure) {
  if (t->result != CURLE_OK) {
    bmwi_code code = transport_code(t);
    bmwi_failure_set(
      failure, code,
      t->error != NULL && t->error[0] != '\0' ? t->error : curl_easy_strerror((CURLcode)t->result));
    if (code == BMWI_TOO_LARGE)
      bmwi_failure_set(failure, code,
                       t->body.full ? "the response is larger than max_response_bytes"
                                    : "the response's headers are too large");
    if (asked == BMWI_ASKED_COMMAND && t->sent) mark_unknown(failure);
    return false;
  }
  if (t->status >= 200 && t->status <= 299) return true;
  bmwi_failure_set(failure, status_code(asked, t->status), "");
  snprintf(failure->text, sizeof failure->text, "HTTP %ld", t->status);
  failure->status = t->status;
  failure->retryable = passing_status(t->status);
  if (t->retry_after >= 0)
    failure->retry_after = t->retry_after < MAX_RETRY_AFTER ? t->retry_after : MAX_RETRY_AFTER;
  if (t->location != NULL && t->status < 400) note_location(failure, t->location);
  if (asked == BMWI_ASKED_COMMAND && perhaps_passed_on(t->status)) mark_unknown(failure);
  return false;
}

bool bmwi_oauth_refuses(const char *error) {
  /* Transient errors that a server may report here. */
  static const char *const passing[] = {
    "temporarily_unavailable", "server_error",        "internal_error",
    "internal_server_error",   "unknown_error",       "slow_down",
    "too_many_requests",       "rate_limit_exceeded", "timeout",
  };
  /* A gateway may put the status text here: "Forbidden". RFC 6749's error codes are lower case. */
  if (error[0] < 'a' || error[0] > 'z') return false;
  for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++)
    if (strcmp(error, passing[i]) == 0) return false;
  return true;
}

bmwi_verdict bmwi_judge_token(bmwi_failure *failure) {
  long status = failure->status;
  if (failure->oauth) failure->code = BMWI_AUTH;
  if (failure->code == BMWI_AUTH) { /* 400 and 401 are, whatever the body says */
    failure->retryable = false;
    return BMWI_GRANT_REFUSED;
  }
  bool gateway = status == 403 || status == 408 || status == 429;
  return status >= 300 && status <= 499 && !gateway ? BMWI_REQUEST_REFUSED : BMWI_NOTHING_REFUSED;
}

double bmwi_token_pause(const bmwi_failure *failure, bool password) {
  bmwi_code code = failure->code;
  if (failure->retry_after >= 0) return failure->retry_after;
  if (code == BMWI_RATE_LIMITED) return RATE_LIMIT_PAUSE;
  bool deaf = code == BMWI_FORBIDDEN || code == BMWI_JSON || code == BMWI_TOO_LARGE;
  return password && deaf ? PASSWORD_PAUSE : 0;
}
