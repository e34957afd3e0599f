--- The simulator's HTTP faults for every service, drawn at random.

local STATUSES = { 302, 400, 401, 402, 403, 404, 405, 408, 409, 410, 418, 423, 429, 500, 501,
  502, 503, 504, 505, 599 }
local GARBAGE = { "", " ", "<html><body>Bad Gateway</body></html>", "{", "[1,2", "null", "[]", "{}",
  '"text"', "12", '{"x":1}', '{"executionStatus":null}', '{"executionStatus":{}}',
  '{"executionStatus":[]}', '{"vehicleStatus":7}', "\1\2", "\239\187\191{",
  '{"x":1e999}', '{"access_token":5}', ("["):rep(3000), '{"a":' .. ("[0,"):rep(2000) }

--- Makes a generator of faults: fault() -> a rule for /_sim/fault.
---@param random function of spec.soak.common
---@param recorded string[] names of the service's errors
---@param paths string[] paths of the faults; the empty one matches any
return function(random, recorded, paths)
  -- Each with its weight.
  local KINDS = {
    { 4, function() return { latency = random() } end },
    { 1, function() return { latency = 4 + random() * 3 } end }, -- longer than the client waits
    { 3, function() return { reset = random({ "reading", "before", "during", "after" }) } end },
    { 2, function() return { close = random({ "before", "after" }) } end },
    { 3, function() return { truncate = math.floor(random() * 200) } end },
    { 1, function() return { drip = 2 + random() * 300 } end },
    { 5, function() return { status = random(STATUSES) } end },
    { 5, function() return { recorded = random(recorded) } end },
    { 2, function()
      return { status = random({ 429, 503 }),
        headers = { ["Retry-After"] = tostring(random({ 0, 1, 2, 120, 86400 * 30 })) } }
    end },
    { 1, function()
      return { status = 503, headers = { ["Retry-After"] =
        os.date("!%a, %d %b %Y %H:%M:%S GMT", os.time() + random(3) - 1) } }
    end },
    { 4, function()
      return { raw = random(GARBAGE), content_type = random({ "application/json", "text/html" }) }
    end },
    { 1, function() return { pad = random({ 1000, 1e6, 1e8 }), gzip = random() < 0.5 } end },
    { 1, function() return { status = 302, headers = { Location = "http://127.0.0.1:1/" } } end },
  }

  local weights = 0
  for _, kind in ipairs(KINDS) do weights = weights + kind[1] end

  return function()
    local at = random() * weights
    local rule
    for _, kind in ipairs(KINDS) do
      at = at - kind[1]
      if at < 0 then
        rule = kind[2]()
        break
      end
    end
    rule = rule or { reset = "before" }
    rule.path, rule.skip = random(paths), random(30) - 1
    rule.times = random() < 0.1 and random(8) or 1 -- some last
    return rule
  end
end
