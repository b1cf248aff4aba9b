-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: who may phone out or start a transcription.

local standin = module:require "standin";

standin.filter_iq(function (stanza)
	local dial = stanza:get_child("dial", "urn:xmpp:rayo:1");
	if dial then
		return dial.attr.to == "jitsi_meet_transcribe" and "transcription" or "outbound-call";
	end
end);
