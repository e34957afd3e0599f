--- The soak: 200 cars at work for ten minutes, in one process, against a simulator that fails in
--- every way it can (driven by chaos.lua). Each call is recorded with its results; then
--- the judge (judge.lua) compares that with what the server received and what the cars did.
--- usage: `make soak`; SOAK_SECONDS (600), SOAK_CARS (200), SOAK_SEED (random, and printed).
--- The seed determines the calls and the faults, not how they interleave.
local helper = require("spec.helper")
local common = require("spec.soak.common")
local judge = require("spec.soak.judge")
local bmwi = require("bmwi")
local async = require("bmwi.async")
local wait = require("bmwi.wait")
local json = helper.json

local SECONDS = tonumber(os.getenv("SOAK_SECONDS")) or 600
local CARS = tonumber(os.getenv("SOAK_CARS")) or 200
local SEED = tonumber(os.getenv("SOAK_SEED")) or os.time() % 1000000
local WARM = math.max(5, math.min(150, SECONDS / 4)) -- seconds; nothing may grow after that
local CLIENTS, CONNECTIONS, TIMEOUT = 10, 100, 3
-- KiB, KiB, descriptors. In a short run the allocator's and libcurl's pools still fill up.
local GROWTH = { rss = SECONDS >= 300 and 4096 or 12288, lua = 256, files = CONNECTIONS + 8 }

local folder = "build/soak"
io.stdout:setvbuf("line")
os.execute("rm -rf " .. folder .. " && mkdir -p " .. folder)
local journal = assert(io.open(folder .. "/journal", "w"))
print(("soak: %d cars, %d s, SOAK_SEED=%d"):format(CARS, SECONDS, SEED))

-- ---- the simulator and what disturbs it ----

local function vehicles()
  local list = {}
  for i = 1, CARS do
    local vin = common.vin(i)
    list[i] = { vin = vin, model = "i3", bodytype = "I01", hub = "HUB_ECE",
      status = { vin = vin, soak = i, mileage = 1000 + i, doorLockState = "SECURED",
        connectionStatus = "CONNECTED", chargingStatus = "CHARGING", fuelPercent = 80,
        position = { lat = 51.1, lon = -1.2, status = "OK" }, filler = ("x"):rep(900) },
      lastTrip = { soak = i, totalDistance = 5 }, allTrips = { soak = i },
      rangemap = { soak = i, rangemaps = { { type = "COMFORT",
        polyline = { { lat = 1, lon = 2 } } } } },
      navigation = { soak = i, socMax = "29.2" },
      chargingprofile = { weeklyPlanner = { soak = i, climatizationEnabled = true,
        chargingMode = "IMMEDIATE_CHARGING", timer1 = { departureTime = "07:30",
          timerEnabled = true, weekdays = { "MONDAY" } },
        timer2 = { departureTime = "13:00", timerEnabled = false, weekdays = { "SUNDAY" } },
        timer3 = { departureTime = "00:00", timerEnabled = false } } } }
  end
  return json.encode(list)
end

local sim = helper.start({ tls = true, args = { "--speed", "4" }, vehicles = vehicles() })
local sim_pid = io.popen([[awk -v parent=$PPID '$2 == "(bmwi-sim)" && $4 == parent { print $1 }' \
  /proc/[0-9]*/stat 2>/dev/null]]):read("*l")

-- The log's clock minus ours.
local before = bmwi._sys.monotonic()
helper.curl("--insecure", sim.url .. "/clock")
local log = sim:log()
local OFFSET = log[#log].time - (before + bmwi._sys.monotonic()) / 2
sim:clear()

local chaos = io.popen(("%s spec/soak/chaos.lua %s %d %s 2>&1"):format(
  os.getenv("LUA") or "lua5.4", sim.url, SEED, folder), "r")

-- ---- clients: ten at a time; now and then another one takes the place of one, which is closed
-- once nothing uses it any more, since the use of a closed client raises ----

local clients, stop, parked, gate = {}, false, 0, false
local made, ended = 0, 0

local running, errors = 0, {} -- tasks

local function new_client()
  return bmwi.new(helper.client(sim, { timeout = TIMEOUT, connect_timeout = 2, retries = 2,
    max_response_bytes = 200000, navigation_url = sim.url }))
end

local function car_of(i) return clients[i % CLIENTS + 1]:vehicle(common.vin(i)) end

local function write(entry)
  journal:write(json.encode(entry), "\n")
  ended = ended + 1
end

local function start(i, call)
  made = made + 1
  return { car = i, call = call, from = bmwi._sys.monotonic() + OFFSET }
end

-- What a call has returned, for the judge; `own`: the answer is this car's.
local function note(entry, value, message, code, info, own)
  entry.to = bmwi._sys.monotonic() + OFFSET
  entry.ok, entry.code, entry.status = value ~= nil, code, info and info.status
  entry.own = own
  if value == nil and type(message) ~= "string" then entry.code = "no message" end
  return entry
end

-- A refused log-in is not retried automatically.
local function renew(i, code)
  local client = clients[i % CLIENTS + 1]
  if code ~= "auth" then return end
  local entry = start(i, "login")
  local ok, message, problem, info = client:login()
  write(note(entry, ok, message, problem, info, ok == true))
end

-- ---- calls ----

local READ = {
  status = function(answer, i) return answer.soak == i and answer.vin == common.vin(i) end,
  last_trip = function(answer, i) return answer.soak == i end,
  all_trips = function(answer, i) return answer.soak == i end,
  range_map = function(answer, i) return answer.soak == i end,
  navigation = function(answer, i) return answer.soak == i end,
  charging_profile = function(answer, i)
    return type(answer.weeklyPlanner) == "table" and answer.weeklyPlanner.soak == i
  end,
  destinations = function(answer) return #answer >= 0 end,
}
local READS = { "status", "status", "status", "last_trip", "all_trips", "range_map", "navigation",
  "charging_profile", "destinations" }

local function read(i, random)
  local name = random(READS)
  local entry, car = start(i, name), car_of(i)
  local answer, message, code, info = car[name](car)
  write(note(entry, answer, message, code, info, answer ~= nil and READ[name](answer, i) or false))
  renew(i, code)
  return answer
end

local function picture(i)
  local entry = start(i, "image")
  local bytes, message, code, info = car_of(i):image({ width = 20, height = 20 })
  write(note(entry, bytes, message, code, info, bytes ~= nil and bytes:sub(2, 4) == "PNG"))
  renew(i, code)
end

local function list(i)
  local entry = start(i, "vehicles")
  local cars, message, code, info = clients[i % CLIENTS + 1]:vehicles()
  write(note(entry, cars, message, code, info, cars ~= nil and #cars == CARS))
  renew(i, code)
end

local SERVICES = { "DOOR_LOCK", "DOOR_UNLOCK", "LIGHT_FLASH", "HORN_BLOW", "CLIMATE_NOW",
  "CHARGE_NOW", "VEHICLE_FINDER" }
local marks = 0

local function new_mark()
  marks = marks + 1
  return ("mark%dx"):format(marks)
end

-- Waits for a command's outcome: up to three times, each time continuing with the last execution.
local unsettled = {} -- commands that the car may still be at

local function follow(i, entry, execution)
  unsettled[i .. entry.call] = true
  for _ = 1, 3 do
    local done, _, code, info = wait.for_execution(car_of(i), execution,
      { timeout = 4, interval = 0.4 })
    entry.waits = (entry.waits or 0) + 1
    entry.outcome = done and "executed" or code
    execution = done or info.execution
    entry.followed = execution.eventId
    if done or code == "not_executed" or code == "timed_out" then
      unsettled[i .. entry.call] = nil
      return
    end
    renew(i, code)
    bmwi.sleep(0.2)
  end
end

local function finish_command(i, entry, execution, message, code, info)
  note(entry, execution, message, code, info)
  if execution == true then
    entry.own = true
  elseif execution then
    entry.event = execution.eventId
    execution.serviceType = execution.serviceType or entry.call
    follow(i, entry, execution)
  else
    renew(i, code)
    -- Its eventId is unknown, so only an event still in progress can be ours.
    if info and info.execution and not unsettled[i .. entry.call] then
      entry.lost = true
      follow(i, entry, info.execution)
    end
  end
  write(entry)
end

local function command(i, random)
  local service = random(SERVICES)
  local entry = start(i, service)
  entry.mark = new_mark()
  finish_command(i, entry, car_of(i):execute(service, { mark = entry.mark }))
end

local function set_profile(i, random)
  local profile = read(i, function() return "charging_profile" end)
  if not profile or type(profile.weeklyPlanner) ~= "table"
    or not profile.weeklyPlanner.timer1 then return end
  local entry = start(i, "CHARGING_CONTROL")
  entry.mark = new_mark()
  profile.weeklyPlanner.mark = entry.mark
  profile.weeklyPlanner.timer1.departureTime = ("%02d:30"):format(random(24) - 1)
  bmwi.sleep(0.2)
  finish_command(i, entry, car_of(i):set_charging_profile(profile))
end

local function poi(i, random)
  local entry = start(i, "poi")
  entry.mark = new_mark()
  finish_command(i, entry, car_of(i):send_poi({ lat = random() * 90, lon = random() * 180,
    name = entry.mark }))
end

local ACTIONS = { { 0.66, read }, { 0.68, picture }, { 0.69, list }, { 0.90, command },
  { 0.95, set_profile }, { 1, poi } }

local function life(i)
  local random = common.random(SEED * 1000 + i)
  return function()
    bmwi.sleep(random() * 2)
    while not stop do
      if gate then
        parked = parked + 1
        while gate do bmwi.sleep(0.05) end
        parked = parked - 1
      end
      local at = random()
      for _, action in ipairs(ACTIONS) do
        if at < action[1] then
          action[2](i, random)
          break
        end
      end
      bmwi.sleep(0.2 + random() * 1.2)
    end
  end
end

-- ---- measuring ----

local function status_of(pid, name)
  local file = io.open("/proc/" .. pid .. "/status")
  local text = file and file:read("*a") or ""
  if file then file:close() end
  return tonumber(text:match(name .. ":%s*(%d+)"))
end

-- With every car idle, after full collections.
local function measure()
  gate = true
  local patience = bmwi._sys.monotonic() + 60
  while parked < running - 1 and bmwi._sys.monotonic() < patience do bmwi.sleep(0.05) end
  bmwi.sleep(0.5)
  for _ = 1, 3 do collectgarbage() end
  local pid = assert(io.open("/proc/self/stat")):read("*n")
  local pipe = io.popen("ls /proc/" .. math.floor(pid) .. "/fd | wc -l")
  local result = { rss = status_of("self", "VmRSS"), lua = collectgarbage("count"),
    files = tonumber(pipe:read("*a")) }
  pipe:close()
  result.sim = status_of(sim_pid, "VmRSS")
  result.threads = status_of(sim_pid, "Threads")
  gate = false
  return result
end

local warm, final
local retired = {}

local function supervise()
  local began = bmwi._sys.monotonic()
  local random = common.random(SEED)
  local told = began
  while true do
    bmwi.sleep(1)
    local now = bmwi._sys.monotonic() - began
    if not warm and now >= WARM then warm = measure() end
    if random() < 0.05 then
      local k = random(CLIENTS)
      retired[#retired + 1] = { client = clients[k], at = now + 30 }
      clients[k] = new_client()
    end
    if retired[1] and retired[1].at < now then table.remove(retired, 1).client:close() end
    if now - (told - began) >= 60 then
      told = told + 60
      print(("soak: %4d s, %d calls, %d KiB resident, %.0f KiB of Lua"):format(math.floor(now),
        ended, status_of("self", "VmRSS"), collectgarbage("count")))
    end
    if now >= SECONDS then break end
  end
  final = measure()
  stop = true
end

-- ---- all of it ----

bmwi.loop:limit(CONNECTIONS)
for k = 1, CLIENTS do clients[k] = new_client() end
local tasks = { supervise }
for i = 1, CARS do tasks[#tasks + 1] = life(i) end
running = #tasks
for i, task in ipairs(tasks) do
  tasks[i] = async.spawn(task, function(ok, problem)
    running = running - 1
    if not ok then errors[#errors + 1] = problem end
  end)
end
-- Nothing takes that long: whatever is still running then hangs.
local patience = bmwi._sys.monotonic() + SECONDS + 120
while running > 0 and bmwi._sys.monotonic() < patience do bmwi.loop:step(1) end
for _, task in ipairs(tasks) do
  if not task:done() and running > 0 then
    print("hangs: " .. debug.traceback(task.thread))
    running = running - 1
  end
end
for k = 1, CLIENTS do clients[k]:close() end
for _, old in ipairs(retired) do old.client:close() end
assert(journal:close())
assert(io.open(folder .. "/stop", "w")):close()
local said = chaos:read("*a")
chaos:close()
local alive = status_of(sim_pid, "VmRSS") ~= nil

local requests = {}
for i = 1, CARS do requests[i] = { "GET", "/car/" .. common.vin(i) } end
local cars = alive and common.control(sim, requests) or {}
sim:stop()

local verdict = judge(folder, cars, { timeout = TIMEOUT, least = 0.5 })
print()
local failed = 0
local passed = 0
local function row(name, value, good, remark)
  print(("%-34s %10s  %s%s"):format(name, tostring(value), good == nil and "" or good and "ok"
    or "FAILED", remark and "  " .. remark or ""))
  if good then passed = passed + 1 elseif good == false then failed = failed + 1 end
end
for _, line in ipairs(verdict.table) do row((unpack or table.unpack)(line)) end -- luacheck: ignore
row("Calls that never ended", made - ended, made == ended)
row("Errors raised", #errors, #errors == 0, errors[1])
row("Simulator and its disturber", alive and said == "" and "up" or "down", alive and said == "",
  said ~= "" and said or nil)
local grown = 0
if warm and final then
  for _, line in ipairs({
    { "Growth: resident memory, KiB", final.rss - warm.rss, GROWTH.rss },
    { "Growth: Lua memory, KiB", final.lua - warm.lua, GROWTH.lua },
    { "Growth: open descriptors", final.files - warm.files, GROWTH.files },
    { "Growth: simulator, KiB", final.sim - warm.sim, 65536 },
  }) do
    local fits = line[2] <= line[3]
    row(line[1], math.floor(line[2]), fits, ("at most %d; %s"):format(line[3], "after warm-up"))
    if not fits then grown = grown + 1 end
  end
else
  grown = 1
end
print(("\nLost: %d\nSent twice: %d\nGrowth: %d"):format(verdict.lost, verdict.twice, grown))
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0 and passed > 0, true)
