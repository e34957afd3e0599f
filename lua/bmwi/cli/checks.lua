-- bmwi.cli.checks: the doctor's steps that both services share. A step returns a line with its
-- result, or nil, message, code, info.

local bmwi = require "bmwi"
local config = require "bmwi.cli.config"
local fail = require "bmwi.cli.fail"
local render = require "bmwi.cli.render"
local session = require "bmwi.cli.session"

local checks = {}

local CLOCK_TOLERANCE = 300 -- seconds that two clocks may differ

-- The first exchange with the server answers several steps: whether the server was reached, its
-- certificate is valid, and the log-in is accepted.
local UNREACHED = { network = true, timeout = true }

--- Requests the list of cars, once.
---@return table probe ok, message, code, info, kept
function checks.ask(ctx)
  if ctx.probe then return ctx.probe end
  local client = session.open(ctx)
  local token = client:token()
  local kept = session.fresh(token)
  local done, message, code, info = client:vehicles() -- login() would repeat a refused log-in
  if done then ctx.cars = render.tables(done) end
  ctx.probe = { ok = done or code ~= "auth" and session.fresh(client:token()), message = message,
    code = code, info = info, kept = kept }
  return ctx.probe
end

--- Writes a file like the token file beside it; raises if that fails.
function checks.try_to_write(kept)
  local trial = kept.path .. ".doctor"
  local _, message, code = bmwi._sys.read_private(kept.path)
  local written
  if code ~= "file" then
    written, message = bmwi._sys.write_private(trial, "")
    os.remove(trial)
  end
  if not written then
    fail.raise("the log-in cannot be saved: " .. message, "file", { hint = "Each run would log in "
      .. "again, and too many log-ins are refused. Set token_file to a writable path." })
  end
end

-- Whether nothing was sent, since no call of the quota is left.
local function is_unsent(probe)
  return probe.code == "quota" and not (probe.info and probe.info.status)
end

local function failed(probe)
  return nil, probe.message, probe.code, probe.info
end

--- Compares this machine's clock with the date in the server's responses.
function checks.clock(ctx)
  local probe = checks.ask(ctx)
  local off = ctx.clock_error
  if not off and is_unsent(probe) then return failed(probe) end
  if not off then return "the server does not report its time" end
  if math.abs(off) <= CLOCK_TOLERANCE then return "agrees with the server's" end
  return nil, ("this machine's clock is %s %s the server's"):format(render.span(math.abs(off)),
    off > 0 and "ahead of" or "behind"), "clock",
    { hint = ("Check this machine's clock: it says %s."):format(render.clock(os.time())) }
end

--- Versions and the configuration file.
checks.BASE = {
  { "Lua", function()
    local jit = rawget(_G, "jit")
    return (jit and jit.version .. ", " or "") .. _VERSION
  end },
  { "bmwi", function() return bmwi._VERSION end },
  { "libcurl", function() return (bmwi.curl_version or render.ABSENT):match("^%S+%s?%S*") end },
  { "lua-cjson", function() return require("cjson")._VERSION or render.ABSENT end },
  { "configuration", stop = true, run = function(ctx)
    local bad = ctx.config_failure
    if bad and not bad.info.setting then return nil, bad.message, bad.code, bad.info end
    local path = config.path(ctx.options)
    if path and bmwi._sys.read_private(path) then return path .. ", readable by you only" end
    return ("no file %s (not needed with the environment or prompts)"):format(
      path or "(no home folder)")
  end },
}

--- Reaching the server.
checks.NETWORK = {
  { "server", stop = true, run = function(ctx)
    local probe = checks.ask(ctx)
    if UNREACHED[probe.code] or is_unsent(probe) then return failed(probe) end
    return "reached"
  end },
  { "TLS", stop = true, run = function(ctx)
    local probe = checks.ask(ctx)
    if probe.code == "tls" or is_unsent(probe) then return failed(probe) end
    if session.server(ctx.settings):match("^https:") then return "the certificate is valid" end
    return "not used (allowed on loopback only)"
  end },
}

--- Concatenates lists.
function checks.joined(...)
  local all = {}
  for _, steps in ipairs { ... } do
    for _, step in ipairs(steps) do all[#all + 1] = step end
  end
  return all
end

return checks
