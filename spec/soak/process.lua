--- What the kernel reports about a process.
local helper = require("spec.helper")

local process = {}

local TICKS = tonumber(helper.shell("getconf CLK_TCK")) or 100

--- Its present state; nil if it has ended.
---@return {rss:number,files:number,cpu:number,wakes:number}|nil sample resident memory in KiB, open
--- descriptors, processor time in seconds, how often it has gone to sleep
function process.sample(pid)
  local status = helper.read(("/proc/%s/status"):format(pid))
  local stat = helper.read(("/proc/%s/stat"):format(pid))
  local user, system = (stat or ""):match("^%d+ %(.*%) %a" .. (" %-?%d+"):rep(10)
    .. " (%d+) (%d+)")
  local rss = (status or ""):match("VmRSS:%s*(%d+)")
  if not rss or not user then return nil end
  return { rss = tonumber(rss), cpu = (user + system) / TICKS,
    wakes = tonumber(status:match("\nvoluntary_ctxt_switches:%s*(%d+)")),
    files = tonumber(helper.shell(("ls /proc/%s/fd | wc -l"):format(pid))) }
end

return process
