--[[
Sceau for Dovecot: when a message has been delivered into a user's mailbox, ask whether this user allows each processing
of this copy, and hand the copy on to those that may have it.

Loaded by the push-notification driver `lua` in LMTP. The copy is in the mailbox before anything in here runs, so nothing
can keep it from there; whatever goes wrong means that nothing is analysed. Sent to Sceau: the user's id, the processing,
an opaque handle. Never sent anywhere: sender, recipients, subject line, snippet, Message-ID.
]]

local SHORTEST_SECRET = 32 -- characters

local settings, why_not, sceau, hook, act

-- HMAC-SHA-256 (FIPS 180-4, RFC 2104): Dovecot's Lua has no keyed hash of its own. ------------------------------------

local function primes(count)
  local found, candidate = {}, 2
  while #found < count do
    local is_prime = true
    for _, prime in ipairs(found) do
      is_prime = is_prime and candidate % prime ~= 0
    end
    if is_prime then
      found[#found + 1] = candidate
    end
    candidate = candidate + 1
  end
  return found
end

-- The first 32 bits of the fractional part of a root of each of the first primes.
local function roots(count, exponent)
  local words = {}
  for index, prime in ipairs(primes(count)) do
    words[index] = math.floor((prime ^ exponent % 1) * 2 ^ 32)
  end
  return words
end

local K, START = roots(64, 1 / 3), roots(8, 1 / 2)

local function rotate(word, by)
  return ((word >> by) | (word << (32 - by))) & 0xffffffff
end

local function schedule(block)
  local w = { string.unpack(">I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4I4", block) }
  for t = 17, 64 do
    local x, y = w[t - 15], w[t - 2]
    local s0 = rotate(x, 7) ~ rotate(x, 18) ~ (x >> 3)
    local s1 = rotate(y, 17) ~ rotate(y, 19) ~ (y >> 10)
    w[t] = (w[t - 16] + s0 + w[t - 7] + s1) & 0xffffffff
  end
  return w
end

local function compress(state, block)
  local w = schedule(block)
  local a, b, c, d, e, f, g, h = table.unpack(state)
  for t = 1, 64 do
    local s1 = rotate(e, 6) ~ rotate(e, 11) ~ rotate(e, 25)
    local t1 = h + s1 + ((e & f) ~ (~e & g)) + K[t] + w[t]
    local s0 = rotate(a, 2) ~ rotate(a, 13) ~ rotate(a, 22)
    local t2 = s0 + ((a & b) ~ (a & c) ~ (b & c))
    h, g, f, e, d, c, b, a = g, f, e, (d + t1) & 0xffffffff, c, b, a, (t1 + t2) & 0xffffffff
  end
  for index, word in ipairs({ a, b, c, d, e, f, g, h }) do
    state[index] = (state[index] + word) & 0xffffffff
  end
end

local function sha256(text)
  local state = { table.unpack(START) }
  local padded = text .. "\x80" .. ("\0"):rep((55 - #text) % 64) .. string.pack(">I8", 8 * #text)
  for at = 1, #padded, 64 do
    compress(state, padded:sub(at, at + 63))
  end
  return string.pack(">I4I4I4I4I4I4I4I4", table.unpack(state))
end

local function hmac(key, text)
  key = #key > 64 and sha256(key) or key
  local function padded(with)
    return (key .. ("\0"):rep(64 - #key)):gsub(".", function(char)
      return string.char(char:byte() ~ with)
    end)
  end
  local inner, outer = padded(0x36), padded(0x5c)
  return sha256(outer .. sha256(inner .. text))
end

local function hex(bytes)
  return (bytes:gsub(".", function(char)
    return string.format("%02x", char:byte())
  end))
end

-- Settings -----------------------------------------------------------------------------------------------------------

-- A value without the blanks and the line's end that a file may have around it.
local function trimmed(text)
  return (text or ""):match("^%s*(.-)%s*$")
end

-- One try, one limit: what Dovecot would take for itself is a minute. The calls of one copy come one after the other and
-- share the time, each an equal part, so that together they take no longer than the setting says.
local function http_client(name, given, calls)
  local number, unit = trimmed(given or "1s"):match("^(%d+)%s*(m?s)$")
  assert(number, name .. " is no number of s or ms")
  local all = tonumber(number) * (unit == "s" and 1000 or 1)
  local timeout = math.max(1, all // math.max(1, calls)) .. "ms"
  return dovecot.http.client({
    connect_timeout = timeout,
    request_timeout = timeout,
    request_absolute_timeout = timeout,
    request_max_attempts = 1,
    max_connect_attempts = 1,
    request_max_redirects = 0,
    user_agent = "sceau-dovecot",
  })
end

local KNOWN = {
  sceau_url = true, sceau_key = true, sceau_handle_secret = true, sceau_processings = true, sceau_subject_type = true,
  sceau_timeout = true, sceau_hook_url = true, sceau_hook_timeout = true, sceau_action_file = true,
}

local function read(given)
  for name in pairs(given) do
    assert(KNOWN[name] or not name:match("^sceau_"), tostring(name) .. " is no setting of this script")
  end
  local found = { url = trimmed(given.sceau_url):gsub("/+$", ""), key = trimmed(given.sceau_key), processings = {} }
  found.secret = trimmed(given.sceau_handle_secret)
  assert(found.url:match("^https?://"), "sceau_url is not set, or does not begin with http:// or https://")
  -- Dovecot kills the delivery when a header has a line's end in it.
  assert(found.key:match("^[%w_.~+/=-]+$"), "sceau_key is not set, or is no key")
  assert(#found.secret >= SHORTEST_SECRET, "sceau_handle_secret is not set, or is shorter than 32 characters")
  for name in (given.sceau_processings or ""):gmatch("[^%s,]+") do
    table.insert(found.processings, name)
  end
  assert(#found.processings > 0, "sceau_processings is not set")
  found.subject_type = given.sceau_subject_type or "user"
  sceau = http_client("sceau_timeout", given.sceau_timeout, #found.processings)
  if given.sceau_hook_url then
    hook = { url = given.sceau_hook_url, client = http_client("sceau_hook_timeout", given.sceau_hook_timeout, #found.processings) }
  end
  if given.sceau_action_file then
    act = assert(loadfile(given.sceau_action_file))()
  end
  return found
end

-- Never fails: a driver that does not start would keep the message from being delivered.
function script_init(given)
  local ran, found = pcall(read, given or {})
  if ran then
    settings = found
  else
    why_not = tostring(found)
  end
  return 0
end

-- Asking -------------------------------------------------------------------------------------------------------------

local function quoted(text)
  return '"' .. tostring(text):gsub('[%c"\\]', function(char)
    return string.format("\\u%04x", char:byte())
  end) .. '"'
end

-- 128 bits that tell nobody which message this is: a keyed hash of what Dovecot calls this copy.
local function handle_of(user, event)
  local name = string.format("%s\n%s\n%d\n%d", user, event.mailbox, event.uid_validity, event.uid)
  return hex(hmac(settings.secret, "dovecot\n" .. name)):sub(1, 32)
end

local function post(client, url, headers, body)
  local request = client:request({ url = url, method = "POST" })
  request:add_header("Content-Type", "application/json")
  for name, value in pairs(headers) do
    request:add_header(name, value)
  end
  request:set_payload(body)
  return request:submit()
end

-- permit, deny, or nothing when there was no answer that can be used.
local function ask(user, processing, handle)
  local body = string.format(
    '{"subject":{"type":%s,"id":%s},"action":{"name":%s},"resource":{"type":"correspondence","id":%s}}',
    quoted(settings.subject_type), quoted(user), quoted(processing), quoted(handle)
  )
  local headers = { Accept = "text/plain", Authorization = "Bearer " .. settings.key }
  local response = post(sceau, settings.url .. "/access/v1/evaluation", headers, body)
  local status, word = response:status(), response:payload()
  -- An answer that broke off in the middle has a status too, and a longer length than what came.
  local whole = tonumber(response:header("Content-Length")) == #word
  if status == 200 and whole and (word == "permit" or word == "deny") then
    return word
  end
  -- From 9000 on it is Dovecot's own status of a request that got no answer.
  return nil, status < 9000 and string.format("status %d", status) or tostring(response:reason())
end

-- The copy is handed on by its place in the mailbox; whoever analyses it reads it there.
local function hand_on(ctx, processing, event)
  if act then
    act(ctx.user, processing, event)
  end
  if hook then
    local body = string.format(
      '{"processing":%s,"user":%s,"mailbox":%s,"uid_validity":%d,"uid":%d}',
      quoted(processing), quoted(ctx.name), quoted(event.mailbox), event.uid_validity, event.uid
    )
    local status = post(hook.client, hook.url, {}, body):status()
    if status // 100 ~= 2 then
      error(string.format("the hook answered status %d", status))
    end
  end
end

local function treat(ctx, event)
  local handle = handle_of(ctx.name, event)
  local permitted = {}
  for _, processing in ipairs(settings.processings) do
    local word, why = ask(ctx.name, processing, handle)
    if not word then
      -- Nor will the next question be answered.
      dovecot.i_warning("sceau: no usable answer (" .. why .. "): " .. processing .. " and what follows is not analysed")
      break
    end
    if word == "permit" then
      table.insert(permitted, processing)
    end
  end
  for _, processing in ipairs(permitted) do
    local ran, failure = pcall(hand_on, ctx, processing, event)
    if not ran then
      dovecot.i_warning("sceau: " .. processing .. ": not handed on: " .. tostring(failure))
    end
  end
end

function dovecot_lua_notify_begin_txn(user)
  return { user = user, name = user.username }
end

function dovecot_lua_notify_event_message_new(ctx, event)
  if not settings then
    dovecot.i_error("sceau: " .. tostring(why_not) .. ": nothing is analysed")
    return
  end
  local ran, failure = pcall(treat, ctx, event)
  if not ran then
    dovecot.i_error("sceau: " .. tostring(failure) .. ": nothing is analysed")
  end
end

-- Must exist: without it Dovecot logs an error for each message.
function dovecot_lua_notify_end_txn()
end
