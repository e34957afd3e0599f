-- bmwi.bridge.publisher: keeps an MQTT broker up to date. The content is a table of topics; after
-- each new connection all of it is published again, so nothing is lost during an outage and no
-- backlog builds up. Retained, QoS 1, repeated until its PUBACK.

local bmwi = require "bmwi"
local topics = require "bmwi.bridge.topics"

local publisher = {}

local DELAYS = { 1, 2, 5, 10, 20, 30 } -- seconds before the next attempt; the last one is repeated
local LASTED = 10 -- seconds of a connection after which the pauses are short again
local WINDOW = 16 -- maximum number of messages that wait for their PUBACK
local MOST_TOPICS, MOST_NOTES = 20000, 100
local REFUSED = 0x80 -- reason codes from here on are failures
-- Reason codes of 3.1.1 and 5 from a broker that does not support MQTT 5.
local OLD_BROKER = { [1] = true, [132] = true }
local GOODBYE = 0.5 -- seconds for the last message

-- Failures of a message that the broker does not take at any time.
local LEFT_OUT = { too_large = true, unsupported = true }
-- What to do about a refusal that another attempt does not fix, by its reason code (3.1.1 or 5) or
-- its failure code. If the first connection fails like that, the settings are wrong.
local USER = "Set mqtt_username and mqtt_password, as the broker knows them."
local CLIENT_ID = "Let the broker accept client ids that begin with bmwi-."
local ADVICE = { auth = USER, [2] = CLIENT_ID, [133] = CLIENT_ID,
  [138] = "Lift the ban at the broker: it names this user, client id or address." }
local MOST_CUT = 3 -- TLS handshakes in a row that are cut short: after these it counts as lasting

local Publisher = {}
Publisher.__index = Publisher

-- A new one for each run: two clients with the same id would disconnect each other.
local function new_id()
  return ("bmwi-%x-%x"):format(os.time(), math.floor(bmwi._sys.monotonic() * 1e6 % 0x7fffffff))
end

--- A publisher; run() makes it work.
---@param options table url, username, password, ca_file, connect_timeout: those of the broker;
--- commands(topic, payload), called with each message on a command topic, if commands are wanted;
--- on_state(text, hint), called at each change
---@return table publisher
function publisher.new(options)
  return setmetatable({ options = options, wanted = {}, count = 0, dirty = {}, first = 1, last = 0,
    is_dirty = {}, notes = {}, sent = {}, left_out = {}, in_flight = 0, online = false,
    ever = false, tries = 0, cut = 0, protocol = 5, client_id = new_id() }, Publisher)
end

function Publisher:mark(topic)
  if self.is_dirty[topic] then return end
  self.last = self.last + 1
  self.dirty[self.last], self.is_dirty[topic] = topic, true
end

--- Sets the content of a topic.
---@return boolean taken false if there are too many topics
function Publisher:set(topic, payload)
  if self.wanted[topic] == payload then return true end
  if self.wanted[topic] == nil then
    if self.count >= MOST_TOPICS then return false end
    self.count = self.count + 1
  end
  self.wanted[topic] = payload
  if self.online then
    self:mark(topic)
    self:pump()
  end
  return true
end

--- Publishes once, not retained; if too many are waiting, the oldest are dropped.
function Publisher:say(topic, payload)
  if #self.notes >= MOST_NOTES then table.remove(self.notes, 1) end
  table.insert(self.notes, { topic, payload })
  self:pump()
end

-- Sends a message, or skips one that the broker would never accept. False: not now. That the
-- connection has ended is reported by receive().
function Publisher:send(topic, payload, retain)
  local id, message, code = self.connection:publish(topic, payload, { qos = 1, retain = retain })
  if id then
    self.sent[id], self.in_flight = topic, self.in_flight + 1
    return true
  elseif not LEFT_OUT[code] then
    return false
  end
  local about = code == "too_large" and topic or message -- the other is the same for all topics
  if not self.left_out[about] then
    self.left_out[about] = true
    self:report(("the broker does not take %s: %s"):format(topic, message))
  end
  return true
end

-- Sends as many messages as the window allows.
function Publisher:pump()
  while self.online and self.in_flight < WINDOW do
    local note, topic = self.notes[1], self.dirty[self.first]
    if note then
      if not self:send(note[1], note[2], false) then return end
      table.remove(self.notes, 1)
    elseif topic then
      if not self:send(topic, self.wanted[topic], true) then return end
      self.dirty[self.first], self.is_dirty[topic] = nil, nil
      self.first = self.first + 1
    else
      return
    end
  end
end

function Publisher:report(text, hint)
  if text == self.reported then return end
  self.reported = text
  self.options.on_state(text, hint)
end

-- Handlers for what the broker sends.
local EVENTS = {
  puback = function(self, id, reason)
    local topic = self.sent[id]
    if not topic then return end
    self.sent[id], self.in_flight = nil, self.in_flight - 1
    if reason and reason >= REFUSED then
      self:report(("the broker refuses %s (reason %d)"):format(topic, reason))
    end
  end,
  suback = function(self, _, codes)
    if codes[1] >= REFUSED then
      self:report(("the broker refuses the subscription to %s"):format(topics.COMMANDS))
    end
  end,
  publish = function(self, topic, payload, _, retain)
    -- A retained command would be carried out again at each start.
    if self.options.commands and not retain then self.options.commands(topic, payload) end
  end,
}

-- Connected: publishes everything again, and our availability last.
function Publisher:begin()
  self.dirty, self.is_dirty, self.first, self.last = {}, {}, 1, 0
  self:set(topics.AVAILABILITY, topics.ONLINE)
  self.sent, self.in_flight, self.online, self.ever = {}, 0, true, true
  self.since = bmwi._sys.monotonic()
  self:report("connected to the broker")
  if self.options.commands then self.connection:subscribe(topics.COMMANDS, 0) end
  for topic in pairs(self.wanted) do
    if topic ~= topics.AVAILABILITY then self:mark(topic) end
  end
  self:mark(topics.AVAILABILITY)
  self:pump()
end

-- A new connection; raises if an option is invalid.
local function connect(self)
  local o = self.options
  return bmwi._mqtt.connect { url = o.url, username = o.username, password = o.password,
    client_id = self.client_id, ca_file = o.ca_file, connect_timeout = o.connect_timeout,
    protocol = self.protocol, keepalive = 30,
    will = { topic = topics.AVAILABILITY, payload = topics.OFFLINE, qos = 1, retain = true } }
end

--- Finds an invalid option, before anything is sent.
---@return string|nil name
---@return string|nil message what is wrong with it
function Publisher:fault()
  local ok, made = pcall(connect, self)
  if ok then return made:close() end
  local name, message = made:match("option '([%w_]+)': (.*)")
  if not name then error(made, 0) end
  return name, message
end

-- Serves one connection. Returns why it ended.
function Publisher:serve()
  self.connection = connect(self)
  while true do
    local event, a, b, c, d = self.connection:receive()
    if event == "connected" then
      self:begin()
    elseif event then
      EVENTS[event](self, a, b, c, d)
      self:pump()
    elseif not (c and c.waiting) then -- else it only looked after the connection
      if self.online and bmwi._sys.monotonic() - self.since >= LASTED then self.tries = 0 end
      self.online = false
      if c and c.phase == "connack" and (c.eof or OLD_BROKER[c.reason])
        and (self.options.username or not self.options.password) then -- as 3.1.1 requires
        self.protocol = self.protocol == 4 and 5 or 4
      end
      return a, b, c
    end
  end
end

--- Connects, and reconnects indefinitely. Returns only if the settings must be wrong.
---@return nil
---@return string message
---@return string code
---@return table info advice: what to do, if known
function Publisher:run()
  while true do
    local message, code, info = self:serve()
    self.cut = code == "tls" and info.retryable and self.cut + 1 or 0
    info.advice = info.phase == "connack" and (ADVICE[info.reason] or ADVICE[code]) or nil
    local lasting = info.advice or code == "tls" and (self.cut == 0 or self.cut == MOST_CUT)
    if lasting and not self.ever then return nil, message, code, info end
    self.tries = self.tries + 1
    self:report(("the broker is away (%s)"):format(message), not self.ever and info.hint or nil)
    bmwi.sleep(DELAYS[math.min(self.tries, #DELAYS)])
  end
end

--- Publishes what is waiting to be said, then that the bridge is offline, and closes the
--- connection. Call outside tasks.
function Publisher:close()
  local connection = self.connection
  if not connection then return end
  if self.online and connection:state() == "connected" then
    for _, note in ipairs(self.notes) do self:send(note[1], note[2], false) end
    local until_, id = bmwi._sys.monotonic() + GOODBYE, connection:publish(topics.AVAILABILITY,
      topics.OFFLINE, { qos = 1, retain = true })
    while id do
      local left = until_ - bmwi._sys.monotonic()
      local event, acked = nil, nil
      if left > 0 then event, acked = connection:receive(left) end
      if not event or event == "puback" and acked == id then break end
    end
  end
  self.online = false
  connection:close()
end

return publisher
