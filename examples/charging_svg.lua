-- Draws the charging history of a car from BMW CarData as an SVG picture: energy by week, state of
-- charge at the start and the end of each session.
--
--   build/bmwi-sim --listen 127.0.0.1:8080 &     the simulator, until `kill %1`
--   lua5.4 examples/charging_svg.lua charging.svg
local bmwi = require "bmwi"
local chart = require "bmwi.chart"

local path = arg[1] or "charging.svg"

local server = os.getenv "BMWI_BASE_URL" or "http://127.0.0.1:8080" -- default: BMW's servers
local client = bmwi.new {
  service = "cardata",
  client_id = "6b1f5a52-9d2e-4c0f-8a53-1f0c2d3e4b5a", -- from BMW's portal; this is the simulator's
  base_url = server, login_url = server .. "/gcdm/oauth",
  ca_file = os.getenv "BMWI_CA_FILE",
  on_prompt = function(prompt)
    print(("Open %s and type %s"):format(prompt.verification_uri, prompt.user_code))
  end,
}
assert(client:login()) -- with a store, only needed once: see save_token.lua
local vehicle = assert(client:vehicles())[1]
local month = 30 * 24 * 60 * 60
local sessions = assert(client:vehicle(vehicle.vin):charging_history {
  from = os.time() - 3 * month, to = os.time() })

local file = assert(io.open(path, "wb"))
assert(file:write(chart.charging_history(sessions)))
assert(file:close())
print(("%d sessions; the picture is in %s"):format(#sessions, path))
