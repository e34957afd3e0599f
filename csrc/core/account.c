/*
** Accounts: see account.h.
*/
#include "core/account.h"

#include <stdlib.h>

#include "core/attempt.h"
#include "core/connection.h"
#include "core/op.h"

#define MAX_TOKEN_ANSWER (64 * 1024)

void bmwi_session_init(bmwi_session *session, bmwi_account *account) {
  bmwi_op *op = &session->request;
  bmwi_op_init(op, account->engine, BMWI_TOKEN);
  op->account = account;
  op->session = session;
  bmwi_transfer_init(&op->transfer, MAX_TOKEN_ANSWER, true);
  bmwi_buffer_init(&op->body, BMWI_MAX_REQUEST, true);
  session->retry_credit = BMWI_RETRY_BUDGET;
}

void bmwi_account_event(bmwi_account *account, const char *event) {
  char *copy = bmwi_copy(event);
  if (copy == NULL) return; /* then it is not redacted */
  bmwi_drop(&account->event);
  account->event = copy;
}

void bmwi_account_close(bmwi_account *account) {
  if (account->closed) return;
  account->closed = true;
  while (account->ops != NULL) {
    bmwi_op *op = account->ops;
    bmwi_op_cancel(op, BMWI_CLOSED, "the client was closed");
    bmwi_op_leave(op);
  }
  for (bmwi_link *link; (link = account->connections.first) != NULL;)
    bmwi_connection_lose_client((bmwi_connection *)link);
  for (int i = 0; i < account->session_count; i++) {
    bmwi_session *session = &account->sessions[i];
    if (account->engine != NULL) bmwi_engine_stop(account->engine, &session->request.transfer);
    session->request.account = NULL;
    session->request.state = BMWI_FINISHED;
  }
}

void bmwi_account_wipe(bmwi_account *account) {
  for (int i = 0; i < account->session_count; i++) {
    bmwi_session *session = &account->sessions[i];
    bmwi_transfer_release(account->engine, &session->request.transfer);
    bmwi_buffer_free(&session->request.body);
    bmwi_attempt_forget(&session->request);
    bmwi_token_clear(&session->token);
    bmwi_device_login_clear(&session->device);
    free(session->resources);
    session->resources = NULL;
    session->resource_count = 0;
    bmwi_drop(&session->base_url);
    bmwi_drop(&session->token_url);
  }
  free(account->routes);
  account->routes = NULL;
  account->route_count = 0;
  if (account->engine != NULL) bmwi_engine_forget(account->engine, &account->transport);
  bmwi_transport_clear(&account->transport);
  bmwi_drop(&account->event);
}
