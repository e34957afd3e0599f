-- bmwi.cli.explain: what a failure has to do with the settings. Loaded when something has failed.

local fail = require "bmwi.cli.fail"
local session = require "bmwi.cli.session"

-- Statuses of a server that has no log-in at this path.
local NO_SERVICE = { [404] = true, [405] = true, [501] = true }

--- Describes a failure in terms of the settings, if they are the cause.
---@param ctx table the run
---@param failure table
---@return table failure
return function(ctx, failure)
  local status, vin = failure.info.status, ctx.settings.vin
  if session.is_cardata(ctx.settings) then
    -- Other hints (hub, what a car offers) apply to the classic service.
    local hint = failure.info.refused_at and "log in again: bmwi login" or failure.info.hint
    if hint then fail.advise(failure.info, (hint:gsub("^%l", string.upper))) end
    return failure
  end
  if status and status == ctx.login_status and (NO_SERVICE[status] or status < 400) then
    return fail.new(("%s does not look like the car service (HTTP %d for the log-in)"):format(
      session.server(ctx.settings), status), failure.code,
      { status = status, location = failure.info.location, hint = "Check base_url (--base-url)."
        .. (failure.info.location and " It points to " .. failure.info.location or "") })
  elseif failure.code == "not_found" and ctx.car and vin and not ctx.vehicle then
    local known, other = pcall(session.choose, ctx)
    if not known and fail.is(other) and other.code == "config" then return other end
  elseif failure.code == "network" and not ctx.settings.base_url then
    fail.advise(failure.info, fail.hint(failure) .. ". BMW switched this service off on "
      .. "2021-11-09. Your own car: set service = cardata and client_id; step by step: "
      .. "docs/cardata.md. Without a car: bmwi demo")
  end
  return failure
end
