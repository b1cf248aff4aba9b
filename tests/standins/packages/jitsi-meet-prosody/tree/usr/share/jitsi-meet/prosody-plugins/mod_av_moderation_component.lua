-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: moderators decide who may unmute microphone,
-- camera or screen.

local standin = module:require "standin";

local muc_component = module:get_option_string("muc_component");
local main_host = module:get_option_string("muc_mapper_domain_base");
if not muc_component or not main_host then
	module:log("error", "muc_component and muc_mapper_domain_base must be set");
	return;
end

module:depends("jitsi_session");

local array = require "util.array";

local MEDIA = { "audio", "video", "desktop" };

local function is_media(name)
	return name == "audio" or name == "video" or name == "desktop";
end

local function tell(occupant, data)
	data.type = "av_moderation";
	standin.send_json(occupant.jid, data);
end

local function tell_state(room, media, enabled, actor, only)
	for _, occupant in room:each_occupant() do
		if not only or occupant == only then
			tell(occupant, {
				enabled = enabled, room = standin.to_public(room.jid), actor = standin.to_public(actor),
				mediaType = media
			});
		end
	end
end

--- Moderators get the whole list, the one concerned gets his own new state.
local function tell_list(room, media, concerned, removed)
	local lists = {};
	for name, list in pairs(room.av_moderation) do
		lists[name] = #list > 0 and list or nil;
	end
	for _, occupant in room:each_occupant() do
		local data = { room = standin.to_public(room.jid), mediaType = media, removed = removed or nil };
		if occupant.role == "moderator" then
			data.whitelists = lists;
			tell(occupant, data);
		elseif concerned and occupant.jid == concerned.jid then
			data.approved = not removed or nil;
			tell(occupant, data);
		end
	end
end

--- What newcomers start with: muted while moderation is on, as before once it is off.
local function set_start_muted(room, media, muted)
	room.jitsiMetadata = room.jitsiMetadata or {};
	local start = room.jitsiMetadata.startMuted or {};
	room.av_moderation_before = room.av_moderation_before or {};
	if muted then
		room.av_moderation_before[media] = start[media];
		start[media] = true;
	else
		start[media] = room.av_moderation_before[media];
	end
	room.jitsiMetadata.startMuted = start;
end

local function enable(room, media, actor)
	room.av_moderation = room.av_moderation or {};
	room.av_moderation_actors = room.av_moderation_actors or {};
	if room.av_moderation[media] then
		return;
	end
	local list = array();
	for _, occupant in room:each_occupant() do
		if occupant.role == "moderator" and not standin.is_focus_nick(occupant.nick) then
			list:push(standin.to_public(occupant.nick));
		end
	end
	room.av_moderation[media] = list;
	room.av_moderation_actors[media] = actor;
	set_start_muted(room, media, true);
	tell_state(room, media, true, actor);
	tell_list(room, media);
end

local function disable(room, media, actor)
	if not room.av_moderation then
		return;
	end
	room.av_moderation[media] = nil;
	room.av_moderation_actors[media] = nil;
	set_start_muted(room, media, false);
	if not next(room.av_moderation) then
		room.av_moderation = nil;
	end
	tell_state(room, media, false, actor);
end

local function approve(room, media, nick, actor)
	local occupant = room:get_occupant_by_nick(standin.to_internal(nick));
	if not occupant then
		return;
	end
	if not room.av_moderation then
		tell(occupant, { room = standin.to_public(room.jid), approved = true, mediaType = media, from = actor });
		return;
	end
	room.av_moderation[media] = room.av_moderation[media] or array();
	room.av_moderation[media]:push(nick);
	tell_list(room, media, occupant);
end

local function reject(room, media, nick)
	local occupant = room:get_occupant_by_nick(standin.to_internal(nick));
	local list = occupant and room.av_moderation and room.av_moderation[media];
	for i = list and #list or 0, 1, -1 do
		if list[i] == nick then
			table.remove(list, i);
			tell_list(room, media, occupant, true);
		end
	end
end

standin.serve("av_moderation", nil, function (command, room, occupant)
	local attr = command.attr;
	if occupant.role ~= "moderator" or not is_media(attr.mediaType) then
		module:log("warn", "%s may not moderate %s", occupant.jid, room.jid);
	elseif attr.enable == "true" then
		enable(room, attr.mediaType, occupant.nick);
	elseif attr.enable then
		disable(room, attr.mediaType, occupant.nick);
	elseif attr.jidToWhitelist then
		approve(room, attr.mediaType, attr.jidToWhitelist, occupant.nick);
	elseif attr.jidToBlacklist then
		reject(room, attr.mediaType, attr.jidToBlacklist);
	end
end);

standin.on_muc(muc_component, function (_, host_module)
	-- After the modules that settle roles.
	host_module:hook("muc-occupant-joined", function (event)
		local room, occupant = event.room, event.occupant;
		if not room.av_moderation or standin.is_admin(occupant.bare_jid) then
			return;
		end
		for _, media in ipairs(MEDIA) do
			if room.av_moderation[media] then
				tell_state(room, media, true, room.av_moderation_actors[media], occupant);
				if occupant.role == "moderator" then
					tell_list(room, media);
				end
			end
		end
	end, -2);
	host_module:hook("muc-set-affiliation", function (event)
		local room = event.room;
		if not room.av_moderation or event.affiliation ~= "owner" or standin.is_admin(event.jid) then
			return;
		end
		for _, occupant in room:each_occupant() do
			if occupant.bare_jid == event.jid then
				for media, list in pairs(room.av_moderation) do
					list:push(standin.to_public(occupant.nick));
					if event.actor then
						tell_list(room, media);
					end
				end
			end
		end
	end, -1);
end);

standin.announce(main_host, "av_moderation", module.host);
