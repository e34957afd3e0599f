/*
** Failures: the one place that turns one into nil, message, code, info. Owns
** the names of the codes, what to do about each, and the reading of the
** service's error bodies.
*/
#include <stdarg.h>
#include <stdio.h>

#include "bmwi.h"

#define MAX_ERROR_BODY (64 * 1024)

/* Each code with its name and what the caller can do about it. */
static const struct {
  const char *name, *advice;
} codes[] = {
  [BMWI_OK] = {"ok", NULL},
  [BMWI_NETWORK] = {"network", "check the connection and the server's address"},
  [BMWI_TIMEOUT] = {"timeout", "try again later, or raise the option `timeout`"},
  [BMWI_TLS] = {"tls", "the server cannot be trusted; for an authority of your own set `ca_file`"},
  [BMWI_TOO_LARGE] = {"too_large", "raise `max_response_bytes` if it should be so large"},
  [BMWI_JSON] = {"json", "is `base_url` the right server?"},
  [BMWI_AUTH] = {"auth", "check username, password, api_key, api_secret and scope"},
  [BMWI_FORBIDDEN] = {"forbidden", "this account or car may not do this"},
  [BMWI_NOT_FOUND] = {"not_found", "the server knows no such thing; is it the region of the car? "
                                   "The list of vehicles tells where each one belongs (hub)"},
  [BMWI_GONE] = {"gone", "the service was switched off (BMW did so on 2021-11-09); set `base_url` "
                         "to a server that still speaks it"},
  [BMWI_RATE_LIMITED] = {"rate_limited", "wait before the next call"},
  [BMWI_SERVER] = {"server", "the trouble is on the server's side; try again later"},
  [BMWI_HTTP] = {"http", "see the status"},
  [BMWI_UNKNOWN] = {"unknown", "it may have been carried out: look before you send it again"},
  [BMWI_CLOSED] = {"closed", NULL},
  [BMWI_CANCELLED] = {"cancelled", NULL},
  [BMWI_NO_MEMORY] = {"no_memory", NULL},
};

/* Known descriptions and texts of libcurl that deserve advice of their own. */
static const struct {
  const char *part, *advice;
} known[] = {
  {"dlat and dlon", "set the option position = {lat =, lon =} to where the car roughly is"},
  {"secretKnowledge", "pass secret = with the answer to the account's security question"},
  {"No image available", "the car has no picture of this view"},
  {"not allowed to use the service", "this car or account has not got this service"},
  {"invalid_client", "check api_key and api_secret (or basic)"},
  {"client disabled", "this api_key was switched off; another one is needed"},
  {"invalid_scope", "set the option `scope` to what this api_key may ask for"},
  {"authentication failed", "wrong user name or password, or the log-in has moved (`token_url`)"},
  {"wrong version number", "no TLS is spoken at this address"},
  {"authN circuit failed", "wrong user name or password, or the log-in has moved (`token_url`)"},
};

const char *bmwi_code_name(bmwi_code code) { return codes[code].name; }

/* ---- secrets ------------------------------------------------------------------ */

static void replace(char *text, const char *part, size_t len) {
  for (char *p = strstr(text, part); p != NULL; p = strstr(p + 3, part)) {
    memcpy(p, "***", 3);
    memmove(p + 3, p + len, strlen(p + len) + 1);
  }
}

/* Blots out a secret, as it is and as it looks in a form or a query. One shorter
** than `least` is left alone: it would blot out words that happen to match. */
static void redact(char *text, const char *secret, size_t least) {
  size_t len = secret != NULL ? strlen(secret) : 0;
  if (len < least || len < 3) return;
  for (int form = 0; form <= 1; form++) {
    bmwi_buffer escaped;
    bmwi_buffer_init(&escaped, 64 * 1024, true);
    if (bmwi_buffer_escape(&escaped, secret, len, form == 1))
      replace(text, escaped.data, escaped.len);
    bmwi_buffer_free(&escaped);
  }
  replace(text, secret, len);
}

static void redact_account(const bmwi_account *account, char *text) {
  if (account == NULL) return;
  redact(text, account->password, 4);
  redact(text, account->basic, 4);
  redact(text, account->api_secret, 8);
  redact(text, account->api_key, 8);
  for (int i = 0; i < account->session_count; i++) {
    redact(text, account->sessions[i].token.access, 4);
    redact(text, account->sessions[i].token.refresh, 4);
  }
}

/* The security answer is in no account, only in the form it was sent with. */
static void redact_answer(const bmwi_op *op, char *text) {
  const char *field = "bmwSkAnswer=", *p = op->form.data != NULL ? strstr(op->form.data, field) : NULL;
  char answer[256];
  size_t len = 0;
  if (p == NULL) return;
  for (p += strlen(field); *p != '\0' && *p != '&' && len + 1 < sizeof answer; p++) {
    unsigned int byte = (unsigned char)*p;
    if (*p == '+') byte = ' ';
    if (*p == '%' && sscanf(p + 1, "%2x", &byte) == 1) p += 2;
    answer[len++] = (char)byte;
  }
  answer[len] = '\0';
  redact(text, answer, 3);
  bmwi_wipe(answer, sizeof answer);
}

/* What a server says goes to terminals and logs: one line, no control characters. */
static void tame(char *text) {
  for (unsigned char *p = (unsigned char *)text; *p != '\0'; p++)
    if (*p < 32 || *p == 127) *p = ' ';
}

/* ---- the service's error bodies -------------------------------------------------- */

/* "(SmartPhoneUtil-A-2013) ..." -> "A-2013" */
static void find_api_code(const char *description, char *out, size_t size) {
  const char *start = strstr(description, "SmartPhoneUtil-");
  if (start == NULL) return;
  start += strlen("SmartPhoneUtil-");
  size_t len = strspn(start, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-0123456789");
  if (len > 0 && len < size) {
    memcpy(out, start, len);
    out[len] = '\0';
  }
}

/* The body's own code is more exact than the HTTP status, which is at times 500
** for what the caller did wrong: A is the caller's fault, I the server's. */
static void judge(bmwi_failure *failure) {
  if (failure->api_code[0] != 'A') return;
  failure->retryable = false;
  if (strcmp(failure->api_code, "A-2013") == 0) failure->code = BMWI_FORBIDDEN;
  else if (strcmp(failure->api_code, "A-2012") == 0) failure->code = BMWI_NOT_FOUND;
  else if (failure->code == BMWI_SERVER || failure->code == BMWI_UNKNOWN)
    failure->code = BMWI_HTTP;
}

/* Pushes what the decoded error body on top of the stack says, if it is of a shape
** that is known. */
static bool push_description(lua_State *L) {
  if (!lua_istable(L, -1)) return false;
  int root = lua_gettop(L);
  lua_getfield(L, root, "error");
  if (lua_istable(L, -1)) { /* {"error":{"code":500,"description":"..."}} */
    lua_getfield(L, -1, "description");
    return lua_type(L, -1) == LUA_TSTRING;
  }
  if (lua_type(L, -1) != LUA_TSTRING) return false;
  lua_getfield(L, root, "error_description"); /* {"error":"...","error_description":"..."} */
  if (lua_type(L, -1) == LUA_TSTRING) {
    lua_pushliteral(L, ": ");
    lua_insert(L, -2);
    lua_concat(L, 3);
  } else {
    lua_pop(L, 1);
  }
  return true;
}

void bmwi_failure_said(lua_State *L, const bmwi_op *op, bmwi_failure *failure) {
  size_t len;
  const char *whole = lua_tolstring(L, -1, &len);
  char *text = lua_newuserdata(L, len + 1); /* redacted before it is cut to size */
  memcpy(text, whole, len + 1);
  tame(text);
  redact_account(op->account, text);
  redact_answer(op, text);
  snprintf(failure->description, sizeof failure->description, "%s", text);
  bmwi_wipe(text, len);
  lua_pop(L, 1);
}

void bmwi_failure_describe(lua_State *L, const bmwi_op *op, bmwi_failure *failure) {
  const bmwi_buffer *body = &op->transfer.body;
  int top = lua_gettop(L);
  if (failure->status == 0 || body->len == 0 || body->len > MAX_ERROR_BODY) return;
  if (!bmwi_json_decode(L, body->data, body->len)) return;
  if (push_description(L)) {
    bmwi_failure_said(L, op, failure);
    find_api_code(failure->description, failure->api_code, sizeof failure->api_code);
  }
  lua_settop(L, top);
  if (op->kind == BMWI_CALL) judge(failure);
}

/* ---- the results ------------------------------------------------------------------ */

static const char *advice(const bmwi_failure *failure) {
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if (strstr(failure->description, known[i].part) != NULL ||
        strstr(failure->text, known[i].part) != NULL)
      return known[i].advice;
  return codes[failure->code].advice;
}

int bmwi_fail(lua_State *L, const char *what, const bmwi_failure *failure) {
  const char *more = advice(failure);
  bool described = failure->description[0] != '\0';
  lua_pushnil(L);
  lua_pushfstring(L, "%s failed: %s%s%s%s%s", what, failure->text, described ? ": " : "",
                  failure->description, more != NULL ? "; " : "", more != NULL ? more : "");
  lua_pushstring(L, bmwi_code_name(failure->code));
  lua_createtable(L, 0, 5);
  lua_pushboolean(L, failure->retryable);
  lua_setfield(L, -2, "retryable");
  if (failure->status != 0) {
    lua_pushinteger(L, failure->status);
    lua_setfield(L, -2, "status");
  }
  if (failure->retry_after >= 0) {
    lua_pushnumber(L, failure->retry_after);
    lua_setfield(L, -2, "retry_after");
  }
  if (failure->api_code[0] != '\0') {
    lua_pushstring(L, failure->api_code);
    lua_setfield(L, -2, "api_code");
  }
  if (described) {
    lua_pushstring(L, failure->description);
    lua_setfield(L, -2, "description");
  }
  return 4;
}

int bmwi_fail_plain(lua_State *L, const char *code, const char *format, ...) {
  va_list args;
  lua_pushnil(L);
  va_start(args, format);
  lua_pushvfstring(L, format, args);
  va_end(args);
  lua_pushstring(L, code);
  return 3;
}
