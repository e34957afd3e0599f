-- Prints the coverage of each file, and then the lines that were not run.
-- usage: coverage.lua FOLDER-OF-COVER.LUA LUAC OBJECTS SIMULATOR-OBJECTS C-FILE...
-- (LUAC lists a file's lines; the object folders have the layout of csrc and csrc/sim.)
local folder, luac, objects, sim_objects = arg[1], arg[2], arg[3], arg[4]
local files, order = {}, {} -- name -> {line -> whether it was run}

local function lines_of(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("*a")
  assert(pipe:close(), command)
  return text:gmatch("[^\n]+")
end

local function note(name, line, run)
  if not files[name] then
    files[name] = {}
    order[#order + 1] = name
  end
  files[name][line] = files[name][line] or run
end

-- C: gcov writes "  #####:  12:" for a line that was not run, "  -:  12:" for one without code.
local function read_gcov(source)
  local below = source:match("^csrc/sim/(.*)%.c$")
  local object = below and sim_objects .. "/" .. below or objects .. source:match("^csrc(/.*)%.c$")
  local file
  for text in lines_of(("gcov -t -o %s.o %s"):format(object, source)) do
    local count, line, rest = text:match("^%s*(%S+):%s*(%d+):(.*)")
    if line == "0" then
      file = rest:match("^Source:(csrc/.*)") or rest:find("^Source:") and "" or file
    elseif count and count ~= "-" and file ~= "" then
      note(file, tonumber(line), not count:find("^[#=]"))
    end
  end
end
for i = 5, #arg do read_gcov(arg[i]) end

-- Lua: the lines that have an instruction, except for those with only an end or a bracket.
for name in lines_of("find lua -name '*.lua' | sort") do
  local source = {}
  for text in io.lines(name) do source[#source + 1] = text end
  for text in lines_of(luac .. " -l -p " .. name) do
    local line, what = text:match("^%s+%d+%s+%[(%d+)%]%s+(%S+)")
    line = tonumber(line)
    if line and line > 0 and what ~= "VARARGPREP" and not source[line]:find("^%s*[end%]%)%},;]*$")
      and not source[line]:find("^%s*%-%-") then
      note(name, line, false)
    end
  end
end
for text in lines_of("cat " .. folder .. "/*") do
  local name, line = text:match("^(.*):(%d+)$")
  line = tonumber(line)
  if files[name] and files[name][line] ~= nil then files[name][line] = true end
end

local missing, totals = {}, {}
for _, name in ipairs(order) do
  local all, run, last, ranges = 0, 0, 0, {}
  for line in pairs(files[name]) do last = math.max(last, line) end
  local from, to -- of the range that is not run; lines without code do not end one
  for line = 1, last + 1 do
    local state = files[name][line]
    if state ~= nil then all = all + 1 end
    if state then run = run + 1 end
    if state == false then
      from, to = from or line, line
    elseif from and (state or line > last) then
      ranges[#ranges + 1] = from == to and tostring(from) or from .. "-" .. to
      from = nil
    end
  end
  print(("%6.2f%%  %s"):format(100 * run / all, name))
  if #ranges > 0 then missing[#missing + 1] = name .. ": " .. table.concat(ranges, ", ") end
  local kind = name:match("^csrc/sim/") and "simulator" or name:match("^%a+")
  totals[kind] = totals[kind] or { 0, 0 }
  totals[kind][1], totals[kind][2] = totals[kind][1] + run, totals[kind][2] + all
end
print("not run:")
print(table.concat(missing, "\n"))
for _, kind in ipairs({ "csrc", "simulator", "lua" }) do
  local total = totals[kind] or { 0, 0 }
  print(("%s: %d of %d lines, %.1f %%"):format(kind, total[1], total[2], 100 * total[1] / total[2]))
end
