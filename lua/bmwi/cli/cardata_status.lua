-- bmwi.cli.cardata_status: formats a status of CarData as a table. Pure functions from a result to
-- rows; a value that BMW did not send is "not reported" with the reason, never 0.

local number_of = require "bmwi._number"
local render = require "bmwi.cli.render"

local status_view = {}

local ABSENT, digits, measure, words = render.ABSENT, render.digits, render.measure, render.words
local amount = render.amount
local DOORS, WINDOWS = render.DOORS, render.WINDOWS
local OLD = 24 * 60 * 60 -- seconds; older values are highlighted

local function yes_or_no(value)
  if type(value) ~= "boolean" then return ABSENT end
  return value and "yes" or "no"
end

--- An age as text, and whether to highlight it. A time without an age is in the future of this
--- machine's clock.
function status_view.age_text(age, time)
  if type(age) ~= "number" then
    if type(time) == "number" then return render.AHEAD, true end
    return "at an unknown time", false
  end
  local old = age > OLD
  return render.ago(age) .. (old and ": old" or ""), old
end

-- The rows of a status: the label, the members behind it, and how to format it if the classic
-- status (bmwi.cli.render) has no row with this label.
local STATUS = {
  { "Locks", { "doorLockState" } },
  { "Doors", DOORS },
  { "Windows", WINDOWS },
  { "Battery", { "chargingLevelHv" } },
  { "Charge limit", { "chargingTarget" }, function(s) return amount(s.chargingTarget, "%") end },
  { "Charging", { "chargingStatus", "connectionStatus" } },
  { "Charging power", { "chargingPower" }, function(s)
    local watts = number_of(s.chargingPower)
    return watts and amount(watts / 1000, "kW") or ABSENT
  end },
  { "Charging by", { "chargingConnectionType" },
    function(s) return words(s.chargingConnectionType) end },
  { "Electric range", { "remainingRangeElectric" } },
  { "Battery size", { "batteryEnergyMax" },
    function(s) return amount(s.batteryEnergyMax, "kWh") end },
  { "Fuel", { "remainingFuel", "fuelPercent" } },
  { "Fuel range", { "remainingRangeFuel" } },
  { "Total range", { "remainingRangeTotal" },
    function(s, system) return measure(system, "distance", s.remainingRangeTotal, 0) end },
  { "Mileage", { "mileage" } },
  { "Moving", { "isMoving" }, function(s) return yes_or_no(s.isMoving) end },
  { "Climate", { "climateActivity" }, function(s) return words(s.climateActivity) end },
  { "Position", { "position" } },
  { "Service", { "cbsData" } },
  { "Warning", { "checkControlMessages" } },
  { "Last charge", { "lastChargingEndResult" } },
}

local FLAGS = {
  predicted = "predicted", unit_inferred = "unit inferred",
  refused = "a newer value was not plausible",
}

-- The age of a row, which is that of its oldest member, and remarks on its values. If one is in the
-- future, the clock is wrong, and so are the ages of the others.
local function measured(members, details)
  local oldest, ahead, any, notes, seen = nil, nil, false, {}, {}
  for _, member in ipairs(members) do
    local detail = details[member]
    if detail and detail.value ~= nil then
      any = true
      if type(detail.age) == "number" then
        oldest = math.max(oldest or detail.age, detail.age)
      else
        ahead = ahead or detail.time
      end
      local note = FLAGS[detail.flag] or detail.source == "cache" and "saved earlier" or nil
      if note and not seen[note] then notes[#notes + 1], seen[note] = note, true end
    end
  end
  if not any then return nil end
  local text, old = status_view.age_text(not ahead and oldest or nil, ahead)
  table.insert(notes, 1, text)
  return table.concat(notes, ", "), old
end

-- Why a row has no value: the reason for its first member.
local function reason(members, details)
  for _, member in ipairs(members) do
    local detail = details[member]
    if detail and detail.reason then
      return (tostring(detail.message):match("^[^;:]*")), detail.reason
    end
  end
end

-- Values with an unknown unit are shown unconverted and without a unit.
local function without_unit(members, status, details)
  for _, member in ipairs(members) do
    local detail = details[member]
    if detail and detail.flag == "unit_unknown" then
      local percent = member == "remainingFuel" and number_of(status.fuelPercent)
      return digits(number_of(detail.value) or 0, 1) .. " (unit unknown)"
        .. (percent and (", %s %%"):format(digits(percent, 0)) or "")
    end
  end
end

status_view.HEADS = { "", "Value", "Measured" }

-- The values of a row: most rows have one.
local function values_of(row, status, details, classic, system)
  local unknown = without_unit(row[2], status, details)
  if unknown then return { unknown } end
  if row[3] then return { row[3](status, system) } end
  return classic[row[1]] or {}
end

--- Table rows for car:status(): label, value, and when it was measured or why it is missing. A row
-- with a value older than a day has `paint`. Rows that do not apply to the car's drive train are
-- omitted.
---@param status table
---@param details table
---@param system "metric"|"imperial"|"us"
function status_view.rows(status, details, system)
  local classic, rows = {}, {}
  for _, row in ipairs(render.values(status, system)) do
    classic[row[1]] = classic[row[1]] or {}
    table.insert(classic[row[1]], row[2])
  end
  for _, row in ipairs(STATUS) do
    local when, old = measured(row[2], details)
    if when then
      for _, value in ipairs(values_of(row, status, details, classic, system)) do
        rows[#rows + 1] = { row[1], value, when, paint = old and "yellow" or nil }
      end
    else
      local why, word = reason(row[2], details)
      if why and word ~= "not_fitted" then rows[#rows + 1] = { row[1], ABSENT, why } end
    end
  end
  return rows
end

return status_view
