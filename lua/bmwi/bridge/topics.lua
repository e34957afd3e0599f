-- bmwi.bridge.topics: the topics and payloads for an update. Everything is retained except the
-- results of commands.

local bmwi = require "bmwi"
local decimal = require("bmwi._text").decimal
local sorted_names = require "bmwi._names"

local topics = {}

local ROOT = "bmwi/"

topics.AVAILABILITY = ROOT .. "availability"
topics.ONLINE, topics.OFFLINE = "online", "offline"
topics.CONNECTION = ROOT .. "connection"
-- Those of all cars.
topics.COMMANDS = ROOT .. "+/command"

function topics.status(vin) return ROOT .. vin .. "/status" end
function topics.times(vin) return ROOT .. vin .. "/times" end
function topics.member(vin, member) return ROOT .. vin .. "/" .. member end
function topics.command(vin) return ROOT .. vin .. "/command" end
function topics.result(vin) return ROOT .. vin .. "/command/result" end

--- The car named in a command topic.
function topics.car_of(topic)
  return topic:match("^bmwi/([^/]+)/command$")
end

-- The bridge's own topics, which no member may use.
local OWN = { status = true, times = true, command = true }

--- A member's value as a payload: JSON for tables, otherwise plain text.
function topics.payload(value)
  if type(value) == "table" then return bmwi._sys.json(value) end
  if type(value) == "number" then return decimal(value, 6) end
  return tostring(value)
end

--- Converts a car's state to topic -> payload. A removed member gets an empty payload, which
--- deletes the retained one.
---@param vin string
---@param status table
---@param times table<string,number> when each member was measured, epoch seconds
---@param gone? table<string,any> previous members
---@return table<string,string> messages
function topics.messages(vin, status, times, gone)
  local messages = { [topics.status(vin)] = bmwi._sys.json(status),
    [topics.times(vin)] = bmwi._sys.json(times) }
  for member in pairs(gone or {}) do
    if not OWN[member] then messages[topics.member(vin, member)] = "" end
  end
  for member, value in pairs(status) do
    if type(member) == "string" and member:find("^[%w_-]+$") and not OWN[member] then
      messages[topics.member(vin, member)] = topics.payload(value)
    end
  end
  return messages
end

--- An update as one line of JSON: {"vin":...,"status":{...},"changed":[...]}.
function topics.line(update)
  return bmwi._sys.json({ vin = update.vin, status = update.status,
    changed = bmwi.json.array(sorted_names(update.changed)) })
end

return topics
