#include "vehicle.h"

#include "../replay.h"
#include "../world.h"
#include "data.h"
#include "stamp.h"

#include <stdlib.h>
#include <string.h>

static json_t *vehicles; /* by VIN */

/* Turns an "age" in seconds into a fixed timestamp: reading does not refresh values. */
static void fix_times(json_t *values) {
  const char *name;
  json_t *entry;
  json_object_foreach(values, name, entry) {
    const json_t *age = json_object_get(entry, "age");
    if (json_is_number(age)) {
      json_object_set_new(entry, "timestamp", stamp(world_epoch() - json_number_value(age)));
      json_object_del(entry, "age");
    }
  }
}

static json_t *new_vehicle(void) {
  return json_pack("{s:s, s:{}, s:{}}", "mappingType", "PRIMARY", "basicData", "telematicData");
}

/* The cars in a recording, without any data of the simulator's own. */
static json_t *recorded_vehicles(const json_t *lines) {
  static const char root[] = "/customers/vehicles/";
  size_t i;
  json_t *line;
  json_t *all = json_object();
  json_array_foreach(lines, i, line) {
    const char *path = json_word(line, "path");
    const char *vin = json_word(line, "vin");
    if (path != NULL && strncmp(path, root, sizeof root - 1) == 0) {
      vin = path + sizeof root - 1;
    }
    size_t length = vin != NULL ? strcspn(vin, "/?") : 0;
    if (length == 17) {
      char *name = must_copy(vin, length);
      json_object_set_new(all, name, new_vehicle());
      free(name);
    }
  }
  return all;
}

void vehicles_reset(void) {
  const json_t *lines = replay_lines("cardata");
  const char *vin;
  json_t *vehicle;
  vehicles_end();
  vehicles = lines != NULL ? recorded_vehicles(lines) : cardata_vehicles(world_epoch());
  json_object_foreach(vehicles, vin, vehicle) {
    fix_times(json_object_get(vehicle, "telematicData"));
  }
}

void vehicles_end(void) {
  json_decref(vehicles);
  vehicles = NULL;
}

json_t *vehicle_find(const char *vin) { return json_object_get(vehicles, vin); }

json_t *vehicle_first(const char **vin) {
  *vin = json_object_iter_key(json_object_iter(vehicles));
  return vehicle_find(*vin);
}

json_t *vehicle_mappings(void) {
  const char *vin;
  json_t *vehicle;
  json_t *list = json_array();
  json_object_foreach(vehicles, vin, vehicle) {
    json_array_append_new(list, json_pack("{s:s, s:s, s:O?}", "vin", vin, "mappedSince",
                                          "2024-03-11T09:15:00Z", "mappingType",
                                          json_object_get(vehicle, "mappingType")));
  }
  return list;
}

json_t *vehicle_value(const json_t *vehicle, const char *descriptor) {
  /* They have an endpoint of their own, or are in the basic data. */
  static const char *const elsewhere[] = {"vehicle.drivetrain.batteryManagement.batterySizeMax",
                                          "vehicle.drivetrain.electricEngine.hvsMaxEnergyAbsolute",
                                          "vehicle.extras.optionalEquipment.code",
                                          "vehicle.look.image",
                                          "vehicle.sim.status",
                                          "vehicle.vehicleIdentification.basicVehicleData"};
  json_t *entry = json_object_get(json_object_get(vehicle, "telematicData"), descriptor);
  for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++) {
    if (strcmp(elsewhere[i], descriptor) == 0) {
      return NULL;
    }
  }
  if (entry == NULL) {
    return json_pack("{s:n, s:n, s:n}", "timestamp", "unit", "value");
  }
  if (json_is_null(entry)) {
    return NULL;
  }
  bool now = json_flag(entry, "now", false);
  json_t *out = json_copy(entry);
  json_object_del(out, "now");
  if (now) { /* some have the time of the request, not of the measurement */
    json_object_set_new(out, "timestamp", stamp(world_epoch()));
  }
  return out;
}

void vehicle_report(struct request *request, struct reply *reply) {
  json_t *vehicle = vehicle_find(request->argument);
  if (vehicle != NULL) {
    reply_json(reply, 200, vehicle);
  } else {
    reply_done(reply, "no car has this VIN");
    reply->status = 404;
  }
}

const char *vehicle_change(const char *vin, json_t *changes) {
  static const char *const names[] = {"mappingType",
                                      "basicData",
                                      "telematicData",
                                      "chargingHistory",
                                      "locationBasedChargingSettings",
                                      "smartMaintenanceTyreDiagnosis",
                                      "image",
                                      NULL};
  const char *problem = unknown_member(changes, names);
  if (problem != NULL) {
    return problem;
  }
  json_t *vehicle = vehicle_find(vin);
  if (vehicle == NULL) {
    vehicle = new_vehicle();
    json_object_set_new(vehicles, vin, vehicle);
  }
  if (json_is_null(json_object_get(changes, "mappingType"))) {
    json_object_del(vehicles, vin); /* no longer the user's car */
    return NULL;
  }
  const char *name;
  json_t *value;
  json_object_foreach(changes, name, value) {
    json_t *before = json_object_get(vehicle, name);
    if (strcmp(name, "telematicData") == 0) {
      fix_times(value);
    }
    if (json_is_object(value) && json_is_object(before) && strstr(name, "Data") != NULL) {
      json_object_update(before, value);
    } else {
      json_object_set(vehicle, name, value);
    }
  }
  return NULL;
}
