/*
** Operations: see op.h. The rules for tokens are in session.c, those for retries in attempt.c.
*/
#include "core/op.h"

#include <string.h>

#include "core/attempt.h"
#include "core/clock.h"
#include "core/session.h"

void bmwi_op_cancel(bmwi_op *op, bmwi_code code, const char *text) {
  if (op->state == BMWI_FINISHED) return;
  if (op->state == BMWI_WAITING) bmwi_session_leave(op);
  bmwi_attempt_deliver(op, bmwi_attempt_abort(op, code, text));
}

static bmwi_next go(bmwi_op *op) {
  if (op->account == NULL) return bmwi_attempt_fail(op, BMWI_CLOSED, "the client is closed");
  return bmwi_session_ready(op) ? bmwi_attempt_send(op) : bmwi_session_wait(op);
}

static bmwi_next answered(bmwi_op *op) {
  bmwi_failure failure;
  if (op->kind == BMWI_TOKEN) return BMWI_READ_TOKEN; /* its body decides */
  if (bmwi_attempt_explain(op, &failure)) {
    bmwi_session_worked(op);
    return bmwi_attempt_finish(op);
  }
  if (bmwi_attempt_again(op, &failure)) return BMWI_GO_ON;
  if (failure.status == 401 && bmwi_session_renew(op, &failure)) return go(op);
  return bmwi_attempt_fail_with(op, &failure);
}

static bool sleeps(const bmwi_op *op) { return op->kind == BMWI_SLEEP || op->kind == BMWI_RECEIVE; }

bmwi_next bmwi_op_advance(bmwi_op *op) {
  switch (op->state) {
    case BMWI_WAITING:
      bmwi_session_leave(op);
      return bmwi_attempt_fail(op, BMWI_TIMEOUT, "timed out waiting for the log-in");
    case BMWI_ASKING:
      if (op->session->waiting != NULL) return BMWI_ASK_STORE;
      op->state = BMWI_NEW; /* nothing waits for it any more */
      return BMWI_GO_ON;
    case BMWI_BACKOFF:
      if (op->kind == BMWI_TOKEN && bmwi_attempt_send(op) == BMWI_DELIVER) return BMWI_READ_TOKEN;
      return op->kind == BMWI_TOKEN ? BMWI_GO_ON : go(op);
    case BMWI_RUNNING: return sleeps(op) ? bmwi_attempt_finish(op) : answered(op);
    default: return BMWI_DELIVER;
  }
}

/* ---- life --------------------------------------------------------------------- */

void bmwi_op_init(bmwi_op *op, bmwi_engine *engine, bmwi_kind kind) {
  memset(op, 0, sizeof *op);
  op->engine = engine;
  op->kind = kind;
  bmwi_transfer_init(&op->transfer, 0, false);
}

void bmwi_op_join(bmwi_op *op, bmwi_account *account, bmwi_session *session,
                  const bmwi_exchange *exchange) {
  op->account = account;
  op->service = account->service;
  op->session = session;
  op->exchange = exchange;
  op->deadline = bmwi_now() + account->timeout;
  /* The user needs time to pick up a phone first. */
  if (op->kind == BMWI_LOGIN && account->client_id != NULL) op->deadline += BMWI_DEVICE_LIFE;
  /* A response may hold an event's id, a form the security answer, a URL anything. */
  bmwi_transfer_init(&op->transfer, account->transport.max_response_bytes, true);
  bmwi_buffer_init(&op->url, BMWI_MAX_REQUEST, true);
  bmwi_buffer_init(&op->body, BMWI_MAX_REQUEST, true);
  op->next = account->ops;
  if (op->next != NULL) op->next->previous = op;
  account->ops = op;
}

void bmwi_op_leave(bmwi_op *op) {
  if (op->account == NULL) return;
  if (op->previous != NULL) op->previous->next = op->next;
  else op->account->ops = op->next;
  if (op->next != NULL) op->next->previous = op->previous;
  op->account = NULL;
  op->session = NULL;
}

void bmwi_op_attend(bmwi_op *op, bmwi_feed *feed) {
  op->feed = feed;
  feed->waiter = op;
}

void bmwi_feed_leave(bmwi_feed *feed) {
  if (feed->waiter != NULL) feed->waiter->feed = NULL;
  feed->waiter = NULL;
}

void bmwi_feed_wake(bmwi_feed *feed) {
  bmwi_op *op = feed->waiter;
  if (op != NULL && op->state == BMWI_RUNNING && op->transfer.phase != BMWI_COMPLETED)
    bmwi_engine_complete(op->engine, &op->transfer);
}

void bmwi_op_start(bmwi_op *op) {
  if (op->state == BMWI_FINISHED) { /* it was cancelled before */
    bmwi_attempt_deliver(op, BMWI_DELIVER);
  } else if (!sleeps(op)) {
    bmwi_attempt_deliver(op, go(op));
  } else if (op->deadline < 0 || bmwi_engine_pause(op->engine, &op->transfer, op->deadline)) {
    op->state = BMWI_RUNNING;
  } else {
    bmwi_attempt_deliver(op, bmwi_attempt_fail(op, BMWI_NO_MEMORY, "not enough memory"));
  }
}

void bmwi_op_release(bmwi_op *op) {
  if (op->state == BMWI_WAITING) bmwi_session_leave(op);
  bmwi_transfer_release(op->engine, &op->transfer);
  bmwi_buffer_free(&op->url);
  bmwi_buffer_free(&op->body);
  bmwi_op_leave(op);
  if (op->feed != NULL) bmwi_feed_leave(op->feed);
  op->state = BMWI_FINISHED;
}
