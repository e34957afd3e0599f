-- An HAProxy service that queries the car without blocking: see haproxy.cfg. HAProxy may fork after
-- it has read this file, so the first request loads bmwi; with `chroot` it must be inside.
local ticks = 0
core.register_task(function()
  while true do
    core.msleep(50)
    ticks = ticks + 1
  end
end)

local function sleep(seconds)
  core.msleep(math.ceil(seconds * 1000))
end

core.register_service("bmwi", "http", function(applet)
  local host = require("bmwi.host")
  local job = require("examples.hosts.job")
  local line = host.drive(sleep, job, function()
    return ticks
  end)
  applet:set_status(200)
  applet:add_header("content-length", tostring(#line + 1))
  applet:start_response()
  applet:send(line .. "\n")
end)
