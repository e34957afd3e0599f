/*
** Options: see options.h. Contains a reader for each type; the rows are in service.c and in the
** file of each service.
*/
#include "binding/options.h"

#include <ctype.h>
#include <math.h>

#include "binding/bmwi.h"
#include "core/url.h"

/* ---- the rows ----------------------------------------------------------------------------- */

static const struct {
  int lua;
  const char *name;
} types[] = {
  [BMWI_OPTION_TEXT] = {LUA_TSTRING, "text"},
  [BMWI_OPTION_CHOICE] = {LUA_TSTRING, "choice"},
  [BMWI_OPTION_ORIGIN] = {LUA_TSTRING, "origin"},
  [BMWI_OPTION_URL] = {LUA_TSTRING, "url"},
  [BMWI_OPTION_BROKER] = {LUA_TSTRING, "broker"},
  [BMWI_OPTION_PATH] = {LUA_TSTRING, "path"},
  [BMWI_OPTION_NUMBER] = {LUA_TNUMBER, "number"},
  [BMWI_OPTION_WHOLE] = {LUA_TNUMBER, "whole"},
  [BMWI_OPTION_TABLE] = {LUA_TTABLE, "table"},
  [BMWI_OPTION_OBJECT] = {LUA_TTABLE, "object"},
  [BMWI_OPTION_FUNCTION] = {LUA_TFUNCTION, "function"},
};

static const bmwi_option *find_row(const bmwi_service *service, const char *name) {
  const bmwi_option *row;
  for (size_t i = 0; (row = bmwi_service_option(service, i))->name != NULL; i++)
    if (strcmp(row->name, name) == 0) return row;
  return NULL;
}

static int unknown_option(lua_State *L, const bmwi_service *service, const char *name) {
  luaL_Buffer names;
  luaL_buffinit(L, &names);
  for (size_t i = 0; bmwi_service_option(service, i)->name != NULL; i++) {
    luaL_addstring(&names, i > 0 ? ", " : "");
    luaL_addstring(&names, bmwi_service_option(service, i)->name);
  }
  luaL_pushresult(&names);
  return luaL_error(L, "unknown option '%s' (known: %s)", name, lua_tostring(L, -1));
}

/* Checks that every key is a known option and every value has its type. */
static void check_names(lua_State *L, const bmwi_service *service) {
  lua_pushnil(L);
  while (lua_next(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      luaL_error(L, "options are a table with names, such as {username = ...}");
    const char *name = lua_tostring(L, -2);
    const bmwi_option *row = find_row(service, name);
    if (row == NULL) {
      unknown_option(L, service, name); /* raises */
      return;
    }
    int wanted = types[row->type].lua;
    if (lua_type(L, -1) != wanted)
      luaL_error(L, "option '%s': a %s expected, got a %s", name, lua_typename(L, wanted),
                 luaL_typename(L, -1));
    if (row->type == BMWI_OPTION_TABLE) bmwi_check_plain(L, lua_gettop(L));
    lua_pop(L, 1);
  }
}

/* ---- each type ---------------------------------------------------------------------------- */

static void *place(const bmwi_account *account, const bmwi_option *row) {
  return (char *)account + row->place;
}

static bool is_text(const bmwi_option *row) { return row->type <= BMWI_OPTION_PATH; }

char *bmwi_keep_text(lua_State *L, const char *text) {
  char *copy = bmwi_copy(text);
  if (copy == NULL && text != NULL) luaL_error(L, "not enough memory");
  return copy;
}

/* Removes the slashes at the end of an origin and converts the scheme to lower case. */
static void tidy_url(char *url, bool origin) {
  size_t len = strlen(url);
  while (origin && len > 0 && url[len - 1] == '/') url[--len] = '\0';
  for (char *p = url; *p != ':' && *p != '\0'; p++) *p = (char)tolower((unsigned char)*p);
}

/* `words`: 'a', 'b' or 'c' */
static bool chosen(const char *words, const char *text) {
  size_t len = strlen(text);
  for (const char *word = strchr(words, '\''); word != NULL; word = strchr(word, '\'')) {
    size_t n = strcspn(++word, "'");
    if (n == len && memcmp(word, text, len) == 0) return true;
    word += n + 1;
  }
  return false;
}

static void check_text(lua_State *L, const bmwi_option *row, const char *text, size_t len) {
  if (len == 0) luaL_error(L, "option '%s': empty", row->name);
  if (len > BMWI_MAX_TEXT)
    luaL_error(L, "option '%s': longer than %d bytes", row->name, BMWI_MAX_TEXT);
  for (size_t i = 0; i < len; i++) /* they could end a header line */
    if (text[i] == '\0' || (!row->any_bytes && ((unsigned char)text[i] < 32 || text[i] == 127)))
      luaL_error(L, "option '%s': a control character", row->name);
  if (row->type == BMWI_OPTION_CHOICE && !chosen(row->words, text))
    luaL_error(L, "option '%s': %s expected, got '%s'", row->name, row->words, text);
  if (row->type == BMWI_OPTION_PATH && !bmwi_path(text, len))
    luaL_error(L, "option '%s': not a plain path", row->name);
}

static void read_text(lua_State *L, bmwi_account *account, const bmwi_option *row) {
  size_t len;
  char **kept = place(account, row);
  const char *text = lua_tolstring(L, -1, &len);
  if (text != NULL) check_text(L, row, text, len);
  *kept = bmwi_keep_text(L, text != NULL ? text : row->text);
  for (char *p = *kept; row->lower_case && p != NULL && *p != '\0'; p++)
    *p = (char)tolower((unsigned char)*p);
  bool path = row->type == BMWI_OPTION_URL, broker = row->type == BMWI_OPTION_BROKER;
  if (*kept == NULL || (!path && !broker && row->type != BMWI_OPTION_ORIGIN)) return;
  tidy_url(*kept, !path);
  const char *fault = broker ? bmwi_mqtt_url_fault(*kept, false) : bmwi_url_fault(*kept, path);
  if (fault != NULL) luaL_error(L, "option '%s': %s", row->name, fault);
}

static void read_number(lua_State *L, bmwi_account *account, const bmwi_option *row) {
  double value = lua_isnil(L, -1) ? row->standard : lua_tonumber(L, -1);
  if (!(value >= row->least && value <= row->most))
    luaL_error(L, "option '%s': a number from %s to %s expected", row->name,
               bmwi_message_number(L, row->least), bmwi_message_number(L, row->most));
  if (row->type == BMWI_OPTION_NUMBER) {
    *(double *)place(account, row) = value;
  } else {
    if (value != floor(value)) luaL_error(L, "option '%s': a whole number expected", row->name);
    *(long *)place(account, row) = (long)value;
  }
}

/* ---- options that depend on each other ------------------------------------------------------ */

static void exclude(lua_State *L, const char *a, const char *b, const char *name_a,
                    const char *name_b) {
  if (a != NULL && b != NULL)
    luaL_error(L, "options '%s' and '%s' are mutually exclusive", name_a, name_b);
}

static char *keep_joined(lua_State *L, const char *url, const char *path) {
  lua_pushfstring(L, "%s%s", url, path);
  char *copy = bmwi_keep_text(L, lua_tostring(L, -1));
  lua_pop(L, 1);
  return copy;
}

/* The servers: one session for base_url, or one for each region. */
static void make_sessions(lua_State *L, const bmwi_service *service, bmwi_account *account) {
  const char *base = account->base_url;
  exclude(L, account->region, base, "region", "base_url");
  exclude(L, account->token_path, account->token_url, "token_path", "token_url");
  bool none = base == NULL && account->region == NULL;
  if (none && service->no_server != NULL) luaL_error(L, "%s", service->no_server);
  const char *path = account->token_path != NULL ? account->token_path : service->token_path;
  account->home = base != NULL || none ? 0 : bmwi_service_region(service, account->region);
  for (int i = 0; base != NULL ? i < 1 : service->regions[i].name != NULL; i++) {
    bmwi_session *session = &account->sessions[i];
    bmwi_session_init(session, account);
    account->session_count = i + 1;
    session->base_url = bmwi_keep_text(L, base != NULL ? base : service->regions[i].url);
    if (service->login_by_code) session->token_url = keep_joined(L, account->login_url, "/token");
    else if (account->token_url != NULL) session->token_url = bmwi_keep_text(L, account->token_url);
    else session->token_url = keep_joined(L, session->base_url, path);
  }
  if (service->login_by_code)
    account->device_url = keep_joined(L, account->login_url, "/device/code");
  /* A custom server also serves what the second host does: its token must not be sent to BMW. */
  if (account->second_url == NULL && service->second_host != NULL)
    account->second_url = bmwi_keep_text(L, base != NULL ? base : service->second_host);
}

static void read_position(lua_State *L, bmwi_account *account) {
  lua_getfield(L, 1, "position");
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, "lat");
    lua_getfield(L, -2, "lon");
    if (lua_type(L, -1) != LUA_TNUMBER || lua_type(L, -2) != LUA_TNUMBER)
      luaL_error(L, "option 'position': {lat = degrees, lon = degrees} expected");
    account->lat = lua_tonumber(L, -2);
    account->lon = lua_tonumber(L, -1);
    if (!(fabs(account->lat) <= 90 && fabs(account->lon) <= 180))
      luaL_error(L, "option 'position': lat is from -90 to 90, lon from -180 to 180");
    account->has_position = true;
    lua_pop(L, 2);
  }
  lua_pop(L, 1);
}

/* {"HOST:PORT:CONNECT-TO-HOST:CONNECT-TO-PORT", ...}, as libcurl's CONNECT_TO */
static void read_connect_to(lua_State *L, bmwi_transport *transport) {
  lua_getfield(L, 1, "connect_to");
  bool valid = !lua_istable(L, -1) || bmwi_is_array(L, -1);
  for (int i = 1; valid && lua_istable(L, -1); i++) {
    lua_rawgeti(L, -1, i);
    if (lua_isnil(L, -1)) {
      lua_pop(L, 1);
      break;
    }
    size_t len = 0;
    const char *rule = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : "";
    valid = bmwi_token_text(rule, len) && bmwi_connect_to(rule); /* it is sent to a proxy */
    if (valid && !bmwi_transport_connect_to(transport, rule)) luaL_error(L, "not enough memory");
    lua_pop(L, 1);
  }
  if (!valid) luaL_error(L, "option 'connect_to': an array of \"HOST:PORT:HOST:PORT\" expected");
  lua_pop(L, 1);
}

/* The whole text may be a secret, so messages do not contain any part of it. */
static void find_proxy(lua_State *L, bmwi_transport *transport) {
  const char *fault = transport->proxy != NULL ? bmwi_proxy_fault(transport->proxy) : NULL;
  if (fault != NULL) luaL_error(L, "option 'proxy': %s", fault);
  if (!bmwi_transport_find_proxy(transport)) luaL_error(L, "not enough memory");
}

/* The service named in the options, which decides what other options there are. */
static const bmwi_service *named_service(lua_State *L) {
  lua_getfield(L, 1, "service");
  const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  const bmwi_service *service = name != NULL ? bmwi_service_named(name) : bmwi_services[0];
  if (name != NULL && service == NULL)
    check_text(L, find_row(bmwi_services[0], "service"), name, strlen(name));
  lua_pop(L, 1);
  return service;
}

void bmwi_options_read(lua_State *L, bmwi_account *account) {
  bmwi_check_plain(L, 1);
  const bmwi_service *service = named_service(L);
  check_names(L, service);
  account->service = service;
  const bmwi_option *row;
  for (size_t i = 0; (row = bmwi_service_option(service, i))->name != NULL; i++) {
    lua_getfield(L, 1, row->name);
    if (is_text(row)) read_text(L, account, row);
    else if (row->type <= BMWI_OPTION_WHOLE) read_number(L, account, row);
    lua_pop(L, 1);
  }
  make_sessions(L, service, account);
  read_position(L, account);
  read_connect_to(L, &account->transport);
  find_proxy(L, &account->transport);
}

static void make_basic(lua_State *L, bmwi_account *account) {
  bmwi_buffer basic;
  bmwi_buffer_init(&basic, 3 * BMWI_MAX_TEXT, true);
  if (bmwi_oauth_basic(&basic, account->api_key, account->api_secret))
    account->basic = bmwi_copy(basic.data);
  bmwi_buffer_free(&basic);
  if (account->basic == NULL) luaL_error(L, "not enough memory");
}

void bmwi_options_check_login(lua_State *L, bmwi_account *account) {
  bool token = account->sessions[account->home].token.access != NULL;
  const char *fault = account->service->check_login(account, token);
  if (fault != NULL) luaL_error(L, "%s", fault);
  if (account->api_key != NULL) make_basic(L, account);
}

static void wipe(bmwi_account *account) {
  bmwi_account_wipe(account);
  bmwi_drop(&account->device_url);
  if (account->service == NULL) return; /* bmwi.new failed early */
  const bmwi_option *row;
  for (size_t i = 0; (row = bmwi_service_option(account->service, i))->name != NULL; i++)
    if (is_text(row)) bmwi_drop(place(account, row));
}

void bmwi_account_end(bmwi_account *account) {
  bmwi_account_close(account);
  if (account->pins == 0) wipe(account);
}

void bmwi_account_unpin(bmwi_account *account) {
  if (--account->pins == 0 && account->closed) wipe(account);
}

void bmwi_options_secrets(const bmwi_account *account,
                          void (*visit)(void *user, const char *secret, size_t least), void *user) {
  const bmwi_option *row;
  for (size_t i = 0; (row = bmwi_service_option(account->service, i))->name != NULL; i++)
    if (row->secret > 0) visit(user, *(char **)place(account, row), row->secret);
}

void bmwi_options_keep(lua_State *L, const bmwi_service *service) {
  const bmwi_option *row;
  lua_newtable(L);
  for (size_t i = 0; (row = bmwi_service_option(service, i))->name != NULL; i++) {
    if (row->type < BMWI_OPTION_TABLE) continue;
    lua_getfield(L, 1, row->name);
    lua_setfield(L, -2, row->name);
  }
}

/* A copy, since pushing may run a finalizer that closes the client. */
static void push_text(lua_State *L, const char *text) {
  char copy[BMWI_MAX_TEXT + 1] = "";
  if (text != NULL) bmwi_cut(copy, sizeof copy, text);
  if (text != NULL) lua_pushstring(L, copy);
  else lua_pushnil(L);
}

int bmwi_options_get(lua_State *L, const bmwi_account *account, int kept) {
  const bmwi_option *row = find_row(account->service, luaL_checkstring(L, 2));
  if (row == NULL || row->secret > 0) return luaL_error(L, "this option cannot be read");
  if (row->type >= BMWI_OPTION_TABLE) lua_getfield(L, kept, row->name);
  else if (is_text(row)) push_text(L, *(char **)place(account, row));
  else if (row->type == BMWI_OPTION_NUMBER) lua_pushnumber(L, *(double *)place(account, row));
  else {
    const long *number = place(account, row);
    lua_pushinteger(L, *number);
  }
  return 1;
}

void bmwi_options_push(lua_State *L, const bmwi_service *service) {
  lua_newtable(L);
  const bmwi_option *row;
  for (size_t i = 0; (row = bmwi_service_option(service, i))->name != NULL; i++) {
    lua_createtable(L, 0, 6);
    lua_pushstring(L, row->name);
    lua_setfield(L, -2, "name");
    lua_pushstring(L, types[row->type].name);
    lua_setfield(L, -2, "type");
    lua_pushboolean(L, row->secret > 0);
    lua_setfield(L, -2, "secret");
    if (types[row->type].lua == LUA_TNUMBER) {
      lua_pushnumber(L, row->standard);
      lua_setfield(L, -2, "standard");
      lua_pushnumber(L, row->least);
      lua_setfield(L, -2, "least");
      lua_pushnumber(L, row->most);
      lua_setfield(L, -2, "most");
    } else if (row->text != NULL) {
      lua_pushstring(L, row->text);
      lua_setfield(L, -2, "standard");
    }
    lua_rawseti(L, -2, (int)i + 1);
  }
}
