-- Draws the reachable area as an SVG picture, with the car and its last destinations on it.
--
--   build/bmwi-sim --listen 127.0.0.1:8080 &     the simulator, until `kill %1`
--   lua5.4 examples/range_map_svg.lua range.svg
--
-- geo.geojson and geo.kml take the same arguments and write files for map programs.
local bmwi = require "bmwi"
local geo = require "bmwi.geo"

local path = arg[1] or "range.svg"

local client = bmwi.new {
  base_url = os.getenv "BMWI_BASE_URL" or "http://127.0.0.1:8080", -- a simulator, or your server
  ca_file = os.getenv "BMWI_CA_FILE",
  username = "whatever@example.com", password = "p4ssw0rd", api_key = "key", api_secret = "secret",
}
local vehicle = assert(client:vehicles())[1]
local car = client:vehicle(vehicle.vin)

local map = assert(car:range_map())
for _, ring in ipairs(map.rangemaps or {}) do -- a car may report no range map
  print(("%-12s %5.0f km2 can be reached"):format(ring.type, assert(geo.area_km2(ring.polyline))))
end

local picture = assert(geo.svg({
  range_map = map, status = assert(car:status()), destinations = assert(car:destinations()),
}, { title = "Range of the " .. vehicle.model }))

local file = assert(io.open(path, "wb"))
assert(file:write(picture))
assert(file:close())
print("The picture is in " .. path)
