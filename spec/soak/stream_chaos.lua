--- What goes wrong with BMW's broker, drawn at random: the requests to the simulator that cause it,
--- and those that end it.

local KICKS, WITHIN = 2, 80 -- a third session that the server ends within a minute is a conflict
-- Seconds from one fault to the next; sometimes longer than a token's life, so that some sessions
-- end normally, after which waits are short again.
local GAP = { 8, 24 }
local GARBAGE = { "ff", "00", "30ffffffffff", "300500", "d001", "2003000000", "9003000180", "f000",
  "3006000161c3280a", "e0020000" }

-- Each with its weight: what it sets, and for how many seconds. `kick`: it counts as a session that
-- the server has ended; `spoils`: what is published afterwards cannot arrive.
local KINDS = {
  { 3, kick = true, function(random)
    return { ["end"] = random { "notify", "cut" } }
  end },
  { 1, kick = true, function() return { disconnect = 142 } end },
  { 2, function(random) return { disconnect = random { 0, 139, 141, 152, 160 } } end },
  { 3, function() return { ["end"] = "reset" } end },
  { 2, spoils = true, function() return { ["end"] = "freeze" } end },
  { 3, spoils = true, function(random) return { send = random(GARBAGE) } end },
  { 3, kick = true, lasts = 9, back = { listen = true },
    function() return { listen = false } end },
  { 1, lasts = 4, function() return { stall = 3 } end },
  { 1, lasts = 12, function() return { handshake_delay = 2 } end },
  { 1, lasts = 12, function() return { connack_silent = true } end },
  { 1, lasts = 12, function() return { connack_delay = 3 } end },
  { 1, lasts = 20, function(random)
    return { connack = random { 134, 135, 135, 136 }, connack_times = 1, ["end"] = "reset" }
  end },
  { 1, lasts = 12, function() return { suback_silent = true } end },
  { 2, lasts = 15, function() return { ping_silent = true } end },
  { 2, lasts = 8, function() return { chunk = 5, chunk_pause = 0.01 } end },
  { 1, lasts = 8, function() return { gather = 1.5 } end },
  { 1, lasts = 20, function() return { length_bytes = 4 } end },
  { 1, lasts = 30, function() return { server_keep_alive = 3 } end },
}
-- Faults of the token's renewal.
local TOKEN = { { latency = 2 }, { latency = 4 }, { status = 503 }, { reset = "before" },
  { recorded = "page_502" } }

local Chaos = {}
Chaos.__index = Chaos

local function draw(random)
  local weights = 0
  for _, kind in ipairs(KINDS) do weights = weights + kind[1] end
  local at = random() * weights
  for _, kind in ipairs(KINDS) do
    at = at - kind[1]
    if at < 0 then return kind end
  end
  return KINDS[1]
end

-- The same members, each reset.
local function undone(change)
  local back = {}
  for name in pairs(change) do
    if name ~= "stall" and name ~= "end" then back[name] = require("cjson").null end
  end
  return back
end

local function post(change) return { "POST", "/cardata/stream", change } end

--- The requests that are due.
---@param now number seconds
---@return table[] requests as of common.control
---@return boolean spoilt what is published on this connection from now on is lost
function Chaos:step(now)
  local requests, random = {}, self.random
  if self.ends and now >= self.ends then
    requests[1] = post(self.back)
    self.ends = nil
  end
  if self.ends or now < self.next then return requests, false end
  local kind = draw(random)
  while kind.kick and self.kicks[#self.kicks - KICKS + 1]
    and now - self.kicks[#self.kicks - KICKS + 1] < WITHIN do
    kind = draw(random)
  end
  if kind.kick then self.kicks[#self.kicks + 1] = now end
  local change = kind[2](random)
  requests[#requests + 1] = post(change)
  for name, value in pairs(change) do
    local what = ("%s=%s"):format(name, tostring(value))
    self.counts[what] = (self.counts[what] or 0) + 1
  end
  if kind.lasts then self.ends, self.back = now + kind.lasts, kind.back or undone(change) end
  if random() < 0.3 then
    local fault = { path = "/oauth/token" }
    for name, value in pairs(random(TOKEN)) do fault[name] = value end
    requests[#requests + 1] = { "POST", "/fault", fault }
  end
  self.next = now + GAP[1] + random(GAP[2])
  return requests, kind.spoils or false
end

--- The requests that end all faults.
function Chaos.calm()
  return { { "DELETE", "/fault" }, post { listen = true, connack = 0, connack_times = 0,
    connack_silent = false, connack_delay = 0, suback_silent = false, ping_silent = false,
    chunk = 0, chunk_pause = 0, gather = 0, length_bytes = 0, server_keep_alive = 0,
    handshake_delay = 0 } }
end

--- One for a simulator.
---@param random function of spec.soak.common
return function(random)
  return setmetatable({ random = random, next = 20, kicks = {}, counts = {} }, Chaos)
end
