-- bmwi's side of the benchmark. usage: module.lua WHAT URL CA-FILE [NUMBER...]
-- A worker answers lines "N REPEATS" (see worker.h); the others print numbers and end.
local bmwi = require "bmwi"

local what, url, ca, first, second = arg[1], arg[2], arg[3], tonumber(arg[4]), tonumber(arg[5])
local VIN = "WAB1C23456V123456"

local function memory(name)
  local file = assert(io.open("/proc/self/status"))
  local kilobytes = file:read("*a"):match(name .. ":%s*(%d+)")
  file:close()
  return kilobytes * 1024
end

local function collect()
  collectgarbage()
  collectgarbage()
end

local function work(run)
  while true do
    local n, repeats = io.read("*n", "*n")
    if not n then return end
    local before = os.clock()
    for _ = 1, repeats do run(n) end
    if n == 0 then collect() end
    io.write(("%.6f\n"):format(os.clock() - before))
    io.flush()
  end
end

local function client()
  return bmwi.new {
    base_url = url, ca_file = ca, user_agent = "bmwi/bench",
    username = "whatever@example.com", password = "p4ssw0rd", api_key = "key",
    api_secret = "secret", retries = 0,
  }
end

local function check(answer, message)
  if not answer then error(message, 0) end
  return answer
end

-- This many cars of one account.
local function cars(n)
  local account, list = client(), {}
  for i = 1, n do list[i] = account:vehicle(("WAB1C23456V%06d"):format(i)) end
  return list
end

-- Uses the answer and drops it, as the other programs do.
local function mileage_of(car)
  local status = check(car:status())
  return status.mileage
end

local kinds = {}

-- One after the other.
function kinds.one()
  local car = client():vehicle(VIN)
  work(function(n)
    for _ = 1, n do check(car:status()) end
  end)
end

-- `first` at once, on as many connections.
function kinds.many()
  local async = require "bmwi.async"
  bmwi.loop:limit(first)
  local list, options = {}, { concurrency = first }
  work(function(n)
    if #list ~= n and n > 0 then list = cars(n) end
    local _, errors = async.map(n > 0 and list or {}, mileage_of, options)
    local _, problem = next(errors)
    check(not problem, problem and problem.message)
  end)
end

function kinds.range_map()
  local car = client():vehicle(VIN)
  work(function(n)
    for _ = 1, n do check(car:range_map()) end
  end)
end

-- Prints the processor time of decoding standard input, in turns: with cjson, of a copy (bmwi makes
-- one, too, and so does the C loop), and with bmwi.json.
function kinds.decode_twice()
  local text, cjson = io.read("*a"), require("cjson")
  local function plain(original) return cjson.decode(original:sub(1)) end
  local decoders, least = { plain, bmwi.json.decode }, { math.huge, math.huge }
  for _ = 1, 5 do
    for i, decode in ipairs(decoders) do
      collect()
      local before = os.clock()
      check(decode(text))
      least[i] = math.min(least[i], os.clock() - before)
    end
  end
  io.write(("%.6f %.6f\n"):format(least[1], least[2]))
end

-- Prints by how much the peak grew, and the size of body and table (`first`: the body's).
function kinds.range_map_memory()
  local car = client():vehicle(VIN)
  check(car:status())
  collect()
  local table_before = collectgarbage("count")
  local before = memory("VmRSS")
  local map = check(car:range_map())
  local peak = memory("VmHWM")
  collect()
  local size = (collectgarbage("count") - table_before) * 1024
  io.write(("%.0f %.0f\n"):format(peak - before, first + size), map and "" or "")
end

-- Memory of one more waiting operation, and Lua's part of it, while all connections (`second`) are
-- busy.
function kinds.hold()
  local async = require "bmwi.async"
  bmwi.loop:limit(second)
  local list = cars(first)
  check(list[1].vin)
  local function start(from, to)
    for i = from, to do async.spawn(function() return list[i]:status() end) end
    local finish = bmwi._sys.monotonic() + 1
    while bmwi._sys.monotonic() < finish do bmwi.loop:step(0.1) end
  end
  start(1, second)
  collect()
  local before, lua_before = memory("VmRSS"), collectgarbage("count")
  start(second + 1, first)
  collect()
  local waiting = first - second
  io.write(("%.0f %.0f\n"):format((memory("VmRSS") - before) / waiting,
    (collectgarbage("count") - lua_before) * 1024 / waiting))
  os.exit(0, false)
end

-- Prints how much memory grows from the first 1,000 statuses to `first`, half of them concurrent,
-- how much of that is Lua's, and how much came in the second half.
function kinds.soak()
  local async = require "bmwi.async"
  local list = cars(100)
  local function thousand()
    for _ = 1, 5 do
      for _ = 1, 100 do mileage_of(list[1]) end
      local _, errors = async.map(list, mileage_of)
      local _, problem = next(errors)
      check(not problem, problem and problem.message)
    end
  end
  thousand()
  collect()
  local before, lua_before = memory("VmRSS"), collectgarbage("count")
  local half = before
  for i = 2, first / 1000 do
    thousand()
    if i == math.floor(first / 2000) then half = memory("VmRSS") end
  end
  collect()
  io.write(("%.0f %.0f %.0f\n"):format(memory("VmRSS") - before,
    (collectgarbage("count") - lua_before) * 1024, memory("VmRSS") - half))
end

local function base64(name)
  local bytes, x = {}, 1
  for i = 1, 1024 * 1024 do
    x = (x * 1664525 + 1013904223) % 4294967296
    bytes[i] = string.char((x - x % 16777216) / 16777216)
  end
  local data = table.concat(bytes)
  if name == "decode" then data = bmwi.base64.encode(data) end
  bytes = nil -- luacheck: ignore (so that it is no longer in memory)
  collect()
  local convert = bmwi.base64[name]
  work(function(n)
    for _ = 1, n do convert(data) end
  end)
end

function kinds.encode() base64("encode") end
function kinds.decode() base64("decode") end

kinds[what]()
