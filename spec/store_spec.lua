-- bmwi.store: the token file: private, complete at any time, bound to its owner, locked.
-- account_spec tests its other content.
local helper = require "spec.helper"
local login = require "spec.login_helper"
local async = require "bmwi.async"
local bmwi = require "bmwi"
local store = require "bmwi.store"
local shell = helper.shell

local function write(path, text, mode) helper.write(path, text, mode or "600") end

-- The remaining files: the token file, and its writers' lock.
local FILES = "token.json\ntoken.json.write.lock"

local token = {
  access_token = "RCQ1hLP4AFaUBW9BjcPUN3i4WgkwF90R", token_type = "Bearer",
  refresh_token = "7WgKmEJ2kD1ydl9Hefp01eS8qDGzKnzjeORpA6vtsoFIEanz",
  scope = "vehicle_data remote_services", expires_at = 1893456000,
}

describe("bmwi.store", function()
  local folder, path

  before_each(function()
    folder = shell("mktemp -d")
    path = folder .. "/state/bmwi/token.json"
  end)

  after_each(function() shell("rm -rf '" .. folder .. "'") end)

  it("returns what was saved", function()
    local kept = store.new(path)
    assert.is_true(kept:save(token))
    assert.same(token, store.new(path):load())
  end)

  it("keeps whole numbers whole", function()
    local kept = store.new(path)
    assert.is_true(kept:save(token))
    local expires = kept:load().expires_at
    assert.equal("1893456000", ("%.0f"):format(expires))
    if math.type then assert.equal("integer", math.type(expires)) end -- luacheck: ignore 143
  end)

  it("makes the file and its folders private", function()
    assert.is_true(store.new(path):save(token))
    assert.equal("600", shell(("stat -c %%a '%s'"):format(path)))
    assert.equal("700", shell(("stat -c %%a '%s/state/bmwi'"):format(folder)))
  end)

  it("replaces a token and leaves nothing else behind", function()
    local kept = store.new(path)
    assert.is_true(kept:save(token))
    assert.is_true(kept:save({ access_token = "second" }))
    assert.same({ access_token = "second" }, kept:load())
    assert.equal(FILES, shell("ls '" .. folder .. "/state/bmwi'"))
  end)

  it("saves nothing but the members of a token", function()
    local kept = store.new(path)
    assert.is_true(kept:save({ access_token = "a", password = "p4ssw0rd" }))
    assert.equal("", shell(("grep p4ssw0rd '%s'"):format(path)))
  end)

  it("reports that there is no token", function()
    local none, message, code = store.new(path):load()
    assert.is_nil(none)
    assert.is_string(message)
    assert.equal("missing", code)
  end)

  it("refuses a file that others can read", function()
    local kept = store.new(path)
    assert.is_true(kept:save(token))
    for _, mode in ipairs { "640", "604", "660" } do
      shell(("chmod %s '%s'"):format(mode, path))
      local none, _, code = kept:load()
      assert.is_nil(none)
      assert.equal("insecure", code)
    end
  end)

  it("refuses anything but a saved token, without showing it", function()
    local kept = store.new(folder .. "/token.json")
    for _, text in ipairs { "", "not json p4ssw0rd", "[]", "{}", '"p4ssw0rd"', "null",
      '{"access_token":5}', '{"access_token":null}', '{"access_token":""}',
      '{"access_token":"p4ssw0rd\\n"}' } do
      write(kept.path, text)
      local none, message, code = kept:load()
      assert.is_nil(none)
      assert.equal("json", code)
      assert.is_nil(message:find("p4ssw0rd", 1, true))
    end
  end)

  it("drops members of the wrong kind", function()
    local kept = store.new(folder .. "/token.json")
    write(kept.path, '{"access_token":"a","expires_at":"soon","scope":null,"more":1}')
    assert.same({ access_token = "a" }, kept:load())
  end)

  it("does not return another account's token", function()
    local mine = { server = "https://one.example", username = "me@example.com" }
    assert.is_true(store.new(path, mine):save(token))
    assert.same(token, store.new(path, mine):load())
    assert.same(token, store.new(path, { server = mine.server }):load())
    for _, other in ipairs { { server = "https://two.example", username = mine.username },
      { server = mine.server, username = "you@example.com" } } do
      local none, message, code = store.new(path, other):load()
      assert.is_nil(none)
      assert.equal("missing", code)
      assert.is_nil(message:find("me@example.com", 1, true))
    end
  end)

  it("does not return a token without an owner to a store that names one", function()
    assert.is_true(store.new(path):save(token))
    assert.is_nil((store.new(path, { username = "me@example.com" }):load()))
  end)

  it("reports a path that cannot be written", function()
    write(folder .. "/file", "")
    local saved, message, code = store.new(folder .. "/file/token.json"):save(token)
    assert.is_nil(saved)
    assert.is_string(message)
    assert.equal("file", code)
    assert.is_nil(message:find(token.access_token, 1, true))
  end)

  it("deletes the token", function()
    local kept = store.new(path)
    assert.is_true(kept:save(token))
    assert.is_true(kept:clear())
    assert.equal("missing", (select(3, kept:load())))
    assert.is_true(kept:clear())
    write(folder .. "/file", "")
    assert.equal("file", (select(3, store.new(folder .. "/file/token.json"):clear())))
  end)

  it("gives the lock to one at a time", function()
    local one, two = store.new(path), store.new(path)
    local lock = assert(one:lock())
    local none, message, code = two:lock(0)
    assert.is_nil(none)
    assert.is_string(message)
    assert.equal("locked", code)
    local began = bmwi._sys.monotonic()
    assert.is_nil((two:lock(0.2)))
    assert.is_true(bmwi._sys.monotonic() - began >= 0.2)
    lock:unlock()
    local again = assert(two:lock(0))
    again:unlock()
  end)

  it("saves and loads while another process holds the lock", function()
    local lock = assert(store.new(path):lock())
    assert.is_true(store.new(path):save(token))
    assert.same(token, store.new(path):load())
    lock:unlock()
  end)

  it("never shows others a partly written file", function()
    local kept = store.new(path)
    local long = { access_token = ("x"):rep(20000) }
    assert.is_true(kept:save(long))
    local lua = os.getenv("LUA") or "lua" .. _VERSION:match("%d+%.%d+")
    local script = folder .. "/writer.lua"
    write(script, ([[
      local kept = require("bmwi.store").new(%q)
      for i = 1, 30 do
        assert(kept:save({ access_token = (arg[1]):rep(20000) }))
        local read = assert(kept:load()).access_token
        assert(#read == 20000 and read == read:sub(1, 1):rep(20000))
      end
      io.write("whole ")]]):format(path))
    local environment = ("env LUA_PATH='%s' LUA_CPATH='%s'"):format(package.path, package.cpath)
    local said = shell(("for c in a b c; do %s %s '%s' $c 2>&1 & done; wait"):format(
      environment, lua, script))
    assert.equal("whole whole whole", said)
    assert.equal(20000, #kept:load().access_token)
    assert.equal(FILES, shell("ls '" .. folder .. "/state/bmwi'"))
  end)

  it("syncs the new file before the rename, and the folder after", function()
    local weather = helper.weather()
    if not weather then return pending("no compiler") end -- luacheck: ignore
    local disk = folder .. "/disk"
    local said = helper.program(([[
      assert(require("bmwi.store").new(%q):save({ access_token = "a" }))]]):format(path),
      weather .. " BMWI_DISK=" .. disk)
    assert.equal("", said)
    local done = helper.read(disk)
    if not done then
      return pending("the interpreter brings a preloaded library of its own") -- luacheck: ignore
    end
    assert.equal("sync file\nrename\nsync folder\n", done)
  end)

  it("leaves anything but a regular file alone", function()
    shell("mkdir '" .. folder .. "/empty' && mkfifo '" .. folder .. "/pipe'")
    for _, name in ipairs({ "empty", "pipe" }) do
      local odd = store.new(folder .. "/" .. name)
      assert.equal("file", select(3, odd:save({ access_token = "abc" })))
      assert.equal("file", select(3, odd:clear()))
    end
    assert.equal("empty\npipe", shell("cd '" .. folder
      .. "' && find empty -type d; find pipe -type p"))
  end)

  it("refuses what it could not save", function()
    local kept = store.new(path)
    for _, bad in ipairs({ 0 / 0, math.huge, "x" }) do
      assert.is_false((pcall(kept.save, kept, { access_token = "abc", expires_at = bad })))
    end
    assert.is_false((pcall(kept.lock, kept, 0 / 0)))
    assert.is_false((pcall(store.new, "a\0b")))
    assert.equal("missing", select(3, kept:load()))
  end)

  it("releases the lock if a client is closed during a renewal", function()
    local sim = helper.start()
    finally(function() sim:stop() end)
    sim:fault({ path = "/oauth/token", times = 0, latency = 30 })
    local kept = store.new(path)
    assert.is_true(kept:save({ access_token = "old", refresh_token = "older", expires_at = 1 }))
    local client = bmwi.new(helper.client(sim, { store = kept }))
    local code
    async.run(function()
      async.spawn(function() code = select(3, client:vehicles()) end)
      bmwi.sleep(0.2)
      assert.equal("locked", (select(3, store.new(path):lock(0))))
      client:close()
    end)
    helper.drive(function() return code end)
    assert.equal("closed", code)
    assert(store.new(path):lock(0)):unlock()
  end)

  describe("shared by several processes", function()
    local lua = os.getenv("LUA") or "lua" .. _VERSION:match("%d+%.%d+")

    -- The command that runs a Lua text.
    local function program(text)
      local script = folder .. "/program.lua"
      write(script, text)
      return ("env LUA_PATH='%s' LUA_CPATH='%s' %s '%s'"):format(package.path, package.cpath, lua,
        script)
    end

    -- kill -9 at 200 different points.
    it("is complete and private whenever the writer is killed #slow", function()
      local kept = store.new(path)
      assert.is_true(kept:save({ access_token = ("a"):rep(3000) }))
      local writer = program(([[
        local kept = require("bmwi.store").new(%q)
        io.write("ready\n")
        io.flush()
        while true do
          assert(kept:save({ access_token = ("b"):rep(3000), refresh_token = ("c"):rep(3000) }))
          assert(kept:save({ access_token = ("a"):rep(3000) }))
        end]]):format(path))
      -- Constantly looks for anything that others could open.
      local watcher = assert(io.popen(([[
        while [ -d %s ]; do find %s -type f -perm /077 2>/dev/null; sleep 0.01; done]]):format(
        folder .. "/state", folder .. "/state")))
      local seen, most, here = {}, 0, folder .. "/state/bmwi"
      finally(function()
        shell(("rm -rf '%s'"):format(folder)) -- ends the watcher
        watcher:close()
      end)
      for _ = 1, 200 do
        shell(([[umask 0; mkfifo %s/pipe; %s >%s/pipe 2>&1 & pid=$!; exec 3<%s/pipe
          read -r line <&3; [ "$line" = ready ] || echo "$line"
          sleep 0.%03d; kill -KILL $pid; wait $pid 2>/dev/null; rm %s/pipe]]):format(folder, writer,
          folder, folder, math.random(0, 25), folder))
        local token_read, message = kept:load()
        assert(token_read, message)
        local first = token_read.access_token:sub(1, 1)
        assert.equal(first:rep(3000), token_read.access_token)
        assert.equal(first == "b" and ("c"):rep(3000) or nil, token_read.refresh_token)
        seen[first] = (seen[first] or 0) + 1
        assert.equal("", shell(("find '%s/state' -type f -perm /077"):format(folder)))
        most = math.max(most, tonumber(shell(("ls -A '%s' | wc -l"):format(here))))
      end
      assert(seen.a and seen.b, "the kills came at one point only")
      -- Each run removed what the previous, killed one had left.
      assert(most <= 4, most)
      assert.is_true(kept:save(token))
      assert.equal(FILES, shell(("ls -A '%s'"):format(here)))
      assert.equal("700", shell(("stat -c %%a '%s'"):format(here)))
      shell(("rm -rf '%s'"):format(folder))
      assert.equal("", watcher:read("*a"))
    end)

    it("removes the temporary files of dead writers only", function()
      local kept = store.new(path)
      assert.is_true(kept:save(token))
      local here = folder .. "/state/bmwi/"
      local dead = shell("sh -c 'echo $$'")
      local alive = shell("sleep 20 >/dev/null & echo $!")
      local stay = { "other.json." .. dead .. ".0x1.new", "token.json." .. alive .. ".0x1.new",
        "token.json." .. dead, "token.json." .. dead .. ".0x1.new.old", "token.json.1x.new",
        "token.json.LIGHT_FLASH.VIN", "token.json.0.0x1.new" }
      for _, name in ipairs(stay) do write(here .. name, "") end
      write(here .. "token.json." .. dead .. ".0x5581e0a0.new", "")
      assert.is_true(kept:save(token))
      shell("kill " .. alive)
      for name in FILES:gmatch("[^\n]+") do table.insert(stay, name) end
      table.sort(stay)
      assert.equal(table.concat(stay, "\n"), shell("LC_ALL=C ls '" .. here .. "'"))
    end)

    -- Ten processes with one saved log-in, which has expired: what the simulator receives.
    local function renewals(sim, refresh)
      local server = { server = sim.url, username = "whatever@example.com" }
      local client = bmwi.new(helper.client(sim))
      assert.is_true(client:login())
      local first = client:token()
      first.expires_at = os.time() - 5
      first.refresh_token = refresh and first.refresh_token or nil
      assert.is_true(store.new(path, server):save(first))
      sim:clear()
      local command = program(([[
        local bmwi = require "bmwi"
        local kept = require("bmwi.store").new(%q, { server = %q, username = %q })
        local client = bmwi.new({ base_url = %q, username = %q, password = "p4ssw0rd",
          api_key = "key", api_secret = "secret", store = kept, retries = 0 })
        local go
        for _ = 1, 3000 do
          go = io.open(%q, "rb")
          if go then break end
          bmwi.sleep(0.01)
        end
        assert(go, "nobody says go")
        local cars, message = client:vehicles()
        io.write(cars and "one " or message)]]):format(path, sim.url, server.username, sim.url,
        server.username, folder .. "/go"))
      local said = shell(("for i in 1 2 3 4 5 6 7 8 9 10; do %s 2>&1 & done; sleep 1; >'%s/go'; "
        .. "wait"):format(command, folder))
      assert.equal(("one "):rep(9) .. "one", said)
      assert.equal(10, sim:count("GET", "/vehicles"))
      local fresh = store.new(path, server):load()
      assert.are_not.equal(first.access_token, fresh.access_token)
      os.remove(folder .. "/go")
      return sim:count("POST", "/oauth/token")
    end

    it("is renewed once by ten concurrent processes", function()
      local sim = helper.start()
      finally(function() sim:stop() end)
      sim:fault({ path = "/oauth/token", skip = 1, times = 0, latency = 0.3 })
      assert.equal(1, renewals(sim, true))
      assert.equal(1, renewals(sim, false))
    end)
  end)

  it("shows its path only", function()
    local kept = store.new(path, { username = "me@example.com" })
    assert.is_true(kept:save(token))
    assert.equal("bmwi.store: " .. path, tostring(kept))
  end)

  it("raises an error for misuse", function()
    assert.has_error(function() store.new() end)
    assert.has_error(function() store.new("") end)
    assert.has_error(function() store.new(path, "me") end)
    assert.has_error(function() store.new(path, { username = 5 }) end)
    local kept = store.new(path)
    assert.has_error(function() kept:save() end)
    assert.has_error(function() kept:save({}) end)
    assert.has_error(function() kept:save({ access_token = "a", expires_at = "soon" }) end)
    assert.has_error(function() kept:lock("long") end)
  end)
end)

describe("a client with a store", function()
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

  it("saves each token and uses it in the next run", function()
    local first = new()
    assert(first:vehicles())
    assert.same(first:token(), store.new(path):load())
    assert.same(first:token(), new():token())
    assert(new():vehicles())
    assert.equal(1, login.count())
    is_free()
  end)

  it("keeps a token from another server or user, even if the store has no owner", function()
    assert(new():vehicles())
    local other = helper.start()
    local stranger = bmwi.new(helper.client(other, { store = store.new(path) }))
    assert.is_nil(stranger:token())
    assert(stranger:vehicles())
    for _, request in ipairs(other:log()) do
      assert.not_equal(sim:log()[2].headers.authorization, request.headers.authorization)
    end
    assert(new():vehicles())
    assert.is_nil(new(nil, { username = "somebody@example.com" }):token())
    other:stop()
    -- A token saved by hand is for any client that is given it.
    assert(store.new(path):save({ access_token = "abc" }))
    assert.equal("abc", new():token().access_token)
  end)

  it("uses the token that another process has renewed meanwhile (trap 6)", function()
    local one, other = new(), new()
    assert(one:vehicles())
    assert(other:vehicles())
    assert.equal(1, login.count()) -- it was saved when the other needed it
    sim:token({ expire = true })
    assert(other:vehicles())
    assert(one:vehicles()) -- its own refresh token is used up
    assert.equal(2, login.count())
    assert.same(other:token(), one:token())
    is_free()
  end)

  it("renews with the token that another has saved, if that has expired too", function()
    local one, other = new(), new()
    assert(one:vehicles())
    sim:token({ expire = true })
    assert(other:vehicles()) -- and so the refresh token of the first is used up
    local saved = other:token()
    saved.expires_at = 1
    assert(store.new(path):save(saved))
    sim:token({ expire = true })
    sim:clear()
    assert(one:vehicles())
    assert.equal(1, login.count())
    assert.matches("grant_type=refresh_token", sim:log()[2].body)
    is_free()
  end)

  it("requests no token that is no longer needed", function()
    local lock = assert(store.new(path):lock())
    local client = new()
    local task = async.spawn(function() client:vehicles() end)
    for _ = 1, 3 do bmwi.loop:step(0.05) end
    task:cancel()
    lock:unlock()
    for _ = 1, 10 do bmwi.loop:step(0.05) end
    assert.equal(0, login.count())
    is_free()
    assert(client:vehicles())
  end)

  it("renews once for many processes", function()
    assert(new():login())
    sim:token({ expire = true })
    sim:fault({ path = "/oauth/token", latency = 0.3, times = 0 })
    local script = folder .. "/run.lua"
    write(script, ([[
      local client = require("bmwi").new { base_url = %q, username = "whatever@example.com",
        password = "p4ssw0rd", api_key = "key", api_secret = "secret",
        store = require("bmwi.store").new(%q) }
      io.write(assert(client:vehicles())[1].vin, " ")]]):format(sim.url, path))
    local lua = os.getenv("LUA") or "lua" .. _VERSION:match("%d+%.%d+")
    local one = ("env LUA_PATH='%s' LUA_CPATH='%s' %s '%s' 2>&1"):format(package.path,
      package.cpath, lua, script)
    local said = shell("for i in 1 2 3 4; do " .. one .. " & done; wait")
    assert.equal((helper.vin .. " "):rep(3) .. helper.vin, said)
    assert.equal(2, login.count())
  end)

  local function renews_once()
    local kept = store.new(path)
    assert(new(kept):login())
    local one, two = new(kept), new(kept)
    sim:token({ expire = true })
    async.run(function() assert(one:vehicles()) end, function() assert(two:vehicles()) end)
    assert.equal(2, login.count())
    assert.same(one:token(), two:token())
    is_free()
  end

  it("shares the token with the other clients of its process", renews_once)

  it("shares the token where a process gets its own lock twice, as on NFS", function()
    local try_lock = bmwi._sys.try_lock
    finally(function() bmwi._sys.try_lock = try_lock end)
    bmwi._sys.try_lock = function() return { unlock = function() end } end
    renews_once()
  end)

  it("waits for another process that renews, within its own timeout", function()
    local lock = assert(store.new(path):lock())
    local client = new(nil, { timeout = 0.3 })
    local done, _, code = client:login()
    assert.is_nil(done)
    assert.equal("timeout", code)
    assert.equal(0, login.count())
    lock:unlock()
    assert(new():login())
  end)

  it("releases the lock however the renewal ends", function()
    local kept = store.new(path)
    assert.equal("auth", select(3, new(kept, { password = "wrong" }):login()))
    is_free()
    sim:fault({ path = "/oauth/token", status = 500, times = 1 })
    assert.equal("server", select(3, new(kept, { retries = 0 }):login()))
    is_free()
    -- An expired token, and nothing to get another one with.
    assert(kept:save({ access_token = "old", expires_at = 1 }))
    local bare = bmwi.new { base_url = sim.url, store = kept }
    assert.equal("auth", select(3, bare:vehicles()))
    is_free()
    -- A client that is closed in the middle.
    sim:clear()
    sim:fault({ path = "/oauth/token", latency = 30 })
    assert(kept:clear())
    local client, code = new(kept), nil
    async.spawn(function() return client:login() end, function(_, _, _, got) code = got end)
    helper.drive(function() return login.count() > 0 end)
    assert.equal("locked", select(3, store.new(path):lock(0)))
    client:close()
    is_free()
    helper.drive(function() return code end)
    assert.equal("closed", code)
  end)

  it("refuses a file that others can read, as soon as it is made", function()
    write(path, '{"access_token":"abc"}', "644")
    local ok, message = pcall(new)
    assert.is_false(ok)
    helper.has(message, ("option 'store': %s: other users can read or write it (run: chmod 600 %s)")
      :format(path, path))
  end)

  it("continues if the token cannot be saved, and reports it to the log hook", function()
    local told = {}
    local full = {
      load = function() return nil, "there is none", "missing" end,
      save = function() return nil, "the disk is full", "file" end,
      begin = function() return nil end,
      finish = function() told.finish = true end,
    }
    local client = new(full, { log = function(event, fields) told[event] = fields end })
    assert(client:vehicles())
    assert.equal("the disk is full", told.store_error.error)
    assert.is_true(told.finish)
  end)

  it("tolerates invalid results from a custom store", function()
    for _, later in ipairs({ 0 / 0, -1, -math.huge }) do
      local asked = 0
      local odd = {
        load = function() return "nothing" end,
        save = function() return true end,
        begin = function()
          asked = asked + 1
          return asked < 3 and later or "no table"
        end,
        finish = function() end,
      }
      local client = new(odd, { timeout = 5 })
      async.run(function() bmwi.sleep(0.01) end, function() assert(client:vehicles()) end)
      assert.equal(3, asked)
    end
  end)
end)
