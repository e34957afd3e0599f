-- The stream's policy: what to do after which event. Each row reflects known behaviour of BMW's
-- servers, or the MQTT standards.
local has = require("spec.helper").has
local schedule = require("bmwi.cardata.stream_schedule")
local times = require("bmwi.cardata.stream_times")

-- A schedule without jitter, whose renewals are at 45 minutes of 60.
local function new(protocol, random)
  return schedule.new { protocol = protocol or 5, times = times,
    random = random or function() return 0.5 end }
end

local function lost(what)
  local event = { message = "it is lost", code = "network" }
  for name, value in pairs(what or {}) do event[name] = value end
  return event
end

local function refused(reason, what)
  local event = lost { code = "auth", phase = "connack", reason = reason }
  for name, value in pairs(what or {}) do event[name] = value end
  return event
end

local EOF_ = { eof = true, phase = "session" }

describe("the stream's schedule", function()
  it("connects immediately, with the requested protocol", function()
    for _, protocol in ipairs({ 4, 5 }) do
      local step = new(protocol):start()
      assert.equal(0, step.wait)
      assert.equal(protocol, step.protocol)
      assert.is_false(step.renew)
    end
  end)

  it("waits longer after each failure in a row, 5 minutes at most", function()
    local s, waits = new(), {}
    for i = 1, 9 do waits[i] = s:lost(lost(), i * 1000).wait end
    assert.same({ 5, 10, 20, 40, 80, 160, 300, 300, 300 }, waits)
  end)

  it("varies a wait by a fifth", function()
    for random, wait in pairs({ [0] = 4, [1] = 6 }) do
      assert.equal(wait, new(5, function() return random end):lost(lost(), 0).wait)
    end
  end)

  it("restarts its backoff after a session of a minute, but not after a shorter one", function()
    for lasted, wait in pairs({ [59] = 20, [60] = 5 }) do
      local s = new()
      s:lost(lost(), 0)
      s:lost(lost(), 10)
      s:connected(100)
      assert.equal(wait, s:lost(lost { phase = "session" }, 100 + lasted).wait)
    end
  end)

  it("pauses three seconds after its own disconnect, for the new token", function()
    local s = new()
    s:connected(0)
    s:lost(lost(), 10)
    s:connected(20)
    local step = s:rotated(2700)
    assert.equal(3, step.wait)
    assert.is_false(step.renew)
    assert.equal(5, s:lost(lost(), 2703).wait) -- it went well until then
  end)

  it("treats a refusal within 10 seconds of its own disconnect as too soon", function()
    for reason in pairs({ [135] = 1, [134] = 1, [5] = 1, [4] = 1 }) do
      local s = new()
      s:connected(0)
      s:rotated(100)
      local step = s:lost(refused(reason), 109)
      assert.equal(3, step.wait)
      assert.is_false(step.renew)
      assert.is_true(s:lost(refused(reason), 110).renew)
    end
  end)

  it("does the same if a session ends with that reason", function()
    local s = new()
    s:connected(0)
    local step = s:lost(lost { phase = "session", code = "auth", reason = 135 }, 3600)
    assert.is_true(step.renew)
  end)

  it("ends if a never connected stream is refused with a new token too", function()
    for reason, code in pairs({ [4] = "auth", [134] = "auth", [5] = "forbidden",
      [135] = "forbidden" }) do
      local s, step = new(), nil
      for i = 1, 4 do step = s:lost(refused(reason), i * 100) end
      assert.equal(code, step.code)
      assert.is_string(step.hint)
    end
  end)

  it("stays away for a minute if the server is busy or limits the rate", function()
    for _, reason in ipairs({ 3, 136, 137, 151, 159 }) do
      for _, phase in ipairs(reason == 3 and { "connack" } or { "connack", "session" }) do
        local step = new():lost(lost { phase = phase, reason = reason, code = "server" }, 0)
        assert(step.wait >= 60 and step.wait <= 72, step.wait)
      end
    end
    local s = new()
    for i = 1, 6 do s:lost(lost(), i) end
    assert.equal(300, s:lost(lost { reason = 159, code = "server" }, 10).wait)
    assert(new():refused_topic(151, 0).wait >= 60)
  end)

  it("ends for good if the server will never accept the client", function()
    for reason, what in pairs({ [133] = { "server", "client:login()" },
      [2] = { "server", "log in" }, [138] = { "forbidden", "every program" } }) do
      local step = new():lost(refused(reason), 0)
      assert.equal(what[1], step.code)
      has(step.hint, what[2])
      assert.is_nil(step.wait)
    end
  end)

  it("falls back to MQTT 3.1.1, once", function()
    for _, reason in ipairs({ 1, 132 }) do
      local s = new()
      local step = s:lost(refused(reason), 0)
      assert.equal(4, step.protocol)
      assert.equal(3, step.wait)
      assert.equal(4, s:lost(lost(), 5).protocol)
      assert.equal("server", s:lost(refused(1), 10).code)
      assert.equal("server", new(4):lost(refused(reason), 0).code)
    end
  end)

  it("interprets MQTT 3.1.1 return codes only in a CONNACK", function()
    local s = new()
    s:connected(0)
    assert.is_nil(s:lost(lost { phase = "session", reason = 2, code = "server" }, 100).code)
  end)

  it("ends if the subscription is refused twice, and names the portal's step", function()
    local s = new()
    s:connected(0)
    assert.equal(5, s:refused_topic(0x87, 1).wait)
    s:connected(10)
    local step = s:refused_topic(0x80, 11)
    assert.equal("forbidden", step.code)
    has(step.hint, "CarData Stream")
  end)

  it("treats the end after a refused subscription as its own", function()
    local s = new()
    s:connected(0)
    s:refused_topic(0x87, 1)
    local step = s:lost(refused(135), 6)
    assert.equal(3, step.wait)
    assert.is_false(step.renew)
    assert.is_nil(s:lost(lost(EOF_), 7).code)
    assert.equal(0, #s.ends)
  end)

  it("does not count a refused subscription from before one that was granted", function()
    local s = new()
    s:refused_topic(0x87, 1)
    s:subscribed()
    assert.is_nil(s:refused_topic(0x87, 100).code)
  end)

  it("ends if three sessions are ended within a minute: another program", function()
    for _, how in ipairs({ EOF_, { phase = "session", reason = 142, code = "server" } }) do
      local s, step = new(), nil
      for i = 0, 2 do
        assert(not step or step.wait)
        s:connected(i * 20)
        step = s:lost(lost(how), i * 20 + 1)
      end
      assert.equal("conflict", step.code)
      has(step.hint, "other program")
    end
  end)

  it("continues if sessions are ended less often", function()
    local s, step = new(), nil
    for i = 0, 20 do
      s:connected(i * 40)
      step = s:lost(lost(EOF_), i * 40 + 1)
      assert.is_nil(step.code)
    end
    assert.equal(300, step.wait)
  end)

  it("distinguishes them from ends by token, network or server shutdown", function()
    for _, how in ipairs({ { eof = true, phase = "session", expired = true },
      { phase = "session", code = "timeout" }, { phase = "session", code = "network" },
      { phase = "session", code = "server", reason = 139 },
      { phase = "connack", eof = true } }) do
      local s = new()
      for i = 0, 9 do
        if how.phase == "session" then s:connected(i * 10) end
        assert.is_nil(s:lost(lost(how), i * 10 + 1).code)
      end
    end
  end)

  -- How many failures of TLS in a row end a stream; nil if 50 do not.
  local function failures_of_tls(ever, retryable)
    local s = new()
    if ever then s:connected(0) end
    s:lost(lost { phase = "connect" }, 1)
    s:lost(lost { code = "tls", phase = "connect", retryable = true }, 10)
    s:lost(lost { phase = "connect" }, 20) -- not in a row
    for i = 1, 50 do
      local tls = lost { code = "tls", phase = "connect", retryable = retryable }
      if s:lost(tls, 100 * i).code == "tls" then return i end
    end
  end

  it("ends for an untrusted certificate at once if it never worked, else after three", function()
    assert.equal(1, failures_of_tls(false, false))
    assert.equal(3, failures_of_tls(true, false))
  end)

  it("ends for handshakes that are cut short after three, and never if it worked once", function()
    assert.equal(3, failures_of_tls(false, true))
    assert.is_nil(failures_of_tls(true, true))
  end)

  it("retries forever without a network, whether or not it ever connected", function()
    local s = new()
    for i = 1, 100 do
      assert.is_nil(s:lost(lost { phase = "connect", code = "timeout" }, i * 400).code)
    end
  end)

  it("ends without a log-in, but retries if no token is available now", function()
    assert.equal("auth", new():no_token("not logged in", "auth", {}).code)
    assert.equal("closed", new():no_token("the client was closed", "closed").code)
    assert.equal(5, new():no_token("no network", "network", {}).wait)
    assert(new():no_token("later", "rate_limited", { retry_after = 100 }).wait >= 100)
    assert.is_nil(new():renewal_failed("no network", "network"))
    assert.equal("auth", new():renewal_failed("refused", "auth").code)
  end)

  it("gets the next token after 45 to 50 of 60 minutes, in proportion", function()
    for random = 0, 1, 0.25 do
      local s = new(5, function() return random end)
      local at = s:renew_in(3600)
      assert(at >= 45 * 60 and at <= 50 * 60, at)
      assert(s:renew_in(20) >= 15 and s:renew_in(20) <= 17)
      assert.equal(0, s:renew_in(-5))
    end
  end)

  it("retries a renewal before the token expires", function()
    assert.equal(60, new():renew_again_in(600))
    assert.equal(11, new():renew_again_in(40))
  end)
end)
