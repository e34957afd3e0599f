-- What each state of `make tsan` does: calls one after the other, many at once, then it is closed
-- with calls still in flight.
local bmwi = require("bmwi")
local async = require("bmwi.async")

local client = bmwi.new({
  base_url = arg[1], ca_file = arg[2], username = "whatever@example.com", password = "p4ssw0rd",
  api_key = "key", api_secret = "secret",
})
local car = client:vehicle("WAB1C23456V123456")
for _ = 1, 5 do
  assert(car:status().mileage == 1234)
end
local results = async.map({ 1, 2, 3, 4, 5, 6, 7, 8 }, function()
  return car:last_trip()
end)
assert(#results == 8)
async.spawn(function()
  car:status()
end)
async.spawn(function()
  bmwi.sleep(60)
end)
