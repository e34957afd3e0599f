-- bmwi.so opens the module itself, bmwi/core.so beside it: what it binds, and what it says if it
-- cannot open it.
local helper = require "spec.helper"

local module = package.cpath:match("([^;]*)/%?%.so") .. "/bmwi.so"
local core = module:gsub("%.so$", "/core.so")

describe("bmwi.so", function()
  local folder

  before_each(function() folder = helper.shell("mktemp -d") end)
  after_each(function() os.execute("rm -rf " .. folder) end)

  local function need(path)
    if not helper.read(path) then pending(path .. " is not there") end
  end

  -- What a program prints that finds a copy of bmwi.so, after a command that puts something
  -- beside it.
  local function run(command, program)
    need(module)
    helper.shell(("cp %s %s && mkdir %s/bmwi && cd %s/bmwi && %s"):format(module, folder, folder,
      folder, command))
    program = ("package.cpath = '%s/?.so;' .. package.cpath "):format(folder) .. program
    return helper.shell(("%s -e %s 2>&1"):format(helper.interpreter, helper.quote(program)))
  end

  for what, command in pairs {
    ["is missing"] = "true",
    ["is not a library"] = "echo no library >core.so",
    ["is a folder"] = "mkdir core.so",
    ["is another library"] = helper.quote(os.getenv("CC") or "cc")
      .. " -shared -o core.so -x c /dev/null",
  } do
    it("names both files if core.so " .. what, function()
      local said = run(command, 'print(pcall(require, "bmwi"))')
      assert.equal(("false\t%s/bmwi.so needs %s/bmwi/core.so, "):format(folder, folder),
        said:match("^.-, "), said)
    end)
  end

  it("opens core.so as soon as it is there", function()
    need(core)
    local here = helper.shell("pwd")
    local said = run("true", ([[
      assert(not pcall(require, "bmwi"))
      package.loaded.bmwi = nil -- what Lua 5.1 leaves there
      os.execute("cp '%s/%s' '%s/bmwi/core.so'")
      local bmwi = require "bmwi"
      print(bmwi == package.loaded.bmwi, bmwi._VERSION)]]):format(here, core, folder))
    assert.equal("true\t" .. require("bmwi")._VERSION, said)
  end)

  it("opens it for package.loadlib, too", function()
    local said = helper.shell(([[%s -e 'local open = assert(package.loadlib("%s", "luaopen_bmwi"))
      print(open("bmwi")._VERSION)' 2>&1]]):format(helper.interpreter, module))
    assert.equal(require("bmwi")._VERSION, said)
  end)

  it("leaves functions of libcurl's libraries unbound until they are called", function()
    need(core)
    local function relocations(path)
      local said = helper.shell(([[LD_DEBUG=statistics %s -e '
        assert(package.loadlib("%s", "luaopen_bmwi"))()' 2>&1]]):format(helper.interpreter, path))
      local last
      for number in said:gmatch("final number of relocations: (%d+)") do last = tonumber(number) end
      return last or pending("this dynamic linker does not count: " .. said)
    end
    assert.is_true(relocations(module) < relocations(core))
  end)
end)
