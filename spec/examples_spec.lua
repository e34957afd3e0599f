-- Runs every example as its header says, against a simulator with TLS, and looks for a typical
-- line.
local helper = require "spec.helper"
local quote, read = helper.quote, helper.read

local interpreter = helper.interpreter

local CHARGING = { chargingStatus = "CHARGING", connectionStatus = "CONNECTED" }
local FULL = { chargingLevelHv = 100, chargingStatus = "FINISHED_FULLY_CHARGED" }

-- What each example prints. `arguments` follow its name, %s being a file of ours; `meanwhile` is
-- called after its first line.
local EXAMPLES = {
  ["charging_schedule.lua"] = { says = { "^before: ready at 07:30 on MONDAY, charge from 05:02",
    "\nnow:    ready at 07:00 on MONDAY TUESDAY WEDNESDAY THURSDAY FRIDAY, charge from 23:30" } },
  ["charging_svg.lua"] = { arguments = "%s", writes = "^<%?xml.*</svg>\n$",
    says = { "^Open http[^\n]* and type %w+", "\n%d+ sessions; the picture is in " } },
  ["faults.lua"] = { says = { "answer is lost: +unknown, sent 1 time\n",
    "may not: +forbidden, sent 1 time\n", "stumbles: +the status all the same\n" } },
  ["lock_and_wait.lua"] = { says = { "the car has carried out the command\nlocked: EXECUTED\n" } },
  ["many_cars.lua"] = { vehicles = "examples/cars.json",
    says = { "I3 %+REX +SECURED, 1234 km\n", "i8 +SECURED", "X1 +status failed: HTTP 404" } },
  ["offline.lua"] = { says = { "SECURED, 58 %% charged\nafter lock_doors: LOCKED\n$" } },
  ["range_map_svg.lua"] = { arguments = "%s",
    says = { "ECO_PRO_PLUS +%d+ km2", "The picture is in " }, writes = "^<%?xml.*</svg>\n$" },
  ["save_token.lua"] = { arguments = "%s",
    says = { "^no saved log%-in: logging in\nI3 %+REX" },
    says_again = { "^going on with the saved log%-in\nI3 %+REX" }, writes = "refresh_token" },
  ["send_poi.lua"] = { says = { "sent: a message\n", "Am Olympiapark 1, München %(48%.1769" } },
  ["status.lua"] = {
    says = { "locks +SECURED\n", "range +73 km = 45 mi\n", "reported +%d+ days ago\n" } },
  ["trips.lua"] = { says = { "ended on 2015%-12%-01 at 20:44",
    "141%.0 km = 87%.6 mi in 124 minutes", "16%.6 kWh/100 km = 3%.74 mi/kWh",
    "14%.8 kWh/100 km, less than the 16%.3" } },
  ["trips_svg.lua"] = { arguments = "%s", says = { "^The picture is in " },
    writes = "^<%?xml.*</svg>\n$" },
  ["wait_until_charged.lua"] = { arguments = "0.05", before = CHARGING,
    says = { "^58 %%, CHARGING\nfull: 100 %%, FINISHED_FULLY_CHARGED, CONNECTED\n$" },
    meanwhile = function(sim) sim:change(helper.vin, { status = FULL }) end },
}

-- Settings of the environment that must have no effect.
local CLEARED = { "LUA_INIT", "BMWI_USERNAME", "BMWI_PASSWORD", "BMWI_API_KEY", "BMWI_API_SECRET",
  "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY" }
for _, version in ipairs { "_5_2", "_5_3", "_5_4" } do
  CLEARED[#CLEARED + 1] = "LUA_INIT" .. version
  CLEARED[#CLEARED + 1] = "LUA_PATH" .. version
  CLEARED[#CLEARED + 1] = "LUA_CPATH" .. version
end

local function start(sim, name, arguments)
  local words = { "env" }
  for _, variable in ipairs(CLEARED) do words[#words + 1] = "-u " .. variable end
  words[#words + 1] = "LUA_PATH=" .. quote(package.path) .. " LUA_CPATH=" .. quote(package.cpath)
  words[#words + 1] = "BMWI_BASE_URL=" .. sim.url .. " BMWI_CA_FILE=" .. quote(sim.ca)
  words[#words + 1] = "timeout 60 " .. interpreter .. " examples/" .. name .. " " .. arguments
  return assert(io.popen(table.concat(words, " ") .. " 2>&1; echo exit code $?"))
end

local function list()
  local names, pipe = {}, assert(io.popen("ls examples"))
  for name in pipe:lines() do
    if name:find("%.lua$") then names[#names + 1] = name end
  end
  pipe:close()
  return names
end

describe("examples/", function()
  local sim, path

  before_each(function() path = os.tmpname() end)
  after_each(function()
    if sim then sim:stop() end
    sim = nil
    os.remove(path)
    os.remove(path .. ".lock")
  end)

  local function run(name, example, patterns, expected)
    local pipe = start(sim, name, (example.arguments or ""):format(quote(path)))
    local said = pipe:read("*l") .. "\n"
    if example.meanwhile then example.meanwhile(sim) end
    said = said .. pipe:read("*a")
    pipe:close()
    local output, code = said:match("^(.*)exit code (%d+)\n$")
    assert.equal(expected or "0", code, said)
    for _, pattern in ipairs(patterns) do assert.matches(pattern, output) end
  end

  for name, example in pairs(EXAMPLES) do
    it(name .. " runs and prints what it is for", function()
      os.remove(path)
      sim = helper.start { tls = true, args = { "--speed", "100" },
        vehicles = example.vehicles and read(example.vehicles) }
      if example.before then sim:change(helper.vin, { status = example.before }) end
      run(name, example, example.says)
      if example.says_again then run(name, example, example.says_again) end
      if example.writes then assert.matches(example.writes, read(path)) end
    end)
  end

  for state, plug in pairs { FINISHED_NOT_FULL = "CONNECTED", ERROR = "CONNECTED",
    NOT_CHARGING = "CONNECTED", INVALID = "DISCONNECTED" } do
    it("wait_until_charged.lua ends if charging stops early: " .. state, function()
      sim = helper.start { tls = true }
      sim:change(helper.vin, { status = CHARGING })
      run("wait_until_charged.lua", { arguments = "0.05", meanwhile = function()
        sim:change(helper.vin, { status = { chargingStatus = state, connectionStatus = plug,
          chargingLevelHv = 61 } })
      end }, { ("^58 %%%%, CHARGING\nended, but not full: 61 %%%%, %s, %s\n$")
        :format(state, plug) }, "1")
    end)
  end

  it("contains no example that is not run here", function()
    local run_here = {}
    for name in pairs(EXAMPLES) do run_here[#run_here + 1] = name end
    table.sort(run_here)
    assert.same(run_here, list())
  end)

  it("says at the top of each file how to run it", function()
    for _, name in ipairs(list()) do
      local head = read("examples/" .. name):match("^(.-)\n[^%-]")
      assert.truthy(head:find("lua5.4 examples/" .. name, 1, true), name)
    end
  end)
end)
