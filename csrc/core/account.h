/*
** Accounts: the beginning and the end of what a client owns.
*/
#ifndef BMWI_ACCOUNT_H
#define BMWI_ACCOUNT_H

#include "core/state.h"

#pragma GCC visibility push(hidden)

/* Readies one of the account's sessions for use. */
void bmwi_session_init(bmwi_session *session, bmwi_account *account);
/* Keeps the id of an event, to know it when a server says it back. */
void bmwi_account_event(bmwi_account *account, const char *event);
/* Ends every operation with `closed`. */
void bmwi_account_close(bmwi_account *account);
/* Then wipes all secrets and gives everything back. */
void bmwi_account_wipe(bmwi_account *account);

#pragma GCC visibility pop

#endif
