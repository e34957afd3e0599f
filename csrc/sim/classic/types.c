#include "types.h"

#include "errors.h"

#include <string.h>

static bool lock(struct car *car, struct event *event) {
  (void)event;
  set_text(car_inner(car, STATUS), "doorLockState", "LOCKED");
  set_text(car_inner(car, STATUS), "updateReason", "DOOR_STATE_CHANGED");
  return true;
}

/* Returns false because the only recorded answer says "not changed", although it did unlock. */
static bool unlock(struct car *car, struct event *event) {
  (void)event;
  set_text(car_inner(car, STATUS), "doorLockState", "UNLOCKED");
  set_text(car_inner(car, STATUS), "updateReason", "DOOR_STATE_CHANGED");
  return false;
}

static bool flash(struct car *car, struct event *event) {
  car->flashes += event->count > 0 ? event->count : 1;
  return true;
}

static bool horn(struct car *car, struct event *event) {
  (void)event;
  car->horns++;
  return true;
}

static bool climate(struct car *car, struct event *event) {
  (void)event;
  car->climate_starts++;
  return true;
}

static bool charge(struct car *car, struct event *event) {
  (void)event;
  json_t *status = car_inner(car, STATUS);
  car->charge_starts++;
  if (!is_text(status, "connectionStatus", "CONNECTED")) {
    return false;
  }
  set_text(status, "chargingStatus", "CHARGING");
  set_text(status, "updateReason", "CHARGING_STARTED");
  if (json_object_get(status, "chargingTimeRemaining") == NULL) {
    json_object_set_new(status, "chargingTimeRemaining", json_integer(90));
  }
  return true;
}

static bool find(struct car *car, struct event *event) {
  (void)event;
  json_t *position = json_object_get(car_inner(car, STATUS), "position");
  car->finds++;
  if (!json_is_object(position) || is_text(position, "status", "DRIVER_DISABLED")) {
    return false;
  }
  set_text(position, "status", "OK");
  if (json_object_get(position, "lat") == NULL || json_object_get(position, "lon") == NULL) {
    json_object_set_new(position, "lat", json_real(51.123456));
    json_object_set_new(position, "lon", json_real(-1.2345678));
  }
  return true;
}

static bool set_profile(struct car *car, struct event *event) {
  json_decref(car->answers[PROFILE]);
  car->answers[PROFILE] = json_incref(event->profile);
  return true;
}

/* All service types of the BMW i Remote API document. chargeNow in the vehicle list is ignored: it
   was NOT_SUPPORTED even for cars that could do it. */
const struct service_type service_types[TYPES] = {
  {"CHARGE_NOW", NULL, charge},
  {"CHARGING_CONTROL", "chargingControl", set_profile},
  {"CLIMATE_CONTROL", "climateControl", NULL},
  {"CLIMATE_NOW", "climateNow", climate},
  {"DOOR_LOCK", "doorLock", lock},
  {"DOOR_UNLOCK", "doorUnlock", unlock},
  {"GET_ALL_IMAGES", NULL, NULL},
  {"GET_PASSWORD_RESET_INFO", NULL, NULL},
  {"GET_VEHICLES", NULL, NULL},
  {"GET_VEHICLE_IMAGE", NULL, NULL},
  {"GET_VEHICLE_STATUS", NULL, NULL},
  {"HORN_BLOW", "hornBlow", horn},
  {"LIGHT_FLASH", "lightFlash", flash},
  {"LOCAL_SEARCH", NULL, NULL},
  {"LOCAL_SEARCH_SUGGESTIONS", NULL, NULL},
  {"LOGIN", NULL, NULL},
  {"LOGOUT", NULL, NULL},
  {"SEND_POI_TO_CAR", "sendPoi", NULL},
  {"VEHICLE_FINDER", "vehicleFinder", find},
};

int type_number(const char *name) {
  for (int i = 0; i < TYPES; i++) {
    if (name != NULL && strcmp(service_types[i].name, name) == 0) {
      return i;
    }
  }
  return -1;
}

bool type_allowed(const struct car *car, int type, struct reply *reply) {
  if (service_types[type].member != NULL &&
      is_text(car->vehicle, service_types[type].member, "NOT_SUPPORTED")) {
    recorded_reply(reply, "service_forbidden", service_types[type].name);
    return false;
  }
  return true;
}
