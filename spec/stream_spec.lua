-- client:stream() against the simulator's broker.
local async = require("bmwi.async")
local bmwi = require("bmwi")
local helper = require("spec.helper")
local stores = require("bmwi.store")
local streams = require("spec.stream_helper")
local times = require("bmwi.cardata.stream_times")

local VIN, OTHER, LEVEL, MILEAGE = streams.VIN, streams.OTHER, streams.LEVEL, streams.MILEAGE
local old_lua = _VERSION == "Lua 5.1" and not rawget(_G, "jit")

describe("a stream", function()
  local sim, client

  before_each(function()
    streams.hurry()
    sim = helper.start({ stream = true })
    client = streams.client(sim)
  end)
  after_each(function()
    client:close()
    sim:stop()
    streams.no_hurry()
  end)

  local function publish(data, more) streams.publish(sim, data, more) end
  local function set(change) streams.set(sim, change) end
  local function report() return streams.report(sim) end
  local function connected(options, of)
    local stream = (of or client):stream(options)
    streams.await(stream, "connected")
    return stream
  end

  describe("brings", function()
    it("what the car sends, as it comes", function()
      local stream = connected()
      publish({ [LEVEL] = { value = 55, unit = "%" } })
      local update = streams.update(stream)
      assert.equal(VIN, update.vin)
      assert.equal(55, update.status.chargingLevelHv)
      assert.is_true(update.changed.chargingLevelHv)
      assert.equal("stream", update.details.chargingLevelHv.source)
      assert.equal(55, update.values[LEVEL].value)
      publish({ [LEVEL] = { value = 56, unit = "%", age = -1 } })
      assert.equal(56, streams.update(stream).status.chargingLevelHv)
      local seen = report()
      assert.equal(1, #seen.connections)
      assert.same({ "aa111192-d570-4d3d-8835-656ee00edcd7/+" }, seen.connections[1].subscriptions)
      assert.equal(5, seen.connect.protocol)
      assert.equal(30, seen.connect.keepalive)
      assert.equal(0, #sim:log())
    end)

    it("a burst of values as one update", function()
      streams.hurry({ quiet = 0.3, longest = 20 }) -- however slow this machine is
      local stream, data = connected(), {}
      for i = 1, 100 do data["vehicle.key" .. i] = i end
      publish(data, { each = true })
      local update = streams.update(stream)
      assert.equal(100, #helper.names(update.values))
      streams.fails_as("timeout", stream:next(0.5))
    end)

    it("values that came together, merged only once", function()
      streams.hurry({ quiet = 0.3, longest = 20 })
      local stream, data, merges = connected(), {}, 0
      local merge = bmwi._values.merge
      finally(function() bmwi._values.merge = merge end)
      bmwi._values.merge = function(...)
        merges = merges + 1
        return merge(...)
      end
      for i = 1, 60 do data["vehicle.key" .. i] = i end
      publish(data, { each = true })
      local update = streams.update(stream)
      assert.equal(60, #helper.names(update.values))
      assert(merges < 30, merges)
    end)

    it("both of two values of the same descriptor, one after the other", function()
      local stream = connected()
      streams.set(sim, { publish = { { data = { [MILEAGE] = { value = 2, unit = "km", age = 5 } } },
        { data = { [MILEAGE] = { value = 1, unit = "km", age = 9 } } } } })
      local update = streams.update(stream)
      assert.equal(2, update.status.mileage)
    end)

    it("the last of several values of the same second, and none that cannot be read", function()
      local stream, messages = connected(), {}
      for i, value in ipairs { 48301, 48302, "x" } do
        messages[i] = { data = { [MILEAGE] = { value = value, unit = "km", age = 5 } } }
      end
      streams.set(sim, { publish = messages })
      assert.equal(48302, streams.update(stream).status.mileage)
      publish({ [MILEAGE] = { value = 48303, unit = "km", age = 5 } })
      local update = streams.update(stream)
      assert.equal(48303, update.status.mileage)
      assert.is_true(update.changed.mileage)
    end)

    it("everything known of a car with its first update", function()
      local car = client:vehicle(VIN)
      local status = assert(car:status())
      sim:clear()
      local stream = connected()
      publish({ [LEVEL] = { value = 12, unit = "%" } })
      local update = streams.update(stream)
      assert.equal(12, update.status.chargingLevelHv)
      assert.equal(status.mileage, update.status.mileage)
      assert.is_true(update.changed.mileage)
      assert.truthy(update.values[MILEAGE])
      publish({ [LEVEL] = { value = 13, unit = "%", age = -1 } })
      assert.is_nil(streams.update(stream).values[MILEAGE])
      assert.equal(0, #sim:log())
    end)

    it("with a token that lasts for decades, too", function()
      local token = client:token()
      token.expires_at = os.time() + 2e9
      local other = bmwi.new(streams.options(sim, { token = token }))
      local stream = connected(nil, other)
      publish({ [LEVEL] = { value = 55, unit = "%" } })
      assert.equal(55, streams.update(stream).status.chargingLevelHv)
      other:close()
    end)

    it("to a slow reader, what has changed meanwhile", function()
      local stream = connected()
      for i = 1, 20 do publish({ [MILEAGE] = { value = 1000 + i, unit = "km", age = -i } }) end
      streams.publish(sim, { [LEVEL] = { value = 55, unit = "%" } })
      bmwi.sleep(0.6)
      local updates = 0
      repeat
        local last = streams.update(stream)
        updates = updates + 1
      until last.status.mileage == 1020 and last.status.chargingLevelHv == 55
      assert(updates <= 21)
      streams.fails_as("timeout", stream:next(0.4))
    end)

    it("nothing older than what is known, and nothing malformed", function()
      local stream = connected()
      publish({ [MILEAGE] = { value = 2000, unit = "km" } })
      streams.update(stream)
      publish({ [MILEAGE] = { value = 1000, unit = "km", age = 60 } })
      publish({}, { payload = "{" })
      publish({}, { payload = '{"data":7}' })
      publish({}, { payload = "" })
      publish({}, { topic = "aa111192-d570-4d3d-8835-656ee00edcd7/x" })
      publish({}, { topic = "aa111192-d570-4d3d-8835-656ee00edcd7/" .. OTHER,
        payload = '{"vin":"' .. VIN .. '","data":{"a":{"value":1}}}' })
      streams.fails_as("timeout", stream:next(0.5))
      publish({ [MILEAGE] = { value = 2001, unit = "km", age = -2 } })
      assert.equal(2001, streams.update(stream).status.mileage)
      assert.equal(1, report().attempt_count)
    end)

    it("its values to a loop", function()
      local stream, seen = connected(), 0
      publish({ [MILEAGE] = { value = 1, unit = "km" } })
      for update in stream:updates() do
        seen = seen + 1
        assert.equal(seen, update.status.mileage)
        if seen == 2 then stream:close() end
        publish({ [MILEAGE] = { value = seen + 1, unit = "km", age = -seen } })
      end
      assert.equal(2, seen)
      assert.same({ "ended", "closed" }, { stream:state() })
    end)

    it("its values to a loop in a task", function()
      if old_lua then return pending("an iterator cannot yield on this Lua") end
      local stream, seen = client:stream(), 0
      async.run(function()
        for _ in stream:updates() do
          seen = seen + 1
          stream:close()
        end
      end, function()
        while stream:state() ~= "connected" do bmwi.sleep(0.01) end
        publish({ [MILEAGE] = { value = 9, unit = "km", age = -9 } })
      end)
      assert.equal(1, seen)
    end)

    it("the values of several accounts at once", function()
      local other_sim = helper.start({ stream = true })
      local other = streams.client(other_sim)
      local one, two = connected(), connected(nil, other)
      publish({ [MILEAGE] = { value = 1, unit = "km" } })
      streams.publish(other_sim, { [MILEAGE] = { value = 2, unit = "km" } })
      assert.equal(1, streams.update(one).status.mileage)
      assert.equal(2, streams.update(two).status.mileage)
      other:close()
      other_sim:stop()
      publish({ [MILEAGE] = { value = 3, unit = "km", age = -1 } })
      assert.equal(3, streams.update(one).status.mileage)
    end)
  end)

  describe("shares a car's values", function()
    it("with car:status(), which then needs no call", function()
      local car, store = client:vehicle(VIN), client:_option("store")
      times.save = 100
      assert(store:_set_values(VIN, {}, os.time() - 3600))
      local stream = connected()
      publish({ [LEVEL] = { value = 77, unit = "%", age = -1 } })
      streams.update(stream)
      local status, details = car:status({ max_age = 60 })
      assert.equal(77, status.chargingLevelHv)
      assert.equal("stream", details.chargingLevelHv.source)
      assert.equal(77, car:telematics({ max_age = 60 })[LEVEL].value)
      assert.equal(0, #sim:log())
    end)

    it("in both directions: what REST has read is in the next update", function()
      local car = client:vehicle(VIN)
      local stream = connected()
      publish({ [LEVEL] = { value = 77, unit = "%", age = -5 } })
      streams.update(stream)
      local mileage = car:status().mileage
      publish({ [LEVEL] = { value = 78, unit = "%", age = -6 } })
      local update = streams.update(stream)
      assert.equal(mileage, update.status.mileage)
      assert.equal(78, update.status.chargingLevelHv)
      assert.equal(78, car:status().chargingLevelHv) -- REST has an older one
    end)

    it("with the account file when the connection is lost", function()
      times.save = 100
      local stream = connected()
      publish({ [LEVEL] = { value = 44, unit = "%" } })
      streams.update(stream)
      set({ listen = false })
      streams.await(stream, "waiting")
      assert.equal(44, client:_option("store"):_values(VIN)[LEVEL].value)
    end)

    it("with the next program, through the account file", function()
      local path = os.tmpname()
      os.remove(path)
      client:close()
      client = streams.client(sim, { store = stores.new(path) })
      local stream = connected()
      publish({ [LEVEL] = { value = 31, unit = "%" } })
      streams.run_until(stream, function()
        local values = stores.new(path):_values(VIN)
        return values and values[LEVEL] and values[LEVEL].value == 31
      end, "saved")
      publish({ [LEVEL] = { value = 32, unit = "%", age = -1 } })
      streams.update(stream)
      stream:close()
      assert.equal(32, stores.new(path):_values(VIN)[LEVEL].value)
      client:close()
      client = bmwi.new(streams.options(sim, { store = stores.new(path) }))
      assert.equal(32, client:vehicle(VIN):status({ max_age = 60 }).chargingLevelHv)
      assert.equal(0, #sim:log())
      for _, ending in ipairs({ "", ".lock", ".write.lock", ".stream.lock" }) do
        os.remove(path .. ending)
      end
    end)
  end)

  describe("reports", function()
    it("its state", function()
      set({ connack = 136, connack_times = 1 })
      local stream = client:stream()
      assert.equal("connecting", stream:state())
      assert.equal("bmwi.stream: connecting", tostring(stream))
      streams.await(stream, "waiting")
      local state, seconds, reason = stream:state()
      assert.equal("waiting", state)
      assert(seconds > 0 and seconds <= 0.7, seconds)
      assert.is_string(reason)
      streams.await(stream, "connected")
      stream:close()
      assert.same({ "ended", "closed" }, { stream:state() })
      streams.fails_as("closed", stream:next())
      streams.fails_as("closed", stream:next(0))
      stream:close()
    end)

    it("when no update came in time, and continues", function()
      local stream = client:stream()
      streams.fails_as("timeout", stream:next(0))
      streams.fails_as("timeout", stream:next(0.01))
      publish({ [LEVEL] = 1 })
      streams.await(stream, "connected")
      publish({ [LEVEL] = { value = 2, age = -1 } })
      assert.truthy(stream:next(math.huge))
      assert.not_equal("ended", (stream:state()))
    end)

    it("nothing while nothing arrives: the loop is not woken", function()
      local stream = connected()
      streams.fails_as("timeout", stream:next(0.5))
      assert(bmwi.loop:timeout() > 10, bmwi.loop:timeout())
      publish({ [LEVEL] = 5 })
      streams.update(stream)
      helper.drive(function() return bmwi.loop:timeout() > 10 end) -- the values have been saved
    end)

    it("what has broken it, if that is a bug of its own", function()
      local connect = bmwi._mqtt.connect
      bmwi._mqtt.connect = function() error("quite broken") end -- luacheck: ignore
      local stream = client:stream()
      local ok, message = pcall(stream.next, stream, 10)
      bmwi._mqtt.connect = connect -- luacheck: ignore
      assert.is_false(ok)
      helper.has(message, "quite broken")
      assert.equal("ended", (stream:state()))
      assert.equal("connected", (connected():state()))
    end)

    it("its events to the log, without secrets", function()
      local lines = {}
      local logging = streams.client(sim, { log = function(event, about)
        lines[#lines + 1] = event .. " " .. helper.json.encode(about)
      end })
      local stream = connected(nil, logging)
      publish({ [LEVEL] = 5 })
      streams.update(stream)
      set({ disconnect = 139 })
      streams.run_until(stream, function()
        return table.concat(lines):find('"waiting"', 1, true)
      end, "waiting")
      streams.await(stream, "connected")
      stream:close()
      local text = table.concat(lines, "\n")
      for _, part in ipairs({ '"connecting"', '"connected"', '"waiting"', '"ended"',
        "stream_message" }) do
        helper.has(text, part)
      end
      local token = logging:token()
      for _, secret in ipairs({ token.access_token, token.refresh_token, token.id_token }) do
        assert.is_nil(text:find(secret, 1, true))
      end
      logging:close()
    end)

    it("incorrect use of its methods", function()
      for _, bad in ipairs({ 5, "x", { vin = VIN }, { vins = VIN }, { vins = { "x" } },
        { vins = { 5 } }, { vins = {} }, { keepalive = 0 }, { keepalive = 31 }, { protocol = 3 },
        setmetatable({}, { __index = { protocol = 4 } }) }) do
        local ok, message = pcall(client.stream, client, bad)
        assert.is_false(ok)
        assert.is_string(message)
      end
      local stream = client:stream()
      assert.has_error(function() stream:next(-1) end)
      assert.has_error(function() stream:next("x") end)
      client:close()
      assert.has_error(function() client:stream() end)
    end)

    it("that the classic service has no stream", function()
      local classic = bmwi.new(helper.client(sim))
      helper.has((streams.fails_as("unsupported", classic:stream())), "stream")
      local car = classic:vehicle(helper.vin)
      streams.fails_as("unsupported", car:stream())
      assert.is_false(car:supports("stream"))
      assert.is_true(client:vehicle(VIN):supports("stream"))
    end)
  end)

  describe("ends", function()
    local function gone()
      return #report().connections == 0
    end

    local function idle()
      return bmwi.loop:timeout() == nil
    end

    it("by close, with its readers and connection, leaving nothing to do", function()
      local stream = connected()
      local inside
      async.run(function() inside = { stream:next() } end, function()
        bmwi.sleep(0.02)
        stream:close()
      end)
      assert.equal("closed", inside[3])
      streams.run_until(stream, gone, "disconnected")
      helper.has(report().attempts[1].ended, "DISCONNECT")
      helper.drive(idle)
    end)

    it("with its client", function()
      local stream, other = connected(), client:stream()
      local inside
      async.run(function() inside = { stream:next() } end, function()
        bmwi.sleep(0.02)
        client:close()
      end)
      assert.equal("closed", inside[3])
      streams.fails_as("closed", other:next())
      streams.run_until(stream, gone, "disconnected")
    end)

    it("with its client, while it waits for the next attempt", function()
      set({ connack = 136 })
      streams.hurry({ busy = 100 })
      local stream = client:stream()
      streams.await(stream, "waiting")
      client:close()
      streams.fails_as("closed", stream:next(20))
    end)

    it("by close while it connects, and while it waits", function()
      set({ connack_silent = true })
      local stream = client:stream()
      streams.fails_as("timeout", stream:next(0.1))
      stream:close()
      streams.run_until(stream, gone, "disconnected")
      set({ connack_silent = helper.json.null, connack = 136 })
      streams.hurry({ busy = 100 })
      stream = client:stream()
      streams.await(stream, "waiting")
      stream:close()
      helper.drive(idle)
    end)

    it("when it is collected", function()
      times.save = 100
      local stream = connected() -- luacheck: ignore
      publish({ [LEVEL] = { value = 31, unit = "%" } })
      streams.update(stream)
      stream = nil -- luacheck: ignore
      collectgarbage()
      collectgarbage()
      local probe = { next = function() bmwi.sleep(0.02) end }
      streams.run_until(probe, gone, "disconnected")
      streams.run_until(probe, function()
        local values = client:_option("store"):_values(VIN)
        return values and values[LEVEL].value == 31
      end, "saved")
      stream = connected() -- the next one is not in its way
      stream:close()
    end)

    it("when it is collected, even if nothing arrives any more", function()
      local stream = connected() -- luacheck: ignore
      stream = nil -- luacheck: ignore
      collectgarbage()
      collectgarbage()
      streams.run_until({ next = function() bmwi.sleep(0.02) end }, gone, "disconnected")
    end)

    it("when it is collected while it waits for the next attempt", function()
      set({ connack = 136 })
      streams.hurry({ busy = 100 })
      local stream = client:stream()
      streams.await(stream, "waiting")
      stream = nil -- luacheck: ignore
      collectgarbage()
      collectgarbage()
      local deadline = bmwi._sys.monotonic() + 10
      while bmwi.loop:timeout() do
        assert(bmwi._sys.monotonic() < deadline, "something is still waiting")
        bmwi.loop:step(0.01)
      end
    end)

    it("when a hook of its client closes the client", function()
      local closing
      closing = streams.client(sim, { log = function(event)
        if event == "stream" and closing then closing:close() end
      end })
      streams.fails_as("closed", closing:stream():next(20))
    end)

    it("for one of its readers, when that task is cancelled or its coroutine closed", function()
      local stream = connected()
      local task = async.spawn(function() stream:next() end, function() end)
      bmwi.sleep(0.02)
      task:cancel()
      local close = coroutine.close -- luacheck: ignore (Lua 5.4)
      if close then
        local thread
        async.spawn(function()
          thread = coroutine.running()
          stream:next()
        end, function() end)
        bmwi.sleep(0.02)
        close(thread)
      end
      publish({ [LEVEL] = { value = 31, unit = "%" } })
      assert.equal(31, streams.update(stream).status.chargingLevelHv)
    end)

    it("at the end of its block on Lua 5.4", function()
      if not rawget(coroutine, "close") then
        return pending("this Lua has no variables that are closed")
      end
      load([[local stream, await = ...
        local s <close> = stream
        await(s, "connected")]])(client:stream(), streams.await)
      streams.run_until({ next = function() bmwi.sleep(0.02) end }, gone, "disconnected")
    end)
  end)
end)
