-- What `make memory` does with every kind of secret before it searches the memory that
-- was freed. Returns the secrets.
local bmwi = require("bmwi")
local store = require("bmwi.store")

local secrets = { "p4ssw0rd", "Pl4nted+Passw0rd", "Pl4nted%2BPassw0rd", "planted-api-key",
  "planted-api-secret", bmwi.base64.encode("planted-api-key:planted-api-secret"),
  bmwi.base64.encode("key:secret"), "Fido-the-answer" }

local function learn(client)
  local token = client:token()
  secrets[#secrets + 1] = token.access_token
  secrets[#secrets + 1] = token.refresh_token
  return token
end

local function new(overrides)
  local options = { base_url = arg[1], username = "whatever@example.com", password = "p4ssw0rd",
    api_key = "key", api_secret = "secret", retries = 0, log = function() end }
  for name, value in pairs(overrides or {}) do options[name] = value end
  return bmwi.new(options)
end

local path = os.tmpname()
local kept = store.new(path)

-- Log-in, calls, a command with the security answer, its event.
local client = new({ store = kept, on_token = function() end })
assert(client:vehicles())
local token = learn(client)
local car = client:vehicle("WAB1C23456V123456")
local execution = assert(car:unlock_doors({ secret = "Fido-the-answer" }))
secrets[#secrets + 1] = execution.eventId
assert(car:execution("DOOR_UNLOCK", execution.eventId))
assert(client:get("/webapi/v1/user/vehicles/"))
assert(not car:execute("NO_SUCH_SERVICE", { bmwSkAnswer = "Fido-the-answer" }))
client:close()

-- A renewal, from the store and with the token as an option.
token.expires_at = 1
assert(kept:save(token))
client = new({ store = kept })
assert(client:vehicles())
token = learn(client)
client:close()
client = new({ token = token })
assert(client:vehicles())
client = nil -- luacheck: ignore 311
collectgarbage() -- closes it
collectgarbage()

-- Refusals, failures and misuse.
client = new({ password = "Pl4nted+Passw0rd", api_key = "planted-api-key",
  api_secret = "planted-api-secret" })
assert(not client:login())
client:close()
client = new({ base_url = "http://127.0.0.1:1", token = token })
assert(not client:vehicles())
client:close()
assert(not pcall(new, { token = token, basic = bmwi.base64.encode("key:secret") }))
assert(not pcall(new, { password = "Pl4nted+Passw0rd", timeout = -1 }))

-- A broker's password: sent, not sent, not to be sent.
secrets[#secrets + 1] = "Pl4nted-for-the-broker"
local function broker(url)
  return bmwi._mqtt.connect({ url = url, username = "joe", password = "Pl4nted-for-the-broker" })
end
local connection = broker(os.getenv("BMWI_BROKER"))
assert(connection:receive(10) == "connected")
connection:close()
broker(os.getenv("BMWI_BROKER")):close()
assert(not broker("mqtt://127.0.0.1:1"):receive(10))
connection = nil -- luacheck: ignore 311
collectgarbage()

-- Closed in the middle of a call.
client = new({ token = token })
local async = require("bmwi.async")
async.run(function()
  local task = async.spawn(function()
    client:vehicle("WAB1C23456V123456"):unlock_doors({ secret = "Fido-the-answer" })
  end)
  client:close()
  return task
end)

os.remove(path)
os.remove(path .. ".lock")
assert(bmwi.base64.decode(bmwi.base64.encode("key:secret")))
return secrets
