#include "token.h"

#include "../world.h"
#include "errors.h"
#include "settings.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { TOKENS = 4096, ACCESS_LENGTH = 32, REFRESH_LENGTH = 48 };

static const char user[] = "whatever@example.com";
static const char password[] = "p4ssw0rd";
static const char basic[] = "Basic a2V5OnNlY3JldA=="; /* key:secret */

/* Answers list the scopes in this order, whatever the order in the request. */
static const char *const scopes[] = {"vehicle_data", "remote_services", "authenticate_user"};

static struct token {
  char access[ACCESS_LENGTH + 1];
  char refresh[REFRESH_LENGTH + 1];
  char scope[128];
  double ends;
} tokens[TOKENS];
static unsigned long issued;

static struct {
  double expires_in; /* negative: 28800 or 28799, as recorded */
  bool expires_in_string;
  bool no_refresh_token;
  char scope[128]; /* empty: as requested */
} next;

void token_reset(void) {
  memset(tokens, 0, sizeof tokens);
  memset(&next, 0, sizeof next);
  next.expires_in = -1;
}

/* Puts the requested scopes into the service's order; false if there are unknown ones, or none. */
static bool order_scopes(const char *asked, char *out, size_t room) {
  size_t named = 0;
  size_t known = 0;
  out[0] = '\0';
  for (const char *at = asked; *at != '\0';) {
    at += strspn(at, " ");
    named += *at != '\0';
    at += strcspn(at, " ");
  }
  for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++) {
    size_t length = strlen(scopes[i]);
    bool found = false;
    for (const char *at = asked; *at != '\0';) {
      at += strspn(at, " ");
      size_t word = strcspn(at, " ");
      if (word == length && memcmp(at, scopes[i], length) == 0) {
        found = true;
        known++;
      }
      at += word;
    }
    if (found) {
      size_t used = strlen(out);
      snprintf(out + used, room - used, "%s%s", used > 0 ? " " : "", scopes[i]);
    }
  }
  return named > 0 && named == known;
}

static void issue(struct reply *reply, const char *scope, bool refreshed) {
  struct token *token = &tokens[issued++ % TOKENS];
  random_text(token->access, ACCESS_LENGTH);
  random_text(token->refresh, REFRESH_LENGTH);
  snprintf(token->scope, sizeof token->scope, "%s", next.scope[0] != '\0' ? next.scope : scope);
  double seconds = next.expires_in >= 0 ? next.expires_in : refreshed ? 28799 : 28800;
  token->ends = world_now() + seconds;
  const char *quote = next.expires_in_string ? "\"" : "";
  /* The irregular spaces and the CR LF are as recorded. */
  reply->status = 200;
  reply->type = "application/json";
  bytes_format(&reply->body,
               "{\r\n  \"access_token\" : \"%s\",\r\n  \"token_type\" : \"Bearer\",\r\n"
               "  \"expires_in\" :%s%.0f%s,\r\n",
               token->access, quote, seconds, quote);
  if (next.no_refresh_token) {
    token->refresh[0] = '\0';
  } else {
    bytes_format(&reply->body, "  \"refresh_token\": \"%s\",\r\n", token->refresh);
  }
  bytes_format(&reply->body, "  \"scope\" : \"%s\"\r\n}\r\n", token->scope);
}

static struct token *find_refresh(const char *refresh) {
  for (size_t i = 0; i < TOKENS; i++) {
    if (refresh[0] != '\0' && strcmp(tokens[i].refresh, refresh) == 0) {
      return &tokens[i];
    }
  }
  return NULL;
}

void token_answer(struct request *request, struct reply *reply) {
  const char *authorization = request_header(request, "Authorization");
  if (authorization == NULL || strncasecmp(authorization, basic, 6) != 0) {
    reply->status = 200; /* as recorded: an empty answer, not an error */
    return;
  }
  if (!settings.any_key && strcmp(authorization + 6, basic + 6) != 0) {
    recorded_reply(reply, "invalid_client", "");
    return;
  }
  const struct fields *form = &request->form;
  const char *grant = field_value(form, "grant_type");
  const char *scope = field_value(form, "scope");
  if (!request->is_form || grant == NULL || field_repeated(form)) {
    recorded_reply(reply, "invalid_request", "");
    return;
  }
  char ordered[128];
  bool scope_good = scope == NULL || order_scopes(scope, ordered, sizeof ordered);
  const char *refused =
    strncmp(request->path, "/gcdm/", 6) == 0 ? "authentication_failed" : "authn_circuit";
  if (strcmp(grant, "password") == 0) {
    const char *name = field_value(form, "username");
    const char *word = field_value(form, "password");
    if (name == NULL || word == NULL) {
      recorded_reply(reply, "invalid_request", "");
    } else if (strcmp(name, user) != 0 || strcmp(word, password) != 0) {
      recorded_reply(reply, refused, "");
    } else if (!scope_good) {
      recorded_reply(reply, "invalid_scope", "");
    } else {
      /* Without a scope the service issued a token that was no use for this API. */
      issue(reply, scope != NULL ? ordered : "journey_mate", false);
    }
  } else if (strcmp(grant, "refresh_token") == 0) {
    const char *refresh = field_value(form, "refresh_token");
    struct token *token = refresh != NULL ? find_refresh(refresh) : NULL;
    if (refresh == NULL) {
      recorded_reply(reply, "invalid_request", "");
    } else if (token == NULL) {
      recorded_reply(reply, refused, "");
    } else if (!scope_good) {
      recorded_reply(reply, "invalid_scope", "");
    } else {
      char kept[128];
      snprintf(kept, sizeof kept, "%s", scope != NULL ? ordered : token->scope);
      token->refresh[0] = '\0'; /* valid once; the answer has a new one */
      issue(reply, kept, true);
    }
  } else {
    recorded_reply(reply, "unsupported_grant", "");
  }
}

bool token_valid(const char *authorization) {
  if (authorization == NULL || strncasecmp(authorization, "Bearer ", 7) != 0) {
    return false;
  }
  const char *access = authorization + 7;
  access += strspn(access, " ");
  /* Newest first: the one in use is nearly always the last one issued. */
  for (unsigned long back = 1; back <= TOKENS && back <= issued; back++) {
    const struct token *token = &tokens[(issued - back) % TOKENS];
    if (access[0] != '\0' && strcmp(token->access, access) == 0) {
      return world_now() < token->ends && (strstr(token->scope, "vehicle_data") != NULL ||
                                           strstr(token->scope, "remote_services") != NULL);
    }
  }
  return false;
}

const char *token_control(const json_t *options) {
  static const char *const names[] = {
    "expire", "revoke_refresh",   "expires_in", "expires_in_string",
    "scope",  "no_refresh_token", NULL};
  const char *problem = unknown_member(options, names);
  if (problem != NULL) {
    return problem;
  }
  const json_t *expires = json_object_get(options, "expires_in");
  const json_t *scope = json_object_get(options, "scope");
  if (expires != NULL && !json_is_null(expires) &&
      (!json_is_number(expires) || json_number_value(expires) < 0)) {
    return "expires_in must be a number of seconds";
  }
  if (scope != NULL && !json_is_null(scope) &&
      (!json_is_string(scope) || json_string_length(scope) >= sizeof next.scope ||
       strpbrk(json_string_value(scope), "\"\\") != NULL)) {
    return "scope must be a short string without quotes or backslashes";
  }
  for (size_t i = 0; i < TOKENS; i++) {
    if (json_is_true(json_object_get(options, "expire"))) {
      tokens[i].ends = 0;
    }
    if (json_is_true(json_object_get(options, "revoke_refresh"))) {
      tokens[i].refresh[0] = '\0';
    }
  }
  if (expires != NULL) {
    next.expires_in = json_is_null(expires) ? -1 : json_number_value(expires);
  }
  if (scope != NULL) {
    snprintf(next.scope, sizeof next.scope, "%s",
             json_is_string(scope) ? json_string_value(scope) : "");
  }
  next.expires_in_string = json_flag(options, "expires_in_string", next.expires_in_string);
  next.no_refresh_token = json_flag(options, "no_refresh_token", next.no_refresh_token);
  return NULL;
}
