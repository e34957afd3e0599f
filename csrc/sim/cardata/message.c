#include "message.h"

#include "../text.h"
#include "../world.h"
#include "mqtt.h"
#include "stamp.h"
#include "vehicle.h"

#include <stdlib.h>
#include <string.h>

/* ---- values ---- */

/* The stream has numbers and booleans where REST has strings. */
static json_t *typed(const json_t *value) {
  const char *text = json_string_value(value);
  char *end = NULL;
  if (text == NULL) {
    return json_incref((json_t *)value);
  }
  if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
    return json_boolean(text[0] == 't');
  }
  if (text[0] == '\0' || strspn(text, "-0123456789.") != strlen(text)) {
    return json_string(text);
  }
  double number = strtod(text, &end);
  if (*end != '\0') {
    return json_string(text);
  }
  return strchr(text, '.') != NULL ? json_real(number) : json_integer(strtoll(text, NULL, 10));
}

/* The stream's timestamps have no fraction. */
static json_t *without_fraction(const char *time) {
  struct bytes text = {0};
  size_t length = strcspn(time, ".");
  bytes_add(&text, time, length);
  bytes_text(&text, time[length] == '.' ? "Z" : "");
  json_t *out = json_text(text.at, text.length);
  bytes_free(&text);
  return out;
}

static json_t *streamed_value(const json_t *entry) {
  const char *time = json_word(entry, "timestamp");
  const char *unit = json_word(entry, "unit");
  json_t *out = json_object();
  json_object_set_new(out, "timestamp",
                      time == NULL || json_flag(entry, "now", false) ? stamp_seconds(world_epoch())
                                                                     : without_fraction(time));
  json_object_set_new(out, "value", typed(json_object_get(entry, "value")));
  if (unit != NULL) {
    json_object_set_new(out, "unit", json_string(unit));
  }
  return out;
}

static json_t *streamed_values(const json_t *values) {
  const char *name;
  json_t *entry;
  json_t *out = json_object();
  json_object_foreach((json_t *)values, name, entry) {
    const json_t *value = json_object_get(entry, "value");
    if (value != NULL && !json_is_null(value)) {
      json_object_set_new(out, name, streamed_value(entry));
    }
  }
  return out;
}

/* As given by a test: the value is not converted; the timestamp is given, or follows from `age`. */
static json_t *given_value(const json_t *given, double age) {
  if (!json_is_object(given)) {
    return json_pack("{s:o, s:O}", "timestamp", stamp_seconds(world_epoch() - age), "value", given);
  }
  json_t *out = json_copy((json_t *)given);
  if (json_object_get(out, "timestamp") == NULL) {
    json_object_set_new(out, "timestamp",
                        stamp_seconds(world_epoch() - json_number(given, "age", age)));
  }
  json_object_del(out, "age");
  return out;
}

static json_t *given_values(const json_t *options) {
  const json_t *values = json_object_get(options, "data");
  double age = json_number(options, "age", 0);
  const char *name;
  json_t *given;
  json_t *out = json_object();
  json_object_foreach((json_t *)values, name, given) {
    json_object_set_new(out, name, given_value(given, age));
  }
  return out;
}

/* ---- messages ---- */

struct shape {
  const char *vin;
  const char *topic; /* NULL: the car's */
  size_t pad;
  long times;
  int qos;
  bool retain, dup;
};

static void publish_bytes(const struct shape *shape, const char *payload, size_t length) {
  struct bytes topic = {0};
  if (shape->topic != NULL) {
    bytes_text(&topic, shape->topic);
  } else {
    bytes_format(&topic, "%s/%s", gcid, shape->vin);
  }
  struct message message = {topic.at, payload, length, shape->qos, shape->retain, shape->dup};
  for (long i = 0; i < shape->times; i++) {
    mqtt_publish(&message);
  }
  bytes_free(&topic);
}

/* Spaces before the last brace pad it to the requested length. */
static void publish_data(const struct shape *shape, json_t *data) {
  struct bytes text = {0};
  json_t *all = json_pack("{s:s, s:s, s:s, s:o, s:o}", "vin", shape->vin, "entityId", gcid, "topic",
                          shape->vin, "timestamp", stamp(world_epoch()), "data", data);
  bytes_json(&text, all);
  json_decref(all);
  if (text.length < shape->pad) {
    size_t more = shape->pad - text.length;
    char *spaces = must_alloc(more);
    memset(spaces, ' ', more);
    text.length--;
    bytes_add(&text, spaces, more);
    bytes_text(&text, "}");
    free(spaces);
  }
  publish_bytes(shape, text.at, text.length);
  bytes_free(&text);
}

static void publish_each(const struct shape *shape, json_t *data) {
  const char *name;
  json_t *value;
  json_object_foreach(data, name, value) {
    json_t *one = json_object();
    json_object_set(one, name, value);
    publish_data(shape, one);
  }
  json_decref(data);
}

void message_publish_values(const char *vin, const json_t *values) {
  struct shape shape = {.vin = vin, .times = 1};
  publish_each(&shape, streamed_values(values));
}

void message_publish_recorded(const json_t *line) {
  const char *vin = json_word(line, "vin");
  const json_t *json = json_object_get(line, "payload");
  const json_t *payload = json != NULL ? json : json_object_get(line, "text");
  struct shape shape = {.vin = vin != NULL ? vin : "", .times = 1};
  publish_bytes(&shape, json_string_value(payload), json_string_length(payload));
}

/* ---- what a test publishes ---- */

const char *message_problem(const json_t *options) {
  static const char *const names[] = {"vin",     "data", "all", "each",   "times", "age", "topic",
                                      "payload", "pad",  "qos", "retain", "dup",   NULL};
  double times = json_number(options, "times", 1);
  double pad = json_number(options, "pad", 0);
  double qos = json_number(options, "qos", 0);
  const json_t *data = json_object_get(options, "data");
  const char *problem = unknown_member(options, names);
  if (problem != NULL) {
    return problem;
  }
  if (times < 1 || times > 1e6 || pad < 0 || pad > 8e6 || qos < 0 || qos > 2) {
    return "times, pad or qos is out of range";
  }
  if (data != NULL && !json_is_object(data)) {
    return "data must be an object";
  }
  return data != NULL || json_flag(options, "all", false) || json_word(options, "payload") != NULL
           ? NULL
           : "data, all or payload is missing";
}

void message_publish(const json_t *options) {
  const json_t *payload = json_object_get(options, "payload");
  const char *first;
  vehicle_first(&first);
  struct shape shape = {.vin = json_word(options, "vin"),
                        .topic = json_word(options, "topic"),
                        .pad = (size_t)json_number(options, "pad", 0),
                        .times = (long)json_number(options, "times", 1),
                        .qos = (int)json_number(options, "qos", 0),
                        .retain = json_flag(options, "retain", false),
                        .dup = json_flag(options, "dup", false)};
  shape.vin = shape.vin != NULL ? shape.vin : first != NULL ? first : "";
  if (json_is_string(payload)) {
    publish_bytes(&shape, json_string_value(payload), json_string_length(payload));
    return;
  }
  json_t *data = json_flag(options, "all", false)
                   ? streamed_values(json_object_get(vehicle_find(shape.vin), "telematicData"))
                   : given_values(options);
  if (json_flag(options, "each", false)) {
    publish_each(&shape, data);
  } else {
    publish_data(&shape, data);
  }
}
