-- bmwi.cli.config: the settings of a run. Flags go before the environment, and the environment
-- goes before the configuration file. No message holds a value of a setting.

local bmwi = require "bmwi"
local args = require "bmwi.cli.args"
local fail = require "bmwi.cli.fail"
local store = require "bmwi.store"

local config = {}

-- Every key of the file; the environment has the same in capitals after BMWI_ (BMWI_USERNAME).
-- `option` is the flag of the same meaning; `kind` number is checked; `choice` lists the words.
local KEYS = {
  region = { option = "region", choice = { "rest_of_world", "usa", "china" } },
  base_url = { option = "base-url" },
  navigation_url = {},
  token_url = {},
  token_path = {},
  scope = {},
  username = {},
  password = {},
  api_key = {},
  api_secret = {},
  basic = {},
  security_answer = {},
  ca_file = { option = "ca-file" },
  proxy = {},
  user_agent = {},
  poi_field = { choice = { "data", "body" } },
  position = {},
  request_timeout = { option = "request-timeout", kind = "number" },
  connect_timeout = { kind = "number" },
  retries = { kind = "number" },
  timeout = { option = "timeout", kind = "number" },
  interval = { option = "interval", kind = "number" },
  vin = { option = "vin" },
  units = { option = "units", choice = { "metric", "imperial", "us" } },
  token_file = {},
}

local NAMES = {}
for name in pairs(KEYS) do NAMES[#NAMES + 1] = name end
table.sort(NAMES)
config.NAMES = NAMES

local function trim(text)
  return text:match("^%s*(.-)%s*$")
end

--- Reads the text of a configuration file: lines `key = value`, `#` begins a comment line.
-- One pair of double quotes around a value is taken off, so that it can begin with a blank.
---@param text string
---@param path string for messages
---@return table<string,string>|nil values
---@return string|nil message
---@return string|nil hint
function config.parse(text, path)
  local values, number = {}, 0
  text = text:gsub("^\239\187\191", ""):gsub("\r\n?", "\n")
  for line in (text .. "\n"):gmatch("(.-)\n") do
    number = number + 1
    local content = trim(line)
    if content ~= "" and content:sub(1, 1) ~= "#" then
      local key, value = content:match("^([%w_-]+)%s*=%s*(.*)$")
      if not key then
        return nil, ("%s line %d is not of the form: key = value"):format(path, number)
      end
      key = key:lower():gsub("-", "_")
      if not KEYS[key] then
        local close = args.closest(key, NAMES)
        return nil, ("%s line %d: unknown key %s"):format(path, number, key),
          (close and "Did you mean " .. close .. "? " or "")
            .. "Known keys: " .. table.concat(NAMES, ", ")
      end
      if values[key] then
        return nil, ("%s line %d: %s is given twice"):format(path, number, key)
      end
      values[key] = value:match('^"(.*)"$') or value
    end
  end
  return values
end

--- Where the configuration file is looked for when no one names it.
---@return string|nil path
function config.default_path()
  local folder, home = os.getenv("XDG_CONFIG_HOME"), os.getenv("HOME")
  if folder and folder:sub(1, 1) == "/" then return folder .. "/bmwi/config" end
  if home and home ~= "" then return home .. "/.config/bmwi/config" end
end

local function read_file(options)
  local named = options.config or os.getenv("BMWI_CONFIG")
  if named == "" then named = nil end
  local path = named or config.default_path()
  if not path then return {}, nil, "missing" end
  local text, message, code = bmwi.sys.read_private(path)
  if not text then
    if code == "missing" and not named then return {}, path, code end
    if code == "insecure" then
      fail.raise(("%s may be read or changed by others"):format(path), "config",
        { hint = ("It can hold your password. Run: chmod 600 %s"):format(path) })
    elseif code == "missing" then
      fail.raise(("there is no configuration file %s"):format(path), "config")
    end
    fail.raise(message, "config")
  end
  local values, problem, hint = config.parse(text, path)
  if not values then fail.raise(problem, "config", { hint = hint }) end
  return values, path, nil, message -- which is the stamp here
end

local function checked(name, value, origin)
  local key = KEYS[name]
  if key.kind == "number" then
    local number = tonumber(value)
    if not number or number < 0 then
      fail.raise(("%s (%s) must be a number"):format(name, origin), "config")
    end
    return number
  end
  if key.choice then
    for _, word in ipairs(key.choice) do
      if value == word then return value end
    end
    fail.raise(("%s (%s) must be one of: %s"):format(name, origin,
      table.concat(key.choice, ", ")), "config")
  end
  return value
end

--- Puts a run's settings together.
---@param options table the flags, by long name
---@return table settings the keys above, and `path`, `state` ("read", "missing") and `stamp` (when
--- it was changed) of the file
function config.load(options)
  local file, path, missing, stamp = read_file(options)
  local settings, rank = { path = path, state = missing or "read", stamp = stamp }, {}
  for _, name in ipairs(NAMES) do
    local flag = KEYS[name].option and options[KEYS[name].option]
    local variable = "BMWI_" .. name:upper()
    local set = os.getenv(variable)
    if flag ~= nil and flag ~= false then
      settings[name], rank[name] = checked(name, flag, "--" .. KEYS[name].option), 3
    elseif set and set ~= "" then
      settings[name], rank[name] = checked(name, set, variable), 2
    elseif file[name] and file[name] ~= "" then
      settings[name], rank[name] = checked(name, file[name], path), 1
    end
  end
  -- Two ways to say the same thing: the nearer one counts, the first of the pair on a draw.
  for _, pair in ipairs { { "base_url", "region" }, { "basic", "api_key" } } do
    local one, other = pair[1], pair[2]
    if rank[one] and rank[other] then
      settings[rank[other] > rank[one] and one or other] = nil
    end
  end
  if settings.position then
    local lat, lon = settings.position:match("^([-+%d.]+)%s*,%s*([-+%d.]+)$")
    lat, lon = tonumber(lat), tonumber(lon)
    if not lat or not lon then fail.raise("position must be LAT,LON", "config") end
    settings.position = { lat = lat, lon = lon }
  end
  if not settings.token_file then
    local default, problem = store.default_path()
    if not default then
      fail.raise(problem, "config", { hint = "Set token_file, or BMWI_TOKEN_FILE, to a path." })
    end
    settings.token_file = default
  end
  return settings
end

return config
