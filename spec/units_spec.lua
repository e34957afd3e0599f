-- bmwi.units: the constants, and whole responses, converted without modifying the original.

local helper = require "spec.helper"
local units = require "bmwi.units"

local function near(expected, actual, tolerance)
  assert.is_number(actual)
  assert.is_true(math.abs(expected - actual) <= (tolerance or 1e-9 * math.abs(expected)),
    ("expected %.15g, got %.15g"):format(expected, actual))
end

local function deep_copy(value)
  if type(value) ~= "table" then return value end
  local copy = {}
  for key, item in pairs(value) do copy[key] = deep_copy(item) end
  return copy
end

describe("a single conversion", function()
  -- Expected values computed independently, with 30 digits.
  local cases = {
    { "km_to_miles", 100, 62.1371 },
    { "km_to_miles", 1234, 766.771814 },
    { "km_to_miles", 0, 0 },
    { "km_to_miles", -10, -6.21371 },
    { "miles_to_km", 62.1371, 100 },
    { "kwh_per_100km_to_miles_per_kwh", 16.6, 3.743199953237 },
    { "kwh_per_100km_to_miles_per_kwh", -4.75, -13.081498783944 },
    { "miles_per_kwh_to_kwh_per_100km", 3.743199953237, 16.6 },
    { "l_per_100km_to_mpg_uk", 5, 56.496187266364 },
    { "mpg_uk_to_l_per_100km", 56.496187266364, 5 },
    { "l_per_100km_to_mpg_us", 5, 47.042916666667 },
    { "mpg_us_to_l_per_100km", 47.042916666667, 5 },
    { "litres_to_gallons_uk", 4.54609, 1 },
    { "gallons_uk_to_litres", 2, 9.09218 },
    { "litres_to_gallons_us", 3.785411784, 1 },
    { "gallons_us_to_litres", 2, 7.570823568 },
    { "celsius_to_fahrenheit", 100, 212 },
    { "celsius_to_fahrenheit", -40, -40 },
    { "fahrenheit_to_celsius", 32, 0 },
    { "fahrenheit_to_celsius", 98.6, 37 },
  }
  for _, case in ipairs(cases) do
    it(("%s(%g) is %.10g"):format(case[1], case[2], case[3]), function()
      near(case[3], units[case[1]](case[2]), 1e-11 * math.max(1, math.abs(case[3])))
    end)
  end

  it("uses the two formulas of the API's description to the last bit", function()
    assert.are.equal(141 * 0.621371, units.km_to_miles(141))
    assert.are.equal(1 / (0.01609344 * 16.6), units.kwh_per_100km_to_miles_per_kwh(16.6))
  end)

  it("has an exact way back", function()
    for there, back in pairs({
      km_to_miles = "miles_to_km",
      kwh_per_100km_to_miles_per_kwh = "miles_per_kwh_to_kwh_per_100km",
      l_per_100km_to_mpg_uk = "mpg_uk_to_l_per_100km",
      l_per_100km_to_mpg_us = "mpg_us_to_l_per_100km",
      litres_to_gallons_uk = "gallons_uk_to_litres",
      litres_to_gallons_us = "gallons_us_to_litres",
      celsius_to_fahrenheit = "fahrenheit_to_celsius",
    }) do
      for _, value in ipairs({ 0.1, 1, 16.33, 77533.6 }) do
        near(value, units[back](units[there](value)), 1e-12 * value + 1e-12)
      end
    end
  end)

  it("returns nil for a consumption of 0, not infinity", function()
    for _, name in ipairs({
      "kwh_per_100km_to_miles_per_kwh", "miles_per_kwh_to_kwh_per_100km",
      "l_per_100km_to_mpg_uk", "mpg_uk_to_l_per_100km",
      "l_per_100km_to_mpg_us", "mpg_us_to_l_per_100km",
    }) do
      for _, zero in ipairs({ 0, 0.0, -0.0, 1e-320 }) do
        local value, message, code = units[name](zero)
        assert.is_nil(value)
        assert.is_string(message)
        assert.are.equal("units", code)
      end
    end
  end)

  it("raises an error for anything but a number and names the function", function()
    for name, fn in pairs(units) do
      if name ~= "imperial" and name ~= "number" then
        for _, wrong in ipairs({ "12", {}, true }) do
          local ok, message = pcall(fn, wrong)
          assert.is_false(ok)
          assert.is_truthy(message:find(name, 1, true), message)
          assert.is_truthy(message:find("number expected, got " .. type(wrong), 1, true), message)
        end
        assert.has_error(function() fn(nil) end)
      end
    end
  end)
end)

describe("units.number", function()
  it("accepts numbers and decimal strings", function()
    assert.are.equal(1560, units.number("1560"))
    assert.are.equal(100, units.number("100.0"))
    assert.are.equal(-1.5, units.number(" -1.5 "))
    assert.are.equal(1200, units.number("1.2e3"))
    assert.are.equal(7, units.number(7))
  end)

  it("accepts nothing else, whatever tonumber does", function()
    for _, wrong in ipairs({ "", "--", "0x10", "inf", "nan", "1e999", "1,5", "1.5.2", "12 km", ".",
      "e5", true, {} }) do
      assert.is_nil(units.number(wrong))
    end
    assert.is_nil(units.number(nil))
  end)

  it("does not depend on the locale", function()
    local before = os.setlocale(nil, "numeric")
    if not helper.decimal_comma() then
      return pending("no locale with a decimal comma is installed")
    end
    local value = units.number("12.5")
    os.setlocale(before, "numeric")
    assert.are.equal(12.5, value)
  end)
end)

describe("units.imperial", function()
  local status = {
    vin = "WAB1C23456V123456",
    mileage = 1234,
    remainingFuel = 8.9,
    maxFuel = 9,
    fuelPercent = 99,
    remainingRangeElectric = 73,
    remainingRangeElectricMls = 45,
    maxRangeElectric = "134",
    maxRangeElectricMls = 83,
    chargingLevelHv = 58,
    chargingTimeRemaining = 45,
    doorLockState = "SECURED",
    singleImmediateCharging = false,
    position = { lat = 51.123456, lon = -1.2345678, heading = 211, status = "OK" },
    cbsData = {
      { cbsType = "OIL", cbsRemainingMileage = 24000, cbsDueDate = "2019-10" },
      { cbsType = "BRAKE_FLUID", cbsDueDate = "2020-10" },
    },
    checkControlMessages = { { ccmId = 955, ccmMileage = 41544 } },
  }

  it("converts a status and leaves the original as it was", function()
    local before = deep_copy(status)
    local copy = units.imperial(status)
    assert.are.same(before, status)
    assert.are_not.equal(status, copy)
    assert.are_not.equal(status.position, copy.position)
    near(766.771814, copy.mileage)
    near(8.9 / 4.54609, copy.remainingFuel)
    near(73 * 0.621371, copy.remainingRangeElectric)
    near(134 * 0.621371, copy.maxRangeElectric) -- was text
    near(24000 * 0.621371, copy.cbsData[1].cbsRemainingMileage)
    assert.is_nil(copy.cbsData[2].cbsRemainingMileage)
    near(41544 * 0.621371, copy.checkControlMessages[1].ccmMileage)
    assert.are.equal(955, copy.checkControlMessages[1].ccmId)
  end)

  it("never touches miles, percentages, minutes, texts, booleans and coordinates", function()
    local copy = units.imperial(status)
    for _, name in ipairs({ "vin", "remainingRangeElectricMls", "maxRangeElectricMls",
      "fuelPercent", "chargingLevelHv", "chargingTimeRemaining", "doorLockState",
      "singleImmediateCharging" }) do
      assert.are.equal(status[name], copy[name], name)
    end
    assert.are.same(status.position, copy.position)
    local keys, copied = 0, 0
    for _ in pairs(status) do keys = keys + 1 end
    for _ in pairs(copy) do copied = copied + 1 end
    assert.are.equal(keys, copied)
  end)

  it("reports the unit of exactly the measured members that are present", function()
    local _, unit_of = units.imperial(status)
    assert.are.same({
      mileage = "mi", remainingFuel = "gal (UK)", maxFuel = "gal (UK)",
      remainingRangeElectric = "mi", remainingRangeElectricMls = "mi",
      maxRangeElectric = "mi", maxRangeElectricMls = "mi",
      cbsRemainingMileage = "mi", ccmMileage = "mi",
    }, unit_of)
  end)

  it("converts a last trip", function()
    local copy, unit_of = units.imperial({
      totalDistance = 141, electricDistance = 100.1, avgElectricConsumption = 16.6,
      avgRecuperation = 2, avgCombinedConsumption = 1.9, electricDistanceRatio = 71,
      savedFuel = 0, duration = 124, efficiencyValue = 0.53,
    })
    near(87.613311, copy.totalDistance)
    near(100.1 * 0.621371, copy.electricDistance)
    near(3.743199953237, copy.avgElectricConsumption, 1e-9)
    near(31.068559611867, copy.avgRecuperation, 1e-9)
    near(148.674177016749, copy.avgCombinedConsumption, 1e-9)
    assert.are.equal(71, copy.electricDistanceRatio)
    assert.are.equal(0, copy.savedFuel)
    assert.are.equal(124, copy.duration)
    assert.are.equal(0.53, copy.efficiencyValue)
    assert.are.equal("mi/kWh", unit_of.avgElectricConsumption)
    assert.are.equal("mpg (UK)", unit_of.avgCombinedConsumption)
  end)

  it("converts the nested members of all trips", function()
    local trips = {
      avgElectricConsumption = {
        communityLow = 0, communityAverage = 16.33, communityHigh = 35.53, userAverage = "14.76",
      },
      chargecycleRange = {
        communityAverage = 121.58, communityHigh = 200, userAverage = 72.62, userHigh = 135,
      },
      totalElectricDistance = { communityLow = 1, userTotal = 3158.66 },
      avgCombinedConsumption = { communityLow = 0, communityHigh = 6.2 },
      batterySizeMax = 35820, savedCO2 = 87.58, totalSavedFuel = 1156.8,
      resetDate = "1970-01-01T01:00:00+0100",
    }
    local before = deep_copy(trips)
    local copy, unit_of = units.imperial(trips)
    assert.are.same(before, trips)
    near(3.805089970835, copy.avgElectricConsumption.communityAverage, 1e-9)
    near(1 / (0.01609344 * 14.76), copy.avgElectricConsumption.userAverage)
    assert.is_nil(copy.avgElectricConsumption.communityLow) -- 0: no such figure
    near(200 * 0.621371, copy.chargecycleRange.communityHigh)
    near(3158.66 * 0.621371, copy.totalElectricDistance.userTotal)
    near(45.561441343484, copy.avgCombinedConsumption.communityHigh, 1e-9)
    near(1156.8 / 4.54609, copy.totalSavedFuel)
    assert.are.equal(35820, copy.batterySizeMax)
    assert.are.equal(87.58, copy.savedCO2)
    assert.are.same({
      avgElectricConsumption = "mi/kWh", chargecycleRange = "mi", totalElectricDistance = "mi",
      avgCombinedConsumption = "mpg (UK)", totalSavedFuel = "gal (UK)",
    }, unit_of)
  end)

  it("supports US gallons", function()
    local copy, unit_of = units.imperial({ remainingFuel = 8.9, avgCombinedConsumption = 5 }, "us")
    near(8.9 / 3.785411784, copy.remainingFuel)
    near(47.042916666667, copy.avgCombinedConsumption, 1e-9)
    assert.are.same({ remainingFuel = "gal (US)", avgCombinedConsumption = "mpg (US)" }, unit_of)
  end)

  it("keeps a measured member that holds no number", function()
    local copy, unit_of = units.imperial({ mileage = "--", remainingFuel = false })
    assert.are.same({ mileage = "--", remainingFuel = false }, copy)
    assert.are.same({}, unit_of)
  end)

  it("accepts a list of responses and an empty response", function()
    local copy = units.imperial({ { mileage = 10 }, { mileage = 20 } })
    near(12.42742, copy[2].mileage)
    assert.are.same({}, (units.imperial({})))
  end)

  it("raises for misuse", function()
    assert.has_error(function() units.imperial(nil, "message", "auth") end,
      "bad argument #1 to 'imperial' (table expected, got nil)")
    assert.has_error(function() units.imperial({}, "litre") end,
      "bad argument #2 to 'imperial' (\"uk\" or \"us\" expected)")
  end)
end)
