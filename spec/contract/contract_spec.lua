-- The client of CarData against mock servers of BMW's own OpenAPI file (`make contract`): each
-- request is one that the file describes, and each answer that it describes is read.
local bmwi = require "bmwi"
local helper = require "spec.helper"
local mock = require "spec.contract.mock"

local VIN = "WBYCARDATA0000001"
local CLIENT_ID = "6b1f5a52-9d2e-4c0f-8a53-1f0c2d3e4b5a"
local CAR, LIST = "/customers/vehicles/{vin}/", "GET /customers/containers"
local TURNS = 20 -- of each call, with random answers
local LIMIT = 12 -- calls of a client, since pages of random answers have no end

local operations = mock.operations()
local described = {}
for _, operation in ipairs(operations) do described[operation.name] = true end

-- A call, the operations that it takes, and how it may fail with answers as the file describes
-- them: a list of pages can name the next page for ever; no mock server makes pictures.
local CALLS = {
  { "vehicles", function(client) return client:vehicles() end,
    { "GET /customers/vehicles/mappings" } },
  { "status", function(_, car) return car:status() end, { LIST, "GET " .. CAR .. "basicData",
    "GET " .. CAR .. "telematicData", "POST /customers/containers" } },
  { "telematics", function(_, car) return car:telematics() end, { LIST,
    "GET " .. CAR .. "telematicData", "POST /customers/containers" } },
  { "basic_data", function(_, car) return car:basic_data() end, { "GET " .. CAR .. "basicData" } },
  { "image", function(_, car) return car:image() end, { "GET " .. CAR .. "image" }, "server" },
  { "charging_history", function(_, car) return car:charging_history() end,
    { "GET " .. CAR .. "chargingHistory" }, "pages" },
  { "charging_history of a span", function(_, car)
    return car:charging_history { from = 1735689600.5, to = 1735689600.5 + 200 * 86400 }
  end, { "GET " .. CAR .. "chargingHistory" }, "pages" },
  { "charging_settings", function(_, car) return car:charging_settings() end,
    { "GET " .. CAR .. "locationBasedChargingSettings" }, "pages" },
  { "tyres", function(_, car) return car:tyres() end,
    { "GET " .. CAR .. "smartMaintenanceTyreDiagnosis" } },
  { "containers", function(client) return client:containers() end, { LIST } },
  { "a container", function(client) return client:containers("S0M3C0NT41N3R") end,
    { "GET /customers/containers/{containerId}" } },
  { "create_container", function(client)
    return client:create_container { name = "mine", descriptors = { "vehicle.vehicle.avgSpeed" } }
  end, { "POST /customers/containers" } },
  { "delete_container", function(client) return client:delete_container("S0M3C0NT41N3R") end,
    { "DELETE /customers/containers/{containerId}" } },
}

local function new(server, changes)
  local options = { service = "cardata", client_id = CLIENT_ID, base_url = server.url,
    login_url = server.url .. "/gcdm/oauth", daily_limit = LIMIT, retries = 0, timeout = 30,
    token = { access_token = "opaque", expires_at = os.time() + 3600 } }
  for name, value in pairs(changes or {}) do options[name] = value or nil end
  return bmwi.new(options)
end

-- How a call that has failed may have failed.
local function forgive(how, message, code, info)
  if how == "server" then
    assert.equal("server", code, message)
  else
    assert.equal("pages", how, message)
    assert.truthy(code == "server" or code == "quota", message)
    assert.is_table(info.partial)
  end
end

local function for_rest(title, fn)
  it(title, function()
    if not described["GET /customers/vehicles/mappings"] then
      return pending("this file does not describe the REST service")
    end
    fn()
  end)
end

describe("by BMW's OpenAPI file", function()
  for _, name in ipairs { "examples", "random" } do
    for _, row in ipairs(CALLS) do
      local what, call, expected, how = (unpack or table.unpack)(row) -- luacheck: ignore
      for_rest(("%s is described, and its answers are read (%s)"):format(what, name), function()
        local server = mock.server(name)
        server.seen()
        for _ = 1, name == "random" and TURNS or 1 do
          local client = new(server)
          local answer, message, code, info = call(client, client:vehicle(VIN))
          client:close()
          if answer == nil then forgive(how, message, code, info) end
          local names, wrong = server.seen()
          assert.same({}, wrong)
          assert.same(expected, names)
        end
      end)
    end
  end

  for_rest("nothing of the REST service is left out", function()
    local called = {}
    for _, row in ipairs(CALLS) do
      for _, operation in ipairs(row[3]) do called[operation] = true end
    end
    assert.same(helper.names(called), helper.names(described))
  end)

  -- Only reading calls can ask the mock server for one of the answers.
  for_rest("each error that it describes for a call is an error of the client", function()
    local CODES = { ["400"] = "http", ["401"] = "auth", ["403"] = "forbidden",
      ["404"] = "not_found", ["500"] = "server", ["503"] = "server" }
    local server, count = mock.server("examples"), 0
    for _, operation in ipairs(operations) do
      for _, status in ipairs(operation.method == "get" and operation.answers or {}) do
        if tonumber(status) >= 300 then
          local query = { __code = status }
          for _, parameter in ipairs(operation.query) do
            query[parameter.name] = parameter.schema.format and "2026-01-01T00:00:00.000Z" or "x"
          end
          local client = new(server)
          local message, info = helper.fails_as(CODES[status] or "none",
            client:get(operation.path:gsub("{%w+}", VIN), query))
          client:close()
          assert.equal(tonumber(status), info.status, message)
          assert.is_string(info.api_code)
          count = count + 1
        end
      end
    end
    assert.truthy(count >= 9 * 6, count)
  end)

  for_rest("what the file does not allow is seen", function()
    local server = mock.server("random")
    local client = new(server)
    local path = "/customers/vehicles/" .. VIN .. "/"
    for _, part in ipairs { "telematicData", "chargingHistory" } do
      server.seen()
      assert.is_nil((client:get(path .. part)))
      local names, wrong = server.seen()
      assert.same({ "GET " .. CAR .. part }, names)
      helper.has(wrong[1], "request.query")
    end
    helper.curl("-H", "Authorization: Bearer x", server.url .. "/customers/containers")
    local _, wrong = server.seen()
    helper.has(wrong[1], "request.header")
    assert.is_nil((client:get("/customers/nothing")))
    assert.same({ "GET /customers/nothing" }, (server.seen()))
    client:close()
  end)

  it("a log-in is described, and its answers are read", function()
    if not described["POST /gcdm/oauth/token"] then
      return pending("this file does not describe the log-in")
    end
    local server, prompts = mock.server("examples"), {}
    server.seen()
    local function login(scope)
      local client = new(server, { token = false, scope = scope,
        on_prompt = function(prompt) prompts[#prompts + 1] = prompt end })
      local done, message, code = client:login()
      client:close()
      local names, wrong = server.seen()
      assert.same({}, wrong)
      assert.same({ "POST /gcdm/oauth/device/code", "POST /gcdm/oauth/token" }, names)
      return done, message, code
    end
    -- The example grants this scope alone.
    local message = helper.fails_as("auth", login())
    helper.has(message, "not granted: authenticate_user")
    assert.is_true(login("authenticate_user"))
    assert.equal(2, #prompts)
    assert.truthy(#prompts[1].user_code > 0)
  end)
end)
