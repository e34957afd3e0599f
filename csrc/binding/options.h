/*
** Options: what bmwi.new was given, read by the rows of service.h and kept in the account.
*/
#ifndef BMWI_OPTIONS_H
#define BMWI_OPTIONS_H

#include <lua.h>

#include "core/state.h"
#include "service/service.h"

#define BMWI_MAX_TEXT 4096 /* of an option */

#pragma GCC visibility push(hidden)

/* Reads the options, the table at 1, into a zeroed account. Raises for what is unknown or wrong;
** what is kept by then is given back by bmwi_account_end. */
void bmwi_options_read(lua_State *L, bmwi_account *account);
/* Checks that what there is will do for a log-in, once a saved token has been looked for. */
void bmwi_options_check_login(lua_State *L, bmwi_account *account);
/* A copy of a text; NULL stays NULL. Raises without memory. */
char *bmwi_keep_text(lua_State *L, const char *text);
/* Closes the account, and wipes every text that an option has left in it. */
void bmwi_account_end(bmwi_account *account);
/* Whoever reads an account's texts, tokens or answers across calls of Lua pins it meanwhile
** (pins++): a finalizer may close the client. What is wiped then is wiped here. */
void bmwi_account_unpin(bmwi_account *account);
/* Calls `visit` with each text in the account that is a secret, and the least length at which it
** is to be looked for in what a server says. */
void bmwi_options_secrets(const bmwi_account *account,
                          void (*visit)(void *user, const char *secret, size_t least), void *user);
/* Pushes a table of the options at 1 that are tables and functions. */
void bmwi_options_keep(lua_State *L, const bmwi_service *service);
/* Pushes the option that is named at 2; `kept` is where that table is. Never a secret. */
int bmwi_options_get(lua_State *L, const bmwi_account *account, int kept);
/* Pushes an array of {name, type, least, most, standard, secret}: every option of the service. */
void bmwi_options_push(lua_State *L, const bmwi_service *service);

#pragma GCC visibility pop

#endif
