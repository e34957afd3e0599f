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

  it("leaves everything else unchanged, byte for byte", function()
    for _, text in ipairs { '{ "a" : null , "b" : 1560.0, "c":[], "d":{}, "e":"\\u00fc\\/\\"" }',
      "[ ]", "null", "-1.50e+3", ' {"mileage":48260,"x":[[1],[{"y":true}]]}' } do
      assert.equal(text, names:json(text))
    end
  end)

  it("does not include what only looks like JSON", function()
    for _, text in ipairs { "", "<html>", "{", '{"a"}', '{"a":}', "[1", '"a', "nul", "1 2", "{a:1}",
      ("["):rep(200) } do
      assert.is_nil(names:json(text), text)
    end
    assert.equal("Car " .. NEW_VIN, names:text("Car " .. VIN))
    assert.is_true(#names:text(("x"):rep(1e5)) < 1e4)
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
