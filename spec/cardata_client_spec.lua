-- The CarData client against the simulator: the log-in by a code, renewal, the quota, and what goes
-- over the wire.

local bmwi = require("bmwi")
local async = require("bmwi.async")
local helper = require("spec.helper")
local stores = require("bmwi.store")

local CLIENT = "6b1f5a52-9d2e-4c0f-8a53-1f0c2d3e4b5a"
local BEV = "WBYCARDATA0000001"

describe("a client of CarData", function()
  local sim, path, prompts

  local function options(changes)
    local given = { service = "cardata", client_id = CLIENT, base_url = sim.url,
      login_url = sim.url .. "/gcdm/oauth", store = stores.new(path), timeout = 10,
      on_prompt = function(prompt) prompts[#prompts + 1] = prompt end }
    for name, value in pairs(changes or {}) do given[name] = value or nil end
    return given
  end
  local function new(changes) return bmwi.new(options(changes)) end
  local function login(change) sim:control("POST", "/cardata/login", change) end
  local function requests(part)
    local list = {}
    for _, request in ipairs(sim:log()) do
      if request.path:find(part, 1, true) then list[#list + 1] = request end
    end
    return list
  end
  local function logged_in(changes)
    local client = new(changes)
    assert(client:login())
    return client
  end

  before_each(function()
    sim = helper.start()
    path = os.tmpname()
    os.remove(path)
    prompts = {}
    login({ interval = 0.05 })
  end)
  after_each(function()
    sim:stop()
    for _, ending in ipairs({ "", ".lock", ".write.lock", ".container.lock" }) do
      os.remove(path .. ending)
    end
  end)

  it("that is closed meanwhile fails a call of several requests, and does not raise", function()
    for _, part in ipairs({ "/containers", "telematicData", "basicData" }) do
      sim:reset()
      login({ interval = 0.05 })
      local client = logged_in({ store = stores.memory() })
      sim:fault({ path = part, latency = 30, times = 0 })
      local done = {}
      for i, vin in ipairs({ BEV, "WBACARDATA0000002" }) do
        async.spawn(function() return client:vehicle(vin):status() end,
          function(...) done[i] = { ... } end)
      end
      helper.drive(function() return requests(part)[1] end)
      client:close()
      helper.drive(function() return done[1] and done[2] end)
      for i = 1, 2 do
        assert.is_true(done[i][1], done[i][2]) -- not raised: its use was no mistake
        if part ~= "basicData" then assert.equal("closed", done[i][4]) end
      end
    end
  end)

  it("that another task closes at any moment ends its call, and does not raise", function()
    local calls = {
      vehicles = function(client) return client:vehicles() end,
      status = function(client) return client:vehicle(BEV):status() end,
      telematics = function(client) return client:vehicle(BEV):telematics() end,
      charging_history = function(client) return client:vehicle(BEV):charging_history() end,
      delete_container = function(client) return client:delete_container("x") end,
    }
    for name, call in pairs(calls) do
      for turns = 1, 8 do
        local client, done = logged_in(), nil
        async.spawn(function()
          for _ = 1, turns do bmwi.sleep(0) end
          client:close()
        end)
        async.spawn(function() return call(client) end, function(...) done = { ... } end)
        helper.drive(function() return done end)
        assert.is_true(done[1], name .. ", turn " .. turns .. ": " .. tostring(done[2]))
      end
    end
  end)

  describe("logs in by a code", function()
    it("that it shows once, polls, and saves the token", function()
      local client = new()
      assert.is_true(client:login())
      assert.equal(1, #prompts)
      local prompt = prompts[1]
      assert.equal(sim.url .. "/oneid/link", prompt.verification_uri)
      assert.equal(prompt.verification_uri .. "?user_code=" .. prompt.user_code,
        prompt.verification_uri_complete)
      assert.equal(300, prompt.expires_in)
      local token = client:token()
      assert.equal("aa111192-d570-4d3d-8835-656ee00edcd7", token.gcid)
      assert.truthy(#token.id_token > 1000)
      assert.equal(1, #requests("/device/code"))
      assert.is_true(client:login()) -- nothing to do
      assert.equal(1, #prompts)
      client:close()
      local again = new() -- from the account file
      assert(again:vehicles())
      assert.equal(1, #prompts)
    end)

    it("with PKCE, without credentials in a header, with the id in lower case", function()
      logged_in({ client_id = CLIENT:upper() })
      local code, poll = requests("/device/code")[1], requests("/oauth/token")[1]
      assert.is_nil(code.headers.authorization)
      assert.is_nil(poll.headers.authorization)
      assert.truthy(code.body:find("client_id=" .. CLIENT, 1, true), code.body)
      assert.truthy(code.body:find("code_challenge_method=S256", 1, true), code.body)
      local challenge = code.body:match("code_challenge=([^&]+)")
      local verifier = poll.body:match("code_verifier=([^&]+)")
      assert.equal(43, #verifier)
      assert.equal(challenge, bmwi._hash.base64url(bmwi._hash.sha256(verifier)))
    end)

    it("in a task, while others run", function()
      login({ interval = 0.05, allow_after = helper.json.null })
      local ticks = 0
      async.run(function()
        async.spawn(function()
          repeat
            ticks = ticks + 1
            bmwi.sleep(0.01)
          until ticks > 3 and #requests("/device/code") == 1
          login({ allow = true })
        end)
        assert(new():login())
      end)
      assert.truthy(ticks > 3, ticks)
    end)

    it("polling more slowly when told to", function()
      login({ answers = { "slow_down" } })
      login({ interval = 0.01 })
      local waits = {}
      assert(new({ log = function(event, t)
        if event == "repeat" or event == "retry" then waits[#waits + 1] = t.wait end
      end }):login())
      assert.truthy(waits[2] > 4.9, waits[2])
    end)

    it("and reports how it ended", function()
      for _, row in ipairs({
        { { "expired_token" }, "expired before", "log in again" },
        { { "invalid_grant" }, "the code was refused", "Authenticate device" },
        { { "invalid_client" }, "the code was refused: invalid_client", "check client_id" },
        { { "gateway_fault", "access_denied" }, "used up the code", "BMW's fault" },
      }) do
        login({ answers = row[1] })
        local done, message, code, info = new():login()
        assert.is_nil(done)
        assert.equal("auth", code)
        assert.truthy(message:find(row[2], 1, true), message)
        assert.truthy(info.hint:find(row[3], 1, true), info.hint)
      end
    end)

    it("although the first polls were denied or met a broken gateway", function()
      login({ answers = { "access_denied", "access_denied", "ok" } })
      local done, message = new():login()
      assert.is_true(done, message)
      login({ answers = { "gateway_fault", "ok" } })
      os.remove(path)
      done, message = new():login()
      assert.is_true(done, message)
    end)

    it("and gives up if it is still denied", function()
      local denials = {}
      for i = 1, 40 do denials[i] = "access_denied" end
      login({ interval = 0.02, answers = denials })
      local _, message, code = new():login()
      assert.equal("auth", code)
      assert.truthy(message:find("denied", 1, true), message)
    end)

    it("although the server fails at first: the same request is repeated", function()
      sim:fault({ path = "/device/code", status = 503, headers = { ["Retry-After"] = "0" } })
      assert.is_true(new():login())
      local sent = requests("/device/code")
      assert.equal(2, #sent)
      assert.equal(sent[1].body, sent[2].body)
      assert.equal(1, #prompts)
    end)

    describe("and, if that is refused, asks for each scope alone, without a prompt,", function()
      local API, STREAM = '"CarData API"', '"CarData Stream"'
      local function refused(message, hint, not_hint, asked)
        local found, info = helper.fails_as("auth", new():login())
        helper.has(found, message)
        helper.has(info.hint, hint)
        assert.equal(400, info.status)
        assert.is_nil(not_hint and info.hint:find(not_hint, 1, true))
        assert.equal(asked, #requests("/device/code"))
        assert.same({ 0, {} }, { #requests("/oauth/token"), prompts })
      end

      for _, row in ipairs({ { "no_api", "cardata:api:read", API, STREAM },
        { "no_streaming", "cardata:streaming:read", STREAM, API } }) do
        it("to name the missing subscription: " .. row[1], function()
          sim:control("POST", "/cardata/token", { [row[1]] = true })
          refused("log-in failed: the client has no subscription for " .. row[2], row[3], row[4], 3)
          for i, scope in ipairs({ "authenticate_user%20openid%20cardata%3Aapi%3Aread%20",
            "openid%20cardata%3Aapi%3Aread&", "openid%20cardata%3Astreaming%3Aread&" }) do
            helper.has(requests("/device/code")[i].body:gsub("+", "%%20"), "scope=" .. scope)
          end
          sim:control("POST", "/cardata/token", { [row[1]] = false })
          assert.is_true(new():login())
          assert.equal(1, #prompts)
        end)
      end

      it("and names both if both are refused, or one of the answers is not BMW's", function()
        sim:control("POST", "/cardata/token", { no_api = true, no_streaming = true })
        refused("HTTP 400", API .. " and " .. STREAM, nil, 3)
        sim:control("POST", "/cardata/token", { no_api = false })
        for _, fault in ipairs({ { status = 503, body = "busy" }, { raw = "<html>Sign in</html>" },
          { raw = '{"device_code":1}' }, { status = 302, body = "" } }) do
          sim:clear()
          sim:fault({ path = "/device/code", status = 400, body = '{"error":"invalid_request"}' })
          fault.path = "/device/code"
          sim:fault(fault)
          refused("HTTP 400", API .. " and " .. STREAM, nil, 2)
        end
      end)

      it("but not if the client id is unknown", function()
        local _, info = helper.fails_as("auth", new({ client_id = CLIENT:gsub("6", "7") }):login())
        helper.has(info.hint, "client_id")
        assert.equal(1, #requests("/device/code"))
      end)
    end)

    it("and names the scope that was not granted, with the step at the portal", function()
      sim:fault({ path = "/oauth/token", times = 0, raw = '{"access_token":"abcdef","expires_in":'
        .. '3600,"scope":"cardata:streaming:read openid authenticate_user"}' })
      local done, message, code, info = new():login()
      assert.is_nil(done)
      assert.equal("auth", code)
      assert.truthy(message:find("cardata:api:read", 1, true), message)
      assert.truthy(info.hint:find("portal", 1, true), info.hint)
      sim:no_faults()
      done, message, code, info = new({ scope = "openid cardata:nothing" }):login()
      assert.is_nil(done)
      assert.equal("auth", code)
      assert.truthy(info.hint:find("portal", 1, true), message)
      sim:control("POST", "/cardata/token", { scope_turned = true })
      assert.is_true(new():login()) -- in another order
    end)

    it("only when login() is called", function()
      local client = new()
      local _, message, code, info = client:vehicles()
      assert.equal("auth", code)
      assert.truthy(message:find("not logged in", 1, true), message)
      assert.truthy(info.hint:find("login()", 1, true), info.hint)
      assert.equal(0, #sim:log())
      assert.equal(0, #prompts)
      assert.equal(info.hint, select(4, client:vehicles()).hint) -- nobody has refused anything
      logged_in():close() -- in another program
      assert(client:vehicles())
    end)

    it("only where the page to open is one of the web", function()
      local answer = '{"user_code":"%s","device_code":"d","interval":1,"expires_in":300,'
        .. '"verification_uri":"%s"}'
      for _, case in ipairs({ { "AB", "javascript:alert(1)" }, { "AB", "file:///etc/passwd" },
        { "AB", "" }, { "AB", "https://a.example/\\u001b[2J" }, { "", "https://a.example/" },
        { "A\\u0000B", "https://a.example/" } }) do
        sim:fault({ path = "/device/code", raw = answer:format(case[1], case[2]) })
        helper.fails_as("json", new():login())
      end
      assert.equal(0, #prompts)
    end)

    it("only with an on_prompt hook", function()
      local client = new({ on_prompt = false })
      local ok, message, code, info = client:login()
      assert.is_nil(ok)
      assert.truthy(message:find("on_prompt", 1, true), message)
      helper.has(info.hint, "give bmwi.new the option on_prompt")
      assert.equal("auth", code)
    end)

    it("and passes on_prompt the times that it actually uses", function()
      sim:fault({ path = "/device/code", status = 200, body = '{"device_code":"D","user_code":"X",'
        .. '"verification_uri":"https://a.example/u","expires_in":1e300,"interval":-1e44}' })
      local client = new({ on_prompt = function(prompt)
        prompts[1] = prompt
        error("seen", 0)
      end })
      helper.fails_as("auth", client:login())
      assert.equal(5, prompts[1].interval)
      assert.equal(900, prompts[1].expires_in)
    end)

    it("and reports what on_prompt raises", function()
      local client = new({ on_prompt = function() error("no screen", 0) end })
      local ok, message, code, info = client:login()
      assert.is_nil(ok)
      assert.truthy(message:find("on_prompt raised an error: no screen", 1, true), message)
      helper.has(info.hint, "correct the function on_prompt")
      assert.equal("auth", code)
      local before = #sim:log()
      message = select(2, client:vehicles())
      assert.truthy(message:find("not logged in", 1, true), message)
      assert.equal(before, #sim:log())
    end)
  end)

  describe("renews the log-in", function()
    it("once for all tasks, keeping whose it is", function()
      sim:control("POST", "/cardata/token", { expires_in = 2 })
      local client = logged_in()
      sim:control("POST", "/cardata/token", { expires_in = 3600, no_gcid = true })
      local gcid = assert(client:token().gcid)
      bmwi.sleep(2)
      async.map({ 1, 2, 3 }, function() return assert(client:vehicles()) end)
      local refreshed = 0
      for _, request in ipairs(requests("/oauth/token")) do
        if request.body:find("grant_type=refresh_token", 1, true) then refreshed = refreshed + 1 end
      end
      assert.equal(1, refreshed)
      assert.equal(gcid, client:token().gcid)
    end)

    it("that BMW rejects before it expires, and repeats the request once", function()
      local client = logged_in()
      sim:control("POST", "/cardata/token", { expire = true })
      local used = client:quota().used
      assert.equal(4, #assert(client:vehicles()))
      assert.equal(used + 2, client:quota().used)
    end)

    it("once for a refused token, and then not until login() is called", function()
      local client = logged_in()
      sim:fault({ path = "/customers/", recorded = "CU-102", times = 0 })
      local used, asked = client:quota().used, #requests("/oauth/token")
      local function refused(by)
        local message, info = helper.fails_as("auth", by:vehicles())
        helper.has(message, "a new token was refused as well")
        helper.has(info.hint, "log in again")
        assert.is_false(info.retryable)
      end
      for _ = 1, 3 do refused(client) end
      helper.fails_as("auth", client:vehicle(BEV):basic_data())
      refused(new()) -- another process
      assert.equal(asked + 1, #requests("/oauth/token"))
      assert.equal(2, #requests("/customers/"))
      assert.equal(used + 2, client:quota().used)
      sim:no_faults()
      assert(client:login())
      assert.equal(2, #prompts)
      assert.equal(4, #assert(client:vehicles()))
      assert.equal(4, #assert(new():vehicles()))
    end)

    it("only as usual while one resource refuses its token and others accept it", function()
      local client = logged_in()
      sim:fault({ path = "/mappings", status = 401, body = "{}", times = 0 })
      helper.fails_as("auth", client:vehicles())
      assert(client:vehicle(BEV):basic_data())
    end)

    it("again after an empty response, which is not a refusal", function()
      sim:control("POST", "/cardata/token", { expires_in = 2 })
      local client = logged_in()
      bmwi.sleep(2)
      for _, status in ipairs({ 200, 204 }) do
        sim:fault({ path = "/oauth/token", status = status, raw = "" })
        helper.fails_as("json", client:vehicles())
      end
      assert(new():vehicles()) -- another process
      assert(client:vehicles())
      assert.equal(1, #prompts)
    end)

    it("once after a refusal, until another process logs in", function()
      sim:control("POST", "/cardata/token", { expires_in = 2 })
      local client = logged_in()
      sim:fault({ path = "/oauth/token", status = 400, times = 2,
        body = '{"error":"invalid_request","error_description":"missing a required parameter"}' })
      bmwi.sleep(2)
      local before = #requests("/oauth/token")
      for _ = 1, 3 do helper.fails_as("auth", client:vehicles()) end
      assert.equal(before + 1, #requests("/oauth/token"))
      assert(new():login()) -- another process; the second refusal is its own
      assert(client:vehicles())
      assert.equal(2, #prompts)
      -- Even if its token has expired meanwhile, but can be renewed.
      sim:fault({ path = "/oauth/token", status = 400, times = 2,
        body = '{"error":"invalid_request","error_description":"missing a required parameter"}' })
      bmwi.sleep(2)
      for _ = 1, 3 do helper.fails_as("auth", client:vehicles()) end
      assert(new():login())
      bmwi.sleep(2)
      assert(client:vehicles())
      assert.equal(3, #prompts)
    end)

    it("or reports once that it has expired for good", function()
      sim:control("POST", "/cardata/token", { expires_in = 2 })
      local client = logged_in()
      sim:fault({ path = "/oauth/token", status = 400, times = 0,
        body = '{"error":"invalid_request","error_description":"missing a required parameter"}' })
      bmwi.sleep(2)
      local before, used = #requests("/oauth/token"), client:quota().used
      for i = 1, 4 do
        if i == 4 then client = new() end -- another process
        local message, info = helper.fails_as("auth", client:vehicles())
        assert.equal("log-in failed: the log-in has ended", message)
        assert.equal("log in again: client:login()", info.hint)
        assert.is_nil(info.description)
      end
      assert.equal(before + 1, #requests("/oauth/token"))
      assert.equal(used, client:quota().used)
    end)
  end)

  describe("reads a car", function()
    it("with the version header and the token, and counts what that costs", function()
      local client = logged_in()
      local status, details = client:vehicle(BEV):status()
      assert.truthy(status, details)
      assert.is_number(status.mileage)
      assert.equal("rest", details.mileage.source)
      for _, request in ipairs(requests("/customers/")) do
        assert.equal("v1", request.headers["x-version"], request.path)
        assert.equal("Bearer " .. client:token().access_token, request.headers.authorization)
      end
      assert.equal(#requests("/customers/"), client:quota().used)
      assert.equal(sim:control("GET", "/cardata").quota.used, client:quota().used)
    end)

    it("over connections that do not stay open", function()
      logged_in():close()
      local grown = helper.program(([[
        local helper, bmwi = require("spec.helper"), require("bmwi")
        local pid = (helper.read("/proc/self/stat") or ""):match("^%%d+")
        local function open()
          return pid and tonumber(helper.shell("ls /proc/" .. pid .. "/fd | wc -l")) or 0
        end
        local client = bmwi.new { service = "cardata", client_id = %q, base_url = %q,
          login_url = %q, store = require("bmwi.store").new(%q) }
        assert(client:vehicles())
        local before = open()
        for _ = 1, 8 do assert(client:vehicles()) end
        io.write(open() - before)]]):format(CLIENT, sim.url, sim.url .. "/gcdm/oauth", path))
      assert.truthy(tonumber(grown) <= 1, grown)
    end)

    it("counting calls that had to wait for the log-in, too", function()
      local client = new()
      login({ interval = 0.3 })
      async.run(function()
        async.spawn(function() assert(client:login()) end)
        bmwi.sleep(0.05)
        assert(client:vehicles())
        assert(new():vehicles())
      end)
      assert.equal(2, #requests("/customers/"))
      assert.equal(2, client:quota().used)
    end)

    it("and sends nothing once the day's calls are used up", function()
      local client = logged_in({ daily_limit = 1 })
      assert(client:vehicles())
      local before = #sim:log()
      local _, message, code, info = client:vehicles()
      assert.equal("quota", code)
      assert.truthy(message:find("nothing was sent", 1, true), message)
      -- Not exact to the second: BMW counted the call a moment later than this program did.
      local wait = client:quota().resets_at - os.time()
      assert(info.retry_after >= wait + 60 and info.retry_after <= wait + 70, info.retry_after)
      assert.equal(before, #sim:log())
      assert.equal("quota", select(3, new({ daily_limit = 1 }):vehicles())) -- the next process
    end)

    it("until BMW itself says that the day's calls are used up", function()
      local client = logged_in()
      sim:fault({ path = "/customers/", recorded = "CU-429", times = 0 })
      local _, _, code, info = client:vehicles()
      assert.equal("quota", code)
      local wait = client:quota().resets_at - os.time()
      assert(info.retry_after >= wait + 60 and info.retry_after <= wait + 70, info.retry_after)
      local before = #sim:log()
      assert.equal("quota", select(3, client:vehicles()))
      assert.equal(before, #sim:log())
    end)

    it("and tells BMW's six kinds of 403 apart", function()
      local client = logged_in()
      for id, code in pairs({ ["CU-103"] = "forbidden", ["CU-104"] = "forbidden",
        ["CU-105"] = "not_found", ["CU-403"] = "forbidden", ["CU-401"] = "http" }) do
        sim:fault({ path = "/customers/vehicles/mappings", recorded = id })
        local _, message, got, info = client:vehicles()
        assert.equal(code, got, id .. ": " .. message)
        assert.equal(id, info.api_code)
        assert.is_false(info.retryable)
      end
      assert.equal(5, client:quota().used) -- none was sent again
    end)

    it("again after a failure that may be transient, and counts the retry", function()
      local client = logged_in()
      sim:fault({ path = "/customers/vehicles/mappings", recorded = "CU-500" })
      assert(client:vehicles())
      assert.equal(2, client:quota().used)
      sim:fault({ path = "/customers/vehicles/mappings", recorded = "CU-500", times = 0 })
      assert.equal("server", select(3, new({ retries = 0 }):vehicles()))
      assert.equal(3, client:quota().used)
    end)

    it("by requests that are all counted, even if a reused connection breaks", function()
      local client = logged_in()
      async.map({ 1, 2, 3 }, function() assert(client:vehicles()) end)
      for _, at in ipairs({ "after", "before" }) do
        sim:fault({ path = "/mappings", reset = at, times = 0 })
        local before = #requests("/mappings")
        assert.equal("network", select(3, client:vehicles()))
        assert.equal(before + 2, #requests("/mappings"), at)
        assert.equal(before + 2, client:quota().used)
        sim:no_faults()
        assert(client:vehicles())
      end
    end)
  end)

  it("reports at once what CarData does not support, and vice versa", function()
    local car = new():vehicle(BEV)
    assert.is_false(car:supports("lock_doors"))
    assert.is_true(car:supports("charging_history"))
    for _, name in ipairs({ "lock_doors", "last_trip", "set_charging_profile", "send_poi" }) do
      local done, message, code = car[name](car, {})
      assert.is_nil(done)
      assert.equal("unsupported", code)
      assert.truthy(message:find("no commands", 1, true), message)
    end
    local classic = bmwi.new(helper.client(sim))
    assert.equal("unsupported", select(3, classic:vehicle(BEV):charging_history()))
    assert.equal("unsupported", select(3, classic:quota()))
    assert.equal(0, #sim:log())
  end)

  it("keeps its secrets", function()
    local seen = {}
    local client = new({ log = function(event, t)
      for name, value in pairs(t) do seen[#seen + 1] = event .. name .. tostring(value) end
    end })
    assert(client:login())
    local token = client:token()
    sim:fault({ path = "/customers/vehicles/mappings", status = 400,
      body = '{"exveErrorId":"CU-400","exveErrorMsg":"' .. token.id_token .. " "
        .. token.access_token .. '"}' })
    local _, message, _, info = client:vehicles()
    for _, text in ipairs({ message, info.description, table.concat(seen), tostring(client) }) do
      assert.is_nil(text:find(token.access_token, 1, true))
      assert.is_nil(text:find(token.id_token, 1, true))
      assert.is_nil(text:find(token.refresh_token, 1, true))
    end
  end)

  it("accepts CarData's options, and none of the classic service", function()
    local function refuses(part, changes)
      local ok, message = pcall(new, changes)
      assert.is_false(ok)
      assert.truthy(message:find(part, 1, true), message)
    end
    refuses("'client_id'", { client_id = false })
    refuses("unknown option 'username'", { username = "u" })
    refuses("'classic' or 'cardata'", { service = "other" })
    refuses("daily_limit", { daily_limit = 0 })
    refuses("login_url", { login_url = "ftp://example.com" })
  end)
end)
