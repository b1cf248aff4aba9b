-- SPDX-License-Identifier: GPL-3.0-or-later
-- Managed by campus.jitsi.
--
-- Which numbers a meeting may call (prosody_dial_prefixes). Jitsi's client, jicofo and jigasi call whatever they are given, so it is
-- decided here, where the request comes by; who may ask is what filter_iq_rayo decides. A number goes on in one form, + and digits.

local st = require "util.stanza";

local RAYO = "urn:xmpp:rayo:1";

local allowed = module:get_option_array("campus_dial_prefixes", {});
local refused = module:get_option_array("campus_dial_refused_prefixes", {});
local national = module:get_option_string("campus_dial_country_prefix", "");

-- As people write them: +34 (91) 000-00 00, 0034910000000, 910000000.
local function plain(number)
	local digits = number:gsub("[%s%-%.%(%)/]", "");
	digits = digits:gsub("^00", "+");
	if digits:match("^%d+$") and national ~= "" then
		digits = national .. digits;
	end
	return digits:match("^%+%d+$") and #digits <= 16 and digits or nil;
end

local function starts(number, prefixes)
	for _, prefix in ipairs(prefixes) do
		if number:sub(1, #prefix) == prefix then
			return true;
		end
	end
end

module:hook("pre-iq/full", function (event)
	local stanza = event.stanza;
	local dial = stanza.attr.type == "set" and stanza:get_child("dial", RAYO);
	if not dial or dial.attr.to == "jitsi_meet_transcribe" then
		return;
	end
	local number = plain(dial.attr.to or "");
	local why = not number and "is no telephone number"
		or starts(number, refused) and "starts with what prosody_dial_refused_prefixes has"
		or not starts(number, allowed) and "starts with nothing that prosody_dial_prefixes has";
	if why then
		module:log("warn", "Refused to call %s for %s: it %s", (dial.attr.to or ""):gsub("[^%w+@:. -]", "?"), stanza.attr.to, why);
		event.origin.send(st.error_reply(stanza, "cancel", "not-acceptable", "This number may not be called."));
		return true;
	end
	dial.attr.to = number;
end, -10);
