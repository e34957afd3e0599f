--- client:stream(): live data of the account's cars. See docs/stream.md.

local bmwi = require "bmwi"
local call = require "bmwi.cardata.call"
local check = require "bmwi._check"
local finalizer = require "bmwi._finalizer"
local hub = require "bmwi.cardata.stream_hub"
local live = require "bmwi.cardata.live"
local queue = require "bmwi.cardata.stream_queue"
local times = require "bmwi.cardata.stream_times"

local stream = {}

local loop, monotonic = bmwi.loop, bmwi._sys.monotonic
local MOST_KEEPALIVE = 30 -- seconds; BMW reduces longer ones
local LONGEST = 1e9 -- maximum seconds to wait; longer means indefinitely

-- The hub's side of a stream. The user's handle is another table, so that it can be collected while
-- the hub is still running.
local Listener = {}
Listener.__index = Listener

--- Makes waiting readers check again.
function Listener:wake()
  for gate in pairs(self.gates) do loop:open(gate) end
end

--- Nothing more will come.
function Listener:finish(ended)
  if self.ended then return end
  self.ended = ended
  self:wake()
end

-- The class bmwi.stream of types/bmwi.lua.
local Stream = {}
Stream.__index = Stream
Stream.__name = "bmwi.stream"

local function ended_with(ended)
  if ended.raised then error(ended.raised, 0) end
  return nil, ended.message, ended.code, { hint = ended.hint, retryable = false }
end

--- The next update; waits for it while other tasks run. What came before the end of a stream is
--- returned first.
---@param timeout? number seconds; default: no limit
---@return {vin:string,status:table,details:table,changed:table<string,true>,values:table}|nil
--- update status and details as of car:status(); changed: the members that differ from those of
--- the update before; values: what came, by descriptor. A car's first one contains everything
--- known of it
---@return string|nil message
---@return string|nil code "timeout": none came in time, and the stream continues; any other ends it
---@return table|nil info
function Stream:next(timeout)
  check.self(self, Stream, "stream", "next")
  check.optional(timeout, "number", 1, "next")
  check.that(not timeout or timeout >= 0, "seconds must not be negative", 1, "next")
  local listener = self.listener
  local deadline = timeout and timeout < LONGEST and monotonic() + timeout or nil
  while true do
    local now = monotonic()
    local update, ready = listener.queue:take(now, listener.ended ~= nil)
    if update then return update end
    if listener.ended then return ended_with(listener.ended) end
    if deadline and now >= deadline then
      return nil, "no update came in time", "timeout", { retryable = true }
    end
    local left = deadline and deadline - now
    local gate = loop:gate(ready and left and math.min(ready, left) or ready or left)
    listener.gates[gate] = true
    loop:pass(gate)
    listener.gates[gate] = nil
  end
end

--- For a loop: `for update in stream:updates() do`. It ends with the stream; stream:state() tells
--- why. On Lua 5.1 an iterator cannot wait inside a task: call next() there.
---@return fun():table|nil
function Stream:updates()
  check.self(self, Stream, "stream", "updates")
  return function() return self:next() end
end

--- The stream's state: "connecting"; "connected"; "waiting", the seconds until the next attempt and
--- the reason; or "ended" and the code.
---@return string state
---@return number|string|nil
---@return string|nil
function Stream:state()
  check.self(self, Stream, "stream", "state")
  local ended = self.listener.ended
  if ended then return "ended", ended.code end
  return self.hub:condition()
end

--- Closes the stream: waiting calls fail with the code "closed". The values are saved. Does nothing
--- if it has already ended.
function Stream:close()
  check.self(self, Stream, "stream", "close")
  local listener = self.listener
  if listener.ended then return end
  listener:finish({ code = "closed", message = "the stream was closed" })
  self.hub:leave(listener)
end

Stream.__close = Stream.close

function Stream:__tostring()
  return "bmwi.stream: " .. (self:state())
end

-- The set of VINs to listen for, in upper case; nil for all.
local function vins_of(client, list)
  if not list then return nil end
  local set = {}
  for i, vin in ipairs(list) do
    check.option(type(vin) == "string", "vins", "be an array of VINs", "stream", 3)
    local ok, car = pcall(client.vehicle, client, vin)
    check.option(ok, "vins", ("hold VINs, which number %d is not"):format(i), "stream", 3)
    set[car:vin()] = true
  end
  check.option(next(set) ~= nil, "vins", "hold a VIN", "stream", 3)
  return set
end

--- Starts listening to the account's stream. Does not wait: the stream connects, renews the token
--- in time and reconnects after failures by itself, while anything waits for bmwi or a host drives
--- bmwi.loop. All streams of a client share one connection; the first stream sets keepalive and
--- protocol. It ends when it is closed or collected, or when its client is closed.
---@param options? {vins:string[],keepalive:number,protocol:integer} vins: of which cars (all);
--- keepalive: seconds, 1 to 30 (30); protocol: 5, or 4 for MQTT 3.1.1 (5, and 4 if the server
--- knows no other)
---@return bmwi.stream
function stream.open(client, options)
  check.object(client, "client", "stream")
  options = check.options(options, { { "vins", "table" }, { "keepalive", "number" },
    { "protocol", "number" } }, 1, "stream")
  local keepalive, protocol = options.keepalive or MOST_KEEPALIVE, options.protocol or 5
  check.option(keepalive >= 1 and keepalive <= MOST_KEEPALIVE, "keepalive", "be from 1 to 30",
    "stream")
  check.option(protocol == 4 or protocol == 5, "protocol", "be 4 or 5", "stream")
  local store = call.store(client)
  local vins = vins_of(client, options.vins)
  local listener = setmetatable({ gates = setmetatable({}, { __mode = "k" }) }, Listener)
  listener.queue = queue.new { vins = vins, times = times,
    drive_train = function(vin) return live.drive_train(store, vin) end }
  local joined = hub.join(client, store, listener,
    { keepalive = math.floor(keepalive), protocol = protocol })
  return setmetatable({ hub = joined, listener = listener,
    finalizer = finalizer.new(function() pcall(joined.drop, joined, listener) end) }, Stream)
end

--- The same for one car.
---@param options? {keepalive:number,protocol:integer}
---@return bmwi.stream
function stream.of_car(car, options)
  check.object(car, "car", "stream")
  options = check.options(options, { { "keepalive", "number" }, { "protocol", "number" } }, 1,
    "stream")
  return stream.open(car:_client(), { vins = { car:vin() }, keepalive = options.keepalive,
    protocol = options.protocol })
end

return stream
