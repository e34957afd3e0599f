--- bmwi.bridge.commands with a car whose methods raise errors.
local async = require "bmwi.async"
local bmwi = require "bmwi"
local commands = require "bmwi.bridge.commands"
local helper = require "spec.helper"
local json = helper.json

local TOPIC = "bmwi/" .. helper.vin .. "/command"

describe("a command received by the bridge", function()
  local car, results, refreshed, carrying

  before_each(function()
    results, refreshed = {}, 0
    car = {}
    carrying = commands.new {
      client = { vehicle = function() return car end },
      cars = { [helper.vin] = { vehicle = {} } },
      say = function(topic, payload)
        assert.equal(TOPIC .. "/result", topic)
        results[#results + 1] = json.decode(payload)
      end,
      refresh = function() refreshed = refreshed + 1 end,
    }
  end)

  local function receive(payload)
    carrying:receive(TOPIC, payload)
    async.run(function() bmwi.sleep(0) end) -- the loop would raise what a task has left
  end

  it("is refused immediately if it is misuse, and the next one is executed", function()
    function car.lock_doors() error("lock_doors: nonsense\nand more") end
    receive('{"command":"lock","id":3}')
    assert.equal(1, #results)
    assert.same({ "lock", 3, "refused", "usage" },
      { results[1].command, results[1].id, results[1].result, results[1].code })
    assert.equal("lock_doors: nonsense", results[1].message) -- without the source's path
    assert.equal(0, refreshed)
    function car.lock_doors() return nil, "no", "forbidden" end
    receive("lock")
    assert.equal("forbidden", results[2].code)
  end)

  it("is refused with what is wrong: the count, or the command", function()
    local client = bmwi.new { base_url = "http://127.0.0.1:1", token = { access_token = "t" } }
    finally(function() client:close() end)
    local real = client:vehicle("WAB1C23456V123456")
    function car.flash_lights(_, ...) return real:flash_lights(...) end -- its limit is the only one
    for i, count in ipairs { "-1", "0", "101", "1e9", "1.5", '"2"', "true", "[]" } do
      receive('{"command":"flash","id":7,"count":' .. count .. "}")
      local result = results[i]
      assert.same({ "flash", 7, "refused", "usage" },
        { result.command, result.id, result.result, result.code })
      assert.matches("^flash_lights: count: a whole number from 1 to 100 expected, got ",
        result.message)
    end
    local given
    function car.flash_lights(_, options)
      given = options.count
      return nil, "no", "forbidden"
    end
    receive('{"command":"flash","count":100}')
    assert.equal(100, given)
    results = {}
    for i, payload in ipairs { "blink", '{"command":"blink","id":7,"count":0}', "[1", "" } do
      receive(payload)
      assert.same({ "refused", "usage" }, { results[i].result, results[i].code })
      helper.has(results[i].message, (i <= 2 and "no such command" or "neither a word nor a JSON "
        .. "object") .. ". Known: charge, climate, find, flash")
      assert.equal(i == 2 and 7 or nil, results[i].id)
    end
  end)

  it("is taken in capitals, also in JSON, but not above 1024 bytes", function()
    local count = 0
    function car.lock_doors()
      count = count + 1
      return nil, "no", "forbidden"
    end
    receive("LOCK")
    receive('{"command":"LOCK"}')
    assert.equal(2, count)
    assert.same({ "lock", "failed" }, { results[2].command, results[2].result })
    receive('{"command":"lock","id":"' .. ("x"):rep(1024) .. '"}')
    assert.equal(2, count)
    helper.has(results[3].message, "at most 1024 bytes")
  end)

  it("is refused for a reason given, for any car, but not for what is no VIN", function()
    local late = { code = "closed", message = "too late" }
    carrying:receive(TOPIC, '{"command":"lock","id":1}', late)
    assert.same({ "lock", 1, "refused", "closed", "too late" }, { results[1].command,
      results[1].id, results[1].result, results[1].code, results[1].message })
    for _, name in ipairs { ("x"):rep(65527), "+", "", "a b", "WAB1C23456V12345/" } do
      carrying:receive("bmwi/" .. name .. "/command", "lock", late)
    end
    assert.equal(1, #results)
  end)

  it("has an unknown outcome if an error was raised after it was sent", function()
    function car.lock_doors() return { event_id = "x", status = "PENDING" } end
    receive("lock") -- and to ask for its status is an error with this car
    assert.equal(1, #results)
    assert.equal("unknown", results[1].result)
    assert.equal(1, refreshed)
    receive("lock")
    assert.equal("unknown", results[2].result)
  end)
end)
