-- bmwi.cli.screen: fits the picture of `bmwi watch` on a terminal. Pure functions; widths are in
-- columns.

local width = require("bmwi.cli.layout").width

local screen = {}

--- The text, cut to this many columns. "..." shows that there was more, where it has room.
---@param text string
---@param columns number
---@return string text
function screen.cut(text, columns)
  if width(text) <= columns then return text end
  local dots = columns > 6 and "..." or ""
  local kept, left = {}, columns - #dots
  for letter in text:gmatch("[^\128-\191][\128-\191]*") do
    if left < 1 then break end
    kept[#kept + 1], left = letter, left - 1
  end
  return table.concat(kept) .. dots
end

-- A group's blocks in the order in which they get room.
local function by_urgency(group)
  local list, others = { group[1] }, {}
  for i = 2, #group do table.insert(group[i].urgent and list or others, group[i]) end
  for _, block in ipairs(others) do list[#list + 1] = block end
  return list
end

--- The lines of the blocks that fit: the first one of each group, its heading, then one of each
--- group in turn, the urgent ones before the others. What is shown stays in order.
---@param groups table[][] arrays of blocks; a block is an array of lines, and may be `urgent`
---@param room number lines
---@return string[] lines
---@return integer left how many blocks do not fit, without the headings
function screen.fit(groups, room)
  local queues, longest, fits = {}, 0, {}
  for i, group in ipairs(groups) do
    queues[i], longest = by_urgency(group), math.max(longest, #group)
  end
  for i = 1, longest do
    for _, queue in ipairs(queues) do
      local block = queue[i]
      if block then
        room = #block <= room and room - #block or -1 -- no smaller one instead
        fits[block] = room >= 0
      end
    end
  end
  local lines, left = {}, 0
  for _, group in ipairs(groups) do
    for i, block in ipairs(group) do
      for _, line in ipairs(fits[block] and block or {}) do lines[#lines + 1] = line end
      if i > 1 and not fits[block] then left = left + 1 end
    end
  end
  return lines, left
end

local GAP = 2 -- spaces between two columns
local LEAST = { 16, 8, 14 } -- columns that make a cell useful

--- The widths of the three columns of a table, so that each row is one line. Without room for the
--- third one it is 0; without room for the second one, nil: a row needs two lines.
---@param widest integer[] of the cells
---@param columns number length of a line
---@return integer[]|nil widths
function screen.shares(widest, columns)
  local first, second, third = widest[1], widest[2], widest[3]
  local room = columns - first - GAP
  if room < math.min(second, LEAST[2]) then return nil end
  if third > 0 then
    third = math.min(third, math.max(room - second - GAP, LEAST[3]))
    if room - third - GAP < math.min(second, LEAST[1]) then third = 0 end
  end
  if third > 0 then room = room - third - GAP end
  return { first, math.min(second, room), third }
end

return screen
