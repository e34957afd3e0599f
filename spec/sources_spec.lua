-- Compares what has to be written in more than one place: the lists of source files in the
-- Makefile, in the rockspec and in the folders, and the version.

local helper = require("spec.helper")
local read = helper.read

-- Files below `folder` whose names end in `ending`, sorted.
local function files(folder, ending, options)
  local list = {}
  local pipe = assert(io.popen("find " .. folder .. " " .. (options or "") .. " -type f"))
  for path in pipe:lines() do
    if ending == "" or path:sub(-#ending) == ending then list[#list + 1] = path end
  end
  pipe:close()
  table.sort(list)
  return list
end

-- The words of a variable of the Makefile, sorted.
local function make_list(name)
  local text = read("Makefile"):gsub("\\\n", " ")
  local value = assert(("\n" .. text):match("\n" .. name .. " := ([^\n]*)"), name)
  local list = {}
  for word in value:gmatch("%S+") do list[#list + 1] = word end
  table.sort(list)
  return list
end

local function rockspec()
  local env = {}
  local text, name = read("bmwi-scm-0.rockspec"), "@bmwi-scm-0.rockspec"
  if _VERSION == "Lua 5.1" then
    local chunk = assert(loadstring(text, name)) -- luacheck: ignore 113
    setfenv(chunk, env)() -- luacheck: ignore 113
  else
    assert(load(text, name, "t", env))()
  end
  return env
end

local function version()
  return assert(read("csrc/service/service.h"):match('#define%s+BMWI_VERSION%s+"([^"]+)"'))
end

describe("the lists of source files", function()
  it("name every C file of the module in the Makefile", function()
    local c_files = make_list("SRC")
    c_files[#c_files + 1] = make_list("LOADER_SRC")[1]
    table.sort(c_files)
    assert.same(files("csrc", ".c", "-not -path csrc/sim/\\*"), c_files)
  end)

  it("name every C file of the simulator in the Makefile", function()
    assert.same(files("csrc/sim", ".c"), make_list("SIM_SRC"))
  end)

  it("name every Lua file in the Makefile", function()
    assert.same(files("lua", ".lua"), make_list("LUA_SRC"))
  end)

  it("name the same C files in the rockspec", function()
    local modules = rockspec().build.modules
    local sources = modules["bmwi.core"].sources
    table.sort(sources)
    assert.same(make_list("SRC"), sources)
    assert.same(make_list("LOADER_SRC"), modules.bmwi.sources)
  end)

  it("name the same Lua files in the rockspec, each under its module name", function()
    local expected = { bmwi = "C", ["bmwi.core"] = "C" }
    for _, path in ipairs(files("lua", ".lua")) do
      expected[path:match("^lua/(.*)%.lua$"):gsub("/", ".")] = path
    end
    for _, path in ipairs(files("types", ".lua")) do
      expected["bmwi." .. path:match("^(.*)%.lua$"):gsub("/", ".")] = path
    end
    local modules = rockspec().build.modules
    modules.bmwi, modules["bmwi.core"] = "C", "C"
    assert.same(expected, modules)
  end)

  it("name each Lua file once in the rockspec", function()
    local seen = {}
    for path in read("bmwi-scm-0.rockspec"):gmatch('= "([%w_/]+%.lua)"') do
      assert.is_nil(seen[path], path)
      seen[path] = true
    end
    assert.is_truthy(seen["lua/bmwi/cli.lua"])
  end)

  it("give the compiler the same definitions in the Makefile and in the rockspec", function()
    local defines = rockspec().build.modules["bmwi.core"].defines
    for i, define in ipairs(defines) do defines[i] = "-D" .. define end
    table.sort(defines)
    assert.same(make_list("DEFINES"), defines)
  end)

  it("link the module to the same libraries in the Makefile and in the rockspec", function()
    local flags, modules = {}, rockspec().build.modules
    for i, name in ipairs(modules["bmwi.core"].libraries) do flags[i] = "-l" .. name end
    assert.equal("-lcurl", table.remove(flags, 1))
    table.sort(flags)
    assert.same(make_list("C_LIBS"), flags)
  end)
end)

describe("the folder lua/", function()
  it("contains nothing but modules, since LuaRocks installs all of it", function()
    assert.same(files("lua", ".lua"), files("lua", ""))
  end)

  it("contains no file that would be found instead of the C module", function()
    assert.is_nil(io.open("lua/bmwi.lua"))
    assert.is_nil(io.open("lua/bmwi/init.lua"))
  end)
end)

describe("an address", function()
  -- Harmless addresses: this machine, names reserved by RFC 2606, BMW's own servers.
  local FREE = { "^127%.", "^localhost", "example%.invalid$", "example%.com$", "^host%f[%W]",
    "^b2vapi%.bmwgroup%.", "^customer%.bmwgroup%.com$", "^host$" }

  it("of another project's repository is nowhere", function()
    local strange = {}
    for _, path in ipairs { "README.md", "SECURITY.md", "CHANGELOG.md", "bmwi-scm-0.rockspec" } do
      for host in read(path):gmatch("%w+://([%w.%-]+)") do
        local free = false
        for _, pattern in ipairs(FREE) do free = free or host:find(pattern) ~= nil end
        if not free then strange[#strange + 1] = path .. ": " .. host end
      end
      assert.is_nil(read(path):lower():find("github%.com"), path)
    end
    assert.same({}, strange)
  end)

  it("is the project's in one place only, and SECURITY.md says so", function()
    local spec = rockspec()
    assert.is_string(spec.source.url)
    assert.is_nil(spec.description.homepage)
    assert.is_nil(spec.description.issues_url)
    assert.truthy(read("SECURITY.md"):find("`source.url` of the rockspec", 1, true))
  end)
end)

describe("the rockspec", function()
  it("requires libcurl by its library only, which works everywhere", function()
    assert.same({ CURL = { library = "curl" } }, rockspec().external_dependencies)
  end)

  it("excludes systems without POSIX", function()
    assert.same({ "unix" }, rockspec().supported_platforms)
  end)

  it("puts no upper bound on the version of Lua", function()
    assert.same("lua >= 5.1", rockspec().dependencies[1])
  end)
end)

describe("the version", function()
  it("is what the module says", function()
    assert.same(version(), require("bmwi")._VERSION)
  end)

  it("is the newest of the changelog", function()
    assert.same(version(), read("CHANGELOG.md"):match("\n## (%d+%.%d+%.%d+)"))
    assert.same(version(),
      read("examples/packaging/debian/changelog"):match("^bmwi %((%d+%.%d+%.%d+)%-1%)"))
  end)

  it("is written nowhere else in the module", function()
    for _, folder in ipairs({ "lua", "csrc/binding", "csrc/service", "csrc/core" }) do
      for _, path in ipairs(files(folder, "")) do
        local _, times = read(path):gsub('"' .. version():gsub("%.", "%%.") .. '"', "")
        assert.same(path == "csrc/service/service.h" and 1 or 0, times, path)
      end
    end
  end)
end)
