-- bmwi.cli.trips: formats the last trip and all trips as tables.

local number_of = require "bmwi._number"
local render = require "bmwi.cli.render"
local time = require "bmwi.time"

local trips = {}

local ABSENT, amount, digits, measure = render.ABSENT, render.amount, render.digits, render.measure

-- The car's own clock has an unknown zone, so it gets no age.
local function car_clock(text)
  local clock = type(text) == "string" and time.local_clock(text)
  if not clock then return render.text(text) end
  return ("%04d-%02d-%02d %02d:%02d, by the car's clock"):format(clock.year, clock.month,
    clock.day, clock.hour, clock.min)
end

local SCORES = { { "efficiencyValue", "Efficiency" }, { "accelerationValue", "Acceleration" },
  { "anticipationValue", "Anticipation" }, { "drivingModeValue", "Driving mode" },
  { "totalConsumptionValue", "Consumption" } }

--- Rows for car:last_trip().
function trips.last_trip(answer, system)
  if next(answer) == nil then return { { "Last trip", ABSENT } } end
  local share = number_of(answer.electricDistanceRatio)
  local rows = {
    { "Ended", car_clock(answer.date) },
    { "Duration", render.minutes(answer.duration) },
    { "Distance", measure(system, "distance", answer.totalDistance) },
    { "Electric part", measure(system, "distance", answer.electricDistance)
      .. (share and (" (%s %%)"):format(digits(share, 0)) or "") },
    { "Electric use", measure(system, "electric", answer.avgElectricConsumption) },
    { "Recuperation", measure(system, "regained", answer.avgRecuperation) },
    { "Fuel use", measure(system, "fuel", answer.avgCombinedConsumption) },
    { "Fuel saved", measure(system, "volume", answer.savedFuel) },
  }
  for _, score in ipairs(SCORES) do
    local value = number_of(answer[score[1]])
    if value then
      rows[#rows + 1] = { score[2] .. " score", digits(value * 100, 0) .. " %" }
    end
  end
  return rows
end

--- Shows a value's place between the lowest and the highest of all cars: `*` is the user's, `|` the
-- community's average. Empty if a number is missing.
function trips.bar(low, average, high, own, cells)
  low, average, high, own = number_of(low), number_of(average), number_of(high),
    number_of(own)
  if not (low and average and high and own) or high <= low then return "" end
  cells = cells or 24
  local bar = {}
  for i = 1, cells do bar[i] = "-" end
  local function cell(value)
    local at = math.floor((value - low) / (high - low) * (cells - 1) + 0.5) + 1
    return math.max(1, math.min(cells, at))
  end
  bar[cell(average)] = "|"
  bar[cell(own)] = "*"
  return "[" .. table.concat(bar) .. "]"
end

local COMPARED = {
  { "avgElectricConsumption", "Electric use", "electric", "userAverage" },
  { "avgRecuperation", "Recuperation", "regained", "userAverage" },
  { "avgCombinedConsumption", "Fuel use", "fuel", "userAverage" },
  { "chargecycleRange", "Range per charge", "distance", "userAverage" },
  { "totalElectricDistance", "Electric total", "distance", "userTotal" },
}
trips.COMPARED_HEADS = { "", "You", "Average", "Most", "* you, | average of all cars" }

--- Table rows for the comparison in car:all_trips(): label, own value, average, most, bar. The bar
-- spans the community's lowest to its highest value, in the server's units.
function trips.compared(answer, system)
  local rows = {}
  for _, line in ipairs(COMPARED) do
    local set = answer[line[1]]
    if type(set) == "table" then
      rows[#rows + 1] = { line[2], measure(system, line[3], set[line[4]]),
        measure(system, line[3], set.communityAverage), measure(system, line[3], set.communityHigh),
        trips.bar(set.communityLow or 0, set.communityAverage, set.communityHigh, set[line[4]]) }
    end
  end
  return rows
end

--- The other rows of car:all_trips().
function trips.all_trips(answer, system)
  local cycle = type(answer.chargecycleRange) == "table" and answer.chargecycleRange or {}
  local never = type(answer.resetDate) == "string" and time.is_never(answer.resetDate)
  local wh = number_of(answer.batterySizeMax)
  return {
    { "Longest charge", measure(system, "distance", cycle.userHigh) },
    { "Since charging", measure(system, "distance", cycle.userCurrentChargeCycle) },
    { "CO2 saved", amount(answer.savedCO2, "kg") },
    { "CO2, green power", amount(answer.savedCO2greenEnergy, "kg") },
    { "Fuel saved", measure(system, "volume", answer.totalSavedFuel) },
    { "Battery size", wh and amount(wh / 1000, "kWh", 2) or ABSENT },
    { "Counted since", never and "the beginning" or render.moment(answer.resetDate) },
  }
end

return trips
