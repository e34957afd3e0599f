--- What a store keeps besides the log-in: the calls of the day, the container, and the cars with
--- their last values. Each method but _spend fails with nil, message, "store" if the file cannot be
--- read or written; names with `_` are for bmwi's own modules.

local bmwi = require "bmwi"
local change = require "bmwi.store.change"
local check = require "bmwi._check"
local form = require "bmwi.store.form"
local limits = require "bmwi.store.limits"

local DAILY_LIMIT = 50
local MOST_CARS = 256
local MOST_REFUSED = 1000 -- descriptors; BMW has about 300

local MAX_TEXT = 16 * 1024 -- maximum length of one value from a server
local MAX_NAME = 256
local MAX_DEPTH = 8

local account_methods = {}

-- The result of a change, or its failure.
local function outcome(done, ...)
  if done then return ... end
  local message, _, info = ...
  return nil, message, "store", info or { retryable = false }
end

--- A copy of the whole account.
---@return table|nil account empty if nothing has been saved yet
---@return string|nil message
---@return "store"|nil code
---@return {hint:string}|nil info
function account_methods:_read()
  local kept, message, code, info = change.read(self.place)
  if kept then return form.copy(kept) end
  if code == "missing" then return {} end
  return nil, message, "store", info or { retryable = false }
end

--- Changes the account while no other process does. Other tasks run while it waits for the lock.
---@param fn fun(account:table):any changes the account in place; must not wait. Nothing is written
--- if it returns nil or raises
---@param timeout? number seconds to wait for the lock; default 10
---@return any the result of fn
---@return string|nil message if the first result is nil because of a failure
---@return "store"|nil code
---@return {hint:string}|nil info
function account_methods:_change(fn, timeout)
  return outcome(change.later(self.place, fn, timeout or 10))
end

local function is_plain(value)
  local kind = type(value)
  if kind == "string" then return #value <= MAX_TEXT end
  if kind == "number" then return value == value and math.abs(value) ~= math.huge end
  return kind == "boolean"
end

--- Copies a server's data without what must not be in the file: texts that are too long, tables
--- nested too deeply, and values that are not data.
---@param value any
---@param depth? integer maximum nesting of tables
---@return any copy
---@return boolean whole whether everything was copied
local function plain(value, depth)
  depth = depth or MAX_DEPTH
  if is_plain(value) then return value, true end
  if type(value) ~= "table" or depth == 0 then return nil, false end
  if next(value) == nil and bmwi.json.is_array(value) then return bmwi.json.array(), true end
  local parts, whole, is_list = {}, true, #value > 0
  for name, member in pairs(value) do
    local is_name = type(name) == "string" and #name <= MAX_NAME
    local part, all = plain(member, depth - 1)
    whole = whole and all and (is_list or is_name)
    if is_list or is_name then parts[name] = part end
  end
  if not is_list then return parts, whole end
  local list = {}
  for i = 1, #value do list[#list + 1] = parts[i] end
  return list, whole
end

local function time_of(now, position, name)
  check.optional(now, "number", position, name, 3)
  return math.floor(now or os.time())
end

local function limit_of(limit, position, name)
  check.optional(limit, "number", position, name, 3)
  check.that(not limit or limit >= 1, "at least 1 expected", position, name, 3)
  return math.floor(limit or DAILY_LIMIT)
end

-- Returns the result of get(account), which must be no part of the account but a copy.
local function look(store, get)
  local kept, message, code, info = change.read(store.place)
  if kept then return get(kept) end
  if code == "missing" then return get({}) end
  return nil, message, "store", info or { retryable = false }
end

-- The texts of a list, no more than there can be descriptors.
local function texts(list)
  local copy = {}
  for _, key in ipairs(type(list) == "table" and list or {}) do
    if type(key) == "string" and #copy < MOST_REFUSED then copy[#copy + 1] = plain(key) end
  end
  return copy
end

local function set_of(list)
  local set = {}
  for _, key in ipairs(texts(list)) do set[key] = true end
  return set
end

-- A container as it is stored: its id and names, and the descriptors that it had to leave out.
local function described(container)
  local copy = {}
  for _, name in ipairs { "id", "name", "version" } do
    if type(container[name]) ~= "table" then copy[name] = plain(container[name]) end
  end
  local left_out = texts(container.left_out)
  if left_out[1] then copy.left_out = left_out end
  return next(copy) and copy
end

--- Removes the log-in and all that is known of the cars, but not what BMW counts and refuses.
---@return true|nil removed
---@return string|nil message
---@return "file"|nil code
function account_methods:_log_out()
  return change.remove(self.place, function(kept)
    local rest = form.lasting(kept)
    return form.has_more(rest) and rest or nil
  end)
end

--- Counts one call before it is sent.
---@param options? {limit:integer,now:number} default: 50 a day, the machine's clock
---@return true|nil allowed
---@return integer|string|nil left or, if the call is not allowed, in how many seconds to ask again,
--- or the message if the file fails
---@return "limit"|"closed"|"store"|nil reason
---@return {hint:string}|nil info
function account_methods:_spend(options)
  options = check.options(options, { { "limit", "number" }, { "now", "number" } }, 1, "_spend")
  local limit, now = limit_of(options.limit, 1, "_spend"), time_of(options.now, 1, "_spend")
  local allowed, left, reason, info = self:_change(function(kept)
    kept.quota = kept.quota or {}
    return limits.spend(kept.quota, limit, now)
  end)
  return allowed or nil, left, reason, info
end

--- BMW reports that the day's calls are used up (CU-429): none is allowed until calls are certainly
--- available again.
function account_methods:_close_day(now)
  now = time_of(now, 1, "_close_day")
  return self:_change(function(kept)
    kept.quota = kept.quota or {}
    limits.close(kept.quota, now)
    return true
  end)
end

--- The calls left today.
---@return {limit:integer,used:integer,left:integer,resets_at:integer}|nil state
function account_methods:_quota(limit, now)
  limit, now = limit_of(limit, 1, "_quota"), time_of(now, 2, "_quota")
  return look(self, function(kept)
    return limits.state(form.copy(kept.quota or {}), limit, now)
  end)
end

--- Counts an attempt to connect to the stream if it is allowed now.
---@param window? number length of the counted period in seconds; default 60
---@return boolean|nil allowed
---@return number|string wait seconds
function account_methods:_stream_attempt(now, window)
  now = time_of(now, 1, "_stream_attempt")
  return self:_change(function(kept)
    local allowed, wait
    allowed, wait, kept.attempts = limits.attempt(kept.attempts or {}, now, window)
    return allowed, wait
  end)
end

--- Takes the lock of the account's stream: BMW allows one connection for each account.
---@return table|userdata|nil lock released by lock:unlock()
---@return string|nil message
---@return "locked"|"file"|nil code
function account_methods:_stream_lock()
  return self.place.try_lock("stream.lock")
end

--- The container that was created last.
---@return {id:string,name:string,version:string,left_out:string[]|nil}|nil container
function account_methods:_container()
  return look(self, function(kept) return described(kept.container or {}) end)
end

--- Saves the container, or removes it if none is given.
function account_methods:_set_container(container)
  check.optional(container, "table", 1, "_set_container")
  return self:_change(function(kept)
    kept.container = container and described(container)
    return true
  end)
end

--- The descriptors that BMW refused.
---@return table<string,true>|nil set
function account_methods:_refused_descriptors()
  return look(self, function(kept) return set_of(kept.refused_descriptors) end)
end

--- What is not requested: descriptors that BMW refused, and those that the container left out.
---@return {refused:table<string,true>, left_out:table<string,true>}|nil sets
function account_methods:_not_requested()
  return look(self, function(kept)
    local container = kept.container or {}
    return { refused = set_of(kept.refused_descriptors), left_out = set_of(container.left_out) }
  end)
end

--- Records that BMW refused a descriptor (CU-402).
function account_methods:_refuse_descriptor(key)
  check.argument(key, "string", 1, "_refuse_descriptor")
  return self:_change(function(kept)
    local list = kept.refused_descriptors or {}
    for _, known in ipairs(list) do
      if known == key then return true end
    end
    if #list < MOST_REFUSED then list[#list + 1] = plain(key) end
    kept.refused_descriptors = list
    return true
  end)
end

--- The last known list of the account's cars.
---@return table[]|nil list
function account_methods:_vehicles()
  return look(self, function(kept)
    local list = kept.vehicles and {}
    for _, vehicle in ipairs(kept.vehicles or {}) do
      if type(vehicle) == "table" then list[#list + 1] = form.copy(vehicle) end
    end
    return list
  end)
end

--- Saves the list of the account's cars.
function account_methods:_set_vehicles(list)
  check.argument(list, "table", 1, "_set_vehicles")
  return self:_change(function(kept)
    kept.vehicles = plain(list)
    return true
  end)
end

-- A copy of a car's entry in a member.
local function of_car(store, member, vin, copy)
  return look(store, function(kept)
    local data = kept[member] and kept[member][vin]
    return type(data) == "table" and copy(data) or nil
  end)
end

-- Sets a car's entry in a member to the result of make(previous entry).
local function put_of_car(kept, member, vin, make)
  local cars, count = kept[member] or {}, 0
  for _ in pairs(cars) do count = count + 1 end
  if not cars[vin] and count >= MOST_CARS then return nil, "too many cars", "store" end
  cars[vin] = make(type(cars[vin]) == "table" and cars[vin] or {})
  kept[member] = cars
  return true
end

--- A car's basic data.
---@return table|nil data
function account_methods:_basic(vin)
  check.argument(vin, "string", 1, "_basic")
  return of_car(self, "basic", vin, form.copy)
end

--- The basic data of all cars, by VIN.
---@return table|nil data
function account_methods:_all_basic()
  return look(self, function(kept) return form.copy(kept.basic or {}) end)
end

--- Saves a car's basic data.
function account_methods:_set_basic(vin, data)
  check.argument(vin, "string", 1, "_set_basic")
  check.argument(data, "table", 2, "_set_basic")
  return self:_change(function(kept)
    return put_of_car(kept, "basic", vin, function() return (plain(data)) end)
  end)
end

--- A car's last values, with the source "cache".
---@return table|nil state of bmwi._values
function account_methods:_values(vin)
  check.argument(vin, "string", 1, "_values")
  return of_car(self, "values", vin, bmwi._values.restore)
end

-- Whether the saved value of a descriptor is newer than the one to be saved. One that is empty does
-- not count.
local function is_newer(old, new)
  if not new then return true end
  if type(old) ~= "table" then return false end
  if (old.value == nil) ~= (new.value == nil) then return old.value ~= nil end
  local before, after = tonumber(old.time), tonumber(new.time)
  return before ~= nil and (not after or before > after)
end

--- When a car's values were last read from BMW. The values do not show this: the car may have been
--- asleep for days.
---@return number|nil fetched epoch seconds
function account_methods:_fetched(vin)
  check.argument(vin, "string", 1, "_fetched")
  return look(self, function(kept)
    local at = kept.fetched and kept.fetched[vin]
    return type(at) == "number" and at or nil
  end)
end

-- What can be kept of a state.
local function plain_state(state)
  local fresh = {}
  for descriptor, entry in pairs(state) do
    -- Without a part of it, an entry would stand in the way of the whole one.
    local copy, whole = plain(entry)
    if whole then fresh[descriptor] = copy end
  end
  return fresh
end

local function put_values(kept, vin, fresh, fetched)
  local done, message, code = put_of_car(kept, "values", vin, function(before)
    for descriptor, entry in pairs(before) do
      if not is_newer(entry, fresh[descriptor]) then before[descriptor] = fresh[descriptor] end
    end
    for descriptor, entry in pairs(fresh) do before[descriptor] = before[descriptor] or entry end
    return before
  end)
  if done and fetched then
    kept.fetched = kept.fetched or {}
    kept.fetched[vin] = fetched
  end
  return done, message, code
end

--- Saves a car's values. Newer values that another process has saved meanwhile are kept.
---@param state table of bmwi._values
---@param fetched? number when they were read from BMW; nil for values from the stream
function account_methods:_set_values(vin, state, fetched)
  check.argument(vin, "string", 1, "_set_values")
  check.argument(state, "table", 2, "_set_values")
  check.optional(fetched, "number", 3, "_set_values")
  local fresh = plain_state(state)
  return self:_change(function(kept) return put_values(kept, vin, fresh, fetched) end)
end

--- The same for several cars in one change; of too many cars, the last ones are left out.
---@param cars {vin:string,state:table,fetched:number|nil}[]
function account_methods:_set_all_values(cars)
  check.argument(cars, "table", 1, "_set_all_values")
  local fresh = {}
  for i, car in ipairs(cars) do fresh[i] = plain_state(car.state) end
  return self:_change(function(kept)
    for i, car in ipairs(cars) do put_values(kept, car.vin, fresh[i], car.fetched) end
    return true
  end)
end

return account_methods
