--- Concurrency: ordinary functions with ordinary calls, many at once.
---
--- A task is a coroutine. Inside it `car:status()`, `bmwi.sleep()` and all that builds on them
--- yield instead of waiting; the engine behind `bmwi.loop` wakes them. Owns the tasks, no more.
---
--- On Lua 5.1 (not LuaJIT) a coroutine cannot yield across `pcall`, a metamethod or an iterator:
--- keep those away from calls inside a task there.
local bmwi = require("bmwi")
local check = require("bmwi._check")

local async = {}

local loop = bmwi.loop
-- In a request nginx's Lua module puts functions of its own in the place of these, and a yield of a
-- task would reach its scheduler instead of us; Lua's own stay at hand under these names.
local function original(name)
  return coroutine["_" .. name] or coroutine[name]
end

local create, resume = original("create"), original("resume")
local status, yield = original("status"), original("yield")
local close = coroutine.close -- Lua 5.4 only

-- coroutine -> task
local tasks = setmetatable({}, { __mode = "k" })

---@class bmwi.task
local task_methods = {}
local task_meta = { __index = task_methods, __name = "bmwi.task" }

local function pack(...)
  return { n = select("#", ...), ... }
end

local unpack = table.unpack or unpack -- luacheck: ignore (Lua 5.1 has the global only)

local function finish(task, ok, ...)
  task.results = pack(ok, ...)
  tasks[task.thread] = nil
  loop:detach(task.thread)
  task.on_end(...)
end

-- Below Lua 5.3 nobody can tell beforehand that a yield will fail (across pcall, say): a group is
-- waited for once its task has yielded; if that failed, the group is given up as the task goes on.
local function enter(task, group)
  local failed = task.entering
  task.entering = group
  if failed then
    failed:cancel()
  end
end

-- A task has yielded what it waits for: an operation (and its client), or a group.
local function wait(task, what, client)
  if what == task.entering then
    what.waiter, task.group, task.entering = task, what, nil
    return
  end
  enter(task, nil)
  local ok, message = pcall(loop.begin, loop, task.thread, what, client)
  if not ok then
    finish(task, false, message)
  end
end

local function settle(task, ok, ...)
  local waits = ok and not task.cancelled and (...) == loop
  if waits and status(task.thread) ~= "dead" then
    return wait(task, select(2, ...))
  end
  enter(task, nil)
  if not ok then
    finish(task, false, debug.traceback(task.thread, (...)))
  elseif status(task.thread) == "dead" then
    finish(task, true, ...)
  elseif task.cancelled then
    task:cancel()
  else
    finish(task, false,
      "a task of bmwi.async may wait through bmwi only, but it called coroutine.yield")
  end
end

local function advance(task, ...)
  if status(task.thread) == "dead" then -- by coroutine.close, from outside
    return finish(task, false, "the coroutine was closed")
  end
  return settle(task, resume(task.thread, ...))
end

local function start(fn, on_end)
  local task = setmetatable({ on_end = on_end }, task_meta)
  task.thread = create(fn)
  tasks[task.thread] = task
  loop:attach(task.thread, function(ok, ...)
    if ok then
      advance(task, ...)
    else
      finish(task, false, (...))
    end
  end)
  return task
end

--- Whether the task has come to its end: returned, failed or cancelled.
---@return boolean
function task_methods:done()
  return self.results ~= nil
end

--- What pcall would have returned: true and the function's results, or false and the error with
--- its traceback. Nothing before the end.
---@return boolean|nil ok
---@return any ...
function task_methods:result()
  if self.results then
    return unpack(self.results, 1, self.results.n)
  end
end

--- Ends the task where it waits; what it waits for is given up, nested runs and maps included. A
--- command that was sent may still be carried out by the car. Does nothing to a task that is done.
function task_methods:cancel()
  if self.results then
    return
  end
  self.cancelled = true
  if status(self.thread) == "suspended" then
    loop:detach(self.thread)
    local group = self.group
    if close then
      close(self.thread)
    end
    finish(self, false, "cancelled")
    if group then
      group:cancel()
    end
  end
end

--- Starts a function as a task, at once; the host's loop carries it on (see bmwi.loop).
---@param fn fun() what to do
---@param on_done? fun(ok: boolean, ...) called at the end with what pcall would have returned.
--- Without it an error is raised by the loop's next step or, in a program that only makes calls, by
--- the next one that is no command; where none comes, it is written to standard error at the end.
---@return bmwi.task
function async.spawn(fn, on_done)
  check.argument(fn, "function", 1, "spawn")
  check.optional(on_done, "function", 2, "spawn")
  local task
  task = start(fn, function()
    local results = task.results
    if on_done then
      on_done(unpack(results, 1, results.n))
    elseif not results[1] and not task.cancelled then
      error(results[2], 0)
    end
  end)
  advance(task)
  return task
end

-- Tasks that are waited for together: `left` counts those that have not ended, `members` holds
-- them, `waiter` is the task that waits, if one does.
local group_methods = {}
local group_meta = { __index = group_methods }

local function new_group()
  return setmetatable({ left = 0, members = {} }, group_meta)
end

function group_methods:start(fn, on_end)
  local task
  self.left = self.left + 1
  task = start(fn, function()
    self.members[task] = nil
    on_end(task.results)
    self.left = self.left - 1
    local waiter = self.waiter
    if self.left == 0 and waiter then
      self.waiter, waiter.group = nil, nil
      if not waiter.results then
        advance(waiter)
      end
    end
  end)
  self.members[task] = true
  return task
end

function group_methods:cancel()
  self.waiter, self.stopped = nil, true
  local list = {}
  for task in pairs(self.members) do
    list[#list + 1] = task
  end
  for _, task in ipairs(list) do
    task:cancel()
  end
end

local function hold(task, group)
  enter(task, group)
  yield(loop, group)
end

-- On Lua 5.4 a coroutine that is closed while it waits for others takes them along.
if close then
  function group_meta.__close(group)
    local waiter = group.waiter
    if waiter then
      group:cancel()
      if not waiter.cancelled then
        finish(waiter, false, "the coroutine was closed")
      end
    end
  end

  hold = load([[
    local hold = ...
    return function(task, group)
      local guard <close> = group
      hold(task, group)
    end]], "=bmwi.async")(hold)
end

-- Waits for all: in a task by yielding (not through pcall, for Lua 5.1), elsewhere by driving the
-- loop. Ctrl-C cancels them.
function group_methods:wait()
  local thread = coroutine.running()
  local task = thread and tasks[thread]
  if task then
    if self.left > 0 then
      hold(task, self)
    end
    return
  end
  while self.left > 0 do
    local ok, message = pcall(loop.wait, loop)
    if not ok then
      self:cancel()
      error(message, 0)
    end
  end
end

--- Runs functions concurrently until all have ended, here or as part of the surrounding task.
---@param ... fun() the functions
---@return any ... the first result of each, in order
---
--- Raises the first error, if any, after all have ended: with its traceback, or, where it is a
--- table, as it is.
function async.run(...)
  local count, functions = select("#", ...), { ... }
  for i = 1, count do
    check.argument(functions[i], "function", i, "run")
  end
  local group, list = new_group(), {}
  for i = 1, count do
    list[i] = group:start(functions[i], function() end)
  end
  for _, task in ipairs(list) do
    if not task.results then
      advance(task)
    end
  end
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

--- Calls fn(item, i) for every item of a list, so many at once.
---@param list any[]
---@param fn fun(item: any, i: integer): any, string?, string?, table?
---@param options? { concurrency: integer? } 64 at once unless told
---@return any[] results results[i] is what fn returned first for list[i]
---@return table<integer, {message: string, code: string?, info: table?}> errors where it returned
--- nil or raised (the error itself, where that is a table; else its message has the traceback)
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

  -- Each task takes one item after the other; one that raises is replaced.
  local function pump()
    if pumping or group.stopped then
      return -- a function that raised at once: the loop below goes on
    end
    pumping = true
    while running < concurrency and following <= count do
      local i
      running = running + 1
      advance(group:start(function()
        while following <= count and not group.stopped do
          i, following = following, following + 1
          keep(i, fn(list[i], i))
        end
      end, function(r)
        if not r[1] then
          errors[i] = type(r[2]) == "table" and r[2] or { message = r[2] }
        end
        running = running - 1
        pump()
      end))
    end
    pumping = false
  end

  pump()
  group:wait()
  return results, errors
end

return async
