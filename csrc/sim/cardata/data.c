#include "data.h"

#include <stdbool.h>

enum { MINUTE = 60, HOUR = 3600, DAY = 24 * 3600 };
enum kind {
  ELECTRIC = 1,
  HYBRID = 2,
  PETROL = 4,
  PLUG = ELECTRIC | HYBRID,
  TANK = HYBRID | PETROL,
  ALL = PLUG | TANK
};

struct value {
  int kinds; /* of the cars that have it */
  const char *name;
  const char *value; /* NULL: sent as null, perhaps with a unit all the same */
  const char *unit;
  double age; /* negative: the time of the request */
};

#define SERVICES \
  "[{\"date\":\"null\",\"description\":\"Change when the distance has been covered.\",\"id\":2," \
  "\"messageType\":\"CBS\",\"status\":\"OK\",\"title\":\"Front brake\",\"text\":\"-\"," \
  "\"unitOfLengthRemaining\":\"21000\"},{\"date\":\"2027-10\",\"description\":\"Change by the " \
  "date.\",\"id\":3,\"messageType\":\"CBS\",\"status\":\"OK\",\"title\":\"Brake fluid\"," \
  "\"text\":\"-\",\"unitOfLengthRemaining\":\"-\"}]"

#define ENGINE "vehicle.drivetrain.electricEngine."
#define BATTERY "vehicle.powertrain.electric.battery."
#define PLACE "vehicle.cabin.infotainment.navigation.currentLocation."
#define DOOR "vehicle.cabin.door."
#define WINDOW "vehicle.cabin.window."

static const struct value values[] = {
  {ALL, "vehicle.vehicle.travelledDistance", "48260", "km", 12 * MINUTE},
  {PLUG, "vehicle.drivetrain.batteryManagement.header", "66", "%", 12 * MINUTE},
  {PLUG, BATTERY "stateOfCharge.target", "80", "percent", 12 * MINUTE},
  {PLUG, ENGINE "charging.level", "67", "%", 11 * MINUTE},
  {ELECTRIC, ENGINE "kombiRemainingElectricRange", "231", "km", 12 * MINUTE},
  {HYBRID, ENGINE "kombiRemainingElectricRange", "41", NULL, 12 * MINUTE},
  {ELECTRIC, ENGINE "remainingElectricRange", "234", "km", 12 * MINUTE},
  {ALL, "vehicle.drivetrain.lastRemainingRange", "483", "km", 12 * MINUTE},
  {HYBRID, "vehicle.drivetrain.totalRemainingRange", "483", "km", 12 * MINUTE},
  {TANK, "vehicle.drivetrain.fuelSystem.remainingFuel", "24", "l", 26 * HOUR},
  {TANK, "vehicle.drivetrain.fuelSystem.level", "58", "%", 12 * MINUTE},
  {PLUG, ENGINE "charging.status", "NOCHARGING", NULL, 12 * MINUTE},
  {PLUG, ENGINE "charging.hvStatus", "INVALID", NULL, -1},
  {PLUG, ENGINE "charging.timeRemaining", NULL, "min", 0},
  {PLUG, ENGINE "charging.timeToFullyCharged", "INVALID", "min", 12 * MINUTE},
  {PLUG, BATTERY "charging.power", "0", "W", 12 * MINUTE},
  {PLUG, ENGINE "charging.acVoltage", "-NA-", "V", 12 * MINUTE},
  {PLUG, ENGINE "charging.phaseNumber", "NO_CHARGING", NULL, 12 * MINUTE},
  {PLUG, "vehicle.body.chargingPort.status", "DISCONNECTED", NULL, 12 * MINUTE},
  {PLUG, "vehicle.powertrain.tractionBattery.charging.port.anyPosition.isPlugged", NULL, NULL, 0},
  {ALL, DOOR "row1.driver.isOpen", "false", NULL, 12 * MINUTE},
  {ALL, DOOR "row1.passenger.isOpen", "false", NULL, 12 * MINUTE},
  {ALL, DOOR "row2.driver.isOpen", "false", NULL, 12 * MINUTE},
  {ALL, DOOR "row2.passenger.isOpen", "false", NULL, 12 * MINUTE},
  {ALL, DOOR "status", "SECURED", NULL, 12 * MINUTE},
  {ALL, DOOR "lock.status", "SECURED", NULL, 12 * MINUTE},
  {ALL, WINDOW "row1.driver.status", "CLOSED", NULL, 12 * MINUTE},
  {ALL, WINDOW "row1.passenger.status", "CLOSED", NULL, 12 * MINUTE},
  {ALL, WINDOW "row2.driver.status", "CLOSED", NULL, 12 * MINUTE},
  {ALL, WINDOW "row2.passenger.status", "INTERMEDIATE", NULL, 12 * MINUTE},
  {ALL, "vehicle.body.trunk.isOpen", "CLOSED", NULL, 12 * MINUTE},
  {ALL, "vehicle.body.trunk.isLocked", "true", NULL, 12 * MINUTE},
  {ALL, "vehicle.body.hood.isOpen", "false", NULL, 12 * MINUTE},
  {ALL, "vehicle.cabin.sunroof.overallStatus", "CLOSED", NULL, 12 * MINUTE},
  {ALL, PLACE "latitude", "51.1234567", "degrees", 12 * MINUTE},
  {ALL, PLACE "longitude", "-1.2345678", "degrees", 12 * MINUTE},
  {ALL, PLACE "heading", "211", "degrees", 12 * MINUTE},
  {ALL, PLACE "altitude", "-NA-", "m", 12 * MINUTE},
  {ALL, "vehicle.isMoving", "false", NULL, 12 * MINUTE},
  {ALL, "vehicle.drivetrain.engine.isIgnitionOn", NULL, NULL, 0},
  {PLUG, "vehicle.vehicle.preConditioning.activity", "INACTIVE", NULL, 12 * MINUTE},
  {ALL, "vehicle.electricalSystem.battery.stateOfCharge", NULL, "%", 0},
  {ALL, "vehicle.electricalSystem.battery.voltage", "14.39", "V", 31 * HOUR},
  {ALL, "vehicle.electricalSystem.battery.serviceDemand.recharge", "0", NULL, -1},
  {ALL, "vehicle.status.conditionBasedServices", SERVICES, NULL, 12 * MINUTE},
  {ALL, "vehicle.status.conditionBasedServicesCount", "9", NULL, 31 * HOUR},
  {ALL, "vehicle.status.serviceDistance.next", "21000", NULL, 31 * HOUR},
  {ALL, "vehicle.chassis.axle.row1.wheel.left.tire.pressure", "240", "kPa", 8 * MINUTE},
  {ALL, "vehicle.chassis.axle.row1.wheel.left.tire.temperature", "21",
   "\xC3\x82\xC2\xB0"
   "C",
   8 * MINUTE},
};

static json_t *values_of(int kind) {
  json_t *out = json_object();
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    const struct value *row = &values[i];
    if ((row->kinds & kind) == 0) {
      continue;
    }
    json_t *entry =
      json_pack("{s:n, s:s?, s:s?}", "timestamp", "unit", row->unit, "value", row->value);
    if (row->age < 0) {
      json_object_set_new(entry, "now", json_true());
    } else if (row->value != NULL) {
      json_object_set_new(entry, "age", json_real(row->age));
    }
    json_object_set_new(out, row->name, entry);
  }
  return out;
}

/* ---- charging ---- */

enum { SESSIONS = 23 };

/* Newest first, as they are sent; some lack members. */
static json_t *sessions(double now, int kind) {
  json_t *list = json_array();
  for (int i = 0; i < SESSIONS; i++) {
    double start = now - (i * 1.7 + 0.4) * DAY;
    int from = 20 + i * 7 % 40;
    int to = i % 5 == 0 ? 100 : 80;
    double kwh = (to - from) * (kind == ELECTRIC ? 0.6219 : 0.107) + 0.0123456789;
    json_int_t begin = (json_int_t)start;
    json_int_t seconds = (json_int_t)(kwh / 10.8 * HOUR);
    json_t *session =
      json_pack("{s:i, s:i, s:I, s:I, s:I, s:b, s:I, s:s, s:s, s:f}", "displayedSoc", to,
                "displayedStartSoc", from, "startTime", begin, "endTime", begin + seconds,
                "totalChargingDurationSec", seconds, "isPreconditioningActivated", i % 4 == 0,
                "mileage", (json_int_t)(48200 - i * 61), "mileageUnits", "MileageUnits.KM",
                "timeZone", "Europe/Berlin", "energyConsumedFromPowerGridKwh", kwh);
    if (i % 3 != 2) {
      json_object_set_new(session, "chargingBlocks",
                          json_pack("[{s:I, s:I, s:f}]", "startTime", begin, "endTime",
                                    begin + seconds, "averagePowerGridKw", 10.8));
      json_object_set_new(session, "chargingLocation",
                          json_pack("{s:s, s:s, s:s, s:f, s:f}", "municipality", "Musterstadt",
                                    "formattedAddress", "Musterstr. 6, 12345 Musterstadt",
                                    "streetAddress", "Musterstr. 6", "mapMatchedLatitude", 48.1,
                                    "mapMatchedLongitude", 11.5));
    }
    if (i % 6 == 1) {
      json_object_set_new(session, "publicChargingPoint",
                          json_pack("{s:[{s:s, s:s, s:s, s:s}]}", "potentialChargingPointMatches",
                                    "postalCode", "12345", "streetAddress", "Ladestr. 1",
                                    "providerName", "Stadtwerke", "city", "Musterstadt"));
    }
    json_array_append_new(list, session);
  }
  return list;
}

static json_t *charging_settings(void) {
  return json_pack(
    "[{s:s, s:s, s:s, s:f, s:f, s:s, s:i, s:s, s:s, s:i, s:i, s:i, s:i, s:s, s:f, s:s, s:s}]", "id",
    "lbcs-1", "lastUpdated", "2026-08-30T19:02:11Z", "clusterLocationId", "home", "latitude", 48.1,
    "longitude", 11.5, "lastVisit", "2026-09-06T17:40:00Z", "visits", 214, "chargingMode",
    "IMMEDIATE_CHARGING", "optimizedChargingPreference", "NONE", "startChargingTimePeriodHour", 22,
    "startChargingTimePeriodMinute", 30, "stopChargingTimePeriodHour", 6,
    "stopChargingTimePeriodMinute", 0, "acCurrentLimitFlag", "ACTIVE", "acCurrentLimit", 16.0,
    "acousticLimit", "OFF", "flapLock", "UNLOCKED");
}

/* ---- tyres ---- */

static json_t *tyre(const char *label, const char *wear, int due) {
  return json_pack(
    "{s:s, s:{s:s, s:s, s:i, s:i, s:i, s:i, s:s}, s:{s:s, s:s, s:s}, s:{s:s, s:s, s:s},"
    " s:{s:s, s:s, s:s}, s:{s:s, s:s, s:s, s:i, s:s}, s:{s:s}}",
    "label", label, "dimension", "label", "Dimension", "value", "225/50 R18 99W", "sectionWidth",
    225, "aspectRatio", 50, "rimDiameter", 18, "loadIndex", 99, "speedRating", "W", "season",
    "label", "Season", "season", "SUMMER", "value", "Summer tyres", "tread", "label", "Tyre tread",
    "manufacturer", "Example", "value", "Example Eco", "tyreDefect", "label",
    "Tyre pressure status", "value", "OK", "statusColor", "GREEN", "tyreWear", "label",
    "Service due in", "value", wear, "statusColor", due < 5000 ? "YELLOW" : "GREEN", "dueMileage",
    due, "unit", "KILOMETER", "mountingDate", "label", "Mounting date");
}

static json_t *tyres(void) {
  return json_pack("{s:{s:{s:s, s:{s:s, s:s, s:s}, s:o, s:o, s:o, s:o}, s:{s:s}}, s:[]}",
                   "passengerCar", "mountedTyres", "label", "Mounted", "aggregatedQualityStatus",
                   "label", "Data source", "qualityStatus", "MEASURED", "value", "Measured",
                   "frontLeft", tyre("Front left tyre", "12000 km", 12000), "frontRight",
                   tyre("Front right tyre", "12000 km", 12000), "rearLeft",
                   tyre("Rear left tyre", "4000 km", 4000), "rearRight",
                   tyre("Rear right tyre", "4500 km", 4500), "unmountedTyres", "label", "Unmounted",
                   "errors");
}

/* ---- the cars ---- */

static const struct vehicle {
  const char *vin;
  int kind;
  const char *mapping;
  const char *brand, *model, *series, *drive_train, *engine, *energy;
  const char *image;
} vehicles[] = {
  {"WBYCARDATA0000001", ELECTRIC, "PRIMARY", "BMWi", "i4 eDrive40", "4", "BEV", "XE1", "83.9",
   "png"},
  {"WBACARDATA0000002", HYBRID, "PRIMARY", "BMW", "330e", "3", "PHEV", "B48", "12.0", "jpeg"},
  {"WBACARDATA0000003", PETROL, "PRIMARY", "BMW", "X1 sDrive18i", "X", "CONV", "B38N", NULL, NULL},
  {"WMWCARDATA0000004", ELECTRIC, "SECONDARY", "MINI", "Cooper SE", "F56", "BEV", "IB1", "32.6",
   "png"},
};

/* As BMW sends it: without the VIN, and "countryCode" under another name than documented. */
static json_t *basic_data(const struct vehicle *vehicle) {
  json_t *out = json_pack(
    "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:s, s:s, s:i, s:s, s:s, s:s}", "bodyType",
    "Limousine", "brand", vehicle->brand, "colourCodeRaw", "300", "colourDescription",
    "ALPINWEISS  III", "constructionDate", "2022-10-17T00:00:00.000+0000", "countryCode", "DE",
    "driveTrain", vehicle->drive_train, "engine", vehicle->engine, "hasNavi", 1, "hasSunRoof", 0,
    "headUnit", "HU_MGU", "modelName", vehicle->model, "numberOfDoors", 5, "series",
    vehicle->series, "simStatus", "ACTIVE", "steering", "LL");
  if (vehicle->energy != NULL) {
    json_object_set_new(out, "hvsMaxEnergyAbsolute", json_string(vehicle->energy));
    json_object_set_new(out, "chargingModes", json_pack("[s, s]", "AC", "DC"));
  }
  return out;
}

json_t *cardata_vehicles(double now) {
  json_t *all = json_object();
  for (size_t i = 0; i < sizeof vehicles / sizeof *vehicles; i++) {
    const struct vehicle *vehicle = &vehicles[i];
    bool plug = (vehicle->kind & PLUG) != 0;
    json_object_set_new(
      all, vehicle->vin,
      json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:s?}", "mappingType", vehicle->mapping,
                "basicData", basic_data(vehicle), "telematicData", values_of(vehicle->kind),
                "chargingHistory", plug ? sessions(now, vehicle->kind) : json_array(),
                "locationBasedChargingSettings", plug ? charging_settings() : json_null(),
                "smartMaintenanceTyreDiagnosis", tyres(), "image", vehicle->image));
  }
  return all;
}
