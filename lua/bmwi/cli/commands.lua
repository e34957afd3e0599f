-- bmwi.cli.commands: every command as data. `run` is for the classic service and `cardata` for
-- CarData; if one is missing, that service lacks the command. `least` and `most` are the numbers of
-- arguments, `words` the possible first arguments. `alone`: needs no settings. `tolerant`: runs
-- with invalid settings, in order to report them. `brief`: ends before there is much garbage, so
-- none is collected. Its texts are in bmwi.cli.command_texts.

-- A module that is loaded when one of its commands runs: loading all takes longer than a log-in.
local function part(module)
  return setmetatable({}, { __index = function(_, name)
    return function(...) return require(module)[name](...) end
  end })
end

local act = part "bmwi.cli.act"
local bridge = part "bmwi.cli.bridge"
local cardata = part "bmwi.cli.cardata"
local demo = part "bmwi.cli.demo"
local doctor = part "bmwi.cli.doctor"
local read = part "bmwi.cli.read"
local shell = part "bmwi.cli.shell"
local status = part "bmwi.cli.status"
local watch = part "bmwi.cli.watch"

local CAR = { "wait", "no-wait", "wait-timeout", "interval" }

local MAPS = { "text", "geojson", "kml", "svg" }

local function with_car(...)
  local list = { ... }
  for _, name in ipairs(CAR) do list[#list + 1] = name end
  return list
end

local commands = {
  vehicles = { run = read.vehicles, cardata = cardata.vehicles, most = 0 },
  status = { run = status.classic, cardata = status.cardata, most = 0, options = { "max-age" },
    brief = true },
  trips = { run = read.trips, most = 1, usage = "trips [last|all]", words = { "last", "all" },
    options = { "format" }, formats = { "text", "svg" } },
  ["charging-profile"] = { run = read.charging_profile, most = 2,
    usage = "charging-profile [get | set FILE]", words = { "get", "set" }, options = with_car() },
  destinations = { run = read.destinations, most = 0, options = { "format" }, formats = MAPS },
  ["range-map"] = { run = read.range_map, most = 0, options = { "format" }, formats = MAPS },
  soc = { run = read.soc, most = 0, brief = true },
  image = { run = read.image, cardata = cardata.image, most = 0,
    options = { "view", "width", "height" } },

  telematics = { cardata = status.telematics, most = 0, options = { "max-age" }, brief = true },
  ["charging-history"] = { cardata = cardata.charging_history, most = 0,
    options = { "from", "to", "format" }, formats = { "text", "csv", "svg" } },
  ["charging-settings"] = { cardata = cardata.charging_settings, most = 0 },
  tyres = { cardata = cardata.tyres, most = 0 },
  containers = { cardata = cardata.containers, most = math.huge, options = { "yes" },
    usage = "containers [list | show ID | create NAME DESCRIPTOR ... | delete ID]",
    words = { "list", "show", "create", "delete" } },
  quota = { cardata = cardata.quota, most = 0, brief = true },

  lock = { run = act.lock, most = 0, options = with_car() },
  unlock = { run = act.unlock, most = 0, options = with_car("yes") },
  flash = { run = act.flash, most = 0, options = with_car("count") },
  horn = { run = act.horn, most = 0, options = with_car() },
  climate = { run = act.climate, most = 0, options = with_car() },
  charge = { run = act.charge, most = 0, options = with_car() },
  find = { run = act.find, most = 0, options = with_car() },
  poi = { run = act.poi, most = 1, usage = "poi LAT,LON [--name TEXT] ...",
    options = { "lat", "lon", "name", "street", "city", "country", "postal-code", "phone",
      "website", "info" } },
  wait = { run = act.wait, most = 1, least = 1, usage = "wait COMMAND",
    words = { "lock", "unlock", "flash", "horn", "climate", "charge", "find", "charging-profile" },
    options = { "wait-timeout", "interval" } },

  watch = { run = watch.run, cardata = watch.run, most = 0,
    options = { "every", "record", "record-personal" } },
  bridge = { run = bridge.run, cardata = bridge.run, most = 0,
    options = { "mqtt", "prefix", "discovery", "prometheus", "allow-commands", "every", "record",
      "record-personal" } },

  login = { run = read.login, cardata = cardata.login, most = 0 },
  logout = { run = read.logout, cardata = read.logout, most = 0 },
  doctor = { run = doctor.run, cardata = doctor.run, most = 0, tolerant = true },
  demo = { run = demo.run, most = 0, alone = true },
  get = { run = read.get, cardata = read.get, most = 1, least = 1, usage = "get PATH" },
  completion = { run = shell.completion, cardata = shell.completion, most = 1, least = 1,
    usage = "completion bash|zsh|fish", words = { "bash", "zsh", "fish" }, alone = true },
  help = { most = 1, usage = "help [COMMAND]", options = { "man" } },
}

-- Commands that read can also record.
for _, name in ipairs { "vehicles", "status", "trips", "charging-profile", "destinations",
  "range-map", "soc", "telematics", "charging-history", "charging-settings", "tyres", "containers",
  "get" } do
  local options = commands[name].options or {}
  options[#options + 1], options[#options + 2] = "record", "record-personal"
  commands[name].options = options
end

return commands
