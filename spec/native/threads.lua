-- What each state of `make tsan` runs: calls one after the other, a command and the wait for it,
-- many calls at once; then it is closed with calls still in flight.
local bmwi = require("bmwi")
local async = require("bmwi.async")
local wait = require("bmwi.wait")

local client = bmwi.new({
  base_url = arg[1], ca_file = arg[2], username = "whatever@example.com", password = "p4ssw0rd",
  api_key = "key", api_secret = "secret",
})
local car = client:vehicle("WAB1C23456V123456")
for _ = 1, 5 do
  assert(car:status().mileage == 1234)
end
local execution = assert(car:lock_doors())
wait.for_execution(car, execution, { interval = 0.05, timeout = 1 }) -- other states lock, too
assert(car:send_poi({ lat = 51.5, lon = -0.12, name = "x" }))
assert(car:image({ view = "FRONT" }):sub(2, 4) == "PNG")
assert(bmwi.base64.decode(bmwi.base64.encode("abc")) == "abc")
assert(client:vehicles())
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
