--- A client's single connection to the stream, for all of its listeners: a task that follows the
--- schedule, receives the messages and distributes them. It ends with its last listener.

local async = require "bmwi.async"
local bmwi = require "bmwi"
local limits = require "bmwi.store.limits"
local live = require "bmwi.cardata.live"
local message = require "bmwi.cardata.stream_message"
local schedule = require "bmwi.cardata.stream_schedule"
local times = require "bmwi.cardata.stream_times"

local hub = {}

local loop, monotonic = bmwi.loop, bmwi._sys.monotonic
local STREAMING = "cardata:streaming:read" -- of the scope
local MOST_TOGETHER = 64 -- messages that are merged in one go
local LONGEST = 1e9 -- seconds that receive() can wait
local CLOSED = { code = "closed", message = "the stream was closed" }

local hubs = setmetatable({}, { __mode = "k" }) -- client -> its hub
local recent = {} -- url -> when this process has connected to it (monotonic)

local Hub = {}
Hub.__index = Hub

-- What happened -----------------------------------------------------------------------------------

-- Calls the client's log hook. The loop's next step raises its errors.
function Hub:log(event, about)
  if not self.log_hook then return end
  local ok, why = pcall(self.log_hook, event, about)
  if not ok then loop:fail(why) end
end

function Hub:set_state(state, reason, seconds)
  self.state, self.reason = state, reason
  self.until_ = seconds and monotonic() + seconds
  self:log("stream", { state = state, reason = reason, wait = seconds })
end

function Hub:message(topic, payload)
  if self.log_hook then self:log("stream_message", { topic = topic, payload = payload }) end
  local vin, values = message.read(topic, payload)
  if not vin then
    self:log("stream_dropped", { reason = values, bytes = #payload })
    return
  end
  self:collect(vin, values)
end

local function overlap(one, other)
  for name in pairs(other) do
    if one[name] then return true end
  end
end

-- Keeps what came of a car until merge(): a merge copies all that is known of the car, so that
-- messages that came together are merged at once. Two values of the same descriptor are not.
function Hub:collect(vin, values)
  local waiting = self.waiting
  if waiting[vin] and overlap(waiting[vin], values) or waiting.count >= MOST_TOGETHER then
    self:merge()
    waiting = self.waiting
  end
  waiting.count = waiting.count + 1
  if not waiting[vin] then
    waiting[#waiting + 1], waiting[vin] = vin, values
    return
  end
  for name, value in pairs(values) do waiting[vin][name] = value end
end

-- Merges what came, and tells the listeners.
function Hub:merge()
  local waiting = self.waiting
  self.waiting = { count = 0 }
  for _, vin in ipairs(waiting) do
    local before, state = live.take(self.store, vin, waiting[vin], os.time())
    if before then self:news(vin, before, state, waiting[vin]) end
  end
end

function Hub:news(vin, before, state, values)
  local now = monotonic()
  self.save_at = self.save_at or now + times.save
  for listener in pairs(self.listeners) do
    if listener.queue:push(vin, before, state, values, now) then listener:wake() end
  end
end

function Hub:save()
  if self.ended then return end
  self:merge()
  self.save_at = nil
  live.save(self.store)
  local again = not self.ended and live.dirty(self.store)
  self.save_at = again and monotonic() + times.save or nil
end

-- Before a connection -----------------------------------------------------------------------------

-- Whether the client was closed: its other methods would raise.
function Hub:is_closed()
  return self.stopping or self.client:_closed()
end

-- Waits; returns how the stream ended if it ends meanwhile.
function Hub:pause(seconds, reason)
  if self:is_closed() then return CLOSED end
  if seconds <= 0 then return nil end
  self:set_state("waiting", reason, seconds)
  self.gate = self.client:_gate(seconds)
  local _, _, code = loop:pass(self.gate)
  self.gate = nil
  if code == "closed" or self:is_closed() then return CLOSED end
end

-- The newest token; a new one if the last one was refused. nil and the next step if there is none.
function Hub:token(renew)
  local done, why, code, info = self.client:_renew(renew and self.access or nil)
  if self:is_closed() then return nil, CLOSED end
  if not done then return nil, self.plan:no_token(why, code, info) end
  local token = self.client:token()
  local gcid = token and token.gcid -- it becomes a level of a topic
  if not gcid or gcid:find("[/+#]") or not token.id_token then
    return nil, { code = "auth", message = "the log-in has no gcid or id_token for the stream",
      hint = schedule.LOGIN }
  end
  if token.scope and not token.scope:find(STREAMING, 1, true) then
    return nil, { code = "forbidden", message = "the log-in is not for the stream",
      hint = schedule.PORTAL }
  end
  self.access = token.access_token
  return token
end

-- Counts a connection if this process and the account file allow it now. Otherwise returns the
-- seconds to wait.
function Hub:slot()
  local allowed, wait, list = limits.attempt(recent[self.url] or {}, monotonic(), times.window)
  if not allowed then return wait end
  local free, seconds = self.store:_stream_attempt(nil, times.window)
  if free == false then return seconds end
  recent[self.url] = list -- even if the file cannot be written
  return 0
end

-- One step of the schedule: waits, connects and serves the connection to its end. Returns the next
-- step.
function Hub:attempt(step)
  local ended = self:pause(step.wait, step.reason)
  local renew = step.renew
  while not ended do
    self:set_state("connecting")
    local token, other = self:token(renew)
    if not token then return other end
    local wait = self:slot()
    if wait == 0 then return self:connect(step.protocol, token) end
    renew = false
    ended = self:pause(wait, "BMW allows few connections a minute")
  end
  return ended
end

-- A connection ------------------------------------------------------------------------------------

-- When to renew, on both clocks: one stops while the machine is suspended, the other may be set.
function Hub:plan_renewal(session)
  local ends = session.token.expires_at
  if not ends then return end
  local left = ends - os.time()
  local wait = self.plan:renew_in(left)
  session.renew_at, session.renew_wall = monotonic() + wait, os.time() + wait
  session.margin = math.min(60, left / 10)
end

-- Takes in what came while the task was busy with the renewal, for which it gives up the
-- connection.
function Hub:drain()
  local until_ = monotonic() + times.drain
  repeat
    local kind, topic, payload = self.connection:receive(0)
    if kind == "publish" then self:message(topic, payload) end
  until not kind or self.stopping or monotonic() > until_
  self:merge()
end

function Hub:connect(protocol, token)
  if self:is_closed() then return CLOSED end
  local session = { token = token, ends = token.expires_at }
  self:plan_renewal(session)
  self.connection = bmwi._mqtt.connect { client = self.client, url = self.url, protocol = protocol,
    client_id = token.gcid, username = token.gcid, password = token.id_token,
    keepalive = self.keepalive }
  local step
  repeat step = self:serve(session) until step
  self:drain()
  self.connection:close()
  self.connection = nil
  self:save()
  return self.stopping and CLOSED or step
end

-- The seconds for which there is nothing to do unless something arrives; nil: no limit.
function Hub:idle(session)
  local now, at = monotonic(), math.huge
  for _, due in pairs { session.renew_at or at, session.suback_at or at, self.save_at or at } do
    at = math.min(at, due)
  end
  return at < now + LONGEST and math.max(0, at - now) or nil
end

-- Handlers for what the server sends; each may return the next step.
local COMES = {}

function COMES.connected(self, session)
  self.plan:connected(monotonic())
  session.suback_at = monotonic() + times.suback
  self.connection:subscribe(session.token.gcid .. "/+", 0) -- if it fails, the connection has ended
end

function COMES.suback(self, session, _, codes)
  session.suback_at = nil
  for _, code in ipairs(codes) do
    if code >= 0x80 then return self.plan:refused_topic(code, monotonic()) end
  end
  self.plan:subscribed()
  self:set_state("connected")
end

function COMES.publish(self, _, topic, payload)
  self:message(topic, payload)
end

function COMES.puback() end

function Hub:serve(session)
  local more = self.waiting.count > 0
  local kind, a, b, c = self.connection:receive(more and 0 or self:idle(session))
  if self.stopping then return CLOSED end
  if more and not kind then self:merge() end
  if kind then return COMES[kind](self, session, a, b) or self:due(session) end
  if b == "timeout" and c and c.waiting then return self:due(session) end
  if b == "closed" then return CLOSED end
  return self:lost(session, a, b, c or {})
end

function Hub:lost(session, why, code, info)
  local ends = session.ends
  return self.plan:lost({ message = why, code = code, reason = info.reason, phase = info.phase,
    eof = info.eof, retryable = info.retryable, hint = info.hint,
    expired = ends and os.time() >= ends - session.margin }, monotonic())
end

-- Does what is due.
function Hub:due(session)
  local now = monotonic()
  if self.save_at and now >= self.save_at then self:save() end
  if session.suback_at and now >= session.suback_at then
    return self:lost(session, "the server has not acknowledged the subscription", "timeout", {})
  end
  local at, wall = session.renew_at, session.renew_wall
  if at and (now >= at or os.time() >= wall) then return self:renew(session) end
end

-- Gets the next token and gives up the connection for it. Without a new token the connection is
-- kept: until the next attempt or, if BMW returned the same id_token or the token has expired,
-- until the server ends it.
function Hub:renew(session)
  local done, why, code, info = self.client:_renew(session.token.access_token)
  if self:is_closed() then return CLOSED end
  local token = done and self.client:token()
  if done and token.id_token and token.id_token ~= session.token.id_token then
    return self.plan:rotated(monotonic())
  end
  local final = not done and self.plan:renewal_failed(why, code, info)
  if final then return final end
  local left = session.ends - os.time()
  local wait = not done and left > 0 and self.plan:renew_again_in(left)
  session.renew_at = wait and monotonic() + wait or nil
  session.renew_wall = wait and os.time() + wait or nil
end

-- Life --------------------------------------------------------------------------------------------

-- The task's function; returns how the stream ended.
function Hub:run()
  local lock, _, code = self.store:_stream_lock()
  self.lock = lock
  if code == "locked" then
    return { code = "conflict", message = "another program of this machine uses the stream of this "
      .. "account file", hint = schedule.OTHER }
  end
  local step = self.plan:start()
  while not step.code do step = self:attempt(step) end
  self:save()
  return step
end

function Hub:unlock()
  if self.lock then self.lock:unlock() end
  self.lock = nil
end

-- Called when the task has ended: with the result of run, an error, or cancelled.
function Hub:over(ok, result)
  if hubs[self.client] == self then hubs[self.client] = nil end
  if self.connection then self.connection:close() end
  self:unlock()
  live.close(self.store)
  local ended = ok and result or self:is_closed() and CLOSED or { raised = result, code = "closed" }
  self.ended = ended
  self:log("stream", { state = "ended", code = ended.code, reason = ended.message })
  for listener in pairs(self.listeners) do listener:finish(ended) end
end

--- Adds a listener, and connects for the first one.
---@param client bmwi.client
---@param listener table with the member queue and the methods wake() and finish(ended)
---@param options {keepalive:number,protocol:integer} those of a client's first listener are used
---@return table hub
function hub.join(client, store, listener, options)
  local self = hubs[client]
  if self and self.stopping then
    self:stop() -- its last listener has been collected
  elseif self then
    self.listeners[listener] = true
    return self
  end
  self = setmetatable({ client = client, store = store, listeners = { [listener] = true },
    url = client:_option("stream_url"), log_hook = client:_option("log"),
    keepalive = options.keepalive, state = "connecting", waiting = { count = 0 },
    plan = schedule.new { protocol = options.protocol, times = times, random = math.random } }, Hub)
  live.open(store)
  hubs[client] = self
  self.task = async.spawn(function() return self:run() end, function(...) self:over(...) end)
  return self
end

-- There are no listeners any more: cancels what the task waits for. The task then ends by itself.
function Hub:abandon()
  self.stopping = true
  if self.connection then self.connection:close() end
  if self.gate then loop:open(self.gate) end
end

--- Removes a listener that has been collected; does not wait.
function Hub:drop(listener)
  self.listeners[listener] = nil
  if next(self.listeners) == nil and not self.ended then self:abandon() end
end

function Hub:stop()
  if hubs[self.client] == self then hubs[self.client] = nil end
  self:unlock() -- the next one may start while this one is being saved
  self:save()
  self.task:cancel()
end

--- Removes a listener; with the last one the values are saved and the task ends.
function Hub:leave(listener)
  self:drop(listener)
  if self.stopping then self:stop() end
end

--- Like stream:state().
function Hub:condition()
  if self.ended then return "ended", self.ended.code end
  if self.state ~= "waiting" then return self.state end
  return "waiting", math.max(0, self.until_ - monotonic()), self.reason
end

return hub
