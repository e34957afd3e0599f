--- What specs of CarData's values share: descriptors, states made of rows, and
--- a check of their status.
local assert = require("luassert")
local time = require("bmwi.time")
local values = require("bmwi")._values

local samples = {}

samples.NOW = 1772359200 -- 2026-03-01T10:00:00Z
samples.NONE = {} -- stands for nil where a value is expected

-- Descriptors.
samples.MILEAGE = "vehicle.vehicle.travelledDistance"
samples.RANGE = "vehicle.drivetrain.electricEngine.kombiRemainingElectricRange"
samples.LAST_RANGE = "vehicle.drivetrain.lastRemainingRange"
samples.LEVEL = "vehicle.drivetrain.batteryManagement.header"
samples.STATUS = "vehicle.drivetrain.electricEngine.charging.status"
samples.PORT = "vehicle.body.chargingPort.status"
samples.HOOD = "vehicle.body.hood.isOpen"
samples.TRUNK = "vehicle.body.trunk.isOpen"
samples.LOCK = "vehicle.cabin.door.lock.status"
samples.FUEL = "vehicle.drivetrain.fuelSystem.remainingFuel"
samples.LAT = "vehicle.cabin.infotainment.navigation.currentLocation.latitude"
samples.LON = "vehicle.cabin.infotainment.navigation.currentLocation.longitude"
samples.HEADING = "vehicle.cabin.infotainment.navigation.currentLocation.heading"

--- Seconds relative to NOW as a REST timestamp.
function samples.at(seconds)
  return time.format(samples.NOW + seconds)
end

--- Entries as in a response.
---@param rows table<string, table> by descriptor: {value, unit, seconds relative to NOW}
function samples.burst(rows)
  local list = {}
  for descriptor, row in pairs(rows) do
    list[descriptor] = { value = row[1], unit = row[2], timestamp = row[3] and samples.at(row[3]) }
  end
  return list
end

--- bmwi._values.merge of rows, now by default.
function samples.merge(state, source, rows, now)
  return values.merge(state, samples.burst(rows), { source = source, now = now or samples.NOW })
end

local function expect(expected, found, name)
  if type(expected) == "number" then
    assert.is_number(found, name)
    assert.is_true(math.abs(expected - found) < 1e-6, name .. ": " .. found)
  else
    if expected == samples.NONE then expected = nil end
    assert.same(expected, found, name)
  end
end

--- A state must have this status.
---@param row table car: the drive train; status, details: members that must be so
---@return table status
function samples.check(state, row)
  local status, details = values.status(state, { now = samples.NOW, drive_train = row.car })
  for member, expected in pairs(row.status or {}) do expect(expected, status[member], member) end
  for member, expected in pairs(row.details or {}) do
    for name, value in pairs(expected) do
      expect(value, details[member][name], member .. "." .. name)
    end
  end
  return status
end

return samples
