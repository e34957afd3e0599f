-- Waits until charging has ended, and reports how.
--
--   build/bmwi-sim --listen 127.0.0.1:8080 &     the simulator, until `kill %1`
--   lua5.4 examples/wait_until_charged.lua 1     polls every second; for a real car omit it
--
-- A car that is not charging counts as finished. So first make the simulated one charge, then, in
-- another terminal, fill its battery:
--   curl -d '{"status":{"chargingStatus":"CHARGING","connectionStatus":"CONNECTED"}}' \
--     http://127.0.0.1:8080/_sim/car/WAB1C23456V123456
--   curl -d '{"status":{"chargingLevelHv":100,"chargingStatus":"FINISHED_FULLY_CHARGED"}}' \
--     http://127.0.0.1:8080/_sim/car/WAB1C23456V123456
local bmwi = require "bmwi"
local wait = require "bmwi.wait"

local interval = tonumber(arg[1]) or 300 -- seconds; less than 5 minutes is no use

local client = bmwi.new {
  base_url = os.getenv "BMWI_BASE_URL" or "http://127.0.0.1:8080", -- a simulator, or your server
  ca_file = os.getenv "BMWI_CA_FILE",
  username = "whatever@example.com", password = "p4ssw0rd", api_key = "key", api_secret = "secret",
}
local car = client:vehicle(assert(client:vehicles())[1].vin)

-- Charging has ended in every other state: full, not full, with an error, pulled out (INVALID).
local GOES_ON = { CHARGING = true, WAITING_FOR_CHARGING = true }

local function ended()
  local status, message, code, info = car:status()
  if not status then return nil, message, code, info end -- transient errors do not end the wait
  if not GOES_ON[status.chargingStatus] then return status end
  return nil, (status.chargingLevelHv or "?") .. " %, " .. status.chargingStatus
end

io.stdout:setvbuf "line"
local status, message = wait.until_true(ended, {
  timeout = 12 * 3600, interval = interval,
  on_update = function(_, news) if news then print(news) end end, -- on each change
})
if not status then
  print(message)
  os.exit(1)
end
local full = status.chargingStatus == "FINISHED_FULLY_CHARGED"
print(("%s: %s %%, %s, %s"):format(full and "full" or "ended, but not full",
  status.chargingLevelHv or "?", status.chargingStatus or "no charging status",
  status.connectionStatus or "no plug"))
os.exit(full and 0 or 1)
