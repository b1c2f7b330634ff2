--[[
The settings of local.d/sceau.conf, read once and checked. Raises an error that says what is wrong with them; what they
mean is in the README. Nothing in here looks at a message.
]]

local lua_maps = require "lua_maps"

local PARTY_MODES = { user_only = true, all_local_users = true, all_parties = true }
local SHORTEST_SECRET = 32 -- characters

local function names(text)
  local found = {}
  for name in text:gmatch("%S+") do
    found[name] = true
  end
  return found
end

-- `enabled` is Rspamd's own, of every section.
local KNOWN = names([[
  enabled url key key_file handle_secret handle_secret_file local_domains login_domain recipient_delimiter aliases
  subject_type channel territory timeout symbols processings learning
]])
local KNOWN_OF_PROCESSING = names("party_mode elements symbols exempt")
local KNOWN_OF_LEARNING = names("processing keys issuer audience")

-- A misspelt name would be passed over, and what it should have narrowed would stay as wide as it is by default.
local function no_others(given, known, where)
  for name in pairs(given) do
    assert(known[name], where .. tostring(name) .. " is no setting of this client")
  end
end

local exports = {}

local function secret(options, name)
  local path, text = options[name .. "_file"], options[name]
  if path then
    local file = assert(io.open(path, "r"))
    text = file:read("*a")
    file:close()
  end
  text = type(text) == "string" and text:match("^%s*(%S.-)%s*$")
  return assert(text, name .. " or " .. name .. "_file is not set")
end

local function domains_of(options)
  local domains = {}
  local given = options.local_domains or {}
  for _, domain in ipairs(type(given) == "table" and given or { given }) do
    assert(type(domain) == "string", "local_domains is no list of domains")
    domains[domain] = true
  end
  assert(next(domains), "local_domains is not set: without it no message has users")
  return domains
end

local function processing_of(id, about)
  assert(type(id) == "string" and type(about) == "table" and not about[1], "a processing is set twice, or is no block")
  no_others(about, KNOWN_OF_PROCESSING, id .. ": ")
  local mode = about.party_mode or "user_only"
  assert(PARTY_MODES[mode], "party_mode of " .. id .. " is not user_only, all_local_users or all_parties")
  if about.exempt ~= true then
    assert(type(about.elements) == "table" and #about.elements > 0, "elements of " .. id .. " is not set")
  end
  return { id = id, party_mode = mode, elements = about.elements or {}, exempt = about.exempt == true }
end

local function check_learning(learning, processings)
  no_others(learning, KNOWN_OF_LEARNING, "learning: ")
  assert(processings[learning.processing or ""], "learning.processing is not a processing above")
  for _, name in ipairs({ "keys", "issuer", "audience" }) do
    assert(type(learning[name]) == "string" and learning[name] ~= "", "learning." .. name .. " is not set")
  end
end

-- `asked` is the list of the processings that need an answer, in a fixed order; exempt ones are never asked about.
exports.read = function(options)
  no_others(options, KNOWN, "")
  local settings = {
    url = assert(options.url, "url is not set"):gsub("/+$", ""),
    key = secret(options, "key"),
    handle_secret = secret(options, "handle_secret"),
    local_domains = domains_of(options),
    login_domain = options.login_domain,
    recipient_delimiter = options.recipient_delimiter,
    subject_type = options.subject_type or "user",
    channel = options.channel or "online",
    territory = options.territory,
    timeout = options.timeout or 1.0,
    symbols = options.symbols ~= false,
    processings = {},
    asked = {},
    learning = options.learning,
  }
  assert(settings.url:match("^https?://"), "url does not begin with http:// or https://")
  assert(#settings.handle_secret >= SHORTEST_SECRET, "handle_secret is shorter than 32 characters")
  assert(type(settings.timeout) == "number" and settings.timeout > 0, "timeout is not a time")
  for id, about in pairs(options.processings or {}) do
    local processing = processing_of(id, about)
    settings.processings[id] = processing
    if not processing.exempt then
      table.insert(settings.asked, id)
      settings.looks_at_parties = settings.looks_at_parties or processing.party_mode ~= "user_only"
    end
  end
  table.sort(settings.asked)
  if settings.learning then
    check_learning(settings.learning, settings.processings)
  end
  if options.aliases then
    local map = lua_maps.map_add_from_ucl(options.aliases, "hash", "Sceau: the users of addresses")
    settings.aliases = assert(map, "aliases is no map")
  end
  return settings
end

return exports
