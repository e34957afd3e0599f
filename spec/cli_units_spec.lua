-- The commands that act, with a fake car and output: what they request from the car, what they
-- write, and how they fail.
local act = require "bmwi.cli.act"
local bmwi = require "bmwi"
local cli = require "spec.cli_helper"
local doctor = require "bmwi.cli.doctor"
local fail = require "bmwi.cli.fail"
local helper = require "spec.helper"
local live = require "bmwi.cli.live"
local output = require "bmwi.cli.output"
local read = require "bmwi.cli.read"
local session = require "bmwi.cli.session"
local status = require "bmwi.cli.status"

local folder = helper.shell("mktemp -d")
teardown(function() os.execute("rm -rf " .. helper.quote(folder)) end)

local failure_of = cli.failure_of

-- A run: its car is a table of methods.
local function run_with(car, members)
  local run = { settings = { token_file = folder .. "/token", interval = 0.001 }, car = car,
    vehicle = { model = "I3", licensePlate = "M 1" } }
  for name, value in pairs(members or {}) do run[name] = value end
  return cli.run_with(run)
end

local function obedient(outcome, extended)
  local calls = {}
  local function sent(name)
    return function(_, argument)
      calls[#calls + 1] = { name, argument }
      return { status = "INITIATED", eventId = "E" }
    end
  end
  return {
    vin = function() return "WAB1C23456V123456" end,
    lock_doors = sent("lock_doors"), flash_lights = sent("flash_lights"),
    send_poi = function(_, poi)
      calls[#calls + 1] = { "send_poi", poi }
      return true
    end,
    execution = function()
      calls[#calls + 1] = { "execution" }
      return { status = outcome or "EXECUTED", eventId = "E", extendedStatus = extended }
    end,
  }, calls
end

describe("output.clean", function()
  for text, expected in pairs({
    ["plain"] = "plain", ["a\27[31mb\n"] = "a?[31mb?", ["\127\0"] = "??",
    ["\194\155x"] = "?x", ["M\195\188nchen"] = "M\195\188nchen",
  }) do
    it(("shows %q without what steers a terminal"):format(text), function()
      assert.equal(expected, output.clean(text))
    end)
  end

  it("takes any value", function()
    assert.equal("5", output.clean(5))
    assert.equal("nil", output.clean(nil))
  end)
end)

describe("the command line's output", function()
  local function written(fn, options)
    local ctx, text = run_with(nil, { options = options or {} })
    fn(ctx.out)
    return text()
  end

  it("aligns values behind their labels, by characters", function()
    assert.equal("  a     1\n  b\195\188cd  2?\n", written(function(out)
      out:pairs({ { "a", 1 }, { "b\195\188cd", "2\27" } }, "  ")
    end))
  end)

  it("aligns columns; the last one has no blanks behind it", function()
    assert.equal("H   Two\nxx  1\n\195\188   22\n", written(function(out)
      out:columns({ "H", "Two" }, { { "xx", 1 }, { "\195\188", 22 } })
    end))
  end)

  it("has no colours if written to a file", function()
    assert.equal("Head\n", written(function(out) out:heading("Head") end))
  end)

  it("writes a document with a line for each member into a file", function()
    assert.equal('{\n  "a": [\n    1\n  ]\n}\n', written(function(out)
      out:document({ a = { 1 } })
    end, { json = true }))
  end)

  it("fails if its file cannot be written", function()
    local ctx = run_with(nil)
    ctx.out.file = "/no/such/folder/file"
    local failure = failure_of(ctx.out.finish, ctx.out)
    assert.equal("file", failure.code)
    assert.truthy(failure.message:find("/no/such/folder/file", 1, true))
  end)
end)

describe("session", function()
  for name, case in pairs({
    ["everything"] = { {}, { "username", "password", "api_key", "api_secret" } },
    ["the key, which basic stands for"] = { { username = "u", basic = "b" }, { "password" } },
    ["nothing"] = { { username = "u", password = "p", api_key = "k", api_secret = "s" }, {} },
  }) do
    it("reports that a log-in lacks " .. name, function()
      local list = {}
      for i, row in ipairs(session.lacking(case[1])) do list[i] = row.name end
      assert.same(case[2], list)
    end)
  end

  it("takes the server from base_url, else from the region", function()
    assert.equal("https://x", session.server({ base_url = "https://x" }))
    assert.equal(bmwi.regions.usa, session.server({ region = "usa" }))
    assert.is_nil(session.server({}))
  end)

  for name, case in pairs({
    ["none"] = { nil, false, false },
    ["one without an end"] = { {}, true, true },
    ["one that is valid"] = { { expires_at = os.time() + 60 }, true, true },
    ["one that has ended"] = { { expires_at = os.time() - 60 }, false, false },
    ["one that can be renewed"] = { { expires_at = 0, refresh_token = "r" }, false, true },
  }) do
    it("reports the state of a saved token: " .. name, function()
      assert.equal(case[2], session.fresh(case[1]))
      assert.equal(case[3], session.usable(case[1]))
    end)
  end

  it("names a car by model and plate, else by its VIN", function()
    assert.equal("I3, M 1", session.name({ model = "I3", licensePlate = "M 1", vin = "V" }))
    assert.equal("V", session.name({ vin = "V", model = {} }))
    assert.is_nil(session.name(nil))
  end)

  it("finds the only car or the named one, or lists the cars", function()
    local list = { { vin = "WAB1C23456V123456" }, { vin = "WAB1C23456V654321", model = "I8" } }
    local function car_of(cars, vin)
      local ctx = run_with(nil, { cars = cars,
        client = { vehicle = function(_, found) return "car " .. found end } })
      ctx.settings.vin = vin
      return session.car(ctx)
    end
    assert.equal("car " .. list[1].vin, car_of({ list[1] }))
    assert.equal("car " .. list[2].vin, car_of(list, list[2].vin:lower()))
    local failure = failure_of(car_of, list)
    assert.equal("usage", failure.code)
    assert.truthy(failure.message:find("WAB1C23456V654321 (I8)", 1, true))
    assert.equal("config", failure_of(car_of, list, "WAB1C23456V000000").code)
    assert.equal("not_found", failure_of(car_of, {}).code)
  end)

  it("blames the service for an invalid VIN that it lists, not the user", function()
    local client = bmwi.new({ service = "cardata", client_id = "x" })
    finally(function() client:close() end)
    for _, vehicle in ipairs { { vin = "WBA" }, { vin = "../../../../../x" }, { vin = {} }, {} } do
      for _, find in ipairs { session.car, live.cars } do
        local ctx = run_with(nil, { client = client, cars = { vehicle } })
        ctx.out.file = nil
        local failure = failure_of(find, ctx)
        assert.equal("json", failure.code, failure.message)
        helper.has(failure.message, "a car with an invalid VIN")
      end
    end
  end)
end)

describe("a command for the car", function()
  it("is sent once and followed to its end", function()
    local car, calls = obedient()
    local ctx, text = run_with(car)
    act.lock(ctx)
    assert.same({ { "lock_doors" }, { "execution" } }, calls)
    assert.equal("Lock the doors: done by the car (EXECUTED).\n", text())
  end)

  it("is only sent if --no-wait is given, and says how to follow it", function()
    local car, calls = obedient()
    local ctx, text = run_with(car, { options = { ["no-wait"] = true } })
    act.lock(ctx)
    assert.equal(1, #calls)
    assert.equal("Lock the doors: sent (INITIATED). To follow it: bmwi wait lock\n", text())
  end)

  it("shows no event id as JSON", function()
    local ctx, text = run_with(obedient(), { options = { json = true } })
    act.lock(ctx)
    assert.same({ command = "lock", serviceType = "DOOR_LOCK", status = "EXECUTED" },
      bmwi.json.decode(text()))
  end)

  for reported, case in pairs({ NOT_EXECUTED = { "not_executed", 7 },
    TIMED_OUT = { "timed_out", 6 } }) do
    it("fails if the car reports: " .. reported, function()
      local failure = failure_of(act.lock, (run_with(obedient(reported))))
      assert.equal(case[1], failure.code)
      assert.equal(case[2], fail.EXIT[failure.code])
      assert.truthy(failure.message:find(reported, 1, true))
    end)
  end

  for code, expected in pairs({ forbidden = "refused", unknown = "unknown",
    server = "server", auth = "auth" }) do
    it(("that fails as %s when it is sent ends as %s"):format(code, expected), function()
      local car = obedient()
      car.lock_doors = function() return nil, "no", code, {} end
      local failure = failure_of(act.lock, (run_with(car)))
      assert.equal(expected, failure.code)
      assert.equal("Lock the doors: no", (failure.message:gsub(" %(nothing.*", "")))
    end)
  end

  it("flashes the given number of times", function()
    local car, calls = obedient()
    act.flash((run_with(car, { options = { count = 3 } })))
    assert.same({ "flash_lights", { count = 3 } }, calls[1])
  end)

  it("does not unlock without a terminal for confirmation", function()
    local failure = failure_of(act.unlock, (run_with(obedient())))
    assert.equal("usage", failure.code)
    assert.truthy(failure.info.hint:find("--yes", 1, true))
  end)

  for name, case in pairs({
    ["nothing is told"] = { nil, false },
    ["another result"] = { { result = "SUCCESS" }, false },
    ["it says so"] = { { result = "STATUS_NOT_CHANGED" }, true },
    ["states that are the same"] = { { result = "STATUS_NOT_CHANGED", oldLock = "A",
      newLock = "A" }, true },
    ["states that differ"] = { { result = "STATUS_NOT_CHANGED", oldLock = "A", newLock = "B" },
      false },
    ["states that it does not know"] = { { result = "STATUS_NOT_CHANGED", oldLock = "INVALID",
      newLock = "INVALID" }, false },
  }) do
    it("says that nothing has changed only if that is certain: " .. name, function()
      assert.equal(case[2], act.is_unchanged({ extendedStatus = case[1] }))
    end)
  end

  it("cannot be waited for under an unknown name", function()
    local failure = failure_of(act.wait, (run_with(obedient(), { args = { "dance" } })))
    assert.equal("usage", failure.code)
    assert.truthy(failure.info.hint:find("charge, charging-profile, climate, find, flash", 1, true))
  end)
end)

describe("bmwi poi", function()
  for name, case in pairs({
    ["as one argument"] = { { "48.1769, 11.5569" }, {} },
    ["as two options"] = { {}, { lat = 48.1769, lon = 11.5569 } },
  }) do
    it("takes the position " .. name, function()
      local car, calls = obedient()
      case[2].name = "BMW Welt"
      local ctx, text = run_with(car, { args = case[1], options = case[2] })
      act.poi(ctx)
      assert.same({ "send_poi", { lat = 48.1769, lon = 11.5569, name = "BMW Welt" } }, calls[1])
      assert.truthy(text():find('The destination "BMW Welt" was sent', 1, true))
    end)
  end

  for name, case in pairs({
    ["no position"] = { {}, {}, "needs a latitude and a longitude" },
    ["both ways"] = { { "1,2" }, { lat = 1 }, "not both" },
    ["a place"] = { { "Munich" }, {}, "must be LAT,LON" },
    ["an invalid latitude"] = { { "91,0" }, {}, "the latitude must be a number from -90" },
    ["an invalid longitude"] = { { "0,x" }, {}, "the longitude must be a number from -180" },
  }) do
    it("refuses " .. name .. ", and sends nothing", function()
      local car, calls = obedient()
      local failure = failure_of(act.poi, (run_with(car, { args = case[1], options = case[2] })))
      assert.equal("usage", failure.code)
      assert.truthy(failure.message:find(case[3], 1, true), failure.message)
      assert.same({}, calls)
    end)
  end
end)

describe("a read", function()
  local STATUS = { chargingLevelHv = 58, mileage = 100 }

  it("is shown as a table", function()
    local ctx, text = run_with({ status = function() return STATUS end })
    status.classic(ctx)
    assert.truthy(text():find("^Status, I3, M 1\n"))
    assert.truthy(text():find("\nBattery +58 %%\n"))
    ctx.settings.units = "imperial"
    status.classic(ctx)
    assert.truthy(text():find("\nMileage +62 mi\n"))
  end)

  it("is the service's own response as JSON, in its own units", function()
    local ctx, text = run_with({ status = function() return STATUS end },
      { options = { json = true } })
    ctx.settings.units = "imperial"
    status.classic(ctx)
    assert.same(STATUS, bmwi.json.decode(text()))
  end)

  it("fails if the car's method fails", function()
    local info = { status = 403 }
    local ctx = run_with({ range_map = function() return nil, "no", "forbidden", info end })
    local failure = failure_of(read.range_map, ctx)
    assert.same({ "no", "forbidden", info }, { failure.message, failure.code, failure.info })
  end)

  it("can be a map", function()
    for format, start in pairs({ geojson = '{"features":', kml = "<%?xml", svg = "<%?xml" }) do
      local ctx, text = run_with({ destinations = function() return { { lat = 1, lon = 2 } } end },
        { options = { format = format } })
      read.destinations(ctx)
      assert.matches("^" .. start, text())
      assert.truthy(text():find("Destinations, I3, M 1", 1, true))
    end
  end)
end)

describe("bmwi doctor", function()
  local function examined(failure)
    local ctx, text = run_with(nil, { config_failure = failure, options = { json = true } })
    return doctor.run(ctx), bmwi.json.decode(text())
  end

  for name, info in pairs({ configuration = {}, settings = { setting = "vin" } }) do
    it("stops when a step fails: " .. name .. ", with its exit code and hint", function()
      info.hint = "so"
      local exit, found = examined(fail.new("wrong", "config", info))
      assert.equal(2, exit)
      assert.is_false(found.ok)
      assert.same({ name = name, ok = false, detail = "wrong", code = "config", hint = "so" },
        found.steps[#found.steps])
      assert.same({ name = "bmwi", ok = true, detail = bmwi._VERSION }, found.steps[2])
    end)
  end
end)

describe("bmwi.cli.main", function()
  it("returns the exit code and never raises", function()
    local said = helper.program([[
      print("", require("bmwi.cli").main({ "--jsn" }))
      print("", require("bmwi.cli").main({ "--version" }))
      print("", require("bmwi.cli").main({ "dance", "--json" }))]])
    assert.matches("\t2\nbmwi %d+%.%d+%.%d+\n.-\n\t0\n", said)
    assert.truthy(said:find('"message":"unknown command dance"', 1, true), said)
  end)

  it("leaves the collector as a program needs it", function()
    local said = helper.program([[
      print("", require("bmwi.cli").main({ "status", "--base-url", "no address" }))
      local before = collectgarbage("count")
      for i = 1, 200000 do local _ = { i } end
      print(collectgarbage("count") - before < 4096)]])
    assert.matches("\t2\ntrue\n", said)
  end)
end)
