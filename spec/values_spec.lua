-- Values of CarData: how they are read, kept and turned into a status. The samples are made up, in
-- observed forms. The client is built on the private table bmwi._values.
local bmwi = require("bmwi")
local cjson = require("cjson").new()
local time = require("bmwi.time")
local values = bmwi._values

local NOW = 1772359200 -- 2026-03-01T10:00:00Z

local MILEAGE = "vehicle.vehicle.travelledDistance"
local RANGE = "vehicle.drivetrain.electricEngine.kombiRemainingElectricRange"
local RANGE_2 = "vehicle.drivetrain.electricEngine.remainingElectricRange"
local LAST_RANGE = "vehicle.drivetrain.lastRemainingRange"
local LEVEL = "vehicle.drivetrain.batteryManagement.header"
local LEVEL_NEW = "vehicle.powertrain.electric.battery.stateOfCharge.displayed"
local LEVEL_PREDICTED = "vehicle.drivetrain.electricEngine.charging.level"
local TARGET = "vehicle.powertrain.electric.battery.stateOfCharge.target"
local ENERGY = "vehicle.drivetrain.batteryManagement.maxEnergy"
local STATUS = "vehicle.drivetrain.electricEngine.charging.status"
local HV_STATUS = "vehicle.drivetrain.electricEngine.charging.hvStatus"
local MINUTES = "vehicle.drivetrain.electricEngine.charging.timeRemaining"
local POWER = "vehicle.powertrain.electric.battery.charging.power"
local PORT = "vehicle.body.chargingPort.status"
local PORT_NEW = "vehicle.body.chargingPort.combinedStatus"
local PLUGGED = "vehicle.powertrain.tractionBattery.charging.port.anyPosition.isPlugged"
local HOOD = "vehicle.body.hood.isOpen"
local TRUNK = "vehicle.body.trunk.isOpen"
local DOOR = "vehicle.cabin.door.row1.driver.isOpen"
local LOCK = "vehicle.cabin.door.lock.status"
local LOCK_2 = "vehicle.cabin.door.status"
local WINDOW = "vehicle.cabin.window.row1.driver.status"
local ROOF = "vehicle.cabin.sunroof.status"
local ROOF_ALL = "vehicle.cabin.sunroof.overallStatus"
local FUEL = "vehicle.drivetrain.fuelSystem.remainingFuel"
local FUEL_LEVEL = "vehicle.drivetrain.fuelSystem.level"
local CLIMATE = "vehicle.vehicle.preConditioning.activity"
local ONCE = "vehicle.drivetrain.electricEngine.charging.isSingleImmediateCharging"
local CBS = "vehicle.status.conditionBasedServices"
local CBS_COUNT = "vehicle.status.conditionBasedServicesCount"
local LAT = "vehicle.cabin.infotainment.navigation.currentLocation.latitude"
local LON = "vehicle.cabin.infotainment.navigation.currentLocation.longitude"
local HEADING = "vehicle.cabin.infotainment.navigation.currentLocation.heading"
local TYRE = "vehicle.chassis.axle.row1.wheel.left.tire.pressure"
local DEMAND = "vehicle.electricalSystem.battery.serviceDemand.recharge"

-- Seconds relative to NOW as a REST timestamp.
local function at(seconds)
  return time.format(NOW + seconds)
end

-- {value, unit, seconds relative to NOW}: one entry as in a response.
local function burst(rows)
  local list = {}
  for descriptor, row in pairs(rows) do
    list[descriptor] = { value = row[1], unit = row[2], timestamp = row[3] and at(row[3]) }
  end
  return list
end

local function merge(state, source, rows, now)
  return values.merge(state, burst(rows), { source = source, now = now or NOW })
end

-- Steps are {source, rows[, now]}, one after the other.
local function after(steps)
  local state
  for _, step in ipairs(steps) do state = merge(state, step[1], step[2], step[3]) end
  return state
end

-- Public bug reports of other clients, numbered. `status` and `details` are what must be present.
local NONE = {}
local UK = {
  { "stream", { [MILEAGE] = { 57771, "miles", -7200 } } },
  { "stream", { [MILEAGE] = { 57808, "miles", -3600 } } },
  { "stream", { [MILEAGE] = { 57958, "miles", -600 } } },
}
local function uk_and(value, unit, seconds)
  return { UK[1], UK[2], UK[3], { "rest", { [MILEAGE] = { value, unit, seconds } } } }
end
local KM_57958 = 57958 / 0.621371

local CASES = {
  { "1: kilometres without a unit after miles", uk_and("93272", nil, -60),
    status = { mileage = 93272 },
    details = { mileage = { unit = "km", flag = "unit_inferred", raw = "93272" } } },
  { "1: miles without a unit after miles", uk_and("57960", nil, -60),
    status = { mileage = 57960 / 0.621371 },
    details = { mileage = { unit = "km", flag = "unit_inferred", raw = "57960" } } },
  { "1: what fits in no unit makes no jump", uk_and("20000", nil, -60),
    status = { mileage = KM_57958 },
    details = { mileage = { unit = "km", flag = "refused", refused = "20000", raw = 57958 } } },
  { "1: without a past, no unit is guessed",
    { { "rest", { [MILEAGE] = { "57958", nil, -60 }, [RANGE] = { "90", "km", -60 } } } },
    status = { mileage = 57958 },
    details = { mileage = { unit = NONE, flag = "unit_unknown" } } },
  { "1: a month later the same source still means the same unit",
    { { "rest", { [MILEAGE] = { "34469", "km", -30 * 86400 } } },
      { "rest", { [MILEAGE] = { "36152", nil, -60 } } } },
    status = { mileage = 36152 }, details = { mileage = { unit = "km" } } },
  { "1: what nobody knew proves nothing, what was sure before still does",
    { { "stream", { [MILEAGE] = { 100, "km", -30 * 86400 } } },
      { "rest", { [MILEAGE] = { "10000", nil, -7200 } } },
      { "rest", { [MILEAGE] = { "10001", nil, -3600 } } },
      { "stream", { [MILEAGE] = { 16097, "km", -1800 } } },
      { "rest", { [MILEAGE] = { "10003", nil, -60 } } } },
    status = { mileage = 10003 / 0.621371 }, details = { mileage = { flag = "unit_inferred" } } },
  { "1: without stamps, too",
    { { "stream", { [MILEAGE] = { 57958, "mi" } } }, { "rest", { [MILEAGE] = { "93276" } } } },
    status = { mileage = 93276 }, details = { mileage = { flag = "unit_inferred", age = NONE } } },
  { "1: nor is one chosen where both could be",
    { { "stream", { [MILEAGE] = { 100, "km", -30 * 86400 } } },
      { "rest", { [MILEAGE] = { "10000", nil, -60 } } } },
    status = { mileage = 10000 }, details = { mileage = { unit = NONE, flag = "unit_unknown" } } },
  { "1: the last unit of the same source goes before what is nearer",
    { { "rest", { [MILEAGE] = { "1000", "mi", -30 * 86400 } } },
      { "rest", { [MILEAGE] = { "2000", nil, -60 } } } },
    status = { mileage = 2000 / 0.621371 } },
  { "1: it is remembered while the other source speaks",
    { { "rest", { [RANGE] = { "300", "mi", -3 * 86400 } } },
      { "stream", { [RANGE] = { 480, "km", -2 * 86400 } } },
      { "rest", { [RANGE] = { "280", nil, -60 } } } },
    status = { remainingRangeElectric = 280 / 0.621371 } },
  { "1: so is the last value that was sure",
    { { "stream", { [RANGE] = { 200, "km", -7200 } } },
      { "rest", { [RANGE] = { "150", nil, -7000 } } },
      { "rest", { [RANGE] = { "124", nil, -6800 } } } },
    status = { remainingRangeElectric = 124 / 0.621371 } },
  { "2: one burst in miles between km",
    { { "stream", { [MILEAGE] = { 81623, "km", -300 }, [RANGE] = { 200, "km", -300 } } },
      { "stream", { [MILEAGE] = { 50720, "miles", -200 }, [RANGE] = { 124, "miles", -200 } } } },
    status = { mileage = 50720 / 0.621371, remainingRangeElectric = 124 / 0.621371 },
    details = { mileage = { unit = "km", raw = 50720 },
      remainingRangeElectric = { unit = "km", flag = NONE } } },
  { "2: and km again",
    { { "stream", { [MILEAGE] = { 50720, "MILE", -200 } } },
      { "rest", { [MILEAGE] = { "81630", "KILOMETER", -100 } } } },
    status = { mileage = 81630 } },
  { "4: openings as words, texts and booleans",
    { { "rest", { [HOOD] = { "false", nil, -9 }, [TRUNK] = { "CLOSED", nil, -9 },
        [DOOR] = { "OPEN", nil, -9 } } },
      { "stream", { [TRUNK] = { true, nil, -5 } } } },
    status = { hood = "CLOSED", trunk = "OPEN", doorDriverFront = "OPEN" },
    details = { trunk = { raw = true, source = "stream" }, hood = { raw = "false" } } },
  { "4: a word that nobody knows is no value",
    { { "rest", { [HOOD] = { "AJAR", nil, -9 }, [LOCK] = { "BOLTED", nil, -9 },
      [STATUS] = { "MANUAL_SELECTION", nil, -9 } } } },
    status = { hood = NONE, doorLockState = NONE, chargingStatus = NONE },
    details = { hood = { reason = "unreadable", raw = "AJAR", descriptor = HOOD } } },
  { "6: INVALID is ignored although it is the newest; a range is km as the mileage is",
    { { "rest", { [MILEAGE] = { "10489", "km", -900 }, [RANGE] = { "199", nil, -900 },
      [PLUGGED] = { nil, nil, nil }, [LEVEL] = { "66", "%", -900 },
      [PORT] = { "DISCONNECTED", nil, -900 }, [HV_STATUS] = { "INVALID", nil, -180 } } } },
    car = "BEV",
    status = { mileage = 10489, remainingRangeElectric = 199, chargingLevelHv = 66,
      connectionStatus = "DISCONNECTED", chargingStatus = "NOT_CHARGING",
      updateTime = "2026-03-01T09:45:00+0000" },
    details = { remainingRangeElectric = { unit = "km", flag = "unit_inferred" },
      chargingStatus = { descriptor = PORT } } },
  { "6: where no distance says km, a range has no unit",
    { { "rest", { [RANGE] = { "199", nil, -900 } } } },
    status = { remainingRangeElectric = 199 },
    details = { remainingRangeElectric = { unit = NONE, flag = "unit_unknown" } } },
  { "6: a distance in miles speaks against km",
    { { "rest", { [RANGE] = { "199", nil, -9 }, [MILEAGE] = { "10489", "mi", -9 },
      [LAST_RANGE] = { "300", "km", -9 } } } },
    details = { remainingRangeElectric = { unit = NONE, flag = "unit_unknown" } } },
  { "6: a CHARGING that came before stays, INVALID never takes its place",
    { { "rest", { [HV_STATUS] = { "CHARGING", nil, -900 } } },
      { "rest", { [HV_STATUS] = { "INVALID", nil, -60 } } } },
    status = { chargingStatus = "CHARGING" }, details = { chargingStatus = { age = 900 } } },
  { "6: its stamp, which is that of the request, is not when the car spoke",
    { { "rest", { [HV_STATUS] = { "NOT_CHARGING", nil, -1 }, [LEVEL] = { "66", "%", -900 } } } },
    status = { chargingStatus = "NOT_CHARGING", updateTime = "2026-03-01T09:45:00+0000" } },
  { "6: of a car that is plugged in nothing follows",
    { { "rest", { [PORT] = { "CONNECTED", nil, -9 } } } },
    status = { chargingStatus = NONE, connectionStatus = "CONNECTED" },
    details = { chargingStatus = { reason = "absent" } } },
  { "8: typed values of the stream after texts of REST",
    { { "rest", { [RANGE] = { "280", "km", -300 } } },
      { "stream", { [RANGE] = { 275, "km", -100 } } } },
    status = { remainingRangeElectric = 275 },
    details = { remainingRangeElectric = { raw = 275, source = "stream", time = NOW - 100 } } },
  { "10: values that are sent again with an old stamp change nothing",
    { { "stream", { [LEVEL] = { 71, "%", -60 } } }, { "stream", { [LEVEL] = { 40, "%", -3600 } } },
      { "stream", { [LEVEL] = { 71, "%", -60 } } } },
    status = { chargingLevelHv = 71 } },
  { "11: each field has its own age",
    { { "rest", { [MILEAGE] = { "34469", "km", -33 * 86400 }, [LEVEL] = { "80", "%", -60 } } } },
    status = { mileage = 34469, chargingLevelHv = 80 },
    details = { mileage = { age = 33 * 86400 }, chargingLevelHv = { age = 60 },
      updateTime = { age = 60, descriptor = LEVEL } } },
  { "27: latitude and longitude of different moments are no position",
    { { "stream", { [LAT] = { 48.1, nil, -60 } } },
      { "stream", { [LON] = { 11.5, nil, -39 } } } },
    status = { position = NONE }, details = { position = { reason = "unpaired" } } },
  { "27: they are paired by their stamp, and the last pair stays",
    { { "stream", { [LAT] = { 48.1, nil, -60 } } }, { "stream", { [LON] = { 11.5, nil, -60 } } },
      { "stream", { [HEADING] = { 90, nil, -60 } } },
      { "stream", { [LAT] = { 48.2, nil, -30 } } } },
    status = { position = { lat = 48.1, lon = 11.5, heading = 90, status = "OK" } },
    details = { position = { time = NOW - 60, age = 60, source = "stream" } } },
  { "27: 0, 0 is not where the car is",
    { { "rest", { [LAT] = { "0", nil, -60 }, [LON] = { "0", nil, -60 } } } },
    status = { position = NONE } },
  { "28: a petrol car has no plug, whatever it sends", car = "CONV",
    { { "rest", { [LEVEL] = { "0", "%", -60 }, [RANGE] = { "0", "km", -60 },
      [PORT] = { "DISCONNECTED", nil, -60 }, [FUEL] = { "31", "l", -60 },
      [LAST_RANGE] = { "410", "km", -60 }, [FUEL_LEVEL] = { "58", "%", -60 } } } },
    status = { chargingLevelHv = NONE, remainingRangeElectric = NONE, connectionStatus = NONE,
      chargingStatus = NONE, remainingFuel = 31, fuelPercent = 58, remainingRangeFuel = 410 },
    details = { chargingLevelHv = { reason = "not_fitted" } } },
  { "28: nor has a mild hybrid", car = "MHEV",
    { { "rest", { [LEVEL] = { "50", "%", -60 }, [FUEL] = { "31", "l", -60 } } } },
    status = { chargingLevelHv = NONE, remainingFuel = 31 } },
  { "28: a drive train that nobody knows: zeroes are no values, all else is", car = "FCEV",
    { { "rest", { [LEVEL] = { "50", "%", -60 }, [FUEL] = { "0", "l", -60 },
      [FUEL_LEVEL] = { "12", "%", -60 } } } },
    status = { chargingLevelHv = 50, remainingFuel = NONE, fuelPercent = 12 },
    details = { remainingFuel = { reason = "zero", raw = "0" } } },
  { "28: zeroes of what an electric car does not have", car = "BEV",
    { { "rest", { [FUEL] = { "0", "l", -60 }, [LAST_RANGE] = { "0", "km", -60 },
      [ENERGY] = { "0", "kWh", -60 }, [LEVEL] = { "0", "%", -60 } } } },
    status = { remainingFuel = NONE, remainingRangeFuel = NONE, remainingRangeTotal = NONE,
      batteryEnergyMax = NONE, chargingLevelHv = 0 },
    details = { remainingFuel = { reason = "not_fitted" },
      batteryEnergyMax = { reason = "zero" } } },
  { "28: a plug-in hybrid's range is that of both its energies", car = "PHEV",
    { { "rest", { [LAST_RANGE] = { "512", "km", -60 }, [RANGE] = { "41", "km", -60 } } } },
    status = { remainingRangeTotal = 512, remainingRangeFuel = NONE, remainingRangeElectric = 41 },
    details = { remainingRangeFuel = { reason = "combined" } } },
  { "32: fuel without a unit, two days older than the percentage", car = "CONV",
    { { "rest", { [FUEL] = { "24", nil, -2 * 86400 }, [FUEL_LEVEL] = { "52", "%", -60 } } } },
    status = { remainingFuel = 24, fuelPercent = 52 },
    details = { remainingFuel = { unit = NONE, flag = "unit_unknown", age = 2 * 86400 } } },
}

-- A CBS string as received: a JSON array with sentinels inside.
local function cbs(items)
  return { value = cjson.encode(items), timestamp = at(-60) }
end
local ITEMS = {
  { id = 2, messageType = "CBS", status = "PENDING", title = "Brakes, front", description = "Soon.",
    date = "null", text = "-", unitOfLengthRemaining = "1900" },
  { id = 32, messageType = "CBS", status = "OK", title = "Inspection", description = "-",
    date = "2027-05", text = "-", unitOfLengthRemaining = "-" },
  { id = 77, messageType = "CBS", status = "OK", title = "Wipers", description = "Some day.",
    date = "2028-01", text = "-", unitOfLengthRemaining = "30000" },
}

local function check(case)
  local state = after(case[2] or case.steps)
  local status, details = values.status(state, { now = NOW, drive_train = case.car })
  for member, expected in pairs(case.status or {}) do
    if type(expected) == "number" then
      assert.is_number(status[member], member)
      assert.is_true(math.abs(expected - status[member]) < 1e-6, member .. ": " .. status[member])
    else
      if expected == NONE then expected = nil end
      assert.same(expected, status[member], member)
    end
  end
  for member, expected in pairs(case.details or {}) do
    for name, value in pairs(expected) do
      if value == NONE then value = nil end
      assert.equal(value, details[member][name], member .. "." .. name)
    end
  end
end

describe("public case", function()
  for _, case in ipairs(CASES) do
    it(case[1], function() check(case) end)
  end

  it("32: service items without their sentinels, whatever the count says", function()
    local answer = { [CBS] = cbs(ITEMS), [CBS_COUNT] = { value = "9", timestamp = at(-3600) },
      [MILEAGE] = { value = "48000", unit = "km", timestamp = at(-60) } }
    local state = values.merge(nil, answer, { source = "rest", now = NOW })
    assert.same({
      { cbsType = "BRAKE_PADS_FRONT", cbsState = "PENDING", cbsDescription = "Soon.",
        cbsRemainingMileage = 1900 },
      { cbsType = "VEHICLE_TUV", cbsState = "OK", cbsDescription = "Inspection",
        cbsDueDate = "2027-05" },
      { cbsType = "Wipers", cbsState = "OK", cbsDescription = "Some day.", cbsDueDate = "2028-01",
        cbsRemainingMileage = 30000 },
    }, values.status(state).cbsData)
  end)

  it("32: null after parking keeps what was known; no distance without any unit", function()
    local state = values.merge(nil, { [CBS] = cbs(ITEMS) }, { source = "rest", now = NOW })
    state = merge(state, "rest", { [CBS] = {} })
    local list = values.status(state).cbsData
    assert.equal(3, #list)
    assert.is_nil(list[1].cbsRemainingMileage)
  end)

  it("32: anything but a list gives a reason", function()
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
  end)
end)

-- One row per car: what it sends, and the whole status.
local CARS = {
  { "an i3", car = "BEV", steps = { { "rest", {
      [MILEAGE] = { "61234", "km", -60 }, [LEVEL] = { "58", "%", -60 },
      [RANGE] = { "INVALID", nil, -60 }, [RANGE_2] = { "131", "km", -60 },
      [STATUS] = { "CHARGINGACTIVE", nil, -60 }, [PORT] = { "CONNECTED", nil, -60 },
      [MINUTES] = { "95", "min", -60 }, [POWER] = { "11260", "W", -60 },
      [LOCK] = { "SELECTIVE-LOCKED", nil, -60 }, [WINDOW] = { "INTERMEDIATE", nil, -60 },
      [ONCE] = { "DIRECT_CHG_ONCE_NOT_ACTIVE", nil, -60 }, [CLIMATE] = { "inactive", nil, -60 },
      [TARGET] = { "80", "percent", -60 } } } },
    whole = { mileage = 61234, chargingLevelHv = 58, remainingRangeElectric = 131,
      chargingStatus = "CHARGING", connectionStatus = "CONNECTED", chargingTimeRemaining = 95,
      chargingPower = 11260, doorLockState = "SELECTIVE_LOCKED", windowDriverFront = "INTERMEDIATE",
      singleImmediateCharging = false, climateActivity = "INACTIVE", chargingTarget = 80 } },
  { "a New Class car", car = "BEV", steps = { { "stream", {
      [LEVEL_NEW] = { 64.5, "%", -60 }, [PORT] = { nil, nil, nil },
      [PORT_NEW] = { "DISCONNECTED", nil, -60 }, [STATUS] = { "NOCHARGING", nil, -60 },
      [LOCK_2] = { "ASN_locked", nil, -60 }, [ROOF] = { "CLOSED", nil, -60 },
      [ROOF_ALL] = { "OPEN_TILT", nil, -60 } } } },
    whole = { chargingLevelHv = 64.5, connectionStatus = "DISCONNECTED",
      chargingStatus = "NOT_CHARGING", doorLockState = "LOCKED", sunroof = "OPEN_TILT" } },
  { "a petrol car in miles and gallons", car = "CONV", steps = { { "rest", {
      [MILEAGE] = { "621.371", "mi", -60 }, [FUEL] = { "10", "gal", -60 },
      [LAST_RANGE] = { "62.1371", "miles", -60 } } } },
    whole = { mileage = 1000, remainingFuel = 37.85411784, remainingRangeFuel = 100,
      remainingRangeTotal = 100 } },
}

describe("the status of", function()
  for _, case in ipairs(CARS) do
    it(case[1], function()
      case.status = case.whole
      check(case)
      local status = values.status(after(case.steps), { now = NOW, drive_train = case.car })
      for member, value in pairs(status) do
        if member ~= "updateTime" then
          assert.are_not.equal(nil, case.whole[member], member .. " = " .. tostring(value))
        end
      end
    end)
  end

  it("every car has a value or a reason with a sentence for each field", function()
    for _, state in ipairs({ {}, after(CARS[1].steps), after(CARS[3].steps) }) do
      local status, details = values.status(state, { now = NOW })
      local count = 0
      for member, detail in pairs(details) do
        count = count + 1
        if status[member] == nil then
          assert.is_string(detail.reason, member)
          assert.is_string(detail.descriptor, member)
          assert.is_true(#detail.message > 10, member)
        else
          assert.same(status[member], detail.value)
          assert.is_nil(detail.reason)
        end
      end
      assert.is_true(count >= 35)
    end
  end)

  it("a car whose level is only predicted says so", function()
    local state = after({ { "rest", { [LEVEL_PREDICTED] = { "44", "%", -9 } } } })
    local _, details = values.status(state)
    assert.equal("predicted", details.chargingLevelHv.flag)
  end)

  it("a car with a unit that does not belong there gives a reason", function()
    local status, details = values.status(after({ { "rest", { [LEVEL] = { "44", "km", -9 } } } }))
    assert.is_nil(status.chargingLevelHv)
    assert.equal("unit", details.chargingLevelHv.reason)
  end)
end)

-- A reproducible shuffle, and everything that the cases send as one list.
local seed = 7
local function random(n)
  seed = (seed * 16807) % 2147483647
  return seed % n + 1
end

local function shuffled(list)
  local copy = {}
  for _, descriptor in ipairs(list) do table.insert(copy, random(#copy + 1), descriptor) end
  local new = {}
  for _, descriptor in ipairs(copy) do new[descriptor] = list[descriptor] end
  return new
end

describe("merging", function()
  it("gives the same result in any order of the members", function()
    local all = burst({ [TYRE] = { "240", "kPa", -60 }, [DEMAND] = { "0", nil, 0 },
      [LAT] = { "48.1", nil, -60 }, [LON] = { "11.5", nil, -60 }, [HEADING] = { "9", nil, -60 } })
    for _, case in ipairs({ CARS[1], CARS[2], CASES[11] }) do
      for _, step in ipairs(case.steps or case[2]) do
        for descriptor, entry in pairs(burst(step[2])) do all[descriptor] = entry end
      end
    end
    local names = {}
    for descriptor in pairs(all) do names[#names + 1] = descriptor end
    table.sort(names)
    for _, name in ipairs(names) do names[name] = all[name] end
    local whole = values.merge(nil, all, { source = "rest", now = NOW })
    for _ = 1, 20 do
      assert.same(whole, values.merge(nil, shuffled(names), { source = "rest", now = NOW }))
      -- Merging one after the other gives the same.
      local state
      for descriptor, entry in pairs(shuffled(names)) do
        state = values.merge(state, { [descriptor] = entry }, { source = "rest", now = NOW })
      end
      assert.same(whole, state)
    end
  end)

  it("the same values twice changes nothing", function()
    for _, case in ipairs(CASES) do
      local state
      for _, step in ipairs(case[2]) do
        state = merge(state, step[1], step[2])
        local again, changed, taken = merge(state, step[1], step[2])
        assert.same(state, again, case[1])
        assert.same({}, changed)
        assert.equal(0, taken)
      end
    end
  end)

  it("does not modify the old state", function()
    local before = merge(nil, "rest", { [LEVEL] = { "50", "%", -60 } })
    local copy = cjson.encode(before[LEVEL])
    merge(before, "stream", { [LEVEL] = { 60, "%", -30 }, [HOOD] = { true, nil, -30 } })
    assert.equal(copy, cjson.encode(before[LEVEL]))
    assert.is_nil(before[HOOD])
  end)

  it("reports what changed: values, not timestamps", function()
    local state, changed, taken = merge(nil, "stream", { [LEVEL] = { 50, "%", -60 } })
    assert.same({ [LEVEL] = true }, changed)
    assert.equal(1, taken)
    state, changed, taken = merge(state, "stream", { [LEVEL] = { 50, "%", -30 } })
    assert.same({}, changed)
    assert.equal(1, taken)
    local before = values.status(state)
    state = merge(state, "stream", { [LEVEL] = { 51, "%", -20 }, [LAT] = { 1, nil, -9 },
      [LON] = { 2, nil, -9 } })
    assert.same({ chargingLevelHv = true, position = true, updateTime = true },
      values.changed(before, values.status(state)))
    assert.same({}, values.changed(values.status(state), values.status(state)))
  end)

  it("keeps unknown members, and skips anything but an entry", function()
    local state = values.merge(nil, { ["vehicle.new.thing"] = { value = "7", unit = "furlongs" },
      a = 1, b = "x", [1] = { value = 1 }, position = { latitude = 1, longitude = 1 } },
      { source = "rest", now = NOW })
    assert.same({ ["vehicle.new.thing"] = { value = 7, raw = "7", unit = "furlongs",
      source = "rest" } }, values.telematics(state))
  end)

  it("gives a state that can be written as JSON, whatever the input", function()
    local state = values.merge(nil, { a = { value = 1 / 0 }, b = { value = 0 / 0 },
      c = { value = { 1 / 0, [9] = print } }, d = { value = print, unit = print },
      e = { value = 1, timestamp = 1 / 0, unit = {} }, f = { value = cjson.null } },
      { source = "rest", now = NOW })
    local back = values.restore(cjson.decode(cjson.encode(state)))
    assert.same({ value = 1, raw = 1, source = "cache" }, back.e)
    for _, name in ipairs({ "a", "b", "c", "d" }) do
      assert.same({ empty = "unreadable", source = "cache" }, back[name], name)
    end
    assert.equal("null", back.f.empty)
  end)

  it("accepts a value without a time only if there is no other", function()
    local state = after({ { "rest", { [LEVEL] = { "50" }, [TARGET] = { "80", nil, -9 } } },
      { "rest", { [LEVEL] = { "51" }, [TARGET] = { "90" } } } })
    local status, details = values.status(state)
    assert.equal(51, status.chargingLevelHv)
    assert.is_nil(details.chargingLevelHv.age)
    assert.equal(80, status.chargingTarget)
  end)

  it("has ages of whole seconds", function()
    local stamp = time.format(NOW - 61):gsub("Z$", ".995Z")
    local state = values.merge(nil, { [LEVEL] = { value = "50", unit = "%", timestamp = stamp } },
      { source = "rest", now = NOW })
    local _, details = values.status(state, { now = NOW })
    assert.equal("60", cjson.encode(details.chargingLevelHv.age))
    assert.equal("60", cjson.encode(details.updateTime.age))
    assert.equal("60", cjson.encode(values.telematics(state, { now = NOW })[LEVEL].age))
    assert.truthy(math.abs(details.chargingLevelHv.time - (NOW - 61 + 0.995)) < 0.001)
  end)

  it("ignores values measured in the future", function()
    local state = after({ { "stream", { [LEVEL] = { 50, nil, -10 } } },
      { "stream", { [LEVEL] = { 99, nil, 3600 } } } })
    assert.equal(50, values.status(state).chargingLevelHv)
    local _, details = values.status(after({ { "stream", { [LEVEL] = { 50, nil, 30 } } } }),
      { now = NOW })
    assert.equal(0, details.chargingLevelHv.age)
  end)

  it("is bounded", function()
    local many = {}
    for i = 1, 3000 do many["vehicle.d" .. i] = { value = i } end
    local _, _, taken = values.merge(nil, many, { source = "stream", now = NOW })
    assert.equal(1000, taken)
  end)

  it("raises an error for an invalid source, state or values", function()
    assert.error_matches(function() values.merge(nil, {}, { source = "fax" }) end, "source must be")
    assert.has_error(function() values.merge(1, {}, { source = "rest" }) end)
    assert.has_error(function() values.merge(nil, nil, { source = "rest" }) end)
    assert.has_error(function() values.status() end)
    assert.has_error(function() values.restore("") end)
  end)
end)

describe("a state from a file", function()
  it("is restored unchanged, as cache", function()
    local state = after({ UK[3],
      { "stream", { [LAT] = { 48.1, nil, -60 }, [LON] = { 11.5, nil, -60 } } } })
    local back = values.restore(cjson.decode(cjson.encode(state)))
    local _, details = values.status(back, { now = NOW })
    assert.equal("cache", details.mileage.source)
    assert.equal("cache", details.position.source)
    assert.equal(600, details.mileage.age)
    -- It still proves a unit, and newer values replace it.
    back = merge(back, "rest", { [MILEAGE] = { "93280", nil, -60 } })
    _, details = values.status(back, { now = NOW })
    assert.equal("km", details.mileage.unit)
    assert.equal("rest", details.mileage.source)
  end)

  it("is harmless, whatever the file contains", function()
    local back = values.restore({ [LEVEL] = { value = {}, time = "x", unit = 7, source = "rest" },
      [MILEAGE] = 1, [2] = {}, position = { latitude = "a" }, [HOOD] = { value = 1 / 0 },
      [TRUNK] = { empty = "nonsense" } })
    assert.same({}, values.status(back))
    assert.equal("null", select(2, values.status(back)).trunk.reason)
  end)
end)

describe("the descriptors of a status", function()
  it("are a list without duplicates", function()
    local list, seen = values.descriptors(), {}
    for _, descriptor in ipairs(list) do
      assert.matches("^vehicle%.[%w.]+$", descriptor)
      assert.is_nil(seen[descriptor], descriptor)
      seen[descriptor] = true
    end
    assert.is_true(seen[MILEAGE] and seen[LON] and seen[LAST_RANGE] and seen[PORT_NEW])
    assert.is_true(#list < 100)
  end)
end)
