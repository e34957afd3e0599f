--- A number as text, with a decimal point in every locale, without trailing zeros.
---@param value number
---@param places integer maximum number of decimals
---@return string
return function(value, places)
  local digits = ("%%.%df"):format(places):format(value):gsub("[^%d%-]+", ".")
  if digits:find(".", 1, true) then digits = digits:gsub("0+$", ""):gsub("%.$", "") end
  return digits == "-0" and "0" or digits
end
