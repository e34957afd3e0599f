-- bmwi.cli.imperial: for each kind of measure the function that converts it, and its unit. Loaded
-- for those who have not chosen metric units.

local units = require "bmwi.units"

-- In mi/kWh a car that regains more would have the smaller number. A distance 1.6 times as long
-- regains 1.6 times as much.
local REGAINED_IMPERIAL = { units.miles_to_km, "kWh/100 mi" }

return {
  imperial = {
    distance = { units.km_to_miles, "mi" },
    electric = { units.kwh_per_100km_to_miles_per_kwh, "mi/kWh" },
    regained = REGAINED_IMPERIAL,
    fuel = { units.l_per_100km_to_mpg_uk, "mpg (UK)" },
    volume = { units.litres_to_gallons_uk, "gal (UK)" },
  },
  us = {
    distance = { units.km_to_miles, "mi" },
    electric = { units.kwh_per_100km_to_miles_per_kwh, "mi/kWh" },
    regained = REGAINED_IMPERIAL,
    fuel = { units.l_per_100km_to_mpg_us, "mpg (US)" },
    volume = { units.litres_to_gallons_us, "gal (US)" },
  },
}
