--- The text format of an account: one JSON object. docs/account-file.md describes its members.

local bmwi = require "bmwi"

local form = {}

local MAX_FILE = 1024 * 1024 -- bytes; larger files are not read either

-- What can be requested from a server again: a value of the wrong type counts as missing. A damaged
-- quota makes the whole file invalid.
local CACHES = { "auth_errors", "container", "refused_descriptors", "vehicles", "basic", "values",
  "fetched", "attempts" }
-- Logging out and in again does not change them at BMW. `gcid` says whose they are: the log-in of
-- another account removes them.
local OUTLAST_LOGIN = { "quota", "refused_descriptors", "attempts", "gcid" }
-- What is removed from a file that has become too large, car by car.
local LET_GO = { "values", "basic" }

--- Reads an account.
---@param bytes string
---@return table|nil account nil if it is damaged or not an account
function form.decode(bytes)
  local account = bmwi.json.decode(bytes)
  if type(account) ~= "table" or #account > 0 then return nil end
  for _, name in ipairs(CACHES) do
    if type(account[name]) ~= "table" then account[name] = nil end
  end
  if account.quota ~= nil and not require("bmwi.store.limits").valid(account.quota) then
    return nil
  end
  return account
end

--- Whether an account contains more than a log-in.
function form.has_more(account)
  if account.quota ~= nil then return true end
  for _, name in ipairs(CACHES) do
    if account[name] ~= nil then return true end
  end
  return false
end

--- What of an account outlasts its log-in. Not a copy.
function form.lasting(account)
  local rest = {}
  for _, name in ipairs(OUTLAST_LOGIN) do rest[name] = account[name] end
  return rest
end

-- Removes the largest entry of the first member that has any. False if there is none.
local function shrink(account)
  for _, name in ipairs(LET_GO) do
    local largest, size = nil, -1
    for vin, data in pairs(account[name] or {}) do
      local bytes = #bmwi.json.encode(data)
      if bytes > size then largest, size = vin, bytes end
    end
    if largest then
      account[name][largest] = nil
      return true
    end
  end
  return false
end

--- Encodes an account. One that has become too large loses cached data of cars.
---@param account table
---@return string|nil bytes
---@return string|nil message
function form.encode(account)
  local bytes
  repeat
    local ok, text = pcall(bmwi.json.encode, account)
    if not ok and text == "not enough memory" then error(text, 0) end
    if not ok then return nil, "the data to be saved is not plain data" end
    bytes = text .. "\n"
  until #bytes <= MAX_FILE or not shrink(account)
  if #bytes <= MAX_FILE then return bytes end
  return nil, "the data to be saved is larger than 1 MiB"
end

--- Copies a part of an account.
function form.copy(value)
  if type(value) ~= "table" then return value end
  local copy = bmwi.json.is_array(value) and bmwi.json.array() or {}
  for name, member in pairs(value) do copy[name] = form.copy(member) end
  return copy
end

return form
