-- bmwi.cli.help: the help texts, generated from the tables of options and commands.

local args = require "bmwi.cli.args"
local config = require "bmwi.cli.config"
local fail = require "bmwi.cli.fail"
local layout = require "bmwi.cli.layout"
local option_texts = require "bmwi.cli.option_texts"
local texts = require "bmwi.cli.command_texts"

local help = {}

help.GROUPS = {
  { "Read", { "vehicles", "status", "trips", "charging-profile", "destinations", "range-map",
    "soc", "image" } },
  { "Do", { "lock", "unlock", "flash", "horn", "climate", "charge", "find", "poi", "wait" } },
  { "Read, BMW CarData only", { "charging-history", "charging-settings", "tyres", "telematics",
    "containers", "quota" } },
  { "Live", { "watch", "bridge" } },
  { "Set up", { "login", "logout", "doctor", "demo", "get", "completion", "help" } },
}

help.EXAMPLES = {
  { "bmwi demo", "a tour with the simulator; needs no car" },
  { "bmwi status", "show the car's status" },
  { "bmwi status --units imperial", "the same in miles" },
  { "bmwi lock", "lock the doors and wait until it is done" },
  { "bmwi range-map --format svg -o range.svg" },
  { "bmwi status --json | jq .chargingLevelHv" },
}

help.ABOUT = {
  "Configuration: $XDG_CONFIG_HOME/bmwi/config or ~/.config/bmwi/config, mode 0600, with lines "
    .. "such as username = you@example.com; or environment variables such as BMWI_USERNAME. "
    .. "Options override the environment, which overrides the file. Secrets are never arguments.",
  "BMW CarData: set service = cardata and client_id, then run `bmwi login`. These commands work: "
    .. "vehicles, status, image, watch, bridge, login, logout, doctor, get, and those listed as "
    .. "\"Read, BMW CarData only\".",
  "BMW switched the classic service off on 2021-11-09. base_url can name any server that speaks "
    .. "its protocol.",
}

--- An option with its value, as in "-o, --output FILE".
function help.left(name)
  local option = args.OPTIONS[name]
  return (option.short and "-" .. option.short .. ", " or "    ") .. "--" .. name
    .. (option.value and " " .. option.value or "")
end

--- Every exit code with its meaning, on one line.
function help.exits()
  local list = {}
  for i, exit in ipairs(fail.EXITS) do list[i] = exit[1] .. " " .. exit[2] end
  return table.concat(list, "; ") .. "."
end

-- Collects the lines of a help text for the terminal's width, at most 80 columns.
local function page(out)
  local columns = math.min(out.screen or layout.WIDTH, layout.WIDTH)
  local parts = {}
  return {
    add = function(text) parts[#parts + 1] = text .. "\n" end,
    paragraph = function(text) parts[#parts + 1] = layout.hang("", text, columns) .. "\n" end,
    rows = function(rows)
      local widest = 0
      for _, row in ipairs(rows) do
        if row[2] then widest = math.max(widest, layout.width(row[1])) end
      end
      for _, row in ipairs(rows) do
        local label, text = "  " .. row[1], row[2] or ""
        -- If the labels leave little room, the text goes below its label.
        if widest > columns / 2 and text ~= "" then
          parts[#parts + 1] = label .. "\n" .. layout.hang("      ", text, columns) .. "\n"
        elseif text == "" then
          parts[#parts + 1] = label .. "\n"
        else
          parts[#parts + 1] =
            layout.hang(layout.pad(label, widest + 4), text, columns) .. "\n"
        end
      end
    end,
    text = function() return table.concat(parts) end,
  }
end

local function option_rows(names)
  local rows = {}
  for i, name in ipairs(names) do rows[i] = { help.left(name), option_texts.options[name] } end
  return rows
end

--- The help of the whole program.
---@param out table the output
---@return string text
function help.main(out)
  local to = page(out)
  to.add("bmwi talks to a BMW i car.\n\nExamples:")
  to.rows(help.EXAMPLES)
  to.add("\nUsage: bmwi COMMAND [ARGUMENTS] [OPTIONS]\n")
  for _, group in ipairs(help.GROUPS) do
    local rows = {}
    for i, name in ipairs(group[2]) do rows[i] = { name, texts[name].summary } end
    to.add(out:paint("bold", group[1]))
    to.rows(rows)
    to.add("")
  end
  to.add(out:paint("bold", "Options of every command"))
  to.rows(option_rows(args.COMMON))
  to.add("")
  for _, text in ipairs(help.ABOUT) do to.paragraph(text) end
  to.paragraph("Keys of the configuration: " .. table.concat(config.NAMES, ", ") .. ".")
  to.paragraph("Exit codes: " .. help.exits())
  to.add("\nMore: bmwi COMMAND --help, bmwi help --man | man -l -")
  return to.text()
end

--- The help of one command.
function help.command(commands, name, out)
  local command, said, to = commands[name], texts[name], page(out)
  to.paragraph(("bmwi %s: %s"):format(name, said.summary))
  to.add("\nExamples:")
  for _, example in ipairs(said.examples) do
    to.add("  " .. example[1] .. (example[2] and "   # " .. example[2] or ""))
  end
  to.add("")
  to.paragraph(("Usage: bmwi %s [OPTIONS]"):format(command.usage or name))
  if said.note then to.paragraph(said.note) end
  if command.options and #command.options > 0 then
    to.add("\n" .. out:paint("bold", "Options"))
    to.rows(option_rows(command.options))
  end
  to.add("\n" .. out:paint("bold", "Options of every command"))
  to.rows(option_rows(args.COMMON))
  return to.text()
end

return help
