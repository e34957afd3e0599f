--- Concurrency: ordinary functions with ordinary calls, many at once.
---
--- A task is a coroutine. Inside it `car:status()`, `bmwi.sleep()` and all that builds on them
--- yield instead of waiting; the engine behind `bmwi.loop` wakes them. Owns the tasks, nothing else.
---
--- On Lua 5.1 (not LuaJIT) a coroutine cannot yield across `pcall`, a metamethod or an iterator:
--- keep those away from calls inside a task there.
local bmwi = require("bmwi")

local async = {}

local loop = bmwi.loop
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

local function settle(task, ok, ...)
  if not ok then
    finish(task, false, debug.traceback(task.thread, tostring((...))))
  elseif coroutine.status(task.thread) == "dead" then
    finish(task, true, ...)
  elseif task.cancelled then
    task:cancel()
  elseif (...) ~= loop then
    finish(task, false, "a task of bmwi.async may wait through bmwi only, but it called coroutine.yield")
  end
end

local function advance(task, ...)
  if coroutine.status(task.thread) == "dead" then -- by coroutine.close, from outside
    return finish(task, false, "the coroutine was closed")
  end
  return settle(task, coroutine.resume(task.thread, ...))
end

local function start(fn, on_end)
  local task = setmetatable({ on_end = on_end }, task_meta)
  task.thread = coroutine.create(fn)
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

--- Ends the task where it waits; what it waits for is given up. A command that was sent may still
--- be carried out by the car. Does nothing to a task that is done.
function task_methods:cancel()
  if self.results then
    return
  end
  self.cancelled = true
  if coroutine.status(self.thread) == "suspended" then
    loop:detach(self.thread)
    if close then
      close(self.thread)
    end
    finish(self, false, "cancelled")
  end
end

--- Starts a function as a task, at once; the host's loop carries it on (see bmwi.loop).
---@param fn fun() what to do
---@param on_done? fun(ok: boolean, ...) called at the end with what pcall would have returned.
--- Without it an error is raised from the loop's step.
---@return bmwi.task
function async.spawn(fn, on_done)
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

-- Waits until the counter's `left` is 0: in a task by yielding, elsewhere by driving the loop.
local function wait_for(counter)
  local thread = coroutine.running()
  local task = thread and tasks[thread]
  if task then
    counter.waiter = task
    while counter.left > 0 do
      coroutine.yield(loop)
    end
    return
  end
  while counter.left > 0 do
    loop:step(3600)
  end
end

local function count_down(counter)
  counter.left = counter.left - 1
  if counter.left == 0 and counter.waiter then
    local waiter = counter.waiter
    counter.waiter = nil
    advance(waiter)
  end
end

-- Starts the tasks of a list of functions and waits for all; an error of the waiting itself
-- (Ctrl-C, a hook that raised) cancels them.
local function run_all(functions)
  local counter, list = { left = #functions }, {}
  for i, fn in ipairs(functions) do
    list[i] = start(fn, function()
      count_down(counter)
    end)
  end
  for _, task in ipairs(list) do
    if not task:done() then
      advance(task)
    end
  end
  return list, counter
end

local function cancel_all(list)
  for _, task in ipairs(list) do
    task:cancel()
  end
end

local function guard(list, counter)
  if counter.left == 0 then
    return
  end
  local thread = coroutine.running()
  if thread and tasks[thread] then
    return wait_for(counter) -- yields: not through pcall on Lua 5.1
  end
  local ok, message = pcall(wait_for, counter)
  if not ok then
    cancel_all(list)
    error(message, 0)
  end
end

--- Runs functions concurrently until all have ended, here or as part of the surrounding task.
---@param ... fun() the functions
---@return any ... the first result of each, in order
---
--- Raises the first error, if any, with its traceback, after all have ended.
function async.run(...)
  local list, counter = run_all({ ... })
  guard(list, counter)
  local results = {}
  for i, task in ipairs(list) do
    if not task.results[1] then
      error(task.results[2], 0)
    end
    results[i] = task.results[2]
  end
  return unpack(results, 1, #list)
end

--- Calls fn(item, i) for every item of a list, so many at once.
---@param list any[]
---@param fn fun(item: any, i: integer): any, string?, string?, table?
---@param options? { concurrency: integer? } 64 at once unless told
---@return any[] results results[i] is what fn returned first for list[i]
---@return table<integer, {message: string, code: string?, info: table?}> errors where it returned
--- nil or raised
function async.map(list, fn, options)
  local concurrency = options and options.concurrency or 64
  if type(concurrency) ~= "number" or concurrency < 1 then
    error("concurrency must be a number from 1", 2)
  end
  local results, errors, running, following = {}, {}, 0, 1
  local counter, active = { left = #list }, {}
  local pumping = false

  local function pump()
    if pumping then
      return -- a function that ended at once: the loop below goes on
    end
    pumping = true
    while running < concurrency and following <= #list do
      local i = following
      following, running = following + 1, running + 1
      local task
      task = start(function()
        return fn(list[i], i)
      end, function()
        local r = task.results
        if not r[1] then
          errors[i] = { message = r[2] }
        elseif r[2] == nil then
          errors[i] = { message = r[3], code = r[4], info = r[5] }
        else
          results[i] = r[2]
        end
        active[task] = nil
        running = running - 1
        pump()
        count_down(counter)
      end)
      active[task] = true
      advance(task)
    end
    pumping = false
  end

  pump()
  local ok, message = true, nil
  if coroutine.running() and tasks[coroutine.running()] then
    wait_for(counter)
  else
    ok, message = pcall(wait_for, counter)
  end
  if not ok then
    following = #list + 1
    local left = {}
    for task in pairs(active) do
      left[#left + 1] = task
    end
    cancel_all(left)
    error(message, 0)
  end
  return results, errors
end

return async
