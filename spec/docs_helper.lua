--- The documentation pages and their blocks of code, for the specs about them.
local helper = require "spec.helper"
local read, quote = helper.read, helper.quote

local docs = {}

local SERVER = "http://127.0.0.1:8080"

-- The code placed before a block with each mark. A program or a recipe needs none.
local CLIENT = [[
local bmwi = require "bmwi"
local client = bmwi.new { base_url = "http://127.0.0.1:8080", username = "whatever@example.com",
  password = "p4ssw0rd", api_key = "key", api_secret = "secret" }
local car = client:vehicle "WAB1C23456V123456"
]]

local function listed(folder)
  local list, pipe = {}, assert(io.popen("ls " .. folder .. "/*.md"))
  for path in pipe:lines() do list[#list + 1] = path end
  pipe:close()
  return list
end

--- The README and the pages of docs/: {path =, text =}, in order.
docs.pages = { { path = "README.md", text = read("README.md") } }
for _, path in ipairs(listed("docs")) do
  docs.pages[#docs.pages + 1] = { path = path, text = read(path) }
end

--- The text of one page.
function docs.page(path)
  for _, page in ipairs(docs.pages) do
    if page.path == path then return page.text end
  end
  error("no page " .. path, 2)
end

--- All of them in one text.
function docs.all()
  local parts = {}
  for i, page in ipairs(docs.pages) do parts[i] = page.text end
  return table.concat(parts, "\n")
end

--- The blocks of code of all pages: {path =, line =, mark = "lua program", text =}
function docs.blocks()
  local list = {}
  for _, page in ipairs(docs.pages) do
    local block, number = nil, 0
    for line in page.text:gmatch("([^\n]*)\n") do
      number = number + 1
      local mark = line:match("^```(.*)$")
      if mark and block then
        block.text = table.concat(block, "\n") .. "\n"
        list[#list + 1], block = block, nil
      elseif mark then
        block = { path = page.path, line = number, mark = mark }
      elseif block then
        block[#block + 1] = line
      end
    end
    assert(block == nil, page.path .. ": a block of code is not closed")
  end
  return list
end

--- The blocks whose mark matches this pattern.
function docs.marked(pattern)
  local list = {}
  for _, block in ipairs(docs.blocks()) do
    if block.mark:find("^" .. pattern .. "$") then list[#list + 1] = block end
  end
  return list
end

--- The text with the simulator's address instead of the one in the pages.
function docs.placed(text, sim)
  return (text:gsub(SERVER:gsub("%p", "%%%0"), (sim.url:gsub("%%", "%%%%"))))
end

--- A block marked `lua` as a complete program.
function docs.with_client(text, sim)
  return docs.placed(CLIENT .. text, sim)
end

--- A block marked `lua cardata`, with the simulator's servers and its account in this file.
function docs.with_cardata(text, sim, path)
  local servers = ("base_url = %q, login_url = %q, "):format(sim.url, sim.url .. "/gcdm/oauth")
  return (text:gsub("client_id =", servers .. "client_id =", 1):gsub("account%.json", path))
end

--- Runs a command on a file with this text; returns its output and exit code.
function docs.run(command, text)
  local path = os.tmpname()
  helper.write(path, text)
  local pipe = assert(io.popen("timeout 120 env " .. command:format(quote(path))
    .. " 2>&1; echo exit code $?"))
  local output, code = pipe:read("*a"):match("^(.*)exit code (%d+)\n$")
  pipe:close()
  os.remove(path)
  return output, tonumber(code)
end

--- The command that runs a Lua file, %s, without any environment variables that matter.
---@param setting? string more words for env
function docs.lua_command(setting)
  local words = { "env -u http_proxy -u all_proxy -u ALL_PROXY -u LUA_INIT" }
  for _, version in ipairs { "_5_2", "_5_3", "_5_4" } do
    for _, name in ipairs { "LUA_PATH", "LUA_CPATH", "LUA_INIT" } do
      words[#words + 1] = "-u " .. name .. version
    end
  end
  words[#words + 1] = "LUA_PATH=" .. quote(package.path) .. " LUA_CPATH=" .. quote(package.cpath)
  words[#words + 1] = setting
  return table.concat(words, " "):gsub("%%", "%%%%") .. " " .. helper.interpreter .. " %s"
end

--- Runs a Lua program; returns its output and exit code.
function docs.run_lua(text, setting)
  return docs.run(docs.lua_command(setting), text)
end

--- Whether everything that a program requires is installed.
function docs.installed(text)
  for name in text:gmatch('require "([%w.]+)"') do
    if not name:find("^bmwi") and not pcall(require, name) then return false end
  end
  return true
end

--- The texts in a list that are missing in a page; a name must end there.
---@param text string
---@param list string[]
---@param format string with %s for each of the list
function docs.missing(text, list, format)
  local missing = {}
  for _, name in ipairs(list) do
    local wanted = format:format(name)
    local _, last = text:find(wanted, 1, true)
    while last and wanted:find("[%w_]$") and text:find("^[%w_]", last + 1) do
      _, last = text:find(wanted, last + 1, true)
    end
    if not last then missing[#missing + 1] = wanted end
  end
  return missing
end

return docs
