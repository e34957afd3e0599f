/*
** Operations: what a call of a method goes through, as a state machine over the
** engine. Needs a token? Renew it or log in, once for all who wait. Send. 401?
** Renew once and send again. Passing trouble? Back off and retry what is safe to
** retry. Done. No lua.h: the Lua face decodes JSON and hands tokens in.
*/
#ifndef BMWI_OP_H
#define BMWI_OP_H

#include "core/state.h"

#pragma GCC visibility push(hidden)

void bmwi_op_init(bmwi_op *op, bmwi_engine *engine, bmwi_kind kind);
void bmwi_op_join(bmwi_op *op, bmwi_account *account, bmwi_session *session,
                  const bmwi_exchange *exchange);
/* Has it wait for a feed, which has no other waiter; wakes the waiter, if there is one; parts the
** two. */
void bmwi_op_attend(bmwi_op *op, bmwi_feed *feed);
void bmwi_feed_wake(bmwi_feed *feed);
void bmwi_feed_leave(bmwi_feed *feed);
/* Starts it (a sleep ends at its deadline). It comes back through
** bmwi_engine_next, also when it failed at once. */
void bmwi_op_start(bmwi_op *op);
/* Moves an operation on whose transfer has come back. */
bmwi_next bmwi_op_advance(bmwi_op *op);
/* Finishes it early; it comes back as any other. */
void bmwi_op_cancel(bmwi_op *op, bmwi_code code, const char *text);
/* Gives back all it holds, whatever it is doing. */
void bmwi_op_release(bmwi_op *op);
/* Takes it out of its account. */
void bmwi_op_leave(bmwi_op *op);

#pragma GCC visibility pop

#endif
