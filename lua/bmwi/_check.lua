--- Argument checks for the modules in this folder. Errors are reported at the line that called the
-- public function. `level` counts from the function that calls the check: 2 if that is the public
-- function itself, 3 if it is one of its helpers.

local check = {}

local function misuse(level, text, ...)
  local at = (level or 2) + 2
  local frame = debug.getinfo(at, "S")
  while frame and frame.what == "tail" do -- Lua 5.1 counts tail calls, which have no line
    at = at + 1
    frame = debug.getinfo(at, "S")
  end
  error(text:format(...), at)
end

local FOLDER = debug.getinfo(1, "S").source:match("^(.*)_check%.lua$") or "none"

--- For misuse that is found at any depth: reported at the line that called into these modules.
function check.use(holds, text)
  if holds then return end
  local level = 1
  repeat
    level = level + 1
    local frame = debug.getinfo(level, "S")
    local lua = frame and (frame.what == "Lua" or frame.what == "main")
  until not frame or lua and frame.source:sub(1, #FOLDER) ~= FOLDER
  error(text, level)
end

--- The value must have this type.
---@param value any
---@param wanted string as type() says it
---@param position integer of the argument
---@param name string of the public function
---@param level? integer
function check.argument(value, wanted, position, name, level)
  if type(value) ~= wanted then
    misuse(level, "bad argument #%d to '%s' (%s expected, got %s)", position, name, wanted,
      type(value))
  end
end

--- The same, but the argument may be absent.
function check.optional(value, wanted, position, name, level)
  if value ~= nil then check.argument(value, wanted, position, name, (level or 2) + 1) end
end

--- The argument must meet a condition that its type does not express.
---@param holds any
---@param what string the text in parentheses
function check.that(holds, what, position, name, level)
  if not holds then misuse(level, "bad argument #%d to '%s' (%s)", position, name, what) end
end

--- The object that a method was called on must be of this class.
---@param kind string what an object of the class is
function check.self(object, class, kind, name)
  if getmetatable(object) ~= class then
    misuse(2, "calling '%s' on bad self (a %s expected, got %s)", name, kind, type(object))
  end
end

-- A method that only this kind of object has, and that raises once the object is closed.
local PROBES = { client = { "_option", "timeout" }, car = { "_client" } }

--- The object that a method was called on must be one of its kind, and still open.
---@param object any
---@param kind "client"|"car"
---@param name string of the method
function check.object(object, kind, name)
  local probe = PROBES[kind]
  local ok, method = pcall(function() return object[probe[1]] end)
  if not ok or type(method) ~= "function" then
    misuse(2, "calling '%s' on bad self (a %s expected, got %s)", name, kind, type(object))
  end
  local open, why = pcall(method, object, probe[2])
  if not open then misuse(2, "%s", why) end
end

--- Checks a table of options, or nil: all known and of the right types.
---@param options any
---@param known table[] rows of {name, type}
---@return table options
function check.options(options, known, position, name, level)
  check.optional(options, "table", position, name, (level or 2) + 1)
  -- Inherited options would be used but not seen by the loop below.
  local meta = getmetatable(options)
  check.that(type(meta) ~= "table" or meta.__index == nil,
    "a table that inherits members (__index) is not accepted", position, name, (level or 2) + 1)
  local types, names = {}, {}
  for i, option in ipairs(known) do
    names[i], types[option[1]] = option[1], option[2]
  end
  for key, value in pairs(options or {}) do
    if not types[key] then
      misuse(level, "unknown option '%s' of '%s' (known: %s)", tostring(key), name,
        table.concat(names, ", "))
    end
    check.option(type(value) == types[key], key, "be a " .. types[key], name, (level or 2) + 1)
  end
  return options or {}
end

--- An option must meet a condition.
---@param holds any
---@param key string the option's name
---@param what string what it must or must not be
function check.option(holds, key, what, name, level)
  if not holds then misuse(level, "option '%s' of '%s' must %s", key, name, what) end
end

return check
