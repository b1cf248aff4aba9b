-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: who may phone out or start a transcription.

local st = require "util.stanza";
local standin = module:require "standin";

module:hook("pre-iq/full", function (event)
	local stanza, session = event.stanza, event.origin;
	local dial = stanza:get_child("dial", "urn:xmpp:rayo:1");
	if not dial then
		return;
	end
	local feature = dial.attr.to == "jitsi_meet_transcribe" and "transcription" or "outbound-call";
	if not standin.allowed(session, stanza, feature) then
		module:log("info", "%s may not ask for %s", stanza.attr.from, feature);
		session.send(st.error_reply(stanza, "auth", "forbidden"));
		return true;
	end
end);
