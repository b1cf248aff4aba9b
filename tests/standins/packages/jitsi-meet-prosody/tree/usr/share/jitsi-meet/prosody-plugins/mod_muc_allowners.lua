-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: whoever comes owns the room while he is there.

local standin = module:require "standin";

module:hook("muc-occupant-joined", function (event)
	if not standin.is_healthcheck(event.room.jid) then
		event.room:set_affiliation(true, event.occupant.bare_jid, "owner");
	end
end, 2);

if not module:get_option_boolean("allowners_disable_revoke_owners", false) then
	module:hook("muc-occupant-left", function (event)
		if not standin.is_healthcheck(event.room.jid) then
			event.room:set_affiliation(true, event.occupant.bare_jid, nil);
		end
	end, 2);
end
