---@meta
-- What the C module and lua/bmwi keep to themselves: for the check of lua/bmwi by LuaLS (`make
-- lint`). What is public is in types/.

---@class bmwi
---@field _sys table<string, function> files, terminal, signals and clocks
---@field _values table<string, function> CarData's values: merging, status, telematics
---@field _mqtt table<string, function> MQTT connections

---@class bmwi.loop
---@field attach fun(self: bmwi.loop, thread: thread, resume: fun(ok: boolean, ...: any))
---@field detach fun(self: bmwi.loop, thread: thread): table|nil
---@field begin fun(self: bmwi.loop, thread: thread, operation: userdata, client: bmwi.client|nil)
---@field fail fun(self: bmwi.loop, reason: any)
---@field gate fun(self: bmwi.loop, seconds: number|nil): userdata
---@field open fun(self: bmwi.loop, gate: userdata)
---@field pass fun(self: bmwi.loop, gate: userdata): ...: any
---@field wait fun(self: bmwi.loop): boolean, string|nil

---@class bmwi.client
---@field _closed fun(self: bmwi.client): boolean
---@field _in_hook fun(self: bmwi.client): boolean
---@field _option fun(self: bmwi.client, name: string): any
---@field _store fun(self: bmwi.client): bmwi.store
---@field _call fun(self: bmwi.client, name: string, fields: table): ...: any
---@field _gate fun(self: bmwi.client, seconds: number|nil): userdata
---@field _renew fun(self: bmwi.client, refused: string|nil): ...: any

---@class bmwi.car
---@field _client fun(self: bmwi.car): bmwi.client

---@class bmwi.task
---@field thread thread
---@field results any a table; false: it has not ended
---@field cancelled boolean
---@field on_end function

---@class bmwi.host.cqueues
---@field condition table
---@field stopped boolean|nil

---@class bmwi.store
---@field place table
---@field held table|false
---@field owner table
---@field path string|nil
---@field _log_out fun(self: bmwi.store): true|nil, string|nil, string|nil
---@field _basic fun(self: bmwi.store, vin: string): table|nil, string|nil, string|nil
---@field _vehicles fun(self: bmwi.store): table|nil, string|nil, string|nil
---@field _values fun(self: bmwi.store, vin: string): table|nil, string|nil, string|nil
---@field _container fun(self: bmwi.store): table|nil, string|nil, string|nil

---@class userdata
---@field wrap function a controller of cqueues
