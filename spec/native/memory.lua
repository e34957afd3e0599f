-- What `make memory` does in every state: each main operation, in a protected call each, so that
-- one that fails for lack of memory does not hide the next. Calls are still in flight when the
-- state is closed. True if all succeeded.
local bmwi = require("bmwi")
local async = require("bmwi.async")

local all = true
local function try(fn, ...)
  local ok, result, message = pcall(fn, ...)
  if not ok or result == nil then
    all = false
    -- An error about memory, or a failure of the network because libcurl had none; never a wrong
    -- answer. Running out while the message is made leaves no message.
    assert(type(ok and message or result) ~= "table")
    return nil
  end
  return result
end

local client = try(bmwi.new, {
  base_url = arg[1], timeout = 2, username = "whatever@example.com", password = "p4ssw0rd",
  api_key = "key", api_secret = "secret", retries = 0, on_token = function() end,
  log = function() end,
})
if client then
  try(client.vehicles, client)
  local car = try(client.vehicle, client, "WAB1C23456V123456")
  if car then
    local status = try(car.status, car)
    assert(status == nil or status.mileage == 1234)
    try(car.range_map, car)
    local profile = try(car.charging_profile, car)
    if profile then
      try(car.set_charging_profile, car, profile)
    end
    try(car.lock_doors, car)
    try(car.execution, car, "DOOR_LOCK")
    try(car.send_poi, car, { lat = 51.5, lon = -0.12, name = "x" })
    local missing, _, code = car:image({ view = "NO_SUCH_VIEW" })
    assert(missing == nil and code ~= "json")
    try(async.spawn, function()
      car:status()
    end)
  end
end
try(async.spawn, function()
  bmwi.sleep(60)
end)
try(bmwi.loop.step, bmwi.loop)
try(bmwi.base64.encode, ("x"):rep(1000))
return all
