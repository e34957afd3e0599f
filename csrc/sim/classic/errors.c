#include "errors.h"

#include <string.h>

/* Kinds of bodies: vehicle endpoints, token endpoint, a bad token at a vehicle endpoint,
   later paths, an HTML page, plain text, nothing. */
enum form { PHONE, OAUTH, TOKEN, REST, PAGE, PLAIN, EMPTY };

/* "$" in a text stands for the detail. */
static const struct recorded {
  const char *name;
  int status;
  enum form form;
  const char *code; /* for a page: its title */
  const char *text;
  const char *detail; /* used if the caller has none */
} recorded[] = {
  {"dlat_missing", 400, PHONE, "A-101",
   "Mandatory parameter(s) missed or blank: dlat and dlon are required for BMW vehicles!", ""},
  {"no_status", 404, PHONE, "A-2012", "Ressource not found. No status available for VIN $",
   "WAB1C23456V123456"},
  {"no_image", 404, PHONE, "A-2012", "Ressource not found. No image available for VIN $",
   "WAB1C23456V123456"},
  {"no_execution", 404, PHONE, "A-2012",
   "Ressource not found. No service execution available for VIN $", "WAB1C23456V123456"},
  {"no_vehicle", 404, PHONE, "A-2012", "Ressource not found. No vehicle available for VIN $",
   "WAB1C23456V123456"},
  {"secret_missing", 403, PHONE, "A-2013",
   "Action is forbidden. secretKnowledge is missing but required!", ""},
  {"secret_wrong", 403, PHONE, "A-2013", "Action is forbidden. secretKnowledge is wrong!", ""},
  {"service_forbidden", 403, PHONE, "A-2013",
   "Action is forbidden. User is not allowed to use the service $", "CLIMATE_NOW"},
  {"server_panic", 500, PHONE, "I-300",
   "Unexpected error - server panic. Values to be returned cannot be converted to interface "
   "type.",
   ""},
  {"bad_profile", 400, PHONE, "A-102",
   "Bad value(s) for parameter(s): Invalid chargingProfile, expected weeklyPlanner or "
   "twoTimesTimer",
   ""},
  {"poi_invalid", 400, PHONE, "A-102", "Formparameter 'data' is not valid!", ""},
  {"missing_parameter", 400, PHONE, "A-101", "Mandatory parameter(s) missed or blank: $",
   "serviceType"},
  {"bad_parameter", 400, PHONE, "A-102", "Bad value(s) for parameter(s): $", "lat"},
  {"authn_circuit", 400, OAUTH, "invalid_grant", "the authN circuit failed", ""},
  {"authentication_failed", 400, OAUTH, "invalid_grant", "authentication failed", ""},
  {"invalid_scope", 400, OAUTH, "invalid_scope",
   "The requested scope is invalid, unknown, or malformed.", ""},
  {"invalid_client", 401, OAUTH, "invalid_client",
   "Client authentication failed (e.g., unknown client, no client authentication included, or "
   "unsupported authentication method).",
   ""},
  {"client_disabled", 401, OAUTH, "client disabled", "provided clients are disabled", ""},
  {"invalid_request", 400, OAUTH, "invalid_request",
   "The request is missing a required parameter, includes an unsupported parameter value (other "
   "than grant type), repeats a parameter, includes multiple credentials, utilizes more than one "
   "mechanism for authenticating the client, or is otherwise malformed",
   ""},
  {"unsupported_grant", 400, OAUTH, "unsupported_grant_type",
   "The authorization grant type is not supported.", ""},
  {"invalid_token", 401, TOKEN, "invalid_token",
   "The access token provided is expired, revoked, malformed, or invalid for other reasons.", ""},
  {"too_many", 429, PAGE, "429 - Too Many Requests",
   "The user has sent too many requests in a given amount of time. Too many requests!", ""},
  {"gone", 410, PAGE, "410 - Gone",
   "The requested resource is no longer available, and no forwarding address is known.", ""},
  {"not_found", 404, PAGE, "404 - Not Found", "The requested resource is not available.", ""},
  {"shape_c", 404, REST, NULL, "/api/vehicle/efficiency/v1/$", "WAB1C23456V123456"},
  {"plain_500", 500, PLAIN, NULL, "Error", ""},
  {"empty_401", 401, EMPTY, NULL, "", ""},
};

static const struct recorded *find_recorded(const char *name) {
  for (size_t i = 0; i < sizeof recorded / sizeof *recorded; i++) {
    if (strcmp(recorded[i].name, name) == 0) {
      return &recorded[i];
    }
  }
  return NULL;
}

static void add_page(struct bytes *out, const char *title, const char *text) {
  bytes_format(out,
               "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Strict//EN\" "
               "\"http://www.w3.org/TR/xhtml1/DTD/xhtml1-strict.dtd\"><html "
               "xmlns=\"http://www.w3.org/1999/xhtml\"><head><title>Payara Micro #badassfish - "
               "Error report</title></head><body><h1>HTTP Status %s</h1><hr/><p><b>type</b> Status "
               "report</p><p><b>message</b> %s</p><p><b>description</b> %s</p><hr/><h3>Payara "
               "Micro #badassfish</h3></body></html>",
               title, title, text);
}

/* Fills in status, type and body. */
static void add_body(struct reply *reply, const struct recorded *error, json_t *text) {
  const char *plain = json_string_value(text);
  struct bytes described = {0};
  switch (error->form) {
    case PHONE:
      bytes_format(&described, "(SmartPhoneUtil-%s) %s", error->code, plain);
      reply_new(reply, error->status,
                json_pack("{s:{s:i, s:s}}", "error", "code", 500, "description", described.at));
      break;
    case OAUTH:
    case TOKEN:
      reply_new(reply, error->status,
                json_pack("{s:s, s:s}", "error", error->code, "error_description", plain));
      reply->type = error->form == OAUTH ? "application/json" : reply->type;
      break;
    case REST:
      reply_new(reply, error->status,
                json_pack("{s:i, s:s, s:s, s:s}", "statusCode", error->status, "requestUrl", plain,
                          "requestTimestamp", "2020-09-01T10:11:12.345Z", "logTransactionId",
                          "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"));
      break;
    case PAGE:
      reply->type = "text/html";
      add_page(&reply->body, error->code, plain);
      break;
    case PLAIN:
      reply->type = "text/plain";
      bytes_text(&reply->body, plain);
      break;
    case EMPTY: break;
  }
  bytes_free(&described);
}

bool recorded_reply(struct reply *reply, const char *name, const char *detail) {
  const struct recorded *error = find_recorded(name);
  if (error == NULL || reply == NULL) {
    return error != NULL;
  }
  const char *inserted = detail != NULL && detail[0] != '\0' ? detail : error->detail;
  const char *mark = strchr(error->text, '$');
  struct bytes text = {0};
  bytes_add(&text, error->text, mark != NULL ? (size_t)(mark - error->text) : strlen(error->text));
  if (mark != NULL) { /* the detail may come from the client, so no format string */
    bytes_text(&text, inserted);
    bytes_text(&text, mark + 1);
  }
  json_t *valid = json_text(text.at, text.length);
  reply->status = error->status;
  reply->type = NULL;
  bytes_free(&reply->body);
  add_body(reply, error, valid);
  json_decref(valid);
  bytes_free(&text);
  return true;
}
