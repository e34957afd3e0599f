/*
** Sessions: a server and its token. Manages the token's lifetime: the single request that all
** operations wait for, renewal, the sticky auth error, and the resources that refuse even a new
** token. */
#ifndef BMWI_SESSION_H
#define BMWI_SESSION_H

#include "core/state.h"

#pragma GCC visibility push(hidden)

/* Whether an operation can be sent with the current token. */
bool bmwi_session_ready(const bmwi_op *op);
/* Makes it wait for a token, which is requested once for all waiting operations; it comes back
** through bmwi_engine_next. Finishes it at once if no token can be obtained. */
bmwi_next bmwi_session_wait(bmwi_op *op);
/* Stops waiting. */
void bmwi_session_leave(bmwi_op *op);
/* The server refused its token. True if it is to be sent again with another one: one renewal and
** one retry for each resource, until the token changes for another reason. */
bool bmwi_session_renew(bmwi_op *op, bmwi_failure *failure);
/* The service itself says that its token, though new, is useless: nothing more is sent until an
** explicit log-in. Adapts the failure's text. */
void bmwi_session_end(const bmwi_op *op, bmwi_failure *failure);
/* The server accepted its token: a resource that refused it before may cause a renewal again. */
void bmwi_session_worked(bmwi_op *op);

/* Stores a decoded token (its strings are moved); bmwi_session_go_on then resumes the waiting
** operations. */
void bmwi_session_accept(bmwi_session *session, bmwi_token *token);
/* The token store's possible answers:
** take: a token, which replaces ours if it is a better one. True: it is valid, and the waiting
** operations continue.
** stay: none. True: ours is still valid, and the waiting operations continue.
** ask_later: ask again after so many seconds.
** request: request a token. */
bool bmwi_session_take(bmwi_session *session, bmwi_token *token);
bool bmwi_session_stay(bmwi_session *session);
void bmwi_session_ask_later(bmwi_session *session, double seconds);
void bmwi_session_request(bmwi_session *session);
/* Records a resource that refuses new tokens. False if it is already known or there is no
** memory. */
bool bmwi_session_note(bmwi_session *session, uint64_t resource);
/* The token request failed, or its response was not a token. True if it continues: it is retried,
** or the password is sent instead of a refused refresh token; the operations keep waiting. */
bool bmwi_session_refuse(bmwi_session *session, const bmwi_failure *failure);
/* An 8-bit number that nearly always changes with the log-in credentials. It distinguishes a
** changed password from the refused one, but reveals far too little to guess either. */
unsigned bmwi_session_trace(const bmwi_session *session);
/* Fails the waiting operations with the sticky auth error; false if there is none. */
bool bmwi_session_repeat(bmwi_session *session);
/* The same with another process's auth error for the same log-in, which lasts `seconds` (HUGE_VAL:
** forever). */
bool bmwi_session_recall(bmwi_session *session, const bmwi_failure *failure, double seconds);
/* The response with the code was read: keeps it, and starts polling once the user has seen it. */
bool bmwi_session_take_code(bmwi_session *session, const char *code, double interval,
                            double lifetime);
bool bmwi_session_poll(bmwi_session *session);
/* Fails the waiting operations, whatever the state of the token. */
void bmwi_session_fail(bmwi_session *session, const bmwi_failure *failure);
/* After reading the response: if neither accept nor refuse was reached, fails the waiting
** operations. */
void bmwi_session_settle(bmwi_session *session);
/* After the hooks: with a new token the waiting operations continue. */
void bmwi_session_go_on(bmwi_session *session);

#pragma GCC visibility pop

#endif
