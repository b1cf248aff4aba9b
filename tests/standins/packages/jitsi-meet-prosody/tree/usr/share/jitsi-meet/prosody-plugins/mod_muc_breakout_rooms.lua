-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: moderators split a meeting into rooms beside
-- it.

local jid = require "util.jid";
local st = require "util.stanza";
local uuid = require "util.uuid".generate;
local standin = module:require "standin";

local main_muc = module:get_option_string("main_muc");
local breakout_muc = module:get_option_string("breakout_rooms_muc", "breakout." .. module.host);
if not main_muc then
	module:log("error", "No breakout rooms: main_muc must be set");
	return;
end

module:depends("jitsi_session");

-- Address of a breakout room to the address of the room that it belongs to.
local parents = {};

local function main_room(room)
	if jid.host(room.jid) == main_muc then
		return room;
	end
	return parents[room.jid] and standin.room(parents[room.jid]);
end

local function participants(room)
	local list = {};
	for nick, occupant in room:each_occupant() do
		if not standin.is_admin(occupant.bare_jid) then
			list[standin.to_public(nick)] = {
				jid = occupant.jid, role = occupant.role, displayName = standin.display_name(occupant)
			};
		end
	end
	return list;
end

local function each_room(room, handler)
	handler(room);
	for address in pairs(room._data.breakout_rooms or {}) do
		local breakout = standin.room(address);
		if breakout then
			handler(breakout);
		end
	end
end

local function describe(room)
	local address = standin.to_public(room.jid);
	local rooms = {
		[jid.node(address)] = {
			isMainRoom = true, id = jid.node(address), jid = address, name = room._data.subject,
			participants = participants(room)
		}
	};
	for breakout_address, name in pairs(room._data.breakout_rooms or {}) do
		local breakout = standin.room(breakout_address);
		rooms[jid.node(breakout_address)] = {
			id = jid.node(breakout_address), jid = breakout_address, name = name,
			participants = breakout and participants(breakout) or {}
		};
	end
	return rooms;
end

local function send_json(to, data)
	module:send(standin.json_message(breakout_muc, to, data));
end

--- Tells everybody who is where; many changes at once are told once.
local function tell(room)
	if room.breakout_timer then
		return;
	end
	room.breakout_timer = module:add_timer(0.3, function ()
		room.breakout_timer = nil;
		local data = {
			type = "breakout_rooms", event = "features/breakout-rooms/update",
			roomCounter = room._data.breakout_rooms_counter, rooms = describe(room)
		};
		each_room(room, function (one)
			for _, occupant in one:each_occupant() do
				if not standin.is_admin(occupant.bare_jid) then
					send_json(occupant.jid, data);
				end
			end
		end);
	end);
end

local commands = {};

commands["features/breakout-rooms/add"] = function (room, attr)
	local address = uuid() .. "@" .. breakout_muc;
	local data = room._data;
	data.breakout_rooms = data.breakout_rooms or {};
	data.breakout_rooms_counter = (data.breakout_rooms_counter or 0) + 1;
	data.breakout_rooms[address] = attr.subject or "";
	data.breakout_rooms_active = true;
	parents[address] = room.jid;
	-- The main room may be empty for a while.
	room:set_persistent(true);
	tell(room);
end;

local function remove(room, address, reason)
	local breakout = standin.room(address);
	if breakout then
		breakout:destroy(room.jid, reason or "Breakout room removed.");
	end
	if room._data.breakout_rooms then
		room._data.breakout_rooms[address] = nil;
	end
	parents[address] = nil;
end

commands["features/breakout-rooms/remove"] = function (room, attr)
	if room._data.breakout_rooms and room._data.breakout_rooms[attr.breakoutRoomJid] then
		remove(room, attr.breakoutRoomJid);
		tell(room);
	end
end;

commands["features/breakout-rooms/rename"] = function (room, attr)
	local rooms = room._data.breakout_rooms;
	if rooms and rooms[attr.breakoutRoomJid] then
		rooms[attr.breakoutRoomJid] = attr.subject or "";
		local breakout = standin.room(attr.breakoutRoomJid);
		if breakout then
			breakout:set_subject(breakout.jid, attr.subject or "");
		end
		tell(room);
	end
end;

commands["features/breakout-rooms/move-to-room"] = function (room, attr)
	local rooms = room._data.breakout_rooms or {};
	if rooms[attr.roomJid] or attr.roomJid == standin.to_public(room.jid) then
		send_json(attr.participantJid, {
			type = "breakout_rooms", event = "features/breakout-rooms/move-to-room", roomJid = attr.roomJid
		});
	end
end;

local function joined(event)
	local room, occupant = event.room, event.occupant;
	local main = main_room(room);
	if not main or standin.is_healthcheck(room.jid) or standin.is_admin(occupant.bare_jid) then
		return;
	end
	if main == room and event.origin then
		event.origin.jitsi_breakout_main_jid = main.jid;
	end
	if main._data.breakout_rooms_active then
		main.breakout_closing = nil;
		tell(main);
	end
end

local function anyone(room)
	local found = false;
	each_room(room, function (one)
		for _, occupant in one:each_occupant() do
			found = found or not standin.is_admin(occupant.bare_jid);
		end
	end);
	return found;
end

local function left(event)
	local main = main_room(event.room);
	if not main or not main._data.breakout_rooms_active or standin.is_admin(event.occupant.bare_jid) then
		return;
	end
	tell(main);
	if not anyone(main) and not main.breakout_closing then
		main.breakout_closing = true;
		module:add_timer(5, function ()
			if main.breakout_closing and not anyone(main) then
				main:set_persistent(false);
				main:destroy(nil, "All occupants left.");
			end
		end);
	end
end

standin.on_muc(main_muc, function (_, host_module)
	host_module:hook("muc-occupant-joined", joined);
	host_module:hook("muc-occupant-left", left);
	host_module:hook("muc-room-destroyed", function (event)
		for address in pairs(event.room._data.breakout_rooms or {}) do
			remove(event.room, address, event.reason);
		end
	end, 1);
end);

standin.on_muc(breakout_muc, function (muc, host_module)
	module:add_identity("component", "breakout_rooms", breakout_muc);

	-- In breakout rooms everybody is what he is in the main room.
	function muc.room_mt.get_affiliation(room, real_jid)
		local main = main_room(room);
		return main and main:get_affiliation(real_jid) or "none";
	end

	function muc.room_mt.get_members_only(room)
		local main = main_room(room);
		return main and main:get_members_only() or false;
	end

	host_module:hook("message/host", function (event)
		local stanza = event.stanza;
		local command = stanza.attr.type ~= "error" and stanza:get_child("breakout_rooms");
		local room = command and standin.room_of_session(event.origin);
		local occupant = room and standin.occupant(room, stanza.attr.from);
		if not command then
			return;
		end
		local run = commands[command.attr.type];
		if not run or not occupant or occupant.role ~= "moderator" then
			module:log("warn", "Refused %s from %s", command.attr.type, stanza.attr.from);
		else
			run(room, command.attr);
		end
		return true;
	end);

	-- Only rooms that a moderator made.
	host_module:hook("muc-room-pre-create", function (event)
		local main = main_room(event.room);
		local name = main and main._data.breakout_rooms and main._data.breakout_rooms[event.room.jid];
		if not name then
			event.origin.send(st.error_reply(event.stanza, "cancel", "service-unavailable"));
			return true;
		end
		event.room:set_subject(event.room.jid, name);
	end);

	-- Only from the main room that this breakout room belongs to.
	host_module:hook("muc-occupant-pre-join", function (event)
		local main = main_room(event.room);
		if main and standin.is_admin(event.occupant.bare_jid) then
			return;
		end
		if not main or event.origin.jitsi_breakout_main_jid ~= main.jid then
			event.origin.send(st.error_reply(event.stanza, "cancel", "not-allowed"));
			return true;
		end
	end);

	local function form(event, value)
		local main = main_room(event.room);
		local address = main and standin.to_public(main.jid) or "";
		table.insert(event.form, {
			name = "muc#roominfo_isbreakout"; label = "Breakout room"; type = "boolean"; value = value and true or nil
		});
		table.insert(event.form, {
			name = "muc#roominfo_breakout_main_room"; label = "Main room"; value = value and address or nil
		});
		if event.formdata then
			event.formdata["muc#roominfo_isbreakout"] = true;
			event.formdata["muc#roominfo_breakout_main_room"] = address;
		end
	end
	host_module:hook("muc-disco#info", function (event) form(event, false); end);
	host_module:hook("muc-config-form", function (event) form(event, true); end);

	host_module:hook("muc-occupant-joined", joined);
	host_module:hook("muc-occupant-left", left);

	host_module:hook("host-disco-info-node", function (event)
		if event.node == "breakout_rooms" then
			event.reply:tag("feature", { var = "http://jitsi.org/protocol/breakout_rooms#rename" }):up();
			event.exists = true;
		end
	end);
end);
