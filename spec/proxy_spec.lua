-- Through a proxy's tunnel (CONNECT): whether a command was sent is known exactly.
local helper = require("spec.helper")
local bmwi = require("bmwi")
local async = require("bmwi.async")
local fails_as = helper.fails_as

local no_python = require("spec.broker_helper").no_python()

-- Starts a program that prints lines, the first of which ends in its port.
local function start(command)
  local log = os.tmpname()
  local pipe = assert(io.popen(("echo $$ && exec %s >%s 2>&1"):format(command, log)))
  local self = { pid = pipe:read("*l") }
  function self.log() return helper.read(log) end
  function self.await(pattern)
    for _ = 1, 1200 do
      local found = self.log():match(pattern)
      if found then return found end
      bmwi.sleep(0.05)
    end
    error(pattern .. " does not come in:\n" .. self.log())
  end
  function self.stop()
    os.execute("kill " .. self.pid)
    pipe:close()
    os.remove(log)
  end
  self.port = self.await("port (%d+)")
  return self
end

local function proxy() return start("python3 spec/proxy.py") end

local function client(port, proxy_port, overrides)
  local options = { base_url = "https://127.0.0.1:" .. port, ca_file = helper.certs() .. "/ca.pem",
    proxy = "http://127.0.0.1:" .. proxy_port, retries = 2, timeout = 60,
    token = { access_token = "AAAA", expires_at = os.time() + 3600 } }
  for name, value in pairs(overrides or {}) do options[name] = value or nil end
  return bmwi.new(helper.client({ url = options.base_url }, options))
end

describe("through a tunnel a command", function()
  local secure, tunnel

  setup(function() secure = helper.start({ tls = true }) end)
  teardown(function() secure:stop() end)
  before_each(function() secure:reset() end)
  after_each(function()
    if tunnel then tunnel.stop() end
    tunnel = nil
  end)

  local function executed() return secure:count("POST", "/executeService") end

  it("is sent once", function()
    if no_python then return pending(no_python) end
    tunnel = proxy()
    assert.equal("INITIATED",
      assert(client(secure.port, tunnel.port, { token = false }):vehicle(helper.vin):lock_doors())
        .status)
    assert.equal(1, executed())
  end)

  it("is not sent to a server whose certificate is not trusted", function()
    if no_python then return pending(no_python) end
    if not helper.libcurl(7, 80) then return pending("this libcurl counts CONNECT as sent") end
    tunnel = proxy()
    fails_as("tls", client(secure.port, tunnel.port, { ca_file = false }):vehicle(helper.vin)
      :lock_doors())
    assert.equal(0, executed())
  end)

  -- What the proxy answers to CONNECT before it closes the connection.
  for name, case in pairs({
    ["nothing"] = { "" },
    ["a reset"] = { "RESET" },
    ["a part of its response"] = { "HTTP/1.1 200 OK\\r\\nVia" },
    ["nothing else than 200"] = { "HTTP/1.1 200 OK\\r\\n\\r\\n", "tls" },
    ["no HTTP"] = { "what?\\r\\n\\r\\n" },
    ["a status that is none"] = { "HTTP/1.1 000 \\r\\n\\r\\n" },
    ["a refusal"] = { "HTTP/1.1 403 Forbidden\\r\\nContent-Length: 0\\r\\n\\r\\n" },
  }) do
    it("is not sent by a proxy that says " .. name, function()
      if not helper.libcurl(7, 80) then return pending("this libcurl counts CONNECT as sent") end
      local port, stop = helper.raw(case[1], "")
      local _, _, code = client(secure.port, port, { retries = 0 }):vehicle(helper.vin):lock_doors()
      local requests = stop()
      assert(code == "network" or code == case[2], code)
      assert.equal(0, executed())
      assert.equal(1, #requests)
    end)
  end

  it("is sent once, even if its connection breaks and the proxy refuses the next", function()
    if no_python then return pending(no_python) end
    if not helper.libcurl(7, 80) then return pending("none joins: commands go by HTTP/1.1") end
    local certs = helper.certs()
    local server = start(("python3 spec/h2.py %s/server.pem %s/server.key"):format(certs, certs))
    tunnel = proxy()
    local car = client(server.port, tunnel.port):vehicle(helper.vin)
    local reader = client(server.port, tunnel.port, { retries = 0 }):vehicle(helper.vin)
    secure:fault({ path = "/status", latency = 5, times = 0 })
    local other = bmwi.new(helper.client(secure, { token = { access_token = "AAAA" } }))
    local rounds = 6
    for i = 1, rounds do
      -- As in spec/engine_spec.lua: which of the two calls libcurl repeats by itself.
      local before = async.spawn(function() other:vehicle(helper.vin):status() end)
      local result
      async.run(function() result = { car:lock_doors() } end, function()
        server.await(("POST.*"):rep(i))
        if i % 2 == 0 then before:cancel() end
        reader:status()
      end)
      before:cancel()
      fails_as("unknown", nil, result[2], result[3])
    end
    local seen = server.log()
    server.stop()
    local _, posts = seen:gsub("POST", "")
    assert.equal(rounds, posts, seen)
    assert(tunnel.log():find("refused", 1, true), tunnel.log())
  end)
end)
