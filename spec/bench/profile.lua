-- Counts instructions by callgrind, for the rows and the words of the benchmark. `from` is where it
-- may write.
local profile = {}

local FEW, MANY = 100, 300

-- Caches of a fixed size, so that the figures do not depend on the machine.
local CACHES = " --cache-sim=yes --I1=32768,8,64 --D1=32768,8,64"

-- The instructions of a run, and how often code or data were not in these caches, if they were
-- simulated.
local function totals_of(path)
  for line in io.lines(path) do
    local list = line:match("^summary:(.*)") or line:match("^totals:(.*)")
    if list then
      local counts = {}
      for count in list:gmatch("%d+") do counts[#counts + 1] = tonumber(count) end
      return { all = counts[1], misses = counts[4] and counts[4] + counts[5] + counts[6] }
    end
  end
  error("callgrind counted nothing: " .. path, 0)
end

-- The instructions of these functions in a run, with all that they call. A function is listed once
-- for each way that its file is named.
local function of_functions(path, wanted)
  local most = {}
  local annotate = "callgrind_annotate --auto=no --threshold=100 --show-percs=no --inclusive=yes "
    .. "--show=Ir --sort=Ir "
  local pipe = assert(io.popen(annotate .. path .. " 2>/dev/null"))
  for line in pipe:lines() do
    local figure, rest = line:match("^%s*([%d,]+)%s+([^=].*)$")
    local name = rest and (rest:match(":([%w_]+)$") or rest:match(":([%w_]+) %["))
    if wanted[name] then
      most[name] = math.max(most[name] or 0, tonumber((figure:gsub(",", ""))))
    end
  end
  pipe:close()
  return most
end

local function run(before, command, input, path, more)
  local words = { before, "valgrind -q --tool=callgrind --callgrind-out-file=" .. path
    .. (more or ""), command }
  os.remove(path)
  local whole = ("printf '%s' | %s >%s.log 2>&1"):format(input, table.concat(words, " "), path)
  assert(os.execute(whole), whole)
  return path
end

--- Whether instructions can be counted here.
function profile.works()
  return (os.execute("valgrind --version >/dev/null 2>&1")) and true or false
end

--- The instructions for one item of a worker (see worker.h), those of the functions with these
--- names, with all that they call, and the misses of the first-level caches. On the core that it is
--- timed on: how often it wakes up depends on that.
function profile.each(command, from, functions)
  local wanted, totals, parts = {}, {}, {}
  for _, name in ipairs(functions or {}) do wanted[name] = true end
  for i, n in ipairs { FEW, MANY } do
    local input = ("20 1\\n%d 1\\n"):format(n)
    local path = run("taskset -c 1", command, input, from .. "/callgrind." .. i, CACHES)
    totals[i] = totals_of(path)
    parts[i] = functions and of_functions(path, wanted) or {}
  end
  local each = {}
  for name, count in pairs(totals[2]) do each[name] = (count - totals[1][name]) / (MANY - FEW) end
  for name in pairs(wanted) do
    each[name] = ((parts[2][name] or 0) - (parts[1][name] or 0)) / (MANY - FEW)
  end
  return each
end

-- The instructions of a run by the file that their code is in. callgrind_annotate does not say it
-- of functions that were inlined, such as much of the linker, so the profile itself is read: in it,
-- what a call took in all follows the call's line.
local function by_file(path)
  local files, sums, file, called = {}, {}, nil, false
  for line in io.lines(path) do
    local key, number, name = line:match("^(c?ob)=(%S+) ?(.*)$")
    if key and name ~= "" then files[number] = name:match("[^/]*$") end
    if key == "ob" then file = files[number] end
    local cost = line:match("^[%d+*-]%S* (%d+)$")
    if cost and not called then sums[file] = (sums[file] or 0) + tonumber(cost) end
    called = line:find("^calls=") ~= nil
  end
  return sums
end

-- Whose the code in a file is.
local PARTS = { { "^ld%-", "linker" }, { "^lua[%d.]*$", "lua" }, { "^libc%.so", "libc" },
  { "^core%.so$", "bmwi" }, { "cjson", "bmwi" } }

--- The instructions for one start of a program: all, and those of the dynamic linker, Lua, the C
--- library, and bmwi's core with lua-cjson. `before` is put before it: variables, for example.
function profile.start(before, program, from)
  local path = run(before, program, "", from .. "/callgrind.start")
  local parts = { all = totals_of(path).all, linker = 0, lua = 0, libc = 0, bmwi = 0 }
  for file, cost in pairs(by_file(path)) do
    for _, part in ipairs(PARTS) do
      if file:find(part[1]) then parts[part[2]] = parts[part[2]] + cost end
    end
  end
  return parts
end

return profile
