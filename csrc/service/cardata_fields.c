/*
** CarData's status fields: see cardata_fields.h. The members have the names and words of the
** classic service; new members follow its naming.
*/
#include "service/cardata_fields.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define MILES_PER_KM 0.621371
#define LITRES_PER_GALLON 3.785411784 /* US: BMW gives 26.5 gallons for 100 l */

/* ---- words ----------------------------------------------------------------------------------- */

/* Tables, formatted by hand. */
/* clang-format off */
static const bmwi_word openings[] = {
  {"true", "OPEN"}, {"false", "CLOSED"}, {"OPEN", "OPEN"}, {"CLOSED", "CLOSED"},
  {"INTERMEDIATE", "INTERMEDIATE"}, {"OPEN_TILT", "OPEN_TILT"},
  {"INTERMEDIATE_TILT", "INTERMEDIATE_TILT"}, {NULL, NULL},
};
static const bmwi_word tilts[] = {
  {"OPEN", "OPEN_TILT"}, {"INTERMEDIATE", "INTERMEDIATE_TILT"}, {"CLOSED", "CLOSED"}, {NULL, NULL},
};
static const bmwi_word locks[] = {
  {"SECURED", "SECURED"}, {"LOCKED", "LOCKED"}, {"UNLOCKED", "UNLOCKED"},
  {"SELECTIVE_LOCKED", "SELECTIVE_LOCKED"}, {"ASN_secured", "SECURED"}, {"ASN_locked", "LOCKED"},
  {"ASN_unlocked", "UNLOCKED"}, {"ASN_selective_Locked", "SELECTIVE_LOCKED"}, {NULL, NULL},
};
static const bmwi_word plugs[] = {
  {"CONNECTED", "CONNECTED"}, {"DISCONNECTED", "DISCONNECTED"}, {"true", "CONNECTED"},
  {"false", "DISCONNECTED"}, {NULL, NULL},
};
/* CHARGINGENDED does not mean that the battery is full. */
static const bmwi_word charging[] = {
  {"NOCHARGING", "NOT_CHARGING"}, {"INITIALIZATION", "WAITING_FOR_CHARGING"},
  {"CHARGINGACTIVE", "CHARGING"}, {"CHARGINGPAUSED", "WAITING_FOR_CHARGING"},
  {"CHARGINGENDED", "NOT_CHARGING"}, {"CHARGINGERROR", "ERROR"}, {NULL, NULL},
};
static const bmwi_word hv_charging[] = {
  {"CHARGING", "CHARGING"}, {"ERROR", "ERROR"}, {"NOT_CHARGING", "NOT_CHARGING"},
  {"WAITING_FOR_CHARGING", "WAITING_FOR_CHARGING"},
  {"FINISHED_FULLY_CHARGED", "FINISHED_FULLY_CHARGED"},
  {"FINISHED_NOT_FULL", "FINISHED_NOT_FULL"}, {NULL, NULL},
};
/* An unplugged car does not charge; a car that does not charge may be plugged in. */
static const bmwi_word unplugged[] = {
  {"DISCONNECTED", "NOT_CHARGING"}, {"CONNECTED", NULL}, {NULL, NULL},
};
static const bmwi_word once[] = {
  {"DIRECT_CHG_ONCE_ACTIVE", "true"}, {"DIRECT_CHG_ONCE_NOT_ACTIVE", "false"}, {NULL, NULL},
};
static const bmwi_word comfort[] = {
  {"NOT_ACTIVE", "INACTIVE"}, {"COMFORT_HEATING", "HEATING"}, {"COMFORT_COOLING", "COOLING"},
  {"COMFORT_VENTILATION", "VENTILATION"}, {"DEFROST", "DEFROST"}, {NULL, NULL},
};
static const bmwi_word activity[] = {
  {"INACTIVE", "INACTIVE"}, {"STANDBY", "STANDBY"}, {"HEATING", "HEATING"}, {"COOLING", "COOLING"},
  {"VENTILATION", "VENTILATION"}, {NULL, NULL},
};

/* ---- the fields ------------------------------------------------------------------------------ */

#define ENGINE "vehicle.drivetrain.electricEngine."
#define CHARGING ENGINE "charging."
#define BATTERY "vehicle.powertrain.electric.battery."
#define PORT "vehicle.body.chargingPort."
#define DOOR "vehicle.cabin.door."
#define WINDOW "vehicle.cabin.window."
#define OPENING(member, descriptor) \
  {member, BMWI_MEASURE_WORD, BMWI_DEVICE_ANY, 0, {{descriptor, openings, 0}}}

const bmwi_field bmwi_status_fields[] = {
  {"mileage", BMWI_MEASURE_DISTANCE, BMWI_DEVICE_ANY, BMWI_GROWS,
   {{"vehicle.vehicle.travelledDistance", NULL, 0},
    {"vehicle.trip.segment.end.travelledDistance", NULL, 0}}},

  {"chargingLevelHv", BMWI_MEASURE_PERCENT, BMWI_DEVICE_PLUG, 0,
   {{"vehicle.drivetrain.batteryManagement.header", NULL, 0},
    {BATTERY "stateOfCharge.displayed", NULL, 0}, /* the only one on New Class cars */
    {CHARGING "level", NULL, BMWI_PREDICTED},
    {"vehicle.trip.segment.end.drivetrain.batteryManagement.hvSoc", NULL, 0}}},
  {"chargingTarget", BMWI_MEASURE_PERCENT, BMWI_DEVICE_PLUG, BMWI_NEVER_ZERO,
   {{BATTERY "stateOfCharge.target", NULL, 0}}},
  {"batteryEnergyMax", BMWI_MEASURE_KWH, BMWI_DEVICE_PLUG, BMWI_NEVER_ZERO,
   {{"vehicle.drivetrain.batteryManagement.maxEnergy", NULL, 0}}},
  {"remainingRangeElectric", BMWI_MEASURE_DISTANCE, BMWI_DEVICE_PLUG, BMWI_AS_OTHERS,
   {{ENGINE "kombiRemainingElectricRange", NULL, 0}, {ENGINE "remainingElectricRange", NULL, 0}}},
  {"remainingRangeFuel", BMWI_MEASURE_DISTANCE, BMWI_DEVICE_FUEL_ALONE, BMWI_AS_OTHERS,
   {{"vehicle.drivetrain.lastRemainingRange", NULL, 0}}},
  {"remainingRangeTotal", BMWI_MEASURE_DISTANCE, BMWI_DEVICE_FUEL, BMWI_AS_OTHERS,
   {{"vehicle.drivetrain.lastRemainingRange", NULL, 0},
    {"vehicle.drivetrain.totalRemainingRange", NULL, 0}}},
  {"remainingFuel", BMWI_MEASURE_VOLUME, BMWI_DEVICE_FUEL, 0,
   {{"vehicle.drivetrain.fuelSystem.remainingFuel", NULL, 0}}},
  {"fuelPercent", BMWI_MEASURE_PERCENT, BMWI_DEVICE_FUEL, 0,
   {{"vehicle.drivetrain.fuelSystem.level", NULL, 0}}},

  {"chargingStatus", BMWI_MEASURE_WORD, BMWI_DEVICE_PLUG, 0,
   {{CHARGING "status", charging, 0}, {CHARGING "hvStatus", hv_charging, BMWI_ON_REQUEST},
    {PORT "status", unplugged, 0}, {PORT "combinedStatus", unplugged, 0}}},
  {"chargingTimeRemaining", BMWI_MEASURE_MINUTES, BMWI_DEVICE_PLUG, 0,
   {{CHARGING "timeRemaining", NULL, 0}, {CHARGING "timeToFullyCharged", NULL, 0}}},
  {"chargingPower", BMWI_MEASURE_WATT, BMWI_DEVICE_PLUG, 0,
   {{BATTERY "charging.power", NULL, 0}}},
  {"chargingConnectionType", BMWI_MEASURE_WORD, BMWI_DEVICE_PLUG, 0,
   {{CHARGING "connectionType", NULL, 0}}},
  {"connectionStatus", BMWI_MEASURE_WORD, BMWI_DEVICE_PLUG, 0,
   {{PORT "status", plugs, 0}, {PORT "combinedStatus", plugs, 0},
    {"vehicle.powertrain.tractionBattery.charging.port.anyPosition.isPlugged", plugs, 0},
    {CHARGING "connectorStatus", plugs, 0}}},
  {"singleImmediateCharging", BMWI_MEASURE_BOOLEAN, BMWI_DEVICE_PLUG, 0,
   {{CHARGING "isSingleImmediateCharging", once, 0}}},
  {"lastChargingEndReason", BMWI_MEASURE_WORD, BMWI_DEVICE_PLUG, 0,
   {{CHARGING "lastChargingReason", NULL, 0}, {CHARGING "hvpmFinishReason", NULL, 0}}},
  {"lastChargingEndResult", BMWI_MEASURE_WORD, BMWI_DEVICE_PLUG, 0,
   {{CHARGING "lastChargingResult", NULL, 0}}},

  {"doorLockState", BMWI_MEASURE_WORD, BMWI_DEVICE_ANY, 0,
   {{DOOR "lock.status", locks, 0}, {DOOR "status", locks, 0}}},
  OPENING("doorDriverFront", DOOR "row1.driver.isOpen"),
  OPENING("doorDriverRear", DOOR "row2.driver.isOpen"),
  OPENING("doorPassengerFront", DOOR "row1.passenger.isOpen"),
  OPENING("doorPassengerRear", DOOR "row2.passenger.isOpen"),
  OPENING("windowDriverFront", WINDOW "row1.driver.status"),
  OPENING("windowDriverRear", WINDOW "row2.driver.status"),
  OPENING("windowPassengerFront", WINDOW "row1.passenger.status"),
  OPENING("windowPassengerRear", WINDOW "row2.passenger.status"),
  OPENING("hood", "vehicle.body.hood.isOpen"),
  {"trunk", BMWI_MEASURE_WORD, BMWI_DEVICE_ANY, 0,
   {{"vehicle.body.trunk.isOpen", openings, 0}, {"vehicle.body.trunk.door.isOpen", openings, 0}}},
  OPENING("rearWindow", "vehicle.body.trunk.window.isOpen"),
  {"sunroof", BMWI_MEASURE_WORD, BMWI_DEVICE_ANY, 0, /* only the first covers both parts */
   {{"vehicle.cabin.sunroof.overallStatus", openings, 0},
    {"vehicle.cabin.sunroof.status", openings, 0},
    {"vehicle.cabin.sunroof.tiltStatus", tilts, 0}}},
  {"convertibleRoofState", BMWI_MEASURE_WORD, BMWI_DEVICE_ANY, 0,
   {{"vehicle.cabin.convertible.roofStatus", NULL, 0}}},

  {"position", BMWI_MEASURE_POSITION, BMWI_DEVICE_ANY, 0,
   {{BMWI_LATITUDE, NULL, 0}, {BMWI_LONGITUDE, NULL, 0}, {BMWI_HEADING, NULL, 0}}},
  {"isMoving", BMWI_MEASURE_BOOLEAN, BMWI_DEVICE_ANY, 0, {{"vehicle.isMoving", NULL, 0}}},
  {"climateActivity", BMWI_MEASURE_WORD, BMWI_DEVICE_ANY, 0,
   {{"vehicle.cabin.hvac.preconditioning.status.comfortState", comfort, 0},
    {"vehicle.vehicle.preConditioning.activity", activity, 0}}},
  {"cbsData", BMWI_MEASURE_SERVICES, BMWI_DEVICE_ANY, 0,
   {{"vehicle.status.conditionBasedServices", NULL, 0}}},
  {"checkControlMessages", BMWI_MEASURE_MESSAGES, BMWI_DEVICE_ANY, 0,
   {{"vehicle.status.checkControlMessages", NULL, 0}}},
  {NULL, BMWI_MEASURE_WORD, BMWI_DEVICE_ANY, 0, {{NULL, NULL, 0}}},
};
/* clang-format on */

const bmwi_field *bmwi_field_of(const char *descriptor) {
  for (const bmwi_field *field = bmwi_status_fields; field->member != NULL; field++)
    for (const bmwi_source *link = field->links; link->descriptor != NULL; link++)
      if (strcmp(link->descriptor, descriptor) == 0) return field;
  return NULL;
}

/* ---- which cars have a field ----------------------------------------------------------------- */

static const struct {
  const char *drive_train;
  bool plug, fuel;
} drive_trains[] = {
  {"BEV", true, false},  {"BEV_REX", true, true}, {"PHEV", true, true},
  {"CONV", false, true}, {"ICE", false, true},    {"MHEV", false, true},
};

bmwi_reason bmwi_field_fitted(const bmwi_field *field, const char *drive_train, bool *sure) {
  bool known = false, plug = true, fuel = true;
  for (size_t i = 0; i < sizeof drive_trains / sizeof *drive_trains && drive_train != NULL; i++)
    if (bmwi_same_word(drive_trains[i].drive_train, drive_train, strlen(drive_train))) {
      known = true;
      plug = drive_trains[i].plug;
      fuel = drive_trains[i].fuel;
    }
  *sure = known || field->device == BMWI_DEVICE_ANY;
  if (field->device == BMWI_DEVICE_PLUG && !plug) return BMWI_REASON_NOT_FITTED;
  if (field->device >= BMWI_DEVICE_FUEL && !fuel) return BMWI_REASON_NOT_FITTED;
  if (field->device == BMWI_DEVICE_FUEL_ALONE && plug) return BMWI_REASON_COMBINED;
  return BMWI_REASON_NONE;
}

/* ---- conversion to the member's words and units ---------------------------------------------- */

/* The first unit of each measure is the member's. */
static const struct {
  bmwi_measure measure;
  const char *unit;
  double factor;
} conversions[] = {
  {BMWI_MEASURE_DISTANCE, "km", 1}, {BMWI_MEASURE_DISTANCE, "mi", 1 / MILES_PER_KM},
  {BMWI_MEASURE_VOLUME, "l", 1},    {BMWI_MEASURE_VOLUME, "gal", LITRES_PER_GALLON},
  {BMWI_MEASURE_PERCENT, "%", 1},   {BMWI_MEASURE_MINUTES, "min", 1},
  {BMWI_MEASURE_MINUTES, "h", 60},  {BMWI_MEASURE_MINUTES, "s", 1.0 / 60},
  {BMWI_MEASURE_WATT, "W", 1},      {BMWI_MEASURE_WATT, "kW", 1000},
  {BMWI_MEASURE_KWH, "kWh", 1},     {BMWI_MEASURE_KWH, "Wh", 0.001},
};
#define CONVERSIONS (sizeof conversions / sizeof *conversions)

static const char *own_unit(const bmwi_field *field) {
  for (size_t i = 0; i < CONVERSIONS; i++)
    if (conversions[i].measure == field->measure) return conversions[i].unit;
  return NULL;
}

bool bmwi_field_base(const bmwi_field *field, double *value, const char *unit) {
  for (size_t i = 0; i < CONVERSIONS; i++)
    if (conversions[i].measure == field->measure && strcmp(conversions[i].unit, unit) == 0) {
      *value *= conversions[i].factor;
      return true;
    }
  return false;
}

static bmwi_reason convert_number(const bmwi_field *field, bool sure, bmwi_value *value,
                                  const char **unit) {
  if (value->kind != BMWI_VALUE_NUMBER) return BMWI_REASON_UNREADABLE;
  if (value->number == 0 && (!sure || (field->marks & BMWI_NEVER_ZERO) != 0))
    return BMWI_REASON_ZERO;
  if (*unit == NULL) {
    if (!bmwi_field_needs_unit(field)) *unit = own_unit(field);
    return BMWI_REASON_NONE;
  }
  if (!bmwi_field_base(field, &value->number, *unit)) return BMWI_REASON_UNIT;
  *unit = own_unit(field);
  return BMWI_REASON_NONE;
}

static bmwi_reason convert_word(const bmwi_source *link, bmwi_value *value) {
  if (value->kind == BMWI_VALUE_BOOLEAN) {
    value->text = value->boolean ? "true" : "false";
    value->len = strlen(value->text);
  } else if (value->kind != BMWI_VALUE_TEXT) {
    return BMWI_REASON_UNREADABLE;
  }
  for (const bmwi_word *word = link->words; word != NULL && word->from != NULL; word++)
    if (bmwi_same_word(word->from, value->text, value->len)) {
      if (word->to == NULL) return BMWI_REASON_ABSENT;
      *value = (bmwi_value){.kind = BMWI_VALUE_TEXT, .text = word->to, .len = strlen(word->to)};
      return BMWI_REASON_NONE;
    }
  return link->words == NULL && value->kind == BMWI_VALUE_TEXT ? BMWI_REASON_NONE
                                                               : BMWI_REASON_UNREADABLE;
}

static bmwi_reason convert_boolean(const bmwi_source *link, bmwi_value *value) {
  if (value->kind == BMWI_VALUE_BOOLEAN) return BMWI_REASON_NONE;
  if (link->words == NULL || convert_word(link, value) != BMWI_REASON_NONE)
    return BMWI_REASON_UNREADABLE;
  *value = (bmwi_value){.kind = BMWI_VALUE_BOOLEAN, .boolean = value->text[0] == 't'};
  return BMWI_REASON_NONE;
}

bmwi_reason bmwi_field_convert(const bmwi_field *field, const bmwi_source *link, bool sure,
                               bmwi_value *value, const char **unit) {
  if (value->kind == BMWI_VALUE_NONE) return value->reason;
  switch (field->measure) {
    case BMWI_MEASURE_BOOLEAN: *unit = NULL; return convert_boolean(link, value);
    case BMWI_MEASURE_WORD: *unit = NULL; return convert_word(link, value);
    case BMWI_MEASURE_POSITION:
    case BMWI_MEASURE_SERVICES:
    case BMWI_MEASURE_MESSAGES: return BMWI_REASON_NONE;
    default: return convert_number(field, sure, value, unit);
  }
}

bool bmwi_field_readable(const char *descriptor, const bmwi_value *value, const char *unit) {
  if (value->kind == BMWI_VALUE_NONE) return false;
  const bmwi_field *field = bmwi_field_of(descriptor);
  if (field == NULL) return true;
  if (field->measure == BMWI_MEASURE_POSITION) return value->kind == BMWI_VALUE_NUMBER;
  if (own_unit(field) == NULL) return true;
  double number = value->number;
  return value->kind == BMWI_VALUE_NUMBER &&
         (unit == NULL || bmwi_field_base(field, &number, unit));
}

/* ---- a distance or a volume without a unit --------------------------------------------------- */

bool bmwi_field_needs_unit(const bmwi_field *field) {
  return field->measure == BMWI_MEASURE_DISTANCE || field->measure == BMWI_MEASURE_VOLUME;
}

/* Whether a value can follow the last one. A value that only grows (the mileage) may have grown as
** in a fast drive, with some slack for whole miles and for sources that lag behind. Any other value
** may change arbitrarily, so only a nearly equal value within the hour proves anything. */
static bool fits(const bmwi_field *field, double value, double time, const bmwi_past *past) {
  double hours = (time - past->time) / 3600;
  if ((field->marks & BMWI_GROWS) != 0) {
    double slack = past->value * 0.005 + 10;
    double driven = hours > 0 ? hours * 120 : 0;
    return value >= past->value - slack && value <= past->value + slack + driven;
  }
  return fabs(hours) <= 1 && fabs(value - past->value) <= past->value * 0.02 + 1;
}

bmwi_settled bmwi_field_settle(const bmwi_field *field, double value, double time,
                               const bmwi_past *past, const char **unit) {
  if (!past->known) return BMWI_UNSETTLED;
  const char *fitting = NULL;
  bool same = false, ambiguous = false;
  double nearest = 0;
  for (size_t i = 0; i < CONVERSIONS; i++) {
    if (conversions[i].measure != field->measure) continue;
    double read = value * conversions[i].factor, away = fabs(read - past->value);
    if (!fits(field, read, time, past)) continue;
    if (past->unit != NULL && strcmp(conversions[i].unit, past->unit) == 0) same = true;
    /* If both fit, one must be much closer. */
    ambiguous = fitting != NULL && away * 4 > nearest && nearest * 4 > away;
    if (fitting == NULL || away < nearest) {
      fitting = conversions[i].unit;
      nearest = away;
    }
  }
  bool grows = (field->marks & BMWI_GROWS) != 0;
  if (same || (fitting == NULL && !grows && past->unit != NULL)) *unit = past->unit;
  else if (fitting != NULL && !ambiguous) *unit = fitting;
  else return fitting == NULL && grows ? BMWI_REFUSED : BMWI_UNSETTLED;
  return BMWI_SETTLED;
}
