-- bmwi.cli.fail: failures of commands, with an exit code and a hint for each. In the command line a
-- failure is raised as a table and caught once, in bmwi.cli.

local fail = {}

local Failure = {}
Failure.__index = Failure

-- Every exit code, for the help.
fail.EXITS = {
  { 0, "done" }, { 1, "error" }, { 2, "usage or configuration" }, { 3, "outcome unknown" },
  { 4, "log-in needed" }, { 5, "rate limited, or quota used up" },
  { 6, "time-out while waiting for the car" }, { 7, "the car refused" },
  { 8, "another program uses the stream" }, { 130, "interrupted" }, { 143, "terminated" },
}

-- Exit codes by failure code; all others are 1.
fail.EXIT = {
  usage = 2, config = 2,
  unknown = 3,
  auth = 4, login = 4,
  rate_limited = 5, quota = 5,
  timed_out = 6,
  not_executed = 7, refused = 7,
  conflict = 8,
  cancelled = 130, interrupted = 130, terminated = 143,
}

--- Makes a failure to be raised.
---@param message string
---@param code string a code of the module, or usage, config, login, refused
---@param info? table as returned by the module; `hint` replaces the default hint
function fail.new(message, code, info)
  return setmetatable({ message = tostring(message), code = code, info = info or {} }, Failure)
end

--- Raises a failure; see fail.new.
function fail.raise(message, code, info)
  error(fail.new(message, code, info), 0)
end

--- Replaces the module's hint.
---@param info table
---@param hint string|nil nil: there is none
---@return table info
function fail.advise(info, hint)
  info.hint, info.advised = hint, true
  return info
end

--- The hint for a failure, if there is one.
---@param failure table
---@param inside? boolean called by the doctor, which must not recommend itself
---@return string|nil hint
function fail.hint(failure, inside) return require "bmwi.cli.hint"(failure, inside) end

--- Raises a usage error (exit code 2).
function fail.usage(message, hint)
  fail.raise(message, "usage", { hint = hint })
end

--- Returns a result, or raises the failure returned instead: check(car:status()).
function fail.check(value, message, code, info)
  if value == nil or value == false then fail.raise(message or "failed", code or "error", info) end
  return value
end

--- Ctrl-C and SIGTERM are raised as errors, from whatever was waiting.
---@param reason any an error
---@return string|nil code interrupted or terminated
function fail.signal(reason)
  return tostring(reason):match("(interrupted)!") or tostring(reason):match("(terminated)!")
end

--- Makes a call that raises for invalid input (a VIN, a profile, a POI), which is a usage error
--- here.
---@param call function
---@return any ... the results of the call
function fail.input(call, ...)
  local result = { pcall(call, ...) }
  if result[1] then return result[2], result[3], result[4], result[5] end
  local reason = result[2]
  if type(reason) ~= "string" or fail.signal(reason) then error(reason, 0) end
  reason = reason:gsub("^[^\n]-:%d+: ", "")
  reason = reason:match("^bad argument #%d+ to '[^']*' %((.*)%)$") or reason
  local what, command = reason:match("^option 'store': (.*) %(run: (.*)%)$")
  fail.usage(what or reason, command and "Run: " .. command)
end

--- Whether a caught error is a failure raised by this module.
function fail.is(reason)
  return getmetatable(reason) == Failure
end

return fail
