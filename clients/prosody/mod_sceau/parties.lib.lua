-- Whom a message concerns: this server's users by their bare address, and whether there is anybody from elsewhere.
--
-- Each function takes Prosody's event and gives { here = sorted bare addresses, elsewhere = boolean, from, to }, or nil
-- when it cannot tell who is concerned: then nobody is asked, and nothing is analysed.

local jid_bare, jid_host = require "prosody.util.jid".bare, require "prosody.util.jid".host;
local hosts = prosody.hosts;

-- "local" for a virtual host of this server, "component" for one of its components, nil for another server.
local function kind_of(address)
	local host = hosts[jid_host(address)];
	return host and host.type;
end

-- A private message in a room says so (XEP-0045, 7.5): its other end is a nickname, and nobody here knows whose.
local function is_of_a_room(stanza)
	return stanza:get_child("x", "http://jabber.org/protocol/muc#user") ~= nil;
end

-- Whether an address is in another server's room where a session is. A client may leave that mark out (it SHOULD be
-- there), and then only this tells a nickname from somebody's device: who enters a room sends it presence, which
-- Prosody keeps for the session (mod_presence). Whoever is not in the room has such a message refused by it.
local function is_in_a_room_of(session, address)
	if not session.directed or kind_of(address) then return false; end
	local bare = jid_bare(address);
	for entered in pairs(session.directed) do
		if jid_bare(entered) == bare then return true; end
	end
	return false;
end

local function is_in_a_room_of_user(user, address)
	local known = prosody.bare_sessions[jid_bare(user)];
	for _, session in pairs(known and known.sessions or {}) do
		if is_in_a_room_of(session, address) then return true; end
	end
	return false;
end

local function collect()
	local seen, concerned = {}, { here = {}, elsewhere = false };
	local function add(address)
		local bare = jid_bare(address);
		if kind_of(bare) ~= "local" then
			concerned.elsewhere = true;
		elseif not seen[bare] then
			seen[bare] = true;
			concerned.here[#concerned.here + 1] = bare;
		end
	end
	local function done(from, to)
		table.sort(concerned.here);
		concerned.from, concerned.to = from, to;
		return concerned;
	end
	return add, done;
end

-- What a user of this host sends. A room, a private message in one or a gateway stand behind a component: who receives
-- it there is not known here. A room of this server asks by itself; one of another server is not covered.
local function of_sent(event)
	local stanza = event.stanza;
	local from, to = stanza.attr.from or event.origin.full_jid, stanza.attr.to;
	if stanza.attr.type == "groupchat" or is_of_a_room(stanza) then return nil; end
	to = to or jid_bare(from);
	if kind_of(to) == "component" or is_in_a_room_of(event.origin, to) then return nil; end
	local add, done = collect();
	add(from);
	add(to);
	return done(from, to);
end

-- What arrives for a user of this host from another server. Copies of a room's messages are left out: the room's other
-- members here are not known.
local function of_arrival(event)
	local stanza = event.stanza;
	local over = event.origin.type;
	if over ~= "s2sin" and over ~= "s2sout" or stanza.attr.type == "groupchat" or is_of_a_room(stanza) then return nil; end
	local from, to = stanza.attr.from, stanza.attr.to;
	if is_in_a_room_of_user(to, from) then return nil; end
	local add, done = collect();
	add(from);
	add(to);
	return done(from, to);
end

-- What a room sends out: whoever is in it, and whoever belongs to it and may read it later.
local function of_room(event)
	local room, stanza = event.room, event.stanza;
	local sender = room:get_occupant_by_nick(stanza.attr.from);
	if not sender then return nil; end -- the room's own words
	local add, done = collect();
	for _, occupant in room:each_occupant() do add(occupant.bare_jid); end
	for address, affiliation in room:each_affiliation() do
		if affiliation ~= "outcast" and affiliation ~= "none" then add(address); end
	end
	return done(sender.bare_jid, room.jid);
end

-- A private message in a room: the two occupants.
local function of_private(event)
	local room, stanza = event.room, event.stanza;
	local sender, receiver = room:get_occupant_by_nick(stanza.attr.from), room:get_occupant_by_nick(stanza.attr.to);
	if not (sender and receiver) then return nil; end
	local add, done = collect();
	add(sender.bare_jid);
	add(receiver.bare_jid);
	return done(sender.bare_jid, receiver.bare_jid);
end

return { of_sent = of_sent, of_arrival = of_arrival, of_room = of_room, of_private = of_private };
