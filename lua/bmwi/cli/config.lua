-- bmwi.cli.config: the settings of a run. Options override the environment, which overrides the
-- configuration file. An error names where the value was set; secrets are never shown.

local bmwi = require "bmwi"
local fail = require "bmwi.cli.fail"
local store = require "bmwi.store"
local values = require "bmwi.cli.values"

local unpack = rawget(_G, "unpack") or table.unpack -- luacheck: ignore
local config = {}

-- All settings. Each is also an environment variable: BMWI_ plus the name in upper case
-- (BMWI_USERNAME). `new` is the option of bmwi.new; `option` is the command-line option; `kind` is
-- how it is checked; `choice` lists the possible words; the value of a `secret` is never shown. A
-- setting `only` for one service is checked, but ignored with the other one. Their texts are in
-- bmwi.cli.option_texts.
local KEYS = {
  service = { new = "service", choice = bmwi.services },
  client_id = { new = "client_id", only = "cardata", kind = "uuid" },
  login_url = { new = "login_url", only = "cardata" },
  stream_url = { new = "stream_url", only = "cardata" },
  daily_limit = { new = "daily_limit", only = "cardata", kind = "count" },
  region = { new = "region", option = "region", only = "classic",
    choice = { "rest_of_world", "usa", "china" } },
  base_url = { new = "base_url", option = "base-url" },
  navigation_url = { new = "navigation_url", only = "classic" },
  token_url = { new = "token_url", only = "classic" },
  token_path = { new = "token_path", only = "classic" },
  scope = { new = "scope" },
  username = { new = "username", only = "classic" },
  password = { new = "password", only = "classic", secret = true },
  api_key = { new = "api_key", only = "classic", secret = true },
  api_secret = { new = "api_secret", only = "classic", secret = true },
  basic = { new = "basic", only = "classic", secret = true },
  security_answer = { secret = true },
  ca_file = { new = "ca_file", option = "ca-file", kind = "pem" },
  proxy = { new = "proxy", secret = true },
  user_agent = { new = "user_agent" },
  poi_field = { new = "poi_field", only = "classic", choice = { "data", "body" } },
  position = { new = "position", only = "classic", kind = "position" },
  request_timeout = { new = "timeout", option = "request-timeout", kind = "positive" },
  connect_timeout = { new = "connect_timeout", kind = "positive" },
  retries = { new = "retries", kind = "number" },
  wait_timeout = { option = "wait-timeout", kind = "seconds" },
  interval = { option = "interval", kind = "seconds" },
  mqtt_username = {},
  mqtt_password = { secret = true },
  mqtt_ca_file = { kind = "pem" },
  vin = { option = "vin" },
  units = { option = "units", choice = { "metric", "imperial", "us" } },
  token_file = { kind = "path" },
}

config.KEYS = KEYS

-- Ambiguous names, and what to use instead.
config.RENAMED = {
  timeout = "request_timeout limits one request, wait_timeout says how long to wait for the car; "
    .. "as options: --request-timeout, --wait-timeout.",
}

--- Converts settings to options of bmwi.new.
---@param settings table
---@return table options
function config.options(settings)
  local options, service = {}, settings.service or "classic"
  for name, key in pairs(KEYS) do
    if key.new and (not key.only or key.only == service) then options[key.new] = settings[name] end
  end
  return options
end

local NAMES = require "bmwi._names"(KEYS)
config.NAMES = NAMES

local function trim(text)
  return text:match("^%s*(.-)%s*$")
end

-- Expands "~" in a path; the shell does not do this in a file.
local function expand(path)
  local home = os.getenv("HOME")
  return home and home ~= "" and path:gsub("^~%f[/%z]", function() return home end) or path
end

-- Raises an error for a setting: `origin` is where it was set, `problem` what is wrong with it.
local function wrong(name, value, origin, problem, hint)
  if type(value) == "number" then value = ("%.14g"):format(value) end -- that of an option
  local shown = KEYS[name].secret and "" or " = " .. value:gsub("//[^/]*@", "//***@")
  fail.raise(("%s%s (%s): %s"):format(name, shown, origin, problem), "config",
    { hint = hint, setting = name })
end

-- What people know from other file formats: other quotes, and comments after a value.
local QUOTES = { '"', "'", "`", "\226\128\156", "\226\128\152" }

local function unquoted(name, text, origin)
  local inner = text:match('^"(.*)"$')
  if inner then return inner end
  for _, quote in ipairs(QUOTES) do
    if text:sub(1, #quote) == quote then
      wrong(name, text, origin, "it begins with a quote that is not one of a pair of \"",
        "A value needs no quotes. One pair of double quotes around all of it is taken off.")
    end
  end
  if text:find("%s#") then
    wrong(name, text, origin, "a comment must be on its own line",
      "If # belongs to the value, put double quotes around all of it.")
  end
  return text
end

--- Parses a configuration file: lines `key = value`; `#` starts a comment line. A pair of double
-- quotes around a value is removed, so that it can start with a blank.
---@param text string
---@param path string for messages
---@return table<string,table> values by name: {value, origin}; raises an error for an invalid line
function config.parse(text, path)
  local found, number = {}, 0
  text = text:gsub("^\239\187\191", ""):gsub("\r\n?", "\n")
  for line in (text .. "\n"):gmatch("(.-)\n") do
    number = number + 1
    local content, origin = trim(line), ("%s line %d"):format(path, number)
    if content ~= "" and content:sub(1, 1) ~= "#" then
      local key, value = content:match("^([%w_-]+)%s*=%s*(.*)$")
      if not key then fail.raise(origin .. " is not of the form: key = value", "config") end
      key = key:lower():gsub("-", "_")
      if not KEYS[key] then
        local close = require("bmwi.cli.closest").word(key, NAMES)
        fail.raise(("%s: unknown key %s"):format(origin, key), "config", {
          hint = config.RENAMED[key] or (close and "Did you mean " .. close .. "? " or "")
          .. "Known keys: " .. table.concat(NAMES, ", ") })
      end
      if found[key] then
        fail.raise(("%s: %s is given twice"):format(origin, key), "config")
      end
      found[key] = { unquoted(key, value, origin), origin }
    end
  end
  return found
end

local function default_path()
  local folder, home = os.getenv("XDG_CONFIG_HOME"), os.getenv("HOME")
  if folder and folder:sub(1, 1) == "/" then return folder .. "/bmwi/config" end
  if home and home ~= "" then return home .. "/.config/bmwi/config" end
end

--- The configuration file of this run.
---@return string|nil path
---@return boolean named whether it was named explicitly
function config.path(options)
  local named = options.config or os.getenv("BMWI_CONFIG")
  if named and named ~= "" then return expand(named), true end
  return default_path(), false
end

local function read_file(options)
  local path, named = config.path(options)
  if not path then return {} end
  local text, message, code, info = bmwi._sys.read_private(path)
  if not text then
    if code == "missing" and not named then return {}, path end
    if code == "missing" then
      fail.raise(("there is no configuration file %s"):format(path), "config")
    end
    fail.raise(message, "config", info)
  end
  return config.parse(text, path), path
end

-- By kind: converts a text to its value, or returns nil and what is wrong with it.
local KINDS = {
  path = expand,
  -- BMW compares it in lower case
  uuid = function(text)
    local hex = text:lower():match("^[%x%-]+$")
    if hex and #hex == 36 and hex:gsub("%x", "") == "----" then return hex end
    return nil, "it must be a client id as the portal shows it, such as "
      .. "01234567-89ab-cdef-0123-456789abcdef"
  end,
  pem = function(text)
    local path = expand(text)
    local file, message = io.open(path, "rb")
    local content
    if file then
      content, message = file:read(1024 * 1024)
      file:close()
    end
    if message then return nil, "it cannot be read: " .. message end
    if content and content:find("-----BEGIN", 1, true) then return path end
    return nil, "it contains no PEM certificate"
  end,
  position = function(text)
    local lat, lon = text:match("^([-+%d.]+)%s*,%s*([-+%d.]+)$")
    lat, lon = tonumber(lat), tonumber(lon)
    if lat and lon then return { lat = lat, lon = lon } end
    return nil, "it must be LAT,LON"
  end,
}

local function checked(name, value, origin)
  local key, problem = KEYS[name], nil
  if type(value) ~= "string" then return value end -- an option that was already parsed as a number
  local result = value
  if KINDS[key.kind] then
    result, problem = KINDS[key.kind](value)
  elseif key.kind then
    result, problem = values.number(key.kind, value)
    problem = "it must be " .. problem
  elseif key.choice then
    result = values.among(key.choice, value)
    problem = "it must be one of: " .. table.concat(key.choice, ", ")
  end
  if not result then wrong(name, value, origin, problem) end
  return result
end

-- Makes a client without sending anything, to check whether the module accepts these settings.
local function trial(settings)
  local options = config.options(settings)
  if not options.region then options.base_url = options.base_url or "https://localhost" end
  if settings.service == "cardata" then
    options.client_id = options.client_id or "x"
  else
    options.username, options.password = options.username or "x", options.password or "x"
    if not options.basic then
      options.api_key, options.api_secret = options.api_key or "x", options.api_secret or "x"
    end
  end
  local client = bmwi.new(options)
  if settings.vin then client:vehicle(settings.vin) end
  client:close()
end

-- The module's own rules apply to all settings; if one is broken, finds out which setting breaks
-- it.
local function check_all(settings, texts)
  if pcall(trial, settings) then return end
  for _, name in ipairs(NAMES) do
    if settings[name] ~= nil then
      local taken, problem = pcall(trial, { service = settings.service, [name] = settings[name] })
      if not taken then
        problem = tostring(problem):gsub("^[^\n]-:%d+: ", ""):gsub("^option '[%w_]+': ", "")
        problem = problem:match("^bad argument #%d+ to '[^']*' %((.*)%)$") or problem
        wrong(name, texts[name][1], texts[name][2], problem)
      end
    end
  end
end

--- Remarks on environment variables that are almost those of a setting. Any others that begin with
--- BMWI_ may be another program's.
---@return string[] remarks
function config.misspelt()
  local known, exact, list = { "config", unpack(NAMES) }, {}, {}
  for _, name in ipairs(known) do exact["BMWI_" .. name:upper()] = true end
  local variables = bmwi._sys.variables("BMWI_")
  table.sort(variables)
  for _, variable in ipairs(variables) do
    local close = not exact[variable] and require("bmwi.cli.closest").word(variable:sub(6), known)
    if close then
      list[#list + 1] = ("%s is not a setting. Did you mean BMWI_%s?"):format(variable,
        close:upper())
    end
  end
  return list
end

-- Two ways to set the same thing: the one with precedence wins, and the first of the pair if equal.
local EITHER = { { "base_url", "region" }, { "basic", "api_key" } }

--- Collects the settings of a run.
---@param options table the flags, by long name
---@return table settings the keys above, and `path` of the file
function config.load(options)
  local file, path = read_file(options)
  local settings, rank, texts = {}, {}, {}
  for old, hint in pairs(config.RENAMED) do
    local variable = "BMWI_" .. old:upper()
    if os.getenv(variable) then
      fail.raise("unknown setting " .. variable, "config", { hint = hint, setting = old })
    end
  end
  for _, name in ipairs(NAMES) do
    local flag = KEYS[name].option and options[KEYS[name].option]
    local variable = "BMWI_" .. name:upper()
    local set = os.getenv(variable)
    if flag then
      texts[name], rank[name] = { flag, "--" .. KEYS[name].option }, 3
    elseif set and set ~= "" then
      texts[name], rank[name] = { set, variable }, 2
    elseif file[name] and file[name][1] ~= "" then
      texts[name], rank[name] = file[name], 1
    end
  end
  for _, pair in ipairs(EITHER) do
    local one, other = pair[1], pair[2]
    if rank[one] and rank[other] then
      texts[rank[other] > rank[one] and one or other] = nil
    end
  end
  for name, text in pairs(texts) do settings[name] = checked(name, text[1], text[2]) end
  check_all(settings, texts)
  if not settings.token_file then
    local default, problem = store.default_path()
    if not default then
      fail.raise(problem, "config", { hint = "Set token_file, or BMWI_TOKEN_FILE, to a path." })
    end
    settings.token_file = default
  end
  settings.path = path
  return settings
end

return config
