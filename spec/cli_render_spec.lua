-- How the command line shows a response: rows of label and value, by pure functions.
local render = require "bmwi.cli.render"
local trips = require "bmwi.cli.trips"
local views = require "bmwi.cli.views"

local ABSENT = render.ABSENT

-- The value of the row with this label, and its colour.
local function value_of(rows, label)
  for _, row in ipairs(rows) do
    if row[1] == label then return row[2], row[3] end
  end
end

describe("render.digits", function()
  for _, case in ipairs({ { 1.50, 2, "1.5" }, { 100, 0, "100" }, { 100, 2, "100" },
    { -0.001, 2, "0" }, { 0.125, 6, "0.125" }, { 1234.5678, 1, "1234.6" } }) do
    it(("of %s with %d places is %s"):format(case[1], case[2], case[3]), function()
      assert.equal(case[3], render.digits(case[1], case[2]))
    end)
  end
end)

describe("render.measure", function()
  for _, case in ipairs({
    { "metric", "distance", 73, nil, "73 km" }, { "imperial", "distance", 73, 0, "45 mi" },
    { "us", "distance", "73", 1, "45.4 mi" },
    { "metric", "electric", 15.31, nil, "15.3 kWh/100 km" },
    { "imperial", "electric", 15, nil, "4.1 mi/kWh" },
    { "imperial", "fuel", 5, nil, "56.5 mpg (UK)" }, { "us", "fuel", 5, nil, "47 mpg (US)" },
    { "metric", "volume", 8.9, nil, "8.9 l" }, { "imperial", "volume", 9, nil, "1.98 gal (UK)" },
    { "us", "volume", 9, nil, "2.38 gal (US)" },
    { "imperial", "electric", 0, nil, "none used" }, { "metric", "electric", 0, nil,
      "0 kWh/100 km" },
    { "metric", "distance", nil, nil, ABSENT }, { "metric", "distance", "--", nil, ABSENT },
    { "metric", "distance", {}, nil, ABSENT },
  }) do
    it(("shows %s of %s as %s"):format(tostring(case[3]), case[2], case[5]), function()
      assert.equal(case[5], render.measure(case[1], case[2], case[3], case[4]))
    end)
  end
end)

describe("render.words, tables and span", function()
  it("makes the server's words readable", function()
    assert.equal("charge now", render.words("CHARGE_NOW"))
    assert.equal(ABSENT, render.words(nil))
    assert.equal(ABSENT, render.words(5))
  end)

  it("returns the tables in a list, or none if it is not a list", function()
    local one, two = {}, {}
    assert.same({ one, two }, render.tables({ one, "x", two, 5 }))
    for _, other in ipairs({ "x", 5, true, {} }) do assert.same({}, render.tables(other)) end
    assert.same({}, render.tables(nil))
  end)

  for seconds, expected in pairs({ [59] = false, [60] = "1 minute", [7199] = "1 hour",
    [7200] = "2 hours", [90000] = "1 day", [86400 * 61] = "2 months",
    [86400 * 800] = "2 years" }) do
    it(("says %s for %d seconds"):format(tostring(expected), seconds), function()
      assert.equal(expected or nil, (render.span(seconds)))
    end)
  end
end)

describe("render.age", function()
  local text, epoch = "2015-10-30T18:45:04+0100", 1446227104

  for after, expected in pairs({ [0] = "just now", [59] = "just now", [-60] = "just now",
    [-61] = "in the future; the clocks differ", [3600] = "1 hour ago",
    [86400 * 3] = "3 days ago" }) do
    it(("is %q %d seconds later"):format(expected, after), function()
      assert.equal(expected, render.age(text, epoch + after))
      assert.matches("^2015%-10%-3%d %d%d:45 %(" .. expected .. "%)$",
        render.moment(text, epoch + after))
    end)
  end

  it("is omitted for an invalid date, which is shown unchanged", function()
    for _, other in ipairs({ "yesterday", "2015-13-01T00:00:00Z" }) do
      assert.equal(ABSENT, render.age(other, epoch))
      assert.equal(other, render.moment(other, epoch))
    end
    assert.equal(ABSENT, render.moment(nil))
    assert.equal(ABSENT, render.clock(1e300))
  end)
end)

describe("render.status", function()
  it("shows an absent member as not reported", function()
    for _, row in ipairs(render.status({}, "metric")) do
      assert.equal(ABSENT, row[2], row[1])
    end
  end)

  for _, case in ipairs({
    { "Locks", { doorLockState = "SECURED" }, "locked with the key (SECURED)", "green" },
    { "Locks", { doorLockState = "UNLOCKED" }, "not locked (UNLOCKED)", "yellow" },
    { "Locks", { doorLockState = "NEW_WORD" }, "NEW_WORD" },
    { "Doors", { hood = "CLOSED", trunk = "CLOSED" }, "all closed", "green" },
    { "Doors", { hood = "CLOSED", doorDriverFront = "OPEN", trunk = "INTERMEDIATE" },
      "driver front open, trunk intermediate", "yellow" },
    { "Doors", { hood = "INVALID" }, ABSENT },
    { "Windows", { windowPassengerRear = "OPEN", sunroof = "CLOSED" }, "passenger rear open",
      "yellow" },
    { "Battery", { chargingLevelHv = 58 }, "58 %" },
    { "Battery", { chargingLevelHv = 0 }, "0 %" },
    { "Charging", { chargingStatus = "CHARGING", chargingTimeRemaining = 135,
      connectionStatus = "CONNECTED" }, "charging, 2 h 15 min to go, plugged in" },
    { "Charging", { chargingStatus = "INVALID", connectionStatus = "DISCONNECTED" },
      "not plugged in" },
    { "Charging", { chargingStatus = "INVALID" }, "not charging" },
    { "Charging", { chargingStatus = "WAITING_FOR_CHARGING", connectionStatus = "ODD" },
      "waiting for charging, odd" },
    { "Electric range", { remainingRangeElectric = 73 }, "73 km" },
    { "Fuel", { remainingFuel = 4, maxFuel = 9, fuelPercent = 44 }, "4 l of 9 l (44 %)" },
    { "Fuel range", { remainingFuel = 4, remainingRangeFuel = 60 }, "60 km" },
    { "Fuel", {}, nil },
    { "Parking lights", { parkingLight = "OFF" }, "off" },
    { "Position", { position = { lat = 51.5, lon = -0.25, heading = 211 } },
      "51.5, -0.25, heading 211 degrees" },
    { "Position", { position = { status = "DRIVER_DISABLED" } }, "switched off in the car" },
    { "Position", { position = { status = "ODD" } }, "ODD" },
    { "Service", { cbsData = {} }, "nothing due" },
    { "Service", { cbsData = { { cbsType = "OIL", cbsState = "OK" } } }, "nothing due" },
    { "Service", { cbsData = { { cbsType = "OIL", cbsState = "OVERDUE",
      cbsDueDate = "2020-01" }, { cbsType = "BRAKE_FLUID", cbsState = "PENDING" } } },
      "oil overdue (2020-01), brake fluid pending" },
    { "Warning", { checkControlMessages = { { ccmDescriptionShort = "Tyre" } } }, "Tyre",
      "yellow" },
    { "Reason", { updateReason = "VEHICLE_SECURED" }, "vehicle secured", "dim" },
  }) do
    it(("shows %s: %s"):format(case[1], tostring(case[3])), function()
      local value, paint = value_of(render.status(case[2], "metric"), case[1])
      assert.equal(case[3], value)
      assert.equal(case[4], paint)
    end)
  end

  it("is in miles if requested", function()
    local rows = render.status({ mileage = 1234, remainingRangeElectric = 100 }, "imperial")
    assert.equal("767 mi", value_of(rows, "Mileage"))
    assert.equal("62 mi", value_of(rows, "Electric range"))
  end)
end)

describe("trips.last_trip", function()
  it("has one row for a car without a trip", function()
    assert.same({ { "Last trip", ABSENT } }, trips.last_trip({}, "metric"))
  end)

  it("shows distance, consumption and scores, and the time by the car's own clock", function()
    local rows = trips.last_trip({ date = "2015-10-30T18:45:04+0100", duration = 61,
      totalDistance = 12.5, electricDistance = 5, electricDistanceRatio = 40,
      efficiencyValue = 0.53 }, "metric")
    assert.equal("2015-10-30 18:45, by the car's clock", value_of(rows, "Ended"))
    assert.equal("1 h 1 min", value_of(rows, "Duration"))
    assert.equal("12.5 km", value_of(rows, "Distance"))
    assert.equal("5 km (40 %)", value_of(rows, "Electric part"))
    assert.equal("53 %", value_of(rows, "Efficiency score"))
    assert.is_nil(value_of(rows, "Anticipation score"))
  end)
end)

describe("trips.bar", function()
  for _, case in ipairs({
    { 0, 5, 10, 10, 11, "[-----|----*]" }, { 0, 5, 10, 0, 11, "[*----|-----]" },
    { 0, 5, 10, 5, 11, "[-----*-----]" }, { 0, 5, 10, 99, 11, "[-----|----*]" },
    { 0, 5, 10, -9, 11, "[*----|-----]" }, { "0", "5", "10", "10", 11, "[-----|----*]" },
    { 5, 5, 5, 5, 11, "" }, { 0, nil, 10, 5, 11, "" }, { 0, 5, 10, "--", 11, "" },
  }) do
    it(("of %s among %s, %s, %s is %q"):format(tostring(case[4]), tostring(case[1]),
      tostring(case[2]), tostring(case[3]), case[6]), function()
      assert.equal(case[6], trips.bar(case[1], case[2], case[3], case[4], case[5]))
    end)
  end
end)

describe("trips.compared and trips.all_trips", function()
  local answer = {
    avgElectricConsumption = { userAverage = 15, communityAverage = 16, communityLow = 10,
      communityHigh = 20 },
    chargecycleRange = { userAverage = 70, communityAverage = 80, communityHigh = 150,
      userHigh = 120, userCurrentChargeCycle = 12 },
    savedCO2 = 87.58, batterySizeMax = 33200, resetDate = "1970-01-01T01:00:00+0100",
  }

  it("compares with other drivers what the server compares", function()
    local rows = trips.compared(answer, "metric")
    assert.equal(2, #rows)
    assert.same({ "Electric use", "15 kWh/100 km", "16 kWh/100 km", "20 kWh/100 km" },
      { rows[1][1], rows[1][2], rows[1][3], rows[1][4] })
    assert.matches("^%[%-+%*%-*|%-+%]$", rows[1][5])
    assert.same({ "Range per charge", "70 km" }, { rows[2][1], rows[2][2] })
    assert.same({}, trips.compared({ avgRecuperation = 5 }, "metric"))
  end)

  it("shows more recuperation as more, in every unit", function()
    local set = { avgRecuperation = { userAverage = 2, communityAverage = 3, communityHigh = 10 } }
    for system, expected in pairs({ metric = { "2 kWh/100 km", "3 kWh/100 km", "10 kWh/100 km" },
      imperial = { "3.2 kWh/100 mi", "4.8 kWh/100 mi", "16.1 kWh/100 mi" },
      us = { "3.2 kWh/100 mi", "4.8 kWh/100 mi", "16.1 kWh/100 mi" } }) do
      local row = trips.compared(set, system)[1]
      assert.same(expected, { row[2], row[3], row[4] })
      assert.equal(expected[1],
        value_of(trips.last_trip({ avgRecuperation = 2 }, system), "Recuperation"))
    end
  end)

  it("shows the totals", function()
    local rows = trips.all_trips(answer, "metric")
    assert.equal("120 km", value_of(rows, "Longest charge"))
    assert.equal("12 km", value_of(rows, "Since charging"))
    assert.equal("33.2 kWh", value_of(rows, "Battery size"))
    assert.equal("the beginning", value_of(rows, "Counted since"))
    assert.equal(ABSENT, value_of(rows, "CO2, green power"))
  end)
end)

describe("views.soc", function()
  for _, case in ipairs({
    { { soc = 10, socMax = 20, isoCountryCode = "GB" }, nil, "10 kWh, 50 %" },
    { { soc = 60, socmax = 20 }, 60, "12 kWh, 60 %" },
    { { soc = 10, socmax = 20, latitude = 1 }, nil,
      "2 kWh, 10 % (the server does not say in which unit)" },
    { { soc = 10 }, nil, "10" }, { {}, nil, ABSENT },
  }) do
    it("shows the charge as " .. case[3], function()
      assert.equal(case[3], value_of(views.soc(case[1], case[2]), "Charge"))
    end)
  end
end)

describe("views.vehicles and views.abilities", function()
  it("shows a dash for what the list omits", function()
    assert.same({ { "V", "I3", "-", "2015", "-", "-", "HUB_ECE" } }, views.vehicles({
      { vin = "V", model = "I3", licensePlate = "", yearOfConstruction = 2015, color = {},
        hub = "HUB_ECE" }, "junk" }))
    assert.equal(#views.VEHICLE_HEADS, #views.vehicles({ {} })[1])
  end)

  it("shows what the car offers and what it does not", function()
    local rows = views.abilities({ doorLock = "SUPPORTED", climateNow = "ACTIVATED",
      hornBlow = "NOT_SUPPORTED", chargeNow = "NOT_SUPPORTED" })
    assert.equal("lock, climate", value_of(rows, "Offers"))
    assert.equal("horn", value_of(rows, "Not supported"))
    assert.equal(ABSENT, value_of(views.abilities({}), "Offers"))
  end)
end)

describe("views.profile", function()
  local plan = {
    chargingMode = "DELAYED_CHARGING", chargingPreferences = "CHARGING_WINDOW",
    climatizationEnabled = true,
    timer1 = { departureTime = "07:30", timerEnabled = true, weekdays = { "MONDAY", "FRIDAY" } },
    timer2 = { timerEnabled = false, weekdays = {} },
    preferredChargingWindow = { enabled = false, startTime = "22:00", endTime = "05:00" },
  }

  it("shows a weekly planner", function()
    local rows = views.profile({ weeklyPlanner = plan })
    assert.equal("weekly planner", value_of(rows, "Schedule"))
    assert.equal("delayed charging", value_of(rows, "Mode"))
    assert.equal("on", value_of(rows, "Climate at departure"))
    assert.equal("07:30, on, Mon Fri", value_of(rows, "Departure 1"))
    assert.equal("-, off, no day", value_of(rows, "Departure 2"))
    assert.is_nil(value_of(rows, "Once"))
    assert.equal("22:00 to 05:00, off", value_of(rows, "Charging window"))
  end)

  it("recognises a two-timer profile by its root, and a profile without one", function()
    assert.equal("two timers", value_of(views.profile({ twoTimesTimer = {} }), "Schedule"))
    assert.same({ { "Charging schedule", ABSENT } }, views.profile({ odd = {} }))
    local root, found = views.root({ twoTimesTimer = plan })
    assert.same({ "twoTimesTimer", plan }, { root, found })
    assert.is_nil(views.root({ weeklyPlanner = "x" }))
  end)
end)

describe("views.changes", function()
  it("names each member that differs, sorted", function()
    assert.same({ { "a.b", "1", "2" }, { "days", "Mon Tue", "none" }, { "gone", "x", "-" },
      { "new", "-", "true" } },
      views.changes({ a = { b = 1, c = 5 }, days = { "Mon", "Tue" }, gone = "x" },
        { a = { b = 2, c = 5 }, days = {}, new = true }))
    assert.same({}, views.changes({ a = { b = 1 } }, { a = { b = 1 } }))
  end)
end)

describe("views.destinations", function()
  it("shows the place, the street with its number and the position", function()
    assert.same({ { "-", "LONDON", "PITFIELD STREET 5", "UK", "51.53, -0.08362" },
      { "-", "Home", "-", "-", "-" } }, views.destinations({
      { city = "LONDON", street = "PITFIELD STREET", streetNumber = "5", country = "UK",
        lat = 51.53, lon = "-0.083622" }, { name = "Home", lat = 5 }, "junk" }))
  end)
end)

describe("views.range_map", function()
  it("shows the shortest, mean and longest straight-line distance", function()
    local rows = views.range_map({ center = { lat = 0, lon = 0 }, rangemaps = {
      { type = "ECO_PRO", polyline = { { lat = 1, lon = 0 }, { lat = 0, lon = 2 }, {} } },
      { type = "COMFORT" } } }, "metric")
    assert.same({ { "eco pro", "111 km", "167 km", "222 km", "2" },
      { "comfort", ABSENT, ABSENT, ABSENT, "0" } }, rows)
  end)

  it("is not reported without a centre", function()
    local rings = { { polyline = { { lat = 1, lon = 0 } } } }
    assert.equal(ABSENT, views.range_map({ rangemaps = rings }, "metric")[1][2])
    assert.same({}, views.range_map({}, "metric"))
  end)
end)
