/*
** The known state of a car, and how new values are merged into it; see values.h.
*/
#include "binding/values.h"

#include <math.h>
#include <string.h>
#include <time.h>

#define MAX_DESCRIPTORS 1000 /* of one car; BMW has about 300 */
#define FUTURE 60            /* seconds that BMW's or the car's clock may be ahead of ours */
#define PAIRED 1             /* maximum seconds between the two halves of a position */

/* ---- reading tables ------------------------------------------------------------- */

void bmwi_get(lua_State *L, int table, const char *name) {
  lua_pushstring(L, name);
  lua_rawget(L, table);
}

const char *bmwi_text_of(lua_State *L, int table, const char *name) {
  bmwi_get(L, table, name);
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  lua_pop(L, 1);
  return text;
}

double bmwi_number_of(lua_State *L, int table, const char *name) {
  bmwi_get(L, table, name);
  double number = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : (double)NAN;
  lua_pop(L, 1);
  return number;
}

static void push_number(lua_State *L, double number) {
  if (fabs(number) < 9007199254740992.0 && number == (double)(long long)number)
    bmwi_push_whole(L, number);
  else lua_pushnumber(L, number);
}

void bmwi_set_number(lua_State *L, int table, const char *name, double number) {
  if (isnan(number)) return;
  lua_pushstring(L, name);
  push_number(L, number);
  lua_rawset(L, table);
}

void bmwi_set_text(lua_State *L, int table, const char *name, const char *text) {
  if (text == NULL) return;
  lua_pushstring(L, name);
  lua_pushstring(L, text);
  lua_rawset(L, table);
}

void bmwi_push_value(lua_State *L, const bmwi_value *value) {
  switch (value->kind) {
    case BMWI_VALUE_NUMBER: push_number(L, value->number); break;
    case BMWI_VALUE_BOOLEAN: lua_pushboolean(L, value->boolean); break;
    case BMWI_VALUE_TEXT: lua_pushlstring(L, value->text, value->len); break;
    default: lua_pushnil(L); break;
  }
}

void bmwi_copy_member(lua_State *L, int from, int to, const char *name) {
  lua_pushstring(L, name);
  bmwi_get(L, from, name);
  lua_rawset(L, to);
}

static void push_copy(lua_State *L, int table) {
  lua_newtable(L);
  int new = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, table)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, new);
  }
}

void bmwi_read_value(lua_State *L, int index, const char *descriptor, bmwi_value *value) {
  *value = (bmwi_value){.kind = BMWI_VALUE_NONE, .reason = BMWI_REASON_UNREADABLE};
  switch (lua_type(L, index)) {
    case LUA_TNIL:
    case LUA_TLIGHTUSERDATA: value->reason = BMWI_REASON_NULL; break; /* cjson.null */
    case LUA_TNUMBER: bmwi_value_number(value, lua_tonumber(L, index)); break;
    case LUA_TBOOLEAN:
      *value = (bmwi_value){.kind = BMWI_VALUE_BOOLEAN, .boolean = lua_toboolean(L, index)};
      break;
    case LUA_TSTRING: {
      size_t len;
      const char *text = lua_tolstring(L, index, &len);
      bmwi_value_read(value, descriptor, text, len);
      break;
    }
    default: break;
  }
}

void bmwi_entry_value(lua_State *L, int entry, bmwi_value *value) {
  bmwi_get(L, entry, "value");
  if (lua_type(L, -1) == LUA_TSTRING) {
    *value = (bmwi_value){.kind = BMWI_VALUE_TEXT};
    value->text = lua_tolstring(L, -1, &value->len);
  } else {
    bmwi_read_value(L, -1, "", value);
  }
  lua_pop(L, 1);
  if (value->kind != BMWI_VALUE_NONE) return;
  const char *word = bmwi_text_of(L, entry, "empty");
  bmwi_reason reason = word != NULL ? bmwi_reason_named(word) : BMWI_REASON_NONE;
  value->reason = reason != BMWI_REASON_NONE ? reason : BMWI_REASON_NULL;
}

double bmwi_now_of(lua_State *L, int options) {
  double now = (double)time(NULL);
  if (lua_isnoneornil(L, options)) return now;
  luaL_checktype(L, options, LUA_TTABLE);
  double given = bmwi_number_of(L, options, "now");
  return isnan(given) ? now : given;
}

void bmwi_set_time(lua_State *L, int table, double time, double now) {
  bmwi_set_number(L, table, "time", time);
  /* A clock that is behind does not make old values new. */
  if (isnan(time) || time > now + FUTURE) return;
  bmwi_set_number(L, table, "age", now > time ? floor(now - time) : 0);
}

/* ---- merging -------------------------------------------------------------------- */

typedef struct merging {
  int state, changed; /* stack indexes */
  const char *source;
  double now;
  int size, taken;
} merging;

/* The member of an entry that holds the last unit from this source. */
static const char *said_unit(const merging *g) {
  return strcmp(g->source, "rest") == 0 ? "unit_rest" : "unit_stream";
}

/* A new value and the existing entry that it is merged with. */
typedef struct meeting {
  const char *descriptor;
  int raw, old; /* stack indexes; `old` is 0 if there is none */
  bmwi_value value, before;
  const char *unit, *unit_before, *flag;
  double time, time_before, last, last_time;
  bool in_order; /* both came by the stream */
} meeting;

static double time_at(lua_State *L, int index) {
  double epoch;
  size_t len;
  if (lua_type(L, index) == LUA_TNUMBER)
    return bmwi_time_number(&epoch, lua_tonumber(L, index)) ? epoch : (double)NAN;
  if (lua_type(L, index) != LUA_TSTRING) return (double)NAN;
  const char *text = lua_tolstring(L, index, &len);
  return bmwi_time(&epoch, text, len) ? epoch : (double)NAN;
}

static bool same_text(const char *a, const char *b) {
  return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool same_value(const bmwi_value *a, const bmwi_value *b) {
  if (a->kind != b->kind) return false;
  switch (a->kind) {
    case BMWI_VALUE_NUMBER: return a->number == b->number;
    case BMWI_VALUE_BOOLEAN: return a->boolean == b->boolean;
    case BMWI_VALUE_TEXT: return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
    default: return a->reason == b->reason;
  }
}

/* Whether both say the same. The new one's unit may be left out, and the same measurement in
** another unit may be rounded differently. */
static bool is_same(const meeting *m) {
  if (m->unit == NULL || same_text(m->unit, m->unit_before))
    return same_value(&m->value, &m->before);
  const bmwi_field *field = bmwi_field_of(m->descriptor);
  double now = m->value.number, before = m->before.number;
  return m->value.kind == BMWI_VALUE_NUMBER && m->before.kind == BMWI_VALUE_NUMBER &&
         m->unit_before != NULL && field != NULL && bmwi_field_base(field, &now, m->unit) &&
         bmwi_field_base(field, &before, m->unit_before) && fabs(now - before) < 1;
}

/* Whether the new one replaces the old one: if it is newer or, within the stream, differs from it
** at the same time (messages come in order, and a timestamp is a whole second). One that cannot be
** read never replaces or blocks one that can. A time further in the future than clocks may
** differ counts as none, and a value without a time never replaces one with a time. */
static bool is_newer(const meeting *m) {
  if (m->old == 0) return true;
  bool readable = bmwi_field_readable(m->descriptor, &m->value, m->unit);
  if (readable != bmwi_field_readable(m->descriptor, &m->before, m->unit_before)) return readable;
  if (isnan(m->time)) return isnan(m->time_before) && !is_same(m);
  if (isnan(m->time_before) || m->time > m->time_before) return true;
  return m->time == m->time_before && m->in_order && !is_same(m);
}

/* Reads the units that the old entry states. */
static void past_of(lua_State *L, const merging *g, const meeting *m, const bmwi_field *field,
                    bmwi_past *past) {
  *past = (bmwi_past){false, 0, (double)NAN, NULL};
  if (m->old == 0) return;
  past->unit = bmwi_text_of(L, m->old, said_unit(g));
  past->value = m->before.number;
  past->time = m->time_before;
  past->known = m->before.kind == BMWI_VALUE_NUMBER && m->unit_before != NULL &&
                bmwi_field_base(field, &past->value, m->unit_before);
  if (past->known) return;
  past->value = bmwi_number_of(L, m->old, "last");
  past->time = bmwi_number_of(L, m->old, "last_time");
  past->known = !isnan(past->value);
}

/* Pops the table on top and sets state[descriptor] to it. */
static void put(lua_State *L, merging *g, const char *descriptor) {
  lua_pushstring(L, descriptor);
  lua_insert(L, -2);
  lua_rawset(L, g->state);
  g->taken++;
}

/* Infers the unit of a value that has none from earlier values. False if it must not be
** accepted. */
static bool settle(lua_State *L, merging *g, meeting *m) {
  bmwi_past past;
  if (m->value.kind != BMWI_VALUE_NUMBER || m->unit != NULL) return true;
  const bmwi_field *field = bmwi_field_of(m->descriptor);
  if (field == NULL || !bmwi_field_needs_unit(field)) return true;
  past_of(L, g, m, field, &past);
  switch (bmwi_field_settle(field, m->value.number, m->time, &past, &m->unit)) {
    case BMWI_SETTLED: m->flag = "unit_inferred"; return true;
    case BMWI_UNSETTLED:
      if (past.known) m->last = past.value, m->last_time = past.time;
      return true;
    default: break;
  }
  bmwi_get(L, m->old, "refused");
  if (!lua_rawequal(L, -1, m->raw)) {
    push_copy(L, m->old);
    lua_pushvalue(L, m->raw);
    lua_setfield(L, -2, "refused");
    put(L, g, m->descriptor);
  }
  return false;
}

static void take(lua_State *L, merging *g, const meeting *m) {
  lua_createtable(L, 0, 8);
  int entry = lua_gettop(L);
  if (m->old != 0 && m->value.kind == BMWI_VALUE_NUMBER) {
    bmwi_copy_member(L, m->old, entry, "unit_rest");
    bmwi_copy_member(L, m->old, entry, "unit_stream");
  }
  if (m->unit != NULL && m->flag == NULL && m->value.kind == BMWI_VALUE_NUMBER)
    bmwi_set_text(L, entry, said_unit(g), m->unit);
  lua_pushliteral(L, "value");
  bmwi_push_value(L, &m->value);
  lua_rawset(L, entry);
  lua_pushliteral(L, "raw");
  lua_pushvalue(L, m->raw);
  lua_rawset(L, entry);
  bmwi_set_text(L, entry, "unit", m->unit);
  bmwi_set_number(L, entry, "time", m->time);
  bmwi_set_text(L, entry, "source", g->source);
  if (m->value.kind == BMWI_VALUE_NONE)
    bmwi_set_text(L, entry, "empty", bmwi_reason_word(m->value.reason));
  bmwi_set_text(L, entry, "flag", m->flag);
  bmwi_set_number(L, entry, "last", m->last);
  bmwi_set_number(L, entry, "last_time", m->last_time);
  put(L, g, m->descriptor);
  if (m->old == 0) g->size++;
  if (m->value.kind != BMWI_VALUE_NONE &&
      (m->old == 0 || !same_value(&m->value, &m->before) || !same_text(m->unit, m->unit_before))) {
    lua_pushboolean(L, 1);
    lua_setfield(L, g->changed, m->descriptor);
  }
}

/* Whether it can be written as JSON and read back. */
static bool is_plain(lua_State *L, int index) {
  switch (lua_type(L, index)) {
    case LUA_TNUMBER: return isfinite(lua_tonumber(L, index));
    case LUA_TSTRING:
    case LUA_TBOOLEAN: return true;
    default: return false;
  }
}

/* Merges the entry at `entry` if it is newer. */
static void merge_one(lua_State *L, merging *g, const char *descriptor, int entry) {
  meeting m = {.descriptor = descriptor,
               .time_before = (double)NAN,
               .last = (double)NAN,
               .last_time = (double)NAN};
  bmwi_get(L, entry, "value");
  m.raw = lua_gettop(L);
  bmwi_read_value(L, m.raw, descriptor, &m.value);
  if (!is_plain(L, m.raw)) {
    lua_pushnil(L);
    lua_replace(L, m.raw);
  }
  const char *unit = bmwi_text_of(L, entry, "unit");
  if (unit != NULL) m.unit = bmwi_unit(unit, strlen(unit));
  if (m.unit == NULL && unit != NULL && *unit != '\0') m.unit = unit;
  bmwi_get(L, entry, "timestamp");
  m.time = time_at(L, -1);
  if (m.time > g->now + FUTURE) m.time = (double)NAN;
  bmwi_get(L, g->state, descriptor);
  if (lua_istable(L, -1)) {
    m.old = lua_gettop(L);
    bmwi_entry_value(L, m.old, &m.before);
    m.unit_before = bmwi_text_of(L, m.old, "unit");
    m.time_before = bmwi_number_of(L, m.old, "time");
    m.in_order =
      same_text(g->source, "stream") && same_text(bmwi_text_of(L, m.old, "source"), "stream");
    if (m.time_before > g->now + FUTURE) m.time_before = (double)NAN;
  }
  if (!(m.old == 0 && g->size >= MAX_DESCRIPTORS) && is_newer(&m) && settle(L, g, &m))
    take(L, g, &m);
}

/* Reads one coordinate of a position. */
static bool read_coordinate(lua_State *L, int state, const char *descriptor, double limit,
                            double *value, double *stamp) {
  bmwi_get(L, state, descriptor);
  bool good = lua_istable(L, -1);
  if (good) {
    int entry = lua_gettop(L);
    *value = bmwi_number_of(L, entry, "value");
    *stamp = bmwi_number_of(L, entry, "time");
    good = fabs(*value) <= limit && !isnan(*stamp);
  }
  lua_pop(L, 1);
  return good;
}

/* Whether a position is new: newer, or different at the same time. */
static bool position_is_news(lua_State *L, int state, double at, double lat, double lon,
                             double heading) {
  bmwi_get(L, state, BMWI_POSITION);
  bool news = true;
  if (lua_istable(L, -1)) {
    int before = lua_gettop(L);
    double had = bmwi_number_of(L, before, "time");
    bool same = bmwi_number_of(L, before, "latitude") == lat &&
                bmwi_number_of(L, before, "longitude") == lon &&
                (isnan(heading) || bmwi_number_of(L, before, "heading") == heading);
    news = !(had > at || (had == at && same));
  }
  lua_pop(L, 1);
  return news;
}

/* Keeps the newest position whose coordinates were measured together. 0, 0 means "unknown". */
static void keep_position(lua_State *L, int state) {
  double lat, lon, heading, at, lon_at, heading_at;
  if (!read_coordinate(L, state, BMWI_LATITUDE, 90, &lat, &at) ||
      !read_coordinate(L, state, BMWI_LONGITUDE, 180, &lon, &lon_at) ||
      fabs(at - lon_at) > PAIRED || (lat == 0 && lon == 0))
    return;
  if (lon_at > at) at = lon_at;
  if (!read_coordinate(L, state, BMWI_HEADING, 360, &heading, &heading_at) ||
      fabs(heading_at - at) > PAIRED)
    heading = (double)NAN;
  if (!position_is_news(L, state, at, lat, lon, heading)) return;
  lua_createtable(L, 0, 5);
  int entry = lua_gettop(L);
  bmwi_set_number(L, entry, "latitude", lat);
  bmwi_set_number(L, entry, "longitude", lon);
  bmwi_set_number(L, entry, "heading", heading);
  bmwi_set_number(L, entry, "time", at);
  bmwi_get(L, state, BMWI_LATITUDE);
  bmwi_copy_member(L, lua_gettop(L), entry, "source");
  lua_pop(L, 1);
  lua_setfield(L, state, BMWI_POSITION);
}

/* The descriptor's name at `index`; NULL if it is invalid. */
static const char *descriptor_at(lua_State *L, int index) {
  size_t len;
  if (lua_type(L, index) != LUA_TSTRING) return NULL;
  const char *name = lua_tolstring(L, index, &len);
  return strlen(name) == len && strcmp(name, BMWI_POSITION) != 0 ? name : NULL;
}

int bmwi_values_merge(lua_State *L) {
  merging g = {.state = 4, .changed = 5};
  lua_settop(L, 3);
  if (!lua_isnil(L, 1)) luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 2, LUA_TTABLE);
  luaL_checktype(L, 3, LUA_TTABLE);
  g.source = bmwi_text_of(L, 3, "source");
  luaL_argcheck(L, same_text(g.source, "rest") || same_text(g.source, "stream"), 3,
                "source must be \"rest\" or \"stream\"");
  g.now = bmwi_now_of(L, 3);
  if (lua_isnil(L, 1)) lua_newtable(L);
  else push_copy(L, 1);
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, g.state)) {
    g.size++;
    lua_pop(L, 1);
  }
  lua_pushnil(L);
  while (lua_next(L, 2)) {
    int key = lua_gettop(L) - 1;
    const char *descriptor = descriptor_at(L, key);
    if (descriptor != NULL && lua_istable(L, key + 1)) merge_one(L, &g, descriptor, key + 1);
    lua_settop(L, key);
  }
  keep_position(L, g.state);
  bmwi_push_whole(L, g.taken);
  return 3;
}

/* ---- from a file ---------------------------------------------------------------- */

/* The members of an entry; `type` is LUA_TNONE for any plain value. */
static const struct {
  const char *name;
  int type;
} members[] = {
  {"value", LUA_TNONE},       {"raw", LUA_TNONE},         {"refused", LUA_TNONE},
  {"unit", LUA_TSTRING},      {"unit_rest", LUA_TSTRING}, {"unit_stream", LUA_TSTRING},
  {"empty", LUA_TSTRING},     {"flag", LUA_TSTRING},      {"time", LUA_TNUMBER},
  {"last", LUA_TNUMBER},      {"last_time", LUA_TNUMBER}, {"latitude", LUA_TNUMBER},
  {"longitude", LUA_TNUMBER}, {"heading", LUA_TNUMBER},
};

int bmwi_values_restore(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_newtable(L);
  lua_pushnil(L);
  for (int size = 0; lua_next(L, 1); lua_settop(L, 3)) {
    if (lua_type(L, 3) != LUA_TSTRING || !lua_istable(L, 4) || size++ > MAX_DESCRIPTORS) continue;
    lua_pushvalue(L, 3);
    lua_createtable(L, 0, 8);
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
      bmwi_get(L, 4, members[i].name);
      int type = lua_type(L, -1);
      if (is_plain(L, -1) && (members[i].type == LUA_TNONE || members[i].type == type))
        lua_setfield(L, 6, members[i].name);
      else lua_pop(L, 1);
    }
    bmwi_set_text(L, 6, "source", "cache");
    lua_rawset(L, 2);
  }
  keep_position(L, 2);
  return 1;
}

/* ---- other functions -------------------------------------------------------------- */

int bmwi_values_telematics(lua_State *L) {
  static const char *const shown[] = {"value", "unit", "raw", "source", "empty", "flag", "refused"};
  lua_settop(L, 2);
  luaL_checktype(L, 1, LUA_TTABLE);
  double now = bmwi_now_of(L, 2);
  lua_newtable(L);
  lua_pushnil(L);
  for (; lua_next(L, 1); lua_settop(L, 4)) {
    if (descriptor_at(L, 4) == NULL || !lua_istable(L, 5)) continue;
    lua_pushvalue(L, 4);
    lua_createtable(L, 0, 6);
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) bmwi_copy_member(L, 5, 7, shown[i]);
    bmwi_set_time(L, 7, bmwi_number_of(L, 5, "time"), now);
    lua_rawset(L, 3);
  }
  lua_settop(L, 3);
  return 1;
}

int bmwi_values_descriptors(lua_State *L) {
  int count = 0;
  lua_newtable(L);
  for (const bmwi_field *field = bmwi_status_fields; field->member != NULL; field++)
    for (const bmwi_source *link = field->links; link->descriptor != NULL; link++)
      if (bmwi_field_of(link->descriptor) == field) { /* some descriptors belong to two fields */
        lua_pushstring(L, link->descriptor);
        lua_rawseti(L, -2, ++count);
      }
  return 1;
}

static bool equal(lua_State *L, int a, int b, int depth);

/* Whether table `b` contains everything in `a`. */
static bool covers(lua_State *L, int a, int b, int depth) {
  bool all = true;
  int top = lua_gettop(L);
  lua_pushnil(L);
  while (all && lua_next(L, a)) {
    lua_pushvalue(L, -2);
    lua_rawget(L, b);
    all = equal(L, top + 2, top + 3, depth);
    lua_settop(L, top + 1);
  }
  lua_settop(L, top);
  return all;
}

static bool equal(lua_State *L, int a, int b, int depth) {
  if (lua_rawequal(L, a, b)) return true;
  if (depth == 0 || !lua_istable(L, a) || !lua_istable(L, b)) return false;
  luaL_checkstack(L, 8, "nested too deeply");
  return covers(L, a, b, depth - 1) && covers(L, b, a, depth - 1);
}

int bmwi_values_changed(lua_State *L) {
  lua_settop(L, 2);
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_newtable(L);
  for (int side = 1; side <= 2; side++) {
    lua_pushnil(L);
    for (; lua_next(L, side); lua_settop(L, 4)) {
      lua_pushvalue(L, 4);
      lua_rawget(L, 3 - side);
      if (equal(L, 5, 6, 4)) continue;
      lua_pushvalue(L, 4);
      lua_pushboolean(L, 1);
      lua_rawset(L, 3);
    }
  }
  return 1;
}
