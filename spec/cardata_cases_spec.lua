-- Public bug reports of other clients as cases, by number: what each says happens, and rows with
-- what bmwi does. Those about values alone are in spec/cardata_values_cases.lua.
local async = require("bmwi.async")
local bmwi = require("bmwi")
local cjson = require("cjson").new()
local double = require("spec.cardata_helper")
local helper = require("spec.helper")
local schedule = require("bmwi.cardata.stream_schedule")
local stores = require("bmwi.store")
local streams = require("spec.stream_helper")
local time = require("bmwi.time")
local times = require("bmwi.cardata.stream_times")
local values = bmwi._values

local VIN, OTHER, LEVEL, MILEAGE = streams.VIN, streams.OTHER, streams.LEVEL, streams.MILEAGE
local FUEL_LEVEL = "vehicle.drivetrain.fuelSystem.level"

-- A client of the simulator, or a scripted one and its account.
local sim, client
local scripted, car, bmw

-- retries: a token that is refused is renewed, as by default.
local function new(options)
  options = options or {}
  options.retries = 1
  return bmwi.new(streams.options(sim, options))
end
local function set(what, change) sim:control("POST", "/cardata/" .. what, change) end
local function sent(method, part) return sim:count(method, part or "/customers/") end
local function begin()
  if client then client:close() end
  sim:reset()
  streams.hurry({ window = 0.01 })
  set("login", { interval = 0.05, allow_after = 0 })
  client = new()
end
local function log_in()
  assert(client:login())
  sim:clear()
end
local function connected(options)
  local stream = client:stream(options)
  streams.await(stream, "connected")
  return stream
end
local function publish(data, more) streams.publish(sim, data, more) end
local function report() return streams.report(sim) end

local function script()
  local function value(text, unit)
    return { value = text, unit = unit, timestamp = time.format(os.time() - 60) }
  end
  scripted = double.client()
  car, bmw = scripted.car, scripted.bmw
  bmw.values = { [MILEAGE] = value("48260", "km"), [LEVEL] = value("66", "%"),
    [FUEL_LEVEL] = value("0", "%") }
end

-- The path of an account file; `finally` is the test's own.
local function account(finally)
  local path = os.tmpname()
  os.remove(path)
  finally(function() helper.shell(("rm -f %s*"):format(helper.quote(path))) end)
  return path
end
-- The next client, with this account file.
local function restart(path)
  client:close()
  client = new({ store = stores.new(path) })
end

local CASES, numbers = require("spec.cardata_values_cases"), {}
for number in pairs(CASES) do numbers[#numbers + 1] = number end

local function case(number, says, rows)
  assert(not CASES[number])
  rows.says, rows.served = says, true
  CASES[number] = rows
  numbers[#numbers + 1] = number
end

case(7, "the token is renewed, but the stream goes on with the old one and is refused for ever", {
  { "a refused token is renewed once #slow", function()
    for _, protocol in ipairs({ 4, 5 }) do
      begin()
      log_in()
      set("token", { expire_id = true })
      local stream = connected({ protocol = protocol })
      publish({ [MILEAGE] = { value = 48301, unit = "km" } })
      repeat until streams.update(stream).status.mileage == 48301
      assert.equal(1, streams.renewals(sim))
      local list = report().attempts
      assert.equal(2, #list)
      assert.equal(protocol == 5 and 134 or 4, list[1].connack)
    end
  end },
  { "a new token with the old id_token, as at BMW, does no harm #slow", function()
    log_in()
    set("token", { same_id_token = true })
    times.renew = { 0.0001, 0.0001 }
    local stream = connected()
    streams.run_until(stream, function() return streams.renewals(sim) >= 1 end, "renewal")
    streams.fails_as("timeout", stream:next(1.5))
    publish({ [MILEAGE] = { value = 48301, unit = "km" } })
    repeat until streams.update(stream).status.mileage == 48301
    assert.equal(1, #report().attempts)
    assert.equal(1, streams.renewals(sim))
  end },
})

case(12, "the broker refuses a valid token again and again, several times a minute", {
  { "one renewal, then slower and slower", function()
    for _, reason in ipairs({ 4, 5, 134, 135 }) do
      streams.no_hurry()
      local s = schedule.new({ protocol = 5, times = times, random = function() return 0.5 end })
      local function refused(now)
        return s:lost({ message = "it is lost", code = "auth", phase = "connack",
          reason = reason }, now)
      end
      s:connected(0)
      local story = {}
      for i = 1, 4 do
        local step = refused(i * 1000)
        story[i] = ("%g %s"):format(step.wait, tostring(step.renew))
      end
      assert.same({ "5 true", "10 false", "20 false", "40 false" }, story)
      s:connected(9000)
      assert.is_true(refused(9100).renew)
    end
  end },
  { "four connections a minute, over restarts #slow", function()
    local path = account(finally)
    restart(path)
    log_in()
    local said = {}
    for i = 1, 6 do
      said[i] = helper.program(([[
        local bmwi, streams = require("bmwi"), require("spec.stream_helper")
        local client = bmwi.new(streams.options({ url = %q, stream_url = %q },
          { store = require("bmwi.store").new(%q) }))
        local stream = client:stream()
        local late = bmwi._sys.monotonic() + 60
        repeat stream:next(0.05) until stream:state() ~= "connecting"
          or bmwi._sys.monotonic() > late
        print(stream:state())
        stream:close()
      ]]):format(sim.url, sim.stream_url, path)):match("^%a+")
    end
    assert.same({ "connected", "connected", "connected", "connected", "waiting", "waiting" },
      said)
    assert.equal(4, report().attempt_count)
  end },
})

case(14, "a keepalive of 60 s is cut every 75 s, and another client throws this one out", {
  { "it is 30 s, and the other client is reported #slow", function()
    log_in()
    times.window = 60
    local stream = client:stream()
    for _, how in ipairs({ { disconnect = 142 }, { ["end"] = "cut" }, { disconnect = 142 } }) do
      streams.await(stream, "connected")
      assert.equal(30, report().connect.keepalive)
      streams.set(sim, how)
      streams.run_until(stream, function() return stream:state() ~= "connected" end, "kicked")
    end
    local message, code, info = streams.ending(stream)
    assert.equal("conflict", code, message)
    helper.has(info.hint, "other program")
  end },
})

case(15, "a client that speaks TLS 1.2 at most fails without saying why", {
  { "a server that requires TLS 1.3 is reported as one", function()
    local port, stop = helper.raw("\21\3\3\\0\2\2F", "") -- the alert protocol_version
    finally(stop)
    log_in()
    local token = client:token()
    client:close()
    client = new({ token = token, stream_url = "mqtts://127.0.0.1:" .. port,
      ca_file = helper.certs() .. "/ca.pem" }) -- the system's takes seconds under Valgrind
    local message, info = helper.fails_as("tls", client:stream():next(60))
    helper.has(message, "protocol version")
    helper.has(info.hint, "TLS 1.3")
  end },
})

case(17, "a refresh is refused for a missing parameter, and the client shows code after code", {
  { "a dead refresh token is one final state", function()
    for _, dead in ipairs({ { expire_refresh = true }, { no_api = true } }) do
      begin()
      log_in()
      set("token", dead)
      set("token", { expire = true })
      local message, info = helper.fails_as("auth", client:vehicles())
      helper.has(message, "the log-in has ended")
      helper.has(info.hint, "log in again")
      assert.is_nil(message:find("parameter", 1, true))
      local before = #sim:log()
      helper.fails_as("auth", client:vehicles())
      assert.equal(before, #sim:log())
      assert.equal(1, sent("POST", "/oauth/token"))
    end
  end },
  { "it is one for other programs too, which send nothing", function()
    local path = account(finally)
    local function other() return new({ store = stores.new(path) }) end
    client:close()
    client = other()
    log_in()
    set("token", { expire_refresh = true })
    set("token", { expire = true })
    local message = helper.fails_as("auth", client:vehicles())
    helper.has(message, "the log-in has ended")
    assert.equal(1, sent())
    local used, before = client:quota().used, #sim:log()
    for _ = 1, 2 do
      local one = other()
      assert.equal(message, (helper.fails_as("auth", one:vehicles())))
      assert.equal(used, one:quota().used)
    end
    assert.equal(before, #sim:log())
    assert(other():login())
    assert(other():vehicles())
    assert(client:vehicles())
  end },
})

case(18, "BMW refuses a code seconds after it was shown", {
  { "the log-in ends with the reason, and the next one has a new code", function()
    local codes = {}
    client:close()
    client = new({ on_prompt = function(prompt) codes[#codes + 1] = prompt.user_code end })
    set("login", { answers = { "invalid_grant" } })
    helper.has(helper.fails_as("auth", client:login()), "the code was refused")
    assert.equal(1, sent("POST", "/oauth/token"))
    assert(client:login())
    assert.equal(2, #codes)
    assert.not_equal(codes[1], codes[2])
  end },
})

-- Containers of the simulator's account.
local function make(name)
  return assert(client:create_container({ name = name, descriptors = { MILEAGE } })).containerId
end

case(19, "the account has no room for one more container, and the client goes on without", {
  { "its own old ones are deleted first", function()
    for i = 1, 10 do bmw:add(i < 3 and "bmwi" or "evcc.io", "v6") end
    assert.truthy(car:status())
    assert.equal("containers create_container delete_container delete_container create_container "
      .. "telematic_data basic_data", scripted:called())
    assert.equal("DELETED", bmw.containers[1].state)
    assert.equal("ACTIVE", bmw.containers[3].state)
  end },
  { "if that makes no room, the others are named", function()
    for _ = 1, 10 do bmw:add("evcc.io", "v6") end
    local message, info = helper.fails_as("forbidden", car:status())
    helper.has(message, "W000000000010 (evcc.io)")
    helper.has(info.hint, "delete_container")
    assert.equal("CU-124", info.api_code)
    assert.equal("containers create_container", scripted:called())
    bmw.containers[1].name = "red \27[31m\r\n\194\133" -- of another program
    message = helper.fails_as("forbidden", car:status())
    helper.has(message, "W000000000001 (red  [31m    )")
    assert.equal("containers create_container", scripted:called())
    bmw.containers[1].name, bmw.deleted_count = "bmwi", true
    message = helper.fails_as("forbidden", car:status())
    assert.is_nil(message:find("W000000000001", 1, true))
    assert.equal("containers create_container delete_container create_container",
      scripted:called())
  end },
  { "deleted ones that do not count make room", function()
    log_in()
    for _ = 1, 10 do make("bmwi") end
    set("config", { deleted_uncounted = true })
    assert(client:vehicle(VIN):telematics())
    assert.equal(10, sent("DELETE"))
  end },
  { "if deleted ones count, the others are named", function()
    log_in()
    for _ = 1, 9 do make("other") end
    make("bmwi")
    local message, info = helper.fails_as("forbidden", client:vehicle(VIN):telematics())
    assert.equal("CU-124", info.api_code)
    helper.has(message, "(other)")
    assert.equal(1, sent("DELETE"))
  end },
})

case(21, "one descriptor that BMW no longer knows spoils the whole container", {
  { "one that BMW names is dropped and remembered", function()
    bmw.refused, bmw.names_it = { [MILEAGE] = true, [FUEL_LEVEL] = true }, true
    assert.equal(66, car:status().chargingLevelHv)
    assert.equal("containers create_container create_container create_container telematic_data "
      .. "basic_data", scripted:called())
    assert.same({ [MILEAGE] = true, [FUEL_LEVEL] = true }, scripted.store:_refused_descriptors())
    bmw.containers = {}
    scripted.remember("W000000000099")
    assert.truthy(car:status())
    assert.equal("telematic_data containers create_container telematic_data", scripted:called())
  end },
  { "one that BMW does not name is found by bisection", function()
    for _, refused in ipairs({ MILEAGE, "vehicle.body.chargingPort.combinedStatus" }) do
      script()
      bmw.refused = { [refused] = true }
      assert.equal(66, car:status().chargingLevelHv)
      assert.same({ [refused] = true }, scripted.store:_refused_descriptors())
      assert.truthy(#scripted.calls < 20, scripted:called())
      local active = 0
      for _, container in ipairs(bmw.containers) do
        if container.state == "ACTIVE" then active = active + 1 end
      end
      assert.equal(1, active)
    end
  end },
  { "that does not spend the day's calls, and continues the next time", function()
    for i, descriptor in ipairs(values.descriptors()) do
      if i % 12 == 1 then bmw.refused[descriptor] = true end
    end
    local status, _
    repeat
      local code
      status, _, code = car:status()
      assert.truthy(#scripted.calls <= 29, #scripted.calls) -- 26 and list, values, basic data
      scripted:called()
      assert.truthy(status or code == "http", code)
    until status
    for _, descriptor in ipairs(scripted.store:_read().refused_descriptors) do
      assert.is_true(bmw.refused[descriptor])
    end
    assert.truthy(#bmw.containers <= 9, #bmw.containers)
  end },
  { "none is blamed if BMW refuses the list as a whole", function()
    local create = scripted.answer.create_container
    scripted.answer.create_container = function(request)
      return #request.body.technicalDescriptors > 30 and double.refusal("CU-402")
        or create(request)
    end
    local _, info = helper.fails_as("http", car:status())
    assert.equal("CU-402", info.api_code)
    assert.same({}, scripted.store:_refused_descriptors())
  end },
  { "the status says which one is missing", function()
    log_in()
    set("config", { refused = { MILEAGE } })
    local status, details = client:vehicle(VIN):status()
    assert.equal(66, status.chargingLevelHv)
    assert.is_nil(status.mileage)
    assert.equal("refused", details.mileage.reason)
    local before = sent()
    assert(client:vehicle(VIN):status())
    assert.equal(before + 1, sent())
  end },
  { "the search leaves room for containers", function()
    local refused = {}
    for i, descriptor in ipairs(values.descriptors()) do
      if i % 18 == 3 then refused[#refused + 1] = descriptor end
    end
    for _, others in ipairs({ 0, 4, 9 }) do
      begin()
      log_in()
      for i = 1, others do make("x" .. i) end
      set("config", { refused = refused })
      local status
      repeat
        local message, code
        status, message, code = client:vehicle(VIN):status()
        assert(status or code == "http", message)
      until status
      local list = client:containers()
      assert.truthy(#list <= math.max(9, others + 2), #list)
    end
  end },
})

case(22, "BMW refuses the list of cars and the subscription, since a service is not subscribed", {
  { "the refusal is passed on, and not taken for one of the container", function()
    scripted.answer.containers = function() return double.refusal("CU-403") end
    local _, info = helper.fails_as("forbidden", car:status())
    assert.equal("CU-403", info.api_code)
    assert.equal("containers", scripted:called())
  end },
  { "both refusals name the services to subscribe #slow", function()
    log_in()
    sim:fault({ path = "/customers/", recorded = "CU-403", times = 0 })
    local _, info = helper.fails_as("forbidden", client:vehicles())
    helper.has(info.hint, "both services are subscribed")
    streams.set(sim, { suback = 135 })
    local _, code, why = streams.ending(client:stream())
    assert.equal("forbidden", code)
    helper.has(why.hint, "CarData Stream")
  end },
})

case(23, "the quota is gone in minutes, and each restart sends more calls", {
  { "nothing more is sent once it is used up", function()
    assert.truthy(car:status())
    scripted:called()
    scripted.answer.telematic_data = function()
      return double.refusal("CU-429", { retry_after = 600 })
    end
    local _, info = helper.fails_as("quota", car:status())
    assert.equal(600, info.retry_after)
    helper.has(info.hint, "max_age")
    assert.equal("telematic_data", scripted:called())
    local status, details = car:status({ max_age = math.huge })
    assert.equal(48260, status.mileage)
    assert.equal("cache", details.mileage.source)
    assert.equal("", scripted:called())
  end },
  { "nor after a restart", function()
    local path = account(finally)
    restart(path)
    log_in()
    set("spend", { calls = 50 })
    helper.fails_as("quota", client:vehicles())
    restart(path)
    local _, info = helper.fails_as("quota", client:vehicles())
    assert.truthy(info.retry_after > 0)
    assert.equal(1, sent())
  end },
})

case(26, "an empty token file counts as a log-in", {
  { "only a token in it is one", function()
    local path = account(finally)
    for _, text in ipairs({ "{}", '{"access_token":null}', '{"access_token":""}',
      '{"access_token":"a","refresh_token":""}', '{"access_token":"a","id_token":"\\u0001"}' }) do
      helper.write(path, text, "600")
      local other = new({ store = stores.new(path) })
      sim:clear()
      local _, info = helper.fails_as("auth", other:vehicles())
      helper.has(info.hint, "log in")
      assert.equal(0, #sim:log())
      other:close()
    end
  end },
})

case(29, "a predicted level runs to 100 % after the charging has stopped", {
  { "a level is the measured one; BMW's prediction is marked as one", function()
    set("car/" .. VIN, { telematicData = { [LEVEL] = cjson.null,
      ["vehicle.drivetrain.electricEngine.charging.level"] = { value = "71", unit = "%",
        age = 3 * 3600 } } })
    log_in()
    local status, details = client:vehicle(VIN):status()
    assert.equal(71, status.chargingLevelHv)
    assert.equal("predicted", details.chargingLevelHv.flag)
    sim:control("POST", "/clock", { advance = 1800 })
    assert.equal(71, client:vehicle(VIN):status({ max_age = math.huge }).chargingLevelHv)
  end },
})

case(30, "an account's second car takes the first one's messages; a closed channel takes all CPU", {
  { "each reader gets its cars, over one connection", function()
    log_in()
    local one, all = connected({ vins = { OTHER:lower() } }), connected()
    local first = client:vehicle(VIN):stream()
    publish({ [MILEAGE] = { value = 1, unit = "km" } })
    publish({ [MILEAGE] = { value = 2, unit = "km" } }, { vin = OTHER })
    assert.equal(OTHER, streams.update(one).vin)
    assert.equal(VIN, streams.update(first).vin)
    assert.equal(VIN, streams.update(all).vin)
    assert.equal(OTHER, streams.update(all).vin)
    streams.fails_as("timeout", one:next(0.3))
    streams.fails_as("timeout", first:next(0))
    assert.equal(1, report().attempt_count)
  end },
  { "other tasks run while one waits", function()
    log_in()
    local ticks, done = 0, false
    local stream = client:stream()
    async.run(function()
      for i = 1, 3 do
        local update = assert(stream:next(20))
        assert.equal(i, update.status.mileage)
      end
      done = true
      stream:close()
    end, function()
      while not done do
        ticks = ticks + 1
        bmwi.sleep(0.01)
      end
    end, function()
      while stream:state() ~= "connected" do bmwi.sleep(0.01) end
      for i = 1, 3 do
        publish({ [MILEAGE] = { value = i, unit = "km", age = -i } })
        bmwi.sleep(0.2)
      end
    end)
    assert(ticks > 20, ticks)
  end },
})

case(33, "DELETE without the version header always fails", {
  { "it is sent with POST and DELETE, and any 2xx is accepted", function()
    log_in()
    set("config", { container_status = 200 })
    local id = make("mine")
    assert.is_true(client:delete_container(id))
    assert.is_true(client:delete_container(id)) -- 208, CU-122
    for _, request in ipairs(sim:log()) do
      assert.equal("v1", request.headers["x-version"], request.method .. " " .. request.path)
    end
    assert.equal(2, sent("DELETE"))
  end },
})

describe("public case", function()
  setup(function() sim = helper.start({ stream = true }) end)
  teardown(function()
    client:close()
    sim:stop()
    streams.no_hurry()
  end)

  table.sort(numbers)
  for _, number in ipairs(numbers) do
    local rows = CASES[number]
    describe(("%d (%s):"):format(number, rows.says), function()
      if rows.served then
        before_each(function()
          begin()
          script()
        end)
      end
      for _, row in ipairs(rows) do it(row[1], row[2]) end
    end)
  end

  it("1 to 33: each of the list has rows, and no other", function()
    assert.same({ 1, 2, 4, 6, 7, 8, 10, 11, 12, 14, 15, 17, 18, 19, 21, 22, 23, 26, 27, 28, 29, 30,
      32, 33 }, numbers)
    for _, number in ipairs(numbers) do assert.is_truthy(CASES[number][1], number) end
  end)
end)
