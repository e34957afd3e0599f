-- Writes docs/reference.md from the comments in types/*.lua and in the public modules of lua/bmwi.
-- usage: lua .ci/reference.lua >docs/reference.md     (`make docs`)

local types = dofile(".ci/types.lua")

local ANSWERS = "Every member may be absent, and new words turn up: compare with what you know, "
  .. "and keep the rest. A member that only one service reports has its name beside it."

local out = {}
local function write(text, ...)
  out[#out + 1] = select("#", ...) > 0 and text:format(...) or text
end

local known = {} -- class or alias name -> true

local function code(text) return "`" .. text .. "`" end
local function cell(text) return (text:gsub("|", "\\|")) end
local function anchor(name) return "#" .. name:lower():gsub("[^%w_-]", "") end

-- A type for readers: `string` or `nil`, with links to the types described below.
local function shown(kind)
  local list = types.members(kind)
  local words, parts = {}, {}
  for _, member in ipairs(list) do
    if member:find('^"') then words[#words + 1] = member end
  end
  for _, member in ipairs(list) do
    local bare, array = member:match("^(.-)(%[?%]?)$")
    if not (member == "string" and #words > 1) then
      parts[#parts + 1] = known[bare] and ("[%s](%s)"):format(code(bare .. array), anchor(bare))
        or code(member)
    end
  end
  return table.concat(parts, ", ")
end

-- Capitalised, unless it begins with a name, and with a full stop.
local function sentence(text)
  if text == "" then return "" end
  if not text:find("^%l[%w_]*[.:(]") then text = text:gsub("^%l", string.upper) end
  return text:find("[.:]%)?$") and text or text .. "."
end

-- Which service has a member or a method, and the rest of its text.
local function service_of(text)
  for _, service in ipairs { "classic", "CarData" } do
    local before, after = text:match("^(.-)%s*%[" .. service .. "%]%s*(.*)$")
    if before and before ~= "" and after ~= "" then return service, before .. ": " .. after end
    if before then return service, before .. after end
  end
  local service, rest = text:match("^(%u%a+): (.*)$")
  if service == "Classic" or service == "CarData" then return service:gsub("^Cl", "cl"), rest end
  return "both", text
end

local function write_fields(class, first)
  local several = false
  for _, field in ipairs(class.fields) do several = several or service_of(field.text) ~= "both" end
  write("| %s | Type | |%s\n|---|---|---|%s", first, several and " Service |" or "",
    several and "---|" or "")
  for _, field in ipairs(class.fields) do
    local service, text = service_of(field.text)
    write("| %s | %s | %s |%s", code(field.name), cell(shown(field.type)), cell(text),
      several and (" %s |"):format(service == "both" and "" or service) or "")
  end
  write ""
end

local function write_words(alias)
  local names, said = {}, false
  for i, word in ipairs(alias.words) do
    names[i] = code('"' .. word.name .. '"')
    said = said or word.text ~= ""
  end
  if not said then return write("%s\n", table.concat(names, ", ")) end
  write("| Word | |\n|---|---|")
  for i, word in ipairs(alias.words) do write("| %s | %s |", names[i], cell(word.text)) end
  write ""
end

local function write_text(text)
  local service, rest = service_of(text)
  write("%s%s\n", service ~= "both" and ("*%s only.* "):format(service:gsub("^c", "C")) or "",
    sentence(rest))
end

local STANDARD = { message = true, code = true, info = true }

local function signature(item, name)
  local list = {}
  for i, argument in ipairs(item.arguments) do
    local optional = item.params[i] and item.params[i].optional
    list[i] = optional and "[" .. argument .. "]" or argument
  end
  return ("%s%s%s(%s)"):format(name, item.mark, item.name, table.concat(list, ", "))
end

local function write_result(result)
  local text = result.text
  write("- returns %s(%s)%s", result.name ~= "" and code(result.name) .. " " or "",
    shown(result.type), text ~= "" and ": " .. text or "")
end

-- The results of a failure: `nil, message, code, info`, with their descriptions.
local function write_failure(results)
  local names, notes = { "nil", "message" }, {}
  for _, result in ipairs(results) do
    if result.name ~= "message" then names[#names + 1] = result.name end
    local kind = result.type:gsub("|nil$", "")
    local plain = kind == "string" or kind == "table" or known[kind]
    if result.text ~= "" or not plain then
      notes[#notes + 1] = code(result.name) .. (plain and "" or " (" .. shown(kind) .. ")")
        .. (result.text ~= "" and ": " .. result.text or "")
    end
  end
  write("- on failure %s%s", code(table.concat(names, ", ")),
    #notes > 0 and "; " .. table.concat(notes, "; ") or "")
end

local function write_function(item, name)
  write("### `%s`\n", signature(item, name))
  write_text(item.text)
  local failure = {}
  for _, param in ipairs(item.params) do
    write("- %s (%s%s)%s", code(param.name), shown(param.type),
      param.optional and ", optional" or "", param.text ~= "" and ": " .. param.text or "")
  end
  for i, result in ipairs(item.returns) do
    if i > 1 and STANDARD[result.name] then failure[#failure + 1] = result
    else write_result(result) end
  end
  if #failure > 0 then write_failure(failure) end
  write ""
end

local interface, answers = types.read("types/bmwi.lua"), types.read("types/answers.lua")
local modules = {}
for i, name in ipairs(types.MODULES) do
  local items, head = types.read("lua/bmwi/" .. name .. ".lua")
  modules[i] = { name = name, items = items, head = head }
end
for _, items in ipairs { interface, answers } do
  for _, item in ipairs(items) do known[item.name] = item.kind ~= "function" or nil end
end
for _, module in ipairs(modules) do
  for _, item in ipairs(module.items) do
    if item.kind ~= "function" then known[item.name] = true end
  end
end

-- The owners' names in headings, where they are not the last word of the owner.
local WRITTEN = { ["bmwi.host.luv"] = "handle", ["bmwi.host.cqueues"] = "handle",
  ["bmwi.base64"] = "bmwi.base64", ["bmwi.json"] = "bmwi.json", ["bmwi.loop"] = "bmwi.loop" }

local function written(owner) return WRITTEN[owner] or owner:match("[%w_]+$") end

local function write_items(items)
  for _, item in ipairs(items) do
    if item.kind == "function" then
      write_function(item, written(item.owner))
    elseif item.kind == "class" then
      write("## %s\n", code(item.name))
      write("%s\n", sentence(item.text))
      if #item.fields > 0 then
        write_fields(item, item.name == "bmwi.options" and "Option" or "Member")
      end
    else
      write("## %s\n", code(item.name))
      if item.text ~= "" then write("%s\n", sentence(item.text)) end
      write_words(item)
    end
  end
end

write [[
# Reference

Written by `make docs` from `types/*.lua` and the comments in `lua/bmwi`; do not edit it here. What
the answers mean is in [answers.md](answers.md), what to do about errors in [errors.md](errors.md).

A call that fails returns `nil, message, code, info`: a text for people, one of the
[codes](#bmwicode), and a table of [what is known](#bmwiinfo). Incorrect use raises an error.
"Classic only" and "CarData only": on a client of the other service that method returns
`nil, message, "unsupported"`. Every member of an answer may be absent.

`bmwi` and all `bmwi.NAME` modules are loaded by `require`. Names that begin with `_` are private.
Besides the modules below there are `bmwi.cli`, the command line (`cli.main(argv)` returns its exit
code), and `bmwi.cardata`, which holds the methods of CarData's clients and cars and is of no use by
itself.

**In an editor.** LuaLS (lua-language-server) reads the same comments. Where bmwi is installed, name
the folder of its Lua modules in `.luarc.json`; the types of the C module are in `bmwi/types` there:

```json
{ "workspace.library": ["/usr/local/share/lua/5.4"] }
```
]]

-- The names of everything that has a section, with links.
local function index(items)
  local list = {}
  for _, item in ipairs(items) do
    if item.kind ~= "function" then
      list[#list + 1] = ("[%s](%s)"):format(item.name:gsub("^bmwi%.", ""), anchor(item.name))
    end
  end
  return table.concat(list, ", ")
end

local helpers = {}
for i, module in ipairs(modules) do
  helpers[i] = ("[%s](%s)"):format(module.name, anchor("module-bmwi" .. module.name))
end
write("**Interface:** %s. **Helpers:** %s. **Answers:** %s.\n", index(interface),
  table.concat(helpers, ", "), index(answers))
write_items(interface)
write "# Helpers\n"
for _, module in ipairs(modules) do
  write("## Module `bmwi.%s`\n", module.name)
  write_text(module.head)
  for _, item in ipairs(module.items) do
    if item.kind == "function" and not item.name:find("^_") then
      write_function(item, written(item.owner))
    elseif item.kind == "class" then
      write("### %s\n\n%s\n", code(item.name), sentence(item.text))
    end
  end
end
write "# Answers\n"
write("%s\n", ANSWERS)
write_items(answers)

io.write((table.concat(out, "\n"):gsub("\n\n\n+", "\n\n"):gsub("\n+$", "\n")))
