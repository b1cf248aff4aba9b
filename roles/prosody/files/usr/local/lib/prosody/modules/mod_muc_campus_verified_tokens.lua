-- SPDX-License-Identifier: GPL-3.0-or-later
-- Managed by campus.jitsi.
--
-- A token counts only where it was verified. Every session has the one of its address, also that of a guest on another host, which
-- nobody looks at: Jitsi's muc_wait_for_host would take its holder for a host and make an owner of him.

local main_host = module:get_option_string("muc_mapper_domain_base");

local FIELDS = { "auth_token", "jitsi_meet_context_user", "jitsi_meet_context_group", "jitsi_meet_context_features", "jitsi_meet_context_room",
	"jitsi_meet_room", "jitsi_meet_domain" };

local function forget(event)
	local session = event.origin;
	if session and session.host ~= main_host then
		for _, field in ipairs(FIELDS) do
			session[field] = nil;
		end
	end
end

-- Before all that reads them: token_verification has 99.
module:hook("muc-room-pre-create", forget, 110);
module:hook("muc-occupant-pre-join", forget, 110);
