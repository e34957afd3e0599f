-- bmwi.config: programs share the command line's settings and log-in.
local cli = require "spec.cli_helper"
local docs = require "spec.docs_helper"
local helper = require "spec.helper"

local SETTINGS = "base_url = %s\nusername = whatever@example.com\npassword = p4ssw0rd\n"
  .. "api_key = key\napi_secret = secret\nvin = WAB1C23456V123456\nunits = imperial\n"

describe("bmwi.config", function()
  local sim

  setup(function() sim = helper.start() end)
  teardown(function() sim:stop() end)
  before_each(function() cli.begin(sim) end)
  after_each(function() cli.finish() end)

  local function run(text)
    return docs.run_lua(text, ("HOME=%s XDG_CONFIG_HOME=%s XDG_STATE_HOME=%s/state"):format(
      cli.home, cli.home, cli.home))
  end

  local READS = [[
    local options, settings = assert(require "bmwi.config".load(...))
    local client = require "bmwi".new(options)
    print(settings.vin, settings.units, client:vehicle(settings.vin):status().mileage)
  ]]

  it("gives a client that shares the command line's log-in", function()
    cli.configure(SETTINGS:format(sim.url))
    for _ = 1, 2 do
      assert.same({ "WAB1C23456V123456\timperial\t1234\n", 0 }, { run(READS) })
    end
    assert.equal(1, sim:count("POST", "/token"))
    assert.truthy(helper.read(cli.state() .. "token.json"):find("access_token", 1, true))
  end)

  it("needs no password if the log-in is saved", function()
    cli.configure(SETTINGS:format(sim.url))
    run(READS)
    cli.configure((SETTINGS:format(sim.url):gsub("password = p4ssw0rd\n", "")))
    assert.same({ "WAB1C23456V123456\timperial\t1234\n", 0 }, { run(READS) })
    assert.equal(1, sim:count("POST", "/token"))
  end)

  it("does not repeat a refused log-in, even in the next run", function()
    cli.configure((SETTINGS:format(sim.url):gsub("p4ssw0rd", "wrong")))
    local text = READS:gsub("%.mileage", "") .. "print((select(3, client:vehicles())))"
    for _ = 1, 2 do assert.truthy(run(text):find("auth\n", 1, true)) end
    assert.equal(1, sim:count("POST", "/token"))
  end)

  it("reports what is wrong with the file, as the command line does", function()
    cli.configure("base_url = http://127.0.0.1:1\nregon = usa\n")
    local output = run([[
      local options, message, code, info = require "bmwi.config".load()
      print(options, code, message, info.hint)
    ]])
    assert.truthy(output:find("^nil\tconfig\t.*/config line 2: unknown key regon\tDid you mean"),
      output)
  end)

  it("accepts the path of another file", function()
    local path = cli.home .. "/other"
    cli.write(path, SETTINGS:format(sim.url))
    local output = run(READS:gsub("%.%.%.", ("%q"):format(path)))
    assert.equal("WAB1C23456V123456\timperial\t1234\n", output)
    assert.has_error(function() require("bmwi.config").load({}) end)
  end)
end)
