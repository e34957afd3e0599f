--- GeoJSON (RFC 7946).

local bmwi = require "bmwi"
local shapes = require "bmwi.geo.shapes"
local sphere = require "bmwi.geo.sphere"

local function position(point)
  return { sphere.rounded(point.lon), sphere.rounded(point.lat) }
end

local function polygon(ring)
  local positions = {}
  for i, point in ipairs(shapes.closed(ring)) do positions[i] = position(point) end
  return { positions }
end

local function geometry(shape)
  if shape.point then return { type = "Point", coordinates = position(shape.point) } end
  local polygons = {}
  for i, part in ipairs(shapes.cut(shape.ring)) do polygons[i] = polygon(part) end
  if #polygons == 1 then return { type = "Polygon", coordinates = polygons[1] } end
  return { type = "MultiPolygon", coordinates = polygons }
end

---@param list table[] shapes
---@param options {title:string}
---@return string
local function write(list, options)
  local features = bmwi.json.array()
  for i, shape in ipairs(list) do
    features[i] = { type = "Feature", geometry = geometry(shape), properties = shape.properties }
  end
  -- RFC 7946 section 6.1 allows additional members; viewers look for a title.
  return bmwi._sys.json({ type = "FeatureCollection", title = options.title, features = features })
    .. "\n"
end

return write
