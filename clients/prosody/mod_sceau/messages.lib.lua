-- What of a message stanza an analysis may touch, element by element (L32-3 I). Values only: nothing is sent or kept.

local ENCRYPTED = {
	{ "encrypted", "eu.siacs.conversations.axolotl" }; -- OMEMO, XEP-0384 0.3
	{ "encrypted", "urn:xmpp:omemo:1" };
	{ "encrypted", "urn:xmpp:omemo:2" };
	{ "openpgp", "urn:xmpp:openpgp:0" }; -- XEP-0373
	{ "x", "jabber:x:encrypted" }; -- XEP-0027
	{ "encryption", "urn:xmpp:eme:0" }; -- XEP-0380, whatever the method
};

local function is_encrypted(stanza, body)
	for _, mark in ipairs(ENCRYPTED) do
		if stanza:get_child(mark[1], mark[2]) then return true; end
	end
	return body ~= nil and body:sub(1, 4) == "?OTR";
end

-- Addresses of files: XEP-0066, and every `url` in whatever else shares one (XEP-0447, XEP-0385).
local function attachments_of(stanza)
	local found = {};
	for tag in stanza:childtags("x", "jabber:x:oob") do
		found[#found + 1] = tag:get_child_text("url");
	end
	for tag in stanza:childtags("file-sharing", "urn:xmpp:sfs:0") do
		local data = tag:find("{urn:xmpp:sfs:0}sources/{http://jabber.org/protocol/url-data}url-data");
		found[#found + 1] = data and data.attr.target;
	end
	return found;
end

-- The message in a stanza, or nil when it is none: an error, a chat state, a receipt.
local function read(stanza)
	if stanza.attr.type == "error" then return nil; end
	local body, files = stanza:get_child_text("body"), attachments_of(stanza);
	local encrypted = is_encrypted(stanza, body);
	local id = stanza.attr.id;
	if encrypted then return { id = id, encrypted = true, attachments = {} }; end -- its body says only that it is
	if body == nil and #files == 0 then return nil; end
	if #files == 1 and body == files[1] then body = nil; end -- XEP-0363: the address, for clients that know no better
	return { id = id, encrypted = false, body = body, subject = stanza:get_child_text("subject"), attachments = files };
end

-- Whether there is anything for an analysis of these elements (a set): without it nobody is asked. An encrypted message
-- offers who corresponds, and that to an analysis of nothing else.
local function offers(message, elements)
	if message.encrypted then
		return elements.correspondent_identity and not (elements.content or elements.subject_line or elements.attachments);
	end
	return elements.correspondent_identity
		or elements.content and message.body ~= nil
		or elements.subject_line and message.subject ~= nil
		or elements.attachments and #message.attachments > 0;
end

-- What an analysis is given: the elements that were permitted, and no others.
local function permitted(message, elements, concerned)
	return {
		id = message.id; -- made by the client: it may be absent, or come again
		elements = elements;
		encrypted = message.encrypted;
		body = elements.content and message.body or nil;
		subject = elements.subject_line and message.subject or nil;
		attachments = elements.attachments and message.attachments or nil;
		from = elements.correspondent_identity and concerned.from or nil;
		to = elements.correspondent_identity and concerned.to or nil;
	};
end

return { read = read, offers = offers, permitted = permitted };
