--- engine.c: connections. Every way in which one can fail or break, and that nothing is sent
--- anywhere but to the configured server.
local helper = require("spec.helper")
local bmwi = require("bmwi")
local async = require("bmwi.async")
local since, fails_as = helper.since, helper.fails_as

local NOBODY = { url = "http://127.0.0.1:1" } -- a port on which nobody listens

local function new(sim, overrides)
  local options = { retries = 0, timeout = 60, connect_timeout = 60 }
  for name, value in pairs(overrides or {}) do options[name] = value end
  return bmwi.new(helper.client(sim, options))
end

-- With a plausible token, so that the first request is the call itself.
local function with_token(sim, overrides)
  local options = { token = { access_token = "AAAA", refresh_token = "RRRR",
    expires_at = os.time() + 3600 } }
  for name, value in pairs(overrides or {}) do options[name] = value end
  return new(sim, options)
end

describe("the engine", function()
  local sim

  setup(function()
    sim = helper.start({ args = { "--speed", "50" } })
  end)
  teardown(function() sim:stop() end)
  before_each(function() sim:reset() end)

  describe("without a server", function()
    it("fails as network when the connection is refused", function()
      for _, make in ipairs({ new, with_token }) do
        local client = make(NOBODY)
        local message, info = fails_as("network", client:vehicles())
        assert.is_true(info.retryable)
        assert.is_nil(info.status)
        assert(message:find("127.0.0.1", 1, true), message)
        fails_as("network", client:vehicle(helper.vin):lock_doors())
        fails_as("network", client:vehicle(helper.vin):send_poi({ lat = 1, lon = 2, name = "x" }))
      end
    end)

    it("fails as network when the name is unknown", function()
      local client = with_token({ url = "https://bmwi-spec.invalid" }, { timeout = 60 })
      local message = fails_as("network", client:vehicles())
      assert(message:find("bmwi-spec.invalid", 1, true), message)
      fails_as("network", client:vehicle(helper.vin):unlock_doors({ secret = "Rex" }))
    end)

    it("does not wait for a slow name lookup after its timeout", function()
      local start = bmwi._sys.monotonic()
      local _, _, code = with_token({ url = "https://bmwi-spec.invalid" }, { timeout = 0.001 })
        :vehicles()
      assert(code == "timeout" or code == "network", code)
      assert(since(start) < 5)
    end)
  end)

  describe("through a proxy", function()
    it("fails as network when there is none", function()
      local client = with_token(sim, { proxy = "http://user:proxypass@127.0.0.1:1" })
      local message = fails_as("network", client:vehicles())
      assert.is_nil(message:find("proxypass", 1, true), message)
      assert.is_nil(tostring(client):find("proxypass", 1, true))
      fails_as("network", client:vehicle(helper.vin):lock_doors())
      assert.same({}, sim:log())
    end)

    it("fails as network when its name is unknown", function()
      local client = with_token(sim, { proxy = "http://bmwi-proxy.invalid:3128", timeout = 60 })
      fails_as("network", client:vehicles())
    end)

    it("sends nothing past a proxy that refuses", function()
      local secure = helper.start({ tls = true })
      -- The simulator is not a proxy: it responds to CONNECT with an error.
      local client = with_token(secure, { proxy = sim.url })
      fails_as("network", client:vehicles())
      assert.same({}, secure:log())
      local asked = sim:log()
      assert.equal("CONNECT", asked[1].method)
      assert.is_nil(asked[1].headers.authorization)
      -- Not one byte of the command was sent, so the car certainly did not get it.
      fails_as("network", client:vehicle(helper.vin):lock_doors())
      assert.same({}, secure:log())
      secure:stop()
    end)

    it("refuses an invalid proxy option", function()
      local made, client = pcall(with_token, sim, { proxy = "nonsense://127.0.0.1:1" })
      if made then fails_as("network", client:vehicles()) end
      assert.has_error(function() with_token(sim, { proxy = "" }) end)
      assert.has_error(function() with_token(sim, { proxy = "http://a\r\nb" }) end)
      assert.has_error(function() with_token(sim, { proxy = 3128 }) end)
      assert.same({}, sim:log())
    end)
  end)

  describe("with TLS", function()
    local good

    setup(function() good = helper.start({ tls = true }) end)
    teardown(function() good:stop() end)
    before_each(function() good:reset() end)

    it("connects to a server with a certificate of the given CA", function()
      local client = new(good)
      assert.is_true(client:login())
      assert.equal(1, #client:vehicles())
      assert.equal("https", good:log()[1].scheme)
    end)

    it("connects to it by name", function()
      local client = new(good, { base_url = "https://localhost:" .. good.port,
        connect_to = { "localhost:" .. good.port .. ":127.0.0.1:" .. good.port } })
      assert.is_true(client:login())
    end)

    it("connects to the real service's names where connect_to points", function()
      local client = new(good, { base_url = "https://b2vapi.bmwgroup.com",
        connect_to = { "b2vapi.bmwgroup.com:443:127.0.0.1:" .. good.port } })
      assert.is_true(client:login())
    end)

    -- Certificates that must be refused, with the trusted CA.
    for _, name in ipairs({ "expired", "self-signed", "wrong-host", "other-ca", "no-name" }) do
      it("refuses a certificate: " .. name, function()
        local bad = helper.start({ tls = name })
        for _, make in ipairs({ new, with_token }) do
          local client = make(bad, { retries = 2 })
          local _, info = fails_as("tls", client:vehicles())
          assert.is_false(info.retryable)
          assert.is_nil(info.status)
          local advice = name == "expired" and "this machine's clock" or "certificate"
          assert(info.hint:find(advice, 1, true), info.hint)
          fails_as("tls", client:vehicle(helper.vin):lock_doors())
        end
        assert.same({}, bad:log())
        bad:stop()
      end)
    end

    it("refuses a CA that only these tests know", function()
      local options = helper.client(good, { retries = 0, timeout = 60, connect_timeout = 60 })
      options.ca_file = nil
      fails_as("tls", bmwi.new(options):login())
      assert.same({}, good:log())
    end)

    it("refuses a good certificate under another name", function()
      local client = new(good, { base_url = "https://elsewhere.example.com",
        connect_to = { "elsewhere.example.com:443:127.0.0.1:" .. good.port } })
      fails_as("tls", client:login())
      assert.same({}, good:log())
    end)

    it("does not trust a server because another client trusts it", function()
      assert.is_true(new(good):login())
      good:clear()
      fails_as("tls", new(good, { ca_file = helper.certs() .. "/other-ca-authority.pem" }):login())
      local options = helper.client(good, { retries = 0, timeout = 60, connect_timeout = 60 })
      options.ca_file = nil
      fails_as("tls", bmwi.new(options):login())
      assert.same({}, good:log())
    end)

    it("reads the CA certificates once for all connections", function()
      if not helper.libcurl(7, 87) then return pending("this libcurl reads them anew for each") end
      local path = os.tmpname()
      local source, copy = io.open(good.ca), io.open(path, "w")
      copy:write(source:read("*a"))
      source:close()
      copy:close()
      local client = new(good, { ca_file = path })
      assert.is_true(client:login())
      os.remove(path)
      assert.is_table(client:vehicle(helper.vin):flash_lights()) -- on a connection of its own
    end)

    it("fails as tls if the CA file cannot be used", function()
      for _, file in ipairs({ "/nowhere/ca.pem", helper.certs() .. "/ca.key", "/dev/null" }) do
        fails_as("tls", new(good, { ca_file = file }):login())
      end
      assert.same({}, good:log())
    end)

    it("fails as tls if the server does not use TLS", function()
      local client = with_token({ url = (sim.url:gsub("^http:", "https:")), ca = good.ca })
      fails_as("tls", client:vehicles())
      fails_as("tls", client:vehicle(helper.vin):lock_doors())
      assert.same({}, sim:log())
    end)
  end)

  describe("in time", function()
    it("gives up after `timeout`", function()
      sim:fault({ path = "/status", times = 0, latency = 20 })
      local client = new(sim, { timeout = 0.3 })
      client:login()
      local start = bmwi._sys.monotonic()
      local _, info = fails_as("timeout", client:vehicle(helper.vin):status())
      assert(since(start) < 5)
      assert.is_true(info.retryable)
      assert(info.hint:find("timeout", 1, true), info.hint)
    end)

    it("gives up on a response that trickles", function()
      sim:fault({ path = "/status", times = 0, drip = 20 })
      local client = new(sim, { timeout = 0.5 })
      client:login()
      local start = bmwi._sys.monotonic()
      fails_as("timeout", client:vehicle(helper.vin):status())
      assert(since(start) < 5)
    end)

    it("accepts a response that comes slowly", function()
      sim:fault({ path = "/status", drip = 5000 })
      assert.is_table(new(sim):vehicle(helper.vin):status())
    end)

    it("gives up after `connect_timeout` on an unresponsive server", function()
      local certs = helper.certs()
      local pipe = io.popen(("echo $$; exec '%s' --tied --tls %s/server.pem %s/server.key")
        :format(os.getenv("BMWI_SIM") or "build/bmwi-sim", certs, certs))
      local pid = pipe:read("*l")
      local url = pipe:read("*l"):match("%S+$")
      os.execute("kill -STOP " .. pid)
      local start = bmwi._sys.monotonic()
      local client = with_token({ url = url, ca = certs .. "/ca.pem" },
        { timeout = 30, connect_timeout = 0.3 })
      local first = { client:vehicles() }
      local second = { client:vehicle(helper.vin):lock_doors() }
      local took = since(start)
      os.execute("kill -CONT " .. pid)
      pipe:close()
      fails_as("timeout", first[1], first[2], first[3])
      fails_as("timeout", second[1], second[2], second[3])
      assert(took < 10, took)
    end)
  end)

  describe("with broken responses", function()
    local function status(overrides)
      return new(sim, overrides):vehicle(helper.vin):status()
    end

    for _, rule in ipairs({ { reset = "before" }, { reset = "after" }, { reset = "during" },
      { truncate = 0 }, { truncate = 100 } }) do
      local what = rule.reset and "reset " .. rule.reset or "cut after " .. rule.truncate
      it("fails as network: " .. what, function()
        sim:fault({ path = "/status", times = 0, reset = rule.reset, truncate = rule.truncate })
        local _, info = fails_as("network", status())
        assert.is_true(info.retryable)
        sim:no_faults()
        assert.is_table(status())
      end)
    end

    it("fails as json if the response is empty", function()
      sim:fault({ path = "/status", raw = "" })
      fails_as("json", status())
    end)

    it("fails as http for 304, which was not asked for", function()
      sim:fault({ path = "/status", status = 304 })
      fails_as("http", status())
    end)
  end)

  describe("with responses that are too large", function()
    local function answer_of(size)
      local frame = '{"vehicleStatus":{"a":""}}'
      return '{"vehicleStatus":{"a":"' .. ("x"):rep(size - #frame) .. '"}}'
    end

    it("accepts max_response_bytes, and not a byte more", function()
      sim:fault({ path = "/status", times = 0, raw = answer_of(5000) })
      assert.equal(5000 - 26, #new(sim, { max_response_bytes = 5000 }):vehicle(helper.vin)
        :status().a)
      local message, info = fails_as("too_large",
        new(sim, { max_response_bytes = 4999 }):vehicle(helper.vin):status())
      assert.is_false(info.retryable)
      assert(message:find("max_response_bytes", 1, true), message)
    end)

    for _, gzip in ipairs({ false, true }) do
      it("stops reading" .. (gzip and " what was packed" or ""), function()
        sim:fault({ path = "/status", times = 0, pad = 10e9, gzip = gzip })
        local start = bmwi._sys.monotonic()
        local client = new(sim, { max_response_bytes = 100000, retries = 2 })
        fails_as("too_large", client:vehicle(helper.vin):status())
        assert(since(start) < 5)
        assert.equal(1, sim:count("GET", "/status")) -- asking again would not help
        assert.is_table(client:vehicles())
      end)
    end

    it("counts bytes after decompression", function()
      sim:fault({ path = "/status", pad = 50000, gzip = true })
      fails_as("too_large", new(sim, { max_response_bytes = 49999 }):vehicle(helper.vin):status())
      sim:fault({ path = "/status", pad = 50000, gzip = true })
      fails_as("json", new(sim, { max_response_bytes = 50000 }):vehicle(helper.vin):status())
    end)

    it("has a limit for all headers together", function()
      local function headers(count)
        local list = {}
        for i = 1, count do list["X-" .. i] = ("x"):rep(50000) end
        return list
      end
      sim:fault({ path = "/status", headers = headers(4) })
      assert.is_table(new(sim):vehicle(helper.vin):status())
      sim:fault({ path = "/status", headers = headers(6), times = 0 })
      local message = fails_as("too_large", new(sim):vehicle(helper.vin):status())
      assert(message:find("headers", 1, true), message)
    end)

    it("has a separate limit for the response to a log-in", function()
      for _, bytes in ipairs({ 70e3, 10e9 }) do
        sim:fault({ path = "/oauth/token", pad = bytes })
        fails_as("too_large", new(sim):login())
      end
    end)

    it("reports an unknown outcome for a command whose response is too large", function()
      sim:fault({ path = "/executeService", times = 0, pad = 10e9 })
      fails_as("unknown", new(sim, { max_response_bytes = 1000000 }):vehicle(helper.vin)
        :lock_doors())
      assert.equal(1, sim:count("POST", "/executeService"))
    end)
  end)

  describe("when redirected", function()
    local other

    setup(function() other = helper.start() end)
    teardown(function() other:stop() end)
    before_each(function() other:reset() end)

    for _, status in ipairs({ 301, 302, 303, 307, 308 }) do
      it("does not follow: " .. status, function()
        sim:fault({ path = "/webapi/v1/", times = 0, status = status,
          headers = { Location = other.url .. "/webapi/v1/user/vehicles/" } })
        local client = new(sim, { retries = 2 })
        local car = client:vehicle(helper.vin)
        for _, answer in ipairs({ { client:vehicles() }, { car:status() }, { car:lock_doors() },
          { car:send_poi({ lat = 1, lon = 2, name = "x" }) } }) do
          assert.is_nil(answer[1])
          assert.equal("http", answer[3], answer[2])
          assert.equal(status, answer[4].status)
        end
        assert.equal(4, sim:count(nil, "/webapi/v1/"))
        assert.same({}, other:log())
      end)

      it("does not follow with a password: " .. status, function()
        sim:fault({ path = "/oauth/token", times = 0, status = status,
          headers = { Location = other.url .. "/webapi/oauth/token/" } })
        local _, info = fails_as("http", new(sim, { retries = 2 }):login())
        assert.equal(status, info.status)
        assert.same({}, other:log())
      end)
    end

    it("does not follow to a file", function()
      sim:fault({ path = "/status", times = 0, status = 302,
        headers = { Location = "file:///etc/passwd" } })
      fails_as("http", new(sim):vehicle(helper.vin):status())
    end)

    it("keeps the servers of two clients apart", function()
      local one, two = new(sim), new(other)
      assert.is_true(one:login())
      assert.is_true(two:login())
      one:vehicles()
      two:vehicles()
      assert.are_not.equal(one:token().access_token, two:token().access_token)
      for _, server in ipairs({ sim, other }) do
        for _, request in ipairs(server:log()) do assert.equal(200, request.status) end
      end
    end)
  end)

  describe("keeps connections", function()
    local function connections(server, method)
      local list, known = {}, {}
      for _, request in ipairs(server:log()) do
        if request.method == method and not known[request.connection] then
          known[request.connection] = true
          list[#list + 1] = request.connection
        end
      end
      return list
    end

    it("for consecutive GETs", function()
      local client = new(sim)
      local car = client:vehicle(helper.vin)
      assert.is_true(client:login())
      for _ = 1, 5 do
        assert.is_table(client:vehicles())
        assert.is_table(car:status())
      end
      assert.equal(10, sim:count("GET"))
      assert.equal(1, #connections(sim, "GET"))
    end)

    it("over TLS", function()
      local secure = helper.start({ tls = true })
      local client = new(secure)
      for _ = 1, 5 do assert.is_table(client:vehicles()) end
      assert.equal(1, #connections(secure, "GET"))
      secure:stop()
    end)

    it("for all clients of a Lua state", function()
      for _ = 1, 5 do
        local client = new(sim)
        assert.is_table(client:vehicles())
        client:close()
      end
      assert.equal(5, sim:count("GET"))
      assert.equal(1, #connections(sim, "GET"))
    end)

    it("but not broken ones", function()
      local client = new(sim)
      assert.is_table(client:vehicles())
      sim:fault({ path = "/status", truncate = 10 })
      fails_as("network", client:vehicle(helper.vin):status())
      assert.is_table(client:vehicles())
      assert.equal(2, #connections(sim, "GET"))
    end)

    it("but sends no command on a reused one", function()
      local client = new(sim)
      local car = client:vehicle(helper.vin)
      assert.is_table(car:status())
      for _ = 1, 3 do assert.is_table(car:flash_lights()) end
      local used = {}
      for _, request in ipairs(sim:log()) do
        if request.method == "POST" then
          assert.is_nil(used[request.connection])
        end
        used[request.connection] = true
      end
    end)

    it("and resolves a server's name only once", function()
      local weather = helper.weather()
      if not weather then return pending("no compiler") end -- luacheck: ignore
      local names = os.tmpname()
      local text = helper.program(([[
        local bmwi = require("bmwi")
        for _ = 1, 2 do
          local client = bmwi.new({ base_url = %q, token = { access_token = "AAAA" }, retries = 0,
            connect_to = { "127.0.0.1:%d:car.test:%d" } })
          for _ = 1, 3 do client:post("/webapi/v1/anything") end
        end]]):format(sim.url, sim.port, sim.port), weather .. " BMWI_NAMES=" .. names)
      local file = io.open(names)
      local asked = file:read("*a")
      file:close()
      os.remove(names)
      if asked == "" then
        return pending("the interpreter brings a preloaded library of its own") -- luacheck: ignore
      end
      assert.equal("", text)
      assert.equal("car.test\n", asked)
      assert.equal(6, #connections(sim, "POST"))
    end)
  end)

  -- Other servers, for protocols that the simulator lacks.
  describe("with another server", function()
    local folder, pid, pipe

    local answer = '{"vehicleStatus":{"vin":"' .. helper.vin .. '"}}'

    -- Runs the command in a folder that holds a status; says the folder's name and its log's.
    local function serve(command, header)
      folder = os.tmpname()
      os.remove(folder)
      local path = folder .. "/webapi/v1/user/vehicles/" .. helper.vin
      assert(os.execute("mkdir -p " .. path))
      local file = io.open(path .. "/status", "w")
      file:write(header or "", answer)
      file:close()
      local certs = helper.certs()
      local pwd = io.popen("pwd")
      local here = pwd:read("*l")
      pwd:close()
      pipe = io.popen(("cd %s && echo $$ && exec timeout 60 %s >log 2>&1"):format(folder,
        command:gsub("HERE", here):gsub("KEY", here .. "/" .. certs .. "/server.key")
          :gsub("CERT", here .. "/" .. certs .. "/server.pem")))
      pid = pipe:read("*l")
    end

    local function log()
      local file = io.open(folder .. "/log")
      local text = file and file:read("*a") or ""
      if file then file:close() end
      return text
    end

    -- Waits until the log has the pattern.
    local function wait_for(pattern)
      local found
      for _ = 1, 1200 do
        found = log():match(pattern)
        if found then return found end
        bmwi.sleep(0.05)
      end
      error(pattern .. " does not come in:\n" .. log())
    end

    local function stop()
      os.execute("kill " .. pid)
      pipe:close()
    end

    after_each(function()
      if folder then os.execute("rm -rf " .. folder) end
      folder = nil
    end)

    local function car_of(port)
      return with_token({ url = "https://127.0.0.1:" .. port, ca = helper.certs() .. "/ca.pem" })
        :vehicle(helper.vin)
    end

    it("resumes its TLS sessions on new connections", function()
      serve("openssl s_server -HTTP -msg -accept 127.0.0.1:0 -key KEY -cert CERT",
        "HTTP/1.0 200 OK\r\nContent-Length: " .. #answer .. "\r\n\r\n")
      local car = car_of(wait_for("ACCEPT [%d.]+:(%d+)"))
      assert.equal(helper.vin, assert(car:status()).vin)
      -- libcurl's cache for one handle would not suffice: that handle is busy.
      sim:fault({ path = "/status", latency = 0.5 })
      async.run(function() return with_token(sim):vehicle(helper.vin):status() end, function()
        for _ = 1, 2 do
          assert.equal(helper.vin, assert(car:status()).vin)
        end
      end)
      stop()
      local _, hellos = log():gsub("ClientHello", "")
      local _, certificates = log():gsub("Handshake [^\n]*, Certificate\n", "")
      assert.equal(3, hellos)
      assert.equal(1, certificates)
    end)

    it("sends many calls at once through one HTTP/2 connection", function()
      local found = io.popen("PATH=$PATH:/usr/sbin command -v nghttpd")
      local program = found:read("*l")
      found:close()
      if not program then return pending("nghttpd (of nghttp2-server) is not installed") end
      if not helper.libcurl(7, 80) then return pending("this libcurl opens a second one") end
      local other = helper.start() -- for a port that is free
      local port = other.port
      other:stop()
      serve(program .. " -v -a 127.0.0.1 " .. port .. " KEY CERT")
      wait_for("listen 127")
      local car = car_of(port)
      local list = {}
      for i = 1, 50 do list[i] = car end
      local statuses, errors = async.map(list, car.status)
      assert.same({}, errors)
      assert.equal(50, #statuses)
      stop()
      local connections, streams = {}, 0
      for id in log():gmatch("%[id=(%d+)%][^\n]* recv [^\n]*:path: /webapi/v1/user/vehicles/") do
        connections[id], streams = true, streams + 1
      end
      local first = next(connections)
      assert.equal(50, streams, log():sub(1, 2000))
      assert.is_nil(next(connections, first))
    end)

    it("sends a command once, even if the connection that others share breaks", function()
      local has_python = os.execute("python3 -c 'import ssl' 2>/dev/null")
      if has_python ~= true and has_python ~= 0 then return pending("there is no python3") end
      if not helper.libcurl(7, 80) then return pending("none joins: commands go by HTTP/1.1") end
      serve("python3 HERE/spec/h2.py CERT KEY")
      local car = car_of(wait_for("port (%d+)"))
      sim:fault({ path = "/status", latency = 5, times = 0 })
      local rounds = 6
      for i = 1, rounds do
        -- Of two calls libcurl repeats the one whose memory comes first, or the other: here the
        -- second call gets memory that was in use before.
        local before = async.spawn(function() with_token(sim):vehicle(helper.vin):status() end)
        local result
        async.run(function() result = { car:lock_doors() } end, function()
          wait_for(("POST.*"):rep(i))
          if i % 2 == 0 then before:cancel() end
          fails_as("network", car:status())
        end)
        before:cancel()
        fails_as("unknown", nil, result[2], result[3])
      end
      stop()
      local _, posts = log():gsub("POST", "")
      assert.equal(rounds, posts, log())
      assert(log():find("POST\nGET\n", 1, true), log()) -- on one connection
    end)
  end)

  it("lets no child program of the host inherit a connection", function()
    local function sockets() -- of the kept connections, by a child's listing of its own descriptors
      local pipe = io.popen("ls -l /proc/self/fd 2>&1")
      local _, count = pipe:read("*a"):gsub("socket:", "")
      pipe:close()
      return count
    end
    local before = sockets()
    for _ = 1, 3 do new(sim):vehicle(helper.vin):lock_doors() end -- each on its own connection
    assert.equal(before, sockets())
  end)

  -- A separate program, in which no other module has opened sockets; `setup` runs first.
  local function inherited(setup, environment)
    return helper.program(([[
      local bmwi, async = require("bmwi"), require("bmwi.async")
      local client = bmwi.new({ base_url = %q, token = { access_token = "AAAA" }, retries = 0,
        connect_to = { "127.0.0.1:%d:car.test:%d" } })
      %s
      local pipe = io.popen("ls -l /proc/self/fd 2>&1")
      local _, count = pipe:read("*a"):gsub("socket:", "")
      print(count)
      os.exit(0)]]):format(sim.url, sim.port, sim.port, setup), environment)
  end

  it("passes on none of libcurl's own sockets either", function()
    local fds = io.open("/proc/self/fd/0")
    if not fds then return pending("there is no /proc/self/fd") end
    fds:close()
    assert.equal("0\n", inherited(""))
    assert.equal("0\n", inherited("bmwi.loop:limit(1)")) -- by a new handle
  end)

  it("passes on none of the resolver's sockets", function()
    local weather = helper.weather()
    if not weather then return pending("no compiler") end
    assert.equal("0\n", inherited([[
      async.spawn(function() client:get("/webapi/v1/anything") end, print)
      for _ = 1, 3 do bmwi.loop:step(0.02) end]], weather .. " BMWI_DNS=2"))
  end)

  -- With a libcurl from 7.87 on, and with an older one, whose TLS library writes by itself.
  for case, pipe in pairs({ ["this libcurl"] = "", ["libcurl 7.74"] = " BMWI_PIPE=1" }) do
    it("never lets SIGPIPE reach its host: " .. case, function()
      local weather = helper.weather()
      if not weather then return pending("no compiler") end
      local tls = helper.start({ tls = true })
      tls:fault({ path = "/status", reset = "after", times = 0 })
      tls:fault({ path = "/executeService", reset = "during", times = 0 })
      tls:fault({ path = "/destinations", close = "after", times = 0 })
      local text = helper.program(([[
        local bmwi = require("bmwi")
        local client = bmwi.new({ base_url = %q, ca_file = %q, username = "whatever@example.com",
          password = "p4ssw0rd", api_key = "key", api_secret = "secret", retries = 0 })
        local car = client:vehicle(%q)
        for _, name in ipairs({ "status", "lock_doors", "destinations", "last_trip" }) do
          print(name, select(3, car[name](car)) or "ok")
        end]]):format(tls.url, tls.ca, helper.vin), weather .. pipe, "COMMAND 2>&1; echo $?")
      tls:stop()
      assert.equal(
        "status\tnetwork\nlock_doors\tunknown\ndestinations\tnetwork\nlast_trip\tok\n0\n", text)
    end)
  end

  it("sends the required headers, and nothing that reveals the host", function()
    local client = new(sim, { user_agent = "spec/1" })
    client:vehicles()
    local token, get = sim:log()[1].headers, sim:log()[2].headers
    assert.equal("Basic a2V5OnNlY3JldA==", token.authorization)
    assert.equal("application/x-www-form-urlencoded", token["content-type"])
    assert.equal("Bearer " .. client:token().access_token, get.authorization)
    assert.equal("application/json", get.accept)
    assert.equal("spec/1", get["user-agent"])
    local known = { host = true, authorization = true, accept = true, ["accept-encoding"] = true,
      ["user-agent"] = true, ["content-type"] = true, ["content-length"] = true,
      connection = true, upgrade = true, ["http2-settings"] = true }
    for _, headers in ipairs({ token, get }) do
      for name in pairs(headers) do assert(known[name], name) end
    end
  end)
end)
