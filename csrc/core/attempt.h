/*
** Attempts: sending an operation's exchange, what its outcome means, and whether it is sent again.
** Owns the rules of retries and their budget.
*/
#ifndef BMWI_ATTEMPT_H
#define BMWI_ATTEMPT_H

#include "core/state.h"

#pragma GCC visibility push(hidden)

/* Each finishes the operation and returns BMWI_DELIVER. */
bmwi_next bmwi_attempt_finish(bmwi_op *op);
bmwi_next bmwi_attempt_fail(bmwi_op *op, bmwi_code code, const char *text);

/* Has a finished one come back through bmwi_engine_next; for one that is not being advanced. */
void bmwi_attempt_deliver(bmwi_op *op, bmwi_next next);

/* Sends it with the session's token; a log-in has nothing to send and is finished. */
bmwi_next bmwi_attempt_send(bmwi_op *op);
/* What the answer, or the missing answer, of its last exchange means: fills
** `failure` and returns false, or true if it is a success to be decoded. */
bool bmwi_attempt_explain(const bmwi_op *op, bmwi_failure *failure);
/* After a failure: true if it backs off to be sent again. Else `failure` says if only the retry
** budget was against it. */
bool bmwi_attempt_again(bmwi_op *op, bmwi_failure *failure);
/* Gives back to the retry budget. */
void bmwi_attempt_credit(bmwi_session *session, double credit);

#pragma GCC visibility pop

#endif
