-- bmwi.geo: strictly valid GeoJSON (RFC 7946), well-formed XML, and a picture that fits.

local helper = require "spec.helper"
local cjson = require "cjson"
local geo = require "bmwi.geo"

-- A star-like ring around a centre, 50 points with the last equal to the first, as recorded.
local function ring(lat, lon, km, options)
  options = options or {}
  local points, count = {}, options.count or 50
  for i = 0, count - 2 do
    local angle = 2 * math.pi * i / (count - 1) * (options.clockwise and -1 or 1)
    local radius = km / 111.195 * (1 + (options.wobble or 0) * math.sin(3 * angle))
    local east = lon + radius * math.cos(angle) / math.cos(math.rad(lat))
    if east > 180 then east = east - 360 elseif east < -180 then east = east + 360 end
    points[#points + 1] = { lat = lat + radius * math.sin(angle), lon = east }
  end
  if not options.open then
    points[#points + 1] = { lat = points[1].lat, lon = points[1].lon }
  end
  return points
end

local function range_map(lat, lon)
  return {
    center = { lat = lat or 51.123456, lon = lon or -1.2345678 },
    quality = "AVERAGE",
    rangemaps = {
      { type = "COMFORT", polyline = ring(lat or 51.123456, lon or -1.2345678, 55,
        { clockwise = true, wobble = 0.1 }) },
      { type = "ECO_PRO_PLUS", polyline = ring(lat or 51.123456, lon or -1.2345678, 66,
        { wobble = 0.08, open = true }) },
    },
  }
end

local DESTINATIONS = {
  { lat = 51.53053283691406, lon = -0.08362331241369247, country = "UNITED KINGDOM",
    city = "LONDON", street = "PITFIELD STREET", type = "DESTINATION",
    createdAt = "2015-09-25T08:06:11+0200" },
  { lat = 48.17, lon = 11.55, country = "DEUTSCHLAND", city = "MÜNCHEN", street = "Straße \"<&>'\\",
    streetNumber = "12" },
}

local STATUS = {
  vin = "WAB1C23456V123456", updateTime = "2015-10-30T18:45:04+0100",
  position = { lat = 51.123456, lon = -1.2345678, heading = 211, status = "OK" },
}

local function shoelace(positions)
  local sum = 0
  for i = 1, #positions - 1 do
    sum = sum + positions[i][1] * positions[i + 1][2] - positions[i + 1][1] * positions[i][2]
  end
  return sum / 2
end

local function check_ring(positions)
  assert.is_true(#positions >= 4, "a ring needs four positions")
  assert.are.same(positions[1], positions[#positions])
  assert.is_true(shoelace(positions) > 0, "the outer ring must run counter-clockwise")
  for i, position in ipairs(positions) do
    assert.are.equal(2, #position)
    assert.is_true(math.abs(position[1]) <= 180 and math.abs(position[2]) <= 90)
    if i > 1 then
      assert.is_true(math.abs(position[1] - positions[i - 1][1]) < 180, "no jump over the edge")
    end
  end
end

-- Checks everything that RFC 7946 requires and returns the features.
local function check_geojson(text)
  local collection = cjson.decode(text)
  assert.are.equal("FeatureCollection", collection.type)
  assert.is_table(collection.features)
  assert.is_nil(collection.crs)
  for _, feature in ipairs(collection.features) do
    assert.are.equal("Feature", feature.type)
    assert.is_table(feature.properties)
    local geometry = feature.geometry
    if geometry.type == "Point" then
      assert.are.equal(2, #geometry.coordinates)
    elseif geometry.type == "Polygon" then
      assert.are.equal(1, #geometry.coordinates)
      check_ring(geometry.coordinates[1])
    else
      assert.are.equal("MultiPolygon", geometry.type)
      assert.is_true(#geometry.coordinates > 1)
      for _, polygon in ipairs(geometry.coordinates) do check_ring(polygon[1]) end
    end
  end
  for digits in text:gmatch("%d%.(%d+)") do
    assert.is_true(#digits <= 7, "more than seven decimals: " .. digits)
  end
  return collection.features
end

-- A small well-formedness check: tags closed in order, attributes quoted, no bare & or <.
local function check_xml(text)
  assert.is_nil(text:find("[%z\1-\8\11\12\14-\31]"), "a control character")
  assert.is_nil(text:find("\239\191[\190\191]"), "U+FFFE or U+FFFF")
  local open = {}
  local rest = text:gsub("^<%?xml .-%?>", "")
  local body = rest:gsub("<(/?)([%a]+)([^<>]-)(/?)>", function(closing, name, attributes, empty)
    local left = attributes:gsub('%s+[%a][%w:-]*="[^"<]*"', "")
    assert.are.equal("", (left:gsub("%s", "")), "attributes of " .. name)
    if closing == "/" then
      assert.are.equal(open[#open], name)
      open[#open] = nil
    elseif empty == "" then
      open[#open + 1] = name
    end
    return ""
  end)
  assert.are.equal(0, #open)
  assert.is_nil(body:find("[<>]"), "a bare < or >")
  assert.is_nil(text:gsub("&%a+;", ""):find("&", 1, true), "a bare &")
end

describe("geo.geojson", function()
  it("writes a range map: longitude first, closed, counter-clockwise, seven decimals", function()
    local map = range_map()
    local features = check_geojson(assert(geo.geojson(map)))
    assert.are.equal(3, #features)
    assert.are.same({ type = "COMFORT", quality = "AVERAGE" }, features[1].properties)
    assert.are.same({ type = "ECO_PRO_PLUS", quality = "AVERAGE" }, features[2].properties)
    assert.are.same({ type = "CENTER", quality = "AVERAGE" }, features[3].properties)
    assert.are.same({ -1.2345678, 51.123456 }, features[3].geometry.coordinates)
    assert.are.equal(50, #features[1].geometry.coordinates[1])
    assert.are.equal(50, #features[2].geometry.coordinates[1]) -- 49 points, closed
  end)

  it("accepts the envelope too, and does not modify its argument", function()
    local map = range_map()
    local before = cjson.decode(cjson.encode(map))
    assert.are.equal(geo.geojson(map), geo.geojson({ rangemap = map }))
    assert.are.same(before, cjson.decode(cjson.encode(map)))
  end)

  it("writes an empty collection for a car without a range map", function()
    for _, answer in ipairs({ {}, { rangemap = {} }, { range_map = {} }, { rangemaps = {} },
      { position = { status = "DRIVER_DISABLED" } } }) do
      local text = geo.geojson(answer)
      assert.is_truthy(text:find('"features":[]', 1, true), text)
      check_geojson(text)
    end
  end)

  it("writes destinations and the position of a status", function()
    local features = check_geojson(geo.geojson(DESTINATIONS))
    assert.are.same({ -0.0836233, 51.5305328 }, features[1].geometry.coordinates)
    assert.are.same({ type = "DESTINATION", street = "PITFIELD STREET", city = "LONDON",
      country = "UNITED KINGDOM", createdAt = "2015-09-25T08:06:11+0200" }, features[1].properties)
    assert.are.equal("MÜNCHEN", features[2].properties.city)
    assert.are.equal("Straße \"<&>'\\", features[2].properties.street)
    features = check_geojson(geo.geojson(STATUS))
    assert.are.same({ type = "POSITION", status = "OK", heading = 211,
      updateTime = STATUS.updateTime }, features[1].properties)
  end)

  it("puts several responses into one collection", function()
    local features = check_geojson(geo.geojson({
      range_map = range_map(), destinations = DESTINATIONS, status = STATUS,
    }, { title = "My \"i3\"" }))
    assert.are.equal(6, #features)
    local text = geo.geojson({ destinations = {} }, { title = "My \"i3\"\n" })
    assert.are.equal('My "i3"\n', cjson.decode(text).title)
  end)

  it("omits rings that enclose nothing, and entries without a position (trap 12)", function()
    local a, b, c = { lat = 1, lon = 1 }, { lat = 1, lon = 2 }, { lat = 2, lon = 2 }
    local map = { rangemaps = {
      { type = "A", polyline = {} }, { type = "B", polyline = { a } }, { type = "C" },
      { type = "D", polyline = { a, b } }, { type = "E", polyline = { a, b, a } },
      { type = "F", polyline = { a, a, b, b, a } },
      { type = "G", polyline = { a, { lat = 1.00000001, lon = 1 }, b } },
      { type = "H", polyline = { a, { lat = 2, lon = 2 }, { lat = 3, lon = 3 } } },
      { type = "I", polyline = { a, b, c } },
    } }
    local features = check_geojson(geo.geojson(map))
    assert.are.equal(1, #features)
    assert.are.equal("I", features[1].properties.type)
    assert.are.equal(4, #features[1].geometry.coordinates[1])
    features = check_geojson(geo.geojson({ rangemaps = { { polyline = { a, a, b, c, c, a } } } }))
    assert.are.same({ { 1, 1 }, { 2, 1 }, { 2, 2 }, { 1, 1 } },
      features[1].geometry.coordinates[1])
    assert.are.equal(0, #check_geojson(geo.geojson({ { city = "LONDON" } })))
  end)

  it("cuts a ring at the antimeridian", function()
    for _, lon in ipairs({ 179.8, -179.8, 180, -180 }) do
      local features = check_geojson(geo.geojson(range_map(-17.8, lon)))
      for i = 1, 2 do
        local geometry = features[i].geometry
        assert.are.equal("MultiPolygon", geometry.type)
        local sides = {}
        for _, polygon in ipairs(geometry.coordinates) do
          local east, west
          for _, position in ipairs(polygon[1]) do
            if position[1] > 170 then east = true elseif position[1] < -170 then west = true end
          end
          assert.is_true((east or west) and not (east and west))
          sides[east and "east" or "west"] = math.abs(shoelace(polygon[1]))
        end
        assert.is_truthy(sides.east and sides.west)
        -- Nothing is lost: the parts are as large as the whole ring elsewhere.
        local whole = check_geojson(geo.geojson(range_map(-17.8, 20)))[i].geometry
        local area = shoelace(whole.coordinates[1])
        assert.is_true(math.abs(sides.east + sides.west - area) < 1e-4 * area)
      end
    end
  end)

  it("keeps a ring whole that only touches the antimeridian", function()
    local features = check_geojson(geo.geojson({ rangemaps = { { polyline = {
      { lat = 0, lon = 179 }, { lat = 0, lon = 180 }, { lat = 1, lon = 180 },
      { lat = 1, lon = 179 },
    } } } }))
    assert.are.equal("Polygon", features[1].geometry.type)
  end)

  it("accepts numeric strings as coordinates and writes no exponent and no minus zero", function()
    local features = check_geojson(geo.geojson({ { lat = "1e-5", lon = "-0.00000001" } }))
    assert.are.same({ 0, 0.00001 }, features[1].geometry.coordinates)
    assert.is_nil(geo.geojson({ { lat = 0.00001, lon = -1e-9 } }):find("[eE]%-"))
    assert.is_truthy(geo.geojson({ { lat = 1, lon = -1e-9 } }):find("[0,1]", 1, true))
  end)

  it("writes the same whatever the locale", function()
    local expected = { geo.geojson(range_map()), geo.svg(range_map()), geo.kml(range_map()) }
    -- What string.format does under a locale with a decimal comma.
    local format = string.format
    string.format = function(...) -- luacheck: ignore
      return (format(...):gsub("^(-?%d+)%.(%d+)$", "%1,%2"))
    end
    local written = { geo.geojson(range_map()), geo.svg(range_map()), geo.kml(range_map()) }
    string.format = format -- luacheck: ignore
    assert.are.same(expected, written)
  end)

  it("repairs broken UTF-8 and escapes control characters", function()
    local city = "M\252nchen \237\160\128 \192\175 \244\144\128\128 \226\130 "
      .. "\0\1\127 \240\159\154\151"
    local text = geo.geojson({ { lat = 1, lon = 2, city = city } })
    local mark = "\239\191\189"
    assert.are.equal("M" .. mark .. "nchen " .. mark:rep(3) .. " " .. mark:rep(2) .. " "
      .. mark:rep(4) .. " " .. mark:rep(2) .. " \0\1\127 \240\159\154\151",
      cjson.decode(text).features[1].properties.city)
    assert.is_nil(text:find("[%z\1-\9\11-\31\127]"))
  end)

  it("replaces each byte of a sequence that is not UTF-8", function()
    for _, broken in ipairs({ "\195(", "\224\128\128", "\240\128\128\128", "\245\128\128\128",
      "\195", "\128", "\226\130(", "\193\128" }) do
      local expected = broken:gsub("[\128-\255]", "\239\191\189")
      local text = geo.geojson({ { lat = 1, lon = 2, city = broken } })
      assert.are.equal(expected, cjson.decode(text).features[1].properties.city)
    end
    for _, good in ipairs({ "\194\128", "\224\160\128", "\237\159\191", "\240\144\128\128",
      "\244\143\191\191", "\239\191\191" }) do
      local text = geo.geojson({ { lat = 1, lon = 2, city = good } })
      assert.are.equal(good, cjson.decode(text).features[1].properties.city)
    end
  end)

  it("omits numbers that JSON does not have", function()
    local features = check_geojson(geo.geojson({ position = {
      lat = 1, lon = 2, heading = math.huge, status = 0 / 0,
    } }))
    assert.are.same({ type = "POSITION" }, features[1].properties)
  end)
end)

describe("an invalid coordinate", function()
  local function answers(bad)
    return {
      { center = bad },
      { rangemaps = { { polyline = { { lat = 1, lon = 1 }, bad, { lat = 2, lon = 2 } } } } },
      { bad },
      { position = bad },
      { destinations = { bad } },
    }
  end

  for _, bad in ipairs({
    { lat = 0 / 0, lon = 1 }, { lat = 1, lon = math.huge }, { lat = 1, lon = -math.huge },
    { lat = 90.1, lon = 0 }, { lat = -91, lon = 0 }, { lat = 0, lon = 180.5 },
    { lat = 0, lon = 1e300 }, { lat = "north", lon = 1 }, { lat = 1 }, { lon = 1 },
    { lat = {}, lon = 1 }, { lat = true, lon = 1 }, "text",
  }) do
    local shown = type(bad) == "table" and tostring(bad.lat):gsub("table.*", "table") .. ", "
      .. tostring(bad.lon) or bad
    it("(" .. shown .. ") gives nil, message, \"geo\" in every place and format", function()
      for _, answer in ipairs(answers(bad)) do
        for _, name in ipairs({ "geojson", "kml", "svg" }) do
          local text, message, code = geo[name](answer)
          assert.is_nil(text)
          assert.is_string(message)
          assert.are.equal("geo", code)
        end
      end
    end)
  end

  it("is named with its place", function()
    local _, message = geo.geojson({ rangemaps = {
      { polyline = {} }, { polyline = { { lat = 1, lon = 1 }, { lat = 99, lon = 1 } } },
    } })
    assert.are.equal("range map 2: point 2: the latitude is not a number from -90 to 90", message)
  end)

  it("is not mistaken for a different response format", function()
    for _, answer in ipairs({
      { rangemap = "x" }, { rangemaps = { 5 } }, { rangemaps = { { polyline = "x" } } },
      { rangemaps = { { polyline = { {}, {}, {} } } } }, { destinations = 5 },
      { status = "x" }, { 5 },
    }) do
      local text, message, code = geo.svg(answer)
      assert.is_nil(text)
      assert.is_string(message)
      assert.are.equal("geo", code)
    end
  end)

  it("a ring around the whole globe is refused", function()
    local polyline = {}
    for lon = -180, 180, 20 do polyline[#polyline + 1] = { lat = 80, lon = lon } end
    local text, _, code = geo.geojson({ rangemaps = { { polyline = polyline } } })
    assert.is_nil(text)
    assert.are.equal("geo", code)
  end)
end)

describe("the writers of bmwi.geo", function()
  it("raise for misuse", function()
    for _, name in ipairs({ "geojson", "kml", "svg" }) do
      assert.has_error(function() geo[name](nil) end,
        ("bad argument #1 to '%s' (table expected, got nil)"):format(name))
      assert.has_error(function() geo[name]({}, "title") end,
        ("bad argument #2 to '%s' (table expected, got string)"):format(name))
      assert.has_error(function() geo[name]({}, { tilte = "x" }) end,
        ("unknown option 'tilte' of '%s' (known: title)"):format(name))
      assert.has_error(function() geo[name]({}, { title = 5 }) end,
        ("option 'title' of '%s' must be a string"):format(name))
    end
    assert.has_error(function() geo.area_km2("x") end,
      "bad argument #1 to 'area_km2' (table expected, got string)")
  end)
end)

describe("geo.kml", function()
  it("writes longitude, latitude, height, with a style for each ring", function()
    local text = assert(geo.kml({ range_map = range_map(), destinations = DESTINATIONS,
      status = STATUS }, { title = "A & B" }))
    check_xml(text)
    assert.is_truthy(text:find("<name>A &amp; B</name>", 1, true))
    assert.is_truthy(text:find("<Point><coordinates>-1.2345678,51.123456,0</coordinates></Point>",
      1, true))
    assert.is_truthy(text:find("Straße &quot;&lt;&amp;&gt;&apos;\\ 12, MÜNCHEN", 1, true))
    -- The larger ring comes first; colours are alpha, blue, green, red.
    assert.is_true(text:find("ECO PRO+", 1, true) < text:find("<name>COMFORT", 1, true))
    assert.is_truthy(text:find('<Style id="range2"><LineStyle><color>ffd4691c</color>', 1, true))
    local rings = 0
    for list in text:gmatch("<LinearRing><coordinates>(.-)</coordinates>") do
      rings = rings + 1
      local positions = {}
      for lon, lat in list:gmatch("(%S+),(%S+),0") do
        positions[#positions + 1] = { tonumber(lon), tonumber(lat) }
      end
      assert.are.equal(50, #positions)
      check_ring(positions)
    end
    assert.are.equal(2, rings)
  end)

  it("writes a document without placemarks for empty input", function()
    local text = geo.kml({})
    check_xml(text)
    assert.is_nil(text:find("<Placemark>", 1, true))
  end)

  it("cuts at the antimeridian", function()
    local text = geo.kml(range_map(-17.8, 179.9))
    check_xml(text)
    assert.is_truthy(text:find("<MultiGeometry><Polygon>", 1, true))
  end)
end)

describe("geo.svg", function()
  local function paths(text)
    local list = {}
    for data, colour in text:gmatch('<path d="(M[^"]-)Z" fill="(#%x+)" fill%-opacity') do
      local points = {}
      for x, y in data:gmatch("[ML]([%d.-]+) ([%d.-]+)") do
        points[#points + 1] = { tonumber(x), tonumber(y) }
      end
      list[#list + 1] = { points = points, colour = colour }
    end
    return list
  end

  it("draws both rings inside the frame, in two colours, the larger one below", function()
    local text = assert(geo.svg(range_map()))
    check_xml(text)
    local rings = paths(text)
    assert.are.equal(2, #rings)
    assert.are_not.equal(rings[1].colour, rings[2].colour)
    local widths = {}
    for i, path in ipairs(rings) do
      assert.are.equal(49, #path.points)
      local west, east, north, south = math.huge, -math.huge, math.huge, -math.huge
      for _, point in ipairs(path.points) do
        west, east = math.min(west, point[1]), math.max(east, point[1])
        north, south = math.min(north, point[2]), math.max(south, point[2])
      end
      assert.is_true(west >= 20 and east <= 780 and north >= 64 and south <= 824)
      widths[i] = { east - west, south - north }
    end
    assert.is_true(widths[1][1] > widths[2][1])
    -- The rings are about as high as wide: the longitude is shrunk by the cosine of the latitude.
    assert.is_true(math.abs(widths[1][1] / widths[1][2] - 1) < 0.15)
    -- The picture is used: the larger ring fills most of the frame.
    assert.is_true(widths[1][1] > 600 or widths[1][2] > 600)
  end)

  it("clips the map at its frame", function()
    local map = range_map()
    map.center = { lat = 50.7, lon = -1.5 } -- not in the middle: circles reach over the frame
    local text = geo.svg(map)
    check_xml(text)
    local inner = text:match(
      '<svg x="20" y="64" width="760" height="760" viewBox="20 64 760 760">(.-)</svg>')
    assert.is_truthy(inner:find("<circle", 1, true))
    local _, circles = text:gsub('<circle cx="[^>]* r="%d%d+', "")
    local _, inside = inner:gsub('<circle cx="[^>]* r="%d%d+', "")
    assert.is_true(circles >= 2)
    assert.are.equal(circles, inside)
    for y in inner:gmatch('<text x="[%d.]+" y="([%d.-]+)"') do
      assert.is_true(tonumber(y) > 74, "a label that is cut off")
    end
  end)

  it("has north at the top and east on the right", function()
    local text = geo.svg({ rangemaps = { { polyline = {
      { lat = 50, lon = 10 }, { lat = 50, lon = 11 }, { lat = 51, lon = 10 },
    } } } })
    local points = paths(text)[1].points
    assert.is_true(points[2][1] > points[1][1] and points[3][2] < points[1][2])
  end)

  it("has a title, a legend, a scale in km and miles, a north arrow and the centre", function()
    local text = geo.svg(range_map(), { title = "Fish & <chips>" })
    check_xml(text)
    assert.is_truthy(text:find("<title>Fish &amp; &lt;chips&gt;</title>", 1, true))
    for _, part in ipairs({ "ECO PRO+: up to 71 km (44 mi)", "COMFORT: up to 60 km (38 mi)",
      "Centre of the range map", ">20 km<", ">20 mi<", ">N<", 'viewBox="0 0 800 ',
      'role="img"' }) do
      assert.is_truthy(text:find(part, 1, true), part)
    end
  end)

  it("draws a scale bar of the right length", function()
    -- 1 degree of latitude is 111.195 km; find its pixels, then the bar's.
    local text = geo.svg({ rangemaps = { { polyline = {
      { lat = 50, lon = 10 }, { lat = 50, lon = 11 }, { lat = 51, lon = 10 },
    } } } })
    local points = paths(text)[1].points
    local per_km = (points[1][2] - points[3][2]) / 111.195
    local km, miles = text:match('M38 790v%-8M38 790h([%d.]+)v%-8M38 790v8M([%d.]+) 790v8')
    local km_label, mi_label = text:match(">(%d+) km</text>\n"), text:match(">(%d+) mi</text>\n")
    assert.is_true(math.abs(km / per_km - km_label) < 0.1)
    assert.is_true(math.abs((miles - 38) / per_km - mi_label / 0.621371) < 0.1)
  end)

  it("refers to no external resources", function()
    local text = geo.svg({ range_map = range_map(), destinations = DESTINATIONS, status = STATUS })
    check_xml(text)
    local rest = text:gsub('xmlns="http://www.w3.org/2000/svg"', "")
    for _, word in ipairs({ "http", "href", "url%(", "<script", "<image", "@import", "<!" }) do
      assert.is_nil(rest:find(word), word)
    end
  end)

  it("escapes and shortens the server's texts", function()
    local text = geo.svg({ { lat = 1, lon = 2, city = ("<b>&\255"):rep(1000) },
      { lat = 1, lon = 3, city = "\1\2 \239\191\191" } })
    check_xml(text)
    assert.is_truthy(text:find("&lt;b&gt;&amp;", 1, true))
    for line in text:gmatch("<text [^>]*>([^\n]*)</text>") do assert.is_true(#line < 1000) end
  end)

  it("numbers the destinations and turns the car in its direction", function()
    local text = geo.svg({ destinations = DESTINATIONS, status = STATUS })
    for _, part in ipairs({ ">1</text>", ">2</text>", "PITFIELD STREET, LONDON", "rotate(211)" }) do
      assert.is_truthy(text:find(part, 1, true), part)
    end
    text = geo.svg({ position = { lat = 1, lon = 2 } })
    assert.is_nil(text:find("rotate", 1, true))
  end)

  it("says so when there is nothing to show", function()
    for _, answer in ipairs({ {}, { rangemap = {} }, { rangemaps = {} } }) do
      local text = geo.svg(answer)
      check_xml(text)
      assert.is_truthy(text:find("There is no range map for this car.", 1, true))
    end
    assert.is_truthy(geo.svg({ destinations = {} }):find("There is nothing to show.", 1, true))
  end)

  it("draws one point, a point at the pole and a map at the antimeridian", function()
    for _, answer in ipairs({
      { { lat = 51, lon = 7 } }, { { lat = 90, lon = 7 } },
      { { lat = 0, lon = 0 }, { lat = 80, lon = 180 } }, range_map(-17.8, 179.9),
    }) do
      local text = geo.svg(answer)
      check_xml(text)
      assert.is_nil(text:find("nan", 1, true))
      assert.is_nil(text:find("[^%a]inf"))
      assert.is_nil(text:find('="%s*"'), "an empty attribute")
      for place in text:gmatch("translate(%b())") do
        local x, y = place:match("^%(([%d.-]+) ([%d.-]+)%)$")
        assert.is_true(tonumber(x) >= 0 and tonumber(x) <= 800 and tonumber(y) >= 0, place)
      end
    end
    -- Neighbours on both sides of the antimeridian stay neighbours.
    local pair = geo.svg({ { lat = -17, lon = 179.9 }, { lat = -17, lon = -179.9 } })
    local xs = {}
    for x in pair:gmatch("translate%(([%d.-]+) 444%)") do xs[#xs + 1] = tonumber(x) end
    assert.are.equal(2, #xs)
    assert.is_true(xs[1] > 20 and xs[1] < 400 and xs[2] > 400 and xs[2] < 780)
    local points = paths(geo.svg(range_map(-17.8, 179.9)))[1].points
    for i = 2, #points do assert.is_true(math.abs(points[i][1] - points[i - 1][1]) < 100) end
  end)
end)

describe("geo.area_km2", function()
  it("is the area on the sphere", function()
    local area = geo.area_km2(ring(51, -1, 60))
    assert.is_true(math.abs(area / (math.pi * 60 * 60) - 1) < 0.005, tostring(area))
    -- One degree by one degree at the equator.
    area = geo.area_km2({ { lat = 0, lon = 0 }, { lat = 0, lon = 1 }, { lat = 1, lon = 1 },
      { lat = 1, lon = 0 } })
    assert.is_true(math.abs(area - 12363.68) < 1, tostring(area))
  end)

  it("does not depend on direction, closing and the antimeridian", function()
    local area = geo.area_km2(ring(-17, 20, 50))
    for _, other in ipairs({
      ring(-17, 20, 50, { clockwise = true }), ring(-17, 20, 50, { open = true }),
      ring(-17, 179.9, 50),
    }) do
      assert.is_true(math.abs(geo.area_km2(other) - area) < 1e-3)
    end
  end)

  it("is 0 if nothing is enclosed, and fails for invalid points", function()
    assert.are.equal(0, geo.area_km2({}))
    assert.are.equal(0, geo.area_km2({ { lat = 1, lon = 1 }, { lat = 2, lon = 2 } }))
    assert.equal("geo", select(3, geo.area_km2({ center = {}, rangemaps = {} })))
    local area, message, code = geo.area_km2({ { lat = 1, lon = 0 / 0 } })
    assert.is_nil(area)
    assert.is_string(message)
    assert.are.equal("geo", code)
  end)
end)

describe("the cold start of the command line", function()
  it("loads no part of bmwi.geo unless a map is requested", function()
    local sim = helper.start()
    local path = os.tmpname()
    local said = helper.program([[
      io.stdout = io.open("/dev/null", "w")
      assert(require("bmwi.cli").main({ "status", "--json", "--quiet" }) == 0)
      for name in pairs(package.loaded) do
        if name:find("^bmwi%.geo") then print(name) end
      end]], table.concat({ "-u BMWI_CONFIG", "XDG_CONFIG_HOME=/none", "BMWI_PASSWORD=p4ssw0rd",
      "BMWI_USERNAME=whatever@example.com", "BMWI_API_KEY=key", "BMWI_API_SECRET=secret",
      "BMWI_BASE_URL=" .. sim.url, "BMWI_TOKEN_FILE=" .. path }, " "))
    sim:stop()
    os.remove(path)
    assert.equal("", said)
  end)
end)
