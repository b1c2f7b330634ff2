-- What a test loads beside the README's analysis: one more that writes down what it was given, one that raises, a
-- filter, which is exempt and asks nobody, and a note of what became of each message.

local json = require "prosody.util.json";

local folder = module:get_option_string("witness_folder");

local function write(name, value)
	local file = assert(io.open(folder.."/"..name, "a"));
	file:write(json.encode(value), "\n");
	file:close();
end

module:hook("sceau/outcome", function (event) write("outcomes.jsonl", event); end);
module:hook("sceau/permitted/stats-chat", function (event) write("given.jsonl", event); end);
module:hook("sceau/permitted/broken-chat", function (event) error("read: "..event.body); end);

local function filter(event)
	local body = event.stanza:get_child_text("body");
	if body then write("filtered.jsonl", { body = body }); end
end
module:hook("pre-message/bare", filter, 10);
module:hook("pre-message/full", filter, 10);
