-- Shows the status of every car of the account: locks, battery, range, mileage, and its age.
--
--   build/bmwi-sim --listen 127.0.0.1:8080 &     the simulator, until `kill %1`
--   lua5.4 examples/status.lua
--
-- For another server set BMWI_BASE_URL (and BMWI_CA_FILE, if its certificate is from a private
-- CA) and the account below.
local bmwi = require "bmwi"
local time = require "bmwi.time"
local units = require "bmwi.units"

local client = bmwi.new {
  base_url = os.getenv "BMWI_BASE_URL" or "http://127.0.0.1:8080",
  ca_file = os.getenv "BMWI_CA_FILE",
  username = os.getenv "BMWI_USERNAME" or "whatever@example.com",
  password = os.getenv "BMWI_PASSWORD" or "p4ssw0rd",
  api_key = os.getenv "BMWI_API_KEY" or "key",
  api_secret = os.getenv "BMWI_API_SECRET" or "secret",
}

-- Cars omit what they do not know, so every member may be nil.
local function show(label, text, ...)
  if ... then print(("  %-9s " .. text):format(label, ...)) end
end

for _, vehicle in ipairs(assert(client:vehicles())) do
  local status = assert(client:vehicle(vehicle.vin):status())
  local km = status.remainingRangeElectric
  print(vehicle.model or vehicle.vin)
  show("locks", "%s", status.doorLockState)
  show("battery", "%s %%", status.chargingLevelHv)
  show("range", "%.0f km = %.0f mi", km, km and units.km_to_miles(km))
  show("mileage", "%d km", status.mileage)
  local age = time.age(status.updateTime)
  show("reported", "%.0f days ago", age and age / 86400)
end
