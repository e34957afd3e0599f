--- Messages of the stream: a topic, `{gcid}/{VIN}`, and JSON with one value or all of them. The
--- sender is not trusted: invalid parts are ignored.

local bmwi = require "bmwi"

local message = {}

local MOST_NAME = 256 -- maximum length of a descriptor in bytes

-- 17 letters and digits, in upper case; or nil.
local function vin_of(text)
  if type(text) ~= "string" or #text ~= 17 or not text:find("^%w+$") then return nil end
  return text:upper()
end

--- Parses a message.
---@param topic string
---@param payload string
---@return string|nil vin nil if it is not a car's message
---@return table<string,table>|string values for bmwi._values.merge; else the reason
function message.read(topic, payload)
  local vin = vin_of(topic:match("/([^/]*)$"))
  if not vin then return nil, "the topic names no car" end
  local sent = bmwi.json.decode(payload)
  if type(sent) ~= "table" then return nil, "the message is not JSON" end
  if sent.vin ~= nil and sent.vin ~= vin and vin_of(sent.vin) ~= vin then
    return nil, "it belongs to another car"
  end
  if type(sent.data) ~= "table" then return nil, "the message has no data" end
  local values = sent.data
  for name, value in pairs(values) do
    if type(name) ~= "string" or #name > MOST_NAME or type(value) ~= "table" then
      values[name] = nil
    elseif value.timestamp == nil then
      value.timestamp = sent.timestamp -- the message's
    end
  end
  if next(values) == nil then return nil, "the message has no values" end
  return vin, values
end

return message
