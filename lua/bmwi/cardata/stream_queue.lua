--- The updates that wait for a stream's reader. A car's messages that arrive close together become
--- one update; a slow reader gets fewer updates, each with all changes.

local bmwi = require "bmwi"

local queue = {}

local MOST = 64 -- updates; beyond that each car has the one that it has

local Queue = {}
Queue.__index = Queue

--- Makes a queue.
---@param options {vins:table<string,true>|nil,times:table,drive_train:fun(vin:string):string|nil}
function queue.new(options)
  return setmetatable({ vins = options.vins, times = options.times,
    drive_train = options.drive_train, first = 1, last = 0, newest = {}, given = {} }, Queue)
end

--- Adds a change of a car's state.
---@param before table
---@param state table
---@param values table<string,any> the received descriptors
---@return boolean news whether a waiting reader must check again
function Queue:push(vin, before, state, values, now)
  if self.vins and not self.vins[vin] then return false end
  local item = self.newest[vin]
  local full = self.last - self.first + 1 >= MOST
  local news = false
  if not item or not full and now >= item.ready then
    news = self.last < self.first
    item = { vin = vin, since = now, descriptors = {} }
    self.last = self.last + 1
    self[self.last], self.newest[vin] = item, item
  end
  item.state = state
  item.ready = math.min(item.since + self.times.longest, now + self.times.quiet)
  for descriptor in pairs(values) do
    if state[descriptor] ~= before[descriptor] then item.descriptors[descriptor] = true end
  end
  return news
end

-- A copy, so that the reader may modify it.
local function copy(value)
  if type(value) ~= "table" then return value end
  local new = {}
  for name, member in pairs(value) do new[name] = copy(member) end
  return new
end

-- The received parts of a state; all of it for a car's first update.
local function parts(state, descriptors)
  local part = {}
  for descriptor in pairs(descriptors) do part[descriptor] = state[descriptor] end
  return part
end

local function all_of(status)
  local set = {}
  for member in pairs(status) do set[member] = true end
  return set
end

function Queue:update_of(item)
  local vin, state, now = item.vin, item.state, os.time()
  local status, details = bmwi._values.status(state,
    { drive_train = self.drive_train(vin), now = now })
  local given = self.given[vin]
  self.given[vin] = copy(status)
  return {
    vin = vin,
    status = status,
    details = details,
    changed = given and bmwi._values.changed(given, status) or all_of(status),
    values = bmwi._values.telematics(given and parts(state, item.descriptors) or state,
      { now = now }),
  }
end

--- The next update.
---@param ended boolean whether nothing more will come
---@return table|nil update
---@return number|nil seconds until there is one; nil if none is pending
function Queue:take(now, ended)
  local item = self[self.first]
  if not item then return nil end
  if not ended and now < item.ready then return nil, item.ready - now end
  self[self.first] = nil
  self.first = self.first + 1
  if self.newest[item.vin] == item then self.newest[item.vin] = nil end
  return self:update_of(item)
end

return queue
