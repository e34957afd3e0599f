--- The simulated stream, asked by mosquitto's clients and by a small one (spec/mqtt.py) that shows
--- the bytes as they come.
local broker = require("spec.broker_helper")
local helper = require("spec.helper")
local json = helper.json

local GCID, VIN = broker.GCID, broker.VIN
local MILEAGE = "vehicle.vehicle.travelledDistance"
local CONNACK, SUBACK = "2", "9"

local no_mosquitto = helper.shell("command -v mosquitto_sub mosquitto_pub") == ""
  and "there is no mosquitto_sub"
local no_python = broker.no_python()

describe("the simulated stream", function()
  local sim, token

  setup(function() sim = helper.start({ tls = true, stream = true }) end)
  teardown(function() sim:stop() end)
  before_each(function()
    sim:reset()
    token = broker.log_in(sim)
  end)

  local function set(change) broker.set(sim, change) end
  local function report() return broker.report(sim) end
  local function wait(seen) return broker.wait(sim, seen) end
  local function subscribed(seen) return (seen.received.SUBSCRIBE or 0) > 0 end

  -- mosquitto_sub in the background, which ends after so many messages.
  local function mosquitto_sub(version, count, ...)
    local words = { "timeout 20 mosquitto_sub -V", version, "-h localhost -p", sim.stream_port,
      "--cafile", sim.ca, "-u", GCID, "-P", token.id_token, "-t", GCID .. "/+ -k 30",
      "-C", count, ... }
    local pipe = assert(io.popen(table.concat(words, " ") .. " 2>&1"))
    return function()
      local lines = {}
      for line in pipe:lines() do lines[#lines + 1] = json.decode(line) end
      pipe:close()
      return lines
    end
  end

  for protocol, version in pairs({ [4] = "mqttv311", [5] = "mqttv5" }) do
    describe("for mosquitto_sub with " .. version, function()
      it("takes the id_token for the user's gcid and streams what is published", function()
        if no_mosquitto then return pending(no_mosquitto) end
        local finish = mosquitto_sub(version, 2)
        wait(subscribed)
        set({ publish = { data = { [MILEAGE] = { value = 48261, unit = "km" } } } })
        set({ publish = { vin = "WBACARDATA0000002", data = { ["vehicle.isMoving"] = true } } })
        local first, second = (unpack or table.unpack)(finish()) -- luacheck: ignore
        assert.equal(VIN, first.vin)
        assert.equal(VIN, first.topic)
        assert.equal(GCID, first.entityId)
        assert.truthy(first.timestamp:find("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$"))
        local entry = first.data[MILEAGE]
        assert.truthy(entry.timestamp:find("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$"))
        assert.same({ timestamp = entry.timestamp, value = 48261, unit = "km" }, entry)
        assert.equal("WBACARDATA0000002", second.vin)
        assert.is_true(second.data["vehicle.isMoving"].value)
        assert.is_nil(second.data["vehicle.isMoving"].unit)
        local seen = wait(function(seen) return #seen.connections == 0 end)
        assert.same({ protocol, 0, "the client's DISCONNECT" }, { seen.attempts[1].protocol,
          seen.attempts[1].connack, seen.attempts[1].ended })
        assert.equal(GCID, seen.connect.username)
        assert.is_true(seen.connect.password_right)
        assert.equal(#token.id_token, seen.connect.password_length)
        assert.equal(protocol, seen.connect.protocol)
        assert.equal(30, seen.connect.keepalive)
        assert.is_true(seen.connect.clean)
        assert.is_nil(json.encode(seen):find(token.id_token, 1, true))
        assert.equal(2, seen.sent.PUBLISH)
      end)
    end)
  end

  it("streams what changes of a car, typed", function()
    if no_mosquitto then return pending(no_mosquitto) end
    local finish = mosquitto_sub("mqttv5", 3)
    wait(subscribed)
    sim:control("POST", "/cardata/car/" .. VIN, { telematicData = {
      [MILEAGE] = { value = "48262", unit = "km", age = 3600 } } })
    sim:control("POST", "/cardata/car/" .. VIN, { telematicData = {
      ["vehicle.isMoving"] = { value = "true", age = 0 },
      ["vehicle.drivetrain.engine.isIgnitionOn"] = json.null } })
    sim:control("POST", "/cardata/car/" .. VIN, { telematicData = {
      ["vehicle.body.trunk.isOpen"] = { value = "CLOSED", age = 0 } } })
    local lines = finish()
    assert.equal(48262, lines[1].data[MILEAGE].value)
    assert.equal(os.date("!%Y-%m-%dT%H", os.time() - 3600),
      lines[1].data[MILEAGE].timestamp:sub(1, 13))
    assert.is_true(lines[2].data["vehicle.isMoving"].value)
    assert.equal("CLOSED", lines[3].data["vehicle.body.trunk.isOpen"].value)
  end)

  it("is there without TLS too, and only where it is asked for", function()
    if no_python then return pending(no_python) end
    local plain = helper.start({ stream = true })
    finally(function() plain:stop() end)
    assert.truthy(plain.stream_url:find("^mqtt://127%.0%.0%.1:%d+$"))
    assert.truthy(sim.stream_url:find("^mqtts://127%.0%.0%.1:%d+$"))
    local password = broker.log_in(plain).id_token
    local seen = broker.client(plain, "connect=" .. json.encode({ user = GCID,
      password = password }), "until=" .. CONNACK, "subscribe=" .. GCID .. "/+",
      "until=" .. SUBACK)()
    assert.equal("000000", seen.packets[1].body)
    assert.equal("00010000", seen.packets[2].body)
    local none = helper.start()
    finally(function() none:stop(); plain:stop() end)
    assert.equal(400, helper.curl("-d", "{}", none.url .. "/_sim/cardata/stream").status)
  end)

  it("takes nobody else", function()
    if no_python then return pending(no_python) end
    local cases = {
      { "mqtt 5, unknown token", 5, GCID, "no-such-token", 134 },
      { "3.1.1, unknown token", 4, GCID, "no-such-token", 4 },
      { "mqtt 5, access token", 5, GCID, token.access_token, 134 },
      { "mqtt 5, other user", 5, "someone", token.id_token, 134 },
      { "3.1.1, other user", 4, "someone", token.id_token, 4 },
    }
    for _, case in ipairs(cases) do
      local name, level, user, password, code = (unpack or table.unpack)(case) -- luacheck: ignore
      local seen = broker.client(sim, "connect=" .. json.encode({ level = level, user = user,
        password = password }), "end")()
      assert.equal(level == 5 and ("00%02x00"):format(code) or ("00%02x"):format(code),
        seen.packets[1].body, name)
      assert.equal("notify", seen["end"], name)
    end
    assert.is_false(report().connect.password_right and report().connect.username == GCID)
  end)
end)
