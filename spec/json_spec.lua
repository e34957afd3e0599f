--- How responses are decoded into Lua, and tables encoded into requests. The simulator's responses
--- are replaced if they do not contain what a spec needs.
local helper = require("spec.helper")
local bmwi = require("bmwi")

local VIN = helper.vin
local ANY = "/webapi/v1/user/vehicles" -- where a fault puts whatever a test wants
local math_type = rawget(math, "type")

-- Nested JSON arrays of this depth.
local function nested(depth)
  return ("["):rep(depth) .. ("]"):rep(depth)
end

describe("bmwi.json", function()
  local json = bmwi.json

  -- A decoded text, with integers, floats, arrays and objects kept apart.
  local function shown(value)
    if type(value) ~= "table" then return tostring(value) end
    local list, array = {}, json.is_array(value)
    for key, member in pairs(value) do
      list[#list + 1] = array and shown(value[#list + 1]) or key .. "=" .. shown(member)
    end
    if not array then table.sort(list) end
    return (array and "[%s]" or "{%s}"):format(table.concat(list, ","))
  end

  local function check_all(cases)
    for text, expected in pairs(cases) do
      assert.equal(expected, shown(json.decode(text)), text)
      -- A text of this length is looked through before its tables are.
      assert.equal(expected, shown(json.decode(text .. (" "):rep(70000))), text)
    end
  end

  it("decodes like responses", function()
    assert.same({ a = { 1, 2.5 }, b = {} }, json.decode('{"a":[1.0,null,2.5],"b":{},"c":null}'))
    assert.equal("1", tostring(json.decode("[1]")[1]))
    assert.same({}, json.decode("\239\187\191{}"))
    assert.equal("x", json.decode('"x"'))
  end)

  it("amends values wherever they are", function()
    check_all {
      ['[0.5,[1,[2,null,3],"x",4],{"a":[5]},6,null,[[],7]]'] =
        "[0.5,[1,[2,3],x,4],{a=[5]},6,[[],7]]",
      ['{"a":{"b":{},"c":{"d":1},"e":2},"f":[],"g":3}'] = "{a={b={},c={d=1},e=2},f=[],g=3}",
      [' {\r\n"a" : [ 1 ,\tnull , { "b" : 2 } ] , "c" : null , "d" : [ ] , "e" : { } } \n'] =
        "{a=[1,{b=2}],d=[],e={}}",
      [ [[{"a":"\"}]{[,","b":1,"c":"\\","d":2,"e":"x\\\"","f":[null],"g":"null"}]] ] =
        [[{a="}]{[,,b=1,c=\,d=2,e=x\",f=[],g=null}]],
    }
  end)

  it("amends members whose names have escapes", function()
    local text = [["\u0061":1,"b\"":[2,null],"c\\":{"d\/":3,"e":null},"\n":null,]] ..
      [["f\\\\":1.5,"f\\":4]]
    check_all {
      ["{" .. text .. "}"] = [[{a=1,b"=[2],c\={d/=3},f\=4,f\\=1.5}]],
      [ [[{"\u0061":{"b\\":[],"c\"d":{"e\\":[],"e\\\\":{}}}}]] ] =
        [[{a={b\=[],c"d={e\=[],e\\={}}}}]],
    }
  end)

  it("amends the last of the members with the same name", function()
    check_all {
      ['{"a":{"x":1},"a":5}'] = "{a=5}",
      ['{"a":{"x":1,"y":[2],"z":{"b":[],"c":{}}},"a":0.5}'] = "{a=0.5}",
      ['{"a":5,"a":{"x":1,"y":[2,null]}}'] = "{a={x=1,y=[2]}}",
      ['{"a":{"b":{"c":1}},"a":{"b":{"c":null,"d":2}}}'] = "{a={b={d=2}}}",
      ['{"a":null,"a":[1]}'] = "{a=[1]}",
      ['{"a":[1],"a":null}'] = "{}",
      ['{"a":[1,2],"a":{"x":1}}'] = "{a={x=1}}",
      ['{"a":[1],"a":[null,2]}'] = "{a=[2]}",
      ['{"a":[null,2],"a":[1]}'] = "{a=[1]}",
      ['{"a":[],"a":{}}'] = "{a={}}",
      ['{"a":{},"a":[]}'] = "{a=[]}",
      ['{"a":[1],"a":{"x":null}}'] = "{a={}}",
      ['{"a":{"x":null},"a":[3],"a":{"x":null}}'] = "{a={}}",
      -- The second array's places count until the text ends, though the first one has a gap.
      ['{"a":[null,1.5,2.5,3.5],"a":[null,7,"x",[8,null]]}'] = "{a=[7,x,[8]]}",
      ['{"a":1e999,"a":1}'] = "{a=1}",
    }
    local got = json.decode('{"a":[1,2],"a":{"x":1}}')
    got.a.x = nil
    assert.is_false(json.is_array(got.a))
  end)

  it("makes whole numbers integers, however they are written", function()
    local whole = { ["7"] = 7, ["-7"] = -7, ["-0"] = 0, ["7.0"] = 7, ["-7.000"] = -7, ["0.0"] = 0,
      ["1e3"] = 1000, ["1.5E1"] = 15, ["150e-1"] = 15, ["1e-400"] = 0,
      ["9007199254740992"] = 2 ^ 53, ["0.99999999999999999999"] = 1,
      ["7.00000000000000000001"] = 7, ["12345678901234567.5e-1"] = 1234567890123456.75,
      ["999999999999999.999"] = 1e15, ["4503599627370497.1"] = 4503599627370497 }
    local large = "[" .. ("0.5,"):rep(500) .. "%s]" .. (" "):rep(70000)
    for text, number in pairs(whole) do
      local expected = number == math.floor(number) and ("%.0f"):format(number) or tostring(number)
      local alone, last = json.decode("[" .. text .. "]")[1], json.decode(large:format(text))[501]
      for _, got in ipairs { alone, last } do
        assert.equal(number, got, text)
        if math_type then assert.equal(expected, tostring(got), text) end
      end
    end
    for _, text in ipairs { "0.5", "-7.25", "7.000000000000001", "0.9999999999999999", "0.999",
      "99999999999999.98", "9007199254740994", "1e16", "12345678901234567890", "5e-324" } do
      local got = json.decode("[" .. text .. "]")[1]
      assert.equal(tonumber(text) + 0.0, got, text)
      if math_type then assert.equal("float", math_type(got), text) end
    end
  end)

  it("amends the innermost of 100 levels, and refuses one more", function()
    for open, close in pairs { ["["] = "]", ['{"a":'] = "}" } do
      local got = json.decode(open:rep(100) .. "7.0" .. close:rep(100))
      for _ = 1, 100 do
        assert.equal(open == "[", json.is_array(got))
        got = got.a or got[1]
      end
      assert.equal("7", tostring(got))
      assert.is_nil(json.decode(open:rep(101) .. "7.0" .. close:rep(101)))
    end
    assert.equal(nested(100), json.encode(json.decode(nested(100))))
    assert.is_nil(json.decode(nested(101)))
  end)

  it("skips nothing but large arrays that can stay as they are", function()
    local plain = ("0.5,"):rep(500) .. '{"b":-1.25,"c":["x"],"d":true}'
    local stays = plain:gsub("%[.-%]", '"[1,null"')
    local shows = ("0.5,"):rep(500) .. "{b=-1.25,c=[1,null,d=true}"
    local cases = {
      ["[" .. plain .. "]"] = "[" .. ("0.5,"):rep(500) .. "{b=-1.25,c=[x],d=true}]",
      ["[" .. stays .. "]"] = "[" .. shows .. "]",
      ["[[],[" .. stays .. ",[]],[" .. stays .. "],[7,null]]"] =
        "[[],[" .. shows .. ",[]],[" .. shows .. "],[7]]",
      ['{"a":[' .. stays .. ',7.0],"b":[' .. stays .. ",null]}"] =
        "{a=[" .. shows .. ",7],b=[" .. shows .. "]}",
      ["[" .. stays .. ',{"\\u0061\\"":[' .. stays .. "]},1]"] =
        "[" .. shows .. ',{a"=[' .. shows .. "]},1]",
      -- Of these two arrays the second one is decoded.
      ['{"a":[' .. stays .. '],"a":[1,null,[2]]}'] = "{a=[1,[2]]}",
      ['{"a":[' .. stays .. '],"a":{"b":[null]}}'] = "{a={b=[]}}",
      ['{"a":[' .. stays .. '],"a":{}}'] = "{a={}}",
      ['{"a":[' .. stays .. '],"a":[0.5,1e1]}'] = "{a=[0.5,10]}",
      ['{"a":{"b":[' .. stays .. ']},"a":{"b":[{"c":null}]}}'] = "{a={b=[{}]}}",
    }
    check_all(cases)
    local value = json.decode("[" .. plain .. ",[0.5]]" .. (" "):rep(70000))
    local inner = table.remove(value)
    inner[1] = nil
    assert.is_true(json.is_array(inner))
    for _, number in ipairs { "1e999", "-1E+400", ("9"):rep(400) } do
      assert.is_nil(json.decode("[" .. stays .. "," .. number .. "]" .. (" "):rep(70000)))
    end
  end)

  it("leaves the integers of a lua-cjson that makes them", function()
    if not math_type then return pending("this Lua has no integers") end
    local said = helper.program([[
      local cjson = require "cjson"
      package.loaded.cjson = { new = function()
        return { decode = function(text)
          local value = cjson.decode(text)
          value.a, value.b = math.maxinteger, 7
          return value
        end }
      end }
      local value = require("bmwi").json.decode('{"a":0,"b":7,"c":8.0,"d":[1e2,null],"e":null}')
      print(value.a == math.maxinteger, value.b, value.c, value.d[1], #value.d, value.e)]])
    assert.equal("true\t7\t8\t100\t1\tnil\n", said)
  end)

  it("reports invalid JSON", function()
    for _, text in ipairs({ "", "{", "[1,]", "[1e999]", "1e999", " -1e999 ", "nil" }) do
      local value, message, code = json.decode(text)
      assert.is_nil(value)
      assert.is_string(message)
      assert.equal("json", code)
    end
  end)

  it("encodes what it has decoded", function()
    for _, text in ipairs({ "[]", "{}", '{"a":[],"b":{}}', "[[],[[]],{}]", "[1,2.5,-0.0000003]",
      '"[]"', "true", "7" }) do
      assert.equal(text, json.encode(json.decode(text)))
    end
  end)

  it("distinguishes arrays from objects", function()
    local read = json.decode('{"a":[],"b":{},"c":[1]}')
    assert.is_true(json.is_array(read.a))
    assert.is_false(json.is_array(read.b))
    assert.is_true(json.is_array(read.c))
    assert.is_false(json.is_array(read))
    assert.is_false(json.is_array({}))
    local own = {}
    assert.equal(own, json.array(own))
    assert.is_true(json.is_array(own))
  end)

  it("raises for values that it cannot encode", function()
    for _, name in ipairs({ "decode", "array", "is_array", "encode" }) do
      assert.has_error(function() json[name](print) end)
      assert.has_error(function() json[name](io.stdout) end)
    end
    assert.has_error(function() json.encode() end)
    assert.has_error(function() json.encode({ 1, a = 2 }) end)
  end)

  it("keeps no reference to collected tables", function()
    local keep = setmetatable({}, { __mode = "k" })
    for _ = 1, 100 do keep[json.decode("[[]]")] = true end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(keep))
  end)
end)

describe("a response", function()
  local sim, client, car

  setup(function()
    sim = helper.start({ args = { "--speed", "200" } })
  end)

  teardown(function()
    sim:stop()
  end)

  before_each(function()
    sim:reset()
    client = bmwi.new(helper.client(sim, { retries = 0 }))
    client:login()
    car = client:vehicle(VIN)
  end)

  after_each(function()
    client:close()
  end)

  -- Calls with another body under HTTP 200.
  local function with_body(body, call, ...)
    sim:fault({ path = "/", raw = body })
    return call(...)
  end

  -- The decoded value of a JSON text, read through client:get.
  local function value(text)
    local answer, message = with_body('{"value":' .. text .. "}", client.get, client, ANY)
    assert.is_table(answer, message)
    return answer.value
  end

  local function not_json(body, call, ...)
    local answer, message, code, info = with_body(body, call, ...)
    assert.is_nil(answer, body:sub(1, 60))
    assert.equal("json", code, message)
    assert.equal(200, info.status)
    assert.is_false(info.retryable)
  end

  local function list_of(body)
    return with_body(body, client.vehicles, client)
  end

  describe("has numbers", function()
    it("that are integers if Lua has them, and floats that stay floats", function()
      local status = car:status()
      assert.equal(1234, status.mileage)
      assert.equal("1234", tostring(status.mileage))
      assert.equal(8.9, status.remainingFuel)
      assert.equal(51.123456, status.position.lat)
      assert.equal(-1.2345678, status.position.lon)
      assert.equal(211, status.position.heading)
      local trips = car:all_trips()
      assert.equal(200, trips.chargecycleRange.communityHigh)
      assert.equal(121.58, trips.chargecycleRange.communityAverage)
      assert.equal(0, trips.totalSavedFuel)
      if math_type then
        assert.equal("integer", math_type(status.mileage))
        assert.equal("integer", math_type(status.position.heading))
        assert.equal("integer", math_type(trips.chargecycleRange.communityHigh))
        assert.equal("float", math_type(status.remainingFuel))
        assert.equal("float", math_type(status.position.lat))
      end
      assert.equal("number", type(status.mileage))
    end)

    it("of every form JSON has", function()
      local numbers = { ["0"] = 0, ["-0"] = 0, ["-7"] = -7, ["9.0"] = 9, ["1e3"] = 1000,
        ["25E-1"] = 2.5, ["-1.5e+2"] = -150, ["9007199254740991"] = 9007199254740991,
        ["-9007199254740991"] = -9007199254740991, ["0.1"] = 0.1, ["1e300"] = 1e300,
        ["51.53053283691406"] = 51.53053283691406, ["5e-324"] = 5e-324, ["1.50"] = 1.5,
        ["0.99999999999999999999"] = 1 }
      for text in pairs(numbers) do
        local got = value("[0.5," .. text .. ",-1.25]") -- one at a time, among plain fractions
        assert.same({ 0.5, -1.25 }, { got[1], got[3] })
        assert.equal(numbers[text], got[2], text)
        if math_type then
          local number = numbers[text]
          local whole = number == math.floor(number) and math.abs(number) < 2 ^ 53
          assert.equal(whole and "integer" or "float", math_type(got[2]), text)
        end
      end
    end)

    for _, locale in ipairs(helper.locales) do
      it("that are read with a decimal point under " .. locale, function()
        if not os.setlocale(locale, "numeric") then return pending("there is no " .. locale) end
        local ok, message = pcall(function()
          local status, why = car:status()
          assert.is_table(status, why)
          assert.is_true(status.position.lat * 1000000 == 51123456)
          assert.is_true(status.remainingFuel * 10 == 89)
        end)
        os.setlocale("C", "numeric")
        if not ok then error(message, 0) end
      end)

      -- lua-cjson keeps using the decimal point that is current when it is loaded.
      for name, before in pairs({
        ["after bmwi was loaded"] = 'local bmwi = require "bmwi" os.setlocale(LOCALE)',
        ["before"] = 'os.setlocale(LOCALE) local bmwi = require "bmwi"',
        ["after lua-cjson was, but before bmwi"] =
          'require "cjson" os.setlocale(LOCALE) local bmwi = require "bmwi"',
      }) do
        it("and written so if a host sets " .. locale .. " " .. name, function()
          if not os.setlocale(locale, "numeric") then return pending("there is no " .. locale) end
          os.setlocale("C", "numeric")
          local said = helper.program(('local LOCALE = "%s"\n'):format(locale) .. before .. [[

            local text = bmwi.json.encode({ a = 0.5, b = { 1e-7, -2.25 } })
            local value = bmwi.json.decode(text)
            print(text, value.a * 2 == 1 and value.b[2] * 4 == -9, #("%.1f"):format(0.5))
          ]])
          assert.matches('^{"a":0.5,"b":%[0%.0000001,%-2.25%]}\ttrue\t[34]\n$', said)
        end)
      end
    end

    it("that are finite: a larger one makes it invalid", function()
      for _, number in ipairs({ "1e999", "-1e999", "NaN", "Infinity", "-Infinity", "nan", "inf",
        "0x10", ("9"):rep(400) .. ".5" }) do
        not_json('{"value":' .. number .. "}", client.get, client, ANY)
        not_json('{"value":[{"a":' .. number .. "}]}", client.get, client, ANY)
      end
    end)
  end)

  describe("has members", function()
    it("that are absent when they are null, absent or not reported (trap 11)", function()
      sim:change(VIN, { status = { chargingTimeRemaining = helper.json.null, mileage = 0 } })
      local status = car:status()
      assert.is_nil(status.chargingTimeRemaining)
      assert.equal(0, status.mileage)
      assert.same({ a = 0.5 }, value('{"a":0.5,"b":null}'))
      local got = value('{"a":null,"b":{"c":null},"d":[1,null,3]}')
      assert.is_nil(next(got.b))
      assert.is_nil(got.a)
      assert.same({ 1, 3 }, got.d)
    end)

    it("that leave no gaps in arrays when they are null", function()
      assert.same({ 1, 3 }, value("[null,1,null,3,null]"))
      assert.same({ { 1 }, { a = {} } }, value('[[null,1],null,{"a":[null]}]'))
      assert.same({}, value("[null,null]"))
      local list = list_of('{"vehicles":[null,{"vin":"x"},null,{"vin":"y"}]}')
      assert.equal(2, #list)
      assert.equal("x", list[1].vin)
      assert.equal("y", list[2].vin)
    end)

    it("with the service's own names and words, known or not (traps 9, 10, 13, 14)", function()
      sim:change(VIN, { status = { updateReason = "CHARGIN_STARTED", sunroof = "OPEN_TILT",
        connectionStatus = "SOMETHING_NEW", newMember = { deep = { "x", 1 } },
        ["DCS_CCH_Ongoing "] = false, internalDataTimeUTC = "2020-07-25T12:27:43+0000" } })
      local status = car:status()
      assert.equal("CHARGIN_STARTED", status.updateReason)
      assert.equal("OPEN_TILT", status.sunroof)
      assert.equal("SOMETHING_NEW", status.connectionStatus)
      assert.same({ deep = { "x", 1 } }, status.newMember)
      assert.equal(false, status["DCS_CCH_Ongoing "])
      assert.equal("2020-07-25T12:27:43+0000", status.internalDataTimeUTC)
      assert.equal("2015-10-30T18:45:04+0100", status.updateTime)
      assert.equal("2015-12-01T20:44:00+0100", car:last_trip().date)
      assert.equal("1970-01-01T01:00:00+0100", car:all_trips().resetDate)
      assert.equal(45, status.remainingRangeElectricMls)
      assert.equal("1560", car:navigation().vehicleMass)
    end)

    it("that are fewer for some cars (trap 12)", function()
      local status = with_body('{"vehicleStatus":{"vin":"' .. VIN ..
        '","position":{"status":"DRIVER_DISABLED"}}}', car.status, car)
      assert.same({ vin = VIN, position = { status = "DRIVER_DISABLED" } }, status)
      assert.is_nil(status.position.lat)
    end)

    it("once each: of two with the same name the last one counts", function()
      assert.equal(2, value('{"a":1,"a":2}').a)
    end)
  end)

  describe("has strings", function()
    it("with every escape", function()
      assert.equal('"\\/\b\f\n\r\t', value([["\"\\\/\b\f\n\r\t"]]))
      assert.equal("é€🚗", value([["\u00e9\u20ac\ud83d\ude97"]]))
      assert.equal("é€🚗", value('"é€🚗"'))
    end)

    it("with a NUL inside", function()
      local text = value([["a\u0000b"]])
      assert.equal(3, #text)
      assert.equal("a\0b", text)
    end)

    it("with bytes that are not UTF-8, as they came", function()
      -- No JSON library sends this, so a file is served unchanged.
      local folder = os.tmpname()
      os.remove(folder)
      local path = folder .. "/webapi/v1/user/vehicles/" .. VIN
      local pipe = io.popen("mkdir -p '" .. path .. "' && pwd")
      local here = pipe:read("*l")
      pipe:close()
      local body = '{"vehicleStatus":{"street":"Stra\223e \255\192\128","mileage":7}}'
      local file = assert(io.open(path .. "/status", "wb"))
      file:write("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " .. #body ..
        "\r\nConnection: close\r\n\r\n" .. body)
      file:close()
      local certs = helper.certs():gsub("^[^/]", here .. "/%0")
      pipe = io.popen("cd '" .. folder .. "' && exec timeout 60 openssl s_server -HTTP " ..
        "-naccept 1 -accept 127.0.0.1:0 -cert '" .. certs .. "/server.pem' -key '" .. certs ..
        "/server.key' 2>&1")
      local port
      for line in pipe:lines() do
        port = line:match("^ACCEPT.*:(%d+)$")
        if port then break end
      end
      local other = bmwi.new({ base_url = "https://127.0.0.1:" .. port, retries = 0,
        ca_file = certs .. "/ca.pem", token = { access_token = "x" } })
      local status, message = other:vehicle(VIN):status()
      pipe:close()
      other:close()
      os.execute("rm -r '" .. folder .. "'")
      assert.is_table(status, message)
      assert.equal("Stra\223e \255\192\128", status.street)
      assert.equal(7, status.mileage)
    end)
  end)

  describe("is returned without its envelope", function()
    it("and without other members beside it", function()
      local status = with_body('{"DCS_CCH_Activation":"NA","vehicleStatus":{"mileage":7}}',
        car.status, car)
      assert.same({ mileage = 7 }, status)
    end)

    it("whether the list has one or not (trap 1)", function()
      local in_object = client:vehicles()
      sim:config({ list = "array" })
      local bare = client:vehicles()
      assert.same(in_object, bare)
      assert.equal(1, #bare)
      assert.equal(VIN, bare[1].vin)
      assert.equal("NOT_SUPPORTED", bare[1].chargeNow)
      assert.same({ "AC_LOW", "AC_HIGH", "DC" }, bare[1].supportedChargingModes)
      assert.same({}, list_of('{"vehicles":[]}'))
      assert.same({}, list_of("[]"))
      assert.equal("x", list_of(' \r\n\t[{"vin":"x"}]')[1].vin)
    end)

    it("but a charging profile keeps its root", function()
      local profile = car:charging_profile()
      assert.equal("05:02", profile.weeklyPlanner.preferredChargingWindow.startTime)
      assert.same({ "MONDAY" }, profile.weeklyPlanner.timer1.weekdays)
      assert.same({}, profile.weeklyPlanner.timer3.weekdays)
      assert.same({ twoTimesTimer = { timer1 = {} } },
        with_body('{"twoTimesTimer":{"timer1":{}}}', car.charging_profile, car))
    end)

    it("empty, when it is", function()
      assert.same({}, with_body('{"lastTrip":{}}', car.last_trip, car))
      assert.same({}, with_body('{"allTrips":{}}', car.all_trips, car))
      assert.same({}, with_body('{"rangemap":{}}', car.range_map, car))
      assert.same({}, with_body('{"destinations":[]}', car.destinations, car))
    end)
  end)

  it("is made of plain tables without metatables", function()
    local function check(t)
      assert.is_nil(getmetatable(t))
      for _, v in pairs(t) do
        assert.not_equal("userdata", type(v))
        if type(v) == "table" then check(v) end
      end
    end
    check(client:vehicles())
    for _, name in ipairs({ "status", "last_trip", "all_trips", "charging_profile",
      "destinations", "range_map", "navigation" }) do
      check(assert(car[name](car)))
    end
    check(value('{"a":[],"b":{},"c":[[]],"d":null}'))
    check(car:lock_doors())
    check(car:execution("DOOR_LOCK"))
  end)

  describe("of the wrong kind is an error", function()
    it("for an object in an envelope", function()
      for _, body in ipairs({ "null", "42", '"x"', "true", "[]", "[1]", "{}",
        '[{"vehicleStatus":{}}]', '{"vehicleStatus":null}', '{"vehicleStatus":[1]}',
        '{"vehicleStatus":"x"}', '{"vehicleStatus":7}', '{"vehiclestatus":{}}',
        '{"lastTrip":{}}' }) do
        not_json(body, car.status, car)
      end
      for method, envelope in pairs({ last_trip = "lastTrip", all_trips = "allTrips",
        range_map = "rangemap" }) do
        not_json('{"' .. envelope .. '":[{}]}', car[method], car)
        not_json("[]", car[method], car)
      end
      car:lock_doors()
      not_json('{"executionStatus":[{}]}', car.execution, car, "DOOR_LOCK")
    end)

    it("for an object without an envelope", function()
      for _, body in ipairs({ "null", "42", '"x"', "[]", '[{"weeklyPlanner":{}}]' }) do
        not_json(body, car.charging_profile, car)
        not_json(body, car.navigation, car)
      end
    end)

    it("for an array", function()
      for _, body in ipairs({ "null", "42", '"x"', "{}", '{"vin":"x"}', '{"vehicles":null}',
        '{"vehicles":"x"}', '{"vehicles":{"vin":"x"}}' }) do
        not_json(body, client.vehicles, client)
      end
      not_json('{"destinations":{"lat":1}}', car.destinations, car)
    end)

    it("for a picture", function()
      for _, body in ipairs({ "", "{}", "<html></html>", "\127PNG", "GIF89a" }) do
        not_json(body, car.image, car)
      end
    end)

    it("for anything", function()
      for _, body in ipairs({ "null", "42", '"x"', "true" }) do
        not_json(body, client.get, client, ANY)
      end
    end)

    it("for a command, whose outcome is then unknown", function()
      local bodies = { "", "null", "{}", "[]", '{"executionStatus":null}', "<html>",
        -- No event could be distinguished from an earlier command's.
        '{"executionStatus":{"serviceType":"DOOR_LOCK","status":"INITIATED"}}',
        '{"executionStatus":{"status":"INITIATED","eventId":7}}' }
      for _, body in ipairs(bodies) do
        local execution, message, code, info = with_body(body, car.lock_doors, car)
        assert.is_nil(execution)
        assert.equal("unknown", code, message)
        assert.equal(200, info.status)
        assert.is_false(info.retryable)
      end
      assert.equal(#bodies, sim:car().posts.DOOR_LOCK)
    end)

    it("for a point of interest, whose response is empty (trap 2)", function()
      local poi = { lat = 48, lon = 11 }
      assert.is_true(car:send_poi(poi))
      sim:fault({ path = "/sendpoi", status = 200, body = "<html>Please log in</html>" })
      local sent, _, code = car:send_poi(poi)
      assert.is_nil(sent)
      assert.equal("unknown", code)
    end)
  end)

  describe("that is not JSON is an error", function()
    it("when it is HTML under 200", function()
      sim:fault({ path = "/status", raw = "<html><body>Log in, please</body></html>",
        content_type = "text/html" })
      local status, message, code, info = car:status()
      assert.is_nil(status)
      assert.equal("json", code)
      assert.equal(200, info.status)
      assert.equal("status failed: the response is not JSON", message)
      assert.truthy(info.hint:find("base_url", 1, true), info.hint)
    end)

    it("when it is broken, empty or binary", function()
      for _, body in ipairs({ "", " ", "{", "}", '{"vehicleStatus":{}', '{"vehicleStatus":{}}}',
        '{"vehicleStatus":{}} x', '{"vehicleStatus":{},}', "{'vehicleStatus':{}}", "undefined",
        '{"vehicleStatus":{"a":"\\x"}}', "{vehicleStatus:{}}" }) do
        not_json(body, car.status, car)
      end
      sim:fault({ path = "/status", pad = 4096 }) -- zeros
      assert.equal("json", (select(3, car:status())))
    end)

    it("but not for a byte order mark", function()
      local mark = "\239\187\191"
      assert.same({ mileage = 7 }, with_body(mark .. '{"vehicleStatus":{"mileage":7}}',
        car.status, car))
      assert.equal("x", list_of(mark .. '[{"vin":"x"}]')[1].vin)
      not_json(mark, car.status, car)
      not_json(mark .. mark .. '{"vehicleStatus":{}}', car.status, car)
    end)

    it("when it is nested too deeply, without harm", function()
      local got = value(nested(50))
      for _ = 1, 49 do got = got[1] end
      assert.same({}, got)
      for _, depth in ipairs({ 1000, 100000 }) do
        not_json(nested(depth), client.get, client, ANY)
        not_json(("["):rep(depth), client.get, client, ANY)
        not_json(('{"a":'):rep(depth), client.get, client, ANY)
      end
    end)
  end)

  describe("that is an error of the service", function()
    it("is classified by its HTTP status and code, not by the 500 inside (trap 8)", function()
      local recorded = {
        dlat_missing = { 400, "http", "A-101" },
        service_forbidden = { 403, "forbidden", "A-2013" },
        no_status = { 404, "not_found", "A-2012" },
        bad_profile = { 400, "http", "A-102" },
        server_panic = { 500, "server", "I-300" },
      }
      for name, expected in pairs(recorded) do
        sim:fault({ path = "/status", recorded = name })
        local status, _, code, info = car:status()
        assert.is_nil(status)
        assert.equal(expected[2], code, name)
        assert.equal(expected[1], info.status)
        assert.equal(expected[3], info.api_code)
        assert.equal(name == "server_panic", info.retryable)
        assert.matches("^%(SmartPhoneUtil%-", info.description)
      end
    end)

    it("may be an object, a string, HTML or empty (trap 8)", function()
      local bodies = { '{"error":"x","error_description":"y"}', '{"error":"x"}', '{"error":true}',
        '{"error":{"code":500}}', '{"error":{"description":7}}', '{"error":null}', '{"errors":[]}',
        "[]", "[1]", "null", "7", "<html>", "", "\239\187\191{}", nested(5000),
        '{"statusCode":404}' }
      for _, body in ipairs(bodies) do
        sim:fault({ path = "/status", status = 404, body = body })
        local status, message, code, info = car:status()
        assert.is_nil(status)
        assert.equal("not_found", code)
        assert.equal(404, info.status)
        assert.is_nil(info.api_code)
        assert.is_string(message)
      end
      sim:fault({ path = "/status", status = 404, body = bodies[1] })
      assert.equal("x: y", (select(4, car:status())).description)
    end)
  end)

  describe("and a request", function()
    local function sent_profile()
      local fields
      for _, request in ipairs(sim:log()) do
        if request.method == "POST" and request.path:find("executeService", 1, true) then
          fields = helper.form(request.body)
        end
      end
      return fields.data
    end

    local function sent_poi(poi)
      assert.is_true(car:send_poi(poi))
      local log = sim:log()
      return helper.form(log[#log].body).data
    end

    it("keeps empty arrays empty arrays when a profile is read, changed and sent", function()
      local profile = car:charging_profile()
      profile.weeklyPlanner.timer1.weekdays = {}
      profile.weeklyPlanner.timer1.departureTime = "06:15"
      assert.is_table(car:set_charging_profile(profile))
      local text = sent_profile()
      assert.equal(2, select(2, text:gsub('"weekdays":%[%]', "")), text)
      assert.is_nil(text:find("{}", 1, true))
      local decoded = helper.json.decode(text)
      profile.weeklyPlanner.timer1.weekdays = {}
      assert.same(profile, decoded)
      bmwi.sleep(0.1)
      assert.same(profile, car:charging_profile())
    end)

    -- A profile with an unknown member, given as JSON text.
    local function profile_with(text)
      sim:fault({ path = "/chargingprofile", raw = '{"twoTimesTimer":{"timer1":{},"timer2":{},' ..
        '"new":[' .. text .. "]}}" })
      return assert(car:charging_profile())
    end

    local function sent_new(profile)
      assert(car:set_charging_profile(profile))
      return (sent_profile():match('"new":%[(.*)%],"timer1"'))
    end

    it("keeps empty arrays and empty objects of any name apart", function()
      for sent, text in pairs({
        ["[]"] = "[]",
        ["{}"] = "{}",
        ["[[],{},[[]]]"] = " [ [ ] , { }, [[\r\n\t]]]",
        ['{"a":[],"b":{},"c":"[] [","d":"\\\"[]"}'] = '{"a":[],"b":{},"c":"[] [","d":"\\"[]"}',
        ['{"a":[]}'] = '{"a":[null],"b":null}',
      }) do
        local profile = profile_with(text)
        profile.twoTimesTimer.climatizationEnabled = true
        assert.equal(sent, sent_new(profile), text)
      end
    end)

    it("keeps arrays that were emptied or filled as arrays", function()
      local profile = profile_with('{"a":[1,2],"b":[],"c":[[1]],"d":[]}')
      local new = profile.twoTimesTimer.new[1]
      table.remove(new.a)
      table.remove(new.a)
      new.b[1] = 7
      new.c[1][1] = nil
      new.d.name = "an object now"
      collectgarbage()
      assert.equal('{"a":[],"b":[7],"c":[[]],"d":{"name":"an object now"}}', sent_new(profile))
    end)

    it("treats the program's tables as declared", function()
      local profile = profile_with("1")
      profile.twoTimesTimer.new[1] = { a = bmwi.json.array(), b = bmwi.json.array({}), c = {} }
      assert.equal('{"a":[],"b":[],"c":{}}', sent_new(profile))
    end)

    it("keeps unknown members (trap 13)", function()
      local profile = car:charging_profile()
      profile.weeklyPlanner.chargingMode = "MOON_CHARGING"
      profile.weeklyPlanner.newMember = { limit = 80, deep = { list = { 1, 2.5, "x" }, on = true } }
      profile.alsoNew = { a = {} }
      assert.is_table(car:set_charging_profile(profile))
      local text = sent_profile()
      local new = '"newMember":{"deep":{"list":[1,2.5,"x"],"on":true},"limit":80}'
      assert.truthy(text:find(new, 1, true), text)
      assert.truthy(text:find('"chargingMode":"MOON_CHARGING"', 1, true))
      assert.truthy(text:find('"alsoNew":{"a":{}}', 1, true))
    end)

    it("keeps all digits of a coordinate", function()
      assert.equal('{"poi":{"lat":51.53053283691406,"lon":-0.08362331241369247}}',
        sent_poi({ lat = 51.53053283691406, lon = -0.08362331241369247 }))
      assert.equal('{"poi":{"lat":0.30000000000000004,"lon":-180}}',
        sent_poi({ lat = 0.1 + 0.2, lon = -180 }))
      assert.equal('{"poi":{"lat":48.1,"lon":11.5}}', sent_poi({ lat = 48.1, lon = 11.5 }))
      local tiny = helper.json.decode(sent_poi({ lat = 1e-7, lon = 1 / 3 })).poi
      assert.equal(1e-7, tiny.lat)
      assert.equal(1 / 3, tiny.lon)
      for _, destination in ipairs(car:destinations()) do
        local again = helper.json.decode(sent_poi({ lat = destination.lat, lon = destination.lon }))
        assert.equal(destination.lat, again.poi.lat)
        assert.equal(destination.lon, again.poi.lon)
      end
    end)

    it("is refused if JSON cannot represent it, and nothing is sent", function()
      local loop = car:charging_profile()
      loop.weeklyPlanner.loop = loop
      local n = #sim:log()
      for _, value_ in ipairs({ print, coroutine.create(function() end), io.stdout, 0 / 0, 1 / 0,
        { 1, a = 2 }, { [{}] = 1 }, { [true] = 1 }, loop }) do
        local profile = { twoTimesTimer = { timer1 = {}, timer2 = {}, new = value_ } }
        assert.has_error(function() car:set_charging_profile(profile) end)
      end
      assert.equal(n, #sim:log())
    end)
  end)

  describe("leaves the application's lua-cjson alone", function()
    local cjson = require("cjson")
    local SETTINGS = { "encode_number_precision", "decode_max_depth", "encode_max_depth",
      "decode_invalid_numbers", "encode_invalid_numbers", "encode_keep_buffer",
      "decode_array_with_array_mt", "encode_empty_table_as_object", "encode_escape_forward_slash" }

    local function settings()
      local got = {}
      for _, name in ipairs(SETTINGS) do
        if cjson[name] then got[name] = { cjson[name]() } end
      end
      got.sparse = { cjson.encode_sparse_array() }
      return got
    end

    it("which keeps its settings", function()
      local before = settings()
      assert.equal(1234, car:status().mileage)
      car:send_poi({ lat = 48.123456789, lon = 11 })
      with_body(nested(200), car.status, car)
      assert.same(before, settings())
    end)

    it("whose settings are not taken over", function()
      local precision, depth = cjson.encode_number_precision(), cjson.decode_max_depth()
      local encode_depth, numbers = cjson.encode_max_depth(), cjson.decode_invalid_numbers()
      cjson.encode_number_precision(3)
      cjson.decode_max_depth(2)
      cjson.encode_max_depth(1)
      cjson.decode_invalid_numbers(true)
      if cjson.decode_array_with_array_mt then cjson.decode_array_with_array_mt(true) end
      local ok, message = pcall(function()
        local map = car:range_map()
        assert.equal(50, #map.rangemaps[1].polyline)
        assert.is_nil(getmetatable(map.rangemaps))
        car:send_poi({ lat = 48.123456789, lon = 11 })
        local log = sim:log()
        assert.equal('{"poi":{"lat":48.123456789,"lon":11}}', helper.form(log[#log].body).data)
        not_json('{"vehicleStatus":{"a":NaN}}', car.status, car)
        assert.equal(3, cjson.encode_number_precision())
        assert.equal(2, cjson.decode_max_depth())
        assert.equal(1, cjson.encode_max_depth())
      end)
      cjson.encode_number_precision(precision)
      cjson.decode_max_depth(depth)
      cjson.encode_max_depth(encode_depth)
      cjson.decode_invalid_numbers(numbers)
      if cjson.decode_array_with_array_mt then cjson.decode_array_with_array_mt(false) end
      assert(ok, message)
    end)
  end)
end)
