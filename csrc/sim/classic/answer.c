#include "answer.h"

#include "command.h"
#include "errors.h"
#include "settings.h"

#include <string.h>

void answer_list(struct request *request, struct reply *reply) {
  (void)request;
  json_t *list = json_array();
  for (size_t i = 0; car_at(i) != NULL; i++) {
    json_array_append(list, car_at(i)->vehicle);
  }
  reply_new(reply, 200, settings.list_array ? list : json_pack("{s:o}", "vehicles", list));
}

void answer_vehicle(struct request *request, struct reply *reply) {
  const struct car *car = request->subject;
  reply_new(reply, 200, json_pack("{s:O}", "vehicle", car->vehicle));
}

/* Every BMW except i3 and i8 requires the user's position. */
static bool position_good(const struct request *request, const struct car *car,
                          struct reply *reply) {
  const json_t *body = json_object_get(car->vehicle, "bodytype");
  const char *type = json_is_string(body) ? json_string_value(body) : "";
  bool i_car = strcmp(type, "I01") == 0 || strcmp(type, "I12") == 0 || strcmp(type, "I15") == 0;
  const char *lat = query_value(request, "dlat");
  const char *lon = query_value(request, "dlon");
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

void answer_car(struct request *request, struct reply *reply) {
  const struct car *car = request->subject;
  const char *end = strrchr(request->path, '/');
  int which = NAVIGATION;
  for (int i = 0; i < NAVIGATION; i++) {
    which = strcmp(answer_name((enum answer)i), end + 1) == 0 ? i : which;
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

void answer_report(struct request *request, struct reply *reply) {
  const struct car *car = request->subject;
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
  reply_new(reply, 200, out);
}

/* Members are set one by one; null removes a member. */
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

static const char *change(struct car *car, const json_t *changes) {
  static const char *const names[] = {"vehicle",  "status",          "lastTrip",
                                      "allTrips", "chargingprofile", "destinations",
                                      "rangemap", "navigation",      NULL};
  const char *problem = unknown_member(changes, names);
  if (problem != NULL) {
    return problem;
  }
  merge(car->vehicle, json_object_get(changes, "vehicle"));
  for (int i = 0; i < ANSWERS; i++) {
    enum answer which = (enum answer)i;
    json_t *value = json_object_get(changes, answer_name(which));
    json_t *inner = car_inner(car, which);
    if ((which == STATUS || which == LAST_TRIP) && json_is_object(value) && json_is_object(inner)) {
      merge(inner, value);
    } else if (value != NULL) {
      car_load_answer(car, which, value);
    }
  }
  return NULL;
}

void answer_change(struct request *request, struct reply *reply) {
  json_t *body = request_json(request);
  reply_done(reply, body != NULL ? change(request->subject, body) : "the body is not JSON");
  json_decref(body);
}
