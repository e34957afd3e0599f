--- What BMW returns in pages: charging sessions and charging settings. Each page uses a call of the
--- quota, and a later page can fail, so the pages already read are never discarded.

local bmwi = require "bmwi"
local call = require "bmwi.cardata.call"
local check = require "bmwi._check"
local time = require "bmwi.time"
local units = require "bmwi.units"

local history = {}

local DAY = 86400
local WINDOW = 45 * DAY -- the maximum period of one request
local USUAL_SPAN = 30 * DAY
local MILLISECONDS = 1e11 -- as seconds this is after the year 5000
local MOST_IDLE = 2 -- pages in a row with nothing new

-- Pages -------------------------------------------------------------------------------------------

-- Reads all pages of one request. take(entry) returns whether the entry is new. Returns true, or
-- the failure.
local function read_pages(client, endpoint, vin, query, token_name, take)
  local token, seen, idle, pages, restarted = nil, {}, 0, 0, false
  repeat
    local page = { from = query.from, to = query.to, nextToken = token }
    local answer, message, code, info = client:_call(endpoint, { vin = vin, query = page })
    if not answer then
      -- The page token has expired: starts again from the first page, once.
      if restarted or type(info) ~= "table" or info.api_code ~= "CU-125" then
        return nil, message, code, info
      end
      token, seen, idle, restarted = nil, {}, -pages, true -- the repeated pages hold nothing new
    else
      local data = type(answer) == "table" and answer.data
      if type(data) ~= "table" then return call.invalid(endpoint, "has no list") end
      local news = 0
      for _, entry in ipairs(data) do
        if type(entry) == "table" and take(entry) then news = news + 1 end
      end
      pages, idle = pages + 1, news > 0 and math.min(idle, 0) or idle + 1
      token = answer[token_name]
      if type(token) ~= "string" or token == "" then return true end
      if seen[token] or idle >= MOST_IDLE then
        return nil, "the server's pages repeat endlessly", "server", { retryable = false }
      end
      seen[token] = true
    end
  until false
end

-- Sessions ----------------------------------------------------------------------------------------

-- Converts BMW's times to epoch seconds: seconds or milliseconds, as a number or text.
local function epoch(value)
  local number = tonumber(value)
  if not number then
    return type(value) == "string" and time.parse(value) or nil
  end
  if number ~= number or number <= 0 or number == math.huge then return nil end
  return math.floor(number > MILLISECONDS and number / 1000 or number)
end

local function normalise(session)
  session.startTime, session.endTime = epoch(session.startTime), epoch(session.endTime)
  if type(session.chargingBlocks) == "table" then
    for _, block in ipairs(session.chargingBlocks) do
      if type(block) == "table" then
        block.startTime, block.endTime = epoch(block.startTime), epoch(block.endTime)
      end
    end
  end
  local unit = bmwi._values.unit(session.mileageUnits)
  session.mileage = tonumber(session.mileage)
  if unit == "mi" and session.mileage then
    session.mileage = math.floor(units.miles_to_km(session.mileage) + 0.5)
    unit = "km"
  end
  session.mileageUnits = (unit == "km" or unit == "mi") and unit or nil
  return session
end

-- A collection of sessions without duplicates: a car can start only one in the same second.
local function new_collection()
  local list, by_start = {}, {}
  local collection = {}

  function collection.take(session)
    normalise(session)
    local at = session.startTime
    local index = at and by_start[at]
    if index then
      -- An entry that was read during the session is less complete.
      if (session.endTime or 0) > (list[index].endTime or 0) then list[index] = session end
      return false
    end
    list[#list + 1] = session
    if at then by_start[at] = #list end
    return true
  end

  -- Sorted by time; entries without one are at the end, in their original order.
  function collection.sorted()
    local order, place = {}, {}
    for i, session in ipairs(list) do order[i], place[session] = session, i end
    table.sort(order, function(a, b)
      local at = a.startTime or a.endTime or math.huge
      local other = b.startTime or b.endTime or math.huge
      if at ~= other then return at < other end
      return place[a] < place[b]
    end)
    return order
  end

  return collection
end

-- Windows of at most 45 days, the newest first: if the quota runs out, those matter most.
local function windows_of(from, to)
  local list = {}
  repeat
    local start = math.max(from, to - WINDOW)
    list[#list + 1] = { from = start, to = to }
    to = start
  until start <= from
  return list
end

-- BMW's format: milliseconds and Z.
local function stamp(seconds)
  return (time.format(seconds):gsub("Z$", ".000Z"))
end

local function check_quota(client, calls)
  local quota, message, code, info = client:_store():_quota(client:_option("daily_limit"))
  if not quota then return nil, message, code, info end
  if calls <= quota.left then return true end
  local words = ("this charging history takes at least %d call%s, but %s of %d are left"):format(
    calls, calls == 1 and "" or "s", quota.left == 0 and "none" or "only " .. quota.left,
    quota.limit)
  return nil, words, "quota", call.too_few(calls, quota)
end

-- The period that the options ask for.
local function period_of(options)
  local name = "charging_history"
  options = check.options(options, { { "from", "number" }, { "to", "number" } }, 1, name, 3)
  local to = options.to or os.time()
  local from = options.from or to - USUAL_SPAN
  check.option(time.format(to), "to", "be epoch seconds", name, 3)
  check.option(time.format(from), "from", "be epoch seconds", name, 3)
  check.option(from < to, "from", "be before 'to'", name, 3)
  return from, to
end

--- The charging sessions of any period, the oldest first, without duplicates, with BMW's names.
--- Times (startTime, endTime, those of chargingBlocks) are epoch seconds, mileage is in km with
--- mileageUnits "km"; if BMW sends no unit, mileageUnits is absent and mileage is unconverted. Any
--- member may be missing: a session in progress has no end. Uses a call of the quota for each 45
--- days and each ten sessions; nothing is sent if fewer are left than the period takes at least.
---@param options? {from:number, to:number} epoch seconds; default: the last 30 days
---@return table[]|nil sessions
---@return string|nil message
---@return string|nil code "quota": too few calls are left (info.calls: how many it takes)
---@return table|nil info partial: the sessions that came before the failure
function history.charging_history(car, options)
  check.object(car, "car", "charging_history")
  local from, to = period_of(options)
  local client = car:_client()
  local windows = windows_of(math.floor(from), math.floor(to))
  local enough, message, code, info = check_quota(client, #windows)
  if not enough then return nil, message, code, info end
  local sessions = new_collection()
  for _, window in ipairs(windows) do
    local read
    read, message, code, info = read_pages(client, "charging_history", car:vin(),
      { from = stamp(window.from), to = stamp(window.to) }, "next_token", sessions.take)
    if not read then
      info = info or { retryable = false }
      info.partial = sessions.sorted()
      return nil, message, code, info
    end
  end
  return sessions.sorted()
end

--- The charging settings of places (location based charging), with BMW's names; empty if there
--- are none. Takes a call of the quota for each ten places.
---@return table[]|nil settings
---@return string|nil message
---@return string|nil code "unsupported": not for this car or account
---@return table|nil info partial: the settings that came before the failure
function history.charging_settings(car)
  check.object(car, "car", "charging_settings")
  local list, seen = {}, {}
  local function take(setting)
    if setting.id ~= nil and seen[setting.id] then return false end
    if setting.id ~= nil then seen[setting.id] = true end
    list[#list + 1] = setting
    return true
  end
  local read, message, code, info = read_pages(car:_client(), "charging_settings", car:vin(), {},
    "nextToken", take)
  info = type(info) == "table" and info or { retryable = false }
  if read or info.api_code == "CU-127" and info.status == 404 then return list end
  if info.api_code == "CU-127" then
    -- It speaks of an invalid token, but the same token is good for all else.
    info.hint = "a new log-in does not help while other calls succeed"
    return nil, "BMW has no location based charging settings for this car or account",
      "unsupported", info
  end
  info.partial = list
  return nil, message, code, info
end

return history
