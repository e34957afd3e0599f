--- Where an account is kept: a private file, or this process's memory. A place has a `name` for
--- messages, and functions with the results of those in bmwi._sys.

local bmwi = require "bmwi"

local place = {}

local MOST = 1024 * 1024 -- bytes; a longer file is cut off, and so is no account

--- A private file.
---@param path string
---@return table place
function place.file(path)
  return {
    name = path,
    read = function() return bmwi._sys.read_private(path) end,
    -- The content of a regular file that `read` refused because others can access it.
    read_insecure = function()
      local file = io.open(path, "rb")
      local bytes = file and file:read(MOST)
      if file then file:close() end
      return bytes
    end,
    write = function(bytes) return bmwi._sys.write_private(path, bytes) end,
    -- Unreadable content is kept, so that the user can inspect or repair it.
    set_aside = function(bytes) return bmwi._sys.write_private(path .. ".damaged", bytes) end,
    remove_aside = function() return bmwi._sys.remove_private(path .. ".damaged") end,
    remove = function() return bmwi._sys.remove_private(path) end,
    try_lock = function(kind) return bmwi._sys.try_lock(path, kind) end,
  }
end

--- The memory of this process. It holds text like a file, so that each read is a copy.
---@return table place
function place.memory()
  local kept
  local held = {}
  return {
    name = "memory",
    read = function()
      if kept then return kept end
      return nil, "nothing has been saved yet", "missing"
    end,
    write = function(bytes)
      kept = bytes
      return true
    end,
    remove_aside = function() return true end,
    remove = function()
      kept = nil
      return true
    end,
    try_lock = function(kind)
      if held[kind] then return nil, "another task holds the lock", "locked" end
      local lock = {}
      held[kind] = lock
      function lock.unlock()
        if held[kind] == lock then held[kind] = nil end
      end
      return lock
    end,
  }
end

return place
