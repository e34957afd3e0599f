-- Locks the doors and waits until the car has done it, or reports what is known.
--
--   build/bmwi-sim --listen 127.0.0.1:8080 &     the simulator, until `kill %1`
--   lua5.4 examples/lock_and_wait.lua
--
-- The exit code is 0 only if the car has confirmed it.
local bmwi = require "bmwi"
local wait = require "bmwi.wait"

local client = bmwi.new {
  base_url = os.getenv "BMWI_BASE_URL" or "http://127.0.0.1:8080", -- a simulator, or your server
  ca_file = os.getenv "BMWI_CA_FILE",
  username = "whatever@example.com", password = "p4ssw0rd", api_key = "key", api_secret = "secret",
}
local car = client:vehicle(assert(client:vehicles())[1].vin)

-- Sent once, and never retried.
local execution, message, code = car:lock_doors()
if not execution then -- with the code "unknown" the car may still do it: check first
  print(code .. ": " .. message)
  os.exit(1)
end

local done
done, message, code = wait.for_execution(car, execution, {
  timeout = 240, -- seconds; a car in a garage can need minutes
  on_update = function(_, text) print("  " .. text) end,
})
if done then
  print("locked: " .. done.status)
elseif code == "not_executed" or code == "timed_out" then
  print("not locked: " .. message)
else -- timeout, unknown, network, ...: the car may still do it
  print("outcome unknown: " .. message)
end
os.exit(done and 0 or 1)
