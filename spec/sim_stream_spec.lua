--- The simulated stream, used through mosquitto's clients and a small one (spec/mqtt.py) that shows
--- the received bytes.
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

  -- mosquitto_sub in the background, which ends after this many messages.
  local function mosquitto_sub(version, count, ...)
    local words = { "timeout 20 mosquitto_sub -V", version, "-h 127.0.0.1 -p", sim.stream_port,
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
      it("accepts the id_token for the user's gcid and streams what is published", function()
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

  it("streams a car's changes, typed", function()
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

  it("works without TLS too, and only if requested", function()
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

  it("accepts nobody else", function()
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

  -- ---- the small client ----

  local function client(...) return broker.client(sim, ...) end

  local function connect(more)
    local all = { user = GCID, password = token.id_token }
    for name, value in pairs(more or {}) do all[name] = value end
    return "connect=" .. json.encode(all)
  end

  -- What is sent to a client from its SUBACK on.
  local function subscriber(more, ...)
    return client(connect(more), "until=" .. CONNACK, "subscribe=" .. GCID .. "/+", ...)
  end

  local function connected(n)
    return wait(function(seen)
      local count = 0
      for _, one in ipairs(seen.connections) do
        if one.state == "connected" then count = count + 1 end
      end
      return count == (n or 1)
    end)
  end

  local function advance(seconds) sim:control("POST", "/clock", { advance = seconds }) end

  -- The packets in short: type and body in hexadecimal digits.
  local function story(seen)
    local list = {}
    for i, one in ipairs(seen.packets) do
      list[i] = ("%d %s"):format(math.floor(one.first / 16), one.body)
    end
    return list
  end

  -- The payloads of the messages, as text.
  local function payloads(seen, level)
    local list = {}
    for _, one in ipairs(seen.packets) do
      if math.floor(one.first / 16) == 3 then
        local body = one.body:gsub("%x%x", function(byte)
          return string.char(tonumber(byte, 16))
        end)
        local length = body:byte(1) * 256 + body:byte(2)
        local rest = body:sub(3 + length)
        if level ~= 4 then rest = rest:sub(2 + rest:byte(1)) end
        list[#list + 1] = rest
      end
    end
    return list
  end

  local function spec(name, fn)
    it(name, function()
      if no_python then return pending(no_python) end
      fn()
    end)
  end

  spec("answers a CONNECT with any code", function()
    local codes = { [4] = { 1, 5, 151 }, [5] = { 1, 128, 134, 159 } }
    for level, list in pairs(codes) do
      for _, code in ipairs(list) do
        set({ connack = code, connack_times = 1 })
        local seen = client(connect({ level = level }), "end")()
        assert.same({ ("2 00%02x"):format(code) .. (level == 5 and "00" or "") }, story(seen))
        assert.equal("notify", seen["end"])
      end
    end
    assert.same({ "2 000000" }, story(client(connect(), "until=2")()))
    set({ connack = 137 })
    for _ = 1, 2 do assert.same({ "2 008900" }, story(client(connect(), "end")())) end
    set({ connack = json.null })
    assert.same({ "2 000000" }, story(client(connect(), "until=2")()))
  end)

  spec("answers a CONNECT late, never, or with other bytes", function()
    set({ connack_delay = 1000 })
    local finish = client(connect(), "until=2")
    local seen = connected()
    assert.equal(5, seen.connections[1].unsent)
    advance(1000)
    assert.same({ "2 000000" }, story(finish()))
    set({ connack_delay = json.null, connack_silent = true })
    seen = client(connect(), "listen=0.3")()
    assert.same({ {}, "open" }, { seen.packets, seen["end"] })
    set({ connack_silent = false, connack_raw = "2003000012f0" })
    seen = client(connect(), "listen=0.3")()
    assert.same({ "2 000012" }, story(seen)) -- and one byte of the next packet
    assert.equal("open", seen["end"])
    assert.equal(400, helper.curl("-k", "-d", '{"connack_raw":"2g"}',
      sim.url .. "/_sim/cardata/stream").status)
  end)

  spec("refuses other levels of the protocol", function()
    assert.same({ "2 0001" }, story(client("send=100d00044d5154540302001e000161", "end")()))
    assert.same({ "2 008400" }, story(client("send=100d00044d5154540602001e000161", "end")()))
    set({ protocol = 4 })
    assert.same({ "2 0001" }, story(client(connect(), "end")()))
    assert.same({ "2 0000" }, story(client(connect({ level = 4 }), "until=2")()))
  end)

  spec("gives a client without an id one, and says how often it wants to hear of it", function()
    local seen = client(connect({ client_id = "" }), "until=2")()
    assert.truthy(seen.packets[1].body:find("^0000181200156175746f2d%x+$"), seen.packets[1].body)
    set({ server_keep_alive = 60 })
    assert.same({ "2 00000313003c" }, story(client(connect(), "until=2")()))
    assert.same({ "2 0000" }, story(client(connect({ level = 4 }), "until=2")()))
  end)

  spec("refuses who comes back too soon", function()
    set({ refuse_after_disconnect = 10 })
    client(connect(), "until=2", "send=e000", "end")()
    assert.same({ "2 008700" }, story(client(connect(), "end")()))
    assert.same({ "2 0005" }, story(client(connect({ level = 4 }), "end")()))
    advance(10)
    assert.same({ "2 000000" }, story(client(connect(), "until=2")()))
  end)

  for _, case in ipairs({ { 5, 0, "the end" }, { 5, 135, "14 8700" }, { 5, 160, "14 a000" },
    { 4, 160, "the end" } }) do
    local level, reason, last = (unpack or table.unpack)(case) -- luacheck: ignore
    spec(("ends at the token's exp: level %d, reason %d"):format(level, reason), function()
      set({ expire_reason = reason })
      local finish = client(connect({ level = level, keepalive = 0 }), "end")
      set({ keepalive_limit = 0 })
      connected()
      sim:control("POST", "/cardata/token", { expire_id = true })
      local seen = finish()
      assert.equal("notify", seen["end"])
      assert.equal(last == "the end" and "2" or last, story(seen)[#seen.packets]:sub(1,
        last == "the end" and 1 or -1))
      assert.equal("expired", report().attempts[1].ended)
      assert.same({ level == 5 and "2 008600" or "2 0004" },
        story(client(connect({ level = level }), "end")()))
      assert.is_false(report().connect.password_right)
    end)
  end

  spec("goes by the life of the token", function()
    sim:control("POST", "/cardata/token", { expires_in = 20 })
    token = broker.log_in(sim)
    local finish = client(connect(), "end")
    connected()
    advance(20)
    assert.equal("notify", finish()["end"])
    assert.equal("expired", report().attempts[1].ended)
  end)

  spec("wants the scope of the stream, and dynamic scopes", function()
    sim:control("POST", "/cardata/token", { scope = "authenticate_user openid cardata:api:read" })
    token = broker.log_in(sim)
    assert.same({ "2 008700" }, story(client(connect(), "end")()))
    sim:control("POST", "/cardata/token", { scope = json.null, no_dynamic_scopes = true })
    token = broker.log_in(sim)
    assert.same({ "2 000000", "9 00010087" }, story(subscriber({}, "end")()))
  end)

  spec("has one connection for each user, the newest", function()
    for _, case in ipairs({ { 5, 0, { "2 000000" } }, { 5, 142, { "2 000000", "14 8e00" } },
      { 4, 142, { "2 0000" } } }) do
      local level, reason, packets = (unpack or table.unpack)(case) -- luacheck: ignore
      set({ kick_reason = reason })
      local finish = client(connect({ level = level }), "end")
      connected()
      assert.equal(1, #client(connect({ client_id = "other" }), "until=2")().packets)
      local seen = finish()
      assert.same(packets, story(seen))
      assert.equal("notify", seen["end"])
      wait(function(now) return #now.connections == 0 end)
    end
    local ends = {}
    for i, one in ipairs(report().attempts) do ends[i] = one.ended end
    assert.equal("taken over", ends[1])
  end)

  spec("limits how often an address may connect", function()
    set({ rate_limit = 2 })
    for _ = 1, 2 do client(connect(), "until=2")() end
    assert.same({ "2 009f00" }, story(client(connect(), "end")()))
    assert.same({ "2 0003" }, story(client(connect({ level = 4 }), "end")()))
    set({ rate_silent = true })
    local seen = client(connect(), "listen=0.3")()
    assert.same({ {}, "open" }, { seen.packets, seen["end"] })
    advance(60)
    assert.same({ "2 000000" }, story(client(connect(), "until=2")()))
    assert.equal(6, report().attempt_count)
    assert.equal("127.0.0.1", report().attempts[6].address)
  end)

  spec("refuses other topics and hangs up", function()
    for _, topic in ipairs({ VIN, GCID .. "/#", GCID .. "/" .. VIN .. "/a",
      "bb111192-d570-4d3d-8835-656ee00edcd7/+" }) do
      local seen = client(connect(), "until=2", "subscribe=" .. topic, "end")()
      assert.same({ "2 000000", "9 00010087" }, story(seen), topic)
      assert.equal("notify", seen["end"])
    end
    local seen = client(connect({ level = 4 }), "until=2", "subscribe=" .. VIN, "end")()
    assert.same({ "2 0000", "9 000180" }, story(seen))
    seen = client(connect(), "until=2", "subscribe=" .. GCID .. "/" .. VIN, "until=9")()
    assert.same({ "2 000000", "9 00010000" }, story(seen))
  end)

  spec("answers a SUBSCRIBE with any code, late, never, or with other bytes", function()
    for _, code in ipairs({ 0, 1, 2 }) do
      set({ suback = code })
      assert.equal(("9 000100%02x"):format(code), story(subscriber({}, "until=9")())[2])
    end
    set({ suback = 128 })
    assert.equal("notify", subscriber({}, "end")()["end"])
    set({ suback = 128, suback_open = true })
    assert.equal("open", subscriber({}, "until=9", "listen=0.2")()["end"])
    set({ suback = json.null, suback_raw = "9003000105" })
    assert.equal("9 000105", story(subscriber({}, "until=9")())[2])
    set({ suback_raw = json.null, suback_silent = true })
    local seen = subscriber({}, "listen=0.3")()
    assert.same({ 1, "open" }, { #seen.packets, seen["end"] })
    set({ suback_silent = false, suback_delay = 1000 })
    local finish = subscriber({}, "until=9")
    wait(function(now) return now.connections[1] and now.connections[1].unsent > 0 end)
    advance(1000)
    assert.equal(2, #finish().packets)
  end)

  spec("publishes before the SUBACK where a test wants it", function()
    set({ publish_first = true })
    local seen = subscriber({}, "until=9")()
    assert.equal(3, #seen.packets)
    assert.truthy(json.decode(payloads(seen)[1]).data[MILEAGE])
  end)

  spec("answers pings, or does not", function()
    assert.equal("13 ", story(client(connect(), "until=2", "send=c000", "until=13")())[2])
    set({ ping_silent = true })
    local seen = client(connect(), "until=2", "send=c000", "listen=0.3")()
    assert.same({ 1, "open" }, { #seen.packets, seen["end"] })
    assert.equal(2, report().received.PINGREQ)
    assert.equal(1, report().sent.PINGRESP)
  end)

  spec("misses a client that is silent for one and a half times its keepalive", function()
    set({ keepalive_reason = 141 })
    local finish = client(connect(), "end")
    connected()
    advance(40)
    connected()
    advance(6)
    local seen = finish()
    assert.same({ "2 000000", "14 8d00" }, story(seen))
    assert.equal("keepalive", report().attempts[1].ended)
  end)

  spec("cuts a keepalive above 30 after 75 seconds", function()
    for _, keepalive in ipairs({ 60, 0 }) do
      sim:reset()
      token = broker.log_in(sim)
      local finish = client(connect({ keepalive = keepalive }), "end")
      connected()
      advance(70)
      connected()
      advance(5)
      assert.equal("notify", finish()["end"])
      assert.equal("keepalive too long", report().attempts[1].ended)
    end
  end)

  spec("stalls before it accepts, and before the TLS handshake", function()
    set({ stall = 1000 })
    local finish = client(connect(), "until=2")
    local said = helper.shell("curl -s -w '%{time_connect}' --connect-timeout 1 -m 5 "
      .. "telnet://127.0.0.1:" .. sim.stream_port .. " </dev/null")
    assert.equal(0, tonumber(said), "TCP answered")
    assert.equal(0, report().attempt_count)
    advance(1000)
    assert.equal(1, #finish().packets)
    assert.equal(1, report().attempt_count)
    set({ handshake_delay = 1000 })
    finish = client(connect(), "until=2")
    wait(function(seen) return seen.connections[1] and seen.connections[1].state == "opening" end)
    advance(1000)
    assert.same({ "2 000000" }, story(finish()))
  end)

  spec("goes silent on a connection and serves the next", function()
    local finish = client(connect(), "until=2", "send=c000", "listen=1")
    wait(function(seen) return seen.sent.PINGRESP end)
    set({ ["end"] = "freeze" })
    set({ publish = { all = true } })
    assert.equal(1, #client(connect(), "until=2")().packets)
    local seen = finish()
    assert.same({ 2, "open" }, { #seen.packets, seen["end"] })
    assert.is_true(report().connections[1].frozen)
  end)

  spec("sends a packet in pieces, each a TLS record of its own", function()
    set({ chunk = 1 })
    local seen = client(connect(), "until=2")()
    assert.equal(4, seen.packets[1].last_read - seen.packets[1].first_read)
    set({ chunk_pause = 0.01 })
    seen = client(connect(), "until=2")()
    assert.equal(4, seen.packets[1].last_read - seen.packets[1].first_read)
    set({ chunk = 100, chunk_pause = json.null })
    local finish = subscriber({}, "until=3")
    wait(subscribed)
    set({ publish = { data = { [MILEAGE] = 1 } } })
    seen = finish()
    assert.truthy(seen.packets[3].last_read - seen.packets[3].first_read >= 2)
  end)

  spec("sends several packets in one TLS record", function()
    local finish = subscriber({}, "until=3", "until=3", "until=3")
    wait(subscribed)
    set({ publish = { { data = { [MILEAGE] = 1 } }, { data = { [MILEAGE] = 2 }, times = 2 } } })
    local seen = finish()
    assert.equal(5, #seen.packets)
    for i = 3, 5 do assert.equal(seen.packets[3].first_read, seen.packets[i].last_read) end
    assert.equal(payloads(seen)[2], payloads(seen)[3])
    set({ gather = 1000 })
    finish = client(connect(), "subscribe=" .. GCID .. "/+", "until=9")
    wait(function(now) return now.connections[1] and now.connections[1].unsent == 11 end)
    advance(1000)
    seen = finish()
    assert.equal(seen.packets[1].first_read, seen.packets[2].last_read)
  end)

  spec("writes the remaining length in more bytes than it needs", function()
    for _, count in ipairs({ 2, 4 }) do
      set({ length_bytes = count })
      local seen = client(connect(), "until=2")()
      assert.same({ count, "000000" }, { seen.packets[1].length_bytes, seen.packets[1].body })
    end
  end)

  for _, level in ipairs({ 4, 5 }) do
    spec("sends payloads of any size: level " .. level, function()
      local finish = subscriber({ level = level }, "until=3")
      wait(subscribed)
      set({ publish = { data = { [MILEAGE] = 1 }, pad = 100000 } })
      local seen = finish()
      local text = payloads(seen, level)[1]
      assert.equal(100000, #text)
      assert.equal(1, json.decode(text).data[MILEAGE].value)
      assert.equal(3, seen.packets[3].length_bytes)
      -- in records of 16 KiB
      assert.truthy(seen.packets[3].last_read - seen.packets[3].first_read >= 6)
      finish = subscriber({ level = level }, "until=3")
      wait(function(now) return now.received.SUBSCRIBE == 2 end)
      set({ publish = { data = { [MILEAGE] = 1 }, pad = 3000000 } })
      seen = finish()
      assert.equal(3000000, #payloads(seen, level)[1])
      assert.equal(4, seen.packets[3].length_bytes)
    end)
  end

  spec("uses topic aliases where it is told to", function()
    local topic = GCID .. "/" .. VIN
    local plain = ("%04x"):format(#topic) .. topic:gsub(".", function(c)
      return ("%02x"):format(c:byte())
    end)
    local cases = {
      { 1, nil, plain .. "00", plain .. "00" },
      { 1, 5, plain .. "03230001", "000003230001" },
      { 2, nil, plain .. "03230001", "000003230001" },
    }
    for _, case in ipairs(cases) do
      sim:reset()
      token = broker.log_in(sim)
      set({ topic_alias = case[1] })
      local finish = subscriber({ aliases = case[2] }, "until=3", "until=3")
      wait(subscribed)
      set({ publish = { payload = "x", times = 2 } })
      local packets = story(finish())
      assert.equal("3 " .. case[3] .. "78", packets[3])
      assert.equal("3 " .. case[4] .. "78", packets[4])
    end
  end)

  spec("publishes what no parser may take for granted", function()
    local finish = subscriber({}, "until=3", "until=3", "until=3", "until=3", "until=3")
    wait(subscribed)
    set({ publish = {
      { vin = "WBY00000000000000", data = { [MILEAGE] = 1 } },
      { data = { [MILEAGE] = 2 }, age = -3600 },
      { data = { [MILEAGE] = { value = 3, age = 7200 }, ["vehicle.isMoving"] = { value = json.null,
        timestamp = "null" } } },
      { payload = "{" },
      { topic = GCID .. "/x", payload = "y", qos = 1, retain = true, dup = true },
    } })
    local seen = finish()
    local texts = payloads(seen)
    assert.equal("WBY00000000000000", json.decode(texts[1]).vin)
    local function hour(offset) return os.date("!%Y-%m-%dT%H", os.time() + offset) end
    assert.equal(hour(3600), json.decode(texts[2]).data[MILEAGE].timestamp:sub(1, 13))
    local third = json.decode(texts[3]).data
    assert.equal(hour(-7200), third[MILEAGE].timestamp:sub(1, 13))
    assert.same({ value = json.null, timestamp = "null" }, third["vehicle.isMoving"])
    assert.equal("{", texts[4])
    assert.equal(0x3b, seen.packets[7].first)
    assert.truthy(seen.packets[7].body:find("2f7800010079$"))
  end)

  spec("publishes a burst of keys in one message or one in each", function()
    local data = {}
    for i = 1, 100 do data["vehicle.key" .. i] = i end
    local steps = { "until=3" }
    for i = 1, 100 do steps[i + 1] = "until=3" end
    local finish = subscriber({}, (unpack or table.unpack)(steps)) -- luacheck: ignore
    wait(subscribed)
    set({ publish = { data = data } })
    set({ publish = { data = data, each = true } })
    local texts = payloads(finish())
    assert.equal(101, #texts)
    assert.equal(100, #helper.names(json.decode(texts[1]).data))
    local names = {}
    for i = 2, 101 do
      for name in pairs(json.decode(texts[i]).data) do names[name] = true end
    end
    assert.equal(100, #helper.names(names))
  end)

  spec("loses nothing for a client that reads slowly, up to a limit", function()
    local finish = subscriber({}, "until=9", "hold=2", "count=3001")
    wait(subscribed)
    set({ publish = { { payload = "{}" }, { data = { x = 1 }, pad = 3000, times = 3000 } } })
    assert.truthy(report().connections[1].unsent > 0)
    local seen = finish()
    assert.same({ 3001, "open" }, { seen.messages, seen["end"] })
    finish = subscriber({}, "until=9", "hold=1", "end")
    wait(function(now) return now.received.SUBSCRIBE == 2 end)
    set({ publish = { data = { x = 1 }, pad = 3000, times = 25000 } })
    assert.equal("the client does not read", report().attempts[2].ended)
    finish()
  end)

  spec("takes subscriptions back", function()
    for level, answers in pairs({ [4] = { "11 0002", "11 0002" },
      [5] = { "11 00020000", "11 00020011" } }) do
      local filter = GCID .. "/+"
      local finish = subscriber({ level = level }, "until=9", "unsubscribe=" .. filter, "until=11",
        "unsubscribe=" .. filter, "until=11", "send=c000", "until=13")
      set({ publish = { payload = "x" } })
      local packets = story(finish())
      assert.equal("13 ", table.remove(packets))
      assert.same(answers, { packets[#packets - 1], packets[#packets] })
    end
    local finish = subscriber({}, "until=9", "unsubscribe=" .. GCID .. "/+", "until=11", "end")
    local seen = wait(function(now)
      return now.received.UNSUBSCRIBE == 5 and now.connections[1].state == "connected" and now
    end)
    assert.same({}, seen.connections[1].subscriptions)
    set({ publish = { payload = "x" } })
    set({ disconnect = 128 })
    assert.equal("14 8000", story(finish())[4])
    seen = client(connect(), "until=2", "send=a203000200", "end")()
    assert.equal("14 8100", story(seen)[2])
  end)

  spec("reads all properties of MQTT 5", function()
    set({ anyone = true })
    -- CONNECT with session expiry, receive maximum, user property, and a will with properties
    local head = "00044d5154540506001e"
    local properties = "11000000ff210014260001610001622700100000"
    local rest = "000172" .. "0a" .. "1800000005" .. "03000274" .. "78" .. "0001770000"
    local body = head .. ("%02x"):format(#properties / 2) .. properties .. rest
    local seen = client("send=10" .. ("%02x"):format(#body / 2) .. body, "until=2")()
    assert.same({ "2 000000" }, story(seen))
    assert.equal("w", report().connect.will.topic)
    for _, wrong in ipairs({ "7f", "21", "0500", "ff" }) do
      body = head .. ("%02x"):format(#wrong / 2) .. wrong .. rest
      seen = client("send=10" .. ("%02x"):format(#body / 2) .. body, "end")()
      assert.same({ {}, "notify" }, { seen.packets, seen["end"] }, wrong)
    end
  end)

  spec("matches topics by level", function()
    set({ anyone = true })
    local topics = { "a/b", "a/c", "b", "a/b/c", "a" }
    for filter, fits in pairs({ ["a/+"] = "a/b a/c", ["a/#"] = "a/b a/c a/b/c a", ["+"] = "b a",
      ["a/b"] = "a/b", ["+/b/c"] = "a/b/c", ["#"] = "a/b a/c b a/b/c a" }) do
      local finish = client("connect={}", "until=2", "subscribe=" .. filter, "until=9", "until=14")
      wait(function(now) return now.connections[1] and now.connections[1].subscriptions[1]
        and now.connections[1].state == "connected" end)
      local publish = {}
      for i, topic in ipairs(topics) do publish[i] = { topic = topic, payload = topic } end
      set({ publish = publish })
      set({ disconnect = 128 })
      assert.equal(fits, table.concat(payloads(finish()), " "), filter)
      wait(function(now) return #now.connections == 0 end)
    end
  end)

  spec("counts what is acknowledged", function()
    local finish = subscriber({}, "until=3", "send=40020001", "send=c000", "until=13")
    wait(subscribed)
    set({ publish = { payload = "x", qos = 1 } })
    finish()
    assert.equal(1, report().pubacks)
  end)

  spec("ends connections with any reason and in any way", function()
    local cases = {
      { { disconnect = 139 }, "14 8b00", "notify" },
      { { disconnect = 0 }, nil, "notify" },
      { { ["end"] = "notify" }, nil, "notify" },
      { { ["end"] = "cut" }, nil, "eof" },
    }
    for _, case in ipairs(cases) do
      local finish = client(connect(), "end")
      connected()
      set(case[1])
      local seen = finish()
      assert.same({ "2 000000", case[2] }, story(seen))
      assert.equal(case[3], seen["end"])
      wait(function(now) return #now.connections == 0 end)
    end
    local plain = helper.start({ stream = true }) -- under TLS Python takes a reset for an end
    finally(function() plain:stop() end)
    broker.set(plain, { anyone = true })
    local finish = broker.client(plain, "connect={}", "until=2", "end")
    broker.wait(plain, function(now) return now.sent.CONNACK end)
    broker.set(plain, { ["end"] = "reset" })
    assert.equal("reset", finish()["end"])
  end)

  spec("sends any bytes", function()
    local finish = client(connect(), "until=2", "until=15")
    connected()
    set({ send = "f0010203" })
    assert.equal("15 02", story(finish())[2])
  end)

  spec("does not go on after a malformed packet", function()
    local cases = { "c100", "0000", "8203000100", "82070001000001611f", "ffffffffff7f", "3000",
      "36020001", "20020000", "1000" }
    for _, bytes in ipairs(cases) do
      local seen = client(connect(), "until=2", "send=" .. bytes, "end")()
      assert.truthy(seen["end"] == "notify", bytes .. " " .. seen["end"])
    end
    for _, bytes in ipairs({ "c000", "100400044d51", "10ffffffff01" }) do
      assert.equal("notify", client("send=" .. bytes, "end")()["end"], bytes)
    end
  end)

  spec("stops to listen and starts again on the same port", function()
    local finish = client(connect(), "end")
    connected()
    set({ listen = false })
    assert.equal("eof", finish()["end"])
    local port = tostring(sim.stream_port)
    assert.equal(7, helper.curl("telnet://127.0.0.1:" .. port).exit)
    assert.is_false(report().listening)
    set({ listen = true })
    assert.same({ "2 000000" }, story(client(connect(), "until=2")()))
    set({ listen = false })
    sim:reset()
    assert.is_true(report().listening)
  end)

  spec("is a broker for anyone where it is told to, and keeps what is published", function()
    set({ anyone = true })
    local bytes = { "330b0003612f620007007b7d0a" }
    local seen = client("connect=" .. json.encode({ will = "a/gone", user = "me" }), "until=2",
      "subscribe=a/b", "until=9", "send=" .. bytes[1], "until=4", "quit")()
    assert.same({ "2 000000", "9 00010000", "4 0007" }, story(seen))
    local now = wait(function(now) return #now.published == 2 end)
    assert.same({ topic = "a/b", payload = "{}\n", qos = 1, retain = true, dup = false },
      now.published[1])
    assert.same({ "a/gone", "gone", true }, { now.published[2].topic, now.published[2].payload,
      now.published[2].will })
    set({ puback = 151 })
    seen = client("connect={}", "until=2", "send=" .. bytes[1], "until=4", "send=e000", "end")()
    assert.equal("4 000797", story(seen)[2])
    set({ puback_silent = true })
    seen = client("connect={}", "until=2", "send=" .. bytes[1], "listen=0.3")()
    assert.equal(1, #seen.packets)
    assert.equal(4, #report().published)
  end)

  spec("does not mind a client that says nothing, with whom it has nothing to compare", function()
    set({ anyone = true })
    local finish = client("listen=1")
    wait(function(now) return now.connections[1] and now.connections[1].state == "expecting" end)
    assert.same({ "2 000000" }, story(client("connect={}", "until=2")()))
    assert.equal("open", finish()["end"])
  end)

  spec("lets a car charge and drive by itself, for REST too", function()
    local finish = subscriber({}, "until=9", "until=3", "until=3")
    wait(subscribed)
    set({ live = 1000 })
    finish()
    local before = sim:control("GET", "/cardata/car/" .. VIN).telematicData
    local name = "vehicle.drivetrain.electricEngine.charging.level"
    finish = subscriber({}, "until=3")
    wait(function(now) return now.received.SUBSCRIBE == 2 end)
    advance(1000)
    assert.equal(tonumber(before[name].value) + 1,
      json.decode(payloads(finish())[1]).data[name].value)
    assert.equal(tonumber(before[name].value) + 1,
      tonumber(sim:control("GET", "/cardata/car/" .. VIN).telematicData[name].value))
    for _ = 1, 60 do advance(1000) end
    local after = sim:control("GET", "/cardata/car/" .. VIN).telematicData
    assert.truthy(tonumber(after[MILEAGE].value) > tonumber(before[MILEAGE].value))
    assert.truthy(tonumber(after[name].value) < 80)
  end)

  spec("with --live lets a car do so as soon as somebody is connected", function()
    local name = "vehicle.drivetrain.electricEngine.charging.level"
    local own = helper.start({ stream = true, tls = true, args = { "--live", "1000" } })
    local function level()
      return tonumber(own:control("GET", "/cardata/car/" .. VIN).telematicData[name].value)
    end
    local before = level()
    own:control("POST", "/clock", { advance = 2000 })
    assert.equal(before, level())
    own:stop()
  end)

  spec("speaks TLS 1.3 only", function()
    assert.equal("TLSv1.3", client(connect(), "until=2")().tls)
    local said = helper.shell("openssl s_client -tls1_2 -connect 127.0.0.1:" .. sim.stream_port
      .. " </dev/null 2>&1")
    assert.truthy(said:find("alert protocol version", 1, true), said)
    wait(function(now) return now.attempts[2] and now.attempts[2].ended end)
    assert.equal("the TLS handshake failed", report().attempts[2].ended)
  end)

  it("says why it cannot listen", function()
    local words = ("%s --listen 127.0.0.1:0 --stream "):format(
      os.getenv("BMWI_SIM") or "build/bmwi-sim")
    local said = helper.shell(words .. "127.0.0.1:" .. sim.stream_port .. " 2>&1; echo $?")
    assert.truthy(said:find("cannot listen on 127.0.0.1:" .. sim.stream_port, 1, true), said)
    assert.equal("1", said:match("%d+$"))
    said = helper.shell(words .. "127.0.0.1 2>&1; echo $?")
    assert.truthy(said:find("--stream expects HOST:PORT", 1, true), said)
    assert.equal("2", said:match("%d+$"))
  end)

  it("reports what it does not understand", function()
    local wrong = { '{"connak":5}', '{"connack":256}', '{"end":"gone"}', '{"publish":{}}',
      '{"publish":[{"data":1}]}', '{"publish":{"data":{},"vni":"x"}}', '{"listen":1}',
      '{"send":"a"}', '{"live":-1}',
      '{"live_vin":"x"}', '{"disconnect":"now"}', '{"stall":true}', "[]", "" }
    for _, body in ipairs(wrong) do
      local answer = helper.curl("-k", "-d", body, sim.url .. "/_sim/cardata/stream")
      assert.equal(400, answer.status, body)
    end
  end)
end)
