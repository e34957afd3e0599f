-- cqueues drives bmwi, on any Lua. `sh examples/hosts/run cqueues` starts a simulated car
-- service and this; by hand: BMWI_URL=http://127.0.0.1:PORT lua5.4 examples/hosts/cqueues.lua
local cqueues = require("cqueues")
local async = require("bmwi.async")
local job = require("examples.hosts.job")

local controller = cqueues.new()
local bmwi_thread = require("bmwi.host").cqueues(controller)

local ticks, done = 0, false
controller:wrap(function()
  while not done do
    cqueues.sleep(0.05)
    ticks = ticks + 1
  end
end)

async.spawn(function()
  return job(function()
    return ticks
  end)
end, function(_, result)
  print(result)
  done = true
  bmwi_thread:stop()
end)

assert(controller:loop())
