-- bmwi.cli.session: makes the client and the car from the settings: saved log-in, prompts, VIN.

local bmwi = require "bmwi"
local sorted_names = require "bmwi._names"
local store = require "bmwi.store"
local config = require "bmwi.cli.config"
local fail = require "bmwi.cli.fail"
local output = require "bmwi.cli.output"
local render = require "bmwi.cli.render"

local session = {}

-- What a log-in needs; a `secret` is prompted for without echo.
local NEEDED = {
  { name = "username", prompt = "User name (e-mail)" },
  { name = "password", prompt = "Password", secret = true },
  { name = "api_key", prompt = "API key", secret = true, unless = "basic" },
  { name = "api_secret", prompt = "API secret", secret = true, unless = "basic" },
}

--- The missing settings of a log-in that can be prompted for.
---@return table[] rows {name, prompt, secret}
function session.lacking(settings)
  local rows = {}
  if session.is_cardata(settings) then return rows end
  for _, row in ipairs(NEEDED) do
    if not settings[row.name] and not (row.unless and settings[row.unless]) then
      rows[#rows + 1] = row
    end
  end
  return rows
end

local WARN_BEFORE = 3 * 24 * 60 * 60 -- warn this many seconds before CarData's log-in expires
local CARDATA = "https://api-cardata.bmwgroup.com"

--- Whether the settings are for CarData.
function session.is_cardata(settings)
  return settings.service == "cardata"
end

--- The server, for messages and to distinguish saved log-ins.
function session.server(settings)
  if settings.base_url then return settings.base_url end
  if session.is_cardata(settings) then return CARDATA end
  return bmwi.regions[settings.region]
end

--- Raises an error if the settings name no server.
function session.need_server(settings)
  if not session.server(settings) then
    if not (settings.service or settings.username or settings.api_key or settings.basic) then
      fail.raise("nothing is set up", "config", { hint = "Your own car: set service = cardata and "
        .. "client_id; step by step: docs/cardata.md. Without a car: `bmwi demo`." })
    end
    fail.raise("no server is set", "config", { hint = "Give --base-url URL or --region "
      .. "rest_of_world|usa|china, or set one in the configuration file. Without any server: "
      .. "`bmwi demo`." })
  end
end

--- Raises an error if a log-in lacks a setting that cannot be prompted for.
function session.check_account(ctx)
  local names = {}
  for i, row in ipairs(session.lacking(ctx.settings)) do names[i] = row.name end
  if #names == 0 or ctx.out.can_ask then return end
  fail.raise("not logged in; missing settings: " .. table.concat(names, ", "), "login",
    { hint = ("Set them in the configuration file (%s), or in the environment (BMWI_%s, ...), "
      .. "or run `bmwi login` on a terminal."):format(ctx.settings.path or "--config FILE",
      names[1]:upper()) })
end

-- Prompts for missing settings of a log-in, or explains how to set them.
local function complete(ctx)
  local settings = ctx.settings
  session.check_account(ctx)
  for _, row in ipairs(session.lacking(settings)) do
    local answer
    if row.secret then
      local message, code
      ctx.out:progress_end()
      answer, message, code = bmwi._sys.read_secret(row.prompt .. ": ")
      if not answer then fail.raise(message, code) end
    else
      answer = ctx.out:ask(row.prompt .. ": ")
    end
    if not answer or answer == "" then fail.raise("no input", "login") end
    settings[row.name] = answer
  end
end

-- The client's log hook: one line for each event with --verbose; the module has already removed the
-- secrets. A token that could not be saved is always reported: by `bmwi login` as its failure.
local function log_hook(ctx)
  local out = ctx.out
  return function(event, fields)
    if event == "stream_message" then
      if ctx.recorder then ctx.recorder:message(fields.topic, fields.payload) end
      -- reports need not reveal where the car is
      fields = { bytes = #fields.payload }
    end
    if event == "stream" and ctx.on_stream then ctx.on_stream(fields) end
    if event == "response" then -- nil where a call's response came after that of the log-in
      ctx.login_status = fields.call == "token" and fields.status or nil
    end
    if fields.date then ctx.clock_error = os.time() - fields.date end
    if event == "store_error" then
      ctx.store_error = tostring(fields.error)
      return not ctx.again and out:remark("The log-in could not be saved: " .. ctx.store_error)
    end
    if not ctx.options.verbose then return end
    local words = {}
    for _, name in ipairs(sorted_names(fields)) do
      local value = fields[name]
      local fraction = type(value) == "number" and value % 1 ~= 0
      words[#words + 1] = ("%s=%s"):format(name,
        fraction and ("%.3f"):format(value) or output.clean(value))
    end
    out:progress_end()
    io.stderr:write(("bmwi: %s %s\n"):format(event, table.concat(words, " ")))
  end
end

--- Whether a token has not expired. Without an expiry it is valid until it is refused.
function session.fresh(token)
  return token ~= nil and (token.expires_at == nil or token.expires_at > os.time())
end

--- Whether a token gives access, or can be renewed.
function session.usable(token)
  return token ~= nil and (token.refresh_token ~= nil or session.fresh(token))
end

--- The units for the user.
function session.system(ctx) return ctx.settings.units or "metric" end

--- The store for these settings' log-in.
function session.store(settings)
  if session.is_cardata(settings) then return store.new(settings.token_file) end
  return store.new(settings.token_file,
    { server = session.server(settings), username = settings.username })
end

-- The saved token. A file that others can access is an error; a missing token is not.
local function kept_token(kept)
  local token, message, code, info = kept:load()
  if token then return token end
  if code == "insecure" or code == "file" then
    fail.raise(message, code == "file" and code or "config", info)
  end
end

-- --record: the service's responses are recorded.
local function begin_recording(ctx)
  local path = ctx.options.record
  if not path then return end
  ctx.recorder = require("bmwi.cli.record").new(path,
    { service = ctx.settings.service or "classic", personal = ctx.options["record-personal"] })
  ctx.client:_record(function(exchange) ctx.recorder:answer(exchange) end)
end

local function need_whole(recorder)
  if not recorder.problem then return end
  fail.raise(("the recording %s ends early: %s"):format(recorder.path, recorder.problem), "file")
end

--- Raises an error if there is a recording that could not be written.
function session.need_recording(ctx)
  if ctx.recorder then need_whole(ctx.recorder) end
end

local function end_recording(ctx)
  local recorder = ctx.recorder
  ctx.recorder = nil
  if not recorder then return end
  recorder:close()
  need_whole(recorder)
  ctx.out:remark("Recorded to " .. recorder.path)
end

-- The server takes a refresh token once: a program that is ended before the answer is saved would
-- lose the log-in. So a signal waits for that; a second one does not.
local function finish_renewals(kept)
  local begin, finish = kept.begin, kept.finish
  function kept:begin(owner)
    local token, auth_error = begin(self, owner)
    if type(token) == "table" and token.refresh_token then bmwi._sys.hold_signals(true) end
    return token, auth_error
  end
  function kept:finish(...)
    bmwi._sys.hold_signals(false)
    return finish(self, ...)
  end
end

-- A client whose log-in is in the store; `again`: ignores the saved one.
local function make(ctx, options, kept, again)
  if again then kept.load = function() return nil end
  else finish_renewals(kept) end
  ctx.again = again
  options.store, options.log = kept, log_hook(ctx)
  ctx.client = fail.input(bmwi.new, options)
  begin_recording(ctx)
  return ctx.client
end

-- CarData's client: its store also holds the quota, and only `bmwi login` logs in.
local function open_cardata(ctx, again)
  local settings = ctx.settings
  if not settings.client_id then
    fail.raise("no client id is set", "config", { hint = "Create one at BMW's portal and set "
      .. "client_id in the configuration file, or BMWI_CLIENT_ID. Step by step: bmwi doctor" })
  end
  local options, kept = config.options(settings), session.store(settings)
  options.on_prompt = function(prompt) require("bmwi.cli.prompt").show(ctx, prompt) end
  return make(ctx, options, kept, again)
end

--- The options of bmwi.new for the settings. Half of a pair is useless, but with a saved log-in it
--- is not an error.
---@return table options
function session.options(settings)
  local options = config.options(settings)
  for _, pair in ipairs { { "username", "password" }, { "api_key", "api_secret" } } do
    if not (options[pair[1]] and options[pair[2]]) then
      options[pair[1]], options[pair[2]] = nil, nil
    end
  end
  return options
end

--- Makes the client. Its store keeps the token, so that only one of several processes renews it.
---@param ctx table settings, options, out; gets ctx.client
---@param again? boolean do not use the saved log-in
---@return bmwi.client client
function session.open(ctx, again)
  if ctx.client then return ctx.client end
  local settings = ctx.settings
  if session.is_cardata(settings) then return open_cardata(ctx, again) end
  session.need_server(settings)
  local kept = session.store(settings)
  local token = not again and kept_token(kept) or nil
  if not session.usable(token) then
    complete(ctx)
    kept = session.store(settings) -- its owner is known now
  end
  ctx.out:busy("Asking " .. session.server(settings))
  return make(ctx, session.options(settings), kept, again)
end

--- Raises an error if the log-in just made could not be saved.
function session.need_saved(ctx)
  if not ctx.store_error then return end
  fail.raise("the log-in could not be saved: " .. ctx.store_error, "file",
    { hint = "Choose another file: token_file, or BMWI_TOKEN_FILE." })
end

--- When CarData's saved log-in expires unless it is renewed, if that is soon.
---@param token table|nil from the store
---@return number|nil epoch seconds
function session.ends_soon(token)
  local at = token and token.refresh_expires_at
  return at and at - os.time() < WARN_BEFORE and at or nil
end

--- Warns if CarData's log-in expires soon.
function session.foretell(ctx)
  local ends = session.ends_soon((session.store(ctx.settings):load()))
  if not ends then return end
  local text = ends <= os.time() and "The log-in expired on %s. A new one: bmwi login"
    or "The log-in expires on %s unless it is renewed before. A new one: bmwi login"
  ctx.out:remark(text:format(render.clock(ends)))
end

--- Closes the client.
function session.close(ctx)
  if ctx.client then ctx.client:close() end
  ctx.client = nil
  end_recording(ctx)
end

--- The displayed name of a car: model and number plate, or the VIN.
function session.name(vehicle)
  if not vehicle then return nil end
  local words = {}
  for _, member in ipairs { "model", "licensePlate" } do
    if type(vehicle[member]) == "string" then words[#words + 1] = vehicle[member] end
  end
  return #words > 0 and table.concat(words, ", ") or tostring(vehicle.vin)
end

--- Writes a heading with the name of this run's car: its VIN where the name is not known, which
--- alone is not worth a request.
function session.title(ctx, words)
  local vehicle = ctx.vehicle
  if session.is_cardata(ctx.settings) then -- it is known after a status has been read
    local basic = session.store(ctx.settings):_basic(ctx.car:vin()) or {}
    vehicle = { vin = ctx.car:vin(), model = basic.modelName }
  end
  ctx.out:heading(("%s, %s"):format(words, session.name(vehicle) or ctx.car:vin()))
end

--- A car among several: the VIN and its displayed name.
function session.full_name(vehicle)
  local vin, name = tostring(vehicle.vin), session.name(vehicle)
  return name == vin and vin or ("%s (%s)"):format(vin, name)
end

--- The account's cars, requested once for each run.
---@return table[] list
function session.cars(ctx)
  ctx.cars = ctx.cars or render.tables(fail.check(session.open(ctx):vehicles()))
  return ctx.cars
end

local function names(list)
  local words = {}
  for i, vehicle in ipairs(list) do words[i] = session.full_name(vehicle) end
  return #words > 0 and table.concat(words, ", ") or "none"
end

--- Finds the car in the account's list; without a VIN it must be the only one. Raises if it is not
--- there.
function session.choose(ctx)
  local list, vin = session.cars(ctx), ctx.settings.vin
  if not vin and #list == 1 then return list[1] end
  for _, vehicle in ipairs(list) do
    if vin and tostring(vehicle.vin):upper() == vin:upper() then return vehicle end
  end
  local hint = "Choose one: --vin VIN, or BMWI_VIN, or vin = VIN in the configuration file."
  if vin then
    fail.raise(("vin %s is not one of this account's cars: %s"):format(vin, names(list)),
      "config", { hint = hint })
  end
  if #list == 0 then fail.raise("this account has no car", "not_found") end
  fail.usage("this account has several cars: " .. names(list), hint)
end

--- The car of an entry in the account's list. An invalid VIN there is not the user's mistake.
---@param vehicle table
---@return bmwi.car car
function session.listed(ctx, vehicle)
  local ok, car = pcall(fail.input, ctx.client.vehicle, ctx.client, vehicle.vin)
  if not ok then
    if not fail.is(car) then error(car, 0) end
    fail.raise("the service lists a car with an invalid VIN", "json")
  end
  return car
end

--- The car of this run: --vin, BMWI_VIN, the configuration, or the account's only car.
---@param ctx table gets ctx.car, and ctx.vehicle, its entry in the list, if that was read
---@return bmwi.car car
function session.car(ctx)
  if ctx.car then return ctx.car end
  local client, settings = session.open(ctx), ctx.settings
  local vin, is_cardata = settings.vin, session.is_cardata(settings)
  -- The classic list also tells the client which region serves a car.
  if vin and (is_cardata or settings.base_url and not ctx.cars) then
    ctx.car = fail.input(client.vehicle, client, vin)
    return ctx.car
  end
  if is_cardata then ctx.cars = require("bmwi.cli.cardata_cars").own(ctx) end
  ctx.vehicle = session.choose(ctx)
  ctx.car = session.listed(ctx, ctx.vehicle)
  return ctx.car
end

return session
