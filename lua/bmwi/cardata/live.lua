--- The cars of an account whose stream is open in this process: their newest values, which the
--- account file gets every few seconds only. REST and stream share them.

local bmwi = require "bmwi"

local live = {}

local MOST_CARS = 256

-- store -> {users =, cars = VIN -> car}. A car is {state =, at =, dirty =}: its values
-- (bmwi._values, never changed in place), and when news of it came last.
local open = setmetatable({}, { __mode = "k" })

local function drive_train_of(data)
  local word = type(data) == "table" and data.driveTrain
  return type(word) == "string" and word or nil
end

--- Begins to keep the cars of an account here; each is to be closed.
function live.open(store)
  local account = open[store] or { users = 0, count = 0, cars = {} }
  account.users = account.users + 1
  open[store] = account
end

--- The other end of open, after a save.
function live.close(store)
  local account = open[store]
  account.users = account.users - 1
  if account.users == 0 then open[store] = nil end
end

--- A car as it is known here, or nil.
---@return {state:table, at:number|nil, drive_train:string|nil}|nil car
function live.find(store, vin)
  return open[store] and open[store].cars[vin]
end

--- Which engines a car has, or nil. Its basic data never changes, but may not be known at first.
function live.drive_train(store, vin)
  local car = live.find(store, vin)
  return car and car.drive_train
end

--- What is known of a car, here or in the account file.
---@return table|nil state
function live.state(store, vin)
  local car = live.find(store, vin)
  if car then return car.state end
  return store:_values(vin) or nil
end

--- Takes in what the stream has sent, if the account is open.
---@param values table as of bmwi._values.merge
---@return table|nil before the state that was known before; nil if nothing is new
---@return table|nil state
function live.take(store, vin, values, now)
  local account = open[store]
  local car = account.cars[vin]
  if not car then
    if account.count >= MOST_CARS then return nil end
    account.count = account.count + 1
    car = { state = store:_values(vin) or {}, at = store:_fetched(vin) }
    car.drive_train = drive_train_of(store:_basic(vin))
    account.cars[vin] = car
  end
  local before = car.state
  local state, _, taken = bmwi._values.merge(before, values, { source = "stream", now = now })
  if taken == 0 then return nil end
  car.state, car.at, car.dirty = state, now, true
  return before, state
end

--- Puts what was read by REST in its place, where the stream is open.
function live.put(store, vin, state, now)
  local car = live.find(store, vin)
  if car then car.state, car.at = state, now end
end

--- Whether there is something to be saved.
function live.dirty(store)
  for _, car in pairs(open[store].cars) do
    if car.dirty then return true end
  end
  return false
end

--- Writes what is new to the account file. What cannot be written is tried again the next time.
function live.save(store)
  local dirty, list = {}, {} -- others may come, and it may be closed, while it is being written
  for vin, car in pairs(open[store].cars) do
    if car.dirty then
      car.dirty = false
      dirty[vin] = car
      list[#list + 1] = { vin = vin, state = car.state, fetched = car.at }
    end
  end
  if #list == 0 then return end
  local saved = store:_set_all_values(list)
  local basic = store:_all_basic() or {}
  for vin, car in pairs(dirty) do
    car.dirty = car.dirty or not saved
    car.drive_train = car.drive_train or drive_train_of(basic[vin])
  end
end

return live
