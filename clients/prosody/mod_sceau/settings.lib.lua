-- The options, read when the module is loaded: what is missing, wrong or unknown keeps it from loading, in one line of the log.

local array = require "prosody.util.array";
local config = require "prosody.core.configmanager";
local set = require "prosody.util.set";

local ELEMENTS = array { "content", "subject_line", "correspondent_identity", "attachments" };
local IS_ELEMENT = { content = true, subject_line = true, correspondent_identity = true, attachments = true };
local MOST_ITEMS = 1000; -- questions that Sceau takes in one request

local function refuse(text)
	error(text, 0);
end

local KNOWN = set.new {
	"sceau_url", "sceau_key_file", "sceau_processings", "sceau_timeout", "sceau_territory", "sceau_subject_type",
	"sceau_arrivals", "sceau_participants", "sceau_max_members", "sceau_max_in_flight",
};

-- Prosody gives a default for an option that is misspelt.
local function refuse_others()
	for _, section in ipairs { "*", module.host } do
		for name in pairs(config.getconfig()[section] or {}) do
			if name:match("^sceau_") and not KNOWN:contains(name) then
				refuse(name.." is no option of this module");
			end
		end
	end
end

local function read_key(path)
	local file = path and io.open(path);
	local key = file and file:read("*l");
	if file then file:close(); end
	key = key and key:match("^%s*([%w%p]+)%s*$");
	return key or refuse("sceau_key_file must be the path of a file that holds one key, and that Prosody may read");
end

local function read_gates(processings)
	local gates = array {};
	for id, listed in pairs(processings) do
		local elements = {};
		for _, element in ipairs(type(listed) == "table" and listed or {}) do
			if not IS_ELEMENT[element] then
				refuse("sceau_processings: elements are "..ELEMENTS:concat(", "));
			end
			elements[element] = true;
		end
		if type(id) ~= "string" or next(elements) == nil then
			refuse("sceau_processings must be like { [\"ads-chat\"] = { \"content\" } }: an id, and what it touches");
		end
		local touched = array.filter(ELEMENTS, function (element) return elements[element]; end);
		gates:push({ processing = id, elements = elements, touched = touched });
	end
	if #gates == 0 then refuse("sceau_processings names no processing"); end
	return gates:sort(function (one, other) return one.processing < other.processing; end);
end

local function read()
	refuse_others();
	local url = module:get_option_string("sceau_url");
	if not (url and url:match("^https?://[^/?#@]+[^?#@]*$")) then
		refuse("sceau_url must be Sceau's address, like \"https://sceau.example.fr\"");
	end
	local settings = {
		url = url:gsub("/+$", "").."/access/v1/evaluations";
		key = read_key(module:get_option_path("sceau_key_file"));
		gates = read_gates(module:get_option("sceau_processings", {}));
		timeout = module:get_option_number("sceau_timeout", 1, 0.05, 30);
		territory = module:get_option_string("sceau_territory", "FR");
		subject_type = module:get_option_string("sceau_subject_type", "user");
		arrivals = module:get_option_boolean("sceau_arrivals", false);
		participants = module:get_option_boolean("sceau_participants", true);
		max_members = module:get_option_integer("sceau_max_members", 50, 1, MOST_ITEMS);
		max_in_flight = module:get_option_integer("sceau_max_in_flight", 100, 1);
	};
	if settings.max_members * #settings.gates > MOST_ITEMS then
		refuse("sceau_max_members times the number of processings is over 1000, the most that one request asks");
	end
	return settings;
end

return { read = read };
