-- bmwi.cli: the command line as a process against the simulator: what it prints, sends and saves,
-- and how it exits.
local helper = require "spec.helper"
local bmwi = require "bmwi"
local json = helper.json
local cli = require "spec.cli_helper"
local run, ok, command = cli.run, cli.ok, cli.command
local read, write, shell, configure = cli.read, cli.write, cli.shell, cli.configure
local state, assert_no_secret = cli.state, cli.assert_no_secret

describe("bmwi", function()
  local sim, home

  setup(function() sim = helper.start({ args = { "--speed", "100" } }) end)
  teardown(function() sim:stop() end)

  before_each(function() home = cli.begin(sim) end)
  after_each(cli.finish)

  describe("help", function()
    it("starts with examples and names every command", function()
      local help = ok("help").out
      assert.is_truthy(help:find("Examples:", 1, true) < help:find("Usage:", 1, true))
      for _, name in ipairs { "vehicles", "status", "trips", "charging-profile", "destinations",
        "range-map", "soc", "image", "lock", "unlock", "flash", "horn", "climate", "charge", "find",
        "poi", "wait", "login", "logout", "doctor", "demo", "get", "help" } do
        assert.is_truthy(help:find("\n  " .. name .. " ", 1, true), name)
      end
      assert.equal(help, ok("--help").out)
      for line in help:gmatch("[^\n]+") do assert.is_true(#line <= 100, line) end
    end)

    it("exists for every command, with examples", function()
      for name in pairs(require("bmwi.cli.commands")) do
        local help = name == "help" and ok("help help").out or ok(name .. " --help").out
        assert.is_truthy(help:find("\nExamples:\n  bmwi " .. name, 1, true), name)
      end
      assert.equal(ok("lock --help").out, ok("help lock").out)
      assert.is_truthy(ok("flash --help").out:find("--count N", 1, true))
    end)

    it("needs neither a server nor a log-in", function()
      assert.equal(0, run("status --help", { BMWI_BASE_URL = false }).code)
      for _, arguments in ipairs { "--version", "-V", "version" } do
        assert.equal("bmwi " .. bmwi._VERSION, ok(arguments).out:match("^[^\n]*"))
      end
      assert.equal(bmwi._VERSION, json.decode(ok("--version --json").out).version)
      assert.equal(ok("help lock").out, json.decode(ok("help lock --json").out).help)
      assert.is_truthy(ok("help").out:find("--version", 1, true))
      assert.is_nil(ok("help flash").out:find("--yes", 1, true)) -- it never asks
      assert.equal(0, #sim:log())
    end)
  end)

  describe("arguments", function()
    local WRONG = {
      { "", "Examples:" },
      { "lokc", "Did you mean: bmwi lock?" },
      { "stat", "Did you mean: bmwi status?" },
      { "navigation", "Did you mean: bmwi soc?" },
      { "xyzzyplugh", "bmwi help" },
      { "help lokc", "Did you mean: bmwi lock?" },
      { "status --jsno", "Did you mean --json?" },
      { "status -x", "unknown option -x" },
      { "status --count 3", "cannot be used with" },
      { "status now", "too many arguments" },
      { "status --units stone", "metric, imperial" },
      { "status --units imperial --json", "do not go together" },
      { "lock --timeout 5", "--wait-timeout" },
      { "status --vin", "needs a value" },
      { "status --json=yes", "takes no value" },
      { "status --vin 123", "17 characters" },
      { "status --vin ../../../../../x", "17 characters" },
      { "lock --wait-timeout soon", "a number above 0" },
      { "lock --wait-timeout -1", "a number above 0" },
      { "lock --wait --no-wait", "do not go together" },
      { "flash --count 1.5", "a whole number" },
      { "flash --count 101", "--count must be a whole number from 1 to 100\n" },
      { "trips first", "last" },
      { "range-map --format gif", "geojson" },
      { "range-map --format svg --json", "do not go together" },
      { "charging-profile write", "set FILE" },
      { "charging-profile set", "FILE" },
      { "charging-profile get x", "--output FILE" },
      { "charging-profile set /nowhere/at/all", "cannot read" },
      { "charging-profile set /", "cannot read /: Is a directory" },
      { "wait", "needs an argument" },
      { "wait tea", "lock" },
      { "get", "needs an argument" },
      { "get webapi", "begins with /" },
      { "poi", "needs a latitude and a longitude\n  Give LAT,LON" },
      { "poi 48.1", "LAT,LON" },
      { "poi 91,0", "from -90 to 90" },
      { "poi 0,181", "from -180 to 180" },
      { "poi nan,0", "from -90 to 90" },
      { "poi 1,2 --lat 3", "not both" },
      { "poi 1,2 --name Caf\233", "--name is not UTF-8" },
      { "unlock", "--yes" },
    }
    for _, case in ipairs(WRONG) do
      it("are refused with a hint: " .. case[1], function()
        local result = run(case[1])
        assert.equal(2, result.code, result.err)
        assert.equal("", result.out)
        assert.is_truthy(result.err:find(case[2], 1, true), result.err)
        if case[1] ~= "" and not case[1]:find("--json", 1, true) then
          cli.assert_two_lines(result.err)
        end
        assert.equal(0, sim:count("POST", "/user/"))
      end)
    end

    it("hold no secrets, and one that is given is not echoed", function()
      for _, option in ipairs { "--password=hunter2", "--api-secret=hunter2", "--token=hunter2",
        "--security-answer=hunter2", "--pass=hunter2" } do
        local result = run({ "status", option })
        assert.equal(2, result.code)
        assert.is_truthy(result.err:find("cannot be given as arguments", 1, true), result.err)
        assert.is_nil(result.err:find("hunter2", 1, true))
      end
    end)

    it("are accepted in any order and form", function()
      assert.equal(ok("status --json").out, ok("--json status").out)
      assert.equal(ok("status --units imperial").out, ok("status --units=imperial").out)
      ok({ "poi", "-33.8568,151.2153", "--name", "Opera House" })
      ok({ "poi", "--lat", "-33.8", "--lon=-70.6" })
      ok({ "poi", "--name", "--x", "--", "1,2" })
    end)

    it("that are invalid are reported as JSON with --json", function()
      local result = run("status --json --vni X")
      local told = json.decode(result.err).error
      assert.equal(2, told.exit)
      assert.equal("usage", told.code)
      assert.equal("Did you mean --vin?", told.hint)
      assert.equal("", result.out)
    end)
  end)

  describe("reading", function()
    it("shows the cars", function()
      local out = ok("vehicles").out
      assert.is_truthy(out:find("WAB1C23456V123456  I3 +REX  AB64 1BC  2014", 1, true))
      assert.is_truthy(out:find("Not supported  horn", 1, true))
      assert.is_truthy(out:find("Not reported   charge", 1, true)) -- chargeNow says nothing of it
      local list = json.decode(ok("vehicles --json").out)
      assert.equal(helper.vin, list[1].vin)
      assert.is_truthy(ok("vehicles --json").out:find('"yearOfConstruction":2014}', 1, true))
    end)

    it("shows the status, in km and in miles", function()
      local out = ok("status").out
      for _, line in ipairs { "Mileage         1234 km", "Battery         58 %",
        "Electric range  73 km", "Doors           all closed", "Charging        not plugged in",
        "Reported        2015-10-30 17:45 (" } do
        assert.is_truthy(out:find(line, 1, true), line)
      end
      assert.is_nil(out:find("\27", 1, true)) -- no colour off a terminal
      out = ok("status --units imperial").out
      assert.is_truthy(out:find("Mileage         767 mi", 1, true))
      assert.is_truthy(out:find("1.96 gal (UK)", 1, true))
      assert.is_truthy(ok("status", { BMWI_UNITS = "us" }).out:find("gal (US)", 1, true))
    end)

    it("prints one JSON document, whatever units somebody prefers", function()
      local text = ok("status --json").out
      assert.is_truthy(text:find('"mileage":1234,', 1, true))
      assert.is_truthy(text:find('"remainingFuel":8.9,', 1, true))
      assert.same({ lat = 51.123456, lon = -1.2345678, heading = 211, status = "OK" },
        json.decode(text).position)
      assert.equal(1, select(2, text:gsub("\n", "")))
      configure("units = us\n")
      for _, arguments in ipairs { "status --json", "trips --json", "trips last --json",
        "trips all --json", "soc --json", "range-map --json", "vehicles --json" } do
        local plain = ok(arguments, { BMWI_UNITS = "metric" }).out
        assert.equal(plain, ok(arguments, { BMWI_UNITS = "imperial" }).out)
        assert.equal(plain, ok(arguments).out)
      end
    end)

    it("says which values are not reported, and never shows 0 for them (trap 11)", function()
      sim:change(helper.vin, { status = { mileage = json.null, chargingLevelHv = json.null,
        remainingRangeElectric = json.null, doorLockState = json.null, updateTime = json.null } })
      local out = ok("status").out
      for _, label in ipairs { "Mileage         ", "Battery         ", "Electric range  ",
        "Locks           ", "Reported        " } do
        assert.is_truthy(out:find(label .. "not reported", 1, true), label)
      end
    end)

    it("lets no response control the terminal", function()
      sim:change(helper.vin, { status = { updateReason = "EVIL\27[31m\7\r\nNEWS" } })
      local out = ok("status").out
      assert.is_nil(out:find("[\27\7\r]"))
      assert.is_truthy(out:find("evil?[31m???news", 1, true))
      local status = json.decode(ok("status --json").out)
      assert.equal("EVIL\27[31m\7\r\nNEWS", status.updateReason)
    end)

    it("shows open doors and what is charging", function()
      sim:change(helper.vin, { status = { doorDriverFront = "OPEN", trunk = "OPEN_TILT",
        windowDriverRear = "INTERMEDIATE", doorLockState = "UNLOCKED", chargingStatus = "CHARGING",
        connectionStatus = "CONNECTED", chargingTimeRemaining = 90 } })
      local out = ok("status").out
      assert.is_truthy(out:find("driver front open, trunk open tilt", 1, true))
      assert.is_truthy(out:find("driver rear intermediate", 1, true))
      assert.is_truthy(out:find("charging, 1 h 30 min to go, plugged in", 1, true))
    end)

    it("shows trips and the comparison with all drivers", function()
      local out = ok("trips").out
      assert.is_truthy(out:find("16.6 kWh/100 km", 1, true))
      assert.is_truthy(out:find("2015-12-01 20:44", 1, true))
      assert.is_truthy(out:find("%[%-+%*|%-+%]"), out) -- a little better than the average
      assert.is_truthy(ok("trips last --units imperial").out:find("3.7 mi/kWh", 1, true))
      local both = json.decode(ok("trips --json").out)
      assert.equal(141, both.lastTrip.totalDistance)
      assert.equal(35820, both.allTrips.batterySizeMax)
      local all = json.decode(ok("trips all --json").out)
      assert.equal(14.76, all.avgElectricConsumption.userAverage)
    end)

    it("shows the charging schedule and keeps its empty lists", function()
      assert.is_truthy(ok("charging-profile").out:find("Departure 1           07:30, on, Mon", 1,
        true))
      local text = ok("charging-profile get --json").out
      assert.is_truthy(text:find('"weekdays":[]', 1, true))
      assert.is_nil(text:find("{}", 1, true))
    end)

    it("shows destinations, even if there are none", function()
      assert.is_truthy(ok("destinations").out:find("PITFIELD STREET", 1, true))
      assert.equal(51.53053283691406, json.decode(ok("destinations --json").out)[1].lat)
      sim:change(helper.vin, { destinations = json.decode("[]") })
      sim:fault({ path = "/destinations", raw = '{"destinations":[]}', times = 0 })
      assert.equal("[]\n", ok("destinations --json").out)
      assert.is_truthy(ok("destinations").out:find("None.", 1, true))
    end)

    it("shows the range map as a table and as pictures", function()
      assert.is_truthy(ok("range-map").out:find("\neco pro plus  %d+ km"))
      assert.equal(2, #json.decode(ok("range-map --json").out).rangemaps)
      local geojson = json.decode(ok("range-map --format geojson").out)
      assert.equal("FeatureCollection", geojson.type)
      assert.is_truthy(ok("range-map --format kml").out:find("<kml", 1, true))
      ok({ "range-map", "--format", "svg", "--output", home .. "/range.svg" })
      assert.is_truthy(read(home .. "/range.svg"):find("<svg.*</svg>\n$"))
    end)

    it("shows the battery", function()
      local out = ok("soc").out
      assert.is_truthy(out:find("4.02 kWh, 71.8 %", 1, true))
      assert.is_truthy(out:find("5.6 kWh", 1, true))
      assert.equal(5.6, json.decode(ok("soc --json").out).socMax)
    end)

    it("saves a picture of the car", function()
      ok({ "image", "--view", "SIDE", "--width", "200", "--output", home .. "/car.png" })
      local png = read(home .. "/car.png")
      assert.equal("\137PNG", png:sub(1, 4))
      local told = json.decode(ok("image --view SIDE --width 200 --json").out)
      assert.equal("image/png", told.type)
      assert.equal(png, bmwi.base64.decode(told.base64))
    end)

    it("gets any path", function()
      local answer = json.decode(ok({ "get",
        "/webapi/v1/user/vehicles/{vin}/status?deviceTime=2020-01-01T00%3A00%3A00&x=a+b" }).out)
      assert.equal(1234, answer.vehicleStatus.mileage)
      local log = sim:log()
      local query = helper.query(log[#log].query)
      assert.equal("2020-01-01T00:00:00", query.deviceTime)
      assert.equal("a b", query.x)
    end)

    it("gets a path with repeated query names", function()
      ok({ "get", "/webapi/v1/user/vehicles/?a=1&b=x&a=2&a=%26" })
      local log = sim:log()
      assert.equal("a=1&a=2&a=%26&b=x", log[#log].query)
    end)

    it("shows the trips that could be read if others failed, and says so", function()
      ok("login")
      sim:fault({ path = "/allTrips", status = 404, times = 0 })
      local result = run("trips")
      assert.equal(1, result.code)
      assert.is_truthy(result.out:find("141 km", 1, true), result.out)
      assert.is_truthy(result.err:find("all_trips failed", 1, true), result.err)
      result = run({ "trips", "--json", "-o", home .. "/trips" })
      assert.equal(1, result.code)
      assert.equal(141, json.decode(read(home .. "/trips")).lastTrip.totalDistance)
      assert.is_nil(json.decode(read(home .. "/trips")).allTrips)
      assert.equal("not_found", json.decode(result.err).error.code)
      sim:fault({ path = "/lastTrip", status = 429, times = 0 })
      result = run("trips", { BMWI_RETRIES = "0" })
      assert.equal(5, result.code)
      assert.equal("", result.out)
      assert.is_truthy(result.err:find("last_trip failed", 1, true), result.err)
      sim:no_faults()
      sim:fault({ path = "/lastTrip", status = 404, times = 0 })
      result = run("trips")
      assert.equal(1, result.code)
      assert.is_truthy(result.out:find("All trips", 1, true), result.out)
    end)

    it("applies the request timeout from the setting", function()
      ok("login")
      sim:fault({ path = "/status", latency = 30, times = 0 })
      local result = run("status --request-timeout 0.2", { BMWI_RETRIES = "0" })
      assert.equal(1, result.code)
      assert.is_truthy(result.err:find("--request-timeout", 1, true), result.err)
      assert.is_nil(result.err:find("`timeout`", 1, true), result.err)
    end)

    it("writes to a file that --output names", function()
      local result = ok({ "status", "--json", "-o", home .. "/status.json" })
      assert.equal("", result.out)
      assert.equal(1234, json.decode(read(home .. "/status.json")).mileage)
      result = run({ "status", "-o", home .. "/no/such/folder" })
      assert.equal(1, result.code)
    end)

    it("reports that the result could not be written", function()
      for _, words in ipairs({ { "status" }, { "--version" }, { "help" } }) do
        local code = shell(command(words) .. " >/dev/full 2>/dev/null; echo $?")
        assert.equal("1", code)
      end
    end)

    it("works with closed standard streams, and fails if that matters", function()
      local before = sim:count("POST", "/executeService")
      assert.equal("3", shell("(" .. command({ "flash", "--no-wait" })
        .. " <&- >&- 2>&-); echo $?"))
      assert.equal(before + 1, sim:count("POST", "/executeService"))
      assert.equal("1", shell("(" .. command({ "status" }) .. " >&- 2>&-); echo $?"))
      assert.equal("0", shell("(" .. command({ "status", "-o", home .. "/status" })
        .. " <&- >&- 2>&-); echo $?"))
      assert.is_truthy(read(home .. "/status"):find("1234 km", 1, true))
    end)
  end)

  describe("which car", function()
    local two, vins

    setup(function()
      local one = json.decode(helper.curl(sim.url .. "/_sim/car/" .. helper.vin).body)
      two = one and helper.start({ vehicles = [[{"vehicles":[
        {"vin":"WAB1C23456V123456","model":"I3 +REX","licensePlate":"AB64 1BC","bodytype":"I01"},
        {"vin":"WBY1Z21000V000002","model":"I3","bodytype":"I01"}]}]] })
      vins = { helper.vin, "WBY1Z21000V000002" }
    end)
    teardown(function() if two then two:stop() end end)

    it("must be specified if there are several", function()
      local here = { BMWI_BASE_URL = two.url }
      local result = run("status", here)
      assert.equal(2, result.code)
      for _, vin in ipairs(vins) do assert.is_truthy(result.err:find(vin, 1, true)) end
      assert.is_truthy(result.err:find("--vin", 1, true))
      local function asked(arguments, environment)
        environment.BMWI_BASE_URL = two.url
        return json.decode(ok(arguments, environment).out).vin
      end
      assert.equal(vins[2], asked("status --json --vin wby1z21000v000002", {}))
      assert.equal(vins[2], asked("status --json", { BMWI_VIN = vins[2] }))
      assert.equal(vins[1], asked("status --json --vin " .. vins[1], { BMWI_VIN = vins[2] }))
    end)
  end)

  describe("the log-in", function()
    it("is kept between runs, for its owner only", function()
      ok("status")
      assert.equal(1, sim:count("POST", "/oauth/token"))
      ok("status")
      ok("vehicles")
      assert.equal(1, sim:count("POST", "/oauth/token"))
      assert.equal("600", shell("stat -c %a " .. state() .. "token.json"))
      assert.equal(4, run("status", { BMWI_USERNAME = "other@example.com" }).code)
      assert.equal(2, sim:count("POST", "/oauth/token"))
    end)

    it("needs no password while the token is good, and renews it", function()
      ok("status")
      local bare = { BMWI_USERNAME = false, BMWI_PASSWORD = false, BMWI_API_KEY = false,
        BMWI_API_SECRET = false }
      ok("status", bare)
      sim:token({ expire = true })
      local before = read(state() .. "token.json")
      ok("status", { BMWI_PASSWORD = false })
      assert.equal(2, sim:count("POST", "/oauth/token"))
      assert.are_not.equal(before, read(state() .. "token.json"))
      sim:token({ expire = true })
      assert.equal(4, run("status", bare).code)
    end)

    it("needs a path to be saved at", function()
      local result = run("status", { HOME = false, XDG_STATE_HOME = false,
        XDG_CONFIG_HOME = false })
      assert.equal(2, result.code, result.err)
      assert.is_truthy(result.err:find("BMWI_TOKEN_FILE", 1, true), result.err)
      ok("status", { HOME = false, XDG_STATE_HOME = false, XDG_CONFIG_HOME = false,
        BMWI_TOKEN_FILE = home .. "/kept" })
      assert.is_truthy(read(home .. "/kept"))
    end)

    it("reports the missing settings if there is no terminal", function()
      local result = run("status", { BMWI_PASSWORD = false, BMWI_API_KEY = false })
      assert.equal(4, result.code)
      assert.is_truthy(result.err:find("password, api_key", 1, true), result.err)
      assert.is_truthy(result.err:find("BMWI_PASSWORD", 1, true), result.err)
      assert.equal(0, #sim:log())
    end)

    it("fails with 4 when it is refused, without showing a secret", function()
      local result = run("status --verbose", { BMWI_PASSWORD = "wr0ng-passw0rd" })
      assert.equal(4, result.code)
      assert.is_nil(result.err:find("wr0ng", 1, true))
      assert_no_secret(result.err)
    end)

    it("can be created and deleted", function()
      local out = ok("login").out
      assert.is_truthy(out:find("vehicle_data remote_services", 1, true))
      assert_no_secret(out)
      assert_no_secret(ok("login --json").out)
      assert.equal(2, sim:count("POST", "/oauth/token"))
      ok("logout")
      assert.is_nil(read(state() .. "token.json"))
      ok("logout")
    end)

    it("is not read from a file that others can read", function()
      ok("status")
      os.execute("chmod 644 " .. state() .. "token.json")
      local result = run("status")
      assert.equal(2, result.code)
      assert.is_truthy(result.err:find("\n  Run: chmod 600 " .. state() .. "token.json", 1, true))
      cli.assert_two_lines(result.err)
    end)

    it("is made once by ten concurrent runs", function()
      local one = command({ "status", "-q" }) .. " >/dev/null"
      shell(("for i in 1 2 3 4 5 6 7 8 9 10; do %s & done; wait"):format(one))
      assert.equal(1, sim:count("POST", "/oauth/token"))
      assert.equal(10, sim:count("GET", "/status"))
    end)

    it("is not retried once refused, until something changes", function()
      configure("password = wrong\n")
      local bare = { BMWI_PASSWORD = false }
      local refused = run("status", bare)
      assert.equal(4, refused.code)
      assert.is_truthy(refused.err:find("Wrong user name or password", 1, true), refused.err)
      local tried = sim:count("POST", "/oauth/token")
      for _, again in ipairs { "status", "lock", "vehicles --json", "doctor" } do
        local result = run(again, bare)
        assert.equal(4, result.code, result.err)
        assert.is_truthy((result.out .. result.err):find("bmwi login", 1, true), result.err)
        assert_no_secret(result.out .. result.err)
      end
      assert.equal(tried, sim:count("POST", "/oauth/token"))
      -- The record of the refusal contains no secret and is private, in the token file.
      assert.is_nil(read(state() .. "token.json"):find("password", 1, true))
      assert.equal("600", shell("stat -c %a " .. state() .. "token.json"))
      assert.is_nil(read(state() .. "token.json.refused"))
      -- An explicit log-in is tried, and refused again.
      assert.equal(4, run("login", bare).code)
      assert.equal(tried + 1, sim:count("POST", "/oauth/token"))
      assert.equal(4, run("status", bare).code)
      assert.equal(tried + 1, sim:count("POST", "/oauth/token"))
      -- Another user and the corrected file are tried.
      assert.equal(4, run("status", { BMWI_PASSWORD = false,
        BMWI_USERNAME = "me@example.com" }).code)
      assert.equal(tried + 2, sim:count("POST", "/oauth/token"))
      configure("password = p4ssw0rd\n")
      ok("status", bare)
      local auth_errors = json.decode(read(state() .. "token.json")).auth_errors
      assert.equal(1, #auth_errors)
      assert.equal("me@example.com", auth_errors[1].owner.username)
      ok("status", bare)
    end)

    it("is refused once for ten concurrent runs", function()
      local one = command({ "status", "-q" }, { BMWI_PASSWORD = "wrong" }) .. " >/dev/null 2>&1"
      local codes = shell(("for i in 1 2 3 4 5 6 7 8 9 10; do (%s; echo $?) & done; wait")
        :format(one))
      assert.equal(("4\n"):rep(9) .. "4", codes)
      assert.equal(1, sim:count("POST", "/oauth/token"))
    end)

    it("is retried when only the environment has changed", function()
      assert.equal(4, run("status", { BMWI_PASSWORD = "wrong" }).code)
      ok("status")
      assert.equal(2, sim:count("POST", "/oauth/token"))
    end)

    it("is refused for a script with the same store too, and vice versa", function()
      local script = ([[
        local client = require("bmwi").new { base_url = %q, username = "whatever@example.com",
          password = "wrong", api_key = "key", api_secret = "secret",
          store = require("bmwi.store").new(%q) }
        print((select(3, client:vehicles())))
      ]]):format(sim.url, state() .. "token.json")
      assert.equal(4, run("status", { BMWI_PASSWORD = "wrong" }).code)
      assert.equal("auth\n", helper.program(script))
      assert.equal(1, sim:count("POST", "/oauth/token"))
      ok("logout")
      assert.equal("auth\n", helper.program(script))
      assert.equal(4, run("status", { BMWI_PASSWORD = "wrong" }).code)
      assert.equal(2, sim:count("POST", "/oauth/token"))
    end)

    it("is kept through transient failures", function()
      for _, rule in ipairs { { status = 503 }, { status = 403 }, { reset = "after" } } do
        rule.path = "/oauth/token"
        sim:fault(rule)
        assert.equal(1, run("status", { BMWI_RETRIES = "0" }).code)
        assert.is_nil(read(state() .. "token.json"))
      end
      ok("status")
    end)

    it("is not retried before the time that the server gives", function()
      sim:fault({ path = "/oauth/token", status = 429, headers = { ["Retry-After"] = "3600" } })
      assert.equal(5, run("status").code)
      assert.equal(5, run("status").code)
      assert.equal(1, sim:count("POST", "/oauth/token"))
      ok("login")
      ok("status")
    end)

    it("is not retried either if both renewal and password are refused", function()
      ok("status")
      sim:token({ expire = true })
      sim:fault({ path = "/oauth/token", times = 0, recorded = "authentication_failed" })
      assert.equal(4, run("status").code)
      sim:clear()
      assert.equal(4, run("status").code)
      assert.equal(0, sim:count("POST", "/oauth/token"))
    end)

    it("shows what goes over the wire with --verbose, without secrets", function()
      local result = ok("status --verbose")
      assert.is_truthy(result.err:find("call=token", 1, true), result.err)
      assert.is_truthy(result.err:find("call=status", 1, true))
      assert_no_secret(result.err)
    end)
  end)

  describe("a command", function()
    it("is waited for by default", function()
      local result = ok("lock")
      assert.equal("Lock the doors: done by the car (EXECUTED).\n", result.out)
      assert.is_truthy(result.err:find("Lock the doors: INITIATED\n", 1, true))
      assert.equal("LOCKED", sim:car().doors)
      assert.equal(1, sim:car().posts.DOOR_LOCK)
      assert_no_secret(result.out .. result.err)
      assert.equal("token.json token.json.lock token.json.write.lock",
        shell("echo $(ls " .. state() .. ")"))
    end)

    it("prints one JSON document, without the event id", function()
      local result = ok("flash --count 3 --json")
      local done = json.decode(result.out)
      assert.equal("LIGHT_FLASH", done.serviceType)
      assert.equal("EXECUTED", done.status)
      assert.is_nil(done.eventId)
      assert.equal("", result.err)
      local log = sim:log()
      for _, request in ipairs(log) do
        if request.path:find("executeService", 1, true) then
          assert.equal("3", helper.form(request.body).count)
        end
      end
    end)

    it("exists for each service", function()
      for name, service in pairs { climate = "CLIMATE_NOW", charge = "CHARGE_NOW",
        find = "VEHICLE_FINDER", unlock = "DOOR_UNLOCK" } do
        ok(name .. (name == "unlock" and " --yes" or "") .. " --quiet")
        assert.equal(1, sim:car().posts[service], service)
      end
    end)

    it("can be sent without waiting, and followed by another run", function()
      sim:config({ speed = 0.1 })
      local sent = ok("lock --no-wait")
      assert.is_truthy(sent.out:find("bmwi wait lock", 1, true))
      local event = state() .. "token.json.DOOR_LOCK." .. helper.vin
      assert.equal("600", shell("stat -c %a " .. event))
      assert_no_secret(sent.out .. sent.err)
      assert.equal(6, run("wait lock --wait-timeout 0.2").code)
      assert.is_truthy(read(event))
      sim:control("POST", "/clock", { advance = 60 })
      ok("wait lock")
      assert.is_nil(read(event))
      assert.equal(1, sim:car().posts.DOOR_LOCK)
      ok("wait DOOR_LOCK") -- the last one of the car, whoever sent it
      assert.equal(1, run("wait find").code) -- there was none
    end)

    it("is followed even if its eventId is a number", function()
      ok("lock --quiet")
      sim:fault({ path = "serviceExecutionStatus", times = 0, raw = '{"executionStatus":'
        .. '{"serviceType":"DOOR_LOCK","status":"PENDING","eventId":17}}' })
      local result = run("wait lock --wait-timeout 0.2")
      assert.equal(6, result.code, result.err)
    end)

    it("exits with 3 if its result cannot be written: it was sent", function()
      ok("login")
      local sent, done = "it was sent", "Lock the doors: done by the car (EXECUTED)"
      for _, case in ipairs { { sent, "lock", "--no-wait" }, { sent, "poi", "1,2" },
        { done, "lock" }, { done, "lock", "--quiet" }, { done, "lock", "--json" } } do
        local known, before = table.remove(case, 1), sim:count("POST")
        assert.equal("3", shell(command(case) .. " >/dev/full 2>" .. home .. "/err; echo $?"))
        local said = read(home .. "/err")
        assert.is_truthy(said:find(known .. ", but cannot write the result: ", 1, true), said)
        assert.equal(known == sent, said:find("Check", 1, true) ~= nil, said)
        assert.equal(before + 1, sim:count("POST"))
      end
    end)

    it("is said to have changed nothing only if the car knows that", function()
      for _, name in ipairs { "unlock --yes", "lock" } do
        assert.is_nil(ok(name).out:find("nothing has changed", 1, true))
      end
      local said = {}
      for name, extended in pairs {
        same = { oldDoorStatus = "LOCKED", newDoorStatus = "LOCKED" }, none = {},
        differs = { oldDoorStatus = "LOCKED", newDoorStatus = "UNLOCKED" },
        unknown = { oldDoorStatus = "INVALID", newDoorStatus = "INVALID" },
        done = { result = "STATUS_CHANGED" } } do
        extended.result = extended.result or "STATUS_NOT_CHANGED"
        said[name] = require("bmwi.cli.act").is_unchanged({ extendedStatus = extended })
      end
      assert.same({ same = true, none = true, differs = false, unknown = false, done = false },
        said)
    end)

    it("exits with 7 if the car does not execute it", function()
      sim:commands({ service = "*", outcome = "NOT_EXECUTED" })
      local result = run("lock")
      assert.equal(7, result.code)
      assert.is_truthy(result.err:find("NOT_EXECUTED", 1, true), result.err)
      assert.equal("", result.out)
    end)

    it("exits with 7 if the server does not allow it", function()
      local result = run("horn")
      assert.equal(7, result.code)
      assert.is_truthy(result.err:find("A-2013", 1, true))
    end)

    it("exits with 6 if the car never responds", function()
      sim:commands({ service = "*", outcome = "TIMED_OUT" })
      assert.equal(6, run("lock").code)
      sim:commands({ service = "*", outcome = "NEVER" })
      local result = run("lock --wait-timeout 0.3 --json")
      assert.equal(6, result.code)
      local told = json.decode(result.err:match("[^\n]*\n$")).error
      assert.equal("timed_out", told.code)
      assert.is_truthy(told.hint:find("bmwi wait lock", 1, true))
    end)

    for _, case in ipairs { { reset = "after" }, { reset = "during" }, { truncate = 10 },
      { status = 502 }, { raw = "<html>busy</html>" } } do
      local name = next(case)
      it("exits with 3 and is never sent again if its response is lost: " .. name, function()
        ok("login")
        case.path, case.times = "executeService", 0
        sim:fault(case)
        local result = run("lock")
        assert.equal(3, result.code, result.err)
        assert.is_truthy(result.err:find("bmwi status", 1, true))
        assert.equal(1, sim:count("POST", "executeService"))
      end)
    end

    it("exits with 3 if its outcome cannot be read", function()
      ok("login")
      sim:fault({ path = "serviceExecutionStatus", status = 403, times = 0 })
      local result = run("lock")
      assert.equal(3, result.code)
      assert.is_truthy(result.err:find("bmwi wait lock", 1, true), result.err)
    end)

    it("tolerates failures while it is waited for", function()
      sim:commands({ service = "*", no_status = 1, previous_first = 1 })
      sim:fault({ path = "serviceExecutionStatus", recorded = "server_panic", times = 2 })
      ok("lock")
    end)

    it("sends the answer to the security question, for unlock only", function()
      sim:config({ secret_answer = "Rosebud" })
      local result = run("unlock --yes")
      assert.equal(7, result.code)
      assert.is_truthy(result.err:find("BMWI_SECURITY_ANSWER", 1, true), result.err)
      result = run("unlock --yes", { BMWI_SECURITY_ANSWER = "Sledge" })
      assert.equal(7, result.code)
      assert.is_truthy(result.err:find("correct security_answer", 1, true), result.err)
      assert.is_nil(result.err:find("secret =", 1, true), result.err)
      ok("unlock --yes", { BMWI_SECURITY_ANSWER = "Rosebud" })
      result = ok("lock --verbose", { BMWI_SECURITY_ANSWER = "Rosebud" })
      assert.is_nil(result.err:find("Rosebud", 1, true))
      local log = sim:log()
      local answers = 0
      for _, request in ipairs(log) do
        if request.body:find("Rosebud", 1, true) then answers = answers + 1 end
      end
      assert.equal(1, answers)
    end)

    -- Runs a command, and sends it a signal when the server has received a request for this path.
    local function stop(words, signal, path)
      sim:clear()
      local code = shell(([[%s >%s/out 2>%s/err & pid=$!
        for i in $(seq 1200); do curl -sS %s/_sim/log | grep -q '%s' && break; sleep 0.05; done
        kill -%s $pid; wait $pid 2>/dev/null; echo $?]]):format(command(words), home, home, sim.url,
        path, signal))
      return code, read(home .. "/err")
    end

    for signal, ends in pairs { INT = { "130", "interrupted" }, TERM = { "143", "terminated" } } do
      it("says, if " .. ends[2] .. ", that the car may still execute it", function()
        sim:commands({ service = "*", outcome = "NEVER" })
        ok("login")
        for _, words in ipairs { { "lock" }, { "wait", "lock" } } do
          local code, said = stop(words, signal, "serviceExecutionStatus")
          assert.equal(ends[1], code, said)
          helper.has(said, "bmwi: " .. ends[2])
          helper.has(said, "the car may still carry it out")
          helper.has(said, "bmwi wait lock")
        end
      end)

      it("says so, if " .. ends[2] .. ", before the server has answered", function()
        ok("login")
        for path, words in pairs { sendpoi = { "poi", "1,2" }, executeService = { "lock" } } do
          sim:fault({ path = path, latency = 30 })
          local code, said = stop(words, signal, path)
          assert.equal(ends[1], code, said)
          helper.has(said, "bmwi: " .. ends[2])
          helper.has(said, "the car may still carry it out")
        end
      end)
    end
  end)

  describe("the charging schedule", function()
    it("is changed in a file and sent as a whole", function()
      local file = home .. "/profile.json"
      ok({ "charging-profile", "get", "--json", "-o", file })
      local text, times = read(file):gsub('"13:00"', '"09:15"')
      assert.equal(1, times)
      write(file, text)
      local result = ok({ "charging-profile", "set", file })
      assert.is_truthy(result.out:find("weeklyPlanner.timer2.departureTime  13:00   09:15", 1,
        true), result.out)
      for _, request in ipairs(sim:log()) do
        if request.path:find("executeService", 1, true) then
          local data = helper.form(request.body).data
          assert.is_truthy(data:find('"weekdays":[]', 1, true), data)
          assert.is_truthy(data:find('"09:15"', 1, true))
        end
      end
      assert.is_truthy(ok("charging-profile").out:find("09:15", 1, true))
      ok("charging-profile set - --json", nil, text)
      result = ok({ "charging-profile", "set", file })
      assert.is_truthy(result.out:find("already; it is sent again", 1, true), result.out)
      assert.equal(3, sim:count("POST", "executeService"))
    end)

    it("distinguishes empty lists from empty objects under unknown names", function()
      local text = '{"twoTimesTimer":{"new":[[],{}],"timer1":{},"timer2":{}}}'
      sim:fault({ path = "/chargingprofile", raw = text, times = 2 })
      assert.equal(text, (ok("charging-profile --json").out:gsub("%s", "")))
      local got = ok("get /webapi/v1/user/vehicles/{vin}/chargingprofile").out
      assert.equal(text, (got:gsub("%s", "")))
      ok("charging-profile set - --json", nil, (text:gsub("%[%[%]", "[null,[]")))
      for _, request in ipairs(sim:log()) do
        if request.path:find("executeService", 1, true) then
          assert.equal(text, helper.form(request.body).data)
        end
      end
      assert.equal(1, sim:count("POST", "executeService"))
    end)

    it("is checked before it is sent", function()
      for _, text in ipairs { "", "no json", "[]", '{"timer1":{}}', '{"weeklyPlanner":{}}',
        '{"weeklyPlanner":{"timer1":{"departureTime":"7:30"},"timer2":{},"timer3":{}}}' } do
        local result = run("charging-profile set - -q", nil, text)
        assert.equal(2, result.code, text)
      end
      assert.equal(0, sim:count("POST", "executeService"))
    end)
  end)

  describe("a destination", function()
    it("is sent with all its text", function()
      local result = ok({ "poi", "48.1769,11.5569", "--name", 'Caf\195\169 "X" & Co', "--street",
        "Am Olympiapark 1", "--city", "M\195\188nchen", "--country", "Germany", "--postal-code",
        "80809", "--phone", "+49 89 1250160", "--website", "https://www.bmw-welt.com", "--info",
        "a+b" })
      assert.is_truthy(result.out:find("Caf\195\169", 1, true))
      local log = sim:log()
      local poi = json.decode(helper.form(log[#log].body).data).poi
      assert.same({ lat = 48.1769, lon = 11.5569, name = 'Caf\195\169 "X" & Co',
        street = "Am Olympiapark 1", city = "M\195\188nchen", country = "Germany",
        postalCode = "80809", additionalInfo = "a+b", phoneNumbers = { "+49 89 1250160" },
        website = "https://www.bmw-welt.com" }, poi)
      assert.same({ command = "poi", sent = true, poi = { lat = 1, lon = 2 } },
        json.decode(ok("poi 1,2 --json").out))
    end)

    it("exits with 3 if its response is lost", function()
      ok("login")
      sim:fault({ path = "sendpoi", reset = "after" })
      local result = run("poi 1,2")
      assert.equal(3, result.code)
      assert.is_truthy(result.err:find("bmwi destinations", 1, true))
      assert.equal(1, sim:count("POST", "sendpoi"))
    end)
  end)

  describe("an error of the server", function()
    before_each(function() ok("login") end)

    it("that wants the position says how to give it", function()
      sim:fault({ path = "/status", recorded = "dlat_missing", times = 0 })
      assert.is_truthy(run("status").err:find("position = LAT,LON", 1, true))
    end)

    it("for too many requests exits with 5 and says how long to wait", function()
      sim:fault({ path = "/status", recorded = "too_many", times = 0,
        headers = { ["Retry-After"] = "77" } })
      local result = run("status")
      assert.equal(5, result.code)
      assert.is_truthy(result.err:find("77 seconds", 1, true), result.err)
    end)

    it("of a gateway that may have passed the command on exits with 3", function()
      for _, status in ipairs { 408, 499, 504, 524 } do
        sim:fault({ path = "/executeService", status = status })
        local result = run("lock --no-wait")
        assert.equal(3, result.code, result.err)
        assert.is_truthy(result.err:find("bmwi status", 1, true), result.err)
      end
    end)

    it("that the service is gone is stated plainly", function()
      sim:fault({ path = "/status", recorded = "gone", times = 0 })
      local result = run("status")
      assert.equal(1, result.code)
      assert.is_truthy(result.err:find("2021-11-09", 1, true), result.err)
    end)

    it("is an object with --json, and nothing else", function()
      sim:fault({ path = "/status", recorded = "no_status", times = 0 })
      local result = run("status --json")
      assert.equal(1, result.code)
      assert.equal("", result.out)
      local told = json.decode(result.err).error
      assert.equal("not_found", told.code)
      assert.equal(404, told.status)
      assert.equal("A-2012", told.api_code)
      sim:commands({ service = "*", outcome = "NOT_EXECUTED" })
      result = run("lock --json")
      assert.equal(7, json.decode(result.err).error.exit)
      assert.equal("", result.out)
    end)

    it("exits with 1 if no server can be reached", function()
      local result = run("status", { BMWI_BASE_URL = "http://127.0.0.1:1", BMWI_RETRIES = "0" })
      assert.equal(1, result.code)
      assert.is_truthy(result.err:find("bmwi doctor", 1, true), result.err)
    end)
  end)

  describe("on a terminal", function()
    local missing = helper.no_terminal()
    local function on_terminal(...)
      if missing then pending(missing) end
      return cli.on_terminal(...)
    end

    it("prompts for what the log-in lacks, without showing secrets", function()
      local seen = on_terminal({ "status" }, { { "User name", "whatever@example.com\\n" },
        { "Password", "p4ssw0rd\\n" }, { "API key", "key\\n" }, { "API secret", "secret\\n" } },
        { BMWI_USERNAME = false, BMWI_PASSWORD = false, BMWI_API_KEY = false,
          BMWI_API_SECRET = false })
      assert.equal(0, seen.code, seen.screen)
      assert.is_truthy(seen.screen:find("1234 km", 1, true))
      assert.is_nil(seen.screen:find("p4ssw0rd", 1, true))
      ok("status", { BMWI_PASSWORD = false }) -- it was kept
    end)

    it("exits with 130 when the prompt is cancelled", function()
      local seen = on_terminal({ "status" }, { { "Password", "\\003" } }, { BMWI_PASSWORD = false })
      assert.equal(130, seen.code, seen.screen)
      assert.equal(0, #sim:log())
      seen = on_terminal({ "status" }, { { "User name", "\\003" } }, { BMWI_USERNAME = false })
      assert.equal(130, seen.code, seen.screen)
      assert.is_truthy(seen.screen:find("%^C\r?\n"), seen.screen)
    end)

    it("asks before it unlocks", function()
      local seen = on_terminal({ "unlock" }, { { "[y/N]", "n\\n" } })
      assert.equal(1, seen.code, seen.screen)
      assert.is_truthy(seen.screen:find("I3 +REX", 1, true))
      assert.equal(0, sim:count("POST", "executeService"))
      seen = on_terminal({ "unlock" }, { { "[y/N]", "y\\n" } })
      assert.equal(0, seen.code, seen.screen)
      assert.equal(1, sim:car().posts.DOOR_UNLOCK)
    end)

    it("prompts for the answer to the security question if the server requires it", function()
      sim:config({ secret_answer = "Rosebud" })
      local seen = on_terminal({ "unlock", "--yes" },
        { { "security question", "Rosebud\\n" } })
      assert.equal(0, seen.code, seen.screen)
      assert.is_nil(seen.screen:find("Rosebud", 1, true))
    end)

    it("shows progress in one line, which it then removes", function()
      local seen = on_terminal({ "lock" })
      assert.is_truthy(seen.screen:find("\r\27[KLock the doors: INITIATED", 1, true), seen.screen)
      assert.is_truthy(seen.screen:find("\r\27[KLock the doors: done", 1, true), seen.screen)
      seen = on_terminal({ "lock", "--quiet" })
      assert.is_nil(seen.screen:find("INITIATED", 1, true))
      seen = on_terminal({ "lock" }, nil, { TERM = "dumb" })
      assert.is_nil(seen.screen:find("\27", 1, true))
      assert.is_truthy(seen.screen:find("INITIATED", 1, true))
    end)

    it("uses colour unless that is disabled", function()
      local function has_colour(arguments, environment)
        return on_terminal(arguments, nil, environment).screen:find("\27[32m", 1, true) ~= nil
      end
      assert.is_true(has_colour({ "status" }))
      assert.is_true(has_colour({ "status" }, { NO_COLOR = "" }))
      assert.is_false(has_colour({ "status" }, { NO_COLOR = "1" }))
      assert.is_false(has_colour({ "status" }, { TERM = "dumb" }))
      assert.is_false(has_colour({ "status", "--no-color" }))
    end)

    it("writes no picture to the screen", function()
      local seen = on_terminal({ "image" })
      assert.equal(2, seen.code)
      assert.is_truthy(seen.screen:find("--output", 1, true))
    end)
  end)

  describe("over TLS", function()
    local secure
    setup(function() secure = helper.start({ tls = true, args = { "--speed", "100" } }) end)
    teardown(function() secure:stop() end)

    it("works with a private CA, and not without it", function()
      local here = { BMWI_BASE_URL = secure.url }
      local result = run("status", here)
      assert.equal(1, result.code)
      assert.is_truthy(result.err:find("--ca-file", 1, true), result.err)
      assert.is_truthy(run("doctor", here).out:find("FAIL  TLS", 1, true))
      ok({ "status", "--ca-file", secure.ca }, here)
      ok("status", { BMWI_BASE_URL = secure.url, BMWI_CA_FILE = secure.ca })
    end)
  end)

  describe("demo", function()
    it("shows everything, leaves a picture, and no process", function()
      local certs = helper.certs()
      configure("this is no configuration", "644") -- nor has it a say
      local result = ok({ "demo", "--output", home .. "/range.svg" }, {
        BMWI_SIM = os.getenv("BMWI_SIM") or "build/bmwi-sim",
        BMWI_SIM_CERT = certs .. "/server.pem", BMWI_SIM_KEY = certs .. "/server.key",
        BMWI_CA_FILE = certs .. "/ca.pem",
      })
      local out = result.out
      for _, line in ipairs { "https://127.0.0.1:", "Logged in as whatever@example.com",
        "1234 km = 767 mi", "16.6 kWh/100 km = 3.7 mi/kWh", "[", "weeklyPlanner.timer2",
        "PITFIELD STREET", "5.6 kWh", "Lock the doors: INITIATED, PENDING, DELIVERED, EXECUTED",
        "Bridge Street", "/oneid/link?user_code=", "cardata:api:read", "  48260 km  ",
        "\n  Sessions       18\n", "\n  Calls a day  50\n",
        "  Battery: ", "; Charging: charging, " } do
        assert.is_truthy(out:find(line, 1, true), line)
      end
      -- The README shows parts of it; ports, codes and times differ.
      local shown = read("README.md"):match("```\n(1%. Log in.-)```")
      for line in shown:gsub("%f[^\n]%.%.%.\n", ""):gmatch("[^\n]+") do
        local pattern = line:gsub("%p", "%%%0"):gsub(":%d+", ":%%d+")
          :gsub("(code%%=)%w+", "%1%%w+"):gsub("after %d%%%.%d", "after %%d+%%.%%d")
          :gsub("%d+ minutes", "%%d+ minutes")
        assert.is_truthy(out:find(pattern), line)
      end
      assert.equal("", result.err)
      assert_no_secret(out)
      -- The command that it finally suggests works unchanged.
      local again = out:match("your own car: ([^\n]* help)\n$")
      if not helper.interpreter:find("/", 1, true) then -- not one that brings a sanitizer
        assert.is_truthy(shell(again .. " 2>&1"):find("Usage: bmwi COMMAND", 1, true), again)
      end
      assert.is_truthy(read(home .. "/range.svg"):find("</svg>", 1, true))
      assert.is_nil(read(state() .. "token.json")) -- the demo touches no log-in of the user
      assert.are_not.equal(0, helper.curl("--insecure", out:match("https://[%d.:]+%d")).exit)
    end)

    it("reports what it found as JSON", function()
      local steps = json.decode(ok({ "demo", "--json", "-o", home .. "/range.svg" },
        { BMWI_SIM = os.getenv("BMWI_SIM") or "build/bmwi-sim" }).out)
      assert.equal(15, #steps)
      assert.equal(50, steps[14].result.limit)
      -- The car charges while the demo listens, and only then.
      assert.equal(66, steps[13].result.chargingLevelHv)
      local levels = steps[15].result
      assert.equal(2, #levels)
      assert.is_true(levels[1] > 66 and levels[2] > levels[1], json.encode(levels))
      assert.equal(1234, steps[3].result.mileage)
      assert.same({ flash = "EXECUTED", lock = "EXECUTED", doorLockState = "LOCKED" },
        steps[10].result)
    end)

    it("says how to get the simulator", function()
      local result = run("demo", { BMWI_SIM = "/no/such/bmwi-sim" })
      assert.equal(2, result.code)
      assert.is_truthy(result.err:find("/no/such/bmwi-sim", 1, true))
    end)
  end)

  describe("the tables for people", function()
    it("tolerate whatever a server may send", function()
      local render, views = require("bmwi.cli.render"), require("bmwi.cli.views")
      local output, trips = require("bmwi.cli.output"), require("bmwi.cli.trips")
      local answers = { status = json.decode(ok("status --json").out),
        last_trip = json.decode(ok("trips last --json").out),
        all_trips = json.decode(ok("trips all --json").out),
        soc = json.decode(ok("soc --json").out),
        profile = json.decode(ok("charging-profile --json").out),
        range_map = json.decode(ok("range-map --json").out),
        destinations = json.decode(ok("destinations --json").out),
        vehicles = json.decode(ok("vehicles --json").out) }
      answers.status.cbsData = { { cbsType = "OIL", cbsState = "PENDING", cbsDueDate = "2020-01" } }
      answers.status.checkControlMessages = { { ccmDescriptionShort = "Tyre" } }
      answers.range_map.rangemaps[1].polyline = { answers.range_map.rangemaps[1].polyline[1] }
      answers.range_map.rangemaps[2] = nil
      local junk = { "", "x", "-", "\255\0\27", -1, 0, 0.5, 1e15, 1e300, -1e300, true, false, {},
        { 1 }, { {} }, { x = 1 } }
      junk[#junk + 1] = json.null -- stands for an absent member below

      local function show(name, answer)
        for _, system in ipairs { "metric", "imperial" } do
          local rows = (render[name] or trips[name] or views[name])(answer, system)
          for _, row in ipairs(rows) do
            for i = 1, #row do assert.is_string(output.clean(row[i])) end
          end
        end
        if name == "all_trips" then trips.compared(answer, "imperial") end
        if name == "vehicles" then
          for _, car in ipairs(render.tables(answer)) do views.abilities(car) end
        end
      end

      -- Replaces each member by each piece of junk, one at a time.
      local function spoil(name, answer, part)
        local keys = {}
        for key in pairs(part) do keys[#keys + 1] = key end
        for _, key in ipairs(keys) do
          local value = part[key]
          if type(value) == "table" then spoil(name, answer, value) end
          for _, bad in ipairs(junk) do
            if bad == json.null then part[key] = nil else part[key] = bad end
            local shown, problem = pcall(show, name, answer)
            assert(shown, ("%s.%s = %s: %s"):format(name, tostring(key), tostring(bad),
              tostring(problem)))
          end
          part[key] = value
        end
      end
      for name, answer in pairs(answers) do spoil(name, answer, answer) end
    end)
  end)
end)
