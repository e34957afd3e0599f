-- Prosody (0.12 and 13.0) with mod_bmwi.lua of this folder and no ports open.
-- `sh examples/hosts/run prosody` starts a simulated car service and this; by hand, from the top:
--   BMWI_URL=http://127.0.0.1:PORT prosody -F --config examples/hosts/prosody.cfg.lua
plugin_paths = { ENV_PWD .. "/examples/hosts" }
data_path = "/tmp"
run_as_root = true
log = { info = "*console" }
modules_disabled = { "c2s", "s2s", "s2s_auth_certs", "offline" }

VirtualHost "localhost"
  modules_enabled = { "bmwi" }
