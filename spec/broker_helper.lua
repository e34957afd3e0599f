--- The simulator's stream for specs: a log-in made by the curl program alone, and a small client
--- that shows the bytes as they come (spec/mqtt.py). The verifier and challenge are those of
--- RFC 7636, appendix B.
local helper = require("spec.helper")
local json = helper.json

local broker = {
  CLIENT = "6b1f5a52-9d2e-4c0f-8a53-1f0c2d3e4b5a",
  GCID = "aa111192-d570-4d3d-8835-656ee00edcd7",
  VIN = "WBYCARDATA0000001",
}

local function post(sim, path, fields)
  local words = {}
  for name, value in pairs(fields) do
    words[#words + 1] = "--data-urlencode"
    words[#words + 1] = name .. "=" .. value
  end
  if sim.ca then
    words[#words + 1] = "--cacert"
    words[#words + 1] = sim.ca
  end
  words[#words + 1] = sim.url .. path
  local answer = helper.curl((unpack or table.unpack)(words)) -- luacheck: ignore
  assert(answer.status == 200, answer.body)
  return json.decode(answer.body)
end

--- Logs in as a new program does.
---@return table token what the token endpoint said: id_token, gcid, refresh_token and so on
function broker.log_in(sim)
  local code = post(sim, "/gcdm/oauth/device/code", { client_id = broker.CLIENT,
    scope = "authenticate_user openid cardata:api:read cardata:streaming:read",
    response_type = "device_code", code_challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
    code_challenge_method = "S256" })
  sim:control("POST", "/cardata/login", { allow = true })
  return post(sim, "/gcdm/oauth/token", { client_id = broker.CLIENT,
    grant_type = "urn:ietf:params:oauth:grant-type:device_code", device_code = code.device_code,
    code_verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" })
end

--- Sets faults, publishes, and so on: POST /_sim/cardata/stream.
function broker.set(sim, change) return sim:control("POST", "/cardata/stream", change) end

--- The report of GET /_sim/cardata/stream.
function broker.report(sim) return sim:control("GET", "/cardata/stream") end

local python

--- Why the small client cannot run; nil if it can.
function broker.no_python()
  -- Its own path, since python3 may be a script that takes longer than the client.
  python = helper.shell("python3 -c 'import ssl, sys; print(ssl.HAS_TLSv1_3 and sys.executable)' "
    .. "2>/dev/null")
  if not python:find("^/") then return "there is no python3 with TLS 1.3" end
end

--- Starts the small client; the returned function waits for its end and returns what it received.
---@param ... string its steps
---@return function finish -> table (see spec/mqtt.py)
function broker.client(sim, ...)
  local words = { "exec", helper.quote(python), "-IS spec/mqtt.py", sim.stream_port,
    helper.quote(sim.ca or "-") }
  for i = 1, select("#", ...) do words[#words + 1] = helper.quote((select(i, ...))) end
  local pipe = assert(io.popen(table.concat(words, " ")))
  return function()
    local said = pipe:read("*a")
    pipe:close()
    return json.decode(said)
  end
end

--- Waits, a minute at most, until the report satisfies the function.
---@param seen fun(report: table): any
---@return table report
function broker.wait(sim, seen)
  local report
  for _ = 1, 1200 do
    report = broker.report(sim)
    if seen(report) then return report end
    helper.shell("sleep 0.05")
  end
  error("it did not come to that: " .. json.encode(report), 2)
end

return broker
