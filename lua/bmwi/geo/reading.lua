--- Reads the positions from the service's responses, checks them, and makes shapes.

local sphere = require "bmwi.geo.sphere"
local units = require "bmwi.units"

local reading = {}

-- An invalid coordinate is raised as this table and caught at the start of the reading, so that the
-- code in between stays simple.
local BadPosition = {}

local function bad(what)
  error(setmetatable({ what = what }, BadPosition), 0)
end

-- Rounded here, so that comparisons use the values that are written.
local function coordinate(value, limit, what)
  local number = units.number(value)
  -- The comparison is false for NaN.
  if not (number and number >= -limit and number <= limit) then bad(what) end
  return sphere.rounded(number)
end

-- The checked {lat=, lon=}, or nil if the table has neither.
local function position_of(source, what)
  if type(source) ~= "table" then bad(what .. " is not a table with lat and lon") end
  if source.lat == nil and source.lon == nil then return nil end
  return {
    lat = coordinate(source.lat, 90, what .. ": the latitude is not a number from -90 to 90"),
    lon = coordinate(source.lon, 180, what .. ": the longitude is not a number from -180 to 180"),
  }
end

local function same_place(a, b)
  return a.lat == b.lat and a.lon == b.lon
end

-- Converts a polyline to a ring: checked, each point once (not yet closed), counter-clockwise. nil
-- if it encloses no area.
local function ring_of(polyline, what)
  if type(polyline) ~= "table" or next(polyline) ~= nil and polyline[1] == nil then
    bad(what .. ": the polyline is not an array")
  end
  local ring, west, east = {}, math.huge, -math.huge
  for i, point in ipairs(polyline) do
    local here = position_of(point, ("%s: point %d"):format(what, i))
    if not here then bad(("%s: point %d has no position"):format(what, i)) end
    local last = ring[#ring]
    if last then here.lon = sphere.unwrap(here.lon, last.lon) end
    west, east = math.min(west, here.lon), math.max(east, here.lon)
    if not (last and same_place(last, here)) then ring[#ring + 1] = here end
  end
  if east - west >= 360 then bad(what .. ": the polyline runs around the globe") end
  if #ring > 1 and same_place(ring[1], ring[#ring]) then ring[#ring] = nil end
  local area = sphere.signed_area(ring)
  if area == 0 then return nil end
  if area < 0 then
    local reversed = {}
    for i = #ring, 1, -1 do reversed[#reversed + 1] = ring[i] end
    ring = reversed
  end
  return ring
end

-- Texts and finite numbers are copied as properties; "1e999" in a response cannot be written.
local function scalar(value)
  if type(value) == "string" then return value end
  if type(value) == "number" and value > -math.huge and value < math.huge then return value end
  return nil
end

--- The members of a response that become properties, in this order.
reading.PROPERTIES = {
  "type", "quality", "name", "street", "streetNumber", "postalCode", "city", "country",
  "createdAt", "status", "heading", "updateTime",
}

local function properties_of(...)
  local result = {}
  for i = 1, select("#", ...) do
    local source = select(i, ...)
    for _, name in ipairs(reading.PROPERTIES) do
      if result[name] == nil then result[name] = scalar(source[name]) end
    end
  end
  return result
end

local function add_range_map(shapes, map)
  if type(map) ~= "table" then bad("the range map is not a table") end
  if map.rangemap ~= nil then return add_range_map(shapes, map.rangemap) end
  shapes.empty = "There is no range map for this car."
  local center = map.center ~= nil and position_of(map.center, "the center") or nil
  for i, entry in ipairs(type(map.rangemaps) == "table" and map.rangemaps or {}) do
    local what = ("range map %d"):format(i)
    if type(entry) ~= "table" then bad(what .. " is not a table") end
    local ring = entry.polyline ~= nil and ring_of(entry.polyline, what)
    if ring then
      local shape = { ring = ring, area = sphere.area_km2(ring) }
      shape.properties = properties_of({ type = entry.type, quality = map.quality })
      shapes[#shapes + 1] = shape
    end
  end
  if center then
    shapes[#shapes + 1] = {
      point = center, mark = "center",
      properties = properties_of({ type = "CENTER", quality = map.quality }),
    }
    shapes.center = center
  end
end

local function add_destinations(shapes, list)
  if type(list) ~= "table" then bad("the destinations are not an array") end
  for i, entry in ipairs(list) do
    local point = position_of(entry, ("destination %d"):format(i))
    if point then
      shapes[#shapes + 1] = {
        point = point, mark = "destination",
        properties = properties_of({ type = scalar(entry.type) or "DESTINATION" }, entry),
      }
    end
  end
end

local function add_status(shapes, status)
  if type(status) ~= "table" then bad("the status is not a table") end
  if status.position == nil then return end
  local point = position_of(status.position, "the position")
  if point then
    shapes[#shapes + 1] = {
      point = point, mark = "car",
      properties = properties_of({ type = "POSITION", updateTime = status.updateTime },
        status.position),
    }
  end
end

local PARTS = {
  { "range_map", add_range_map }, { "destinations", add_destinations }, { "status", add_status },
}

local function collect(answer)
  local shapes, parts = {}, false
  for _, part in ipairs(PARTS) do
    if answer[part[1]] ~= nil then
      parts = true
      part[2](shapes, answer[part[1]])
    end
  end
  if parts then return shapes end
  if answer.position ~= nil then
    add_status(shapes, answer)
  elseif answer[1] ~= nil then
    add_destinations(shapes, answer)
  else
    add_range_map(shapes, answer)
  end
  return shapes
end

-- The results of fn, or nil, message, code for an invalid position.
local function guarded(fn, ...)
  local ok, result = pcall(fn, ...)
  if ok then return result end
  if getmetatable(result) ~= BadPosition then error(result, 0) end
  return nil, result.what, "geo"
end

--- Everything to draw, as an array of shapes: {ring=, area=, properties=} or {point=, mark=,
-- properties=}. With a range map, `center` is its position; `empty` is the text to show if there
-- are no shapes.
---@param answer table the result of car:range_map(), :destinations(), :status(), or several by name
---@return table|nil shapes
---@return string|nil message
---@return "geo"|nil code
function reading.shapes(answer)
  return guarded(collect, answer)
end

--- The area enclosed by a polyline.
---@param polyline table
---@return number|nil km2
---@return string|nil message
---@return "geo"|nil code
function reading.area_km2(polyline)
  return guarded(function()
    local ring = ring_of(polyline, "the polyline")
    return ring and sphere.area_km2(ring) or 0
  end)
end

return reading
