--- The mock servers of spec/contract/run: what BMW's OpenAPI file describes, and what a mock server
--- says in its log of the requests that it has received.
local helper = require "spec.helper"

local mock = {}

local METHODS = { get = true, post = true, put = true, delete = true, patch = true }

--- The operations of the file: array of {name = "GET /path/{id}", method, path, query (the names
--- that it requires), answers (array of status codes)}.
function mock.operations()
  local file = helper.json.decode(assert(helper.read(os.getenv "BMWI_OPENAPI")))
  local list = {}
  for path, methods in pairs(file.paths) do
    for method, operation in pairs(methods) do
      if METHODS[method] then
        local found = { name = method:upper() .. " " .. path, method = method, path = path,
          query = {}, answers = helper.names(operation.responses) }
        for _, parameter in ipairs(operation.parameters or {}) do
          if parameter["in"] == "query" and parameter.required then
            found.query[#found.query + 1] = parameter
          end
        end
        list[#list + 1] = found
      end
    end
  end
  table.sort(list, function(a, b) return a.name < b.name end)
  return list
end

-- The operation of a request, else the request itself.
local function operation_of(operations, request)
  for _, operation in ipairs(operations) do
    local pattern = operation.name:gsub("[%-.]", "%%%0"):gsub("{[^}]*}", "[^/]+")
    if request:find("^" .. pattern .. "$") then return operation.name end
  end
  return request
end

--- A mock server by the name of its log.
---@param name string "examples" or "random"
---@return table server url; seen(): the names of the operations requested since the last time, each
--- once, and what the mock server found wrong with a request
function mock.server(name)
  local server = { url = os.getenv("BMWI_MOCK_" .. name:upper()) }
  local path, operations, read = ("build/contract/%s.log"):format(name), mock.operations(), 0
  function server.seen()
    local text = helper.read(path):sub(read + 1)
    read = read + #text
    local names, wrong = {}, {}
    for line in text:gmatch("[^\n]+") do
      local method, target = line:match("%[HTTP SERVER%] (%l+) (%S+).*Request received")
      if method then names[operation_of(operations, method:upper() .. " " .. target)] = true end
      local what = line:match("Violation: (request.*)") or line:match("ROUTING.*")
      if what then wrong[#wrong + 1] = what end
    end
    return helper.names(names), wrong
  end
  return server
end

return mock
