--- The end of things: what calls bmwi when the Lua state, the client or the task is already gone,
--- or goes in the middle of a call.
local helper = require("spec.helper")

local VIN = helper.vin

describe("a finalizer", function()
  local sim

  setup(function() sim = helper.start() end)
  teardown(function() sim:stop() end)

  -- What a program says that has an object whose finalizer does `use`; older or younger than bmwi.
  local function finalized(use, older)
    local guard = [[
      local guard = newproxy and newproxy(true) or setmetatable({}, {})
      getmetatable(guard).__gc = function()
        local ok, message = pcall(use)
        io.stdout:write(tostring(ok), " ", tostring(message), "\n")
      end
      if not newproxy then setmetatable(guard, getmetatable(guard)) end
      keep = guard]]
    local load = [[
      bmwi, async, store = require("bmwi"), require("bmwi.async"), require("bmwi.store")
      new = function()
        return bmwi.new({ base_url = URL, username = "whatever@example.com", password = "p4ssw0rd",
          api_key = "key", api_secret = "secret", retries = 0, timeout = 5 })
      end
      client = new()
      car = client:vehicle(VIN)
      profile = assert(car:charging_profile())
      thread = coroutine.create(function() end)]]
    return helper.program(("URL, VIN = %q, %q\n"):format(sim.url, VIN)
      .. "local function use() " .. use .. " end\n"
      .. (older and guard .. "\n" .. load or load .. "\n" .. guard), nil,
      "COMMAND 2>&1; echo exit $?")
  end

  -- Each entry that goes through the engine, and one that does not.
  local ENTRIES = { "bmwi.sleep(0)", "new()", "bmwi.loop:pollfd()", "bmwi.loop:events()",
    "bmwi.loop:timeout()", "bmwi.loop:step()", "bmwi.loop:step(1)", "bmwi.loop:limit(3)",
    "bmwi.loop:wait()", "bmwi.loop:gate()", "bmwi.loop:fail(1)", "bmwi.loop:attach(thread, print)",
    "bmwi.loop:detach(thread)", "async.spawn(use)", "async.run(use)", "async.map({ 1 }, use)",
    "client:login()", "client:vehicles()", "client:token()", "client:get('/x')",
    "client:post('/x', { a = 1 })", "client:vehicle(VIN)", "car:status()", "car:lock_doors()",
    "car:image({ view = 'FRONT' })", "car:execute('DOOR_LOCK', { a = 1 })",
    "car:send_poi({ lat = 1, lon = 2 })", "car:set_charging_profile(profile)",
    "car:execution('DOOR_LOCK')" }

  for _, use in ipairs(ENTRIES) do
    it("older than the module gets an error from " .. use, function()
      local said = finalized(use, true)
      assert(said:find("^false [^\n]+\nexit 0\n$"), said)
      assert(said:find("the Lua state is being closed", 1, true)
        or said:find("closed client", 1, true), said)
    end)
  end

  for _, use in ipairs({ "client:close()", "tostring(client)", "tostring(car)", "car:vin()" }) do
    it("older than the module may use " .. use, function()
      local said = finalized("return " .. use, true)
      assert(said:find("^true [^\n]+\nexit 0\n$"), said)
    end)
  end

  it("younger than the module may make calls still", function()
    local said = finalized("return assert(new():vehicle(VIN):status()).vin")
    assert.equal("true " .. VIN .. "\nexit 0\n", said)
  end)

  it("may leave calls and tasks behind, that end with the state", function()
    local said = finalized([[
      local other = new():vehicle(VIN)
      for _ = 1, 3 do
        async.spawn(function() other:status() end, print)
        async.spawn(function() bmwi.sleep(60) end, print)
      end
      bmwi.loop:step()]])
    -- (LuaJIT takes the first yield in a finalizer for one of a debug hook: that task fails.)
    assert(said:find("true nil\nexit 0\n$"), said)
    assert(rawget(_G, "jit") or said == "true nil\nexit 0\n", said)
  end)
end)
