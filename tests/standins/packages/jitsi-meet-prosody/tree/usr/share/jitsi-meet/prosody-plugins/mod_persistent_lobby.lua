-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: a lobby that outlives an empty room.

local standin = module:require "standin";

local main_muc = module:get_option_string("main_muc");
local lobby_muc = module:get_option_string("lobby_muc");
if not main_muc or not lobby_muc then
	module:log("error", "main_muc and lobby_muc must be set");
	return;
end

local function empty(room_jid)
	local room = room_jid and standin.room(room_jid);
	return not room or not room:has_occupant();
end

local function end_when_empty(room)
	if room and room._data.persist_lobby and empty(room.jid) and empty(room._data.lobbyroom) then
		room:set_persistent(false);
		room:destroy(nil, "main room and lobby now empty");
	end
end

standin.on_muc(main_muc, function (_, host_module)
	host_module:hook("muc-occupant-left", function (event)
		end_when_empty(event.room);
	end);
end);

standin.on_muc(lobby_muc, function (_, host_module)
	host_module:hook("muc-occupant-left", function (event)
		end_when_empty(event.room.main_room_jid and standin.room(event.room.main_room_jid));
	end);
end);

module:hook_global("create-persistent-lobby-room", function (event)
	prosody.events.fire_event("create-lobby-room", event);
	event.room._data.persist_lobby = true;
	event.room:set_persistent(true);
end);
