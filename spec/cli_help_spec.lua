-- The command line's help, manual page, completions and version; and how its output fits a narrow
-- terminal.
local bmwi = require "bmwi"
local args = require "bmwi.cli.args"
local cli = require "spec.cli_helper"
local commands = require "bmwi.cli.commands"
local config = require "bmwi.cli.config"
local fail = require "bmwi.cli.fail"
local helper = require "spec.helper"
local layout = require "bmwi.cli.layout"
local names = require "bmwi._names"
local option_texts = require "bmwi.cli.option_texts"
local screen = require "bmwi.cli.screen"

local json = helper.json
local quote, has = cli.quote, helper.has

local function missing(program)
  if cli.shell("command -v " .. program) ~= "" then return false end
  pending(program .. " is not installed")
  return true
end

describe("the layout of the command line", function()
  it("fits blocks: each group's heading, then one of each in turn, urgent ones first", function()
    local groups = { { { "A" }, { "a1" }, { "a2", "a2b" }, { "a3", urgent = true } },
      { { "B" }, { "b1" } }, { { "C" } } }
    for room, expected in pairs {
      [0] = { "", 4 }, [2] = { "A B", 4 }, [3] = { "A B C", 4 }, [4] = { "A a3 B C", 3 },
      [5] = { "A a3 B b1 C", 2 }, [6] = { "A a1 a3 B b1 C", 1 }, [7] = { "A a1 a3 B b1 C", 1 },
      [8] = { "A a1 a2 a2b a3 B b1 C", 0 },
    } do
      local lines, left = screen.fit(groups, room)
      assert.same({ room, expected[1], expected[2] }, { room, table.concat(lines, " "), left })
    end
  end)

  it("breaks a text at spaces, and leaves a long word whole", function()
    assert.same({ "" }, layout.fill("", 10))
    assert.same({ "one two", "three" }, layout.fill("one two three", 9))
    assert.same({ "a", "word-that-is-long", "b" }, layout.fill("a word-that-is-long b", 5))
    assert.same({ "\195\182\195\182 \195\182" }, layout.fill("\195\182\195\182 \195\182", 4))
  end)

  it("aligns the lines of a wrapped text", function()
    assert.equal("  name  one two three four\n        five",
      layout.hang("  name  ", "one two three four five", 28))
    -- However little room the label leaves.
    assert.equal("label   twenty characters of\n        text",
      layout.hang("label   ", "twenty characters of text", 10))
  end)
end)

describe("the command line's description of itself", function()
  local sim
  setup(function() sim = helper.start { args = { "--speed", "100" } } end)
  teardown(function() sim:stop() end)
  before_each(function() cli.begin(sim) end)
  after_each(cli.finish)

  it("names the versions that a bug report needs", function()
    local told = json.decode(cli.ok("--version --json").out)
    assert.equal(bmwi._VERSION, told.version)
    assert.same({ "classic", "cardata" }, told.services)
    local text = cli.ok("--version").out
    has(text, "bmwi " .. bmwi._VERSION .. "\n")
    has(text, "libcurl/")
    for _, name in ipairs { "libcurl", "lua", "cjson" } do has(text, told[name]) end
  end)

  it("says which of the bridge's topics --prefix changes: all", function()
    local text = cli.ok("bridge --help").out:gsub("%s+", " ")
    has(text, "commands on PREFIX/VIN/command:")
    has(text, "PREFIX/availability")
    assert.is_nil(text:find("bmwi/[VCa]"))
  end)

  it("has help that fits 80 columns, and a narrow terminal", function()
    local pages = { { "help" } }
    for _, name in ipairs(names(commands)) do pages[#pages + 1] = { name, "--help" } end
    for _, page in ipairs(pages) do
      for line in cli.ok(page).out:gmatch("[^\n]+") do
        assert.is_true(layout.width(line) <= 80 or line:find("^  bmwi ") ~= nil, line)
      end
    end
    if helper.no_terminal() then return pending(helper.no_terminal()) end
    local shown = cli.on_terminal({ "help", "lock" }, nil, { NO_COLOR = "1" }, 60)
    assert.equal(0, shown.code)
    for line in shown.screen:gmatch("[^\r\n]+") do
      assert.is_true(layout.width(line) <= 60 or line:find("^Script ") ~= nil, line)
    end
    has(shown.screen, "--wait-timeout SECONDS")
  end)

  it("fits a terminal of 60 columns, and is complete in a pipe", function()
    if helper.no_terminal() then return pending(helper.no_terminal()) end
    for _, name in ipairs { "vehicles", "status", "trips", "destinations", "range-map", "soc",
      "doctor" } do
      local shown = cli.on_terminal({ name }, nil, { NO_COLOR = "1", LC_ALL = "C" }, 60)
      assert.equal(0, shown.code, shown.screen)
      for line in shown.screen:gsub("\27%[K", ""):gmatch("[^\r\n]+") do
        assert.is_true(layout.width(line) <= 60 or line:find("^Script ") ~= nil, line)
      end
    end
    has(cli.on_terminal({ "vehicles" }, nil, nil, 60).screen, helper.vin)
    has(cli.ok("vehicles").out, "VIN                Model")
  end)

  it("has a sentence for each setting and each exit code", function()
    local exits = {}
    for _, exit in ipairs(fail.EXITS) do exits[exit[1]] = exit[2] end
    for code, exit in pairs(fail.EXIT) do assert.is_string(exits[exit], code) end
    for _, pair in ipairs { { config.KEYS, option_texts.settings },
      { args.OPTIONS, option_texts.options } } do
      assert.same(names(pair[1]), names(pair[2]))
    end
  end)

  it("has the page docs/cli.md as `make docs` writes it", function()
    cli.shell(("%s .ci/cli.lua >%s/page"):format(helper.interpreter, cli.home))
    assert.equal(cli.read(cli.home .. "/page"), cli.read("docs/cli.md"))
  end)

  describe("as a manual page", function()
    it("names every command, option and key, and renders without warnings", function()
      local page = cli.home .. "/bmwi.1"
      cli.write(page, cli.ok("help --man").out)
      if missing("man") or missing("groff") then return end
      assert.equal("", cli.shell("groff -man -Tutf8 -ww -z " .. page .. " 2>&1"))
      local text = cli.shell("MANWIDTH=80 man -l -E ascii " .. page .. " | col -bx")
      for _, name in ipairs(names(commands)) do has(text, "\n   " .. name .. "\n") end
      for _, name in ipairs(names(config.KEYS)) do has(text, "\n       " .. name) end
      for _, name in ipairs(names(args.OPTIONS)) do has(text, "--" .. name) end
      has(text, "bmwi " .. bmwi._VERSION)
    end)
  end)

  describe("as completions", function()
    local function script_of(shell)
      local path = cli.home .. "/completion." .. shell
      cli.write(path, cli.ok("completion " .. shell).out)
      return path
    end

    -- What has been typed, and one of the words that complete it.
    local CASES = {
      { "bmwi ra", "range-map" }, { "bmwi --units im", "imperial" }, { "bmwi trips la", "last" },
      { "bmwi lock --no-w", "--no-wait" }, { "bmwi completion fi", "fish" },
      { "bmwi --vin X charging-history --format cs", "csv" }, { "bmwi help unl", "unlock" },
    }

    it("are refused for an unknown shell", function()
      assert.equal(2, cli.run("completion tcsh").code)
    end)

    it("work in bash", function()
      if missing("bash") then return end
      local path = script_of("bash")
      for _, case in ipairs(CASES) do
        local words = {}
        for word in case[1]:gmatch("%S+") do words[#words + 1] = quote(word) end
        local said = cli.shell(("bash -c %s x %s 2>&1"):format(quote("set -u; source " .. path
          .. '; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _bmwi; echo "${COMPREPLY[@]}"'),
          table.concat(words, " ")))
        assert.equal(case[2], said:gsub("%s+$", ""), case[1])
      end
    end)

    it("work in fish", function()
      if missing("fish") then return end
      local path = script_of("fish")
      for _, case in ipairs(CASES) do
        local said = cli.shell(("HOME=%s fish -c %s 2>&1"):format(cli.home,
          quote(("source %s; complete -C '%s'"):format(path, case[1]))))
        assert.equal(case[2], said:match("^%S+"), case[1] .. ": " .. said)
      end
    end)

    it("work in zsh", function()
      if missing("zsh") then return end
      if helper.no_terminal() then return pending(helper.no_terminal()) end
      local path = script_of("zsh")
      for _, case in ipairs { CASES[1], CASES[3], { "bmwi status --units im", "imperial" } } do
        has(cli.shell(("HOME=%s timeout 30 zsh -f spec/zsh_complete.zsh %s %s %s 2>&1"):format(
          cli.home, path, quote(case[1]), case[2])), case[2])
      end
    end)
  end)
end)
