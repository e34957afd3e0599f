--- Streams against the simulator, for specs: a client that is logged in, short times, and bounded
--- waits.
local bmwi = require("bmwi")
local broker = require("spec.broker_helper")
local helper = require("spec.helper")
local stores = require("bmwi.store")
local times = require("bmwi.cardata.stream_times")

local streams = { VIN = broker.VIN, OTHER = "WBACARDATA0000002", CLIENT = broker.CLIENT,
  LEVEL = "vehicle.drivetrain.batteryManagement.header",
  MILEAGE = "vehicle.vehicle.travelledDistance" }

local real = {}
for name, value in pairs(times) do real[name] = value end

--- Sets times of the policy for one spec: a tenth or less of the real ones, and these.
function streams.hurry(changes)
  local short = { rotation = 0.1, ladder = { 0.05, 0.1, 0.2 }, busy = 0.5, transient = 0.3,
    window = 2, suback = 5, save = 0.3, quiet = 0.05, longest = 0.3 }
  for name, value in pairs(real) do times[name] = value end
  for name, value in pairs(short) do times[name] = value end
  for name, value in pairs(changes or {}) do times[name] = value end
end

--- Restores the real ones.
function streams.no_hurry()
  for name, value in pairs(real) do times[name] = value end
end

--- Options of a client for this simulator.
function streams.options(sim, changes)
  local options = { service = "cardata", client_id = broker.CLIENT, base_url = sim.url,
    login_url = sim.url .. "/gcdm/oauth", stream_url = sim.stream_url, ca_file = sim.ca,
    store = stores.memory(), timeout = 20, retries = 0, on_prompt = function() end }
  for name, value in pairs(changes or {}) do options[name] = value or nil end
  return options
end

--- A client that is logged in.
function streams.client(sim, changes)
  sim:control("POST", "/cardata/login", { interval = 0.05 })
  local client = bmwi.new(streams.options(sim, changes))
  assert(client:login())
  sim:clear()
  return client
end

--- Lets the stream run until `seen` is true; raises after a minute. Updates are dropped.
function streams.run_until(stream, seen, what)
  local deadline = bmwi._sys.monotonic() + 60
  while not seen() do
    assert(bmwi._sys.monotonic() < deadline, "it did not come to that: " .. (what or "?"))
    local _, _, code = stream:next(0.02)
    if code and code ~= "timeout" then bmwi.sleep(0.02) end
  end
end

--- Waits for a state.
function streams.await(stream, state)
  streams.run_until(stream, function() return stream:state() == state end, state)
end

--- Waits for the end of a stream.
---@return string message
---@return string code
---@return table info
function streams.ending(stream)
  local deadline = bmwi._sys.monotonic() + 60
  repeat
    assert(bmwi._sys.monotonic() < deadline, "the stream does not end")
    local update, message, code, info = stream:next(1)
    if not update and code ~= "timeout" then return message, code, info end
  until false
end

--- Publishes values of a car.
function streams.publish(sim, data, more)
  local message = { data = data }
  for name, value in pairs(more or {}) do message[name] = value end
  broker.set(sim, { publish = message })
end

--- The number of renewals.
function streams.renewals(sim)
  local n = 0
  for _, request in ipairs(sim:log()) do
    if request.body:find("grant_type=refresh_token", 1, true) then n = n + 1 end
  end
  return n
end

--- Waits for an update; raises if none comes.
function streams.update(stream)
  local update, message, code = stream:next(20)
  assert(update, tostring(code) .. ": " .. tostring(message))
  return update
end

streams.has, streams.fails_as = helper.has, helper.fails_as
streams.set, streams.report = broker.set, broker.report

return streams
