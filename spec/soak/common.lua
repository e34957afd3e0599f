--- Shared by the parts of the soak: random numbers that are the same on every Lua, requests to the
--- simulator's control paths in bulk, the cars' VINs
--- and small helpers.
local helper = require("spec.helper")

local common = {}

--- A generator: next() -> [0, 1), next(n) -> 1..n, next(list) -> one of the list.
---@param seed integer
function common.random(seed)
  local state = seed % 2147483646 + 1 -- Park and Miller: exact in a double
  local function next(of)
    state = state * 16807 % 2147483647
    local x = (state - 1) / 2147483646
    if type(of) == "table" then return of[math.floor(x * #of) + 1] end
    return of and math.floor(x * of) + 1 or x
  end
  for _ = 1, 10 do next() end
  return next
end

--- The VIN of car number i.
function common.vin(i) return ("WBY1Z4%011d"):format(i) end

--- Whether a file exists.
function common.exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

--- The highest number of entries within so many seconds; the list is sorted by time.
---@param member string the name of an entry's time
function common.busiest(list, member, seconds)
  local first, most = 1, 0
  for i, entry in ipairs(list) do
    while list[first][member] <= entry[member] - seconds do first = first + 1 end
    most = math.max(most, i - first + 1)
  end
  return most
end

local function quote(text)
  return '"' .. text:gsub('[\\"]', "\\%0") .. '"'
end

--- Requests to /_sim over one connection, by one run of the curl program.
---@param sim table url and ca
---@param requests table[] {method, path, value or nil}
---@return table answers decoded, in order
function common.control(sim, requests)
  local config, names = {}, {}
  local folder = os.tmpname()
  os.remove(folder)
  os.execute("mkdir -m 700 " .. folder)
  for i, request in ipairs(requests) do
    names[i] = ("%s/%d"):format(folder, i)
    local lines = { "silent", "insecure", "max-time = 60", "request = " .. request[1],
      "url = " .. quote(sim.url .. "/_sim" .. request[2]), "output = " .. quote(names[i]) }
    if request[3] then
      lines[#lines + 1] = "data-binary = " .. quote(helper.json.encode(request[3]))
    end
    config[i] = table.concat(lines, "\n")
  end
  local file = assert(io.open(folder .. "/config", "w"))
  file:write(table.concat(config, "\nnext\n"), "\n")
  file:close()
  os.execute("curl -K " .. folder .. "/config")
  local answers = {}
  for i, name in ipairs(names) do
    local answer = io.open(name, "rb")
    local text = answer and answer:read("*a") or ""
    if answer then answer:close() end
    if text:find('^{"error"') or text == "" then
      error(("%s /_sim%s: %s"):format(requests[i][1], requests[i][2], text))
    end
    answers[i] = helper.json.decode(text)
  end
  os.execute("rm -rf " .. folder)
  return answers
end

return common
