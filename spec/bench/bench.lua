-- Measures and judges: starts the programs of this folder, lets them take turns, and writes one
-- table of ratios. Started by spec/bench/run, which sets PORT, OUT, LUA and the module paths.
--
-- Programs that are compared run side by side: each does a small batch, then the next one, round
-- after round, the other way round every second time; a ratio is the median of the rounds' ratios.
-- Wall time is taken here, processor time is what the program says of itself.
local bmwi = require "bmwi"

local SCALE = tonumber(os.getenv("SCALE") or "1")
local OUT, LUA, PORT = os.getenv("OUT"), os.getenv("LUA"), tonumber(os.getenv("PORT"))
local RESULTS = os.getenv("RESULTS") or "spec/bench/RESULTS.md"
local PYTHON = os.getenv("PYTHON")
local CA = "build/certs/ca.pem"
local unpack = table.unpack -- luacheck: ignore (this file runs on Lua 5.4)
local VIN = "WAB1C23456V123456"
local AT_ONCE = 200
local APART = "taskset -c 1 "

local function base(i) return ("https://127.0.0.1:%d"):format(PORT + i) end
local function status_url(i) return base(i) .. "/webapi/v1/user/vehicles/" .. VIN .. "/status" end
local function lua(what, ...)
  return table.concat({ LUA, "spec/bench/module.lua", what, ... }, " ")
end

local function scaled(n, least)
  return math.max(least or 1, math.floor(n * SCALE + 0.5))
end

-- ---- programs -----------------------------------------------------------------------------------

local started = 0

local function start(command)
  started = started + 1
  local name = ("%s/pipe%d"):format(OUT, started)
  os.remove(name .. ".in")
  os.remove(name .. ".out")
  assert(os.execute(("mkfifo %s.in %s.out"):format(name, name)))
  assert(os.execute(("{ %s; } <%s.in >%s.out &"):format(command, name, name)))
  local worker = { command = command }
  worker.to = assert(io.open(name .. ".in", "w"))
  worker.from = assert(io.open(name .. ".out", "r"))
  os.remove(name .. ".in")
  os.remove(name .. ".out")
  return worker
end

-- Wall and processor time of n things, done `repeats` times.
local function ask(worker, n, repeats)
  local before = bmwi._sys.monotonic()
  worker.to:write(("%d %d\n"):format(n, repeats or 1))
  worker.to:flush()
  local answer = worker.from:read("l")
  local wall = bmwi._sys.monotonic() - before
  if not answer then error("a program of the benchmark failed: " .. worker.command, 0) end
  return wall, tonumber(answer)
end

local function stop(worker)
  worker.to:close()
  worker.from:close()
end

local function median(list)
  local sorted = { unpack(list) }
  table.sort(sorted)
  local middle = #sorted // 2
  return #sorted % 2 == 1 and sorted[middle + 1] or (sorted[middle] + sorted[middle + 1]) / 2
end

-- Lets programs take turns, started anew in each generation. `programs` maps names to commands,
-- `order` is their order, a turn is turn(name) -> n, repeats. Returns for each name the lists
-- `wall` and `cpu`, for one thing each. `apart` keeps the programs off the server's core: without
-- that a ratio tells where the scheduler happened to put them. Not for those with several threads.
local function race(order, programs, rounds, turn, generations, apart)
  local times = {}
  for _, name in ipairs(order) do times[name] = { wall = {}, cpu = {} } end
  for _ = 1, generations or 1 do
    local workers = {}
    for _, name in ipairs(order) do
      workers[name] = start((apart and APART or "") .. programs[name])
      ask(workers[name], (turn(name))) -- connections, caches
    end
    for round = 1, rounds do
      for k = 1, #order do
        local name = order[round % 2 == 0 and #order + 1 - k or k]
        local n, repeats = turn(name)
        ask(workers[name], 0, 0)
        local wall, cpu = ask(workers[name], n, repeats)
        local count = n * (repeats or 1)
        table.insert(times[name].wall, wall / count)
        table.insert(times[name].cpu, cpu / count)
      end
    end
    for _, name in ipairs(order) do stop(workers[name]) end
  end
  return times
end

local function ratio(times, one, other, which)
  local list = {}
  for i, value in ipairs(times[one][which]) do list[i] = value / times[other][which][i] end
  return median(list)
end

local function capture(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("*a")
  pipe:close()
  return (text:gsub("%s+$", ""))
end

-- ---- the table ----------------------------------------------------------------------------------

local rows, missed, doubts = {}, {}, {}

-- `bar`: the ratio is at most that; "faster": below 1; nil: shown for comparison. `why` is a key of
-- LIMITS, told if the bar is not reached.
local function row(what, against, value, bar, note, why)
  local reached
  if bar == "faster" then reached = value < 1 else reached = not bar or value <= bar end
  local line = { what, against, ("%.3f"):format(value),
    bar == "faster" and "< 1" or bar and ("%.2f"):format(bar) or "",
    not bar and "" or reached and "yes" or "**no**", note }
  rows[#rows + 1] = line
  if not reached then
    missed[#missed + 1] = { what, against, value / (bar == "faster" and 1 or bar), why }
  end
  print(("%-46s %-46s %8s %6s %-7s %s"):format(unpack(line)))
  io.flush()
end

local function us(seconds) return ("%.1f us"):format(seconds * 1e6) end
local function ms(seconds) return ("%.2f ms"):format(seconds * 1e3) end
local function kib(bytes) return ("%.1f KiB"):format(bytes / 1024) end
local function mib(bytes) return ("%.1f MiB"):format(bytes / 1048576) end

-- A row that compares two programs of a race in "wall" or "cpu"; `unit` is us or ms.
local function compare(times, one, other, which, unit, words, bar, why)
  local note = ("%s against %s"):format(unit(median(times[one][which])),
    unit(median(times[other][which])))
  row(words[1], words[2] or other, ratio(times, one, other, which), bar, note, why)
end

local groups = {}

function groups.one()
  local url = status_url(0)
  local function python(what)
    return ("%s spec/bench/python.py %s %s %s"):format(PYTHON, what, url, CA)
  end
  local programs = {
    fetch = ("%s/fetch %s %s fetch"):format(OUT, url, CA),
    decode = ("%s/fetch %s %s decode"):format(OUT, url, CA),
    bmwi = lua("one", base(0), CA),
    ["Lua-cURL + cjson"] = ("lua5.1 spec/bench/luacurl.lua %s %s"):format(url, CA),
    ["python requests"] = python("requests"),
    ["python httpx"] = python("httpx"),
    ["python aiohttp"] = python("aiohttp"),
    ["node https"] = ("node spec/bench/node.js %s %s 1"):format(url, CA),
  }
  local function turn() return scaled(500, 50) end
  local times = race({ "fetch", "decode", "bmwi" }, programs, scaled(40, 5), turn, 3, true)
  local wall = "one status after the other, wall"
  local processor = "one status after the other, processor"
  local plain, decoding = "C libcurl, fetch only", "C libcurl + cjson.decode"
  compare(times, "bmwi", "fetch", "wall", us, { wall, plain }, 1.15, "decoding")
  compare(times, "bmwi", "decode", "wall", us, { wall, decoding }, 1.04, "call")
  compare(times, "bmwi", "decode", "cpu", us, { processor, decoding })
  compare(times, "decode", "fetch", "wall", us, { "(" .. decoding .. ", wall)", plain })
  compare(times, "decode", "fetch", "cpu", us, { "(" .. decoding .. ", processor)", plain })
  if ratio(times, "decode", "fetch", "wall") < 1 then
    doubts[#doubts + 1] = "decoding came out faster than not decoding: these rows are worth nothing"
  end
  times = race({ "bmwi", "Lua-cURL + cjson" }, programs, scaled(40, 5), turn, 3, true)
  compare(times, "bmwi", "Lua-cURL + cjson", "wall", us, { wall }, "faster", "lua_curl")
  compare(times, "bmwi", "Lua-cURL + cjson", "cpu", us, { processor })
  local others = { "python requests", "python httpx", "python aiohttp", "node https" }
  times = race({ "bmwi", unpack(others) }, programs, scaled(15, 3), function()
    return scaled(200, 50)
  end)
  for _, other in ipairs(others) do
    compare(times, "bmwi", other, "wall", us, { wall }, "faster", "call")
  end
end

function groups.many()
  local url = status_url(1)
  local function python(what)
    return ("%s spec/bench/python.py %s %s %s %d"):format(PYTHON, what, url, CA, AT_ONCE)
  end
  local programs = {
    multi = ("%s/many %s %s %d"):format(OUT, url, CA, AT_ONCE),
    bmwi = lua("many", base(1), CA, AT_ONCE),
    ["python aiohttp"] = python("aiohttp-many"),
    ["python httpx"] = python("httpx-many"),
    ["node https"] = ("node spec/bench/node.js %s %s %d"):format(url, CA, AT_ONCE),
  }
  local n = scaled(2000, 400)
  local function turn() return n end
  local name = ("%d statuses after 50 ms, %d at a time"):format(n, AT_ONCE)
  local plain = "C curl_multi over epoll, fetch only"
  local times = race({ "multi", "bmwi" }, programs, scaled(11, 3), turn, 2, true)
  compare(times, "bmwi", "multi", "wall", us, { name .. ", wall", plain }, 1.10, "many")
  compare(times, "bmwi", "multi", "cpu", us, { name .. ", processor", plain }, 1.5, "many")
  local others = { "python aiohttp", "python httpx", "node https" }
  times = race({ "bmwi", unpack(others) }, programs, scaled(3, 2), turn)
  for _, other in ipairs(others) do
    compare(times, "bmwi", other, "cpu", us, { name .. ", processor" }, "faster")
  end
end

function groups.flat()
  local all = scaled(10000, 1000)
  local order, programs, size = {}, {}, {}
  for i, n in ipairs { 10, 100, 1000, 10000 } do
    order[i] = ("%d cars"):format(n)
    programs[order[i]] = lua("many", base(0), CA, 64)
    size[order[i]] = n
  end
  local times = race(order, programs, scaled(9, 3), function(name)
    return size[name], math.max(1, all // size[name])
  end, 1, true)
  for _, kind in ipairs { { "wall", "wall" }, { "cpu", "processor" } } do
    local values, words = {}, {}
    for i, name in ipairs(order) do
      values[i] = median(times[name][kind[1]])
      words[i] = us(values[i])
    end
    row("cost of one status in async.map, " .. kind[2],
      "highest by lowest of 10, 100, 1,000, 10,000 cars",
      math.max(unpack(values)) / math.min(unpack(values)), 1.3, table.concat(words, ", "), "flat")
  end
  local mine, its = {}, {}
  local waiting, cap = scaled(2000, 500), 10
  for i = 1, scaled(3) do
    its[i] = tonumber(capture(("%s/many %s %s %d hold %d"):format(OUT, status_url(2), CA, waiting,
      cap)))
    mine[i] = tonumber(capture(lua("hold", base(2), CA, waiting, cap)))
  end
  row("memory of one waiting operation", "an easy handle in a C curl_multi",
    median(mine) / median(its), 1.5, ("%s against %s"):format(kib(median(mine)), kib(median(its))))
end

function groups.range()
  local url = base(0) .. "/webapi/v1/user/vehicles/" .. VIN .. "/rangemap"
  local size = #assert(io.open(OUT .. "/www/rangemap.json", "rb")):read("a")
  local programs = {
    decode = ("%s/fetch %s %s decode"):format(OUT, url, CA),
    bmwi = lua("range_map", base(0), CA),
  }
  local times = race({ "decode", "bmwi" }, programs, scaled(15, 5), function() return 1 end, 2,
    true)
  local plain = "C libcurl + cjson.decode"
  compare(times, "bmwi", "decode", "wall", ms, { "range map of 10 MB, wall", plain }, 1.1, "range")
  compare(times, "bmwi", "decode", "cpu", ms, { "range map of 10 MB, processor", plain })
  local peak, sum = capture(lua("range_map_memory", base(0), CA, size)):match("(%d+) (%d+)")
  row("range map of 10 MB, peak memory", "body + table", peak / sum, 2.5,
    ("%s against %s"):format(mib(peak), mib(sum)))
end

function groups.soak()
  local n = scaled(200, 10) * 1000
  local grown = {}
  for i = 1, scaled(3) do
    grown[i] = tonumber(capture(lua("soak", base(0), CA, n)))
  end
  row(("resident memory after %d statuses"):format(n), "after 1,000: MiB more",
    median(grown) / 1048576, 1, kib(median(grown)), "soak")
end

function groups.cold()
  local folder = capture("pwd") .. "/" .. OUT .. "/home"
  local token = folder .. "/token"
  local settings = {
    HOME = folder, XDG_CONFIG_HOME = folder, REMOVE = token,
    BMWI_TOKEN_FILE = token, BMWI_BASE_URL = base(0), BMWI_CA_FILE = CA, BMWI_VIN = VIN,
    BMWI_USERNAME = "whatever@example.com", BMWI_PASSWORD = "p4ssw0rd", BMWI_API_KEY = "key",
    BMWI_API_SECRET = "secret",
  }
  local words = {}
  for name, value in pairs(settings) do words[#words + 1] = name .. "=" .. value end
  local environment = "env " .. table.concat(words, " ") .. " "
  assert(os.execute("mkdir -p " .. folder .. " && chmod 700 " .. folder))
  local cold = OUT .. "/cold "
  local common = ("-sS --compressed --cacert %s -H 'Accept: application/json' "):format(CA)
  local programs = {
    curl_version = cold .. "curl --version",
    curl = cold .. "curl " .. common .. "-u key:secret --data-urlencode grant_type=password "
      .. "--data-urlencode username=whatever@example.com --data-urlencode password=p4ssw0rd "
      .. "--data-urlencode 'scope=remote_services vehicle_data' "
      .. base(0) .. "/webapi/oauth/token/ --next " .. common
      .. "-H 'Authorization: Bearer RCQ1hLP4AFaUBW9BjcPUN3i4WgkwF90R' " .. status_url(0),
    require = cold .. LUA .. [[ -e 'require "bmwi"']],
    version = environment .. cold .. LUA .. " bin/bmwi --version",
    status = environment .. cold .. LUA .. " bin/bmwi status",
  }
  local times = race({ "curl_version", "curl", "require", "version", "status" }, programs,
    scaled(25, 5), function() return 4 end)
  for _, which in ipairs { { "wall", "" }, { "cpu", ", processor" } } do
    local bar = which[1] == "wall" and 1.3 or nil
    local function cold_start(of, one, other, against)
      compare(times, one, other, which[1], ms, { "cold start of " .. of .. which[2], against }, bar,
        "cold")
    end
    cold_start('require "bmwi"', "require", "curl_version", "curl --version")
    cold_start("bmwi --version", "version", "curl_version", "curl --version")
    cold_start("bmwi status with log-in", "status", "curl", "one curl, the same two requests")
  end
end

function groups.base64()
  for _, name in ipairs { "encode", "decode" } do
    local times = race({ "openssl", "bmwi" }, {
      openssl = OUT .. "/base64 " .. name,
      bmwi = lua(name, base(0), CA),
    }, scaled(25, 5), function() return 20 end, 2)
    compare(times, "bmwi", "openssl", "wall", us, { "base64 of 1 MiB, " .. name,
      "OpenSSL EVP_" .. name:gsub("^%l", string.upper) .. "Block" }, 1.5)
  end
end

-- Why a bar is not reached, by profile: callgrind counts instructions, perf samples the rest. The
-- figures are of libcurl 7.88.1, lua-cjson 2.1.0 and Lua 5.4.4.
local LIMITS = {
  decoding = [[
    A decoded answer cannot cost less than the same loop with cjson.decode (the row in
    brackets): the loop takes 115,000 instructions for a status, and 200,000 with cjson.decode.
    What bmwi adds to that is told below.]],
  call = [[
    For a status the C loop with cjson.decode takes 200,000 instructions, bmwi 249,000. Of the
    49,000 more, 13,000 turn whole floats into integers and drop null, which lua-cjson 2.1.0
    leaves to do; 12,000 make and free an easy handle, since before 8.1.0 libcurl touches freed
    memory when a hostile server answers on a used one (from 8.1.0 on they are used again);
    24,000 set its options, drive the operation and collect its garbage. In the kernel two
    epoll_ctl and one epoll_wait take 4 % more of the time than the loop's poll. The first two
    alone are more than the bar leaves.]],
  lua_curl = [[
    By callgrind Lua-cURL takes 194,000 instructions for a status (Lua 5.1, GnuTLS), bmwi
    249,000: it goes on with one easy handle, and leaves numbers and null as cjson gives them.
    What bmwi does more is told above.]],
  many = [[
    The C program throws the bytes away: it takes 123,000 instructions for a status, bmwi
    247,000. Of the 124,000 more cjson.decode takes 83,000, evening out the numbers and a fresh
    easy handle (see above) 25,000, and all else, the coroutines of bmwi.async included, 16,000.]],
  flat = [[
    With 10 cars no more than 10 requests are under way, and client and server wait for each
    other at both ends of each map; the processor's time is flat.]],
  range = [[
    What lies beyond cjson.decode is one look through the text for null and whole numbers (1 ns
    for a byte), and a body that is allocated anew where the C loop keeps its buffer.]],
  soak = [[
    What Lua uses is the same after each 1,000 (to 2 KiB), and what malloc has handed out does
    not grow; the rest is free memory between blocks in use, which the C library does not give
    back.]],
  cold = [[
    By callgrind `bmwi status` takes 55 million instructions, curl 34: 6 more in the dynamic
    linker, since Lua has every symbol of libcurl's thirty libraries bound at once where curl
    binds what it calls, and 13 to compile 90 KB of Lua. The 15 for TLS are the same.]],
}

-- ---- all of it ----------------------------------------------------------------------------------

local function machine()
  local model, cores = "unknown", 0
  for line in io.lines("/proc/cpuinfo") do
    model = line:match("^model name%s*:%s*(.*)") or model
    if line:find("^processor") then cores = cores + 1 end
  end
  local lines = {
    ("- %d cores, %s; Linux %s; %s"):format(cores, model, capture("uname -r"),
      capture(". /etc/os-release; echo $PRETTY_NAME")),
    "- " .. bmwi.curl_version:match("^%S+ %S+"),
    "- " .. capture(LUA .. " -v"):match("^Lua %S+") .. ", cjson " .. require("cjson")._VERSION
      .. ", bmwi " .. bmwi._VERSION .. ", " .. capture("${CC:-cc} --version | head -n 1"),
    "- nginx " .. capture("(nginx -v || /usr/sbin/nginx -v) 2>&1"):match("[%d.]+")
      .. ", one process, TLS 1.3, HTTP/1.1, on the same machine",
    "- Lua-cURL " .. capture("lua5.1 -e 'io.write(require([[curl]])._VERSION)'")
      .. " on Lua 5.1 (Debian's, over GnuTLS), " .. capture(PYTHON .. " --version") .. ", requests "
      .. capture(PYTHON .. " -c 'import requests; print(requests.__version__)'") .. ", httpx "
      .. capture(PYTHON .. " -c 'import httpx; print(httpx.__version__)'") .. ", aiohttp "
      .. capture(PYTHON .. " -c 'import aiohttp; print(aiohttp.__version__)'") .. ", Node "
      .. capture("node --version"),
    "- " .. capture("openssl version"),
  }
  return table.concat(lines, "\n")
end

local function load_average()
  return tonumber(assert(io.open("/proc/loadavg")):read("n"))
end

local GROUPS = { "one", "many", "flat", "range", "soak", "cold", "base64" }
local before = load_average()
local begun = bmwi._sys.monotonic()
for _, name in ipairs(#arg > 0 and arg or GROUPS) do groups[name]() end

local text = { [[
# Benchmark

Written by `make bench` (spec/bench/run). A ratio is the median over many rounds in which the
programs took turns on one machine; smaller is better for bmwi. The last column holds the medians of
what was measured. The server has a core of its own, and the programs with one thread (all but
Python's and Node's) are kept on another; each answer wakes a sleeping core then, which is in both
wall times and makes their ratio smaller than that of the processor times. Left to the scheduler,
programs share the server's core or not as it happens, and even decoding seems to cost nothing.

| bmwi | against | ratio | bar | reached | measured |
|---|---|---:|---:|---|---|
]] }
for _, line in ipairs(rows) do
  text[#text + 1] = "| " .. table.concat(line, " | ") .. " |\n"
end
if #missed > 0 then
  text[#text + 1] = "\nBars that are not reached, and why:\n\n"
  for _, miss in ipairs(missed) do
    text[#text + 1] = ("- %s, against %s: %.0f %% above the bar. %s\n"):format(miss[1], miss[2],
      (miss[3] - 1) * 100, (LIMITS[miss[4]] or ""):gsub("%s+", " "):gsub("^ ", ""))
  end
end
text[#text + 1] = "\nThe machine:\n\n" .. machine() .. "\n"
if before > 0.5 then
  text[#text + 1] = ("- other work was going on: the load was %.1f before the run\n"):format(before)
end
for _, doubt in ipairs(doubts) do text[#text + 1] = "- **" .. doubt .. "**\n" end
if SCALE ~= 1 then text[#text + 1] = ("- a try-out with SCALE=%g\n"):format(SCALE) end
local file = assert(io.open(RESULTS, "w"))
file:write(table.concat(text))
file:close()
print(("%.0f seconds; written to %s"):format(bmwi._sys.monotonic() - begun, RESULTS))
