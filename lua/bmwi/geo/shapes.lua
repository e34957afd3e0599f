--- What the formats share: the order, colours and names of shapes, and the points of rings.

local sphere = require "bmwi.geo.sphere"

local shapes = {}

--- Larger rings first, so that smaller ones are drawn on top.
function shapes.rings_by_area(list)
  local rings = {}
  for _, shape in ipairs(list) do
    if shape.ring then rings[#rings + 1] = shape end
  end
  table.sort(rings, function(a, b) return a.area > b.area end)
  return rings
end

--- The ring cut at the antimeridian, as RFC 7946 section 3.1.9 requires; usually one ring.
-- Each part is the ring clipped to one turn of 360 degrees (Sutherland and Hodgman).
function shapes.cut(ring)
  local parts = {}
  for turn = -1, 1 do
    local part = ring
    for side = -1, 1, 2 do
      local edge = turn * 360 + side * 180
      local clipped = {}
      for i, b in ipairs(part) do
        local a = part[(i - 2) % #part + 1]
        local a_in, b_in = (edge - a.lon) * side >= 0, (edge - b.lon) * side >= 0
        if a_in ~= b_in then
          local t = (edge - a.lon) / (b.lon - a.lon)
          clipped[#clipped + 1] = { lat = a.lat + t * (b.lat - a.lat), lon = edge }
        end
        if b_in then clipped[#clipped + 1] = b end
      end
      part = clipped
    end
    if #part >= 3 and sphere.signed_area(part) > 0 then
      local shifted = {}
      for i, point in ipairs(part) do
        shifted[i] = { lat = point.lat, lon = point.lon - turn * 360 }
      end
      parts[#parts + 1] = shifted
    end
  end
  return parts
end

--- The points of a ring, the first one again at the end.
function shapes.closed(ring)
  local list = {}
  for i = 1, #ring + 1 do list[i] = ring[(i - 1) % #ring + 1] end
  return list
end

-- Colours by drive mode; an unknown mode gets the first free one.
local COLOURS = { ECO_PRO_PLUS = "#1a9850", ECO_PRO = "#66a61e", COMFORT = "#1c69d4" }
local MORE_COLOURS = { "#d95f02", "#7570b3", "#e7298a", "#a6761d" }
local NAMES = { ECO_PRO_PLUS = "ECO PRO+", ECO_PRO = "ECO PRO", COMFORT = "COMFORT" }

function shapes.colours_of(rings)
  local list, extra = {}, 0
  for i, shape in ipairs(rings) do
    list[i] = COLOURS[shape.properties.type]
    if not list[i] then
      list[i] = MORE_COLOURS[extra % #MORE_COLOURS + 1]
      extra = extra + 1
    end
  end
  return list
end

function shapes.ring_name(shape)
  local kind = tostring(shape.properties.type or "RANGE")
  return NAMES[kind] or (kind:gsub("_", " "))
end

function shapes.point_name(shape)
  local p = shape.properties
  if shape.mark == "center" then return "Centre of the range map" end
  if shape.mark == "car" then return "Car" end
  local street = p.street
  if street and p.streetNumber then street = street .. " " .. p.streetNumber end
  local list = {}
  for _, part in ipairs({ p.name or "", street or "", p.city or "", p.country or "" }) do
    if part ~= "" then list[#list + 1] = part end
  end
  return #list > 0 and table.concat(list, ", ") or "Destination"
end

--- The default title of a picture or document.
function shapes.default_title(list)
  local first = list[1]
  if first and first.mark == "destination" then return "Destinations" end
  if first and first.mark == "car" then return "Position of the car" end
  return "Range of the car"
end

return shapes
