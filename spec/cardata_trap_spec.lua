-- Unexpected behaviour of BMW's service, simulated case by case: what the client does, with the
-- number of requests if each costs one of the day's calls.
local async = require("bmwi.async")
local bmwi = require("bmwi")
local helper = require("spec.helper")
local stores = require("bmwi.store")

local CLIENT = "6b1f5a52-9d2e-4c0f-8a53-1f0c2d3e4b5a"
local BEV, HYBRID, PETROL = "WBYCARDATA0000001", "WBACARDATA0000002", "WBACARDATA0000003"
local MILEAGE = "vehicle.vehicle.travelledDistance"
local DAY = 86400
local null = helper.json.null

describe("CarData's traps:", function()
  local sim, client

  local function new(store, log)
    return bmwi.new({ service = "cardata", client_id = CLIENT, base_url = sim.url,
      login_url = sim.url .. "/gcdm/oauth", store = store or stores.memory(), timeout = 10,
      on_prompt = function() end, log = log })
  end

  setup(function() sim = helper.start() end)
  teardown(function() sim:stop() end)

  local function set(what, change) sim:control("POST", "/cardata/" .. what, change) end
  local function begin_anew()
    sim:reset()
    set("login", { interval = 0.05, allow_after = 0 })
    if client then client:close() end
    client = new()
  end
  before_each(begin_anew)

  local function log_in()
    assert(client:login())
    sim:clear()
  end
  local function sent(method, part) return sim:count(method, part or "/customers/") end
  local function renewed_after(change)
    log_in()
    set("token", change)
    set("token", { expire = true })
    return client:vehicles()
  end

  describe("the log-in", function()
    for _, case in ipairs({
      { "pages of HTML instead of an answer", { "page_502", "page_503", "ok" } },
      { "a fault of the gateway, then the tokens", { "gateway_fault", "ok" } },
      { "denied twice, then allowed", { "access_denied", "access_denied", "ok" } },
      { "pending many times",
        { "authorization_pending", "authorization_pending", "authorization_pending", "ok" } },
    }) do
      it("continues after " .. case[1], function()
        set("login", { answers = case[2] })
        assert.is_true(client:login())
        assert.equal(#case[2], sent("POST", "/oauth/token"))
        assert.equal(1, sent("POST", "/device/code"))
      end)
    end

    for _, case in ipairs({
      { "expired_token", "expired before it was confirmed" },
      { "expired_token_400", "expired before it was confirmed" },
      { "invalid_client", "invalid_client" },
    }) do
      it("ends with " .. case[1], function()
        set("login", { answers = { case[1] } })
        local message = helper.fails_as("auth", client:login())
        helper.has(message, case[2])
        assert.equal(1, sent("POST", "/oauth/token"))
      end)
    end

    it("waits for a response that takes longer than the interval", function()
      sim:fault({ path = "/oauth/token", latency = 0.5 })
      set("login", { allow_after = 1 })
      assert.is_true(client:login())
      assert.equal(2, sent("POST", "/oauth/token"))
    end)
  end)

  describe("the tokens", function()
    for _, variant in ipairs({ "no_gcid", "no_refresh_token", "scope_turned", "no_dynamic_scopes",
      "same_id_token" }) do
      it("are renewed again and again with " .. variant, function()
        assert(renewed_after({ [variant] = true }))
        local gcid, refresh = client:token().gcid, client:token().refresh_token
        assert.is_string(gcid)
        assert.is_string(refresh)
        set("token", { expire = true })
        assert(client:vehicles())
        assert.equal(2, sent("POST", "/oauth/token"))
        assert.equal(1, sent("POST", "/device/code") + 1)
        assert.equal(gcid, client:token().gcid)
      end)
    end

    it("last 14 days by the server's clock, even if this machine's is behind", function()
      log_in()
      sim:control("POST", "/clock", { advance = 13 * DAY })
      assert(client:vehicles())
      sim:control("POST", "/clock", { advance = 15 * DAY })
      helper.has(helper.fails_as("auth", client:vehicles()), "the log-in has ended")
    end)
  end)

  describe("an error", function()
    -- the name of the recorded one, our code, how many requests it takes, a word of the hint
    for _, case in ipairs({
      { "CU-100", "auth", 2, "log in again" }, { "CU-101", "auth", 2, "log in again" },
      { "CU-102", "auth", 2, "log in again" }, { "CU-103", "forbidden", 1, "CarData API" },
      { "CU-104", "forbidden", 1, "PRIMARY" },
      { "CU-105", "not_found", 1, "client:containers()" },
      { "CU-120", "http", 1 }, { "CU-121", "http", 1 },
      { "CU-124", "forbidden", 1, "delete_container" }, { "CU-125", "http", 1 },
      { "CU-126", "not_found", 1, "no picture" }, { "CU-127", "not_found", 1 },
      { "CU-127-token", "auth", 2, "log in again" },
      { "CU-400", "http", 1 }, { "CU-401", "http", 1 }, { "CU-402", "http", 1 },
      { "CU-403", "forbidden", 1, "both services are subscribed" },
      { "CU-429", "quota", 1, "50 calls" }, { "CU-429-status", "quota", 1, "50 calls" },
      { "CU-500", "server", 2, "BMW's fault" }, { "CU-503", "server", 2, "BMW's fault" },
      { "xml_error", "forbidden", 1 }, { "broken_utf8", "forbidden", 1 },
      { "empty_403", "forbidden", 1 }, { "page_502", "server", 2 }, { "page_503", "server", 2 },
    }) do
      it(("is %s as %s"):format(case[1], case[2]), function()
        log_in()
        sim:fault({ path = "/customers/", recorded = case[1], times = 0 })
        local _, info = helper.fails_as(case[2], client:vehicles())
        assert.equal(case[3], sent())
        assert.equal(case[3], client:quota().used)
        if case[4] then helper.has(info.hint, case[4]) end
        if case[1]:find("^CU") then assert.equal(case[1]:sub(1, 6), info.api_code) end
        if case[2] ~= "server" then assert.is_false(info.retryable) end
      end)
    end
  end)

  describe("the quota", function()
    it("is closed for all programs when another one has used it up", function()
      log_in()
      set("spend", { calls = 50 })
      local _, info = helper.fails_as("quota", client:vehicles())
      assert.truthy(info.retry_after > 0)
      assert.equal(0, client:quota().left)
      helper.fails_as("quota", client:vehicle(BEV):tyres())
      assert.equal(1, sent())
    end)

    it("may be a real 429 with Retry-After", function()
      log_in()
      set("config", { quota = 0, quota_status_429 = true, quota_retry_after = 600 })
      local _, info = helper.fails_as("quota", client:vehicles())
      assert.equal(600, info.retry_after)
      helper.fails_as("quota", client:vehicles())
      assert.equal(1, sent())
    end)
  end)

  describe("containers", function()
    it("that are deleted stay in the list, and are not used again", function()
      log_in()
      local car = client:vehicle(BEV)
      assert(car:telematics())
      local id = client:containers()[1].containerId
      assert.is_true(client:delete_container(id))
      sim:clear()
      assert(car:telematics())
      local list = client:containers()
      assert.equal("DELETED", list[1].state)
      assert.equal("ACTIVE", list[2].state)
    end)

    -- Only one call at a time looks for bmwi's container; others wait for it.
    describe("do not keep other calls waiting", function()
      local path, sleep, during

      before_each(function()
        path, sleep, during = os.tmpname(), bmwi.sleep, nil
        os.remove(path)
        client = new(stores.new(path), function(_, fields)
          if fields.call == "containers" and during then during() end
        end)
        log_in()
        bmwi.sleep = function(seconds) assert(seconds < 0.1, "it waits") end
      end)
      after_each(function()
        bmwi.sleep = sleep
        for _, ending in ipairs({ "", ".lock", ".write.lock", ".container.lock" }) do
          os.remove(path .. ending)
        end
      end)

      local function others_work()
        during = nil
        local other = new(stores.new(path))
        assert(other:vehicle(BEV):telematics())
        other:close()
        assert(client:vehicle(HYBRID):telematics())
      end

      it("after a hook has raised an error", function()
        during = function() error("it broke", 0) end
        local ok, message = pcall(function() return client:vehicle(BEV):telematics() end)
        assert.same({ false, "it broke" }, { ok, message })
        others_work()
      end)

      it("after their task was cancelled", function()
        sim:fault({ path = "/containers", latency = 20 })
        local task = async.spawn(function() return client:vehicle(BEV):telematics() end)
        helper.drive(function() return sent("GET", "/containers") == 1 end)
        task:cancel()
        others_work()
      end)

      for _, name in ipairs({ "vehicles", "telematics" }) do
        it("when a hook calls its client: " .. name, function()
          local car, messages = client:vehicle(BEV), {}
          local object = name == "vehicles" and client or car
          during = function()
            local ok, message = pcall(function()
              local result = object[name](object)
              return result
            end)
            messages[#messages + 1] = not ok and message
          end
          assert(car:telematics())
          helper.has(messages[1], "cannot wait for a call of that client")
          assert.matches("^spec/cardata_trap_spec%.lua:%d+: ", messages[1])
          others_work()
        end)
      end

      it("when a hook calls another client of the same account", function()
        local other, values
        local kept = stores.memory()
        for _, pair in ipairs({ { stores.new(path), stores.new(path) }, { kept, kept } }) do
          client:close()
          client = new(pair[1], function(_, fields)
            if fields.call ~= "containers" then return end
            values = other:vehicle(BEV):telematics()
          end)
          other = new(pair[2])
          log_in()
          assert(client:vehicle(HYBRID):telematics())
          assert.is_table(values)
          other:close()
        end
      end)
    end)
  end)

  describe("values", function()
    local function car_with(values)
      set("car/" .. BEV, { telematicData = values })
      log_in()
      return client:vehicle(BEV)
    end

    it("are empty in three ways, which are distinguished", function()
      local level, charge = "vehicle.drivetrain.batteryManagement.header",
        "vehicle.powertrain.electric.battery.stateOfCharge.target"
      local car = car_with({ [MILEAGE] = null,
        [level] = { value = null, timestamp = null, unit = "%" },
        [charge] = { value = "-NA-", unit = "%", age = 60 } })
      local values = car:telematics()
      assert.is_nil(values[MILEAGE])
      assert.same({ "null", "%" }, { values[level].empty, values[level].unit })
      assert.same({ "not_available", "-NA-" }, { values[charge].empty, values[charge].raw })
      local status, details = car:status()
      for member, reason in pairs({ mileage = "null", chargingTarget = "not_available" }) do
        assert.is_nil(status[member])
        assert.equal(reason, details[member].reason)
      end
    end)

    it("have their own ages, not that of the request", function()
      local car = car_with({ [MILEAGE] = { value = "48260", unit = "km", age = 40 * 3600 } })
      local status, details = car:status()
      assert.truthy(details.mileage.age > 39 * 3600)
      assert.truthy(details.chargingLevelHv.age < 3600)
      local age = os.time() - require("bmwi.time").parse(status.updateTime)
      assert.truthy(age >= 500, age)
    end)

    it("are in km whatever its spelling, and have no unit if none is known", function()
      for unit, expected in pairs({ km = 1000, KILOMETER = 1000, mi = 1000 / 0.621371,
        miles = 1000 / 0.621371, MILE = 1000 / 0.621371 }) do
        local car = car_with({ [MILEAGE] = { value = "1000", unit = unit, age = 60 } })
        assert.truthy(math.abs(car:status().mileage - expected) < 1e-6, unit)
        begin_anew()
      end
    end)
  end)

  describe("the charging history", function()
    local function history(days)
      return client:vehicle(BEV):charging_history({ from = os.time() - days * DAY })
    end

    it("is cut into windows of 45 days and read page by page", function()
      log_in()
      local sessions = assert(history(100))
      assert.equal(23, #sessions)
      for i = 2, 23 do assert.truthy(sessions[i - 1].startTime < sessions[i].startTime) end
      assert.equal(5, sent()) -- three windows, the newest with three pages
    end)

    for _, case in ipairs({
      { "page tokens without end", { history_endless = true }, "server", 5, 23 },
      { "a page that always fails", { history_broken_page = 2 }, "server", 3, 10 },
      { "page tokens that expire at once", { page_token_life = 0 }, "http", 4, 10 },
    }) do
      it("ends, with what came, despite " .. case[1], function()
        log_in()
        set("config", case[2])
        local _, info = helper.fails_as(case[3], history(44))
        assert.equal(case[5], #info.partial)
        assert.truthy(sent() <= case[4], sent())
      end)
    end

    it("has sessions without an end, in miles, duplicated, with members added later", function()
      local start = os.time() - 5 * DAY
      set("car/" .. BEV, { chargingHistory = {
        { startTime = start * 1000, mileage = 100, mileageUnits = "MileageUnits.MI" },
        { startTime = start - DAY, endTime = start - DAY + 600, energyDecreaseHvbKwh = 1.5,
          energyConsumedFromPowerGridKwh = 22.9799919128 },
        { startTime = start - DAY, endTime = start - DAY + 600 },
        { startTime = start - DAY + 300, endTime = start - DAY + 900 },
      } })
      log_in()
      local sessions = assert(history(30))
      assert.equal(3, #sessions)
      assert.equal(22.9799919128, sessions[1].energyConsumedFromPowerGridKwh)
      assert.equal(1.5, sessions[1].energyDecreaseHvbKwh)
      assert.same({ startTime = start, mileage = 161, mileageUnits = "km" }, sessions[3])
    end)
  end)

  it("charging settings come in pages, empty, not at all or not for this account", function()
    log_in()
    local car, list = client:vehicle(BEV), {}
    for i = 1, 12 do list[i] = { id = "l" .. i } end
    for _, case in ipairs({ { list, 12, 2 }, { {}, 0, 1 }, { null, 0, 1 } }) do
      set("car/" .. BEV, { locationBasedChargingSettings = case[1] })
      sim:clear()
      assert.equal(case[2], #assert(car:charging_settings()))
      assert.equal(case[3], sent())
    end
    sim:fault({ path = "/locationBased", recorded = "CU-127-token" })
    helper.fails_as("unsupported", car:charging_settings())
    assert.equal(0, sent("POST", "/oauth/token"))
  end)

  it("tyres may be labels and zeros only, with errors", function()
    set("car/" .. BEV, { smartMaintenanceTyreDiagnosis = { errors = { { type = "e" } },
      passengerCar = { mountedTyres = { label = "Mounted", frontLeft = { label = "Tyre",
        tyreWear = { label = "Due", dueMileage = 0, unit = "KILOMETER" } } } } } })
    log_in()
    assert.same({ errors = { { type = "e" } } }, client:vehicle(BEV):tyres())
  end)

  it("an image is PNG or JPEG by its bytes, whatever its content type, or an error", function()
    set("car/" .. BEV, { image = "untyped" })
    log_in()
    local bytes, kind = client:vehicle(BEV):image()
    assert.equal("png", kind)
    assert.truthy(bytes:find("\0", 1, true))
    assert.equal("jpeg", select(2, client:vehicle(HYBRID):image()))
    helper.fails_as("not_found", client:vehicle(PETROL):image())
  end)

  it("the list of cars may have several brands or another user's car, or be empty", function()
    log_in()
    local list = assert(client:vehicles())
    for _, car in ipairs(list) do
      local data, _, code = client:vehicle(car.vin):basic_data()
      if car.secondary then assert.equal("forbidden", code) else assert.is_string(data.brand) end
    end
    local brands = {}
    for _, car in ipairs(assert(client:vehicles())) do brands[car.brand or "?"] = true end
    assert.same({ BMW = true, BMWi = true, ["?"] = true }, brands)
    for _, car in ipairs(list) do set("car/" .. car.vin, { mappingType = null }) end
    assert.same({}, client:vehicles())
  end)
end)
