/*
** The second pass over decoded JSON. It is led by the text, which lua-cjson has accepted: a table
** is touched only where the text has a whole number, null or the end of an array. What is done
** depends on the value found there, since of two members with the same name the last one counts.
*/
#include <math.h>

#include "binding/bmwi.h"

/* An array or object of the text that has not ended. */
typedef struct level {
  const char *string, *string_end; /* the last one in it: where a value follows, the name */
  int index;                       /* of the current value in an array */
  bool array, nulls;
} level;

typedef struct amend {
  lua_State *L;
  const char *end; /* of the text, where a NUL is */
  int base;
  int depth;    /* how many levels are open */
  int fetched;  /* how many of their tables are on top of the stack, the outermost one first */
  bool table;   /* whether the last of these is a table: a later member may have replaced it */
  bool floats;  /* 7 was decoded to a float, not only 7.0 */
  bool escapes; /* names may have some */
  level levels[BMWI_JSON_DEPTH + 1];
} amend;

#define SHORT 8192 /* such a text is searched for escapes once, a longer one name by name */

/* On the stack: */
#define DECODE(a) ((a)->base)     /* lua-cjson's function */
#define ARRAYS(a) ((a)->base + 1) /* the set of all arrays */
#define GAPS(a) ((a)->base + 2)   /* the set of those with a null; nil if there is none */

/* Pushes the name of the current member. */
static inline void push_name(const amend *a, const level *at) {
  size_t len = (size_t)(at->string_end - at->string);
  if (!a->escapes || memchr(at->string, '\\', len) == NULL) {
    lua_pushlstring(a->L, at->string, len);
  } else {
    lua_pushvalue(a->L, DECODE(a));
    lua_pushlstring(a->L, at->string - 1, len + 2);
    lua_call(a->L, 1, 1);
  }
}

/* Pushes the tables of the open levels that are not yet on the stack. */
static void fetch(amend *a) {
  for (; a->fetched < a->depth; a->fetched++) {
    const level *at = &a->levels[a->fetched];
    luaL_checkstack(a->L, 6, "JSON nested too deeply");
    if (!lua_istable(a->L, -1)) {
      lua_pushnil(a->L);
    } else if (at->array) {
      lua_rawgeti(a->L, -1, at->index);
    } else {
      push_name(a, at);
      lua_rawget(a->L, -2);
    }
  }
  a->table = lua_istable(a->L, -1);
}

/* Whether the innermost level's table exists; then it is on top. */
static inline bool reach(amend *a) {
  if (a->fetched < a->depth) fetch(a);
  return a->table;
}

/* What the value on top becomes. REFUSED: a number that is out of range (1e999). */
typedef enum outcome { AS_IT_IS, WHOLE, DROPPED, REFUSED } outcome;

static inline outcome judge(lua_State *L, int type, double *number) {
  if (type != LUA_TNUMBER) return type == LUA_TLIGHTUSERDATA ? DROPPED : AS_IT_IS;
  double value = *number = lua_tonumber(L, -1);
  if (!isfinite(value)) return REFUSED;
#if LUA_VERSION_NUM >= 503
  if (fabs(value) <= 9007199254740992.0 && (double)(lua_Integer)value == value) return WHOLE;
#endif
  return AS_IT_IS;
}

/* Amends the current value. False for a number that is out of range. */
static bool amend_value(amend *a, const level *at) {
  if (!reach(a)) return true;
  lua_State *L = a->L;
  double number;
  outcome is;
  if (at->array) {
    is = judge(L, bmwi_rawgeti(L, -1, at->index), &number);
    lua_pop(L, 1);
    if (is == WHOLE) {
      bmwi_push_whole(L, number);
      lua_rawseti(L, -2, at->index);
    }
    return is != REFUSED;
  }
  push_name(a, at);
  lua_pushvalue(L, -1);
  is = judge(L, bmwi_rawget(L, -3), &number);
  if (is == WHOLE || is == DROPPED) {
    lua_pop(L, 1);
    if (is == WHOLE) bmwi_push_whole(L, number);
    else lua_pushnil(L);
    lua_rawset(L, -3);
  } else {
    lua_pop(L, 2);
  }
  return is != REFUSED;
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

/* Adds the table on top to a set, or removes it. */
static void mark(lua_State *L, int set, bool member) {
  lua_pushvalue(L, -1);
  if (member) lua_pushboolean(L, 1);
  else lua_pushnil(L);
  lua_rawset(L, set);
}

/* An array ends here. lua-cjson decodes both [] and {} to an empty table. Gaps are closed when the
** text has ended: until then its indices count. */
static void end_array(amend *a, bool nulls) {
  lua_State *L = a->L;
  if (!reach(a) || !bmwi_is_array(L, -1)) return;
  mark(L, ARRAYS(a), true);
  if (!nulls) return;
  if (lua_isnil(L, GAPS(a))) {
    lua_newtable(L);
    lua_replace(L, GAPS(a));
  }
  mark(L, GAPS(a), true);
}

/* An object that may be empty ends here. Its table was taken for an array if an earlier member with
** the same name was one. */
static void end_empty(amend *a) {
  if (reach(a) && lua_rawlen(a->L, -1) == 0) mark(a->L, ARRAYS(a), false);
}

static inline const char *skip_digits(const char *p) {
  while (*p >= '0' && *p <= '9') p++;
  return p;
}

/* Skips a number, and says whether the value may be whole or out of range. It is neither if the
** digits after the point are neither all 0 nor all 9 as far as a double can tell. */
static inline const char *skip_number(const char *p, bool floats, bool *look) {
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
    *look = floats || p - from > 15;
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

static bool scan(amend *a, const char *p) {
  level *at = a->levels;
  bool look;
  for (;; p++) {
    while (kinds[(unsigned char)*p] == OTHER) p++;
    switch (kinds[(unsigned char)*p] & 7) { /* so that the compiler checks no range */
      case STRING:
        at->string = ++p;
        p = string_end(p, a->end);
        if (p == NULL) return false;
        at->string_end = p;
        break;
      case COMMA: at->index++; break;
      case NUMBER:
        p = skip_number(p, a->floats, &look) - 1;
        if (look && !amend_value(a, at)) return false;
        break;
      case NOTHING:
        at->nulls = true;
        if (!at->array && !amend_value(a, at)) return false;
        break;
      case OPEN:
        if (a->depth == BMWI_JSON_DEPTH) return false;
        at = &a->levels[++a->depth];
        at->string = at->string_end = p;
        at->index = 1;
        at->array = *p == '[';
        at->nulls = false;
        break;
      case CLOSE:
        if (at->array) end_array(a, at->nulls);
        else if (at->string == at->string_end || at->nulls) end_empty(a);
        if (a->depth <= 1) return a->depth == 1;
        if (a->fetched == a->depth) {
          lua_pop(a->L, 1);
          a->fetched--;
          a->table = lua_istable(a->L, -1);
        }
        at = &a->levels[--a->depth];
        break;
      case END: return false;
    }
  }
}

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

bool bmwi_json_amend(lua_State *L, int base, const char *text, size_t len, bool floats) {
  amend a;
  a.L = L;
  a.end = text + len;
  a.base = base;
  a.depth = 0;
  a.fetched = 1;
  a.table = true;
  a.floats = floats;
  a.escapes = len > SHORT || memchr(text, '\\', len) != NULL;
  a.levels[0] = (level){.string = text, .string_end = text};
  if (!scan(&a, text)) return false;
  if (lua_isnil(L, GAPS(&a))) return true;
  lua_pushnil(L);
  while (lua_next(L, GAPS(&a))) {
    lua_pop(L, 1);
    close_gaps(L);
  }
  return true;
}
