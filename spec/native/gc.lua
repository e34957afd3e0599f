-- The most aggressive collection possible: every allocation that lets the collector run (in Lua and
-- in C) runs a full cycle, including finalizers. After BUDGET cycles in a spec there is one for
-- each 4 % of growth only, or a spec with ten thousand tasks would take hours. Loaded by LUA_INIT,
-- so that programs started by the specs do the same. For `make gc`.
if _VERSION ~= "Lua 5.4" then
  error("make gc needs Lua 5.4: older versions cannot run a full cycle in one step")
end

local BUDGET = 1500
local cycles = 0

-- Counts cycles: it is collected and created again in each one.
local function sentinel()
  setmetatable({}, { __gc = function()
    cycles = cycles + 1
    sentinel()
  end })
end

local function tick()
  if cycles > BUDGET then
    collectgarbage("setpause", 104)
    debug.sethook()
  end
end

--- Returns to the full rate at the start of a spec.
local function begin()
  cycles = 0
  collectgarbage("setpause", 0)
  debug.sethook(tick, "", 1000)
end

collectgarbage("incremental", 0, 1000, 63) -- a step does not end before its cycle does
sentinel()
begin()
package.loaded["spec.native.gc"] = { begin = begin }
