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

  it("ends if its first three TLS handshakes are cut short", function()
    local made = publish_to("read:1", "close")
    made.options.url = broker.url:gsub("mqtt", "mqtts")
    made.options.ca_file = helper.certs() .. "/ca.pem" -- the system's takes seconds under Valgrind
    local result = ending(made)
    assert.equal("tls", result[3], result[2])
    assert.same({ 1, 2 }, pauses)
  end)

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

  it("ignores acknowledgements of messages that it never sent", function()
    local made = publish_to("read:1", "send:" .. mqtt.CONNACK[5], "flood:3000:4002fff0",
      "sleep:0.2", "send:4002fff1", "flood:3000:4002fff2", "stay")
    work(made, function() return has("bmwi/availability") end)
    assert.same({ "connected to the broker" }, said)
  end)
end)
