-- What a stream does when something goes wrong: against the simulator's broker and its faults.
local async = require("bmwi.async")
local bmwi = require("bmwi")
local helper = require("spec.helper")
local mqtt = require("spec.mqtt_helper")
local stores = require("bmwi.store")
local streams = require("spec.stream_helper")
local times = require("bmwi.cardata.stream_times")

local VIN, LEVEL, MILEAGE = streams.VIN, streams.LEVEL, streams.MILEAGE
local null = helper.json.null

describe("a stream continues", function()
  local sim, client, path

  local function start(options)
    options = options or {}
    options.stream = true
    sim = helper.start(options)
    client = streams.client(sim)
  end
  before_each(function()
    streams.hurry()
    path = os.tmpname()
    os.remove(path)
  end)
  after_each(function()
    client:close()
    sim:stop()
    streams.no_hurry()
    for _, ending in ipairs({ "", ".lock", ".write.lock", ".stream.lock" }) do
      os.remove(path .. ending)
    end
  end)

  local mileage = 0
  local function set(change) streams.set(sim, change) end
  local function report() return streams.report(sim) end
  local function attempts() return report().attempts end
  local function connected(options, of)
    local stream = (of or client):stream(options)
    streams.await(stream, "connected")
    return stream
  end
  -- Expects a published value to arrive.
  local function alive(stream)
    mileage = mileage + 1
    local value = mileage
    streams.publish(sim, { [MILEAGE] = { value = value, unit = "km", age = -mileage } })
    repeat until streams.update(stream).status.mileage == value
  end
  local function await_attempts(stream, count)
    streams.run_until(stream, function() return report().attempt_count >= count end, "attempts")
    streams.await(stream, "connected")
  end

  -- With a token that lasts 20 s and is renewed after two; the next one lasts.
  local function expiring()
    start()
    times.renew = { 0.1, 0.1 }
    sim:control("POST", "/cardata/token", { expires_in = 20 })
    assert(client:_renew(client:token().access_token))
    sim:control("POST", "/cardata/token", { expires_in = 3600 })
    sim:clear()
  end

  it("when its token is about to expire: with a new one, after a pause", function()
    expiring()
    times.rotation = 0.5
    local stream = connected()
    alive(stream)
    await_attempts(stream, 2)
    alive(stream)
    local list = attempts()
    helper.has(list[1].ended, "DISCONNECT") -- ours, before the server's
    assert(list[2].at - list[1].ended_at >= 0.3)
    assert(list[1].ended_at - list[1].at < 20)
    assert.equal(1, streams.renewals(sim))
    assert.equal(0, list[2].connack)
  end)

  it("when the server ends it with its token: with one renewal", function()
    times.renew = { 3, 3 } -- too late
    for _, reason in ipairs({ 0, 135, 160 }) do
      start()
      sim:control("POST", "/cardata/token", { expires_in = 2 })
      assert(client:_renew(client:token().access_token))
      sim:control("POST", "/cardata/token", { expires_in = 3600 })
      sim:clear()
      set({ expire_reason = reason })
      local stream = connected()
      await_attempts(stream, 2)
      alive(stream)
      assert.equal(1, streams.renewals(sim))
      assert.equal(2, #attempts())
      client:close()
      sim:stop()
    end
    start()
  end)

  it("with what came while it got the next token", function()
    expiring()
    local stream = connected()
    sim:fault({ path = "/oauth/token", latency = 5 })
    streams.run_until(stream, function() return sim:count(nil, "/oauth/token") > 0 end, "renewal")
    assert.is_nil(attempts()[1].ended)
    streams.publish(sim, { [MILEAGE] = { value = 99001, unit = "km", age = 0 } })
    repeat until streams.update(stream).status.mileage == 99001
  end)

  it("with the token that another process has got meanwhile", function()
    start()
    client:close()
    client = streams.client(sim, { store = stores.new(path) })
    local other = bmwi.new(streams.options(sim, { store = stores.new(path) }))
    local stream = connected()
    sim:control("POST", "/cardata/token", { expire_id = true })
    assert(other:_renew(other:token().access_token))
    sim:clear()
    set({ disconnect = 139 })
    await_attempts(stream, 2)
    alive(stream)
    assert.equal(0, streams.renewals(sim))
    assert.equal(0, attempts()[2].connack)
    other:close()
  end)

  it("when it reconnected too soon for the server", function()
    expiring()
    times.transient = 60
    set({ refuse_after_disconnect = 60 })
    times.rotation = 0.25
    local stream = connected()
    streams.run_until(stream, function() return (attempts()[2] or {}).connack end, "refusal")
    set({ refuse_after_disconnect = 0 })
    streams.await(stream, "connected")
    alive(stream)
    assert.equal(135, attempts()[2].connack)
    assert.equal(1, streams.renewals(sim)) -- that of the rotation
  end)

  it("when the renewal fails while the token is valid", function()
    expiring()
    sim:fault({ path = "/oauth/token", times = 1, status = 503 })
    times.renew_again = 0.3
    local stream = connected()
    alive(stream)
    await_attempts(stream, 2)
    alive(stream)
    assert.equal(2, streams.renewals(sim))
    helper.has(attempts()[1].ended, "DISCONNECT")
  end)

  it("when the server, the network or another program ends it", function()
    start()
    local stream, count = connected(), 1
    for _, how in ipairs({ { disconnect = 139 }, { ["end"] = "cut" }, { ["end"] = "reset" },
      { disconnect = 142 }, { send = "0000" } }) do
      times.window = 0.01
      set(how)
      count = count + 1
      await_attempts(stream, count)
      alive(stream)
    end
    assert.equal(0, streams.renewals(sim))
  end)

  it("when the broker was away", function()
    start()
    local stream = connected()
    set({ listen = false })
    streams.await(stream, "waiting")
    streams.run_until(stream, function() return select(2, stream:state()) ~= nil end, "waits")
    set({ listen = true })
    times.window = 0.01
    streams.await(stream, "connected")
    alive(stream)
  end)

  it("when the subscription is not acknowledged, and when it is refused once", function()
    start()
    times.suback = 0.3
    set({ suback_silent = true })
    local stream = client:stream()
    streams.run_until(stream, function() return report().attempt_count >= 2 end, "again")
    set({ suback_silent = null, suback = 135 })
    streams.run_until(stream, function()
      return (report().sent.SUBACK or 0) >= 1
    end, "refused")
    set({ suback = null })
    times.window = 0.01
    streams.await(stream, "connected")
    alive(stream)
  end)

  it("when values come before the subscription is acknowledged, or in pieces", function()
    start()
    set({ publish_first = true, chunk = 7, length_bytes = 4 })
    local stream = client:stream()
    local update = streams.update(stream)
    assert.equal(VIN, update.vin)
    assert(#helper.names(update.values) > 10)
    streams.await(stream, "connected")
    alive(stream)
  end)

  it("with MQTT 3.1.1 if the server supports no other", function()
    for _, how in ipairs({ { connack = 132, connack_times = 1 }, { protocol = 4 } }) do
      start()
      set(how)
      local stream = client:stream()
      streams.await(stream, "connected")
      alive(stream)
      local list = attempts()
      assert.equal(4, list[#list].protocol)
      client:close()
      sim:stop()
    end
    start()
  end)

  it("after a pause if the server limits the rate", function()
    start()
    times.busy = 0.8
    set({ connack = 159, connack_times = 1 })
    connected()
    local list = attempts()
    assert.equal(2, #list)
    assert(list[2].at - list[1].at >= 0.7)
  end)

  it("over TLS", function()
    start({ tls = true })
    local stream = connected()
    alive(stream)
    set({ ["end"] = "notify" })
    await_attempts(stream, 2)
    alive(stream)
    helper.has(sim.stream_url, "mqtts://")
  end)

  it("when the clock is set, forward or back", function()
    start()
    local weather = helper.weather()
    if not weather then return pending("the clock cannot be changed here") end
    client:close()
    client = streams.client(sim, { store = stores.new(path) })
    for _, jump in ipairs({ 7200, -86400 }) do
      local clock = os.tmpname()
      helper.write(clock, "0")
      local text = helper.program(([[
        local helper, streams = require("spec.helper"), require("spec.stream_helper")
        local bmwi = require("bmwi")
        streams.hurry()
        local sim = { url = %q, stream_url = %q, control = helper.control }
        local client = bmwi.new(streams.options(sim,
          { store = require("bmwi.store").new(%q) }))
        local stream = client:stream()
        streams.await(stream, "connected")
        helper.write(%q, "%d")
        print("set")
        for i = 1, 3 do
          local update = streams.update(stream)
          bmwi.sleep(0.3)
        end
        streams.await(stream, "connected")
        print("still " .. stream:state())
        stream:close()
      ]]):format(sim.url, sim.stream_url, path, clock, jump), weather .. " BMWI_CLOCK=" .. clock,
        ("COMMAND 2>&1 & p=$!; for i in $(seq 100); do sleep 0.4; kill -0 $p 2>&- || break; "
          .. "curl -sS -d '{\"publish\":{\"data\":{\"%s\":'$i'}}}' %s/_sim/cardata/stream; "
          .. "done; wait"):format(MILEAGE, sim.url))
      helper.has(text, "set\n")
      helper.has(text, "still connected")
      assert.equal(jump > 0 and 1 or 0, streams.renewals(sim)) -- as after a long sleep
      sim:clear()
      os.remove(clock)
    end
  end)

  describe("and not too fast", function()
    it("within one, with any number of accounts", function()
      start()
      streams.no_hurry()
      local list = {}
      for i = 1, 5 do
        list[i] = streams.client(sim)
        local stream = list[i]:stream()
        streams.run_until(stream, function() return stream:state() ~= "connecting" end, "begun")
        local state, seconds = stream:state()
        assert.equal(i < 5 and "connected" or "waiting", state)
        if i == 5 then assert(seconds > 30 and seconds <= 61, seconds) end
        stream:close()
      end
      for _, one in ipairs(list) do one:close() end
      assert.equal(4, report().attempt_count)
    end)
  end)

  describe("or ends for good", function()
    local function ending(code, options)
      local stream = client:stream(options)
      local message, got, info = streams.ending(stream)
      assert.equal(code, got, message)
      assert.same({ "ended", code }, { stream:state() })
      streams.fails_as(code, stream:next())
      return message, info, stream
    end

    it("without a log-in", function()
      start()
      client:close()
      client = bmwi.new(streams.options(sim))
      ending("auth")
      assert.equal(0, report().attempt_count)
    end)

    it("with a log-in that names no account whose topics could be asked for", function()
      start()
      for _, gcid in ipairs({ "a/#", "+", "a/b", false }) do
        client:close()
        client = bmwi.new(streams.options(sim, { token = { access_token = "a", id_token = "i",
          gcid = gcid or nil } }))
        ending("auth")
      end
      assert.equal(0, report().attempt_count)
    end)

    it("with a log-in that is not for streams", function()
      start()
      client:close()
      client = streams.client(sim, { scope = "authenticate_user openid cardata:api:read" })
      local _, info = ending("forbidden")
      helper.has(info.hint, "CarData Stream")
      assert.equal(0, report().attempt_count)
    end)

    it("when the log-in cannot be renewed any more", function()
      start()
      sim:control("POST", "/cardata/token", { expire_id = true })
      sim:fault({ path = "/oauth/token", times = 0, status = 400,
        body = '{"error":"invalid_request"}' })
      local _, info = ending("auth")
      assert.is_string(info.hint)
      assert.equal(1, report().attempt_count)
    end)

    it("when every token is refused", function()
      for reason, code in pairs({ [134] = "auth", [135] = "forbidden" }) do
        start()
        times.window = 0.01
        set({ connack = reason })
        local _, info = ending(code)
        assert.is_string(info.hint)
        assert.equal(1, streams.renewals(sim))
        client:close()
        sim:stop()
      end
      start()
    end)

    it("when the subscription is refused twice: the portal's step is named", function()
      start()
      for _, protocol in ipairs({ 5, 4 }) do
        set({ suback = protocol == 5 and 135 or 128 })
        local _, info = ending("forbidden", { protocol = protocol })
        helper.has(info.hint, "CarData Stream")
        assert.equal(2, report().sent.SUBACK)
        sim:reset()
        client:close()
        client = streams.client(sim)
      end
    end)

    it("immediately when another program on this machine uses the account's stream", function()
      start()
      client:close()
      client = streams.client(sim, { store = stores.new(path) })
      local stream = connected()
      local other = bmwi.new(streams.options(sim, { store = stores.new(path) }))
      streams.fails_as("conflict", other:stream():next())
      other:close()
      alive(stream)
      stream:close()
      other = bmwi.new(streams.options(sim, { store = stores.new(path) }))
      connected(nil, other)
      other:close()
    end)

    it("when TLS does not work", function()
      start({ tls = true })
      local untrusted = streams.client(sim)
      local token = untrusted:token()
      untrusted:close()
      client:close()
      client = bmwi.new(streams.options(sim, { ca_file = false, token = token }))
      local message = ending("tls")
      helper.has(message, "certificate")
      helper.drive(function() return #report().connections == 0 end) -- the client's alert is read
      assert.is_nil(report().received.CONNECT)
    end)

    it("when the first three TLS handshakes are cut short", function()
      start()
      client:close()
      local server = mqtt.broker("read:1", "close")
      client = streams.client(sim, { stream_url = server.url:gsub("mqtt", "mqtts"),
        ca_file = helper.certs() .. "/ca.pem" })
      local _, _, code = client:stream():next(60)
      local count = #server:got()
      server:stop()
      assert.equal("tls", code)
      assert.equal(3, count)
    end)

    it("when the server rejects the client for good", function()
      for reason, code in pairs({ [133] = "server", [138] = "forbidden" }) do
        start()
        set({ connack = reason })
        ending(code)
        assert.equal(1, report().attempt_count)
        client:close()
        sim:stop()
      end
      start()
    end)

    it("after delivering what came before", function()
      start()
      client:close()
      local came = false
      client = streams.client(sim, { log = function(event)
        came = came or event == "stream_message"
      end })
      local stream = connected()
      streams.publish(sim, { [LEVEL] = { value = 21, unit = "%" } })
      helper.drive(function() return came end)
      client:close()
      helper.drive(function() return stream:state() == "ended" end)
      assert.equal(21, streams.update(stream).status.chargingLevelHv)
      streams.fails_as("closed", stream:next())
    end)
  end)

  it("while other tasks run, however it is refused", function()
    start()
    set({ connack_silent = true })
    local ticks = 0
    async.run(function()
      local stream = client:stream()
      stream:next(0.5)
      stream:close()
    end, function()
      for _ = 1, 20 do
        ticks = ticks + 1
        bmwi.sleep(0.02)
      end
    end)
    assert.equal(20, ticks)
  end)
end)
