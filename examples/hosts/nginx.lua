-- An nginx request handler that queries the car without blocking: see nginx.conf. Nothing of bmwi
-- may be loaded in init_by_lua*, because nginx forks its workers after that.
local host = require("bmwi.host")
local job = require("examples.hosts.job")

local ticks, done = 0, false
local function tick()
  if not done then
    ticks = ticks + 1
    ngx.timer.at(0.05, tick)
  end
end
ngx.timer.at(0.05, tick)

local line = host.drive(ngx.sleep, job, function()
  return ticks
end)
done = true
ngx.say(line)
