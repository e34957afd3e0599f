-- bmwi.cli.help: the help texts, made from the tables of options and commands.

local args = require "bmwi.cli.args"
local config = require "bmwi.cli.config"

local help = {}

local GROUPS = {
  { "Look", { "vehicles", "status", "trips", "charging-profile", "destinations", "range-map",
    "soc", "image" } },
  { "Do", { "lock", "unlock", "flash", "horn", "climate", "charge", "find", "poi", "wait" } },
  { "Look, with BMW CarData", { "charging-history", "charging-settings", "tyres", "telematics",
    "containers", "quota" } },
  { "Set up", { "login", "logout", "doctor", "demo", "get", "help" } },
}

local HEAD = [[
Examples:
  bmwi demo                        a tour with the simulator; needs no car
  bmwi status                      show the car's status
  bmwi status --units imperial     the same in miles
  bmwi lock                        lock the doors and wait until it is done
  bmwi range-map --format svg -o range.svg
  bmwi status --json | jq .chargingLevelHv

]]

local TAIL = [[
Configuration: $XDG_CONFIG_HOME/bmwi/config or ~/.config/bmwi/config, mode 0600, with lines such as
  username = you@example.com       the environment has the same as BMWI_USERNAME, ...
Options override the environment, which overrides the file. Secrets are never arguments.
The keys:
%s
With service = cardata it reads from BMW CarData: vehicles, status, image, what is listed as such,
login, logout, doctor and get. It needs client_id; the rest is done by `bmwi login`.
Exit codes: 0 done, 1 error, 2 usage, 3 outcome unknown, 4 log-in needed, 5 rate limited or quota,
  6 time-out while waiting, 7 the car refused, 130 interrupted.

BMW switched the classic service off on 2021-11-09; a server is any that speaks its protocol.
More: bmwi COMMAND --help
]]

local function option_lines(names)
  local rows, widest, lines = {}, 0, {}
  for _, name in ipairs(names) do
    local option = args.OPTIONS[name]
    local left = (option.short and "-" .. option.short .. ", " or "    ") .. "--" .. name
      .. (option.value and " " .. option.value or "")
    rows[#rows + 1] = { left, option.text }
    widest = math.max(widest, #left)
  end
  for i, row in ipairs(rows) do
    lines[i] = "  " .. row[1] .. (" "):rep(widest + 2 - #row[1]) .. row[2]
  end
  return table.concat(lines, "\n") .. "\n"
end

-- Words in indented lines that fit the screen.
local function wrapped(words)
  local lines, line = {}, " "
  for _, word in ipairs(words) do
    if #line + #word > 78 then
      lines[#lines + 1] = line
      line = " "
    end
    line = line .. " " .. word
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n") .. "\n"
end

--- The help of the whole program.
---@param commands table
---@param out table the output
---@return string text
function help.main(commands, out)
  local parts = { "bmwi talks to a BMW i car.\n\n", HEAD,
    "Usage: bmwi COMMAND [ARGUMENTS] [OPTIONS]\n\n" }
  for _, group in ipairs(GROUPS) do
    parts[#parts + 1] = out:paint("bold", group[1]) .. "\n"
    for _, name in ipairs(group[2]) do
      parts[#parts + 1] = ("  %-18s%s\n"):format(name, commands[name].summary)
    end
    parts[#parts + 1] = "\n"
  end
  parts[#parts + 1] = out:paint("bold", "Options of every command") .. "\n"
  parts[#parts + 1] = option_lines(args.COMMON) .. "\n" .. TAIL:format(wrapped(config.NAMES))
  return table.concat(parts)
end

--- The help of one command.
function help.command(commands, name, out)
  local command = commands[name]
  local parts = { ("bmwi %s: %s\n\nExamples:\n"):format(name, command.summary) }
  for _, example in ipairs(command.examples) do
    parts[#parts + 1] = "  " .. example[1] .. (example[2] and "   # " .. example[2] or "") .. "\n"
  end
  parts[#parts + 1] = ("\nUsage: bmwi %s [OPTIONS]\n"):format(command.usage or name)
  if command.note then parts[#parts + 1] = command.note .. "\n" end
  if command.options and #command.options > 0 then
    parts[#parts + 1] = "\n" .. out:paint("bold", "Options") .. "\n"
      .. option_lines(command.options)
  end
  parts[#parts + 1] = "\n" .. out:paint("bold", "Options of every command") .. "\n"
    .. option_lines(args.COMMON)
  return table.concat(parts)
end

return help
