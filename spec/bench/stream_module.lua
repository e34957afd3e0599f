-- bmwi's side of the stream's benchmark. usage: stream_module.lua WHAT PORT CA-FILE MORE [SECONDS]
-- "receive" (MORE: a topic): the connection alone, which counts messages; "stream" (MORE: the
-- simulator's URL): client:stream(), with every value decoded and merged. Workers, see worker.h.
-- "idle" (the same MORE) prints how often it goes to sleep in so many seconds in which nothing
-- comes, and the processor time.
local bmwi = require "bmwi"

local what, port, ca, more, seconds = arg[1], arg[2], arg[3], arg[4], tonumber(arg[5])
local URL = "mqtts://127.0.0.1:" .. port

local function work(run)
  while true do
    local n, repeats = io.read("*n", "*n")
    if not n then return end
    local before = os.clock()
    for _ = 1, repeats do run(n) end
    if n == 0 then collectgarbage() end
    io.write(("%.6f\n"):format(os.clock() - before))
    io.flush()
  end
end

local function client()
  local one = bmwi.new { service = "cardata", client_id = "6b1f5a52-9d2e-4c0f-8a53-1f0c2d3e4b5a",
    base_url = more, login_url = more .. "/gcdm/oauth", stream_url = URL, ca_file = ca,
    store = require("bmwi.store").memory(), on_prompt = function() end }
  assert(one:login())
  return one
end

local function connected(stream)
  while stream:state() ~= "connected" do
    local _, message, code = stream:next(0.05)
    assert(code == "timeout", message)
  end
  return stream
end

local kinds = {}

function kinds.receive()
  local connection = bmwi._mqtt.connect { url = URL, ca_file = ca, client_id = "receive" }
  assert(connection:receive(20))
  connection:subscribe(more, 0)
  assert(connection:receive(20))
  work(function(n)
    for _ = 1, n do assert(connection:receive(20)) end
  end)
end

-- Values are numbered; a car's newest one is in its newest update.
function kinds.stream()
  local stream, last = connected(client():stream()), 0
  work(function(n)
    last = last + n
    local seen = n == 0 and last or 0
    while seen < last do
      local update = assert(stream:next(20))
      for _, entry in pairs(update.values) do seen = math.max(seen, entry.value) end
    end
  end)
end

local function wakes()
  local file = assert(io.open("/proc/self/status"))
  local count = file:read("*a"):match("\nvoluntary_ctxt_switches:%s*(%d+)")
  file:close()
  return tonumber(count)
end

function kinds.idle()
  local stream = connected(client():stream())
  stream:next(8) -- until the values are saved
  local before, used = wakes(), os.clock()
  assert(select(3, stream:next(seconds)) == "timeout")
  io.write(("%d %.6f\n"):format(wakes() - before, os.clock() - used))
end

kinds[what]()
