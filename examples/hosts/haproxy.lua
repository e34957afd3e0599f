-- A service of HAProxy that asks the car and blocks nobody: see haproxy.cfg. HAProxy may fork after
-- it has read this file, so bmwi is loaded by the first request; under `chroot` it must be there.
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
