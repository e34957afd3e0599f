-- bmwi.cli.cardata_doctor: the doctor's steps for BMW CarData, in the order in which set-ups fail.
-- Most problems are settings at BMW's portal, so each step names the one to check.

local checks = require "bmwi.cli.checks"
local render = require "bmwi.cli.render"
local session = require "bmwi.cli.session"

local cardata_doctor = {}

local DAY = 86400
local PORTAL = "At BMW's portal (your car, BMW CarData): "
local GUIDE = " Step by step: docs/cardata.md"
-- The scopes that a log-in must cover, and the portal's name for each.
local SCOPES = { { "cardata:api:read", "CarData API" },
  { "cardata:streaming:read", "CarData Stream" } }

local function client_id(ctx)
  local id = ctx.settings.client_id
  if id then return id end
  return nil, "no client id is set", "config", { hint = PORTAL
    .. "create a CarData client, and set client_id to what it shows (or BMWI_CLIENT_ID)." .. GUIDE }
end

-- What the stream lacks of a log-in that is good for all else.
local function lacking_for_stream(token)
  if token.gcid and not token.gcid:find("[/+#]") and token.id_token then return nil end
  return "The log-in has no gcid or id_token, so there is no live data (bmwi watch); the rest "
    .. "works. Run: bmwi login"
end

-- How long the log-in is good for if BMW sent no refresh token.
local function unrenewable(token)
  local stream = lacking_for_stream(token)
  return "good until " .. (token.expires_at and render.clock(token.expires_at) or "BMW refuses it"),
    "BMW sent no refresh token, so the log-in cannot be renewed. Once it has expired, run: "
    .. "bmwi login" .. (stream and ". " .. stream or "")
end

-- The state of the saved log-in, and whether the account file can be read and written.
local function kept_log_in(ctx)
  local kept = session.store(ctx.settings)
  local token, message, code, info = kept:load()
  if not token and code ~= "missing" then
    return nil, message, code == "insecure" and "config" or code, info
  end
  checks.try_to_write(kept)
  if not session.usable(token) then
    return nil, "not logged in", "login", { hint = "Run: bmwi login" }
  end
  if not token.refresh_token then return unrenewable(token) end
  local ends, remark = token.refresh_expires_at, lacking_for_stream(token)
  if not ends then return "saved in " .. kept.path, remark end
  local left = ends - os.time()
  if left <= 0 then
    return nil, "the log-in expired on " .. render.clock(ends), "login",
      { hint = "Run: bmwi login. It must be used at least once every 14 days." }
  end
  -- rounded to days: 14 days should not become 13 a second later
  local rounded = left < DAY and left or left + DAY / 2
  return ("good for %s more if it is not used%s"):format(render.span(rounded) or "a minute",
    session.ends_soon(token) and ": it expires soon, run bmwi login" or ""), remark
end

-- BMW accepts the log-in for its API.
local function log_in(ctx)
  local probe = checks.ask(ctx)
  session.need_saved(ctx)
  if ctx.cars then return "accepted by BMW" end
  return nil, probe.message, probe.code, probe.info
end

local function scopes(ctx)
  local token = session.store(ctx.settings):load() or {}
  local granted = " " .. (token.scope or "") .. " "
  for _, row in ipairs(SCOPES) do
    local scope, service = row[1], row[2]
    if token.scope and not granted:find(" " .. scope .. " ", 1, true) then
      return nil, ("the log-in does not cover %s (%s)"):format(service, scope), "scope",
        { hint = PORTAL .. ("subscribe the client to %s, wait a minute, then: bmwi login")
        :format(service) }
    end
  end
  return token.scope or render.ABSENT
end

-- BMW provides a car's data only to its PRIMARY user.
local function primary(ctx)
  local own, other = {}, {}
  for _, car in ipairs(ctx.cars) do
    local list = car.mappingType == "SECONDARY" and other or own
    list[#list + 1] = session.full_name(car)
  end
  if #own == 0 and #other == 0 then
    return nil, "this account has no car", "not_found", { hint = "Add the car to your BMW account "
      .. "with the My BMW app. It needs an active ConnectedDrive contract." }
  elseif #own == 0 then
    return nil, "you are not the PRIMARY user of any car: " .. table.concat(other, ", "),
      "forbidden", { hint = "Only the PRIMARY user gets data: become it in the My BMW app, or "
      .. "have that user log in." }
  end
  return ("PRIMARY user of %s%s"):format(table.concat(own, ", "),
    #other > 0 and ", but not of " .. table.concat(other, ", ") or "")
end

-- The car to ask: the configured one, else the first that provides data.
local function sample(ctx)
  local vin = ctx.settings.vin
  if vin then return ctx.client:vehicle(vin) end
  for _, car in ipairs(ctx.cars) do
    if car.mappingType ~= "SECONDARY" then return session.listed(ctx, car) end
  end
end

local function container(ctx)
  local status, details, code, info = sample(ctx):status()
  if not status then return nil, details, code, info end
  ctx.details = details
  local kept = session.store(ctx.settings):_container() or {}
  local line = ("%s, made for bmwi"):format(kept.id or render.ABSENT)
  if not kept.left_out then return line end
  return ("%s; it lacks %d descriptors, since BMW refuses one of them and too many containers "
    .. "exist to find out which: delete some that no program uses, then this one (bmwi containers)")
    :format(line, #kept.left_out)
end

-- The available values; a missing one is not a failure, since no car has all of them.
local function values(ctx)
  local there, reasons, words = 0, {}, {}
  for _, detail in pairs(ctx.details) do
    if detail.value ~= nil then there = there + 1
    elseif detail.reason then reasons[detail.reason] = (reasons[detail.reason] or 0) + 1
    end
  end
  for _, reason in ipairs(require "bmwi._names"(reasons)) do
    words[#words + 1] = ("%d %s"):format(reasons[reason], (reason:gsub("_", " ")))
  end
  if there == 0 then
    return nil, "BMW sent no value for this car: " .. table.concat(words, ", "), "not_found",
      { hint = "A new set-up has its first values after the next drive. If not: log in again, and "
      .. "check that the car's SIM and ConnectedDrive contract are active." }
  end
  return ("%d of the status%s"):format(there,
    #words > 0 and (" (of the others %s)"):format(table.concat(words, ", ")) or "")
end

local function quota(ctx)
  local found, message, code, info = session.open(ctx):quota()
  if not found then return nil, message, code, info end
  if found.left == 0 or ctx.spent then
    local why = found.used < found.limit and "BMW reports that the day's calls are used up"
      or ("all %d calls of the day are used"):format(found.limit)
    return nil, why, "quota",
      { hint = "The next one is possible on " .. render.clock(found.resets_at)
      .. ". The steps that are not listed take a call each." }
  end
  return ("%d of %d calls of the day are used"):format(found.used, found.limit)
end

-- `calls`: not without a call of the quota.
cardata_doctor.STEPS = checks.joined(checks.BASE, {
  { "client id", stop = true, run = client_id },
  { "saved log-in", stop = true, run = kept_log_in },
}, checks.NETWORK, {
  { "scopes", stop = true, run = scopes },
  { "log-in", stop = true, calls = true, run = log_in },
  { "PRIMARY", stop = true, calls = true, run = primary },
  { "container", stop = true, calls = true, run = container },
  { "values", calls = true, run = values },
  { "quota", run = quota },
  { "clock", run = checks.clock },
})

return cardata_doctor
