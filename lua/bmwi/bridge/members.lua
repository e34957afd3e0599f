-- bmwi.bridge.members: describes each member of a status to the bridge's destinations. A row for
-- each member: `ha` is its entity in Home Assistant, `metric` its sample for Prometheus in base
-- units. A member without a row still gets its own topic.

local members = {}

-- The words that mean "on"; any other word is off, and INVALID and UNKNOWN are no value.
local PLUG = { CONNECTED = true }
local UNLOCKED = { UNLOCKED = true, SELECTIVE_LOCKED = true }
local CHARGING = { CHARGING = true }
local NO_VALUE = { INVALID = true, UNKNOWN = true }
members.NO_VALUE = NO_VALUE

-- A number: the unit is Home Assistant's, and `factor` converts it to the base unit.
local function number(member, label, ha, metric, factor, help)
  ha.platform, ha.state_class = "sensor", ha.state_class or "measurement"
  return { member = member, label = label, ha = ha,
    metric = { name = metric, factor = factor, help = help } }
end

local function word(member, label, category)
  return { member = member, label = label,
    ha = { platform = "sensor", entity_category = category } }
end

-- A word or boolean that is on or off.
local function switch(member, label, device_class, on, metric, help)
  return { member = member, label = label, on = on,
    ha = { platform = "binary_sensor", device_class = device_class },
    metric = metric and { name = metric, help = help } }
end

-- A door or window: "on" means open.
local function opening(member, label, device_class)
  return { member = member, label = label, off = { CLOSED = true },
    ha = { platform = "binary_sensor", device_class = device_class },
    metric = { name = "bmwi_open", part = member, help = "Whether a door, window, the hood, the "
      .. "trunk or the roof is open." } }
end

local function distance(state_class)
  return { device_class = "distance", unit_of_measurement = "km", state_class = state_class,
    suggested_display_precision = 0 }
end

members.ROWS = {
  number("mileage", "Mileage", distance("total_increasing"), "bmwi_mileage_meters", 1000,
    "Distance travelled by the car in its life."),
  number("chargingLevelHv", "Battery", { device_class = "battery", unit_of_measurement = "%" },
    "bmwi_battery_charge_ratio", 0.01, "State of charge of the high-voltage battery."),
  number("chargingTarget", "Charge limit", { unit_of_measurement = "%" },
    "bmwi_battery_charge_limit_ratio", 0.01, "State of charge at which charging ends."),
  number("batteryEnergyMax", "Battery size", { device_class = "energy_storage",
    unit_of_measurement = "kWh" }, "bmwi_battery_capacity_joules", 3600000,
    "Energy that the high-voltage battery can hold."),
  number("remainingRangeElectric", "Electric range", distance(), "bmwi_range_electric_meters", 1000,
    "Remaining electric range."),
  number("maxRangeElectric", "Electric range at 100 %", distance(),
    "bmwi_range_electric_full_meters", 1000, "Electric range with a full battery."),
  number("remainingRangeFuel", "Fuel range", distance(), "bmwi_range_fuel_meters", 1000,
    "Remaining range on fuel."),
  number("remainingRangeTotal", "Total range", distance(), "bmwi_range_total_meters", 1000,
    "Remaining range, electric and on fuel."),
  number("remainingFuel", "Fuel", { device_class = "volume_storage", unit_of_measurement = "L" },
    "bmwi_fuel_liters", 1, "Fuel in the tank."),
  number("fuelPercent", "Fuel level", { unit_of_measurement = "%" }, "bmwi_fuel_ratio", 0.01,
    "Fuel in the tank, of a full one."),
  number("chargingPower", "Charging power", { device_class = "power", unit_of_measurement = "W" },
    "bmwi_charging_power_watts", 1, "Power at which the battery is being charged."),
  number("chargingTimeRemaining", "Charging time left", { device_class = "duration",
    unit_of_measurement = "min" }, "bmwi_charging_remaining_seconds", 60,
    "Time until charging ends."),

  switch("connectionStatus", "Plug", "plug", PLUG, "bmwi_plugged_in",
    "Whether a charging cable is plugged in."),
  word("chargingStatus", "Charging status"),
  switch("chargingStatus", "Charging", "battery_charging", CHARGING, "bmwi_charging",
    "Whether the battery is being charged."),
  word("chargingConnectionType", "Charging by"),
  switch("singleImmediateCharging", "Immediate charging"),
  word("lastChargingEndResult", "Last charge", "diagnostic"),
  word("lastChargingEndReason", "End of the last charge", "diagnostic"),

  switch("doorLockState", "Lock", "lock", UNLOCKED, "bmwi_unlocked",
    "Whether the car is not locked, or only partly."),
  word("doorLockState", "Lock state"),
  opening("doorDriverFront", "Door driver front", "door"),
  opening("doorDriverRear", "Door driver rear", "door"),
  opening("doorPassengerFront", "Door passenger front", "door"),
  opening("doorPassengerRear", "Door passenger rear", "door"),
  opening("hood", "Hood", "door"),
  opening("trunk", "Trunk", "door"),
  opening("windowDriverFront", "Window driver front", "window"),
  opening("windowDriverRear", "Window driver rear", "window"),
  opening("windowPassengerFront", "Window passenger front", "window"),
  opening("windowPassengerRear", "Window passenger rear", "window"),
  opening("rearWindow", "Rear window", "window"),
  opening("sunroof", "Sunroof", "window"),
  opening("convertibleRoofState", "Roof", "opening"),

  switch("isMoving", "Moving", "moving", nil, "bmwi_moving", "Whether the car is moving."),
  word("climateActivity", "Climate"),
  word("parkingLight", "Parking lights"),
  { member = "position", label = "Position",
    ha = { platform = "device_tracker", source_type = "gps" } },
  { member = "cbsData", label = "Service due",
    ha = { platform = "binary_sensor", device_class = "problem" },
    template = "{{ 'ON' if value_json.cbsData | default([]) | rejectattr('cbsState', 'eq', 'OK') "
      .. "| list | count > 0 else 'OFF' }}" },
  { member = "checkControlMessages", label = "Warning",
    ha = { platform = "binary_sensor", device_class = "problem" },
    template = "{{ 'ON' if value_json.checkControlMessages | default([]) | count > 0 "
      .. "else 'OFF' }}" },
}

--- Whether there is a value: some members use a word for "no value".
function members.has_value(value)
  return value ~= nil and not NO_VALUE[value]
end

--- Whether an on/off member is on; nil if it has no value.
---@param row table with `on` or `off`
function members.is_on(row, value)
  if not members.has_value(value) then return nil end
  if type(value) == "boolean" then return value end
  if row.off then return not row.off[value] end
  return (row.on or {})[value] == true
end

return members
