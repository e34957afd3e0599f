/*
** Attempts: see attempt.h.
*/
#include "core/attempt.h"

#include <stdlib.h>

#include "core/clock.h"

#define BACKOFF 0.5 /* seconds; doubled each time, full jitter */
#define MAX_BACKOFF 8.0
/* The retry budget of each server: a limited credit. Each call adds a fifth, each retry costs one,
** and a successful retry gets it back. In the long run a failing server receives at most 1.2 times
** the calls. */
#define CALL_CREDIT 0.2

static bool is_command(const bmwi_op *op) { return op->kind == BMWI_CALL && op->exchange->command; }

bool bmwi_attempt_explain(const bmwi_op *op, bmwi_failure *failure) {
  bmwi_asked asked = op->kind == BMWI_TOKEN ? BMWI_ASKED_TOKEN
                     : is_command(op)       ? BMWI_ASKED_COMMAND
                                            : BMWI_ASKED_READING;
  const bmwi_transfer *t = &op->transfer;
  bool good = bmwi_explain(t, asked, failure);
  if (t->result != 0 && t->error != NULL && op->account != NULL &&
      bmwi_transport_explain(&op->account->transport, t->result, t->error, failure->text,
                             sizeof failure->text))
    failure->retryable = false;
  return good;
}

bmwi_next bmwi_attempt_finish(bmwi_op *op) {
  op->state = BMWI_FINISHED;
  return BMWI_DELIVER;
}

/* Stand in for a failure that there is no memory for. */
static const bmwi_failure no_memory = {
  .code = BMWI_NO_MEMORY, .retry_after = -1, .text = "not enough memory"};
static const bmwi_failure no_memory_unknown = {
  .code = BMWI_UNKNOWN, .retry_after = -1, .text = "not enough memory for the reason"};

/* A redirect's target may hold a secret until it is redacted for the message. */
void bmwi_attempt_forget(bmwi_op *op) {
  bmwi_failure *failure = (bmwi_failure *)op->failure;
  op->failure = NULL;
  if (failure == NULL || failure == &no_memory || failure == &no_memory_unknown) return;
  bmwi_wipe(failure, sizeof *failure);
  free(failure);
}

bmwi_next bmwi_attempt_fail_with(bmwi_op *op, const bmwi_failure *failure) {
  bool unknown = failure->code == BMWI_UNKNOWN;
  bmwi_failure *copy = malloc(sizeof *copy);
  if (copy != NULL) *copy = *failure;
  bmwi_attempt_forget(op);
  op->failure = copy;
  if (copy == NULL) op->failure = unknown ? &no_memory_unknown : &no_memory;
  return bmwi_attempt_finish(op);
}

bmwi_next bmwi_attempt_fail(bmwi_op *op, bmwi_code code, const char *text) {
  bmwi_failure failure;
  bmwi_failure_set(&failure, code, text);
  return bmwi_attempt_fail_with(op, &failure);
}

bmwi_next bmwi_attempt_abort(bmwi_op *op, bmwi_code code, const char *text) {
  bmwi_engine_stop(op->engine, &op->transfer);
  bool sent = op->state == BMWI_RUNNING && is_command(op) && op->transfer.sent;
  return bmwi_attempt_fail(op, sent ? BMWI_UNKNOWN : code, text);
}

void bmwi_attempt_deliver(bmwi_op *op, bmwi_next next) {
  if (next == BMWI_DELIVER) bmwi_engine_complete(op->engine, &op->transfer);
}

void bmwi_attempt_credit(bmwi_session *session, double credit) {
  session->retry_credit += credit;
  if (session->retry_credit > BMWI_RETRY_BUDGET) session->retry_credit = BMWI_RETRY_BUDGET;
}

bmwi_next bmwi_attempt_send(bmwi_op *op) {
  bmwi_account *account = op->account;
  bmwi_session *session = op->session;
  bool token = op->kind == BMWI_TOKEN;
  if (op->kind == BMWI_LOGIN || op->kind == BMWI_RENEW) return bmwi_attempt_finish(op);
  double left = op->deadline - bmwi_now();
  if (left <= 0)
    return bmwi_attempt_fail(op, BMWI_TIMEOUT, "timed out before the request was sent");
  bmwi_request request = {
    .method = token ? "POST" : op->exchange->method,
    .url = !token                                      ? op->url.data
           : session->device.stage == BMWI_DEVICE_CODE ? account->device_url
                                                       : session->token_url,
    .accept =
      token || op->exchange->accept == NULL ? "Accept: application/json" : op->exchange->accept,
    .header = token ? NULL : op->exchange->header,
    .scheme = token ? "Basic" : "Bearer",
    .credentials = token ? account->basic : session->token.access,
    .content_type = op->content_type,
    .body = &op->body,
    .once = token || op->exchange->command || op->exchange->metered,
    .alone = !token && op->exchange->metered,
  };
  if (op->attempt == 0) bmwi_attempt_credit(session, CALL_CREDIT);
  op->generation = session->generation;
  op->state = BMWI_RUNNING;
  if (!bmwi_engine_send(op->engine, &op->transfer, &account->transport, &request, left))
    return bmwi_attempt_fail(op, BMWI_NO_MEMORY, "not enough memory");
  return BMWI_GO_ON;
}

/* Whether the exchange may be retried without doing anything twice: a POST to the car only if no
** byte of it can have been sent; the token request unless the refresh token may have been used up,
** or the server asked us to wait. */
static bool may_retry(const bmwi_op *op, const bmwi_failure *failure) {
  const bmwi_transfer *t = &op->transfer;
  if (!failure->retryable) return false;
  if (op->kind == BMWI_TOKEN) {
    if (op->session->refreshing && t->result != 0) return !t->sent;
    return failure->code != BMWI_RATE_LIMITED || failure->retry_after >= 0;
  }
  return !is_command(op) || (t->result != 0 && !t->sent);
}

static bool back_off(bmwi_op *op, bmwi_failure *failure) {
  bmwi_session *session = op->session;
  if (op->attempt >= op->account->retries || (op->kind == BMWI_CALL && op->exchange->metered))
    return false;
  failure->budget = session->retry_credit < 1;
  if (failure->budget) return false;
  double longest = BACKOFF;
  for (int i = 0; i < op->attempt && longest < MAX_BACKOFF; i++) longest *= 2;
  double wait =
    failure->retry_after >= 0 ? failure->retry_after : bmwi_engine_random(op->engine) * longest;
  double wake = bmwi_now() + wait;
  if (wake >= op->deadline) return false;
  if (!bmwi_engine_pause(op->engine, &op->transfer, wake)) return false;
  session->retry_credit -= 1;
  op->attempt++;
  op->state = BMWI_BACKOFF;
  return true;
}

bool bmwi_attempt_again(bmwi_op *op, bmwi_failure *failure) {
  return may_retry(op, failure) && back_off(op, failure);
}
