-- Writes docs/cli.md to standard output: the existing page up to the mark, then every
-- command, option, key and exit code, from the command line's own tables.
local args = require "bmwi.cli.args"
local commands = require "bmwi.cli.commands"
local config = require "bmwi.cli.config"
local fail = require "bmwi.cli.fail"
local help = require "bmwi.cli.help"
local option_texts = require "bmwi.cli.option_texts"
local texts = require "bmwi.cli.command_texts"

local MARK = "<!%-%- From here on .- %-%->\n"

local page = assert(io.open("docs/cli.md", "rb"))
local lines = { assert(page:read("*a"):match("^.-" .. MARK)) }
page:close()
local function add(line) lines[#lines + 1] = line or "" end

local function sentence(text) return (text:gsub("^%l", string.upper)) .. "." end
local function cell(text) return (text:gsub("|", "\\|")) end
-- Code, so that a value's name in capitals is not taken for a tag or emphasis.
local function code(text) return "`" .. text .. "`" end

local function option_rows(names)
  add("| Option | |")
  add("|---|---|")
  for _, name in ipairs(names) do
    add(("| %s | %s |"):format(code(help.left(name):match("^%s*(.*)$")),
      cell(option_texts.options[name])))
  end
end

for _, group in ipairs(help.GROUPS) do
  add()
  add("## " .. group[1])
  for _, name in ipairs(group[2]) do
    local command, said = commands[name], texts[name]
    add()
    add("### `bmwi " .. (command.usage or name) .. "`")
    add()
    add(sentence(said.summary))
    if said.note then add(said.note) end
    if not command.run and command.cardata then add("Of BMW CarData only.") end
    if command.run and not command.cardata and not command.alone then
      add("Of the classic service only.")
    end
    add()
    for _, example in ipairs(said.examples) do
      add("    " .. example[1] .. (example[2] and "   # " .. example[2] or ""))
    end
    if command.options and #command.options > 0 then
      add()
      option_rows(command.options)
    end
  end
end
add()
add("## Options of every command")
add()
option_rows(args.COMMON)
add()
add("## The configuration")
add()
add("Keys marked * are secrets.")
add()
add("| Key | |")
add("|---|---|")
for _, name in ipairs(config.NAMES) do
  add(("| `%s`%s | %s |"):format(name, config.KEYS[name].secret and " *" or "",
    cell(option_texts.settings[name])))
end
add()
add("## Exit codes")
add()
add("| Code | |")
add("|---|---|")
for _, exit in ipairs(fail.EXITS) do add(("| %d | %s |"):format(exit[1], exit[2])) end
io.write(table.concat(lines, "\n"), "\n")
