--- Runs bmwi bridge as a process, with a subscriber (mosquitto_sub) that records what our broker
--- publishes.
local helper = require "spec.helper"
local cli = require "spec.cli_helper"
local bridge = {}

local LIMIT = 60 -- seconds for what takes none

--- Why no subscriber can run here; nil if it can.
function bridge.no_witness()
  if helper.shell("PATH=$PATH:/usr/sbin; command -v mosquitto && command -v mosquitto_sub") == ""
  then
    return "mosquitto and mosquitto_sub (mosquitto-clients) are not installed"
  end
end

--- Waits until a function returns a true value, and returns it; raises otherwise.
---@param fn fun(): any
---@param what? fun(): string for the message
function bridge.await(fn, what)
  local start = require("bmwi")._sys.monotonic()
  while true do
    local found = fn()
    if found then return found end
    if helper.since(start) > LIMIT then
      error("it did not come to that: " .. (what and what() or ""), 2)
    end
    os.execute("sleep 0.05")
  end
end

local Process = {}
Process.__index = Process

function Process:said() return helper.read(self.err) or "" end
function Process:printed() return helper.read(self.out) or "" end

--- Whether it is still running.
function Process:runs() return helper.shell("kill -0 " .. self.pid .. " 2>&1") == "" end

--- Sends a signal and waits for the end.
---@return integer code the exit code
---@return number seconds that it took
function Process:stop(signal)
  local start = require("bmwi")._sys.monotonic()
  os.execute(("kill -%s %s 2>/dev/null"):format(signal or "TERM", self.pid))
  return self:ended(), helper.since(start)
end

--- Waits for its end.
function Process:ended()
  local code = bridge.await(function()
    return tonumber(helper.read(self.code) or "")
  end, function() return self:said() end)
  return code
end

local count = 0

--- Starts a shell command in the background; cli.begin() comes first.
function bridge.process(command)
  count = count + 1
  local base = ("%s/%d"):format(cli.home, count)
  local self = setmetatable({ out = base .. ".out", err = base .. ".err", code = base .. ".code" },
    Process)
  helper.write(base .. ".sh", ("%s >%s 2>%s & echo $!\nexec >&- 2>&-\nwait $!\ncode=$?\n"
    .. "echo $code >%s.new; mv %s.new %s\n"):format(command, self.out, self.err, self.code,
    self.code, self.code))
  self.pid = helper.shell(("{ sh %s.sh 3>&1 >&3 & } | head -1"):format(base))
  return self
end

--- Starts `bmwi bridge`.
---@param arguments string[]
---@param environment? table
function bridge.start(arguments, environment)
  local words = { "bridge" }
  for _, word in ipairs(arguments) do words[#words + 1] = word end
  return bridge.process(cli.command(words, environment))
end

local Witness = {}
Witness.__index = Witness

--- The last content of each topic that the subscriber has seen; with `all`, all messages.
function Witness:seen()
  local last, all = {}, {}
  for line in self.process:printed():gmatch("[^\n]+") do
    local retained, qos, topic, payload = line:match("^(%d) (%d) (%S+) ?(.*)$")
    if topic then
      last[topic] = payload
      all[#all + 1] = { topic = topic, payload = payload, retained = retained == "1",
        qos = tonumber(qos) }
    end
  end
  return last, all
end

--- Waits until a topic has this content, or any.
function Witness:await(topic, payload)
  return bridge.await(function()
    local held = self:seen()[topic]
    return held and (not payload or held == payload) and held
  end, function() return topic .. " in " .. self.process:printed() end)
end

function Witness:stop() self.process:stop() end

--- A subscriber to everything on this mosquitto.
---@param words? string further arguments of mosquitto_sub
function bridge.witness(broker, words)
  local process = bridge.process(("mosquitto_sub -h 127.0.0.1 -p %d -q 1 %s -t '#' "
    .. "-F '%%r %%q %%t %%p'"):format(broker.port, words or ""))
  return setmetatable({ process = process }, Witness)
end

--- Stops a mosquitto, and restarts it later on the same port.
function bridge.take_away(broker)
  os.execute("kill " .. broker.pid)
  broker.pipe:close()
end

function bridge.bring_back(broker)
  broker.pipe = io.popen(("PATH=$PATH:/usr/sbin; echo $$; exec mosquitto -c %s/conf 2>&1"):format(
    broker.folder))
  broker.pid = broker.pipe:read("*l")
end

--- Changes the classic car's status in the simulator.
function bridge.change(sim, status) sim:change(helper.vin, { status = status }) end

return bridge
