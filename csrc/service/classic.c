/*
** The classic service (BMW i Remote, 2013 to 2021) as data.
**
** Sources: paths, envelopes, commands and their fields are from Terence Eden's BMW i Remote API
** document; `data` of sendpoi and the members of a profile are from recordings of the real service;
** `image` is from later clients of the same service.
*/
#include "service/service.h"

#include <stddef.h>
#include <string.h>

/* ---- charging profiles -------------------------------------------------------------------- */

static const char *const weekdays[] = {"MONDAY", "TUESDAY",  "WEDNESDAY", "THURSDAY",
                                       "FRIDAY", "SATURDAY", "SUNDAY",    NULL};

static const bmwi_member weekly_timer_members[] = {
  {.name = "departureTime", .type = BMWI_CLOCK},
  {.name = "timerEnabled", .type = BMWI_SWITCH},
  {.name = "weekdays", .type = BMWI_WORDS, .words = weekdays},
  {.name = NULL},
};
static const bmwi_schema weekly_timer = {.members = weekly_timer_members, .open = true};

static const bmwi_member daily_timer_members[] = {
  {.name = "departureTime", .type = BMWI_CLOCK},
  {.name = "timerEnabled", .type = BMWI_SWITCH},
  {.name = NULL},
};
static const bmwi_rule daily_timer_rules[] = {
  {BMWI_WITHOUT, "weekdays", NULL, "no weekdays in a twoTimesTimer"},
  {.message = NULL},
};
static const bmwi_schema daily_timer = {daily_timer_members, daily_timer_rules, true};

/* A window may wrap around midnight; a car reports 00:00 to 00:00 if there is none. */
static const bmwi_member window_members[] = {
  {.name = "enabled", .type = BMWI_SWITCH},
  {.name = "startTime", .type = BMWI_CLOCK},
  {.name = "endTime", .type = BMWI_CLOCK},
  {.name = NULL},
};
static const bmwi_schema window = {.members = window_members, .open = true};

/* A profile that omits one of its timers would clear that timer in the car. */
#define TIMER "a timer (send the whole profile that was read, changed)"

static const bmwi_member weekly_planner_members[] = {
  {.name = "climatizationEnabled", .type = BMWI_SWITCH},
  {.name = "chargingMode", .type = BMWI_WORD},
  {.name = "chargingPreferences", .type = BMWI_WORD},
  {.name = "timer1", .type = BMWI_PART, .part = &weekly_timer, .needed = TIMER},
  {.name = "timer2", .type = BMWI_PART, .part = &weekly_timer, .needed = TIMER},
  {.name = "timer3", .type = BMWI_PART, .part = &weekly_timer, .needed = TIMER},
  {.name = "overrideTimer", .type = BMWI_PART, .part = &weekly_timer},
  {.name = "preferredChargingWindow", .type = BMWI_PART, .part = &window},
  {.name = NULL},
};
static const bmwi_schema weekly_planner = {.members = weekly_planner_members, .open = true};

static const bmwi_member two_times_timer_members[] = {
  {.name = "climatizationEnabled", .type = BMWI_SWITCH},
  {.name = "chargingMode", .type = BMWI_WORD},
  {.name = "chargingPreferences", .type = BMWI_WORD},
  {.name = "timer1", .type = BMWI_PART, .part = &daily_timer, .needed = TIMER},
  {.name = "timer2", .type = BMWI_PART, .part = &daily_timer, .needed = TIMER},
  {.name = "preferredChargingWindow", .type = BMWI_PART, .part = &window},
  {.name = NULL},
};
static const bmwi_schema two_times_timer = {.members = two_times_timer_members, .open = true};

static const bmwi_member profile_members[] = {
  {.name = "weeklyPlanner", .type = BMWI_PART, .part = &weekly_planner},
  {.name = "twoTimesTimer", .type = BMWI_PART, .part = &two_times_timer},
  {.name = NULL},
};
static const bmwi_rule profile_rules[] = {
  {BMWI_ONE_OF, "weeklyPlanner", "twoTimesTimer",
   "exactly one of weeklyPlanner and twoTimesTimer expected"},
  {.message = NULL},
};
static const bmwi_schema profile = {profile_members, profile_rules, true};

/* ---- points of interest ------------------------------------------------------------------- */

static const bmwi_member poi_members[] = {
  {.name = "additionalInfo", .type = BMWI_LINE},
  {.name = "city", .type = BMWI_LINE},
  {.name = "country", .type = BMWI_LINE},
  {.name = "lat", .type = BMWI_REAL, .least = -90, .most = 90},
  {.name = "lon", .type = BMWI_REAL, .least = -180, .most = 180},
  {.name = "name", .type = BMWI_LINE},
  {.name = "phoneNumbers", .type = BMWI_LINES},
  {.name = "postalCode", .type = BMWI_LINE},
  {.name = "rating", .type = BMWI_REAL},
  {.name = "street", .type = BMWI_LINE},
  {.name = "subject", .type = BMWI_LINE},
  {.name = "useAsDestination", .type = BMWI_SWITCH},
  {.name = "website", .type = BMWI_LINE},
  {.name = NULL},
};
/* Without a position it is a text message: name (the subject) and additionalInfo. */
static const bmwi_rule poi_rules[] = {
  {BMWI_TOGETHER, "lat", "lon", "lat and lon must be given together"},
  {BMWI_EITHER, "lat", "name", "lat and lon, or at least a name, expected"},
  {.message = NULL},
};
static const bmwi_schema poi = {poi_members, poi_rules, false};

/* ---- endpoints ---------------------------------------------------------------------------- */

#define CAR "/webapi/v1/user/vehicles/{vin}"
#define GET(NAME) .exchange = {.name = (NAME), .method = "GET"}
#define POST(NAME) .exchange = {.name = (NAME), .method = "POST", .command = true}

/* clang-format off */
enum {
  VEHICLES, STATUS, LAST_TRIP, ALL_TRIPS, CHARGING_PROFILE, DESTINATIONS, RANGE_MAP, NAVIGATION,
  EXECUTION, EXECUTE, SEND_POI, IMAGE
};

static const bmwi_endpoint endpoints[] = {
  [VEHICLES] = {GET("vehicles"), .path = "/webapi/v1/user/vehicles/", .envelope = "vehicles",
                .answer = BMWI_ANSWER_ARRAY, .has_routes = true},
  [STATUS] = {GET("status"), .path = CAR "/status", .envelope = "vehicleStatus"},
  [LAST_TRIP] = {GET("last_trip"), .path = CAR "/statistics/lastTrip", .envelope = "lastTrip"},
  [ALL_TRIPS] = {GET("all_trips"), .path = CAR "/statistics/allTrips", .envelope = "allTrips"},
  /* The root is kept, so that the profile can be changed and sent back. */
  [CHARGING_PROFILE] = {GET("charging_profile"), .path = CAR "/chargingprofile"},
  [DESTINATIONS] = {GET("destinations"), .path = CAR "/destinations", .envelope = "destinations",
                    .answer = BMWI_ANSWER_ARRAY},
  [RANGE_MAP] = {GET("range_map"), .path = CAR "/rangemap", .envelope = "rangemap"},
  [NAVIGATION] = {GET("navigation"), .path = "/api/vehicle/navigation/v1/{vin}",
                  .second_host = true},
  [EXECUTION] = {GET("execution"), .path = CAR "/serviceExecutionStatus",
                 .envelope = "executionStatus", .has_event = true},
  [EXECUTE] = {POST("execute"), .path = CAR "/executeService", .envelope = "executionStatus",
               .starts_event = true, .has_event = true},
  [SEND_POI] = {POST("send_poi"), .path = CAR "/sendpoi", .answer = BMWI_ANSWER_NOTHING},
  [IMAGE] = {.exchange = {.name = "image", .method = "GET", .accept = "Accept: image/png"},
             .path = CAR "/image", .answer = BMWI_ANSWER_PNG},
};
/* clang-format on */

/* ---- the methods of a car ----------------------------------------------------------------- */

static const bmwi_member image_members[] = {
  {.name = "view", .type = BMWI_WORD},
  {.name = "width", .type = BMWI_COUNT, .least = 1, .most = 10000},
  {.name = "height", .type = BMWI_COUNT, .least = 1, .most = 10000},
  {.name = NULL},
};
static const bmwi_schema image = {.members = image_members};

/* The answer to the account's security question, which some accounts require. */
static const bmwi_member unlock_members[] = {
  {.name = "secret", .type = BMWI_LINE, .wire = "bmwSkAnswer"},
  {.name = NULL},
};
static const bmwi_schema unlock = {.members = unlock_members};

/* Undocumented: probably the number of flashes, possibly seconds. */
static const bmwi_member flash_members[] = {
  {.name = "count", .type = BMWI_COUNT, .least = 1, .most = 100},
  {.name = NULL},
};
static const bmwi_schema flash = {.members = flash_members};

static const bmwi_member execute_members[] = {
  {.name = "data", .type = BMWI_DOCUMENT, .part = &profile},
  {.name = NULL},
};
static const bmwi_schema execute = {.members = execute_members, .open = true};

/* clang-format off */
#define READING(NAME, ENDPOINT) {.name = (NAME), .endpoint = &endpoints[ENDPOINT]}
#define COMMAND(NAME, TYPE) \
  {.name = (NAME), .endpoint = &endpoints[EXECUTE], .typed = true, .type = (TYPE)}

static const bmwi_method methods[] = {
  {.name = "status", .endpoint = &endpoints[STATUS], .position = true},
  READING("last_trip", LAST_TRIP),
  READING("all_trips", ALL_TRIPS),
  READING("charging_profile", CHARGING_PROFILE),
  READING("destinations", DESTINATIONS),
  READING("range_map", RANGE_MAP),
  READING("navigation", NAVIGATION),
  {.name = "image", .endpoint = &endpoints[IMAGE], .carrier = BMWI_AS_PAIRS, .optional = true,
   .subject = "image", .schema = &image},
  {.name = "execution", .endpoint = &endpoints[EXECUTION], .typed = true, .kept_secret = true},
  {.name = "execute", .endpoint = &endpoints[EXECUTE], .typed = true, .carrier = BMWI_AS_PAIRS,
   .optional = true, .subject = "execute", .schema = &execute},
  COMMAND("charge_now", "CHARGE_NOW"),
  COMMAND("climate_now", "CLIMATE_NOW"),
  COMMAND("lock_doors", "DOOR_LOCK"),
  COMMAND("blow_horn", "HORN_BLOW"),
  COMMAND("find", "VEHICLE_FINDER"),
  {.name = "unlock_doors", .endpoint = &endpoints[EXECUTE], .typed = true, .type = "DOOR_UNLOCK",
   .carrier = BMWI_AS_PAIRS, .optional = true, .subject = "unlock_doors", .schema = &unlock},
  {.name = "flash_lights", .endpoint = &endpoints[EXECUTE], .typed = true, .type = "LIGHT_FLASH",
   .carrier = BMWI_AS_PAIRS, .optional = true, .subject = "flash_lights", .schema = &flash},
  {.name = "set_charging_profile", .endpoint = &endpoints[EXECUTE], .typed = true,
   .type = "CHARGING_CONTROL", .carrier = BMWI_AS_DOCUMENT, .subject = "charging profile",
   .schema = &profile, .field = "data"},
  {.name = "send_poi", .endpoint = &endpoints[SEND_POI], .carrier = BMWI_AS_DOCUMENT,
   .subject = "point of interest", .schema = &poi, .root = "poi"},
  {.name = NULL},
};
/* clang-format on */

/* ---- failures ----------------------------------------------------------------------------- */

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

/* The code in the body is more precise than the HTTP status, which can be 500 for the caller's
** mistakes: A is the caller's fault, I the server's. */
static void judge(bmwi_failure *failure) {
  if (failure->api_code[0] != 'A') return;
  failure->retryable = false;
  if (strcmp(failure->api_code, "A-2013") == 0) failure->code = BMWI_FORBIDDEN;
  else if (strcmp(failure->api_code, "A-2012") == 0) failure->code = BMWI_NOT_FOUND;
  else if (failure->code == BMWI_SERVER || failure->code == BMWI_UNKNOWN) failure->code = BMWI_HTTP;
}

static void explain(bmwi_failure *failure, bool call) {
  find_api_code(failure->description, failure->api_code, sizeof failure->api_code);
  if (call) judge(failure);
}

static const bmwi_advice advice[] = {
  {"dlat and dlon", BMWI_OK,
   "set the option position = {lat =, lon =} to the car's approximate position"},
  {"secretKnowledge", BMWI_OK, "pass secret = the answer to the account's security question"},
  {"No image available", BMWI_OK, "there is no picture of this view"},
  {"not allowed to use the service", BMWI_OK,
   "this service is not enabled for this car or account"},
  {"invalid_client", BMWI_OK, "check api_key and api_secret (or basic)"},
  {"the log-in is empty", BMWI_JSON,
   "check `base_url` and `token_url`, and api_key and api_secret (or basic)"},
  {"client disabled", BMWI_OK, "this api_key has been disabled; use another one"},
  {"invalid_scope", BMWI_OK, "set the option `scope` to one that this api_key may request"},
  {"locked", BMWI_AUTH, "unlock the account on the service's web site or in its app first"},
  {"authentication failed", BMWI_OK,
   "wrong user name or password, or the token endpoint changed (`token_url`)"},
  {"authN circuit failed", BMWI_OK,
   "wrong user name or password, or the token endpoint changed (`token_url`)"},
  {NULL, BMWI_AUTH, "check username, password, api_key, api_secret and scope"},
  {NULL, BMWI_NOT_FOUND, "not found; check the car's region (`hub` in `client:vehicles()`)"},
  {NULL, BMWI_GONE,
   "the service was switched off (BMW did so on 2021-11-09); set `base_url` to a "
   "server that still provides it"},
  {NULL, BMWI_OK, NULL},
};

/* ---- options and regions ------------------------------------------------------------------ */

#define KEPT(member) .place = BMWI_KEPT(member)

/* clang-format off */
static const bmwi_option options[] = {
  {.name = "api_key", .type = BMWI_OPTION_TEXT, KEPT(api_key), .secret = 8},
  {.name = "api_secret", .type = BMWI_OPTION_TEXT, KEPT(api_secret), .secret = 8},
  {.name = "basic", .type = BMWI_OPTION_TEXT, KEPT(basic), .secret = 4},
  {.name = "navigation_url", .type = BMWI_OPTION_ORIGIN, KEPT(second_url)},
  {.name = "password", .type = BMWI_OPTION_TEXT, KEPT(password), .secret = 4, .any_bytes = true},
  /* The real service accepted `data`; `body` is from the document. */
  {.name = "poi_field", .type = BMWI_OPTION_CHOICE, KEPT(document_field), .text = "data",
   .words = "'data' or 'body'"},
  {.name = "position", .type = BMWI_OPTION_TABLE},
  {.name = "region", .type = BMWI_OPTION_CHOICE, KEPT(region),
   .words = "'rest_of_world', 'usa' or 'china'"},
  {.name = "scope", .type = BMWI_OPTION_TEXT, KEPT(scope), .text = "remote_services vehicle_data"},
  {.name = "token_path", .type = BMWI_OPTION_PATH, KEPT(token_path)},
  {.name = "token_url", .type = BMWI_OPTION_URL, KEPT(token_url)},
  {.name = "username", .type = BMWI_OPTION_TEXT, KEPT(username)},
  {.name = NULL},
};
/* clang-format on */

static const bmwi_region regions[] = {
  {"rest_of_world", "HUB_ECE", "https://b2vapi.bmwgroup.com"},
  {"usa", "HUB_US", "https://b2vapi.bmwgroup.us"},
  {"china", "HUB_CN", "https://b2vapi.bmwgroup.cn:8592"},
  {.name = NULL},
};

static const char *check_login(const bmwi_account *account, bool token) {
  if ((account->username == NULL) != (account->password == NULL))
    return "options 'username' and 'password' must be given together";
  if ((account->api_key == NULL) != (account->api_secret == NULL))
    return "options 'api_key' and 'api_secret' must be given together";
  if (account->basic != NULL && account->api_key != NULL)
    return "options 'basic' and 'api_key' are mutually exclusive";
  if (account->basic != NULL && !bmwi_token_text(account->basic, strlen(account->basic)))
    return "option 'basic': the base64 text of key:secret expected";
  if (account->api_key != NULL && strchr(account->api_key, ':') != NULL)
    return "option 'api_key': it must not contain ':'";
  if (token) return NULL;
  if (account->username == NULL)
    return "a log-in needs the options 'username' and 'password' (or a saved 'token', or a 'store' "
           "that holds one)";
  if (account->basic == NULL && account->api_key == NULL)
    return "a log-in needs the options 'api_key' and 'api_secret' (or 'basic')";
  return NULL;
}

static const char *const arrays[] = {"weekdays", "phoneNumbers", NULL};
static const char *const client_methods[] = {"vehicles", "get", "post", NULL};

const bmwi_service bmwi_classic = {
  .name = "classic",
  .client_type = "bmwi.client",
  .car_type = "bmwi.vehicle",
  .options = options,
  .regions = regions,
  .region_member = "hub",
  .event_member = "eventId",
  .position = {"dlat", "dlon"},
  .vehicles = &endpoints[VEHICLES],
  .token_path = "/webapi/oauth/token/",
  .second_host = "https://www.bmw-connecteddrive.de",
  .secret_field = "bmwSkAnswer=",
  .type_field = "serviceType",
  .methods = methods,
  .arrays = arrays,
  .client_methods = client_methods,
  .lacks = "the classic service does not have this",
  .no_server = "option 'base_url': the server's address is missing (BMW has switched off its own "
               "servers; region = 'rest_of_world', 'usa' or 'china' still selects them)",
  .check_login = check_login,
  .explain = explain,
  .advice = advice,
};
