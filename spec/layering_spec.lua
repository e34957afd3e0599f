-- The layers of the C code: a file may use the files below it and beside it, never those above.
-- Read from the includes, followed through our own headers, and from the names that are used.

local helper = require("spec.helper")
local read = helper.read

-- One row per layer, from the top down. `libraries` are those whose names the files may use.
-- The rows with `face` share the header bmwi.h, whose comments "From x.c" say what belongs to whom.
local LAYERS = {
  { files = { "bmwi" }, face = true, libraries = { lua = true, curl = true } }, -- curl: its version
  { files = { "client", "car", "loop", "await", "hooks" }, face = true, libraries = { lua = true } },
  { files = { "kept" }, face = true, libraries = { lua = true } },
  { files = { "values", "values_status" }, face = true, libraries = { lua = true } },
  { files = { "fail", "fields", "json", "options", "refusal", "schema", "sys" }, face = true,
    libraries = { lua = true } },
  { files = { "classic", "service" }, libraries = {} },
  { files = { "op" }, libraries = { curl = true } },
  { files = { "verdict" }, libraries = { curl = true } },
  { files = { "engine", "transfer", "transport" }, libraries = { curl = true } },
  { files = { "oauth" }, libraries = {} },
  { files = { "endpoint" }, libraries = {} },
  { files = { "cardata_fields" }, libraries = {} },
  { files = { "cardata_values" }, libraries = {} },
  { files = { "guard", "poll", "queue", "timers" }, libraries = {} },
  { files = { "base64", "buffer", "clock", "sha256", "url" }, libraries = {} },
}
local FACE_HEADERS = { ["bmwi.h"] = true, ["compat.h"] = true }

-- How a library is recognised: by its headers and by the names it defines.
local LIBRARIES = {
  lua = { headers = "^l[ua]%w+%.h$", names = { "lua_%w+", "luaL_%w+", "LUA_%w+" } },
  curl = { headers = "^curl/", names = { "curl_%w+", "CURL[%u_]%w+" } },
}

local function names_in(folder)
  local list = {}
  local pipe = assert(io.popen("ls " .. folder .. "/*.[ch]"))
  for path in pipe:lines() do list[#list + 1] = path:match("[^/]+$") end
  pipe:close()
  return list
end

-- The text without comments, texts and characters.
local function code_of(text)
  text = text:gsub("/%*.-%*/", " "):gsub('\\"', ""):gsub("//[^\n]*", "")
  return (text:gsub('#include%s+"', "#include_own "):gsub('"[^"\n]*"', '""'))
end

local function word(pattern)
  return "%f[%w_]" .. pattern
end

local level, layer_of = {}, {}
for i, layer in ipairs(LAYERS) do
  for _, name in ipairs(layer.files) do level[name], layer_of[name] = i, layer end
end

local FOLDERS = { "binding", "service", "core" }
local own, path_of, code, includes = {}, {}, {}, {}
for _, folder in ipairs(FOLDERS) do
  for _, file in ipairs(names_in("csrc/" .. folder)) do
    own[#own + 1], path_of[file] = file, "csrc/" .. folder .. "/" .. file
  end
end
for _, file in ipairs(own) do
  local text = read(path_of[file])
  code[file], includes[file] = code_of(text), { own = {}, system = {} }
  for quote, name in text:gmatch('#%s*include%s+(["<])([^">]+)[">]') do
    table.insert(includes[file][quote == '"' and "own" or "system"],
      quote == '"' and name:match("[^/]+$") or name)
  end
end

-- The headers of others that reach a file, directly or through our own headers.
local function reached(file, found, seen)
  found, seen = found or {}, seen or {}
  if seen[file] then return found end
  seen[file] = true
  for _, name in ipairs(includes[file].system) do found[name] = file end
  for _, name in ipairs(includes[file].own) do
    if includes[name] then reached(name, found, seen) end
  end
  return found
end

-- Which file each of our functions belongs to: the one whose header declares it, or in bmwi.h the
-- one that the last comment "From x.c" named.
local owner = {}
for _, file in ipairs(own) do
  if file:match("%.h$") then
    local current = file:match("^(.*)%.h$")
    for line in read(path_of[file]):gmatch("[^\n]+") do
      current = line:match("/%* From ([%w_]+)%.c") or current
      local name = line:match("^[%w_ %*]-(bmwi_[%w_]+)%(")
      if name then owner[name] = current end
    end
  end
end

describe("a C file of the module", function()
  it("has its place in a layer", function()
    for _, file in ipairs(own) do
      local name = file:match("^(.*)%.[ch]$")
      assert(FACE_HEADERS[file] or level[name], "csrc/" .. file .. " is in no layer")
    end
    for name in pairs(level) do
      assert(includes[name .. ".c"] or includes[name .. ".h"], "csrc/" .. name .. ".c is missing")
    end
  end)

  it("includes only headers of its own layer and of those below", function()
    for _, file in ipairs(own) do
      local name = file:match("^(.*)%.[ch]$")
      for _, header in ipairs(includes[file].own) do
        local allowed
        if FACE_HEADERS[header] then
          allowed = FACE_HEADERS[file] or layer_of[name].face
        elseif FACE_HEADERS[file] then
          allowed = true
        else
          local target = header:match("^(.*)%.h$")
          allowed = level[target] and level[target] >= level[name]
        end
        assert(allowed, "csrc/" .. file .. " must not include " .. header)
      end
    end
  end)

  it("calls only functions of its own layer and of those below", function()
    for _, file in ipairs(own) do
      local name = file:match("^(.*)%.c$")
      if name then
        for called in code[file]:gmatch(word("(bmwi_[%w_]+)%s*%(")) do
          local of = owner[called]
          assert(not of or not level[of] or level[of] >= level[name],
            "csrc/" .. file .. " must not call " .. called .. " of " .. tostring(of) .. ".c")
        end
      end
    end
  end)

  it("sees lua.h in the Lua face only", function()
    for _, file in ipairs(own) do
      local layer = layer_of[file:match("^(.*)%.[ch]$")]
      if not FACE_HEADERS[file] and not layer.libraries.lua then
        for header, through in pairs(reached(file)) do
          assert(not header:match(LIBRARIES.lua.headers),
            "csrc/" .. file .. " must not see " .. header .. " (through " .. through .. ")")
        end
      end
    end
  end)

  it("sees curl.h in the engine and above only, and only the engine includes it", function()
    for _, file in ipairs(own) do
      local name = file:match("^(.*)%.[ch]$")
      local layer = layer_of[name]
      for _, header in ipairs(includes[file].system) do
        assert(not header:match(LIBRARIES.curl.headers) or layer and layer.libraries.curl,
          "csrc/" .. file .. " must not include " .. header)
      end
      if level[name] and level[name] > level.engine then
        for header, through in pairs(reached(file)) do
          assert(not header:match(LIBRARIES.curl.headers),
            "csrc/" .. file .. " must not see " .. header .. " (through " .. through .. ")")
        end
      end
    end
  end)

  it("uses no name of a library that is not its layer's", function()
    for _, file in ipairs(own) do
      local layer = layer_of[file:match("^(.*)%.[ch]$")]
      for library, signs in pairs(LIBRARIES) do
        local allowed = layer and layer.libraries[library]
          or FACE_HEADERS[file] and library == "lua"
        for _, pattern in ipairs(allowed and {} or signs.names) do
          local name = code[file]:match(word(pattern))
          assert.is_nil(name, "csrc/" .. file .. " must not use " .. tostring(name))
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
    for _, file in ipairs(own) do
      for _, header in ipairs(includes[file].own) do
        assert(includes[header], "csrc/" .. file .. " must not include " .. header)
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

  -- Only main.c says which services there are.
  it("has the words of a service in the folder of that service only", function()
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
  -- Until these are taken apart.
  local KNOWN = { ["binding/client"] = true, ["binding/loop"] = true, ["binding/car"] = true,
    ["binding/await"] = true }

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
      if target and target ~= unit and not FACE_HEADERS[target:match("[^/]+$") .. ".h"] then
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
        if not (KNOWN[unit] and KNOWN[target]) and reaches(target, unit, {}) then
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
