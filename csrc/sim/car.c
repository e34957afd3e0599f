/* The cars: which there are, what each one answers, and what tests see and change of them. */
#include "car.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static struct car *cars;
static size_t car_count;

/* ---- small parts ---- */

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
json_t *server_time(double epoch) {
  return time_text(epoch, 3600, "+0100");
}

json_t *utc_time(double epoch) {
  return time_text(epoch, 0, "");
}

json_t *car_inner(const struct car *car, enum answer which) {
  json_t *whole = car->answers[which];
  return answers[which].envelope != NULL ? json_object_get(whole, answers[which].envelope) : whole;
}

void set_text(json_t *object, const char *name, const char *value) {
  json_object_set_new(object, name, json_string(value));
}

bool is_text(const json_t *object, const char *name, const char *value) {
  const char *text = json_string_value(json_object_get(object, name));
  return text != NULL && strcmp(text, value) == 0;
}

bool read_degrees(const char *text, double most) {
  char *end;
  double value = strtod(text, &end);
  return end != text && *end == '\0' && value >= -most && value <= most;
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
    struct car *car = &cars[i];
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
    struct car *car = &cars[i];
    commands_free(car);
    for (int which = 0; which < ANSWERS; which++) {
      json_decref(car->answers[which]);
    }
    json_decref(car->vehicle);
    json_decref(car->pois);
    json_decref(car->posts);
  }
  free(cars);
  cars = NULL;
  car_count = 0;
}

struct car *car_find(const char *vin) {
  for (size_t i = 0; i < car_count; i++) {
    if (strcmp(cars[i].vin, vin) == 0) {
      commands_settle(&cars[i]);
      return &cars[i];
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
    json_array_append(list, cars[i].vehicle);
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

/* ---- /_sim/car ---- */

json_t *car_report(struct car *car) {
  json_t *out = json_pack("{s:s, s:o, s:O, s:O, s:O, s:O}", "vin", car->vin, "executions",
                          commands_report(car), "posts", car->posts, "pois", car->pois, "profile",
                          car->answers[PROFILE], "vehicle", car->vehicle);
  json_t *status = car_inner(car, STATUS);
  json_t *list = car_inner(car, DESTINATIONS);
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
    json_t *status = car_inner(car, STATUS);
    if (which == STATUS && json_is_object(value) && json_is_object(status)) {
      merge(status, value);
    } else if (value != NULL) {
      load_answer(car, which, value);
    }
  }
  return NULL;
}
