-- Values of CarData: how they are read, kept and turned into a status. The samples are made up, in
-- observed forms. The client is built on the private table bmwi._values.
local bmwi = require("bmwi")
local cjson = require("cjson").new()
local samples = require("spec.values_helper")
local time = require("bmwi.time")
local values = bmwi._values

local NOW, burst, merge = samples.NOW, samples.burst, samples.merge

local MILEAGE, RANGE, LAST_RANGE = samples.MILEAGE, samples.RANGE, samples.LAST_RANGE
local LEVEL, STATUS, PORT, HOOD = samples.LEVEL, samples.STATUS, samples.PORT, samples.HOOD
local TRUNK, LOCK, FUEL, LAT = samples.TRUNK, samples.LOCK, samples.FUEL, samples.LAT
local LON, HEADING = samples.LON, samples.HEADING
local RANGE_2 = "vehicle.drivetrain.electricEngine.remainingElectricRange"
local LEVEL_NEW = "vehicle.powertrain.electric.battery.stateOfCharge.displayed"
local LEVEL_PREDICTED = "vehicle.drivetrain.electricEngine.charging.level"
local TARGET = "vehicle.powertrain.electric.battery.stateOfCharge.target"
local MINUTES = "vehicle.drivetrain.electricEngine.charging.timeRemaining"
local POWER = "vehicle.powertrain.electric.battery.charging.power"
local PORT_NEW = "vehicle.body.chargingPort.combinedStatus"
local LOCK_2 = "vehicle.cabin.door.status"
local WINDOW = "vehicle.cabin.window.row1.driver.status"
local ROOF = "vehicle.cabin.sunroof.status"
local ROOF_ALL = "vehicle.cabin.sunroof.overallStatus"
local CLIMATE = "vehicle.vehicle.preConditioning.activity"
local ONCE = "vehicle.drivetrain.electricEngine.charging.isSingleImmediateCharging"
local TYRE = "vehicle.chassis.axle.row1.wheel.left.tire.pressure"
local DEMAND = "vehicle.electricalSystem.battery.serviceDemand.recharge"

-- Steps are {source, rows[, now]}, one after the other.
local function after(steps)
  local state
  for _, step in ipairs(steps) do state = merge(state, step[1], step[2], step[3]) end
  return state
end

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
      local status = samples.check(after(case.steps), { car = case.car, status = case.whole })
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

it("the version of a list of descriptors is what other programs have computed", function()
  for text, expected in pairs { [""] = "v7", ["a\nb"] = "v302162",
    [("vehicle.\255"):rep(20)] = "v2754957511" } do
    assert.equal(expected, values.version(text))
  end
end)

describe("merging", function()
  it("gives the same result in any order of the members", function()
    local all = burst({ [TYRE] = { "240", "kPa", -60 }, [DEMAND] = { "0", nil, 0 },
      [LAT] = { "48.1", nil, -60 }, [LON] = { "11.5", nil, -60 }, [HEADING] = { "9", nil, -60 } })
    for _, case in ipairs({ CARS[1], CARS[2] }) do
      for _, step in ipairs(case.steps) do
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

  it("has no age while this machine's clock is behind", function()
    local state = values.restore(after({ { "rest", { [LEVEL] = { "50", "%", 0 },
      [LAT] = { 48.1, nil, 0 }, [LON] = { 11.5, nil, 0 } } } }))
    for _, row in ipairs({ { NOW - 61 }, { NOW - 3 * 86400 }, { NOW - 60, 0 }, { NOW + 7, 7 } }) do
      local _, details = values.status(state, { now = row[1] })
      local all = values.telematics(state, { now = row[1] })
      for _, detail in ipairs({ details.chargingLevelHv, details.position, details.updateTime,
        all[LEVEL] }) do
        assert.same({ time = NOW, age = row[2] }, { time = detail.time, age = detail.age })
      end
    end
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
    local state = after({ { "stream", { [MILEAGE] = { 57958, "miles", -600 } } },
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
