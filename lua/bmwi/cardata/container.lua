--- bmwi's container: the one that it creates, and uses for all cars, programs and runs. Containers
--- are BMW's lists of descriptors, which are required to read values; an account has at most ten,
--- and each call counts. It is found again by its name and its purpose, which is the version of the
--- list.

local bmwi = require "bmwi"
local call = require "bmwi.cardata.call"

local container = { NAME = "bmwi" }

--- The list needed from BMW: the descriptors of a status and those of the option, sorted.
function container.plan(client, store)
  local seen, wanted = {}, {}
  for _, list in ipairs { bmwi._values.descriptors(), call.account(client).descriptors or {} } do
    for _, descriptor in ipairs(list) do
      if not seen[descriptor] then wanted[#wanted + 1] = descriptor end
      seen[descriptor] = true
    end
  end
  table.sort(wanted)
  return { client = client, store = store, wanted = wanted, calls = 0,
    version = bmwi._values.version(table.concat(wanted, "\n")) }
end

--- The id saved in the account, if it is the planned container's.
function container.known(work, bad)
  local kept, message, code, info = work.store:_container()
  if kept and kept.name == container.NAME and kept.version == work.version and kept.id ~= bad then
    return kept.id
  end
  return nil, message, code, info
end

return container
