-- The account file: what bmwi.store keeps besides the log-in, across processes and restarts.
local helper = require("spec.helper")
local async = require("bmwi.async")
local bmwi = require("bmwi")
local store = require("bmwi.store")
local shell, fails_as = helper.shell, helper.fails_as

local NOW = 1772359200 -- 2026-03-01T10:00:00Z
local HOUR, DAY = 3600, 86400
local MIDNIGHT = NOW + 14 * HOUR
local VIN, OTHER = "WAB1C23456V123456", "WAB1C23456V654321"
local MILEAGE = "vehicle.vehicle.travelledDistance"
local LEVEL = "vehicle.drivetrain.batteryManagement.header"

local TOKEN = {
  access_token = "s3cretACCESS", token_type = "Bearer", refresh_token = "s3cretREFRESH",
  scope = "cardata:api:read openid", expires_at = NOW + HOUR, id_token = "s3cretID.jwt.jwt",
  gcid = "17219bcd-0000-4000-8000-000000000001", refresh_expires_at = NOW + 14 * DAY,
}

-- A state of bmwi._values with one value, in km.
local function state_of(descriptor, value, seconds)
  return (bmwi._values.merge(nil, {
    [descriptor] = { value = value, unit = "km", timestamp = require("bmwi.time").format(seconds) },
  }, { source = "rest", now = seconds }))
end

-- Everything in a value, with the types of its numbers and tables.
local function typed(value)
  local kind = math.type and math.type(value) or type(value) -- luacheck: ignore 143
  if type(value) ~= "table" then return ("%s %s"):format(kind, tostring(value)) end
  local parts = {}
  for name, member in pairs(value) do parts[#parts + 1] = name .. " = " .. typed(member) end
  table.sort(parts)
  return (bmwi.json.is_array(value) and "array {" or "{") .. table.concat(parts, ", ") .. "}"
end

local function spend_all(kept, count, now, limit)
  for i = 1, count do
    local allowed, left = kept:_spend({ limit = limit, now = now })
    assert(allowed, ("call %d: %s"):format(i, tostring(left)))
  end
end

-- What both kinds of store have in common; new() makes an empty one.
local function common(new)
  local kept

  before_each(function() kept = new() end)

  it("is empty at first", function()
    assert.same({}, kept:_read())
    for _, what in ipairs({ "_container", "_vehicles" }) do
      assert.same({}, { kept[what](kept) })
    end
    for _, what in ipairs({ "_values", "_basic" }) do
      assert.same({}, { kept[what](kept, VIN) })
    end
    assert.same({}, kept:_refused_descriptors())
    assert.same({ limit = 50, used = 0, left = 50, resets_at = NOW }, kept:_quota(50, NOW))
    fails_as("missing", kept:load())
  end)

  it("returns each part", function()
    assert.is_true(kept:_set_container({ id = "W00J029D733HA", name = "bmwi", version = "v1" }))
    assert.is_true(kept:_set_vehicles({ { vin = VIN, mappingType = "PRIMARY" } }))
    assert.is_true(kept:_set_basic(VIN, { model = "i3", chargingModes = bmwi.json.array() }))
    assert.is_true(kept:_refuse_descriptor("vehicle.gone"))
    assert.is_true(kept:_refuse_descriptor("vehicle.gone"))
    assert.is_true(kept:_set_values(VIN, state_of(MILEAGE, "100", NOW)))
    assert.is_true(kept:save(TOKEN))
    assert.same({ id = "W00J029D733HA", name = "bmwi", version = "v1" }, kept:_container())
    assert.same({ { vin = VIN, mappingType = "PRIMARY" } }, kept:_vehicles())
    assert.equal('{"chargingModes":[],"model":"i3"}', bmwi.json.encode(kept:_basic(VIN)))
    assert.is_nil((kept:_basic(OTHER)))
    assert.same({ ["vehicle.gone"] = true }, kept:_refused_descriptors())
    assert.same({ "vehicle.gone" }, kept:_read().refused_descriptors)
    local entry = kept:_values(VIN)[MILEAGE]
    assert.equal(100, entry.value)
    assert.equal("km", entry.unit)
    assert.equal(NOW, entry.time)
    assert.equal("cache", entry.source)
    assert.same(TOKEN, kept:load())
    assert.is_true(kept:_set_container(nil))
    assert.is_nil((kept:_container()))
    assert.is_true(kept:clear())
    assert.same({}, kept:_read())
  end)

  it("gives copies", function()
    local vehicles = { { vin = VIN } }
    assert(kept:_set_vehicles(vehicles))
    vehicles[1].vin = OTHER
    kept:_vehicles()[1].vin = OTHER
    assert.equal(VIN, kept:_vehicles()[1].vin)
    assert(kept:_set_basic(VIN, { parts = { "seat" } }))
    assert(kept:_set_values(VIN, state_of(MILEAGE, "100", NOW)))
    assert(kept:_spend({ now = NOW + 1000 }))
    local token, refusal = { access_token = "a", refused_by = { "one" } }, { message = "m" }
    assert(kept:save(token))
    token.refused_by[1] = "two"
    kept:begin()
    kept:finish(refusal)
    refusal.message = "other"
    assert.same({ "one" }, kept:load().refused_by)
    assert.equal("m", kept:_read().auth_errors[1].message)
    local before = bmwi.json.encode(kept:_read())
    kept:_read().quota.calls[1] = 1
    kept:_basic(VIN).parts[1] = "door"
    kept:_all_basic()[VIN].parts[1] = "door"
    kept:_values(VIN)[MILEAGE].value = 1
    kept:_quota(50, NOW) -- the clock was set back, which it records
    kept:load().refused_by[1] = "two"
    local _, auth_error = kept:begin()
    auth_error.message = "other"
    kept:finish()
    assert.equal(before, bmwi.json.encode(kept:_read()))
  end)

  it("decodes nothing that it wrote itself, and knows the same as others who read it", function()
    local decode, count = bmwi.json.decode, 0
    bmwi.json.decode = function(...)
      count = count + 1
      return decode(...)
    end
    finally(function()
      bmwi.json.decode = decode
      collectgarbage("restart")
    end)
    collectgarbage("stop")
    assert(kept:_spend({ now = NOW + 0.5 }))
    assert(kept:_set_basic(VIN, { doors = 4, parts = bmwi.json.array(), more = {} }))
    assert(kept:_set_values(VIN, state_of(MILEAGE, "100.0", NOW), NOW))
    local known = typed(kept:_read())
    assert.equal(0, count)
    collectgarbage() -- what is known is no more
    assert.equal(known, typed(kept:_read()))
    assert.equal(1, count)
  end)

  it("keeps what another has not changed when a token is saved", function()
    assert(kept:_spend({ now = NOW }))
    assert(kept:_set_values(VIN, state_of(MILEAGE, "100", NOW)))
    assert(kept:save(TOKEN))
    assert(kept:save({ access_token = "second" }))
    assert.same({ access_token = "second" }, kept:load())
    assert.equal(1, kept:_quota(50, NOW).used)
    assert.equal(100, kept:_values(VIN)[MILEAGE].value)
  end)

  it("discards the data of another account, but not the count of stream connections", function()
    assert(kept:save(TOKEN))
    assert(kept:_spend({ now = NOW }))
    assert(kept:_set_vehicles({ { vin = VIN } }))
    assert(kept:_stream_attempt(NOW))
    local other = {}
    for name, value in pairs(TOKEN) do other[name] = value end
    other.gcid = "17219bcd-0000-4000-8000-000000000002"
    assert(kept:save(other))
    assert.is_nil((kept:_vehicles()))
    assert.equal(0, kept:_quota(50, NOW).used)
    assert.same({ NOW }, kept:_read().attempts)
  end)

  it("knows when BMW's refresh token expires", function()
    local token = { access_token = "a", refresh_token = "one", gcid = TOKEN.gcid }
    local before = os.time()
    assert(kept:save(token))
    local ends = kept:load().refresh_expires_at
    assert(ends >= before + 1209600 and ends <= os.time() + 1209600, ends)
    -- A refresh token that a renewal did not replace keeps its expiry.
    token.refresh_expires_at = NOW
    assert(kept:save(token))
    token.refresh_expires_at, token.access_token = nil, "b"
    assert(kept:save(token))
    assert.equal(NOW, kept:load().refresh_expires_at)
    token.refresh_token = "two"
    assert(kept:save(token))
    assert(kept:load().refresh_expires_at >= before + 1209600)
    -- For another service's token it is unknown.
    assert(kept:save({ access_token = "a", refresh_token = "three" }))
    assert.is_nil(kept:load().refresh_expires_at)
  end)

  describe("_change", function()
    it("writes what was changed, and returns what the function does", function()
      assert.same({ 1, nil, 3, n = 3 }, (function(...)
        return { n = select("#", ...), ... }
      end)(kept:_change(function(account)
        account.mine = { 5 }
        return 1, nil, 3
      end)))
      assert.same({ mine = { 5 } }, kept:_read())
    end)

    it("writes nothing when the function returns nil or raises, and releases the lock", function()
      assert(kept:_change(function(account)
        account.mine = 1
        return true
      end))
      local nothing, why = kept:_change(function(account)
        account.mine = 2
        return nil, "because"
      end)
      assert.is_nil(nothing)
      assert.equal("because", why)
      local told = { "told" }
      local ok, raised = pcall(kept._change, kept, function(account)
        account.mine = 3
        error(told)
      end, 0)
      assert.is_false(ok)
      assert.equal(told, raised)
      assert.equal(1, kept:_read().mine)
      assert.is_nil((kept:_change(function(account) account.mine = 4 end)))
      assert.equal(1, kept:_read().mine)
      assert.equal(1, (kept:_change(function(account) return account.mine end, 0)))
    end)

    it("fails if the result cannot be saved, and keeps the previous data", function()
      assert(kept:_set_vehicles({ { vin = VIN } }))
      fails_as("store", kept:_change(function(account)
        account.bad = print
        return true
      end))
      local message = fails_as("store", kept:_change(function(account)
        account.text = ("s3cret"):rep(200000)
        return true
      end))
      assert.is_nil(message:find("s3cret", 1, true))
      assert.equal(VIN, kept:_vehicles()[1].vin)
    end)
  end)

  it("drops texts that are too long and keeps the others", function()
    local long = ("x"):rep(20000)
    assert(kept:_set_basic(VIN, { model = "i3", engine = long, deep = { { { { {} } } } } }))
    assert.equal("i3", kept:_basic(VIN).model)
    assert.is_nil(kept:_basic(VIN).engine)
    local state = state_of(MILEAGE, "100", NOW)
    assert(kept:_set_values(VIN, state))
    state = bmwi._values.merge(state, { [MILEAGE] = { value = long,
      timestamp = require("bmwi.time").format(NOW + 5) } }, { source = "rest", now = NOW + 5 })
    assert(kept:_set_values(VIN, state))
    assert.equal(100, kept:_values(VIN)[MILEAGE].value)
    assert(kept:_set_vehicles({ { vin = VIN, print = print }, { vin = 0 / 0 } }))
    assert.same({ { vin = VIN }, {} }, kept:_vehicles())
  end)

  it("drops the largest cache when the file becomes too large", function()
    assert(kept:save(TOKEN))
    assert(kept:_spend({ now = NOW }))
    local function data(count)
      local t = {}
      for i = 1, count do t["m" .. i] = ("x"):rep(10000) end
      return t
    end
    assert(kept:_set_basic(VIN, data(40)))
    assert(kept:_set_basic(OTHER, data(50)))
    assert(kept:_set_values(VIN, state_of(MILEAGE, "100", NOW)))
    assert(kept:_set_basic("WAB1C23456V000001", data(45)))
    assert.is_nil((kept:_basic(OTHER)))
    assert.equal(10000, #kept:_basic(VIN).m40)
    assert.same(TOKEN, kept:load())
    assert.equal(1, kept:_quota(50, NOW).used)
  end)

  it("records when values were read; values from the stream do not change that", function()
    assert.is_nil((kept:_fetched(VIN)))
    assert(kept:_set_values(VIN, state_of(MILEAGE, "100", NOW)))
    assert.is_nil((kept:_fetched(VIN)))
    assert(kept:_set_values(VIN, state_of(MILEAGE, "100", NOW), NOW + 60))
    assert(kept:_set_values(VIN, state_of(MILEAGE, "101", NOW + 70)))
    assert.equal(NOW + 60, kept:_fetched(VIN))
    assert.is_nil((kept:_fetched(OTHER)))
    assert(kept:save(TOKEN))
    assert.equal(NOW + 60, kept:_fetched(VIN))
    local other = { access_token = "a", gcid = "17219bcd-0000-4000-8000-000000000002" }
    assert(kept:save(other))
    assert.is_nil((kept:_fetched(VIN)))
  end)

  it("keeps the newer value of two writers", function()
    assert(kept:_set_values(VIN, state_of(MILEAGE, "100", NOW)))
    assert(kept:_set_values(VIN, state_of(LEVEL, "50", NOW)))
    assert(kept:_set_values(VIN, state_of(MILEAGE, "90", NOW - 60)))
    assert.equal(100, kept:_values(VIN)[MILEAGE].value)
    assert.equal(50, kept:_values(VIN)[LEVEL].value)
    assert(kept:_set_values(VIN, state_of(MILEAGE, "110", NOW + 60)))
    assert.equal(110, kept:_values(VIN)[MILEAGE].value)
  end)

  it("can be the store of a client's log-in", function()
    local sim = helper.start()
    finally(function() sim:stop() end)
    assert(kept:_set_vehicles({ { vin = VIN } }))
    local client = bmwi.new(helper.client(sim, { store = kept }))
    assert(client:vehicles())
    assert.same(client:token(), kept:load())
    assert.equal(VIN, kept:_vehicles()[1].vin)
    sim:token({ expire = true })
    local one, two = bmwi.new(helper.client(sim, { store = kept })), bmwi.new(helper.client(sim,
      { store = kept }))
    async.run(function() assert(one:vehicles()) end, function() assert(two:vehicles()) end)
    assert.equal(2, sim:count("POST", "/oauth/token"))
    assert(kept:lock(0)):unlock()
  end)

  it("has a lock for renewals that does not block changes", function()
    local lock = assert(kept:lock(0))
    fails_as("locked", kept:lock(0))
    assert.is_true((kept:_spend({ now = NOW })))
    lock:unlock()
    lock = assert(kept:lock(0))
    lock:unlock()
  end)

  it("releases the renewal lock when finishing fails", function()
    assert.is_nil((kept:begin()))
    fails_as("locked", kept:lock(0))
    assert.is_false((pcall(kept.finish, kept, "no table")))
    assert(kept:lock(0)):unlock()
  end)

  it("refuses misuse", function()
    for _, bad in ipairs({ { "_spend", { limit = 0 } }, { "_spend", { limits = 1 } },
      { "_spend", 5 }, { "_spend", { now = "noon" } }, { "_close_day", "now" }, { "_quota", "all" },
      { "_set_container", 5 }, { "_refuse_descriptor" }, { "_set_vehicles" }, { "_basic" },
      { "_set_basic", VIN }, { "_values" }, { "_set_values", VIN }, { "_fetched" },
      { "_set_all_values" }, { "_stream_attempt", {} } }) do
      local ok, message = pcall(kept[bad[1]], kept, bad[2])
      assert(not ok, bad[1])
      helper.has(message, bad[1])
    end
  end)
end

-- The rules of the quota and of the stream's connections, on a store without a file.
describe("the quota", function()
  local kept

  before_each(function() kept = store.memory() end)

  it("allows the given number of calls in 24 hours", function()
    spend_all(kept, 30, NOW)
    assert.same({ true, 19 }, { kept:_spend({ now = NOW + HOUR }) })
    spend_all(kept, 19, NOW + HOUR)
    -- After midnight UTC the calls of yesterday count until they are 24 hours old.
    for _, now in ipairs({ NOW + HOUR, MIDNIGHT, MIDNIGHT + 1, NOW + DAY - 1 }) do
      assert.same({ nil, NOW + DAY - now, "limit" }, { kept:_spend({ now = now }) })
      assert.same({ limit = 50, used = 50, left = 0, resets_at = NOW + DAY },
        kept:_quota(50, now))
    end
    assert.same({ true, 29 }, { kept:_spend({ now = NOW + DAY }) })
    assert.same({ limit = 50, used = 21, left = 29, resets_at = NOW + DAY + HOUR },
      kept:_quota(50, NOW + DAY))
  end)

  it("uses another limit if one is set #slow", function()
    spend_all(kept, 3, NOW, 3)
    assert.same({ nil, DAY, "limit" }, { kept:_spend({ limit = 3, now = NOW }) })
    assert.same({ true, 46 }, { kept:_spend({ now = NOW }) })
    -- With a limit of two, four of the five calls must expire before another is allowed.
    assert(kept:_spend({ now = NOW + 60 }))
    assert.same({ nil, DAY, "limit" }, { kept:_spend({ limit = 2, now = NOW }) })
    spend_all(kept, 600, NOW + 2 * DAY, 600)
    assert.equal("limit", (select(3, kept:_spend({ limit = 600, now = NOW + 2 * DAY }))))
  end)

  it("stays closed after CU-429 until both rules allow a call", function()
    -- Our first call expires after midnight, so the day is closed until then.
    assert(kept:_spend({ now = NOW }))
    assert(kept:_close_day(NOW + HOUR))
    for _, now in ipairs({ NOW + HOUR, MIDNIGHT + 1, NOW + DAY - 1 }) do
      assert.same({ nil, NOW + DAY - now, "closed" }, { kept:_spend({ now = now }) })
      assert.same({ limit = 50, used = 1, left = 0, resets_at = NOW + DAY }, kept:_quota(50, now))
    end
    assert.is_true((kept:_spend({ now = NOW + DAY })))
  end)

  it("stays closed until midnight at least", function()
    assert(kept:_spend({ now = NOW }))
    local late = NOW + DAY - HOUR -- in the morning of the next day
    assert(kept:_close_day(late))
    assert.same({ nil, MIDNIGHT + DAY - late, "closed" }, { kept:_spend({ now = late }) })
    assert.is_true((kept:_spend({ now = MIDNIGHT + DAY })))
  end)

  it("stays closed for 24 hours if nothing else is known", function()
    assert(kept:_close_day(NOW))
    assert.same({ nil, DAY, "closed" }, { kept:_spend({ now = NOW }) })
    assert(kept:_close_day(NOW)) -- by another process, which was on its way already
    assert.is_true((kept:_spend({ now = NOW + DAY })))
  end)

  it("is not opened by setting the clock back, nor by correcting it", function()
    spend_all(kept, 50, NOW)
    for _, now in ipairs({ NOW - 1, NOW - HOUR, NOW - 400 * DAY }) do
      assert.equal("limit", (select(3, kept:_spend({ now = now }))))
    end
    assert.same({ nil, DAY - 60, "limit" }, { kept:_spend({ now = NOW + 60 }) })
    assert.is_true((kept:_spend({ now = NOW + DAY })))
    kept:clear()
    assert(kept:_close_day(NOW))
    assert.equal("closed", (select(3, kept:_spend({ now = NOW - 3 * DAY }))))
    assert.equal("closed", (select(3, kept:_spend({ now = NOW + 60 }))))
  end)

  it("is not opened by a clock that was ahead for a while", function()
    spend_all(kept, 49, NOW)
    spend_all(kept, 1, NOW + 3 * DAY)
    assert.equal("limit", (select(3, kept:_spend({ now = NOW + 60 }))))
  end)

  it("is not locked permanently by a clock that was ahead", function()
    for _, fill in ipairs({ function() spend_all(kept, 50, NOW + 400 * DAY) end,
      function() assert(kept:_close_day(NOW + 400 * DAY)) end }) do
      kept:clear()
      fill()
      local allowed, wait = kept:_spend({ now = NOW })
      assert.is_nil(allowed)
      assert.equal(DAY, wait)
      -- Asking again does not postpone it.
      assert.equal(HOUR, (select(2, kept:_spend({ now = NOW + DAY - HOUR }))))
      assert.equal(NOW + DAY, kept:_quota(50, NOW + DAY - HOUR).resets_at)
      assert.is_true((kept:_spend({ now = NOW + DAY })))
      assert.equal(1, kept:_quota(50, NOW + DAY).used)
    end
  end)

  it("counts calls made while the clock was behind once it is right again", function()
    local LONG_AGO, right = NOW - 2000 * DAY, NOW + 60
    spend_all(kept, 4, NOW)
    spend_all(kept, 3, LONG_AGO)
    assert.same({ true, 42 }, { kept:_spend({ now = LONG_AGO + HOUR }) })
    spend_all(kept, 1, LONG_AGO + 60) -- a restart without a clock
    assert.same({ limit = 50, used = 9, left = 41, resets_at = NOW + DAY },
      kept:_quota(50, right))
    assert.same({ true, 40 }, { kept:_spend({ now = right }) })
    -- Asking again does not postpone it, and they have expired after 24 hours.
    assert.equal(10, kept:_quota(50, NOW + DAY - 1).used)
    assert.equal(6, kept:_quota(50, NOW + DAY).used)
    assert.equal(right + DAY, kept:_quota(50, NOW + DAY).resets_at)
    assert.equal(0, kept:_quota(50, right + DAY).used)
  end)

  it("does not mistake earlier calls for calls made while the clock was behind", function()
    spend_all(kept, 2, NOW - HOUR)
    spend_all(kept, 2, NOW)
    spend_all(kept, 1, NOW - 2 * HOUR) -- only this was made with the clock behind
    spend_all(kept, 1, NOW + 60)
    assert.equal(6, kept:_quota(50, NOW + 60).used)
    assert.equal(2, kept:_quota(50, NOW + DAY).used)
    -- Nor days-old calls made with a clock that was first ahead, then behind.
    kept:clear()
    for _, hours in ipairs({ 240, 1, 2, 1.5, 26, 72 }) do spend_all(kept, 1, NOW + hours * HOUR) end
    spend_all(kept, 1, NOW + 71 * HOUR)
    assert.equal(2, kept:_quota(50, NOW + 73 * HOUR).used)
  end)

  it("does not grow without bound #slow", function()
    for day = 1, 30 do spend_all(kept, 40, NOW + day * DAY) end
    assert(#kept:_read().quota.calls <= 240, #kept:_read().quota.calls)
  end)
end)

describe("connections to the stream", function()
  it("are limited to four a minute", function()
    local kept = store.memory()
    for second = 0, 3 do assert.same({ true, 0 }, { kept:_stream_attempt(NOW + second) }) end
    assert.same({ false, 55 }, { kept:_stream_attempt(NOW + 5) })
    assert.same({ false, 1 }, { kept:_stream_attempt(NOW + 59) })
    assert.same({ true, 0 }, { kept:_stream_attempt(NOW + 60) })
    assert.same({ false, 1 }, { kept:_stream_attempt(NOW + 60) })
  end)

  it("are not blocked for long by a clock that was ahead", function()
    local kept = store.memory()
    for _ = 1, 4 do assert(kept:_stream_attempt(NOW + 400 * DAY)) end
    assert.same({ false, 60 }, { kept:_stream_attempt(NOW) })
    assert.same({ false, 1 }, { kept:_stream_attempt(NOW + 59) })
    assert.same({ true, 0 }, { kept:_stream_attempt(NOW + 60) })
  end)
end)

describe("an account in memory", function()
  common(store.memory)

  it("is separate from others", function()
    assert(store.memory():save({ access_token = "a" }))
    fails_as("missing", store.memory():load())
    assert.equal("bmwi.store: memory", tostring(store.memory()))
  end)
end)

describe("the account file", function()
  local folder, path

  before_each(function()
    folder = shell("mktemp -d")
    path = folder .. "/state/token.json"
  end)

  after_each(function() shell("rm -rf '" .. folder .. "'") end)

  common(function() return store.new(path) end)

  it("is private, and the same for the next store", function()
    local kept = store.new(path)
    assert(kept:_spend({ now = NOW }))
    assert.equal("600", shell(("stat -c %%a '%s'"):format(path)))
    assert(store.new(path):_close_day(NOW))
    assert.equal("closed", (select(3, kept:_spend({ now = NOW }))))
    assert.equal(1, store.new(path):_quota(50, NOW).used)
  end)

  it("is not written for a call that is not allowed", function()
    local kept = store.new(path)
    assert(kept:_spend({ limit = 1, now = NOW }))
    local before = shell(("stat -c %%i '%s'"):format(path))
    assert.is_nil((kept:_spend({ limit = 1, now = NOW })))
    assert.equal(before, shell(("stat -c %%i '%s'"):format(path)))
  end)

  it("reads a file of version 0.1.0, and keeps the token in it", function()
    helper.write(folder .. "/old.json", '{"access_token":"a","expires_at":1893456000,"owner":'
      .. '{"server":"https://one.example","username":"me"},"refresh_token":"r","scope":"s"}\n',
      "600")
    local kept = store.new(folder .. "/old.json", { server = "https://one.example" })
    local token = { access_token = "a", expires_at = 1893456000, refresh_token = "r", scope = "s" }
    assert.same(token, kept:load())
    assert(kept:_spend({ now = NOW }))
    assert.same(token, kept:load())
    assert.equal("me", kept:_read().owner.username)
  end)

  it("keeps members that a later version has added", function()
    helper.write(folder .. "/new.json", '{"access_token":"a","later":{"x":[]}}', "600")
    local kept = store.new(folder .. "/new.json")
    assert(kept:_spend({ now = NOW }))
    assert(kept:save({ access_token = "b" }))
    helper.has(helper.read(folder .. "/new.json"), '"later":{"x":[]}')
  end)

  it("is reported if damaged, and set aside only by the next log-in", function()
    path = folder .. "/token.json"
    local kept = store.new(path)
    for _, text in ipairs({ '{"access_token":"s3cret","quota":{"cal', "", "s3cret", "[1]",
      '{"quota":5}', '{"quota":{"calls":["s3cret"]}}', '{"quota":{"calls":{"a":1}}}',
      '{"quota":{"closed_at":true}}' }) do
      helper.write(path, text, "600")
      for _, message in ipairs({ fails_as("store", kept:_read()),
        fails_as("store", kept:_quota(50, NOW)), fails_as("store", kept:_values(VIN)),
        (fails_as("store", kept:_set_vehicles({}))) }) do
        assert.equal(path .. " is damaged, or belongs to another program", message)
      end
      for _, info in ipairs({ select(4, kept:_read()), select(4, kept:_values(VIN)),
        select(4, kept:_spend({ now = NOW })), select(4, kept:_set_vehicles({})) }) do
        helper.has(info.hint, "move the file away, or log in again")
      end
      local nothing, message, code = kept:_spend({ now = NOW })
      fails_as("store", nothing, message, code)
      assert.equal(text, helper.read(path))
      assert(kept:save(TOKEN))
      assert.equal(text, helper.read(path .. ".damaged"))
      assert.equal("600", shell(("stat -c %%a '%s.damaged'"):format(path)))
      assert.is_true((kept:_spend({ now = NOW })))
      assert(kept:clear())
      assert.is_nil(helper.read(path .. ".damaged"))
    end
  end)

  it("is kept if it is damaged and cannot be set aside", function()
    path = folder .. "/token.json"
    helper.write(path, "s3cret", "600")
    shell(("mkdir '%s.damaged'"):format(path))
    helper.has(fails_as("file", store.new(path):save(TOKEN)), path .. ".damaged")
    assert.equal("s3cret", helper.read(path))
  end)

  it("ignores a damaged part that BMW can send again", function()
    path = folder .. "/token.json"
    helper.write(path, '{"access_token":"a","container":5,"refused_descriptors":"x","vehicles":{},'
      .. '"basic":[1],"values":{"' .. VIN .. '":{"x":5,"' .. LEVEL
      .. '":{"value":5,"time":"x"}}},"fetched":"x",'
      .. '"attempts":["x",1e300],"quota":{"calls":[' .. NOW .. "]}}",
      "600")
    local kept = store.new(path)
    assert.is_nil((kept:_container()))
    assert.same({}, kept:_refused_descriptors())
    assert.same({}, kept:_vehicles())
    assert.is_nil((kept:_basic(VIN)))
    assert.equal(5, kept:_values(VIN)[LEVEL].value)
    assert.is_nil((kept:_fetched(VIN)))
    assert.is_true((kept:_stream_attempt(NOW)))
    assert(kept:_set_values(VIN, state_of(LEVEL, "6", NOW)))
    assert.equal(6, kept:_values(VIN)[LEVEL].value)
    assert.equal(1, kept:_quota(50, NOW).used)
    assert.equal("a", kept:load().access_token)
  end)

  it("is not trusted if others can access it, and is recreated by a log-in", function()
    path = folder .. "/token.json"
    helper.write(path, '{"access_token":"a","vehicles":[{"vin":"' .. VIN .. '"}]}', "644")
    local kept = store.new(path)
    local message, info = fails_as("store", kept:_read())
    assert.is_nil(message:find("chmod", 1, true), message)
    assert.equal("run: chmod 600 " .. path, info.hint)
    fails_as("store", kept:_set_vehicles({}))
    assert(kept:save(TOKEN))
    assert.is_nil((kept:_vehicles()))
    assert.equal("600", shell(("stat -c %%a '%s'"):format(path)))
  end)

  -- Without the count, a new log-in would send calls that BMW refuses.
  it("keeps what BMW counts and refuses when a log-in or logout replaces it", function()
    path = folder .. "/token.json"
    local kept = store.new(path)
    local lasting = { quota = { calls = { NOW, NOW, NOW } }, gcid = TOKEN.gcid,
      refused_descriptors = { "vehicle.gone" }, attempts = { NOW } }
    local account = { access_token = "others", refresh_token = "others",
      vehicles = { { vin = VIN } }, container = { id = "W1" } }
    for name, value in pairs(lasting) do account[name] = value end
    helper.write(path, helper.json.encode(account), "666")
    assert(kept:_log_out())
    assert.same(lasting, kept:_read())
    helper.write(path, helper.json.encode(account), "644")
    assert(kept:save(TOKEN))
    for name, value in pairs(TOKEN) do lasting[name] = value end
    assert.same(lasting, kept:_read())
    assert.equal("600", shell(("stat -c %%a '%s'"):format(path)))
    local other = {}
    for name, value in pairs(TOKEN) do other[name] = value end
    other.gcid = "17219bcd-0000-4000-8000-000000000002"
    shell(("chmod 644 '%s'"):format(path))
    assert(kept:save(other))
    assert.equal(50, kept:_quota(50, NOW).left)
  end)

  it("begins anew if others can access it and its content is no account", function()
    path = folder .. "/token.json"
    local kept = store.new(path)
    for _, text in ipairs({ "", "x", '{"quota":{"calls":["x"]}}', "[1]",
      '{"gcid":"' .. ("x"):rep(1024 * 1024) .. '"}' }) do
      helper.write(path, text, "644")
      assert(kept:save(TOKEN))
      assert.same(TOKEN, kept:_read())
      helper.write(path, text, "644")
      assert(kept:_log_out())
      assert.is_nil(helper.read(path))
    end
  end)

  it("is not blocked for more than a day by what others wrote", function()
    path = folder .. "/token.json"
    local kept = store.new(path)
    helper.write(path, '{"quota":{"calls":[9e15,-1,1.5,9e300],"closed_at":9e15,'
      .. '"closed_until":9e300,"set_back_at":9e15},"attempts":[9e15,"x",9e15,9e15,9e15,9e15],'
      .. '"refused_descriptors":[1,{}]}', "666")
    assert(kept:save(TOKEN))
    kept:_spend({ now = NOW })
    assert.is_true((kept:_spend({ now = NOW + DAY })))
    kept:_stream_attempt(NOW)
    assert.is_true((kept:_stream_attempt(NOW + 60)))
    assert.same({}, kept:_refused_descriptors())
  end)

  it("reports that it cannot be written", function()
    helper.write(folder .. "/file", "")
    local kept = store.new(folder .. "/file/token.json")
    for _, call in ipairs({ "_spend", "_close_day", "_stream_attempt", "_read" }) do
      helper.has(fails_as("store", kept[call](kept)), folder .. "/file")
    end
  end)

  it("waits for another process without blocking other tasks", function()
    local kept = store.new(path)
    local lock = assert(bmwi._sys.try_lock(path, "write.lock"))
    local ran, allowed = false, nil
    async.run(function() allowed = kept:_spend({ now = NOW }) end, function()
      bmwi.sleep(0.05)
      assert.is_nil(allowed)
      ran = true
      lock:unlock()
    end)
    assert.is_true(ran)
    assert.is_true(allowed)
    lock = assert(bmwi._sys.try_lock(path, "write.lock"))
    local never = function() error("it was called") end
    helper.has(fails_as("store", kept:_change(never, 0.05)), path)
    lock:unlock()
  end)

  describe("shared by several processes", function()
    local lua = os.getenv("LUA") or "lua" .. _VERSION:match("%d+%.%d+")

    -- The command that runs a Lua text; `kept` is the store in it.
    local function program(text)
      local script = folder .. "/program.lua"
      helper.write(script, ("local bmwi, kept = require('bmwi'), require('bmwi.store').new(%q)\n")
        :format(path) .. text)
      return ("env LUA_PATH='%s' LUA_CPATH='%s' %s '%s'"):format(package.path, package.cpath, lua,
        script)
    end

    it("loses nothing when ten change it at once", function()
      local command = program([[
        local me = tonumber(arg[1])
        local vin = ("WAB1C23456V%06d"):format(me)
        local allowed = 0
        for i = 1, 6 do
          if kept:_spend({ now = ]] .. NOW .. [[ }) then allowed = allowed + 1 end
          assert(kept:_refuse_descriptor(me .. "." .. i))
          assert(kept:save({ access_token = ("x"):rep(100) .. me }))
          assert(kept:_set_basic(vin, { i = i }))
          assert(kept:_set_values("]] .. VIN
        .. [[", { [me .. "." .. i] = { value = i, time = i } }))
        end
        io.write(allowed, " ")]])
      local said = shell(("for i in 1 2 3 4 5 6 7 8 9 10; do %s $i 2>&1 & done; wait"):format(
        command))
      local sum = 0
      for word in said:gmatch("%S+") do sum = sum + assert(tonumber(word), said) end
      local kept = store.new(path)
      assert.equal(50, sum)
      assert.same({ limit = 50, used = 50, left = 0, resets_at = NOW + DAY }, kept:_quota(50, NOW))
      local refused, state = kept:_refused_descriptors(), kept:_values(VIN)
      for me = 1, 10 do
        assert.equal(6, kept:_basic(("WAB1C23456V%06d"):format(me)).i)
        for i = 1, 6 do
          assert.is_true(refused[me .. "." .. i])
          assert.equal(i, state[me .. "." .. i].value)
        end
      end
      assert.matches("^x+%d+$", kept:load().access_token)
    end)

    it("gives others a turn at a lock after waiting for it", function()
      local change, seen, free = require("bmwi.store.change"), {}, { false, true, true, true }
      local place = { try_lock = function()
        seen[#seen + 1] = "try"
        if table.remove(free, 1) then return {} end
        return nil, "another process holds the lock", "locked"
      end }
      local function sleep() seen[#seen + 1] = "sleep" end
      for _, expected in ipairs({ "try sleep try", "sleep try", "try" }) do
        seen = {}
        assert.is_table(change.take(place, "lock", 1, 0.01, sleep))
        assert.equal(expected, table.concat(seen, " "))
      end
    end)

    it("is complete whenever a process is killed, and counts every reported call #slow", function()
      local kept = store.new(path)
      assert(kept:save(TOKEN))
      local command = program([[
        io.stdout:setvbuf("no")
        for i = 1, 1e9 do
          assert(kept:_spend({ limit = 5000, now = ]] .. NOW .. [[ }))
          io.write("+")
          assert(kept:save({ access_token = ("a"):rep(3000), refresh_token = tostring(i) }))
          assert(kept:_set_basic("]] .. VIN .. [[", { text = ("b"):rep(3000), i = i }))
        end]])
      local told = 0
      for _ = 1, 50 do
        local said = shell(([[umask 0; %s >'%s/said' 2>&1 & pid=$!; sleep 0.%03d
          kill -KILL $pid; wait $pid 2>/dev/null; cat '%s/said']]):format(command, folder,
          math.random(20, 80), folder))
        assert.matches("^%+*$", said)
        told = told + #said
        local used = assert(kept:_quota(5000, NOW)).used
        -- A call may have been counted just before the process was killed.
        assert(used >= told and used <= told + 1, used .. " calls, " .. told .. " told")
        told = used
        local token = assert(kept:load())
        assert(token.access_token == TOKEN.access_token or token.access_token == ("a"):rep(3000))
        local basic = kept:_basic(VIN)
        assert(not basic or basic.text == ("b"):rep(3000))
        assert.equal("", shell(("find '%s/state' -type f -perm /077"):format(folder)))
      end
      assert(told > 0, "no program came so far")
      assert(kept:_spend({ limit = 5000, now = NOW }))
    end)
  end)

  describe("after bmwi logout", function()
    before_each(function()
      assert(store.new(path):save(TOKEN))
      helper.write(path .. ".damaged", "x", "600")
    end)

    local function log_out()
      local lua = os.getenv("LUA") or "lua" .. _VERSION:match("%d+%.%d+")
      shell(("env HOME='%s' XDG_CONFIG_HOME='%s' LUA_PATH='%s' LUA_CPATH='%s' "
        .. "BMWI_TOKEN_FILE='%s' %s bin/bmwi logout --base-url http://127.0.0.1:9"):format(folder,
        folder, package.path, package.cpath, path, lua))
      assert.is_nil(helper.read(path .. ".damaged"))
    end

    it("is gone if no call was counted", function()
      log_out()
      assert.is_nil(helper.read(path))
    end)

    it("keeps only the count and what BMW refused, for the same account", function()
      local kept = store.new(path)
      spend_all(kept, 3, NOW)
      assert(kept:_refuse_descriptor("vehicle.gone"))
      assert(kept:_set_container({ id = "W00J029D733HA", name = "bmwi", version = "v1" }))
      assert(kept:_set_vehicles({ { vin = VIN } }))
      assert(kept:_set_basic(VIN, { model = "i3" }))
      assert(kept:_set_values(VIN, state_of(MILEAGE, "100", NOW), NOW))
      log_out()
      assert.same({ quota = { calls = { NOW, NOW, NOW } }, gcid = TOKEN.gcid,
        refused_descriptors = { "vehicle.gone" } }, kept:_read())
      fails_as("missing", kept:load())
      assert(kept:save(TOKEN))
      assert.equal(47, kept:_quota(50, NOW).left)
      log_out()
      local other = {}
      for name, value in pairs(TOKEN) do other[name] = value end
      other.gcid = "17219bcd-0000-4000-8000-000000000002"
      assert(kept:save(other))
      assert.equal(50, kept:_quota(50, NOW).left)
    end)
  end)
end)
