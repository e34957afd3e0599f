--- One process of CarData's soak: three tasks that request everything at random, with the shared
--- account file, and record the results.
--- usage: cardata_worker.lua URL FOLDER NUMBER SEED LIMIT; pauses while FOLDER/gate exists,
--- ends once there is a file FOLDER/stop, and writes FOLDER/report.NUMBER
local async = require("bmwi.async")
local bmwi = require("bmwi")
local common = require("spec.soak.common")
local helper = require("spec.helper")
local store = require("bmwi.store")

local url, folder, number, seed, limit = arg[1], arg[2], arg[3], tonumber(arg[4]), tonumber(arg[5])
local random = common.random(seed * 100 + tonumber(number))
local TASKS, WARM = 3, 30 -- WARM: seconds after which nothing may grow any more
local CARS = { "WBYCARDATA0000001", "WBACARDATA0000002", "WBACARDATA0000003" }

local client = bmwi.new { service = "cardata", client_id = "6b1f5a52-9d2e-4c0f-8a53-1f0c2d3e4b5a",
  base_url = url, login_url = url .. "/gcdm/oauth", store = store.new(folder .. "/account"),
  daily_limit = limit, timeout = 3, connect_timeout = 2, retries = 1,
  max_response_bytes = 200000, on_prompt = function() end }
local codes, problems, shown = {}, {}, {}

local function blame(what) if #problems < 20 then problems[#problems + 1] = what end end

local function exists(name) return common.exists(folder .. "/" .. name) end

-- A value may not be older than the one shown before.
local function look(vin, descriptor, entry)
  if type(entry.time) ~= "number" then return end
  local key = vin .. " " .. descriptor
  if shown[key] and entry.time < shown[key] then
    blame(("%s: %.3f after %.3f"):format(key, entry.time, shown[key]))
  end
  shown[key] = math.max(shown[key] or 0, entry.time)
  if entry.age and entry.age ~= math.floor(entry.age) then blame(key .. ": fractional age") end
end

local function status(car)
  local options = random() < 0.5 and { max_age = random(3) * 10 } or nil
  local answer, details, code = car:status(options)
  if not answer then return nil, details, code end
  for _, detail in pairs(details) do
    if detail.descriptor and detail.value ~= nil then look(car:vin(), detail.descriptor, detail) end
  end
  return answer
end

local function telematics(car)
  local values, message, code = car:telematics()
  if not values then return nil, message, code end
  for descriptor, entry in pairs(values) do
    if entry.value ~= nil then look(car:vin(), descriptor, entry) end
  end
  return values
end

local CALLS = {
  status, status, status, status, telematics,
  function(car) return car:charging_history { from = os.time() - random(80) * 86400 } end,
  function(car) return car:charging_settings() end,
  function(car) return car:tyres() end,
  function(car) return car:image() end,
  function(car) return car:basic_data { refresh = random() < 0.5 } end,
  function() return client:vehicles() end,
  function() return client:containers() end,
  function() return client:quota() end,
}

local gate, parked, running = false, 0, TASKS

local function task()
  while not exists("stop") do
    if gate then
      parked = parked + 1
      while gate do bmwi.sleep(0.05) end
      parked = parked - 1
    end
    local answer, message, code = random(CALLS)(client:vehicle(random(CARS)))
    local word = answer ~= nil and "ok" or code or "none"
    codes[word] = (codes[word] or 0) + 1
    if answer == nil and type(message) ~= "string" then blame("a failure without a message") end
    if code == "store" then blame(message) end
    if code == "auth" then
      local done, _, why = client:login()
      local what = "log-in: " .. (done and "ok" or why)
      codes[what] = (codes[what] or 0) + 1
    end
    bmwi.sleep(code == "quota" and 0.5 or 0.05 + random() * 0.2)
  end
end

local function measure()
  for _ = 1, 3 do collectgarbage() end
  local rss = tonumber((helper.read("/proc/self/status") or ""):match("VmRSS:%s*(%d+)"))
  local pid = (helper.read("/proc/self/stat") or ""):match("^%d+")
  return { rss = rss, lua = collectgarbage("count"),
    files = tonumber(helper.shell("ls /proc/" .. pid .. "/fd | wc -l")) }
end

local began, warm, last = bmwi._sys.monotonic(), nil, nil

-- Pauses with the others, and measures while nothing runs.
local function watch()
  while running > 0 do
    bmwi.sleep(0.05)
    gate = exists("gate")
    if gate and parked == running then
      last = measure()
      if not warm and bmwi._sys.monotonic() - began > WARM then warm = last end
      helper.write(folder .. "/parked." .. number, "")
      while exists("gate") do bmwi.sleep(0.05) end
      os.remove(folder .. "/parked." .. number)
    end
  end
end

local tasks = { watch }
for _ = 1, TASKS do tasks[#tasks + 1] = task end
for _, one in ipairs(tasks) do
  async.spawn(one, function(ok, problem)
    running = running - (one == task and 1 or 0)
    if not ok then blame("raised: " .. tostring(problem)) end
  end)
end
async.run(function() while running > 0 do bmwi.sleep(0.1) end end)
client:close()
helper.write(folder .. "/report." .. number .. ".new", helper.json.encode({ codes = codes,
  problems = #problems > 0 and problems or nil, shown = shown, warm = warm, last = last }))
os.rename(folder .. "/report." .. number .. ".new", folder .. "/report." .. number)
