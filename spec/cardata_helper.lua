--- A scripted client for testing bmwi.cardata: it answers from a small BMW account in a table, and
--- records each call.
local bmwi = require("bmwi")
local cjson = require("cjson").new()

local double = {}

double.VIN = "WBYCARDATA0000001"

local STATUS = {
  ["CU-104"] = 403, ["CU-105"] = 403, ["CU-124"] = 403, ["CU-125"] = 400, ["CU-126"] = 404,
  ["CU-127"] = 404, ["CU-402"] = 400, ["CU-403"] = 403, ["CU-429"] = 403, ["CU-500"] = 500,
}
local CODE = { [400] = "http", [403] = "forbidden", [404] = "not_found", [500] = "server" }

--- What _call returns for an error from BMW.
function double.refusal(api_code, more)
  local info = { api_code = api_code, status = STATUS[api_code] }
  for name, value in pairs(more or {}) do info[name] = value end
  local code = api_code == "CU-429" and "quota" or CODE[info.status]
  return { nil, "BMW refused it: " .. api_code, code, info }
end

local function copy(value)
  return cjson.decode(cjson.encode({ value }))[1]
end

-- The account at BMW.
local function answers(bmw)
  local function find(id)
    for _, container in ipairs(bmw.containers) do
      if container.containerId == id then return container end
    end
  end
  local function usable(id)
    local container = find(id)
    return container and container.state == "ACTIVE" and container
  end
  local function problem(body)
    for _, descriptor in ipairs(body.technicalDescriptors) do
      if bmw.refused[descriptor] then
        return double.refusal("CU-402",
          { description = bmw.names_it and ("key " .. descriptor .. ". is not found") or nil })
      end
    end
    local count = 0
    for _, container in ipairs(bmw.containers) do
      if container.state == "ACTIVE" or bmw.deleted_count then count = count + 1 end
    end
    return count >= bmw.limit and double.refusal("CU-124") or nil
  end
  local answer = {}
  function answer.containers()
    local list = {}
    for i, container in ipairs(bmw.containers) do
      list[i] = copy(container)
      list[i].technicalDescriptors = nil
    end
    return { { containers = list } }
  end
  function answer.create_container(request)
    local refused = problem(request.body)
    if refused then return refused end
    return { bmw:add(request.body.name, request.body.purpose, request.body.technicalDescriptors) }
  end
  function answer.container(request)
    return find(request.id) and { copy(find(request.id)) } or double.refusal("CU-105")
  end
  function answer.delete_container(request)
    if not find(request.id) then return double.refusal("CU-105") end
    find(request.id).state = "DELETED"
    return { true }
  end
  function answer.telematic_data(request)
    local container = usable(request.query.containerId)
    if not container then return double.refusal("CU-105") end
    local data = {}
    for _, descriptor in ipairs(container.technicalDescriptors) do
      data[descriptor] = bmw.values[descriptor]
    end
    return { { telematicData = copy(data) } }
  end
  function answer.basic_data() return { copy(bmw.basic) } end
  return answer
end

--- A client, its car and its account.
---@param options? table what client:_option gives
---@param store? table of an account; default: a new one
---@return table client calls, bmw (the account at BMW), answer (by endpoint; replace any), store
function double.client(options, store)
  local bmw = { containers = {}, refused = {}, values = {}, limit = 10,
    basic = { driveTrain = "BEV", modelName = "i4 eDrive40" } }
  function bmw:add(name, purpose, descriptors, state)
    local container = { containerId = ("W0%011d"):format(#self.containers + 1), name = name,
      purpose = purpose, state = state or "ACTIVE", technicalDescriptors = descriptors or {} }
    self.containers[#self.containers + 1] = container
    return copy(container)
  end
  store = store or require("bmwi.store").memory()
  local client = { bmw = bmw, answer = answers(bmw), calls = {}, store = store }
  local methods = require("bmwi.cardata")
  for name, method in pairs(methods.client) do client[name] = method end
  function client._store() return store end
  function client._in_hook() return false end
  function client._option(_, name) return (options or {})[name] end
  function client:_call(endpoint, request)
    self.calls[#self.calls + 1] = { endpoint = endpoint, request = copy(request) }
    if self.pause then bmwi.sleep(self.pause) end
    local answer = self.answer[endpoint]
    if type(answer) == "table" then answer = table.remove(answer, 1) end
    if type(answer) == "function" then answer = answer(request) end
    assert(answer, "not expected: " .. endpoint)
    return answer[1], answer[2], answer[3], answer[4]
  end
  --- Makes the account remember another container's id.
  function client.remember(id)
    local container = store:_container()
    container.id = id
    assert(store:_set_container(container))
  end
  --- The names of the endpoints called since the last time, in order.
  function client:called()
    local list = {}
    for i, call in ipairs(self.calls) do list[i] = call.endpoint end
    self.calls = {}
    return table.concat(list, " ")
  end
  local function car(vin)
    local self = {}
    for name, method in pairs(methods.car) do self[name] = method end
    function self._client() return client end
    function self.vin() return vin end
    return self
  end
  client.vehicle = function(_, vin) return car(vin) end
  client.car = car(double.VIN)
  return client
end

--- Raises unless fn raises at the caller's position in this file.
---@return string message
function double.misused(file, fn)
  local ok, message = pcall(fn)
  assert(not ok, "it was not refused")
  assert(message:find("^" .. file .. ":%d+:"), message)
  return message
end

return double
