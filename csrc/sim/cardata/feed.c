#include "feed.h"

#include "../replay.h"
#include "../world.h"
#include "broker.h"
#include "live.h"
#include "message.h"
#include "mqtt.h"
#include "stream_settings.h"
#include "vehicle.h"

#include <string.h>

static double play_recording(double now) {
  const json_t *message;
  double due;
  while ((message = replay_message(now, &due)) != NULL) {
    message_publish_recorded(message);
  }
  return due;
}

double feed_tick(double now) {
  double live = live_tick(now);
  double recorded = play_recording(now);
  return live < recorded ? live : recorded;
}

void feed_change_car(struct request *request, struct reply *reply) {
  json_t *body = request_json(request);
  const char *problem =
    body != NULL ? vehicle_change(request->argument, body) : "the body is not JSON";
  if (problem == NULL) {
    message_publish_values(request->argument, json_object_get(body, "telematicData"));
    broker_wake();
  }
  reply_done(reply, problem);
  json_decref(body);
}

void feed_report(struct request *request, struct reply *reply) {
  (void)request;
  json_t *out = mqtt_report();
  json_object_set_new(out, "listening", json_boolean(broker_listening()));
  json_t *replay = replay_report();
  if (replay != NULL) {
    json_object_set_new(out, "replay", replay);
  }
  reply_new(reply, 200, out);
}

/* ---- actions, which take effect at once ---- */

static const char *const endings[] = {"notify", "cut", "reset"};
enum { ENDINGS = sizeof endings / sizeof *endings };

static int ending_of(const char *word) {
  for (int i = 0; word != NULL && i < ENDINGS; i++) {
    if (strcmp(word, endings[i]) == 0) {
      return i;
    }
  }
  return -1;
}

static const char *publish_problem(const json_t *publish) {
  const char *problem = NULL;
  size_t i;
  json_t *one;
  if (publish == NULL) {
    return NULL;
  }
  if (!json_is_array(publish)) {
    return message_problem(publish);
  }
  json_array_foreach(publish, i, one) {
    problem = problem != NULL ? problem : message_problem(one);
  }
  return problem;
}

static const char *action_problem(const json_t *options) {
  const json_t *listen = json_object_get(options, "listen");
  const json_t *disconnect = json_object_get(options, "disconnect");
  const json_t *stall = json_object_get(options, "stall");
  const json_t *send = json_object_get(options, "send");
  const json_t *end = json_object_get(options, "end");
  double reason = json_number_value(disconnect);
  const char *word = json_string_value(end);
  struct bytes bytes = {0};
  bool hex = send == NULL || read_hex(&bytes, json_string_value(send));
  bytes_free(&bytes);
  if (!hex) {
    return "send must be hexadecimal digits";
  }
  if (stall != NULL && (!json_is_number(stall) || json_number_value(stall) < 0)) {
    return "stall must be a number of seconds";
  }
  if (listen != NULL && !json_is_boolean(listen)) {
    return "listen must be true or false";
  }
  if (disconnect != NULL && (!json_is_number(disconnect) || reason < 0 || reason > 255)) {
    return "disconnect must be a reason code";
  }
  if (end != NULL && ending_of(word) < 0 && (word == NULL || strcmp(word, "freeze") != 0)) {
    return "end must be notify, cut, reset or freeze";
  }
  return publish_problem(json_object_get(options, "publish"));
}

static void publish_all(const json_t *publish) {
  size_t i;
  json_t *one;
  if (json_is_object(publish)) {
    message_publish(publish);
  }
  json_array_foreach(publish, i, one) { message_publish(one); }
}

static void send_to_all(const char *digits) {
  struct bytes bytes = {0};
  read_hex(&bytes, digits);
  for (struct session *s = session_first(); s != NULL; s = s->next) {
    session_send_bytes(s, &bytes);
  }
  bytes_free(&bytes);
}

static void end_all(const char *word) {
  if (ending_of(word) >= 0) {
    mqtt_end_all("ended by hand", 0, (enum ending)ending_of(word));
    return;
  }
  for (struct session *s = session_first(); s != NULL; s = s->next) {
    s->frozen = true;
  }
}

const char *feed_control(const json_t *options) {
  static const char *const actions[] = {"publish", "listen",   "stall", "disconnect", "end",
                                        "send",    "live_vin", "live",  NULL};
  const json_t *listen = json_object_get(options, "listen");
  const json_t *disconnect = json_object_get(options, "disconnect");
  const json_t *stall = json_object_get(options, "stall");
  if (!broker_running()) {
    return "the simulator was started without --stream";
  }
  const char *problem = action_problem(options);
  problem = problem != NULL ? problem : live_control(options);
  problem = problem != NULL ? problem : stream_settings_change(options, actions);
  if (problem == NULL && listen != NULL) {
    problem = broker_listen(json_is_true(listen));
  }
  if (problem == NULL && stall != NULL) {
    problem = broker_stall(json_number_value(stall));
  }
  if (problem == NULL) {
    publish_all(json_object_get(options, "publish"));
    if (json_object_get(options, "send") != NULL) {
      send_to_all(json_word(options, "send"));
    }
    if (disconnect != NULL) {
      mqtt_end_all("ended by hand", (int)json_number_value(disconnect), END_NOTIFY);
    }
    if (json_word(options, "end") != NULL) {
      end_all(json_word(options, "end"));
    }
  }
  broker_wake();
  return problem;
}

/* ---- start and end ---- */

static void on_subscribe(void) {
  replay_begin();
  if (!stream.publish_first) {
    return;
  }
  json_t *all = json_pack("{s:b}", "all", 1);
  message_publish(all);
  json_decref(all);
}

void feed_reset(void) {
  stream_settings_reset();
  mqtt_on_subscribe(on_subscribe);
  mqtt_reset();
  live_reset();
  if (broker_running()) {
    broker_listen(true);
    broker_wake();
  }
}

void feed_end(void) { stream_settings_reset(); }
