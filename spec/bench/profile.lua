-- Counts instructions by callgrind, for the rows and the words of the benchmark. `from` is where it
-- may write.
local profile = {}

local FEW, MANY = 100, 300

local function total_of(path)
  for line in io.lines(path) do
    local total = line:match("^summary:%s*(%d+)") or line:match("^totals:%s*(%d+)")
    if total then return tonumber(total) end
  end
  error("callgrind counted nothing: " .. path, 0)
end

-- callgrind_annotate's figures for a run by name(line), which may be nil: combine(before, figure).
local function read(path, options, name, combine)
  local sums = {}
  local annotate = "callgrind_annotate --auto=no --threshold=100 --show-percs=no %s %s 2>/dev/null"
  local pipe = assert(io.popen(annotate:format(options, path)))
  for line in pipe:lines() do
    local figure, rest = line:match("^%s*([%d,]+)%s+([^=].*)$")
    local key = figure and name(rest)
    if key then sums[key] = combine(sums[key] or 0, tonumber((figure:gsub(",", "")))) end
  end
  pipe:close()
  return sums
end

local function add(one, other) return one + other end

local function run(before, command, input, path)
  local words = { before, "valgrind -q --tool=callgrind --callgrind-out-file=" .. path, command }
  os.remove(path)
  local whole = ("printf '%s' | %s >%s.log 2>&1"):format(input, table.concat(words, " "), path)
  assert(os.execute(whole), whole)
  return path
end

--- Whether instructions can be counted here.
function profile.works()
  return (os.execute("valgrind --version >/dev/null 2>&1")) and true or false
end

--- The instructions for one item of a worker (see worker.h), and those of the functions with these
--- names, with all that they call. On the core that it is timed on: how often it wakes up
--- depends on that.
function profile.each(command, from, functions)
  local wanted, totals, parts = {}, {}, {}
  for _, name in ipairs(functions or {}) do wanted[name] = true end
  for i, n in ipairs { FEW, MANY } do
    local input = ("20 1\\n%d 1\\n"):format(n)
    local path = run("taskset -c 1", command, input, from .. "/callgrind." .. i)
    totals[i] = total_of(path)
    -- A function is listed once for each way that its file is named.
    parts[i] = functions and read(path, "--inclusive=yes", function(rest)
      local name = rest:match(":([%w_]+)$") or rest:match(":([%w_]+) %[")
      return wanted[name] and name
    end, math.max) or {}
  end
  local each = { all = (totals[2] - totals[1]) / (MANY - FEW) }
  for name in pairs(wanted) do
    each[name] = ((parts[2][name] or 0) - (parts[1][name] or 0)) / (MANY - FEW)
  end
  return each
end

--- The instructions for one start of a program: all, the dynamic linker's, Lua's. `before` is put
--- before it: variables, for example.
function profile.start(before, program, from)
  local path = run(before, program, "", from .. "/callgrind.start")
  local sums = read(path, "", function(rest)
    local object = rest:match("%[([^%]]+)%]$")
    if not object then return nil end
    return object:match("/ld%-[^/]*$") and "linker" or object:match("/lua[%d.]*$") and "lua"
      or "other"
  end, add)
  return { all = total_of(path), linker = sums.linker or 0, lua = sums.lua or 0 }
end

return profile
