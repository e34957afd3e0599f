-- The rows of the stream: messages of one broker (the simulator's, over TLS) to client:stream(), to
-- the connection below it, to libmosquitto's own loop in C and to paho in Python, in turns; the
-- bridge from end to end; and an idle stream.
local helper = require "spec.helper"
local limits = require "spec.bench.limits"
local json = helper.json

local MESSAGES, BATCH = 20000, 2000
local CARS = { "WBYCARDATA0000001", "WBACARDATA0000002", "WBACARDATA0000003" }
local DESCRIPTORS = 20 -- of each car
local FIRST = 1700000000 -- when the first value was measured

local function publish(sim, body)
  local name = os.tmpname()
  helper.write(name, body)
  os.execute(("curl -sSk -o %s.out --data-binary @%s %s/_sim/cardata/stream"):format(name, name,
    sim.url))
  local said = helper.read(name .. ".out")
  os.remove(name)
  os.remove(name .. ".out")
  assert(said and not said:find('"error"', 1, true), said)
end

-- N messages as BMW sends them, with one value each, numbered from `first` on.
local function batch(topic, first, n)
  local list = {}
  for i = first, first + n - 1 do
    local descriptor = ("vehicle.bench.value%d"):format(i // #CARS % DESCRIPTORS)
    local car = CARS[i % #CARS + 1]
    list[#list + 1] = { vin = car, topic = topic and topic .. "/" .. car, data = {
      [descriptor] = { value = i, unit = "km",
        timestamp = os.date("!%Y-%m-%dT%H:%M:%SZ", FIRST + i) } } }
  end
  return json.encode { publish = list }
end

local WORDS = {
  count = "libmosquitto's loop in C, which counts",
  decode = "libmosquitto's loop in C + cjson.decode",
  paho = "paho in Python, which counts",
  ["paho-decode"] = "paho in Python + json.loads",
}
local ORDER = { "stream", "receive", "count", "decode", "paho", "paho-decode" }

-- Processor time per message, by program: a list of the rounds.
local function race(tools, sim)
  local times, sent = {}, {}
  local n = tools.scaled(BATCH, 200)
  local function program(form, ...)
    return form:format(..., sim.stream_port, sim.ca)
  end
  local module = tools.lua .. " spec/bench/stream_module.lua"
  local c, python = tools.out .. "/mosquitto", tools.python .. " spec/bench/stream.py"
  local programs = {
    stream = program("%s stream %d %s ", module) .. sim.url,
    receive = program("%s receive %d %s receive/+", module),
    count = program("%s %d %s count/+ count", c),
    decode = program("%s %d %s decode/+ decode", c),
    paho = program("%s %d %s paho/+", python),
    ["paho-decode"] = program("%s %d %s paho-decode/+ decode", python),
  }
  local workers = {}
  local function turn(name)
    local body = batch(name ~= "stream" and name, sent[name] + 1, n)
    sent[name] = sent[name] + n
    local _, cpu = tools.ask(workers[name], n, 1, function() publish(sim, body) end)
    return cpu / n
  end
  for _, name in ipairs(ORDER) do
    times[name], sent[name] = {}, 0
    workers[name] = tools.start(tools.apart .. programs[name])
    tools.ask(workers[name], 0) -- it is connected
    turn(name)
  end
  local rounds = math.max(3, math.ceil(tools.scaled(MESSAGES) / n))
  for round = 1, rounds do
    for k = 1, #ORDER do
      local name = ORDER[round % 2 == 0 and #ORDER + 1 - k or k]
      tools.ask(workers[name], 0)
      table.insert(times[name], turn(name))
    end
  end
  for _, name in ipairs(ORDER) do tools.stop(workers[name]) end
  return times, rounds * n
end

-- `own`: which of ours; `bar` and `why` are of bench.lua's row.
local function compare(tools, times, own, other, words, bar, why)
  local ratios = {}
  for i, value in ipairs(times[own]) do ratios[i] = value / times[other][i] end
  tools.row(words, WORDS[other], tools.median(ratios), bar, ("%.1f us against %.1f us"):format(
    tools.median(times[own]) * 1e6, tools.median(times[other]) * 1e6), why)
end

local function idle(tools, sim)
  local seconds = tools.scaled(60, 5)
  local wakes, used = helper.shell(("%s spec/bench/stream_module.lua idle %d %s %s %d"):format(
    tools.lua, sim.stream_port, sim.ca, sim.url, seconds)):match("(%d+) (%S+)")
  -- PINGREQ and PINGRESP: one each in 30 s; and the end of the wait.
  local allowed = 2 * math.ceil(seconds / 30) + 1
  tools.row(("wake-ups of an idle stream in %d s"):format(seconds),
    "pings, and the end of the wait", wakes / allowed, 1,
    ("%s against %d; %.1f ms of processor time"):format(wakes, allowed, used * 1000),
    function() return limits.idle(tonumber(wakes), allowed, tonumber(used)) end)
end

local function start_sim()
  local sim = helper.start { stream = true, tls = true }
  sim:control("POST", "/cardata/login", { interval = 0.05 })
  sim:control("POST", "/cardata/stream", { anyone = true })
  return sim
end

---@param tools table of bench.lua: start, stop, ask, median, scaled, row; lua, out, python, apart
return function(tools)
  local sim = start_sim()
  local times, count = race(tools, sim)
  local stream = ("client:stream(), %d messages, processor"):format(count)
  local alone = ("its connection alone, %d messages, processor"):format(count)
  local function each(name) return tools.median(times[name]) end
  local function why()
    return limits.stream(each "count", each "decode", each "receive", each "stream")
  end
  local function why_alone() return limits.receive(each "count", each "receive") end
  local function compare_paho(own, other, words)
    compare(tools, times, own, other, words, "faster", function()
      return limits.processor(each(own), each(other))
    end)
  end
  compare(tools, times, "stream", "count", stream, 1.5, why)
  compare(tools, times, "stream", "decode", stream)
  compare_paho("stream", "paho", stream)
  compare_paho("stream", "paho-decode", stream)
  compare(tools, times, "receive", "count", alone, 1.5, why_alone)
  compare_paho("receive", "paho", alone)
  sim:stop()
  sim = start_sim()
  idle(tools, sim)
  sim:stop()
  require "spec.bench.bridge"(tools)
end
