/* Must come first: plain C11 hides getline. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "replay.h"

#include "service.h"
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

static bool is_of_kind(const json_t *line, const char *wanted) {
  const char *kind = json_word(line, "kind");
  return kind != NULL && strcmp(kind, wanted) == 0;
}

/* Why a line cannot be played; NULL: it can. */
static const char *line_problem(const json_t *line) {
  double status = json_number(line, "status", 200);
  if (!json_is_object(line)) {
    return "it is not a JSON object";
  }
  if (is_of_kind(line, "answer") && !(status >= 200 && status <= 599)) {
    return "its status is not one from 200 to 599";
  }
  if (is_of_kind(line, "message") && json_object_get(line, "payload") == NULL &&
      json_word(line, "text") == NULL) {
    return "it has neither payload nor text";
  }
  return NULL;
}

/* A recording is valid JSON, but numbers may be larger than those of C. */
static json_t *read_json(const char *text, size_t length, size_t flags, json_error_t *end) {
  return json_loadb(text, length, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL | flags, end);
}

/* Replaces a member's value by a string of its bytes, since encoding it again would change them.
   A quote is escaped within a string, so the first one that is followed by a colon is its name. */
static void keep_bytes(json_t *line, const char *name, const char *text, size_t length) {
  static const char blanks[] = " \t\r\n";
  char quoted[16];
  snprintf(quoted, sizeof quoted, "\"%s\"", name);
  const char *at = json_object_get(line, name) != NULL ? strstr(text, quoted) : NULL;
  for (; at != NULL; at = strstr(at, quoted)) {
    at += strlen(quoted);
    at += strspn(at, blanks);
    if (*at == ':') {
      json_error_t end;
      at++;
      at += strspn(at, blanks);
      json_decref(read_json(at, length - (size_t)(at - text),
                            JSON_DECODE_ANY | JSON_DISABLE_EOF_CHECK, &end));
      json_object_set_new(line, name, json_text(at, (size_t)end.position));
      return;
    }
  }
  json_object_del(line, name);
}

static json_t *read_line(const char *text, size_t length) {
  json_error_t error;
  json_t *line = read_json(text, length, 0, &error);
  keep_bytes(line, "body", text, length);
  keep_bytes(line, "payload", text, length);
  return line;
}

static const char *head_problem(const json_t *head) {
  double version = json_number(head, "bmwi_recording", 0);
  const char *service = json_word(head, "service");
  if (version != 1) {
    return version > 1 ? "a recording of a newer version of bmwi" : "not a recording";
  }
  for (int i = 0; service != NULL && service_at(i) != NULL; i++) {
    const char *known = service_at(i)->name;
    if (known != NULL && strcmp(known, service) == 0) {
      return NULL;
    }
  }
  return "a recording of an unknown service";
}

/* A line that cannot be played is left out: a full disk cuts the last one short. */
static bool read_lines(FILE *file) {
  char *text = NULL;
  size_t room = 0;
  ssize_t length;
  long number = 0;
  const char *refusal = NULL;
  lines = json_array();
  while (refusal == NULL && (length = getline(&text, &room, file)) > 0) {
    json_t *line = read_line(text, (size_t)length);
    const char *problem = number > 0 ? line_problem(line) : NULL;
    refusal = number == 0 ? head_problem(line) : NULL;
    number++;
    if (problem != NULL) {
      fprintf(stderr, "bmwi-sim: %s: line %ld is left out: %s\n", path, number, problem);
      json_decref(line);
      continue;
    }
    with_messages = with_messages || is_of_kind(line, "message");
    json_array_append_new(lines, line);
  }
  free(text);
  refusal = number == 0 ? head_problem(NULL) : refusal;
  if (refusal != NULL) {
    fprintf(stderr, "bmwi-sim: %s is %s\n", path, refusal);
  }
  return refusal == NULL;
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
  const char *method = json_word(line, "method");
  const char *recorded = json_word(line, "path");
  if (!is_of_kind(line, "answer") || method == NULL || recorded == NULL ||
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
    reply->type = "application/json;charset=UTF-8";
    bytes_add(&reply->body, json_string_value(body), json_string_length(body));
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
    if (!is_of_kind(line, "message")) {
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
