--- GeoJSON (RFC 7946).

local text = require "bmwi._text"
local reading = require "bmwi.geo.reading"
local shapes = require "bmwi.geo.shapes"

local JSON_ESCAPES = {
  ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r",
  ["\t"] = "\\t",
}

local function json_string(bytes)
  return '"' .. text.valid(bytes):gsub('[%z\1-\31"\\\127]', function(char)
    return JSON_ESCAPES[char] or ("\\u%04x"):format(char:byte())
  end) .. '"'
end

local function json_properties(properties)
  local list = {}
  for _, name in ipairs(reading.PROPERTIES) do
    local value = properties[name]
    if value ~= nil then
      value = type(value) == "number" and text.decimal(value, 7) or json_string(value)
      list[#list + 1] = json_string(name) .. ":" .. value
    end
  end
  return "{" .. table.concat(list, ",") .. "}"
end

local function json_geometry(shape)
  if shape.point then
    return ('{"type":"Point","coordinates":[%s,%s]}'):format(
      text.decimal(shape.point.lon, 7), text.decimal(shape.point.lat, 7))
  end
  local polygons = {}
  for i, part in ipairs(shapes.cut(shape.ring)) do
    polygons[i] = "[[" .. shapes.coordinates(part, "[%s,%s]", ",") .. "]]"
  end
  if #polygons == 1 then return '{"type":"Polygon","coordinates":' .. polygons[1] .. "}" end
  return '{"type":"MultiPolygon","coordinates":[' .. table.concat(polygons, ",") .. "]}"
end

---@param list table[] shapes
---@param options {title:string}
---@return string
local function write(list, options)
  local features = {}
  for i, shape in ipairs(list) do
    features[i] = ('{"type":"Feature","geometry":%s,"properties":%s}'):format(
      json_geometry(shape), json_properties(shape.properties))
  end
  -- RFC 7946 section 6.1 allows further members; a title is what viewers look for.
  local title = options.title and '"title":' .. json_string(options.title) .. "," or ""
  if #features == 0 then
    return '{"type":"FeatureCollection",' .. title .. '"features":[]}\n'
  end
  return '{"type":"FeatureCollection",' .. title .. '"features":[\n'
    .. table.concat(features, ",\n") .. "\n]}\n"
end

return write
