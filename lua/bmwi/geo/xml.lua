--- What KML and SVG share.

local text = require "bmwi._text"

local xml = {}

local ESCAPES = {
  ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&apos;",
}

--- Escapes text as the content of an element or attribute. XML 1.0 allows no control characters,
-- U+FFFE or U+FFFF, not even escaped.
---@param bytes string
---@return string
function xml.escape(bytes)
  local clean = text.valid(bytes):gsub("[%z\1-\8\11\12\14-\31\127]", text.REPLACEMENT)
  clean = clean:gsub("\239\191[\190\191]", text.REPLACEMENT)
  return (clean:gsub("[&<>\"']", ESCAPES))
end

return xml
