-- The targets of make: which install packages, and what the others report. With a search path
-- without two of the programs, and with a package manager that only records its arguments.
local helper = require "spec.helper"

local HIDDEN = { "luacheck", "openssl", "apt-get", "dpkg-query", "sudo", "npm" }
local SHAMS = {
  ["apt-get"] = 'echo "$*" >>"$(dirname "$0")/../asked"',
  ["dpkg-query"] = "exit 1", -- nothing is installed
  npm = 'echo "$*" >>"$(dirname "$0")/../asked"',
  sudo = 'exec "$@"',
}

describe("make", function()
  local folder

  setup(function()
    folder = helper.shell("mktemp -d")
    helper.shell(([[mkdir %s/bin; IFS=:
      for path in $PATH; do ln -s "$path"/* %s/bin/ 2>/dev/null
      done]]):format(folder, folder))
    for _, name in ipairs(HIDDEN) do os.remove(folder .. "/bin/" .. name) end
    for name, line in pairs(SHAMS) do
      helper.write(folder .. "/bin/" .. name, "#!/bin/sh\n" .. line .. "\n", "+x")
    end
  end)
  before_each(function() os.remove(folder .. "/asked") end)
  teardown(function() os.execute("rm -rf " .. folder) end)

  -- Its output, whether it succeeded, and what the package manager was asked to install.
  local function make(words)
    local said = helper.shell(("env -u MAKEFLAGS -u MFLAGS -u LUA PATH=%s/bin "
      .. "timeout 60 make %s 2>&1; echo exit $?"):format(folder, words))
    return said, said:find("exit 0$") ~= nil, helper.read(folder .. "/asked") or ""
  end

  for _, target in ipairs { "lint", "asan", "tsan", "memory", "valgrind", "gc", "fuzz",
    "fuzz-corpus", "coverage", "soak", "bench", "hosts", "test-all",
    "contract OPENAPI=Makefile" } do
    it(target .. " names missing packages and how to install them, and installs none", function()
      local said, well, asked = make(target)
      assert.truthy(said:find("packages are missing:[^\n]* openssl"), said)
      assert.truthy(said:find("make deps SET='[^']*build"), said)
      assert.equal(target == "lint", said:find(" lua-check", 1, true) ~= nil, said)
      assert.is_false(well, said)
      assert.equal("", asked)
    end)
  end

  for _, target in ipairs { "deps", "demo", "test" } do
    it(target .. " installs what is missing", function()
      local _, _, asked = make(target)
      assert.truthy(asked:find("install [^\n]* openssl"), asked)
    end)
  end

  it("deps installs the given sets", function()
    local _, _, asked = make("deps SET=lint")
    assert.truthy(asked:find("install [^\n]* lua%-check"), asked)
    assert.is_nil(asked:find("openssl", 1, true), asked)
  end)

  it("contract says where to get BMW's file, which it requires", function()
    for _, words in ipairs { "contract", "contract OPENAPI=docs" } do
      local said, well, asked = make(words)
      assert.truthy(said:find("make contract OPENAPI=FILE:[^\n]* docs/contract.md"), said)
      assert.is_nil(said:find("packages are missing", 1, true), said)
      assert.is_false(well)
      assert.equal("", asked)
    end
  end)

  it("contract installs the mock server below build/", function()
    local _, well, asked = make(("%s/prism PRISM=%s/prism"):format(folder, folder))
    assert.truthy(asked:find("^install %-%-prefix build/contract .*@stoplight/prism%-cli@"), asked)
    assert.is_true(well)
  end)

  it("names the missing packages if nothing compiles", function()
    local said, well, asked = make(("%s/sim SIM=%s/sim SIM_BUILD=%s CC=false")
      :format(folder, folder, folder))
    assert.truthy(said:find("packages are missing: gcc", 1, true), said)
    assert.is_false(well)
    assert.equal("", asked)
  end)
end)
