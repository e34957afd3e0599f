--- The car: every method, every service type, and the checks of what is sent to it.
local helper = require("spec.helper")
local bmwi = require("bmwi")

local VIN = helper.vin
local POI = '{"poi":{'

-- All of those in the API description.
local SERVICES = { "CHARGE_NOW", "CHARGING_CONTROL", "CLIMATE_CONTROL", "CLIMATE_NOW", "DOOR_LOCK",
  "DOOR_UNLOCK", "GET_ALL_IMAGES", "GET_PASSWORD_RESET_INFO", "GET_VEHICLES", "GET_VEHICLE_IMAGE",
  "GET_VEHICLE_STATUS", "HORN_BLOW", "LIGHT_FLASH", "LOCAL_SEARCH", "LOCAL_SEARCH_SUGGESTIONS",
  "LOGIN", "LOGOUT", "SEND_POI_TO_CAR", "VEHICLE_FINDER" }

local COMMANDS = { charge_now = "CHARGE_NOW", climate_now = "CLIMATE_NOW",
  lock_doors = "DOOR_LOCK", unlock_doors = "DOOR_UNLOCK", flash_lights = "LIGHT_FLASH",
  blow_horn = "HORN_BLOW", find = "VEHICLE_FINDER" }

local function a_weekly_timer()
  return { departureTime = "07:30", timerEnabled = true, weekdays = { "MONDAY", "SUNDAY" } }
end

local function weekly()
  return { weeklyPlanner = { climatizationEnabled = true, chargingMode = "DELAYED_CHARGING",
    chargingPreferences = "CHARGING_WINDOW", timer1 = a_weekly_timer(), timer2 = a_weekly_timer(),
    timer3 = a_weekly_timer(), overrideTimer = { weekdays = {} },
    preferredChargingWindow = { enabled = true, startTime = "05:02", endTime = "17:31" } } }
end

local function two_times()
  return { twoTimesTimer = { climatizationEnabled = true, chargingMode = "DELAYED_CHARGING",
    chargingPreferences = "CHARGING_WINDOW",
    timer1 = { departureTime = "12:30", timerEnabled = true },
    timer2 = { departureTime = "13:30", timerEnabled = false },
    preferredChargingWindow = { startTime = "00:00", endTime = "00:00" } } }
end

describe("a car", function()
  local sim, client, car

  setup(function()
    sim = helper.start({ args = { "--speed", "200" } })
  end)

  teardown(function()
    sim:stop()
  end)

  local function again()
    if client then client:close() end
    sim:reset()
    client = bmwi.new(helper.client(sim))
    car = client:vehicle(VIN)
  end

  before_each(again)

  after_each(function()
    client:close()
  end)

  local function last()
    local log = sim:log()
    return log[#log]
  end

  local function posts()
    local list = {}
    for _, request in ipairs(sim:log()) do
      if request.method == "POST" and not request.path:find("token", 1, true) then
        list[#list + 1] = request.body
      end
    end
    return list
  end

  local function allow_all()
    sim:change(VIN, { vehicle = { hornBlow = "ACTIVATED", climateControl = "ACTIVATED" } })
  end

  local function started(service, execution, ...)
    assert.is_table(execution, (...))
    assert.equal(service, execution.serviceType)
    assert.equal("INITIATED", execution.status)
    assert.matches("^%x+@bmw%.de$", execution.eventId)
  end

  -- Waits until the simulator's car has executed it.
  local function wait()
    bmwi.sleep(0.05)
  end

  local function refuses(part, fn)
    local ok, message = pcall(fn)
    assert.is_false(ok, "taken: " .. part)
    assert.truthy(message:find(part, 1, true), message)
  end

  describe("reads", function()
    it("what the API description shows", function()
      assert.equal(VIN, car:vin())
      assert.equal("SECURED", car:status().doorLockState)
      assert.equal(16.6, car:last_trip().avgElectricConsumption)
      assert.equal(14.76, car:all_trips().avgElectricConsumption.userAverage)
      assert.equal("07:30", car:charging_profile().weeklyPlanner.timer1.departureTime)
      assert.equal("PITFIELD STREET", car:destinations()[1].street)
      local map = car:range_map()
      assert.equal("ECO_PRO_PLUS", map.rangemaps[1].type)
      assert.same({ lat = 51.6991281509399, lon = -2.00423240661621 }, map.rangemaps[1].polyline[1])
      assert.equal(5.6, car:navigation().socMax)
    end)

    it("navigation under both spellings, and reports a token that may not (section 2.6)", function()
      sim:change(VIN, { navigation = { soc = 100.0, socmax = 38.76 } })
      assert.same({ soc = 100, socmax = 38.76 }, car:navigation())
      sim:config({ navigation_scope = false })
      local answer, _, code, info = car:navigation()
      assert.is_nil(answer)
      assert.equal("forbidden", code)
      assert.equal(403, info.status)
    end)

    it("nothing for a car that the server does not know", function()
      local other = client:vehicle("WBY1Z2C50EV000001")
      for _, name in ipairs({ "status", "last_trip", "all_trips", "charging_profile",
        "destinations", "range_map", "navigation", "image", "lock_doors" }) do
        local answer, _, code, info = other[name](other)
        assert.is_nil(answer)
        assert.equal("not_found", code)
        assert.equal("A-2012", info.api_code)
        assert.truthy(info.hint:find("region", 1, true), info.hint)
      end
    end)
  end)

  describe("executes", function()
    for method, service in pairs(COMMANDS) do
      it(method .. " as " .. service .. ", sent once", function()
        allow_all()
        started(service, car[method](car))
        assert.same({ "serviceType=" .. service }, posts())
      end)
    end

    it("each service type of the API description by its name", function()
      allow_all()
      for _, service in ipairs(SERVICES) do
        local params = service == "CHARGING_CONTROL" and { data = weekly() } or nil
        started(service, car:execute(service, params))
        assert.equal(service, car:execution(service).serviceType)
      end
      local sent = posts()
      assert.equal(#SERVICES, #sent)
      for i, service in ipairs(SERVICES) do
        assert.equal(service, helper.form(sent[i]).serviceType)
      end
    end)

    it("what changes its state", function()
      car:unlock_doors()
      wait()
      assert.equal("UNLOCKED", car:status().doorLockState)
      car:lock_doors()
      wait()
      assert.equal("LOCKED", car:status().doorLockState)
      sim:change(VIN, { status = { connectionStatus = "CONNECTED" } })
      car:charge_now() -- although chargeNow is NOT_SUPPORTED (trap 18)
      wait()
      assert.equal("CHARGING", car:status().chargingStatus)
      car:flash_lights({ count = 3 })
      car:climate_now()
      car:find()
      wait()
      local report = sim:car()
      assert.equal(3, report.flashes)
      assert.equal(1, report.climate_starts)
      assert.equal(1, report.finds)
    end)

    it("services with other fields, each as a separate field", function()
      started("LIGHT_FLASH", car:execute("LIGHT_FLASH", { count = 2 }))
      assert.equal("serviceType=LIGHT_FLASH&count=2", posts()[1])
      car:execute("VEHICLE_FINDER", { a = "x&y=z", ["b c"] = true, d = 1.5 })
      local fields, order = helper.form(posts()[2])
      assert.same({ serviceType = "VEHICLE_FINDER", a = "x&y=z", ["b c"] = "true", d = "1.5" },
        fields)
      assert.equal("serviceType", order[1])
      assert.equal(4, #order)
    end)

    it("no service with a field that cannot be sent", function()
      for _, fields in ipairs({ { count = 0 / 0 }, { count = math.huge }, { ["a\0b"] = "x" },
        { count = {} }, { count = print }, { "x" } }) do
        assert.is_false((pcall(car.execute, car, "LIGHT_FLASH", fields)))
      end
      assert.equal(0, sim:count("POST", "/executeService"))
    end)

    it("only what it supports, and lists what that is", function()
      for _, name in ipairs({ "status", "lock_doors", "send_poi", "execute" }) do
        assert.is_true(car:supports(name), name)
        assert.is_function(car[name], name)
      end
      for _, name in ipairs({ "fly", "vin", "", "Status" }) do
        assert.is_false(car:supports(name), name)
      end
      assert.has_error(function() car:supports() end)
    end)

    it("no service with an invalid name", function()
      for _, service in ipairs({ "", "door_lock", "DOOR LOCK", "LIGHT_FLASH&count=2", "DOOR_LOCK\n",
        "A\r\nX: y", "../x", "DOOR_LOCK\0", ("A"):rep(65) }) do
        refuses("service type", function() car:execute(service) end)
        refuses("service type", function() car:execution(service) end)
      end
      assert.has_error(function() car:execute() end)
      assert.has_error(function() car:execute({}) end)
      assert.has_error(function() car:execute("DOOR_LOCK", "count=2") end)
      refuses("serviceType", function() car:execute("DOOR_LOCK", { serviceType = "LOGIN" }) end)
      refuses("names", function() car:execute("DOOR_LOCK", { "count" }) end)
      refuses("values", function() car:execute("DOOR_LOCK", { count = {} }) end)
      assert.equal(0, #sim:log())
    end)

    it("no service that it lacks (trap 18)", function()
      sim:change(VIN, { vehicle = { climateNow = "NOT_SUPPORTED" } })
      local execution, message, code, info = car:climate_now()
      assert.is_nil(execution)
      assert.equal("forbidden", code)
      assert.equal(403, info.status)
      assert.equal("A-2013", info.api_code)
      assert.truthy(message:find("CLIMATE_NOW", 1, true), message)
      assert.equal(1, #posts())
    end)

    it("nothing twice, whatever happens to the response (trap 16)", function()
      for _, fault in ipairs({ { status = 500 }, { status = 503 }, { recorded = "server_panic" },
        { recorded = "too_many" }, { reset = "before" }, { reset = "after" }, { reset = "during" },
        { truncate = 5 } }) do
        again()
        fault.path, fault.times = "/executeService", 0
        sim:fault(fault)
        local execution, _, code, info = car:lock_doors()
        assert.is_nil(execution)
        local known = fault.recorded == "too_many"
        assert.equal(known and "rate_limited" or "unknown", code)
        assert.equal(known, info.retryable)
        assert.equal(1, #posts())
      end
    end)
  end)

  describe("reports an execution without an event", function()
    for name, rule in pairs({
      ["a reply that was lost"] = { reset = "after" },
      ["a reply without an eventId"] = { raw = '{"executionStatus":{"status":"INITIATED"}}' },
      ["a reply whose eventId is no text"] = { raw = '{"executionStatus":{"eventId":1}}' },
    }) do
      it("after a command with " .. name, function()
        rule.path = "/executeService"
        sim:fault(rule)
        local none, _, code, info = car:flash_lights({ count = 2 })
        assert.is_nil(none)
        assert.equal("unknown", code)
        assert.same({ serviceType = "LIGHT_FLASH", lost = true }, info.execution)
      end)
    end

    it("after no other call", function()
      for _, case in ipairs({ { "executeService", "lock_doors", status = 403 },
        { "sendpoi", "send_poi", reset = "after" }, { "status", "status", raw = "1" } }) do
        sim:fault({ path = case[1], status = case.status, reset = case.reset, raw = case.raw })
        local none, _, _, info = car[case[2]](car, case[2] == "send_poi" and { name = "x" } or nil)
        assert.is_nil(none)
        assert.is_nil(info.execution)
      end
    end)
  end)

  describe("reports an execution", function()
    it("step by step to the end", function()
      sim:config({ speed = 10 })
      local execution = car:lock_doors()
      local seen, list = {}, {}
      for _ = 1, 200 do
        local now = car:execution("DOOR_LOCK")
        assert.equal(execution.eventId, now.eventId)
        if not seen[now.status] then
          seen[now.status] = true
          list[#list + 1] = now.status
        end
        if now.status == "EXECUTED" then break end
        bmwi.sleep(0.02)
      end
      assert.same({ "INITIATED", "PENDING", "DELIVERED", "EXECUTED" }, list)
    end)

    it("which may be an earlier one: its event shows that (trap 15)", function()
      car:flash_lights()
      wait()
      sim:commands({ service = "LIGHT_FLASH", previous_first = 1 })
      local execution = car:flash_lights()
      assert.not_equal(execution.eventId, car:execution("LIGHT_FLASH").eventId)
      assert.equal(execution.eventId, car:execution("LIGHT_FLASH").eventId)
    end)

    it("with whatever words it has (traps 13 and 16)", function()
      sim:commands({ service = "DOOR_LOCK", word = "RESTING", no_status = 1 })
      car:lock_doors()
      assert.is_nil(car:execution("DOOR_LOCK").status)
      assert.equal("RESTING", car:execution("DOOR_LOCK").status)
      for _, outcome in ipairs({ "NOT_EXECUTED", "TIMED_OUT" }) do
        sim:commands({ service = "DOOR_LOCK", outcome = outcome })
        car:lock_doors()
        wait()
        assert.equal(outcome, car:execution("DOOR_LOCK").status)
      end
      car:unlock_doors()
      wait()
      local unlocked = car:execution("DOOR_UNLOCK")
      assert.equal("EXECUTED", unlocked.status)
      assert.equal("STATUS_NOT_CHANGED", unlocked.extendedStatus.result)
    end)

    it("or that there is none", function()
      assert.equal("not_found", (select(3, car:execution("DOOR_LOCK"))))
    end)
  end)

  describe("unlocks", function()
    it("with the answer to the security question if that is required", function()
      local secret = "Röver & Co+ 100%"
      sim:config({ secret_answer = secret })
      local execution, _, code, info = car:unlock_doors()
      assert.is_nil(execution)
      assert.equal("forbidden", code)
      assert.equal("A-2013", info.api_code)
      assert.truthy(info.hint:find("secret =", 1, true), info.hint)
      assert.equal("forbidden", (select(3, car:unlock_doors({ secret = "Rover" }))))
      started("DOOR_UNLOCK", car:unlock_doors({ secret = secret }))
      local sent = posts()
      assert.equal("serviceType=DOOR_UNLOCK", sent[1])
      assert.equal("serviceType=DOOR_UNLOCK&bmwSkAnswer=R%C3%B6ver+%26+Co%2B+100%25", sent[3])
      started("DOOR_UNLOCK", car:execute("DOOR_UNLOCK", { bmwSkAnswer = secret }))
    end)

    it("without revealing that answer (trap 20)", function()
      for _, call in ipairs({
        function() return car:unlock_doors({ secret = "Rover 75" }) end,
        function() return car:execute("DOOR_UNLOCK", { bmwSkAnswer = "Rover 75" }) end,
      }) do
        sim:fault({ path = "/executeService", status = 403,
          body = '{"error":{"code":500,"description":"not the answer: Rover 75!"}}' })
        local _, message, code, info = call()
        assert.equal("forbidden", code)
        assert.is_nil(message:find("Rover", 1, true), message)
        assert.is_nil(info.description:find("Rover", 1, true))
      end
    end)

    it("with a string only", function()
      for _, secret in ipairs({ 7, true, {} }) do
        refuses("secret", function() car:unlock_doors({ secret = secret }) end)
      end
      refuses("secret", function() car:unlock_doors({ sekret = "Rover" }) end)
      refuses("secret", function() car:unlock_doors({ "Rover" }) end)
      assert.has_error(function() car:unlock_doors("Rover") end)
      local _, message = pcall(car.unlock_doors, car, { sekret = "Rover" })
      assert.is_nil(message:find("Rover", 1, true))
      assert.equal(0, #sim:log())
    end)
  end)

  describe("flashes", function()
    it("the given number of times", function()
      started("LIGHT_FLASH", car:flash_lights())
      started("LIGHT_FLASH", car:flash_lights({}))
      started("LIGHT_FLASH", car:flash_lights({ count = 2 }))
      started("LIGHT_FLASH", car:flash_lights({ count = 4.0 }))
      assert.same({ "serviceType=LIGHT_FLASH", "serviceType=LIGHT_FLASH",
        "serviceType=LIGHT_FLASH&count=2", "serviceType=LIGHT_FLASH&count=4" }, posts())
      wait()
      assert.equal(8, sim:car().flashes)
    end)

    it("a whole number of times", function()
      for _, count in ipairs({ 0, -1, 1.5, 1e9, 0 / 0, math.huge, true, "many", {} }) do
        refuses("count", function() car:flash_lights({ count = count }) end)
      end
      for value, shown in pairs({ [101] = "101", [1.5] = "1.5", [-math.huge] = "-inf" }) do
        refuses("count: a whole number from 1 to 100 expected, got " .. shown .. "\n",
          function()
            error(select(2, pcall(car.flash_lights, car, { count = value })) .. "\n", 0)
          end)
      end
      refuses("count", function() car:flash_lights({ times = 2 }) end)
      assert.has_error(function() car:flash_lights(2) end)
      assert.equal(0, #sim:log())
    end)
  end)

  describe("accepts a charging profile", function()
    it("that was read, changed and is read back", function()
      local profile = car:charging_profile()
      profile.weeklyPlanner.timer1.departureTime = "06:15"
      profile.weeklyPlanner.timer1.weekdays = { "TUESDAY", "FRIDAY" }
      profile.weeklyPlanner.timer2.weekdays = {}
      profile.weeklyPlanner.climatizationEnabled = false
      started("CHARGING_CONTROL", car:set_charging_profile(profile))
      local fields, order = helper.form(posts()[1])
      assert.same({ "serviceType", "data" }, order)
      assert.equal("CHARGING_CONTROL", fields.serviceType)
      assert.same(profile, helper.json.decode(fields.data))
      wait()
      assert.same(profile, car:charging_profile())
      assert.equal("06:15", sim:car().profile.weeklyPlanner.timer1.departureTime)
    end)

    it("with two timers a day, read, changed and read back", function()
      sim:change(VIN, { chargingprofile = two_times() })
      local profile = car:charging_profile()
      assert.same(two_times(), profile)
      profile.twoTimesTimer.timer2.departureTime = "23:59"
      started("CHARGING_CONTROL", car:set_charging_profile(profile))
      wait()
      assert.same(profile, car:charging_profile())
    end)

    it("through execute as well, as a table or a string", function()
      started("CHARGING_CONTROL", car:execute("CHARGING_CONTROL", { data = weekly() }))
      started("CHARGING_CONTROL",
        car:execute("CHARGING_CONTROL", { data = helper.json.encode(two_times()) }))
      local sent = posts()
      assert.same(weekly(), helper.json.decode(helper.form(sent[1]).data))
      assert.same(two_times(), helper.json.decode(helper.form(sent[2]).data))
      local broken = weekly()
      broken.weeklyPlanner.timer1.departureTime = "7:30"
      refuses("weeklyPlanner.timer1.departureTime", function()
        car:execute("CHARGING_CONTROL", { data = broken })
      end)
    end)

    it("in each form that cars have sent (trap 19)", function()
      local function taken(change)
        local profile = weekly()
        change(profile.weeklyPlanner, profile)
        local execution, message = car:set_charging_profile(profile)
        assert.is_table(execution, message)
        assert.same(profile, helper.json.decode(helper.form(last().body).data))
      end
      taken(function(planner) -- over midnight, and longer than half a day
        planner.preferredChargingWindow = { enabled = true, startTime = "20:00", endTime = "16:00" }
      end)
      taken(function(planner)
        planner.preferredChargingWindow = { startTime = "00:00", endTime = "00:00" }
      end)
      taken(function(planner) planner.preferredChargingWindow = nil end)
      taken(function(planner) planner.timer2 = { weekdays = {} } end)
      taken(function(planner) planner.timer3 = {} end)
      taken(function(planner) planner.overrideTimer = nil end)
      taken(function(planner)
        planner.timer1 = { departureTime = "23:59", timerEnabled = false, weekdays = { "MONDAY",
          "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY" } }
      end)
      taken(function(planner) planner.chargingMode = "IMMEDIATE_CHARGING" end)
      taken(function(planner) planner.chargingPreferences = "NO_PRESELECTION" end)
      taken(function(planner) planner.climatizationEnabled = nil end)
      taken(function(planner) planner.newMember = { 1, 2, { a = "x" } } end)
      taken(function(planner) planner.timer1.newMember = "x" end)
      taken(function(_, profile) profile.newMember = true end)
    end)

    it("but none that could harm, and says which member is wrong (trap 19)", function()
      local function wrong(part, change)
        local profile = weekly()
        change(profile.weeklyPlanner, profile)
        refuses(part, function() car:set_charging_profile(profile) end)
      end
      for _, name in ipairs({ "timer1", "timer2", "timer3" }) do
        wrong("weeklyPlanner." .. name, function(planner) planner[name] = nil end)
        wrong("weeklyPlanner." .. name, function(planner) planner[name] = "07:30" end)
        for _, time in ipairs({ "7:30", "24:00", "07:60", "0730", "07:30:00", "", "ab:cd", " 7:30",
          "07:3", "-7:30", "07-30", 730, true, {} }) do
          wrong("weeklyPlanner." .. name .. ".departureTime", function(planner)
            planner[name].departureTime = time
          end)
        end
        wrong("weeklyPlanner." .. name .. ".timerEnabled", function(planner)
          planner[name].timerEnabled = "true"
        end)
        for _, days in ipairs({ "MONDAY", { "Monday" }, { "MON" }, { 1 }, { "MONDAY", "FRYDAY" },
          { day = "MONDAY" }, true, { "MONDAY", "MONDAY", "MONDAY", "MONDAY", "MONDAY", "MONDAY",
          "MONDAY", "MONDAY" } }) do
          wrong("weeklyPlanner." .. name .. ".weekdays", function(planner)
            planner[name].weekdays = days
          end)
        end
      end
      wrong("weeklyPlanner.overrideTimer.departureTime", function(planner)
        planner.overrideTimer.departureTime = "25:00"
      end)
      wrong("weeklyPlanner.preferredChargingWindow.startTime", function(planner)
        planner.preferredChargingWindow.startTime = "5:02"
      end)
      wrong("weeklyPlanner.preferredChargingWindow.endTime", function(planner)
        planner.preferredChargingWindow.endTime = false
      end)
      wrong("weeklyPlanner.preferredChargingWindow.enabled", function(planner)
        planner.preferredChargingWindow.enabled = 1
      end)
      wrong("weeklyPlanner.preferredChargingWindow", function(planner)
        planner.preferredChargingWindow = true
      end)
      wrong("weeklyPlanner.climatizationEnabled", function(planner)
        planner.climatizationEnabled = "yes"
      end)
      for _, name in ipairs({ "chargingMode", "chargingPreferences" }) do
        for _, word in ipairs({ "delayed charging", "", 1, {} }) do
          wrong("weeklyPlanner." .. name, function(planner) planner[name] = word end)
        end
      end
      wrong("exactly one of weeklyPlanner and twoTimesTimer", function(_, profile)
        profile.twoTimesTimer = two_times().twoTimesTimer
      end)
      wrong("exactly one of weeklyPlanner and twoTimesTimer", function(_, profile)
        profile.weeklyPlanner = nil
      end)
      wrong("weeklyPlanner", function(_, profile) profile.weeklyPlanner = true end)
      wrong("weeklyPlanner.timer1", function(_, profile) profile.weeklyPlanner = {} end)
      refuses("exactly one", function() car:set_charging_profile({}) end)
      refuses("exactly one", function() car:set_charging_profile(weekly().weeklyPlanner) end)
      assert.has_error(function() car:set_charging_profile() end)
      assert.has_error(function() car:set_charging_profile("{}") end)
      assert.equal(0, #sim:log())
    end)

    it("but not with two timers a day and weekdays, or one timer only (trap 19)", function()
      local function wrong(part, change)
        local profile = two_times()
        change(profile.twoTimesTimer)
        refuses(part, function() car:set_charging_profile(profile) end)
      end
      for _, name in ipairs({ "timer1", "timer2" }) do
        wrong("twoTimesTimer." .. name, function(timers) timers[name] = nil end)
        wrong("no weekdays", function(timers) timers[name].weekdays = { "MONDAY" } end)
        wrong("no weekdays", function(timers) timers[name].weekdays = {} end)
        wrong("twoTimesTimer." .. name .. ".departureTime", function(timers)
          timers[name].departureTime = "1230"
        end)
      end
      assert.equal(0, #sim:log())
    end)

    it("but none that inherits members, which would not be sent", function()
      local profile = assert(car:charging_profile())
      local heir = { weeklyPlanner = setmetatable({}, { __index = profile.weeklyPlanner }) }
      for _, call in ipairs({
        function() return car:set_charging_profile(heir) end,
        function() return car:execute("CHARGING_CONTROL", { data = heir }) end,
        function()
          return car:execute("LIGHT_FLASH", setmetatable({}, { __index = { count = 2 } }))
        end,
        function() return car:send_poi(setmetatable({}, { __index = { lat = 1, lon = 2 } })) end,
      }) do
        local ok, message = pcall(call)
        assert.is_false(ok)
        assert(message:find("a table that inherits members", 1, true), message)
      end
      assert.equal(0, sim:count("POST", "/vehicles/"))
      assert.same(profile, car:charging_profile())
    end)

    it("without changing the caller's table", function()
      local profile = weekly()
      car:set_charging_profile(profile)
      assert.same(weekly(), profile)
    end)
  end)

  describe("accepts a point of interest", function()
    local function sent()
      local fields, order = helper.form(last().body)
      assert.same({ "data" }, order)
      return fields.data
    end

    it("as the real service accepted it, and returns true for 204 (trap 2)", function()
      assert.is_true(car:send_poi({ lat = 51.5, lon = -0.1, name = "abc", street = "Musterstr. 6",
        city = "abc", postalCode = "01234", country = "GERMANY", rating = -1, subject = "s",
        additionalInfo = "i", website = "https://example.com/?a=b&c", phoneNumbers = { "+49 1" },
        useAsDestination = true }))
      assert.equal(204, last().status)
      assert.equal(POI .. '"additionalInfo":"i","city":"abc","country":"GERMANY","lat":51.5,' ..
        '"lon":-0.1,"name":"abc","phoneNumbers":["+49 1"],"postalCode":"01234","rating":-1,' ..
        '"street":"Musterstr. 6","subject":"s","useAsDestination":true,' ..
        '"website":"https:\\/\\/example.com\\/?a=b&c"}}', sent())
      assert.equal("01234", sim:car().pois[1].postalCode)
      assert.equal("Musterstr. 6", car:destinations()[1].street)
    end)

    it("with every character intact (trap 7)", function()
      local name = 'Zürich "Bär" & Söhne + 50% #1 = <ß> é€ 漢字 🚗 \\ / \' ; ?'
      local info = "line 1\nline 2\ttab\r\n\127"
      assert.is_true(car:send_poi({ lat = 47.4, lon = 8.5, name = name, additionalInfo = info }))
      local poi = sim:car().pois[1]
      assert.equal(name, poi.name)
      assert.equal(info, poi.additionalInfo)
      assert.is_nil(last().body:find("[^%w&=+%%._~-]"))
    end)

    it("as a text message, without a place", function()
      assert.is_true(car:send_poi({ name = "Hello", additionalInfo = "Bring milk" }))
      assert.equal(POI .. '"additionalInfo":"Bring milk","name":"Hello"}}', sent())
      assert.equal("Bring milk", sim:car().pois[1].additionalInfo)
      assert.equal(1, #car:destinations())
    end)

    it("with a list of telephone numbers that stays a list", function()
      assert.is_true(car:send_poi({ lat = 1, lon = 2, phoneNumbers = {} }))
      assert.equal(POI .. '"lat":1,"lon":2,"phoneNumbers":[]}}', sent())
      assert.is_true(car:send_poi({ lat = 1, lon = 2, phoneNumbers = { "1", "2" } }))
      assert.equal(POI .. '"lat":1,"lon":2,"phoneNumbers":["1","2"]}}', sent())
    end)

    it("anywhere on earth", function()
      for _, place in ipairs({ { 90, 180 }, { -90, -180 }, { 0, 0 } }) do
        assert.is_true(car:send_poi({ lat = place[1], lon = place[2] }))
      end
      assert.equal(4, #car:destinations())
    end)

    it("but nowhere else, and without unknown members", function()
      for _, place in ipairs({ { 90.001, 0 }, { -91, 0 }, { 0, 180.001 }, { 0, -181 }, { 0 / 0, 0 },
        { 0, 0 / 0 }, { math.huge, 0 }, { 0, -math.huge } }) do
        refuses("a number from -", function() car:send_poi({ lat = place[1], lon = place[2] }) end)
      end
      refuses("lat and lon", function() car:send_poi({ lat = 1 }) end)
      refuses("lat and lon", function() car:send_poi({ lon = 1 }) end)
      refuses("lat and lon", function() car:send_poi({ lat = 1, name = "x" }) end)
      refuses("lat and lon", function() car:send_poi({}) end)
      refuses("lat and lon", function() car:send_poi({ additionalInfo = "x" }) end)
      refuses("lat", function() car:send_poi({ lat = "1", lon = 2 }) end)
      refuses("lon", function() car:send_poi({ lat = 1, lon = "2" }) end)
      refuses("unknown member 'nmae' (known: additionalInfo, city,", function()
        car:send_poi({ lat = 1, lon = 2, nmae = "x" })
      end)
      refuses("postalCode", function() car:send_poi({ lat = 1, lon = 2, lng = 2 }) end)
      refuses("unknown member", function() car:send_poi({ 1, 2 }) end)
      for name, value in pairs({ name = 7, street = {}, postalCode = 1234, rating = "5",
        useAsDestination = "true", phoneNumbers = "+49" }) do
        refuses(name, function() car:send_poi({ lat = 1, lon = 2, [name] = value }) end)
      end
      for _, numbers in ipairs({ { 7 }, { home = "+49" }, { {} }, { "+49", false } }) do
        refuses("phoneNumbers", function()
          car:send_poi({ lat = 1, lon = 2, phoneNumbers = numbers })
        end)
      end
      assert.has_error(function() car:send_poi() end)
      assert.has_error(function() car:send_poi("x") end)
      assert.equal(0, #sim:log())
    end)

    it("and reports what the service rejected", function()
      sim:fault({ path = "/sendpoi", recorded = "poi_invalid" })
      local sent_, message, code, info = car:send_poi({ lat = 1, lon = 2 })
      assert.is_nil(sent_)
      assert.equal("http", code)
      assert.equal("A-102", info.api_code)
      assert.truthy(message:find("Formparameter 'data' is not valid!", 1, true), message)
    end)

    it("once, and reports an unknown outcome as unknown", function()
      for _, reset in ipairs({ "before", "after" }) do
        again()
        sim:fault({ path = "/sendpoi", reset = reset, times = 0 })
        assert.equal("unknown", (select(3, car:send_poi({ lat = 1, lon = 2 }))))
        assert.equal(1, #posts())
        assert.equal(reset == "after" and 1 or 0, #sim:car().pois)
      end
    end)

    it("with finite numbers only", function()
      assert.has_error(function()
        car:send_poi({ lat = 1, lon = 2, name = ("x"):rep(2000000) })
      end)
      assert.equal(0, #sim:log())
    end)
  end)

  describe("returns its image", function()
    it("as the bytes of a PNG", function()
      local png = car:image()
      assert.equal("\137PNG\r\n\26\n", png:sub(1, 8))
      assert.equal("image/png", last().headers.accept)
      assert.equal("", last().query)
      png = car:image({ view = "FRONTSIDE", width = 320, height = 200 })
      assert.equal("\137PNG\r\n\26\n", png:sub(1, 8))
      assert.same({ view = "FRONTSIDE", width = "320", height = "200" },
        helper.query(last().query))
      assert.truthy(car:image({}))
    end)

    it("from a side that it has", function()
      sim:fault({ path = "/image", recorded = "no_image" })
      local png, _, code, info = car:image({ view = "DASHBOARD" })
      assert.is_nil(png)
      assert.equal("not_found", code)
      assert.equal("A-2012", info.api_code)
    end)

    it("of a valid size", function()
      for _, size in ipairs({ 0, -1, 1.5, 100000, 0 / 0, "wide", true }) do
        refuses("width", function() car:image({ width = size }) end)
        refuses("height", function() car:image({ height = size }) end)
      end
      for _, view in ipairs({ "", "front side", "a&b=c", 7, {} }) do
        refuses("view", function() car:image({ view = view }) end)
      end
      refuses("unknown member 'size'", function() car:image({ size = 7 }) end)
      refuses("unknown member", function() car:image({ "FRONT" }) end)
      assert.has_error(function() car:image("FRONT") end)
      assert.equal(0, #sim:log())
    end)
  end)

  it("does not show its whole VIN when converted to a string (trap 20)", function()
    assert.is_nil(tostring(car):find("123456", 1, true))
  end)
end)
