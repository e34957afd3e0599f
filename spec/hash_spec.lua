-- SHA-256 and the unpadded base64 of RFC 4648 section 5, which PKCE needs. They are not public.
local bmwi = require("bmwi")
local hash = bmwi._hash

local function hex(bytes)
  return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

-- FIPS 180-4: the examples of its companion (short, two blocks, long), then the lengths at which
-- the padding needs one more block, computed by another program.
local A = "a"
local VECTORS = {
  { "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
  { "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
  { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
  { "abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
    .. "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
    "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1" },
  { A:rep(1000000), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" },
  { A:rep(55), "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318" },
  { A:rep(56), "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a" },
  { A:rep(63), "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34" },
  { A:rep(64), "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb" },
  { A:rep(65), "635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0" },
  { A:rep(119), "31eba51c313a5c08226adf18d4a359cfdfd8d2e816b13f4af952f7ea6584dcfb" },
  { A:rep(120), "2f3d335432c70b580af0e8e1b3674a7c020d683aa5f73aaaedfdc55af904c21c" },
  { A:rep(128), "6836cf13bac400e9105071cd6af47084dfacad4e5e302c94bfed24e013afb73e" },
}

describe("SHA-256", function()
  it("gives the digests of the standard", function()
    for _, vector in ipairs(VECTORS) do
      assert.equal(vector[2], hex(hash.sha256(vector[1])), #vector[1] .. " bytes")
    end
  end)

  it("accepts every byte, including NUL", function()
    assert.are_not.equal(hash.sha256("a\0b"), hash.sha256("a\0c"))
    assert.equal("6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
      hex(hash.sha256("\0")))
  end)
end)

describe("base64url", function()
  it("uses the URL-safe alphabet without padding", function()
    for bytes, text in pairs({ [""] = "", f = "Zg", fo = "Zm8", foo = "Zm9v", ["\251\255"] = "-_8",
      ["\255\255\254"] = "___-" }) do
      assert.equal(text, hash.base64url(bytes))
    end
  end)

  it("computes the PKCE challenge of RFC 7636, appendix B", function()
    assert.equal("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
      hash.base64url(hash.sha256("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")))
  end)
end)
