-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: hides rooms from everybody who is not inside.

local st = require "util.stanza";
local standin = module:require "standin";

module:hook("muc-room-pre-create", function (event)
	event.room:set_hidden(true);
end, -1);

local function only_for_occupants(event)
	local stanza = event.stanza;
	local room = standin.room(stanza.attr.to);
	if room and not room:get_occupant_by_real_jid(stanza.attr.from) then
		event.origin.send(st.error_reply(stanza, "auth", "forbidden"));
		return true;
	end
end

for _, kind in ipairs { "bare", "host" } do
	module:hook("iq-get/" .. kind .. "/http://jabber.org/protocol/disco#info:query", only_for_occupants, 1);
end
