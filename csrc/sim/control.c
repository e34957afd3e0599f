/* /_sim: what tests see and change. Unknown members are refused, so that a typo in a test shows. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* NULL: an object with these members only. */
const char *known_members(const json_t *options, const char *const names[]) {
  static char problem[128];
  const char *name;
  json_t *value;
  if (!json_is_object(options)) {
    return "a JSON object is expected";
  }
  json_object_foreach((json_t *)options, name, value) {
    bool known = false;
    for (size_t i = 0; names[i] != NULL; i++) {
      known = known || strcmp(names[i], name) == 0;
    }
    if (!known) {
      snprintf(problem, sizeof problem, "unknown member %.80s", name);
      return problem;
    }
  }
  return NULL;
}

static void finish(struct reply *reply, const char *problem) {
  json_t *out = problem == NULL ? json_pack("{s:b}", "ok", 1)
                                : json_pack("{s:s}", "error", problem);
  reply_json(reply, problem == NULL ? 200 : 400, out);
  json_decref(out);
}

static json_t *read_body(const struct request *request) {
  return json_loadb(request->body.length > 0 ? request->body.at : "", request->body.length, 0,
                    NULL);
}

static void apply(const struct request *request, struct reply *reply,
                  const char *(*change)(const json_t *options)) {
  json_t *body = read_body(request);
  finish(reply, body != NULL ? change(body) : "the body is not JSON");
  json_decref(body);
}

/* A number of the log, from the query: ?after=N or ?until=N. */
static long number_asked(const struct request *request, const char *name, long otherwise) {
  const char *text = field_value(&request->query_fields, name);
  return text != NULL ? strtol(text, NULL, 10) : otherwise;
}

void control_log(struct request *request, struct car *car, struct reply *reply) {
  (void)car;
  reply->status = 200;
  reply->type = "application/json";
  log_json(&reply->body, number_asked(request, "after", 0));
}

void control_log_clear(struct request *request, struct car *car, struct reply *reply) {
  (void)car;
  log_clear(number_asked(request, "until", LONG_MAX));
  finish(reply, NULL);
}

void control_fault(struct request *request, struct car *car, struct reply *reply) {
  (void)car;
  apply(request, reply, fault_add);
}

void control_fault_clear(struct request *request, struct car *car, struct reply *reply) {
  (void)request;
  (void)car;
  fault_clear();
  finish(reply, NULL);
}

void control_token(struct request *request, struct car *car, struct reply *reply) {
  (void)car;
  apply(request, reply, token_control);
}

void control_commands(struct request *request, struct car *car, struct reply *reply) {
  (void)car;
  apply(request, reply, commands_control);
}

static const char *configure(const json_t *options) {
  static const char *const names[] = {"list",      "speed",            "secret_answer",
                                      "poi_field", "navigation_scope", "any_key", NULL};
  const char *problem = known_members(options, names);
  if (problem != NULL) {
    return problem;
  }
  const char *list = json_string_value(json_object_get(options, "list"));
  const char *poi = json_string_value(json_object_get(options, "poi_field"));
  const json_t *speed = json_object_get(options, "speed");
  const json_t *secret = json_object_get(options, "secret_answer");
  const json_t *navigation = json_object_get(options, "navigation_scope");
  const json_t *any_key = json_object_get(options, "any_key");
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
  settings.navigation_scope = navigation != NULL ? json_is_true(navigation)
                                                 : settings.navigation_scope;
  settings.any_key = any_key != NULL ? json_is_true(any_key) : settings.any_key;
  if (secret != NULL) {
    free(settings.secret_answer);
    settings.secret_answer = json_is_string(secret)
        ? must_copy(json_string_value(secret), json_string_length(secret)) : NULL;
  }
  return NULL;
}

void control_config(struct request *request, struct car *car, struct reply *reply) {
  (void)car;
  apply(request, reply, configure);
}

static bool have_car(const struct car *car, struct reply *reply) {
  if (car == NULL) {
    finish(reply, "no car has this VIN");
    reply->status = 404;
  }
  return car != NULL;
}

void control_car(struct request *request, struct car *car, struct reply *reply) {
  (void)request;
  if (have_car(car, reply)) {
    json_t *report = car_report(car);
    reply_json(reply, 200, report);
    json_decref(report);
  }
}

void control_car_change(struct request *request, struct car *car, struct reply *reply) {
  if (have_car(car, reply)) {
    json_t *body = read_body(request);
    finish(reply, body != NULL ? car_change(car, body) : "the body is not JSON");
    json_decref(body);
  }
}

void control_reset(struct request *request, struct car *car, struct reply *reply) {
  (void)request;
  (void)car;
  world_reset();
  finish(reply, NULL);
}

void control_stop(struct request *request, struct car *car, struct reply *reply) {
  (void)car;
  request->stop_when_sent = true;
  finish(reply, NULL);
}
