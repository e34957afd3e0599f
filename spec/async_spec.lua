--- bmwi.async: ordinary calls, run concurrently.
local helper = require("spec.helper")
local bmwi = require("bmwi")
local async = require("bmwi.async")
local wait = require("bmwi.wait")
local drive, has = helper.drive, helper.has

local loop = bmwi.loop
local VIN = helper.vin
local old_lua = _VERSION == "Lua 5.1" and not rawget(_G, "jit")
local close_coroutine = coroutine.close -- luacheck: ignore (Lua 5.4)

local function drive_for(seconds)
  local stop = bmwi._sys.monotonic() + seconds
  while bmwi._sys.monotonic() < stop do loop:step(0.02) end
end

local function numbers(count)
  local list = {}
  for i = 1, count do list[i] = i end
  return list
end

describe("bmwi.async", function()
  local sim, limit

  local function new(overrides)
    local options = { retries = 0, timeout = 60 }
    for name, value in pairs(overrides or {}) do options[name] = value end
    return bmwi.new(helper.client(sim, options))
  end

  local function logged_in(overrides)
    local client = new(overrides)
    assert.is_true(client:login())
    sim:clear()
    return client:vehicle(VIN), client
  end

  setup(function()
    sim = helper.start({ args = { "--speed", "50" } })
    limit = loop:limit(100)
  end)
  teardown(function()
    sim:stop()
    loop:limit(limit)
  end)
  before_each(function() sim:reset() end)

  describe("run", function()
    it("runs ordinary functions with ordinary calls and returns their results in order", function()
      local client = new()
      local car = client:vehicle(VIN)
      local list, status, number, nothing, text = async.run(
        function() return client:vehicles() end,
        function() return car:status() end,
        function()
          bmwi.sleep(0.05)
          return 7
        end,
        function() end,
        function() return "x" end)
      assert.equal(VIN, list[1].vin)
      assert.equal(VIN, status.vin)
      assert.equal(7, number)
      assert.is_nil(nothing)
      assert.equal("x", text)
    end)

    it("does nothing without functions", function()
      assert.equal(0, select("#", async.run()))
    end)

    it("runs them concurrently", function()
      local car = logged_in()
      sim:fault({ path = "/status", times = 0, latency = 60 })
      local tasks, ended = {}, 0
      for i = 1, 50 do
        tasks[i] = async.spawn(function()
          car:status()
          ended = ended + 1
        end)
      end
      drive(function() return sim:count("GET", "/status") == 50 end)
      assert.equal(0, ended) -- so the server had all of them at once
      for _, task in ipairs(tasks) do task:cancel() end
    end)

    it("yields correctly when the host has replaced Lua's coroutine functions", function()
      local own = {}
      for _, name in ipairs({ "create", "resume", "status", "yield" }) do
        own[name] = coroutine[name]
        coroutine["_" .. name] = own[name] -- luacheck: ignore (as nginx's Lua module does it)
        coroutine[name] = function() error("the host's own " .. name) end -- luacheck: ignore
      end
      package.loaded["bmwi.async"] = nil
      local ok, result = pcall(function()
        return require("bmwi.async").run(function()
          return require("bmwi.async").map({ 1, 2 }, function(n)
            bmwi.sleep(0.001)
            return n * 10
          end)
        end)
      end)
      package.loaded["bmwi.async"] = async
      for name, fn in pairs(own) do
        coroutine["_" .. name] = nil -- luacheck: ignore
        coroutine[name] = fn -- luacheck: ignore
      end
      assert.is_true(ok, result)
      assert.same({ 10, 20 }, result)
    end)

    it("takes as long as the longest function, not as all together", function()
      local car = logged_in()
      sim:fault({ path = "/status", times = 0, latency = 0.3 })
      local start = bmwi._sys.monotonic()
      local _, errors = async.map(numbers(50), function() return car:status() end)
      assert.same({}, errors)
      assert(bmwi._sys.monotonic() - start < 10) -- one after the other: 15
    end)

    it("lets the others continue when one fails", function()
      local car = logged_in()
      sim:fault({ path = "/status", latency = 0.05, times = 0 })
      local ended = {}
      local ok, message = pcall(async.run,
        function() error("first broke") end,
        function()
          assert(car:status())
          ended[#ended + 1] = "status"
        end,
        function()
          bmwi.sleep(0.01)
          error("third broke")
        end,
        function()
          bmwi.sleep(0.1)
          ended[#ended + 1] = "sleep"
        end)
      assert.is_false(ok)
      has(message, "first broke")
      table.sort(ended)
      assert.same({ "sleep", "status" }, ended)
    end)

    it("passes on an error table unchanged", function()
      local reason = { code = "auth", message = "not you" }
      local function fail()
        bmwi.sleep(0)
        error(reason)
      end
      local ok, got = pcall(async.run, fail)
      assert.is_false(ok)
      assert.equal(reason, got)
      local _, errors = async.map({ 1 }, fail)
      assert.equal(reason, errors[1])
      assert.is_false((pcall(async.spawn, fail, 5)))
    end)

    it("raises an error with the traceback of its function", function()
      local function deep_inside()
        bmwi.sleep(0)
        error("broke here")
      end
      local ok, message = pcall(async.run, function()
        deep_inside()
        return 1
      end)
      assert.is_false(ok)
      has(message, "broke here")
      has(message, "stack traceback")
      has(message, "async_spec.lua")
      has(message, "deep_inside")
    end)

    it("raises an error that has __tostring", function()
      local ok, message = pcall(async.run, function()
        error(setmetatable({}, { __tostring = function() return "my own text" end }))
      end)
      assert.is_false(ok)
      has(message, "my own text")
    end)

    it("returns runtime failures as results", function()
      local car = logged_in()
      sim:fault({ path = "/status", recorded = "gone" })
      async.run(function()
        local value, _, code, info = car:status()
        assert.is_nil(value)
        assert.equal("gone", code)
        assert.equal(410, info.status)
        has(info.hint, "2021-11-09")
      end)
    end)

    it("raises misuse inside the function", function()
      local client = new()
      async.run(function()
        if not old_lua then -- there nothing yields across pcall, but nothing does here either
          assert.is_false(pcall(client.vehicle, client, "../x"))
        end
        client:close()
        local ok, message = pcall(client.vehicles, client)
        assert.is_false(ok)
        has(message, "closed")
      end)
    end)

    it("refuses arguments that are not functions, before anything runs", function()
      local ran = false
      local function fn() ran = true end
      for _, bad in ipairs({ 1, "x", {} }) do
        assert.has_error(function() async.run(fn, bad) end)
        assert.has_error(function() async.spawn(bad) end)
      end
      assert.is_false(ran)
    end)

    it("does not wait for a function that is missing", function()
      local function fn() end
      local task = async.spawn(function() async.run(fn, nil, fn) end, function() end)
      drive_for(0.1)
      assert(task:done(), "a nil between the functions lets run wait for ever")
      assert.is_false((task:result()))
    end)

    it("may be called inside a run", function()
      local car = logged_in()
      local order = {}
      local a, b = async.run(
        function()
          local x, y = async.run(
            function()
              bmwi.sleep(0.05)
              order[#order + 1] = "inner"
              return car:status().vin
            end,
            function()
              return (async.run(function()
                bmwi.sleep(0.02)
                order[#order + 1] = "innermost"
                return 2
              end))
            end)
          order[#order + 1] = "outer"
          return x .. y
        end,
        function()
          order[#order + 1] = "beside"
          return 3
        end)
      assert.equal(VIN .. "2", a)
      assert.equal(3, b)
      assert.same({ "beside", "innermost", "inner", "outer" }, order)
    end)

    it("raises errors through a nested run", function()
      local ok, message = pcall(async.run, function()
        async.run(function()
          bmwi.sleep(0)
          error("inside")
        end)
      end)
      assert.is_false(ok)
      has(message, "inside")
    end)

    it("waits for several commands at once", function()
      local car = logged_in()
      local function go(command)
        return function()
          local execution = assert(car[command](car))
          local last, message = wait.for_execution(car, execution, { interval = 0.1, timeout = 20 })
          return last and last.status or message
        end
      end
      local a, b, c = async.run(go("lock_doors"), go("flash_lights"), go("climate_now"))
      assert.same({ "EXECUTED", "EXECUTED", "EXECUTED" }, { a, b, c })
      local posts = sim:car().posts
      assert.equal(1, posts.DOOR_LOCK)
      assert.equal(1, posts.LIGHT_FLASH)
      assert.equal(1, posts.CLIMATE_NOW)
    end)

    it("survives full collections at any moment", function()
      local car = logged_in()
      local answers = 0
      async.map(numbers(30), function(i)
        collectgarbage()
        if i % 3 == 0 then bmwi.sleep(0.001 * i) end
        local status = car:status()
        collectgarbage()
        assert.equal(VIN, status.vin)
        answers = answers + 1
        return true
      end)
      assert.equal(30, answers)
    end)

    it("works with calls across pcall, or reports that it cannot", function()
      local car = logged_in()
      local ok, answer, status, trip
      async.run(function()
        ok, answer = pcall(car.lock_doors, car)
        status = car:status()
        bmwi.sleep(0.2)
        trip = car:last_trip()
      end)
      assert.equal(VIN, status.vin)
      assert.is_number(trip.totalDistance)
      if ok then assert.equal("DOOR_LOCK", answer.serviceType) end
      assert.equal(not old_lua, ok)
      -- An error means that the car did not get the command.
      assert.equal(ok and 1 or 0, sim:car().posts.DOOR_LOCK or 0)
    end)

    it("works with a nested run across pcall, or reports that it cannot", function()
      local car = logged_in()
      sim:fault({ path = "/status", times = 0, latency = 0.1 })
      local ok, inner, status
      async.run(function()
        ok, inner = pcall(async.run, function()
          bmwi.sleep(0.02)
          return 5
        end)
        status = car:status()
      end)
      assert.equal(not old_lua, ok)
      if ok then assert.equal(5, inner) end
      assert.is_table(status) -- and not what the nested run was woken with
      assert.equal(VIN, status.vin)
    end)

    it("works with calls from a C function, or reports that it cannot", function()
      local car = logged_in()
      local ok, answer, status
      async.run(function()
        -- table.sort calls the comparison from C, where no Lua can yield.
        ok = pcall(table.sort, { 1, 2 }, function()
          answer = car:flash_lights()
          return false
        end)
        status = car:status()
        bmwi.sleep(0.2)
        assert(car:last_trip())
      end)
      assert.equal(VIN, status.vin)
      assert.equal(ok, answer ~= nil)
      if not ok then assert.equal(0, sim:car().posts.LIGHT_FLASH or 0) end
    end)
  end)

  describe("a call outside a task", function()
    it("blocks as usual", function()
      local car = logged_in()
      local status
      async.run(function() status = car:status() end)
      assert.equal(VIN, status.vin)
      assert.equal(VIN, car:status().vin)
    end)

    it("advances spawned tasks", function()
      local done = false
      async.spawn(function()
        bmwi.sleep(0.01)
        done = true
      end)
      bmwi.sleep(0.5)
      assert.is_true(done)
    end)

    it("works while spawned tasks are pending", function()
      local car = logged_in()
      sim:fault({ path = "/status", latency = 0.1 })
      local vin
      local task = async.spawn(function() vin = car:status().vin end)
      assert.equal(1, async.run(function()
        bmwi.sleep(0.01)
        return 1
      end))
      drive(function() return task:done() end)
      assert.equal(VIN, vin)
    end)
  end)

  describe("map", function()
    it("keeps the order of the list", function()
      local results, errors = async.map(numbers(20), function(n)
        bmwi.sleep((21 - n) / 1000)
        return n * n
      end)
      for i = 1, 20 do assert.equal(i * i, results[i]) end
      assert.same({}, errors)
    end)

    it("passes the item and its index", function()
      local seen = {}
      async.map({ "a", "b", false }, function(item, i)
        seen[i] = tostring(item)
        return true
      end)
      assert.same({ "a", "b", "false" }, seen)
    end)

    it("does nothing for an empty list", function()
      local results, errors = async.map({}, error)
      assert.same({}, results)
      assert.same({}, errors)
    end)

    it("reports failures and errors by index", function()
      local car, client = logged_in()
      sim:fault({ path = "/status", times = 0, recorded = "gone" })
      local results, errors = async.map({ "list", "status", "raise", "nothing", "false" },
        function(what)
          if what == "list" then return client:vehicles() end
          if what == "status" then return car:status() end
          if what == "raise" then error("broke " .. what) end
          if what == "false" then return false end
          bmwi.sleep(0)
        end)
      assert.equal(VIN, results[1][1].vin)
      assert.is_nil(errors[1])
      assert.is_nil(results[2])
      assert.equal("gone", errors[2].code)
      assert.equal(410, errors[2].info.status)
      has(errors[2].message, "status failed")
      assert.is_nil(results[3])
      has(errors[3].message, "broke raise")
      has(errors[3].message, "stack traceback")
      assert.is_nil(errors[3].code)
      assert.is_table(errors[4])
      assert.equal(false, results[5])
      assert.is_nil(errors[5])
    end)

    local function peak(count, options)
      local running, most = 0, 0
      local results = async.map(numbers(count), function(i)
        running = running + 1
        most = math.max(most, running)
        bmwi.sleep(i % 3 / 100)
        running = running - 1
        return i
      end, options)
      assert.equal(count, #results)
      assert.equal(0, running)
      return most
    end

    it("runs at most `concurrency` functions at once", function()
      assert.equal(1, peak(5, { concurrency = 1 }))
      assert.equal(4, peak(20, { concurrency = 4 }))
      assert.equal(20, peak(20, { concurrency = 500 }))
      assert.equal(64, peak(150))
    end)

    it("sends at most `concurrency` requests at once", function()
      local car = logged_in()
      sim:fault({ path = "/status", times = 0, latency = 0.15 })
      async.map(numbers(12), function() return car:status() end, { concurrency = 4 })
      local times = {}
      for i, request in ipairs(sim:log()) do times[i] = request.time end
      assert.equal(12, #times)
      for i = 5, 12 do assert(times[i] - times[i - 4] >= 0.14, i) end
    end)

    it("refuses an invalid concurrency", function()
      assert.has_error(function() async.map({ 1 }, function() return 1 end, 5) end)
      for _, bad in ipairs({ 0, -1, 0.5, 0 / 0, "4", true, {} }) do
        local ok
        -- In a task, since a map that can never continue would hang the spec.
        local task = async.spawn(function()
          ok = pcall(async.map, { 1, 2 }, function() return 1 end, { concurrency = bad })
        end, function() end)
        drive_for(0.02)
        assert(task:done(), "waits for ever with " .. tostring(bad))
        assert.is_false(ok)
      end
    end)

    it("raises misuse", function()
      for _, bad in ipairs({ 1, "x", {} }) do
        assert.has_error(function() async.map({ 1 }, bad) end)
        assert.has_error(function() async.map({}, bad) end)
      end
      for _, bad in ipairs({ 1, "x", print }) do
        assert.has_error(function() async.map(bad, function() end) end)
      end
      assert.has_error(function() async.map({ 1 }, function() end, { concurency = 2 }) end)
    end)

    it("does not grow the stack with functions that return immediately", function()
      local results = async.map(numbers(100000), function(i) return i end, { concurrency = 3 })
      assert.equal(100000, #results)
    end)

    it("may be called inside a map and inside a run", function()
      local results = async.map({ 10, 20 }, function(base)
        local inner = async.map({ 1, 2, 3 }, function(n)
          bmwi.sleep(0.001 * n)
          return base + n
        end, { concurrency = 2 })
        return inner[1] + inner[2] + inner[3]
      end)
      assert.same({ 36, 66 }, results)
      assert.same({ 2, 4 }, (async.run(function()
        return (async.map({ 1, 2 }, function(n)
          bmwi.sleep(0)
          return 2 * n
        end))
      end)))
    end)

    it("continues with the other cars when one fails", function()
      local client = new()
      sim:fault({ path = "/status", times = 1, status = 500 })
      local _, errors = async.map(numbers(40), function() return client:vehicle(VIN):status() end,
        { concurrency = 8 })
      local count = 0
      for _, e in pairs(errors) do
        count = count + 1
        assert.equal("server", e.code)
      end
      assert.equal(1, count)
    end)
  end)

  describe("spawn", function()
    it("starts immediately, and is done when the function returns", function()
      local steps = {}
      local task = async.spawn(function()
        steps[#steps + 1] = "start"
        bmwi.sleep(0.01)
        steps[#steps + 1] = "end"
        return 1, nil, 3
      end)
      assert.same({ "start" }, steps)
      assert.is_false(task:done())
      assert.equal(0, select("#", task:result()))
      drive(function() return task:done() end)
      assert.same({ "start", "end" }, steps)
      assert.equal(4, select("#", task:result()))
      assert.same({ true, 1, nil, 3 }, { task:result() })
    end)

    it("calls on_done once with what pcall would return", function()
      local got = {}
      local function note(...) got[#got + 1] = { n = select("#", ...), ... } end
      async.spawn(function() return "a", nil end, note)
      assert.same({ { n = 3, true, "a" } }, got)
      async.spawn(function()
        bmwi.sleep(0)
        error("broke")
      end, note)
      drive(function() return #got == 2 end)
      drive_for(0.05)
      assert.equal(2, #got)
      assert.is_false(got[2][1])
      has(got[2][2], "broke")
      has(got[2][2], "stack traceback")
    end)

    it("reports a plain coroutine.yield in a task", function()
      local task = async.spawn(function()
        bmwi.sleep(0)
        coroutine.yield("to nobody")
      end, function() end)
      drive(function() return task:done() end)
      local ok, message = task:result()
      assert.is_false(ok)
      has(message, "coroutine.yield")
      task = async.spawn(function() coroutine.yield() end, function() end)
      assert.is_true(task:done())
    end)

    it("lets a task spawn others", function()
      local done = 0
      async.spawn(function()
        for _ = 1, 3 do
          async.spawn(function()
            bmwi.sleep(0.01)
            done = done + 1
          end)
        end
        done = done + 1
      end)
      drive(function() return done == 4 end)
    end)

    it("continues a task that nothing references", function()
      local car = logged_in()
      sim:fault({ path = "/status", times = 0, latency = 0.1 })
      local vin
      async.spawn(function() vin = car:status().vin end)
      car = nil -- luacheck: ignore
      for _ = 1, 3 do
        collectgarbage()
        loop:step()
      end
      drive(function() return vin end)
      assert.equal(VIN, vin)
    end)

    it("leaves no garbage behind", function()
      local function round()
        for _ = 1, 500 do async.spawn(function() bmwi.sleep(0) end) end
        async.map(numbers(500), function() bmwi.sleep(0) return true end)
        collectgarbage()
        collectgarbage()
        return collectgarbage("count")
      end
      round()
      local before = round()
      for _ = 1, 4 do round() end
      local grown = round() - before
      assert(grown < 100, ("%.0f KiB more"):format(grown))
      assert.is_nil(loop:timeout())
    end)
  end)

  describe("cancel", function()
    it("ends a waiting task, and what it waits for", function()
      local car = logged_in()
      sim:fault({ path = "/status", times = 0, latency = 60 })
      local after, got = false, {}
      local task = async.spawn(function()
        car:status()
        after = true
      end, function(...) got[#got + 1] = { ... } end)
      drive(function() return sim:count("GET", "/status") == 1 end)
      task:cancel()
      assert.is_true(task:done())
      assert.same({ { false, "cancelled" } }, got)
      assert.same({ false, "cancelled" }, { task:result() })
      collectgarbage()
      drive_for(0.05)
      assert.is_nil(loop:timeout()) -- nothing is waited for any more
      assert.is_false(after)
      assert.equal(1, #got)
    end)

    it("ends a task in a sleep, in a log-in and before a retry", function()
      sim:fault({ path = "/oauth/token", times = 0, latency = 60 })
      local client = new()
      local other = bmwi.new(helper.client(sim, { retries = 5, timeout = 60,
        token = { access_token = "A", expires_at = os.time() + 3600 } }))
      sim:fault({ path = "/status", times = 0, status = 503, headers = { ["Retry-After"] = "50" } })
      local after = 0
      local function spawn(fn)
        return async.spawn(function()
          fn()
          after = after + 1
        end)
      end
      local tasks = {
        spawn(function() bmwi.sleep(50) end),
        spawn(function() client:vehicles() end),
        spawn(function() client:login() end),
        spawn(function() other:vehicle(VIN):status() end),
      }
      drive(function() return sim:count() == 2 end)
      drive_for(0.05)
      for _, task in ipairs(tasks) do
        assert.is_false(task:done())
        task:cancel()
      end
      client:close()
      other:close()
      drive_for(0.05)
      assert.equal(0, after)
      assert.is_nil(loop:timeout())
    end)

    it("of one task leaves others waiting for the same log-in alone", function()
      sim:fault({ path = "/oauth/token", latency = 0.2 })
      local client = new()
      local answers, tasks = 0, {}
      for i = 1, 5 do
        tasks[i] = async.spawn(function()
          assert(client:vehicles())
          answers = answers + 1
        end)
      end
      loop:step()
      tasks[1]:cancel()
      tasks[3]:cancel()
      tasks[5]:cancel()
      collectgarbage()
      drive(function() return answers == 2 end)
      assert.equal(1, sim:count("POST", "/oauth/token"))
    end)

    it("does nothing to a task that is done", function()
      local calls = 0
      local task = async.spawn(function() return 5 end, function() calls = calls + 1 end)
      task:cancel()
      assert.same({ true, 5 }, { task:result() })
      assert.equal(1, calls)
    end)

    it("of the running task ends it at its next call", function()
      local task, after
      task = async.spawn(function()
        bmwi.sleep(0)
        task:cancel()
        bmwi.sleep(0)
        after = true
      end, function() end)
      drive(function() return task:done() end)
      drive_for(0.05)
      assert.is_nil(after)
      assert.same({ false, "cancelled" }, { task:result() })
    end)

    it("of a task that was spawned in a map leaves the map alone", function()
      local after, results
      local holder = async.spawn(function()
        results = async.map({ 1, 2, 3 }, function(n)
          local other = async.spawn(function()
            bmwi.sleep(0.01)
            after = true
          end)
          bmwi.sleep(0)
          other:cancel()
          return n
        end)
      end)
      drive(function() return holder:done() end)
      drive_for(0.05)
      assert.is_nil(after)
      assert.same({ 1, 2, 3 }, results)
    end)

    -- A task that waits in a nested run or map.
    local function nested(kind, sleep)
      local state = { inner = 0, outer = 0, got = {} }
      local function inner()
        bmwi.sleep(sleep)
        state.inner = state.inner + 1
        return true
      end
      state.task = async.spawn(function()
        if kind == "run" then async.run(inner, inner) else async.map({ 1, 2 }, inner) end
        state.outer = state.outer + 1
        bmwi.sleep(0)
        state.outer = state.outer + 1
      end, function(...) state.got[#state.got + 1] = { ... } end)
      return state
    end

    for _, kind in ipairs({ "run", "map" }) do
      it("of a task that waits in a nested " .. kind .. " ends it for good", function()
        local state = nested(kind, 0.02)
        loop:step()
        state.task:cancel()
        assert.same({ { false, "cancelled" } }, state.got)
        local ok, message = pcall(drive_for, 0.15)
        assert.is_true(ok, message)
        assert.equal(0, state.outer) -- it must not go on behind the caller's back
        assert.same({ { false, "cancelled" } }, state.got)
      end)

      it("of a task cancels its nested " .. kind, function()
        local state = nested(kind, 0.5)
        loop:step()
        state.task:cancel()
        loop:step()
        local left = loop:timeout()
        drive(function() return not loop:timeout() end)
        assert.is_nil(left)
        assert.equal(0, state.inner)
      end)
    end
  end)

  -- Lua's own Ctrl-C is a debug hook that raises an error, wherever the program is.
  describe("an end that is interrupted", function()
    -- Calls fn with an error after 1, 2, 3 ... instructions, until a call ends before. Calls check
    -- after each.
    local function everywhere(prepare, fn, check)
      local hit
      local function hook()
        debug.sethook()
        hit = true
        error("interrupted", 0)
      end
      for count = 1, 10000 do
        local state = prepare()
        hit = false
        pcall(function()
          debug.sethook(hook, "", count)
          fn(state)
          debug.sethook()
        end)
        check(state, count)
        if not hit then
          assert(count > 20, count)
          return
        end
      end
      error("too many instructions")
    end

    local function nap() bmwi.sleep(50) end

    for name, fn in pairs({
      ["a sleep"] = nap,
      ["a nested run"] = function() async.run(nap, nap) end,
      ["a nested map"] = function() async.map({ 1, 2, 3 }, nap, { concurrency = 2 }) end,
      ["a run in a run"] = function() async.run(nap, function() async.run(nap) end) end,
    }) do
      it("ends when a task in " .. name .. " is cancelled again", function()
        everywhere(function()
          local state = { calls = 0 }
          state.task = async.spawn(fn, function() state.calls = state.calls + 1 end)
          return state
        end, function(state) state.task:cancel() end, function(state, count)
          state.task:cancel()
          assert(state.task:done(), count)
          assert.is_false((state.task:result()))
          state.task:cancel()
          assert(state.calls <= 1, count)
          loop:step()
          assert(loop:timeout() == nil, count) -- what it waited for has ended, too
        end)
      end)
    end

    for name, fn in pairs({
      ["returns"] = function() bmwi.sleep(0) end,
      ["fails"] = function()
        bmwi.sleep(0)
        error("broke")
      end,
    }) do
      it("of a task that " .. name .. " does not keep the task that waits for it", function()
        everywhere(function()
          return async.spawn(function() async.run(fn, fn) end, function() end)
        end, function() loop:step() end, function(task, count)
          -- A step raises what interrupted the last one.
          for _ = 1, 5 do pcall(loop.step, loop) end
          assert(task:done(), count)
          assert(loop:timeout() == nil, count)
        end)
      end)
    end
  end)

  if close_coroutine then
    describe("a coroutine that is closed", function()
      it("cancels its operation", function()
        local car = logged_in()
        sim:fault({ path = "/status", times = 0, latency = 60 })
        local thread, after
        local task = async.spawn(function()
          thread = coroutine.running()
          car:status()
          after = true
        end, function() end)
        drive(function() return sim:count("GET", "/status") == 1 end)
        assert.is_true(close_coroutine(thread))
        drive(function() return task:done() end)
        assert.is_false((task:result()))
        assert.is_nil(after)
        loop:step()
        assert.is_nil(loop:timeout())
      end)

      for _, kind in ipairs({ "run", "map" }) do
        it("cancels its nested " .. kind, function()
          local thread, inner
          local got = {}
          local function nap()
            bmwi.sleep(0.02)
            inner = true
          end
          local task = async.spawn(function()
            thread = coroutine.running()
            if kind == "run" then async.run(nap, nap) else async.map({ 1, 2 }, nap) end
          end, function(...) got[#got + 1] = { ... } end)
          assert.is_true(close_coroutine(thread))
          assert.is_true(task:done())
          assert.same({ { false, "the coroutine was closed" } }, got)
          loop:step()
          assert.is_nil(loop:timeout())
          drive_for(0.05)
          assert.is_nil(inner)
          assert.equal(1, #got)
        end)
      end

      it("does not disturb the others of its run", function()
        local threads, ended = {}, 0
        local holder = async.spawn(function()
          pcall(async.run, function()
            threads[1] = coroutine.running()
            bmwi.sleep(30)
          end, function()
            bmwi.sleep(0.02)
            ended = ended + 1
          end)
          ended = ended + 1
        end)
        close_coroutine(threads[1])
        drive(function() return holder:done() end)
        assert.equal(2, ended)
      end)

      it("closes its variables when it is cancelled", function()
        local closed = 0
        local load_string = load
        local fn = assert(load_string([[
          local sleep, note = ...
          return function()
            local guard <close> = setmetatable({}, { __close = note })
            sleep(30)
          end
        ]]))(bmwi.sleep, function() closed = closed + 1 end)
        local task = async.spawn(fn, function() end)
        task:cancel()
        assert.equal(1, closed)
      end)
    end)
  else
    pending("a coroutine that is closed: this Lua cannot do that")
  end

  describe("an error that nothing receives", function()
    local function raised()
      local ok, message = pcall(loop.step, loop)
      return not ok and message or nil
    end

    it("is raised by the next step, not by spawn, if a task fails immediately", function()
      local task = async.spawn(function() error("at once", 0) end)
      assert.is_true(task:done())
      assert.equal(0, loop:timeout()) -- so that a host makes that step
      has(raised(), "at once")
      assert.is_nil(raised())
      assert.is_nil(loop:timeout())
    end)

    it("is raised by the next step, not by spawn, if on_done fails immediately", function()
      assert.is_true(async.spawn(function() end, function() error("done broke", 0) end):done())
      assert.equal("done broke", raised())
    end)

    it("is not lost if there are others: each step raises one, in order", function()
      local object = { "boom4" }
      for i = 1, 6 do
        async.spawn(function()
          bmwi.sleep(i / 1000)
          error(i == 4 and object or "boom" .. i, 0)
        end)
      end
      bmwi.sleep(0.05)
      assert.is_table(new():vehicles()) -- blocking calls still get their results
      for i = 1, 6 do
        assert.equal(0, loop:timeout()) -- so that a host makes that step
        local message = raised()
        if i == 4 then assert.equal(object, message) else has(message, "boom" .. i) end
      end
      assert.is_nil(raised())
      assert.is_nil(loop:timeout())
    end)

    it("is counted if a hundred others are kept already", function()
      for _ = 1, 2 do
        for i = 1, 103 do async.spawn(function() error("boom" .. i, 0) end) end
        for i = 1, 100 do has(raised(), "boom" .. i .. "\n") end
        assert.equal("3 more errors were not kept", raised())
        assert.is_nil(raised())
      end
    end)

    it("never replaces the result of a read, a log-in, a sleep or a wait", function()
      local client = new()
      local car = client:vehicle(VIN)
      sim:fault({ path = "/webapi", times = 0, latency = 0.05 })
      local function fail()
        async.spawn(function()
          bmwi.sleep(0)
          error("task broke", 0)
        end)
      end
      local calls = { function() return client:login() end, function() return car:status() end,
        function() bmwi.sleep(0.02) return true end, function() return client:vehicles() end,
        function()
          return wait.for_execution(car, assert(car:lock_doors()), { interval = 0.02 })
        end }
      for _, call in ipairs(calls) do
        fail()
        assert.truthy(call())
        has(raised(), "task broke")
      end
    end)
  end)

  describe("a task that nothing can wake", function()
    -- Removes what a task waits for, as running out of memory could. In a separate program with a
    -- time limit, since such a task once waited forever.
    local function said(script)
      return helper.program([[
        local bmwi, async = require("bmwi"), require("bmwi.async")
        local first
        local function waits()
          first = coroutine.running()
          bmwi.sleep(0.02)
        end
        local function loses() bmwi.loop:detach(first) end
        ]] .. script, nil, "timeout 20 COMMAND 2>&1; echo exit $?")
    end

    it("ends with its run, instead of being waited for", function()
      local text = said("print(pcall(async.run, waits, loses))")
      has(text, "nothing is pending")
      has(text, "\nexit 0\n")
    end)

    it("ends with the error that is pending", function()
      local text = said([[
        async.spawn(function()
          bmwi.sleep(0.01)
          error("this was it", 0)
        end)
        print(pcall(async.run, waits, function()
          loses()
          bmwi.sleep(0.03)
        end))
        print(bmwi.loop:step())]])
      has(text, "false\tthis was it")
      has(text, "\ntrue\nexit 0\n")
    end)

    it("ends inside a map too", function()
      local text = said([[
        local results, errors = async.map({ 1, 2 }, function(i)
          if i == 1 then return (async.run(waits)) end
          loses()
          return "fine"
        end)
        print(results[2], errors[1].message)]])
      has(text, "fine\tnothing is pending")
      has(text, "\nexit 0\n")
    end)
  end)

  it("gives a hint below the message if Lua cannot wait inside a C function", function()
    local car = logged_in()
    local function sorted()
      table.sort({ 3, 1, 2 }, function(a, b)
        assert(car:status())
        return a < b
      end)
      return "sorted"
    end
    local ok, result = pcall(async.run, sorted)
    if ok then
      assert.equal("sorted", result) -- Lua 5.3 and 5.4 wait
    else
      local message, hint = result:match("^([^\n]*)\n([^\n]*)")
      assert.is_nil(message:find("task", 1, true), message)
      has(hint, "hint: on Lua 5.1, 5.2 and LuaJIT a task cannot wait inside a C function")
      has(hint, "make the call beforehand")
    end
  end)

  describe("a client that is closed", function()
    it("ends its calls in flight with closed", function()
      sim:fault({ path = "/status", times = 0, latency = 60 })
      sim:fault({ path = "/chargingprofile", times = 0, status = 503,
        headers = { ["Retry-After"] = "50" } })
      local car, client = logged_in({ retries = 3 })
      local codes, messages = {}, {}
      local function spawn(fn)
        async.spawn(function()
          local value, message, code, info = fn()
          assert(value == nil and info.retryable == false)
          codes[#codes + 1] = code
          messages[#messages + 1] = message
        end)
      end
      spawn(function() return car:status() end)
      spawn(function() return car:status() end)
      spawn(function() return car:charging_profile() end)
      drive(function() return sim:count() == 3 end)
      drive_for(0.05)
      assert.same({}, codes)
      client:close()
      drive(function() return #codes == 3 end)
      assert.same({ "closed", "closed", "closed" }, codes)
      has(messages[1], "closed")
      assert.is_nil(loop:timeout())
    end)

    it("ends thousands of calls in linear time #slow", function()
      local car, client = logged_in()
      local left = 40000
      for _ = 1, left do
        async.spawn(function() car:status() end, function() left = left - 1 end)
      end
      local start = os.clock()
      client:close()
      assert(os.clock() - start < 2, "each looks through all of the others")
      drive(function() return left == 0 end)
    end)

    it("cancels calls that wait for its token", function()
      sim:fault({ path = "/oauth/token", times = 0, latency = 60 })
      local client = new()
      local car = client:vehicle(VIN)
      local codes, done = {}, 0
      for i = 1, 10 do
        async.spawn(function()
          codes[i] = select(3, car:lock_doors())
          done = done + 1
        end)
      end
      drive(function() return sim:count() == 1 end)
      client:close()
      client:close()
      drive(function() return done == 10 end)
      for i = 1, 10 do assert.equal("closed", codes[i]) end
      loop:step()
      assert.is_nil(loop:timeout())
      assert.equal(0, sim:count("POST", "/executeService"))
    end)

    it("leaves the calls of others alone", function()
      local car = logged_in()
      local _, other = logged_in()
      sim:fault({ path = "/status", times = 0, latency = 0.1 })
      local vin
      local task = async.spawn(function() vin = car:status().vin end)
      async.spawn(function() other:vehicles() end)
      other:close()
      drive(function() return task:done() end)
      assert.equal(VIN, vin)
    end)

    it("ends other tasks' calls if one of them closes it", function()
      sim:fault({ path = "/status", times = 0, latency = 60 })
      local car, client = logged_in()
      local code
      async.run(
        function() code = select(3, car:status()) end,
        function()
          bmwi.sleep(0.02)
          client:close()
        end)
      assert.equal("closed", code)
    end)
  end)

  describe("a thousand coroutines", function()
    local function thousand(client)
      local count = 1000
      local car = client:vehicle(VIN)
      local results, errors = async.map(numbers(count), function()
        return car:status()
      end, { concurrency = count })
      local good, codes = 0, {}
      for i = 1, count do
        if results[i] and results[i].vin == VIN then good = good + 1 end
        local code = errors[i] and errors[i].code
        if code then codes[code] = (codes[code] or 0) + 1 end
      end
      return good, codes
    end

    it("that find no token cause one log-in", function()
      assert.equal(1000, (thousand(new())))
      assert.equal(1, sim:count("POST", "/oauth/token"))
      assert.equal(1000, sim:count("GET", "/status"))
    end)

    it("that find the token expired cause one renewal #slow", function()
      local _, first = logged_in()
      local token = first:token()
      token.expires_at = os.time() - 10
      assert.equal(1000, (thousand(new({ token = token }))))
      assert.equal(1, sim:count("POST", "/oauth/token"))
    end)

    it("that find the token refused cause one renewal #slow", function()
      local _, client = logged_in()
      sim:token({ expire = true })
      assert.equal(1000, (thousand(client)))
      assert.equal(1, sim:count("POST", "/oauth/token"))
      assert(sim:count("GET", "/status") <= 2000) -- those that come after the renewal are sent once
    end)

    it("all get the error of a single refused log-in", function()
      sim:fault({ path = "/oauth/token", times = 0, recorded = "authn_circuit" })
      local good, codes = thousand(new())
      assert.equal(0, good)
      assert.same({ auth = 1000 }, codes)
      assert.equal(1, #sim:log())
    end)

    it("all get the error of the one log-in that fails", function()
      sim:fault({ path = "/oauth/token", times = 0, status = 500 })
      local good, codes = thousand(new())
      assert.equal(0, good)
      assert.same({ server = 1000 }, codes)
      assert.equal(1, #sim:log())
    end)

    it("all get the error of the one renewal that fails", function()
      local _, client = logged_in({ password = nil })
      sim:token({ expire = true })
      sim:fault({ path = "/oauth/token", times = 0, recorded = "authn_circuit" })
      local good, codes = thousand(client)
      assert.equal(0, good)
      assert.same({ auth = 1000 }, codes)
      assert.equal(2, sim:count("POST", "/oauth/token")) -- the refresh, then the password
    end)

    it("that call login() cause one log-in", function()
      local client = new()
      local results = async.map(numbers(1000), function() return client:login() end,
        { concurrency = 1000 })
      assert.equal(1000, #results)
      assert.equal(1, #sim:log())
    end)
  end)
end)
