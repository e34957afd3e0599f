-- CarData's values with equal timestamps, and values that cannot be read. A stream's timestamps are
-- whole seconds, so several values of one second have the same.
local bmwi = require("bmwi")
local stores = require("bmwi.store")
local samples = require("spec.values_helper")
local values = bmwi._values

local NOW = samples.NOW
local MILEAGE, LEVEL, HOOD, LAT = samples.MILEAGE, samples.LEVEL, samples.HOOD, samples.LAT
local LON = samples.LON

local function merge(state, source, descriptor, value, unit, seconds)
  return samples.merge(state, source, { [descriptor] = { value, unit, seconds or -60 } })
end

local function new_store()
  return bmwi.new({ service = "cardata", store = stores.memory(),
    client_id = "11111111-2222-3333-4444-555555555555" }):_store()
end

describe("of two values with the same timestamp", function()
  it("the one that the stream brings later stays, and is news", function()
    for _, row in ipairs {
      { MILEAGE, 48301, 48302, "km" }, { LEVEL, 70, 69, "%" }, { HOOD, true, false },
      { HOOD, "CLOSED", "OPEN" }, { "vehicle.new.thing", 1, 2 }, { MILEAGE, 48301, 48302 },
    } do
      local state = merge(nil, "stream", row[1], row[2], row[4])
      local later, changed, taken = merge(state, "stream", row[1], row[3], row[4])
      assert.equal(row[3], later[row[1]].raw)
      assert.equal(1, taken)
      assert.same({ [row[1]] = true }, changed)
    end
  end)

  it("an equal one is no news, whoever sends it in whichever unit", function()
    local state = merge(nil, "stream", MILEAGE, 48301, "km")
    for _, again in ipairs { { 48301, "km" }, { "48301", "km" }, { "48301" }, { "30013", "mi" } } do
      local later, changed, taken = merge(state, "rest", MILEAGE, again[1], again[2])
      assert.same(state, later)
      assert.same({}, changed)
      assert.equal(0, taken)
    end
    local _, _, taken = merge(state, "stream", MILEAGE, "30020", "mi")
    assert.equal(1, taken)
  end)

  it("the known one stays if one of them was read by REST", function()
    for _, sources in ipairs { { "stream", "rest" }, { "rest", "stream" }, { "rest", "rest" } } do
      local state = merge(nil, sources[1], MILEAGE, 48301, "km")
      local later, changed, taken = merge(state, sources[2], MILEAGE, 48302, "km")
      assert.same(state, later)
      assert.same({}, changed)
      assert.equal(0, taken)
    end
  end)

  it("is a position, too", function()
    local function at(state, lat, lon, seconds)
      return values.merge(state, { [LAT] = { value = lat, timestamp = NOW + seconds },
        [LON] = { value = lon, timestamp = NOW + seconds } }, { source = "stream", now = NOW })
    end
    local state = at(at(nil, 48.1, 11.5, -60), 48.2, 11.6, -60)
    assert.same({ lat = 48.2, lon = 11.6, status = "OK" }, values.status(state).position)
    assert.equal(48.2, values.status(at(state, 48.3, 11.7, -61)).position.lat)
  end)

  it("an account file keeps the later one", function()
    local store = new_store()
    local state = merge(nil, "stream", MILEAGE, 48301, "km")
    assert(store:_set_values("WBACARDATA0000001", state))
    assert(store:_set_values("WBACARDATA0000001", (merge(state, "stream", MILEAGE, 48302, "km"))))
    assert.equal(48302, store:_values("WBACARDATA0000001")[MILEAGE].value)
  end)
end)

describe("a value that cannot be read", function()
  local UNREADABLE = { { MILEAGE, "x", "km" }, { MILEAGE, true, "km" }, { MILEAGE, 7, "%" },
    { LEVEL, "full", "%" }, { LEVEL, nil, "%" }, { LAT, "north" } }
  local GOOD = { [MILEAGE] = 48302, [LEVEL] = 70, [LAT] = 48.2 }
  local UNITS = { [MILEAGE] = "km", [LEVEL] = "%" }

  it("is replaced by one that can, even an older one", function()
    for _, bad in ipairs(UNREADABLE) do
      for _, seconds in ipairs { -61, -60, -59 } do
        local state = merge(nil, "stream", bad[1], bad[2], bad[3])
        state = merge(state, "stream", bad[1], GOOD[bad[1]], UNITS[bad[1]], seconds)
        assert.equal(GOOD[bad[1]], state[bad[1]].value, tostring(bad[2]))
      end
    end
  end)

  it("replaces none that can", function()
    for _, bad in ipairs(UNREADABLE) do
      for _, seconds in ipairs { -61, -60, -59 } do
        local state = merge(nil, "stream", bad[1], GOOD[bad[1]], UNITS[bad[1]])
        local _, _, taken = merge(state, "stream", bad[1], bad[2], bad[3], seconds)
        assert.equal(0, taken, tostring(bad[2]))
      end
    end
  end)

  it("does not stay in an account file in place of one that can", function()
    local store = new_store()
    local VIN = "WBACARDATA0000001"
    assert(store:_set_values(VIN, (merge(nil, "stream", LEVEL, "-NA-", "%"))))
    assert(store:_set_values(VIN, (merge(nil, "stream", LEVEL, 70, "%", -61))))
    assert.equal(70, store:_values(VIN)[LEVEL].value)
    assert(store:_set_values(VIN, (merge(nil, "stream", LEVEL, "-NA-", "%", -59))))
    assert.equal(70, store:_values(VIN)[LEVEL].value)
  end)

  it("is shown with its reason where there is no other", function()
    local _, details = values.status((merge(nil, "stream", MILEAGE, "x", "km")))
    assert.equal("unreadable", details.mileage.reason)
    assert.equal("x", details.mileage.raw)
  end)

  it("is not a new word of BMW's, which says that the known one no longer holds", function()
    local state = merge(nil, "stream", HOOD, "CLOSED")
    state = merge(state, "stream", HOOD, "AJAR", nil, -59)
    local status, details = values.status(state)
    assert.is_nil(status.hood)
    assert.equal("AJAR", details.hood.raw)
  end)
end)
