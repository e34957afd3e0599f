-- The command line where something fails on the way: a log-in that cannot be saved, Ctrl-C at an
-- awkward moment, a log-in that fails during a command. What it says then must be true.
local helper = require "spec.helper"
local cli = require "spec.cli_helper"
local json = helper.json

local CLIENT = "6b1f5a52-9d2e-4c0f-8a53-1f0c2d3e4b5a"

describe("bmwi where something fails:", function()
  local sim, home

  setup(function() sim = helper.start({ args = { "--speed", "100" } }) end)
  teardown(function() sim:stop() end)
  before_each(function()
    home = cli.begin(sim)
    sim:control("POST", "/cardata/login", { interval = 1, allow_after = 0 })
    sim:clear()
  end)
  after_each(cli.finish)

  local SERVICES = {
    classic = function() return {} end,
    cardata = function()
      return { BMWI_SERVICE = "cardata", BMWI_CLIENT_ID = CLIENT, BMWI_VIN = "WBYCARDATA0000001",
        BMWI_LOGIN_URL = sim.url .. "/gcdm/oauth" }
    end,
  }
  local function settings(service, more)
    local all = SERVICES[service]()
    for name, value in pairs(more or {}) do all[name] = value end
    return all
  end

  for service in pairs(SERVICES) do
    it("a log-in that cannot be saved has failed: " .. service, function()
      cli.write(home .. "/occupied", "a file, so no folder")
      local lost = settings(service, { BMWI_TOKEN_FILE = home .. "/occupied/token.json" })
      local result = cli.run("login", lost)
      assert.equal(1, result.code, result.out .. result.err)
      helper.has(result.err, "the log-in could not be saved: ")
      helper.has(result.err, home .. "/occupied")
      assert.is_nil((result.out .. result.err):find("Kept in", 1, true))
      assert.equal("", result.out)
      local _, times = result.err:lower():gsub("could not be saved", "")
      assert.equal(1, times, result.err)
      result = cli.run("login --json", lost)
      assert.equal(1, result.code)
      assert.equal("", result.out)
      local told = json.decode(result.err:match("[^\n]*\n$")).error
      assert.equal("file", told.code)
      helper.has(told.message, "the log-in could not be saved: ")
    end)
  end

  it("a log-in that fails during a command has sent nothing to the car", function()
    local lock = { BMWI_VIN = "WBY1Z21010V300001", BMWI_RETRIES = "0" }
    for _, case in ipairs { { status = 503 }, { status = 500 } } do
      case.path, case.times = "oauth/token", 0
      sim:reset()
      sim:fault(case)
      for _, arguments in ipairs { "lock", "poi 48.1,11.5" } do
        local result = cli.run(arguments .. " --json", lock)
        assert.equal(1, result.code, result.err)
        local told = json.decode(result.err:match("[^\n]*\n$")).error
        assert.equal("server", told.code)
        helper.has(told.message, "log-in failed: HTTP " .. case.status)
        helper.has(told.message, "nothing was sent to the car")
        assert.is_nil((told.hint or ""):find("may have", 1, true), told.hint)
      end
    end
    assert.equal(0, sim:count("POST", "executeService"))
  end)
end)
