--- Lifetimes: calls of bmwi when the Lua state, the client or the task has already ended, or ends
--- in the middle of a call.
local helper = require("spec.helper")
local bmwi = require("bmwi")

local VIN = helper.vin
local close_coroutine = coroutine.close -- luacheck: ignore (Lua 5.4)

describe("a finalizer", function()
  local sim

  setup(function() sim = helper.start() end)
  teardown(function() sim:stop() end)

  -- The output of a program with an object whose finalizer does `use`, created before or after
  -- bmwi.
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

  it("younger than the module may still make calls", function()
    local said = finalized("return assert(new():vehicle(VIN):status()).vin")
    assert.equal("true " .. VIN .. "\nexit 0\n", said)
  end)

  it("may leave behind calls and tasks, which end with the state", function()
    local said = finalized([[
      local other = new():vehicle(VIN)
      for _ = 1, 3 do
        async.spawn(function() other:status() end, print)
        async.spawn(function() bmwi.sleep(60) end, print)
      end
      bmwi.loop:step()]])
    -- (LuaJIT treats the first yield in a finalizer as a debug hook's, so that task fails.)
    assert(said:find("true nil\nexit 0\n$"), said)
    assert(rawget(_G, "jit") or said == "true nil\nexit 0\n", said)
  end)

  -- Up to Lua 5.3 the collector runs the other finalizers then, the loop's among them.
  for what, use in pairs({
    ["a client that could not be made"] = "pcall(bmwi.new, {}) sweep()",
    ["a client"] = "new() sweep()",
    ["what a call needs"] = "local other = new({ log = sweep }) return other:vehicles()",
    ["what a command needs"] = "local other = new({ log = sweep }) "
      .. "return other:vehicle(VIN):flash_lights()",
    ["what a task needs"] = [[
      async.spawn(function() bmwi.sleep(0.01) sweep() bmwi.sleep(0.01) end, function() end)
      for _ = 1, 5 do pcall(bmwi.loop.step, bmwi.loop, 0.05) end]],
  }) do
    it("may collect " .. what, function()
      local said = finalized([[
        local function sweep()
          if newproxy then return collectgarbage() end
          for _ = 1, 100 do collectgarbage("step") end -- Lua 5.3 itself may hang otherwise
        end
        local function new(more)
          local options = { base_url = URL, token = { access_token = "AAAA" }, retries = 0 }
          for name, value in pairs(more or {}) do options[name] = value end
          return bmwi.new(options)
        end
        ]] .. use)
      assert(said:find("^true nil\nexit 0\n$"), said)
    end)
  end
end)

-- For programs: what makes the collector run as often as possible, or not.
local HURRY = [[
  local function on_cycle(fn)
    local proxy = newproxy and newproxy(true) or setmetatable({}, { __gc = fn })
    if newproxy then getmetatable(proxy).__gc = fn end
  end
  local function hard()
    if _VERSION == "Lua 5.4" then return collectgarbage("incremental", 1, 1000, 20) end
    collectgarbage("setpause", 0)
    collectgarbage("setstepmul", 100000)
  end
  local function easy()
    if _VERSION == "Lua 5.4" then return collectgarbage("incremental", 200, 100, 13) end
    collectgarbage("setpause", 200)
    collectgarbage("setstepmul", 200)
  end
]]

describe("a finalizer at any moment", function()
  local sim

  setup(function() sim = helper.start({ args = { "--speed", "50" } }) end)
  teardown(function() sim:stop() end)

  -- In each round the collector runs as often as possible, and the finalizer of its k-th cycle acts
  -- in the middle of a call; the last round is one in which k cycles were not reached.
  local SCRIPT = HURRY .. [[
    local bmwi, async = require("bmwi"), require("bmwi.async")
    local MOST = 4000
    local store = { load = function() end, save = function() return true end,
      begin = function() end, finish = function() end }

    local function round(k)
      local cycles, acted, act = 0, false, nil
      local client = bmwi.new({ base_url = URL, username = "whatever@example.com",
        password = "p4ssw0rd", api_key = "key", api_secret = "secret", retries = 0, timeout = 10,
        store = store, log = function() end, on_token = function() end })
      local car = client:vehicle(VIN)
      local function tick()
        cycles = act and cycles + 1 or 0
        if cycles < k then
          on_cycle(tick)
        else
          acted = true
          act(client)
        end
      end
      local function check(ok, value, message, code)
        local good = ok and (value == nil and code == "closed" or value and value.vin == VIN)
        local gone = not ok and tostring(value):find("closed client", 1, true)
          or not ok and tostring(value):find("cancelled", 1, true)
          or not ok and tostring(value):find("the coroutine was closed", 1, true)
        if not (good or gone) then
          print("round", k, ok, value, message, code)
          os.exit(1)
        end
      end
      on_cycle(tick)
      hard()
      collectgarbage() -- from here on
      WORK
      act = nil
      easy()
      client:close()
      bmwi.loop:step()
      assert(bmwi.loop:timeout() == nil, "something is left")
      return acted
    end

    for k = 1, MOST do
      if not round(k) then
        print(k > 5 and "all rounds" or "only " .. k .. " rounds")
        return
      end
    end
    print("too many rounds")]]

  local WORKS = {
    ["closes the client of a call"] = [[
      act = client.close
      check(pcall(car.status, car))]],
    ["closes the client of a task"] = [[
      act = client.close
      local task = async.spawn(function() return car:status() end, check)
      for _ = 1, 1000 do
        if not task:done() then bmwi.loop:step(0.05) end
      end
      assert(task:done(), "the task never ends")]],
    ["cancels a task"] = [[
      local task
      act = function() if task then task:cancel() end end
      task = async.spawn(function() return car:status() end, check)
      for _ = 1, 1000 do
        if not task:done() then bmwi.loop:step(0.05) end
      end
      assert(task:done(), "the task never ends")]],
    ["closes the coroutine of a task"] = close_coroutine and [[
      local thread
      act = function()
        if thread and coroutine.status(thread) == "suspended" then coroutine.close(thread) end
      end
      local task = async.spawn(function()
        thread = coroutine.running()
        return car:status()
      end, check)
      for _ = 1, 1000 do
        if not task:done() then bmwi.loop:step(0.05) end
      end
      assert(task:done(), "the task never ends")]],
  }

  for name, work in pairs(WORKS) do
    it(name .. " #slow", function()
      if _VERSION == "Lua 5.5" then return pending("its collector cannot be hurried") end
      local script = ("URL, VIN = %q, %q\n"):format(sim.url, VIN)
        .. SCRIPT:gsub("WORK", function() return work end)
      assert.equal("all rounds\n0\n",
        helper.program(script, nil, "timeout 100 COMMAND 2>&1; echo $?"))
    end)
  end
end)

-- A few allocations of a call without an operation that waits, in one program each.
describe("a finalizer in the middle of", function()
  local sim

  setup(function() sim = helper.start({ args = { "--speed", "50" } }) end)
  teardown(function() sim:stop() end)

  local SCRIPT = HURRY .. [[
    local bmwi, async = require("bmwi"), require("bmwi.async")
    local function new(options)
      options.base_url, options.retries, options.timeout = URL, 0, 10
      options.api_key, options.api_secret = "key", "secret"
      return bmwi.new(options)
    end
    local function round(k, act, work)
      local cycles, works = 0, true
      local function tick()
        cycles = cycles + 1
        if works and cycles == k then act()
        elseif works then on_cycle(tick) end
      end
      on_cycle(tick)
      hard()
      collectgarbage()
      work()
      works = false
      easy()
      return cycles
    end
    WORK
    print("good")]]

  local WORKS = {
    ["parameters may close the client"] = [[
      URL = "http://127.0.0.1:1"
      for k = 1, 60 do
        local client = new({ token = { access_token = "abc" } })
        local car = client:vehicle(VIN)
        local more = { a = k + 0.5, b = k + 1.5, c = k + 2.5, d = k + 3.5 }
        round(k, function() client:close() end, function()
          pcall(car.execute, car, "DOOR_LOCK", more)
        end)
      end]],
    ["an option that is read may close the client"] = [[
      for k = 1, 6 do
        local client = bmwi.new({ service = "cardata", base_url = URL, login_url = URL .. "/" .. k,
          client_id = "31c3b263-a9b7-4c8e-b123-456789abcdef" })
        local value = ""
        round(k, function() client:close() end, function()
          value = select(2, pcall(client._option, client, "login_url"))
        end)
        assert(value == URL .. "/" .. k or value:find("closed client", 1, true), value)
      end]],
    ["client:token() may close the client"] = [[
      for k = 1, 10 do
        local texts = { access_token = "a", token_type = "b", scope = "c" }
        for name, letter in pairs(texts) do texts[name] = letter:rep(100) .. k end
        local client, ok, token = new({ token = texts })
        round(k, function() client:close() end, function()
          ok, token = pcall(client.token, client)
        end)
        for name, text in pairs(ok and token and texts or {}) do
          assert(token[name] == text, name)
        end
      end]],
    ["client:token() may have it renewed"] = [[
      local texts = { "access_token", "token_type", "scope" }
      for k = 1, 12 do
        local old, renewed = { expires_at = 0 }, false
        for _, name in ipairs(texts) do old[name] = name:rep(100) .. k end
        local client = new({ token = old, username = "whatever@example.com", password = "p4ssw0rd",
          on_token = function() renewed = true end })
        async.spawn(function() client:vehicles() end)
        local token
        round(k, function()
          for _ = 1, 100 do
            if not renewed then bmwi.loop:step(0.05) end
          end
        end, function() token = client:token() end)
        local kept = 0
        for _, name in ipairs(texts) do
          if token[name] == old[name] then kept = kept + 1 end
        end
        assert(kept == 0 and #token.token_type == 6 or kept == 3, "mixed: " .. kept)
        client:close()
      end]],
  }

  for name, work in pairs(WORKS) do
    it(name, function()
      local script = ("URL, VIN = %q, %q\n"):format(sim.url, VIN)
        .. SCRIPT:gsub("WORK", function() return work end)
      assert.equal("good\n0\n", helper.program(script, nil, "timeout 60 COMMAND 2>&1; echo $?"))
    end)
  end
end)

describe("the loop", function()
  it("takes an operation once, and forgets what no task waits for any more", function()
    -- In a separate program: all of this once used freed memory.
    local text = helper.program([[
      local loop = require("bmwi").loop
      local function clean() for _ = 1, 3 do collectgarbage() end end
      local thread = coroutine.create(function() end)
      loop:begin(thread, loop:gate(60))
      loop:detach(thread)
      clean()
      loop:detach(thread)
      loop:begin(thread, loop:gate(0))
      loop:step(1)
      clean()
      loop:detach(thread)
      local gate = loop:gate(60)
      loop:begin(thread, gate)
      print(pcall(loop.begin, loop, thread, gate))
      loop:detach(thread)
      gate = nil
      clean()
      for _ = 1, 100 do loop:begin(coroutine.create(clean), loop:gate(0)) end
      while loop:timeout() do loop:step(0.01) end
      local connection = require("bmwi")._mqtt.connect({ url = "mqtt://127.0.0.1:1" })
      local receives = coroutine.create(function() return connection:receive() end)
      loop:attach(receives, function(ok, _, message) print(ok, message) end)
      local _, _, operation = coroutine.resume(receives)
      for _ = 1, 2 do
        loop:begin(receives, operation)
        while loop:timeout() do loop:step(0.01) end
      end
      local client = require("bmwi").new({ base_url = "http://127.0.0.1:1", username = "u",
        password = "p", api_key = "k", api_secret = "s" })
      local calls = coroutine.create(function() return client:vehicles() end)
      loop:attach(calls, print)
      local _, _, call = coroutine.resume(calls)
      loop:begin(calls, call)
      client:close()
      print(pcall(loop.begin, loop, thread, call)) -- it is finished, but not yet delivered
      while loop:timeout() do loop:step(0.01) end
      call = nil
      clean()
      loop:detach(calls)]], nil, "timeout 60 COMMAND 2>&1; echo $?")
    assert(text:find("^false\t[^\n]+an operation that has not begun expected%)\n"
      .. "true\tMQTT connection failed: [^\n]+\nfalse\tnil\n"
      .. "false\t[^\n]+an operation that has not begun expected%)\n"
      .. "true\tnil\t[^\n]+\tclosed[^\n]*\n0\n$"), text)
  end)
end)

describe("a hook", function()
  it("may close the client deep inside nested calls", function()
    local sim = helper.start()
    -- Twelve calls that wait, each inside a task that the one before has resumed; the next one
    -- resumes none, so the call whose hook closes the client is postponed.
    local text = helper.program(("URL = %q\n"):format(sim.url) .. [[
      local bmwi, async = require("bmwi"), require("bmwi.async")
      local loop, gates, closed = bmwi.loop, {}, false
      local client
      client = bmwi.new({ base_url = URL, token = { access_token = "abc" }, retries = 0,
        log = function()
          client:close()
          closed = true
        end })
      local function last()
        async.spawn(function() print((select(3, client:vehicles()))) end)
        while not closed do bmwi.sleep(0.01) end
        for _, gate in ipairs(gates) do loop:open(gate) end
      end
      local function wait(level)
        async.spawn(function()
          bmwi.sleep(0)
          coroutine.wrap(level < 12 and wait or last)(level + 1) -- in it calls do not yield
        end)
        gates[level] = loop:gate(30)
        loop:pass(gates[level])
      end
      wait(1)
      while loop:timeout() do loop:step(0.1) end]], nil, "timeout 60 COMMAND 2>&1; echo $?")
    sim:stop()
    assert.equal("closed\n0\n", text)
  end)
end)

local has_ffi, ffi = pcall(require, "ffi")
describe("a forked child", function()
  it("may close clients whose calls its parent waits for", function()
    if not has_ffi then return pending("this Lua has no ffi") end
    ffi.cdef("int fork(void); int waitpid(int pid, int *status, int options); void _exit(int);")
    local function gated()
      local client = bmwi.new({ service = "cardata", base_url = "http://127.0.0.1:1",
        client_id = "31c3b263-a9b7-4c8e-b123-456789abcdef" })
      return { client, client:_gate() }
    end
    local one, other = gated(), gated()
    local pid = ffi.C.fork()
    if pid == 0 then
      one[1]:close()
      one = nil -- luacheck: ignore 311
      collectgarbage()
      collectgarbage()
      local texts, changed = {}, 0 -- in the memory that became free
      for size = 100, 4000, 4 do texts[#texts + 1] = ("x"):rep(size) end
      other[1]:close()
      for _, text in ipairs(texts) do
        if text:find("[^x]") then changed = changed + 1 end
      end
      ffi.C._exit(changed)
    end
    local status = ffi.new("int[1]")
    ffi.C.waitpid(pid, status, 0)
    assert.equal(0, status[0])
    one[1]:close()
    other[1]:close()
  end)
end)
