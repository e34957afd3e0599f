-- bmwi._mqtt: what is sent to a broker and how its packets are read, by the sections of the
-- standards: MQTT 3.1.1 and 5.
local bmwi = require("bmwi")
local helper = require("spec.helper")
local mqtt = require("spec.mqtt_helper")

local hex, packet, text = mqtt.hex, mqtt.packet, mqtt.text
local with_broker, connected, run_of = mqtt.with_broker, mqtt.connected, mqtt.run_of
local CONNACK = mqtt.CONNACK
local fails_as = helper.fails_as

local function connack(protocol)
  return "send:" .. CONNACK[protocol]
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
    { "with a password alone, 5", { password = "p4ss" },
      packet(0x10, text("MQTT") .. "0542001e" .. MAX .. text("me") .. text("p4ss")) },
    { "without a client identifier, with another keepalive", { client_id = "", keepalive = 300 },
      packet(0x10, text("MQTT") .. "0502012c" .. MAX .. text("")) },
    { "with a will, 3.1.1", { protocol = 4, will = { topic = "t", payload = "gone" } },
      packet(0x10, text("MQTT") .. "0406001e" .. text("me") .. text("t") .. text("gone")) },
    { "with a will, 5", { will = { topic = "t", payload = "", qos = 1, retain = true } },
      packet(0x10, text("MQTT") .. "052e001e" .. MAX .. text("me") .. "00" .. text("t")
        .. text("")) },
    { "with the longest password", { username = "u", password = ("p"):rep(65535) },
      packet(0x10, text("MQTT") .. "05c2001e" .. MAX .. text("me") .. text("u")
        .. text(("p"):rep(65535))) },
  }
  for _, case in ipairs(cases) do
    it(case[1], function()
      with_broker({ "read:1", connack(case[2].protocol or 5), "hold" }, case[2],
        function(connection, broker)
          connected(connection)
          assert.same({ case[3] }, broker:got())
        end)
    end)
  end

  it("is sent only once connected, in whatever pieces the connection accepts", function()
    with_broker({ "read:1", "drip:" .. CONNACK[5], "hold" }, nil, function(connection)
      assert.equal("connecting", connection:state())
      connected(connection)
      assert.equal("connected", connection:state())
    end)
  end)
end)

describe("a wrong option", function()
  local URL = "mqtt://127.0.0.1:1"
  local cases = {
    { {}, "'url' is missing" },
    { { url = "http://127.0.0.1" }, "must start with mqtts://" },
    { { url = "mqtts://host/path" }, "must end after the host and port" },
    { { url = "mqtts://user:p4ss@host" }, "character that is not allowed" },
    { { url = "mqtts://" .. ("h"):rep(700) }, "too long" },
    { { url = URL, nonsense = 1 }, "unknown option 'nonsense'" },
    { { url = URL, protocol = 3 }, "'protocol'" },
    { { url = URL, protocol = 4.5 }, "'protocol'" },
    { { url = URL, keepalive = 0 }, "'keepalive'" },
    { { url = URL, keepalive = 65536 }, "'keepalive': a number from 1 to 65535 expected" },
    { { url = URL, keepalive = "30" }, "a number expected" },
    { { url = URL, password = ("p"):rep(65536) }, "'password': longer than 65535 bytes" },
    { { url = URL, protocol = 4, password = "x" }, "without a username" },
    { { url = URL, will = { payload = "x" } }, "topic" },
    { { url = URL, will = { topic = "a/+", payload = "x" } }, "wildcard" },
    { { url = URL, will = { topic = "a", payload = "x", qos = 2 } }, "'qos'" },
    { { url = URL, proxy = "ftp://x" }, "'proxy'" },
    { { url = URL, client = io.stdout }, "bmwi.client" },
    { { url = URL, client_id = "a\0b" }, "'client_id'" },
    { { url = URL, username = "\255" }, "'username'" },
  }
  for _, case in ipairs(cases) do
    it("raises: " .. case[2], function()
      local ok, message = pcall(bmwi._mqtt.connect, case[1])
      assert.is_false(ok)
      helper.has(message, case[2])
    end)
  end

  it("of a client cannot be given together with it", function()
    local client = bmwi.new({ service = "cardata", client_id = "x" })
    for _, name in ipairs({ "ca_file", "proxy", "connect_timeout" }) do
      local ok, message = pcall(bmwi._mqtt.connect, { url = URL, client = client,
        [name] = name == "connect_timeout" and 1 or "x" })
      assert.is_false(ok)
      helper.has(message, "'client' and '" .. name .. "' are mutually exclusive")
    end
    client:close()
    assert.is_false(pcall(bmwi._mqtt.connect, { url = URL, client = client }))
  end)
end)

describe("what is sent once it is connected", function()
  for _, protocol in ipairs({ 4, 5 }) do
    local none = protocol == 5 and "00" or ""
    local as_published = protocol == 5 and 8 or 0 -- the flag "retain", section 3.8.3.1
    it("at level " .. protocol, function()
      with_broker({ "read:1", connack(protocol), "stay" }, { protocol = protocol },
        function(connection, broker)
          connected(connection)
          assert.equal(1, connection:subscribe("a/+/#"))
          assert.equal(2, connection:subscribe("b", 1))
          assert.equal(0, connection:publish("t", "x"))
          assert.equal(3, connection:publish("t", ("x"):rep(200), { qos = 1, retain = true }))
          assert.equal(0, connection:publish("t", ""))
          connection:close()
          local got = broker:await(8)
          table.remove(got, 1)
          assert.same({
            packet(0x82, "0001" .. none .. text("a/+/#") .. ("%02x"):format(as_published)),
            packet(0x82, "0002" .. none .. text("b") .. ("%02x"):format(as_published + 1)),
            packet(0x30, text("t") .. none .. hex("x")),
            packet(0x33, text("t") .. "0003" .. none .. hex(("x"):rep(200))),
            packet(0x30, text("t") .. none),
            "e000", "eof",
          }, got)
        end)
    end)
  end

  it("is DISCONNECT with a reason, or none so that the will is sent", function()
    local cases = { { 5, 4, "e00104" }, { 5, 0x82, "e00182" }, { 5, 0, "e000" }, { 4, 0, "e000" },
      { 4, 0x82, "e000" }, { 4, 4, nil } }
    for _, case in ipairs(cases) do
      with_broker({ "read:1", connack(case[1]), "stay" }, { protocol = case[1] },
        function(connection, broker)
          connected(connection)
          connection:close(case[2])
          local got = broker:await(case[3] and 3 or 2)
          assert.same({ case[3] or "eof", case[3] and "eof" }, { got[2], got[3] })
        end)
    end
  end)

  it("is refused if it is not a valid topic or filter", function()
    with_broker({ "read:1", connack(5), "stay" }, nil, function(connection)
      connected(connection)
      for _, topic in ipairs({ "", "a/+", "#", "a\0b", "\255", "\237\160\128",
        ("x"):rep(65536) }) do
        assert.is_false(pcall(connection.publish, connection, topic, ""), topic)
      end
      for _, filter in ipairs({ "", "a+", "a/+b", "#/a", "a#", "a/#/b", "\0" }) do
        assert.is_false(pcall(connection.subscribe, connection, filter), filter)
      end
      assert.is_false(pcall(connection.subscribe, connection, "a", 2))
      assert.is_false(pcall(connection.publish, connection, "a", "", { qos = 2 }))
      for _, filter in ipairs({ "#", "+", "+/+", "a/#", "/", "a//b", "\226\130\172/+" }) do
        assert.is_number(connection:subscribe(filter))
      end
    end)
  end)
end)

-- What the broker sends after CONNACK, and what receive() returns.
describe("a packet from the broker", function()
  local LONG = ("x"):rep(300)
  local cases = {
    { "PUBLISH", 4, packet(0x30, text("a/b") .. hex("hello")), { "publish", "a/b", "hello", 0,
      false } },
    { "PUBLISH, retained", 4, packet(0x31, text("a") .. hex("x")), { "publish", "a", "x", 0,
      true } },
    { "PUBLISH without a payload", 4, packet(0x30, text("a")), { "publish", "a", "", 0, false } },
    { "PUBLISH of 300 bytes", 4, packet(0x30, text("a") .. hex(LONG)), { "publish", "a", LONG, 0,
      false } },
    { "PUBLISH in UTF-8", 4, packet(0x30, text("\195\188/\226\130\172/\240\159\154\151")),
      { "publish", "\195\188/\226\130\172/\240\159\154\151", "", 0, false } },
    { "PUBLISH with all properties, 5", 5, packet(0x30, text("a") .. packet(0, "01" .. "01"
      .. "02" .. "00000001" .. "03" .. text("t") .. "08" .. text("r") .. "09" .. "0002" .. "00ff"
      .. "0b" .. "ff7f" .. "0b" .. "01" .. "26" .. text("n") .. text("v") .. "26" .. text("n")
      .. text("v")):sub(3) .. hex("x")), { "publish", "a", "x", 0, false } },
    { "PUBLISH with a length of four bytes", 4, "30848080" .. "00" .. text("a") .. hex("x"),
      { "publish", "a", "x", 0, false } },
    { "PUBLISH whose payload is zeros", 4, packet(0x30, text("a") .. "0000"), { "publish", "a",
      "\0\0", 0, false } },
    { "PINGRESP", 4, "d000" .. packet(0x30, text("a")), { "publish", "a", "", 0, false } },
    { "PUBACK that nobody waits for", 4, "40020009" .. packet(0x30, text("a")), { "publish", "a",
      "", 0, false } },
    { "SUBACK that nobody waits for", 4, "9003000900" .. packet(0x30, text("a")), { "publish", "a",
      "", 0, false } },
  }
  for _, case in ipairs(cases) do
    it(("is read: %s (level %d)"):format(case[1], case[2]), function()
      local events = run_of({ "read:1", connack(case[2]), "send:" .. case[3] },
        { protocol = case[2] })
      assert.same(case[4], events[2])
      assert.equal("network", events[3][3])
      assert.is_nil(events[4])
    end)
  end

  it("is acknowledged if it requires that", function()
    for _, protocol in ipairs({ 4, 5 }) do
      local none = protocol == 5 and "00" or ""
      with_broker({ "read:1", connack(protocol), "send:" .. packet(0x32, text("a") .. "1234" .. none
        .. hex("x")) .. packet(0x3a, text("a") .. "0001" .. none), "read:2", "stay" },
        { protocol = protocol }, function(connection, broker)
          connected(connection)
          assert.same({ "publish", "a", "x", 1, false }, { connection:receive(20) })
          assert.same({ "publish", "a", "", 1, false }, { connection:receive(20) })
          fails_as("timeout", connection:receive(0.2))
          assert.same({ "40021234", "40020001" }, { select(2,
            (unpack or table.unpack)(broker:await(3))) }) -- luacheck: ignore
        end)
    end
  end)

  it("completes what was sent", function()
    for _, case in ipairs({ { 4, "40020002" .. "9004000180" .. "01", 0, { 0x80, 1 } },
      { 5, "4003000210" .. packet(0x90, "0001" .. packet(0, "1f" .. text("no")):sub(3) .. "87"),
        0x10, { 0x87 } },
      { 5, packet(0x40, "000297" .. packet(0, "26" .. text("a") .. text("b")):sub(3))
        .. packet(0x90, "0001" .. "00" .. "00"), 0x97, { 0 } } }) do
      local steps = { "read:1", connack(case[1]), "read:2", "send:" .. case[2], "hold" }
      with_broker(steps, { protocol = case[1] }, function(connection)
        connected(connection)
        assert.equal(1, connection:subscribe("a"))
        assert.equal(2, connection:publish("a", "", { qos = 1 }))
        assert.same({ "puback", 2, case[3] }, { connection:receive(20) })
        assert.same({ "suback", 1, case[4] }, { connection:receive(20) })
      end)
    end
  end)

  it("may still be sent after a server has acknowledged a subscription as a message", function()
    with_broker({ "read:1", connack(4), "read:1", "send:40020001", "hold" }, { protocol = 4 },
      function(connection)
        connected(connection)
        assert.equal(1, connection:subscribe("a"))
        assert.equal("puback", (connection:receive(20)))
        assert.equal(2, connection:publish("a", "", { qos = 1 }))
      end)
  end)

  local function connack_with(properties)
    return packet(0x20, "0000" .. packet(0, properties):sub(3))
  end

  it("CONNACK describes the connection", function()
    for properties, expected in pairs({
      [""] = { "connected", false, 30, nil },
      ["13003c"] = { "connected", false, 60, nil },
      ["130000"] = { "connected", false, 30, nil },
      ["12" .. text("auto-7")] = { "connected", false, 30, "auto-7" },
      ["1100000000" .. "210014" .. "220000" .. "2400" .. "2500" .. "2700001000" .. "2801" .. "2901"
        .. "2a01" .. "15" .. text("m") .. "160001" .. "00" .. "1a" .. text("i") .. "1c" .. text("o")
        .. "26" .. text("a") .. text("b")] = { "connected", false, 30, nil },
    }) do
      local events = run_of({ "read:1", "send:" .. connack_with(properties) }, nil)
      assert.same(expected, events[1])
    end
    assert.same({ "connected", true, 30 }, run_of({ "read:1", "send:20020100" },
      { protocol = 4 })[1])
  end)

  -- Violations of each version of the standard; for 5 with the reason sent to the broker.
  local faults = {
    { "a remaining length of five bytes", { 4, 5 }, "30ffffffff01", "81" },
    { "a packet beyond 1 MiB", { 4, 5 }, "30fdff3f", "95" },
    { "a packet of 256 MiB", { 4, 5 }, "30ffffff7f", "95" },
    { "a packet of type 0", { 4, 5 }, "0000", "82" },
    { "CONNECT", { 4, 5 }, packet(0x10, text("MQTT")), "82" },
    { "a second CONNACK", { 4, 5 }, CONNACK[5], "82" },
    { "SUBSCRIBE", { 4, 5 }, packet(0x82, "0001" .. text("a") .. "00"), "81" },
    { "PINGREQ", { 4, 5 }, "c000", "82" },
    { "PUBREL", { 4, 5 }, "62020001", "81" },
    { "PUBREC", { 4, 5 }, "50020001", "82" },
    { "AUTH", { 4, 5 }, "f000", "82" },
    { "DISCONNECT at level 4", { 4 }, "e000" },
    { "QoS 2", { 4, 5 }, packet(0x34, text("a") .. "0001" .. "00"), "9b" },
    { "QoS 3", { 4, 5 }, packet(0x36, text("a") .. "0001" .. "00"), "81" },
    { "DUP with QoS 0", { 4, 5 }, packet(0x38, text("a") .. "00"), "81" },
    { "packet identifier 0", { 4, 5 }, packet(0x32, text("a") .. "0000" .. "00"), "82" },
    { "no packet identifier", { 4, 5 }, packet(0x32, text("a")), "81" },
    { "a topic beyond the packet", { 4, 5 }, packet(0x30, "0005" .. hex("abc")), "81" },
    { "an empty topic", { 4, 5 }, packet(0x30, "0000" .. "00"), "82" },
    { "a topic with a wildcard", { 4, 5 }, packet(0x30, text("a/+") .. "00"), "82" },
    { "a topic with NUL", { 4, 5 }, packet(0x30, text("a\0b") .. "00"), "81" },
    { "a topic that is no UTF-8", { 4, 5 }, packet(0x30, text("a\192\175") .. "00"), "81" },
    { "a topic with a surrogate", { 4, 5 }, packet(0x30, text("\237\160\128") .. "00"), "81" },
    { "flags of PINGRESP", { 4, 5 }, "d100", "81" },
    { "PINGRESP with a body", { 4, 5 }, "d00100", "81" },
    { "flags of PUBACK", { 4, 5 }, "42020001", "81" },
    { "PUBACK of one byte", { 4, 5 }, "400100", "81" },
    { "PUBACK of three bytes at level 4", { 4 }, "4003000100" },
    { "SUBACK without a code", { 4, 5 }, "9003000100", "81", skip = 4 },
    { "SUBACK of two bytes", { 4, 5 }, "90020001", "81" },
    { "a topic alias", { 5 }, packet(0x30, text("a") .. "03230001"), "94" },
    { "an unknown property", { 5 }, packet(0x30, text("a") .. "027e00"), "81" },
    { "a property of another packet", { 5 }, packet(0x30, text("a") .. "0313003c"), "82" },
    { "a property twice", { 5 }, packet(0x30, text("a") .. "0401000100"), "82" },
    { "properties beyond the packet", { 5 }, packet(0x30, text("a") .. "0501"), "81" },
    { "a property that ends early", { 5 }, packet(0x30, text("a") .. "0302" .. "0000"), "81" },
    { "a property's text beyond the properties", { 5 }, packet(0x30, text("a") .. "0403" .. "0009"
      .. "61"), "81" },
    { "a property length of five bytes", { 5 }, packet(0x30, text("a") .. "8080808001"), "81" },
  }
  for _, case in ipairs(faults) do
    for _, protocol in ipairs(case[2]) do
      if case.skip ~= protocol then
        it(("breaks the protocol: %s (level %d)"):format(case[1], protocol), function()
          local good = packet(0x30, text("a") .. (protocol == 5 and "00" or ""))
          with_broker({ "read:1", connack(protocol), "send:" .. good .. case[3], "stay" },
            { protocol = protocol }, function(connection, broker)
              connected(connection)
              assert.equal("publish", (connection:receive(20))) -- what was good is not lost
              local message, info = fails_as("server", connection:receive(20))
              helper.has(message, "broke the protocol")
              assert.equal("session", info.phase)
              assert.is_nil(info.reason)
              local got = broker:await(protocol == 5 and 3 or 2)
              assert.equal(protocol == 5 and "e001" .. case[4] or "eof", got[2])
            end)
        end)
      end
    end
  end

  it("breaks the protocol before CONNACK", function()
    for _, case in ipairs({ packet(0x30, text("a") .. "00"), "d000", "ff00", "2100", "2003020000",
      "2003010000", "2002", "20020000", "20020006", "200500000221" .. "0000", "20050000022402",
      "20080000052700000000", packet(0x20, "000003" .. "2100"),
      packet(0x20, "000006" .. "210001" .. "210001") }) do
      local events = run_of({ "read:1", "send:" .. case })
      assert.is_nil(events[1][1], case)
      assert.equal("connack", events[1][4].phase)
      assert.truthy(events[1][3] == "server" or case == "2002" and events[1][3] == "network", case)
    end
  end)

  it("may be up to 1 MiB, and no more", function()
    local size = 1024 * 1024 - 4
    local body = text("a") .. hex(("x"):rep(size - 3))
    local events = run_of({ "read:1", connack(4), "file:" .. mqtt.file(packet(0x30, body)) },
      { protocol = 4 })
    assert.equal("publish", events[2][1])
    assert.equal(size - 3, #events[2][3])
    events = run_of({ "read:1", connack(4), "file:" .. mqtt.file(packet(0x30, body .. "78")) },
      { protocol = 4 })
    assert.equal("server", events[2][3])
  end)

  it("may come in any pieces, and many of them at once", function()
    local one = packet(0x30, text("a/b") .. "00" .. hex(("x"):rep(130)))
    local events = run_of({ "read:1", "drip:" .. CONNACK[5] .. one, "send:" .. one:rep(100)
      .. one:sub(1, 20), "sleep:0.1", "send:" .. one:sub(21) })
    assert.equal(104, #events)
    for i = 2, 103 do assert.equal(130, #events[i][3]) end
  end)
end)

describe("the end", function()
  local cases = {
    { "3.1.1 CONNACK 1", { "read:1", "send:20020001" }, { protocol = 4 },
      { code = "server", phase = "connack", reason = 1,
        reason_name = "unacceptable protocol version" } },
    { "3.1.1 CONNACK 4", { "read:1", "send:20020004" }, { protocol = 4 },
      { code = "auth", phase = "connack", reason = 4, reason_name = "bad user name or password" } },
    { "3.1.1 CONNACK 5", { "read:1", "send:20020005" }, { protocol = 4 },
      { code = "auth", phase = "connack", reason = 5, reason_name = "not authorized" } },
    { "3.1.1 CONNACK 1 in answer to level 5", { "read:1", "send:20020001" }, {},
      { code = "server", phase = "connack", reason = 1,
        reason_name = "unacceptable protocol version" } },
    { "5 CONNACK 134", { "read:1", "send:2003008600" }, {},
      { code = "auth", phase = "connack", reason = 134 } },
    { "5 CONNACK 135", { "read:1", "send:2003008700" }, {},
      { code = "auth", phase = "connack", reason = 135, reason_name = "not authorized" } },
    { "5 CONNACK 138", { "read:1", "send:2003008a00" }, {},
      { code = "forbidden", phase = "connack", reason = 138, reason_name = "banned" } },
    { "5 CONNACK 159 with words", { "read:1", "send:" .. packet(0x20, "009f"
      .. packet(0, "1f" .. text("slow\1down")):sub(3)) }, {},
      { code = "server", phase = "connack", reason = 159, description = "slow down",
        reason_name = "connection rate exceeded", retryable = true } },
    { "a bare end before CONNACK", { "read:1" }, {}, { code = "network", phase = "connack",
      eof = true, retryable = true } },
    { "a bare end", { "read:1", connack(5), "sleep:0.1" }, {}, { code = "network",
      phase = "session", eof = true, retryable = true } },
    { "a reset", { "read:1", connack(5), "sleep:0.1", "reset" }, {}, { code = "network",
      phase = "session" } },
    { "DISCONNECT 142", { "read:1", connack(5), "send:e0018e", "stay" }, {},
      { code = "server", phase = "session", reason = 142, reason_name = "session taken over" } },
    { "DISCONNECT without a reason", { "read:1", connack(5), "send:e000", "stay" }, {},
      { code = "server", phase = "session", reason = 0 } },
    { "DISCONNECT 135 with words", { "read:1", connack(5), "send:" .. packet(0xe0, "87"
      .. packet(0, "1f" .. text("token expired")):sub(3)), "stay" }, {},
      { code = "auth", phase = "session", reason = 135, description = "token expired" } },
    { "an unknown reason", { "read:1", connack(5), "send:e001ff", "stay" }, {},
      { code = "server", phase = "session", reason = 255, reason_name = "unknown reason" } },
  }
  for _, case in ipairs(cases) do
    it("is reported correctly: " .. case[1], function()
      local events, again = run_of(case[2], case[3])
      local last = events[#events]
      for name, value in pairs(case[4]) do
        assert.same(value, name == "code" and last[3] or last[4][name], name)
      end
      assert.is_nil(case[4].eof == nil and last[4].eof or nil)
      assert.same(last, again)
    end)
  end

  it("comes after everything received before it", function()
    local one = packet(0x30, text("a") .. "00")
    local events = run_of({ "read:1", "send:" .. CONNACK[5] .. one .. one .. "e0018e" .. one })
    assert.same({ "connected", "publish", "publish" }, { events[1][1], events[2][1], events[3][1] })
    assert.equal(142, events[4][4].reason)
  end)

  it("is the protocol error, even if the broker left before it was read", function()
    with_broker({ "read:1", "send:" .. CONNACK[5] .. packet(0x36, text("a") .. "0001" .. "00") },
      nil, function(connection)
        local start = bmwi._sys.monotonic()
        while connection:state() ~= "closed" do
          assert(helper.since(start) < 60, "it does not end")
          bmwi.loop:step(0.05)
        end
        connected(connection)
        local message, info = fails_as("server", connection:receive())
        helper.has(message, "malformed")
        assert.is_nil(info.eof)
      end)
  end)

  it("shows no password that the broker echoes", function()
    local secret = "eyJhbGciOi.s3cret-Token"
    for _, steps in ipairs({
      { "read:1", "send:" .. packet(0x20, "0086" .. packet(0, "1f" .. text("bad " .. secret))
        :sub(3)) },
      { "read:1", connack(5), "send:" .. packet(0xe0, "87" .. packet(0, "1f" .. text(secret))
        :sub(3)), "stay" } }) do
      local events = run_of(steps, { username = "u", password = secret })
      local last = events[#events]
      assert.equal("auth", last[3])
      assert.is_nil((last[2] .. last[4].description):find("s3cret", 1, true))
    end
  end)

  it("names an unused port, an unknown host and a missing TLS", function()
    local probe = mqtt.broker("hold")
    probe:stop()
    local cases_of = {
      { { url = probe.url }, "network" },
      { { url = "mqtt://no-such-host.invalid:1883" }, "network" },
    }
    for _, case in ipairs(cases_of) do
      local connection = bmwi._mqtt.connect(case[1])
      local _, info = fails_as(case[2], connection:receive(20))
      assert.equal("connect", info.phase)
    end
    for _, answer in ipairs({ "send:" .. hex("HTTP/1.1 400 Bad Request\r\n\r\n"), "close" }) do
      local events = run_of({ "read:1", answer }, nil, "mqtts")
      assert.equal("tls", events[1][3], events[1][2])
      assert.equal("connect", events[1][4].phase)
      assert.is_true(events[1][4].retryable)
      helper.has(events[1][4].hint, "use TLS")
    end
  end)
end)

describe("the option stream_url", function()
  local function url_of(url)
    local client = bmwi.new({ service = "cardata", client_id = "x", stream_url = url })
    local kept = client:_option("stream_url")
    client:close()
    return kept
  end

  it("is BMW's broker or another one, without TLS only on this machine", function()
    assert.equal("mqtts://customer.streaming-cardata.bmwgroup.com:9000", url_of(nil))
    assert.equal("mqtts://host:1", url_of("MQTTS://host:1/"))
    assert.equal("mqtt://127.0.0.1:1", url_of("mqtt://127.0.0.1:1"))
    for url, words in pairs({ ["mqtt://host:1"] = "loopback", ["https://host"] = "mqtts://",
      ["mqtts://host/x"] = "path", ["mqtts://host:0"] = "port" }) do
      local ok, message = pcall(url_of, url)
      assert.is_false(ok)
      helper.has(message, words)
    end
  end)
end)
