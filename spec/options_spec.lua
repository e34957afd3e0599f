-- The options of bmwi.new are settings of the command line. (spec/reference_spec.lua compares them
-- with the reference.)
local bmwi = require "bmwi"
local args = require "bmwi.cli.args"
local config = require "bmwi.cli.config"

for service, options in pairs(bmwi._sys.options()) do
  describe("an option of " .. service, function()
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

    it("is neither an argument of the command line nor shown by it if it is a secret", function()
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
