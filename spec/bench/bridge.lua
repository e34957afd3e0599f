-- The rows of `bmwi bridge`: from BMW's broker (the simulator's, over TLS) to one at home
-- (mosquitto), with three cars, and its memory with a hundred.
local bmwi = require "bmwi"
local bridge = require "spec.bridge_helper"
local broker = require "spec.broker_helper"
local cli = require "spec.cli_helper"
local helper = require "spec.helper"
local limits = require "spec.bench.limits"
local mqtt = require "spec.mqtt_helper"
local process = require "spec.soak.process"

local CARS, MANY, MESSAGES, SINGLE = 3, 100, 2000, 20
local MEMORY = 40 -- MiB with a hundred cars
local MILEAGE = "vehicle.vehicle.travelledDistance"
local MEMBERS = { "vehicle.drivetrain.batteryManagement.header",
  "vehicle.drivetrain.batteryManagement.maxEnergy", "vehicle.cabin.door.lock.status",
  "vehicle.cabin.door.row1.driver.isOpen", "vehicle.cabin.door.row1.passenger.isOpen",
  "vehicle.cabin.door.row2.driver.isOpen", "vehicle.cabin.door.row2.passenger.isOpen",
  "vehicle.cabin.window.row1.driver.status", "vehicle.cabin.window.row1.passenger.status",
  "vehicle.body.trunk.isOpen", "vehicle.body.hood.isOpen", "vehicle.isMoving",
  "vehicle.powertrain.electric.battery.charging.power" }
local OTHERS = 40 -- descriptors of a car without a member

local monotonic = bmwi._sys.monotonic

local function vin(i) return ("WBYBENCH%09d"):format(i) end

local function publish(sim, list)
  helper.write(cli.home .. "/body", helper.json.encode { publish = list })
  os.execute(("curl -sSk -o %s/answer --data-binary @%s/body %s/_sim/cardata/stream"):format(
    cli.home, cli.home, sim.url))
  local said = helper.read(cli.home .. "/answer")
  assert(said and not said:find('"error"', 1, true), said)
end

local number = 0

-- The next mileage of a car: a message, and its topic's next value.
local function drive(car)
  number = number + 1
  return { vin = vin(car), data = { [MILEAGE] = { value = number, unit = "km",
    timestamp = os.date("!%Y-%m-%dT%H:%M:%SZ", 1700000000 + number) } } },
    ("bmwi/%s/mileage"):format(vin(car)), tostring(number)
end

local function await(witness, topic, payload)
  repeat
    local what, on, held = witness:receive(30)
    assert(what, on)
  until on == topic and held == payload
end

-- Everything about a car, in messages as BMW sends them.
local function everything(car)
  local data = {}
  for i, name in ipairs(MEMBERS) do
    data[name] = { value = name:find("isOpen") and false or name:find("status") and "CLOSED" or i,
      age = 10 }
  end
  for i = 1, OTHERS do data["vehicle.bench.other" .. i] = { value = i, unit = "km", age = 10 } end
  local message = drive(car)
  message.data[MILEAGE].age = nil
  for name, value in pairs(message.data) do data[name] = value end
  return { vin = message.vin, data = data }
end

local function start(sim, home)
  cli.sim, cli.home = sim, helper.shell("mktemp -d")
  os.execute("umask 77; mkdir -p " .. cli.state())
  local token = broker.log_in(sim)
  token.expires_at = os.time() + token.expires_in
  cli.write(cli.state() .. "token.json", helper.json.encode(token))
  local one = bridge.start({ "--mqtt", "mqtt://127.0.0.1:" .. home.port, "--discovery",
    "homeassistant" }, { BMWI_SERVICE = "cardata", BMWI_CLIENT_ID = broker.CLIENT,
    BMWI_CA_FILE = sim.ca, BMWI_LOGIN_URL = sim.url .. "/gcdm/oauth",
    BMWI_STREAM_URL = sim.stream_url })
  broker.wait(sim, function(report)
    return report.connections[1] and #report.connections[1].subscriptions > 0
  end)
  return one
end

local function latency(tools, sim, witness)
  local list = {}
  for i = 1, tools.scaled(SINGLE, 5) do
    local message, topic, payload = drive(i % CARS + 1)
    local before = monotonic()
    publish(sim, { message })
    await(witness, topic, payload)
    list[i] = monotonic() - before
  end
  local value = tools.median(list)
  tools.row("bmwi bridge, one value from broker to broker", "0.2 s for more of the same car",
    value / 0.2, 1.5, ("%.0f ms, the program that publishes included"):format(value * 1000),
    function() return limits.latency(list) end)
end

local function throughput(tools, sim, witness, one)
  local n, list, topic, payload = tools.scaled(MESSAGES, 200), {}, nil, nil
  for i = 1, n do list[i], topic, payload = drive(i % CARS + 1) end
  local used, before = process.sample(one.pid).cpu, monotonic()
  publish(sim, list)
  await(witness, topic, payload)
  local wall = monotonic() - before
  used = process.sample(one.pid).cpu - used
  tools.row(("bmwi bridge, %d messages at once"):format(n), "processor, of the time they took",
    used / wall, nil, ("%.0f a second, %.0f us of processor time each"):format(n / wall,
    used / n * 1e6))
end

local function memory(tools, sim, witness, one)
  local list, few = {}, process.sample(one.pid).rss * 1024
  for car = 1, MANY do list[car] = everything(car) end
  publish(sim, list)
  local seen, count = {}, 0
  while count < MANY do
    local what, topic = witness:receive(60)
    assert(what, ("%d cars only: %s"):format(count, tostring(topic)))
    local car = topic:match("^bmwi/([^/]+)/mileage$")
    if car and not seen[car] then seen[car], count = true, count + 1 end
  end
  bmwi.sleep(tools.scaled(20, 8)) -- the account file is written
  local sample = process.sample(one.pid)
  tools.row(("resident memory of bmwi bridge with %d cars"):format(MANY), MEMORY .. " MiB",
    sample.rss / 1024 / MEMORY, 1, ("%.1f MiB"):format(sample.rss / 1024),
    function() return limits.bridge(few, sample.rss * 1024, MANY) end)
end

---@param tools table see spec/bench/stream.lua
return function(tools)
  if bridge.no_witness() then
    print(bridge.no_witness())
    return
  end
  local sim = helper.start { stream = true, tls = true }
  local home = mqtt.mosquitto()
  local one = start(sim, home)
  local ok, problem = pcall(function()
    local witness = bmwi._mqtt.connect { url = "mqtt://127.0.0.1:" .. home.port,
      client_id = "witness" }
    assert(witness:receive(20))
    witness:subscribe("bmwi/+/mileage", 1)
    assert(witness:receive(20))
    latency(tools, sim, witness)
    throughput(tools, sim, witness, one)
    memory(tools, sim, witness, one)
    witness:close()
  end)
  local said = one:said()
  one:stop()
  home:stop()
  sim:stop()
  os.execute("rm -rf " .. cli.home)
  if not ok then error(tostring(problem) .. "\n" .. said, 0) end
end
