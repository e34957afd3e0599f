-- Charts: what they show, and that they are valid XML whatever the responses contain.
local chart = require "bmwi.chart"
local helper = require "spec.helper"
local has = helper.has

local TRIPS = {
  avgElectricConsumption = { communityLow = 0, communityAverage = 16.3, communityHigh = 35.5,
    userAverage = 14.8 },
  avgRecuperation = { communityAverage = 3.8, userAverage = 2.3 },
  chargecycleRange = { communityAverage = 121.6, communityHigh = 200, userAverage = 72.6 },
}

-- Each element is closed, and nothing is outside the root.
local function check_xml(svg)
  local stack, body = {}, svg:gsub("^<%?xml[^>]*%?>\n", "")
  for slash, name, rest in body:gmatch("<(/?)([%a]+)([^>]*)>") do
    if slash == "/" then
      assert.equal(table.remove(stack), name)
    elseif rest:sub(-1) ~= "/" then
      stack[#stack + 1] = name
    end
  end
  assert.equal(0, #stack)
  assert.is_nil(body:gsub("<[^>]*>", ""):find("[<>]"))
  assert.is_nil(body:find("%f[%w]nan%f[%W]") or body:find("%f[%w]inf%f[%W]"))
end

describe("chart.trips", function()
  local function circles(svg)
    local list = {}
    for x in svg:gmatch('<circle cx="([%d.]+)"') do list[#list + 1] = tonumber(x) end
    return list
  end

  it("shows the driver's values beside those of all cars", function()
    local svg = chart.trips(TRIPS, { title = "Trips of <mine>" })
    check_xml(svg)
    for _, words in ipairs { "Trips of &lt;mine&gt;", "you 14.8 kWh/100 km",
      "average of all cars 16.3 kWh/100 km", "you 72.6 km", "average of all cars 121.6 km" } do
      has(svg, words)
    end
    assert.equal(3, #circles(svg))
    -- 72.6 of 200 km, from the left edge at 20 to the right one at 780.
    assert.is_true(math.abs(circles(svg)[3] - (20 + 760 * 72.6 / 200)) < 0.01)
  end)

  it("labels miles as well, with the same drawing", function()
    local svg = chart.trips(TRIPS, { units = "imperial" })
    has(svg, "you 4.2 mi/kWh")
    has(svg, "you 3.7 kWh/100 mi")
    has(svg, "average of all cars 75.6 mi")
    assert.same(circles(chart.trips(TRIPS)), circles(svg))
  end)

  it("draws the available data, and says so if there is none", function()
    local svg = chart.trips { avgRecuperation = { userAverage = 0 }, chargecycleRange = "?",
      avgElectricConsumption = { userAverage = "no", communityAverage = -1 } }
    check_xml(svg)
    assert.equal(1, #circles(svg))
    has(svg, "you 0 kWh/100 km")
    for _, answer in ipairs { {}, { avgRecuperation = { userAverage = -5 } } } do
      check_xml(chart.trips(answer))
      has(chart.trips(answer), "The service reports no averages.")
    end
  end)

  it("refuses invalid data and options", function()
    assert.has_error(function() chart.trips() end)
    assert.has_error(function() chart.trips({}, { units = "stones" }) end)
    assert.has_error(function() chart.trips({}, { colour = "red" }) end)
  end)
end)

describe("chart.charging_history", function()
  local MONDAY = os.time { year = 2026, month = 3, day = 23, hour = 7 }
  local DAY = 24 * 60 * 60

  local function session(days, energy, from, to)
    return { startTime = MONDAY + days * DAY, energyConsumedFromPowerGridKwh = energy,
      displayedStartSoc = from, displayedSoc = to }
  end

  local function bars(svg)
    local list = {}
    for height in svg:gmatch('<rect x="[%d.]+" y="[%d.]+" width="[%d.]+" height="([%d.]+)" rx="2"')
    do
      list[#list + 1] = tonumber(height)
    end
    return list
  end

  it("adds up the energy of each week, across the change to summer time as well", function()
    -- Sunday evening belongs to the first week, the next Monday to the second.
    local svg = chart.charging_history { session(0, 10, 20, 80), session(6.5, 20, 30, 60),
      session(7, 15, 50, 100), session(21, 5, 10, 20) }
    check_xml(svg)
    local heights = bars(svg)
    assert.equal(3, #heights) -- the third of the four weeks has none
    assert.is_true(math.abs(heights[1] / heights[2] - 2) < 0.01)
    assert.is_true(math.abs(heights[1] / heights[3] - 6) < 0.01)
    for _, words in ipairs { ">23 Mar<", ">30 Mar<", ">13 Apr<",
      "4 sessions, 50 kWh from the grid, 23 Mar to 13 Apr" } do
      has(svg, words)
    end
    assert.equal(4, select(2, svg:gsub("<circle ", "")))
  end)

  it("omits unknown values", function()
    local svg = chart.charging_history { { startTime = MONDAY }, { displayedSoc = 5 }, "?", 5,
      { startTime = 1e300 }, { startTime = "x" }, session(1, "much", "low", 50),
      session(2, -3, -20, 400) }
    check_xml(svg)
    assert.equal(0, #bars(svg))
    assert.equal(1, select(2, svg:gsub("<circle ", "")))
    has(svg, "3 sessions, 0 kWh")
  end)

  it("says so if there is nothing to draw", function()
    check_xml(chart.charging_history {})
    has(chart.charging_history({}, { title = "Mine" }), "There are no charging sessions.")
  end)

  it("stays small and readable over many years", function()
    local svg = chart.charging_history { session(0, 1, 1, 2), session(3650, 1, 1, 2) }
    check_xml(svg)
    assert.is_true(#svg < 10000, #svg)
  end)
end)
