-- sys.json: JSON as the command line and bmwi.geo write it.
local bmwi = require("bmwi")
local print_json = bmwi._sys.json

describe("the JSON that is printed", function()
  it("keeps arrays, whole numbers and all digits, with sorted members", function()
    assert.equal('{"a":1234,"b":0.1,"c":-7,"d":51.53053283691406,"e":{},"f":[],"g":true}',
      print_json({ c = -7, b = 0.1, a = 1234.0, d = 51.53053283691406, e = {},
        f = bmwi.json.array(), g = true }))
    assert.equal('[[],{"weekdays":[],"x":{}}]',
      print_json({ bmwi.json.array(), { weekdays = {}, x = {} } }))
  end)

  it("has a line for each member if requested", function()
    assert.equal('{\n  "a": [\n    1,\n    {\n      "b": "x"\n    }\n  ],\n  "c": {},\n'
      .. '  "d": []\n}',
      print_json({ a = { 1, { b = "x" } }, c = {}, d = bmwi.json.array() }, true))
    assert.equal("5", print_json(5, true))
  end)

  it("writes valid strings, whatever came in", function()
    assert.equal('"a\\"\\\\\\n\\u0001\\u007f/\\u0000"', print_json('a"\\\n\1\127/\0'))
    assert.equal('"\195\188 \226\130\172 \240\159\154\151"',
      print_json("\195\188 \226\130\172 \240\159\154\151"))
    for _, broken in ipairs({ "\255", "\195", "\237\160\128", "\192\175", "\240\130\130\172",
      "\224\159\191", "\244\144\128\128", "\226\130", "\128" }) do
      assert.equal('"<' .. ("\239\191\189"):rep(#broken) .. '>"', print_json("<" .. broken .. ">"))
      assert.equal('{"' .. ("\239\191\189"):rep(#broken) .. '":1}', print_json({ [broken] = 1 }))
    end
    assert.equal('"\255\\/"', bmwi.json.encode("\255/"))
  end)

  it("writes null for a number that JSON cannot represent", function()
    assert.equal("[null,null]", print_json({ 1 / 0, -1 / 0 }))
    assert.has_error(function() bmwi.json.encode({ 1 / 0 }) end,
      "a number that is not finite cannot be sent")
  end)

  it("sorts names by their bytes, however many there are", function()
    local object, names = {}, {}
    for i = 1, 3000 do
      names[i] = ("k%d\0%d"):format(i % 7, i)
      object[names[i]] = i
    end
    names[#names + 1], object[""] = "", 0
    names[#names + 1], object["\255"] = "\255", 0
    table.sort(names)
    local at = 1
    local text = bmwi.json.encode(object)
    for _, name in ipairs(names) do
      local first, last = text:find('"' .. name:gsub("%z", "\\u0000") .. '":', at, true)
      assert(first, name)
      at = last
    end
  end)

  it("raises an error for what cannot be JSON", function()
    for _, value in ipairs({ print, coroutine.create(function() end), { [1] = 1, a = 2 },
      { [2.5] = 1 }, { a = print }, setmetatable({}, { __index = {} }) }) do
      assert.has_error(function() print_json(value) end)
    end
    assert.has_error(function() print_json() end)
    local deep = {}
    for _ = 1, 150 do deep = { deep } end
    assert.has_error(function() print_json(deep) end,
      "a table nested too deeply cannot be sent")
  end)

  it("reads back as the same value", function()
    for _, lines in ipairs({ true, false }) do
      local value = { a = { { b = {} }, "x", 1.5, -3, true }, ["c d"] = { e = { f = "\"" } } }
      assert.same(value, bmwi.json.decode(print_json(value, lines)))
    end
  end)
end)
