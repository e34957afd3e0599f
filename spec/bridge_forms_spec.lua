--- How the bridge formats a car's state: topics, discovery, the file for Prometheus, JSON lines.
local bmwi = require "bmwi"
local helper = require "spec.helper"
local homeassistant = require "bmwi.bridge.homeassistant"
local hub = require "bmwi.bridge.hub"
local members = require "bmwi.bridge.members"
local programs = require "bmwi.cli.programs"
local prometheus = require "bmwi.bridge.prometheus"
local topics = require "bmwi.bridge.topics"
local json = helper.json

local VIN = "WBYCARDATA0000001"
local STATUS = {
  mileage = 48260, chargingLevelHv = 66.5, remainingRangeElectric = 275, chargingPower = 3640,
  chargingTimeRemaining = 45, remainingFuel = 20, fuelPercent = 50, batteryEnergyMax = 80.7,
  connectionStatus = "CONNECTED", chargingStatus = "CHARGING", doorLockState = "SECURED",
  doorDriverFront = "CLOSED", windowDriverRear = "INTERMEDIATE", sunroof = "INVALID",
  trunk = "OPEN", isMoving = false, position = { lat = 48.1769, lon = 11.5569, heading = 90 },
  cbsData = { { cbsType = "OIL", cbsState = "OK" } }, somethingNew = "x",
}
local TIMES = { mileage = 1000, chargingLevelHv = 1600 }

describe("the topics of the bridge", function()
  it("are the whole status, the times, and one topic for each member", function()
    local messages = topics.messages(VIN, STATUS, TIMES)
    local root = "bmwi/" .. VIN .. "/"
    assert.equal("48260", messages[root .. "mileage"])
    assert.equal("66.5", messages[root .. "chargingLevelHv"])
    assert.equal("false", messages[root .. "isMoving"])
    assert.equal("CLOSED", messages[root .. "doorDriverFront"])
    assert.equal("x", messages[root .. "somethingNew"])
    assert.same(STATUS.position, json.decode(messages[root .. "position"]))
    assert.same(STATUS, json.decode(messages[root .. "status"]))
    assert.same(TIMES, json.decode(messages[root .. "times"]))
  end)

  it("of a removed member get an empty payload, which deletes the retained one", function()
    local messages = topics.messages(VIN, { mileage = 1 }, {}, { mileage = 1, chargingPower = 5 })
    assert.equal("", messages["bmwi/" .. VIN .. "/chargingPower"])
    assert.equal("1", messages["bmwi/" .. VIN .. "/mileage"])
  end)

  it("use no name that is invalid in a topic, nor one of the bridge's own", function()
    local messages = topics.messages(VIN, { ["a/b"] = 1, ["#"] = 1, ["+"] = 1, command = 1 }, {})
    assert.same({ "bmwi/" .. VIN .. "/status", "bmwi/" .. VIN .. "/times" },
      helper.names(messages))
  end)

  it("write numbers with a decimal point in every locale", function()
    if not helper.decimal_comma() then return pending("no locale with a decimal comma") end
    local payload = topics.payload(66.5)
    local text = prometheus.text({ { vin = VIN, status = STATUS, times = TIMES } },
      { connected = true }, 2000)
    os.setlocale("C", "numeric")
    assert.equal("66.5", payload)
    assert.is_nil(text:find("%d,%d"))
  end)

  it("identify the car of a command", function()
    assert.equal(VIN, topics.car_of("bmwi/" .. VIN .. "/command"))
    assert.is_nil(topics.car_of("bmwi/" .. VIN .. "/command/result"))
    assert.is_nil(topics.car_of("other/" .. VIN .. "/command"))
  end)
end)

describe("an update as a line of JSON", function()
  it("is the car, its status and what has changed, in one line", function()
    local line = topics.line({ vin = VIN, status = { a = 1, b = "x\ny" },
      changed = { b = true, a = true } })
    assert.equal('{"changed":["a","b"],"status":{"a":1,"b":"x\\ny"},"vin":"' .. VIN .. '"}', line)
  end)

  it("has an empty array if nothing has changed", function()
    assert.truthy(topics.line({ vin = VIN, status = {}, changed = {} }):find('"changed":[]', 1,
      true))
  end)
end)

describe("Home Assistant's discovery", function()
  local function discovery(vehicle, status, options)
    vehicle.vin = vehicle.vin or VIN
    return json.decode(homeassistant.discovery(vehicle, status or STATUS, options or {}))
  end

  it("has the topic, device, origin and availability that device discovery requires", function()
    assert.equal("homeassistant/device/bmwi_" .. VIN .. "/config", homeassistant.topic(VIN))
    local told = discovery({ model = "i4 eDrive40" })
    assert.same({ "bmwi_" .. VIN }, told.dev.ids)
    assert.equal("BMW i4 eDrive40", told.dev.name)
    assert.same({ name = "bmwi", sw = bmwi._VERSION }, told.o)
    assert.same({ { topic = "bmwi/availability" } }, told.availability)
  end)

  it("names the car like BMW, whatever service it comes from", function()
    for _, case in ipairs {
      { { brand = "BMW_I", model = "I3 +REX" }, "BMW i3 +REX" },
      { { brand = "BMW_I", model = "I8" }, "BMW i8" },
      { { brand = "BMWi", model = "i4 eDrive40" }, "BMW i4 eDrive40" },
      { { brand = "MINI", model = "Cooper SE" }, "MINI Cooper SE" },
      { { brand = "Rolls-Royce", model = "Spectre" }, "Rolls-Royce Spectre" },
      { {}, "BMW " .. VIN },
    } do
      assert.equal(case[2], discovery(case[1]).dev.name)
    end
  end)

  it("is published anew when the car's model becomes known", function()
    local published = {}
    local to = { set = function(_, topic, payload) published[topic] = payload end }
    local car = { vin = VIN }
    local bridge = hub.new { publisher = to, discovery = true }
    bridge:car(car.vin, car)
    local function name()
      local told = published[homeassistant.topic(VIN)]
      return told and json.decode(told).dev.name
    end
    bridge:named(VIN)
    assert.is_nil(name()) -- nothing is known of it
    bridge:update({ vin = VIN, status = { mileage = 1 }, times = {}, changed = {} })
    assert.equal("BMW " .. VIN, name())
    car.brand, car.model = "MINI", "Cooper SE"
    bridge:named(VIN)
    assert.equal("MINI Cooper SE", name())
  end)

  -- The classes and units that Home Assistant knows, by its sensor and binary_sensor platforms.
  local UNITS = { distance = "km", battery = "%", energy_storage = "kWh", power = "W",
    duration = "min", volume_storage = "L" }
  local BINARY = { plug = true, battery_charging = true, lock = true, door = true, window = true,
    opening = true, moving = true, problem = true }

  it("has a platform, a name and a unique id for each entity, and classes that exist", function()
    local all, ids = {}, {}
    for _, row in ipairs(members.ROWS) do all[row.member] = row.off and "CLOSED" or "x" end
    all.position = { lat = 1, lon = 2 }
    local platforms = {}
    for _, entity in pairs(discovery({}, all, { commands = true }).cmps) do
      assert.truthy(entity.name)
      assert.is_nil(ids[entity.unique_id], entity.unique_id)
      ids[entity.unique_id], platforms[entity.p] = true, true
      if entity.p == "sensor" and entity.device_class and entity.device_class ~= "timestamp" then
        assert.equal(UNITS[entity.device_class], entity.unit_of_measurement)
      elseif entity.p == "binary_sensor" and entity.device_class then
        assert.truthy(BINARY[entity.device_class], entity.device_class)
      end
    end
    assert.same({ "binary_sensor", "button", "device_tracker", "sensor" },
      helper.names(platforms))
  end)

  local function entity(name, status) return discovery({}, status).cmps[name] end

  it("has the right device classes for mileage, battery, plug, doors, windows, lock", function()
    local mileage = entity("mileage_sensor")
    assert.equal("distance", mileage.device_class)
    assert.equal("km", mileage.unit_of_measurement)
    assert.equal("total_increasing", mileage.state_class)
    assert.equal("bmwi/" .. VIN .. "/status", mileage.state_topic)
    assert.equal("measurement", entity("chargingLevelHv_sensor").state_class)
    assert.equal("plug", entity("connectionStatus_binary_sensor").device_class)
    assert.equal("door", entity("doorDriverFront_binary_sensor").device_class)
    assert.equal("window", entity("windowDriverRear_binary_sensor").device_class)
    assert.equal("lock", entity("doorLockState_binary_sensor").device_class)
  end)

  -- The result of each template in Jinja, which Home Assistant uses.
  local function rendered(config, status)
    local path = os.tmpname()
    helper.write(path, json.encode({ cmps = config.cmps, status = status }))
    local said = helper.shell("python3 spec/jinja.py <" .. path .. " 2>&1")
    os.remove(path)
    return json.decode(said)
  end

  it("has templates with which Jinja finds the states", function()
    if helper.shell("python3 -c 'import jinja2' 2>&1; echo $?") ~= "0" then
      return pending("python3-jinja2 is not installed")
    end
    local all = { checkControlMessages = {}, lastChargingEndResult = "SUCCESS" }
    for name, value in pairs(STATUS) do all[name] = value end
    local config = discovery({}, all)
    local states = rendered(config, all)
    assert.equal("48260", states.mileage_sensor)
    assert.equal("66.5", states.chargingLevelHv_sensor)
    assert.equal("CHARGING", states.chargingStatus_sensor)
    assert.equal("OFF", states.doorLockState_binary_sensor) -- locked
    assert.equal("OFF", states.doorDriverFront_binary_sensor)
    assert.equal("ON", states.windowDriverRear_binary_sensor)
    assert.equal("ON", states.trunk_binary_sensor)
    assert.equal("ON", states.connectionStatus_binary_sensor)
    assert.equal("OFF", states.isMoving_binary_sensor)
    assert.equal("OFF", states.cbsData_binary_sensor)
    assert.equal("OFF", states.checkControlMessages_binary_sensor)
    states = rendered(config, { doorLockState = "SELECTIVE_LOCKED", mileage = "UNKNOWN",
      chargingStatus = "INVALID", cbsData = { { cbsState = "OVERDUE" } }, trunk = "INVALID" })
    assert.equal("ON", states.doorLockState_binary_sensor)
    assert.equal("ON", states.cbsData_binary_sensor)
    for _, name in ipairs { "mileage_sensor", "chargingLevelHv_sensor", "chargingStatus_sensor",
      "chargingStatus_binary_sensor", "trunk_binary_sensor", "isMoving_binary_sensor" } do
      assert.equal("None", states[name], name)
    end
  end)

  it("reports the position as attributes, as Home Assistant requires", function()
    local tracker = entity("position_device_tracker")
    assert.equal("bmwi/" .. VIN .. "/position", tracker.json_attributes_topic)
    assert.is_nil(tracker.state_topic)
    assert.truthy(tracker.json_attributes_template:find("'latitude': value_json.lat", 1, true))
    assert.is_nil(entity("position_device_tracker", { position = { status = "UNKNOWN" } }))
  end)

  it("has no entity for what the car has never reported, or lacks", function()
    assert.is_nil(entity("sunroof_binary_sensor"))
    assert.is_nil(entity("chargingTarget_sensor"))
    assert.is_nil(entity("somethingNew_sensor"))
  end)

  it("has buttons only if commands are allowed and the car offers them, never to unlock",
    function()
      assert.is_nil(entity("command_lock"))
      local told = discovery({ hornBlow = "NOT_SUPPORTED" }, STATUS, { commands = true }).cmps
      assert.equal("lock", told.command_lock.payload_press)
      assert.equal("bmwi/" .. VIN .. "/command", told.command_lock.command_topic)
      assert.is_nil(told.command_horn)
      assert.is_nil(told.command_unlock)
    end)
end)

describe("the file for Prometheus", function()
  local CARS = { { vin = VIN, model = 'i4 "eDrive40" \\', status = STATUS, times = TIMES },
    { vin = "WBACARDATA0000002", status = { mileage = 1 }, times = {} } }

  local function text()
    return prometheus.text(CARS, { connected = true, quota_left = 41 }, 2000)
  end
  local function has(line) helper.has("\n" .. text(), "\n" .. line .. "\n") end

  it("has base units", function()
    has('bmwi_mileage_meters{vin="WBYCARDATA0000001"} 48260000')
    has('bmwi_mileage_meters{vin="WBACARDATA0000002"} 1000')
    has('bmwi_battery_charge_ratio{vin="WBYCARDATA0000001"} 0.665')
    has('bmwi_battery_capacity_joules{vin="WBYCARDATA0000001"} 290520000')
    has('bmwi_charging_remaining_seconds{vin="WBYCARDATA0000001"} 2700')
    has('bmwi_plugged_in{vin="WBYCARDATA0000001"} 1')
    has('bmwi_unlocked{vin="WBYCARDATA0000001"} 0')
    has('bmwi_open{vin="WBYCARDATA0000001",part="doorDriverFront"} 0')
    has('bmwi_open{vin="WBYCARDATA0000001",part="trunk"} 1')
    has('bmwi_moving{vin="WBYCARDATA0000001"} 0')
    has("bmwi_quota_calls_left 41")
    has("bmwi_connected 1")
  end)

  it("reports the age of each value", function()
    has('bmwi_value_age_seconds{vin="WBYCARDATA0000001",member="mileage"} 1000')
    has('bmwi_value_age_seconds{vin="WBYCARDATA0000001",member="chargingLevelHv"} 400')
  end)

  it("escapes labels, and omits missing values and positions", function()
    has('bmwi_info{vin="WBYCARDATA0000001",model="i4 \\"eDrive40\\" \\\\"} 1')
    assert.is_nil(text():find("sunroof", 1, true))
    assert.is_nil(text():find("48.17", 1, true))
  end)

  it("omits numbers without a finite value, and repairs text that is not UTF-8", function()
    local said = prometheus.text({ { vin = VIN, model = "i4 \255x\r\n",
      status = { mileage = 1e308, chargingLevelHv = 50 }, times = { ["te\254"] = 1 } } },
      { connected = true }, 2)
    assert.is_nil(said:find("bmwi_mileage_meters", 1, true))
    helper.has(said, 'bmwi_battery_charge_ratio{vin="WBYCARDATA0000001"} 0.5\n')
    helper.has(said, 'model="i4 \239\191\189x')
    helper.has(said, 'member="te\239\191\189"} 1\n')
  end)

  it("has one HELP and TYPE for each family, its samples below them, and a final newline",
    function()
      local seen, current = {}, nil
      assert.equal("\n", text():sub(-1))
      for line in text():gmatch("([^\n]*)\n") do
        local kind, name = line:match("^# (%u+) ([%w_]+) ")
        if kind == "HELP" then
          assert.is_nil(seen[name], name)
          seen[name], current = true, name
        elseif kind then
          assert.equal(current, name)
        else
          assert.equal(current, line:match("^([%w_]+)[{ ]"))
          assert.truthy(line:match("^[%w_]+%b{} [%d.]+$") or line:match("^[%w_]+ [%d.]+$"), line)
        end
      end
    end)

  it("is accepted by promtool", function()
    if not programs.in_path("promtool") then return pending("promtool is not installed") end
    local path = os.tmpname()
    helper.write(path, text())
    local said = helper.shell(("promtool check metrics <%s 2>&1; echo $?"):format(path))
    os.remove(path)
    assert.equal("0", said)
  end)
end)
