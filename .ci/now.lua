-- A helper for busted: notes in a file which spec is running, so that .ci/spec can say where a
-- crash came from.
local busted = require("busted")
local path = os.getenv("BMWI_SPEC_NOW")
local gc = package.loaded["spec.native.gc"] -- only in `make gc`

if path then
  busted.subscribe({ "test", "start" }, function(element, parent)
    if gc then gc.begin() end
    local file = assert(io.open(path, "w"))
    local trace = element.trace or {}
    file:write(tostring(parent.name or ""), " ", tostring(element.name), " (",
      tostring(trace.short_src), ":", tostring(trace.currentline), ")")
    file:close()
    return nil, true
  end)
end
