--- Compares what was received in the stream's soak with what was published.
local common = require("spec.soak.common")

local RATE, MINUTE = 4, 60 -- connections of an account, and the seconds
local HELD_UP = 3 -- seconds that a connection may have been held up on its way, by `stall`
local TOGETHER = 6 -- seconds in which values of one descriptor may be in one update
local SETTLED, GONE = 15, 6 -- seconds after the local broker is back, and before it goes
local KILLED = { before = 4, after = 1 } -- seconds: what a killed process may not have shown yet
-- What grows: by how much at most. Each renewal has its own connection, which libcurl keeps
-- for two minutes: up to seven in that time. Between the two parts that are compared there are
-- twice as many sessions.
local GROWTH = { { "resident memory, KiB", "rss", 2048 }, { "Lua memory, KiB", "lua", 256 },
  { "open descriptors, the median", "files", 9 } }
-- Within about 5 s: the share of a processor, and how often it goes to sleep per second.
local BUSIEST = { cpu = 0.3, wakes = 150 }
local USUAL = { cpu = 0.05, wakes = 40 } -- over all

local function near_kill(run, at)
  return run.killed and at > run.killed - KILLED.before and at < run.killed + KILLED.after
end

-- Whether the local broker was up long before, and for some time after.
local function local_there(run, at)
  if at < SETTLED or run.killed and at >= run.killed and at < run.killed + SETTLED then
    return false
  end
  for _, outage in ipairs(run.outages) do
    if at > outage.from - GONE and at < (outage.to or math.huge) + SETTLED then return false end
  end
  return true
end

-- Whether a newer value was received instead, soon afterwards: both came in one update.
local function is_replaced(published, i, seen, name)
  local entry = published[i]
  for k = i + 1, #published do
    local later = published[k]
    if later.at - entry.at > TOGETHER then return false end
    if later.key == entry.key and seen[("%s %d"):format(later[name], later.value)] then
      return true
    end
  end
end

-- Values that must have arrived: how many, how many of them were missed, and the first of those.
local function unseen(run, published, seen, name, fits)
  local arrived, lost, first = 0, 0, nil
  for i, entry in ipairs(published) do
    if entry.arrived and not near_kill(run, entry.at) and (not fits or fits(run, entry.at)) then
      arrived = arrived + 1
      if not seen[("%s %d"):format(entry[name], entry.value)]
        and not is_replaced(published, i, seen, name) then
        lost = lost + 1
        first = first or ("%s %d at %.1f s"):format(entry[name], entry.value, entry.at)
      end
    end
  end
  return arrived, lost, first
end

-- How often a topic went back to a value that was published before the one that it held.
local function steps_back(run, topics)
  local last, count, first = {}, 0, nil
  for i, heard in ipairs(run.heard) do
    if i == run.witness_killed + 1 then last = {} end
    local value = topics[heard.topic] and tonumber(heard.payload)
    if value and last[heard.topic] and value < last[heard.topic] then
      count = count + 1
      first = first or ("%s: %d after %d"):format(heard.topic, value, last[heard.topic])
    end
    last[heard.topic] = value or last[heard.topic]
  end
  return count, first
end

-- How much a sample's member has grown from one part of the run to a later one: the highest one, or
-- the median.
local function growth(samples, member, run)
  local function of(from, to)
    local found = {}
    for _, sample in ipairs(samples) do
      local part = sample.at / run.seconds
      if part >= from and part < to then found[#found + 1] = sample[member] end
    end
    table.sort(found)
    return member == "files" and found[math.ceil(#found / 2)] or found[#found]
  end
  local warm, last = of(0.3, 0.6), of(0.75, 1.1)
  return warm and last and last - warm
end

-- Per second: over all intervals, and in the busiest one.
local function rate(samples, member)
  local sum, time, most = 0, 0, 0
  for i = 2, #samples do
    local used = samples[i][member] - samples[i - 1][member]
    local span = samples[i].at - samples[i - 1].at
    if used >= 0 and span > 0 then -- otherwise it was killed in between
      sum, time, most = sum + used, time + span, math.max(most, used / span)
    end
  end
  return time > 0 and sum / time or 0, most
end

local passed, failed = 0, 0

local function row(name, value, good, remark)
  print(("%-54s %9s  %s%s"):format(name, tostring(value), good == nil and "" or good and "ok"
    or "FAILED", remark and "  " .. tostring(remark) or ""))
  if good then passed = passed + 1 elseif good == false then failed = failed + 1 end
end

local function judge_side(run, side)
  local words, ends = {}, {}
  for what, number in pairs(side.chaos.counts) do
    words[#words + 1] = ("%d %s"):format(number, what)
  end
  table.sort(words)
  for _, attempt in ipairs(side.attempts) do
    local why = tostring(attempt.ended or "open")
    ends[why] = (ends[why] or 0) + 1
  end
  local list = {}
  for why, number in pairs(ends) do list[#list + 1] = ("%d %s"):format(number, why) end
  table.sort(list)
  print(("\n%s"):format(side.name))
  row("What went wrong", #words, nil, table.concat(words, ", "))
  row("Connections", #side.attempts, #side.attempts > 0, table.concat(list, ", "))
  local seconds = side.chaos.counts["stall=3"] and MINUTE - HELD_UP or MINUTE
  local most = common.busiest(side.attempts, "at", seconds)
  row(("Most connections in %d s"):format(seconds), most, most <= RATE, "at most " .. RATE)
  for _, kind in ipairs(GROWTH) do
    local grown = growth(side.samples, kind[2], run)
    if kind[2] ~= "lua" or grown then
      row("Growth: " .. kind[1], grown and ("%.0f"):format(grown), grown ~= nil
        and grown <= kind[3], "at most " .. kind[3])
    end
  end
  for member, name in pairs { cpu = "Processor time a second, ms", wakes = "Wake-ups a second" } do
    local usual, highest = rate(side.samples, member)
    local unit = member == "cpu" and 1000 or 1
    row(name, ("%.1f"):format(usual * unit), usual <= USUAL[member],
      ("at most %g"):format(USUAL[member] * unit))
    row("The same in the busiest 5 s", ("%.1f"):format(highest * unit),
      highest <= BUSIEST[member],
      ("at most %g"):format(BUSIEST[member] * unit))
  end
end

---@param run table see stream.lua
---@return integer failed
return function(run)
  local seen, heard, topics = {}, {}, {}
  for line in run.seen:gmatch("[^\n]+") do seen[line:gsub("%.0$", "")] = true end
  for _, message in ipairs(run.heard) do
    heard[message.topic .. " " .. message.payload] = true
  end
  judge_side(run, run.reader)
  local arrived, lost, first = unseen(run, run.reader.published, seen, "key")
  row("Values that were published, and arrived", arrived, arrived > 0,
    ("of %d"):format(#run.reader.published))
  row("Of these never seen", lost, lost == 0, first)
  local absent = 0
  for _, value in ipairs(run.finals) do
    topics[("bmwi/%s/%s"):format(value.vin, value.member)] = true
    if not seen[("%s %s %d"):format(value.vin, value.descriptor, value.value)] then
      absent = absent + 1
    end
  end
  row("The last values, not seen", absent, absent == 0, ("of %d"):format(#run.finals))
  row("Seconds until all of them were there", ("%.0f"):format(run.restored))
  row("Older values shown, ends of the stream", select(2, run.problems:gsub("\n", "")),
    run.problems == "", run.problems:match("[^\n]+"))
  row("What the process had to say", #run.said, run.said == "", run.said:sub(1, 500))

  judge_side(run, run.handing)
  row("Times the local broker was away", #run.outages, nil)
  arrived, lost, first = unseen(run, run.handing.published, heard, "topic", local_there)
  row("Values that arrived while it was there", arrived, arrived > 0,
    ("of %d"):format(#run.handing.published))
  row("Of these never on the local broker", lost, lost == 0, first)
  absent = 0
  for _, value in ipairs(run.finals) do
    if run.held[("bmwi/%s/%s"):format(value.vin, value.member)] ~= tostring(value.value) then
      absent = absent + 1
    end
  end
  row("The last values, not on the local broker", absent, absent == 0,
    ("of %d"):format(#run.finals))
  local back, which = steps_back(run, topics)
  row("Older values after newer ones", back, back == 0, which)
  row("SIGTERM: seconds", ("%.1f"):format(run.ended.seconds), run.ended.code == 0
    and run.ended.seconds < 2 and run.ended.goodbye == "offline",
    ("exit code %s, %s"):format(tostring(run.ended.code), tostring(run.ended.goodbye)))
  print(("\n%d passed, %d failed"):format(passed, failed))
  return failed
end
