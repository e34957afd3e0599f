-- The Lua side of the fuzz targets: checks results, and passes answers to all code that uses them.
-- Gets the server's address; returns the client and one function for each target.
local bmwi = require("bmwi")
local cjson = require("cjson").new()
local geo = require("bmwi.geo")
local print_json = bmwi._sys.json
local navigation = require("bmwi.navigation")
local render = require("bmwi.cli.render")
local time = require("bmwi.time")
local trips = require("bmwi.cli.trips")
local units = require("bmwi.units")
local views = require("bmwi.cli.views")
local values = bmwi._values

local VIN = "WAB1C23456V123456"
-- Those that every client has come first; then what only one with a token knows, of which a refused
-- refresh token is forgotten.
local SECRETS = { "PASSWORD", "APIKEYTEXT", "APISECRET", "ACCESS", "REFRESH" }

local function options(url, token)
  return {
    base_url = url, token = token, username = "user", password = SECRETS[1], api_key = SECRETS[2],
    api_secret = SECRETS[3], retries = 0, timeout = 2, max_response_bytes = 100000,
  }
end

local TOKEN = { access_token = SECRETS[4], refresh_token = SECRETS[5] }
local client = bmwi.new(options((...), TOKEN))
local fuzz = { client = client }
local known = #SECRETS

local function clean(text)
  for i = 1, known do
    assert(not text:find(SECRETS[i], 1, true), "a secret is told")
  end
  assert(not text:find("%c"), "a control character is told")
end

-- What every method guarantees. From the network: no secret and no control character either.
local function judge(result, message, code, info)
  if result ~= nil then return end
  assert(type(message) == "string" and type(code) == "string", "a failure is incomplete")
  if info then
    clean(message)
    clean(info.description or "")
    assert(type(info.retryable) == "boolean", "a failure is incomplete")
  end
end

local function drawn(answer)
  judge(geo.kml(answer))
  judge(geo.svg(answer, { title = "\0<&" }))
  local text, message, code = geo.geojson(answer)
  judge(text, message, code)
  assert(text == nil or cjson.decode(text).type == "FeatureCollection", "not GeoJSON")
end

local function cells(rows)
  for _, row in ipairs(rows) do
    for i = 1, 2 do assert(type(row[i]) == "string", "a cell is not a string") end
  end
end

-- By endpoint: what the command line and the helpers do with its answer.
local uses = {
  vehicles = function(list)
    cells(views.vehicles(list))
    for _, car in ipairs(render.tables(list)) do cells(views.abilities(car)) end
  end,
  status = function(answer)
    for _, system in ipairs({ "metric", "imperial", "us" }) do
      cells(render.status(answer, system))
    end
    drawn(answer)
  end,
  last_trip = function(answer) cells(trips.last_trip(answer, "us")) end,
  all_trips = function(answer)
    cells(trips.all_trips(answer, "imperial"))
    cells(trips.compared(answer, "metric"))
  end,
  charging_profile = function(answer)
    cells(views.profile(answer))
    assert(#views.changes(answer, answer) == 0, "a profile differs from itself")
  end,
  destinations = function(list)
    cells(views.destinations(list))
    drawn(list)
  end,
  range_map = function(map)
    cells(views.range_map(map, "us"))
    drawn(map)
    if type(map.polyline) == "table" then judge(geo.area_km2(map.polyline)) end
  end,
  navigation = function(answer)
    navigation.decode(answer)
    navigation.decode(answer, 47)
    judge(navigation.health(answer, 33.2))
    cells(views.soc(answer, 47))
  end,
}

--- Target `answer`: the results of a method.
function fuzz.answer(name, answer, ...)
  judge(answer, ...)
  if type(answer) ~= "table" then return end
  cjson.decode(print_json(answer))
  units.imperial(answer, "us")
  if uses[name] then uses[name](answer) end
end

--- Target `token`: the results of a log-in.
function fuzz.token(...)
  judge(...)
  local token = client:token()
  assert(not token.expires_at or token.expires_at == math.floor(token.expires_at), "no second")
end

-- CarData's clients only have a token.
local function judge_cardata(...)
  local all, before = SECRETS, known
  SECRETS, known = { TOKEN.access_token, TOKEN.refresh_token }, 2
  local ok, message = pcall(judge, ...)
  SECRETS, known = all, before
  assert(ok, message)
end

local function prompted(prompt)
  for _, name in ipairs({ "verification_uri", "verification_uri_complete", "user_code" }) do
    assert(type(prompt[name]) == "string", name)
  end
  assert(prompt.interval >= 0 and prompt.expires_in == prompt.expires_in, "no time")
end

fuzz.cardata_client = bmwi.new({ service = "cardata", client_id = "fuzzed", base_url = (...),
  login_url = (...) .. "/gcdm/oauth", token = TOKEN, retries = 0, on_prompt = prompted })

--- Target `token`, of CarData.
function fuzz.code(...)
  judge_cardata(...)
  local token = fuzz.cardata_client:token()
  assert(not token.gcid or type(token.gcid) == "string", "no subject")
end

local METHODS = { "status", "telematics", "basic_data", "charging_history", "charging_settings",
  "tyres", "image", "vehicles", "containers", "create_container" }
local ARGUMENTS = {
  telematics = {}, charging_history = { from = 1764547200, to = 1772359200 },
  create_container = { name = "x", descriptors = { "vehicle.vehicle.travelledDistance" } },
}

-- A client that gets the parts of the text as answers, one after the other.
local function answering(text, answered)
  local methods, asked = require("bmwi.cardata"), 0
  local memory, at = require("bmwi.store").memory(), 1
  local one = { _store = function() return memory end, _option = function() end,
    _in_hook = function() return false end }
  for name, method in pairs(methods.client) do one[name] = one[name] or method end
  function one._call(_, endpoint)
    asked = asked + 1
    assert(asked <= 60, "one call after the other")
    local stop = text:find("=====\n", at, true)
    local part = text:sub(at, (stop or #text + 1) - 1)
    at = stop and stop + 6 or at
    return answered(fuzz.cardata_client, endpoint, part == "" and "0" or part)
  end
  local car = { vin = function() return "WBYCARDATA0000001" end }
  function car._client() return one end
  for name, method in pairs(methods.car) do car[name] = method end
  return one, car
end

--- Target `cardata`: a method's results for these answers.
function fuzz.cardata(choice, text, answered)
  local name = METHODS[choice % #METHODS + 1]
  local one, car = answering(text, answered)
  local object = car[name] and car or one
  local result, second, code, info = object[name](object, ARGUMENTS[name])
  if result == nil then return judge_cardata(result, second, code, info) end
  if type(result) == "table" then cjson.decode(print_json(result)) end
  if name == "status" then cells(render.status(result, "us")) end
end

--- Target `text`: dates, numbers and curves.
function fuzz.text(text)
  judge(time.parse(text))
  judge(time.local_clock(text))
  judge(time.is_never(text))
  judge(navigation.curve(text))
  render.moment(text, 1e9)
  render.words(text)
  local number = units.number(text)
  assert(number == nil or number - number == 0, "not a finite number")
  assert(cjson.decode(print_json({ text })), "not JSON")
  local bytes, message, code = bmwi.base64.decode(text)
  judge(bytes, message, code)
end

local NOW = 1772359200
local DRIVE_TRAINS = { "BEV", "PHEV", "CONV", "MHEV", "FCEV" }
local WORDS = { rest = true, stream = true, cache = true }

local function judge_status(state, drive_train)
  local with = { now = NOW, drive_train = drive_train }
  local status, details = values.status(state, with)
  for member, detail in pairs(details) do
    if status[member] == nil then
      assert(type(detail.reason) == "string" and detail.message, member .. " has no reason")
    else
      assert(type(detail.descriptor) == "string" and WORDS[detail.source], member)
      assert(detail.age == nil or detail.age >= 0, "a value from the future")
    end
  end
  for member in pairs(status) do assert(details[member], member .. " has no details") end
  assert(next(values.changed(status, (values.status(state, with)))) == nil, "not the same")
  cjson.decode(print_json(status))
  cjson.decode(print_json(details))
  cells(render.status(status, "us"))
  drawn(status)
end

--- Target `values`: a car's values, and everything made from them.
function fuzz.values(text)
  local ok, list = pcall(cjson.decode, text:sub(2))
  if not ok or type(list) ~= "table" then return end
  if #list == 0 then list = { list } end
  local state
  for i, burst in ipairs(list) do
    if type(burst) == "table" then
      local given = { source = i % 2 == 0 and "stream" or "rest", now = NOW }
      state = values.merge(state, burst, given)
      local again, changed, taken = values.merge(state, burst, given)
      assert(taken == 0 and next(changed) == nil, "the same again is news")
      cjson.encode(again)
    end
  end
  if not state then return end
  local drive_train = DRIVE_TRAINS[text:byte() - 48]
  judge_status(state, drive_train)
  for _, entry in pairs(values.telematics(state, { now = NOW })) do
    assert(entry.value ~= nil or entry.empty, "nothing is said of a value")
  end
  judge_status(values.restore(cjson.decode(cjson.encode(state))), drive_train)
end

--- Target `http`: a log-in and a call that get these bytes as answers.
function fuzz.http(url)
  known = 3
  local fresh = bmwi.new(options(url))
  judge(fresh:vehicles())
  fresh:close()
  known = 4
  local car = bmwi.new(options(url, TOKEN)):vehicle(VIN)
  judge(car:status())
  judge(car:image())
  judge(car:lock_doors())
end

return fuzz
