/*
** The car: one method per row of the tables below, and the checks of what is
** sent to it. A car owns a VIN and keeps its client alive.
**
** Sources: commands and their fields are those of the BMW i Remote API
** document; `data` of sendpoi and the members of a profile are what recorded
** requests and answers of the real service hold.
*/
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "binding/bmwi.h"

#define VEHICLE "bmwi.vehicle"

typedef struct vehicle {
  char vin[BMWI_VIN_LENGTH + 1];
} vehicle;

/* Checks the car at 1 and pushes its client, of which it returns the index. */
static bmwi_client *car_client(lua_State *L, const char **vin, int *index) {
  const vehicle *car = luaL_checkudata(L, 1, VEHICLE);
  *vin = car->vin;
  lua_getuservalue(L, 1);
  lua_rawgeti(L, -1, 1);
  lua_replace(L, -2);
  *index = lua_gettop(L);
  return bmwi_client_check(L, *index);
}

/* client:vehicle(vin) -> car. No I/O; raises for what is no VIN. */
int bmwi_vehicle_new(lua_State *L) {
  size_t len;
  bmwi_client_check(L, 1);
  const char *text = luaL_checklstring(L, 2, &len);
  vehicle *car = lua_newuserdata(L, sizeof *car);
  if (!bmwi_vin(car->vin, text, len))
    return luaL_argerror(L, 2, "a VIN has 17 characters, digits and letters without I, O and Q");
  luaL_setmetatable(L, VEHICLE);
  lua_createtable(L, 1, 0);
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, 1);
  lua_setuservalue(L, -2);
  return 1;
}

/* ---- reading -------------------------------------------------------------------- */

/* The plain GETs: car:NAME() -> table | nil, message, code, info */
static const struct {
  const char *name;
  bmwi_endpoint_id id;
} readings[] = {
  {"status", BMWI_STATUS},
  {"last_trip", BMWI_LAST_TRIP},
  {"all_trips", BMWI_ALL_TRIPS},
  {"charging_profile", BMWI_CHARGING_PROFILE},
  {"destinations", BMWI_DESTINATIONS},
  {"range_map", BMWI_RANGE_MAP},
  {"navigation", BMWI_NAVIGATION},
};

static int read_endpoint(lua_State *L) {
  const char *vin;
  int index;
  bmwi_client *client = car_client(L, &vin, &index);
  bmwi_endpoint_id id = (bmwi_endpoint_id)lua_tointeger(L, lua_upvalueindex(1));
  bmwi_op *op = bmwi_client_op(L, client, id, vin);
  if (id == BMWI_STATUS) bmwi_client_position(L, client, op);
  return bmwi_loop_await(L, index);
}

static const char *check_service(lua_State *L, int index, size_t *len) {
  const char *service = luaL_checklstring(L, index, len);
  luaL_argcheck(L, bmwi_service_type(service, *len), index,
                "a service type such as DOOR_LOCK expected");
  return service;
}

/* car:execution(service[, event]) -> {serviceType, status, eventId, ...}: the last event
** of that type, which may be an earlier one than yours: compare eventId. The id of the event
** that is waited for is not sent, but kept out of messages. */
static int car_execution(lua_State *L) {
  const char *vin;
  int index;
  size_t len;
  const char *service = check_service(L, 2, &len), *event = luaL_optstring(L, 3, NULL);
  bmwi_client *client = car_client(L, &vin, &index);
  bmwi_op *op = bmwi_client_op(L, client, BMWI_EXECUTION, vin);
  if (event != NULL) bmwi_account_event(op->account, event);
  bmwi_client_query(L, op, "serviceType", service, len);
  return bmwi_loop_await(L, index);
}

/* car:image{view =, width =, height =} -> PNG bytes */
static int car_image(lua_State *L) {
  const char *vin;
  int index;
  size_t len;
  if (!lua_isnoneornil(L, 2)) luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  bmwi_client *client = car_client(L, &vin, &index);
  bmwi_op *op = bmwi_client_op(L, client, BMWI_IMAGE, vin);
  int at = lua_gettop(L);
  if (lua_istable(L, 2)) {
    lua_pushnil(L);
    while (lua_next(L, 2)) {
      const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
      bool view = strcmp(name, "view") == 0;
      bool size = strcmp(name, "width") == 0 || strcmp(name, "height") == 0;
      if (!view && !size) return luaL_error(L, "unknown field '%s'; known are view, width, height", name);
      const char *word = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : NULL;
      if (view && (word == NULL || !bmwi_service_type(word, len)))
        return luaL_error(L, "field 'view': a word such as FRONTSIDE or DASHBOARD expected");
      if (size) {
        double pixels = lua_tonumber(L, -1);
        if (!(pixels >= 1 && pixels <= 10000 && pixels == (int)pixels))
          return luaL_error(L, "field '%s': whole pixels from 1 to 10000 expected", name);
        char text[16];
        snprintf(text, sizeof text, "%.0f", pixels);
        bmwi_client_query(L, op, name, text, strlen(text));
      } else {
        bmwi_client_query(L, op, name, word, len);
      }
      lua_pop(L, 1);
    }
  }
  lua_settop(L, at);
  return bmwi_loop_await(L, index);
}

/* ---- charging profiles ------------------------------------------------------------- */

typedef enum { SWITCH, CLOCK, WORD, DAYS, PART } member_type;

/* A part of a profile: which members it may have and what they are. Members
** that are not listed are passed on: later cars have more. */
typedef struct member {
  const char *name;
  member_type type;
  const struct member *part; /* of a PART */
  bool needed;               /* a profile without it would clear it in the car */
} member;

static const member weekly_timer[] = {
  {"departureTime", CLOCK, NULL, false}, {"timerEnabled", SWITCH, NULL, false},
  {"weekdays", DAYS, NULL, false},       {NULL, SWITCH, NULL, false},
};
static const member daily_timer[] = {
  {"departureTime", CLOCK, NULL, false},
  {"timerEnabled", SWITCH, NULL, false},
  {NULL, SWITCH, NULL, false},
};
static const member window[] = {
  {"enabled", SWITCH, NULL, false},
  {"startTime", CLOCK, NULL, false},
  {"endTime", CLOCK, NULL, false},
  {NULL, SWITCH, NULL, false},
};
static const member weekly_planner[] = {
  {"climatizationEnabled", SWITCH, NULL, false}, {"chargingMode", WORD, NULL, false},
  {"chargingPreferences", WORD, NULL, false},    {"timer1", PART, weekly_timer, true},
  {"timer2", PART, weekly_timer, true},          {"timer3", PART, weekly_timer, true},
  {"overrideTimer", PART, weekly_timer, false},  {"preferredChargingWindow", PART, window, false},
  {NULL, SWITCH, NULL, false},
};
static const member two_times_timer[] = {
  {"climatizationEnabled", SWITCH, NULL, false}, {"chargingMode", WORD, NULL, false},
  {"chargingPreferences", WORD, NULL, false},    {"timer1", PART, daily_timer, true},
  {"timer2", PART, daily_timer, true},           {"preferredChargingWindow", PART, window, false},
  {NULL, SWITCH, NULL, false},
};
static const member profile_roots[] = {
  {"weeklyPlanner", PART, weekly_planner, false},
  {"twoTimesTimer", PART, two_times_timer, false},
  {NULL, SWITCH, NULL, false},
};

static bool is_clock(const char *t, size_t len) {
  return len == 5 && t[0] >= '0' && t[0] <= '2' && t[1] >= '0' && t[1] <= '9' &&
         (t[0] < '2' || t[1] <= '3') && t[2] == ':' && t[3] >= '0' && t[3] <= '5' &&
         t[4] >= '0' && t[4] <= '9';
}

static void bad_member(lua_State *L, const char *path, const char *expected) {
  luaL_error(L, "charging profile: %s: %s expected", path, expected);
}

/* Checks the array of weekday names on top of the stack. */
static void check_days(lua_State *L, const char *path) {
  static const char *const days[] = {"MONDAY", "TUESDAY",  "WEDNESDAY", "THURSDAY",
                                     "FRIDAY", "SATURDAY", "SUNDAY"};
  const char *expected = "an array of MONDAY, TUESDAY, ... SUNDAY";
  if (!lua_istable(L, -1) || !bmwi_is_array(L, -1)) bad_member(L, path, expected);
  int count = (int)lua_rawlen(L, -1);
  if (count > 7) bad_member(L, path, "at most seven weekdays");
  for (int i = 1; i <= count; i++) {
    lua_rawgeti(L, -1, i);
    bool known = false;
    for (size_t d = 0; d < 7 && lua_type(L, -1) == LUA_TSTRING; d++)
      known = known || strcmp(lua_tostring(L, -1), days[d]) == 0;
    if (!known) bad_member(L, path, expected);
    lua_pop(L, 1);
  }
}

/* Checks the table on top of the stack against its members. */
static void check_part(lua_State *L, const member *members, const char *path) {
  int table = lua_gettop(L);
  luaL_checkstack(L, 8, NULL);
  if (!lua_istable(L, table)) bad_member(L, path, "a table");
  for (const member *m = members; m->name != NULL; m++) {
    size_t len = 0;
    const char *where = lua_pushfstring(L, "%s.%s", path, m->name);
    lua_getfield(L, table, m->name);
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : NULL;
    if (lua_isnil(L, -1)) {
      if (m->needed) bad_member(L, where, "a timer (send the whole profile that was read, changed)");
    } else if (m->type == SWITCH && !lua_isboolean(L, -1)) {
      bad_member(L, where, "true or false");
    } else if (m->type == CLOCK && (text == NULL || !is_clock(text, len))) {
      bad_member(L, where, "a time of day as \"HH:MM\"");
    } else if (m->type == WORD && (text == NULL || !bmwi_service_type(text, len))) {
      bad_member(L, where, "a word such as DELAYED_CHARGING or CHARGING_WINDOW");
    } else if (m->type == DAYS) {
      check_days(L, where);
    } else if (m->type == PART) {
      check_part(L, m->part, where);
    }
    lua_settop(L, table);
  }
  if (members == daily_timer) {
    lua_getfield(L, table, "weekdays");
    if (!lua_isnil(L, -1)) bad_member(L, path, "no weekdays in a twoTimesTimer");
    lua_settop(L, table);
  }
}

/* Checks the profile at `index` (what car:charging_profile() returns) and
** pushes its JSON. Raises and names the member that is wrong. A window may wrap
** over midnight; 00:00 to 00:00 is what the car says for none. */
static void push_profile(lua_State *L, int index) {
  int roots = 0;
  luaL_checktype(L, index, LUA_TTABLE);
  for (const member *root = profile_roots; root->name != NULL; root++) {
    lua_getfield(L, index, root->name);
    if (!lua_isnil(L, -1)) {
      roots++;
      check_part(L, root->part, root->name);
    }
    lua_pop(L, 1);
  }
  if (roots != 1)
    luaL_error(L, "charging profile: exactly one of weeklyPlanner and twoTimesTimer expected");
  bmwi_json_encode(L, index);
}

/* ---- commands ------------------------------------------------------------------------ */

/* Pushes the operation of a command; its form begins with the service type. */
static bmwi_op *command(lua_State *L, const char *service, int *index) {
  const char *vin;
  bmwi_client *client = car_client(L, &vin, index);
  bmwi_op *op = bmwi_client_op(L, client, BMWI_EXECUTE, vin);
  bmwi_client_form(L, op, "serviceType", service, strlen(service));
  return op;
}

/* The commands without fields: car:NAME() -> {serviceType, status, eventId} */
static const struct {
  const char *name, *service;
} commands[] = {
  {"charge_now", "CHARGE_NOW"}, {"climate_now", "CLIMATE_NOW"}, {"lock_doors", "DOOR_LOCK"},
  {"blow_horn", "HORN_BLOW"},   {"find", "VEHICLE_FINDER"},
};

static int simple_command(lua_State *L) {
  int index;
  command(L, lua_tostring(L, lua_upvalueindex(1)), &index);
  return bmwi_loop_await(L, index);
}

/* Opens the optional table of fields at 2, in which only `name` is known; pushes
** its value. False if there is none. */
static bool field(lua_State *L, const char *name) {
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) return false;
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_pushnil(L);
  while (lua_next(L, 2)) {
    if (lua_type(L, -2) != LUA_TSTRING || strcmp(lua_tostring(L, -2), name) != 0)
      luaL_error(L, "unknown field; the only one known here is '%s'", name);
    lua_pop(L, 1);
  }
  lua_getfield(L, 2, name);
  return !lua_isnil(L, -1);
}

/* car:unlock_doors{secret =}: the answer to the account's security question,
** which some accounts need; it is sent with this command only. */
static int car_unlock_doors(lua_State *L) {
  int index;
  size_t len = 0;
  bool has = field(L, "secret");
  if (has && lua_type(L, -1) != LUA_TSTRING) return luaL_error(L, "field 'secret': a text expected");
  const char *secret = has ? lua_tolstring(L, -1, &len) : NULL;
  bmwi_op *op = command(L, "DOOR_UNLOCK", &index);
  if (has) bmwi_client_form(L, op, "bmwSkAnswer", secret, len);
  return bmwi_loop_await(L, index);
}

/* car:flash_lights{count =}: how often (or for how many seconds: nobody knows). */
static int car_flash_lights(lua_State *L) {
  int index;
  bool has = field(L, "count");
  double count = has ? lua_tonumber(L, -1) : 0;
  if (has && !(count >= 1 && count <= 100 && count == (int)count))
    return luaL_error(L, "field 'count': a whole number from 1 to 100 expected");
  bmwi_op *op = command(L, "LIGHT_FLASH", &index);
  if (has) {
    char text[8];
    snprintf(text, sizeof text, "%.0f", count);
    bmwi_client_form(L, op, "count", text, strlen(text));
  }
  return bmwi_loop_await(L, index);
}

/* car:set_charging_profile(profile) -> execution */
static int car_set_charging_profile(lua_State *L) {
  int index;
  size_t len;
  luaL_checkudata(L, 1, VEHICLE);
  lua_settop(L, 2);
  push_profile(L, 2);
  bmwi_op *op = command(L, "CHARGING_CONTROL", &index);
  const char *json = lua_tolstring(L, 3, &len);
  bmwi_client_form(L, op, "data", json, len);
  return bmwi_loop_await(L, index);
}

/* car:execute(service[, params]) -> execution. Params are form fields; a table
** as `data` is a charging profile. */
static int car_execute(lua_State *L) {
  int index;
  size_t len;
  luaL_checkudata(L, 1, VEHICLE);
  const char *service = check_service(L, 2, &len);
  if (!lua_isnoneornil(L, 3)) luaL_checktype(L, 3, LUA_TTABLE);
  lua_settop(L, 3);
  bmwi_op *op = command(L, service, &index);
  int at = lua_gettop(L);
  if (lua_istable(L, 3)) {
    bmwi_check_plain(L, 3);
    lua_pushnil(L);
    while (lua_next(L, 3)) {
      const char *name = bmwi_field_name(L, 3);
      if (strcmp(name, "serviceType") == 0)
        return luaL_argerror(L, 3, "serviceType is the first argument already");
      if (lua_istable(L, -1) && strcmp(name, "data") == 0) push_profile(L, lua_gettop(L));
      else bmwi_push_field(L, 3);
      const char *value = lua_tolstring(L, -1, &len);
      bmwi_client_form(L, op, name, value, len);
      lua_pop(L, 2);
    }
  }
  lua_settop(L, at);
  return bmwi_loop_await(L, index);
}

/* ---- points of interest ------------------------------------------------------------------ */

typedef enum { LINE, DEGREES, COUNT, FLAG, LIST } poi_type;

static const struct {
  const char *name;
  poi_type type;
  double limit; /* of DEGREES */
} poi_members[] = {
  {"additionalInfo", LINE, 0},
  {"city", LINE, 0},
  {"country", LINE, 0},
  {"lat", DEGREES, 90},
  {"lon", DEGREES, 180},
  {"name", LINE, 0},
  {"phoneNumbers", LIST, 0},
  {"postalCode", LINE, 0},
  {"rating", COUNT, 0},
  {"street", LINE, 0},
  {"subject", LINE, 0},
  {"useAsDestination", FLAG, 0},
  {"website", LINE, 0},
};
#define POI_MEMBERS (sizeof poi_members / sizeof poi_members[0])

/* Checks that the table on top of the stack is an array of texts. */
static void check_texts(lua_State *L, const char *name) {
  int length = (int)lua_rawlen(L, -1), members = 0;
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    members++;
    if (lua_type(L, -1) != LUA_TSTRING || lua_type(L, -2) != LUA_TNUMBER || members > length)
      luaL_error(L, "point of interest: %s: an array of texts expected", name);
    lua_pop(L, 1);
  }
}

/* Checks one member of a point of interest: its name at -2, its value at -1. */
static void check_poi_member(lua_State *L) {
  const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
  int type = lua_type(L, -1);
  for (size_t i = 0; i < POI_MEMBERS; i++) {
    if (strcmp(poi_members[i].name, name) != 0) continue;
    static const int types[] = {LUA_TSTRING, LUA_TNUMBER, LUA_TNUMBER, LUA_TBOOLEAN, LUA_TTABLE};
    int wanted = types[poi_members[i].type];
    if (type != wanted)
      luaL_error(L, "point of interest: %s: a %s expected, got a %s", name, lua_typename(L, wanted),
                 lua_typename(L, type));
    if (poi_members[i].type == LIST) check_texts(L, name);
    double limit = poi_members[i].limit;
    if (poi_members[i].type == DEGREES && !(fabs(lua_tonumber(L, -1)) <= limit))
      luaL_error(L, "point of interest: %s: degrees from -%d to %d expected", name, (int)limit,
                 (int)limit);
    return;
  }
  luaL_Buffer names;
  luaL_buffinit(L, &names);
  for (size_t i = 0; i < POI_MEMBERS; i++) {
    luaL_addstring(&names, i > 0 ? ", " : "");
    luaL_addstring(&names, poi_members[i].name);
  }
  luaL_pushresult(&names);
  luaL_error(L, "point of interest: unknown member '%s'; known are: %s", name,
             lua_tostring(L, -1));
}

/* car:send_poi(poi) -> true. A place needs lat and lon (decimal degrees); without
** both it is a text message: name (the subject) and additionalInfo. */
static int car_send_poi(lua_State *L) {
  const char *vin;
  int index;
  size_t len;
  luaL_checkudata(L, 1, VEHICLE);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  lua_pushnil(L);
  while (lua_next(L, 2)) {
    check_poi_member(L);
    lua_pop(L, 1);
  }
  lua_getfield(L, 2, "lat");
  lua_getfield(L, 2, "lon");
  if (lua_isnil(L, -1) != lua_isnil(L, -2))
    return luaL_error(L, "point of interest: lat and lon belong together");
  lua_getfield(L, 2, "name");
  if (lua_isnil(L, -1) && lua_isnil(L, -2))
    return luaL_error(L, "point of interest: lat and lon, or at least a name, expected");
  lua_settop(L, 2);
  lua_createtable(L, 0, 1);
  lua_pushvalue(L, 2);
  lua_setfield(L, -2, "poi");
  bmwi_json_encode(L, 3);
  bmwi_client *client = car_client(L, &vin, &index);
  bmwi_op *op = bmwi_client_op(L, client, BMWI_SEND_POI, vin);
  const char *json = lua_tolstring(L, 4, &len);
  bmwi_client_form(L, op, bmwi_client_poi_field(client), json, len);
  return bmwi_loop_await(L, index);
}

/* ---- the object ------------------------------------------------------------------------- */

/* car:vin() -> the VIN, upper-cased */
static int car_vin(lua_State *L) {
  const vehicle *car = luaL_checkudata(L, 1, VEHICLE);
  lua_pushstring(L, car->vin);
  return 1;
}

/* The end of a VIN is its serial number: not for logs. */
static int car_tostring(lua_State *L) {
  const vehicle *car = luaL_checkudata(L, 1, VEHICLE);
  lua_pushfstring(L, VEHICLE ": %c%c%c...", car->vin[0], car->vin[1], car->vin[2]);
  return 1;
}

static const luaL_Reg car_methods[] = {
  {"vin", car_vin},
  {"execution", car_execution},
  {"image", car_image},
  {"execute", car_execute},
  {"unlock_doors", car_unlock_doors},
  {"flash_lights", car_flash_lights},
  {"set_charging_profile", car_set_charging_profile},
  {"send_poi", car_send_poi},
  {NULL, NULL},
};

void bmwi_vehicle_open(lua_State *L) {
  luaL_newmetatable(L, VEHICLE);
  lua_pushcfunction(L, car_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_newtable(L);
  luaL_setfuncs(L, car_methods, 0);
  for (size_t i = 0; i < sizeof readings / sizeof readings[0]; i++) {
    lua_pushinteger(L, readings[i].id);
    lua_pushcclosure(L, read_endpoint, 1);
    lua_setfield(L, -2, readings[i].name);
  }
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    lua_pushstring(L, commands[i].service);
    lua_pushcclosure(L, simple_command, 1);
    lua_setfield(L, -2, commands[i].name);
  }
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
