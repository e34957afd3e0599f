--- bmwi watch on the classic service, which it polls: as JSON, as lines, on a terminal.
local helper = require "spec.helper"
local cli = require "spec.cli_helper"
local json = helper.json
local quote = helper.quote

describe("bmwi watch", function()
  local sim, home

  setup(function() sim = helper.start() end)
  teardown(function() sim:stop() end)
  before_each(function() home = cli.begin(sim) end)
  after_each(cli.finish)

  -- Runs it; the shell script `steps` ends it with `kill -INT $p`.
  local function watch(arguments, steps, environment)
    local all = { "watch", "--every", "1" }
    for _, word in ipairs(arguments) do all[#all + 1] = word end
    local script = ([[
      exec 2>/dev/null
      until_there() { for i in $(seq 1200); do grep -q "$1" %s/out && return; sleep .05; done; }
      %s >%s/out 2>%s/err & p=$!
      %s
      wait $p; echo $?
    ]]):format(home, cli.command(all, environment), home, home, steps)
    helper.write(home .. "/steps", script)
    return { code = tonumber(cli.shell("sh " .. home .. "/steps")), out = cli.read(home .. "/out"),
      err = cli.read(home .. "/err") }
  end

  local function change(status)
    return ("curl -sS -X POST %s -d %s >/dev/null"):format(quote(sim.url .. "/_sim/car/"
      .. helper.vin), quote(json.encode({ status = status })))
  end

  it("prints one JSON object for each update, and exits with 130 on Ctrl-C", function()
    local result = watch({ "--json" }, "until_there mileage; " .. change({ mileage = 5555 })
      .. "; until_there 5555; kill -INT $p")
    assert.equal(130, result.code, result.err)
    local updates = {}
    for line in result.out:gmatch("[^\n]+") do updates[#updates + 1] = json.decode(line) end
    assert.equal(2, #updates)
    assert.equal(helper.vin, updates[1].vin)
    assert.equal(#helper.names(updates[1].status), #updates[1].changed)
    assert.same({ "mileage" }, updates[2].changed)
    assert.equal(5555, updates[2].status.mileage)
    assert.equal("interrupted", json.decode(result.err).error.code)
  end)

  it("exits with 143 on SIGTERM", function()
    local result = watch({ "--json" }, "until_there mileage; kill -TERM $p")
    assert.equal(143, result.code, result.err)
    assert.equal("terminated", json.decode(result.err).error.code)
  end)

  it("prints a line for each update unless on a terminal", function()
    local result = watch({}, "until_there Mileage; " .. change({ mileage = 5556 })
      .. "; until_there 5556; kill -INT $p")
    assert.equal(130, result.code, result.err)
    helper.has(result.out, ": Mileage: 5556 km\n")
    helper.has(result.err, "connected")
  end)

  it("continues while the service is unavailable, and says so", function()
    sim:fault({ path = "/status", times = 8, status = 503 })
    local result = watch({}, "until_there Mileage; kill -INT $p", { BMWI_RETRIES = "0" })
    helper.has(result.err, "waiting (")
    helper.has(result.out, "Mileage: 1234 km")
  end)

  it("exits if no later read will help", function()
    local result = cli.run({ "watch", "--every", "1" }, { BMWI_PASSWORD = "another" })
    assert.equal(4, result.code)
    sim:fault({ path = "/status", times = 0, recorded = "gone" })
    result = cli.run { "watch", "--every", "1" }
    assert.equal(1, result.code)
    helper.has(result.err, "bmwi demo")
  end)

  it("watches the car given by --vin, else all", function()
    local result = watch({ "--json", "--vin", helper.vin }, "until_there mileage; kill -INT $p")
    assert.equal(130, result.code)
    helper.has(cli.run { "watch", "--vin", "WBA00000000000000" }.err, "WBA00000000000000")
  end)

  it("records what it received", function()
    watch({ "--json", "--record", home .. "/day.jsonl" },
      ("for i in $(seq 999); do test $(grep -c '\"call\":\"status\"' %s/day.jsonl) -gt 1 && break; "
        .. "sleep 0.05; done; kill -INT $p"):format(home))
    local count = 0
    for line in io.lines(home .. "/day.jsonl") do
      if json.decode(line).call == "status" then count = count + 1 end
    end
    assert.is_true(count > 1)
  end)

  it("refuses --output", function()
    local result = cli.run { "watch", "--output", home .. "/x" }
    assert.equal(2, result.code)
    helper.has(result.err, "Redirect")
  end)

  it("redraws one screen on a terminal, with changes marked", function()
    local reason = helper.no_terminal()
    if reason then return pending(reason) end
    local shown = cli.on_terminal({ "watch", "--every", "1" }, { { "Mileage", "" },
      { "Ctrl-C ends", "\3" } })
    assert.equal(130, shown.code)
    assert.truthy(shown.screen:find("connected", 1, true))
    assert.truthy(shown.screen:find("%* Mileage +1234 km"), shown.screen)
    assert.truthy(shown.screen:find("\27[H", 1, true))
  end)

  it("fits a screen with fewer lines than the picture", function()
    local reason = helper.no_terminal()
    if reason then return pending(reason) end
    local shown = cli.on_terminal({ "watch", "--every", "1" }, { { "Locks", "\3" } }, {},
      "100 rows 8")
    local frames = 0
    for frame in shown.screen:gmatch("\27%[H(.-)\27%[J") do
      frames = frames + 1
      assert.is_true(select(2, frame:gsub("\n", "")) < 8, frame)
      helper.has(frame, "Ctrl-C ends.")
    end
    assert.is_true(frames > 0)
  end)
end)

describe("bmwi watch with several cars", function()
  it("shows something of each in a low window", function()
    local reason = helper.no_terminal()
    if reason then return pending(reason) end
    local sim = helper.start({ vehicles = helper.read("examples/cars.json") })
    finally(function() sim:stop() end)
    cli.begin(sim)
    local shown = cli.on_terminal({ "watch", "--every", "1" }, { { "i8", "" },
      { "Locks", "\3" } }, {}, "100 rows 12")
    cli.finish()
    local frame
    for each in shown.screen:gmatch("\27%[H(.-)\27%[J") do
      if each:find("Locks", 1, true) then frame = frame or each end
    end
    assert.is_true(select(2, frame:gsub("\n", "")) < 12, frame)
    for _, part in ipairs { "I3 +REX", "i8", "X1", "more: a taller window" } do
      helper.has(frame, part)
    end
  end)
end)
