--- bmwi.base64: RFC 4648 section 4, against a slow reference written here.
local bmwi = require("bmwi")
local base64 = bmwi.base64

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

-- RFC 4648 section 10, and an example of the API description.
local VECTORS = {
  { "", "" },
  { "f", "Zg==" },
  { "fo", "Zm8=" },
  { "foo", "Zm9v" },
  { "foob", "Zm9vYg==" },
  { "fooba", "Zm9vYmE=" },
  { "foobar", "Zm9vYmFy" },
  { "key:secret", "a2V5OnNlY3JldA==" },
}

-- Encodes bit by bit.
local function slow_encode(bytes)
  local bits = {}
  for i = 1, #bytes do
    local value = bytes:byte(i)
    for power = 7, 0, -1 do
      local weight = 2 ^ power
      local bit = value >= weight
      bits[#bits + 1] = bit and 1 or 0
      value = bit and value - weight or value
    end
  end
  while #bits % 6 ~= 0 do bits[#bits + 1] = 0 end
  local out = {}
  for i = 1, #bits, 6 do
    local value = 0
    for k = i, i + 5 do value = value * 2 + bits[k] end
    out[#out + 1] = ALPHABET:sub(value + 1, value + 1)
  end
  while #out % 4 ~= 0 do out[#out + 1] = "=" end
  return table.concat(out)
end

local function every_byte()
  local bytes = {}
  for i = 0, 255 do bytes[#bytes + 1] = string.char(i) end
  return table.concat(bytes)
end

local function refused(text)
  local bytes, message, code = base64.decode(text)
  assert.is_nil(bytes, ("%q was taken"):format(text))
  assert.equal("base64", code)
  assert.is_string(message)
end

describe("bmwi.base64", function()
  it("encodes and decodes the vectors of the standard", function()
    for _, vector in ipairs(VECTORS) do
      assert.equal(vector[2], base64.encode(vector[1]))
      assert.equal(vector[1], base64.decode(vector[2]))
    end
  end)

  it("handles all 256 bytes, including NUL, at every position of a group", function()
    local bytes = every_byte()
    for shift = 0, 2 do
      local shifted = ("\0"):rep(shift) .. bytes
      local text = base64.encode(shifted)
      assert.equal(slow_encode(shifted), text)
      assert.equal(shifted, base64.decode(text))
    end
  end)

  it("uses every letter of the alphabet for its own value", function()
    for i = 1, 64 do
      local letter = ALPHABET:sub(i, i)
      assert.equal(string.char((i - 1) * 4), base64.decode(letter .. "A=="), letter)
      assert.equal(letter .. "A==", base64.encode(string.char((i - 1) * 4)))
    end
  end)

  it("writes no line breaks, however long the text", function()
    local text = base64.encode(("x"):rep(100000))
    assert.equal(133336, #text)
    assert.is_nil(text:find("[^%w+/=]"))
    assert.equal(("x"):rep(100000), base64.decode(text))
  end)

  it("agrees with the reference on random bytes of each length, in both directions", function()
    math.randomseed(4648)
    for length = 0, 200 do
      local list = {}
      for i = 1, length do list[i] = string.char(math.random(0, 255)) end
      local bytes = table.concat(list)
      local text = slow_encode(bytes)
      assert.equal(text, base64.encode(bytes))
      assert.equal(bytes, base64.decode(text))
    end
  end)

  describe("refuses", function()
    it("every byte outside the alphabet, at each place", function()
      for i = 0, 255 do
        local byte = string.char(i)
        if not byte:find("[%w+/=]") then
          for place = 1, 4 do
            local text = ("A"):rep(place - 1) .. byte .. ("A"):rep(4 - place)
            refused(text)
            refused("AAAA" .. text)
            refused(text .. "AAAA")
          end
        end
      end
    end)

    it("the alphabet for URLs", function()
      refused("-_-_")
      assert.equal("\251\239\190", base64.decode("++++"))
    end)

    it("line breaks and spaces", function()
      for _, text in ipairs({ "Zm9v\n", "Zm9v\r\n", "Zm9\n", "Zm9v\nYmFy", " Zm9", "Zm9v    ",
        "Zg==\n", "\239\187\191Zm9" }) do
        refused(text)
      end
    end)

    it("lengths that are not a multiple of four", function()
      for _, text in ipairs({ "Z", "Zg", "Zg=", "Zm8", "Zm9vY", "Zm9vYg", "Zm9vYg=", "=", "==",
        "===" }) do
        refused(text)
      end
    end)

    it("padding where it does not belong", function()
      for _, text in ipairs({ "====", "A===", "=AAA", "A=AA", "AA=A", "Zg==Zg==", "Zm8=Zm8=",
        "Zm9v====", "Z=g=", "Zg==AAAA" }) do
        refused(text)
      end
    end)

    it("bits left over that are not zero", function()
      -- "Zg==" is "f"; the other 15 letters in place of "g" have unused bits set.
      for last = 1, 15 do
        local at = 32 + last
        refused("Z" .. ALPHABET:sub(at + 1, at + 1) .. "==")
      end
      for last = 1, 3 do
        local at = 60 + last
        refused("Zm" .. ALPHABET:sub(at + 1, at + 1) .. "=")
      end
    end)

    it("values that are not strings, by raising", function()
      for _, f in ipairs({ base64.encode, base64.decode }) do
        assert.has_error(function() f() end)
        assert.has_error(function() f({}) end)
        assert.has_error(function() f(true) end)
      end
    end)
  end)

  it("does not quote its input in the message", function()
    local _, message = base64.decode("c2VjcmV0!")
    assert.is_nil(message:find("c2Vj", 1, true))
  end)
end)
