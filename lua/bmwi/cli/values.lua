-- bmwi.cli.values: reads the values of options and settings.

local values = {}

local DAY = 24 * 60 * 60

local CHECKS = {
  number = function(value) return value, "a number" end,
  positive = function(value) return value and value > 0 and value, "a number above 0" end,
  seconds = function(value)
    if value and value > DAY then return nil, ("at most %d"):format(DAY) end
    return value and value > 0 and value, "a number above 0"
  end,
  pause = function(value)
    return value and value >= 1 and value <= DAY and value, ("a number from 1 to %d"):format(DAY)
  end,
  count = function(value)
    return value and value >= 1 and value == math.floor(value) and value, "a whole number above 0"
  end,
  flashes = function(value) -- the module's own limits, which it only states after "sending"
    return value and value >= 1 and value <= 100 and value == math.floor(value) and value,
      "a whole number from 1 to 100"
  end,
}

--- Reads a number of this kind (a name in CHECKS).
---@return number|false|nil value nil or false if the text is not such a number
---@return string wanted what it must be
function values.number(kind, text)
  -- On some Lua versions tonumber also accepts "nan", "inf" and hexadecimal.
  local decimal = text:gsub("[eE][-+]?%d+$", ""):find("^[-+]?[%d.]+$")
  local value = decimal and tonumber(text)
  return CHECKS[kind](value and math.abs(value) < math.huge and value or nil)
end

--- The text, if it is one of these words.
function values.among(choice, text)
  for _, word in ipairs(choice) do
    if text == word then return text end
  end
end

return values
