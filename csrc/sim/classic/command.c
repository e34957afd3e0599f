#include "command.h"

#include "../world.h"
#include "errors.h"
#include "profile.h"
#include "settings.h"
#include "types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const outcomes[OUTCOMES] = {"EXECUTED", "NOT_EXECUTED", "TIMED_OUT", "NEVER"};
static const char *const steps[STEPS] = {"INITIATED", "PENDING", "DELIVERED"};
static const double step_ends[STEPS] = {1.0, 2.5, 6.0}; /* seconds after the POST at speed 1 */

static struct course courses[TYPES];

void commands_reset(void) {
  memset(courses, 0, sizeof courses); /* all zeros: every command is executed */
}

/* ---- events ---- */

static const char *event_status(const struct event *event, double now) {
  int step = 0;
  while (step < STEPS && now >= event->ends[step]) {
    step++;
  }
  if (step == STEPS && !event->settled) {
    step--; /* due since commands_settle ran; the next request settles it */
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
  json_t *status = car_inner(car, STATUS);
  if (service_types[event->type].effect != NULL) {
    event->changed = service_types[event->type].effect(car, event);
  }
  if (json_is_object(status)) {
    double when = (double)event->posted_epoch + (event->ends[STEPS - 1] - event->posted);
    json_object_set_new(status, "updateTime", server_time(when));
    json_object_set_new(status, "internalDataTimeUTC", utc_time(when));
  }
}

/* Settles all commands that are due, in order of time. */
void commands_settle(struct car *car) {
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

/* As recorded, in hexadecimal: the VIN's last seven characters, the seconds since 2000, and 00. */
static void make_id(const char *vin, time_t epoch, char *out, size_t room) {
  const time_t year_2000 = 946684800;
  size_t length = strlen(vin);
  const char *tail = vin + (length > 7 ? length - 7 : 0);
  size_t used = 0;
  for (; *tail != '\0'; tail++) {
    used += (size_t)snprintf(out + used, room - used, "%02X", (unsigned char)*tail);
  }
  snprintf(out + used, room - used, "%08lX00@bmw.de",
           (unsigned long)(epoch - year_2000) & 0xFFFFFFFFUL);
}

static struct event *add_event(struct car *car, int type) {
  if (car->event_count == EVENTS) { /* discard the older half */
    for (size_t i = 0; i < EVENTS / 2; i++) {
      car->unsettled -= !car->events[i].settled;
      json_decref(car->events[i].profile);
    }
    memmove(car->events, car->events + EVENTS / 2, EVENTS / 2 * sizeof *car->events);
    car->event_count = EVENTS / 2;
  }
  struct event *event = &car->events[car->event_count++];
  memset(event, 0, sizeof *event);
  event->type = type;
  event->course = courses[type];
  event->posted = world_now();
  event->posted_epoch = (time_t)world_epoch();
  for (int i = 0; i < STEPS; i++) {
    event->ends[i] = event->posted + step_ends[i] / settings.speed;
  }
  /* Ids have a resolution of a second, so two in one second need different ones. */
  car->last_id = event->posted_epoch > car->last_id ? event->posted_epoch : car->last_id + 1;
  make_id(car->vin, car->last_id, event->id, sizeof event->id);
  car->unsettled++;
  const char *name = service_types[type].name;
  json_int_t posts = json_integer_value(json_object_get(car->posts, name));
  json_object_set_new(car->posts, name, json_integer(posts + 1));
  return event;
}

static struct event *last_event(struct car *car, int type) {
  for (size_t i = car->event_count; i > 0; i--) {
    if (car->events[i - 1].type == type) {
      return &car->events[i - 1];
    }
  }
  return NULL;
}

/* ---- endpoints ---- */

static json_t *execution(const struct event *event, const char *status) {
  const char *name = service_types[event->type].name;
  json_t *out = json_pack("{s:s}", "serviceType", name);
  if (status != NULL) {
    set_text(out, "status", status);
  }
  set_text(out, "eventId", event->id);
  return out;
}

/* extendedStatus, as in the recorded answers. */
static void add_extended(json_t *out, const struct event *event, const char *status) {
  json_t *extended;
  if (status == NULL || strcmp(status, "INITIATED") == 0) {
    return;
  }
  if (strcmp(status, "EXECUTED") != 0 && strcmp(status, "NOT_EXECUTED") != 0) {
    extended = json_pack("{s:s}", "result", "STATUS_UNKNOWN");
  } else if (strcmp(service_types[event->type].name, "DOOR_UNLOCK") == 0) {
    extended = json_pack("{s:s, s:s, s:s}", "newDoorStatus", "INVALID", "oldDoorStatus", "INVALID",
                         "result", "STATUS_NOT_CHANGED");
  } else {
    extended =
      json_pack("{s:s, s:s}", "result", event->changed ? "STATUS_CHANGED" : "STATUS_NOT_CHANGED",
                "ignitionOnStatus", "false");
  }
  json_object_set_new(out, "extendedStatus", extended);
}

/* Checks the answer to the security question if the test has set one. */
static bool secret_good(const struct request *request, const char *type, struct reply *reply) {
  if (strcmp(type, "DOOR_UNLOCK") != 0 || settings.secret_answer == NULL) {
    return true;
  }
  const char *answer = field_value(&request->form, "bmwSkAnswer");
  if (answer != NULL && strcmp(answer, settings.secret_answer) == 0) {
    return true;
  }
  bool missing = answer == NULL || answer[0] == '\0';
  recorded_reply(reply, missing ? "secret_missing" : "secret_wrong", "");
  return false;
}

/* Reads the extra form fields of some service types. */
static bool read_arguments(const struct request *request, const char *type, long *count,
                           json_t **profile, struct reply *reply) {
  const char *count_text = field_value(&request->form, "count");
  if (count_text != NULL) {
    char *end;
    *count = strtol(count_text, &end, 10);
    if (end == count_text || *end != '\0' || *count < 1 || *count > 1000) {
      recorded_reply(reply, "bad_parameter", "count");
      return false;
    }
  }
  if (strcmp(type, "CHARGING_CONTROL") == 0) {
    *profile = profile_read(field_find(&request->form, "data"));
    if (*profile == NULL) {
      recorded_reply(reply, "bad_profile", "");
      return false;
    }
  }
  return true;
}

void command_execute(struct request *request, struct reply *reply) {
  struct car *car = request->subject;
  const char *name = field_value(&request->form, "serviceType");
  int type = type_number(name);
  long count = 0;
  json_t *profile = NULL;
  if (name == NULL || name[0] == '\0') {
    recorded_reply(reply, "missing_parameter", "serviceType");
    return;
  }
  if (type < 0) {
    struct bytes text = {0};
    bytes_format(&text, "unknown serviceType %.100s", name);
    recorded_reply(reply, "missing_parameter", text.at);
    bytes_free(&text);
    return;
  }
  if (!type_allowed(car, type, reply) || !secret_good(request, name, reply) ||
      !read_arguments(request, name, &count, &profile, reply)) {
    return;
  }
  struct event *event = add_event(car, type);
  event->request = request->number;
  event->count = count;
  event->profile = profile;
  reply_new(reply, 200, json_pack("{s:o}", "executionStatus", execution(event, "INITIATED")));
}

/* The status of the last event of this type, even if the client meant an earlier one. */
void command_execution(struct request *request, struct reply *reply) {
  struct car *car = request->subject;
  int type = type_number(query_value(request, "serviceType"));
  struct event *event = type >= 0 ? last_event(car, type) : NULL;
  if (event == NULL) {
    recorded_reply(reply, type < 0 ? "missing_parameter" : "no_execution",
                   type < 0 ? "serviceType" : car->vin);
    return;
  }
  long poll = event->polls++;
  const struct course *course = &event->course;
  const char *status = event_status(event, world_now());
  struct event earlier = *event;
  const struct event *shown = event;
  if (poll < course->previous_first) {
    shown = NULL;
    for (struct event *at = event; at > car->events && shown == NULL;) {
      at--;
      shown = at->type == type ? at : NULL;
    }
    if (shown != NULL) {
      status = event_status(shown, world_now());
    } else { /* there was none: make one up, an hour ago */
      make_id(car->vin, event->posted_epoch - 3600, earlier.id, sizeof earlier.id);
      earlier.changed = true;
      shown = &earlier;
      status = "EXECUTED";
    }
  } else {
    poll -= course->previous_first;
    bool missing = poll < course->no_status;
    poll -= missing ? 0 : course->no_status;
    status = missing ? NULL : poll < course->word_polls ? course->word : status;
  }
  json_t *out = execution(shown, status);
  add_extended(out, shown, status);
  reply_new(reply, 200, json_pack("{s:o}", "executionStatus", out));
}

/* The history has its own set of statuses, without DELIVERED and TIMED_OUT. */
void command_history(struct request *request, struct reply *reply) {
  const struct car *car = request->subject;
  json_t *list = json_array();
  for (size_t i = car->event_count; i > 0; i--) {
    const struct event *event = &car->events[i - 1];
    const char *status = event_status(event, world_now());
    status = strcmp(status, "DELIVERED") == 0   ? "PENDING"
             : strcmp(status, "TIMED_OUT") == 0 ? "ERROR"
                                                : status;
    json_array_append_new(list, json_pack("{s:o, s:s, s:s, s:s, s:s}", "initiatedAt",
                                          server_time((double)event->posted_epoch), "serviceType",
                                          service_types[event->type].name, "status", status,
                                          "client", "SmartPhone", "eventId", event->id));
  }
  reply_new(reply, 200, json_pack("{s:o}", "serviceExecutionHistory", list));
}

json_t *commands_report(const struct car *car) {
  json_t *executions = json_array();
  for (size_t i = 0; i < car->event_count; i++) {
    const struct event *event = &car->events[i];
    json_t *entry = execution(event, event_status(event, world_now()));
    json_object_set_new(entry, "request", json_integer(event->request));
    if (event->count > 0) {
      json_object_set_new(entry, "count", json_integer(event->count));
    }
    json_array_append_new(executions, entry);
  }
  return executions;
}

const char *commands_control(const json_t *options) {
  static const char *const names[] = {"service",   "outcome", "stuck_at",   "previous_first",
                                      "no_status", "word",    "word_polls", NULL};
  const char *problem = unknown_member(options, names);
  if (problem != NULL) {
    return problem;
  }
  const char *service = json_word(options, "service");
  const char *outcome = json_word(options, "outcome");
  const char *stuck_at = json_word(options, "stuck_at");
  const char *word = json_word(options, "word");
  const json_t *word_polls = json_object_get(options, "word_polls");
  struct course course = {.stuck_at = STEPS - 1, .outcome = OUTCOMES};
  bool all = service != NULL && strcmp(service, "*") == 0;
  int number = type_number(service);
  if (!all && number < 0) {
    return "service must be a service type or *";
  }
  for (int i = 0; i < OUTCOMES; i++) {
    course.outcome = strcmp(outcome != NULL ? outcome : "EXECUTED", outcomes[i]) == 0
                       ? (enum outcome)i
                       : course.outcome;
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
  for (int i = 0; i < TYPES; i++) {
    if (all || i == number) {
      courses[i] = course;
    }
  }
  return NULL;
}
