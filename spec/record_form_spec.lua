--- The format of a recording, and what is replaced in it.
local helper = require "spec.helper"
local anonymous = require "bmwi.cli.anonymous"
local record = require "bmwi.cli.record"
local json = helper.json

local VIN, OTHER = "WBYCARDATA0000001", "WAB1C23456V123456"
local NEW_VIN = "WBARECRD000000001"
local GCID = "0a1b2c3d-1111-4222-8333-444455556666"
local LATITUDE = "vehicle.cabin.infotainment.navigation.currentLocation.latitude"

describe("what is replaced in a recording", function()
  local names

  before_each(function() names = anonymous.new() end)

  it("are VINs, anywhere, each consistently replaced", function()
    assert.equal(('{"vin":"%s","text":"of %s.","%s":1}'):format(NEW_VIN, NEW_VIN, NEW_VIN),
      names:json(('{"vin":"%s","text":"of %s.","%s":1}'):format(VIN, VIN, VIN)))
    assert.equal("/webapi/v1/user/vehicles/WBARECRD000000002/status",
      names:path("/webapi/v1/user/vehicles/" .. OTHER .. "/status"))
    assert.equal('"' .. NEW_VIN .. '"', names:json('"' .. VIN .. '"'))
    assert.equal(NEW_VIN, names:path(NEW_VIN)) -- what was replaced stays
  end)

  it("are positions in every spelling; equal ones stay equal, and reveal no others",
    function()
      local told = json.decode(names:json('{"position":{"lat":51.5305,"lon":-0.1246},'
        .. '"a":{"latitude":"51.5305","mapMatchedLongitude":"7.5"},"lat":51.5306}'))
      assert.equal(48.001, told.position.lat)
      assert.equal(11.001, told.position.lon)
      assert.equal("48.001", told.a.latitude)
      assert.equal("11.002", told.a.mapMatchedLongitude)
      assert.equal(48.002, told.lat)
      assert.equal("/status?dlat=48.001&dlon=11.001",
        names:path("/status?dlat=51.5305&dlon=-0.1246"))
    end)

  it("are CarData's positions, whose numbers are in `value`", function()
    local told = json.decode(names:json(('{"%s":{"timestamp":"2026-01-01T10:00:00Z","unit":'
      .. '"degrees","value":"48.1769"}}'):format(LATITUDE)))[LATITUDE]
    assert.same({ timestamp = "2026-01-01T10:00:00Z", unit = "degrees", value = "48.001" }, told)
  end)

  it("are names, plates, addresses and ids, but not BMW's own words", function()
    local told = json.decode(names:json([[{"licensePlate":"M-AB 123","name":"Anna Muster",
      "street":"Musterweg","phoneNumbers":["+49 89 1"],"note":"from anna.muster@example.org",
      "eventId":"123456@bmw.de","containerId":"S00012345678","gcid":"]] .. GCID .. [[",
      "exveErrorId":"CU-104","model":"i3","driveTrain":"BEV_REX","doorLockState":"LOCKED",
      "customerId":12345678,"text":"mail b.c@example.org"}]]))
    assert.equal("text 1", told.licensePlate)
    for _, name in ipairs { "name", "street", "note", "text" } do
      assert.is_nil(told[name]:find("nna"), told[name])
      assert.is_nil(told[name]:find("example.org", 1, true), told[name])
    end
    assert.is_nil(told.phoneNumbers[1]:find("49", 1, true))
    assert.is_nil(told.eventId:find("123456", 1, true))
    assert.is_nil(told.containerId:find("12345678", 1, true))
    assert.equal(#"S00012345678", #told.containerId)
    assert.equal("00000000-0000-4000-8000-00000000000", told.gcid:sub(1, -2))
    assert.is_true(told.customerId < 100)
    assert.equal("CU-104", told.exveErrorId)
    assert.equal("i3", told.model)
    assert.equal("BEV_REX", told.driveTrain)
    assert.equal("LOCKED", told.doorLockState)
  end)

  it("are ids in paths, as they are in bodies", function()
    local id = json.decode(names:json('{"containerId":"S00012345678"}')).containerId
    assert.equal("/customers/containers/" .. id, names:path("/customers/containers/S00012345678"))
    assert.equal("/telematicData?containerId=" .. id,
      names:path("/telematicData?containerId=S00012345678"))
  end)

  it("are VINs in lower and mixed case, by the same substitute", function()
    local lower = NEW_VIN:lower()
    assert.equal(NEW_VIN, names:path(OTHER))
    assert.equal("/vehicles/" .. lower .. "/status",
      names:path("/vehicles/" .. OTHER:lower() .. "/status"))
    assert.equal(('{"%s":"of %s.","vin":"%s"}'):format(lower, lower, NEW_VIN),
      names:json(('{"%s":"of %s.","vin":"Wab1C23456V123456"}'):format(OTHER:lower(),
        OTHER:lower())))
    assert.equal("Car " .. lower, names:text("Car " .. OTHER:lower()))
    assert.equal(lower, names:path(lower)) -- what was replaced stays
    local word = '{"chargeratedleveln":"chargeratedleveln","HVBATTERYCHARGENX":1}'
    assert.equal(17, #"chargeratedleveln")
    assert.equal(NEW_VIN, names:path(OTHER))
    assert.equal(word:gsub("HVB%w+", "WBARECRD000000002"), names:json(word))
  end)

  it("are VINs of digits, and parts of one, where the member is called so", function()
    local told = names:json('{"vin":"12345678901234567","shortVin":"V123456","vin7":1234567}')
    assert.is_nil(told:find("123456", 1, true), told)
    assert.is_number(json.decode(told).vin7)
  end)

  it("are percent-encoded, too, in paths and queries", function()
    assert.equal("/vehicles/" .. NEW_VIN .. "/status?vin=" .. NEW_VIN .. "&dlat=48.001",
      names:path("/vehicles/%57AB1C23456V%3123456/status?vin=%57AB1C23456V123456&d%6Cat=48.1"))
    assert.is_nil(names:path("/x?q=max.muster%40example.org"):find("muster", 1, true))
    assert.equal("/x?q=a%2Fb%20c&r=%zz", names:path("/x?q=a%2Fb%20c&r=%zz"))
  end)

  it("are names of people and places in many spellings", function()
    local secret = { "customerName", "dealerName", "user_name", "full_name", "displayName",
      "providerName", "street1", "address1", "addressLine1", "address_line_2", "licencePlate",
      "licencePlateNumber", "license_plate", "registrationNumber", "plate", "eMail", "e-mail",
      "mail", "telephoneNumber", "mobile", "mobilePhone", "fax", "access_token", "refreshToken",
      "sub", "gcid", "userGcid", "password", "x.y.street", "contact_phone_numbers" }
    for _, name in ipairs(secret) do
      local told = names:json(('{"%s":["Muster 7a"]}'):format(name))
      assert.is_nil(told:find("Muster", 1, true), told)
      assert.is_table(json.decode(told)[name])
    end
    local kept = '{"modelName":"i3 (+ REX)","brand":"BMW","seriesName":"I","typeName":"BEV_7",'
      .. '"colourName":"grey 1","unit":"km","renamed":"yes","tokenType":"Bearer","number":"four",'
      .. '"eventStatus":"EXECUTED","state":"ACTIVE","description":"Low tyre pressure 2.345"}'
    assert.equal(kept, names:json(kept))
  end)

  it("are positions as arrays, in one text, with a letter and below longer names", function()
    for _, place in ipairs { '"coordinates":[11.5755,48.1372]', '"position":[48.1372,11.5755]',
      '"coordinates":[[[11.5755,48.1372]]]', '"at":"48.1372,11.5755"', '"x":" 48.1372; 11.5755"',
      '"latLng":"48.1372,11.5755"', '"lat":"48.1372 N"', '"lon":"11,5755"',
      '"latitude_deg":48.1372', '"position":"48.1372 N, 11.5755 E"', '"gps":[48.1372]',
      '"latitudeDeg":48.1372', '"centerLat":48.1372', '"pos_lon":11.5755', '"lat1":48.1372',
      '"latitudes":[48.1372]' } do
      local told = names:json("{" .. place .. "}")
      assert.is_nil(told:find("1372", 1, true) or told:find("5755", 1, true), told)
      assert.is_table(json.decode(told), told)
    end
    local kept = '{"gallon":3.7854,"platform":1.2345,"flat":1.2345,"longTerm":5.4321,'
      .. '"position":"OPEN","windowPosition":12.3456,"values":[1.2345,2.3456],"alternator":14.123,'
      .. '"vehicle.cabin.sunroof.relativePosition":{"value":"12.3456"},"latency":0.1234,'
      .. '"lat":"UNKNOWN","consumption":"1.2345"}'
    assert.equal(kept, names:json(kept))
  end)

  it("are in JSON inside of a text", function()
    local told = json.decode(names:json(
      [[{"data":"{\"lat\":48.1372,\"street\":\"Musterweg\", \"x\":1.50}","log":"[info] ok"}]]))
    assert.equal('{"lat":48.001,"street":"text 1", "x":1.50}', told.data)
    assert.equal("[info] ok", told.log)
  end)

  it("leaves everything else unchanged, byte for byte", function()
    for _, text in ipairs { '{ "a" : null , "b" : 1560.0, "c":[], "d":{}, "e":"\\u00fc\\/\\"" }',
      "[ ]", "null", "-1.50e+3", ' {"mileage":48260,"x":[[1],[{"y":true}]]}' } do
      assert.equal(text, names:json(text))
    end
  end)

  it("does not include what only looks like JSON", function()
    for _, text in ipairs { "", "<html>", "{", '{"a"}', '{"a":}', "[1", '"a', "nul", "1 2", "{a:1}",
      "[1,]", '{"a":1,}', "[+5]", "[.5]", "[1.]", "[01]", "[1e]", "[1e999]", "[1,\v2]", "[-]",
      '["\t"]', ("["):rep(200) } do
      assert.is_nil(names:json(text), text)
    end
    assert.equal('{"x":123456789012345e3}', names:json('{"x":123456789012345e3}')) -- 17 characters
    assert.equal("Car " .. NEW_VIN, names:text("Car " .. VIN))
    assert.is_true(#names:text(("x"):rep(1e5)) < 1e4)
  end)

  it("keeps only the shape of what begins like JSON", function()
    assert.equal('{"lat":0,"street":"text", "ok":true,\n"of ' .. NEW_VIN .. '" : ["text",0,null',
      names:text('{"lat":48.1372,"street":"Musterweg \\"3\\"", "ok":true,\n"of ' .. VIN
        .. '" : ["Anna",-1.5e3,null'))
    for text, shape in pairs { ['{"name":"Ann'] = '{"name":"text"', [' [1,2,]'] = " [0,0,]",
      ["{name: Anna}"] = '{"text": "text"}', ["{'name':'Anna Muster'}"] = '{"text":"text" "text"}',
      ['{"a":01}'] = '{"a":0}', ['{"a":"x\\'] = '{"a":"text"', ["[-.5,+4"] = "[0,0" } do
      assert.equal(shape, names:text(text))
    end
    local deep = ("["):rep(150)
    assert.equal(deep .. '{"lat":0', names:text(deep .. '{"lat":48.1372'))
  end)

  it("replaces what may be a position in other texts", function()
    assert.equal("<p>at 0.000, 0.000; 12.5 km, code 503, 1.25</p>",
      names:text("<p>at 48.1372, -11.57555; 12.5 km, code 503, 1.25</p>"))
  end)

  it("replaces before it cuts", function()
    for before = 1985, 1999 do
      local text = names:text(("y"):rep(before) .. " " .. OTHER)
      assert.is_nil(text:find("WAB", 1, true), text:sub(-20))
    end
  end)

  it("takes no more than linear time, whatever is repeated #slow", function()
    local began = os.clock() -- quadratic, it was 199 s, where it takes less than one now
    for _, part in ipairs { '\\"', "x", "1", "1.", "-", " ", "@", "a@", "a." } do
      local text = '"' .. part:rep(5e4) .. '"'
      assert.equal(text, names:json(text))
      names:text(text)
      names:text("{" .. text)
      names:json("{" .. text .. ":1}")
    end
    assert.is_true(os.clock() - began < 60)
  end)
end)

describe("a recording", function()
  local folder, path

  before_each(function()
    folder = helper.shell("mktemp -d")
    path = folder .. "/day.jsonl"
  end)
  after_each(function() os.execute("rm -rf '" .. folder .. "'") end)

  local function lines()
    local list = {}
    for line in io.lines(path) do list[#list + 1] = json.decode(line) end
    return list
  end

  it("is a private file with a header and a line for each response", function()
    local recorder = record.new(path, { service = "cardata" })
    recorder:answer({ call = "status", method = "GET", path = "/" .. VIN .. "/status", status = 200,
      body = '{"vin":"' .. VIN .. '",\n "x":null}' })
    recorder:answer({ call = "status", method = "GET", path = "/x", status = 502,
      body = "<html>bad</html>" })
    recorder:answer({ call = "image", method = "GET", path = "/x", status = 200, body = "\137P\0" })
    recorder:state("connected")
    recorder:message(GCID .. "/" .. VIN, '{"vin":"' .. VIN .. '","data":{}}')
    assert.is_nil(recorder:close())
    assert.equal("600", helper.shell("stat -c %a '" .. path .. "'"))
    local all = lines()
    assert.equal(1, all[1].bmwi_recording)
    assert.equal("cardata", all[1].service)
    assert.is_true(all[1].replaced)
    assert.equal("/" .. NEW_VIN .. "/status", all[2].path)
    assert.equal(json.null, all[2].body.x)
    assert.equal(NEW_VIN, all[2].body.vin)
    assert.equal("<html>bad</html>", all[3].text)
    assert.is_nil(all[4].text)
    assert.equal("connected", all[5].state)
    assert.same({ "message", NEW_VIN, { vin = NEW_VIN, data = {} } },
      { all[6].kind, all[6].vin, all[6].payload })
    for i = 3, 6 do assert.is_true(all[i].at >= all[i - 1].at) end
    local text = helper.read(path)
    assert.is_nil(text:find(VIN, 1, true))
    assert.is_nil(text:find(GCID, 1, true))
  end)

  it("is JSON even where a body is only almost JSON", function()
    for _, personal in ipairs { false, true } do
      local recorder = record.new(path, { service = "classic", personal = personal })
      for _, body in ipairs { "[1.]", "\239\187\191[1]", '{"a":1,}', "[1\r\n,2]", "\255",
        '{"a":"\\u0000","b":1e2,"b":"\\u00e4"}' } do
        recorder:answer({ call = "get", method = "GET", path = "/x", status = 200, body = body })
        recorder:message("x/" .. VIN, body)
      end
      assert.is_nil(recorder:close())
      assert.equal(13, #lines())
      assert.same({ 1 }, lines()[4].body)
      assert.same({ 1 }, lines()[5].payload)
      local text = helper.read(path)
      helper.has(text, [["body":{"a":"\u0000","b":1e2,"b":"\u00e4"}}]] .. "\n")
      helper.has(text, [["payload":{"a":"\u0000","b":1e2,"b":"\u00e4"}}]] .. "\n")
    end
  end)

  it("replaces nothing if requested", function()
    local recorder = record.new(path, { service = "classic", personal = true })
    recorder:answer({ call = "status", method = "GET", path = "/" .. VIN, status = 200,
      body = '{"vin":"' .. VIN .. '"}' })
    recorder:close()
    assert.equal("/" .. VIN, lines()[2].path)
    assert.equal(VIN, lines()[2].body.vin)
    assert.is_false(lines()[1].replaced)
  end)

  it("ends if the disk is full, and says so", function()
    if not io.open("/dev/full", "a") then return pending("there is no /dev/full") end
    local recorder = record.new(path, { service = "classic" })
    recorder.file:close()
    recorder.file = io.open("/dev/full", "a")
    recorder:state("connected")
    recorder:state("waiting")
    helper.has(recorder:close(), "space")
  end)

  it("cannot be made if nothing can be written", function()
    local ok, failure = pcall(record.new, "/dev/null/x", { service = "classic" })
    assert.is_false(ok)
    assert.equal("file", failure.code)
  end)
end)
