-- bmwi.cli.act: the commands that make the car do something, and waiting for their outcome. A
-- command is sent once. The last event id is saved beside the token (0600), so that `bmwi wait` can
-- continue where a run stopped.

local bmwi = require "bmwi"
local names = require "bmwi._names"
local texts = require "bmwi._text"
local wait = require "bmwi.wait"
local fail = require "bmwi.cli.fail"
local output = require "bmwi.cli.output"
local session = require "bmwi.cli.session"
local views = require "bmwi.cli.views"
local units = require "bmwi.units"

local act = {}

local WAIT_SECONDS = 240 -- cars may need more than a minute; without coverage they never answer

-- For each command: the service, the method, and the texts about it.
local ACTIONS = {
  lock = { service = "DOOR_LOCK", method = "lock_doors", doing = "Lock the doors" },
  unlock = { service = "DOOR_UNLOCK", method = "unlock_doors", doing = "Unlock the doors",
    danger = "This unlocks all doors of %s. Are you in sight of the car?" },
  flash = { service = "LIGHT_FLASH", method = "flash_lights", doing = "Flash the lights" },
  horn = { service = "HORN_BLOW", method = "blow_horn", doing = "Blow the horn" },
  climate = { service = "CLIMATE_NOW", method = "climate_now", doing = "Start the climate" },
  charge = { service = "CHARGE_NOW", method = "charge_now", doing = "Start charging" },
  find = { service = "VEHICLE_FINDER", method = "find", doing = "Find the car" },
  ["charging-profile"] = { service = "CHARGING_CONTROL", method = "set_charging_profile",
    doing = "Set the charging schedule" },
}

local function event_path(ctx, service)
  return ("%s.%s.%s"):format(ctx.settings.token_file, service, ctx.car:vin())
end

local function remember(ctx, service, execution)
  local kept = bmwi.json.encode({ eventId = execution.eventId, serviceType = service })
  local saved, message = bmwi._sys.write_private(event_path(ctx, service), kept)
  if not saved then ctx.out:remark("The event could not be saved: " .. tostring(message)) end
end

local function forget(ctx, service)
  os.remove(event_path(ctx, service))
end

local function recall(ctx, service)
  local bytes = bmwi._sys.read_private(event_path(ctx, service))
  local kept = bmwi.json.decode(bytes or "")
  if type(kept) == "table" and type(kept.eventId) == "string" then
    return { serviceType = service, eventId = kept.eventId, status = "INITIATED" }
  end
end

-- The result for scripts, without the event id, which reveals a part of the VIN.
local function report(ctx, name, execution, text)
  if ctx.out.json then
    ctx.out:document({ command = name, serviceType = execution.serviceType,
      status = execution.status, extendedStatus = execution.extendedStatus })
  else
    ctx.out:line(text)
  end
end

-- How a wait ended without an execution. By its code: the failure's code, the text, and whether the
-- event has ended. Any other code means that polling itself failed.
local ENDS = {
  not_executed = { "not_executed", "the car has not carried it out", over = true },
  timed_out = { "timed_out", "the car did not answer the server in time", over = true },
  timeout = { "timed_out", "no outcome yet" },
  unknown = { "unknown", "the outcome is unknown" },
}

local function unended(name, doing, message, code, info)
  info = info or {}
  local ending = ENDS[code] or { "unknown", "sent, but its outcome could not be read" }
  local reason = tostring(message):gsub(": the outcome of the command is unknown$", "")
  if info.last_error then reason = tostring(info.last_error.message)
  elseif ending.over then reason = tostring(info.last_status)
  elseif code == "timeout" then reason = "the last status was " .. tostring(info.last_status)
  end
  if not ending.over then
    fail.advise(info, ("It was sent, and the car may still carry it out, or have done so. Check "
      .. "before you send it again: bmwi status. Keep waiting: bmwi wait %s"):format(name))
  end
  fail.raise(("%s: %s (%s)"):format(doing, ending[2], reason), ending[1], info)
end

--- Whether the car reports explicitly that a command has changed nothing. If its old and new states
-- are unknown (INVALID) or differ, they contradict that.
function act.is_unchanged(ended)
  local extended = type(ended.extendedStatus) == "table" and ended.extendedStatus or {}
  if extended.result ~= "STATUS_NOT_CHANGED" then return false end
  for name, old in pairs(extended) do
    local new = type(name) == "string" and name:find("^old") and extended["new" .. name:sub(4)]
    if new and (old == "INVALID" or old ~= new) then return false end
  end
  return true
end

-- From here on, the command may have been sent: a signal must not end the program without a word.
local function begin(ctx, doing)
  bmwi._sys.catch_signals()
  ctx.sending = doing
end

-- Waits for an execution and reports how it ended.
local function follow(ctx, name, execution, doing, service)
  local out = ctx.out
  local started = bmwi._sys.monotonic()
  begin(ctx, doing)
  ctx.following = name
  local ended, message, code, info = wait.for_execution(ctx.car, execution, {
    timeout = ctx.settings.wait_timeout or WAIT_SECONDS,
    interval = ctx.settings.interval,
    on_update = function(update, text)
      local news = update and update.status or "no update (" .. tostring(text) .. ")"
      out:progress(("%s: %s"):format(doing, tostring(news)), bmwi._sys.monotonic() - started)
    end,
  })
  out:progress_end()
  if code == "cancelled" then fail.raise(message, code) end
  ctx.sending = nil
  if ended or (ENDS[code] and ENDS[code].over) then forget(ctx, service) end
  if not ended then unended(name, doing, message, code, info) end
  ctx.done = ("%s: done by the car (%s)"):format(doing, tostring(ended.status))
  local text = ctx.done .. "."
  if act.is_unchanged(ended) then text = text .. " It reports no change." end
  report(ctx, name, ended, text)
end

local function send(ctx, action, ...)
  local car = ctx.car
  begin(ctx, action.doing)
  local execution, message, code, info = fail.input(car[action.method], car, ...)
  if not execution and code ~= "unknown" and code ~= "cancelled" then ctx.sending = nil end
  return execution, message, code, info
end

-- The server requires the answer to the account's security question (SmartPhoneUtil-A-2013).
local function wants_secret(code, info)
  return code == "forbidden" and info ~= nil
    and tostring(info.description):find("secretKnowledge", 1, true) ~= nil
end

-- Codes of a command that the car cannot have received: no connection, or the log-in failed.
local NOTHING_SENT = { network = true, timeout = true, tls = true, server = true }

-- Raises for a command that was not accepted. Once it was sent, a failing server is `unknown`.
local function unsent(doing, message, code, info)
  local more = NOTHING_SENT[code] and " (nothing was sent to the car)" or ""
  fail.raise(("%s: %s%s"):format(doing, tostring(message), more),
    code == "forbidden" and "refused" or code, info)
end

local function unlock(ctx, action)
  local answer = ctx.settings.security_answer
  local execution, message, code, info = send(ctx, action, answer and { secret = answer } or nil)
  if execution or not wants_secret(code, info) then return execution, message, code, info end
  fail.advise(info, answer and "The server rejected the answer to the security question: "
    .. "correct security_answer (BMWI_SECURITY_ANSWER)."
    or "This account requires the answer to its security question: set security_answer "
    .. "in the configuration file or BMWI_SECURITY_ANSWER.")
  if answer or not ctx.out.can_ask then return nil, message, code, info end
  -- The server refused the first request, so it was not carried out: this does not repeat a
  -- command.
  ctx.out:progress_end()
  local typed, problem, cancelled = bmwi._sys.read_secret("Answer to your security question: ")
  if not typed then fail.raise(problem, cancelled) end
  return send(ctx, action, { secret = typed })
end

-- Whether the command must be confirmed. It is refused if there is no terminal to ask on.
local function is_asked(ctx, action)
  if not action.danger or ctx.options.yes then return false end
  if not ctx.out.can_ask then
    fail.usage("refusing to unlock without confirmation: not a terminal",
      "To unlock without being asked: --yes")
  end
  return true
end

local function confirm(ctx, action)
  local name = session.name(ctx.vehicle) or ctx.car:vin()
  if not ctx.out:confirm(action.danger:format(name)) then
    fail.raise("not confirmed, so nothing was sent", "declined")
  end
end

local function perform(ctx, name, call)
  local action, out = ACTIONS[name], ctx.out
  out:progress(action.doing .. ": sending")
  local execution, message, code, info = call(action)
  if not execution then
    if code == "unknown" then forget(ctx, action.service) end
    unsent(action.doing, message, code, info)
  end
  ctx.sent = action.doing
  remember(ctx, action.service, execution)
  if ctx.options["no-wait"] then
    report(ctx, name, execution, ("%s: sent (%s). To follow it: bmwi wait %s")
      :format(action.doing, tostring(execution.status), name))
    return
  end
  out:progress(("%s: %s"):format(action.doing, tostring(execution.status)), 0)
  execution.serviceType = execution.serviceType or action.service
  follow(ctx, name, execution, action.doing, action.service)
end

local function simple(name)
  return function(ctx)
    local asked = is_asked(ctx, ACTIONS[name])
    session.car(ctx)
    if asked then confirm(ctx, ACTIONS[name]) end
    perform(ctx, name, function(action)
      if name == "unlock" then return unlock(ctx, action) end
      if name == "flash" and ctx.options.count then
        return send(ctx, action, { count = ctx.options.count })
      end
      return send(ctx, action)
    end)
  end
end

for _, name in ipairs { "lock", "unlock", "flash", "horn", "climate", "charge", "find" } do
  act[name] = simple(name)
end

local MOST_BYTES = 1024 * 1024 -- of a file that is read

local function read_file(path)
  ---@type file*|nil, string|nil
  local handle, message = io.stdin, nil
  if path ~= "-" then handle, message = io.open(path, "rb") end
  if not handle then fail.usage("cannot read " .. message) end
  local text, problem = handle:read(MOST_BYTES + 1)
  if path ~= "-" then handle:close() end
  if problem then fail.usage(("cannot read %s: %s"):format(path, problem)) end
  text = text or ""
  if #text > MOST_BYTES then
    fail.usage((path == "-" and "standard input" or path) .. " is larger than 1 MiB")
  end
  return text
end

--- bmwi charging-profile set FILE: shows the changes, sends the whole schedule, and waits.
function act.set_profile(ctx, path)
  local profile = bmwi.json.decode(read_file(path))
  if type(profile) ~= "table" then
    fail.usage(path .. " is not a JSON object",
      "Begin with what the car has: bmwi charging-profile get --json > profile.json")
  end
  if not views.root(profile) then
    fail.usage(path .. " has neither weeklyPlanner nor twoTimesTimer",
      "Begin with what the car has: bmwi charging-profile get --json > profile.json")
  end
  local car = session.car(ctx)
  if not ctx.out.quiet and not ctx.out.json then
    local before = fail.check(car:charging_profile())
    local changes = views.changes(before, profile)
    if #changes == 0 then
      ctx.out:line("The car has this schedule already; it is sent again.")
    else
      ctx.out:columns({ "Changes", "Before", "After" }, changes)
    end
  end
  perform(ctx, "charging-profile", function(action) return send(ctx, action, profile) end)
end

-- The car's most recent command of this kind. Where there was none, the service only says that a
-- resource is not found, which sounds like the wrong server.
local function most_recent(ctx, name, action)
  local execution, message, code, info = ctx.car:execution(action.service)
  if not execution and code == "not_found" and info and info.api_code == "A-2012" then
    message = ("%s: the service knows of no such command for this car"):format(action.doing)
    fail.advise(info, ("There is nothing to wait for. To send it: bmwi %s"):format(
      name == "charging-profile" and "charging-profile set FILE" or name))
  end
  execution = fail.check(execution, message, code, info)
  execution.serviceType = action.service
  if type(execution.eventId) ~= "string" then execution.eventId = nil end -- nothing to follow
  return execution
end

--- bmwi wait SERVICE
function act.wait(ctx)
  local name = ctx.args[1]
  local action = ACTIONS[name]
  if not action then
    for command, candidate in pairs(ACTIONS) do
      if candidate.service == name then name, action = command, candidate end
    end
  end
  if not action then
    fail.usage(("there is no command %s to wait for"):format(tostring(name)),
      "One of: " .. table.concat(names(ACTIONS), ", "))
  end
  session.car(ctx)
  local execution = recall(ctx, action.service)
  if not execution then
    ctx.out:remark(("No pending %s from this computer; following the car's most recent one.")
      :format(name))
    execution = most_recent(ctx, name, action)
  end
  follow(ctx, name, execution, action.doing, action.service)
end

local function coordinate(name, text, limit)
  local number = units.number(text)
  if not number or number < -limit or number > limit then
    fail.usage(("%s must be a number from %d to %d"):format(name, -limit, limit))
  end
  return number
end

local POI_TEXTS = { "name", "street", "city", "country", "postal-code", "info", "phone", "website" }

--- bmwi poi LAT,LON --name TEXT
function act.poi(ctx)
  local options = ctx.options
  local lat, lon = options.lat, options.lon
  if ctx.args[1] then
    if lat or lon then fail.usage("give LAT,LON or --lat and --lon, not both") end
    lat, lon = ctx.args[1]:match("^%s*([^,%s]+)%s*,%s*([^,%s]+)%s*$")
    if not lat then fail.usage("the position must be LAT,LON, such as 48.1769,11.5569") end
  end
  if lat == nil or lon == nil then
    fail.usage("the destination needs a latitude and a longitude",
      'Give LAT,LON or --lat and --lon. Example: bmwi poi 48.1769,11.5569 --name "BMW Welt"')
  end
  for _, name in ipairs(POI_TEXTS) do
    local given = options[name]
    if given and texts.valid(given) ~= given then fail.usage("--" .. name .. " is not UTF-8") end
  end
  local poi = {
    lat = coordinate("the latitude", lat, 90), lon = coordinate("the longitude", lon, 180),
    name = options.name, street = options.street, city = options.city, country = options.country,
    postalCode = options["postal-code"], additionalInfo = options.info,
    phoneNumbers = options.phone and { options.phone }, website = options.website,
  }
  local car, out = session.car(ctx), ctx.out
  out:progress("Send the destination: sending")
  begin(ctx, "Send the destination")
  local sent, message, code, info = fail.input(car.send_poi, car, poi)
  if not sent then
    if code ~= "unknown" and code ~= "cancelled" then ctx.sending = nil end
    if code == "unknown" then
      info = fail.advise(info or {},
        "The car may have received it. Check with `bmwi destinations` before you send it again.")
    end
    unsent("Send the destination", message, code, info)
  end
  ctx.sending, ctx.sent = nil, ctx.sending
  out:progress_end()
  if out.json then
    out:document({ command = "poi", sent = true, poi = poi })
  else
    local place = poi.name and ('"' .. poi.name .. '"') or ("%s, %s"):format(poi.lat, poi.lon)
    out:line(("The destination %s was sent to the car. "
      .. "The service does not report when it arrives."):format(output.clean(place)))
  end
end

return act
