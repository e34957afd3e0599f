/*
** Attempts: sends an operation's exchange, interprets the outcome, and decides whether to send it
** again. Contains the rules for retries and their budget.
*/
#ifndef BMWI_ATTEMPT_H
#define BMWI_ATTEMPT_H

#include "core/state.h"

#pragma GCC visibility push(hidden)

/* Each finishes the operation and returns BMWI_DELIVER. A failure is copied; without memory for
** that it becomes BMWI_NO_MEMORY, but BMWI_UNKNOWN stays. */
bmwi_next bmwi_attempt_finish(bmwi_op *op);
bmwi_next bmwi_attempt_fail(bmwi_op *op, bmwi_code code, const char *text);
bmwi_next bmwi_attempt_fail_with(bmwi_op *op, const bmwi_failure *failure);
/* The same before its response was used: a command that was sent has an unknown outcome then,
** whatever the code. */
bmwi_next bmwi_attempt_abort(bmwi_op *op, bmwi_code code, const char *text);

/* Frees its failure, if any. */
void bmwi_attempt_forget(bmwi_op *op);

/* Makes a finished operation come back through bmwi_engine_next, if it is not being advanced. */
void bmwi_attempt_deliver(bmwi_op *op, bmwi_next next);

/* Sends it with the session's token; a log-in has nothing to send and is finished. */
bmwi_next bmwi_attempt_send(bmwi_op *op);
/* Interprets the response to its last exchange, or the lack of one: fills `failure` and returns
** false, or returns true for a success that is to be decoded. */
bool bmwi_attempt_explain(const bmwi_op *op, bmwi_failure *failure);
/* After a failure: true if it backs off and will be sent again. Otherwise `failure` says whether
** only the retry budget prevented that. */
bool bmwi_attempt_again(bmwi_op *op, bmwi_failure *failure);
/* Adds credit to the retry budget. */
void bmwi_attempt_credit(bmwi_session *session, double credit);

#pragma GCC visibility pop

#endif
