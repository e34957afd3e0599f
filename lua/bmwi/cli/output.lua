-- bmwi.cli.output: all output. Results go to standard output (or --output), progress and errors to
-- standard error. Text from the server is cleaned before it is shown, so that it cannot control the
-- terminal.

local bmwi = require "bmwi"
local fail = require "bmwi.cli.fail"
local layout = require "bmwi.cli.layout"

local output = {}

local Output = {}
Output.__index = Output

local PAINT = { bold = "\27[1m", dim = "\27[2m", red = "\27[31m", green = "\27[32m",
  yellow = "\27[33m" }

-- Control characters, C1 and those that change the direction of text in UTF-8.
local CONTROLS = { "[%z\1-\31\127]", "\194[\128-\159]", "\226\128[\142\143\170-\174]",
  "\226\129[\166-\169]" }

--- Makes text safe for a terminal: control characters become "?".
---@param value any
---@return string text
function output.clean(value)
  local text = tostring(value)
  if text:find("^[ -~]*$") then return text end -- the most common, and the fastest to find out
  for _, controls in ipairs(CONTROLS) do text = text:gsub(controls, "?") end
  return text
end

local width, pad = layout.width, layout.pad

--- The output of this run.
---@param options table the flags
---@return table output
function output.new(options)
  local no_color, term = os.getenv("NO_COLOR"), os.getenv("TERM")
  local dumb = term == nil or term == "" or term == "dumb"
  local plain = options["no-color"] or dumb or (no_color ~= nil and no_color ~= "")
  return setmetatable({
    json = options.json or false,
    -- With JSON, standard error contains nothing but the error, as JSON.
    quiet = options.quiet or (options.json and not bmwi._sys.isatty(2)) or false,
    file = options.output,
    tty_out = bmwi._sys.isatty(1), tty_err = bmwi._sys.isatty(2),
    can_ask = bmwi._sys.isatty(0) and bmwi._sys.isatty(2), -- a user is there to answer
    color_out = not plain and not options.output and bmwi._sys.isatty(1),
    color_err = not plain and bmwi._sys.isatty(2),
    one_line = not dumb and bmwi._sys.isatty(2),
    screen = not options.output and bmwi._sys.columns() or nil, -- columns of the terminal
    parts = {},
  }, Output)
end

--- Colours a text of the result, if colours are enabled.
function Output:paint(kind, text)
  if not self.color_out then return text end
  return PAINT[kind] .. text .. "\27[0m"
end

--- Writes bytes of the result.
function Output:write(bytes)
  if self.file then
    self.parts[#self.parts + 1] = bytes
    return
  end
  self:progress_end()
  local written, message = io.stdout:write(bytes)
  if not written then fail.raise("cannot write the result: " .. tostring(message), "file") end
end

--- Writes one line of the result.
function Output:line(text)
  self:write((text or "") .. "\n")
end

--- Flushes what was written; raises a failure if that is impossible.
function Output:flush()
  self:progress_end()
  local flushed, message = io.stdout:flush()
  if not flushed then fail.raise("cannot write the result: " .. tostring(message), "file") end
end

--- Finishes the result: writes the file of --output, or flushes.
function Output:finish()
  self:progress_end()
  if self.file then
    local handle, message = io.open(self.file, "wb")
    if not handle then fail.raise("cannot write " .. message, "file") end
    local written, problem = handle:write(table.concat(self.parts))
    local closed, late = handle:close()
    if not written or not closed then
      fail.raise(("cannot write %s: %s"):format(self.file, problem or late), "file")
    end
    self:remark("Written to " .. self.file)
    return
  end
  self:flush()
end

--- The result as JSON.
---@param value any
function Output:document(value)
  self:line(bmwi._sys.json(value, self.tty_out or self.file ~= nil))
end

--- A heading.
function Output:heading(text)
  self:line(self:paint("bold", output.clean(text)))
end

--- Lines of label and value, with aligned values. On a terminal, long values are wrapped below
--- themselves.
---@param rows table[] each {label, value[, paint]}
---@param indent? string
function Output:pairs(rows, indent)
  local widest = 0
  for _, row in ipairs(rows) do widest = math.max(widest, width(row[1])) end
  for _, row in ipairs(rows) do
    local label, value = (indent or "") .. pad(row[1], widest + 2), output.clean(row[2])
    if self.screen then value = layout.hang(label, value, self.screen):sub(#label + 1) end
    self:line(label .. (row[3] and self:paint(row[3], value) or value))
  end
end

-- A table as it is shown: the cells of its lines, those of the heads as line 0; the width of each
-- column; and the total, with two spaces between columns.
local function measured(heads, rows)
  local lines, widest, total = {}, {}, 2 * (#heads - 1)
  for y = 0, #rows do
    local row, cells = rows[y] or heads, {}
    for x = 1, #heads do
      cells[x] = output.clean(row[x])
      widest[x] = math.max(widest[x] or 0, width(cells[x]))
    end
    lines[y] = cells
  end
  for _, columns in ipairs(widest) do total = total + columns end
  return lines, widest, total
end

-- A row as one line per cell, below its first cell: for a narrow terminal.
local function record(self, heads, row, indent)
  local pairs_of_row = {}
  for i = 2, #heads do pairs_of_row[#pairs_of_row + 1] = { heads[i], row[i] or "", row.paint } end
  self:line(indent .. self:paint(row.paint or "bold", output.clean(row[1])))
  self:pairs(pairs_of_row, indent .. "  ")
end

--- A table with a header line.
---@param heads string[]
---@param rows table[] arrays of cells; `paint` colours the whole row
---@param indent? string
function Output:columns(heads, rows, indent)
  indent = indent or ""
  local lines, widest, total = measured(heads, rows)
  if self.screen and #indent + total > self.screen then
    for _, row in ipairs(rows) do record(self, heads, row, indent) end
    return
  end
  for y = 0, #rows do
    local cells, paint = lines[y], y == 0 and "bold" or rows[y].paint
    for x = 1, #heads - 1 do cells[x] = pad(cells[x], widest[x]) end
    local line = indent .. table.concat(cells, "  ")
    self:line(paint and self:paint(paint, line) or line)
  end
end

--- A remark for the user, on standard error; nothing with --quiet.
---@param text string
---@param hint? string what to do, on a line of its own
function Output:remark(text, hint)
  if not self.quiet then self:warn(text, hint) end
end

--- The same, whatever was asked for.
function Output:warn(text, hint)
  self:progress_end()
  io.stdout:flush()
  io.stderr:write(output.clean(text), "\n")
  if hint then io.stderr:write("  ", output.clean(hint), "\n") end
end

--- Shows a command's progress: one changing line on a terminal, otherwise plain lines.
---@param text string
---@param seconds? number since it started; shown on a terminal
function Output:progress(text, seconds)
  if self.quiet then return end
  text = output.clean(text)
  io.stdout:flush() -- earlier output comes first
  if self.one_line then
    io.stderr:write("\r\27[K", text, seconds and (" (%.0f s)"):format(seconds) or "")
    self.open_line = true
  elseif text ~= self.last_progress then
    io.stderr:write(text, "\n")
  end
  self.last_progress = text
  io.stderr:flush()
end

--- Shows on a terminal that the program is busy; nothing otherwise.
function Output:busy(text)
  if self.one_line then self:progress(text) end
end

--- Removes the progress line, and ends the line of an unanswered question.
function Output:progress_end()
  if self.asking then
    io.stderr:write("\n")
    self.asking = false
  end
  if self.open_line then
    io.stderr:write("\r\27[K")
    self.open_line = false
  end
end

--- Asks for a line on the terminal.
---@param question string including its final blank
---@return string|nil answer without surrounding blanks
function Output:ask(question)
  self:progress_end()
  io.stdout:flush()
  io.stderr:write(output.clean(question))
  io.stderr:flush()
  self.asking = true
  local answer = io.stdin:read("*l")
  self.asking = answer == nil
  answer = answer and answer:match("^%s*(.-)%s*$")
  return answer ~= "" and answer or nil
end

--- Asks a yes-or-no question on the terminal. Only "y" or "yes" is a yes.
function Output:confirm(question)
  local answer = (self:ask(question .. " [y/N] ") or ""):lower()
  return answer == "y" or answer == "yes"
end

return output
