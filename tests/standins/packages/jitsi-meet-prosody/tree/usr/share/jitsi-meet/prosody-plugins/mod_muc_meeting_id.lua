-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: a unique id for every meeting, and nobody
-- enters before jicofo.

local jid = require "util.jid";
local queue = require "util.queue";
local st = require "util.stanza";
local uuid = require "util.uuid".generate;
local standin = module:require "standin";

module:depends("jitsi_session");

local MUC_ADMIN = "http://jabber.org/protocol/muc#admin:query";
local LONGEST_QUEUE = 500;

local function meeting_id_field(event)
	table.insert(event.form, {
		name = "muc#roominfo_meetingId"; type = "text-single"; label = "Meeting id";
		value = event.room._data.meetingId or "";
	});
end

local function refuse(event, condition)
	event.origin.send(st.error_reply(event.stanza, "cancel", condition));
	return true;
end

module:hook("muc-room-pre-create", function (event)
	local to = event.stanza.attr.to;
	if standin.is_healthcheck(to) and not standin.is_focus_nick(to) then
		return refuse(event, "service-unavailable");
	end
end, 100);

module:hook("muc-room-created", function (event)
	if not standin.is_healthcheck(event.room.jid) then
		event.room._data.meetingId = uuid();
	end
end);

module:hook("muc-disco#info", meeting_id_field);
module:hook("muc-config-form", meeting_id_field, 87);

-- Returning true without doing anything keeps a submitted value from being stored.
module:hook("muc-config-submitted/muc#roominfo_meetingId", function (event)
	if standin.is_admin(event.actor) then
		event.room._data.meetingId = event.value;
	end
	return true;
end, 99);
for _, field in ipairs { "moderatedroom", "presencebroadcast" } do
	module:hook("muc-config-submitted/muc#roomconfig_" .. field, function () return true; end, 99);
end

-- Before the occupant limits and the lobby, after the rate limit.
module:hook("muc-occupant-pre-join", function (event)
	local room, occupant = event.room, event.occupant;
	local focus = standin.is_focus_nick(occupant.nick);
	if standin.is_healthcheck(room.jid) then
		return not focus and refuse(event, "service-unavailable") or nil;
	end
	local region = event.origin.user_region;
	if region and not standin.is_admin(occupant.bare_jid)
			and not event.stanza:get_child("jitsi_participant_region") then
		event.stanza:text_tag("jitsi_participant_region", region);
	end
	if room._data.jicofo_lock == false then
		return;
	end
	if focus then
		module:fire_event("jicofo-unlock-room", { room = room });
		return;
	end
	room._data.jicofo_lock = true;
	room.pre_join_queue = room.pre_join_queue or queue.new(LONGEST_QUEUE);
	if not room.pre_join_queue:push(event) then
		module:log("error", "Too many wait for the focus in %s", room.jid);
	end
	return true;
end, 8);

module:hook("jicofo-unlock-room", function (event)
	local room = event.room;
	local waiting = room.pre_join_queue;
	room._data.jicofo_lock = false;
	room.pre_join_queue = nil;
	if waiting then
		for _, join in waiting:items() do
			-- Without a connection the client has gone meanwhile.
			if join.origin.conn then
				room:handle_normal_presence(join.origin, join.stanza);
			end
		end
	end
end);

local function protect_focus(event)
	local room_jid = jid.bare(event.stanza.attr.to);
	local query = event.stanza.tags[1];
	if not standin.room(room_jid) or not query then
		return;
	end
	for item in query:childtags("item") do
		if item.attr.nick == "focus" or item.attr.jid and jid.node(item.attr.jid) == "focus" then
			return refuse(event, "not-allowed");
		end
	end
end

module:hook("iq-set/bare/" .. MUC_ADMIN, protect_focus, 10);
module:hook("iq-set/host/" .. MUC_ADMIN, protect_focus, 10);

-- A name in a message could differ from the one in presence.
module:hook("muc-occupant-groupchat", function (event)
	event.stanza:remove_children("nick", standin.NICK_NS);
end, 45);
