-- types/*.lua and docs/reference.md: complete, and in agreement with the built module.
local bmwi = require "bmwi"
local docs = require "spec.docs_helper"
local helper = require "spec.helper"
local read = helper.read

local types = dofile(".ci/types.lua")

local interface, answers = types.read("types/bmwi.lua"), types.read("types/answers.lua")
local MODULES = types.MODULES
-- Not for direct use.
local OTHERS = { cli = true, cardata = true }
-- For this module's own files.
local INTERNAL = { attach = true, begin = true, detach = true, fail = true, gate = true,
  open = true, pass = true, wait = true }

local function collect(items)
  local classes, methods = {}, {}
  for _, item in ipairs(items) do
    if item.kind == "function" then
      methods[item.owner] = methods[item.owner] or {}
      methods[item.owner][item.name] = item
    else
      classes[item.name] = item
    end
  end
  return classes, methods
end

local classes, methods = collect(interface)
for name, item in pairs(collect(answers)) do classes[name] = item end

local function fields(name)
  local list = {}
  for _, field in ipairs(classes[name].fields) do list[field.name] = field end
  return list
end

-- The public names of these tables.
local function public(...)
  local set = {}
  for i = 1, select("#", ...) do
    for name in pairs((select(i, ...))) do
      if not name:find("^_") then set[name] = true end
    end
  end
  return helper.names(set)
end

local function functions(t)
  local set = {}
  for name, value in pairs(t) do
    if type(value) == "function" then set[name] = value end
  end
  return set
end

-- "Classic", "CarData", or nil if both services have it.
local function only(text)
  return text:match("^(Classic): ") or text:match("^(CarData): ")
    or text:find("[classic]", 1, true) and "Classic"
    or text:find("[CarData]", 1, true) and "CarData" or nil
end

-- All words that a type accepts, and whether it accepts other strings.
local function words_of(kind)
  local words, open = {}, false
  for _, member in ipairs(types.members(kind)) do
    local alias = classes[member]
    if alias and alias.kind == "alias" then
      for _, word in ipairs(alias.words) do words[word.name] = true end
      open = open or alias.open
    end
    local word = member:match('^"(.*)"$')
    if word then words[word] = true end
    open = open or member == "string"
  end
  return words, open
end

describe("docs/reference.md", function()
  it("is what `make docs` writes", function()
    local written = helper.shell(helper.interpreter .. " .ci/reference.lua")
    assert.is_true(written .. "\n" == read("docs/reference.md"),
      "docs/reference.md is out of date: make docs")
  end)

  it("has a section for each function, class and word list", function()
    local text = read("docs/reference.md")
    for name, item in pairs(classes) do
      if item.kind == "alias" then helper.has(text, "## `" .. name .. "`") end
    end
    for _, list in pairs(methods) do
      for name in pairs(list) do
        assert.truthy(text:find("\n### `[%l_.]*[.:]" .. name .. "%("), name)
      end
    end
  end)
end)

describe("the comments", function()
  it("are rendered by LDoc, each function on the page of its module or class", function()
    local runs = "command -v ldoc >/dev/null && { command -v lua5.1 || command -v lua5.2; }"
    if helper.shell(runs) == "" then
      return pending("ldoc, or the Lua 5.1 or 5.2 that it runs on, is not installed")
    end
    local folder = helper.shell("mktemp -d")
    finally(function() helper.shell("rm -rf '" .. folder .. "'") end)
    assert.equal("", helper.shell((".ci/ldoc '%s/html' 2>&1"):format(folder)))
    local function check(items, rest)
      for _, item in ipairs(items) do
        local owner = item.owner or rest
        local page = read(("%s/html/modules/%s.html"):format(folder,
          owner:find("^bmwi") and owner or rest))
        local parts = item.params or item.fields or item.words
        if (item.kind == "function" or #parts > 0) and not item.name:find("^_") then
          helper.has(page, ('<a name = "%s"></a>'):format(item.name:gsub("^bmwi%.", "")))
          for _, part in ipairs(parts) do
            helper.has(page, ('<span class="parameter">%s</span>'):format(part.name))
          end
        end
      end
    end
    check(interface, "bmwi")
    check(answers, "answers")
    for _, name in ipairs(MODULES) do
      check(types.read("lua/bmwi/" .. name .. ".lua"), "bmwi." .. name)
    end
  end)
end)

describe("the types", function()
  local sim, client, other, car, cardata_car

  setup(function()
    sim = helper.start()
    client = bmwi.new(helper.client(sim))
    car = client:vehicle(helper.vin)
    other = bmwi.new { service = "cardata", client_id = "6b1f5a52-9d2e-4c0f-8a53-1f0c2d3e4b5a",
      base_url = sim.url, login_url = sim.url .. "/gcdm/oauth" }
    cardata_car = other:vehicle(helper.vin)
  end)
  teardown(function()
    client:close()
    other:close()
    sim:stop()
  end)

  it("name each function of the C module, and no other", function()
    assert.same(public(functions(bmwi)), public(methods["bmwi"]))
    assert.same(public(bmwi.base64), public(methods["bmwi.base64"]))
    assert.same(public(bmwi.json), public(methods["bmwi.json"]))
    local loop = {}
    for name, value in pairs(getmetatable(bmwi.loop).__index) do
      if not INTERNAL[name] then loop[name] = value end
    end
    assert.same(public(loop), public(methods["bmwi.loop"]))
    for _, name in ipairs(public(bmwi)) do
      assert.truthy(methods["bmwi"][name] or fields("bmwi")[name], name)
    end
    for name in pairs(bmwi.regions) do
      helper.has(fields("bmwi").regions.text, "`" .. name .. "`")
    end
  end)

  it("name each method of a client and of a car of either service, and no other", function()
    assert.same(public(getmetatable(client).__index, getmetatable(other).__index),
      public(methods["bmwi.client"]))
    assert.same(public(getmetatable(car).__index, getmetatable(cardata_car).__index),
      public(methods["bmwi.car"]))
  end)

  it("name each method of a stream, and no other", function()
    local stream = other:stream()
    assert.same(public(functions(getmetatable(stream).__index)), public(methods["bmwi.stream"]))
    stream:close()
  end)

  it("say which service has a method", function()
    for name, item in pairs(methods["bmwi.car"]) do
      if name ~= "vin" and name ~= "supports" then
        assert.equal(only(item.text) ~= "CarData", car:supports(name), name)
        assert.equal(only(item.text) ~= "Classic", cardata_car:supports(name), name)
      end
    end
    for name, item in pairs(methods["bmwi.client"]) do
      local lacks = ({ Classic = other, CarData = client })[only(item.text)]
      if lacks then helper.fails_as("unsupported", lacks[name](lacks)) end
    end
    assert.equal(0, sim:count())
  end)

  it("describe each argument under its name", function()
    local lists = { interface, answers }
    for _, name in ipairs(MODULES) do
      lists[#lists + 1] = types.read("lua/bmwi/" .. name .. ".lua")
    end
    for _, items in ipairs(lists) do
      for _, item in ipairs(items) do
        if item.kind == "function" and not item.name:find("^_") then
          local described = {}
          for i, param in ipairs(item.params) do described[i] = param.name end
          assert.same(item.arguments, described, item.owner .. "." .. item.name)
          assert.truthy(item.text:find("%S"), item.name)
        end
      end
    end
  end)

  it("are all in the reference, with the comments of the modules", function()
    local set = {}
    for file in helper.shell("ls lua/bmwi"):gmatch("[^\n]+") do
      local name = file:match("^(%l.*)%.lua$")
      if name and not OTHERS[name] then set[name] = true end
    end
    local listed = {}
    for _, name in ipairs(MODULES) do listed[name] = true end
    assert.same(helper.names(set), helper.names(listed))
  end)

  it("and the comments of the modules name exactly their public functions", function()
    for _, name in ipairs(MODULES) do
      local _, described = collect((types.read("lua/bmwi/" .. name .. ".lua")))
      assert.same(public(functions(require("bmwi." .. name))), public(described[name]), name)
    end
    local _, described = collect((types.read("lua/bmwi/store.lua")))
    local store = {}
    for name, value in pairs(getmetatable(require("bmwi.store").memory()).__index) do
      if type(value) == "function" and not name:find("^_") then store[name] = value end
    end
    assert.same(public(store), public(described["bmwi.store"]))
    _, described = collect((types.read("lua/bmwi/async.lua")))
    local task = require("bmwi.async").spawn(function() end)
    assert.same(public(getmetatable(task).__index), public(described["bmwi.task"]))
  end)

  it("name no undefined type", function()
    local known, count = {}, 0
    for name in pairs(classes) do known[name] = true end
    for _, name in ipairs(MODULES) do
      local items = types.read("lua/bmwi/" .. name .. ".lua")
      for _, item in ipairs(items) do known[item.name] = true end
    end
    local paths = { "types/bmwi.lua", "types/answers.lua" }
    for _, name in ipairs(MODULES) do paths[#paths + 1] = "lua/bmwi/" .. name .. ".lua" end
    for _, path in ipairs(paths) do
      for tag, line in read(path):gmatch("\n%-%-%-@(%l+)([^\n]*)") do
        local at = tag == "field" and line:match("^ %S+ (.*)") or tag == "param"
          and line:match("^ %S+ (.*)") or tag == "return" and line:match("^ (.*)")
        for name in (at and types.split(at) or ""):gmatch("bmwi%.[%w_.]*[%w_]") do
          count = count + 1
          assert.is_true(known[name], path .. ": " .. name)
        end
      end
    end
    assert.is_true(count > 100)
  end)

  it("are installed and in the rock", function()
    local files = helper.shell("ls types")
    assert.equal("answers.lua\nbmwi.lua", files)
    helper.has(read("Makefile"), "TYPES := $(wildcard types/*.lua)")
  end)
end)

describe("the options", function()
  local options, rows = fields("bmwi.options"), {}

  for service, list in pairs(bmwi._sys.options()) do
    for _, row in ipairs(list) do
      rows[row.name] = rows[row.name] or {}
      rows[row.name][service] = row
    end
  end

  it("are those of bmwi.new, each of its service", function()
    assert.same(helper.names(rows), helper.names(options))
    for name, of in pairs(rows) do
      local service = of.classic and of.cardata and "both" or of.classic and "Classic" or "CarData"
      assert.equal(service, only(options[name].text) or "both", name)
    end
  end)

  it("have their types, defaults and ranges", function()
    local KINDS = { number = "number", whole = "integer", ["function"] = "^fun%(" }
    for name, of in pairs(rows) do
      for _, row in pairs(of) do
        local text = options[name].text
        if KINDS[row.type] then assert.truthy(options[name].type:find(KINDS[row.type]), name) end
        if row.least then
          helper.has(text, ("default %.14g (%.14g to %.14g)"):format(row.standard, row.least,
            row.most))
        elseif row.standard then
          helper.has(text, '"' .. row.standard:gsub("/%d[%d.]*$", "/VERSION") .. '"')
        end
      end
    end
  end)

  it("accept exactly the words that are listed for them", function()
    local count = 0
    for name, of in pairs(rows) do
      for service, row in pairs(of) do
        if row.type == "choice" and name ~= "service" then
          for word in pairs((words_of(options[name].type))) do
            count = count + 1
            local _, message = pcall(bmwi.new, { service = service, [name] = word })
            assert.falsy(tostring(message):find("option '" .. name .. "'", 1, true), message)
          end
          local _, message = pcall(bmwi.new, { service = service, [name] = "no such word" })
          for word in message:gmatch("'([%w_]+)'[, ][ oe]") do
            assert.is_true(words_of(options[name].type)[word] or word == name, message)
          end
        end
      end
    end
    assert.equal(5, count)
    assert.same({ cardata = true, classic = true }, (words_of(options.service.type)))
  end)
end)

describe("the codes", function()
  it("are exactly those that the sources return", function()
    local codes = { config = true }
    for name in read("csrc/binding/fail.c"):gmatch('%[BMWI_%u[%u_]*%] = {"([%l_]+)"') do
      if name ~= "ok" and name ~= "no_memory" then codes[name] = true end -- never returned
    end
    for name in read("csrc/binding/sys.c"):gmatch('bmwi_fail_plain%(L, "(%l+)"') do
      codes[name] = true
    end
    for name in read("csrc/binding/bmwi.c"):gmatch('bmwi_fail_plain%(L, "(%w+)"') do
      codes[name] = true
    end
    for _, file in ipairs { "wait", "units", "time", "geo", "navigation", "cardata/stream_hub" } do
      local text = read("lua/bmwi/" .. file .. ".lua")
      for name in text:gmatch('code = "([%l_]+)"') do codes[name] = true end
      if text:find('"' .. file .. '"', 1, true) then codes[file] = true end
    end
    assert.same(helper.names(codes), helper.names((words_of("bmwi.code"))))
  end)

  it("are all in docs/errors.md", function()
    local names = helper.names((words_of("bmwi.code")))
    assert.is_true(#names > 25)
    assert.same({}, docs.missing(docs.page("docs/errors.md"), names, "`%s`"))
  end)

  it("come with documented members of info", function()
    local info, source = fields("bmwi.info"), read("csrc/binding/fail.c")
    local body, count = assert(source:match("\nint bmwi_fail%(.-\n}\n")), 0
    for _, pattern in ipairs { 'lua_setfield%(L, %-2, "([%l_]+)"%)', 'set_text%(L, "([%l_]+)"' } do
      for name in body:gmatch(pattern) do
        count = count + 1
        assert.truthy(info[name], name)
        helper.has(docs.page("docs/errors.md"), "`" .. name .. "`")
      end
    end
    -- What the Lua modules add.
    local files = helper.shell("ls lua/bmwi/*.lua lua/bmwi/cardata/*.lua")
    for path in files:gmatch("[^\n]+") do
      for name in read(path):gmatch("%f[%w_]info%.([%l_]+) = ") do
        count = count + 1
        assert.truthy(info[name], path .. ": " .. name)
      end
    end
    assert.is_true(count > 12, count)
  end)
end)

describe("a status", function()
  local status, source = fields("bmwi.status"), read("csrc/service/cardata_fields.c")
  local UNITS = { DISTANCE = "km", VOLUME = "litres", PERCENT = "per cent", MINUTES = "minutes",
    WATT = "W", KWH = "kWh" }
  local _, details = bmwi._values.status({}, { now = 0 })

  -- The rows of the table of fields: member -> its measure and its text.
  local function rows()
    local list, table_text = {}, source:match("bmwi_status_fields%[%] = {\n(.-)\n};")
    table_text = table_text:gsub('OPENING%("(%w+)"', '{"%1", BMWI_MEASURE_WORD, openings')
    for member, measure, rest in (table_text .. "\n  {\""):gmatch(
      '\n  {"(%w+)", BMWI_MEASURE_(%u+)(.-)%f[\n]\n*%f[\n]\n  %f[{]') do
      list[member] = { measure = measure, text = rest }
    end
    return list
  end

  it("has each member that CarData reports, in its unit", function()
    local count = 0
    for member in pairs(details) do
      count = count + 1
      assert.truthy(status[member], member)
      assert.not_equal("Classic", only(status[member].text), member)
      local measure = source:match('{"' .. member .. '", BMWI_MEASURE_(%u+)')
      if UNITS[measure] then
        assert.equal(UNITS[measure], status[member].text:sub(1, #UNITS[measure]), member)
      elseif measure == "BOOLEAN" then
        assert.equal("boolean", status[member].type, member)
      end
    end
    assert.is_true(count > 30)
    for member, field in pairs(status) do
      if only(field.text) ~= "Classic" and member ~= "updateTime" then
        assert.truthy(details[member], member .. " is not marked [classic]")
      end
    end
  end)

  it("has each word that CarData's are mapped to", function()
    local tables, count = {}, 0
    for name, body in source:gmatch("static const bmwi_word ([%l_]+)%[%] = {\n(.-)\n};") do
      tables[name] = {}
      for word in body:gmatch('{"[^"]+", "([%w_]+)"}') do tables[name][word] = true end
    end
    for member, row in pairs(rows()) do
      for name in row.text:gsub('"[^"]*"', ""):gmatch("%f[%w_][%l_]+%f[^%w_]") do
        if tables[name] and row.measure == "WORD" then
          local words, open = words_of(status[member].type)
          assert.is_true(open, member)
          for word in pairs(tables[name]) do
            count = count + 1
            assert.is_true(words[word], member .. ": " .. word)
          end
        end
      end
    end
    assert.is_true(count > 40, count)
  end)

  it("has the reasons why a member is absent", function()
    local reasons = {}
    local text = read("csrc/service/cardata_values.c")
    for word in text:gmatch('%[BMWI_REASON_[%u_]+%] = {"([%l_]+)"') do
      reasons[word] = true
    end
    assert.same(helper.names(reasons), helper.names((words_of("bmwi.absence"))))
    for _, detail in pairs(details) do
      for name in pairs(detail) do assert.truthy(fields("bmwi.detail")[name], name) end
    end
  end)
end)

describe("an answer of the classic service", function()
  local sim, client, car

  setup(function()
    sim = helper.start()
    client = bmwi.new(helper.client(sim))
    car = client:vehicle(helper.vin)
  end)
  teardown(function()
    client:close()
    sim:stop()
  end)

  -- Each member is described, with its type and its words; nested members as well.
  local function check(class, value)
    for name, member in pairs(value) do
      local field = fields(class)[name]
      assert.truthy(field, class .. ": " .. name)
      assert.not_equal("CarData", only(field.text), name)
      local words, open = words_of(field.type)
      local inner, array = field.type:match("^(bmwi[%w_.]+)(%[?%]?)$")
      local kind = type(member) == "number" and "number" or type(member)
      if inner and classes[inner].kind == "class" then
        for _, part in ipairs(array == "[]" and member or { member }) do check(inner, part) end
      elseif kind == "string" then
        assert.is_true(open or words[member] or field.type == "any", name .. " = " .. member)
      else
        helper.has(field.type:gsub("integer", "number"):gsub("[{%[%]]+", "table"), kind)
      end
    end
  end

  for method, class in pairs { status = "bmwi.status", last_trip = "bmwi.trip",
    all_trips = "bmwi.trips", charging_profile = "bmwi.charging_profile",
    range_map = "bmwi.range_map", navigation = "bmwi.navigation_data" } do
    it("has only documented members: " .. method, function()
      local answer = assert(car[method](car))
      assert.truthy(next(answer))
      check(class, answer)
    end)
  end

  it("has only documented members: lists, a command", function()
    check("bmwi.vehicle", assert(client:vehicles())[1])
    check("bmwi.destination", assert(car:destinations())[1])
    check("bmwi.execution", assert(car:lock_doors()))
    check("bmwi.execution", assert(car:execution("DOOR_LOCK")))
  end)

  it("has a documented request", function()
    local source, poi = read("csrc/service/classic.c"), {}
    local rows = source:match("poi_members%[%] = {\n(.-)\n};")
    for name in rows:gmatch('%.name = "(%w+)"') do poi[name] = true end
    assert.same(helper.names(poi), helper.names(fields("bmwi.poi")))
    for _, service in ipairs(helper.names((words_of("bmwi.service_name")))) do
      helper.has(source, '"' .. service .. '"')
      helper.has(docs.page("docs/waiting.md"), "`" .. service .. "`")
    end
  end)
end)
