-- What a store keeps besides the token: that a log-in was refused, and which resources refuse even
-- new tokens, so that the next process does not try again.
local helper = require "spec.helper"
local login = require "spec.login_helper"
local async = require "bmwi.async"
local bmwi = require "bmwi"
local store = require "bmwi.store"
local shell = helper.shell

local function write(path, text) helper.write(path, text, "600") end

describe("a client with a store remembers a refused log-in", function()
  local sim, folder, path

  setup(function() sim = helper.start() end)
  teardown(function() sim:stop() end)

  before_each(function()
    login.begin(sim)
    folder = shell("mktemp -d")
    path = folder .. "/token.json"
  end)

  after_each(function() shell("rm -rf '" .. folder .. "'") end)

  local function new(kept, overrides) return login.with_store(path, kept, overrides) end
  local function is_free() login.assert_free(path) end

  local WRONG = { password = "wr0ng-p4ssw0rd" }

  local function refused(client, code)
    local none, message, got, info = client:vehicles()
    assert.is_nil(none)
    assert.equal(code or "auth", got, message)
    is_free()
    return message, info
  end

  it("so that the next run does not retry it until something changes", function()
    local first = refused(new(nil, WRONG))
    assert.equal(1, login.count())
    for _ = 1, 3 do
      local again, info = refused(new(nil, WRONG))
      assert.equal(first, again)
      assert.is_true(math.abs(info.refused_at - os.time()) < 60)
      assert.equal(400, info.status)
    end
    local _, _, code = new(nil, WRONG):vehicle(helper.vin):lock_doors()
    assert.equal("auth", code)
    assert.equal(1, login.count())
    -- Another user, password, key or scope is tried.
    local changes = { { username = "me@example.com" }, { password = "wrong-again" },
      { api_key = "other" }, { scope = "vehicle_data" } }
    for i, change in ipairs(changes) do
      change.password = change.password or WRONG.password
      refused(new(nil, change))
      assert.equal(1 + i, login.count())
    end
    assert(new():vehicles())
    assert(new():vehicles())
    assert.equal(2 + #changes, login.count())
  end)

  it("separately for each server", function()
    refused(new(nil, WRONG))
    local other = helper.start()
    assert(bmwi.new(helper.client(other, { store = store.new(path) })):vehicles())
    other:stop()
    refused(new(nil, WRONG))
    assert.equal(1, login.count())
  end)

  it("but login() always tries, and clears the record if it succeeds", function()
    refused(new(nil, WRONG))
    assert.equal("auth", select(3, new(nil, WRONG):login()))
    assert.equal(2, login.count())
    sim:fault({ path = "/oauth/token", recorded = "client_disabled" })
    refused(new())
    refused(new())
    assert.equal(3, login.count())
    assert(new():login())
    assert(store.new(path):clear())
    assert(new():vehicles())
    assert.equal(5, login.count())
  end)

  it("without data from which the password could be guessed", function()
    refused(new(nil, WRONG))
    local file = assert(io.open(path))
    local text = file:read("*a")
    file:close()
    assert.is_nil(text:find("wr0ng", 1, true))
    assert.equal("600", shell(("stat -c %%a '%s'"):format(path)))
    local auth_error = helper.json.decode(text).auth_errors[1]
    local names = {}
    for name in pairs(auth_error) do names[#names + 1] = name end
    table.sort(names)
    assert.same({ "at", "code", "description", "owner", "status", "text", "trace" }, names)
    assert.is_true(auth_error.trace >= 0 and auth_error.trace <= 255, "eight bits tell nothing")
  end)

  it("and keeps the token of the file's owner", function()
    assert(new():vehicles())
    local saved = store.new(path):load()
    refused(new(nil, { username = "typo@example.com" }))
    assert.same(saved, store.new(path):load())
    assert(new():vehicles())
    assert.equal(2, login.count())
  end)

  it("even when another user logs in with the same file", function()
    local typo = { username = "typo@example.com" }
    refused(new(nil, typo))
    assert(new():vehicles())
    refused(new(nil, typo))
    assert.equal(2, login.count())
  end)

  it("but not in a file that is not a store", function()
    write(path, "my notes")
    refused(new(nil, WRONG))
    assert.equal("my notes", helper.read(path))
  end)

  it("among others, the newest few", function()
    for i = 1, 12 do refused(new(nil, { username = i .. "@example.com" })) end
    local file = assert(io.open(path))
    local kept = helper.json.decode(file:read("*a"))
    file:close()
    assert.equal(8, #kept.auth_errors)
    assert.equal("12@example.com", kept.auth_errors[1].owner.username)
    assert.equal("missing", select(3, store.new(path):load()))
  end)

  it("that two tried at the same time, which is sent once", function()
    local kept = store.new(path)
    local one, two = new(kept, WRONG), new(kept, WRONG)
    async.run(function() refused(one) end, function() refused(two) end)
    assert.equal(1, login.count())
  end)

  it("until another client has a token for it", function()
    local kept = store.new(path)
    local one, two = new(kept, WRONG), new(kept)
    for _ = 1, 3 do refused(one) end
    assert(store.new(path):clear()) -- what it was told holds without the file, too
    local _, info = refused(one)
    assert.is_true(math.abs(info.refused_at - os.time()) < 60)
    assert.equal(1, login.count())
    assert(two:vehicles())
    assert(one:vehicles())
    assert.equal(2, login.count())
    is_free()
  end)

  it("for the time that the server gave, but not for what a gateway says", function()
    sim:fault({ path = "/oauth/token", status = 429, headers = { ["Retry-After"] = "3600" } })
    refused(new(), "rate_limited")
    local _, info = refused(new(), "rate_limited")
    assert.is_true(info.retry_after > 3500 and info.retry_after <= 3601)
    assert.equal(1, login.count())
    assert(store.new(path):clear())
    for _, rule in ipairs({ { status = 403 }, { status = 503 }, { raw = "" },
      { reset = "after" } }) do
      rule.path = "/oauth/token"
      sim:fault(rule)
      assert.is_nil((new(nil, { retries = 0 }):vehicles()))
    end
    assert(new():vehicles())
  end)

  it("but not for long because of a wrong clock", function()
    sim:fault({ path = "/oauth/token", status = 429, headers = { ["Retry-After"] = "3600" } })
    refused(new(), "rate_limited")
    local file = assert(io.open(path))
    local text = file:read("*a")
    file:close()
    for _, ends in ipairs({ os.time() - 1, os.time() + 1e7 }) do
      write(path, (text:gsub('"ends":%d+', ('"ends":%d'):format(ends))))
      assert(new():vehicles())
      assert(store.new(path):clear())
    end
  end)

  it("in any store that keeps what is passed to finish", function()
    local kept, whose
    local own = {
      load = function() return nil, "there is none", "missing" end,
      save = function() return true end,
      begin = function() return nil, kept end,
      finish = function(_, refusal, owner) kept, whose = refusal or kept, owner or whose end,
    }
    for _ = 1, 3 do assert.is_nil((new(own, WRONG):vehicles())) end
    assert.equal(1, login.count())
    assert.same({ server = sim.url, username = "whatever@example.com" }, whose)
    for _, odd in ipairs({ "x", 7, {}, { trace = "x" }, { trace = kept.trace, ends = "x",
      code = 1, text = {}, description = 2, status = "y", at = "z" } }) do
      kept = odd
      assert.is_nil((new(own, WRONG):vehicles()))
    end
    local trace = kept.trace
    for _, at in ipairs({ -1, 0 / 0, 1e300, math.huge, os.time() + 1e6 }) do
      kept = { trace = trace, code = "auth", text = "refused", at = at }
      local _, info = refused(new(own, WRONG), "auth")
      assert.is_true(info.refused_at > 0 and info.refused_at <= os.time(), tostring(at))
    end
  end)

  it("and a resource that refuses tokens, so that no run renews the token for it", function()
    sim:fault({ path = "/navigation/", recorded = "invalid_token", times = 0 })
    for _ = 1, 4 do
      local client = new()
      assert(client:vehicles())
      local none, _, code = client:vehicle(helper.vin):navigation()
      assert.is_nil(none)
      assert.equal("auth", code)
      is_free()
    end
    assert.equal(2, login.count())
    sim:no_faults()
    assert(new():vehicle(helper.vin):navigation())
  end)
end)
