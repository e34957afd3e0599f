--- What the SVG pictures of bmwi.geo and bmwi.chart share: page, title, texts and colours.

local decimal = require "bmwi._decimal"
local text = require "bmwi._text"
local xml = require("bmwi.geo.xml").escape

local svg = { WIDTH = 800, MARGIN = 20, TOP = 64,
  INK = "#202830", SOFT = "#4a5560", LINE = "#c9d0d6", PAPER = "#f3f5f7" }

--- The text, shortened to at most `limit` characters.
function svg.shorten(content, limit)
  local list = text.characters(content)
  if #list <= limit then return content end
  return table.concat(list, "", 1, limit - 1) .. "\226\128\166" -- an ellipsis
end

function svg.text(x, y, content, attributes)
  return ('<text x="%s" y="%s"%s>%s</text>'):format(
    decimal(x, 2), decimal(y, 2), attributes and " " .. attributes or "", xml(content))
end

--- A filled rectangle with rounded corners.
function svg.rect(x, y, width, height, attributes)
  return ('<rect x="%s" y="%s" width="%s" height="%s" %s/>'):format(decimal(x, 2), decimal(y, 2),
    decimal(width, 2), decimal(height, 2), attributes)
end

--- The beginning of a picture of this height: title, description, white page.
---@param add fun(line:string)
function svg.open(add, title, description, height)
  add '<?xml version="1.0" encoding="UTF-8"?>'
  add(('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d"'
    .. ' role="img" font-family="Helvetica, Arial, sans-serif">'):format(
    svg.WIDTH, height, svg.WIDTH, height))
  add("<title>" .. xml(title) .. "</title>")
  add("<desc>" .. xml(description) .. "</desc>")
  -- A white outline keeps text readable on top of lines and colours.
  add("<style>.halo text{paint-order:stroke;stroke:#ffffff;stroke-width:3px;"
    .. "stroke-linejoin:round}</style>")
  add(('<rect width="%d" height="%d" fill="#ffffff"/>'):format(svg.WIDTH, height))
  add(svg.text(svg.MARGIN, 42, svg.shorten(title, 48),
    ('font-size="26" font-weight="bold" fill="%s"'):format(svg.INK)))
end

--- A picture without content; it shows the message.
function svg.empty(add, title, message)
  svg.open(add, title, message, 200)
  add(svg.text(svg.WIDTH / 2, 120, message,
    ('font-size="20" fill="%s" text-anchor="middle"'):format(svg.SOFT)))
end

--- The largest power of ten, times 1, 2 or 5, that is at most `limit`.
function svg.nice(limit)
  local power = 10 ^ math.floor(math.log(limit) / math.log(10))
  local best = power
  for _, step in ipairs { 1, 2, 5, 10 } do
    -- with a tolerance: the logarithm of 1000 may be slightly less than 3
    if step * power <= limit * (1 + 1e-9) then best = step * power end
  end
  return best
end

return svg
