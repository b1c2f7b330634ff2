--[[
Whether a message may be learned. In a scan the prefilter has asked. What comes through the controller passes no
prefilter, and nothing can be asked meanwhile: who has it learned has asked, and brings Sceau's signed answer for this
user and these very bytes. Whatever goes wrong in here is a refusal: the caller is `pcall`.
]]

local can_learn = require("lua_bayes_learn").can_learn
local hash = require "rspamd_cryptobox_hash"
local questions = require "sceau_questions"
local rspamd_util = require "rspamd_util"
local tokens = require "sceau_tokens"

local exports = {}

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

local function token_allows(settings, task)
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
    handle = questions.handle(settings, "learn", user, digest),
  }
  return tokens.verify(token, learning.keys_now, wanted, rspamd_util.get_time())
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
    return token_allows(settings, task)
  end
end

return exports
