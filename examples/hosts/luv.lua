-- libuv (luv) drives bmwi, on any Lua. `sh examples/hosts/run luv` starts a simulated car
-- service and this; by hand: BMWI_URL=http://127.0.0.1:PORT lua5.4 examples/hosts/luv.lua
local uv = require("luv")
local async = require("bmwi.async")
local job = require("examples.hosts.job")

require("bmwi.host").luv(uv)

local ticks = 0
local timer = uv.new_timer()
timer:start(50, 50, function()
  ticks = ticks + 1
end)

async.spawn(function()
  return job(function()
    return ticks
  end)
end, function(_, result)
  print(result)
  timer:close()
end)

uv.run() -- returns when nothing is pending any more
