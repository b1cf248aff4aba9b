-- SPDX-License-Identifier: GPL-3.0-or-later
-- Managed by campus.jitsi.
--
-- How many calls a gateway has at once before it is given no more (prosody_dial_calls_per_account). A gateway says in its presence how
-- many meetings it is in, and each call is in one. It is refused on behalf of the gateway, so that jicofo asks the next one.

local st = require "util.stanza";
local time = require "util.time";

local RAYO = "urn:xmpp:rayo:1";
local COLIBRI = "http://jitsi.org/protocol/colibri";
-- Until a gateway's presence counts a call, in seconds.
local LATE = 10;

local limit = module:get_option_number("campus_dial_calls_per_account", 0);
local muc = module:depends "muc";

-- By the place of a gateway in the room: when calls were handed to it that its presence has not counted yet, and what that said last.
local handed, last = {}, {};

local function counted(presence)
	local stats = presence and presence:get_child("stats", COLIBRI);
	for stat in (stats or st.stanza("none")):childtags("stat") do
		if stat.attr.name == "conferences" then
			return tonumber(stat.attr.value) or 0;
		end
	end
	return 0;
end

-- A call that is counted is over when the count says so, be it a moment later.
module:hook("muc-broadcast-presence", function (event)
	local nick, waiting = event.occupant.nick, handed[event.occupant.nick];
	local calls = counted(event.stanza);
	for _ = (last[nick] or 0) + 1, calls do
		if waiting then
			table.remove(waiting, 1);
		end
	end
	last[nick] = calls;
end);

module:hook("iq/full", function (event)
	local stanza = event.stanza;
	if limit <= 0 or stanza.attr.type ~= "set" or not stanza:get_child("dial", RAYO) then
		return;
	end
	local nick = stanza.attr.to;
	local room = muc.get_room_from_jid(nick:match("^[^/]*"));
	local occupant = room and room:get_occupant_by_nick(nick);
	if not occupant then
		return;
	end
	local now, waiting = time.now(), {};
	for _, at in ipairs(handed[nick] or {}) do
		if now - at < LATE then
			waiting[#waiting + 1] = at;
		end
	end
	local calls = counted(occupant:get_presence()) + #waiting;
	if calls >= limit then
		module:log("warn", "%s has %d calls, and is given no more (prosody_dial_calls_per_account)", nick, calls);
		event.origin.send(st.error_reply(stanza, "wait", "resource-constraint"));
		return true;
	end
	waiting[#waiting + 1] = now;
	handed[nick] = waiting;
end, 10);

module:hook("muc-occupant-left", function (event)
	local nick = event.nick or event.occupant.nick;
	handed[nick], last[nick] = nil, nil;
end);
