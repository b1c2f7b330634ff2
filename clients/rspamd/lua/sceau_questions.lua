--[[
What Sceau is asked: one batch of AuthZEN questions for a message, its users times the processings. Holds the users'
ids and opaque handles, and nothing else of the message.
]]

local hash = require "rspamd_cryptobox_hash"

local OUTSIDER = "outsider" -- stands for every party from elsewhere
local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\" }

local exports = {}

local function quoted(text)
  local escaped = tostring(text):gsub('[%c"\\]', function(char)
    return ESCAPES[char] or string.format("\\u%04x", char:byte())
  end)
  return '"' .. escaped .. '"'
end

local function listed(items)
  return "[" .. table.concat(items, ",") .. "]"
end

-- 128 bits that tell nobody which message this is: a keyed hash of the user and of what the message is called here, so
-- that the handles of two users of one message have nothing in common. `kind` keeps two uses of a name apart.
exports.handle = function(settings, kind, user, name)
  local said = table.concat({ kind, user, name }, "\n")
  return hash.create_specific_keyed(settings.handle_secret, "sha256", said):hex():sub(1, 32)
end

-- An outsider is told of whatever the mode: should the register's be stricter than the one set here, it still counts.
local function participants(user, named)
  local others = {}
  for _, other in ipairs(named.users) do
    if other ~= user then
      table.insert(others, '{"id":' .. quoted(other) .. ',"local":true}')
    end
  end
  if named.outsiders then
    table.insert(others, '{"id":' .. quoted(OUTSIDER) .. ',"local":false}')
  end
  return listed(others)
end

local function question(settings, processing, user, named, handle)
  local elements, resource = {}, { '"channel":' .. quoted(settings.channel) }
  for _, element in ipairs(processing.elements) do
    table.insert(elements, quoted(element))
  end
  if settings.territory then
    table.insert(resource, '"territory":' .. quoted(settings.territory))
  end
  if processing.party_mode ~= "user_only" then
    table.insert(resource, '"participants":' .. participants(user, named))
  end
  return table.concat({
    '{"subject":{"type":', quoted(settings.subject_type), ',"id":', quoted(user),
    '},"action":{"name":', quoted(processing.id), ',"properties":{"elements":', listed(elements),
    '}},"resource":{"type":"correspondence","id":', quoted(handle),
    ',"properties":{', table.concat(resource, ","), "}}}",
  })
end

-- The body of the request, and which processing each of its items is about. `named` is needed where some processing
-- looks at the other parties.
exports.batch = function(settings, concerned, named, name)
  local questions, asked = {}, {}
  for _, user in ipairs(concerned.users) do
    local handle = exports.handle(settings, "scan", user, name)
    for _, id in ipairs(settings.asked) do
      table.insert(questions, question(settings, settings.processings[id], user, named, handle))
      table.insert(asked, id)
    end
  end
  return '{"evaluations":' .. listed(questions) .. "}", asked
end

return exports
