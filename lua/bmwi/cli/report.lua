-- bmwi.cli.report: says what went wrong. Loaded when something has.

local bmwi = require "bmwi"
local fail = require "bmwi.cli.fail"
local output = require "bmwi.cli.output"

local function stopped(ctx, code)
  local hint
  if ctx.sending then
    hint = ctx.sending .. ": it was sent, or may have been, and the car may still carry it out. "
      .. "Check: bmwi status."
      .. (ctx.following and " Keep waiting: bmwi wait " .. ctx.following or "")
  end
  return { message = code, code = code }, hint
end

-- A signal is raised as an error wherever Lua is running; inside a hook it becomes a failure.
local function signal_of(reason)
  if not fail.is(reason) then return fail.signal(reason) end
  if reason.code == "cancelled" then return "interrupted" end
  return fail.signal(tostring(reason.message):match("raised an error: (.*)"))
end

-- Where to read how a command is used.
local function usage(argv)
  local commands = require "bmwi.cli.commands"
  for _, word in ipairs(argv) do
    if commands[word] then return ("See: bmwi %s --help"):format(word) end
  end
  return "All commands: bmwi help"
end

-- On standard error, as JSON with --json.
local function show(out, failure, exit, hint)
  out:progress_end()
  io.stdout:flush()
  if out.json then
    local info = failure.info or {}
    io.stderr:write(bmwi._sys.json({ error = {
      message = failure.message, code = failure.code, exit = exit, hint = hint,
      status = info.status, api_code = info.api_code, description = info.description,
      retry_after = info.retry_after, location = info.location,
    } }), "\n")
    return
  end
  local label = out.color_err and "\27[31mbmwi:\27[0m " or "bmwi: "
  io.stderr:write(label)
  out:warn(failure.message, hint)
end

--- Reports what went wrong.
---@param ctx table the run
---@param argv string[]
---@param reason any the error
---@return integer exit the exit code
return function(ctx, argv, reason)
  local out = ctx.out
  if not out then -- the arguments themselves are invalid
    local options = {}
    for _, argument in ipairs(argv) do
      if argument == "--json" or argument == "-j" then options.json = true end
    end
    out = output.new(options)
  end
  local failure, signal = reason, signal_of(reason)
  local hint
  if signal then
    failure, hint = stopped(ctx, signal)
  elseif not fail.is(reason) then
    failure = fail.new("internal error: " .. tostring(reason), "internal")
    hint = fail.hint(failure)
  else
    if ctx.client then failure = require "bmwi.cli.explain"(ctx, failure) end
    if failure.code == "file" and ctx.sent then
      -- A caller that only reads the exit code must not think that the command failed.
      failure = fail.new(("%s, but %s"):format(ctx.done or ctx.sent .. ": it was sent",
        failure.message), "unknown",
        ctx.done and { hint = "Only the result is lost. There is no need to send it again." })
    end
    hint = fail.hint(failure) or failure.code == "usage" and usage(argv) or nil
    if failure.info.retry_after and failure.code == "rate_limited" then
      hint = ("Try again in %.0f seconds."):format(math.ceil(failure.info.retry_after))
    elseif failure.info.retry_after and failure.code == "quota" then
      hint = ("The next call is possible on %s. %s"):format(
        os.date("%Y-%m-%d %H:%M", os.time() + math.ceil(failure.info.retry_after)), hint or "")
    end
  end
  local exit = fail.EXIT[failure.code] or 1
  show(out, failure, exit, hint)
  return exit
end
