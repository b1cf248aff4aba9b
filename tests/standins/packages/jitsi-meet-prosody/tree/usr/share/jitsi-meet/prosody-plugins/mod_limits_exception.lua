-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: lifts rate and stanza size limits for the
-- accounts in unlimited_jids.

local accounts = module:get_option_inherited_set("unlimited_jids", {});
local largest_stanza = module:get_option_number("unlimited_size", 10 * 1024 * 1024);

module:hook("authentication-success", function (event)
	local session = event.session;
	if not accounts:contains(session.username .. "@" .. session.host) then
		return;
	end
	if session.conn and session.conn.setlimit then
		session.conn:setlimit(0);
	elseif session.throttle then
		session.throttle = nil;
	end
	if session.stream and session.stream.set_stanza_size_limit then
		session.stream:set_stanza_size_limit(largest_stanza);
	end
end);
