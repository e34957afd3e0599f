--- The names in a table, sorted.
---@param t table<string,any>
---@return string[]
return function(t)
  local list = {}
  for name in pairs(t) do list[#list + 1] = name end
  table.sort(list)
  return list
end
