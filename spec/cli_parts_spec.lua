-- The parts of the command line that depend on nothing but their arguments: pages for shells and
-- man, the doctor's steps, the prompt for a code, and the checks before a command begins.
local bmwi = require "bmwi"
local bridge = require "bmwi.cli.bridge"
local cardata = require "bmwi.cli.cardata"
local cardata_cars = require "bmwi.cli.cardata_cars"
local cardata_doctor = require "bmwi.cli.cardata_doctor"
local checks = require "bmwi.cli.checks"
local cli = require "spec.cli_helper"
local commands = require "bmwi.cli.commands"
local help = require "bmwi.cli.help"
local helper = require "spec.helper"
local live = require "bmwi.cli.live"
local man = require "bmwi.cli.man"
local programs = require "bmwi.cli.programs"
local prompt = require "bmwi.cli.prompt"
local session = require "bmwi.cli.session"
local shell = require "bmwi.cli.shell"
local store = require "bmwi.store"
local watch = require "bmwi.cli.watch"

local VIN = "WBYCARDATA0000001"
local folder = helper.shell("mktemp -d")
teardown(function() os.execute("rm -rf " .. helper.quote(folder)) end)

local failure_of = cli.failure_of

local function run_with(members)
  local run = { settings = { token_file = folder .. "/token" } }
  for name, value in pairs(members or {}) do run[name] = value end
  local file = run.options and run.options.output
  local ctx, written = cli.run_with(run)
  ctx.out.file = file
  return ctx, written
end

describe("the manual page", function()
  it("has no line of text that roff would treat as a request", function()
    local known = {}
    for word in ("TH SH SS TP PP B BR I EX EE"):gmatch("%u+") do known[word] = true end
    table.insert(help.ABOUT, ".so /etc/hosts")
    local page = man.page()
    table.remove(help.ABOUT)
    helper.has(page, "so /etc/hosts")
    for line in page:gmatch("[^\n]+") do
      if line:find("^[.']") then assert(known[line:match("^%.(%u+)")], line) end
    end
  end)

  it("has hyphens that can be copied", function()
    local page = man.page()
    helper.has(page, "\\fB\\-\\-json\\fR")
    assert.is_nil(page:find("%-%-json"))
  end)
end)

describe("the completion for a shell", function()
  for _, name in ipairs { "bash", "zsh", "fish" } do
    it("completes every command and its options: " .. name, function()
      local ctx, text = run_with({ args = { name } })
      ctx.out.write = function(_, bytes) ctx.out.parts = { bytes } end
      assert.equal(0, shell.completion(ctx))
      for command, row in pairs(commands) do
        assert(text():find(command, 1, true), command)
        for _, option in ipairs(row.options or {}) do
          assert(text():find(option, 1, true), option)
        end
      end
    end)
  end

  it("exists for no other shell", function()
    local failure = failure_of(shell.completion, (run_with({ args = { "tcsh" } })))
    assert.equal("usage", failure.code)
    helper.has(failure.message, "tcsh")
  end)
end)

describe("a step of the doctor", function()
  local function step(list, name)
    for _, one in ipairs(list) do
      if one[1] == name then return one.run or one[2] end
    end
  end

  local AGREES = "agrees with the server's"
  for off, expected in pairs({ [0] = AGREES, [-299] = AGREES,
    [7200] = "ahead of", [-7200] = "behind" }) do
    it(("compares the clocks: %d s"):format(off), function()
      local line, message, code = checks.clock({ probe = {}, clock_error = off })
      helper.has(line or message, expected)
      assert.equal(math.abs(off) > 300 and "clock" or nil, code)
    end)
  end

  it("says that a server does not report its time", function()
    helper.has(checks.clock({ probe = {} }), "does not report")
  end)

  for code, reached in pairs({ network = false, timeout = false, tls = true, auth = true }) do
    it("reports whether a server was reached: " .. code, function()
      local line, _, failed = step(checks.NETWORK, "server")(
        { probe = { code = code, message = "so" } })
      assert.equal(reached and "reached" or nil, line)
      assert.equal(not reached and code or nil, failed)
    end)
  end

  it("fails if the log-in cannot be saved, and leaves no file behind", function()
    local failure = failure_of(checks.try_to_write, { path = "/dev/null/token" })
    assert.equal("file", failure.code)
    checks.try_to_write({ path = folder .. "/trial" })
    assert.equal("", helper.shell("ls " .. folder))
  end)

  it("asks for a client id", function()
    local run = step(cardata_doctor.STEPS, "client id")
    assert.equal("abc", run({ settings = { client_id = "abc" } }))
    local _, _, code, info = run({ settings = {} })
    assert.equal("config", code)
    helper.has(info.hint, "client_id")
  end)

  it("names the scope that a log-in lacks", function()
    local ctx = run_with()
    local kept = store.new(ctx.settings.token_file)
    assert(kept:save({ access_token = "a", scope = "cardata:api:read" }))
    local _, message, code = step(cardata_doctor.STEPS, "scopes")(ctx)
    assert.equal("scope", code)
    helper.has(message, "CarData Stream")
    assert(kept:save({ access_token = "a", scope = "cardata:streaming:read cardata:api:read" }))
    assert.truthy(step(cardata_doctor.STEPS, "scopes")(ctx))
    os.remove(ctx.settings.token_file)
  end)

  for kind, expected in pairs({ none = "not_found", SECONDARY = "forbidden", PRIMARY = "" }) do
    it("looks for a car of the account's own: " .. kind, function()
      local cars = kind ~= "none" and { { vin = VIN, mappingType = kind } } or {}
      local line, _, code = step(cardata_doctor.STEPS, "PRIMARY")({ cars = cars })
      assert.equal(expected, code or "")
      assert.equal(kind == "PRIMARY", line ~= nil)
    end)
  end

  it("counts values, and says why others are missing", function()
    local run = step(cardata_doctor.STEPS, "values")
    local line = run({ details = { a = { value = 1 }, b = { reason = "not_sent" },
      c = { reason = "not_sent" } } })
    assert.equal("1 of the status (of the others 2 not sent)", line)
    assert.equal("not_found", select(3, run({ details = { b = { reason = "not_sent" } } })))
  end)
end)

describe("the prompt for a code", function()
  local function shown(members)
    local ctx = run_with(members)
    local real, text = io.stderr, {}
    io.stderr = { flush = function() end, -- luacheck: ignore 122
      write = function(_, ...) text[#text + 1] = table.concat({ ... }) end }
    local ok, why = pcall(prompt.show, ctx, { verification_uri_complete = "https://x/?c=\27ABC",
      user_code = "AB\27C", expires_in = 60 })
    io.stderr = real -- luacheck: ignore 122
    assert(ok, why)
    return table.concat(text), ctx
  end

  it("shows the page and the code, without control characters", function()
    local text, ctx = shown()
    assert.is_nil(text:find("\27"))
    helper.has(text, "https://x/?c=")
    assert.matches("\n    A B.- C\n", text)
    assert.is_true(ctx.code_ends > bmwi._sys.monotonic() + 50)
  end)

  it("is one line of JSON for a program", function()
    local asked = bmwi.json.decode((shown({ options = { json = true } }))).prompt
    assert.equal("AB\27C", asked.user_code)
    assert.equal(60, asked.expires_in)
  end)
end)

describe("a command that keeps running", function()
  for words, options in pairs({
    ["nowhere to publish to"] = {},
    ["--discovery needs --mqtt"] = { json = true, discovery = "homeassistant" },
    ["--allow-commands needs --mqtt"] = { json = true, ["allow-commands"] = true },
    ["must not hold a password"] = { mqtt = "mqtt://me:secret@host" },
    ["must be mqtt://HOST:PORT"] = { mqtt = "http://host" },
    ["must end in .prom"] = { prometheus = "/tmp/bmwi.txt" },
  }) do
    it("refuses invalid arguments before it starts: " .. words, function()
      local failure = failure_of(bridge.run, (run_with({ options = options })))
      assert.equal("usage", failure.code)
      helper.has(failure.message, words)
      assert.is_nil((failure.message .. tostring(failure.info.hint)):find("secret@", 1, true))
    end)
  end

  it("refuses --output", function()
    local failure = failure_of(watch.run, (run_with({ options = { output = "file" } })))
    assert.equal("usage", failure.code)
    helper.has(failure.message, "--output")
  end)

  it("needs a car", function()
    assert.equal("not_found", failure_of(live.cars, (run_with({ cars = {} }))).code)
    local cars = { { vin = VIN } }
    local client = { vehicle = function() return true end }
    assert.same(cars, live.cars((run_with({ cars = cars, client = client }))))
  end)

  it("says what to do about a car that cannot be read", function()
    local told
    local function keep(...) told = { ... } end
    local options = live.options((run_with({ client = {} })), { { vin = VIN } },
      { on_problem = keep, on_state = keep })
    options.on_problem(VIN, "status failed: dlat and dlon are required", "http", {})
    assert.same({ VIN .. ": status failed: dlat and dlon are required", "Set position = LAT,LON in "
      .. "the configuration file, or BMWI_POSITION, to about where the car is." }, told)
    options.on_problem(VIN, "it failed!", "cancelled", { hint = "try it later",
      retryable = false })
    assert.same({ VIN .. ": it failed!", "Try it later" }, told)
    -- the only car
    options.on_state("waiting", "it failed", "cancelled", { hint = "try it later",
      retryable = false })
    assert.same({ "waiting", "it failed", "Try it later" }, told)
    options.on_state("connected")
    assert.same({ "connected" }, told)
  end)

  it("describes the state of its connection", function()
    assert.equal("connected", live.words("connected", ""))
    assert.equal("waiting (the network)", live.words("waiting", "the network"))
  end)
end)

describe("the cars of CarData", function()
  it("have the model that the account file has, and not those of other users", function()
    local ctx = run_with()
    ctx.settings.service = "cardata"
    ctx.client = bmwi.new { service = "cardata", client_id = "abc",
      store = store.new(ctx.settings.token_file) }
    local kept = store.new(ctx.settings.token_file)
    assert(kept:_set_vehicles({ { vin = VIN, mappingType = "PRIMARY" },
      { vin = "WBYCARDATA0000002", mappingType = "SECONDARY" } }))
    assert(kept:_set_basic(VIN, { modelName = "i4", brand = "BMW" }))
    assert.same({ { vin = VIN, mappingType = "PRIMARY", model = "i4", brand = "BMW" } },
      cardata_cars.all(ctx))
    assert.equal(VIN, session.car(ctx):vin())
    ctx.client:close()
    os.remove(ctx.settings.token_file)
  end)
end)

describe("bmwi charging-history", function()
  for words, options in pairs({
    ["--from must be a day"] = { from = "2026-02-30" },
    ["--to must be a day"] = { to = "yesterday" },
    ["--from must be before --to"] = { from = "2026-02-02", to = "2026-02-01" },
  }) do
    it("sends nothing for an invalid period: " .. words, function()
      local car = setmetatable({}, { __index = function(_, name) error("asked: " .. name) end })
      local failure = failure_of(cardata.charging_history,
        (run_with({ options = options, car = car })))
      assert.equal("usage", failure.code)
      helper.has(failure.message, words)
    end)
  end
end)

describe("a program", function()
  it("gets each word unchanged", function()
    local word = "it's $HOME; `x` \"y\" \\ *"
    assert.equal(word, helper.shell("printf %s " .. programs.quoted(word)))
  end)

  it("is looked for in PATH", function()
    assert.matches("/sh$", programs.in_path("sh"))
    assert.is_nil(programs.in_path("no-such-program-at-all"))
  end)
end)
