--- Starts the simulator for a spec and controls it through /_sim by a program of its own, so that
--- results do not depend on the module under test. Runs on every Lua.
local cjson = require("cjson").new()

local helper = {}

--- A word for the shell.
function helper.quote(text)
  return "'" .. tostring(text):gsub("'", "'\\''") .. "'"
end

local quote = helper.quote

--- The output of a shell command, without trailing blanks.
function helper.shell(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read("*a")
  pipe:close()
  return (text:gsub("%s+$", ""))
end

--- A file's content, or nil if there is none.
function helper.read(path)
  local file = io.open(path, "rb")
  local text = file and file:read("*a")
  if file then file:close() end
  return text
end

--- Writes a file, with these permissions if given.
---@param mode? string for chmod
function helper.write(path, text, mode)
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
  if mode then os.execute(("chmod %s %s"):format(mode, quote(path))) end
end

--- The names in a table, sorted.
function helper.names(t)
  local list = {}
  for name in pairs(t) do list[#list + 1] = name end
  table.sort(list)
  return list
end

--- Raises unless the text contains this part.
function helper.has(text, part)
  assert(tostring(text):find(part, 1, true), ("%q is not in %q"):format(part, tostring(text)))
end

--- Raises unless these results are a failure of this code.
---@return string message
---@return table|nil info
function helper.fails_as(expected, value, message, code, info)
  assert(value == nil, "it did not fail")
  assert(code == expected, ("the code is %s, not %s: %s"):format(tostring(code), expected,
    tostring(message)))
  assert(type(message) == "string", "the message is no text")
  return message, info
end

--- Seconds since bmwi._sys.monotonic() was `start`.
function helper.since(start)
  return require("bmwi")._sys.monotonic() - start
end

--- Logs in; returns the first car and its client. The log-in has time enough, however short the
--- option `timeout` is, which the calls get.
---@param new fun(overrides: table|nil): table
function helper.logged_in(new, overrides)
  local client = new(overrides)
  if overrides and overrides.timeout then
    local patient = new()
    assert(patient:login())
    overrides.token = patient:token()
    client = new(overrides)
  end
  assert(client:login())
  return client:vehicle(helper.vin), client
end

--- Drives the loop until fn returns a true value; raises after a minute.
function helper.drive(fn)
  local bmwi = require("bmwi")
  local start = bmwi._sys.monotonic()
  while not fn() do
    assert(helper.since(start) < 60, "the loop did not come to that")
    bmwi.loop:step(0.02)
  end
end

--- Sets a locale with a decimal comma for numbers; false if none is installed. The spec restores
--- "C" itself.
function helper.decimal_comma()
  for _, name in ipairs({ "de_DE.UTF-8", "de_DE.utf8", "de_DE", "fr_FR.UTF-8" }) do
    if os.setlocale(name, "numeric") then return true end
  end
  return false
end

--- Why no program can be given a terminal here; nil if one can.
function helper.no_terminal()
  local said = helper.shell("script -qec 'test -t 1 && echo it is one' /dev/null </dev/null 2>&1")
  if not said:find("it is one", 1, true) then return "no terminal for a program: " .. said end
end

--- A temporary file for one call: fn gets its path.
local function with_file(text, fn)
  local path = os.tmpname()
  helper.write(path, text or "")
  local ok, result, more = pcall(fn, path)
  os.remove(path)
  if not ok then
    error(result, 0)
  end
  return result, more
end

local folder

--- The folder of the test certificates, made on the first call (see spec/certs.sh).
---@return string folder
function helper.certs()
  if not folder then
    local pipe = io.popen("sh spec/certs.sh && echo made")
    local said = pipe:read("*a")
    pipe:close()
    assert(said:find("made", 1, true), "spec/certs.sh failed")
    folder = "build/certs"
  end
  return folder
end

local function headers_of(text)
  local headers, status = {}, 0
  for line in text:gmatch("[^\r\n]+") do
    local code = line:match("^HTTP/[%d.]+ (%d+)")
    local name, value = line:match("^([^:]+):%s*(.-)%s*$")
    if code then
      headers, status = {}, tonumber(code) -- a 100 may come before the real answer
    elseif name then
      headers[name:lower()] = value
    end
  end
  return headers, status
end

--- One run of the curl program.
---@param ... string its arguments
---@return table answer {exit=, status= (0 without an answer), headers= (lower-case names), body=}
function helper.curl(...)
  local words = { "curl", "-sS", "-m", "30" }
  for i = 1, select("#", ...) do
    words[#words + 1] = quote((select(i, ...)))
  end
  return (with_file("", function(head)
    return (with_file("", function(body)
      local command = table.concat(words, " ") .. " -D " .. quote(head) .. " -o " .. quote(body)
      local pipe = io.popen(command .. " 2>/dev/null; echo $?")
      local exit = tonumber(pipe:read("*a"):match("%d+"))
      pipe:close()
      local headers, status = headers_of(helper.read(head))
      return { exit = exit, status = status, headers = headers, body = helper.read(body) }
    end))
  end))
end

local Sim = {}
Sim.__index = Sim

-- Starts the process that sends the requests to /_sim (spec/control.pl). It runs in the background
-- of a shell, so that closing the pipe does not wait for it.
local function open_channel(sim)
  local fifo = os.tmpname()
  os.remove(fifo)
  local pipe = assert(io.popen(("mkfifo -m 600 %s && echo made && "
    .. "{ perl spec/control.pl $PPID %s %s %d <%s & }"):format(fifo, sim.url:match("^%w+"),
    quote(sim.host), sim.port, fifo)))
  assert(pipe:read("*l") == "made", "no FIFO for the control requests")
  local requests = assert(io.open(fifo, "wb"))
  os.remove(fifo)
  return { requests = requests, answers = pipe }
end

--- Sends one request to /_sim; a refusal raises, since the spec itself is wrong then.
function Sim:control(method, path, value)
  local body = type(value) == "string" and value or value and cjson.encode(value) or ""
  self.channel = self.channel or open_channel(self)
  assert(self.channel.requests:write(("%s /_sim%s %d\n"):format(method, path, #body), body))
  assert(self.channel.requests:flush())
  local answers = self.channel.answers
  local status, length = assert(answers:read("*l"), "spec/control.pl ended"):match("^(%d+) (%d+)$")
  local answer = length == "0" and "" or answers:read(tonumber(length)) -- read(0) would wait
  if status ~= "200" then
    error(("%s /_sim%s: HTTP %s %s"):format(method, path, status, answer), 3)
  end
  return cjson.decode(answer)
end

--- The requests received, oldest first.
function Sim:log() return self:control("GET", "/log").requests end
--- Clears the log of received requests.
function Sim:clear() self:control("DELETE", "/log") end
--- Adds a fault rule.
function Sim:fault(rule) self:control("POST", "/fault", rule) end
--- Removes all fault rules.
function Sim:no_faults() self:control("DELETE", "/fault") end
--- Changes existing or future tokens.
function Sim:token(change) self:control("POST", "/token", change) end
--- Sets how commands proceed.
function Sim:commands(course) self:control("POST", "/commands", course) end
--- Changes settings.
function Sim:config(change) self:control("POST", "/config", change) end
--- The simulator's state of a car.
function Sim:car(vin) return self:control("GET", "/car/" .. (vin or helper.vin)) end
--- Changes a car: {status = {...}} sets members, other names replace whole responses.
function Sim:change(vin, changes) self:control("POST", "/car/" .. vin, changes) end
--- Resets the simulator.
function Sim:reset() self:control("POST", "/reset") end

--- The number of logged requests that match: by method and by a part of the path, both optional.
function Sim:count(method, part)
  local n = 0
  for _, request in ipairs(self:log()) do
    if (not method or request.method == method)
      and (not part or (request.path .. "?" .. request.query):find(part, 1, true)) then
      n = n + 1
    end
  end
  return n
end

--- Ends the simulator, which exits when the pipe is closed.
function Sim:stop()
  if self.channel then
    self.channel.requests:write("quit\n")
    self.channel.requests:close()
    self.channel.answers:close()
    self.channel = nil
  end
  if self.pipe then
    self.pipe:close()
    self.pipe = nil
  end
  if self.vehicles_file then
    os.remove(self.vehicles_file)
    self.vehicles_file = nil
  end
end

helper.vin = "WAB1C23456V123456"

--- Locales that write numbers differently: a decimal comma, a two-byte decimal point. The Makefile
--- builds them if localedef is available.
helper.locales = { "de_DE.UTF-8", "ps_AF.UTF-8" }

--- Starts a simulator. It ends with stop() or with this process, whichever comes first.
---@param options? table tls = true or the name of a certificate of spec/certs.sh; args = array of
--- further arguments; vehicles = text of a vehicles file
---@return table sim with url, ca (path, TLS only) and the methods above
function helper.start(options)
  options = options or {}
  local sim = setmetatable({}, Sim)
  local words = { "exec", quote(os.getenv("BMWI_SIM") or "build/bmwi-sim"), "--tied" }
  if options.tls then
    local name = options.tls == true and "server" or options.tls
    local certs = helper.certs()
    sim.ca = certs .. "/ca.pem"
    words[#words + 1] = "--tls"
    words[#words + 1] = quote(certs .. "/" .. name .. ".pem")
    words[#words + 1] = quote(certs .. "/" .. name .. ".key")
  end
  if options.vehicles then
    sim.vehicles_file = os.tmpname()
    helper.write(sim.vehicles_file, options.vehicles)
    words[#words + 1] = "--vehicles"
    words[#words + 1] = quote(sim.vehicles_file)
  end
  for _, word in ipairs(options.args or {}) do
    words[#words + 1] = quote(word)
  end
  if options.stream then words[#words + 1] = "--stream 127.0.0.1:0" end
  sim.pipe = assert(io.popen(table.concat(words, " "), "r"))
  local line = sim.pipe:read("*l")
  sim.url = line and line:match("^bmwi%-sim listening on (%S+)$")
  if not sim.url then
    sim:stop()
    error("the simulator did not start: " .. tostring(line), 2)
  end
  sim.host, sim.port = sim.url:match("^%w+://(.+):(%d+)$")
  sim.port = tonumber(sim.port)
  if options.stream then
    sim.stream_url = sim.pipe:read("*l"):match("^bmwi%-sim streaming on (%S+)$")
    sim.stream_port = tonumber(sim.stream_url:match("(%d+)$"))
  end
  return sim
end

--- Options of bmwi.new for this simulator.
---@param sim table
---@param overrides? table set last
---@return table options
function helper.client(sim, overrides)
  local options = {
    base_url = sim.url,
    username = "whatever@example.com",
    password = "p4ssw0rd",
    api_key = "key",
    api_secret = "secret",
    ca_file = sim.ca,
  }
  for name, value in pairs(overrides or {}) do
    options[name] = value
  end
  return options
end

helper.interpreter = os.getenv("LUA")
  or rawget(_G, "jit") and "luajit" or "lua" .. _VERSION:match("%d+%.%d+")

--- Runs a Lua program as its own process, with the same modules.
---@param script string
---@param environment? string NAME=VALUE words for env
---@param wrap? string a shell command in which COMMAND stands for the program; default: just it
--- and what it says on standard error
---@return string text all that it, or the shell command, has written
function helper.program(script, environment, wrap)
  return (with_file(("package.path, package.cpath = %q, %q\n"):format(package.path, package.cpath)
    .. script, function(path)
    local command = ("env %s %s %s"):format(environment or "", helper.interpreter, path)
    wrap = (wrap or "COMMAND 2>&1"):gsub("COMMAND", function() return command end)
    local pipe = io.popen(wrap)
    local text = pipe:read("*a")
    pipe:close()
    return text
  end))
end

--- A server that sends what no HTTP library would (see spec/raw.pl).
---@param first string what it answers, with \r, \n and \0 spelt out
---@param again string what it goes on with for ever; "": nothing
---@return string port
---@return function stop returns the request line of each connection's last request
function helper.raw(first, again)
  local server = assert(io.popen(("echo $$; exec perl spec/raw.pl $PPID '%s' '%s'"):format(
    first, again)))
  local pid, port = server:read("*l"), server:read("*l")
  return port, function()
    os.execute("kill " .. pid)
    local requests = {}
    for line in server:lines() do requests[#requests + 1] = line end
    server:close()
    return requests
  end
end

--- Why the name localhost cannot be resolved here; nil if it can.
function helper.no_localhost()
  local file = io.open("/etc/hosts")
  local text = file and file:read("*a") or ""
  if file then file:close() end
  if not text:find("%slocalhost%s") then return "/etc/hosts does not know localhost" end
end

--- Whether the loaded libcurl has at least this version.
function helper.libcurl(major, minor)
  local has_major, has_minor = require("bmwi").curl_version:match("^libcurl/(%d+)%.(%d+)")
  return has_major * 1000 + has_minor >= major * 1000 + minor
end

local weather

--- The environment that preloads spec/native/weather.c (built on the first call), or nil if that is
--- not possible here.
function helper.weather()
  if weather == nil then
    local path = "build/weather.so"
    -- Whole or not at all: other specs may be loading it.
    os.execute(("mkdir -p build && %s -std=c11 -shared -fPIC -o %s.$$ spec/native/weather.c -ldl "
      .. "&& mv -f %s.$$ %s"):format(os.getenv("CC") or "cc", path, path, path))
    local file = io.open(path)
    if file then file:close() end
    weather = file and "LD_PRELOAD=" .. path or false
    if weather then -- an interpreter may bring a preloaded library of its own, as that of asan
      local clock = os.tmpname()
      helper.write(clock, "86400")
      local pipe = io.popen(("env %s BMWI_CLOCK=%s %s -e 'print(os.time())'"):format(weather, clock,
        helper.interpreter))
      local later = tonumber(pipe:read("*l"))
      pipe:close()
      os.remove(clock)
      if not later or later - os.time() < 3600 then weather = false end
    end
  end
  return weather or nil
end

local function decode(text)
  return (text:gsub("+", " "):gsub("%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

--- Decodes a form body.
---@param body string
---@return table fields by name
---@return table order the names in the order sent, repeated ones too
function helper.form(body)
  local fields, order = {}, {}
  for part in body:gmatch("[^&]+") do
    local name, value = part:match("^([^=]*)=?(.*)$")
    name = decode(name)
    fields[name] = decode(value)
    order[#order + 1] = name
  end
  return fields, order
end

--- Decodes a query, in the same way.
helper.query = helper.form

--- A separate lua-cjson, for specs that look into bodies.
helper.json = cjson

return helper
