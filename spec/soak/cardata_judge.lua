--- Compares the results of the processes in CarData's soak with what the simulator received.
local common = require("spec.soak.common")
local helper = require("spec.helper")

local DAY = 86400
local ANSWER = 8 -- seconds within which a process receives an answer, or is killed
local TASKS = 3
-- KiB, KiB, descriptors.
local GROWTH = { { "resident memory, KiB", "rss", 4096 }, { "Lua memory, KiB", "lua", 512 },
  { "open descriptors", "files", 8 } }

local function is_rest(request) return request.path:find("^/customers/") ~= nil end

-- An answer that arrived without a fault.
local function sound(request) return not request.fault or request.fault == "latency" end

-- The number of complete renewals; how many exceeded the tokens that ended in a round; and the
-- refresh tokens that were sent again although the first answer had arrived.
local function renewals(all, run)
  local surplus, answered, again, round, count, most = -1, {}, {}, 1, 0, -math.huge
  for _, request in ipairs(all) do
    while run.marks[round] and request.n > run.marks[round] do
      round, surplus = round + 1, -1 -- at each stop all tokens end
    end
    if is_rest(request) and request.fault and request.status == 401 then surplus = surplus - 1 end
    local fields = request.path:find("/oauth/token", 1, true) and helper.form(request.body) or {}
    local token = fields.grant_type == "refresh_token" and fields.refresh_token
    if token and answered[token] then
      local killed = false
      for _, at in ipairs(run.kills) do
        killed = killed or at >= answered[token].time - 2 and at <= answered[token].time + ANSWER
      end
      if sound(answered[token]) and not killed then again[#again + 1] = request.n end
    elseif token and request.status == 200 then
      answered[token] = request
      if sound(request) then
        count, surplus = count + 1, surplus + 1
        most = math.max(most, surplus)
      end
    end
  end
  return count, most, again
end

local function merged(reports, name)
  local all = {}
  for _, report in ipairs(reports) do
    for key, value in pairs(report[name]) do
      all[key] = name == "shown" and math.max(all[key] or 0, value) or (all[key] or 0) + value
    end
  end
  return all
end

-- How many shown values are newer than those in the account file.
local function lost(shown, account)
  local count = 0
  for key, time in pairs(shown) do
    local vin, descriptor = key:match("^(%S+) (%S+)$")
    local kept = ((account.values or {})[vin] or {})[descriptor] or {}
    if (tonumber(kept.time) or 0) < time - 0.001 then count = count + 1 end
  end
  return count
end

---@param run table see cardata.lua
---@return integer failed
return function(run)
  local all, rest, refused = {}, {}, 0
  for _, request in pairs(run.log) do all[#all + 1] = request end
  table.sort(all, function(a, b) return a.n < b.n end)
  local faults, after = 0, 0
  for _, request in ipairs(all) do
    if request.fault then faults = faults + 1 end
    if is_rest(request) then
      rest[#rest + 1] = request
      local full = not request.fault and request.status == 429 -- the simulator's own answer
      if full then refused = refused + 1 end
      if full and run.spent and request.n >= run.spent then after = after + 1 end
    end
  end
  local whole, account = pcall(helper.json.decode, run.account or "")
  if not whole then account = {} end
  local codes, problems = merged(run.reports, "codes"), {}
  for _, report in ipairs(run.reports) do
    for _, problem in ipairs(report.problems or {}) do problems[#problems + 1] = problem end
  end
  local count, most, again = renewals(all, run)
  local passed, failed = 0, 0
  local function row(name, value, good, remark)
    print(("%-44s %9s  %s%s"):format(name, tostring(value), good == nil and "" or good and "ok"
      or "FAILED", remark and "  " .. tostring(remark) or ""))
    if good then passed = passed + 1 elseif good == false then failed = failed + 1 end
  end

  print()
  local busiest = common.busiest(rest, "time", DAY)
  local calls, words = 0, {}
  for code, number in pairs(codes) do
    calls = calls + number
    words[#words + 1] = ("%d %s"):format(number, code)
  end
  table.sort(words)
  row("Calls of the processes that lived to the end", calls, calls > 0, table.concat(words, ", "))
  row("Requests that the simulator received", #all, #all > 0, faults .. " of them disturbed")
  row("Days that went by", run.days)
  row("Most calls of the quota in 24 hours", busiest, busiest <= run.limit,
    "at most " .. run.limit)
  row("Calls that BMW had to refuse", refused, refused == after, "before another used them up")
  row("The same, after another program used them up", after,
    after <= 2 * TASKS * run.workers, "at most those under way")
  row("Renewals", count, count > 0)
  row("Renewals beyond one for each end of a token", math.max(0, most), most <= 0)
  row("Refresh tokens sent twice for no reason", #again, #again == 0, again[1])
  row("Processes killed", #run.kills)
  row("The account file is whole", whole, whole)
  local missing = lost(merged(run.reports, "shown"), account)
  row("Shown values newer than those kept", missing, missing == 0)
  row("Older values shown, errors raised", #problems, #problems == 0, problems[1])
  row("What the processes had to say", #run.said, run.said == "", run.said:sub(1, 500))
  local left = run.files:gsub("[^\n]*%.lock\n?", "")
  row("Files left beside the account", select(2, left:gsub("account[^\n]+", "")),
    not left:find("account[^\n]+"))
  for _, kind in ipairs(GROWTH) do
    local worst, measured = 0, 0
    for _, report in ipairs(run.reports) do
      if report.warm then
        worst, measured = math.max(worst, report.last[kind[2]] - report.warm[kind[2]]), measured + 1
      end
    end
    row("Growth: " .. kind[1], math.floor(worst), measured > 0 and worst <= kind[3],
      ("at most %d; of %d processes"):format(kind[3], measured))
  end
  print(("%d passed, %d failed"):format(passed, failed))
  return failed
end
