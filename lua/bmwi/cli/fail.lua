-- bmwi.cli.fail: how a command fails, and which exit code and advice belong to which failure.
-- Inside the command line a failure is raised as a table and caught once, in bmwi.cli.

local fail = {}

local Failure = {}
Failure.__index = Failure

-- Exit codes by failure code; what is not named here is 1.
fail.EXIT = {
  usage = 2, config = 2,
  unknown = 3,
  auth = 4, login = 4,
  rate_limited = 5,
  timed_out = 6,
  not_executed = 7, refused = 7,
  cancelled = 130, interrupted = 130,
}

-- Which command or option helps. The module's messages say already what is wrong.
fail.ADVICE = {
  network = "Step by step: bmwi doctor",
  timeout = "--request-timeout SECONDS gives each request more time.",
  tls = "--ca-file FILE names an authority to trust. Step by step: bmwi doctor",
  auth = "Log in anew: bmwi login",
  forbidden = "What the car offers: bmwi vehicles",
  refused = "What the car offers: bmwi vehicles",
  not_found = "Each car's hub: bmwi vehicles. Another server: --region or --base-url.",
  gone = "What it was like, with the simulator: bmwi demo",
  unknown = "The car may have done it. Look before you send it again: bmwi status",
  timed_out = "The car may have no reception. How it is now: bmwi status",
  not_executed = "How the car is now: bmwi status",
}

--- Raises a failure.
---@param message string
---@param code string a code of the module, or usage, config, login, refused
---@param info? table as the module gives it; `hint` replaces the advice
function fail.raise(message, code, info)
  error(setmetatable({ message = message, code = code, info = info or {} }, Failure), 0)
end

--- Raises a usage error (exit code 2).
function fail.usage(message, hint)
  fail.raise(message, "usage", { hint = hint })
end

--- Passes a result on, or raises what came instead of it: check(car:status()).
function fail.check(value, message, code, info)
  if value == nil or value == false then fail.raise(message or "failed", code or "error", info) end
  return value
end

--- Runs a call in which wrong input raises (a VIN, a profile, a POI): that is a usage error here.
---@param call function
---@return any ... what the call returned
function fail.input(call, ...)
  local result = { pcall(call, ...) }
  if result[1] then return result[2], result[3], result[4], result[5] end
  local reason = result[2]
  -- A Ctrl-C arrives as an error raised anywhere; it is no matter of input.
  if type(reason) ~= "string" or reason:find("interrupted!", 1, true) then error(reason, 0) end
  reason = reason:gsub("^[^\n]-:%d+: ", "")
  fail.usage(reason:match("^bad argument #%d+ to '[^']*' %((.*)%)$") or reason)
end

--- Whether a caught error is a failure raised here.
function fail.is(reason)
  return getmetatable(reason) == Failure
end

return fail
