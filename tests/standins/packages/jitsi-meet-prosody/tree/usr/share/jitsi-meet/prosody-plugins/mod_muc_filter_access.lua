-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: only users of the listed domains may talk to
-- the rooms of this component.

local jid = require "util.jid";

local domains = module:get_option_set("muc_filter_whitelist");
if not domains then
	module:log("warn", "No 'muc_filter_whitelist': everybody may enter.");
	return;
end

for _, kind in ipairs { "host", "bare", "full" } do
	module:hook("presence/" .. kind, function (event)
		local from = event.stanza.attr.from;
		if not from or not domains:contains(jid.host(from)) then
			module:log("error", "Refused presence from %s", from);
			return true;
		end
	end, 2000);
end
