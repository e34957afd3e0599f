--- Finalizers for every Lua version.

local finalizer = {}

-- For Lua 5.1 and LuaJIT, whose tables have no finalizers. (nmap raises an error for an undefined
-- global.)
local newproxy = rawget(_G, "newproxy")

--- Returns a value that calls `fn` when it is collected, possibly in the middle of any code, so
--- `fn` must not wait. Keep the value in the object to be watched.
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
