/*
** JSON: the bridge to lua-cjson. Uses an instance of its own, so the settings
** of the application are never touched, and evens out what differs between
** lua-cjson 2.1.0 and the OpenResty line (integers, null, empty arrays).
*/
#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#if defined(__APPLE__)
#include <xlocale.h>
#endif

#include "binding/bmwi.h"

#define MAX_DEPTH 100    /* of an answer and of what is sent */
#define MAX_MEMBERS 200  /* of one object that is sent */

/* Their addresses name registry slots. */
static const char decode_key, encode_key, numerals_key;

/* The locale that lua-cjson was loaded under: it keeps to that decimal point. */
typedef struct numerals {
  locale_t loaded;
  char point;
} numerals;

/* Members that are arrays even when empty: Lua cannot tell {} from []. */
static const char *const array_members[] = {"weekdays", "phoneNumbers", NULL};

/* Calls one of the new instance's settings if it has it. */
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

static char decimal_point(void) {
  char text[8];
  snprintf(text, sizeof text, "%.1f", 0.5);
  return text[1];
}

static int numerals_gc(lua_State *L) {
  numerals *kept = lua_touserdata(L, 1);
  if (kept->loaded != (locale_t)0) freelocale(kept->loaded);
  return 0;
}

static void keep_numerals(lua_State *L) {
  numerals *kept = lua_newuserdata(L, sizeof *kept);
  kept->loaded = (locale_t)0;
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, numerals_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  kept->loaded = duplocale(uselocale((locale_t)0));
  kept->point = decimal_point();
  lua_rawsetp(L, LUA_REGISTRYINDEX, &numerals_key);
}

void bmwi_json_open(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "cjson");
  if (lua_pcall(L, 1, 1, 0) != 0)
    luaL_error(L, "bmwi needs lua-cjson (apt install lua-cjson, or luarocks install lua-cjson): %s",
               lua_tostring(L, -1));
  lua_getfield(L, -1, "new");
  lua_call(L, 0, 1);
  setting(L, "decode_max_depth", MAX_DEPTH, false);
  setting(L, "decode_invalid_numbers", 0, true);
  lua_getfield(L, -1, "decode");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &decode_key);
  lua_getfield(L, -1, "encode");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &encode_key);
  keep_numerals(L);
  lua_pop(L, 2);
}

bool bmwi_is_array(lua_State *L, int index) {
  index = lua_absindex(L, index);
  lua_pushnil(L);
  if (!lua_next(L, index)) return true;
  lua_pop(L, 2);
  lua_rawgeti(L, index, 1);
  bool array = !lua_isnil(L, -1);
  lua_pop(L, 1);
  return array;
}

/* ---- decoding ---------------------------------------------------------------- */

/* Replaces in the table on top: null by nothing, whole floats by integers.
** False for a number that is none (1e999). Only existing keys are assigned, so
** the traversal stays valid. */
static bool even_out(lua_State *L) {
  luaL_checkstack(L, 4, "JSON nested too deeply");
  int table = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, table)) {
    switch (lua_type(L, -1)) {
      case LUA_TLIGHTUSERDATA: /* cjson.null */
        lua_pushvalue(L, -2);
        lua_pushnil(L);
        lua_rawset(L, table);
        break;
      case LUA_TNUMBER: {
        double value = lua_tonumber(L, -1);
        if (!isfinite(value)) return false;
#if LUA_VERSION_NUM >= 503
        if (fabs(value) <= 9007199254740992.0 && (double)(lua_Integer)value == value &&
            !lua_isinteger(L, -1)) {
          lua_pushvalue(L, -2);
          bmwi_push_whole(L, value);
          lua_rawset(L, table);
        }
#endif
        break;
      }
      case LUA_TTABLE:
        if (!even_out(L)) return false;
        break;
      default: break;
    }
    lua_pop(L, 1);
  }
  return true;
}

static const char *skip_digits(const char *p, const char *end) {
  while (p < end && *p >= '0' && *p <= '9') p++;
  return p;
}

/* Whether the text may hold something to even out. "No" is sure: there is no null,
** and each number has a fraction, no exponent, and so few digits that its double
** is not whole either. So it is with the largest answers, the range maps. */
static bool uneven(const char *p, size_t len) {
  const char *end = p + len;
  for (; p < end; p++) {
    if (*p == 'n' && end - p >= 4 && memcmp(p, "null", 4) == 0) return true;
    const char *point = skip_digits(p, end);
    if (point == p) continue;
    if (point == end || *point != '.') return true;
    const char *zeros = point + 1;
    while (zeros < end && *zeros == '0') zeros++;
    const char *after = skip_digits(zeros, end);
    if (after == zeros || after - p > 1 + DBL_DIG || after == end || *after == 'e' || *after == 'E')
      return true;
    p = after;
  }
  return false;
}

/* Pushes the value, or an error; the status of lua_pcall. */
static int decode(lua_State *L, const char *data, size_t len) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &decode_key);
  lua_pushlstring(L, data, len);
  return lua_pcall(L, 1, 1, 0);
}

/* Once the host has changed its locale, lua-cjson takes no number with a fraction
** any more. */
static int decode_as_loaded(lua_State *L, const numerals *kept, const char *data, size_t len) {
  locale_t now = uselocale(kept->loaded);
  int status = decode(L, data, len);
  uselocale(now);
  return status;
}

bool bmwi_json_decode(lua_State *L, const char *data, size_t len) {
  int top = lua_gettop(L);
  if (len >= 3 && memcmp(data, "\xEF\xBB\xBF", 3) == 0) { /* a byte order mark */
    data += 3;
    len -= 3;
  }
  int status = decode(L, data, len);
  if (status != 0 && status != LUA_ERRMEM) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &numerals_key);
    const numerals *kept = lua_touserdata(L, -1);
    lua_settop(L, top);
    if (kept->loaded != (locale_t)0 && kept->point != decimal_point())
      status = decode_as_loaded(L, kept, data, len);
  }
  if (status == LUA_ERRMEM) lua_error(L);
  if (status != 0 || (lua_istable(L, -1) && uneven(data, len) && !even_out(L))) {
    lua_settop(L, top);
    return false;
  }
  return true;
}

/* ---- encoding ---------------------------------------------------------------- */

/* The shortest decimal that reads back as the same number, with a point
** whatever the locale. */
static void encode_number(lua_State *L, int index) {
  char text[40];
#if LUA_VERSION_NUM >= 503
  if (lua_isinteger(L, index)) {
    lua_pushfstring(L, "%I", (LUAI_UACINT)lua_tointeger(L, index));
    return;
  }
#endif
  double value = lua_tonumber(L, index);
  if (!isfinite(value)) luaL_error(L, "a number that is not finite cannot be sent");
  for (int digits = 15; digits <= 17; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, value);
    if (strtod(text, NULL) == value) break;
  }
  for (char *p = text; *p != '\0'; p++)
    if (*p == ',') *p = '.';
  lua_pushstring(L, text);
}

static void encode_string(lua_State *L, int index) {
  lua_pushvalue(L, index);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &encode_key);
  lua_insert(L, -2);
  lua_call(L, 1, 1);
}

void bmwi_check_plain(lua_State *L, int index) {
  if (luaL_getmetafield(L, index, "__index"))
    luaL_error(L, "a table that inherits members cannot be sent; copy them into it");
}

static void encode(lua_State *L, int index, bool array, int depth);

static void encode_array(lua_State *L, int index, int depth) {
  int length = (int)lua_rawlen(L, index), members = 0;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TNUMBER || ++members > length)
      luaL_error(L, "a table with mixed keys cannot be sent");
  }
  lua_pushliteral(L, "[");
  for (int i = 1; i <= length; i++) {
    lua_rawgeti(L, index, i);
    encode(L, lua_gettop(L), false, depth);
    lua_remove(L, -2);
    lua_pushstring(L, i < length ? "," : "");
    lua_concat(L, 3);
  }
  lua_pushliteral(L, "]");
  lua_concat(L, 2);
}

static bool names_array(const char *name) {
  for (const char *const *p = array_members; *p != NULL; p++)
    if (strcmp(*p, name) == 0) return true;
  return false;
}

/* Members go out in the order of their names, so equal tables give equal texts. */
static void encode_object(lua_State *L, int index, int depth) {
  int first = lua_gettop(L) + 1, count = 0;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    lua_pop(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "a table with mixed keys cannot be sent");
    if (++count > MAX_MEMBERS) luaL_error(L, "a table with too many members cannot be sent");
    luaL_checkstack(L, 8, NULL);
    lua_pushvalue(L, -1); /* the copy goes on as lua_next's key */
    int at = lua_gettop(L) - 1;
    while (at > first && strcmp(lua_tostring(L, at), lua_tostring(L, at - 1)) < 0) {
      lua_pushvalue(L, at - 1);
      lua_pushvalue(L, at);
      lua_replace(L, at - 1);
      lua_replace(L, at);
      at--;
    }
  }
  lua_pushliteral(L, "{");
  for (int i = 0; i < count; i++) {
    encode_string(L, first + i);
    lua_pushliteral(L, ":");
    lua_pushvalue(L, first + i);
    lua_rawget(L, index);
    encode(L, lua_gettop(L), names_array(lua_tostring(L, first + i)), depth);
    lua_remove(L, -2);
    lua_pushstring(L, i + 1 < count ? "," : "");
    lua_concat(L, 5);
  }
  lua_pushliteral(L, "}");
  lua_concat(L, 2);
  if (count > 0) lua_replace(L, first); /* the names go, the text stays */
  lua_settop(L, first);
}

static void encode(lua_State *L, int index, bool array, int depth) {
  luaL_checkstack(L, 8, NULL);
  if (depth > MAX_DEPTH) luaL_error(L, "a table nested too deeply cannot be sent");
  switch (lua_type(L, index)) {
    case LUA_TNUMBER: encode_number(L, index); break;
    case LUA_TSTRING: encode_string(L, index); break;
    case LUA_TBOOLEAN: lua_pushstring(L, lua_toboolean(L, index) ? "true" : "false"); break;
    case LUA_TTABLE:
      bmwi_check_plain(L, index);
      if (lua_rawlen(L, index) > 0 || array) encode_array(L, index, depth + 1);
      else encode_object(L, index, depth + 1);
      break;
    default: luaL_error(L, "a %s cannot be sent", luaL_typename(L, index));
  }
}

void bmwi_json_encode(lua_State *L, int index) {
  encode(L, lua_absindex(L, index), false, 0);
}
