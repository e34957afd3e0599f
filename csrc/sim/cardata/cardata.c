#include "cardata.h"

#include "broker.h"
#include "container.h"
#include "errors.h"
#include "feed.h"
#include "live.h"
#include "login.h"
#include "quota.h"
#include "rest.h"
#include "settings.h"
#include "token.h"
#include "vehicle.h"

#include <string.h>

enum access { OPEN, REST };

/* Simulates calls by another program with the same account. */
static const char *spend(const json_t *options) {
  double calls = 0;
  const struct json_setting rows[] = {{"calls", NULL, &calls, 0, 1e6, 0}, {0}};
  const char *problem = json_settings(options, rows, NULL);
  quota_count((long)calls);
  return problem;
}

/* An expired token ends its connections. */
static const char *change_tokens(const json_t *options) {
  const char *problem = cardata_token_control(options);
  broker_wake();
  return problem;
}

static void show_state(struct request *request, struct reply *reply) {
  (void)request;
  reply_new(reply, 200,
            json_pack("{s:o, s:o, s:o, s:s, s:s}", "quota", quota_report(), "logins",
                      login_report(), "containers", container_report(), "client_id", client_id,
                      "gcid", gcid));
}

#define CAR "/customers/vehicles/*"

static const struct route routes[] = {
  {"POST", "/gcdm/oauth/device/code", login_code, .access = OPEN},
  {"POST", "/gcdm/oauth/token", login_token, .access = OPEN, .fits = login_mine},
  {"GET", "/oneid/link", login_page, .access = OPEN},
  {"POST", "/oneid/link", login_click, .access = OPEN},
  {"GET", "/customers/vehicles/mappings", rest_mappings, .access = REST},
  {"GET", "/customers/containers", container_list, .access = REST},
  {"POST", "/customers/containers", container_create, .access = REST},
  {"GET", "/customers/containers/*", container_show, .access = REST},
  {"DELETE", "/customers/containers/*", container_delete, .access = REST},
  {"GET", CAR "/basicData", rest_basic_data, .access = REST},
  {"GET", CAR "/telematicData", rest_telematic_data, .access = REST},
  {"GET", CAR "/chargingHistory", rest_charging_history, .access = REST},
  {"GET", CAR "/locationBasedChargingSettings", rest_charging_settings, .access = REST},
  {"GET", CAR "/smartMaintenanceTyreDiagnosis", rest_tyres, .access = REST},
  {"GET", CAR "/image", rest_image, .access = REST},
  {"GET", "/_sim/cardata", show_state, .help = "log-ins, quota, containers"},
  {"POST", "/_sim/cardata/login", .change = login_control,
   .help = "allow: clicks Allow (true) or Deny (false); allow_after (polls), interval, expires_in, "
           "complete, "
           "answers (of the next polls)"},
  {"POST", "/_sim/cardata/token", .change = change_tokens,
   .help = "expire, expire_refresh, expire_id, reuse_kills, no_api, no_streaming; for new tokens: "
           "expires_in, scope, scope_turned, no_gcid, no_refresh_token, no_dynamic_scopes, "
           "same_id_token"},
  {"POST", "/_sim/cardata/config", .change = cardata_settings_control,
   .help = "quota, quota_rolling, quota_status_429, quota_retry_after, x_version_optional, "
           "container_limit, container_status, deleted_uncounted, refused (descriptors), "
           "history_broken_page, history_endless, page_token_life"},
  {"POST", "/_sim/cardata/spend", .change = spend,
   .help = "calls: so many calls by another program"},
  {"GET", "/_sim/cardata/car/*", vehicle_report, .help = "everything known about a car"},
  {"POST", "/_sim/cardata/car/*", feed_change_car,
   .help = "changes or adds a car: mappingType (null removes the car), basicData, telematicData "
           "(null: left out; age in seconds; now: stamped at each request), chargingHistory, "
           "locationBasedChargingSettings, smartMaintenanceTyreDiagnosis, image; "
           "changes are streamed"},
  {"GET", "/_sim/cardata/stream", feed_report, .help = "connections, attempts, packets"},
  {"POST", "/_sim/cardata/stream", .change = feed_control,
   .help = "publish (vin, data, all, each, times, age, topic, payload, pad, qos, retain, dup), "
           "live (seconds), live_vin, disconnect (reason), end (notify, cut, reset, freeze), "
           "listen, send; faults: see docs/simulator.md"},
  {0},
};

static struct place stream_place;

static const char *set_stream(const char *value) { return place_read(&stream_place, value); }

static const struct option options[] = {
  {"--stream", "HOST:PORT",
   "where to serve CarData's stream (port 0: any free port; default: nowhere)", set_stream},
  {"--live", "SECONDS",
   "while the stream is used a car charges and drives: new values every SECONDS", live_set_start},
  {0},
};

static bool start_stream(const char *key, const char *cert) {
  return stream_place.host[0] == '\0' || broker_start(&stream_place, key, cert, feed_tick);
}

static void reset(void) {
  cardata_settings_reset();
  cardata_token_reset();
  login_reset();
  quota_reset();
  container_reset();
  vehicles_reset();
  feed_reset();
}

static void end(void) {
  broker_end();
  feed_end();
  cardata_settings_reset();
  login_reset();
  container_reset();
  vehicles_end();
}

static bool is_rest(const struct request *request) {
  return request->route != NULL && request->route->access == REST;
}

/* Only calls of a known user are counted: CU-103 means that the token is valid. */
static bool is_counted(const char *problem) {
  return problem == NULL || strcmp(problem, "CU-103") == 0;
}

static void seen(struct request *request) {
  if (is_rest(request) && is_counted(token_problem(request))) {
    quota_count(1);
  }
}

static bool vin_good(const char *vin) {
  return strlen(vin) == 17 && strspn(vin, "ABCDEFGHJKLMNPRSTUVWXYZ0123456789") == 17;
}

/* NULL or the name of the error. */
static const char *problem_of(struct request *request) {
  const char *problem = token_problem(request);
  const char *version = request_header(request, "x-version");
  if (is_counted(problem) && quota_exceeded()) {
    return "CU-429";
  }
  if (problem != NULL) {
    return problem;
  }
  if (!cardata.x_version_optional && (version == NULL || strcmp(version, "v1") != 0)) {
    return "CU-400";
  }
  if (strncmp(request->path, "/customers/vehicles/", 20) != 0 || request->argument[0] == '\0') {
    return NULL;
  }
  if (!vin_good(request->argument)) {
    return "CU-120";
  }
  request->subject = vehicle_find(request->argument);
  const char *mapping = json_word(request->subject, "mappingType");
  return mapping == NULL || strcmp(mapping, "PRIMARY") != 0 ? "CU-104" : NULL;
}

static bool allow(struct request *request, struct reply *reply) {
  const char *problem = is_rest(request) ? problem_of(request) : NULL;
  if (problem != NULL && strcmp(problem, "CU-429") == 0) {
    quota_reply(reply);
  } else if (problem != NULL) {
    error_reply(reply, problem, NULL);
  }
  return problem == NULL;
}

static bool unknown(struct request *request, struct reply *reply) {
  return strncmp(request->path, "/customers", 10) == 0 && error_reply(reply, "unknown_path", NULL);
}

const struct service cardata_service = {
  .name = "cardata",
  .routes = routes,
  .options = options,
  .about = "CarData: log in with the client id 6b1f5a52-9d2e-4c0f-8a53-1f0c2d3e4b5a.\n",
  .listen = start_stream,
  .announce = broker_announce,
  .reset = reset,
  .end = end,
  .seen = seen,
  .allow = allow,
  .unknown = unknown,
  .recorded = error_reply,
};
