-- A Prosody module that queries the car while the server runs: see prosody.cfg.lua.
local server = require("net.server")
local bmwi = require("bmwi")
local async = require("bmwi.async")
local host = require("bmwi.host")
local job = require("examples.hosts.job")

local watch = server.watchfd(bmwi.loop:pollfd(), host.step)

function module.unload()
  watch:close()
end

local ticks, done = 0, false
module:add_timer(0.05, function()
  ticks = ticks + 1
  return not done and 0.05
end)

async.spawn(function()
  return job(function()
    return ticks
  end)
end, function(ok, result)
  done = true
  module:log(ok and "info" or "error", "result: %s", result)
end)
