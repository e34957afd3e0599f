-- Sends a destination to the car's navigation, then a text message.
--
--   build/bmwi-sim --listen 127.0.0.1:8080 &     the simulator, until `kill %1`
--   lua5.4 examples/send_poi.lua
local bmwi = require "bmwi"

local client = bmwi.new {
  base_url = os.getenv "BMWI_BASE_URL" or "http://127.0.0.1:8080", -- a simulator, or your server
  ca_file = os.getenv "BMWI_CA_FILE",
  username = "whatever@example.com", password = "p4ssw0rd", api_key = "key", api_secret = "secret",
}
local car = client:vehicle(assert(client:vehicles())[1].vin)

assert(car:send_poi {
  lat = 48.1769, lon = 11.5569, -- decimal degrees; swapped or out of range is an error
  name = "BMW Welt",
  street = "Am Olympiapark 1", postalCode = "80809", city = "München", country = "Germany",
})
print("sent: the service has taken the place; it does not tell when the car has it")

-- Without lat and lon it is a message, which some cars display.
assert(car:send_poi { name = "Dinner at eight", additionalInfo = "Bring the charging cable." })
print("sent: a message")

print("The car's destinations:")
for _, place in ipairs(assert(car:destinations())) do
  print(("  %s, %s (%.4f, %.4f)"):format(place.street, place.city, place.lat, place.lon))
end
