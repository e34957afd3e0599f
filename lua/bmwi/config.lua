--- The command line's configuration for use in programs: server, account and log-in are set once in
--- ~/.config/bmwi/config, not in each script.

local check = require "bmwi._check"

local config = {}

--- Reads the settings as `bmwi` does: the environment (BMWI_BASE_URL, ...), then the file. The
-- options include a store for the command line's token file, so that the program shares its log-in
-- and its record of a refused one. Never prompts.
---@param path? string another configuration file; default: BMWI_CONFIG, else the file of `bmwi`
---@return bmwi.options|nil options for bmwi.new
---@return table|string settings all settings by name, such as `vin` and `units`; after a failure
--- the message
---@return "config"|nil code the file or one of its values cannot be used
---@return {hint: string|nil}|nil info
function config.load(path)
  check.optional(path, "string", 1, "load")
  local fail = require "bmwi.cli.fail"
  local read, settings = pcall(require("bmwi.cli.config").load, { config = path })
  if not read then
    if not fail.is(settings) then error(settings, 0) end
    return nil, settings.message, "config", { hint = fail.hint(settings) }
  end
  local session = require "bmwi.cli.session"
  local options = session.options(settings)
  options.store = session.store(settings)
  return options, settings
end

return config
