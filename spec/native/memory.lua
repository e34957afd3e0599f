-- What `make memory` runs in every Lua state: one of the operations below, each call protected, so
-- that a call that fails for lack of memory does not hide the next. True if all succeeded.
-- arg: the simulator's address, the operation's name, whose allocation fails. With "load", no
-- allocation fails: CarData's large modules are loaded then, to leave time for what they do.
if ... == "load" then
  if arg[2]:find("^CarData") then require("bmwi.store").memory(require("bmwi.cardata")) end
  return
end
local bmwi = require("bmwi")

local STORE = "build/memory-token.json"
local CLIENT_ID = "6b1f5a52-9d2e-4c0f-8a53-1f0c2d3e4b5a"
local all = true

-- Must hold whatever allocation fails: an error would be taken for a lack of memory.
local function must(holds, what)
  if not holds then
    io.stderr:write(arg[2], ": ", what or "a wrong answer", "\n")
    os.exit(1)
  end
end

local function try(fn, ...)
  local ok, result, message = pcall(fn, ...)
  if not ok or result == nil then
    all = false
    -- A memory error, or a network failure because libcurl had no memory; never a wrong
    -- answer. If memory runs out while the message is made, there is no message.
    must(type(ok and message or result) ~= "table")
    return nil
  end
  return result
end

local function new(more)
  local options = {
    base_url = arg[1], timeout = 2, username = "whatever@example.com", password = "p4ssw0rd",
    api_key = "key", api_secret = "secret", retries = 0,
  }
  for name, value in pairs(more or {}) do
    options[name] = value
  end
  return try(bmwi.new, options)
end

-- The function gets a client and its car, if there was memory for them.
local function with_car(more, fn)
  local client = new(more)
  local car = client and try(client.vehicle, client, "WAB1C23456V123456")
  if car then
    fn(car, client)
  end
  if client then
    client:close()
  end
end

local operations = {}

operations["log-in"] = function()
  local client = new({ on_token = function() end, log = function() end, position =
    { lat = 51.5, lon = -0.12 } })
  if client then
    try(client.login, client)
    try(client.token, client)
    client:close()
  end
end

operations.refresh = function()
  local client = new()
  local token = client and try(client.login, client) and try(client.token, client)
  if token then
    token.expires_at = 1
    local again = new({ token = token })
    if again then
      try(again.vehicles, again)
      again:close()
    end
  end
  if client then
    client:close()
  end
end

operations.reading = function()
  with_car({ log = function() end }, function(car, client)
    try(client.vehicles, client)
    local status = try(car.status, car)
    must(status == nil or status.mileage == 1234)
    local others = { "last_trip", "all_trips", "destinations", "range_map", "navigation" }
    for _, name in ipairs(others) do
      try(car[name], car)
    end
    -- libcurl 8.14 sends the request without the query if it cannot store it, and gets a picture.
    local picture, _, code = car:image({ view = "NO_SUCH_VIEW" })
    must(code ~= "json" and (picture == nil or picture:sub(2, 4) == "PNG"))
  end)
end

-- A command that was answered has an outcome: an execution, a refusal, or `unknown` with an
-- execution. `send(car, to)` stores the results in `to`, which needs no memory, and sets
-- to.back; `more(car, execution)` continues.
local function command(send, refused, more)
  local answered = false
  local function log(event, fields)
    answered = answered or event == "response" and fields.call == "execute" and fields.status ~= nil
  end
  local to = { back = false, execution = false, message = false, code = false, info = false }
  with_car({ log = log }, function(car)
    send(car, to)
    all = all and to.back and (to.execution ~= nil or to.code == refused)
    must(not answered or to.back, "a command that was sent raised")
    must(not answered or to.execution or to.code == refused
      or to.code == "unknown" and to.info.execution.lost, "a command has no outcome")
    if to.execution and more then more(car, to.execution) end
  end)
end

local function sent(type)
  return function(car, to)
    pcall(function()
      to.execution, to.message, to.code, to.info = car:execute(type, { secret = "Rex" })
      to.back = true
    end)
  end
end

operations["command and wait"] = function()
  local wait = try(require, "bmwi.wait")
  command(sent("DOOR_UNLOCK"), nil, function(car, execution)
    try(wait and wait.for_execution or error, car, execution, { interval = 0.001, timeout = 2 })
  end)
end

operations["refused command"] = function() command(sent("NO_SUCH_TYPE"), "http") end

operations["command in a task"] = function()
  local async = try(require, "bmwi.async")
  command(function(car, to)
    try(async and async.run or error, function()
      to.execution, to.message, to.code, to.info = car:unlock_doors({ secret = "Rex" })
      to.back = true
      return true
    end)
  end)
end

-- The id of the car's last command, or "none"; nil if it is not known for lack of memory.
local function last_command(car)
  local ok, execution, _, code = pcall(car.execution, car, "DOOR_LOCK")
  if ok and execution then return execution.eventId end
  if ok and code == "not_found" then return "none" end
  all = false
end

-- Cancelled once the simulator has received it; the simulator answers it too late. So its outcome
-- is unknown.
operations["cancelled command"] = function()
  local async = try(require, "bmwi.async")
  with_car(nil, function(car)
    local before, to = last_command(car), { code = false, info = false }
    local task = async and before and try(async.spawn, function() return car:lock_doors() end,
      function(_, _, code, info) to.code, to.info = code, info end)
    if not task then return end
    local now = before
    while now == before and not task:done() do
      now = last_command(car) or before
    end
    local under_way = not task:done()
    task:cancel()
    local told = to.code == "cancelled" and to.info.execution.lost
    -- Lua's part of a cancelled task's results is left out if there is no memory for it.
    must(told or not under_way or arg[3] == "Lua", "a command that was sent has no outcome")
    all = all and told
    try(bmwi.loop.step, bmwi.loop) -- raises what was kept
  end)
end

operations["charging profile"] = function()
  with_car(nil, function(car)
    local profile = try(car.charging_profile, car)
    if profile then
      try(car.set_charging_profile, car, profile)
    end
  end)
end

operations["send_poi"] = function()
  with_car(nil, function(car)
    try(car.send_poi, car, { lat = 51.5, lon = -0.12, name = "x", phoneNumbers = { "1" } })
  end)
end

operations.image = function()
  with_car(nil, function(car)
    local image = try(car.image, car, { view = "FRONT", width = 20, height = 10 })
    must(image == nil or image:sub(2, 4) == "PNG")
  end)
end

operations.base64 = function()
  local text = try(bmwi.base64.encode, ("x"):rep(1000))
  local bytes = text and try(bmwi.base64.decode, text)
  must(bytes == nil or bytes == ("x"):rep(1000))
end

operations.values = function()
  local values, prefix = bmwi._values, "vehicle.cabin.infotainment.navigation.currentLocation."
  local options = { source = "rest", now = 1772359200 }
  local list = {}
  for name, value in pairs({ ["vehicle.vehicle.travelledDistance"] = "10489",
    ["vehicle.drivetrain.batteryManagement.header"] = "66", [prefix .. "latitude"] = 48.1,
    [prefix .. "longitude"] = 11.5,
    ["vehicle.status.conditionBasedServices"] = '[{"id":1,"status":"OK","title":"Oil"}]' }) do
    list[name] = { value = value, timestamp = options.now }
  end
  local state = try(values.merge, nil, list, options)
  local status = state and try(values.status, state, options)
  must(status == nil or status.mileage == 10489 and status.cbsData[1].cbsType == "OIL")
  if state then try(values.restore, try(values.telematics, state, options) or {}) end
end

operations["async.map"] = function()
  local async = try(require, "bmwi.async")
  with_car(nil, function(car)
    local ended = async and try(function()
      local results, errors = async.map({ 1, 2, 3 }, function()
        return car:last_trip()
      end, { concurrency = 2 })
      return { results = results, errors = errors }
    end)
    for i = 1, ended and 3 or 0 do
      must(ended.results[i] or ended.errors[i], "neither a result nor an error")
      all = all and ended.results[i] ~= nil
    end
  end)
end

-- If libcurl lacks memory for the one, the other still succeeds.
operations["sleep beside a call"] = function()
  local async = try(require, "bmwi.async")
  with_car(nil, function(car)
    try(async and async.run or error, function() -- Lua 5.1 cannot yield inside pcall
      all = car:last_trip() ~= nil and all
      return true
    end, function()
      local start = bmwi._sys.monotonic()
      bmwi.sleep(0.01)
      must(bmwi._sys.monotonic() - start >= 0.01, "the sleep was cut short")
    end)
  end)
end

operations.store = function()
  local store = try(require, "bmwi.store")
  local file = store and try(store.new, STORE)
  if not file then return end
  local client = new({ store = file })
  if client then
    try(client.login, client)
    client:close()
  end
  try(file.load, file)
  try(file._spend, file)
  try(file._set_basic, file, "WAB1C23456V123456", { model = "i3" })
  try(file._quota, file)
  try(file.clear, file)
end

-- A store's lock is released in the end, whatever failed in between.
operations["hooks in a task"] = function()
  local async = try(require, "bmwi.async")
  local begun, finished = 0, 0
  local store = { load = function() end, begin = function() begun = begun + 1 end,
    save = function() return true end,
    finish = function() finished = finished + 1 end }
  with_car({ store = store, log = function() end, on_token = function() end }, function(car)
    for _ = 1, async and 2 or 0 do
      try(async.run, function()
        local trip, message, code = car:last_trip()
        must(type(trip) == "table" or message and code, "neither a result nor an error")
        all = all and trip ~= nil
        return true
      end)
    end
  end)
  must(begun == finished, "the store's lock is kept")
end

operations["close in flight"] = function()
  local async = try(require, "bmwi.async")
  with_car(nil, function(car, client)
    local left = 0
    local function call()
      local result, message, code = car:status()
      must(result == nil and message and code == "closed")
    end
    for _ = 1, async and 3 or 0 do
      local task = try(async.spawn, call, function(ok)
        left = left - 1
        all = all and ok
      end)
      left = task and left + 1 or left
    end
    client:close()
    for _ = 1, 100 do
      if left > 0 then try(bmwi.loop.step, bmwi.loop, 0.01) end
    end
  end)
end

operations["state closed in flight"] = function()
  local async = try(require, "bmwi.async")
  local client = new()
  local car = client and try(client.vehicle, client, "WAB1C23456V123456")
  if not (async and car) then return end
  for _ = 1, 2 do
    try(async.spawn, function()
      car:status()
    end)
  end
  try(async.spawn, function()
    bmwi.sleep(60)
  end)
  try(bmwi.loop.step, bmwi.loop)
end

-- A broker's message is only lost if its task could not be resumed; the task then gets an error.
operations.mqtt = function()
  local async = try(require, "bmwi.async")
  local c = try(bmwi._mqtt.connect, { url = os.getenv("BMWI_BROKER"), username = "joe",
    password = "p4ssw0rd", connect_timeout = 2, will = { topic = "gone", payload = "x" } })
  if not (async and c) then return end
  local function receive()
    local what, a, b = c:receive(0.5)
    all = all and what ~= nil
    if what == nil then must(b == "network" or b == "closed" or b == "timeout", a) end
    return what, a, b
  end
  local greeted = false
  for _ = 1, 3 do
    local ok, what = pcall(receive)
    all = all and ok
    greeted = greeted or ok and what == "connected"
    if ok then break end
  end
  if greeted then
    must((try(c.subscribe, c, "a/b") or 1) == 1)
    must((try(c.publish, c, "a", "hello", { qos = 1 }) or 2) == 2)
    for _ = 1, 3 do
      local what, a, b
      try(async.run, function()
        what, a, b = receive()
        return true
      end)
      must(what ~= "puback" or a == 2 and b == 0)
      must(what ~= "suback" or a == 1 and b[1] == 0)
      must(what ~= "publish" or a == "a/b" and b == "x")
    end
  end
  try(function()
    c:close()
    return true
  end)
end

-- BMW CarData: the function gets a client logged in with a code, its car, and the
-- client's options. Each call that was sent has been counted, at most `most` are sent, and no
-- message contains a token. `ask(method, self, ...)` is a call.
local function cardata(most, fn)
  local said, requests, kept = {}, 0, nil
  local function ask(method, self, ...)
    local ok, result, message = pcall(method, self, ...)
    all = all and ok and result ~= nil
    must(ok or type(result) == "string", "the error is not a string")
    must(not ok or result ~= nil or type(message) == "string", "a failure without words")
    said[#said + 1] = not ok and result or message
    return ok and result or nil
  end
  local store = try(require, "bmwi.store")
  local options = { service = "cardata", client_id = CLIENT_ID, base_url = arg[1], timeout = 2,
    login_url = arg[1] .. "/gcdm/oauth", retries = 0, daily_limit = 100000,
    store = store and try(store.memory), on_prompt = function() end, log = function(event, fields)
      if event == "response" and fields.call ~= "token" then requests = requests + 1 end
    end }
  local client = options.store and try(bmwi.new, options)
  local car = client and try(client.vehicle, client, "WBYCARDATA0000001")
  if car and ask(client.login, client) then
    kept = try(client.token, client)
    fn(ask, client, car, options)
  end
  if not client then return end
  local quota = try(client.quota, client)
  must(not quota or requests <= quota.used and quota.used <= most, "the calls are miscounted")
  for _, text in ipairs(kept and said or {}) do
    for _, secret in ipairs({ kept.access_token, kept.refresh_token, kept.id_token }) do
      must(not tostring(text):find(secret, 1, true), "a secret is told")
    end
  end
  client:close()
end

operations["CarData log-in"] = function() cardata(0, function() end) end

-- The service refuses the scopes; each is requested alone, and the missing one named.
operations["CarData subscription"] = function()
  local client = try(bmwi.new, { service = "cardata", client_id = CLIENT_ID, base_url = arg[1],
    login_url = arg[1] .. "/gcdm/oauth", timeout = 2, retries = 0,
    scope = "openid cardata:api:read cardata:other:read",
    on_prompt = function() must(false, "a prompt for a code that is not used") end })
  if not client then return end
  local ok, result, message = pcall(client.login, client)
  must(not (ok and result), "a log-in without the scope")
  all = all and ok and type(message) == "string"
    and message:find("no subscription for cardata:other:read", 1, true) ~= nil
  pcall(client.close, client)
end

operations["CarData renewal"] = function()
  cardata(1, function(ask, client, _, options)
    options.token = try(client.token, client)
    if not options.token then return end
    options.token.expires_at = 1
    local again = try(bmwi.new, options)
    if again then
      ask(again.vehicles, again)
      again:close()
    end
  end)
end

operations["CarData status"] = function()
  cardata(4, function(ask, _, car)
    local status = ask(car.status, car)
    must(not status or status.mileage, "a status without a mileage")
  end)
end

operations["CarData history"] = function()
  cardata(3, function(ask, _, car)
    local list = ask(car.charging_history, car)
    must(not list or #list > 0, "a history of nothing")
  end)
end

operations[arg[2]]()
return all
