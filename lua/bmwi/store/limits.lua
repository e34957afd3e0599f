--- BMW's limits: 50 REST calls a day, and few connections to the stream. Works only on tables of
--- times (seconds since 1970); the store saves them.
---
--- Sources differ on when calls become available again: all at midnight UTC, or each after 24
--- hours. The calls of the last 24 hours include those since midnight, so counting these satisfies
--- both.

local limits = {}

local DAY = 24 * 60 * 60
local MOST_OLD = 200 -- older calls kept: they count again if the clock is set back
local ATTEMPTS, WINDOW = 4, 60 -- connections to the stream in this many seconds

local function is_time(value)
  return type(value) == "number" and value - value == 0 -- of nan and inf that is nan
end

--- Whether a table from a file is valid.
function limits.valid(quota)
  if type(quota) ~= "table" then return false end
  for _, name in ipairs { "closed_at", "closed_until", "set_back_at" } do
    if quota[name] ~= nil and not is_time(quota[name]) then return false end
  end
  if quota.calls ~= nil and type(quota.calls) ~= "table" then return false end
  for key, at in pairs(quota.calls or {}) do
    if type(key) ~= "number" or not is_time(at) then return false end
  end
  return true
end

local function keep(quota, wanted)
  local calls = {}
  for _, at in ipairs(quota.calls or {}) do
    if wanted(at) then calls[#calls + 1] = at end
  end
  quota.calls = calls
end

-- The clock was set back at `noticed` and is right again. Calls made meanwhile (they follow a later
-- one in the list) have too early a time, which would no longer count, so they count from now.
local function move_late(quota, noticed, now)
  local latest = -math.huge
  for i, at in ipairs(quota.calls or {}) do
    if at >= noticed and at < latest then quota.calls[i] = now end
    latest = math.max(latest, at)
  end
end

-- A time in the future shows that the clock was wrong then, or is wrong now. It counts, but only
-- for 24 hours after this was noticed: a clock that was a year ahead must not block calls for a
-- year. True if the table was changed.
local function heed_clock(quota, now)
  local ahead = (quota.closed_at or now) > now
  for _, at in ipairs(quota.calls or {}) do ahead = ahead or at > now end
  local noticed = quota.set_back_at
  if not ahead then
    if noticed then move_late(quota, noticed, now) end
    quota.set_back_at = nil
    return noticed ~= nil
  elseif not noticed or noticed > now then
    quota.set_back_at = now
    return true
  elseif now - noticed < DAY then
    return false
  end
  keep(quota, function(at) return at <= now end)
  if (quota.closed_at or now) > now then quota.closed_at, quota.closed_until = nil, nil end
  quota.set_back_at = nil
  return true
end

-- When the period that began at `at` ends: at most a day after `at` was found to be in the future.
local function ends(quota, now, at)
  local noticed = quota.set_back_at or now
  return (at < noticed + DAY and at or noticed) + DAY
end

-- When each counted call stops counting, in order. The calls are in order already, unless the clock
-- was wrong.
local function counted(quota, now)
  local list, sorted = {}, true
  for _, at in ipairs(quota.calls or {}) do
    if at > now - DAY then
      local last, till = list[#list], ends(quota, now, at)
      sorted = sorted and (not last or last <= till)
      list[#list + 1] = till
    end
  end
  if not sorted then table.sort(list) end
  return list
end

-- Until when the day is closed, or nil.
local function closed(quota, now)
  local at, till = quota.closed_at, quota.closed_until
  if not at or not till or now >= till then return nil end
  local last = math.min(till, ends(quota, now, at))
  return now < last and last or nil
end

-- When the next call is possible, if not now; the reason; and otherwise how many calls count.
local function opens(quota, limit, now)
  local till = closed(quota, now)
  if till then return till, "closed" end
  local list = counted(quota, now)
  if #list >= limit then return list[#list - limit + 1], "limit" end
  return nil, nil, #list
end

--- Counts a call that is about to be sent.
---@param quota table changed in place
---@return boolean|nil allowed nil if the table was not changed
---@return integer left or, if the call is not allowed, in how many seconds to ask again
---@return "limit"|"closed"|nil reason
function limits.spend(quota, limit, now)
  local changed = heed_clock(quota, now)
  local at, reason, used = opens(quota, limit, now)
  if at then
    if changed then return false, at - now, reason end
    return nil, at - now, reason
  end
  local extra = #(quota.calls or {}) + 1 - MOST_OLD
  keep(quota, function(call)
    extra = extra - 1
    return extra < 0 or call > now - DAY
  end)
  table.insert(quota.calls, now)
  return true, limit - used - 1
end

--- BMW has reported that the day's calls are used up. Other programs have made calls that are not
--- known here, so the next call is possible once both rules allow one: after midnight UTC, and when
--- the first of our own calls is 24 hours old.
---@param quota table changed in place
function limits.close(quota, now)
  heed_clock(quota, now)
  local midnight = now - now % DAY + DAY
  local first = counted(quota, now)[1] or now + DAY
  local till = math.max(midnight, math.min(first, now + DAY), closed(quota, now) or 0)
  quota.closed_at, quota.closed_until = now, till
end

--- The remaining calls.
---@param quota table changed in place; the change need not be saved
---@return table state {limit, used, left, resets_at}: resets_at is when the next call becomes
--- available again, or now if none is used
function limits.state(quota, limit, now)
  heed_clock(quota, now)
  local list, till = counted(quota, now), closed(quota, now)
  return { limit = limit, used = #list, left = till and 0 or math.max(0, limit - #list),
    resets_at = till or opens(quota, limit, now) or list[1] or now }
end

--- Counts an attempt to connect to the stream, if it is allowed.
---@param attempts number[] the times of the last attempts
---@param window? number seconds; default 60
---@return boolean allowed
---@return integer seconds to wait
---@return number[] attempts those that still count
function limits.attempt(attempts, now, window)
  local list = {}
  window = window or WINDOW
  for _, at in ipairs(attempts) do
    -- An attempt in the future was made at an unknown time, so it is moved to now.
    if is_time(at) and at > now - window then list[#list + 1] = math.min(at, now) end
  end
  local allowed = #list < ATTEMPTS
  if allowed then list[#list + 1] = now end
  return allowed, allowed and 0 or list[#list - ATTEMPTS + 1] + window - now, list
end

return limits
