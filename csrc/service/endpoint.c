/*
** The service as data: see endpoint.h. Add an endpoint by adding a row (and its
** id), a region by adding a row.
*/
#include "service/endpoint.h"

#include <ctype.h>
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

const bmwi_region bmwi_regions[BMWI_REGIONS] = {
  {"rest_of_world", "HUB_ECE", "https://b2vapi.bmwgroup.com"},
  {"usa", "HUB_US", "https://b2vapi.bmwgroup.us"},
  {"china", "HUB_CN", "https://b2vapi.bmwgroup.cn:8592"},
};

int bmwi_region_named(const char *name) {
  for (int i = 0; i < BMWI_REGIONS; i++)
    if (strcmp(bmwi_regions[i].name, name) == 0) return i;
  return -1;
}

int bmwi_region_of_hub(const char *hub) {
  for (int i = 0; i < BMWI_REGIONS; i++)
    if (strcmp(bmwi_regions[i].hub, hub) == 0) return i;
  return -1;
}

bool bmwi_vin(char *out, const char *text, size_t len) {
  if (len != BMWI_VIN_LENGTH) return false;
  for (size_t i = 0; i < len; i++) {
    char c = text[i];
    if (c >= 'a' && c <= 'z') c = (char)(c - 'a' + 'A');
    bool good = (c >= '0' && c <= '9') ||
                (c >= 'A' && c <= 'Z' && c != 'I' && c != 'O' && c != 'Q');
    if (!good) return false;
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

bool bmwi_path(const char *text, size_t len) {
  if (len == 0 || len > 2048 || text[0] != '/' || (len > 1 && text[1] == '/')) return false;
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c >= 127 || !(isalnum(c) || (c != '\0' && strchr("/-._~!$&'()*+,;=:@", c) != NULL))) {
      if (c != '%' || i + 2 >= len || !isxdigit((unsigned char)text[i + 1]) ||
          !isxdigit((unsigned char)text[i + 2]))
        return false;
    }
    if (c == '.' && text[i - 1] == '/') { /* text[0] is '/', so i > 0 here */
      size_t dots = i + 1 < len && text[i + 1] == '.' ? 2 : 1;
      if (i + dots == len || text[i + dots] == '/') return false;
    }
  }
  return true;
}

static bool loopback(const char *host, size_t len) {
  if (len == 9 && strncmp(host, "localhost", 9) == 0) return true;
  if (len == 5 && strncmp(host, "[::1]", 5) == 0) return true;
  if (len < 7 || strncmp(host, "127.", 4) != 0) return false;
  size_t dots = 0;
  for (size_t i = 0; i < len; i++) {
    if (host[i] == '.') dots++;
    else if (host[i] < '0' || host[i] > '9') return false;
  }
  return dots == 3;
}

const char *bmwi_url_fault(const char *url, bool path) {
  bool plain = strncmp(url, "http://", 7) == 0;
  if (!plain && strncmp(url, "https://", 8) != 0) return "it must start with https://";
  const char *host = url + (plain ? 7 : 8);
  for (const char *p = host; *p != '\0'; p++)
    if ((unsigned char)*p <= 32 || (unsigned char)*p >= 127 || strchr("\\\"<>^`{|}#?@", *p) != NULL)
      return "it holds a character that has no place there (no user name, query or fragment)";
  size_t all = strcspn(host, "/");
  size_t name = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
  if (name == 0 || name > all) return "it names no host";
  if (name < all) {
    size_t digits = strspn(host + name + 1, "0123456789");
    if (host[name] != ':' || digits == 0 || digits > 5 || name + 1 + digits != all)
      return "its port is not a number";
  }
  const char *rest = host + all;
  if (*rest != '\0' && !path) return "it must end behind the host and port, without a path or '/'";
  if (*rest != '\0' && !bmwi_path(rest, strlen(rest))) return "its path is not a plain path";
  if (plain && !loopback(host, name))
    return "plain http:// is accepted for a loopback address only; use https://";
  return NULL;
}

bool bmwi_endpoint_path(bmwi_buffer *b, const bmwi_endpoint *endpoint, const char *vin) {
  const char *mark = strstr(endpoint->path, "{vin}");
  if (mark == NULL) return bmwi_buffer_text(b, endpoint->path);
  return bmwi_buffer_add(b, endpoint->path, (size_t)(mark - endpoint->path)) &&
         bmwi_buffer_text(b, vin) && bmwi_buffer_text(b, mark + 5);
}
