--- bmwi watch and bmwi bridge with CarData: the simulator's stream, passed on.
local helper = require "spec.helper"
local bridge = require "spec.bridge_helper"
local broker = require "spec.broker_helper"
local cli = require "spec.cli_helper"
local mqtt = require "spec.mqtt_helper"
local json = helper.json

local VIN, HYBRID = broker.VIN, "WBACARDATA0000002"
local LEVEL = "vehicle.drivetrain.batteryManagement.header"
local MILEAGE = "vehicle.vehicle.travelledDistance"

describe("with CarData", function()
  local sim, started

  setup(function() sim = helper.start({ stream = true }) end)
  teardown(function() sim:stop() end)
  before_each(function()
    cli.begin(sim)
    started = {}
    local token = broker.log_in(sim)
    token.expires_at = os.time() + token.expires_in
    token.refresh_expires_at = os.time() + 14 * 86400
    os.execute("umask 77; mkdir -p " .. cli.state())
    cli.write(cli.state() .. "token.json", json.encode(token))
    sim:clear()
  end)
  after_each(function()
    for _, process in ipairs(started) do process:stop("KILL") end
    cli.finish()
  end)

  local function settings(more)
    local all = { BMWI_SERVICE = "cardata", BMWI_CLIENT_ID = broker.CLIENT,
      BMWI_LOGIN_URL = sim.url .. "/gcdm/oauth", BMWI_STREAM_URL = sim.stream_url, BMWI_VIN = VIN }
    for name, value in pairs(more or {}) do all[name] = value end
    return all
  end

  local function start(words, more)
    local process = bridge.process(cli.command(words, settings(more)))
    started[#started + 1] = process
    return process
  end

  local function connected()
    broker.wait(sim, function(report)
      for _, connection in ipairs(report.connections) do
        if #connection.subscriptions > 0 then return true end
      end
    end)
  end

  local function publish(data, vin)
    broker.set(sim, { publish = { vin = vin or VIN, data = data } })
  end

  local function lines(process)
    local list = {}
    for line in process:printed():gmatch("([^\n]+)\n") do list[#list + 1] = json.decode(line) end
    return list
  end

  local function await_line(process, fits)
    return bridge.await(function()
      for _, line in ipairs(lines(process)) do
        if fits(line) then return line end
      end
    end, function() return process:printed() .. process:said() end)
  end

  describe("bmwi watch", function()
    it("shows what is known, then what the stream brings, without any more calls", function()
      local process = start { "watch", "--json" }
      local first = await_line(process, function(line) return line.status.mileage == 48260 end)
      assert.equal(VIN, first.vin)
      connected()
      local calls = sim:count(nil, "/customers/")
      publish({ [LEVEL] = { value = 55, unit = "%" } })
      local line = await_line(process, function(one) return one.status.chargingLevelHv == 55 end)
      assert.same({ "chargingLevelHv", "updateTime" }, line.changed)
      assert.equal(48260, line.status.mileage)
      assert.equal(calls, sim:count(nil, "/customers/"))
      assert.equal(130, (process:stop("INT")))
    end)

    it("costs no call at the next start", function()
      local process = start { "watch", "--json" }
      await_line(process, function(line) return line.status.mileage == 48260 end)
      process:stop("INT")
      sim:clear()
      process = start { "watch", "--json" }
      await_line(process, function(line) return line.status.mileage == 48260 end)
      connected()
      assert.equal(0, sim:count(nil, "/customers/"))
    end)

    it("continues with the stream when the day's calls are used up, and keeps what came", function()
      local function battery(process)
        bridge.await(function() return process:printed():find("Battery: 47 %", 1, true) end,
          function() return process:said() end)
      end
      local process = start({ "watch" }, { BMWI_DAILY_LIMIT = "1" })
      connected()
      publish({ [LEVEL] = { value = 47, unit = "%" } })
      battery(process)
      helper.has(process:said(), "calls of the day are used up")
      process:stop("INT") -- before it would be saved by itself
      battery(start({ "watch" }, { BMWI_DAILY_LIMIT = "1" }))
    end)

    it("reconnects after a kick, and continues", function()
      local process = start { "watch", "--json" }
      connected()
      broker.set(sim, { ["end"] = "cut" })
      broker.wait(sim, function(report) return #report.connections == 0 end)
      connected()
      publish({ [LEVEL] = { value = 44, unit = "%" } })
      await_line(process, function(one) return one.status.chargingLevelHv == 44 end)
    end)

    it("shows ages, the connection and the quota on a terminal", function()
      local reason = helper.no_terminal()
      if reason then return pending(reason) end
      local shown = cli.on_terminal({ "watch" }, { { "connected", "" }, { "48260 km", "\3" } },
        settings())
      assert.truthy(shown.screen:find("Mileage +48260 km +%d+ minutes? ago"), shown.screen)
      helper.has(shown.screen, "connected")
      assert.truthy(shown.screen:find("%d+ of 50 calls of the day are left"), shown.screen)
    end)

    -- The frames of a terminal of this size, each a list of lines, without its colours.
    local function frames(columns, rows, seen)
      local shown = cli.on_terminal({ "watch" }, { { seen or "* Locks", "\3" } }, settings(),
        ("%d rows %d"):format(columns, rows))
      local list = {}
      for frame in shown.screen:gmatch("\27%[H(.-)\27%[J") do
        local text = frame:gsub("\r", ""):gsub("\27%[[%d;]*%a", "")
        local frame_lines = {}
        for line in text:gmatch("([^\n]*)\n") do frame_lines[#frame_lines + 1] = line end
        list[#list + 1] = frame_lines
        assert.is_true(#list[#list] < rows, text)
        for _, line in ipairs(list[#list]) do assert.is_true(#line <= columns, text) end
      end
      return list[#list], table.concat(list[#list], "\n")
    end

    it("has one line for each value on a terminal, and says how many do not fit", function()
      local reason = helper.no_terminal()
      if reason then return pending(reason) end
      local function members(frame)
        local count, more = 0, nil
        for _, line in ipairs(frame) do
          if line:find("^[* ] %u%l") then count = count + 1 end
          more = more or line:match("^%.%.%. (%d+) more")
        end
        return count, tonumber(more)
      end
      local whole, text = frames(200, 70)
      local all = members(whole)
      assert.truthy(text:find("Mileage +48260 km +%d+ minutes? ago"), text)
      -- (Four connections a minute are allowed.)
      for _, size in ipairs { { 80, 24, 0 }, { 30, 12, 1 } } do
        local frame
        frame, text = frames(size[1], size[2])
        local count, more = members(frame)
        assert.is_true(count > 0 and (more or 0) >= size[3], text)
        assert.equal(all, count + (more or 0), text)
        helper.has(text, "Ctrl-C ends.")
      end
      assert.truthy(select(2, frames(60, 70)):find("Mileage +48260 km +%d+ min"))
    end)

    it("fits a terminal of any size", function()
      local reason = helper.no_terminal()
      if reason then return pending(reason) end
      for _, size in ipairs { { 30, 10 }, { 10, 30 }, { 10, 10, "connected" },
        { 80, 4, "connected" } } do
        frames(size[1], size[2], size[3])
      end
    end)

    it("says that the bridge already uses the stream", function()
      start { "bridge", "--json" }
      connected()
      local process = start { "watch" }
      assert.equal(8, process:ended())
      helper.has(process:said(), "stream")
    end)

    it("exits with 4 if the log-in is gone", function()
      cli.write(cli.state() .. "token.json", "{}")
      local process = start { "watch" }
      assert.equal(4, process:ended())
      helper.has(process:said(), "bmwi login")
    end)

    it("reports messages with --verbose, but not their content", function()
      local process = start { "watch", "--verbose" }
      connected()
      publish({ [LEVEL] = { value = 61, unit = "%" } })
      bridge.await(function() return process:said():find("stream_message bytes=", 1, true) end)
      assert.is_nil(process:said():find(LEVEL, 1, true))
      assert.is_nil(process:said():find(broker.GCID, 1, true))
    end)

    it("records the messages unchanged except for VIN and account", function()
      local path = cli.home .. "/day.jsonl"
      local process = start { "watch", "--json", "--record", path }
      connected()
      publish({ [LEVEL] = { value = 61, unit = "%" } })
      await_line(process, function(one) return one.status.chargingLevelHv == 61 end)
      process:stop("INT")
      local message
      for line in io.lines(path) do
        local one = json.decode(line)
        if one.kind == "message" then message = one end
      end
      assert.equal("WBARECRD000000001", message.payload.vin)
      assert.equal(61, message.payload.data[LEVEL].value)
      local text = helper.read(path)
      for _, part in ipairs { VIN, broker.GCID, "access_token", "eyJ" } do
        assert.is_nil(text:find(part, 1, true), part)
      end
    end)
  end)

  describe("bmwi bridge", function()
    local missing = bridge.no_witness()
    if missing then return pending(missing) end
    local home

    before_each(function() home = mqtt.mosquitto() end)
    after_each(function() home:stop() end)

    local function witness()
      local one = bridge.witness(home)
      started[#started + 1] = one.process
      return one
    end
    local function start_bridge(words, more)
      local all = { "bridge", "--mqtt", ("mqtt://127.0.0.1:%d"):format(home.port) }
      for _, word in ipairs(words or {}) do all[#all + 1] = word end
      return start(all, more)
    end

    it("passes on what the stream brings, for all the account's cars", function()
      local one = witness()
      start_bridge({ "--discovery", "homeassistant" }, { BMWI_VIN = false })
      one:await(("bmwi/%s/mileage"):format(VIN), "48260")
      one:await(("bmwi/%s/status"):format(HYBRID))
      connected()
      publish({ [LEVEL] = { value = 55, unit = "%" } })
      publish({ [MILEAGE] = { value = 70001, unit = "km" } }, HYBRID)
      one:await(("bmwi/%s/chargingLevelHv"):format(VIN), "55")
      one:await(("bmwi/%s/mileage"):format(HYBRID), "70001")
      local times = json.decode(one:await(("bmwi/%s/times"):format(VIN)))
      assert.is_true(math.abs(times.chargingLevelHv - os.time()) < 60)
      local config = json.decode(one:await(("homeassistant/device/bmwi_%s/config"):format(VIN)))
      assert.truthy(config.cmps.chargingLevelHv_sensor)
      assert.equal("BMW i4 eDrive40", config.dev.name) -- which was not known before the first start
    end)

    it("repeats a first read that failed", function()
      local one = witness()
      finally(function() sim:no_faults() end)
      sim:fault({ path = "/customers", status = 503, times = 0 })
      local process = start_bridge({ "--json" }, { BMWI_RETRIES = "0" })
      bridge.await(function() return process:said():find("HTTP 503", 1, true) end,
        function() return "a message" end)
      connected()
      sim:no_faults()
      one:await(("bmwi/%s/mileage"):format(VIN), "48260")
      assert.equal(1, #lines(process))
    end)

    it("waits at its start for a server that cannot be reached", function()
      local one = witness()
      finally(function() sim:no_faults() end)
      sim:fault({ path = "/customers", status = 503, times = 0 })
      local process = start_bridge({}, { BMWI_RETRIES = "0", BMWI_VIN = false })
      bridge.await(function() return process:said():find("HTTP 503", 1, true) end)
      bridge.await(function()
        return (one:seen()["bmwi/connection"] or ""):find("^waiting %(.*HTTP 503")
      end)
      sim:no_faults()
      one:await(("bmwi/%s/mileage"):format(VIN), "48260")
      one:await("bmwi/connection", "connected")
    end)

    it("waits at its start if the day's calls are used up and no car is known", function()
      local one = witness()
      local more = { BMWI_VIN = false, BMWI_DAILY_LIMIT = "1" }
      assert.equal(0, cli.run({ "containers" }, settings(more)).code)
      local calls, file = sim:count(nil, "/customers/"), cli.home .. "/x.prom"
      start_bridge({ "--prometheus", file }, more)
      bridge.await(function()
        return (one:seen()["bmwi/connection"] or ""):find("^waiting %(.*used up")
      end, function() return one.process:printed() end)
      one:await("bmwi/availability", "online")
      helper.has(helper.read(file), "bmwi_connected 0\n")
      helper.has(helper.read(file), "bmwi_quota_calls_left 0\n")
      assert.equal(calls, sim:count(nil, "/customers/"))
    end)

    it("reads the model once, where saved values are new but the model is not known", function()
      local process = start { "watch", "--json" }
      await_line(process, function(line) return line.status.mileage == 48260 end)
      process:stop("INT")
      local path = cli.state() .. "token.json"
      local account = json.decode(helper.read(path))
      account.basic = nil
      cli.write(path, json.encode(account))
      sim:clear()
      sim:control("POST", "/cardata/car/" .. VIN, { basicData = { brand = "MINI" } })
      local one = witness()
      start_bridge { "--discovery", "homeassistant" }
      local topic = ("homeassistant/device/bmwi_%s/config"):format(VIN)
      assert.equal("MINI i4 eDrive40", json.decode(one:await(topic)).dev.name)
      assert.equal(1, sim:count(nil, "/customers/"))
    end)

    it("passes on data of a car that is new in the account", function()
      local one = witness()
      start_bridge({}, { BMWI_VIN = false })
      one:await(("bmwi/%s/mileage"):format(VIN), "48260")
      connected()
      publish({ [MILEAGE] = { value = 7, unit = "km" } }, "WBANEWCAR00000001")
      one:await("bmwi/WBANEWCAR00000001/mileage", "7")
    end)

    it("publishes whether the cars can be heard from", function()
      local one = witness()
      local process = start_bridge()
      one:await("bmwi/connection", "connected")
      broker.set(sim, { ["end"] = "cut" })
      bridge.await(function()
        local _, all = one:seen()
        for _, message in ipairs(all) do
          if message.topic == "bmwi/connection" and message.payload:find("^waiting") then
            return true
          end
        end
      end)
      bridge.await(function() return one:seen()["bmwi/connection"] == "connected" end)
      assert.equal(0, (process:stop()))
      one:await("bmwi/availability", "offline")
    end)

    it("goes offline, with exit code 4, once the log-in is gone", function()
      local one = witness()
      cli.write(cli.state() .. "token.json", "{}")
      local process = start_bridge()
      assert.equal(4, process:ended())
      assert.is_true(one:seen()["bmwi/availability"] ~= "online")
    end)

    it("reports the quota to Prometheus", function()
      local path = cli.home .. "/x.prom"
      start_bridge { "--prometheus", path }
      bridge.await(function()
        return (helper.read(path) or ""):find("\nbmwi_quota_calls_left %d+\n")
      end)
    end)
  end)
end)
