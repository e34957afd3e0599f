/* The recorded errors by name, and the rules that make an answer go wrong. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_TYPE "application/json;charset=UTF-8"
#define TOKEN_TYPE "application/json"
#define HTML_TYPE "text/html"
#define PHONE(code, text) \
  "{\"error\":{\"code\":500,\"description\":\"(SmartPhoneUtil-" code ") " text "\"}}"
#define OAUTH(code, text) "{\"error\":\"" code "\",\"error_description\":\"" text "\"}"
#define PAYARA(title, text) \
  "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\" " \
  "\"http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd\"><html " \
  "xmlns=\"http://www.w3.org/1999/xhtml\"><head><title>Payara Micro #badassfish - Error report" \
  "</title></head><body><h1>HTTP Status " title "</h1><hr/><p><b>type</b> Status report</p>" \
  "<p><b>message</b> " title "</p><p><b>description</b> " text "</p><hr/>" \
  "<h3>Payara Micro #badassfish</h3></body></html>"

/* "$" stands for the detail: a VIN, a service type, a parameter. */
static const struct recorded {
  const char *name;
  int status;
  const char *type;
  const char *body;
  const char *detail; /* used when the caller knows none */
} recorded[] = {
    {"dlat_missing", 400, JSON_TYPE,
     PHONE("A-101", "Mandatory parameter(s) missed or blank: dlat and dlon are required for BMW "
                    "vehicles!"), ""},
    {"no_status", 404, JSON_TYPE,
     PHONE("A-2012", "Ressource not found. No status available for VIN $"), "WAB1C23456V123456"},
    {"no_image", 404, JSON_TYPE,
     PHONE("A-2012", "Ressource not found. No image available for VIN $"), "WAB1C23456V123456"},
    {"no_execution", 404, JSON_TYPE,
     PHONE("A-2012", "Ressource not found. No service execution available for VIN $"),
     "WAB1C23456V123456"},
    {"no_vehicle", 404, JSON_TYPE,
     PHONE("A-2012", "Ressource not found. No vehicle available for VIN $"), "WAB1C23456V123456"},
    {"secret_missing", 403, JSON_TYPE,
     PHONE("A-2013", "Action is forbidden. secretKnowledge is missing but required!"), ""},
    {"secret_wrong", 403, JSON_TYPE,
     PHONE("A-2013", "Action is forbidden. secretKnowledge is wrong!"), ""},
    {"service_forbidden", 403, JSON_TYPE,
     PHONE("A-2013", "Action is forbidden. User is not allowed to use the service $"),
     "CLIMATE_NOW"},
    {"server_panic", 500, JSON_TYPE,
     PHONE("I-300", "Unexpected error - server panic. Values to be returned cannot be converted "
                    "to interface type."), ""},
    {"bad_profile", 400, JSON_TYPE,
     PHONE("A-102", "Bad value(s) for parameter(s): Invalid chargingProfile, expected "
                    "weeklyPlanner or twoTimesTimer"), ""},
    {"poi_invalid", 400, JSON_TYPE, PHONE("A-102", "Formparameter 'data' is not valid!"), ""},
    {"missing_parameter", 400, JSON_TYPE,
     PHONE("A-101", "Mandatory parameter(s) missed or blank: $"), "serviceType"},
    {"bad_parameter", 400, JSON_TYPE, PHONE("A-102", "Bad value(s) for parameter(s): $"), "lat"},
    {"authn_circuit", 400, TOKEN_TYPE, OAUTH("invalid_grant", "the authN circuit failed"), ""},
    {"authentication_failed", 400, TOKEN_TYPE, OAUTH("invalid_grant", "authentication failed"),
     ""},
    {"invalid_scope", 400, TOKEN_TYPE,
     OAUTH("invalid_scope", "The requested scope is invalid, unknown, or malformed."), ""},
    {"invalid_client", 401, TOKEN_TYPE,
     OAUTH("invalid_client",
           "Client authentication failed (e.g., unknown client, no client authentication "
           "included, or unsupported authentication method)."), ""},
    {"client_disabled", 401, TOKEN_TYPE,
     OAUTH("client disabled", "provided clients are disabled"), ""},
    {"invalid_request", 400, TOKEN_TYPE,
     OAUTH("invalid_request",
           "The request is missing a required parameter, includes an unsupported parameter value "
           "(other than grant type), repeats a parameter, includes multiple credentials, utilizes "
           "more than one mechanism for authenticating the client, or is otherwise malformed"),
     ""},
    {"invalid_token", 401, JSON_TYPE,
     OAUTH("invalid_token", "The access token provided is expired, revoked, malformed, or invalid "
                            "for other reasons."), ""},
    {"too_many", 429, HTML_TYPE,
     PAYARA("429 - Too Many Requests", "The user has sent too many requests in a given amount of "
                                       "time. Too many requests!"), ""},
    {"gone", 410, HTML_TYPE,
     PAYARA("410 - Gone", "The requested resource is no longer available, and no forwarding "
                          "address is known."), ""},
    {"not_found", 404, HTML_TYPE,
     PAYARA("404 - Not Found", "The requested resource is not available."), ""},
    {"shape_c", 404, JSON_TYPE,
     "{\"statusCode\":404,\"requestUrl\":\"/api/vehicle/efficiency/v1/$\","
     "\"requestTimestamp\":\"2020-09-01T10:11:12.345Z\","
     "\"logTransactionId\":\"0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d\"}", "WAB1C23456V123456"},
    {"plain_500", 500, "text/plain", "Error", ""},
    {"empty_401", 401, NULL, "", ""},
};

static const struct recorded *find_recorded(const char *name) {
  for (size_t i = 0; i < sizeof recorded / sizeof *recorded; i++) {
    if (strcmp(recorded[i].name, name) == 0) {
      return &recorded[i];
    }
  }
  return NULL;
}

bool recorded_reply(struct reply *reply, const char *name, const char *detail) {
  const struct recorded *error = find_recorded(name);
  if (error == NULL) {
    return false;
  }
  reply->status = error->status;
  reply->type = error->type;
  bytes_free(&reply->body);
  const char *mark = strchr(error->body, '$');
  if (mark == NULL) {
    bytes_text(&reply->body, error->body);
    return true;
  }
  /* The detail may be the client's own text, so it is quoted as JSON asks. */
  struct bytes quoted = {0};
  const char *text = detail != NULL && detail[0] != '\0' ? detail : error->detail;
  bytes_json_string(&quoted, text, strlen(text));
  bytes_add(&reply->body, error->body, (size_t)(mark - error->body));
  bytes_add(&reply->body, quoted.at + 1, quoted.length - 2);
  bytes_text(&reply->body, mark + 1);
  bytes_free(&quoted);
  return true;
}

enum { RULES = 1000 };

static struct rule {
  char *path;
  char *method;
  long long skip;
  long long times; /* how often it still fires; negative: for ever */
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

static double number_member(const json_t *options, const char *name, double otherwise) {
  const json_t *value = json_object_get(options, name);
  return json_is_number(value) ? json_number_value(value) : otherwise;
}

static const char *check(const json_t *options) {
  static const char *const names[] = {
      "path", "method", "skip", "times", "latency", "status", "body", "recorded", "headers",
      "reset", "close", "truncate", "drip", "pad", "gzip", "raw", "content_type", NULL};
  static const char *const texts[] = {"path", "method", "body", "recorded", "reset", "close",
                                      "raw", "content_type", NULL};
  static const struct {
    const char *name;
    double least;
    double most;
  } numbers[] = {{"skip", 0, 1e9},   {"times", 0, 1e9},  {"latency", 0, 600}, {"status", 200, 599},
                 {"truncate", 0, 1e12}, {"drip", 0.1, 1e9}, {"pad", 0, 1e12}};
  const char *problem = known_members(options, names);
  for (size_t i = 0; problem == NULL && texts[i] != NULL; i++) {
    const json_t *value = json_object_get(options, texts[i]);
    problem = value != NULL && !json_is_string(value) ? "a text is expected" : NULL;
  }
  for (size_t i = 0; problem == NULL && i < sizeof numbers / sizeof *numbers; i++) {
    const json_t *value = json_object_get(options, numbers[i].name);
    double number = json_number_value(value);
    if (value != NULL && (!json_is_number(value) || number < numbers[i].least ||
                          number > numbers[i].most)) {
      problem = "a number is missing or out of range";
    }
  }
  const char *name = json_string_value(json_object_get(options, "recorded"));
  const char *reset = json_string_value(json_object_get(options, "reset"));
  const char *ending = json_string_value(json_object_get(options, "close"));
  const json_t *headers = json_object_get(options, "headers");
  const char *header;
  json_t *value;
  if (problem == NULL && name != NULL && find_recorded(name) == NULL) {
    problem = "no recorded error has this name";
  }
  if (problem == NULL && reset != NULL && strcmp(reset, "before") != 0 &&
      strcmp(reset, "after") != 0 && strcmp(reset, "during") != 0 &&
      strcmp(reset, "reading") != 0) {
    problem = "reset must be reading, before, after or during";
  }
  if (problem == NULL && ending != NULL &&
      (reset != NULL || (strcmp(ending, "before") != 0 && strcmp(ending, "after") != 0))) {
    problem = "close must be before or after, and no reset beside it";
  }
  if (problem == NULL && headers != NULL && !json_is_object(headers)) {
    problem = "headers must be an object";
  }
  json_object_foreach((json_t *)headers, header, value) {
    if (problem == NULL && !json_is_string(value)) {
      problem = "a header must be a text";
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
  rule->skip = (long long)number_member(options, "skip", 0);
  rule->times = (long long)number_member(options, "times", 1);
  rule->times = rule->times == 0 ? -1 : rule->times;
  fault->latency = number_member(options, "latency", 0);
  fault->status = (int)number_member(options, "status", 0);
  fault->recorded = text_member(options, "recorded", NULL);
  fault->body = text_member(options, "body", &fault->body_length);
  fault->raw = text_member(options, "raw", &fault->raw_length);
  fault->content_type = text_member(options, "content_type", NULL);
  fault->truncate = (long long)number_member(options, "truncate", -1);
  fault->drip = number_member(options, "drip", 0);
  fault->pad = (long long)number_member(options, "pad", -1);
  fault->gzip = json_is_true(json_object_get(options, "gzip"));
  const char *reset = json_string_value(json_object_get(options, "reset"));
  const char *ending = json_string_value(json_object_get(options, "close"));
  fault->orderly = ending != NULL;
  reset = ending != NULL ? ending : reset;
  fault->reset = reset == NULL ? RESET_NONE
               : strcmp(reset, "reading") == 0 ? RESET_READING
               : strcmp(reset, "before") == 0 ? RESET_BEFORE
               : strcmp(reset, "after") == 0 ? RESET_AFTER : RESET_DURING;
  json_t *headers = json_object_get(options, "headers");
  fault->headers.list = must_alloc((json_object_size(headers) + 1) * sizeof(struct field));
  const char *name;
  json_t *value;
  json_object_foreach(headers, name, value) {
    struct field *field = &fault->headers.list[fault->headers.count++];
    field->name = must_copy(name, strlen(name));
    field->length = json_string_length(value);
    field->value = must_copy(json_string_value(value), field->length);
  }
  return NULL;
}

const char *fault_word(const struct fault *fault) {
  return fault->reset == RESET_BEFORE ? "before"
       : fault->reset == RESET_AFTER  ? "after"
       : fault->reset == RESET_DURING ? "during"
       : fault->truncate >= 0         ? "truncate"
       : fault->drip > 0              ? "drip"
       : fault->pad >= 0              ? "pad"
       : fault->raw != NULL           ? "raw"
       : fault->latency > 0           ? "latency"
       : fault->recorded != NULL      ? find_recorded(fault->recorded)->name
       : fault->status != 0           ? "status" : NULL;
}

static char *copy(const char *text, size_t length) {
  return text != NULL ? must_copy(text, length) : NULL;
}

static char *copy_text(const char *text) {
  return text != NULL ? must_copy(text, strlen(text)) : NULL;
}

/* A copy, since the rule may be removed while the answer is still being sent. */
static void fault_copy(const struct fault *from, struct fault *to) {
  *to = *from;
  to->recorded = copy_text(from->recorded);
  to->body = copy(from->body, from->body_length);
  to->raw = copy(from->raw, from->raw_length);
  to->content_type = copy_text(from->content_type);
  to->headers.list = must_alloc((from->headers.count + 1) * sizeof(struct field));
  for (size_t i = 0; i < from->headers.count; i++) {
    const struct field *field = &from->headers.list[i];
    to->headers.list[i].name = copy_text(field->name);
    to->headers.list[i].value = copy(field->value, field->length);
    to->headers.list[i].length = field->length;
  }
}

/* The first rule that fits and is not used up; rules that are still skipping let it pass on. */
static bool take(const char *method, const char *target, bool reading, struct fault *out) {
  memset(out, 0, sizeof *out);
  out->truncate = -1;
  out->pad = -1;
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
  return take(method, target, false, out);
}

bool fault_while_reading(const char *method, const char *target) {
  struct fault fault;
  bool found = take(method, target, true, &fault);
  if (found) {
    fault_free(&fault);
  }
  return found;
}
