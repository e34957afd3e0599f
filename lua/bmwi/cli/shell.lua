-- bmwi.cli.shell: completion scripts for bash, zsh and fish, generated from the tables of options
-- and commands.

local args = require "bmwi.cli.args"
local commands = require "bmwi.cli.commands"
local fail = require "bmwi.cli.fail"
local sorted_names = require "bmwi._names"
local quoted = require("bmwi.cli.programs").quoted
local option_texts = require "bmwi.cli.option_texts"
local texts = require "bmwi.cli.command_texts"

local shell = {}

local NAMES = sorted_names(commands)
local OPTIONS = sorted_names(args.OPTIONS)

-- The possible values of an option: an array of words, "FILE", or nil if unknown.
---@return any
local function values(name, command)
  local option = args.OPTIONS[name]
  if name == "format" and command then return commands[command].formats end
  if option.value == "FILE" then return "FILE" end
  return option.choice
end

-- "--output" and "-o" with a separator between them.
local function spellings(name, separator)
  local short = args.OPTIONS[name].short
  return "--" .. name .. (short and separator .. "-" .. short or "")
end

-- The options of a command and of every command.
local function options_of(name)
  local list = {}
  for _, option in ipairs(commands[name].options or {}) do list[#list + 1] = option end
  for _, option in ipairs(args.COMMON) do list[#list + 1] = option end
  return list
end

local BASH = [==[
# bash completion for bmwi
_bmwi() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command='' words='' i
  COMPREPLY=()
  if [[ $cur == = ]]; then cur=''
  elif [[ $prev == = ]]; then prev=${COMP_WORDS[COMP_CWORD-2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      @VALUED@) ((i++)) ;;
      -*|=) ;;
      *) command=${COMP_WORDS[i]}; break ;;
    esac
  done
  case $prev in
@VALUES@
  esac
  case $command in
    '') words='@COMMANDS@' ;;
@WORDS@
  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  case $command in charging-profile) COMPREPLY+=($(compgen -f -- "$cur")) ;; esac
}
complete -F _bmwi bmwi
]==]

local function bash()
  local valued, behind, words = {}, {}, {}
  for _, name in ipairs(OPTIONS) do
    local known = values(name)
    if args.OPTIONS[name].value then
      valued[#valued + 1] = spellings(name, "|")
      local reply = known == "FILE" and 'compopt -o filenames 2>/dev/null; '
        .. 'COMPREPLY=($(compgen -f -- "$cur")); '
        or known and ("COMPREPLY=($(compgen -W %s -- \"$cur\")); "):format(
          quoted(table.concat(known, " "))) or ""
      behind[#behind + 1] = ("    %s) %sreturn ;;"):format(spellings(name, "|"), reply)
    end
  end
  for i, name in ipairs(NAMES) do
    local list = {}
    for _, word in ipairs(commands[name].words or name == "help" and NAMES or {}) do
      list[#list + 1] = word
    end
    for _, option in ipairs(options_of(name)) do list[#list + 1] = "--" .. option end
    words[i] = ("    %s) words=%s ;;"):format(name, quoted(table.concat(list, " ")))
  end
  return (BASH:gsub("@(%u+)@", { VALUED = table.concat(valued, "|"),
    VALUES = table.concat(behind, "\n"), COMMANDS = table.concat(NAMES, " "),
    WORDS = table.concat(words, "\n") }))
end

local ZSH = [==[
#compdef bmwi
_bmwi() {
  local -a commands
  commands=(
@COMMANDS@
  )
  local curcontext=$curcontext state line
  _arguments -C '1:command:->command' '*::argument:->argument'
  case $state in
    command) _describe -t commands 'bmwi command' commands ;;
    argument)
      case $words[1] in
@WORDS@
      esac ;;
  esac
}
if [ "$funcstack[1]" = _bmwi ]; then _bmwi "$@"; else compdef _bmwi bmwi; fi
]==]

-- Escapes a text inside '...[text]...' for zsh's _arguments.
local function bracketed(text) return (text:gsub("[%[%]:\\]", "\\%0")) end

local function zsh_option(name, command)
  local option, known, value = args.OPTIONS[name], values(name, command), ""
  if option.value then
    value = ":" .. option.value .. ":" .. (known == "FILE" and "_files"
      or known and "(" .. table.concat(known, " ") .. ")" or "")
  end
  local list = {}
  for spelling in spellings(name, " "):gmatch("%S+") do
    list[#list + 1] = quoted(("%s[%s]%s"):format(spelling,
      bracketed(option_texts.options[name]), value))
  end
  return table.concat(list, " ")
end

local function zsh()
  local described, words = {}, {}
  for i, name in ipairs(NAMES) do
    described[i] = "    " .. quoted(name .. ":" .. texts[name].summary)
    local list = {}
    for j, option in ipairs(options_of(name)) do list[j] = zsh_option(option, name) end
    local positional = commands[name].words or name == "help" and NAMES
    if positional then
      list[#list + 1] = quoted("1:argument:(" .. table.concat(positional, " ") .. ")")
    end
    if name == "charging-profile" then list[#list + 1] = quoted("2:FILE:_files") end
    words[i] = ("        %s) _arguments %s ;;"):format(name, table.concat(list, " "))
  end
  return (ZSH:gsub("@(%u+)@", { COMMANDS = table.concat(described, "\n"),
    WORDS = table.concat(words, "\n") }))
end

local function fish()
  local lines = { "# fish completion for bmwi", "complete -c bmwi -f" }
  local function add(condition, rest)
    lines[#lines + 1] = ("complete -c bmwi -n %s %s"):format(quoted(condition), rest)
  end
  local function option(condition, name, command)
    local row, known = args.OPTIONS[name], values(name, command)
    local value = row.value and (known == "FILE" and " -r -F"
      or known and " -x -a " .. quoted(table.concat(known, " ")) or " -x") or ""
    add(condition, "-l " .. name .. (row.short and " -s " .. row.short or "") .. value .. " -d "
      .. quoted(option_texts.options[name]))
  end
  for _, name in ipairs(args.COMMON) do option("true", name) end
  for _, name in ipairs(NAMES) do
    local command, seen = commands[name], "__fish_seen_subcommand_from " .. name
    add("__fish_use_subcommand", "-a " .. name .. " -d " .. quoted(texts[name].summary))
    local words = command.words or name == "help" and NAMES
    if words then add(seen, "-a " .. quoted(table.concat(words, " "))) end
    if name == "charging-profile" then add(seen, "-F") end
    for _, each in ipairs(command.options or {}) do option(seen, each, name) end
  end
  return table.concat(lines, "\n") .. "\n"
end

local SHELLS = { bash = bash, zsh = zsh, fish = fish }

--- `bmwi completion SHELL`
function shell.completion(ctx)
  local make = SHELLS[ctx.args[1]]
  if not make then
    fail.usage("bmwi completion knows bash, zsh and fish, not " .. ctx.args[1])
  end
  if ctx.out.json then ctx.out:document({ completion = make() }) else ctx.out:write(make()) end
  return 0
end

return shell
