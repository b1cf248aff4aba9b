-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: a token says who owns the room.

local standin = module:require "standin";

local level = module:get_option_string("token_affiliation_log_level", "debug");
local OWNS = { owner = true, moderator = true, teacher = true };

-- After modules that let somebody pass the lobby (-3), before the lobby (-4).
module:hook("muc-occupant-pre-join", function (event)
	local room, occupant, session = event.room, event.occupant, event.origin;
	if standin.is_healthcheck(room.jid) or standin.is_admin(occupant.bare_jid) or not session or not session.auth_token then
		return;
	end
	if room:get_members_only() and (room:get_affiliation(occupant.bare_jid) or "none") == "none" then
		local x = event.stanza:get_child("x", "http://jabber.org/protocol/muc");
		local password = x and x:get_child_text("password", "http://jabber.org/protocol/muc");
		if not password or password ~= room:get_password() then
			return;
		end
	end
	local user = session.jitsi_meet_context_user;
	local owns = user and (OWNS[user.affiliation] or user.moderator == true or user.moderator == "true");
	room:set_affiliation(true, occupant.bare_jid, owns and "owner" or "member");
	if owns then
		occupant.role = "moderator";
	end
	module:log(level, "%s is %s in %s", occupant.bare_jid, owns and "owner" or "member", room.jid);
end, -3.5);
