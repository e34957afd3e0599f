--- The soak of the stream: client:stream() in one process and bmwi bridge in another, each with a
--- simulator, an account file and tokens of 20 seconds of its own, while sessions are kicked, the
--- brokers stop and start, fall silent and send garbage, and the bridge's local broker goes away
--- and comes back. What was published is compared with what was received (stream_judge.lua).
--- usage: `make soak SOAKS=stream`; SOAK_SECONDS (600), SOAK_SEED (random, and printed).
local bmwi = require("bmwi")
local bridge = require("spec.bridge_helper")
local broker = require("spec.broker_helper")
local chaos = require("spec.soak.stream_chaos")
local cli = require("spec.cli_helper")
local common = require("spec.soak.common")
local helper = require("spec.helper")
local judge = require("spec.soak.stream_judge")
local mqtt = require("spec.mqtt_helper")
local process = require("spec.soak.process")
local json = helper.json

local SECONDS = tonumber(os.getenv("SOAK_SECONDS")) or 600
local SEED = tonumber(os.getenv("SOAK_SEED")) or os.time() % 1000000
local LIFE = 20 -- seconds of a token
local STEP = 0.4
local STAYS = 1.5 -- seconds that a session must last for what was sent to it to arrive
local CALM = 400 -- seconds at most until everything is there at the end; a wait has 300 at most
local KILL = 0.15 -- of the time, after which each process is killed and started again
local LOCAL = { up = { 25, 60 }, down = { 2, 10 } } -- seconds of the local broker
local VINS = { "WBYCARDATA0000001", "WBACARDATA0000002" }
-- Descriptors, and the members of the bridge.
local VALUES = {
  { "vehicle.vehicle.travelledDistance", "mileage", "km" },
  { "vehicle.drivetrain.batteryManagement.maxEnergy", "batteryEnergyMax", "kWh" },
  { "vehicle.powertrain.electric.battery.charging.power", "chargingPower", "W" },
  { "vehicle.drivetrain.electricEngine.charging.timeRemaining", "chargingTimeRemaining", "min" },
}

local random = common.random(SEED)
local monotonic = bmwi._sys.monotonic
local missing = bridge.no_witness()
io.stdout:setvbuf("line")
print(("soak of the stream: %d s, SOAK_SEED=%d"):format(SECONDS, SEED))
if missing then
  print(missing .. "\n0 passed, 0 failed, 1 skipped")
  os.exit(0)
end

-- ---- the two programs ----

local folder = helper.shell("mktemp -d")
cli.home = folder .. "/home"
os.execute(("mkdir -p %s/worker && umask 77 && mkdir -p %s"):format(folder, cli.state()))

-- A simulator with a program that listens to it.
local function side(name)
  local sim = helper.start { stream = true, tls = true }
  sim:control("POST", "/cardata/token", { expires_in = LIFE })
  sim:control("POST", "/cardata/login", { interval = 0.05 })
  return { name = name, sim = sim, chaos = chaos(random), published = {}, samples = {} }
end

local reader, handing = side("client:stream()"), side("bmwi bridge")
local sides = { reader, handing }
local local_broker = mqtt.mosquitto()
local witness = bridge.witness(local_broker)

function reader.start(self)
  self.process = bridge.process(("%s spec/soak/stream_worker.lua %s %s %s %s"):format(
    helper.interpreter, self.sim.url, self.sim.stream_url, self.sim.ca, folder .. "/worker"))
end

function handing.start(self)
  cli.sim = self.sim
  if not helper.read(cli.state() .. "token.json") then
    local token = broker.log_in(self.sim)
    token.expires_at = os.time() + token.expires_in
    cli.write(cli.state() .. "token.json", json.encode(token))
  end
  self.process = bridge.start({ "--mqtt", "mqtt://127.0.0.1:" .. local_broker.port, "--discovery",
    "homeassistant", "--prometheus", folder .. "/bmwi.prom" },
    { BMWI_SERVICE = "cardata", BMWI_CLIENT_ID = broker.CLIENT, BMWI_CA_FILE = self.sim.ca,
      BMWI_LOGIN_URL = self.sim.url .. "/gcdm/oauth", BMWI_STREAM_URL = self.sim.stream_url })
end

for _, one in ipairs(sides) do one:start() end

-- ---- publishing ----

local count = 100000

-- The same value for both simulators; sometimes one measured long ago.
local function next_value()
  count = count + 1
  local row = VALUES[math.floor(count / #VINS) % #VALUES + 1]
  return { vin = VINS[count % #VINS + 1], descriptor = row[1], member = row[2], unit = row[3],
    value = count, old = random() < 0.1 }
end

local function message(value)
  return { vin = value.vin, data = { [value.descriptor] = { value = value.value,
    unit = value.unit, age = value.old and 3600 or 0 } } }
end

-- The subscribed session that is still reachable: its number, and whether everything is sent.
local function session(report)
  local last = report.attempts[#report.attempts]
  for _, connection in ipairs(report.connections) do
    if #connection.subscriptions > 0 and not connection.frozen and last and not last.ended then
      return last.n, connection.unsent == 0
    end
  end
end

-- Once a session has lasted for some time, what was sent to it has arrived.
local function confirm(one, now, open, sent)
  for _, entry in ipairs(one.waiting or {}) do
    if entry.session == open and now - entry.at < STAYS then
      one.keep[#one.keep + 1] = entry
    elseif entry.session == open and sent then
      entry.arrived = true
    elseif entry.session == open then
      one.keep[#one.keep + 1] = entry
    end
  end
  one.waiting, one.keep = one.keep, {}
end

local function step(one, now, value, more)
  local requests = more or {}
  requests[#requests + 1] = { "GET", "/cardata/stream" }
  requests[#requests + 1] = value and { "POST", "/cardata/stream", { publish = message(value) } }
  local answers = common.control(one.sim, requests)
  local report = answers[#answers - (value and 1 or 0)]
  local open, sent = session(report)
  one.attempts = report.attempts
  confirm(one, now, open, sent)
  if not value then return open end
  local entry = { at = now, value = value.value, key = value.vin .. " " .. value.descriptor,
    topic = ("bmwi/%s/%s"):format(value.vin, value.member), old = value.old,
    session = open ~= one.spoilt and open or nil, local_since = one.local_since }
  one.published[#one.published + 1] = entry
  if entry.session and not entry.old then table.insert(one.waiting, entry) end
  return open
end

for _, one in ipairs(sides) do one.waiting, one.keep = {}, {} end

-- ---- the local broker ----

local outages = {} -- {from, to}

local function local_step(now)
  local at = handing.local_next or LOCAL.up[1]
  handing.local_next = at
  if now < at then return end
  local span = handing.local_down and LOCAL.up or LOCAL.down
  if handing.local_down then
    bridge.bring_back(local_broker)
    outages[#outages].to, handing.local_down = now, false
  else
    bridge.take_away(local_broker)
    outages[#outages + 1], handing.local_down = { from = now }, true
  end
  handing.local_next = now + span[1] + random() * (span[2] - span[1])
end

-- ---- all of it ----

local began, sampled, killed = monotonic(), 0, nil
local function clock() return monotonic() - began end

while clock() < SECONDS do
  local now, value = clock(), next_value()
  for _, one in ipairs(sides) do
    local requests, spoilt = one.chaos:step(now)
    local open = step(one, now, value, requests)
    if spoilt then one.spoilt = open end
  end
  local_step(now)
  if not killed and now > KILL * SECONDS then
    killed = now
    for _, one in ipairs(sides) do
      one.process:stop("KILL")
      one:start()
    end
    witness.killed = select(2, witness:seen())
    witness.killed = #witness.killed
  end
  if now - sampled >= 5 then
    sampled = now
    for _, one in ipairs(sides) do
      local sample = process.sample(one.process.pid)
      if sample then
        sample.at = now
        one.samples[#one.samples + 1] = sample
      end
    end
    local report = json.decode(helper.read(folder .. "/worker/report") or "{}")
    local last = reader.samples[#reader.samples]
    if last then last.lua = report.lua end
  end
  local left = STEP - (clock() - now)
  if left > 0 then bmwi.sleep(left) end
end

-- Everything once more, without faults, until it arrives: BMW keeps nothing for absent clients.
if handing.local_down then bridge.bring_back(local_broker) end
for _, one in ipairs(sides) do common.control(one.sim, one.chaos.calm()) end

local finals, calm = {}, clock()
for i = 1, #VINS * #VALUES do
  finals[i] = next_value()
  finals[i].old = false
end

local function is_seen(one, value)
  if one == handing then
    return witness:seen()[("bmwi/%s/%s"):format(value.vin, value.member)] == tostring(value.value)
  end
  return ("\n" .. (helper.read(folder .. "/worker/seen") or "")):gsub("%.0\n", "\n"):find(
    ("\n%s %s %d\n"):format(value.vin, value.descriptor, value.value), 1, true) ~= nil
end

local missing_finals
repeat
  missing_finals = 0
  for _, value in ipairs(finals) do
    for _, one in ipairs(sides) do
      if not is_seen(one, value) then
        missing_finals = missing_finals + 1
        step(one, clock(), value)
      end
    end
  end
  bmwi.sleep(2)
until missing_finals == 0 or clock() - calm > CALM
for _, one in ipairs(sides) do step(one, clock()) end
local restored = clock() - calm
helper.write(folder .. "/worker/stop", "")
local held, heard = witness:seen()
local code, seconds = handing.process:stop("TERM")
local goodbye = witness:seen()["bmwi/availability"]
reader.process:ended()
witness:stop()
local_broker:stop()
for _, one in ipairs(sides) do one.sim:stop() end

for _, one in ipairs(sides) do
  helper.write(("%s/%s.json"):format(folder, one.name:match("%a+$") or "reader"), json.encode {
    attempts = one.attempts, samples = one.samples, published = one.published })
end
helper.write(folder .. "/local.json", json.encode { outages = outages, killed = killed,
  heard = heard })
local failed = judge { reader = reader, handing = handing, finals = finals, held = held,
  heard = heard, killed = killed, witness_killed = witness.killed or 0, outages = outages,
  seen = helper.read(folder .. "/worker/seen") or "", seconds = SECONDS, restored = restored,
  problems = helper.read(folder .. "/worker/problems") or "", said = reader.process:said(),
  ended = { code = code, seconds = seconds, goodbye = goodbye } }
if failed == 0 then os.execute("rm -rf " .. folder) else print("kept: " .. folder) end
os.exit(failed == 0, true)
