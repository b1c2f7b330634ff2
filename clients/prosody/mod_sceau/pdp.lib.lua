-- One AuthZEN batch for one message, and what its answer comes to. Analysis fails closed: whatever is not a clear
-- permit, in time and to this very question, is none. Nothing is kept, retried, or logged about anybody.

local http = require "prosody.net.http";
local json = require "prosody.util.json";
local array = require "prosody.util.array";
local random = require "prosody.util.random";
local to_hex = require "prosody.util.hex".encode;

local ELSEWHERE = { id = "elsewhere"; ["local"] = false }; -- all that is said of users of other servers

local function token()
	return to_hex(random.bytes(16));
end

-- The correspondence of one message for one user. XMPP has no id that the server made, the client's may be absent or
-- come again, so it is chance: two users of a message have nothing in common by which to see that they do.
local function resource_for(user, settings, concerned)
	local properties = { channel = "online", territory = settings.territory };
	if settings.participants then
		properties.participants = array {};
		for _, other in ipairs(concerned.here) do
			if other ~= user then properties.participants:push({ id = other, ["local"] = true }); end
		end
		if concerned.elsewhere then properties.participants:push(ELSEWHERE); end
	end
	return { type = "correspondence", id = token(), properties = properties };
end

local function batch(settings, gates, concerned)
	local resources, items = {}, array {};
	for _, user in ipairs(concerned.here) do resources[user] = resource_for(user, settings, concerned); end
	for _, gate in ipairs(gates) do
		for _, user in ipairs(concerned.here) do
			items:push({
				subject = { type = settings.subject_type, id = user };
				action = { name = gate.processing, properties = { elements = gate.touched } };
				resource = resources[user];
			});
		end
	end
	return json.encode({ evaluations = items }), #items;
end

-- Whether one decision is a permit, and the second until which it is (UTC, RFC 3339 without its Z and fraction; nil:
-- it rests on no consent: the exemptions of L32-3 III, here and where the article does not apply). One that should say
-- until when and does not is no permit. Such texts compare as the instants do, whatever this machine's time zone;
-- util.datetime's parser is an hour off in some of them.
local ENDLESS = { exempt = true, not_governed = true };

local function read_decision(answer)
	if type(answer) ~= "table" or answer.decision ~= true or type(answer.context) ~= "table" then return false; end
	local context = answer.context;
	if ENDLESS[context.reason] and context.valid_until == nil then return true; end
	local said = type(context.valid_until) == "string" and context.valid_until or "";
	local second = said:match("^(%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d)%.?%d*Z$");
	return second ~= nil, second;
end

-- Deny overrides, and nobody asked means nobody permitted.
local function combine(answers, first, last)
	local verdict = { permitted = last >= first, decisions = {} };
	for place = first, last do
		local permitted, second = read_decision(answers[place]);
		if not permitted then return { permitted = false }; end
		if second and not (verdict.valid_until and verdict.valid_until <= second) then verdict.valid_until = second; end
		verdict.decisions[#verdict.decisions + 1] = answers[place].context.id;
	end
	return verdict;
end

local function read_answer(body, code, response, identifier, asked)
	if code ~= 200 then return nil, code == 0 and "no connection" or "status "..tostring(code); end
	if response.headers["x-request-id"] ~= identifier then return nil, "an answer to another question"; end
	local fine, answered = pcall(json.decode, body);
	local answers = fine and type(answered) == "table" and answered.evaluations;
	if type(answers) ~= "table" or #answers ~= asked then return nil, "not an answer to the question"; end
	return answers;
end

-- Remembers whether Sceau answered last time: a line comes when that changes, not with each message.
local function new_watch()
	local usable = true;
	return function (answers, why)
		if usable and not answers then
			module:log("warn", "Sceau cannot be asked (%s): messages are delivered, and none is analysed", why);
		elseif answers and not usable then
			module:log("info", "Sceau answers again");
		end
		usable = answers ~= nil;
	end
end

-- A function that asks about a message for some processings, and calls back once: with a verdict for each, in order,
-- or with nil and what became of it ("unusable", "busy").
local function new(settings)
	-- Of the default client, so that it has Prosody's own TLS settings for clients: a client made anew has none.
	local client = http.default.new({ connection_pooling = true; suppress_errors = true });
	local watch, in_flight = new_watch(), 0;

	return function (gates, concerned, done)
		if in_flight >= settings.max_in_flight then return done(nil, "busy"); end
		in_flight = in_flight + 1;
		local body, asked = batch(settings, gates, concerned);
		local identifier, request, deadline, over = token(), nil, nil, false;

		local function finish(answers, why)
			if over then return; end
			over, in_flight = true, in_flight - 1;
			if deadline then deadline:stop(); end
			watch(answers, why);
			if not answers then return done(nil, "unusable"); end
			local verdicts, each = {}, #concerned.here;
			for place = 1, #gates do verdicts[place] = combine(answers, (place - 1) * each + 1, place * each); end
			done(verdicts);
		end

		-- A connection that something went wrong on is closed. net.http would put it back into its pool, where a late
		-- or spoilt answer would be taken for the next question's.
		local function close()
			if request then http.destroy_request(request, true); end
		end
		deadline = module:add_timer(settings.timeout, function () -- net.http itself waits for ever
			close();
			finish(nil, "too slow");
		end);
		local fine, made = pcall(client.request, client, settings.url, {
			method = "POST"; body = body; suppress_url = true;
			headers = {
				["Authorization"] = "Bearer "..settings.key;
				["Content-Type"] = "application/json";
				["User-Agent"] = "mod_sceau";
				["X-Request-ID"] = identifier;
			};
		}, function (answer, code, response)
			local answers, why = read_answer(answer, code, response, identifier, asked);
			if not answers then close(); end
			finish(answers, why);
		end);
		if fine then request = made; else finish(nil, "not sent"); end
	end
end

return { new = new };
