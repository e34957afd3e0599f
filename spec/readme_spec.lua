-- The form of the README; that every public name is documented; and that CONTRIBUTING.md and
-- SECURITY.md name only what exists.
local docs = require "spec.docs_helper"
local helper = require "spec.helper"
local read, quote = helper.read, helper.quote

local readme = read("README.md")
local makefile = read("Makefile") .. read(".ci/analysis.mk")

-- Public names: those with `_` are for this module's own files.
local function names(source)
  local list = {}
  for key, value in pairs(source) do
    local name = type(key) == "number" and value or key
    if not tostring(name):find("^_") then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

-- Fails with all names that are on no page.
local function present(list, format)
  assert.same({}, docs.missing(docs.all(), list, format))
end

describe("README.md", function()
  it("is short", function()
    local _, lines = readme:gsub("\n", "\n")
    assert.is_true(lines <= 150, lines)
  end)

  it("says in its first three lines which services work today", function()
    local first = readme:match("^# bmwi\n\n([^\n]*\n[^\n]*\n[^\n]*\n)\n")
    assert.truthy(first)
    first = first:gsub("\n", " ")
    helper.has(first, "**BMW CarData works today**")
    helper.has(first, "classic BMW i service")
    helper.has(first, "was switched off by BMW on 2021-11-09**")
  end)

  it("shows its two commands first", function()
    assert.same({ "README.md", "sh" }, { docs.blocks()[1].path, docs.blocks()[1].mark })
    local commands = {}
    for line in docs.blocks()[1].text:gmatch("[^\n]+") do
      commands[#commands + 1] = line:match("^(.-)%s+#")
    end
    assert.same({ "make demo", "lua5.4 bin/bmwi status" }, commands)
  end)

  it("shows a program of at most 15 lines", function()
    local programs = docs.marked("lua program")
    assert.equal("README.md", programs[1].path)
    local _, lines = programs[1].text:gsub("\n", "\n")
    assert.is_true(lines <= 15)
  end)
end)

describe("the documentation", function()
  local sim

  before_each(function() sim = helper.start { args = { "--speed", "100" } } end)
  after_each(function() sim:stop() end)

  it("names every module", function()
    local modules = {}
    for file in helper.shell("ls lua/bmwi"):gmatch("[^\n]+") do
      modules[#modules + 1] = file:match("^(%l.*)%.lua$")
    end
    assert.is_true(#modules > 5)
    present(modules, "`bmwi.%s`")
  end)

  it("names every command, key and exit code of the command line", function()
    present(names(require("bmwi.cli.commands")), "`bmwi %s")
    present(names(require("bmwi.cli.config").NAMES), "`%s`")
    for _, code in pairs(require("bmwi.cli.fail").EXIT) do present({ code }, "| %d |") end
  end)

  it("promises the format of --json", function()
    local promise = docs.page("docs/cli.md"):match("%*%*With `%-%-json`%*%*.-\n\n<!")
    for _, name in ipairs { "lastTrip", "allTrips", "type", "base64", "command", "serviceType",
      "status", "extendedStatus", "sent", "poi", "server", "scope", "expires_at", "token_file",
      "ok", "steps", "detail", "version", "help", "message", "code", "exit", "hint", "api_code",
      "description", "retry_after", "usage", "config", "login", "refused", "declined",
      "interrupted", "internal" } do
      assert.truthy(promise:find("`" .. name .. "`", 1, true), name)
    end
  end)

  for _, state in ipairs { "FINISHED_NOT_FULL", "ERROR", "NOT_CHARGING", "INVALID" } do
    it("has a snippet that ends when charging has ended: " .. state, function()
      sim:change(helper.vin, { status = { chargingStatus = state } })
      for _, block in ipairs(docs.marked("lua")) do
        if block.text:find("8 * 3600", 1, true) then
          local text = block.text:gsub("8 %* 3600", "1")
          local output, code = docs.run_lua(docs.with_client(text, sim))
          assert.equal(0, code, output)
          assert.equal(state .. "\n", output)
        end
      end
    end)
  end

  it("names every option and recorded error of the simulator", function()
    local usage = assert(io.popen(quote(os.getenv("BMWI_SIM") or "build/bmwi-sim") .. " --help"))
    local options = {}
    for name in usage:read("*a"):gmatch("\n  (%-%-%l+)") do
      if name ~= "--help" and name ~= "--version" then options[#options + 1] = name end
    end
    usage:close()
    assert.is_true(#options > 3)
    present(options, "`%s")
    local list = docs.page("docs/simulator.md"):match("`recorded` with one of\n(.-);")
    for name in list:gmatch("`([%w_]+)`") do
      sim:fault { path = "/nowhere", recorded = name } -- raises if it does not know it
    end
  end)
end)

describe("CHANGELOG.md", function()
  it("has each unreleased entry below a category", function()
    local ORDER = { Added = 1, Changed = 2, Fixed = 3, Security = 4 }
    local entries, last = 0, 0
    for line in read("CHANGELOG.md"):match("\n## Unreleased\n(.-)\n## "):gmatch("[^\n]+") do
      local category = line:match("^### (%u%l+)$")
      if category then
        assert.is_true(ORDER[category] > last, category)
        last = ORDER[category]
      elseif line:find("^%- ") then
        entries = entries + 1
        assert.is_true(last > 0, "not below ### Added, Changed, Fixed or Security: " .. line)
      end
    end
    assert.equal(4, last)
    assert.is_true(entries > 20)
  end)
end)

describe("CONTRIBUTING.md", function()
  it("names existing targets and files", function()
    local text, count = read("CONTRIBUTING.md"), 0
    for target in text:gmatch("`make ([%l-]+)") do
      assert.truthy(makefile:find("\n" .. target .. ":", 1, true), target)
    end
    for name in text:gmatch("`([%w_./]+)`") do
      if name:find("^[%w.]+/") and not name:find("NAME") and not name:find("^build/") then
        count = count + 1
        assert(io.open(name), name):close()
      end
    end
    assert(count > 15, count)
  end)
end)

describe("SECURITY.md", function()
  -- The rows of its tables of promises: {promise, tests}
  local function promises()
    local list = {}
    local part = read("SECURITY.md"):match("\n## Promised\n(.-)\n## ")
    for promise, tests in part:gmatch("\n| ([^|\n]-) |([^|\n]*)|%f[\n]") do
      if promise ~= "Promise" and not promise:find("^%-") then
        list[#list + 1] = { promise = promise, tests = tests }
      end
    end
    return list
  end

  -- Whether a spec file has a test, or a row of a table of tests, with that title.
  local function has_title(name, title)
    local text = read("spec/" .. name .. "_spec.lua")
    assert.truthy(text, name)
    local start = title:match("^(.-)%.%.%.$")
    if not start then title = title:gsub('"', '\\"') .. '"' end
    return text:find('"' .. (start or title), 1, true) ~= nil
  end

  it("names for each promise the specs that would fail, by existing titles", function()
    local count = 0
    for _, row in ipairs(promises()) do
      local named = 0
      local rest = row.tests:gsub("`make (%l+)`", function(target)
        named = named + 1
        assert.truthy(makefile:find("\n" .. target .. ":", 1, true), target)
        return ""
      end)
      rest = rest:match("^%s*(.-)%s*$") .. "; `"
      for name, titles in rest:gmatch("`([%l_]+)`: (.-)%f[;]; %f[`%z]") do
        for title in titles:gmatch('"(.-)"%f[,%z]') do
          named = named + 1
          assert.is_true(has_title(name, title), name .. ": " .. title)
        end
      end
      count = count + named
      assert.is_true(named > 0, row.promise)
    end
    assert.is_true(#promises() > 25 and count > 60, #promises() .. ", " .. count)
  end)
end)
