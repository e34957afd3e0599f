--- The work that each of these hosts runs: log in, read 50 statuses at once, lock the doors and
--- wait until the car has done it. Ordinary calls, driven by the host's event loop.
local bmwi = require("bmwi")
local async = require("bmwi.async")
local wait = require("bmwi.wait")

local STATUSES, TICK = 50, 0.05

--- Call it in a task.
---@param ticks fun(): integer how often the host's own 50 ms timer has ticked
---@return string line the result
return function(ticks)
  local start

  local function since()
    local seconds = bmwi._sys.monotonic() - start.time
    return seconds, ("%d ticks of %d"):format(ticks() - start.ticks, math.floor(seconds / TICK))
  end

  start = { time = bmwi._sys.monotonic(), ticks = ticks() }
  local whole = start
  local client = bmwi.new({
    base_url = assert(os.getenv("BMWI_URL"), "BMWI_URL is not set"),
    ca_file = os.getenv("BMWI_CA_FILE"),
    username = "whatever@example.com", password = "p4ssw0rd",
    api_key = "key", api_secret = "secret",
  })
  assert(client:login())
  local car = client:vehicle("WAB1C23456V123456")

  start = { time = bmwi._sys.monotonic(), ticks = ticks() }
  local cars = {}
  for i = 1, STATUSES do
    cars[i] = car
  end
  local statuses = async.map(cars, car.status)
  local count = 0
  for _ in pairs(statuses) do
    count = count + 1
  end
  local seconds, ticked = since()

  local execution = assert(wait.for_execution(car, assert(car:lock_doors()), { interval = 0.2 }))
  start = whole
  local all_seconds, all_ticked = since()
  client:close()
  return ("%d of %d in %.2f s, %s; log-in to DOOR_LOCK %s in %.2f s, %s"):format(
    count, STATUSES, seconds, ticked, execution.status, all_seconds, all_ticked)
end
