-- Writes the comments that docs/reference.md is made of in the form that LDoc reads: a file for
-- each module and class, and the settings.
-- usage: lua .ci/ldoc.lua FOLDER     (for .ci/ldoc)

local types = dofile(".ci/types.lua")
local folder = arg[1]

local function write(name, text)
  local file = assert(io.open(folder .. "/" .. name, "w"))
  assert(file:write(text))
  assert(file:close())
end

local HTML = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;" }

-- LDoc passes text on as it is. (Its own reading of backticks makes references of them.)
local function html(text)
  return (text:gsub("[&<>]", HTML):gsub("`([^`]+)`", "<code>%1</code>"))
end

local function described(kind, text)
  return html(("`%s` %s"):format(kind, (text:gsub("\n", " "))))
end

local function comment(text, tags)
  return "--- " .. html(text):gsub("\n", "\n-- ") .. "\n" .. table.concat(tags, "\n") .. "\n\n"
end

local function function_of(item)
  local tags = { "-- @function " .. item.name }
  for _, param in ipairs(item.params) do
    tags[#tags + 1] = ("-- @param%s %s %s"):format(param.optional and "[opt]" or "", param.name,
      described(param.type, param.text))
  end
  for _, result in ipairs(item.returns) do
    tags[#tags + 1] = "-- @return " .. described(result.type, result.name .. " " .. result.text)
  end
  return comment(item.text, tags)
end

local function table_of(item)
  local tags = { "-- @table " .. item.name:gsub("^bmwi%.", "") }
  for _, field in ipairs(item.fields or item.words) do
    tags[#tags + 1] = ("-- @field %s %s"):format(field.name, field.type
      and described(field.type, field.text) or html(field.text))
  end
  return comment(item.text ~= "" and item.text or "One of these words.", tags)
end

-- A page for each owner of functions, and one, `rest`, for tables and words alone.
local function pages(items, rest, head)
  local page, order = { [rest] = { comment(head, { "-- @module " .. rest }) } }, { rest }
  local owners = {}
  for _, item in ipairs(items) do owners[item.owner or ""] = true end
  for _, item in ipairs(items) do
    local name = item.owner or owners[item.name] and item.name or rest
    if not name:find(".", 1, true) and name ~= rest then name = rest end
    if not page[name] then
      order[#order + 1] = name
      page[name] = { comment(item.text, { "-- @module " .. name }) }
    end
    local list = page[name]
    if item.kind == "function" then
      if not item.name:find("^_") then list[#list + 1] = function_of(item) end
    elseif #(item.fields or item.words) > 0 then
      list[#list + 1] = table_of(item)
    end
  end
  for _, name in ipairs(order) do write(name .. ".lua", table.concat(page[name])) end
end

pages(types.read("types/bmwi.lua"), "bmwi", "The module, clients and cars.")
pages(types.read("types/answers.lua"), "answers", "What the services answer.")
for _, name in ipairs(types.MODULES) do
  local items, head = types.read("lua/bmwi/" .. name .. ".lua")
  pages(items, "bmwi." .. name, head)
end
write("config.ld", [[
project = "bmwi"
title = "bmwi"
no_space_before_args = true
sort_modules = true
dir = "html"
]])
