--- Charts as SVG text: trips compared with other drivers, and the charging history. They need no
--- external resources, so any browser shows them.

local check = require "bmwi._check"
local decimal = require "bmwi._decimal"
local svg = require "bmwi._svg"
local units = require "bmwi.units"

local chart = {}

local OWN, OTHERS = "#1565c0", "#8a94a0"
local LEFT, RIGHT = svg.MARGIN, svg.WIDTH - svg.MARGIN
local OPTIONS = { { "title", "string" }, { "units", "string" } }

local function options_of(options, name)
  options = check.options(options, OPTIONS, 2, name, 3)
  local system = options.units or "metric"
  check.option(system == "metric" or system == "imperial", "units",
    "be 'metric' or 'imperial'", name, 3)
  return options.title, system
end

local function collector()
  local lines = {}
  return function(line) lines[#lines + 1] = line end, function()
    lines[#lines + 1] = "</svg>"
    return table.concat(lines, "\n") .. "\n"
  end
end

-- ---- trips -------------------------------------------------------------------------------------

local KINDS = {
  electric = { metric = { nil, "kWh/100 km" },
    imperial = { units.kwh_per_100km_to_miles_per_kwh, "mi/kWh" } },
  regained = { metric = { nil, "kWh/100 km" }, imperial = { units.miles_to_km, "kWh/100 mi" } },
  distance = { metric = { nil, "km" }, imperial = { units.km_to_miles, "mi" } },
}

local MEASURES = {
  { "avgElectricConsumption", "Consumption", "electric" },
  { "avgRecuperation", "Recuperation", "regained" },
  { "chargecycleRange", "Range per charge", "distance" },
}

local PANEL = 118

-- The data of one measure; nil without a value of the driver's own. The values are the service's,
-- even if the labels are in miles, so both pictures have the same shape.
local function measure_of(answer, measure, system)
  local set, kind = answer[measure[1]], KINDS[measure[3]][system]
  if type(set) ~= "table" then return nil end
  local function value(name)
    local number = units.number(set[name])
    return number and number >= 0 and number or nil
  end
  local own = value "userAverage"
  if not own then return nil end
  local function shown(number)
    if kind[1] then number = kind[1](number) end
    return number and decimal(number, 1) .. " " .. kind[2] or "none"
  end
  return { label = measure[2], shown = shown, own = own, average = value "communityAverage",
    low = value "communityLow" or 0, high = value "communityHigh" }
end

local function panel(add, top, measure)
  local largest = math.max(measure.own, measure.average or 0, measure.high or 0)
  if largest == 0 then largest = 1 end
  local function at(value) return LEFT + (RIGHT - LEFT) * value / largest end
  local function label(value, y, words, colour, attributes)
    -- A label near the right edge is placed to the left of its value.
    local x = math.min(math.max(at(value), LEFT), RIGHT)
    local anchor = x > svg.WIDTH * 0.7 and "end" or x < svg.WIDTH * 0.15 and "start" or "middle"
    add(svg.text(x, y, words .. " " .. measure.shown(value),
      ('font-size="15" fill="%s" text-anchor="%s"%s'):format(colour, anchor, attributes or "")))
  end
  add(svg.text(LEFT, top, measure.label,
    ('font-size="17" font-weight="bold" fill="%s"'):format(svg.INK)))
  local y = top + 40
  add(svg.rect(LEFT, y, RIGHT - LEFT, 16,
    ('rx="8" fill="%s" stroke="%s"'):format(svg.PAPER, svg.LINE)))
  if measure.high and measure.high > measure.low then
    add(svg.rect(at(measure.low), y, at(measure.high) - at(measure.low), 16,
      ('rx="8" fill="%s" fill-opacity="0.45"'):format(OTHERS)))
  end
  if measure.average then
    add(svg.rect(at(measure.average) - 1.5, y - 4, 3, 24, ('fill="%s"'):format(svg.SOFT)))
    label(measure.average, y + 40, "average of all cars", svg.SOFT)
  end
  add(('<circle cx="%s" cy="%s" r="10" fill="%s" stroke="#ffffff" stroke-width="2"/>'):format(
    decimal(at(measure.own), 2), decimal(y + 8, 2), OWN))
  label(measure.own, y - 12, "you", OWN, ' font-weight="bold"')
end

--- Draws consumption, recuperation and range per charge compared with all cars: a grey band from
--- the community's lowest to its highest value, its average, and the driver's own value.
---@param answer table the result of car:all_trips()
---@param options? {title?:string, units?:"metric"|"imperial"}
---@return string svg without data the picture says so
function chart.trips(answer, options)
  check.argument(answer, "table", 1, "trips")
  local title, system = options_of(options, "trips")
  title = title or "Trips"
  local add, finish = collector()
  local list, words = {}, {}
  for _, measure in ipairs(MEASURES) do
    local known = measure_of(answer, measure, system)
    if known then
      list[#list + 1] = known
      words[#words + 1] = known.label .. ": " .. known.shown(known.own)
    end
  end
  if #list == 0 then
    svg.empty(add, title, "The service reports no averages.")
    return finish()
  end
  local height = svg.TOP + 44 + #list * PANEL
  svg.open(add, title, table.concat(words, "; "), height)
  for i, measure in ipairs(list) do panel(add, svg.TOP + 24 + (i - 1) * PANEL, measure) end
  add(svg.text(LEFT, height - 16, "Grey: from the lowest to the highest of all cars.",
    ('font-size="12" fill="%s"'):format(svg.SOFT)))
  return finish()
end

-- ---- charging history ---------------------------------------------------------------------------

local WEEK = 7 * 24 * 60 * 60
local MONTHS = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov",
  "Dec" }
local PLOT_LEFT, PLOT_RIGHT, PLOT_HEIGHT = LEFT + 46, RIGHT - 8, 220
local ENERGY_TOP = svg.TOP + 42
local SOC_TOP = ENERGY_TOP + PLOT_HEIGHT + 74

-- Noon of the Monday of a time's week, on this machine's clock: at noon, a day that is an hour
-- longer or shorter makes no difference.
local function monday(epoch)
  local date = os.date("*t", epoch)
  return os.time { year = date.year, month = date.month, day = date.day - (date.wday + 5) % 7,
    hour = 12 }
end

local function day(epoch)
  local date = os.date("*t", epoch)
  return date.day .. " " .. MONTHS[date.month]
end

-- The sessions that have a time (in a year that the C library supports), and the energy of each
-- week from the first to the last.
local function weeks_of(sessions)
  local kept, by_week, first, last = {}, {}, math.huge, -math.huge
  for _, session in ipairs(sessions) do
    local began = type(session) == "table" and session.startTime
    local known, start = pcall(monday, began)
    if known and type(began) == "number" then
      kept[#kept + 1] = session
      first, last = math.min(first, start), math.max(last, start)
      by_week[start] = (by_week[start] or 0)
        + math.max(0, units.number(session.energyConsumedFromPowerGridKwh) or 0)
    end
  end
  local weeks, at = {}, first
  while #kept > 0 and at <= last do
    weeks[#weeks + 1] = { start = at, energy = by_week[at] or 0 }
    at = monday(at + WEEK)
  end
  return kept, weeks
end

-- Draws horizontal lines with their values; returns the function that maps a value to its y.
local function scale(add, top, largest, step, unit)
  local function at(value) return top + PLOT_HEIGHT * (1 - value / largest) end
  for i = 0, math.floor(largest / step + 1e-9) do
    local y = decimal(at(i * step), 2)
    add(('<path d="M%d %sH%d" stroke="%s"/>'):format(PLOT_LEFT, y, PLOT_RIGHT, svg.LINE))
    add(svg.text(PLOT_LEFT - 8, at(i * step) + 4, decimal(i * step, 1) .. unit,
      ('font-size="12" fill="%s" text-anchor="end"'):format(svg.SOFT)))
  end
  return at
end

local function heading(add, y, words)
  add(svg.text(LEFT, y, words, ('font-size="17" font-weight="bold" fill="%s"'):format(svg.INK)))
end

local function energy_plot(add, weeks, width)
  local most = 0
  for _, week in ipairs(weeks) do most = math.max(most, week.energy) end
  if most == 0 then most = 1 end
  local step = svg.nice(most / 2)
  heading(add, ENERGY_TOP - 18, "Energy from the grid by week (kWh)")
  local at = scale(add, ENERGY_TOP, math.ceil(most / step - 1e-9) * step, step, "")
  local every = math.ceil(60 / width)
  for i, week in ipairs(weeks) do
    local x = PLOT_LEFT + (i - 1) * width
    if week.energy > 0 then
      add(svg.rect(x + width * 0.15, at(week.energy), math.min(width * 0.7, 80),
        at(0) - at(week.energy), ('rx="2" fill="%s"'):format(OWN)))
    end
    if (i - 1) % every == 0 then
      add(svg.text(x + width * 0.15 + math.min(width * 0.35, 40), at(0) + 18, day(week.start),
        ('font-size="12" fill="%s" text-anchor="middle"'):format(svg.SOFT)))
    end
  end
end

local function charge_plot(add, sessions, weeks, width)
  heading(add, SOC_TOP - 18, "State of charge at start and end of each session")
  local at = scale(add, SOC_TOP, 100, 25, " %")
  local origin = weeks[1].start - 12 * 60 * 60
  for _, session in ipairs(sessions) do
    local from, to = units.number(session.displayedStartSoc), units.number(session.displayedSoc)
    local x = PLOT_LEFT + (session.startTime - origin) / WEEK * width
    x = math.min(math.max(x, PLOT_LEFT + 3), PLOT_RIGHT - 3)
    if from and to then
      from, to = math.min(math.max(from, 0), 100), math.min(math.max(to, 0), 100)
      add(('<path d="M%s %sV%s" stroke="%s" stroke-width="5" stroke-linecap="round"'
        .. ' stroke-opacity="0.75"/>'):format(decimal(x, 2), decimal(at(from), 2),
        decimal(at(to), 2), OWN))
      add(('<circle cx="%s" cy="%s" r="4" fill="#ffffff" stroke="%s" stroke-width="2"/>'):format(
        decimal(x, 2), decimal(at(from), 2), OWN))
    end
  end
end

--- Draws a charging history: the energy for each week (from Monday, on this machine's clock), and
--- the state of charge at the start (a ring) and the end of each session.
---@param sessions table[] the result of car:charging_history(); those without a start are skipped
---@param options? {title:string}
---@return string svg without sessions the picture says so
function chart.charging_history(sessions, options)
  check.argument(sessions, "table", 1, "charging_history")
  local title = options_of(options, "charging_history") or "Charging history"
  local add, finish = collector()
  local kept, weeks = weeks_of(sessions)
  if #kept == 0 then
    svg.empty(add, title, "There are no charging sessions.")
    return finish()
  end
  local total = 0
  for _, week in ipairs(weeks) do total = total + week.energy end
  local summary = ("%d %s, %s kWh from the grid, %s to %s"):format(#kept,
    #kept == 1 and "session" or "sessions", decimal(total, 1), day(kept[1].startTime),
    day(kept[#kept].startTime))
  svg.open(add, title, summary, SOC_TOP + PLOT_HEIGHT + 52)
  local width = (PLOT_RIGHT - PLOT_LEFT) / #weeks
  energy_plot(add, weeks, width)
  charge_plot(add, kept, weeks, width)
  add(svg.text(LEFT, SOC_TOP + PLOT_HEIGHT + 34, summary,
    ('font-size="15" fill="%s"'):format(svg.INK)))
  return finish()
end

return chart
