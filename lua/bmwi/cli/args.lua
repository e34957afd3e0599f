-- bmwi.cli.args: the options, and parsing the command's arguments. There are deliberately no
-- options for secrets: every user of a machine can read a process's arguments.

local values = require "bmwi.cli.values"

local args = {}

-- `value` names the option's value in the help; `kind` is how it is checked; `only` is the service
-- that it is limited to. Their texts are in bmwi.cli.option_texts.
args.OPTIONS = {
  json = { short = "j" },
  vin = { value = "VIN" },
  units = { value = "UNITS", choice = { "metric", "imperial", "us" } },
  output = { short = "o", value = "FILE" },
  wait = {},
  ["no-wait"] = {},
  ["wait-timeout"] = { value = "SECONDS", kind = "seconds" },
  interval = { value = "SECONDS", kind = "seconds" },
  yes = { short = "y" },
  quiet = { short = "q" },
  verbose = { short = "v" },
  ["no-color"] = {},
  config = { value = "FILE" },
  region = { only = "classic", value = "REGION" },
  ["base-url"] = { value = "URL" },
  ["ca-file"] = { value = "FILE" },
  ["request-timeout"] = { value = "SECONDS", kind = "positive" },
  help = { short = "h" },
  man = {},
  version = { short = "V" },

  format = { value = "FORMAT", choice = { "text", "geojson", "kml", "svg", "csv" } },
  count = { value = "N", kind = "flashes" },
  name = { value = "TEXT" },
  lat = { value = "DEGREES", kind = "number" },
  lon = { value = "DEGREES", kind = "number" },
  street = { value = "TEXT" },
  city = { value = "TEXT" },
  country = { value = "TEXT" },
  ["postal-code"] = { value = "TEXT" },
  info = { value = "TEXT" },
  phone = { value = "NUMBER" },
  website = { value = "URL" },
  from = { value = "DAY" },
  to = { value = "DAY" },
  ["max-age"] = { only = "cardata", value = "SECONDS", kind = "positive" },
  record = { value = "FILE" },
  ["record-personal"] = {},
  every = { only = "classic", value = "SECONDS", kind = "pause" },
  mqtt = { value = "URL" },
  prefix = { value = "PREFIX" },
  discovery = { value = "NAME", choice = { "homeassistant" } },
  prometheus = { value = "FILE" },
  ["allow-commands"] = { only = "classic" },
  view = { only = "classic", value = "VIEW" },
  width = { only = "classic", value = "PIXELS", kind = "count" },
  height = { only = "classic", value = "PIXELS", kind = "count" },
}

-- Options of every command, in the order of the help.
args.COMMON = {
  "json", "units", "vin", "output", "quiet", "verbose", "no-color", "config", "region", "base-url",
  "ca-file", "request-timeout", "help", "version",
}

local SHORT = {}
for name, option in pairs(args.OPTIONS) do
  if option.short then SHORT[option.short] = name end
end

-- Words that people try as options for secrets.
local SECRET = { "password", "secret", "token", "api%-key", "^key$", "answer", "basic", "^pass" }
local SECRET_HINT = "Secrets cannot be given as arguments, where other users could read them. "
  .. "Use the configuration file, the environment (BMWI_PASSWORD, ...) "
  .. "or the prompt: bmwi help login"

local function unknown_option(name, allowed)
  local renamed = require("bmwi.cli.config").RENAMED[name]
  if renamed then return nil, "unknown option --" .. name, renamed end
  for _, pattern in ipairs(SECRET) do
    if name:lower():find(pattern) then return nil, "unknown option --" .. name, SECRET_HINT end
  end
  local close = require("bmwi.cli.closest").word(name, require "bmwi._names"(allowed))
  return nil, "unknown option --" .. name, close and ("Did you mean --%s?"):format(close)
end

local function convert(name, option, text)
  if option.choice then
    if values.among(option.choice, text) then return text end
    return nil, ("--%s must be one of: %s"):format(name, table.concat(option.choice, ", "))
  end
  if option.kind then
    local value, wanted = values.number(option.kind, text)
    if not value then return nil, ("--%s must be %s"):format(name, wanted) end
    return value
  end
  if text == "" then return nil, ("--%s must not be empty"):format(name) end
  return text
end

-- Splits one argument into option name and value; nil for a positional argument.
local function option_of(argument)
  local long, equals, value = argument:match("^%-%-([%w][%w-_]*)(=?)(.*)$")
  if long then return (long:gsub("_", "-")), equals == "=" and value or nil end
  -- A southern latitude or western longitude starts with a minus sign but is not an option.
  if argument:find("^%-[%a]") then
    local letter, rest = argument:match("^%-(%a)(.*)$")
    return SHORT[letter] or letter, rest ~= "" and rest or nil, not SHORT[letter]
  end
end

--- Parses the arguments.
---@param argv string[]
---@param commands table<string,table> each with `options`, an array of option names
---@return table|nil result {command = name or nil, positional = array, options = by long name}
---@return string|nil message
---@return string|nil hint
function args.parse(argv, commands)
  local result = { positional = {}, options = {} }
  local index, only_positional = 0, false
  local pending = {}
  while index < #argv do
    index = index + 1
    local argument = argv[index]
    local name, value, bad
    if not only_positional then name, value, bad = option_of(argument) end
    if argument == "--" and not only_positional then
      only_positional = true
    elseif name == nil then
      if result.command == nil then
        result.command = argument
      else
        result.positional[#result.positional + 1] = argument
      end
    else
      local option = args.OPTIONS[name]
      if bad then return nil, "unknown option -" .. name end
      if not option then return unknown_option(name, args.OPTIONS) end
      if option.value and value == nil then
        index = index + 1
        value = argv[index]
        if value == nil then return nil, ("--%s needs a value: %s"):format(name, option.value) end
      elseif not option.value and value ~= nil then
        return nil, ("--%s takes no value"):format(name)
      end
      if option.value then
        local message
        value, message = convert(name, option, value)
        if value == nil then return nil, message end
      end
      result.options[name] = value or true
      pending[#pending + 1] = name
    end
  end
  local command = commands[result.command]
  if command then
    local allowed = {}
    for _, name in ipairs(args.COMMON) do allowed[name] = true end
    for _, name in ipairs(command.options or {}) do allowed[name] = true end
    for _, name in ipairs(pending) do
      if not allowed[name] then
        return nil, ("--%s cannot be used with `bmwi %s`"):format(name, result.command),
          ("See: bmwi %s --help"):format(result.command)
      end
    end
    local format = result.options.format
    if format and not values.among(command.formats, format) then
      return nil, "--format must be one of: " .. table.concat(command.formats, ", ")
    end
  end
  return result
end

return args
