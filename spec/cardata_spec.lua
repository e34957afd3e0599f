-- CarData's methods that take more than one request, with a scripted client: what is requested from
-- BMW, how often, and the results.
local bmwi = require("bmwi")
local async = require("bmwi.async")
local double = require("spec.cardata_helper")
local helper = require("spec.helper")
local store = require("bmwi.store")
local time = require("bmwi.time")

local refusal, VIN = double.refusal, double.VIN
local MILEAGE = "vehicle.vehicle.travelledDistance"
local LEVEL = "vehicle.drivetrain.batteryManagement.header"
local PLACE = "vehicle.cabin.infotainment.navigation.currentLocation."
local FUEL = "vehicle.drivetrain.fuelSystem.level"
local FIRST = "containers create_container telematic_data basic_data"

local function value(text, unit, age)
  return { value = text, unit = unit, timestamp = time.format(os.time() - (age or 60)) }
end

local function misused(fn)
  return double.misused("spec/cardata_spec.lua", fn)
end

describe("car:status()", function()
  local client, car, bmw

  local function open(options, account)
    client = double.client(options, account)
    car, bmw = client.car, client.bmw
    bmw.values = { [MILEAGE] = value("48260", "km"), [LEVEL] = value("66", "%"),
      [FUEL] = value("0", "%") }
  end
  before_each(function() open() end)

  it("makes a container once and reads basic data once", function()
    local status, details = car:status()
    assert.equal(48260, status.mileage)
    assert.equal(66, status.chargingLevelHv)
    assert.equal(MILEAGE, details.mileage.descriptor)
    assert.equal("rest", details.mileage.source)
    assert.is_nil(status.fuelPercent)
    assert.equal("not_fitted", details.fuelPercent.reason)
    local body = client.calls[2].request.body
    assert.equal("bmwi", body.name)
    assert.truthy(body.purpose:find("^v%d+$"))
    assert.equal(#bmwi._values.descriptors(), #body.technicalDescriptors)
    local id = bmw.containers[1].containerId
    assert.equal(id, client.calls[3].request.query.containerId)
    assert.equal(VIN, client.calls[3].request.vin)
    assert.equal(FIRST, client:called())
    local missing, reads = client.store._not_requested, 0
    function client.store._not_requested(kept)
      reads = reads + 1
      return missing(kept)
    end
    assert.truthy(car:status())
    assert.equal("telematic_data", client:called())
    assert.equal(1, reads)
    assert.truthy(client:vehicle("WBACARDATA0000002"):status())
    assert.equal("telematic_data basic_data", client:called())
  end)

  it("reuses a container by name and version, if it is not deleted", function()
    assert.truthy(car:status())
    local made = bmw.containers[1]
    client.store:_set_container(nil)
    client:called()
    assert.truthy(car:status())
    assert.equal("containers telematic_data", client:called())
    client.store:_set_container(nil)
    made.state = "DELETED"
    assert.truthy(car:status())
    assert.equal("containers create_container telematic_data", client:called())
    made.state, made.name = "ACTIVE", "another"
    bmw.containers[2].purpose = "v1"
    client.store:_set_container(nil)
    assert.truthy(car:status())
    assert.equal("containers create_container telematic_data", client:called())
  end)

  it("takes the option descriptors in, which changes the version", function()
    assert.truthy(car:status())
    local before = bmw.containers[1]
    open({ descriptors = { "vehicle.more", MILEAGE, "vehicle.more" } }, client.store)
    bmw.containers[1] = before
    bmw.values["vehicle.more"] = value("7")
    assert.truthy(car:status())
    assert.equal("containers create_container telematic_data", client:called())
    assert.not_equal(before.purpose, bmw.containers[2].purpose)
    assert.equal(#before.technicalDescriptors + 1, #bmw.containers[2].technicalDescriptors)
    assert.equal(7, car:telematics()["vehicle.more"].value)
  end)

  for _, gone in ipairs({ "deleted", "purged" }) do
    it("replaces a container that is " .. gone, function()
      assert.truthy(car:status())
      client:called()
      if gone == "deleted" then bmw.containers[1].state = "DELETED" else bmw.containers = {} end
      client.remember("W000000000099") -- as of another run
      assert.equal(48260, car:status().mileage)
      assert.equal("telematic_data containers create_container telematic_data", client:called())
      assert.truthy(car:status())
      assert.equal("telematic_data", client:called())
    end)
  end

  it("replaces the container after a 404, but only if it is gone", function()
    assert.truthy(car:status())
    client:called()
    local function missing() return { nil, "not found", "not_found", { status = 404 } } end
    client.answer.telematic_data = { missing(), missing(), client.answer.telematic_data }
    client.remember(bmw:add("bmwi", bmw.containers[1].purpose).containerId)
    helper.fails_as("not_found", car:status())
    assert.equal("telematic_data containers", client:called())
    bmw.containers[2].state = "DELETED"
    assert.equal(48260, car:status().mileage)
    assert.equal("telematic_data containers telematic_data", client:called())
  end)

  it("does not keep creating containers while BMW refuses each one", function()
    client.answer.telematic_data = function() return refusal("CU-105") end
    for _ = 1, 3 do
      local _, info = helper.fails_as("forbidden", car:status())
      assert.equal("CU-105", info.api_code)
    end
    assert.equal(1, #bmw.containers)
    assert.equal("containers create_container telematic_data telematic_data telematic_data",
      client:called())
  end)

  it("says what the container lacks for want of room to search, until there is some", function()
    bmw.refused = { [MILEAGE] = true }
    for _ = 1, 8 do bmw:add("other", "v1") end
    local status, details = car:status()
    local lacking = client.store:_container().left_out
    assert.truthy(#lacking > 1 and #lacking <= 10, #lacking)
    assert.truthy(#client.calls <= 14, client:called())
    local reasons = {}
    for member, detail in pairs(details) do
      if detail.reason then reasons[detail.reason] = (reasons[detail.reason] or 0) + 1 end
      if detail.reason == "left_out" then
        assert.is_nil(status[member])
        helper.has(detail.message, "not in the request")
      end
    end
    assert.equal("left_out", details.mileage.reason)
    assert.is_nil(reasons.refused)
    -- As the hint of the doctor says.
    bmw.containers = { bmw.containers[9] }
    assert.is_true(client:delete_container(bmw.containers[1].containerId))
    status, details = car:status()
    assert.equal(66, status.chargingLevelHv)
    assert.is_nil(client.store:_container().left_out)
    assert.equal("refused", details.mileage.reason)
    for _, detail in pairs(details) do assert.are_not.equal("left_out", detail.reason) end
  end)

  it("shows saved values that are younger than max_age without a request", function()
    assert.truthy(car:status({ max_age = 600 }))
    assert.equal(FIRST, client:called())
    local status, details = car:status({ max_age = 600 })
    assert.equal(48260, status.mileage)
    assert.equal("cache", details.mileage.source)
    assert.equal(66, car:telematics({ max_age = 600 })[LEVEL].value)
    assert.equal("", client:called())
    local function fetched_at(seconds)
      client.store:_set_values(VIN, {}, os.time() + seconds)
    end
    fetched_at(-601)
    assert.truthy(car:status({ max_age = 600 }))
    assert.equal("telematic_data", client:called())
    fetched_at(1000) -- the clock was wrong
    assert.truthy(car:status({ max_age = 600 }))
    assert.equal("telematic_data", client:called())
    assert.truthy(car:status())
    assert.equal("telematic_data", client:called())
  end)

  it("merges with what is saved: the newest wins", function()
    assert.truthy(car:status())
    bmw.values = { [MILEAGE] = value("48000", "km", 3600), [LEVEL] = value("70", "%", 1) }
    local status, details = car:status()
    assert.equal(48260, status.mileage)
    assert.equal("cache", details.mileage.source)
    assert.equal(70, status.chargingLevelHv)
    assert.equal("rest", details.chargingLevelHv.source)
    -- What BMW sends again is not from the cache.
    assert.equal("rest", select(2, car:status()).chargingLevelHv.source)
  end)

  it("reports the source of a position, which consists of two values", function()
    bmw.values[PLACE .. "latitude"] = value("51.1", "degrees")
    bmw.values[PLACE .. "longitude"] = value("-1.2", "degrees")
    for _ = 1, 2 do
      local status, details = car:status()
      assert.equal(51.1, status.position.lat)
      assert.equal("rest", details.position.source)
    end
    bmw.values[PLACE .. "latitude"] = nil
    assert.equal("cache", select(2, car:status()).position.source)
  end)

  it("works without basic data, and retries only if BMW may have it later", function()
    client.answer.basic_data = { { nil, "away", "network", {} }, refusal("CU-104"),
      { { driveTrain = "PHEV" } } }
    assert.equal(66, car:status().chargingLevelHv)
    assert.equal(66, car:status({ max_age = 600 }).chargingLevelHv)
    assert.equal(FIRST, client:called())
    assert.truthy(car:status())
    assert.truthy(car:status())
    assert.equal("telematic_data basic_data telematic_data", client:called())
    assert.equal("PHEV", car:basic_data().driveTrain)
    assert.truthy(car:status())
    assert.equal("basic_data telematic_data", client:called())
  end)

  it("shows received values even if they cannot be saved", function()
    client.store._set_values = function() return nil, "the disk is full", "store" end
    assert.equal(48260, car:status().mileage)
    assert.truthy(car:status({ max_age = 600 }))
    assert.equal(FIRST .. " telematic_data", client:called())
  end)

  it("fails for a response of another form", function()
    client.answer.telematic_data = { { {} }, { true } }
    helper.fails_as("json", car:status())
    helper.fails_as("json", car:status())
    client.store:_set_container(nil)
    client.answer.containers = { { {} } }
    helper.fails_as("json", car:status())
    client.answer.containers = { { { containers = {} } } }
    client.answer.create_container = { { {} } }
    helper.fails_as("json", car:status())
  end)

  it("makes one container for all tasks", function()
    client.pause = 0.01
    collectgarbage("stop") -- a turn that is not given back would be collected
    finally(function() collectgarbage("restart") end)
    local start = bmwi._sys.monotonic()
    local cars = { car, client:vehicle("WBACARDATA0000002"), client:vehicle("WBACARDATA0000003") }
    local results = async.map(cars, function(one) return one:status() end)
    for i = 1, 3 do assert.equal(48260, results[i].mileage) end
    assert.equal(1, #bmw.containers)
    assert.equal(8, #client.calls)
    client:called()
    bmw.containers[1].state = "DELETED"
    client.remember("W000000000099")
    results = async.map(cars, function(one) return one:status() end)
    for i = 1, 3 do assert.equal(48260, results[i].mileage) end
    assert.equal(2, #bmw.containers)
    assert.equal(8, #client.calls)
    assert.truthy(helper.since(start) < 20)
  end)

  it("makes one container for all that share an account file", function()
    local path = os.tmpname()
    finally(function() helper.shell(("rm -f %s*"):format(helper.quote(path))) end)
    os.remove(path)
    local clients = {}
    for i = 1, 3 do
      clients[i] = double.client(nil, store.new(path))
      clients[i].answer, clients[i].pause = client.answer, 0.01
    end
    local results = async.map(clients, function(one) return one.car:status() end)
    for i = 1, 3 do assert.equal(48260, results[i].mileage) end
    assert.equal(1, #bmw.containers)
  end)

  it("is not blocked by a task that was cancelled meanwhile", function()
    local path = os.tmpname()
    os.remove(path)
    collectgarbage("stop") -- it must not need to be collected
    finally(function()
      collectgarbage("restart")
      helper.shell(("rm -f %s*"):format(helper.quote(path)))
    end)
    open(nil, store.new(path))
    client.pause = 0.01
    local task = async.spawn(function() car:status() end)
    assert.is_false(task:done())
    task:cancel()
    local start = bmwi._sys.monotonic()
    assert.truthy(car:status())
    assert.truthy(helper.since(start) < 20)
  end)

  it("is read of several cars as with the classic service: async.map(cars, car.status)", function()
    local cars = { car, client:vehicle("WBACARDATA0000002") }
    for _, name in ipairs({ "status", "telematics", "basic_data", "image", "tyres" }) do
      client.answer.image = function() return { "\137PNG\r\n\26\n" } end
      client.answer.tyres = function() return { {} } end
      local results, errors = async.map(cars, car[name])
      assert.same({}, errors)
      assert.equal(2, #results, name)
    end
  end)

  it("does not take a lack of memory for a client that was closed", function()
    local full = { _closed = function() return false end, _in_hook = function() return false end,
      _option = function() error("not enough memory", 0) end }
    assert.has_error(function() require("bmwi.cardata.call").call(full, "mappings", {}) end,
      "not enough memory")
  end)

  it("ends with its failure if the client is closed while that is dealt with", function()
    local refused = { api_code = "CU-127", status = 403 }
    for _, case in ipairs({ { "quota", {}, "quota" }, { "not_found", refused, "closed" },
      { "not_found", refused, "not_found", at_once = true } }) do
      local is_open = true
      local account = { _spend = function() return true end,
        _close_day = function() is_open = false end }
      local closing = {}
      function closing._closed() return not is_open end
      function closing._in_hook() return false end
      function closing._option(_, name)
        assert(is_open, "attempt to use a closed client")
        return ({ store = account, daily_limit = 50, retries = 1 })[name]
      end
      function closing._renew(_, token)
        if token then is_open = false end
        return true
      end
      function closing.token()
        assert(is_open, "attempt to use a closed client")
        return { access_token = "a" }
      end
      function closing._exchange()
        is_open = not case.at_once
        return nil, "refused", case[1], case[2]
      end
      local answer, _, found = require("bmwi.cardata.call").call(closing, "mappings", {})
      assert.is_nil(answer)
      assert.equal(case[3], found)
    end
  end)

  -- endpoint, what it answers, the call
  for _, row in ipairs({
    { "mappings", "x", function() return client:vehicles() end },
    { "containers", {}, function() return client:containers() end },
    { "container", {}, function() return client:containers("W1") end },
    { "create_container", {}, function()
      return client:create_container({ name = "n", descriptors = { "a.b" } })
    end },
    { "create_container", {}, function() return car:status() end },
    { "telematic_data", { telematicData = 1 }, function() return car:telematics() end },
    { "basic_data", 1, function() return car:basic_data() end },
    { "image", "text", function() return car:image() end },
    { "tyres", 1, function() return car:tyres() end },
    { "charging_history", {}, function()
      return car:charging_history({ from = os.time() - 86400 })
    end },
    { "charging_settings", {}, function() return car:charging_settings() end },
  }) do
    it("and each call fail with an info table if the response is not what it must be: " .. row[1],
      function()
        client.answer[row[1]] = function() return { row[2] } end
        local message, info = helper.fails_as("json", row[3]())
        helper.has(message, row[1] .. " failed: the response ")
        assert.is_false(info.retryable)
        helper.has(info.hint, "base_url")
      end)
  end

  it("says what to do if BMW has refused all descriptors", function()
    for _, descriptor in ipairs(bmwi._values.descriptors()) do
      assert(client.store:_refuse_descriptor(descriptor))
    end
    local _, info = helper.fails_as("forbidden", car:status())
    assert.is_false(info.retryable)
    helper.has(info.hint, "subscribed")
  end)

  it("fails with an info table if the account cannot be used", function()
    local kept = client.store
    kept.place.read = function() return nil, "it cannot be read", "file" end
    local _, info = helper.fails_as("store", car:status())
    assert.is_table(info)
  end)

  it("refuses wrong options", function()
    helper.has(misused(function() car:status({ max_age = "1" }) end), "max_age")
    helper.has(misused(function() car:status({ max_age = -1 }) end), "max_age")
    helper.has(misused(function() car:status({ age = 1 }) end), "age")
    helper.has(misused(function() car:telematics("1") end), "telematics")
    helper.has(misused(function() car:basic_data(true) end), "basic_data")
    helper.has(misused(function() car:basic_data({ refresh = 1 }) end), "refresh")
    assert.equal("", client:called())
  end)
end)

describe("car:telematics() and car:basic_data()", function()
  it("return everything that is known", function()
    local client = double.client()
    client.bmw.values = { [MILEAGE] = value("48260", "km"),
      [LEVEL] = { unit = "%" }, [FUEL] = value("-NA-", "%") }
    local values = client.car:telematics()
    assert.equal(48260, values[MILEAGE].value)
    assert.equal("48260", values[MILEAGE].raw)
    assert.equal("km", values[MILEAGE].unit)
    assert.is_nil(values[LEVEL].value)
    assert.equal("null", values[LEVEL].empty)
    assert.equal("-NA-", values[FUEL].raw)
    assert.equal("containers create_container telematic_data", client:called())
  end)

  it("keep basic data, until it is refreshed", function()
    local client = double.client()
    local data = client.car:basic_data()
    assert.equal("BEV", data.driveTrain)
    assert.equal(VIN, data.vin)
    assert.equal("BEV", client.car:basic_data().driveTrain)
    assert.equal("basic_data", client:called())
    client.bmw.basic.driveTrain = "PHEV"
    assert.equal("PHEV", client.car:basic_data({ refresh = true }).driveTrain)
    client.answer.basic_data = { { true } }
    helper.fails_as("json", client.car:basic_data({ refresh = true }))
    assert.equal("PHEV", client.car:basic_data().driveTrain)
  end)
end)

describe("car:tyres()", function()
  local client = double.client()
  local function tyres(answer)
    client.answer.tyres = { { answer } }
    return client.car:tyres()
  end
  -- As for a car that reports nothing.
  local function bare()
    return { label = "A tyre", dimension = { label = "Dimension", aspectRatio = 0, loadIndex = 0 },
      runFlat = { label = "Run-flat tyres", runFlat = false }, season = { label = "Season" },
      tyreWear = { label = "Service due in", dueMileage = 0, unit = "KILOMETER" } }
  end

  it("has no value if there are only labels and zeros", function()
    assert.same({ errors = {} }, tyres({ errors = {}, passengerCar = {
      mountedTyres = { label = "Mounted", frontLeft = bare(), rearRight = bare(),
        aggregatedQualityStatus = { label = "Data source" } },
      unmountedTyres = { label = "Unmounted" } } }))
    assert.same({ errors = {} }, tyres({}))
  end)

  it("keeps parts with real values", function()
    local tyre = bare()
    tyre.season = { label = "Season", season = "SUMMER" }
    tyre.tyreWear = { label = "Service due in", value = "now", dueMileage = 0, unit = "KILOMETER" }
    local answer = tyres({ errors = { { type = "e" } }, passengerCar = {
      mountedTyres = { label = "Mounted", frontLeft = tyre, frontRight = bare() } } })
    assert.same({ errors = { { type = "e" } }, mountedTyres = { label = "Mounted",
      frontLeft = { label = "A tyre", season = tyre.season, tyreWear = tyre.tyreWear } } }, answer)
  end)

  it("passes a failure on", function()
    helper.fails_as("json", tyres("x"))
    client.answer.tyres = { refusal("CU-104") }
    helper.fails_as("forbidden", client.car:tyres())
  end)
end)

describe("car:image()", function()
  local client = double.client()
  local PNG, JPEG = "\137PNG\r\n\26\n\0\0\0\13IHDR", "\255\216\255\224\0\16JFIF"

  it("returns PNG or JPEG bytes", function()
    client.answer.image = { { PNG }, { JPEG } }
    assert.same({ PNG, "png" }, { client.car:image() })
    assert.same({ JPEG, "jpeg" }, { client.car:image() })
    assert.equal(VIN, client.calls[1].request.vin)
  end)

  it("refuses any other format", function()
    for _, bytes in ipairs({ "string", "", PNG:sub(1, 7), "\137PNG\n", "\255\216" }) do
      client.answer.image = { { bytes } }
      helper.fails_as("json", client.car:image())
    end
    client.answer.image = { refusal("CU-126") }
    helper.fails_as("not_found", client.car:image())
  end)
end)

describe("client:vehicles()", function()
  local client
  local SECOND = "WMWCARDATA0000004"
  before_each(function() client = double.client() end)

  it("lists the cars with what is known of them", function()
    client.store:_set_basic(VIN, { vin = "other", driveTrain = "BEV", modelName = "i4" })
    client.store:_set_basic(SECOND, { "of an edited file" })
    client.answer.mappings = { { {
      { vin = VIN:lower(), mappingType = "PRIMARY", mappedSince = "2024-03-11T09:15:00Z" },
      { vin = SECOND, mappingType = "SECONDARY" }, "x", { mappingType = "PRIMARY" } } } }
    assert.same({
      { vin = VIN, mappingType = "PRIMARY", mappedSince = "2024-03-11T09:15:00Z",
        driveTrain = "BEV", modelName = "i4", model = "i4" },
      { vin = SECOND, mappingType = "SECONDARY", secondary = true } }, client:vehicles())
    assert.equal("mappings", client:called())
    assert.equal(2, #client.store:_vehicles())
  end)

  it("accepts a single object or an empty list, and nothing else", function()
    client.answer.mappings = { { { vin = VIN, mappingType = "PRIMARY" } }, { {} },
      { { cars = {} } }, { true }, refusal("CU-403") }
    assert.equal(VIN, client:vehicles()[1].vin)
    assert.same({}, client:vehicles())
    helper.fails_as("json", client:vehicles())
    helper.fails_as("json", client:vehicles())
    helper.fails_as("forbidden", client:vehicles())
  end)
end)

describe("client:quota()", function()
  it("reads only the account file", function()
    local client = double.client({ daily_limit = 30 })
    assert.equal(30, client:quota().limit)
    assert.equal(30, client:quota().left)
    assert.equal("", client:called())
  end)
end)

describe("the containers of an account", function()
  local client
  before_each(function() client = double.client() end)

  it("are listed, shown, made and deleted", function()
    local made = client:create_container({ name = "mine", descriptors = { MILEAGE } })
    assert.equal(13, #made.containerId)
    assert.same({ name = "mine", purpose = "mine", technicalDescriptors = { MILEAGE } },
      client.calls[1].request.body)
    assert.equal("mine", client:containers()[1].name)
    assert.same({ MILEAGE }, client:containers(made.containerId).technicalDescriptors)
    assert.is_true(client:delete_container(made.containerId))
    assert.equal("DELETED", client:containers()[1].state)
    assert.equal("create_container containers container delete_container containers",
      client:called())
    local _, info = helper.fails_as("forbidden", client:delete_container("W000000000099"))
    assert.equal("CU-105", info.api_code)
    helper.fails_as("forbidden", client:containers("W000000000099"))
  end)

  it("no longer include bmwi's own once it is deleted", function()
    assert.truthy(client.car:telematics())
    client:called()
    assert.is_true(client:delete_container(client.store:_container().id))
    assert.truthy(client.car:telematics())
    assert.equal("delete_container containers create_container telematic_data", client:called())
  end)

  it("are validated before anything is sent", function()
    for _, options in ipairs({ {}, { name = "x" }, { name = "", descriptors = { MILEAGE } },
      { name = "x", descriptors = {} }, { name = "x", descriptors = { 1 } },
      { name = "x", descriptors = { "a b" } }, { name = "x", descriptors = MILEAGE },
      { name = "x", descriptors = { MILEAGE }, id = 1 } }) do
      misused(function() client:create_container(options) end)
    end
    misused(function() client:create_container() end)
    misused(function() client:delete_container() end)
    misused(function() client:delete_container("../x") end)
    misused(function() client:containers("") end)
    misused(function() client:containers(1) end)
    assert.equal("", client:called())
  end)
end)
