-- SPDX-License-Identifier: GPL-3.0-or-later
-- Managed by campus.jitsi.
--
-- jicofo gets requests that it knows, and nothing else. Smack 4.4.8, its XMPP library, answers one that it does not know with an error
-- that is no XML (UnparsedIQ.toXML; mended in Smack in May 2025). Prosody then ends the stream, and jicofo loses all its meetings: any
-- participant could do that, by way of the room, of focus.DOMAIN, or of jicofo's own address.
--
-- This goes on the host where jicofo has its account. Bridges and recorders have theirs there, too, and are believed.

local jid = require "util.jid";
local st = require "util.stanza";

local FOCUS = "focus";
-- What clients ask of jicofo, by namespace, and what any of them may ask of any other.
local KNOWN = {
	["http://jabber.org/protocol/disco#info"] = { query = true };
	["http://jabber.org/protocol/disco#items"] = { query = true };
	["http://jitsi.org/jitmeet/audio"] = { mute = true };
	["http://jitsi.org/jitmeet/desktop"] = { mute = true };
	["http://jitsi.org/jitmeet/video"] = { mute = true };
	["http://jitsi.org/protocol/focus"] = { conference = true, ["login-url"] = true, logout = true };
	["http://jitsi.org/protocol/jibri"] = { jibri = true };
	["jabber:iq:version"] = { query = true };
	["urn:xmpp:jingle:1"] = { jingle = true };
	["urn:xmpp:ping"] = { ping = true };
	["urn:xmpp:rayo:1"] = { dial = true };
};

local function is_ours(address)
	local host = jid.host(address) or "";
	return host == module.host or host:sub(-#module.host - 1) == "." .. module.host;
end

local function look(event)
	local stanza = event.stanza;
	if stanza.attr.type ~= "get" and stanza.attr.type ~= "set" or jid.node(stanza.attr.to) ~= FOCUS or is_ours(stanza.attr.from) then
		return;
	end
	local request = stanza.tags[1];
	local known = request and KNOWN[request.attr.xmlns or ""];
	if known and known[request.name] then
		return;
	end
	module:log("info", "Not passed on to jicofo: <%s xmlns=%q> from %s", request and request.name or "", request and request.attr.xmlns or "",
		stanza.attr.from);
	module:send(st.error_reply(stanza, "cancel", "feature-not-implemented"));
	return true;
end

module:hook("iq/full", look, 100);
