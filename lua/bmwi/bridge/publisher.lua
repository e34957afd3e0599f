-- bmwi.bridge.publisher: keeps an MQTT broker up to date. The content is a table of topics; after
-- each new connection all of it is published again, so nothing is lost during an outage and no
-- backlog builds up. Retained, QoS 1, repeated until its PUBACK. A command is passed on only once
-- the broker has answered a packet that was sent after the command arrived: what is read after a
-- stall may be old.

local bmwi = require "bmwi"
local topics = require "bmwi.bridge.topics"

local publisher = {}

local DELAYS = { 1, 2, 5, 10, 20, 30 } -- seconds before the next attempt; the last one is repeated
local LASTED = 10 -- seconds of a connection after which the pauses are short again
local WINDOW = 16 -- maximum number of messages that wait for their PUBACK
local MOST_TOPICS, MOST_NOTES, MOST_HELD = 20000, 100, 100
local MOST_BYTES = 4096 -- of a command that is held; none is as long
local MOST_COMPLAINTS = 100 -- about what the broker does not accept
local REFUSED = 0x80 -- reason codes from here on are failures
-- Reason codes of 3.1.1 and 5 from a broker that does not support MQTT 5.
local OLD_BROKER = { [1] = true, [132] = true }
local GOODBYE = 0.5 -- seconds for the last message

-- Why a command is not carried out.
local TOO_LATE = { code = "closed",
  message = "it came too late: the connection to the broker had ended. Send it again" }
local ENDED = { code = "closed", message = "the bridge has ended" }
local TOO_MANY = { code = "busy", message = "too many commands at once" }

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
--- commands(topic, payload, refusal), called with each message on a command topic, if commands are
--- wanted; refusal: {code, message} if it must not be carried out; on_state(text, hint), called at
--- each change
---@return table publisher
function publisher.new(options)
  return setmetatable({ options = options, wanted = {}, count = 0, dirty = {}, first = 1, last = 0,
    is_dirty = {}, notes = {}, sent = {}, left_out = {}, in_flight = 0, online = false,
    held = {}, asked = {}, complaints = 0, ever = false, tries = 0, cut = 0, protocol = 5,
    client_id = new_id() }, Publisher)
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

--- Publishes a message that is not retained, again if the connection ends before its PUBACK; if too
--- many are waiting, the oldest are dropped.
function Publisher:say(topic, payload)
  if #self.notes >= MOST_NOTES then table.remove(self.notes, 1) end
  table.insert(self.notes, { topic = topic, payload = payload })
  self:pump()
end

-- The first note that was not sent on this connection.
local function next_note(self)
  for _, note in ipairs(self.notes) do
    if not note.sent then return note end
  end
end

-- Removes a note that the broker has answered or will never accept.
local function forget(self, note)
  for i, other in ipairs(self.notes) do
    if other == note then return table.remove(self.notes, i) end
  end
end

-- Sends a message, or skips one that the broker would never accept. False: not now. That the
-- connection has ended is reported by receive().
---@param message table {topic, payload, retain}
function Publisher:send(message)
  local topic = message.topic
  local id, text, code = self.connection:publish(topic, message.payload,
    { qos = 1, retain = message.retain })
  if id then
    self.sent[id], self.in_flight, message.sent = message, self.in_flight + 1, true
    return true
  elseif not LEFT_OUT[code] then
    return false
  end
  forget(self, message)
  local about = code == "too_large" and topic or text -- the other is the same for all topics
  self:complain(about, ("the broker does not take %s: %s"):format(topic, text))
  return true
end

-- Asks the broker for an answer, if commands wait for one: by subscribing once more, which changes
-- nothing, and which every broker answers.
function Publisher:ask()
  if self.question or not self.held[1] then return end
  self.question = self.connection:subscribe(topics.COMMANDS, 0)
  if self.question then self.asked, self.held = self.held, {} end
end

-- Passes on the commands that were waiting for the answer.
---@param refusal? {code:string,message:string} why they must not be carried out
function Publisher:release(refusal)
  local list = self.asked
  self.question, self.asked = nil, {}
  for _, command in ipairs(list) do
    self.options.commands(command.topic, command.payload, refusal)
  end
end

-- Refuses all commands that still wait for an answer.
function Publisher:refuse(refusal)
  self:release(refusal)
  self.asked, self.held = self.held, {}
  self:release(refusal)
end

-- Sends as many messages as the window allows.
function Publisher:pump()
  if self.online then self:ask() end
  while self.online and self.in_flight < WINDOW do
    local note, topic = next_note(self), self.dirty[self.first]
    if note then
      if not self:send(note) then return end
    elseif topic then
      if not self:send({ topic = topic, payload = self.wanted[topic], retain = true }) then
        return
      end
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

-- Reports what the broker does not accept, once for each topic.
function Publisher:complain(about, text)
  if self.left_out[about] or self.complaints >= MOST_COMPLAINTS then return end
  self.left_out[about], self.complaints = true, self.complaints + 1
  self.options.on_state(text)
end

-- Handlers for what the broker sends.
local EVENTS = {
  puback = function(self, id, reason)
    local message = self.sent[id]
    if not message then return end
    self.sent[id], self.in_flight = nil, self.in_flight - 1
    forget(self, message)
    if reason and reason >= REFUSED then
      self:complain(message.topic, ("the broker refuses %s (reason %d)"):format(message.topic,
        reason))
    end
  end,
  suback = function(self, id, codes)
    if codes[1] >= REFUSED then
      self:complain(topics.COMMANDS,
        ("the broker refuses the subscription to %s"):format(topics.COMMANDS))
    end
    if id ~= self.question then return end
    -- The end may have been read together with the answer.
    self:release(self.connection:state() ~= "connected" and TOO_LATE or nil)
  end,
  publish = function(self, topic, payload, _, retain)
    -- A retained command would be carried out again at each start.
    if not self.options.commands or retain then return end
    if #self.held >= MOST_HELD or #payload > MOST_BYTES then
      return self.options.commands(topic, payload, TOO_MANY)
    end
    table.insert(self.held, { topic = topic, payload = payload })
  end,
}

-- Connected: publishes everything again, and our availability last.
function Publisher:begin()
  self.dirty, self.is_dirty, self.first, self.last = {}, {}, 1, 0
  self:set(topics.AVAILABILITY, topics.ONLINE)
  self.sent, self.in_flight, self.online, self.ever = {}, 0, true, true
  self.since = bmwi._sys.monotonic()
  self:report("connected to the broker")
  if self.options.commands then
    self.question = self.connection:subscribe(topics.COMMANDS, 0)
  end
  for _, note in ipairs(self.notes) do note.sent = nil end
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
      self:refuse(TOO_LATE)
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
  self:refuse(ENDED)
  if self.online and connection:state() == "connected" then
    local note = next_note(self)
    while note and self:send(note) do note = next_note(self) end
    -- That the service is no longer followed does not wait for the rest, which is published anew.
    local topic = topics.CONNECTION
    if self.is_dirty[topic] then
      self:send({ topic = topic, payload = self.wanted[topic], retain = true })
    end
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
