-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: limits the number of occupants of a room;
-- listed accounts and domains do not count.

local jid = require "util.jid";
local st = require "util.stanza";
local standin = module:require "standin";

local limit = module:get_option_number("muc_max_occupants", -1);
local free = module:get_option_set("muc_access_whitelist", {});

local function is_free(real_jid)
	return free:contains(jid.host(real_jid)) or free:contains(jid.bare(real_jid));
end

if limit > 0 then
	module:hook("muc-occupant-pre-join", function (event)
		local room, stanza = event.room, event.stanza;
		if standin.is_healthcheck(room.jid) or is_free(stanza.attr.from)
				or room:get_occupant_by_real_jid(stanza.attr.from) then
			return;
		end
		local slots = room._data.max_occupants or limit;
		for _, occupant in room:each_occupant() do
			if not is_free(occupant.bare_jid) then
				slots = slots - 1;
			end
		end
		if slots <= 0 then
			module:log("info", "%s is full", room.jid);
			event.origin.send(st.error_reply(stanza, "cancel", "service-unavailable"));
			return true;
		end
	end, 10);
end
