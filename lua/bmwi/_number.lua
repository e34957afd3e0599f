--- A number as BMW's servers write it; see units.number.
---@param value any
---@return number|nil number
return function(value)
  if type(value) == "number" then return value end
  if type(value) ~= "string" then return nil end
  local text = value:match("^%s*(.-)%s*$")
  if not (text:find("^[+-]?%d+%.?%d*$") or text:find("^[+-]?%d+%.?%d*[eE][+-]?%d+$")) then
    return nil
  end
  -- Lua 5.1 and 5.2 parse numbers in the process's locale, which may need a decimal comma.
  local point = ("%.1f"):format(0.5):sub(2, -2)
  local number = tonumber(text) or tonumber((text:gsub("%.", point)))
  if number == math.huge or number == -math.huge then return nil end
  return number
end
