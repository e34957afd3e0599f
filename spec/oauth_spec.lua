--- Tokens: how one is requested, renewed, saved, shared and refused. The requests are read from the
--- simulator's log.
local helper = require("spec.helper")
local login = require("spec.login_helper")
local bmwi = require("bmwi")
local async = require("bmwi.async")

local VIN = helper.vin
local TOKEN = login.TOKEN
local story, answer_token, fails = login.story, login.answer_token, login.fails
local LIST = "/webapi/v1/user/vehicles/"
local LOG_IN = "grant_type=password&username=whatever%40example.com&password=p4ssw0rd" ..
  "&scope=remote_services+vehicle_data"
local REFRESH = "grant_type=refresh_token&refresh_token="
local HARD = 'a+b&c=d%é "x"'

describe("a token", function()
  local sim, client

  setup(function()
    sim = helper.start({ args = { "--speed", "50" } })
  end)

  teardown(function()
    sim:stop()
  end)

  before_each(function() login.begin(sim) end)

  after_each(function()
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

  local function last_of(list, n)
    local out = {}
    for i = #list - n + 1, #list do out[#out + 1] = list[i] end
    return out
  end

  describe("is asked for", function()
    it("when first needed, with the password grant, byte for byte", function()
      assert.is_table(new():vehicles())
      local log = sim:log()
      assert.equal(2, #log)
      assert.equal("POST", log[1].method)
      assert.equal(TOKEN, log[1].path)
      assert.equal("", log[1].query)
      assert.equal("Basic a2V5OnNlY3JldA==", log[1].headers.authorization)
      assert.equal("application/x-www-form-urlencoded", log[1].headers["content-type"])
      assert.equal(tostring(#LOG_IN), log[1].headers["content-length"])
      assert.equal(LOG_IN, log[1].body)
      assert.equal("Bearer " .. client:token().access_token, log[2].headers.authorization)
    end)

    it("with every value percent-encoded (trap 7)", function()
      new({ password = HARD, username = "jürgen+1@example.com", scope = "a b&c" })
      fails("auth", client:login())
      local body = sim:log()[1].body
      assert.equal("grant_type=password&username=j%C3%BCrgen%2B1%40example.com" ..
        "&password=a%2Bb%26c%3Dd%25%C3%A9+%22x%22&scope=a+b%26c", body)
      local fields, order = helper.form(body)
      assert.equal(HARD, fields.password)
      assert.equal("jürgen+1@example.com", fields.username)
      assert.equal("a b&c", fields.scope)
      assert.same({ "grant_type", "username", "password", "scope" }, order)
    end)

    it("with any byte a password may have", function()
      local password = {}
      for i = 1, 255 do password[i] = string.char(i) end
      password = table.concat(password)
      new({ password = password })
      fails("auth", client:login())
      local body = sim:log()[1].body
      assert.is_nil(body:find("[^%w&=+%%._~-]"))
      assert.equal(password, helper.form(body).password)
    end)

    it("with the Basic value of key and secret, or the ready one", function()
      local cases = {
        { { api_key = "k", api_secret = "s:ö+/" }, "k:s:ö+/" },
        { { api_key = "key", api_secret = ("s"):rep(3000) }, "key:" .. ("s"):rep(3000) },
        { { basic = bmwi.base64.encode("one:two") }, "one:two" },
      }
      for _, case in ipairs(cases) do
        local options = helper.client(sim)
        options.api_key, options.api_secret = nil, nil
        for name, value in pairs(case[1]) do options[name] = value end
        client = bmwi.new(options)
        client:login()
        local log = sim:log()
        local basic = log[#log].headers.authorization
        assert.equal("Basic " .. bmwi.base64.encode(case[2]), basic)
        client:close()
      end
    end)

    it("at another path or at another server", function()
      assert.is_true(new({ token_path = "/gcdm/oauth/token" }):login())
      assert.equal("/gcdm/oauth/token", sim:log()[1].path)
      local url = "http://localhost:" .. sim.port .. "/gcdm/oauth/token/"
      assert.is_true(new({ token_url = url }):login())
      local log = sim:log()
      assert.equal("/gcdm/oauth/token/", log[2].path)
      assert.equal("localhost:" .. sim.port, log[2].headers.host)
      assert.is_table(client:vehicles())
      log = sim:log()
      assert.equal("127.0.0.1:" .. sim.port, log[3].headers.host)
    end)

    it("by login(), which does nothing while a token is valid", function()
      assert.is_true(new():login())
      assert.is_true(client:login())
      assert.same({ "password 200" }, story())
    end)

    it("again immediately if the server is busy, but not for long", function()
      sim:fault({ path = TOKEN, status = 503 })
      assert.is_table(new({ retries = 1 }):vehicles())
      assert.same({ "password 503", "password 200", "GET 200" }, story())
      sim:fault({ path = TOKEN, status = 503, times = 0 })
      fails("server", new({ retries = 1 }):vehicles())
      assert.equal(5, #sim:log())
    end)
  end)

  describe("is renewed", function()
    it("with the refresh grant, and the refresh token rotates (traps 5 and 6)", function()
      new():vehicles()
      local first = client:token()
      sim:token({ expire = true })
      assert.is_table(client:vehicles())
      local second = client:token()
      sim:token({ expire = true })
      assert.is_table(client:vehicles())
      local third = client:token()
      assert.same({ "password 200", "GET 200", "GET 401", "refresh 200", "GET 200", "GET 401",
        "refresh 200", "GET 200" }, story())
      local log = sim:log()
      assert.equal(REFRESH .. first.refresh_token, log[4].body)
      assert.equal(TOKEN, log[4].path)
      assert.equal("Basic a2V5OnNlY3JldA==", log[4].headers.authorization)
      assert.equal("Bearer " .. second.access_token, log[5].headers.authorization)
      assert.equal(REFRESH .. second.refresh_token, log[7].body)
      assert.not_equal(second.refresh_token, third.refresh_token)
      assert.not_equal(second.access_token, third.access_token)
    end)

    it("with the password once the refresh token is refused", function()
      new():vehicles()
      sim:token({ expire = true, revoke_refresh = true })
      assert.is_table(client:vehicles())
      assert.same({ "password 200", "GET 200", "GET 401", "refresh 400", "password 200",
        "GET 200" }, story())
      assert.equal(LOG_IN, sim:log()[5].body)
    end)

    it("with the password when there is no refresh token", function()
      sim:token({ no_refresh_token = true })
      new():vehicles()
      assert.is_nil(client:token().refresh_token)
      sim:token({ expire = true })
      assert.is_table(client:vehicles())
      assert.same({ "password 200", "GET 200", "GET 401", "password 200", "GET 200" }, story())
    end)

    it("with the old refresh token if the response brought no new one", function()
      new():vehicles()
      local first = client:token()
      sim:token({ expire = true })
      answer_token('{"access_token":"' .. ("x"):rep(32) .. '","expires_in":3600}')
      fails("auth", client:vehicles()) -- the simulator does not know that token
      assert.equal(first.refresh_token, client:token().refresh_token)
    end)

    it("with a refresh token percent-encoded, whatever characters it has", function()
      new({ token = { access_token = "a", refresh_token = "r/+=&%41", expires_at = 1 } })
      client:login()
      assert.equal(REFRESH .. "r%2F%2B%3D%26%2541", sim:log()[1].body)
      assert.equal(32, #client:token().access_token)
    end)

    it("and not discarded because of a server failure", function()
      new({ retries = 0 }):vehicles()
      local refresh = client:token().refresh_token
      sim:token({ expire = true })
      sim:fault({ path = TOKEN, status = 503 })
      fails("server", client:vehicles())
      assert.is_table(client:vehicles())
      assert.same({ "password 200", "GET 200", "GET 401", "refresh 503", "refresh 200",
        "GET 200" }, story())
      assert.equal(REFRESH .. refresh, sim:log()[5].body)
    end)

    it("early enough, before the server refuses it (trap 5) #slow", function()
      sim:token({ expires_in = 1 })
      new():vehicles()
      bmwi.sleep(0.93)
      assert.is_table(client:vehicles())
      assert.same({ "password 200", "GET 200", "refresh 200", "GET 200" }, story())
    end)

    it("early enough on a machine that was suspended, as only the wall clock shows", function()
      local weather = helper.weather()
      if not weather then return pending("no compiler") end -- luacheck: ignore
      local clock = os.tmpname()
      finally(function() os.remove(clock) end)
      local said = helper.program(([[
        local bmwi = require("bmwi")
        local client = bmwi.new({ base_url = %q, username = "whatever@example.com",
          password = "p4ssw0rd", api_key = "key", api_secret = "secret" })
        assert(client:vehicles())
        local before = os.time()
        local file = assert(io.open(%q, "w"))
        file:write(9 * 3600)
        file:close()
        assert(client:vehicles())
        io.write(os.time() - before > 3600 and "slept" or "awake")]]):format(sim.url, clock),
        weather .. " BMWI_CLOCK=" .. clock)
      if said == "awake" then
        return pending("the interpreter brings a preloaded library of its own") -- luacheck: ignore
      end
      assert.equal("slept", said)
      assert.same({ "password 200", "GET 200", "refresh 200", "GET 200" }, story())
    end)

    it("early enough for a saved one as well", function()
      new():login()
      local token = client:token()
      token.expires_at = os.time() - 1
      new({ token = token })
      assert.is_table(client:vehicles())
      assert.same({ "password 200", "refresh 200", "GET 200" }, story())
    end)
  end)

  it("is a Bearer token if the response does not say", function()
    answer_token('{"access_token":"abc","expires_in":3600}')
    assert.is_true(new():login())
    assert.equal("Bearer", client:token().token_type)
  end)

  describe("lives", function()
    local function life(answer)
      answer_token('{"access_token":"abc"' .. answer .. "}")
      assert.is_true(new():login())
      local at = client:token().expires_at
      return at and at - os.time()
    end

    it("as long as expires_in says, never a fixed eight hours (trap 5)", function()
      assert.is_true(math.abs(life(',"expires_in":3599') - 3599) <= 60)
      assert.is_true(math.abs(life(',"expires_in":28800') - 28800) <= 60)
    end)

    it("as long as expires_in says as a string #slow", function()
      assert.is_true(math.abs(life(',"expires_in":"3599"') - 3599) <= 60)
      answer_token('{"access_token":"abc","refresh_token":"r","expires_in":"0.3"}')
      assert.is_true(new():login())
      bmwi.sleep(0.28)
      assert.is_true(client:login())
      assert.same({ "password 200", "refresh 400", "password 200" }, -- "r" is not known there
        last_of(story(), 3))
    end)

    it("until it is refused when expires_in is missing or makes no sense", function()
      for _, answer in ipairs({ "", ',"expires_in":null', ',"expires_in":"soon"',
        ',"expires_in":true', ',"expires_in":{}' }) do
        assert.is_nil(life(answer), answer)
        assert.is_true(client:login())
      end
      assert.equal(5, #sim:log())
    end)

    it("for a minute if it is to expire immediately, so that not each read logs in", function()
      for _, seconds in ipairs({ "0", "-5", '"0"' }) do
        answer_token('{"access_token":"abc","refresh_token":"r","expires_in":' .. seconds .. "}")
        new()
        for _ = 1, 3 do assert.is_true(client:login()) end
        local left = client:token().expires_at - os.time()
        -- os.time() can be some milliseconds behind, and so a second.
        assert.is_true(left > 50 and left <= 61, left)
      end
      assert.equal(3, #sim:log())
    end)

    it("for a minute even if it has really expired: the next one would too", function()
      sim:token({ expires_in = 0 })
      new()
      for _ = 1, 5 do fails("auth", client:vehicles()) end
      fails("auth", client:vehicle(VIN):status())
      assert.equal(1, sim:count("POST", TOKEN))
    end)

    it("until a whole number of seconds since 1970, if that is a plausible time", function()
      new():login()
      local at = client:token().expires_at
      assert.equal(math.floor(at), at)
      local math_type = rawget(math, "type")
      if math_type then assert.equal("integer", math_type(at)) end
      for _, number in ipairs({ "1e300", "1e25", '"1e300"' }) do
        local seconds = life(',"expires_in":' .. number)
        assert.is_true(seconds == nil or seconds > 0, number)
        local again = client:token()
        assert.is_true(new({ token = again }):login(), number)
        assert.equal("abc", client:token().access_token)
      end
      assert.equal(4, #sim:log())
    end)
  end)

  describe("serves many coroutines", function()
    local function ask_all(n)
      local list = {}
      for i = 1, n do list[i] = i end
      local results, errors = async.map(list, function() return client:vehicles() end)
      assert.same({}, errors)
      for i = 1, n do assert.equal(VIN, results[i][1].vin) end
    end

    it("after one log-in", function()
      sim:fault({ path = TOKEN, latency = 0.1 })
      new()
      ask_all(20)
      assert.equal(1, sim:count("POST", TOKEN))
      assert.equal(20, sim:count("GET"))
    end)

    it("and one renewal when all are refused", function()
      new():login()
      sim:token({ expire = true })
      sim:fault({ path = TOKEN, latency = 0.1 })
      ask_all(20)
      assert.equal(2, sim:count("POST", TOKEN))
      assert.equal(1, sim:count("POST", "refresh") + sim:count("POST", TOKEN) - 1)
    end)

    it("and not again for a 401 that arrives after the renewal", function()
      new():login()
      sim:token({ expire = true })
      sim:fault({ path = "/status", latency = 0.5 })
      local car = client:vehicle(VIN)
      local late, prompt = async.run(function() return car:status() end,
        function() return client:vehicles() end)
      assert.is_table(late)
      assert.is_table(prompt)
      assert.same({ 2, 4 }, { sim:count("POST", TOKEN), sim:count("GET") })
    end)

    it("that all get the error of a single refused log-in", function()
      sim:fault({ path = TOKEN, latency = 0.1, recorded = "authn_circuit", times = 0 })
      new()
      local _, errors = async.map({ 1, 2, 3, 4, 5 }, function() return client:vehicles() end)
      for i = 1, 5 do assert.equal("auth", errors[i].code) end
      assert.equal(1, #sim:log())
    end)
  end)

  describe("has a scope", function()
    it("that is compared with the one asked for", function()
      sim:token({ scope = "journey_mate" })
      local message = fails("auth", new():vehicles())
      assert.truthy(message:find("journey_mate", 1, true))
      assert.truthy(message:find("remote_services", 1, true))
      assert.same({ "password 200" }, story())
      assert.is_nil(client:token())
    end)

    it("that may be in another order, be larger or be absent", function()
      for _, scope in ipairs({ ',"scope":"vehicle_data remote_services"',
        ',"scope":"x vehicle_data y remote_services"', "", ',"scope":null' }) do
        answer_token('{"access_token":"abc"' .. scope .. "}")
        assert.is_true(new():login(), scope)
      end
      for _, scope in ipairs({ "vehicle_data", "vehicle_data remote_servicess",
        "vehicle_data,remote_services", "" }) do
        answer_token('{"access_token":"abc","scope":"' .. scope .. '"}')
        fails("auth", new():login())
      end
    end)

    it("that may be a smaller one when it is renewed (RFC 6749 section 6)", function()
      new({ token = { access_token = "old", refresh_token = "r", expires_at = os.time() - 10 } })
      answer_token('{"access_token":"abc","scope":"vehicle_data"}')
      assert.is_true(client:login())
      assert.equal("abc", client:token().access_token)
      assert.same({ "refresh 200" }, story())
    end)

    it("of the caller's choice", function()
      assert.is_true(new({ scope = "authenticate_user vehicle_data remote_services" }):login())
      assert.matches("&scope=authenticate_user%+vehicle_data%+remote_services$", sim:log()[1].body)
      fails("auth", new({ scope = "nothing" }):login())
    end)
  end)

  describe("that was saved", function()
    it("is used without a log-in", function()
      new():login()
      local token = client:token()
      assert.equal("Bearer", token.token_type)
      assert.equal("vehicle_data remote_services", token.scope)
      assert.equal(48, #token.refresh_token)
      assert.is_true(token.expires_at > os.time() + 28000)
      new({ token = token })
      assert.same(token, client:token())
      assert.is_table(client:vehicles())
      assert.same({ "password 200", "GET 200" }, story())
    end)

    it("is enough without any secret, until it can no longer be renewed", function()
      new():login()
      local token = client:token()
      local options = { base_url = sim.url, token = token }
      client:close()
      client = bmwi.new(options)
      assert.is_table(client:vehicles())
      sim:token({ expire = true })
      local message = fails("auth", client:vehicles())
      assert.truthy(message:find("username", 1, true), message)
      assert.equal(1, sim:count("POST", TOKEN))
    end)

    it("is renewed without a password while there are key and refresh token", function()
      new():login()
      local options = helper.client(sim, { token = client:token() })
      options.username, options.password = nil, nil
      client:close()
      client = bmwi.new(options)
      sim:token({ expire = true })
      assert.is_table(client:vehicles())
      sim:token({ expire = true, revoke_refresh = true })
      fails("auth", client:vehicles())
      assert.same({ "password 200", "GET 401", "refresh 200", "GET 200", "GET 401",
        "refresh 400" }, story())
    end)

    it("is not the caller's own table", function()
      new():login()
      local token = client:token()
      local access = token.access_token
      assert.equal(32, #access)
      token.access_token = "changed"
      assert.equal(access, client:token().access_token)
    end)

    it("must be a valid token table", function()
      for _, token in ipairs({ {}, { access_token = 1 }, { access_token = "" },
        { access_token = "a\r\nX: y" }, { access_token = "a b" }, { access_token = "a\0" },
        { access_token = "a", refresh_token = {} } }) do
        assert.has_error(function() new({ token = token }) end)
      end
    end)

    it("is passed to on_token each time, and only if it is new", function()
      local told = {}
      new({ on_token = function(token) told[#told + 1] = token end })
      client:vehicles()
      client:vehicles()
      assert.equal(1, #told)
      assert.same(client:token(), told[1])
      sim:token({ expire = true })
      client:vehicles()
      assert.equal(2, #told)
      assert.same(client:token(), told[2])
      sim:token({ scope = "journey_mate", expire = true, revoke_refresh = true })
      fails("auth", client:vehicles())
      assert.equal(2, #told)
      sim:reset()
      local saved = told[2]
      new({ token = saved, on_token = function(token) told[#told + 1] = token end })
      assert.equal(2, #told)
      assert.is_table(client:vehicles())
      assert.equal(3, #told)
    end)

    it("is passed to on_token before the call continues; it may use the client", function()
      local inside
      new({ on_token = function() inside = client:token().access_token end })
      client:vehicles()
      assert.equal(32, #inside)
      assert.equal(client:token().access_token, inside)
    end)

    it("survives an error in on_token, which is raised", function()
      local bad = true
      new({ on_token = function() if bad then error("disk full") end end })
      local ok, message = pcall(client.vehicles, client)
      assert.is_false(ok)
      assert.truthy(message:find("disk full", 1, true))
      bad = false
      assert.is_table(client:vehicles())
      assert.equal(1, sim:count("POST", TOKEN))
    end)

    it("may be passed to an on_token that closes the client", function()
      new({ on_token = function() client:close() end })
      fails("closed", client:vehicles())
    end)
  end)

  it("is not available from a closed client", function()
    new():login()
    client:close()
    local n = #sim:log()
    assert.has_error(function() client:login() end, "attempt to use a closed client")
    assert.has_error(function() client:token() end, "attempt to use a closed client")
    assert.has_error(function() client:vehicles() end, "attempt to use a closed client")
    assert.equal(n, #sim:log())
  end)

  it("is requested from the list's own server, with no doubled slash", function()
    client = bmwi.new(helper.client(sim, { base_url = sim.url .. "/" }))
    assert.is_table(client:vehicles())
    local log = sim:log()
    assert.equal(TOKEN, log[1].path)
    assert.equal(LIST, log[2].path)
  end)
end)
