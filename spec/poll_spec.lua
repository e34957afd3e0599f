--- poll.c: an idle connection stays watched, which must disturb neither a host nor a later user of
--- the descriptor's number.
local helper = require("spec.helper")
local bmwi = require("bmwi")
local fails_as = helper.fails_as
local has_ffi, ffi = pcall(require, "ffi")

local TOKEN = { access_token = "AAAA" }
local loop = bmwi.loop

-- The descriptors that the loop watches, without its timer; nil if the system does not show them.
local function watched()
  local text = helper.read("/proc/self/fdinfo/" .. loop:pollfd())
  if not (text and text:find("tfd:", 1, true)) then return nil end
  local list = {}
  for fd in text:gmatch("tfd:%s*(%d+)") do
    local link = helper.shell(("readlink /proc/$PPID/fd/%d"):format(fd))
    if not link:find("timerfd", 1, true) then list[#list + 1] = tonumber(fd) end
  end
  return list
end

local function unseen()
  return not watched() and "no /proc says what epoll watches" or nil
end

describe("an idle connection", function()
  local sim

  before_each(function() sim = helper.start() end)
  after_each(function() sim:stop() end)

  local function new(server, url)
    return bmwi.new({ base_url = url or server.url, token = TOKEN, retries = 0, timeout = 30 })
  end
  local function ask(client)
    assert(client:get("/_sim/log"))
  end
  local function drop_all()
    local limit = loop:limit(1)
    loop:limit(limit)
  end

  it("stays watched, and is reused by the next call", function()
    if unseen() then return pending(unseen()) end -- luacheck: ignore
    drop_all()
    local client = new(sim)
    ask(client)
    local list = watched()
    assert.equal(1, #list)
    for _ = 1, 3 do
      ask(client)
      assert.same(list, watched())
    end
    drop_all()
    assert.same({}, watched())
  end)

  it("stays watched, however early the response came", function()
    if unseen() then return pending(unseen()) end -- luacheck: ignore
    if not helper.libcurl(7, 88) then -- luacheck: ignore
      return pending("this libcurl names no socket if one call connects, sends and receives")
    end
    local client, missed = new(sim), 0
    for _ = 1, 50 do -- libcurl 8.14 reads many of them before it has waited for them
      drop_all()
      assert.same({}, watched())
      ask(client)
      missed = missed + 1 - #watched()
    end
    assert.equal(0, missed)
  end)

  it("wakes the host once when the server closes it", function()
    if unseen() then return pending(unseen()) end -- luacheck: ignore
    drop_all()
    local second = helper.start()
    local client = new(second)
    ask(client)
    assert.equal(1, #watched())
    second:stop()
    loop:step(0.5)
    assert.same({}, watched())
    assert.is_nil(loop:timeout())
    fails_as("network", client:get("/_sim/log"))
    ask(new(sim))
  end)

  it("handles another socket reusing its descriptor", function()
    local missing = helper.no_localhost()
    if missing then return pending(missing) end -- luacheck: ignore
    local by_name = new(sim, "http://localhost:" .. sim.port)
    local by_address = new(sim)
    for round = 1, 6 do
      if round % 2 == 0 then drop_all() end -- names are asked for anew then
      ask(by_address)
      drop_all()
      ask(by_name)
      ask(by_address)
    end
  end)

  it("handles the next connection reusing its descriptor after the server closed it", function()
    local answer = "HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\n{}"
    local port, stop = helper.raw(answer, "")
    local client = new(nil, "http://127.0.0.1:" .. port)
    for i = 1, 10 do
      assert(client:get("/x"))
      if i % 2 == 0 then loop:step(0.05) end
    end
    stop()
  end)

  if has_ffi then
    pcall(ffi.cdef, "int fork(void); int kill(int pid, int signal); void _exit(int status);")
    pcall(ffi.cdef, "int waitpid(int pid, int *status, int options); int pause(void);")
    it("is no longer watched once it is closed, though a forked child holds it open", function()
      if unseen() then return pending(unseen()) end -- luacheck: ignore
      drop_all()
      ask(new(sim))
      assert.equal(1, #watched())
      local pid = ffi.C.fork()
      if pid == 0 then
        ffi.C.pause()
        ffi.C._exit(0)
      end
      drop_all()
      local left = watched()
      ffi.C.kill(pid, 9)
      ffi.C.waitpid(pid, nil, 0)
      assert.same({}, left)
      ask(new(sim))
    end)
  else
    pending("is no longer watched once it is closed: this Lua has no ffi to fork")
  end
end)
