--- The simulator's CarData service, used through the curl program only. The verifier and challenge
--- are those of RFC 7636, appendix B.
local helper = require("spec.helper")
local json = helper.json

local CLIENT = "6b1f5a52-9d2e-4c0f-8a53-1f0c2d3e4b5a"
local GCID = "aa111192-d570-4d3d-8835-656ee00edcd7"
local VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
local CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
local SCOPE = "authenticate_user openid cardata:api:read cardata:streaming:read"
local DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
local BEV, HYBRID, PETROL = "WBYCARDATA0000001", "WBACARDATA0000002", "WBACARDATA0000003"
local SECONDARY = "WMWCARDATA0000004"
local MILEAGE = "vehicle.vehicle.travelledDistance"
local DAY = 24 * 3600

local function decoded(answer)
  local ok, value = pcall(json.decode, answer.body)
  assert(ok, answer.body)
  return value
end

local function encode(text)
  return (text:gsub("[^%w%-_.]", function(c) return ("%%%02X"):format(c:byte()) end))
end

local function iso(epoch)
  return os.date("!%Y-%m-%dT%H:%M:%S.000Z", epoch)
end

describe("the simulated CarData", function()
  local sim, access, sent

  setup(function() sim = helper.start() end)
  teardown(function() sim:stop() end)

  local function post(path, fields)
    local words = {}
    for name, value in pairs(fields) do
      words[#words + 1] = "--data-urlencode"
      words[#words + 1] = name .. "=" .. value
    end
    words[#words + 1] = sim.url .. path
    return helper.curl((unpack or table.unpack)(words)) -- luacheck: ignore
  end

  local function with(fields, changes)
    local out = {}
    for name, value in pairs(fields) do out[name] = value end
    for name, value in pairs(changes or {}) do out[name] = value or nil end
    return out
  end

  local function ask_code(changes)
    return post("/gcdm/oauth/device/code", with({ client_id = CLIENT, scope = SCOPE,
      response_type = "device_code", code_challenge = CHALLENGE,
      code_challenge_method = "S256" }, changes))
  end

  local function poll(code, changes)
    return post("/gcdm/oauth/token", with({ client_id = CLIENT, grant_type = DEVICE_GRANT,
      device_code = code.device_code, code_verifier = VERIFIER }, changes))
  end

  local function refresh(token)
    return post("/gcdm/oauth/token", { client_id = CLIENT, grant_type = "refresh_token",
      refresh_token = token.refresh_token })
  end

  local function login(change) sim:control("POST", "/cardata/login", change) end
  local function tokens(change) sim:control("POST", "/cardata/token", change) end
  local function config(change) sim:control("POST", "/cardata/config", change) end
  local function advance(seconds) sim:control("POST", "/clock", { advance = seconds }) end
  local function quota() return sim:control("GET", "/cardata").quota end
  local function set_car(vin, change) sim:control("POST", "/cardata/car/" .. vin, change) end

  local function log_in()
    local code = decoded(ask_code())
    login({ allow = true })
    return decoded(poll(code))
  end

  local function get(path, ...)
    return helper.curl("-H", "Authorization: Bearer " .. access, "-H", "x-version: v1",
      sim.url .. path, ...)
  end

  local function of(vin, path)
    return get("/customers/vehicles/" .. vin .. "/" .. path)
  end

  local function refused(answer, status, code)
    assert.equal(status, answer.status, answer.body)
    local body = decoded(answer)
    assert.equal(code, body.exveErrorId or body.error)
    return body
  end

  local function create(descriptors, ...)
    return get("/customers/containers", "-d", json.encode({ name = "bmwi", purpose = "v1",
      technicalDescriptors = descriptors }), ...)
  end

  local function telematics(vin, descriptors)
    local id = decoded(create(descriptors)).containerId
    return decoded(of(vin, "telematicData?containerId=" .. id)).telematicData
  end

  before_each(function()
    sim:reset()
    sent = log_in()
    access = sent.access_token
  end)

  describe("gives a code", function()
    it("in the recorded form, without the URL that contains it", function()
      local answer = decoded(ask_code())
      assert.truthy(answer.user_code:match("^%w%w%w%w%w%w%w%w$"))
      assert.equal(sim.url .. "/oneid/link", answer.verification_uri)
      assert.equal(300, answer.expires_in)
      assert.equal(5, answer.interval)
      assert.is_nil(answer.verification_uri_complete)
      login({ complete = true, interval = 1, expires_in = 60 })
      answer = decoded(ask_code())
      assert.equal(sim.url .. "/oneid/link?user_code=" .. answer.user_code,
        answer.verification_uri_complete)
      assert.equal(1, answer.interval)
      assert.equal(60, answer.expires_in)
    end)

    it("only for a correct request", function()
      refused(ask_code({ client_id = CLIENT:upper() }), 401, "invalid_client")
      for _, change in ipairs({ { client_id = false }, { response_type = "code" },
        { code_challenge = false }, { code_challenge = CHALLENGE .. "=" },
        { code_challenge = VERIFIER:gsub("_", "/") }, { code_challenge_method = "plain" },
        { scope = "openid everything" } }) do
        refused(ask_code(change), 400, "invalid_request")
      end
      assert.equal(200, ask_code({ response_type = false }).status)
      tokens({ no_streaming = true })
      refused(ask_code(), 400, "invalid_request")
      assert.equal(200, ask_code({ scope = "openid cardata:api:read" }).status)
    end)
  end)

  describe("is polled", function()
    it("twice in vain before the user has allowed it", function()
      login({ interval = 0 })
      local code = decoded(ask_code())
      refused(poll(code), 403, "authorization_pending")
      refused(poll(code), 403, "authorization_pending")
      local token = decoded(poll(code))
      assert.equal("Bearer", token.token_type)
      assert.equal(3599, token.expires_in)
      assert.equal(SCOPE, token.scope)
      assert.equal(GCID, token.gcid)
      refused(poll(code), 400, "invalid_grant") -- consumed
    end)

    it("too fast, which permanently raises the interval", function()
      login({ allow_after = json.null })
      local code = decoded(ask_code())
      refused(poll(code), 403, "authorization_pending")
      refused(poll(code), 400, "slow_down")
      advance(6)
      refused(poll(code), 400, "slow_down")
      advance(16)
      refused(poll(code), 403, "authorization_pending")
    end)

    it("until the user says yes or no on the page", function()
      login({ allow_after = json.null, interval = 0 })
      local code = decoded(ask_code())
      local page = helper.curl(code.verification_uri .. "?user_code=" .. code.user_code)
      assert.equal(200, page.status)
      assert.truthy(page.body:find('value="' .. code.user_code .. '"', 1, true))
      assert.truthy(page.body:find("Allow", 1, true))
      refused(poll(code), 403, "authorization_pending")
      assert.equal(200, post("/oneid/link", { user_code = code.user_code, action = "deny" }).status)
      refused(poll(code), 403, "access_denied")
      assert.equal(200,
        post("/oneid/link", { user_code = code.user_code, action = "allow" }).status)
      assert.equal(200, poll(code).status)
      assert.equal(404, post("/oneid/link", { user_code = "nobody", action = "allow" }).status)
      assert.equal(404, helper.curl(code.verification_uri .. "?user_code=nobody").status)
    end)

    it("with another verifier, client or code in vain", function()
      local code = decoded(ask_code())
      login({ allow = true })
      refused(poll(code, { code_verifier = VERIFIER:reverse() }), 400, "invalid_grant")
      refused(poll(code, { device_code = "other" }), 400, "invalid_grant")
      refused(poll(code, { client_id = CLIENT:upper() }), 401, "invalid_client")
      refused(poll(code, { grant_type = "password" }), 400, "invalid_request")
      assert.equal(200, poll(code).status)
    end)

    it("until the code has expired", function()
      local code = decoded(ask_code())
      advance(301)
      refused(poll(code), 401, "expired_token")
    end)

    it("with the responses that a test sets", function()
      login({ interval = 0, answers = { "gateway_fault", "access_denied", "expired_token_400",
        "slow_down", "page_502", "ok" } })
      local code = decoded(ask_code())
      local fault = poll(code)
      assert.equal(500, fault.status)
      assert.equal("keymanagement.service.invalid_access_token",
        decoded(fault).fault.detail.errorcode)
      refused(poll(code), 403, "access_denied")
      refused(poll(code), 400, "expired_token")
      refused(poll(code), 400, "slow_down")
      local page = poll(code)
      assert.equal(502, page.status)
      assert.equal("text/html", page.headers["content-type"])
      assert.equal(200, poll(code).status)
      assert.has_error(function() login({ answers = { "nonsense" } }) end)
      assert.has_error(function() login({ answer = {} }) end)
      assert.has_error(function() login({ interval = "1" }) end)
    end)
  end)

  describe("gives tokens", function()
    it("with a JWT of the usual length", function()
      local function claims_of(token)
        local head, claims, signature = token:match("^([%w_-]+)%.([%w_-]+)%.([%w_-]+)$")
        assert.truthy(head and #signature == 342)
        local text = claims:gsub("-", "+"):gsub("_", "/")
        return json.decode(require("bmwi").base64.decode(text .. ("="):rep(-#text % 4)))
      end
      assert.truthy(#sent.id_token > 1200 and #sent.id_token < 1500, #sent.id_token)
      local claims = claims_of(sent.id_token)
      assert.equal(GCID, claims.gcid)
      assert.equal(3599, claims.exp - claims.iat)
      assert.equal("read:streaming/*/" .. GCID .. ".*", claims.dynamic_scopes[1])
      tokens({ no_dynamic_scopes = true })
      assert.same({}, claims_of(decoded(refresh(sent)).id_token).dynamic_scopes)
    end)

    it("renewed by refresh tokens that work once", function()
      local second = decoded(refresh(sent))
      assert.not_equal(sent.refresh_token, second.refresh_token)
      assert.not_equal(sent.id_token, second.id_token)
      assert.equal(SCOPE, second.scope)
      local dead = refused(refresh(sent), 400, "invalid_request")
      assert.truthy(dead.error_description:find("missing a required parameter", 1, true))
      local third = decoded(refresh(second))
      tokens({ reuse_kills = true })
      refused(refresh(second), 400, "invalid_request")
      refused(refresh(third), 400, "invalid_request")
    end)

    it("for 14 days, unless the client is deleted", function()
      advance(13.9 * DAY)
      local second = decoded(refresh(sent))
      advance(14.1 * DAY)
      refused(refresh(second), 400, "invalid_request")
      local other = log_in()
      tokens({ no_api = true })
      refused(refresh(other), 400, "invalid_request")
    end)

    it("in the observed variants", function()
      tokens({ no_gcid = true, no_refresh_token = true, scope_turned = true, same_id_token = true,
        expires_in = 20 })
      local token = decoded(refresh(sent))
      assert.is_nil(token.gcid)
      assert.is_nil(token.refresh_token)
      assert.equal(sent.id_token, token.id_token)
      assert.equal("cardata:streaming:read cardata:api:read openid authenticate_user", token.scope)
      assert.equal(20, token.expires_in)
      assert.equal(200, refresh(sent).status) -- nothing came in its place
      tokens({ scope = "openid" })
      access = decoded(refresh(sent)).access_token
      refused(get("/customers/vehicles/mappings"), 403, "CU-103")
    end)

    it("on the same path as the classic service", function()
      local answer = helper.curl("-H", "Authorization: Basic a2V5OnNlY3JldA==", "-d",
        "grant_type=password&username=whatever%40example.com&password=p4ssw0rd" ..
        "&scope=vehicle_data", sim.url .. "/gcdm/oauth/token")
      assert.equal(200, answer.status)
      assert.equal("JOY", answer.headers["x-powered-by"])
      assert.is_nil(ask_code().headers["x-powered-by"])
    end)
  end)

  describe("responds", function()
    it("only to a token and with the version", function()
      local path = "/customers/vehicles/mappings"
      refused(helper.curl(sim.url .. path), 401, "CU-100")
      refused(helper.curl("-H", "Authorization: Bearer x", sim.url .. path), 401, "CU-101")
      refused(helper.curl("-H", "Authorization: Bearer " .. access, sim.url .. path), 400, "CU-400")
      tokens({ expire = true })
      refused(get(path), 401, "CU-102")
      refused(get("/customers/nothing"), 404, "CU-400")
    end)

    it("the cars as an array", function()
      local list = decoded(get("/customers/vehicles/mappings"))
      assert.equal(4, #list)
      assert.equal(BEV, list[1].vin)
      assert.equal("PRIMARY", list[1].mappingType)
      assert.equal("SECONDARY", list[4].mappingType)
      refused(of(SECONDARY, "basicData"), 403, "CU-104")
      refused(of("WBA00000000000000", "basicData"), 403, "CU-104")
      refused(of(BEV:lower(), "basicData"), 400, "CU-120")
      refused(of("WBA", "basicData"), 400, "CU-120")
    end)

    it("basic data without a VIN", function()
      local data = decoded(of(BEV, "basicData"))
      assert.is_nil(data.vin)
      assert.equal("BEV", data.driveTrain)
      assert.equal("DE", data.countryCode)
      assert.equal("CONV", decoded(of(PETROL, "basicData")).driveTrain)
    end)

    it("with values as strings, and three kinds of empty ones", function()
      local BATTERY = "vehicle.electricalSystem.battery."
      local ALTITUDE = "vehicle.cabin.infotainment.navigation.currentLocation.altitude"
      local asked = { MILEAGE, BATTERY .. "stateOfCharge", BATTERY .. "voltage", ALTITUDE,
        "vehicle.body.flap.isOpen", "vehicle.look.image",
        "vehicle.drivetrain.electricEngine.charging.hvStatus" }
      local first = telematics(BEV, asked)
      assert.equal("48260", first[MILEAGE].value)
      assert.equal("km", first[MILEAGE].unit)
      assert.truthy(first[MILEAGE].timestamp:match("^20%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$"))
      assert.same({ value = json.null, timestamp = json.null, unit = "%" },
        first[BATTERY .. "stateOfCharge"])
      assert.same({ value = json.null, timestamp = json.null, unit = json.null },
        first["vehicle.body.flap.isOpen"])
      assert.equal("-NA-", first[ALTITUDE].value)
      assert.is_nil(first["vehicle.look.image"]) -- it has an end point of its own
      local slow = first[BATTERY .. "voltage"].timestamp
      assert.truthy(slow < iso(os.time() - 30 * 3600), slow)
      -- The snapshot does not change, except what is stamped at each request.
      advance(60)
      local second = telematics(BEV, asked)
      assert.equal(first[MILEAGE].timestamp, second[MILEAGE].timestamp)
      local STATUS = "vehicle.drivetrain.electricEngine.charging.hvStatus"
      assert.truthy(second[STATUS].timestamp > first[STATUS].timestamp)
      set_car(BEV, { telematicData = { [MILEAGE] = json.null } })
      assert.is_nil(telematics(BEV, asked)[MILEAGE])
      set_car(BEV, { telematicData = { [MILEAGE] = { value = "36000", unit = "miles", age = 5 } } })
      local third = telematics(BEV, { MILEAGE })
      assert.equal("miles", third[MILEAGE].unit)
      assert.truthy(third[MILEAGE].timestamp > second[MILEAGE].timestamp)
      assert.is_nil(third[MILEAGE].age)
    end)

    it("pictures as PNG and JPEG, or none", function()
      local png, jpeg = of(BEV, "image"), of(HYBRID, "image")
      assert.equal("image/png", png.headers["content-type"])
      assert.equal("\137PNG\r\n\26\n", png.body:sub(1, 8))
      assert.equal("image/jpeg", jpeg.headers["content-type"])
      assert.equal("\255\216\255", jpeg.body:sub(1, 3))
      assert.equal("\255\217", jpeg.body:sub(-2))
      refused(of(PETROL, "image"), 404, "CU-126")
      set_car(BEV, { image = "untyped" })
      assert.equal("text/plain", of(BEV, "image").headers["content-type"])
    end)

    it("charging settings and tyres", function()
      local settings = decoded(of(BEV, "locationBasedChargingSettings"))
      assert.equal("home", settings.data[1].clusterLocationId)
      refused(of(PETROL, "locationBasedChargingSettings"), 404, "CU-127")
      local list = {}
      for i = 1, 12 do list[i] = { id = "l" .. i } end
      set_car(BEV, { locationBasedChargingSettings = list })
      settings = decoded(of(BEV, "locationBasedChargingSettings"))
      assert.equal(10, #settings.data)
      local rest = decoded(of(BEV,
        "locationBasedChargingSettings?nextToken=" .. encode(settings.nextToken)))
      assert.equal("l11", rest.data[1].id)
      assert.is_nil(rest.nextToken)
      local tyres = decoded(of(BEV, "smartMaintenanceTyreDiagnosis"))
      assert.equal("YELLOW", tyres.passengerCar.mountedTyres.rearLeft.tyreWear.statusColor)
      assert.equal(0, #tyres.errors)
    end)
  end)

  describe("has a charging history", function()
    local function history(from, to, token)
      return of(BEV, "chargingHistory?from=" .. encode(from) .. "&to=" .. encode(to)
        .. (token and "&nextToken=" .. encode(token) or ""))
    end

    it("of ten sessions a page", function()
      local now = os.time()
      local from, to = iso(now - 44 * DAY), iso(now)
      local seen, pages, token = {}, 0, nil
      repeat
        local page = decoded(history(from, to, token))
        pages, token = pages + 1, page.next_token
        for _, session in ipairs(page.data) do
          assert.is_nil(seen[session.startTime])
          seen[session.startTime] = true
          seen[#seen + 1] = session
        end
      until not token
      assert.equal(3, pages)
      assert.equal(23, #seen)
      assert.equal("MileageUnits.KM", seen[1].mileageUnits)
      assert.is_nil(seen[3].chargingBlocks) -- missing now and then
      assert.equal(5, #decoded(history(iso(now - 8 * DAY), to)).data)
    end)

    it("that refuses other times, longer spans and old tokens", function()
      local now = os.time()
      local from, to = iso(now - 30 * DAY), iso(now)
      refused(of(BEV, "chargingHistory"), 400, "CU-401")
      refused(history(tostring(now - DAY), tostring(now)), 400, "CU-401")
      refused(history(iso(now - 60 * DAY), to), 400, "CU-401")
      refused(history(to, from), 400, "CU-401")
      local token = decoded(history(from, to)).next_token
      refused(of(BEV, "chargingHistory?from=" .. encode(from) .. "&to=" .. encode(to) ..
        "&nextToken=" .. token), 400, "CU-125") -- a plus sign that was not encoded
      advance(301)
      refused(history(from, to, token), 400, "CU-125")
    end)

    it("with a page that always fails, or with endless pages", function()
      local now = os.time()
      local from, to = iso(now - 44 * DAY), iso(now)
      config({ history_broken_page = 2 })
      local token = decoded(history(from, to)).next_token
      for _ = 1, 2 do refused(history(from, to, token), 500, "CU-500") end
      config({ history_broken_page = 0, history_endless = true })
      for _ = 1, 5 do
        token = decoded(history(from, to, token)).next_token
        assert.is_string(token)
      end
    end)
  end)

  describe("keeps containers", function()
    local LIST = "/customers/containers"

    it("that are created, shown, deleted, and stay in the list", function()
      local answer = create({ MILEAGE })
      assert.equal(201, answer.status)
      local made = decoded(answer)
      assert.equal(13, #made.containerId)
      local listed = decoded(get(LIST)).containers
      assert.equal(1, #listed)
      assert.equal("ACTIVE", listed[1].state)
      assert.is_nil(listed[1].technicalDescriptors)
      assert.same({ MILEAGE }, decoded(get(LIST .. "/" .. made.containerId)).technicalDescriptors)
      assert.not_equal(made.containerId, decoded(create({ MILEAGE })).containerId)
      assert.equal(204, get(LIST .. "/" .. made.containerId, "-X", "DELETE").status)
      refused(get(LIST .. "/" .. made.containerId, "-X", "DELETE"), 208, "CU-122")
      assert.equal("DELETED", decoded(get(LIST)).containers[1].state)
      refused(of(BEV, "telematicData?containerId=" .. made.containerId), 403, "CU-105")
      advance(29 * DAY + 1)
      access = log_in().access_token
      assert.equal(1, #decoded(get(LIST)).containers)
    end)

    it("and refuses invalid requests", function()
      refused(get(LIST .. "/W00J029D733HA"), 403, "CU-105")
      refused(get(LIST .. "/undefined"), 400, "CU-121")
      refused(of(BEV, "telematicData"), 400, "CU-401")
      refused(get(LIST, "-d", '{"name":"x"}'), 400, "CU-400")
      refused(get(LIST, "-d", "x"), 400, "CU-400")
      refused(create({ MILEAGE, "car.mileage" }), 400, "CU-402")
      config({ refused = { MILEAGE } })
      refused(create({ MILEAGE }), 400, "CU-402")
      refused(helper.curl("-H", "Authorization: Bearer " .. access, "-X", "DELETE",
        sim.url .. LIST .. "/W00J029D733HA"), 400, "CU-400") -- no x-version
    end)

    it("ten of them, with or without the deleted ones", function()
      config({ container_status = 200 })
      local last
      for _ = 1, 10 do
        local answer = create({ MILEAGE })
        assert.equal(200, answer.status)
        last = decoded(answer).containerId
      end
      refused(create({ MILEAGE }), 403, "CU-124")
      get(LIST .. "/" .. last, "-X", "DELETE")
      refused(create({ MILEAGE }), 403, "CU-124")
      config({ deleted_uncounted = true })
      assert.equal(200, create({ MILEAGE }).status)
    end)
  end)

  describe("counts calls", function()
    local LIST = "/customers/vehicles/mappings"

    it("of the whole account, including failed ones, but not the log-in", function()
      assert.same({ limit = 50, used = 0, left = 50 }, quota())
      get(LIST)
      of("WBA", "basicData")
      create({ "x" })
      sim:fault({ path = LIST, recorded = "CU-500" })
      refused(get(LIST), 500, "CU-500")
      helper.curl(sim.url .. LIST) -- nobody's
      access = log_in().access_token
      get(LIST)
      assert.equal(5, quota().used)
    end)

    it("until none is left, and resets at midnight UTC", function()
      sim:control("POST", "/cardata/spend", { calls = 49 })
      assert.equal(200, get(LIST).status)
      refused(get(LIST), 403, "CU-429")
      assert.equal(0, quota().left)
      config({ quota_status_429 = true, quota_retry_after = 600 })
      local answer = get(LIST)
      refused(answer, 429, "CU-429")
      assert.equal("600", answer.headers["retry-after"])
      local now = sim:control("GET", "/log").requests
      now = now[#now].time
      tokens({ expires_in = 3 * DAY })
      access = log_in().access_token
      advance(DAY - now % DAY + 1)
      assert.equal(200, get(LIST).status)
      assert.equal(1, quota().used)
    end)

    it("or 24 hours after each", function()
      config({ quota_rolling = true, quota = 2 })
      tokens({ expires_in = 3 * DAY })
      access = log_in().access_token
      get(LIST)
      advance(DAY - 10)
      get(LIST)
      refused(get(LIST), 403, "CU-429")
      advance(20)
      assert.equal(200, get(LIST).status)
      refused(get(LIST), 403, "CU-429")
    end)
  end)

  it("fails on demand with each error by its name", function()
    local statuses = { ["CU-100"] = 401, ["CU-101"] = 401, ["CU-102"] = 401, ["CU-103"] = 403,
      ["CU-104"] = 403, ["CU-105"] = 403, ["CU-120"] = 400, ["CU-121"] = 400, ["CU-122"] = 208,
      ["CU-124"] = 403, ["CU-125"] = 400, ["CU-126"] = 404, ["CU-127"] = 404,
      ["CU-127-token"] = 403, ["CU-400"] = 400, ["CU-401"] = 400, ["CU-402"] = 400,
      ["CU-403"] = 403, ["CU-429"] = 403, ["CU-429-status"] = 429, ["CU-500"] = 500,
      ["CU-503"] = 503 }
    for name, status in pairs(statuses) do
      sim:fault({ path = "/mappings", recorded = name })
      refused(get("/customers/vehicles/mappings"), status, name:match("^CU%-%d+"))
    end
    local bodies = { xml_error = "^<%?xml", broken_utf8 = "\255\195", empty_403 = "^$",
      page_503 = "^<html>" }
    for name, pattern in pairs(bodies) do
      sim:fault({ path = "/mappings", recorded = name })
      assert.truthy(get("/customers/vehicles/mappings").body:find(pattern), name)
    end
  end)

  it("sends the date of its own clock, unless a fault has another", function()
    local function date() return get("/customers/containers").headers.date end
    local function off(seconds)
      advance(seconds)
      local dates, shown = {}, date()
      for late = -2, 5 do -- a sum of whole seconds: it may be a moment later
        dates[#dates + 1] = os.date("!%a, %d %b %Y %H:%M:%S GMT", os.time() + seconds - late)
      end
      assert.truthy(table.concat(dates, "|"):find(shown, 1, true), shown)
    end
    off(0)
    off(40 * DAY)
    sim:fault({ path = "/containers", status = 200, headers = { Date = "yesterday" } })
    assert.equal("yesterday", date())
    sim:reset()
    off(0)
  end)

  it("shows and changes its cars under /_sim", function()
    assert.equal("PRIMARY", sim:control("GET", "/cardata/car/" .. BEV).mappingType)
    set_car("WBACARDATA0000009", { basicData = { driveTrain = "MHEV" } })
    assert.equal("MHEV", decoded(of("WBACARDATA0000009", "basicData")).driveTrain)
    set_car(BEV, { basicData = { series = "5" }, mappingType = "PRIMARY", chargingHistory = {} })
    local data = decoded(of(BEV, "basicData"))
    assert.equal("5", data.series)
    assert.equal("BEV", data.driveTrain)
    for _, vin in ipairs({ BEV, HYBRID, PETROL, SECONDARY, "WBACARDATA0000009" }) do
      set_car(vin, { mappingType = json.null })
    end
    assert.equal("[]", get("/customers/vehicles/mappings").body)
    refused(of(BEV, "basicData"), 403, "CU-104")
    assert.has_error(function() set_car(BEV, { status = {} }) end)
    assert.has_error(function() sim:control("GET", "/cardata/car/WBA") end)
    assert.has_error(function() config({ quota = -1 }) end)
    assert.has_error(function() config({ qouta = 1 }) end)
    assert.has_error(function() tokens({ scope = 1 }) end)
  end)
end)
