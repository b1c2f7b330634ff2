--[[
What Sceau's answers amount to for a message: permit only when every user permitted. Pure: tables in, tables out.
]]

local ucl = require "ucl"

local exports = {}

-- Reasons for which a processing is denied to everybody: what is set here and what the register holds do not fit.
local MISFITS = {
  unknown_processing = "Sceau's register does not hold it",
  undeclared_element = "elements names what the register does not declare for it",
  processing_suspended = "the register has it suspended, retired, not approved or not begun",
  purpose_not_permitted = "nobody can consent to the purpose that the register has for it",
  channel_not_covered = "the channel is none of those that its purpose covers",
  not_applicable = "territory is one where the article does not apply",
  human_access = "the register does not have it as automated",
}

-- One user's answer joins those of the others: a deny overrides all, and what is no answer overrides a permit.
local function join(verdict, item)
  local is_item = type(item) == "table"
  local context = is_item and type(item.context) == "table" and item.context or {}
  if not is_item or type(item.decision) ~= "boolean" or context.error then
    verdict.word = verdict.word == "deny" and "deny" or "unknown"
  elseif not item.decision then
    verdict.word = "deny"
  end
  if MISFITS[context.reason] then
    verdict.misfit = string.format("%s: %s", context.reason, MISFITS[context.reason])
  elseif type(context.error) == "table" and tonumber(context.error.status) then
    verdict.misfit = string.format("error %d: the key may not ask about it, or the question is malformed", context.error.status)
  end
  if type(context.valid_until) == "string" then
    local ends = context.valid_until:sub(1, 19)
    verdict.ends = verdict.ends and verdict.ends < ends and verdict.ends or ends
  end
end

-- A verdict for each processing, from the body of an answer to as many questions; nil when it is none.
exports.read = function(body, asked)
  local parser = ucl.parser()
  local answer = parser:parse_string(tostring(body or "")) and parser:get_object()
  local items = type(answer) == "table" and answer.evaluations
  if type(items) ~= "table" or #asked == 0 or #items ~= #asked then
    return nil
  end
  local verdicts = {}
  for index, processing in ipairs(asked) do
    verdicts[processing] = verdicts[processing] or { word = "permit" }
    join(verdicts[processing], items[index])
  end
  return verdicts
end

-- The word of a problem document, for the log: nil where a body is none.
exports.problem = function(body)
  local parser = ucl.parser()
  local answer = parser:parse_string(tostring(body or "")) and parser:get_object()
  local kind = type(answer) == "table" and answer.type
  return type(kind) == "string" and kind:match("^urn:sceau:problem:([%a-]+)$") or nil
end

-- The verdicts when nobody answered.
exports.unknown = function(asked)
  local verdicts = {}
  for _, processing in ipairs(asked) do
    verdicts[processing] = { word = "unknown" }
  end
  return verdicts
end

-- Whether a verdict allows the analysis at an instant (seconds of Unix time): it permits, and still stands.
exports.allows = function(verdict, now)
  if not verdict or verdict.word ~= "permit" then
    return false
  end
  return not verdict.ends or os.date("!%Y-%m-%dT%H:%M:%S", now) < verdict.ends
end

return exports
