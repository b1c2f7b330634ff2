--[[
The client itself: a prefilter that sends one request for each message and keeps the answer with the task, where the
gates read it. Logs no identifiers, never sets an action, and remembers nothing from one message for the next.
]]

local answers = require "sceau_answers"
local learning = require "sceau_learning"
local parties = require "sceau_parties"
local questions = require "sceau_questions"
local read_settings = require("sceau_settings").read
local rspamd_http = require "rspamd_http"
local rspamd_logger = require "rspamd_logger"
local rspamd_util = require "rspamd_util"

local N = "sceau"
local MAX_ITEMS = 1000 -- of one batch

local exports = {}

local function keep(settings, task, verdicts)
  task:cache_set(N, verdicts)
  if settings.symbols then
    for processing, verdict in pairs(verdicts) do
      task:insert_result("SCEAU_" .. verdict.word:upper(), 1.0, processing)
    end
  end
end

-- Each misfit once in each worker: it is the same for every message until somebody mends it.
local told = {}

local function tell_misfits(task, verdicts)
  for processing, verdict in pairs(verdicts) do
    local misfit = verdict.misfit and string.format("%s is denied to everybody (%s)", processing, verdict.misfit)
    if misfit and not told[misfit] then
      told[misfit] = true
      rspamd_logger.errx(task, "%s: %s", N, misfit)
    end
  end
end

local function keep_unknown(settings, task, why)
  rspamd_logger.warnx(task, "%s: no usable answer (%s): nothing is analysed", N, why)
  keep(settings, task, answers.unknown(settings.asked))
end

-- What this server calls the message: the queue's id, the sender's and the scan's own, whichever there are.
local function name_of(task)
  return table.concat({ task:get_queue_id() or "", task:get_message_id() or "", task:get_uid() }, "\n")
end

-- Without a user there is no question, and nobody who could have permitted anything.
local function ask(settings, task)
  local concerned = parties.concerned(settings, task)
  if not concerned or #concerned.users == 0 or #settings.asked == 0 then
    return
  end
  local named = settings.looks_at_parties and parties.named(settings, task, concerned)
  local body, asked = questions.batch(settings, concerned, named, name_of(task))
  if #asked > MAX_ITEMS then
    keep_unknown(settings, task, "too many users for one request")
    return
  end
  local sent = rspamd_http.request({
    task = task,
    url = settings.url .. "/access/v1/evaluations",
    method = "post",
    mime_type = "application/json",
    headers = { Authorization = "Bearer " .. settings.key },
    body = body,
    timeout = settings.timeout,
    keepalive = true,
    callback = function(failure, code, said)
      local verdicts = not failure and code == 200 and answers.read(said, asked)
      if verdicts then
        tell_misfits(task, verdicts)
        keep(settings, task, verdicts)
      else
        keep_unknown(settings, task, failure or table.concat({ "status " .. tostring(code), answers.problem(said) }, ", "))
      end
    end,
  })
  if not sent then
    keep_unknown(settings, task, "it could not be asked")
  end
end

-- Put the real gates in the place of the shut ones.
local function open(settings, gates)
  gates.may = function(task, id)
    local processing = settings.processings[id]
    if not processing then
      return false
    end
    if processing.exempt then
      return true
    end
    local verdicts = task:cache_get(N)
    return answers.allows(verdicts and verdicts[id], rspamd_util.get_time())
  end
  gates.learn = learning.gate(settings, function(task)
    return gates.may(task, settings.learning.processing), task:cache_get(N) ~= nil
  end)
end

-- Start, and give the settings as they were read. Raises an error that says what is wrong with them.
exports.start = function(options, gates)
  local settings = read_settings(options)
  learning.fetch_keys(settings)
  open(settings, gates)
  if not settings.url:match("^https?://[%d.]+[:/]?") and not settings.url:match("^https?://%[") then
    rspamd_logger.warnx(rspamd_config, "%s: url has a name: each new connection waits for DNS besides", N)
  end
  local id = rspamd_config:register_symbol({
    name = "SCEAU_ASK",
    type = "prefilter",
    priority = 9,
    flags = "empty,nostat",
    callback = function(task)
      ask(settings, task)
    end,
    augmentations = { string.format("timeout=%f", settings.timeout) },
  })
  for _, word in ipairs({ "PERMIT", "DENY", "UNKNOWN" }) do
    rspamd_config:register_symbol({
      name = "SCEAU_" .. word, type = "virtual", parent = id, score = 0.0, flags = "nostat", group = N,
    })
  end
  return settings
end

return exports
