/*
** Accounts: setting up and freeing what a client owns.
*/
#ifndef BMWI_ACCOUNT_H
#define BMWI_ACCOUNT_H

#include "core/state.h"

#pragma GCC visibility push(hidden)

/* Prepares one of the account's sessions for use. */
void bmwi_session_init(bmwi_session *session, bmwi_account *account);
/* Keeps an event's id, so that it can be redacted if a server repeats it. */
void bmwi_account_event(bmwi_account *account, const char *event);
/* Ends every operation with the code `closed`. */
void bmwi_account_close(bmwi_account *account);
/* Wipes all secrets and frees everything; after bmwi_account_close. */
void bmwi_account_wipe(bmwi_account *account);

#pragma GCC visibility pop

#endif
