--- What the specs of MQTT have in common: a broker that follows a script (spec/broker.pl), packets
--- as bytes, and Debian's mosquitto if it is installed.
local helper = require("spec.helper")

local mqtt = {}

--- Hexadecimal digits of some bytes.
function mqtt.hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

--- A packet, as hexadecimal digits: its first byte and everything after its length.
function mqtt.packet(first, body)
  local length, digits = #body / 2, ""
  repeat
    local rest = math.floor(length / 128)
    digits = digits .. ("%02x"):format(length % 128 + (rest > 0 and 128 or 0))
    length = rest
  until length == 0
  return ("%02x"):format(first) .. digits .. body
end

--- A string preceded by its length.
function mqtt.text(text)
  return ("%04x"):format(#text) .. mqtt.hex(text)
end

local files = {}

local Broker = {}
Broker.__index = Broker

--- The packets received, in hexadecimal digits, and "eof" if the client closed.
function Broker:got()
  local list = {}
  for line in (helper.read(self.log) or ""):gmatch("[^\n]+") do list[#list + 1] = line end
  return list
end

--- The same, once there are this many; raises if they do not arrive within a minute.
function Broker:await(count)
  local start = require("bmwi")._sys.monotonic()
  while #self:got() < count do
    assert(helper.since(start) < 60, "the broker got " .. #self:got() .. " packets only")
    os.execute("sleep 0.02")
  end
  return self:got()
end

--- Ends the broker's next step "wait".
function Broker:go_on() os.execute("kill -USR1 " .. self.pid) end

function Broker:stop()
  os.execute("kill " .. self.pid .. " 2>/dev/null")
  self.pipe:close()
  os.remove(self.log)
end

--- Starts a broker that follows these steps.
function mqtt.broker(...)
  local words = {}
  for i = 1, select("#", ...) do words[i] = helper.quote((select(i, ...))) end
  local broker = setmetatable({ log = os.tmpname() }, Broker)
  broker.pipe = assert(io.popen(("echo $$; exec perl spec/broker.pl $PPID %s %s"):format(
    broker.log, table.concat(words, " "))))
  broker.pid, broker.port = broker.pipe:read("*l"), broker.pipe:read("*l")
  broker.url = "mqtt://127.0.0.1:" .. broker.port
  return broker
end

--- A temporary file with the bytes of these hexadecimal digits, for the step file:PATH; it is
--- removed when this process ends.
function mqtt.file(digits)
  local path = os.tmpname()
  helper.write(path, (digits:gsub("%x%x", function(d) return string.char(tonumber(d, 16)) end)))
  files[#files + 1] = path
  return path
end

--- CONNACK with a success, by level.
mqtt.CONNACK = { [4] = "20020000", [5] = "2003000000" }

local LIMIT = 60 -- seconds for what takes none

--- A connection to this broker.
function mqtt.connect(broker, options)
  local all = { url = broker.url, client_id = "me", ca_file = broker.ca_file }
  for name, value in pairs(options or {}) do all[name] = value end
  return require("bmwi")._mqtt.connect(all)
end

--- Connects to a broker that follows these steps, and calls a function with both.
---@param scheme? string "mqtts" where it is not "mqtt"
function mqtt.with_broker(steps, options, fn, scheme)
  local broker = mqtt.broker((unpack or table.unpack)(steps)) -- luacheck: ignore
  if scheme then broker.url = scheme .. broker.url:match("://.*") end
  -- The system's CAs take seconds to read under Valgrind.
  if scheme == "mqtts" then broker.ca_file = helper.certs() .. "/ca.pem" end
  local connection = mqtt.connect(broker, options)
  local ok, message = pcall(fn, connection, broker)
  connection:close()
  broker:stop()
  for i = #files, 1, -1 do os.remove(table.remove(files, i)) end
  assert(ok, message)
end

--- Raises unless the next event is "connected".
function mqtt.connected(connection)
  local what, message = connection:receive(LIMIT)
  assert(what == "connected", message)
end

--- Everything that receive() returns with a broker with these steps, until the end, and what it
--- then returns.
function mqtt.run_of(steps, options, scheme)
  local list, again = {}, nil
  mqtt.with_broker(steps, options, function(connection)
    repeat
      list[#list + 1] = { connection:receive(LIMIT) }
      assert(list[#list][3] ~= "timeout" or not list[#list][4].waiting, "nothing came")
    until list[#list][1] == nil
    again = { connection:receive() }
  end, scheme)
  return list, again
end

local Mosquitto = {}
Mosquitto.__index = Mosquitto

function Mosquitto:stop()
  os.execute("kill " .. self.pid .. " 2>/dev/null")
  self.pipe:close()
  os.execute("rm -rf " .. helper.quote(self.folder))
end

--- Why mosquitto is not available here; nil if it is.
function mqtt.no_mosquitto()
  if helper.shell("PATH=$PATH:/usr/sbin command -v mosquitto") == "" then
    return "mosquitto is not installed"
  end
end

--- Starts a mosquitto of our own on a free loopback port. `%FOLDER%` in it stands for its folder.
---@param config? string further lines of its configuration
---@param tls? boolean with the test certificates, TLS 1.3 only
---@param prepare? fun(folder: string) puts files there before it starts
function mqtt.mosquitto(config, tls, prepare)
  local self = setmetatable({}, Mosquitto)
  self.folder = helper.shell("mktemp -d")
  local probe = mqtt.broker("hold") -- a port that is free just now
  self.port = tonumber(probe.port)
  probe:stop()
  local lines = { ("listener %d 127.0.0.1"):format(self.port), "persistence false",
    "log_dest file " .. self.folder .. "/log", "log_type all" }
  if tls then
    local certs = helper.shell("cd " .. helper.certs() .. " && pwd")
    self.ca = certs .. "/ca.pem"
    os.execute(("cp %s/server.* %s && chmod 644 %s/server.*"):format(certs, self.folder,
      self.folder))
    lines[#lines + 1] = ("certfile %s/server.pem\nkeyfile %s/server.key\ntls_version tlsv1.3")
      :format(self.folder, self.folder)
  end
  lines[#lines + 1] = (config or "allow_anonymous true"):gsub("%%FOLDER%%", self.folder)
  os.execute("chmod 777 " .. self.folder)
  if prepare then prepare(self.folder) end
  helper.write(self.folder .. "/conf", table.concat(lines, "\n") .. "\n")
  self.pipe = io.popen(("PATH=$PATH:/usr/sbin; echo $$; exec mosquitto -c %s/conf 2>&1"):format(
    self.folder))
  self.pid = self.pipe:read("*l")
  self.url = ("%s://localhost:%d"):format(tls and "mqtts" or "mqtt", self.port)
  for _ = 1, 200 do
    if helper.shell(("perl -MIO::Socket::INET -e 'print !!IO::Socket::INET->new(q(127.0.0.1:%d))'")
      :format(self.port)) ~= "" then
      return self
    end
    os.execute("sleep 0.05")
  end
  local said = helper.read(self.folder .. "/log")
  self:stop()
  error("mosquitto did not start: " .. tostring(said))
end

return mqtt
