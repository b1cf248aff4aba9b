-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: a moderator ends the meeting for everybody.

local standin = module:require "standin";

local muc_component = module:get_option_string("muc_component");
local main_host = module:get_option_string("muc_mapper_domain_base");
if not muc_component or not main_host then
	module:log("error", "muc_component and muc_mapper_domain_base must be set");
	return;
end

module:depends("jitsi_session");

standin.serve("end_conference", nil, function (_, room, occupant)
	if occupant.role ~= "moderator" then
		module:log("warn", "%s is no moderator of %s", occupant.jid, room.jid);
		return;
	end
	module:log("info", "%s ends %s", occupant.jid, room.jid);
	room:destroy(nil, "The meeting has been terminated");
end);

standin.announce(main_host, "end_conference", module.host);
