-- How to test your own script: break the connection on purpose and see what the script does.
--
--   build/bmwi-sim --listen 127.0.0.1:8080 &     the simulator, until `kill %1`
--   lua5.4 examples/faults.lua                   needs the program curl
local bmwi = require "bmwi"

local url = os.getenv "BMWI_BASE_URL" or "http://127.0.0.1:8080"
local ca_file = os.getenv "BMWI_CA_FILE"
local client = bmwi.new {
  base_url = url, ca_file = ca_file,
  username = "whatever@example.com", password = "p4ssw0rd", api_key = "key", api_secret = "secret",
}
local car = client:vehicle(assert(client:vehicles())[1].vin)

-- The script under test: it locks the car, and never sends the command twice.
local function lock()
  local execution, _, code = car:lock_doors()
  return execution and "sent" or code
end

local function sim(path, json) -- tells the simulator what should go wrong
  local ca = ca_file and ("--cacert '%s'"):format(ca_file) or ""
  local command = ("curl -sSf %s -o /dev/null -d '%s' '%s/_sim%s'"):format(ca, json, url, path)
  local ok = os.execute(command)
  assert(ok == true or ok == 0, "curl failed")
end

local function posts() -- how many commands have reached the simulator
  local count = 0
  for _, request in ipairs(assert(client:get "/_sim/log").requests) do
    if request.path:find "executeService" then count = count + 1 end
  end
  return count
end

local before = posts()
-- The car locks, but the answer is lost: the connection breaks after the request.
sim("/fault", '{"path":"executeService","reset":"after"}')
print("the answer is lost:     " .. lock() .. ", sent " .. posts() - before .. " time")

before = posts()
sim("/fault", '{"path":"executeService","recorded":"service_forbidden"}')
print("the car may not:        " .. lock() .. ", sent " .. posts() - before .. " time")

-- Reads are retried automatically: a single 503 goes unnoticed.
sim("/fault", '{"path":"/status","status":503}')
print("the server stumbles:    " .. (car:status() and "the status all the same" or "no status"))
