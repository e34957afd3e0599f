--- bmwi.bridge.source with a scripted client: what it reports for several cars of the classic
--- service.
local async = require "bmwi.async"
local bmwi = require "bmwi"
local helper = require "spec.helper"
local source = require "bmwi.bridge.source"

describe("the bridge's source of updates", function()
  local answers, told, reads, options

  -- The results of car:status() for each car in turn; the last one is repeated.
  local function client()
    return { vehicle = function(_, vin)
      return { status = function()
        local list = answers[vin]
        reads[vin] = (reads[vin] or 0) + 1
        local answer = #list > 1 and table.remove(list, 1) or list[1]
        return answer[1], answer[2], answer[3], answer[4]
      end }
    end }
  end

  before_each(function()
    told, answers, reads = {}, {}, {}
    local function note(kind)
      return function(a, ...) told[#told + 1] = { kind, type(a) == "table" and a.vin or a, ... } end
    end
    options = { client = client(), service = "classic", vins = { "A", "B" }, every = 0.01,
      last = {}, failed = {}, on_update = note("update"), on_state = note("state"),
      on_problem = function(vin, message) told[#told + 1] = { "problem", message, vin } end }
  end)

  -- Runs it until these cars, by default all, have been read four times; returns the code with
  -- which it ended, if it did.
  local function run(vins)
    local list, ended = {}, nil
    options.fail = function(_, code)
      ended = code
      error({}, 0)
    end
    for i, task in ipairs(source.tasks(options)) do
      list[i] = async.spawn(task, function() end)
    end
    helper.drive(function()
      local enough = true
      for _, vin in ipairs(vins or options.vins) do enough = enough and (reads[vin] or 0) >= 4 end
      return ended or enough
    end)
    for _, task in ipairs(list) do task:cancel() end
    return ended
  end

  local function count(kind, what)
    local n = 0
    for _, one in ipairs(told) do
      if one[1] == kind and (not what or one[2] == what) then n = n + 1 end
    end
    return n
  end

  local DOWN = { nil, "it is down", "server", {} }

  it("reports the service as unreachable only if no car can be read", function()
    answers = { A = { { { x = 1 } } }, B = { DOWN } }
    run()
    assert.equal(0, count("state", "waiting"))
    assert.equal(1, count("problem", "it is down")) -- once, however often it fails
    assert.equal(1, count("update", "A"))
  end)

  it("reports an outage and its end", function()
    answers = { A = { DOWN, { { x = 1 } } }, B = { DOWN, { { x = 2 } } } }
    run()
    assert.equal("problem", told[1][1]) -- of A alone
    assert.same({ "state", "waiting", "it is down", "server", {} }, told[2])
    assert.equal("connected", told[#told][2])
    assert.equal(1, count("update", "B"))
  end)

  it("ends if no car belongs to the account, but not if only one does not", function()
    local WRONG = { nil, "no such car", "not_found", {} }
    answers = { A = { WRONG }, B = { { { x = 1 } } } }
    assert.is_nil(run({ "B" }))
    answers = { A = { WRONG }, B = { WRONG } }
    options.last, options.failed = {}, {}
    assert.equal("not_found", run())
  end)

  it("continues if a car disappears for a while", function()
    answers = { A = { { { x = 1 } }, { nil, "not found", "not_found", {} }, { { x = 2 } } },
      B = { { { x = 1 } } } }
    assert.is_nil(run())
    assert.equal(2, count("update", "A"))
  end)

  it("repeats what failed, with growing pauses up to the usual period", function()
    local pauses = {}
    for tries = 1, 8 do pauses[tries] = source.pause(tries, 300) end
    assert.same({ 5, 10, 20, 40, 80, 160, 300, 300 }, pauses)
    assert.equal(300, source.pause(5000, 300))
    assert.equal(3, source.pause(1, 3))
    assert.equal(900, source.pause(1, 300, { retry_after = 900 }))
    assert.equal(3600, source.pause(1, 300, { retry_after = 365 * 86400 }))
    assert.equal(86400, source.pause(30, 86400, { retry_after = 365 * 86400 }))
  end)

  -- The first pauses of a poll of car A every 300 seconds.
  local function pauses_of(answers_of_a)
    options.every, options.vins = 300, { "A" }
    local slept = {}
    local sleep = bmwi.sleep
    finally(function() bmwi.sleep = sleep end) -- luacheck: ignore
    bmwi.sleep = function(seconds) -- luacheck: ignore
      slept[#slept + 1] = seconds
      return sleep(#slept < 4 and 0 or 300)
    end
    answers = { A = answers_of_a }
    local task = async.spawn(source.tasks(options)[1], function() end)
    bmwi.loop:step(0)
    for _ = 1, 10 do bmwi.loop:step(0.01) end
    task:cancel()
    return { slept[1], slept[2], slept[3] }
  end

  it("repeats a read before the usual period is over", function()
    assert.same({ 5, 10, 300 }, pauses_of { DOWN, DOWN, { { x = 1 } } })
  end)

  it("is put off for an hour at most", function()
    local YEAR = { retry_after = 365 * 86400 }
    assert.same({ 3600, 3600, 300 }, pauses_of { { nil, "too many", "rate_limited", YEAR },
      { nil, "odd", "http", YEAR }, { { x = 1 } } })
  end)

  it("ends at once if retrying cannot help any car", function()
    answers = { A = { { nil, "log in again", "auth", {} } }, B = { { { x = 1 } } } }
    assert.equal("auth", run())
  end)

  it("waits as long as the server says", function()
    answers = { A = { { nil, "too many", "rate_limited", { retry_after = 30 } } }, B = { DOWN } }
    run({ "B" })
    assert.is_true(#answers.A == 1 and count("problem", "too many") <= 1)
    assert.is_true(count("state", "waiting") > 1) -- B goes on
  end)

  it("detects what has changed, nested values too", function()
    assert.same({ b = true, c = true, d = true }, source.changed(
      { a = { 1, { x = 1 } }, b = { lat = 1 }, c = 1 },
      { a = { 1, { x = 1 } }, b = { lat = 2 }, d = 1 }))
  end)
end)
