--- A map as an SVG picture without external resources.

local decimal = require "bmwi._decimal"
local shapes = require "bmwi.geo.shapes"
local sphere = require "bmwi.geo.sphere"
local svg = require "bmwi._svg"
local units = require "bmwi.units"

local function farthest_km(center, ring)
  local farthest = 0
  for _, point in ipairs(ring) do
    farthest = math.max(farthest, sphere.distance_km(center, point))
  end
  return farthest
end

local WIDTH, MAP_TOP, MARGIN = svg.WIDTH, svg.TOP, svg.MARGIN
local MAP_SIZE, LINE = WIDTH - 2 * MARGIN, 26
local svg_text, nice, shorten = svg.text, svg.nice, svg.shorten

local function km_and_miles(km)
  return ("%s km (%s mi)"):format(decimal(km, 0), decimal(units.km_to_miles(km), 0))
end

-- A local equirectangular projection around the middle of the shapes: accurate to a fraction of a
-- per cent over a car's range.
local function projection(list)
  local south, north, west, east, reference = 90, -90, math.huge, -math.huge, nil
  local function include(point)
    reference = reference or point.lon
    local lon = sphere.unwrap(point.lon, reference)
    south, north = math.min(south, point.lat), math.max(north, point.lat)
    west, east = math.min(west, lon), math.max(east, lon)
  end
  for _, shape in ipairs(list) do
    for _, point in ipairs(shape.ring or { shape.point }) do include(point) end
  end
  local lat0, lon0 = (south + north) / 2, (west + east) / 2
  local km_per_lon = sphere.KM_PER_DEGREE * math.cos(math.rad(lat0))
  -- at least 2 km, for a single point; with a margin of 10 %
  local extent = math.max(2, (north - south) * sphere.KM_PER_DEGREE, (east - west) * km_per_lon)
  local pixels_per_km = MAP_SIZE / (extent * 1.1)
  return function(point)
    local x = (sphere.unwrap(point.lon, lon0) - lon0) * km_per_lon * pixels_per_km
    local y = (lat0 - point.lat) * sphere.KM_PER_DEGREE * pixels_per_km
    return WIDTH / 2 + x, MAP_TOP + MAP_SIZE / 2 + y
  end, pixels_per_km
end

local function svg_path(ring, project, attributes)
  local list = {}
  for i, point in ipairs(ring) do
    local x, y = project(point)
    list[i] = (i == 1 and "M" or "L") .. decimal(x, 2) .. " " .. decimal(y, 2)
  end
  return ('<path d="%sZ" %s/>'):format(table.concat(list), attributes)
end

-- Circles around the centre, with their radius written at the top.
local function svg_distance_rings(add, center, rings, project, pixels_per_km)
  local farthest = 0
  for _, shape in ipairs(rings) do
    farthest = math.max(farthest, farthest_km(center, shape.ring))
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
  -- An arrow if the heading is known, else a dot.
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

-- The rows of the legend: the symbol and the text.
local function legend_of(list, rings, colours)
  local lines = {}
  for i, shape in ipairs(rings) do
    local label = shapes.ring_name(shape)
    if list.center then
      label = ("%s: up to %s as the crow flies"):format(label,
        km_and_miles(farthest_km(list.center, shape.ring)))
    end
    lines[#lines + 1] = { text = label, swatch = colours[i] }
  end
  for _, shape in ipairs(list) do
    if shape.point and not (shape.mark == "center" and #rings == 0) then
      lines[#lines + 1] = { text = shapes.point_name(shape), shape = shape }
    end
  end
  return lines
end

local function svg_legend(add, legend)
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
end

local function svg_map(add, list, rings, colours)
  local project, pixels_per_km = projection(list)
  add(('<rect x="%d" y="%d" width="%d" height="%d" rx="8" fill="#f3f5f7" stroke="#c9d0d6"/>')
    :format(MARGIN, MAP_TOP, MAP_SIZE, MAP_SIZE))
  -- A nested picture clips at its edge without an id, which could clash in a web page.
  add(('<svg x="%d" y="%d" width="%d" height="%d" viewBox="%d %d %d %d">'):format(
    MARGIN, MAP_TOP, MAP_SIZE, MAP_SIZE, MARGIN, MAP_TOP, MAP_SIZE, MAP_SIZE))
  for i, shape in ipairs(rings) do
    add(svg_path(shape.ring, project, ('fill="%s" fill-opacity="0.25" stroke="%s"'
      .. ' stroke-width="2" stroke-linejoin="round"'):format(colours[i], colours[i])))
  end
  if list.center and #rings > 0 then
    svg_distance_rings(add, list.center, rings, project, pixels_per_km)
  end
  for _, shape in ipairs(list) do
    if shape.point then
      local x, y = project(shape.point)
      MARKS[shape.mark](add, x, y, shape)
    end
  end
  svg_scale_bar(add, pixels_per_km)
  svg_north_arrow(add)
  add "</svg>"
end

local function number_destinations(list)
  local number = 0
  for _, shape in ipairs(list) do
    if shape.mark == "destination" then
      number = number + 1
      shape.number = number
    end
  end
end

---@param list table shapes, and `empty`, what to say without any
---@param options {title?:string}
---@return string
local function write(list, options)
  local lines = {}
  local function add(line) lines[#lines + 1] = line end
  local title = options.title or shapes.default_title(list)
  if #list == 0 then
    svg.empty(add, title, list.empty or "There is nothing to show.")
  else
    local rings = shapes.rings_by_area(list)
    local colours = shapes.colours_of(rings)
    number_destinations(list)
    local legend, texts = legend_of(list, rings, colours), {}
    for i, line in ipairs(legend) do texts[i] = line.text end
    svg.open(add, title, table.concat(texts, "; "),
      MAP_TOP + MAP_SIZE + MARGIN + #legend * LINE + 8)
    svg_map(add, list, rings, colours)
    svg_legend(add, legend)
  end
  add "</svg>"
  return table.concat(lines, "\n") .. "\n"
end

return write
