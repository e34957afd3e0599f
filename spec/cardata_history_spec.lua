-- CarData's charging history and charging settings: windows, pages and failures in between, with a
-- scripted client.
local double = require("spec.cardata_helper")
local helper = require("spec.helper")
local time = require("bmwi.time")

local refusal, VIN = double.refusal, double.VIN
local DAY = 86400

local function misused(fn)
  return double.misused("spec/cardata_history_spec.lua", fn)
end

describe("car:charging_history()", function()
  local client, car
  local NOW = os.time()

  -- Pages of sessions by their ages in days; the last one has no token.
  local function pages(...)
    local list, given = {}, { ... }
    for i, ages in ipairs(given) do
      local data = {}
      for k, age in ipairs(ages) do
        data[k] = { startTime = NOW - age * DAY, endTime = NOW - age * DAY + 3600, mileage = 100,
          mileageUnits = "MileageUnits.KM" }
      end
      list[i] = { { data = data, next_token = i < #given and "t" .. i or nil } }
    end
    return list
  end
  local function ages_of(sessions)
    local list = {}
    for i, session in ipairs(sessions) do list[i] = (NOW - session.startTime) / DAY end
    return list
  end

  before_each(function()
    client = double.client({ daily_limit = 50 })
    car = client.car
  end)

  it("reads the pages of the last 30 days, in order", function()
    client.answer.charging_history = pages({ 1, 2 }, { 3, 4 }, { 5 })
    assert.same({ 5, 4, 3, 2, 1 }, ages_of(car:charging_history()))
    assert.equal(3, #client.calls)
    local first, second = client.calls[1].request, client.calls[2].request
    assert.equal(VIN, first.vin)
    assert.truthy(first.query.from:find("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.000Z$"))
    assert.equal(30 * DAY, time.parse(first.query.to) - time.parse(first.query.from))
    assert.is_nil(first.query.nextToken)
    assert.equal("t1", second.query.nextToken)
    assert.equal(first.query.from, second.query.from)
    assert.equal("t2", client.calls[3].request.query.nextToken)
  end)

  it("cuts any span into windows of at most 45 days, each session once", function()
    local spans = { { 45, 1 }, { 45.5, 2 }, { 90, 2 }, { 100, 3 }, { 1, 1 } }
    for _, span in ipairs(spans) do
      client.answer.charging_history = function() return pages({ 2, 1 })[1] end
      assert.same({ 2, 1 }, ages_of(car:charging_history({ from = NOW - span[1] * DAY, to = NOW })))
      assert.equal(span[2], #client.calls)
      local till = NOW
      for _, call in ipairs(client.calls) do
        local from, to = time.parse(call.request.query.from), time.parse(call.request.query.to)
        assert.equal(till, to)
        assert.truthy(to - from <= 45 * DAY and to > from)
        till = from
      end
      assert.equal(NOW - span[1] * DAY, till)
      client:called()
    end
  end)

  it("keeps the longer of two sessions that began at the same time", function()
    client.answer.charging_history = pages({ 1 }, { 1 }, { 2 })
    local again = client.answer.charging_history[2][1].data[1]
    client.answer.charging_history[1][1].data[1].endTime = nil
    local sessions = car:charging_history()
    assert.same({ 2, 1 }, ages_of(sessions))
    assert.equal(again.endTime, sessions[2].endTime)
  end)

  it("reads times and mileage, and allows for missing members", function()
    client.answer.charging_history = { { { data = {
      { startTime = 1700000000123, endTime = "1700003600", mileage = 1000,
        mileageUnits = "MileageUnits.MI", energyConsumedFromPowerGridKwh = 22.979991912841797,
        chargingBlocks = { { startTime = 1700000000000, averagePowerGridKw = 11 }, "x" } },
      { startTime = "2023-11-14T00:00:00Z", mileage = 5, mileageUnits = "parsec" },
      { energyDischargedKwh = 1.2 }, { startTime = "soon", endTime = 1600000000 }, "x" } } } }
    assert.same({
      { endTime = 1600000000 },
      { startTime = 1699920000, mileage = 5 },
      { startTime = 1700000000, endTime = 1700003600, mileage = 1609, mileageUnits = "km",
        energyConsumedFromPowerGridKwh = 22.979991912841797,
        chargingBlocks = { { startTime = 1700000000, averagePowerGridKw = 11 }, "x" } },
      { energyDischargedKwh = 1.2 } }, car:charging_history())
  end)

  it("knows each spelling of km and miles that a status knows", function()
    for _, row in ipairs { { "mi", 1609 }, { "MILES", 1609 }, { "Mile", 1609 }, { "km", 1000 },
      { "MileageUnits.MI", 1609 }, { "KILOMETERS", 1000 }, { "MileageUnits.KM", 1000 },
      { "l" }, { "" }, { 5 }, { true } } do
      client.answer.charging_history = { { { data = { { mileage = 1000, mileageUnits = row[1] },
        } } } }
      local session = car:charging_history()[1]
      assert.same({ mileage = row[2] or 1000, mileageUnits = row[2] and "km" }, session,
        tostring(row[1]))
    end
  end)

  it("sends nothing if the period takes more calls than are left", function()
    local quota = { limit = 50, used = 47, left = 3, resets_at = os.time() + 900 }
    client.store._quota = function() return quota end
    local span = { from = NOW - 45 * 4 * DAY, to = NOW }
    local message, info, _ = helper.fails_as("quota", car:charging_history(span))
    helper.has(message, "at least 4 calls, but only 3 of 50 are left")
    assert.equal(4, info.calls)
    assert.equal("read a shorter span", info.hint)
    -- BMW's count is a minute behind
    assert.truthy(info.retry_after > 900 and info.retry_after <= 960)
    _, info = helper.fails_as("quota", car:charging_history({ from = 0 }))
    assert.is_nil(info.retry_after)
    quota.left = 0
    _, info = helper.fails_as("quota", car:charging_history({ from = 0 }))
    assert.equal("read a shorter span", info.hint)
    client.store._quota = function() return nil, "cannot be read", "store" end
    helper.fails_as("store", car:charging_history())
    assert.equal("", client:called())
  end)

  it("advises to wait if no call is left, when the next one is possible", function()
    for _ = 1, 50 do assert(client.store:_spend({ limit = 50 })) end
    local message, info = helper.fails_as("quota", car:charging_history())
    helper.has(message, "at least 1 call, but none of 50 are left")
    helper.has(info.hint, "wait until calls become available again")
    assert.truthy(info.retry_after > DAY and info.retry_after <= DAY + 60)
    assert.equal("", client:called())
  end)

  local FAILURES = {
    { "a page that always fails", refusal("CU-500"), "server" },
    { "the end of the quota", refusal("CU-429"), "quota" },
    { "an answer without a list", { { data = true } }, "json" },
    { "no network", { nil, "no route", "network" }, "network" },
  }
  for _, failure in ipairs(FAILURES) do
    it("keeps the sessions read before " .. failure[1], function()
      local list = pages({ 1, 2 }, { 3 }, { 4 })
      list[3] = failure[2]
      client.answer.charging_history = list
      local _, info = helper.fails_as(failure[3], car:charging_history())
      assert.same({ 3, 2, 1 }, ages_of(info.partial))
      assert.equal(3, #client.calls)
    end)
  end

  it("restarts from the first page, once, when the page token has expired", function()
    local list, again = pages({ 1 }, { 2 }), pages({ 1 }, { 2 })
    client.answer.charging_history = { list[1], refusal("CU-125"), again[1], again[2] }
    assert.same({ 2, 1 }, ages_of(car:charging_history()))
    assert.is_nil(client.calls[3].request.query.nextToken)
    list, again = pages({ 1 }, { 2 }, { 3 }, { 4 }), pages({ 1 }, { 2 }, { 3 }, { 4 })
    client.answer.charging_history = { list[1], list[2], list[3], refusal("CU-125"),
      again[1], again[2], again[3], again[4] }
    assert.same({ 4, 3, 2, 1 }, ages_of(car:charging_history()))
    list, again = pages({ 1 }, { 2 }), pages({ 1 }, { 2 })
    client.answer.charging_history = { list[1], refusal("CU-125"), again[1], refusal("CU-125") }
    local _, info = helper.fails_as("http", car:charging_history())
    assert.same({ 1 }, ages_of(info.partial))
  end)

  local ENDLESS = {
    { "the same token", function(n) return { 1 + n }, "t" end, 2 },
    { "new tokens without news", function(n) return { 1 }, "t" .. n end, 3 },
    { "empty pages", function(n) return {}, "t" .. n end, 2 },
  }
  for _, kind in ipairs(ENDLESS) do
    it("stops if the pages never end: " .. kind[1], function()
      local n = 0
      client.answer.charging_history = function()
        n = n + 1
        assert(n < 10, "there is no end")
        local ages, token = kind[2](n)
        local page = pages(ages)[1]
        page[1].next_token = token
        return page
      end
      local _, info = helper.fails_as("server", car:charging_history())
      assert.equal(kind[3], n)
      assert.is_table(info.partial)
    end)
  end

  it("accepts an empty page between others", function()
    client.answer.charging_history = pages({ 1 }, {}, { 2 })
    assert.same({ 2, 1 }, ages_of(car:charging_history()))
    client.answer.charging_history = pages({})
    assert.same({}, car:charging_history())
  end)

  it("refuses invalid periods", function()
    local nan = 0 / 0
    for _, span in ipairs({ { from = "2026" }, { from = NOW, to = NOW - 1 }, { to = 1e15 },
      { from = nan }, { to = nan }, { from = -math.huge }, { since = 1 } }) do
      misused(function() car:charging_history(span) end)
    end
    assert.equal("", client:called())
  end)
end)

describe("car:charging_settings()", function()
  local client, car
  before_each(function()
    client = double.client()
    car = client.car
  end)

  it("reads all pages", function()
    client.answer.charging_settings = {
      { { data = { { id = "a" }, { id = "b" } }, nextToken = "n 1" } },
      { { data = { { id = "c" } } } } }
    assert.same({ { id = "a" }, { id = "b" }, { id = "c" } }, car:charging_settings())
    assert.equal("n 1", client.calls[2].request.query.nextToken)
  end)

  it("distinguishes an empty list from an unsupported service", function()
    client.answer.charging_settings = { refusal("CU-127"), { { data = {} } } }
    assert.same({}, car:charging_settings())
    assert.same({}, car:charging_settings())
    client.answer.charging_settings = { refusal("CU-127", { status = 403 }) }
    local message, info, _ = helper.fails_as("unsupported", car:charging_settings())
    helper.has(message, "location based charging settings")
    helper.has(info.hint, "log-in")
    assert.equal(403, info.status)
    client.answer.charging_settings = { { { data = { { id = "a" } }, nextToken = "n" } },
      refusal("CU-500") }
    _, info = helper.fails_as("server", car:charging_settings())
    assert.same({ { id = "a" } }, info.partial)
    client.answer.charging_settings = { { nil, "not found", "not_found", { status = 404 } } }
    helper.fails_as("not_found", car:charging_settings())
  end)
end)
