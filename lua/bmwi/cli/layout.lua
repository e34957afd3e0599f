-- bmwi.cli.layout: how text fills lines. Pure functions; a width is counted in columns.

local layout = {}

layout.WIDTH = 80 -- of what is not a terminal

--- Columns a text takes: its UTF-8 characters (wide ones are counted as one).
---@param text string
---@return integer columns
function layout.width(text)
  return #text:gsub("[\128-\191]", "")
end

--- The text, with spaces up to so many columns.
function layout.pad(text, columns)
  return text .. (" "):rep(columns - layout.width(text))
end

--- Breaks a text at its spaces. A word that is longer than a line stays whole.
---@param text string without line breaks
---@param columns number of a line
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

--- A label and a text that goes on below itself.
---@param label string with the spaces between the two
---@param text string
---@param columns number of the whole line
---@return string text may hold line breaks
function layout.hang(label, text, columns)
  local indent = layout.width(label)
  local lines = layout.fill(text, math.max(columns - indent, 20))
  return label .. table.concat(lines, "\n" .. (" "):rep(indent))
end

return layout
