--- op.c: what is retried and what never. For every way in which an exchange can fail: the number of
--- requests and the result for the caller, for a GET and for a command.
local helper = require("spec.helper")
local bmwi = require("bmwi")
local async = require("bmwi.async")
local since, fails_as = helper.since, helper.fails_as

local VIN = helper.vin

-- A logged request in two words: the method or grant, and the status of the response.
local function word(request)
  local what = helper.form(request.body).grant_type or request.path:match("[^/]+$")
  return ("%s %d"):format(what, request.status)
end

-- The fault; the code of a GET if it persists, and whether it is retried; the code of a command,
-- and whether the car gets it. needs_body: the fault has an effect only on a response with a body,
-- which that to a point of interest lacks.
local faults = {
  { "400", { status = 400 }, get = "http", again = false, post = "http" },
  { "403", { status = 403 }, get = "forbidden", again = false, post = "forbidden" },
  { "404", { status = 404 }, get = "not_found", again = false, post = "not_found" },
  { "405", { status = 405 }, get = "http", again = false, post = "http" },
  { "408", { status = 408 }, get = "http", again = true, post = "unknown" },
  { "410", { status = 410 }, get = "gone", again = false, post = "gone" },
  { "423", { status = 423 }, get = "http", again = false, post = "http" },
  { "460", { status = 460 }, get = "http", again = false, post = "unknown" },
  { "499", { status = 499 }, get = "http", again = false, post = "unknown" },
  { "429", { status = 429 }, get = "rate_limited", again = true, post = "rate_limited" },
  { "500", { status = 500 }, get = "server", again = true, post = "unknown" },
  { "501", { status = 501 }, get = "server", again = false, post = "unknown" },
  { "502", { status = 502 }, get = "server", again = true, post = "unknown" },
  { "503", { status = 503 }, get = "server", again = true, post = "unknown" },
  { "504", { status = 504 }, get = "server", again = true, post = "unknown" },
  { "520", { status = 520 }, get = "server", again = true, post = "unknown" },
  { "524", { status = 524 }, get = "server", again = true, post = "unknown" },
  { "527", { status = 527 }, get = "server", again = false, post = "unknown" },
  { "599", { status = 599 }, get = "server", again = false, post = "unknown" },
  { "500 with A-2013", { recorded = "service_forbidden", status = 500 }, get = "forbidden",
    again = true, post = "forbidden" },
  { "500 with I-300", { recorded = "server_panic" }, get = "server", again = true,
    post = "unknown" },
  { "302", { status = 302, headers = { Location = "/" } }, get = "http", again = false,
    post = "http" },
  { "a reset before the request was read", { reset = "before" }, get = "network", again = true,
    post = "unknown", reused = true },
  { "a reset after it was carried out", { reset = "after" }, get = "network", again = true,
    post = "unknown", done = true, reused = true },
  { "a reset within the answer", { reset = "during" }, get = "network", again = true,
    post = "unknown", done = true, needs_body = true },
  { "an answer that is cut", { truncate = 20 }, get = "network", again = true, post = "unknown",
    done = true, needs_body = true },
  { "headers without a body", { truncate = 0 }, get = "network", again = true, post = "unknown",
    done = true, needs_body = true },
  { "no answer in time", { latency = 30 }, get = "timeout", again = false, post = "unknown",
    done = true, timeout = 1 },
  { "an answer that drips", { drip = 5 }, get = "timeout", again = false, post = "unknown",
    done = true, timeout = 1, needs_body = true },
  { "an answer that is too large", { pad = 1e6 }, get = "too_large", again = false,
    post = "unknown", done = true, needs_body = true },
  { "HTML", { raw = "<html>", content_type = "text/html" }, get = "json", again = false,
    post = "unknown", done = true, needs_body = true },
  { "an empty answer", { raw = "" }, get = "json", again = false, post = "unknown",
    done = true, needs_body = true },
  { "another object", { raw = '{"x":1}' }, get = "json", again = false, post = "unknown",
    done = true, needs_body = true },
}

describe("an operation", function()
  local sim

  local function new(overrides)
    local options = { retries = 1, timeout = 10 }
    for name, value in pairs(overrides or {}) do options[name] = value end
    return bmwi.new(helper.client(sim, options))
  end

  local function logged_in(overrides) return helper.logged_in(new, overrides) end

  local function fault(path, rule, times)
    local copy = { path = path, times = times or 0 }
    for name, value in pairs(rule) do copy[name] = value end
    sim:fault(copy)
  end

  local function start_sim()
    return helper.start({ args = { "--speed", "50" } })
  end

  setup(function() sim = start_sim() end)
  teardown(function() sim:stop() end)
  before_each(function() sim:reset() end)

  for _, row in ipairs(faults) do
    local name, rule = row[1], row[2]

    it("retries what is safe to repeat, and sends commands once: " .. name, function()
      if row.reused then -- no connections of earlier specs
        sim:stop()
        sim = start_sim()
      end
      local car = logged_in({ timeout = row.timeout, max_response_bytes = 100000 })
      assert.is_table(car:last_trip()) -- leaves a connection that could be reused
      fault("/" .. VIN .. "/", rule)

      local _, info = fails_as(row.post, car:lock_doors())
      if row.post == "unknown" then
        assert.is_false(info.retryable)
        assert(info.hint:find("it may have been carried out", 1, true), info.hint)
      end
      local poi = not row.needs_body
      if poi then
        fails_as(row.post, car:send_poi({ lat = 51.5, lon = -0.1, name = "x" }))
      end
      fails_as(row.get, car:status())

      local counts, known = { executeService = 0, sendpoi = 0, status = 0 }, sim:car()
      for _, request in ipairs(sim:log()) do
        local last = request.path:match("[^/]+$")
        if counts[last] then counts[last] = counts[last] + 1 end
      end
      assert.equal(1, counts.executeService)
      assert.equal(row.done and 1 or 0, known.posts.DOOR_LOCK or 0)
      assert.equal(poi and 1 or 0, counts.sendpoi)
      assert.equal(row.done and poi and 1 or 0, #known.pois)
      local wanted = row.again and 2 or 1
      -- libcurl itself resends a request if a reused connection turns out to be dead.
      local most = row.reused and wanted + 1 or wanted
      assert(counts.status >= wanted and counts.status <= most, counts.status)
    end)
  end

  it("of client:post() is not sent again either", function()
    local _, client = logged_in()
    fault("/executeService", { reset = "after" })
    local path = "/webapi/v1/user/vehicles/" .. VIN .. "/executeService"
    fails_as("unknown", client:post(path, { serviceType = "DOOR_LOCK" }))
    assert.equal(1, sim:count("POST", path))
    assert.equal(1, sim:car().posts.DOOR_LOCK)
  end)

  it("continues after a transient failure", function()
    local car = logged_in({ retries = 3 })
    for _, rule in ipairs({ { status = 429 }, { reset = "during" } }) do
      sim:clear()
      fault("/status", rule, 1)
      assert.is_table(car:status())
      assert.equal(2, sim:count("GET", "/status"))
    end
  end)

  it("is tried retries + 1 times, never otherwise", function()
    fault("/status", { status = 503 })
    for _, retries in ipairs({ 0, 2 }) do
      sim:clear()
      fails_as("server", new({ retries = retries }):vehicle(VIN):status())
      assert.equal(retries + 1, sim:count("GET", "/status"))
    end
  end)

  it("reports each attempt to the log hook", function()
    local events = {}
    fault("/status", { status = 503 })
    local car = logged_in({ log = function(event, t) events[#events + 1] = { event, t } end })
    car:status()
    local words = {}
    for i, e in ipairs(events) do words[i] = e[1] .. " " .. e[2].call .. " " .. e[2].attempt end
    assert.same({ "response token 1", "response status 1", "retry status 2", "response status 2" },
      words)
    assert(events[3][2].wait >= 0 and events[3][2].wait <= 0.5)
  end)

  -- Nothing was sent, so a command can be retried like a read.
  for _, call in ipairs({ "status", "lock_doors" }) do
    it("is retried if there was no connection at all: " .. call, function()
      local attempts = 0
      local client = bmwi.new(helper.client({ url = "http://127.0.0.1:1" }, {
        token = { access_token = "x" }, retries = 2, timeout = 10,
        log = function(event) attempts = attempts + (event == "response" and 1 or 0) end }))
      local car = client:vehicle(VIN)
      local _, info = fails_as("network", car[call](car))
      assert.is_true(info.retryable)
      assert.equal(3, attempts)
    end)
  end

  describe("on a reused connection that had died", function()
    local function restart(port)
      return helper.start({ args = { "--listen", "127.0.0.1:" .. port, "--speed", "50" } })
    end

    it("is sent once, whether or not it is a command", function()
      local first = helper.start()
      local saved
      local client = bmwi.new(helper.client(first, { retries = 0,
        on_token = function(token) saved = token end }))
      local car = client:vehicle(VIN)
      assert.is_table(car:status())
      assert.is_table(car:status())
      assert.is_string(saved.access_token)
      first:stop()
      local second = restart(first.port)
      -- The new one does not know the token, so it is asked for another one, and then again.
      local answer, message = car:lock_doors()
      assert.is_table(answer, message)
      local words = {}
      for i, r in ipairs(second:log()) do words[i] = word(r) end
      assert.same({ "executeService 401", "refresh_token 400", "password 200",
        "executeService 200" }, words)
      assert.equal(1, second:car().posts.DOOR_LOCK)
      assert.is_table(car:status())
      second:stop()

      local third = restart(first.port)
      third:fault({ path = "/executeService", times = 0, reset = "before" })
      fails_as("unknown", car:lock_doors())
      assert.equal(1, third:count("POST", "/executeService"))
      third:stop()
      fails_as("network", car:lock_doors())
    end)
  end)

  describe("whose token is refused", function()
    local function words()
      local list = {}
      for i, r in ipairs(sim:log()) do
        list[i] = word(r)
      end
      return list
    end

    it("is sent again once, after one renewal", function()
      local car = logged_in()
      sim:token({ expire = true })
      sim:clear()
      assert.is_table(car:status())
      assert.same({ "status 401", "refresh_token 200", "status 200" }, words())
    end)

    it("is sent again once, also a command", function()
      local car = logged_in({ retries = 0 })
      sim:token({ expire = true })
      sim:clear()
      assert.is_table(car:lock_doors())
      assert.same({ "executeService 401", "refresh_token 200", "executeService 200" }, words())
      assert.equal(1, sim:car().posts.DOOR_LOCK)
    end)

    it("logs in again if the renewal is refused too", function()
      local car = logged_in()
      sim:token({ expire = true, revoke_refresh = true })
      sim:clear()
      assert.is_table(car:status())
      assert.same({ "status 401", "refresh_token 400", "password 200", "status 200" }, words())
    end)

    for _, call in ipairs({ "status", "lock_doors" }) do
      it("gives up if the new one is refused as well: " .. call, function()
        local car = logged_in({ retries = 3 })
        sim:fault({ path = "/webapi/v1/", times = 0, recorded = "invalid_token" })
        sim:clear()
        fails_as("auth", car[call](car))
        assert.equal(3, #sim:log())
        assert.equal(1, sim:count("POST", "/oauth/token"))
        -- Nor over several calls.
        fails_as("auth", car[call](car))
        fails_as("auth", car[call](car))
        assert.equal(1, sim:count("POST", "/oauth/token"))
        assert.equal(5, #sim:log())
      end)
    end

    it("renews it when it expires, even if it was refused at first", function()
      local car = logged_in({ retries = 0 })
      sim:fault({ path = "/webapi/v1/", times = 2, recorded = "invalid_token" })
      fails_as("auth", car:status())
      assert.is_table(car:status())
      sim:token({ expire = true })
      assert.is_table(car:status())
      assert.equal(3, sim:count("POST", "/oauth/token"))
    end)

    it("gets another one by client:login()", function()
      local car, client = logged_in({ retries = 0 })
      sim:fault({ path = "/webapi/v1/", times = 2, recorded = "invalid_token" })
      fails_as("auth", car:status())
      sim:token({ expire = true })
      fails_as("auth", car:status())
      sim:clear()
      assert.is_true(client:login())
      assert.is_table(car:status())
      assert.same({ "refresh_token 200", "status 200" }, words())
      assert.is_true(client:login()) -- which has nothing to do now
      assert.equal(2, #sim:log())
    end)

    it("is not sent if the log-in fails", function()
      local car = logged_in()
      sim:token({ expire = true })
      sim:fault({ path = "/oauth/token", times = 0, recorded = "authn_circuit" })
      sim:clear()
      fails_as("auth", car:lock_doors())
      assert.same({ "executeService 401", "refresh_token 400", "password 400" }, words())
      assert.equal(0, sim:car().posts.DOOR_LOCK or 0)
    end)
  end)

  describe("that logs in", function()
    for _, row in ipairs({
      { "500", { status = 500 }, "server", 2 },
      { "408", { status = 408 }, "http", 2 },
      { "502", { status = 502 }, "server", 2 },
      { "503", { status = 503 }, "server", 2 },
      { "504", { status = 504 }, "server", 2 },
      { "501", { status = 501 }, "server", 1 },
      { "404", { status = 404 }, "not_found", 1 },
      { "a reset", { reset = "before" }, "network", 2 },
      { "an answer that is cut", { truncate = 10 }, "network", 2 },
      { "429, which is not to be hurried", { recorded = "too_many" }, "rate_limited", 1 },
      { "429 with a time", { status = 429, headers = { ["Retry-After"] = "1" } },
        "rate_limited", 2 },
      { "wrong password", { recorded = "authn_circuit" }, "auth", 1 },
      { "410", { recorded = "gone" }, "gone", 1 },
    }) do
      it("retries as often as is safe: " .. row[1], function()
        fault("/oauth/token", row[2])
        fails_as(row[3], new():login())
        assert.equal(row[4], sim:count("POST", "/oauth/token"))
      end)
    end

    it("does not use a refresh token twice if the response was lost", function()
      local car = logged_in()
      sim:token({ expire = true })
      fault("/oauth/token", { reset = "after" }, 1)
      sim:clear()
      fails_as("network", car:status())
      assert.equal(1, sim:count("POST", "/oauth/token"))
      assert.is_table(car:status()) -- by the password, since the refresh token is gone
    end)

    it("does not try a wrong password again until it is asked to", function()
      local client = new({ password = "wrong" })
      local car = client:vehicle(VIN)
      for _ = 1, 3 do fails_as("auth", car:status()) end
      fails_as("auth", client:vehicles())
      fails_as("auth", car:lock_doors())
      assert.equal(1, #sim:log())
      fails_as("auth", client:login())
      assert.equal(2, #sim:log())
    end)

    it("tries again after a transient failure", function()
      sim:fault({ path = "/oauth/token", status = 500 })
      local car = new({ retries = 0 }):vehicle(VIN)
      fails_as("server", car:status())
      assert.is_table(car:status())
    end)
  end)

  describe("with Retry-After", function()
    it("waits so many seconds, and until the date", function()
      local car = logged_in({ retries = 2 }) -- a budget for two at once
      local date = os.time() + 2
      sim:fault({ path = "/status", status = 503, headers = { ["Retry-After"] = "1" } })
      sim:fault({ path = "/lastTrip", status = 429, headers = {
        ["Retry-After"] = os.date("!%a, %d %b %Y %H:%M:%S GMT", date) } })
      local status, trip = async.run(function() return car:status() end,
        function() return car:last_trip() end)
      assert.is_table(status)
      assert.is_table(trip)
      local times = { status = {}, lastTrip = {} }
      for _, r in ipairs(sim:log()) do
        local list = times[r.path:match("[^/]+$")]
        if list then list[#list + 1] = r.time end
      end
      assert.equal(2, #times.status)
      assert.equal(2, #times.lastTrip)
      assert(times.status[2] - times.status[1] >= 0.95)
      assert(times.lastTrip[2] >= date - 0.05, times.lastTrip[2] - date)
    end)

    -- Retry-After, and how it is interpreted: seconds, or nothing.
    for _, row in ipairs({
      { "7", 7 }, { "86401", 86400 }, { "99999999999", 86400 }, { "9999999999999999999999", 86400 },
      { "0" }, { "-5" },
      { "soon" }, { "" }, { "Wed, 21 Oct 2015 07:28:00 GMT" },
      { "Fri, 31 Dec 2099 23:59:59 GMT", 86400 },
    }) do
      it(("of %q is %s"):format(row[1], row[2] and "clamped to " .. row[2] or "no news"), function()
        local car = logged_in({ retries = 0 })
        sim:fault({ path = "/status", status = 503, headers = { ["Retry-After"] = row[1] } })
        local _, info = fails_as("server", car:status())
        assert.equal(row[2], info.retry_after)
      end)
    end

    it("of an interim response says nothing of the final one, nor does its Location", function()
      local HINTS = "HTTP/1.1 103 Early Hints\\r\\nRetry-After: 50\\r\\nLocation: /x\\r\\n\\r\\n"
      for _, status in ipairs({ "503 No", "302 Found" }) do
        local port, stop = helper.raw(HINTS .. "HTTP/1.1 " .. status
          .. "\\r\\nContent-Length: 0\\r\\n\\r\\n", "")
        local client = bmwi.new(helper.client({ url = "http://127.0.0.1:" .. port }, { retries = 0,
          token = { access_token = "AAAA" } }))
        local _, _, _, info = client:get("/")
        stop()
        assert.equal(tonumber(status:match("%d+")), info.status)
        assert.is_nil(info.retry_after)
        assert.is_nil(info.location)
      end
    end)

    it("does not wait beyond its deadline", function()
      local car = logged_in({ timeout = 30 })
      sim:fault({ path = "/status", times = 0, status = 503, headers = { ["Retry-After"] = "60" } })
      local start = bmwi._sys.monotonic()
      local _, info = fails_as("server", car:status())
      assert.equal(60, info.retry_after)
      assert(since(start) < 20)
      assert.equal(1, sim:count("GET", "/status"))
    end)

    it("does not send a command again", function()
      local car = logged_in()
      sim:fault({ path = "/executeService", times = 0, status = 503,
        headers = { ["Retry-After"] = "1" } })
      fails_as("unknown", car:lock_doors())
      assert.equal(1, sim:count("POST", "/executeService"))
    end)
  end)

  it("pauses for eight seconds at most between two attempts", function()
    local weather = helper.weather()
    if not weather then return pending("no compiler") end -- luacheck: ignore
    fault("/status", { status = 503 })
    local ahead = os.tmpname()
    finally(function() os.remove(ahead) end)
    local said = helper.program(([[
      local bmwi = require("bmwi")
      local function ahead(seconds) -- puts the clock forward
        local file = assert(io.open(%q, "w"))
        file:write(seconds)
        file:close()
      end
      local before, passed = bmwi._sys.monotonic(), 1000
      ahead(passed)
      if bmwi._sys.monotonic() - before < passed then return io.write("it stands") end
      local client = bmwi.new({ base_url = %q, token = { access_token = "x" }, retries = 10,
        timeout = 3600, log = function(event, fields)
          if event ~= "retry" then return end
          print(fields.wait)
          passed = passed + fields.wait
          ahead(passed)
        end })
      client:vehicle("WAB1C23456V123456"):status()]]):format(ahead, sim.url),
      weather .. " BMWI_AHEAD=" .. ahead)
    if said == "it stands" then
      return pending("the interpreter brings a preloaded library of its own") -- luacheck: ignore
    end
    local longest, count = 0.5, 0
    for wait in said:gmatch("[^\n]+") do
      assert(tonumber(wait) and tonumber(wait) <= longest, said)
      longest, count = math.min(2 * longest, 8), count + 1
    end
    assert.equal(10, count, said)
    assert.equal(11, sim:count("GET", "/status"))
  end)

  describe("has one deadline", function()
    it("for all its attempts", function()
      local car = logged_in({ timeout = 1, retries = 10 })
      fault("/status", { status = 503, latency = 0.2 })
      local start = bmwi._sys.monotonic()
      local value, _, code = car:status()
      assert.is_nil(value)
      assert(code == "server" or code == "timeout", code)
      assert(since(start) < 15, since(start)) -- with all of them longer
    end)

    it("for the log-in and the call", function()
      fault("/oauth/token", { latency = 20 })
      local start = bmwi._sys.monotonic()
      local car = new({ timeout = 0.4 }):vehicle(VIN)
      local _, info = fails_as("timeout", car:status())
      assert.is_true(info.retryable)
      fails_as("timeout", car:lock_doors()) -- surely not sent
      assert(since(start) < 15)
      assert.equal(0, sim:count(nil, "/webapi/v1/"))
    end)

    it("that the log-in may use up", function()
      fault("/oauth/token", { latency = 0.3 })
      fault("/status", { latency = 20 })
      local start = bmwi._sys.monotonic()
      fails_as("timeout", new({ timeout = 0.8 }):vehicle(VIN):status())
      assert(since(start) < 15)
    end)

    it("for name servers that do not answer, and holds up nobody else meanwhile", function()
      local weather = helper.weather()
      if not weather then return pending("no compiler") end -- luacheck: ignore
      if not helper.libcurl(7, 87) then
        return pending("this libcurl waits for its resolver beyond every deadline") -- luacheck: ignore
      end
      local text = helper.program([[
        local bmwi, async = require("bmwi"), require("bmwi.async")
        local function client()
          return bmwi.new({ base_url = "https://car.invalid", token = { access_token = "x" },
            timeout = 1, connect_timeout = 10, retries = 2 })
        end
        local start = bmwi._sys.monotonic()
        local function tell(what, code)
          local passed = bmwi._sys.monotonic() - start
          print(what, code, passed < 15 and "in time" or passed)
        end
        async.run(function()
          local _, _, code = client():vehicles()
          tell("GET", code)
        end, function()
          local _, _, code = client():vehicle("WAB1C23456V123456"):lock_doors()
          tell("POST", code)
        end, function()
          bmwi.sleep(0.2)
          tell("sleep", "-")
        end)
        local _, _, code = client():vehicles()
        tell("blocking", code)
        os.exit(0)
      ]], weather .. " BMWI_DNS=30")
      if text:find("\tnetwork\t", 1, true) then
        return pending("the interpreter brings a preloaded library of its own") -- luacheck: ignore
      end
      for _, line in ipairs({ "GET\ttimeout", "POST\ttimeout", "sleep\t-", "blocking\ttimeout" }) do
        assert.truthy(text:find(line .. "\tin time", 1, true), text)
      end
    end)

    it("which an unreachable server does not extend", function()
      local client = bmwi.new(helper.client({ url = "http://127.0.0.1:1" },
        { timeout = 0.5, retries = 10 }))
      local start = bmwi._sys.monotonic()
      local value = client:vehicles()
      assert.is_nil(value)
      assert(since(start) < 15)
    end)
  end)

  it("sends a failing server at most 20 retries, and a fifth of one for each call", function()
    -- Three servers in one go, as the pauses take time: 30 calls each, one after the other.
    local rules = { { status = 500 }, { status = 503 }, { truncate = 10 } }
    local servers, tasks = {}, {}
    for i, rule in ipairs(rules) do
      local server = helper.start()
      servers[i] = server
      rule.path, rule.times = "/status", 0
      local client = bmwi.new(helper.client(server, { retries = 2 }))
      assert.is_true(client:login())
      server:fault(rule)
      tasks[i] = function()
        for _ = 1, 30 do assert(not client:vehicle(VIN):status()) end
      end
    end
    async.run((unpack or table.unpack)(tasks)) -- luacheck: ignore
    for _, server in ipairs(servers) do
      local count = server:count("GET", "/status")
      server:stop()
      assert(count >= 50, count) -- given in advance
      assert(count <= 30 + 20 + 6, count)
    end
  end)

  -- A call that fails for one car and then works does not mean that the server is in trouble.
  it("always retries what then works: one call, and eight at once #slow", function()
    local car = logged_in({ retries = 2, timeout = 60 })
    for _ = 1, 30 do
      fault("/status", { status = 500 }, 1)
      assert.is_table(car:status())
    end
    local calls = { status = "/status", last_trip = "/lastTrip", all_trips = "/allTrips",
      destinations = "/destinations", range_map = "/rangemap", navigation = "/navigation/",
      charging_profile = "/chargingprofile", image = "/image" }
    local names = {}
    for name, path in pairs(calls) do
      names[#names + 1] = name
      fault(path, { status = 500 }, 1)
    end
    local _, errors = async.map(names, function(name) return car[name](car) end)
    assert.same({}, errors)
  end)

  it("does not overload a server that fails for many calls at once", function()
    fault("/status", { status = 503 })
    local car = logged_in({ retries = 2 })
    local list = {}
    for i = 1, 100 do list[i] = i end
    local _, errors = async.map(list, function() return car:status() end)
    for i = 1, 100 do assert.equal("server", errors[i].code) end
    local count = sim:count("GET", "/status")
    assert(count >= 100 and count <= 100 + 20 + 20, count)
    for i = 1, 100 do
      if errors[i].message:find("not retried: the retry budget is used up", 1, true) then return end
    end
    error("no message says that it was the budget")
  end)
end)
