--- loop.c: the engine as any host drives it, and what happens to waiting calls when hooks raise
--- errors, when calls nest, and on Ctrl-C.
local helper = require("spec.helper")
local bmwi = require("bmwi")
local async = require("bmwi.async")
local since = helper.since

local loop = bmwi.loop
local VIN = helper.vin
local has_ffi, ffi = pcall(require, "ffi")

-- A host's loop in short: waits as long as the loop says, then steps.
local function drive(done)
  local start = bmwi._sys.monotonic()
  while not done() do
    assert(since(start) < 60, "the loop does not come to an end")
    loop:step(math.min(loop:timeout() or 0.05, 0.05))
  end
end

describe("the loop", function()
  local sim

  local function new(overrides)
    local options = { retries = 0, timeout = 20 }
    for name, value in pairs(overrides or {}) do options[name] = value end
    return bmwi.new(helper.client(sim, options))
  end

  local function logged_in(overrides) return helper.logged_in(new, overrides) end

  setup(function()
    sim = helper.start({ args = { "--speed", "50" } })
  end)
  teardown(function() sim:stop() end)
  before_each(function() sim:reset() end)

  describe("offers", function()
    it("one descriptor, always the same", function()
      local fd = loop:pollfd()
      assert.is_number(fd)
      assert(fd > 2)
      logged_in():status()
      assert.equal(fd, loop:pollfd())
    end)

    it("its events", function()
      assert.equal("r", loop:events())
    end)

    it("a timer that does not spin: an expired one, while a call waits", function()
      loop:pollfd()
      sim:fault({ path = "/status", latency = 1, times = 0 })
      local car = logged_in()
      async.spawn(function() bmwi.sleep(0.01) end)
      assert.is_number(loop:timeout())
      local start = os.clock()
      assert.equal(VIN, car:status().vin)
      assert(os.clock() - start < 0.5, "it has polled all the time")
    end)

    it("no timeout when idle", function()
      logged_in():status()
      collectgarbage()
      collectgarbage()
      loop:step()
      assert.is_nil(loop:timeout())
    end)

    it("the time until the next event", function()
      local task = async.spawn(function() bmwi.sleep(60) end)
      local left = loop:timeout()
      assert(left > 30 and left <= 60, left)
      local other = async.spawn(function() bmwi.sleep(30) end)
      assert(loop:timeout() <= 30)
      task:cancel()
      other:cancel()
      loop:step()
      assert.is_nil(loop:timeout())
    end)

    it("no wait if something has already ended", function()
      local task = async.spawn(function() bmwi.sleep(0) end)
      assert.equal(0, loop:timeout())
      drive(function() return task:done() end)
    end)

    it("itself under one name", function()
      assert.equal("bmwi.loop", tostring(loop))
      assert.equal(loop, require("bmwi").loop)
    end)

    it("step, which returns true and refuses invalid arguments", function()
      assert.is_true(loop:step())
      assert.is_true(loop:step(0))
      for _, bad in ipairs({ -1, "x", {}, 0 / 0 }) do
        assert.has_error(function() loop:step(bad) end)
      end
      assert.has_error(function() loop.step() end)
      assert.has_error(function() loop.step({}) end)
    end)

    it("step, which waits at most the given time", function()
      local task = async.spawn(function() bmwi.sleep(60) end)
      local start = bmwi._sys.monotonic()
      loop:step(0.05)
      assert(since(start) < 5)
      start = bmwi._sys.monotonic()
      for _ = 1, 100 do loop:step() end
      assert(since(start) < 5)
      assert.is_false(task:done())
      task:cancel()
    end)

    it("step, which returns at once when there is nothing to wait for but time", function()
      local start = bmwi._sys.monotonic()
      async.spawn(function() bmwi.sleep(0.05) end)
      loop:step(100)
      assert(since(start) < 10)
    end)
  end)

  it("leaves long work to the next step, so that the host can run", function()
    local secure = helper.start({ tls = true })
    secure:fault({ path = "/status", times = 0, latency = 0.1 })
    -- Begins sixty TLS connections; returns the longest step's share of the total time.
    local function longest_part()
      local client = bmwi.new(helper.client(secure))
      assert(client:login())
      local car = client:vehicle(VIN)
      local ended, longest, total = 0, 0, 0
      for _ = 1, 60 do
        async.spawn(function()
          assert(car:status())
          ended = ended + 1
        end)
      end
      assert.equal(0, loop:timeout())
      while ended < 60 do
        local start = os.clock() -- of this process alone
        loop:step()
        local seconds = os.clock() - start
        if seconds > 0.0002 then -- the others only looked whether there is something to do
          longest, total = math.max(longest, seconds), total + seconds
        end
      end
      loop:limit(loop:limit(1)) -- the next round begins without connections
      return longest / total
    end
    local best = 1
    for _ = 1, 5 do
      best = math.min(best, longest_part())
    end
    secure:stop()
    assert(best < 0.5, best) -- all at once it would be nearly 1
  end)

  it("advances tasks, step by step", function()
    local car = logged_in()
    sim:fault({ path = "/status", times = 0, latency = 0.1 })
    local answers = {}
    local tasks = {}
    for i = 1, 5 do
      tasks[i] = async.spawn(function() answers[i] = car:status() end)
    end
    assert.same({}, answers) -- nothing is waited for yet
    drive(function()
      for i = 1, 5 do if not tasks[i]:done() then return false end end
      return true
    end)
    for i = 1, 5 do
      assert.is_true(tasks[i]:done())
      assert.equal(VIN, answers[i].vin)
    end
  end)

  it("advances a log-in, a renewal and a retry", function()
    sim:fault({ path = "/status", status = 503 })
    local car = new({ retries = 1 }):vehicle(VIN)
    local answers = 0
    local function ask()
      async.spawn(function()
        assert(car:status())
        answers = answers + 1
      end)
    end
    ask()
    drive(function() return answers == 1 end)
    sim:token({ expire = true })
    ask()
    drive(function() return answers == 2 end)
  end)

  if has_ffi then
    describe("watched by poll alone", function()
      ffi.cdef([[
        struct bmwi_spec_pollfd { int fd; short events, revents; };
        int poll(struct bmwi_spec_pollfd *fds, unsigned long count, int ms);
      ]])

      local function readable(ms)
        local fds = ffi.new("struct bmwi_spec_pollfd[1]")
        fds[0].fd, fds[0].events = loop:pollfd(), 1
        return ffi.C.poll(fds, 1, ms) == 1
      end

      local function poll_until(done)
        local steps = 0
        while not done() do
          assert(readable(10000), "the descriptor does not become readable")
          loop:step()
          steps = steps + 1
          assert(steps < 1000, "the descriptor is readable for nothing")
        end
        return steps
      end

      it("is quiet while there is nothing to do", function()
        loop:step()
        assert.is_false(readable(0))
      end)

      it("reports timers", function()
        local task = async.spawn(function()
          for _ = 1, 3 do bmwi.sleep(0.05) end
        end)
        assert.is_false(readable(0))
        assert(poll_until(function() return task:done() end) < 30)
        loop:step()
        assert.is_false(readable(0))
      end)

      it("reports sleeps that end immediately, and shorter ones that start later", function()
        local long = async.spawn(function() bmwi.sleep(60) end)
        local short = async.spawn(function() bmwi.sleep(0) end)
        poll_until(function() return short:done() end)
        short = async.spawn(function() bmwi.sleep(0.05) end)
        poll_until(function() return short:done() end)
        long:cancel()
      end)

      it("reports responses, without spinning", function()
        local car = new():vehicle(VIN)
        sim:fault({ path = "/status", times = 0, latency = 0.3 })
        local task = async.spawn(function() assert(car:status()) end)
        assert(poll_until(function() return task:done() end) < 200)
      end)

      it("reports time-outs and cancellations", function()
        sim:fault({ path = "/status", times = 0, latency = 20 })
        local car = logged_in({ timeout = 0.2 })
        local code
        local task = async.spawn(function() code = select(3, car:status()) end)
        poll_until(function() return task:done() end)
        assert.equal("timeout", code)
        local slow, client = logged_in()
        task = async.spawn(function() code = select(3, slow:status()) end)
        loop:step()
        client:close()
        poll_until(function() return task:done() end)
        assert.equal("closed", code)
      end)

      it("still works after a blocking call", function()
        local car = logged_in()
        local task = async.spawn(function()
          bmwi.sleep(0.1)
          assert(car:status())
        end)
        assert.is_table(car:status())
        poll_until(function() return task:done() end)
      end)
    end)
  else
    pending("watched by poll alone: this Lua has no ffi")
  end

  describe("with a limit", function()
    local before

    before_each(function() before = loop:limit(0) end)
    after_each(function() loop:limit(before) end)

    -- The number of connections on which the logged requests came, without those in `others`.
    local function connections(others)
      local known, different = {}, 0
      for _, request in ipairs(sim:log()) do
        local name = request.connection
        if not known[name] and not (others and others[name]) then different = different + 1 end
        known[name] = true
      end
      return different, known
    end

    -- As many statuses at once, of a slow server.
    local function ask(count)
      local car = logged_in()
      sim:fault({ path = "/status", times = 0, latency = 0.05 })
      sim:clear()
      local list = {}
      for i = 1, count do list[i] = i end
      local _, errors = async.map(list, function() return car:status() end, { concurrency = count })
      assert.same({}, errors)
      assert.equal(count, sim:count("GET", "/status"))
    end

    it("opens no more connections to a server than that", function()
      loop:limit(3)
      ask(12)
      assert(connections() <= 3)
    end)

    it("opens more without one", function()
      ask(12)
      assert(connections() > 3)
    end)

    it("is 64 by default", function()
      loop:limit(before)
      ask(100)
      assert.equal(64, before)
      local count = connections()
      assert(count > 12 and count <= 64, count)
    end)

    it("closes open connections that exceed it", function()
      ask(12)
      assert.equal(0, loop:limit(3))
      ask(12)
      assert(connections() <= 3)
      assert.equal(3, loop:limit(5))
      ask(12)
      local count = connections()
      assert(count > 3 and count <= 5, count)
    end)

    it("lets calls finish that are in progress when it is set", function()
      local car = logged_in()
      sim:fault({ path = "/status", times = 0, latency = 0.2 })
      sim:clear()
      local ended = 0
      local function status()
        assert(car:status())
        ended = ended + 1
      end
      for _ = 1, 6 do async.spawn(status) end
      drive(function() return sim:count("GET", "/status") == 6 end)
      local _, first = connections()
      loop:limit(2)
      for _ = 1, 6 do async.spawn(status) end
      drive(function() return ended == 12 end)
      assert(connections(first) <= 2)
    end)

    it("times out queued calls like any other", function()
      loop:limit(1)
      local hasty = logged_in({ timeout = 0.3 })
      local car, client = logged_in()
      local other, another = logged_in()
      sim:fault({ path = "/status", times = 0, latency = 20 })
      local codes = {}
      local function status(who)
        return async.spawn(function()
          local code = select(3, who:status())
          codes[#codes + 1] = code
        end)
      end
      status(other)
      drive(function() return sim:count("GET", "/status") == 1 end)
      status(hasty)
      drive(function() return #codes == 1 end)
      assert.same({ "timeout" }, codes)
      status(car)
      local task = status(other)
      loop:step(0.01)
      client:close()
      task:cancel()
      another:close()
      drive(function() return #codes == 3 end)
      assert.same({ "timeout", "closed", "closed" }, codes)
      loop:step()
      assert.is_nil(loop:timeout())
    end)

    it("accepts whole numbers only", function()
      for _, bad in ipairs({ -1, 100001, "x", {} }) do
        assert.has_error(function() loop:limit(bad) end)
      end
      assert.has_error(function() loop:limit() end)
    end)
  end)

  describe("sleeps", function()
    it("for the given time", function()
      local start = bmwi._sys.monotonic()
      bmwi.sleep(0.1)
      assert(since(start) >= 0.099)
      start = bmwi._sys.monotonic()
      bmwi.sleep(0)
      assert(since(start) < 5)
    end)

    it("and returns nothing", function()
      assert.equal(0, select("#", bmwi.sleep(0)))
      async.run(function() assert.equal(0, select("#", bmwi.sleep(0))) end)
    end)

    it("for a valid time only", function()
      for _, bad in ipairs({ -1, 0 / 0, 1e300, "x", {} }) do
        assert.has_error(function() bmwi.sleep(bad) end)
      end
      assert.has_error(function() bmwi.sleep() end)
    end)

    it("and wakes in the order of the ends, not of the starts", function()
      local order = {}
      local function nap(seconds)
        return function()
          bmwi.sleep(seconds)
          order[#order + 1] = seconds
        end
      end
      async.run(nap(0.15), nap(0.05), nap(0.1), nap(0))
      assert.same({ 0, 0.05, 0.1, 0.15 }, order)
    end)

    it("ten thousand at once #slow", function()
      local list = {}
      for i = 1, 10000 do list[i] = (i * 7919 % 1000) / 3000 end
      local early, ended, count = false, {}, 0
      async.map(list, function(seconds, i)
        local due = bmwi._sys.monotonic() + seconds
        bmwi.sleep(seconds)
        early = early or bmwi._sys.monotonic() < due
        count = count + 1
        ended[i] = count
        return true
      end, { concurrency = 10000 })
      assert.is_false(early)
      -- What began earlier and is shorter ends earlier, however slow the machine is.
      for i = 1, 9900 do
        for k = i + 1, i + 100 do
          if list[i] < list[k] then assert(ended[i] < ended[k], i .. " before " .. k) end
        end
      end
    end)
  end)

  describe("under a blocking call", function()
    it("advances tasks", function()
      local car = logged_in()
      sim:fault({ path = "/status", times = 0, latency = 0.05 })
      local answer
      local task = async.spawn(function() answer = car:status() end)
      for _ = 1, 1000 do
        if task:done() then break end
        bmwi.sleep(0.05)
      end
      assert.equal(VIN, answer.vin)
    end)

    it("gives each caller its own response", function()
      local car, client = logged_in()
      sim:fault({ path = "/status", times = 0, latency = 0.1 })
      local first
      local task = async.spawn(function() first = car:status() end)
      local trip = car:last_trip()
      assert.is_number(trip.totalDistance)
      local list = client:vehicles()
      assert.equal(VIN, list[1].vin)
      drive(function() return task:done() end)
      assert.is_number(first.mileage)
    end)

    it("blocks in a plain coroutine of the program", function()
      local car = logged_in()
      local answer = coroutine.wrap(function() return car:status() end)()
      assert.equal(VIN, answer.vin)
    end)

    it("blocks in a plain coroutine of a task, while the other tasks continue", function()
      local car = logged_in()
      sim:fault({ path = "/status", times = 0, latency = 0.2 })
      local ticks, calls, answer = 0, 0, nil
      local function tick()
        for _ = 1, 5 do
          bmwi.sleep(0.01)
          ticks = ticks + 1
        end
      end
      async.run(tick, function()
        answer = coroutine.wrap(function()
          local status
          repeat
            status, calls = car:status(), calls + 1
          until ticks == 5 or calls == 100
          coroutine.yield(status.vin)
        end)()
        assert.equal(5, ticks)
      end)
      assert.equal(VIN, answer)
    end)

    it("blocks in plain coroutines of many tasks, each inside another", function()
      local text = helper.program([[
        local bmwi, async = require("bmwi"), require("bmwi.async")
        local list = {}
        for i = 1, 150 do list[i] = i end
        local results, errors = async.map(list, function(i)
          bmwi.sleep(0.01)
          local sum = 0
          local function generate()
            for _ = 1, 2 do
              bmwi.sleep(0.002)
              coroutine.yield(i)
            end
          end
          for value in coroutine.wrap(generate) do sum = sum + value end
          return sum
        end, { concurrency = 150 })
        print(next(errors), #results, results[1], results[150])
      ]], nil, "timeout 30 COMMAND 2>&1")
      assert.equal("nil\t150\t2\t300\n", text)
    end)

    it("works in on_done", function()
      local car = logged_in()
      local answer
      async.spawn(function() bmwi.sleep(0) end, function() answer = car:status() end)
      drive(function() return answer end)
      assert.equal(VIN, answer.vin)
    end)

    it("works in a hook, for a GET of another client", function()
      local other = logged_in()
      local answers = {}
      local car
      car = logged_in({ log = function()
        answers[#answers + 1] = other:status()
      end })
      local status = car:status()
      assert.equal(VIN, status.vin)
      assert.equal(2, #answers) -- the log-in and the status
      assert.equal(VIN, answers[2].vin)
    end)
  end)

  describe("with hooks that raise", function()
    it("raises the error of log once, from the call", function()
      local broken = true
      local car = new({ log = function() if broken then error("hook broke", 0) end end })
        :vehicle(VIN)
      local ok, message = pcall(car.status, car)
      assert.is_false(ok)
      assert.equal("hook broke", message)
      assert.is_true(loop:step())
      broken = false
      assert.equal(VIN, car:status().vin)
      assert.equal(1, sim:count("POST", "/oauth/token")) -- the first call's token is kept
    end)

    it("raises the error of on_token once, and keeps the token", function()
      local calls = 0
      local client = new({ on_token = function()
        calls = calls + 1
        error({ "the disk is full" })
      end })
      local ok, message = pcall(client.login, client)
      assert.is_false(ok)
      assert.equal("the disk is full", message[1])
      assert.is_table(client:token())
      assert.is_true(client:login())
      assert.is_table(client:vehicles())
      assert.equal(1, calls)
      assert.equal(1, sim:count("POST", "/oauth/token"))
    end)

    it("raises from step, and the tasks continue", function()
      local broken = true
      local car = new({ log = function() if broken then error("hook broke", 0) end end })
        :vehicle(VIN)
      local answers, errors, left = {}, {}, 3
      for i = 1, 3 do
        async.spawn(function()
          answers[i] = car:status()
          left = left - 1
        end)
      end
      repeat
        local ok, message = pcall(drive, function() return left == 0 end)
        if not ok then
          errors[#errors + 1] = message
          broken = false
        end
      until ok or #errors > 1
      assert.same({ "hook broke" }, errors)
      for i = 1, 3 do assert.equal(VIN, answers[i].vin) end
    end)

    it("loses no result of a command or a read: the next step raises", function()
      local broken = true
      local car = new({ log = function() if broken then error("hook broke", 0) end end })
        :vehicle(VIN)
      async.spawn(function()
        bmwi.sleep(0)
        error("task broke", 0)
      end)
      local execution = assert(car:lock_doors())
      assert.equal("DOOR_LOCK", execution.serviceType)
      assert.is_true(car:send_poi({ lat = 1, lon = 2 }))
      broken = false
      assert.equal(VIN, car:status().vin)
      local seen = {}
      for _ = 1, 20 do
        local ok, message = pcall(loop.step, loop)
        if ok then break end
        seen[message:match("^%a+ broke")] = true
      end
      assert.same({ ["hook broke"] = true, ["task broke"] = true }, seen)
      assert.is_true(loop:step())
    end)

    it("loses no results of a run: the next step raises", function()
      local car = new():vehicle(VIN)
      sim:fault({ path = "/executeService", latency = 0.1, times = 0 })
      async.spawn(function()
        bmwi.sleep(0.01)
        error("task broke", 0)
      end)
      local locked, flashed = async.run(function() return assert(car:lock_doors()) end,
        function() return assert(car:flash_lights()) end)
      assert.equal("DOOR_LOCK", locked.serviceType)
      assert.equal("LIGHT_FLASH", flashed.serviceType)
      local ok, message = pcall(loop.step, loop)
      assert.is_false(ok)
      assert(message:find("task broke", 1, true), message)
      assert.is_true(loop:step())
    end)

    it("writes errors that nothing received when the state is closed", function()
      local script = [[
        local bmwi, async = require("bmwi"), require("bmwi.async")
        async.spawn(function()
          bmwi.sleep(0)
          error("task broke", 0)
        end)
        async.run(function() bmwi.sleep(0.01) end)]]
      local said = helper.program(script)
      assert(said:find("^bmwi: task broke\nstack traceback:"), said)
      assert.equal("", helper.program(script .. " pcall(bmwi.loop.step, bmwi.loop)"))
      assert.equal("bmwi: error object is a table value\n",
        helper.program((script:gsub('"task broke"', "{}"))))
      local many = helper.program(script .. " async.spawn(function() error('another', 0) end)")
      assert(many:find("^bmwi: task broke\n.*\nbmwi: another\n"), many)
    end)

    it("raises the error of on_done once, from step", function()
      async.spawn(function() bmwi.sleep(0) end, function() error("done broke", 0) end)
      local other = async.spawn(function() bmwi.sleep(0.01) end)
      assert.has_error(function() drive(function() return false end) end, "done broke")
      drive(function() return other:done() end)
    end)

    it("raises the error of a task without on_done once, from step", function()
      async.spawn(function()
        bmwi.sleep(0)
        error("task broke", 0)
      end)
      local ok, message = pcall(drive, function() return false end)
      assert.is_false(ok)
      assert(message:find("task broke", 1, true), message)
      assert(message:find("traceback", 1, true), message)
      assert.is_true(loop:step())
    end)
  end)

  describe("with hooks that close or cancel", function()
    it("ends the calls of a client that is closed in its log hook", function()
      local client
      client = new({ log = function() client:close() end })
      local car = client:vehicle(VIN)
      local value, _, code = car:status()
      assert.is_nil(value)
      assert.equal("closed", code)
      assert.has_error(function() car:status() end)
    end)

    it("ends the calls of a client that is closed in on_token", function()
      local client
      client = new({ on_token = function() client:close() end })
      local _, _, code = client:vehicle(VIN):status()
      assert.equal("closed", code)
    end)

    it("survives the log hook cancelling the task of the event", function()
      local task, cancelled
      local car = logged_in({ log = function()
        if task and not cancelled then
          cancelled = true
          task:cancel()
          collectgarbage()
          collectgarbage()
        end
      end })
      local after = false
      task = async.spawn(function()
        car:status()
        after = true
      end)
      drive(function() return task:done() end)
      for _ = 1, 5 do loop:step(0.01) end
      assert.is_true(cancelled)
      assert.is_false(after)
      assert.equal(VIN, logged_in():status().vin)
    end)

    it("survives the log hook cancelling a retry", function()
      sim:fault({ path = "/status", times = 0, status = 503 })
      local task
      local car = logged_in({ retries = 2, log = function(event)
        if event == "retry" then
          task:cancel()
          collectgarbage()
          collectgarbage()
        end
      end })
      task = async.spawn(function() car:status() end)
      drive(function() return task:done() end)
      for _ = 1, 5 do loop:step(0.01) end
      assert.equal(1, sim:count("GET", "/status"))
    end)

    it("tolerates objects collected in between", function()
      local answers = 0
      for _ = 1, 20 do
        local task = async.spawn(function()
          logged_in():status() -- nobody else holds the client
          answers = answers + 1
        end)
        assert.is_table(task)
      end
      drive(function()
        collectgarbage()
        return answers == 20
      end)
    end)
  end)

  describe("that is driven by a host", function()
    it("returns to it, however many calls end at once", function()
      local count, left = 20000, 20000
      for _ = 1, count do
        async.spawn(function() bmwi.sleep(0.01) end, function() left = left - 1 end)
      end
      os.execute("sleep 0.05")
      loop:step()
      assert(left > 0 and left < count, left)
      assert.equal(0, loop:timeout())
      drive(function() return left == 0 end)
    end)

    it("returns to it even if a task repeats a call that fails immediately", function()
      local client = new({ password = "wrong" })
      assert.is_nil((client:login()))
      local calls, enough = 0, false
      async.spawn(function()
        while not enough and calls < 1e5 do
          client:vehicles()
          calls = calls + 1
        end
        enough = true
      end)
      loop:step()
      assert.is_false(enough)
      enough = true
      loop:step()
      assert.is_nil(loop:timeout())
    end)

    it("does not send a call that timed out while the host was busy", function()
      local car = logged_in({ timeout = 0.3 })
      for _, seconds in ipairs({ 0.5, 2 }) do
        local result
        async.spawn(function() result = { car:lock_doors() } end)
        os.execute("sleep " .. seconds)
        drive(function() return result end)
        assert.equal("timeout", result[3], result[2])
      end
      assert.equal(0, sim:count("POST", "/executeService"))
    end)

    it("does not touch a log-in whose client is being collected", function()
      sim:fault({ path = "/oauth/token", latency = 0.3 })
      local text = helper.program(([[
        local bmwi, async = require("bmwi"), require("bmwi.async")
        collectgarbage()
        collectgarbage("stop")
        local seen = setmetatable({}, { __mode = "v" })
        do
          local client = bmwi.new({ base_url = %q, username = "whatever@example.com",
            password = "p4ssw0rd", api_key = "key", api_secret = "secret" })
          seen[1] = client
          local task = async.spawn(function() client:login() end, function() end)
          for _ = 1, 10 do bmwi.loop:step(0.01) end
          task:cancel()
        end
        for _ = 1, 5000 do -- their ends come first
          local _ = newproxy and newproxy(true) or setmetatable({}, { __gc = function() end })
        end
        if _VERSION == "Lua 5.4" then collectgarbage("incremental", 200, 10, 1) end
        while seen[1] do collectgarbage("step", 0) end
        local start = bmwi._sys.monotonic()
        while bmwi._sys.monotonic() - start < 0.6 do bmwi.loop:step(0.05) end
        print("good")
      ]]):format(sim.url))
      assert.equal("good\n", text)
    end)
  end)

  if has_ffi then
    describe("in a forked child", function()
      ffi.cdef([[
        int fork(void);
        int waitpid(int pid, int *status, int options);
        void _exit(int status);
      ]])

      it("refuses all work, and does not disturb the parent", function()
        local car, client = logged_in()
        sim:fault({ path = "/status", times = 0, latency = 0.3 })
        local vin
        async.spawn(function() vin = car:status().vin end)
        drive(function() return sim:count("GET", "/status") == 1 end)
        local path = os.tmpname()
        local pid = ffi.C.fork()
        if pid == 0 then
          local file = io.open(path, "w")
          for _, try in ipairs({
            function() car:last_trip() end,
            function() bmwi.sleep(0) end,
            function() loop:step() end,
            function() loop:pollfd() end,
            function() async.run(function() end) end,
            function() bmwi.new(helper.client(sim)) end,
          }) do
            file:write(tostring(select(2, pcall(try))), "\n")
          end
          file:write(tostring(pcall(client.close, client)), "\n")
          collectgarbage()
          collectgarbage()
          file:write("end\n")
          file:close()
          ffi.C._exit(0)
        end
        assert(pid > 0)
        local status = ffi.new("int[1]")
        assert.equal(pid, ffi.C.waitpid(pid, status, 0))
        local file = io.open(path)
        local text = file:read("*a")
        file:close()
        os.remove(path)
        assert.equal(0, status[0], text)
        local _, refused = text:gsub("bmwi was loaded before this process was forked", "")
        assert.equal(6, refused, text)
        assert(text:find("true\nend\n$"), text)
        drive(function() return vin end)
        assert.equal(VIN, vin)
        assert.equal(1, sim:count("GET", "/status"))
        assert.is_table(car:last_trip())
      end)
    end)
  else
    pending("in a forked child: this Lua has no ffi")
  end

  describe("interrupted by Ctrl-C", function()
    local interpreter = os.getenv("LUA")
      or (rawget(_G, "jit") and "luajit" or "lua" .. _VERSION:match("%d+%.%d+"))

    -- Runs the script as a program, sends SIGINT once it has said "ready", returns what it wrote.
    local function interrupt(script)
      local path = os.tmpname()
      local file = assert(io.open(path, "w"))
      file:write(("package.path, package.cpath = %q, %q\n"):format(package.path, package.cpath),
        ("local bmwi, URL, VIN = require('bmwi'), %q, %q\n"):format(sim.url, VIN), [[
        local function new()
          return bmwi.new({ base_url = URL, username = "whatever@example.com",
            password = "p4ssw0rd", api_key = "key", api_secret = "secret", retries = 0 })
        end
        local function say(...)
          print(...)
          io.stdout:flush()
        end
        ]], script)
      file:close()
      local pipe = io.popen(([[
        %s %s >%s.out 2>&1 &
        pid=$!
        for i in $(seq 1200); do grep -q ready %s.out && break; sleep 0.05; done
        sleep 0.2
        kill -INT $pid
        for i in $(seq 1200); do kill -0 $pid 2>/dev/null || break; sleep 0.05; done
        kill -KILL $pid 2>/dev/null && echo killed
        wait $pid
        cat %s.out
        rm -f %s %s.out
      ]]):format(interpreter, path, path, path, path, path, path))
      local text = pipe:read("*a")
      pipe:close()
      return text
    end

    it("ends a call with an error, and the next call works", function()
      sim:fault({ path = "/status", latency = 60 })
      local text = interrupt([[
        local car = new():vehicle(VIN)
        car:last_trip()
        say("ready")
        local ok, message = pcall(car.status, car)
        say(ok, message)
        say(car:status().vin)
      ]])
      assert(text:find("false\t[^\n]*interrupted!"), text)
      assert(text:find("\n" .. VIN .. "\n", 1, true), text)
    end)

    it("cancels a command that waits for its log-in, so that it is not sent later", function()
      sim:fault({ path = "/oauth/token", latency = 5 })
      local text = interrupt([[
        local car = new():vehicle(VIN)
        say("ready")
        say(pcall(car.lock_doors, car))
        say(car:lock_doors() ~= nil)
      ]])
      assert(text:find("false\t[^\n]*interrupted!"), text)
      assert(text:find("\ntrue\n", 1, true), text)
      assert.equal(1, sim:count("POST", "/executeService"))
    end)

    it("ends a sleep", function()
      local text = interrupt([[
        say("ready")
        say(pcall(bmwi.sleep, 60))
      ]])
      assert(text:find("false\t[^\n]*interrupted!"), text)
    end)

    it("ends a program that does not catch it", function()
      sim:fault({ path = "/executeService", latency = 60 })
      local text = interrupt([[
        local car = new():vehicle(VIN)
        car:last_trip()
        say("ready")
        car:lock_doors()
        say("not reached")
      ]])
      assert(text:find("interrupted!", 1, true), text)
      assert.is_nil(text:find("not reached", 1, true))
      assert.equal(1, sim:count("POST", "/executeService"))
    end)

    it("ends a run and cancels its tasks", function()
      sim:fault({ path = "/status", times = 0, latency = 60 })
      local text = interrupt([[
        local async = require("bmwi.async")
        local car = new():vehicle(VIN)
        car:last_trip()
        say("ready")
        local after = 0
        local function ask()
          car:status()
          after = after + 1
        end
        say(pcall(async.run, ask, ask, ask))
        bmwi.sleep(0.1)
        say(after, bmwi.loop:timeout(), car:last_trip() ~= nil)
      ]])
      assert(text:find("false\t[^\n]*interrupted!"), text)
      assert(text:find("0\tnil\ttrue", 1, true), text)
    end)
  end)
end)
