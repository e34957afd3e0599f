--- Repairs broken UTF-8 from servers.

local text = {}

-- After these first bytes, the range of a UTF-8 sequence's second byte is narrower.
local SECOND_BYTE = {
  [0xE0] = { 0xA0, 0xBF },
  [0xED] = { 0x80, 0x9F },
  [0xF0] = { 0x90, 0xBF },
  [0xF4] = { 0x80, 0x8F },
}
text.REPLACEMENT = "\239\191\189" -- U+FFFD
-- The length of the valid UTF-8 sequence at `at`, or nil.
local function utf8_length(bytes, at)
  local first = bytes:byte(at)
  local length = first < 0x80 and 1 or first < 0xC2 and 0 or first < 0xE0 and 2
    or first < 0xF0 and 3 or first < 0xF5 and 4 or 0
  if length == 0 then return nil end
  for i = 1, length - 1 do
    local byte = bytes:byte(at + i)
    local range = i == 1 and SECOND_BYTE[first]
    if not byte or byte < (range and range[1] or 0x80) or byte > (range and range[2] or 0xBF) then
      return nil
    end
  end
  return length
end

--- The text as an array of characters. Invalid bytes, which have been seen in dealers' texts,
-- become U+FFFD.
---@param bytes string
---@return string[]
function text.characters(bytes)
  local list, at = {}, 1
  while at <= #bytes do
    local length = utf8_length(bytes, at)
    list[#list + 1] = length and bytes:sub(at, at + length - 1) or text.REPLACEMENT
    at = at + (length or 1)
  end
  return list
end

--- The text as valid UTF-8: invalid bytes become U+FFFD.
---@param bytes string
---@return string
function text.valid(bytes)
  if not bytes:find("[\128-\255]") then return bytes end
  return table.concat(text.characters(bytes))
end

--- A server's text for use in a message: control characters become blanks.
---@param bytes string
---@return string
function text.plain(bytes)
  return (text.valid(bytes):gsub("\194[\128-\159]", "  "):gsub("%c", " "))
end

return text
