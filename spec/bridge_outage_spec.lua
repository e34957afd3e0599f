--- bmwi bridge with misbehaving brokers, stopped at any moment.
local bmwi = require "bmwi"
local helper = require "spec.helper"
local bridge = require "spec.bridge_helper"
local broker = require "spec.broker_helper"
local cli = require "spec.cli_helper"
local mqtt = require "spec.mqtt_helper"
local json = helper.json

local ROOT = "bmwi/" .. helper.vin .. "/"

describe("bmwi bridge", function()
  local sim, started, brokers

  setup(function() sim = helper.start({ args = { "--speed", "100" } }) end)
  teardown(function() sim:stop() end)
  before_each(function()
    cli.begin(sim)
    started, brokers = {}, {}
  end)
  after_each(function()
    for _, process in ipairs(started) do process:stop("KILL") end
    for _, own in ipairs(brokers) do own:stop() end
    cli.finish()
  end)

  local function kept(own)
    brokers[#brokers + 1] = own
    return own
  end

  local function start(port, words, environment)
    local all = { "--every", "1", "--mqtt", "mqtt://127.0.0.1:" .. port }
    for _, word in ipairs(words or {}) do all[#all + 1] = word end
    local process = bridge.start(all, environment)
    started[#started + 1] = process
    return process
  end

  local function says(process, text)
    bridge.await(function() return process:said():find(text, 1, true) end,
      function() return process:said() end)
  end

  -- A mosquitto and a subscriber to everything on it; or nil and why there is none.
  local function mosquitto()
    local missing = bridge.no_witness()
    if missing then return nil, missing end
    local own = kept(mqtt.mosquitto())
    local one = bridge.witness(own)
    started[#started + 1] = one.process
    return own, one
  end

  local function send_command(own, payload)
    helper.shell(("mosquitto_pub -h 127.0.0.1 -p %d -t %scommand -m '%s'"):format(own.port, ROOT,
      payload))
  end

  local function ends_soon(process)
    local code, seconds = process:stop()
    assert.equal(0, code, process:said())
    assert.is_true(seconds < 10, "it took " .. seconds .. " s")
  end

  it("falls back to MQTT 3.1.1 with an older broker", function()
    local old = kept(helper.start({ stream = true }))
    broker.set(old, { anyone = true, protocol = 4 })
    local process = start(old.stream_port)
    bridge.await(function()
      for _, message in ipairs(broker.report(old).published) do
        if message.topic == ROOT .. "mileage" then return true end
      end
    end, function() return process:said() end)
    assert.equal(4, broker.report(old).connect.protocol)
    ends_soon(process)
  end)

  it("waits at its start for a service that cannot be reached, if that can pass", function()
    local own, one = mosquitto()
    if not own then return pending(one) end
    finally(function() sim:no_faults() end)
    sim:fault({ path = "vehicles", status = 503, times = 0 })
    local down = { BMWI_RETRIES = "0", BMWI_VIN = false }
    local file = cli.home .. "/x.prom"
    helper.shell(("mosquitto_pub -h 127.0.0.1 -p %d -r -t bmwi/connection -m connected"):format(
      own.port))
    helper.write(file, "bmwi_connected 1\n")
    local process = start(own.port, { "--prometheus", file, "--allow-commands" }, down)
    says(process, "HTTP 503")
    bridge.await(function()
      return (one:seen()["bmwi/connection"] or ""):find("^waiting %(.*HTTP 503")
    end)
    one:await("bmwi/availability", "online")
    bridge.await(function() return helper.read(file):find("bmwi_connected 0\n", 1, true) end)
    send_command(own, "lock")
    local result = json.decode(one:await(ROOT .. "command/result"))
    assert.same({ "refused", "busy" }, { result.result, result.code })
    local stopped = start(own.port, nil, down)
    says(stopped, "HTTP 503")
    ends_soon(stopped)
    sim:no_faults()
    one:await(ROOT .. "mileage")
    one:await("bmwi/connection", "connected")
    sim:fault({ path = "vehicles", status = 403, times = 0 })
    assert.equal(1, start(own.port, nil, down):ended())
  end)

  it("finds out that the broker refuses it, also while the service is down", function()
    finally(function() sim:no_faults() end)
    sim:fault({ path = "vehicles", status = 503, times = 0 })
    local strict = kept(mqtt.broker("read:1", "send:2003008700"))
    local process = start(strict.port, nil, { BMWI_RETRIES = "0", BMWI_VIN = false })
    assert.equal(2, process:ended())
    helper.has(process:said(), "mqtt_password")
  end)

  it("stays connected while there is nothing to send", function()
    local quiet = kept(helper.start({ stream = true }))
    broker.set(quiet, { anyone = true, server_keep_alive = 1 })
    local process = start(quiet.stream_port)
    local pings = 0
    bridge.await(function()
      pings = broker.report(quiet).received.PINGREQ or 0
      return pings > 2
    end, function() return json.encode(broker.report(quiet)) end)
    assert.is_nil(process:said():find("away", 1, true), process:said())
  end)

  it("exits promptly if the broker does not respond", function()
    local mute = kept(mqtt.broker("hold"))
    local process = start(mute.port)
    bridge.await(function() return #sim:log() > 2 end) -- it reads the cars meanwhile
    ends_soon(process)
  end)

  it("exits promptly if nothing is acknowledged, with few messages in flight",
    function()
      local lazy = kept(mqtt.broker("read:1", "send:" .. mqtt.CONNACK[5], "stay"))
      local process = start(lazy.port)
      lazy:await(17)
      os.execute("sleep 0.5")
      local publishes = 0
      for _, packet in ipairs(lazy:got()) do
        if packet:find("^3") then publishes = publishes + 1 end
      end
      assert.is_true(publishes <= 16, publishes)
      ends_soon(process)
    end)

  it("exits promptly while a command is in progress", function()
    local own, one = mosquitto()
    if not own then return pending(one) end
    sim:commands({ service = "*", outcome = "NEVER" })
    local process = start(own.port, { "--allow-commands" })
    one:await(ROOT .. "mileage")
    send_command(own, "lock")
    bridge.await(function() return sim:count("POST", "executeService") == 1 end)
    send_command(own, "lock") -- one at a time
    assert.equal("busy", json.decode(one:await(ROOT .. "command/result")).code)
    assert.equal(1, sim:count("POST", "executeService"))
    ends_soon(process)
    one:await("bmwi/availability", "offline")
  end)

  it("publishes at its end that the outcome of a command under way is unknown", function()
    local own, one = mosquitto()
    if not own then return pending(one) end
    sim:commands({ service = "*", outcome = "NEVER" })
    local sent = sim:count("POST", "executeService")
    for i, signal in ipairs { "TERM", "INT" } do
      local process = start(own.port, { "--allow-commands" })
      one:await("bmwi/availability", "online")
      send_command(own, json.encode { command = "lock", id = i })
      bridge.await(function() return sim:count("POST", "executeService") == sent + i end)
      process:stop(signal)
      one:await("bmwi/availability", "offline")
      local seen, all = one:seen()
      local result = json.decode(seen[ROOT .. "command/result"] or "{}")
      assert.same({ "lock", i, "unknown", "closed" },
        { result.command, result.id, result.result, result.code })
      local topics = {}
      for _, message in ipairs(all) do topics[#topics + 1] = message.topic end
      assert.same({ ROOT .. "command/result", "bmwi/availability" },
        { topics[#topics - 1], topics[#topics] })
    end
  end)

  it("unlocks with the answer to the security question, without revealing it", function()
    local own, one = mosquitto()
    if not own then return pending(one) end
    local process = start(own.port, { "--allow-commands" },
      { BMWI_SECURITY_ANSWER = "blue-car-7" })
    one:await(ROOT .. "mileage")
    send_command(own, "unlock")
    one:await(ROOT .. "doorLockState", "UNLOCKED")
    assert.equal("done", json.decode(one:await(ROOT .. "command/result")).result)
    local request
    for _, entry in ipairs(sim:log()) do
      if entry.method == "POST" and entry.path:find("executeService", 1, true) then
        request = entry
      end
    end
    helper.has(request.body, "blue-car-7")
    assert.is_nil((process:said() .. one.process:printed()):find("blue-car-7", 1, true))
  end)

  it("refuses commands that the car does not offer", function()
    local own, one = mosquitto()
    if not own then return pending(one) end
    local other = kept(helper.start { vehicles = json.encode { { vin = helper.vin,
      model = "I3 +REX", bodytype = "I01", hub = "HUB_ECE", hornBlow = "NOT_SUPPORTED" } } })
    start(own.port, { "--allow-commands" }, { BMWI_BASE_URL = other.url })
    one:await(ROOT .. "mileage")
    send_command(own, "horn")
    assert.equal("unsupported", json.decode(one:await(ROOT .. "command/result")).code)
    assert.equal(0, other:count("POST", "executeService"))
  end)

  it("says which topics the broker refuses", function()
    local missing = bridge.no_witness()
    if missing then return pending(missing) end
    local folder = helper.shell("mktemp -d")
    helper.write(folder .. "/acl", "topic readwrite bmwi/#\n", "644")
    os.execute("chmod 755 " .. folder)
    local own = kept(mqtt.mosquitto("allow_anonymous true\nacl_file " .. folder .. "/acl"))
    local process = start(own.port, { "--discovery", "homeassistant" })
    says(process, "the broker refuses homeassistant/device")
    os.execute("rm -rf " .. folder)
    ends_soon(process)
  end)

  it("does not use more memory during a long broker outage", function()
    local nobody = kept(mqtt.broker("hold"))
    local process = start(nobody.port)
    says(process, "Cars: connected")
    local function memory()
      return tonumber(helper.shell("cat /proc/" .. process.pid .. "/statm"):match("^%d+ (%d+)"))
    end
    if not memory() then return pending("/proc tells no memory here") end
    local before = memory()
    for mileage = 5000, 5030 do
      bridge.change(sim, { mileage = mileage })
      bmwi._sys.pause(0.1)
    end
    assert.is_true(memory() < before + 1024, "pages: " .. before .. ", " .. memory())
    ends_soon(process)
  end)
end)
