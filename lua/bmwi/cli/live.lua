-- bmwi.cli.live: what `bmwi watch` and `bmwi bridge` have in common: choosing the cars, and
-- following them while the program runs.

local bmwi = require "bmwi"
local async = require "bmwi.async"
local explain = require "bmwi.cli.explain"
local fail = require "bmwi.cli.fail"
local session = require "bmwi.cli.session"
local source = require "bmwi.bridge.source"

local live = {}

local STEP = 60 -- seconds that a step waits for events
local EVERY = 300 -- seconds between two polls of the classic service

--- Raises an error for options that a command that keeps running cannot support.
function live.check(ctx)
  if ctx.out.file then
    fail.usage("--output cannot be used with a command that keeps running",
      "Redirect its output instead.")
  end
end

local function chosen(ctx)
  if session.is_cardata(ctx.settings) then
    return require("bmwi.cli.cardata_cars").all(ctx)
  end
  if ctx.settings.vin then
    local car = session.car(ctx)
    return { ctx.vehicle or { vin = car:vin() } }
  end
  local list = session.cars(ctx)
  if #list == 0 then fail.raise("this account has no car", "not_found") end
  return list
end

--- The cars of this run: the one set by `vin`, else all of the account.
---@return table[] vehicles each at least {vin}, which is valid
function live.cars(ctx)
  local list = chosen(ctx)
  for _, vehicle in ipairs(list) do session.listed(ctx, vehicle) end
  return list
end

--- live.cars() in a task of a command that runs unattended: it reports a failure that may pass, and
--- tries again.
---@param on_state fun(state: string, reason: string, hint: string|nil)
function live.await_cars(ctx, on_state)
  local tries = 0
  local longest = session.is_cardata(ctx.settings) and source.LONGEST
    or ctx.options.every or EVERY
  while true do
    -- On Lua 5.1 a task cannot wait inside pcall.
    local lists, errors = async.map({ ctx }, live.cars)
    if lists[1] then return lists[1] end
    local failure = errors[1]
    if not fail.is(failure) then error(failure.message, 0) end
    if not source.passes(failure.code) then error(failure, 0) end
    failure = explain(ctx, failure)
    on_state("waiting", failure.message, fail.hint(failure))
    tries = tries + 1
    bmwi.sleep(source.pause(tries, longest, failure.info))
  end
end

--- The options of source.tasks() for these cars.
---@param handlers table on_update(update), on_state(state, reason, hint), on_problem(text, hint);
--- if wanted, on_model(vin): the model of a car has become known
---@return table options
function live.options(ctx, cars, handlers)
  local vins, nameless = {}, {}
  for i, car in ipairs(cars) do
    vins[i] = car.vin
    nameless[car.vin] = not car.model and car or nil
  end
  -- The client's log reports the state of the stream, the source that of polling.
  ctx.on_stream = function(fields)
    if ctx.recorder then ctx.recorder:state(fields.state, fields.reason) end
    handlers.on_state(fields.state, fields.reason)
  end
  local function explained(message, code, info)
    local failure = explain(ctx, fail.new(message, code, info))
    return failure.message, fail.hint(failure)
  end
  return {
    client = session.open(ctx), service = ctx.settings.service, vins = vins,
    all = not ctx.settings.vin, every = ctx.options.every or EVERY,
    last = {}, failed = {}, fail = fail.raise,
    learn = function(vin)
      local car = nameless[vin]
      if not car then return end
      local basic, _, code = session.store(ctx.settings):_basic(vin)
      if not basic and not code then session.open(ctx):vehicle(vin):basic_data() end
      require("bmwi.cli.cardata_cars").identify(ctx, car)
      if car.model and handlers.on_model then handlers.on_model(vin) end
    end,
    on_update = handlers.on_update,
    on_state = function(state, ...)
      if not ... then return handlers.on_state(state) end
      handlers.on_state(state, explained(...))
    end,
    on_problem = function(vin, ...)
      local message, hint = explained(...)
      handlers.on_problem(("%s: %s"):format(vin, message), hint)
    end,
  }
end

--- Follows the cars and runs other tasks until the first of them fails; raises its error. The last
--- values of the stream are saved.
---@param find fun(): table finds the cars, as a task; returns the options of live.options()
---@param others function[]
function live.run(ctx, find, others)
  local list, options, failure = {}, {}, nil
  local function start(tasks)
    for _, task in ipairs(tasks) do
      local started = async.spawn(task, function(ok, reason)
        if not ok then failure = failure or reason end
      end)
      list[#list + 1] = started
    end
  end
  start(others)
  start { function()
    options = find()
    start(source.tasks(options))
  end }
  -- A step also raises what was raised while a task was being woken, such as Ctrl-C.
  local waited, broken = pcall(function()
    while not failure do
      bmwi.loop:step(STEP)
      session.need_recording(ctx)
    end
  end)
  for _, task in ipairs(list) do task:cancel() end
  if options.close then options.close() end
  error(waited and failure or broken, 0)
end

--- Describes the state of the connection.
function live.words(state, reason)
  return reason and reason ~= "" and ("%s (%s)"):format(state, tostring(reason)) or state
end

return live
