--- Refusals: of the log-in, of the token, and of one resource; a gateway's response is not a
--- refusal. The requests are read from the simulator's log.
local helper = require("spec.helper")
local login = require("spec.login_helper")
local async = require("bmwi.async")
local bmwi = require("bmwi")

local VIN = helper.vin
local TOKEN = login.TOKEN
local story, answer_token, fails = login.story, login.answer_token, login.fails
local REFRESH = "grant_type=refresh_token&refresh_token="

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

  describe("that is refused with 401", function()
    for _, name in ipairs({ "invalid_token", "empty_401" }) do
      it("is renewed once, then it is an error, never a loop (" .. name .. ")", function()
        sim:fault({ path = "/vehicles", recorded = name, times = 0 })
        local _, info = fails("auth", new():vehicles())
        assert.equal(401, info.status)
        assert.same({ "password 200", "GET 401", "refresh 200", "GET 401" }, story())
        for _ = 1, 3 do fails("auth", client:vehicles()) end
        assert.equal(2, sim:count("POST", TOKEN))
        sim:no_faults()
        assert.is_table(client:vehicles())
        assert.equal(2, sim:count("POST", TOKEN))
      end)
    end

    it("is renewed for a command too, which is then sent again once", function()
      new():login()
      sim:token({ expire = true })
      assert.equal("INITIATED", client:vehicle(VIN):lock_doors().status)
      assert.same({ "password 200", "POST 401", "refresh 200", "POST 200" }, story())
      assert.equal(1, sim:car().posts.DOOR_LOCK)
    end)

    it("is not renewed twice for one call, even if it has changed meanwhile", function()
      new():login()
      sim:fault({ path = "/status", recorded = "invalid_token" })
      sim:fault({ path = "/status", recorded = "invalid_token", latency = 0.8 })
      local code
      async.run(function() code = select(3, client:vehicle(VIN):status()) end, function()
        repeat bmwi.sleep(0.01) until sim:count("GET", "/status") == 2
        sim:token({ expire = true })
        assert.is_table(client:vehicles())
      end)
      assert.equal("auth", code)
      assert.same({ 3, 2 }, { sim:count("POST", TOKEN), sim:count("GET", "/status") })
    end)
  end)

  describe("that one resource always refuses", function()
    local SECOND = "WAB1C23456V123457"

    it("is renewed once for it, while the others are read", function()
      sim:fault({ path = "/navigation/", recorded = "invalid_token", times = 0 })
      local car = new():vehicle(VIN)
      for _ = 1, 10 do
        assert.is_table(car:status())
        local _, info = fails("auth", car:navigation())
        assert.is_nil(info.hint:lower():find("log.?in"), info.hint)
        assert.is_nil(info.hint:find("password", 1, true), info.hint)
      end
      assert.same({ 2, 11 }, { sim:count("POST", TOKEN), sim:count("GET", "/navigation/") })
    end)

    it("is renewed once for each of several, not in turns", function()
      sim:fault({ path = "/navigation/", recorded = "invalid_token", times = 0 })
      sim:fault({ path = "/destinations", recorded = "empty_401", times = 0 })
      local car = new():vehicle(VIN)
      for _ = 1, 5 do
        assert.is_table(car:status())
        fails("auth", car:navigation())
        fails("auth", car:destinations())
      end
      assert.equal(3, sim:count("POST", TOKEN))
    end)

    it("costs one log-in where there is no refresh token", function()
      sim:token({ no_refresh_token = true })
      sim:fault({ path = SECOND .. "/status", recorded = "empty_401", times = 0 })
      local car, other = new():vehicle(VIN), client:vehicle(SECOND)
      for _ = 1, 5 do
        assert.is_table(car:status())
        fails("auth", other:status())
      end
      assert.equal(2, sim:count("POST", TOKEN))
    end)

    it("is renewed for it again once replaced for another reason", function()
      sim:fault({ path = "/navigation/", recorded = "invalid_token", times = 0 })
      local car = new():vehicle(VIN)
      assert.is_table(car:status())
      fails("auth", car:navigation())
      sim:token({ expire = true }) -- a resource that works has it renewed
      assert.is_table(car:status())
      fails("auth", car:navigation())
      assert.equal(3, sim:count("POST", TOKEN))
      sim:no_faults()
      assert.is_table(car:navigation()) -- and it is as good as any other from here on
      sim:token({ expire = true })
      assert.is_table(car:navigation())
      assert.equal(4, sim:count("POST", TOKEN))
    end)
  end)

  describe("whose renewal meets a gateway", function()
    local QUOTA = '{"statusCode":403,"message":"Out of call volume quota."}'

    -- fault of the token endpoint -> the code it ends with
    local GATEWAYS = {
      { "403", { status = 403, body = QUOTA }, "forbidden" },
      { "403 with a page", { status = 403, body = "<html>" }, "forbidden" },
      { "403 with the name of the status", { status = 403, body = '{"error":"Forbidden"}' },
        "forbidden" },
      { "429", { status = 429, body = QUOTA }, "rate_limited" },
      { "503", { status = 503, body = "busy" }, "server" },
      { "503 with an OAuth error that passes",
        { status = 503, body = '{"error":"temporarily_unavailable"}' }, "server" },
      { "500 with another", { status = 500, body = '{"error":"server_error"}' }, "server" },
      { "429 with another", { status = 429, body = '{"error":"slow_down"}' }, "rate_limited" },
      { "408", { status = 408 }, "http" },
      { "302", { status = 302, headers = { Location = "/sorry" } }, "http" },
      { "404", { status = 404, body = '{"message":"no route"}' }, "not_found" },
    }
    for _, row in ipairs(GATEWAYS) do
      it("keeps its refresh token, and no password is sent: " .. row[1], function()
        assert.is_true(new({ retries = 0 }):login())
        local token = client:token()
        token.expires_at = os.time() - 10
        local rule = { path = TOKEN, times = 0 }
        for name, value in pairs(row[2]) do rule[name] = value end
        sim:fault(rule)
        sim:clear()
        new({ token = token, retries = 0 })
        for _ = 1, 3 do
          local message = fails(row[3], client:vehicles())
          assert.equal("log-in failed: HTTP " .. row[2].status, message:match("^[^:]*: HTTP %d+"))
        end
        for _, request in ipairs(sim:log()) do
          assert.equal(REFRESH .. token.refresh_token, request.body)
        end
        assert.equal(token.refresh_token, client:token().refresh_token)
        sim:no_faults()
        assert.is_true(client:login())
        assert.is_table(client:vehicles())
      end)
    end

    it("keeps its refresh token if the response is empty, and recovers by itself", function()
      assert.is_true(new():login())
      for _, status in ipairs({ 200, 204 }) do
        sim:token({ expire = true })
        sim:clear()
        answer_token("", 1, status)
        fails("json", client:vehicles())
        assert.is_table(client:vehicles())
        assert.same({ "GET 401", "refresh " .. status, "refresh 200", "GET 200" }, story())
      end
    end)

    it("recovers by itself when the quota is reset", function()
      assert.is_true(new():login())
      sim:token({ expire = true })
      sim:fault({ path = TOKEN, status = 403, body = QUOTA })
      fails("forbidden", client:vehicles())
      assert.is_table(client:vehicles())
      assert.same({ "password 200", "GET 401", "refresh 403", "refresh 200", "GET 200" }, story())
    end)
  end)

  describe("that is refused at log-in", function()
    it("is not requested again automatically, only by login()", function()
      new({ password = "wrong" })
      for _ = 1, 3 do fails("auth", client:vehicles()) end
      fails("auth", client:vehicle(VIN):lock_doors())
      assert.equal(1, #sim:log())
      fails("auth", client:login())
      fails("auth", client:vehicles())
      assert.equal(2, #sim:log())
    end)

    it("can be obtained by login() later", function()
      sim:fault({ path = TOKEN, recorded = "client_disabled" })
      new()
      fails("auth", client:vehicles())
      assert.is_true(client:login())
      assert.is_table(client:vehicles())
      assert.same({ "password 401", "password 200", "GET 200" }, story())
    end)

    -- recorded error -> HTTP status, the service's words, the required advice
    local REFUSALS = {
      authn_circuit = { 400, "invalid_grant: the authN circuit failed", "password" },
      authentication_failed = { 400, "invalid_grant: authentication failed", "password" },
      invalid_scope = { 400, "invalid_scope: The requested scope is invalid", "`scope`" },
      invalid_client = { 401, "invalid_client: Client authentication failed", "api_key" },
      client_disabled = { 401, "client disabled: provided clients are disabled", "api_key" },
      invalid_request = { 400, "invalid_request: The request is missing a required parameter",
        "password" },
    }
    for name, refusal in pairs(REFUSALS) do
      it("reports why: " .. name, function()
        sim:fault({ path = TOKEN, recorded = name, times = 0 })
        local message, info = fails("auth", new():vehicles())
        assert.equal(refusal[1], info.status)
        assert.equal(refusal[2], info.description:sub(1, #refusal[2]))
        assert.is_false(info.retryable)
        assert.equal(("log-in failed: HTTP %d: %s"):format(info.status, info.description), message)
        assert.truthy(info.hint:find(refusal[3], 1, true), info.hint)
        assert.equal(1, #sim:log())
      end)
    end

    it("is distinguished from an empty response, as to a missing Basic value", function()
      for _, status in ipairs({ 200, 204 }) do
        answer_token("", 1, status)
        local message, info = fails("json", new():login())
        assert.equal("log-in failed: the response to the log-in is empty", message)
        assert.truthy(info.hint:find("api_key", 1, true), info.hint)
        assert.is_false(info.retryable)
      end
    end)

    -- Forms of a refusal, and their codes: the password is sent once.
    local ONCE = {
      { "an OAuth error with 423", { status = 423, body = '{"error":"account_locked",'
        .. '"error_description":"Account is locked"}' }, "auth" },
      { "an OAuth error with 200", { raw = '{"error":"invalid_grant","error_description":'
        .. '"authentication failed"}' }, "auth" },
      { "an OAuth error with 403", { status = 403, body = '{"error":"access_denied"}' }, "auth" },
      { "an OAuth error with 429", { status = 429, body = '{"error":"too_many_attempts"}' },
        "auth" },
      { "an OAuth error with 503", { status = 503, body = '{"error":"invalid_grant"}' }, "auth" },
      { "a redirect", { status = 302, headers = { Location = "https://login.example.com/" } },
        "http" },
      { "404", { status = 404 }, "not_found" },
      { "405", { status = 405 }, "http" },
      { "410", { recorded = "gone" }, "gone" },
      { "429 with a time", { status = 429, headers = { ["Retry-After"] = "3600" } },
        "rate_limited" },
      { "429", { recorded = "too_many" }, "rate_limited" },
      { "503 with a time", { status = 503, headers = { ["Retry-After"] = "3600" } }, "server" },
      { "403", { status = 403 }, "forbidden" },
      { "a page", { raw = "<html>Welcome</html>" }, "json" },
    }
    for _, row in ipairs(ONCE) do
      it("costs one log-in, not one for each call: " .. row[1], function()
        local rule = { path = TOKEN, times = 0 }
        for name, value in pairs(row[2]) do rule[name] = value end
        sim:fault(rule)
        local car = new():vehicle(VIN)
        local first, info = fails(row[3], car:status())
        assert.is_nil(info.refused_at)
        for _ = 1, 4 do
          local again, told = fails(row[3], car:status())
          assert.equal(first, again)
          assert.is_true(math.abs(told.refused_at - os.time()) < 60)
          assert.truthy(told.hint:find("client:login()", 1, true), told.hint)
        end
        fails(row[3], car:lock_doors())
        assert.equal(1, #sim:log())
        sim:no_faults()
        assert.is_true(client:login())
        assert.is_table(car:status())
      end)
    end

    it("is retried after Retry-After if there is one", function()
      sim:fault({ path = TOKEN, status = 429, headers = { ["Retry-After"] = "2" } })
      new({ retries = 0 })
      fails("rate_limited", client:vehicles())
      local _, info = fails("rate_limited", client:vehicles())
      assert.is_true(info.retry_after > 0 and info.retry_after <= 2)
      bmwi.sleep(info.retry_after)
      assert.is_table(client:vehicles())
      assert.same({ "password 429", "password 200", "GET 200" }, story())
    end)

    it("is not retried for some minutes without Retry-After", function()
      sim:fault({ path = TOKEN, recorded = "too_many" })
      fails("rate_limited", new():vehicles())
      local _, info = fails("rate_limited", client:vehicles())
      assert.is_true(info.retry_after > 60 and info.retry_after <= 600)
    end)

    it("is not retried for a minute if the server is no token endpoint", function()
      for _, rule in ipairs({ { status = 403 }, { raw = "<html>Welcome</html>" }, { raw = "" } }) do
        rule.path = TOKEN
        sim:fault(rule)
        local code = select(3, new():vehicles())
        local _, info = fails(code, client:vehicles())
        assert.is_true(info.retry_after > 30 and info.retry_after <= 60, info.retry_after)
      end
      assert.equal(3, #sim:log())
    end)

    it("says where a redirect points to, without its secrets", function()
      sim:fault({ path = TOKEN, status = 302, times = 0,
        headers = { Location = "https://me:pw@login.example.com/a?ticket=s3cret#x" } })
      local message, info = fails("http", new():vehicles())
      assert.equal("https://login.example.com/a", info.location)
      assert.truthy(message:find("https://login.example.com/a", 1, true), message)
      for _, text in ipairs({ message, info.hint, info.location }) do
        assert.is_nil(text:find("s3cret", 1, true), text)
        assert.is_nil(text:find("me:pw", 1, true), text)
      end
    end)

    it("reports why: too many log-ins, without adding to them (traps 5 and 17)", function()
      sim:fault({ path = TOKEN, recorded = "too_many", times = 0 })
      local _, info = fails("rate_limited", new():vehicles())
      assert.equal(429, info.status)
      assert.is_true(info.retryable)
      assert.equal(1, #sim:log())
    end)

    it("reports why: the end of the service", function()
      sim:fault({ path = TOKEN, recorded = "gone" })
      local _, info = fails("gone", new():login())
      assert.truthy(info.hint:find("2021-11-09", 1, true))
    end)

    it("reports why: a web page with 200, no token, or one that fits no header", function()
      local answers = { "<html>Welcome</html>", "[]", "null", "42", '"x"', "{}",
        '{"access_token":1}', '{"access_token":""}', '{"access_token":null}',
        '{"access_token":"a\\r\\nX: y"}', '{"access_token":"a b"}',
        '{"access_token":"a\\u0000b"}', '{"access_token":"é"}',
        '{"access_token":["a"]}', '{"access_token":"a","refresh_token":7}', "{" }
      new()
      for _, answer in ipairs(answers) do
        answer_token(answer)
        fails("json", client:login())
      end
      assert.is_nil(client:token())
      assert.equal(#answers, #sim:log())
    end)

    it("reports why: no response", function()
      new({ retries = 0 })
      for _, reset in ipairs({ "before", "during" }) do
        sim:fault({ path = TOKEN, reset = reset })
        fails("network", client:login())
      end
      sim:fault({ path = TOKEN, latency = 5 })
      client:close()
      fails("timeout", new({ retries = 0, timeout = 0.2 }):login())
    end)

    it("reveals nothing of the request, whatever the server echoes (trap 20)", function()
      local key, secret_of_key = "k3yk3yk3y", "s3cr3ts3cr3t"
      new({ api_key = key, api_secret = secret_of_key })
      local secrets = { "p4ssw0rd", key, secret_of_key,
        bmwi.base64.encode(key .. ":" .. secret_of_key) }
      for _, secret in ipairs(secrets) do
        -- At the end of a long text not even a part of it may be shown.
        for _, filler in ipairs({ 0, 300, 310, 314 }) do
          answer_token('{"error":"x","error_description":"' .. ("."):rep(filler) .. secret .. '"}',
            1, 400)
          local _, message, _, info = client:login()
          for cut = 3, #secret do
            local part = secret:sub(1, cut)
            assert.is_nil(info.description:find(part, 1, true), info.description)
            assert.is_nil(message:find(part, 1, true), message)
          end
        end
      end
    end)

    it("does not let the server write to the terminal", function()
      answer_token('{"error":"a\\u001b[31m\\nb","error_description":"c\\rd\\u007f"}', 1, 400)
      local _, message, _, info = new():login()
      assert.is_nil(message:find("%c"))
      assert.is_nil(info.description:find("%c"))
    end)
  end)
end)
