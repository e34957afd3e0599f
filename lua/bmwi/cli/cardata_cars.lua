-- bmwi.cli.cardata_cars: which cars a command of CarData is for.

local fail = require "bmwi.cli.fail"
local render = require "bmwi.cli.render"
local session = require "bmwi.cli.session"

local cars = {}

--- Adds to a car what the account file knows: its model and its brand.
---@param car table at least its vin
---@return table car
function cars.identify(ctx, car)
  local basic = type(car.vin) == "string" and session.store(ctx.settings):_basic(car.vin:upper())
  if basic then car.model, car.brand = basic.modelName, basic.brand end
  return car
end

-- The cars known from the account file, so that no call is used.
local function known_cars(ctx)
  local list = {}
  for i, mapping in ipairs(session.store(ctx.settings):_vehicles() or {}) do
    list[i] = cars.identify(ctx, { vin = mapping.vin, mappingType = mapping.mappingType })
  end
  return list
end

-- Of these cars, those that BMW provides data for.
local function provided(list)
  local kept = {}
  for _, car in ipairs(render.tables(list)) do
    if car.mappingType ~= "SECONDARY" then kept[#kept + 1] = car end
  end
  return kept
end

--- The cars that BMW provides data for: those in the account file, else BMW's list, which uses a
--- call.
---@return table[] list each {vin, model}
function cars.own(ctx)
  local known = provided(known_cars(ctx))
  return known[1] and known or provided(fail.check(session.open(ctx):vehicles()))
end

--- The cars of this run: the one set by `vin`, else all that BMW provides data for.
---@return table[] list each {vin, model}
function cars.all(ctx)
  local client, vin = session.open(ctx), ctx.settings.vin
  if vin then
    vin = fail.input(client.vehicle, client, vin):vin()
    for _, car in ipairs(provided(known_cars(ctx))) do
      if car.vin:upper() == vin then return { car } end
    end
    return { { vin = vin } }
  end
  local list = cars.own(ctx)
  if #list == 0 then
    fail.raise("this account has no car that BMW provides data for", "not_found")
  end
  return list
end

return cars
