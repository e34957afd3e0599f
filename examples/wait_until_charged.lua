-- Waits until the battery is full, then says so.
--
--   build/bmwi-sim --listen 127.0.0.1:8080 &     the simulator, until `kill %1`
--   lua5.4 examples/wait_until_charged.lua 1     looks every second; for a real car leave it out
--
-- Then, in another terminal, fill the simulated battery:
--   curl -d '{"status":{"chargingLevelHv":100,"chargingStatus":"FINISHED_FULLY_CHARGED"}}' \
--     http://127.0.0.1:8080/_sim/car/WAB1C23456V123456
local bmwi = require "bmwi"
local wait = require "bmwi.wait"

local interval = tonumber(arg[1]) or 300 -- seconds; oftener than every 5 minutes helps nobody

local client = bmwi.new {
  base_url = os.getenv "BMWI_BASE_URL" or "http://127.0.0.1:8080", -- a simulator, or your server
  ca_file = os.getenv "BMWI_CA_FILE",
  username = "whatever@example.com", password = "p4ssw0rd", api_key = "key", api_secret = "secret",
}
local car = client:vehicle(assert(client:vehicles())[1].vin)

local function charged()
  local status, message, code, info = car:status()
  if not status then return nil, message, code, info end -- what can pass is waited out
  if status.chargingStatus == "FINISHED_FULLY_CHARGED" then return status end
  return nil, (status.chargingLevelHv or "?") .. " %, " .. (status.chargingStatus or "no plug")
end

io.stdout:setvbuf "line"
local status, message = wait.until_true(charged, {
  timeout = 12 * 3600, interval = interval,
  on_update = function(_, news) if news then print(news) end end, -- on each change
})
print(status and "full: " .. status.chargingLevelHv .. " %" or message)
os.exit(status and 0 or 1)
