-- Measures and judges: starts the programs of this folder, lets them take turns, and writes one table
-- of ratios. Started by spec/bench/run, which sets PORT, OUT, LUA and the module paths.
--
-- Programs that are compared run side by side: each does a small batch, then the next one, round
-- after round, the other way round every second time; a ratio is the median of the rounds' ratios. Wall time is
-- taken here, processor time is what the program says of itself.
local bmwi = require "bmwi"

local SCALE = tonumber(os.getenv("SCALE") or "1")
local OUT, LUA, PORT = os.getenv("OUT"), os.getenv("LUA"), tonumber(os.getenv("PORT"))
local RESULTS = os.getenv("RESULTS") or "spec/bench/RESULTS.md"
local PYTHON = os.getenv("PYTHON")
local CA = "build/certs/ca.pem"
local VIN = "WAB1C23456V123456"
local AT_ONCE = 200

local function base(i) return ("https://127.0.0.1:%d"):format(PORT + i) end
local function status_url(i) return base(i) .. "/webapi/v1/user/vehicles/" .. VIN .. "/status" end
local function lua(what, ...)
  return table.concat({ LUA, "spec/bench/module.lua", what, ... }, " ")
end

local function scaled(n, least)
  return math.max(least or 1, math.floor(n * SCALE + 0.5))
end

-- ---- programs ------------------------------------------------------------------------------------

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
  local before = bmwi.sys.monotonic()
  worker.to:write(("%d %d\n"):format(n, repeats or 1))
  worker.to:flush()
  local answer = worker.from:read("l")
  local wall = bmwi.sys.monotonic() - before
  if not answer then error("a program of the benchmark failed: " .. worker.command, 0) end
  return wall, tonumber(answer)
end

local function stop(worker)
  worker.to:close()
  worker.from:close()
end

local function median(list)
  local sorted = { table.unpack(list) }
  table.sort(sorted)
  local middle = #sorted // 2
  return #sorted % 2 == 1 and sorted[middle + 1] or (sorted[middle] + sorted[middle + 1]) / 2
end

-- Lets programs take turns. `programs` maps names to commands, `order` is their order, a turn is
-- turn(name) -> n, repeats. Returns for each name the lists `wall` and `cpu`, for one thing each.
local function race(order, programs, rounds, turn, generations)
  local times = {}
  for _, name in ipairs(order) do times[name] = { wall = {}, cpu = {} } end
  for _ = 1, generations or 1 do
    local workers = {}
    for _, name in ipairs(order) do
      workers[name] = start(programs[name])
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

-- ---- the table -----------------------------------------------------------------------------------

local rows = {}

-- `bar`: the ratio is at most that; "faster": below 1.
local function row(what, against, value, bar, note)
  local reached
  if bar == "faster" then reached = value < 1 else reached = not bar or value <= bar end
  local line = { what, against, ("%.3f"):format(value),
    bar == "faster" and "< 1" or bar and ("%.2f"):format(bar) or "",
    not bar and "" or reached and "yes" or "**no**", note or "" }
  rows[#rows + 1] = line
  print(("%-46s %-44s %8s %6s %-7s %s"):format(table.unpack(line)))
  io.flush()
end

local function us(seconds) return ("%.1f us"):format(seconds * 1e6) end
local function ms(seconds) return ("%.2f ms"):format(seconds * 1e3) end
local function kib(bytes) return ("%.1f KiB"):format(bytes / 1024) end
local function mib(bytes) return ("%.1f MiB"):format(bytes / 1048576) end

local groups = {}

function groups.one()
  local programs = {
    fetch = ("%s/fetch %s %s fetch"):format(OUT, status_url(0), CA),
    decode = ("%s/fetch %s %s decode"):format(OUT, status_url(0), CA),
    bmwi = lua("one", base(0), CA),
    ["Lua-cURL + cjson"] = ("lua5.1 spec/bench/luacurl.lua %s %s"):format(status_url(0), CA),
    ["python requests"] = (PYTHON .. " spec/bench/python.py requests %s %s"):format(status_url(0), CA),
    ["python httpx"] = (PYTHON .. " spec/bench/python.py httpx %s %s"):format(status_url(0), CA),
    ["python aiohttp"] = (PYTHON .. " spec/bench/python.py aiohttp %s %s"):format(status_url(0), CA),
    ["node https"] = ("node spec/bench/node.js %s %s 1"):format(status_url(0), CA),
  }
  local n = scaled(500, 50)
  local times = race({ "fetch", "decode", "bmwi" }, programs, scaled(40, 5), function() return n end,
    3)
  local name = "one status after the other, wall"
  local note = ("%s against %s"):format(us(median(times.bmwi.wall)), us(median(times.fetch.wall)))
  row(name, "C libcurl, fetch only", ratio(times, "bmwi", "fetch", "wall"), 1.15, note)
  note = ("%s against %s"):format(us(median(times.bmwi.wall)), us(median(times.decode.wall)))
  row(name, "C libcurl + cjson.decode", ratio(times, "bmwi", "decode", "wall"), 1.04, note)
  row("one status after the other, processor", "C libcurl + cjson.decode",
    ratio(times, "bmwi", "decode", "cpu"), nil,
    ("%s against %s"):format(us(median(times.bmwi.cpu)), us(median(times.decode.cpu))))
  local others = { "Lua-cURL + cjson", "python requests", "python httpx", "python aiohttp",
    "node https" }
  n = scaled(200, 50)
  times = race({ "bmwi", table.unpack(others) }, programs, scaled(9, 3), function() return n end)
  for _, other in ipairs(others) do
    row(name, other, ratio(times, "bmwi", other, "wall"), "faster",
      ("%s against %s"):format(us(median(times.bmwi.wall)), us(median(times[other].wall))))
  end
end

function groups.many()
  local programs = {
    multi = ("%s/many %s %s %d"):format(OUT, status_url(1), CA, AT_ONCE),
    bmwi = lua("many", base(1), CA, AT_ONCE),
    ["python aiohttp"] = (PYTHON .. " spec/bench/python.py aiohttp-many %s %s %d"):format(status_url(1),
      CA, AT_ONCE),
    ["python httpx"] = (PYTHON .. " spec/bench/python.py httpx-many %s %s %d"):format(status_url(1), CA,
      AT_ONCE),
    ["node https"] = ("node spec/bench/node.js %s %s %d"):format(status_url(1), CA, AT_ONCE),
  }
  local n = scaled(2000, 400)
  local name = ("%d statuses after 50 ms, %d at a time"):format(n, AT_ONCE)
  local times = race({ "multi", "bmwi" }, programs, scaled(11, 3), function() return n end, 2)
  row(name .. ", wall", "C curl_multi over epoll, fetch only", ratio(times, "bmwi", "multi", "wall"),
    1.10, ("%s against %s in all"):format(ms(median(times.bmwi.wall) * n),
      ms(median(times.multi.wall) * n)))
  row(name .. ", processor", "C curl_multi over epoll, fetch only",
    ratio(times, "bmwi", "multi", "cpu"), 1.5, ("%s against %s"):format(us(median(times.bmwi.cpu)),
      us(median(times.multi.cpu))))
  local others = { "python aiohttp", "python httpx", "node https" }
  times = race({ "bmwi", table.unpack(others) }, programs, scaled(3, 2), function() return n end)
  for _, other in ipairs(others) do
    row(name .. ", processor", other, ratio(times, "bmwi", other, "cpu"), "faster",
      ("%s against %s"):format(us(median(times.bmwi.cpu)), us(median(times[other].cpu))))
  end
end

function groups.flat()
  local counts = { 10, 100, 1000, 10000 }
  local all = scaled(10000, 1000)
  local order, programs, size = {}, {}, {}
  for i, n in ipairs(counts) do
    order[i] = ("%d cars"):format(n)
    programs[order[i]] = lua("many", base(0), CA, 64)
    size[order[i]] = n
  end
  local times = race(order, programs, scaled(9, 3), function(name)
    return size[name], math.max(1, all // size[name])
  end)
  local low, high, words = nil, nil, {}
  for i, name in ipairs(order) do
    local value = median(times[name].wall)
    low, high = math.min(low or value, value), math.max(high or value, value)
    words[i] = us(value)
  end
  row("cost of one status in async.map", "highest by lowest of 10, 100, 1,000, 10,000 cars",
    high / low, 1.3, table.concat(words, ", "))
  local mine, its = {}, {}
  local waiting, cap = scaled(2000, 500), 10
  for i = 1, scaled(3) do
    its[i] = tonumber(capture(("%s/many %s %s %d hold %d"):format(OUT, status_url(2), CA, waiting,
      cap)))
    mine[i] = tonumber(capture(lua("hold", base(2), CA, waiting, cap)))
  end
  row("memory of one waiting operation", "an easy handle in a C curl_multi", median(mine) / median(its),
    1.5, ("%s against %s"):format(kib(median(mine)), kib(median(its))))
end

function groups.range()
  local url = base(0) .. "/webapi/v1/user/vehicles/" .. VIN .. "/rangemap"
  local size = #assert(io.open(OUT .. "/www/rangemap.json", "rb")):read("a")
  local programs = {
    decode = ("%s/fetch %s %s decode"):format(OUT, url, CA),
    bmwi = lua("range_map", base(0), CA),
  }
  local times = race({ "decode", "bmwi" }, programs, scaled(9, 3), function() return 1 end, 2)
  row("range map of 10 MB, wall", "C libcurl + cjson.decode", ratio(times, "bmwi", "decode", "wall"),
    1.1, ("%s against %s"):format(ms(median(times.bmwi.wall)), ms(median(times.decode.wall))))
  local peak, sum = capture(lua("range_map_memory", base(0), CA, size)):match("(%d+) (%d+)")
  row("range map of 10 MB, peak memory", "body + table", peak / sum, 2.5,
    ("%s against %s"):format(mib(peak), mib(sum)))
end

function groups.soak()
  local n = scaled(200, 10) * 1000
  local grown = tonumber(capture(lua("soak", base(0), CA, n)))
  row(("resident memory after %d statuses"):format(n), "after 1,000: MiB more", grown / 1048576, 1,
    kib(grown))
end

function groups.cold()
  local folder = capture("pwd") .. "/" .. OUT
  local token = folder .. "/home/token"
  local settings = {
    HOME = folder .. "/home", XDG_CONFIG_HOME = folder .. "/home", REMOVE = token,
    BMWI_TOKEN_FILE = token, BMWI_BASE_URL = base(0), BMWI_CA_FILE = CA, BMWI_VIN = VIN,
    BMWI_USERNAME = "whatever@example.com", BMWI_PASSWORD = "p4ssw0rd", BMWI_API_KEY = "key",
    BMWI_API_SECRET = "secret",
  }
  local words = {}
  for name, value in pairs(settings) do words[#words + 1] = name .. "=" .. value end
  local environment = "env " .. table.concat(words, " ") .. " "
  assert(os.execute("mkdir -p " .. folder .. "/home && chmod 700 " .. folder .. "/home"))
  local cold = OUT .. "/cold "
  local common = ("-sS --compressed --cacert %s -H 'Accept: application/json' "):format(CA)
  local programs = {
    curl_version = cold .. "curl --version",
    curl = cold .. "curl " .. common .. "-u key:secret --data-urlencode grant_type=password "
      .. "--data-urlencode username=whatever@example.com --data-urlencode password=p4ssw0rd "
      .. "--data-urlencode 'scope=remote_services vehicle_data' " .. base(0) .. "/webapi/oauth/token/ "
      .. "--next " .. common .. "-H 'Authorization: Bearer RCQ1hLP4AFaUBW9BjcPUN3i4WgkwF90R' "
      .. status_url(0),
    require = cold .. LUA .. [[ -e 'require "bmwi"']],
    version = environment .. cold .. LUA .. " bin/bmwi --version",
    status = environment .. cold .. LUA .. " bin/bmwi status",
  }
  local times = race({ "curl_version", "curl", "require", "version", "status" }, programs,
    scaled(25, 5), function() return 4 end)
  local function cell(one, other)
    return ("%s against %s"):format(ms(median(times[one].wall)), ms(median(times[other].wall)))
  end
  row('cold start of require "bmwi"', "curl --version", ratio(times, "require", "curl_version", "wall"),
    1.3, cell("require", "curl_version"))
  row("cold start of bmwi --version", "curl --version", ratio(times, "version", "curl_version", "wall"),
    1.3, cell("version", "curl_version"))
  row("cold start of bmwi status with log-in", "one curl, the same two requests",
    ratio(times, "status", "curl", "wall"), 1.3, cell("status", "curl"))
end

function groups.base64()
  for _, name in ipairs { "encode", "decode" } do
    local times = race({ "openssl", "bmwi" }, {
      openssl = OUT .. "/base64 " .. name,
      bmwi = lua(name, base(0), CA),
    }, scaled(25, 5), function() return 20 end, 2)
    row("base64 of 1 MiB, " .. name, "OpenSSL EVP_" .. name:gsub("^%l", string.upper) .. "Block",
      ratio(times, "bmwi", "openssl", "wall"), 1.5, ("%s against %s"):format(
        us(median(times.bmwi.wall)), us(median(times.openssl.wall))))
  end
end

-- ---- all of it -----------------------------------------------------------------------------------

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

local order = { "one", "many", "flat", "range", "soak", "cold", "base64" }
local before = load_average()
local begun = bmwi.sys.monotonic()
for _, name in ipairs(#arg > 0 and arg or order) do groups[name]() end

local text = { [[
# Benchmark

Written by `make bench` (spec/bench/run). A ratio is the median over many rounds in which the programs
took turns on one machine; smaller is better for bmwi. The last column holds what it was made from.

| bmwi | against | ratio | bar | reached | measured |
|---|---|---:|---:|---|---|
]] }
for _, line in ipairs(rows) do
  text[#text + 1] = "| " .. table.concat(line, " | ") .. " |\n"
end
text[#text + 1] = "\nThe machine:\n\n" .. machine() .. "\n"
if before > 0.5 then
  text[#text + 1] = ("- other work was going on: the load was %.1f before the run\n"):format(before)
end
if SCALE ~= 1 then text[#text + 1] = ("- a try-out with SCALE=%g\n"):format(SCALE) end
local file = assert(io.open(RESULTS, "w"))
file:write(table.concat(text))
file:close()
print(("%.0f seconds; written to %s"):format(bmwi.sys.monotonic() - begun, RESULTS))
