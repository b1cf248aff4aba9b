-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: who may start a recording or a stream.

local st = require "util.stanza";
local standin = module:require "standin";

module:hook("pre-iq/full", function (event)
	local stanza, session = event.stanza, event.origin;
	local jibri = stanza:get_child("jibri", "http://jitsi.org/protocol/jibri");
	if not jibri or jibri.attr.action ~= "start" then
		return;
	end
	local feature = jibri.attr.recording_mode == "file" and "recording" or "livestreaming";
	if not standin.allowed(session, stanza, feature) then
		module:log("info", "%s may not start a %s", stanza.attr.from, feature);
		session.send(st.error_reply(stanza, "auth", "forbidden"));
		return true;
	end
end);
