-- bmwi.bridge.source: the cars' updates from either service: BMW CarData's stream, or polling the
-- classic service. An update is {vin, status, times, details, changed}; `times` and `details`
-- contain what the service provides.

local bmwi = require "bmwi"
local async = require "bmwi.async"
local time = require "bmwi.time"

local source = {}

local FRESH = 6 * 60 * 60 -- seconds; saved values up to this age cost no call at the start

-- Failures that another read does not fix.
local LASTING = { auth = true, login = true, gone = true, closed = true }
-- The same for a car that was never read: it does not belong to the account.
local WRONG = { not_found = true, forbidden = true, unsupported = true }

-- Failures that may pass. Each attempt is a call of CarData's quota.
local PASSING = { network = true, timeout = true, server = true, rate_limited = true, quota = true }

local FIRST_PAUSE = 5 -- seconds before the first repetition; each further pause is twice as long
local DOUBLINGS = 20
-- Seconds between two attempts with CarData, which has no period; also, how long a server can put
-- off the next attempt: one wrong Retry-After must not stop the bridge for a year.
source.LONGEST = 60 * 60

--- Whether a failure may pass by itself.
function source.passes(code) return PASSING[code] == true end

-- How many seconds the server wants us to wait.
local function asked_for(info)
  return math.min(info and info.retry_after or 0, source.LONGEST)
end

--- How many seconds to wait after a failed attempt.
---@param tries integer how many have failed
---@param longest number
---@param info? table of the failure: retry_after
function source.pause(tries, longest, info)
  local pause = FIRST_PAUSE * 2 ^ math.min(tries - 1, DOUBLINGS)
  return math.max(math.min(pause, longest), asked_for(info))
end

-- Whether two responses are equal.
local function same(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for name, value in pairs(a) do
    if not same(value, b[name]) then return false end
  end
  for name in pairs(b) do
    if a[name] == nil then return false end
  end
  return true
end

--- The members that differ between two statuses.
---@return table<string,true>
function source.changed(before, after)
  local set = {}
  for name, value in pairs(after) do
    if not same(before[name], value) then set[name] = true end
  end
  for name in pairs(before) do
    if after[name] == nil then set[name] = true end
  end
  return set
end

-- When each member was measured, from the details or else from the whole status.
local function times_of(status, details)
  local times = {}
  for member, detail in pairs(details or {}) do
    if detail.value ~= nil then times[member] = detail.time end
  end
  local all = not details and type(status.updateTime) == "string" and time.parse(status.updateTime)
  for member in pairs(all and status or {}) do times[member] = all end
  return times
end

local function report(o, vin, status, details, changed)
  o.on_update({ vin = vin, status = status, details = details, changed = changed,
    times = times_of(status, details) })
end

-- Records the result of a read. The service counts as unreachable only if none of its cars can be
-- read.
local function note(o, vin, message, code, info)
  local before = o.failed[vin]
  o.failed[vin] = message
  local failing = 0
  for _ in pairs(o.failed) do failing = failing + 1 end
  if failing == #o.vins then
    o.on_state("waiting", message, code, info)
  elseif not message then
    o.on_state("connected")
  elseif message ~= before then
    o.on_problem(vin, message, code, info)
  end
end

--- Reads a car of the classic service, and reports changes.
---@param options table those of source.tasks()
---@return true|nil done
---@return string|nil message
---@return string|nil code
---@return table|nil info
function source.read(options, vin)
  local status, message, code, info = options.client:vehicle(vin):status()
  if not status then
    note(options, vin, message, code, info)
    return nil, message, code, info
  end
  note(options, vin)
  local changed = source.changed(options.last[vin] or {}, status)
  options.last[vin] = status
  if next(changed) then report(options, vin, status, nil, changed) end
  return true
end

-- Reads a car repeatedly, until that cannot succeed any more.
local function poll(o, vin)
  local tries = 0
  while true do
    local _, message, code, info = source.read(o, vin)
    if LASTING[code] then return o.fail(message, code, info) end
    if WRONG[code] and not o.last[vin] then break end
    tries = PASSING[code] and tries + 1 or 0
    bmwi.sleep(tries > 0 and source.pause(tries, o.every, info)
      or math.max(o.every, asked_for(info)))
  end
  o.wrong = (o.wrong or 0) + 1
  if o.wrong == #o.vins then o.fail(o.failed[vin], "not_found") end
end

-- Reads a car of CarData at the start; saved values will do.
---@return boolean again whether to repeat it
---@return string|nil message of a lasting failure
---@return string|nil code
---@return table|nil info
local function first_read(o, vin, take)
  local car = o.client:vehicle(vin)
  local status, details, code, info = car:status({ max_age = FRESH })
  if not status and LASTING[code] then return false, details, code, info end
  local message, failed = details, not status
  if failed and message ~= o.failed[vin] then
    o.on_problem(vin, message, code, info)
    status, details = car:status({ max_age = math.huge })
  end
  o.failed[vin] = failed and message or nil
  if not failed then o.learn(vin) end
  if status then take({ vin = vin, status = status, details = details }) end
  return failed and source.passes(code), nil, code, info
end

-- Reads these cars in turn. Returns those to be read again, or nil after a lasting failure; then
-- what failed.
local function read_all(o, vins, take)
  local left, last = {}, nil
  for _, vin in ipairs(vins) do
    local again, message, code, info = first_read(o, vin, take)
    if message then return nil, message, code, info end
    if again then left[#left + 1], last = vin, info end
  end
  return left, nil, nil, last
end

-- Repeats the first read of these cars until none has failed.
local function read_again(o, left, info, take)
  local tries = 0
  while left[1] do
    tries = tries + 1
    bmwi.sleep(source.pause(tries, source.LONGEST, info))
    local message, code
    left, message, code, info = read_all(o, left, take)
    if not left then return o.fail(message, code, info) end
  end
end

-- The members whose value or time differs from what was last reported.
local function news(before, update)
  local set = source.changed(before.status or {}, update.status)
  local old = before.details or {}
  for member, detail in pairs(update.details) do
    if detail.value ~= nil and detail.time ~= (old[member] or {}).time then set[member] = true end
  end
  return set
end

local function follow(o)
  local stream = o.client:stream { vins = not o.all and o.vins or nil }
  local told = {}
  local reading
  o.close = function()
    if reading then reading:cancel() end
    stream:close()
  end
  local function take(update)
    local set = news(told[update.vin] or {}, update)
    told[update.vin] = update
    if next(set) then report(o, update.vin, update.status, update.details, set) end
  end
  local left, message, code, info = read_all(o, o.vins, take)
  if not left then return o.fail(message, code, info) end
  reading = async.spawn(function() read_again(o, left, info, take) end)
  local update
  repeat
    update, message, code, info = stream:next()
    if update then take(update) end
  until not update
  o.fail(message, code, info)
end

--- Functions, each to be run as a task, that report the cars' updates. If that cannot succeed any
--- more, one of them calls fail().
---@param options table client; service; vins: the cars; all: more cars may come, learn(vin): reads
--- what the car is, if that is not known (both CarData); every:
--- seconds between two readings, last: an empty table (both classic); failed: another one;
--- on_update(update); on_state("connected") and on_state("waiting", message, code, info) (classic;
--- the state of the stream is in the client's log); on_problem(vin, message, code, info): a read
--- failed, and is repeated; fail(message, code, info), which raises. A member close() is added, to
--- be called at the end: it saves the stream's last values
---@return function[] tasks
function source.tasks(options)
  if options.service == "cardata" then return { function() follow(options) end } end
  local tasks = {}
  for i, vin in ipairs(options.vins) do
    tasks[i] = function() poll(options, vin) end
  end
  return tasks
end

return source
