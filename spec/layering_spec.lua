-- The layers of the C code: dependencies go down only, from the Lua binding through the services to
-- the core. Read from the includes, followed through our own headers, and from the names that are
-- used: calls, types and members alike.

local helper = require("spec.helper")
local read = helper.read

-- From the top down: what a folder may use lies in it or below it. `library`: the one whose headers
-- and names its C files may use.
local LAYERS = {
  { folder = "binding", library = "lua" },
  { folder = "service" },
  { folder = "core", library = "curl" },
}

-- How a library is recognised: by its headers and by the names it defines.
local LIBRARIES = {
  lua = { headers = "^l[ua]%w+%.h$", names = { "lua_%w+", "luaL_%w+", "LUA_%w+" } },
  curl = { headers = "^curl/", names = { "curl_%w+", "CURL[%w_]*" } },
}

local function names_in(folder)
  local list = {}
  local pipe = assert(io.popen("ls " .. folder .. "/*.[ch]"))
  for path in pipe:lines() do list[#list + 1] = path:match("[^/]+$") end
  pipe:close()
  return list
end

-- The source without comments, strings and characters.
local function code_of(text)
  text = text:gsub("/%*.-%*/", " "):gsub('\\"', ""):gsub("//[^\n]*", "")
  return (text:gsub('#include%s+"', "#include_own "):gsub('"[^"\n]*"', '""'))
end

local function word(pattern)
  return "%f[%w_]" .. pattern
end

-- The source without comments, but with strings.
local function bare(text)
  return (text:gsub("/%*.-%*/", " "):gsub("//[^\n]*", ""))
end

local level, files = {}, {}
for i, layer in ipairs(LAYERS) do level[layer.folder] = i end
for _, layer in ipairs(LAYERS) do
  for _, name in ipairs(names_in("csrc/" .. layer.folder)) do
    local path = layer.folder .. "/" .. name
    local text = read("csrc/" .. path)
    local file = { layer = layer, text = text, code = code_of(text), own = {}, system = {} }
    for quote, header in text:gmatch('#%s*include%s+(["<])([^">]+)[">]') do
      table.insert(quote == '"' and file.own or file.system, header)
    end
    files[path] = file
  end
end

-- The headers of others that reach a file, directly or through our own headers.
local function reached(path, found, seen)
  found, seen = found or {}, seen or {}
  if seen[path] or not files[path] then return found end
  seen[path] = true
  for _, name in ipairs(files[path].system) do found[name] = path end
  for _, name in ipairs(files[path].own) do reached(name, found, seen) end
  return found
end

-- The folder of the header that declares each of our functions, types and variables.
local declared = {}
local OURS = word("([Bb][Mm][Ww][Ii]_[%w_]+)")
for path, file in pairs(files) do
  if path:match("%.h$") then
    for name in file.code:gmatch(OURS) do
      declared[name] = math.max(declared[name] or 0, level[file.layer.folder])
    end
  end
end

-- Members of structs and unions: those that a file accesses, and for each layer the words that its
-- files use in any other way, among them the members that it declares.
local spoken = {}
for _, file in pairs(files) do
  local layer = level[file.layer.folder]
  spoken[layer], file.accessed = spoken[layer] or {}, {}
  local rest = file.code:gsub("%->%s*", "."):gsub("%.([%a_][%w_]*)", function(name)
    file.accessed[name] = true
    return ""
  end)
  for name in rest:gmatch("[%a_][%w_]*") do spoken[layer][name] = true end
end

-- Words of one service, which may be in its own files only.
local SERVICE_WORDS = {
  classic = { "executeService", "executionStatus", "SmartPhoneUtil", "bmwSkAnswer", "hub", "poi",
    "sendpoi", "eventId", "serviceType", "dlat", "dlon", "DOOR_LOCK", "weeklyPlanner", "weekdays",
    "b2vapi", "remote_services", "connecteddrive" },
  cardata = { "container", "containerId", "telematic", "telematicData", "gcid", "api%-cardata",
    "gcdm", "exveErrorId" },
}

-- And the words in capitals and small letters of any text in its files.
local function words_in_texts(service)
  local list = {}
  for path, file in pairs(files) do
    local code = path:match("^service/" .. service) and bare(file.text) or ""
    for text in code:gmatch('"([^"\n]*)"') do
      for name in text:gmatch("%a+") do
        if name:match("%l%u") then list[name] = true end
      end
    end
  end
  return list
end

describe("a C file of the module", function()
  it("includes only headers of its own folder and of those below, by their whole name", function()
    for path, file in pairs(files) do
      for _, header in ipairs(file.own) do
        local folder = header:match("^(%w+)/")
        assert(files[header] and level[folder] >= level[file.layer.folder],
          "csrc/" .. path .. " must not include " .. header)
      end
    end
  end)

  it("uses no name that only a folder above it declares", function()
    for path, file in pairs(files) do
      for name in file.code:gmatch(OURS) do
        assert(not declared[name] or declared[name] >= level[file.layer.folder],
          "csrc/" .. path .. " must not use " .. name)
      end
    end
  end)

  it("accesses no member of a struct that only a folder above it declares", function()
    for path, file in pairs(files) do
      local own = level[file.layer.folder]
      for name in pairs(file.accessed) do
        local above, here = false, false
        for layer, names in ipairs(spoken) do
          if names[name] and layer < own then above = true end
          if names[name] and layer >= own then here = true end
        end
        assert(here or not above, "csrc/" .. path .. " must not access ." .. name)
      end
    end
  end)

  it("includes Lua's headers in the binding only, and libcurl's in the core only", function()
    for path, file in pairs(files) do
      for header, through in pairs(reached(path)) do
        for library, signs in pairs(LIBRARIES) do
          assert(file.layer.library == library or not header:match(signs.headers),
            "csrc/" .. path .. " must not see " .. header .. " (through " .. through .. ")")
        end
      end
    end
  end)

  it("keeps libcurl out of the headers, so that no other layer includes it", function()
    for path, file in pairs(files) do
      for _, header in ipairs(path:match("%.h$") and file.system or {}) do
        assert(not header:match(LIBRARIES.curl.headers), "csrc/" .. path .. " includes " .. header)
      end
    end
  end)

  it("uses no name of a library that is not its layer's", function()
    for path, file in pairs(files) do
      for library, signs in pairs(LIBRARIES) do
        for _, pattern in ipairs(file.layer.library == library and {} or signs.names) do
          local name = file.code:match(word(pattern))
          assert.is_nil(name, "csrc/" .. path .. " must not use " .. tostring(name))
        end
      end
    end
  end)

  it("has a service's words only in that service's files", function()
    for service, words in pairs(SERVICE_WORDS) do
      local more = words_in_texts(service)
      assert.truthy(next(more))
      for path, file in pairs(files) do
        local text, own = bare(file.text), path:match("^service/(%l+)")
        for _, name in ipairs(own == service and {} or words) do
          assert.is_nil(text:match(word(name) .. "%f[^%w_]"),
            "csrc/" .. path .. " must not say " .. name)
        end
        -- (A status from CarData has the words of the classic service.)
        for name in (SERVICE_WORDS[own] and "" or text):gmatch("%a+") do
          assert(not more[name], "csrc/" .. path .. " must not say " .. name)
        end
      end
    end
  end)
end)

describe("the simulator", function()
  local sim = {}
  local pipe = assert(io.popen("find csrc/sim -name '*.[ch]'"))
  for path in pipe:lines() do
    sim[path] = { text = read(path), service = path:match("^csrc/sim/(%w+)/") }
    sim[path].code = code_of(sim[path].text)
  end
  pipe:close()

  local function path_of_header(path, header)
    local folder = path:match("^(.*)/")
    while header:match("^%.%./") do
      folder, header = folder:match("^(.*)/"), header:sub(4)
    end
    return folder .. "/" .. header
  end

  it("includes nothing of the module, and the module nothing of it", function()
    for path, file in pairs(sim) do
      for header in file.text:gmatch('#%s*include%s+"([^"]+)"') do
        assert(sim[path_of_header(path, header)], path .. " must not include " .. header)
      end
    end
    for path, file in pairs(files) do
      for _, header in ipairs(file.own) do
        assert(files[header], "csrc/" .. path .. " must not include " .. header)
      end
    end
  end)

  it("uses neither Lua nor libcurl", function()
    for path, file in pairs(sim) do
      for _, signs in pairs(LIBRARIES) do
        for _, pattern in ipairs(signs.names) do
          local name = file.code:match(word(pattern))
          assert.is_nil(name, path .. " must not use " .. tostring(name))
        end
      end
    end
  end)

  -- Only main.c lists the services.
  it("has a service's words only in that service's folder", function()
    local words = { "vehicle", "cars?%f[%A]", "vin%f[%A]", "poi", "smartphone", "token", "oauth",
      "executeservice", "container", "telematic", "gcid", "classic", "cardata" }
    for path, file in pairs(sim) do
      for header in file.text:gmatch('#%s*include%s+"([^"]+)"') do
        local target = sim[path_of_header(path, header)]
        assert(not target.service or target.service == file.service or path == "csrc/sim/main.c",
          path .. " must not include " .. header)
      end
      if not file.service and path ~= "csrc/sim/main.c" then
        for _, pattern in ipairs(words) do
          local found = file.text:lower():match("%f[%a]" .. pattern .. "[%a_]*")
          assert.is_nil(found, path .. " must not say " .. tostring(found))
        end
      end
    end
  end)
end)

-- Circles are found over the files' own text: who includes whose header, and who names a function
-- that another file defines. A header and the C file of the same name count as one.
describe("the search for circles between C files", function()
  -- What they declare belongs to many files, so that it counts as used by its name alone.
  local SHARED = { ["binding/bmwi"] = true, ["service/service"] = true }
  local units, defines = {}, {}
  local pipe = assert(io.popen("find csrc -name '*.[ch]'"))
  for path in pipe:lines() do
    local unit = path:match("^csrc/(.*)%.[ch]$")
    local text = read(path)
    local own_code = code_of(text)
    units[unit] = units[unit] or { words = {}, includes = {}, folder = unit:match("^(.*/)") }
    for name in own_code:gmatch("[%a_][%w_]*") do units[unit].words[name] = true end
    for header in text:gmatch('#%s*include%s+"([^"]+)%.h"') do
      table.insert(units[unit].includes, header)
    end
    if path:match("%.c$") then
      for start, name in own_code:gmatch("\n([%a_][%w_ %*]-)([%a_][%w_]*)%s*%b()%s*{") do
        if not start:match("^static%f[%W]") then defines[name] = unit end
      end
      for name in own_code:gmatch("\nconst struct [%a_][%w_]* ([%a_][%w_]*)[^;\n]*=") do
        defines[name] = unit
      end
    end
  end
  pipe:close()

  local function unit_of(unit, header)
    header = header:match("^%.%./(.*)") or header
    if units[header] then return header end
    for _, folder in ipairs({ units[unit].folder, "sim/", "binding/", "service/", "core/" }) do
      if units[folder .. header] then return folder .. header end
    end
  end

  local uses = {}
  for unit, found in pairs(units) do
    uses[unit] = {}
    for name in pairs(found.words) do
      local target = defines[name]
      if target and target ~= unit then uses[unit][target] = name end
    end
    for _, header in ipairs(found.includes) do
      local target = unit_of(unit, header)
      if target and target ~= unit and not SHARED[target] then
        uses[unit][target] = uses[unit][target] or header .. ".h"
      end
    end
  end

  local function reaches(from, to, seen)
    for target in pairs(uses[from]) do
      if target == to then return true end
      if not seen[target] then
        seen[target] = true
        if reaches(target, to, seen) then return true end
      end
    end
    return false
  end

  it("finds none", function()
    local circles = {}
    for unit in pairs(units) do
      for target, through in pairs(uses[unit]) do
        if reaches(target, unit, {}) then
          circles[#circles + 1] = ("%s uses %s (%s)"):format(unit, target, through)
        end
      end
    end
    table.sort(circles)
    assert.equal("", table.concat(circles, "\n"))
  end)

  it("reads who defines and who uses a function", function()
    assert.equal("sim/text", defines.must_alloc)
    assert.equal("core/buffer", defines.bmwi_buffer_add)
    assert.equal("sim/control", defines.control_service)
    assert.truthy(uses["sim/log"]["sim/world"])
    assert.truthy(uses["sim/main"]["sim/classic/classic"])
  end)
end)
