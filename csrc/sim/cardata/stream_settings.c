#include "stream_settings.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct stream_settings stream;

static const double long_time = 1e6;

static const struct json_setting rows[] = {
  {"handshake_delay", NULL, &stream.handshake_delay, 0, long_time, 0},
  {"connack_delay", NULL, &stream.connack_delay, 0, long_time, 0},
  {"connack", NULL, &stream.connack, 0, 255, 0},
  {"connack_times", NULL, &stream.connack_times, 0, 1e6, 0},
  {"connack_silent", &stream.connack_silent, NULL, 0, 0, false},
  {"protocol", NULL, &stream.protocol, 4, 5, 5},
  {"refuse_after_disconnect", NULL, &stream.refuse_after_disconnect, 0, long_time, 0},
  {"rate_limit", NULL, &stream.rate_limit, 0, 1e6, 0},
  {"rate_window", NULL, &stream.rate_window, 0, long_time, 60},
  {"rate_silent", &stream.rate_silent, NULL, 0, 0, false},
  {"expire_reason", NULL, &stream.expire_reason, 0, 255, 0},
  {"kick_reason", NULL, &stream.kick_reason, 0, 255, 0},
  {"keepalive_reason", NULL, &stream.keepalive_reason, 0, 255, 0},
  {"keepalive_limit", NULL, &stream.keepalive_limit, 0, 65535, 30},
  {"keepalive_cut", NULL, &stream.keepalive_cut, 0, long_time, 75},
  {"server_keep_alive", NULL, &stream.server_keep_alive, 0, 65535, 0},
  {"suback", NULL, &stream.suback, -1, 255, -1},
  {"suback_delay", NULL, &stream.suback_delay, 0, long_time, 0},
  {"suback_silent", &stream.suback_silent, NULL, 0, 0, false},
  {"suback_open", &stream.suback_open, NULL, 0, 0, false},
  {"publish_first", &stream.publish_first, NULL, 0, 0, false},
  {"ping_silent", &stream.ping_silent, NULL, 0, 0, false},
  {"puback", NULL, &stream.puback, 0, 255, 0},
  {"puback_silent", &stream.puback_silent, NULL, 0, 0, false},
  {"topic_alias", NULL, &stream.topic_alias, 0, TOPIC_ALIAS_ALWAYS, 0},
  {"chunk", NULL, &stream.chunk, 0, 1e6, 0},
  {"chunk_pause", NULL, &stream.chunk_pause, 0, long_time, 0},
  {"gather", NULL, &stream.gather, 0, long_time, 0},
  {"length_bytes", NULL, &stream.length_bytes, 0, 5, 0},
  {"anyone", &stream.anyone, NULL, 0, 0, false},
  {0},
};

static const struct {
  const char *name;
  json_t **value;
} texts[] = {{"connack_raw", &stream.connack_raw}, {"suback_raw", &stream.suback_raw}};

enum { TEXTS = sizeof texts / sizeof *texts, NAMES = 64 };

void stream_settings_reset(void) {
  for (size_t i = 0; i < TEXTS; i++) {
    json_decref(*texts[i].value);
  }
  memset(&stream, 0, sizeof stream);
  for (const struct json_setting *row = rows; row->name != NULL; row++) { /* flags: false */
    if (row->number != NULL) {
      *row->number = row->fallback;
    }
  }
}

bool read_hex(struct bytes *out, const char *digits) {
  for (; digits != NULL && *digits != '\0'; digits += 2) {
    char pair[3] = {digits[0], digits[1], '\0'};
    if (!isxdigit((unsigned char)pair[0]) || !isxdigit((unsigned char)pair[1])) {
      return false;
    }
    char byte = (char)strtol(pair, NULL, 16);
    bytes_add(out, &byte, 1);
  }
  return digits != NULL;
}

const char *stream_settings_change(const json_t *options, const char *const more[]) {
  const char *names[NAMES] = {NULL};
  size_t count = 0;
  for (size_t i = 0; i < TEXTS; i++) {
    json_t *value = json_object_get(options, texts[i].name);
    struct bytes bytes = {0};
    bool good = value == NULL || json_is_null(value) || read_hex(&bytes, json_string_value(value));
    bytes_free(&bytes);
    if (!good) {
      return "connack_raw and suback_raw must be hexadecimal digits";
    }
    names[count++] = texts[i].name;
  }
  for (; *more != NULL && count + 1 < NAMES; more++) {
    names[count++] = *more;
  }
  const char *problem = json_settings(options, rows, names);
  for (size_t i = 0; problem == NULL && i < TEXTS; i++) {
    json_t *value = json_object_get(options, texts[i].name);
    if (value != NULL) {
      json_decref(*texts[i].value);
      *texts[i].value = json_is_string(value) ? json_incref(value) : NULL;
    }
  }
  return problem;
}
