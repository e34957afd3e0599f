-- bmwi.bridge.prometheus: the state of the cars in Prometheus' text format, for node_exporter's
-- textfile collector. Uses base units; contains no positions.

local decimal = require "bmwi._decimal"
local members = require "bmwi.bridge.members"
local sorted_names = require "bmwi._names"
local text = require "bmwi._text"
local units = require "bmwi.units"

local prometheus = {}

-- Escapes the value of a label, which must be UTF-8.
local function escaped(value)
  return (text.valid(tostring(value)):gsub("\\", "\\\\"):gsub('"', '\\"'):gsub("\n", "\\n"))
end

local function labels_of(pairs_)
  local parts = {}
  for i, pair in ipairs(pairs_) do parts[i] = ('%s="%s"'):format(pair[1], escaped(pair[2])) end
  return #parts > 0 and "{" .. table.concat(parts, ",") .. "}" or ""
end

-- Families in the order in which they were added; a family's samples are grouped.
local Families = {}
Families.__index = Families

function Families:add(name, help, labels, value)
  local family = self[name]
  if not family then
    family = { ("# HELP %s %s\n# TYPE %s gauge\n"):format(name, help, name) }
    self[name], self[#self + 1] = family, family
  end
  family[#family + 1] = ("%s%s %s\n"):format(name, labels_of(labels), value)
end

local function sample_of(row, value)
  if row.on or row.off or row.ha.platform == "binary_sensor" then
    local on = members.is_on(row, value)
    if on == nil then return nil end
    return on and "1" or "0"
  end
  local number = units.number(value)
  number = number and number * row.metric.factor
  return number and number - number == 0 and decimal(number, 6) or nil -- if it is finite
end

local function add_car(families, car, now)
  local vin = { "vin", car.vin }
  families:add("bmwi_info", "The car; always 1.", { vin, { "model", car.model or "" } }, "1")
  for _, row in ipairs(members.ROWS) do
    local sample = row.metric and sample_of(row, car.status[row.member])
    if sample then
      families:add(row.metric.name, row.metric.help,
        { vin, row.metric.part and { "part", row.metric.part } }, sample)
    end
  end
  for _, member in ipairs(sorted_names(car.times)) do
    families:add("bmwi_value_age_seconds", "Time since the car measured a value.",
      { vin, { "member", member } }, decimal(math.max(0, now - car.times[member]), 0))
  end
end

--- The text of the file.
---@param cars table[] each {vin, model, status, times = {member = epoch seconds}}
---@param own {connected:boolean,quota_left:number|nil} of the bridge itself
---@param now number epoch seconds
---@return string
function prometheus.text(cars, own, now)
  local families = setmetatable({}, Families)
  families:add("bmwi_connected", "Whether the service is being heard from.", {},
    own.connected and "1" or "0")
  if own.quota_left then
    families:add("bmwi_quota_calls_left", "Calls to BMW that are left of the day's.", {},
      decimal(own.quota_left, 0))
  end
  for _, car in ipairs(cars) do add_car(families, car, now) end
  for i, family in ipairs(families) do families[i] = table.concat(family) end
  return table.concat(families)
end

return prometheus
