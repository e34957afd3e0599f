--- Distances and areas on a sphere: accurate enough for a range, which is only a forecast.

local sphere = {}

local EARTH_RADIUS_KM = 6371.0088
sphere.KM_PER_DEGREE = EARTH_RADIUS_KM * math.pi / 180

--- Degrees rounded for output: seven decimals are one centimetre.
function sphere.rounded(degrees)
  return math.floor(degrees * 1e7 + 0.5) / 1e7
end

--- A longitude that continues past 180 instead of jumping to -180, so that a ring stays in one
-- piece.
function sphere.unwrap(lon, reference)
  return lon + 360 * math.floor((reference - lon) / 360 + 0.5)
end

--- Twice the area in square degrees; positive if the ring is counter-clockwise.
function sphere.signed_area(ring)
  local sum = 0
  for i, a in ipairs(ring) do
    local b = ring[i % #ring + 1]
    sum = sum + a.lon * b.lat - b.lon * a.lat
  end
  return sum
end

--- The area on a sphere (Chamberlain and Duquette, "Some algorithms for polygons on a sphere").
function sphere.area_km2(ring)
  local sum = 0
  for i, a in ipairs(ring) do
    local b = ring[i % #ring + 1]
    sum = sum + math.rad(b.lon - a.lon)
      * (2 + math.sin(math.rad(a.lat)) + math.sin(math.rad(b.lat)))
  end
  return math.abs(sum) * EARTH_RADIUS_KM * EARTH_RADIUS_KM / 2
end

--- The great-circle distance.
function sphere.distance_km(a, b)
  local x = math.sin(math.rad(b.lat - a.lat) / 2)
  local y = math.sin(math.rad(b.lon - a.lon) / 2)
  local h = x * x + math.cos(math.rad(a.lat)) * math.cos(math.rad(b.lat)) * y * y
  return 2 * EARTH_RADIUS_KM * math.asin(math.min(1, math.sqrt(h)))
end

return sphere
