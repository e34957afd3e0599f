--- Maps: range map, destinations and a car's position as GeoJSON, KML and SVG text.
-- Contains the public functions; geo/reading.lua reads the responses, and each format has its own
-- file there.

local check = require "bmwi._check"
local reading = require "bmwi.geo.reading"

local geo = {}

local OPTIONS = { { "title", "string" } }

local function check_arguments(name, answer, options)
  check.argument(answer, "table", 1, name, 3)
  check.options(options, OPTIONS, 2, name, 3)
end

-- Each format is loaded at its first use.
local function write(format, answer, options)
  local shapes, message, code = reading.shapes(answer)
  if not shapes then return nil, message, code end
  return require("bmwi.geo." .. format)(shapes, options or {})
end

--- Writes GeoJSON (RFC 7946): a FeatureCollection with a polygon for each ring of the range map
-- (properties `type`, `quality`) and a point for each position. Longitude first, rings closed and
-- counter-clockwise, at most seven decimals, cut at the antimeridian.
--
-- All three functions accept the result of car:range_map(), car:destinations() or car:status(), or
-- several as {range_map=, destinations=, status=}. `{}`, which the server sends for a car without a
-- range map, gives an empty collection. Rings with fewer than three different points and entries
-- without a position are skipped.
---@param answer table
---@param options? {title:string}
---@return string|nil text
---@return string|nil message
---@return "geo"|nil code a coordinate that is missing, not a number or out of range
function geo.geojson(answer, options)
  check_arguments("geojson", answer, options)
  return write("geojson", answer, options)
end

--- Writes KML 2.2 (OGC 07-147r2), with a colour for each ring. Accepts the same as geo.geojson.
---@param answer table
---@param options? {title:string}
---@return string|nil text
---@return string|nil message
---@return "geo"|nil code
function geo.kml(answer, options)
  check_arguments("kml", answer, options)
  return write("kml", answer, options)
end

--- Draws an SVG picture: translucent rings with the larger one below, distance circles, markers, a
-- scale bar in km and miles, a north arrow and a legend. It needs no external resources. Accepts
-- the same as geo.geojson; without anything to draw the picture says so.
---@param answer table
---@param options? {title:string}
---@return string|nil text
---@return string|nil message
---@return "geo"|nil code
function geo.svg(answer, options)
  check_arguments("svg", answer, options)
  return write("svg", answer, options)
end

--- The area enclosed by a polyline.
---@param polyline {lat:number,lon:number}[] closed or not, in either direction
---@return number|nil km2 0 for fewer than three different points
---@return string|nil message
---@return "geo"|nil code
function geo.area_km2(polyline)
  check.argument(polyline, "table", 1, "area_km2")
  return reading.area_km2(polyline)
end

return geo
