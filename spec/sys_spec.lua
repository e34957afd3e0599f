--- sys.c: private files, locks and prompts on the terminal, tested with other processes.
local helper = require("spec.helper")
local bmwi = require("bmwi")
local shell, write, read, fails_as = helper.shell, helper.write, helper.read, helper.fails_as

local sys = bmwi._sys
local interpreter = helper.interpreter

local function mode_of(path)
  return shell(("stat -c %%a '%s'"):format(path))
end

local is_root = shell("id -u") == "0"
local no_terminal = helper.no_terminal()

describe("bmwi._sys", function()
  local folder, path

  before_each(function()
    folder = shell("mktemp -d")
    path = folder .. "/file"
  end)

  after_each(function() shell("rm -rf '" .. folder .. "'") end)

  local here = shell("pwd") .. "/"

  -- So that the search paths work from any directory.
  local function absolute(search)
    return ((";" .. search):gsub(";%./", function() return ";" .. here end))
  end

  -- The command that runs a separate program.
  local function program(text)
    local name = folder .. "/program.lua"
    write(name, ("package.path, package.cpath = %q, %q\nlocal sys = require('bmwi')._sys\n"
      .. "local folder, path = %q, %q\n"):format(absolute(package.path), absolute(package.cpath),
      folder, path) .. text)
    return ("%s '%s'"):format(interpreter, name)
  end

  describe("monotonic", function()
    it("never goes backwards, in seconds", function()
      local before = sys.monotonic()
      bmwi.sleep(0.05)
      local after = sys.monotonic()
      assert(after - before >= 0.049 and after - before < 20, after - before)
      local last = after
      for _ = 1, 1000 do
        local now = sys.monotonic()
        assert(now >= last)
        last = now
      end
    end)
  end)

  describe("isatty", function()
    it("distinguishes a pipe and a file from a terminal", function()
      assert.equal("false false", shell(program("io.write(tostring(sys.isatty(0)), ' ', "
        .. "tostring(sys.isatty(1)))") .. " </dev/null"))
      assert.is_false(sys.isatty(99))
      assert.has_error(function() sys.isatty("x") end)
      assert.has_error(function() sys.isatty() end)
    end)

    if not no_terminal then
      it("knows a terminal", function()
        local text = shell("script -qec " .. '"' .. program("print(sys.isatty(0), sys.isatty(1))")
          .. '" /dev/null </dev/null')
        assert(text:find("true\ttrue"), text)
      end)
    else
      pending("on a terminal: " .. no_terminal)
    end
  end)

  describe("leave", function()
    it("ends the process with this code, and what was written arrives", function()
      assert.equal("all of it, 7", shell(program("io.write('all of it') sys.leave(7) "
        .. "print('more')") .. "; echo \", $?\""))
    end)

    it("needs a code", function()
      assert.has_error(function() sys.leave() end)
    end)
  end)

  describe("no_core", function()
    it("allows no core file", function()
      local text = shell(program("sys.no_core() local f = io.open('/proc/self/limits') "
        .. "print(f and f:read('*a') or 'none')"))
      if text ~= "none" then
        assert(text:find("Max core file size%s+0%s+0%s"), text)
      end
    end)
  end)

  describe("no_core, on Linux,", function()
    -- What /proc shows of a process that cannot be looked into belongs to root.
    local as_user = not is_root and ""
      or shell("setpriv --reuid=65534 --clear-groups true 2>&1 && echo yes") == "yes"
      and "setpriv --reuid=65534 --clear-groups "

    if as_user and io.open("/proc/self/environ") then
      it("keeps the user's other processes out", function()
        shell("chmod 755 " .. folder)
        local said = shell(as_user .. program([[
          local function owner()
            local pid = io.open("/proc/self/stat"):read("*n")
            local pipe = io.popen(("stat -c %%u /proc/%d/environ /proc/%d/mem"):format(pid, pid))
            local text = pipe:read("*a"):gsub("%s+", " ")
            pipe:close()
            return text
          end
          io.write(owner())
          sys.no_core()
          io.write(owner())]]))
        local user = is_root and "65534" or shell("id -u")
        assert.equal(("%s %s 0 0"):format(user, user), said)
      end)
    else
      pending("keeps the user's other processes out")
    end
  end)

  it("closes its descriptors before it returns", function()
    write(folder .. "/open", "x", "644")
    local said = shell("ulimit -n 60; " .. program([[
      collectgarbage("stop")
      local held = assert(sys.try_lock(path))
      local function all(expected, fn, ...)
        for i = 1, 100 do
          local result, message, code = fn(...)
          if (code or result) ~= expected then error(i .. ": " .. tostring(message)) end
        end
      end
      all("locked", sys.try_lock, path)
      all(true, sys.write_private, path, "secret")
      all("file", sys.try_lock, path .. "/x/y")
      all("file", sys.write_private, folder, "secret")
      all("file", sys.read_private, folder)
      all("insecure", sys.read_private, folder .. "/open")
      all("missing", sys.read_private, folder .. "/none")
      for _ = 1, 100 do assert(sys.read_private(path)) end
      for _ = 1, 100 do sys.read_secret("") end
      print("done")]]) .. " 2>&1 </dev/null")
    assert.equal("done", said)
  end)

  describe("write_private", function()
    it("writes all bytes", function()
      for _, bytes in ipairs({ "", "x", "a\0b\r\n\255", ("0123456789"):rep(200000) }) do
        assert.is_true(sys.write_private(path, bytes))
        assert(read(path) == bytes)
      end
    end)

    it("leaves nothing else behind", function()
      assert.is_true(sys.write_private(path, "one"))
      assert.is_true(sys.write_private(path, "two"))
      assert.equal("file", shell("ls -A '" .. folder .. "'"))
    end)

    it("makes the file 0600, whatever the umask and the file before", function()
      for _, mask in ipairs({ "000", "022", "077", "0377", "0777" }) do
        write(path, "before", "666")
        shell("umask " .. mask .. "; " .. program("assert(sys.write_private(path, 'text'))"))
        assert.equal("600", mode_of(path))
        assert.equal("text", read(path))
      end
    end)

    it("makes the folders 0700, whatever the umask, and leaves existing ones", function()
      shell("chmod 755 '" .. folder .. "'")
      for _, mask in ipairs({ "000", "022", "077", "0177", "0777" }) do
        local text = shell("umask " .. mask .. "; " .. program(
          "print(sys.write_private(folder .. '/a/b/c', 'text'))"))
        assert.equal("true", text)
        assert.equal("700", mode_of(folder .. "/a"), mask)
        assert.equal("700", mode_of(folder .. "/a/b"), mask)
        shell("rm -rf '" .. folder .. "/a'")
      end
      assert.equal("755", mode_of(folder))
    end)

    it("writes in the current directory", function()
      local text = shell("cd '" .. folder .. "' && " .. program(
        "assert(sys.write_private('plain', '1')) assert(sys.write_private('sub/plain', '2'))")
        .. " 2>&1")
      assert.equal("", text)
      assert.equal("1", read(folder .. "/plain"))
      assert.equal("2", read(folder .. "/sub/plain"))
    end)

    it("keeps a link and atomically replaces its target, which need not exist", function()
      shell(("cd '%s'; mkdir real; ln -s real/token one; ln -s '%s/one' '%s'")
        :format(folder, folder, path))
      for _, text in ipairs({ "first", "second" }) do
        assert.is_true(sys.write_private(path, text))
        assert.equal(text, read(folder .. "/real/token"))
        assert.equal("600", mode_of(folder .. "/real/token"))
        assert.equal(text, (sys.read_private(path)))
        assert.equal("symbolic link", shell(("stat -c %%F '%s'"):format(path)))
        assert.equal("token", shell(("ls -A '%s/real'"):format(folder)))
      end
      -- There is one lock, by whatever name.
      local lock = assert(sys.try_lock(path))
      assert.equal("locked", (select(3, sys.try_lock(folder .. "/real/token"))))
      lock:unlock()
      assert.is_true(sys.remove_private(path))
      assert.is_nil(read(folder .. "/real/token"))
      assert.equal("symbolic link", shell(("stat -c %%F '%s'"):format(path)))
      assert.is_true(sys.remove_private(path))
    end)

    it("fails instead of being killed if a file may not be that large", function()
      assert.is_true(sys.write_private(path, "old"))
      local text = shell("ulimit -f 1; " .. program([[
        local bytes = ("x"):rep(5000)
        for _, write in ipairs({ sys.write_private, sys.publish_file }) do
          local done, message, code = write(path, bytes)
          print(done, code, message)
        end]]))
      local line = "nil\tfile\t" .. path .. ": writing failed: File too large"
      assert.equal(line .. "\n" .. line, text)
      assert.equal("old", read(path))
      assert.equal("", shell("find '" .. folder .. "' -name '*.new'"))
      -- Outside it the signal has the program's own handler.
      text = shell(("ulimit -f 1; %s; echo $?"):format(program([[
        sys.write_private(path, ("x"):rep(5000))
        local file = assert(io.open(folder .. "/log", "w"))
        file:write(("x"):rep(5000))
        file:close()
        print("not killed")]])) .. " 2>&1")
      assert.is_nil(text:find("not killed", 1, true), text)
    end)

    it("replaces a link's target only if it is already this user's private file", function()
      write(folder .. "/victim", "precious", "644")
      shell(("ln -s victim '%s'"):format(path))
      local message = fails_as("file", sys.write_private(path, "secret"))
      assert(message:find("link to a file that other users can read", 1, true), message)
      fails_as("file", sys.remove_private(path))
      assert.equal("precious", read(folder .. "/victim"))
      shell(("rm '%s'; ln -s '%s' '%s'"):format(path, path, path))
      fails_as("file", sys.write_private(path, "secret"))
      if is_root then
        shell(("rm '%s'; ln -s mine '%s'; chown -h 65534 '%s'"):format(path, path, path))
        message = fails_as("file", sys.write_private(path, "secret"))
        assert(message:find("another user made", 1, true), message)
      end
    end)

    it("does not write to a file that others have linked or opened", function()
      write(path, "old")
      shell(("ln '%s' '%s/other'"):format(path, folder))
      assert.is_true(sys.write_private(path, "secret"))
      assert.equal("old", read(folder .. "/other"))
    end)

    it("fails as file if it cannot write", function()
      write(path, "in the way")
      shell("mkdir '" .. folder .. "/dir'")
      for _, bad in ipairs({ path .. "/below", folder .. "/dir", "/proc/none/file", "" }) do
        local message = fails_as("file", sys.write_private(bad, "text"))
        assert(message:find(bad, 1, true), message)
      end
      assert.equal("dir\nfile", shell("ls -A '" .. folder .. "'"))
    end)

    it("raises an error without bytes", function()
      assert.has_error(function() sys.write_private(path) end)
      assert.has_error(function() sys.write_private(path, {}) end)
      assert.has_error(function() sys.write_private(nil, "x") end)
      assert.is_nil(read(path))
    end)

    it("never shows a part of a file to a reader", function()
      assert.is_true(sys.write_private(path, ("a"):rep(100000)))
      local writer = io.popen(program([[
        local limit, even, enough = sys.monotonic() + 60, false, nil
        repeat
          even = not even
          assert(sys.write_private(path, even and ("a"):rep(100000) or ("b"):rep(50000)))
          enough = io.open(path .. ".enough")
        until enough or sys.monotonic() > limit
        print("done")
      ]]) .. " & echo started; wait")
      assert.equal("started", writer:read("*l"))
      local start, seen = sys.monotonic(), {}
      repeat
        local text = assert(read(path), "the file is missing for a moment")
        local first = text:sub(1, 1)
        assert(#text == (first == "a" and 100000 or 50000), #text)
        assert.is_nil(text:find("[^" .. first .. "]"))
        local private, message = sys.read_private(path)
        assert(private, message)
        assert(#private == 100000 or #private == 50000)
        seen[first] = true
      until helper.since(start) > (seen.a and seen.b and 0.5 or 60)
      helper.write(path .. ".enough", "")
      assert.equal("done", writer:read("*l"))
      writer:close()
      assert.is_true(seen.a and seen.b)
    end)

    it("leaves a complete file when the writer is killed", function()
      assert.is_true(sys.write_private(path, ("a"):rep(300000)))
      for i = 1, 10 do
        shell(("%s & pid=$!; sleep 0.%02d; kill -KILL $pid; wait $pid 2>/dev/null"):format(
          program([[
            while true do
              sys.write_private(path, ("a"):rep(300000))
              sys.write_private(path, ("b"):rep(300000))
            end]]), i + 3))
        local text = assert(sys.read_private(path))
        assert.equal(300000, #text)
        assert.is_nil(text:find("[^" .. text:sub(1, 1) .. "]"))
      end
      -- Leftover files are private too.
      assert.equal("", shell("find '" .. folder .. "' -name 'file*' ! -perm 600"))
    end)
  end)

  describe("read_private", function()
    it("returns what was written", function()
      for _, bytes in ipairs({ "", "x", "a\0b\r\n\255" }) do
        assert.is_true(sys.write_private(path, bytes))
        assert.equal(bytes, sys.read_private(path))
      end
    end)

    it("fails as missing if there is no file", function()
      local message = fails_as("missing", sys.read_private(path))
      assert(message:find(path, 1, true), message)
      fails_as("missing", sys.read_private(folder .. "/no/such/folder"))
    end)

    it("refuses a file that others can read or write", function()
      for _, mode in ipairs({ "644", "640", "604", "620", "602", "610", "601", "666", "777" }) do
        write(path, "secret", mode)
        local message, info = fails_as("insecure", sys.read_private(path))
        assert.equal(path .. ": other users can read or write it", message)
        assert.same({ retryable = false, hint = "run: chmod 600 " .. path }, info)
      end
      for _, mode in ipairs({ "600", "400", "700" }) do
        write(path, "secret", mode)
        assert.equal("secret", sys.read_private(path))
        shell("chmod 600 '" .. path .. "'")
      end
    end)

    if is_root then
      it("refuses another user's file", function()
        write(path, "secret", "600")
        shell("chown nobody '" .. path .. "'")
        local message, info = fails_as("insecure", sys.read_private(path))
        assert.equal(path .. ": it belongs to another user", message)
        assert.same({ retryable = false,
          hint = 'it must be yours; run: sudo chown "$(id -un)" ' .. path }, info)
      end)
    end

    it("refuses anything but a regular file, without blocking on it", function()
      fails_as("file", sys.read_private(folder))
      shell("mkfifo -m 600 '" .. path .. "'")
      fails_as("file", sys.read_private(path))
      fails_as("file", sys.read_private("/dev/zero"))
      write(folder .. "/plain", "x", "600")
      fails_as("file", sys.read_private(folder .. "/plain/below"))
    end)

    it("reads up to 1 MiB", function()
      write(path, ("x"):rep(1048576), "600")
      assert.equal(1048576, #sys.read_private(path))
      write(path, ("x"):rep(1048577), "600")
      fails_as("file", sys.read_private(path))
    end)
  end)

  describe("pause", function()
    it("waits in every task, for a second at most", function()
      local start = sys.monotonic()
      sys.pause(0.02)
      assert(sys.monotonic() - start >= 0.02)
      for _, bad in ipairs({ -1, 1.5, 0 / 0, "x" }) do
        assert.is_false((pcall(sys.pause, bad)))
      end
    end)
  end)

  describe("try_lock", function()
    it("locks once at a time", function()
      local lock = assert(sys.try_lock(path))
      local message = fails_as("locked", sys.try_lock(path))
      assert(message:find(path, 1, true), message)
      lock:unlock()
      local again = assert(sys.try_lock(path))
      lock:unlock() -- of one that is open already: not the new one
      fails_as("locked", sys.try_lock(path))
      again:unlock()
      again:unlock()
    end)

    it("locks each path separately", function()
      local one, two = assert(sys.try_lock(path)), assert(sys.try_lock(path .. "2"))
      one:unlock()
      two:unlock()
    end)

    it("has locks of several kinds for a path", function()
      local one, two = assert(sys.try_lock(path)), assert(sys.try_lock(path, "write.lock"))
      fails_as("locked", sys.try_lock(path, "write.lock"))
      one:unlock()
      fails_as("locked", sys.try_lock(path, "write.lock"))
      two:unlock()
    end)

    it("is released when the lock is collected", function()
      assert(sys.try_lock(path))
      collectgarbage()
      collectgarbage()
      local lock = assert(sys.try_lock(path))
      lock:unlock()
    end)

    if _VERSION >= "Lua 5.4" then
      it("is released at the end of its block", function()
        local load_string = load
        assert(load_string("local sys, path = ... local lock <close> = sys.try_lock(path) "
          .. "assert(not sys.try_lock(path))"))(sys, path)
        assert(sys.try_lock(path)):unlock()
      end)
    else
      pending("is released at the end of its block: this Lua cannot do that")
    end

    it("uses a private file beside the path, and leaves the path alone", function()
      local lock = assert(sys.try_lock(folder .. "/new/file"))
      assert.equal("600", mode_of(folder .. "/new/file.lock"))
      assert.equal("700", mode_of(folder .. "/new"))
      assert.is_nil(read(folder .. "/new/file"))
      lock:unlock()
    end)

    it("follows no link", function()
      write(folder .. "/victim", "precious", "600")
      shell(("ln -s victim '%s.lock'"):format(path))
      fails_as("file", sys.try_lock(path))
      assert.equal("precious", read(folder .. "/victim"))
    end)

    it("fails as file if there can be no lock", function()
      write(path, "in the way")
      fails_as("file", sys.try_lock(path .. "/below"))
    end)

    it("keeps other processes out until it is released", function()
      local lock = assert(sys.try_lock(path))
      local try = program("print(select(3, sys.try_lock(path)) or 'free')")
      assert.equal("locked", shell(try))
      lock:unlock()
      assert.equal("free", shell(try))
    end)

    it("is held by another process until that exits, for whatever reason", function()
      local holder = io.popen("echo $$; exec " .. program([[
        local lock = assert(sys.try_lock(path))
        io.write("held\n")
        io.stdout:flush()
        require("bmwi").sleep(60)
        lock:unlock()
      ]]))
      local pid = holder:read("*l")
      assert.equal("held", holder:read("*l"))
      fails_as("locked", sys.try_lock(path))
      shell("kill -KILL " .. pid)
      holder:close()
      assert(sys.try_lock(path)):unlock()
    end)

    it("is not inherited by programs that are started meanwhile", function()
      local lock = assert(sys.try_lock(path))
      local child = io.popen("exec sleep 30 >/dev/null & echo $!")
      local pid = child:read("*l")
      lock:unlock()
      local again, message = sys.try_lock(path)
      shell("kill " .. pid)
      child:close()
      assert(again, message)
      again:unlock()
    end)

    it("lets exactly one of many processes in", function()
      local try = program([[
        local lock = sys.try_lock(path)
        local said = io.open(path .. ".said", "a")
        said:write(lock and "in" or "out", "\n")
        said:close()
        for _ = 1, lock and 1200 or 0 do -- until all have tried
          local count = 0
          for _ in io.lines(path .. ".said") do count = count + 1 end
          if count == 6 then break end
          require("bmwi").sleep(0.05)
        end
      ]])
      shell(("for i in 1 2 3 4 5 6; do %s & done; wait"):format(try))
      local text = read(path .. ".said")
      local _, inside = text:gsub("in", "")
      local _, outside = text:gsub("out", "")
      assert.equal(1, inside)
      assert.equal(5, outside)
    end)
  end)

  describe("read_secret", function()
    it("fails if there is no terminal", function()
      if shell("command -v setsid") == "" then return pending("setsid is not installed") end
      local text = shell("setsid " .. program("print(select(3, sys.read_secret('Password: ')))")
        .. " </dev/null")
      assert.equal("file", text)
    end)

    if not no_terminal then
      -- Runs it on a terminal and types once it prompts. Returns what the program read (printed to
      -- a file), and everything on the terminal.
      local function ask(typed)
        local run = program([[
          local out = assert(io.open(folder .. "/result", "w"))
          local text, message, code = sys.read_secret("Your secret: ")
          out:write(text and "[" .. text .. "]" or "nil " .. code)
          out:close()
          assert(message == nil or not message:find("horse"))
          os.execute("stty -a")
        ]])
        write(folder .. "/typed", typed)
        write(folder .. "/run.sh", ([[
          cd '%s'; mkfifo in
          script -qec "%s" /dev/null <in >screen 2>&1 &
          exec 3>in
          for i in $(seq 1200); do grep -q 'Your secret' screen && break; sleep 0.05; done
          sleep 0.2
          cat typed >&3
          for i in $(seq 1200); do grep -q 'isig' screen && break; sleep 0.05; done
          exec 3>&-
          wait
        ]]):format(folder, run))
        shell("sh '" .. folder .. "/run.sh' 2>&1")
        return read(folder .. "/result"), read(folder .. "/screen") or ""
      end

      local function assert_terminal(screen)
        assert(screen:find("Your secret: ", 1, true), screen)
        assert(screen:find("[^-]isig") and screen:find("[^-]icanon") and screen:find("[^-]echo "),
          screen)
      end

      it("prompts without echo, and restores the terminal", function()
        local result, screen = ask("correct horse\n")
        assert.equal("[correct horse]", result)
        assert.is_nil(screen:find("horse", 1, true), screen)
        assert_terminal(screen)
      end)

      it("accepts a terminal's end of line, an empty answer and corrections", function()
        assert.equal("[]", (ask("\r")))
        assert.equal("[horse]", (ask("\127hork\127se\n")))
      end)

      it("erases a whole character, not part of it", function()
        assert.equal("[Zürich]", (ask("Zé\127ürich\n")))
      end)

      it("fails as cancelled for Ctrl-C and for the end of input", function()
        for _, key in ipairs({ "\3", "\4" }) do
          local result, screen = ask("horse" .. key)
          assert.equal("nil cancelled", result)
          assert.is_nil(screen:find("horse", 1, true), screen)
          assert_terminal(screen)
        end
      end)
    else
      pending("on a terminal: " .. no_terminal)
    end
  end)
end)

describe("bmwi._sys.publish_file", function()
  local folder, path

  before_each(function()
    folder = shell("mktemp -d")
    path = folder .. "/bmwi.prom"
  end)
  after_each(function() os.execute("rm -rf '" .. folder .. "'") end)

  it("writes a complete world-readable file, and leaves nothing else behind", function()
    write(path, "old", "600")
    assert.is_true(sys.publish_file(path, "new\n"))
    assert.equal("new\n", read(path))
    assert.equal("644", mode_of(path))
    assert.equal("bmwi.prom", shell("ls -A '" .. folder .. "'"))
  end)

  it("replaces a link, not what it leads to", function()
    write(folder .. "/other", "mine")
    os.execute(("ln -s other '%s'"):format(path))
    assert.is_true(sys.publish_file(path, "new"))
    assert.equal("mine", read(folder .. "/other"))
    assert.equal("new", read(path))
  end)

  it("creates no folder, and replaces no device", function()
    fails_as("file", sys.publish_file(folder .. "/none/bmwi.prom", "x"))
    assert.is_nil(io.open(folder .. "/none/bmwi.prom"))
    fails_as("file", sys.publish_file("/dev/null", "x"))
  end)
end)

describe("a signal that is handled", function()
  local SCRIPT = [[
    local bmwi, async = require "bmwi", require "bmwi.async"
    bmwi._sys.catch_signals()
    %s
    local began = bmwi._sys.monotonic()
    local ok, reason = pcall(%s)
    print(ok, (tostring(reason):match("%%a+!")), bmwi._sys.monotonic() - began < 10)
    print(pcall(bmwi.sleep, 0.01)) -- once is enough
  ]]
  local SLEEP = "bmwi.sleep, 30"
  local TASKS = "async.run, function() bmwi.sleep(30) end, function() bmwi.sleep(30) end"
  local EXPECTED = "false\t%s!\ttrue\ntrue\n"

  for signal, word in pairs { TERM = "terminated", INT = "interrupted" } do
    for name, wait in pairs { ["a call that waits"] = SLEEP, ["tasks that wait"] = TASKS } do
      it(("ends %s: SIG%s"):format(name, signal), function()
        local ready = os.tmpname()
        os.remove(ready)
        local said = helper.program(SCRIPT:format(("io.open(%q, 'w'):close()"):format(ready), wait),
          nil, ("COMMAND 2>&1 & p=$!; for i in $(seq 3000); do test -e %s && break; sleep 0.02; "
            .. "done; sleep 0.2; kill -%s $p; wait $p"):format(ready, signal))
        os.remove(ready)
        assert.equal(EXPECTED:format(word), said)
      end)

      it(("ends %s even if it came just before: SIG%s"):format(name, signal), function()
        assert.equal(EXPECTED:format(word),
          helper.program(SCRIPT:format(
            ("io.popen('kill -%s $PPID'):close()"):format(signal), wait)))
      end)
    end
  end

  it("interrupts the next wait, not running Lua code", function()
    assert.equal("true\n" .. EXPECTED:format("interrupted"), helper.program(SCRIPT:format(
      "print(pcall(function() io.popen('kill -INT $PPID'):close() for _ = 1, 1e5 do end end))",
      SLEEP)))
  end)

  it("ends the program as usual elsewhere", function()
    local said = helper.program("os.execute('kill -TERM $PPID') print('alive')",
      nil, "COMMAND 2>&1; echo $?")
    assert.equal("143\n", said:gsub("Terminated%s*", ""):match("[^\n]*\n$"))
  end)
end)
