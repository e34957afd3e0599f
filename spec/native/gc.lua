-- The most aggressive collection there is: every allocation that lets the collector run (in Lua and
-- in C) goes through a whole cycle, finalizers included. After BUDGET cycles, counted anew for each
-- spec, a cycle comes with each 4 % of growth only, or a spec with ten thousand tasks would take
-- hours. Loaded by LUA_INIT, so that the programs that specs start do the same. For `make gc`.
if _VERSION ~= "Lua 5.4" then
  error("make gc needs Lua 5.4: before it no mode of the collector ends a cycle in one step")
end

local BUDGET = 1500
local cycles = 0

-- Counts: is collected, and made anew, in each cycle.
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

--- Back to the full rate: a spec begins.
local function begin()
  cycles = 0
  collectgarbage("setpause", 0)
  debug.sethook(tick, "", 1000)
end

collectgarbage("incremental", 0, 1000, 63) -- a step does not end before its cycle does
sentinel()
begin()
package.loaded["spec.native.gc"] = { begin = begin }
