-- Reads the LuaLS annotations in a Lua file: how types/*.lua and lua/bmwi/*.lua describe their
-- classes, aliases and functions. For .ci/reference.lua and spec/reference_spec.lua.

local types = {}

--- The public modules of lua/bmwi, in the order of the reference.
types.MODULES = { "wait", "async", "host", "store", "config", "units", "time", "navigation", "geo",
  "chart" }

local CLOSING = { ["("] = ")", ["["] = "]", ["{"] = "}", ["<"] = ">" }
local OPENING = { [")"] = true, ["]"] = true, ["}"] = true, [">"] = true }

--- Splits "fun(a: string): integer what it does" into the type and the rest.
function types.split(text)
  local depth, at = 0, 1
  while at <= #text do
    local char = text:sub(at, at)
    if char == '"' then at = text:find('"', at + 1, true) or #text end
    if CLOSING[char] then depth = depth + 1 end
    if OPENING[char] then depth = depth - 1 end
    if char == " " and depth == 0 and not text:sub(at - 1, at - 1):find("[:,]") then break end
    at = at + 1
  end
  return text:sub(1, at - 1), text:sub(at + 1)
end

--- The members of a union at its top level: 'string|nil' -> {"string", "nil"}
function types.members(text)
  if text:find("^fun%(") then return { text } end
  local list, depth, from = {}, 0, 1
  for at = 1, #text + 1 do
    local char = text:sub(at, at)
    if CLOSING[char] then depth = depth + 1 end
    if OPENING[char] then depth = depth - 1 end
    if (char == "|" or char == "") and depth == 0 then
      list[#list + 1] = text:sub(from, at - 1)
      from = at + 1
    end
  end
  return list
end

-- The lines of a comment, each with its tag: {tag =, text =}. Continuation lines belong to their
-- tag, but a field's description precedes it.
local function rows_of(lines)
  local rows, plain = {}, nil
  for _, line in ipairs(lines) do
    local tag, rest = line:match("^%-%-%-@(%l+) ?(.*)$")
    local word = line:match("^%-%-%-| (.*)$")
    local text = line:match("^%-%-%-? ?(.*)$")
    if tag then
      rows[#rows + 1] = { tag = tag, text = rest }
      plain = nil
    elseif word then
      rows[#rows + 1] = { tag = "word", text = word }
    else
      local last = rows[#rows]
      local continues = last and (last.tag == "param" or last.tag == "return")
      if continues and text ~= "" then
        last.text = last.text .. " " .. text:match("^%s*(.*)$")
      elseif plain then
        plain.text = plain.text .. "\n" .. text
      else
        plain = { tag = "text", text = text }
        rows[#rows + 1] = plain
      end
    end
  end
  return rows
end

local function field_of(text, before)
  local name, rest = text:match("^([%w_]+%??) (.*)$")
  local kind, says = types.split(rest)
  return { name = name:match("^[%w_]+"), optional = name:find("?", 1, true) ~= nil, type = kind,
    text = before and before:gsub("\n", " ") or says }
end

local function class_of(rows)
  local item, before = { kind = "class", fields = {} }, nil
  for _, row in ipairs(rows) do
    if row.tag == "class" then
      item.name, item.text = row.text:match("^([%w_.]+):? ?(.*)$")
      item.text = item.text:gsub("^bmwi[%w_.]+ ", "") -- its parent
      item.before, before = before, nil
    elseif row.tag == "field" then
      item.fields[#item.fields + 1] = field_of(row.text, before)
      before = nil
    elseif row.tag == "text" then
      before = row.text
    end
  end
  return item
end

local function alias_of(rows)
  local item = { kind = "alias", words = {}, text = "" }
  for _, row in ipairs(rows) do
    if row.tag == "text" then item.text = row.text end
    if row.tag == "alias" then item.name = row.text:match("^[%w_.]+$") end -- a type may not follow
    local word, says = row.text:match('^"(.-)" ?#? ?(.*)$')
    if row.tag == "word" and word then
      item.words[#item.words + 1] = { name = word, text = says }
    end
    item.open = item.open or row.tag == "word" and row.text == "string"
  end
  return item
end

local function function_of(rows, owner, mark, name, arguments)
  local item = { kind = "function", owner = owner, mark = mark, name = name, params = {},
    returns = {}, arguments = {}, text = "" }
  for argument in arguments:gmatch("[%w_.]+") do item.arguments[#item.arguments + 1] = argument end
  for _, row in ipairs(rows) do
    if row.tag == "text" then item.text = item.text .. row.text end
    if row.tag == "param" then
      local param, rest = row.text:match("^(%S+) (.*)$")
      local kind, says = types.split(rest)
      item.params[#item.params + 1] = { name = param:match("^[%w_.]+"), type = kind, text = says,
        optional = param:find("?", 1, true) ~= nil }
    elseif row.tag == "return" then
      local kind, rest = types.split(row.text)
      local result, says = rest:match("^([%w_.]+) ?(.*)$")
      item.returns[#item.returns + 1] = { type = kind, name = result or "", text = says or "" }
    end
  end
  return item
end

--- What a file says: an array of {kind = "class" | "alias" | "function", ...} in its order, and the
--- public part (with three dashes) of the comment at its head.
---@param path string
---@return table[] items
---@return string head
function types.read(path)
  local items, lines, head, class_by_variable = {}, {}, nil, {}
  local function flush(code)
    local rows = rows_of(lines)
    local first = {}
    for _, row in ipairs(rows) do first[row.tag] = true end
    local owner, mark, name, arguments = code:match("^function ([%w_]+)([.:])([%w_]+)(%b())")
    if owner and #rows > 0 and lines[1]:find("^%-%-%-") then
      owner = class_by_variable[owner] or owner
      items[#items + 1] = function_of(rows, owner, mark, name, arguments)
    elseif first.class then
      items[#items + 1] = class_of(rows)
      local variable = code:match("^local ([%w_]+) = ")
      if variable then class_by_variable[variable] = items[#items].name end
    elseif first.alias then
      items[#items + 1] = alias_of(rows)
    elseif not head and #rows > 0 then
      local public = {}
      for _, line in ipairs(lines) do public[#public + 1] = line:match("^%-%-%- ?(.*)$") end
      head = table.concat(public, "\n")
    end
    lines = {}
  end
  for line in io.lines(path) do
    if line:find("^%-%-") then
      lines[#lines + 1] = line
    elseif #lines > 0 or line:find("^function ") then
      flush(line)
    end
  end
  flush("")
  return items, head or ""
end

return types
