--- Waiting until the car has really done it.
-- Owns the polling of a command's outcome and what its answers mean. A command takes 10 to 60 s,
-- because the server wakes the car with a text message, and for ever where there is no coverage.
--
-- The server keeps one status for each service: that of the last event. So the first answers can
-- be about the command before; only the eventId tells. It is compared and handed on, and never
-- put into a message, because it holds digits of the VIN.

local wait = {}

local DEFAULT_TIMEOUT = 240
-- Seconds before each poll; the last one is repeated. Faster than 3 s annoys the server.
local COMMAND_DELAYS = { 2, 3, 5, 10 }
local CONDITION_DELAYS = { 10 }

-- What each status word means; `ends`: nothing more will come; `code`: as which failure.
local STATUS = {
  INITIATED = { text = "the server has taken the command" },
  PENDING = { text = "the server is trying to reach the car" },
  DELIVERED = { text = "the car has received the command" },
  EXECUTED = { text = "the car has carried out the command", ends = true },
  NOT_EXECUTED = {
    text = "the car has not carried out the command", ends = true, code = "not_executed",
  },
  TIMED_OUT = {
    text = "the car did not answer the server in time", ends = true, code = "timed_out",
  },
}

-- Failures of a poll after which the next one may work.
local PASSING = {
  server = true, network = true, timeout = true, rate_limited = true, json = true,
}
-- Failures after which it cannot, whatever else the answer says.
local ENDING = { auth = true, forbidden = true, gone = true, closed = true, cancelled = true }

local function is_passing(code, info)
  if PASSING[code] then return true end
  if ENDING[code] or type(info) ~= "table" then return false end
  -- "(SmartPhoneUtil-A-2012) Ressource not found": no status yet.
  if code == "not_found" then return info.api_code == "A-2012" end
  return info.retryable == true or (tonumber(info.status) or 0) >= 500
end

-- Arguments -------------------------------------------------------------------------------------

local OPTIONS = {
  timeout = "number", interval = "number", on_update = "function", clock = "function",
  sleep = "function",
}
local KNOWN_OPTIONS = "timeout, interval, on_update, clock, sleep"

local function check_options(options, name, position)
  if options == nil then return {} end
  if type(options) ~= "table" then
    error(("bad argument #%d to '%s' (table expected, got %s)"):format(
      position, name, type(options)), 3)
  end
  for key, value in pairs(options) do
    if not OPTIONS[key] then
      error(("unknown option '%s' of '%s'; known: %s"):format(
        tostring(key), name, KNOWN_OPTIONS), 3)
    elseif type(value) ~= OPTIONS[key] then
      error(("option '%s' of '%s' must be a %s"):format(key, name, OPTIONS[key]), 3)
    end
  end
  -- Neither may be NaN, which is not equal to itself.
  local timeout, interval = options.timeout or 0, options.interval or 1
  if timeout < 0 or timeout ~= timeout then
    error(("option 'timeout' of '%s' must not be below 0"):format(name), 3)
  end
  if interval <= 0 or interval ~= interval then
    error(("option 'interval' of '%s' must be above 0"):format(name), 3)
  end
  return options
end

-- Polling -----------------------------------------------------------------------------------------

-- The clock, the sleep and the times of the polls. Required here and not above, so that a host
-- with its own clock and sleep needs no C module.
local function new_timer(options, delays)
  local clock, sleep = options.clock, options.sleep
  if not (clock and sleep) then
    local bmwi = require "bmwi"
    clock = clock or bmwi.sys.monotonic
    sleep = sleep or bmwi.sleep
  end
  local timeout = options.timeout or DEFAULT_TIMEOUT
  return {
    clock = clock,
    sleep = sleep,
    timeout = timeout,
    deadline = clock() + timeout,
    delays = options.interval and { options.interval } or delays,
    polls = 0,
  }
end

-- Sleeps until the next poll, which is at the deadline at the latest. `at_least`: seconds that
-- the server wants to be left alone. Returns true when it is time to poll; false when there is
-- no time left and there has been a poll; nil, message, code when the sleep was broken off.
local function next_poll(timer, at_least)
  local remaining = math.max(0, timer.deadline - timer.clock())
  if timer.last or (remaining == 0 and timer.asked) then return false end
  timer.asked = true
  timer.polls = timer.polls + 1
  local delay = timer.delays[timer.polls] or timer.delays[#timer.delays]
  if at_least and at_least > delay then
    -- The server would not be asked again in time, so there is nothing to wait for.
    if at_least > remaining then return false end
    delay = at_least
  end
  if delay >= remaining then
    delay = remaining
    timer.last = true
  end
  if delay > 0 then
    local _, message, code = timer.sleep(delay)
    if code then return nil, message, code end
  end
  return true
end

-- Calls on_update(value, message) when `what` is not what it was told last.
local function new_reporter(on_update, what)
  return function(now, value, message)
    if now == what then return end
    what = now
    if on_update then on_update(value, message) end
  end
end

local function retry_after(info)
  local seconds = type(info) == "table" and tonumber(info.retry_after)
  return seconds and seconds > 0 and seconds or nil
end

local function sentence(message)
  return (tostring(message or "no reason given"):gsub("%.$", ""))
end

-- Commands ----------------------------------------------------------------------------------------

local ADVICE = "the car may still do it; to go on waiting, call for_execution again with "
  .. "info.execution; do not send the command again before you know"

-- The end of the wait that `status` brings, for `execution`.
local function finish(execution)
  local status = STATUS[execution.status]
  if not status.code then return execution end
  return nil, status.text, status.code, { execution = execution, last_status = execution.status }
end

--- Waits until the car has carried out a command, or has not.
--
-- Polls car:execution(service). INITIATED, PENDING, DELIVERED, a word not known here and a missing
-- status are not the end; errors of the server, of the network and "too many requests" are no
-- news. Nothing is ever sent to the car from here.
--
-- Give the execution that the command returned: it is matched by its eventId, so that the outcome
-- of an earlier command is not taken for this one. With a service name alone the first event that
-- the server tells of is taken, which may be an earlier one that is already done. Where the answer
-- to the command was lost, info.execution has `lost` and no eventId: the first event is taken that
-- is still under way, since one that is over may be an earlier one.
--
-- EXECUTED does not mean that the status has changed: the car was perhaps locked already, and
-- car:status() shows a change 20 to 40 s later, sometimes 10 minutes.
--
-- Failure codes:
-- "not_executed": the car says no. "timed_out": the server gave up, the car did not answer it.
-- "timeout": our own time is over while the command was under way. "unknown": our time is over
-- and the server has not told (errors, an unknown word, another event), or a newer event has
-- taken the place of this one. Any other code ("auth", "forbidden", "gone", "closed",
-- "cancelled", ...): the polling broke off, the outcome is unknown.
-- `info`: `execution` (give it to this function, later or in another process, to go on),
-- `last_status` (the last status word for this command), `last_error` {message, code, info} of
-- the last poll if it failed.
---@param car table|userdata a vehicle: anything with a method execution(service)
---@param execution table|string what the command returned, or a service name ("DOOR_LOCK")
---@param options? table `timeout`: seconds, default 240; the last poll is made when they are over.
--- `interval`: seconds between polls, instead of 2, 3, 5 and then every 10.
--- `on_update(execution, message)`: called on each change of the status, and with nil for
--- execution when a poll failed. `clock()` (seconds, never going back) and `sleep(seconds)` are
--- for hosts with their own clock
---@return table|nil execution the one with status EXECUTED
---@return string|nil message
---@return string|nil code
---@return table|nil info
function wait.for_execution(car, execution, options)
  if type(car) ~= "table" and type(car) ~= "userdata" then
    error(("bad argument #1 to 'for_execution' (vehicle expected, got %s)"):format(type(car)), 2)
  end
  if type(execution) == "string" then execution = { serviceType = execution } end
  if type(execution) ~= "table" or type(execution.serviceType) ~= "string"
    or not execution.serviceType:find("^[%u%d_]+$") then
    error("bad argument #2 to 'for_execution' (an execution or a service name expected, such as "
      .. "DOOR_LOCK)", 2)
  end
  local event = execution.eventId
  if event ~= nil and type(event) ~= "string" then
    error("bad argument #2 to 'for_execution' (its eventId must be a text)", 2)
  end
  options = check_options(options, "for_execution", 3)

  if STATUS[execution.status] and STATUS[execution.status].ends then return finish(execution) end

  local timer = new_timer(options, COMMAND_DELAYS)
  local report = new_reporter(options.on_update, execution.status)
  local earlier = {} -- events seen before ours
  local seen = false -- has the server told of ours?
  local over -- after a lost answer: the end of an event that may be ours
  local last_error, pause, told -- told: the last poll brought a known word about our event

  local function give_up(message, code)
    return nil, message, code, {
      execution = execution, last_status = execution.status, last_error = last_error,
    }
  end

  while true do
    local go, message, code = next_poll(timer, pause)
    if go == nil then
      return give_up(("the wait was broken off (%s); the outcome of the command is unknown: %s")
        :format(sentence(message), ADVICE), code)
    elseif not go then
      break
    end

    local answer, problem, problem_code, info = car:execution(execution.serviceType, event)
    told, pause, last_error = false, nil, nil
    if type(answer) ~= "table" then
      last_error = { message = problem, code = problem_code, info = info }
      if not is_passing(problem_code, info) then
        return give_up(("%s; the outcome of the command is unknown: %s"):format(
          sentence(problem), ADVICE), problem_code or "unknown")
      end
      pause = retry_after(info)
      report("failed: " .. sentence(problem), nil, sentence(problem))
    else
      local status = STATUS[answer.status]
      local ours = answer.eventId == event
      over = nil
      if not event then
        -- Without an eventId of our own, the first one told is ours.
        ours = not execution.lost or (answer.eventId and status and not status.ends)
        if ours then event = answer.eventId
        elseif status and status.ends then over = answer.status end
      end
      if ours then
        seen = event ~= nil
        if answer.status ~= nil then
          answer.serviceType = answer.serviceType or execution.serviceType
          execution = answer
        end
        if status and status.ends then
          report(answer.status, answer, status.text)
          return finish(answer)
        end
        told = status ~= nil
        if answer.status ~= nil then
          report(answer.status, answer,
            status and status.text or "the server tells a status that is not known here")
        end
      elseif answer.eventId ~= nil and seen and not earlier[answer.eventId] then
        return give_up("a newer command of the same kind has taken the place of this one; "
          .. "the server will not tell its outcome any more", "unknown")
      elseif answer.eventId ~= nil then
        earlier[answer.eventId] = true
      end
    end
  end

  if told then
    return give_up(("no outcome within %g s, the last status was %s: %s"):format(
      timer.timeout, execution.status, ADVICE), "timeout")
  end
  local why = last_error and sentence(last_error.message)
    or over and "the last command of this kind is over, " .. over
      .. ", but it may be an earlier one"
    or "the server told nothing certain about this command"
  if pause then why = ("%s; not to be asked again for %g s"):format(why, pause) end
  return give_up(("no outcome within %g s (%s); the outcome of the command is unknown: %s"):format(
    timer.timeout, why, ADVICE), "unknown")
end

-- Conditions --------------------------------------------------------------------------------------

--- Waits until a function returns something true: "wait until charged".
--
--     wait.until_true(function()
--       local status, message, code, info = car:status()
--       if not status then return nil, message, code, info end
--       return status.chargingStatus == "FINISHED_FULLY_CHARGED"
--     end, { timeout = 8 * 3600, interval = 300 })
--
-- The function is called at once, then every 10 s, and for the last time when the time is over.
-- It may return nil (or false), message: a word about how far it is. With a code it is a failure:
-- one that can pass (see for_execution) is waited out, any other ends the wait.
---@param fn fun():any,string|nil,string|nil,table|nil
---@param options? table `timeout`: seconds, default 240. `interval`: seconds, default 10 (clients
--- that asked the server every 5 minutes had no complaints). `on_update(value, message)`: called
--- on each change of the message, and at the end. `clock` and `sleep` as for for_execution
---@return any value what the function returned
---@return string|nil message
---@return string|nil code "timeout", or the function's own
---@return table|nil info `last_error` {message, code, info} if the last call failed
function wait.until_true(fn, options)
  if type(fn) ~= "function" then
    error(("bad argument #1 to 'until_true' (function expected, got %s)"):format(type(fn)), 2)
  end
  options = check_options(options, "until_true", 2)
  local timer = new_timer(options, CONDITION_DELAYS)
  local report = new_reporter(options.on_update, nil)
  local last_error, pause
  timer.asked = true -- right below

  while true do
    local value, message, code, info = fn()
    if value then
      report(true, value, message)
      return value
    end
    last_error, pause = nil, nil
    if code then
      last_error = { message = message, code = code, info = info }
      if not is_passing(code, info) then return nil, message, code, info end
      pause = retry_after(info)
    end
    report(message, nil, message)

    local go, broken, broken_code = next_poll(timer, pause)
    if go == nil then
      return nil, ("the wait was broken off (%s)"):format(sentence(broken)), broken_code,
        { last_error = last_error }
    elseif not go then
      break
    end
  end

  local reason = last_error and "; at the end: " .. sentence(last_error.message) or ""
  return nil, ("it has not come true within %g s%s"):format(timer.timeout, reason), "timeout",
    { last_error = last_error }
end

return wait
