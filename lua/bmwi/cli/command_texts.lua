-- bmwi.cli.command_texts: what the help, the manual page, the completions and docs/cli.md say of
-- each command: `summary`, `note` and `examples` ({command, remark}).

return {
  vehicles = {
    summary = "the cars of the account and what they offer",
    examples = { { "bmwi vehicles" }, { "bmwi vehicles --json | jq -r '.[].vin'" } } },
  status = {
    summary = "locks, doors, battery, range, mileage, position",
    examples = { { "bmwi status" }, { "bmwi status --units imperial" },
      { "bmwi status --json | jq .chargingLevelHv" } } },
  trips = {
    summary = "the last trip, and lifetime totals compared with other drivers",
    note = "In miles, `Most` is still the highest consumption: the smallest mi/kWh and mpg.",
    examples = { { "bmwi trips" }, { "bmwi trips last --units imperial" },
      { "bmwi trips --format svg -o trips.svg" } } },
  ["charging-profile"] = {
    summary = "show or set the charging schedule",
    examples = { { "bmwi charging-profile" },
      { "bmwi charging-profile get --json -o profile.json", "then change the file, and" },
      { "bmwi charging-profile set profile.json" } } },
  destinations = {
    summary = "the destinations sent to the car",
    note = "The service lists their places and streets, but not the names they were sent with.",
    examples = { { "bmwi destinations" }, { "bmwi destinations --format kml -o places.kml" } } },
  ["range-map"] = {
    summary = "the reachable area, as a table or a map",
    examples = { { "bmwi range-map" }, { "bmwi range-map --format svg -o range.svg" },
      { "bmwi range-map --format geojson" } } },
  soc = {
    summary = "battery charge and capacity in kWh",
    examples = { { "bmwi soc" }, { "bmwi soc --json | jq .socMax" } } },
  image = {
    summary = "a picture of the car (PNG; of CarData PNG or JPEG)",
    examples = { { "bmwi image --view SIDE --width 800 --height 600 -o car.png" } } },
  telematics = {
    summary = "every value that BMW has of the car, by its name there",
    examples = { { "bmwi telematics" }, { "bmwi telematics --max-age 3600 --json" } } },
  ["charging-history"] = {
    summary = "the charging sessions, with totals",
    note = "The last 30 days, or any span of days on this machine's clock. It takes a call for "
      .. "each 45 days and each ten sessions.",
    examples = { { "bmwi charging-history" }, { "bmwi charging-history --from 2026-01-01" },
      { "bmwi charging-history --from 2026-01-01 --format csv -o charging.csv" },
      { "bmwi charging-history --format svg -o charging.svg" } } },
  ["charging-settings"] = {
    summary = "the charging settings by location",
    examples = { { "bmwi charging-settings" } } },
  tyres = {
    summary = "the tyres, and when they are due",
    examples = { { "bmwi tyres" } } },
  containers = {
    summary = "BMW's lists of the values that can be read",
    note = "`bmwi status` creates the one it needs; use this to inspect and clean up. An account "
      .. "can have ten.",
    examples = { { "bmwi containers" }, { "bmwi containers show W0123456789AB" },
      { "bmwi containers delete W0123456789AB" } } },
  quota = {
    summary = "how many of the day's calls are left; sends nothing",
    examples = { { "bmwi quota" }, { "bmwi quota --json | jq .left" } } },
  lock = {
    summary = "lock the doors",
    examples = { { "bmwi lock" }, { "bmwi lock --no-wait && bmwi wait lock" } } },
  unlock = {
    summary = "unlock the doors; asks first",
    note = "Without a terminal it needs --yes. If the account needs the answer to its "
      .. "security question, set security_answer in the configuration file or "
      .. "BMWI_SECURITY_ANSWER.",
    examples = { { "bmwi unlock" }, { "bmwi unlock --yes" } } },
  flash = {
    summary = "flash the lights",
    examples = { { "bmwi flash" }, { "bmwi flash --count 2" } } },
  horn = {
    summary = "blow the horn, where the car's country allows it",
    examples = { { "bmwi horn" } } },
  climate = {
    summary = "start climate control (it cannot be stopped remotely)",
    examples = { { "bmwi climate" } } },
  charge = {
    summary = "start charging now, when plugged in",
    examples = { { "bmwi charge" } } },
  find = {
    summary = "make the car report its position",
    examples = { { "bmwi find && bmwi status" } } },
  poi = {
    summary = "send a destination to the car",
    examples = { { 'bmwi poi 48.1769,11.5569 --name "BMW Welt" --city "M\195\188nchen"' } } },
  wait = {
    summary = "wait for a command sent before",
    note = "COMMAND is lock, unlock, flash, horn, climate, charge, find or charging-profile.",
    examples = { { "bmwi wait lock" } } },
  watch = {
    summary = "the cars live, until Ctrl-C",
    note = "CarData is followed by its stream, which costs no calls; the classic service is read "
      .. "every few minutes. On a terminal it is one picture, else a line for each update: with "
      .. "--json {vin, status, changed}. It ends if the file of --record cannot be written.",
    examples = { { "bmwi watch" }, { "bmwi watch --json | jq -c .changed" },
      { "bmwi watch --record day.jsonl" } } },
  bridge = {
    summary = "publish the cars to MQTT, Home Assistant or Prometheus",
    note = "Topics, all retained: PREFIX/VIN/status (JSON), PREFIX/VIN/MEMBER, PREFIX/VIN/times, "
      .. "PREFIX/availability (online or offline), PREFIX/connection. PREFIX is bmwi without "
      .. "--prefix. mqtt_username and mqtt_password come from the configuration. It runs until "
      .. "SIGTERM or Ctrl-C, and ends if the file of --record cannot be written.",
    examples = { { "bmwi bridge --mqtt mqtt://localhost:1883 --discovery homeassistant" },
      { "bmwi bridge --prometheus /var/lib/prometheus/node-exporter/bmwi.prom" },
      { "bmwi bridge --json | jq -c .changed" } } },
  login = {
    summary = "log in again and save the token",
    note = "For CarData it shows a link and a code, and waits until you have allowed it there. "
      .. "Else: user name, password, API key and API secret come from the configuration file, the "
      .. "environment (BMWI_USERNAME, BMWI_PASSWORD, BMWI_API_KEY, BMWI_API_SECRET or BMWI_BASIC) "
      .. "or a prompt. There are no options for them.",
    examples = { { "bmwi login --region usa" } } },
  logout = {
    summary = "delete the saved token",
    examples = { { "bmwi logout" } } },
  doctor = {
    summary = "check the set-up step by step",
    examples = { { "bmwi doctor" } } },
  demo = {
    summary = "a tour of everything with the simulator",
    examples = { { "bmwi demo" }, { "bmwi demo --output range.svg" } } },
  get = {
    summary = "the response of any path of the service, as JSON",
    note = "{vin} in PATH stands for the car's VIN.",
    examples = { { "bmwi get /webapi/v1/user/vehicles/{vin}/status" } } },
  completion = {
    summary = "a shell completion script",
    examples = { { "bmwi completion bash > ~/.local/share/bash-completion/completions/bmwi" },
      { "bmwi completion fish > ~/.config/fish/completions/bmwi.fish" } } },
  help = {
    summary = "show help",
    examples = { { "bmwi help lock" }, { "bmwi help --man | man -l -", "the manual page" } } },
}
