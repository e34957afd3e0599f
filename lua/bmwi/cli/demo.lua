-- bmwi.cli.demo: a tour of everything with the simulator. It starts the simulator, uses the account
-- from the API's description, writes no file but the picture, and leaves no process behind.

local async = require "bmwi.async"
local bmwi = require "bmwi"
local geo = require "bmwi.geo"
local wait = require "bmwi.wait"
local cardata_views = require "bmwi.cli.cardata_views"
local status_view = require "bmwi.cli.cardata_status"
local checks = require "bmwi.cli.checks"
local fail = require "bmwi.cli.fail"
local programs = require "bmwi.cli.programs"
local render = require "bmwi.cli.render"
local session = require "bmwi.cli.session"
local trips = require "bmwi.cli.trips"
local views = require "bmwi.cli.views"

local demo = {}

local ACCOUNT = { username = "whatever@example.com", password = "p4ssw0rd", api_key = "key",
  api_secret = "secret" }
local CLIENT_ID = "6b1f5a52-9d2e-4c0f-8a53-1f0c2d3e4b5a" -- the simulator's, for CarData
local PICTURE = "./range-map.svg"
local SPEED = 5 -- speed of the simulated car relative to a real one
local LIVE = 1 -- seconds between two updates of its live data; their times are whole seconds
local UPDATES = 2 -- of these are shown

local exists, in_path, quoted = programs.exists, programs.in_path, programs.quoted

-- The command to run this program again: it may not be installed.
local function program(argv)
  if not argv[0] or in_path("bmwi") == argv[0] then return "bmwi" end
  local first = -1
  while argv[first - 1] do first = first - 1 end
  return (argv[first] and argv[first] .. " " or "") .. argv[0]
end

local function simulator()
  local named = os.getenv("BMWI_SIM")
  if named and named ~= "" then
    if not exists(named) then
      fail.raise("there is no simulator at BMWI_SIM=" .. named, "config")
    end
    return named
  end
  if exists("build/bmwi-sim") then return "build/bmwi-sim" end
  local found = in_path("bmwi-sim")
  if found then return found end
  fail.raise("the simulator bmwi-sim was not found", "config",
    { hint = "In a copy of the source `make demo` builds and finds it; else set BMWI_SIM." })
end

-- Starts the simulator. With --tied, it exits when the pipe is closed.
local function start()
  local cert, key, ca = os.getenv("BMWI_SIM_CERT"), os.getenv("BMWI_SIM_KEY"),
    os.getenv("BMWI_CA_FILE")
  local command = ("exec %s --tied --speed %d --stream 127.0.0.1:0 --live %d"):format(
    quoted(simulator()), SPEED, LIVE)
  local tls = cert and key and ca and exists(cert) and exists(key) and exists(ca)
  if tls then command = ("%s --tls %s %s"):format(command, quoted(cert), quoted(key)) end
  local pipe, message = io.popen(command, "r")
  if not pipe then fail.raise("cannot start the simulator: " .. tostring(message), "error") end
  local url = (pipe:read("*l") or ""):match("listening on (https?://%S+)")
  local stream_url = url and (pipe:read("*l") or ""):match("streaming on (mqtts?://%S+)")
  if not stream_url then
    pipe:close()
    fail.raise("the simulator did not start", "error")
  end
  return pipe, { url = url, stream_url = stream_url, ca_file = tls and ca or nil }
end

local function copy(value)
  if type(value) ~= "table" then return value end
  local twin = {}
  for key, member in pairs(value) do twin[key] = copy(member) end
  return twin
end

-- Sends a command and waits; shows each change of its status.
local function command(ctx, doing, execution, ...)
  fail.check(execution, ...)
  local out, began = ctx.out, bmwi._sys.monotonic()
  local words = { tostring(execution.status) }
  -- Without a terminal, only the final line is shown.
  local function show()
    if out.one_line then out:progress(("  %s: %s"):format(doing, table.concat(words, ", "))) end
  end
  show()
  local ended, message, code, info = wait.for_execution(ctx.car, execution, {
    timeout = 60, interval = 0.2,
    on_update = function(update)
      if not update then return end
      words[#words + 1] = tostring(update.status)
      show()
    end,
  })
  out:progress_end()
  fail.check(ended, message, code, info)
  out:line(("  %s: %s, after %.1f s"):format(doing, table.concat(words, ", "),
    bmwi._sys.monotonic() - began))
  return ended.status
end

local function both(kind, value, decimals)
  return ("%s = %s"):format(render.measure("metric", kind, value, decimals),
    render.measure("imperial", kind, value, decimals))
end

local function show_destinations(ctx)
  local list = fail.check(ctx.car:destinations())
  ctx.out:columns(views.DESTINATION_HEADS, views.destinations(list), "  ")
  return list
end

-- The steps of the tour: {heading, function}; each returns its result, for --json.
local TOUR = {
  { "Log in", function(ctx)
    fail.check(ctx.client:login())
    local token = ctx.client:token()
    ctx.out:line(("  Logged in as %s. The token is valid for %d hours; scope: %s."):format(
      ACCOUNT.username, math.floor((token.expires_at - os.time()) / 3600 + 0.5), token.scope))
    return token.scope
  end },
  { "The cars of this account", function(ctx)
    local list = fail.check(ctx.client:vehicles())
    ctx.vehicle = list[1]
    ctx.car = ctx.client:vehicle(list[1].vin)
    ctx.out:columns(views.VEHICLE_HEADS, views.vehicles(list), "  ")
    ctx.out:line()
    ctx.out:pairs(views.abilities(list[1]), "  ")
    return list
  end },
  { "The car's status", function(ctx)
    local status = fail.check(ctx.car:status())
    local rows = render.status(status, "metric")
    for _, row in ipairs(rows) do
      if row[1] == "Mileage" then row[2] = both("distance", status.mileage, 0)
      elseif row[1] == "Electric range" then
        row[2] = both("distance", status.remainingRangeElectric, 0)
      end
    end
    ctx.level = status.chargingLevelHv
    ctx.out:pairs(rows, "  ")
    return status
  end },
  { "The last trip", function(ctx)
    local trip = fail.check(ctx.car:last_trip())
    local rows = trips.last_trip(trip, "metric")
    for _, row in ipairs(rows) do
      if row[1] == "Distance" then row[2] = both("distance", trip.totalDistance)
      elseif row[1] == "Electric use" then row[2] = both("electric", trip.avgElectricConsumption)
      end
    end
    ctx.out:pairs(rows, "  ")
    return trip
  end },
  { "Lifetime totals, compared with other drivers", function(ctx)
    local all = fail.check(ctx.car:all_trips())
    ctx.out:columns(trips.COMPARED_HEADS, trips.compared(all, "metric"), "  ")
    ctx.out:line()
    ctx.out:pairs(trips.all_trips(all, "metric"), "  ")
    return all
  end },
  { "The charging schedule: read, changed, sent, read again", function(ctx)
    local before = fail.check(ctx.car:charging_profile())
    ctx.out:pairs(views.profile(before), "  ")
    local wanted = copy(before)
    local plan = wanted.weeklyPlanner
    plan.timer2.timerEnabled = not plan.timer2.timerEnabled
    plan.timer2.departureTime = plan.timer2.departureTime == "09:15" and "13:00" or "09:15"
    plan.timer2.weekdays = { "SATURDAY", "SUNDAY" }
    ctx.out:line()
    command(ctx, "Set the schedule", ctx.car:set_charging_profile(wanted))
    local after = fail.check(ctx.car:charging_profile())
    ctx.out:columns({ "Changed in the car", "Before", "Now" }, views.changes(before, after), "  ")
    return after
  end },
  { "Destinations sent to the car before", function(ctx)
    return show_destinations(ctx)
  end },
  { "Range as the crow flies", function(ctx)
    local map = fail.check(ctx.car:range_map())
    ctx.out:columns(views.RANGE_HEADS, views.range_map(map, "metric"), "  ")
    local path = ctx.picture
    local picture = fail.check(geo.svg(map, { title = "Range of the " .. ctx.vehicle.model }))
    local handle, message = io.open(path, "wb")
    if not handle then fail.raise("cannot write " .. message, "file") end
    local written, problem = handle:write(picture)
    if not (handle:close() and written) then
      fail.raise(("cannot write %s: %s"):format(path, tostring(problem)), "file")
    end
    ctx.out:line("  The map is in " .. path)
    return path
  end },
  { "The battery (this answer was recorded from another car)", function(ctx)
    local answer = fail.check(ctx.car:navigation())
    ctx.out:pairs(views.soc(answer, ctx.level), "  ")
    return answer
  end },
  { "Flash the lights and lock the doors", function(ctx)
    local flashed = command(ctx, "Flash the lights", ctx.car:flash_lights { count = 2 })
    local locked = command(ctx, "Lock the doors", ctx.car:lock_doors())
    local status = fail.check(ctx.car:status())
    ctx.out:pairs({ render.status(status, "metric")[1] }, "  ")
    return { flash = flashed, lock = locked, doorLockState = status.doorLockState }
  end },
  { "Send a destination to the car", function(ctx)
    fail.check(ctx.car:send_poi { lat = 51.4997, lon = -0.1246, name = "Big Ben",
      street = "Bridge Street", city = "London", country = "United Kingdom",
      postalCode = "SW1A 2JR" })
    ctx.out:line("  Sent. The car's destinations are now:")
    return show_destinations(ctx)
  end },
}

-- The other service: what owners can use today. The simulator serves it at the same port.
local CARDATA_TOUR = {
  { "BMW CarData, for owners today: log in by a code", function(ctx)
    local out, browser = ctx.out, ctx.client
    local sim = ctx.simulator
    ctx.client = bmwi.new { service = "cardata", client_id = CLIENT_ID, base_url = sim.url,
      login_url = sim.url .. "/gcdm/oauth", stream_url = sim.stream_url, ca_file = sim.ca_file,
      on_prompt = function(asked)
        out:line("  To be opened on the phone: " .. asked.verification_uri_complete)
        out:line("  The demo clicks \"Allow\" there itself; BMW is asked every few seconds.")
        io.stdout:flush()
        async.spawn(function()
          browser:post("/oneid/link", { user_code = asked.user_code, action = "allow" })
        end)
      end }
    local done, message, code, info = ctx.client:login()
    browser:close()
    fail.check(done, message, code, info)
    out:line("  Logged in; allowed: " .. ctx.client:token().scope)
    return ctx.client:token().scope
  end },
  { "The car's status, and the age of each value", function(ctx)
    ctx.car = ctx.client:vehicle(fail.check(ctx.client:vehicles())[1].vin)
    local status, details, code, info = ctx.car:status()
    fail.check(status, details, code, info)
    ctx.out:columns(status_view.HEADS, status_view.rows(status, details, "metric"), "  ")
    return status
  end },
  { "Charging sessions, and how many of the day's calls are left", function(ctx)
    local sessions = fail.check(ctx.car:charging_history())
    ctx.out:pairs(cardata_views.history_totals(sessions), "  ")
    local quota = fail.check(ctx.client:quota())
    ctx.out:pairs(cardata_views.quota(quota), "  ")
    return quota
  end },
  { "Live data: what the car reports, as it happens", function(ctx)
    local stream, shown, levels = ctx.client:stream(), {}, bmwi.json.array()
    for number = 0, UPDATES do
      local update, message, code, info = stream:next(60)
      fail.check(update, message, code, info)
      local rows
      rows, shown = render.changes(shown,
        status_view.rows(update.status, update.details, "metric"))
      if number > 0 then -- the first one holds all that is known of the car
        levels[number] = update.status.chargingLevelHv
        ctx.out:line(("  %s  %s"):format(os.date("%H:%M:%S"), render.in_line(rows)))
        io.stdout:flush()
      end
    end
    stream:close()
    return levels
  end },
}

-- Returns the result of each step.
local function tour(ctx, sim)
  local out, steps = ctx.out, bmwi.json.array()
  out:line(("The simulator runs at %s%s."):format(sim.url,
    sim.ca_file and ", with a certificate that bmwi checks" or ""))
  local options = { base_url = sim.url, ca_file = sim.ca_file }
  for name, value in pairs(ACCOUNT) do options[name] = value end
  ctx.client, ctx.simulator = bmwi.new(options), sim
  for number, station in ipairs(checks.joined(TOUR, CARDATA_TOUR)) do
    out:line()
    out:heading(("%d. %s"):format(number, station[1]))
    steps[number] = { name = station[1], result = station[2](ctx) }
    io.stdout:flush()
  end
  out:line()
  return steps
end

--- bmwi demo
function demo.run(ctx)
  local out = ctx.out
  -- Here --output names the picture; the tour itself is shown on the screen.
  ctx.picture, out.file = out.file or PICTURE, nil
  local pipe, sim = start()
  if out.json then out.write = function() end end -- only the results are shown, at the end
  local done, steps = pcall(tour, ctx, sim)
  out.write = nil
  session.close(ctx)
  pipe:close()
  if not done then error(steps, 0) end
  if out.json then return out:document(steps) end
  out:line("That was all; the simulator has stopped. For your own car: "
    .. program(ctx.argv) .. " help")
end

return demo
