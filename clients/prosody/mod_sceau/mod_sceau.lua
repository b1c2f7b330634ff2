-- Asks Sceau before a chat message is analysed, and fires `sceau/permitted/PROCESSING` when it may be
-- (CPCE art. L32-3).
--
-- It observes: every message goes its way at once, whatever Sceau says or does not say. What runs on a permit is
-- another module's, which hooks the event of its own processing. On a virtual host it asks about the messages that its
-- users send and, if told to, about those that arrive from other servers; on a MUC component, about those in its rooms.
--
-- It must not hold up, change or refuse a stanza, keep an answer, or log or put into an address who wrote to whom.

local messages = module:require "messages";
local parties = module:require "parties";
local pdp = module:require "pdp";
local settings = module:require "settings".read();

local ask = pdp.new(settings);
local outcomes = module:metric("counter", "messages", "", "Messages by what became of their analysis", { "outcome" });

-- What became of a message for a processing: permitted, analysis_failed (it raised), denied, lapsed (the permit had
-- ended), unusable (no answer that says anything, in time), busy, too_many_members.
local function tell(gate, outcome)
	outcomes:with_labels(outcome):add(1);
	module:fire_event("sceau/outcome", { processing = gate.processing, outcome = outcome });
end

local function tell_all(gates, outcome)
	for _, gate in ipairs(gates) do tell(gate, outcome); end
end

-- Where something was raised. Only that is logged: what was said may quote what was read.
local function place_of()
	local level, info = 2, debug.getinfo(2, "Sl");
	while info and info.currentline < 1 do
		level = level + 1;
		info = debug.getinfo(level, "Sl");
	end
	return info and info.short_src..":"..info.currentline or "an unknown place";
end

local function run(gate, verdict, message, concerned)
	if verdict.valid_until and os.date("!%Y-%m-%dT%H:%M:%S") >= verdict.valid_until then
		return tell(gate, "lapsed");
	end
	local event = messages.permitted(message, gate.elements, concerned);
	event.processing, event.decisions = gate.processing, verdict.decisions;
	event.valid_until = verdict.valid_until and verdict.valid_until.."Z";
	local fine, where = xpcall(module.fire_event, place_of, module, "sceau/permitted/"..gate.processing, event);
	if not fine then module:log("error", "an analysis under %s raised at %s", gate.processing, where); end
	tell(gate, fine and "permitted" or "analysis_failed");
end

local function consider(message, concerned)
	local gates = {};
	for _, gate in ipairs(settings.gates) do
		if messages.offers(message, gate.elements) then gates[#gates + 1] = gate; end
	end
	if #gates == 0 or #concerned.here == 0 then return; end
	if #concerned.here > settings.max_members then return tell_all(gates, "too_many_members"); end
	ask(gates, concerned, function (verdicts, why)
		if not verdicts then return tell_all(gates, why); end
		for place, gate in ipairs(gates) do
			if verdicts[place].permitted then
				run(gate, verdicts[place], message, concerned);
			else
				tell(gate, "denied");
			end
		end
	end);
end

-- Whatever goes wrong here is this module's own affair: the stanza goes on.
local function guarded(act, ...)
	local fine, where = xpcall(act, place_of, ...);
	if not fine then module:log("error", "a message could not be looked at (%s): it is not analysed", where); end
end

local function look(event, parties_of)
	local message = messages.read(event.stanza);
	local concerned = message and parties_of(event);
	if not concerned then return; end
	-- Not at once: what takes time waits until the message has been written to its receivers. Timers that are due run
	-- before sockets are written to, so that no time at all would be too early.
	module:add_timer(0.001, function () guarded(consider, message, concerned); end);
end

local function observing(parties_of)
	return function (event) guarded(look, event, parties_of); end
end

if module:get_host_type() == "component" then
	module:hook("muc-broadcast-message", observing(parties.of_room), -100);
	module:hook("muc-private-message", observing(parties.of_private), -100);
else
	-- After whatever may still refuse the message.
	module:hook("pre-message/bare", observing(parties.of_sent), -100);
	module:hook("pre-message/full", observing(parties.of_sent), -100);
	if settings.arrivals then
		-- mod_message delivers at -1 and ends the event; who blocks or refuses does so before.
		module:hook("message/bare", observing(parties.of_arrival), -0.9);
		module:hook("message/full", observing(parties.of_arrival), -0.9);
	end
end
