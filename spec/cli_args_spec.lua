-- The parts of the command line that need no server: options, commands, help, settings, failures.
-- Its behaviour as a process is in cli_spec, settings_spec and doctor_spec.
local args = require "bmwi.cli.args"
local cli = require "spec.cli_helper"
local closest = require "bmwi.cli.closest"
local commands = require "bmwi.cli.commands"
local config = require "bmwi.cli.config"
local fail = require "bmwi.cli.fail"
local help = require "bmwi.cli.help"
local names = require "bmwi._names"
local option_texts = require "bmwi.cli.option_texts"
local texts = require "bmwi.cli.command_texts"
local failure_of = cli.failure_of

local function words(line)
  local list = {}
  for word in line:gmatch("%S+") do list[#list + 1] = word end
  return list
end

describe("args.parse", function()
  for line, expected in pairs({
    [""] = { options = {}, positional = {} },
    ["status"] = { command = "status", options = {}, positional = {} },
    ["--json status"] = { command = "status", options = { json = true }, positional = {} },
    ["status -j -q"] = { command = "status", options = { json = true, quiet = true },
      positional = {} },
    ["status --units us"] = { command = "status", options = { units = "us" }, positional = {} },
    ["status --units=us"] = { command = "status", options = { units = "us" }, positional = {} },
    ["status -o FILE"] = { command = "status", options = { output = "FILE" }, positional = {} },
    ["status -oFILE"] = { command = "status", options = { output = "FILE" }, positional = {} },
    ["status --no_color"] = { command = "status", options = { ["no-color"] = true },
      positional = {} },
    ["flash --count 2 --wait-timeout=1.5"] = { command = "flash",
      options = { count = 2, ["wait-timeout"] = 1.5 }, positional = {} },
    ["poi -33.8,151.2 --lat -33.8"] = { command = "poi", options = { lat = -33.8 },
      positional = { "-33.8,151.2" } },
    ["watch --every 1e3"] = { command = "watch", options = { every = 1000 }, positional = {} },
    ["flash --count 2E+0"] = { command = "flash", options = { count = 2 }, positional = {} },
    ["get -- --json"] = { command = "get", options = {}, positional = { "--json" } },
    ["nonsense x y"] = { command = "nonsense", options = {}, positional = { "x", "y" } },
  }) do
    it("reads: " .. line, function()
      assert.same(expected, args.parse(words(line), commands))
    end)
  end

  for line, case in pairs({
    ["status --jsn"] = { "unknown option --jsn", "Did you mean --json?" },
    ["status -x"] = { "unknown option -x" },
    ["status --vin"] = { "--vin needs a value: VIN" },
    ["status --vin="] = { "--vin must not be empty" },
    ["status --json=yes"] = { "--json takes no value" },
    ["status --units miles"] = { "--units must be one of: metric, imperial, us" },
    ["flash --count 0"] = { "--count must be a whole number from 1 to 100" },
    ["flash --count 101"] = { "--count must be a whole number from 1 to 100" },
    ["flash --count 1e9"] = { "--count must be a whole number from 1 to 100" },
    ["flash --count 1.5"] = { "--count must be a whole number from 1 to 100" },
    ["flash --count 0x10"] = { "--count must be a whole number from 1 to 100" },
    ["lock --interval nan"] = { "--interval must be a number above 0" },
    ["lock --interval 0"] = { "--interval must be a number above 0" },
    ["lock --interval -1"] = { "--interval must be a number above 0" },
    ["lock --interval 1e999"] = { "--interval must be a number above 0" },
    ["lock --interval 1e12"] = { "--interval must be at most 86400" },
    ["lock --wait-timeout 100000"] = { "--wait-timeout must be at most 86400" },
    ["watch --every 0.1"] = { "--every must be a number from 1 to 86400" },
    ["bridge --every 2000000000"] = { "--every must be a number from 1 to 86400" },
    ["bridge --every e3"] = { "--every must be a number from 1 to 86400" },
    ["poi --lat north"] = { "--lat must be a number" },
    ["status --count 1"] = { "--count cannot be used with `bmwi status`", "bmwi status --help" },
    ["lock --yes"] = { "--yes cannot be used with `bmwi lock`", "bmwi lock --help" },
    ["lock --timeout 5"] = { "unknown option --timeout", "--wait-timeout" },
    ["login --password x"] = { "unknown option --password", "Secrets cannot be given" },
    ["login --api-key=x"] = { "unknown option --api-key", "Secrets cannot be given" },
  }) do
    it("refuses: " .. line, function()
      local parsed, message, hint = args.parse(words(line), commands)
      assert.is_nil(parsed)
      assert.equal(case[1], message)
      if case[2] then assert.truthy(hint:find(case[2], 1, true), hint)
      else assert.is_nil(hint)
      end
    end)
  end
end)

describe("the closest word", function()
  for word, expected in pairs({
    statsu = "status", Status = "status", stat = "status", lok = "lock",
    ["range-mpa"] = "range-map", xyzzy = false, l = false,
  }) do
    it("of " .. word .. " is " .. tostring(expected), function()
      assert.equal(expected or nil, closest.word(word, names(commands)))
    end)
  end
end)

describe("a command", function()
  for name, command in pairs(commands) do
    it("is complete: " .. name, function()
      assert.is_string(texts[name].summary)
      assert.is_true(command.most >= (command.least or 0))
      assert.is_true(name == "help" or type(command.run or command.cardata) == "function")
      for _, format in ipairs(command.formats or {}) do
        assert.equal(format, require("bmwi.cli.values").among(args.OPTIONS.format.choice, format))
      end
      for _, option in ipairs(command.options or {}) do
        assert(args.OPTIONS[option], option)
      end
    end)

    it("has examples that can be read: " .. name, function()
      assert.is_true(#texts[name].examples > 0)
      for _, example in ipairs(texts[name].examples) do
        -- The first run of the line; one that is quoted is one word.
        local line = example[1]:gsub("%s*[|&>].*", ""):gsub('"([^"]*)"', function(text)
          return (text:gsub(" ", "_"))
        end)
        local list = words(line)
        assert.equal("bmwi", table.remove(list, 1))
        local parsed, message = args.parse(list, commands)
        assert(parsed, message)
        assert.equal(name, parsed.command)
        assert.is_true(#parsed.positional <= command.most, line)
        assert.is_true(#parsed.positional >= (command.least or 0), line)
      end
    end)
  end
end)

describe("the help", function()
  local out = { paint = function(_, _, text) return text end }
  local function unfilled(text) return (text:gsub("%s+", " ")) end

  it("names every command, every common option and every setting", function()
    local text = unfilled(help.main(out))
    for name in pairs(commands) do
      assert(text:find((" %s %s "):format(name, texts[name].summary), 1, true), name)
    end
    for _, name in ipairs(args.COMMON) do
      assert(text:find(" --" .. name:gsub("%-", "%%-") .. "%f[^%w-]"), name)
    end
    for _, name in ipairs(config.NAMES) do
      assert(text:find("%f[%w_]" .. name .. "%f[^%w_]"), name)
    end
  end)

  for name, command in pairs(commands) do
    it("of " .. name .. " has its usage, examples and options, on lines that fit", function()
      local lines = help.command(commands, name, out)
      local text = unfilled(lines)
      assert(text:find("Usage: bmwi " .. (command.usage or name) .. " [OPTIONS]", 1, true))
      for _, example in ipairs(texts[name].examples) do assert(lines:find(example[1], 1, true)) end
      for _, option in ipairs(command.options or {}) do
        local value = args.OPTIONS[option].value
        local shown = " --" .. option .. (value and " " .. value or "") .. " "
        assert(text:find(shown .. option_texts.options[option], 1, true), shown)
      end
      for line in (lines .. help.main(out)):gmatch("[^\n]+") do
        assert(#line <= 100, line)
      end
    end)
  end
end)

describe("config.parse", function()
  local function values_of(text)
    local values = {}
    for name, value in pairs(config.parse(text, "FILE")) do values[name] = value[1] end
    return values
  end

  for text, expected in pairs({
    [""] = {},
    ["# a comment\n\n  username = you@example.com  \n"] = { username = "you@example.com" },
    ["\239\187\191username=a\r\nscope = b\rvin=C"] = { username = "a", scope = "b", vin = "C" },
    ['password = " two words "'] = { password = " two words " },
    ['password = "with " inside"'] = { password = 'with " inside' },
    ['password = "a # b"'] = { password = "a # b" },
    ["password = a#b"] = { password = "a#b" },
    ["API-Key = x"] = { api_key = "x" },
    ["scope ="] = { scope = "" },
  }) do
    it(("reads %q"):format(text), function() assert.same(expected, values_of(text)) end)
  end

  it("records where each value was set", function()
    assert.same({ "x", "FILE line 3" }, config.parse("\n# y\nscope = x", "FILE").scope)
  end)

  for text, expected in pairs({
    ["username"] = "FILE line 1 is not of the form: key = value",
    ["\nusrname = x"] = "FILE line 2: unknown key usrname",
    ["vin = a\nvin = b"] = "FILE line 2: vin is given twice",
    ["timeout = 5"] = "FILE line 1: unknown key timeout",
    ["username = 'x'"] = "username = 'x' (FILE line 1): it begins with a quote",
    ["username = x # me"] = "username = x # me (FILE line 1): a comment must be on its own line",
  }) do
    it(("refuses %q"):format(text), function()
      local failure = failure_of(config.parse, text, "FILE")
      assert.equal("config", failure.code)
      assert.equal(expected, failure.message:sub(1, #expected))
    end)
  end

  it("shows no secret from an invalid line", function()
    for _, name in ipairs({ "password", "api_key", "api_secret", "basic", "security_answer",
      "proxy" }) do
      local failure = failure_of(config.parse, name .. " = 'hunter2", "FILE")
      assert.is_nil((failure.message .. failure.info.hint):find("hunter2", 1, true), name)
    end
  end)

  it("says which key was probably meant", function()
    assert.truthy(failure_of(config.parse, "pasword = x", "FILE").info.hint
      :find("Did you mean password?", 1, true))
    assert.truthy(failure_of(config.parse, "timeout = x", "FILE").info.hint
      :find("wait_timeout", 1, true))
  end)
end)

describe("fail", function()
  it("passes a result on, or raises the failure", function()
    assert.equal(5, fail.check(5, "not told"))
    local info = { status = 401 }
    local failure = failure_of(fail.check, nil, "no", "auth", info)
    assert.same({ "no", "auth", info }, { failure.message, failure.code, failure.info })
    failure = failure_of(fail.check, false)
    assert.same({ "failed", "error", {} }, { failure.message, failure.code, failure.info })
  end)

  it("turns input that the module refuses into a usage error", function()
    assert.equal("got x", (fail.input(function(x) return "got " .. x end, "x")))
    local failure = failure_of(fail.input, function()
      error("bad argument #2 to 'vehicle' (no VIN)", 2)
    end)
    assert.same({ "no VIN", "usage" }, { failure.message, failure.code })
    failure = failure_of(fail.input, function() error("mine") end)
    assert.equal("mine", failure.message)
  end)

  it("passes on Ctrl-C, SIGTERM and errors that are not strings", function()
    for _, reason in ipairs({ "x.lua:1: interrupted!", "terminated!", {} }) do
      local ok, raised = pcall(fail.input, function() error(reason, 0) end)
      assert.is_false(ok)
      assert.equal(reason, raised)
    end
  end)

  it("adds its own hint to the module's, or replaces it", function()
    local function hint(code, info) return fail.hint(fail.new("no", code, info)) end
    assert.equal("Check it. Step by step: bmwi doctor",
      hint("network", { retryable = true, hint = "check it" }))
    assert.equal("Raise request_timeout (--request-timeout SECONDS).",
      hint("timeout", { retryable = true, hint = "raise the option `timeout`" }))
    assert.equal("Check scope", hint("auth", { retryable = false, hint = "check scope" }))
    assert.is_nil(hint("forbidden", { retryable = false })) -- the server's words tell more
    assert.equal("mine", hint("network", fail.advise({ retryable = true, hint = "x" }, "mine")))
  end)

  it("names what a user of the command line can change", function()
    for code, hint in pairs { too_large = "raise `max_response_bytes` if that size is expected",
      not_found = "not found; check the car's region (`hub` in `client:vehicles()`)" } do
      local said = fail.hint(fail.new("x", code, { hint = hint, retryable = false }))
      assert.is_nil(said:find("max_response_bytes", 1, true) or said:find("client:", 1, true), said)
      assert.truthy(said:find("bmwi ", 1, true), said)
    end
  end)

  it("says when a log-in that is not retried was refused, and how to retry it", function()
    for _, row in ipairs { { "auth", nil, "lock the account" },
      { "rate_limited", 6.2, "retried in 7 seconds" }, { "not_found", nil, "not retried" } } do
      local info = { retryable = false, refused_at = 0, hint = "x", retry_after = row[2] }
      local hint = fail.hint(fail.new("no", row[1], info))
      assert.truthy(hint:find(row[3], 1, true), hint)
      assert.truthy(hint:find("bmwi login", 1, true), hint)
      assert.truthy(hint:find("19[67]%d%-"), hint)
    end
  end)

  for code, exit in pairs({ usage = 2, config = 2, unknown = 3, auth = 4, login = 4,
    rate_limited = 5, timed_out = 6, not_executed = 7, refused = 7, interrupted = 130,
    cancelled = 130, terminated = 143 }) do
    it(("ends with %d for %s"):format(exit, code), function()
      assert.equal(exit, fail.EXIT[code])
    end)
  end

  it("gives the hint of the failure, else of its message, else of its code", function()
    assert.equal("so", fail.hint(fail.new("dlat and dlon", "auth", { hint = "so" })))
    assert.truthy(fail.hint(fail.new("dlat and dlon are required", "http"))
      :find("position = LAT,LON", 1, true))
    assert.truthy(fail.hint(fail.new("no", "gone")):find("bmwi demo", 1, true))
    assert.equal("Requests and responses: --verbose", fail.hint(fail.new("no", "http")))
    assert.is_nil(fail.hint(fail.new("no", "closed")))
  end)

  it("does not recommend the doctor from within the doctor", function()
    assert.truthy(fail.hint(fail.new("no", "network")):find("bmwi doctor", 1, true))
    assert.is_nil(fail.hint(fail.new("no", "network"), true))
    assert.is_nil(fail.hint(fail.new("no", "tls"), true):find("doctor", 1, true))
  end)

  it("distinguishes its own failures from other errors", function()
    assert.is_true(fail.is(fail.new("x", "error")))
    for _, other in ipairs({ "x", { message = "x" }, 5, false }) do
      assert.is_false(fail.is(other))
    end
  end)
end)
