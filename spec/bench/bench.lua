-- Measures and compares: starts the programs of this folder, lets them take turns, and writes one
-- table of ratios. Started by spec/bench/run, which sets PORT, OUT, LUA and the module paths.
--
-- Programs that are compared run in turns: each does a small batch, then the next one, round
-- after round, in reverse order every second time; a ratio is the median of the rounds' ratios.
-- Wall time is measured here, processor time is reported by the program.
local bmwi = require "bmwi"
local limits = require "spec.bench.limits"
local profile = require "spec.bench.profile"

local SCALE = tonumber(os.getenv("SCALE") or "1")
local OUT, LUA, PORT = os.getenv("OUT"), os.getenv("LUA"), tonumber(os.getenv("PORT"))
local QUICK = (os.getenv("QUICK") or "") ~= "" -- the first five rows
local PYTHON = os.getenv("PYTHON")
local CA = "build/certs/ca.pem"
local unpack = table.unpack -- luacheck: ignore (this file runs on Lua 5.4)
local VIN = "WAB1C23456V123456"
local CARDATA_VIN = "WBYCARDATA0000001"
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

-- Wall and processor time of n things, done `repeats` times; `meanwhile` is called in between.
local function ask(worker, n, repeats, meanwhile)
  local before = bmwi._sys.monotonic()
  worker.to:write(("%d %d\n"):format(n, repeats or 1))
  worker.to:flush()
  if meanwhile then meanwhile() end
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

-- Lets programs take turns, started anew in each generation, as two processes of one program differ
-- by a percent or two. `programs` maps names to commands, `order` is their order, a turn is
-- turn(name) -> n, repeats. Returns for each name the lists `wall` and `cpu`, per item. `apart`
-- keeps the programs off the server's core: without that a ratio shows where the scheduler happened
-- to put them. Not for programs with threads.
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

-- `bar`: the maximum ratio; "faster": below 1; nil: shown for comparison. `why()` explains why it
-- is missed, and what the limit is.
local function row(what, against, value, bar, note, why)
  local reached
  assert(why or not bar, what)
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

-- 7088 for 7.88.
local function libcurl()
  local major, minor = bmwi.curl_version:match("^libcurl/(%d+)%.(%d+)")
  return major * 1000 + minor
end

local function us(seconds) return ("%.1f us"):format(seconds * 1e6) end
local function ms(seconds) return ("%.2f ms"):format(seconds * 1e3) end
local function kib(bytes) return ("%.1f KiB"):format(bytes / 1024) end
local function mib(bytes) return ("%.1f MiB"):format(bytes / 1048576) end

-- A row that compares "wall" or "cpu" of two programs in `times`; `unit` is us or ms.
local function compare(times, one, other, which, unit, words, bar, why)
  local note = ("%s against %s"):format(unit(median(times[one][which])),
    unit(median(times[other][which])))
  row(words[1], words[2] or other, ratio(times, one, other, which), bar, note, why)
end

-- The medians of a program, in seconds.
local function medians(times, name)
  return { wall = median(times[name].wall), cpu = median(times[name].cpu) }
end

local groups = {}

-- Instructions and misses for one status, by program; nil if they cannot be counted.
local counted = {}

-- With these versions bmwi checks each first header (curl issue 11101), and Debian 12 has one of
-- them: its bars are a little higher.
local CHECKED = libcurl() >= 7084 and libcurl() < 8001

local function why_call() return limits.call(counted) end

-- Lua-cURL, and the highest ratio of bmwi's time to its.
local PEER, SAME = "Lua-cURL + cjson", "Lua-cURL + cjson, doing the same"
local PEERS = { { name = SAME, bar = 0.95 }, { name = PEER, bar = 1.06 } }

-- Programs for one status after the other, and the size of a turn.
local function c_loop(program, what)
  return ("%s/%s %s %s %s"):format(OUT, program, status_url(0), CA, what)
end
local function lua_curl(...)
  return table.concat({ "lua5.1 spec/bench/luacurl.lua", status_url(0), CA, ... }, " ")
end
-- Many, because the first ones of a turn find the caches full of another program.
local function some() return scaled(1000, 50) end
local ROUNDS, GENERATIONS = scaled(4, 2), scaled(10, 2)

local LUA_CURL_VERSION = "lua5.1 -e 'io.write(require([[curl]]).version())'"

local over_gnutls -- the times of groups.gnutls, once they were measured

-- The rows against Lua-cURL. `loop`: bmwi's time by that of the C loop with cjson.decode;
-- more(name) gives bmwi's instructions, the peer's, and further words, each of which may be nil.
local function compare_peers(times, where, loop, more)
  for _, peer in ipairs(PEERS) do
    local name = peer.name
    compare(times, "bmwi", name, "wall", us, { "one status after the other, wall", name .. where },
      peer.bar, function()
        return limits.lua_curl(medians(times, "bmwi"), medians(times, name),
          ratio(times, "bmwi", name, "wall") / math.max(1, loop), more(name))
      end)
  end
end

local function count(programs)
  if not profile.works() then return end
  for _, name in ipairs(QUICK and { "fetch", "decode" } or { "fetch", "decode", PEER, SAME }) do
    counted[name] = profile.each(programs[name], OUT)
  end
  -- The middle of three: what Lua's hashing costs differs from state to state.
  local counts = {}
  for i = 1, QUICK and 1 or 3 do counts[i] = profile.each(programs.bmwi, OUT, limits.PARTS) end
  table.sort(counts, function(a, b) return a.all < b.all end)
  counted.bmwi = counts[(#counts + 1) // 2]
  row("one status after the other, instructions", "C libcurl + cjson.decode",
    counted.bmwi.all / counted.decode.all, CHECKED and 1.10 or 1.07,
    ("%.0f against %.0f"):format(counted.bmwi.all, counted.decode.all), why_call)
end

function groups.one()
  local url = status_url(0)
  local function python(what)
    return ("%s spec/bench/python.py %s %s %s"):format(PYTHON, what, url, CA)
  end
  local programs = {
    fetch = c_loop("fetch", "fetch"),
    decode = c_loop("fetch", "decode"),
    bmwi = lua("one", base(0), CA),
    [PEER] = lua_curl(),
    [SAME] = lua_curl "same",
    ["python requests"] = python("requests"),
    ["python httpx"] = python("httpx"),
    ["python aiohttp"] = python("aiohttp"),
    ["node https"] = ("node spec/bench/node.js %s %s 1"):format(url, CA),
  }
  local wall = "one status after the other, wall"
  local processor = "one status after the other, processor"
  local plain, decoding = "C libcurl, fetch only", "C libcurl + cjson.decode"
  local peers = race({ "bmwi", PEER, SAME }, programs, ROUNDS, some, GENERATIONS, true)
  local times = race({ "fetch", "decode", "bmwi" }, programs, ROUNDS, some, GENERATIONS, true)
  compare_peers(peers, "", ratio(times, "bmwi", "decode", "wall"), function(name)
    return counted.bmwi, counted[name], over_gnutls
      and limits.same_libcurl(medians(over_gnutls, "fetch").cpu,
        medians(over_gnutls, "openssl").cpu, ratio(over_gnutls, "bmwi", name, "wall"))
  end)
  compare(times, "bmwi", "decode", "wall", us, { wall, decoding },
    CHECKED and 1.05 or 1.04, why_call)
  local decoded = ratio(times, "decode", "fetch", "wall")
  compare(times, "bmwi", "fetch", "wall", us, { wall, plain }, 1.15, function()
    return limits.decoding(counted, decoded)
  end)
  count(programs)
  if decoded < 1 then
    doubts[#doubts + 1] = "decoding came out faster than not decoding: these rows are worth nothing"
  end
  if QUICK then return end
  compare(times, "bmwi", "decode", "cpu", us, { processor, decoding })
  compare(times, "decode", "fetch", "wall", us, { "(" .. decoding .. ", wall)", plain })
  compare(times, "decode", "fetch", "cpu", us, { "(" .. decoding .. ", processor)", plain })
  compare(peers, "bmwi", PEER, "cpu", us, { processor })
  local others = { "python requests", "python httpx", "python aiohttp", "node https" }
  times = race({ "bmwi", unpack(others) }, programs, scaled(15, 3), function()
    return scaled(200, 50)
  end)
  for _, other in ipairs(others) do
    compare(times, "bmwi", other, "wall", us, { wall }, "faster", function()
      return limits.peer(medians(times, "bmwi"), medians(times, other))
    end)
  end
end

-- The libcurl of Debian's lua-curl is over GnuTLS and bmwi's over OpenSSL, so that the ratios above
-- are also those of two TLS libraries. Here both are on that libcurl, and on Lua 5.1.
function groups.gnutls()
  local module = ([[lua5.1 -e 'package.cpath = "%s/gnutls/?.so;" .. package.cpath' ]]):format(OUT)
  local mine = capture(module .. [[-e 'io.write(require("bmwi").curl_version)']])
  local its = capture(LUA_CURL_VERSION)
  assert(mine:find " GnuTLS/" and its:sub(1, #mine) == mine, mine .. " is not " .. its)
  local programs = {
    bmwi = module .. "spec/bench/module.lua one " .. base(0) .. " " .. CA,
    [PEER] = lua_curl(),
    [SAME] = lua_curl "same",
    decode = c_loop("fetch-gnutls", "decode"),
    fetch = c_loop("fetch-gnutls", "fetch"),
    openssl = c_loop("fetch", "fetch"),
  }
  local times = race({ "bmwi", PEER, SAME, "decode", "fetch", "openssl" }, programs,
    ROUNDS, some, GENERATIONS, true)
  over_gnutls = times
  local own = profile.works() and profile.each(programs.bmwi, OUT)
  compare_peers(times, ", over the same libcurl (GnuTLS)", ratio(times, "bmwi", "decode", "wall"),
    function(name) return own, counted[name] end)
end

function groups.many()
  local url = status_url(1)
  local function python(what)
    return ("%s spec/bench/python.py %s %s %s %d"):format(PYTHON, what, url, CA, AT_ONCE)
  end
  local programs = {
    multi = ("%s/many %s %s %d"):format(OUT, url, CA, AT_ONCE),
    decode = ("%s/many %s %s %d decode"):format(OUT, url, CA, AT_ONCE),
    bmwi = lua("many", base(1), CA, AT_ONCE),
    ["python aiohttp"] = python("aiohttp-many"),
    ["python httpx"] = python("httpx-many"),
    ["node https"] = ("node spec/bench/node.js %s %s %d"):format(url, CA, AT_ONCE),
  }
  local n = scaled(2000, 400)
  local function turn() return n end
  local name = ("%d statuses after 50 ms, %d at a time"):format(n, AT_ONCE)
  local plain = "C curl_multi over epoll, fetch only"
  local decoding = "C curl_multi over epoll + cjson.decode"
  local times = race({ "multi", "decode", "bmwi" }, programs, scaled(4, 2), turn,
    scaled(6, 2), true)
  local reason = limits.many(medians(times, "multi").cpu, medians(times, "decode").cpu,
    ratio(times, "decode", "multi", "cpu"), ratio(times, "bmwi", "decode", "cpu"))
  local function why() return reason end
  compare(times, "bmwi", "multi", "wall", us, { name .. ", wall", plain }, 1.10, why)
  compare(times, "bmwi", "multi", "cpu", us, { name .. ", processor", plain }, 1.25, why)
  compare(times, "bmwi", "decode", "cpu", us, { name .. ", processor", decoding })
  local others = { "python aiohttp", "python httpx", "node https" }
  times = race({ "bmwi", unpack(others) }, programs, scaled(3, 2), turn)
  for _, other in ipairs(others) do
    compare(times, "bmwi", other, "cpu", us, { name .. ", processor" }, "faster", function()
      return limits.processor(medians(times, "bmwi").cpu, medians(times, other).cpu)
    end)
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
    local values, cpu, words = {}, {}, {}
    for i, name in ipairs(order) do
      values[i], cpu[i] = median(times[name][kind[1]]), medians(times, name).cpu
      words[i] = us(values[i])
    end
    row("cost of one status in async.map, " .. kind[2],
      "highest by lowest of 10, 100, 1,000, 10,000 cars",
      math.max(unpack(values)) / math.min(unpack(values)), 1.3, table.concat(words, ", "),
      function()
        local least, most = math.min(unpack(cpu)), math.max(unpack(cpu))
        if kind[1] == "cpu" then return limits.spread(least, most) end
        return limits.flat(medians(times, order[1]), medians(times, order[#order]), most / least)
      end)
  end
  local mine, lua_part, its = {}, {}, {}
  local waiting, cap = scaled(2000, 500), 10
  for i = 1, scaled(3) do
    its[i] = tonumber(capture(("%s/many %s %s %d hold %d"):format(OUT, status_url(2), CA, waiting,
      cap)))
    local whole, part = capture(lua("hold", base(2), CA, waiting, cap)):match("(%S+) (%S+)")
    mine[i], lua_part[i] = tonumber(whole), tonumber(part)
  end
  row("memory of one waiting operation", "an easy handle in a C curl_multi",
    median(mine) / median(its), 1.5, ("%s against %s"):format(kib(median(mine)), kib(median(its))),
    function() return limits.waiting(median(mine), median(lua_part), median(its)) end)
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
  local decoding = capture(lua("decode_twice", base(0), CA) .. " <" .. OUT .. "/www/rangemap.json")
  local function why()
    return limits.range(medians(times, "decode"), medians(times, "bmwi"),
      tonumber(decoding:match("%S+")), tonumber(decoding:match(" (%S+)")))
  end
  compare(times, "bmwi", "decode", "wall", ms, { "range map of 10 MB, wall", plain }, 1.1, why)
  compare(times, "bmwi", "decode", "cpu", ms, { "range map of 10 MB, processor", plain })
  local peak, sum = capture(lua("range_map_memory", base(0), CA, size)):match("(%d+) (%d+)")
  row("range map of 10 MB, peak memory", "body + table", peak / sum, 2.5,
    ("%s against %s"):format(mib(peak), mib(sum)), function()
      return limits.peak(tonumber(peak), size, sum - size)
    end)
end

function groups.soak()
  local n = scaled(200, 10) * 1000
  local grown, lua_part, late = {}, {}, {}
  for i = 1, scaled(3) do
    local all, part, second = capture(lua("soak", base(0), CA, n)):match("(%S+) (%S+) (%S+)")
    grown[i], lua_part[i], late[i] = tonumber(all), tonumber(part), tonumber(second)
  end
  row(("resident memory after %d statuses"):format(n), "after 1,000: MiB more",
    median(grown) / 1048576, 1, kib(median(grown)), function()
      return limits.soak(grown, lua_part, late)
    end)
end

-- The environment of a command line with these settings, and its folder.
local function command_line(name, settings)
  local folder = capture("pwd") .. "/" .. OUT .. "/" .. name
  assert(os.execute(("rm -rf %s && mkdir -p %s && chmod 700 %s"):format(folder, folder, folder)))
  -- Without the simulator's variables: bmwi compares names that no setting has with all of them.
  local words = { "env -u BMWI_SIM -u BMWI_SIM_CERT -u BMWI_SIM_KEY", "HOME=" .. folder,
    "XDG_CONFIG_HOME=" .. folder, "BMWI_TOKEN_FILE=" .. folder .. "/token",
    "BMWI_BASE_URL=" .. base(0), "BMWI_CA_FILE=" .. CA }
  for key, value in pairs(settings) do words[#words + 1] = key .. "=" .. value end
  return table.concat(words, " ") .. " ", folder
end

-- Instructions for one start of each program; none if they cannot be counted.
local function count_starts(programs, prepare)
  local starts = {}
  for name, command in pairs(profile.works() and programs or {}) do
    prepare()
    local before, program = command:match("^(.*)" .. OUT .. "/cold (.*)$")
    starts[name] = profile.start(before:gsub("REMOVE=%S+", ""), program, OUT)
  end
  return starts
end

local PRECOMPILED = { status = "precompiled", cardata = "cardata_precompiled" }

local function read(path)
  local file = assert(io.open(path, "rb"))
  local bytes = file:read("*a")
  file:close()
  return bytes
end

local function write(path, bytes)
  local file = assert(io.open(path, "wb"))
  file:write(bytes)
  file:close()
end

function groups.cold()
  local classic, folder = command_line("home", { BMWI_VIN = VIN,
    BMWI_USERNAME = "whatever@example.com", BMWI_PASSWORD = "p4ssw0rd", BMWI_API_KEY = "key",
    BMWI_API_SECRET = "secret" })
  local saved, home = command_line("cardata", { BMWI_SERVICE = "cardata", BMWI_VIN = CARDATA_VIN,
    BMWI_LOGIN_URL = base(0) .. "/gcdm/oauth",
    BMWI_CLIENT_ID = "6b1f5a52-9d2e-4c0f-8a53-1f0c2d3e4b5a" })
  local bin = LUA .. " bin/bmwi "
  assert(os.execute(saved .. bin .. "login >/dev/null 2>&1 && " .. saved .. bin
    .. "status >/dev/null"), "no log-in with CarData")
  local account = read(home .. "/token")
  -- All begin with the same files: CarData's account grows by each call.
  local function prepare()
    os.remove(folder .. "/token")
    write(home .. "/token", account)
  end
  local prefix = capture("pwd") .. "/" .. OUT .. "/prefix"
  assert(os.execute(("make -s install PREFIX=%s PRECOMPILED=1 LUA=%s >/dev/null"):format(prefix,
    LUA)))
  local cold, again = OUT .. "/cold ", "REMOVE=" .. folder .. "/token " .. OUT .. "/cold "
  local common = ("-sS --compressed --cacert %s -H 'Accept: application/json' "):format(CA)
  local token = "-H 'Authorization: Bearer RCQ1hLP4AFaUBW9BjcPUN3i4WgkwF90R' "
  local programs = {
    curl_version = cold .. "curl --version",
    curl = cold .. "curl " .. common .. "-u key:secret --data-urlencode grant_type=password "
      .. "--data-urlencode username=whatever@example.com --data-urlencode password=p4ssw0rd "
      .. "--data-urlencode 'scope=remote_services vehicle_data' "
      .. base(0) .. "/webapi/oauth/token/ --next " .. common .. token .. status_url(0),
    curl_cardata = cold .. "curl " .. common .. token .. "-H 'x-version: v1' " .. base(0)
      .. "/customers/vehicles/" .. CARDATA_VIN .. "/telematicData?containerId=C1",
    require = cold .. LUA .. [[ -e 'require "bmwi"']],
    version = classic .. cold .. bin .. "--version",
    status = classic .. again .. bin .. "status",
    precompiled = classic .. again .. LUA .. " " .. prefix .. "/bin/bmwi status",
    cardata = saved .. cold .. bin .. "status",
    cardata_precompiled = saved .. cold .. LUA .. " " .. prefix .. "/bin/bmwi status",
  }
  local times = race({ "curl_version", "curl", "curl_cardata", "require", "version", "status",
    "precompiled", "cardata", "cardata_precompiled" }, programs, scaled(40, 5),
    function()
      prepare()
      return 4
    end)
  local starts = count_starts(programs, prepare)
  for _, which in ipairs { { "wall", "" }, { "cpu", ", processor" } } do
    local function cold_start(of, one, other, against, bar)
      compare(times, one, other, which[1], ms, { "cold start of " .. of .. which[2], against },
        which[1] == "wall" and bar or nil, function()
          return limits.cold(medians(times, one), medians(times, other), starts[one],
            starts[other], starts[PRECOMPILED[one]])
        end)
    end
    cold_start('require "bmwi"', "require", "curl_version", "curl --version", 1.3)
    cold_start("bmwi --version", "version", "curl_version", "curl --version", 1.15)
    cold_start("bmwi status with log-in", "status", "curl", "one curl, the same two requests", 1.3)
    cold_start("the same, precompiled", "precompiled", "curl", "one curl, the same two requests",
      1.2)
    cold_start("bmwi status of CarData", "cardata", "curl_cardata", "one curl, the same request",
      1.3)
    cold_start("the same, precompiled", "cardata_precompiled", "curl_cardata",
      "one curl, the same request")
  end
end

function groups.stream()
  require "spec.bench.stream" { start = start, stop = stop, ask = ask, median = median,
    scaled = scaled, row = row, lua = LUA, out = OUT, python = PYTHON, apart = APART }
end

function groups.base64()
  for _, name in ipairs { "encode", "decode" } do
    local times = race({ "openssl", "bmwi" }, {
      openssl = OUT .. "/base64 " .. name,
      bmwi = lua(name, base(0), CA),
    }, scaled(25, 5), function() return 20 end, 2)
    compare(times, "bmwi", "openssl", "wall", us, { "base64 of 1 MiB, " .. name,
      "OpenSSL EVP_" .. name:gsub("^%l", string.upper) .. "Block" }, 1.5, function()
      return limits.peer(medians(times, "bmwi"), medians(times, "openssl"))
    end)
  end
end

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
      .. " on Lua 5.1 (Debian's, over " .. capture(LUA_CURL_VERSION):match("^%S+ %S+") .. "), "
      .. capture(PYTHON .. " --version") .. ", requests "
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

local GROUPS = { "one", "gnutls", "many", "flat", "range", "soak", "cold", "base64", "stream" }
local before = load_average()
local begun = bmwi._sys.monotonic()
for _, name in ipairs(QUICK and { "one" } or #arg > 0 and arg or GROUPS) do groups[name]() end

local text = { [[
# Benchmark

Written by `make bench` (spec/bench/run). A ratio is the median over many rounds in which the
programs took turns on one machine; smaller is better for bmwi. The last column holds the medians of
what was measured. Rows in parentheses compare two of the others.

nginx is kept on one core, and the programs on another: left to the scheduler, they share a core or
not as it happens. Each answer wakes a sleeping core then, which is in both wall times and brings
their ratio closer to 1 than that of the processor times. Left to the scheduler are memory, cold
starts, base64, and the rows against Python and Node.js, but for the stream's.

| bmwi | against | ratio | bar | reached | measured |
|---|---|---:|---:|---|---|
]] }
for _, line in ipairs(rows) do
  text[#text + 1] = "| " .. table.concat(line, " | ") .. " |\n"
end
if #missed > 0 then
  text[#text + 1] = "\nBars that are not reached, and why:\n\n"
  for _, miss in ipairs(missed) do
    text[#text + 1] = ("- %s, against %s: %.1f %% above the bar. %s\n"):format(miss[1], miss[2],
      (miss[3] - 1) * 100, miss[4]())
  end
end
text[#text + 1] = "\nThe machine:\n\n" .. machine() .. "\n"
if before > 0.5 then
  text[#text + 1] = ("- other work was going on: the load was %.1f before the run\n"):format(before)
end
for _, doubt in ipairs(doubts) do text[#text + 1] = "- **" .. doubt .. "**\n" end
if SCALE ~= 1 then text[#text + 1] = ("- a try-out with SCALE=%g\n"):format(SCALE) end
local whole = not QUICK and #arg == 0 and SCALE == 1
local path = not whole and OUT .. "/RESULTS.md"
  or "spec/bench/RESULTS-" .. capture(". /etc/os-release; echo $ID-$VERSION_ID") .. ".md"
local file = assert(io.open(path, "w"))
file:write(table.concat(text))
file:close()
print(("%.0f seconds; written to %s"):format(bmwi._sys.monotonic() - begun, path))
