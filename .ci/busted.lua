-- Starts busted on whichever Lua runs this file: the `busted` command is bound to one interpreter.
require 'busted.runner'({ standalone = false })
