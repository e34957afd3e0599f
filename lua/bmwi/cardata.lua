--- The CarData methods of a client and its cars that take more than one request or more than
--- decoding. The C module installs them; each is plain sequential Lua and waits only in
--- client:_call(), which yields in a task.

local call = require "bmwi.cardata.call"
local status = require "bmwi.cardata.status"

-- A method whose module is loaded at its first call: few programs use it.
local function of(module, name)
  return function(...) return require(module)[name](...) end
end

return {
  client = {
    _call = call.call,
    _store = call.store,
    get = call.get,
    vehicles = of("bmwi.cardata.reads", "vehicles"),
    quota = of("bmwi.cardata.reads", "quota"),
    containers = of("bmwi.cardata.containers", "list"),
    create_container = of("bmwi.cardata.containers", "create"),
    delete_container = of("bmwi.cardata.containers", "delete"),
    stream = of("bmwi.cardata.stream", "open"),
  },
  car = {
    status = status.status,
    telematics = status.telematics,
    basic_data = status.basic_data,
    charging_history = of("bmwi.cardata.history", "charging_history"),
    charging_settings = of("bmwi.cardata.history", "charging_settings"),
    image = of("bmwi.cardata.reads", "image"),
    tyres = of("bmwi.cardata.reads", "tyres"),
    stream = of("bmwi.cardata.stream", "of_car"),
  },
}
