/*
** OAuth: see oauth.h. Owns a token's strings, which are wiped when replaced.
*/
#include "core/oauth.h"

#include <stdlib.h>
#include <string.h>

#include "core/base64.h"

const bmwi_token_member bmwi_token_members[BMWI_TOKEN_MEMBERS] = {
  {"access_token", offsetof(bmwi_token, access), true},
  {"refresh_token", offsetof(bmwi_token, refresh), true},
  {"token_type", offsetof(bmwi_token, type), true},
  {"scope", offsetof(bmwi_token, scope), false},
  {"id_token", offsetof(bmwi_token, id_token), true},
  {NULL, offsetof(bmwi_token, subject), true},
};

char **bmwi_token_member_at(const bmwi_token *token, size_t i) {
  return (char **)((char *)token + bmwi_token_members[i].place);
}

void bmwi_token_clear(bmwi_token *token) {
  for (size_t i = 0; i < BMWI_TOKEN_MEMBERS; i++) bmwi_drop(bmwi_token_member_at(token, i));
  memset(token, 0, sizeof *token);
}

bool bmwi_token_copy(bmwi_token *to, const bmwi_token *from) {
  bool ok = true;
  *to = *from;
  for (size_t i = 0; i < BMWI_TOKEN_MEMBERS; i++) {
    const char *text = *bmwi_token_member_at(from, i);
    char *copy = bmwi_copy(text);
    ok = ok && (copy != NULL) == (text != NULL);
    *bmwi_token_member_at(to, i) = copy;
  }
  return ok;
}

#define BRIEF_LIFE 60.0           /* seconds */
#define LONGEST_LIFE 3153600000.0 /* a hundred years; limits times to exact whole numbers */

/* Seconds before its expiry at which a token is renewed: a minute, or a tenth of a short lifetime.
** Other clients use 60 to 1200 s; those without a margin failed. */
static double margin(double life) { return life < 600 ? life / 10 : 60; }

void bmwi_token_lives(bmwi_token *token, double expires_in, double wall, double mono) {
  if (!(expires_in < LONGEST_LIFE)) expires_in = LONGEST_LIFE;
  if (expires_in < -LONGEST_LIFE) expires_in = -LONGEST_LIFE;
  token->expires = true;
  token->expires_wall = wall + expires_in;
  token->expires_mono = mono + expires_in - margin(expires_in);
}

void bmwi_token_fresh(bmwi_token *token, double expires_in, double wall, double mono) {
  token->brief = !(expires_in > 0);
  if (!token->brief) {
    bmwi_token_lives(token, expires_in, wall, mono);
    return;
  }
  token->expires = true;
  token->expires_wall = wall + BRIEF_LIFE;
  token->expires_mono = mono + BRIEF_LIFE;
}

bool bmwi_token_good(const bmwi_token *token, double wall, double mono) {
  if (token->access == NULL) return false;
  return !token->expires || (mono < token->expires_mono && wall < token->expires_wall);
}

bool bmwi_token_text(const char *text, size_t len) {
  for (size_t i = 0; i < len; i++)
    if (text[i] <= 32 || text[i] >= 127) return false;
  return len > 0;
}

bool bmwi_oauth_basic(bmwi_buffer *b, const char *key, const char *secret) {
  bmwi_buffer plain;
  bmwi_buffer_init(&plain, 4096, true);
  bool ok = bmwi_buffer_text(&plain, key) && bmwi_buffer_add(&plain, ":", 1) &&
            bmwi_buffer_text(&plain, secret);
  size_t len = BMWI_BASE64_ENCODED(plain.len);
  char *text = ok ? malloc(len + 1) : NULL;
  if (text != NULL) {
    bmwi_base64_encode(text, plain.data, plain.len);
    text[len] = '\0';
    ok = bmwi_buffer_add(b, text, len);
    bmwi_drop(&text);
  } else {
    ok = false;
  }
  bmwi_buffer_free(&plain);
  return ok;
}

bool bmwi_oauth_password_form(bmwi_buffer *b, const char *user, const char *password,
                              const char *scope) {
  return bmwi_buffer_field(b, "grant_type", "password") && bmwi_buffer_field(b, "username", user) &&
         bmwi_buffer_field(b, "password", password) && bmwi_buffer_field(b, "scope", scope);
}

bool bmwi_oauth_refresh_form(bmwi_buffer *b, const char *refresh, const char *client_id) {
  return bmwi_buffer_field(b, "grant_type", "refresh_token") &&
         bmwi_buffer_field(b, "refresh_token", refresh) &&
         (client_id == NULL || bmwi_buffer_field(b, "client_id", client_id));
}

/* FNV-1a with MurmurHash3's finalizer, so that each bit depends on the whole text. */
uint64_t bmwi_hash(uint64_t before, const char *text, size_t len) {
  uint64_t h = before ^ 0xcbf29ce484222325u;
  for (size_t i = 0; i < len; i++) h = (h ^ (unsigned char)text[i]) * 0x100000001b3u;
  h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdu;
  h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53u;
  return h ^ (h >> 33);
}

static bool has_word(const char *words, const char *word, size_t len) {
  while (*words != '\0') {
    size_t n = strcspn(words, " ");
    if (n == len && memcmp(words, word, len) == 0) return true;
    words += n + strspn(words + n, " ");
  }
  return len == 0;
}

const char *bmwi_oauth_missing_scope(const char *asked, const char *granted, int *len) {
  while (granted != NULL && *asked != '\0') {
    size_t n = strcspn(asked, " ");
    if (!has_word(granted, asked, n)) {
      *len = (int)n;
      return asked;
    }
    asked += n + strspn(asked + n, " ");
  }
  return NULL;
}
