--- When to connect to the stream, when to renew the token first, and when to give up. A pure state
--- machine: it is told what happened and when (monotonic clock), and returns what to do next. BMW
--- limits connections within one minute, ends a session when its token expires, and allows one
--- session for each account.
---
--- A step is {wait=, renew=, protocol=, reason=}: after that many seconds connect, with a new token
--- if `renew`; or {code=, message=, hint=}: the stream has ended.

local schedule = {}

local MOST_SESSIONS = 3 -- ended by the server within the window
local MOST_REFUSED = 3  -- refused CONNACKs in a row for a stream that was never connected
-- Failures of TLS in a row until a stream ends: for handshakes that were cut short, and for
-- certificates that were refused; index: whether the stream was connected before.
local MOST_CUT = { [false] = 3, [true] = math.huge }
local MOST_UNTRUSTED = { [false] = 1, [true] = 3 }

-- Reason codes in a CONNACK of MQTT 3.1.1, as those of MQTT 5.
local OLD = { 132, 133, 136, 134, 135 }

--- Hints for the ways a stream ends.
schedule.PORTAL = "at BMW's portal (My BMW, your vehicle, CarData) subscribe the client to "
  .. "\"CarData Stream\", choose the stream's data, wait a minute, then log in again"
schedule.OTHER = "BMW has one stream for each account: end the other program that uses it (another "
  .. "client id does not help), or give its data on with bmwi bridge"
schedule.LOGIN = "log in again: client:login()"

-- Reason codes that need special treatment.
local KINDS = {
  [132] = "protocol", [133] = "identifier", [134] = "credentials", [135] = "credentials",
  [136] = "busy", [137] = "busy", [138] = "banned", [142] = "taken", [151] = "busy",
  [159] = "busy",
}
local ENDS = {
  protocol = { code = "server", message = "the server supports neither MQTT 5 nor 3.1.1" },
  identifier = { code = "server", message = "the server refused the client identifier",
    hint = "it is the gcid of the log-in; " .. schedule.LOGIN },
  banned = { code = "forbidden", message = "the server has banned this client",
    hint = "end every program that uses the account's stream, and try again after some hours; if "
      .. "it stays so, make a new client at BMW's portal and log in with it" },
}

local Schedule = {}
Schedule.__index = Schedule

--- Makes a schedule.
---@param options {protocol:integer,times:table,random:fun():number}
function schedule.new(options)
  return setmetatable({ times = options.times, random = options.random, ends = {}, failures = 0,
    protocol = options.protocol, refused = 0, refused_topics = 0, tls = 0, ever = false }, Schedule)
end

-- The seconds to wait after another failure.
function Schedule:climb(least)
  self.failures = self.failures + 1
  local times = self.times
  local wait = times.ladder[math.min(self.failures, #times.ladder)]
  wait = wait * (1 + times.jitter * (2 * self.random() - 1))
  return least and math.max(wait, least * (1 + times.jitter * self.random())) or wait
end

function Schedule:again(reason, wait, renew)
  return { wait = wait, renew = renew or false, protocol = self.protocol, reason = reason }
end

local function over(code, message, hint)
  return { code = code, message = message, hint = hint }
end

--- The first step.
function Schedule:start()
  return self:again("the stream begins", 0)
end

--- CONNACK 0 was received.
function Schedule:connected(now)
  self.since, self.ever, self.refused, self.tls, self.renewed = now, true, 0, 0, false
end

--- The subscription was granted.
function Schedule:subscribed()
  self.refused_topics = 0
end

--- We have disconnected deliberately, with a new token available.
function Schedule:rotated(now)
  self.own, self.since, self.failures = now, nil, 0
  return self:again("a new token", self.times.rotation)
end

-- CONNACK or DISCONNECT 134 or 135: the token is invalid or lacks rights; or we reconnected too
-- soon, or another program is connected.
function Schedule:credentials(lost, now)
  local times = self.times
  if self.own and now - self.own < times.transient then
    return self:again(lost.message, times.rotation)
  end
  if not self.renewed then -- since the last session; otherwise a new token was refused too
    self.renewed = true
    return self:again(lost.message, self:climb(), true)
  end
  self.refused = self.refused + 1
  if self.ever or self.refused < MOST_REFUSED then
    return self:again(lost.message, self:climb())
  elseif lost.reason == 134 or lost.reason == 4 then
    return over("auth", "the server refuses the log-in, a new token too", schedule.LOGIN)
  end
  return over("forbidden", "the server refuses the stream to this log-in, with a new token too",
    schedule.PORTAL .. "; or end the other program that uses the account's stream")
end

-- The server has ended a session. Three within a minute mean that another program is connected.
function Schedule:evicted(lost, now)
  local ends = {}
  for _, at in ipairs(self.ends) do
    if now - at < self.times.window then ends[#ends + 1] = at end
  end
  ends[#ends + 1] = now
  self.ends = ends
  if #ends < MOST_SESSIONS then return self:again(lost.message, self:climb()) end
  return over("conflict", "the server has ended three sessions within a minute: another program "
    .. "uses the stream of this account", schedule.OTHER)
end

--- A connection could not be made, or has ended.
---@param lost {message:string,code:string,reason:integer|nil,phase:string|nil,eof:boolean|nil,
--- expired:boolean|nil,retryable:boolean|nil,hint:string|nil} expired: the token has expired by our
--- clock; retryable, with the code "tls": the handshake was cut short
function Schedule:lost(lost, now)
  local since = self.since
  self.since = nil
  if since and now - since >= self.times.steady then self.failures = 0 end
  self.tls = lost.code == "tls" and self.tls + 1 or 0
  local reason = lost.reason
  if lost.phase == "connack" then reason = OLD[reason] or reason end
  local kind = KINDS[reason]
  if kind == "protocol" and self.protocol == 5 then
    self.protocol = 4
    return self:again(lost.message, self.times.rotation)
  elseif ENDS[kind] then
    local ending = ENDS[kind]
    return over(ending.code, ending.message, ending.hint)
  elseif kind == "credentials" then
    return self:credentials(lost, now)
  elseif kind == "busy" then
    return self:again(lost.message, self:climb(self.times.busy))
  elseif lost.code == "tls" then
    local most = lost.retryable and MOST_CUT or MOST_UNTRUSTED
    if self.tls >= most[self.ever] then return over("tls", lost.message, lost.hint) end
  elseif since and not lost.expired and (lost.eof or kind == "taken") then
    return self:evicted(lost, now)
  end
  return self:again(lost.message, self:climb())
end

--- The subscription was refused: the server then closes the connection.
---@param reason integer from the SUBACK
function Schedule:refused_topic(reason, now)
  local message = ("the server refused the subscription (reason %d)"):format(reason)
  if KINDS[reason] == "busy" then
    return self:lost({ message = message, code = "server", reason = reason }, now)
  end
  self.since, self.own = nil, now
  self.refused_topics = self.refused_topics + 1
  if self.refused_topics < 2 then return self:again(message, self:climb()) end
  return over("forbidden", message .. " twice", schedule.PORTAL)
end

-- Failures of a renewal after which another attempt is useless.
local FINAL = { auth = true, closed = true, forbidden = true }

--- There is no token to connect with.
function Schedule:no_token(message, code, info)
  if FINAL[code] then return over(code, message, info and info.hint) end
  return self:again(message, self:climb(info and info.retry_after))
end

--- The renewal failed during a session; returns nil if a later attempt may succeed.
function Schedule:renewal_failed(message, code, info) -- luacheck: ignore self
  return FINAL[code] and over(code, message, info and info.hint) or nil
end

--- The seconds until the next renewal, or until another attempt if one failed.
---@param left number seconds until the token expires
function Schedule:renew_in(left)
  local from, to = self.times.renew[1], self.times.renew[2]
  return math.max(0, left) * (from + (to - from) * self.random())
end

function Schedule:renew_again_in(left)
  return math.min(self.times.renew_again, left / 4 + 1)
end

return schedule
