-- Why a bar is missed, and what the limit is: one or two sentences for each row, computed from what
-- was measured in the same run. A figure that was not counted (no valgrind) is left out.
local limits = {}

local function thousands(n)
  return (("%.0f"):format(n):reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", ""))
end

local function millions(n) return ("%.1f"):format(n / 1e6) end

-- Joins those sentences that there are.
local function text(...)
  local list = {}
  for i = 1, select("#", ...) do list[#list + 1] = (select(i, ...)) or nil end
  return table.concat(list, " ")
end

-- The functions whose instructions are counted, with all that they call.
local LIBCURL = { "curl_multi_add_handle", "curl_multi_socket_action", "curl_multi_info_read",
  "curl_multi_remove_handle" }
local HANDLES = { "bmwi_handle_ask", "bmwi_handle_end" }
limits.PARTS = { "bmwi_json_decode", "bmwi_json_amend" }
for _, list in ipairs { LIBCURL, HANDLES } do
  for _, name in ipairs(list) do table.insert(limits.PARTS, name) end
end

local function sum(its, names)
  local all = 0
  for _, name in ipairs(names) do all = all + its[name] end
  return all
end

--- One status against the C loop with cjson.decode.
---@param counted table by program: instructions (`all`) and misses; `bmwi` by part, or nil
function limits.call(counted)
  local its = counted.bmwi
  if not its then return "Instructions were not counted in this run." end
  local libcurl, handles = sum(its, LIBCURL), sum(its, HANDLES)
  local own = its.all - libcurl - its.bmwi_json_decode - handles
  return ("For a status the C loop with cjson.decode takes %s instructions, bmwi %s: %s in libcurl "
    .. "and what it calls back (the C loop's fetch: %s), %s for decoding, of which %s make whole "
    .. "floats integers and drop null, %s for handles, and %s for all else. What the kernel does "
    .. "is not in these. By instructions the limit, if all else cost nothing, is %.3f. But the "
    .. "interpreter and the core are more code and data than the loop: in first-level caches of "
    .. "32 KiB (simulated) bmwi misses %s times, the loop %s."):format(
    thousands(counted.decode.all), thousands(its.all), thousands(libcurl),
    thousands(counted.fetch.all), thousands(its.bmwi_json_decode), thousands(its.bmwi_json_amend),
    thousands(handles), thousands(own), (its.all - own) / counted.decode.all,
    thousands(its.misses), thousands(counted.decode.misses))
end

--- One status against fetching alone.
---@param counted table as above
---@param value number the C loop's time with cjson.decode by that without
function limits.decoding(counted, value)
  return text(("A decoded answer cannot cost less than the same loop with cjson.decode, which "
    .. "takes %.3f of the time of fetching: that is the limit."):format(value),
    counted.bmwi and ("Instructions: %s to fetch, %s with cjson.decode, bmwi %s."):format(
      thousands(counted.fetch.all), thousands(counted.decode.all), thousands(counted.bmwi.all)))
end

--- One status against Lua-cURL.
---@param mine {wall:number,cpu:number} bmwi's seconds
---@param its {wall:number,cpu:number} Lua-cURL's
---@param limit number the ratio if bmwi took no more than the C loop with cjson.decode
---@param own table|nil bmwi's instructions (`all`) and misses
---@param other table|nil Lua-cURL's
---@param more string|nil about the same libcurl
function limits.lua_curl(mine, its, limit, own, other, more)
  return text(("Of bmwi's %.1f us, %.1f are its processor's, of Lua-cURL's %.1f us %.1f; the rest "
    .. "is waiting. The limit, if bmwi took as long as the C loop with cjson.decode: %.3f."):format(
    mine.wall * 1e6, mine.cpu * 1e6, its.wall * 1e6, its.cpu * 1e6, limit),
    own and other and ("bmwi takes %s instructions for a status, Lua-cURL %s; in simulated "
    .. "first-level caches it misses %s times, Lua-cURL %s."):format(thousands(own.all),
      thousands(other.all), thousands(own.misses), thousands(other.misses)), more)
end

--- What the TLS libraries have to do with it.
---@param gnutls number processor time of the C loop that only fetches, in seconds
---@param openssl number
---@param value number bmwi's time by Lua-cURL's, both over GnuTLS
function limits.same_libcurl(gnutls, openssl, value)
  return ("Lua-cURL's libcurl is over GnuTLS, bmwi's over OpenSSL: the C loop that only fetches "
    .. "takes %.1f us of processor time over GnuTLS and %.1f over OpenSSL. Where both use the "
    .. "libcurl over GnuTLS, the ratio is %.3f."):format(gnutls * 1e6, openssl * 1e6, value)
end

--- Many statuses at once, against C that throws the bytes away.
---@param fetch number the C program's seconds of processor time for one
---@param decode number the same with cjson.decode
---@param limit number `decode` by `fetch`
---@param own number bmwi by `decode`
function limits.many(fetch, decode, limit, own)
  return ("The C program throws the bytes away, and takes %.1f us of its processor. With "
    .. "cjson.decode it takes %.1f, which is the least for whatever looks into them: the limit "
    .. "is %.3f. bmwi takes %.3f of that: tasks, operations, whole numbers and null come on top.")
    :format(fetch * 1e6, decode * 1e6, limit, own)
end

--- The cost of one status by the number of cars; the figures are of 10 cars and of the most.
---@param few {wall:number,cpu:number} seconds
---@param most {wall:number,cpu:number}
---@param cpu number the highest by the lowest processor time
function limits.flat(few, most, cpu)
  return ("With 10 cars no more than 10 requests are under way, and client and server wait for "
    .. "each other at both ends of each map: %.1f of %.1f us, with the most cars %.1f of %.1f us. "
    .. "The limit is that of the processor time: %.3f."):format((few.wall - few.cpu) * 1e6,
    few.wall * 1e6, (most.wall - most.cpu) * 1e6, most.wall * 1e6, cpu)
end

--- The same by processor time, in seconds.
function limits.spread(least, most)
  return ("From %.1f to %.1f us of processor time. The limit is 1."):format(least * 1e6, most * 1e6)
end

--- The memory of one waiting operation, in bytes.
---@param mine number
---@param lua number what of it is Lua's: task, coroutine, operation
---@param its number an easy handle of the C program
function limits.waiting(mine, lua, its)
  return ("Of bmwi's %.1f KiB, %.1f are Lua's (task, coroutine, operation) and %.1f are C's: the "
    .. "easy handle with its options, and the request. The limit, a handle like the C program's "
    .. "and what is Lua's: %.3f."):format(mine / 1024, lua / 1024, (mine - lua) / 1024,
    (its + lua) / its)
end

--- The range map. All figures are seconds.
---@param decode {wall:number,cpu:number} the C loop with cjson.decode
---@param mine {wall:number,cpu:number}
---@param plain number cjson.decode of the body's copy, in Lua
---@param whole number bmwi.json.decode of the body
function limits.range(decode, mine, plain, whole)
  local second = whole - plain
  return ("bmwi takes %.1f ms of processor time more than the C loop: %.1f ms for the second pass "
    .. "(null, whole numbers) beside the %.1f of cjson.decode, and %.1f ms for all else, such "
    .. "as a body that is allocated anew where the C loop keeps its buffer. The limit, with the "
    .. "second pass only: %.3f.")
    :format((mine.cpu - decode.cpu) * 1e3, second * 1e3, plain * 1e3,
    (mine.cpu - decode.cpu - second) * 1e3, (decode.wall + second) / decode.wall)
end

--- The peak of a range map. All figures are bytes.
function limits.peak(peak, body, table_size)
  return ("Beside the body (%.1f MiB) and its table (%.1f MiB), %.1f MiB: the body's copy as a Lua "
    .. "string, and what the collector has not freed yet. The limit, with that copy only: %.3f.")
    :format(body / 2^20, table_size / 2^20, (peak - body - table_size) / 2^20,
    (2 * body + table_size) / (body + table_size))
end

--- How memory grows; lists of bytes, one for each run.
---@param grown number[] the process's
---@param lua number[] Lua's part of it
---@param late number[] what came in the second half
function limits.soak(grown, lua, late)
  local words = {}
  for i, bytes in ipairs(grown) do
    words[i] = ("%.0f KiB (Lua %.0f; in the second half %.0f)"):format(bytes / 1024,
      lua[i] / 1024, late[i] / 1024)
  end
  return "The runs: " .. table.concat(words, ", ") .. ". What is not Lua's is what malloc keeps, "
    .. "and it depends on where it put the blocks; the limit is 0."
end

--- A cold start. Instructions are {all =, linker =, lua =, libc =, bmwi =}, or nil where they were
--- not counted.
---@param mine {wall:number,cpu:number} the row's seconds
---@param its {wall:number,cpu:number} curl's
---@param one table|nil instructions of the row's program
---@param other table|nil of curl
---@param precompiled table|nil of the same program, of bytecode
function limits.cold(mine, its, one, other, precompiled)
  local waiting = ("It waits for %.1f of its %.1f ms, curl for %.1f of %.1f: both for the server, "
    .. "and bmwi until what it saved is on the disk."):format((mine.wall - mine.cpu) * 1e3,
    mine.wall * 1e3, (its.wall - its.cpu) * 1e3, its.wall * 1e3)
  if not (one and other) then return waiting .. " Instructions were not counted in this run." end
  local excess = one.linker - other.linker
  local best = precompiled or one
  return text(waiting, ("It takes %s million instructions, curl %s: %s against %s in the dynamic "
    .. "linker, which looks for every symbol among the interpreter's libraries before libcurl's, "
    .. "%s against %s in the C library, %s in bmwi's core and lua-cjson, and %s in the "
    .. "interpreter."):format(
    millions(one.all), millions(other.all), millions(one.linker), millions(other.linker),
    millions(one.libc), millions(other.libc), millions(one.bmwi), millions(one.lua)),
    precompiled and ("%s of them compile Lua: of bytecode it takes %s, %.3f of curl's, which is "
    .. "the least that source can come to."):format(millions(one.all - precompiled.all),
    millions(precompiled.all), precompiled.all / other.all),
    ("The limit, if the interpreter cost nothing and the linker what it costs curl: %.3f."):format(
    (best.all - best.lua - math.max(excess, 0)) / other.all))
end

--- A program that is faster: in Python or Node.js, or OpenSSL's base64.
---@param mine {wall:number,cpu:number} seconds
---@param its {wall:number,cpu:number}
function limits.peer(mine, its)
  return ("bmwi takes %.1f us, of which %.1f are its processor's; the other takes %.1f and %.1f. "
    .. "The limit, with the other's processor time: %.3f."):format(mine.wall * 1e6, mine.cpu * 1e6,
    its.wall * 1e6, its.cpu * 1e6, (mine.wall - mine.cpu + its.cpu) / its.wall)
end

--- The same by processor time, in seconds.
function limits.processor(mine, its)
  return ("bmwi takes %.1f us of processor time, the other %.1f. No limit is known.")
    :format(mine * 1e6, its * 1e6)
end

--- Messages of the stream. All figures are seconds of processor time for one.
---@param count number libmosquitto's loop, which counts
---@param decode number the same with cjson.decode
---@param receive number bmwi's connection alone
---@param stream number client:stream()
function limits.stream(count, decode, receive, stream)
  return ("libmosquitto's loop throws the bytes away: %.1f us for a message; with cjson.decode it "
    .. "takes %.1f us, which is the least for whatever looks into them: %.3f is the limit. bmwi "
    .. "takes %.1f us to receive one; the other %.1f us are decoding, merging into what is known "
    .. "of the car, and updates."):format(count * 1e6, decode * 1e6, decode / count, receive * 1e6,
    (stream - receive) * 1e6)
end

--- The connection below the stream.
function limits.receive(count, receive)
  return ("For a message bmwi's connection takes %.1f us, and hands it to Lua as a string; "
    .. "libmosquitto's loop counts it in %.1f us. The limit is 1."):format(receive * 1e6,
    count * 1e6)
end

--- Wake-ups of an idle stream.
function limits.idle(wakes, allowed, used)
  return ("%d more wake-ups than pings explain, at %.2f ms of processor time each; the limit is 1.")
    :format(wakes - allowed, used / wakes * 1e3)
end

--- The time of one value from broker to broker; a sorted list of seconds.
function limits.latency(list)
  return ("From %.0f to %.0f ms, of which bmwi waits 200 for more of the same car. The limit is 1.")
    :format(list[1] * 1e3, list[#list] * 1e3)
end

--- The memory of the bridge, in bytes, with few and with many cars.
function limits.bridge(few, many, cars)
  return ("%.1f MiB before there were %d cars: %.0f KiB for each. The limit is what the program "
    .. "takes without cars."):format(few / 2^20, cars, (many - few) / 1024 / cars)
end

return limits
