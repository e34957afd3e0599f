/*
** Operations: see op.h. Owns the rules of renewal and repetition, and the
** meaning of each way an exchange can end.
*/
#include "core/op.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

#define MAX_TOKEN_ANSWER (64 * 1024)
#define MAX_REQUEST (1024 * 1024) /* of an URL and of a form */
#define BACKOFF 0.5               /* seconds; doubled each time, full jitter */
#define MAX_BACKOFF 8.0
#define MAX_RETRY_AFTER 86400.0
/* Each call earns a fifth of a repeat: a server in trouble sees 1.2 times the calls. */
#define EARNED 0.2

void bmwi_failure_set(bmwi_failure *failure, bmwi_code code, const char *text) {
  memset(failure, 0, sizeof *failure);
  failure->code = code;
  failure->retry_after = -1;
  failure->retryable = code == BMWI_NETWORK || code == BMWI_TIMEOUT;
  bmwi_cut(failure->text, sizeof failure->text, text);
  bmwi_tame(failure->text); /* libcurl's texts hold words of the server's certificate */
}

void bmwi_tame(char *text) {
  for (unsigned char *p = (unsigned char *)text; *p != '\0'; p++) {
    if (*p < 32 || *p == 127) *p = ' ';
    else if (p[0] == 0xC2 && p[1] >= 0x80 && p[1] < 0xA0) p[0] = p[1] = ' '; /* C1 in UTF-8 */
  }
}

/* ---- what an ended exchange means ----------------------------------------- */

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

static bmwi_code status_code(const bmwi_op *op, long status) {
  if (op->kind == BMWI_TOKEN && (status == 400 || status == 401 || status == 403))
    return BMWI_AUTH;
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
  return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
         status == 504;
}

static bool is_command(const bmwi_op *op) {
  return op->kind == BMWI_CALL && op->endpoint->post;
}

/* The answer to a POST was lost, or a gateway or server broke down over it: the
** car may have got the command all the same. */
static void be_unknown(bmwi_failure *failure) {
  failure->code = BMWI_UNKNOWN;
  failure->retryable = false;
}

bool bmwi_op_explain(const bmwi_op *op, bmwi_failure *failure) {
  const bmwi_transfer *t = &op->transfer;
  if (t->result != CURLE_OK) {
    bmwi_code code = transport_code(t);
    bmwi_failure_set(failure, code, t->error != NULL && t->error[0] != '\0'
                                        ? t->error
                                        : curl_easy_strerror(t->result));
    if (code == BMWI_TOO_LARGE)
      bmwi_failure_set(failure, code, t->body.full ? "the answer is larger than max_response_bytes"
                                                   : "the answer's headers are too large");
    if (t->error != NULL && op->account != NULL &&
        bmwi_transport_explain(&op->account->transport, t->result, t->error, failure->text,
                               sizeof failure->text))
      failure->retryable = false;
    if (is_command(op) && t->sent && code != BMWI_NO_MEMORY) be_unknown(failure);
    return false;
  }
  if (t->status >= 200 && t->status <= 299) return true;
  bmwi_failure_set(failure, status_code(op, t->status), "");
  snprintf(failure->text, sizeof failure->text, "HTTP %ld", t->status);
  failure->status = t->status;
  failure->retryable = passing_status(t->status);
  if (t->retry_after >= 0)
    failure->retry_after = t->retry_after < MAX_RETRY_AFTER ? t->retry_after : MAX_RETRY_AFTER;
  if (is_command(op) && failure->code == BMWI_SERVER) be_unknown(failure);
  return false;
}

/* ---- finishing ------------------------------------------------------------- */

static void stop_waiting(bmwi_op *op) {
  if (op->session == NULL) return;
  for (bmwi_op **p = &op->session->waiting; *p != NULL; p = &(*p)->next_waiting) {
    if (*p != op) continue;
    *p = op->next_waiting;
    return;
  }
}

static bmwi_next finish(bmwi_op *op) {
  op->state = BMWI_FINISHED;
  return BMWI_DELIVER;
}

static bmwi_next fail(bmwi_op *op, bmwi_code code, const char *text) {
  bmwi_failure_set(&op->failure, code, text);
  return finish(op);
}

/* For an operation that is not being advanced right now. */
static void hand_back(bmwi_op *op, bmwi_next next) {
  if (next == BMWI_DELIVER) bmwi_engine_end(op->engine, &op->transfer);
}

void bmwi_op_cancel(bmwi_op *op, bmwi_code code, const char *text) {
  if (op->state == BMWI_FINISHED) return;
  if (op->state == BMWI_WAITING) stop_waiting(op);
  hand_back(op, fail(op, code, text));
}

/* ---- sending ---------------------------------------------------------------- */

static bmwi_next send_now(bmwi_op *op) {
  bmwi_account *account = op->account;
  bmwi_session *session = op->session;
  bool token = op->kind == BMWI_TOKEN;
  if (op->kind == BMWI_LOGIN) return finish(op);
  double left = op->deadline - bmwi_now();
  if (left <= 0) return fail(op, BMWI_TIMEOUT, "the time was over before it could be sent");
  bmwi_request request = {
    .post = token || op->endpoint->post,
    .url = token ? session->token_url : op->url.data,
    .accept = !token && op->endpoint->answer == BMWI_ANSWER_PNG ? "Accept: image/png"
                                                                   : "Accept: application/json",
    .scheme = token ? "Basic" : "Bearer",
    .credentials = token ? account->basic : session->token.access,
    .form = &op->form,
  };
  if (op->attempt == 0 && ++session->calls > account->retries / EARNED &&
      session->repeats < account->retries)
    session->repeats += EARNED; /* the first ones were given in advance */
  op->generation = session->generation;
  op->state = BMWI_RUNNING;
  if (!bmwi_engine_send(op->engine, &op->transfer, &account->transport, &request, left))
    return fail(op, BMWI_NO_MEMORY, "not enough memory");
  return BMWI_GO_ON;
}

/* ---- tokens ----------------------------------------------------------------- */

static void fail_waiting(bmwi_session *session, const bmwi_failure *failure) {
  while (session->waiting != NULL) {
    bmwi_op *op = session->waiting;
    session->waiting = op->next_waiting;
    bmwi_engine_stop(op->engine, &op->transfer);
    op->failure = *failure;
    op->state = BMWI_FINISHED;
    bmwi_engine_end(op->engine, &op->transfer);
  }
}

/* Starts the token request: the refresh grant while there is a refresh token,
** else the password grant. False and a failure when neither can be. */
static bool request_token(bmwi_session *session, bmwi_failure *failure) {
  bmwi_op *op = &session->request;
  bmwi_account *account = op->account;
  bool refresh = session->token.refresh != NULL;
  if (account->basic == NULL || (!refresh && account->password == NULL)) {
    bmwi_failure_set(failure, BMWI_AUTH,
                     "there is no usable token and nothing to get one with (username, password, "
                     "api_key and api_secret)");
    return false;
  }
  bmwi_buffer_clear(&op->form);
  bool ok = refresh ? bmwi_oauth_refresh_form(&op->form, session->token.refresh)
                    : bmwi_oauth_password_form(&op->form, account->username, account->password,
                                               account->scope);
  session->refreshing = refresh;
  op->deadline = bmwi_now() + account->timeout;
  op->attempt = 0;
  op->failure.code = BMWI_OK;
  if (!ok) fail(op, BMWI_NO_MEMORY, "not enough memory");
  else if (send_now(op) == BMWI_GO_ON) return true;
  op->state = BMWI_NEW;
  *failure = op->failure;
  return false;
}

/* Starts what leads to a token: by the keeper's leave, if there is one. */
static bool start_request(bmwi_session *session, bmwi_failure *failure) {
  if (!session->kept) return request_token(session, failure);
  session->request.state = BMWI_ASKING;
  bmwi_engine_end(session->request.engine, &session->request.transfer);
  return true;
}

static bmwi_next wait_for_token(bmwi_op *op) {
  bmwi_session *session = op->session;
  if (op->kind == BMWI_LOGIN) session->refusal.code = BMWI_OK; /* somebody asks for it by name */
  if (session->refusal.code != BMWI_OK) {
    op->failure = session->refusal;
    return finish(op);
  }
  if (session->request.state == BMWI_NEW) {
    bmwi_failure failure;
    if (!start_request(session, &failure)) {
      op->failure = failure;
      return finish(op);
    }
  }
  if (!bmwi_engine_pause(op->engine, &op->transfer, op->deadline))
    return fail(op, BMWI_NO_MEMORY, "not enough memory");
  op->state = BMWI_WAITING;
  op->next_waiting = session->waiting;
  session->waiting = op;
  return BMWI_GO_ON;
}

/* Has the token renewed before it is used again. */
static void expire(bmwi_session *session) {
  session->token.expires = true;
  session->token.expires_wall = session->token.expires_mono = 0;
}

static bmwi_next go(bmwi_op *op) {
  if (op->account == NULL) return fail(op, BMWI_CLOSED, "the client is closed");
  if (op->kind == BMWI_LOGIN && op->session->refused == op->session->generation)
    expire(op->session); /* it is of no use, so that asked for by name another one is got */
  if (op->kind != BMWI_TOKEN && !bmwi_token_good(&op->session->token, bmwi_wall(), bmwi_now()))
    return wait_for_token(op);
  return send_now(op);
}

void bmwi_session_accept(bmwi_session *session, bmwi_token *token) {
  /* RFC 6749 section 6: no new refresh token means that the old one goes on. */
  if (token->refresh == NULL && session->refreshing) {
    token->refresh = session->token.refresh;
    session->token.refresh = NULL;
  }
  bmwi_token_clear(&session->token);
  session->token = *token;
  memset(token, 0, sizeof *token);
  session->generation++;
  session->refusal.code = BMWI_OK;
  session->request.state = BMWI_NEW;
  bmwi_buffer_clear(&session->request.form);
  bmwi_buffer_clear(&session->request.transfer.body);
  session->granted = true;
}

/* Those that have waited for the token go on. */
static void go_on(bmwi_session *session) {
  bmwi_op *first = NULL; /* the list is last come first: turned round */
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
    hand_back(op, send_now(op));
  }
}

bool bmwi_session_take(bmwi_session *session, bmwi_token *token) {
  const char *ours = session->token.access;
  if (ours != NULL && strcmp(ours, token->access) == 0) return false;
  session->refreshing = false;
  if (bmwi_token_good(token, bmwi_wall(), bmwi_now())) {
    bmwi_session_accept(session, token);
    return true;
  }
  bmwi_token_clear(&session->token);
  session->token = *token;
  memset(token, 0, sizeof *token);
  return false;
}

void bmwi_session_ask_later(bmwi_session *session, double seconds) {
  bmwi_op *op = &session->request;
  if (!(seconds >= 0.01)) seconds = 0.01; /* nor is NaN a time */
  if (!bmwi_engine_pause(op->engine, &op->transfer, bmwi_now() + seconds))
    bmwi_session_settle(session);
}

void bmwi_session_request(bmwi_session *session) {
  bmwi_failure failure;
  if (!request_token(session, &failure)) bmwi_session_refuse(session, &failure);
}

bool bmwi_session_refuse(bmwi_session *session, const bmwi_failure *failure) {
  bmwi_account *account = session->request.account;
  bmwi_failure also = {.code = BMWI_OK};
  session->request.state = BMWI_NEW;
  bmwi_buffer_clear(&session->request.form);
  bmwi_buffer_clear(&session->request.transfer.body);
  if (failure->code == BMWI_AUTH) {
    if (session->refreshing) {
      bmwi_drop(&session->token.refresh);
      if (account->password != NULL) {
        if (request_token(session, &also)) return true;
        failure = &also;
      }
    }
    session->refusal = *failure;
  }
  fail_waiting(session, failure);
  return false;
}

void bmwi_session_settle(bmwi_session *session) {
  const bmwi_op *op = &session->request;
  bmwi_failure failure;
  if (session->granted) go_on(session);
  session->granted = false;
  if (op->account == NULL || op->state == BMWI_NEW || op->transfer.phase != BMWI_IDLE) return;
  bmwi_failure_set(&failure, BMWI_NO_MEMORY, "not enough memory");
  bmwi_session_refuse(session, &failure);
}

/* The server refused the token: one renewal and one repeat for each operation,
** and no renewal at all once a brand-new token was refused. */
static bmwi_next token_refused(bmwi_op *op, const bmwi_failure *failure) {
  bmwi_session *session = op->session;
  bool current = op->generation == session->generation;
  if (op->renewed && current) session->refused = op->generation;
  if (op->renewed || (current && session->refused == op->generation)) {
    op->failure = *failure;
    return finish(op);
  }
  op->renewed = true;
  if (current) expire(session);
  return go(op);
}

/* ---- repeating --------------------------------------------------------------- */

/* Whether the exchange may be repeated without doing anything twice: a POST to
** the car only if not a byte of it can have left; the token request unless the
** refresh token may be used up already, or the server asked for silence. */
static bool repeatable(const bmwi_op *op, const bmwi_failure *failure) {
  const bmwi_transfer *t = &op->transfer;
  if (!failure->retryable) return false;
  if (op->kind == BMWI_TOKEN) {
    if (op->session->refreshing && t->result != CURLE_OK) return !t->sent;
    return failure->code != BMWI_RATE_LIMITED || failure->retry_after >= 0;
  }
  return !is_command(op) || (t->result != CURLE_OK && !t->sent);
}

static bool repeat(bmwi_op *op, const bmwi_failure *failure) {
  bmwi_session *session = op->session;
  if (op->attempt >= op->account->retries || session->repeats < 1) return false;
  double longest = BACKOFF;
  for (int i = 0; i < op->attempt && longest < MAX_BACKOFF; i++) longest *= 2;
  double wait = failure->retry_after >= 0 ? failure->retry_after
                                          : bmwi_engine_random(op->engine) * longest;
  double wake = bmwi_now() + wait;
  if (wake >= op->deadline) return false;
  if (!bmwi_engine_pause(op->engine, &op->transfer, wake)) return false;
  session->repeats -= 1;
  op->attempt++;
  op->state = BMWI_BACKOFF;
  return true;
}

static bmwi_next answered(bmwi_op *op) {
  bmwi_failure failure;
  bool good = bmwi_op_explain(op, &failure);
  /* The token works after all: once it has ended it is worth a renewal. */
  if (op->kind == BMWI_CALL && op->generation == op->session->refused && good)
    op->session->refused = 0;
  if (good)
    return op->kind == BMWI_TOKEN ? BMWI_READ_TOKEN : finish(op);
  if (repeatable(op, &failure) && repeat(op, &failure)) return BMWI_GO_ON;
  if (op->kind == BMWI_TOKEN) return BMWI_READ_TOKEN;
  if (failure.status == 401) return token_refused(op, &failure);
  op->failure = failure;
  return finish(op);
}

bmwi_next bmwi_op_advance(bmwi_op *op) {
  switch (op->state) {
    case BMWI_WAITING:
      stop_waiting(op);
      return fail(op, BMWI_TIMEOUT, "the log-in was not answered in time");
    case BMWI_ASKING:
      if (op->session->waiting != NULL) return BMWI_ASK_KEEPER;
      op->state = BMWI_NEW; /* nobody wants it any more */
      return BMWI_GO_ON;
    case BMWI_BACKOFF:
      if (op->kind == BMWI_TOKEN && send_now(op) == BMWI_DELIVER) return BMWI_READ_TOKEN;
      return op->kind == BMWI_TOKEN ? BMWI_GO_ON : go(op);
    case BMWI_RUNNING:
      return op->kind == BMWI_SLEEP ? finish(op) : answered(op);
    default:
      return BMWI_DELIVER;
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
                  const bmwi_endpoint *endpoint) {
  op->account = account;
  op->session = session;
  op->endpoint = endpoint;
  op->deadline = bmwi_now() + account->timeout;
  /* An answer may hold an event's id, a form the security answer, an URL anything. */
  bmwi_transfer_init(&op->transfer, account->transport.max_response_bytes, true);
  bmwi_buffer_init(&op->url, MAX_REQUEST, true);
  bmwi_buffer_init(&op->form, MAX_REQUEST, true);
  op->next = account->ops;
  if (op->next != NULL) op->next->previous = op;
  account->ops = op;
}

static void leave(bmwi_op *op) {
  if (op->account == NULL) return;
  if (op->previous != NULL) op->previous->next = op->next;
  else op->account->ops = op->next;
  if (op->next != NULL) op->next->previous = op->previous;
  op->account = NULL;
  op->session = NULL;
}

void bmwi_op_start(bmwi_op *op) {
  if (op->kind != BMWI_SLEEP) {
    hand_back(op, go(op));
  } else if (op->deadline < 0 || bmwi_engine_pause(op->engine, &op->transfer, op->deadline)) {
    op->state = BMWI_RUNNING;
  } else {
    hand_back(op, fail(op, BMWI_NO_MEMORY, "not enough memory"));
  }
}

void bmwi_op_release(bmwi_op *op) {
  if (op->state == BMWI_WAITING) stop_waiting(op);
  bmwi_transfer_release(op->engine, &op->transfer);
  bmwi_buffer_free(&op->url);
  bmwi_buffer_free(&op->form);
  leave(op);
  op->state = BMWI_FINISHED;
}

void bmwi_session_init(bmwi_session *session, bmwi_account *account) {
  bmwi_op *op = &session->request;
  bmwi_op_init(op, account->engine, BMWI_TOKEN);
  op->account = account;
  op->session = session;
  bmwi_transfer_init(&op->transfer, MAX_TOKEN_ANSWER, true);
  bmwi_buffer_init(&op->form, MAX_REQUEST, true);
  session->repeats = account->retries;
}

void bmwi_account_event(bmwi_account *account, const char *event) {
  char *copy = bmwi_copy(event);
  if (copy == NULL) return; /* then it is not known, no more */
  bmwi_drop(&account->event);
  account->event = copy;
}

void bmwi_account_close(bmwi_account *account) {
  if (account->closed) return;
  account->closed = true;
  while (account->ops != NULL) {
    bmwi_op *op = account->ops;
    bmwi_op_cancel(op, BMWI_CLOSED, "the client was closed");
    leave(op);
  }
  for (int i = 0; i < account->session_count; i++) {
    bmwi_session *session = &account->sessions[i];
    bmwi_transfer_release(account->engine, &session->request.transfer);
    bmwi_buffer_free(&session->request.form);
    session->request.account = NULL;
    session->request.state = BMWI_FINISHED;
    bmwi_token_clear(&session->token);
    bmwi_drop(&session->base_url);
    bmwi_drop(&session->token_url);
  }
  bmwi_transport_clear(&account->transport);
  bmwi_drop(&account->event);
}
