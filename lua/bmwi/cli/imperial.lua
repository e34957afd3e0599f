-- bmwi.cli.imperial: for each kind of measure the function that converts it, and its unit. Loaded
-- for those who have not chosen metric units.

local units = require "bmwi.units"

local DISTANCE = { units.km_to_miles, "mi" }
local ELECTRIC = { units.kwh_per_100km_to_miles_per_kwh, "mi/kWh" }
-- In mi/kWh a car that recuperates more would have the smaller number. Over a distance 1.6 times as
-- long it recuperates 1.6 times as much.
local REGAINED = { units.miles_to_km, "kWh/100 mi" }

return {
  imperial = { distance = DISTANCE, electric = ELECTRIC, regained = REGAINED,
    fuel = { units.l_per_100km_to_mpg_uk, "mpg (UK)" },
    volume = { units.litres_to_gallons_uk, "gal (UK)" } },
  us = { distance = DISTANCE, electric = ELECTRIC, regained = REGAINED,
    fuel = { units.l_per_100km_to_mpg_us, "mpg (US)" },
    volume = { units.litres_to_gallons_us, "gal (US)" } },
}
