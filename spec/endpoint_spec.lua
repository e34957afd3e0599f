--- What goes over the wire for each endpoint, byte by byte, and to which server.
--- One simulator with TLS plays all servers: its certificate has all their names, and the option
--- `connect_to` leads there.
local helper = require("spec.helper")
local bmwi = require("bmwi")
local json = helper.json

local VIN = helper.vin
local US_VIN, CN_VIN, ODD_VIN = "WBY1Z2C50EV000001", "WBY1Z2C50EV000002", "WBY1Z2C50EV000003"
local LIST = "/webapi/v1/user/vehicles/"
local HOSTS = { usa = "b2vapi.bmwgroup.us", china = "b2vapi.bmwgroup.cn:8592",
  rest_of_world = "b2vapi.bmwgroup.com" }
local NAVIGATION_HOST = "www.bmw-connecteddrive.de"
local JSON, PNG = "application/json", "image/png"

local function an_entry(vin, hub)
  return { vin = vin, hub = hub, model = "i3", bodytype = "I01" }
end

local CARS = json.encode({ an_entry(VIN, "HUB_ECE"), an_entry(US_VIN, "HUB_US"),
  an_entry(CN_VIN, "HUB_CN"), an_entry(ODD_VIN, "HUB_MOON") })

-- method, what to call it with, and the request it makes; the path follows that of the car.
local WIRE = {
  { "status", {}, "GET", "/status" },
  { "last_trip", {}, "GET", "/statistics/lastTrip" },
  { "all_trips", {}, "GET", "/statistics/allTrips" },
  { "charging_profile", {}, "GET", "/chargingprofile" },
  { "destinations", {}, "GET", "/destinations" },
  { "range_map", {}, "GET", "/rangemap" },
  { "image", {}, "GET", "/image", accept = PNG },
  { "image", { { view = "SIDE" } }, "GET", "/image", query = "view=SIDE", accept = PNG },
  { "execution", { "DOOR_LOCK" }, "GET", "/serviceExecutionStatus",
    query = "serviceType=DOOR_LOCK" },
  { "execute", { "VEHICLE_FINDER" }, "POST", "/executeService",
    body = "serviceType=VEHICLE_FINDER" },
  { "lock_doors", {}, "POST", "/executeService", body = "serviceType=DOOR_LOCK" },
  { "send_poi", { { lat = 48.5, lon = 11, name = "Café" } }, "POST", "/sendpoi",
    body = "data=%7B%22poi%22%3A%7B%22lat%22%3A48.5%2C%22lon%22%3A11%2C%22name%22%3A%22" ..
      "Caf%C3%A9%22%7D%7D" },
}

describe("endpoints", function()
  local sim, client

  setup(function()
    sim = helper.start({ tls = true, vehicles = CARS, args = { "--speed", "100" } })
  end)

  teardown(function()
    sim:stop()
  end)

  before_each(function()
    sim:reset()
  end)

  after_each(function()
    if client then
      client:close()
      client = nil
    end
  end)

  local function mine(overrides)
    client = bmwi.new(helper.client(sim, overrides))
    return client
  end

  -- A client of the real servers' names.
  local function real(overrides)
    local options = helper.client(sim, overrides)
    options.base_url = nil
    options.region = options.region or "rest_of_world"
    options.connect_to = {}
    for _, host in ipairs({ "b2vapi.bmwgroup.com:443", "b2vapi.bmwgroup.us:443",
      "b2vapi.bmwgroup.cn:8592", NAVIGATION_HOST .. ":443" }) do
      table.insert(options.connect_to, host .. ":127.0.0.1:" .. sim.port)
    end
    client = bmwi.new(options)
    return client
  end

  local function last()
    local log = sim:log()
    return log[#log]
  end

  -- Only these headers, so nothing that reveals the user or confuses a gateway.
  local function check_headers(request, accept, authorization)
    local headers = request.headers
    assert.equal(accept, headers.accept)
    assert.equal(authorization, headers.authorization)
    assert.equal("bmwi/" .. bmwi._VERSION, headers["user-agent"])
    local left = {}
    for name in pairs(headers) do left[name] = true end
    for _, name in ipairs({ "accept", "authorization", "user-agent", "host", "accept-encoding" }) do
      left[name] = nil
    end
    if request.method == "POST" then
      assert.equal("application/x-www-form-urlencoded", headers["content-type"])
      assert.equal(tostring(#request.body), headers["content-length"])
      left["content-type"], left["content-length"] = nil, nil
    end
    assert.same({}, left)
  end

  describe("on the wire", function()
    it("the log-in is the API description's own", function()
      assert.is_true(mine():login())
      local log = sim:log()
      assert.equal(1, #log)
      assert.equal("POST", log[1].method)
      assert.equal("/webapi/oauth/token/", log[1].path)
      assert.equal("", log[1].query)
      assert.equal("grant_type=password&username=whatever%40example.com&password=p4ssw0rd" ..
        "&scope=remote_services+vehicle_data", log[1].body)
      check_headers(log[1], JSON, "Basic a2V5OnNlY3JldA==")
    end)

    it("the vehicle list", function()
      local list = mine():vehicles()
      assert.equal(4, #list)
      local request = last()
      assert.equal("GET", request.method)
      assert.equal(LIST, request.path)
      assert.equal("", request.query)
      assert.equal("", request.body)
      check_headers(request, JSON, "Bearer " .. client:token().access_token)
    end)

    for _, row in ipairs(WIRE) do
      local name = row[1] .. (row.query and " with " .. row.query or "")
      it(name, function()
        local car = mine():vehicle(VIN)
        local before = 1 -- the log-in
        if row[1] == "execution" then
          assert.is_table(car:lock_doors())
          before = 2
        end
        assert.truthy(car[row[1]](car, row[2][1]))
        local log = sim:log()
        assert.equal(before + 1, #log)
        local request = log[#log]
        assert.equal(row[3], request.method)
        assert.equal(LIST .. VIN .. row[4], request.path)
        assert.equal(row.query or "", request.query)
        assert.equal(row.body or "", request.body)
        check_headers(request, row.accept or JSON, "Bearer " .. client:token().access_token)
      end)
    end

    it("navigation", function()
      assert.is_table(mine():vehicle(VIN):navigation())
      local request = last()
      assert.equal("GET", request.method)
      assert.equal("/api/vehicle/navigation/v1/" .. VIN, request.path)
      assert.equal("", request.query .. request.body)
      check_headers(request, JSON, "Bearer " .. client:token().access_token)
    end)

    it("sends no cookies back and follows no redirect", function()
      mine():login()
      sim:fault({ path = "/vehicles", headers = { ["Set-Cookie"] = "a=b; Path=/" } })
      assert.is_table(client:vehicles())
      sim:clear()
      sim:fault({ path = "/vehicles", status = 302,
        headers = { Location = sim.url .. LIST .. "elsewhere" } })
      local list, _, code, info = client:vehicles()
      assert.is_nil(list)
      assert.equal("http", code)
      assert.equal(302, info.status)
      assert.is_table(client:vehicles())
      local log = sim:log()
      assert.equal(2, #log)
      check_headers(log[2], JSON, "Bearer " .. client:token().access_token)
    end)

    it("keeps the connection for what is read", function()
      mine():vehicles()
      client:vehicles()
      local log = sim:log()
      assert.equal(log[2].connection, log[3].connection)
      assert.equal("https", log[3].scheme)
    end)
  end)

  describe("in regions", function()
    for region, host in pairs(HOSTS) do
      it("go to " .. host .. " for " .. region, function()
        assert.is_table(real({ region = region }):vehicles())
        local log = sim:log()
        assert.equal(2, #log)
        assert.equal(host, log[1].headers.host)
        assert.equal(LIST, log[2].path)
        assert.equal(host, log[2].headers.host)
        assert.equal("https://" .. host, bmwi.regions[region])
      end)
    end

    it("send navigation to its own host, with the same token", function()
      assert.is_table(real():vehicle(VIN):navigation())
      local log = sim:log()
      assert.equal(2, #log)
      assert.equal(HOSTS.rest_of_world, log[1].headers.host)
      assert.equal(NAVIGATION_HOST, log[2].headers.host)
      assert.equal("Bearer " .. client:token().access_token, log[2].headers.authorization)
    end)

    it("check the certificate against the real name all the same", function()
      local options = helper.client(sim)
      options.base_url = "https://b2vapi.bmwgroup.com"
      options.ca_file, options.timeout, options.connect_timeout = nil, 60, 60
      options.connect_to = { "b2vapi.bmwgroup.com:443:127.0.0.1:" .. sim.port }
      client = bmwi.new(options)
      assert.equal("tls", (select(3, client:login())))
      assert.equal(0, #sim:log())
    end)
  end)

  describe("for a car's hub (trap 3)", function()
    it("belong to its region, with that region's own token", function()
      real()
      assert.equal(4, #client:vehicles())
      local home = client:token().access_token
      sim:clear()
      for vin, host in pairs({ [US_VIN] = HOSTS.usa, [CN_VIN] = HOSTS.china }) do
        local car = client:vehicle(vin)
        assert.is_table(car:status())
        assert.is_table(car:last_trip())
        assert.is_table(car:lock_doors())
        local log = sim:log()
        assert.equal(4, #log)
        assert.equal("/webapi/oauth/token/", log[1].path)
        for i = 1, 4 do assert.equal(host, log[i].headers.host) end
        for i = 2, 4 do
          assert.not_equal("Bearer " .. home, log[i].headers.authorization)
          assert.equal(log[2].headers.authorization, log[i].headers.authorization)
        end
        sim:clear()
      end
      assert.is_table(client:vehicle(VIN):status())
      assert.equal(HOSTS.rest_of_world, last().headers.host)
      assert.equal("Bearer " .. home, last().headers.authorization)
      assert.equal(home, client:token().access_token)
    end)

    it("are the home region's if the hub is unknown, or the list was not read", function()
      real({ region = "usa" })
      assert.is_table(client:vehicle(VIN):status())
      assert.equal(HOSTS.usa, last().headers.host)
      client:vehicles()
      assert.is_table(client:vehicle(ODD_VIN):status())
      assert.equal(HOSTS.usa, last().headers.host)
      assert.is_table(client:vehicle(VIN):status())
      assert.equal(HOSTS.rest_of_world, last().headers.host)
    end)

    it("apply to a car object that was created before the list was read", function()
      local car = real():vehicle(US_VIN)
      client:vehicles()
      assert.is_table(car:status())
      assert.equal(HOSTS.usa, last().headers.host)
    end)

    it("renew that region's token only", function()
      real()
      client:vehicles()
      local car = client:vehicle(US_VIN)
      car:status()
      local home = client:token().access_token
      sim:token({ expire = true })
      sim:clear()
      assert.is_table(car:status())
      local log = sim:log()
      assert.equal(3, #log)
      assert.equal(HOSTS.usa, log[2].headers.host)
      assert.matches("^grant_type=refresh_token&", log[2].body)
      assert.equal(home, client:token().access_token)
    end)

    it("stay at base_url if that was given", function()
      mine()
      client:vehicles()
      sim:clear()
      for _, vin in ipairs({ US_VIN, CN_VIN, VIN }) do
        assert.is_table(client:vehicle(vin):status())
        assert.equal("127.0.0.1:" .. sim.port, last().headers.host)
      end
      assert.equal(0, sim:count("POST", "/token"))
    end)
  end)

  describe("for navigation", function()
    it("are at base_url too, so that no token goes to another server", function()
      mine():vehicle(VIN):navigation()
      assert.equal("127.0.0.1:" .. sim.port, last().headers.host)
    end)

    it("are at navigation_url if that was given", function()
      mine({ navigation_url = "https://localhost:" .. sim.port }):vehicle(VIN):navigation()
      assert.equal("localhost:" .. sim.port, last().headers.host)
      client:vehicles()
      assert.equal("127.0.0.1:" .. sim.port, last().headers.host)
    end)
  end)

  describe("and a VIN", function()
    it("is upper-cased", function()
      local car = mine():vehicle(VIN:lower())
      assert.equal(VIN, car:vin())
      assert.is_table(car:status())
      assert.equal(LIST .. VIN .. "/status", last().path)
    end)

    it("that is invalid is never sent", function()
      mine()
      for _, text in ipairs({ "../x", "A\r\nX: y", "", VIN:sub(1, 16), VIN .. "7",
        "WAB1C23456V12345/", "WAB1C23456V12345?", "WAB1C23456V12345 ", "WAB1C23456V12345%",
        "WAB1C23456V12345\0", "WAB1C23456V1234\195\164", "../../../../../..",
        VIN .. "\r\nX: y" }) do
        assert.has_error(function() client:vehicle(text):status() end)
      end
      for _, value in ipairs({ {}, true, 12345 }) do
        assert.has_error(function() client:vehicle(value) end)
      end
      assert.has_error(function() client:vehicle() end)
      assert.equal(0, #sim:log())
    end)

    it("is shown by the refusal, on one line", function()
      mine()
      for text, shown in pairs({ WBA123 = "'WBA123'",
        [VIN .. "\27[31m\n8"] = "'" .. VIN .. " [31m 8'",
        [""] = "''", [("\195\188"):rep(300)] = "'" .. ("\195\188"):rep(20) .. "'",
        [("x") .. ("\195\188"):rep(300)] = "'x" .. ("\195\188"):rep(19) .. "'" }) do
        local ok, message = pcall(client.vehicle, client, text)
        assert.is_false(ok)
        assert.truthy(message:find(shown .. " is not a VIN (17 characters", 1, true), message)
      end
    end)

    it("may contain the letters of test cars, and is upper-cased", function()
      local car = mine():vehicle("wba00000000demoIQ")
      assert.equal("WBA00000000DEMOIQ", car:vin())
      car:status()
      local log = sim:log()
      assert.truthy(log[#log].path:find("/WBA00000000DEMOIQ/", 1, true))
    end)
  end)

  describe("of arbitrary paths", function()
    it("are requested with a query, and returned decoded, with their envelope", function()
      mine()
      local answer = client:get("/webapi/v1/user/vehicles",
        { c = "a b&c=d%+\195\169", a = 1, b = true, ["d e"] = "" })
      assert.equal(4, #answer.vehicles)
      local request = last()
      assert.equal("GET", request.method)
      assert.equal("/webapi/v1/user/vehicles", request.path)
      assert.equal("a=1&b=true&c=a%20b%26c%3Dd%25%2B%C3%A9&d%20e=", request.query)
      assert.equal("", request.body)
      check_headers(request, JSON, "Bearer " .. client:token().access_token)
    end)

    it("accept repeated query names", function()
      mine()
      client:get("/webapi/v1/user/vehicles", { b = { 2, "x&y", true }, a = 1 })
      assert.equal("a=1&b=2&b=x%26y&b=true", last().query)
      client:post(LIST .. VIN .. "/executeService", { serviceType = { "LIGHT_FLASH" } })
      assert.equal("serviceType=LIGHT_FLASH", last().body)
      local before = #sim:log()
      for _, value in ipairs({ {}, { x = 1 }, { 1, x = 2 }, { [2] = 1 }, { {} }, { print },
        { 1 / 0 }, setmetatable({ 1 }, { __index = {} }) }) do
        assert.has_error(function() client:get("/a", { b = value }) end)
        assert.has_error(function() client:post("/a", { b = value }) end)
      end
      assert.equal(before, #sim:log())
    end)

    it("are posted to with or without a form", function()
      mine()
      local answer = client:post(LIST .. VIN .. "/executeService",
        { serviceType = "LIGHT_FLASH", count = 2 })
      assert.equal("INITIATED", answer.executionStatus.status)
      assert.equal("count=2&serviceType=LIGHT_FLASH", last().body)
      check_headers(last(), JSON, "Bearer " .. client:token().access_token)
      local nothing, _, _, info = client:post("/nothing")
      assert.is_nil(nothing)
      assert.equal(404, info.status)
      assert.equal("", last().body)
      check_headers(last(), JSON, "Bearer " .. client:token().access_token)
    end)

    it("may respond with an empty body", function()
      mine()
      assert.is_true(client:post(LIST .. VIN .. "/sendpoi", { data = '{"poi":{"name":"x"}}' }))
      sim:fault({ path = "/vehicles", raw = "" })
      assert.is_true(client:get("/webapi/v1/user/vehicles"))
    end)

    it("accept plain paths only", function()
      mine()
      for _, path in ipairs({ "", "webapi", "//example.com/", "https://example.com/", "/a?b=c",
        "/a#b", "/a b", "/a\r\nX: y", "/a\0", "/../a", "/a/../b", "/a/..", "/./a", "/a\\b", "/%",
        "/%4", "/%zz", "/\195\164", "@example.com/", ":80/" }) do
        assert.has_error(function() client:get(path) end)
        assert.has_error(function() client:post(path) end)
      end
      for _, value in ipairs({ true, {} }) do
        assert.has_error(function() client:get(value) end)
      end
      assert.has_error(function() client:get("/a", "b=c") end)
      assert.has_error(function() client:get("/a", { "b" }) end)
      assert.has_error(function() client:post("/a", { b = {} }) end)
      assert.equal(0, #sim:log())
      client:get("/a.b/..c/%2F;d=e,f:g@h!$&'()*+~_-/")
      assert.equal("/a.b/..c/%2F;d=e,f:g@h!$&'()*+~_-/", last().path)
      client:get("/a/%2e%2E/b/%2e/c") -- newer libcurls would take these for dots
      assert.equal("/a/%2e%2E/b/%2e/c", last().path)
    end)
  end)
end)
