--- One request to BMW CarData. It is counted before it is sent, since BMW allows 50 a day for all
--- programs of an account together. For the other files of bmwi.cardata.

local check = require "bmwi._check"
local store = require "bmwi.store"

local call = {}

-- BMW counts a call a moment after it was counted here, and gives it back as much later.
local MARGIN = 60 -- seconds

-- The advice if no call is left.
local WAIT = "wait until calls become available again (bmwi quota)"

-- By client; weak, so that they go with it.
local accounts = setmetatable({}, { __mode = "k" })

--- What calls need of a client's options. `store` is where the account's quota, container and
--- values are kept: that of the option, else memory. Read once, since the client may be closed
--- while a call waits.
---@return {store:table,daily_limit:integer,retries:integer,descriptors:string[]|nil}
function call.account(client)
  local account = accounts[client]
  if not account then
    local given = client:_option("store")
    account = { store = given and given._spend and given or store.memory(),
      daily_limit = client:_option("daily_limit"), retries = client:_option("retries"),
      descriptors = client:_option("descriptors") }
    accounts[client] = account
  end
  return account
end

---@return table store of the account
function call.store(client) return call.account(client).store end

--- Raises if a hook of the client is running: waiting in it would never end.
function call.check_hook(client)
  check.use(not client:_in_hook(), "a hook of a client (log, store, on_token, on_prompt) cannot "
    .. "wait for a call of that client")
end

local function closed(endpoint)
  return nil, endpoint .. " failed: the client was closed", "closed", { retryable = false }
end

--- The failure of a call whose response is not what it must be.
---@param what string what it is not, or lacks
---@return nil
---@return string message
---@return "json" code
---@return table info
function call.invalid(endpoint, what)
  return nil, ("%s failed: the response %s"):format(endpoint, what), "json",
    { retryable = false, hint = "check that `base_url` is the right server" }
end

--- The `info` of a failure before the first of several calls, since too few are left for them.
---@param calls integer how many it takes at least
---@param quota {limit:integer,left:integer,resets_at:integer}
---@return table info
function call.too_few(calls, quota)
  local info = { calls = calls, left = quota.left, retryable = false, hint = "read a shorter span" }
  if calls > quota.limit then return info end -- waiting does not help
  info.retry_after = math.max(0, quota.resets_at - os.time()) + MARGIN
  if quota.left == 0 then info.hint = WAIT end
  return info
end

-- Counts a call. If it must not be sent, returns nil and what a method returns for that; a missing
-- log-in is checked first and counts nothing.
local function spend(client, account)
  local ready, message, code, info = client:_renew()
  if not ready then return nil, message, code, info end
  local limit = account.daily_limit
  local left, wait, reason, about = account.store:_spend { limit = limit }
  if left then return true end
  if type(wait) ~= "number" then
    return nil, "this call cannot be counted in the account file: " .. wait, "store",
      { retryable = false, hint = about and about.hint }
  end
  local why = reason == "closed" and "BMW reports that the day's calls are used up"
    or ("all %d calls of the day are used up"):format(limit)
  return nil, why .. ", so nothing was sent", "quota", { retryable = false,
    retry_after = wait + MARGIN, hint = WAIT }
end

-- BMW reports that the day's calls are used up; `info.retry_after` says when some are available
-- again.
local function close_day(account, info)
  account.store:_close_day()
  local _, wait = account.store:_spend { limit = account.daily_limit } -- closed: counts nothing
  if type(wait) == "number" then info.retry_after = info.retry_after or wait + MARGIN end
end

-- Whether another call is worthwhile: the first request got no response, or its token was refused.
local function once_more(retries, code, info)
  return info and info.retryable and retries > 0
    and (code == "auth" or code == "network" or code == "timeout" or code == "server")
end

-- BMW may report an invalid token with the code for missing charging settings. Where these were
-- requested, the two cannot be told apart.
local function is_token_refused(endpoint, info)
  return endpoint ~= "charging_settings" and type(info) == "table" and info.api_code == "CU-127"
    and info.status == 403
end

--- Sends one request, and repeats it once if that may help, which costs a second call.
---@param endpoint string
---@param request {vin:string|nil,id:string|nil,path:string|nil,query:table|nil,body:table|nil}
---@return any answer nil after a failure
---@return string|nil message
---@return string|nil code
---@return table|nil info
function call.call(client, endpoint, request)
  for try = 1, 2 do
    if client:_closed() then return closed(endpoint) end
    call.check_hook(client)
    local account = call.account(client)
    local allowed, why, what, about = spend(client, account)
    if not allowed then return nil, why, what, about end
    if client:_closed() then return closed(endpoint) end -- while it waited for the account file
    local answer, message, code, info = client:_exchange(endpoint, request)
    if answer ~= nil then return answer end
    if code == "quota" then close_day(account, info) end
    if client:_closed() then return nil, message, code, info end
    if is_token_refused(endpoint, info) then
      code, info.retryable, info.hint = "auth", true, "log in again: client:login()"
      local token = client:token()
      if try == 1 and token then client:_renew(token.access_token) end -- spend() reports a failure
    end
    if try == 2 and code == "auth" then info.retryable = false end -- a new token did not help
    if try == 2 or not once_more(account.retries, code, info) then
      return nil, message, code, info
    end
  end
end

--- The decoded response of any path, for paths without a method. Uses one call of the quota.
---@param path string
---@param query table|nil
function call.get(client, path, query)
  check.object(client, "client", "get")
  local ok, why = pcall(client._check_get, client, path, query)
  if not ok then -- the client is argument 1 there
    local position, what = why:match("^bad argument #(%d+) [^(]*%((.*)%)$")
    check.that(false, what or why, (position or 3) - 1, "get")
  end
  return call.call(client, "get", { path = path, query = query })
end

return call
