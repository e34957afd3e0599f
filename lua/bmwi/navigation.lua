--- The battery and navigation data of car:navigation() ("misc SoC data").
-- Normalises the four variants that the server has sent over the years: long and short, `socMax`
-- and `socmax`, `kAccReg` and `kaccReg`, numbers as text, and a state of charge first in kWh and
-- later in per cent.

local check = require "bmwi._check"
local units = require "bmwi.units"

local navigation = {}

-- Our name, and the server's in lower case: the variants differ only in case.
local NUMBERS = { soc_max_kwh = "socmax", mass_kg = "vehiclemass" }
local TEXTS = { country = "isocountrycode", drive_train = "drivetrain" }
local FLAGS = { pending_update = "pendingupdate", vehicle_tracking = "vehicletracking" }
local CURVES = { eco = "eco", norm = "norm", ecoEv = "ecoev", normEv = "normev" }
-- Figures for the route planner. The server does not give units.
local AUX_POWER = {
  regular = "auxpowerregular",
  eco_pro = "auxpowerecopro",
  eco_pro_plus = "auxpowerecoproplus",
}
local COEFFICIENTS = {
  acc_reg = "kaccreg",
  dec_reg = "kdecreg",
  acc_eco = "kacceco",
  dec_eco = "kdececo",
  up = "kup",
  down = "kdown",
}

local BOOLEANS = { ["true"] = true, ["false"] = false }

-- A freshly charged battery may report slightly more than its maximum.
local OVERFULL = 1.05

-- A related response was seen with a blank after a name, so blanks are removed too.
local function lower_names(answer)
  local lower = {}
  for key, value in pairs(answer) do
    if type(key) == "string" then lower[(key:lower():gsub("%s+$", ""))] = value end
  end
  return lower
end

-- Sets the members listed in `names` in `target`, each read by `read`.
local function fill(target, lower, names, read)
  for ours, theirs in pairs(names) do target[ours] = read(lower[theirs]) end
  return target
end

local function text_or_nil(value)
  if type(value) == "string" and value ~= "" then return value end
  return nil
end

local function flag_or_nil(value)
  if type(value) == "string" then value = BOOLEANS[value] end
  if type(value) == "boolean" then return value end
  return nil
end

-- Is `soc` kWh or per cent? Returns the unit and whether that is a guess. Evidence: until 2019
-- kWh, with isoCountryCode in the answer; in November 2021 per cent, `socmax` in lower case and
-- no isoCountryCode.
local function soc_unit(answer, lower, soc, max, level)
  if level and max and max > 0 then
    local as_kwh = math.abs(100 * soc / max - level)
    return math.abs(soc - level) < as_kwh and "percent" or "kWh", false
  end
  if not max then return nil end
  if lower.isocountrycode ~= nil and soc <= max * OVERFULL then return "kWh", false end
  if soc > max then return "percent", false end
  local shape_of_2021 = answer.socmax ~= nil and lower.latitude ~= nil
  return shape_of_2021 and "percent" or "kWh", true
end

--- Reads one curve: a comma-separated list of hexadecimal numbers without 0x ("1c94,1206,d9d").
-- Their meaning is unknown; they look like consumption by speed range.
---@param text string
---@return integer[]|nil numbers
---@return string|nil message
---@return "navigation"|nil code
function navigation.curve(text)
  check.argument(text, "string", 1, "curve")
  local numbers = {}
  for item in (text .. ","):gmatch("([^,]*),") do
    local digits = item:match("^%s*(%x+)%s*$")
    -- Eight digits are 32 bits: more would be rounded or overflow, depending on the Lua version.
    if not digits or #digits > 8 then
      return nil, ("number %d of the curve is not hexadecimal"):format(#numbers + 1), "navigation"
    end
    numbers[#numbers + 1] = tonumber(digits, 16)
  end
  return numbers
end

--- Decodes any variant of the result of car:navigation(). Every member may be absent, except that
-- the tables `curves`, `coefficients` and `aux_power` are always there.
--
-- `soc_kwh`, `soc_percent`: the state of charge; one is measured, the other calculated from
-- `soc_max_kwh`. `soc_unit`: "kWh" or "percent", the unit of the server's `soc`. `soc_guessed`:
-- true if the response does not determine the unit; pass the charging level to determine it. `soc`:
-- the plain number if not even a guess is possible. `curves`: {eco, norm, ecoEv, normEv}, arrays of
-- integers; `unreadable`: member -> message, for curves that are not lists of hexadecimal numbers.
-- `coefficients`, `aux_power`: the planner's figures, with unknown units. `mass_kg`, `position`
-- {lat, lon}, `country`, `drive_train`, `pending_update`, `vehicle_tracking`.
---@param answer table the result of car:navigation()
---@param charging_level? number per cent, `chargingLevelHv` of a status from about the same time
---@return table decoded
function navigation.decode(answer, charging_level)
  check.argument(answer, "table", 1, "decode")
  check.optional(charging_level, "number", 2, "decode")
  local lower = lower_names(answer)
  local decoded = {
    curves = {},
    aux_power = fill({}, lower, AUX_POWER, units.number),
    coefficients = fill({}, lower, COEFFICIENTS, units.number),
  }
  fill(decoded, lower, NUMBERS, units.number)
  fill(decoded, lower, TEXTS, text_or_nil)
  fill(decoded, lower, FLAGS, flag_or_nil)

  local lat, lon = units.number(lower.latitude), units.number(lower.longitude)
  if lat and lon then decoded.position = { lat = lat, lon = lon } end

  for ours, theirs in pairs(CURVES) do
    local text = text_or_nil(lower[theirs])
    if text then
      local numbers, message = navigation.curve(text)
      decoded.curves[ours] = numbers
      if not numbers then
        decoded.unreadable = decoded.unreadable or {}
        decoded.unreadable[ours] = message
      end
    end
  end

  local soc, max = units.number(lower.soc), decoded.soc_max_kwh
  if soc then
    local unit, guessed = soc_unit(answer, lower, soc, max, charging_level)
    decoded.soc_unit = unit
    decoded.soc_guessed = guessed or nil
    if unit == "kWh" then
      decoded.soc_kwh = soc
      if max and max > 0 then decoded.soc_percent = 100 * soc / max end
    elseif unit == "percent" then
      decoded.soc_percent = soc
      if max then decoded.soc_kwh = max * soc / 100 end
    else
      decoded.soc = soc
    end
  end
  return decoded
end

--- The battery's state of health: its capacity today compared with its capacity when new. `socMax`
-- varies with temperature, so watch it over weeks.
---@param answer table the result of car:navigation()
---@param new_kwh number usable capacity of the battery when new, kWh
---@return number|nil percent may be above 100
---@return string|nil message
---@return "navigation"|nil code
function navigation.health(answer, new_kwh)
  check.argument(answer, "table", 1, "health")
  check.that(type(new_kwh) == "number" and new_kwh > 0 and new_kwh < math.huge,
    "a capacity in kWh above 0 expected", 2, "health")
  local max = units.number(lower_names(answer).socmax)
  if not max or max < 0 then
    return nil, "the answer has no maximum charge (socMax)", "navigation"
  end
  return 100 * max / new_kwh
end

return navigation
