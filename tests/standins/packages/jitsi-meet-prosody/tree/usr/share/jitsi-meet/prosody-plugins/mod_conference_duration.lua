-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: tells in a room's service discovery since when
-- a second occupant has been there.

local standin = module:require "standin";

local main_muc = module:get_option_string("main_muc");
if not main_muc then
	module:log("error", "No main_muc is set: no conference duration.");
	return;
end

standin.on_host(main_muc, function (muc_module)
	muc_module:hook("muc-disco#info", function (event)
		table.insert(event.form, {
			name = "muc#roominfo_created_timestamp"; type = "text-single"; label = "Time of creation";
			value = event.room.created_timestamp or "";
		});
	end);
	muc_module:hook("muc-occupant-joined", function (event)
		local room, count = event.room, 0;
		for _ in room:each_occupant() do
			count = count + 1;
		end
		if count > 1 and not room.created_timestamp then
			room.created_timestamp = string.format("%d", os.time() * 1000);
		end
	end, -1);
end);

-- For old clients; the component itself is no more.
module:add_identity("component", "conference_duration",
	module:get_option_string("conference_duration_component", "conferenceduration." .. module.host));
