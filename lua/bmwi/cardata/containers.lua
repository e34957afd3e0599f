--- Containers: BMW's lists of descriptors, which are required to read values. An account has at
--- most ten, and each call counts, so bmwi creates one and uses it for all cars, programs and runs.
--- It is found again by its name and its purpose, which is the version of the list.

local bmwi = require "bmwi"
local change = require "bmwi.store.change"
local check = require "bmwi._check"
local text = require "bmwi._text"

local containers = {}

local NAME = "bmwi"
local PROBE = "probe"  -- the purpose of one that finds out which descriptor BMW refuses
local MOST_CALLS = 25  -- maximum to create one container: half of a day's
local HEAL_PAUSE = 3600 -- seconds before a container that this process created is recreated
local TURN_STEP, TURN_WAIT = 0.1, 30 -- seconds

-- The version of a list of descriptors, computed the same way by every program.
local function version_of(list)
  local sum = 7
  for char in table.concat(list, "\n"):gmatch(".") do
    sum = (sum * 31 + char:byte()) % 4294967296 -- also exact as a double
  end
  return ("v%.0f"):format(sum)
end

-- The list needed from BMW: the descriptors of a status and those of the option, sorted; and the
-- ones to request, since BMW has refused some before.
local function plan(client, store)
  local refused, message, code, info = store:_refused_descriptors()
  if not refused then return nil, message, code, info end
  local seen, wanted, asked = {}, {}, {}
  for _, list in ipairs { bmwi._values.descriptors(), client:_option("descriptors") or {} } do
    for _, descriptor in ipairs(list) do
      if not seen[descriptor] then wanted[#wanted + 1] = descriptor end
      seen[descriptor] = true
    end
  end
  table.sort(wanted)
  for _, descriptor in ipairs(wanted) do
    if not refused[descriptor] then asked[#asked + 1] = descriptor end
  end
  return { client = client, store = store, version = version_of(wanted), asked = asked, calls = 0 }
end

-- Only one task and process at a time looks for the account's container, or each would create one.
-- Only the function references its turn, so that a cancelled task's turn is collected.
local turns = setmetatable({}, { __mode = "kv" })

local function take_turn(store)
  local deadline = bmwi._sys.monotonic() + TURN_WAIT
  while turns[store] and bmwi._sys.monotonic() < deadline do bmwi.sleep(TURN_STEP) end
  local turn = {}
  turns[store] = turn
  -- a store without a file belongs to this process alone
  turn.lock = store.path and change.take(store.place, "container.lock",
    math.max(0, deadline - bmwi._sys.monotonic()), TURN_STEP, bmwi.sleep)
  return turn
end

local function give_turn(store, turn)
  if turn.lock then turn.lock:unlock() end
  if turns[store] == turn then turns[store] = nil end
end

-- BMW's list of all containers.
local function is_container(value)
  return type(value) == "table" and type(value.containerId) == "string"
end

local function check_id(id, method)
  check.argument(id, "string", 1, method, 3)
  check.that(id:find("^[%w_-]+$"), "the id of a container expected", 1, method, 3)
end

local function list_of(client)
  local answer, message, code, info = client:_call("containers", {})
  if not answer then return nil, message, code, info end
  local list = type(answer) == "table" and answer.containers
  if type(list) ~= "table" then
    return nil, "the response is not a list of containers", "json", info
  end
  local good = {}
  for _, container in ipairs(list) do
    if is_container(container) then
      good[#good + 1] = container
    end
  end
  return good
end

-- A deleted one stays in the list for weeks.
local function is_active(container)
  return container.state == "ACTIVE"
end

local function is_own(container)
  return container.name == NAME and is_active(container)
end

-- A step in creating a container. Limited in number, whatever BMW responds.
local function step(work, endpoint, request)
  if work.calls >= MOST_CALLS then
    return nil, ("BMW still refuses the container after %d calls"):format(work.calls), "http",
      { hint = "call again to go on; the descriptors that were found are remembered" }
  end
  work.calls = work.calls + 1
  return work.client:_call(endpoint, request)
end

local function create(work, purpose, descriptors)
  local made, message, code, info = step(work, "create_container",
    { body = { name = NAME, purpose = purpose, technicalDescriptors = descriptors } })
  if not made then return nil, message, code, info end
  if not is_container(made) then return nil, "BMW did not return the new container's id", "json" end
  return made.containerId
end

local function is_refusal(info)
  return type(info) == "table" and info.api_code == "CU-402"
end

-- Permanently removes a descriptor from the request.
local function refuse(work, descriptor)
  for i, asked in ipairs(work.asked) do
    if asked == descriptor then table.remove(work.asked, i) end
  end
  return work.store:_refuse_descriptor(descriptor)
end

-- The descriptors in the request that BMW's message names.
local function named_in(work, ...)
  local asked, found = {}, {}
  for _, descriptor in ipairs(work.asked) do asked[descriptor] = true end
  for _, said in ipairs { ... } do
    for word in said:gmatch("[%w_]+%.[%w_.]+") do
      local descriptor = word:gsub("%.+$", "")
      if asked[descriptor] then
        asked[descriptor] = nil
        found[#found + 1] = descriptor
      end
    end
  end
  return found
end

-- Whether BMW accepts this list: true or false; nil and the failure if that is unclear.
local function takes(work, descriptors)
  local id, message, code, info = create(work, PROBE, descriptors)
  if not id then
    if is_refusal(info) then return false end
    return nil, message, code, info
  end
  work.calls = work.calls + 1
  work.client:_call("delete_container", { id = id }) -- if it fails, it is deleted later
  return true
end

-- Finds one descriptor that BMW refuses, by bisection. False if each one is accepted alone.
local function search(work)
  local list, proven = work.asked, false
  while #list > 1 do
    local half, rest = {}, {}
    for i, descriptor in ipairs(list) do
      local part = i <= #list / 2 and half or rest
      part[#part + 1] = descriptor
    end
    local taken, message, code, info = takes(work, half)
    if taken == nil then return nil, message, code, info end
    list, proven = taken and rest or half, not taken
  end
  if not proven then
    local taken, message, code, info = takes(work, list)
    if taken == nil then return nil, message, code, info end
    if taken then return false end
  end
  return list[1]
end

-- Removes what BMW refused. True if there is something left to request.
local function drop(work, message, code, info)
  local named = named_in(work, message or "", info.description or "")
  if not named[1] then
    local found, why, what, more = search(work)
    if found == nil then return nil, why, what, more end
    if not found then return nil, message, code, info end
    named[1] = found
  end
  for _, descriptor in ipairs(named) do
    local kept, why, what = refuse(work, descriptor)
    if not kept then return nil, why, what end
  end
  if not work.asked[1] then return nil, message, code, info end
  return true
end

-- Deletes containers that bmwi created for other lists. True if one was deleted, so the loop ends.
local function make_room(work, list, bad)
  local any = false
  for _, container in ipairs(list) do
    local id = container.containerId
    if is_own(container) and (container.purpose ~= work.version or id == bad) then
      local deleted, message, code, info = step(work, "delete_container", { id = id })
      if not deleted then return nil, message, code, info end
      container.state = "DELETED"
      any = true
    end
  end
  return any
end

local function no_room(list, code, info)
  local ids = {}
  for _, container in ipairs(list) do
    if is_active(container) then
      local known = ("%s (%s)"):format(container.containerId, tostring(container.name))
      ids[#ids + 1] = text.plain(known)
    end
  end
  info.hint = "delete one that no program uses with client:delete_container(id); a deleted one can"
    .. " count for up to 29 days"
  return nil, "the account has no room for one more container (BMW keeps at most 10); in use: "
    .. (ids[1] and table.concat(ids, ", ") or "none"), code, info
end

-- Creates the planned container.
local function make(work, list, bad)
  while true do
    local id, message, code, info = create(work, work.version, work.asked)
    local ok, why, what, more
    if id then return id end
    if is_refusal(info) then
      ok, why, what, more = drop(work, message, code, info)
      if not ok then return nil, why, what, more end
    elseif type(info) == "table" and info.api_code == "CU-124" then
      ok, why, what, more = make_room(work, list, bad)
      if ok == nil then return nil, why, what, more end
      if not ok then return no_room(list, code, info) end
    else
      return nil, message, code, info
    end
  end
end

local made_at = setmetatable({}, { __mode = "k" }) -- store -> {id, time} of the one created here

-- The id of the planned container from BMW's list; creates it if it is missing.
local function find_or_make(work, list, bad)
  local id, message, code, info
  for _, container in ipairs(list) do
    local fits = is_own(container) and container.purpose == work.version
    if fits and container.containerId ~= bad then id = id or container.containerId end
  end
  if not id then
    if not work.asked[1] then
      return nil, "BMW refused every descriptor of the container", "forbidden"
    end
    id, message, code, info = make(work, list, bad)
    if not id then return nil, message, code, info end
    made_at[work.store] = { id = id, time = bmwi._sys.monotonic() }
  end
  local kept, why, what, more = work.store:_set_container(
    { id = id, name = NAME, version = work.version })
  if not kept then return nil, why, what, more end
  return id
end

-- The id saved in the account, if it is the planned container's.
local function known(work, bad)
  local kept, message, code, info = work.store:_container()
  if kept and kept.name == NAME and kept.version == work.version and kept.id ~= bad then
    return kept.id
  end
  return nil, message, code, info
end

local function current(work)
  local id, message, code, info = known(work)
  if id or code then return id, message, code, info end
  local turn = take_turn(work.store)
  id, message, code, info = known(work) -- another task may have found it
  if not id and not code then
    local list
    list, message, code, info = list_of(work.client)
    if list then id, message, code, info = find_or_make(work, list) end
  end
  give_turn(work.store, turn)
  return id, message, code, info
end

-- What a failure says about the container: "gone", "maybe", or nil.
local function verdict(code, info)
  local api_code = type(info) == "table" and info.api_code
  if api_code == "CU-105" or api_code == "CU-121" then return "gone" end
  if code == "not_found" then return "maybe" end
end

-- Replaces a container that is gone. False if the failure must have another cause.
local function replace(work, bad, sure)
  local id, message, code, info = known(work, bad) -- another task may have replaced it
  if id or code then return id, message, code, info end
  local made = made_at[work.store]
  local recent = made and bmwi._sys.monotonic() - made.time < HEAL_PAUSE
  if recent and made.id == bad then return false end
  local list
  list, message, code, info = list_of(work.client)
  if not list then return nil, message, code, info end
  for _, container in ipairs(list) do
    if not sure and container.containerId == bad and is_active(container) then return false end
  end
  return find_or_make(work, list, bad)
end

--- Calls ask(id) with the id of bmwi's container, and again with a new one if it is gone.
---@param client table
---@param store table the client's account store
---@param ask fun(id: string): any|nil, string|nil, string|nil, table|nil
---@return any|nil answer the result of ask
---@return string|nil message
---@return string|nil code
---@return table|nil info
function containers.use(client, store, ask)
  local work, message, code, info = plan(client, store)
  if not work then return nil, message, code, info end
  local id
  id, message, code, info = current(work)
  if not id then return nil, message, code, info end
  local answer
  answer, message, code, info = ask(id)
  local said = answer == nil and verdict(code, info)
  if not said then return answer, message, code, info end
  local turn = take_turn(store)
  local other, why, what, more = replace(work, id, said == "gone")
  give_turn(store, turn)
  if other == false then return nil, message, code, info end
  if not other then return nil, why, what, more end
  return ask(other)
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
  if id == nil then return list_of(client) end
  check_id(id, "containers")
  local container, message, code, info = client:_call("container", { id = id })
  if not container then return nil, message, code, info end
  if not is_container(container) then
    return nil, "the response is not a container", "json", info
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
  local made, message, code, info = client:_call("create_container", { body = { name = options.name,
    purpose = options.purpose or options.name, technicalDescriptors = list } })
  if not made then return nil, message, code, info end
  if not is_container(made) then
    return nil, "BMW did not return the new container's id", "json", info
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
  check_id(id, "delete_container")
  local deleted, message, code, info = client:_call("delete_container", { id = id })
  if not deleted then return nil, message, code, info end
  local store = client:_store()
  local kept = store:_container()
  if kept and kept.id == id then store:_set_container(nil) end
  return true
end

return containers
