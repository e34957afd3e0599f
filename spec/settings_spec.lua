-- bmwi.cli.config: where the command line's settings come from, and how invalid ones are reported.
local helper = require "spec.helper"
local cli = require "spec.cli_helper"
local run, ok = cli.run, cli.ok
local configure, write = cli.configure, cli.write

describe("the settings", function()
  local sim, home

  setup(function() sim = helper.start({ args = { "--speed", "100" } }) end)
  teardown(function() sim:stop() end)
  before_each(function() home = cli.begin(sim) end)
  after_each(cli.finish)

  local bare = { BMWI_USERNAME = false, BMWI_PASSWORD = false, BMWI_API_KEY = false,
    BMWI_API_SECRET = false, BMWI_BASE_URL = false }

  local function whole()
    return "# my car\r\nusername = whatever@example.com\r\npassword= p4ssw0rd \r\n\r\n"
      .. "basic = a2V5OnNlY3JldA==\nbase-url = " .. sim.url .. "\n"
  end

  it("are all that a run needs", function()
    configure(whole() .. "units = imperial\n")
    assert.is_truthy(ok("status", bare).out:find("767 mi", 1, true))
    assert.is_truthy(ok("status --units metric", bare).out:find("1234 km", 1, true))
  end)

  it("are overridden by the environment, and that by options", function()
    configure(whole() .. "units = imperial\nbase_url = http://127.0.0.1:1\n"
      .. "wait_timeout = 5\n")
    assert.equal(2, run("status", bare).code) -- base_url is given twice
    configure("base_url = http://127.0.0.1:1\nunits = imperial\n")
    assert.is_truthy(ok("status").out:find("767 mi", 1, true))
    assert.is_truthy(ok("status", { BMWI_UNITS = "metric" }).out:find("1234 km", 1, true))
    assert.equal(1, run("status --base-url http://127.0.0.1:1", { BMWI_RETRIES = "0" }).code)
    assert.is_truthy(run("doctor --json --region china", { BMWI_RETRIES = "0" }).out
      :find("b2vapi.bmwgroup.cn:8592", 1, true))
  end)

  it("may hold values with spaces, quotes and signs", function()
    configure((whole():gsub("password= p4ssw0rd ", 'password = " a=b#c\\"')))
    assert.equal(4, run("status", bare).code)
    local form = helper.form(sim:log()[1].body)
    assert.equal(" a=b#c\\", form.password)
  end)

  it("must be private", function()
    configure(whole(), "640")
    local result = run("status", bare)
    assert.equal(2, result.code)
    assert.is_truthy(result.err:find("chmod 600 " .. home .. "/bmwi/config", 1, true))
    assert.equal(0, #sim:log())
  end)

  it("must be the user's own", function()
    if cli.shell("id -u") ~= "0" then return pending("only root can give a file away") end
    local result
    configure(whole())
    cli.shell("chown 65534 " .. home .. "/bmwi/config")
    for _, arguments in ipairs { "status", "doctor" } do
      result = run(arguments, bare)
      assert.equal(2, result.code)
      local said = result.out .. result.err
      assert.is_truthy(said:find("another user", 1, true), said)
      assert.is_truthy(said:find("chown", 1, true), said)
      assert.is_nil(said:find("chmod", 1, true), said)
    end
  end)

  it("are checked line by line, and an invalid line's content is not shown", function()
    for text, told in pairs {
      ["pasword = hunter2\n"] = "Did you mean password?",
      ["frobnicate = hunter2\n"] = "Known keys: api_key, api_secret",
      ["hunter2\n"] = "key = value",
      ["username = hunter2\n"] = "username is given twice",
      ["timeout = 5\n"] = "wait_timeout", -- it meant two things
    } do
      cli.configure("username = u\n" .. text)
      local result = run("status")
      assert.equal(2, result.code, text)
      assert.is_truthy(result.err:find("config line 2", 1, true), result.err)
      assert.is_truthy(result.err:find(told, 1, true), result.err)
      cli.assert_two_lines(result.err)
      assert.is_nil(result.err:find("hunter2", 1, true), result.err)
    end
    cli.configure("")
    assert.is_truthy(run("status", { BMWI_TIMEOUT = "5" }).err:find("wait_timeout", 1, true))
  end)

  it("of the environment are checked, too: a name that is almost one is reported", function()
    local variables = { BMWI_UNTIS = "hunter2", BMWI_units = "hunter2", BMWI_CONFG = "hunter2" }
    -- those of other programs, and of the project's own ones
    for name in ("SIM SIM_CERT SIM_KEY SPEC_NOW CLOCK COVER DNS NAMES PIPE DISK AHEAD BROKER URL "
      .. "OPENAPI MOCK_EXAMPLES MOCK_RANDOM HOST"):gmatch("%S+") do
      variables["BMWI_" .. name] = "x"
    end
    assert.equal("BMWI_CONFG is not a setting. Did you mean BMWI_CONFIG?\n"
      .. "BMWI_UNTIS is not a setting. Did you mean BMWI_UNITS?\n"
      .. "BMWI_units is not a setting. Did you mean BMWI_UNITS?\n", ok("status", variables).err)
    assert.equal("", ok("status --quiet", variables).err)
    helper.has(ok("doctor", { BMWI_UNTIS = "x" }).err, "Did you mean BMWI_UNITS?")
  end)

  -- key, value, part of the message
  local WRONG = {
    { "units", "stone", "metric, imperial" },
    { "region", "mars", "rest_of_world, usa" },
    { "retries", "many", "a number" },
    { "retries", "11", "from 0" },
    { "request_timeout", "0", "above 0" },
    { "request_timeout", "0x10", "a number" },
    { "connect_timeout", "-1", "above 0" },
    { "wait_timeout", "nan", "above 0" },
    { "interval", "soon", "above 0" },
    { "interval", "1e12", "at most 86400" },
    { "wait_timeout", "1e5", "at most 86400" },
    { "request_timeout", "1e5", "from 0.001 to 86400" },
    { "position", "here", "LAT,LON" },
    { "position", "91,0", "-90 to 90" },
    { "vin", "WBA", "17 characters" },
    { "base_url", "127.0.0.1:8080", "(http:// for a loopback address)" },
    { "base_url", "http://example.com", "loopback" },
    { "base_url", "https://example.com/?a", "query" },
    { "navigation_url", "example.com", "https://" },
    { "token_url", "/oauth", "https://" },
    { "token_path", "oauth", "not a plain path" },
    { "poi_field", "poi", "data, body" },
    { "ca_file", "/nowhere/ca.pem", "No such file" },
    { "ca_file", "/", "cannot be read" },
    { "ca_file", "bin/bmwi", "no PEM certificate" },
    { "ca_file", "~/ca.pem", "No such file" },
    { "username", "'me'", "quote" },
    { "username", "\226\128\156me\226\128\157", "quote" },
    { "username", "me # that is me", "on its own line" },
    { "password", "'hunter2'", "quote" },
    { "password", '"hunter2" # mine', "quote" },
    { "api_key", "hunter2 # mine", "on its own line" },
    { "api_key", "hunter:2", "':'" },
    { "basic", "hunter 2", "base64" },
  }
  local SECRET = { password = true, api_key = true, basic = true }

  for _, case in ipairs(WRONG) do
    local name, value, told = case[1], case[2], case[3]
    it(("are rejected with file, line and value: %s = %s"):format(name, value), function()
      cli.configure("# mine\n\n" .. name .. " = " .. value .. "\n")
      local variable = { ["BMWI_" .. name:upper()] = false }
      if name == "basic" then
        variable.BMWI_API_KEY, variable.BMWI_API_SECRET = false, false
      elseif name == "region" then
        variable.BMWI_BASE_URL = false
      end
      local result = run("status", variable)
      assert.equal(2, result.code, result.err)
      assert.is_truthy(result.err:find("bmwi/config line 3", 1, true), result.err)
      assert.is_truthy(result.err:find(told, 1, true), result.err)
      cli.assert_two_lines(result.err)
      if SECRET[name] then
        assert.is_nil(result.err:find("hunter", 1, true), result.err)
      else
        assert.is_truthy(result.err:find(name .. " = " .. value, 1, true), result.err)
      end
      assert.equal(0, #sim:log())
      local report = run("doctor", variable)
      assert.equal(2, report.code, report.out)
      assert.is_truthy(report.out:find("ok    configuration", 1, true), report.out)
      assert.is_truthy(report.out:find("FAIL  settings", 1, true), report.out)
      assert.is_truthy(report.out:find(told, 1, true), report.out)
      assert.is_nil(report.out:find("hunter", 1, true), report.out)
    end)
  end

  it("are named by their variable or option if they came from there", function()
    local result = run("status", { BMWI_VIN = "WBA" })
    assert.is_truthy(result.err:find("vin = WBA (BMWI_VIN)", 1, true), result.err)
    result = run({ "status", "--base-url", "https://u:hunter2@example.com" })
    assert.equal(2, result.code)
    assert.is_truthy(result.err:find("(--base-url)", 1, true), result.err)
    assert.is_nil(result.err:find("hunter2", 1, true), result.err)
    for origin, said in pairs { ["--request-timeout"] = run("status --request-timeout 99999"),
      BMWI_REQUEST_TIMEOUT = run("status", { BMWI_REQUEST_TIMEOUT = "99999" }) } do
      assert.equal(2, said.code, said.err)
      helper.has(said.err, ("request_timeout = 99999 (%s): "):format(origin))
      helper.has(said.err, "from 0.001 to 86400")
    end
  end)

  it("take ~ for the home folder in a path", function()
    cli.configure("token_file = ~/kept\nca_file = ~/ca.pem\n")
    write(home .. "/ca.pem", cli.read(helper.certs() .. "/ca.pem"))
    ok("status")
    assert.is_truthy(cli.read(home .. "/kept"))
    ok({ "status", "--ca-file=~/ca.pem" })
  end)

  it("may come through a symbolic link", function()
    write(home .. "/real", whole())
    cli.shell(("mkdir %s/bmwi && ln -s ../real %s/bmwi/config"):format(home, home))
    ok("status", bare)
    cli.shell("chmod 644 " .. home .. "/real")
    assert.equal(2, run("status", bare).code)
  end)

  it("may be in a named file, which then must exist", function()
    write(home .. "/mine", whole())
    ok({ "status", "--config", home .. "/mine" }, bare)
    assert.equal(2, run({ "status", "--config", home .. "/none" }, bare).code)
    ok("status", { BMWI_CONFIG = home .. "/mine", BMWI_BASE_URL = false })
  end)

  it("must name a server, if nothing else does", function()
    local result = run("status", { BMWI_BASE_URL = false })
    assert.equal(2, result.code)
    assert.is_truthy(result.err:find("bmwi demo", 1, true))
  end)

  it("can include the position", function()
    configure("position = 51.5, -0.12\n")
    ok("status")
    local log = sim:log()
    assert.equal("51.500000", helper.query(log[#log].query).dlat)
  end)
end)
