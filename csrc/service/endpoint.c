/*
** The service as data: see endpoint.h. Add an endpoint by adding a row (and its
** id), a region by adding a row.
*/
#include "service/endpoint.h"

#include <string.h>

#define CAR "/webapi/v1/user/vehicles/{vin}"

const bmwi_endpoint bmwi_endpoints[] = {
  [BMWI_VEHICLES] = {"vehicles", false, BMWI_HOST_API, "/webapi/v1/user/vehicles/", "vehicles",
                     BMWI_ANSWER_ARRAY},
  [BMWI_STATUS] = {"status", false, BMWI_HOST_API, CAR "/status", "vehicleStatus",
                   BMWI_ANSWER_OBJECT},
  [BMWI_LAST_TRIP] = {"last_trip", false, BMWI_HOST_API, CAR "/statistics/lastTrip", "lastTrip",
                      BMWI_ANSWER_OBJECT},
  [BMWI_ALL_TRIPS] = {"all_trips", false, BMWI_HOST_API, CAR "/statistics/allTrips", "allTrips",
                      BMWI_ANSWER_OBJECT},
  [BMWI_CHARGING_PROFILE] = {"charging_profile", false, BMWI_HOST_API, CAR "/chargingprofile",
                             NULL, BMWI_ANSWER_PROFILE},
  [BMWI_DESTINATIONS] = {"destinations", false, BMWI_HOST_API, CAR "/destinations",
                         "destinations", BMWI_ANSWER_ARRAY},
  [BMWI_RANGE_MAP] = {"range_map", false, BMWI_HOST_API, CAR "/rangemap", "rangemap",
                      BMWI_ANSWER_OBJECT},
  [BMWI_NAVIGATION] = {"navigation", false, BMWI_HOST_NAVIGATION,
                       "/api/vehicle/navigation/v1/{vin}", NULL, BMWI_ANSWER_OBJECT},
  [BMWI_EXECUTION] = {"execution", false, BMWI_HOST_API, CAR "/serviceExecutionStatus",
                      "executionStatus", BMWI_ANSWER_OBJECT},
  [BMWI_EXECUTE] = {"execute", true, BMWI_HOST_API, CAR "/executeService", "executionStatus",
                    BMWI_ANSWER_OBJECT},
  [BMWI_SEND_POI] = {"send_poi", true, BMWI_HOST_API, CAR "/sendpoi", NULL, BMWI_ANSWER_NOTHING},
  [BMWI_IMAGE] = {"image", false, BMWI_HOST_API, CAR "/image", NULL, BMWI_ANSWER_PNG},
  [BMWI_GET] = {"get", false, BMWI_HOST_API, NULL, NULL, BMWI_ANSWER_ANY},
  [BMWI_POST] = {"post", true, BMWI_HOST_API, NULL, NULL, BMWI_ANSWER_ANY},
};

bool bmwi_vin(char *out, const char *text, size_t len) {
  if (len != BMWI_VIN_LENGTH) return false;
  for (size_t i = 0; i < len; i++) {
    char c = text[i];
    if (c >= 'a' && c <= 'z') c = (char)(c - 'a' + 'A');
    if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'))) return false;
    out[i] = c;
  }
  out[len] = '\0';
  return true;
}

bool bmwi_service_type(const char *text, size_t len) {
  if (len == 0 || len > 64) return false;
  for (size_t i = 0; i < len; i++) {
    char c = text[i];
    if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_')) return false;
  }
  return true;
}

bool bmwi_endpoint_path(bmwi_buffer *b, const bmwi_endpoint *endpoint, const char *vin) {
  const char *mark = strstr(endpoint->path, "{vin}");
  if (mark == NULL) return bmwi_buffer_text(b, endpoint->path);
  return bmwi_buffer_add(b, endpoint->path, (size_t)(mark - endpoint->path)) &&
         bmwi_buffer_text(b, vin) && bmwi_buffer_text(b, mark + 5);
}
