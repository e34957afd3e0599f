--- The methods of a client and its cars for BMW CarData, as far as they take more than one request
--- or more than decoding. The C module installs them; each is plain sequential Lua and waits in
--- client:_call() alone, which yields in a task.

local call = require "bmwi.cardata.call"
local containers = require "bmwi.cardata.containers"
local history = require "bmwi.cardata.history"
local status = require "bmwi.cardata.status"

-- The stream is loaded at its first call: few programs have one.
local function of_stream(name)
  return function(...) return require("bmwi.cardata.stream")[name](...) end
end

local client_methods = {
  _call = call.call,
  _store = call.store,
  get = call.get,
  containers = containers.list,
  create_container = containers.create,
  delete_container = containers.delete,
  stream = of_stream("open"),
}
local car_methods = {
  status = status.status,
  telematics = status.telematics,
  basic_data = status.basic_data,
  charging_history = history.charging_history,
  charging_settings = history.charging_settings,
  stream = of_stream("of_car"),
}

-- What comes of the mappings for one car.
local function vehicle_of(mapping, store)
  local vehicle = { vin = mapping.vin:upper() }
  for name, value in pairs(mapping) do
    if vehicle[name] == nil then vehicle[name] = value end
  end
  vehicle.secondary = mapping.mappingType == "SECONDARY" or nil
  for name, value in pairs(store:_basic(vehicle.vin) or {}) do
    if vehicle[name] == nil then vehicle[name] = value end
  end
  vehicle.model = vehicle.model or vehicle.modelName
  return vehicle
end

--- The account's cars: vin, mappingType, mappedSince (a text), and what is known already of their
--- basic data (model, driveTrain, ...). BMW gives no data of a car whose mappingType is SECONDARY,
--- that of a user who is not its owner; such a one is marked with secondary = true. One call of the
--- quota.
---@return table[]|nil vehicles
---@return string|nil message
---@return string|nil code
---@return table|nil info
function client_methods.vehicles(client)
  local answer, message, code, info = client:_call("mappings", {})
  if not answer then return nil, message, code, info end
  -- An array, though the description says one object.
  local mappings = type(answer) == "table" and (answer.vin and { answer } or answer)
  if not mappings or #mappings == 0 and next(mappings) ~= nil then
    return nil, "the response is not a list of vehicles", "json", info
  end
  local store, kept, list = client:_store(), {}, {}
  for _, mapping in ipairs(mappings) do
    if type(mapping) == "table" and type(mapping.vin) == "string" then
      kept[#kept + 1] = mapping
      list[#list + 1] = vehicle_of(mapping, store)
    end
  end
  store:_set_vehicles(kept)
  return list
end

--- How many calls of the day are left, counted over all programs that use the same account file.
--- Nothing is sent.
---@return {limit:integer,used:integer,left:integer,resets_at:integer}|nil quota resets_at: epoch
--- seconds of when a call is given back
---@return string|nil message
---@return string|nil code "store"
function client_methods.quota(client)
  return client:_store():_quota(client:_option("daily_limit"))
end

local PICTURES = { { "png", "\137PNG\r\n\26\n" }, { "jpeg", "\255\216\255" } }

--- A picture of the car. One call of the quota; it never changes, so keep it.
---@return string|nil bytes
---@return string|nil kind "png" or "jpeg". After a failure: the message
---@return string|nil code "not_found": BMW has none
---@return table|nil info
function car_methods.image(car)
  local bytes, message, code, info = car:_client():_call("image", { vin = car:vin() })
  if not bytes then return nil, message, code, info end
  for _, picture in ipairs(PICTURES) do
    if type(bytes) == "string" and bytes:sub(1, #picture[2]) == picture[2] then
      return bytes, picture[1]
    end
  end
  return nil, "the response is not a PNG or JPEG picture", "json", info
end

-- Whether it is more than how a value would be shown: without one BMW sends 0 and false.
local function says_something(name, value)
  local kind = type(value)
  if name == "label" or name == "unit" then return false end
  return kind == "string" and value ~= "" or kind == "number" and value ~= 0 or value == true
end

-- A copy without the parts that hold labels and zeros only; nil where nothing is left.
local function without_empty(part)
  local copy, any = {}, false
  for name, value in pairs(part) do
    if type(value) == "table" then value = without_empty(value) end
    copy[name] = value
    any = any or type(value) == "table" or says_something(name, value)
  end
  return any and copy or nil
end

--- What BMW knows of the tyres: mountedTyres and unmountedTyres, in them frontLeft, frontRight,
--- rearLeft, rearRight with BMW's names; dueMileage is in the unit beside it. What holds labels and
--- zeros only is no value and left out, so that both are absent for a car that reports nothing.
--- errors: as BMW sent them. One call of the quota.
---@return {mountedTyres:table|nil,unmountedTyres:table|nil,errors:table}|nil tyres
---@return string|nil message
---@return string|nil code
---@return table|nil info
function car_methods.tyres(car)
  local answer, message, code, info = car:_client():_call("tyres", { vin = car:vin() })
  if not answer then return nil, message, code, info end
  if type(answer) ~= "table" then
    return nil, "the response is not a tyre diagnosis", "json", info
  end
  local sets = type(answer.passengerCar) == "table" and answer.passengerCar or {}
  local tyres = { errors = type(answer.errors) == "table" and answer.errors or {} }
  for _, name in ipairs { "mountedTyres", "unmountedTyres" } do
    tyres[name] = type(sets[name]) == "table" and without_empty(sets[name]) or nil
  end
  return tyres
end

return { client = client_methods, car = car_methods }
