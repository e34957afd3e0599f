-- Changes the charging schedule: charge at night, ready at seven on working days.
--
--   build/bmwi-sim --listen 127.0.0.1:8080 &     the simulator, until `kill %1`
--   lua5.4 examples/charging_schedule.lua
local bmwi = require "bmwi"
local wait = require "bmwi.wait"

local client = bmwi.new {
  base_url = os.getenv "BMWI_BASE_URL" or "http://127.0.0.1:8080", -- a simulator, or your server
  ca_file = os.getenv "BMWI_CA_FILE",
  username = "whatever@example.com", password = "p4ssw0rd", api_key = "key", api_secret = "secret",
}
local car = client:vehicle(assert(client:vehicles())[1].vin)

local function show(when, profile)
  local timer, window = profile.weeklyPlanner.timer1, profile.weeklyPlanner.preferredChargingWindow
  print(("%-7s ready at %s on %s, charge from %s to %s"):format(when, timer.departureTime,
    table.concat(timer.weekdays, " "), window.startTime, window.endTime))
end

-- Read the whole schedule, change it, and send all of it back: sending a part would clear the rest.
local profile = assert(car:charging_profile())
assert(profile.weeklyPlanner, "this car has a twoTimesTimer") -- other members: docs/reference.md
show("before:", profile)

local plan = profile.weeklyPlanner
plan.chargingMode = "DELAYED_CHARGING"
plan.chargingPreferences = "CHARGING_WINDOW"
plan.preferredChargingWindow = { enabled = true, startTime = "23:30", endTime = "05:30" }
plan.timer1 = {
  departureTime = "07:00", timerEnabled = true, -- by the car's clock
  weekdays = { "MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY" },
}

assert(wait.for_execution(car, assert(car:set_charging_profile(profile))))
show("now:", assert(car:charging_profile()))
