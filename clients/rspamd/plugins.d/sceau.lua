--[[
Sceau for Rspamd: asks, before anything analyses a message, whether every user concerned allows it.

Analysis fails closed, delivery fails open. This file only shuts the gates: a condition on each symbol that
local.d/sceau.conf names, and a learn condition, which refuse until `sceau_client` has put something better in their
place. So a client that cannot start leaves mail flowing and nothing analysed. No action is ever set here.
]]

if confighelp then
  return
end

local N = "sceau"
local rspamd_logger = require "rspamd_logger"

local options = rspamd_config:get_all_opt(N)
if not options then
  return
end

local gates = {
  may = function()
    return false
  end,
  learn = function()
    return false, "sceau: not started"
  end,
}

-- Whether a processing may analyse this message, for plugins and rules of your own: `rspamd_plugins.sceau.may`.
local function may(task, processing)
  local ran, allowed = pcall(gates.may, task, processing)
  return ran and allowed == true
end

-- For `learn_condition`, which learns unless it is told `false`: an error in here is a refusal too.
local function learn_condition(task, is_spam, is_unlearn)
  local ran, allowed, why = pcall(gates.learn, task, is_spam, is_unlearn)
  if ran and allowed == true then
    return true
  end
  return false, ran and why or "sceau: the gate failed"
end

rspamd_plugins[N] = { may = may, learn_condition = learn_condition }

-- The gates come before anything is checked, so every form in which settings can hold a symbol counts: one name, a
-- list, or several blocks (and sections) of one id, which Rspamd makes an array of. None of these may be left open:
-- gated is what stands under `symbols`, wherever that is (`processings` may be misspelt), and, in a block of
-- `processings`, what stands under a name that nobody knows (`symbols` may be misspelt).
local gated = {}
local NO_SYMBOLS = { party_mode = true, elements = true, exempt = true }

-- A symbol of several processings needs the permit of each; those that article L32-3 III exempts need none.
-- `said` stands under the name `member`, in the block of `processing`; `below`: whether below `processings`.
local function find_symbols(processing, member, said, below)
  if type(said) ~= "table" then
    if member == "symbols" or (below and not NO_SYMBOLS[member]) then
      gated[tostring(said)] = gated[tostring(said)] or {}
      table.insert(gated[tostring(said)], processing)
    end
  elseif said.exempt ~= true then
    for key, each in pairs(said) do
      local name = type(key) == "string" and key or member
      find_symbols((name == "symbols" or name == member) and processing or name, name, each, below)
    end
  end
end

for section, said in pairs(options) do
  if type(said) == "table" then
    find_symbols("", section, said, section == "processings")
  end
end
for symbol, processings in pairs(gated) do
  rspamd_config:add_condition(symbol, function(task)
    for _, processing in ipairs(processings) do
      if not may(task, processing) then
        return false
      end
    end
    return true
  end)
end

-- A name that is no symbol gates nothing: what it was meant for runs.
rspamd_config:add_post_init(function()
  for symbol in pairs(gated) do
    if not rspamd_config:get_symbol_flags(symbol) then
      rspamd_logger.errx(rspamd_config, "%s: there is no symbol %s: nothing is gated by that name", N, symbol)
    end
  end
end)

-- What is gated, for whoever reads the log after a start: "none" where a gate was meant says that it is missing.
local function tell_gates(settings)
  local by_symbol, exempt = {}, {}
  for symbol, processings in pairs(gated) do
    table.insert(by_symbol, string.format("%s by %s", symbol, table.concat(processings, " and ")))
  end
  for id, processing in pairs(settings.processings) do
    if processing.exempt then
      table.insert(exempt, id)
    end
  end
  for _, each in ipairs({ by_symbol, exempt }) do
    table.sort(each)
  end
  local function list(names)
    return #names > 0 and table.concat(names, ", ") or "none"
  end
  rspamd_logger.infox(
    rspamd_config, "%s: asks about: %s; gated symbols: %s; learning: %s; exempt and never asked about: %s",
    N, list(settings.asked), list(by_symbol), settings.learning and settings.learning.processing or "never", list(exempt)
  )
end

local ran, failure = pcall(function()
  -- Rspamd looks in the `lua` folder of its own settings; yours may be elsewhere (LOCAL_CONFDIR).
  package.path = rspamd_paths["LOCAL_CONFDIR"] .. "/lua/?.lua;" .. package.path
  tell_gates(require("sceau_client").start(options, gates))
end)
if not ran then
  rspamd_logger.errx(rspamd_config, "%s: could not start, nothing is analysed: %s", N, failure)
end
