#include "errors.h"

#include <string.h>

/* Kinds of bodies: REST service, log-in, the gateway before both, an HTML page, XML, invalid UTF-8,
   nothing. */
enum form { REST, OAUTH, GATEWAY, PAGE, XML, BROKEN, EMPTY };

static const struct error {
  const char *name;
  int status;
  enum form form;
  const char *code;
  const char *text;
  const char *note;
} errors[] = {
  {"CU-100", 401, REST, "CU-100", "No token sent", ""},
  {"CU-101", 401, REST, "CU-101", "Authentication error", ""},
  {"CU-102", 401, REST, "CU-102", "Token expired", ""},
  {"CU-103", 403, REST, "CU-103", "The scope of the token is another", ""},
  {"CU-104", 403, REST, "CU-104", "No permission for this VIN", ""},
  {"CU-105", 403, REST, "CU-105", "No permission for this container", ""},
  {"CU-120", 400, REST, "CU-120", "The format of the VIN is wrong", ""},
  {"CU-121", 400, REST, "CU-121", "The format of the container id is wrong", ""},
  {"CU-122", 208, REST, "CU-122", "The container is already set for deletion", ""},
  {"CU-124", 403, REST, "CU-124", "Maximum number of containers reached", ""},
  {"CU-125", 400, REST, "CU-125", "The pagination token has expired", ""},
  {"CU-126", 404, REST, "CU-126", "No image found", ""},
  {"CU-127", 404, REST, "CU-127", "No location based charging settings found", ""},
  {"CU-127-token", 403, REST, "CU-127", "invalid_token",
   "The presented token is invalid or expired."},
  {"CU-400", 400, REST, "CU-400", "Bad request", ""},
  {"CU-401", 400, REST, "CU-401", "A parameter is invalid", ""},
  {"CU-402", 400, REST, "CU-402", "A telematic key is not found or deprecated", ""},
  {"CU-403", 403, REST, "CU-403", "Bad Request.  Forbidden", "An invalid resource is invoked."},
  {"CU-429", 403, REST, "CU-429", "API rate limit reached", ""},
  {"CU-429-status", 429, REST, "CU-429", "API rate limit reached", ""},
  {"CU-500", 500, REST, "CU-500", "Internal server error", ""},
  {"CU-503", 503, REST, "CU-503", "A partner system is out of order", ""},
  {"unknown_path", 404, REST, "CU-400", "There is no such resource", ""},
  {"xml_error", 403, XML, "CU-104", "No permission for this VIN", ""},
  {"broken_utf8", 403, BROKEN, "", "", ""},
  {"empty_403", 403, EMPTY, "", "", ""},
  {"page_502", 502, PAGE, "502 Bad Gateway", "", ""},
  {"page_503", 503, PAGE, "503 Service Unavailable", "", ""},
  {"authorization_pending", 403, OAUTH, "authorization_pending",
   "The user has not yet completed authorization", ""},
  {"slow_down", 400, OAUTH, "slow_down",
   "The polling interval has not elapsed since the last request", ""},
  {"access_denied", 403, OAUTH, "access_denied", "The user has declined authorization", ""},
  {"expired_token", 401, OAUTH, "expired_token", "The code is expired", ""},
  {"expired_token_400", 400, OAUTH, "expired_token", "The code is expired", ""},
  {"invalid_client", 401, OAUTH, "invalid_client",
   "Client authentication failed (e.g., unknown client, no client authentication included, or "
   "unsupported authentication method).",
   ""},
  {"invalid_grant", 400, OAUTH, "invalid_grant",
   "The provided access grant is invalid, expired, or revoked.", ""},
  {"invalid_request", 400, OAUTH, "invalid_request",
   "The request is missing a required parameter, includes an unsupported parameter value (other "
   "than grant type), repeats a parameter, includes multiple credentials, utilizes more than one "
   "mechanism for authenticating the client, or is otherwise malformed",
   ""},
  {"gateway_fault", 500, GATEWAY, "keymanagement.service.invalid_access_token",
   "Invalid Access Token", ""},
};

static void add_body(struct reply *reply, const struct error *error) {
  switch (error->form) {
    case REST:
      reply_new(reply, error->status,
                json_pack("{s:s, s:s, s:s, s:s}", "exveErrorId", error->code, "exveErrorRef",
                          "6f1c0c2e-0000-4b1a-9f7d-000000000000", "exveErrorMsg", error->text,
                          "exveNote", error->note));
      break;
    case OAUTH:
      reply_new(reply, error->status,
                json_pack("{s:s, s:s}", "error_description", error->text, "error", error->code));
      break;
    case GATEWAY:
      reply_new(reply, error->status,
                json_pack("{s:{s:s, s:{s:s}}}", "fault", "faultstring", error->text, "detail",
                          "errorcode", error->code));
      break;
    case PAGE:
      reply->type = "text/html";
      bytes_format(&reply->body,
                   "<html><head><title>%s</title></head><body><h1>%s</h1></body></html>",
                   error->code, error->code);
      break;
    case XML:
      reply->type = "application/xml";
      bytes_format(&reply->body,
                   "<?xml version=\"1.0\"?><CustomerErrorResponse><exveErrorId>%s</exveErrorId>"
                   "<exveErrorMsg>%s</exveErrorMsg></CustomerErrorResponse>",
                   error->code, error->text);
      break;
    case BROKEN:
      reply->type = "application/json";
      bytes_text(&reply->body,
                 "{\"exveErrorId\":\"CU-104\",\"exveErrorMsg\":\"No \xFF\xC3 here\"}");
      break;
    case EMPTY: break;
  }
}

bool error_reply(struct reply *reply, const char *name, const char *detail) {
  (void)detail;
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
    if (strcmp(errors[i].name, name) == 0) {
      if (reply != NULL) {
        reply->status = errors[i].status;
        reply->type = NULL;
        bytes_free(&reply->body);
        add_body(reply, &errors[i]);
      }
      return true;
    }
  }
  return false;
}
