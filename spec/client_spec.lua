--- The client: its options, what it reports, what it keeps secret, and its end.
local helper = require("spec.helper")
local bmwi = require("bmwi")
local async = require("bmwi.async")

local VIN, drive = helper.vin, helper.drive
local LIST = "/webapi/v1/user/vehicles/"
local load_text = rawget(_G, "loadstring") or load

local OPTIONS = { "api_key", "api_secret", "base_url", "basic", "ca_file", "connect_timeout",
  "connect_to", "log", "max_response_bytes", "navigation_url", "on_token", "password",
  "poi_field", "position", "proxy", "region", "retries", "scope", "service", "store", "timeout",
  "token", "token_path", "token_url", "user_agent", "username" }

-- Options of some server; nothing is sent by bmwi.new.
local function options(overrides)
  local given = { username = "u", password = "p4ss", api_key = "k3y", api_secret = "s3cret" }
  for name, value in pairs(overrides or {}) do given[name] = value end
  if not given.region then given.base_url = given.base_url or "https://example.com" end
  return given
end

local function takes(overrides)
  local client = bmwi.new(options(overrides))
  client:close()
end

local function raises(part, overrides)
  local ok, message = pcall(bmwi.new, options(overrides))
  assert.is_false(ok, "taken: " .. part)
  assert.truthy(message:find(part, 1, true), message)
  for _, secret in ipairs({ "p4ss", "k3y", "s3cret" }) do
    assert.is_nil(message:find(secret, 1, true), message)
  end
  return message
end

describe("bmwi.new", function()
  it("accepts every option it names", function()
    takes()
    takes({ region = "usa" })
    takes({ region = "china", token_path = "/gcdm/oauth/token", scope = "a b" })
    takes({ base_url = "https://example.com", token_url = "https://login.example.com/oauth/token" })
    takes({ base_url = "https://example.com:8443/", navigation_url = "https://n.example.com" })
    takes({ timeout = 0.5, connect_timeout = 3, retries = 0, max_response_bytes = 1 })
    takes({ position = { lat = -90, lon = 180 }, poi_field = "body", user_agent = "x/1" })
    takes({ ca_file = "/nothing.pem", proxy = "http://localhost:3128", connect_to = {} })
    takes({ log = print, on_token = print, token = { access_token = "t" } })
    local function none() return nil, "there is none", "missing" end
    local kept = { load = none, save = none, begin = none, finish = none }
    takes({ store = kept })
    for name in pairs(kept) do
      local part = setmetatable({ [name] = false }, { __index = kept })
      raises("option 'store': it has no method '" .. name .. "'", { store = part })
    end
    raises("option 'store': it has no method", { store = {} })
    local basic = options({ basic = "a2V5OnNlY3JldA==" })
    basic.api_key, basic.api_secret = nil, nil
    bmwi.new(basic):close()
    bmwi.new({ region = "usa", token = { access_token = "t" } }):close()
  end)

  it("reports which options are missing", function()
    local function lacks(given, ...)
      local ok, message = pcall(bmwi.new, given)
      assert.is_false(ok)
      for _, part in ipairs({ ... }) do assert.truthy(message:find(part, 1, true), message) end
    end
    -- BMW's servers are not the default: they are switched off.
    lacks({}, "'base_url'", "region = 'rest_of_world'")
    lacks({ username = "u", password = "p", api_key = "k", api_secret = "s" }, "'base_url'")
    lacks({ base_url = "https://example.com" }, "'username' and 'password'", "'token'", "'store'")
    lacks({ region = "usa", username = "u", password = "p" }, "'api_key' and 'api_secret'")
  end)

  it("refuses inherited options, since they would not be checked", function()
    local function inherits(given) return setmetatable({}, { __index = given }) end
    for _, given in ipairs({ inherits(options()), inherits(options({ timeuot = 5 })),
      setmetatable(options(), { __index = function() end }) }) do
      local ok, message = pcall(bmwi.new, given)
      assert.is_false(ok)
      assert.truthy(message:find("inherits members", 1, true), message)
    end
    raises("inherits members", { position = inherits({ lat = 1, lon = 1 }) })
    raises("inherits members", { token = inherits({ access_token = "t" }) })
    raises("inherits members", { connect_to = inherits({ "a:1:b:2" }) })
    bmwi.new(setmetatable(options(), { __name = "mine" })):close()
  end)

  it("refuses rules of connect_to that libcurl would ignore", function()
    for _, rule in ipairs({ "garbage", "a:1:b", "a:1:b:2:", "a:1:b:2:3", "a:x:b:2", "a:1:b:65536",
      "a:1:b:000443", "[::1:1:b:2", "a:1:[::1]x:2", "a:1:b:2 " }) do
      raises("'connect_to'", { connect_to = { rule } })
      raises("'connect_to'", { connect_to = { "a:1:b:2", rule } })
    end
    raises("'connect_to'", { connect_to = { n = "a:1:b:2" } })
    for _, rule in ipairs({ "a:1:b:65535", "::b:2", "a::b:", ":::2", "[::1]:1:[::2]:2" }) do
      bmwi.new(options({ connect_to = { rule } })):close()
    end
  end)

  it("refuses an invalid proxy without showing it", function()
    for _, proxy in ipairs({ "socks6://user:geheim@127.0.0.1:9", "geheim://127.0.0.1:9",
      "://geheim", "http://user:p#geheim@127.0.0.1:9", "http://user:p/geheim@127.0.0.1:9",
      "http://user:p?geheim@127.0.0.1:9", "http://user:p@geheim@127.0.0.1:9",
      "http://user:p%geheim@127.0.0.1:9", "http://user:p%00geheim@127.0.0.1:9",
      "http://user:p geheim@127.0.0.1:9", "http://user:geheim@127.0.0.1:99999",
      "http://user:geheim@127.0.0.1:0", "http://user:geheim@127.0.0.1:port",
      "http://user:geheim@127.0.0.1:", "http://user:geheim@", "http://user:geheim@:3128",
      "user:geheim@host:3128/path", "http://user:1234/geheim@host", "http://user:geheim@ho st",
      "http://user:geheim@[::1", "http://127.0.0.1:9?geheim", "http://127.0.0.1:9#geheim",
      "http://user:g\195\188geheim@127.0.0.1:9" }) do
      local message = raises("option 'proxy': ", { proxy = proxy })
      assert.is_nil(message:find("geheim", 1, true), message)
      assert.is_nil(message:find("user:", 1, true), message)
    end
    for _, proxy in ipairs({ "127.0.0.1", "127.0.0.1:3128", "http://proxy.example.com/",
      "[::1]:1080",
      "SOCKS5H://user:geheim@proxy:1080", "https://user@proxy", "http://user:p%23geheim@[::1]:3128",
      "socks4a://proxy", "socks://proxy", "user:pass:word@proxy:3128" }) do
      takes({ proxy = proxy })
    end
  end)

  it("lists the known options if one is unknown", function()
    local message = raises("unknown option 'pasword'", { pasword = "s3cret" })
    for _, name in ipairs(OPTIONS) do
      assert.truthy(message:find("%f[%w_]" .. name .. "%f[^%w_]"), name)
    end
    local _, names = message:match("%(known: .*"):gsub("[%w_]+", "")
    assert.equal(#OPTIONS + 1, names, "an option is missing in this test")
  end)

  it("requires a table with string keys", function()
    for _, given in ipairs({ "x", 1, true, print }) do
      assert.has_error(function() bmwi.new(given) end)
    end
    assert.has_error(function() bmwi.new() end)
    assert.has_error(function() bmwi.new(nil) end)
    raises("with names", { "x" })
    raises("with names", { [true] = "x" })
  end)

  it("requires each option to have its type", function()
    local numbers = { connect_timeout = true, max_response_bytes = true, retries = true,
      timeout = true }
    local functions = { log = true, on_token = true }
    local tables = { connect_to = true, position = true, store = true, token = true }
    for _, name in ipairs(OPTIONS) do
      local wrong = { 7, "7", true, {}, print, io.stdout }
      for _, value in ipairs(wrong) do
        local kind = type(value)
        local right = numbers[name] and "number" or functions[name] and "function" or
          tables[name] and "table" or "string"
        if kind ~= right then raises("option '" .. name .. "'", { [name] = value }) end
      end
    end
  end)

  it("refuses empty and overlong texts and control characters", function()
    for _, name in ipairs({ "api_key", "api_secret", "base_url", "basic", "ca_file",
      "navigation_url", "poi_field", "proxy", "region", "scope", "token_path", "token_url",
      "user_agent", "username" }) do
      raises("option '" .. name .. "'", { [name] = "" })
      raises("option '" .. name .. "'", { [name] = "a\r\nX: y" })
      raises("option '" .. name .. "'", { [name] = "a\0b" })
      raises("option '" .. name .. "'", { [name] = "a\127" })
      raises("option '" .. name .. "'", { [name] = ("a"):rep(100000) })
    end
    raises("option 'password'", { password = "" })
    raises("option 'password'", { password = "a\0b" })
    takes({ password = "a\r\n\tb" })
  end)

  it("refuses numbers out of range; a timeout is mandatory", function()
    for name, bad in pairs({
      timeout = { 0, -1, 0 / 0, math.huge, -math.huge, 1e9 },
      connect_timeout = { 0, -1, 0 / 0, math.huge },
      retries = { -1, 11, 0 / 0, math.huge },
      max_response_bytes = { 0, -1, 0 / 0, math.huge, 1e15 },
    }) do
      for _, value in ipairs(bad) do raises("option '" .. name .. "'", { [name] = value }) end
    end
    local message = raises("option 'retries'", { retries = 11 })
    assert.equal("option 'retries': a number from 0 to 10 expected", message:match("option.*"))
  end)

  it("requires related options together, and refuses exclusive ones", function()
    for _, name in ipairs({ "username", "password", "api_key", "api_secret" }) do
      local given = options()
      given[name] = nil
      local ok, message = pcall(bmwi.new, given)
      assert.is_false(ok)
      assert.truthy(message:find(name, 1, true), message)
    end
    raises("'region' and 'base_url'", { region = "usa", base_url = "https://example.com" })
    raises("'token_path' and 'token_url'", { token_path = "/a", token_url = "https://a.example" })
    raises("'basic' and 'api_key'", { basic = "a2V5OnNlY3JldA==" })
    for _, given in ipairs({ {}, { username = "u", password = "p" },
      { api_key = "k", api_secret = "s" }, { basic = "a2V5OnNlY3JldA==" } }) do
      assert.has_error(function() bmwi.new(given) end)
    end
  end)

  it("refuses values that cannot be valid", function()
    raises("'rest_of_world', 'usa' or 'china'", { region = "europe" })
    raises("'data' or 'body'", { poi_field = "poi" })
    raises("option 'api_key'", { api_key = "a:b" })
    local basic = options({ basic = "not base64" })
    basic.api_key, basic.api_secret = nil, nil
    assert.has_error(function() bmwi.new(basic) end)
    for _, path in ipairs({ "oauth", "//example.com", "/a?b", "/a/../b", "https://example.com" }) do
      raises("option 'token_path'", { token_path = path })
    end
    for _, position in ipairs({ {}, { lat = 1 }, { lon = 1 }, { lat = "1", lon = "1" },
      { lat = 90.1, lon = 0 }, { lat = 0, lon = -180.1 }, { lat = 0 / 0, lon = 0 },
      { lat = 0, lng = 0 } }) do
      raises("option 'position'", { position = position })
    end
    raises("option 'connect_to'", { connect_to = { 7 } })
    for _, name in ipairs({ "retries", "max_response_bytes" }) do
      raises("option '" .. name .. "': a whole number", { [name] = 2.7 })
      takes({ [name] = 2.0 })
    end
  end)

  it("accepts http:// for a loopback address only", function()
    for _, url in ipairs({ "http://127.0.0.1", "http://127.0.0.1:8080", "http://127.1.2.3:1",
      "http://localhost:80", "http://[::1]:80", "http://[::1]", "http://LOCALHOST:8080",
      "HTTP://localhost:8080", "http://ip6-localhost:8080", "http://ip6-loopback",
      "http://[0:0:0:0:0:0:0:1]:8080", "http://[0000::0001]", "http://[::ffff:127.0.0.1]:80" }) do
      takes({ base_url = url })
      takes({ base_url = "https://example.com", navigation_url = url })
      takes({ base_url = "https://example.com", token_url = url .. "/token" })
    end
    for _, url in ipairs({ "http://example.com", "http://b2vapi.bmwgroup.com",
      "http://127.0.0.1.example.com", "http://localhost.example.com",
      "http://127.0.0.1@example.com",
      "http://127.example.com", "http://10.0.0.1", "http://[::2]:80", "http://0.0.0.0",
      "ftp://127.0.0.1", "file:///etc/passwd", "127.0.0.1:80", "//127.0.0.1", "https://",
      "https://u:p4ss@example.com", "https://example.com?a", "https://example.com#a",
      "http://localhosts", "http://ip6-localhost.example.com", "http://[0:0:0:0:0:0:0:2]",
      "http://[::ffff:128.0.0.1]", "http://127.0.0.256", "http://127.1", "http://128.0.0.1",
      "https://example.com:0", "https://example.com:65536", "https://example.com:99999",
      "https://example.com:", "https://example.com:x", "https://example.com:123456",
      "https://exa mple.com", "https://example.com\\@127.0.0.1", "https://[::1", "http:/localhost",
      "https:///path", "https://:443" }) do
      raises("option 'base_url'", { base_url = url })
      raises("option 'navigation_url'", { navigation_url = url })
      raises("option 'token_url'", { token_url = url })
    end
    raises("option 'base_url'", { base_url = "https://example.com/api" })
    raises("https:// (http:// for a loopback address)", { base_url = "127.0.0.1:8080" })
  end)

  it("has the three regions", function()
    assert.same({ rest_of_world = "https://b2vapi.bmwgroup.com",
      usa = "https://b2vapi.bmwgroup.us", china = "https://b2vapi.bmwgroup.cn:8592" }, bmwi.regions)
  end)
end)

describe("a client", function()
  local sim, client

  setup(function()
    sim = helper.start({ args = { "--speed", "200" } })
  end)

  teardown(function()
    sim:stop()
  end)

  before_each(function()
    sim:reset()
  end)

  after_each(function()
    os.setlocale("C", "numeric")
    if client then
      client:close()
      client = nil
    end
  end)

  local function new(overrides)
    if client then client:close() end
    client = bmwi.new(helper.client(sim, overrides))
    return client
  end

  local function last()
    local log = sim:log()
    return log[#log]
  end

  it("sorts a query by name, whatever a host has made of table.sort", function()
    local sort = table.sort
    new()
    table.sort = function() error("not for you") end -- luacheck: ignore 122
    local ok, answer = pcall(client.get, client, LIST, { b = 2, c = 3, a = 1 })
    table.sort = sort -- luacheck: ignore 122
    assert.is_true(ok, answer)
    assert.equal("a=1&b=2&c=3", last().query)
  end)

  describe("takes from its options", function()
    it("where the car is: both dlat and dlon, with a decimal point (trap 4)", function()
      new():vehicle(VIN):status()
      assert.equal("", last().query)
      for _, case in ipairs({
        { 48.137154, 11.576124, "dlat=48.137154&dlon=11.576124" },
        { -33.9, -70, "dlat=-33.900000&dlon=-70.000000" },
        { 0, 0, "dlat=0.000000&dlon=0.000000" },
        { 90, -180, "dlat=90.000000&dlon=-180.000000" },
        { 51.123456789, 1e-9, "dlat=51.123457&dlon=0.000000" },
      }) do
        assert.is_table(new({ position = { lat = case[1], lon = case[2] } }):vehicle(VIN):status())
        assert.equal(case[3], last().query)
      end
      client:vehicle(VIN):last_trip()
      assert.equal("", last().query)
    end)

    it("where the car is, which some cars require (trap 4)", function()
      sim:change(VIN, { vehicle = { bodytype = "F31" } })
      local status, _, code, info = new():vehicle(VIN):status()
      assert.is_nil(status)
      assert.equal("http", code)
      assert.equal(400, info.status)
      assert.equal("A-101", info.api_code)
      assert.truthy(info.hint:find("position", 1, true), info.hint)
      assert.is_table(new({ position = { lat = 0, lon = 0 } }):vehicle(VIN):status())
    end)

    for _, locale in ipairs(helper.locales) do
      it("where the car is and what it sends, with a decimal point under " .. locale, function()
        if not os.setlocale(locale, "numeric") then return pending("there is no " .. locale) end
        local lat, lon = 51.53053283691406, -0.08362331241369247
        local car = new({ position = { lat = lat, lon = lon } }):vehicle(VIN)
        local results = {
          { pcall(car.status, car) },
          { pcall(car.send_poi, car, { lat = lat, lon = lon }) },
          { pcall(car.set_charging_profile, car,
            { twoTimesTimer = { timer1 = { new = 0.5 }, timer2 = { new = 1 } } }) },
          { pcall(client.get, client, "/webapi/v1/user/vehicles/", { half = 0.5, one = 1 }) },
          { pcall(car.execute, car, "DOOR_LOCK", { half = 0.5, one = 1 }) },
        }
        os.setlocale("C", "numeric")
        for _, result in ipairs(results) do assert.truthy(result[2], result[3]) end
        local log = sim:log()
        assert.equal("dlat=51.530533&dlon=-0.083623", log[2].query)
        assert.equal('{"poi":{"lat":51.53053283691406,"lon":-0.08362331241369247}}',
          helper.form(log[3].body).data)
        assert.equal('{"twoTimesTimer":{"timer1":{"new":0.5},"timer2":{"new":1}}}',
          helper.form(log[4].body).data)
        assert.equal("half=0.5&one=1", log[5].query)
        assert.equal("0.5", helper.form(log[6].body).half)
      end)
    end

    it("which field a point of interest goes in (trap 2)", function()
      local poi = { lat = 48, lon = 11 }
      for option, field in pairs({ none = "data", data = "data", body = "body" }) do
        local overrides = option ~= "none" and { poi_field = option } or nil
        assert.is_true(new(overrides):vehicle(VIN):send_poi(poi))
        local fields, order = helper.form(last().body)
        assert.same({ field }, order)
        assert.equal('{"poi":{"lat":48,"lon":11}}', fields[field])
      end
    end)

    it("its User-Agent", function()
      new({ user_agent = "okhttp/3.12.2 (test)" }):vehicles()
      local log = sim:log()
      assert.equal("okhttp/3.12.2 (test)", log[1].headers["user-agent"])
      assert.equal("okhttp/3.12.2 (test)", log[2].headers["user-agent"])
    end)

    it("how large a response may be, counted after decompression", function()
      new({ max_response_bytes = 100000, retries = 0 }):login()
      for _, gzip in ipairs({ false, true }) do
        sim:fault({ path = "/vehicles", pad = 100001, gzip = gzip })
        local list, message, code, info = client:vehicles()
        assert.is_nil(list)
        assert.equal("too_large", code, message)
        assert.is_false(info.retryable)
        assert.truthy(message:find("max_response_bytes", 1, true), message)
        sim:fault({ path = "/vehicles", pad = 100000, gzip = gzip })
        assert.equal("json", (select(3, client:vehicles())))
      end
      sim:fault({ path = "/vehicles", pad = 2000000000, gzip = true, times = 0 })
      assert.equal("too_large", (select(3, client:vehicles())))
      sim:no_faults()
      assert.is_table(client:vehicles())
      sim:fault({ path = "/executeService", pad = 100001 })
      assert.equal("unknown", (select(3, client:vehicle(VIN):lock_doors())))
    end)

    it("how large a response may be: 16 MiB by default #slow", function()
      new({ retries = 0 }):login()
      sim:fault({ path = "/vehicles", pad = 16 * 1024 * 1024, gzip = true })
      assert.equal("json", (select(3, client:vehicles())))
      sim:fault({ path = "/vehicles", pad = 16 * 1024 * 1024 + 1, gzip = true })
      assert.equal("too_large", (select(3, client:vehicles())))
    end)

    it("how long to wait #slow", function()
      new({ timeout = 0.3, retries = 0 }):login()
      sim:fault({ path = "/vehicles", latency = 30, times = 2 })
      local start = bmwi._sys.monotonic()
      local list, _, code, info = client:vehicles()
      local seconds = bmwi._sys.monotonic() - start
      assert.is_nil(list)
      assert.equal("timeout", code)
      assert.is_true(info.retryable)
      assert.is_true(seconds >= 0.29 and seconds < 15, seconds)
      new({ timeout = 0.3 }):login() -- repeats do not make it longer
      start = bmwi._sys.monotonic()
      assert.equal("timeout", (select(3, client:vehicles())))
      assert.is_true(bmwi._sys.monotonic() - start < 15)
    end)

    it("how often to retry what may be retried (trap 17)", function()
      for retries = 0, 1 do
        new({ retries = retries })
        client:login()
        sim:clear()
        sim:fault({ path = "/vehicles", status = 500, times = 0 })
        local list, _, code, info = client:vehicles()
        assert.is_nil(list)
        assert.equal("server", code)
        assert.is_true(info.retryable)
        assert.equal(1 + retries, sim:count("GET"))
        _, _, code, info = client:vehicle(VIN):lock_doors()
        assert.equal("unknown", code)
        assert.equal(500, info.status)
        assert.is_false(info.retryable)
        assert.equal(1, sim:count("POST"))
        sim:no_faults()
      end
    end)

    it("which spellings of a loopback address are accepted", function()
      for _, url in ipairs({ "HTTP://localhost:", "http://LocalHost:", "http://127.0.0.1:" }) do
        assert.is_table(new({ base_url = url .. sim.port }):vehicles())
      end
      assert.equal("bmwi.client: http://LocalHost:1",
        tostring(new({ base_url = "HTTP://LocalHost:1" })))
    end)

    it("which CAs to trust; an unusable file is named with the reason", function()
      local secure = helper.start({ tls = true })
      local junk = os.tmpname()
      for file, reason in pairs({
        ["/nowhere/ca.pem"] = "No such file or directory", ["~/ca.pem"] = "'~'", [junk] = "PEM",
        ["/tmp"] = "folder", [("/a"):rep(200)] = "No such file or directory",
      }) do
        local list, message, code, info = new({ base_url = secure.url, ca_file = file, retries = 2,
          token = { access_token = "t" } }):vehicles()
        assert.is_nil(list)
        assert.equal("tls", code)
        assert.is_false(info.retryable)
        assert.truthy(message:find("ca_file " .. file:sub(1, 100), 1, true), message)
        assert.truthy(message:find(reason, 1, true), message)
        assert.is_nil(message:find("for a private CA", 1, true), message)
      end
      os.remove(junk)
      assert.equal(0, #secure:log())
      secure:stop()
    end)

    it("which proxy to use", function()
      local list, _, code = new({ proxy = "http://127.0.0.1:1", retries = 0 }):login()
      assert.is_nil(list)
      assert.equal("network", code)
      assert.equal(0, #sim:log())
    end)
  end)

  describe("reports to its log hook", function()
    local function watch(overrides)
      local events = {}
      overrides = overrides or {}
      overrides.log = function(event, t)
        t.event = event
        events[#events + 1] = t
      end
      new(overrides)
      return events
    end

    it("each response and each retry", function()
      local events = watch({ retries = 1 })
      sim:fault({ path = "/vehicles", status = 503 })
      assert.is_table(client:vehicles())
      assert.equal(4, #events)
      local token, failed, again, good = events[1], events[2], events[3], events[4]
      assert.equal("response", token.event)
      assert.equal("token", token.call)
      assert.equal("POST", token.method)
      assert.equal(200, token.status)
      assert.is_true(token.seconds > 0 and token.seconds < 60)
      assert.is_true(token.bytes > 100)
      assert.equal("vehicles", failed.call)
      assert.equal("GET", failed.method)
      assert.equal(503, failed.status)
      assert.equal(1, failed.attempt)
      assert.equal("retry", again.event)
      assert.equal("vehicles", again.call)
      assert.equal(2, again.attempt)
      assert.is_true(again.wait >= 0 and again.wait <= 0.5)
      assert.equal("response", good.event)
      assert.equal(200, good.status)
      assert.equal(2, good.attempt)
    end)

    it("failures without a response", function()
      local events = watch({ retries = 0 })
      client:login()
      sim:fault({ path = "/vehicles", reset = "before", times = 0 })
      client:vehicles()
      assert.equal("network", events[2].code)
      assert.is_string(events[2].error)
      assert.is_nil(events[2].status)
    end)

    it("no secret, whatever happens (trap 20)", function()
      sim:config({ secret_answer = "Rover" })
      local events = watch({ retries = 0, position = { lat = 48.137154, lon = 11.576124 } })
      local car = client:vehicle(VIN)
      local messages = {}
      local function note(_, message, _, info)
        messages[#messages + 1] = message or ""
        messages[#messages + 1] = info and info.description or ""
      end
      note(client:vehicles())
      note(car:status())
      note(car:unlock_doors({ secret = "Rover" }))
      note(car:unlock_doors({ secret = "wrong1" }))
      local execution = car:execution("DOOR_UNLOCK")
      note(car:send_poi({ lat = 48.2, lon = 11.6, name = "Hidden" }))
      local first = client:token()
      sim:token({ expire = true })
      note(client:vehicles())
      sim:fault({ path = "/", reset = "before" })
      note(car:status())
      sim:fault({ path = "/", truncate = 10 })
      note(car:lock_doors())
      local second = client:token()
      for _, secret in ipairs({ "p4ssw0rd", "a2V5OnNlY3JldA==", second.access_token,
        second.refresh_token }) do
        sim:fault({ path = "/", status = 500,
          body = '{"error":{"code":500,"description":"no ' .. secret .. '!"}}' })
        note(client:vehicles())
      end
      sim:token({ expire = true, revoke_refresh = true })
      sim:fault({ path = "/oauth", recorded = "authn_circuit", times = 0 })
      note(client:vehicles())
      assert.is_true(#events > 15)
      local told = {}
      for _, event in ipairs(events) do
        for name, value in pairs(event) do
          assert.not_equal("table", type(value))
          told[#told + 1] = name .. "=" .. tostring(value)
        end
      end
      local hook = table.concat(told, "\n")
      for _, private in ipairs({ VIN, "whatever@example.com", "Hidden", "48.1", "48.2",
        execution.eventId }) do
        assert.is_nil(hook:find(private, 1, true), private)
      end
      local all = hook .. "\n" .. table.concat(messages, "\n")
      for _, secret in ipairs({ "p4ssw0rd", "a2V5OnNlY3JldA", "Rover", "wrong1",
        first.access_token, first.refresh_token, second.access_token, second.refresh_token }) do
        local at = all:find(secret, 1, true)
        assert.is_nil(at, at and all:sub(at - 40, at + 40))
      end
    end)

    it("and raises an error of the hook, after which the client still works", function()
      new({ log = function() error("no space left") end })
      local ok, message = pcall(client.vehicles, client)
      assert.is_false(ok)
      assert.truthy(message:find("no space left", 1, true))
      assert.is_false((pcall(client.vehicles, client)))
      assert.equal(1, sim:count("POST"))
    end)
  end)

  describe("shows nothing of its secrets", function()
    it("when converted to a string", function()
      new():login()
      local car = client:vehicle(VIN)
      for _, text in ipairs({ tostring(client), tostring(car), tostring(bmwi.loop) }) do
        for _, secret in ipairs({ "p4ssw0rd", "secret", "a2V5", "whatever", "3456V123456",
          client:token().access_token }) do
          assert.is_nil(text:find(secret, 1, true), text)
        end
      end
      assert.truthy(tostring(client):find(sim.url, 1, true))
      client:close()
      assert.truthy(tostring(client):find("closed", 1, true))
      assert.is_nil(tostring(client):find(sim.url, 1, true))
    end)

    it("when read as a table", function()
      new():login()
      assert.is_nil(client.password)
      assert.is_nil(client.api_secret)
      assert.has_error(function() client.password = "x" end)
      assert.has_error(function() for name in pairs(client) do print(name) end end)
    end)
  end)

  describe("when it is closed", function()
    it("raises an error for every use but close", function()
      new()
      local car = client:vehicle(VIN)
      client:login()
      client:close()
      client:close()
      local n = #sim:log()
      for _, use in ipairs({
        function() client:login() end,
        function() client:vehicles() end,
        function() client:vehicle(VIN) end,
        function() client:token() end,
        function() client:get(LIST) end,
        function() client:post(LIST) end,
        function() car:status() end,
        function() car:last_trip() end,
        function() car:all_trips() end,
        function() car:charging_profile() end,
        function() car:destinations() end,
        function() car:range_map() end,
        function() car:navigation() end,
        function() car:image() end,
        function() car:execution("DOOR_LOCK") end,
        function() car:execute("DOOR_LOCK") end,
        function() car:lock_doors() end,
        function() car:unlock_doors() end,
        function() car:flash_lights() end,
        function() car:blow_horn() end,
        function() car:climate_now() end,
        function() car:charge_now() end,
        function() car:find() end,
        function() car:send_poi({ lat = 1, lon = 2 }) end,
        function()
          car:set_charging_profile({ twoTimesTimer = { timer1 = { timerEnabled = true },
            timer2 = { timerEnabled = true } } })
        end,
      }) do
        assert.has_error(use, "attempt to use a closed client")
      end
      assert.equal(VIN, car:vin())
      assert.equal(n, #sim:log())
    end)

    it("ends the calls in progress", function()
      sim:fault({ path = "/vehicles", latency = 30, times = 0 })
      new():login()
      local car = client:vehicle(VIN)
      local ends = {}
      local function task(fn)
        async.spawn(fn, function(...) ends[#ends + 1] = { ... } end)
      end
      task(function() return client:vehicles() end)
      task(function() return car:status() end)
      task(function() return car:lock_doors() end)
      drive(function() return sim:count("POST", "/executeService") == 1 end)
      assert.equal(0, #ends)
      client:close()
      drive(function() return #ends == 3 end)
      for _, ended in ipairs(ends) do
        assert.is_true(ended[1], tostring(ended[2]))
        assert.is_nil(ended[2])
        assert.equal(ended[3]:find("^execute ") and "unknown" or "closed", ended[4])
        assert.is_table(ended[5])
      end
    end)

    it("ends those that wait for a log-in too", function()
      sim:fault({ path = "/oauth", latency = 30, times = 0 })
      new()
      local code
      async.spawn(function() code = select(3, client:vehicles()) end)
      bmwi.loop:step(0.05)
      client:close()
      drive(function() return code end)
      assert.equal("closed", code)
    end)
  end)

  describe("that is no longer referenced", function()
    local function collect()
      for _ = 1, 3 do collectgarbage() end
    end

    it("is collected", function()
      local seen = setmetatable({}, { __mode = "v" })
      seen[1] = bmwi.new(helper.client(sim, { log = function() end, on_token = function() end }))
      seen[1]:login()
      collect()
      assert.is_nil(seen[1])
    end)

    it("is kept alive by its cars", function()
      local car = bmwi.new(helper.client(sim)):vehicle(VIN)
      collect()
      assert.equal(1234, car:status().mileage)
      collect()
      assert.equal(1234, car:status().mileage)
    end)

    it("is kept alive by its calls", function()
      sim:fault({ path = "/", latency = 0.05, times = 0 })
      local list, told
      async.spawn(function()
        list = bmwi.new(helper.client(sim, { on_token = function() told = true end })):vehicles()
      end)
      drive(function()
        collect()
        return list
      end)
      assert.equal(VIN, list[1].vin)
      assert.is_true(told)
    end)

    it("is collected even if its hook references it", function()
      local seen = setmetatable({}, { __mode = "v" })
      do
        local itself
        itself = bmwi.new(helper.client(sim, { log = function() return itself end }))
        itself:login()
        seen[1] = itself
      end
      collect()
      assert.is_nil(seen[1])
    end)
  end)

  it("is closed at the end of its scope on Lua 5.4", function()
    local chunk = load_text("local new = ... local kept do local c <close> = new() kept = c end " ..
      "return kept")
    if not chunk then return pending("this Lua has no variables that are closed") end
    local kept = chunk(function() return bmwi.new(helper.client(sim)) end)
    assert.truthy(tostring(kept):find("closed", 1, true))
  end)

  it("shares nothing with another client", function()
    local one = bmwi.new(helper.client(sim))
    local two = bmwi.new(helper.client(sim, { user_agent = "two" }))
    one:login()
    assert.is_nil(two:token())
    two:vehicles()
    assert.equal("two", last().headers["user-agent"])
    one:close()
    assert.is_table(two:vehicles())
    two:close()
  end)

  it("is not confused with other objects", function()
    new()
    local car = client:vehicle(VIN)
    assert.has_error(function() client.vehicles(car) end)
    assert.has_error(function() car.status(client) end)
    assert.has_error(function() client.login({}) end)
    assert.has_error(function() client.close(io.stdout) end)
    assert.has_error(function() client.vehicles() end)
    assert.has_error(function() getmetatable(client).__gc({}) end)
  end)
end)
