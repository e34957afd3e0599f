/*
** Makes a status and its details from the known state of a car; see values_status.h.
*/
#include "binding/values_status.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* ---- the status ----------------------------------------------------------------- */

typedef struct building {
  int state, options, status, details; /* stack indexes */
  double now;
  const char *drive_train;
  bool km;            /* all distances with a known unit are in km */
  const char *newest; /* the descriptor of the newest value in the status */
  double newest_time;
} building;

/* Whether all of the car's distances are in km: at least one, and none in miles. */
static bool all_km(lua_State *L, int state) {
  bool km = false, miles = false;
  lua_pushnil(L);
  while (lua_next(L, state)) {
    int entry = lua_gettop(L);
    if (lua_istable(L, entry) && !isnan(bmwi_number_of(L, entry, "value"))) {
      const char *unit = bmwi_text_of(L, entry, "unit");
      km = km || (unit != NULL && strcmp(unit, "km") == 0);
      miles = miles || (unit != NULL && strcmp(unit, "mi") == 0);
    }
    lua_settop(L, entry - 1);
  }
  return km && !miles;
}

static void missing(lua_State *L, const building *b, const bmwi_field *field, bmwi_reason reason,
                    const char *descriptor) {
  lua_createtable(L, 0, 4);
  int detail = lua_gettop(L);
  bmwi_set_text(L, detail, "reason", bmwi_reason_word(reason));
  bmwi_set_text(L, detail, "message", bmwi_reason_sentence(reason));
  bmwi_set_text(L, detail, "descriptor", descriptor);
  bmwi_get(L, b->state, descriptor);
  if (lua_istable(L, -1)) bmwi_copy_member(L, lua_gettop(L), detail, "raw");
  lua_settop(L, detail);
  lua_setfield(L, b->details, field->member);
}

/* Adds the value on top to the status and pops it; its details are in its entry. */
static void add_to_status(lua_State *L, building *b, const bmwi_field *field,
                          const bmwi_source *link, int entry, const char *unit, const char *flag) {
  double stamp = bmwi_number_of(L, entry, "time");
  lua_pushvalue(L, -1);
  lua_setfield(L, b->status, field->member);
  lua_createtable(L, 0, 8);
  int detail = lua_gettop(L);
  lua_pushvalue(L, -2);
  lua_setfield(L, detail, "value");
  bmwi_set_text(L, detail, "unit", unit);
  bmwi_set_time(L, detail, stamp, b->now);
  bmwi_set_text(L, detail, "descriptor", link->descriptor);
  bmwi_copy_member(L, entry, detail, "source");
  bmwi_copy_member(L, entry, detail, "raw");
  bmwi_copy_member(L, entry, detail, "flag");
  bmwi_copy_member(L, entry, detail, "refused");
  bmwi_get(L, entry, "refused");
  if (!lua_isnil(L, -1)) flag = "refused";
  lua_pop(L, 1);
  bmwi_set_text(L, detail, "flag", flag);
  lua_setfield(L, b->details, field->member);
  lua_pop(L, 1);
  if ((link->marks & BMWI_ON_REQUEST) == 0 && stamp > b->newest_time) {
    b->newest_time = stamp;
    b->newest = link->descriptor;
  }
}

/* Pushes a member of an item in a list, if it has a value. */
static bool push_member(lua_State *L, int item, const char *name) {
  bmwi_value value;
  bmwi_get(L, item, name);
  bmwi_read_value(L, -1, "", &value);
  if (lua_type(L, -1) == LUA_TSTRING && value.kind != BMWI_VALUE_NONE &&
      strcmp(lua_tostring(L, -1), "-") != 0)
    return true;
  lua_pop(L, 1);
  return false;
}

static void copy_first(lua_State *L, int item, int to, const char *name, const char *first,
                       const char *second) {
  if (push_member(L, item, first) || push_member(L, item, second)) lua_setfield(L, to, name);
}

/* BMW's numbers of services, with the classic service's names for them. */
static const struct {
  int id;
  const char *type;
} service_types[] = {
  {1, "OIL"},          {2, "BRAKE_PADS_FRONT"}, {3, "BRAKE_FLUID"},
  {32, "VEHICLE_TUV"}, {100, "VEHICLE_CHECK"},
};

static void push_service(lua_State *L, int item, bool km) {
  bmwi_value number;
  lua_createtable(L, 0, 5);
  int to = lua_gettop(L);
  copy_first(L, item, to, "cbsType", "title", "text");
  double id = bmwi_number_of(L, item, "id");
  for (size_t i = 0; i < sizeof service_types / sizeof *service_types; i++)
    if (id == service_types[i].id) bmwi_set_text(L, to, "cbsType", service_types[i].type);
  copy_first(L, item, to, "cbsState", "status", "status");
  copy_first(L, item, to, "cbsDescription", "description", "title");
  copy_first(L, item, to, "cbsDueDate", "date", "date");
  bmwi_get(L, item, "unitOfLengthRemaining"); /* a number, in spite of its name */
  bmwi_read_value(L, -1, "", &number);
  lua_pop(L, 1);
  if (km && number.kind == BMWI_VALUE_NUMBER)
    bmwi_set_number(L, to, "cbsRemainingMileage", number.number);
}

static void push_message(lua_State *L, int item) {
  lua_createtable(L, 0, 3);
  int to = lua_gettop(L);
  bmwi_set_number(L, to, "ccmId", bmwi_number_of(L, item, "id"));
  copy_first(L, item, to, "ccmDescriptionShort", "title", "text");
  copy_first(L, item, to, "ccmDescriptionLong", "description", "text");
}

/* Decodes and pushes the list in a JSON text (an empty one stays an array); false if there is
** none. */
static bool push_list(lua_State *L, const building *b, const bmwi_field *field,
                      const bmwi_value *value) {
  if (value->kind != BMWI_VALUE_TEXT || !bmwi_json_decode(L, value->text, value->len)) return false;
  int list = lua_gettop(L), count = 0;
  if (!lua_istable(L, list) || !bmwi_is_array(L, list)) {
    lua_pop(L, 1);
    return false;
  }
  int n = (int)lua_rawlen(L, list);
  for (int i = 1; i <= n; i++) {
    lua_rawgeti(L, list, i);
    int item = lua_gettop(L);
    if (lua_istable(L, item)) {
      if (field->measure == BMWI_MEASURE_SERVICES) push_service(L, item, b->km);
      else push_message(L, item);
      lua_rawseti(L, list, ++count);
    }
    lua_settop(L, list);
  }
  while (n > count) {
    lua_pushnil(L);
    lua_rawseti(L, list, n--);
  }
  return true;
}

/* Why nothing is known of a descriptor. */
static bmwi_reason unknown(lua_State *L, const building *b, const char *descriptor) {
  static const struct {
    const char *option;
    bmwi_reason reason;
  } sets[] = {{"left_out", BMWI_REASON_LEFT_OUT}, {"refused", BMWI_REASON_REFUSED}};
  bmwi_reason reason = BMWI_REASON_ABSENT;
  int top = lua_gettop(L);
  for (size_t i = 0; i < sizeof sets / sizeof *sets && lua_istable(L, b->options); i++) {
    bmwi_get(L, b->options, sets[i].option);
    if (lua_istable(L, -1)) {
      bmwi_get(L, lua_gettop(L), descriptor);
      if (lua_toboolean(L, -1)) reason = sets[i].reason;
    }
    lua_settop(L, top);
  }
  return reason;
}

/* Reads the field from one of its descriptors: a reason if it gives no value. */
static bmwi_reason from_link(lua_State *L, building *b, const bmwi_field *field,
                             const bmwi_source *link, bool sure) {
  bmwi_value value;
  bmwi_get(L, b->state, link->descriptor);
  if (!lua_istable(L, -1)) return unknown(L, b, link->descriptor);
  int entry = lua_gettop(L);
  bmwi_entry_value(L, entry, &value);
  const char *unit = bmwi_text_of(L, entry, "unit"), *flag = NULL;
  if (unit == NULL && (field->marks & BMWI_AS_OTHERS) != 0 && b->km) {
    unit = "km";
    flag = "unit_inferred";
  }
  bmwi_reason reason = bmwi_field_convert(field, link, sure, &value, &unit);
  if (reason != BMWI_REASON_NONE) return reason;
  if (bmwi_field_needs_unit(field) && unit == NULL) flag = "unit_unknown";
  if ((link->marks & BMWI_PREDICTED) != 0) flag = "predicted";
  if (field->measure != BMWI_MEASURE_SERVICES && field->measure != BMWI_MEASURE_MESSAGES)
    bmwi_push_value(L, &value);
  else if (!push_list(L, b, field, &value)) return BMWI_REASON_UNREADABLE;
  add_to_status(L, b, field, link, entry, unit, flag);
  return BMWI_REASON_NONE;
}

static void one_field(lua_State *L, building *b, const bmwi_field *field) {
  bool sure;
  int top = lua_gettop(L);
  const char *descriptor = field->links[0].descriptor;
  bmwi_reason reason = bmwi_field_fitted(field, b->drive_train, &sure);
  if (reason != BMWI_REASON_NONE) {
    missing(L, b, field, reason, descriptor);
    return;
  }
  reason = BMWI_REASON_ABSENT;
  for (const bmwi_source *link = field->links; link->descriptor != NULL; link++) {
    bmwi_reason why = from_link(L, b, field, link, sure);
    lua_settop(L, top);
    if (why == BMWI_REASON_NONE) return;
    if (reason == BMWI_REASON_ABSENT && why != reason) {
      reason = why;
      descriptor = link->descriptor;
    }
  }
  missing(L, b, field, reason, descriptor);
}

/* A coordinate is missing, or the two were measured at different times. */
static void no_position(lua_State *L, const building *b, const bmwi_field *field) {
  for (int i = 0; i < 2; i++) {
    const char *descriptor = field->links[i].descriptor;
    bmwi_value value = {.reason = unknown(L, b, descriptor)};
    bmwi_get(L, b->state, descriptor);
    if (lua_istable(L, -1)) bmwi_entry_value(L, lua_gettop(L), &value);
    lua_pop(L, 1);
    if (value.kind == BMWI_VALUE_NONE) {
      missing(L, b, field, value.reason, descriptor);
      return;
    }
  }
  missing(L, b, field, BMWI_REASON_UNPAIRED, field->links[0].descriptor);
}

/* Pushes lat, lon, heading and status, as in a classic status. */
static void push_position(lua_State *L, int entry) {
  lua_createtable(L, 0, 4);
  int to = lua_gettop(L);
  bmwi_set_number(L, to, "lat", bmwi_number_of(L, entry, "latitude"));
  bmwi_set_number(L, to, "lon", bmwi_number_of(L, entry, "longitude"));
  bmwi_set_number(L, to, "heading", bmwi_number_of(L, entry, "heading"));
  bmwi_set_text(L, to, "status", "OK");
}

static void position(lua_State *L, building *b, const bmwi_field *field) {
  int top = lua_gettop(L);
  bmwi_get(L, b->state, BMWI_POSITION);
  if (lua_istable(L, -1) && !isnan(bmwi_number_of(L, top + 1, "latitude")) &&
      !isnan(bmwi_number_of(L, top + 1, "longitude"))) {
    push_position(L, top + 1);
    add_to_status(L, b, field, field->links, top + 1, NULL, NULL);
    bmwi_get(L, b->details, field->member);
    push_position(L, top + 1); /* a separate table: changing one does not change the other */
    lua_setfield(L, -2, "value");
  } else {
    no_position(L, b, field);
  }
  lua_settop(L, top);
}

/* updateTime, when the car last reported: the time of the newest value. */
static void update_time(lua_State *L, const building *b) {
  char text[BMWI_TIME_SIZE];
  if (b->newest == NULL || !bmwi_time_text(text, b->newest_time)) return;
  lua_pushstring(L, text);
  lua_setfield(L, b->status, "updateTime");
  lua_createtable(L, 0, 4);
  int detail = lua_gettop(L);
  bmwi_set_text(L, detail, "value", text);
  bmwi_set_time(L, detail, b->newest_time, b->now);
  bmwi_set_text(L, detail, "descriptor", b->newest);
  bmwi_get(L, b->state, b->newest);
  if (lua_istable(L, -1)) bmwi_copy_member(L, lua_gettop(L), detail, "source");
  lua_settop(L, detail);
  lua_setfield(L, b->details, "updateTime");
}

/* (state[, {drive_train =, refused =, now =}]) -> status, details; called with only these on the
** stack.
** details[member] = {value, unit, time, age, descriptor, source, raw, flag, refused}, or, for a
** member that is not in the status, {reason, message, descriptor, raw}. `flag` is "predicted",
** "unit_inferred", "unit_unknown" (unconverted), or "refused" (a newer value without a unit, stored
** in `refused`, does not match the old one in any unit). The option `refused` is the set of
** descriptors that BMW does not let the account request. */
static int status(lua_State *L) {
  luaL_checkstack(L, 40, NULL);
  building b = {.state = 1, .options = 2, .status = 3, .details = 4, .newest_time = 0};
  lua_settop(L, 2);
  luaL_checktype(L, 1, LUA_TTABLE);
  b.now = bmwi_now_of(L, 2);
  if (lua_istable(L, 2)) b.drive_train = bmwi_text_of(L, 2, "drive_train");
  b.km = all_km(L, 1);
  lua_newtable(L);
  lua_newtable(L);
  for (const bmwi_field *field = bmwi_status_fields; field->member != NULL; field++) {
    if (field->measure == BMWI_MEASURE_POSITION) position(L, &b, field);
    else one_field(L, &b, field);
  }
  update_time(L, &b);
  return 2;
}

/* (text) -> the version of a list of descriptors, computed the same way by every program */
static int version(lua_State *L) {
  size_t len;
  const char *text = luaL_checklstring(L, 1, &len);
  uint32_t sum = 7;
  for (size_t i = 0; i < len; i++) sum = sum * 31 + (unsigned char)text[i];
  char out[16];
  snprintf(out, sizeof out, "v%lu", (unsigned long)sum);
  lua_pushstring(L, out);
  return 1;
}

/* (text) -> the canonical spelling of a unit; nil for an unknown one, and for anything else */
static int unit(lua_State *L) {
  const char *known = NULL;
  if (lua_type(L, 1) == LUA_TSTRING) {
    size_t len;
    const char *text = lua_tolstring(L, 1, &len);
    known = bmwi_unit(text, len);
  }
  lua_pushstring(L, known); /* nil if NULL */
  return 1;
}

static const luaL_Reg functions[] = {
  {"merge", bmwi_values_merge},
  {"restore", bmwi_values_restore},
  {"status", status},
  {"telematics", bmwi_values_telematics},
  {"changed", bmwi_values_changed},
  {"descriptors", bmwi_values_descriptors},
  {"unit", unit},
  {"version", version},
  {NULL, NULL},
};

void bmwi_values_open(lua_State *L) {
  lua_newtable(L);
  luaL_setfuncs(L, functions, 0);
}
