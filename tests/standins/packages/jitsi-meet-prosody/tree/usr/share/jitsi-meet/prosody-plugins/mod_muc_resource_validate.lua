-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: lets only plain nicks into a room, and none
-- that changes.

local jid = require "util.jid";
local st = require "util.stanza";
local standin = module:require "standin";

local strict = module:get_option_boolean("anonymous_strict", false);
local anonymous = module:get_option_set("anonymous_auth_methods", { "anonymous", "jitsi-anonymous", "token" });

local function refuse(event, text)
	module:log("warn", "%s: %s", event.stanza.attr.from, text);
	event.origin.send(st.error_reply(event.stanza, "cancel", "not-allowed", text));
	return true;
end

module:hook("muc-occupant-pre-join", function (event)
	local user, host = jid.split(event.stanza.attr.from);
	if standin.is_healthcheck(event.room.jid) or not user then
		return;
	end
	local nick = jid.resource(event.stanza.attr.to);
	if not nick or not nick:match("^[a-zA-Z0-9][a-zA-Z0-9_]*$") then
		return refuse(event, "Invalid resource");
	end
	local users = prosody.hosts[host] and prosody.hosts[host].users;
	if strict and users and anonymous:contains(users.name) and nick ~= user:sub(1, 8) then
		return refuse(event, "Invalid anonymous user ID");
	end
end, 11);

module:hook("muc-occupant-pre-change", function (event)
	if event.orig_occupant and not standin.is_healthcheck(event.room.jid)
			and jid.resource(event.orig_occupant.nick) ~= jid.resource(event.stanza.attr.to) then
		return refuse(event, "Nick changes are not allowed");
	end
end, 11);
