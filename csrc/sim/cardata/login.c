#include "login.h"

#include "../sha256.h"
#include "../world.h"
#include "errors.h"
#include "token.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum state { PENDING, ALLOWED, DENIED, DONE, STATES };
static const char *const states[STATES] = {"pending", "allowed", "denied", "done"};

enum { FLOWS = 64, CODE_LENGTH = 8, DEVICE_LENGTH = 120, CHALLENGE_LENGTH = 43 };

static struct flow {
  char user_code[CODE_LENGTH + 1];
  char device_code[DEVICE_LENGTH + 1];
  char challenge[CHALLENGE_LENGTH + 1];
  char scope[160];
  double ends;
  double interval;
  double last_poll;
  long polls;
  enum state state;
} flows[FLOWS];
static unsigned long started;

static struct {
  double allow_after; /* polls; negative: never by itself */
  double interval;
  double expires_in;
  bool complete;   /* also send verification_uri_complete */
  json_t *answers; /* to the next polls: names of errors, or "ok"; NULL: none */
} settings;

void login_reset(void) {
  memset(flows, 0, sizeof flows);
  json_decref(settings.answers);
  memset(&settings, 0, sizeof settings);
  settings.allow_after = 2;
  settings.interval = 5;
  settings.expires_in = 300;
}

/* ---- the codes ---- */

static bool challenge_good(const char *challenge) {
  if (challenge == NULL || strlen(challenge) != CHALLENGE_LENGTH) {
    return false;
  }
  for (; *challenge != '\0'; challenge++) {
    if (!isalnum((unsigned char)*challenge) && *challenge != '-' && *challenge != '_') {
      return false;
    }
  }
  return true;
}

static json_t *shortest_number(double value) {
  return value > (double)(json_int_t)value ? json_real(value) : json_integer((json_int_t)value);
}

void login_code(struct request *request, struct reply *reply) {
  const struct fields *form = &request->form;
  const char *client = field_value(form, "client_id");
  const char *type = field_value(form, "response_type");
  const char *scope = field_value(form, "scope");
  const char *method = field_value(form, "code_challenge_method");
  const char *challenge = field_value(form, "code_challenge");
  if (client != NULL && strcmp(client, client_id) != 0) {
    error_reply(reply, "invalid_client", NULL);
    return;
  }
  scope = scope != NULL && scope[0] != '\0' ? scope : "authenticate_user openid";
  if (client == NULL || (type != NULL && strcmp(type, "device_code") != 0) || method == NULL ||
      strcmp(method, "S256") != 0 || !challenge_good(challenge) || field_repeated(form) ||
      !scope_good(scope)) {
    error_reply(reply, "invalid_request", NULL);
    return;
  }
  struct flow *flow = &flows[started++ % FLOWS];
  memset(flow, 0, sizeof *flow);
  random_text(flow->user_code, CODE_LENGTH);
  random_text(flow->device_code, DEVICE_LENGTH);
  snprintf(flow->challenge, sizeof flow->challenge, "%s", challenge);
  snprintf(flow->scope, sizeof flow->scope, "%s", scope);
  flow->ends = world_now() + settings.expires_in;
  flow->interval = settings.interval;
  flow->last_poll = -1e9;
  const char *host = request_header(request, "Host");
  struct bytes page = {0};
  bytes_format(&page, "%s://%s/oneid/link", request->tls ? "https" : "http",
               host != NULL ? host : "127.0.0.1");
  json_t *uri = json_text(page.at, page.length);
  json_t *out =
    json_pack("{s:s, s:s, s:o, s:O, s:o}", "user_code", flow->user_code, "device_code",
              flow->device_code, "interval", shortest_number(settings.interval), "verification_uri",
              uri, "expires_in", shortest_number(settings.expires_in));
  if (settings.complete) {
    bytes_format(&page, "?user_code=%s", flow->user_code);
    json_object_set_new(out, "verification_uri_complete", json_text(page.at, page.length));
  }
  json_decref(uri);
  bytes_free(&page);
  reply_new(reply, 200, out);
}

/* ---- polls ---- */

static struct flow *find_flow(const char *device_code) {
  for (size_t i = 0; i < FLOWS && device_code != NULL; i++) {
    if (flows[i].device_code[0] != '\0' && strcmp(flows[i].device_code, device_code) == 0) {
      return &flows[i];
    }
  }
  return NULL;
}

static bool verifier_good(const struct flow *flow, const char *verifier) {
  unsigned char hash[32];
  struct bytes challenge = {0};
  if (verifier == NULL) {
    return false;
  }
  sha256(verifier, strlen(verifier), hash);
  add_base64url(&challenge, hash, sizeof hash);
  bool good = strcmp(challenge.at, flow->challenge) == 0;
  bytes_free(&challenge);
  return good;
}

/* Removes the first of the answers set by a test; NULL: none left. Owned by the caller. */
static json_t *take_answer(void) {
  json_t *answer = json_incref(json_array_get(settings.answers, 0));
  json_array_remove(settings.answers, 0);
  return answer;
}

static const char *poll_problem(struct flow *flow) {
  double now = world_now();
  bool early = now + 0.2 < flow->last_poll + flow->interval;
  flow->last_poll = now;
  if (now >= flow->ends) {
    return "expired_token";
  }
  if (early) {
    flow->interval += 5; /* permanently, as RFC 8628 says */
    return "slow_down";
  }
  if (flow->state == PENDING && settings.allow_after >= 0 &&
      (double)flow->polls++ >= settings.allow_after) {
    flow->state = ALLOWED;
  }
  return flow->state == PENDING  ? "authorization_pending"
         : flow->state == DENIED ? "access_denied"
                                 : NULL;
}

static void poll_flow(const struct request *request, struct reply *reply) {
  struct flow *flow = find_flow(field_value(&request->form, "device_code"));
  if (flow == NULL || flow->state == DONE ||
      !verifier_good(flow, field_value(&request->form, "code_verifier"))) {
    error_reply(reply, "invalid_grant", NULL);
    return;
  }
  json_t *answer = take_answer();
  const char *wanted = json_string_value(answer);
  const char *problem = wanted == NULL              ? poll_problem(flow)
                        : strcmp(wanted, "ok") != 0 ? wanted
                                                    : NULL;
  if (problem != NULL) {
    error_reply(reply, problem, NULL);
  } else {
    flow->state = DONE;
    token_issue(reply, flow->scope);
  }
  json_decref(answer);
}

bool login_mine(const struct request *request) {
  return field_find(&request->form, "client_id") != NULL;
}

void login_token(struct request *request, struct reply *reply) {
  const char *client = field_value(&request->form, "client_id");
  const char *grant = field_value(&request->form, "grant_type");
  if (client == NULL || strcmp(client, client_id) != 0) {
    error_reply(reply, "invalid_client", NULL);
  } else if (grant == NULL || field_repeated(&request->form)) {
    error_reply(reply, "invalid_request", NULL);
  } else if (strcmp(grant, "urn:ietf:params:oauth:grant-type:device_code") == 0) {
    poll_flow(request, reply);
  } else if (strcmp(grant, "refresh_token") == 0) {
    token_refresh(request, reply);
  } else {
    error_reply(reply, "invalid_request", NULL);
  }
}

/* ---- the page ---- */

/* The log-in with this user code, ignoring case; NULL: the newest. */
static struct flow *find_by_user_code(const char *user_code) {
  struct flow *found = NULL;
  for (unsigned long i = 0; i < FLOWS && i < started; i++) {
    struct flow *flow = &flows[(started - 1 - i) % FLOWS];
    if (flow->user_code[0] != '\0' && world_now() < flow->ends && found == NULL &&
        (user_code == NULL || strcasecmp(flow->user_code, user_code) == 0)) {
      found = flow;
    }
  }
  return found;
}

static void add_page(struct reply *reply, int status, const char *text) {
  reply->status = status;
  reply->type = "text/html;charset=UTF-8";
  bytes_format(&reply->body,
               "<!DOCTYPE html><html lang=\"en\"><head><title>Simulated log-in</title></head><body>"
               "<h1>Simulated log-in</h1>%s</body></html>",
               text);
}

void login_page(struct request *request, struct reply *reply) {
  const struct flow *flow = find_by_user_code(query_value(request, "user_code"));
  struct bytes text = {0};
  if (flow == NULL) {
    add_page(reply, 404, "<p>No log-in is waiting for this code.</p>");
    return;
  }
  bytes_format(&text,
               "<form method=\"post\" action=\"/oneid/link\"><p>Code <input name=\"user_code\" "
               "value=\"%s\"></p><button name=\"action\" value=\"allow\">Allow</button> "
               "<button name=\"action\" value=\"deny\">Deny</button></form>",
               flow->user_code);
  add_page(reply, 200, text.at);
  bytes_free(&text);
}

static bool decide(const char *user_code, bool allow) {
  struct flow *flow = find_by_user_code(user_code);
  if (flow != NULL && flow->state != DONE) {
    flow->state = allow ? ALLOWED : DENIED;
  }
  return flow != NULL;
}

void login_click(struct request *request, struct reply *reply) {
  const char *code = field_value(&request->form, "user_code");
  const char *action = field_value(&request->form, "action");
  bool allow = action != NULL && strcmp(action, "allow") == 0;
  if (code == NULL || !decide(code, allow)) {
    add_page(reply, 404, "<p>No log-in is waiting for this code.</p>");
  } else {
    add_page(reply, 200,
             allow ? "<p>Allowed. You can return to the program.</p>" : "<p>Denied.</p>");
  }
}

/* ---- /_sim ---- */

json_t *login_report(void) {
  json_t *list = json_array();
  for (unsigned long i = started > FLOWS ? started - FLOWS : 0; i < started; i++) {
    const struct flow *flow = &flows[i % FLOWS];
    if (flow->user_code[0] != '\0') {
      json_array_append_new(list,
                            json_pack("{s:s, s:s, s:I}", "user_code", flow->user_code, "state",
                                      states[flow->state], "polls", (json_int_t)flow->polls));
    }
  }
  return list;
}

static const char *answers_problem(const json_t *answers) {
  size_t i;
  json_t *name;
  if (answers != NULL && !json_is_array(answers) && !json_is_null(answers)) {
    return "answers must be an array";
  }
  json_array_foreach(answers, i, name) {
    const char *text = json_string_value(name);
    if (text == NULL || (strcmp(text, "ok") != 0 && !error_reply(NULL, text, NULL))) {
      return "answers must be names of errors, or ok";
    }
  }
  return NULL;
}

const char *login_control(const json_t *options) {
  static const char *const more[] = {"user_code", "allow", "answers", NULL};
  const struct json_setting rows[] = {
    {"allow_after", NULL, &settings.allow_after, 0, 1e6, -1},
    {"interval", NULL, &settings.interval, 0, 600, 5},
    {"expires_in", NULL, &settings.expires_in, 0, 86400, 300},
    {"complete", &settings.complete, NULL, 0, 0, false},
    {0},
  };
  const json_t *allow = json_object_get(options, "allow");
  json_t *answers = json_object_get(options, "answers");
  const char *problem = answers_problem(answers);
  problem = problem != NULL ? problem : json_settings(options, rows, more);
  if (problem != NULL) {
    return problem;
  }
  if (answers != NULL) {
    json_decref(settings.answers);
    settings.answers = json_is_array(answers) ? json_deep_copy(answers) : NULL;
  }
  if (allow != NULL && !decide(json_word(options, "user_code"), json_is_true(allow))) {
    return "no log-in is waiting for this code";
  }
  return NULL;
}
