-- The README and the pages of docs/: their programs run, their commands are valid, their links have
-- targets. The mark of a block of code says how it is run:
--
--   lua            with `bmwi`, `client` and `car` set before it, against a simulator
--   lua program    as it stands; the page shows its output
--   lua recipe X   as it stands, with the command line's configuration; each has a spec of its own
--   lua cardata    as it stands, with the simulator's servers
--   lua stream     with `client` set before it, logged in, and a car that charges
--   sh bmwi        commands of bmwi, run with a configuration
--   sh simulator   requests to a simulator
--   sh, console    the command lines of bmwi in it are parsed, make's targets looked up
--   console cardata  run on a terminal, one after the other; the output is compared
--   json           a setting of another program
--   (none)         output, or lines of a configuration, which are read
local cli = require "spec.cli_helper"
local docs = require "spec.docs_helper"
local helper = require "spec.helper"
local streams = require "spec.stream_helper"

local load_text = rawget(_G, "loadstring") or load
local MARKS = {}
for _, mark in ipairs { "", "lua", "lua program", "lua cardata", "lua stream",
  "lua recipe preheat", "lua recipe exporter", "lua recipe trips", "sh", "sh bmwi",
  "sh simulator", "console", "console cardata", "json" } do
  MARKS[mark] = true
end
local FULL = { chargingLevelHv = 100, chargingStatus = "FINISHED_FULLY_CHARGED" }
local PAGES = { "README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md" }
for _, page in ipairs(docs.pages) do
  if page.path ~= "README.md" then PAGES[#PAGES + 1] = page.path end
end

local makefile = helper.read("Makefile") .. helper.read(".ci/analysis.mk")

describe("a block of code", function()
  local sim

  setup(function() sim = helper.start { args = { "--speed", "100" } } end)
  teardown(function() sim:stop() end)
  before_each(function() sim:reset() end)

  it("has a mark that says how it is run", function()
    for _, block in ipairs(docs.blocks()) do
      assert.truthy(MARKS[block.mark],
        ("%s line %d: the mark `%s` is not in MARKS of spec/docs_spec.lua"):format(block.path,
          block.line, block.mark))
    end
  end)

  for _, block in ipairs(docs.marked("lua")) do
    it(("runs: %s line %d"):format(block.path, block.line), function()
      sim:change(helper.vin, { status = FULL })
      assert(load_text(block.text))
      if not docs.installed(block.text) then return pending("luv or cqueues is not installed") end
      -- Programs that poll every 20 seconds or more need not run here.
      local text = block.text:gsub("interval = %d+", "interval = 0.1")
      local output, code = docs.run_lua(docs.with_client(text, sim))
      assert.equal(0, code, output)
    end)
  end

  for _, block in ipairs(docs.marked("lua program")) do
    it(("prints what the page says: %s line %d"):format(block.path, block.line), function()
      local output, code = docs.run_lua(docs.placed(block.text, sim))
      assert.equal(0, code, output)
      assert.truthy(docs.page(block.path):find("```\n" .. output .. "```\n", 1, true), output)
    end)
  end

  for _, block in ipairs(docs.marked("lua cardata")) do
    it(("runs with CarData: %s line %d"):format(block.path, block.line), function()
      local path = os.tmpname()
      os.remove(path)
      sim:control("POST", "/cardata/login", { interval = 0.05 })
      local output, code = docs.run_lua(docs.with_cardata(block.text, sim, path))
      for _, ending in ipairs({ "", ".lock", ".write.lock", ".container.lock" }) do
        os.remove(path .. ending)
      end
      assert.equal(0, code, output)
      assert.truthy(output:find("user_code=", 1, true), output)
      assert.truthy(output:find("seconds old", 1, true), output)
    end)
  end

  for _, block in ipairs(docs.marked("lua stream")) do
    it(("runs with a stream: %s line %d"):format(block.path, block.line), function()
      local live, path = helper.start({ stream = true }), os.tmpname()
      os.remove(path)
      streams.client(live, { store = require("bmwi.store").new(path) }):close()
      streams.set(live, { live = 0.3 }) -- each an update of its own
      local output, code = docs.run_lua(([[
        local client = require("bmwi").new(require("spec.stream_helper").options(
          { url = %q, stream_url = %q }, { store = require("bmwi.store").new(%q) }))
      ]]):format(live.url, live.stream_url, path) .. block.text)
      live:stop()
      for _, ending in ipairs({ "", ".lock", ".write.lock", ".stream.lock" }) do
        os.remove(path .. ending)
      end
      assert.equal(0, code, output)
      assert.truthy(output:find("\t80\ttrue\n", 1, true), output)
      assert.truthy(output:find("ended\tclosed\n$"), output)
    end)
  end

  for _, block in ipairs(docs.marked("sh simulator")) do
    it(("is understood by the simulator: %s line %d"):format(block.path, block.line), function()
      local output, code = docs.run("sh -e %s",
        'curl() { command curl -sSf "$@"; }\n' .. docs.placed(block.text, sim))
      assert.equal(0, code, output)
    end)
  end

  for _, block in ipairs(docs.marked("sh bmwi")) do
    it(("runs as commands: %s line %d"):format(block.path, block.line), function()
      cli.begin(sim)
      local jq = helper.shell("command -v jq") ~= "" and "" or "jq() { cat; }\n"
      local text = block.text:gsub("%-o (%S+)", "-o " .. cli.home .. "/%1")
      local output, code = docs.run("sh -e %s", ('bmwi() { %s "$@"; }\n'):format(cli.command({}))
        .. jq .. text)
      cli.finish()
      assert.equal(0, code, output)
      helper.has(output, "767 mi") -- of the status
      helper.has(output, "bmwi " .. require("bmwi")._VERSION)
    end)
  end

  it("runs the program in the README as the README says", function()
    local tag = helper.interpreter:match("lua5.4$")
    local line = docs.page("README.md"):match("\n(LUA_PATH=[^\n]* lua5%.4) car%.lua\n")
    assert.truthy(line)
    if not tag or not helper.read("build/lua5.4/bmwi.so") then
      return pending("build/lua5.4 is not there")
    end
    local program = docs.placed(docs.marked("lua program")[1].text, sim)
    local output, code = docs.run(line .. " %s", program)
    assert.equal(0, code, output)
    helper.has(output, "EXECUTED\tLOCKED\n")
  end)

  it("gives bmwi only arguments that it accepts", function()
    local args, commands = require "bmwi.cli.args", require "bmwi.cli.commands"
    local count = 0
    for _, block in ipairs(docs.blocks()) do
      for line in block.text:gmatch("[^\n]+") do
        local words = line:match("^%$? ?bmwi (.*)") or line:match("^lua5%.4 bin/bmwi (.*)")
          or line:match("^[%d*/]+ [%d* /-]+ bmwi (.*)") -- of cron
        if words and block.mark ~= "sh simulator" then
          count = count + 1
          local argv, where = {}, ("%s line %d: %s"):format(block.path, block.line, line)
          words = words:gsub("%s+#.*", ""):gsub("%s*[|>].*", ""):gsub('"(.-)"', function(text)
            return (text:gsub(" ", "\1"))
          end)
          for word in words:gmatch("%S+") do argv[#argv + 1] = (word:gsub("\1", " ")) end
          local parsed, message = args.parse(argv, commands)
          assert.truthy(parsed, where .. ": " .. tostring(message))
          assert.truthy(not parsed.command or commands[parsed.command], where)
        end
      end
    end
    assert.is_true(count > 5)
  end)

  it("with settings is a valid configuration", function()
    local count = 0
    for _, block in ipairs(docs.marked("")) do
      if block.text:find("^[%l_]+ = ") then
        count = count + 1
        require("bmwi.cli.config").parse(block.text, block.path) -- raises
      end
    end
    assert.is_true(count > 1)
  end)
end)

describe("a block of code for another program", function()
  local bridge = docs.page("docs/bridge.md")

  it("has commands that the bridge accepts", function()
    local commands, accepted = require "bmwi.bridge.commands", 0
    local function answer() return nil, "no", "forbidden" end
    for vin, payload in bridge:gmatch("mosquitto_pub %-t bmwi/(%w+)/command %-m '?([^\n']+)") do
      local result
      local carrying = commands.new { cars = { [vin] = { vehicle = {} } },
        client = { vehicle = function() return { lock_doors = answer, flash_lights = answer } end },
        say = function(_, text) result = helper.json.decode(text) end, refresh = function() end }
      carrying:receive("bmwi/" .. vin .. "/command", payload)
      require("bmwi.async").run(function() require("bmwi").sleep(0) end)
      assert.equal("forbidden", result.code, payload) -- it came to the car
      accepted = accepted + 1
    end
    assert.equal(2, accepted)
  end)

  it("has the line of JSON that the bridge writes", function()
    local text = bridge:match('\n({"changed":[^\n]+)\n')
    local update, changed = helper.json.decode(text), {}
    for _, name in ipairs(update.changed) do changed[name] = true end
    update.changed = changed
    assert.equal(text, require("bmwi.bridge.topics").line(update))
  end)

  -- Prints the entity that the template asks for, and its results after 0 and 2 hours.
  local JINJA = [[
import datetime, jinja2, sys, yaml
block, hour = yaml.safe_load(sys.stdin), datetime.timedelta(hours=1)
assert set(block) == {"condition", "value_template"} and block["condition"] == "template"
began = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
def states(entity):
    print(entity)
    return began.isoformat()
env = jinja2.Environment(undefined=jinja2.StrictUndefined)
env.filters["as_datetime"] = datetime.datetime.fromisoformat
for hours in 0, 2:
    print(env.from_string(block["value_template"]).render(states=states,
        now=lambda: began + hours * hour, timedelta=datetime.timedelta))]]

  it("has a condition for Home Assistant that tells fresh values from old ones", function()
    if helper.shell("python3 -c 'import jinja2, yaml' 2>&1; echo $?") ~= "0" then
      return pending("python3-jinja2 or python3-yaml is not installed")
    end
    local block = assert(bridge:match("\n(condition: .-\n)```"))
    local found = helper.json.decode(require("bmwi.bridge.homeassistant").discovery(
      { vin = "WBYCARDATA0000001", model = "i4 eDrive40" }, {}, {}))
    local entity = (found.dev.name .. " " .. found.cmps.reported.name):lower():gsub(" ", "_")
    local said = helper.shell("printf %s " .. helper.quote(block) .. " | python3 -c "
      .. helper.quote(JINJA) .. " 2>&1")
    assert.equal(("sensor.%s\nTrue\nsensor.%s\nFalse"):format(entity, entity), said)
  end)

  it("logs in as the service, with the settings of its unit", function()
    local unit = helper.read("examples/systemd/bmwi-bridge.service")
    local block = assert(bridge:match("\n(systemd%-run .-\n)```")):gsub("\\\n", "")
    for setting in block:gmatch(" %-p (%S+)") do helper.has(unit, "\n" .. setting .. "\n") end
    helper.has(unit:gsub("%%S", "/var/lib"), "\nEnvironment=" .. block:match(" %-E (%S+)") .. "\n")
    local words = {}
    for word in block:match("'bmwi (.-)'"):gmatch("%S+") do words[#words + 1] = word end
    local parsed = require("bmwi.cli.args").parse(words, require("bmwi.cli.commands"))
    assert.equal("login", parsed.command)
    assert.equal('"$CREDENTIALS_DIRECTORY/config"', parsed.options.config)
    if helper.shell("command -v systemd-run") ~= "" then -- its options
      helper.has(helper.shell(block:gsub(" sh %-c .*", " --version 2>&1; echo $?")), "systemd ")
    end
  end)

  it("has a function that Node-RED can run", function()
    local body = assert(bridge:match("\n(return {[^\n]+;)\n"))
    if helper.shell("command -v node") == "" then return pending("node is not installed") end
    local said = helper.shell("node -p " .. helper.quote(("JSON.stringify((function (msg) { %s })"
      .. "({ payload: 66.5 }))"):format(body)) .. " 2>&1")
    assert.equal('{"payload":{"idx":12,"nvalue":0,"svalue":"66.5"}}', said:match("^[^\n]*"))
  end)

  it("starts the simulator with options that it has", function()
    local usage, count = helper.shell(helper.quote(os.getenv("BMWI_SIM")
      or "build/bmwi-sim") .. " --help"), 0
    for _, block in ipairs(docs.blocks()) do
      for line in block.text:gmatch("build/bmwi%-sim ([^\n&#]*)") do
        for option in line:gmatch("%-%-%l+") do
          helper.has(usage, "\n  " .. option .. " ")
          count = count + 1
        end
      end
    end
    assert.is_true(count > 2)
  end)
end)

describe("a session on a terminal", function()
  local sim

  setup(function() sim = helper.start() end)
  teardown(function() sim:stop() end)
  before_each(function() cli.begin(sim) end)
  after_each(function() cli.finish() end)

  -- Removes what differs between runs: numbers, addresses, the code of a log-in.
  local function pattern(line)
    local words = line:find("^%s*%w [%w ]*%w$") and line:gsub("%w", "%%w")
    return words or line:gsub("%p", "%%%0"):gsub("https?%%:%S+", "https?:%%S+")
      :gsub("%d+", "%%d+"):gsub("  +", " +")
  end

  it("gives the output that the page shows", function()
    local reason = helper.no_terminal()
    if reason then return pending(reason) end
    sim:control("POST", "/cardata/login", { interval = 1, allow_after = 2 })
    local blocks = docs.marked("console cardata")
    assert.equal(2, #blocks)
    for _, block in ipairs(blocks) do
      local command, rest = block.text:match("^%$ bmwi ([^\n]+)\n(.*)$")
      local shown = cli.on_terminal({ command }, {}, { BMWI_SERVICE = "cardata", NO_COLOR = "1",
        BMWI_CLIENT_ID = "6b1f5a52-9d2e-4c0f-8a53-1f0c2d3e4b5a", BMWI_VIN = "WBYCARDATA0000001",
        BMWI_LOGIN_URL = sim.url .. "/gcdm/oauth" }, 200)
      assert.equal(0, shown.code, shown.screen)
      for line in rest:gmatch("[^\n]+") do
        assert.truthy(shown.screen:find(pattern(line)), line .. "\nis not in\n" .. shown.screen)
      end
    end
  end)
end)

describe("a recipe", function()
  local sim

  setup(function() sim = helper.start { args = { "--speed", "100" } } end)
  teardown(function() sim:stop() end)
  before_each(function() cli.begin(sim) end)
  after_each(function() cli.finish() end)

  local function recipe(name)
    return assert(docs.marked("lua recipe " .. name)[1], name).text
  end

  -- Runs it in the home folder and with the configuration of the command line's specs.
  local function run(text)
    cli.configure(("base_url = %s\nusername = whatever@example.com\npassword = p4ssw0rd\n"
      .. "api_key = key\napi_secret = secret\n"):format(sim.url))
    return docs.run_lua(text, ("HOME=%s XDG_CONFIG_HOME=%s XDG_STATE_HOME=%s/state"):format(
      cli.home, cli.home, cli.home))
  end

  it("warms the car up only when it is plugged in", function()
    local text = recipe("preheat"):gsub("wait.for_execution%(car, execution",
      "%0, { interval = 0.05 }")
    assert.same({ "", 0 }, { run(text) })
    assert.equal(0, sim:count("POST", "executeService"))
    sim:change(helper.vin, { status = { connectionStatus = "CONNECTED" } })
    assert.same({ "", 0 }, { run(text) })
    assert.equal(1, sim:count("POST", "executeService"))
  end)

  it("waits for the outcome when the answer to its command was lost", function()
    sim:change(helper.vin, { status = { connectionStatus = "CONNECTED" } })
    sim:fault { path = "executeService", reset = "after" }
    local text = recipe("preheat"):gsub("wait.for_execution%(car, execution",
      "%0, { interval = 0.005 }")
    local output = run(text)
    assert.falsy(output:find("traceback", 1, true) and output:find("index", 1, true), output)
    assert.equal(1, sim:count("POST", "executeService"))
  end)

  it("writes each trip once", function()
    local text = recipe("trips"):gsub("trips%.csv", cli.home .. "/%0")
    for _ = 1, 2 do assert.same({ "", 0 }, { run(text) }) end
    assert.equal("ended,totalDistance,electricDistance,duration,avgElectricConsumption,"
      .. "avgRecuperation\n2015-12-01 20:44,141,100.1,124,16.6,2\n",
      helper.read(cli.home .. "/trips.csv"))
    sim:change(helper.vin, { lastTrip = { date = "2015-12-02T07:01:00+0100" } })
    assert.same({ "", 0 }, { run(text) })
    local _, lines = helper.read(cli.home .. "/trips.csv"):gsub("\n", "\n")
    assert.equal(3, lines)
  end)

  it("exports numbers to Prometheus", function()
    local text = recipe("exporter")
    if not docs.installed(text) then return pending("luv is not installed") end
    -- On a free port; polled from inside until there are numbers, for at most a minute.
    text = text:gsub('"127.0.0.1", 9105%)%)', '"127.0.0.1", 0))\n'
      .. 'local limit = uv.new_timer()\nlimit:start(60000, 0, function() os.exit(1) end)')
    text = text:gsub("uv.run%(%)", [[
local probe = uv.new_timer()
probe:start(100, 100, function()
  local socket = uv.new_tcp()
  socket:connect("127.0.0.1", server:getsockname().port, function()
    socket:write("GET /metrics HTTP/1.0\r\n\r\n")
    socket:read_start(function(_, data)
      if data and data:find("bmw_", 1, true) then print(data) os.exit(0, true) end
    end)
  end)
end)
uv.run()]])
    local output, code = run(text)
    assert.equal(0, code, output)
    assert.truthy(output:find('bmw_mileage{vin="WAB1C23456V123456"} 1234\n', 1, true), output)
  end)
end)

it("the picture in the README is what the example draws", function()
  helper.has(docs.page("README.md"), '<img src="docs/range-map.svg"')
  local sim, path = helper.start(), os.tmpname()
  local output, code = docs.run(("%s examples/range_map_svg.lua %s; cat %%s"):format(
    docs.lua_command("BMWI_BASE_URL=" .. sim.url):gsub(" %%s$", ""), path), "")
  sim:stop()
  local drawn = helper.read(path)
  os.remove(path)
  assert.equal(0, code, output)
  assert.equal(drawn, helper.read("docs/range-map.svg"))
end)

describe("a page of the documentation", function()
  it("links only to existing targets", function()
    for _, path in ipairs(PAGES) do
      local text, folder = helper.read(path), path:match("^(.*/)") or ""
      for target in text:gmatch("%]%(([^)%s]+)%)") do
        local file, anchor = target:match("^([^#]*)#?(.*)$")
        if not target:find("^https?:") then
          local other = file == "" and text or helper.read(folder .. file)
          assert.truthy(other or os.rename(folder .. file, folder .. file),
            path .. ": " .. target)
          local found = anchor == ""
          for heading in (other or ""):gmatch("\n#+ ([^\n]+)") do
            found = found or anchor == heading:lower():gsub("[^%w _-]", ""):gsub(" ", "-")
          end
          assert.truthy(found, path .. ": " .. target)
        end
      end
    end
  end)

  it("is linked from another one, as is each example", function()
    local text = docs.all() .. helper.read("CONTRIBUTING.md")
    for _, page in ipairs(docs.pages) do
      local name = page.path:match("^docs/(.*)$")
      assert.truthy(not name or text:find("](docs/" .. name, 1, true)
        or text:find("](" .. name, 1, true), page.path)
    end
    local examples = {}
    for name in helper.shell("ls examples"):gmatch("[^\n]+%.lua") do
      examples[#examples + 1] = name
    end
    assert.is_true(#examples > 5)
    assert.same({}, docs.missing(text, examples, "](../examples/%s)"))
  end)

  it("has tables with as many cells in each row as in the header", function()
    local count = 0
    for _, path in ipairs(PAGES) do
      local cells, number
      number = 0
      for line in helper.read(path):gmatch("([^\n]*)\n") do
        number = number + 1
        local _, bars = line:gsub("\\|", ""):gsub("|", "|")
        if not line:find("^|") then
          cells = nil
        elseif cells then
          assert.equal(cells, bars, path .. " line " .. number)
        else
          cells, count = bars, count + 1
        end
      end
    end
    assert.is_true(count > 50)
  end)

  it("names only existing make targets, each listed by `make help`", function()
    local help = "\n" .. helper.shell("env -u MAKEFLAGS -u MFLAGS make help") .. "\n"
    for _, path in ipairs(PAGES) do
      local text = helper.read(path)
      for _, before in ipairs { "\n", "sudo ", "`" } do
        for target in text:gmatch(before .. "make ([%l-]+)") do
          assert.truthy(makefile:find("\n" .. target .. ":", 1, true), path .. ": " .. target)
          assert.truthy(help:find("\nmake " .. target .. " ", 1, true), path .. ": " .. target)
        end
      end
    end
  end)
end)
