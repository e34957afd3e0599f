-- bmwi.cli.read: the commands that only read, and the log-in.

local bmwi = require "bmwi"
local fail = require "bmwi.cli.fail"
local render = require "bmwi.cli.render"
local session = require "bmwi.cli.session"
local views = require "bmwi.cli.views"

local read = {}

local system = session.system

--- bmwi vehicles
function read.vehicles(ctx)
  local list = fail.check(session.open(ctx):vehicles())
  if ctx.out.json then return ctx.out:document(list) end
  if #list == 0 then return ctx.out:line("This account has no car.") end
  ctx.out:columns(views.VEHICLE_HEADS, views.vehicles(list))
  for _, vehicle in ipairs(render.tables(list)) do
    ctx.out:line()
    ctx.out:heading(session.name(vehicle))
    ctx.out:pairs(views.abilities(vehicle))
  end
end

local function show_trips(ctx, last, all)
  local out, trips = ctx.out, require "bmwi.cli.trips"
  if last then
    session.title(ctx, "Last trip")
    out:pairs(trips.last_trip(last, system(ctx)))
  end
  if last and all then out:line() end
  if all then
    session.title(ctx, "All trips")
    local rows = trips.compared(all, system(ctx))
    if #rows > 0 then out:columns(trips.COMPARED_HEADS, rows) end
    out:line()
    out:pairs(trips.all_trips(all, system(ctx)))
  end
end

-- The result, or nil and the failure.
local function part(answer, ...)
  if answer then return answer end
  return nil, fail.new(...)
end

-- The chart, for all trips: the last one has nothing to compare with.
local function draw_trips(ctx, which)
  if ctx.out.json then fail.usage("--json and --format svg do not go together") end
  if which == "last" then fail.usage("--format svg draws all trips, not the last one") end
  local all = fail.check(session.car(ctx):all_trips())
  local name = session.name(ctx.vehicle)
  ctx.out:write(require("bmwi.chart").trips(all, { title = name and "Trips, " .. name,
    units = system(ctx) == "metric" and "metric" or "imperial" }))
end

--- bmwi trips [last|all]
function read.trips(ctx)
  local which = ctx.args[1]
  if which ~= nil and which ~= "last" and which ~= "all" then
    fail.usage("trips takes `last`, `all` or nothing")
  end
  if ctx.options.format == "svg" then return draw_trips(ctx, which) end
  local car, out = session.car(ctx), ctx.out
  local last, all, failure
  if which ~= "all" then last, failure = part(car:last_trip()) end
  if which ~= "last" and not (failure and failure.code == "cancelled") then
    local also
    all, also = part(car:all_trips())
    failure = failure or also
  end
  if not last and not all then error(failure, 0) end
  if out.json then
    out:document(which and (last or all) or { lastTrip = last, allTrips = all })
  else
    show_trips(ctx, last, all)
  end
  if failure then -- half of it is better than nothing
    out:finish()
    error(failure, 0)
  end
end

--- bmwi charging-profile [get | set FILE]
function read.charging_profile(ctx)
  local what, file = ctx.args[1] or "get", ctx.args[2]
  if what == "set" then
    if not file then
      fail.usage("charging-profile set needs a FILE, or - for standard input")
    end
    return require("bmwi.cli.act").set_profile(ctx, file)
  elseif what ~= "get" then
    fail.usage("charging-profile takes `get` or `set FILE`")
  elseif file then
    fail.usage("charging-profile get takes no FILE", "To write one: --output FILE")
  end
  local profile = fail.check(session.car(ctx):charging_profile())
  if ctx.out.json then return ctx.out:document(profile) end
  session.title(ctx, "Charging schedule")
  ctx.out:pairs(views.profile(profile))
end

-- For the two commands whose result can be drawn as a map. True if it was drawn.
local function drawn(ctx, answer, words)
  local format = ctx.options.format
  if not format or format == "text" then return false end
  if ctx.out.json and format ~= "geojson" then
    fail.usage(("--json and --format %s do not go together"):format(format))
  end
  local geo = require "bmwi.geo"
  local name = session.name(ctx.vehicle)
  local text = fail.check(geo[format](answer, { title = name and words .. ", " .. name or words }))
  ctx.out:write(text)
  if text:sub(-1) ~= "\n" then ctx.out:write("\n") end
  return true
end

--- bmwi destinations
function read.destinations(ctx)
  local list = fail.check(session.car(ctx):destinations())
  if drawn(ctx, list, "Destinations") then return end
  if ctx.out.json then return ctx.out:document(list) end
  session.title(ctx, "Destinations sent to the car")
  if #list == 0 then return ctx.out:line("None.") end
  ctx.out:columns(views.DESTINATION_HEADS, views.destinations(list))
end

--- bmwi range-map
function read.range_map(ctx)
  local map = fail.check(session.car(ctx):range_map())
  if drawn(ctx, map, "Range") then return end
  if ctx.out.json then return ctx.out:document(map) end
  session.title(ctx, "Range as the crow flies")
  local rows = views.range_map(map, system(ctx))
  if #rows == 0 then return ctx.out:line("The car reports no range map.") end
  ctx.out:columns(views.RANGE_HEADS, rows)
  if ctx.out.tty_out then
    ctx.out:remark("As a picture: bmwi range-map --format svg --output range.svg")
  end
end

--- bmwi soc
function read.soc(ctx)
  local answer = fail.check(session.car(ctx):navigation())
  if ctx.out.json then return ctx.out:document(answer) end
  session.title(ctx, "Battery")
  ctx.out:pairs(views.soc(answer))
end

-- Decodes "%41" and "+" in a query.
local function decode(text)
  return (text:gsub("+", " "):gsub("%%(%x%x)", function(hex)
    return string.char(tonumber(hex, 16))
  end))
end

--- bmwi get PATH
function read.get(ctx)
  local path = ctx.args[1]
  if not path or path:sub(1, 1) ~= "/" then
    fail.usage("get needs a PATH that begins with /",
      "Example: bmwi get /webapi/v1/user/vehicles")
  end
  local client = session.open(ctx)
  if path:find("{vin}", 1, true) then
    path = path:gsub("{vin}", (session.car(ctx):vin():gsub("%%", "%%%%")))
  end
  local before, question = path:match("^([^?]*)%??(.*)$")
  local query
  for name, value in question:gmatch("([^&=]+)=?([^&]*)") do
    local key = decode(name)
    query = query or {}
    query[key] = query[key] or {}
    table.insert(query[key], decode(value))
  end
  ctx.out:document(fail.check(fail.input(client.get, client, before, query)))
end

--- bmwi image
function read.image(ctx)
  if not ctx.options.output and not ctx.out.json and ctx.out.tty_out then
    fail.usage("refusing to write PNG to a terminal", "To a file: --output FILE")
  end
  local car, options = session.car(ctx), ctx.options
  local png = fail.check(fail.input(car.image, car,
    { view = options.view, width = options.width, height = options.height }))
  if ctx.out.json then
    return ctx.out:document({ type = "image/png", base64 = bmwi.base64.encode(png) })
  end
  ctx.out:write(png)
end

--- bmwi login
function read.login(ctx)
  require("bmwi.cli.checks").try_to_write(session.store(ctx.settings))
  local client = session.open(ctx, true)
  local done, message, code, info = client:login()
  if code == "auth" and info then
    fail.advise(info, (info.hint and info.hint .. ". " or "") .. "Step by step: bmwi doctor")
  end
  fail.check(done, message, code, info)
  session.need_saved(ctx)
  local token = client:token() or {}
  if ctx.out.json then
    return ctx.out:document({ server = session.server(ctx.settings), scope = token.scope,
      expires_at = token.expires_at, token_file = ctx.settings.token_file })
  end
  ctx.out:line("Logged in at " .. session.server(ctx.settings))
  ctx.out:pairs({
    { "Scope", tostring(token.scope or render.ABSENT) },
    { "Valid until", token.expires_at and render.clock(token.expires_at) or render.ABSENT },
    { "Kept in", ctx.settings.token_file .. " (readable by you only)" },
  })
end

--- bmwi logout
function read.logout(ctx)
  local store = session.store(ctx.settings)
  fail.check(store:_log_out())
  if ctx.out.json then return ctx.out:document({ token_file = ctx.settings.token_file }) end
  ctx.out:line("Deleted the saved log-in: " .. ctx.settings.token_file)
  if (store:_read() or {}).quota then
    ctx.out:line("The count of the day's calls is kept, as BMW keeps counting.")
  end
end

return read
