#include "live.h"

#include "../json.h"
#include "../world.h"
#include "message.h"
#include "session.h"
#include "vehicle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ENGINE "vehicle.drivetrain.electricEngine."
#define PLACE "vehicle.cabin.infotainment.navigation.currentLocation."

static double at_start; /* of `every`, by --live */

static struct {
  double every; /* seconds; 0: the car stands still */
  double next;
  bool waits; /* for the first connection, so that until then REST does not change with time */
  bool drives;
  char vin[64]; /* empty: the first car */
} live;

enum { FULL = 80, EMPTY = 40, FULL_POWER = 10800 };
static const double km_per_percent = 3.5;

void live_reset(void) {
  memset(&live, 0, sizeof live);
  live.every = at_start;
  live.waits = true;
}

static bool is_pause(double seconds) { return seconds >= 0.01 && seconds <= 3600; }

const char *live_set_start(const char *value) {
  char *end;
  at_start = strtod(value, &end);
  return end != value && *end == '\0' && is_pause(at_start) ? NULL : "seconds, 0.01 to 3600";
}

const char *live_control(const json_t *options) {
  const json_t *every = json_object_get(options, "live");
  const json_t *vin = json_object_get(options, "live_vin");
  double seconds = json_number_value(every);
  if (every != NULL && !json_is_null(every) &&
      (!json_is_number(every) || (seconds != 0 && !is_pause(seconds)))) {
    return "live must be a number of seconds";
  }
  if (vin != NULL && (!json_is_string(vin) || vehicle_find(json_string_value(vin)) == NULL)) {
    return "live_vin must be the VIN of a car";
  }
  if (every != NULL) {
    live.every = seconds;
    live.next = 0;
    live.waits = false;
  }
  if (vin != NULL) {
    snprintf(live.vin, sizeof live.vin, "%s", json_string_value(vin));
  }
  return NULL;
}

static double value_of(const json_t *car, const char *name) {
  const json_t *entry = json_object_get(json_object_get(car, "telematicData"), name);
  const char *text = json_word(entry, "value");
  return text != NULL ? strtod(text, NULL) : 0;
}

static void set_text(json_t *values, const char *name, const char *value, const char *unit) {
  json_object_set_new(values, name,
                      json_pack("{s:s, s:s?, s:i}", "value", value, "unit", unit, "age", 0));
}

static void set_number(json_t *values, const char *name, double value, int digits,
                       const char *unit) {
  char text[64];
  snprintf(text, sizeof text, "%.*f", digits, value);
  set_text(values, name, text, unit);
}

static void set_level(json_t *values, double level) {
  set_number(values, ENGINE "charging.level", level, 0, "%");
  set_number(values, "vehicle.drivetrain.batteryManagement.header", level, 0, "%");
  set_number(values, ENGINE "kombiRemainingElectricRange", level * km_per_percent, 0, "km");
  set_number(values, "vehicle.drivetrain.lastRemainingRange", level * km_per_percent, 0, "km");
}

static void set_plug(json_t *values, bool plugged) {
  set_text(values, ENGINE "charging.status", plugged ? "CHARGINGACTIVE" : "NOCHARGING", NULL);
  set_text(values, "vehicle.body.chargingPort.status", plugged ? "CONNECTED" : "DISCONNECTED",
           NULL);
  set_text(values, "vehicle.isMoving", plugged ? "false" : "true", NULL);
  set_number(values, "vehicle.powertrain.electric.battery.charging.power", plugged ? FULL_POWER : 0,
             0, "W");
}

static void drive(const json_t *car, json_t *values) {
  const char *mileage = "vehicle.vehicle.travelledDistance";
  set_number(values, mileage, value_of(car, mileage) + km_per_percent, 1, "km");
  set_number(values, PLACE "latitude", value_of(car, PLACE "latitude") + 0.0123, 7, "degrees");
  set_number(values, PLACE "longitude", value_of(car, PLACE "longitude") + 0.0234, 7, "degrees");
  set_number(values, PLACE "heading", 48, 0, "degrees");
}

static void go_on(const char *vin, const json_t *car) {
  double level = value_of(car, ENGINE "charging.level");
  live.drives = live.drives ? level > EMPTY : level >= FULL;
  json_t *values = json_object();
  level += live.drives ? -1 : 1;
  set_level(values, level);
  set_plug(values, !live.drives);
  if (live.drives) {
    drive(car, values);
  } else {
    set_number(values, ENGINE "charging.timeRemaining", (FULL - level) * 4, 0, "min");
  }
  json_t *changes = json_pack("{s:o}", "telematicData", values);
  vehicle_change(vin, changes);
  message_publish_values(vin, values);
  json_decref(changes);
}

double live_tick(double now) {
  const char *vin = live.vin;
  const json_t *car = vin[0] != '\0' ? vehicle_find(vin) : vehicle_first(&vin);
  if (live.every <= 0 || car == NULL || (live.waits && session_first() == NULL)) {
    return never;
  }
  if (now >= live.next) {
    go_on(vin, car);
    live.next = now + live.every;
  }
  return live.next;
}
