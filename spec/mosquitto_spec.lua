-- client:stream() with another broker, Debian's mosquitto: normal operation, another program of the
-- same account, and an expired log-in. It is started here, on its own port.
local bmwi = require("bmwi")
local helper = require("spec.helper")
local mqtt = require("spec.mqtt_helper")
local streams = require("spec.stream_helper")

local VIN, MILEAGE = streams.VIN, streams.MILEAGE
local GCID = "aa111192-d570-4d3d-8835-656ee00edcd7"

describe("a stream of mosquitto", function()
  local sim, server, client

  -- The passwords of the account and of a publisher.
  local function write_passwords(folder, password)
    local path = folder .. "/passwords"
    helper.write(path, ("%s:%s\nsender:x\n"):format(GCID, password), "644")
    helper.shell("mosquitto_passwd -U " .. path .. " && chmod 644 " .. path)
  end

  -- The log-in has expired, or was renewed: only this password is valid from now on.
  local function set_password(password)
    write_passwords(server.folder, password)
    os.execute("kill -HUP " .. server.pid)
  end

  local function start(tls, on_token)
    client = streams.client(sim, { store = require("bmwi.store").memory() })
    server = mqtt.mosquitto("allow_anonymous false\npassword_file %FOLDER%/passwords\n"
      .. "use_username_as_clientid true", tls,
      function(folder) write_passwords(folder, client:token().id_token) end)
    local token, store = client:token(), client:_option("store")
    client:close()
    client = bmwi.new(streams.options(sim, { stream_url = server.url, ca_file = server.ca,
      store = store, token = token, on_token = on_token }))
    sim:clear()
  end

  local count = 0
  local function publish()
    count = count + 1
    local sender = bmwi._mqtt.connect({ url = server.url, ca_file = server.ca, username = "sender",
      password = "x" })
    assert.equal("connected", (sender:receive(20)))
    local now = os.time()
    assert(sender:publish(GCID .. "/" .. VIN, helper.json.encode({ vin = VIN, entityId = GCID,
      topic = VIN, timestamp = now * 1000,
      data = { [MILEAGE] = { value = count, unit = "km", timestamp = now + count } } })))
    sender:close()
    return count
  end

  local function alive(stream)
    local value = publish()
    assert.equal(value, streams.update(stream).status.mileage)
  end

  setup(function() sim = helper.start() end)
  teardown(function() sim:stop() end)
  before_each(function()
    sim:reset()
    streams.hurry({ window = 0.01 })
    count = 0
  end)
  after_each(function()
    if server then
      client:close()
      server:stop()
    end
    server = nil
    streams.no_hurry()
  end)

  for _, protocol in ipairs({ 4, 5 }) do
    describe("with MQTT " .. (protocol == 4 and "3.1.1" or "5"), function()
      local function connected()
        local stream = client:stream({ protocol = protocol })
        streams.await(stream, "connected")
        return stream
      end

      it("brings the values, over TLS", function()
        if mqtt.no_mosquitto() then return pending(mqtt.no_mosquitto()) end
        start(true)
        local stream = connected()
        for _ = 1, 3 do alive(stream) end
        stream:close()
        assert.equal(0, #sim:log())
        local function log() return helper.read(server.folder .. "/log") end
        local last = "Received DISCONNECT from " .. GCID
        helper.drive(function() return log():find(last, 1, true) end) -- the broker writes it later
        helper.has(log(), ("as %s (p%d, c1, k30, u'%s')"):format(GCID, protocol == 4 and 2 or 5,
          GCID))
        helper.has(log(), GCID .. "/+ (QoS 0)")
      end)

      it("returns after another program used it, and ends if that continues", function()
        if mqtt.no_mosquitto() then return pending(mqtt.no_mosquitto()) end
        start()
        streams.hurry({ window = 60 })
        local stream = connected()
        for kick = 1, 3 do
          local other = bmwi._mqtt.connect({ url = server.url, username = GCID, client_id = "other",
            password = client:token().id_token })
          assert.equal("connected", (other:receive(20)))
          other:close()
          streams.run_until(stream, function() return stream:state() ~= "connected" end, "kicked")
          if kick < 3 then
            streams.await(stream, "connected")
            alive(stream)
          end
        end
        local message, code = streams.ending(stream)
        assert.equal("conflict", code, message)
      end)

      it("renews the log-in once when it expires, and continues with the new one", function()
        if mqtt.no_mosquitto() then return pending(mqtt.no_mosquitto()) end
        start(false, function(token) set_password(token.id_token) end)
        local stream = connected()
        set_password("of the next log-in")
        streams.run_until(stream, function() return streams.renewals(sim) > 0 end, "renewed")
        streams.await(stream, "connected")
        alive(stream)
        assert.equal(1, streams.renewals(sim))
      end)
    end)
  end
end)
