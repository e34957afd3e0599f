--- The account's containers, of every program. Loaded on demand: a status needs only the saved id
--- of bmwi's own (bmwi.cardata.container).

local call = require "bmwi.cardata.call"
local check = require "bmwi._check"

local containers = {}

local MOST_TEXT = 100000 -- bytes: far more than all that BMW has, far less than a request may have

--- Whether BMW's answer describes a container.
function containers.is_container(value)
  return type(value) == "table" and type(value.containerId) == "string"
end

local function check_id(id, method)
  check.argument(id, "string", 1, method, 3)
  check.that(id:find("^[%w_-]+$"), "the id of a container expected", 1, method, 3)
end

--- BMW's list of all containers.
function containers.all(client)
  local answer, message, code, info = client:_call("containers", {})
  if not answer then return nil, message, code, info end
  local list = type(answer) == "table" and answer.containers
  if type(list) ~= "table" then
    return call.invalid("containers", "is not a list of containers")
  end
  local good = {}
  for _, container in ipairs(list) do
    if containers.is_container(container) then good[#good + 1] = container end
  end
  return good
end

--- The account's containers, of every program, with BMW's names: containerId, name, purpose, state
--- ("ACTIVE" or "DELETED"; a deleted one stays in the list for up to 29 days), created. With an id,
--- only that one, with its technicalDescriptors. Uses one call of the quota.
---@param id? string
---@return table|nil list or the container
---@return string|nil message
---@return string|nil code
---@return table|nil info
function containers.list(client, id)
  check.object(client, "client", "containers")
  if id == nil then return containers.all(client) end
  check_id(id, "containers")
  local container, message, code, info = client:_call("container", { id = id })
  if not container then return nil, message, code, info end
  if not containers.is_container(container) then
    return call.invalid("container", "is not a container")
  end
  return container
end

--- Creates a container of your own; car:status() does not need one. Uses one call of the quota.
---@param options {name:string, purpose:string|nil, descriptors:string[]} purpose defaults to name
---@return table|nil container as from client:containers(id)
---@return string|nil message
---@return string|nil code "forbidden" if the account already has ten (info.api_code "CU-124")
---@return table|nil info
function containers.create(client, options)
  local method = "create_container"
  check.object(client, "client", method)
  check.argument(options, "table", 1, method)
  options = check.options(options,
    { { "name", "string" }, { "purpose", "string" }, { "descriptors", "table" } }, 1, method)
  check.option(options.name and options.name ~= "", "name", "not be empty", method)
  local list = {}
  for i, descriptor in ipairs(options.descriptors or {}) do
    check.option(type(descriptor) == "string" and descriptor:find("^[%w_.]+$"), "descriptors",
      "hold descriptors only", method)
    list[i] = descriptor
  end
  check.option(list[1], "descriptors", "not be empty", method)
  local length = #table.concat(list, "   ") + #options.name + #(options.purpose or options.name)
  check.option(length < MOST_TEXT, "descriptors", "be below 100 kB, with name and purpose", method)
  local made, message, code, info = client:_call("create_container", { body = { name = options.name,
    purpose = options.purpose or options.name, technicalDescriptors = list } })
  if not made then return nil, message, code, info end
  if not containers.is_container(made) then
    return call.invalid("create_container", "has no id of the new container")
  end
  return made
end

--- Deletes a container; one that has already been deleted is not an error. Uses one call of the
--- quota.
---@param id string
---@return true|nil deleted
---@return string|nil message
---@return string|nil code
---@return table|nil info
function containers.delete(client, id)
  check.object(client, "client", "delete_container")
  check_id(id, "delete_container")
  local deleted, message, code, info = client:_call("delete_container", { id = id })
  if not deleted then return nil, message, code, info end
  local store = client:_store()
  local kept = store:_container()
  if kept and kept.id == id then store:_set_container(nil) end
  return true
end

return containers
