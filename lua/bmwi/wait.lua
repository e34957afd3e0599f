--- Waiting until the car has carried out a command, or until something is true.
-- A command takes 10 to 60 s, because the server wakes the car with a text message; without mobile
-- coverage it can take indefinitely.
--
-- The server keeps one status for each service: that of the last event. So the first responses may
-- be about an earlier command; only the eventId tells. It is compared and passed on, but never put
-- into a message, because it contains digits of the VIN.

local check = require "bmwi._check"

local wait = {}

local DEFAULT_TIMEOUT = 240
-- Seconds before each poll; the last one is repeated. Polling faster than every 3 s overloads the
-- server.
local COMMAND_DELAYS = { 2, 3, 5, 10 }
local CONDITION_DELAYS = { 10 }

-- The meaning of each status word. `ends`: it is final; `code`: the failure code.
local STATUS = {
  INITIATED = { text = "the server has accepted the command" },
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
local NO_STATUS = { text = "the server reports an unknown status" }

-- A poll is harmless, so more errors are worth another poll than allow a retry of a call: the
-- server's own failures, and "(SmartPhoneUtil-A-2012) Ressource not found", which means that there
-- is no status yet.
local function is_passing(code, info)
  if code == "server" or code == "json" then return true end
  if type(info) ~= "table" then return false end
  return info.retryable == true or code == "not_found" and info.api_code == "A-2012"
end

-- Arguments -------------------------------------------------------------------------------------

local OPTIONS = {
  { "timeout", "number" }, { "interval", "number" }, { "on_update", "function" },
  { "clock", "function" }, { "sleep", "function" },
}

local function check_options(options, position, name)
  options = check.options(options, OPTIONS, position, name, 3)
  -- Both comparisons are false for NaN.
  check.option((options.timeout or 0) >= 0, "timeout", "not be below 0", name, 3)
  check.option((options.interval or 1) > 0, "interval", "be above 0", name, 3)
  return options
end

-- The execution to wait for, as a table.
local function check_execution(car, execution)
  local kind, name = type(car), "for_execution"
  check.that(kind == "table" or kind == "userdata", "vehicle expected, got " .. kind, 1, name, 3)
  if type(execution) == "string" then execution = { serviceType = execution } end
  check.that(type(execution) == "table" and type(execution.serviceType) == "string"
    and execution.serviceType:find("^[%u%d_]+$"),
    "an execution or a service name expected, such as DOOR_LOCK", 2, name, 3)
  check.that(execution.eventId == nil or type(execution.eventId) == "string",
    "its eventId must be a string", 2, name, 3)
  return execution
end

-- Polling -----------------------------------------------------------------------------------------

-- The clock, the sleep function and the polling times. Required here and not at the top, so that a
-- host with its own clock and sleep does not need the C module.
local function new_timer(options, delays)
  local clock, sleep = options.clock, options.sleep
  if not (clock and sleep) then
    local bmwi = require "bmwi"
    clock = clock or bmwi._sys.monotonic
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

-- Sleeps until the next poll, at the latest until the deadline. `at_least`: seconds that the server
-- asks us to wait. Returns true when it is time to poll; false when there is no time left after at
-- least one poll; nil, message, code if the sleep was interrupted.
local function next_poll(timer, at_least)
  local remaining = math.max(0, timer.deadline - timer.clock())
  if timer.last or (remaining == 0 and timer.asked) then return false end
  timer.asked = true
  timer.polls = timer.polls + 1
  local delay = timer.delays[timer.polls] or timer.delays[#timer.delays]
  if at_least and at_least > delay then
    -- The server does not want to be asked again before the deadline.
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

-- Calls on_update(value, message) if `what` has changed since the last call.
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

local HINT = "the car may still do it, so do not send the command again before you know: "
  .. "call for_execution again with info.execution to continue waiting"

-- Which event a response is about, given what is known of ours: "ours", "other", or "newer" (ours
-- is superseded, and its outcome lost).
local ABOUT = {
  -- Only the service is known: the first event reported is ours.
  any = function() return "ours" end,
  -- The response to the command was lost: ours is the first event still in progress.
  lost = function(_, answer, status)
    return answer.eventId and status and not status.ends and "ours" or "other"
  end,
  -- The eventId is known, but the server has not reported it yet. Since the server keeps only the
  -- last event, one that appears after another, or ends while ours is still not reported, should be
  -- newer. But the server may be behind, and ours the next that it reports: so it takes a second
  -- response about that event.
  expected = function(watch, answer, status)
    local event, others = answer.eventId, watch.others
    if event == watch.event then return "ours" end
    if not event then return "other" end
    local known, ended = others[event], status and status.ends
    if known == "newer" then return "newer" end
    if known == "running" and ended or not known and next(others) then
      others[event] = "newer"
    elseif not known then
      others[event] = ended and "earlier" or "running"
    end
    return "other"
  end,
  -- The server has reported it: an event not seen before is newer.
  reported = function(watch, answer)
    if answer.eventId == watch.event then return "ours" end
    return answer.eventId and not watch.others[answer.eventId] and "newer" or "other"
  end,
}

local function new_watch(execution, options)
  return {
    execution = execution, -- the last one reported for our command
    event = execution.eventId,
    state = execution.eventId and "expected" or execution.lost and "lost" or "any",
    others = {}, -- eventId of another event -> "earlier", "running" or "newer", as far as is known
    report = new_reporter(options.on_update, execution.status),
    timer = new_timer(options, COMMAND_DELAYS),
    -- From the last poll: last_error, pause (seconds requested by the server), under_way (it
    -- reported a known status of ours), over (the status of a finished event that may be ours).
  }
end

-- The wait ends without an outcome, which may still become known.
local function give_up(watch, code, message, ...)
  return nil, message:format(...), code, {
    execution = watch.execution, last_status = watch.execution.status,
    last_error = watch.last_error, hint = HINT,
  }
end

-- Ends the wait because of a final status.
local function finish(execution)
  local status = STATUS[execution.status]
  if not status.code then return execution end
  return nil, status.text, status.code, { execution = execution, last_status = execution.status }
end

-- Handles a failed poll. Returns true and the results of the wait if that ends it.
local function take_failure(watch, message, code, info)
  watch.last_error = { message = message, code = code, info = info }
  if not is_passing(code, info) then
    return true, give_up(watch, code or "unknown",
      "%s: the outcome of the command is unknown", sentence(message))
  end
  watch.pause = retry_after(info)
  watch.report("failed: " .. sentence(message), nil, sentence(message))
  return false
end

-- Handles a response about our event, likewise.
local function take_ours(watch, answer, status)
  watch.event = watch.event or answer.eventId
  watch.state = watch.event and "reported" or watch.state
  if answer.status == nil then return false end
  answer.serviceType = answer.serviceType or watch.execution.serviceType
  watch.execution, watch.under_way = answer, status ~= nil
  watch.report(answer.status, answer, (status or NO_STATUS).text)
  if status and status.ends then return true, finish(answer) end
  return false
end

-- Handles a response, likewise.
local function take_answer(watch, answer)
  local status = STATUS[answer.status]
  local about = ABOUT[watch.state](watch, answer, status)
  watch.over = nil
  if about == "ours" then return take_ours(watch, answer, status) end
  if about == "newer" then
    return true, nil, "superseded by a newer command of the same type", "unknown", {
      execution = watch.execution, last_status = watch.execution.status,
      hint = "the outcome is no longer available: read the car's status",
    }
  end
  if watch.state == "lost" and status and status.ends then watch.over = answer.status end
  local event = answer.eventId
  if event then watch.others[event] = watch.others[event] or "earlier" end
  return false
end

local function take(watch, answer, ...)
  watch.under_way, watch.pause, watch.last_error = false, nil, nil
  if type(answer) == "table" then return take_answer(watch, answer) end
  return take_failure(watch, ...)
end

local function out_of_time(watch)
  local timeout = watch.timer.timeout
  if watch.under_way then
    return give_up(watch, "timeout", "no outcome within %g s, the last status was %s",
      timeout, watch.execution.status)
  end
  local why = watch.last_error and sentence(watch.last_error.message)
    or watch.over and ("the last command of this type is over, %s, but it may be an earlier one")
      :format(watch.over)
    or "the server reported nothing conclusive about this command"
  if watch.pause then why = ("%s, no retry for %g s"):format(why, watch.pause) end
  return give_up(watch, "unknown",
    "no outcome within %g s (%s): the outcome of the command is unknown", timeout, why)
end

--- Waits for the outcome of a command.
--
-- Polls car:execution(service). INITIATED, PENDING, DELIVERED, an unknown status and a missing
-- status are not final; errors of the server and the network and "too many requests" count as "no
-- update". Never sends anything to the car.
--
-- Pass the execution that the command returned: it is matched by its eventId, so that the outcome
-- of an earlier command is not mistaken for this one. With only a service name, the first event
-- that the server reports is used, which may be an earlier one that has already finished. If the
-- response to the command was lost, info.execution has `lost` and no eventId: then the first event
-- that is still in progress is used, since a finished one may be an earlier command.
--
-- The server keeps only the last event of a service, so a newer command of the same type, of any
-- program, replaces this one. The wait ends as soon as that is sure: at once if this event has been
-- reported before. If not, another event is newer if it appears after a first one, or ends during
-- the wait, and a second response still has it. One that had ended before the first response is
-- taken for an earlier one.
--
-- EXECUTED does not mean that the status has changed: the car may have been locked already, and
-- car:status() shows a change 20 to 40 s later, sometimes 10 minutes.
--
-- Failure codes: "not_executed": the car has not carried it out. "timed_out": the server gave up
-- because the car did not answer. "timeout": the timeout expired while the command was in progress.
-- "unknown": the timeout expired without a conclusive report (errors, an unknown status, another
-- event), or a newer event has superseded this one. Any other code ("auth", "forbidden", "gone",
-- "closed", "cancelled", ...): polling was aborted, the outcome is unknown.
-- `info`: `execution` (pass it to this function, later or in another process, to continue),
-- `last_status` (the last status of this command), `last_error` {message, code, info} of the last
-- poll if it failed, `hint` (what to do).
---@param car table|userdata a vehicle: any object with a method execution(service)
---@param execution table|string the command's result, or a service name ("DOOR_LOCK")
---@param options? table `timeout`: seconds, default 240; the last poll is at its end. `interval`:
--- seconds between polls, instead of 2, 3, 5 and then every 10. `on_update(execution, message)`:
--- called at each change of the status, and with nil as the execution if a poll failed. `clock()`
--- (seconds, never going backwards) and `sleep(seconds)` are for hosts with their own clock
---@return table|nil execution the one with status EXECUTED
---@return string|nil message
---@return string|nil code
---@return table|nil info
function wait.for_execution(car, execution, options)
  execution = check_execution(car, execution)
  options = check_options(options, 3, "for_execution")
  if STATUS[execution.status] and STATUS[execution.status].ends then return finish(execution) end

  local watch = new_watch(execution, options)
  while true do
    local go, message, code = next_poll(watch.timer, watch.pause)
    if go == nil then
      return give_up(watch, code,
        "the wait was interrupted (%s): the outcome of the command is unknown",
        sentence(message))
    elseif not go then
      return out_of_time(watch)
    end
    local over, value, problem, problem_code, info = take(watch,
      car:execution(watch.execution.serviceType, watch.event))
    if over then return value, problem, problem_code, info end
  end
end

-- Conditions --------------------------------------------------------------------------------------

--- Waits until a function returns something true: "wait until charged" (docs/waiting.md).
--
-- The function is called at once, then every 10 s, and a last time when the timeout expires. It may
-- return nil (or false) and a message about its progress. With a code it is a failure: a transient
-- one (see for_execution) is ignored, any other ends the wait.
---@param fn fun(): any, any, string?, table? the condition
---@param options? table `timeout`: seconds, default 240. `interval`: seconds, default 10 (clients
--- that asked the server every 5 minutes had no problems). `on_update(value, message)`: called at
--- each change of the message, and at the end. `clock` and `sleep` as in for_execution
---@return any value the function's result
---@return string|nil message
---@return string|nil code "timeout", or the function's own
---@return table|nil info `last_error` {message, code, info} if the last call failed
function wait.until_true(fn, options)
  check.argument(fn, "function", 1, "until_true")
  options = check_options(options, 2, "until_true")
  local timer = new_timer(options, CONDITION_DELAYS)
  local report = new_reporter(options.on_update, nil)
  local last_error, pause
  timer.asked = true -- set just below

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
      return nil, ("the wait was interrupted (%s)"):format(sentence(broken)), broken_code,
        { last_error = last_error }
    elseif not go then
      break
    end
  end

  local reason = last_error and " (last error: " .. sentence(last_error.message) .. ")" or ""
  return nil, ("condition not met within %g s%s"):format(timer.timeout, reason), "timeout",
    { last_error = last_error }
end

return wait
