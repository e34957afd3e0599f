--- The unit of examples/systemd, as far as it can be tested without a running systemd.
local helper = require "spec.helper"

local UNIT = "examples/systemd/bmwi-bridge.service"

describe("the unit of the bridge", function()
  local function run(command)
    if helper.shell("command -v systemd-analyze") == "" then
      return nil, "systemd-analyze is not installed"
    end
    return helper.shell(command .. " 2>&1; echo $?")
  end

  it("is accepted by systemd-analyze verify", function()
    local said, reason = run("systemd-analyze verify " .. UNIT)
    if not said then return pending(reason) end
    assert.equal("0", said)
  end)

  it("is hardened", function()
    local said, reason = run("systemd-analyze security --no-pager --offline=true " .. UNIT)
    if not said then return pending(reason) end
    local exposure = said:match("Overall exposure level[^:]*: ([%d.]+)")
    if not exposure then return pending("this systemd-analyze cannot judge a file") end
    assert.is_true(tonumber(exposure) < 2, said)
  end)

  it("runs a command that bmwi accepts", function()
    local line = helper.read(UNIT):match("\nExecStart=/usr/bin/env bmwi ([^\n]+)")
    local argv = {}
    for word in line:gmatch("%S+") do argv[#argv + 1] = word end
    local parsed = require("bmwi.cli.args").parse(argv, require("bmwi.cli.commands"))
    assert.equal("bridge", parsed.command)
  end)
end)
