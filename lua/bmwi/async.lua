--- Concurrency: many ordinary functions with ordinary calls, running at the same time.
---
--- A task is a coroutine. Inside it `car:status()`, `bmwi.sleep()` and everything built on them
--- yield instead of waiting; the engine behind `bmwi.loop` wakes them.
---
--- On Lua 5.1, 5.2 and LuaJIT a coroutine cannot yield inside a C function (table.sort, gsub,
--- require); on Lua 5.1 it cannot yield inside pcall, a metamethod or an iterator either. Make such
--- calls outside these functions.
local bmwi = require("bmwi")
local check = require("bmwi._check")

local async = {}

local loop = bmwi.loop
local begin = loop.begin
-- In a request, nginx's Lua module replaces these with its own, so a task would yield to its
-- scheduler instead of ours; Lua's functions remain available under these names.
local function original(name)
  return coroutine["_" .. name] or coroutine[name]
end

local create, resume = original("create"), original("resume")
local status, yield = original("status"), original("yield")
local close = coroutine.close -- Lua 5.4 only

-- coroutine -> task
local tasks = setmetatable({}, { __mode = "k" })

---@class bmwi.task what async.spawn returns
local task_methods = {}
local task_meta = { __index = task_methods, __name = "bmwi.task" }

local function pack(...)
  return { n = select("#", ...), ... }
end

local unpack = table.unpack or unpack -- luacheck: ignore (Lua 5.1 only has the global)

-- Created in advance, for when there is no memory.
local CANCELLED = pack(false, "cancelled")
local CLOSED_SAYS = "cannot resume dead coroutine"
local CLOSED = pack(false, "the coroutine was closed")
local NOT_STARTED = pack(false, "the task could not be started")

-- A debug hook (Ctrl-C, too) may interrupt this anywhere by an error, or just before it is called.
-- Until the coroutine is detached the loop then calls `stop`, and task:cancel() does, which make up
-- for the rest: the first results stay, and on_end is called until it sets task.on_end to false.
local function finish(task, results)
  task.results = task.results or results
  tasks[task.thread] = nil
  if task.release then task.release() end
  if task.on_end then task.on_end() end
  loop:detach(task.thread)
end

-- The results of a cancelled task that had sent a command; without them if there is no memory.
local function with_info(results, info)
  if not info or results ~= CANCELLED then return results end
  local ok, more = pcall(pack, false, "cancelled", "cancelled", info)
  return ok and more or results
end

-- Ends a task that waits, or that would wait if nothing had failed, or whose end was interrupted.
local function stop(task, results)
  local group = task.group
  task.stopped = true
  results = with_info(results, loop:detach(task.thread))
  if close and status(task.thread) == "suspended" then
    close(task.thread)
  end
  if group then -- first, since afterwards nothing leads to it
    group:cancel(results)
    task.group = false
  end
  finish(task, results)
end

-- Before Lua 5.3 a yield may fail (across pcall, for example), which cannot be known in advance. So
-- a group is registered when its task yields; if the yield failed, the group is cancelled when the
-- task continues.
local function enter(task, group)
  local failed = task.entering
  task.entering = group or false
  if failed then
    failed:cancel(CANCELLED)
  end
end

-- A task yielded the loop, the operation that it waits for (and its client); this may be a group's
-- gate.
local function wait(task, _, operation, client)
  local group = task.entering
  if group and group.gate == operation then
    task.group, task.entering = group, false
  else
    enter(task, nil)
  end
  local ok, message = pcall(begin, loop, task.thread, operation, client)
  if not ok then
    stop(task, pack(false, message))
  elseif task.results then -- cancelled meanwhile
    loop:detach(task.thread)
  end
end

local NO_YIELD = "attempt to yield across"
local HINT = "\nhint: on Lua 5.1, 5.2 and LuaJIT a task cannot wait inside a C function such as "
  .. "table.sort, string.gsub or require (on Lua 5.1 also pcall, an iterator or a metamethod); "
  .. "make the call beforehand and use its result there"

-- Adds a traceback to a task's error, and a hint if Lua cannot yield there.
local function explain(task, message)
  if type(message) == "string" and message:find(NO_YIELD, 1, true) then
    message = message .. HINT
  end
  return debug.traceback(task.thread, message)
end

local function settle(task, ok, ...)
  if task.results then -- a finalizer has just cancelled it
    return
  end
  local waits = ok and not task.cancelled and (...) == loop
  if waits and status(task.thread) ~= "dead" then
    return wait(task, ...)
  end
  enter(task, nil)
  if not ok and (...) == CLOSED_SAYS then
    finish(task, CLOSED) -- closed from outside by coroutine.close
  elseif not ok then
    finish(task, pack(false, explain(task, (...))))
  elseif status(task.thread) == "dead" then
    finish(task, pack(true, ...))
  elseif task.cancelled then
    task:cancel()
  else
    finish(task, pack(false,
      "a bmwi.async task must not call coroutine.yield itself"))
  end
end

local function advance(task, ...)
  task.group = false
  return settle(task, resume(task.thread, ...))
end

local function start(fn, on_end)
  -- With all its fields: if memory runs out while it ends, no new ones can be added.
  local task = setmetatable({ thread = create(fn), on_end = on_end, results = false, group = false,
    entering = false, stopped = false, cancelled = false, release = false }, task_meta)
  tasks[task.thread] = task
  loop:attach(task.thread, function(ok, ...)
    if ok then
      advance(task, ...)
    else
      if task.results then loop:fail((...)) end -- it interrupted the task's end
      stop(task, pack(false, (...)))
    end
  end)
  return task
end

-- Runs a new task until it waits. If its on_end raises, the loop's next step raises the error, as
-- it would later. A task that cannot be started for lack of memory is removed.
local function launch(task)
  local ok, message = pcall(advance, task)
  if ok then
    return
  end
  local ended = task.results
  pcall(stop, task, NOT_STARTED)
  if ended then
    loop:fail(message)
  else
    error(message, 0)
  end
end

--- Whether the task has ended: it returned, failed or was cancelled.
---@return boolean
function task_methods:done()
  return self.results ~= false
end

--- What pcall would return: true and the function's results, or false and the error with its
--- traceback. Returns nothing while the task runs.
---@return boolean|nil ok
---@return any ...
function task_methods:result()
  if self.results then
    return unpack(self.results, 1, self.results.n)
  end
end

--- Cancels the task and the call that it waits for, including nested runs and maps. The car may
--- still carry out a command that was sent: if the task waits for its response, its results are
--- false, "cancelled", the code "cancelled" and info with `execution`. Does nothing if the task has
--- ended.
function task_methods:cancel()
  if not self.on_end then
    return
  end
  self.cancelled = true
  local state = status(self.thread)
  -- Dead: an error (see finish) has interrupted its end.
  if state == "suspended" or state == "dead" then
    stop(self, CANCELLED)
  end
end

--- Starts a function as a task at once; the host's loop drives it (see bmwi.loop).
---@param fn fun(): ...any the function to run
---@param on_done? fun(ok: boolean, ...) called at the end with what pcall would return. Without it,
--- the loop's next step raises an error of the task (`bmwi.loop:step()`, so `host.on_error` in a
--- host), one in each step; if there is no next step, the error is written to standard error when
--- the program ends.
---@return bmwi.task
function async.spawn(fn, on_done)
  check.argument(fn, "function", 1, "spawn")
  check.optional(on_done, "function", 2, "spawn")
  local task
  task = start(fn, function()
    local results = task.results
    -- What on_done raises is the loop's, so nothing may be left to do.
    loop:detach(task.thread)
    task.on_end = false
    if on_done then
      on_done(unpack(results, 1, results.n))
    elseif not results[1] and not task.cancelled then
      error(results[2], 0)
    end
  end)
  launch(task)
  return task
end

-- Tasks that are waited for together: `members` holds those that have not ended, `left` is their
-- number, or less after an interruption (see finish); a task that waits for them waits for `gate`.
local group_methods = {}
local group_meta = { __index = group_methods }

local function new_group()
  return setmetatable({ left = 0, members = {}, failure = false, waiter = false, gate = false,
    stopped = false }, group_meta)
end

-- Looks at the members only where it must: finding the first one among many takes long.
function group_methods:busy()
  return self.left > 0 or next(self.members) ~= nil
end

function group_methods:start(fn, on_end)
  local task
  task = start(fn, function()
    local ok, message = pcall(on_end, task.results)
    if not ok then
      self.failure = message
    end
    self.left = self.left - 1
    self.members[task] = nil
    if self.gate and not self:busy() then
      loop:open(self.gate)
    end
    task.on_end = false
  end)
  self.members[task] = true
  self.left = self.left + 1
  return task
end

-- Cancels those that are still running.
function group_methods:cancel(results)
  self.waiter, self.gate, self.stopped = false, false, true
  for task in pairs(self.members) do
    if results == CANCELLED then
      task:cancel()
    else
      stop(task, results)
    end
  end
end

local function wait_for(task, group)
  group.waiter, group.gate = task, loop:gate()
  enter(task, group)
  yield(loop, group.gate)
end

-- On Lua 5.4, closing a coroutine that waits for a group cancels the group.
if close then
  function group_meta.__close(group)
    local waiter = group:busy() and group.waiter
    if waiter then
      group:cancel(CANCELLED)
      if not waiter.stopped then
        stop(waiter, CLOSED)
      end
    end
  end

  wait_for = load([[
    local wait_for = ...
    return function(task, group)
      local guard <close> = group
      wait_for(task, group)
    end]], "=bmwi.async")(wait_for)
end

-- Drives the loop until all tasks have ended. Ctrl-C cancels them.
function group_methods:drive()
  while self:busy() do
    local ok, more, message = pcall(loop.wait, loop)
    if not ok then
      self:cancel(CANCELLED)
      error(more, 0)
    elseif not more then -- whatever should have woken one of them has failed
      self:cancel(pack(false, message or "nothing is pending that could wake this task"))
      return
    end
  end
end

--- The current task, for bmwi's own modules; nil outside of tasks. Its `release` is called when it
--- ends, however it does: for what it holds.
function async._current()
  local thread = coroutine.running()
  return thread and tasks[thread]
end

-- Waits for all of them: in a task by yielding (not through pcall, for Lua 5.1), otherwise by
-- driving the loop.
function group_methods:wait()
  local task = async._current()
  if not task then
    self:drive()
  elseif self:busy() then
    wait_for(task, self)
  end
  if self.failure then
    error(self.failure, 0)
  end
end

-- Runs the new tasks until they wait.
function group_methods:launch(list)
  for _, task in ipairs(list) do
    if not task.results then
      local ok, message = pcall(launch, task)
      if not ok then
        self:cancel(CANCELLED)
        error(message, 0)
      end
    end
  end
end

--- Runs functions concurrently until all have ended, here or as part of the current task.
---@param ... fun(): ...any the functions
---@return any ... the first result of each, in order
---
--- If any of them fails, the first error is raised after all have ended: with its traceback, or
--- unchanged if it is a table.
function async.run(...)
  local count, functions = select("#", ...), { ... }
  for i = 1, count do
    check.argument(functions[i], "function", i, "run")
  end
  local group, list = new_group(), {}
  for i = 1, count do
    list[i] = group:start(functions[i], function() end)
  end
  group:launch(list)
  group:wait()
  local results = {}
  for i, task in ipairs(list) do
    if not task.results[1] then
      error(task.results[2], 0)
    end
    results[i] = task.results[2]
  end
  return unpack(results, 1, count)
end

local MAP_OPTIONS = { { "concurrency", "number" } }

--- Calls fn(item, i) for every item of a list, at most `concurrency` at a time.
---@param list any[]
---@param fn fun(item: any, i: integer): any, any, string?, table?
---@param options? { concurrency: integer? } default 64
---@return any[] results results[i] is the first result of fn for list[i]
---@return table<integer, {message: string, code: string?, info: table?}> errors for items where fn
--- returned nil or raised an error (the error itself if it is a table; else its message has the
--- traceback)
function async.map(list, fn, options)
  check.argument(list, "table", 1, "map")
  check.argument(fn, "function", 2, "map")
  local concurrency, count = check.options(options, MAP_OPTIONS, 3, "map").concurrency or 64, #list
  check.option(concurrency >= 1, "concurrency", "be a number from 1", "map")
  local results, errors, running, following = {}, {}, 0, 1
  local group, pumping = new_group(), false

  local function keep(i, value, message, code, info)
    if value == nil then
      errors[i] = { message = message, code = code, info = info }
    else
      results[i] = value
    end
  end

  -- Each task takes one item after the other; a task that fails is replaced.
  local function pump()
    if pumping or group.stopped then
      return -- a function failed at once: the loop below continues
    end
    pumping = true
    while running < concurrency and following <= count do
      local i = following
      running, following = running + 1, following + 1
      local ok, message = pcall(launch, group:start(function()
        repeat
          keep(i, fn(list[i], i))
          if following > count or group.stopped then return end
          i, following = following, following + 1
        until false
      end, function(r)
        running = running - 1
        if not r[1] then
          errors[i] = type(r[2]) == "table" and r[2] or { message = r[2] }
        end
        pump()
      end))
      if not ok then
        group.failure = message
        break
      end
    end
    pumping = false
  end

  pump()
  group:wait()
  return results, errors
end

return async
