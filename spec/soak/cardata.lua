--- The soak of CarData: several processes share one account file and its three cars, while the
--- simulator fails in every way it can, tokens expire, days pass, and processes are killed. Their
--- results are compared with what the simulator received (cardata_judge.lua).
--- usage: `make soak`; SOAK_SECONDS (600), SOAK_SEED (random, and printed).
local common = require("spec.soak.common")
local draw = require("spec.soak.faults")
local helper = require("spec.helper")
local judge = require("spec.soak.cardata_judge")
local json = helper.json

local SECONDS = tonumber(os.getenv("SOAK_SECONDS")) or 600
local SEED = tonumber(os.getenv("SOAK_SEED")) or os.time() % 1000000
local WORKERS, LIMIT = 4, 1500 -- processes; calls a day
local ROUND, QUARTER = 12, 6 * 3600 -- seconds: real time between stops; simulated time then added
local CLOSING = 12 -- rounds from one "quota used up" answer to the next
local SPENDING = 0.85 -- after this share of the time another program uses up the day's calls
local CARS = { "WBYCARDATA0000001", "WBACARDATA0000002", "WBACARDATA0000003" }
local RECORDED = { "CU-100", "CU-101", "CU-102", "CU-103", "CU-104", "CU-105", "CU-120", "CU-121",
  "CU-122", "CU-124", "CU-125", "CU-126", "CU-127", "CU-127-token", "CU-400", "CU-401", "CU-402",
  "CU-403", "CU-429", "CU-429-status", "CU-500", "CU-503", "xml_error", "broken_utf8", "empty_403",
  "page_502", "page_503", "gateway_fault", "invalid_request", "invalid_client" }
local PATHS = { "", "/customers", "/telematicData", "/telematicData", "/chargingHistory",
  "/containers", "/basicData", "/image", "/mappings", "/oauth/token", "/oauth/device" }
local TOKENS = { "no_gcid", "scope_turned", "same_id_token", "no_dynamic_scopes" }
local DESCRIPTORS = { "vehicle.vehicle.travelledDistance",
  "vehicle.drivetrain.batteryManagement.header", "vehicle.cabin.door.status",
  "vehicle.drivetrain.electricEngine.charging.status" }

local random = common.random(SEED)
local folder = helper.shell("mktemp -d")
local weather = helper.weather()
io.stdout:setvbuf("line")
print(("soak of CarData: %d processes, %d s, SOAK_SEED=%d"):format(WORKERS, SECONDS, SEED))
if not weather then
  print("no clock can be set here\n0 passed, 0 failed, 1 skipped")
  os.exit(0)
end
local clock, off = folder .. "/clock", 0
helper.write(clock, "0")

local sim = helper.start()
sim:control("POST", "/cardata/login", { interval = 0.05 })
sim:control("POST", "/cardata/config", { quota = LIMIT, quota_rolling = true,
  quota_status_429 = true }) -- a status that nothing else uses

-- ---- the processes ----

local started, workers = 0, {}

local function start(slot)
  started = started + 1
  local command = ("echo $$; exec env %s BMWI_CLOCK=%s %s spec/soak/cardata_worker.lua %s %s %d %d "
    .. "%d 2>&1"):format(weather, clock, helper.interpreter, sim.url, folder, started, SEED, LIMIT)
  local pipe = io.popen(command)
  workers[slot] = { pipe = pipe, pid = pipe:read("*l"), number = started }
end

local function exists(name) return common.exists(folder .. "/" .. name) end

-- Waits until each process pauses, or has ended.
local function stop_all()
  helper.write(folder .. "/gate", "")
  for _ = 1, 300 do
    local resting = true
    for _, worker in pairs(workers) do
      resting = resting and exists("parked." .. worker.number)
    end
    if resting then return end
    os.execute("sleep 0.1")
  end
  error("a process does not pause")
end

local function go_on() os.remove(folder .. "/gate") end

-- ---- what goes wrong ----

local fault, last_closing, round = draw(random, RECORDED, PATHS), 0, 0

local function next_fault()
  while true do
    local rule = fault()
    local closes = rule.status == 429 or tostring(rule.recorded):find("^CU%-429")
    if not closes then return rule end
    if round - last_closing >= CLOSING then
      last_closing, rule.skip, rule.times = round, 0, 1
      return rule
    end
  end
end

local mileage = 50000
local function drive()
  mileage = mileage + random(3)
  local values = { "CHARGINGACTIVE", "NOCHARGING", "INVALID", "UNLOCKED", "SECURED" }
  local change = {}
  for i, descriptor in ipairs(DESCRIPTORS) do
    local value = i == 1 and tostring(mileage) or i == 2 and tostring(random(100)) or random(values)
    -- Sometimes BMW's answer goes back to an older value.
    if random() < 0.5 then
      change[descriptor] = { value = value, unit = i == 1 and "km" or i == 2 and "%" or nil,
        age = random({ 0, 0, 0, 5, 4000, 90000 }) }
    end
  end
  return { "POST", "/cardata/car/" .. random(CARS), { telematicData = change } }
end

-- ---- all of it ----

local log, kills, marks, spent = {}, {}, {}, nil

local function collect()
  local answer = common.control(sim, { { "GET", "/log" } })[1]
  for _, request in ipairs(answer.requests) do
    log[request.n] = { n = request.n, path = request.path, status = request.status,
      fault = request.fault, time = request.time, body = request.body }
  end
end

local function now() return os.time() + off end

for slot = 1, WORKERS do start(slot) end
local began, next_stop = os.time(), os.time() + ROUND
while os.time() - began < SECONDS do
  os.execute("sleep 0.5")
  common.control(sim,
    { { "POST", "/fault", next_fault() }, { "POST", "/fault", next_fault() }, drive() })
  if random() < 0.015 then
    local worker = workers[random(WORKERS)]
    os.execute("kill -9 " .. worker.pid)
    kills[#kills + 1] = now()
    worker.pipe:close()
    for slot, other in pairs(workers) do
      if other == worker then start(slot) end
    end
  end
  if os.time() >= next_stop then
    round = round + 1
    stop_all()
    collect()
    local last = log[#log] and log[#log].n or 0
    local steps = { { "DELETE", "/log?until=" .. last }, { "DELETE", "/fault" } }
    if round % 4 == 0 then
      steps[#steps + 1] = { "POST", "/cardata/token", { expire = true,
        [random(TOKENS)] = random() < 0.5 } }
    else
      off = off + QUARTER
      helper.write(clock .. ".new", tostring(off))
      os.rename(clock .. ".new", clock)
      steps[#steps + 1] = { "POST", "/clock", { advance = QUARTER } }
    end
    if not spent and os.time() - began > SPENDING * SECONDS then
      steps[#steps + 1] = { "POST", "/cardata/spend", { calls = LIMIT } }
      spent = last + 1
    end
    marks[#marks + 1] = last
    common.control(sim, steps)
    go_on()
    next_stop = os.time() + ROUND
  end
end
stop_all()
helper.write(folder .. "/stop", "")
go_on()
local said = {}
for _, worker in pairs(workers) do
  said[#said + 1] = worker.pipe:read("*a")
  worker.pipe:close()
end
collect()
sim:stop()

local reports = {}
for number = 1, started do
  local text = helper.read(folder .. "/report." .. number)
  if text then reports[#reports + 1] = json.decode(text) end
end
helper.write(folder .. "/log", json.encode(log))
local failed = judge { log = log, marks = marks, kills = kills, spent = spent, limit = LIMIT,
  reports = reports, workers = WORKERS, said = table.concat(said),
  account = helper.read(folder .. "/account"), files = helper.shell("ls -A " .. folder),
  days = off / 86400 }
if failed == 0 then os.execute("rm -rf " .. folder) else print("kept: " .. folder) end
os.exit(failed == 0, true)
