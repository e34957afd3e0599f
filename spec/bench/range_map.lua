-- Prints a range map of 10 MB: two closed rings, in the service's format.
local size, written = 10000000, 0
local parts = {}

local function put(text)
  parts[#parts + 1] = text
  written = written + #text
end

local function ring(kind, radius, stop)
  put(('{"type":"%s","polyline":['):format(kind))
  local first
  local i = 0
  while written < stop do
    local angle = i * 0.0001
    local r = radius + 0.01 * math.sin(i * 0.37)
    local point = ('{"lat":%.13f,"lon":%.14f}'):format(51.123456 + r * math.sin(angle),
      -1.2345678 + r * math.cos(angle))
    first = first or point
    put(point)
    put(",")
    i = i + 1
  end
  put(first .. "]}")
end

put('{"rangemap":{"center":{"lat":51.123456,"lon":-1.2345678},"quality":"AVERAGE","rangemaps":[')
ring("ECO_PRO_PLUS", 0.6, size / 2)
put(",")
ring("COMFORT", 0.55, size)
put("]}}")
io.write(table.concat(parts))
