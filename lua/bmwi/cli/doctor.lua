-- bmwi.cli.doctor: checks the set-up step by step and says which step fails and what to do.
-- No line holds a secret, so that a report can be shown to others.

local bmwi = require "bmwi"
local fail = require "bmwi.cli.fail"
local json = require "bmwi.cli.json"
local clean = require("bmwi.cli.output").clean
local render = require "bmwi.cli.render"
local session = require "bmwi.cli.session"

local doctor = {}

-- The first exchange with the server serves three steps: was it reached, is its certificate good,
-- does it let us in?
local UNREACHED = { network = true, timeout = true }

local function ask(ctx)
  if ctx.probe then return ctx.probe end
  local client = session.open(ctx)
  local token = client:token()
  local kept = session.fresh(token)
  local done, message, code, info
  if kept then done, message, code, info = client:vehicles()
  else done, message, code, info = client:login()
  end
  ctx.probe = { ok = done, message = message, code = code, info = info, kept = kept }
  return ctx.probe
end

-- Each step returns a line about what it found, or nil, message, code, info. A step marked `stop`
-- makes the ones after it pointless when it fails.
local STEPS = {
  { "Lua", function()
    local jit = rawget(_G, "jit")
    return (jit and jit.version .. ", " or "") .. _VERSION
  end },
  { "bmwi", function() return bmwi._VERSION end },
  { "libcurl", function() return (bmwi.curl_version or render.ABSENT):match("^%S+%s?%S*") end },
  { "lua-cjson", function() return require("cjson")._VERSION or render.ABSENT end },
  { "configuration", stop = true, run = function(ctx)
    local settings, bad = ctx.settings, ctx.config_failure
    if bad then return nil, bad.message, bad.code, bad.info end
    if settings.state == "missing" then
      return ("no file %s; that is fine with the environment or prompts"):format(
        settings.path or "(no home folder)")
    end
    return settings.path .. ", readable by you only"
  end },
  { "settings", stop = true, run = function(ctx)
    local lacking = {}
    for i, row in ipairs(session.lacking(ctx.settings)) do lacking[i] = row.name end
    local server = session.server(ctx.settings)
    if not server then
      return nil, "no server is set", "config",
        { hint = "Set region or base_url in the configuration file, or give --region." }
    end
    return server .. (#lacking > 0 and "; not set, so asked for: " .. table.concat(lacking, ", ")
      or "; all that a log-in needs is set")
  end },
  { "kept log-in", stop = true, run = function(ctx)
    local kept = session.store(ctx.settings)
    local token, message, code = kept:load()
    if not token and code ~= "missing" then
      return nil, message, code, { hint = ("Run: chmod 600 %s, or: bmwi logout"):format(kept.path) }
    end
    session.check_refused(ctx.settings)
    if not token then
      return "none; a log-in is made when it is needed"
    end
    if session.fresh(token) then
      return token.expires_at and "valid until " .. render.clock(token.expires_at) or "valid"
    end
    return token.refresh_token and "has ended, can be renewed" or "has ended"
  end },
  { "server", stop = true, run = function(ctx)
    local probe = ask(ctx)
    if UNREACHED[probe.code] then return nil, probe.message, probe.code, probe.info end
    return "reached"
  end },
  { "TLS", stop = true, run = function(ctx)
    local probe = ask(ctx)
    if probe.code == "tls" then return nil, probe.message, probe.code, probe.info end
    if session.server(ctx.settings):match("^https:") then return "the certificate is good" end
    return "not used; that is allowed on loopback only"
  end },
  { "log-in", stop = true, run = function(ctx)
    local probe = ask(ctx)
    if not probe.ok then return nil, probe.message, probe.code, probe.info end
    return probe.kept and "the kept log-in is taken" or "logged in"
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
        { hint = "Another API key may be needed; the server gave: " .. token.scope }
    end
    return token.scope or render.ABSENT
  end },
  { "vehicle list", stop = true, run = function(ctx)
    local list, message, code, info = ctx.client:vehicles()
    if not list then return nil, message, code, info end
    list = render.tables(list)
    if #list == 0 then return nil, "the account has no car", "not_found" end
    if #list > 1 and not ctx.settings.vin then ctx.settings.vin = list[1].vin end
    return ("%d car%s; %s"):format(#list, #list > 1 and "s" or "",
      session.name(list[1]) or render.ABSENT)
  end },
  { "status", run = function(ctx)
    local status, message, code, info = session.car(ctx):status()
    if not status then return nil, message, code, info end
    return "reported " .. render.moment(status.updateTime)
  end },
}

local function run_step(ctx, step)
  local ran, line, message, code, info = pcall(step.run or step[2], ctx)
  if ran then return line, message, code, info end
  if fail.is(line) then return nil, line.message, line.code, line.info end
  error(line, 0)
end

-- Runs the steps and tells about each one at once: a slow server should show where it is slow.
local function examine(ctx)
  local out, steps, first = ctx.out, json.list(), nil
  for _, step in ipairs(STEPS) do
    out:progress("Checking " .. step[1])
    local line, message, code, info = run_step(ctx, step)
    out:progress_end()
    local hint = not line and ((info and info.hint) or fail.ADVICE[code]) or nil
    steps[#steps + 1] = { name = step[1], ok = line ~= nil, detail = line or message,
      code = not line and code or nil, hint = hint }
    if not out.json then
      out:line(("%s  %-18s %s"):format(line and out:paint("green", "ok  ")
        or out:paint("red", "FAIL"), step[1], clean(line or message)))
      if not line then
        out:line(("      %-18s code: %s"):format("", tostring(code)))
        if hint then out:line(("      %-18s %s"):format("", clean(hint))) end
      end
    end
    if not line then
      first = first or { message = step[1] .. ": " .. tostring(message), code = code }
      if code == "cancelled" then fail.raise(message, code) end
      if step.stop then break end
    end
  end
  return steps, first
end

--- bmwi doctor
---@param ctx table
---@return integer exit the exit code: that of the first step that fails
function doctor.run(ctx)
  local quiet = ctx.out.quiet
  -- Off a terminal the steps themselves are the progress.
  ctx.out.quiet = quiet or not ctx.out.tty_err
  local steps, first = examine(ctx)
  ctx.out.quiet = quiet
  if ctx.out.json then ctx.out:document({ ok = first == nil, steps = steps }) end
  if not first then
    if not ctx.out.json then ctx.out:line("All is well.") end
    return 0
  end
  return fail.EXIT[first.code] or 1
end

return doctor
