-- bmwi.cli.programs: finds programs that the command line can use.

local programs = {}

--- Whether a file can be read.
function programs.exists(path)
  local handle = io.open(path, "rb")
  if handle then handle:close() end
  return handle ~= nil
end

--- The path of a program found in PATH, or nil.
function programs.in_path(name)
  for folder in (os.getenv("PATH") or ""):gmatch("[^:]+") do
    if programs.exists(folder .. "/" .. name) then return folder .. "/" .. name end
  end
end

--- A word as the shell reads it back.
function programs.quoted(word) return "'" .. word:gsub("'", "'\\''") .. "'" end

return programs
