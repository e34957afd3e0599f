/*
** OAuth 2.0 (RFC 6749) as this service speaks it: the token, its expiry, the
** Basic value and the two grants. Plain C, no I/O, no clock of its own.
*/
#ifndef BMWI_OAUTH_H
#define BMWI_OAUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "core/buffer.h"

#pragma GCC visibility push(hidden)

typedef struct bmwi_token {
  char *access, *refresh, *type, *scope; /* all but access may be NULL */
  char *id_token, *subject;              /* of OpenID Connect; or NULL */
  bool expires;                          /* false: nobody said when */
  bool brief;                            /* it was said to end at once */
  double expires_wall;                   /* seconds since 1970, for saving */
  double expires_mono;                   /* the same moment on the monotonic clock */
} bmwi_token;

/* Wipes and empties. */
void bmwi_token_clear(bmwi_token *token);

/* Notes the expiry from `expires_in` seconds (a margin is kept, see oauth.c). */
void bmwi_token_lives(bmwi_token *token, double expires_in, double wall, double mono);

/* The same for a token that has just come. One that ends at once is used for a minute, so that
** it serves one call at least, and no server makes a log-in of each reading. */
void bmwi_token_fresh(bmwi_token *token, double expires_in, double wall, double mono);

/* Whether the token can still be used: neither clock says it has run out, so
** neither a clock set back nor a laptop that slept keeps a dead token alive. */
bool bmwi_token_good(const bmwi_token *token, double wall, double mono);

/* A bearer token is one or more visible ASCII characters: anything else could
** end the header line it is put into. */
bool bmwi_token_text(const char *text, size_t len);

/* Appends base64(key:secret). */
bool bmwi_oauth_basic(bmwi_buffer *b, const char *key, const char *secret);

/* Appends the form of RFC 6749 section 4.3.2 or 6. `client_id`: of a public client, or NULL. */
bool bmwi_oauth_password_form(bmwi_buffer *b, const char *user, const char *password,
                              const char *scope);
bool bmwi_oauth_refresh_form(bmwi_buffer *b, const char *refresh, const char *client_id);

/* A number for texts; the parts of one are hashed one after the other. */
uint64_t bmwi_hash(uint64_t before, const char *text, size_t len);

/* The first word of `asked` that does not stand in `granted`, and its length; NULL if all do. A
** NULL grant means "as asked" (RFC 6749 section 5.1). */
const char *bmwi_oauth_missing_scope(const char *asked, const char *granted, int *len);

#pragma GCC visibility pop

#endif
