-- An nmap script (7.93 and 7.95) that queries the car. `sh examples/hosts/run nmap` starts a
-- simulated car service and this; by hand, in the top folder:
--   BMWI_URL=http://127.0.0.1:PORT nmap --script examples/hosts/bmwi.nse
local stdnse = require "stdnse"
local host = require "bmwi.host"
local job = require "examples.hosts.job"

description = [[Asks a car of the BMW i remote service, 50 times at once.]]
author = "bmwi"
license = "same as bmwi"
categories = { "external" }

prerule = function()
  return true
end

-- nmap rounds up: asked for 1 ms it sleeps about 25, asked for 10 ms about 30.
local function sleep()
  stdnse.sleep(0.001)
end

action = function()
  local ticks, done = 0, false
  stdnse.new_thread(function()
    while not done do
      stdnse.sleep(0.05)
      ticks = ticks + 1
    end
  end)
  local line = host.drive(sleep, job, function()
    return ticks
  end)
  done = true
  return line
end
