-- The options of bmwi.new: the rows in csrc/service are what docs/reference.md and the command line
-- say.
local bmwi = require "bmwi"
local args = require "bmwi.cli.args"
local config = require "bmwi.cli.config"
local helper = require "spec.helper"

local MIB = 1024 * 1024
local VERSION = bmwi._VERSION:gsub("%p", "%%%0")

-- The rows of the reference's table of options: name -> {default, text}
local function documented()
  local rows, text = {}, helper.read("docs/reference.md"):match("\n## Options\n(.-)\n\n[^|\n]")
  for names, default, meaning in text:gmatch("\n| (`[^|]*)|([^|]*)|([^|\n]*)|") do
    for name in names:gmatch("`([%w_]+)`") do
      rows[name] = { default = default:match("^%s*(.-)%s*$"), text = meaning }
    end
  end
  return rows
end

local function number(value)
  return ("%.14g"):format(value)
end

local function shown(standard)
  if type(standard) == "string" then
    return '`"' .. standard:gsub("/" .. VERSION .. "$", "/VERSION") .. '"`'
  end
  return standard >= MIB and number(standard / MIB) .. " MiB" or number(standard)
end

for service, options in pairs(bmwi._sys.options()) do
  describe("an option of " .. service, function()
    it("is in the reference with its default and its range", function()
      local rows = documented()
      for _, option in ipairs(options) do
        local row = assert(rows[option.name], option.name)
        if option.name == "scope" and service == "cardata" then
          assert.truthy(helper.read("docs/reference.md"):find(shown(option.standard), 1, true))
        elseif option.standard then
          assert.equal(shown(option.standard), row.default, option.name)
        elseif option.name ~= "token_path" then -- it has one unless token_url is set
          assert.falsy(row.default:find('"', 1, true) or row.default:find("^%d"), option.name)
        end
        if option.least then
          local range = "(" .. number(option.least) .. " to " .. number(option.most) .. ")"
          assert.truthy(row.text:find(range, 1, true), option.name .. " " .. range)
        end
      end
    end)

    it("is a setting of the command line if it can be written as a text", function()
      local settings = {}
      for name, key in pairs(config.KEYS) do
        if key.new then settings[key.new] = name end
      end
      -- For programs: tables, functions, and a limit that the command line has no use for.
      local own = { max_response_bytes = true, position = false }
      for _, option in ipairs(options) do
        local program = option.type == "table" or option.type == "object"
          or option.type == "function"
        if own[option.name] ~= nil then program = own[option.name] end
        assert.equal(program, settings[option.name] == nil, option.name)
      end
    end)

    it("is no argument of the command line, nor shown by it, if it is a secret", function()
      local count = 0
      for _, option in ipairs(options) do
        for name, key in pairs(config.KEYS) do
          if option.secret and key.new == option.name then
            count = count + 1
            assert.is_true(key.secret, name)
            assert.is_nil(key.option, name)
          end
        end
        if option.secret then
          assert.is_nil(args.OPTIONS[option.name], option.name)
          assert.is_nil(args.OPTIONS[option.name:gsub("_", "-")], option.name)
        end
      end
      assert.is_true(count > 0)
    end)
  end)
end

it("each row of the reference's options is an option of some service", function()
  local known, count = {}, 0
  for _, options in pairs(bmwi._sys.options()) do
    for _, option in ipairs(options) do known[option.name] = true end
  end
  for name in pairs(documented()) do
    count = count + 1
    assert.is_true(known[name], name)
  end
  assert.is_true(count > 20)
end)
