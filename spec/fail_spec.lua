--- fail.c: what a failure reports, for each error body that the real service was seen to send, and
--- that no failure reveals a secret.
local helper = require("spec.helper")
local bmwi = require("bmwi")
local has = helper.has

local sim

local function client(overrides)
  local options = { retries = 0, timeout = 10 }
  for name, value in pairs(overrides or {}) do options[name] = value end
  return bmwi.new(helper.client(sim, options))
end

-- The four values of a failure, checked for what all failures have in common.
local function failed(value, message, code, info)
  assert.is_nil(value)
  assert.is_string(message)
  assert.is_string(code)
  assert.is_table(info)
  assert.is_boolean(info.retryable)
  assert.is_nil(message:find("[%c]"), message)
  return message, code, info
end

local calls = {
  status = function(car) return car:status() end,
  execution = function(car) return car:execution("DOOR_LOCK") end,
  image = function(car) return car:image() end,
  navigation = function(car) return car:navigation() end,
  unlock = function(car) return car:unlock_doors({ secret = "Rex" }) end,
  climate = function(car) return car:climate_now() end,
  profile = function(car) return car:execute("CHARGING_CONTROL") end,
  poi = function(car) return car:send_poi({ lat = 51.5, lon = -0.1, name = "x" }) end,
}

local paths = {
  status = "/status", execution = "/serviceExecutionStatus", image = "/image",
  navigation = "/navigation/", unlock = "/executeService", climate = "/executeService",
  profile = "/executeService", poi = "/sendpoi",
}

-- Observed error bodies, or only the status if no body is known. call, fault, code, status,
-- retryable, api_code, part of the description, part of the hint
local answers = {
  { "status", { recorded = "dlat_missing" }, "http", 400, false, "A-101",
    "dlat and dlon are required", "position" },
  { "status", { recorded = "no_status" }, "not_found", 404, false, "A-2012",
    "No status available", "region" },
  { "image", { recorded = "no_image" }, "not_found", 404, false, "A-2012", "No image available",
    "of this view" },
  { "unlock", { recorded = "secret_missing" }, "forbidden", 403, false, "A-2013",
    "secretKnowledge is missing", "secret =" },
  { "climate", { recorded = "service_forbidden" }, "forbidden", 403, false, "A-2013",
    "not allowed to use the service CLIMATE_NOW", "is not enabled for this car" },
  { "execution", { recorded = "server_panic" }, "server", 500, true, "I-300", "server panic",
    "try again later" },
  { "profile", { recorded = "bad_profile" }, "http", 400, false, "A-102",
    "expected weeklyPlanner or twoTimesTimer" },
  { "poi", { recorded = "poi_invalid" }, "http", 400, false, "A-102", "'data' is not valid" },
  { "status", { recorded = "invalid_token" }, "auth", 401, false, nil,
    "The access token provided is expired", "scope" },
  { "status", { recorded = "empty_401" }, "auth", 401, false, nil, nil, "a new token was refused" },
  { "status", { recorded = "too_many" }, "rate_limited", 429, true, nil, nil, "wait" },
  { "climate", { recorded = "too_many" }, "rate_limited", 429, nil, nil, nil, "wait" },
  { "status", { recorded = "gone" }, "gone", 410, false, nil, nil, "switched off" },
  { "climate", { recorded = "gone" }, "gone", 410, false, nil, nil, "switched off" },
  { "status", { recorded = "shape_c" }, "not_found", 404, false },
  { "status", { recorded = "plain_500" }, "server", 500, true, nil, "Error", "try again later" },
  { "status", { status = 400 }, "http", 400, false },
  { "navigation", { status = 403 }, "forbidden", 403, false },
  { "status", { status = 405, body = "\1\2" }, "http", 405, false },
  { "status", { status = 408 }, "http", 408, true },
  { "status", { status = 423 }, "http", 423, false },
  { "execution", { status = 502 }, "server", 502, true },
  { "status", { status = 503 }, "server", 503, true },
  { "status", { status = 504, body = "<html>" }, "server", 504, true },
  -- The body's code is more specific than the status, which is 500 for everything.
  { "climate", { status = 500, body = '{"error":{"code":500,"description":'
    .. '"(SmartPhoneUtil-A-2013) Action is forbidden."}}' }, "forbidden", 500, false, "A-2013" },
  { "status", { status = 500, body = '{"error":{"code":500,"description":'
    .. '"(SmartPhoneUtil-A-2012) Ressource not found."}}' }, "not_found", 500, false, "A-2012" },
  { "status", { status = 500, body = '{"error":{"code":500,"description":'
    .. '"(SmartPhoneUtil-A-101) Mandatory parameter(s) missed"}}' }, "http", 500, false, "A-101" },
  -- Bodies that only look like one of the shapes.
  { "status", { status = 500, body = '{"error":true}' }, "server", 500, true },
  { "status", { status = 500, body = '{"error":{"description":17}}' }, "server", 500, true },
  { "status", { status = 500, body = '{"error":{}}' }, "server", 500, true },
  { "status", { status = 500, body = '["error"]' }, "server", 500, true },
  { "status", { status = 500, body = "null" }, "server", 500, true },
  { "status", { status = 500, body = '{"error":"' }, "server", 500, true },
  { "status", { status = 400, body = '{"error":"offline"}' }, "http", 400, false, nil, "offline" },
  -- Words of gateways and other servers, which are more specific than general advice.
  { "status", { status = 403, body = '{"statusCode":403,"message":"Out of call volume quota. '
    .. 'Quota will be replenished in 00:28:11."}' }, "forbidden", 403, false, nil,
    "Out of call volume quota. Quota will be replenished in 00:28:11.", false },
  { "status", { status = 403, body = '{"logErrorId":"x","errorMessage":"Your account has been '
    .. 'locked, please reset your password."}' }, "forbidden", 403, false, nil,
    "Your account has been locked, please reset your password.", false },
  { "status", { status = 400, body = '{"error":{"code":400,"message":"missing x"}}' }, "http", 400,
    false, nil, "missing x" },
  { "status", { status = 500, body = '{"fault":{"faultstring":"Invalid Access Token"}}' },
    "server", 500, true, nil, "Invalid Access Token", "try again later" },
  { "status", { status = 400, body = '{"exveErrorId":"CE-300","exveErrorMsg":"bad vehicle"}' },
    "http", 400, false, nil, "bad vehicle" },
  { "status", { status = 404, body = '{"error":"Not Found","message":"no route","x":1}' },
    "not_found", 404, false, nil, "Not Found: no route", false },
  { "status", { status = 400, body = '{"title":"Bad","detail":"no such unit","status":400}' },
    "http", 400, false, nil, "no such unit" },
  { "status", { status = 404, body = "Vehicle is not available" }, "not_found", 404, false, nil,
    "Vehicle is not available", false },
  { "status", { status = 503, body = "<html><head><title>Service\n Maintenance 22:00-23:00"
    .. "</title></head></html>" }, "server", 503, true, nil, "Service Maintenance 22:00-23:00",
    "try again later" },
  { "status", { status = 403, body = "<html><title>403 Forbidden</title></html>" }, "forbidden",
    403, false, nil, nil, "may use this service" },
  { "status", { status = 400, body = '"too fast"' }, "http", 400, false, nil, "too fast" },
}

-- The token endpoint's responses. fault, code, status, retryable, part of the description, part of
-- the message or the hint
local refusals = {
  { { recorded = "authn_circuit" }, "auth", 400, false, "the authN circuit failed", "password" },
  { { recorded = "authentication_failed" }, "auth", 400, false, "authentication failed",
    "token_url" },
  { { recorded = "invalid_scope" }, "auth", 400, false, "The requested scope", "scope" },
  { { recorded = "invalid_client" }, "auth", 401, false, "Client authentication failed",
    "api_key" },
  { { recorded = "client_disabled" }, "auth", 401, false, "provided clients are disabled",
    "has been disabled" },
  { { recorded = "invalid_request" }, "auth", 400, false, "missing a required parameter" },
  { { status = 403 }, "forbidden", 403, false, nil, "may use this service" },
  { { status = 403, body = '{"error":"invalid_grant"}' }, "auth", 403, false, "invalid_grant",
    "check username" },
  { { status = 403, body = '{"error":"Forbidden","message":"Out of quota."}' }, "forbidden", 403,
    false, "Forbidden: Out of quota." },
  { { status = 423, body = '{"error":"account_locked","error_description":"Account is locked"}' },
    "auth", 423, false, "account_locked: Account is locked", "unlock the account" },
  { { raw = '{"error":"invalid_grant","error_description":"authentication failed"}' }, "auth", 200,
    false, "invalid_grant: authentication failed", "wrong user name" },
  { { status = 503, body = '{"error":"invalid_grant"}' }, "auth", 503, false, "invalid_grant" },
  { { status = 503, body = '{"error":"temporarily_unavailable"}' }, "server", 503, true,
    "temporarily_unavailable", "try again later" },
  { { raw = "" }, "json", nil, false, nil, "api_key" },
  { { recorded = "too_many" }, "rate_limited", 429, true, nil, "wait" },
  { { recorded = "gone" }, "gone", 410, false, nil, "switched off" },
  { { recorded = "plain_500" }, "server", 500, true, "Error" },
  { { raw = "<html>Wartung</html>", content_type = "text/html" }, "json", nil, false },
  { { raw = "[]" }, "json", nil, false },
  { { raw = "null" }, "json", nil, false },
  { { raw = '{"token_type":"Bearer"}' }, "json", nil, false },
  { { raw = '{"access_token":""}' }, "json", nil, false },
  { { raw = '{"access_token":"a b"}' }, "json", nil, false },
  { { raw = '{"access_token":"a\\r\\nX: y"}' }, "json", nil, false },
  { { raw = '{"access_token":"x","expires_in":3600,"scope":"journey_mate"}' }, "auth", nil, false,
    "journey_mate", "the scope 'remote_services'" },
}

local function told(part, message, info)
  if part then
    has(info.description, part)
    has(message, part)
  else
    assert.is_nil(info.description)
  end
end

local function name_of(fault)
  local said = fault.body or fault.raw
  return fault.recorded or (fault.status or "200") .. (said and (" %q"):format(said) or "")
end

describe("a failed call", function()
  setup(function()
    sim = helper.start({ args = { "--speed", "50" } })
  end)
  teardown(function() sim:stop() end)
  before_each(function() sim:reset() end)

  for _, row in ipairs(answers) do
    local call, fault, code, status, retryable, api_code, description, advice =
      row[1], row[2], row[3], row[4], row[5], row[6], row[7], row[8]
    it("of " .. call .. " answered by " .. name_of(fault), function()
      local car = client():vehicle(helper.vin)
      local rule = { path = paths[call], times = 0 }
      for name, value in pairs(fault) do rule[name] = value end
      sim:fault(rule)
      local message, got, info = failed(calls[call](car))
      assert.equal(code, got, message)
      assert.equal(status, info.status)
      if retryable ~= nil then assert.equal(retryable, info.retryable) end
      assert.equal(api_code, info.api_code)
      assert.is_nil(info.retry_after)
      told(description or api_code, message, info)
      has(message, " failed: HTTP " .. status)
      if advice then has(info.hint, advice)
      elseif advice == false then assert.is_nil(info.hint) end
      assert.is_nil(message:find("; ", 1, true), message)
    end)
  end

  for _, row in ipairs(refusals) do
    local fault, code, status, retryable, description, part =
      row[1], row[2], row[3], row[4], row[5], row[6]
    it("of a log-in answered by " .. name_of(fault), function()
      local rule = { path = "/oauth/token", times = 0 }
      for name, value in pairs(fault) do rule[name] = value end
      sim:fault(rule)
      for _, call in ipairs({ "login", "vehicles" }) do
        local one = client()
        local message, got, info = failed(one[call](one))
        assert.equal(code, got, message)
        assert.equal(status, info.status)
        assert.equal(retryable, info.retryable)
        told(description, message, info)
        has(message, "log-in failed: ")
        if part then has(message .. " " .. tostring(info.hint), part) end
        assert.is_nil(one:token())
      end
      assert.equal(0, sim:count("GET"))
    end)
  end

  it("says that the service is gone, and since when", function()
    sim:fault({ path = "/status", recorded = "gone" })
    local _, code, info = failed(client():vehicle(helper.vin):status())
    assert.equal("gone", code)
    assert.is_false(info.retryable)
    has(info.hint, "the service was switched off")
    has(info.hint, "2021-11-09")
    has(info.hint, "base_url")
  end)

  it("names the call that failed", function()
    sim:fault({ path = "/webapi/v1/", times = 0, status = 500 })
    local one = client()
    local car = one:vehicle(helper.vin)
    has(failed(one:vehicles()), "vehicles failed: ")
    has(failed(one:get("/webapi/v1/x")), "get failed: ")
    has(failed(one:post("/webapi/v1/x", { a = 1 })), "post failed: ")
    for _, name in ipairs({ "status", "last_trip", "all_trips", "charging_profile",
      "destinations", "range_map", "image" }) do
      has(failed(car[name](car)), name .. " failed: ")
    end
    has(failed(car:execution("DOOR_LOCK")), "execution failed: ")
    has(failed(car:lock_doors()), "execute failed: ")
    has(failed(car:send_poi({ lat = 1, lon = 2, name = "x" })), "send_poi failed: ")
  end)

  it("truncates long texts between two characters", function()
    local one = client()
    for _, char in ipairs({ "\195\188", "\226\130\172", "\240\159\154\151" }) do
      for before = 0, 3 do
        local text = ("x"):rep(before) .. char:rep(200)
        sim:fault({ path = "/status", status = 404,
          body = ('{"error":{"code":404,"description":"%s"}}'):format(text) })
        local _, _, info = failed(one:vehicle(helper.vin):status())
        assert.equal(text:sub(1, #info.description), info.description)
        assert.equal(0, (#info.description - before) % #char, info.description)
        assert.is_true(#info.description > 200)
      end
    end
  end)

  it("has a status that is a whole number", function()
    sim:fault({ path = "/status", status = 404 })
    local _, _, info = failed(client():vehicle(helper.vin):status())
    assert.equal("404", tostring(info.status))
  end)

  it("has no status if there was no response", function()
    local one = bmwi.new(helper.client({ url = "http://127.0.0.1:1" }, { retries = 0 }))
    local message, code, info = failed(one:vehicles())
    assert.equal("network", code)
    assert.is_nil(info.status)
    has(message, "log-in failed: ")
    has(info.hint, "check the connection")
  end)

  describe("with Retry-After", function()
    local function after(value, status)
      sim:fault({ path = "/status", status = status or 503, headers = { ["Retry-After"] = value } })
      local _, _, info = failed(client():vehicle(helper.vin):status())
      return info.retry_after
    end

    it("reports the seconds", function()
      assert.equal(7, after("7"))
      assert.equal(1, after("1", 429))
    end)

    it("reports the seconds until a date", function()
      local seconds = after(os.date("!%a, %d %b %Y %H:%M:%S GMT", os.time() + 100))
      assert(seconds > 50 and seconds <= 101, tostring(seconds))
    end)

    it("ignores a date in the past, and nonsense", function()
      for _, value in ipairs({ "Sat, 01 Jan 2000 00:00:00 GMT", "soon", "-5", "" }) do
        local seconds = after(value)
        assert(seconds == nil or seconds == 0, value .. ": " .. tostring(seconds))
      end
    end)

    it("never reports more than a day", function()
      assert.equal(86400, after("999999999"))
      local seconds = after("99999999999999999999999999")
      assert(seconds == nil or seconds == 86400, tostring(seconds))
      assert.equal(86400, after("Fri, 01 Jan 2100 00:00:00 GMT"))
    end)
  end)

  it("is logged after the response was read, with its status, not its body", function()
    local events = {}
    sim:fault({ path = "/status", recorded = "no_status" })
    client({ log = function(event, t) events[#events + 1] = { event, t } end })
      :vehicle(helper.vin):status()
    local event, t = events[#events][1], events[#events][2]
    assert.equal("response", event)
    assert.equal("status", t.call)
    assert.equal("GET", t.method)
    assert.equal(404, t.status)
    for name in pairs(t) do
      assert(name == "call" or name == "method" or name == "attempt" or name == "seconds"
        or name == "date" or name == "status" or name == "bytes", name)
    end
  end)

  describe("reveals no secret", function()
    local secrets = {
      password = 'p4ss&w0rd=% "Zürich"',
      api_key = "planted-key-8d1f",
      api_secret = "planted-secret-77aa",
      access = "AcCeSs0planted0AcCeSs0planted0Ac",
      refresh = "ReFrEsH0planted0ReFrEsH0planted0ReFrEsH0planted0",
      answer = 'Hund "Rex" & Söhne',
    }
    secrets.basic = bmwi.base64.encode(secrets.api_key .. ":" .. secrets.api_secret)

    local function form_encoded(text, blank)
      return (text:gsub("[^%w%-%._~]", function(c)
        return c == " " and blank or ("%%%02X"):format(c:byte())
      end))
    end

    local seen, logged

    local function collect(value, done)
      if type(value) == "table" then
        if done[value] then return end
        done[value] = true
        for k, v in pairs(value) do
          collect(k, done)
          collect(v, done)
        end
      else
        seen[#seen + 1] = tostring(value)
      end
    end

    local function planted(without_password)
      seen, logged = {}, 0
      local options = helper.client(sim, {
        retries = 0, password = secrets.password, api_key = secrets.api_key,
        api_secret = secrets.api_secret,
        token = { access_token = secrets.access, refresh_token = secrets.refresh,
          token_type = "Bearer", expires_at = os.time() + 3600 },
        log = function(event, t)
          logged = logged + 1
          collect(event, {})
          collect(t, {})
        end,
      })
      if without_password then options.username, options.password = nil, nil end
      return bmwi.new(options)
    end

    -- Looks for whole secrets and for the first part of one (a truncated one reveals nearly as
    -- much).
    local function assert_nothing(...)
      collect({ ... }, {})
      assert(logged > 0)
      local all = table.concat(seen, "\n")
      for name, secret in pairs(secrets) do
        for _, form in ipairs({ secret, form_encoded(secret, "+"), form_encoded(secret, "%20") }) do
          for _, part in ipairs({ form, form:sub(1, 10) }) do
            assert.is_nil(all:find(part, 1, true), ("%s is told in: %s"):format(name, all))
          end
        end
      end
      return all
    end

    local function answer_with(path, status, body)
      sim:no_faults()
      sim:fault({ path = path, times = 0, status = status, body = body })
    end

    local function both_shapes(text)
      local quoted = helper.json.encode(text)
      return { '{"error":{"code":500,"description":' .. quoted .. "}}",
        '{"error":' .. quoted .. "}",
        '{"error":"x","error_description":' .. quoted .. "}" }
    end

    local function each_secret(fn)
      for name, secret in pairs(secrets) do
        fn(name, "you sent " .. secret .. ", which is wrong; again: " .. secret)
      end
    end

    it("when the server echoes it", function()
      each_secret(function(_, text)
        for _, body in ipairs(both_shapes(text)) do
          answer_with("/executeService", 400, body)
          local one = planted()
          local car = one:vehicle(helper.vin)
          local message, _, info = failed(car:unlock_doors({ secret = secrets.answer }))
          has(message, "which is wrong")
          has(assert_nothing(message, info, tostring(one), tostring(car)), "***")
        end
      end)
    end)

    it("when the response to the log-in contains it", function()
      -- The one that a log-in, or a renewal, was sent with.
      local sent = { password = false, api_key = false, api_secret = false, basic = false,
        refresh = true }
      each_secret(function(name, text)
        if sent[name] ~= nil then
          answer_with("/oauth/token", 400, both_shapes(text)[3])
          sim:fault({ path = "/status", times = 0, status = 401 })
          local one = planted(sent[name])
          local message, _, info = failed(one:vehicle(helper.vin):status())
          has(message, "which is wrong")
          assert_nothing(message, info)
        end
      end)
    end)

    it("when the secret lies where the text is truncated", function()
      local pad = { access = secrets.access, answer = secrets.answer, password = secrets.password }
      for _, secret in pairs(pad) do
        for length = 290, 320, 10 do
          answer_with("/executeService", 400, both_shapes(("x"):rep(length) .. secret .. " end")[1])
          local message, _, info = failed(
            planted():vehicle(helper.vin):unlock_doors({ secret = secrets.answer }))
          assert_nothing(message, info)
        end
      end
    end)

    it("when the server echoes the form as it was sent", function()
      for _, blank in ipairs({ "+", "%20" }) do
        answer_with("/executeService", 400, both_shapes("bad form: serviceType=DOOR_UNLOCK"
          .. "&bmwSkAnswer=" .. form_encoded(secrets.answer, blank))[1])
        local message, _, info = failed(
          planted():vehicle(helper.vin):unlock_doors({ secret = secrets.answer }))
        assert_nothing(message, info)

        answer_with("/oauth/token", 400, both_shapes("bad form: grant_type=password&password="
          .. form_encoded(secrets.password, blank))[3])
        sim:fault({ path = "/status", times = 0, status = 401 })
        message, _, info = failed(planted():vehicle(helper.vin):status())
        assert_nothing(message, info)
      end
    end)

    it("when the security answer goes through execute and post", function()
      local text = "wrong answer: " .. secrets.answer
      answer_with("/executeService", 403, both_shapes(text)[1])
      local one = planted()
      local form = { serviceType = "DOOR_UNLOCK", bmwSkAnswer = secrets.answer }
      local message, _, info = failed(one:vehicle(helper.vin):execute("DOOR_UNLOCK",
        { bmwSkAnswer = secrets.answer }))
      assert_nothing(message, info)
      message, _, info = failed(one:post("/webapi/v1/user/vehicles/" .. helper.vin
        .. "/executeService", form))
      assert_nothing(message, info)
    end)

    it("when the server sends it as the granted scope", function()
      answer_with("/oauth/token", 200, helper.json.encode({
        access_token = "x", scope = secrets.password .. "\27[31m\r\n" }))
      local one = client({ password = secrets.password, api_key = secrets.api_key,
        api_secret = secrets.api_secret, log = function() logged = logged + 1 end })
      seen, logged = {}, 0
      local message, _, info = failed(one:login())
      assert_nothing(message, info)
    end)

    it("when there is no response", function()
      local one = bmwi.new({ base_url = "http://127.0.0.1:1", retries = 0,
        username = "u", password = secrets.password, api_key = secrets.api_key,
        api_secret = secrets.api_secret, log = function() logged = logged + 1 end })
      seen, logged = {}, 0
      local message, _, info = failed(one:login())
      assert_nothing(message, info, tostring(one))
    end)
  end)

  it("shows the server's description on one line", function()
    sim:fault({ path = "/status", status = 400,
      body = '{"error":"a\\r\\nb\\u0000c\\u001b[31md\\u007fe\\tf"}' })
    local message, _, info = failed(client():vehicle(helper.vin):status())
    assert.is_nil(info.description:find("%c"))
    has(message, "a")
  end)

  it("tolerates a very long or badly encoded description", function()
    for _, text in ipairs({ ("é"):rep(5000), "\\ud800", "\\uffff" }) do
      sim:fault({ path = "/status", status = 400, body = '{"error":"x' .. text .. '"}' })
      local message, code = failed(client():vehicle(helper.vin):status())
      assert.equal("http", code)
      assert(#message < 1000)
    end
  end)

  it("leaves a huge error body unread", function()
    sim:fault({ path = "/status", status = 500, body = '{"error":"' .. ("x"):rep(500000) .. '"}' })
    local message, code, info = failed(client():vehicle(helper.vin):status())
    assert.equal("server", code)
    assert.is_nil(info.description)
    assert(#message < 1000)
  end)
end)
