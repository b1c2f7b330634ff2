--[[
Whose message it is. Addresses that are not of this server become one mark, here and for good: nothing after this file
knows them.
]]

local lua_util = require "lua_util"

local exports = {}

local function new()
  return { users = {}, known = {}, outsiders = false }
end

local function add_user(parties, user)
  if user ~= "" and not parties.known[user] then
    parties.known[user] = true
    table.insert(parties.users, user)
  end
end

local function is_ours(settings, address)
  local domain = address:match("@([^@]+)$")
  return domain ~= nil and settings.local_domains[domain] == true
end

-- The users behind an address of ours: the alias map's, or the address without its tag.
local function users_of(settings, address)
  local found = settings.aliases and settings.aliases:get_key(address)
  if found then
    return lua_util.str_split(found, ", ")
  end
  local person, domain = address:match("^([^@]+)@(.+)$")
  local cut = person and settings.recipient_delimiter and person:find(settings.recipient_delimiter, 2, true)
  return { cut and (person:sub(1, cut - 1) .. "@" .. domain) or address }
end

local function add_address(settings, parties, given)
  local address = (given or ""):lower()
  if not is_ours(settings, address) then
    parties.outsiders = true
    return
  end
  for _, user in ipairs(users_of(settings, address)) do
    add_user(parties, user)
  end
end

local function add_addresses(settings, parties, list)
  for _, each in ipairs(list or {}) do
    add_address(settings, parties, each.addr)
  end
end

-- Who signed in is known. Any other sender counts as a party from elsewhere, and if the address is of ours its user is
-- asked as well: it may be forged, and forging must not open anything.
local function add_sender(settings, parties, task)
  local login = task:get_user()
  if login and login ~= "" then
    if not login:find("@", 1, true) and settings.login_domain then
      login = login .. "@" .. settings.login_domain
    end
    for _, user in ipairs(users_of(settings, login:lower())) do
      add_user(parties, user)
    end
    return
  end
  add_addresses(settings, parties, task:get_from("smtp"))
  parties.outsiders = true
end

-- The users whose message this is: the envelope's recipients that are ours, and its sender.
exports.concerned = function(settings, task)
  local parties = new()
  add_addresses(settings, parties, task:get_recipients("smtp"))
  add_sender(settings, parties, task)
  return parties
end

-- These and everybody the message's own header names: for processings whose party mode looks at the other parties.
exports.named = function(settings, task, concerned)
  local parties = new()
  for _, user in ipairs(concerned.users) do
    add_user(parties, user)
  end
  parties.outsiders = concerned.outsiders
  add_addresses(settings, parties, task:get_recipients("mime"))
  add_addresses(settings, parties, task:get_from("mime"))
  return parties
end

return exports
