#include "settings.h"

#include "../replay.h"
#include "../world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct settings settings;

static struct settings given = {.poi_body = true, .navigation_scope = true};
static const char *vehicles_file;
static json_t *vehicles;

/* ---- the command line ---- */

static const char *set_list(const char *value) {
  given.list_array = strcmp(value, "array") == 0;
  return given.list_array || strcmp(value, "object") == 0 ? NULL : "array or object";
}

static const char *set_vehicles(const char *value) {
  vehicles_file = value;
  return NULL;
}

static const char *set_any_key(const char *value) {
  (void)value;
  given.any_key = true;
  return NULL;
}

const struct option settings_options[] = {
  {"--list", "FORM", "form of the vehicle list: array or object (default object, as recorded)",
   set_list},
  {"--vehicles", "FILE",
   "other cars: a JSON array of list entries, each may contain status,\n"
   "                       lastTrip, allTrips, chargingprofile, rangemap, destinations,\n"
   "                       navigation (null: this car has none)",
   set_vehicles},
  {"--any-key", NULL, "accept any API key: old clients have their own built in", set_any_key},
  {0},
};

static json_t *read_vehicles(const char *file) {
  json_error_t error;
  json_t *read = json_load_file(file, 0, &error);
  if (read == NULL) {
    if (error.line > 0) {
      fprintf(stderr, "bmwi-sim: %s: line %d: %s\n", file, error.line, error.text);
    } else {
      fprintf(stderr, "bmwi-sim: %s\n", error.text);
    }
    return NULL;
  }
  json_t *list = json_is_object(read) ? json_object_get(read, "vehicles") : read;
  bool good = json_is_array(list);
  for (size_t i = 0; good && i < json_array_size(list); i++) {
    const char *vin = json_word(json_array_get(list, i), "vin");
    good = vin != NULL && vin[0] != '\0' && strlen(vin) < 64;
  }
  if (!good) {
    fprintf(stderr, "bmwi-sim: %s: a JSON array of vehicles is expected, each with a vin\n", file);
    list = NULL;
  }
  json_incref(list);
  json_decref(read);
  return list;
}

/* What a path has after the part in front of the VIN, or NULL. */
static const char *vin_in(const char *path) {
  static const char *const roots[] = {"/webapi/v1/user/vehicles/", "/api/vehicle/navigation/v1/"};
  for (size_t i = 0; path != NULL && i < sizeof roots / sizeof *roots; i++) {
    if (strncmp(path, roots[i], strlen(roots[i])) == 0) {
      return path + strlen(roots[i]);
    }
  }
  return NULL;
}

/* The cars that occur in the recording; NULL: there is no recording. */
static json_t *recorded_vehicles(void) {
  size_t i;
  json_t *line;
  const json_t *lines = replay_lines("classic");
  json_t *seen = json_object();
  json_array_foreach(lines, i, line) {
    const char *vin = vin_in(json_word(line, "path"));
    if (vin != NULL) {
      char *name = must_copy(vin, strcspn(vin, "/?"));
      json_object_set_new(seen, name, json_true());
      free(name);
    }
  }
  json_t *list = lines != NULL ? json_array() : NULL;
  const char *vin;
  json_object_foreach(seen, vin, line) {
    if (vin[0] != '\0' && strlen(vin) < 64) {
      json_array_append_new(list, json_pack("{s:s}", "vin", vin));
    }
  }
  json_decref(seen);
  return list;
}

bool settings_start(void) {
  vehicles = vehicles_file != NULL ? read_vehicles(vehicles_file) : recorded_vehicles();
  return vehicles_file == NULL || vehicles != NULL;
}

const json_t *settings_vehicles(void) { return vehicles; }

void settings_reset(void) {
  free(settings.secret_answer);
  settings = given;
  settings.speed = world_speed();
}

void settings_end(void) {
  settings_reset();
  json_decref(vehicles);
}

/* ---- while it runs ---- */

const char *settings_control(const json_t *options) {
  static const char *const names[] = {
    "list", "speed", "secret_answer", "poi_field", "navigation_scope", "any_key", NULL};
  const char *problem = unknown_member(options, names);
  if (problem != NULL) {
    return problem;
  }
  const char *list = json_word(options, "list");
  const char *poi = json_word(options, "poi_field");
  const json_t *speed = json_object_get(options, "speed");
  const json_t *secret = json_object_get(options, "secret_answer");
  if (list != NULL && strcmp(list, "array") != 0 && strcmp(list, "object") != 0) {
    return "list must be array or object";
  }
  if (poi != NULL && strcmp(poi, "both") != 0 && strcmp(poi, "data") != 0) {
    return "poi_field must be both or data";
  }
  if (speed != NULL && !(json_number_value(speed) > 0 && json_number_value(speed) <= 1e6)) {
    return "speed must be a number above 0";
  }
  settings.list_array = list != NULL ? strcmp(list, "array") == 0 : settings.list_array;
  settings.poi_body = poi != NULL ? strcmp(poi, "both") == 0 : settings.poi_body;
  settings.speed = speed != NULL ? json_number_value(speed) : settings.speed;
  settings.navigation_scope = json_flag(options, "navigation_scope", settings.navigation_scope);
  settings.any_key = json_flag(options, "any_key", settings.any_key);
  if (secret != NULL) {
    free(settings.secret_answer);
    settings.secret_answer = json_is_string(secret)
                               ? must_copy(json_string_value(secret), json_string_length(secret))
                               : NULL;
  }
  return NULL;
}
