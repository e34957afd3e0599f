-- bmwi.cli.layout: fits text into lines. Pure functions; widths are in columns.

local layout = {}

layout.WIDTH = 80 -- without a terminal

--- The columns of a text: its UTF-8 characters (wide ones count as one).
---@param text string
---@return integer columns
function layout.width(text)
  if text:find("^[ -~]*$") then return #text end
  return #text:gsub("[\128-\191]", "")
end

--- The text, padded with spaces to this many columns.
function layout.pad(text, columns)
  return text .. (" "):rep(columns - layout.width(text))
end

--- Breaks a text at its spaces. A word longer than a line is not split.
---@param text string without line breaks
---@param columns number length of a line
---@return string[] lines at least one
function layout.fill(text, columns)
  local lines, line = {}, ""
  for space, word in text:gmatch("( *)([^ ]+)") do
    if line ~= "" and layout.width(line) + #space + layout.width(word) > columns then
      lines[#lines + 1], line = line, word
    else
      line = line .. space .. word
    end
  end
  lines[#lines + 1] = line
  return lines
end

--- A label with a text beside it; further lines of the text are indented to its column.
---@param label string including the spaces before the text
---@param text string
---@param columns number length of the whole line
---@return string text may hold line breaks
function layout.hang(label, text, columns)
  local indent = layout.width(label)
  local lines = layout.fill(text, math.max(columns - indent, 20))
  return label .. table.concat(lines, "\n" .. (" "):rep(indent))
end

return layout
