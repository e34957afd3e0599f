-- bmwi.cli.man: the manual page bmwi(1), for the man macros, from the tables of options, settings
-- and commands.

local bmwi = require "bmwi"
local args = require "bmwi.cli.args"
local commands = require "bmwi.cli.commands"
local config = require "bmwi.cli.config"
local fail = require "bmwi.cli.fail"
local help = require "bmwi.cli.help"
local option_texts = require "bmwi.cli.option_texts"
local texts = require "bmwi.cli.command_texts"

local man = {}

-- Escapes text for roff: no line becomes a request, and hyphens can be copied.
local function escaped(text)
  text = text:gsub("\\", "\\e"):gsub("%-", "\\-")
  text = text:gsub("[\192-\247][\128-\191]+", function(character)
    local first, second = character:byte(1, 2)
    return #character == 2 and ("\\[u%04X]"):format((first - 192) * 64 + second - 128) or "?"
  end)
  return (text:gsub("^([.'])", "\\&%1"))
end

local function option_lines(add, names)
  for _, name in ipairs(names) do
    local option = args.OPTIONS[name]
    add(".TP")
    add((option.short and "\\fB\\-" .. option.short .. "\\fR, " or "") .. "\\fB\\-\\-"
      .. escaped(name) .. "\\fR" .. (option.value and " \\fI" .. escaped(option.value) .. "\\fR"
      or ""))
    add(escaped(option_texts.options[name]))
  end
end

local function command_lines(add, name)
  local command, said = commands[name], texts[name]
  add(".SS " .. escaped(name))
  add(".B bmwi " .. escaped(command.usage or name))
  add(".PP")
  add(escaped(said.summary:gsub("^%l", string.upper)) .. ".")
  if said.note then add(escaped(said.note)) end
  option_lines(add, command.options or {})
  add(".PP")
  add(".EX")
  for _, example in ipairs(said.examples) do
    add(escaped("    " .. example[1] .. (example[2] and "   # " .. example[2] or "")))
  end
  add(".EE")
end

--- The page.
---@return string roff
function man.page()
  local lines = {}
  local function add(line) lines[#lines + 1] = line end
  add(('.TH BMWI 1 "" "bmwi %s" "User Commands"'):format(bmwi._VERSION))
  add(".SH NAME\nbmwi \\- command line for BMW cars")
  add(".SH SYNOPSIS\n.B bmwi\n.I COMMAND\n[\\fIARGUMENTS\\fR] [\\fIOPTIONS\\fR]")
  add(".SH DESCRIPTION")
  for i, text in ipairs(help.ABOUT) do
    add((i > 1 and ".PP\n" or "") .. escaped(text))
  end
  add(".SH EXAMPLES")
  for _, example in ipairs(help.EXAMPLES) do
    add(".TP\n.B " .. escaped(example[1]) .. "\n" .. (example[2] and escaped(example[2]) or "\\&"))
  end
  add(".SH COMMANDS")
  for _, group in ipairs(help.GROUPS) do
    for _, name in ipairs(group[2]) do command_lines(add, name) end
  end
  add(".SH OPTIONS OF EVERY COMMAND")
  option_lines(add, args.COMMON)
  add(".SH CONFIGURATION")
  add("Lines \\fIkey\\fR = \\fIvalue\\fR; a line that begins with # is a comment.")
  for _, name in ipairs(config.NAMES) do
    add(".TP\n.B " .. escaped(name) .. "\n" .. escaped(option_texts.settings[name]))
  end
  add(".SH EXIT STATUS")
  for _, exit in ipairs(fail.EXITS) do
    add((".TP\n.B %d\n%s"):format(exit[1], escaped(exit[2])))
  end
  add(".SH FILES\n.TP\n.I ~/.config/bmwi/config\nthe configuration, mode 0600")
  add(".TP\n.I ~/.local/state/bmwi/token.json\nthe saved log\\-in; with CarData the account file")
  add(".SH SEE ALSO\n.BR lua (1),\n.BR curl (1)")
  return table.concat(lines, "\n") .. "\n"
end

return man
