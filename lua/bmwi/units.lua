--- Metric and imperial units. The server uses metric units in every country (a US car's `mileage`
--- is in km); only members whose name ends in `Mls` are in miles.

local check = require "bmwi._check"
local number_of = require "bmwi._number"

local units = {}

-- From the API's description; 0.01609344 is a hundredth of the exact mile in km.
local MILES_PER_KM = 0.621371
local HUNDREDTH_OF_MILE_IN_KM = 0.01609344
-- Exact by definition (UK: Weights and Measures Act 1985, US: 231 cubic inches).
local LITRES_PER_GALLON_UK = 4.54609
local LITRES_PER_GALLON_US = 3.785411784

-- Distance per consumption is the reciprocal of consumption per distance. A consumption of 0 has no
-- such value; infinity would look like one, so none is returned.
local function reciprocal(constant, value)
  local result = constant / value
  if result == math.huge or result == -math.huge then
    return nil, "a consumption of 0 has no distance per unit", "units"
  end
  return result
end

--- Kilometres to miles (1 km = 0.621371 mi).
---@param km number
---@return number miles
function units.km_to_miles(km)
  check.argument(km, "number", 1, "km_to_miles")
  return km * MILES_PER_KM
end

--- Miles to kilometres, the inverse of km_to_miles.
---@param miles number
---@return number km
function units.miles_to_km(miles)
  check.argument(miles, "number", 1, "miles_to_km")
  return miles / MILES_PER_KM
end

--- Electric consumption to miles per kWh: 1 / (0.01609344 x kWh/100 km).
-- A negative consumption (more was recuperated than used; the server has sent one) stays negative.
---@param kwh number kWh per 100 km
---@return number|nil miles_per_kwh nil for 0: without consumption there is no such figure
---@return string|nil message
---@return "units"|nil code
function units.kwh_per_100km_to_miles_per_kwh(kwh)
  check.argument(kwh, "number", 1, "kwh_per_100km_to_miles_per_kwh")
  return reciprocal(1, HUNDREDTH_OF_MILE_IN_KM * kwh)
end

--- Miles per kWh to kWh per 100 km, the inverse of the above.
---@param miles_per_kwh number
---@return number|nil kwh kWh per 100 km; nil for 0
---@return string|nil message
---@return "units"|nil code
function units.miles_per_kwh_to_kwh_per_100km(miles_per_kwh)
  check.argument(miles_per_kwh, "number", 1, "miles_per_kwh_to_kwh_per_100km")
  return reciprocal(1, HUNDREDTH_OF_MILE_IN_KM * miles_per_kwh)
end

--- Fuel consumption to miles per UK gallon (4.54609 l).
---@param litres number litres per 100 km
---@return number|nil mpg nil for 0 (driven on electricity only)
---@return string|nil message
---@return "units"|nil code
function units.l_per_100km_to_mpg_uk(litres)
  check.argument(litres, "number", 1, "l_per_100km_to_mpg_uk")
  return reciprocal(LITRES_PER_GALLON_UK / HUNDREDTH_OF_MILE_IN_KM, litres)
end

--- Miles per UK gallon to litres per 100 km.
---@param mpg number
---@return number|nil litres litres per 100 km; nil for 0
---@return string|nil message
---@return "units"|nil code
function units.mpg_uk_to_l_per_100km(mpg)
  check.argument(mpg, "number", 1, "mpg_uk_to_l_per_100km")
  return reciprocal(LITRES_PER_GALLON_UK / HUNDREDTH_OF_MILE_IN_KM, mpg)
end

--- Fuel consumption to miles per US gallon (3.785411784 l).
---@param litres number litres per 100 km
---@return number|nil mpg nil for 0 (driven on electricity only)
---@return string|nil message
---@return "units"|nil code
function units.l_per_100km_to_mpg_us(litres)
  check.argument(litres, "number", 1, "l_per_100km_to_mpg_us")
  return reciprocal(LITRES_PER_GALLON_US / HUNDREDTH_OF_MILE_IN_KM, litres)
end

--- Miles per US gallon to litres per 100 km.
---@param mpg number
---@return number|nil litres litres per 100 km; nil for 0
---@return string|nil message
---@return "units"|nil code
function units.mpg_us_to_l_per_100km(mpg)
  check.argument(mpg, "number", 1, "mpg_us_to_l_per_100km")
  return reciprocal(LITRES_PER_GALLON_US / HUNDREDTH_OF_MILE_IN_KM, mpg)
end

--- Litres to UK gallons.
---@param litres number
---@return number gallons
function units.litres_to_gallons_uk(litres)
  check.argument(litres, "number", 1, "litres_to_gallons_uk")
  return litres / LITRES_PER_GALLON_UK
end

--- UK gallons to litres.
---@param gallons number
---@return number litres
function units.gallons_uk_to_litres(gallons)
  check.argument(gallons, "number", 1, "gallons_uk_to_litres")
  return gallons * LITRES_PER_GALLON_UK
end

--- Litres to US gallons.
---@param litres number
---@return number gallons
function units.litres_to_gallons_us(litres)
  check.argument(litres, "number", 1, "litres_to_gallons_us")
  return litres / LITRES_PER_GALLON_US
end

--- US gallons to litres.
---@param gallons number
---@return number litres
function units.gallons_us_to_litres(gallons)
  check.argument(gallons, "number", 1, "gallons_us_to_litres")
  return gallons * LITRES_PER_GALLON_US
end

--- Degrees Celsius to degrees Fahrenheit.
---@param celsius number
---@return number fahrenheit
function units.celsius_to_fahrenheit(celsius)
  check.argument(celsius, "number", 1, "celsius_to_fahrenheit")
  return celsius * 9 / 5 + 32
end

--- Degrees Fahrenheit to degrees Celsius.
---@param fahrenheit number
---@return number celsius
function units.fahrenheit_to_celsius(fahrenheit)
  check.argument(fahrenheit, "number", 1, "fahrenheit_to_celsius")
  return (fahrenheit - 32) * 5 / 9
end

--- A number as BMW's servers write it: a JSON number, or decimal text ("1560", "100.0").
-- Hexadecimal, "inf" and "nan" are not accepted, although some versions of tonumber() do.
---@param value any
---@return number|nil number nil for everything else ("--", nil, true, ...)
function units.number(value)
  return number_of(value)
end

-- The measures of the server's members. If a member is a table of numbers (allTrips), its measure
-- applies to everything inside.
local MEMBERS = {
  -- status
  mileage = "distance",
  remainingRangeElectric = "distance",
  remainingRangeFuel = "distance",
  maxRangeElectric = "distance",
  remainingFuel = "volume",
  maxFuel = "volume",
  cbsRemainingMileage = "distance",
  ccmMileage = "distance",
  -- last trip and all trips
  totalDistance = "distance",
  electricDistance = "distance",
  chargecycleRange = "distance",
  totalElectricDistance = "distance",
  avgElectricConsumption = "electric_consumption",
  avgRecuperation = "electric_consumption",
  avgCombinedConsumption = "fuel_consumption",
  savedFuel = "volume",
  totalSavedFuel = "volume",
}

local MILES = { unit = "mi", convert = units.km_to_miles }
local MILES_PER_KWH = { unit = "mi/kWh", convert = units.kwh_per_100km_to_miles_per_kwh }

local IMPERIAL = {
  uk = {
    distance = MILES,
    electric_consumption = MILES_PER_KWH,
    fuel_consumption = { unit = "mpg (UK)", convert = units.l_per_100km_to_mpg_uk },
    volume = { unit = "gal (UK)", convert = units.litres_to_gallons_uk },
  },
  us = {
    distance = MILES,
    electric_consumption = MILES_PER_KWH,
    fuel_consumption = { unit = "mpg (US)", convert = units.l_per_100km_to_mpg_us },
    volume = { unit = "gal (US)", convert = units.litres_to_gallons_us },
  },
}

-- Copies `source`; `owner` is the measured member whose value is `source`, if any.
local function convert(source, owner, system, found)
  local copy = {}
  for key, value in pairs(source) do
    local member = MEMBERS[key] and key or owner
    local number = number_of(value)
    if type(value) == "table" then
      copy[key] = convert(value, member, system, found)
    elseif type(key) == "string" and key:find("Mls$") then
      copy[key] = value
      if number then found[key] = MILES.unit end
    elseif member and number then
      local measure = system[MEMBERS[member]]
      copy[key] = measure.convert(number)
      if copy[key] then found[member] = measure.unit end
    else
      copy[key] = value
    end
  end
  return copy
end

--- A converted deep copy of a whole response (status, last trip, all trips, a list of them, ...).
-- The members keep the server's names; the original is not changed. Values without an imperial unit
-- here (kg, kWh, %, minutes, coordinates) are copied. Please note:
--
-- * A consumption of 0 has no miles per kWh or gallon, so the copy lacks that member.
-- * A low consumption is a high mileage: in `avgElectricConsumption`, `communityLow` is the
--   best value and so the largest number of mi/kWh. The same holds for `avgRecuperation`.
-- * Members ending in `Mls` are in miles already (truncated to whole miles) and stay unchanged.
---@param answer table the result of a car's method
---@param gallon? "uk"|"us" which gallon; the default is "uk"
---@return table copy
---@return table<string,string> unit_of the unit in the copy of each measured member that is
--- present: "mi", "mi/kWh", "mpg (UK)", "gal (UK)", "mpg (US)" or "gal (US)"
function units.imperial(answer, gallon)
  check.argument(answer, "table", 1, "imperial")
  local system = IMPERIAL[gallon == nil and "uk" or gallon]
  check.that(system, '"uk" or "us" expected', 2, "imperial")
  local found = {}
  return convert(answer, nil, system, found), found
end

return units
