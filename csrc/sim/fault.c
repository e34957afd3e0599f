#include "fault.h"

#include "service.h"

#include <stdlib.h>
#include <string.h>

enum { RULES = 1000 };

static struct rule {
  char *path;
  char *method;
  long long skip;
  long long times; /* how many times it will still fire; negative: unlimited */
  struct fault fault;
} rules[RULES];
static size_t rule_count;

void fault_free(struct fault *fault) {
  free(fault->recorded);
  free(fault->body);
  free(fault->raw);
  free(fault->content_type);
  fields_free(&fault->headers);
  memset(fault, 0, sizeof *fault);
}

static void rule_free(struct rule *rule) {
  free(rule->path);
  free(rule->method);
  fault_free(&rule->fault);
  memset(rule, 0, sizeof *rule);
}

void fault_clear(void) {
  for (size_t i = 0; i < rule_count; i++) {
    rule_free(&rules[i]);
  }
  rule_count = 0;
}

static char *text_member(const json_t *options, const char *name, size_t *length) {
  const json_t *value = json_object_get(options, name);
  if (!json_is_string(value)) {
    return NULL;
  }
  if (length != NULL) {
    *length = json_string_length(value);
  }
  return must_copy(json_string_value(value), json_string_length(value));
}

static const char *check(const json_t *options) {
  static const char *const names[] = {
    "path",  "method", "skip",     "times", "latency", "status", "body", "recorded",     "headers",
    "reset", "close",  "truncate", "drip",  "pad",     "gzip",   "raw",  "content_type", NULL};
  static const char *const texts[] = {"path",  "method", "body",         "recorded", "reset",
                                      "close", "raw",    "content_type", NULL};
  static const struct {
    const char *name;
    double least;
    double most;
  } numbers[] = {{"skip", 0, 1e9},     {"times", 0, 1e9},     {"latency", 0, 600},
                 {"status", 200, 599}, {"truncate", 0, 1e12}, {"drip", 0.1, 1e9},
                 {"pad", 0, 1e12}};
  const char *problem = unknown_member(options, names);
  for (size_t i = 0; problem == NULL && texts[i] != NULL; i++) {
    const json_t *value = json_object_get(options, texts[i]);
    problem = value != NULL && !json_is_string(value) ? "a string is expected" : NULL;
  }
  for (size_t i = 0; problem == NULL && i < sizeof numbers / sizeof *numbers; i++) {
    const json_t *value = json_object_get(options, numbers[i].name);
    double number = json_number_value(value);
    if (value != NULL &&
        (!json_is_number(value) || number < numbers[i].least || number > numbers[i].most)) {
      problem = "a number is missing or out of range";
    }
  }
  const char *name = json_word(options, "recorded");
  const char *reset = json_word(options, "reset");
  const char *ending = json_word(options, "close");
  const json_t *headers = json_object_get(options, "headers");
  const char *header;
  json_t *value;
  if (problem == NULL && name != NULL && !services_recorded(NULL, name, NULL)) {
    problem = "no recorded error has this name";
  }
  if (problem == NULL && reset != NULL && strcmp(reset, "before") != 0 &&
      strcmp(reset, "after") != 0 && strcmp(reset, "during") != 0 &&
      strcmp(reset, "reading") != 0) {
    problem = "reset must be reading, before, after or during";
  }
  if (problem == NULL && ending != NULL &&
      (reset != NULL || (strcmp(ending, "before") != 0 && strcmp(ending, "after") != 0))) {
    problem = "close must be before or after, and excludes reset";
  }
  if (problem == NULL && headers != NULL && !json_is_object(headers)) {
    problem = "headers must be an object";
  }
  json_object_foreach((json_t *)headers, header, value) {
    if (problem == NULL && !json_is_string(value)) {
      problem = "a header must be a string";
    }
  }
  return problem;
}

const char *fault_add(const json_t *options) {
  const char *problem = check(options);
  if (problem != NULL) {
    return problem;
  }
  if (rule_count == RULES) {
    return "too many faults";
  }
  struct rule *rule = &rules[rule_count++];
  struct fault *fault = &rule->fault;
  rule->path = text_member(options, "path", NULL);
  rule->method = text_member(options, "method", NULL);
  rule->skip = (long long)json_number(options, "skip", 0);
  rule->times = (long long)json_number(options, "times", 1);
  rule->times = rule->times == 0 ? -1 : rule->times;
  fault->latency = json_number(options, "latency", 0);
  fault->status = (int)json_number(options, "status", 0);
  fault->recorded = text_member(options, "recorded", NULL);
  fault->body = text_member(options, "body", &fault->body_length);
  fault->raw = text_member(options, "raw", &fault->raw_length);
  fault->content_type = text_member(options, "content_type", NULL);
  fault->truncate = (long long)json_number(options, "truncate", -1);
  fault->drip = json_number(options, "drip", 0);
  fault->pad = (long long)json_number(options, "pad", -1);
  fault->gzip = json_flag(options, "gzip", false);
  const char *reset = json_word(options, "reset");
  const char *ending = json_word(options, "close");
  fault->orderly = ending != NULL;
  reset = ending != NULL ? ending : reset;
  fault->reset = reset == NULL                   ? RESET_NONE
                 : strcmp(reset, "reading") == 0 ? RESET_READING
                 : strcmp(reset, "before") == 0  ? RESET_BEFORE
                 : strcmp(reset, "after") == 0   ? RESET_AFTER
                                                 : RESET_DURING;
  const char *name;
  json_t *value;
  json_object_foreach(json_object_get(options, "headers"), name, value) {
    size_t length = json_string_length(value);
    fields_add(&fault->headers, must_copy(name, strlen(name)),
               must_copy(json_string_value(value), length), length);
  }
  return NULL;
}

const char *fault_word(const struct fault *fault) {
  return fault->reset == RESET_BEFORE   ? "before"
         : fault->reset == RESET_AFTER  ? "after"
         : fault->reset == RESET_DURING ? "during"
         : fault->truncate >= 0         ? "truncate"
         : fault->drip > 0              ? "drip"
         : fault->pad >= 0              ? "pad"
         : fault->raw != NULL           ? "raw"
         : fault->latency > 0           ? "latency"
         : fault->recorded != NULL      ? fault->recorded
         : fault->status != 0           ? "status"
                                        : NULL;
}

static char *copy(const char *text, size_t length) {
  return text != NULL ? must_copy(text, length) : NULL;
}

static char *copy_text(const char *text) {
  return text != NULL ? must_copy(text, strlen(text)) : NULL;
}

/* A deep copy: the rule may be removed while the answer is still being sent. */
static void fault_copy(const struct fault *from, struct fault *to) {
  *to = *from;
  to->recorded = copy_text(from->recorded);
  to->body = copy(from->body, from->body_length);
  to->raw = copy(from->raw, from->raw_length);
  to->content_type = copy_text(from->content_type);
  to->headers = (struct fields){.list = NULL};
  for (size_t i = 0; i < from->headers.count; i++) {
    const struct field *field = &from->headers.list[i];
    fields_add(&to->headers, copy_text(field->name), copy(field->value, field->length),
               field->length);
  }
}

/* Uses the first matching rule that has no requests left to skip. */
static bool use_rule(const char *method, const char *target, bool reading, struct fault *out) {
  for (size_t i = 0; i < rule_count; i++) {
    struct rule *rule = &rules[i];
    if ((rule->path != NULL && strstr(target, rule->path) == NULL) ||
        (rule->method != NULL && strcmp(rule->method, method) != 0) ||
        (rule->fault.reset == RESET_READING) != reading) {
      continue;
    }
    if (rule->skip > 0) {
      rule->skip--;
      continue;
    }
    fault_copy(&rule->fault, out);
    if (rule->times > 1) {
      rule->times--;
    } else if (rule->times == 1) {
      rule_free(rule);
      rule_count--;
      memmove(rule, rule + 1, (rule_count - i) * sizeof *rule);
      memset(&rules[rule_count], 0, sizeof *rules);
    }
    return true;
  }
  return false;
}

bool fault_take(const char *method, const char *target, struct fault *out) {
  return use_rule(method, target, false, out);
}

bool fault_while_reading(const char *method, const char *target) {
  struct fault fault;
  bool found = use_rule(method, target, true, &fault);
  if (found) {
    fault_free(&fault);
  }
  return found;
}
