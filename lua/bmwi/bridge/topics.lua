-- bmwi.bridge.topics: the topics and payloads for an update. Everything is retained except the
-- results of commands.

local bmwi = require "bmwi"
local decimal = require "bmwi._decimal"
local sorted_names = require "bmwi._names"

local topics = {}

topics.PREFIX = "bmwi"
topics.ONLINE, topics.OFFLINE = "online", "offline"

local root, id -- what topics begin with, and ids that must be unique at the broker

--- Sets what all topics of this process begin with.
function topics.use(prefix)
  root, id = prefix .. "/", prefix:gsub("[^%w_-]", "_")
  topics.AVAILABILITY = root .. "availability"
  topics.CONNECTION = root .. "connection"
  topics.COMMANDS = root .. "+/command" -- those of all cars
end

topics.use(topics.PREFIX)

function topics.id(vin) return id .. "_" .. vin end
function topics.status(vin) return root .. vin .. "/status" end
function topics.times(vin) return root .. vin .. "/times" end
function topics.member(vin, member) return root .. vin .. "/" .. member end
function topics.command(vin) return root .. vin .. "/command" end
function topics.result(vin) return root .. vin .. "/command/result" end

local COMMAND = "^(" .. ("%w"):rep(17) .. ")/command$"

--- The VIN in a command topic; nil if it is none, to which no result could be published.
function topics.car_of(topic)
  return topic:sub(1, #root) == root and topic:sub(#root + 1):match(COMMAND) or nil
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
