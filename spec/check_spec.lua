-- Misuse of the Lua layer: one form of message, at the caller's line.
local async = require "bmwi.async"
local geo = require "bmwi.geo"
local host = require "bmwi.host"
local navigation = require "bmwi.navigation"
local store = require "bmwi.store"
local time = require "bmwi.time"
local units = require "bmwi.units"
local wait = require "bmwi.wait"

local nothing = function() end
local car = { execution = nothing }

local CASES = {
  { "bad argument #1 to 'spawn' (function expected, got nil)",
    function() local _ = async.spawn() end },
  { "bad argument #2 to 'spawn' (function expected, got number)",
    function() local _ = async.spawn(nothing, 5) end },
  { "bad argument #2 to 'run' (function expected, got table)",
    function() local _ = async.run(nothing, {}) end },
  { "bad argument #1 to 'map' (table expected, got nil)",
    function() local _ = async.map() end },
  { "bad argument #2 to 'map' (function expected, got nil)",
    function() local _ = async.map({}) end },
  { "bad argument #3 to 'map' (table expected, got number)",
    function() local _ = async.map({}, nothing, 5) end },
  { "unknown option 'concurency' of 'map' (known: concurrency)",
    function() local _ = async.map({}, nothing, { concurency = 5 }) end },
  { "option 'concurrency' of 'map' must be a number from 1",
    function() local _ = async.map({}, nothing, { concurrency = 0 }) end },
  { "bad argument #1 to 'luv' (table expected, got nil)",
    function() local _ = host.luv() end },
  { "bad argument #1 to 'cqueues' (userdata expected, got table)",
    function() local _ = host.cqueues({}) end },
  { "bad argument #1 to 'drive' (function expected, got nil)",
    function() local _ = host.drive() end },
  { "bad argument #1 to 'geojson' (table expected, got nil)",
    function() local _ = geo.geojson() end },
  { "bad argument #2 to 'kml' (table expected, got number)",
    function() local _ = geo.kml({}, 5) end },
  { "unknown option 'name' of 'svg' (known: title)",
    function() local _ = geo.svg({}, { name = "x" }) end },
  { "option 'title' of 'svg' must be a string",
    function() local _ = geo.svg({}, { title = 5 }) end },
  { "bad argument #1 to 'area_km2' (table expected, got string)",
    function() local _ = geo.area_km2("x") end },
  { "bad argument #1 to 'curve' (string expected, got nil)",
    function() local _ = navigation.curve() end },
  { "bad argument #1 to 'decode' (table expected, got nil)",
    function() local _ = navigation.decode() end },
  { "bad argument #2 to 'decode' (number expected, got string)",
    function() local _ = navigation.decode({}, "58") end },
  { "bad argument #2 to 'health' (a capacity in kWh above 0 expected)",
    function() local _ = navigation.health({}, 0) end },
  { "bad argument #1 to 'new' (string expected, got nil)",
    function() local _ = store.new() end },
  { "bad argument #1 to 'new' (the path must not be empty)",
    function() local _ = store.new("") end },
  { "bad argument #2 to 'new' (table expected, got string)",
    function() local _ = store.new("file", "me") end },
  { "bad argument #2 to 'new' (username must be a string)",
    function() local _ = store.new("file", { username = 5 }) end },
  { "bad argument #1 to 'save' (table expected, got nil)",
    function() local _ = store.new("file"):save() end },
  { "bad argument #1 to 'save' (it has no access_token)",
    function() local _ = store.new("file"):save({}) end },
  { "bad argument #1 to 'save' (expires_at must be finite)",
    function() local _ = store.new("file"):save({ access_token = "a", expires_at = 1 / 0 }) end },
  { "bad argument #1 to 'lock' (number expected, got string)",
    function() local _ = store.new("file"):lock("long") end },
  { "bad argument #1 to 'parse' (string expected, got table)",
    function() local _ = time.parse({}) end },
  { "bad argument #1 to 'format' (number expected, got nil)",
    function() local _ = time.format() end },
  { "bad argument #2 to 'age' (number expected, got string)",
    function() local _ = time.age("", "now") end },
  { "bad argument #1 to 'km_to_miles' (number expected, got string)",
    function() local _ = units.km_to_miles("5") end },
  { "bad argument #1 to 'imperial' (table expected, got nil)",
    function() local _ = units.imperial() end },
  { "bad argument #2 to 'imperial' (\"uk\" or \"us\" expected)",
    function() local _ = units.imperial({}, "de") end },
  { "bad argument #1 to 'for_execution' (vehicle expected, got nil)",
    function() local _ = wait.for_execution() end },
  { "bad argument #2 to 'for_execution' (an execution or a service name expected, such as "
    .. "DOOR_LOCK)", function() local _ = wait.for_execution(car, "doors") end },
  { "bad argument #2 to 'for_execution' (its eventId must be a string)",
    function() local _ = wait.for_execution(car, { serviceType = "X", eventId = 5 }) end },
  { "bad argument #3 to 'for_execution' (table expected, got number)",
    function() local _ = wait.for_execution(car, "DOOR_LOCK", 240) end },
  { "unknown option 'timout' of 'for_execution' (known: timeout, interval, on_update, clock, "
    .. "sleep)", function() local _ = wait.for_execution(car, "DOOR_LOCK", { timout = 5 }) end },
  { "option 'timeout' of 'for_execution' must not be below 0",
    function() local _ = wait.for_execution(car, "DOOR_LOCK", { timeout = -1 }) end },
  { "bad argument #1 to 'until_true' (function expected, got nil)",
    function() local _ = wait.until_true() end },
  { "option 'interval' of 'until_true' must be above 0",
    function() local _ = wait.until_true(nothing, { interval = 0 }) end },
  { "option 'sleep' of 'until_true' must be a function",
    function() local _ = wait.until_true(nothing, { sleep = 5 }) end },
}

describe("misuse of the Lua layer is reported at the caller's line:", function()
  for _, case in ipairs(CASES) do
    it(case[1], function()
      local ok, message = pcall(case[2])
      assert.is_false(ok)
      local line = debug.getinfo(case[2], "S").linedefined
      assert.equal(("check_spec.lua:%d: %s"):format(line, case[1]), message:match("[^/]*$"))
    end)
  end
end)
