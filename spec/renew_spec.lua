-- What the stream needs from a client besides calls: a token that is renewed once for all tasks and
-- processes, and gates to wait for.

local async = require("bmwi.async")
local bmwi = require("bmwi")
local helper = require("spec.helper")
local streams = require("spec.stream_helper")
local stores = require("bmwi.store")

local CLIENT = "6b1f5a52-9d2e-4c0f-8a53-1f0c2d3e4b5a"
local loop = bmwi.loop

describe("the stream's needs", function()
  local sim, path

  local function new(changes)
    local given = { service = "cardata", client_id = CLIENT, base_url = sim.url,
      login_url = sim.url .. "/gcdm/oauth", store = stores.new(path), timeout = 10, retries = 0,
      on_prompt = function() end }
    for name, value in pairs(changes or {}) do given[name] = value or nil end
    return bmwi.new(given)
  end
  local function logged_in(changes)
    local client = new(changes)
    assert(client:login())
    sim:clear()
    return client
  end
  local function renewals() return streams.renewals(sim) end

  setup(function() sim = helper.start() end)
  teardown(function() sim:stop() end)
  before_each(function()
    sim:reset()
    sim:control("POST", "/cardata/login", { interval = 0.05 })
    path = os.tmpname()
    os.remove(path)
  end)
  after_each(function()
    for _, ending in ipairs({ "", ".lock", ".write.lock" }) do os.remove(path .. ending) end
  end)

  describe("_renew", function()
    it("does nothing while the token is good", function()
      for _, store in ipairs({ stores.new(path), false }) do
        local client = logged_in({ store = store })
        assert.is_true(client:_renew())
        assert.is_true(client:_renew("another token"))
        assert.equal(0, renewals())
      end
    end)

    it("replaces the given token", function()
      for _, store in ipairs({ stores.new(path), false }) do
        local client = logged_in({ store = store })
        local before = client:token()
        assert.is_true(client:_renew(before.access_token))
        local after = client:token()
        assert.not_equal(before.access_token, after.access_token)
        assert.not_equal(before.id_token, after.id_token)
        assert(after.expires_at > os.time() + 3000)
        assert.is_true(client:_renew(before.access_token)) -- somebody has done so
        assert.equal(1, renewals())
        sim:clear()
      end
    end)

    it("replaces it once for all tasks", function()
      local client = logged_in()
      local used = client:token().access_token
      local list = {}
      for i = 1, 50 do list[i] = i end
      local results, errors = async.map(list, function() return client:_renew(used) end)
      assert.same({}, errors)
      assert.equal(50, #results)
      assert.equal(1, renewals())
    end)

    it("replaces it once for all processes of an account, and takes its newest token", function()
      local one = logged_in()
      local two = new()
      local used = one:token().access_token
      assert.equal(used, two:token().access_token)
      async.run(function() assert(one:_renew(used)) end, function() assert(two:_renew(used)) end)
      assert.equal(1, renewals())
      assert.equal(one:token().id_token, two:token().id_token)
      assert(one:_renew(one:token().access_token))
      assert.is_true(two:_renew()) -- not because its own were bad
      assert.equal(one:token().id_token, two:token().id_token)
      assert.equal(2, renewals())
    end)

    it("does not replace a valid token with an older one", function()
      local client = logged_in()
      local before = client:token()
      local old = stores.new(path):load()
      old.access_token, old.refresh_token, old.expires_at = "old", "old", os.time() - 5
      assert(stores.new(path):save(old, { server = sim.url, username = CLIENT }))
      assert.is_true(client:_renew())
      assert.equal(before.access_token, client:token().access_token)
      old.expires_at = os.time() + 60
      assert(stores.new(path):save(old, { server = sim.url, username = CLIENT }))
      assert.is_true(client:_renew())
      assert.equal(before.access_token, client:token().access_token)
      assert.equal(0, renewals())
    end)

    it("never logs in", function()
      local prompted = 0
      local client = new({ on_prompt = function() prompted = prompted + 1 end })
      helper.fails_as("auth", client:_renew())
      assert.equal(0, prompted)
      assert.equal(0, #sim:log())
    end)

    it("says why there is no token", function()
      local client = logged_in()
      sim:fault({ path = "/oauth/token", times = 1, status = 400,
        body = '{"error":"invalid_grant"}' })
      helper.fails_as("auth", client:_renew(client:token().access_token))
      helper.fails_as("auth", client:_renew())
    end)

    it("does not disturb calls: those made meanwhile wait for the new token", function()
      local client = logged_in()
      local used = client:token().access_token
      async.run(function() assert(client:_renew(used)) end,
        function() assert(client:vehicles()) end)
      assert.equal(1, renewals())
    end)
  end)

  describe("a gate", function()
    it("is opened by another task, by time, and before anything waits", function()
      local client = new()
      for _, make in ipairs({ function(s) return loop:gate(s) end,
        function(s) return client:_gate(s) end }) do
        local gate, order = make(), {}
        async.run(function()
          assert.equal(0, select("#", loop:pass(gate)))
          order[#order + 1] = "passed"
        end, function()
          bmwi.sleep(0.01)
          order[#order + 1] = "opened"
          loop:open(gate)
          loop:open(gate)
        end)
        assert.same({ "opened", "passed" }, order)
        assert.equal(0, select("#", loop:pass(make(0.01))))
        async.run(function() loop:pass(make(0.01)) end)
        gate = make(100)
        loop:open(gate)
        loop:pass(gate)
        loop:pass(gate)
        async.run(function() loop:pass(gate) end)
      end
    end)

    it("lets tasks run while it is waited for outside a task", function()
      local gate = loop:gate()
      async.spawn(function()
        bmwi.sleep(0.01)
        loop:open(gate)
      end)
      loop:pass(gate)
    end)

    it("of a client ends when that is closed", function()
      local client = new()
      local inside
      async.run(function()
        inside = { loop:pass(client:_gate(100)) }
      end, function()
        bmwi.sleep(0.01)
        client:close()
      end)
      assert.is_nil(inside[1])
      assert.equal("closed", inside[3])
      local other = new()
      local gate = other:_gate()
      other:close()
      helper.fails_as("closed", loop:pass(gate))
    end)

    it("logs nothing", function()
      local events = 0
      local client = new({ log = function() events = events + 1 end })
      loop:pass(client:_gate(0.001))
      assert.equal(0, events)
    end)

    it("refuses invalid arguments", function()
      local gate = loop:gate(0.1)
      assert.has_error(function() loop:gate(-1) end)
      assert.has_error(function() loop:gate(0 / 0) end)
      assert.has_error(function() loop:pass(5) end)
      assert.has_error(function() loop:open(loop) end)
      async.run(function() loop:pass(gate) end, function()
        assert.has_error(function() loop:pass(gate) end)
      end)
    end)
  end)
end)
