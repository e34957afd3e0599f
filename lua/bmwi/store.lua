--- Keeps one account in a private file between runs: its log-in (a token table), and what CarData
--- must not forget (docs/account-file.md). The file is 0600 from its first byte and replaced in one
--- step, so that a reader or a second writer never sees half of it. No message of this module holds
--- a token.

local bmwi = require "bmwi"
local change = require "bmwi.store.change"
local form = require "bmwi.store.form"
local place = require "bmwi.store.place"

local store = {}

---@class bmwi.store: bmwi.token_store what store.new and store.memory return
local Store = {}
Store.__index = Store
Store.__name = "bmwi.store"
-- What only CarData needs is loaded when it is asked for.
setmetatable(Store, { __index = function(_, name) return require("bmwi.store.account")[name] end })

function Store:__tostring()
  return "bmwi.store: " .. self.place.name
end

-- What is kept of a token; all else is dropped, so that nothing unknown lands on the disk.
local MEMBERS = {
  access_token = "string", refresh_token = "string", token_type = "string", scope = "string",
  expires_at = "number", gcid = "string", id_token = "string", refresh_expires_at = "number",
  refused_by = "table", -- marks of what refuses tokens, be they new
}
-- Who a token belongs to: a token of another server or user is never handed out.
local OWNER = { server = "string", username = "string" }

-- What belongs to the account (`gcid`) that is logged in, and to no other.
local PERSONAL = { "quota", "container", "refused_descriptors", "vehicles", "basic", "values",
  "fetched" }

local REFRESH_LIFE = 14 * 24 * 60 * 60 -- seconds that BMW's refresh token lives

local MOST_AUTH_ERRORS = 8 -- kept at a time: one for each server and user

-- Held by whoever renews the log-in, as long as that takes. (To change the file there is another.)
local RENEWAL = "lock"
local LOCK_STEP = 0.05 -- seconds between two tries for it

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

--- The command line's file unless `token_file` is set, by the XDG Base Directory Specification 0.8.
---@return string|nil path nil when neither XDG_STATE_HOME nor HOME is set
---@return string|nil message
function store.default_path()
  local state, home = os.getenv("XDG_STATE_HOME"), os.getenv("HOME")
  if state and state:sub(1, 1) == "/" then return state .. "/bmwi/token.json" end
  if home and home ~= "" then return home .. "/.local/state/bmwi/token.json" end
  return nil, "neither XDG_STATE_HOME nor HOME is set, so the token file has no default path"
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
--- another server or user is reported as missing. A client (option `store`) fills in its own server
--- and username where this leaves them out
---@return bmwi.store store
function store.new(path, owner)
  if type(path) ~= "string" or path == "" then
    error("store.new: path must be a string that is not empty", 2)
  end
  if path:find("%z") then
    error("store.new: path must not contain a zero byte", 2)
  end
  if owner ~= nil and type(owner) ~= "table" then
    error("store.new: owner must be a table", 2)
  end
  return setmetatable({ path = path, place = place.file(path), held = false,
    owner = only(OWNER, owner or {}, "store.new") }, Store)
end

--- A store without a file, which ends with the program.
---@return bmwi.store store
function store.memory()
  return setmetatable({ place = place.memory(), held = false, owner = {} }, Store)
end

-- What a change returned, or its failure.
local function outcome(done, ...)
  if done then return ... end
  return nil, (...), "store"
end

--- The whole account, as a copy.
---@return table|nil account empty where nothing is kept yet
---@return string|nil message
---@return "store"|nil code
function Store:_read()
  local kept, message, code = change.read(self.place)
  if kept then return kept end
  if code == "missing" then return {} end
  if code == "json" then
    message = self.place.name .. " is damaged, or belongs to another program; move it away, or "
      .. "log in again (its content is then kept beside it as .damaged)"
  end
  return nil, message, "store"
end

--- Changes the account while no other process does. Other tasks run until the lock is there.
---@param fn fun(account:table):any changes the account in place; does not wait. Nothing is written
--- when it returns nil or raises
---@param timeout? number seconds to wait for the lock; default 10
---@return any what fn returned
---@return string|nil message where the first is nil by a failure
---@return "store"|nil code
function Store:_change(fn, timeout)
  return outcome(change.later(self.place, fn, timeout or 10))
end

-- The auth_errors of this owner or of all others, newest first.
local function auth_errors(kept, owner, own)
  local list = {}
  for _, auth_error in ipairs(kept and kept.auth_errors or {}) do
    local of = type(auth_error) == "table" and auth_error.owner
    local same = type(of) == "table"
    for name in pairs(OWNER) do same = same and of[name] == owner[name] end
    if type(of) == "table" and same == own then list[#list + 1] = auth_error end
  end
  return list
end

-- When a refresh token ends that BMW has given: it does not say so itself.
local function refresh_ends(token, kept)
  if token.refresh_expires_at or not token.gcid or not token.refresh_token then
    return token.refresh_expires_at
  end
  if token.refresh_token == kept.refresh_token and type(kept.refresh_expires_at) == "number" then
    return kept.refresh_expires_at
  end
  return os.time() + REFRESH_LIFE
end

--- Saves a token, replacing the previous one. Everything else that is kept of the account stays,
--- unless the token is another account's. Clears the record of a refused log-in of the same owner.
---@param token bmwi.token
---@param owner? table as of store.new; fills in what that left out
---@return true|nil saved
---@return string|nil message
---@return "file"|nil code
function Store:save(token, owner)
  if type(token) ~= "table" or type(token.access_token) ~= "string" then
    error("store:save: token must be a table with a string access_token", 2)
  end
  local fresh = only(MEMBERS, token, "store:save")
  owner = owner_of(self, owner)
  local done, message, code = change.now(self.place, function(kept)
    if fresh.gcid and kept.gcid and fresh.gcid ~= kept.gcid then
      for _, name in ipairs(PERSONAL) do kept[name] = nil end
    end
    fresh.refresh_expires_at = refresh_ends(fresh, kept)
    for name in pairs(MEMBERS) do kept[name] = fresh[name] end
    kept.owner = next(owner) and owner or nil
    kept.auth_errors = auth_errors(kept, owner, false)
    if #kept.auth_errors == 0 then kept.auth_errors = nil end
    return true
  end, true)
  if done then return true end
  return nil, message, code
end

--- Reads the token.
---@param owner? table as of store.new; fills in what that left out
---@return bmwi.token|nil token as it was saved
---@return string|nil message
---@return "missing"|"insecure"|"json"|"file"|nil code "missing": no file, no token in it, or the
--- token of another server or user; "insecure": others can read or change the file; "json": not a
--- saved account
function Store:load(owner)
  local kept, message, code = change.read(self.place)
  if not kept then return nil, message, code end
  local name = self.place.name
  if kept.access_token == nil and form.has_more(kept) then
    return nil, name .. " holds no token", "missing"
  elseif type(kept.access_token) ~= "string" then
    return nil, name .. " contains no saved token", "json"
  end
  local of = type(kept.owner) == "table" and kept.owner or {}
  for member, mine in pairs(owner_of(self, owner)) do
    -- Saved by hand, of nobody in particular: for any client whose store names no owner.
    local anyone = of[member] == nil and not self.owner[member]
    if of[member] ~= mine and not anyone then
      return nil, ("%s holds a token of another %s"):format(name, member), "missing"
    end
  end
  local token = {}
  for member, kind in pairs(MEMBERS) do
    if type(kept[member]) == kind then token[member] = kept[member] end
  end
  return token
end

--- Takes the lock of this file, so that only one process renews the token.
---@param seconds? number how long to wait for another holder; default 10; 0 tries once
---@return userdata|table|nil lock released by lock:unlock(), or when it is collected
---@return string|nil message
---@return "locked"|"file"|nil code
function Store:lock(seconds)
  if seconds ~= nil and (type(seconds) ~= "number" or seconds ~= seconds) then
    error("store:lock: seconds must be a number", 2)
  end
  return change.take(self.place, RENEWAL, seconds or 10, LOCK_STEP, bmwi.sleep)
end

--- Called by a client before it requests a token: takes the lock, so that of several processes only
--- one renews, and returns the token that another may have saved meanwhile.
---@param owner? table as of store.new; fills in what that left out
---@return bmwi.token|number|nil token or the seconds after which to ask again, while another renews
---@return table|nil auth_error what finish was told last of a log-in of this owner
function Store:begin(owner)
  -- Held already means: by another client of this process that has the same store.
  if self.held then return LOCK_STEP end
  local lock, _, code = self.place.try_lock(RENEWAL)
  if code == "locked" then return LOCK_STEP end
  self.held = lock
  return (self:load(owner)), auth_errors(change.read(self.place), owner_of(self, owner), true)[1]
end

-- Keeps that a log-in was refused. A file that is no store's is left alone.
local function keep_auth_error(self, auth_error, owner)
  owner = owner_of(self, owner)
  change.now(self.place, function(kept)
    local list = auth_errors(kept, owner, false)
    auth_error.owner = owner
    table.insert(list, 1, auth_error)
    list[MOST_AUTH_ERRORS + 1] = nil
    kept.auth_errors = list
    return true
  end)
end

--- Called by a client when the renewal has ended, successfully or not.
---@param auth_error? table how the log-in was refused: kept for the next begin, in other processes
--- too, until one logs in. It holds no secret
---@param owner? table as of store.new; fills in what that left out
function Store:finish(auth_error, owner)
  local ok, message = true, nil
  if auth_error then ok, message = pcall(keep_auth_error, self, auth_error, owner) end
  if self.held then self.held:unlock() end
  self.held = false
  if not ok then error(message, 0) end
end

--- Removes the account. A missing file is no error.
---@return true|nil cleared
---@return string|nil message
---@return "file"|nil code
function Store:clear()
  return change.remove(self.place)
end

return store
