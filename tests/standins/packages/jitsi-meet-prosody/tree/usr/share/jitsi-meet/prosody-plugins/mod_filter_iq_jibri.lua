-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: who may start a recording or a stream.

local standin = module:require "standin";

standin.filter_iq(function (stanza)
	local jibri = stanza:get_child("jibri", "http://jitsi.org/protocol/jibri");
	if jibri and jibri.attr.action == "start" then
		return jibri.attr.recording_mode == "file" and "recording" or "livestreaming";
	end
end);
