/*
** Failures: the one place that turns one into nil, message, code, info. Owns
** the names of the codes, what to do about each, and the reading of the
** service's error bodies.
*/
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "core/base64.h"
#include "binding/bmwi.h"
#include "binding/options.h"

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
  [BMWI_HTTP] = {"http", NULL},
  [BMWI_UNKNOWN] = {"unknown", "it may have been carried out: look before you send it again"},
  [BMWI_CLOSED] = {"closed", NULL},
  [BMWI_CANCELLED] = {"cancelled", NULL},
  [BMWI_STORE] = {"store", "the option `store` is this program's own: its methods must not raise"},
  [BMWI_NO_MEMORY] = {"no_memory", NULL},
};

/* Known descriptions and texts of libcurl that deserve advice of their own. */
static const struct {
  const char *part, *advice;
  bmwi_code only; /* with this code, or BMWI_OK for any */
} known[] = {
  {"dlat and dlon", "set the option position = {lat =, lon =} to where the car roughly is", BMWI_OK},
  {"secretKnowledge", "pass secret = with the answer to the account's security question", BMWI_OK},
  {"No image available", "the car has no picture of this view", BMWI_OK},
  {"not allowed to use the service", "this car or account has not got this service", BMWI_OK},
  {"invalid_client", "check api_key and api_secret (or basic)", BMWI_OK},
  {"client disabled", "this api_key was switched off; another one is needed", BMWI_OK},
  {"invalid_scope", "set the option `scope` to what this api_key may ask for", BMWI_OK},
  {"locked", "unlock the account at the service's own web site or app first", BMWI_AUTH},
  {"authentication failed", "wrong user name or password, or the log-in has moved (`token_url`)",
   BMWI_OK},
  {"authN circuit failed", "wrong user name or password, or the log-in has moved (`token_url`)",
   BMWI_OK},
  {"headers are too large", "is `base_url` the right server?", BMWI_OK},
  {"cannot use ca_file", "name a file with the certificate of the authority", BMWI_OK},
  {"the proxy of the environment", "correct that variable, or name a proxy by the option `proxy`",
   BMWI_OK},
  {"wrong version number", "no TLS is spoken at this address", BMWI_OK},
  {"not yet valid", "check this machine's clock", BMWI_TLS},
  {"expired", "check this machine's clock; if it is right, the server's certificate has expired",
   BMWI_TLS},
};

const char *bmwi_code_name(bmwi_code code) { return codes[code].name; }

bmwi_code bmwi_code_named(const char *name) {
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
    if (strcmp(codes[i].name, name) == 0) return (bmwi_code)i;
  return BMWI_AUTH;
}

/* ---- secrets ------------------------------------------------------------------ */

/* How a byte may be spelt in what a server says back: as it is, or escaped for an URL
** (once or twice), a form, JSON, C or HTML. */
static const struct {
  const char *start;
  int base, digits; /* of the number that follows; 0 digits: any number, up to a ';' */
} escapes[] = {
  {"%25", 16, 2}, {"%", 16, 2}, {"\\u00", 16, 2}, {"\\x", 16, 2}, {"&#x", 16, 0}, {"&#", 10, 0},
};
static const struct {
  const char *text;
  char byte;
} entities[] = {
  {"&quot;", '"'}, {"&amp;", '&'}, {"&apos;", '\''}, {"&lt;", '<'}, {"&gt;", '>'},
};

/* The length of an escape at `p` that stands for `byte`, or 0. */
static size_t escaped(const char *p, unsigned char byte) {
  if (p[0] == '+' && byte == ' ') return 1;
  for (size_t i = 0; i < sizeof entities / sizeof entities[0]; i++) {
    size_t len = strlen(entities[i].text);
    if (entities[i].byte == (char)byte && strncmp(p, entities[i].text, len) == 0) return len;
  }
  for (size_t i = 0; i < sizeof escapes / sizeof escapes[0]; i++) {
    size_t at = strlen(escapes[i].start), digits = 0;
    char number[8], *end;
    if (strncmp(p, escapes[i].start, at) != 0) continue;
    size_t most = escapes[i].digits > 0 ? (size_t)escapes[i].digits : sizeof number - 1;
    while (digits < most && isxdigit((unsigned char)p[at + digits])) {
      number[digits] = p[at + digits];
      digits++;
    }
    number[digits] = '\0';
    if (digits == 0 || strtol(number, &end, escapes[i].base) != byte || *end != '\0') continue;
    if (escapes[i].digits > 0 && digits == most) return at + digits;
    if (escapes[i].digits == 0 && p[at + digits] == ';') return at + digits + 1;
  }
  size_t slashes = strspn(p, "\\"); /* quoted, perhaps several times over */
  if (slashes > 0 && (unsigned char)p[slashes] == byte) return slashes + 1;
  return slashes > 1 && byte == '\\' ? 2 : 0;
}

/* The length of `secret` as it is spelt at `p`, or 0. What can be read both ways is
** taken as escaped, or as it is. */
static size_t spelt(const char *p, const char *secret, size_t len, bool escapes_first) {
  const char *start = p;
  for (size_t i = 0; i < len; i++) {
    size_t plain = *p == secret[i] ? 1 : 0;
    size_t step = escapes_first || plain == 0 ? escaped(p, (unsigned char)secret[i]) : plain;
    if (step == 0) step = plain;
    if (step == 0) return 0;
    p += step;
  }
  return (size_t)(p - start);
}

static void blot(char *p, size_t len) {
  memcpy(p, "***", 3);
  memmove(p + 3, p + len, strlen(p + len) + 1);
}

/* Blots out base64 that holds the secret, wherever in the encoded text it begins: what
** is the same for each of the three places it can have in a group of three bytes. */
static void redact_base64(char *text, const char *secret, size_t len) {
  for (size_t place = 0; place < 3; place++) {
    bmwi_buffer plain, encoded;
    bmwi_buffer_init(&plain, 64 * 1024, true);
    bmwi_buffer_init(&encoded, 128 * 1024, true);
    if (bmwi_buffer_add(&plain, "\0\0", place) && bmwi_buffer_add(&plain, secret, len) &&
        bmwi_buffer_reserve(&encoded, BMWI_BASE64_ENCODED(plain.len))) {
      size_t first = (place * 8 + 5) / 6, end = plain.len * 8 / 6;
      char *core = encoded.data + first;
      bmwi_base64_encode(encoded.data, plain.data, plain.len);
      encoded.data[end] = '\0';
      for (int alphabet = 0; end >= first + 6 && alphabet < 2; alphabet++) {
        for (char *p = strstr(text, core); p != NULL; p = strstr(p + 3, core))
          blot(p, end - first);
        for (char *p = core; *p != '\0'; p++) /* now as in URLs */
          *p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
      }
    }
    bmwi_buffer_free(&plain);
    bmwi_buffer_free(&encoded);
  }
}

/* Blots out a secret. One shorter than `least` is left alone: it would blot out words
** that happen to match. */
static void redact(char *text, const char *secret, size_t least) {
  size_t len = secret != NULL ? strlen(secret) : 0;
  if (len < least || len < 3) return;
  for (char *p = text; *p != '\0'; p++) {
    size_t found = spelt(p, secret, len, true);
    if (found == 0) found = spelt(p, secret, len, false);
    if (found == 0) continue;
    blot(p, found);
    p += 2;
  }
  redact_base64(text, secret, len);
}

static void redact_option(void *text, const char *secret, size_t least) {
  redact(text, secret, least);
}

static void redact_account(const bmwi_account *account, char *text) {
  if (account == NULL) return;
  bmwi_options_secrets(account, redact_option, text);
  redact(text, account->transport.proxy_password, 4);
  redact(text, account->event, 8); /* it holds a part of the VIN */
  for (int i = 0; i < account->session_count; i++) {
    redact(text, account->sessions[i].token.access, 4);
    redact(text, account->sessions[i].token.refresh, 4);
  }
}

/* The secret field is in no account, only in the form it was sent with. */
static void redact_field(const bmwi_op *op, char *text) {
  const char *field = op->account != NULL ? op->account->service->secret_field : NULL;
  const char *p = field != NULL && op->form.data != NULL ? strstr(op->form.data, field) : NULL;
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

void bmwi_failure_hide(const bmwi_op *op, char *text) {
  bmwi_tame(text);
  redact_account(op->account, text);
  redact_field(op, text);
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

/* Where a decoded error body may say what is wrong, in the order in which they are looked for. */
static const struct {
  const char *outer, *name;
} places[] = {
  {NULL, "error_description"}, {NULL, "message"},       {NULL, "errorMessage"},
  {"error", "message"},        {"error", "description"}, {"fault", "faultstring"},
  {NULL, "exveErrorMsg"},      {NULL, "Message"},       {NULL, "detail"},
  {NULL, "title"},             {NULL, "description"},   {NULL, "errorDescription"},
};

/* Pushes the text at one of the places of the table at `root`, and true; else nothing. */
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

/* Pushes what the decoded error body on top of the stack says: {"error": "...", "message": "..."}
** becomes "error: message". Notes what OAuth 2.0 says. */
static bool push_description(lua_State *L, const bmwi_op *op, bmwi_failure *failure) {
  if (!lua_istable(L, -1)) return lua_type(L, -1) == LUA_TSTRING;
  int root = lua_gettop(L);
  lua_getfield(L, root, "error");
  bool named = lua_type(L, -1) == LUA_TSTRING && lua_rawlen(L, -1) > 0;
  if (named && op->kind == BMWI_TOKEN) failure->oauth = bmwi_oauth_refuses(lua_tostring(L, -1));
  bool words = push_words(L, root);
  if (named && words) {
    lua_pushliteral(L, ": ");
    lua_insert(L, -2);
    lua_concat(L, 3);
  }
  return named || words;
}

/* Pushes the text of a body that is no JSON: the title of a page, unless it only repeats the
** status or is that of all error pages of a Tomcat or Payara, else all of it. */
static bool push_text(lua_State *L, const bmwi_buffer *body, long status) {
  const char *text = body->data + strspn(body->data, " \t\r\n\xEF\xBB\xBF");
  size_t len = strlen(text);
  if (*text == '{' || *text == '[') return false; /* JSON that is broken */
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

/* Blanks at both ends go, and those in a row become one. */
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
  bmwi_failure_hide(op, failure->location);
  if (failure->status == 0 || body->len == 0 || body->len > MAX_ERROR_BODY) return;
  bool said = bmwi_json_decode(L, body->data, body->len) ? push_description(L, op, failure)
                                                          : push_text(L, body, failure->status);
  if (said) {
    size_t len;
    const char *whole = lua_tolstring(L, -1, &len);
    char *text = lua_newuserdata(L, len + 1); /* redacted before it is cut to size */
    memcpy(text, whole, len + 1);
    bmwi_failure_hide(op, text);
    trim(text);
    bmwi_cut(failure->description, sizeof failure->description, text);
    bmwi_wipe(text, len);
    find_api_code(failure->description, failure->api_code, sizeof failure->api_code);
  }
  lua_settop(L, top);
  if (op->kind == BMWI_CALL) judge(failure);
}

/* ---- the results ------------------------------------------------------------------ */

/* What the caller can do about it, or NULL. General advice does not go with words of the server
** that are not the service's own: these tell more, and it might contradict them. */
static const char *advice(const bmwi_failure *failure) {
  bmwi_code code = failure->code;
  if (failure->refused_at > 0)
    return code == BMWI_AUTH ? "it is not tried again by itself, since that can lock the account: "
                               "correct username, password, api_key or api_secret; client:login() "
                               "always tries"
                             : "it is not tried again by itself before the time is over; "
                               "client:login() always tries";
  if (failure->own)
    return "a new token was refused here, too: are account, api_key and scope allowed to do this?";
  if (failure->location[0] != '\0')
    return "no redirection is followed: is the address (`base_url`, `token_url`) right?";
  for (size_t i = 0; code != BMWI_UNKNOWN && i < sizeof known / sizeof known[0]; i++)
    if ((known[i].only == BMWI_OK || known[i].only == code) &&
        (strstr(failure->description, known[i].part) != NULL ||
         strstr(failure->text, known[i].part) != NULL))
      return known[i].advice;
  bool foreign = failure->description[0] != '\0' && failure->api_code[0] == '\0';
  if (foreign && (code == BMWI_FORBIDDEN || code == BMWI_NOT_FOUND)) return NULL;
  return codes[code].advice;
}

/* Sets members of the table on top. */
static void set_text(lua_State *L, const char *name, const char *text) {
  if (text == NULL || *text == '\0') return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, name);
}

int bmwi_fail(lua_State *L, const char *what, const bmwi_failure *failure) {
  const char *location = failure->location, *words = failure->description;
  lua_pushnil(L);
  lua_pushfstring(L, "%s failed: %s%s%s%s%s%s", failure->login ? "log-in" : what, failure->text,
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
  set_text(L, "hint", advice(failure));
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
