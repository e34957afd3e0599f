-- bmwi.bridge.commands: carries out a message on a car's command topic once, and publishes the
-- result on the topic beside it. One command at a time for each car; others are refused.

local bmwi = require "bmwi"
local async = require "bmwi.async"
local sorted_names = require "bmwi._names"
local topics = require "bmwi.bridge.topics"
local wait = require "bmwi.wait"

local commands = {}

local MAX_PAYLOAD = 1024

-- For each command: the car's method, how to get its arguments from the message and the settings,
-- and the member of the car's entry in client:vehicles() that may be NOT_SUPPORTED. (Charging has
-- one too, but it is wrong for some cars.)
local METHODS = {
  lock = { method = "lock_doors", ability = "doorLock" },
  unlock = { method = "unlock_doors", ability = "doorUnlock",
    arguments = function(_, o) return { secret = o.secret } end },
  flash = { method = "flash_lights", ability = "lightFlash",
    arguments = function(message) return { count = message.count } end },
  horn = { method = "blow_horn", ability = "hornBlow" },
  climate = { method = "climate_now", ability = "climateNow" },
  charge = { method = "charge_now" },
  find = { method = "find", ability = "vehicleFinder" },
}

--- Whether a car supports a command, according to its entry in the account's list.
---@param vehicle table
function commands.takes(vehicle, command)
  local ability = METHODS[command].ability
  return not ability or vehicle[ability] ~= "NOT_SUPPORTED"
end

-- How a wait ends when there is an outcome. After any other end the car may have done it or not.
local FAILED = { not_executed = true, timed_out = true }

-- After these a reading of the car would show nothing new.
local UNCHANGED = { failed = true, refused = true }

local Commands = {}
Commands.__index = Commands

--- Carries out commands.
---@param options table client; cars: vin -> {vehicle}, those of the bridge;
--- say(topic, payload); secret: the answer to the security question; timeout, interval: of the
--- waiting; refresh(vin), called after a command that may have changed something
function commands.new(options)
  return setmetatable({ options = options, running = {} }, Commands)
end

-- "lock", or {"command": "flash", "count": 2, "id": ...}
---@return table message
---@return string|nil fault
local function parse(payload)
  if #payload > MAX_PAYLOAD then
    return {}, ("a message may have at most %d bytes"):format(MAX_PAYLOAD)
  end
  local word = payload:match("^%s*([%a-]+)%s*$")
  local message = word and { command = word } or bmwi.json.decode(payload)
  if type(message) ~= "table" then return {}, "neither a word nor a JSON object" end
  if type(message.command) == "string" then message.command = message.command:lower() end
  return message
end

-- Carries out a command, from sending it to its outcome, in a task. progress.sent says whether it
-- was sent, also where an error is raised.
local function carry_out(self, vin, message, progress)
  local o, known = self.options, METHODS[message.command]
  local car = o.client:vehicle(vin)
  local execution, text, code, info = car[known.method](car,
    known.arguments and known.arguments(message, o) or nil)
  progress.sent = execution ~= nil
  if progress.sent then
    execution, text, code, info = wait.for_execution(car, execution,
      { timeout = o.timeout, interval = o.interval })
  end
  if execution then return { result = "done", status = execution.status } end
  local open = code == "unknown" or progress.sent and not FAILED[code]
  return { result = open and "unknown" or "failed", code = code, message = text,
    status = info and info.last_status }
end

-- The outcome of a command that was under way when the bridge ended.
local function ended()
  return { result = "unknown", code = "closed", message = "the bridge ended meanwhile" }
end

-- The outcome of a command that raised: misuse is raised before anything is sent.
local function raised(sent, reason)
  local text = tostring(reason):match("^[^\n]*"):gsub("^.-:%d+: ", "") -- without its place
  if sent then return { result = "unknown", code = "unknown", message = text } end
  return { result = "refused", code = "usage", message = text }
end

-- Carries a command out in a task; its result goes to respond().
local function begin(self, vin, message, respond)
  local o, progress = self.options, {}
  self.running[vin] = true
  local task = async.spawn(function() return carry_out(self, vin, message, progress) end,
    function(ok, result)
      self.running[vin] = nil
      if self.closed then return respond(ended()) end
      if not ok then result = raised(progress.sent, result) end
      respond(result)
      if not UNCHANGED[result.result] then async.spawn(function() o.refresh(vin) end) end
    end)
  if self.running[vin] then self.running[vin] = task end
end

--- Handles a message on the command topic.
---@param refusal? {code:string,message:string} why it must not be carried out
function Commands:receive(topic, payload, refusal)
  local o, vin = self.options, topics.car_of(topic)
  if not vin or not (refusal or o.cars[vin]) then return end
  local message, fault = parse(payload)
  local function respond(result)
    result.command = METHODS[message.command] and message.command
    result.id = message.id
    o.say(topics.result(vin), bmwi._sys.json(result))
  end
  if not METHODS[message.command] then
    return respond({ result = "refused", code = "usage",
      message = ("%s. Known: %s"):format(fault or "no such command",
        table.concat(sorted_names(METHODS), ", ")) })
  elseif refusal then
    return respond({ result = "refused", code = refusal.code, message = refusal.message })
  elseif not commands.takes(o.cars[vin].vehicle, message.command) then
    return respond({ result = "refused", code = "unsupported",
      message = "the car does not offer this" })
  elseif self.running[vin] then
    return respond({ result = "refused", code = "busy",
      message = "another command for this car is in progress" })
  end
  begin(self, vin, message, respond)
end

--- Gives up the commands under way, which the cars may still carry out, and publishes that.
function Commands:close()
  self.closed = true
  for _, task in pairs(self.running) do task:cancel() end
end

return commands
