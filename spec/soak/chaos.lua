--- The other process of the soak: makes the simulator misbehave at random, and carries what its log
--- says into a file, so that the log stays small.
--- usage: chaos.lua URL SEED FOLDER; ends once there is a file FOLDER/stop, or no simulator.
local common = require("spec.soak.common")
local helper = require("spec.helper")

local sim, seed, folder = { url = arg[1] }, tonumber(arg[2]), arg[3]
local random = common.random(seed + 1)

local RECORDED = { "authentication_failed", "authn_circuit", "bad_profile", "client_disabled",
  "dlat_missing", "empty_401", "gone", "invalid_client", "invalid_request", "invalid_scope",
  "invalid_token", "no_image", "no_status", "plain_500", "poi_invalid", "secret_missing",
  "server_panic", "service_forbidden", "shape_c", "too_many" }
local STATUSES = { 302, 400, 401, 402, 403, 404, 405, 408, 409, 410, 418, 423, 429, 500, 501,
  502, 503, 504, 505, 599 }
local GARBAGE = { "", " ", "<html><body>Bad Gateway</body></html>", "{", "[1,2", "null", "[]", "{}",
  '"text"', "12", '{"x":1}', '{"executionStatus":null}', '{"executionStatus":{}}',
  '{"executionStatus":[]}', '{"vehicleStatus":7}', "\1\2", "\239\187\191{",
  '{"x":1e999}', '{"access_token":5}', ("["):rep(3000), '{"a":' .. ("[0,"):rep(2000) }

-- Each with how often it comes.
local KINDS = {
  { 4, function() return { latency = random() } end },
  { 1, function() return { latency = 4 + random() * 3 } end }, -- longer than the client waits
  { 3, function() return { reset = random({ "reading", "before", "during", "after" }) } end },
  { 2, function() return { close = random({ "before", "after" }) } end },
  { 3, function() return { truncate = math.floor(random() * 200) } end },
  { 1, function() return { drip = 2 + random() * 300 } end },
  { 5, function() return { status = random(STATUSES) } end },
  { 5, function() return { recorded = random(RECORDED) } end },
  { 2, function()
    return { status = random({ 429, 503 }),
      headers = { ["Retry-After"] = tostring(random({ 0, 1, 2, 120, 86400 * 30 })) } }
  end },
  { 1, function()
    return { status = 503, headers = { ["Retry-After"] =
      os.date("!%a, %d %b %Y %H:%M:%S GMT", os.time() + random(3) - 1) } }
  end },
  { 4, function()
    return { raw = random(GARBAGE), content_type = random({ "application/json", "text/html" }) }
  end },
  { 1, function() return { pad = random({ 1000, 1e6, 1e8 }), gzip = random() < 0.5 } end },
  { 1, function() return { status = 302, headers = { Location = "http://127.0.0.1:1/" } } end },
}
-- Where; the empty path is anywhere.
local PATHS = { "", "/oauth/token", "/status", "/serviceExecutionStatus", "/serviceExecutionStatus",
  "/executeService", "/executeService", "/executeService", "/sendpoi", "/statistics",
  "/chargingprofile", "/destinations", "/rangemap", "/navigation/", "/image" }

local weights = 0
for _, kind in ipairs(KINDS) do weights = weights + kind[1] end

local function fault()
  local at = random() * weights
  local rule
  for _, kind in ipairs(KINDS) do
    at = at - kind[1]
    if at < 0 then
      rule = kind[2]()
      break
    end
  end
  rule = rule or { reset = "before" }
  rule.path, rule.skip = random(PATHS), random(30) - 1
  rule.times = random() < 0.1 and random(8) or 1 -- some last
  return rule
end

local SERVICES = { "*", "DOOR_LOCK", "DOOR_UNLOCK", "LIGHT_FLASH", "HORN_BLOW", "CLIMATE_NOW",
  "CHARGE_NOW", "VEHICLE_FINDER", "CHARGING_CONTROL" }

local function course()
  return { service = random(SERVICES),
    outcome = random({ "EXECUTED", "EXECUTED", "NOT_EXECUTED", "TIMED_OUT", "NEVER" }),
    stuck_at = random({ "INITIATED", "PENDING", "DELIVERED" }),
    previous_first = random(3) - 1, no_status = random(3) - 1,
    word = random({ "", "SOMETHING_NEW", "SUCCESS", "executed" }), word_polls = random(3) - 1 }
end

local TOKENS = {
  { expire = true }, { expire = true }, { expire = true, revoke_refresh = true },
  { expires_in = 3 }, { expires_in = 28800 }, { expires_in_string = true },
  { expires_in_string = false }, { no_refresh_token = true }, { no_refresh_token = false },
}

-- ---- the log ----

local SETTLED = 9 -- seconds after which a request's answer has been decided: more than any latency
local out = assert(io.open(folder .. "/log", "w"))
local seen = 0

-- What the judge needs of each request that is decided.
local function collect(requests, all)
  local last = #requests > 0 and requests[#requests].time or 0
  for _, request in ipairs(requests) do
    if not all and request.time > last - SETTLED then break end
    out:write(helper.json.encode({ n = request.n, method = request.method, path = request.path,
      status = request.status, fault = request.fault, time = request.time,
      mark = request.body:match("mark%d+x") }), "\n")
    seen = request.n
  end
end

-- ---- the loop ----

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

local tick = 0
while not exists(folder .. "/stop") do
  tick = tick + 1
  local requests = {}
  if tick % 20 == 0 then requests[1] = { "DELETE", "/fault" } end
  for _ = 1, 10 do requests[#requests + 1] = { "POST", "/fault", fault() } end
  if tick % 3 == 0 then requests[#requests + 1] = { "POST", "/commands", course() } end
  if tick % 12 == 0 then requests[#requests + 1] = { "POST", "/token", random(TOKENS) } end
  if tick % 4 == 0 then requests[#requests + 1] = { "GET", "/log?after=" .. seen } end
  local answers = common.control(sim, requests)
  local log = answers[#answers].requests
  if log then
    collect(log)
    common.control(sim, { { "DELETE", "/log?until=" .. seen } })
  end
  os.execute("sleep 0.5")
end
os.execute("sleep " .. SETTLED) -- the last ones are decided meanwhile
collect(common.control(sim, { { "GET", "/log?after=" .. seen } })[1].requests, true)
assert(out:close())
