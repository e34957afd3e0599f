--- bmwi.bridge.publisher with brokers that follow a script.
local bmwi = require "bmwi"
local async = require "bmwi.async"
local helper = require "spec.helper"
local mqtt = require "spec.mqtt_helper"
local publisher = require "bmwi.bridge.publisher"

local LIMIT = 60 -- seconds for what takes none

describe("the bridge's publisher", function()
  local broker, said, hints, pauses, sleep, monotonic

  before_each(function()
    said, hints, pauses = {}, {}, {}
    sleep, monotonic = bmwi.sleep, bmwi._sys.monotonic
    bmwi.sleep = function(seconds) pauses[#pauses + 1] = seconds end
  end)
  after_each(function()
    bmwi.sleep, bmwi._sys.monotonic = sleep, monotonic
    broker:stop()
  end)

  -- A publisher to a broker that follows these steps.
  local function publish_to(...)
    broker = mqtt.broker(...)
    return publisher.new { url = broker.url, on_state = function(text, hint)
      said[#said + 1] = text
      hints[#said] = hint
    end }
  end

  -- Drives it until that is true; returns what was received.
  local function work(made, done)
    local start = monotonic()
    local task = async.spawn(function() made:run() end, function() end)
    repeat bmwi.loop:step(0.02) until task:done() or done() or monotonic() - start > LIMIT
    local came = done()
    task:cancel()
    made:close()
    assert(came, "it did not come to that: " .. table.concat(said, "\n") .. "\n"
      .. table.concat(broker:got(), "\n"))
    return broker:got()
  end

  -- Whether the broker has received a message of this topic.
  local function has(topic)
    for _, packet in ipairs(broker:got()) do
      if packet:find("^3") and packet:find(mqtt.text(topic), 1, true) then return true end
    end
    return false
  end

  describe("skips what the broker does not accept, says so once, and continues", function()
    local function count(part)
      local n = 0
      for _, text in ipairs(said) do
        if text:find(part, 1, true) then n = n + 1 end
      end
      return n
    end

    it("if a message is too large", function()
      local made = publish_to("read:1", "send:20080000052700000100", "stay") -- 256 bytes at most
      made:set("homeassistant/large", ("x"):rep(300))
      made:say("large/note", ("x"):rep(300))
      work(made, function() return has("bmwi/availability") end)
      assert.is_false(has("homeassistant/large"))
      assert.is_false(has("large/note"))
      assert.equal(1, count("homeassistant/large: "))
      assert.equal(1, count("large/note: "))
    end)

    it("if a message has become too large", function()
      local made = publish_to("read:1", "send:20080000052700000100", "read:1",
        "send:40020001", "stay") -- our availability, once
      work(made, function()
        if made.in_flight == 0 and made.online and not has("later") then
          for _, letter in ipairs { "x", "y" } do made:set("large", letter:rep(300)) end
          made:set("later", "1")
        end
        return has("later")
      end)
      assert.is_false(has("large"))
      assert.equal(1, count("take large: "))
    end)

    it("if the broker retains nothing", function()
      local made = publish_to("read:1", "send:20050000022500", "stay")
      made:set("a", "1")
      made:say("note", "2")
      work(made, function() return has("note") and #said > 1 end)
      assert.is_false(has("bmwi/availability"))
      assert.equal(1, count("does not take"))
    end)
  end)

  it("pauses longer each time until a connection has lasted ten seconds", function()
    local made = publish_to("read:1", "send:" .. mqtt.CONNACK[5], "close")
    work(made, function() return #pauses >= 4 end)
    assert.equal("1 2 5 10", table.concat(pauses, " ", 1, 4))
    local later = 0
    bmwi._sys.monotonic = function() -- ten seconds pass between the beginning and the end
      later = later + 10
      return monotonic() + later
    end
    pauses = {}
    work(made, function() return #pauses >= 2 end)
    assert.equal("1 1", table.concat(pauses, " ", 1, 2))
  end)

  -- How it ends by itself.
  local function ending(made)
    local result = {}
    local task = async.spawn(function() result = { made:run() } end, function() end)
    while not task:done() and #pauses < 5 do bmwi.loop:step(1) end
    task:cancel()
    return result
  end

  for what, steps in pairs { ["by an end"] = { "read:1", "close" },
    ["by a reset, as from a mosquitto without TLS"] = { "read:1", "reset" } } do
    it("ends if its first three TLS handshakes are cut short: " .. what, function()
      local made = publish_to(steps[1], steps[2])
      made.options.url = broker.url:gsub("mqtt", "mqtts")
      made.options.ca_file = helper.certs() .. "/ca.pem" -- the system's takes seconds in Valgrind
      local result = ending(made)
      assert.equal("tls", result[3], result[2])
      helper.has(result[4].hint, "TLS")
      assert.same({ 1, 2 }, pauses)
    end)
  end

  for reason, what in pairs { ["85"] = { 5, "server", "client ids" }, ["8a"] = { 5, "forbidden",
    "ban" }, ["87"] = { 5, "auth", "mqtt_username" }, ["02"] = { 4, "server", "client ids" },
    ["05"] = { 4, "auth", "mqtt_username" } } do
    it("ends if the broker never takes it, and says what to do: " .. reason, function()
      local made = publish_to("read:1", what[1] == 5 and "send:200300" .. reason .. "00"
        or "send:200200" .. reason)
      made.protocol = what[1]
      local result = ending(made)
      assert.equal(what[2], result[3], result[2])
      helper.has(result[4].advice, what[3])
      assert.same({}, pauses)
    end)
  end

  it("says what may be wrong until it was connected, if something else answers", function()
    local made = publish_to("read:1", "send:15030300020146", "next", "read:1",
      "send:" .. mqtt.CONNACK[5], "close") -- an alert of TLS
    work(made, function() return #pauses >= 2 end)
    assert.matches("^the broker is away %([^;]*%)$", said[1])
    helper.has(hints[1], "mqtts://")
    assert.equal("connected to the broker", said[2])
    assert.matches("^the broker is away %([^;]*%)$", said[3])
    assert.is_nil(hints[3])
  end)

  it("does not try 3.1.1 with a password but no user name, which 3.1.1 cannot send", function()
    local made = publish_to("read:1", "close") -- as a broker ends that knows 3.1.1 only
    made.options.password = "s3cret"
    work(made, function() return #pauses >= 2 end)
  end)

  describe("passes a command on only if the broker still answers", function()
    local TOPIC = "bmwi/" .. helper.vin .. "/command"
    local COMMAND = mqtt.packet(0x30, mqtt.text(TOPIC) .. "00" .. mqtt.hex("lock"))
    local function suback(id) return ("9004%04x0000"):format(id) end
    -- The subscription and our availability have the ids 1 and 2.
    local BEGIN = { "read:1", "send:" .. mqtt.CONNACK[5], "read:2", "send:" .. suback(1) }
    local commands

    local function commanded(...)
      local steps = {}
      for i, step in ipairs(BEGIN) do steps[i] = step end
      for _, step in ipairs { ... } do steps[#steps + 1] = step end
      local made = publish_to((unpack or table.unpack)(steps)) -- luacheck: ignore
      commands = {}
      made.options.commands = function(topic, payload, refusal)
        assert.equal(TOPIC, topic)
        commands[#commands + 1] = { payload, refusal and refusal.code }
        if refusal then made:say(TOPIC .. "/result", refusal.message) end
      end
      return made
    end

    it("after it has arrived", function()
      local made = commanded("send:" .. COMMAND, "read:1", "wait", "send:" .. suback(3), "stay")
      local asked
      work(made, function()
        if not asked and #broker:got() == 4 then -- what is sent now came after the command
          for _ = 1, 5 do bmwi.loop:step(0.01) end
          assert.same({}, commands)
          asked = true
          broker:go_on()
        end
        return commands[1]
      end)
      assert.is_true(asked)
      assert.same({ { "lock" } }, commands)
    end)

    it("and refuses those that are read together with the connection's end", function()
      local made = commanded("send:" .. COMMAND .. COMMAND, "close", "next", "read:1",
        "send:" .. mqtt.CONNACK[5], "stay")
      work(made, function() return has(TOPIC .. "/result") end)
      assert.same({ { "lock", "closed" }, { "lock", "closed" } }, commands)
    end)

    it("and refuses those whose answer is read together with the end", function()
      local made = commanded("send:" .. COMMAND, "read:1", "wait", "send:" .. suback(3), "close",
        "next", "read:1", "send:" .. mqtt.CONNACK[5], "stay")
      local stalled
      work(made, function()
        if not stalled and #broker:got() == 4 then
          broker:go_on()
          os.execute("sleep 0.3")
          stalled = true
        end
        return has(TOPIC .. "/result")
      end)
      assert.same({ { "lock", "closed" } }, commands)
    end)

    it("and does not keep long ones", function()
      local long = mqtt.packet(0x30, mqtt.text(TOPIC) .. "00" .. ("20"):rep(5000))
      local made = commanded("send:" .. long, "stay")
      work(made, function() return commands[1] end)
      assert.equal("busy", commands[1][2])
      assert.same({}, made.held)
    end)

    it("and refuses those above a limit, and those waiting when the bridge ends", function()
      local made = commanded("send:" .. COMMAND:rep(300), "stay")
      work(made, function() return #commands > 0 end)
      local counts = { busy = 0, closed = 0 }
      for _, one in ipairs(commands) do counts[one[2]] = counts[one[2]] + 1 end
      assert.is_true(counts.busy >= 100, counts.busy)
      assert.is_true(counts.closed >= 1 and counts.closed <= 200, counts.closed)
    end)
  end)

  describe("publishes a note again", function()
    -- The payloads of the notes that the broker has received.
    local function notes()
      local list = {}
      for _, packet in ipairs(broker:got()) do
        if packet:find(mqtt.text("note"), 1, true) then
          list[#list + 1] = (packet:sub(-2):gsub("%x%x", function(d)
            return string.char(tonumber(d, 16))
          end))
        end
      end
      return table.concat(list)
    end

    it("if the connection ends before its PUBACK, in order", function()
      local made = publish_to("read:1", "send:" .. mqtt.CONNACK[5], "read:3", "send:40020001",
        "close", "next", "read:1", "send:" .. mqtt.CONNACK[5], "stay")
      for _, text in ipairs { "a", "b", "c" } do made:say("note", text) end
      work(made, function() return has("bmwi/availability") and notes():find("c.*c") end)
      assert.equal("abcbc", notes())
    end)

    it("at most a hundred of them", function()
      local made = publish_to("read:1", "send:" .. mqtt.CONNACK[5], "read:16", "close", "next",
        "read:1", "send:" .. mqtt.CONNACK[5] .. "40020001" .. "40020002", "stay")
      for i = 1, 150 do made:say("note", i == 150 and "z" or i <= 50 and "a" or "b") end
      assert.equal(100, #made.notes)
      work(made, function() return #pauses >= 1 and notes():find("^b+$") and #notes() > 20 end)
    end)
  end)

  it("publishes the end though the broker has acknowledged nothing yet", function()
    local made = publish_to("read:1", "send:" .. mqtt.CONNACK[5], "stay")
    for i = 1, 40 do made:set("topic" .. i, "x") end
    work(made, function()
      local full = #broker:got() >= 17 -- CONNECT, and as many messages as may be in flight
      if full then made:set("bmwi/connection", "ended") end
      return full
    end)
    local got = broker:await(20) -- that, offline and DISCONNECT
    assert.truthy(got[18]:find(mqtt.text("bmwi/connection") .. "%x*" .. mqtt.hex("ended") .. "$"))
    assert.truthy(got[19]:find(mqtt.hex("offline") .. "$"))
  end)

  it("reports once what the broker refuses, on each topic, however often", function()
    local made = publish_to("read:1", "send:" .. mqtt.CONNACK[5], "read:3",
      "send:4003000187" .. "4003000287" .. "4003000387", "close")
    made:set("a", "1")
    made:set("b", "2")
    work(made, function() return #pauses >= 3 end)
    local count = 0
    for _, text in ipairs(said) do
      if text:find("refuses", 1, true) then count = count + 1 end
    end
    assert.equal(3, count, table.concat(said, "\n"))
    said = {}
    for i = 1, 200 do made:complain("topic " .. i, "refused") end
    assert.is_true(#said < 100, #said)
  end)

  it("ignores acknowledgements of messages that it never sent", function()
    local made = publish_to("read:1", "send:" .. mqtt.CONNACK[5], "flood:3000:4002fff0",
      "sleep:0.2", "send:4002fff1", "flood:3000:4002fff2", "stay")
    work(made, function() return has("bmwi/availability") end)
    assert.same({ "connected to the broker" }, said)
  end)
end)
