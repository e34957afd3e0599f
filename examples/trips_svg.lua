-- Draws consumption, recuperation and range, compared with all other cars, as an SVG picture.
--
--   build/bmwi-sim --listen 127.0.0.1:8080 &     the simulator, until `kill %1`
--   lua5.4 examples/trips_svg.lua trips.svg
local bmwi = require "bmwi"
local chart = require "bmwi.chart"

local path = arg[1] or "trips.svg"

local client = bmwi.new {
  base_url = os.getenv "BMWI_BASE_URL" or "http://127.0.0.1:8080", -- a simulator, or your server
  ca_file = os.getenv "BMWI_CA_FILE",
  username = "whatever@example.com", password = "p4ssw0rd", api_key = "key", api_secret = "secret",
}
local vehicle = assert(client:vehicles())[1]
local trips = assert(client:vehicle(vehicle.vin):all_trips())

local file = assert(io.open(path, "wb"))
assert(file:write(chart.trips(trips, { title = "Trips of the " .. vehicle.model })))
assert(file:close())
print("The picture is in " .. path)
