-- bmwi.bridge.homeassistant: MQTT discovery. A retained message for each car describes the device
-- and all its entities to Home Assistant (2024.11 or later).

local bmwi = require "bmwi"
local commands = require "bmwi.bridge.commands"
local members = require "bmwi.bridge.members"
local sorted_names = require "bmwi._names"
local topics = require "bmwi.bridge.topics"

local homeassistant = {}

local PREFIX = "homeassistant"

-- The commands that get buttons. Unlocking has none: it must take more than a tap.
local BUTTONS = {
  { command = "lock", label = "Lock doors", icon = "mdi:lock" },
  { command = "flash", label = "Flash lights", icon = "mdi:car-light-high" },
  { command = "horn", label = "Blow horn", icon = "mdi:bugle" },
  { command = "climate", label = "Start climate", icon = "mdi:air-conditioner" },
  { command = "charge", label = "Charge now", icon = "mdi:ev-station" },
  { command = "find", label = "Find car", icon = "mdi:map-marker-question" },
}

--- The topic of a car's discovery message.
function homeassistant.topic(vin)
  return ("%s/device/%s/config"):format(PREFIX, topics.id(vin))
end

-- What the services call BMW's brand of electric cars; the classic one writes I3 +REX, too.
local ELECTRIC = { BMW_I = true, BMWi = true }

local function quoted(words)
  local list = {}
  for i, word in ipairs(words) do list[i] = "'" .. word .. "'" end
  return "[" .. table.concat(list, ", ") .. "]"
end

-- A template that reads an entity's state from the JSON of the whole status; Home Assistant
-- interprets `none` as unknown.
local function template(row)
  local value = "value_json." .. row.member
  if row.template then return row.template end
  local state = "'ON' if " .. value .. " else 'OFF'"
  if row.ha.platform == "sensor" then
    state = value
  elseif row.off then
    state = ("'OFF' if %s in %s else 'ON'"):format(value, quoted(sorted_names(row.off)))
  elseif row.on then
    state = ("'ON' if %s in %s else 'OFF'"):format(value, quoted(sorted_names(row.on)))
  end
  return ("{{ none if %s | default('INVALID') in %s else (%s) }}"):format(value,
    quoted(sorted_names(members.NO_VALUE)), state)
end

-- Home Assistant reads a tracker's position from its attributes.
local TRACKER = "{{ {'latitude': value_json.lat, 'longitude': value_json.lon, "
  .. "'heading': value_json.heading | default(none)} | tojson }}"

local function component(row, vin)
  local entity = { name = row.label, p = row.ha.platform,
    unique_id = ("%s_%s_%s"):format(topics.id(vin), row.member, row.ha.platform) }
  for name, value in pairs(row.ha) do
    if name ~= "platform" then entity[name] = value end
  end
  if row.ha.platform == "device_tracker" then
    entity.json_attributes_topic = topics.member(vin, row.member)
    entity.json_attributes_template = TRACKER
  else
    entity.state_topic = topics.status(vin)
    entity.value_template = template(row)
  end
  return entity
end

local function has_position(value)
  return type(value) == "table" and value.lat ~= nil and value.lon ~= nil
end

-- Whether the car is known to have this.
local function is_known(row, status)
  local value = status[row.member]
  if row.member == "position" then return has_position(value) end
  return value ~= nil and value ~= "INVALID"
end

local function add_buttons(components, vin, vehicle)
  for _, button in ipairs(BUTTONS) do
    if commands.takes(vehicle, button.command) then
      components["command_" .. button.command] = { p = "button", name = button.label,
        icon = button.icon, unique_id = ("%s_command_%s"):format(topics.id(vin), button.command),
        command_topic = topics.command(vin), payload_press = button.command, qos = 0 }
    end
  end
end

--- A car's discovery message, with an entity for each member that the car has reported so far.
---@param vehicle table the car's entry in client:vehicles(), at least its vin
---@param status table every member reported so far; new members need a new message
---@param options {commands:boolean|nil} whether to add buttons
---@return string json
function homeassistant.discovery(vehicle, status, options)
  local vin, components = vehicle.vin, {}
  for _, row in ipairs(members.ROWS) do
    if is_known(row, status) then
      components[row.member .. "_" .. row.ha.platform] = component(row, vin)
    end
  end
  components.reported = { p = "sensor", name = "Last reported", device_class = "timestamp",
    entity_category = "diagnostic", unique_id = topics.id(vin) .. "_reported",
    state_topic = topics.times(vin),
    value_template = "{{ (value_json.values() | max | as_datetime) if value_json else none }}" }
  if options.commands then add_buttons(components, vin, vehicle) end
  local model = type(vehicle.model) == "string" and vehicle.model or nil
  local brand = type(vehicle.brand) == "string" and vehicle.brand or "BMW"
  if ELECTRIC[brand] then
    brand, model = "BMW", model and model:gsub("^I(%d)", "i%1")
  end
  return bmwi._sys.json({
    dev = { ids = { topics.id(vin) }, name = model and brand .. " " .. model or brand .. " " .. vin,
      mf = brand, mdl = model, sn = vin },
    o = { name = "bmwi", sw = bmwi._VERSION },
    availability = { { topic = topics.AVAILABILITY } },
    qos = 1,
    cmps = components,
  })
end

return homeassistant
