--- bmwi-sim --replay: a recording of either service, played at any speed.
local broker = require("spec.broker_helper")
local cli = require("spec.cli_helper")
local helper = require("spec.helper")
local json = helper.json

local VIN = "WBARECRD000000001"
local STATUS = "/webapi/v1/user/vehicles/" .. VIN .. "/status"
local no_python = broker.no_python()

describe("a recording", function()
  local file = os.tmpname()
  local sim

  teardown(function() os.remove(file) end)
  after_each(function()
    if sim then sim:stop() end
    sim = nil
  end)

  -- A line is a table, or its bytes.
  local function write(service, lines)
    local texts = { json.encode({ bmwi_recording = 1, service = service, started = 1795700000,
      version = "0.1.0", replaced = true }) }
    for i, line in ipairs(lines) do
      texts[i + 1] = type(line) == "string" and line or json.encode(line)
    end
    helper.write(file, table.concat(texts, "\n") .. "\n")
  end

  local function start(...)
    sim = helper.start({ stream = true, args = { "--replay", file, ... } })
    return sim
  end

  local function advance(seconds) sim:control("POST", "/clock", { advance = seconds }) end

  local function message(at, value)
    return { at = at, kind = "message", vin = VIN, payload = { vin = VIN, data = { x = value } } }
  end

  -- The values of the messages that a client gets before it has seen so many, and their bytes.
  local function listen(count, meanwhile)
    local token = broker.log_in(sim)
    broker.set(sim, { keepalive_limit = 0 }) -- the clock is advanced a lot
    local steps = { "connect=" .. json.encode({ user = broker.GCID, password = token.id_token,
      keepalive = 0 }), "until=2", "subscribe=" .. broker.GCID .. "/+", "until=9" }
    for _ = 1, count do steps[#steps + 1] = "until=3" end
    local finish = broker.client(sim, (unpack or table.unpack)(steps)) -- luacheck: ignore
    if meanwhile then meanwhile() end
    local values, texts = {}, {}
    for _, one in ipairs(finish().packets) do
      local digits = one.first == 0x30 and one.body:match("7b.*7d")
      if digits then
        local text = digits:gsub("%x%x", function(byte) return string.char(tonumber(byte, 16)) end)
        values[#values + 1], texts[#texts + 1] = json.decode(text).data.x, text
      end
    end
    return values, texts
  end

  local function played()
    return broker.report(sim).replay.messages
  end

  it("streams its messages at their times, from the first subscription on", function()
    if no_python then return pending(no_python) end
    write("cardata", { message(0, 1), { at = 3, kind = "state", state = "waiting" },
      message(100, 2), { at = 100, kind = "message", vin = VIN, text = "{ " }, message(500, 3) })
    start()
    advance(1000)
    assert.equal(0, played())
    assert.same({ 1, 2, 3 }, listen(4, function()
      broker.wait(sim, function(seen) return seen.replay.messages == 1 end)
      advance(90)
      assert.equal(1, played())
      advance(10)
      broker.wait(sim, function(seen) return seen.replay.messages == 3 end)
      advance(400)
    end))
    assert.equal(4, played())
    sim:reset()
    assert.same({ 0, false }, { played(), broker.report(sim).replay.begun })
  end)

  local ODD = '{"vin":"' .. VIN .. '", "data":{"x":1,"x":2,"a":1e2,"b":"\\u00e4\\u0000\\/",'
    .. '"c":123456789012345678901234567890,"payload":0}}'

  it("streams each payload byte for byte", function()
    if no_python then return pending(no_python) end
    write("cardata", { ('{"at":0,"kind":"message","vin":"%s","payload":%s}'):format(VIN, ODD) })
    start()
    local _, texts = listen(1)
    assert.same({ ODD }, texts)
  end)

  it("responds with each body byte for byte, wherever it is in its line", function()
    local line = '{"at":0,"kind":"answer","call":"get","method":"GET","path":"/%d","status":200,%s}'
    local bodies = { ODD, "1.50", "[ 1 , 2.0 ]", '"\\u00e4 \\",\\"body\\":"', "null", "-0" }
    local lines = {}
    for i, body in ipairs(bodies) do
      lines[2 * i - 1] = line:format(2 * i - 1, '"body":' .. body)
      lines[2 * i] = line:format(2 * i,
        '"note":"\\",\\"body\\":","body" : ' .. body .. ',"x":1')
    end
    write("classic", lines)
    start()
    for i, body in ipairs(bodies) do
      assert.equal(body, helper.curl(sim.url .. "/" .. 2 * i - 1).body)
      assert.equal(body, helper.curl(sim.url .. "/" .. 2 * i).body)
    end
  end)

  -- What the simulator says of the recording; it ends once its address has been read.
  local function said()
    local program = os.getenv("BMWI_SIM") or "build/bmwi-sim"
    local text = helper.shell(("timeout 10 %s --tied --replay %s 2>%s.err | head -n 1; cat %s.err")
      :format(program, file, file, file))
    os.remove(file .. ".err")
    return text
  end

  it("may have lines that cannot be read, which are left out with a warning", function()
    local answer = '{"at":%d,"kind":"answer","method":"GET","path":"/x","status":%d,"body":%d}'
    write("classic", { answer:format(0, 200, 1), '{"at":1,', answer:format(2, 0, 3),
      answer:format(3, 600, 4), answer:format(4, 199, 5), "[]", '{"at":1,"kind":"message"}',
      answer:format(5, 599, 6), answer:format(6, 200, 7):sub(1, -9) })
    start()
    local all = helper.curl(sim.url .. "/x")
    assert.same({ 200, "1" }, { all.status, all.body })
    advance(10)
    all = helper.curl(sim.url .. "/x")
    assert.same({ 599, "6" }, { all.status, all.body })
    local numbers, text = {}, said()
    for number in text:gmatch("line (%d+) is left out: %w+[^\n]+") do
      numbers[#numbers + 1] = number
    end
    assert.equal("3 4 5 6 7 8 10", table.concat(numbers, " "), text)
    helper.has(text, file)
  end)

  it("plays as fast as --speed says", function()
    if no_python then return pending(no_python) end
    write("cardata", { message(1, 1), message(86400, 2) })
    start("--speed", "1000000")
    assert.same({ 1, 2 }, listen(2))
  end)

  it("responds with the newest of its responses whose time has come", function()
    write("classic", {
      { at = 5, kind = "answer", method = "GET", path = STATUS .. "?dlat=1", status = 200,
        body = { vehicleStatus = { mileage = 1 } } },
      { at = 60, kind = "answer", method = "GET", path = STATUS, status = 410, text = "gone" },
      { at = 70, kind = "answer", method = "GET", path = "/elsewhere", status = 503 } })
    start("--any-key")
    local function status()
      return helper.curl("-H", "Authorization: Bearer " .. sim.bearer, sim.url .. STATUS .. "?x=2")
    end
    sim.bearer = json.decode(helper.curl("-d", "grant_type=password&username=whatever@example.com"
      .. "&password=p4ssw0rd&scope=remote_services+vehicle_data", "-H",
      "Authorization: Basic a2V5OnNlY3JldA==", sim.url .. "/webapi/oauth/token").body).access_token
    for _ = 1, 2 do
      assert.equal(1, json.decode(status().body).vehicleStatus.mileage)
    end
    advance(50)
    assert.equal(200, status().status)
    advance(10)
    assert.same({ 410, "gone" }, { status().status, status().body })
    assert.equal(503, helper.curl(sim.url .. "/elsewhere").status)
    assert.equal(404, helper.curl(sim.url .. "/elsewhere/else").status)
    -- the log-in still counts, and what was not recorded is answered as usual
    assert.equal(401, helper.curl(sim.url .. STATUS).status)
    local list = helper.curl("-H", "Authorization: Bearer " .. sim.bearer,
      sim.url .. "/webapi/v1/user/vehicles")
    assert.equal(VIN, json.decode(list.body).vehicles[1].vin)
    sim:reset()
  end)

  it("has its own cars for CarData too", function()
    write("cardata", { message(0, 1), { at = 1, kind = "answer", method = "GET", status = 200,
      path = "/customers/vehicles/WBARECRD000000002/basicData", body = { modelName = "i4" } } })
    start()
    local token = broker.log_in(sim)
    local function get(path)
      return json.decode(helper.curl("-H", "Authorization: Bearer " .. token.access_token, "-H",
        "x-version: v1", sim.url .. "/customers/vehicles/" .. path).body)
    end
    local vins = {}
    for i, one in ipairs(get("mappings")) do vins[i] = one.vin end
    assert.same({ VIN, "WBARECRD000000002" }, vins)
    assert.equal("i4", get("WBARECRD000000002/basicData").modelName)
  end)

  it("is refused if it is not one", function()
    for _, text in ipairs({ "", "{}\n", "[]\n", '{"bmwi_recording":1\n',
      '{"bmwi_recording":2,"service":"classic"}\n', '{"bmwi_recording":1}\n',
      '{"bmwi_recording":1,"service":"minitel"}\n' }) do
      helper.write(file, text)
      local refusal = helper.shell(("timeout 10 %s --replay %s 2>&1 </dev/null; echo $?"):format(
        os.getenv("BMWI_SIM") or "build/bmwi-sim", file))
      assert.truthy(refusal:find(file, 1, true), refusal)
      assert.equal("1", refusal:match("%d+$"))
    end
  end)

  -- The same command shows the same on the recording as when it was recorded.
  local function round_trip(arguments, environment)
    sim = helper.start()
    cli.begin(sim)
    finally(cli.finish)
    local function run(vin, ...)
      local words = { ... }
      for i, word in ipairs(arguments) do table.insert(words, i, word) end
      local all = { BMWI_VIN = vin, BMWI_LOGIN_URL = sim.url .. "/gcdm/oauth" }
      for name, value in pairs(environment) do all[name] = value end
      if environment.BMWI_SERVICE then
        sim:control("POST", "/cardata/login", { interval = 1, allow_after = 0 })
        cli.ok("login", all)
      end
      return json.decode(cli.ok(words, all).out)
    end
    local first = run(environment.VIN, "--record", file)
    sim:stop()
    cli.finish()
    start()
    cli.begin(sim)
    local second = run(VIN)
    return first, second
  end

  it("of the classic service reproduces the same status", function()
    local first, second = round_trip({ "status", "--json" }, { VIN = helper.vin })
    assert.is_number(first.mileage)
    assert.same(first.mileage, second.mileage)
    assert.same(first.chargingLevelHv, second.chargingLevelHv)
    assert.equal(VIN, second.vin)
  end)

  it("of the battery, which has a path of its own, reproduces it", function()
    local first, second = round_trip({ "soc", "--json" }, { VIN = helper.vin })
    assert.is_number(first.soc)
    assert.equal(first.soc, second.soc)
  end)

  it("of CarData reproduces the same status", function()
    local first, second = round_trip({ "status", "--json" }, { VIN = broker.VIN,
      BMWI_SERVICE = "cardata", BMWI_CLIENT_ID = broker.CLIENT })
    assert.is_number(first.mileage)
    assert.same(first.mileage, second.mileage)
    assert.same(first.chargingLevelHv, second.chargingLevelHv)
  end)
end)
