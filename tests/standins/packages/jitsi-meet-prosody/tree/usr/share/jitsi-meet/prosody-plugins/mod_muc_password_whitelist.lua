-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: gives listed accounts and domains the room's
-- password, so that services enter rooms that have one.

local jid = require "util.jid";
local MUC = "http://jabber.org/protocol/muc";

local allowed = module:get_option_set("muc_password_whitelist", {});

-- Before the check of the password (-20), after lobby and members-only.
module:hook("muc-occupant-pre-join", function (event)
	local stanza, room = event.stanza, event.room;
	local from = stanza.attr.from;
	if not jid.node(from) or not (allowed:contains(jid.host(from)) or allowed:contains(jid.bare(from))) then
		return;
	end
	local x = stanza:get_child("x", MUC);
	if not x then
		stanza:tag("x", { xmlns = MUC }):up();
		x = stanza:get_child("x", MUC);
	end
	x:remove_children("password", MUC);
	local password = room:get_password();
	if password then
		x:text_tag("password", password, { xmlns = MUC });
	end
end, -7);
