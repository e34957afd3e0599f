-- bmwi.cli.watch: `bmwi watch`: follows the cars live. On a terminal, a screen with all cars that
-- is redrawn; otherwise a line for each update, in JSON with --json.

local bmwi = require "bmwi"
local layout = require "bmwi.cli.layout"
local live = require "bmwi.cli.live"
local output = require "bmwi.cli.output"
local render = require "bmwi.cli.render"
local screen = require "bmwi.cli.screen"
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

-- The lines of a table: a list for each row, of one line, or of two on a very narrow terminal.
local function lines_of(out, rows, columns)
  local widest, list = { 0, 0, 0 }, {}
  for _, row in ipairs(rows) do
    for i = 1, 3 do
      row[i] = output.clean(row[i])
      widest[i] = math.max(widest[i], layout.width(row[i]))
    end
  end
  local shares = screen.shares(widest, columns)
  for i, row in ipairs(rows) do
    local lines
    if shares then
      local cells = {}
      for k = 1, 3 do cells[k] = layout.pad(screen.cut(row[k], shares[k]), shares[k]) end
      lines = { (table.concat(cells, "  "):gsub(" +$", "")) }
    else
      lines = { screen.cut(row[1], columns), screen.cut("    " .. row[2], columns) }
    end
    for k, line in ipairs(lines) do lines[k] = row.paint and out:paint(row.paint, line) or line end
    lines.urgent = row.urgent
    list[i] = lines
  end
  return list
end

-- A text as lines that fit.
local function fill(text, columns)
  local lines = layout.fill(output.clean(text), columns)
  for i, line in ipairs(lines) do lines[i] = screen.cut(line, columns) end
  return lines
end

-- What is shown of each car: arrays of blocks of lines, first its heading, then its values.
local function groups_of(state, ctx, columns)
  local out, groups = ctx.out, {}
  for i, car in ipairs(state.order) do
    local heading = fill(session.name(car.vehicle or car), columns)
    for k, line in ipairs(heading) do heading[k] = out:paint("bold", line) end
    local rows = rows_of(ctx, { status = car.status,
      details = since(car.details, bmwi._sys.monotonic() - (car.received or 0)) })
    for _, row in ipairs(rows) do
      row.urgent = car.changed[row[1]]
      row[1] = (row.urgent and "* " or "  ") .. row[1]
      if row.urgent then row.paint = row.paint or "bold" end
    end
    groups[i] = { heading }
    if #rows == 0 then groups[i][2] = fill("  No data yet.", columns) end
    for _, block in ipairs(lines_of(out, rows, columns)) do table.insert(groups[i], block) end
  end
  return groups
end

-- All lines of all cars, with an empty line above each car; or as many as fit, and how many more
-- there are.
local function fitted(groups, most, columns)
  local function note(count)
    return fill(("... %d more: a taller window, or --json"):format(count), columns)
  end
  local all = {}
  for _, group in ipairs(groups) do
    all[#all + 1] = ""
    for _, line in ipairs((screen.fit({ group }, math.huge))) do all[#all + 1] = line end
  end
  if #all <= most then return all end
  local lines, left = screen.fit(groups, most)
  if left > 0 then lines, left = screen.fit(groups, most - #note(left)) end
  for _, line in ipairs(left > 0 and note(left) or {}) do lines[#lines + 1] = line end
  return lines
end

-- Draws all cars.
local function draw(state, ctx)
  local columns, height = bmwi._sys.columns() -- it may have been resized
  columns = columns or ctx.out.screen or math.huge
  local most = height and height > 1 and height - 1 or math.huge
  local last = fill(quota_line(state, ctx) .. "* changed by the last update. Ctrl-C ends.", columns)
  if #last * 3 > most then last = fill("Ctrl-C ends.", columns) end
  local lines = fill(os.date("%H:%M:%S, ") .. state.connection, columns)
  for _, line in ipairs(state.hint and fill(state.hint, columns) or {}) do
    lines[#lines + 1] = line
  end
  for _, line in ipairs(fitted(groups_of(state, ctx, columns), most - #last - #lines, columns)) do
    lines[#lines + 1] = line
  end
  if #lines + #last < most then lines[#lines + 1] = "" end
  for _, line in ipairs(last) do lines[#lines + 1] = line end
  for i = #lines, most + 1, -1 do table.remove(lines, i - #last > 0 and i - #last or i) end
  io.stdout:write(HOME, table.concat(lines, "\27[K\n"), "\27[K\n", TO_END)
  io.stdout:flush()
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
  local function remark(text, hint)
    state.connection, state.hint = text, hint
    if picture then draw(state, ctx) else out:remark(text, hint) end
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
    on_state = function(name, reason, hint)
      local text = live.words(name, reason)
      if text ~= state.connection then remark(text, hint) end
    end,
    on_problem = remark,
  }
end

--- bmwi watch
function watch.run(ctx)
  live.check(ctx)
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
  bmwi._sys.catch_signals()
  live.run(ctx, function() return options end, { handlers.picture and function()
    while true do
      bmwi.sleep(TICK)
      draw(state, ctx)
    end
  end or nil })
end

return watch
