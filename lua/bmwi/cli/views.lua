-- bmwi.cli.views: formats cars, charging schedule, destinations and range map as tables.

local sorted_names = require "bmwi._names"
local distance_km = require("bmwi.geo.sphere").distance_km
local units = require "bmwi.units"
local render = require "bmwi.cli.render"

local views = {}

local amount, text_of, words = render.amount, render.cell, render.words

views.VEHICLE_HEADS = { "VIN", "Model", "Plate", "Year", "Drive", "Colour", "Hub" }

--- Table rows for client:vehicles().
function views.vehicles(list)
  local rows = {}
  for i, car in ipairs(render.tables(list)) do
    rows[i] = { text_of(car.vin), text_of(car.model), text_of(car.licensePlate),
      text_of(car.yearOfConstruction), text_of(car.driveTrain), text_of(car.color),
      text_of(car.hub) }
  end
  return rows
end

-- What a car supports, by its entry in the list. `chargeNow` is not reliable: it is NOT_SUPPORTED
-- on every car seen, including those that charge on command. (It may refer to the charging card.)
local ABILITIES = {
  { "doorLock", "lock" }, { "doorUnlock", "unlock" }, { "lightFlash", "flash" },
  { "hornBlow", "horn" }, { "climateNow", "climate" }, { "vehicleFinder", "find" },
  { "sendPoi", "poi" }, { "chargingControl", "charging-profile" }, { "rangeMap", "range-map" },
  { "lastDestinations", "destinations" },
}

--- Rows with what the car offers and what it does not.
function views.abilities(car)
  local can, cannot = {}, {}
  for _, ability in ipairs(ABILITIES) do
    local value = car[ability[1]]
    if value == "NOT_SUPPORTED" then cannot[#cannot + 1] = ability[2]
    elseif value ~= nil then can[#can + 1] = ability[2]
    end
  end
  return {
    { "Offers", #can > 0 and table.concat(can, ", ") or render.ABSENT },
    { "Not supported", #cannot > 0 and table.concat(cannot, ", ") or "-" },
    { "Not reported", "charge (chargeNow is NOT_SUPPORTED on some cars that can do it): try it" },
  }
end

local DAYS = { MONDAY = "Mon", TUESDAY = "Tue", WEDNESDAY = "Wed", THURSDAY = "Thu",
  FRIDAY = "Fri", SATURDAY = "Sat", SUNDAY = "Sun" }

local function weekdays(timer)
  if type(timer.weekdays) ~= "table" then return nil end
  local names = {}
  for i, day in ipairs(timer.weekdays) do names[i] = DAYS[day] or text_of(day) end
  return #names > 0 and table.concat(names, " ") or "no day"
end

local function timer_text(timer)
  if type(timer) ~= "table" then return render.ABSENT end
  local parts = { text_of(timer.departureTime) }
  if timer.timerEnabled ~= nil then parts[2] = timer.timerEnabled and "on" or "off" end
  parts[#parts + 1] = weekdays(timer)
  return table.concat(parts, ", ")
end

local TIMERS = { { "timer1", "Departure 1" }, { "timer2", "Departure 2" },
  { "timer3", "Departure 3" }, { "overrideTimer", "Once" } }

--- The root of a charging profile and its content.
---@return "weeklyPlanner"|"twoTimesTimer"|nil root
---@return table|nil plan
function views.root(profile)
  for _, root in ipairs { "weeklyPlanner", "twoTimesTimer" } do
    if type(profile[root]) == "table" then return root, profile[root] end
  end
end

--- Rows for car:charging_profile().
function views.profile(profile)
  local root, plan = views.root(profile)
  if not root then return { { "Charging schedule", render.ABSENT } } end
  local rows = {
    { "Schedule", root == "weeklyPlanner" and "weekly planner" or "two timers" },
    { "Mode", words(plan.chargingMode) },
    { "Preference", words(plan.chargingPreferences) },
  }
  local climate = plan.climatizationEnabled
  rows[#rows + 1] = { "Climate at departure",
    climate == nil and render.ABSENT or (climate and "on" or "off") }
  for _, timer in ipairs(TIMERS) do
    if plan[timer[1]] ~= nil then
      rows[#rows + 1] = { timer[2], timer_text(plan[timer[1]]) }
    end
  end
  local window = plan.preferredChargingWindow
  if type(window) == "table" then
    local state = ""
    if window.enabled ~= nil then state = window.enabled and ", on" or ", off" end
    rows[#rows + 1] = { "Charging window", ("%s to %s%s"):format(text_of(window.startTime),
      text_of(window.endTime), state) }
  end
  return rows
end

local function flatten(value, path, flat)
  if type(value) == "table" and value[1] == nil and next(value) ~= nil then
    for name, member in pairs(value) do
      flatten(member, path == "" and tostring(name) or path .. "." .. tostring(name), flat)
    end
  elseif type(value) == "table" then
    local items = {}
    for i, item in ipairs(value) do items[i] = text_of(item) end
    flat[path] = #items > 0 and table.concat(items, " ") or "none"
  else
    flat[path] = tostring(value)
  end
  return flat
end

--- The differences between two charging profiles.
---@return table[] changes each {name, before, after}, sorted by name
function views.changes(before, after)
  local old, new, rows = flatten(before, "", {}), flatten(after, "", {}), {}
  for _, name in ipairs(sorted_names(flatten(after, "", flatten(before, "", {})))) do
    if old[name] ~= new[name] then
      rows[#rows + 1] = { name, old[name] or "-", new[name] or "-" }
    end
  end
  return rows
end

views.DESTINATION_HEADS = { "Sent", "Place", "Street", "Country", "Position" }

--- Table rows for car:destinations().
function views.destinations(list)
  local rows = {}
  for i, item in ipairs(render.tables(list)) do
    local lat, lon = units.number(item.lat), units.number(item.lon)
    local street = text_of(item.street)
    if item.streetNumber then street = street .. " " .. text_of(item.streetNumber) end
    rows[i] = {
      item.createdAt and render.moment(item.createdAt) or "-",
      text_of(item.city or item.name), street, text_of(item.country),
      lat and lon and ("%s, %s"):format(render.digits(lat, 5), render.digits(lon, 5)) or "-",
    }
  end
  return rows
end

local function point(value)
  if type(value) ~= "table" then return nil end
  local lat, lon = units.number(value.lat), units.number(value.lon)
  return lat and lon and { lat = lat, lon = lon } or nil
end

views.RANGE_HEADS = { "Mode", "Shortest", "Mean", "Longest", "Corners" }

--- Table rows for car:range_map(): the straight-line range in each mode.
function views.range_map(map, system)
  local rows, center = {}, point(map.center)
  for _, ring in ipairs(render.tables(map.rangemaps)) do
    local least, most, sum, count = math.huge, 0, 0, 0
    for _, corner in ipairs(render.tables(ring.polyline)) do
      local at = point(corner)
      if at and center then
        local km = distance_km(center, at)
        least, most, sum, count = math.min(least, km), math.max(most, km), sum + km, count + 1
      end
    end
    local function show(km)
      return count > 0 and render.measure(system, "distance", km, 0) or render.ABSENT
    end
    rows[#rows + 1] = { words(ring.type), show(least), show(sum / count), show(most),
      tostring(count) }
  end
  return rows
end

--- Rows for car:navigation().
---@param answer table
---@param level? any chargingLevelHv of the status, which determines the unit of `soc`
function views.soc(answer, level)
  local data = require("bmwi.navigation").decode(answer, units.number(level))
  local charge = render.text(data.soc)
  if data.soc_kwh or data.soc_percent then
    charge = ("%s, %s%s"):format(amount(data.soc_kwh, "kWh", 2), amount(data.soc_percent, "%"),
      data.soc_guessed and " (the server does not say in which unit)" or "")
  end
  return {
    { "Charge", charge },
    { "Full today", amount(data.soc_max_kwh, "kWh", 2) },
    { "Position", render.place(data.position) },
    { "Country", render.text(data.country) },
    { "Drive train", words(data.drive_train) },
    { "Vehicle mass", amount(data.mass_kg, "kg", 0) },
  }
end

return views
