--- Runs the command line as a process, for its specs: with its own home folder, settings in the
--- environment, and a terminal if requested. Or calls its functions, in a run made up for them.
local assert = require "luassert"
local fail = require "bmwi.cli.fail"
local helper = require "spec.helper"
local output = require "bmwi.cli.output"

local cli = { sim = nil, home = nil }

local ACCOUNT = {
  BMWI_USERNAME = "whatever@example.com", BMWI_PASSWORD = "p4ssw0rd", BMWI_API_KEY = "key",
  BMWI_API_SECRET = "secret",
}
-- All environment variables that matter.
local CLEARED = { "BMWI_CONFIG", "BMWI_TIMEOUT", "NO_COLOR", "LUA_INIT", "http_proxy",
  "https_proxy" }
for _, name in ipairs(require("bmwi.cli.config").NAMES) do
  CLEARED[#CLEARED + 1] = "BMWI_" .. name:upper()
end
for _, version in ipairs { "", "_5_2", "_5_3", "_5_4" } do
  CLEARED[#CLEARED + 1] = "LUA_PATH" .. version
  CLEARED[#CLEARED + 1] = "LUA_CPATH" .. version
end

cli.quote, cli.read, cli.shell = helper.quote, helper.read, helper.shell
local quote = cli.quote

function cli.write(path, text, mode) helper.write(path, text, mode or "600") end

--- Call before each spec: makes a fresh home folder and resets the simulator.
function cli.begin(sim)
  sim:reset()
  cli.sim, cli.home = sim, cli.shell("mktemp -d")
  return cli.home
end

--- Call after each spec.
function cli.finish()
  os.execute("rm -rf " .. quote(cli.home))
end

--- The folder of the saved log-in.
function cli.state() return cli.home .. "/state/bmwi/" end

--- Writes the configuration file.
function cli.configure(text, mode)
  os.execute("mkdir -p " .. cli.home .. "/bmwi")
  cli.write(cli.home .. "/bmwi/config", text, mode)
end

--- The shell command for one run. A variable that is false is not set.
function cli.command(arguments, environment)
  local words = { "env" }
  for _, name in ipairs(CLEARED) do words[#words + 1] = "-u " .. name end
  local all = { HOME = cli.home, XDG_STATE_HOME = cli.home .. "/state",
    XDG_CONFIG_HOME = cli.home, LUA_PATH = package.path, LUA_CPATH = package.cpath, TZ = "UTC",
    BMWI_BASE_URL = cli.sim.url, BMWI_WAIT_TIMEOUT = "10", BMWI_INTERVAL = "0.05", TERM = "xterm" }
  for name, value in pairs(ACCOUNT) do all[name] = value end
  for name, value in pairs(environment or {}) do all[name] = value end
  for name, value in pairs(all) do
    if value == false then
      table.insert(words, 2, "-u " .. name) -- these go before all that is set
    else
      words[#words + 1] = name .. "=" .. quote(value)
    end
  end
  words[#words + 1] = helper.interpreter .. " bin/bmwi"
  for _, argument in ipairs(arguments) do words[#words + 1] = quote(argument) end
  return table.concat(words, " ")
end

--- One run: "lock --yes" or an array of arguments -> {code, out, err}
function cli.run(arguments, environment, input)
  if type(arguments) == "string" then
    local words = {}
    for word in arguments:gmatch("%S+") do words[#words + 1] = word end
    arguments = words
  end
  local home = cli.home
  cli.write(home .. "/in", input or "")
  local code = cli.shell(("%s <%s/in >%s/out 2>%s/err; echo $?"):format(
    cli.command(arguments, environment), home, home, home))
  return { code = tonumber(code), out = cli.read(home .. "/out"), err = cli.read(home .. "/err") }
end

--- A run that must succeed.
function cli.ok(arguments, environment, input)
  local result = cli.run(arguments, environment, input)
  assert.equal(0, result.code, result.err)
  return result
end

--- Runs it on a terminal with this many columns; answers = {{prompt, reply}, ...}
function cli.on_terminal(arguments, answers, environment, columns)
  local home, typed = cli.home, { "exec 2>/dev/null" }
  for _, answer in ipairs(answers or {}) do
    typed[#typed + 1] = ("for i in $(seq 3000); do grep -qF %s %s/screen && break; sleep 0.02;"
      .. " done"):format(quote(answer[1]), home)
    typed[#typed + 1] = ("sleep 0.05; printf '%%b' %s"):format(quote(answer[2]))
  end
  -- The keyboard stays open until the program has ended.
  typed[#typed + 1] = ("for i in $(seq 3000); do test -e %s/ended && break; sleep 0.02; done")
    :format(home)
  cli.write(home .. "/type", table.concat(typed, "\n") .. "\n")
  cli.write(home .. "/run", "#!/bin/sh\ntrap : INT\n" -- Ctrl-C is for the program alone
    .. (columns and "stty cols " .. columns .. "\n" or "") .. cli.command(arguments, environment)
    .. ("\necho $? >%s/code\ntouch %s/ended\n"):format(home, home), "700")
  cli.write(home .. "/screen", "")
  os.remove(home .. "/ended")
  cli.shell(("sh %s/type | script -qefc %s/run %s/screen >/dev/null 2>&1"):format(home, home, home))
  return { code = tonumber(cli.read(home .. "/code")), screen = cli.read(home .. "/screen") }
end

--- A run as bmwi.cli makes one, with these members; what it writes is collected.
---@return table ctx
---@return fun(): string written
function cli.run_with(members)
  local ctx = { options = {}, args = {} }
  for name, value in pairs(members) do ctx[name] = value end
  ctx.options.quiet, ctx.options.output = true, "unused"
  ctx.out = output.new(ctx.options)
  return ctx, function() return table.concat(ctx.out.parts) end
end

--- The error of a function, which must be a failure of the command line.
function cli.failure_of(fn, ...)
  local ok, raised = pcall(fn, ...)
  assert.is_false(ok)
  assert.is_true(fail.is(raised), tostring(raised))
  return raised
end

--- A failure is reported in two lines: what failed, and below it what to do.
function cli.assert_two_lines(text)
  assert.truthy(("\n" .. text):find("\nbmwi: [^\n]+\n  [^ \n][^\n]*\n$"), text)
  assert.is_nil(text:match("bmwi: ([^\n]+)"):find("; ", 1, true), text)
end

--- No message may contain any of these.
function cli.assert_no_secret(text)
  for _, secret in ipairs { "p4ssw0rd", "a2V5OnNlY3JldA", "@bmw.de" } do
    assert.is_nil(text:find(secret, 1, true), "shows " .. secret .. ": " .. text)
  end
  local kept = cli.read(cli.state() .. "token.json")
  for token in (kept or ""):gmatch('_token":"([^"]+)"') do
    assert.is_nil(text:find(token, 1, true), "shows a token")
  end
end

return cli
