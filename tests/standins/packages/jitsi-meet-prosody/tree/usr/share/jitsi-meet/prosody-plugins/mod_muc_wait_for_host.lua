-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: until somebody who is no guest comes, people wait
-- in a lobby.

local jid = require "util.jid";
local standin = module:require "standin";

local base = module:get_option_string("muc_mapper_domain_base");
if not base then
	module:log("warn", "No 'muc_mapper_domain_base' option set, disabling module");
	return;
end

local function is_host(event)
	local session = event.session;
	-- A token that nobody verified is one, too, as with the real module: every session has that of its address.
	return session.auth_token ~= nil or session.username ~= nil and jid.host(event.occupant.bare_jid) == base or nil;
end

module:hook("room_has_host", is_host);

if not module:get_option_boolean("wait_for_host_disable_auto_owners", false) then
	module:hook("muc-occupant-joined", function (event)
		if is_host { session = event.origin, occupant = event.occupant } then
			event.room:set_affiliation(true, event.occupant.bare_jid, "owner");
		end
	end, 2);
end

module:hook("muc-occupant-pre-join", function (event)
	local room, occupant, session = event.room, event.occupant, event.origin;
	if standin.is_admin(occupant.bare_jid) or standin.is_healthcheck(room.jid) or room.has_host then
		return;
	end
	for _, other in room:each_occupant() do
		if jid.host(other.bare_jid) == base then
			room.has_host = true;
			return;
		end
	end
	if module:fire_event("room_has_host", { room = room, occupant = occupant, session = session }) then
		room:set_members_only(false);
		room:set_persistent(false);
		occupant.role = room:get_default_role(room:get_affiliation(occupant.bare_jid)) or "participant";
		module:log("info", "Host %s arrived in %s.", occupant.bare_jid, room.jid);
		prosody.events.fire_event("destroy-lobby-room", { room = room, newjid = standin.to_public(room.jid), message = "Host arrived." });
	elseif not room:get_members_only() then
		module:log("info", "Will wait for host in %s.", room.jid);
		prosody.events.fire_event("create-persistent-lobby-room", {
			room = room, reason = "waiting-for-host", skip_display_name_check = true
		});
	end
end);
