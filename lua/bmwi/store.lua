--- Keeps one log-in (a token table) in a private file between runs.
--- The file is 0600 from its first byte and replaced in one step, so that a reader or a second
--- writer never sees half of it. No message of this module ever holds a token.

local bmwi = require "bmwi"

local store = {}

local Store = {}
Store.__index = Store
Store.__name = "bmwi.store"

function Store:__tostring()
  return "bmwi.store: " .. self.path
end

-- What is kept of a token; all else is dropped, so that nothing unknown lands on the disk.
local MEMBERS = {
  access_token = "string", refresh_token = "string", token_type = "string", scope = "string",
  expires_at = "number", refused_by = "table", -- marks of what refuses tokens, be they new
}
-- Who a token belongs to: a token of another server or user is never handed out.
local OWNER = { server = "string", username = "string" }

local MOST_REFUSALS = 8 -- kept at a time: one for each server and user
local LOCK_STEP = 0.05 -- seconds between two tries for the lock

local function only(members, from, where)
  local copy = {}
  for name, kind in pairs(members) do
    local value = from[name]
    if value ~= nil and type(value) ~= kind then
      error(("%s: %s must be a %s"):format(where, name, kind), 3)
    end
    if kind == "number" and value and (value ~= value or math.abs(value) == math.huge) then
      error(("%s: %s must be finite"):format(where, name), 3)
    end
    copy[name] = value
  end
  return copy
end

--- The path used when the user names none, by the XDG Base Directory Specification 0.8.
---@return string|nil path nil when neither XDG_STATE_HOME nor HOME is set
---@return string|nil message
function store.default_path()
  local state, home = os.getenv("XDG_STATE_HOME"), os.getenv("HOME")
  if state and state:sub(1, 1) == "/" then return state .. "/bmwi/token.json" end
  if home and home ~= "" then return home .. "/.local/state/bmwi/token.json" end
  return nil, "neither XDG_STATE_HOME nor HOME is set, so there is no place for the token file"
end

-- Whom a token is for: as the store was told by its maker, else by the client that uses it.
local function owner_of(self, owner)
  local both = {}
  for name in pairs(OWNER) do both[name] = self.owner[name] or owner and owner[name] end
  return both
end

--- A store on a file. Nothing is read or written yet.
---@param path string the file; missing folders are made (0700) when the token is saved
---@param owner? {server:string,username:string} saved beside the token; a token that was saved for
--- another server or user is reported as missing. A client (option `store`) says its own base_url
--- and username where this leaves them out
---@return table store
function store.new(path, owner)
  if type(path) ~= "string" or path == "" then
    error("store.new: path must be a string that is not empty", 2)
  end
  if path:find("%z") then
    error("store.new: path must not hold a zero byte", 2)
  end
  if owner ~= nil and type(owner) ~= "table" then
    error("store.new: owner must be a table", 2)
  end
  return setmetatable({ path = path, owner = only(OWNER, owner or {}, "store.new") }, Store)
end

-- What the file holds, as a table, or nil, message, code.
local function read_file(self)
  local bytes, message, code = bmwi.sys.read_private(self.path)
  if not bytes then return nil, message, code end
  local kept = bmwi.json.decode(bytes)
  if type(kept) == "table" then return kept end
  return nil, self.path .. " does not hold a saved token", "json"
end

local function write_file(self, kept)
  return bmwi.sys.write_private(self.path, bmwi.json.encode(kept) .. "\n")
end

-- The refusals in a file, of this owner or of all others, newest first.
local function refusals(kept, owner, own)
  local list = {}
  for _, refusal in ipairs(kept and type(kept.refusals) == "table" and kept.refusals or {}) do
    local of = type(refusal) == "table" and refusal.owner
    local same = type(of) == "table"
    for name in pairs(OWNER) do same = same and of[name] == owner[name] end
    if type(of) == "table" and same == own then list[#list + 1] = refusal end
  end
  return list
end

--- Saves a token in place of the one before. That a log-in of the same owner was refused is
--- forgotten.
---@param token table {access_token, refresh_token, token_type, scope, expires_at}
---@param owner? table as of store.new, for what that left out
---@return true|nil saved
---@return string|nil message
---@return "file"|nil code
function Store:save(token, owner)
  if type(token) ~= "table" or type(token.access_token) ~= "string" then
    error("store:save: token must be a table with a string access_token", 2)
  end
  local kept = only(MEMBERS, token, "store:save")
  owner = owner_of(self, owner)
  if next(owner) then kept.owner = owner end
  local others = refusals(read_file(self), owner, false)
  if #others > 0 then kept.refusals = others end
  return write_file(self, kept)
end

--- Reads the token.
---@param owner? table as of store.new, for what that left out
---@return table|nil token as it was saved
---@return string|nil message
---@return "missing"|"insecure"|"json"|"file"|nil code "missing": no file, or the token of another
--- server or user; "insecure": others can read or change the file; "json": not a saved token
function Store:load(owner)
  local kept, message, code = read_file(self)
  if not kept then return nil, message, code end
  if kept.access_token == nil and type(kept.refusals) == "table" then
    return nil, self.path .. " holds no token, only that a log-in was refused", "missing"
  elseif type(kept.access_token) ~= "string" then
    return nil, self.path .. " does not hold a saved token", "json"
  end
  local of = type(kept.owner) == "table" and kept.owner or {}
  for name, mine in pairs(owner_of(self, owner)) do
    -- Saved by hand, of nobody in particular: for any client whose store names no owner.
    local anyone = of[name] == nil and not self.owner[name]
    if of[name] ~= mine and not anyone then
      return nil, ("%s holds a token of another %s"):format(self.path, name), "missing"
    end
  end
  local token = {}
  for name, kind in pairs(MEMBERS) do
    if type(kept[name]) == kind then token[name] = kept[name] end
  end
  return token
end

--- Takes the lock that goes with this file, so that only one process renews the token.
---@param seconds? number how long to wait for another holder; default 10, 0 is one try
---@return userdata|nil lock let go by lock:unlock(), or when it is collected
---@return string|nil message
---@return "locked"|"file"|nil code
function Store:lock(seconds)
  if seconds ~= nil and (type(seconds) ~= "number" or seconds ~= seconds) then
    error("store:lock: seconds must be a number", 2)
  end
  local deadline = bmwi.sys.monotonic() + (seconds or 10)
  while true do
    local lock, message, code = bmwi.sys.try_lock(self.path)
    if lock then return lock end
    if code ~= "locked" or bmwi.sys.monotonic() >= deadline then return nil, message, code end
    bmwi.sleep(LOCK_STEP)
  end
end

--- What a client asks of its option `store` before it requests a token: takes the lock, so that of
--- several processes only one renews, and gives the token that another may have saved meanwhile.
---@param owner? table as of store.new, for what that left out
---@return table|number|nil token, or the seconds after which to ask again, while another renews
---@return table|nil refusal what finish was told last of a log-in of this owner
function Store:begin(owner)
  -- Held already means: by another client of this process that has the same store.
  if self.held then return LOCK_STEP end
  local lock, _, code = bmwi.sys.try_lock(self.path)
  if code == "locked" then return LOCK_STEP end
  self.held = lock
  return (self:load(owner)), refusals(read_file(self), owner_of(self, owner), true)[1]
end

-- Keeps in the file that a log-in was refused. A file that is no store's is left alone.
local function keep_refusal(self, refusal, owner)
  owner = owner_of(self, owner)
  local kept, _, code = read_file(self)
  if not kept and code ~= "missing" then return end
  kept = kept or {}
  local list = refusals(kept, owner, false)
  refusal.owner = owner
  table.insert(list, 1, refusal)
  list[MOST_REFUSALS + 1] = nil
  kept.refusals = list
  write_file(self, kept)
end

--- The other end of begin: the renewal is over, well or not.
---@param refusal? table how the log-in was refused, to be remembered for the next begin: by other
--- processes, too, until one logs in. It holds no secret
---@param owner? table as of store.new, for what that left out
function Store:finish(refusal, owner)
  if refusal then keep_refusal(self, refusal, owner) end
  if self.held then self.held:unlock() end
  self.held = nil
end

--- Forgets the token. A file that is not there is no error.
---@return true|nil cleared
---@return string|nil message
---@return "file"|nil code
function Store:clear()
  return bmwi.sys.remove_private(self.path)
end

return store
