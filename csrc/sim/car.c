/* The cars: what each one answers, and its commands, which proceed as time passes. Nothing runs
   in the background: whoever asks for a car first brings it up to the present moment. */
#include "sim.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum answer { STATUS, LAST_TRIP, ALL_TRIPS, PROFILE, DESTINATIONS, RANGE_MAP, NAVIGATION, ANSWERS };

static const struct {
  const char *name;     /* in the vehicles file and at the end of the path */
  const char *envelope; /* NULL: sent as it is */
} answers[ANSWERS] = {
    [STATUS] = {"status", "vehicleStatus"},
    [LAST_TRIP] = {"lastTrip", "lastTrip"},
    [ALL_TRIPS] = {"allTrips", "allTrips"},
    [PROFILE] = {"chargingprofile", NULL},
    [DESTINATIONS] = {"destinations", "destinations"},
    [RANGE_MAP] = {"rangemap", "rangemap"},
    [NAVIGATION] = {"navigation", NULL},
};

enum outcome { EXECUTED, NOT_EXECUTED, TIMED_OUT, NEVER, OUTCOMES };
static const char *const outcomes[OUTCOMES] = {"EXECUTED", "NOT_EXECUTED", "TIMED_OUT", "NEVER"};

enum { STEPS = 3 };
static const char *const steps[STEPS] = {"INITIATED", "PENDING", "DELIVERED"};
static const double step_ends[STEPS] = {1.0, 2.5, 6.0}; /* seconds after the POST at speed 1 */

/* How the commands of one service type go, set on /_sim/commands. */
struct course {
  enum outcome outcome;
  int stuck_at;
  long previous_first;
  long no_status;
  char word[64];
  long word_polls;
};

struct event {
  int service;
  char id[40];
  double posted;
  time_t posted_epoch;
  double ends[STEPS];
  struct course course;
  long polls;
  bool settled;
  bool changed; /* the car's state is another one than before */
  long count;   /* of LIGHT_FLASH, 0: not given */
  json_t *profile;
};

enum { EVENTS = 4096, POIS = 1000 };

struct car {
  json_t *vehicle; /* its entry in the list */
  char vin[64];
  json_t *answers[ANSWERS]; /* with the envelope; null: this car has none */
  struct event *events;     /* oldest first */
  size_t event_count;
  size_t unsettled;
  time_t last_id;
  json_t *pois;
  json_t *posts;
  long flashes, horns, climate_starts, charge_starts, finds;
};

static struct car **cars;
static size_t car_count;

/* ---- time as the service writes it ---- */

static json_t *time_text(double epoch, long offset, const char *zone) {
  char text[64];
  time_t seconds = (time_t)epoch + offset;
  struct tm parts;
  gmtime_r(&seconds, &parts);
  size_t length = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  snprintf(text + length, sizeof text - length, "%s", zone);
  return json_string(text);
}

/* The zone is the server's, not the car's; this server stays on +0100 all year. */
static json_t *server_time(double epoch) {
  return time_text(epoch, 3600, "+0100");
}

/* ---- what a command does to the car once it is executed ---- */

static json_t *inner(const struct car *car, enum answer which) {
  json_t *whole = car->answers[which];
  return answers[which].envelope != NULL ? json_object_get(whole, answers[which].envelope) : whole;
}

static void set_text(json_t *object, const char *name, const char *value) {
  json_object_set_new(object, name, json_string(value));
}

static bool is_text(const json_t *object, const char *name, const char *value) {
  const char *text = json_string_value(json_object_get(object, name));
  return text != NULL && strcmp(text, value) == 0;
}

static bool lock(struct car *car, struct event *event) {
  (void)event;
  set_text(inner(car, STATUS), "doorLockState", "LOCKED");
  set_text(inner(car, STATUS), "updateReason", "DOOR_STATE_CHANGED");
  return true;
}

/* The one recorded answer to an unlocking says "not changed", although the doors opened. */
static bool unlock(struct car *car, struct event *event) {
  (void)event;
  set_text(inner(car, STATUS), "doorLockState", "UNLOCKED");
  set_text(inner(car, STATUS), "updateReason", "DOOR_STATE_CHANGED");
  return false;
}

static bool flash(struct car *car, struct event *event) {
  car->flashes += event->count > 0 ? event->count : 1;
  return true;
}

static bool horn(struct car *car, struct event *event) {
  (void)event;
  car->horns++;
  return true;
}

static bool climate(struct car *car, struct event *event) {
  (void)event;
  car->climate_starts++;
  return true;
}

static bool charge(struct car *car, struct event *event) {
  (void)event;
  json_t *status = inner(car, STATUS);
  car->charge_starts++;
  if (!is_text(status, "connectionStatus", "CONNECTED")) {
    return false;
  }
  set_text(status, "chargingStatus", "CHARGING");
  set_text(status, "updateReason", "CHARGING_STARTED");
  if (json_object_get(status, "chargingTimeRemaining") == NULL) {
    json_object_set_new(status, "chargingTimeRemaining", json_integer(90));
  }
  return true;
}

static bool find(struct car *car, struct event *event) {
  (void)event;
  json_t *position = json_object_get(inner(car, STATUS), "position");
  car->finds++;
  if (!json_is_object(position) || is_text(position, "status", "DRIVER_DISABLED")) {
    return false;
  }
  set_text(position, "status", "OK");
  if (json_object_get(position, "lat") == NULL || json_object_get(position, "lon") == NULL) {
    json_object_set_new(position, "lat", json_real(51.123456));
    json_object_set_new(position, "lon", json_real(-1.2345678));
  }
  return true;
}

static bool set_profile(struct car *car, struct event *event) {
  json_decref(car->answers[PROFILE]);
  car->answers[PROFILE] = json_incref(event->profile);
  return true;
}

/* All service types of the mission document. `member` is the list entry's word on it; chargeNow
   is not used, since it was NOT_SUPPORTED on every recorded car that could charge. */
static const struct {
  const char *name;
  const char *member;
  bool (*effect)(struct car *car, struct event *event);
} services[] = {
    {"CHARGE_NOW", NULL, charge},
    {"CHARGING_CONTROL", "chargingControl", set_profile},
    {"CLIMATE_CONTROL", "climateControl", NULL},
    {"CLIMATE_NOW", "climateNow", climate},
    {"DOOR_LOCK", "doorLock", lock},
    {"DOOR_UNLOCK", "doorUnlock", unlock},
    {"GET_ALL_IMAGES", NULL, NULL},
    {"GET_PASSWORD_RESET_INFO", NULL, NULL},
    {"GET_VEHICLES", NULL, NULL},
    {"GET_VEHICLE_IMAGE", NULL, NULL},
    {"GET_VEHICLE_STATUS", NULL, NULL},
    {"HORN_BLOW", "hornBlow", horn},
    {"LIGHT_FLASH", "lightFlash", flash},
    {"LOCAL_SEARCH", NULL, NULL},
    {"LOCAL_SEARCH_SUGGESTIONS", NULL, NULL},
    {"LOGIN", NULL, NULL},
    {"LOGOUT", NULL, NULL},
    {"SEND_POI_TO_CAR", "sendPoi", NULL},
    {"VEHICLE_FINDER", "vehicleFinder", find},
};
enum { SERVICES = sizeof services / sizeof *services };

static struct course courses[SERVICES];

void commands_reset(void) {
  memset(courses, 0, sizeof courses); /* all zero: executed in time */
}

static int service_number(const char *name) {
  for (int i = 0; i < SERVICES; i++) {
    if (name != NULL && strcmp(services[i].name, name) == 0) {
      return i;
    }
  }
  return -1;
}

/* ---- events over time ---- */

static const char *event_status(const struct event *event, double now) {
  int step = 0;
  while (step < STEPS && now >= event->ends[step]) {
    step++;
  }
  if (event->course.outcome == NEVER && step > event->course.stuck_at) {
    step = event->course.stuck_at;
  }
  return step < STEPS ? steps[step] : outcomes[event->course.outcome];
}

static void take_effect(struct car *car, struct event *event) {
  event->settled = true;
  car->unsettled--;
  if (event->course.outcome != EXECUTED) {
    return;
  }
  event->changed = true;
  json_t *status = inner(car, STATUS);
  if (services[event->service].effect != NULL) {
    event->changed = services[event->service].effect(car, event);
  }
  if (json_is_object(status)) {
    double when = (double)event->posted_epoch + (event->ends[STEPS - 1] - event->posted);
    json_object_set_new(status, "updateTime", server_time(when));
    json_object_set_new(status, "internalDataTimeUTC", time_text(when, 0, ""));
  }
}

/* Brings the car up to now: what is due happens, in the order in which it was due. */
static void settle(struct car *car) {
  double now = world_now();
  while (car->unsettled > 0) {
    struct event *due = NULL;
    for (size_t i = 0; i < car->event_count; i++) {
      struct event *event = &car->events[i];
      if (!event->settled && event->ends[STEPS - 1] <= now &&
          (due == NULL || event->ends[STEPS - 1] < due->ends[STEPS - 1])) {
        due = event;
      }
    }
    if (due == NULL) {
      break;
    }
    take_effect(car, due);
  }
}

static void make_id(struct car *car, time_t epoch, char *out, size_t room) {
  const time_t year_2000 = 946684800;
  time_t seconds = epoch - year_2000;
  /* The recorded form tells only seconds; a later one is taken so that no two are alike. */
  seconds = seconds <= car->last_id ? car->last_id + 1 : seconds;
  car->last_id = seconds;
  size_t length = strlen(car->vin);
  const char *tail = car->vin + (length > 7 ? length - 7 : 0);
  size_t used = 0;
  for (; *tail != '\0'; tail++) {
    used += (size_t)snprintf(out + used, room - used, "%02X", (unsigned char)*tail);
  }
  snprintf(out + used, room - used, "%08lX00@bmw.de", (unsigned long)seconds & 0xFFFFFFFFUL);
}

static struct event *add_event(struct car *car, int service) {
  if (car->event_count == EVENTS) { /* forget the older half */
    for (size_t i = 0; i < EVENTS / 2; i++) {
      car->unsettled -= !car->events[i].settled;
      json_decref(car->events[i].profile);
    }
    memmove(car->events, car->events + EVENTS / 2, EVENTS / 2 * sizeof *car->events);
    car->event_count = EVENTS / 2;
  }
  struct event *event = &car->events[car->event_count++];
  memset(event, 0, sizeof *event);
  event->service = service;
  event->course = courses[service];
  event->posted = world_now();
  event->posted_epoch = (time_t)world_epoch();
  for (int i = 0; i < STEPS; i++) {
    event->ends[i] = event->posted + step_ends[i] / settings.speed;
  }
  make_id(car, event->posted_epoch, event->id, sizeof event->id);
  car->unsettled++;
  const char *name = services[service].name;
  json_int_t posts = json_integer_value(json_object_get(car->posts, name));
  json_object_set_new(car->posts, name, json_integer(posts + 1));
  return event;
}

static struct event *last_event(struct car *car, int service) {
  for (size_t i = car->event_count; i > 0; i--) {
    if (car->events[i - 1].service == service) {
      return &car->events[i - 1];
    }
  }
  return NULL;
}

/* ---- loading ---- */

static json_t *wrap(enum answer which, json_t *value) {
  const char *envelope = answers[which].envelope;
  if (json_is_null(value) || envelope == NULL || json_object_get(value, envelope) != NULL) {
    return json_incref(value);
  }
  return json_pack("{s:O}", envelope, value);
}

static void load_answer(struct car *car, enum answer which, json_t *given) {
  json_t *value = given != NULL ? json_deep_copy(given)
                                : data_answer(answers[which].name, car->vin);
  json_decref(car->answers[which]);
  car->answers[which] = wrap(which, value);
  json_decref(value);
}

void cars_load(const json_t *vehicles) {
  json_t *list = vehicles != NULL ? json_deep_copy(vehicles) : data_vehicles();
  car_count = json_array_size(list);
  cars = must_alloc(car_count * sizeof *cars);
  for (size_t i = 0; i < car_count; i++) {
    struct car *car = must_alloc(sizeof *car);
    cars[i] = car;
    car->vehicle = json_incref(json_array_get(list, i));
    snprintf(car->vin, sizeof car->vin, "%s",
             json_string_value(json_object_get(car->vehicle, "vin")));
    car->events = must_alloc(EVENTS * sizeof *car->events);
    car->pois = json_array();
    car->posts = json_object();
    for (int which = 0; which < ANSWERS; which++) {
      load_answer(car, which, json_object_get(car->vehicle, answers[which].name));
      json_object_del(car->vehicle, answers[which].name);
    }
  }
  json_decref(list);
}

void cars_free(void) {
  for (size_t i = 0; i < car_count; i++) {
    struct car *car = cars[i];
    for (size_t k = 0; k < car->event_count; k++) {
      json_decref(car->events[k].profile);
    }
    for (int which = 0; which < ANSWERS; which++) {
      json_decref(car->answers[which]);
    }
    json_decref(car->vehicle);
    json_decref(car->pois);
    json_decref(car->posts);
    free(car->events);
    free(car);
  }
  free(cars);
  cars = NULL;
  car_count = 0;
}

struct car *car_find(const char *vin) {
  for (size_t i = 0; i < car_count; i++) {
    if (strcmp(cars[i]->vin, vin) == 0) {
      settle(cars[i]);
      return cars[i];
    }
  }
  return NULL;
}

/* ---- answers ---- */

void car_list(struct request *request, struct car *car, struct reply *reply) {
  (void)request;
  (void)car;
  json_t *list = json_array();
  for (size_t i = 0; i < car_count; i++) {
    json_array_append(list, cars[i]->vehicle);
  }
  if (settings.list_array) {
    reply_json(reply, 200, list);
  } else {
    reply_wrapped(reply, "vehicles", list);
  }
  json_decref(list);
}

void car_one(struct request *request, struct car *car, struct reply *reply) {
  (void)request;
  reply_wrapped(reply, "vehicle", car->vehicle);
}

static bool read_degrees(const char *text, double most) {
  char *end;
  double value = strtod(text, &end);
  return end != text && *end == '\0' && value >= -most && value <= most;
}

/* Every BMW but the i3 and the i8 is asked where the asker is. */
static bool position_good(const struct request *request, const struct car *car,
                          struct reply *reply) {
  const json_t *body = json_object_get(car->vehicle, "bodytype");
  const char *type = json_is_string(body) ? json_string_value(body) : "";
  bool i_car = strcmp(type, "I01") == 0 || strcmp(type, "I12") == 0 || strcmp(type, "I15") == 0;
  const char *lat = field_value(&request->query_fields, "dlat");
  const char *lon = field_value(&request->query_fields, "dlon");
  if (i_car) {
    return true;
  }
  if (lat == NULL || lon == NULL || lat[0] == '\0' || lon[0] == '\0') {
    recorded_reply(reply, "dlat_missing", "");
  } else if (!read_degrees(lat, 90) || !read_degrees(lon, 180)) {
    recorded_reply(reply, "bad_parameter", "dlat, dlon");
  } else {
    return true;
  }
  return false;
}

void car_answer(struct request *request, struct car *car, struct reply *reply) {
  const char *end = strrchr(request->path, '/');
  int which = NAVIGATION;
  for (int i = 0; i < NAVIGATION; i++) {
    which = strcmp(answers[i].name, end + 1) == 0 ? i : which;
  }
  if (which == NAVIGATION && !settings.navigation_scope) {
    reply->status = 403;
  } else if (which == STATUS && !position_good(request, car, reply)) {
    return;
  } else if (json_is_null(car->answers[which])) {
    recorded_reply(reply, "no_status", car->vin);
  } else {
    reply_json(reply, 200, car->answers[which]);
  }
}

/* ---- commands ---- */

static json_t *execution(const struct event *event, const char *status) {
  const char *name = services[event->service].name;
  json_t *out = json_pack("{s:s}", "serviceType", name);
  if (status != NULL) {
    set_text(out, "status", status);
  }
  set_text(out, "eventId", event->id);
  return out;
}

/* What the recorded answers carried beside the status. */
static void add_extended(json_t *out, const struct event *event, const char *status) {
  json_t *extended;
  if (status == NULL || strcmp(status, "INITIATED") == 0) {
    return;
  }
  if (strcmp(status, "EXECUTED") != 0 && strcmp(status, "NOT_EXECUTED") != 0) {
    extended = json_pack("{s:s}", "result", "STATUS_UNKNOWN");
  } else if (strcmp(services[event->service].name, "DOOR_UNLOCK") == 0) {
    extended = json_pack("{s:s, s:s, s:s}", "newDoorStatus", "INVALID", "oldDoorStatus", "INVALID",
                         "result", "STATUS_NOT_CHANGED");
  } else {
    extended = json_pack("{s:s, s:s}", "result",
                         event->changed ? "STATUS_CHANGED" : "STATUS_NOT_CHANGED",
                         "ignitionOnStatus", "false");
  }
  json_object_set_new(out, "extendedStatus", extended);
}

static bool allowed(const struct car *car, int service, struct reply *reply) {
  if (services[service].member != NULL &&
      is_text(car->vehicle, services[service].member, "NOT_SUPPORTED")) {
    recorded_reply(reply, "service_forbidden", services[service].name);
    return false;
  }
  return true;
}

static bool is_time(const json_t *value) {
  const char *text = json_string_value(value);
  return text != NULL && strlen(text) == 5 && isdigit((unsigned char)text[0]) &&
         isdigit((unsigned char)text[1]) && text[2] == ':' && isdigit((unsigned char)text[3]) &&
         isdigit((unsigned char)text[4]) && strncmp(text, "24", 2) < 0 && text[3] < '6';
}

/* Wherever these members stand, they must have the recorded type; `{}` for an empty list of
   weekdays is the classic mistake. */
static bool timers_good(const json_t *planner) {
  static const char *const days[] = {"MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY",
                                     "FRIDAY", "SATURDAY", "SUNDAY"};
  const char *name;
  json_t *part;
  json_object_foreach((json_t *)planner, name, part) {
    const char *member;
    json_t *value;
    json_object_foreach(part, member, value) {
      if (strcmp(member, "weekdays") == 0 && !json_is_array(value)) {
        return false;
      }
      if (strstr(member, "Time") != NULL && !is_time(value)) {
        return false;
      }
      if (strstr(member, "nabled") != NULL && !json_is_boolean(value)) {
        return false;
      }
      for (size_t i = 0; json_is_array(value) && i < json_array_size(value); i++) {
        const char *day = json_string_value(json_array_get(value, i));
        bool known = false;
        for (size_t k = 0; day != NULL && k < sizeof days / sizeof *days; k++) {
          known = known || strcmp(days[k], day) == 0;
        }
        if (!known) {
          return false;
        }
      }
    }
  }
  return true;
}

static json_t *read_profile(const struct field *data) {
  json_t *profile = data != NULL ? json_loadb(data->value, data->length, 0, NULL) : NULL;
  const json_t *weekly = json_object_get(profile, "weeklyPlanner");
  const json_t *two = json_object_get(profile, "twoTimesTimer");
  const json_t *planner = weekly != NULL ? weekly : two;
  if (!json_is_object(planner) || (weekly != NULL && two != NULL) || !timers_good(planner)) {
    json_decref(profile);
    return NULL;
  }
  return profile;
}

void car_execute(struct request *request, struct car *car, struct reply *reply) {
  const char *type = field_value(&request->form, "serviceType");
  int service = service_number(type);
  if (type == NULL || type[0] == '\0') {
    recorded_reply(reply, "missing_parameter", "serviceType");
    return;
  }
  if (service < 0) {
    struct bytes text = {0};
    bytes_format(&text, "unknown serviceType %.100s", type);
    recorded_reply(reply, "missing_parameter", text.at);
    bytes_free(&text);
    return;
  }
  if (!allowed(car, service, reply)) {
    return;
  }
  if (services[service].effect == unlock && settings.secret_answer != NULL) {
    const char *answer = field_value(&request->form, "bmwSkAnswer");
    if (answer == NULL || strcmp(answer, settings.secret_answer) != 0) {
      recorded_reply(reply, answer == NULL || answer[0] == '\0' ? "secret_missing" : "secret_wrong",
                     "");
      return;
    }
  }
  long count = 0;
  const char *count_text = field_value(&request->form, "count");
  if (count_text != NULL) {
    char *end;
    count = strtol(count_text, &end, 10);
    if (end == count_text || *end != '\0' || count < 1 || count > 1000) {
      recorded_reply(reply, "bad_parameter", "count");
      return;
    }
  }
  json_t *profile = NULL;
  if (services[service].effect == set_profile) {
    profile = read_profile(field_find(&request->form, "data"));
    if (profile == NULL) {
      recorded_reply(reply, "bad_profile", "");
      return;
    }
  }
  struct event *event = add_event(car, service);
  event->count = count;
  event->profile = profile;
  json_t *out = execution(event, "INITIATED");
  reply_wrapped(reply, "executionStatus", out);
  json_decref(out);
}

/* The status of the last event of this type, which need not be the one asked about. */
void car_execution(struct request *request, struct car *car, struct reply *reply) {
  const char *type = field_value(&request->query_fields, "serviceType");
  int service = service_number(type);
  if (service < 0) {
    recorded_reply(reply, "missing_parameter", "serviceType");
    return;
  }
  struct event *event = last_event(car, service);
  if (event == NULL) {
    recorded_reply(reply, "no_execution", car->vin);
    return;
  }
  long poll = event->polls++;
  const struct course *course = &event->course;
  const char *status = event_status(event, world_now());
  json_t *out;
  if (poll < course->previous_first) {
    struct event *before = NULL;
    for (struct event *at = event; at > car->events && before == NULL;) {
      at--;
      before = at->service == service ? at : NULL;
    }
    struct event earlier = *event;
    if (before == NULL) { /* there was none: one of an hour ago is made up */
      struct car other = *car;
      other.last_id = 0;
      make_id(&other, event->posted_epoch - 3600, earlier.id, sizeof earlier.id);
      earlier.changed = true;
      before = &earlier;
      status = "EXECUTED";
    } else {
      status = event_status(before, world_now());
    }
    out = execution(before, status);
    add_extended(out, before, status);
  } else {
    poll -= course->previous_first;
    bool missing = poll < course->no_status;
    poll -= missing ? 0 : course->no_status;
    status = missing ? NULL : poll < course->word_polls ? course->word : status;
    out = execution(event, status);
    add_extended(out, event, status);
  }
  reply_wrapped(reply, "executionStatus", out);
  json_decref(out);
}

/* The history has words of its own: it knows no DELIVERED and no TIMED_OUT. */
void car_history(struct request *request, struct car *car, struct reply *reply) {
  (void)request;
  json_t *list = json_array();
  for (size_t i = car->event_count; i > 0; i--) {
    const struct event *event = &car->events[i - 1];
    const char *status = event_status(event, world_now());
    status = strcmp(status, "DELIVERED") == 0 ? "PENDING"
           : strcmp(status, "TIMED_OUT") == 0 ? "ERROR" : status;
    json_array_append_new(
        list, json_pack("{s:o, s:s, s:s, s:s, s:s}", "initiatedAt",
                        server_time((double)event->posted_epoch), "serviceType",
                        services[event->service].name, "status", status, "client", "SmartPhone",
                        "eventId", event->id));
  }
  reply_wrapped(reply, "serviceExecutionHistory", list);
  json_decref(list);
}

const char *commands_control(const json_t *options) {
  static const char *const names[] = {"service",   "outcome", "stuck_at",   "previous_first",
                                      "no_status", "word",    "word_polls", NULL};
  const char *problem = known_members(options, names);
  if (problem != NULL) {
    return problem;
  }
  const char *service = json_string_value(json_object_get(options, "service"));
  const char *outcome = json_string_value(json_object_get(options, "outcome"));
  const char *stuck_at = json_string_value(json_object_get(options, "stuck_at"));
  const char *word = json_string_value(json_object_get(options, "word"));
  const json_t *word_polls = json_object_get(options, "word_polls");
  struct course course = {.stuck_at = STEPS - 1, .outcome = OUTCOMES};
  bool all = service != NULL && strcmp(service, "*") == 0;
  int number = service_number(service);
  if (!all && number < 0) {
    return "service must be a service type or *";
  }
  for (int i = 0; i < OUTCOMES; i++) {
    course.outcome = strcmp(outcome != NULL ? outcome : "EXECUTED", outcomes[i]) == 0
                         ? (enum outcome)i : course.outcome;
  }
  if (course.outcome == OUTCOMES) {
    return "outcome must be EXECUTED, NOT_EXECUTED, TIMED_OUT or NEVER";
  }
  if (stuck_at != NULL) {
    course.stuck_at = -1;
    for (int i = 0; i < STEPS; i++) {
      course.stuck_at = strcmp(stuck_at, steps[i]) == 0 ? i : course.stuck_at;
    }
    if (course.stuck_at < 0) {
      return "stuck_at must be INITIATED, PENDING or DELIVERED";
    }
  }
  if (word != NULL) {
    snprintf(course.word, sizeof course.word, "%s", word);
    course.word_polls = word_polls != NULL ? (long)json_integer_value(word_polls) : 1;
  }
  course.previous_first = (long)json_integer_value(json_object_get(options, "previous_first"));
  course.no_status = (long)json_integer_value(json_object_get(options, "no_status"));
  for (int i = 0; i < SERVICES; i++) {
    if (all || i == number) {
      courses[i] = course;
    }
  }
  return NULL;
}

/* ---- points of interest ---- */

/* A number or its text, as both were sent by working clients; NULL: neither. */
static json_t *degrees(const json_t *value, double most) {
  if (json_is_number(value)) {
    double number = json_number_value(value);
    return number >= -most && number <= most ? json_real(number) : NULL;
  }
  if (json_is_string(value) && read_degrees(json_string_value(value), most)) {
    return json_real(strtod(json_string_value(value), NULL));
  }
  return NULL;
}

static void add_destination(struct car *car, const json_t *poi, json_t *lat, json_t *lon) {
  static const char *const copied[] = {"country", "city", "street"};
  json_t *list = inner(car, DESTINATIONS);
  json_t *entry = json_pack("{s:O, s:O}", "lat", lat, "lon", lon);
  for (size_t i = 0; i < sizeof copied / sizeof *copied; i++) {
    json_t *value = json_object_get(poi, copied[i]);
    if (json_is_string(value)) {
      json_object_set(entry, copied[i], value);
    }
  }
  set_text(entry, "type", "DESTINATION");
  json_object_set_new(entry, "createdAt", server_time(world_epoch()));
  json_array_insert_new(list, 0, entry);
  while (json_array_size(list) > POIS) {
    json_array_remove(list, json_array_size(list) - 1);
  }
}

void car_poi(struct request *request, struct car *car, struct reply *reply) {
  const struct field *data = field_find(&request->form, "data");
  if (data == NULL && settings.poi_body) {
    data = field_find(&request->form, "body");
  }
  if (!allowed(car, service_number("SEND_POI_TO_CAR"), reply)) {
    return;
  }
  json_t *sent = data != NULL ? json_loadb(data->value, data->length, 0, NULL) : NULL;
  json_t *poi = json_object_get(sent, "poi");
  if (!json_is_object(poi)) {
    recorded_reply(reply, "poi_invalid", "");
    json_decref(sent);
    return;
  }
  const json_t *lat_sent = json_object_get(poi, "lat");
  const json_t *lon_sent = json_object_get(poi, "lon");
  json_t *lat = degrees(lat_sent, 90);
  json_t *lon = degrees(lon_sent, 180);
  /* Without both it is a text message to the car; with one alone, or out of range, an error. */
  if ((lat_sent != NULL || lon_sent != NULL) && (lat == NULL || lon == NULL)) {
    recorded_reply(reply, "bad_parameter", lat == NULL ? "lat" : "lon");
  } else {
    if (lat != NULL && lon != NULL) {
      add_destination(car, poi, lat, lon);
    }
    json_array_append(car->pois, poi);
    if (json_array_size(car->pois) > POIS) {
      json_array_remove(car->pois, 0);
    }
    reply->status = 204;
    reply->type = "text/plain";
  }
  json_decref(lat);
  json_decref(lon);
  json_decref(sent);
}

/* ---- /_sim/car ---- */

json_t *car_report(struct car *car) {
  json_t *executions = json_array();
  for (size_t i = 0; i < car->event_count; i++) {
    const struct event *event = &car->events[i];
    json_t *entry = execution(event, event_status(event, world_now()));
    if (event->count > 0) {
      json_object_set_new(entry, "count", json_integer(event->count));
    }
    json_array_append_new(executions, entry);
  }
  json_t *out = json_pack("{s:s, s:o, s:O, s:O, s:O, s:O}", "vin", car->vin, "executions",
                          executions, "posts", car->posts, "pois", car->pois, "profile",
                          car->answers[PROFILE], "vehicle", car->vehicle);
  json_t *status = inner(car, STATUS);
  json_t *list = inner(car, DESTINATIONS);
  json_t *doors = json_object_get(status, "doorLockState");
  if (doors != NULL) {
    json_object_set(out, "doors", doors);
  }
  if (status != NULL) {
    json_object_set(out, "status", status);
  }
  if (list != NULL) {
    json_object_set(out, "destinations", list);
  }
  json_object_set_new(out, "flashes", json_integer(car->flashes));
  json_object_set_new(out, "horns", json_integer(car->horns));
  json_object_set_new(out, "climate_starts", json_integer(car->climate_starts));
  json_object_set_new(out, "charge_starts", json_integer(car->charge_starts));
  json_object_set_new(out, "finds", json_integer(car->finds));
  return out;
}

/* Members are set one by one; null takes a member away. */
static void merge(json_t *into, const json_t *changes) {
  const char *name;
  json_t *value;
  json_object_foreach((json_t *)changes, name, value) {
    if (json_is_null(value)) {
      json_object_del(into, name);
    } else {
      json_t *copied = json_deep_copy(value);
      json_object_set_new(into, name, copied);
    }
  }
}

const char *car_change(struct car *car, const json_t *changes) {
  static const char *const names[] = {"vehicle", "status", "lastTrip", "allTrips",
                                      "chargingprofile", "destinations", "rangemap", "navigation",
                                      NULL};
  const char *problem = known_members(changes, names);
  if (problem != NULL) {
    return problem;
  }
  merge(car->vehicle, json_object_get(changes, "vehicle"));
  for (int which = 0; which < ANSWERS; which++) {
    json_t *value = json_object_get(changes, answers[which].name);
    json_t *status = inner(car, STATUS);
    if (which == STATUS && json_is_object(value) && json_is_object(status)) {
      merge(status, value);
    } else if (value != NULL) {
      load_answer(car, which, value);
    }
  }
  return NULL;
}
