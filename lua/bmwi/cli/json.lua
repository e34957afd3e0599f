-- bmwi.cli.json: writes the answers as JSON. Not lua-cjson: 2.1.0 turns empty arrays into {},
-- does not sort names, and does not indent.

local bmwi = require "bmwi"

local json = {}

-- Members of the service that are lists, so that an empty one is written as [] also in a copy,
-- of which the module does not know what it was read from.
local LISTS = {
  vehicles = true, destinations = true, weekdays = true, rangemaps = true, polyline = true,
  cbsData = true, checkControlMessages = true, supportedChargingModes = true,
  serviceExecutionHistory = true, phoneNumbers = true, steps = true, changes = true,
  eco = true, norm = true, ecoEv = true, normEv = true,
}

--- Marks a list, so that it stays one when it is empty.
json.list = setmetatable({}, { __call = function(self, t) return setmetatable(t or {}, self) end })

local SHORT = {
  ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n",
  ["\r"] = "\\r", ["\t"] = "\\t",
}

local function escape(byte)
  return SHORT[byte] or ("\\u%04x"):format(byte:byte())
end

-- First byte -> length of a UTF-8 sequence and the allowed range of its second byte (RFC 3629).
local function sequence(byte)
  if byte < 0xC2 then return nil
  elseif byte < 0xE0 then return 2, 0x80, 0xBF
  elseif byte < 0xF0 then return 3, byte == 0xE0 and 0xA0 or 0x80, byte == 0xED and 0x9F or 0xBF
  elseif byte < 0xF5 then return 4, byte == 0xF0 and 0x90 or 0x80, byte == 0xF4 and 0x8F or 0xBF
  end
end

-- Replaces what is not UTF-8 by U+FFFD; a dealer's street once arrived broken.
local function valid_utf8(text)
  if not text:find("[\128-\255]") then return text end
  local parts, at = {}, 1
  while at <= #text do
    local byte, take, good = text:byte(at), 1, true
    if byte >= 0x80 then
      local length, low, high = sequence(byte)
      local second = text:byte(at + 1)
      good = length and second and second >= low and second <= high
        and not text:sub(at + 2, at + length - 1):find("[^\128-\191]")
        and at + length - 1 <= #text
      take = good and length or 1
    end
    parts[#parts + 1] = good and text:sub(at, at + take - 1) or "\239\191\189"
    at = at + take
  end
  return table.concat(parts)
end

local function number(value)
  if value ~= value or value == math.huge or value == -math.huge then return "null" end
  if value == math.floor(value) and math.abs(value) < 2 ^ 53 then return ("%.0f"):format(value) end
  for digits = 15, 17 do
    local text = ("%." .. digits .. "g"):format(value)
    if tonumber(text) == value then return (text:gsub("[^%d%-+e]+", ".")) end
  end
end

local function is_list(value, name)
  if getmetatable(value) == json.list then return true end
  if next(value) == nil then return LISTS[name] == true or bmwi.json.is_array(value) end
  return value[1] ~= nil
end

local encode

local function container(value, name, indent, level)
  local open, close, items = "{", "}", {}
  if is_list(value, name) then
    open, close = "[", "]"
    for i = 1, #value do items[i] = encode(value[i], nil, indent, level + 1) end
  else
    local names, colon = {}, indent and ": " or ":"
    for key in pairs(value) do names[#names + 1] = key end
    table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
    for i, key in ipairs(names) do
      items[i] = encode(tostring(key)) .. colon .. encode(value[key], key, indent, level + 1)
    end
  end
  if #items == 0 then return open .. close end
  if not indent then return open .. table.concat(items, ",") .. close end
  local inner = "\n" .. ("  "):rep(level + 1)
  return open .. inner .. table.concat(items, "," .. inner) .. "\n" .. ("  "):rep(level) .. close
end

function encode(value, name, indent, level)
  local kind = type(value)
  if kind == "string" then return '"' .. valid_utf8(value):gsub('[%c"\\]', escape) .. '"' end
  if kind == "number" then return number(value) end
  if kind == "boolean" then return tostring(value) end
  if kind == "table" then return container(value, name, indent, level or 0) end
  return "null"
end

--- One JSON document, names sorted, whole numbers whole.
---@param value any a plain value
---@param indent? boolean for people
---@param name? string the member this value was, which tells [] from {}
---@return string text
function json.encode(value, indent, name)
  return (encode(value, name, indent, 0))
end

return json
