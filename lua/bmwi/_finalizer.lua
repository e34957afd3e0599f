--- What happens when the collector has come for something, on every Lua.

local finalizer = {}

-- Of Lua 5.1 and LuaJIT, whose tables have no finalizer. (nmap raises for a global that it has
-- not.)
local newproxy = rawget(_G, "newproxy")

--- A value whose end, by the collector, calls `fn`, perhaps in the middle of anything: it must not
--- wait. Whoever is watched holds the value.
---@param fn fun()
function finalizer.new(fn)
  if newproxy then
    local proxy = newproxy(true)
    getmetatable(proxy).__gc = fn
    return proxy
  end
  return setmetatable({}, { __gc = fn })
end

return finalizer
