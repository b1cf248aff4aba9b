-- SPDX-License-Identifier: GPL-3.0-or-later
-- Managed by campus.jitsi.
--
-- Who moderates by his token, where Jitsi's own modules are too generous (jitsi_moderation: token).
--
--  * Any token counts as a host for muc_wait_for_host: a student's would open the room. Here a moderator's does.
--  * A token's `features` decide over roles: a student's with `recording` would record. Here they are a moderator's.
--  * token_affiliation leaves those alone who come to a room with a lobby: a second teacher would wait like a student. Here he enters.
--
-- Where nobody but telephones waits, any token is a host (campus_any_token_opens).
--
-- A token counts only where it was verified: every session has the one of its address, also that of a guest, whose was not.

local main_host = module:get_option_string("muc_mapper_domain_base");
local any_opens = module:get_option_boolean("campus_any_token_opens", false);

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
	local session = event.session;
	return moderates(session) or any_opens and session.auth_token ~= nil and session.host == main_host;
end, 10);

-- When Jitsi's module has verified the token, also that of a stream which is about to be resumed and brings its own.
local function without_features(session)
	if not moderates(session) then
		session.jitsi_meet_context_features = nil;
	end
end

local events = prosody.events;
events.add_handler("pre-jitsi-authentication", without_features, 100);
function module.unload()
	events.remove_handler("pre-jitsi-authentication", without_features);
end

-- Before token_affiliation (-3.5), which makes an owner of him, and the lobby (-4).
module:hook("muc-occupant-pre-join", function (event)
	local room, occupant = event.room, event.occupant;
	if moderates(event.origin) and room:get_members_only() and (room:get_affiliation(occupant.bare_jid) or "none") == "none" then
		room:set_affiliation(true, occupant.bare_jid, "member");
	end
end, -3);
