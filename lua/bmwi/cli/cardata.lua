-- bmwi.cli.cardata: the commands that read from BMW CarData, and its log-in.

local bmwi = require "bmwi"
local fail = require "bmwi.cli.fail"
local clean = require("bmwi.cli.output").clean
local render = require "bmwi.cli.render"
local session = require "bmwi.cli.session"
local views = require "bmwi.cli.cardata_views"

local unpack = rawget(_G, "unpack") or table.unpack -- luacheck: ignore
local cardata = {}

local system = session.system

--- bmwi vehicles
function cardata.vehicles(ctx)
  local list = fail.check(session.open(ctx):vehicles())
  if ctx.out.json then return ctx.out:document(list) end
  if #list == 0 then
    return ctx.out:line("This account has no car. Cars are added in the My BMW app.")
  end
  ctx.out:columns(views.VEHICLE_HEADS, views.vehicles(list))
end

--- bmwi image
function cardata.image(ctx)
  if not ctx.options.output and not ctx.out.json and ctx.out.tty_out then
    fail.usage("refusing to write a picture to a terminal", "To a file: --output FILE")
  end
  local bytes, kind, code, info = session.car(ctx):image()
  bytes = fail.check(bytes, kind, code, info)
  if ctx.out.json then
    return ctx.out:document({ type = "image/" .. kind, base64 = bmwi.base64.encode(bytes) })
  end
  ctx.out:write(bytes)
end

-- Midnight of a day on this machine's clock, `later` days later.
local function midnight(name, text, later)
  local year, month, day = text:match("^(%d%d%d%d)%-(%d%d)%-(%d%d)$")
  local date = year and { year = tonumber(year), month = tonumber(month), day = tonumber(day) }
  local epoch = date and require("bmwi.time").parse(text .. "T00:00:00Z") -- does the day exist?
  if not epoch then fail.usage(("--%s must be a day such as 2026-01-31"):format(name)) end
  date.hour, date.day = 0, date.day + later
  return os.time(date)
end

-- The period from --from to --to: whole days, both included.
local function span(options)
  local chosen = { from = options.from and midnight("from", options.from, 0),
    to = options.to and midnight("to", options.to, 1) }
  if chosen.to then chosen.to = math.min(chosen.to, os.time()) end
  if chosen.to and not chosen.from then chosen.from = chosen.to - 30 * 24 * 60 * 60 end
  if chosen.from and chosen.from >= (chosen.to or os.time()) then
    fail.usage("--from must be before --to, and in the past")
  end
  return chosen
end

local function show_history(ctx, sessions)
  local out = ctx.out
  if out.json then return out:document(bmwi.json.array(sessions)) end
  if ctx.options.format == "csv" then
    return out:write(views.history_csv(sessions, system(ctx)))
  elseif ctx.options.format == "svg" then
    return out:write(require("bmwi.chart").charging_history(sessions))
  end
  session.title(ctx, "Charging history")
  if #sessions == 0 then return out:line("No charging sessions.") end
  out:columns(views.HISTORY_HEADS, views.history(sessions, system(ctx)))
  out:line()
  out:pairs(views.history_totals(sessions))
end

--- bmwi charging-history
function cardata.charging_history(ctx)
  local options = ctx.options
  if options.json and options.format and options.format ~= "text" then
    fail.usage(("--json and --format %s do not go together"):format(options.format))
  end
  local chosen = span(options)
  local sessions, message, code, info = session.car(ctx):charging_history(chosen)
  if sessions then return show_history(ctx, sessions) end
  local partial = type(info) == "table" and info.partial
  if partial and #partial > 0 then -- a part is better than nothing
    show_history(ctx, partial)
    ctx.out:finish()
  end
  fail.raise(message, code, info)
end

--- bmwi charging-settings
function cardata.charging_settings(ctx)
  local list = fail.check(session.car(ctx):charging_settings())
  if ctx.out.json then return ctx.out:document(bmwi.json.array(list)) end
  session.title(ctx, "Charging settings by place")
  if #list == 0 then return ctx.out:line("None.") end
  ctx.out:columns(views.SETTING_HEADS, views.settings(list))
end

--- bmwi tyres
function cardata.tyres(ctx)
  local tyres = fail.check(session.car(ctx):tyres())
  local out = ctx.out
  if out.json then return out:document(tyres) end
  local sets = { { "Tyres on the car", tyres.mountedTyres },
    { "The other set", tyres.unmountedTyres } }
  local any = false
  for _, set in ipairs(sets) do
    local rows = set[2] and views.tyres(set[2], system(ctx)) or {}
    if #rows > 0 then
      session.title(ctx, set[1])
      out:columns(views.TYRE_HEADS, rows)
      any = true
    end
  end
  if not any then out:line("BMW has no data on this car's tyres.") end
end

local function one_container(ctx, id)
  local container = fail.check(fail.input(ctx.client.containers, ctx.client, id))
  if ctx.out.json then return ctx.out:document(container) end
  ctx.out:columns(views.CONTAINER_HEADS, views.containers({ container }))
  ctx.out:line()
  for _, descriptor in ipairs(container.technicalDescriptors or {}) do
    ctx.out:line(clean(descriptor))
  end
end

-- `bmwi containers`: the function of each word, and the number of arguments after it.
local CONTAINERS = {
  list = { least = 0, most = 0, run = function(ctx)
    local list = fail.check(ctx.client:containers())
    if ctx.out.json then return ctx.out:document(bmwi.json.array(list)) end
    if #list == 0 then return ctx.out:line("None. `bmwi status` creates the one it needs.") end
    ctx.out:columns(views.CONTAINER_HEADS, views.containers(list))
  end },
  show = { least = 1, most = 1, usage = "show ID", run = one_container },
  create = { least = 2, most = math.huge, usage = "create NAME DESCRIPTOR ...",
    run = function(ctx, name, ...)
      local made = fail.check(fail.input(ctx.client.create_container, ctx.client,
        { name = name, descriptors = { ... } }))
      if ctx.out.json then return ctx.out:document(made) end
      ctx.out:line("Made: " .. clean(made.containerId))
    end },
  delete = { least = 1, most = 1, usage = "delete ID", run = function(ctx, id)
    if not ctx.options.yes then
      if not ctx.out.can_ask then
        fail.usage("refusing to delete without confirmation: not a terminal",
          "To delete without being asked: --yes")
      elseif not ctx.out:confirm(("Delete the container %s? A program may use it."):format(id)) then
        fail.raise("not deleted", "declined")
      end
    end
    fail.check(fail.input(ctx.client.delete_container, ctx.client, id))
    if ctx.out.json then return ctx.out:document({ containerId = id, deleted = true }) end
    ctx.out:line("Deleted: " .. id)
  end },
}

--- bmwi containers [list | show ID | create NAME DESCRIPTOR ... | delete ID]
function cardata.containers(ctx)
  local what = CONTAINERS[ctx.args[1] or "list"]
  if not what then fail.usage("containers takes `list`, `show`, `create` or `delete`") end
  local rest = { unpack(ctx.args, 2) }
  if #rest < what.least or #rest > what.most then
    local usage = "bmwi containers " .. (what.usage or "list")
    fail.usage(("wrong number of arguments for `%s`"):format(usage:match("^%l+ %l+ %l+")),
      "Usage: " .. usage)
  end
  session.open(ctx)
  what.run(ctx, unpack(rest))
end

--- bmwi quota
function cardata.quota(ctx)
  local quota = fail.check(session.open(ctx):quota())
  if ctx.out.json then return ctx.out:document(quota) end
  ctx.out:pairs(views.quota(quota))
end

-- How long a new log-in stays.
local function stays(token)
  if token.refresh_token then return "as long as it is used at least once in 14 days" end
  return ("until %s: BMW sent no refresh token, so it cannot be renewed"):format(
    token.expires_at and render.clock(token.expires_at) or "BMW refuses it")
end

--- bmwi login
function cardata.login(ctx)
  require("bmwi.cli.checks").try_to_write(session.store(ctx.settings))
  require("bmwi.cli.prompt").log_in(ctx, session.open(ctx, true))
  session.need_saved(ctx)
  local token = session.store(ctx.settings):load() or {}
  local file = ctx.settings.token_file
  if ctx.out.json then
    return ctx.out:document({ server = session.server(ctx.settings), scope = token.scope,
      expires_at = token.expires_at, refresh_expires_at = token.refresh_expires_at,
      token_file = file })
  end
  ctx.out:line("Logged in to BMW CarData.")
  ctx.out:pairs({
    { "Scope", tostring(token.scope or render.ABSENT) },
    { "Kept in", file .. " (readable by you only)" },
    { "Stays", stays(token) },
  })
end

return cardata
