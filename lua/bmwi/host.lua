--- Adapters that let a host program's event loop drive the tasks of bmwi.async.
---
--- A host that can watch a descriptor calls `bmwi.loop:step()` when `bmwi.loop:pollfd()` is
--- readable: `luv` and `cqueues` set that up; elsewhere register `step` as the callback. For a host
--- that cannot watch a descriptor, `drive` alternates steps and sleeps.
---
--- An error that a step raises does not belong to a particular call: a task of `async.spawn`
--- without `on_done` failed, or a `log` hook raised an error. It is passed to
--- `host.on_error(message)`, which writes it to standard error unless you replace it; then work
--- continues. It must not raise.
---
--- Tasks run inside the step, wherever the host called it. A task may call bmwi and plain Lua, but
--- not host functions that wait or belong to a request (`ngx.say`, `core.msleep`, `vim.api`, ...).
--- Call those afterwards with the results.
local bmwi = require("bmwi")
local async = require("bmwi.async")
local check = require("bmwi._check").argument
local finalizer = require("bmwi._finalizer")

local loop = bmwi.loop
local unpack = table.unpack or unpack -- luacheck: ignore (Lua 5.1 only has the global)

local now = bmwi._sys.monotonic
local MIN_PAUSE, MAX_PAUSE = 0.001, 0.01 -- seconds that `drive` sleeps
local MAX_STEPS = 0.025                  -- approximate seconds of work between two sleeps

local host = {}

--- Called with the errors that a step raises. Replace it with your own function.
---@param message string with its traceback
function host.on_error(message)
  io.stderr:write("bmwi: ", message, "\n")
end

local dropped = {} -- tasks whose `drive` the host has discarded

--- Calls bmwi.loop:step() as a callback: it never raises, see on_error.
function host.step()
  while dropped[1] do
    table.remove(dropped):cancel()
  end
  local ok, message = pcall(loop.step, loop)
  if not ok then
    host.on_error(tostring(message))
  end
end

---@class bmwi.host.luv what host.luv returns
local luv = {}
luv.__index = luv

--- Detaches bmwi from uv's loop. Pending calls stay pending until the next step.
function luv:close()
  for i = #self, 1, -1 do
    self[i]:close()
    self[i] = nil
  end
end

--- Drives bmwi from libuv's loop: luv, or Neovim (`vim.uv`, before 0.10 `vim.loop`).
---
--- `uv.run()` returns when no call is pending and nothing else keeps it running; before running it
--- again only for calls, close the handle and create another. (A call that starts in the close
--- callback of the loop's very last handle is too late to keep it running.)
---@param uv table the module
---@return bmwi.host.luv handle with close()
function host.luv(uv)
  check(uv, "table", 1, "luv")
  local poll, prepare, idle_check = uv.new_poll(loop:pollfd()), uv.new_prepare(), uv.new_check()
  local kept = true -- true at first, so that the loop starts

  local function keep_while_pending()
    local pending = loop:timeout() ~= nil
    if pending ~= kept then
      kept = pending
      uv[kept and "ref" or "unref"](poll)
    end
  end

  poll:start("r", host.step)
  prepare:start(keep_while_pending) -- after timer callbacks
  idle_check:start(keep_while_pending) -- after socket callbacks
  prepare:unref()
  idle_check:unref()
  return setmetatable({ poll, prepare, idle_check }, luv)
end

---@class bmwi.host.cqueues what host.cqueues returns
local cqueues = {}
cqueues.__index = cqueues

--- Ends the thread, so that the controller's loop() can return.
function cqueues:stop()
  self.stopped = true
  self.condition:signal()
end

--- Drives bmwi from a cqueues controller, as one of its threads.
---@param controller userdata from `cqueues.new()`
---@return bmwi.host.cqueues handle with stop()
function host.cqueues(controller)
  check(controller, "userdata", 1, "cqueues")
  local poll = require("cqueues").poll
  local handle = setmetatable({ condition = require("cqueues.condition").new() }, cqueues)
  controller:wrap(function()
    while not handle.stopped do
      poll(loop, handle.condition) -- the loop has the methods that cqueues requires
      host.step()
    end
  end)
  return handle
end

--- For hosts that cannot watch a descriptor: runs a function as a task, alternating steps and
--- sleeps until it has ended. Waits only through `sleep`, so the host continues; many of its
--- coroutines can do this at the same time. `sleep` is `ngx.sleep` in nginx, `stdnse.sleep` in
--- nmap, and a wrapper for `core.msleep` in HAProxy (examples/hosts).
---
--- Raises an error of `fn` with its traceback. An error of `sleep` is raised at once, and the task
--- is cancelled. The task is also cancelled when the host discards the coroutine that made this
--- call: in the first step after the coroutine was collected.
---@param sleep fun(seconds: number) the host's function; called with 0.001 to 0.01
---@param fn fun(...): ...any the function to run
---@param ... any its arguments
---@return any ... its results
function host.drive(sleep, fn, ...)
  check(sleep, "function", 1, "drive")
  check(fn, "function", 2, "drive")
  local n, arguments = select("#", ...), { ... }
  local results
  local task = async.spawn(function()
    return fn(unpack(arguments, 1, n))
  end, function(...)
    results = { n = select("#", ...), ... }
  end)
  local frame = finalizer.new(function() -- may run in the middle of anything
    dropped[#dropped + 1] = task
  end)
  local late = 0
  while not results do
    local start = now()
    repeat -- where sleeps are coarse (nmap's takes at least 25 ms), step for as long as it slept
      host.step()
    until results or loop:timeout() ~= 0 or now() - start >= late
    if not results then
      local pause = math.max(MIN_PAUSE, math.min(MAX_PAUSE, loop:timeout() or MAX_PAUSE))
      local due = now() + pause
      sleep(pause)
      late = math.min(now() - due, MAX_STEPS)
    end
  end
  assert(frame) -- keeps it alive until here
  if not results[1] then
    error(results[2], 0)
  end
  return unpack(results, 2, results.n)
end

return host
