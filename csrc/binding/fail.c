/*
** Failures: the only place that converts one to nil, message, code, info. Holds the names of the
** codes, the hint for each, and the parsing of the service's error bodies.
*/
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "binding/bmwi.h"
#include "binding/options.h"
#include "core/redact.h"

#define MAX_ERROR_BODY (64 * 1024)

/* The name of each code and the hint for the caller. */
static const struct {
  const char *name, *advice;
} codes[] = {
  [BMWI_OK] = {"ok", NULL},
  [BMWI_NETWORK] = {"network", "check the connection and the server's address"},
  [BMWI_TIMEOUT] = {"timeout", "try again later, or raise the option `timeout`"},
  [BMWI_TLS] = {"tls", "check the address and its certificate; for a private CA set `ca_file`"},
  [BMWI_TOO_LARGE] = {"too_large", "raise `max_response_bytes` if that size is expected"},
  [BMWI_JSON] = {"json", "check that `base_url` is the right server"},
  [BMWI_AUTH] = {"auth", NULL},
  [BMWI_FORBIDDEN] = {"forbidden", "check that this account may use this service for this car"},
  [BMWI_NOT_FOUND] = {"not_found", NULL},
  [BMWI_GONE] = {"gone", NULL},
  [BMWI_RATE_LIMITED] = {"rate_limited", "wait before the next call"},
  [BMWI_SERVER] = {"server", "problem on the server's side; try again later"},
  [BMWI_QUOTA] = {"quota", "wait until calls become available again"},
  [BMWI_UNSUPPORTED] = {"unsupported", NULL},
  [BMWI_HTTP] = {"http", NULL},
  [BMWI_UNKNOWN] = {"unknown", "it may have been carried out: check before you send it again"},
  [BMWI_CLOSED] = {"closed", NULL},
  [BMWI_CANCELLED] = {"cancelled", NULL},
  [BMWI_STORE] = {"store", "the methods of the option `store` must not raise"},
  [BMWI_NO_MEMORY] = {"no_memory", NULL},
};

/* Messages with a hint of their own, for every service. */
static const bmwi_advice known[] = {
  {"headers are too large", BMWI_OK, "check that `base_url` is the right server"},
  {"cannot use ca_file", BMWI_OK, "name a PEM file with the CA certificate"},
  {"the proxy from the environment", BMWI_OK, "correct that variable, or set the option `proxy`"},
  {"wrong version number", BMWI_OK, "this port does not use TLS (use http:// or mqtt:// ?)"},
  {"protocol version", BMWI_TLS,
   "either this libcurl lacks TLS 1.3 (install a newer one), or what it has reached knows nothing "
   "new enough"},
  {"protocol: protocol error", BMWI_SERVER,
   "is this an MQTT broker? does the port use TLS (mqtts://)?"},
  {"within connect_timeout", BMWI_OK, "check the address, or raise `connect_timeout`"},
  {"PINGREQ", BMWI_OK, "check the network: the connection was lost without notice"},
  {"not yet valid", BMWI_TLS, "check this machine's clock"},
  {"expired", BMWI_TLS,
   "check this machine's clock; if it is right, the server's certificate has expired"},
  {NULL, BMWI_OK, NULL},
};

const char *bmwi_code_name(bmwi_code code) { return codes[code].name; }

bmwi_code bmwi_code_named(const char *name) {
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
    if (strcmp(codes[i].name, name) == 0) return (bmwi_code)i;
  return BMWI_AUTH;
}

/* ---- secrets ------------------------------------------------------------------ */

static void redact_option(void *text, const char *secret, size_t least) {
  bmwi_redact(text, secret, least);
}

static void redact_account(const bmwi_account *account, char *text) {
  if (account == NULL) return;
  bmwi_options_secrets(account, redact_option, text);
  bmwi_redact(text, account->transport.proxy_password, 4);
  bmwi_redact(text, account->event, 8); /* it holds a part of the VIN */
  for (int i = 0; i < account->session_count; i++) {
    bmwi_redact(text, account->sessions[i].token.access, 4);
    bmwi_redact(text, account->sessions[i].token.refresh, 4);
    bmwi_redact(text, account->sessions[i].token.id_token, 8);
    bmwi_redact(text, account->sessions[i].device.code, 4);
    bmwi_redact(text, account->sessions[i].device.verifier, 4);
  }
}

/* The secret field is not in the account, only in the form that was sent. */
static void redact_field(const bmwi_op *op, char *text) {
  const char *field = op->account != NULL ? op->account->service->secret_field : NULL;
  const char *p = field != NULL && op->body.data != NULL ? strstr(op->body.data, field) : NULL;
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
  bmwi_redact(text, answer, 3);
  bmwi_wipe(answer, sizeof answer);
}

void bmwi_failure_redact(const bmwi_op *op, char *text) {
  bmwi_sanitize(text);
  redact_account(op->account, text);
  redact_field(op, text);
}

/* ---- the service's error bodies -------------------------------------------------- */

/* Where a decoded error body may have a description, in the order in which they are tried. */
static const struct {
  const char *outer, *name;
} places[] = {
  {NULL, "error_description"},
  {NULL, "message"},
  {NULL, "errorMessage"},
  {"error", "message"},
  {"error", "description"},
  {"fault", "faultstring"},
  {NULL, "exveErrorMsg"},
  {NULL, "Message"},
  {NULL, "detail"},
  {NULL, "title"},
  {NULL, "description"},
  {NULL, "errorDescription"},
};

/* Pushes the text of the first of these members in the table at `root`, and returns true; else
** pushes nothing. */
static bool push_words(lua_State *L, int root) {
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
    int top = lua_gettop(L), table = root;
    if (places[i].outer != NULL) {
      lua_getfield(L, root, places[i].outer);
      table = lua_gettop(L);
    }
    if (lua_istable(L, table)) {
      lua_getfield(L, table, places[i].name);
      if (lua_type(L, -1) == LUA_TSTRING && lua_rawlen(L, -1) > 0) return true;
    }
    lua_settop(L, top);
  }
  return false;
}

/* Keeps the service's own error code if the error body has this member. */
static void note_code(lua_State *L, int root, const char *member, bmwi_failure *failure) {
  if (member == NULL) return;
  lua_getfield(L, root, member);
  if (lua_type(L, -1) == LUA_TSTRING)
    bmwi_cut(failure->api_code, sizeof failure->api_code, lua_tostring(L, -1));
  lua_pop(L, 1);
  bmwi_sanitize(failure->api_code);
}

/* Pushes the description from the decoded error body on top of the stack: {"error": "...",
** "message": "..."} becomes "error: message". Records the OAuth 2.0 error code. */
static bool push_description(lua_State *L, const bmwi_op *op, bmwi_failure *failure) {
  if (!lua_istable(L, -1)) return lua_type(L, -1) == LUA_TSTRING;
  int root = lua_gettop(L);
  lua_getfield(L, root, "error");
  bool named = lua_type(L, -1) == LUA_TSTRING && lua_rawlen(L, -1) > 0;
  if (named && op->kind == BMWI_TOKEN) {
    failure->oauth = bmwi_oauth_refuses(lua_tostring(L, -1));
    bmwi_cut(failure->error, sizeof failure->error, lua_tostring(L, -1));
  }
  if (op->account != NULL) note_code(L, root, op->account->service->code_member, failure);
  bool words = push_words(L, root);
  if (named && words) {
    lua_pushliteral(L, ": ");
    lua_insert(L, -2);
    lua_concat(L, 3);
  }
  return named || words;
}

/* Pushes the text of a body that is not JSON: the title of an HTML page, unless it only repeats the
** status or is the generic one of Tomcat or Payara; otherwise the whole text. */
static bool push_text(lua_State *L, const bmwi_buffer *body, long status) {
  const char *text = body->data + strspn(body->data, " \t\r\n\xEF\xBB\xBF");
  size_t len = strlen(text);
  if (*text == '{' || *text == '[') return false; /* broken JSON */
  if (*text == '<') {
    const char *end, *title = NULL;
    for (const char *p = text; title == NULL && (p = strchr(p, '<')) != NULL; p++)
      if (strncasecmp(p, "<title", 6) == 0 && (p[6] == '>' || p[6] == ' ')) title = p;
    title = title != NULL ? strchr(title, '>') : NULL;
    end = title != NULL ? strchr(title, '<') : NULL;
    if (end == NULL) return false;
    text = title + 1 + strspn(title + 1, " \t\r\n");
    if (text >= end || strtol(text, NULL, 10) == status) return false;
    len = (size_t)(end - text);
    const char *report = strstr(text, "Error report");
    if (report != NULL && report < end) return false;
  }
  lua_pushlstring(L, text, len);
  return true;
}

/* Removes spaces at both ends and collapses those in between. */
static void trim(char *text) {
  char *out = text;
  for (const char *p = text; *p != '\0'; p++)
    if (*p != ' ' || (out > text && out[-1] != ' ')) *out++ = *p;
  if (out > text && out[-1] == ' ') out--;
  *out = '\0';
}

void bmwi_failure_describe(lua_State *L, const bmwi_op *op, bmwi_failure *failure) {
  const bmwi_buffer *body = &op->transfer.body;
  int top = lua_gettop(L);
  bmwi_failure_redact(op, failure->location);
  if (failure->status == 0 || body->len == 0 || body->len > MAX_ERROR_BODY) return;
  bool said = bmwi_json_decode(L, body->data, body->len) ? push_description(L, op, failure)
                                                         : push_text(L, body, failure->status);
  if (said) {
    size_t len;
    const char *whole = lua_tolstring(L, -1, &len);
    char *text = lua_newuserdata(L, len + 1); /* redacted before it is truncated */
    memcpy(text, whole, len + 1);
    bmwi_failure_redact(op, text);
    trim(text);
    bmwi_cut(failure->description, sizeof failure->description, text);
    bmwi_wipe(text, len);
  }
  lua_settop(L, top);
  if (op->account != NULL) op->account->service->explain(failure, op->kind == BMWI_CALL);
}

/* ---- the results ------------------------------------------------------------------ */

static const char *find_advice(const bmwi_advice *rows, const bmwi_failure *failure, bool general) {
  for (; rows->advice != NULL; rows++) {
    if (rows->only != BMWI_OK && rows->only != failure->code) continue;
    if (rows->part == NULL ? general
                           : strstr(failure->description, rows->part) != NULL ||
                               strstr(failure->text, rows->part) != NULL ||
                               strcmp(failure->api_code, rows->part) == 0)
      return rows->advice;
  }
  return NULL;
}

/* The hint for a log-in with a code that failed, if the general ones do not suit: its server has an
** option of its own, and it costs no call of the quota. */
static const char *code_login_advice(const bmwi_failure *failure) {
  if (failure->location[0] != '\0') return "redirects are not followed; check `login_url`";
  switch (failure->code) {
    case BMWI_SERVER: return codes[BMWI_SERVER].advice;
    case BMWI_NOT_FOUND:
    case BMWI_HTTP:
    case BMWI_JSON: return "check that `login_url` is the right server";
    default: return NULL;
  }
}

/* The hint for a failure, or NULL. A "forbidden" or "not_found" that has another server's own
** description gets no general hint: the description says more, and a hint might contradict it. */
static const char *advice(const bmwi_failure *failure, const bmwi_service *service) {
  bmwi_code code = failure->code;
  bool by_code = service != NULL && service->login_by_code; /* its own hints say what to do */
  if (failure->refused_at > 0 && !by_code)
    return code == BMWI_AUTH ? "not retried automatically, since that can lock the account: "
                               "correct username, password, api_key or api_secret; "
                               "client:login() always tries"
           : failure->retry_after >= 0 ? "not retried automatically before `retry_after` is over; "
                                         "client:login() always tries"
                                       : "not retried automatically; client:login() always tries";
  if (failure->own && !by_code)
    return "a new token was refused as well: check that account, api_key and scope allow this call";
  const char *found = by_code && failure->login ? code_login_advice(failure) : NULL;
  if (found != NULL) return found;
  if (failure->location[0] != '\0')
    return "redirects are not followed; check the address (`base_url`, `token_url`)";
  if (code == BMWI_UNKNOWN) return codes[code].advice;
  bool described = failure->description[0] != '\0' && failure->api_code[0] == '\0' &&
                   (code == BMWI_FORBIDDEN || code == BMWI_NOT_FOUND);
  found = find_advice(known, failure, false);
  if (found == NULL && code == BMWI_TLS && failure->retryable)
    return "the TLS handshake was cut short: does this port use TLS? if so, try again later";
  if (found == NULL && service != NULL) found = find_advice(service->advice, failure, !described);
  return found != NULL || described ? found : codes[code].advice;
}

/* Sets members of the table on top. */
static void set_text(lua_State *L, const char *name, const char *text) {
  if (text == NULL || *text == '\0') return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, name);
}

int bmwi_fail(lua_State *L, const char *what, const bmwi_failure *failure,
              const bmwi_service *service) {
  const char *location = failure->location, *words = failure->description;
  lua_pushnil(L);
  const char *subject = failure->login ? "log-in" : what, *verb = " failed: ";
  if (failure->login && strcmp(failure->text, "not logged in") == 0) subject = verb = "";
  lua_pushfstring(L, "%s%s%s%s%s%s%s%s", subject, verb, failure->text,
                  *location != '\0' ? " to " : "", location, *words != '\0' ? ": " : "", words,
                  failure->budget ? " (not retried: the retry budget is used up)" : "");
  lua_pushstring(L, bmwi_code_name(failure->code));
  lua_createtable(L, 0, 8);
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
  if (failure->refused_at > 0) {
    bmwi_push_whole(L, (double)(long long)failure->refused_at);
    lua_setfield(L, -2, "refused_at");
  }
  set_text(L, "api_code", failure->api_code);
  set_text(L, "description", words);
  set_text(L, "location", location);
  set_text(L, "hint", advice(failure, service));
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
