--- Adapters: let a host's own loop carry on the work of bmwi.async.
---
--- Where the host can watch a descriptor, "bmwi.loop:pollfd() is readable -> bmwi.loop:step()" is
--- all there is to it; `luv` and `cqueues` do that, elsewhere `step` is the callback to register.
--- Where the host lets nobody watch a descriptor, `drive` steps and sleeps.
---
--- An error that comes out of a step is nobody's in particular: a task of `async.spawn` without
--- `on_done` failed, or a `log` hook raised. It goes to `host.on_error(message)`, which, unless you
--- set another function, writes it to standard error; then the work goes on. It must not raise.
---
--- Tasks run inside the step, so wherever the host happened to call it: a task may call bmwi and
--- plain Lua, but no function of the host that waits or that belongs to a request (`ngx.say`,
--- `core.msleep`, `vim.api`, ...). Call those with the results, afterwards.
local bmwi = require("bmwi")
local async = require("bmwi.async")
local check = require("bmwi._check").argument
local finalizer = require("bmwi._finalizer")

local loop = bmwi.loop
local unpack = table.unpack or unpack -- luacheck: ignore (Lua 5.1 has the global only)

local now = bmwi._sys.monotonic
local MIN_PAUSE, MAX_PAUSE = 0.001, 0.01 -- seconds that `drive` asks to sleep
local MAX_STEPS = 0.025                  -- seconds of work in between, roughly

local host = {}

--- Told of errors that come out of a step; yours to replace.
---@param message string with its traceback
function host.on_error(message)
  io.stderr:write("bmwi: ", message, "\n")
end

local dropped = {} -- tasks whose `drive` the host has dropped

--- bmwi.loop:step() as a callback: it never raises, see on_error.
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

--- Takes bmwi out of uv's loop again. What is under way stays so, and waits for the next step.
function luv:close()
  for i = #self, 1, -1 do
    self[i]:close()
    self[i] = nil
  end
end

--- Carries bmwi on in libuv's loop: luv, or Neovim (`vim.uv`, before 0.10 `vim.loop`).
---
--- `uv.run()` ends when nothing else keeps it and no call is under way; before you run it once more
--- for calls alone, close the handle and make another. (A call that is started in the close
--- callback of the loop's very last handle comes too late to keep it.)
---@param uv table the module
---@return bmwi.host.luv handle with close()
function host.luv(uv)
  check(uv, "table", 1, "luv")
  local poll, prepare, idle_check = uv.new_poll(loop:pollfd()), uv.new_prepare(), uv.new_check()
  local kept = true -- at first, so that the loop starts

  local function keep_while_pending()
    local pending = loop:timeout() ~= nil
    if pending ~= kept then
      kept = pending
      uv[kept and "ref" or "unref"](poll)
    end
  end

  poll:start("r", host.step)
  prepare:start(keep_while_pending) -- after the timers' callbacks
  idle_check:start(keep_while_pending) -- after those of sockets
  prepare:unref()
  idle_check:unref()
  return setmetatable({ poll, prepare, idle_check }, luv)
end

---@class bmwi.host.cqueues what host.cqueues returns
local cqueues = {}
cqueues.__index = cqueues

--- Ends the thread, so that the controller's loop() can end.
function cqueues:stop()
  self.stopped = true
  self.condition:signal()
end

--- Carries bmwi on in a cqueues controller, as a thread of it.
---@param controller userdata from `cqueues.new()`
---@return bmwi.host.cqueues handle with stop()
function host.cqueues(controller)
  check(controller, "userdata", 1, "cqueues")
  local poll = require("cqueues").poll
  local handle = setmetatable({ condition = require("cqueues.condition").new() }, cqueues)
  controller:wrap(function()
    while not handle.stopped do
      poll(loop, handle.condition) -- the loop has the methods that cqueues asks for
      host.step()
    end
  end)
  return handle
end

--- Without a descriptor: runs a function as a task, and steps and sleeps
--- until it has ended. Waits through `sleep` only, so the host goes on; many of the host's
--- coroutines can do this at once. `sleep` is `ngx.sleep` in nginx, `stdnse.sleep` in nmap, and a
--- function around `core.msleep` in HAProxy (examples/hosts).
---
--- Raises what `fn` raises, with its traceback. If `sleep` raises, that comes out at once. The task
--- is cancelled then, and so it is when the host drops the coroutine that called this: once the
--- collector has seen that, in the next step.
---@param sleep fun(seconds: number) the host's; called with 0.001 to 0.01
---@param fn fun(...): any what to do
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
  local frame = finalizer.new(function() -- may be called in the middle of anything
    dropped[#dropped + 1] = task
  end)
  local late = 0
  while not results do
    local start = now()
    repeat -- where sleeps are coarse (nmap's last 25 ms for 1), steps go on for as long
      host.step()
    until results or loop:timeout() ~= 0 or now() - start >= late
    if not results then
      local pause = math.max(MIN_PAUSE, math.min(MAX_PAUSE, loop:timeout() or MAX_PAUSE))
      local due = now() + pause
      sleep(pause)
      late = math.min(now() - due, MAX_STEPS)
    end
  end
  assert(frame) -- it lives until here
  if not results[1] then
    error(results[2], 0)
  end
  return unpack(results, 2, results.n)
end

return host
