--- Compares the results of the soak's calls with what the server received and what the cars did.
local helper = require("spec.helper")
local common = require("spec.soak.common")

local PATHS = {
  status = "status", last_trip = "lastTrip", all_trips = "allTrips", range_map = "rangemap",
  charging_profile = "chargingprofile", destinations = "destinations", image = "image",
}
local MARGIN = 0.08 -- seconds by which the two clocks may differ; a car rests longer between calls
local STATUS = { [401] = "auth", [403] = "forbidden", [404] = "not_found", [410] = "gone",
  [429] = "rate_limited" }
local OUTCOMES = { executed = "EXECUTED", not_executed = "NOT_EXECUTED", timed_out = "TIMED_OUT" }

local function lines(path)
  local list = {}
  for line in io.lines(path) do list[#list + 1] = helper.json.decode(line) end
  return list
end

local function code_of(status)
  return STATUS[status] or (status >= 500 and "server" or "http")
end

-- Whether the answer was sent completely and without a fault.
local function sound(request)
  return request.status == 204 -- has no body that could be damaged
    or request.status == 200 and (request.fault == nil or request.fault == "latency")
end

--- Judges one call by its last request: nil if its result is true, else what is wrong; and
--- whether that means that something was lost.
local function wrong(entry, last, command, timeout, token_failed)
  local code = entry.code
  local late = entry.to - entry.from >= timeout - 0.2
  if code == "closed" then return nil end -- by us
  if not last then
    if entry.ok then return "an answer to a request that never came" end
    return nil -- there was no token to send it with, or no connection
  elseif entry.ok then
    if sound(last) then return not command and not entry.own and "another car's answer" or nil end
    local part = last.fault == "drip" or last.fault == "truncate" or last.fault == "raw"
    return not (part and last.status == 200) and "success without an answer" or nil
  elseif sound(last) then
    if code == (command and "unknown" or "timeout") and late then return nil end
    return "the answer was lost", true
  elseif last.status == 401 then
    return nil -- reported by the failure to get the next token
  elseif not command and entry.status ~= last.status and token_failed(entry) then
    return nil -- the same, for a repeat that was never sent
  elseif command and (last.status < 300 or last.status == 408 or last.status >= 500) then
    return code ~= "unknown" and "not known to be unknown" or nil
  elseif code == "timeout" then
    return not late and "no time-out" or nil
  elseif last.status == 0 then
    return code ~= "network" and "not the network" or nil
  elseif last.status < 300 then
    local known = code == "network" or code == "json" or code == "too_large"
    return not known and "not a broken answer" or nil
  end
  return code ~= code_of(last.status) and "not what the server said" or nil
end

return function(folder, reports, options)
  local journal, log = lines(folder .. "/journal"), lines(folder .. "/log")
  local by_place, by_mark, tokens = {}, {}, {}
  for _, request in ipairs(log) do
    local vin = request.path:match("WBY1Z4%d+")
    local last = request.path:find("/navigation/", 1, true) and "navigation"
      or request.path:match("[^/]+$")
    local key = vin and request.method == "GET" and vin .. last or request.mark
    local index = vin and request.method == "GET" and by_place or by_mark
    if request.path:find("/oauth/token", 1, true) then tokens[#tokens + 1] = request end
    if key then
      index[key] = index[key] or {}
      table.insert(index[key], request)
    end
  end

  -- What the cars received: by the number of the request, and by the mark of a POI.
  local received, events, pois, in_cars = {}, {}, {}, 0
  for _, report in ipairs(reports) do
    for _, event in ipairs(report.executions) do
      in_cars = in_cars + 1
      received[event.request], events[event.eventId] = event, event
    end
    for _, poi in ipairs(report.pois) do
      in_cars = in_cars + 1
      pois[poi.name] = (pois[poi.name] or 0) + 1
    end
  end

  local untrue, lost, twice, true_calls = {}, 0, 0, 0
  local sent, accepted, unknown, open, refused = 0, 0, 0, 0, 0
  local outcomes = { executed = 0, not_executed = 0, timed_out = 0 }
  local codes, position = {}, {}
  local function blame(entry, what, requests)
    if #untrue < 12 then
      local seen = {}
      for i, request in ipairs(requests or {}) do
        seen[i] = ("%d/%s at %+.2f"):format(request.status, tostring(request.fault),
          request.time - entry.from)
      end
      print(("untrue: %s %s of car %d: %s (status %s, %.2f s; outcome %s; requests: %s)"):format(
        entry.call, entry.ok and "ok" or tostring(entry.code), entry.car, what,
        tostring(entry.status), entry.to - entry.from, tostring(entry.outcome),
        table.concat(seen, ", ")))
    end
    untrue[#untrue + 1] = what
  end

  -- Whether a log-in failed while the call was in progress, with the status that it reported.
  local function token_failed(entry)
    for _, request in ipairs(tokens) do
      if request.time > entry.from - MARGIN and request.time < entry.to + MARGIN
        and (request.status == entry.status or not entry.status and request.fault) then
        return true
      end
    end
    return false
  end

  -- The requests of a read: those for this car to this path while the call was in progress.
  local function requests_of(entry)
    local place = common.vin(entry.car) .. (PATHS[entry.call] or entry.call)
    local all, at, list = by_place[place] or {}, position[place] or 1, {}
    while all[at] and all[at].time <= entry.to + MARGIN do
      if all[at].time >= entry.from - MARGIN then list[#list + 1] = all[at] end
      at = at + 1
    end
    position[place] = at
    return list
  end

  local function judge_command(entry)
    local requests = by_mark[entry.mark] or {}
    local taken, done = 0, entry.call == "poi" and (pois[entry.mark] or 0) or 0
    for _, request in ipairs(requests) do
      if request.status ~= 401 then taken = taken + 1 end
      if entry.call ~= "poi" and received[request.n] then done = done + 1 end
    end
    sent = sent + 1
    if taken > 1 or done > 1 then
      twice = twice + 1
      return "sent twice", requests
    end
    accepted = accepted + (entry.ok and 1 or 0)
    unknown = unknown + (entry.code == "unknown" and 1 or 0)
    refused = refused + ((not entry.ok and entry.code ~= "unknown") and 1 or 0)
    local what, is_lost = wrong(entry, requests[#requests], true, options.timeout)
    if not what and entry.ok and done == 0 then what, is_lost = "accepted, but not in the car", true
    elseif not what and not entry.ok and entry.code ~= "unknown" and entry.code ~= "closed"
      and done > 0 then
      what, is_lost = "in the car, but said not to be", true
    end
    if not what and entry.outcome then
      local event = events[entry.followed or ""]
      local word = OUTCOMES[entry.outcome]
      if word then outcomes[entry.outcome] = outcomes[entry.outcome] + 1 else open = open + 1 end
      if word and not event then what = "the outcome of no command"
      elseif word and event.status ~= word then what = "the car says " .. event.status
      elseif event and received[requests[#requests].n] ~= event then
        what = "the outcome of another command"
      end
    end
    lost = lost + (is_lost and 1 or 0)
    return what, requests
  end

  local function judge_call(entry)
    if entry.call == "login" or entry.call == "vehicles" then -- indistinguishable in the log
      return entry.ok and not entry.own and "a wrong answer" or nil
    end
    local requests = requests_of(entry)
    local what, is_lost = wrong(entry, requests[#requests], false, options.timeout,
      token_failed)
    lost = lost + (is_lost and 1 or 0)
    return what, requests
  end

  for _, entry in ipairs(journal) do
    local what, requests
    if entry.mark then what, requests = judge_command(entry)
    else what, requests = judge_call(entry) end
    local word = entry.ok and "ok" or entry.code
    codes[word] = (codes[word] or 0) + 1
    if what then blame(entry, what, requests) else true_calls = true_calls + 1 end
  end
  -- A command that no call claims to have sent.
  local marks = {}
  for _, entry in ipairs(journal) do
    if entry.mark then marks[entry.mark] = true end
  end
  local strange, at_server = 0, 0
  for mark, requests in pairs(by_mark) do
    at_server = at_server + #requests
    strange = strange + (marks[mark] and 0 or 1)
  end

  local faults = 0
  for _, request in ipairs(log) do faults = faults + (request.fault and 1 or 0) end
  local words = {}
  for word, count in pairs(codes) do words[#words + 1] = ("%s %d"):format(word, count) end
  table.sort(words)
  return { lost = lost, twice = twice, table = {
    { "Calls made", #journal, #journal > 0, table.concat(words, ", ") },
    { "Calls answered with what was asked", codes.ok or 0,
      (codes.ok or 0) >= options.least * #journal,
      ("at least %g of all"):format(options.least) },
    { "Calls answered truly", true_calls, true_calls == #journal },
    { "Requests that the server received", #log, nil, faults .. " of them disturbed" },
    { "Commands sent", sent, sent > 0, ("%d accepted, %d unknown, %d refused or not sent"):format(
      accepted, unknown, refused) },
    { "Command requests at the server", at_server, strange == 0, "with those refused for a token"
      .. (strange > 0 and ("; %d sent by nobody"):format(strange) or "") },
    { "Commands received by the cars", in_cars, in_cars <= sent },
    { "Outcomes followed to their end", outcomes.executed + outcomes.not_executed
      + outcomes.timed_out, nil, ("%d executed, %d not executed, %d timed out; %d still open")
      :format(outcomes.executed, outcomes.not_executed, outcomes.timed_out, open) },
    { "Lost", lost, lost == 0 },
    { "Sent twice", twice, twice == 0 },
  } }
end
