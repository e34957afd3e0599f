-- bmwi.cli.prompt: the log-in by code: shows which page to open, and counts down until the code
-- expires. Everything goes to standard error.

local bmwi = require "bmwi"
local async = require "bmwi.async"
local fail = require "bmwi.cli.fail"
local output = require "bmwi.cli.output"
local programs = require "bmwi.cli.programs"

local prompt = {}

local TICK = 1 -- seconds

-- Draws the link as a QR code if there is a program for it. It gets the link through a pipe, since
-- other users can read arguments.
local function draw(link)
  if not programs.in_path("qrencode") then return end
  local pipe = io.popen("exec qrencode -t ANSIUTF8 -m 2 >&2", "w")
  if not pipe then return end
  pipe:write(link)
  pipe:close()
end

-- A code with spaces between its characters, which is easier to read.
local function spaced(code)
  return (code:gsub(".", "%0 "):gsub(" $", ""))
end

--- Shows what client:login() asks the user to do: the option on_prompt.
---@param ctx table gets ctx.code_ends, on the monotonic clock
---@param asked table verification_uri, verification_uri_complete, user_code, expires_in
function prompt.show(ctx, asked)
  local out = ctx.out
  out:progress_end()
  io.stdout:flush()
  ctx.code_ends = bmwi._sys.monotonic() + asked.expires_in
  if out.json and not out.tty_err then
    io.stderr:write(bmwi._sys.json({ prompt = asked }), "\n")
    return io.stderr:flush()
  end
  local link = output.clean(asked.verification_uri_complete)
  local code = spaced(output.clean(asked.user_code))
  local bold, plain = "", ""
  if out.color_err then bold, plain = "\27[1m", "\27[0m" end
  io.stderr:write(([[
Open this page on a phone or computer, and log in there
with your BMW account:

    %s%s%s

The code is part of the link. If the page asks for it
(mind the capitals):

    %s%s%s

]]):format(bold, link, plain, bold, code, plain))
  io.stderr:flush()
  if out.tty_err then draw(link) end
end

-- Shows how long the code remains valid, every second on a terminal.
local function count_down(ctx)
  if not ctx.out.one_line then return end
  while true do
    local left = ctx.code_ends and math.floor(ctx.code_ends - bmwi._sys.monotonic() + 0.5)
    if left and left >= 0 then
      ctx.out:progress(("Waiting for your approval: %d:%02d left. Ctrl-C cancels.")
        :format(math.floor(left / 60), left % 60))
    end
    bmwi.sleep(TICK)
  end
end

--- client:login() with a countdown. Returns true or raises the failure.
function prompt.log_in(ctx, client)
  local result
  async.run(function()
    local ticker = async.spawn(function() count_down(ctx) end)
    result = { client:login() }
    ticker:cancel()
  end)
  ctx.out:progress_end()
  return fail.check(result[1], result[2], result[3], result[4])
end

return prompt
