--- What comes over the stream: a topic, `{gcid}/{VIN}`, and JSON with one value or all of them.
--- Whoever sends it is not trusted: what does not fit is left out.

local bmwi = require "bmwi"

local message = {}

local MOST_NAME = 256 -- bytes of a descriptor

-- 17 characters, letters and digits; in capitals, or nil.
local function vin_of(text)
  if type(text) ~= "string" or #text ~= 17 or not text:find("^%w+$") then return nil end
  return text:upper()
end

-- {timestamp, value, unit} from one of the message's; the whole message's time where it has none.
local function entry_of(sent, timestamp)
  if type(sent) ~= "table" then return nil end
  return { value = sent.value, unit = sent.unit,
    timestamp = sent.timestamp == nil and timestamp or sent.timestamp }
end

--- Reads one.
---@param topic string
---@param payload string
---@return string|nil vin nil for what is no message of a car
---@return table<string,table>|string values as bmwi._values.merge takes them; else the reason
function message.read(topic, payload)
  local vin = vin_of(topic:match("/([^/]*)$"))
  if not vin then return nil, "the topic names no car" end
  local sent = bmwi.json.decode(payload)
  if type(sent) ~= "table" then return nil, "the message is not JSON" end
  if sent.vin ~= nil and vin_of(sent.vin) ~= vin then return nil, "it belongs to another car" end
  if type(sent.data) ~= "table" then return nil, "the message has no data" end
  local values, any = {}, false
  for name, value in pairs(sent.data) do
    local entry = type(name) == "string" and #name <= MOST_NAME and entry_of(value, sent.timestamp)
    if entry then values[name], any = entry, true end
  end
  if not any then return nil, "the message has no values" end
  return vin, values
end

return message
