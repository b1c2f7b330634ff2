--[[
Whose message it is. Addresses that are not of this server become one mark, here and for good: nothing after this file
knows them.
]]

local lua_util = require "lua_util"
local rspamd_util = require "rspamd_util"

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

local function lower(text)
  return rspamd_util.lower_utf8(text) or text:lower()
end

-- A domain as DNS has it: `CAFÉ.example` and `xn--caf-dma.example` are one.
local function as_in_dns(task, domain)
  local converted = task:get_resolver():idna_convert_utf8(lower(domain))
  return lower(converted and tostring(converted) or domain)
end

-- An address of ours in one spelling: small letters, and the domain as `local_domains` has it. nil for all others.
local function of_ours(settings, task, address)
  local person, domain = address:match("^(.+)@([^@]+)$")
  if not domain then
    return nil
  end
  if not settings.listed then
    settings.listed = {}
    for listed in pairs(settings.local_domains) do
      settings.listed[as_in_dns(task, listed)] = lower(listed)
    end
  end
  local listed = settings.listed[as_in_dns(task, domain)]
  return listed and lower(person) .. "@" .. listed
end

-- An address without its tag; nil when it has none. As in Postfix, each character of the setting is a delimiter.
local function without_tag(settings, address)
  local person, domain = address:match("^(.+)@([^@]+)$")
  local any = settings.recipient_delimiter and "[" .. settings.recipient_delimiter:gsub("%W", "%%%0") .. "]"
  local cut = person and any and person:find(any, 2)
  return cut and person:sub(1, cut - 1) .. "@" .. domain
end

-- The users behind an address of ours: the alias map's, or the address without its tag. An alias may lead elsewhere.
local function add_users(settings, task, parties, address)
  local bare = without_tag(settings, address)
  local aliases = settings.aliases
  local found = aliases and (aliases:get_key(address) or bare and aliases:get_key(bare))
  if not found then
    add_user(parties, bare or address)
    return
  end
  for _, target in ipairs(lua_util.str_split(found, ", ")) do
    local ours = of_ours(settings, task, target)
    if ours or not target:find("@", 1, true) then
      add_user(parties, ours or target)
    else
      parties.outsiders = true
    end
  end
end

local function add_addresses(settings, task, parties, list)
  for _, each in ipairs(list) do
    local address = of_ours(settings, task, each.addr or "")
    if address then
      add_users(settings, task, parties, address)
    else
      parties.outsiders = true
    end
  end
end

-- The addresses as they came. Rspamd itself cuts `+` tags off before this (EMAIL_PLUS_ALIASES of rules/misc.lua): what
-- it put in their place stands behind them.
local function as_they_came(task, getter, where)
  local all, now = getter(task, { where, "orig" }) or {}, getter(task, where) or {}
  local came = #all > #now and #all - #now or #all
  return { unpack(all, 1, came) }
end

-- Who signed in is known. Any other sender counts as a party from elsewhere. If the envelope's sender is of ours its
-- user is asked as well: somebody may send in another's name, or forge it, and that must not open anything.
local function add_sender(settings, task, parties)
  local login = task:get_user()
  local sender = as_they_came(task, task.get_from, "smtp")
  if not login or login == "" then
    add_addresses(settings, task, parties, sender)
    parties.outsiders = true
    return
  end
  if not login:find("@", 1, true) and settings.login_domain then
    login = login .. "@" .. settings.login_domain
  end
  add_users(settings, task, parties, of_ours(settings, task, login) or lower(login))
  if #sender > 0 and sender[1].addr ~= "" then
    add_addresses(settings, task, parties, sender)
  end
end

-- The users whose message this is: the envelope's recipients that are ours, and its sender. nil when that cannot be
-- told: there is no recipient that Rspamd could read, or one at an address literal, which may be of this machine.
exports.concerned = function(settings, task)
  local parties, recipients = new(), as_they_came(task, task.get_recipients, "smtp")
  for _, each in ipairs(recipients) do
    if (each.addr or ""):find("@[", 1, true) then
      return nil
    end
  end
  if #recipients == 0 then
    return nil
  end
  add_addresses(settings, task, parties, recipients)
  add_sender(settings, task, parties)
  return parties
end

-- These and everybody the message's own header names: for processings whose party mode looks at the other parties.
exports.named = function(settings, task, concerned)
  local parties = new()
  for _, user in ipairs(concerned.users) do
    add_user(parties, user)
  end
  parties.outsiders = concerned.outsiders
  add_addresses(settings, task, parties, as_they_came(task, task.get_recipients, "mime"))
  add_addresses(settings, task, parties, as_they_came(task, task.get_from, "mime"))
  return parties
end

return exports
