-- The adapters of bmwi.host. Those for luv and cqueues are tested if these modules are installed.
local helper = require("spec.helper")
local bmwi = require("bmwi")
local async = require("bmwi.async")
local host = require("bmwi.host")

local function now()
  return bmwi._sys.monotonic()
end

describe("bmwi.host", function()
  local sim, client, car, on_error, errors

  setup(function()
    sim = helper.start()
    on_error = host.on_error
  end)

  teardown(function()
    host.on_error = on_error
    sim:stop()
  end)

  before_each(function()
    sim:reset()
    client = bmwi.new(helper.client(sim))
    assert(client:login())
    car = client:vehicle(helper.vin)
    sim:fault({ path = "/status", latency = 0.5, times = 0 })
    errors = {}
    host.on_error = function(message)
      errors[#errors + 1] = message
    end
  end)

  after_each(function()
    client:close()
    bmwi.loop:step()
    assert.is_nil(bmwi.loop:timeout()) -- nothing left behind
  end)

  -- Starts `n` statuses as tasks; `state.left` counts down to 0, then calls `at_end`.
  local function start_statuses(n, at_end)
    local state = { left = n, mileages = {} }
    for i = 1, n do
      async.spawn(function()
        return car:status()
      end, function(ok, status, _, code)
        state.mileages[i] = ok and status and status.mileage
        state.code = code
        state.left = state.left - 1
        if state.left == 0 and at_end then
          at_end()
        end
      end)
    end
    return state
  end

  -- How many carried statuses: one alone if they were sent one after the other.
  local function connections()
    local used, n = {}, 0
    for _, request in ipairs(sim:log()) do
      if request.method == "GET" and not used[request.connection] then
        used[request.connection], n = true, n + 1
      end
    end
    return n
  end

  -- No response comes while a spec lasts.
  local function never_answer()
    sim:no_faults()
    sim:fault({ path = "/status", latency = 30, times = 0 })
  end

  local function fail_later()
    async.spawn(function()
      bmwi.sleep(0.02)
      error("nobody waits for me")
    end)
  end

  local function assert_one_error()
    assert.equal(1, #errors)
    assert.truthy(errors[1]:find("nobody waits for me", 1, true))
    assert.truthy(errors[1]:find("stack traceback", 1, true))
  end

  describe("step", function()
    it("passes the error of a task without on_done to on_error", function()
      fail_later()
      while bmwi.loop:timeout() do
        bmwi.loop:pollfd()
        host.step()
      end
      assert_one_error()
    end)

    it("writes to standard error unless told otherwise", function()
      local stderr, written = io.stderr, {}
      io.stderr = { -- luacheck: ignore
        write = function(_, ...)
          written[#written + 1] = table.concat({ ... })
        end,
      }
      on_error("it failed")
      io.stderr = stderr -- luacheck: ignore
      assert.same({ "bmwi: it failed\n" }, written)
    end)
  end)

  describe("drive", function()
    -- A minimal host: runs functions as its coroutines, each with a sleep that yields.
    local function run_host(functions)
      local sleepers, pauses, switches = {}, {}, 0
      local function sleep(seconds)
        pauses[#pauses + 1] = seconds
        coroutine.yield(now() + seconds)
      end
      for i, fn in ipairs(functions) do
        sleepers[i] = { thread = coroutine.create(fn), wake = 0 }
      end
      local running = #sleepers
      while running > 0 do
        for _, sleeper in ipairs(sleepers) do
          if sleeper.wake and sleeper.wake <= now() then
            switches = switches + 1
            local ok, wake = coroutine.resume(sleeper.thread, sleep)
            assert(ok, wake)
            sleeper.wake = wake
            if not wake then
              running = running - 1
            end
          end
        end
      end
      return pauses, switches
    end

    it("waits only with the given sleep, in many coroutines of the host at once #slow", function()
      local functions, mileages, ticks, begun, done = {}, {}, 0, 0, 0
      for i = 1, 20 do
        functions[i] = function(sleep)
          begun = begun + 1
          mileages[i] = host.drive(sleep, car.status, car).mileage
          assert.equal(20, begun)
          done = done + 1
        end
      end
      functions[21] = function(sleep)
        while done < 20 do
          sleep(0.01)
          ticks = ticks + 1
        end
      end
      local pauses = run_host(functions)
      assert.equal(20, #mileages)
      assert.is_true(ticks > 0)
      for _, pause in ipairs(pauses) do
        assert.is_true(pause >= 0.001 and pause <= 0.01)
      end
      assert.equal(20, sim:count("GET", "/status"))
    end)

    it("passes arguments and results through unchanged", function()
      local function fn(...)
        bmwi.sleep(0.001)
        return select("#", ...), ...
      end
      local function check(...)
        assert.equal(5, select("#", ...))
        local n, a, b, c, d = ...
        assert.same({ 4, "x" }, { n, b })
        assert.is_nil(a)
        assert.is_nil(c)
        assert.is_nil(d)
      end
      check(host.drive(bmwi.sleep, fn, nil, "x", nil, nil))
      assert.equal(0, select("#", host.drive(error, function() end)))
    end)

    it("returns failures and raises errors", function()
      sim:no_faults()
      sim:fault({ path = "/status", recorded = "gone" })
      local _, _, code = host.drive(bmwi.sleep, car.status, car)
      assert.equal("gone", code)
      local ok, message = pcall(host.drive, bmwi.sleep, function()
        bmwi.sleep(0.001)
        error("broken")
      end)
      assert.is_false(ok)
      assert.truthy(message:find("host_spec.lua:%d+: broken\n"))
      assert.truthy(message:find("stack traceback", 1, true))
    end)

    -- What nginx does when a request ends, and HAProxy when a client has gone.
    it("cancels the task of a coroutine that the host discards", function()
      sim:no_faults()
      sim:fault({ path = "/status", latency = 5, times = 0 })
      local after = false
      local thread = coroutine.create(function()
        host.drive(coroutine.yield, function()
          car:status()
          after = true
        end)
      end)
      for _ = 1, 3 do
        assert(coroutine.resume(thread))
        collectgarbage()
      end
      assert.is_true(bmwi.loop:timeout() > 1, "it is still wanted")
      thread = nil -- luacheck: ignore
      collectgarbage()
      collectgarbage() -- what had a finalizer goes in the second round, and its thread with it
      host.step()
      assert.is_nil(bmwi.loop:timeout())
      assert.is_false(after)
      assert.same({}, errors)
    end)

    it("raises an error of the sleep", function()
      local ok, message = pcall(host.drive, function()
        error("no sleep here", 0)
      end, bmwi.sleep, 50)
      assert.same({ false, "no sleep here" }, { ok, message })
      collectgarbage()
      collectgarbage()
      host.step()
      assert.is_nil(bmwi.loop:timeout(), "what was under way has ended")
    end)

    it("works if the host forbids undefined globals", function()
      assert.equal("done\n", helper.program([[
        setmetatable(_G, { __index = function(_, name) error("no global " .. name) end })
        for _, name in ipairs({ "async", "cli", "geo", "navigation", "store", "time", "units",
          "wait" }) do
          require("bmwi." .. name)
        end
        local bmwi = require("bmwi")
        print((require("bmwi.host").drive(bmwi.sleep, function()
          bmwi.sleep(0.01)
          return "done"
        end)))]]))
    end)

    it("is not affected by other tasks' errors", function()
      fail_later()
      local function no_sleep() end
      assert.equal("mine", (host.drive(no_sleep, function()
        bmwi.sleep(0.05)
        return "mine"
      end)))
      assert_one_error()
    end)

    it("refuses anything but a function", function()
      local function message(...)
        return (select(2, pcall(function(...)
          host.drive(...)
        end, ...)))
      end
      assert.truthy(message(nil, print):find(
        "host_spec.lua:%d+: bad argument #1 to 'drive' %(function expected, got nil%)"))
      assert.truthy(message(print, {}):find("host_spec.lua:%d+: bad argument #2 to 'drive'"))
    end)
  end)

  local has_luv, uv = pcall(require, "luv")

  describe("luv", function()
    if not has_luv then
      pending("lua-luv is not installed")
      return
    end

    local handle

    before_each(function()
      handle = host.luv(uv)
    end)

    after_each(function()
      handle:close()
      uv.run()
    end)

    local function after(ms, fn)
      local timer = uv.new_timer()
      timer:start(ms, 0, function()
        timer:close()
        fn()
      end)
    end

    local function seconds_of_run()
      local start = now()
      uv.run()
      return now() - start
    end

    it("completes 50 concurrent calls while the loop's timers tick, then ends #slow", function()
      local ticks, timer = 0, uv.new_timer()
      timer:start(10, 10, function()
        ticks = ticks + 1
      end)
      local statuses = start_statuses(50, function()
        timer:close()
      end)
      uv.run()
      assert.equal(0, statuses.left)
      assert.equal(50, #statuses.mileages)
      assert.is_true(connections() > 10, "one after the other")
      assert.is_true(ticks >= 3, ticks .. " ticks")
    end)

    it("does not keep an idle loop alive, even with an open connection", function()
      assert.is_true(seconds_of_run() < 20)
      handle:close()
      handle = host.luv(uv)
      local statuses = start_statuses(1)
      assert.is_true(seconds_of_run() < 20)
      assert.equal(0, statuses.left)
    end)

    it("keeps the loop alive for work that its last callback has started", function()
      local statuses
      after(20, function()
        statuses = start_statuses(1)
      end)
      uv.run()
      assert.equal(0, statuses.left)

      -- the callback of a descriptor, which runs later in the loop's turn
      local fds = uv.socketpair and uv.socketpair()
      if fds then
        local poll = uv.new_poll(fds[1])
        poll:start("r", function()
          poll:close()
          statuses = start_statuses(1)
        end)
        after(10, function()
          local other = uv.new_tcp()
          other:open(fds[2])
          other:write("x")
          other:close()
        end)
        uv.run()
        assert.equal(0, statuses.left)
      end
    end)

    it("wakes for bmwi.sleep", function()
      local woken
      local start = now()
      async.spawn(function()
        bmwi.sleep(0.05)
        woken = true
      end)
      uv.run()
      assert.is_true(woken)
      assert.is_true(now() - start >= 0.05)
    end)

    it("wakes for a client that is closed by another callback", function()
      never_answer()
      local statuses = start_statuses(1)
      after(50, function()
        client:close()
      end)
      assert.is_true(seconds_of_run() < 20)
      assert.equal(0, statuses.left)
      assert.equal("closed", statuses.code)
    end)

    it("detaches from the loop with calls pending", function()
      local statuses = start_statuses(1)
      after(10, function()
        handle:close()
        handle:close()
      end)
      uv.run()
      assert.equal(1, statuses.left)
      while statuses.left > 0 do
        bmwi.loop:step(1)
      end
    end)

    it("survives errors", function()
      fail_later()
      local statuses = start_statuses(1)
      uv.run()
      assert.equal(0, statuses.left)
      assert_one_error()
    end)
  end)

  local has_cqueues, cqueues = pcall(require, "cqueues")

  describe("cqueues", function()
    if not has_cqueues then
      pending("lua-cqueues is not installed")
      return
    end

    local controller, handle

    before_each(function()
      controller = cqueues.new()
      handle = host.cqueues(controller)
    end)

    local function run()
      assert(controller:loop(20))
      assert.is_true(controller:empty())
    end

    local function stop()
      handle:stop()
    end

    it("completes 50 concurrent calls while other threads run #slow", function()
      local ticks, statuses = 0, nil
      controller:wrap(function()
        while statuses.left > 0 do
          cqueues.sleep(0.01)
          ticks = ticks + 1
        end
      end)
      statuses = start_statuses(50, stop)
      run()
      assert.equal(50, #statuses.mileages)
      assert.is_true(connections() > 10, "one after the other")
      assert.is_true(ticks >= 3, ticks .. " ticks")
    end)

    it("stops immediately, and only when asked", function()
      controller:wrap(function()
        cqueues.sleep(0.05)
        handle:stop()
        handle:stop()
      end)
      local start = now()
      run()
      assert.is_true(now() - start >= 0.04)
    end)

    it("advances what another thread starts later", function()
      local statuses
      controller:wrap(function()
        cqueues.sleep(0.05)
        statuses = start_statuses(2, stop)
      end)
      run()
      assert.equal(0, statuses.left)
    end)

    it("wakes for a client that is closed by another thread", function()
      never_answer()
      local statuses = start_statuses(1, stop)
      controller:wrap(function()
        cqueues.sleep(0.05)
        client:close()
      end)
      run()
      assert.equal("closed", statuses.code)
    end)

    it("survives errors", function()
      fail_later()
      local statuses = start_statuses(1, stop)
      run()
      assert.equal(0, statuses.left)
      assert_one_error()
    end)
  end)
end)
