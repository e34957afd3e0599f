--- The other process of the soak: makes the simulator misbehave at random, and moves its log
--- to a file, so that the log stays small.
--- usage: chaos.lua URL SEED FOLDER; ends once there is a file FOLDER/stop, or no simulator.
local common = require("spec.soak.common")
local faults = require("spec.soak.faults")
local helper = require("spec.helper")

local sim, seed, folder = { url = arg[1] }, tonumber(arg[2]), arg[3]
local random = common.random(seed + 1)

local RECORDED = { "authentication_failed", "authn_circuit", "bad_profile", "client_disabled",
  "dlat_missing", "empty_401", "gone", "invalid_client", "invalid_request", "invalid_scope",
  "invalid_token", "no_image", "no_status", "plain_500", "poi_invalid", "secret_missing",
  "server_panic", "service_forbidden", "shape_c", "too_many" }
-- Paths of the faults; the empty one matches any.
local PATHS = { "", "/oauth/token", "/status", "/serviceExecutionStatus", "/serviceExecutionStatus",
  "/executeService", "/executeService", "/executeService", "/sendpoi", "/statistics",
  "/chargingprofile", "/destinations", "/rangemap", "/navigation/", "/image" }

local fault = faults(random, RECORDED, PATHS)

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

-- What the judge needs to know about each completed request.
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

local tick = 0
while not common.exists(folder .. "/stop") do
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
os.execute("sleep " .. SETTLED) -- the last ones complete meanwhile
collect(common.control(sim, { { "GET", "/log?after=" .. seen } })[1].requests, true)
assert(out:close())
