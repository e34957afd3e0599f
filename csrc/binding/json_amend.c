/*
** What lua-cjson leaves to do: a walk through the decoded tables removes null, makes whole floats
** integers and records arrays. Before it, a survey of the text records what the walk could not find
** out (empty arrays) or need not (large arrays that can stay as they are: a range map's).
*/
#include <math.h>

#include "binding/bmwi.h"

#define LONG 65536 /* a text that is surveyed even without an empty array: to walk less */
#define LARGE 1024 /* an array's text that is worth it */

/* An array or object of the text that has not ended. */
typedef struct level {
  const char *from;
  const char *string, *string_end; /* the last one in it: where a value follows, the name */
  int index;                       /* of the current value in an array */
  bool array, empty;
  bool plain; /* so far without null, numbers that may be whole, and arrays with elements */
} level;

typedef struct survey {
  lua_State *L;
  const char *end; /* of the text, where a NUL is */
  int base;        /* on the stack: lua-cjson's function, and the set of arrays after it */
  int depth;       /* how many levels are open */
  int fetched;     /* how many of their tables are on top of the stack, the outermost one first */
  bool skips;      /* whether a large array has been recorded */
  level levels[BMWI_JSON_DEPTH + 1];
} survey;

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

/* Records whether the table on top is an array; a recorded one is complete for the walk. */
static void mark(lua_State *L, int arrays, bool member) {
  lua_pushvalue(L, -1);
  if (member) lua_pushboolean(L, 1);
  else lua_pushnil(L);
  lua_rawset(L, arrays);
}

/* ---- the survey ------------------------------------------------------------------- */

/* Pushes the name of a level's current member. */
static void push_name(const survey *s, const level *at) {
  size_t len = (size_t)(at->string_end - at->string);
  if (memchr(at->string, '\\', len) == NULL) {
    lua_pushlstring(s->L, at->string, len);
  } else {
    lua_pushvalue(s->L, s->base);
    lua_pushlstring(s->L, at->string - 1, len + 2);
    lua_call(s->L, 1, 1);
  }
}

/* Pushes the tables of the open levels that are not yet on the stack. False if the innermost one
** is none: a later member has replaced it. */
static bool reach(survey *s) {
  for (; s->fetched < s->depth; s->fetched++) {
    const level *at = &s->levels[s->fetched];
    luaL_checkstack(s->L, 5, "JSON nested too deeply");
    if (!lua_istable(s->L, -1)) {
      lua_pushnil(s->L);
    } else if (at->array) {
      lua_rawgeti(s->L, -1, at->index);
    } else {
      push_name(s, at);
      lua_rawget(s->L, -2);
    }
  }
  return lua_istable(s->L, -1);
}

/* An array or object ends here. Its table may be that of a later member with the same name: what
** is recorded wrongly is corrected when that one ends. */
static void end_level(survey *s, const level *at, bool large) {
  if (at->empty) { /* lua-cjson decodes both [] and {} to an empty table */
    if (reach(s) && lua_rawlen(s->L, -1) == 0 && bmwi_is_array(s->L, -1))
      mark(s->L, s->base + 1, at->array);
  } else if (at->array && at->plain && large) {
    s->skips = true;
    if (reach(s) && lua_rawlen(s->L, -1) > 0) mark(s->L, s->base + 1, true);
  } else if (at->array && !at->plain && s->skips) {
    if (reach(s) && lua_rawlen(s->L, -1) > 0) mark(s->L, s->base + 1, false);
  }
}

static const char *skip_blanks(const char *p) {
  while (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r') p++;
  return p;
}

static inline const char *skip_digits(const char *p) {
  while (*p >= '0' && *p <= '9') p++;
  return p;
}

/* Skips a number, and says whether it may have to be changed or refused. Not if the digits
** after the point are neither all 0 nor all 9 as far as a double can tell. */
static inline const char *skip_number(const char *p, bool *look) {
  const char *from = p;
  p = skip_digits(p + 1);
  if (*p == '.') {
    char c = *++p;
    if (c == '0' || c == '9')
      while (*p == c) p++;
    const char *rest = skip_digits(p);
    *look = rest == p || p - from > 15;
    p = rest;
  } else {
    *look = LUA_VERSION_NUM >= 503 || p - from > 15;
  }
  if (*p == 'e' || *p == 'E') {
    *look = true;
    p += p[1] == '-' || p[1] == '+' ? 2 : 1;
    p = skip_digits(p);
  }
  return p;
}

/* The quote that ends a string, after an even number of backslashes, or NULL. */
static inline const char *string_end(const char *p, const char *end) {
  for (; (p = memchr(p, '"', (size_t)(end - p))) != NULL; p++) {
    if (p[-1] != '\\') return p;
    const char *back = p - 1;
    while (back[-1] == '\\') back--; /* ends at the quote before the string */
    if ((p - back) % 2 == 0) return p;
  }
  return NULL;
}

/* What a character begins. OTHER: blanks, colons, true and false. */
enum { OTHER, STRING, NUMBER, NOTHING, COMMA, OPEN, CLOSE, END };
static const unsigned char kinds[256] = {
  ['"'] = STRING, [','] = COMMA,  ['['] = OPEN,    ['{'] = OPEN,   [']'] = CLOSE,
  ['}'] = CLOSE,  ['-'] = NUMBER, ['0'] = NUMBER,  ['1'] = NUMBER, ['2'] = NUMBER,
  ['3'] = NUMBER, ['4'] = NUMBER, ['5'] = NUMBER,  ['6'] = NUMBER, ['7'] = NUMBER,
  ['8'] = NUMBER, ['9'] = NUMBER, ['n'] = NOTHING, ['\0'] = END,
};

/* False if the text is none that lua-cjson accepts. */
static bool look_through(survey *s, const char *p) {
  level *at = s->levels;
  bool look;
  for (;; p++) {
    while (kinds[(unsigned char)*p] == OTHER) p++;
    switch (kinds[(unsigned char)*p] & 7) { /* so that the compiler checks no range */
      case STRING:
        at->string = ++p;
        p = string_end(p, s->end);
        if (p == NULL) return false;
        at->string_end = p;
        break;
      case COMMA: at->index++; break;
      case NUMBER:
        p = skip_number(p, &look) - 1;
        if (look) at->plain = false;
        break;
      case NOTHING: at->plain = false; break;
      case OPEN:
        if (s->depth == BMWI_JSON_DEPTH) return false;
        at = &s->levels[++s->depth];
        at->from = at->string = at->string_end = p;
        at->index = 1;
        at->array = *p == '[';
        at->empty = kinds[(unsigned char)*skip_blanks(p + 1)] == CLOSE;
        at->plain = true;
        break;
      case CLOSE: {
        const level *ended = at;
        end_level(s, ended, p - ended->from > LARGE);
        if (s->depth <= 1) return s->depth == 1;
        if (s->fetched == s->depth) {
          lua_pop(s->L, 1);
          s->fetched--;
        }
        at = &s->levels[--s->depth];
        if (!ended->plain || (ended->array && !ended->empty)) at->plain = false;
        break;
      }
      case END: return false;
    }
  }
}

/* Whether the text may hold an empty array; looks inside strings too. */
static bool has_empty_array(const char *p, const char *end) {
  while ((p = memchr(p, '[', (size_t)(end - p))) != NULL) {
    p = skip_blanks(p + 1);
    if (*p == ']') return true;
  }
  return false;
}

/* ---- the walk --------------------------------------------------------------------- */

/* Closes the gaps that null leaves in the array on top of the stack. */
static void close_gaps(lua_State *L) {
  int length = (int)lua_rawlen(L, -1), to = 0;
  for (int from = 1; from <= length; from++) {
    lua_rawgeti(L, -1, from);
    if (lua_islightuserdata(L, -1)) lua_pop(L, 1);
    else lua_rawseti(L, -2, ++to);
  }
  for (; length > to; length--) {
    lua_pushnil(L);
    lua_rawseti(L, -2, length);
  }
}

/* In a pair of lua_next on top: makes a whole float an integer. False for a number that is out of
** range (1e999). */
static inline bool amend_number(lua_State *L) {
#if LUA_VERSION_NUM >= 503
  if (lua_isinteger(L, -1)) return true; /* some versions of lua-cjson make them */
  double value = lua_tonumber(L, -1);
  if (fabs(value) <= 9007199254740992.0 && (double)(lua_Integer)value == value) {
    lua_pushvalue(L, -2);
    lua_pushinteger(L, (lua_Integer)value);
    lua_rawset(L, -5);
  }
  return isfinite(value);
#else
  return isfinite(lua_tonumber(L, -1));
#endif
}

/* Amends the table on top and those in it. Only existing keys are assigned, so the traversal stays
** valid. */
static bool walk(lua_State *L, int arrays, bool surveyed) {
  luaL_checkstack(L, 5, "JSON nested too deeply");
  if (surveyed) { /* it may be recorded: empty, or a large one that stays as it is */
    lua_pushvalue(L, -1);
    lua_rawget(L, arrays);
    bool known = !lua_isnil(L, -1);
    lua_pop(L, 1);
    if (known) return true;
  }
  bool first = true, array = false, nulls = false;
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    if (first) array = lua_type(L, -2) == LUA_TNUMBER; /* an object has string keys only */
    first = false;
    switch (lua_type(L, -1)) {
      case LUA_TLIGHTUSERDATA: /* cjson.null */
        nulls = true;
        if (array) break;
        lua_pushvalue(L, -2);
        lua_pushnil(L);
        lua_rawset(L, -5);
        break;
      case LUA_TNUMBER:
        if (!amend_number(L)) return false;
        break;
      case LUA_TTABLE:
        if (!walk(L, arrays, surveyed)) return false;
        break;
      default: break;
    }
  }
  if (!array) return true;
  if (nulls) close_gaps(L);
  mark(L, arrays, true);
  return true;
}

bool bmwi_json_amend(lua_State *L, int base, const char *text, size_t len) {
  bool surveyed = len > LONG || has_empty_array(text, text + len);
  if (surveyed) {
    survey s;
    s.L = L;
    s.end = text + len;
    s.base = base;
    s.depth = 0;
    s.fetched = 1;
    s.skips = false;
    s.levels[0] = (level){.from = text, .string = text, .string_end = text};
    if (!look_through(&s, text)) return false;
  }
  return walk(L, base + 1, surveyed);
}
