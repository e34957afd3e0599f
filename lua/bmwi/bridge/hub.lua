-- bmwi.bridge.hub: the state of each car, and its destinations: a broker, a file for Prometheus,
-- JSON lines. It owns neither the source of the updates nor the connection.

local bmwi = require "bmwi"
local homeassistant = require "bmwi.bridge.homeassistant"
local prometheus = require "bmwi.bridge.prometheus"
local sorted_names = require "bmwi._names"
local topics = require "bmwi.bridge.topics"

local hub = {}

local MOST_CARS = 256
local MOST_MEMBERS = 500 -- for one car; a status has about 50

local Hub = {}
Hub.__index = Hub

--- A hub.
---@param options table publisher: of bmwi.bridge.publisher, or nil; discovery: whether to
--- announce the cars to Home Assistant; commands: whether there are any; file: for Prometheus, or
--- nil; line: function(text) for JSON lines, or nil; quota: function() -> calls left or nil
---@return table hub
function hub.new(options)
  return setmetatable({ options = options, cars = {}, count = 0, connected = false }, Hub)
end

--- A car's state, created if there is none; nil if there are too many cars.
---@param vehicle? table its entry in the account's list
function Hub:car(vin, vehicle)
  local car = self.cars[vin]
  if not car and self.count < MOST_CARS then
    vehicle = vehicle or { vin = vin }
    car = { vin = vin, vehicle = vehicle, status = {}, times = {}, known = {}, members = 0 }
    self.cars[vin], self.count = car, self.count + 1
  end
  return car
end

-- Records the members that the car has reported. Returns whether there are new ones.
local function note_members(car, status)
  local new = false
  for member, value in pairs(status) do
    if car.known[member] == nil and value ~= "INVALID" and car.members < MOST_MEMBERS then
      car.known[member], car.members, new = value, car.members + 1, true
    end
  end
  return new
end

-- Tells Home Assistant about a car.
local function announce(self, car)
  local o = self.options
  if not o.discovery then return end
  o.publisher:set(homeassistant.topic(car.vin),
    homeassistant.discovery(car.vehicle, car.known, { commands = o.commands }))
end

local function publish(self, car, before)
  local o = self.options
  if note_members(car, car.status) then announce(self, car) end
  for topic, payload in pairs(topics.messages(car.vin, car.status, car.times, before)) do
    o.publisher:set(topic, payload)
  end
end

--- Handles an update of a car: {vin, status, times, changed}.
function Hub:update(update)
  local car, o = self:car(update.vin), self.options
  if not car then return end
  local before = car.status
  car.status, car.times = update.status, update.times
  if o.publisher then publish(self, car, before) end
  if o.line then o.line(topics.line(update)) end
  if o.file then
    self.due = true
    if os.time() > self.written then self:write(os.time()) end
  end
end

--- The model of a car has become known: it is in its entry in the account's list.
function Hub:named(vin)
  local car = self.cars[vin]
  if car and car.members > 0 then announce(self, car) end
end

--- Sets whether the service can be reached, and a description.
function Hub:state(connected, text)
  self.connected, self.due = connected, true
  if self.options.publisher then self.options.publisher:set(topics.CONNECTION, text) end
end

--- Writes the file for Prometheus; the age of each value grows with time.
---@return true|nil written
---@return string|nil message
---@return "file"|nil code
function Hub:write(now)
  local list = {}
  for i, vin in ipairs(sorted_names(self.cars)) do
    local car = self.cars[vin]
    car.model = type(car.vehicle.model) == "string" and car.vehicle.model or nil
    list[i] = car
  end
  local written, message, code = bmwi._sys.publish_file(self.options.file, prometheus.text(list,
    { connected = self.connected, quota_left = self.options.quota() }, now))
  self.due, self.written = not written, now
  return written, message, code
end

return hub
