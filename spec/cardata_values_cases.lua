--- The cases of spec/cardata_cases_spec.lua that are about values, by number. A row is either
--- {title, steps of values, car =, status =, details =} or {title, function}.
local assert = require("luassert")
local bmwi = require("bmwi")
local cjson = require("cjson").new()
local samples = require("spec.values_helper")
local values = bmwi._values

local NOW, NONE, merge = samples.NOW, samples.NONE, samples.merge
local MILEAGE, RANGE, LAST_RANGE = samples.MILEAGE, samples.RANGE, samples.LAST_RANGE
local LEVEL, STATUS, PORT, HOOD = samples.LEVEL, samples.STATUS, samples.PORT, samples.HOOD
local TRUNK, LOCK, FUEL, LAT = samples.TRUNK, samples.LOCK, samples.FUEL, samples.LAT
local LON, HEADING = samples.LON, samples.HEADING
local ENERGY = "vehicle.drivetrain.batteryManagement.maxEnergy"
local HV_STATUS = "vehicle.drivetrain.electricEngine.charging.hvStatus"
local PLUGGED = "vehicle.powertrain.tractionBattery.charging.port.anyPosition.isPlugged"
local DOOR = "vehicle.cabin.door.row1.driver.isOpen"
local FUEL_LEVEL = "vehicle.drivetrain.fuelSystem.level"
local CBS = "vehicle.status.conditionBasedServices"
local CBS_COUNT = "vehicle.status.conditionBasedServicesCount"

-- Merges the steps {source, rows}, each twice: the second time it is no news.
local function check(row)
  local state
  for _, step in ipairs(row[2]) do
    state = merge(state, step[1], step[2])
    local again, changed, taken = merge(state, step[1], step[2])
    assert.same({ state, {}, 0 }, { again, changed, taken })
  end
  samples.check(state, row)
end

local CASES = {}

local UK = {
  { "stream", { [MILEAGE] = { 57771, "miles", -7200 } } },
  { "stream", { [MILEAGE] = { 57808, "miles", -3600 } } },
  { "stream", { [MILEAGE] = { 57958, "miles", -600 } } },
}
local function uk_and(value, unit, seconds)
  return { UK[1], UK[2], UK[3], { "rest", { [MILEAGE] = { value, unit, seconds } } } }
end
local KM_57958 = 57958 / 0.621371

CASES[1] = {
  says = "the mileage of a car in miles jumps when REST sends kilometres without a unit",
  { "kilometres without a unit after miles", uk_and("93272", nil, -60),
    status = { mileage = 93272 },
    details = { mileage = { unit = "km", flag = "unit_inferred", raw = "93272" } } },
  { "miles without a unit after miles", uk_and("57960", nil, -60),
    status = { mileage = 57960 / 0.621371 },
    details = { mileage = { unit = "km", flag = "unit_inferred", raw = "57960" } } },
  { "what fits in no unit makes no jump", uk_and("20000", nil, -60),
    status = { mileage = KM_57958 },
    details = { mileage = { unit = "km", flag = "refused", refused = "20000", raw = 57958 } } },
  { "without a past, no unit is guessed",
    { { "rest", { [MILEAGE] = { "57958", nil, -60 }, [RANGE] = { "90", "km", -60 } } } },
    status = { mileage = 57958 },
    details = { mileage = { unit = NONE, flag = "unit_unknown" } } },
  { "a month later the same source still means the same unit",
    { { "rest", { [MILEAGE] = { "34469", "km", -30 * 86400 } } },
      { "rest", { [MILEAGE] = { "36152", nil, -60 } } } },
    status = { mileage = 36152 }, details = { mileage = { unit = "km" } } },
  { "what nobody knew proves nothing, what was sure before still does",
    { { "stream", { [MILEAGE] = { 100, "km", -30 * 86400 } } },
      { "rest", { [MILEAGE] = { "10000", nil, -7200 } } },
      { "rest", { [MILEAGE] = { "10001", nil, -3600 } } },
      { "stream", { [MILEAGE] = { 16097, "km", -1800 } } },
      { "rest", { [MILEAGE] = { "10003", nil, -60 } } } },
    status = { mileage = 10003 / 0.621371 }, details = { mileage = { flag = "unit_inferred" } } },
  { "without stamps, too",
    { { "stream", { [MILEAGE] = { 57958, "mi" } } }, { "rest", { [MILEAGE] = { "93276" } } } },
    status = { mileage = 93276 }, details = { mileage = { flag = "unit_inferred", age = NONE } } },
  { "nor is one chosen where both could be",
    { { "stream", { [MILEAGE] = { 100, "km", -30 * 86400 } } },
      { "rest", { [MILEAGE] = { "10000", nil, -60 } } } },
    status = { mileage = 10000 }, details = { mileage = { unit = NONE, flag = "unit_unknown" } } },
  { "the last unit of the same source goes before what is nearer",
    { { "rest", { [MILEAGE] = { "1000", "mi", -30 * 86400 } } },
      { "rest", { [MILEAGE] = { "2000", nil, -60 } } } },
    status = { mileage = 2000 / 0.621371 } },
  { "it is remembered while the other source speaks",
    { { "rest", { [RANGE] = { "300", "mi", -3 * 86400 } } },
      { "stream", { [RANGE] = { 480, "km", -2 * 86400 } } },
      { "rest", { [RANGE] = { "280", nil, -60 } } } },
    status = { remainingRangeElectric = 280 / 0.621371 } },
  { "so is the last value that was sure",
    { { "stream", { [RANGE] = { 200, "km", -7200 } } },
      { "rest", { [RANGE] = { "150", nil, -7000 } } },
      { "rest", { [RANGE] = { "124", nil, -6800 } } } },
    status = { remainingRangeElectric = 124 / 0.621371 } },
}

CASES[2] = {
  says = "one burst of a car that sends km is in miles",
  { "one burst in miles between km",
    { { "stream", { [MILEAGE] = { 81623, "km", -300 }, [RANGE] = { 200, "km", -300 } } },
      { "stream", { [MILEAGE] = { 50720, "miles", -200 }, [RANGE] = { 124, "miles", -200 } } } },
    status = { mileage = 50720 / 0.621371, remainingRangeElectric = 124 / 0.621371 },
    details = { mileage = { unit = "km", raw = 50720 },
      remainingRangeElectric = { unit = "km", flag = NONE } } },
  { "and km again",
    { { "stream", { [MILEAGE] = { 50720, "MILE", -200 } } },
      { "rest", { [MILEAGE] = { "81630", "KILOMETER", -100 } } } },
    status = { mileage = 81630 } },
}

CASES[4] = {
  says = "whether a door is open comes as text, as a boolean and as a word",
  { "openings as words, texts and booleans",
    { { "rest", { [HOOD] = { "false", nil, -9 }, [TRUNK] = { "CLOSED", nil, -9 },
        [DOOR] = { "OPEN", nil, -9 } } },
      { "stream", { [TRUNK] = { true, nil, -5 } } } },
    status = { hood = "CLOSED", trunk = "OPEN", doorDriverFront = "OPEN" },
    details = { trunk = { raw = true, source = "stream" }, hood = { raw = "false" } } },
  { "an unknown word is no value",
    { { "rest", { [HOOD] = { "AJAR", nil, -9 }, [LOCK] = { "BOLTED", nil, -9 },
      [STATUS] = { "MANUAL_SELECTION", nil, -9 } } } },
    status = { hood = NONE, doorLockState = NONE, chargingStatus = NONE },
    details = { hood = { reason = "unreadable", raw = "AJAR", descriptor = HOOD } } },
}

CASES[6] = {
  says = "a recorded response has an INVALID that is newer than all else, and a range without unit",
  { "INVALID is ignored although it is the newest; a range is km as the mileage is",
    { { "rest", { [MILEAGE] = { "10489", "km", -900 }, [RANGE] = { "199", nil, -900 },
      [PLUGGED] = { nil, nil, nil }, [LEVEL] = { "66", "%", -900 },
      [PORT] = { "DISCONNECTED", nil, -900 }, [HV_STATUS] = { "INVALID", nil, -180 } } } },
    car = "BEV",
    status = { mileage = 10489, remainingRangeElectric = 199, chargingLevelHv = 66,
      connectionStatus = "DISCONNECTED", chargingStatus = "NOT_CHARGING",
      updateTime = "2026-03-01T09:45:00+0000" },
    details = { remainingRangeElectric = { unit = "km", flag = "unit_inferred" },
      chargingStatus = { descriptor = PORT } } },
  { "where no distance says km, a range has no unit",
    { { "rest", { [RANGE] = { "199", nil, -900 } } } },
    status = { remainingRangeElectric = 199 },
    details = { remainingRangeElectric = { unit = NONE, flag = "unit_unknown" } } },
  { "a distance in miles speaks against km",
    { { "rest", { [RANGE] = { "199", nil, -9 }, [MILEAGE] = { "10489", "mi", -9 },
      [LAST_RANGE] = { "300", "km", -9 } } } },
    details = { remainingRangeElectric = { unit = NONE, flag = "unit_unknown" } } },
  { "a CHARGING that came before stays, INVALID never takes its place",
    { { "rest", { [HV_STATUS] = { "CHARGING", nil, -900 } } },
      { "rest", { [HV_STATUS] = { "INVALID", nil, -60 } } } },
    status = { chargingStatus = "CHARGING" }, details = { chargingStatus = { age = 900 } } },
  { "its stamp, which is that of the request, is not when the car spoke",
    { { "rest", { [HV_STATUS] = { "NOT_CHARGING", nil, -1 }, [LEVEL] = { "66", "%", -900 } } } },
    status = { chargingStatus = "NOT_CHARGING", updateTime = "2026-03-01T09:45:00+0000" } },
  { "of a car that is plugged in nothing follows",
    { { "rest", { [PORT] = { "CONNECTED", nil, -9 } } } },
    status = { chargingStatus = NONE, connectionStatus = "CONNECTED" },
    details = { chargingStatus = { reason = "absent" } } },
}

CASES[8] = {
  says = "the stream's typed values break a client that read REST's texts before",
  { "typed values of the stream after texts of REST",
    { { "rest", { [RANGE] = { "280", "km", -300 } } },
      { "stream", { [RANGE] = { 275, "km", -100 } } } },
    status = { remainingRangeElectric = 275 },
    details = { remainingRangeElectric = { raw = 275, source = "stream", time = NOW - 100 } } },
}

CASES[10] = {
  says = "a change of the charging current sends all values again, with the time of the start",
  { "values that are sent again with an old stamp change nothing",
    { { "stream", { [LEVEL] = { 71, "%", -60 } } }, { "stream", { [LEVEL] = { 40, "%", -3600 } } },
      { "stream", { [LEVEL] = { 71, "%", -60 } } } },
    status = { chargingLevelHv = 71 } },
}

CASES[11] = {
  says = "the mileage has stood still for a month while all else is fresh",
  { "each field has its own age",
    { { "rest", { [MILEAGE] = { "34469", "km", -33 * 86400 }, [LEVEL] = { "80", "%", -60 } } } },
    status = { mileage = 34469, chargingLevelHv = 80 },
    details = { mileage = { age = 33 * 86400 }, chargingLevelHv = { age = 60 },
      updateTime = { age = 60, descriptor = LEVEL } } },
}

CASES[27] = {
  says = "latitude and longitude come apart, repeated, and from a place far away",
  { "latitude and longitude of different moments are no position",
    { { "stream", { [LAT] = { 48.1, nil, -60 } } },
      { "stream", { [LON] = { 11.5, nil, -39 } } } },
    status = { position = NONE }, details = { position = { reason = "unpaired" } } },
  { "they are paired by their stamp, and the last pair stays",
    { { "stream", { [LAT] = { 48.1, nil, -60 } } }, { "stream", { [LON] = { 11.5, nil, -60 } } },
      { "stream", { [HEADING] = { 90, nil, -60 } } },
      { "stream", { [LAT] = { 48.2, nil, -30 } } } },
    status = { position = { lat = 48.1, lon = 11.5, heading = 90, status = "OK" } },
    details = { position = { time = NOW - 60, age = 60, source = "stream" } } },
  { "0, 0 is not where the car is",
    { { "rest", { [LAT] = { "0", nil, -60 }, [LON] = { "0", nil, -60 } } } },
    status = { position = NONE } },
}

CASES[28] = {
  says = "a petrol car counts as electric, and zeroes of what a car does not have as values",
  { "a petrol car has no plug, whatever it sends", car = "CONV",
    { { "rest", { [LEVEL] = { "0", "%", -60 }, [RANGE] = { "0", "km", -60 },
      [PORT] = { "DISCONNECTED", nil, -60 }, [FUEL] = { "31", "l", -60 },
      [LAST_RANGE] = { "410", "km", -60 }, [FUEL_LEVEL] = { "58", "%", -60 } } } },
    status = { chargingLevelHv = NONE, remainingRangeElectric = NONE, connectionStatus = NONE,
      chargingStatus = NONE, remainingFuel = 31, fuelPercent = 58, remainingRangeFuel = 410 },
    details = { chargingLevelHv = { reason = "not_fitted" } } },
  { "nor has a mild hybrid", car = "MHEV",
    { { "rest", { [LEVEL] = { "50", "%", -60 }, [FUEL] = { "31", "l", -60 } } } },
    status = { chargingLevelHv = NONE, remainingFuel = 31 } },
  { "an unknown drive train: zeroes are no values, all else is", car = "FCEV",
    { { "rest", { [LEVEL] = { "50", "%", -60 }, [FUEL] = { "0", "l", -60 },
      [FUEL_LEVEL] = { "12", "%", -60 } } } },
    status = { chargingLevelHv = 50, remainingFuel = NONE, fuelPercent = 12 },
    details = { remainingFuel = { reason = "zero", raw = "0" } } },
  { "zeroes of what an electric car does not have", car = "BEV",
    { { "rest", { [FUEL] = { "0", "l", -60 }, [LAST_RANGE] = { "0", "km", -60 },
      [ENERGY] = { "0", "kWh", -60 }, [LEVEL] = { "0", "%", -60 } } } },
    status = { remainingFuel = NONE, remainingRangeFuel = NONE, remainingRangeTotal = NONE,
      batteryEnergyMax = NONE, chargingLevelHv = 0 },
    details = { remainingFuel = { reason = "not_fitted" },
      batteryEnergyMax = { reason = "zero" } } },
  { "a plug-in hybrid's range is that of both its energies", car = "PHEV",
    { { "rest", { [LAST_RANGE] = { "512", "km", -60 }, [RANGE] = { "41", "km", -60 } } } },
    status = { remainingRangeTotal = 512, remainingRangeFuel = NONE, remainingRangeElectric = 41 },
    details = { remainingRangeFuel = { reason = "combined" } } },
}

-- A CBS string as received: a JSON array with sentinels inside.
local function cbs(items)
  return { value = cjson.encode(items), timestamp = samples.at(-60) }
end
local ITEMS = {
  { id = 2, messageType = "CBS", status = "PENDING", title = "Brakes, front", description = "Soon.",
    date = "null", text = "-", unitOfLengthRemaining = "1900" },
  { id = 32, messageType = "CBS", status = "OK", title = "Inspection", description = "-",
    date = "2027-05", text = "-", unitOfLengthRemaining = "-" },
  { id = 77, messageType = "CBS", status = "OK", title = "Wipers", description = "Some day.",
    date = "2028-01", text = "-", unitOfLengthRemaining = "30000" },
}

CASES[32] = {
  says = "texts stand for absent values in the service items, whose count is wrong",
  { "fuel without a unit, two days older than the percentage", car = "CONV",
    { { "rest", { [FUEL] = { "24", nil, -2 * 86400 }, [FUEL_LEVEL] = { "52", "%", -60 } } } },
    status = { remainingFuel = 24, fuelPercent = 52 },
    details = { remainingFuel = { unit = NONE, flag = "unit_unknown", age = 2 * 86400 } } },
  { "service items without their sentinels, whatever the count says", function()
    local answer = { [CBS] = cbs(ITEMS),
      [CBS_COUNT] = { value = "9", timestamp = samples.at(-3600) },
      [MILEAGE] = { value = "48000", unit = "km", timestamp = samples.at(-60) } }
    local state = values.merge(nil, answer, { source = "rest", now = NOW })
    assert.same({
      { cbsType = "BRAKE_PADS_FRONT", cbsState = "PENDING", cbsDescription = "Soon.",
        cbsRemainingMileage = 1900 },
      { cbsType = "VEHICLE_TUV", cbsState = "OK", cbsDescription = "Inspection",
        cbsDueDate = "2027-05" },
      { cbsType = "Wipers", cbsState = "OK", cbsDescription = "Some day.", cbsDueDate = "2028-01",
        cbsRemainingMileage = 30000 },
    }, values.status(state).cbsData)
  end },
  { "null after parking keeps what was known; no distance without any unit", function()
    local state = values.merge(nil, { [CBS] = cbs(ITEMS) }, { source = "rest", now = NOW })
    state = merge(state, "rest", { [CBS] = {} })
    local list = values.status(state).cbsData
    assert.equal(3, #list)
    assert.is_nil(list[1].cbsRemainingMileage)
  end },
  { "anything but a list gives a reason", function()
    for _, text in ipairs({ "{}x", "[", '{"a":1}', "7", "none" }) do
      local state = merge(nil, "rest", { [CBS] = { text, nil, -60 } })
      local status, details = values.status(state)
      assert.is_nil(status.cbsData)
      assert.equal("unreadable", details.cbsData.reason)
    end
    for _, text in ipairs({ "[]", "[7, null]" }) do
      local state = merge(nil, "rest", { [CBS] = { text, nil, -60 } })
      assert.equal("[]", bmwi.json.encode(values.status(state).cbsData))
    end
  end },
}

-- What is to run for each row.
for _, rows in pairs(CASES) do
  for i, row in ipairs(rows) do
    if type(row[2]) == "table" then rows[i] = { row[1], function() check(row) end } end
  end
end

return CASES
