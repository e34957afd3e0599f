-- How one value of CarData is read: numbers, booleans, absent values, units and timestamps.
local bmwi = require("bmwi")
local cjson = require("cjson").new()
local values = bmwi._values

local NOW = 1772359200 -- 2026-03-01T10:00:00Z

local function read(value, descriptor, unit)
  local state = values.merge(nil, { [descriptor or "vehicle.x"] = { value = value, unit = unit } },
    { source = "rest", now = NOW })
  return values.telematics(state, { now = NOW })[descriptor or "vehicle.x"]
end

describe("a value", function()
  local READ = {
    { "10489", 10489 }, { "14.39", 14.39 }, { "-3.5", -3.5 }, { " 66 ", 66 }, { "1e3", 1000 },
    { 11260, 11260 }, { 0.5, 0.5 }, { true, true }, { false, false },
    { "22.979991912841797", 22.979991912841797 }, { "48.123456789012", 48.123456789012 },
    { "true", true }, { "false", false }, { "TRUE", true },
    { "ASN_isTrue", true }, { "ASN_isFalse", false },
    -- Names, and what only looks like a number.
    { "007", "007" }, { "12345678901234567890", "12345678901234567890" }, { "0x1F", "0x1F" },
    { "inf", "inf" }, { "nan", "nan" }, { "1.2.3", "1.2.3" }, { "12 km", "12 km" }, { "1e", "1e" },
    { "PRICE_OPTIMIZED", "PRICE_OPTIMIZED" }, { "17.01.2027 00:00:00 UTC", nil },
  }

  it("is a number, a boolean or a string, however it was sent", function()
    for _, row in ipairs(READ) do
      local expected = row[2] == nil and row[1] or row[2]
      local got = read(row[1])
      assert.equal(expected, got.value, tostring(row[1]))
      assert.equal(row[1], got.raw)
      assert.is_nil(got.empty)
    end
  end)

  it("is an integer if it is whole, on Lua with integers", function()
    assert.equal("10489", ("%s"):format(read("10489").value))
    assert.equal("66", ("%s"):format(read(66.0).value))
  end)

  it("is read with a decimal point whatever the locale", function()
    local before = os.setlocale(nil, "numeric")
    if not os.setlocale("de_DE.UTF-8", "numeric") then return pending("no such locale here") end
    local got = read("14.39").value
    os.setlocale(before, "numeric")
    assert.equal(14.39, got)
  end)

  it("is open or not only for members that mean that", function()
    assert.is_true(read("OPEN", "vehicle.body.hood.isOpen").value)
    assert.is_false(read("CLOSED", "vehicle.body.hood.isOpen").value)
    assert.equal("CLOSED", read("CLOSED", "vehicle.cabin.window.row1.driver.status").value)
  end)

  it("is absent in many ways, which are distinguished", function()
    local EMPTY = {
      { nil, "null" }, { cjson.null, "null" }, { "NULL", "null" }, { "null", "null" },
      { "-NA-", "not_available" }, { "", "not_available" },
      { "INVALID", "invalid" }, { "SIGNAL_INVALID", "invalid" },
      { "UNKNOWN", "unknown" }, { "ASN_isUnknown", "unknown" }, { "ASN_unknown", "unknown" },
      { {}, "unreadable" }, { 1 / 0, "unreadable" }, { 0 / 0, "unreadable" },
    }
    for i = 1, #EMPTY do
      local got = read(EMPTY[i][1], nil, "%")
      assert.is_nil(got.value)
      assert.equal(EMPTY[i][2], got.empty)
      assert.equal("%", got.unit)
    end
    assert.is_nil(values.telematics({})["vehicle.x"])
  end)

  it("has its unit in a single spelling", function()
    local UNITS = {
      ["%"] = { "%", "percent", "Percent" }, km = { "km", "KILOMETER", "kilometers", "KM" },
      mi = { "mi", "miles", "MILE", "MileageUnits.MI" }, l = { "l", "L", "liter", "litres" },
      gal = { "gal" }, kWh = { "kWh", "KWH" }, W = { "W" }, min = { "min", "Min", "minutes" },
      ["\194\176C"] = { "\194\176C", "\195\130\194\176C", "\176C", "Celsius", "celsius" },
      ["\194\176"] = { "degrees", "\195\130\194\176" }, kPa = { "kPa" }, weeks = { "weeks" },
      ["kWh/100km"] = { "kWh/100km" }, -- not known: as it came
    }
    for unit, spellings in pairs(UNITS) do
      for _, spelling in ipairs(spellings) do
        assert.equal(unit, read("1", nil, spelling).unit, spelling)
      end
    end
    assert.is_nil(read("1", nil, "").unit)
    assert.is_nil(read("1", nil, cjson.null).unit)
  end)
end)

describe("a time stamp", function()
  local function time_of(stamp)
    local state = values.merge(nil, { a = { value = 1, timestamp = stamp } },
      { source = "stream", now = NOW })
    return values.telematics(state, { now = NOW }).a.time
  end

  it("is read from ISO 8601, seconds and milliseconds", function()
    for stamp, epoch in pairs({
      ["2026-03-01T09:59:59Z"] = NOW - 1, ["2026-03-01T09:59:59.250Z"] = NOW - 0.75,
      ["2026-03-01T11:00:00+01:00"] = NOW, ["2026-03-01T11:00:00+0100"] = NOW,
      ["2026-03-01T09:00:00-01"] = NOW, ["2026-03-01T10:00:00"] = NOW,
      ["2024-02-29T00:00:00.000Z"] = 1709164800, ["1970-01-02T00:00:00Z"] = 86400,
      [NOW] = NOW, [NOW * 1000 + 500 - 60000] = NOW + 0.5 - 60, [("%d"):format(NOW)] = NOW,
    }) do
      assert.equal(epoch, time_of(stamp), tostring(stamp))
    end
  end)

  it("is rejected if it is not one", function()
    for _, stamp in ipairs({ "", "yesterday", "2026-02-30T10:00:00Z", "2025-02-29T10:00:00Z",
      "2026-13-01T10:00:00Z", "2026-03-01T25:00:00Z", "2026-03-01", "2026-03-01T10:00:00.Z",
      "2026-03-01T10:00:00Zulu", "2026-03-01T10:00:00+1", -5, 0, 1 / 0, 1e300, true, {} }) do
      assert.is_nil(time_of(stamp), tostring(stamp))
    end
    assert.is_nil(time_of(nil))
  end)

  it("may be up to a minute in the future, and beyond that counts as absent", function()
    assert.equal(NOW + 60, time_of(NOW + 60))
    assert.is_nil(time_of(NOW + 61))
    assert.is_nil(time_of("5139-01-01T00:00:00Z"))
    assert.is_nil(time_of("9999-12-31T00:00:00Z"))
  end)
end)
