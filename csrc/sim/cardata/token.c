#include "token.h"

#include "../sha256.h"
#include "../world.h"
#include "errors.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

const char client_id[] = "6b1f5a52-9d2e-4c0f-8a53-1f0c2d3e4b5a";
const char gcid[] = "aa111192-d570-4d3d-8835-656ee00edcd7";

enum { TOKENS = 1024, ACCESS_LENGTH = 52, REFRESH_LENGTH = 46, SCOPE_ROOM = 160 };
static const double refresh_life = 14 * 24 * 3600;

static const char *const scopes[] = {"authenticate_user", "openid", "cardata:api:read",
                                     "cardata:streaming:read"};

static struct token {
  char access[ACCESS_LENGTH + 1];
  char refresh[REFRESH_LENGTH + 1];
  char scope[SCOPE_ROOM];
  double access_ends;
  double refresh_ends;
  bool used; /* the refresh token was used */
} tokens[TOKENS];
static unsigned long issued;
static char id_token[2048]; /* the last one issued */
static struct id_token id_tokens[TOKENS];
static unsigned long id_tokens_issued;

/* For tokens issued from now on. */
static struct {
  double expires_in;
  bool no_gcid, no_refresh_token, scope_turned, no_dynamic_scopes, same_id_token, reuse_kills;
  bool no_api, no_streaming; /* the client is not subscribed to that service */
  char scope[SCOPE_ROOM];    /* empty: as requested */
} next;

void cardata_token_reset(void) {
  memset(tokens, 0, sizeof tokens);
  memset(id_tokens, 0, sizeof id_tokens);
  memset(&next, 0, sizeof next);
  id_token[0] = '\0';
  next.expires_in = 3599;
}

/* The next word in a space-separated list; NULL: no more. */
static const char *next_word(const char **at, size_t *length) {
  *at += strspn(*at, " ");
  const char *word = *at;
  *length = strcspn(word, " ");
  *at += *length;
  return *length > 0 ? word : NULL;
}

static bool has_word(const char *list, const char *wanted) {
  size_t length;
  const char *word;
  while ((word = next_word(&list, &length)) != NULL) {
    if (length == strlen(wanted) && memcmp(word, wanted, length) == 0) {
      return true;
    }
  }
  return false;
}

bool scope_good(const char *scope) {
  const char *at = scope;
  size_t length;
  const char *word;
  if (strlen(scope) >= SCOPE_ROOM || (next.no_api && has_word(scope, "cardata:api:read")) ||
      (next.no_streaming && has_word(scope, "cardata:streaming:read"))) {
    return false;
  }
  while ((word = next_word(&at, &length)) != NULL) {
    bool known = false;
    for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++) {
      known = known || (strlen(scopes[i]) == length && memcmp(scopes[i], word, length) == 0);
    }
    if (!known) {
      return false;
    }
  }
  return true;
}

/* A JWT of the usual length. Nobody checks the signature, so it is random. */
static void make_id_token(double seconds) {
  char noise[343];
  char filler[401];
  char nonce[17];
  struct bytes out = {0};
  struct bytes claims = {0};
  random_text(noise, sizeof noise - 1);
  random_text(filler, sizeof filler - 1);
  random_text(nonce, sizeof nonce - 1);
  char access[128];
  snprintf(access, sizeof access, "read:streaming/*/%s.*", gcid);
  json_t *list = next.no_dynamic_scopes ? json_array() : json_pack("[s]", access);
  json_t *all = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:s, s:o}", "iss",
                          "https://customer.bmwgroup.com/gcdm/oauth", "sub", gcid, "gcid", gcid,
                          "aud", client_id, "iat", (json_int_t)world_epoch(), "exp",
                          (json_int_t)(world_epoch() + seconds), "jti", nonce, "state", filler,
                          "dynamic_scopes", list);
  bytes_json(&claims, all);
  json_decref(all);
  static const char head[] = "{\"typ\":\"JWT\",\"alg\":\"RS256\",\"kid\":\"simulated\"}";
  add_base64url(&out, head, sizeof head - 1);
  bytes_text(&out, ".");
  add_base64url(&out, claims.at, claims.length);
  bytes_format(&out, ".%s", noise);
  snprintf(id_token, sizeof id_token, "%s", out.at);
  bytes_free(&claims);
  bytes_free(&out);
}

static void remember_id_token(const char *scope) {
  struct id_token *entry = &id_tokens[id_tokens_issued++ % TOKENS];
  sha256(id_token, strlen(id_token), entry->hash);
  entry->ends = world_now() + next.expires_in;
  entry->streaming = has_word(scope, "cardata:streaming:read");
  entry->dynamic = !next.no_dynamic_scopes;
}

const struct id_token *id_token_find(const char *text, size_t length) {
  unsigned char hash[32];
  sha256(text, length, hash);
  for (size_t i = 0; i < TOKENS; i++) {
    if (memcmp(id_tokens[i].hash, hash, sizeof hash) == 0) {
      return &id_tokens[i];
    }
  }
  return NULL;
}

/* Reverses the order of the words. */
static void reverse_scope(char scope[SCOPE_ROOM]) {
  struct bytes turned = {0};
  const char *at = scope;
  size_t length;
  const char *word;
  while ((word = next_word(&at, &length)) != NULL) {
    struct bytes longer = {0};
    bytes_add(&longer, word, length);
    bytes_format(&longer, "%s%s", turned.length > 0 ? " " : "", turned.length > 0 ? turned.at : "");
    bytes_free(&turned);
    turned = longer;
  }
  snprintf(scope, SCOPE_ROOM, "%s", turned.length > 0 ? turned.at : "");
  bytes_free(&turned);
}

void token_issue(struct reply *reply, const char *scope) {
  struct token *token = &tokens[issued++ % TOKENS];
  double now = world_now();
  memset(token, 0, sizeof *token);
  random_text(token->access, ACCESS_LENGTH);
  random_text(token->refresh, REFRESH_LENGTH);
  snprintf(token->scope, sizeof token->scope, "%s", next.scope[0] != '\0' ? next.scope : scope);
  if (next.scope_turned) {
    reverse_scope(token->scope);
  }
  token->access_ends = now + next.expires_in;
  token->refresh_ends = now + refresh_life;
  json_t *out =
    json_pack("{s:s, s:s, s:I, s:s}", "access_token", token->access, "token_type", "Bearer",
              "expires_in", (json_int_t)next.expires_in, "scope", token->scope);
  if (next.no_refresh_token) {
    token->refresh[0] = '\0';
  } else {
    json_object_set_new(out, "refresh_token", json_string(token->refresh));
  }
  if (has_word(token->scope, "openid")) {
    if (!next.same_id_token || id_token[0] == '\0') {
      make_id_token(next.expires_in);
      remember_id_token(token->scope);
    }
    json_object_set_new(out, "id_token", json_string(id_token));
  }
  if (!next.no_gcid) {
    json_object_set_new(out, "gcid", json_string(gcid));
  }
  reply_new(reply, 200, out);
}

static void end_all(bool access, bool refresh, bool id) {
  for (size_t i = 0; i < TOKENS; i++) {
    tokens[i].access_ends = access ? 0 : tokens[i].access_ends;
    tokens[i].refresh_ends = refresh ? 0 : tokens[i].refresh_ends;
    id_tokens[i].ends = id ? 0 : id_tokens[i].ends;
  }
}

void token_refresh(const struct request *request, struct reply *reply) {
  const char *refresh = field_value(&request->form, "refresh_token");
  struct token *token = NULL;
  for (size_t i = 0; i < TOKENS && refresh != NULL && refresh[0] != '\0'; i++) {
    token = strcmp(tokens[i].refresh, refresh) == 0 ? &tokens[i] : token;
  }
  if (token != NULL && token->used && next.reuse_kills) {
    end_all(true, true, true);
  }
  if (token == NULL || token->used || world_now() >= token->refresh_ends) {
    error_reply(reply, "invalid_request", NULL);
    return;
  }
  char scope[SCOPE_ROOM];
  memcpy(scope, token->scope, sizeof scope);
  token->used = !next.no_refresh_token; /* valid once, unless there is no new one */
  token_issue(reply, scope);
}

const char *token_problem(const struct request *request) {
  const char *header = request_header(request, "Authorization");
  if (header == NULL || strncasecmp(header, "Bearer ", 7) != 0) {
    return "CU-100";
  }
  for (size_t i = 0; i < TOKENS; i++) {
    if (tokens[i].access[0] != '\0' && strcmp(tokens[i].access, header + 7) == 0) {
      return world_now() >= tokens[i].access_ends            ? "CU-102"
             : has_word(tokens[i].scope, "cardata:api:read") ? NULL
                                                             : "CU-103";
    }
  }
  return "CU-101";
}

const char *cardata_token_control(const json_t *options) {
  static const char *const more[] = {"scope", NULL};
  bool expire = false;
  bool expire_refresh = false;
  bool expire_id = false;
  const struct json_setting rows[] = {
    {"expire", &expire, NULL, 0, 0, false},
    {"expire_refresh", &expire_refresh, NULL, 0, 0, false},
    {"expire_id", &expire_id, NULL, 0, 0, false},
    {"expires_in", NULL, &next.expires_in, 0, 1e6, 3599},
    {"no_gcid", &next.no_gcid, NULL, 0, 0, false},
    {"no_refresh_token", &next.no_refresh_token, NULL, 0, 0, false},
    {"scope_turned", &next.scope_turned, NULL, 0, 0, false},
    {"no_dynamic_scopes", &next.no_dynamic_scopes, NULL, 0, 0, false},
    {"same_id_token", &next.same_id_token, NULL, 0, 0, false},
    {"reuse_kills", &next.reuse_kills, NULL, 0, 0, false},
    {"no_api", &next.no_api, NULL, 0, 0, false},
    {"no_streaming", &next.no_streaming, NULL, 0, 0, false},
    {0},
  };
  const json_t *scope = json_object_get(options, "scope");
  if (scope != NULL && !json_is_null(scope) &&
      (!json_is_string(scope) || json_string_length(scope) >= sizeof next.scope)) {
    return "scope must be a short string";
  }
  const char *problem = json_settings(options, rows, more);
  if (problem == NULL) {
    if (scope != NULL) {
      snprintf(next.scope, sizeof next.scope, "%s",
               json_is_string(scope) ? json_string_value(scope) : "");
    }
    /* Unsubscribing the client from a service ends its log-in. */
    end_all(expire, expire_refresh || next.no_api || next.no_streaming,
            expire_id || next.no_streaming);
  }
  return problem;
}
