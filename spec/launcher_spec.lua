-- bin/bmwi: it finds its own modules, from a clone and installed, whatever LUA_PATH is, and reports
-- what is missing in one line.
local cli = require "spec.cli_helper"
local helper = require "spec.helper"
local bmwi = require "bmwi"

local here = cli.shell("pwd")
local lua = helper.interpreter
local tag = rawget(_G, "jit") and "luajit" or "lua" .. _VERSION:match("%d+%.%d+")
local number = _VERSION:match("%d+%.%d+")
local built = cli.read("build/" .. tag .. "/bmwi.so") ~= nil
local VERSION = "bmwi " .. bmwi._VERSION

-- A run without any search path except those given.
local function run(command, paths)
  local words = { "env -u LUA_INIT -u LUA_PATH -u LUA_CPATH" }
  for _, version in ipairs { "_5_2", "_5_3", "_5_4" } do
    for _, name in ipairs { "LUA_PATH", "LUA_CPATH", "LUA_INIT" } do
      words[1] = words[1] .. " -u " .. name .. version
    end
  end
  return cli.shell(("%s %s sh -c %s 2>&1"):format(table.concat(words, " "), paths or "",
    cli.quote(command)))
end

-- The folders of another Lua, as `luarocks path` sets them.
local other = number == "5.1" and "5.4" or "5.1"
local OTHERS = ("LUA_PATH='./?.lua;/usr/local/share/lua/%s/?.lua;/usr/share/lua/%s/?.lua' "
  .. "LUA_CPATH='./?.so;/usr/local/lib/lua/%s/?.so;%s/lua/%s/?.so;/usr/lib/lua/%s/?.so'"):format(
  other, other, other, cli.shell("dirname $(find /usr/lib -name libcurl.so.4 | head -n 1)"), other,
  other)
-- A Lua built by hand searches other folders by default than the packaged one.
local has_cjson = run(lua .. " -e 'require \"cjson\"'") == ""

describe("bin/bmwi", function()
  local folder

  before_each(function() folder = cli.shell("mktemp -d") end)
  after_each(function() os.execute("rm -rf " .. folder) end)

  local function need()
    if not built then pending("build/" .. tag .. " is not there") end
    if not has_cjson then pending(lua .. " finds no lua-cjson by itself") end
  end

  it("runs from a clone, from any directory", function()
    need()
    assert.equal(VERSION, run(lua .. " bin/bmwi --version | head -n 1"))
    assert.equal(VERSION, run("cd bin; " .. lua .. " bmwi --version | head -n 1"))
    assert.equal(VERSION, run("cd /; " .. lua .. " " .. here .. "/bin/bmwi --version | head -n 1"))
  end)

  it("runs through a symbolic link", function()
    need()
    cli.shell(("ln -s %s/bin/bmwi %s/bmwi"):format(here, folder))
    assert.equal(VERSION, run(lua .. " " .. folder .. "/bmwi --version | head -n 1"))
  end)

  it("finds its modules if LUA_PATH is another Lua's, or empty", function()
    need()
    for _, paths in ipairs { OTHERS, "LUA_PATH=/opt/x/?.lua LUA_CPATH=/opt/x/?.so" } do
      assert.equal(VERSION, run(lua .. " bin/bmwi --version | head -n 1", paths))
    end
  end)

  it("is installed precompiled, with its line numbers, if requested", function()
    need()
    local function installed(words)
      local prefix = folder .. "/prefix" .. #words
      cli.shell(("env -u MAKEFLAGS make -s -o build/%s/bmwi.so install PREFIX=%s LUA=%s "
        .. "BUILD=build/%s %s 2>&1"):format(tag, prefix, lua, tag, words))
      local path = prefix .. "/share/lua/" .. number
      return path .. "/bmwi/time.lua", ("LUA_PATH='%s/?.lua;;' LUA_CPATH='%s/?.so;;'"):format(path,
        prefix .. "/lib/lua/" .. number), prefix
    end
    local where = lua .. [[ -e 'local t = debug.getinfo(require("bmwi.time").parse, "SL")
      print(t.source:match("/bmwi/.*") .. ":" .. t.linedefined, next(t.activelines) ~= nil)']]
    local plain_file, plain = installed("")
    local file, paths, prefix = installed("PRECOMPILED=1")
    assert.equal("-", cli.read(plain_file):sub(1, 1))
    assert.equal("\27", cli.read(file):sub(1, 1))
    local launcher = cli.read(prefix .. "/bin/bmwi")
    assert.truthy(launcher:find("^#!/[^\n]*\n"))
    assert.equal(tag ~= "luajit", launcher:find("^[^\n]*\n\27") ~= nil) -- LuaJIT loads no such file
    assert.equal(VERSION, run(prefix .. "/bin/bmwi --version | head -n 1"))
    assert.equal(VERSION, run(lua .. " " .. prefix .. "/bin/bmwi --version | head -n 1"))
    local line = run(where, paths)
    assert(line:find("^/bmwi/time.lua:%d+\ttrue$"), line)
    assert.equal(run(where, plain), line)
  end)

  it("does so installed by make", function()
    need()
    -- -o: what is built is taken as it is.
    cli.shell(("env -u MAKEFLAGS make -s -o build/%s/bmwi.so install PREFIX=%s/prefix "
      .. "LUA=%s BUILD=build/%s 2>&1"):format(tag, folder, tag, tag))
    for _, page in ipairs { "man/man1/bmwi.1", "bash-completion/completions/bmwi",
      "zsh/site-functions/_bmwi", "fish/vendor_completions.d/bmwi.fish" } do
      assert(cli.read(folder .. "/prefix/share/" .. page):find("bmwi", 1, true), page)
    end
    for name in cli.shell("ls types"):gmatch("[^\n]+") do -- for editors
      local installed = ("%s/prefix/share/lua/%s/bmwi/types/%s"):format(folder, number, name)
      assert.equal(cli.read("types/" .. name), cli.read(installed))
    end
    for _, paths in ipairs { "", OTHERS, "LUA_PATH=/opt/x/?.lua LUA_CPATH=/opt/x/?.so" } do
      assert.equal(VERSION,
        run("cd /; " .. folder .. "/prefix/bin/bmwi --version | head -n 1", paths))
    end
  end)

  it("exits with 130 on Ctrl-C while it loads, and does nothing more", function()
    need()
    cli.write(folder .. "/slow.lua", [[
      local ready, done = os.getenv("READY"), false
      package.preload["bmwi.cli.fail"] = function()
        if not done then
          done = true
          assert(io.open(ready, "w")):close()
          local stop = os.time() + 20
          while os.time() < stop do end
        end
        return dofile("lua/bmwi/cli/fail.lua")
      end]])
    local said = run(([[LUA_INIT=@%s/slow.lua READY=%s/ready %s bin/bmwi --version & pid=$!
      for i in $(seq 3000); do test -e %s/ready && break; sleep 0.02; done
      kill -INT $pid; wait $pid; echo $?]]):format(folder, folder, lua, folder))
    assert.equal("bmwi: interrupted\n130", said)
  end)

  it("says what to do in a clone without a build", function()
    cli.shell(("cp -r bin lua Makefile %s"):format(folder))
    local said = run("cd " .. folder .. "; " .. lua .. " bin/bmwi --version; echo $?")
    assert.is_truthy(said:find("make", 1, true), said)
    assert.is_nil(said:find("traceback", 1, true), said)
    assert.is_truthy(said:find("\n1$"), said)
  end)

  it("says in two lines that its modules are not where it is", function()
    cli.shell("cp bin/bmwi " .. folder)
    local said = run("cd /; " .. lua .. " " .. folder .. "/bmwi --version; echo $?")
    assert.is_truthy(said:find("^bmwi: module 'bmwi.cli' not found\n  [^\n]*moved[^\n]*\n1$"), said)
    assert.is_truthy(said:find("/lua/" .. number .. "/?.lua", 1, true), said)
    assert.is_truthy(said:find("/?.so", 1, true), said)
  end)

  it("says for which Lua it is built, if that is another one", function()
    cli.shell(("cp -r bin lua Makefile %s; mkdir -p %s/build/lua9.9; touch %s/build/lua9.9/bmwi.so")
      :format(folder, folder, folder))
    local said = run("cd " .. folder .. "; " .. lua .. " bin/bmwi --version | head -n 1")
    assert.is_truthy(said:find("built for lua9.9, but this is " .. tag, 1, true), said)
    assert.is_nil(said:find("traceback", 1, true), said)
  end)
end)

describe("a module of another Lua", function()
  local folder

  before_each(function() folder = cli.shell("mktemp -d") end)
  after_each(function() os.execute("rm -rf " .. folder) end)

  local function tried(name)
    cli.shell(("mkdir -p %s/lua/9.9 && echo no module >%s/lua/9.9/%s.so")
      :format(folder, folder, name))
    return run(lua .. " -e 'local ok, m = pcall(require, \"bmwi\") print(m)'",
      ("LUA_PATH='%s/?.lua' LUA_CPATH='%s/lua/9.9/?.so;%s/build/%s/?.so'"):format(folder, folder,
      here, tag))
  end

  it("is distinguished from a missing one: lua-cjson", function()
    if not built then pending("build/" .. tag .. " is not there") end
    local said = tried("cjson")
    assert.is_truthy(said:find("installed for Lua 9.9, but this is Lua " .. number, 1, true), said)
    assert.is_nil(said:find("apt install", 1, true), said)
    said = run(lua .. " -e 'local ok, m = pcall(require, \"bmwi\") print(m)'",
      ("LUA_PATH='%s/?.lua' LUA_CPATH='%s/build/%s/?.so'"):format(folder, here, tag))
    assert.is_truthy(said:find("apt install lua-cjson", 1, true), said)
  end)
end)
