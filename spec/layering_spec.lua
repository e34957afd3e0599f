-- The layers of the C code: a file may use the files below it and beside it, never those above.
-- Read from the includes, followed through our own headers, and from the names that are used.

local helper = require("spec.helper")
local read = helper.read

-- One row per layer, from the top down. `libraries` are those whose names the files may use.
-- The rows with `face` share the header bmwi.h, whose comments "From x.c" say what belongs to whom.
local LAYERS = {
  { files = { "bmwi" }, face = true, libraries = { lua = true, curl = true } }, -- curl: its version
  { files = { "client", "car", "loop" }, face = true, libraries = { lua = true } },
  { files = { "schema" }, face = true, libraries = { lua = true } },
  { files = { "json", "fail", "sys" }, face = true, libraries = { lua = true } },
  { files = { "op" }, libraries = { curl = true } },
  { files = { "engine" }, libraries = { curl = true } },
  { files = { "oauth" }, libraries = {} },
  { files = { "classic", "service" }, libraries = {} },
  { files = { "endpoint" }, libraries = {} },
  { files = { "poll", "timers" }, libraries = {} },
  { files = { "base64", "buffer", "clock" }, libraries = {} },
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
  local sim = names_in("csrc/sim")

  it("includes nothing of the module, and the module nothing of it", function()
    local is_sim = {}
    for _, file in ipairs(sim) do is_sim[file] = true end
    for _, file in ipairs(sim) do
      for header in read("csrc/sim/" .. file):gmatch('#%s*include%s+"([^"]+)"') do
        assert(is_sim[header], "csrc/sim/" .. file .. " must not include " .. header)
      end
    end
    for _, file in ipairs(own) do
      for _, header in ipairs(includes[file].own) do
        assert(includes[header], "csrc/" .. file .. " must not include " .. header)
      end
    end
  end)

  it("uses neither Lua nor libcurl", function()
    for _, file in ipairs(sim) do
      local text = code_of(read("csrc/sim/" .. file))
      for _, signs in pairs(LIBRARIES) do
        for _, pattern in ipairs(signs.names) do
          local name = text:match(word(pattern))
          assert.is_nil(name, "csrc/sim/" .. file .. " must not use " .. tostring(name))
        end
      end
    end
  end)
end)
