-- Saves the token in a private file, so that a script run every few minutes does not log in
-- each time: too many log-ins are refused. Several scripts can share the file.
--
--   build/bmwi-sim --listen 127.0.0.1:8080 &     the simulator, until `kill %1`
--   lua5.4 examples/save_token.lua token.json    logs in
--   lua5.4 examples/save_token.lua token.json    uses the token that the first run saved
local bmwi = require "bmwi"
local store = require "bmwi.store"

local server = os.getenv "BMWI_BASE_URL" or "http://127.0.0.1:8080" -- a simulator, or your server
local username = "whatever@example.com"

-- Only you can read the file (0600). A token saved for another server or user is not used.
local kept = store.new(arg[1] or "token.json", { server = server, username = username })

local token, message, code = kept:load() -- only to report it; the client loads it itself
if not token and code ~= "missing" then -- others can read the file, or it is damaged
  io.stderr:write(message, "\n")
  os.exit(1)
end
print(token and "going on with the saved log-in" or "no saved log-in: logging in")

local client = bmwi.new {
  base_url = server, ca_file = os.getenv "BMWI_CA_FILE",
  username = username, password = "p4ssw0rd", api_key = "key", api_secret = "secret",
  store = kept, -- read now, written with each new token
}
for _, vehicle in ipairs(assert(client:vehicles())) do print(vehicle.model, vehicle.vin) end
