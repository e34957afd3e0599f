-- bmwi.cli.closest: what was probably meant by a word that is unknown. Loaded when there is one.

local names = require "bmwi._names"

local closest = {}

-- Alternative names that people may type.
local SYNONYMS = {
  cars = "vehicles", car = "vehicles", list = "vehicles", trip = "trips", profile =
  "charging-profile", chargingprofile = "charging-profile", charging = "charging-profile",
  map = "range-map", rangemap = "range-map", range = "range-map", navigation = "soc",
  battery = "soc", lights = "flash", light = "flash", honk = "horn", heat = "climate",
  ["climate-now"] = "climate", ["charge-now"] = "charge", locate = "find", finder = "find",
  send = "poi", ["send-poi"] = "poi", destination = "destinations", picture = "image",
  auth = "login", check = "doctor", simulator = "demo",
}

-- The number of single-letter edits between two words, counting a swap of two letters as one
-- (restricted Damerau-Levenshtein distance).
local function distance(a, b)
  local x, y, rows = { a:byte(1, -1) }, { b:byte(1, -1) }, { [0] = {} }
  for j = 0, #b do rows[0][j] = j end
  for i = 1, #a do
    rows[i] = { [0] = i }
    for j = 1, #b do
      local change = rows[i - 1][j - 1] + (x[i] == y[j] and 0 or 1)
      local least = math.min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, change)
      if i > 1 and j > 1 and x[i] == y[j - 1] and x[i - 1] == y[j] then
        least = math.min(least, rows[i - 2][j - 2] + 1)
      end
      rows[i][j] = least
    end
  end
  return rows[#a][#b]
end

--- The word in a list that was probably meant.
---@param word string
---@param known string[]
---@return string|nil word
function closest.word(word, known)
  local best, least = nil, math.max(1, math.floor(#word / 3)) + 1
  word = word:lower()
  for _, candidate in ipairs(known) do
    local far = math.abs(#word - #candidate) -- at least
    if far < least then far = distance(word, candidate) end
    if #word >= 3 and candidate:sub(1, #word) == word then far = math.min(far, 1) end
    if far < least then best, least = candidate, far end
  end
  return best
end

--- The command that was probably meant.
---@param name string
---@return string|nil name
function closest.command(name)
  return SYNONYMS[name:lower()] or closest.word(name, names(require "bmwi.cli.commands"))
end

return closest
