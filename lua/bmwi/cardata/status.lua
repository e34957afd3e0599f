--- The values of a car: read with bmwi's container, merged with those that the account file keeps.

local bmwi = require "bmwi"
local call = require "bmwi.cardata.call"
local check = require "bmwi._check"
local container = require "bmwi.cardata.container"
local live = require "bmwi.cardata.live"

local status = {}

local PLACE = "vehicle.cabin.infotainment.navigation.currentLocation."

-- A failure after which saved values are better than none.
local PASSING = { quota = true, rate_limited = true, network = true, timeout = true, tls = true,
  server = true }
-- A failure that the next call would meet as well.
local LASTING = { forbidden = true, not_found = true, http = true }

-- The known values, if BMW has sent some within the last `max_age` seconds.
local function young(store, vin, max_age, now)
  local car = live.find(store, vin)
  local at = car and car.at or store:_fetched(vin)
  local age = at and at <= now and now - at or math.huge
  return age <= max_age and live.state(store, vin) or nil
end

-- What BMW has just said again is no longer a value of the cache.
local function confirm(state, values)
  for descriptor, sent in pairs(values) do
    local entry = state[descriptor]
    if type(entry) == "table" and entry.source == "cache" and type(sent) == "table"
      and entry.raw == sent.value then
      entry.source = "rest"
    end
  end
  local position = state.position
  local lat, lon = state[PLACE .. "latitude"], state[PLACE .. "longitude"]
  if position and lat and lon and lat.source == "rest" and lon.source == "rest"
    and (lat.time == position.time or lon.time == position.time) then
    position.source = "rest"
  end
end

-- What a failure says about the container: "gone", "maybe", or nil.
local function verdict(code, info)
  local api_code = type(info) == "table" and info.api_code
  if api_code == "CU-105" or api_code == "CU-121" then return "gone" end
  if code == "not_found" then return "maybe" end
end

-- Calls ask(id) with the id of bmwi's container, and again with a new one if it is gone.
local function with_container(client, store, ask)
  local work = container.plan(client, store)
  local id, message, code, info = container.known(work)
  if not id and not code then
    id, message, code, info = require("bmwi.cardata.container_setup").find(work)
  end
  if not id then return nil, message, code, info end
  local answer
  answer, message, code, info = ask(id)
  local said = answer == nil and verdict(code, info)
  if not said then return answer, message, code, info end
  local other, why, what, more = require("bmwi.cardata.container_setup").replace(work, id,
    said == "gone")
  if other == false then return nil, message, code, info end
  if not other then return nil, why, what, more end
  return ask(other)
end

-- Reads the values, one call as a rule; gives the new state.
local function fetch(client, store, vin)
  local answer, message, code, info = with_container(client, store, function(id)
    return client:_call("telematic_data", { vin = vin, query = { containerId = id } })
  end)
  if answer == nil then
    if PASSING[code] and store:_values(vin) then
      info = info or {}
      info.hint = info.hint or "use the option max_age to read the saved values"
    end
    return nil, message, code, info
  end
  local values = type(answer) == "table" and answer.telematicData
  if type(values) ~= "table" then
    return call.invalid("telematic_data", "is not telematic data")
  end
  local now = os.time()
  local state = bmwi._values.merge(live.state(store, vin), values, { source = "rest", now = now })
  confirm(state, values)
  live.put(store, vin, state, now)
  -- Values that cannot be saved are shown all the same.
  store:_set_values(vin, state, now)
  return state
end

-- async.map(cars, car.status) hands on an index, which the cars of the classic service ignore, too.
local function without_index(options)
  if type(options) ~= "number" then return options end
end

local function check_age(options, name)
  options = check.options(without_index(options), { { "max_age", "number" } }, 1, name, 3)
  check.option((options.max_age or 0) >= 0, "max_age", "not be below 0", name, 3)
  return options.max_age
end

-- The state of the car: saved and young enough, or new.
---@return table|nil state
---@return any saved whether it is; after a failure the message
---@return string|nil code
---@return table|nil info
local function state_of(client, store, vin, max_age)
  local saved = max_age and young(store, vin, max_age, os.time())
  if saved then return saved, true end
  local state, message, code, info = fetch(client, store, vin)
  if not state then return nil, message, code, info end
  return state, false
end

local function ask_basic(client, store, vin)
  local data, message, code, info = client:_call("basic_data", { vin = vin })
  if data == nil then return nil, message, code, info end
  if type(data) ~= "table" then return call.invalid("basic_data", "is not basic data") end
  data.vin = data.vin or vin -- the real service leaves it out
  store:_set_basic(vin, data)
  return data
end

-- Which engines the car has, so that no value is shown of one that it lacks. Asked once; where BMW
-- will not tell, that is kept, too.
local function drive_train(client, store, vin, may_ask)
  local data, _, code = store:_basic(vin)
  if not data and not code and may_ask then
    data, _, code = ask_basic(client, store, vin)
    if not data and LASTING[code] then store:_set_basic(vin, {}) end
  end
  local word = data and data.driveTrain
  return type(word) == "string" and word or nil
end

--- The car's status, with the members, words and units of the classic service, and where each
--- comes from. One call of the quota; the first one ever takes up to three more, for the container
--- and the basic data. Values are BMW's last ones: no call wakes the car.
---@param options? {max_age:number} seconds: if values came from BMW at most this long ago, by
--- REST or the stream, the saved ones are returned and nothing is sent. math.huge returns them
--- however old they are, if BMW is unavailable or the quota is used up; details[member].source is
--- then "cache"
---@return table|nil status km, litres, percent, minutes, W, kWh; what is not known is absent
---@return table|string|nil details by member: {value, unit, time, age, descriptor, source, raw,
--- flag}, or {reason, message, descriptor, raw} of what is absent. After a failure: the message
---@return string|nil code
---@return table|nil info
function status.status(car, options)
  check.object(car, "car", "status")
  local max_age = check_age(options, "status")
  local client, vin = car:_client(), car:vin()
  local store = client:_store() -- the client may be closed while it waits
  local state, saved, code, info = state_of(client, store, vin, max_age)
  if not state then return nil, saved, code, info end
  local missing = store:_not_requested() or {}
  return bmwi._values.status(state, { drive_train = drive_train(client, store, vin, not saved),
    refused = missing.refused, left_out = missing.left_out, now = os.time() })
end

--- Everything that is known of the car, by descriptor. One call of the quota.
---@param options? {max_age:number} as of car:status()
---@return table<string,table>|nil values each {value, unit, time, age, raw, source}; what is empty
--- has no value but the reason (`empty`); time is in epoch seconds, age in whole seconds
---@return string|nil message
---@return string|nil code
---@return table|nil info
function status.telematics(car, options)
  check.object(car, "car", "telematics")
  local max_age = check_age(options, "telematics")
  local client = car:_client()
  local state, message, code, info = state_of(client, client:_store(), car:vin(), max_age)
  if not state then return nil, message, code, info end
  return (bmwi._values.telematics(state, { now = os.time() }))
end

--- What the car is: brand, modelName, driveTrain and so on, with BMW's names. It never changes, so
--- it is read once (one call of the quota) and kept.
---@param options? {refresh:boolean} true reads it again
---@return table|nil data
---@return string|nil message
---@return string|nil code
---@return table|nil info
function status.basic_data(car, options)
  check.object(car, "car", "basic_data")
  options = check.options(without_index(options), { { "refresh", "boolean" } }, 1, "basic_data")
  local client, vin = car:_client(), car:vin()
  local store = client:_store()
  local kept = not options.refresh and store:_basic(vin)
  if kept and next(kept) ~= nil then return kept end
  return ask_basic(client, store, vin)
end

return status
