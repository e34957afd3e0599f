-- bmwi.cli.status: `bmwi status`, the most common command, and `bmwi telematics`, which reads the
-- same values. A file of its own, so that they load nothing else.

local fail = require "bmwi.cli.fail"
local render = require "bmwi.cli.render"
local session = require "bmwi.cli.session"

local status = {}

--- bmwi status
function status.classic(ctx)
  local values = fail.check(session.car(ctx):status())
  if ctx.out.json then return ctx.out:document(values) end
  session.title(ctx, "Status")
  ctx.out:pairs(render.status(values, session.system(ctx)))
end

-- car:status() or car:telematics(), for the commands with these names; both can show saved values.
local function read_values(ctx, name)
  local car = session.car(ctx)
  local values, details, code, info = car[name](car, { max_age = ctx.options["max-age"] })
  if values then return values, details end
  if code ~= "auth" and session.store(ctx.settings):_values(car:vin()) then
    local saved = ("To show the saved values: bmwi %s --max-age SECONDS"):format(name)
    info = info or {}
    local hint = code ~= "quota" and info.hint -- that says when calls are available again
    fail.advise(info, hint and hint:gsub("%.?$", ". ", 1) .. saved or saved)
  end
  fail.raise(details, code, info)
end

--- bmwi status
function status.cardata(ctx)
  local values, details = read_values(ctx, "status")
  if ctx.out.json then
    values.details = details
    return ctx.out:document(values)
  end
  local view = require "bmwi.cli.cardata_status"
  session.title(ctx, "Status")
  ctx.out:columns(view.HEADS, view.rows(values, details, session.system(ctx)))
end

--- bmwi telematics
function status.telematics(ctx)
  local values = read_values(ctx, "telematics")
  if ctx.out.json then return ctx.out:document(values) end
  local views = require "bmwi.cli.cardata_views"
  session.title(ctx, "All values")
  ctx.out:columns(views.TELEMATICS_HEADS, views.telematics(values))
end

return status
