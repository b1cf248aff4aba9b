-- SPDX-License-Identifier: GPL-3.0-or-later
-- Managed by campus.jitsi.
--
-- Who moderates by his token, where Jitsi's own modules are too generous (jitsi_moderation: token).
--
--  * Any token counts as a host for muc_wait_for_host: a student's would open the room. Here a moderator's does.
--  * A token's `features` decide over roles: a student's with `recording` would record. Here they are a moderator's.
--  * token_affiliation leaves those alone who come to a room with a lobby: a second teacher would wait like a student. Here he enters.
--
-- A token counts only where it was verified: every session has the one of its address, also that of a guest, whose was not.

local jid = require "util.jid";

local main_host = module:get_option_string("muc_mapper_domain_base");

local TEACHES = { owner = true, moderator = true, teacher = true };

-- The same claims as in token_affiliation.
local function moderates(session)
	if not session or not session.auth_token or session.host ~= main_host then
		return false;
	end
	local user = session.jitsi_meet_context_user;
	return type(user) == "table"
		and (TEACHES[user.affiliation] or user.moderator == true or user.moderator == "true") or false;
end

-- Before muc_wait_for_host's own answer; any but nil ends the search.
module:hook("room_has_host", function (event)
	return moderates(event.session);
end, 10);

module:hook("muc-occupant-pre-join", function (event)
	local room, occupant, session = event.room, event.occupant, event.origin;
	if not moderates(session) then
		session.jitsi_meet_context_features = nil;
	elseif room:get_members_only() and (room:get_affiliation(occupant.bare_jid) or "none") == "none" then
		-- Before token_affiliation (-3.5), which makes an owner of him, and the lobby (-4).
		room:set_affiliation(true, occupant.bare_jid, "member");
	end
end, -3);

module:log("debug", "tokens of %s say who moderates on %s", tostring(main_host), jid.host(module.host) or module.host);
