/*
** Operations: the steps of a method call, as a state machine over the engine. If a token is needed,
** renew it or log in, once for all waiting operations. Send. On a 401, renew once and send again.
** On a transient failure, back off and retry if that is safe. No lua.h: the binding decodes JSON
** and provides tokens.
*/
#ifndef BMWI_OP_H
#define BMWI_OP_H

#include "core/state.h"

#pragma GCC visibility push(hidden)

void bmwi_op_init(bmwi_op *op, bmwi_engine *engine, bmwi_kind kind);
void bmwi_op_join(bmwi_op *op, bmwi_account *account, bmwi_session *session,
                  const bmwi_exchange *exchange);
/* Makes it wait for a feed that has no other waiter; wakes a feed's waiter, if any; separates the
** two. */
void bmwi_op_attend(bmwi_op *op, bmwi_feed *feed);
void bmwi_feed_wake(bmwi_feed *feed);
void bmwi_feed_leave(bmwi_feed *feed);
/* Starts it (a sleep ends at its deadline). It comes back through bmwi_engine_next, even if it
** fails at once. */
void bmwi_op_start(bmwi_op *op);
/* Advances an operation whose transfer has come back. */
bmwi_next bmwi_op_advance(bmwi_op *op);
/* Finishes it early; it comes back like any other. */
void bmwi_op_cancel(bmwi_op *op, bmwi_code code, const char *text);
/* Frees everything it holds, whatever its state. */
void bmwi_op_release(bmwi_op *op);
/* Removes it from its account. */
void bmwi_op_leave(bmwi_op *op);

#pragma GCC visibility pop

#endif
