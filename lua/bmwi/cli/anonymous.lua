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

-- By the member's name in lower case: texts about people and places.
local PERSONAL = set_of([[ name firstname lastname surname username nickname alias salutation email
  licenseplate serialnumber
  street streetnumber streetaddress housenumber address formattedaddress addressline
  postalcode zip zipcode city town municipality district phone phonenumber phonenumbers telephone
  website additionalinfo additionalinformation comment note subject ]])

-- By the end of the name: numbers that are a position.
local PLACE = { latitude = "lat", longitude = "lon", altitude = "alt" }
local PLACES = { lat = "lat", lon = "lon", lng = "lon", long = "lon", gpslat = "lat",
  gpslng = "lon", gpslon = "lon" }
-- The k-th substitute of each kind; they do not reveal how far apart positions are.
local SUBSTITUTE = {
  lat = function(k) return ("48.%03d"):format(k % 1000) end,
  lon = function(k) return ("11.%03d"):format(k % 1000) end,
  alt = function() return "500" end,
}

-- Names that end in "id", but whose values are BMW's constants.
local NO_ID = { exveerrorid = true }

local VIN = "%f[%w]" .. ("[A-HJ-NPR-Z0-9]"):rep(17) .. "%f[%W]"
local UUID = "%x%x%x%x%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-" .. ("%x"):rep(12)
local EMAIL = "[%w._%%+-]+@[%w-]+%.[%w.-]*%w"

local Anonymous = {}
Anonymous.__index = Anonymous

--- Replaces personal data, and remembers each substitute.
function anonymous.new()
  return setmetatable({ known = {}, made = {}, counts = {} }, Anonymous)
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
    return vin:find("%a") and self:stable("vin", vin, function(k)
      return ("WBARECRD%09d"):format(k)
    end)
  end)
  text = text:gsub(UUID, function(id) return self:stable("id", id, id_like) end)
  return (text:gsub(EMAIL, function(mail)
    return self:stable("mail", mail, function(k) return ("user%d@example.com"):format(k) end)
  end))
end

local function place_kind(name)
  return PLACES[name] or PLACE[name:match("%a+$") or ""]
    or PLACE[name:match("latitude$") or name:match("longitude$") or ""]
end

-- Replaces a text or number (as text) of the member `name`.
function Anonymous:scalar(name, text)
  local place, last = place_kind(name), name:match("%w*$")
  if place and number_of(text) then return self:stable(place, text, SUBSTITUTE[place]) end
  if PERSONAL[last] and text ~= "" then
    return self:stable("text", text, function(k)
      return number_of(text) and ("%d"):format(k) or "text " .. k
    end)
  elseif name:find("id$") and text:find("%d") and #text >= 4 and not NO_ID[name] then
    return self:stable("id", text, id_like)
  end
  return self:plain(text)
end

-- The end of the JSON string that starts with the quote at `at`.
local function end_of_text(json, at)
  local stop = at
  repeat
    stop = json:find('"', stop + 1, true)
    if not stop then return nil end
    local slashes = #json:sub(at + 1, stop - 1):match("\\*$")
  until slashes % 2 == 0
  return stop
end

local function decoded(literal)
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
  local blanks = json:match("^%s*", at)
  out[#out + 1] = blanks
  return at + #blanks
end

local WORDS = { ["true"] = true, ["false"] = true, null = true }

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
      member = key == "value" and name or key:lower()
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
  elseif literal and number_of(literal) then
    out[#out + 1] = self:scalar(name, literal):gsub("^0+(%d)", "%1") -- an id may start with 0
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

--- A text that is not JSON, truncated.
function Anonymous:text(text)
  return self:plain(text:sub(1, MAX_TEXT))
end

--- A request's path with its query.
function Anonymous:path(path)
  path = self:plain(path)
  path = path:gsub("(/containers/)([^/?]+)", function(before, id)
    return before .. self:stable("id", id, id_like)
  end)
  return (path:gsub("([?&])([^=&]+)=([^&]*)", function(mark, name, text)
    local key = name:lower():gsub("^d(l[ao][tn])$", "%1") -- dlat, dlon: the user's position
    return ("%s%s=%s"):format(mark, name, self:scalar(key, text))
  end))
end

return anonymous
