-- Misuse of CarData's methods is an error at the caller's line: here, in this file. Nothing is
-- sent, and no call of the quota is counted.
local bmwi = require("bmwi")
local names = require("spec.helper").names
local stores = require("bmwi.store")

local function new()
  return bmwi.new({ service = "cardata", client_id = "6b1f5a52-9d2e-4c0f-8a53-1f0c2d3e4b5a",
    base_url = "http://127.0.0.1:9", login_url = "http://127.0.0.1:9", store = stores.memory(),
    token = { access_token = "abcdef", gcid = "g", id_token = "i" } })
end

local client = new()
local car = client:vehicle("WBYCARDATA0000001")
local closed = new()
local closed_car = closed:vehicle("WBYCARDATA0000001")
closed:close()

-- What an object offers, without what only another service has.
local function methods(object)
  local list, index = {}, getmetatable(object).__index
  for _, name in ipairs(names(index)) do
    local ok, _, _, code = pcall(index[name])
    local lacking = ok and code == "unsupported"
    if name:find("^%a") and not lacking then list[#list + 1] = name end
  end
  return list, index
end

local function misused(part, call, ...)
  local ok, message = pcall(call, ...)
  assert.is_false(ok, "it was not refused")
  assert.matches("^spec/cardata_misuse_spec%.lua:%d+: ", message)
  assert.truthy(message:find(part, 1, true), message)
end

-- Calls without arguments; the result keeps the call from being a tail call.
local function bare(method, object)
  local result = method(object)
  return result
end

describe("CarData's methods are refused at the caller's line", function()
  local objects = { client = { client, car, closed }, car = { car, client, closed_car } }
  for kind, pair in pairs(objects) do
    local list, index = methods(pair[1])
    for _, name in ipairs(list) do
      it(("on no %s and on another object: %s"):format(kind, name), function()
        misused("", bare, index[name])
        misused("", bare, index[name], {})
        misused("", bare, index[name], pair[2])
      end)

      local harmless = { close = true, vin = true, supports = true, vehicle = true,
        create_container = true, delete_container = true, get = true }
      if not harmless[name] then
        it(("once it is closed: %s:%s"):format(kind, name), function()
          misused("attempt to use a closed client", bare, index[name], pair[3])
        end)
      end
    end
  end

  it("once it is closed, with arguments", function()
    misused("closed client", function() local _ = closed:get("/a") end)
    misused("closed client", function() local _ = closed:delete_container("W1") end)
    misused("closed client", function()
      local _ = closed:create_container({ name = "n", descriptors = { "a.b" } })
    end)
    misused("closed client", function() local _ = closed:vehicle(car:vin()) end)
  end)

  for _, name in ipairs({ "next", "updates", "state", "close" }) do
    it("on no stream: stream." .. name, function()
      local stream = client:stream()
      local method = stream[name]
      stream:close()
      for _, self in ipairs({ false, {}, "x", client }) do
        misused(("calling '%s' on bad self (a stream expected, got"):format(name), bare, method,
          self or nil)
      end
    end)
  end

  for text, call in pairs({
    ["bad argument #1 to 'get' (string expected, got n"] = function() return client:get() end,
    ["bad argument #1 to 'get' (a path such as"] = function() return client:get("a?b") end,
    ["bad argument #2 to 'get' (table expected, got number)"] = function()
      return client:get("/a", 1)
    end,
    ["bad argument #2 to 'get' (names must be strings)"] = function()
      return client:get("/a", { 1 })
    end,
    ["bad argument #2 to 'get' (values must be"] = function()
      return client:get("/a", { b = print })
    end,
    ["unknown option 'age' of 'status'"] = function() return car:status({ age = 1 }) end,
    ["'telematics' (table expected"] = function() return car:telematics("x") end,
    ["unknown option 'x' of 'basic_data'"] = function() return car:basic_data({ x = 1 }) end,
    ["'charging_history' (table expected"] = function() return car:charging_history(1) end,
    ["option 'to' of 'charging_history'"] = function()
      return car:charging_history({ to = 1 / 0 })
    end,
    ["'stream' (table expected"] = function() return client:stream(1) end,
    ["option 'keepalive' of 'stream'"] = function() return car:stream({ keepalive = 31 }) end,
    ["option 'protocol' of 'stream'"] = function() return client:stream({ protocol = 3 }) end,
    ["option 'vins' of 'stream'"] = function() return client:stream({ vins = { "x" } }) end,
    ["the id of a container expected"] = function() return client:containers("a b") end,
    ["'delete_container' (string expected"] = function() return client:delete_container(1) end,
    ["option 'descriptors' of 'create_container' must be below 100 kB"] = function()
      return client:create_container({ name = "n", descriptors = { ("a."):rep(6e4) } })
    end,
    ["is not a VIN"] = function() return client:vehicle("x") end,
  }) do
    it(text, function() misused(text, function() local _ = call() end) end)
  end

  it("and use no call of the quota", function()
    assert.equal(0, client:quota().used)
  end)
end)
