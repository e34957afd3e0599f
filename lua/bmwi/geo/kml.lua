--- KML 2.2 (OGC 07-147r2).

local decimal = require "bmwi._decimal"
local reading = require "bmwi.geo.reading"
local shapes = require "bmwi.geo.shapes"
local xml = require("bmwi.geo.xml").escape

local function coordinates(point)
  return ("%s,%s,0"):format(decimal(point.lon, 7), decimal(point.lat, 7))
end

-- KML writes colours as alpha, blue, green, red.
local function kml_colour(colour, alpha)
  local red, green, blue = colour:match("^#(%x%x)(%x%x)(%x%x)$")
  return alpha .. blue .. green .. red
end

local function kml_data(properties)
  local list = {}
  for _, name in ipairs(reading.PROPERTIES) do
    local value = properties[name]
    if value ~= nil then
      local shown = type(value) == "number" and decimal(value, 7) or value
      list[#list + 1] = ('<Data name="%s"><value>%s</value></Data>'):format(name, xml(shown))
    end
  end
  return #list > 0 and "<ExtendedData>" .. table.concat(list) .. "</ExtendedData>" or ""
end

local function kml_placemark(name, style, shape, geometry)
  return ("<Placemark><name>%s</name>%s%s%s</Placemark>"):format(
    xml(name), style, kml_data(shape.properties), geometry)
end

local function kml_ring(ring)
  local points = {}
  for i, point in ipairs(shapes.closed(ring)) do points[i] = coordinates(point) end
  return "<Polygon><outerBoundaryIs><LinearRing><coordinates>" .. table.concat(points, " ")
    .. "</coordinates></LinearRing></outerBoundaryIs></Polygon>"
end

---@param list table[] shapes
---@param options {title:string}
---@return string
local function write(list, options)
  local rings = shapes.rings_by_area(list)
  local colours = shapes.colours_of(rings)
  local lines = {
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<kml xmlns="http://www.opengis.net/kml/2.2"><Document>',
    "<name>" .. xml(options.title or shapes.default_title(list)) .. "</name>",
  }
  local function add(line) lines[#lines + 1] = line end
  for i in ipairs(rings) do
    add(('<Style id="range%d"><LineStyle><color>%s</color><width>2</width></LineStyle>'
      .. "<PolyStyle><color>%s</color></PolyStyle></Style>"):format(
      i, kml_colour(colours[i], "ff"), kml_colour(colours[i], "4d")))
  end
  for i, shape in ipairs(rings) do
    local polygons = {}
    for j, part in ipairs(shapes.cut(shape.ring)) do polygons[j] = kml_ring(part) end
    local geometry = table.concat(polygons)
    if #polygons > 1 then geometry = "<MultiGeometry>" .. geometry .. "</MultiGeometry>" end
    add(kml_placemark(shapes.ring_name(shape), ("<styleUrl>#range%d</styleUrl>"):format(i), shape,
      geometry))
  end
  for _, shape in ipairs(list) do
    if shape.point then
      add(kml_placemark(shapes.point_name(shape), "", shape,
        "<Point><coordinates>" .. coordinates(shape.point) .. "</coordinates></Point>"))
    end
  end
  add("</Document></kml>")
  return table.concat(lines, "\n") .. "\n"
end

return write
