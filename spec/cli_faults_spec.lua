-- The command line when something fails on the way: a log-in that cannot be saved, Ctrl-C at an
-- awkward moment, a log-in that fails during a command. What it says then must be true.
local bmwi = require "bmwi"
local helper = require "spec.helper"
local cli = require "spec.cli_helper"
local json = helper.json

local CLIENT = "6b1f5a52-9d2e-4c0f-8a53-1f0c2d3e4b5a"

describe("bmwi, when something fails:", function()
  local sim, home

  setup(function() sim = helper.start({ args = { "--speed", "100" } }) end)
  teardown(function() sim:stop() end)
  before_each(function()
    home = cli.begin(sim)
    sim:control("POST", "/cardata/login", { interval = 1, allow_after = 0 })
    sim:clear()
  end)
  after_each(cli.finish)

  local SERVICES = {
    classic = function() return {} end,
    cardata = function()
      return { BMWI_SERVICE = "cardata", BMWI_CLIENT_ID = CLIENT, BMWI_VIN = "WBYCARDATA0000001",
        BMWI_LOGIN_URL = sim.url .. "/gcdm/oauth" }
    end,
  }
  local function settings(service, more)
    local all = SERVICES[service]()
    for name, value in pairs(more or {}) do all[name] = value end
    return all
  end

  for service in pairs(SERVICES) do
    it("a log-in that cannot be saved has failed: " .. service, function()
      cli.write(home .. "/occupied", "a file, so no folder")
      local lost = settings(service, { BMWI_TOKEN_FILE = home .. "/occupied/token.json" })
      local result = cli.run("login", lost)
      assert.equal(1, result.code, result.out .. result.err)
      helper.has(result.err, "the log-in cannot be saved: ")
      helper.has(result.err, home .. "/occupied")
      assert.is_nil((result.out .. result.err):find("Kept in", 1, true))
      assert.equal("", result.out)
      local _, times = result.err:lower():gsub("cannot be saved", "")
      assert.equal(1, times, result.err)
      result = cli.run("login --json", lost)
      assert.equal(1, result.code)
      assert.equal("", result.out)
      local told = json.decode(result.err:match("[^\n]*\n$")).error
      assert.equal("file", told.code)
      helper.has(told.message, "the log-in cannot be saved: ")
    end)
  end

  for service in pairs(SERVICES) do
    it("a log-in is not begun where it cannot be saved: " .. service, function()
      cli.shell(("mkdir %s/folder && mkfifo %s/fifo"):format(home, home))
      for _, name in ipairs { "folder", "fifo" } do
        local file = { BMWI_TOKEN_FILE = home .. "/" .. name }
        local result = cli.run("login", settings(service, file))
        assert.equal(1, result.code, result.out .. result.err)
        helper.has(result.err, "the log-in cannot be saved: ")
      end
      assert.equal(0, #sim:log())
      assert.equal("", cli.shell(("cd %s && ls -d fi*.* fo*.* 2>/dev/null"):format(home)))
    end)
  end

  for service in pairs(SERVICES) do
    it("what runs on ends where its output cannot be written: " .. service, function()
      if not io.open("/dev/full", "a") then return pending("there is no /dev/full") end
      cli.ok("login", settings(service))
      for _, words in ipairs { { "watch", "--json" }, { "watch" }, { "bridge", "--json" } } do
        for output, reason in pairs { [">/dev/full"] = "No space left on device",
          ["| true"] = "Broken pipe" } do
          local script = ("trap '' PIPE; { timeout 30 %s 2>%s/err; echo $? >%s/code; } %s"):format(
            cli.command(words, settings(service)), home, home, output)
          cli.shell(script)
          local said = cli.read(home .. "/err")
          assert.equal("1\n", cli.read(home .. "/code"), said)
          helper.has(said, "cannot write the result: " .. reason)
          if not words[2] then cli.assert_two_lines(said) end
        end
      end
    end)
  end

  it("what runs on ends where its recording cannot be written", function()
    cli.ok("login")
    for _, name in ipairs { "watch", "bridge" } do
      -- A file can have four blocks of 512 bytes, as if the disk were full then.
      local command = cli.command { name, "--json", "--every", "1", "--record",
        home .. "/day.jsonl" }
      local code = cli.shell(("ulimit -f 4; timeout 30 %s 2>%s/err >/dev/null;"
        .. " echo $?"):format(command, home))
      local said = cli.read(home .. "/err")
      assert.equal("1", code, said)
      assert.equal(("the recording %s/day.jsonl ends early: File too large"):format(home),
        json.decode(said:match("[^\n]*\n$")).error.message)
    end
  end)

  it("a result that is too large for a file is a failure, not the end by a signal", function()
    cli.ok("login")
    for _, to in ipairs { home .. "/out.json", "/dev/stdout" } do
      local command = cli.command { "status", "--json", "-o", to }
      local code = cli.shell(("ulimit -f 1; %s >%s/out 2>%s/err; echo $?"):format(command, home,
        home))
      assert.equal("1", code)
      helper.has(cli.read(home .. "/err"), "File too large")
    end
  end)

  it("a text of --name cannot control the terminal", function()
    local result = cli.ok { "poi", "48.1,11.5", "--name", "a\27[31mb" }
    helper.has(result.out, "a?[31mb")
  end)

  it("a log-in that has expired is not said to expire later", function()
    cli.ok("login", settings("cardata"))
    local file = cli.state() .. "token.json"
    local kept = json.decode(cli.read(file))
    kept.refresh_expires_at = os.time() - 86400
    cli.write(file, json.encode(kept))
    local result = cli.run("quota", settings("cardata"))
    helper.has(result.err, "The log-in expired on ")
    assert.is_nil(result.err:find("unless", 1, true), result.err)
  end)

  it("a schedule of more than 1 MiB is not read", function()
    for _, path in ipairs { "/dev/zero", home .. "/big" } do
      if path ~= "/dev/zero" then cli.write(path, (" "):rep(1024 * 1024) .. "{}") end
      local result = cli.run { "charging-profile", "set", path }
      assert.equal(2, result.code, result.err)
      helper.has(result.err, path .. " is larger than 1 MiB")
    end
  end)

  it("a log-in that fails during a command has sent nothing to the car", function()
    local lock = { BMWI_VIN = "WBY1Z21010V300001", BMWI_RETRIES = "0" }
    for _, case in ipairs { { status = 503 }, { status = 500 } } do
      case.path, case.times = "oauth/token", 0
      sim:reset()
      sim:fault(case)
      for _, arguments in ipairs { "lock", "poi 48.1,11.5" } do
        local result = cli.run(arguments .. " --json", lock)
        assert.equal(1, result.code, result.err)
        local told = json.decode(result.err:match("[^\n]*\n$")).error
        assert.equal("server", told.code)
        helper.has(told.message, "log-in failed: HTTP " .. case.status)
        helper.has(told.message, "nothing was sent to the car")
        assert.is_nil((told.hint or ""):find("may have", 1, true), told.hint)
      end
    end
    assert.equal(0, sim:count("POST", "executeService"))
  end)

  -- Runs the command with these faults; its output has each part of `says`, and none of `never`.
  local function tells(case)
    for _, fault in ipairs(case.faults) do
      fault.times = fault.times or 0
      sim:fault(fault)
    end
    local environment = { BMWI_RETRIES = "0" }
    for name, value in pairs(case.environment or {}) do environment[name] = value end
    for _ = 1, case.runs or 1 do
      case.result = cli.run(case[2], settings(case[1], environment))
    end
    local said = case.result.err
    assert.are_not.equal(0, case.result.code, said)
    for _, part in ipairs(case.says) do helper.has(said, part) end
    for _, part in ipairs(case.never) do assert.is_nil(said:find(part, 1, true), said) end
  end

  local CODE = "oauth/device/code"
  for title, case in pairs {
    ["a log-in that CarData cannot take costs no call"] = { "cardata", "login",
      faults = { { path = CODE, status = 500 } },
      says = { "log-in failed: HTTP 500", "try again later" }, never = { "quota" } },
    ["the address of CarData's log-in is login_url"] = { "cardata", "login",
      faults = { { path = CODE, raw = "<html>welcome</html>" } },
      says = { "login_url" }, never = { "base_url" } },
    ["so it is where it redirects"] = { "cardata", "login",
      faults = { { path = CODE, status = 302, headers = { Location = "http://127.0.0.1:1/x" } } },
      says = { "login_url" }, never = { "base_url", "token_url" } },
    ["so it is where nothing is there"] = { "cardata", "login",
      faults = { { path = CODE, status = 404 } }, says = { "login_url" }, never = { "base_url" } },
    ["the time of a request is request_timeout with CarData, too"] = { "cardata", "login",
      faults = { { path = CODE, latency = 5 } }, environment = { BMWI_REQUEST_TIMEOUT = "0.2" },
      says = { "request_timeout (--request-timeout SECONDS)" }, never = { "option `timeout`" } },
    ["nobody is logged in"] = { "cardata", "status", faults = {},
      says = { "bmwi: not logged in\n", "bmwi login" }, never = { "failed" } },
    ["a refused log-in without a time is not retried"] = { "classic", "vehicles", runs = 2,
      faults = { { path = "oauth/token", status = 404 } },
      says = { "It is not retried by itself" }, never = { "that time" } },
    ["a command without a reply may have been carried out"] = { "classic", "lock",
      faults = { { path = "/executeService", close = "after" } },
      says = { "The car may have done it" }, never = { "TLS", "https" } },
    ["so may one whose refusal sounds like another fault"] = { "classic", "lock",
      faults = { { path = "/executeService", status = 503,
        body = '{"error":{"code":500,"description":"dlat and dlon: the session has expired"}}' } },
      says = { "The car may have done it" }, never = { "certificate", "BMWI_POSITION" } },
    ["the server's words are not about a certificate"] = { "classic", "status",
      faults = { { path = "/status", status = 403,
        body = '{"error":{"code":403,"description":"Your subscription has expired"}}' } },
      says = { "subscription has expired" }, never = { "certificate" } },
    ["BMW's own servers are switched off"] = { "classic", "status", faults = {},
      environment = { BMWI_BASE_URL = false, BMWI_REGION = "rest_of_world",
        BMWI_PROXY = "http://127.0.0.1:1" },
      says = { "bmwi doctor", "2021-11-09", "service = cardata", "bmwi demo" }, never = {} },
    ["an invalid response comes after a log-in that was good"] = { "classic", "status",
      faults = { { path = "/status", raw = "null" } },
      says = { "status failed" }, never = { "for the log-in" } },
  } do
    it(title, function() tells(case) end)
  end

  it("waiting for a command that was never sent does not sound like the wrong server", function()
    for name, again in pairs { lock = "bmwi lock", CHARGE_NOW = "bmwi charge",
      ["charging-profile"] = "bmwi charging-profile set FILE" } do
      local result = cli.run { "wait", name, "--json" }
      assert.equal(1, result.code, result.err)
      local told = json.decode(result.err).error
      assert.equal("not_found", told.code)
      assert.equal("A-2012", told.api_code)
      helper.has(told.message, ": the service knows of no such command for this car")
      helper.has(told.hint, "To send it: " .. again)
    end
    -- Anything else that is not found may well be.
    sim:fault({ path = "serviceExecutionStatus", times = 0, status = 404 })
    helper.has(cli.run("wait lock").err, "Another server")
  end)

  it("too few file descriptors are no crash", function()
    cli.ok("login")
    local reasons = 0
    for most = 5, 14 do
      cli.shell(("(ulimit -n %d; %s) >%s/out 2>&1"):format(most,
        cli.command { "lock", "--no-wait" }, home))
      local said = cli.read(home .. "/out")
      assert.is_nil(said:find("traceback", 1, true), said)
      assert.is_nil(said:find("no file", 1, true), said)
      if said:find("cannot be opened: Too many open files", 1, true) then reasons = reasons + 1 end
    end
    -- An interpreter that a shell starts, as that of `make asan`: the shell needs more than these.
    assert.is_true(reasons > 0 or helper.interpreter:find("/", 1, true) ~= nil)
  end)

  it("what cannot be explained is at least said", function()
    cli.ok("login")
    cli.write(home .. "/init.lua", [[
      for _, name in ipairs { "report", "explain" } do
        package.preload["bmwi.cli." .. name] = function() error("no file '1'\n\tno file '2'") end
      end]])
    local init = { LUA_INIT = "@" .. home .. "/init.lua", BMWI_RETRIES = "0" }
    local result = cli.run("nonsense", init)
    assert.equal("bmwi: unknown command nonsense\n", result.err)
    assert.equal(2, result.code)
    sim:fault({ path = "/status", times = 0, status = 503 })
    result = cli.run("status", init)
    assert.truthy(result.err:find("^bmwi: status failed: [^\n]*\n$"), result.err)
    assert.equal(1, result.code)
    sim:fault({ path = "/executeService", close = "after" })
    result = cli.run("lock --quiet", init)
    assert.truthy(result.err:find("^bmwi: Lock the doors: it was sent, or may have been, and the "
      .. "car may still carry it out: [^\n]*\n$"), result.err)
    assert.equal(3, result.code)
    if not io.open("/dev/full", "a") then return end
    local code = cli.shell(("%s >/dev/full 2>%s/err; echo $?"):format(
      cli.command({ "lock", "--quiet" }, init), home))
    assert.equal("bmwi: Lock the doors: done by the car (EXECUTED): cannot write the result: "
      .. "No space left on device\n", cli.read(home .. "/err"))
    assert.equal("3", code)
  end)

  it("the module's limit of --count is known before anything is sent", function()
    cli.ok("flash --no-wait --count 100")
    local result = cli.run("flash --count 101")
    assert.equal(2, result.code)
    assert.is_nil(result.err:find("sending", 1, true), result.err)
    local car = bmwi.new(helper.client(sim)):vehicle("WBY1Z21010V300001")
    local accepted, message = pcall(car.flash_lights, car, { count = 101 })
    assert.is_false(accepted)
    helper.has(message, "count: a whole number from 1 to 100 expected")
  end)

  it("one file cannot hold the result and the recording", function()
    cli.ok("login")
    local file = home .. "/both"
    local result = cli.run({ "status", "-o", file, "--record", home .. "/./both" })
    assert.equal(2, result.code, result.err)
    helper.has(result.err, "the same file")
    assert.is_nil(cli.read(file))
    assert.equal(0, sim:count("GET"))
  end)

  it("no file that a command writes is the configuration, the log-in or another such file",
    function()
      cli.configure("units = metric\n")
      cli.ok("login")
      sim:clear()
      local config, token = home .. "/bmwi/config", cli.state() .. "token.json"
      local before = { cli.read(config), cli.read(token) }
      os.execute(("ln %s %s/hard; ln -s %s %s/soft"):format(token, home, config, home))
      for words, said in pairs {
        ["status --record " .. config] = "--record names the configuration file",
        ["status --record " .. home .. "/soft"] = "--record names the configuration file",
        ["status --record " .. home .. "/bmwi/./config"] = "--record names the configuration file",
        ["status --config " .. config .. " -o " .. config] = "--output names the configuration",
        ["status --record " .. token] = "--record names the file of the log-in",
        ["status --record " .. home .. "/hard"] = "--record names the file of the log-in",
        ["watch --record " .. token] = "--record names the file of the log-in",
        ["bridge --prometheus %s/x.prom --record %s/./x.prom"] = "--record name the same file",
        ["bridge --prometheus %s/x.prom -o %s/x.prom"] = "--output and --prometheus name the same",
      } do
        local result = cli.run((words:gsub("%%s", home)))
        assert.equal(2, result.code, words .. result.err)
        helper.has(result.err, said)
      end
      assert.same(before, { cli.read(config), cli.read(token) })
      assert.equal(0, sim:count("GET"))
      cli.ok { "status", "--record", home .. "/day.jsonl", "-o", home .. "/status" }
      cli.ok { "status", "--record", home .. "/day.jsonl", "-o", home .. "/status" }
    end)

  it("a server cannot change the direction of text", function()
    local clean = require("bmwi.cli.output").clean
    for _, control in ipairs { "\226\128\142", "\226\128\143", "\226\128\170", "\226\128\174",
      "\226\129\166", "\226\129\169" } do
      assert.equal("a?b", clean("a" .. control .. "b"))
    end
    local words = "caf\195\169 \226\128\147 \226\128\153 \226\128\141 \226\129\165 \226\130\172"
    assert.equal(words, clean(words))
  end)

  it("without any configuration it says how to start", function()
    local nothing = { BMWI_BASE_URL = false, BMWI_USERNAME = false, BMWI_PASSWORD = false,
      BMWI_API_KEY = false, BMWI_API_SECRET = false }
    local result = cli.run("status", nothing)
    assert.equal(2, result.code, result.err)
    for _, part in ipairs { "nothing is set up", "service = cardata", "client_id",
      "docs/cardata.md", "bmwi demo" } do
      helper.has(result.err, part)
    end
    nothing.BMWI_USERNAME = "me"
    helper.has(cli.run("status", nothing).err, "no server is set")
  end)
end)
