---@meta bmwi
-- The module as editors see it (LuaLS); docs/reference.md is made from this file,
-- types/answers.lua and
-- the comments of lua/bmwi by `make docs`. Nothing here is ever run.
--
-- What only one service has begins its description with "Classic:" or "CarData:".

---@class bmwi the module, `require "bmwi"`
---@field _VERSION string version of bmwi
---@field curl_version string libcurl's version and that of its TLS library
--- the addresses of BMW's three classic servers, which are switched off: `rest_of_world`, `usa`,
--- `china`
---@field regions table<string,string>
---@field services string[] what the option `service` may be
---@field loop bmwi.loop this Lua state's engine, for host programs
---@field base64 bmwi.base64 RFC 4648 section 4
---@field json bmwi.json JSON, in the form of answers and requests
local bmwi = {}

--- Makes a client. Nothing is sent. Incorrect options raise an error.
---@param options bmwi.options
---@return bmwi.client client
function bmwi.new(options) end

--- Waits. In a task of `bmwi.async`, other tasks continue meanwhile.
---@param seconds number 0 or more
---@return true|nil waited
---@return string|nil message
---@return "cancelled"|nil code the task was cancelled
function bmwi.sleep(seconds) end

---@class bmwi.base64 RFC 4648 section 4
local base64 = {}

--- Encodes, with padding and without line breaks.
---@param bytes string
---@return string text
function base64.encode(bytes) end

--- Decodes strictly: no other alphabet, no missing padding, no blanks.
---@param text string
---@return string|nil bytes
---@return string|nil message
---@return "base64"|nil code
function base64.decode(text) end

---@class bmwi.json JSON, in the form of answers and requests
local json = {}

--- Decodes JSON as answers are decoded: whole numbers up to 2^53 are integers on Lua 5.3 and later,
--- `null` is absent, an empty array stays an array.
---@param text string
---@return any value
---@return string|nil message
---@return "json"|nil code
function json.decode(text) end

--- Encodes a value as JSON, members sorted by name. Raises an error if JSON cannot represent it.
---@param value any
---@return string text
function json.encode(value) end

--- Marks a table as an array, which it then is even when empty.
---@param t? table a new one if it is omitted
---@return table t
function json.array(t) end

--- Whether a table is encoded as an array.
---@param t table
---@return boolean is_array
function json.is_array(t) end

---@class bmwi.loop the engine; speaks the protocol of cqueues' pollable objects
local loop = {}

--- One descriptor that is readable when `step()` has work.
---@return integer descriptor
function loop:pollfd() end

--- The events to wait for on the descriptor.
---@return "r" events
function loop:events() end

--- How long until `step()` must run.
---@return number|nil seconds nil: no limit
function loop:timeout() end

--- Advances all calls, for about 5 ms. Raises errors that no call or task could receive.
---@param seconds? number waits at most this long for work; default 0
---@return true
function loop:step(seconds) end

--- Sets the number of connections to one server. Calls beyond it are queued.
---@param connections integer 0 to 100000; 0: any number. It is 64 at the start
---@return integer before
function loop:limit(connections) end

---@class bmwi.options options of bmwi.new
--- the server, `https://host[:port]` (`http://` for loopback only). The classic service needs it
--- or `region`; CarData has its own
---@field base_url? string
--- PEM file with the CA certificates to trust instead of the system's; `~` in the path is not
--- expanded. Certificates are always verified
---@field ca_file? string
---@field connect_timeout? number seconds for a connection; default 10 (0.001 to 86400)
--- `"HOST:PORT:HOST:PORT"`: connect to the second instead of the first, as libcurl's `CONNECT_TO`
---@field connect_to? string[]
---@field log? fun(event: bmwi.log_event, fields: bmwi.log_fields) gets each event, without secrets
--- maximum size of a response, decompressed; default 16777216 (1 to 2147483647)
---@field max_response_bytes? integer
---@field on_token? fun(token: bmwi.token) called with each new token, to save it without a store
--- `[scheme://][user:password@]host[:port]`, as libcurl's `CURLOPT_PROXY`; default: the
--- environment's
---@field proxy? string
---@field retries? integer how often a read is retried; default 2 (0 to 10)
---@field service? "classic"|"cardata" default "classic"
---@field store? bmwi.token_store keeps the token between runs: see `bmwi.store`
--- seconds for a call with all its retries and its log-in; default 30 (0.001 to 86400)
---@field timeout? number
---@field token? bmwi.token a saved token
---@field user_agent? string default "bmwi/VERSION"
---@field api_key? string Classic: the application's key
---@field api_secret? string Classic: the application's secret
---@field basic? string Classic: instead of `api_key` and `api_secret`: base64 of `key:secret`
--- Classic: the server of `car:navigation()`; default: `base_url`, else BMW's
---@field navigation_url? string
---@field password? string Classic: of the account. Not needed with a saved token
--- Classic: the form field of `car:send_poi()`; default "data". `"body"` is what the API document
--- says
---@field poi_field? "data"|"body"
--- Classic: degrees, the car's approximate position; `car:status()` requires it except for i3 and
--- i8
---@field position? {lat: number, lon: number}
--- Classic: instead of `base_url`: BMW's own servers, which are switched off. A car of another
--- region (its `hub` in the list of vehicles) is served by that region's server
---@field region? "rest_of_world"|"usa"|"china"
--- the scope that a log-in requests; default "remote_services vehicle_data", of CarData
--- "authenticate_user openid cardata:api:read cardata:streaming:read"
---@field scope? string
--- Classic: where the token endpoint is on the server; `"/webapi/oauth/token/"` unless `token_url`
--- is given
---@field token_path? string
--- Classic: instead of `token_path`: the whole address of the token endpoint
---@field token_url? string
---@field username? string Classic: of the account. Not needed with a saved token
---@field client_id? string CarData: from BMW's portal; sent in lower case
--- CarData: calls a day, of all programs together; default 50 (1 to 100000)
---@field daily_limit? integer
--- CarData: more descriptors for the container, besides those that `car:status()` needs
---@field descriptors? string[]
--- CarData: where to log in; default "https://customer.bmwgroup.com/gcdm/oauth"
---@field login_url? string
---@field on_prompt? fun(prompt: bmwi.prompt) CarData: shows the link and the code of a log-in
--- CarData: the MQTT broker of the live data; default
--- "mqtts://customer.streaming-cardata.bmwgroup.com:9000" (`mqtt://` for loopback only)
---@field stream_url? string

---@alias bmwi.log_event
---| "response" # a response, or what went wrong instead
---| "retry" # a retry was planned
---| "store_error" # the token could not be saved
---| "stream" # the state of the stream has changed
---| "stream_message" # a message of the stream has arrived; it names the car
---| "stream_dropped" # the previous message cannot be used, for this `reason`

---@class bmwi.log_fields the second argument of `log`
---@field call? string name of the call; "token" for a log-in or a renewal
---@field method? string HTTP method
---@field attempt? integer 1 for the first one
---@field status? integer HTTP status
---@field bytes? integer length of the response, or of the message
---@field seconds? number duration
---@field date? number seconds since 1970, by the server's clock
---@field wait? number seconds until the retry, or the next connection
---@field state? bmwi.stream_state of the stream
---@field reason? string why the stream waits or has ended, or a message was dropped
---@field topic? string of a message: the account and the car
---@field payload? string of a message, unmodified
---@field code? bmwi.code what went wrong
---@field error? string what went wrong, for people

---@class bmwi.prompt the argument of `on_prompt`
---@field verification_uri string the page to open
---@field verification_uri_complete string the same with the code in it
---@field user_code string the code; it is case-sensitive
---@field expires_in integer seconds
---@field interval integer seconds between two polls

---@class bmwi.token a token, in the form that is saved
---@field access_token string secret
---@field refresh_token? string secret
---@field token_type string
---@field scope? string what the server granted
---@field expires_at? integer seconds since 1970
---@field id_token? string CarData: secret; the password of the stream
---@field gcid? string CarData: the account; the user name of the stream
--- CarData: when the refresh token expires, in seconds since 1970; a store adds it
---@field refresh_expires_at? integer

---@class bmwi.token_store what the option `store` takes
---@field load fun(self, owner: bmwi.owner): bmwi.token|nil, string|nil, string|nil the saved token
---@field save fun(self, token: bmwi.token, owner: bmwi.owner): any, string|nil, string|nil saves it
---@field finish? fun(self, auth_error: table|nil, owner: bmwi.owner) releases the lock of `begin`
--- takes a lock; may return a token that another process saved, or the seconds after which to be
--- called again; and the `auth_error` of the last `finish`: how the log-in was refused
---@field begin? fun(self, owner: bmwi.owner): bmwi.token|number|nil, table|nil

---@class bmwi.owner whom a token is for
---@field server string
---@field username string of CarData the client id

---@class bmwi.client a client of either service. After `close()` every call raises an error
local client = {}

--- Logs in, or renews the log-in, if that is needed. Any other call of the classic service does so
--- by itself; with CarData this is the only call that shows a code and waits for it.
---@return true|nil done
---@return string|nil message
---@return bmwi.code|nil code
---@return bmwi.info|nil info
function client:login() end

--- The account's cars. With CarData one call of the quota.
---@return bmwi.vehicle[]|nil vehicles
---@return string|nil message
---@return bmwi.code|nil code
---@return bmwi.info|nil info
function client:vehicles() end

--- A car. Nothing is sent; an invalid VIN raises an error.
---@param vin string 17 letters and digits; upper-cased
---@return bmwi.car car
function client:vehicle(vin) end

--- The token, to save it.
---@return bmwi.token|nil token nil before the first log-in
function client:token() end

--- The whole decoded answer of any path of the server. With CarData one call of the quota.
---@param path string such as "/webapi/v1/user/vehicles"
---@param query? table<string, string|number|boolean|table> an array repeats its name
---@return table|true|nil answer true if it is empty
---@return string|nil message
---@return bmwi.code|nil code
---@return bmwi.info|nil info
function client:get(path, query) end

--- Classic: the whole decoded answer to a POST, which is never retried.
---@param path string
---@param form? table<string, string|number|boolean|table> an array repeats its name
---@return table|true|nil answer true if it is empty
---@return string|nil message
---@return bmwi.code|nil code
---@return bmwi.info|nil info
function client:post(path, form) end

--- Cancels pending calls, which end with `closed`, and discards the secrets.
function client:close() end

--- CarData: how many calls of the day are left, over all programs that use the same account file.
--- Nothing is sent.
---@return {limit: integer, used: integer, left: integer, resets_at: integer}|nil quota
--- `resets_at`: seconds since 1970, when a call becomes available again
---@return string|nil message
---@return "store"|nil code
function client:quota() end

--- CarData: the account's containers, of every program, with BMW's names: `containerId`, `name`,
--- `purpose`, `state` ("ACTIVE", "DELETED"), `created`. One call of the quota.
---@param id? string that one alone, with its `technicalDescriptors`
---@return table|nil containers
---@return string|nil message
---@return bmwi.code|nil code
---@return bmwi.info|nil info
function client:containers(id) end

--- CarData: makes a container of your own; `car:status()` needs none of these. One call of the
--- quota.
---@param options {name: string, purpose: string?, descriptors: string[]} `purpose` is `name` where
--- it is left out
---@return table|nil container
---@return string|nil message
---@return bmwi.code|nil code "forbidden": the account has ten already
---@return bmwi.info|nil info
function client:create_container(options) end

--- CarData: deletes a container; one that is already deleted is not an error. One call of the
--- quota.
---@param id string
---@return true|nil deleted
---@return string|nil message
---@return bmwi.code|nil code
---@return bmwi.info|nil info
function client:delete_container(id) end

--- CarData: starts listening to the account's stream (docs/stream.md). Returns at once: the stream
--- connects, renews the token in time and reconnects after failures by itself, while anything waits
--- for bmwi or the host drives `bmwi.loop`. All streams of a client share one connection, of
--- which the first sets `keepalive` and `protocol`. It ends when it is closed or collected, and
--- with its client. No call of the quota.
---@param options? {vins: string[]?, keepalive: number?, protocol: integer?} of which cars (all);
--- seconds from 1 to 30 (30); 5, or 4 for MQTT 3.1.1 (5, and 4 if the server does not support 5)
---@return bmwi.stream|nil stream
---@return string|nil message
---@return bmwi.code|nil code "unsupported": the classic service has none
---@return bmwi.info|nil info
function client:stream(options) end

---@class bmwi.stream live data of CarData, returned by `client:stream()`
local stream = {}

---@alias bmwi.stream_state
---| "connecting"
---| "connected"
---| "waiting" # until the next attempt to connect
---| "ended"

--- The next update. Waits for it while other tasks run; what came before the end of a stream is
--- returned first.
---@param timeout? number seconds; without it as long as it takes
---@return bmwi.update|nil update
---@return string|nil message
---@return bmwi.code|nil code "timeout": none came in time, and the stream continues; any other
--- means that it has ended, and is returned again by the next call
---@return bmwi.info|nil info
function stream:next(timeout) end

--- For a loop: `for update in stream:updates() do`. The loop ends with the stream; `stream:state()`
--- tells why. On Lua 5.1 an iterator cannot wait in a task: call `next()` there.
---@return fun(): bmwi.update|nil
function stream:updates() end

--- The state of the stream: "waiting" comes with the seconds until the next connection and the
--- reason, "ended" with the code.
---@return bmwi.stream_state state
---@return number|bmwi.code|nil
---@return string|nil
function stream:state() end

--- Ends the stream and saves the values in the account file. Waiting calls get the code "closed".
function stream:close() end

---@class bmwi.update what `stream:next()` returns
---@field vin string
---@field status bmwi.status all that is known of the car
---@field details table<string, bmwi.detail> where each member comes from
--- the members that differ from those of the update before; the first one of a car has all
---@field changed table<string, true>
--- what came, by descriptor, as from `car:telematics()`; the first one of a car has all
---@field values table<string, bmwi.value>

---@class bmwi.car a car, returned by `client:vehicle(vin)`; it keeps its client alive
local car = {}

--- The VIN.
---@return string vin
function car:vin() end

--- Whether this car's service has a method. What it lacks returns `nil, message, "unsupported"`.
---@param name string such as "lock_doors"
---@return boolean supported
function car:supports(name) end

--- Locks, doors, windows, battery, range, mileage, position: what the car reported last. With
--- CarData one call of the quota; the first one ever takes up to three more.
---@param options? {max_age: number} CarData: seconds; saved values that were read at most this long
--- ago are shown, and then nothing is sent. `math.huge` shows them however old
---@return bmwi.status|nil status
---@return table<string, bmwi.detail>|string|nil details CarData: by member, where it comes from,
--- or why it is absent. After a failure: the message
---@return bmwi.code|nil code
---@return bmwi.info|nil info
function car:status(options) end

--- A picture of the car. With CarData one call of the quota.
---@param options? {view: string?, width: integer?, height: integer?} Classic: a view such as
--- "SIDE" or "FRONTSIDE"; pixels, 1 to 10000
---@return string|nil bytes PNG; of CarData it may be JPEG
---@return string|nil kind CarData: "png" or "jpeg". After a failure: the message
---@return bmwi.code|nil code "not_found": there is none
---@return bmwi.info|nil info
function car:image(options) end

--- Classic: the last trip.
---@return bmwi.trip|nil trip
---@return string|nil message
---@return bmwi.code|nil code
---@return bmwi.info|nil info
function car:last_trip() end

--- Classic: lifetime averages and totals, compared with other drivers.
---@return bmwi.trips|nil trips
---@return string|nil message
---@return bmwi.code|nil code
---@return bmwi.info|nil info
function car:all_trips() end

--- Classic: the charging schedule.
---@return bmwi.charging_profile|nil profile
---@return string|nil message
---@return bmwi.code|nil code
---@return bmwi.info|nil info
function car:charging_profile() end

--- Classic: the places that were sent to the car.
---@return bmwi.destination[]|nil destinations
---@return string|nil message
---@return bmwi.code|nil code
---@return bmwi.info|nil info
function car:destinations() end

--- Classic: the reachable area.
---@return bmwi.range_map|nil map
---@return string|nil message
---@return bmwi.code|nil code
---@return bmwi.info|nil info
function car:range_map() end

--- Classic: battery and navigation data, in several variants: see `bmwi.navigation`.
---@return bmwi.navigation_data|nil data
---@return string|nil message
---@return bmwi.code|nil code
---@return bmwi.info|nil info
function car:navigation() end

--- Classic: the status of the last command of a kind.
---@param service bmwi.service_name
---@param event_id? string of the command that is meant; not sent, but kept out of messages
---@return bmwi.execution|nil execution
---@return string|nil message
---@return bmwi.code|nil code
---@return bmwi.info|nil info
function car:execution(service, event_id) end

--- Classic: sends any command by its name. Never retried; see docs/waiting.md for its outcome.
---@param service bmwi.service_name
---@param fields? table<string, string|number|boolean|table> more fields of the form; `data` may be
--- a charging profile
---@return bmwi.execution|nil execution
---@return string|nil message
---@return bmwi.code|nil code "unknown": it was sent, but its answer was lost; `info.execution` is
--- for waiting
---@return bmwi.info|nil info
function car:execute(service, fields) end

--- Classic: locks the doors.
---@return bmwi.execution|nil execution
---@return string|nil message
---@return bmwi.code|nil code as from `car:execute`
---@return bmwi.info|nil info
function car:lock_doors() end

--- Classic: unlocks the doors.
---@param options? {secret: string} the answer to the account's security question, if it asks
---@return bmwi.execution|nil execution
---@return string|nil message
---@return bmwi.code|nil code as from `car:execute`
---@return bmwi.info|nil info
function car:unlock_doors(options) end

--- Classic: flashes the headlights.
---@param options? {count: integer} undocumented, probably the number of flashes: 1 to 100
---@return bmwi.execution|nil execution
---@return string|nil message
---@return bmwi.code|nil code as from `car:execute`
---@return bmwi.info|nil info
function car:flash_lights(options) end

--- Classic: blows the horn, which is not allowed in every country.
---@return bmwi.execution|nil execution
---@return string|nil message
---@return bmwi.code|nil code as from `car:execute`
---@return bmwi.info|nil info
function car:blow_horn() end

--- Classic: starts the climate control. No command stops it.
---@return bmwi.execution|nil execution
---@return string|nil message
---@return bmwi.code|nil code as from `car:execute`
---@return bmwi.info|nil info
function car:climate_now() end

--- Classic: starts charging, when the car is plugged in.
---@return bmwi.execution|nil execution
---@return string|nil message
---@return bmwi.code|nil code as from `car:execute`
---@return bmwi.info|nil info
function car:charge_now() end

--- Classic: asks the car to report, with its position.
---@return bmwi.execution|nil execution
---@return string|nil message
---@return bmwi.code|nil code as from `car:execute`
---@return bmwi.info|nil info
function car:find() end

--- Classic: sets the charging schedule. Send the whole profile that was read, with your changes:
--- a part of it would clear the rest.
---@param profile bmwi.charging_profile
---@return bmwi.execution|nil execution
---@return string|nil message
---@return bmwi.code|nil code as from `car:execute`
---@return bmwi.info|nil info
function car:set_charging_profile(profile) end

--- Classic: sends a place, or a text message, to the car.
---@param poi bmwi.poi
---@return true|nil sent
---@return string|nil message
---@return bmwi.code|nil code
---@return bmwi.info|nil info
function car:send_poi(poi) end

--- CarData: everything that is known of the car, by BMW's descriptor. One call of the quota.
---@param options? {max_age: number} as for `car:status()`
---@return table<string, bmwi.value>|nil values
---@return string|nil message
---@return bmwi.code|nil code
---@return bmwi.info|nil info
function car:telematics(options) end

--- CarData: what the car is, with BMW's names: `brand`, `modelName`, `driveTrain` and so on. Read
--- once (one call of the quota), then kept.
---@param options? {refresh: boolean} true reads it again
---@return table|nil data
---@return string|nil message
---@return bmwi.code|nil code
---@return bmwi.info|nil info
function car:basic_data(options) end

--- CarData: the charging sessions of a period, the oldest first, with BMW's names. One call of the
--- quota for each 45 days and each ten sessions.
---@param options? {from: number, to: number} seconds since 1970; default: the last 30 days
---@return bmwi.charging_session[]|nil sessions
---@return string|nil message
---@return bmwi.code|nil code "quota": too few calls are left, `info.calls` says how many it takes
---@return bmwi.info|nil info `partial`: the sessions that came before the failure
function car:charging_history(options) end

--- CarData: the charging settings of places, with BMW's names. One call of the quota for each ten
--- places.
---@return table[]|nil settings
---@return string|nil message
---@return bmwi.code|nil code
---@return bmwi.info|nil info `partial`: the settings that came before the failure
function car:charging_settings() end

--- CarData: `client:stream()` for this car alone.
---@param options? {keepalive: number?, protocol: integer?}
---@return bmwi.stream|nil stream
---@return string|nil message
---@return bmwi.code|nil code
---@return bmwi.info|nil info
function car:stream(options) end

--- CarData: what BMW knows of the tyres, with its names: `mountedTyres`, `unmountedTyres`, in them
--- `frontLeft`, `frontRight`, `rearLeft`, `rearRight`. One call of the quota.
---@return {mountedTyres: table?, unmountedTyres: table?, errors: table}|nil tyres
---@return string|nil message
---@return bmwi.code|nil code
---@return bmwi.info|nil info
function car:tyres() end

---@alias bmwi.service_name
---| "DOOR_LOCK" # `car:lock_doors()`
---| "DOOR_UNLOCK" # `car:unlock_doors()`
---| "LIGHT_FLASH" # `car:flash_lights()`
---| "HORN_BLOW" # `car:blow_horn()`
---| "CLIMATE_NOW" # `car:climate_now()`
---| "CHARGE_NOW" # `car:charge_now()`
---| "VEHICLE_FINDER" # `car:find()`
---| "CHARGING_CONTROL" # `car:set_charging_profile()`
---| string

--- What kind of failure it is; docs/errors.md says what to do about each.
---@alias bmwi.code
---| "network" # no connection, or it broke
---| "timeout" # no answer in time; from waiting: no outcome in time
---| "tls" # the certificate is not trusted, or the port does not use TLS
---| "too_large" # more than `max_response_bytes`
---| "json" # the response is not valid JSON, or lacks what it must contain
---| "auth" # log-in or token refused
---| "forbidden" # not permitted for this account or car
---| "not_found" # the server does not know it
---| "gone" # HTTP 410: the service was switched off
---| "rate_limited" # too many requests
---| "server" # HTTP 5xx
---| "http" # any other HTTP status
---| "quota" # the day's calls of CarData are used up
---| "unsupported" # this service does not offer it
---| "conflict" # from a stream: another program uses the stream of the account
---| "unknown" # a command was sent, but its outcome is unknown
---| "closed" # the client was closed meanwhile
---| "cancelled" # the task was cancelled, or a prompt
---| "store" # a method of the option `store` failed
---| "not_executed" # from waiting: the car has not carried out the command
---| "timed_out" # from waiting: the server gave up reaching the car
---| "base64" # from `bmwi.base64`: input it cannot read
---| "units" # from `bmwi.units`: a figure that does not exist
---| "time" # from `bmwi.time`: input it cannot read
---| "geo" # from `bmwi.geo`: input it cannot read
---| "navigation" # from `bmwi.navigation`: input it cannot read
---| "config" # from `bmwi.config`: a setting that cannot be used
---| "file" # from `bmwi.store`: the file cannot be read or written
---| "missing" # from `bmwi.store`: there is no file, or no token of this account in it
---| "insecure" # from `bmwi.store`: others can read or change the file
---| "locked" # from `bmwi.store`: another process holds the lock

---@class bmwi.info what is known of a failure
---@field hint? string what to do, for people
---@field status? integer HTTP status
---@field api_code? string the service's own code, such as "A-2013" or "CU-403"
---@field description? string the server's words
---@field retry_after? number seconds
---@field retryable? boolean whether the same call may succeed later
---@field location? string where a redirect points to; none is followed
--- seconds since 1970: when the log-in was refused that is not tried again now
---@field refused_at? integer
--- of a command whose outcome is not known, for `wait.for_execution`
---@field execution? bmwi.execution
---@field last_status? string from waiting: the last status word of the command
--- from waiting: of the last poll, if it failed
---@field last_error? {message: string, code: bmwi.code?, info: table?}
---@field partial? table CarData: what came before the failure
---@field calls? integer CarData: how many calls it takes at least
---@field left? integer CarData: how many calls are left

return bmwi
