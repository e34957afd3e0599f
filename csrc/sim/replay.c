/* Must come first: plain C11 hides getline. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "replay.h"

#include "world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *path;
static json_t *lines; /* NULL: no recording */
static bool with_messages;
static bool begun;
static double began;
static size_t next_line;
static long played;

const char *replay_set_file(const char *file) {
  path = file;
  return NULL;
}

static bool is_message(const json_t *line) {
  const char *kind = json_word(line, "kind");
  return kind != NULL && strcmp(kind, "message") == 0;
}

static bool read_lines(FILE *file) {
  char *text = NULL;
  size_t room = 0;
  ssize_t length;
  long number = 0;
  bool good = true;
  lines = json_array();
  while (good && (length = getline(&text, &room, file)) > 0) {
    json_error_t error;
    json_t *line = json_loadb(text, (size_t)length, 0, &error);
    number++;
    good = json_is_object(line);
    if (!good) {
      fprintf(stderr, "bmwi-sim: %s: line %ld is not a JSON object\n", path, number);
    }
    with_messages = with_messages || is_message(line);
    json_array_append_new(lines, line);
  }
  free(text);
  double version = json_number(json_array_get(lines, 0), "bmwi_recording", 0);
  if (good && version != 1) {
    fprintf(stderr,
            version > 1 ? "bmwi-sim: %s is a recording of a newer version of bmwi\n"
                        : "bmwi-sim: %s is not a recording\n",
            path);
    good = false;
  }
  return good;
}

bool replay_start(void) {
  if (path == NULL) {
    return true;
  }
  FILE *file = fopen(path, "rb");
  if (file == NULL) {
    fprintf(stderr, "bmwi-sim: %s: %s\n", path, strerror(errno));
    return false;
  }
  bool good = read_lines(file);
  fclose(file);
  return good;
}

void replay_rewind(void) {
  begun = false;
  next_line = 0;
  played = 0;
}

void replay_end(void) {
  json_decref(lines);
  lines = NULL;
}

const json_t *replay_lines(const char *service) {
  const char *recorded = json_word(json_array_get(lines, 0), "service");
  return recorded != NULL && strcmp(recorded, service) == 0 ? lines : NULL;
}

void replay_begin(void) {
  if (lines != NULL && !begun) {
    begun = true;
    began = world_now();
  }
}

/* Seconds since the recording's first line. */
static double position(void) { return begun ? (world_now() - began) * world_speed() : 0; }

static bool is_answer_to(const json_t *line, const struct request *request) {
  const char *kind = json_word(line, "kind");
  const char *method = json_word(line, "method");
  const char *recorded = json_word(line, "path");
  if (kind == NULL || strcmp(kind, "answer") != 0 || method == NULL || recorded == NULL ||
      strcmp(method, request->method) != 0) {
    return false;
  }
  size_t length = strcspn(recorded, "?");
  return length == strcspn(request->target, "?") && memcmp(recorded, request->target, length) == 0;
}

bool replay_answer(const struct request *request, struct reply *reply) {
  const json_t *found = NULL;
  size_t i;
  json_t *line;
  json_array_foreach(lines, i, line) {
    if (is_answer_to(line, request) &&
        (found == NULL || json_number(line, "at", 0) <= position())) {
      found = line;
    }
  }
  if (found == NULL) {
    return false;
  }
  if (!with_messages) {
    replay_begin();
  }
  const json_t *body = json_object_get(found, "body");
  const char *text = json_word(found, "text");
  reply->status = (int)json_number(found, "status", 200);
  if (body != NULL) {
    reply_json(reply, reply->status, body);
  } else if (text != NULL) {
    reply->type = text[0] == '<' ? "text/html" : "text/plain";
    bytes_text(&reply->body, text);
  }
  return true;
}

const json_t *replay_message(double now, double *due) {
  const json_t *line;
  *due = never;
  for (; begun && (line = json_array_get(lines, next_line)) != NULL; next_line++) {
    if (!is_message(line)) {
      continue;
    }
    *due = began + json_number(line, "at", 0) / world_speed();
    if (now < *due) {
      return NULL;
    }
    next_line++;
    played++;
    return line;
  }
  *due = never;
  return NULL;
}

json_t *replay_report(void) {
  return lines == NULL ? NULL
                       : json_pack("{s:b, s:f, s:I}", "begun", begun, "at", position(), "messages",
                                   (json_int_t)played);
}
