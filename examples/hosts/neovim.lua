-- Neovim drives bmwi while you edit. `sh examples/hosts/run neovim` starts a simulated car
-- service and this; by hand: BMWI_URL=http://127.0.0.1:PORT \
--   nvim --headless -u NONE -i NONE -c 'luafile examples/hosts/neovim.lua'
local uv = vim.uv or vim.loop
local async = require("bmwi.async")
local job = require("examples.hosts.job")

require("bmwi.host").luv(uv)

local ticks = 0
uv.new_timer():start(50, 50, function()
  ticks = ticks + 1
end)

-- Tasks and on_done run where vim.api is not allowed, so results go through schedule_wrap.
async.spawn(function()
  return job(function()
    return ticks
  end)
end, vim.schedule_wrap(function(_, result)
  io.stdout:write(result, "\n")
  vim.cmd("quitall!")
end))
