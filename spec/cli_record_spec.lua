--- bmwi --record: what each read records of the service's responses.
local helper = require "spec.helper"
local cli = require "spec.cli_helper"
local json = helper.json

describe("--record", function()
  local sim, path

  setup(function() sim = helper.start() end)
  teardown(function() sim:stop() end)
  before_each(function()
    cli.begin(sim)
    path = cli.home .. "/day.jsonl"
  end)
  after_each(cli.finish)

  local function lines()
    local list = {}
    for line in io.lines(path) do list[#list + 1] = json.decode(line) end
    return list
  end

  it("writes the responses of a read to a private file, without VIN and log-in", function()
    local result = cli.ok { "status", "--record", path }
    helper.has(result.err, "Recorded to " .. path)
    local all = lines()
    assert.equal("classic", all[1].service)
    assert.equal(200, all[#all].status)
    assert.equal("status", all[#all].call)
    assert.equal(json.decode(cli.ok("status --json").out).mileage,
      all[#all].body.vehicleStatus.mileage)
    assert.equal("600", cli.shell("stat -c %a '" .. path .. "'"))
    local text = cli.read(path)
    assert.is_nil(text:find(helper.vin, 1, true))
    assert.is_nil(text:find("oauth", 1, true))
    cli.assert_no_secret(text)
  end)

  it("is supported by every read, and shows the same result", function()
    for _, words in ipairs { { "vehicles" }, { "trips" }, { "charging-profile" },
      { "destinations" }, { "range-map" }, { "soc" }, { "get", "/webapi/v1/user/vehicles" } } do
      local plain = cli.ok(words).out
      words[#words + 1], words[#words + 2] = "--record", path
      assert.equal(plain, cli.ok(words).out)
      assert.is_true(#lines() > 1, words[1])
      assert.is_nil(cli.read(path):find("%f[%w]WAB1C%w+"), words[1])
    end
  end)

  it("records failures, too", function()
    sim:fault({ path = "/status", times = 0, recorded = "gone" })
    cli.run { "status", "--record", path }
    assert.equal(410, lines()[#lines()].status)
  end)

  it("makes no folder, as --output makes none", function()
    sim:clear()
    local result = cli.run { "status", "--record", cli.home .. "/none/day.jsonl" }
    assert.equal(1, result.code)
    helper.has(result.err, "cannot record: " .. cli.home .. "/none/")
    os.execute("ln -s none/day.jsonl " .. path)
    result = cli.run { "status", "--record", path }
    assert.equal(1, result.code)
    helper.has(result.err, "cannot record: " .. path)
    assert.equal("", cli.shell("ls " .. cli.home .. " | grep none"))
    assert.equal(0, sim:count("GET"))
  end)

  it("may be a link to a file that does not exist yet", function()
    os.execute("ln -s other.jsonl " .. path)
    cli.ok { "status", "--record", path }
    assert.equal("classic", json.decode(io.lines(cli.home .. "/other.jsonl")()).service)
  end)

  it("replaces nothing with --record-personal", function()
    cli.ok { "status", "--record", path, "--record-personal" }
    helper.has(cli.read(path), helper.vin)
  end)

  it("is refused for commands without a response to record", function()
    for _, arguments in ipairs { "lock --record x", "status --record-personal" } do
      assert.equal(2, cli.run(arguments).code)
    end
    local result = cli.run { "status", "--record", "/dev/null/x" }
    assert.equal(1, result.code)
    helper.has(result.err, "cannot record")
  end)
end)
