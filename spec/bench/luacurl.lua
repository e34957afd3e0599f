-- Lua-cURL and cjson, one status after the other (on Lua 5.1 or 5.2, as Debian's lua-curl needs).
-- usage: luacurl.lua URL CA-FILE [same]    `same`: makes the same table as bmwi
local curl = require "curl"
local cjson = require "cjson"

local url, ca, same = arg[1], arg[2], arg[3] == "same"

-- Whole numbers become integers (on a Lua that has them), and null is dropped.
local function normalize(t)
  for name, value in pairs(t) do
    if value == cjson.null then
      t[name] = nil
    elseif type(value) == "table" then
      normalize(value)
    elseif type(value) == "number" and value % 1 == 0 then
      t[name] = math.floor(value)
    end
  end
  return t
end

local parts, count = {}, 0
local easy = curl.easy_init()
easy:setopt(curl.OPT_URL, url)
easy:setopt(curl.OPT_CAINFO, ca)
easy:setopt(curl.OPT_HTTPHEADER, { "Authorization: Bearer RCQ1hLP4AFaUBW9BjcPUN3i4WgkwF90R",
  "Accept: application/json" })
easy:setopt(curl.OPT_USERAGENT, "bmwi/bench")
easy:setopt(curl.OPT_ACCEPT_ENCODING, "")
easy:setopt(curl.OPT_NOSIGNAL, 1)
easy:setopt(curl.OPT_WRITEFUNCTION, function(data, more)
  local text = type(data) == "string" and data or more
  count = count + 1
  parts[count] = text
  return #text
end)

while true do
  local n, repeats = io.read("*n", "*n")
  if not n then break end
  local before = os.clock()
  for _ = 1, n * repeats do
    count = 0
    local ok, message = easy:perform()
    if not ok then error(message) end
    local answer = cjson.decode(table.concat(parts, "", 1, count))
    local status = (same and normalize(answer) or answer).vehicleStatus
    if status.mileage ~= 1234 then error("not the status") end
  end
  if n == 0 then collectgarbage() end
  io.write(("%.6f\n"):format(os.clock() - before))
  io.flush()
end
