-- bmwi.wait: the result of each sequence of responses. With a scripted car and a fake clock, so
-- that four minutes pass immediately.

local wait = require "bmwi.wait"

local OWN, EARLIER, LATER = "OWN-EVENT@bmw.de", "EARLIER-EVENT@bmw.de", "LATER-EVENT@bmw.de"

local function answer(status, event)
  return { { serviceType = "DOOR_LOCK", status = status, eventId = event or OWN } }
end

-- As the C module reports them.
local RETRYABLE = { network = true, timeout = true, rate_limited = true }
local function failure(code, info, message)
  info = info or {}
  if info.retryable == nil then info.retryable = RETRYABLE[code] or false end
  return { nil, message or ("it failed with " .. code .. "."), code, info }
end

-- A car that gives the responses of `script` one after the other, repeating the last, and a clock
-- that only `sleep` and `seconds_per_poll` advance.
local function scripted(script, seconds_per_poll)
  local world = { now = 1000, polls = {}, sleeps = {}, services = {} }
  world.car = {
    execution = function(self, service)
      assert.are.equal(world.car, self)
      world.polls[#world.polls + 1] = world.now - 1000
      world.services[#world.services + 1] = service
      world.now = world.now + (seconds_per_poll or 0)
      local entry = script[math.min(#world.polls, #script)]
      local copy = entry[1]
      if type(copy) == "table" then
        copy = {}
        for key, value in pairs(entry[1]) do copy[key] = value end
      end
      return copy, entry[2], entry[3], entry[4]
    end,
  }
  function world.options(more)
    local options = {
      clock = function() return world.now end,
      sleep = function(seconds)
        assert.is_true(seconds > 0 and #world.sleeps < 10000)
        world.sleeps[#world.sleeps + 1] = seconds
        world.now = world.now + seconds
        return true
      end,
    }
    for key, value in pairs(more or {}) do options[key] = value end
    return options
  end
  return world
end

local function own_execution()
  return { serviceType = "DOOR_LOCK", status = "INITIATED", eventId = OWN }
end

local function run(script, options, execution, seconds_per_poll)
  local world = scripted(script, seconds_per_poll)
  local result = { wait.for_execution(world.car, execution or own_execution(),
    world.options(options)) }
  return world, result[1], result[2], result[3], result[4]
end

describe("misuse of bmwi.wait", function()
  local car = { execution = function() return nil, "unused", "closed" end }
  local function inherits(options) return setmetatable({}, { __index = options }) end

  it("is reported at the caller's line", function()
    for part, call in pairs({
      ["an execution or a service name expected"] = function()
        local execution = wait.for_execution(car, {})
        return execution
      end,
      ["unknown option 'tmieout'"] = function()
        local execution = wait.for_execution(car, "DOOR_LOCK", { tmieout = 3 })
        return execution
      end,
      ["'timeout' of 'until_true' must be a number"] = function()
        local value = wait.until_true(print, { timeout = "3" })
        return value
      end,
      ["inherits members"] = function()
        local execution = wait.for_execution(car, "DOOR_LOCK", inherits({ tmieout = 3 }))
        return execution
      end,
    }) do
      local ok, message = pcall(call)
      assert.is_false(ok)
      assert.truthy(message:find(part, 1, true), message)
      assert.matches("^[^:]*wait_spec%.lua:%d+: ", message)
    end
  end)
end)

describe("bmwi.wait", function()
  it("loads without the C module", function()
    local loaded, preload = package.loaded["bmwi.wait"], package.preload.bmwi
    local real = package.loaded.bmwi
    package.loaded["bmwi.wait"], package.loaded.bmwi = nil, nil
    package.preload.bmwi = function() error("the C module was asked for") end
    local ok, message = pcall(require, "bmwi.wait")
    package.loaded["bmwi.wait"], package.loaded.bmwi, package.preload.bmwi = loaded, real, preload
    assert.is_true(ok, message)
  end)
end)

describe("wait.for_execution", function()
  it("returns the execution when the car has executed it", function()
    local world, execution, message = run({
      answer "INITIATED", answer "PENDING", answer "DELIVERED", answer "EXECUTED",
    })
    assert.is_nil(message)
    assert.are.same(answer("EXECUTED")[1], execution)
    assert.are.equal(4, #world.polls)
    assert.are.same({ "DOOR_LOCK", "DOOR_LOCK", "DOOR_LOCK", "DOOR_LOCK" }, world.services)
  end)

  it("polls after 2, 3, 5 and then every 10 seconds (trap 17)", function()
    local world = run({ answer "PENDING" })
    assert.are.same({ 2, 3, 5, 10, 10 }, { world.sleeps[1], world.sleeps[2], world.sleeps[3],
      world.sleeps[4], world.sleeps[5] })
    assert.are.equal(240, world.polls[#world.polls])
    assert.are.equal(26, #world.polls)
  end)

  it("polls at the given interval", function()
    local world = run({ answer "PENDING" }, { interval = 7, timeout = 30 })
    assert.are.same({ 7, 14, 21, 28, 30 }, world.polls)
  end)

  for _, case in ipairs({ { "NOT_EXECUTED", "not_executed" }, { "TIMED_OUT", "timed_out" } }) do
    it(case[1] .. " is the failure " .. case[2], function()
      local world, execution, message, code, info = run({ answer "PENDING", answer(case[1]) })
      assert.is_nil(execution)
      assert.is_string(message)
      assert.are.equal(case[2], code)
      assert.are.equal(case[1], info.last_status)
      assert.are.same(answer(case[1])[1], info.execution)
      assert.are.equal(2, #world.polls)
    end)
  end

  it("treats no other and no missing status as final (traps 13 and 15)", function()
    local world, execution = run({
      answer "SOMETHING_NEW", answer "SUCCESS", answer "executed", answer "", answer(nil),
      answer "EXECUTED",
    })
    assert.are.equal("EXECUTED", execution.status)
    assert.are.equal(6, #world.polls)
  end)

  it("returns at once when the given execution is already over", function()
    local given = { serviceType = "DOOR_LOCK", status = "EXECUTED", eventId = OWN }
    local world, execution = run({ answer "PENDING" }, nil, given)
    assert.are.equal(given, execution)
    assert.are.equal(0, #world.polls + #world.sleeps)
    for status, expected in pairs({ NOT_EXECUTED = "not_executed", TIMED_OUT = "timed_out" }) do
      given = { serviceType = "DOOR_LOCK", status = status, eventId = OWN }
      local other, none, _, code, info = run({ answer "PENDING" }, nil, given)
      assert.is_nil(none)
      assert.are.equal(expected, code)
      assert.are.equal(given, info.execution)
      assert.are.equal(0, #other.polls)
    end
  end)

  describe("matching the eventId", function()
    it("does not return the outcome of the previous command (trap 15)", function()
      for _, status in ipairs({ "EXECUTED", "NOT_EXECUTED", "TIMED_OUT", "PENDING" }) do
        local world, execution = run({
          answer(status, EARLIER), answer(status, EARLIER), answer "DELIVERED", answer "EXECUTED",
        })
        assert.are.equal(OWN, execution.eventId)
        assert.are.equal(4, #world.polls)
      end
    end)

    it("is unknown if only the previous command is reported", function()
      local _, execution, message, code, info = run({ answer("EXECUTED", EARLIER) })
      assert.is_nil(execution)
      assert.are.equal("unknown", code)
      assert.are.equal(OWN, info.execution.eventId)
      assert.are.equal("INITIATED", info.last_status)
      assert.is_nil(message:find("EVENT", 1, true))
    end)

    it("is unknown at once when a newer command supersedes it", function()
      local world, execution, message, code, info = run({
        answer("EXECUTED", EARLIER), answer "PENDING", answer("EXECUTED", LATER),
      })
      assert.is_nil(execution)
      assert.are.equal("unknown", code)
      assert.is_truthy(message:find("newer", 1, true))
      assert.are.equal(3, #world.polls)
      assert.are.equal(OWN, info.execution.eventId)
      assert.are.equal("PENDING", info.last_status)
    end)

    -- Another program sends the same command just after ours, and the server never reports ours.
    for title, script in pairs({
      ["was in progress at first"] = {
        answer("INITIATED", LATER), answer("PENDING", LATER), answer("EXECUTED", LATER),
      },
      ["had no known status at first"] = { answer("ODD", LATER), answer("EXECUTED", LATER) },
      ["had no status at first"] = { answer(nil, LATER), answer("NOT_EXECUTED", LATER) },
      ["appears after an earlier one"] = {
        answer("EXECUTED", EARLIER), answer("PENDING", LATER),
      },
      ["appears after one in progress"] = {
        answer("PENDING", EARLIER), answer("EXECUTED", LATER),
      },
      ["ends while polls fail"] = {
        failure("server", { status = 502 }), answer("PENDING", LATER), failure "network",
        failure "network", answer("EXECUTED", LATER), failure "network",
      },
    }) do
      it("is unknown soon when it is never reported, and the other event " .. title, function()
        script[#script + 1] = script[#script][3] and answer("EXECUTED", LATER) or script[#script]
        local world, execution, message, code, info = run(script)
        assert.is_nil(execution)
        assert.are.equal("unknown", code)
        assert.is_truthy(message:find("superseded by a newer command", 1, true), message)
        assert.is_nil(message:find("EVENT", 1, true))
        assert.are.equal(#script, #world.polls) -- one after the first response that says so
        assert.are.same(own_execution(), info.execution)
        assert.are.equal("INITIATED", info.last_status)
      end)
    end

    it("is found in a late report, after earlier commands", function()
      for _, script in ipairs({
        -- The server reports ours only after the previous one has ended.
        { answer("PENDING", EARLIER), answer("DELIVERED", EARLIER), answer("EXECUTED", EARLIER) },
        { answer("PENDING", EARLIER), answer("EXECUTED", EARLIER), failure "network" },
        { answer("EXECUTED", EARLIER), { { serviceType = "DOOR_LOCK", status = "PENDING" } } },
        -- It is two commands behind.
        { answer("EXECUTED", "FIRST-EVENT@bmw.de"), answer("EXECUTED", EARLIER) },
        { answer("EXECUTED", EARLIER), answer("EXECUTED", EARLIER), answer("EXECUTED", EARLIER) },
        { answer("PENDING", EARLIER), answer("PENDING", EARLIER), answer("DELIVERED", EARLIER) },
      }) do
        script[#script + 1], script[#script + 2] = answer "PENDING", answer "EXECUTED"
        local world, execution, message = run(script)
        assert.are.equal(OWN, execution and execution.eventId, message)
        assert.are.equal(#script, #world.polls)
      end
    end)

    it("waits to the end beside an event that stays in progress", function()
      local world, _, message, code = run({ answer("PENDING", LATER) })
      assert.are.equal("unknown", code)
      assert.is_truthy(message:find("nothing conclusive", 1, true), message)
      assert.are.equal(1240, world.now)
    end)

    it("tolerates a server that temporarily reports the previous command", function()
      local world, execution = run({
        answer("EXECUTED", EARLIER), answer "PENDING", answer("EXECUTED", EARLIER),
        answer "EXECUTED",
      })
      assert.are.equal(OWN, execution.eventId)
      assert.are.equal(4, #world.polls)
    end)

    it("does not accept a response without an eventId", function()
      local world, execution = run({
        { { serviceType = "DOOR_LOCK", status = "EXECUTED" } }, answer "EXECUTED",
      })
      assert.are.equal(OWN, execution.eventId)
      assert.are.equal(2, #world.polls)
    end)

    it("follows the first event reported if only the service is known", function()
      local world, execution = run({ answer "PENDING", answer "EXECUTED" }, nil, "DOOR_LOCK")
      assert.are.equal("EXECUTED", execution.status)
      assert.are.equal(2, #world.polls)
      local _, none, _, code = run({ answer "PENDING", answer("EXECUTED", LATER) }, nil,
        "DOOR_LOCK")
      assert.is_nil(none)
      assert.are.equal("unknown", code)
      -- The same for a table without an eventId, and if the server reports none either.
      _, execution = run({ answer "PENDING", answer "EXECUTED" }, nil,
        { serviceType = "DOOR_LOCK" })
      assert.are.equal("EXECUTED", execution.status)
      _, execution = run({ { { status = "EXECUTED" } } }, nil, "DOOR_LOCK")
      assert.are.same({ serviceType = "DOOR_LOCK", status = "EXECUTED" }, execution)
    end)
  end)

  describe("after the response to the command was lost", function()
    local function lost() return { serviceType = "DOOR_LOCK", lost = true } end

    it("follows an event in progress", function()
      local world, execution = run({
        answer("EXECUTED", EARLIER), answer "PENDING", answer("EXECUTED", EARLIER),
        answer "EXECUTED",
      }, nil, lost())
      assert.are.equal(OWN, execution and execution.eventId)
      assert.are.equal(4, #world.polls)
      local _, none, _, code = run({ answer "PENDING", answer "NOT_EXECUTED" }, nil, lost())
      assert.is_nil(none)
      assert.are.equal("not_executed", code)
    end)

    for _, entry in ipairs({ answer "EXECUTED", answer "NOT_EXECUTED", answer "TIMED_OUT",
      answer "SOMETHING_NEW", answer(nil), { { status = "PENDING" } },
      failure("not_found", { status = 404, api_code = "A-2012" }) }) do
      local word = entry[1] and (entry[1].eventId and tostring(entry[1].status) or "no eventId")
        or entry[3]
      it("is unknown if nothing else is reported: " .. word, function()
        local _, execution, message, code, info = run({ entry }, nil, lost())
        assert.is_nil(execution)
        assert.are.equal("unknown", code)
        assert.are.same(lost(), info.execution)
        assert.is_nil(message:find("EVENT", 1, true))
        local over = word == "EXECUTED" or word == "NOT_EXECUTED" or word == "TIMED_OUT"
        assert.are.equal(over, message:find("may be an earlier one", 1, true) ~= nil, message)
      end)
    end

    it("can be resumed once the event is known", function()
      local _, _, _, code, info = run({ answer "DELIVERED" }, { timeout = 20 }, lost())
      assert.are.equal("timeout", code)
      assert.are.equal(OWN, info.execution.eventId)
      assert.is_nil(info.execution.lost)
    end)
  end)

  describe("errors while polling", function()
    for _, entry in ipairs({
      failure("server", { status = 500, api_code = "I-300" }), failure("server", { status = 502 }),
      failure "network", failure "timeout", failure("json", { status = 200 }),
      failure("rate_limited", { status = 429 }), failure("server", { status = 599 }),
      failure("http", { status = 408, retryable = true }),
      failure("not_found", { status = 404, api_code = "A-2012" }),
    }) do
      it(("%s (%s) is no news"):format(entry[3], entry[4] and entry[4].status or "-"), function()
        local world, execution = run({ entry, answer "DELIVERED", entry, entry, answer "EXECUTED" })
        assert.are.equal("EXECUTED", execution and execution.status)
        assert.are.equal(5, #world.polls)
      end)
    end

    for _, entry in ipairs({
      failure("auth", { status = 401 }), failure("forbidden", { status = 403 }),
      failure("gone", { status = 410 }), failure "closed", failure "cancelled", failure "tls",
      failure("not_found", { status = 404 }), failure("http", { status = 400 }),
      failure("http", { status = 500, api_code = "A-101" }), failure "too_large",
    }) do
      it(("%s (%s) ends the wait"):format(entry[3], entry[4] and entry[4].status or "-"), function()
        local world, execution, message, code, info = run({ answer "PENDING", entry })
        assert.is_nil(execution)
        assert.are.equal(entry[3], code)
        assert.is_truthy(message:find("it failed with", 1, true), message)
        assert.is_truthy(message:find("the outcome of the command is unknown", 1, true), message)
        assert.are.equal(2, #world.polls)
        assert.are.equal(OWN, info.execution.eventId)
        assert.are.equal("PENDING", info.last_status)
        assert.are.equal(entry[3], info.last_error.code)
        assert.are.equal(entry[4], info.last_error.info)
      end)
    end

    it("respects retry_after", function()
      local world, execution = run({
        failure("rate_limited", { status = 429, retry_after = 45 }), answer "PENDING",
        answer "EXECUTED",
      })
      assert.are.equal("EXECUTED", execution.status)
      assert.are.same({ 2, 47, 52 }, world.polls) -- once only
      -- Not if it is shorter than the wait anyway.
      world = run({
        failure("server", { retry_after = "20" }), failure("server", { retry_after = 1 }),
        answer "PENDING", answer "EXECUTED",
      })
      assert.are.same({ 2, 22, 27, 37 }, world.polls)
    end)

    it("gives up immediately if retry_after exceeds the remaining time", function()
      local world, execution, message, code, info = run({
        answer "PENDING", failure("rate_limited", { status = 429, retry_after = 300 }),
      })
      assert.is_nil(execution)
      assert.are.equal("unknown", code)
      assert.are.equal(2, #world.polls)
      assert.are.equal("rate_limited", info.last_error.code)
      assert.is_truthy(message:find("300 s", 1, true))
    end)
  end)

  describe("when it times out", function()
    it("is \"timeout\" while the command is under way", function()
      local world, execution, message, code, info = run({ answer "PENDING", answer "DELIVERED" })
      assert.is_nil(execution)
      assert.are.equal("timeout", code)
      assert.is_truthy(message:find("240 s", 1, true))
      assert.is_truthy(message:find("DELIVERED", 1, true))
      assert.is_truthy(info.hint:find("may still do it", 1, true))
      assert.is_nil(message:find(";", 1, true))
      assert.are.equal("DELIVERED", info.last_status)
      assert.are.same(answer("DELIVERED")[1], info.execution)
      assert.are.equal(1240, world.now)
    end)

    it("does not report an error that has passed", function()
      local _, _, _, code, info = run({ failure "network", answer "DELIVERED" })
      assert.are.equal("timeout", code)
      assert.is_nil(info.last_error)
    end)

    it("is \"unknown\" when the server tells nothing", function()
      for _, last in ipairs({
        failure("server", { status = 502 }), failure "network", failure("json"),
        answer "SOMETHING_NEW", answer(nil), { { serviceType = "DOOR_LOCK" } },
      }) do
        local _, execution, message, code, info = run({ answer "PENDING", last })
        assert.is_nil(execution)
        assert.are.equal("unknown", code)
        assert.is_truthy(message:find("the outcome of the command is unknown", 1, true))
        assert.are.equal(OWN, info.execution.eventId)
        assert.are.equal("DOOR_LOCK", info.execution.serviceType)
        assert.are.equal(last[3], info.last_error and info.last_error.code)
        local word = last[1] and last[1].status or "PENDING"
        assert.are.equal(word, info.last_status)
        assert.are.equal(word, info.execution.status)
      end
    end)

    it("never sleeps or polls beyond the deadline", function()
      for _, timeout in ipairs({ 0, 0.5, 1, 2, 3, 9.5, 30 }) do
        local world, _, _, code = run({ answer "PENDING" }, { timeout = timeout })
        assert.are.equal("timeout", code)
        assert.are.equal(timeout, world.polls[#world.polls])
        assert.are.equal(1000 + timeout, world.now)
      end
    end)

    it("ends even if each sleep is slightly too short", function()
      local world = scripted({ answer "PENDING" })
      local _, _, code = wait.for_execution(world.car, own_execution(), world.options({
        timeout = 15,
        sleep = function(seconds) world.now = world.now + seconds - 1e-6 end,
      }))
      assert.are.equal("timeout", code)
      assert.are.equal(4, #world.polls)
    end)

    it("counts the time that the polls take", function()
      local world, _, _, code = run({ answer "PENDING" }, { timeout = 60 }, nil, 14)
      assert.are.equal("timeout", code)
      -- 2, +14+3, +14+5, +14+10 would be 62: the last one at 60 or before.
      assert.are.same({ 2, 19, 38, 60 }, world.polls)
      world = run({ answer "PENDING" }, { timeout = 60 }, nil, 100)
      assert.are.same({ 2 }, world.polls) -- it ran over
    end)

    it("can be resumed with what info contains", function()
      local _, _, _, code, info = run({ answer "DELIVERED" }, { timeout = 20 })
      assert.are.equal("timeout", code)
      local _, execution = run({ answer("EXECUTED", EARLIER), answer "EXECUTED" }, nil,
        info.execution)
      assert.are.equal(OWN, execution.eventId)
    end)
  end)

  it("ends when the sleep is interrupted", function()
    local world = scripted({ answer "PENDING" })
    local execution, message, code, info = wait.for_execution(world.car, own_execution(),
      world.options({ sleep = function() return nil, "cancelled", "cancelled" end }))
    assert.is_nil(execution)
    assert.are.equal("cancelled", code)
    assert.is_truthy(message:find("outcome of the command is unknown", 1, true))
    assert.are.equal(OWN, info.execution.eventId)
    assert.are.equal(0, #world.polls)
  end)

  it("reports each change to on_update, once", function()
    local told = {}
    run({
      answer "INITIATED", answer "PENDING", answer "PENDING", failure "network", failure "network",
      answer "PENDING", answer "ODD_WORD", answer("EXECUTED", EARLIER), answer(nil),
      answer "EXECUTED",
    }, { on_update = function(execution, message)
      assert.is_string(message)
      assert.is_nil(message:find("EVENT", 1, true))
      told[#told + 1] = execution and execution.status or message
    end })
    -- EARLIER after our own event counts as a newer event, since it was not seen before.
    assert.are.same({ "PENDING", "it failed with network", "PENDING", "ODD_WORD" }, told)
    told = {}
    run({ answer "DELIVERED", answer "EXECUTED" }, { on_update = function(execution)
      told[#told + 1] = execution.status
    end })
    assert.are.same({ "DELIVERED", "EXECUTED" }, told)
  end)

  it("propagates an error of on_update", function()
    assert.has_error(function()
      run({ answer "PENDING" }, { on_update = function() error("stop", 0) end })
    end, "stop")
  end)

  it("never puts the eventId into a message", function()
    for _, script in ipairs({
      { answer "NOT_EXECUTED" }, { answer "TIMED_OUT" }, { answer "PENDING" },
      { failure "network" }, { failure "auth" }, { answer "ODD" }, { answer("EXECUTED", EARLIER) },
      { answer "PENDING", answer("EXECUTED", LATER) },
    }) do
      local _, _, message = run(script)
      assert.is_nil(message:find("EVENT", 1, true), message)
    end
  end)

  it("does not modify the given execution", function()
    local given = own_execution()
    run({ answer "PENDING", answer "EXECUTED" }, nil, given)
    assert.are.same(own_execution(), given)
  end)

  it("can sleep by yielding, in every Lua", function()
    local world = scripted({ answer "PENDING", answer "EXECUTED" })
    local options = world.options({ sleep = coroutine.yield })
    local task = coroutine.create(function()
      return wait.for_execution(world.car, own_execution(), options)
    end)
    local slept = {}
    local ok, value = coroutine.resume(task)
    while coroutine.status(task) == "suspended" do
      slept[#slept + 1] = value
      world.now = world.now + value
      ok, value = coroutine.resume(task, true)
    end
    assert.is_true(ok, value)
    assert.are.equal("EXECUTED", value.status)
    assert.are.same({ 2, 3 }, slept)
  end)

  it("raises for misuse", function()
    local world = scripted({ answer "EXECUTED" })
    local cases = {
      { "vehicle expected, got nil", nil, "DOOR_LOCK" },
      { "an execution or a service name expected", world.car, nil },
      { "an execution or a service name expected", world.car, "" },
      { "an execution or a service name expected", world.car, {} },
      { "an execution or a service name expected", world.car, { serviceType = 5 } },
      { "bad argument #3", world.car, "DOOR_LOCK", 240 },
      { "bad argument #2", world.car, "door lock" },
      { "bad argument #2", world.car, { serviceType = "DOOR_LOCK", eventId = {} } },
      { "unknown option 'timout' of 'for_execution' (known: timeout, interval, on_update, ",
        world.car, "DOOR_LOCK", { timout = 5 } },
      { "option 'timeout' of 'for_execution' must be a number", world.car, "DOOR_LOCK",
        { timeout = "5" } },
      { "must not be below 0", world.car, "DOOR_LOCK", { timeout = -1 } },
      { "must not be below 0", world.car, "DOOR_LOCK", { timeout = 0 / 0 } },
      { "must be above 0", world.car, "DOOR_LOCK", { interval = 0 } },
      { "must be above 0", world.car, "DOOR_LOCK", { interval = 0 / 0 } },
      { "option 'on_update' of 'for_execution' must be a function", world.car, "DOOR_LOCK",
        { on_update = true } },
    }
    for _, case in ipairs(cases) do
      local ok, message = pcall(wait.for_execution, case[2], case[3], case[4])
      assert.is_false(ok)
      assert.is_truthy(message:find(case[1], 1, true), message)
    end
  end)

  it("uses the C module's clock and sleep by default", function()
    local world = scripted({ answer "EXECUTED" })
    local options = world.options()
    local real = package.loaded.bmwi
    package.loaded.bmwi = { sleep = options.sleep, _sys = { monotonic = options.clock } }
    local ok, execution = pcall(wait.for_execution, world.car, own_execution())
    package.loaded.bmwi = real
    assert.is_true(ok, execution)
    assert.are.equal("EXECUTED", execution.status)
    assert.are.same({ 2 }, world.sleeps)
  end)
end)

describe("wait.until_true", function()
  local function until_true(script, options)
    local world = scripted(script)
    local result = { wait.until_true(function() return world.car:execution("x") end,
      world.options(options)) }
    return world, result[1], result[2], result[3], result[4]
  end

  it("returns what the function returned, immediately if possible", function()
    local world, value = until_true({ { "charged" } })
    assert.are.equal("charged", value)
    assert.are.equal(0, #world.sleeps)
    world, value = until_true({ { false }, { nil }, { 42 } })
    assert.are.equal(42, value)
    assert.are.same({ 0, 10, 20 }, world.polls)
  end)

  it("polls at the given interval and for the last time at the deadline", function()
    local world, value, message, code = until_true({ { false } },
      { timeout = 1000, interval = 300 })
    assert.is_nil(value)
    assert.are.equal("timeout", code)
    assert.is_truthy(message:find("1000 s", 1, true))
    assert.are.same({ 0, 300, 600, 900, 1000 }, world.polls)
  end)

  it("polls once with a timeout of 0, without sleeping", function()
    local world, _, _, code = until_true({ { false } }, { timeout = 0 })
    assert.are.equal("timeout", code)
    assert.are.equal(1, #world.polls)
    assert.are.equal(0, #world.sleeps)
  end)

  it("waits out transient errors", function()
    local world, value = until_true({
      failure("server", { status = 500 }), failure("rate_limited", { retry_after = 60 }),
      { false }, { true },
    })
    assert.is_true(value)
    assert.are.same({ 0, 10, 70, 80 }, world.polls)
  end)

  it("ends with other errors unchanged", function()
    local info = { status = 401 }
    local world, value, message, code, same = until_true({ { false }, failure("auth", info, "no") })
    assert.is_nil(value)
    assert.are.equal("no", message)
    assert.are.equal("auth", code)
    assert.are.equal(info, same)
    assert.are.equal(2, #world.polls)
  end)

  it("reports the last error when it times out", function()
    local _, value, message, code, info = until_true({ failure("network") })
    assert.is_nil(value)
    assert.are.equal("timeout", code)
    assert.is_truthy(message:find("it failed with network", 1, true))
    assert.are.equal("network", info.last_error.code)
  end)

  it("reports each new message and the end to on_update", function()
    local told = {}
    until_true({ { nil, "58 %" }, { nil, "58 %" }, { nil, "60 %" }, { "full", "100 %" } }, {
      on_update = function(value, message) told[#told + 1] = { value or false, message } end,
    })
    assert.are.same({ { false, "58 %" }, { false, "60 %" }, { "full", "100 %" } }, told)
  end)

  it("ends when the sleep is interrupted", function()
    local _, value, message, code = until_true({ { false } }, {
      sleep = function() return nil, "cancelled", "cancelled" end,
    })
    assert.is_nil(value)
    assert.is_string(message)
    assert.are.equal("cancelled", code)
  end)

  it("raises an error for misuse and propagates errors of the function", function()
    assert.has_error(function() wait.until_true(nil) end,
      "bad argument #1 to 'until_true' (function expected, got nil)")
    assert.has_error(function() wait.until_true(print, { timout = 1 }) end,
      "unknown option 'timout' of 'until_true' (known: timeout, interval, on_update, clock, "
        .. "sleep)")
    assert.has_error(function()
      wait.until_true(function() error("mine", 0) end, scripted({}).options())
    end, "mine")
  end)
end)
