-- The README: its programs run, its curl commands are understood, its links lead somewhere, and
-- every public name is in it.
--
-- A block marked ```lua program runs as it stands, with the address of a simulator put in place of
-- 127.0.0.1:8080. Any other ```lua block runs with `bmwi`, `client` and `car` set before it. The
-- commands of a block marked ```sh simulator are sent to a simulator.
local bmwi = require "bmwi"
local helper = require "spec.helper"
local read, quote = helper.read, helper.quote

local interpreter = helper.interpreter
local load_text = rawget(_G, "loadstring") or load

local ADDRESS = "http://127.0.0.1:8080"
local PRELUDE = [[
local bmwi = require "bmwi"
local client = bmwi.new { base_url = "http://127.0.0.1:8080", username = "whatever@example.com",
  password = "p4ssw0rd", api_key = "key", api_secret = "secret" }
local car = client:vehicle "WAB1C23456V123456"
]]
local FULL = { chargingLevelHv = 100, chargingStatus = "FINISHED_FULLY_CHARGED" }

local HELPERS = { "async", "geo", "host", "navigation", "store", "time", "units", "wait" }
-- For the files of this module only.
local INTERNAL = { _sys = true, _hash = true, _values = true, attach = true, begin = true,
  detach = true, fail = true, gate = true, open = true, wait = true }

local readme = read("README.md")
local makefile = read("Makefile") .. read(".ci/analysis.mk")

-- Its blocks of code: {mark = "lua program", text =}
local function blocks()
  local list, block = {}, nil
  for line in readme:gmatch("([^\n]*)\n") do
    local mark = line:match("^```(.*)$")
    if mark and block then
      block.text = table.concat(block, "\n") .. "\n"
      list[#list + 1], block = block, nil
    elseif mark then
      block = { mark = mark }
    elseif block then
      block[#block + 1] = line
    end
  end
  assert(block == nil, "a block of code is not closed")
  return list
end

local function marked(mark)
  local list = {}
  for _, block in ipairs(blocks()) do
    if block.mark == mark then list[#list + 1] = block.text end
  end
  return list
end

-- Runs a command over a text in a file; returns what it prints and its exit code.
local function run(command, text)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  local pipe = assert(io.popen(command:format(quote(path)) .. " 2>&1; echo exit code $?"))
  local output, code = pipe:read("*a"):match("^(.*)exit code (%d+)\n$")
  pipe:close()
  os.remove(path)
  return output, tonumber(code)
end

local function run_lua(text)
  local words = { "env -u http_proxy -u all_proxy -u ALL_PROXY -u LUA_INIT" }
  for _, version in ipairs { "_5_2", "_5_3", "_5_4" } do
    for _, name in ipairs { "LUA_PATH", "LUA_CPATH", "LUA_INIT" } do
      words[#words + 1] = "-u " .. name .. version
    end
  end
  words[#words + 1] = "LUA_PATH=" .. quote(package.path) .. " LUA_CPATH=" .. quote(package.cpath)
  return run(table.concat(words, " "):gsub("%%", "%%%%") .. " " .. interpreter .. " %s", text)
end

local function names(source)
  local list = {}
  for key, value in pairs(source) do
    list[#list + 1] = type(key) == "number" and value or key
  end
  table.sort(list)
  return list
end

-- Fails with all the texts that are not in the README.
local function present(list, format)
  local missing = {}
  for _, name in ipairs(list) do
    local text = format:format(name)
    local _, last = readme:find(text, 1, true)
    -- The name must end there: `bmwi.loop` is not in `bmwi.loops`.
    while last and text:find("[%w_]$") and readme:find("^[%w_]", last + 1) do
      _, last = readme:find(text, last + 1, true)
    end
    if not last then missing[#missing + 1] = text end
  end
  assert.same({}, missing)
end

local function installed(text)
  for name in text:gmatch('require "([%w.]+)"') do
    if not name:find("^bmwi") and not pcall(require, name) then return false end
  end
  return true
end

describe("README.md", function()
  local sim

  before_each(function() sim = helper.start { args = { "--speed", "100" } } end)
  after_each(function() sim:stop() end)

  local function placed(text)
    return (text:gsub(ADDRESS:gsub("%p", "%%%0"), (sim.url:gsub("%%", "%%%%"))))
  end

  it("shows a program that runs as it stands and prints what the README says", function()
    local programs = marked("lua program")
    assert.equal(1, #programs)
    local output, code = run_lua(placed(programs[1]))
    assert.equal(0, code, output)
    assert.truthy(readme:find("```\n" .. output .. "```\n", 1, true), output)
    local _, lines = programs[1]:gsub("\n", "\n")
    assert.is_true(lines <= 15)
  end)

  for i, text in ipairs(marked("lua")) do
    it(("has piece of code %d that runs"):format(i), function()
      sim:change(helper.vin, { status = FULL })
      assert(load_text(text))
      if not installed(text) then return pending("luv or cqueues is not installed") end
      local output, code = run_lua(placed(PRELUDE .. text))
      assert.equal(0, code, output)
    end)
  end

  it("shows a program for CarData that runs", function()
    local programs, path = marked("lua cardata"), os.tmpname()
    assert.equal(1, #programs)
    os.remove(path)
    sim:control("POST", "/cardata/login", { interval = 0.05 })
    local servers = ("base_url = %q, login_url = %q, "):format(sim.url, sim.url .. "/gcdm/oauth")
    local text = programs[1]:gsub("client_id =", servers .. "client_id =", 1)
      :gsub("account%.json", path)
    local output, code = run_lua(text)
    for _, ending in ipairs({ "", ".lock", ".write.lock", ".container.lock" }) do
      os.remove(path .. ending)
    end
    assert.equal(0, code, output)
    assert.truthy(output:find("user_code=", 1, true), output)
    assert.truthy(output:find("seconds old", 1, true), output)
  end)

  it("tells the simulator only what it understands", function()
    local commands = marked("sh simulator")
    assert.is_true(#commands > 0)
    for _, text in ipairs(commands) do
      local output, code = run("sh -e %s", 'curl() { command curl -sSf "$@"; }\n' .. placed(text))
      assert.equal(0, code, output)
    end
  end)

  it("names every function and option of the module", function()
    local module = {}
    for _, name in ipairs(names(bmwi)) do
      if not INTERNAL[name] then module[#module + 1] = name end
    end
    present(module, "bmwi.%s")
    present(names(bmwi.base64), "bmwi.base64.%s")
    present(names(bmwi.json), "bmwi.json.%s")
    present(names(bmwi.regions), "`%s`")
    local _, message = pcall(bmwi.new, { ["no such option"] = 1 })
    local options = {}
    for name in message:match("the options are: (.*)"):gmatch("[%w_]+") do
      options[#options + 1] = name
    end
    assert.is_true(#options > 20)
    present(options, "`%s`")
  end)

  it("names every method", function()
    local client = bmwi.new(helper.client(sim))
    local car = client:vehicle(helper.vin)
    present(names(getmetatable(client).__index), "client:%s")
    present(names(getmetatable(car).__index), "car:%s")
    client:close()
    for _, name in ipairs(names(getmetatable(bmwi.loop).__index)) do
      if not INTERNAL[name] then present({ name }, "loop:%s") end
    end
    for name in pairs(getmetatable(require("bmwi.store").new("x")).__index) do
      if not name:find("^_") then present({ name }, "store:%s") end
    end
    local task = require("bmwi.async").spawn(function() end)
    present(names(getmetatable(task).__index), "task:%s")
  end)

  it("names every function of the helpers", function()
    for _, name in ipairs(HELPERS) do
      present(names(require("bmwi." .. name)), name .. ".%s")
    end
    local pipe = assert(io.popen("ls lua/bmwi"))
    local modules = {}
    for file in pipe:lines() do modules[#modules + 1] = file:match("^(%l.*)%.lua$") end
    pipe:close()
    present(modules, "bmwi.%s`")
  end)

  it("names every code of an error", function()
    local codes = {}
    for name in read("csrc/binding/fail.c"):gmatch('%[BMWI_%u[%u_]*%] = {"([%l_]+)"') do
      if name ~= "ok" and name ~= "no_memory" then codes[#codes + 1] = name end -- never returned
    end
    assert.is_true(#codes > 10)
    for _, file in ipairs { "wait", "units", "time", "geo", "navigation" } do
      local text = read("lua/bmwi/" .. file .. ".lua")
      for name in text:gmatch('code = "([%l_]+)"') do codes[#codes + 1] = name end
      if text:find('"' .. file .. '"', 1, true) then codes[#codes + 1] = file end
    end
    for name in read("csrc/binding/sys.c"):gmatch('bmwi_fail_plain%(L, "(%l+)"') do
      codes[#codes + 1] = name
    end
    present(codes, "`%s`")
  end)

  it("names every command, key and exit code of the command line", function()
    present(names(require("bmwi.cli.commands")), "`bmwi %s")
    present(names(require("bmwi.cli.config").NAMES), "`%s`")
    for _, code in pairs(require("bmwi.cli.fail").EXIT) do present({ code }, "| %d |") end
  end)

  it("names every service", function()
    local services = {}
    for name in read("lua/bmwi/cli/act.lua"):gmatch('service = "([%u_]+)"') do
      services[#services + 1] = name
    end
    assert(#services > 7)
    present(services, "`%s`")
  end)

  it("promises the form of --json", function()
    local promise = readme:match("%*%*With `%-%-json`%*%*.-\n\n|")
    for _, name in ipairs { "lastTrip", "allTrips", "type", "base64", "command", "serviceType",
      "status", "extendedStatus", "sent", "poi", "server", "scope", "expires_at", "token_file",
      "ok", "steps", "detail", "version", "help", "message", "code", "exit", "hint", "api_code",
      "description", "retry_after", "usage", "config", "login", "refused", "declined",
      "interrupted", "internal" } do
      assert.truthy(promise:find("`" .. name .. "`", 1, true), name)
    end
  end)

  for _, state in ipairs { "FINISHED_NOT_FULL", "ERROR", "NOT_CHARGING", "INVALID" } do
    it("has a piece that ends when charging has ended: " .. state, function()
      sim:change(helper.vin, { status = { chargingStatus = state } })
      for _, text in ipairs(marked("lua")) do
        if text:find("until_true", 1, true) then
          local output, code = run_lua(placed(PRELUDE .. text:gsub("8 %* 3600", "1")))
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
    local list = readme:match("`recorded` with one of\n(.-);")
    for name in list:gmatch("`([%w_]+)`") do
      sim:fault { path = "/nowhere", recorded = name } -- raises if it does not know it
    end
  end)

  it("names no target that make does not have, and `make help` lists each", function()
    local pipe = assert(io.popen("env -u MAKEFLAGS -u MFLAGS make help"))
    local help = "\n" .. pipe:read("*a")
    pipe:close()
    for _, before in ipairs { "\n", "sudo ", "`" } do
      for target in readme:gmatch(before .. "make ([%l-]+)") do
        assert.truthy(makefile:find("\n" .. target .. ":", 1, true), target)
        assert.truthy(help:find("\nmake " .. target .. " ", 1, true), target)
      end
    end
  end)

  it("links to what is there", function()
    local anchors = {}
    for heading in readme:gmatch("\n#+ ([^\n]+)") do
      anchors["#" .. heading:lower():gsub("[^%w -]", ""):gsub(" ", "-")] = true
    end
    for target in readme:gmatch("%]%(([^)]+)%)") do
      if target:sub(1, 1) == "#" then
        assert.truthy(anchors[target], target)
      elseif not target:find("^https?:") then
        local file = io.open(target, "rb")
        assert.truthy(file, target)
        file:close()
      end
    end
    local pipe = assert(io.popen("ls examples"))
    local examples = {}
    for file in pipe:lines() do
      if file:find("%.lua$") then examples[#examples + 1] = file end
    end
    pipe:close()
    present(examples, "](examples/%s)")
  end)
end)

describe("CONTRIBUTING.md", function()
  it("names targets and files that are there", function()
    local text, count = read("CONTRIBUTING.md"), 0
    for target in text:gmatch("`make ([%l-]+)") do
      assert.truthy(makefile:find("\n" .. target .. ":", 1, true), target)
    end
    for name in text:gmatch("`([%w_./]+)`") do
      if name:find("^[%w.]+/") and not name:find("NAME") then
        count = count + 1
        assert(io.open(name), name):close()
      end
    end
    assert(count > 15, count)
  end)
end)

describe("SECURITY.md", function()
  it("names tests that are there", function()
    local count = 0
    for row in read("SECURITY.md"):gmatch("\n| [^\n]- | ([^|\n]-) |") do
      for name in row:gmatch("`([^`]+)`") do
        count = count + 1
        local target = name:match("^make (%l+)$")
        assert(target and makefile:find("\n" .. target .. ":", 1, true)
          or io.open("spec/" .. name .. "_spec.lua"), name)
      end
    end
    assert(count > 20, count)
  end)
end)
