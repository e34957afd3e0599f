-- How the stream's messages are read, merged and combined into updates.
local bmwi = require("bmwi")
local helper = require("spec.helper")
local live = require("bmwi.cardata.live")
local message = require("bmwi.cardata.stream_message")
local queue = require("bmwi.cardata.stream_queue")
local stores = require("bmwi.store")
local times = require("bmwi.cardata.stream_times")

local VIN, OTHER = "WBYCARDATA0000001", "WBYCARDATA0000002"
local LEVEL = "vehicle.drivetrain.batteryManagement.header"
local MILEAGE = "vehicle.vehicle.travelledDistance"
local NOW = 1764170000

local function payload(data, more)
  local sent = { vin = VIN, entityId = "x", topic = VIN, timestamp = NOW * 1000, data = data }
  for name, value in pairs(more or {}) do sent[name] = value end
  return helper.json.encode(sent)
end

describe("a message of the stream", function()
  it("is read with one value and with many", function()
    local vin, values = message.read("gcid/" .. VIN,
      payload({ [LEVEL] = { value = 55, unit = "%", timestamp = NOW } }))
    assert.equal(VIN, vin)
    assert.equal(55, values[LEVEL].value)
    assert.equal("%", values[LEVEL].unit)
    assert.equal(NOW, values[LEVEL].timestamp)
    local many = {}
    for i = 1, 100 do many["vehicle.key" .. i] = { value = i } end
    vin, values = message.read("gcid/" .. VIN, payload(many))
    assert.equal(VIN, vin)
    assert.equal(100, #helper.names(values))
    assert.equal(NOW * 1000, values["vehicle.key7"].timestamp) -- the whole message's
  end)

  -- BMW's recorded forms, with made-up values: an ISO time with milliseconds for the message and
  -- one without for each value, and a unit only where there is one.
  local RECORDED = [[ [
    {"vin":"VIN","entityId":"aa111192-d570-4d3d-8835-656ee00edcd7","topic":"VIN",
     "timestamp":"2025-11-26T15:13:20.305Z","data":{
      "vehicle.drivetrain.electricEngine.charging.status":
        {"timestamp":"2025-11-26T15:13:20Z","value":"NOCHARGING"}}},
    {"vin":"VIN","entityId":"aa111192-d570-4d3d-8835-656ee00edcd7","topic":"VIN",
     "timestamp":"2025-11-26T15:13:34.496Z","data":{
      "vehicle.vehicle.preConditioning.activity":
        {"timestamp":"2025-11-26T15:13:34Z","value":"INACTIVE"}}},
    {"vin":"VIN","entityId":"aa111192-d570-4d3d-8835-656ee00edcd7","topic":"VIN",
     "timestamp":"2025-11-26T15:13:34.496Z","data":{
      "vehicle.vehicle.travelledDistance":
        {"timestamp":"2025-11-26T15:13:34Z","value":48260,"unit":"km"}}},
    {"vin":"VIN","entityId":"aa111192-d570-4d3d-8835-656ee00edcd7","topic":"VIN",
     "timestamp":"2025-11-26T15:13:36.809Z","data":{
      "vehicle.powertrain.electric.battery.charging.preferenceSmartCharging":
        {"timestamp":"2025-11-26T15:13:35Z","value":"PRICE_OPTIMIZED"}}},
    {"vin":"VIN","entityId":"aa111192-d570-4d3d-8835-656ee00edcd7","topic":"VIN",
     "timestamp":"2025-11-26T15:13:37.100Z","data":{
      "vehicle.powertrain.electric.battery.charging.power":
        {"timestamp":"2025-11-26T15:13:37Z","value":7360,"unit":"W"}}}
  ] ]]

  it("is parsed whole in the recorded forms", function()
    local state
    for _, sent in ipairs(helper.json.decode((RECORDED:gsub('"VIN"', '"' .. VIN .. '"')))) do
      local vin, values = message.read(sent.entityId .. "/" .. VIN, helper.json.encode(sent))
      assert.equal(VIN, vin)
      local taken
      state, _, taken = bmwi._values.merge(state, values, { source = "stream", now = NOW + 60 })
      assert.equal(1, taken)
    end
    local found = {}
    for name, entry in pairs(bmwi._values.telematics(state, { now = NOW + 60 })) do
      found[name:match("[^.]+$")] = { entry.value, entry.unit or "", entry.time - NOW, entry.age }
    end
    assert.same({ status = { "NOCHARGING", "", 0, 60 }, activity = { "INACTIVE", "", 14, 46 },
      travelledDistance = { 48260, "km", 14, 46 }, power = { 7360, "W", 17, 43 },
      preferenceSmartCharging = { "PRICE_OPTIMIZED", "", 15, 45 } }, found)
    local status = bmwi._values.status(state, { now = NOW + 60 })
    assert.same({ "NOT_CHARGING", "INACTIVE", 48260, 7360 }, { status.chargingStatus,
      status.climateActivity, status.mileage, status.chargingPower })
  end)

  it("may have the VIN only in its topic, in lower case", function()
    local vin = message.read("gcid/" .. VIN:lower(),
      helper.json.encode({ data = { a = { value = 1 } } }))
    assert.equal(VIN, vin)
  end)

  it("is skipped if malformed", function()
    local good = payload({ a = { value = 1 } })
    assert.equal(VIN, (message.read("g/" .. VIN, good)))
    for _, row in ipairs({
      { VIN, good }, { "", good }, { "g/", good }, { "g/WBY", good },
      { "g/../../etc/passwd", good },
      { "g/" .. OTHER, good }, { "g/" .. VIN, "" }, { "g/" .. VIN, "{" }, { "g/" .. VIN, "[]" },
      { "g/" .. VIN, "null" }, { "g/" .. VIN, "7" }, { "g/" .. VIN, ("["):rep(100000) },
      { "g/" .. VIN, "\0\255" }, { "g/" .. VIN, '{"data":[1,2]}' }, { "g/" .. VIN, '{"data":{}}' },
      { "g/" .. VIN, '{"data":"x"}' }, { "g/" .. VIN, '{"data":{"a":5}}' },
      { "g/" .. VIN, payload({ [("a"):rep(300)] = { value = 1 } }) },
      { "g/" .. VIN, payload({ a = { value = 1 } }, { vin = 5 }) },
    }) do
      local vin, reason = message.read(row[1], row[2])
      assert.is_nil(vin, row[1] .. " " .. row[2]:sub(1, 40))
      assert.is_string(reason)
    end
  end)

  it("is kept in part if partly malformed", function()
    local _, values = message.read("g/" .. VIN, payload({ a = 5, b = { value = true }, c = "x" }))
    assert.same({ "b" }, helper.names(values))
  end)
end)

describe("the live values of an account", function()
  local store

  before_each(function()
    store = stores.memory()
    live.open(store)
  end)
  after_each(function() live.close(store) end)

  local function take(descriptor, value, at)
    return live.take(store, VIN, { [descriptor] = { value = value, timestamp = at or NOW } }, NOW)
  end

  it("start with those of the account file and are saved there", function()
    assert(store:_set_values(VIN, (bmwi._values.merge(nil, { [LEVEL] = { value = "40",
      unit = "%", timestamp = NOW - 900 } }, { source = "rest", now = NOW })), NOW - 900))
    local before, state = take(MILEAGE, 1000)
    assert.equal(40, before[LEVEL].value)
    assert.equal(40, state[LEVEL].value)
    assert.is_true(live.dirty(store))
    assert.is_nil(store:_values(VIN)[MILEAGE])
    live.save(store)
    assert.is_false(live.dirty(store))
    assert.equal(1000, store:_values(VIN)[MILEAGE].value)
    assert.equal(NOW, store:_fetched(VIN))
  end)

  it("accept nothing that is older, or as old and the same", function()
    assert(take(LEVEL, 40, NOW))
    assert.is_nil(take(LEVEL, 41, NOW - 1))
    assert.is_nil(take(LEVEL, 40, NOW))
    assert(take(LEVEL, 42, NOW))
    assert(take(LEVEL, 43, NOW + 1))
    assert.equal(43, live.state(store, VIN)[LEVEL].value)
  end)

  it("cover at most 256 cars", function()
    local taken = 0
    for i = 1, 300 do
      local vin = ("WBY%014d"):format(i)
      if live.take(store, vin, { a = { value = 1, timestamp = NOW } }, NOW) then
        taken = taken + 1
      end
    end
    assert.equal(256, taken)
  end)

  it("are saved in one go, for however many cars", function()
    local changes, change = 0, store._change
    store._change = function(...)
      changes = changes + 1
      return change(...)
    end
    for i = 1, 100 do
      live.take(store, ("WBY%014d"):format(i), { a = { value = i, timestamp = NOW } }, NOW)
    end
    local reads, read = 0, store.place.read
    store.place.read = function()
      reads = reads + 1
      return read()
    end
    live.save(store)
    assert.equal(1, changes)
    assert.equal(2, reads) -- to change it, and for which engines they have
    assert.is_false(live.dirty(store))
    assert.equal(100, store:_values(("WBY%014d"):format(100)).a.value)
    live.save(store)
    assert.equal(1, changes)
  end)

  it("are only those of the account file if no stream is open", function()
    assert(take(LEVEL, 40))
    assert.equal(40, live.state(store, VIN)[LEVEL].value)
    live.close(store)
    assert.is_nil(live.state(store, VIN))
    live.open(store)
  end)
end)

describe("the queued updates", function()
  local function new(vins)
    return queue.new { vins = vins, times = times, drive_train = function() return "BEV" end }
  end

  -- Adds values of one time to the queue as if they had been merged.
  local states
  local function push(q, vin, values, now)
    local sent = {}
    for descriptor, value in pairs(values) do
      sent[descriptor] = { value = value, unit = descriptor == MILEAGE and "km" or "%",
        timestamp = NOW + now }
    end
    local before = states[vin] or {}
    states[vin] = bmwi._values.merge(before, sent, { source = "stream", now = NOW + now })
    return q:push(vin, before, states[vin], sent, now)
  end

  before_each(function() states = {} end)

  it("are combined if messages arrive close together", function()
    local q = new()
    for i = 1, 100 do push(q, VIN, { ["vehicle.key" .. i] = i }, i / 1000) end
    assert.is_nil((q:take(0.15, false)))
    local update = q:take(0.4, false)
    assert.equal(100, #helper.names(update.values))
    assert.is_nil((q:take(9, true)))
  end)

  it("wait for more at most a second", function()
    local q = new()
    for i = 0, 100 do push(q, VIN, { [LEVEL] = i }, i / 10) end
    local update = q:take(10, false)
    assert.equal(9, update.status.chargingLevelHv) -- of the messages of the first second
  end)

  it("contain the changes since the last one, the first all known values", function()
    local q = new()
    push(q, VIN, { [LEVEL] = 40, [MILEAGE] = 1000 }, 0)
    local first = q:take(2, false)
    assert.equal(40, first.status.chargingLevelHv)
    assert.is_true(first.changed.chargingLevelHv)
    assert.is_true(first.changed.mileage)
    assert.same({ LEVEL, MILEAGE }, helper.names(first.values))
    push(q, VIN, { [LEVEL] = 41 }, 3)
    local second = q:take(5, false)
    assert.same({ LEVEL }, helper.names(second.values))
    assert.equal(41, second.values[LEVEL].value)
    assert.equal("stream", second.details.chargingLevelHv.source)
    assert.equal(1000, second.status.mileage)
    assert.is_true(second.changed.chargingLevelHv)
    assert.is_nil(second.changed.mileage)
  end)

  it("do not list values that came again unchanged", function()
    local q, sent = new(), { [LEVEL] = { value = 1 }, [MILEAGE] = { value = 2 } }
    local old = { [LEVEL] = { value = 1 }, [MILEAGE] = { value = 1 } }
    q:push(VIN, {}, old, sent, 0)
    q:take(2, false)
    q:push(VIN, old, { [LEVEL] = old[LEVEL], [MILEAGE] = { value = 2 } }, sent, 3)
    assert.same({ MILEAGE }, helper.names(q:take(9, false).values))
  end)

  it("are not merged into one that was delivered", function()
    local q = new()
    push(q, OTHER, { [LEVEL] = 1 }, 0)
    for i = 1, 63 do push(q, VIN, { [LEVEL] = i }, i * 10) end
    assert.equal(OTHER, q:take(1e6, false).vin)
    push(q, VIN, { [LEVEL] = 64 }, 700)
    push(q, OTHER, { [LEVEL] = 2 }, 710)
    local last
    for _ = 1, 100 do last = q:take(1e6, false) or last end
    assert.equal(OTHER, last.vin)
    assert.equal(2, last.status.chargingLevelHv)
  end)

  it("are not affected by a reader that modifies its copy", function()
    local q = new()
    push(q, VIN, { [LEVEL] = 40 }, 0)
    local update = q:take(2, false)
    update.status.chargingLevelHv = 99
    push(q, VIN, { [LEVEL] = 99 }, 3)
    assert.is_true(q:take(5, false).changed.chargingLevelHv)
  end)

  it("come in the order of their cars, and only for the requested ones", function()
    local q = new({ [VIN] = true })
    assert.is_false(push(q, OTHER, { [LEVEL] = 1 }, 0))
    assert.is_true(push(q, VIN, { [LEVEL] = 2 }, 1))
    assert.equal(VIN, q:take(9, false).vin)
    assert.is_nil((q:take(9, true)))
  end)

  it("are bounded for a slow reader: a car's last update absorbs the rest", function()
    local q = new()
    for i = 1, 1000 do
      push(q, VIN, { [LEVEL] = i % 100, ["vehicle.key" .. i % 7] = i }, i * 10)
    end
    push(q, OTHER, { [LEVEL] = 7 }, 20000)
    local updates, last = 0, nil
    for _ = 1, 2000 do
      local update = q:take(1e6, false)
      if not update then break end
      updates = updates + 1
      if update.vin == VIN then last = update end
    end
    assert.equal(65, updates)
    assert.equal(0, last.status.chargingLevelHv)
    assert.equal(8, #helper.names(last.values))
  end)

  it("are delivered immediately when the stream has ended", function()
    local q = new()
    push(q, VIN, { [LEVEL] = 40 }, 0)
    local none, wait = q:take(0.1, false)
    assert.is_nil(none)
    assert(wait > 0 and wait <= 0.2)
    assert(q:take(0.1, true))
  end)
end)
