-- The public interface as a list: a name that is added, removed or renamed must be changed here and
-- documented (readme_spec.lua), and nothing else is reachable.

local helper = require("spec.helper")
local bmwi = require("bmwi")
local read, names = helper.read, helper.names

local MODULE = { "_VERSION", "base64", "curl_version", "json", "loop", "new", "regions", "services",
  "sleep" }
local PRIVATE = { "_hash", "_mqtt", "_sys", "_values" } -- for the specs and our own Lua files
local BASE64 = { "decode", "encode" }
local JSON = { "array", "decode", "encode", "is_array" }
local REGIONS = { "china", "rest_of_world", "usa" }
local SYS = { "catch_signals", "columns", "hold_signals", "isatty", "json", "leave", "monotonic",
  "no_core", "no_size_signal", "options", "pause", "publish_file", "read_private", "read_secret",
  "remove_private", "same_file", "try_lock", "variables", "write_private" }
local LOOP = { "events", "pollfd", "step", "timeout" }
-- For bmwi.async alone.
local LOOP_INNER = { "attach", "begin", "detach", "fail", "gate", "limit", "open", "pass",
  "wait" }
local CLIENT = { "_record", "close", "containers", "create_container", "delete_container", "get",
  "login", "post", "quota", "stream", "token", "vehicle", "vehicles" }
local CAR = { "all_trips", "basic_data", "blow_horn", "charge_now", "charging_history",
  "charging_profile", "charging_settings", "climate_now", "destinations", "execute", "execution",
  "find", "flash_lights", "image", "last_trip", "lock_doors", "navigation", "range_map", "send_poi",
  "set_charging_profile", "status", "stream", "supports", "telematics", "tyres", "unlock_doors",
  "vin" }

-- The Lua layer's helpers; the command line's modules are not public.
local HELPERS = {
  async = { "_current", "map", "run", "spawn" },
  cli = { "main" },
  geo = { "area_km2", "geojson", "kml", "svg" },
  host = { "cqueues", "drive", "luv", "on_error", "step" },
  navigation = { "curve", "decode", "health" },
  store = { "default_path", "memory", "new" },
  time = { "age", "format", "is_never", "local_clock", "parse" },
  units = { "celsius_to_fahrenheit", "fahrenheit_to_celsius", "gallons_uk_to_litres",
    "gallons_us_to_litres", "imperial", "km_to_miles", "kwh_per_100km_to_miles_per_kwh",
    "l_per_100km_to_mpg_uk", "l_per_100km_to_mpg_us", "litres_to_gallons_uk",
    "litres_to_gallons_us", "miles_per_kwh_to_kwh_per_100km", "miles_to_km",
    "mpg_uk_to_l_per_100km", "mpg_us_to_l_per_100km", "number" },
  wait = { "for_execution", "until_true" },
}

-- The methods of an object, from its metatable's __index.
local function methods(object)
  local index = assert(getmetatable(object), "no metatable").__index
  assert.is_table(index)
  return names(index)
end

local function a_client()
  return bmwi.new({ base_url = "http://127.0.0.1:9", username = "u", password = "p",
    api_key = "k", api_secret = "s" })
end

describe("require 'bmwi'", function()
  it("has exactly the public names", function()
    local module = {}
    for _, list in ipairs({ MODULE, PRIVATE }) do
      for _, name in ipairs(list) do module[name] = true end
    end
    assert.same(names(module), names(bmwi))
    assert.same(BASE64, names(bmwi.base64))
    assert.same(JSON, names(bmwi.json))
    assert.same(REGIONS, names(bmwi.regions))
    assert.same(SYS, names(bmwi._sys))
    local loop = {}
    for _, list in ipairs({ LOOP, LOOP_INNER }) do
      for _, name in ipairs(list) do loop[name] = true end
    end
    assert.same(names(loop), methods(bmwi.loop))
  end)

  it("gives clients exactly the public methods", function()
    local client = a_client()
    assert.same(CLIENT, methods(client))
    client:close()
  end)

  it("gives a car exactly the public methods", function()
    local client = a_client()
    assert.same(CAR, methods(client:vehicle("WAB1C23456V123456")))
    client:close()
  end)

  it("gives its version and that of libcurl", function()
    assert.matches("^%d+%.%d+%.%d+$", bmwi._VERSION)
    assert.matches("%d", bmwi.curl_version)
  end)
end)

describe("a helper module", function()
  for name, expected in pairs(HELPERS) do
    it("bmwi." .. name .. " gives exactly the public names", function()
      assert.same(expected, names(require("bmwi." .. name)))
    end)

    it("bmwi." .. name .. " explains every public function above its definition", function()
      for member, value in pairs(require("bmwi." .. name)) do
        if type(value) == "function" then
          local info = debug.getinfo(value, "S")
          local before, line = "", 0
          for text in (read(info.source:sub(2)) .. "\n"):gmatch("([^\n]*)\n") do
            line = line + 1
            if line == info.linedefined - 1 then before = text end
          end
          assert(before:match("^%s*%-%-%-"),
            ("bmwi.%s.%s has no comment (%s:%d)"):format(name, member, info.short_src,
              info.linedefined))
        end
      end
    end)
  end
end)

describe("loading any module", function()
  it("leaves the globals as they were", function()
    local modules = { '"bmwi"' }
    for name in pairs(HELPERS) do modules[#modules + 1] = '"bmwi.' .. name .. '"' end
    assert.same("", helper.program(([[
      local before = {}
      require "cjson"
      for name in pairs(_G) do before[name] = true end
      for _, module in ipairs({ %s }) do require(module) end
      for name in pairs(_G) do
        if not before[name] then print(name) end
      end]]):format(table.concat(modules, ","))))
  end)
end)
