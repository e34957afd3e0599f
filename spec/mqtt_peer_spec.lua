-- bmwi._mqtt against other servers: Debian's mosquitto and openssl s_server.
local bmwi = require("bmwi")
local async = require("bmwi.async")
local helper = require("spec.helper")
local mqtt = require("spec.mqtt_helper")

local connected = mqtt.connected
local fails_as = helper.fails_as
local LIMIT = 60 -- seconds for what takes none

describe("against mosquitto", function()
  local function with_mosquitto(config, tls, fn)
    if mqtt.no_mosquitto() then return pending(mqtt.no_mosquitto()) end
    local server = mqtt.mosquitto(config, tls)
    local ok, message = pcall(fn, server)
    server:stop()
    assert(ok, message)
  end

  for _, tls in ipairs({ false, true }) do
    for _, protocol in ipairs({ 4, 5 }) do
      it(("level %d, %s"):format(protocol, tls and "TLS" or "plain"), function()
        with_mosquitto(nil, tls, function(server)
          local c = mqtt.connect(server, { protocol = protocol, ca_file = server.ca })
          connected(c)
          assert.equal(1, c:subscribe("a/+", 1))
          assert.same({ "suback", 1, { 1 } }, { c:receive(LIMIT) })
          assert.equal(2, c:publish("a/b", "hello", { qos = 1 }))
          local got = {}
          for _ = 1, 2 do
            local what, a, b, qos, retain = c:receive(LIMIT)
            got[what] = { a, b, qos, retain }
          end
          assert.same({ publish = { "a/b", "hello", 1, false }, puback = { 2, 0 } }, got)
          local large = ("x"):rep(700000)
          assert.equal(0, c:publish("a/large", large))
          local _, topic, payload = c:receive(LIMIT)
          assert.equal("a/large", topic)
          assert.truthy(payload == large)
          c:close()
          fails_as("closed", c:receive())
        end)
      end)
    end
  end

  it("the will is sent without a DISCONNECT, or with one that asks for it", function()
    with_mosquitto(nil, false, function(server)
      local watcher = mqtt.connect(server, { client_id = "watcher" })
      connected(watcher)
      watcher:subscribe("gone")
      assert.equal("suback", (watcher:receive(LIMIT)))
      for _, protocol in ipairs({ 4, 5 }) do
        local c = mqtt.connect(server, { protocol = protocol, client_id = "c" .. protocol,
          will = { topic = "gone", payload = "c" .. protocol } })
        connected(c)
        c:close(4)
        assert.same({ "publish", "gone", "c" .. protocol, 0, false }, { watcher:receive(LIMIT) })
        c = mqtt.connect(server, { protocol = protocol, client_id = "d",
          will = { topic = "gone", payload = "never" } })
        connected(c)
        c:close()
        fails_as("timeout", watcher:receive(0.2))
      end
      watcher:close()
    end)
  end)

  it("an invalid or untrusted certificate is refused", function()
    with_mosquitto(nil, true, function(server)
      local c = mqtt.connect(server)
      local _, info = fails_as("tls", c:receive(LIMIT))
      assert.equal("connect", info.phase)
      assert.is_false(info.retryable)
      c = mqtt.connect({ url = server.url }, { ca_file = "/no/such/file.pem" })
      local message = fails_as("tls", c:receive(LIMIT))
      helper.has(message, "cannot use ca_file /no/such/file.pem")
    end)
  end)

  for _, tls in ipairs({ false, true }) do
    it("a second client of the same name ends the first, " .. (tls and "TLS" or "plain"), function()
      with_mosquitto(nil, tls, function(server)
        local options = { client_id = "one", ca_file = server.ca }
        local a = mqtt.connect(server, options)
        connected(a)
        local b = mqtt.connect(server, options)
        connected(b)
        local kind, _, code, info = a:receive(LIMIT)
        assert.is_nil(kind)
        -- mosquitto 2.0.21 gives the reason, 2.0.11 does not.
        if info.reason then assert.same({ "server", 142 }, { code, info.reason })
        else assert.same({ "network", true }, { code, info.eof })
        end
        b:close()
      end)
    end)
  end

  it("continues if the limit of connections to a server is lowered", function()
    with_mosquitto(nil, false, function(server)
      local c = mqtt.connect(server)
      connected(c)
      local before = bmwi.loop:limit(1)
      finally(function() bmwi.loop:limit(before) end)
      local d = mqtt.connect(server, { client_id = "other" })
      connected(d)
      c:subscribe("a")
      assert.equal("suback", (c:receive(LIMIT)))
      c:close()
      d:close()
    end)
  end)

  it("the broker assigns a client identifier, and its keepalive", function()
    with_mosquitto("allow_anonymous true\nmax_keepalive 60", false, function(server)
      local c = mqtt.connect(server, { client_id = "", keepalive = 300 })
      local what, present, keepalive, id = c:receive(LIMIT)
      assert.same({ "connected", false, 60 }, { what, present, keepalive })
      assert.truthy(#id > 3)
      c:close()
    end)
  end)

  it("many tasks receive, in nested plain coroutines and outside them", function()
    with_mosquitto(nil, false, function(server)
      local publisher = mqtt.connect(server, { client_id = "publisher" })
      connected(publisher)
      local list = {}
      for i = 1, 40 do
        list[i] = i
        assert(publisher:publish("t/" .. i .. "/a", tostring(i), { retain = true }))
        assert(publisher:publish("t/" .. i .. "/b", tostring(i), { retain = true }))
      end
      assert(publisher:publish("end", "", { qos = 1 }))
      assert.equal("puback", (publisher:receive(LIMIT)))
      publisher:close()
      local results, errors = async.map(list, function(i)
        local c = mqtt.connect(server, { client_id = "c" .. i })
        local function payloads()
          connected(c)
          c:subscribe("t/" .. i .. "/+")
          for _ = 1, 3 do
            local what, _, payload = c:receive(LIMIT)
            coroutine.yield(what == "publish" and tonumber(payload) or 0)
          end
        end
        local sum = 0
        if i % 2 == 0 then
          for number in coroutine.wrap(payloads) do sum = sum + number end
        else
          connected(c)
          c:subscribe("t/" .. i .. "/+")
          for _ = 1, 3 do
            local what, _, payload = c:receive(LIMIT)
            sum = sum + (what == "publish" and tonumber(payload) or 0)
          end
        end
        c:close()
        return sum
      end)
      assert.is_nil(next(errors), next(errors) and errors[next(errors)].message)
      for i = 1, 40 do assert.equal(2 * i, results[i]) end
    end)
  end)
end)

describe("against openssl", function()
  -- Serves with these arguments; nil if it does not start.
  local function serve(arguments)
    local certs = helper.certs()
    local pipe = io.popen(("echo $$; exec openssl s_server -rev %s -accept 127.0.0.1:0 -cert "
      .. "%s/server.pem -key %s/server.key 2>&1"):format(arguments, certs, certs))
    local pid = pipe:read("*l")
    local line
    repeat line = pipe:read("*l") until not line or line:find("^ACCEPT")
    local port = line and line:match(":(%d+)$")
    local function stop()
      os.execute("kill -9 " .. pid .. " 2>/dev/null")
      pipe:close()
    end
    if not port then return nil, stop() end
    return mqtt.connect({ url = "mqtts://localhost:" .. port }, { ca_file = certs .. "/ca.pem" }),
      stop
  end

  it("a broker with nothing newer than TLS 1.2 is refused", function()
    local c, stop = serve("-tls1_2")
    if not c then return pending("openssl s_server does not start") end
    local results = { c:receive(LIMIT) }
    stop()
    assert.equal("tls", results[3], results[2])
    assert.equal("connect", results[4].phase)
    helper.has(results[4].hint, "TLS") -- its version, unless the alert was lost in a reset
  end)

  it("a broker that dies ends the connection without close_notify", function()
    local c, stop = serve("-tls1_3")
    if not c then return pending("openssl s_server does not start") end
    fails_as("timeout", c:receive(1))
    stop()
    local _, info = fails_as("network", c:receive(LIMIT))
    assert.equal("connack", info.phase)
    assert.is_true(info.eof)
  end)
end)
