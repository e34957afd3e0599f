--- bmwi bridge with our own mosquitto, observed by mosquitto_sub.
local helper = require "spec.helper"
local bridge = require "spec.bridge_helper"
local cli = require "spec.cli_helper"
local mqtt = require "spec.mqtt_helper"
local json = helper.json

local ROOT = "bmwi/" .. helper.vin .. "/"
local DISCOVERY = "homeassistant/device/bmwi_" .. helper.vin .. "/config"

describe("bmwi bridge", function()
  local missing = bridge.no_witness()
  if missing then return pending(missing) end

  local sim, broker, started, brokers

  setup(function()
    sim = helper.start({ args = { "--speed", "100" } })
    broker = mqtt.mosquitto()
  end)
  teardown(function()
    sim:stop()
    broker:stop()
  end)
  before_each(function()
    cli.begin(sim)
    started, brokers = {}, {}
  end)
  after_each(function()
    for _, process in ipairs(started) do process:stop("KILL") end
    for _, own in ipairs(brokers) do own:stop() end
    -- The next spec would see what is retained.
    helper.shell(("mosquitto_sub -h 127.0.0.1 -p %d -t '#' --remove-retained -W 1 2>&1")
      :format(broker.port))
    cli.finish()
  end)

  local function start(arguments, environment)
    local words = { "--every", "1" }
    for _, word in ipairs(arguments or {}) do words[#words + 1] = word end
    local process = bridge.start(words, environment)
    started[#started + 1] = process
    return process
  end

  local function broker_of_its_own(...)
    local own = mqtt.mosquitto(...)
    brokers[#brokers + 1] = own
    return own
  end

  local function to_broker(...)
    return { "--mqtt", ("mqtt://127.0.0.1:%d"):format(broker.port), ... }
  end

  local function witness(words, at)
    local one = bridge.witness(at or broker, words)
    started[#started + 1] = one.process
    return one
  end

  it("publishes the status, each member and its availability, retained, with QoS 1", function()
    local process = start(to_broker())
    local one = witness()
    one:await("bmwi/availability", "online")
    assert.equal("1234", one:await(ROOT .. "mileage"))
    assert.equal(1234, json.decode(one:await(ROOT .. "status")).mileage)
    one:await("bmwi/connection", "connected")
    -- A later subscriber gets what is retained.
    local later = witness()
    later:await(ROOT .. "mileage", "1234")
    local _, all = later:seen()
    for _, message in ipairs(all) do
      assert.is_true(message.retained, message.topic)
      assert.equal(1, message.qos, message.topic)
    end
    bridge.change(sim, { mileage = 4321 })
    one:await(ROOT .. "mileage", "4321")
    helper.has(process:said(), "MQTT: connected to the broker")
  end)

  it("publishes offline and exits within a second: 0 on SIGTERM, 130 on Ctrl-C", function()
    for signal, expected in pairs { TERM = 0, INT = 130 } do
      local process, one = start(to_broker()), witness()
      one:await("bmwi/availability", "online")
      one:await(ROOT .. "mileage")
      local code, seconds = process:stop(signal)
      one:await("bmwi/connection", "ended")
      assert.equal(expected, code, process:said())
      assert.is_true(seconds < 10, seconds) -- one, on a machine that does nothing else
      one:await("bmwi/availability", "offline")
    end
  end)

  it("is reported offline by its last will when it is killed", function()
    local process, one = start(to_broker()), witness()
    one:await("bmwi/availability", "online")
    process:stop("KILL")
    one:await("bmwi/availability", "offline")
  end)

  it("publishes everything again after a broker outage, and what came meanwhile", function()
    local own = broker_of_its_own()
    local process = start({ "--mqtt", ("mqtt://127.0.0.1:%d"):format(own.port) })
    local one = witness(nil, own)
    one:await(ROOT .. "mileage", "1234")
    bridge.take_away(own)
    bridge.await(function() return process:said():find("the broker is away", 1, true) end)
    bridge.change(sim, { mileage = 777 })
    os.execute("sleep 0.5")
    bridge.bring_back(own) -- without what it held
    local later = bridge.await(function()
      local new = witness(nil, own)
      os.execute("sleep 0.5")
      return new:seen()["bmwi/availability"] and new
    end)
    later:await(ROOT .. "mileage", "777")
    later:await(ROOT .. "chargingLevelHv")
    later:await("bmwi/availability", "online")
  end)

  it("starts before the broker does", function()
    local own = broker_of_its_own()
    bridge.take_away(own)
    local process = start({ "--mqtt", ("mqtt://127.0.0.1:%d"):format(own.port) })
    bridge.await(function() return process:said():find("the broker is away", 1, true) end)
    assert.matches("\nMQTT: the broker is away %b()\n  Check [^\n]+\n", "\n" .. process:said())
    bridge.bring_back(own)
    bridge.await(function() return process:said():find("connected to the broker", 1, true) end)
  end)

  it("removes a member that is gone", function()
    local one = witness()
    bridge.change(sim, { chargingTimeRemaining = 30 })
    start(to_broker())
    one:await(ROOT .. "chargingTimeRemaining", "30")
    bridge.change(sim, { chargingTimeRemaining = json.null })
    one:await(ROOT .. "chargingTimeRemaining", "")
  end)

  it("announces the car to Home Assistant, and again when there are new members", function()
    local one = witness()
    start(to_broker("--discovery", "homeassistant"))
    local told = json.decode(one:await(DISCOVERY))
    assert.equal("distance", told.cmps.mileage_sensor.device_class)
    assert.equal("device_tracker", told.cmps.position_device_tracker.p)
    assert.is_nil(told.cmps.command_lock)
    assert.is_nil(told.cmps.chargingPower_sensor)
    bridge.change(sim, { chargingPower = 3700 })
    bridge.await(function()
      return json.decode(one:seen()[DISCOVERY]).cmps.chargingPower_sensor
    end)
  end)

  it("shares a broker with another bridge if it has a prefix of its own", function()
    local one = witness()
    start(to_broker("--discovery", "homeassistant"))
    one:await("bmwi/availability", "online")
    local second = start(to_broker("--discovery", "homeassistant", "--prefix", "cars/b",
      "--allow-commands"))
    local root = "cars/b/" .. helper.vin .. "/"
    one:await("cars/b/availability", "online")
    one:await("cars/b/connection", "connected")
    one:await(root .. "mileage", "1234")
    local config = json.decode(one:await("homeassistant/device/cars_b_" .. helper.vin
      .. "/config"))
    assert.same({ "cars_b_" .. helper.vin }, config.dev.ids)
    assert.equal("cars/b/availability", config.availability[1].topic)
    local first = json.decode(one:await(DISCOVERY))
    for name, entity in pairs(config.cmps) do
      helper.has(entity.state_topic or entity.command_topic or entity.json_attributes_topic, root)
      assert.is_true(not first.cmps[name] or first.cmps[name].unique_id ~= entity.unique_id)
    end
    helper.shell(("mosquitto_pub -h 127.0.0.1 -p %d -t %scommand -m explode"):format(broker.port,
      root))
    assert.equal("refused", json.decode(one:await(root .. "command/result")).result)
    second:stop()
    one:await("cars/b/availability", "offline")
    assert.equal("online", one:seen()["bmwi/availability"])
  end)

  it("logs in with mqtt_username and mqtt_password, and shows neither anywhere", function()
    local folder = helper.shell("mktemp -d")
    helper.shell(("mosquitto_passwd -b -c %s/pw carol s3cret-pw; chmod 755 %s; chmod 644 %s/pw")
      :format(folder, folder, folder))
    local own = broker_of_its_own("allow_anonymous false\npassword_file " .. folder .. "/pw")
    local url = ("mqtt://127.0.0.1:%d"):format(own.port)
    local process = start({ "--mqtt", url },
      { BMWI_MQTT_USERNAME = "carol", BMWI_MQTT_PASSWORD = "s3cret-pw" })
    local one = witness("-u carol -P s3cret-pw", own)
    one:await("bmwi/availability", "online")
    assert.is_nil(helper.shell("cat /proc/" .. process.pid .. "/cmdline"):find("s3cret", 1, true))
    -- A refusal at the start means a wrong setting.
    local refused = start({ "--mqtt", url },
      { BMWI_MQTT_USERNAME = "carol", BMWI_MQTT_PASSWORD = "wr0ng-pw" })
    assert.equal(2, refused:ended())
    helper.has(refused:said(), "mqtt_password")
    assert.is_nil((process:said() .. refused:said()):find("-pw", 1, true))
    os.execute("rm -rf " .. folder)
  end)

  it("uses TLS, and refuses a broker that it does not trust", function()
    local own = broker_of_its_own(nil, true)
    local url = ("mqtts://127.0.0.1:%d"):format(own.port)
    local process = start({ "--mqtt", url }, { BMWI_MQTT_CA_FILE = own.ca })
    bridge.await(function() return process:said():find("connected to the broker", 1, true) end,
      function() return process:said() end)
    local refused = start({ "--mqtt", url })
    assert.equal(1, refused:ended())
    helper.has(refused:said(), "certificate")
    helper.has(refused:said(), "set mqtt_ca_file\n")
  end)

  describe("commands", function()
    local function publish(payload, words)
      helper.shell(("mosquitto_pub -h 127.0.0.1 -p %d -t %scommand -m '%s' %s"):format(broker.port,
        ROOT, payload, words or ""))
    end
    local function posts() return sim:count("POST", "executeService") end

    it("are executed once, and their results published", function()
      local one = witness()
      start(to_broker("--allow-commands"))
      one:await(ROOT .. "mileage")
      publish("lock")
      local result = json.decode(one:await(ROOT .. "command/result"))
      assert.same({ command = "lock", result = "done", status = "EXECUTED" }, result)
      assert.equal(1, posts())
      publish('{"command":"flash","count":2,"id":"x7"}')
      bridge.await(function()
        return json.decode(one:seen()[ROOT .. "command/result"]).id == "x7"
      end)
      assert.equal(2, posts())
    end)

    it("are refused if invalid, and failures are published", function()
      local one = witness()
      start(to_broker("--allow-commands"))
      one:await(ROOT .. "mileage")
      local function results()
        local list, _, all = {}, one:seen()
        for _, message in ipairs(all) do
          if message.topic == ROOT .. "command/result" then
            list[#list + 1] = json.decode(message.payload)
          end
        end
        return list
      end
      local NONE = { "explode", '{"command":"flash","count":-1}', '{"x":1}', "[1",
        '{"command":"flash","count":false}' }
      for i, payload in ipairs(NONE) do
        publish(payload)
        bridge.await(function() return #results() == i end)
        assert.same({ "refused", "usage" }, { results()[i].result, results()[i].code })
      end
      assert.equal(0, posts())
      sim:fault({ path = "executeService", times = 0, status = 403 })
      publish("climate")
      bridge.await(function() return #results() == #NONE + 1 end)
      local last = results()[#NONE + 1]
      assert.same({ "failed", "forbidden" }, { last.result, last.code })
    end)

    it("are refused if they are read after the broker has given the bridge up", function()
      local own = broker_of_its_own()
      local process = start({ "--mqtt", ("mqtt://127.0.0.1:%d"):format(own.port),
        "--allow-commands" })
      witness(nil, own):await(ROOT .. "mileage")
      local before = posts()
      os.execute("kill -STOP " .. process.pid)
      helper.shell(("mosquitto_pub -h 127.0.0.1 -p %d -q 1 -t %scommand -m '%s'"):format(own.port,
        ROOT, '{"command":"unlock","id":5}'))
      bridge.take_away(own)
      bridge.bring_back(own)
      local one = bridge.await(function() -- it takes a moment to listen
        local new = witness(nil, own)
        os.execute("sleep 0.5")
        return new.process:runs() and new
      end)
      os.execute("kill -CONT " .. process.pid)
      local result = json.decode(one:await(ROOT .. "command/result"))
      assert.same({ "unlock", 5, "refused", "closed" },
        { result.command, result.id, result.result, result.code })
      assert.equal(before, posts())
    end)

    local function result_with(fault)
      local one = witness()
      start(to_broker("--allow-commands"), { BMWI_RETRIES = "0" })
      one:await(ROOT .. "mileage")
      fault.times = 0
      sim:fault(fault)
      sim:token({ expire = fault.path == "oauth/token" })
      publish("lock")
      local result = json.decode(one:await(ROOT .. "command/result"))
      return { result.result, result.code }
    end

    it("have failed if the log-in failed", function()
      assert.same({ "failed", "server" }, result_with { path = "oauth/token", status = 503 })
    end)

    it("have an unknown outcome if the server does not report it", function()
      assert.same({ "unknown", "forbidden" },
        result_with { path = "serviceExecutionStatus", status = 403 })
    end)

    it("are ignored if retained, since they would be executed at each start", function()
      publish("lock", "-r")
      local one = witness()
      start(to_broker("--allow-commands"))
      one:await(ROOT .. "mileage")
      os.execute("sleep 0.5")
      assert.equal(0, posts())
    end)

    it("are ignored if published with -r while the bridge runs", function()
      local one = witness()
      start(to_broker("--allow-commands"))
      one:await(ROOT .. "mileage")
      publish("lock", "-r")
      publish("explode")
      one:await(ROOT .. "command/result")
      os.execute("sleep 0.3")
      assert.equal(0, posts())
      local _, all = one:seen()
      for _, message in ipairs(all) do
        if message.topic == ROOT .. "command/result" then
          assert.equal("refused", json.decode(message.payload).result)
        end
      end
    end)

    it("are not subscribed to without --allow-commands", function()
      local one = witness()
      start(to_broker())
      one:await(ROOT .. "mileage")
      publish("lock")
      os.execute("sleep 0.5")
      assert.equal(0, posts())
      assert.is_nil(one:seen()[ROOT .. "command/result"])
    end)
  end)

  describe("arguments", function()
    for _, case in ipairs {
      { "bridge", "nowhere to publish to\n  Give --mqtt URL" },
      { "bridge --mqtt http://x", "mqtt://HOST:PORT" },
      { "bridge --mqtt mqtt://u:p4ssw0rd@localhost", "mqtt_username" },
      { "bridge --json --discovery homeassistant", "needs --mqtt" },
      { "bridge --prometheus x.prom --allow-commands", "needs --mqtt" },
      { "bridge --json --output x", "Redirect" },
      { "bridge --mqtt mqtt://localhost --discovery domoticz", "homeassistant" },
      { "bridge --prometheus x.txt", ".prom" },
      { "bridge --json --prefix x", "needs --mqtt" },
      { "bridge --mqtt mqtt://localhost --prefix=", "must not be empty" },
      { "bridge --mqtt mqtt://localhost --prefix a/+", "--prefix must be" },
      { "bridge --mqtt mqtt://localhost --prefix #", "--prefix must be" },
      { "bridge --mqtt mqtt://localhost --prefix $SYS", "--prefix must be" },
      { "bridge --mqtt mqtt://localhost --prefix /a", "--prefix must be" },
      { "bridge --mqtt mqtt://localhost --prefix a/", "--prefix must be" },
      { "bridge --mqtt mqtt://localhost --prefix " .. ("a"):rep(257), "at most 256 bytes" },
    } do
      it("are refused with a hint: " .. case[1], function()
        local result = cli.run(case[1])
        assert.equal(2, result.code, result.err)
        helper.has(result.err, case[2])
        cli.assert_no_secret(result.err)
      end)
    end

    for _, case in ipairs {
      { "port 0", "mqtt://h:0", "--mqtt: its port" },
      { "port 99999", "mqtt://h:99999", "--mqtt: its port" },
      { "an empty port", "mqtt://127.0.0.1:", "--mqtt: its port" },
      { "half an address", "mqtt://[::1", "--mqtt: it has no host" },
      { "a space", "mqtt://a b:1", "--mqtt: it contains a character" },
      { "a query", "mqtt://h?x", "--mqtt: it contains a character" },
      { "a long host", "mqtt://" .. ("h"):rep(3000), "--mqtt: it is too long" },
      { "a long password", "mqtt://h", "mqtt_password: ",
        { BMWI_MQTT_USERNAME = "u", BMWI_MQTT_PASSWORD = ("s3cret-"):rep(10000) } },
      { "a prefix that is not UTF-8", "mqtt://h", "--prefix", nil, "\255" },
      { "a name that is not UTF-8", "mqtt://h", "mqtt_username: ",
        { BMWI_MQTT_USERNAME = "\255" } },
    } do
      it("are refused in one line, with a hint: " .. case[1], function()
        local result = cli.run({ "bridge", "--mqtt", case[2], "--prefix", case[5] or "bmwi" },
          case[4])
        assert.equal(2, result.code, result.err)
        helper.has(result.err, case[3])
        assert.equal(2, select(2, result.err:gsub("\n", "")), result.err) -- with that of the hint
        assert.is_nil(result.err:find("s3cret", 1, true))
      end)
    end

    it("for commands are refused with CarData", function()
      local result = cli.run("bridge --mqtt mqtt://localhost --allow-commands",
        { BMWI_SERVICE = "cardata", BMWI_CLIENT_ID = "6b1f5a52-9d2e-4c0f-8a53-1f0c2d3e4b5a" })
      assert.equal(2, result.code)
      helper.has(result.err, "service = cardata")
    end)
  end)
end)

describe("bmwi bridge without a broker", function()
  local sim

  setup(function() sim = helper.start() end)
  teardown(function() sim:stop() end)
  before_each(function() cli.begin(sim) end)
  after_each(cli.finish)

  it("keeps a world-readable file for Prometheus", function()
    local path = cli.home .. "/bmwi.prom"
    local process = bridge.start { "--every", "1", "--prometheus", path }
    bridge.await(function()
      return (helper.read(path) or ""):find('bmwi_mileage_meters{vin="WAB1C23456V123456"} 1234000',
        1, true)
    end, function() return tostring(helper.read(path)) end)
    bridge.change(sim, { mileage = 2000 })
    bridge.await(function() return helper.read(path):find(" 2000000\n", 1, true) end)
    assert.equal("644", helper.shell("stat -c %a " .. path))
    helper.has(helper.read(path), "bmwi_connected 1\n")
    assert.equal(0, (process:stop()))
  end)

  it("exits immediately if the file cannot be written", function()
    local result = cli.run("bridge --prometheus /dev/null/x.prom")
    assert.equal(1, result.code)
    helper.has(result.err, "/dev/null/x.prom")
  end)

  it("writes JSON lines to standard output", function()
    local process = bridge.start { "--every", "1", "--json" }
    bridge.await(function() return process:printed():find("\n") end)
    bridge.change(sim, { mileage = 2001 })
    bridge.await(function()
      return process:printed():find('{"changed":["mileage"]', 1, true)
    end)
    assert.equal(0, (process:stop()))
  end)

  it("says with --json what happens, too, but not with --quiet", function()
    local words = { "--json", "--mqtt", "mqtt://127.0.0.1:1" }
    local process = bridge.start(words)
    bridge.await(function()
      return process:said():find("MQTT: the broker is away", 1, true)
        and process:said():find("Cars: connected", 1, true)
    end, function() return process:said() end)
    process:stop()
    words[#words + 1] = "--quiet"
    process = bridge.start(words)
    bridge.await(function() return process:printed():find("\n") end)
    process:stop()
    assert.equal("", process:said())
  end)
end)
