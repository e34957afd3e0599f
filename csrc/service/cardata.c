/*
** BMW CarData (since 2025; EU; read-only) as data. Whatever takes more than one request is in
** lua/bmwi/cardata.lua.
**
** Sources: BMW's integration guide and its two OpenAPI descriptions for customers; where the
** service differs from them, owners' recordings.
*/
#include "service/service.h"

#include <stddef.h>
#include <string.h>

/* ---- endpoints ---------------------------------------------------------------------------- */

#define CAR "/customers/vehicles/{vin}"
#define VERSION .header = "x-version: v1", .metered = true
#define GET(NAME) .exchange = {.name = (NAME), .method = "GET", VERSION}

/* clang-format off */
static const bmwi_endpoint endpoints[] = {
  {GET("get"), .answer = BMWI_ANSWER_ANY},
  {GET("mappings"), .path = "/customers/vehicles/mappings", .answer = BMWI_ANSWER_ANY},
  {GET("basic_data"), .path = CAR "/basicData"},
  {GET("telematic_data"), .path = CAR "/telematicData"},
  {GET("charging_history"), .path = CAR "/chargingHistory"},
  {GET("charging_settings"), .path = CAR "/locationBasedChargingSettings"},
  {GET("tyres"), .path = CAR "/smartMaintenanceTyreDiagnosis"},
  {.exchange = {.name = "image", .method = "GET", .accept = "Accept: */*", VERSION},
   .path = CAR "/image", .answer = BMWI_ANSWER_BYTES},
  {GET("containers"), .path = "/customers/containers"},
  {GET("container"), .path = "/customers/containers/{id}"},
  {.exchange = {.name = "create_container", .method = "POST", .command = true, VERSION},
   .path = "/customers/containers"},
  {.exchange = {.name = "delete_container", .method = "DELETE", VERSION},
   .path = "/customers/containers/{id}", .answer = BMWI_ANSWER_ANY},
  {.path = NULL},
};
/* clang-format on */

/* ---- options ------------------------------------------------------------------------------ */

#define KEPT(member) .place = BMWI_KEPT(member)

/* clang-format off */
static const bmwi_option options[] = {
  /* BMW compares it verbatim and only knows lower case. */
  {.name = "client_id", .type = BMWI_OPTION_TEXT, KEPT(client_id), .lower_case = true},
  {.name = "daily_limit", .type = BMWI_OPTION_WHOLE, KEPT(daily_limit), .standard = 50, .least = 1,
   .most = 100000},
  {.name = "descriptors", .type = BMWI_OPTION_TABLE},
  {.name = "login_url", .type = BMWI_OPTION_URL, KEPT(login_url),
   .text = "https://customer.bmwgroup.com/gcdm/oauth"},
  {.name = "on_prompt", .type = BMWI_OPTION_FUNCTION},
  /* Without it BMW grants no scope for its API, although it claims to grant all of them. */
  {.name = "scope", .type = BMWI_OPTION_TEXT, KEPT(scope),
   .text = "authenticate_user openid cardata:api:read cardata:streaming:read"},
  {.name = "stream_url", .type = BMWI_OPTION_BROKER, KEPT(stream_url),
   .text = "mqtts://customer.streaming-cardata.bmwgroup.com:9000"},
  {.name = NULL},
};
/* clang-format on */

static const bmwi_region regions[] = {
  {"europe", "", "https://api-cardata.bmwgroup.com"},
  {.name = NULL},
};

static const char *check_login(const bmwi_account *account, bool token) {
  (void)token;
  if (account->client_id == NULL)
    return "CarData needs the option 'client_id': create it at BMW's portal (My BMW, your vehicle, "
           "CarData)";
  return NULL;
}

/* ---- failures ----------------------------------------------------------------------------- */

/* BMW's codes decide, not the status: a 403 has six different meanings. */
static const struct {
  const char *id;
  bmwi_code code;
} errors[] = {
  {"CU-100", BMWI_AUTH},      {"CU-101", BMWI_AUTH},      {"CU-102", BMWI_AUTH},
  {"CU-103", BMWI_FORBIDDEN}, {"CU-104", BMWI_FORBIDDEN}, {"CU-105", BMWI_NOT_FOUND},
  {"CU-120", BMWI_HTTP},      {"CU-121", BMWI_HTTP},      {"CU-122", BMWI_HTTP},
  {"CU-124", BMWI_FORBIDDEN}, {"CU-125", BMWI_HTTP},      {"CU-126", BMWI_NOT_FOUND},
  {"CU-127", BMWI_NOT_FOUND}, {"CU-400", BMWI_HTTP},      {"CU-401", BMWI_HTTP},
  {"CU-402", BMWI_HTTP},      {"CU-403", BMWI_FORBIDDEN}, {"CU-429", BMWI_QUOTA},
  {"CU-500", BMWI_SERVER},    {"CU-503", BMWI_SERVER},
};

static void explain(bmwi_failure *failure, bool call) {
  if (!call || failure->code == BMWI_UNKNOWN) return;
  /* A real 429 is the quota too: there is no other limit. */
  if (failure->code == BMWI_RATE_LIMITED) failure->code = BMWI_QUOTA;
  for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
    if (strcmp(errors[i].id, failure->api_code) != 0) continue;
    failure->code = errors[i].code;
    /* For a refused token the engine knows whether to try another one. */
    if (failure->code != BMWI_AUTH) failure->retryable = failure->code == BMWI_SERVER;
    return;
  }
}

#define SUBSCRIBE_TO(services) \
  "at BMW's portal subscribe the client to " services ", wait a minute, then log in again"
#define SUBSCRIBE SUBSCRIBE_TO("\"CarData API\" and \"CarData Stream\"")

static const bmwi_advice advice[] = {
  {"cardata:api:read", BMWI_AUTH, SUBSCRIBE_TO("\"CarData API\"")},
  {"cardata:streaming:read", BMWI_AUTH, SUBSCRIBE_TO("\"CarData Stream\"")},
  {"expired before it was confirmed", BMWI_AUTH, "log in again, and confirm the code in time"},
  {"was denied", BMWI_AUTH,
   "log in again; if you did confirm it, type the code by hand in a private window of the browser"},
  {"failed during the confirmation", BMWI_AUTH,
   "this is BMW's fault: log in again with a new code"},
  {"invalid_client", BMWI_AUTH,
   "check client_id: BMW does not know it, or has not activated it yet"},
  {"the code was refused", BMWI_AUTH,
   "log in again; do not press \"Authenticate device\" at the portal"},
  {"invalid_request", BMWI_AUTH, "log in again; if that is refused too: " SUBSCRIBE},
  {"not logged in", BMWI_AUTH, "log in: client:login()"},
  {"which shows the code", BMWI_AUTH,
   "give bmwi.new the option on_prompt, a function that shows what to confirm, and log in again"},
  {"on_prompt raised", BMWI_AUTH, "correct the function on_prompt, and log in again"},
  {NULL, BMWI_AUTH, "log in again: client:login()"},
  {"CU-103", BMWI_FORBIDDEN, "the log-in lacks permission for the API: " SUBSCRIBE},
  {"CU-104", BMWI_FORBIDDEN,
   "BMW provides a car's data only to its PRIMARY user: check the mapping at the portal"},
  {"CU-124", BMWI_FORBIDDEN, "delete containers that are not needed: client:delete_container(id)"},
  {"CU-403", BMWI_FORBIDDEN,
   "check at the portal that both services are subscribed and the car is PRIMARY; then log in "
   "again"},
  {"CU-105", BMWI_NOT_FOUND,
   "the container was deleted, or belongs to another account; this account's are listed by "
   "client:containers()"},
  {"CU-126", BMWI_NOT_FOUND, "BMW has no picture of this car"},
  {NULL, BMWI_QUOTA, "BMW allows 50 calls a day: wait until they become available again"},
  {NULL, BMWI_SERVER, "this is BMW's fault; each try costs a call of the quota"},
  {NULL, BMWI_OK, NULL},
};

static const char *const client_methods[] = {
  "vehicles", "quota", "containers", "create_container", "delete_container", "stream", NULL};
static const char *const car_methods[] = {"status", "telematics",       "basic_data",
                                          "image",  "charging_history", "charging_settings",
                                          "tyres",  "stream",           NULL};

static const bmwi_method methods[] = {{.name = NULL}};

const bmwi_service bmwi_cardata = {
  .name = "cardata",
  .client_type = "bmwi.client.cardata",
  .car_type = "bmwi.vehicle.cardata",
  .options = options,
  .regions = regions,
  .subject_member = "gcid",
  .code_member = "exveErrorId",
  .login_by_code = true,
  .methods = methods,
  .module = "bmwi.cardata",
  .client_methods = client_methods,
  .car_methods = car_methods,
  .endpoints = endpoints,
  .lacks = "BMW CarData does not offer this: it only provides what a car has reported, and has no "
           "commands",
  .check_login = check_login,
  .explain = explain,
  .advice = advice,
};
