--[[
Decision tokens of Sceau: compact JWS signed with Ed25519, verified with Rspamd's own cryptobox.

The signature is checked first, with every key that is published; only then is anything inside read. There is no choice
of algorithm: what Ed25519 does not verify is refused. Nothing in here asks or logs.
]]

local cryptobox = require "rspamd_cryptobox"
local hash = require "rspamd_cryptobox_hash"
local pubkey = require "rspamd_cryptobox_pubkey"
local signature = require "rspamd_cryptobox_signature"
local rspamd_util = require "rspamd_util"
local ucl = require "ucl"

local LONGEST = 4096 -- characters of a token
local LIFETIME = 60 -- seconds that a token may be valid for
local SKEW = 5 -- seconds by which Sceau's clock may be ahead

local exports = {}

-- base64url without padding (RFC 7515, appendix C); nil for anything else.
local function unbase64url(text)
  if not text:match("^[%w_-]+$") or #text % 4 == 1 then
    return nil
  end
  local standard = text:gsub("%-", "+"):gsub("_", "/") .. ("="):rep(-#text % 4)
  local decoded = rspamd_util.decode_base64(standard)
  return decoded and tostring(decoded) or nil
end

local function base64url(bytes)
  return (tostring(rspamd_util.encode_base64(bytes)):gsub("%s", ""):gsub("%+", "-"):gsub("/", "_"):gsub("=", ""))
end

local function read_json(text)
  local parser = ucl.parser()
  local good = text and parser:parse_string(text)
  local found = good and parser:get_object()
  return type(found) == "table" and found or nil
end

-- The Ed25519 keys of a JSON Web Key Set (RFC 7517, RFC 8037).
exports.read_keys = function(text)
  local set, keys = read_json(text), {}
  for _, each in ipairs(set and type(set.keys) == "table" and set.keys or {}) do
    local raw = each.kty == "OKP" and each.crv == "Ed25519" and type(each.x) == "string" and unbase64url(each.x)
    if raw and #raw == 32 then
      keys[#keys + 1] = pubkey.create(tostring(rspamd_util.encode_base32(raw)), "sign")
    end
  end
  return keys
end

local function is_signed(said, signed, keys)
  local raw = unbase64url(signed)
  if not raw or #raw ~= 64 then
    return false
  end
  local held = signature.create(raw)
  for _, key in ipairs(keys or {}) do
    if cryptobox.verify_memory(key, held, said) == true then
      return true
    end
  end
  return false
end

local function is_of_now(claims, now)
  local from, to = tonumber(claims.iat), tonumber(claims.exp)
  return from and to and from - SKEW <= now and now < to and to - from <= LIFETIME
end

local function covers(given, elements)
  local known = {}
  for _, each in ipairs(type(given) == "table" and given or {}) do
    known[each] = true
  end
  for _, each in ipairs(elements) do
    if not known[each] then
      return false
    end
  end
  return true
end

local function sha256(text)
  return base64url(hash.create_specific("sha256", text):bin())
end

-- What a token must be, in order, and what to say of one that is not.
local CHECKS = {
  { "is no decision token", function(head)
    return head.alg == "EdDSA" and head.typ == "sceau-decision+jwt"
  end },
  { "is not of this minute", function(_, claims, _, now)
    return is_of_now(claims, now)
  end },
  { "is for somebody else", function(_, claims, wanted)
    return claims.iss == wanted.issuer and claims.aud == wanted.audience
  end },
  { "has no id", function(_, claims)
    return type(claims.jti) == "string"
  end },
  { "is for another processing", function(_, claims, wanted)
    return claims.processing == wanted.processing and covers(claims.elements, wanted.elements)
  end },
  { "is for another message", function(_, claims, wanted)
    return claims.correspondence_sha256 == sha256(wanted.handle)
  end },
  { "is for another user", function(_, claims, wanted)
    return claims.subject_sha256 == sha256(wanted.handle .. "\n" .. wanted.user)
  end },
}

-- The claims of a token that permits what is wanted, at an instant in seconds of Unix time; else false and why, in words
-- that name nobody. `wanted`: issuer, audience, processing, elements, handle, user. The rules are those of
-- docs/decision-tokens.md of Sceau.
exports.verify = function(token, keys, wanted, now)
  local head, claims, signed = token:match("^([%w_-]+)%.([%w_-]+)%.([%w_-]+)$")
  if not head or #token > LONGEST then
    return false, "sceau: the token is no decision token"
  end
  if not is_signed(head .. "." .. claims, signed, keys) then
    return false, "sceau: the token is not signed by a key that is known"
  end
  local of_head, of_claims = read_json(unbase64url(head)), read_json(unbase64url(claims))
  for _, check in ipairs(CHECKS) do
    if not of_head or not of_claims or not check[2](of_head, of_claims, wanted, now) then
      return false, "sceau: the token " .. check[1]
    end
  end
  return of_claims
end

return exports
