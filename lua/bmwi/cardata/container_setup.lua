--- Finds, creates and replaces bmwi's container. Loaded on demand: it is created once.

local async = require "bmwi.async"
local bmwi = require "bmwi"
local call = require "bmwi.cardata.call"
local change = require "bmwi.store.change"
local containers = require "bmwi.cardata.containers"
local own = require "bmwi.cardata.container"
local text = require "bmwi._text"

local setup = {}

local NAME, is_container = own.NAME, containers.is_container
local PROBE = "probe"  -- the purpose of one that finds out which descriptor BMW refuses
local MOST = 10          -- containers of an account; BMW may count deleted ones for 29 days
local RESERVE = 2        -- of these, for the container and for the next version of it
local PARTS = 6          -- of a list that is requested without one of them
local MOST_CALLS = 25  -- maximum to create one container: half of a day's
local HEAL_PAUSE = 3600 -- seconds before a container that this process created is recreated
local TURN_STEP, TURN_WAIT = 0.1, 30 -- seconds

-- Only one task and process at a time looks for the account's container, or each would create one.
local turns = setmetatable({}, { __mode = "kv" }) -- store or path -> {account, client, task, lock}

-- Lua 5.1 cannot yield inside pcall, so there a task gives its turn back by ending.
local YIELDS_IN_PCALL = rawget(_G, "jit") or _VERSION ~= "Lua 5.1"

local function give_turn(turn)
  if turn.task then turn.task.release = false end
  if turns[turn.account] == turn then turns[turn.account] = nil end
  if turn.lock then turn.lock:unlock() end
end

local function finish(turn, ok, ...)
  give_turn(turn)
  if not ok then error((...), 0) end
  return ...
end

-- Waits for the turn, calls fn, and gives the turn back however fn ends.
local function in_turn(work, fn, ...)
  call.check_hook(work.client)
  local store, task, arguments = work.store, async._current(), { ... }
  local account = store.path or store
  local holder = turns[account]
  -- In a hook of the call that has the turn, waiting for it would not end.
  local wait = holder and holder.client:_in_hook() and 0 or TURN_WAIT
  local deadline = bmwi._sys.monotonic() + wait
  while turns[account] and bmwi._sys.monotonic() < deadline do bmwi.sleep(TURN_STEP) end
  local turn = { account = account, client = work.client, task = task }
  local function run()
    -- a store without a file belongs to this process alone
    turn.lock = store.path and change.take(store.place, "container.lock",
      math.max(0, deadline - bmwi._sys.monotonic()), TURN_STEP, bmwi.sleep)
    return fn(work, arguments[1], arguments[2])
  end
  if task then task.release = function() give_turn(turn) end end
  turns[account] = turns[account] or turn
  if task and not YIELDS_IN_PCALL then return finish(turn, true, run()) end
  return finish(turn, pcall(run))
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
      { hint = "call again to continue; the descriptors that were found are remembered" }
  end
  work.calls = work.calls + 1
  return work.client:_call(endpoint, request)
end

local function create(work, purpose, descriptors)
  local made, message, code, info = step(work, "create_container",
    { body = { name = NAME, purpose = purpose, technicalDescriptors = descriptors } })
  if not made then return nil, message, code, info end
  if not is_container(made) then
    return call.invalid("create_container", "has no id of the new container")
  end
  return made.containerId
end

local function is_refusal(info)
  return type(info) == "table" and info.api_code == "CU-402"
end

-- Removes a descriptor from the request; permanently if BMW refuses this very one.
local function leave_out(work, descriptor, sure)
  for i, asked in ipairs(work.asked) do
    if asked == descriptor then table.remove(work.asked, i) end
  end
  if sure then return work.store:_refuse_descriptor(descriptor) end
  return true
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
  work.room = work.room - 1
  return true
end

local function halves(list)
  local half, rest = {}, {}
  for i, descriptor in ipairs(list) do
    local part = i <= #list / 2 and half or rest
    part[#part + 1] = descriptor
  end
  return half, rest
end

-- Finds one descriptor that BMW refuses, by bisection: {it}, true. False if each one is accepted
-- alone. Ends early where too little room is left: then one of the list is refused, not for sure.
---@return table|false|nil found
---@return any sure after a failure the message
---@return string|nil code
---@return table|nil info
local function search(work)
  local list, proven = work.asked, false
  while #list > 1 and work.room > RESERVE do
    local half, rest = halves(list)
    local taken, message, code, info = takes(work, half)
    if taken == nil then return nil, message, code, info end
    list, proven = taken and rest or half, not taken
  end
  if not proven and work.room > RESERVE then
    local taken, message, code, info = takes(work, list)
    if taken == nil then return nil, message, code, info end
    if taken then return false end
    proven = true
  end
  return list, proven and #list == 1
end

-- The list without its first part, without its second, and so on.
local function rests_of(list)
  local rests = {}
  for part = 1, math.min(PARTS, #list - 1) do
    local rest = {}
    for i, descriptor in ipairs(list) do
      if i % PARTS ~= part % PARTS then rest[#rest + 1] = descriptor end
    end
    rests[part] = rest
  end
  return rests
end

-- Where there is no room for a search: the list without one part after the other is requested,
-- which BMW accepts once if it refuses a single descriptor; then its halves, quarters and so on.
-- False if none is left.
local function next_part(work)
  local parts, split = work.parts, true
  if not parts then
    parts = rests_of(work.asked)
    work.parts, work.rests = parts, #parts
  else
    split = work.rests == 0 -- of a rest, all halves are there
    work.rests = math.max(0, work.rests - 1)
  end
  if split and #work.asked > 1 then parts[#parts + 1], parts[#parts + 2] = halves(work.asked) end
  work.asked = table.remove(parts, 1) or {}
  return work.asked[1] ~= nil
end

-- Removes what BMW refused. True if there is something left to request.
local function drop(work, message, code, info)
  ---@type any, any
  local found, sure = named_in(work, message or "", info.description or ""), true
  if not found[1] then
    if work.room <= RESERVE then
      if next_part(work) then return true end
      return nil, message, code, info
    end
    local what, more
    found, sure, what, more = search(work)
    if found == nil then return nil, sure, what, more end
    if not found then return nil, message, code, info end
  end
  for _, descriptor in ipairs(found) do
    local kept, why, failed, more = leave_out(work, descriptor, sure)
    if not kept then return nil, why, failed, more end
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
  return nil, "the account has no room for one more container (BMW keeps at most 10)"
    .. (ids[1] and ": " .. table.concat(ids, ", ") or ""), code, info
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

-- Plans what to request: all that is wanted, but what BMW has refused before.
local function plan_request(work)
  local refused, message, code, info = work.store:_refused_descriptors()
  if not refused then return nil, message, code, info end
  work.asked = {}
  for _, descriptor in ipairs(work.wanted) do
    if not refused[descriptor] then work.asked[#work.asked + 1] = descriptor end
  end
  if work.asked[1] then return true end
  return nil, "BMW refused every descriptor of the container", "forbidden", { retryable = false,
    hint = "check at BMW's portal that both services are subscribed, then remove the account file "
      .. "and log in again, so that they are requested anew" }
end

-- What a new container lacks although BMW may not refuse it; of a known one, what is saved.
local function left_out(work, id)
  local list, known = {}, work.store:_refused_descriptors() or {}
  if not work.asked then
    local kept = work.store:_container()
    return kept and kept.id == id and kept.left_out or nil
  end
  for _, descriptor in ipairs(work.asked) do known[descriptor] = true end
  for _, descriptor in ipairs(work.wanted) do
    if not known[descriptor] then list[#list + 1] = descriptor end
  end
  return list
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
    local planned, why, what, more = plan_request(work)
    if not planned then return nil, why, what, more end
    work.room = MOST - #list
    id, message, code, info = make(work, list, bad)
    if not id then return nil, message, code, info end
    made_at[work.store] = { id = id, time = bmwi._sys.monotonic() }
  end
  local kept, why, what, more = work.store:_set_container(
    { id = id, name = NAME, version = work.version, left_out = left_out(work, id) })
  if not kept then return nil, why, what, more end
  return id
end

-- The id of the planned container, which the account file does not have.
local function find(work)
  local id, message, code, info = own.known(work) -- another task may have found it
  if id or code then return id, message, code, info end
  local list
  list, message, code, info = containers.all(work.client)
  if not list then return nil, message, code, info end
  return find_or_make(work, list)
end

-- Another container for one that is gone. False if the failure must have another cause.
local function other_than(work, bad, sure)
  local id, message, code, info = own.known(work, bad) -- another task may have replaced it
  if id or code then return id, message, code, info end
  local made = made_at[work.store]
  local recent = made and bmwi._sys.monotonic() - made.time < HEAL_PAUSE
  if recent and made.id == bad then return false end
  local list
  list, message, code, info = containers.all(work.client)
  if not list then return nil, message, code, info end
  for _, container in ipairs(list) do
    if not sure and container.containerId == bad and is_active(container) then return false end
  end
  return find_or_make(work, list, bad)
end

--- The id of the planned container, which the account file does not have; creates it if BMW does
--- not have it either.
function setup.find(work)
  return in_turn(work, find)
end

--- Replaces a container that is gone.
---@param bad string its id
---@param sure boolean BMW said that it does not exist
---@return string|false|nil id false if the failure must have another cause
---@return string|nil message
---@return string|nil code
---@return table|nil info
function setup.replace(work, bad, sure)
  return in_turn(work, other_than, bad, sure)
end

return setup
