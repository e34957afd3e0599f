-- The last trip in metric and imperial units, and your driving compared with all other drivers'.
--
--   build/bmwi-sim --listen 127.0.0.1:8080 &     the simulator, until `kill %1`
--   lua5.4 examples/trips.lua
local bmwi = require "bmwi"
local time = require "bmwi.time"
local units = require "bmwi.units"

local client = bmwi.new {
  base_url = os.getenv "BMWI_BASE_URL" or "http://127.0.0.1:8080", -- a simulator, or your server
  ca_file = os.getenv "BMWI_CA_FILE",
  username = "whatever@example.com", password = "p4ssw0rd", api_key = "key", api_secret = "secret",
}
local car = client:vehicle(assert(client:vehicles())[1].vin)

local trip = assert(car:last_trip())
if trip.date then
  -- The zone in this date is wrong, so use only the car's local time.
  local clock = assert(time.local_clock(trip.date))
  print(("The last trip ended on %d-%02d-%02d at %02d:%02d by the car's clock."):format(
    clock.year, clock.month, clock.day, clock.hour, clock.min))
  local miles = units.imperial(trip) -- a converted copy; trip itself stays as it is
  print(("  %.1f km = %.1f mi in %d minutes"):format(
    trip.totalDistance, miles.totalDistance, trip.duration))
  print(("  %.1f kWh/100 km = %s mi/kWh"):format(trip.avgElectricConsumption,
    miles.avgElectricConsumption and ("%.2f"):format(miles.avgElectricConsumption) or "-"))
end

local all = assert(car:all_trips())
local use = all.avgElectricConsumption
if use and use.userAverage then
  local word = use.userAverage < use.communityAverage and "less" or "more"
  print(("All trips: %.1f kWh/100 km, %s than the %.1f of all drivers."):format(
    use.userAverage, word, use.communityAverage))
end
