--- What takes one request, or none: the list of cars, the calls that are left, a picture, the
--- tyres. Loaded at the first such call; a status needs none of them.

local call = require "bmwi.cardata.call"
local check = require "bmwi._check"

local reads = {}

-- The vehicle for a car's mapping.
local function vehicle_of(mapping, store)
  local vehicle = { vin = mapping.vin:upper() }
  for name, value in pairs(mapping) do
    if vehicle[name] == nil then vehicle[name] = value end
  end
  vehicle.secondary = mapping.mappingType == "SECONDARY" or nil
  for name, value in pairs(store:_basic(vehicle.vin) or {}) do
    if type(name) == "string" and vehicle[name] == nil then vehicle[name] = value end
  end
  vehicle.model = vehicle.model or vehicle.modelName
  return vehicle
end

--- The account's cars: vin, mappingType, mappedSince (a text), and their basic data as far as
--- already known (model, driveTrain, ...). BMW provides no data for a car whose mappingType is
--- SECONDARY, which belongs to a user who is not its owner; such a car has secondary = true. Uses
--- one call of the quota.
---@return table[]|nil vehicles
---@return string|nil message
---@return string|nil code
---@return table|nil info
function reads.vehicles(client)
  check.object(client, "client", "vehicles")
  local answer, message, code, info = client:_call("mappings", {})
  if not answer then return nil, message, code, info end
  -- an array, though BMW's description says one object
  local mappings = type(answer) == "table" and (answer.vin and { answer } or answer)
  if not mappings or #mappings == 0 and next(mappings) ~= nil then
    return call.invalid("mappings", "is not a list of vehicles")
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

--- The number of calls left today, counted for all programs that use the same account file. Sends
--- nothing.
---@return {limit:integer,used:integer,left:integer,resets_at:integer}|nil quota resets_at: epoch
--- seconds of when the next call becomes available again
---@return string|nil message
---@return string|nil code "store"
---@return table|nil info
function reads.quota(client)
  check.object(client, "client", "quota")
  return client:_store():_quota(client:_option("daily_limit"))
end

local PICTURES = { { "png", "\137PNG\r\n\26\n" }, { "jpeg", "\255\216\255" } }

--- A picture of the car. Uses one call of the quota; the picture never changes, so keep it.
---@return string|nil bytes
---@return string|nil kind "png" or "jpeg"; after a failure the message
---@return string|nil code "not_found": BMW has none
---@return table|nil info
function reads.image(car)
  check.object(car, "car", "image")
  local bytes, message, code, info = car:_client():_call("image", { vin = car:vin() })
  if not bytes then return nil, message, code, info end
  for _, picture in ipairs(PICTURES) do
    if type(bytes) == "string" and bytes:sub(1, #picture[2]) == picture[2] then
      return bytes, picture[1]
    end
  end
  return call.invalid("image", "is not a PNG or JPEG picture")
end

-- Whether it is more than a label, a unit or an empty value: BMW sends 0 and false if there is
-- none.
local function says_something(name, value)
  local kind = type(value)
  if name == "label" or name == "unit" then return false end
  return kind == "string" and value ~= "" or kind == "number" and value ~= 0 or value == true
end

-- A copy without parts that only contain labels and zeros; nil if nothing remains.
local function without_empty(part)
  local copy, any = {}, false
  for name, value in pairs(part) do
    if type(value) == "table" then value = without_empty(value) end
    copy[name] = value
    any = any or type(value) == "table" or says_something(name, value)
  end
  return any and copy or nil
end

--- BMW's data on the tyres: mountedTyres and unmountedTyres, each with frontLeft, frontRight,
--- rearLeft and rearRight, with BMW's names; dueMileage is in the unit beside it. Parts that only
--- contain labels and zeros are omitted, so both are absent for a car that reports nothing. errors:
--- as BMW sent them. Uses one call of the quota.
---@return {mountedTyres:table|nil,unmountedTyres:table|nil,errors:table}|nil tyres
---@return string|nil message
---@return string|nil code
---@return table|nil info
function reads.tyres(car)
  check.object(car, "car", "tyres")
  local answer, message, code, info = car:_client():_call("tyres", { vin = car:vin() })
  if not answer then return nil, message, code, info end
  if type(answer) ~= "table" then return call.invalid("tyres", "is not a tyre diagnosis") end
  local sets = type(answer.passengerCar) == "table" and answer.passengerCar or {}
  local tyres = { errors = type(answer.errors) == "table" and answer.errors or {} }
  for _, name in ipairs { "mountedTyres", "unmountedTyres" } do
    tyres[name] = type(sets[name]) == "table" and without_empty(sets[name]) or nil
  end
  return tyres
end

return reads
