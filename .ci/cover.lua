-- Records which lines of lua/ are run, for `make coverage`. Loaded by LUA_INIT, so that
-- programs started by the specs are included. Each writes a file of its own when it exits.
local folder = os.getenv("BMWI_COVER")
local sources = {} -- "@./lua/bmwi/x.lua" -> {line -> true}; false for other files
local sethook, getinfo, exit = debug.sethook, debug.getinfo, os.exit
local create = coroutine.create

local function on_line(_, line)
  local source = getinfo(2, "S").source
  local hits = sources[source]
  if hits == nil then
    hits = source:find("lua/bmwi/", 1, true) and {} or false
    sources[source] = hits
  end
  if hits then hits[line] = true end
end

local function write()
  local name = ("%s/%s-%s"):format(folder, os.time(), tostring({}):match("%x+$"))
  local out = assert(io.open(name, "a"))
  for source, hits in pairs(sources) do
    for line in pairs(hits or {}) do
      out:write(source:match("lua/bmwi/.*"), ":", line, "\n")
    end
  end
  out:close()
  sources = {}
end

-- A coroutine has a hook of its own.
function coroutine.create(fn) -- luacheck: ignore
  local thread = create(fn)
  sethook(thread, on_line, "l")
  return thread
end

-- A spec that takes its own hook away gives ours back.
function debug.sethook(...) -- luacheck: ignore
  if select("#", ...) == 0 then return sethook(on_line, "l") end
  return sethook(...)
end

function os.exit(...) -- luacheck: ignore
  write()
  return exit(...)
end

sethook(on_line, "l")
package.loaded["bmwi.cover"] = setmetatable({}, { __gc = write })
