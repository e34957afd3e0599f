/*
** Options: the argument of bmwi.new, read by the rows of service.h and kept in the account.
*/
#ifndef BMWI_OPTIONS_H
#define BMWI_OPTIONS_H

#include <lua.h>

#include "core/state.h"
#include "service/service.h"

#define BMWI_MAX_TEXT 4096 /* of an option */

#pragma GCC visibility push(hidden)

/* Reads the options, the table at 1, into a zeroed account. Raises for an unknown or invalid
** option; bmwi_account_end then frees what was read. */
void bmwi_options_read(lua_State *L, bmwi_account *account);
/* Checks that the options suffice for a log-in; called after looking for a saved token. */
void bmwi_options_check_login(lua_State *L, bmwi_account *account);
/* Copies a string; NULL stays NULL. Raises if there is no memory. */
char *bmwi_keep_text(lua_State *L, const char *text);
/* Closes the account, and wipes every text from its options. */
void bmwi_account_end(bmwi_account *account);
/* Code that reads an account's strings, tokens or responses across Lua calls pins it meanwhile
** (pins++), since a finalizer may close the client. Wiping is then delayed until this call. */
void bmwi_account_unpin(bmwi_account *account);
/* Calls `visit` with each secret in the account and the minimum length at which it is redacted in a
** server's text. */
void bmwi_options_secrets(const bmwi_account *account,
                          void (*visit)(void *user, const char *secret, size_t least), void *user);
/* Pushes a table of those options in the table at 1 that are tables or functions. */
void bmwi_options_keep(lua_State *L, const bmwi_service *service);
/* Pushes the option that is named at 2; `kept` is the index of that table. Never a secret. */
int bmwi_options_get(lua_State *L, const bmwi_account *account, int kept);
/* Pushes an array of {name, type, least, most, standard, secret}: every option of the service. */
void bmwi_options_push(lua_State *L, const bmwi_service *service);

#pragma GCC visibility pop

#endif
