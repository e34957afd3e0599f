-- What Lua 5.1, 5.2, 5.3, 5.4 and LuaJIT have in common.
std = "min"
max_line_length = 100
files["spec"] = { std = "min+busted" }
-- Bodies are not what they are for.
files["types"] = { unused_args = false, ignore = { "241" } }
-- Only where it is there (5.4), to close what a cancelled task holds.
files["lua/bmwi/async.lua"] = { read_globals = { coroutine = { fields = { "close" } } } }
-- Each host has its own globals; prosody.cfg.lua is a configuration in Lua's clothes.
files["examples/hosts"] = { globals = { "module" }, read_globals = { "core", "ngx", "vim" } }
files["examples/hosts/neovim.lua"] = { ignore = { "122" } }
exclude_files = { "examples/hosts/prosody.cfg.lua" }
