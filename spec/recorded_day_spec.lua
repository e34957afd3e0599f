--- Recorded days (spec/recordings, of a made-up car) played by the simulator: what the bridge
--- publishes on the way and at the end.
local helper = require "spec.helper"
local bridge = require "spec.bridge_helper"
local broker = require "spec.broker_helper"
local cli = require "spec.cli_helper"
local json = helper.json

local VIN = "WBARECRD000000001"

describe("a recorded day", function()
  local sim, process

  after_each(function()
    if process then process:stop("KILL") end
    if sim then
      cli.finish()
      sim:stop()
    end
    process, sim = nil, nil
  end)

  local function play(recording, speed, options)
    options = options or {}
    options.args = { "--replay", "spec/recordings/" .. recording, "--speed", tostring(speed) }
    sim = helper.start(options)
    cli.sim, cli.home = sim, cli.shell("mktemp -d")
  end

  local function updates()
    local list = {}
    for line in process:printed():gmatch("([^\n]+)\n") do list[#list + 1] = json.decode(line) end
    return list
  end

  local function await(fits)
    return bridge.await(function()
      for i, update in ipairs(updates()) do
        if fits(update.status) then return i end
      end
    end, function() return process:printed():sub(-3000) .. process:said() end)
  end

  it("of the stream: a drive, empty words, old values sent again, a charge, and the night",
    function()
      play("cardata-day.jsonl", 10000, { stream = true })
      local token = broker.log_in(sim)
      token.expires_at = os.time() + token.expires_in
      os.execute("umask 77; mkdir -p " .. cli.state())
      cli.write(cli.state() .. "token.json", json.encode(token))
      local file = cli.home .. "/bmwi.prom"
      process = bridge.process(cli.command({ "bridge", "--json", "--prometheus", file }, {
        BMWI_SERVICE = "cardata", BMWI_CLIENT_ID = broker.CLIENT, BMWI_VIN = VIN,
        BMWI_LOGIN_URL = sim.url .. "/gcdm/oauth", BMWI_STREAM_URL = sim.stream_url }))
      local charging = await(function(status)
        return status.chargingStatus == "CHARGING" and status.connectionStatus == "CONNECTED"
      end)
      local charged = await(function(status)
        return status.chargingLevelHv == 80 and status.chargingStatus == "NOT_CHARGING"
      end)
      assert.is_true(charging < charged)
      os.execute("sleep 2.5") -- the night comes: 18000 s of it
      local all, mileage = updates(), 0
      for _, update in ipairs(all) do
        assert.equal(VIN, update.vin)
        assert.is_true(update.status.mileage >= mileage)
        mileage = update.status.mileage
        assert.not_equal("INVALID", update.status.connectionStatus)
      end
      local last = all[#all].status
      assert.equal(48320, last.mileage)
      assert.equal(80, last.chargingLevelHv)
      assert.equal("CONNECTED", last.connectionStatus)
      assert.equal("NOT_CHARGING", last.chargingStatus)
      assert.equal(0, last.chargingPower)
      assert.equal("SECURED", last.doorLockState)
      assert.equal("CLOSED", last.trunk)
      assert.equal("CLOSED", last.doorDriverFront)
      assert.is_false(last.isMoving)
      assert.equal(48.012, last.position.lat)
      assert.equal(11.012, last.position.lon)
      assert.equal(0, (process:stop()))
      helper.has(helper.read(file), 'bmwi_mileage_meters{vin="' .. VIN .. '"} 48320000\n')
    end)

  it("of the classic service: what each read found, and a gateway failure", function()
    play("classic-day.jsonl", 5000)
    process = bridge.process(cli.command({ "watch", "--json", "--every", "1" },
      { BMWI_VIN = VIN, BMWI_RETRIES = "0" }))
    local driven = await(function(status) return status.mileage == 1240 end)
    local charging = await(function(status) return status.chargingTimeRemaining == 120 end)
    local full = await(function(status)
      return status.chargingLevelHv == 100 and status.chargingTimeRemaining == nil
    end)
    assert.is_true(driven < charging and charging < full)
    assert.equal(1262, updates()[full].status.mileage)
    assert.equal(full, #updates())
  end)

  it("contains no personal data", function()
    for _, name in ipairs { "cardata-day.jsonl", "classic-day.jsonl" } do
      local text = helper.read("spec/recordings/" .. name)
      assert.truthy(text:find('"replaced":true', 1, true))
      assert.is_nil(text:find(helper.vin, 1, true))
    end
  end)
end)
