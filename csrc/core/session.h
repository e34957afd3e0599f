/*
** Sessions: one server with its token. Owns the token's life: the one request that all operations
** wait for, renewal, the auth error that sticks, and which resources refuse a new token, too.
*/
#ifndef BMWI_SESSION_H
#define BMWI_SESSION_H

#include "core/state.h"

#pragma GCC visibility push(hidden)

/* Whether an operation can be sent with the token as it is. */
bool bmwi_session_ready(const bmwi_op *op);
/* Has it wait for a token, which is requested once for all who wait; it comes back through
** bmwi_engine_next. Finished at once where no token is to be had. */
bmwi_next bmwi_session_wait(bmwi_op *op);
/* It waits no longer. */
void bmwi_session_leave(bmwi_op *op);
/* The server refused its token. True if it is to be sent again with another one: one renewal and
** one retry for each resource, until the token changes for another reason. */
bool bmwi_session_renew(bmwi_op *op, bmwi_failure *failure);
/* The service itself says that its token is of no use, though new: nothing more is sent until
** somebody logs in by name. */
void bmwi_session_end(bmwi_op *op);
/* The server took its token: a resource that refused it before is worth a renewal again. */
void bmwi_session_worked(bmwi_op *op);

/* Takes a decoded token (its texts are moved); go_on lets the waiting go on. */
void bmwi_session_accept(bmwi_session *session, bmwi_token *token);
/* The token store's answers: a token to take over if it is another than ours, and better (true: it
** is good, and the waiting go on); none, so that the waiting go on with ours if that is good (true
** then); ask again later, or go on and request one. */
bool bmwi_session_take(bmwi_session *session, bmwi_token *token);
bool bmwi_session_stay(bmwi_session *session);
void bmwi_session_ask_later(bmwi_session *session, double seconds);
void bmwi_session_request(bmwi_session *session);
/* Notes a resource that refuses new tokens. False if it was, or cannot be. */
bool bmwi_session_note(bmwi_session *session, uint64_t resource);
/* The token request failed, or its answer was no token. True if it goes on, since it is
** retried, or with the password in place of a refused refresh token; those that wait still do. */
bool bmwi_session_refuse(bmwi_session *session, const bmwi_failure *failure);
/* A number of eight bits that changes, nearly always, with what a log-in is made with. It tells a
** changed password from the one that was refused, and far too little about either to guess it. */
unsigned bmwi_session_trace(const bmwi_session *session);
/* Another process's auth error of the same log-in, which lasts `seconds` (HUGE_VAL: for good). */
void bmwi_session_recall(bmwi_session *session, const bmwi_failure *failure, double seconds);
/* The answer with the code was read: keeps it, and begins to poll once the user has seen it. */
bool bmwi_session_take_code(bmwi_session *session, const char *code, double interval,
                            double lifetime);
bool bmwi_session_poll(bmwi_session *session);
/* Fails the waiting, whatever has become of the token. */
void bmwi_session_fail(bmwi_session *session, const bmwi_failure *failure);
/* After the answer was read: if that broke off without either, fails the waiting. */
void bmwi_session_settle(bmwi_session *session);
/* After the hooks: with a new token the waiting go on. */
void bmwi_session_go_on(bmwi_session *session);

#pragma GCC visibility pop

#endif
