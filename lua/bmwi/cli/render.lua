-- bmwi.cli.render: formats results as tables. Pure functions from a result to rows of {label,
-- value[, colour]}. Every member may be missing: then it is "not reported", never 0.

local digits = require("bmwi._text").decimal
local units = require "bmwi.units"
local time = require "bmwi.time"

local render = {}

local ABSENT = "not reported"
render.ABSENT = ABSENT

-- In mi/kWh a car that regains more would have the smaller number. A distance 1.6 times as long
-- regains 1.6 times as much.
local REGAINED_IMPERIAL = { units.miles_to_km, "kWh/100 mi" }

local SYSTEMS = {
  metric = {
    distance = { 1, "km" }, electric = { 1, "kWh/100 km" }, regained = { 1, "kWh/100 km" },
    fuel = { 1, "l/100 km" }, volume = { 1, "l" },
  },
  imperial = {
    distance = { units.km_to_miles, "mi" },
    electric = { units.kwh_per_100km_to_miles_per_kwh, "mi/kWh" },
    regained = REGAINED_IMPERIAL,
    fuel = { units.l_per_100km_to_mpg_uk, "mpg (UK)" },
    volume = { units.litres_to_gallons_uk, "gal (UK)" },
  },
  us = {
    distance = { units.km_to_miles, "mi" },
    electric = { units.kwh_per_100km_to_miles_per_kwh, "mi/kWh" },
    regained = REGAINED_IMPERIAL,
    fuel = { units.l_per_100km_to_mpg_us, "mpg (US)" },
    volume = { units.litres_to_gallons_us, "gal (US)" },
  },
}

--- A number with at most this many decimals and no trailing zeros.
render.digits = digits

--- A plain number with its unit.
function render.amount(value, unit, decimals)
  local number = units.number(value)
  return number and digits(number, decimals or 1) .. " " .. unit or ABSENT
end
local amount = render.amount

--- A cell of a table; "-" if there is no value.
function render.cell(value)
  if value == nil or value == "" or type(value) == "table" then return "-" end
  if type(value) == "number" then return digits(value, 6) end
  return tostring(value)
end

--- A measured value in the chosen units: measure("imperial", "distance", 73) -> "45 mi".
---@param system "metric"|"imperial"|"us"
---@param kind "distance"|"electric"|"regained"|"fuel"|"volume"
---@param value any as sent by the server: km, kWh/100 km, l/100 km or l
---@param decimals? integer default 1
---@return string text
function render.measure(system, kind, value, decimals)
  local number = units.number(value)
  if not number then return ABSENT end
  local convert, unit = SYSTEMS[system][kind][1], SYSTEMS[system][kind][2]
  if convert ~= 1 then number = convert(number) end
  if kind == "volume" and system ~= "metric" then decimals = decimals or 2 end
  -- No consumption has no miles per kWh.
  if not number then return "none used" end
  return amount(number, unit, decimals)
end
local measure = render.measure

local function text_of(value)
  if value == nil or value == "" or type(value) == "table" then return ABSENT end
  return tostring(value)
end

--- A server's constant as words: "CHARGE_NOW" -> "charge now".
function render.words(value)
  if type(value) ~= "string" then return ABSENT end
  return (value:lower():gsub("_", " "))
end
local words = render.words

--- The tables in a member that should be a list, whatever the server sent.
function render.tables(value)
  local list = {}
  for _, item in ipairs(type(value) == "table" and value or {}) do
    if type(item) == "table" then list[#list + 1] = item end
  end
  return list
end

local SPANS = { { 86400 * 365.25, "year" }, { 86400 * 30.44, "month" }, { 86400, "day" },
  { 3600, "hour" }, { 60, "minute" } }

--- A duration in words: 90000 -> "1 day". nil below a minute.
function render.span(seconds)
  for _, span in ipairs(SPANS) do
    local count = math.floor(seconds / span[1])
    if count >= 1 then return ("%.0f %s%s"):format(count, span[2], count > 1 and "s" or "") end
  end
end

--- An age in seconds, in words.
function render.ago(seconds)
  if seconds < -60 then return "in the future; the clocks differ" end
  local span = render.span(seconds)
  return span and span .. " ago" or "just now"
end

--- The age of a date, in words.
---@param text any a date from the server
---@param now? number epoch seconds
---@return string text
function render.age(text, now)
  local seconds = type(text) == "string" and time.age(text, now)
  return seconds and render.ago(seconds) or ABSENT
end

--- Formats epoch seconds in this machine's time zone.
function render.clock(epoch)
  -- os.date raises an error for a year that the C library does not support
  local known, text = pcall(os.date, "%Y-%m-%d %H:%M", epoch)
  return known and text or ABSENT
end

--- A server's date in this machine's time zone, with its age.
function render.moment(text, now)
  local epoch = type(text) == "string" and time.parse(text)
  if not epoch then return text_of(text) end
  return ("%s (%s)"):format(render.clock(epoch), render.age(text, now))
end

-- The car's own clock has an unknown zone, so it gets no age.
local function car_clock(text)
  local clock = type(text) == "string" and time.local_clock(text)
  if not clock then return text_of(text) end
  return ("%04d-%02d-%02d %02d:%02d, by the car's clock"):format(clock.year, clock.month,
    clock.day, clock.hour, clock.min)
end

local function minutes(value)
  local number = units.number(value)
  if not number then return ABSENT end
  local hours = math.floor(number / 60)
  if hours == 0 then return ("%.0f min"):format(number) end
  return ("%.0f h %.0f min"):format(hours, number - hours * 60)
end

local LOCKS = {
  SECURED = "locked with the key (SECURED)", LOCKED = "locked remotely (LOCKED)",
  UNLOCKED = "not locked (UNLOCKED)", SELECTIVE_LOCKED = "partly locked (SELECTIVE_LOCKED)",
}
local LOCK_PAINT = { SECURED = "green", LOCKED = "green", UNLOCKED = "yellow",
  SELECTIVE_LOCKED = "yellow" }
local DOORS = { "doorDriverFront", "doorDriverRear", "doorPassengerFront", "doorPassengerRear",
  "hood", "trunk" }
local WINDOWS = { "windowDriverFront", "windowDriverRear", "windowPassengerFront",
  "windowPassengerRear", "rearWindow", "sunroof", "convertibleRoofState" }
render.DOORS, render.WINDOWS = DOORS, WINDOWS
local POSITIONS = {
  DRIVER_DISABLED = "switched off in the car",
  TOO_FAR_AWAY = "you are too far from the car (set position = LAT,LON near it)",
  VEHICLE_ACTIVE = "not reported while driving",
  UNKNOWN = "unknown",
}

-- "doorDriverFront" -> "driver front"
local function part(member)
  return (member:gsub("^door", ""):gsub("^window", ""):gsub("(%l)(%u)", "%1 %2"):lower())
end

-- "all closed", or those that are not. INVALID means that the car does not have that part.
local function closures(answer, members)
  local seen, open = 0, {}
  for _, member in ipairs(members) do
    local value = answer[member]
    if type(value) == "string" and value ~= "INVALID" then
      seen = seen + 1
      if value ~= "CLOSED" then open[#open + 1] = ("%s %s"):format(part(member), words(value)) end
    end
  end
  if seen == 0 then return ABSENT end
  if #open == 0 then return "all closed", "green" end
  return table.concat(open, ", "), "yellow"
end

local function place(position)
  if type(position) ~= "table" then return ABSENT end
  local lat, lon = units.number(position.lat), units.number(position.lon)
  if lat and lon then
    local heading = units.number(position.heading)
    return ("%s, %s%s"):format(digits(lat, 6), digits(lon, 6),
      heading and (", heading %s degrees"):format(digits(heading, 0)) or "")
  end
  return POSITIONS[position.status] or text_of(position.status)
end

local function service(answer)
  local due = {}
  for _, item in ipairs(render.tables(answer.cbsData)) do
    if item.cbsState ~= "OK" then
      due[#due + 1] = ("%s %s%s"):format(words(item.cbsType), words(item.cbsState),
        item.cbsDueDate and " (" .. tostring(item.cbsDueDate) .. ")" or "")
    end
  end
  if type(answer.cbsData) ~= "table" then return ABSENT end
  return #due == 0 and "nothing due" or table.concat(due, ", ")
end

local function charging(answer)
  local status = answer.chargingStatus
  if status == nil and answer.connectionStatus == nil then return ABSENT end
  local parts = {}
  -- an unplugged car sends INVALID
  if status ~= nil and status ~= "INVALID" then parts[1] = words(status) end
  if status == "CHARGING" and units.number(answer.chargingTimeRemaining) then
    parts[#parts + 1] = minutes(answer.chargingTimeRemaining) .. " to go"
  end
  if answer.connectionStatus == "CONNECTED" then parts[#parts + 1] = "plugged in"
  elseif answer.connectionStatus == "DISCONNECTED" then parts[#parts + 1] = "not plugged in"
  elseif answer.connectionStatus ~= nil then parts[#parts + 1] = words(answer.connectionStatus)
  end
  return #parts > 0 and table.concat(parts, ", ") or "not charging"
end

--- Rows for car:status().
function render.status(answer, system)
  local doors, doors_paint = closures(answer, DOORS)
  local windows, windows_paint = closures(answer, WINDOWS)
  local rows = {
    { "Locks", LOCKS[answer.doorLockState] or text_of(answer.doorLockState),
      LOCK_PAINT[answer.doorLockState] },
    { "Doors", doors, doors_paint },
    { "Windows", windows, windows_paint },
    { "Battery", amount(answer.chargingLevelHv, "%") },
    { "Charging", charging(answer) },
    { "Electric range", measure(system, "distance", answer.remainingRangeElectric, 0) },
    { "Range at 100 %", measure(system, "distance", answer.maxRangeElectric, 0) },
  }
  if units.number(answer.remainingFuel) or units.number(answer.fuelPercent) then
    local percent = units.number(answer.fuelPercent)
    local full = units.number(answer.maxFuel)
    rows[#rows + 1] = { "Fuel", measure(system, "volume", answer.remainingFuel)
      .. (full and " of " .. measure(system, "volume", full) or "")
      .. (percent and (" (%s %%)"):format(digits(percent, 0)) or "") }
    rows[#rows + 1] = { "Fuel range", measure(system, "distance", answer.remainingRangeFuel, 0) }
  end
  rows[#rows + 1] = { "Mileage", measure(system, "distance", answer.mileage, 0) }
  rows[#rows + 1] = { "Parking lights", words(answer.parkingLight) }
  rows[#rows + 1] = { "Position", place(answer.position) }
  if answer.cbsData ~= nil then rows[#rows + 1] = { "Service", service(answer) } end
  for _, item in ipairs(render.tables(answer.checkControlMessages)) do
    rows[#rows + 1] = { "Warning", text_of(item.ccmDescriptionShort), "yellow" }
  end
  rows[#rows + 1] = { "Last charge", words(answer.lastChargingEndResult) }
  rows[#rows + 1] = { "Reported", render.moment(answer.updateTime), "dim" }
  rows[#rows + 1] = { "Reason", words(answer.updateReason), "dim" }
  return rows
end

local SCORES = { { "efficiencyValue", "Efficiency" }, { "accelerationValue", "Acceleration" },
  { "anticipationValue", "Anticipation" }, { "drivingModeValue", "Driving mode" },
  { "totalConsumptionValue", "Consumption" } }

--- Rows for car:last_trip().
function render.last_trip(answer, system)
  if next(answer) == nil then return { { "Last trip", ABSENT } } end
  local share = units.number(answer.electricDistanceRatio)
  local rows = {
    { "Ended", car_clock(answer.date) },
    { "Duration", minutes(answer.duration) },
    { "Distance", measure(system, "distance", answer.totalDistance) },
    { "Electric part", measure(system, "distance", answer.electricDistance)
      .. (share and (" (%s %%)"):format(digits(share, 0)) or "") },
    { "Electric use", measure(system, "electric", answer.avgElectricConsumption) },
    { "Recuperation", measure(system, "regained", answer.avgRecuperation) },
    { "Fuel use", measure(system, "fuel", answer.avgCombinedConsumption) },
    { "Fuel saved", measure(system, "volume", answer.savedFuel) },
  }
  for _, score in ipairs(SCORES) do
    local value = units.number(answer[score[1]])
    if value then
      rows[#rows + 1] = { score[2] .. " score", digits(value * 100, 0) .. " %" }
    end
  end
  return rows
end

--- Shows a value's place between the lowest and the highest of all cars: `*` is the user's, `|` the
-- community's average. Empty if a number is missing.
function render.bar(low, average, high, own, cells)
  low, average, high, own = units.number(low), units.number(average), units.number(high),
    units.number(own)
  if not (low and average and high and own) or high <= low then return "" end
  cells = cells or 24
  local bar = {}
  for i = 1, cells do bar[i] = "-" end
  local function cell(value)
    local at = math.floor((value - low) / (high - low) * (cells - 1) + 0.5) + 1
    return math.max(1, math.min(cells, at))
  end
  bar[cell(average)] = "|"
  bar[cell(own)] = "*"
  return "[" .. table.concat(bar) .. "]"
end

local COMPARED = {
  { "avgElectricConsumption", "Electric use", "electric", "userAverage" },
  { "avgRecuperation", "Recuperation", "regained", "userAverage" },
  { "avgCombinedConsumption", "Fuel use", "fuel", "userAverage" },
  { "chargecycleRange", "Range per charge", "distance", "userAverage" },
  { "totalElectricDistance", "Electric total", "distance", "userTotal" },
}
render.COMPARED_HEADS = { "", "You", "Average", "Most", "* you, | average of all cars" }

--- Table rows for the comparison in car:all_trips(): label, own value, average, most, bar. The bar
-- spans the community's lowest to its highest value, in the server's units.
function render.compared(answer, system)
  local rows = {}
  for _, line in ipairs(COMPARED) do
    local set = answer[line[1]]
    if type(set) == "table" then
      rows[#rows + 1] = { line[2], measure(system, line[3], set[line[4]]),
        measure(system, line[3], set.communityAverage), measure(system, line[3], set.communityHigh),
        render.bar(set.communityLow or 0, set.communityAverage, set.communityHigh, set[line[4]]) }
    end
  end
  return rows
end

--- The other rows of car:all_trips().
function render.all_trips(answer, system)
  local cycle = type(answer.chargecycleRange) == "table" and answer.chargecycleRange or {}
  local never = type(answer.resetDate) == "string" and time.is_never(answer.resetDate)
  local wh = units.number(answer.batterySizeMax)
  return {
    { "Longest charge", measure(system, "distance", cycle.userHigh) },
    { "Since charging", measure(system, "distance", cycle.userCurrentChargeCycle) },
    { "CO2 saved", amount(answer.savedCO2, "kg") },
    { "CO2, green power", amount(answer.savedCO2greenEnergy, "kg") },
    { "Fuel saved", measure(system, "volume", answer.totalSavedFuel) },
    { "Battery size", wh and amount(wh / 1000, "kWh", 2) or ABSENT },
    { "Counted since", never and "the beginning" or render.moment(answer.resetDate) },
  }
end

--- Rows for car:navigation().
---@param answer table
---@param level? any chargingLevelHv of the status, which determines the unit of `soc`
function render.soc(answer, level)
  local data = require("bmwi.navigation").decode(answer, units.number(level))
  local charge = text_of(data.soc)
  if data.soc_kwh or data.soc_percent then
    charge = ("%s, %s%s"):format(amount(data.soc_kwh, "kWh", 2), amount(data.soc_percent, "%"),
      data.soc_guessed and " (the server does not say in which unit)" or "")
  end
  return {
    { "Charge", charge },
    { "Full today", amount(data.soc_max_kwh, "kWh", 2) },
    { "Position", place(data.position) },
    { "Country", text_of(data.country) },
    { "Drive train", words(data.drive_train) },
    { "Vehicle mass", amount(data.mass_kg, "kg", 0) },
  }
end

--- The rows whose value has changed, comparing the displayed text.
---@param before table<string,string> what the last call returned as `seen`
---@param rows table[] {label, value}
---@return table[] list
---@return table<string,string> seen
function render.changes(before, rows)
  local list, seen = {}, {}
  for _, row in ipairs(rows) do
    seen[row[1]] = row[2]
    if row[2] ~= before[row[1]] then list[#list + 1] = row end
  end
  return list, seen
end

--- Rows as one line of text.
function render.in_line(rows)
  local parts = {}
  for i, row in ipairs(rows) do parts[i] = row[1] .. ": " .. row[2] end
  return #parts > 0 and table.concat(parts, "; ") or "no change"
end

return render
