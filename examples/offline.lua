-- A whole session without a car, an account or a network: it starts the simulator itself.
--
--   make sim
--   lua5.4 examples/offline.lua
--
-- A good starting point for your own script and its tests.
local bmwi = require "bmwi"
local wait = require "bmwi.wait"

-- --tied: it exits when the pipe is closed, at the latest when this script ends.
local program = os.getenv "BMWI_SIM" or "build/bmwi-sim"
local pipe = assert(io.popen("exec " .. program .. " --tied --speed 10"))
local line = pipe:read "*l"
local url = assert(line and line:match "http://%S+", "the simulator did not start: run make sim")

local client = bmwi.new {
  base_url = url,
  username = "whatever@example.com", password = "p4ssw0rd", api_key = "key", api_secret = "secret",
}
local vehicle = assert(client:vehicles())[1]
local car = client:vehicle(vehicle.vin)

print(("%s: %s, %d %% charged"):format(vehicle.model, assert(car:status()).doorLockState,
  assert(car:status()).chargingLevelHv))
assert(wait.for_execution(car, assert(car:lock_doors()), { interval = 0.2 }))
print("after lock_doors: " .. assert(car:status()).doorLockState)

client:close()
pipe:close()
