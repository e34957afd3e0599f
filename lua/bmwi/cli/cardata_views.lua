-- bmwi.cli.cardata_views: formats CarData's results as tables and CSV. Pure functions from a result
-- to rows; a value that BMW did not send is "not reported" with the reason, never 0.

local sorted_names = require "bmwi._names"
local age_text = require("bmwi.cli.cardata_status").age_text
local clean = require("bmwi.cli.output").clean
local render = require "bmwi.cli.render"
local time = require "bmwi.time"
local units = require "bmwi.units"

local views = {}

local ABSENT, digits, measure, words = render.ABSENT, render.digits, render.measure, render.words
local amount, text_of = render.amount, render.cell

local function clock_of(epoch)
  return type(epoch) == "number" and render.clock(epoch) or "-"
end

-- Cars -------------------------------------------------------------------------------------------

views.VEHICLE_HEADS = { "VIN", "Model", "Drive", "Role", "Mapped since" }

--- Table rows for client:vehicles().
function views.vehicles(list)
  local rows = {}
  for i, car in ipairs(render.tables(list)) do
    local epoch = type(car.mappedSince) == "string" and time.parse(car.mappedSince)
    rows[i] = { text_of(car.vin), text_of(car.model or car.modelName), text_of(car.driveTrain),
      type(car.mappingType) == "string" and car.mappingType or "-",
      epoch and render.clock(epoch) or text_of(car.mappedSince) }
  end
  return rows
end

-- Values -----------------------------------------------------------------------------------------

views.TELEMATICS_HEADS = { "Descriptor", "Value", "Unit", "Measured" }

--- Table rows for car:telematics(), by descriptor; an empty value has the reason.
function views.telematics(values)
  local rows = {}
  for i, descriptor in ipairs(sorted_names(values)) do
    local entry = values[descriptor]
    local when, old = age_text(entry.age, entry.time)
    local empty = entry.value == nil
    rows[i] = { descriptor, text_of(entry.value),
      entry.flag == "unit_unknown" and "unknown" or text_of(entry.unit),
      empty and "no value: " .. text_of(entry.empty) or when, paint = old and "yellow" or nil }
  end
  return rows
end

-- Charging history -------------------------------------------------------------------------------

local function seconds_of(session)
  local number = units.number(session.totalChargingDurationSec)
  if number then return number end
  local from, to = session.startTime, session.endTime
  return type(from) == "number" and type(to) == "number" and to >= from and to - from or nil
end

local function duration(seconds)
  if not seconds then return "-" end
  return ("%.0f:%02.0f"):format(math.floor(seconds / 3600), math.floor(seconds % 3600 / 60))
end

local function location_of(session)
  return type(session.chargingLocation) == "table" and session.chargingLocation or {}
end

local function place_of(session)
  local at = location_of(session)
  return at.formattedAddress or at.streetAddress or at.municipality
end

-- The mileage in the chosen system, and its unit; unconverted if the unit is unknown.
local function mileage_of(session, system)
  local number = units.number(session.mileage)
  if not number or session.mileageUnits ~= "km" then return number, nil end
  if system == "metric" then return number, "km" end
  return units.km_to_miles(number), "mi"
end

local function level(value)
  local number = units.number(value)
  return number and digits(number, 0) .. " %" or "-"
end

views.HISTORY_HEADS = { "Started", "Took", "From", "To", "Energy", "Mileage", "Place" }

--- Table rows for car:charging_history().
function views.history(sessions, system)
  local rows = {}
  for i, session in ipairs(render.tables(sessions)) do
    local energy = units.number(session.energyConsumedFromPowerGridKwh)
    local mileage, unit = mileage_of(session, system)
    rows[i] = { clock_of(session.startTime), duration(seconds_of(session)),
      level(session.displayedStartSoc), level(session.displayedSoc),
      energy and digits(energy, 1) .. " kWh" or "-",
      mileage and digits(mileage, 0) .. (unit and " " .. unit or " (unit unknown)") or "-",
      text_of(place_of(session)) }
  end
  return rows
end

--- Rows with the totals of a charging history.
function views.history_totals(sessions)
  local count, energy, metered, seconds = 0, 0, 0, 0
  for _, session in ipairs(render.tables(sessions)) do
    local kwh = units.number(session.energyConsumedFromPowerGridKwh)
    count, seconds = count + 1, seconds + (seconds_of(session) or 0)
    if kwh then energy, metered = energy + kwh, metered + 1 end
  end
  local told = metered < count and (" (reported by %d of %d sessions)"):format(metered, count)
  return {
    { "Sessions", tostring(count) },
    { "Energy", metered > 0 and amount(energy, "kWh") .. (told or "") or ABSENT },
    { "Time charging", duration(seconds) .. " h" },
  }
end

-- RFC 4180; control characters are removed, since it may be shown on a terminal.
local function field(value)
  if value == nil then return "" end
  local text = clean(value)
  if text:find('[",]') then text = '"' .. text:gsub('"', '""') .. '"' end
  return text
end

local function number_field(value, decimals)
  local number = units.number(value)
  return number and digits(number, decimals) or nil
end

local function stamp(epoch)
  return type(epoch) == "number" and time.format(epoch) or nil
end

---@type {[1]: string, [2]: fun(session: table, system: string): string|number|nil}[]
local CSV = {
  { "start", function(s) return stamp(s.startTime) end },
  { "end", function(s) return stamp(s.endTime) end },
  { "charging_seconds", function(s) return number_field(seconds_of(s), 0) end },
  { "start_percent", function(s) return number_field(s.displayedStartSoc, 1) end },
  { "end_percent", function(s) return number_field(s.displayedSoc, 1) end },
  { "grid_kwh", function(s) return number_field(s.energyConsumedFromPowerGridKwh, 3) end },
  { "mileage", function(s, system) return number_field(mileage_of(s, system), 0) end },
  { "mileage_unit", function(s, system) return (select(2, mileage_of(s, system))) end },
  { "place", place_of },
  { "lat", function(s) return number_field(location_of(s).mapMatchedLatitude, 6) end },
  { "lon", function(s) return number_field(location_of(s).mapMatchedLongitude, 6) end },
}

--- A charging history as CSV with a header line: times in UTC, a decimal point, and an empty field
-- for an unknown value.
---@return string text
function views.history_csv(sessions, system)
  local lines, names = {}, {}
  for i, column in ipairs(CSV) do names[i] = column[1] end
  lines[1] = table.concat(names, ",")
  for _, session in ipairs(render.tables(sessions)) do
    local fields = {}
    for i, column in ipairs(CSV) do fields[i] = field((column[2](session, system))) end
    lines[#lines + 1] = table.concat(fields, ",")
  end
  return table.concat(lines, "\n") .. "\n"
end

-- Charging settings and tyres --------------------------------------------------------------------

local function clock(hour, minute)
  hour, minute = units.number(hour), units.number(minute)
  return hour and minute and ("%02.0f:%02.0f"):format(hour, minute) or nil
end

local function window_of(setting)
  local from = clock(setting.startChargingTimePeriodHour, setting.startChargingTimePeriodMinute)
  local to = clock(setting.stopChargingTimePeriodHour, setting.stopChargingTimePeriodMinute)
  return from and to and from .. " to " .. to or nil
end

local function windows_of(setting)
  local list = {}
  for _, window in ipairs(render.tables(setting.chargingTimeWindows)) do
    list[#list + 1] = window_of(window)
  end
  return list[1] and table.concat(list, ", ") or window_of(setting) or "-"
end

local function place_of_setting(setting)
  local lat, lon = units.number(setting.latitude), units.number(setting.longitude)
  local place = setting.clusterLocationId or setting.id
  if not lat or not lon then return text_of(place) end
  return ("%s (%s, %s)"):format(text_of(place), digits(lat, 5), digits(lon, 5))
end

local function or_dash(value)
  local text = words(value)
  return text == ABSENT and "-" or text
end

views.SETTING_HEADS = { "Place", "Mode", "Preference", "Times", "Limit", "Visits", "Changed" }

--- Table rows for car:charging_settings().
function views.settings(list)
  local rows = {}
  for i, setting in ipairs(render.tables(list)) do
    local limit = units.number(setting.acCurrentLimit)
    rows[i] = { place_of_setting(setting), or_dash(setting.chargingMode),
      or_dash(setting.optimizedChargingPreference), windows_of(setting),
      limit and digits(limit, 1) .. " A" or "-", text_of(setting.visits),
      setting.lastUpdated and render.moment(setting.lastUpdated) or "-" }
  end
  return rows
end

local WHEELS = { { "frontLeft", "front left" }, { "frontRight", "front right" },
  { "rearLeft", "rear left" }, { "rearRight", "rear right" } }

local KILOMETRES = { KILOMETER = true, KM = true, km = true }

-- A member of a tyre: {label, value, ...}.
local function told(tyre, name, member)
  local part = type(tyre[name]) == "table" and tyre[name] or {}
  return part[member or "value"]
end

local function wear(tyre, system)
  local due = units.number(told(tyre, "tyreWear", "dueMileage"))
  local text = text_of(told(tyre, "tyreWear"))
  if due and KILOMETRES[told(tyre, "tyreWear", "unit")] then
    text = measure(system, "distance", due, 0)
  end
  local color = told(tyre, "tyreWear", "statusColor")
  return type(color) == "string" and ("%s, %s"):format(text, color:lower()) or text
end

views.TYRE_HEADS = { "Wheel", "Season", "Size", "Tread", "Pressure", "Due in" }

--- Table rows for one set in car:tyres(). A tyre whose status colour is not green has `paint`.
---@param set table mountedTyres or unmountedTyres
function views.tyres(set, system)
  local rows = {}
  for _, wheel in ipairs(WHEELS) do
    local tyre = set[wheel[1]]
    if type(tyre) == "table" then
      local color = told(tyre, "tyreWear", "statusColor")
      rows[#rows + 1] = { wheel[2], or_dash(told(tyre, "season", "season") or told(tyre, "season")),
        text_of(told(tyre, "dimension")), text_of(told(tyre, "tread")),
        text_of(told(tyre, "tyreDefect")), wear(tyre, system),
        paint = type(color) == "string" and color ~= "GREEN" and "yellow" or nil }
    end
  end
  return rows
end

-- Containers and the quota -----------------------------------------------------------------------

views.CONTAINER_HEADS = { "Id", "Name", "Purpose", "State", "Created" }

--- Table rows for client:containers().
function views.containers(list)
  local rows = {}
  for i, container in ipairs(render.tables(list)) do
    rows[i] = { text_of(container.containerId), text_of(container.name),
      text_of(container.purpose), text_of(container.state),
      container.created and render.moment(container.created) or "-" }
  end
  return rows
end

--- Rows for client:quota().
---@param now? number epoch seconds
function views.quota(quota, now)
  local rows = {
    { "Calls a day", tostring(quota.limit) },
    { "Used", tostring(quota.used) },
    { "Left", tostring(quota.left), quota.left == 0 and "yellow" or nil },
  }
  if quota.resets_at > (now or os.time()) then
    rows[4] = { quota.left == 0 and "Next one" or "One more", render.clock(quota.resets_at) }
  end
  return rows
end

return views
