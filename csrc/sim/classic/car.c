#include "car.h"

#include "data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
  const char *name;     /* in the vehicles file, and the last part of the path */
  const char *envelope; /* NULL: none */
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

/* The server's time zone, not the car's; here it is +0100 all year. */
json_t *server_time(double epoch) { return time_text(epoch, 3600, "+0100"); }

json_t *utc_time(double epoch) { return time_text(epoch, 0, ""); }

const char *answer_name(enum answer which) { return answers[which].name; }

json_t *car_inner(const struct car *car, enum answer which) {
  json_t *whole = car->answers[which];
  return answers[which].envelope != NULL ? json_object_get(whole, answers[which].envelope) : whole;
}

void set_text(json_t *object, const char *name, const char *value) {
  json_object_set_new(object, name, json_string(value));
}

bool is_text(const json_t *object, const char *name, const char *value) {
  const char *text = json_word(object, name);
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

void car_load_answer(struct car *car, enum answer which, json_t *given) {
  json_t *value =
    given != NULL ? json_deep_copy(given) : data_answer(answers[which].name, car->vin);
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
    snprintf(car->vin, sizeof car->vin, "%s", json_word(car->vehicle, "vin"));
    car->events = must_alloc(EVENTS * sizeof *car->events);
    car->pois = json_array();
    car->posts = json_object();
    for (int which = 0; which < ANSWERS; which++) {
      car_load_answer(car, which, json_object_get(car->vehicle, answers[which].name));
      json_object_del(car->vehicle, answers[which].name);
    }
  }
  json_decref(list);
}

void cars_free(void) {
  for (size_t i = 0; i < car_count; i++) {
    struct car *car = &cars[i];
    for (size_t k = 0; k < car->event_count; k++) {
      json_decref(car->events[k].profile);
    }
    free(car->events);
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

struct car *car_at(size_t i) {
  return i < car_count ? &cars[i] : NULL;
}

struct car *car_find(const char *vin) {
  for (size_t i = 0; i < car_count; i++) {
    if (strcmp(cars[i].vin, vin) == 0) {
      return &cars[i];
    }
  }
  return NULL;
}
