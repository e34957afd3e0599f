--- handle.c: a libcurl handle keeps the options of a GET for the next one. Nothing of a client, a
--- server or a request may leak into another exchange.
local helper = require("spec.helper")
local bmwi = require("bmwi")
local fails_as = helper.fails_as

local TOKEN = { access_token = "AAAA", expires_at = os.time() + 3600 }

describe("a reused handle", function()
  local sim, other

  setup(function() sim, other = helper.start(), helper.start() end)
  teardown(function()
    sim:stop()
    other:stop()
  end)
  before_each(function()
    sim:reset()
    other:reset()
  end)

  local function new(server, overrides)
    local options = { retries = 0, timeout = 10 }
    for name, value in pairs(overrides or {}) do options[name] = value end
    return bmwi.new(helper.client(server, options))
  end

  -- A client that has just read something, so that its options are on a handle.
  local function warm(server, overrides)
    local client = new(server, overrides)
    assert.is_table(client:vehicles())
    return client
  end

  local function last(server)
    local log = server:log()
    return log[#log]
  end

  it("sends the User-Agent of the calling client", function()
    local clients = {}
    for i = 1, 5 do clients[i] = warm(sim, { user_agent = "agent/" .. i }) end
    for _ = 1, 2 do
      for i = 1, 5 do
        assert.is_table(clients[i]:vehicles())
        assert.equal("agent/" .. i, last(sim).headers["user-agent"])
        assert.equal("Bearer " .. clients[i]:token().access_token,
          last(sim).headers.authorization)
      end
    end
  end)

  it("sends the User-Agent of a client that replaced a closed one", function()
    for i = 1, 20 do
      local client = warm(sim, { user_agent = "agent/" .. i })
      assert.is_table(client:vehicles())
      assert.equal("agent/" .. i, last(sim).headers["user-agent"])
      client:close()
      client = nil -- luacheck: ignore
      collectgarbage()
      collectgarbage()
    end
  end)

  -- Each asks its own server, one after the other.
  local function in_turn(one, two)
    sim:clear()
    other:clear()
    for _ = 1, 3 do
      assert.is_table(one:vehicles())
      assert.is_table(two:vehicles())
    end
    assert.equal(3, sim:count("GET"))
    assert.equal(3, other:count("GET"))
  end

  it("connects to the calling client's server", function()
    local one, two = warm(sim), warm(other)
    in_turn(one, two)
  end)

  it("connects where the calling client's connect_to points", function()
    local function at(server)
      return warm(server, { base_url = "http://127.0.0.1:1",
        connect_to = { "127.0.0.1:1:127.0.0.1:" .. server.port } })
    end
    local one, two = at(sim), at(other)
    in_turn(one, two)
    for _ = 1, 10 do -- a closed client's rules are gone with it
      one:close()
      one = at(sim)
      assert.is_table(one:vehicles())
    end
  end)

  it("connects to the call's server, if a client has two", function()
    local client = warm(sim, { navigation_url = other.url })
    local car = client:vehicle(helper.vin)
    sim:clear()
    for _ = 1, 3 do
      car:navigation() -- the other simulator does not know the token
      assert.is_table(client:vehicles())
    end
    assert.equal(3, sim:count("GET", "/vehicles"))
    assert.equal(0, sim:count("GET", "navigation"))
    assert(other:count("GET", "navigation") >= 1)
    assert.equal(0, other:count("GET", "/vehicles"))
  end)

  it("uses the calling client's proxy, or none", function()
    local direct = warm(sim)
    local refused = new(sim, { proxy = "http://127.0.0.1:1", token = direct:token() })
    for _ = 1, 2 do
      fails_as("network", refused:vehicles())
      assert.is_table(direct:vehicles())
    end
    local through = new({ url = "http://localhost:1" }, { proxy = sim.url, token = direct:token() })
    for _ = 1, 2 do -- a proxy gets the whole URL
      assert.is_nil((through:vehicles()))
      assert.is_table(direct:vehicles())
    end
    sim:clear()
    fails_as("network", new({ url = "http://localhost:1" }, { token = TOKEN }):vehicles())
    assert.same({}, sim:log())
  end)

  it("trusts what the calling client trusts", function()
    local secure = helper.start({ tls = true })
    local good = warm(secure)
    local bad = new(secure, { ca_file = helper.certs() .. "/other-ca-authority.pem",
      token = good:token() })
    for _ = 1, 2 do
      fails_as("tls", bad:vehicles())
      assert.is_table(good:vehicles())
    end
    secure:stop()
  end)

  it("sends the right path, method and body when they alternate", function()
    local client = warm(sim)
    local car = client:vehicle(helper.vin)
    sim:clear()
    for _ = 1, 2 do
      assert.is_table(car:status())
      assert.is_table(car:flash_lights())
      assert.is_table(client:vehicles())
      assert.is_table(client:get("/webapi/v1/user/vehicles/%57AB", { a = "b c" }) or {})
    end
    local log = sim:log()
    assert.equal(8, #log)
    for i = 1, 8, 4 do
      local list = { log[i], log[i + 1], log[i + 2], log[i + 3] }
      assert.same({ "GET", "POST", "GET", "GET" }, { list[1].method, list[2].method,
        list[3].method, list[4].method })
      helper.has(list[1].path, "/status")
      helper.has(list[2].path, "/executeService")
      helper.has(list[2].body, "LIGHT_FLASH")
      assert.equal("/webapi/v1/user/vehicles/", list[3].path)
      assert.equal("", list[3].query)
      assert.equal("a=b%20c", list[4].query)
      for k, request in ipairs(list) do
        assert.equal(k == 2, request.body ~= "")
        assert.is_nil(request.headers.expect)
        assert.equal(k == 2, request.headers["content-type"] ~= nil)
      end
    end
  end)

  -- libcurl sends what is longer than its upload buffer in pieces.
  it("sends headers and bodies that are longer than libcurl's buffer", function()
    local client, long = warm(sim), ("n"):rep(40000)
    local car = client:vehicle(helper.vin)
    for _ = 1, 2 do
      client:get("/webapi/v1/user/vehicles/", { a = long })
      assert.equal("a=" .. long, last(sim).query)
      car:send_poi({ lat = 48, lon = 11, name = "x", additionalInfo = long })
      helper.has(last(sim).body, long)
      assert.is_table(car:status())
    end
  end)

  it("uses each call's own method: GET, POST, DELETE", function()
    local client = bmwi.new({ service = "cardata", base_url = sim.url, retries = 0,
      login_url = sim.url .. "/gcdm/oauth", client_id = "6b1f5a52-9d2e-4c0f-8a53-1f0c2d3e4b5a",
      on_prompt = function() end })
    sim:control("POST", "/cardata/login", { interval = 0.05 })
    assert(client:login())
    sim:clear()
    local wanted = {}
    for _ = 1, 2 do
      for _, name in ipairs({ "mappings", "create_container", "containers", "delete_container" }) do
        client:_exchange(name, { id = "S00I000A000B001", body = name == "create_container" and {
          name = "x", purpose = "y", technicalDescriptors = { "vehicle.vehicle.travelledDistance" },
        } or nil })
        wanted[#wanted + 1] = ({ create_container = "POST", delete_container = "DELETE" })[name]
          or "GET"
      end
    end
    local methods = {}
    for i, request in ipairs(sim:log()) do methods[i] = request.method end
    assert.same(wanted, methods)
    client:close()
  end)

  it("uses the timeout of the current call", function()
    local patient = warm(sim, { timeout = 60 })
    local hasty = new(sim, { timeout = 0.3, token = patient:token() })
    sim:fault({ path = "/vehicles", latency = 30 })
    sim:fault({ path = "/vehicles", latency = 1 })
    fails_as("timeout", hasty:vehicles())
    assert.is_table(patient:vehicles())
  end)

  it("reports a redirect's target relative to the requested path", function()
    local client = warm(sim)
    for location, target in pairs({ elsewhere = "/webapi/v1/user/elsewhere",
      ["/x/y"] = "/x/y", ["../z?q=1"] = "/webapi/v1/z" }) do
      sim:fault({ path = "/user", status = 302, headers = { Location = location } })
      local _, info = fails_as("http", client:get("/webapi/v1/user/here"))
      assert.equal(sim.url .. target, info.location)
    end
    sim:fault({ path = "/user", status = 302, headers = { Location = "https://u:p@far.test/a?b" } })
    local _, info = fails_as("http", client:get("/webapi/v1/user/here"))
    assert.equal("https://far.test/a", info.location)
  end)

  -- Before 8.8 libcurl keeps the operating system's last error number.
  it("reports a TLS failure as one after a connection was reset", function()
    local code = {}
    for i, first in ipairs({ "RESET", "\21\3\3\\0\2\2F" }) do -- the alert protocol_version
      local port, stop = helper.raw(first, "")
      local client = new({ url = "https://127.0.0.1:" .. port, ca = sim.ca }, { token = TOKEN })
      code[i] = select(3, client:vehicles())
      stop()
    end
    assert.same({ "network", "tls" }, code)
  end)

  -- curl issue 11101: from 7.84.0 to 8.0.1 libcurl adds a first header that begins with a blank to
  -- the last header of the handle's previous response, which it has freed.
  describe("on a libcurl with issue 11101", function()
    local BODY = 'Content-Length: 7\\r\\n\\r\\n{"a":%d}'
    local OK, HINTS = "HTTP/1.1 200 OK\\r\\n", "HTTP/1.1 103 Early Hints\\r\\n"
    local GOOD, NEXT = OK .. BODY:format(1), OK .. BODY:format(1) .. "NEXT"
    local FOLDED = OK .. " X: 1\\r\\n" .. BODY:format(2)
    local CHUNKED = OK .. 'Transfer-Encoding: chunked\\r\\n\\r\\n7\\r\\n{"a":2}\\r\\n0\\r\\n'
    local BLANKS = (" "):rep(40000) -- of one line libcurl passes 16 KiB at once
    local REFUSED = "network: get failed: the response's first header begins with a blank"
    local cases = {
      { "refuses a first header that begins with a space", NEXT .. FOLDED, REFUSED },
      { "refuses one that begins with a tab", NEXT .. FOLDED:gsub(" X", "\tX"), REFUSED },
      { "refuses one that another client gets", FOLDED, REFUSED },
      { "refuses one after a response without headers",
        NEXT .. "HTTP/1.1 204 No Content\\r\\n\\r\\nNEXT" .. FOLDED, REFUSED },
      { "refuses one after news", NEXT .. HINTS .. "\\r\\n" .. FOLDED, REFUSED },
      { "refuses one after news with headers",
        NEXT .. HINTS .. "Link: <a>\\r\\n\\r\\n" .. FOLDED, REFUSED },
      { "refuses one of the news", NEXT .. HINTS .. " X: 1\\r\\n\\r\\n" .. GOOD, REFUSED },
      { "refuses one below a status line in lower case", NEXT .. FOLDED:gsub("HTTP", "http"),
        REFUSED },
      { "refuses one below a long status line", NEXT .. FOLDED:gsub("OK", BLANKS), REFUSED },
      { "refuses a long one", NEXT .. FOLDED:gsub(" X", BLANKS .. "X"), REFUSED },
      { "refuses one from a proxy", OK .. " X: 1\\r\\n\\r\\n", REFUSED, proxy = true },
      { "refuses one from a proxy that does not speak HTTP", "220 \\r\\n X: 1\\r\\n\\r\\n",
        REFUSED, proxy = true },
      { "takes a later one", NEXT .. OK .. "X: 1\\r\\n 2\\r\\n" .. BODY:format(2), "2" },
      { "takes a long first header",
        NEXT .. OK .. "X:" .. BLANKS .. "1\\r\\n" .. BODY:format(2), "2" },
      { "takes a body that begins with a blank",
        NEXT .. OK .. "Content-Length: 8\\r\\n\\r\\n {\"a\":2}", "2" },
      { "takes a response without headers", NEXT .. OK .. '\\r\\n {"a":2}', "2" },
      { "takes a response without a body", NEXT .. OK .. "Content-Length: 0\\r\\n\\r\\n", "true" },
      { "takes a trailer", CHUNKED .. "X: 1\\r\\n\\r\\nNEXT" .. CHUNKED .. "\\r\\n", "2" },
      { "takes trailers that begin with a space",
        CHUNKED .. " X: 1\\r\\n 2\\r\\n\\r\\nNEXT" .. CHUNKED .. "\\r\\n", "2" },
    }
    local said

    -- All in one program, so that a crash is one, too.
    setup(function()
      local lines, stops = {}, {}
      for i, case in ipairs(cases) do
        local port, stop = helper.raw(case[2], "")
        lines[i] = ("try(%q, %q, %d)"):format(port, case.proxy and "https://localhost:1" or "",
          select(2, case[2]:gsub("NEXT", "")))
        stops[i] = stop
      end
      said = helper.program([[
        local bmwi = require("bmwi")
        local function try(port, far, before)
          local url = "http://127.0.0.1:" .. port
          local client = bmwi.new({ base_url = far ~= "" and far or url, retries = 0, timeout = 10,
            proxy = far ~= "" and url or nil, token = { access_token = "AAAA" } })
          for _ = 1, before do assert(client:get("/")) end
          local answer, message, code = client:get("/")
          print(type(answer) == "table" and answer.a or answer or code .. ": " .. message)
        end
        ]] .. table.concat(lines, "\n"), "MALLOC_PERTURB_=165")
      for _, stop in ipairs(stops) do stop() end
    end)

    for i, case in ipairs(cases) do
      it(case[1], function()
        if case[3] == REFUSED and (helper.libcurl(8, 1) or not helper.libcurl(7, 84)) then
          return pending("this libcurl takes it, or refuses it itself")
        end
        local list = {}
        for line in said:gmatch("[^\n]+") do list[#list + 1] = line end
        assert.equal(case[3], list[i] or said)
      end)
    end
  end)
end)
