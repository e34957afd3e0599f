-- bmwi.cli.hint: what to do about a failure. Loaded when something has failed.

local DOCTOR = "Step by step: bmwi doctor"

-- The command or option that helps, in addition to the module's own hint.
local ADVICE = {
  network = DOCTOR,
  timeout = "Raise request_timeout (--request-timeout SECONDS).",
  tls = "--ca-file FILE trusts a private CA. " .. DOCTOR,
  forbidden = "What the car offers: bmwi vehicles",
  refused = "What the car offers: bmwi vehicles",
  not_found = "Each car's hub: bmwi vehicles. Another server: --region or --base-url.",
  gone = "To try it with the simulator: bmwi demo",
  unknown = "The car may have done it. Check before you send it again: bmwi status",
  too_large = "Is it the right server? " .. DOCTOR,
  timed_out = "The car may be offline. Its last status: bmwi status",
  not_executed = "The car's status: bmwi status",
}

-- Where nothing else is known.
local OTHERWISE = {
  config = "Correct it there. All settings: bmwi help",
  file = "Check the path, its permissions and the free space there.",
  http = "Requests and responses: --verbose",
  internal = "This is a fault of bmwi. Please report it, with the output of: bmwi --version",
}

-- The module's hints for Lua programs, and the equivalent here.
local HERE = {
  { "client:login()", "bmwi login" },
  { "the option `timeout`", "request_timeout (--request-timeout SECONDS)" },
  { " (`hub` in `client:vehicles()`)", "" },
  { "client:delete_container(id)", "bmwi containers delete ID" },
  { "client:containers()", "bmwi containers" },
}

-- Only added to the module's own hint: they do not suit other servers' messages.
local GENERAL = { forbidden = true, refused = true, not_found = true }
-- Replaces the module's hint, which names what only a Lua program can do.
local INSTEAD = { timeout = true, too_large = true, unknown = true }

-- By a part of the message, and by the code: the message may quote the server, and after `unknown`
-- nothing is better than to check the car.
local KNOWN = {
  { "not yet valid", "Check this machine's clock: it says %s.", tls = true },
  { "has expired", "The certificate has expired, or this machine's clock is wrong: it says %s.",
    tls = true },
  { "does not use TLS", "Is it the right port? Plain http:// works for this machine only.",
    tls = true, network = true },
  { "Empty reply", "Is this port for TLS? Then base_url begins with https://. " .. DOCTOR,
    network = true },
  { "dlat and dlon", "Set position = LAT,LON in the configuration file, or BMWI_POSITION, to about "
    .. "where the car is.", http = true, server = true },
}

-- A log-in that was refused earlier and has not been tried now.
local function refused(code, at, retry_after)
  return ("The server said so on %s. %s. To try now: bmwi login"):format(
    os.date("%Y-%m-%d %H:%M", at), code == "auth"
    and "Correct the settings: the same log-in is not retried, since that can lock the account"
    or retry_after and ("It is retried in %.0f seconds"):format(math.ceil(retry_after))
    or "It is not retried by itself")
end

-- The hint for a failure of the module.
local function module_hint(failure)
  local info, advice = failure.info, ADVICE[failure.code]
  if info.refused_at then return refused(failure.code, info.refused_at, info.retry_after) end
  local said = failure.message .. " " .. tostring(info.hint)
  for _, row in ipairs(KNOWN) do
    if row[failure.code] and said:find(row[1], 1, true) then
      return (row[2]:format(os.date("%Y-%m-%d %H:%M")))
    end
  end
  if not info.hint and info.retryable ~= nil and GENERAL[failure.code] then return nil end
  if not info.hint or advice and INSTEAD[failure.code] then return advice end
  return info.hint:gsub("^%l", string.upper) .. (advice and ". " .. advice or "")
end

--- The hint for a failure, if there is one.
---@param failure table
---@param inside? boolean called by the doctor, which must not recommend itself
---@return string|nil hint
return function(failure, inside)
  local info = failure.info
  local ours = info.hint and (info.advised or info.retryable == nil)
  local hint = ours and info.hint or not ours and module_hint(failure)
  for _, row in ipairs(HERE) do
    local at, to = (hint or ""):find(row[1], 1, true)
    if at then hint = hint:sub(1, at - 1) .. row[2] .. hint:sub(to + 1) end
  end
  if hint and inside then hint = hint:gsub("%.?%s*" .. DOCTOR, "") end
  return hint and hint ~= "" and hint or OTHERWISE[failure.code]
end
