-- The sizes of the module and of the simulator: nothing over 600 lines, no function over 60, no
-- line of C over 100 columns (luacheck checks Lua).

local MAX_FILE, MAX_FUNCTION, MAX_LINE = 600, 60, 100

local function lines_of(path)
  local list = {}
  for line in io.lines(path) do list[#list + 1] = line end
  return list
end

local function sources(folder, endings)
  local list = {}
  local pipe = assert(io.popen("find " .. folder .. " -type f"))
  for path in pipe:lines() do
    if path:match(endings) then list[#list + 1] = path end
  end
  pipe:close()
  table.sort(list)
  return list
end

local FILES = {}
for _, path in ipairs(sources("csrc", "%.[ch]$")) do FILES[#FILES + 1] = path end
for _, path in ipairs(sources("lua", "%.lua$")) do FILES[#FILES + 1] = path end

-- C: from the first line of a definition at the left edge to the brace that closes it there, or to
-- the end of the only line.
local function functions_of_c(lines)
  local found, head, first = {}, nil, nil
  for i, line in ipairs(lines) do
    if not head and line:find("^[%a_]") then head, first = "", i end
    if head then
      head = head .. line .. "\n"
      local closed = line:find("^}") or i == first and line:find("{.*}%s*$")
      local name = closed and head:match("^[^=({]-([%w_]+)%(")
      if name then found[#found + 1] = { name = name, length = i - first + 1 } end
      if closed or not head:find("{") and line:find(";%s*$") then head = nil end
    end
  end
  return found
end

-- Lua: keywords that open and close blocks, outside strings and comments.
local OPENS = { ["function"] = true, ["do"] = true, ["if"] = true, ["repeat"] = true }
local CLOSES = { ["end"] = true, ["until"] = true }

-- The code without strings and comments, but with its line breaks.
local function bare_lua(text)
  local function breaks(part) return (part:gsub("[^\n]", "")) end
  local parts, at = {}, 1
  while at <= #text do
    local long = text:match("^%-%-%[=*%[", at) or text:match("^%[=*%[", at)
    local char, stop = text:sub(at, at), nil
    if long then
      local close = "]" .. long:match("=*", (long:find("[", 1, true)) + 1) .. "]"
      stop = select(2, text:find(close, at, true))
    elseif text:find("^%-%-", at) then
      stop = (text:find("\n", at, true) or #text + 1) - 1
    elseif char == '"' or char == "'" then
      stop = at + 1
      while text:sub(stop, stop) ~= char do
        stop = stop + (text:sub(stop, stop) == "\\" and 2 or 1)
      end
    end
    parts[#parts + 1] = stop and " " .. breaks(text:sub(at, stop)) or char
    at = (stop or at) + 1
  end
  return table.concat(parts)
end

local function functions_of_lua(lines)
  local found, open, line_number = {}, {}, 0
  for line in (bare_lua(table.concat(lines, "\n")) .. "\n"):gmatch("([^\n]*)\n") do
    line_number = line_number + 1
    for at, word in line:gmatch("()%f[%w_]([%a_][%w_]*)") do
      if OPENS[word] then
        local name = line:match("^%s*([%w_.:]+)", at + #word)
          or line:sub(1, at - 1):match("([%w_.]+)%s*=%s*$")
        open[#open + 1] = { word = word, line = line_number, name = name }
      elseif CLOSES[word] then
        local block = table.remove(open)
        if block.word == "function" then
          found[#found + 1] = { name = block.name or "?",
            length = line_number - block.line + 1 }
        end
      end
    end
  end
  assert(#open == 0, "a block is not closed")
  return found
end

local function measured(found)
  local lengths = {}
  for _, one in ipairs(found) do lengths[one.name] = one.length end
  return lengths
end

describe("the sources", function()
  it("contain no file over 600 lines", function()
    local long = {}
    for _, path in ipairs(FILES) do
      local length = #lines_of(path)
      if length > MAX_FILE then long[path] = length end
    end
    assert.same({}, long)
  end)

  it("contain no function over 60 lines", function()
    local long = {}
    for _, path in ipairs(FILES) do
      local found = (path:find("%.lua$") and functions_of_lua or functions_of_c)(lines_of(path))
      for _, one in ipairs(found) do
        if one.length > MAX_FUNCTION then long[path .. ": " .. one.name] = one.length end
      end
    end
    assert.same({}, long)
  end)

  it("contain no line of C over 100 columns", function()
    local long = {}
    for _, folder in ipairs { "csrc", "spec/native", "spec/fuzz" } do
      for _, path in ipairs(sources(folder, "%.[ch]$")) do
        for i, line in ipairs(lines_of(path)) do
          if #line > MAX_LINE then long[#long + 1] = path .. ":" .. i end
        end
      end
    end
    assert.same({}, long)
  end)
end)

-- What failed and what to do are not glued by a semicolon: a misuse has no other place for advice.
describe("an error that is raised for misuse", function()
  it("has no semicolon in its message", function()
    local found, count = {}, 0
    for _, path in ipairs(FILES) do
      local text = table.concat(lines_of(path), "\n")
      for _, name in ipairs { "luaL_error", "luaL_argerror", "misuse", "check%.%w+" } do
        for call in text:gmatch("%f[%w_]" .. name .. "(%b())") do
          count = count + 1
          for part in call:gmatch('"([^"\n]*)"') do
            if part:find(";", 1, true) then found[#found + 1] = path .. ": " .. part end
          end
        end
      end
    end
    assert.same({}, found)
    assert.is_true(count > 100)
  end)
end)

describe("a header of the module", function()
  it("declares only functions that another file uses", function()
    local used, declared = {}, {}
    for _, folder in ipairs { "csrc/binding", "csrc/service", "csrc/core", "spec/fuzz" } do
      for _, path in ipairs(sources(folder, "%.[ch]$")) do
        local text = table.concat(lines_of(path), "\n"):gsub("/%*.-%*/", " ")
        for name in text:gmatch("%f[%w_](bmwi_[%w_]+)") do
          used[name] = used[name] or {}
          if path:find("%.c$") then used[name][path] = true end
        end
        for line, name in text:gmatch("\n(%a[%w_ *]-[ *](bmwi_[%w_]+)%()") do
          local header = path:find("%.h$") and not line:find("^static")
          if header then declared[name] = path end
        end
      end
    end
    local count, needless = 0, {}
    for name, header in pairs(declared) do
      count = count + 1
      local files = 0
      for _ in pairs(used[name]) do files = files + 1 end
      if files < 2 then needless[#needless + 1] = header .. ": " .. name end
    end
    assert.is_true(count > 100)
    assert.same({}, needless)
  end)
end)

describe("each file of the command line", function()
  -- The demo starts programs; explain, hint and report are what is said of a failure; imperial is a
  -- table of render's.
  local OTHERS = { "demo", "explain", "hint", "imperial", "report" }

  it("is loaded by a spec that tries its functions", function()
    local specs, unloaded = {}, {}
    for _, path in ipairs(sources("spec", "_spec%.lua$")) do
      specs[#specs + 1] = table.concat(lines_of(path), "\n")
    end
    local all = table.concat(specs, "\n")
    for _, path in ipairs(sources("lua/bmwi/cli", "%.lua$")) do
      local name = path:match("([%w_]+)%.lua$")
      local loaded = all:find('require%(?%s*"bmwi%.cli%.' .. name .. '"')
      if not loaded then unloaded[#unloaded + 1] = name end
    end
    assert.same(OTHERS, unloaded)
  end)
end)

describe("the measuring of functions", function()
  it("finds the functions of C", function()
    assert.same({ one = 1, two = 4, three = 5 }, measured(functions_of_c({
      "static int declared(int a,", "                    int b);",
      "static const struct {", "  int a;", "} table[] = {", "  {1},", "};",
      "int one(void) { return 1; }",
      "static int two(int a,", "               int b) {", "  return b;", "}",
      "const char *three(void)", "{", "  if (1) {", "  }", "}",
    })))
  end)

  it("finds the functions of Lua, not words in strings and comments", function()
    assert.same({ ["t.one"] = 1, two = 9, ["?"] = 3, four = 2 }, measured(functions_of_lua({
      "function t.one() return 'end' end",
      "local function two(a) -- function if",
      "  for i = 1, a do",
      "    if i then print([[ end", " end ]]) elseif a then repeat local _ = i until i end",
      "  end",
      "  call(function()", "    while true do break end", "  end)",
      "end",
      "local four = function()", "end",
    })))
  end)
end)
