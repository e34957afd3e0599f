--- Changes the data at a place (bmwi.store.place) so that processes do not undo each other's
--- changes: a lock is held from before the read until after the write, which takes milliseconds.
--- Without flock there is no lock.

local bmwi = require "bmwi"
local form = require "bmwi.store.form"

local change = {}

local LOCK = "write.lock"
local STEP = 0.01 -- seconds between two attempts
local MOST = 5    -- maximum seconds for which nothing else runs in this process
local DAMAGED = "move the file away, or log in again (its content is then kept beside it as "
  .. ".damaged)"

--- The failure to read a place whose content is not an account.
function change.damaged(place)
  return nil, place.name .. " is damaged, or belongs to another program", "json",
    { retryable = false, hint = DAMAGED }
end

-- The account that was decoded or written last, and its bytes, until they are collected: one
-- command reads the same bytes about ten times.
local last = setmetatable({}, { __mode = "v" })

--- Returns the account, or nil, message, code, info and the bytes found instead.
---@return table|nil account shared by all readers: not to be changed, nor given away
---@return string|nil message
---@return "missing"|"insecure"|"json"|"file"|nil code
---@return {hint:string}|nil info
---@return string|nil bytes
function change.read(place)
  local bytes, message, code, info = place.read()
  if not bytes then return nil, message, code, info end
  local known = last[1]
  if known and known.bytes == bytes then return known.account end
  local account = form.decode(bytes)
  if account then
    last[1] = { bytes = bytes, account = account }
    return account
  end
  local _, why, what, advice = change.damaged(place)
  return nil, why, what, advice, bytes
end

-- What is kept of an account that others could have changed. Its log-in is not, but without the
-- count of the calls more would be sent than BMW allows. A false count forbids calls for a day at
-- most (bmwi.store.limits), and one that is too low is what starting empty would be.
local function doubtful(place)
  local bytes = place.read_insecure()
  local account = bytes and form.decode(bytes)
  return account and form.lasting(account) or {}
end

-- Reads the account to be changed. With `mend` it starts without a log-in if there is none that can
-- be trusted, and damaged content is set aside.
local function begin(place, mend)
  local account, message, code, info, bytes = change.read(place)
  last[1] = nil -- it is about to be changed
  if account then return account end
  if code == "missing" then return {} end
  if mend and code == "insecure" then return doubtful(place) end
  if mend and bytes then
    local done
    done, message, code = place.set_aside(bytes)
    if done then return {} end
    info = nil
  end
  return nil, message, code, info
end

local function write(place, account)
  local bytes, message = form.encode(account)
  if not bytes then return nil, place.name .. ": " .. message, "file" end
  local done, failure, code = place.write(bytes)
  if not done then return nil, failure, code end
  return bytes
end

-- Writes the account if the function that changed it has returned something.
local function complete(place, account, shared, ...)
  if (...) ~= nil then
    local bytes, message, code = write(place, account)
    if not bytes then return false, message, code end
    if not shared then last[1] = { bytes = bytes, account = account } end
  end
  return true, ...
end

-- `shared`: fn may put tables into the account that others hold, too.
local function run(place, fn, shared, mend)
  local account, message, code, info = begin(place, mend)
  if not account then return false, message, code, info end
  return complete(place, account, shared, fn(account))
end

local function release(lock, ok, ...)
  if lock then lock:unlock() end
  if not ok then error((...), 0) end
  return ...
end

-- Places whose lock this process had to wait for the last time. It gives others a turn before
-- taking the lock again; otherwise a busy process would starve them.
local crowded = setmetatable({}, { __mode = "k" })

--- Tries to take a lock until it is free or the timeout expires.
---@param kind string the suffix of its name
---@param sleep fun(seconds:number)
---@return table|userdata|nil lock
---@return string|nil message
---@return "locked"|"file"|nil code
function change.take(place, kind, seconds, step, sleep)
  local deadline, waited = bmwi._sys.monotonic() + seconds, false
  if crowded[place] then sleep(step) end
  while true do
    local lock, message, code = place.try_lock(kind)
    waited = waited or code == "locked"
    crowded[place] = waited or nil
    if code ~= "locked" or bmwi._sys.monotonic() >= deadline then return lock, message, code end
    sleep(step)
  end
end

--- Changes the account. Other tasks run while it waits for the lock.
---@param fn fun(account:table):any must not wait, and gives the account only tables of its own;
--- nothing is written if it returns nil or raises
---@return boolean done
---@return any ... the results of fn; after a failure message, code and info
function change.later(place, fn, timeout)
  local lock, message, code = change.take(place, LOCK, timeout, STEP, bmwi.sleep)
  if code == "locked" then return false, message, code end
  return release(lock, pcall(run, place, fn))
end

--- The same for calls that must not yield, and with any tables. If the lock does not become free,
--- the change is made without it: losing a log-in is worse than overwriting another process's
--- change.
---@param mend? boolean start without a log-in if the file cannot be trusted
function change.now(place, fn, mend)
  local lock = change.take(place, LOCK, MOST, STEP, bmwi._sys.pause)
  return release(lock, pcall(run, place, fn, true, mend))
end

local function remove(place, keep)
  local removed, message, code = place.remove_aside()
  if not removed then return nil, message, code end
  local account, _, problem = change.read(place)
  if problem == "insecure" then account = doubtful(place) end
  local rest = account and keep and keep(account)
  if not rest then return place.remove() end
  local bytes
  bytes, message, code = write(place, rest)
  return bytes and true, message, code
end

--- Removes the account, and what was set aside.
---@param keep? fun(account:table):table|nil what is to stay; not called without a valid account
---@return true|nil removed
---@return string|nil message
---@return "file"|nil code
function change.remove(place, keep)
  local lock = change.take(place, LOCK, MOST, STEP, bmwi._sys.pause)
  return release(lock, pcall(remove, place, keep))
end

return change
