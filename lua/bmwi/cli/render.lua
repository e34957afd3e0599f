-- bmwi.cli.render: formats results as tables. Pure functions from a result to rows of {label,
-- value[, colour]}. Every member may be missing: then it is "not reported", never 0.

local digits = require "bmwi._decimal"
local number_of = require "bmwi._number"

local render = {}

local ABSENT = "not reported"
render.ABSENT = ABSENT

local METRIC = {
  distance = { 1, "km" }, electric = { 1, "kWh/100 km" }, regained = { 1, "kWh/100 km" },
  fuel = { 1, "l/100 km" }, volume = { 1, "l" },
}

--- A number with at most this many decimals and no trailing zeros.
render.digits = digits

--- A plain number with its unit.
function render.amount(value, unit, decimals)
  local number = number_of(value)
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
  local number = number_of(value)
  if not number then return ABSENT end
  local units = system == "metric" and METRIC or require("bmwi.cli.imperial")[system]
  local convert, unit = units[kind][1], units[kind][2]
  if convert ~= 1 then number = convert(number) end
  if kind == "volume" and system ~= "metric" then decimals = decimals or 2 end
  -- No consumption has no miles per kWh.
  if not number then return "none used" end
  return amount(number, unit, decimals)
end
local measure = render.measure

--- A server's text, or "not reported".
function render.text(value)
  if value == nil or value == "" or type(value) == "table" then return ABSENT end
  return tostring(value)
end
local text_of = render.text

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

render.AHEAD = "in the future; the clocks differ"

--- An age in seconds, in words.
function render.ago(seconds)
  if seconds < -60 then return render.AHEAD end
  local span = render.span(seconds)
  return span and span .. " ago" or "just now"
end

--- The age of a date, in words.
---@param text any a date from the server
---@param now? number epoch seconds
---@return string text
function render.age(text, now)
  local seconds = type(text) == "string" and require("bmwi.time").age(text, now)
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
  local epoch = type(text) == "string" and require("bmwi.time").parse(text)
  if not epoch then return text_of(text) end
  return ("%s (%s)"):format(render.clock(epoch), render.age(text, now))
end

--- A number of minutes in words.
function render.minutes(value)
  local number = number_of(value)
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

--- A position, or why there is none.
function render.place(position)
  if type(position) ~= "table" then return ABSENT end
  local lat, lon = number_of(position.lat), number_of(position.lon)
  if lat and lon then
    local heading = number_of(position.heading)
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
  if status == "CHARGING" and number_of(answer.chargingTimeRemaining) then
    parts[#parts + 1] = render.minutes(answer.chargingTimeRemaining) .. " to go"
  end
  if answer.connectionStatus == "CONNECTED" then parts[#parts + 1] = "plugged in"
  elseif answer.connectionStatus == "DISCONNECTED" then parts[#parts + 1] = "not plugged in"
  elseif answer.connectionStatus ~= nil then parts[#parts + 1] = words(answer.connectionStatus)
  end
  return #parts > 0 and table.concat(parts, ", ") or "not charging"
end

--- The rows of a status, without when and why the car reported it.
function render.values(answer, system)
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
  if number_of(answer.remainingFuel) or number_of(answer.fuelPercent) then
    local percent = number_of(answer.fuelPercent)
    local full = number_of(answer.maxFuel)
    rows[#rows + 1] = { "Fuel", measure(system, "volume", answer.remainingFuel)
      .. (full and " of " .. measure(system, "volume", full) or "")
      .. (percent and (" (%s %%)"):format(digits(percent, 0)) or "") }
    rows[#rows + 1] = { "Fuel range", measure(system, "distance", answer.remainingRangeFuel, 0) }
  end
  rows[#rows + 1] = { "Mileage", measure(system, "distance", answer.mileage, 0) }
  rows[#rows + 1] = { "Parking lights", words(answer.parkingLight) }
  rows[#rows + 1] = { "Position", render.place(answer.position) }
  if answer.cbsData ~= nil then rows[#rows + 1] = { "Service", service(answer) } end
  for _, item in ipairs(render.tables(answer.checkControlMessages)) do
    rows[#rows + 1] = { "Warning", text_of(item.ccmDescriptionShort), "yellow" }
  end
  rows[#rows + 1] = { "Last charge", words(answer.lastChargingEndResult) }
  return rows
end

--- Rows for car:status().
function render.status(answer, system)
  local rows = render.values(answer, system)
  rows[#rows + 1] = { "Reported", render.moment(answer.updateTime), "dim" }
  rows[#rows + 1] = { "Reason", words(answer.updateReason), "dim" }
  return rows
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
