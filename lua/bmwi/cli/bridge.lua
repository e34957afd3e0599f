-- bmwi.cli.bridge: `bmwi bridge`: publishes the cars to an MQTT broker, to Prometheus and to
-- standard output, until SIGTERM or Ctrl-C.

local bmwi = require "bmwi"
local commands = require "bmwi.bridge.commands"
local fail = require "bmwi.cli.fail"
local hub = require "bmwi.bridge.hub"
local live = require "bmwi.cli.live"
local publisher = require "bmwi.bridge.publisher"
local session = require "bmwi.cli.session"
local source = require "bmwi.bridge.source"
local topics = require "bmwi.bridge.topics"

local bridge = {}

-- The options of the publisher by their names here.
local NAMES = { url = "--mqtt", username = "mqtt_username", password = "mqtt_password",
  ca_file = "mqtt_ca_file", topic = "--prefix" }

local EXAMPLES = { url = "Example: --mqtt mqtt://localhost:1883",
  topic = "Example: --prefix bmwi2" }

local MOST_PREFIX = 256
local SOON, LATER = 15, 60 -- seconds between two writes of the file, with and without news

-- A refusal of all commands while the service has not been reached yet.
local NO_CARS = { code = "busy", message = "the account's cars are not known yet" }

local function check(ctx)
  live.check(ctx)
  local options = ctx.options
  if not (options.mqtt or options.prometheus or ctx.out.json) then
    fail.usage("`bmwi bridge` has nowhere to publish to", "Give --mqtt URL, --prometheus FILE or "
      .. "--json. Example: bmwi bridge --mqtt mqtt://localhost:1883")
  end
  for _, name in ipairs { "prefix", "discovery", "allow-commands" } do
    if options[name] and not options.mqtt then
      fail.usage(("--%s needs --mqtt URL"):format(name))
    end
  end
  local url = options.mqtt
  if url and url:find("@", 1, true) then
    fail.usage("the URL of the broker must not hold a password",
      "Set mqtt_username and mqtt_password in the configuration file.")
  elseif url and not url:find("^mqtts?://[^/]+$") then
    fail.usage("--mqtt must be mqtt://HOST:PORT or mqtts://HOST:PORT")
  end
  if options.prometheus and not options.prometheus:find("%.prom$") then
    fail.usage("the name of --prometheus FILE must end in .prom",
      "node_exporter reads no other files of its folder.")
  end
end

local function set_prefix(prefix)
  if #prefix > MOST_PREFIX or prefix:find("[%c+#]") or prefix:find("^[$/]")
    or prefix:find("/$") then
    fail.usage(("--prefix must be a topic of at most %d bytes without + and #, not begin with $ "
      .. "or /, nor end with /"):format(MOST_PREFIX), EXAMPLES.topic)
  end
  topics.use(prefix)
end

-- A hint of the module. `ca_file` would replace the CAs that the car service needs.
local function hint_here(hint)
  return hint and hint:gsub("^%l", string.upper):gsub("`ca_file`", "mqtt_ca_file") or nil
end

-- Says what happens meanwhile, with --json, too: nobody looks at a service's terminal.
local function tell(ctx, text, hint)
  if not ctx.options.quiet then ctx.out:warn(text, hint) end
end

-- The connection to the broker; its command handler is set later.
local function make_publisher(ctx)
  local settings, options = ctx.settings, ctx.options
  local handlers = {}
  local made = publisher.new {
    url = options.mqtt, username = settings.mqtt_username, password = settings.mqtt_password,
    ca_file = settings.mqtt_ca_file or settings.ca_file,
    connect_timeout = settings.connect_timeout,
    commands = options["allow-commands"] and function(...) handlers.receive(...) end or nil,
    on_state = function(text, hint) tell(ctx, "MQTT: " .. text, hint_here(hint)) end,
  }
  local name, message = made:fault()
  if name then
    fail.usage(("%s: %s"):format(NAMES[name] or name, message), EXAMPLES[name]
      or "Correct it in the configuration file.")
  end
  return made, handlers
end

local function quota_left(ctx)
  if not session.is_cardata(ctx.settings) then return nil end
  local quota = session.open(ctx):quota()
  return quota and quota.left
end

-- Writes the file regularly. If the first write fails, the setting is wrong; a later failure may be
-- a full disk, which can pass.
local function keep_file(ctx, target)
  local told, pause = nil, 1 -- updates are frequent at the start
  while true do
    local waited = 0
    repeat
      bmwi.sleep(pause)
      waited, pause = waited + pause, math.min(2 * pause, SOON)
    until target.due or waited >= LATER
    local written, message = target:write(os.time())
    if not written and message ~= told then tell(ctx, message) end
    told = message
  end
end

-- `at_end.from`: the options of the source, once the cars are known.
local function receive_commands(ctx, handlers, target, at_end)
  local carrying = commands.new {
    client = session.open(ctx), cars = target.cars, secret = ctx.settings.security_answer,
    timeout = ctx.settings.wait_timeout, interval = ctx.settings.interval,
    say = function(topic, payload) target.options.publisher:say(topic, payload) end,
    refresh = function(vin) source.read(at_end.from, vin) end,
  }
  handlers.receive = function(topic, payload, refusal)
    carrying:receive(topic, payload, refusal or not at_end.from and NO_CARS or nil)
  end
  at_end.commands = carrying
end

-- The bridge's other tasks. Each ends only by a failure.
local function tasks_of(ctx, target)
  local tasks = {}
  local to = target.options.publisher
  if to then
    tasks[#tasks + 1] = function()
      local _, message, code, info = to:run()
      if info.advice then
        code = "config"
        fail.advise(info, info.advice)
      elseif code == "tls" then
        fail.advise(info, hint_here(info.hint))
      end
      fail.raise("the broker: " .. message, code, info)
    end
  end
  if target.options.file then
    fail.check(target:write(os.time()))
    tasks[#tasks + 1] = function() keep_file(ctx, target) end
  end
  return tasks
end

local function is_end(reason)
  return fail.signal(reason) == "terminated"
end

-- What the source of the updates tells.
local function handlers_of(ctx, target)
  return {
    on_update = function(update) target:update(update) end,
    on_model = function(vin) target:named(vin) end,
    on_state = function(state, reason, hint)
      local text = live.words(state, reason)
      if text ~= target.reported then tell(ctx, "Cars: " .. text, hint) end
      target.reported = text
      target:state(state == "connected", text)
    end,
    on_problem = function(text, hint) tell(ctx, "Cars: " .. text, hint) end,
  }
end

-- Raises why it ended. `at_end` gets what is to be closed then. What is published works before the
-- cars are known: an outage of the service is news, too.
local function serve(ctx, to, handlers, at_end)
  local out, options = ctx.out, ctx.options
  session.open(ctx) -- what only the user can correct ends it before anything is published
  local target = hub.new { publisher = to, discovery = options.discovery ~= nil,
    commands = options["allow-commands"], file = options.prometheus,
    quota = function() return quota_left(ctx) end,
    line = out.json and function(text)
      out:line(text)
      out:flush()
    end or nil }
  at_end.target = target
  if options["allow-commands"] then receive_commands(ctx, handlers, target, at_end) end
  out:progress_end()
  target:state(false, "connecting")
  local told = handlers_of(ctx, target)
  live.run(ctx, function()
    local cars = live.await_cars(ctx, told.on_state)
    for _, car in ipairs(cars) do target:car(car.vin, car) end
    at_end.from = live.options(ctx, cars, told)
    return at_end.from
  end, tasks_of(ctx, target))
end

--- bmwi bridge
function bridge.run(ctx)
  check(ctx)
  local to, handlers
  set_prefix(ctx.options.prefix or topics.PREFIX)
  if ctx.options.mqtt then to, handlers = make_publisher(ctx) end
  bmwi._sys.catch_signals()
  local at_end = {}
  local _, reason = pcall(serve, ctx, to, handlers, at_end)
  local target = at_end.target
  if target and not (target.reported or ""):find("^ended") then -- a stream has said it, and why
    target:state(false, "ended")
  end
  if at_end.commands then at_end.commands:close() end
  if to then to:close() end
  if not is_end(reason) then error(reason, 0) end
end

return bridge
