-- How the command line shows CarData's responses: table rows and CSV, by pure functions.
local bmwi = require "bmwi"
local render = require "bmwi.cli.render"
local status_view = require "bmwi.cli.cardata_status"
local views = require "bmwi.cli.cardata_views"

local ABSENT = render.ABSENT
local HOUR, DAY = 3600, 86400

-- The row with this label.
local function row_of(rows, label)
  for _, row in ipairs(rows) do
    if row[1] == label then return row end
  end
end

local function shown(member, value, detail, system)
  detail = detail or {}
  detail.value, detail.age = value, detail.age or 60
  return status_view.rows({ [member] = value }, { [member] = detail }, system or "metric")
end

describe("the view of a CarData status", function()
  for _, case in ipairs({
    { "mileage", 48260, "metric", "Mileage", "48260 km" },
    { "mileage", 48260, "imperial", "Mileage", "29987 mi" },
    { "remainingRangeTotal", 500, "us", "Total range", "311 mi" },
    { "remainingRangeElectric", 100, "imperial", "Electric range", "62 mi" },
    { "remainingFuel", 10, "us", "Fuel", "2.64 gal (US)" },
    { "chargingLevelHv", 66, "metric", "Battery", "66 %" },
    { "chargingTarget", 80, "metric", "Charge limit", "80 %" },
    { "chargingPower", 11260, "metric", "Charging power", "11.3 kW" },
    { "chargingConnectionType", "AC_TYPE2PLUG", "metric", "Charging by", "ac type2plug" },
    { "batteryEnergyMax", 83.9, "metric", "Battery size", "83.9 kWh" },
    { "isMoving", false, "metric", "Moving", "no" },
    { "climateActivity", "HEATING", "metric", "Climate", "heating" },
    { "doorLockState", "SECURED", "metric", "Locks", "locked with the key (SECURED)" },
    { "windowDriverRear", "OPEN", "metric", "Windows", "driver rear open" },
  }) do
    it(("shows %s as %s (%s)"):format(case[1], case[5], case[3]), function()
      local rows = shown(case[1], case[2], nil, case[3])
      assert.equal(1, #rows)
      assert.same({ case[4], case[5], "1 minute ago" }, rows[1])
    end)
  end

  it("marks what is older than a day, in words and by colour", function()
    local row = shown("mileage", 5, { age = 30 * DAY })[1]
    assert.same({ "Mileage", "5 km", "30 days ago: old", paint = "yellow" }, row)
    assert.same({ "Mileage", "5 km", "1 day ago" }, shown("mileage", 5, { age = DAY })[1])
  end)

  it("gives each row the age of its oldest member, not of the oldest of all", function()
    local rows = status_view.rows({ hood = "CLOSED", trunk = "CLOSED", mileage = 5 }, {
      hood = { value = "CLOSED", age = 2 * DAY }, trunk = { value = "CLOSED", age = 60 },
      mileage = { value = 5, age = HOUR } }, "metric")
    assert.equal("2 days ago: old", row_of(rows, "Doors")[3])
    assert.equal("1 hour ago", row_of(rows, "Mileage")[3])
  end)

  it("neither converts nor names a unit that is unknown", function()
    for _, system in ipairs({ "metric", "imperial", "us" }) do
      local row = shown("mileage", 93272, { flag = "unit_unknown" }, system)[1]
      assert.equal("93272 (unit unknown)", row[2])
    end
    local rows = status_view.rows({ remainingFuel = 24, fuelPercent = 58 }, {
      remainingFuel = { value = 24, flag = "unit_unknown", age = 2 * DAY },
      fuelPercent = { value = 58, age = 60 } }, "metric")
    assert.equal("24 (unit unknown), 58 %", row_of(rows, "Fuel")[2])
  end)

  for flag, words in pairs({ predicted = "predicted", unit_inferred = "unit inferred",
    refused = "a newer value was not plausible" }) do
    it("marks a value that is " .. flag, function()
      assert.equal("1 minute ago, " .. words, shown("mileage", 5, { flag = flag })[1][3])
    end)
  end

  it("marks a saved value, and one without a time", function()
    assert.equal("1 minute ago, saved earlier", shown("mileage", 5, { source = "cache" })[1][3])
    local row = status_view.rows({ mileage = 5 }, { mileage = { value = 5 } }, "metric")[1]
    assert.equal("at an unknown time", row[3])
  end)

  it("says that the clocks differ if a value of the row has a time but no age", function()
    local rows = status_view.rows({ hood = "CLOSED", trunk = "CLOSED" }, {
      hood = { value = "CLOSED", age = 60, time = 1 }, trunk = { value = "CLOSED", time = 2 },
    }, "metric")
    assert.same({ "Doors", rows[1][2], "in the future; the clocks differ", paint = "yellow" },
      rows[1])
  end)

  it("says why a value is absent, and omits what the car lacks", function()
    local rows = status_view.rows({}, {
      mileage = { reason = "absent", message = "BMW sent nothing for this car; not every car" },
      chargingLevelHv = { reason = "not_fitted", message = "no battery" } }, "metric")
    assert.same({ { "Mileage", ABSENT, "BMW sent nothing for this car" } }, rows)
  end)

  it("has a row for each warning", function()
    local list = { { ccmDescriptionShort = "Tyre" }, { ccmDescriptionShort = "Oil" } }
    local rows = shown("checkControlMessages", list)
    assert.same({ { "Warning", "Tyre", "1 minute ago" }, { "Warning", "Oil", "1 minute ago" } },
      rows)
  end)

  -- A member that is in the table of fields but not in the view would never be shown.
  it("shows each member that a status can have", function()
    local _, details = bmwi._values.status({}, { now = 0 })
    local rows = 0
    for member in pairs(details) do
      local hidden = member == "chargingTimeRemaining" or member == "singleImmediateCharging"
        or member == "lastChargingEndReason" or member == "updateTime"
      local absent = { reason = "null", message = "m" }
      local seen = #status_view.rows({}, { [member] = absent }, "metric")
      assert.equal(hidden and 0 or 1, seen, member)
      rows = rows + seen
    end
    assert.is_true(rows > 20, rows)
  end)
end)

describe("the view of telematics", function()
  it("is sorted, and says which values are empty and why", function()
    local rows = views.telematics({
      b = { value = 5, unit = "km", age = 60 }, a = { empty = "null", unit = "%", age = 60 },
      c = { value = false, age = 2 * DAY }, d = { value = 7, flag = "unit_unknown", age = 60 } })
    assert.same({ { "a", "-", "%", "no value: null" }, { "b", "5", "km", "1 minute ago" },
      { "c", "false", "-", "2 days ago: old", paint = "yellow" },
      { "d", "7", "unknown", "1 minute ago" } }, rows)
    rows = views.telematics({ a = { value = 5, time = 1 }, b = { value = 6 } })
    assert.same({ { "a", "5", "-", "in the future; the clocks differ", paint = "yellow" },
      { "b", "6", "-", "at an unknown time" } }, rows)
  end)
end)

local SESSIONS = {
  { startTime = 1790000000, endTime = 1790003600, totalChargingDurationSec = 3000,
    displayedStartSoc = 20, displayedSoc = 80, energyConsumedFromPowerGridKwh = 22.979991912841797,
    mileage = 1000, mileageUnits = "km",
    chargingLocation = { formattedAddress = 'A "b", C', mapMatchedLatitude = 48.5,
      mapMatchedLongitude = 11 } },
  { startTime = 1790010000, mileage = 77, chargingLocation = 5 },
}

describe("the view of a charging history", function()
  it("shows what is known of each session", function()
    local rows = views.history(SESSIONS, "metric")
    assert.equal(render.clock(1790000000), rows[1][1])
    assert.same({ "0:50", "20 %", "80 %", "23 kWh", "1000 km", 'A "b", C' },
      { (unpack or table.unpack)(rows[1], 2) }) -- luacheck: ignore
    assert.same({ "-", "-", "-", "-", "77 (unit unknown)", "-" },
      { (unpack or table.unpack)(rows[2], 2) }) -- luacheck: ignore
    assert.equal("621 mi", views.history(SESSIONS, "imperial")[1][6])
    assert.equal("77 (unit unknown)", views.history(SESSIONS, "imperial")[2][6])
  end)

  it("adds up, and says how many sessions have reported their energy", function()
    assert.same({ { "Sessions", "2" },
      { "Energy", "23 kWh (reported by 1 of 2 sessions)" },
      { "Time charging", "0:50 h" } }, views.history_totals(SESSIONS))
    assert.equal(ABSENT, row_of(views.history_totals({}), "Energy")[2])
  end)

  it("uses the time between start and end if the duration is missing", function()
    assert.equal("1:01", views.history({ { startTime = 0, endTime = 3660 } }, "metric")[1][2])
    assert.equal("-", views.history({ { startTime = 10, endTime = 5 } }, "metric")[1][2])
  end)

  it("is CSV of RFC 4180, with empty fields for unknown values", function()
    assert.equal("start,end,charging_seconds,start_percent,end_percent,grid_kwh,mileage,"
      .. "mileage_unit,place,lat,lon\n"
      .. '2026-09-21T14:13:20Z,2026-09-21T15:13:20Z,3000,20,80,22.98,1000,km,"A ""b"", C",48.5,11\n'
      .. "2026-09-21T17:00:00Z,,,,,,77,,,,\n", views.history_csv(SESSIONS, "metric"))
  end)

  it("lets no address control the terminal or add lines, even as CSV", function()
    local csv = views.history_csv({ { chargingLocation = { municipality = "a\27[2J\nb" } } },
      "metric")
    assert.equal(",,,,,,,,a?[2J?b,,\n", csv:match("\n(.*)$"))
  end)

  it("has miles in the CSV if requested", function()
    assert.truthy(views.history_csv(SESSIONS, "us"):find(",621,mi,", 1, true))
  end)
end)

describe("the other CarData views", function()
  it("show cars by model and role", function()
    assert.same({ { "V", "i4", "BEV", "PRIMARY", render.clock(1446227104) },
      { "W", "-", "-", "-", "-" } }, views.vehicles({ { vin = "V", model = "i4",
      driveTrain = "BEV", mappingType = "PRIMARY", mappedSince = "2015-10-30T18:45:04+0100" },
      { vin = "W" }, "x" }))
  end)

  it("show charging settings, with their times", function()
    local rows = views.settings({
      { clusterLocationId = "home", latitude = 48.1, longitude = 11.5, visits = 3,
        chargingMode = "IMMEDIATE_CHARGING", acCurrentLimit = 16,
        startChargingTimePeriodHour = 22, startChargingTimePeriodMinute = 5,
        stopChargingTimePeriodHour = 6, stopChargingTimePeriodMinute = 0 },
      { id = "x", chargingTimeWindows = { { startChargingTimePeriodHour = 1,
        startChargingTimePeriodMinute = 0, stopChargingTimePeriodHour = 2,
        stopChargingTimePeriodMinute = 30 } } } })
    assert.same({ "home (48.1, 11.5)", "immediate charging", "-", "22:05 to 06:00", "16 A", "3",
      "-" }, rows[1])
    assert.same({ "x", "-", "-", "01:00 to 02:30", "-", "-", "-" }, rows[2])
  end)

  it("show tyres, and mark one that is due", function()
    local set = { label = "Mounted",
      frontLeft = { season = { season = "SUMMER" }, dimension = { value = "225/50 R18" },
        tread = { value = "Eco" }, tyreDefect = { value = "OK" },
        tyreWear = { value = "12000 km", dueMileage = 12000, unit = "KILOMETER",
          statusColor = "GREEN" } },
      rearLeft = { tyreWear = { value = "soon", statusColor = "YELLOW" } } }
    assert.same({ { "front left", "summer", "225/50 R18", "Eco", "OK", "12000 km, green" },
      { "rear left", "-", "-", "-", "-", "soon, yellow", paint = "yellow" } },
      views.tyres(set, "metric"))
    assert.equal("7456 mi, green", views.tyres(set, "imperial")[1][6])
  end)

  it("show containers and the quota", function()
    assert.same({ { "W0", "bmwi", "v1", "ACTIVE", "-" } }, views.containers({
      { containerId = "W0", name = "bmwi", purpose = "v1", state = "ACTIVE" } }))
    assert.same({ { "Calls a day", "50" }, { "Used", "50" }, { "Left", "0", "yellow" },
      { "Next one", render.clock(2000) } },
      views.quota({ limit = 50, used = 50, left = 0, resets_at = 2000 }, 1000))
    assert.same({ { "Calls a day", "50" }, { "Used", "0" }, { "Left", "50" } },
      views.quota({ limit = 50, used = 0, left = 50, resets_at = 1000 }, 1000))
  end)
end)
