#include "classic.h"

#include "answer.h"
#include "car.h"
#include "command.h"
#include "errors.h"
#include "image.h"
#include "poi.h"
#include "settings.h"
#include "token.h"

enum access { OPEN, BEARER };

#define CAR "/webapi/v1/user/vehicles/*"

static const struct route routes[] = {
  {"POST", "/webapi/oauth/token", token_answer, .access = OPEN},
  {"POST", "/gcdm/oauth/token", token_answer, .access = OPEN},
  {"GET", "/webapi/v1/user/vehicles", answer_list, .access = BEARER},
  {"GET", CAR, answer_vehicle, .access = BEARER},
  {"GET", CAR "/status", answer_car, .access = BEARER},
  {"GET", CAR "/statistics/lastTrip", answer_car, .access = BEARER},
  {"GET", CAR "/statistics/allTrips", answer_car, .access = BEARER},
  {"GET", CAR "/chargingprofile", answer_car, .access = BEARER},
  {"GET", CAR "/destinations", answer_car, .access = BEARER},
  {"GET", CAR "/rangemap", answer_car, .access = BEARER},
  {"GET", CAR "/image", image_answer, .access = BEARER},
  {"POST", CAR "/executeService", command_execute, .access = BEARER},
  {"GET", CAR "/serviceExecutionStatus", command_execution, .access = BEARER},
  {"GET", CAR "/serviceExecutionHistory", command_history, .access = BEARER},
  {"POST", CAR "/sendpoi", poi_send, .access = BEARER},
  {"GET", "/api/vehicle/navigation/v1/*", answer_car, .access = BEARER},
  {"POST", "/_sim/token", .change = token_control,
   .help = "expires tokens, or changes those issued from now on"},
  {"POST", "/_sim/commands", .change = commands_control,
   .help = "sets how the commands of a service type turn out"},
  {"POST", "/_sim/config", .change = settings_control,
   .help = "speed, list, poi_field, secret_answer, navigation_scope, any_key"},
  {"GET", "/_sim/car/*", answer_report, .help = "a car: its state, and the commands it received"},
  {"POST", "/_sim/car/*", answer_change,
   .help = "sets members of its vehicle, status and lastTrip, replaces its other answers"},
  {0},
};

static void reset(void) {
  settings_reset();
  cars_free();
  cars_load(settings_vehicles());
  token_reset();
  commands_reset();
}

static void end(void) {
  cars_free();
  settings_end();
}

/* Checks the token where one is needed, and finds the car named in the path. */
static bool allow(struct request *request, struct reply *reply) {
  int access = request->route->access;
  if (access == BEARER && !token_valid(request_header(request, "Authorization"))) {
    recorded_reply(reply, "invalid_token", NULL);
    return false;
  }
  if (request->argument[0] == '\0') {
    return true;
  }
  struct car *car = car_find(request->argument);
  if (car != NULL) {
    commands_settle(car);
    request->subject = car;
  } else if (access == BEARER) {
    recorded_reply(reply, "no_vehicle", request->argument);
  } else {
    reply_done(reply, "no car has this VIN");
    reply->status = 404;
  }
  return car != NULL;
}

static bool unknown(struct request *request, struct reply *reply) {
  (void)request;
  return recorded_reply(reply, "not_found", NULL);
}

/* In the recorded answers the gateway is in either Via or Server, never in both. */
static void headers(struct reply *reply, long number) {
  bool odd = number % 2 != 0;
  reply_header(reply, odd ? "Via" : "Server",
               odd ? "1.0 lpb2vcn01 (BMW Group API Gateway)" : "BMW Group API Gateway");
  reply_header(reply, "Max-Forwards", "20");
  reply_header(reply, "X-NodeID", odd ? "01" : "02");
  reply_header(reply, "X-Powered-By", "JOY");
}

static const char *detail(const struct request *request) {
  const char *type = field_value(&request->form, "serviceType");
  return type != NULL ? type : request->argument;
}

const struct service classic_service = {
  .name = "classic",
  .routes = routes,
  .options = settings_options,
  .about = "Log in as whatever@example.com with p4ssw0rd, key \"key\" and secret \"secret\".\n",
  .start = settings_start,
  .reset = reset,
  .end = end,
  .allow = allow,
  .unknown = unknown,
  .headers = headers,
  .recorded = recorded_reply,
  .detail = detail,
};
