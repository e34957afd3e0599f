-- bmwi.navigation: four variants of the same data, and hexadecimal curves.

local navigation = require "bmwi.navigation"

-- The API description's example, a plug-in hybrid.
local LONG = {
  latitude = 62.250584, longitude = 3.7717776, isoCountryCode = "DEU",
  auxPowerRegular = 1.4, auxPowerEcoPro = 1.2, auxPowerEcoProPlus = 0.4,
  soc = 4.019000053405762, socMax = 5.6,
  eco = "1c94,1206,d9d,d0f,cd3,cf9,e2d,f49,10ec,10ec,117c",
  norm = "1e15,12f9,e54,dbf,d82,da7,eed,1017,11d0,1483,19a9",
  ecoEv = "c31,799,5c5,5a5,5ae,5fc,6fb,861,9df,9df,9df",
  normEv = "cd5,800,613,5f1,5fc,64c,759,8d2,a65,bf8,e7d",
  vehicleMass = "1560",
  kAccReg = "1440000", kDecReg = "3420000", kAccEco = "1548000", kDecEco = "3240000",
  kUp = "1800000", kDown = "2700000",
  driveTrain = "phev_otto", pendingUpdate = false, vehicleTracking = true,
}

local function near(expected, actual)
  assert.is_number(actual)
  assert.is_true(math.abs(expected - actual) < 1e-9 * math.max(1, math.abs(expected)),
    ("expected %.15g, got %.15g"):format(expected, actual))
end

describe("navigation.decode", function()
  it("decodes the long variant", function()
    local data = navigation.decode(LONG)
    near(4.019000053405762, data.soc_kwh)
    assert.are.equal(5.6, data.soc_max_kwh)
    near(71.76785809653, data.soc_percent)
    assert.are.equal("kWh", data.soc_unit)
    assert.is_nil(data.soc_guessed)
    assert.are.same({ 3121, 1945, 1477, 1445, 1454, 1532, 1787, 2145, 2527, 2527, 2527 },
      data.curves.ecoEv)
    assert.are.equal(0x1c94, data.curves.eco[1])
    assert.are.equal(0x19a9, data.curves.norm[11])
    assert.are.equal(0xe7d, data.curves.normEv[11])
    assert.are.equal(1560, data.mass_kg)
    assert.are.same({ acc_reg = 1440000, dec_reg = 3420000, acc_eco = 1548000, dec_eco = 3240000,
      up = 1800000, down = 2700000 }, data.coefficients)
    assert.are.same({ regular = 1.4, eco_pro = 1.2, eco_pro_plus = 0.4 }, data.aux_power)
    assert.are.same({ lat = 62.250584, lon = 3.7717776 }, data.position)
    assert.are.equal("DEU", data.country)
    assert.are.equal("phev_otto", data.drive_train)
    assert.is_false(data.pending_update)
    assert.is_true(data.vehicle_tracking)
    assert.is_nil(data.unreadable)
  end)

  it("gives the same for the lower-case spelling of 2019", function()
    local renamed = {
      socMax = "socmax", kAccReg = "kaccReg", kDecReg = "kdecReg", kAccEco = "kaccEco",
      kDecEco = "kdecEco", kUp = "kup", kDown = "kdown",
    }
    local later = {}
    for key, value in pairs(LONG) do later[renamed[key] or key] = value end
    assert.is_nil(later.socMax)
    assert.are.same(navigation.decode(LONG), navigation.decode(later))
  end)

  it("decodes the short variant", function()
    local data = navigation.decode({
      latitude = 50.1, longitude = 14.4, isoCountryCode = "CZE", soc = 25.95, socMax = 29.84,
      pendingUpdate = false, vehicleTracking = true,
    })
    near(86.96380697, math.floor(data.soc_percent * 1e8) / 1e8)
    assert.are.equal(25.95, data.soc_kwh)
    assert.are.same({}, data.curves)
    assert.are.same({}, data.coefficients)
    assert.is_nil(data.mass_kg)
    assert.is_nil(data.drive_train)
  end)

  it("takes soc as a percentage if it exceeds the battery's capacity", function()
    local data = navigation.decode({ latitude = 1, longitude = 2, soc = 100.0, socmax = 38.76 })
    assert.are.equal("percent", data.soc_unit)
    assert.are.equal(100, data.soc_percent)
    near(38.76, data.soc_kwh)
    assert.is_nil(data.soc_guessed)
  end)

  it("reports a guess if the unit is ambiguous", function()
    local data = navigation.decode({ latitude = 1, longitude = 2, soc = 30, socmax = 38.76 })
    assert.are.equal("percent", data.soc_unit) -- the shape of November 2021
    assert.is_true(data.soc_guessed)
    near(11.628, data.soc_kwh)
    for _, max in ipairs({ "socMax", "socmax" }) do
      data = navigation.decode({ soc = 25.95, [max] = 29.84 })
      assert.are.equal("kWh", data.soc_unit)
      assert.is_true(data.soc_guessed)
    end
  end)

  it("determines the unit from the charging level of the status", function()
    local answer = { latitude = 1, longitude = 2, soc = 30, socmax = 38.76 }
    local data = navigation.decode(answer, 77)
    assert.are.equal("kWh", data.soc_unit)
    assert.is_nil(data.soc_guessed)
    near(100 * 30 / 38.76, data.soc_percent)
    assert.are.equal("percent", navigation.decode(answer, 31).soc_unit)
  end)

  it("accepts a slightly overfull battery", function()
    local data = navigation.decode({ isoCountryCode = "DEU", soc = 30.1, socMax = 29.84 })
    assert.are.equal("kWh", data.soc_unit)
    near(100.8713137, math.floor(data.soc_percent * 1e7) / 1e7)
  end)

  it("invents no values if the maximum is missing or 0", function()
    local data = navigation.decode({ soc = 25.95 })
    assert.is_nil(data.soc_kwh)
    assert.is_nil(data.soc_percent)
    assert.is_nil(data.soc_unit)
    assert.are.equal(25.95, data.soc)
    data = navigation.decode({ isoCountryCode = "DEU", soc = 0, socMax = 0 })
    assert.are.equal(0, data.soc_kwh)
    assert.is_nil(data.soc_percent)
    data = navigation.decode({ socMax = 29.84 })
    assert.are.equal(29.84, data.soc_max_kwh)
    assert.is_nil(data.soc_unit)
  end)

  it("reads numbers sent as strings", function()
    local data = navigation.decode({
      isoCountryCode = "DEU", soc = "25.95", socmax = "29.84", vehicleMass = 1560,
      latitude = "50.1", longitude = "14.4", pendingUpdate = "true", kUp = "--",
    })
    assert.are.equal(25.95, data.soc_kwh)
    assert.are.equal(29.84, data.soc_max_kwh)
    assert.are.equal(1560, data.mass_kg)
    assert.are.same({ lat = 50.1, lon = 14.4 }, data.position)
    assert.is_true(data.pending_update)
    assert.is_nil(data.coefficients.up)
  end)

  it("skips an unreadable curve, and reports it", function()
    local data = navigation.decode({ eco = "1c94,xyz", norm = "1e15" })
    assert.is_nil(data.curves.eco)
    assert.are.same({ 0x1e15 }, data.curves.norm)
    assert.are.same({ eco = "number 2 of the curve is not hexadecimal" }, data.unreadable)
  end)

  it("accepts an empty response, and does not modify its argument", function()
    assert.are.same({ curves = {}, aux_power = {}, coefficients = {} }, navigation.decode({}))
    local answer = { soc = "1", socMax = 2 }
    navigation.decode(answer)
    assert.are.same({ soc = "1", socMax = 2 }, answer)
  end)

  it("raises for misuse", function()
    assert.has_error(function() navigation.decode(nil) end,
      "bad argument #1 to 'decode' (table expected, got nil)")
    assert.has_error(function() navigation.decode({}, "58") end,
      "bad argument #2 to 'decode' (number expected, got string)")
  end)
end)

describe("navigation.curve", function()
  it("reads hexadecimal without 0x, in either case, with spaces", function()
    assert.are.same({ 0x1c94, 0x1206, 0xd9d }, navigation.curve("1c94,1206,d9d"))
    assert.are.same({ 171, 10, 0 }, navigation.curve(" AB, a ,0"))
    assert.are.same({ 4294967295 }, navigation.curve("ffffffff"))
  end)

  it("refuses everything else", function()
    for _, text in ipairs({ "", ",", "1c94,", ",1c94", "1c94,,d9d", "0x1c", "1g", "-1", "1.5",
      "1c 94", "1c94;d9d", "123456789", "\0", "ff\0" }) do
      local numbers, message, code = navigation.curve(text)
      assert.is_nil(numbers, text)
      assert.is_string(message)
      assert.are.equal("navigation", code)
    end
    assert.has_error(function() navigation.curve(nil) end,
      "bad argument #1 to 'curve' (string expected, got nil)")
  end)

  it("is fast for a long text", function()
    local numbers = navigation.curve(("1c94,"):rep(20000) .. "1")
    assert.are.equal(20001, #numbers)
  end)
end)

describe("navigation.health", function()
  it("compares the maximum charge with the battery when new", function()
    near(70, navigation.health({ socMax = 5.6 }, 8))
    near(100, navigation.health({ socmax = "18.8" }, 18.8))
    near(105, navigation.health({ socmax = 21 }, 20))
  end)

  it("returns nil without a maximum", function()
    for _, answer in ipairs({ {}, { soc = 4 }, { socMax = "--" }, { socMax = -1 } }) do
      local percent, message, code = navigation.health(answer, 20)
      assert.is_nil(percent)
      assert.is_string(message)
      assert.are.equal("navigation", code)
    end
  end)

  it("raises for misuse", function()
    for _, wrong in ipairs({ 0, -1, "20", 0 / 0, math.huge }) do
      assert.has_error(function() navigation.health({ socMax = 5 }, wrong) end,
        "bad argument #2 to 'health' (a capacity in kWh above 0 expected)")
    end
    assert.has_error(function() navigation.health({ socMax = 5 }) end)
    assert.has_error(function() navigation.health(nil, 20) end,
      "bad argument #1 to 'health' (table expected, got nil)")
  end)
end)
