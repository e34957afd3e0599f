--- The server's dates.
---
--- Two warnings from recorded responses. The offset of `updateTime` is the server's zone, not the
--- car's. And `date` of the last trip is the car's clock labelled with the server's zone: read it
--- with time.local_clock, never with time.parse.
-- Nothing here uses os.time{} or os.date: their results depend on the machine's zone.

local check = require "bmwi._check"

local time = {}

local DAY = 86400
local DAYS_BEFORE = { 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334 }
local DAYS_IN = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

local LONGEST = 64 -- maximum length of a date in bytes

-- The formats of a date, and what its captures are; the last capture is the time of day.
local FORMS = {
  { "^(%d%d%d%d)%-(%d%d)%-(%d%d) ?[Tt ](.*)$", "year", "month", "day" },
  { "^(%d%d)%.(%d%d)%.(%d%d%d%d) (.*)$", "day", "month", "year" },
}

local function is_leap(year)
  return year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
end

-- Days from 1970-01-01 to January 1 of a year, in the Gregorian calendar.
local function days_before_year(year)
  local y = year - 1
  return 365 * (year - 1970) + math.floor(y / 4) - math.floor(y / 100) + math.floor(y / 400) - 477
end

local function days_in_month(year, month)
  return DAYS_IN[month] + ((month == 2 and is_leap(year)) and 1 or 0)
end

-- nil: not a zone; false: no zone given.
local function zone_offset(zone)
  if zone == "" then return false end
  zone = zone:gsub("^ ", "")
  if zone == "Z" or zone == "z" or zone == "UTC" then return 0 end
  local sign, hours, minutes = zone:match("^([+-])(%d%d):?(%d%d)$")
  if not sign then
    sign, hours = zone:match("^([+-])(%d%d)$")
    minutes = "00"
  end
  if not sign or tonumber(hours) > 23 or tonumber(minutes) > 59 then return nil end
  local offset = tonumber(hours) * 3600 + tonumber(minutes) * 60
  return sign == "-" and -offset or offset
end

local function problem(text)
  -- The text comes from the network, so the message is short and printable.
  local shown = text:sub(1, 40):gsub("[^\32-\126]", "?")
  return nil, ("not a date and time: '%s'"):format(shown), "time"
end

-- Reads "HH:MM[:SS[.fraction]][zone]" -> seconds since midnight, offset (false: none given); nil if
-- it is not a time of day. The fraction is truncated.
local function time_of_day(text)
  local hour, min, rest = text:match("^(%d%d):(%d%d)(.*)$")
  if not hour then return nil end
  local digits
  local sec, after = rest:match("^:(%d%d)(.*)$")
  if sec then
    digits, rest = after:match("^[.,](%d+)(.*)$")
    rest = rest or after
  end
  local offset = zone_offset(rest)
  hour, min, sec = tonumber(hour), tonumber(min), tonumber(sec or 0)
  if offset == nil or min > 59 or sec > 60 then return nil end
  local seconds = hour * 3600 + min * 60 + sec
  -- ISO 8601 allows 24:00 for the end of a day.
  local ends_day = seconds == DAY and hour == 24 and not (digits or ""):find("[^0]")
  if hour > 23 and not ends_day then return nil end
  -- A leap second is at the end of a UTC day.
  if sec == 60 and (seconds - (offset or 0)) % DAY ~= 0 then return nil end
  return seconds, offset
end

-- The seconds from 1970 to the time shown, and its offset in seconds (false: none given).
---@return integer|nil clock
---@return any offset after a failure the message
---@return "time"|nil code
local function read(text)
  if text == nil then return nil, "no date and time given", "time" end
  if #text > LONGEST then return problem(text) end
  local bare = text:match("^[ \t]*(.-)[ \t]*$")
  for _, form in ipairs(FORMS) do
    local a, b, c, rest = bare:match(form[1])
    if a then
      local date = { [form[2]] = tonumber(a), [form[3]] = tonumber(b), [form[4]] = tonumber(c) }
      local seconds, offset = time_of_day(rest)
      if not seconds or date.month < 1 or date.month > 12
        or date.day < 1 or date.day > days_in_month(date.year, date.month) then
        return problem(text)
      end
      local days = days_before_year(date.year) + DAYS_BEFORE[date.month] + date.day - 1
      if date.month > 2 and is_leap(date.year) then days = days + 1 end
      return days * DAY + seconds, offset
    end
  end
  return problem(text)
end

-- The seconds since 1970, and the offset (nil: none given).
local function epoch_of(text)
  local clock, offset, code = read(text)
  if not clock then return nil, offset, code end
  return clock - (offset or 0), offset or nil
end

-- The reverse, for whole seconds.
local function fields_of(epoch)
  local days = math.floor(epoch / DAY)
  local rest = epoch - days * DAY
  local year = 1970 + math.floor(days / 365.2425)
  while days < days_before_year(year) do year = year - 1 end
  while days >= days_before_year(year + 1) do year = year + 1 end
  local day, month = days - days_before_year(year) + 1, 1
  while day > days_in_month(year, month) do
    day = day - days_in_month(year, month)
    month = month + 1
  end
  return { year = year, month = month, day = day, hour = math.floor(rest / 3600),
    min = math.floor(rest / 60) % 60, sec = rest % 60 }
end

--- Reads a date and time in any format that BMW's servers have been seen to send:
-- `2015-10-30T18:45:04+0100`, the same with `+01:00`, `+01` or `Z`, with a fraction of a second,
-- without a zone (then it is UTC: `internalDataTimeUTC`), and `26.02.2018 07:19:59 UTC`; and in
-- other spellings of ISO 8601 and RFC 3339: without seconds, with a decimal comma, in lower case,
-- 24:00 for the end of a day, a leap second (read as the following second). Blanks around it, or
-- two between date and time, are accepted. The check is strict: February 31 and 25:00 are rejected.
---@param text string|nil nil (an absent member) fails like an unreadable text
---@return integer|nil epoch seconds since 1970-01-01T00:00:00Z; a fraction is truncated
---@return integer|string|nil offset the zone given, in seconds east of UTC; nil if none was given;
--- after a failure the message
---@return "time"|nil code
function time.parse(text)
  check.optional(text, "string", 1, "parse")
  return epoch_of(text)
end

--- Writes epoch seconds as UTC: "2015-10-30T17:45:04Z".
---@param epoch number seconds since 1970-01-01T00:00:00Z; a fraction is truncated
---@return string|nil text nil outside the years 0 to 9999
---@return string|nil message
---@return "time"|nil code
function time.format(epoch)
  check.argument(epoch, "number", 1, "format")
  if not (epoch >= days_before_year(0) * DAY and epoch < days_before_year(10000) * DAY) then
    return nil, "the time is outside of the years 0 to 9999", "time"
  end
  local t = fields_of(math.floor(epoch))
  return ("%04d-%02d-%02dT%02d:%02d:%02dZ"):format(t.year, t.month, t.day, t.hour, t.min, t.sec)
end

--- How old a date is. `updateTime` is when the car last reported, which can be weeks ago.
-- Not for `lastTrip.date`, whose zone is wrong.
---@param text string|nil as for time.parse
---@param now? number epoch seconds; default: the machine's clock
---@return number|nil seconds negative if the date is in the future (clocks differ: a car's data has
--- been seen an hour ahead)
---@return string|nil message
---@return "time"|nil code
function time.age(text, now)
  check.optional(now, "number", 2, "age")
  check.optional(text, "string", 1, "age")
  local epoch, message, code = epoch_of(text)
  if not epoch then return nil, message, code end
  return (now or os.time()) - epoch
end

--- The time on the clock, ignoring the zone in the text. For `date` of the last trip, which is the
-- car's own clock at the end of the trip with a wrong zone (in five of five recorded pairs). The
-- server does not report the zone of that clock.
---@param text string|nil as for time.parse
---@return {year:integer,month:integer,day:integer,hour:integer,min:integer,sec:integer}|nil clock
---@return string|nil message
---@return "time"|nil code
function time.local_clock(text)
  check.optional(text, "string", 1, "local_clock")
  local clock, message, code = read(text)
  if not clock then return nil, message, code end
  return fields_of(clock)
end

--- Whether a date means "never". The server sends 1970-01-01T01:00:00+0100 as `resetDate` if the
-- trip statistics were never reset.
---@param text string|nil as for time.parse
---@return boolean|nil never true for every date before 1971
---@return string|nil message
---@return "time"|nil code
function time.is_never(text)
  check.optional(text, "string", 1, "is_never")
  local epoch, message, code = epoch_of(text)
  if not epoch then return nil, message, code end
  return epoch < 365 * DAY
end

return time
