-- bmwi.cli.anonymous: removes personal data from a recording. VINs, positions, names, addresses and
-- ids are replaced, always by the same substitute, so that related values stay related. The rest of
-- a response stays byte for byte: spellings and nulls are what bug reports are about.

local bmwi = require "bmwi"
local number_of = require("bmwi.units").number

local anonymous = {}

local MAX_DEPTH = 100
local MAX_TEXT = 2000 -- for a response that is not JSON

local function set_of(words)
  local set = {}
  for word in words:gmatch("%S+") do set[word] = true end
  return set
end

-- Texts about people and places: by the letters of the member's name in lower case, without a
-- final "number", or by the end of these. A name is one of a person or place unless it is listed.
local PERSONAL = set_of([[ alias salutation password mobile fax
  serialnumber registrationnumber customernumber
  street streetnumber housenumber city town municipality district postalcode zip zipcode
  line addressline website additionalinfo additionalinformation comment note subject ]])
local PERSONAL_ENDS = { "name", "phone", "mail", "token", "plate", "address" }
local OF_THINGS = set_of("modelname brandname seriesname typename colorname colourname")

-- Numbers that are a position: by the whole name, or by one of its words.
local PLACES = { long = "lon", gpslat = "lat", gpslng = "lon", gpslon = "lon", dlat = "lat",
  dlon = "lon" }
local PLACE_WORDS = { lat = "lat", lon = "lon", lng = "lon" }
for name in pairs(set_of("coordinate coordinates position location latlon lonlat gps geo")) do
  PLACES[name] = "point"
end
local POINT = "^%s*[+-]?%d+%.%d+[,;%s]+[+-]?%d+%.%d+%s*$"
-- The k-th substitute of each kind; they do not reveal how far apart positions are.
local SUBSTITUTE = {
  lat = function(k) return ("48.%03d"):format(k % 1000) end,
  lon = function(k) return ("11.%03d"):format(k % 1000) end,
  alt = function() return "500" end,
}

-- Names that end in "id", but whose values are BMW's constants.
local NO_ID = { exveerrorid = true }

local VIN = "%f[%w]" .. ("[A-HJ-NPR-Za-hj-npr-z0-9]"):rep(17) .. "%f[%W]"
-- A frontier (%f) where a run of characters begins: without it, a long one takes quadratic time.
local UUID = "%x%x%x%x%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-" .. ("%x"):rep(12)
local EMAIL = "%f[%w._%%+-][%w._%%+-]+@[%w-]+%.[%w.-]*%w"

local Anonymous = {}
Anonymous.__index = Anonymous

--- Replaces personal data, and remembers each substitute.
function anonymous.new()
  return setmetatable({ known = {}, made = {}, counts = {}, kinds = {} }, Anonymous)
end

-- The substitute for a text of this kind. A substitute itself is not replaced again.
function Anonymous:stable(kind, text, make)
  local key = kind .. "\0" .. text
  if self.made[key] then return text end
  if not self.known[key] then
    self.counts[kind] = (self.counts[kind] or 0) + 1
    local new = make(self.counts[kind], text)
    self.known[key], self.made[kind .. "\0" .. new] = new, true
  end
  return self.known[key]
end

local function id_like(k, text)
  if text:find("^" .. UUID .. "$") then return ("00000000-0000-4000-8000-%012d"):format(k) end
  return ("%0" .. math.min(math.max(#text, 4), 40) .. "d"):format(k)
end

-- Replaces VINs, ids and e-mail addresses in any text.
function Anonymous:plain(text)
  text = text:gsub(VIN, function(vin)
    local upper = vin:upper()
    local is_word = vin ~= upper and not vin:find("%d")
    if is_word or not vin:find("%a") then return nil end
    local new = self:stable("vin", upper, function(k) return ("WBARECRD%09d"):format(k) end)
    return vin:find("%u") and new or new:lower()
  end)
  text = text:gsub(UUID, function(id) return self:stable("id", id, id_like) end)
  return (text:gsub(EMAIL, function(mail)
    return self:stable("mail", mail, function(k) return ("user%d@example.com"):format(k) end)
  end))
end

local function place_kind(last, letters)
  if last:find("latitude") then return "lat" end
  if last:find("longitude") then return "lon" end
  if last:find("altitude$") then return "alt" end
  for word in letters:gmatch("%a+") do
    local place = PLACE_WORDS[word:lower()]
    if place then return place end
  end
end

local function is_personal(letters)
  local stem = letters:gsub("numbers?$", "")
  if PERSONAL[letters] or PERSONAL[stem] then return true end
  for _, ending in ipairs(PERSONAL_ENDS) do
    if stem:find(ending .. "e?s?$") then return not OF_THINGS[letters] end
  end
  return false
end

-- What a member's texts and numbers are, by its name.
local function kind_of(name)
  local lower, last = name:lower(), name:gsub("^.*%.", "")
  local letters = last:gsub("%A", ""):lower()
  local place = PLACES[lower] or place_kind(letters, (last:gsub("(%l)(%u)", "%1 %2")))
  if place then return place end
  if letters:find("vin$") then return "vin" end
  if is_personal(letters) then return "text" end
  if letters == "sub" or letters:find("gcid$") then return "id" end
  return lower:find("ids?$") and not NO_ID[lower] and "perhaps id" or "other"
end

-- Each number of a text with decimals, as a part of a position.
function Anonymous:point(text)
  return (text:gsub("[+-]?%f[%d]%d+%.%d+", function(number)
    return self:stable("point", number, SUBSTITUTE.lat)
  end))
end

-- Replaces a text or number (as text) of the member `name`.
function Anonymous:scalar(name, text, is_number)
  local kind = self.kinds[name] or kind_of(name)
  self.kinds[name] = kind
  if text == "" then return text end
  local digits = text:find("%d")
  if kind == "vin" and text:find("^" .. VIN .. "$") and text:find("%a") then kind = "other" end
  if SUBSTITUTE[kind] and digits then return self:stable(kind, text, SUBSTITUTE[kind]) end
  if kind == "text" then
    return self:stable("text", text, function(k)
      return number_of(text) and ("%d"):format(k) or "text " .. k
    end)
  elseif kind == "id" or kind == "vin" or kind == "perhaps id" and digits and #text >= 4 then
    return self:stable("id", text, id_like)
  end
  if kind == "point" or text:find(POINT) then text = self:point(text) end
  if is_number then return text end -- 123456789012345e3 is no VIN
  return text:find("^%s*[{%[]") and self:json(text) or self:plain(text)
end

-- The end of the JSON string that starts with the quote at `at`.
local function end_of_text(json, at)
  at = at + 1
  while true do
    local stop, char = json:match('()(["\\])', at)
    if not stop or char == '"' then return stop end
    at = stop + 2
  end
end

local function decoded(literal)
  if literal:find("[%z\1-\31]") then return nil end -- lua-cjson takes them
  local list = bmwi.json.decode("[" .. literal .. "]")
  return list and list[1]
end

-- Appends the replaced value at `at` to `out`. Returns the position after it, or nil if this is not
-- JSON. `name` is the member that it belongs to; in {"value": x} the member above.
local value

function Anonymous:text_at(json, at, name, out)
  local stop = end_of_text(json, at)
  local text = stop and decoded(json:sub(at, stop))
  if not text then return nil end
  local new = name and self:scalar(name, text) or self:plain(text)
  out[#out + 1] = new == text and json:sub(at, stop) or bmwi._sys.json(new)
  return stop + 1, text
end

local function copy_blanks(json, at, out)
  local blanks = json:match("^[ \t\r\n]*", at)
  out[#out + 1] = blanks
  return at + #blanks
end

local WORDS = { ["true"] = true, ["false"] = true, null = true }

-- Whether JSON allows this number, and it is finite.
local function is_number(literal)
  local rest = literal:match("^%-?0(.*)$") or literal:match("^%-?[1-9]%d*(.*)$")
  rest = rest and (rest:match("^%.%d+(.*)$") or rest)
  local whole = rest == "" or rest and rest:find("^[eE][+-]?%d+$")
  return whole and number_of(literal) ~= nil
end

-- The members of an object or the elements of an array.
local function container(self, json, at, name, depth, out)
  local close = json:sub(at, at) == "{" and "}" or "]"
  out[#out + 1] = json:sub(at, at)
  at = copy_blanks(json, at + 1, out)
  while json:sub(at, at) ~= close do
    local member = name
    if close == "}" then
      local key
      if json:sub(at, at) ~= '"' then return nil end
      at, key = self:text_at(json, at, nil, out)
      if not at then return nil end
      member = key == "value" and name or key
      at = copy_blanks(json, at, out)
      if json:sub(at, at) ~= ":" then return nil end
      out[#out + 1] = ":"
      at = copy_blanks(json, at + 1, out)
    end
    at = value(self, json, at, member, depth + 1, out)
    if not at then return nil end
    at = copy_blanks(json, at, out)
    if json:sub(at, at) == "," then
      out[#out + 1] = ","
      at = copy_blanks(json, at + 1, out)
      if json:sub(at, at) == close then return nil end
    elseif json:sub(at, at) ~= close then
      return nil
    end
  end
  out[#out + 1] = close
  return at + 1
end

function value(self, json, at, name, depth, out)
  local first = json:sub(at, at)
  if depth > MAX_DEPTH then return nil end
  if first == '"' then return (self:text_at(json, at, name, out)) end
  if first == "{" or first == "[" then return container(self, json, at, name, depth, out) end
  local literal = json:match("^[%w.+-]+", at)
  if WORDS[literal] then
    out[#out + 1] = literal
  elseif literal and is_number(literal) then
    out[#out + 1] = self:scalar(name, literal, true):gsub("^0+(%d)", "%1") -- an id may start with 0
  else
    return nil
  end
  return at + #literal
end

--- A JSON response with substitutes but otherwise unchanged. nil if it is not JSON.
function Anonymous:json(json)
  local out = {}
  local at = copy_blanks(json, 1, out)
  at = value(self, json, at, "", 1, out)
  if not at or json:find("%S", at) then return nil end
  return table.concat(out)
end

-- What begins like JSON, without its values: it may be cut off anywhere, even in a name.
local function shape(self, text)
  local out, at = {}, 1
  while at <= #text do
    local stop = select(2, text:find("^[%s%[%]{},:]+", at))
    if stop then
      out[#out + 1] = text:sub(at, stop)
    elseif text:sub(at, at) == '"' then
      stop = end_of_text(text, at) or #text
      local is_name = text:find("^%s*:", stop + 1)
      out[#out + 1] = is_name and self:plain(text:sub(at, stop)) or '"text"'
    else
      local word = text:match('^[^%s%[%]{},:"]+', at)
      stop = at + #word - 1
      out[#out + 1] = WORDS[word] and word or word:find("^[+-]?%.?%d") and "0" or '"text"'
    end
    at = stop + 1
  end
  return table.concat(out)
end

--- A text that is not JSON, truncated. A number with three decimals may be a position.
function Anonymous:text(text)
  if text:find("^%s*[{%[]") then
    text = shape(self, text)
  else
    text = self:plain(text):gsub("[+-]?%f[%d]%d+[.,]%d%d%d+", "0.000")
  end
  return text:sub(1, MAX_TEXT) -- what a cut leaves of a VIN would not be found
end

local function unescaped(text, which)
  return (text:gsub("%%(%x%x)", function(hex)
    local char = string.char(tonumber(hex, 16))
    return char:find(which) and char or nil
  end))
end

--- A request's path with its query.
function Anonymous:path(path)
  path = self:plain(unescaped(path, "[%w._~-]"))
  path = path:gsub("(/containers/)([^/?]+)", function(before, id)
    return before .. self:stable("id", id, id_like)
  end)
  return (path:gsub("([?&])([^=&]+)=([^&]*)", function(mark, name, text)
    local plain = unescaped(text, ".")
    local new = self:scalar(name, plain)
    if new == plain then return nil end
    return mark .. name .. "=" .. new:gsub("[^%w._~-]", function(char)
      return ("%%%02X"):format(char:byte())
    end)
  end))
end

return anonymous
