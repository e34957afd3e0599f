--- What a hostile network can do: weak TLS, responses that never end or are too large, text that
--- tries to become a header, a URL or a form field. (engine_spec.lua covers certificates, redirects
--- and deadlines, json_spec.lua the content of responses.)
local helper = require("spec.helper")
local bmwi = require("bmwi")
local stores = require("bmwi.store")
local shell, write, fails_as = helper.shell, helper.write, helper.fails_as

local interpreter = helper.interpreter
local unpack = table.unpack or rawget(_G, "unpack") -- luacheck: ignore

-- Runs a Lua text in a process of its own; what it writes comes back.
local function program(text, environment)
  local path = os.tmpname()
  write(path, text)
  local said = shell(("env LUA_PATH='%s' LUA_CPATH='%s' %s %s '%s' 2>&1"):format(package.path,
    package.cpath, environment or "", interpreter, path))
  os.remove(path)
  return said
end

describe("the transport", function()
  local sim

  setup(function() sim = helper.start() end)
  teardown(function() sim:stop() end)
  before_each(function() sim:reset() end)

  describe("with TLS", function()
    it("has no option that disables verification", function()
      for _, name in ipairs({ "verify", "insecure", "ssl_verify", "verify_peer", "verify_host",
        "tls", "tls_min", "sslv", "protocol" }) do
        for _, value in ipairs({ false, true, 0, "none" }) do
          local made, message = pcall(bmwi.new, helper.client(sim, { [name] = value }))
          assert.is_false(made)
          assert(message:find("unknown option", 1, true), message)
        end
      end
    end)

    -- Even if the machine's OpenSSL would accept anything.
    for _, version in ipairs({ "tls1_1", "tls1", "tls1_2" }) do
      it("speaks " .. (version == "tls1_2" and "" or "never ") .. version, function()
        local certs = helper.certs()
        local folder = shell("mktemp -d")
        finally(function() shell("rm -rf '" .. folder .. "'") end)
        write(folder .. "/weak.cnf", "openssl_conf = weak\n[weak]\nssl_conf = ssl\n[ssl]\n"
          .. "system_default = any\n[any]\nMinProtocol = TLSv1\nCipherString = ALL:@SECLEVEL=0\n")
        local weak = "OPENSSL_CONF=" .. folder .. "/weak.cnf"
        local server = shell(([[cd '%s'; %s openssl s_server -%s -cipher ALL:@SECLEVEL=0 -www \
          -accept 127.0.0.1:0 -cert %s -key %s >out 2>&1 </dev/null & echo $!]]):format(folder,
          weak, version, shell("readlink -f " .. certs .. "/server.pem"),
          shell("readlink -f " .. certs .. "/server.key")))
        finally(function() shell("kill " .. server .. "; rm -rf '" .. folder .. "'") end)
        local port
        for _ = 1, 1200 do
          port = shell("sed -n 's/^ACCEPT .*:\\([0-9]*\\)$/\\1/p' '" .. folder .. "/out'")
          if port ~= "" then break end
          bmwi.sleep(0.05)
        end
        local said = program(([[
          local client = require("bmwi").new({ base_url = "https://127.0.0.1:%s", retries = 0,
            ca_file = %q, token = { access_token = "AAAA" } })
          local _, message, code = client:vehicles()
          io.write(code, " ", message)]]):format(port, certs .. "/ca.pem"), weak)
        -- A response that is not JSON shows that TLS was established.
        local wanted = version == "tls1_2" and "json" or "tls"
        assert.equal(wanted, said:match("^%S+"), said)
      end)
    end
  end)

  -- A client of a server that sends these bytes, and then those endlessly.
  local function raw(first, again, scheme, timeout)
    local port, stop = helper.raw(first, again)
    finally(stop)
    return bmwi.new({ base_url = (scheme or "http") .. "://127.0.0.1:" .. port, retries = 0,
      timeout = timeout or 20, token = { access_token = "AAAA" } })
  end

  -- For example, a load balancer that restarts: no certificate is at fault, and it is transient.
  it("fails as network when a connection is reset during the TLS handshake", function()
    local client = raw("RESET", "", "https")
    local _, info = fails_as("network", client:vehicles())
    assert.is_true(info.retryable)
    _, info = fails_as("network", client:vehicle(helper.vin):lock_doors())
    assert.is_true(info.retryable)
  end)

  describe("reads no more than it should", function()
    local OK = "HTTP/1.1 200 OK\\r\\n"
    local CHUNKED = OK .. "Transfer-Encoding: chunked\\r\\n\\r\\n"
    for _, case in ipairs({
      { "headers without end", "too_large", OK, "X: aaaaaaaaaaaaaaaa\\r\\n" },
      { "a header without end", "too_large", OK .. "X: ", "a" },
      { "a status line without end", "too_large", "HTTP/1.1 200 ", "a" },
      { "news without end", "too_large", "", "HTTP/1.1 100 Continue\\r\\n\\r\\n" },
      { "a header without end after news", "too_large", "HTTP/1.1 100 Continue\\r\\n\\r\\n" .. OK
        .. "X: ", "a" },
      { "trailers without end", "too_large", CHUNKED .. "1\\r\\n{\\r\\n0\\r\\n", "X: a\\r\\n" },
      { "a trailer without end", "network", CHUNKED .. "1\\r\\n{\\r\\n0\\r\\nX: ", "a" },
      { "a chunk's size without end", "network", CHUNKED, "0" },
      { "a body without end", "too_large", OK .. "\\r\\n", " " },
      { "NUL bytes without end", "too_large", OK .. "\\r\\n", "\\0" },
      { "NUL bytes for headers", "network", "\\0\\0", "\\0" },
      { "a NUL byte in a header", "network", OK .. "X: \\0\\r\\n\\r\\n{}", "", since = 88 },
      { "no HTTP at all", "network", "SSH-2.0-OpenSSH_9.2\\r\\n", "" },
      { "a length below nothing", "network", OK .. "Content-Length: -5\\r\\n\\r\\n{}", "" },
      { "a length beyond measure", "network", OK .. "Content-Length: 99999999999999\\r\\n\\r\\n{",
        "" },
      { "packed ten times over", "network", OK .. "Content-Encoding: " .. ("gzip, "):rep(9)
        .. "gzip\\r\\n\\r\\nx", "" },
    }) do
      it(case[1], function()
        if not helper.libcurl(7, case.since or 0) then return pending("this libcurl takes it") end
        local client = raw(case[3], case[4])
        local start = bmwi._sys.monotonic()
        local message, info = fails_as(case[2], client:vehicles())
        assert(#message < 500, message)
        if case[2] == "too_large" then assert.is_false(info.retryable) end
        -- A command's outcome is then unknown; no error is raised.
        info = select(2, fails_as("unknown", client:vehicle(helper.vin):lock_doors()))
        assert(info.hint:find("check before you send it again", 1, true), info.hint)
        fails_as("unknown", client:vehicle(helper.vin):send_poi({ lat = 1, lon = 2 }))
        assert(bmwi._sys.monotonic() - start < 55)
        client:close()
      end)
    end

    -- An endless chunk header ends at the timeout.
    it("of what follows a chunk's size", function()
      local client = raw(CHUNKED .. "1;", "x", nil, 5)
      fails_as("timeout", client:vehicles())
      client:close()
    end)

    -- Freed memory is reused even under AddressSanitizer.
    local RELEASED = "ASAN_OPTIONS=detect_leaks=0:quarantine_size_mb=1"

    for _, gzip in ipairs({ false, true }) do
      it("10 GB of zeros" .. (gzip and ", packed," or "") .. " in little memory", function()
        sim:fault({ path = "/status", times = 0, pad = 10e9, gzip = gzip })
        local said = program(([[
          local bmwi = require("bmwi")
          local function peak()
            for line in io.lines("/proc/self/status") do
              local kib = line:match("^VmHWM:%%s+(%%d+)")
              if kib then return tonumber(kib) end
            end
            return 0 -- no Linux
          end
          local client = bmwi.new({ base_url = %q, retries = 0, username = "whatever@example.com",
            password = "p4ssw0rd", api_key = "key", api_secret = "secret" })
          assert(client:vehicles()) -- what the first exchange needs
          local before = peak()
          for _ = 1, 3 do
            local _, _, code = client:vehicle("WAB1C23456V123456"):status()
            io.write(code, " ")
          end
          io.write(("%%d"):format(peak() - before))]]):format(sim.url), RELEASED)
        local more = tonumber(said:match("^too_large too_large too_large (%d+)$"))
        assert(more, said)
        -- 16 MiB are read before the limit; the buffer is moved once on the way.
        assert(more < 40 * 1024, more .. " KiB")
      end)
    end
  end)

  -- RFC 9112, section 8: a response whose headers do not end is incomplete. libcurl takes it.
  describe("a response", function()
    local OK, NEWS = "HTTP/1.1 200 OK\\r\\n", "HTTP/1.1 100 Continue\\r\\n\\r\\n"
    local CHUNKED = OK .. "Transfer-Encoding: chunked\\r\\n\\r\\n2\\r\\n{}\\r\\n0\\r\\n"
    local CUT = "the connection was closed before the final response's headers ended"
    local TOKEN = { access_token = "AAAA", gcid = "g", id_token = "i" }

    -- A server that says `answer` to each request: a function that makes a client of it, and one
    -- that returns the requests.
    local function serve(answer)
      local port, stop = helper.raw(answer, "")
      local url, requests = "http://127.0.0.1:" .. port, nil
      local function requested()
        requests = requests or stop()
        return requests
      end
      finally(requested)
      return function(service, token, retries)
        local options = { service = service, base_url = url, token = token, retries = retries }
        if service == "cardata" then
          options.client_id, options.login_url = "6b1f5a52-9d2e-4c0f-8a53-1f0c2d3e4b5a", url
          options.store, options.on_prompt = stores.memory(), print
        else
          options.username, options.password = "u", "p"
          options.api_key, options.api_secret = "k", "s"
        end
        return bmwi.new(options)
      end, requested
    end

    for _, case in ipairs({
      { "ends in its status line", "HTTP/1.1 200 OK" },
      { "ends after its status line", OK, CUT },
      { "ends after the status line of a refusal", "HTTP/1.1 404 Not Found\\r\\n", CUT },
      { "ends after a status line in lower case", OK:lower(), CUT },
      { "ends within a header", OK .. "Content-Type: applica", CUT },
      { "ends after all headers", OK .. "Content-Length: 0\\r\\n", CUT },
      { "ends after all headers of a 204", "HTTP/1.1 204 No Content\\r\\nX: 1\\r\\n", CUT },
      { "ends at a NUL byte in a header", OK .. "\\0: {}", CUT },
      { "ends after news", NEWS },
      { "ends after news with headers", "HTTP/1.1 103 Early Hints\\r\\nLink: <a>\\r\\n\\r\\n" },
      { "ends after news and a status line", NEWS .. OK, CUT },
      { "changes the protocol unasked", "HTTP/1.1 101 Switching Protocols\\r\\n\\r\\n{}", CUT },
    }) do
      it("that " .. case[1] .. " is none", function()
        local new, requested = serve(case[2])
        local car = new("classic", TOKEN, 1):vehicle(helper.vin)
        local results = {
          { "network", new("classic", TOKEN, 0):get("/cars") },
          { "unknown", car:lock_doors() },
          { "unknown", car:send_poi({ lat = 1, lon = 2 }) },
          { "network", new("classic", nil, 0):login() },
          { "network", new("cardata", TOKEN, 0):vehicles() },
          { "unknown", new("cardata", TOKEN, 1):create_container({ name = "a",
            descriptors = { "a.b" } }) },
          { "network", new("cardata", nil, 0):login() },
        }
        local sent = {}
        for i, line in ipairs(requested()) do sent[i] = line:match("(%w+)/? HTTP") end
        for _, result in ipairs(results) do
          local code = result[1]
          local message, info = fails_as(code, unpack(result, 2, 5))
          assert(message:find(case[3] or "", 1, true), message)
          assert.equal(code == "network", info.retryable)
          assert(code == "network" or info.hint:find("check before you send it again", 1, true))
        end
        assert.same({ "cars", "executeService", "sendpoi", "token", "mappings", "containers",
          "code" }, sent)
      end)
    end

    for _, case in ipairs({
      { "has trailers", CHUNKED .. "X: 1\\r\\nHTTP: 2\\r\\n\\r\\n" },
      { "ends with the connection", "HTTP/1.0 200 OK\\r\\n\\r\\n{}" },
      { "has no headers and no body", OK .. "\\r\\n", true },
      { "has bare line feeds", "HTTP/1.1 200 OK\\nX: 1\\n\\n{}" },
      { "comes after news", NEWS .. NEWS .. OK .. "\\r\\n{}" },
    }) do
      it("that " .. case[1] .. " is one", function()
        local new, requested = serve(case[2])
        local client = new("classic", TOKEN, 0)
        local got, sent = client:get("/"), client:vehicle(helper.vin):send_poi({ lat = 1, lon = 2 })
        assert.equal(2, #requested())
        assert.same(case[3] or {}, got)
        assert.is_true(sent)
      end)
    end
  end)

  describe("cannot be made to send more than intended", function()
    -- What would end a header line, a field, a path or the request.
    local TRICKS = { "\r\nX-Evil: 1", "\nX-Evil: 1", "\rX-Evil: 1",
      "\r\n\r\nGET /evil HTTP/1.1\r\n", "\0X", "&evil=1", "=evil", "#evil", "?evil=1", "/../evil",
      "%0d%0aX-Evil:%201", "%00", ";evil=1", "+evil",
      " evil", "\226\128\168evil", "\255evil", "\"evil", "{evil}", "\\evil", "\127" }

    local function client(overrides)
      return bmwi.new(helper.client(sim, overrides))
    end

    -- Every request is an intended one, with the intended headers.
    local function check()
      local count = 0
      for _, request in ipairs(sim:log()) do
        count = count + 1
        assert.is_nil(request.headers["x-evil"])
        for name in pairs(request.headers) do
          assert(name == "host" or name == "authorization" or name == "accept"
            or name == "accept-encoding" or name == "user-agent" or name == "content-length"
            or name == "content-type", name)
        end
        assert(request.path:find("^/webapi/") and not request.path:find("[%c ?#]")
          and not request.path:find("/..", 1, true), request.path)
      end
      return count
    end

    it("by options that make headers, paths and forms", function()
      for _, name in ipairs({ "user_agent", "proxy", "scope", "token_path", "token_url", "username",
        "password", "api_key", "api_secret", "basic", "base_url", "navigation_url", "ca_file" }) do
        for _, trick in ipairs(TRICKS) do
          sim:reset()
          local base = helper.client(sim, { retries = 0, timeout = 5 })
          local start = name == "token_path" and "/webapi/oauth/token" or name == "token_url"
            and sim.url .. "/webapi/oauth/token" or name == "proxy" and "" or base[name] or "a"
          if name == "basic" then base.api_key, base.api_secret = nil, nil end
          base[name] = start .. trick
          local made, one = pcall(bmwi.new, base)
          if made then
            assert(name == "password" or not trick:find("%c"), name)
            one:vehicles()
            one:close()
          end
          check()
          for _, request in ipairs(sim:log()) do
            if request.path:find("/oauth/token", 1, true) and request.body ~= "" then
              local fields, order = helper.form(request.body)
              assert.same({ "grant_type", "username", "password", "scope" }, order)
              if name == "username" or name == "password" or name == "scope" then
                assert.equal(base[name], fields[name])
              end
            end
          end
        end
      end
    end)

    it("by rules of connect_to", function()
      for _, trick in ipairs({ "a:1:b:2\r\nX-Evil: 1", "a:1:b:2\n", "a:1:b 2:3", "", "a\0b", 5,
        {} }) do
        assert.has_error(function() client({ connect_to = { trick } }) end)
      end
      assert.is_truthy(client({ connect_to = { "a:1:b:2" } }))
    end)

    it("by a VIN, a service, a view or a path", function()
      local one = client()
      local car = one:vehicle(helper.vin)
      one:login()
      sim:clear()
      for _, trick in ipairs(TRICKS) do
        assert.has_error(function() one:vehicle(helper.vin:sub(1, 17 - #trick) .. trick) end)
        assert.has_error(function() one:vehicle(helper.vin .. trick) end)
        assert.has_error(function() car:execute("DOOR_LOCK" .. trick) end)
        assert.has_error(function() car:execution("DOOR_LOCK" .. trick) end)
        assert.has_error(function() car:image({ view = "SIDE" .. trick }) end)
      end
      assert.equal(0, check())
      for _, trick in ipairs(TRICKS) do
        pcall(one.get, one, "/webapi/v1/user/vehicles" .. trick)
        pcall(one.post, one, "/webapi/v1/user/vehicles" .. trick)
      end
      for _, request in ipairs(sim:log()) do -- what a path may hold stays in the path
        assert.is_nil(request.headers["x-evil"])
        assert.equal("", request.query)
        assert.is_nil(request.path:find("/..", 1, true))
      end
    end)

    it("by values in forms and queries", function()
      local one = client()
      local car = one:vehicle(helper.vin)
      one:login()
      for _, trick in ipairs(TRICKS) do
        sim:clear()
        one:get("/webapi/v1/user/vehicles/", { ["a" .. trick:gsub("%z", "")] = trick, b = "c" })
        one:post("/webapi/v1/x", { a = trick, b = "c" })
        car:unlock_doors({ secret = trick })
        car:execute("DOOR_LOCK", { x = trick })
        car:send_poi({ lat = 1, lon = 2, name = trick, city = trick })
        assert.equal(5, check())
        local log = sim:log()
        local fields, order = helper.query(log[1].query)
        assert.equal(2, #order)
        assert.equal(trick, fields["a" .. trick:gsub("%z", "")])
        fields, order = helper.form(log[2].body)
        assert.same({ "a", "b" }, order)
        assert.equal(trick, fields.a)
        fields, order = helper.form(log[3].body)
        assert.same({ "serviceType", "bmwSkAnswer" }, order)
        assert.equal(trick, fields.bmwSkAnswer)
        fields, order = helper.form(log[4].body)
        assert.same({ "serviceType", "x" }, order)
        assert.equal(trick, fields.x)
        fields, order = helper.form(log[5].body)
        assert.same({ "data" }, order)
        assert.equal(trick, helper.json.decode(fields.data).poi.name)
      end
    end)

    it("by a token, saved or given by the server", function()
      for _, trick in ipairs(TRICKS) do
        local bad = "AAAA" .. trick
        local plain = not bad:find("[^\33-\126]")
        for _, name in ipairs({ "access_token", "refresh_token", "token_type" }) do
          sim:reset()
          local kept = { access_token = "AAAA", refresh_token = "RRRR",
            expires_at = os.time() + 900 }
          kept[name] = bad
          local made, one = pcall(client, { token = kept })
          assert.equal(plain, made, name)
          if made then one:vehicles() end
          check()
          sim:reset()
          local answer = { access_token = "AAAA", refresh_token = "RRRR", expires_in = 900,
            token_type = "Bearer" }
          answer[name] = bad
          if not bad:find("\255", 1, true) then -- which no JSON can hold
            sim:fault({ path = "/oauth/token", raw = helper.json.encode(answer) })
            local done, _, code = client():login()
            assert.equal(plain, done == true)
            if not plain then assert.equal("json", code) end
          end
          check()
        end
      end
    end)
  end)
end)
