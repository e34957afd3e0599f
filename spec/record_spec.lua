--- client:_record: what is passed to a recorder.
local bmwi = require "bmwi"
local async = require "bmwi.async"
local helper = require "spec.helper"

describe("a client's recorder", function()
  local sim, client, seen

  setup(function() sim = helper.start() end)
  teardown(function() sim:stop() end)
  before_each(function()
    sim:reset()
    client, seen = bmwi.new(helper.client(sim)), {}
    client:_record(function(exchange) seen[#seen + 1] = exchange end)
  end)
  after_each(function() client:close() end)

  local function car() return client:vehicle(helper.vin) end

  it("gets each response unchanged, byte for byte, and no log-in", function()
    local status = assert(car():status())
    assert.equal(1, #seen)
    local one = seen[1]
    assert.equal("answer", one.kind)
    assert.equal("status", one.call)
    assert.equal("GET", one.method)
    assert.equal(200, one.status)
    assert.equal("/webapi/v1/user/vehicles/" .. helper.vin .. "/status",
      (one.path:gsub("%?.*", "")))
    assert.equal(status.mileage, helper.json.decode(one.body).vehicleStatus.mileage)
    local raw = helper.curl("-H", "Authorization: Bearer " .. client:token().access_token,
      sim.url .. one.path)
    assert.equal(raw.body, one.body)
  end)

  it("gets refusals, too, and each response of a retried call", function()
    sim:fault({ path = "/status", status = 503 })
    assert(car():status())
    assert.same({ 503, 200 }, { seen[1].status, seen[2].status })
  end)

  it("gets nothing if there is no response", function()
    sim:fault({ path = "/status", times = 0, reset = "after" })
    assert.is_nil((car():status()))
    assert.same({}, seen)
  end)

  it("gets responses in tasks, and may close the client", function()
    client:_record(function() client:close() end)
    async.run(function() car():status() end)
    assert.is_false(pcall(client.vehicles, client))
  end)

  it("is returned by _record(), and removed by false", function()
    assert.is_function(client:_record())
    client:_record(false)
    assert(client:vehicles())
    assert.same({}, seen)
    assert.falsy(client:_record())
    assert.is_false(pcall(client._record, client, "x"))
  end)

  it("raises its error from the call that was recorded", function()
    client:_record(function() error("disk full", 0) end)
    assert.same({ false, "disk full" }, { pcall(client.vehicles, client) })
  end)
end)
