/*
** OAuth 2.0 (RFC 6749) as these services use it: the token, its expiry, the Basic credentials and
** the two grants. Plain C, no I/O, no clock of its own.
*/
#ifndef BMWI_OAUTH_H
#define BMWI_OAUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buffer.h"

#pragma GCC visibility push(hidden)

typedef struct bmwi_token {
  char *access, *refresh, *type, *scope; /* all but access may be NULL */
  char *id_token, *subject;              /* from OpenID Connect; or NULL */
  bool expires;                          /* false: the expiry is unknown */
  bool brief;                            /* the server said that it expires at once */
  double expires_wall;                   /* seconds since 1970, for saving */
  double expires_mono;                   /* the same time on the monotonic clock */
} bmwi_token;

/* The texts of a token. */
typedef struct bmwi_token_member {
  const char *name; /* in a response; NULL: the service names the user's member, if it has one */
  size_t place;
  bool header; /* it is sent in a header line */
} bmwi_token_member;
#define BMWI_TOKEN_MEMBERS 6
extern const bmwi_token_member bmwi_token_members[BMWI_TOKEN_MEMBERS];
char **bmwi_token_member_at(const bmwi_token *token, size_t i);

/* Wipes and empties. */
void bmwi_token_clear(bmwi_token *token);
/* Copies to one that is empty; false if there is no memory for all of it. */
bool bmwi_token_copy(bmwi_token *to, const bmwi_token *from);

/* Sets the expiry to `expires_in` seconds from now (less a margin, see oauth.c). */
void bmwi_token_lives(bmwi_token *token, double expires_in, double wall, double mono);

/* The same for a token that has just been received. One that expires at once is used for a minute,
** so that it serves at least one call and not every read causes a log-in. */
void bmwi_token_fresh(bmwi_token *token, double expires_in, double wall, double mono);

/* Whether the token can still be used: it has expired if either clock says so, so that neither a
** clock set back nor a suspended laptop keeps an expired token in use. */
bool bmwi_token_good(const bmwi_token *token, double wall, double mono);

/* A bearer token consists of one or more visible ASCII characters: anything else could end the
** header line. */
bool bmwi_token_text(const char *text, size_t len);

/* Appends base64(key:secret). */
bool bmwi_oauth_basic(bmwi_buffer *b, const char *key, const char *secret);

/* Appends the form of RFC 6749 section 4.3.2 or 6. `client_id` is for public clients; or NULL. */
bool bmwi_oauth_password_form(bmwi_buffer *b, const char *user, const char *password,
                              const char *scope);
bool bmwi_oauth_refresh_form(bmwi_buffer *b, const char *refresh, const char *client_id);

/* Hashes a string; pass the result as `before` to hash several parts. */
uint64_t bmwi_hash(uint64_t before, const char *text, size_t len);

/* The first scope in `asked` that is not in `granted`, and its length; NULL if all are. A NULL
** grant means "as requested" (RFC 6749 section 5.1). */
const char *bmwi_oauth_missing_scope(const char *asked, const char *granted, int *len);

#pragma GCC visibility pop

#endif
