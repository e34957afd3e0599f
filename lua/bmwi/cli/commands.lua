-- bmwi.cli.commands: every command as data. `run` is for the classic service and `cardata` for
-- CarData; if one is missing, that service lacks the command. `least` and `most` are the numbers of
-- arguments, `words` the possible first arguments. `alone`: needs no settings. `tolerant`: runs
-- with invalid settings, in order to report them.

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
  vehicles = { run = read.vehicles, cardata = cardata.vehicles, most = 0,
    summary = "the cars of the account and what they offer",
    examples = { { "bmwi vehicles" }, { "bmwi vehicles --json | jq -r '.[].vin'" } } },
  status = { run = status.classic, cardata = status.cardata, most = 0, options = { "max-age" },
    summary = "locks, doors, battery, range, mileage, position",
    examples = { { "bmwi status" }, { "bmwi status --units imperial" },
      { "bmwi status --json | jq .chargingLevelHv" } } },
  trips = { run = read.trips, most = 1, usage = "trips [last|all]", words = { "last", "all" },
    options = { "format" }, formats = { "text", "svg" },
    summary = "the last trip, and lifetime totals compared with other drivers",
    note = "In miles, `Most` is still the highest consumption: the smallest mi/kWh and mpg.",
    examples = { { "bmwi trips" }, { "bmwi trips last --units imperial" },
      { "bmwi trips --format svg -o trips.svg" } } },
  ["charging-profile"] = { run = read.charging_profile, most = 2,
    usage = "charging-profile [get | set FILE]", words = { "get", "set" }, options = with_car(),
    summary = "show or set the charging schedule",
    examples = { { "bmwi charging-profile" },
      { "bmwi charging-profile get --json -o profile.json", "then change the file, and" },
      { "bmwi charging-profile set profile.json" } } },
  destinations = { run = read.destinations, most = 0, options = { "format" },
    formats = MAPS, summary = "the destinations sent to the car",
    note = "The service lists their places and streets, but not the names they were sent with.",
    examples = { { "bmwi destinations" }, { "bmwi destinations --format kml -o places.kml" } } },
  ["range-map"] = { run = read.range_map, most = 0, options = { "format" },
    formats = MAPS, summary = "the reachable area, as a table or a map",
    examples = { { "bmwi range-map" }, { "bmwi range-map --format svg -o range.svg" },
      { "bmwi range-map --format geojson" } } },
  soc = { run = read.soc, most = 0, summary = "battery charge and capacity in kWh",
    examples = { { "bmwi soc" }, { "bmwi soc --json | jq .socMax" } } },
  image = { run = read.image, cardata = cardata.image, most = 0,
    options = { "view", "width", "height" },
    summary = "a picture of the car (PNG; of CarData PNG or JPEG)",
    examples = { { "bmwi image --view SIDE --width 800 --height 600 -o car.png" } } },

  telematics = { cardata = status.telematics, most = 0, options = { "max-age" },
    summary = "every value that BMW has of the car, by its name there",
    examples = { { "bmwi telematics" }, { "bmwi telematics --max-age 3600 --json" } } },
  ["charging-history"] = { cardata = cardata.charging_history, most = 0,
    options = { "from", "to", "format" }, formats = { "text", "csv", "svg" },
    summary = "the charging sessions, with totals",
    note = "The last 30 days, or any span of days on this machine's clock. It takes a call for "
      .. "each 45 days and each ten sessions.",
    examples = { { "bmwi charging-history" }, { "bmwi charging-history --from 2026-01-01" },
      { "bmwi charging-history --from 2026-01-01 --format csv -o charging.csv" },
      { "bmwi charging-history --format svg -o charging.svg" } } },
  ["charging-settings"] = { cardata = cardata.charging_settings, most = 0,
    summary = "the charging settings by location",
    examples = { { "bmwi charging-settings" } } },
  tyres = { cardata = cardata.tyres, most = 0, summary = "the tyres, and when they are due",
    examples = { { "bmwi tyres" } } },
  containers = { cardata = cardata.containers, most = math.huge, options = { "yes" },
    usage = "containers [list | show ID | create NAME DESCRIPTOR ... | delete ID]",
    words = { "list", "show", "create", "delete" },
    summary = "BMW's lists of the values that can be read",
    note = "`bmwi status` creates the one it needs; use this to inspect and clean up. An account "
      .. "can have ten.",
    examples = { { "bmwi containers" }, { "bmwi containers show W0123456789AB" },
      { "bmwi containers delete W0123456789AB" } } },
  quota = { cardata = cardata.quota, most = 0,
    summary = "how many of the day's calls are left; sends nothing",
    examples = { { "bmwi quota" }, { "bmwi quota --json | jq .left" } } },

  lock = { run = act.lock, most = 0, options = with_car(), summary = "lock the doors",
    examples = { { "bmwi lock" }, { "bmwi lock --no-wait && bmwi wait lock" } } },
  unlock = { run = act.unlock, most = 0, options = with_car("yes"),
    summary = "unlock the doors; asks first",
    note = "Without a terminal it needs --yes. If the account needs the answer to its "
      .. "security question, set security_answer in the configuration file or "
      .. "BMWI_SECURITY_ANSWER.",
    examples = { { "bmwi unlock" }, { "bmwi unlock --yes" } } },
  flash = { run = act.flash, most = 0, options = with_car("count"), summary = "flash the lights",
    examples = { { "bmwi flash" }, { "bmwi flash --count 2" } } },
  horn = { run = act.horn, most = 0, options = with_car(),
    summary = "blow the horn, where the car's country allows it",
    examples = { { "bmwi horn" } } },
  climate = { run = act.climate, most = 0, options = with_car(),
    summary = "start climate control (it cannot be stopped remotely)",
    examples = { { "bmwi climate" } } },
  charge = { run = act.charge, most = 0, options = with_car(),
    summary = "start charging now, when plugged in",
    examples = { { "bmwi charge" } } },
  find = { run = act.find, most = 0, options = with_car(),
    summary = "make the car report its position",
    examples = { { "bmwi find && bmwi status" } } },
  poi = { run = act.poi, most = 1, usage = "poi LAT,LON [--name TEXT] ...",
    options = { "lat", "lon", "name", "street", "city", "country", "postal-code", "phone",
      "website", "info" },
    summary = "send a destination to the car",
    examples = { { 'bmwi poi 48.1769,11.5569 --name "BMW Welt" --city "M\195\188nchen"' } } },
  wait = { run = act.wait, most = 1, least = 1, usage = "wait COMMAND",
    words = { "lock", "unlock", "flash", "horn", "climate", "charge", "find", "charging-profile" },
    options = { "wait-timeout", "interval" },
    summary = "wait for a command sent before",
    note = "COMMAND is lock, unlock, flash, horn, climate, charge, find or charging-profile.",
    examples = { { "bmwi wait lock" } } },

  watch = { run = watch.run, cardata = watch.run, most = 0,
    options = { "every", "record", "record-personal" },
    summary = "the cars live, until Ctrl-C",
    note = "CarData is followed by its stream, which costs no calls; the classic service is read "
      .. "every few minutes. On a terminal it is one picture, else a line for each update: with "
      .. "--json {vin, status, changed}. It ends if the file of --record cannot be written.",
    examples = { { "bmwi watch" }, { "bmwi watch --json | jq -c .changed" },
      { "bmwi watch --record day.jsonl" } } },
  bridge = { run = bridge.run, cardata = bridge.run, most = 0,
    options = { "mqtt", "prefix", "discovery", "prometheus", "allow-commands", "every", "record",
      "record-personal" },
    summary = "publish the cars to MQTT, Home Assistant or Prometheus",
    note = "Topics, all retained: PREFIX/VIN/status (JSON), PREFIX/VIN/MEMBER, PREFIX/VIN/times, "
      .. "PREFIX/availability (online or offline), PREFIX/connection. PREFIX is bmwi without "
      .. "--prefix. mqtt_username and mqtt_password come from the configuration. It runs until "
      .. "SIGTERM or Ctrl-C, and ends if the file of --record cannot be written.",
    examples = { { "bmwi bridge --mqtt mqtt://localhost:1883 --discovery homeassistant" },
      { "bmwi bridge --prometheus /var/lib/prometheus/node-exporter/bmwi.prom" },
      { "bmwi bridge --json | jq -c .changed" } } },

  login = { run = read.login, cardata = cardata.login, most = 0,
    summary = "log in again and save the token",
    note = "For CarData it shows a link and a code, and waits until you have allowed it there. "
      .. "Else: user name, password, API key and API secret come from the configuration file, the "
      .. "environment (BMWI_USERNAME, BMWI_PASSWORD, BMWI_API_KEY, BMWI_API_SECRET or BMWI_BASIC) "
      .. "or a prompt. There are no options for them.",
    examples = { { "bmwi login --region usa" } } },
  logout = { run = read.logout, cardata = read.logout, most = 0, summary = "delete the saved token",
    examples = { { "bmwi logout" } } },
  doctor = { run = doctor.run, cardata = doctor.run, most = 0, tolerant = true,
    summary = "check the set-up step by step",
    examples = { { "bmwi doctor" } } },
  demo = { run = demo.run, most = 0, alone = true,
    summary = "a tour of everything with the simulator",
    examples = { { "bmwi demo" }, { "bmwi demo --output range.svg" } } },
  get = { run = read.get, cardata = read.get, most = 1, least = 1, usage = "get PATH",
    summary = "the response of any path of the service, as JSON",
    note = "{vin} in PATH stands for the car's VIN.",
    examples = { { "bmwi get /webapi/v1/user/vehicles/{vin}/status" } } },
  completion = { run = shell.completion, cardata = shell.completion, most = 1, least = 1,
    usage = "completion bash|zsh|fish", words = { "bash", "zsh", "fish" }, alone = true,
    summary = "a shell completion script",
    examples = { { "bmwi completion bash > ~/.local/share/bash-completion/completions/bmwi" },
      { "bmwi completion fish > ~/.config/fish/completions/bmwi.fish" } } },
  help = { most = 1, usage = "help [COMMAND]", options = { "man" }, summary = "show help",
    examples = { { "bmwi help lock" }, { "bmwi help --man | man -l -", "the manual page" } } },
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
