--- Log-ins, for the specs about tokens and stores: requests to the token endpoint, and the store's
--- lock.
local assert = require "luassert"
local bmwi = require "bmwi"
local helper = require "spec.helper"
local store = require "bmwi.store"

local login = { sim = nil, TOKEN = "/webapi/oauth/token/" }

--- Call before each spec: resets the simulator.
function login.begin(sim)
  sim:reset()
  login.sim = sim
end

--- The log in short: "METHOD status", of a token request "GRANT status".
function login.story()
  local lines = {}
  for i, request in ipairs(login.sim:log()) do
    local grant = request.body:match("^grant_type=(%a+)")
    lines[i] = grant and ("%s %d"):format(grant, request.status)
      or ("%s %d"):format(request.method, request.status)
  end
  return lines
end

--- The next token requests get this response, with HTTP 200 by default.
function login.answer_token(body, times, status)
  login.sim:fault({ path = login.TOKEN, status = status or 200, body = body, times = times or 1 })
end

--- The call must have failed with this code, and show no secret -> message, info
function login.fails(code, ...)
  local result, message, got, info = ...
  assert.is_nil(result)
  assert.equal(code, got, message)
  assert.is_table(info)
  assert.is_nil(message:find("p4ssw0rd", 1, true), message)
  assert.is_nil(message:find("a2V5OnNlY3JldA==", 1, true), message)
  return message, info
end

--- The number of token requests.
function login.count() return login.sim:count("POST", "/oauth/token") end

--- A client whose store is `kept`, or the file at that path.
function login.with_store(path, kept, overrides)
  local options = { store = kept or store.new(path) }
  for name, value in pairs(overrides or {}) do options[name] = value end
  return bmwi.new(helper.client(login.sim, options))
end

--- Raises if the lock of the store at that path is held.
function login.assert_free(path)
  local lock, message = store.new(path):lock(0)
  assert(lock, message)
  lock:unlock()
end

return login
