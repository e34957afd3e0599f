--- Keeps one account in a private file between runs: its log-in (a token table), and what CarData
--- must remember (docs/account-file.md). The file has mode 0600 from the start and is replaced
--- atomically, so that readers and other writers never see an incomplete file. Messages of this
--- module never contain a token.

local bmwi = require "bmwi"
local check = require "bmwi._check"
local change = require "bmwi.store.change"
local form = require "bmwi.store.form"
local place = require "bmwi.store.place"

local store = {}

---@class bmwi.store: bmwi.token_store what store.new and store.memory return
local Store = {}
Store.__index = Store
Store.__name = "bmwi.store"
-- What only CarData needs is loaded on demand.
setmetatable(Store, { __index = function(_, name) return require("bmwi.store.account")[name] end })

function Store:__tostring()
  return "bmwi.store: " .. self.place.name
end

-- The members of a token that are saved; all others are dropped, so that nothing unknown is written
-- to disk.
local MEMBERS = {
  access_token = "string", refresh_token = "string", token_type = "string", scope = "string",
  expires_at = "number", gcid = "string", id_token = "string", refresh_expires_at = "number",
  refused_by = "table", -- resources that refuse even new tokens
}
-- Whose token it is: a token for another server or user is never returned.
local OWNER = { server = "string", username = "string" }

-- What belongs to the account (`gcid`) that is logged in, and must not be used for another.
local PERSONAL = { "quota", "container", "refused_descriptors", "vehicles", "basic", "values",
  "fetched" }

local REFRESH_LIFE = 14 * 24 * 60 * 60 -- lifetime of BMW's refresh token in seconds

local MOST_AUTH_ERRORS = 8 -- maximum kept: one for each server and user

-- Held during a renewal of the log-in. (Changing the file uses another lock.)
local RENEWAL = "lock"
local LOCK_STEP = 0.05 -- seconds between two attempts to get it

local function is_finite(number)
  return number == number and math.abs(number) ~= math.huge
end

-- The members of an argument, checked.
local function only(members, from, position, method)
  local copy = {}
  for name, kind in pairs(members) do
    local value = from[name]
    check.that(value == nil or type(value) == kind, name .. " must be a " .. kind, position, method,
      3)
    check.that(type(value) ~= "number" or is_finite(value), name .. " must be finite", position,
      method, 3)
    copy[name] = value
  end
  return copy
end

--- The command line's file unless `token_file` is set, according to the XDG Base Directory
--- Specification 0.8.
---@return string|nil path nil if neither XDG_STATE_HOME nor HOME is set
---@return string|nil message
function store.default_path()
  local state, home = os.getenv("XDG_STATE_HOME"), os.getenv("HOME")
  if state and state:sub(1, 1) == "/" then return state .. "/bmwi/token.json" end
  if home and home ~= "" then return home .. "/.local/state/bmwi/token.json" end
  return nil, "neither XDG_STATE_HOME nor HOME is set, so the token file has no default path"
end

-- Whose token it is: as given to store.new, else as given by the client that uses the store.
local function owner_of(self, owner)
  local both = {}
  for name in pairs(OWNER) do both[name] = self.owner[name] or owner and owner[name] end
  return both
end

--- A store for a file. Nothing is read or written yet.
---@param path string the file; missing folders are created (0700) when the token is saved
---@param owner? {server:string,username:string} saved with the token; a token that was saved for
--- another server or user is reported as missing. A client (option `store`) fills in its own server
--- and username if they are omitted
---@return bmwi.store store
function store.new(path, owner)
  check.argument(path, "string", 1, "new")
  check.that(path ~= "", "the path must not be empty", 1, "new")
  check.that(not path:find("%z"), "the path must not contain a zero byte", 1, "new")
  check.optional(owner, "table", 2, "new")
  return setmetatable({ path = path, place = place.file(path), held = false,
    owner = only(OWNER, owner or {}, 2, "new") }, Store)
end

--- A store in memory, which is lost when the program ends.
---@return bmwi.store store
function store.memory()
  return setmetatable({ place = place.memory(), held = false, owner = {} }, Store)
end

-- The auth_errors for this owner, or for all others, newest first.
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

-- When a refresh token from BMW expires, which BMW does not report.
local function refresh_ends(token, kept)
  if token.refresh_expires_at or not token.gcid or not token.refresh_token then
    return token.refresh_expires_at
  end
  if token.refresh_token == kept.refresh_token and type(kept.refresh_expires_at) == "number" then
    return kept.refresh_expires_at
  end
  return os.time() + REFRESH_LIFE
end

--- Saves a token, replacing the previous one. The account's other data is kept, unless the token
--- belongs to another account. Clears the record of a refused log-in of the same owner.
---@param token bmwi.token
---@param owner? table as in store.new; fills in what was omitted there
---@return true|nil saved
---@return string|nil message
---@return "file"|nil code
function Store:save(token, owner)
  check.argument(token, "table", 1, "save")
  check.that(token.access_token ~= nil, "it has no access_token", 1, "save")
  local fresh = only(MEMBERS, token, 1, "save")
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
---@param owner? table as in store.new; fills in what was omitted there
---@return bmwi.token|nil token as it was saved
---@return string|nil message
---@return "missing"|"insecure"|"json"|"file"|nil code "missing": no file, no token in it, or the
--- token of another server or user; "insecure": others can read or change the file; "json": not a
--- saved account
---@return {hint:string}|nil info
function Store:load(owner)
  local kept, message, code, info = change.read(self.place)
  if not kept then return nil, message, code, info end
  local name = self.place.name
  if kept.access_token == nil and form.has_more(kept) then
    return nil, name .. " holds no token", "missing"
  elseif type(kept.access_token) ~= "string" or not kept.access_token:find("^[!-~]+$") then
    return change.damaged(self.place)
  end
  local of = type(kept.owner) == "table" and kept.owner or {}
  for member, mine in pairs(owner_of(self, owner)) do
    -- Saved by hand without an owner: valid for any client whose store names no owner.
    local anyone = of[member] == nil and not self.owner[member]
    if of[member] ~= mine and not anyone then
      return nil, ("%s holds a token of another %s"):format(name, member), "missing"
    end
  end
  local token = {}
  for member, kind in pairs(MEMBERS) do
    if type(kept[member]) == kind then token[member] = form.copy(kept[member]) end
  end
  return token
end

--- Takes the lock of this file, so that only one process renews the token.
---@param seconds? number how long to wait for another holder; default 10; 0 tries once
---@return userdata|table|nil lock released by lock:unlock(), or when it is collected
---@return string|nil message
---@return "locked"|"file"|nil code
function Store:lock(seconds)
  check.optional(seconds, "number", 1, "lock")
  check.that(seconds == seconds, "the seconds must be a number", 1, "lock")
  return change.take(self.place, RENEWAL, seconds or 10, LOCK_STEP, bmwi.sleep)
end

--- Called by a client before it requests a token: takes the lock, so that only one process renews,
--- and returns the token that another process may have saved meanwhile.
---@param owner? table as in store.new; fills in what was omitted there
---@return bmwi.token|number|nil token or, while another process renews, the number of seconds after
--- which to ask again
---@return table|nil auth_error what finish was last told about a log-in of this owner
function Store:begin(owner)
  -- already held: by another client of this process with the same store
  if self.held then return LOCK_STEP end
  local lock, _, code = self.place.try_lock(RENEWAL)
  if code == "locked" then return LOCK_STEP end
  self.held = lock
  local kept = change.read(self.place)
  return (self:load(owner)), form.copy(auth_errors(kept, owner_of(self, owner), true)[1])
end

-- Records that a log-in was refused. A file that is not a store's is left alone.
local function keep_auth_error(self, auth_error, owner)
  owner = owner_of(self, owner)
  change.now(self.place, function(kept)
    local list = auth_errors(kept, owner, false)
    auth_error.owner = owner
    table.insert(list, 1, auth_error)
    list[MOST_AUTH_ERRORS + 1] = nil
    kept.auth_errors = list
    if auth_error.token_refused then kept.expires_at = auth_error.at end
    return true
  end)
end

--- Called by a client after the renewal, whether or not it succeeded.
---@param auth_error? table how the log-in was refused: returned by the next begin, in other
--- processes too, until a log-in succeeds. It contains no secret
---@param owner? table as in store.new; fills in what was omitted there
function Store:finish(auth_error, owner)
  local ok, message = true, nil
  if auth_error then ok, message = pcall(keep_auth_error, self, auth_error, owner) end
  if self.held then self.held:unlock() end
  self.held = false
  if not ok then error(message, 0) end
end

--- Removes the account. A missing file is not an error.
---@return true|nil cleared
---@return string|nil message
---@return "file"|nil code
function Store:clear()
  return change.remove(self.place)
end

return store
