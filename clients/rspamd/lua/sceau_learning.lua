--[[
Whether a message may be learned. In a scan the prefilter has asked. What comes through the controller passes no
prefilter, and nothing can be asked meanwhile: who has it learned has asked, and brings Sceau's signed answer for this
user, these very bytes, and what they are to be learned as. Whatever goes wrong in here is a refusal: the caller is `pcall`.
]]

local can_learn = require("lua_bayes_learn").can_learn
local hash = require "rspamd_cryptobox_hash"
local questions = require "sceau_questions"
local rspamd_util = require "rspamd_util"
local tokens = require "sceau_tokens"

local exports = {}

-- Which tokens this process has taken, by `jti`: until when they live, and for which scan.
local taken = {}

-- Whether a token is used for the first time. One scan may come here once for each classifier.
local function is_first_use(task, claims, now)
  for id, use in pairs(taken) do
    if use.ends <= now then
      taken[id] = nil
    end
  end
  local use = taken[claims.jti] or { ends = tonumber(claims.exp), scan = task:get_uid() }
  taken[claims.jti] = use
  return use.scan == task:get_uid()
end

-- Keep the public keys at `learning.keys` (a URL or a file) as they are now; Rspamd looks again at its own interval.
exports.fetch_keys = function(settings)
  local learning = settings.learning
  if not learning or not learning.keys then
    return
  end
  learning.keys_now = {}
  rspamd_config:add_map({
    type = "callback",
    url = learning.keys,
    description = "Sceau: public keys of decision tokens",
    callback = function(text)
      learning.keys_now = tokens.read_keys(tostring(text))
    end,
  })
end

local function header(task, name)
  local value = task:get_request_header(name)
  return value and tostring(value)
end

local function token_allows(settings, task, is_spam)
  local learning, token, user = settings.learning, header(task, "Sceau-Decision-Token"), header(task, "Sceau-User")
  if not token or not user then
    return false, "sceau: no decision token"
  end
  local digest = hash.create_specific("sha256", task:get_content()):hex()
  local wanted = {
    issuer = learning.issuer,
    audience = learning.audience,
    processing = learning.processing,
    elements = settings.processings[learning.processing].elements,
    user = user,
    handle = questions.handle(settings, is_spam and "learn-spam" or "learn-ham", user, digest),
  }
  local now = rspamd_util.get_time()
  local claims, why = tokens.verify(token, learning.keys_now, wanted, now)
  if claims and is_first_use(task, claims, now) then
    return true
  end
  return false, why or "sceau: the token was used before"
end

-- `of_scan` tells whether this scan's answer allows it, and whether there is one.
exports.gate = function(settings, of_scan)
  return function(task, is_spam, is_unlearn)
    if not settings.learning then
      return false, "sceau: no processing is set for learning"
    end
    local stock, why = can_learn(task, is_spam, is_unlearn)
    if stock ~= true then
      return false, why
    end
    local allowed, asked = of_scan(task)
    if allowed then
      return true
    end
    if asked then
      return false, "sceau: not every user permits it"
    end
    return token_allows(settings, task, is_spam)
  end
end

return exports
