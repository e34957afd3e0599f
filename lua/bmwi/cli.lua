-- bmwi.cli: the command line. main() parses the arguments, runs one command, and converts the
-- result to an exit code. The parts are in bmwi/cli/*.lua; those that only some commands need are
-- loaded on demand.

local bmwi = require "bmwi"
local fail = require "bmwi.cli.fail"
local output = require "bmwi.cli.output"

local unpack = rawget(_G, "unpack") or table.unpack -- luacheck: ignore
local cli = {}

local function unknown_command(name)
  local close = require("bmwi.cli.closest").command(name)
  fail.usage("unknown command " .. name,
    close and ("Did you mean: bmwi %s?"):format(close) or "All commands: bmwi help")
end

-- The commands that a service lacks, and the options that are invalid with it.
local LACKS = {
  classic = { "the classic service", "It reads from BMW CarData: set service = cardata." },
  cardata = { "BMW CarData", "CarData only passes on what a car has reported. It has no "
    .. "commands, trips, schedules, destinations or range maps." },
}

-- The command's function for the configured service.
local function runner(ctx, command, name)
  local service = ctx.settings and ctx.settings.service or "classic"
  local fn = command.run
  if service == "cardata" then fn = command.cardata end
  if not fn then
    local lacks = LACKS[service]
    fail.raise(("`bmwi %s` is not supported by %s"):format(name, lacks[1]), "unsupported",
      { hint = lacks[2] })
  end
  for option in pairs(ctx.options) do
    local only = require("bmwi.cli.args").OPTIONS[option].only
    if only and only ~= service then
      fail.usage(("--%s cannot be used with service = %s"):format(option, service))
    end
  end
  return fn
end

-- What a bug report should include.
local function version(out)
  local lua = (rawget(_G, "jit") or { version = _VERSION }).version
  local cjson = tostring(require("cjson")._VERSION)
  if out.json then
    return out:document({ version = bmwi._VERSION, libcurl = bmwi.curl_version, lua = lua,
      cjson = cjson, services = bmwi.services })
  end
  out:line("bmwi " .. bmwi._VERSION)
  out:pairs({ { "libcurl", bmwi.curl_version }, { "Lua", lua }, { "lua-cjson", cjson },
    { "services", table.concat(bmwi.services, ", ") } })
end

-- A path without the components that mean nothing.
local function plain(path)
  return (path:gsub("//+", "/"):gsub("/%.%f[/]", ""):gsub("^%./", ""))
end

-- Options that require or exclude each other.
local function check_together(options)
  if options["record-personal"] and not options.record then
    fail.usage("--record-personal needs --record FILE")
  elseif options.wait and options["no-wait"] then
    fail.usage("--wait and --no-wait do not go together")
  elseif options.json and options.units then
    fail.usage("--json and --units do not go together",
      "JSON is the service's own answer, in the service's units: km, litres, kWh/100 km.")
  end
end

-- Each file that a command writes must be one of its own: it replaces what is there.
local function check_files(options, settings)
  local known = { { path = settings.path, name = "the configuration file" },
    { path = settings.token_file, name = "the file of the log-in" } }
  for _, option in ipairs { "output", "prometheus", "record" } do
    local path = options[option]
    for _, other in ipairs(path and known or {}) do
      local same = other.path and (plain(path) == plain(other.path)
        or bmwi._sys.same_file(path, other.path))
      if same and other.option then
        fail.usage(("--%s and --%s name the same file"):format(other.option, option))
      elseif same then
        fail.usage(("--%s names %s"):format(option, other.name), "Choose another file.")
      end
    end
    known[#known + 1] = { path = path, option = option }
  end
end

local function parse(argv)
  -- Installers and scripts ask for this first and often, so it must be fast.
  if #argv == 1 and argv[1] == "--version" then
    return { options = { version = true }, positional = {} }
  end
  for _, argument in ipairs(argv) do
    if argument:sub(1, 1) == "-" then
      return require("bmwi.cli.args").parse(argv, require "bmwi.cli.commands")
    end
  end
  return { command = argv[1], options = {}, positional = { unpack(argv, 2) } } -- no options
end

local function run(ctx, argv)
  local parsed, message, hint = parse(argv)
  if not parsed then fail.usage(message, hint) end
  ctx.options, ctx.args = parsed.options, parsed.positional
  ctx.out = output.new(parsed.options)
  local out, name = ctx.out, parsed.command
  if name == "version" then parsed.options.version = true end
  if parsed.options.version then
    version(out)
    return out:finish()
  end
  local commands = require "bmwi.cli.commands"
  if name == "help" then
    name = ctx.args[1] or parsed.options.help and name or nil
    parsed.options.help = true
  end
  if parsed.options.help then
    if name and not commands[name] then unknown_command(name) end
    local help = require "bmwi.cli.help"
    local text = parsed.options.man and require("bmwi.cli.man").page()
      or name and help.command(commands, name, out) or help.main(out)
    if out.json then out:document({ help = text }) else out:write(text) end
    return out:finish()
  end
  if not name then
    io.stderr:write(require("bmwi.cli.help").main(out))
    return 2
  end
  local command = commands[name]
  if not command then unknown_command(name) end
  if #ctx.args > command.most then
    fail.usage(("too many arguments for `bmwi %s`: %s"):format(name,
      output.clean(ctx.args[command.most + 1])))
  elseif #ctx.args < (command.least or 0) then
    fail.usage(("`bmwi %s` needs an argument"):format(name),
      "Usage: bmwi " .. command.usage)
  end
  check_together(parsed.options)
  if command.brief then collectgarbage("stop") end
  local loaded, settings = true, {}
  if not command.alone then
    local config = require "bmwi.cli.config"
    for _, text in ipairs(config.misspelt()) do out:remark(text) end
    loaded, settings = pcall(config.load, parsed.options)
  end
  if loaded then
    ctx.settings = settings
    check_files(parsed.options, settings)
  elseif command.tolerant and fail.is(settings) then
    ctx.config_failure = settings -- the doctor reports it
  else
    error(settings, 0)
  end
  local code = runner(ctx, command, name)(ctx)
  if settings.service == "cardata" and not command.tolerant then
    require("bmwi.cli.session").foretell(ctx)
  end
  out:finish()
  return code
end

-- What to say where the report cannot be loaded: too few file descriptors, or a part is missing.
local function plain_report(ctx, reason)
  local failed = fail.is(reason)
  local text = tostring(failed and reason.message or reason):match("^[^\n]*"):gsub(":$", "")
  local known = ctx.done or ctx.sending and ctx.sending .. ": it was sent, or may have been, and "
    .. "the car may still carry it out"
  io.stderr:write("bmwi: ", output.clean((known and known .. ": " or "") .. text), "\n")
  local exit = failed and fail.EXIT[reason.code]
  return exit or (ctx.sending or ctx.sent) and 3 or 1
end

-- Reports what went wrong.
local function report(ctx, argv, reason)
  local told, exit = pcall(function() return require "bmwi.cli.report"(ctx, argv, reason) end)
  return told and exit or plain_report(ctx, reason)
end

--- Runs the command line once.
---@param argv string[] the arguments without the program's name
---@return integer exit one of those in bmwi.cli.fail.EXITS
function cli.main(argv)
  bmwi._sys.no_core() -- this process handles passwords and tokens
  bmwi._sys.no_size_signal() -- a file that is too large is reported as a full disk is
  local ctx = { argv = argv }
  local ran, result = pcall(run, ctx, argv)
  local code = ran and (result or 0) or report(ctx, argv, result)
  collectgarbage("restart")
  local session = package.loaded["bmwi.cli.session"]
  if session then -- otherwise there is nothing to close
    local closed, reason = pcall(session.close, ctx)
    if not closed and code == 0 then code = report(ctx, argv, reason) end
  end
  return code
end

return cli
