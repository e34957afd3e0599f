/*
** Sessions: see session.h.
*/
#include "core/session.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/attempt.h"
#include "core/clock.h"

#define MAX_RESOURCES 1024
#define LONGEST_PAUSE 86400.0 /* seconds until a store is asked again */

/* ---- waiting ---------------------------------------------------------------- */

void bmwi_session_leave(bmwi_op *op) {
  for (bmwi_op **p = &op->session->waiting; *p != NULL; p = &(*p)->next_waiting) {
    if (*p != op) continue;
    *p = op->next_waiting;
    return;
  }
}

static void fail_waiting(bmwi_session *session, const bmwi_failure *failure) {
  while (session->waiting != NULL) {
    bmwi_op *op = session->waiting;
    session->waiting = op->next_waiting;
    bmwi_attempt_deliver(op, bmwi_attempt_fail_with(op, failure));
  }
}

/* The sticky auth error, unless it is over. */
static bool sticks(const bmwi_session *session, bmwi_failure *failure) {
  double left = session->auth_error_until - bmwi_now();
  if (session->auth_error.code == BMWI_OK || !(left > 0)) return false;
  *failure = session->auth_error;
  if (isfinite(left)) failure->retry_after = left;
  return true;
}

bool bmwi_session_repeat(bmwi_session *session) {
  bmwi_failure failure;
  if (!sticks(session, &failure)) return false;
  session->auth_error_shared = false; /* the store has been told */
  session->request.state = BMWI_NEW;
  fail_waiting(session, &failure);
  return true;
}

/* ---- the token request -------------------------------------------------------- */

/* Makes the form of the token request: the refresh grant if there is a refresh token, else the
** password grant or, if a log-in was requested explicitly, the device grant. */
static bool make_form(bmwi_session *session) {
  const bmwi_account *account = session->request.account;
  bmwi_buffer *form = &session->request.body;
  bmwi_buffer_clear(form);
  bmwi_device_login_clear(&session->device);
  session->refreshing = session->token.refresh != NULL;
  if (session->refreshing)
    return bmwi_oauth_refresh_form(form, session->token.refresh, account->client_id);
  if (account->client_id != NULL)
    return bmwi_device_login_begin(&session->device, form, account->client_id, account->scope);
  return bmwi_oauth_password_form(form, account->username, account->password, account->scope);
}

/* Whether a token can be obtained without a refresh token. */
static bool can_log_in(const bmwi_session *session) {
  const bmwi_account *account = session->request.account;
  return account->client_id != NULL ? session->forced : account->password != NULL;
}

/* Starts the token request. False and a failure if that is not possible. */
static bool request_token(bmwi_session *session, bmwi_failure *failure) {
  bmwi_op *op = &session->request;
  bmwi_account *account = op->account;
  bool refresh = session->token.refresh != NULL;
  bool client = account->basic != NULL || account->client_id != NULL;
  if (!client || (!refresh && !can_log_in(session))) {
    const char *why = account->client_id != NULL
                        ? "not logged in"
                        : "there is no usable token, and no credentials to get one "
                          "(username, password, api_key and api_secret)";
    bmwi_failure_set(failure, BMWI_AUTH, why);
    return false;
  }
  bool ok = make_form(session);
  op->deadline = bmwi_now() + account->timeout;
  op->attempt = 0;
  if (!ok) bmwi_attempt_fail(op, BMWI_NO_MEMORY, "not enough memory");
  else if (bmwi_attempt_send(op) == BMWI_GO_ON) return true;
  op->state = BMWI_NEW;
  *failure = *op->failure;
  return false;
}

/* Starts getting a token; asks the token store first, if there is one. */
static bool start_request(bmwi_session *session, bmwi_failure *failure) {
  if (!session->kept) return request_token(session, failure);
  session->request.state = BMWI_ASKING;
  bmwi_engine_complete(session->request.engine, &session->request.transfer);
  return true;
}

/* Makes the token be renewed before it is used again. */
static void expire(bmwi_session *session, bool by_resource) {
  session->by_resource = by_resource;
  session->token.expires = true;
  session->token.expires_wall = session->token.expires_mono = 0;
}

/* Whether the operation must replace the current token. */
static bool replaces(const bmwi_op *op) {
  const char *access = op->session->token.access;
  return op->kind == BMWI_RENEW && op->body.len > 0 && access != NULL &&
         strcmp(access, op->body.data) == 0;
}

bool bmwi_session_ready(const bmwi_op *op) {
  bmwi_session *session = op->session;
  if (op->kind == BMWI_LOGIN && session->refused == session->generation) {
    expire(session, false); /* it is useless, so an explicit request gets another one */
    /* A renewal would give the same token again; the user is present to confirm a new code. */
    if (op->account->client_id != NULL) bmwi_drop(&session->token.refresh);
  }
  if (replaces(op)) expire(session, false);
  /* Another process may have a newer one. */
  if (op->kind == BMWI_RENEW && session->kept) return false;
  return bmwi_token_good(&session->token, bmwi_wall(), bmwi_now());
}

bmwi_next bmwi_session_wait(bmwi_op *op) {
  bmwi_session *session = op->session;
  bmwi_failure failure;
  if (op->kind == BMWI_LOGIN) {
    session->forced = true;
    session->by_resource = false;
    session->auth_error.code = BMWI_OK;
  }
  /* The store is asked before it is repeated: another process may have logged in. */
  if (!session->kept && sticks(session, &failure)) return bmwi_attempt_fail_with(op, &failure);
  if (session->request.state == BMWI_NEW && !start_request(session, &failure)) {
    failure.login = true;
    return bmwi_attempt_fail_with(op, &failure);
  }
  if (!bmwi_engine_pause(op->engine, &op->transfer, op->deadline))
    return bmwi_attempt_fail(op, BMWI_NO_MEMORY, "not enough memory");
  op->state = BMWI_WAITING;
  op->next_waiting = session->waiting;
  session->waiting = op;
  return BMWI_GO_ON;
}

/* The token request is done: wipes what it sent and received. */
static void wipe_request(bmwi_op *request) {
  request->state = BMWI_NEW;
  bmwi_buffer_clear(&request->body);
  bmwi_buffer_clear(&request->transfer.body);
}

void bmwi_session_accept(bmwi_session *session, bmwi_token *token) {
  /* RFC 6749 section 6: without a new refresh token, the old one remains valid. */
  if (token->refresh == NULL && session->refreshing) {
    token->refresh = session->token.refresh;
    session->token.refresh = NULL;
  }
  if (token->subject == NULL && session->refreshing) {
    token->subject = session->token.subject;
    session->token.subject = NULL;
  }
  bmwi_device_login_clear(&session->device);
  bmwi_token_clear(&session->token);
  session->token = *token;
  memset(token, 0, sizeof *token);
  session->generation++;
  session->auth_error.code = BMWI_OK;
  session->forced = false;
  session->untried = session->by_resource ? session->generation : 0;
  if (!session->by_resource) session->resource_count = 0;
  session->by_resource = false;
  if (session->request.attempt > 0) bmwi_attempt_credit(session, 1);
  session->request.attempt = 0;
  wipe_request(&session->request);
  session->granted = true;
}

void bmwi_session_go_on(bmwi_session *session) {
  if (!session->granted) return;
  session->granted = false;
  bmwi_op *first = NULL; /* the list has the last one first, so it is reversed */
  while (session->waiting != NULL) {
    bmwi_op *op = session->waiting;
    session->waiting = op->next_waiting;
    op->next_waiting = first;
    first = op;
  }
  while (first != NULL) {
    bmwi_op *op = first;
    first = op->next_waiting;
    bmwi_engine_stop(op->engine, &op->transfer);
    bmwi_attempt_deliver(op, bmwi_attempt_send(op));
  }
}

bool bmwi_session_take(bmwi_session *session, bmwi_token *token) {
  const bmwi_token *ours = &session->token;
  double wall = bmwi_wall(), now = bmwi_now();
  if (ours->access != NULL && strcmp(ours->access, token->access) == 0) return false;
  bool good = bmwi_token_good(token, wall, now);
  bool later = !token->expires || /* it is saved in whole seconds */
               (ours->expires && token->expires_wall >= ours->expires_wall - 1);
  if (bmwi_token_good(ours, wall, now) && !(good && later)) return false;
  session->refreshing = false;
  if (good) {
    bmwi_session_accept(session, token);
    return true;
  }
  bmwi_token_clear(&session->token);
  session->token = *token;
  memset(token, 0, sizeof *token);
  /* A renewable token of another log-in clears the auth error, unless a renewal might send the
  ** refused password. */
  if (session->token.refresh != NULL && !can_log_in(session)) session->auth_error.code = BMWI_OK;
  return false;
}

bool bmwi_session_stay(bmwi_session *session) {
  if (!bmwi_token_good(&session->token, bmwi_wall(), bmwi_now())) return false;
  wipe_request(&session->request);
  session->granted = true;
  return true;
}

void bmwi_session_ask_later(bmwi_session *session, double seconds) {
  bmwi_op *op = &session->request;
  if (!(seconds >= 0.01)) seconds = 0.01; /* also rejects NaN */
  if (seconds > LONGEST_PAUSE) seconds = LONGEST_PAUSE;
  if (!bmwi_engine_pause(op->engine, &op->transfer, bmwi_now() + seconds))
    bmwi_session_settle(session);
}

void bmwi_session_request(bmwi_session *session) {
  bmwi_failure failure;
  if (session->request.account == NULL) return; /* what the store returned has closed the client */
  if (request_token(session, &failure)) return;
  failure.login = true; /* nothing was sent, so no server has refused anything */
  bmwi_session_fail(session, &failure);
}

bool bmwi_session_take_code(bmwi_session *session, const char *code, double interval,
                            double lifetime) {
  return bmwi_device_login_take(&session->device, code, interval, lifetime, bmwi_now());
}

bool bmwi_session_poll(bmwi_session *session) {
  bmwi_op *op = &session->request;
  double wake = bmwi_now() + session->device.interval;
  bmwi_buffer_clear(&op->body);
  if (!bmwi_device_login_form(&session->device, &op->body, op->account->client_id) ||
      !bmwi_engine_pause(op->engine, &op->transfer, wake))
    return false;
  op->deadline = wake + op->account->timeout;
  op->state = BMWI_BACKOFF;
  return true;
}

unsigned bmwi_session_trace(const bmwi_session *session) {
  const bmwi_account *account = session->request.account;
  if (account == NULL) return 0;             /* closed by a finalizer meanwhile */
  size_t server = strlen(session->base_url); /* stores keep auth errors by server */
  bool there = strncmp(session->token_url, session->base_url, server) == 0;
  const char *const made_with[] = {account->username,  account->password,
                                   account->basic,     account->scope,
                                   account->client_id, session->token_url + (there ? server : 0)};
  uint64_t h = 0;
  for (size_t i = 0; i < sizeof made_with / sizeof made_with[0]; i++)
    if (made_with[i] != NULL) h = bmwi_hash(h + i + 1, made_with[i], strlen(made_with[i]));
  return (unsigned)(h & 0xFF);
}

bool bmwi_session_recall(bmwi_session *session, const bmwi_failure *failure, double seconds) {
  session->auth_error = *failure;
  session->auth_error.login = true;
  session->auth_error_until = bmwi_now() + seconds;
  return bmwi_session_repeat(session);
}

/* Makes an auth error sticky: a refused log-in until the next explicit log-in, a requested pause
** until it ends. */
static void remember(bmwi_session *session, const bmwi_failure *failure, bmwi_verdict verdict) {
  double pause =
    verdict != BMWI_NOTHING_REFUSED ? HUGE_VAL : bmwi_token_pause(failure, !session->refreshing);
  if (!(pause > 0)) return;
  session->auth_error = *failure;
  session->auth_error.refused_at = bmwi_wall();
  session->auth_error_until = bmwi_now() + pause;
  session->auth_error_shared = verdict != BMWI_NOTHING_REFUSED || failure->retry_after >= 0 ||
                               failure->code == BMWI_RATE_LIMITED;
}

/* The request for a code was refused: requests one for each scope alone, if that may tell why. */
static bool probe(bmwi_session *session, bmwi_failure *failure) {
  bmwi_op *op = &session->request;
  bmwi_account *account = op->account;
  if (session->device.stage != BMWI_DEVICE_CODE || session->waiting == NULL) return false;
  if (!bmwi_device_login_probe(&session->device, &op->body, account->client_id, account->scope,
                               failure))
    return false;
  op->deadline = bmwi_now() + account->timeout;
  op->attempt = 0;
  if (bmwi_attempt_send(op) == BMWI_GO_ON) return true;
  *failure = session->device.refusal;
  return false;
}

bool bmwi_session_refuse(bmwi_session *session, const bmwi_failure *why) {
  bmwi_op *op = &session->request;
  bmwi_failure failure = *why;
  if (probe(session, &failure)) return true;
  bool polls = session->device.stage == BMWI_DEVICE_POLL;
  if (polls && session->waiting != NULL &&
      bmwi_device_login_again(&session->device, &failure, bmwi_now()) && bmwi_session_poll(session))
    return true;
  bmwi_verdict verdict = polls ? BMWI_NOTHING_REFUSED : bmwi_judge_token(&failure);
  if (!polls && verdict == BMWI_NOTHING_REFUSED && bmwi_attempt_again(op, &failure)) return true;
  failure.login = true;
  session->auth_error_shared = false;
  wipe_request(op);
  if (verdict == BMWI_GRANT_REFUSED && session->refreshing) {
    bmwi_drop(&session->token.refresh);
    if (op->account->client_id != NULL) bmwi_device_login_ended(&failure);
    if (can_log_in(session)) {
      if (request_token(session, &failure)) return true;
      failure.login = true;
      verdict = bmwi_judge_token(&failure);
    }
  }
  bool by_code = session->device.stage != BMWI_DEVICE_OFF; /* explicitly requested each time */
  bmwi_device_login_clear(&session->device);
  session->forced = false;
  op->attempt = 0;
  if (!by_code) remember(session, &failure, verdict);
  fail_waiting(session, &failure);
  return false;
}

void bmwi_session_fail(bmwi_session *session, const bmwi_failure *failure) {
  bmwi_device_login_clear(&session->device);
  session->granted = session->forced = false;
  wipe_request(&session->request);
  fail_waiting(session, failure);
}

void bmwi_session_settle(bmwi_session *session) {
  const bmwi_op *op = &session->request;
  bmwi_failure failure;
  if (op->account == NULL || op->state == BMWI_NEW || op->transfer.phase != BMWI_IDLE) return;
  bmwi_failure_set(&failure, BMWI_NO_MEMORY, "not enough memory");
  bmwi_session_refuse(session, &failure);
}

/* ---- resources that refuse the token ------------------------------------------- */

/* A resource is a URL without its query. */
static uint64_t resource_of(const bmwi_op *op) {
  return bmwi_hash(0, op->url.data, strcspn(op->url.data, "?"));
}

static uint64_t *find_resource(const bmwi_session *session, uint64_t resource) {
  for (size_t i = 0; i < session->resource_count; i++)
    if (session->resources[i] == resource) return &session->resources[i];
  return NULL;
}

bool bmwi_session_note(bmwi_session *session, uint64_t resource) {
  size_t count = session->resource_count;
  if (find_resource(session, resource) != NULL || count >= MAX_RESOURCES) return false;
  uint64_t *more = realloc(session->resources, (count + 1) * sizeof *more);
  if (more == NULL) return false; /* this may cost one more renewal */
  session->resources = more;
  more[session->resource_count++] = resource;
  return true;
}

/* Whether another token is useless: this resource has refused a new one too, or the token expires
** at once, as the next one would. */
static bool is_own(const bmwi_op *op, uint64_t resource) {
  const bmwi_session *session = op->session;
  if (op->generation != session->generation) return false;
  return session->token.brief || session->resource_count >= MAX_RESOURCES ||
         find_resource(session, resource) != NULL;
}

bool bmwi_session_renew(bmwi_op *op, bmwi_failure *failure) {
  bmwi_session *session = op->session;
  uint64_t resource = resource_of(op);
  bool current = op->generation == session->generation;
  /* where a call costs quota, its caller repeats it */
  bool again = op->renewed || (op->exchange->metered && op->generation == session->untried);
  if (again) {
    op->newly_own = bmwi_session_note(session, resource);
    if (current) session->refused = op->generation;
  }
  failure->own = again || is_own(op, resource);
  if (failure->own) return false;
  op->renewed = true;
  if (current) expire(session, true);
  failure->retryable = op->exchange->metered;
  return !op->exchange->metered;
}

void bmwi_session_end(const bmwi_op *op, bmwi_failure *failure) {
  bmwi_session *session = op->session;
  snprintf(failure->text, sizeof failure->text, "a new token was refused as well: HTTP %ld",
           failure->status);
  if (op->generation != session->generation) return;
  expire(session, false);
  session->auth_error = *failure;
  session->auth_error.login = true;
  session->auth_error.refused_at = bmwi_wall();
  session->auth_error_until = HUGE_VAL;
  session->auth_error_shared = true;
}

void bmwi_session_worked(bmwi_op *op) {
  bmwi_session *session = op->session;
  if (op->attempt > 0) bmwi_attempt_credit(session, 1);
  if (op->generation == session->refused) session->refused = 0;
  if (op->generation == session->untried) session->untried = 0;
  if (session->resource_count == 0) return;
  uint64_t *found = find_resource(session, resource_of(op));
  if (found != NULL) *found = session->resources[--session->resource_count];
}
