-- Reads all cars of an account at once: the calls are the usual ones, and bmwi.async runs them
-- concurrently in one thread.
--
--   build/bmwi-sim --listen 127.0.0.1:8080 --vehicles examples/cars.json &     until `kill %1`
--   lua5.4 examples/many_cars.lua
local async = require "bmwi.async"
local bmwi = require "bmwi"

local client = bmwi.new {
  base_url = os.getenv "BMWI_BASE_URL" or "http://127.0.0.1:8080", -- a simulator, or your server
  ca_file = os.getenv "BMWI_CA_FILE",
  username = "whatever@example.com", password = "p4ssw0rd", api_key = "key", api_secret = "secret",
  position = { lat = 51.5, lon = -0.1 }, -- required for cars other than i3 and i8
}
local vehicles = assert(client:vehicles())

local statuses, errors = async.map(vehicles, function(vehicle)
  return client:vehicle(vehicle.vin):status()
end, { concurrency = 8 }) -- at most 8 at once

for i, vehicle in ipairs(vehicles) do -- one car's failure does not affect the others
  local news = statuses[i]
  print(("%-10s %s"):format(vehicle.model or vehicle.vin, news
    and ("%s, %d km"):format(news.doorLockState or "locks not told", news.mileage or 0)
    or errors[i].message))
end
