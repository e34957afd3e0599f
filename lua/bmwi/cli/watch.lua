-- bmwi.cli.watch: `bmwi watch`: follows the cars live. On a terminal, a screen with all cars that
-- is redrawn; otherwise a line for each update, in JSON with --json.

local bmwi = require "bmwi"
local layout = require "bmwi.cli.layout"
local live = require "bmwi.cli.live"
local output = require "bmwi.cli.output"
local render = require "bmwi.cli.render"
local session = require "bmwi.cli.session"
local topics = require "bmwi.bridge.topics"

local watch = {}

local TICK = 1 -- seconds between two redraws, since ages grow
local QUOTA = 10 -- seconds between two reads
local HOME, TO_END = "\27[H", "\27[J"

-- The rows of a status: {label, value, when}.
local function rows_of(ctx, car)
  local system, rows = session.system(ctx), {}
  if not car.status then return rows end
  if car.details then
    for i, row in ipairs(require("bmwi.cli.cardata_status").rows(car.status, car.details,
      system)) do
      rows[i] = row
    end
  else
    for i, row in ipairs(render.status(car.status, system)) do
      rows[i] = { row[1], row[2], "", paint = row[3] }
    end
  end
  return rows
end

-- Applies an update to what is shown of a car.
local function take(state, ctx, update)
  local car = state.cars[update.vin]
  if not car then
    car = { vin = update.vin, shown = {}, changed = {} }
    state.cars[update.vin] = car
    state.order[#state.order + 1] = car
  end
  car.status, car.details = update.status, update.details
  car.received, car.at = bmwi._sys.monotonic(), os.time()
  local list, seen = render.changes(car.shown, rows_of(ctx, car))
  car.shown, car.changed = seen, {}
  for _, row in ipairs(list) do car.changed[row[1]] = true end
  return car, list
end

-- The quota is in a file, which is not read for each redraw.
local function quota_line(state, ctx)
  if not session.is_cardata(ctx.settings) then return "" end
  local now = bmwi._sys.monotonic()
  if not state.quota or now >= state.quota.again then
    local quota = session.open(ctx):quota()
    state.quota = { again = now + QUOTA, text = quota
      and ("%d of %d calls of the day are left. "):format(quota.left, quota.limit) or "" }
  end
  return state.quota.text
end

local function since(details, seconds)
  local older = {}
  for member, detail in pairs(details or {}) do
    local copy = {}
    for name, value in pairs(detail) do copy[name] = value end
    if type(copy.age) == "number" then copy.age = copy.age + seconds end
    older[member] = copy
  end
  return details and older
end

-- A screen of these lines, as many as fit, and of those that end it.
local function clipped(text, last)
  local lines, _, height = {}, bmwi._sys.columns()
  for line in text:gmatch("([^\n]*)\n") do lines[#lines + 1] = line end
  local most = height and height > 1 and math.max(height - 1 - #last, 0) or #lines
  for i = #lines, most + 1, -1 do lines[i] = nil end
  for _, line in ipairs(last) do lines[#lines + 1] = line end
  return table.concat(lines, "\27[K\n") .. "\27[K\n"
end

-- Draws all cars.
local function draw(state, ctx)
  local out, parts = ctx.out, {}
  out.write = function(_, bytes) parts[#parts + 1] = bytes end
  out.screen = bmwi._sys.columns() or out.screen -- it may have been resized
  local function fill(text) return layout.fill(text, out.screen or math.huge) end
  for _, line in ipairs(fill(os.date("%H:%M:%S, ") .. output.clean(state.connection))) do
    out:line(line)
  end
  for _, car in ipairs(state.order) do
    out:line()
    out:heading(session.name(car.vehicle or car))
    local rows = rows_of(ctx, { status = car.status,
      details = since(car.details, bmwi._sys.monotonic() - (car.received or 0)) })
    for _, row in ipairs(rows) do
      row[1] = (car.changed[row[1]] and "* " or "  ") .. row[1]
      if row[1]:find("^%*") then row.paint = row.paint or "bold" end
    end
    if #rows == 0 then out:line("  No data yet.")
    else out:columns({ "  ", "Value", car.details and "Measured" or "" }, rows) end
  end
  out:line()
  out.write = nil
  local last = fill(quota_line(state, ctx) .. "* changed by the last update. Ctrl-C ends.")
  io.stdout:write(HOME, clipped(table.concat(parts), last), TO_END)
  out:flush()
end

local function show_line(ctx, car, list)
  ctx.out:line(output.clean(("%s %s: %s"):format(os.date("%Y-%m-%d %H:%M:%S"),
    session.name(car.vehicle or car), render.in_line(list))))
  ctx.out:flush()
end

-- How updates and states are shown: on a terminal, as lines, or as JSON.
local function handlers_of(ctx, state)
  local out = ctx.out
  local picture = out.one_line and out.tty_out and not out.json
  local function remark(text)
    if picture then draw(state, ctx) else out:remark(text) end
  end
  return {
    picture = picture,
    on_update = function(update)
      if out.json then
        out:line(topics.line(update))
        out:flush()
        return
      end
      local car, list = take(state, ctx, update)
      if picture then draw(state, ctx) else show_line(ctx, car, list) end
    end,
    on_state = function(name, reason)
      local text = live.words(name, reason)
      if text == state.connection then return end
      state.connection = text
      remark(text)
    end,
    on_problem = function(text)
      state.connection = text
      remark(text)
    end,
  }
end

--- bmwi watch
function watch.run(ctx)
  local cars = live.cars(ctx)
  local state = { cars = {}, order = {}, connection = "connecting" }
  for i, vehicle in ipairs(cars) do
    local car = { vin = vehicle.vin, vehicle = vehicle, shown = {}, changed = {} }
    state.cars[vehicle.vin], state.order[i] = car, car
  end
  local handlers = handlers_of(ctx, state)
  local options = live.options(ctx, cars, handlers)
  if handlers.picture then
    io.stdout:write("\27[2J")
    draw(state, ctx)
  end
  ctx.out:progress_end()
  bmwi._sys.catch_signals(false)
  live.run(options, { handlers.picture and function()
    while true do
      bmwi.sleep(TICK)
      draw(state, ctx)
    end
  end or nil })
end

return watch
