--- Where an account is kept: a private file, or the memory of this process. A place has a `name`
--- for messages, and functions that answer as those of bmwi._sys do.

local bmwi = require "bmwi"

local place = {}

--- A private file.
---@param path string
---@return table place
function place.file(path)
  return {
    name = path,
    read = function() return bmwi._sys.read_private(path) end,
    write = function(bytes) return bmwi._sys.write_private(path, bytes) end,
    -- What could not be read is kept for its owner to look at, or to mend.
    set_aside = function(bytes) return bmwi._sys.write_private(path .. ".damaged", bytes) end,
    remove = function()
      local removed, message, code = bmwi._sys.remove_private(path .. ".damaged")
      if not removed then return nil, message, code end
      return bmwi._sys.remove_private(path)
    end,
    try_lock = function(kind) return bmwi._sys.try_lock(path, kind) end,
  }
end

--- The memory of this process. It holds text as a file does, so what is read is a copy.
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
