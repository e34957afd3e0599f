-- bmwi._mqtt: the life of a connection: waiting, keepalive and time-outs, limits on what it
-- receives and sends, and how it ends with its client or the Lua state.
local bmwi = require("bmwi")
local async = require("bmwi.async")
local helper = require("spec.helper")
local mqtt = require("spec.mqtt_helper")

local hex, packet, text = mqtt.hex, mqtt.packet, mqtt.text
local with_broker, connected = mqtt.with_broker, mqtt.connected
local drive, fails_as = helper.drive, helper.fails_as
local monotonic = bmwi._sys.monotonic
local unpack = unpack or table.unpack -- luacheck: ignore
local LIMIT = 60 -- seconds for what takes none

local GREET = "send:" .. mqtt.CONNACK[5]
local ONE = packet(0x30, text("a") .. "00" .. hex("x"))

describe("a wait", function()
  it("ends in time, and the connection continues", function()
    with_broker({ "read:1", GREET, "read:1", "send:" .. ONE, "stay" }, nil, function(connection)
      connected(connection)
      for _, seconds in ipairs({ 0, 0.05 }) do
        local _, info = fails_as("timeout", connection:receive(seconds))
        assert.is_true(info.waiting)
      end
      assert.equal("connected", connection:state())
      assert.equal(0, connection:publish("a", ""))
      assert.equal("publish", (connection:receive(LIMIT)))
      assert.is_false(pcall(connection.receive, connection, -1))
      assert.is_false(pcall(connection.receive, connection, "x"))
    end)
  end)

  it("yields in a task", function()
    with_broker({ "read:1", "wait", GREET .. ONE }, nil, function(connection, broker)
      local order = {}
      async.run(function()
        for i = 1, 3 do
          local what, _, code = connection:receive(LIMIT)
          order[#order + 1] = i < 3 and what or code
        end
      end, function()
        bmwi.sleep(0.01)
        order[#order + 1] = "other"
        broker:go_on()
      end)
      assert.same({ "other", "connected", "publish", "network" }, order)
    end)
  end)

  it("is allowed once at a time, and ends with its task", function()
    with_broker({ "read:1", "sleep:0.3", GREET, "stay" }, nil, function(connection)
      local task = async.spawn(function() connection:receive() end)
      local ok, message = pcall(connection.receive, connection, 0)
      assert.is_false(ok)
      helper.has(message, "another call waits")
      task:cancel()
      connected(connection)
    end)
  end)

  local close = rawget(coroutine, "close")
  if close then
    it("ends when its coroutine is closed", function()
      with_broker({ "read:1", "sleep:0.3", GREET, "stay" }, nil, function(connection)
        local thread
        async.spawn(function()
          thread = coroutine.running()
          connection:receive()
        end, function() end)
        close(thread)
        drive(function() return connection:state() == "connected" end)
        connected(connection)
      end)
    end)
  end

  it("in a task ends when another one closes the connection", function()
    with_broker({ "read:1", GREET, "stay" }, nil, function(connection)
      connected(connection)
      local code
      async.run(function() code = select(3, connection:receive()) end, function()
        bmwi.sleep(0.05)
        connection:close()
      end)
      assert.equal("closed", code)
    end)
  end)

  it("outside a task advances the tasks", function()
    with_broker({ "read:1", "wait", GREET, "stay" }, nil, function(connection, broker)
      local task = async.spawn(function()
        for _ = 1, 3 do bmwi.sleep(0.01) end
        broker:go_on()
      end)
      connected(connection)
      assert.is_true(task:done())
    end)
  end)

  it("on several connections at once gives each its own messages", function()
    local brokers, connections, got = {}, {}, {}
    local tasks = {}
    for i = 1, 10 do
      brokers[i] = mqtt.broker("read:1", GREET, "send:" .. packet(0x30, text("t" .. i) .. "00"),
        "stay")
      connections[i] = mqtt.connect(brokers[i])
      tasks[i] = function()
        connected(connections[i])
        got[i] = select(2, connections[i]:receive(LIMIT))
      end
    end
    local ok, message = pcall(async.run, unpack(tasks))
    for i = 1, 10 do
      connections[i]:close()
      brokers[i]:stop()
    end
    assert(ok, message)
    for i = 1, 10 do assert.equal("t" .. i, got[i]) end
  end)
end)

describe("keepalive", function()
  it("pings when nothing was sent for that long, whoever drives the engine", function()
    with_broker({ "read:1", GREET, "read:1", "send:d000", "stay" }, { keepalive = 1 },
      function(connection, broker)
        connected(connection)
        drive(function() return #broker:got() >= 3 end)
        assert.same({ "c000", "c000" }, { unpack(broker:got(), 2, 3) })
        assert.equal("connected", connection:state())
      end)
  end)

  it("is the server's if it sends one", function()
    with_broker({ "read:1", "send:200600000313" .. "0001", "stay" }, { keepalive = 300 },
      function(connection, broker)
        assert.same({ "connected", false, 1 }, { connection:receive(LIMIT) })
        drive(function() return #broker:got() >= 2 end)
        assert.equal("c000", broker:got()[2])
      end)
  end)

  it("continues while a script processes messages", function()
    with_broker({ "read:1", GREET .. ONE:rep(8), "stay" }, { keepalive = 1 },
      function(connection, broker)
        connected(connection)
        for _ = 1, 8 do
          assert.equal("publish", (connection:receive(LIMIT)))
          os.execute("sleep 0.3")
        end
        assert.equal("c000", broker:await(2)[2])
      end)
  end)

  it("ends the connection if PINGRESP does not arrive #slow", function()
    with_broker({ "read:1", GREET, "stay" }, { keepalive = 1 }, function(connection, broker)
      connected(connection)
      local message, info = fails_as("timeout", connection:receive(LIMIT))
      helper.has(message, "PINGREQ")
      assert.is_nil(info.waiting)
      assert.equal("session", info.phase)
      drive(function() return broker:got()[#broker:got()] == "eof" end)
      local count = #broker:got()
      assert.truthy(count > 5 and count < 20, count) -- it pinged on meanwhile
    end)
  end)

  it("does not consider a broker dead whose PINGRESP could not be read #slow", function()
    local flood = packet(0x30, text("a") .. "00" .. ("78"):rep(2000))
    with_broker({ "read:1", GREET, "flood:2000:" .. flood, "read:1", "send:d000", "stay" },
      { keepalive = 1 }, function(connection)
      connected(connection)
      local start = monotonic()
      while helper.since(start) < 18 do bmwi.loop:step(0.5) end
      for _ = 1, 2000 do assert.equal("publish", (connection:receive(LIMIT))) end
      assert.equal("connected", connection:state())
    end)
  end)
end)

describe("connecting", function()
  it("times out without a TCP connection, without TLS, without CONNACK", function()
    for _, case in ipairs({ { "mqtt", "hold", "connack", 1 }, { "mqtts", "hold", "connect", 0.3 } })
    do
      with_broker({ case[2] }, { connect_timeout = case[4] }, function(connection)
        local _, info = fails_as("timeout", connection:receive(LIMIT))
        assert.equal(case[3], info.phase)
        assert.is_nil(info.waiting)
        assert.is_true(info.retryable)
      end, case[1])
    end
  end)

  -- A listening socket whose queue is full: the kernel does not respond to new connections.
  local function deaf()
    local pipe = io.popen([[echo $$; exec perl -MIO::Socket::INET -e '
      $| = 1; my $s = IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 1) or die;
      my @c = map { IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $s->sockport,
        Blocking => 0) } 1 .. 4;
      print $s->sockport, "\n"; sleep 60']])
    local pid, port = pipe:read("*l"), pipe:read("*l")
    return "127.0.0.1:" .. port, function()
      os.execute("kill " .. pid)
      pipe:close()
    end
  end

  -- Counts how often the engine wakes in the 4 s of a task in which nothing else happens.
  local function wakes(url)
    local connection = bmwi._mqtt.connect({ url = url, connect_timeout = 60 })
    local count = 0
    local task = async.spawn(function()
      for _ = 1, 20 do bmwi.sleep(0.2) end
    end)
    while not task:done() and count < 1000 do
      bmwi.loop:step(4)
      count = count + 1
    end
    assert.equal("connecting", connection:state())
    connection:close()
    assert.truthy(count < 70, count)
  end

  it("slowly does not spin: TCP #slow", function()
    local address, stop = deaf()
    finally(stop)
    wakes("mqtt://" .. address)
  end)

  it("slowly does not spin: TLS #slow", function()
    with_broker({ "hold" }, nil, function(_, broker) wakes(broker.url) end, "mqtts")
  end)

  it("slowly does not spin: CONNACK #slow", function()
    with_broker({ "hold" }, nil, function(_, broker) wakes(broker.url) end)
  end)

  it("and being idle does not spin #slow", function()
    with_broker({ "read:1", GREET, "stay" }, nil, function(connection)
      connected(connection)
      local count, start = 0, monotonic()
      while helper.since(start) < 2 do
        bmwi.loop:step(0.5)
        count = count + 1
      end
      assert.truthy(count < 9, count)
    end)
  end)

  it("goes through an HTTP proxy's tunnel", function()
    local broker = mqtt.broker("proxy:200", "read:1", GREET, "stay")
    local connection = mqtt.connect({ url = "mqtt://no-such-host.invalid:1883" },
      { proxy = "http://user:proxyp4ss@127.0.0.1:" .. broker.port })
    local what, message = connection:receive(LIMIT)
    connection:close()
    local got = broker:got()
    broker:stop()
    assert.equal("connected", what, message)
    assert.equal("CONNECT no-such-host.invalid:1883 HTTP/1.1", got[1])
  end)

  it("reports a proxy that refuses, without its password", function()
    local broker = mqtt.broker("proxy:407")
    local connection = mqtt.connect({ url = "mqtts://no-such-host.invalid:1883" },
      { proxy = "http://user:proxyp4ss@127.0.0.1:" .. broker.port })
    local message = fails_as("network", connection:receive(LIMIT))
    broker:stop()
    assert.is_nil(message:find("proxyp4ss", 1, true))
    helper.has(message, "407")
  end)
end)

describe("what is received", function()
  it("stays at the broker while nothing reads it #slow", function()
    local payload = ("78"):rep(2000)
    with_broker({ "read:1", GREET, "flood:20000:" .. packet(0x30, text("a") .. "00" .. payload),
      "stay" }, nil, function(connection, broker)
      connected(connection)
      local start, steps = monotonic(), 0
      while helper.since(start) < 1 do
        bmwi.loop:step(0.1)
        steps = steps + 1
      end
      assert.same(1, #broker:got())
      assert.truthy(steps < 50, steps)
      for _ = 1, 20000 do assert.equal("publish", (connection:receive(LIMIT))) end
      assert.equal("flooded", broker:await(2)[2])
    end)
  end)

  it("is returned in order, in tasks and outside, with the collector at work", function()
    local steps = { "read:1", GREET }
    for i = 1, 50 do
      steps[#steps + 1] = "send:" .. packet(0x30, text("a") .. "00" .. hex(("%d "):format(i)
        .. ("x"):rep(i * 37)))
    end
    steps[#steps + 1] = "hold"
    with_broker(steps, nil, function(connection)
      connected(connection)
      local function take(first, last)
        for i = first, last do
          local _, _, payload = connection:receive(LIMIT)
          assert.equal(i, tonumber(payload:match("^%d+")))
          collectgarbage()
        end
      end
      take(1, 20)
      async.run(function() take(21, 50) end)
    end)
  end)
end)

describe("what is sent", function()
  it("waits up to a maximum for a broker that does not read", function()
    with_broker({ "read:1", GREET, "sleep:0.5", "stay" }, nil, function(connection, broker)
      connected(connection)
      local sent, payload = 0, ("x"):rep(100000)
      repeat
        local id, message, code = connection:publish("a", payload)
        sent = sent + (id and 1 or 0)
        assert.truthy(id == 0 or message and code == "busy", code)
      until not id
      assert.equal(10, sent)
      drive(function() return connection:publish("a", payload) end)
      connection:subscribe("end")
      drive(function() return #broker:got() >= 13 end)
      assert.equal(packet(0x30, text("a") .. "00" .. hex(payload)), broker:got()[2])
    end)
  end)

  it("arrives in order and complete, however little of it is accepted at a time #slow", function()
    with_broker({ "read:1", GREET, "sleep:0.5", "stay" }, nil, function(connection, broker)
      connected(connection)
      local sent, start = 0, monotonic()
      while sent < 300 do
        if connection:publish("a", ("%d "):format(sent + 1) .. ("x"):rep(49000)) then
          sent = sent + 1
        else
          assert(helper.since(start) < LIMIT, "nothing is taken")
          bmwi.loop:step(0.01)
        end
      end
      drive(function() return #broker:got() > 300 end)
      local got = broker:got()
      for i = 1, 300 do
        assert.equal(packet(0x30, text("a") .. "00" .. hex(("%d "):format(i) .. ("x"):rep(49000))),
          got[i + 1])
      end
    end)
  end)

  it("ends the connection if the broker has stopped reading #slow", function()
    with_broker({ "read:1", GREET, "hold" }, { keepalive = 1 }, function(connection)
      connected(connection)
      local start = monotonic()
      while connection:state() == "connected" do
        connection:publish("a", ("x"):rep(100000))
        bmwi.loop:step(0.1)
        assert(helper.since(start) < 60, "it is not noticed")
      end
      local message, info = fails_as("timeout", connection:receive())
      helper.has(message, "stopped reading")
      assert.equal("session", info.phase)
    end)
  end)

  it("respects the server's limits", function()
    local limits = packet(0x20, "0000" .. packet(0, "210002" .. "2400" .. "2500" .. "2700000064")
      :sub(3))
    with_broker({ "read:1", "send:" .. limits, "stay" }, nil, function(connection)
      connected(connection)
      fails_as("unsupported", connection:publish("a", "", { qos = 1 }))
      fails_as("unsupported", connection:publish("a", "", { retain = true }))
      fails_as("too_large", connection:publish("a", ("x"):rep(95)))
      assert.equal(0, connection:publish("a", ("x"):rep(94)))
    end)
    with_broker({ "read:1", "send:20060000" .. "03210002", "read:2", "send:40020001", "stay" }, nil,
      function(connection, broker)
        connected(connection)
        assert.equal(1, connection:publish("a", "1", { qos = 1 }))
        assert.equal(2, connection:publish("a", "2", { qos = 1 }))
        fails_as("busy", connection:publish("a", "3", { qos = 1 }))
        assert.equal(0, connection:publish("a", "4"))
        assert.same({ "puback", 1, 0 }, { connection:receive(LIMIT) })
        assert.equal(3, connection:publish("a", "5", { qos = 1 }))
        connection:close()
        broker:await(7)
      end)
  end)

  it("is at most 1 MiB per message", function()
    with_broker({ "read:1", GREET, "stay" }, nil, function(connection)
      connected(connection)
      fails_as("too_large", connection:publish("a", ("x"):rep(1024 * 1024 - 7)))
      assert.equal(0, connection:publish("a", ("x"):rep(1024 * 1024 - 8)))
    end)
  end)

  it("is refused before the connection is established and after its end", function()
    with_broker({ "read:1", "sleep:0.2", "send:20030087" .. "00" }, nil, function(connection)
      fails_as("busy", connection:publish("a", ""))
      fails_as("busy", connection:subscribe("a"))
      fails_as("auth", connection:receive(LIMIT))
      fails_as("auth", connection:publish("a", ""))
      fails_as("auth", connection:subscribe("a"))
      connection:close()
      fails_as("closed", connection:publish("a", ""))
      connection:close()
    end)
  end)

  it("reuses no packet identifier that is in flight", function()
    with_broker({ "read:1", GREET, "hold" }, nil, function(connection)
      connected(connection)
      local seen, count = {}, 0
      repeat
        local id = connection:publish("a", "", { qos = 1 })
        if id then
          assert.is_nil(seen[id])
          seen[id], count = true, count + 1
        else
          connection:receive(0)
        end
      until count == 65535
      fails_as("busy", connection:publish("a", "", { qos = 1 }))
      fails_as("busy", connection:subscribe("a"))
    end)
  end)
end)

describe("a connection", function()
  it("ends with its client, whose settings it uses", function()
    local broker = mqtt.broker("read:1", GREET, "stay")
    finally(function() broker:stop() end)
    local client = bmwi.new({ service = "cardata", client_id = "x", connect_timeout = 30,
      connect_to = { "some-broker.invalid:1:127.0.0.1:" .. broker.port } })
    local connection = mqtt.connect({ url = "mqtt://some-broker.invalid:1" }, { client = client })
    connected(connection)
    local code
    async.run(function() code = select(3, connection:receive()) end, function()
      bmwi.sleep(0.01)
      client:close()
    end)
    assert.equal("closed", code)
    fails_as("closed", connection:receive())
    fails_as("closed", connection:publish("a", ""))
    assert.equal("e000", broker:await(3)[2])
  end)

  it("keeps its client alive", function()
    local broker = mqtt.broker("read:1", GREET, "stay")
    finally(function() broker:stop() end)
    local connection = mqtt.connect(broker, { client = bmwi.new({ service = "cardata",
      client_id = "x" }) })
    collectgarbage()
    collectgarbage()
    connected(connection)
    connection:close()
  end)

  it("sends DISCONNECT when it is collected", function()
    local broker = mqtt.broker("read:1", GREET, "stay")
    local connection = mqtt.connect(broker)
    connected(connection)
    connection = nil -- luacheck: ignore 311
    collectgarbage()
    collectgarbage()
    local got = broker:await(3)
    broker:stop()
    assert.same({ "e000", "eof" }, { got[2], got[3] })
  end)

  it("ends a wait when its finalizer is called by hand", function()
    with_broker({ "read:1", GREET, "stay" }, nil, function(connection)
      connected(connection)
      local code
      async.run(function() code = select(3, connection:receive()) end, function()
        bmwi.sleep(0.01)
        getmetatable(connection).__gc(connection)
      end)
      assert.equal("closed", code)
      fails_as("closed", connection:receive())
      fails_as("closed", connection:publish("a", ""))
      connection:close()
    end)
  end)

  it("is collected while connecting, and while an abandoned task waits for it", function()
    for _, steps in ipairs({ { "hold" }, { "read:1", GREET, "stay" } }) do
      local broker = mqtt.broker(unpack(steps))
      local task = async.spawn(function()
        local connection = mqtt.connect(broker)
        connection:receive()
        connection:receive()
      end)
      bmwi.loop:step(0.1)
      bmwi.loop:step(0.1)
      task:cancel()
      task = nil -- luacheck: ignore 311
      collectgarbage()
      collectgarbage()
      assert.is_nil(bmwi.loop:timeout())
      broker:stop()
    end
  end)

  it("ends with the Lua state, wherever it is", function()
    for _, steps in ipairs({ { "hold" }, { "read:1", GREET, "stay" } }) do
      local broker = mqtt.broker(unpack(steps))
      local said = helper.program(([[
        local bmwi, async = require("bmwi"), require("bmwi.async")
        local c = bmwi._mqtt.connect({ url = %q })
        async.spawn(function() c:receive() c:receive() end)
        bmwi.loop:step(0.2)
        bmwi.loop:step(0.2)
        local p = setmetatable({}, { __gc = function()
          pcall(function() late = bmwi._mqtt.connect({ url = %q }) end)
        end })
        print("end")]]):format(broker.url, broker.url))
      broker:stop()
      assert.equal("end\n", said)
    end
  end)

  it("reveals nothing when printed", function()
    with_broker({ "hold" }, { username = "joe", password = "geheim" }, function(connection)
      assert.equal("bmwi.mqtt", tostring(connection))
      assert.is_false(pcall(connection.state, io.stdout))
      assert.is_nil(getmetatable(connection).__newindex)
    end)
  end)
end)

local has_ffi, ffi = pcall(require, "ffi")
describe("a forked child", function()
  it("does not disturb its parent", function()
    if not has_ffi then return pending("this Lua has no ffi") end
    ffi.cdef("int fork(void); int waitpid(int pid, int *status, int options); void _exit(int);")
    with_broker({ "read:1", GREET, "stay" }, nil, function(connection, broker)
      connected(connection)
      local pid = ffi.C.fork()
      if pid == 0 then
        local good = not pcall(connection.receive, connection, 0)
          and not pcall(connection.publish, connection, "a", "")
          and pcall(connection.close, connection)
        connection = nil -- luacheck: ignore 311
        collectgarbage()
        collectgarbage()
        ffi.C._exit(good and 0 or 1)
      end
      local status = ffi.new("int[1]")
      ffi.C.waitpid(pid, status, 0)
      assert.equal(0, status[0])
      connection:publish("a", "still here")
      connection:receive(0.1)
      assert.same({ packet(0x30, text("a") .. "00" .. hex("still here")) },
        { unpack(broker:await(2), 2) })
    end)
  end)
end)
