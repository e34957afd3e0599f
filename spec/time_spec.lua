-- bmwi.time: every form of date that the server has sent, checked strictly.

local time = require "bmwi.time"

describe("time.parse (trap 9)", function()
  -- text, epoch, offset. The epochs come from `date -u -d ... +%s`.
  local forms = {
    { "2015-10-30T18:45:04+0100", 1446227104, 3600 },
    { "2018-03-08T22:21:39-0500", 1520565699, -18000 },
    { "2015-09-25T08:06:11+0200", 1443161171, 7200 },
    { "2020-07-25T12:27:43+0000", 1595680063, 0 },
    { "2018-03-09T03:21:39", 1520565699, nil },
    { "1970-01-01T01:00:00+0100", 0, 3600 },
    { "2018-02-17T15:56:34.846+01", 1518879394, 3600 },
    { "26.02.2018 07:19:59 UTC", 1519629599, 0 },
    { "26.02.2018 07:19:59", 1519629599, nil },
    { "2015-10-30T17:45:04Z", 1446227104, 0 },
    { "2015-10-30T18:45:04+01:00", 1446227104, 3600 },
    { "2015-10-30T23:15:04+05:30", 1446227104, 19800 },
    { "2015-10-30 17:45:04.5Z", 1446227104, 0 },
    { "2000-02-29T00:00:00Z", 951782400, 0 },
    { "2016-02-29T12:00:00Z", 1456747200, 0 },
    { "1969-12-31T23:59:59Z", -1, 0 },
    { "1900-03-01T00:00:00Z", -2203891200, 0 },
    { "2038-01-19T03:14:08Z", 2147483648, 0 },
    { "9999-12-31T23:59:59Z", 253402300799, 0 },
    { "0000-01-01T00:00:00Z", -62167219200, 0 },
    { "2015-10-30T18:45+0100", 1446227100, 3600 },
    { "2015-10-30T17:45Z", 1446227100, 0 },
    { "2015-10-30T17:45", 1446227100, nil },
    { "26.02.2018 07:19", 1519629540, nil },
    { "26.02.2018 07:19 UTC", 1519629540, 0 },
    { "2015-10-30t17:45:04z", 1446227104, 0 },
    { "2015-10-30T17:45:04,5Z", 1446227104, 0 },
    { "2015-10-30T24:00:00Z", 1446249600, 0 },
    { "2015-10-30T24:00+0100", 1446246000, 3600 },
    { "2015-12-31T24:00:00.0Z", 1451606400, 0 },
    { "2016-12-31T23:59:60Z", 1483228800, 0 },
    { "2017-01-01T00:59:60+0100", 1483228800, 3600 },
    { "2016-12-31T23:59:60.9", 1483228800, nil },
    { "2020-08-24 T15:55:32", 1598284532, nil },
    { " 2015-10-30T17:45:04Z", 1446227104, 0 },
    { "2015-10-30T17:45:04Z \t", 1446227104, 0 },
    { "2015-10-30 18:45:04 +0100", 1446227104, 3600 },
  }
  for _, form in ipairs(forms) do
    it("reads " .. form[1], function()
      local epoch, offset, code = time.parse(form[1])
      assert.are.equal(form[2], epoch)
      assert.are.equal(form[3], offset)
      assert.is_nil(code)
    end)
  end

  it("returns whole numbers as integers where Lua has them", function()
    local math_type = rawget(math, "type")
    if not math_type then return pending("this Lua has no integers") end
    for _, text in ipairs({ "2015-10-30T18:45:04+0100", "2018-02-17T15:56:34.846+01" }) do
      local epoch, offset = time.parse(text)
      assert.are.equal("integer", math_type(epoch))
      assert.are.equal("integer", math_type(offset))
    end
  end)

  local wrong = {
    "2018-13-01T00:00:00Z", "2018-00-01T00:00:00Z", "2018-02-31T00:00:00Z", "2018-04-31T00:00:00Z",
    "2018-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2018-01-00T00:00:00Z", "2018-01-32T00:00:00Z",
    "2018-01-01T24:00:01Z", "2018-01-01T24:01:00Z", "2018-01-01T24:00:00.5Z",
    "2018-01-01T24:00:60Z", "2018-01-01T23:59:00:60Z",
    "2018-01-01T25:00:00Z", "2018-01-01T23:59:61Z", "2018-01-01T22:59:60Z",
    "2018-01-01T23:59:60+0100",
    "2018-01-01T00Z", "2018-01-01T00:00,5Z", "2018-01-01T00:00:00,Z", "2018-01-01T00:0Z",
    "2018-01-01TT00:00:00Z", "\n2018-01-01T00:00:00Z", "26.02.2018T07:19",
    "2018-01-01" .. (" "):rep(100) .. "00:00:00Z", "2018-01-01T00:60:00Z", "2018-01-01T00:00:60Z",
    "2018-01-01T00:00:00+2400", "2018-01-01T00:00:00+0160", "2018-01-01T00:00:00+1",
    "2018-01-01T00:00:00+01:0", "2018-01-01T00:00:00+010", "2018-01-01T00:00:00 CET",
    "2018-01-01T00:00:00.Z", "2018-01-01T00:00:00.5.5Z", "2018-01-01T00:00:005Z",
    "2018-01-01T00:00:00Zx",
    "2018-01-01T00:00:00\0Z", "2018-01-01", "2018-01", "18-01-01T00:00:00Z", "2018-1-1T0:0:0Z",
    "31.02.2018 00:00:00 UTC", "01.13.2018 00:00:00 UTC", "2018.02.26 07:19:59 UTC",
    "26/02/2018 07:19:59", "", "--", "now",
  }
  for _, text in ipairs(wrong) do
    it(("refuses %q"):format(text), function()
      local epoch, message, code = time.parse(text)
      assert.is_nil(epoch)
      assert.is_string(message)
      assert.are.equal("time", code)
    end)
  end

  it("keeps the message short and printable", function()
    local _, message = time.parse(("\27[31m\n\255x"):rep(1000))
    assert.is_true(#message < 80)
    assert.is_nil(message:find("[^\32-\126]"))
  end)

  it("returns nil for an absent member and raises an error for other types", function()
    local epoch, message, code = time.parse(nil)
    assert.is_nil(epoch)
    assert.is_string(message)
    assert.are.equal("time", code)
    for name in pairs({ parse = 1, age = 1, local_clock = 1, is_never = 1 }) do
      local ok, problem = pcall(time[name], 1446227104)
      assert.is_false(ok)
      assert.is_truthy(problem:find(name, 1, true), problem)
      assert.is_nil((time[name](nil)))
    end
  end)
end)

describe("time.format", function()
  it("writes UTC", function()
    assert.are.equal("2015-10-30T17:45:04Z", time.format(1446227104))
    assert.are.equal("1970-01-01T00:00:00Z", time.format(0))
    assert.are.equal("1969-12-31T23:59:59Z", time.format(-0.5))
    assert.are.equal("2000-02-29T23:59:59Z", time.format(951868799))
    assert.are.equal("2096-12-31T00:00:00Z", time.format(4007750400)) -- by mean years it is 2097
    assert.are.equal("0000-01-01T00:00:00Z", time.format(-62167219200))
    assert.are.equal("9999-12-31T23:59:59Z", time.format(253402300799))
  end)

  it("is read back as the same second, over 600 years", function()
    for epoch = -9000000000, 10000000000, 8640000 + 4321 do
      assert.are.equal(epoch, (time.parse(time.format(epoch))))
    end
  end)

  it("walks through the days of a leap year and a common year in order", function()
    local before = time.format(1451606400 - 86400) -- 2015-12-31
    for day = 0, 365 + 366 do
      local text = time.format(1451606400 + day * 86400)
      assert.is_true(text > before, text)
      assert.are.equal("00:00:00Z", text:sub(12))
      before = text
    end
    assert.are.equal("2018-01-01T00:00:00Z", before)
  end)

  it("returns nil for years of five digits, NaN and infinity", function()
    for _, epoch in ipairs({ 253402300800, -62167219201, 0 / 0, math.huge, -math.huge, 1e300 }) do
      local text, message, code = time.format(epoch)
      assert.is_nil(text)
      assert.is_string(message)
      assert.are.equal("time", code)
    end
    assert.has_error(function() time.format("0") end,
      "bad argument #1 to 'format' (number expected, got string)")
  end)
end)

describe("time.age", function()
  it("counts the seconds to now", function()
    assert.are.equal(100, time.age("2015-10-30T18:45:04+0100", 1446227204))
    assert.are.equal(-60, time.age("2015-10-30T17:46:04", 1446227104))
  end)

  it("uses the machine's clock if no time is given", function()
    local age = time.age(time.format(os.time() - 1000))
    assert.is_true(age >= 1000 and age <= 1002)
  end)

  it("passes on parse's failure, and raises an error for an invalid now", function()
    local age, message, code = time.age("soon", 0)
    assert.is_nil(age)
    assert.is_string(message)
    assert.are.equal("time", code)
    assert.has_error(function() time.age("2015-10-30T17:46:04", "0") end)
  end)
end)

describe("time.local_clock", function()
  it("takes 24:00 and a leap second as the next day", function()
    for _, text in ipairs({ "2015-12-31T24:00:00+0100", "2015-12-31T24:00",
      "2015-12-31T23:59:60Z" }) do
      assert.are.same({ year = 2016, month = 1, day = 1, hour = 0, min = 0, sec = 0 },
        time.local_clock(text))
    end
  end)

  it("returns what the clock showed, whatever the zone (trap 10)", function()
    for _, zone in ipairs({ "+0000", "+0200", "", "Z" }) do
      assert.are.same({ year = 2020, month = 8, day = 24, hour = 17, min = 55, sec = 0 },
        time.local_clock("2020-08-24T17:55:00" .. zone))
    end
    assert.are.same({ year = 2018, month = 2, day = 26, hour = 14, min = 52, sec = 0 },
      time.local_clock("26.02.2018 14:52:00 UTC"))
  end)

  it("is as strict as parse", function()
    local clock, message, code = time.local_clock("2020-08-24T17:55:00+99")
    assert.is_nil(clock)
    assert.is_string(message)
    assert.are.equal("time", code)
  end)
end)

describe("time.is_never", function()
  it("recognises 1970 in every zone (trap 10)", function()
    assert.is_true(time.is_never("1970-01-01T01:00:00+0100"))
    assert.is_true(time.is_never("1970-01-01T00:00:00+0100"))
    assert.is_true(time.is_never("1970-01-01T00:00:00-0500"))
    assert.is_false(time.is_never("2020-08-24T14:40:40+0000"))
  end)

  it("does not treat an unreadable date as never", function()
    local never, message, code = time.is_never("")
    assert.is_nil(never)
    assert.is_string(message)
    assert.are.equal("time", code)
  end)
end)

describe("the machine's zone", function()
  it("is never used", function()
    -- os.time with a table and os.date are what would look at it.
    local os_time, os_date = os.time, os.date
    local called
    os.time = function(...) -- luacheck: ignore
      if select("#", ...) > 0 then called = true end
      return os_time(...)
    end
    os.date = function(...) -- luacheck: ignore
      called = true
      return os_date(...)
    end
    time.parse("2015-10-30T18:45:04+0100")
    time.format(0)
    time.age("2015-10-30T18:45:04+0100")
    time.local_clock("2015-10-30T18:45:04+0100")
    os.time, os.date = os_time, os_date -- luacheck: ignore
    assert.is_nil(called)
  end)
end)
