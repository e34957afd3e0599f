-- The command line with service = cardata, as a process against the simulator: what it shows, sends
-- and saves, and how it exits.
local helper = require "spec.helper"
local cli = require "spec.cli_helper"
local commands = require "bmwi.cli.commands"
local json = helper.json
local stores = require "bmwi.store"

local CLIENT = "6b1f5a52-9d2e-4c0f-8a53-1f0c2d3e4b5a"
local BEV, HYBRID, PETROL = "WBYCARDATA0000001", "WBACARDATA0000002", "WBACARDATA0000003"
local MILEAGE = "vehicle.vehicle.travelledDistance"
local DAY = 86400
-- Those of RFC 7636, appendix B.
local VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
local CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

local function form(sim, path, fields)
  local words = {}
  for name, value in pairs(fields) do
    words[#words + 1] = "--data-urlencode"
    words[#words + 1] = name .. "=" .. value
  end
  words[#words + 1] = sim.url .. "/gcdm/oauth/" .. path
  return json.decode(helper.curl((unpack or table.unpack)(words)).body) -- luacheck: ignore
end

-- Keeps a log-in without the second that the command line waits before it polls.
local function log_in(sim)
  local code = form(sim, "device/code", { client_id = CLIENT, response_type = "device_code",
    scope = "authenticate_user openid cardata:api:read cardata:streaming:read",
    code_challenge = CHALLENGE, code_challenge_method = "S256" })
  sim:control("POST", "/cardata/login", { allow = true })
  local token = form(sim, "token", { client_id = CLIENT, device_code = code.device_code,
    grant_type = "urn:ietf:params:oauth:grant-type:device_code", code_verifier = VERIFIER })
  token.expires_at = os.time() + token.expires_in
  token.refresh_expires_at = os.time() + 14 * DAY
  os.execute("umask 77; mkdir -p " .. cli.state())
  cli.write(cli.state() .. "token.json", json.encode(token))
  sim:clear()
end

describe("bmwi with CarData", function()
  local sim, home

  setup(function() sim = helper.start() end)
  teardown(function() sim:stop() end)
  before_each(function()
    home = cli.begin(sim)
    sim:control("POST", "/cardata/login", { interval = 1, allow_after = 0 })
    sim:clear()
  end)
  after_each(cli.finish)

  local function settings(more)
    local all = { BMWI_SERVICE = "cardata", BMWI_CLIENT_ID = CLIENT, BMWI_VIN = BEV,
      BMWI_LOGIN_URL = sim.url .. "/gcdm/oauth" }
    for name, value in pairs(more or {}) do all[name] = value end
    return all
  end
  local function run(arguments, more, input) return cli.run(arguments, settings(more), input) end
  local function ok(arguments, more) return cli.ok(arguments, settings(more)) end
  local function document(arguments, more) return json.decode(ok(arguments, more).out) end
  local function failed(exit, part, result)
    assert.equal(exit, result.code, result.err .. result.out)
    helper.has(result.err, part)
    cli.assert_two_lines(result.err)
    return result
  end

  local function kept() return json.decode(cli.read(cli.state() .. "token.json")) end
  local function rewrite(change)
    local account = kept()
    for name, value in pairs(change) do account[name] = value end
    cli.write(cli.state() .. "token.json", json.encode(account))
  end
  local function set_car(vin, change) sim:control("POST", "/cardata/car/" .. vin, change) end
  local function rest_calls() return sim:count(nil, "/customers/") end

  describe("login", function()
    it("shows link and code, waits, and saves the log-in", function()
      local result = ok("login")
      local link = result.err:match("\n    (http%S+)\n")
      local code = link:match("user_code=(%w+)$")
      helper.has(result.err, "\n    " .. code:gsub(".", "%0 "):gsub(" $", "") .. "\n")
      helper.has(result.out, "Logged in to BMW CarData.")
      assert.truthy(kept().refresh_token)
      cli.assert_no_secret(result.out .. result.err)
      assert.equal(0, rest_calls())
    end)

    it("says when it ends if BMW sent no refresh token", function()
      helper.has(ok("login").out, "Stays    as long as it is used")
      sim:control("POST", "/cardata/token", { no_refresh_token = true })
      local said = ok("login").out
      helper.has(said, "Stays    until " .. os.date("%Y-%m-%d %H:%M", kept().expires_at)
        .. ": BMW sent no refresh token, so it cannot be renewed\n")
      assert.is_nil(said:find("14 days", 1, true))
    end)

    it("keeps the day's calls of a file that others can read, but not its log-in", function()
      log_in(sim)
      local account = stores.new(cli.state() .. "token.json")
      for _ = 1, 48 do assert(account:_spend({ limit = 50 })) end
      os.execute("chmod 644 " .. cli.state() .. "token.json")
      local before = kept().access_token
      ok("login")
      assert.are_not.equal(before, kept().access_token)
      assert.equal(48, document("quota --json").used)
    end)

    it("accepts the client id in upper case", function()
      ok("login", { BMWI_CLIENT_ID = CLIENT:upper() })
    end)

    it("gives programs the prompt and the result as JSON", function()
      local result = ok("login --json")
      local prompt = json.decode(result.err).prompt
      assert.truthy(prompt.verification_uri_complete:find(prompt.user_code, 1, true))
      assert.equal(300, prompt.expires_in)
      local told = json.decode(result.out)
      assert.equal(sim.url, told.server)
      assert.truthy(told.refresh_expires_at > os.time() + 13 * DAY)
      assert.is_nil(told.access_token)
    end)

    -- Renews the log-in with a server that takes its time, and gets signals meanwhile. Says the
    -- exit code and how often the server was asked for a token.
    local function signalled(latency, kill)
      log_in(sim)
      local path = cli.state() .. "token.json"
      local account = json.decode(cli.read(path))
      account.expires_at = os.time() - 1
      cli.write(path, json.encode(account))
      sim:fault({ path = "/gcdm/oauth/token", latency = latency })
      local code = helper.shell(([[%s >%s/out 2>&1 & pid=$!
        for i in $(seq 1200); do curl -sS %s/_sim/log | grep -q refresh_token && break
        sleep 0.05; done; %s; wait $pid 2>/dev/null; echo $?]]):format(
        cli.command({ "status" }, settings()), home, sim.url, kill))
      sim:no_faults()
      return code:match("%d+"), sim:count("POST", "/gcdm/oauth/token")
    end

    for signal, exit in pairs({ INT = "130", TERM = "143" }) do
      it("survives SIG" .. signal .. " while it is renewed", function()
        assert.same({ exit, 1 }, { signalled(2, "kill -" .. signal .. " $pid") })
        ok("status")
        assert.equal(1, sim:count("POST", "/gcdm/oauth/token"))
      end)
    end

    it("is given up if the signal comes twice", function()
      local started = require("bmwi")._sys.monotonic()
      assert.equal("143", (signalled(25, "kill -TERM $pid; sleep 0.3; kill -TERM $pid")))
      assert(helper.since(started) < 20)
    end)

    it("exits with 130 even if Ctrl-C arrives while the account file is in use", function()
      for _, call in ipairs({ "try_lock", "read_private", "write_private" }) do
        -- As the interpreter does: an error raised wherever Lua code is running.
        cli.write(home .. "/interrupted", ([[
          local sys = require("bmwi")._sys
          local call = sys.%s
          function sys.%s()
            sys.%s = call
            error("interrupted!")
          end
          os.exit(require("bmwi.cli").main({ "login" }), true)]]):format(call, call, call))
        local said = helper.shell(cli.command({}, settings()):gsub("bin/bmwi",
          home .. "/interrupted") .. " 2>&1; echo $?")
        assert.truthy(said:find("bmwi: interrupted\n130$"), call .. ": " .. said)
      end
    end)

    it("counts down on a terminal, and draws the link if there is a program for it", function()
      local reason = helper.no_terminal()
      if reason then return pending(reason) end
      os.execute("mkdir " .. home .. "/bin")
      cli.write(home .. "/bin/qrencode", '#!/bin/sh\necho "QR($#: $*) of $(cat)"\n', "700")
      sim:control("POST", "/cardata/login", { interval = 1, allow_after = 2 })
      local shown = cli.on_terminal({ "login" }, {},
        settings({ PATH = home .. "/bin:" .. os.getenv("PATH") }))
      assert.equal(0, shown.code, shown.screen)
      assert.truthy(shown.screen:find("Waiting for your approval: 4:5%d left"))
      local link = shown.screen:match("(http%S+user_code=%w+)")
      helper.has(shown.screen, "QR(4: -t ANSIUTF8 -m 2) of " .. link)
    end)

    it("is new even if the saved one looks valid; other saved data stays", function()
      log_in(sim)
      ok("tyres")
      local before = kept()
      ok("login")
      assert.equal(1, sim:count("POST", "/device/code"))
      assert.are_not.equal(before.refresh_token, kept().refresh_token)
      assert.same(before.quota, kept().quota)
    end)

    it("exits with 4 and says what to do if it is refused", function()
      sim:control("POST", "/cardata/login", { answers = { "expired_token" } })
      failed(4, "Log in again", run("login"))
      sim:control("POST", "/cardata/login", { answers = json.null })
      sim:control("POST", "/cardata/token", { no_streaming = true })
      failed(4, 'portal subscribe the client to "CarData Stream", wait', run("login"))
      sim:control("POST", "/cardata/token", { no_streaming = false })
      failed(4, "client_id", run("login", { BMWI_CLIENT_ID = CLIENT:gsub("6", "7") }))
    end)
  end)

  describe("status", function()
    before_each(function() log_in(sim) end)

    it("shows values with their ages; what is older than a day stands out", function()
      set_car(BEV, { telematicData = { [MILEAGE] = { value = "48260", unit = "km",
        age = 3 * DAY + 3600 } } })
      local out = ok("status").out
      helper.has(out, "Status, i4 eDrive40\n")
      assert.truthy(out:find("\nMileage +48260 km +3 days ago: old\n"), out)
      assert.truthy(out:find("\nBattery +66 %% +%d+ minutes ago\n"), out)
      out = ok("status --units imperial").out
      assert.truthy(out:find("\nMileage +29987 mi +3 days ago: old\n"), out)
    end)

    it("neither converts nor names an unknown unit", function()
      local range = "vehicle.drivetrain.electricEngine.kombiRemainingElectricRange"
      set_car(BEV, { telematicData = { [MILEAGE] = { value = "1000", unit = json.null, age = 60 },
        [range] = json.null } })
      assert.truthy(ok("status --units imperial").out:find("\nMileage +1000 %(unit unknown%)"))
    end)

    it("consists of the members and their details as JSON", function()
      local status = document("status --json")
      assert.equal(48260, status.mileage)
      assert.equal(MILEAGE, status.details.mileage.descriptor)
      assert.equal("km", status.details.mileage.unit)
    end)

    it("loads nothing that only others need, once its container is known", function()
      ok("status")
      cli.write(home .. "/loaded.lua", [[
        local load = require
        function require(name)
          io.stderr:write(name, "\n")
          return load(name)
        end]])
      local said = ok("status", { LUA_INIT = "@" .. home .. "/loaded.lua" }).err
      assert.truthy(said:find("bmwi.cli.cardata_status\n", 1, true))
      for _, name in ipairs { "async", "units", "cardata.container_setup",
        "cardata.containers", "cardata.history", "cardata.reads", "cardata.stream",
        "cli.args", "cli.cardata", "cli.cardata_cars", "cli.cardata_views", "cli.command_texts",
        "cli.option_texts",
        "cli.explain", "cli.hint", "cli.imperial", "cli.prompt", "cli.read", "cli.report",
        "cli.screen", "cli.trips", "cli.views" } do
        assert.is_nil(said:find("bmwi." .. name .. "\n", 1, true), name)
      end
    end)

    it("and other commands use as many calls as docs/cardata.md says", function()
      for name, calls in pairs({ status = { 4, 1 }, telematics = { 3, 1 }, doctor = { 5, 2 } }) do
        home = cli.begin(sim)
        log_in(sim)
        for _, expected in ipairs(calls) do
          sim:clear()
          ok(name)
          assert.equal(expected, rest_calls(), name)
        end
      end
    end)

    it("needs no VIN if the account has one car of its own, and no call to find it", function()
      ok("vehicles")
      local account = kept()
      rewrite({ vehicles = { account.vehicles[2], account.vehicles[4] } })
      ok("status", { BMWI_VIN = false })
      sim:clear()
      helper.has(ok("status", { BMWI_VIN = false }).out, "Status, 330e")
      assert.equal(1, rest_calls())
      ok("get /customers/vehicles/{vin}/basicData", { BMWI_VIN = false })
      assert.equal(2, rest_calls())
    end)

    it("names a car of unknown model by its VIN, once", function()
      failed(2, ("this account has several cars: %s, %s, %s\n"):format(BEV, HYBRID, PETROL),
        run("status", { BMWI_VIN = false }))
      ok("status")
      helper.has(ok("doctor").out, ("PRIMARY user of %s (i4 eDrive40), %s,"):format(BEV, HYBRID))
    end)

    it("asks which of several cars to use", function()
      failed(2, HYBRID, run("status", { BMWI_VIN = false }))
    end)

    it("says what to do about a failure, and how to show the saved values", function()
      ok("status")
      for recorded, hint in pairs { ["CU-104"] = "PRIMARY", ["CU-103"] = "subscribe the client",
        ["CU-500"] = "BMW's fault" } do
        sim:fault { path = "/customers", recorded = recorded, times = 0 }
        local result = run("status")
        helper.has(result.err, hint)
        helper.has(result.err, ". To show the saved values: bmwi status --max-age SECONDS\n")
        cli.assert_two_lines(result.err)
        sim:reset()
      end
    end)

    it("shows saved values without a call", function()
      ok("status")
      sim:clear()
      helper.has(ok("status --max-age 3600").out, "48260 km")
      helper.has(ok("telematics --max-age 3600").out, MILEAGE)
      assert.equal(0, #sim:log())
    end)

    it("does not call saved values new while the clock is behind", function()
      ok("status")
      local saved = kept().values
      for _, entry in pairs(saved[BEV]) do entry.time = entry.time and entry.time + 3 * DAY end
      rewrite({ values = saved })
      for _, command in ipairs { "status", "telematics" } do
        local out = ok(command .. " --max-age 3600").out
        helper.has(out, "in the future; the clocks differ")
        assert.is_nil(out:find("just now", 1, true))
      end
      assert.is_nil(document("status --max-age 3600 --json").details.mileage.age)
    end)
  end)

  it("asks for a log-in without sending or counting a call", function()
    local result = failed(4, "bmwi login", run("status"))
    assert.equal(0, document("quota --json").used)
    assert.is_nil(result.err:find("client:login", 1, true))
    assert.equal(0, #sim:log())
  end)

  it("reports a missing or invalid client id", function()
    failed(2, "client_id", run("status", { BMWI_CLIENT_ID = false }))
    failed(2, "client_id = abc (BMWI_CLIENT_ID)", run("status", { BMWI_CLIENT_ID = "abc" }))
    failed(2, "daily_limit = 0 (BMWI_DAILY_LIMIT)", run("status", { BMWI_DAILY_LIMIT = "0" }))
    failed(2, "service = x (BMWI_SERVICE)", run("status", { BMWI_SERVICE = "x" }))
  end)

  it("reads its settings from the configuration file", function()
    cli.configure(("service = cardata\nclient_id = %s\nlogin_url = %s/gcdm/oauth\n"
      .. "daily_limit = 20\n"):format(CLIENT, sim.url))
    assert.equal(20, json.decode(cli.ok("quota --json").out).limit)
  end)

  describe("what CarData lacks", function()
    for name, command in pairs(commands) do
      if command.run and not command.cardata and not command.alone then
        it("is unsupported, and nothing is sent: " .. name, function()
          local arguments = { name, command.least and "lock" }
          local result = failed(1, "not supported by BMW CarData", run(arguments))
          helper.has(result.err, "It has no commands")
          local told = json.decode(run({ name, "--json", command.least and "lock" }).err)
          assert.equal("unsupported", told.error.code)
          assert.equal(0, #sim:log())
        end)
      elseif command.cardata and not command.run then
        it("has a counterpart that the classic service lacks: " .. name, function()
          failed(1, "service = cardata", run({ name }, { BMWI_SERVICE = "classic" }))
          assert.equal(0, #sim:log())
        end)
      end
    end

    it("has options for one service only", function()
      failed(2, "--view", run("image --view SIDE"))
      failed(2, "--region", run("status --region usa"))
      failed(2, "--max-age", run("status --max-age 5", { BMWI_SERVICE = false }))
    end)
  end)

  describe("the other commands", function()
    before_each(function() log_in(sim) end)

    it("list the cars", function()
      local out = ok("vehicles").out
      assert.truthy(out:find("\n" .. BEV .. " +%- +%- +PRIMARY +20"), out)
      assert.equal(4, #document("vehicles --json"))
      ok("status")
      assert.truthy(ok("vehicles").out:find("\n" .. BEV .. " +i4 eDrive40 +BEV +PRIMARY"))
    end)

    it("write the picture unchanged", function()
      ok({ "image", "--output", home .. "/car" })
      assert.equal("\137PNG\r\n\26\n", cli.read(home .. "/car"):sub(1, 8))
      assert.equal("image/jpeg", document("image --json", { BMWI_VIN = HYBRID }).type)
      failed(1, "no picture", run("image", { BMWI_VIN = PETROL }))
    end)

    it("show the charging history as a table, as CSV and as JSON", function()
      local out = ok("charging-history").out
      local sessions = document("charging-history --json")
      assert.truthy(#sessions > 10)
      helper.has(out, ("\nSessions       %d\n"):format(#sessions))
      local csv = ok("charging-history --format csv").out
      assert.equal(#sessions + 1, select(2, csv:gsub("\n", "")))
      assert.truthy(csv:find("^start,end,"))
      assert.truthy(ok("charging-history --format csv --units us").out:find(",mi,", 1, true))
    end)

    it("accept days for the charging history, and refuse invalid ones", function()
      local day = os.date("!%Y-%m-%d", os.time() - 5 * DAY)
      local few = document({ "charging-history", "--json", "--from", day, "--to", day })
      for _, session in ipairs(few) do
        assert.equal(day, os.date("!%Y-%m-%d", session.startTime))
      end
      assert.truthy(#document({ "charging-history", "--json", "--from", day }) >= #few)
      sim:clear()
      for _, wrong in ipairs({ "--from 2026-02-30", "--to yesterday", "--from 2999-01-01",
        "--from 2026-02-02 --to 2026-02-01", "--format kml", "--format csv --json",
        "--format svg --json" }) do
        assert.equal(2, run("charging-history " .. wrong).code, wrong)
      end
      assert.equal(0, #sim:log())
    end)

    it("show the part of a charging history that came before a failure", function()
      sim:control("POST", "/cardata/config", { history_broken_page = 2 })
      local result = failed(1, "HTTP 500", run("charging-history", { BMWI_RETRIES = "0" }))
      helper.has(result.out, "\nSessions       10\n")
    end)

    it("show charging settings and tyres", function()
      helper.has(ok("charging-settings").out, "home (48.1, 11.5)")
      assert.equal("home", document("charging-settings --json")[1].clusterLocationId)
      helper.has(ok("tyres").out, "4000 km, yellow")
      helper.has(ok("tyres --units imperial").out, "2485 mi, yellow")
      assert.truthy(document("tyres --json").mountedTyres)
    end)

    it("show every value", function()
      local out = ok("telematics").out
      assert.truthy(out:find("\n" .. MILEAGE:gsub("%p", "%%%0") .. " +48260 +km +%d+ minutes ago"))
      assert.equal(48260, document("telematics --json")[MILEAGE].value)
    end)

    it("list, make, show and delete containers", function()
      helper.has(ok("containers").out, "None.")
      assert.same("[]\n", ok("containers list --json").out)
      local id = document({ "containers", "create", "mine", MILEAGE, "--json" }).containerId
      helper.has(ok("containers").out, id .. "  mine")
      helper.has(ok("containers show " .. id).out, "\n" .. MILEAGE .. "\n")
      assert.same({ MILEAGE }, document("containers show --json " .. id).technicalDescriptors)
      failed(2, "--yes", run("containers delete " .. id))
      helper.has(ok("containers delete --yes " .. id).out, "Deleted: " .. id)
      helper.has(ok("containers").out, "DELETED")
      for _, wrong in ipairs({ "make", "show", "create x", "delete", "list x", "show a/b" }) do
        assert.equal(2, run("containers " .. wrong).code, wrong)
      end
    end)

    it("show the quota, which costs no call", function()
      local before = document("quota --json")
      sim:clear()
      assert.truthy(ok("quota").out:find(("\nLeft +%d\n"):format(before.left)))
      assert.equal(0, #sim:log())
      ok("tyres")
      assert.equal(before.used + 1, document("quota --json").used)
    end)

    it("exit with 5 when the day's calls are used up, and send nothing then", function()
      ok("status")
      sim:control("POST", "/cardata/spend", { calls = 50 })
      assert.equal(5, run("tyres").code)
      sim:clear()
      local result = failed(5, "The next call is possible on", run("status"))
      helper.has(result.err, "bmwi status --max-age SECONDS")
      local told = json.decode(run("tyres --json").err).error
      assert.equal("quota", told.code)
      assert.truthy(told.retry_after > 0)
      assert.equal(0, #sim:log())
    end)

    it("say how long the log-in is valid, to the nearest day", function()
      for left, said in pairs({ [13.9 * DAY] = "14 days", [13.4 * DAY] = "13 days",
        [0.9 * DAY] = "21 hours" }) do
        rewrite({ refresh_expires_at = math.floor(os.time() + left) })
        helper.has(ok("doctor").out, "good for " .. said .. " more if it is not used")
      end
    end)

    it("warn from three days before the log-in expires", function()
      assert.is_nil(ok("quota").err:find("ends", 1, true))
      rewrite({ refresh_expires_at = os.time() + 3 * DAY + 60 })
      assert.equal("", ok("quota").err)
      rewrite({ refresh_expires_at = os.time() + 3 * DAY - 60 })
      helper.has(ok("quota").err, "The log-in expires on")
      helper.has(ok("doctor").out, "it expires soon, run bmwi login")
      assert.equal("", ok("quota --quiet").err)
    end)

    it("show no secret, even with --verbose", function()
      local result = ok("status --verbose")
      cli.assert_no_secret(result.out .. result.err)
      assert.is_nil((result.out .. result.err):find(kept().gcid, 1, true))
    end)

    it("ask for a new log-in each time once it has expired for good", function()
      sim:control("POST", "/cardata/token", { no_api = true, expire = true })
      for _ = 1, 2 do
        local result = failed(4, "og in again", run("tyres"))
        assert.is_nil(result.err:find("password", 1, true))
      end
      assert.equal(1, sim:count("POST", "/oauth/token"))
    end)

    it("delete the log-in, but not the day's calls", function()
      ok("status")
      local before = document("quota --json")
      assert.truthy(before.used > 0)
      helper.has(ok("logout").out, "The count of the day's calls is kept")
      assert.equal(4, run("status").code)
      assert.same(before, document("quota --json"))
      log_in(sim)
    end)
  end)
end)

-- The steps, in the order in which people get them wrong.
describe("bmwi doctor with CarData", function()
  local sim

  setup(function() sim = helper.start() end)
  teardown(function() sim:stop() end)
  before_each(function()
    cli.begin(sim)
    sim:control("POST", "/cardata/login", { interval = 1, allow_after = 0 })
  end)
  after_each(cli.finish)

  local function run(arguments, more)
    local all = { BMWI_SERVICE = "cardata", BMWI_CLIENT_ID = CLIENT,
      BMWI_LOGIN_URL = sim.url .. "/gcdm/oauth", BMWI_RETRIES = "0" }
    for name, value in pairs(more or {}) do all[name] = value end
    return cli.run(arguments, all)
  end

  -- Runs the doctor: its exit code, and the step that failed.
  local function examined(more)
    local result = run("doctor --json", more)
    cli.assert_no_secret(result.out .. result.err)
    for _, step in ipairs(json.decode(result.out).steps) do
      if not step.ok then return result.code, step end
    end
    return result.code
  end

  local function fails(exit, name, hint, more)
    local code, step = examined(more)
    assert.equal(exit, code)
    assert.equal(name, step and step.name)
    helper.has(step.hint, hint)
  end

  it("reports a missing client id", function()
    fails(2, "client id", "create a CarData client", { BMWI_CLIENT_ID = false })
  end)

  it("reports a missing log-in", function()
    fails(4, "saved log-in", "Run: bmwi login")
    log_in(sim)
    local account = json.decode(cli.read(cli.state() .. "token.json"))
    account.refresh_expires_at = os.time() - 5
    cli.write(cli.state() .. "token.json", json.encode(account))
    fails(4, "saved log-in", "once every 14 days")
  end)

  it("reports a missing subscription", function()
    log_in(sim)
    local account = json.decode(cli.read(cli.state() .. "token.json"))
    account.scope = "authenticate_user openid cardata:streaming:read"
    cli.write(cli.state() .. "token.json", json.encode(account))
    fails(1, "scopes", "subscribe the client to CarData API")
  end)

  it("reports why BMW refuses the log-in", function()
    log_in(sim)
    sim:fault({ path = "/mappings", recorded = "CU-403", times = 0 })
    fails(1, "log-in", "subscribed")
    sim:no_faults()
  end)

  it("reports that the user is PRIMARY for no car", function()
    log_in(sim)
    for _, vin in ipairs({ BEV, HYBRID, PETROL }) do
      sim:control("POST", "/cardata/car/" .. vin, { mappingType = "SECONDARY" })
    end
    fails(1, "PRIMARY", "Only the PRIMARY user gets data")
  end)

  it("says why there is no container", function()
    log_in(sim)
    sim:fault({ path = "/customers/containers", recorded = "CU-124", method = "POST", times = 0 })
    local code, step = examined()
    assert.equal(1, code)
    assert.equal("container", step.name)
    sim:no_faults()
  end)

  describe("says that the quota is used up, not that another step failed", function()
    before_each(function() log_in(sim) end)

    local function of_quota(passed, more)
      local result = run("doctor --json", more)
      local names = {}
      for _, step in ipairs(json.decode(result.out).steps) do
        if not step.ok then
          assert.equal("quota", step.code)
          helper.has(step.hint, "The next one is possible on")
        end
        names[#names + 1] = step.name .. (step.ok and "" or " FAILED")
      end
      assert.equal(5, result.code)
      assert.equal("Lua bmwi libcurl lua-cjson configuration client id saved log-in " .. passed,
        table.concat(names, " "))
    end

    it("if BMW says so", function()
      sim:control("POST", "/cardata/spend", { calls = 50 })
      of_quota("server TLS scopes quota FAILED clock")
    end)

    it("if that is our own count, and nothing is sent", function()
      for _ = 1, 50 do assert(stores.new(cli.state() .. "token.json"):_spend({ limit = 50 })) end
      sim:clear()
      of_quota("scopes quota FAILED")
      assert.equal(0, sim:count(nil, "/customers/"))
    end)

    it("if the doctor itself has sent the last one", function()
      of_quota("server TLS scopes log-in PRIMARY quota FAILED clock", { BMWI_DAILY_LIMIT = "1" })
    end)
  end)

  it("remarks what will not work with a log-in that BMW accepts", function()
    log_in(sim)
    local path = cli.state() .. "token.json"
    local whole = json.decode(cli.read(path))
    local ends = os.date("%Y-%m-%d %H:%M", whole.expires_at)
    local cases = {
      { { "refresh_token", "refresh_expires_at" }, "good until " .. ends,
        "BMW sent no refresh token" },
      { { "refresh_token", "expires_at" }, "good until BMW refuses it", "so the log-in cannot be" },
      { { "gcid" }, "good for 14 days", "no live data (bmwi watch); the rest works" },
      { { "id_token", "refresh_expires_at" }, "saved in ", "no gcid or id_token" },
      { { "refresh_token", "id_token" }, "good until", "run: bmwi login. The log-in has no gcid" },
    }
    for _, case in ipairs(cases) do
      local account = json.decode(cli.read(path))
      for name, value in pairs(whole) do account[name] = value end
      for _, name in ipairs(case[1]) do account[name] = nil end
      cli.write(path, json.encode(account))
      local result = run("doctor")
      assert.equal(0, result.code, result.out)
      helper.has(result.out, case[2])
      helper.has(result.out, case[3])
      helper.has(result.out, "No step failed, but see the remark above.")
      assert.is_nil(result.out:find("All is well", 1, true))
    end
    local told = json.decode(run("doctor --json").out)
    assert.is_true(told.ok)
    local remarks = 0
    for _, step in ipairs(told.steps) do
      if step.remark then
        remarks = remarks + 1
        assert.equal("saved log-in", step.name)
      end
    end
    assert.equal(1, remarks)
  end)

  it("reports that all is well, and counts the values", function()
    log_in(sim)
    local result = run("doctor")
    assert.equal(0, result.code, result.out)
    helper.has(result.out, "All is well.")
    helper.has(result.out, "PRIMARY user of " .. BEV)
    assert.truthy(result.out:find("ok    values +%d+ of the status %(of the others .*%d+ null"))
  end)
end)
