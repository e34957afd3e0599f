-- bmwi.cli.doctor: checks the set-up step by step and reports which step fails and what to do. No
-- line contains a secret, so the output can be posted.

local bmwi = require "bmwi"
local explain = require "bmwi.cli.explain"
local fail = require "bmwi.cli.fail"
local checks = require "bmwi.cli.checks"
local clean = require("bmwi.cli.output").clean
local layout = require "bmwi.cli.layout"
local render = require "bmwi.cli.render"
local session = require "bmwi.cli.session"

local doctor = {}

-- The state of the saved token, in words.
local function kept_log_in(ctx)
  local kept = session.store(ctx.settings)
  local token, message, code, info = kept:load()
  if not token and code ~= "missing" and code ~= "json" then return nil, message, code, info end
  checks.try_to_write(kept)
  if not session.fresh(token) and #session.lacking(ctx.settings) == 0 then
    local probe = checks.ask(ctx)
    if probe.info and probe.info.refused_at then
      return nil, probe.message, probe.code, probe.info
    end
  end
  if code == "json" then return message .. " (the next log-in sets it aside)" end
  if not token then return "none (bmwi logs in when needed)" end
  if session.fresh(token) then
    local ends = token.expires_at and render.clock(token.expires_at) or render.ABSENT
    return ends == render.ABSENT and "valid" or "valid until " .. ends -- a year may have no name
  end
  return token.refresh_token and "expired; will be renewed" or "expired"
end

local function settings_line(ctx)
  local bad = ctx.config_failure
  if bad then return nil, bad.message, bad.code, bad.info end
  local lacking = {}
  for i, row in ipairs(session.lacking(ctx.settings)) do lacking[i] = row.name end
  session.need_server(ctx.settings)
  if not session.usable((session.store(ctx.settings):load())) then session.check_account(ctx) end
  return session.server(ctx.settings) .. ", "
    .. (#lacking > 0 and "not set, prompted for: " .. table.concat(lacking, ", ")
    or "all settings needed to log in are present")
end

-- Each step returns a line with its result, and perhaps a remark: what will not work although the
-- step succeeded. Or nil, message, code, info. If a step marked `stop` fails, the following ones
-- are skipped.
local STEPS = checks.joined(checks.BASE, {
  { "settings", stop = true, run = settings_line },
  { "saved log-in", stop = true, run = kept_log_in },
}, checks.NETWORK, {
  { "clock", checks.clock },
  { "log-in", stop = true, run = function(ctx)
    local probe = checks.ask(ctx)
    if not probe.ok then return nil, probe.message, probe.code, probe.info end
    session.need_saved(ctx)
    return probe.kept and "saved log-in accepted" or "logged in"
  end },
  { "scope", function(ctx)
    local token = ctx.client:token() or {}
    local missing = {}
    local granted = " " .. (token.scope or "") .. " "
    for word in (ctx.settings.scope or "remote_services vehicle_data"):gmatch("%S+") do
      if not granted:find(" " .. word .. " ", 1, true) then missing[#missing + 1] = word end
    end
    if token.scope and #missing > 0 then
      return nil, "the log-in does not cover: " .. table.concat(missing, ", "), "scope",
        { hint = "Another API key may be needed; the server granted: " .. token.scope }
    end
    return token.scope or render.ABSENT
  end },
  { "vehicle list", stop = true, run = function(ctx)
    local count = #session.cars(ctx)
    return ("%d car%s"):format(count, count ~= 1 and "s" or "")
  end },
  { "car", stop = true, run = function(ctx)
    session.car(ctx)
    return session.name(ctx.vehicle)
  end },
  { "status", run = function(ctx)
    local status, message, code, info = session.car(ctx):status()
    if not status then return nil, message, code, info end
    return "reported " .. render.moment(status.updateTime)
  end },
})

-- Returns a line and perhaps a remark, or nil and a failure.
local function run_step(ctx, step)
  local ran, line, message, code, info = pcall(step.run or step[2], ctx)
  if not ran and not fail.is(line) then error(line, 0) end
  if ran and line then return line, message end
  local failure = ran and fail.new(message, code, info) or line
  if failure.code == "cancelled" then error(failure, 0) end
  return nil, ctx.client and explain(ctx, failure) or failure
end

local INDENT = (" "):rep(25)

-- A text beside the name of a step, wrapped there on a terminal.
local function beside(out, text)
  return layout.hang(INDENT, clean(text), out.screen or math.huge):sub(#INDENT + 1)
end

local function show_step(out, step)
  local mark = step.ok and out:paint("green", "ok  ") or out:paint("red", "FAIL")
  out:line(("%s  %-18s %s"):format(mark, step.name, beside(out, step.detail)))
  if not step.ok then out:line(INDENT .. "code: " .. tostring(step.code)) end
  local more = step.remark or step.hint
  if more then out:line(INDENT .. beside(out, more)) end
end

-- Runs a step and reports it. Steps that cannot be examined because no call of the quota is left
-- are passed over: the one named quota says so.
local function examine_step(ctx, step, steps)
  local out = ctx.out
  if step.calls and ctx.spent then return end
  out:progress("Checking " .. step[1])
  local line, more = run_step(ctx, step)
  local failure = not line and more or nil
  out:progress_end()
  if failure and failure.code == "quota" and step[1] ~= "quota" then
    ctx.spent = true
    return
  end
  local hint = failure and fail.hint(failure, true)
  local result = { name = step[1], ok = line ~= nil, detail = line or failure.message,
    code = failure and failure.code, hint = hint, remark = line and more }
  steps[#steps + 1] = result
  ctx.remarked = ctx.remarked or result.remark
  if not out.json then show_step(out, result) end
  return failure
end

-- Runs the steps and reports each as it completes, which shows where a slow server is slow.
local function examine(ctx)
  local steps, first = bmwi.json.array(), nil
  local all = STEPS
  if ctx.settings and session.is_cardata(ctx.settings) then
    all = require("bmwi.cli.cardata_doctor").STEPS
  end
  for _, step in ipairs(all) do
    local failure = examine_step(ctx, step, steps)
    first = first or failure
    if failure and step.stop then break end
  end
  return steps, first
end

--- bmwi doctor
---@param ctx table
---@return integer exit the exit code for the first step that failed
function doctor.run(ctx)
  local quiet = ctx.out.quiet
  -- Without a terminal, the steps themselves are the progress.
  ctx.out.quiet = quiet or not ctx.out.tty_err
  local steps, first = examine(ctx)
  ctx.out.quiet = quiet
  if ctx.out.json then ctx.out:document({ ok = first == nil, steps = steps }) end
  if not first then
    if not ctx.out.json then
      ctx.out:line(ctx.remarked and "No step failed, but see the remark above." or "All is well.")
    end
    return 0
  end
  return fail.EXIT[first.code] or 1
end

return doctor
