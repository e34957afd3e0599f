--- Eight secrets are planted, everything is made to fail, and all output is searched for them:
--- messages, info, the log hook, tostring, and the command line's files, output and arguments. The
--- server is as hostile as possible: it echoes what it was sent, in any encoding.
local helper = require("spec.helper")
local bmwi = require("bmwi")
local store = require("bmwi.store")
local wait = require("bmwi.wait")
local json = helper.json
local shell, write, read = helper.shell, helper.write, helper.read

local interpreter = helper.interpreter

local SECRETS = {
  password = 'Pl4nted&pass=w0rd% "Zürich"',
  access = "AcCeSs0planted0AcCeSs0planted0Ac",
  refresh = "ReFrEsH0planted0ReFrEsH0planted0ReFrEsH0planted0",
  api_key = "planted-key-8d1f",
  api_secret = "planted/secret+77aa",
  answer = 'Hund "Rex" & Söhne',
  event = "0123F4E5D6C7B8A9123456@bmw.de",
}
SECRETS.basic = bmwi.base64.encode(SECRETS.api_key .. ":" .. SECRETS.api_secret)

local function each_byte(text, format)
  return (text:gsub(".", function(c) return format:format(c:byte()) end))
end

local function form(text, blank, format)
  return (text:gsub("[^%w%-%._~]", function(c)
    return c == " " and blank or (format):format(c:byte())
  end))
end

-- How a server may encode what it echoes.
local SPELLINGS = {
  plain = function(s) return s end,
  query = function(s) return form(s, "%20", "%%%02X") end,
  form = function(s) return form(s, "+", "%%%02X") end,
  ["query, lower case"] = function(s) return form(s, "%20", "%%%02x") end,
  ["all percent"] = function(s) return each_byte(s, "%%%02X") end,
  ["all percent, lower case"] = function(s) return each_byte(s, "%%%02x") end,
  ["percent twice"] = function(s) return form(s, "%2520", "%%25%02X") end,
  base64 = bmwi.base64.encode,
  ["base64 of user and secret"] = function(s)
    return bmwi.base64.encode("whatever:" .. s .. "\n")
  end,
  ["base64 of a form"] = function(s) return bmwi.base64.encode("ab=" .. s .. "&c=d") end,
  ["base64 of a longer form"] = function(s) return bmwi.base64.encode("abcd=" .. s .. "&c=d") end,
  ["base64 for URLs"] = function(s)
    return (bmwi.base64.encode(s):gsub("[+/=]", { ["+"] = "-", ["/"] = "_", ["="] = "" }))
  end,
  quoted = function(s) return json.encode(s) end,
  ["quoted twice"] = function(s) return json.encode(json.encode(s)) end,
  ["JSON escapes"] = function(s) return each_byte(s, "\\u%04x") end,
  ["C escapes"] = function(s) return each_byte(s, "\\x%02X") end,
  HTML = function(s)
    return (s:gsub('[&"]', { ["&"] = "&amp;", ['"'] = "&quot;" }))
  end,
  ["HTML numbers"] = function(s) return each_byte(s, "&#%d;") end,
  ["HTML hexadecimal"] = function(s) return each_byte(s, "&#x%x;") end,
}

-- What must not be found: each secret in each encoding, and the first part of it.
local NEEDLES = {}
for name, secret in pairs(SECRETS) do
  for spelling, spell in pairs(SPELLINGS) do
    local whole = spell(secret)
    NEEDLES[#NEEDLES + 1] = { name .. ", " .. spelling, whole }
    if spelling == "plain" then NEEDLES[#NEEDLES + 1] = { name .. ", a part", whole:sub(1, 9) } end
  end
end

local function assert_nothing(text)
  for _, needle in ipairs(NEEDLES) do
    if text:find(needle[2], 1, true) then
      error(("%s is told in: %s"):format(needle[1], text), 2)
    end
  end
end

local function gather(list, value, done)
  done = done or {}
  if type(value) == "table" and not done[value] then
    done[value] = true
    for k, v in pairs(value) do
      -- What a wait needs to continue belongs to the caller, including the event.
      if k ~= "execution" then
        gather(list, k, done)
        gather(list, v, done)
      end
    end
  elseif type(value) ~= "table" then
    list[#list + 1] = tostring(value)
  end
end

-- The server's response: a fault for /_sim with one secret in one encoding, in each known form.
local function said_back(path, status, text)
  local quoted = json.encode(text)
  return {
    { path = path, times = 0, status = status,
      body = '{"error":{"code":500,"description":' .. quoted .. "}}" },
    { path = path, times = 0, status = status, body = '{"error":"x","error_description":'
      .. quoted .. "}" },
    { path = path, times = 0, status = status, body = '{"error":' .. quoted .. "}" },
  }
end

local RECORDED = { "authentication_failed", "authn_circuit", "bad_parameter", "bad_profile",
  "client_disabled", "dlat_missing", "empty_401", "gone", "invalid_client", "invalid_request",
  "invalid_scope", "invalid_token", "missing_parameter", "no_execution", "no_image", "no_status",
  "no_vehicle", "not_found", "plain_500", "poi_invalid", "secret_missing", "secret_wrong",
  "server_panic", "service_forbidden", "shape_c", "too_many" }

-- Other ways to fail.
local BREAKS = { { reset = "before" }, { reset = "after" }, { truncate = 1 }, { pad = 1e6 },
  { raw = "<html>" }, { raw = "null" }, { raw = "[]" }, { status = 302, headers = { Location =
  "http://127.0.0.1:1/" } }, { status = 503 }, { status = 418 } }

describe("the password of a proxy", function()
  local sim

  setup(function() sim = helper.start() end)
  teardown(function() sim:stop() end)

  local function program(environment, script)
    return helper.program(([[
      local bmwi = require "bmwi"
      local URL, SECURE = %q, "https://127.0.0.1:%s"
      local function new(base_url, proxy)
        return bmwi.new { base_url = base_url, token = { access_token = "t" }, retries = 2,
          timeout = 20, proxy = proxy,
          log = function(event, fields) print(event, fields.error, fields.attempt) end }
      end
      -- Without info: a table's address may have the digits of a password.
      local function show(result, message, code) print(result, message, code, "") end
    ]]):format(sim.url, sim.port) .. script, environment)
  end
  local CALL = 'show(new(SECURE):vehicles())'

  before_each(function() sim:reset() end)

  for _, name in ipairs({ "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY" }) do
    it("is not revealed when " .. name .. " is wrong", function()
      for _, proxy in ipairs({ "http://user:p#geheim@127.0.0.1:9", "user:1234/geheim@127.0.0.1",
        "socks6://user:geheim@127.0.0.1:9", "http://user:geheim@127.0.0.1:99999",
        "http://geheim@geheim@127.0.0.1:9" }) do
        local said = program(("%s='%s'"):format(name, proxy), CALL)
        assert.is_nil(said:find("geheim", 1, true), said)
        assert.is_nil(said:find("1234", 1, true), said)
        local fault = "the proxy from the environment (" .. name .. ") is invalid"
        assert.truthy(said:find(fault, 1, true), said)
        assert.truthy(said:find("network", 1, true), said)
        assert.is_nil(said:find("\t2\n", 1, true), "tried again: " .. said)
      end
      assert.equal(0, #sim:log())
    end)
  end

  it("goes to the environment's proxy, in the order that libcurl knows", function()
    local good = sim.url:gsub("//", "//user:p%%23geheim@")
    program(("https_proxy=%s ALL_PROXY=nonsense://"):format(good), CALL)
    program(("https_proxy= all_proxy=%s"):format(good), CALL)
    local log = sim:log()
    assert.equal(6, #log) -- each is tried three times
    for _, request in ipairs(log) do
      assert.equal("CONNECT", request.method)
      assert.equal("Basic " .. bmwi.base64.encode("user:p#geheim"),
        request.headers["proxy-authorization"])
    end
  end)

  it("is not needed if no_proxy exempts the server, nor for plain HTTP", function()
    local wrong = "https_proxy='http://user:p#geheim@127.0.0.1:9'"
    local said = program(wrong .. " no_proxy=127.0.0.1", CALL)
    assert.is_nil(said:find("proxy", 1, true), said)
    assert.truthy(said:find("\ttls\t", 1, true), said)
    assert.truthy(program(wrong, "show(new(URL):get('/webapi/v1/user/vehicles/'))")
      :find("auth", 1, true))
    local log = sim:log()
    assert.truthy(log[#log].path:find("^/webapi/v1/user/vehicles"))
  end)

  it("is redacted if a server echoes it", function()
    sim:fault({ path = "/vehicles", status = 404, times = 0,
      body = '{"error":{"description":"p#geheim, p%23geheim"}}' })
    local said = program("no_proxy=127.0.0.1",
      'show(new(URL, "http://user:p%23geheim@127.0.0.1:9"):vehicles())')
    assert.truthy(said:find("***, ***", 1, true), said)
    assert.is_nil(said:find("geheim", 1, true), said)
  end)
end)

describe("eight planted secrets", function()
  local sim, out

  setup(function() sim = helper.start({ args = { "--speed", "1000" } }) end)
  teardown(function() sim:stop() end)

  -- The planted token comes from the server, and the planted event too.
  local function plant()
    sim:reset()
    local token = json.encode({ access_token = SECRETS.access, refresh_token = SECRETS.refresh,
      token_type = "Bearer", expires_in = 3600 })
    local execution = { eventId = SECRETS.event, status = "INITIATED", serviceType = "DOOR_UNLOCK" }
    local faults = {
      { path = "/oauth/token", times = 0, status = 200, body = token },
      { path = "/executeService", times = 0, status = 200, body = json.encode({
        executionStatus = execution }) },
      { path = "/serviceExecutionStatus", times = 0, status = 200, body = json.encode({
        executionStatus = { eventId = SECRETS.event, status = "DELIVERED" } }) },
      { path = "/vehicles/", times = 0, status = 200, body = json.encode({
        vehicles = { { vin = helper.vin, model = "I01" } } }) },
    }
    return faults
  end

  local function set(first, rest)
    sim:no_faults()
    for _, fault in ipairs(first) do sim:fault(fault) end
    for _, fault in ipairs(rest) do sim:fault(fault) end
  end

  describe("are revealed by no call", function()
    before_each(function() out = {} end)

    local function new(overrides)
      local options = helper.client(sim, { retries = 0, password = SECRETS.password,
        api_key = SECRETS.api_key, api_secret = SECRETS.api_secret, max_response_bytes = 100000,
        log = function(event, fields)
          gather(out, event)
          gather(out, fields)
        end })
      for name, value in pairs(overrides or {}) do options[name] = value or nil end
      if overrides and overrides.username == false then
        options.username, options.password = nil, nil
      end
      return bmwi.new(options)
    end

    -- Calls everything, and searches the failures.
    local function call_all(client)
      local car = client:vehicle(helper.vin)
      local function note(value, ...)
        if value == nil then gather(out, { ... }) end
        return value
      end
      note(client:login())
      note(client:vehicles())
      note(car:status())
      note(car:unlock_doors({ secret = SECRETS.answer }))
      note(car:execution("DOOR_UNLOCK"))
      note(client:get("/webapi/v1/user/vehicles/"))
      note(client:post("/webapi/v1/user/vehicles/" .. helper.vin .. "/executeService",
        { serviceType = "DOOR_UNLOCK", bmwSkAnswer = SECRETS.answer }))
      note(wait.for_execution(car, { serviceType = "DOOR_UNLOCK", eventId = SECRETS.event,
        status = "INITIATED" }, { timeout = 0.02, interval = 0.01, on_update = function(_, message)
          out[#out + 1] = tostring(message)
        end }))
      gather(out, { tostring(client), tostring(car), tostring(bmwi.loop), tostring(bmwi) })
    end

    local function check(client)
      call_all(client)
      client:close()
      gather(out, tostring(client))
      assert(#out > 10)
      assert_nothing(table.concat(out, "\n"))
    end

    for _, path in ipairs({ "/oauth/token", "/webapi/v1/" }) do
      it("when the service fails as the real one did: " .. path, function()
        local faults = plant()
        for _, name in ipairs(RECORDED) do
          set({ { path = path, times = 0, recorded = name } }, faults)
          check(new())
        end
      end)

      it("when everything breaks: " .. path, function()
        local faults = plant()
        for _, rule in ipairs(BREAKS) do
          rule.path, rule.times = path, 0
          set({ rule }, faults)
          check(new())
        end
        check(new({ base_url = "http://127.0.0.1:1" }))
        check(new({ proxy = "http://" .. SECRETS.api_key .. ":x@127.0.0.1:1" }))
        check(new({ base_url = "https://127.0.0.1:" .. sim.port }))
        check(new({ base_url = "https://bmwi-spec.invalid", timeout = 1 }))
        check(new({ timeout = 0.001 }))
      end)
    end

    for spelling, spell in pairs(SPELLINGS) do
      it("when the server echoes them: " .. spelling, function()
        local faults = plant()
        local function all(...)
          local parts = { "you sent" }
          for i = 1, select("#", ...) do parts[i + 1] = spell(SECRETS[select(i, ...)]) end
          return table.concat(parts, ", ")
        end
        -- Few enough that a secret is redacted, not just truncated.
        for i, text in ipairs({ all("password", "access", "event"), all("refresh", "basic"),
          all("api_key", "api_secret", "password") }) do
          set({ said_back("/serviceExecutionStatus", 400, text)[i] }, faults)
          local client = new()
          local car = client:vehicle(helper.vin)
          assert(car:unlock_doors()) -- so that the event and the token are known
          local _, message, _, info = car:execution("DOOR_UNLOCK")
          assert(message:find("you sent", 1, true), message)
          gather(out, { message, info })
          gather(out, { new({ token = client:token() }):vehicle(helper.vin):execution("DOOR_UNLOCK",
            SECRETS.event) })
          client:close()
        end
        set({ said_back("/executeService", 403, all("answer", "password", "access"))[1] }, faults)
        gather(out, { new():vehicle(helper.vin):unlock_doors({ secret = SECRETS.answer }) })
        -- A log-in and a renewal, and the secrets in them.
        for i, text in ipairs({ all("password", "basic"), all("api_key", "api_secret") }) do
          set({ said_back("/oauth/token", 400, text)[i] }, faults)
          gather(out, { new():login() })
        end
        set({ said_back("/oauth/token", 401, all("refresh", "access", "basic"))[2] }, faults)
        gather(out, { new({ username = false, token = { access_token = SECRETS.access,
          refresh_token = SECRETS.refresh, expires_at = 1 } }):vehicles() })
        assert_nothing(table.concat(out, "\n"))
      end)

      it("when the granted scope is one: " .. spelling, function()
        local scope = ""
        for _, name in ipairs({ "password", "basic", "api_key", "api_secret" }) do
          set({ { path = "/oauth/token", times = 0, status = 200, body = json.encode({
            access_token = "x", scope = spell(SECRETS[name]) .. "\27[31m\r\n" }) } }, {})
          local client = new()
          gather(out, { client:login() })
          gather(out, client:token() and client:token().scope)
          scope = scope .. " " .. spell(SECRETS[name])
        end
        local client = new({ scope = "vehicle_data" })
        set({ { path = "/oauth/token", times = 0, status = 200, body = json.encode({
          access_token = "x", scope = "vehicle_data" .. scope }) } }, {})
        assert(client:login())
        out[#out + 1] = client:token().scope
        assert_nothing(table.concat(out, "\n"))
      end)
    end

    it("when a wait times out, whatever the server sends meanwhile", function()
      local faults = plant()
      for _, spell in pairs({ SPELLINGS.plain, SPELLINGS.base64, SPELLINGS["all percent"] }) do
        for _, status in ipairs({ 400, 500 }) do
          set({ said_back("/serviceExecutionStatus", status, spell(SECRETS.event))[1] }, faults)
          local client = new()
          local car = client:vehicle(helper.vin)
          local execution = assert(car:unlock_doors())
          local _, message, _, info = wait.for_execution(car, execution, { timeout = 0.05,
            interval = 0.01, on_update = function(_, text) out[#out + 1] = tostring(text) end })
          gather(out, { message, info })
        end
      end
      assert_nothing(table.concat(out, "\n"))
    end)

    it("when it is misused", function()
      local function raised(...)
        local ok, message = pcall(...)
        assert.is_false(ok)
        out[#out + 1] = tostring(message)
      end
      local options = helper.client(sim, { password = SECRETS.password, api_key = SECRETS.api_key,
        api_secret = SECRETS.api_secret, token = { access_token = SECRETS.access,
          refresh_token = SECRETS.refresh } })
      for name in pairs(options) do
        for _, value in ipairs({ 5, true, {}, { SECRETS.password }, print }) do
          local changed = {}
          for k, v in pairs(options) do changed[k] = v end
          changed[name] = value
          raised(bmwi.new, changed)
        end
      end
      options.basic = SECRETS.basic
      raised(bmwi.new, options)
      options.basic, options.api_secret = nil, nil
      raised(bmwi.new, options)
      raised(bmwi.new, { basic = SECRETS.basic .. "\n", username = "u",
        password = SECRETS.password })
      raised(bmwi.new, { base_url = "https://" .. form(SECRETS.password, "%20", "%%%02x")
        .. "@host", username = "u", password = "x", basic = "x" })
      raised(bmwi.new, { token = { access_token = SECRETS.access .. "\n" } })
      local client = new()
      local car = client:vehicle(helper.vin)
      raised(car.unlock_doors, car, SECRETS.answer)
      raised(car.unlock_doors, car, { answer = SECRETS.answer })
      raised(car.unlock_doors, car, { secret = 47110815 }) -- without its quotation marks
      assert.is_nil(out[#out]:find("47110815", 1, true), out[#out])
      raised(car.execute, car, "DOOR_UNLOCK", SECRETS.answer)
      raised(car.execute, car, SECRETS.answer)
      raised(store.new("/tmp/x").save, store.new("/tmp/x"), { access_token = SECRETS.access,
        refresh_token = 5 })
      out[#out + 1] = tostring(store.new("/tmp/x", { username = "u" }))
      assert_nothing(table.concat(out, "\n"))
    end)
  end)

  describe("are shown by no command", function()
    local home

    before_each(function() home = shell("mktemp -d") end)
    after_each(function() shell("rm -rf '" .. home .. "'") end)

    local function command(arguments)
      local words = { "env -i PATH='" .. os.getenv("PATH") .. "' TERM=dumb" }
      for name, value in pairs({
        HOME = home, LUA_PATH = package.path, LUA_CPATH = package.cpath, BMWI_BASE_URL = sim.url,
        BMWI_USERNAME = "whatever@example.com", BMWI_PASSWORD = SECRETS.password,
        BMWI_API_KEY = SECRETS.api_key, BMWI_API_SECRET = SECRETS.api_secret,
        BMWI_SECURITY_ANSWER = SECRETS.answer, BMWI_WAIT_TIMEOUT = "0.05", BMWI_INTERVAL = "0.02",
        BMWI_RETRIES = "0", BMWI_REQUEST_TIMEOUT = "5",
      }) do
        words[#words + 1] = name .. "='" .. value:gsub("'", "'\\''") .. "'"
      end
      return table.concat(words, " ") .. " " .. interpreter .. " bin/bmwi " .. arguments
    end

    local COMMANDS = { "vehicles", "status --verbose", "status --json --verbose",
      "unlock --yes --verbose", "unlock --yes --json", "unlock --yes --no-wait --json",
      "wait unlock --verbose", "login --verbose", "login --json", "doctor",
      "doctor --json --verbose", "logout --json" }

    local function run_all()
      -- One after the other in one shell, to save time.
      local lines = {}
      for i, arguments in ipairs(COMMANDS) do
        lines[i] = "echo '" .. arguments .. "'; " .. command(arguments) .. " 2>&1 </dev/null"
      end
      write(home .. "/all", table.concat(lines, "\n"))
      local text = shell("sh '" .. home .. "/all'")
      assert(#text > 500, text)
      assert_nothing(text)
      return text
    end

    it("that works", function()
      set({}, plant())
      local text = run_all()
      assert(text:find("call=token", 1, true), text)
      assert(text:find("call=execute", 1, true), text)
    end)

    it("that fails", function()
      local faults = plant()
      for _, rule in ipairs({ { "/oauth/token", "invalid_client" },
        { "/webapi/v1/", "invalid_token" },
        { "/executeService", "secret_wrong" }, { "/serviceExecutionStatus", "server_panic" } }) do
        set({ { path = rule[1], times = 0, recorded = rule[2] } }, faults)
        run_all()
      end
    end)

    for _, path in ipairs({ "/oauth/token", "/executeService", "/serviceExecutionStatus",
      "/vehicles/" }) do
      it("whose server echoes everything: " .. path, function()
        local faults = plant()
        local all = {}
        for name, secret in pairs(SECRETS) do
          local sent = name ~= "answer" or path == "/executeService"
          sent = sent and (name ~= "event" or path == "/serviceExecutionStatus")
          -- A log-in with a password has no token yet.
          sent = sent and not (path == "/oauth/token" and (name == "access" or name == "refresh"))
          if sent then all[#all + 1] = secret end
        end
        for _, spelling in ipairs({ "plain", "all percent, lower case", "base64 of a form" }) do
          local text = {}
          for i, secret in ipairs(all) do text[i] = SPELLINGS[spelling](secret):sub(1, 200) end
          set({ said_back(path, 400, table.concat(text, "; "))[2] }, faults)
          run_all()
        end
      end)
    end

    it("while it runs: in its arguments, or in a core file", function()
      set({ { path = "/oauth/token", times = 0, latency = 20 } }, plant())
      local pid = shell(("%s >/dev/null 2>&1 & echo $!"):format(command("status")))
      finally(function() shell("kill " .. pid) end)
      for _ = 1, 1200 do
        if sim:count("POST", "/oauth/token") > 0 then break end
        bmwi.sleep(0.05)
      end
      local arguments = read("/proc/" .. pid .. "/cmdline")
      assert(arguments:find("bin/bmwi", 1, true), arguments)
      assert_nothing(arguments)
      assert_nothing((arguments:gsub("%z", " ")))
      local limit = read("/proc/" .. pid .. "/limits"):match("Max core file size%s+(%d+)%s+(%d+)")
      assert.equal("0", limit)
    end)

    it("and left in no file that others can read", function()
      set({}, plant())
      shell("umask 0; " .. command("unlock --yes --no-wait") .. " 2>&1")
      local files = shell("grep -rlF -e '" .. SECRETS.access .. "' -e '" .. SECRETS.event .. "' '"
        .. home .. "'")
      local count = 0
      for path in files:gmatch("[^\n]+") do
        count = count + 1
        assert.equal("600", shell("stat -c %a '" .. path .. "'"))
        assert.equal("700", shell("stat -c %a '" .. path:match("^(.*)/") .. "'"))
      end
      assert.equal(2, count) -- the token, and the event to wait for
      assert.equal("", shell("grep -rlF -e '" .. SECRETS.answer .. "' -e '" .. SECRETS.password
        .. "' -e '" .. SECRETS.api_secret .. "' '" .. home .. "'"))
    end)
  end)
end)
