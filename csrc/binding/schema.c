/*
** Schemas: see schema.h. One check for each type of member; the rows belong to the services.
*/
#include "binding/schema.h"

#include <math.h>
#include <stdio.h>

#include "binding/bmwi.h"

/* Names only the type, since the value may be a secret. */
static void wrong(lua_State *L, const char *path, const char *expected) {
  luaL_error(L, "%s: %s expected, got a %s", path, expected, luaL_typename(L, -1));
}

/* The text on top of the stack, or NULL. */
static const char *text_on_top(lua_State *L, size_t *len) {
  return lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, len) : NULL;
}

static void check_switch(lua_State *L, const bmwi_member *m, const char *path) {
  (void)m;
  if (!lua_isboolean(L, -1)) wrong(L, path, "true or false");
}

static void check_line(lua_State *L, const bmwi_member *m, const char *path) {
  (void)m;
  if (lua_type(L, -1) != LUA_TSTRING) wrong(L, path, "a string");
}

static void check_word(lua_State *L, const bmwi_member *m, const char *path) {
  size_t len = 0;
  const char *text = text_on_top(L, &len);
  (void)m;
  if (text == NULL || !bmwi_is_word(text, len)) wrong(L, path, "capital letters, digits and '_'");
}

static void check_clock(lua_State *L, const bmwi_member *m, const char *path) {
  size_t len = 0;
  const char *t = text_on_top(L, &len);
  (void)m;
  bool good = t != NULL && len == 5 && t[0] >= '0' && t[0] <= '2' && t[1] >= '0' && t[1] <= '9' &&
              (t[0] < '2' || t[1] <= '3') && t[2] == ':' && t[3] >= '0' && t[3] <= '5' &&
              t[4] >= '0' && t[4] <= '9';
  if (!good) wrong(L, path, "a time of day as \"HH:MM\"");
}

static void check_number(lua_State *L, const bmwi_member *m, const char *path) {
  char expected[96] = "a number";
  double value = lua_tonumber(L, -1);
  bool whole = m->type == BMWI_COUNT;
  if (m->least < m->most)
    snprintf(expected, sizeof expected, "a %s from %.0f to %.0f", whole ? "whole number" : "number",
             m->least, m->most);
  if (lua_type(L, -1) != LUA_TNUMBER) wrong(L, path, expected);
  bool good = isfinite(value) && (!whole || value == floor(value)) &&
              (m->least >= m->most || (value >= m->least && value <= m->most));
  if (!good)
    luaL_error(L, "%s: %s expected, got %s", path, expected, bmwi_message_number(L, value));
}

static bool one_of(const char *const *words, const char *text) {
  for (; words != NULL && *words != NULL; words++)
    if (strcmp(*words, text) == 0) return true;
  return words == NULL;
}

/* An array of strings, at most as many as there are words to choose from. */
static void check_texts(lua_State *L, const bmwi_member *m, const char *path) {
  char expected[160] = "an array of strings";
  size_t count = 0;
  if (m->words != NULL) {
    snprintf(expected, sizeof expected, "an array of");
    for (; m->words[count] != NULL; count++) {
      size_t at = strlen(expected);
      snprintf(expected + at, sizeof expected - at, "%s %s", count > 0 ? "," : "", m->words[count]);
    }
  }
  if (!lua_istable(L, -1)) wrong(L, path, expected);
  size_t length = lua_rawlen(L, -1), members = 0;
  if (m->words != NULL && length > count) wrong(L, path, expected);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    bool good = lua_type(L, -2) == LUA_TNUMBER && lua_type(L, -1) == LUA_TSTRING &&
                ++members <= length && one_of(m->words, lua_tostring(L, -1));
    if (!good) luaL_error(L, "%s: %s expected", path, expected);
    lua_pop(L, 1);
  }
}

static void check_table(lua_State *L, int table, const bmwi_schema *schema, const char *path);

static void check_part(lua_State *L, const bmwi_member *m, const char *path) {
  if (m->type == BMWI_DOCUMENT && !lua_istable(L, -1)) return; /* a string is passed on as it is */
  if (!lua_istable(L, -1)) wrong(L, path, "a table");
  check_table(L, lua_gettop(L), m->part, path);
}

static void (*const checks[])(lua_State *L, const bmwi_member *m, const char *path) = {
  [BMWI_SWITCH] = check_switch, [BMWI_LINE] = check_line,   [BMWI_WORD] = check_word,
  [BMWI_CLOCK] = check_clock,   [BMWI_REAL] = check_number, [BMWI_COUNT] = check_number,
  [BMWI_WORDS] = check_texts,   [BMWI_LINES] = check_texts, [BMWI_PART] = check_part,
  [BMWI_DOCUMENT] = check_part,
};

const bmwi_member *bmwi_schema_member(const bmwi_schema *schema, const char *name) {
  for (const bmwi_member *m = schema->members; m->name != NULL; m++)
    if (strcmp(m->name, name) == 0) return m;
  return NULL;
}

static void unknown_member(lua_State *L, const bmwi_schema *schema, const char *path,
                           const char *name) {
  luaL_Buffer names;
  luaL_buffinit(L, &names);
  for (const bmwi_member *m = schema->members; m->name != NULL; m++) {
    luaL_addstring(&names, m == schema->members ? "" : ", ");
    luaL_addstring(&names, m->name);
  }
  luaL_pushresult(&names);
  luaL_error(L, "%s: unknown member '%s' (known: %s)", path, name, lua_tostring(L, -1));
}

static void check_names(lua_State *L, int table, const bmwi_schema *schema, const char *path) {
  lua_pushnil(L);
  while (lua_next(L, table)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
    if (bmwi_schema_member(schema, name) == NULL) unknown_member(L, schema, path, name);
    lua_pop(L, 1);
  }
}

static bool has(lua_State *L, int table, const char *name) {
  if (name == NULL) return false;
  lua_getfield(L, table, name);
  bool present = !lua_isnil(L, -1);
  lua_pop(L, 1);
  return present;
}

static void check_rules(lua_State *L, int table, const bmwi_schema *schema, const char *path) {
  for (const bmwi_rule *rule = schema->rules; rule != NULL && rule->message != NULL; rule++) {
    bool a = has(L, table, rule->a), b = has(L, table, rule->b), good = false;
    switch (rule->kind) {
      case BMWI_TOGETHER: good = a == b; break;
      case BMWI_EITHER: good = a || b; break;
      case BMWI_ONE_OF: good = a != b; break;
      case BMWI_WITHOUT: good = !a; break;
    }
    if (!good) luaL_error(L, "%s: %s", path, rule->message);
  }
}

static void check_table(lua_State *L, int table, const bmwi_schema *schema, const char *path) {
  luaL_checkstack(L, 8, NULL);
  bmwi_check_plain(L, table);
  if (!schema->open) check_names(L, table, schema, path);
  for (const bmwi_member *m = schema->members; m->name != NULL; m++) {
    const char *where = lua_pushfstring(L, "%s: %s", path, m->name);
    if (strchr(path, ':') != NULL) { /* "subject: part.part.name" */
      lua_pop(L, 1);
      where = lua_pushfstring(L, "%s.%s", path, m->name);
    }
    lua_getfield(L, table, m->name);
    if (!lua_isnil(L, -1)) checks[m->type](L, m, where);
    else if (m->needed != NULL) luaL_error(L, "%s: %s expected", where, m->needed);
    lua_settop(L, table);
  }
  check_rules(L, table, schema, path);
}

void bmwi_schema_check(lua_State *L, int index, const bmwi_schema *schema, const char *subject) {
  int top = lua_gettop(L);
  lua_pushvalue(L, index); /* so that everything that follows is above it */
  check_table(L, top + 1, schema, subject);
  lua_settop(L, top);
}
