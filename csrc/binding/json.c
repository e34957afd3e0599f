/*
** JSON: the bridge to lua-cjson. Uses its own instance, so the application's settings are never
** touched, and compensates for the differences between lua-cjson 2.1.0 and the OpenResty fork
** (integers, null, empty arrays, locales).
*/
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#if defined(__APPLE__)
#include <xlocale.h>
#endif

#include "binding/bmwi.h"

/* The address of `parts` is the registry key of a table with these. */
static const char parts;
enum {
  NUMERALS = 1,
  DECODE, /* lua-cjson's function */
  ARRAYS, /* the tables that are encoded as arrays even when empty, as weak keys */
};

/* How lua-cjson parses numbers. It uses the decimal point that was current when it was loaded. */
typedef struct numerals {
  locale_t plain;  /* "C": if we loaded lua-cjson, or the host did before it set a locale */
  locale_t loaded; /* the locale that was current when we were loaded */
  bool gone;       /* the state is being closed and lua-cjson's instance has been collected */
} numerals;

/* Changes a setting of the new instance, if it has that setting. */
static void setting(lua_State *L, const char *name, int value, bool boolean) {
  lua_getfield(L, -1, name);
  if (lua_isfunction(L, -1)) {
    if (boolean) lua_pushboolean(L, value);
    else lua_pushinteger(L, value);
    lua_call(L, 1, 0);
  } else {
    lua_pop(L, 1);
  }
}

static int numerals_gc(lua_State *L) {
  numerals *kept = lua_touserdata(L, 1);
  if (kept->plain != (locale_t)0) freelocale(kept->plain);
  if (kept->loaded != (locale_t)0) freelocale(kept->loaded);
  kept->plain = kept->loaded = (locale_t)0;
  kept->gone = true;
  return 0;
}

/* Pushes the numerals. */
static const numerals *new_numerals(lua_State *L) {
  numerals *kept = lua_newuserdata(L, sizeof *kept);
  kept->plain = kept->loaded = (locale_t)0;
  kept->gone = false;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, numerals_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  kept->plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  kept->loaded = duplocale(uselocale((locale_t)0));
  return kept;
}

/* lua_pcall under a locale of this thread, which is always restored. */
static int call_under(lua_State *L, locale_t locale, int arguments) {
  locale_t before = uselocale(locale); /* (locale_t)0, when out of memory, changes nothing */
  int status = lua_pcall(L, arguments, 1, 0);
  uselocale(before);
  return status;
}

static void push_new_arrays(lua_State *L) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
}

static void push_arrays(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &parts);
  lua_rawgeti(L, -1, ARRAYS);
  lua_remove(L, -2);
}

/* Replaces require's message: lua-cjson is missing, or is installed for another Lua version. */
static void no_cjson(lua_State *L, const char *message) {
  static const char needs[] = "bmwi needs lua-cjson";
  const char *at = message != NULL ? strstr(message, "error loading module") : NULL;
  at = at != NULL ? strstr(at, "/lua/") : NULL;
  size_t len = at != NULL ? strspn(at + 5, "0123456789.") : 0;
  if (len > 0 && strncmp(at + 5, &LUA_VERSION[4], len) != 0) {
    lua_pushlstring(L, at + 5, len);
    luaL_error(L,
               "%s: the one found is installed for Lua %s, but this is %s"
               " (look at LUA_PATH and LUA_CPATH): %s",
               needs, lua_tostring(L, -1), LUA_VERSION, message);
  }
  luaL_error(L, "%s (apt install lua-cjson, or luarocks install lua-cjson): %s", needs, message);
}

/* Loads lua-cjson in the "C" locale: with a multi-byte decimal point it ends the process. */
void bmwi_json_open(lua_State *L) {
  lua_createtable(L, ARRAYS, 0);
  int table = lua_gettop(L);
  const numerals *kept = new_numerals(L);
  lua_rawseti(L, table, NUMERALS);
  push_new_arrays(L);
  lua_rawseti(L, table, ARRAYS);
  lua_getglobal(L, "require");
  lua_pushliteral(L, "cjson");
  if (call_under(L, kept->plain, 1) != 0) no_cjson(L, lua_tostring(L, -1));
  lua_getfield(L, -1, "new");
  if (call_under(L, kept->plain, 0) != 0) lua_error(L);
  setting(L, "decode_max_depth", BMWI_JSON_DEPTH, false);
  setting(L, "decode_invalid_numbers", 0, true);
  lua_getfield(L, -1, "decode");
  lua_rawseti(L, table, DECODE);
  lua_pop(L, 2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &parts);
}

/* ---- decoding ---------------------------------------------------------------- */

/* Decodes the text at that index and pushes the value or an error; returns lua_pcall's status. */
static int decode(lua_State *L, int function, int text, locale_t locale) {
  lua_pushvalue(L, function);
  lua_pushvalue(L, text);
  return call_under(L, locale, 1);
}

bool bmwi_json_decode(lua_State *L, const char *data, size_t len) {
  int top = lua_gettop(L), text = top + 2, function = top + 3;
  luaL_checkstack(L, 14, NULL);
  if (len >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0) { /* a byte order mark */
    data += 3;
    len -= 3;
  }
  lua_rawgetp(L, LUA_REGISTRYINDEX, &parts);
  lua_pushlstring(L, data, len);
  lua_rawgeti(L, top + 1, DECODE);
  lua_rawgeti(L, top + 1, ARRAYS);
  lua_rawgeti(L, top + 1, NUMERALS);
  const numerals *kept = lua_touserdata(L, -1);
  if (kept->gone) luaL_error(L, BMWI_AT_ITS_END);
  lua_pop(L, 1);
  int status = decode(L, function, text, kept->plain);
  if (status != 0 && status != LUA_ERRMEM) /* it may have been loaded with another decimal point */
    status = decode(L, function, text, kept->loaded);
  if (status == LUA_ERRMEM) lua_error(L);
  bool good = status == 0;
  if (good && lua_istable(L, -1)) good = bmwi_json_amend(L, function, lua_tostring(L, text), len);
  else if (good && lua_type(L, -1) == LUA_TNUMBER) good = isfinite(lua_tonumber(L, -1));
  if (good) {
    lua_replace(L, top + 1);
    lua_settop(L, top + 1);
  } else {
    lua_settop(L, top);
  }
  return good;
}

/* ---- encoding ---------------------------------------------------------------- */

static void write_decimal(lua_State *L, int index, char text[BMWI_DECIMAL]) {
#if LUA_VERSION_NUM >= 503
  if (lua_isinteger(L, index)) {
    snprintf(text, BMWI_DECIMAL, LUA_INTEGER_FMT, (LUAI_UACINT)lua_tointeger(L, index));
    return;
  }
#endif
  bmwi_decimal(text, lua_tonumber(L, index));
}

void bmwi_push_decimal(lua_State *L, int index) {
  char text[BMWI_DECIMAL];
  write_decimal(L, index, text);
  lua_pushstring(L, text);
}

const char *bmwi_message_number(lua_State *L, double value) {
  if (!isfinite(value)) return lua_pushfstring(L, "%f", value);
  char text[BMWI_DECIMAL];
  bmwi_decimal(text, value);
  return lua_pushfstring(L, "%s", text); /* not a result of lua_pushstring in Lua 5.1 */
}

/* A document is collected in a userdata, which a larger one replaces when it is full. Each is
** wiped: a store writes tokens. */
typedef struct writer {
  int slot; /* its stack index */
  char *bytes;
  size_t len, size;
  bool print; /* for people and other programs: always writes valid JSON */
  bool lines; /* one member per line */
} writer;

static void resize(lua_State *L, writer *w, size_t size) {
  char *bytes = lua_newuserdata(L, size);
  if (w->len > 0) {
    memcpy(bytes, w->bytes, w->len);
    bmwi_wipe(w->bytes, w->len);
  }
  lua_replace(L, w->slot);
  w->bytes = bytes;
  w->size = size;
}

static void add(lua_State *L, writer *w, const char *data, size_t len) {
  size_t size = w->size;
  while (size - w->len < len) size *= 2;
  if (size > w->size) resize(L, w, size);
  memcpy(w->bytes + w->len, data, len);
  w->len += len;
}

static inline void add_text(lua_State *L, writer *w, const char *text) {
  add(L, w, text, strlen(text));
}

static void add_number(lua_State *L, writer *w, int index) {
  char text[BMWI_DECIMAL] = "null";
  if (isfinite(lua_tonumber(L, index))) write_decimal(L, index, text);
  else if (!w->print) luaL_error(L, "a number that is not finite cannot be sent");
  add_text(L, w, text);
}

static void add_escaped(lua_State *L, writer *w, char c) {
  static const char plain[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
  const char *at = c != '\0' ? strchr(plain, c) : NULL;
  char text[8];
  if (at != NULL) snprintf(text, sizeof text, "\\%c", letters[at - plain]);
  else snprintf(text, sizeof text, "\\u%04x", (unsigned)c);
  add_text(L, w, text);
}

/* How many bytes from `p` on are written as they are. */
static size_t plain_run(const writer *w, const char *p, const char *end) {
  const char *from = p;
  while (p < end && (unsigned char)*p >= 32 && *p != '"' && *p != '\\' && *p != 127 &&
         (w->print ? (unsigned char)*p < 128 : *p != '/'))
    p++;
  return (size_t)(p - from);
}

/* Bytes that are not UTF-8 are sent unchanged, and printed as U+FFFD. A slash is escaped as the
** service has always received it. */
static void add_string(lua_State *L, writer *w, const char *p, size_t len) {
  const char *end = p + len;
  add_text(L, w, "\"");
  while (p < end) {
    size_t step = plain_run(w, p, end);
    if (step > 0) {
      add(L, w, p, step);
    } else if ((unsigned char)*p >= 128) {
      step = bmwi_utf8_length(p, (size_t)(end - p));
      add(L, w, step > 0 ? p : "\xEF\xBF\xBD", step > 0 ? step : 3);
    } else if (*p == '/') {
      add_text(L, w, "\\/");
    } else {
      add_escaped(L, w, *p);
    }
    p += step > 0 ? step : 1;
  }
  add_text(L, w, "\"");
}

void bmwi_check_plain(lua_State *L, int index) {
  if (luaL_getmetafield(L, index, "__index"))
    luaL_error(L, "a table that inherits members (__index) is not accepted: copy them into it");
}

static void encode(lua_State *L, writer *w, int index, bool array, int depth);

/* Adds what precedes a member, or the end of a list that is not empty. */
static void add_break(lua_State *L, writer *w, bool comma, int depth) {
  if (comma) add_text(L, w, ",");
  if (!w->lines) return;
  add_text(L, w, "\n");
  for (int i = 0; i < depth; i++) add_text(L, w, "  ");
}

static void encode_array(lua_State *L, writer *w, int index, int depth) {
  int length = (int)lua_rawlen(L, index), members = 0;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TNUMBER || ++members > length)
      luaL_error(L, "a table with mixed keys cannot be sent");
  }
  add_text(L, w, "[");
  for (int i = 1; i <= length; i++) {
    add_break(L, w, i > 1, depth);
    lua_rawgeti(L, index, i);
    encode(L, w, lua_gettop(L), false, depth);
    lua_pop(L, 1);
  }
  if (length > 0) add_break(L, w, false, depth - 1);
  add_text(L, w, "]");
}

static int by_name(const void *a, const void *b) {
  const bmwi_name *one = a, *other = b;
  size_t shorter = one->len < other->len ? one->len : other->len;
  int order = memcmp(one->text, other->text, shorter);
  return order != 0 ? order : (one->len > other->len) - (one->len < other->len);
}

const bmwi_name *bmwi_push_names(lua_State *L, int index, int *count) {
  lua_createtable(L, 8, 0);
  int kept = lua_gettop(L), most = 0;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "a table with mixed keys cannot be sent");
    lua_pushvalue(L, -1); /* the copy remains as lua_next's key */
    lua_rawseti(L, kept, ++most);
  }
  bmwi_name *list = lua_newuserdata(L, ((size_t)most + 1) * sizeof *list);
  for (int i = 0; i < most; i++) {
    lua_rawgeti(L, kept, i + 1);
    list[i].text = lua_tolstring(L, -1, &list[i].len);
    list[i].at = i + 1;
    lua_pop(L, 1);
  }
  qsort(list, (size_t)most, sizeof *list, by_name);
  *count = most;
  return list;
}

/* Members are written in the order of their names, so equal tables give equal strings. */
static void encode_object(lua_State *L, writer *w, int index, int depth) {
  int count;
  const bmwi_name *list = bmwi_push_names(L, index, &count);
  int names = lua_gettop(L) - 1;
  add_text(L, w, "{");
  for (int i = 0; i < count; i++) {
    add_break(L, w, i > 0, depth);
    add_string(L, w, list[i].text, list[i].len);
    add_text(L, w, w->lines ? ": " : ":");
    lua_rawgeti(L, names, list[i].at);
    lua_rawget(L, index);
    encode(L, w, lua_gettop(L), bmwi_service_array(list[i].text), depth);
    lua_pop(L, 1);
  }
  if (count > 0) add_break(L, w, false, depth - 1);
  add_text(L, w, "}");
  lua_pop(L, 2);
}

/* Whether the table is empty and was decoded from, or declared as, an array. */
static bool is_empty_array(lua_State *L, int index) {
  lua_pushnil(L);
  if (lua_next(L, index)) {
    lua_pop(L, 2);
    return false;
  }
  push_arrays(L);
  lua_pushvalue(L, index);
  lua_rawget(L, -2);
  bool array = lua_toboolean(L, -1);
  lua_pop(L, 2);
  return array;
}

static void encode(lua_State *L, writer *w, int index, bool array, int depth) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  if (depth > BMWI_JSON_DEPTH) luaL_error(L, "a table nested too deeply cannot be sent");
  switch (lua_type(L, index)) {
    case LUA_TNUMBER: add_number(L, w, index); break;
    case LUA_TSTRING: {
      size_t len;
      const char *text = lua_tolstring(L, index, &len);
      add_string(L, w, text, len);
      break;
    }
    case LUA_TBOOLEAN: add_text(L, w, lua_toboolean(L, index) ? "true" : "false"); break;
    case LUA_TTABLE:
      bmwi_check_plain(L, index);
      if (lua_rawlen(L, index) > 0 || array || is_empty_array(L, index))
        encode_array(L, w, index, depth + 1);
      else encode_object(L, w, index, depth + 1);
      break;
    default: luaL_error(L, "a %s cannot be sent", luaL_typename(L, index));
  }
}

static void push_document(lua_State *L, int index, bool print, bool lines) {
  index = lua_absindex(L, index);
  lua_pushnil(L);
  writer w = {.slot = lua_gettop(L), .print = print, .lines = lines};
  resize(L, &w, 128);
  encode(L, &w, index, false, 0);
  lua_pushlstring(L, w.bytes, w.len);
  bmwi_wipe(w.bytes, w.len);
  lua_remove(L, w.slot);
}

void bmwi_json_encode(lua_State *L, int index) { push_document(L, index, false, false); }

/* sys.json(value[, lines]) -> text: like bmwi.json.encode, but never fails */
int bmwi_json_print(lua_State *L) {
  luaL_checkany(L, 1);
  push_document(L, 1, true, lua_toboolean(L, 2));
  return 1;
}

/* ---- bmwi.json ---------------------------------------------------------------- */

/* bmwi.json.decode(text) -> value | nil, message, "json". Decoded like responses: null is dropped,
** whole numbers are integers, empty arrays stay arrays. */
static int json_decode(lua_State *L) {
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  if (bmwi_json_decode(L, text, len)) return 1;
  lua_pushnil(L);
  lua_pushliteral(L, "this is not JSON");
  lua_pushliteral(L, "json");
  return 3;
}

/* bmwi.json.encode(value) -> text, with an object's members in the order of their names */
static int json_encode(lua_State *L) {
  luaL_checkany(L, 1);
  bmwi_json_encode(L, 1);
  return 1;
}

/* bmwi.json.array([t]) -> t, which is encoded as an array from now on even if it is empty */
static int json_array(lua_State *L) {
  if (lua_isnoneornil(L, 1)) {
    lua_settop(L, 0);
    lua_newtable(L);
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  push_arrays(L);
  lua_pushvalue(L, 1);
  lua_pushboolean(L, 1);
  lua_rawset(L, -3);
  lua_settop(L, 1);
  return 1;
}

/* bmwi.json.is_array(t) -> whether it is encoded as an array */
static int json_is_array(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_pushboolean(L, lua_rawlen(L, 1) > 0 || is_empty_array(L, 1));
  return 1;
}

static const luaL_Reg functions[] = {
  {"array", json_array},
  {"decode", json_decode},
  {"encode", json_encode},
  {"is_array", json_is_array},
  {NULL, NULL},
};

void bmwi_json_push(lua_State *L) {
  lua_newtable(L);
  luaL_setfuncs(L, functions, 0);
}
