--- hooks.c: what a store, the log and on_token may do to the client that calls them, in a blocking
--- call and in a task: raise an error, close the client, collect garbage, call the client again.
local helper = require("spec.helper")
local bmwi = require("bmwi")
local async = require("bmwi.async")
local has = helper.has

local loop = bmwi.loop
local VIN = helper.vin

-- What step raises.
local function left()
  local ok, message = pcall(loop.step, loop)
  return not ok and message or nil
end

local MODES = {
  here = function(fn) return pcall(fn) end,
  task = function(fn)
    local results
    async.run(function()
      local function keep(...) results = { n = select("#", ...), ... } end
      keep(true, fn()) -- (not through pcall, for Lua 5.1)
    end)
    return (table.unpack or unpack)(results, 1, results.n) -- luacheck: ignore (Lua 5.1)
  end,
}

describe("a hook", function()
  local sim, calls

  setup(function() sim = helper.start({ args = { "--speed", "50" } }) end)
  teardown(function() sim:stop() end)
  before_each(function()
    sim:reset()
    calls = {}
  end)

  -- A client whose hook of that name calls `act(client)`, and its car. `answer`: that of begin.
  local function with_hook(name, act, answer)
    local client
    local function hook(which, ...)
      calls[which] = (calls[which] or 0) + 1
      if which == name then act(client) end
      return ...
    end
    local store = {
      load = function() end,
      begin = function() return hook("begin", answer) end,
      save = function() return hook("save", true) end,
      finish = function() hook("finish") end,
    }
    client = bmwi.new(helper.client(sim, { retries = 0, timeout = 20, store = store,
      log = function(_, fields) hook(fields.call == "token" and "log of the log-in" or "log") end,
      on_token = function() hook("on_token") end }))
    return client:vehicle(VIN), client
  end

  local function weak(...)
    return setmetatable({ ... }, { __mode = "v" })
  end

  local function are_gone(kept)
    for _ = 1, 4 do collectgarbage() end
    return next(kept) == nil
  end

  local STORE, OTHERS = { "begin", "save", "finish" }, { "log of the log-in", "log", "on_token" }
  local ERRORS = { text = "it broke", table = { "it broke" },
    told = setmetatable({}, { __tostring = function() return "it broke" end }) }

  for mode, run in pairs(MODES) do
    for _, name in ipairs(STORE) do
      for kind, raised in pairs(ERRORS) do
        it(("%s of a store that raises (%s) fails calls: %s"):format(name, kind, mode), function()
          local broken = true
          local car = with_hook(name, function() if broken then error(raised, 0) end end)
          for _, call in ipairs({ "lock_doors", "status" }) do
            local client = with_hook(name, function() error(raised, 0) end)
            local ok, value, message, code, info = run(function() return client[call](client) end)
            assert.is_true(ok)
            assert.is_nil(value)
            assert.equal("store", code, message)
            has(message, "the store's " .. name)
            if kind ~= "table" then has(message, "it broke") end
            assert.is_false(info.retryable)
          end
          assert.equal(0, sim:count("POST", "executeService"))
          assert.equal(0, sim:count("GET", "/status"))
          assert.is_nil(left())
          assert.is_nil(loop:timeout())
          -- The same client works again once its store does, with the token that it got.
          sim:clear()
          calls = {}
          local _, _, _, code = run(function() return car:status() end)
          assert.equal("store", code)
          broken = false
          local _, status = run(function() return car:status() end)
          assert.equal(VIN, status.vin)
          assert.equal(1, sim:count("POST", "/oauth/token"))
          assert.equal(1, calls.finish)
        end)
      end
    end

    for _, name in ipairs(OTHERS) do
      it(("%s that raises is reported once, and loses no result of a task or a command: %s")
        :format(name, mode), function()
          local car = with_hook(name, function() error("it broke", 0) end)
          local ok, value = run(function() return car:status() end)
          if mode == "here" then
            assert.is_false(ok)
            assert.equal("it broke", value)
          else
            assert.equal(VIN, value.vin)
            assert.equal("it broke", left())
          end
          assert.is_nil(left())
          car = with_hook(name, function() error("it broke", 0) end)
          ok, value = run(function() return car:lock_doors() end)
          assert.is_true(ok)
          assert.equal("DOOR_LOCK", value.serviceType)
          assert.equal("it broke", left())
          assert.is_nil(left())
        end)
    end

    for _, name in ipairs({ "begin", "save", "finish", "log of the log-in", "log", "on_token" }) do
      it(("%s that closes the client ends its calls: %s"):format(name, mode), function()
        local car, client = with_hook(name, function(client) client:close() end)
        local ok, value, message, code = run(function() return car:status() end)
        assert.is_true(ok, value)
        assert.is_nil(value)
        assert.equal("closed", code, message)
        assert.equal(name == "log" and 1 or 0, sim:count("GET", "/status"))
        assert.equal("bmwi.client: closed", tostring(client))
        -- A lock that was taken is released, once.
        assert.equal(1, calls.finish)
        assert.is_nil(left())
        assert.is_nil(loop:timeout())
        local kept = weak(car, client)
        car, client = nil, nil -- luacheck: ignore
        assert.is_true(are_gone(kept))
      end)

      it(("%s that collects garbage does no harm: %s"):format(name, mode), function()
        local car = with_hook(name, function()
          collectgarbage()
          collectgarbage()
        end)
        local _, status = run(function() return car:status() end)
        assert.equal(VIN, status.vin)
        assert.equal(1, calls[name])
      end)

      it(("%s cannot wait for a call of its client: %s"):format(name, mode), function()
        local said = {}
        local car = with_hook(name, function(client)
          for i, wait in ipairs({ function() client:login() end, function() client:vehicles() end,
            function() async.run(function() client:vehicles() end) end }) do
            said[i] = select(2, pcall(wait))
          end
          assert(client:vehicle(VIN):vin() == VIN)
          client:token()
        end)
        local _, status = run(function() return car:status() end)
        assert.equal(VIN, status.vin)
        has(said[1], "cannot wait for a call of that client")
        has(said[2], "cannot wait for a call of that client")
        has(said[3], "cannot wait for tasks")
        assert.is_nil(left())
      end)

      it(("%s may start a task that calls its client, and wait for another client: %s")
        :format(name, mode), function()
          local other = bmwi.new(helper.client(sim, { retries = 0, timeout = 20 })):vehicle(VIN)
          local once, started, waited
          local car = with_hook(name, function(client)
            if once then return end
            once = true
            waited = other:status()
            async.spawn(function() started = client:vehicle(VIN):status() end)
          end)
          local _, status = run(function() return car:status() end)
          assert.equal(VIN, status.vin)
          assert.equal(VIN, waited.vin)
          while not started do
            assert.is_number(loop:timeout())
            loop:step(1)
          end
          assert.equal(VIN, started.vin)
          assert.equal(1, calls.begin)
        end)
    end

    for name, answer in pairs({ ["nothing"] = false, ["a time"] = 0.01,
      ["a token"] = { access_token = "abc" } }) do
      it(("begin that closes the client and returns %s leaks nothing: %s"):format(name, mode),
        function()
          local car, client = with_hook("begin", function(client) client:close() end, answer or nil)
          local _, value, _, code = run(function() return car:status() end)
          assert.is_nil(value)
          assert.equal("closed", code)
          assert.is_nil(loop:timeout())
          assert.equal(answer == 0.01 and 0 or 1, calls.finish or 0) -- a time: it holds no lock
          local kept = weak(car, client)
        car, client = nil, nil -- luacheck: ignore
        assert.is_true(are_gone(kept))
          assert.equal(0, sim:count())
        end)
    end
  end

  for mode, run in pairs(MODES) do
    it("begin may return a token that closes the client when it is read: " .. mode, function()
      local client, car
      local odd = setmetatable({}, { __index = function() client:close() end })
      car, client = with_hook("none", nil, odd)
      local _, value, _, code = run(function() return car:status() end)
      assert.is_nil(value)
      assert.equal("closed", code)
      assert.equal(1, calls.finish)
      assert.is_nil(loop:timeout())
    end)
  end

  it("begin may return a time that never comes", function()
    local function none() end
    local client = bmwi.new(helper.client(sim, { timeout = 0.05, store = { load = none,
      save = none, finish = none, begin = function() return math.huge end } }))
    local _, _, code = client:vehicles()
    assert.equal("timeout", code)
    assert.is_true(loop:timeout() <= 86400)
    client:close()
  end)

  it("of a store that raises shows no secret in the error", function()
    local car = with_hook("save", function(client)
      error("cannot write " .. client:token().access_token .. " of p4ssw0rd", 0)
    end)
    local _, message, code, info = car:status()
    assert.equal("store", code)
    has(message, "cannot write ***")
    assert.is_nil(message:find("p4ssw0rd", 1, true))
    assert.is_nil(info.description:find("p4ssw0rd", 1, true))
  end)
end)
