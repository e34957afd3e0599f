-- bmwi.cli.record: records what the service sends: each response and each message of the stream,
-- with its time, as lines of JSON. `bmwi-sim --replay FILE` replays it.

local bmwi = require "bmwi"
local anonymous = require "bmwi.cli.anonymous"
local decimal = require "bmwi._decimal"
local fail = require "bmwi.cli.fail"
local text_valid = require("bmwi._text").valid

local record = {}

local Recorder = {}
Recorder.__index = Recorder

-- Replaces nothing.
local AS_IT_IS = {
  json = function(_, json) return anonymous.new():json(json) and json end,
  text = function(_, text) return text end,
  path = function(_, path) return path end,
}

local function quoted(text) return bmwi._sys.json(text_valid(text)) end

--- Starts a recording in a private file, which is replaced if it exists.
---@param path string
---@param options {service:string,personal:boolean|nil} personal: replace nothing
---@return table recorder
function record.new(path, options)
  local head = bmwi._sys.json({ bmwi_recording = 1, service = options.service,
    started = os.time(), version = bmwi._VERSION, replaced = not options.personal }) .. "\n"
  local written, message = bmwi._sys.write_private(path, head, true) -- no folders, as --output
  local file
  if written then file, message = io.open(path, "ab") end
  if not file then fail.raise("cannot record: " .. message, "file") end
  return setmetatable({ path = path, file = file, began = bmwi._sys.monotonic(),
    names = options.personal and AS_IT_IS or anonymous.new() }, Recorder)
end

-- Writes one line. `members` alternates names and JSON. It raises nothing, since a hook calls it:
-- bmwi.cli.session reports a full disk.
function Recorder:line(...)
  local words, parts = { ... }, {}
  parts[1] = '"at":' .. decimal(bmwi._sys.monotonic() - self.began, 3)
  for i = 1, #words, 2 do parts[#parts + 1] = ('"%s":%s'):format(words[i], words[i + 1]) end
  if not self.file then return end
  local written, message = self.file:write("{" .. table.concat(parts, ",") .. "}\n")
  if written then written, message = self.file:flush() end
  if not written then
    self.file:close()
    self.file, self.problem = nil, message
  end
end

-- JSON on one line, which is always possible.
local function flat(json) return json and (json:gsub("[\r\n]", " ")) end

-- What was received as UTF-8, without a byte order mark: that is allowed only at the beginning.
local function received(bytes) return (text_valid(bytes):gsub("^\239\187\191", "")) end

--- Records a response: {call, method, path, status, body}.
function Recorder:answer(exchange)
  local words = { "kind", '"answer"', "call", quoted(exchange.call), "method",
    quoted(exchange.method), "path", quoted(self.names:path(exchange.path)), "status",
    ("%d"):format(exchange.status) }
  local body = received(exchange.body)
  local json = flat(self.names:json(body))
  if json then
    words[#words + 1], words[#words + 2] = "body", json
  elseif body ~= "" and not body:find("%z") then -- a picture is useless in a report
    words[#words + 1], words[#words + 2] = "text", quoted(self.names:text(body))
  end
  self:line((unpack or table.unpack)(words)) -- luacheck: ignore
end

--- Records a message of the stream: its topic, and the payload as received.
function Recorder:message(topic, payload)
  local vin = self.names:path(topic:match("([^/]*)$"))
  payload = received(payload)
  local json = flat(self.names:json(payload))
  self:line("kind", '"message"', "vin", quoted(vin), json and "payload" or "text",
    json or quoted(self.names:text(payload)))
end

--- Records a new state of the connection.
function Recorder:state(state, reason)
  self:line("kind", '"state"', "state", quoted(state), "reason",
    quoted(self.names:text(tostring(reason or ""))))
end

--- Finishes the recording. Returns what went wrong, if anything did.
function Recorder:close()
  if self.file then self.file:close() end
  self.file = nil
  return self.problem
end

return record
