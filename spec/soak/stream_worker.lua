--- The process of the stream's soak that uses client:stream() itself: records each value that it
--- gets, and what is wrong with it.
--- usage: stream_worker.lua URL STREAM-URL CA-FILE FOLDER; appends to FOLDER/seen ("VIN DESCRIPTOR
--- VALUE", one a line) and FOLDER/problems, keeps FOLDER/report up to date, ends once there is a
--- file FOLDER/stop
local bmwi = require("bmwi")
local common = require("spec.soak.common")
local helper = require("spec.helper")
local store = require("bmwi.store")

local url, stream_url, ca, folder = arg[1], arg[2], arg[3], arg[4]
local KEEPALIVE = 5 -- seconds, so that a server that is silent is found before a token's life ends

local client = bmwi.new { service = "cardata", client_id = "6b1f5a52-9d2e-4c0f-8a53-1f0c2d3e4b5a",
  base_url = url, login_url = url .. "/gcdm/oauth", stream_url = stream_url, ca_file = ca,
  store = store.new(folder .. "/account"), timeout = 10, connect_timeout = 8, retries = 1,
  on_prompt = function() end }
local shown, states = {}, {}

local function append(name, line)
  local file = assert(io.open(folder .. "/" .. name, "a"))
  file:write(line, "\n")
  file:close()
end

local function exists(name) return common.exists(folder .. "/" .. name) end

-- A value may not be older than the one shown before.
local function look(vin, descriptor, entry)
  local key = vin .. " " .. descriptor
  if shown[key] and entry.time < shown[key] then
    append("problems", ("%s: %.0f after %.0f"):format(key, entry.time, shown[key]))
  end
  shown[key] = math.max(shown[key] or 0, entry.time)
  append("seen", ("%s %s"):format(key, tostring(entry.value)))
end

local function report()
  for _ = 1, 2 do collectgarbage() end
  helper.write(folder .. "/report.new", helper.json.encode {
    lua = collectgarbage("count"), states = states })
  os.rename(folder .. "/report.new", folder .. "/report")
end

if not client:token() then assert(client:login()) end
local stream = client:stream { keepalive = KEEPALIVE }
local due = 0
while not exists("stop") do
  local update, message, code = stream:next(5)
  if update then
    for descriptor, entry in pairs(update.values) do look(update.vin, descriptor, entry) end
  elseif code ~= "timeout" then
    append("problems", ("the stream has ended: %s (%s)"):format(message, code))
    break
  end
  local state = stream:state()
  states[state] = (states[state] or 0) + 1
  if bmwi._sys.monotonic() >= due then
    report()
    due = bmwi._sys.monotonic() + 5
  end
end
stream:close()
client:close()
