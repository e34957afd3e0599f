--- Maps: range map, destinations and a car's position as GeoJSON, KML and SVG text.
-- Owns reading positions out of the answers, checking them, and writing the three formats. The
-- texts are written here and not by a JSON or XML library: each point must come out with the same
-- digits whatever the process's locale, and an empty collection as `[]`.

local units = require "bmwi.units"

local geo = {}

local EARTH_RADIUS_KM = 6371.0088
local KM_PER_DEGREE = EARTH_RADIUS_KM * math.pi / 180

-- Text ------------------------------------------------------------------------------------------

-- Decimal point whatever the locale; no zeros at the end.
local function decimal(value, places)
  local text = ("%%.%df"):format(places):format(value):gsub("[^%d%-]+", ".")
  if text:find(".", 1, true) then text = text:gsub("0+$", ""):gsub("%.$", "") end
  return text
end

-- The second byte of a UTF-8 sequence has a narrower range after these first bytes.
local SECOND_BYTE = {
  [0xE0] = { 0xA0, 0xBF },
  [0xED] = { 0x80, 0x9F },
  [0xF0] = { 0x90, 0xBF },
  [0xF4] = { 0x80, 0x8F },
}
local REPLACEMENT = "\239\191\189" -- U+FFFD

-- Length of the valid UTF-8 sequence at `at`, or nil.
local function utf8_length(text, at)
  local first = text:byte(at)
  local length = first < 0x80 and 1 or first < 0xC2 and 0 or first < 0xE0 and 2
    or first < 0xF0 and 3 or first < 0xF5 and 4 or 0
  if length == 0 then return nil end
  for i = 1, length - 1 do
    local byte = text:byte(at + i)
    local range = i == 1 and SECOND_BYTE[first]
    if not byte or byte < (range and range[1] or 0x80) or byte > (range and range[2] or 0xBF) then
      return nil
    end
  end
  return length
end

-- The text as an array of characters. Broken bytes, which dealers' texts have been seen to hold,
-- become U+FFFD.
local function characters(text)
  local list, at = {}, 1
  while at <= #text do
    local length = utf8_length(text, at)
    list[#list + 1] = length and text:sub(at, at + length - 1) or REPLACEMENT
    at = at + (length or 1)
  end
  return list
end

local JSON_ESCAPES = {
  ['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r",
  ["\t"] = "\\t",
}

local function json_string(text)
  local clean = table.concat(characters(text))
  return '"' .. clean:gsub('[%z\1-\31"\\\127]', function(char)
    return JSON_ESCAPES[char] or ("\\u%04x"):format(char:byte())
  end) .. '"'
end

local XML_ESCAPES = {
  ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&apos;",
}

-- XML 1.0 has no control characters and no U+FFFE and U+FFFF, not even escaped.
local function xml(text)
  local clean = table.concat(characters(text))
  clean = clean:gsub("[%z\1-\8\11\12\14-\31\127]", REPLACEMENT)
  clean = clean:gsub("\239\191[\190\191]", REPLACEMENT)
  return (clean:gsub("[&<>\"']", XML_ESCAPES))
end

local function shorten(text, limit)
  local list = characters(text)
  if #list <= limit then return text end
  return table.concat(list, "", 1, limit - 1) .. "\226\128\166" -- an ellipsis
end

-- Reading the answers -----------------------------------------------------------------------------

-- A bad coordinate is raised as this table and caught where the public function starts, so that
-- the reading in between stays plain.
local BadPosition = {}

local function bad(what)
  error(setmetatable({ what = what }, BadPosition), 0)
end

-- Seven decimals are a centimetre. Rounded here, so that what is compared is what is written.
local function coordinate(value, limit, what)
  local number = units.number(value)
  -- The comparison is false for NaN.
  if not (number and number >= -limit and number <= limit) then bad(what) end
  return math.floor(number * 1e7 + 0.5) / 1e7
end

-- {lat=, lon=} checked, or nil when the table has neither.
local function position_of(source, what)
  if type(source) ~= "table" then bad(what .. " is not a table with lat and lon") end
  if source.lat == nil and source.lon == nil then return nil end
  return {
    lat = coordinate(source.lat, 90, what .. ": the latitude is not a number from -90 to 90"),
    lon = coordinate(source.lon, 180, what .. ": the longitude is not a number from -180 to 180"),
  }
end

-- Longitudes that go on past 180 instead of jumping to -180, so that a ring stays in one piece.
local function unwrap(lon, reference)
  return lon + 360 * math.floor((reference - lon) / 360 + 0.5)
end

-- Twice the area in square degrees; above 0 when the ring runs counter-clockwise.
local function signed_area(ring)
  local sum = 0
  for i, a in ipairs(ring) do
    local b = ring[i % #ring + 1]
    sum = sum + a.lon * b.lat - b.lon * a.lat
  end
  return sum
end

local function same_place(a, b)
  return a.lat == b.lat and a.lon == b.lon
end

-- A polyline as a ring: checked, each point once (not closed yet), counter-clockwise. nil when it
-- encloses nothing.
local function ring_of(polyline, what)
  if type(polyline) ~= "table" or next(polyline) ~= nil and polyline[1] == nil then
    bad(what .. ": the polyline is not an array")
  end
  local ring, west, east = {}, math.huge, -math.huge
  for i, point in ipairs(polyline) do
    local here = position_of(point, ("%s: point %d"):format(what, i))
    if not here then bad(("%s: point %d has no position"):format(what, i)) end
    local last = ring[#ring]
    if last then here.lon = unwrap(here.lon, last.lon) end
    west, east = math.min(west, here.lon), math.max(east, here.lon)
    if not (last and same_place(last, here)) then ring[#ring + 1] = here end
  end
  if east - west >= 360 then bad(what .. ": the polyline runs around the globe") end
  if #ring > 1 and same_place(ring[1], ring[#ring]) then ring[#ring] = nil end
  local area = signed_area(ring)
  if area == 0 then return nil end
  if area < 0 then
    local reversed = {}
    for i = #ring, 1, -1 do reversed[#reversed + 1] = ring[i] end
    ring = reversed
  end
  return ring
end

-- Area on the sphere (Chamberlain and Duquette, "Some algorithms for polygons on a sphere").
local function ring_area_km2(ring)
  local sum = 0
  for i, a in ipairs(ring) do
    local b = ring[i % #ring + 1]
    sum = sum + math.rad(b.lon - a.lon)
      * (2 + math.sin(math.rad(a.lat)) + math.sin(math.rad(b.lat)))
  end
  return math.abs(sum) * EARTH_RADIUS_KM * EARTH_RADIUS_KM / 2
end

local function distance_km(a, b)
  local x = math.sin(math.rad(b.lat - a.lat) / 2)
  local y = math.sin(math.rad(b.lon - a.lon) / 2)
  local h = x * x + math.cos(math.rad(a.lat)) * math.cos(math.rad(b.lat)) * y * y
  return 2 * EARTH_RADIUS_KM * math.asin(math.min(1, math.sqrt(h)))
end

-- Text and finite numbers go on as properties; "1e999" in an answer is no number to write.
local function scalar(value)
  if type(value) == "string" then return value end
  if type(value) == "number" and value > -math.huge and value < math.huge then return value end
  return nil
end

-- The members of an answer that go on as properties, in this order.
local PROPERTIES = {
  "type", "quality", "name", "street", "streetNumber", "postalCode", "city", "country",
  "createdAt", "status", "heading", "updateTime",
}

local function properties_of(...)
  local result = {}
  for i = 1, select("#", ...) do
    local source = select(i, ...)
    for _, name in ipairs(PROPERTIES) do
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
      local shape = { ring = ring, area = ring_area_km2(ring) }
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

-- Everything to draw, as an array of shapes: {ring=, area=, properties=} or
-- {point=, mark=, properties=}. Raises BadPosition.
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

local OPTIONS = { title = "string" }

-- Checks the arguments, collects, writes.
local function render(name, write, answer, options)
  if type(answer) ~= "table" then
    error(("bad argument #1 to '%s' (table expected, got %s)"):format(name, type(answer)), 3)
  end
  if options ~= nil and type(options) ~= "table" then
    error(("bad argument #2 to '%s' (table expected, got %s)"):format(name, type(options)), 3)
  end
  for key, value in pairs(options or {}) do
    if not OPTIONS[key] then
      error(("unknown option '%s' of '%s'; known: title"):format(tostring(key), name), 3)
    elseif type(value) ~= OPTIONS[key] then
      error(("option '%s' of '%s' must be a %s"):format(key, name, OPTIONS[key]), 3)
    end
  end
  local ok, shapes = pcall(collect, answer)
  if not ok then
    if getmetatable(shapes) ~= BadPosition then error(shapes, 0) end
    return nil, shapes.what, "geo"
  end
  return write(shapes, options or {})
end

-- Rings larger first, so that a smaller one is drawn on top of it.
local function rings_by_area(shapes)
  local rings = {}
  for _, shape in ipairs(shapes) do
    if shape.ring then rings[#rings + 1] = shape end
  end
  table.sort(rings, function(a, b) return a.area > b.area end)
  return rings
end

-- The ring cut at the antimeridian, as RFC 7946 section 3.1.9 wants it: one ring, mostly.
-- Each part is the ring clipped to one turn of 360 degrees (Sutherland and Hodgman).
local function cut(ring)
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
    if #part >= 3 and signed_area(part) > 0 then
      local shifted = {}
      for i, point in ipairs(part) do
        shifted[i] = { lat = point.lat, lon = point.lon - turn * 360 }
      end
      parts[#parts + 1] = shifted
    end
  end
  return parts
end

-- Closed: the first point again at the end.
local function coordinates(ring, format, separator)
  local list = {}
  for i = 1, #ring + 1 do
    local point = ring[(i - 1) % #ring + 1]
    list[i] = format:format(decimal(point.lon, 7), decimal(point.lat, 7))
  end
  return table.concat(list, separator)
end

-- GeoJSON -----------------------------------------------------------------------------------------

local function json_properties(properties)
  local list = {}
  for _, name in ipairs(PROPERTIES) do
    local value = properties[name]
    if value ~= nil then
      value = type(value) == "number" and decimal(value, 7) or json_string(value)
      list[#list + 1] = json_string(name) .. ":" .. value
    end
  end
  return "{" .. table.concat(list, ",") .. "}"
end

local function json_geometry(shape)
  if shape.point then
    return ('{"type":"Point","coordinates":[%s,%s]}'):format(
      decimal(shape.point.lon, 7), decimal(shape.point.lat, 7))
  end
  local polygons = {}
  for i, part in ipairs(cut(shape.ring)) do
    polygons[i] = "[[" .. coordinates(part, "[%s,%s]", ",") .. "]]"
  end
  if #polygons == 1 then return '{"type":"Polygon","coordinates":' .. polygons[1] .. "}" end
  return '{"type":"MultiPolygon","coordinates":[' .. table.concat(polygons, ",") .. "]}"
end

local function write_geojson(shapes, options)
  local features = {}
  for i, shape in ipairs(shapes) do
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

-- KML ---------------------------------------------------------------------------------------------

-- Colours by drive mode; the first free one for a mode not known here.
local COLOURS = { ECO_PRO_PLUS = "#1a9850", ECO_PRO = "#66a61e", COMFORT = "#1c69d4" }
local MORE_COLOURS = { "#d95f02", "#7570b3", "#e7298a", "#a6761d" }
local NAMES = { ECO_PRO_PLUS = "ECO PRO+", ECO_PRO = "ECO PRO", COMFORT = "COMFORT" }

local function colours_of(rings)
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

local function ring_name(shape)
  local kind = tostring(shape.properties.type or "RANGE")
  return NAMES[kind] or (kind:gsub("_", " "))
end

local function point_name(shape)
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

-- What the picture or document is called when nobody says.
local function default_title(shapes)
  local first = shapes[1]
  if first and first.mark == "destination" then return "Destinations" end
  if first and first.mark == "car" then return "Position of the car" end
  return "Range of the car"
end

-- KML writes colours as alpha, blue, green, red.
local function kml_colour(colour, alpha)
  local red, green, blue = colour:match("^#(%x%x)(%x%x)(%x%x)$")
  return alpha .. blue .. green .. red
end

local function kml_data(properties)
  local list = {}
  for _, name in ipairs(PROPERTIES) do
    local value = properties[name]
    if value ~= nil then
      local text = type(value) == "number" and decimal(value, 7) or value
      list[#list + 1] = ('<Data name="%s"><value>%s</value></Data>'):format(name, xml(text))
    end
  end
  return #list > 0 and "<ExtendedData>" .. table.concat(list) .. "</ExtendedData>" or ""
end

local function kml_placemark(name, style, shape, geometry)
  return ("<Placemark><name>%s</name>%s%s%s</Placemark>"):format(
    xml(name), style, kml_data(shape.properties), geometry)
end

local function write_kml(shapes, options)
  local rings = rings_by_area(shapes)
  local colours = colours_of(rings)
  local lines = {
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<kml xmlns="http://www.opengis.net/kml/2.2"><Document>',
    "<name>" .. xml(options.title or default_title(shapes)) .. "</name>",
  }
  local function add(line) lines[#lines + 1] = line end
  for i in ipairs(rings) do
    add(('<Style id="range%d"><LineStyle><color>%s</color><width>2</width></LineStyle>'
      .. "<PolyStyle><color>%s</color></PolyStyle></Style>"):format(
      i, kml_colour(colours[i], "ff"), kml_colour(colours[i], "4d")))
  end
  for i, shape in ipairs(rings) do
    local polygons = {}
    for j, part in ipairs(cut(shape.ring)) do
      polygons[j] = "<Polygon><outerBoundaryIs><LinearRing><coordinates>"
        .. coordinates(part, "%s,%s,0", " ")
        .. "</coordinates></LinearRing></outerBoundaryIs></Polygon>"
    end
    local geometry = table.concat(polygons)
    if #polygons > 1 then geometry = "<MultiGeometry>" .. geometry .. "</MultiGeometry>" end
    add(kml_placemark(ring_name(shape), ("<styleUrl>#range%d</styleUrl>"):format(i), shape,
      geometry))
  end
  for _, shape in ipairs(shapes) do
    if shape.point then
      add(kml_placemark(point_name(shape), "", shape,
        ("<Point><coordinates>%s,%s,0</coordinates></Point>"):format(
          decimal(shape.point.lon, 7), decimal(shape.point.lat, 7))))
    end
  end
  add("</Document></kml>")
  return table.concat(lines, "\n") .. "\n"
end

-- SVG ---------------------------------------------------------------------------------------------

local WIDTH, MAP_TOP, MAP_SIZE, MARGIN, LINE = 800, 64, 760, 20, 26
local NICE_STEPS = { 1, 2, 5, 10 }

-- The largest 1, 2 or 5 times a power of ten that is not above `limit`.
local function nice(limit)
  local power = 10 ^ math.floor(math.log(limit) / math.log(10))
  local best = power
  for _, step in ipairs(NICE_STEPS) do
    -- A hair of tolerance: the logarithm of 1000 may come out just below 3.
    if step * power <= limit * (1 + 1e-9) then best = step * power end
  end
  return best
end

local function km_and_miles(km)
  return ("%s km (%s mi)"):format(decimal(km, 0), decimal(units.km_to_miles(km), 0))
end

-- Local equirectangular projection around the middle of everything: right to a fraction of a per
-- cent over the range of a car.
local function projection(shapes)
  local south, north, west, east, reference = 90, -90, math.huge, -math.huge, nil
  local function include(point)
    reference = reference or point.lon
    local lon = unwrap(point.lon, reference)
    south, north = math.min(south, point.lat), math.max(north, point.lat)
    west, east = math.min(west, lon), math.max(east, lon)
  end
  for _, shape in ipairs(shapes) do
    for _, point in ipairs(shape.ring or { shape.point }) do include(point) end
  end
  local lat0, lon0 = (south + north) / 2, (west + east) / 2
  local km_per_lon = KM_PER_DEGREE * math.cos(math.rad(lat0))
  -- At least 2 km, for a single point; 10 % of air around.
  local extent = math.max(2, (north - south) * KM_PER_DEGREE, (east - west) * km_per_lon)
  local pixels_per_km = MAP_SIZE / (extent * 1.1)
  return function(point)
    local x = (unwrap(point.lon, lon0) - lon0) * km_per_lon * pixels_per_km
    local y = (lat0 - point.lat) * KM_PER_DEGREE * pixels_per_km
    return WIDTH / 2 + x, MAP_TOP + MAP_SIZE / 2 + y
  end, pixels_per_km
end

local function svg_text(x, y, text, attributes)
  return ('<text x="%s" y="%s"%s>%s</text>'):format(
    decimal(x, 2), decimal(y, 2), attributes and " " .. attributes or "", xml(text))
end

local function svg_path(ring, project, attributes)
  local list = {}
  for i, point in ipairs(ring) do
    local x, y = project(point)
    list[i] = (i == 1 and "M" or "L") .. decimal(x, 2) .. " " .. decimal(y, 2)
  end
  return ('<path d="%sZ" %s/>'):format(table.concat(list), attributes)
end

-- Circles of distance around the centre, with their length written at the top.
local function svg_distance_rings(add, center, rings, project, pixels_per_km)
  local farthest = 0
  for _, shape in ipairs(rings) do
    for _, point in ipairs(shape.ring) do
      farthest = math.max(farthest, distance_km(center, point))
    end
  end
  if farthest == 0 then return end
  local x, y = project(center)
  local step = nice(farthest / 2)
  add '<g fill="none" stroke="#8a94a0" stroke-width="1" stroke-dasharray="3 5">'
  local count = math.floor(farthest / step * (1 + 1e-9))
  for i = 1, count do
    add(('<circle cx="%s" cy="%s" r="%s"/>'):format(
      decimal(x, 2), decimal(y, 2), decimal(i * step * pixels_per_km, 2)))
  end
  add "</g>"
  add '<g font-size="12" fill="#4a5560" text-anchor="middle" class="halo">'
  for i = 1, count do
    local top = y - i * step * pixels_per_km
    if top > MAP_TOP + 10 then add(svg_text(x, top + 4, km_and_miles(i * step))) end
  end
  add "</g>"
end

local MARKS = {
  center = function(add, x, y)
    add(('<g stroke="#202830" stroke-width="2"><path d="M%s %sh20M%s %sv20"/>'
      .. '<circle cx="%s" cy="%s" r="6" fill="#ffffff"/></g>'):format(
      decimal(x - 10, 2), decimal(y, 2), decimal(x, 2), decimal(y - 10, 2),
      decimal(x, 2), decimal(y, 2)))
  end,
  -- An arrow where the heading is known, else a dot.
  car = function(add, x, y, shape)
    local heading = units.number(shape.properties.heading)
    local form = '<circle r="9"/>'
    if heading and heading >= 0 and heading <= 360 then
      form = ('<path transform="rotate(%s)" d="M0 -14L9 11L0 6L-9 11Z"/>'):format(
        decimal(heading, 2))
    end
    add(('<g transform="translate(%s %s)" fill="#e4002b" stroke="#ffffff" stroke-width="2">'
      .. "%s</g>"):format(decimal(x, 2), decimal(y, 2), form))
  end,
  destination = function(add, x, y, shape)
    add(('<g transform="translate(%s %s)"><circle r="11" fill="#6a1b9a" stroke="#ffffff"'
      .. ' stroke-width="2"/><text y="4" font-size="12" font-weight="bold" fill="#ffffff"'
      .. ' text-anchor="middle">%d</text></g>'):format(
      decimal(x, 2), decimal(y, 2), shape.number))
  end,
}

local function svg_scale_bar(add, pixels_per_km)
  local km = nice(MAP_SIZE / 4 / pixels_per_km)
  local miles = nice(units.km_to_miles(MAP_SIZE / 4 / pixels_per_km))
  local km_width = km * pixels_per_km
  local miles_width = units.miles_to_km(miles) * pixels_per_km
  local x, y = MARGIN + 18, MAP_TOP + MAP_SIZE - 34
  add '<g class="halo" font-size="12" fill="#202830">'
  add(('<path d="M%s %sv-8M%s %sh%sv-8M%s %sv8M%s %sv8" fill="none" stroke="#202830"'
    .. ' stroke-width="2"/>'):format(x, y, x, y, decimal(km_width, 2), x, y,
    decimal(x + miles_width, 2), y))
  add(('<path d="M%s %sh%s" fill="none" stroke="#202830" stroke-width="2"/>'):format(
    x, y, decimal(math.max(km_width, miles_width), 2)))
  add(svg_text(x + km_width + 6, y - 3, decimal(km, 3) .. " km"))
  add(svg_text(x + miles_width + 6, y + 13, decimal(miles, 3) .. " mi"))
  add "</g>"
end

local function svg_north_arrow(add)
  add(('<g transform="translate(%d %d)" class="halo"><path d="M0 -22L9 8L0 2L-9 8Z"'
    .. ' fill="#202830"/><text y="24" font-size="14" font-weight="bold" fill="#202830"'
    .. ' text-anchor="middle">N</text></g>'):format(WIDTH - MARGIN - 28, MAP_TOP + 38))
end

-- The legend's lines: what to draw in front, and the text.
local function svg_legend(shapes, rings, colours)
  local lines = {}
  for i, shape in ipairs(rings) do
    local text = ring_name(shape)
    if shapes.center then
      local farthest = 0
      for _, point in ipairs(shape.ring) do
        farthest = math.max(farthest, distance_km(shapes.center, point))
      end
      text = ("%s: up to %s as the crow flies"):format(text, km_and_miles(farthest))
    end
    lines[#lines + 1] = { text = text, swatch = colours[i] }
  end
  for _, shape in ipairs(shapes) do
    if shape.point and not (shape.mark == "center" and #rings == 0) then
      lines[#lines + 1] = { text = point_name(shape), shape = shape }
    end
  end
  return lines
end

local function svg_open(add, title, description, height)
  add '<?xml version="1.0" encoding="UTF-8"?>'
  add(('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d"'
    .. ' role="img" font-family="Helvetica, Arial, sans-serif">'):format(
    WIDTH, height, WIDTH, height))
  add("<title>" .. xml(title) .. "</title>")
  add("<desc>" .. xml(description) .. "</desc>")
  -- A white rim keeps writing readable on top of lines and colours.
  add("<style>.halo text{paint-order:stroke;stroke:#ffffff;stroke-width:3px;"
    .. "stroke-linejoin:round}</style>")
  add(('<rect width="%d" height="%d" fill="#ffffff"/>'):format(WIDTH, height))
  add(svg_text(MARGIN, 42, shorten(title, 48),
    'font-size="26" font-weight="bold" fill="#202830"'))
end

local function write_svg(shapes, options)
  local lines = {}
  local function add(line) lines[#lines + 1] = line end
  local title = options.title or default_title(shapes)
  if #shapes == 0 then
    local message = shapes.empty or "There is nothing to show."
    svg_open(add, title, message, 200)
    add(svg_text(WIDTH / 2, 120, message,
      'font-size="20" fill="#4a5560" text-anchor="middle"'))
    add "</svg>"
    return table.concat(lines, "\n") .. "\n"
  end

  local rings = rings_by_area(shapes)
  local colours = colours_of(rings)
  local number = 0
  for _, shape in ipairs(shapes) do
    if shape.mark == "destination" then
      number = number + 1
      shape.number = number
    end
  end
  local legend = svg_legend(shapes, rings, colours)
  local project, pixels_per_km = projection(shapes)
  local texts = {}
  for i, line in ipairs(legend) do texts[i] = line.text end
  local height = MAP_TOP + MAP_SIZE + MARGIN + #legend * LINE + 8
  svg_open(add, title, table.concat(texts, "; "), height)

  add(('<rect x="%d" y="%d" width="%d" height="%d" rx="8" fill="#f3f5f7" stroke="#c9d0d6"/>')
    :format(MARGIN, MAP_TOP, MAP_SIZE, MAP_SIZE))
  -- A picture in the picture clips at its edge without an id, which could clash in a web page.
  add(('<svg x="%d" y="%d" width="%d" height="%d" viewBox="%d %d %d %d">'):format(
    MARGIN, MAP_TOP, MAP_SIZE, MAP_SIZE, MARGIN, MAP_TOP, MAP_SIZE, MAP_SIZE))
  for i, shape in ipairs(rings) do
    add(svg_path(shape.ring, project, ('fill="%s" fill-opacity="0.25" stroke="%s"'
      .. ' stroke-width="2" stroke-linejoin="round"'):format(colours[i], colours[i])))
  end
  if shapes.center and #rings > 0 then
    svg_distance_rings(add, shapes.center, rings, project, pixels_per_km)
  end
  for _, shape in ipairs(shapes) do
    if shape.point then
      local x, y = project(shape.point)
      MARKS[shape.mark](add, x, y, shape)
    end
  end
  svg_scale_bar(add, pixels_per_km)
  svg_north_arrow(add)
  add "</svg>"

  add '<g font-size="15" fill="#202830">'
  for i, line in ipairs(legend) do
    local y = MAP_TOP + MAP_SIZE + MARGIN + (i - 0.5) * LINE
    if line.swatch then
      add(('<rect x="%d" y="%s" width="24" height="14" fill="%s" fill-opacity="0.25" stroke="%s"'
        .. ' stroke-width="2"/>'):format(MARGIN + 4, decimal(y - 7, 2), line.swatch, line.swatch))
    else
      MARKS[line.shape.mark](add, MARGIN + 16, y, line.shape)
    end
    add(svg_text(MARGIN + 40, y + 5, shorten(line.text, 80)))
  end
  add "</g>"
  add "</svg>"
  return table.concat(lines, "\n") .. "\n"
end

-- The public functions --------------------------------------------------------------------------

--- Writes GeoJSON (RFC 7946): a FeatureCollection with a polygon for each ring of the range map
-- (properties `type`, `quality`) and a point for each position. Longitude first, rings closed and
-- counter-clockwise, at most seven decimals, cut at the antimeridian.
--
-- What the three writers take: the answer of car:range_map(), of car:destinations() or of
-- car:status(), or several of them as {range_map=, destinations=, status=}. `{}`, which is what
-- the server sends for a car without a range map, gives an empty collection. Rings with fewer than
-- three different points, and entries without a position, are left out.
---@param answer table
---@param options? {title:string}
---@return string|nil text
---@return string|nil message
---@return "geo"|nil code a coordinate that is missing, not a number or out of range
function geo.geojson(answer, options)
  return render("geojson", write_geojson, answer, options)
end

--- Writes KML 2.2 (OGC 07-147r2), with a colour for each ring. Takes what geo.geojson takes.
---@param answer table
---@param options? {title:string}
---@return string|nil text
---@return string|nil message
---@return "geo"|nil code
function geo.kml(answer, options)
  return render("kml", write_kml, answer, options)
end

--- Draws an SVG picture: the rings translucent, the larger one below, circles of distance, marks,
-- a scale bar in km and miles, a north arrow and a legend. It refers to nothing outside of itself.
-- Takes what geo.geojson takes; with nothing to draw the picture says so.
---@param answer table
---@param options? {title:string}
---@return string|nil text
---@return string|nil message
---@return "geo"|nil code
function geo.svg(answer, options)
  return render("svg", write_svg, answer, options)
end

--- The area that a polyline encloses.
---@param polyline {lat:number,lon:number}[] closed or not, in either direction
---@return number|nil km2 0 when there are fewer than three different points
---@return string|nil message
---@return "geo"|nil code
function geo.area_km2(polyline)
  if type(polyline) ~= "table" then
    error(("bad argument #1 to 'area_km2' (table expected, got %s)"):format(type(polyline)), 2)
  end
  local ok, ring = pcall(ring_of, polyline, "the polyline")
  if not ok then
    if getmetatable(ring) ~= BadPosition then error(ring, 0) end
    return nil, ring.what, "geo"
  end
  return ring and ring_area_km2(ring) or 0
end

return geo
