-- bmwi._mqtt: what goes over the wire to a broker and what is made of its packets, by the sections
-- of the standards: MQTT 3.1.1 and 5.
local bmwi = require("bmwi")
local async = require("bmwi.async")
local helper = require("spec.helper")
local mqtt = require("spec.mqtt_helper")

local hex, packet, text = mqtt.hex, mqtt.packet, mqtt.text
local fails_as = helper.fails_as

local CONNACK5, CONNACK4 = "2003000000", "20020000"
local LIMIT = 20 -- seconds for what takes none

local function connect(broker, options)
  local all = { url = broker.url, client_id = "me" }
  for name, value in pairs(options or {}) do all[name] = value end
  return bmwi._mqtt.connect(all)
end

-- Connects, and has a function use the connection with what a broker does that follows the steps.
local function with_broker(steps, options, fn)
  local broker = mqtt.broker((unpack or table.unpack)(steps)) -- luacheck: ignore
  local connection = connect(broker, options)
  local ok, message = pcall(fn, connection, broker)
  connection:close()
  broker:stop()
  assert(ok, message)
end

local function connected(connection)
  assert.same({ "connected", false }, { (connection:receive(LIMIT)), false })
end

describe("CONNECT", function()
  local MAX = "0527" .. "00100000" -- maximum packet size 1 MiB
  local cases = {
    { "3.1.1 section 3.1", { protocol = 4 },
      packet(0x10, text("MQTT") .. "0402001e" .. text("me")) },
    { "5 section 3.1", {}, packet(0x10, text("MQTT") .. "0502001e" .. MAX .. text("me")) },
    { "with a user name and a password", { username = "joe", password = "p4ss" },
      packet(0x10, text("MQTT") .. "05c2001e" .. MAX .. text("me") .. text("joe")
        .. text("p4ss")) },
    { "without a client identifier, of another keepalive", { client_id = "", keepalive = 300 },
      packet(0x10, text("MQTT") .. "0502012c" .. MAX .. text("")) },
    { "with a will, 3.1.1", { protocol = 4, will = { topic = "t", payload = "gone" } },
      packet(0x10, text("MQTT") .. "0406001e" .. text("me") .. text("t") .. text("gone")) },
    { "with a will, 5", { will = { topic = "t", payload = "", qos = 1, retain = true } },
      packet(0x10, text("MQTT") .. "052e001e" .. MAX .. text("me") .. "00" .. text("t")
        .. text("")) },
  }
  for _, case in ipairs(cases) do
    it(case[1], function()
      with_broker({ "read:1", "send:" .. (case[2].protocol == 4 and CONNACK4 or CONNACK5), "hold" },
        case[2], function(connection, broker)
          connected(connection)
          assert.same({ case[3] }, broker:got())
        end)
    end)
  end
end)

describe("what is sent once it is connected", function()
  for _, protocol in ipairs({ 4, 5 }) do
    local none = protocol == 5 and "00" or ""
    it("at level " .. protocol, function()
      with_broker({ "read:1", "send:" .. (protocol == 4 and CONNACK4 or CONNACK5), "stay" },
        { protocol = protocol }, function(connection, broker)
          connected(connection)
          assert.equal(1, connection:subscribe("a/+/#"))
          assert.equal(2, connection:subscribe("b", 1))
          assert.equal(0, connection:publish("t", "x"))
          assert.equal(3, connection:publish("t", ("x"):rep(200), { qos = 1, retain = true }))
          connection:close()
          assert.same({
            packet(0x82, "0001" .. none .. text("a/+/#") .. "00"),
            packet(0x82, "0002" .. none .. text("b") .. "01"),
            packet(0x30, text("t") .. none .. hex("x")),
            packet(0x33, text("t") .. "0003" .. none .. hex(("x"):rep(200))),
            "e000", "eof",
          }, { select(2, (unpack or table.unpack)(broker:await(7))) }) -- luacheck: ignore
        end)
    end)
  end
end)

describe("against mosquitto", function()
  for _, tls in ipairs({ false, true }) do
    for _, protocol in ipairs({ 4, 5 }) do
      it(("level %d, %s"):format(protocol, tls and "TLS" or "plain"), function()
        if mqtt.no_mosquitto() then return pending(mqtt.no_mosquitto()) end
        local server = mqtt.mosquitto(nil, tls)
        finally(function() server:stop() end)
        local c = connect(server, { protocol = protocol, ca_file = server.ca })
        connected(c)
        assert.equal(1, c:subscribe("a/+", 1))
        assert.same({ "suback", 1, { 1 } }, { c:receive(LIMIT) })
        assert.equal(2, c:publish("a/b", "hello", { qos = 1 }))
        local got = {}
        for _ = 1, 2 do
          local what, a, b, qos, retain = c:receive(LIMIT)
          got[what] = { a, b, qos, retain }
        end
        assert.same({ publish = { "a/b", "hello", 1, false }, puback = { 2, 0 } }, got)
        local large = ("x"):rep(700000)
        assert.equal(0, c:publish("a/large", large))
        local _, topic, payload = c:receive(LIMIT)
        assert.equal("a/large", topic)
        assert.truthy(payload == large)
        c:close()
        fails_as("closed", c:receive())
      end)
    end
  end
end)

describe("a wait", function()
  it("ends in time, and the connection goes on", function()
    with_broker({ "read:1", "send:" .. CONNACK5, "stay" }, nil, function(connection)
      connected(connection)
      local _, info = fails_as("timeout", connection:receive(0.05))
      assert.is_true(info.waiting)
      assert.equal("connected", connection:state())
      assert.equal(1, connection:subscribe("x"))
    end)
  end)

  it("yields in a task", function()
    with_broker({ "read:1", "sleep:0.3", "send:" .. CONNACK5 .. packet(0x30, text("t") .. "00ff") },
      nil, function(connection)
        local order = {}
        async.run(function()
          for i = 1, 3 do
            local what, _, code = connection:receive(LIMIT)
            order[#order + 1] = i < 3 and what or code
          end
        end, function()
          bmwi.sleep(0.01)
          order[#order + 1] = "other"
        end)
        assert.same({ "other", "connected", "publish", "network" }, order)
      end)
  end)
end)

describe("the end", function()
  local cases = {
    { "3.1.1 CONNACK 4", { "read:1", "send:20020004" }, { protocol = 4 },
      { code = "auth", phase = "connack", reason = 4, reason_name = "bad user name or password" } },
    { "5 CONNACK 135", { "read:1", "send:2003008700" }, {},
      { code = "auth", phase = "connack", reason = 135, reason_name = "not authorized" } },
    { "a bare end before CONNACK", { "read:1" }, {}, { code = "network", phase = "connack",
      eof = true } },
    { "a bare end", { "read:1", "send:" .. CONNACK5, "sleep:0.1" }, {}, { code = "network",
      phase = "session", eof = true } },
    { "DISCONNECT 142", { "read:1", "send:" .. CONNACK5 .. "e0018e", "stay" }, {},
      { code = "server", phase = "session", reason = 142, reason_name = "session taken over" } },
  }
  for _, case in ipairs(cases) do
    it(case[1], function()
      local results
      with_broker(case[2], case[3], function(connection)
        repeat
          results = { connection:receive(LIMIT) }
        until results[1] == nil
        assert.same(results, { connection:receive() })
      end)
      for name, value in pairs(case[4]) do
        assert.same(value, name == "code" and results[3] or results[4][name], name)
      end
    end)
  end
end)
