-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: whoever is not a member of a members-only room
-- waits in a lobby until a moderator lets him in.

local filters = require "util.filters";
local jid = require "util.jid";
local json = require "util.json";
local st = require "util.stanza";
local standin = module:require "standin";

local MUC = "http://jabber.org/protocol/muc";
local MUC_USER = MUC .. "#user";

local main_muc = module:get_option_string("main_muc");
local lobby_muc = module:get_option_string("lobby_muc");
if not main_muc or not lobby_muc then
	module:log("error", "No lobby: main_muc and lobby_muc must be set");
	return;
end
local whitelist = module:get_option_set("muc_lobby_whitelist", {});
local check_name = module:get_option_boolean("muc_lobby_check_display_name_required", true);

module:depends("jitsi_session");

local lobbies;

local function lobby_of(room)
	return lobbies and room._data.lobbyroom and lobbies.get_room_from_jid(room._data.lobbyroom);
end

--- Tells the room, in the name of the occupant with this real JID.
local function notify(room, actor, data)
	local occupant = room:get_occupant_by_real_jid(actor);
	if occupant then
		data.type = "lobby-notify";
		room:broadcast_message(st.message({ type = "groupchat", from = occupant.nick })
			:tag("json-message", { xmlns = standin.NS }):text(json.encode(data)):up());
	end
end

local function metadata(room, enabled)
	room.jitsiMetadata = room.jitsiMetadata or {};
	room.jitsiMetadata.lobbyEnabled = enabled;
	module:context(main_muc):fire_event("room-metadata-changed", { room = room });
end

local function open_lobby(room)
	local address = jid.node(room.jid) .. "@" .. lobby_muc;
	if not lobbies or lobbies.get_room_from_jid(address) then
		return false;
	end
	local lobby = lobbies.create_room(address);
	lobby.main_room_jid = room.jid;
	lobby:set_persistent(true);
	room._data.lobbyroom = address;
	return true;
end

local function close_lobby(room, new_address, message)
	local lobby = lobby_of(room);
	room._data.lobbyroom, room._data.lobby_extra_reason, room._data.lobby_skip_display_name_check = nil, nil, nil;
	if lobby then
		lobby:set_persistent(false);
		lobby:destroy(new_address, message or "Lobby room closed.");
		metadata(room, false);
	end
end

local function to_lobby(event, room)
	local reply = st.error_reply(event.stanza, "auth", "registration-required");
	reply.tags[1].attr.code = "407";
	if room._data.lobby_extra_reason then
		reply:tag(room._data.lobby_extra_reason, { xmlns = standin.NS }):up();
	end
	-- Inside the error for new clients, beside it for old ones.
	reply:tag("lobbyroom", { xmlns = standin.NS }):text(room._data.lobbyroom):up():up();
	reply:tag("lobbyroom"):text(room._data.lobbyroom):up();
	event.origin.send(reply:tag("x", { xmlns = MUC }));
	return true;
end

local function ask_name(event)
	local reply = st.error_reply(event.stanza, "modify", "not-acceptable");
	reply.tags[1].attr.code = "406";
	reply:tag("displayname-required", { xmlns = standin.NS, lobby = "true" }):up():up();
	event.origin.send(reply:tag("x", { xmlns = MUC }));
	return true;
end

standin.on_muc(main_muc, function (_, host_module)
	host_module:hook("muc-config-submitted", function (event)
		local room, actor = event.room, event.actor;
		if jid.node(actor) == "focus" then
			return;
		end
		if event.fields["muc#roomconfig_membersonly"] then
			if not room._data.lobby_disabled and open_lobby(room) then
				event.status_codes["104"] = true;
				notify(room, actor, { event = "LOBBY-ENABLED", value = true });
				metadata(room, true);
			end
		elseif room._data.lobbyroom then
			close_lobby(room, standin.to_public(room.jid));
			notify(room, actor, { event = "LOBBY-ENABLED", value = false });
		end
	end);

	host_module:hook("muc-room-destroyed", function (event)
		if event.room._data.lobbyroom then
			close_lobby(event.room);
		end
	end, 1);

	host_module:hook("muc-disco#info", function (event)
		local room = event.room;
		if room._data.lobbyroom and room:get_members_only() then
			table.insert(event.form, { name = "muc#roominfo_lobbyroom"; label = "Lobby room"; value = "" });
			event.formdata["muc#roominfo_lobbyroom"] = room._data.lobbyroom;
		end
	end);

	-- Just before Prosody's own check of members-only rooms (-5).
	host_module:hook("muc-occupant-pre-join", function (event)
		local room, stanza, occupant = event.room, event.stanza, event.occupant;
		local x = stanza:get_child("x", MUC);
		if standin.is_healthcheck(room.jid) or not room:get_members_only()
				or standin.is_focus_nick(occupant.nick) or not x then
			return;
		end
		local from = stanza.attr.from;
		local affiliation = room:get_affiliation(from) or "none";
		local password = x:get_child_text("password", MUC);
		if whitelist:contains(jid.host(from)) or whitelist:contains(jid.bare(from))
				or password and password == room:get_password() then
			if affiliation == "none" or affiliation == "member" then
				occupant.role = "participant";
				room:set_affiliation(true, jid.bare(from), "member");
				room:save_occupant(occupant);
				return;
			end
		elseif affiliation ~= "none" and room:get_password() and not password then
			x:text_tag("password", room:get_password(), { xmlns = MUC });
		end
		local name = stanza:get_child_text("nick", standin.NICK_NS);
		if (not name or name == "") and not room._data.lobby_skip_display_name_check then
			return ask_name(event);
		end
		if affiliation == "none" and room._data.lobbyroom then
			return to_lobby(event, room);
		end
	end, -4);

	-- An invitation lets somebody in: Prosody makes him a member; the others are told.
	host_module:hook("muc-invite", function (event)
		local lobby = lobby_of(event.room);
		local waiting = lobby and lobby:get_occupant_by_real_jid(event.stanza.attr.to);
		if waiting then
			local invite = event.stanza:get_child("x", MUC_USER):get_child("invite");
			notify(event.room, invite.attr.from, {
				event = "LOBBY-ACCESS-GRANTED", value = waiting.nick, name = standin.display_name(waiting)
			});
		end
	end);
end);

-- In the lobby only moderators see the others.
local function hide(stanza)
	local from = stanza.attr and stanza.attr.from;
	if not from or not lobbies or jid.host(from) ~= lobby_muc then
		return stanza;
	end
	local lobby = lobbies.get_room_from_jid(jid.bare(from));
	if not lobby or stanza.name == "iq" then
		return stanza;
	end
	local function is_moderator(real_jid)
		return real_jid and lobby:get_affiliation(real_jid) == "owner";
	end
	local sender = lobby:get_occupant_by_nick(from);
	if is_moderator(stanza.attr.to) or stanza.attr.type == "unavailable" or not jid.resource(from) then
		return stanza;
	end
	local own = sender and jid.bare(stanza.attr.to) == sender.bare_jid;
	if own or stanza.name == "message" and sender and is_moderator(sender.bare_jid) then
		return stanza;
	end
	return nil;
end

local function filter_session(session)
	filters.add_filter(session, "stanzas/out", hide, -1);
end

standin.on_muc(lobby_muc, function (muc, host_module)
	lobbies = muc;
	filters.add_filter_hook(filter_session);
	module:add_identity("component", "lobbyrooms", lobby_muc);

	-- Who moderates the room moderates its lobby.
	function muc.room_mt.get_affiliation(lobby, real_jid)
		local room = lobby.main_room_jid and standin.room(lobby.main_room_jid);
		return room and room:get_affiliation(real_jid) or "none";
	end

	host_module:hook("muc-broadcast-presence", function (event)
		for status in event.x:childtags("status") do
			local room = status.attr.code == "307" and standin.room(event.room.main_room_jid or "");
			if room then
				notify(room, event.actor, {
					event = "LOBBY-ACCESS-DENIED", value = event.occupant.nick,
					name = standin.display_name(event.occupant)
				});
			end
		end
	end);

	-- Clients ask for this node to know whether a name is needed before the lobby.
	host_module:hook("host-disco-info-node", function (event)
		if event.node ~= "lobbyrooms" then
			return;
		end
		local room = standin.room_of_session(event.origin);
		if check_name and room and room._data.lobbyroom then
			event.reply:tag("feature", { var = "http://jitsi.org/protocol/lobbyrooms#displayname_required" }):up();
		end
		event.exists = true;
	end);
end);

module:hook_global("create-lobby-room", function (event)
	local room = event.room;
	for _, occupant in room:each_occupant() do
		if (room:get_affiliation(occupant.bare_jid) or "none") == "none" then
			room:set_affiliation(true, occupant.bare_jid, "member");
		end
	end
	room:set_members_only(true);
	room._data.lobby_extra_reason = event.reason;
	room._data.lobby_skip_display_name_check = event.skip_display_name_check;
	open_lobby(room);
	metadata(room, true);
	room:broadcast_message(st.message({ type = "groupchat", from = room.jid })
		:tag("x", { xmlns = MUC_USER }):tag("status", { code = "104" }));
end);

module:hook_global("destroy-lobby-room", function (event)
	close_lobby(event.room, event.newjid, event.message);
end);

function module.unload()
	filters.remove_filter_hook(filter_session);
end
