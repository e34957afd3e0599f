-- bmwi.cli.doctor: it reports what is wrong with a set-up, and what to do, at the right step.
local helper = require "spec.helper"
local cli = require "spec.cli_helper"
local json = helper.json
local run, ok = cli.run, cli.ok
local assert_no_secret, write, state, read = cli.assert_no_secret, cli.write, cli.state, cli.read

describe("bmwi doctor", function()
  local sim, home

  setup(function() sim = helper.start({ args = { "--speed", "100" } }) end)
  teardown(function() sim:stop() end)
  before_each(function() home = cli.begin(sim) end)
  after_each(cli.finish)

  it("reports that all is well, and shows no secret", function()
    local result = ok("doctor")
    assert.is_truthy(result.out:find("All is well.", 1, true))
    assert.is_nil(result.out:find("FAIL", 1, true))
    assert_no_secret(result.out .. result.err)
    local told = json.decode(ok("doctor --json").out)
    assert.is_true(told.ok)
    assert.equal(15, #told.steps)
  end)

  it("names the step that fails, its code and what to do", function()
    local result = run("doctor", { BMWI_PASSWORD = "wrong" })
    assert.equal(4, result.code)
    assert.is_truthy(result.out:find("FAIL  log-in", 1, true), result.out)
    assert.is_truthy(result.out:find("code: auth", 1, true))
    result = run("doctor", { BMWI_BASE_URL = "http://127.0.0.1:1", BMWI_RETRIES = "0" })
    assert.equal(1, result.code)
    assert.is_truthy(result.out:find("FAIL  server ", 1, true), result.out)
    assert.is_truthy(result.out:find("code: network", 1, true))
    result = run("doctor", { BMWI_BASE_URL = false })
    assert.equal(2, result.code)
    assert.is_truthy(result.out:find("FAIL  settings", 1, true))
    assert.is_truthy(result.out:find("--base-url", 1, true), result.out)
    assert.is_truthy(result.out:find("bmwi demo", 1, true), result.out)
    write(home .. "/open", "units = metric\n", "644")
    result = run({ "doctor", "--config", home .. "/open" })
    assert.equal(2, result.code)
    assert.is_truthy(result.out:find("FAIL  configuration", 1, true))
    assert.is_truthy(result.out:find("chmod 600 " .. home .. "/open", 1, true))
    ok("login")
    sim:fault({ path = "/status", recorded = "gone", times = 0 })
    local told = json.decode(run("doctor --json").out)
    assert.is_false(told.ok)
    assert.equal("gone", told.steps[#told.steps].code)
    assert.is_truthy(told.steps[#told.steps].hint:find("2021-11-09", 1, true))
  end)

  it("reports the state of a saved log-in", function()
    ok("login")
    local file = state() .. "token.json"
    local kept = json.decode(read(file))
    local function rewrite(change)
      for name, value in pairs(change) do kept[name] = value end
      write(file, json.encode(kept))
    end
    rewrite({ scope = "vehicle_data" })
    local result = run("doctor")
    assert.equal(1, result.code)
    assert.is_truthy(result.out:find("does not cover: remote_services", 1, true), result.out)
    rewrite({ expires_at = 1 })
    result = ok("doctor")
    assert.is_truthy(result.out:find("expired; will be renewed", 1, true), result.out)
    rewrite({ expires_at = 1e308 }) -- a year that has no name
    result = run("doctor")
    assert.is_truthy(result.out:find("ok    saved log-in       valid\n", 1, true), result.out)
    -- Damaged: the next log-in replaces it, as in every command.
    for _, text in ipairs { "{", "", "[]", '{"access_token":1}' } do
      write(file, text)
      result = ok("doctor")
      assert.is_truthy(result.out:find("ok    saved log-in", 1, true), result.out)
      assert.is_truthy(result.out:find("is damaged, or belongs to", 1, true), result.out)
      write(file, text)
      ok("status")
      write(file, text)
      result = run("doctor", { BMWI_PASSWORD = false })
      assert.equal(4, result.code, result.out)
      assert.is_truthy(result.out:find("FAIL  settings", 1, true), result.out)
    end
  end)

  -- A report in which a step fails, with the advice; what follows is found, what is not `wrong`.
  local function fails(step, found, wrong, environment, arguments)
    local result = run(arguments or "doctor", environment)
    assert.are_not.equal(0, result.code, result.out)
    assert.is_truthy(result.out:find("FAIL  " .. step .. " ", 1, true), result.out)
    assert.is_nil(result.out:find("All is well", 1, true), result.out)
    assert.is_nil(result.out:find("bmwi doctor", 1, true), result.out)
    for _, text in ipairs(found) do
      assert.is_truthy(result.out:find(text, 1, true), text .. " in:\n" .. result.out)
    end
    for _, text in ipairs(wrong or {}) do
      assert.is_nil(result.out:find(text, 1, true), text .. " in:\n" .. result.out)
    end
    cli.assert_no_secret(result.out)
    return result
  end

  it("names no file that does not exist", function()
    local result = run("doctor", { BMWI_VIN = "WBA" })
    assert.is_truthy(result.out:find("configuration      no file", 1, true), result.out)
    assert.is_truthy(result.out:find("FAIL  settings", 1, true), result.out)
  end)

  it("reports missing log-in settings that it cannot prompt for", function()
    fails("settings", { "password", "BMWI_PASSWORD" }, {}, { BMWI_PASSWORD = false })
    ok("login")
    ok("doctor", { BMWI_PASSWORD = false }) -- the kept one will do
  end)

  describe("if the log-in cannot be saved", function()
    it("says so, as each command does in a warning", function()
      if not read("/proc/self/stat") then pending("no /proc, where even root can make no file") end
      local nowhere = { BMWI_TOKEN_FILE = "/proc/bmwi/token.json" }
      assert.is_truthy(ok("status", nowhere).err:find("could not be saved", 1, true))
      fails("saved log-in", { "token_file", "/proc/bmwi/token.json" }, {}, nowhere)
      fails("saved log-in", { "not a regular file" }, {}, { BMWI_TOKEN_FILE = home })
    end)

    it("leaves nothing behind if it can be saved", function()
      ok("doctor")
      assert.equal("token.json token.json.lock token.json.write.lock",
        cli.shell("echo $(ls " .. state() .. ")"))
    end)

    it("names the owner if that is the problem", function()
      if cli.shell("id -u") ~= "0" then pending("only root can give a file away") end
      ok("login")
      cli.shell("chown 65534 " .. state() .. "token.json")
      fails("saved log-in", { "another user", "chown" }, { "chmod" })
      assert.is_truthy(run("status").err:find("chown", 1, true))
    end)
  end)

  describe("with several cars", function()
    local two

    setup(function()
      two = helper.start({ vehicles = [[{"vehicles":[
        {"vin":"WAB1C23456V123456","model":"I3 +REX","licensePlate":"AB64 1BC","bodytype":"I01"},
        {"vin":"WBY1Z21000V000002","model":"I3","bodytype":"I01"}]}]] })
    end)
    teardown(function() if two then two:stop() end end)

    it("asks for the VIN, as each command does", function()
      fails("car", { "several cars", "WBY1Z21000V000002 (I3)", "--vin" }, {},
        { BMWI_BASE_URL = two.url })
      ok("doctor", { BMWI_BASE_URL = two.url, BMWI_VIN = "wby1z21000v000002" })
    end)
  end)

  it("detects a VIN that does not belong to this account", function()
    local other = { BMWI_VIN = "WBY1Z21000V000009" }
    fails("car", { "not one of this account's cars: WAB1C23456V123456" }, { "region" }, other)
    for _, arguments in ipairs { "status", "lock", "trips last" } do
      local result = run(arguments, other)
      assert.equal(2, result.code, result.err)
      local told = "not one of this account's cars: WAB1C23456V123456"
      assert.is_truthy(result.err:find(told, 1, true), result.err)
    end
  end)

  for _, status in ipairs { 301, 404, 405, 501 } do
    it("detects a server that is not the car service: " .. status, function()
      local body = "<!DOCTYPE html><html><body>Error</body></html>"
      sim:fault({ path = "/oauth/token", status = status, body = body, times = 0 })
      fails("log-in", { "does not look like the car service", "Check base_url" },
        { "try again later", "region" })
      cli.shell("rm -rf " .. state())
      local result = run("status")
      assert.is_truthy(result.err:find("does not look like the car service", 1, true), result.err)
    end)
  end

  describe("with a wrong clock", function()
    local weather, off = helper.weather(), nil

    before_each(function() off = home .. "/off" end)

    for seconds, told in pairs { [86400 * 800] = "2 years ahead of", [-90000] = "1 day behind",
      [-630] = "10 minutes behind" } do
      it("says by how much: " .. told, function()
        if not weather then pending("no library can be preloaded here") end
        write(off, tostring(seconds))
        fails("clock", { told .. " the server's", "Check this machine's clock" }, {},
          { LD_PRELOAD = weather:match("=(.*)"), BMWI_CLOCK = off })
      end)
    end

    it("tolerates a minute's difference", function()
      if not weather then pending("no library can be preloaded here") end
      write(off, "-60")
      ok("doctor", { LD_PRELOAD = weather:match("=(.*)"), BMWI_CLOCK = off })
    end)
  end)

  describe("over TLS", function()
    local secure
    setup(function() secure = helper.start({ tls = true, args = { "--speed", "100" } }) end)
    teardown(function() secure:stop() end)

    it("points to the clock if the certificate's dates do not match", function()
      local weather = helper.weather()
      if not weather then pending("no library can be preloaded here") end
      for _, seconds in ipairs { -86400 * 3650, 86400 * 36500 } do
        write(home .. "/off", tostring(seconds))
        local here = { LD_PRELOAD = weather:match("=(.*)"), BMWI_CLOCK = home .. "/off",
          BMWI_BASE_URL = secure.url, BMWI_CA_FILE = secure.ca, BMWI_RETRIES = "0" }
        fails("TLS", { "clock", "it says " }, { "ca_file", "--ca-file" }, here)
        local result = run("status", here)
        assert.equal(1, result.code)
        assert.is_truthy(result.err:find("clock", 1, true), result.err)
      end
    end)

    it("distinguishes a wrong port from an untrusted certificate", function()
      local port, stop = helper.raw("HTTP/1.1 400 Bad Request\\r\\n\\r\\n", "")
      finally(stop)
      fails("TLS", { "wrong version number", "right port" }, { "--ca-file" },
        { BMWI_BASE_URL = "https://127.0.0.1:" .. port })
      fails("TLS", { "--ca-file" }, {}, { BMWI_BASE_URL = secure.url })
      local open = secure.url:gsub("^https", "http")
      fails("server", { "https://" }, {}, { BMWI_BASE_URL = open, BMWI_RETRIES = "0" })
    end)
  end)
end)
