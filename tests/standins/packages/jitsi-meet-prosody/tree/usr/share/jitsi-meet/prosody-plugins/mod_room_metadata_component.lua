-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: facts about a room that moderators set and
-- everybody reads; newcomers also get the TURN servers.

local standin = module:require "standin";

local muc_component = module:get_option_string("muc_component");
local main_host = module:get_option_string("muc_mapper_domain_base");
if not muc_component or not main_host then
	module:log("error", "muc_component and muc_mapper_domain_base must be set");
	return;
end

module:depends("jitsi_session");

local datetime = require "util.datetime";
local filters = require "util.filters";
local jid = require "util.jid";
local json = require "util.json";
local st = require "util.stanza";

local external_services = module:depends("external_services");
local breakout_component = module:get_option_string("breakout_rooms_component");
-- The misspelling is the option's real name.
local occupants_only = module:get_option_boolean("extdisco_occpuant_check", false);
local blocked = module:get_option_set("room_metadata_blocked_keys", {
	"allownersEnabled", "asyncTranscription", "audioTranslationAvailable", "audioTranslationRequests",
	"conferencePresetsServiceEnabled", "dialinEnabled", "moderators", "participants", "participantsSoftLimit",
	"services", "transcriberType", "transcription", "visitorsEnabled",
});

local function services()
	local list = {};
	for _, service in ipairs(external_services.get_services()) do
		table.insert(list, {
			type = service.type, transport = service.transport, host = service.host,
			port = service.port and string.format("%d", service.port),
			username = service.username, password = service.password,
			expires = service.expires and datetime.datetime(service.expires),
			restricted = service.restricted and "1" or nil,
		});
	end
	return list;
end

local function send(room, occupant, with_services)
	local metadata = {};
	for key, value in pairs(room.jitsiMetadata or {}) do
		metadata[key] = value;
	end
	if with_services and not standin.is_admin(occupant.bare_jid) then
		metadata.services = services();
	end
	standin.send_json(occupant.jid, { type = "room_metadata", metadata = metadata },
		{ room = standin.to_public(room.jid) });
end

local function broadcast(room)
	for _, occupant in room:each_occupant() do
		send(room, occupant);
	end
end

standin.serve("room_metadata", standin.NS, function (payload, _, _, event)
	local room = payload.attr.room and standin.room(standin.to_internal(payload.attr.room));
	local occupant = room and room:get_occupant_by_real_jid(event.stanza.attr.from);
	local change = json.decode(payload:get_text() or "");
	if not occupant or type(change) ~= "table" or type(change.key) ~= "string" or change.data == nil then
		module:log("warn", "Not a change of metadata from %s", event.stanza.attr.from);
		return;
	end
	if occupant.role ~= "moderator" or blocked:contains(change.key) then
		module:log("warn", "%s may not set %s in %s", occupant.jid, change.key, room.jid);
		return;
	end
	room.jitsiMetadata = room.jitsiMetadata or {};
	if json.encode({ room.jitsiMetadata[change.key] }) ~= json.encode({ change.data }) then
		room.jitsiMetadata[change.key] = change.data;
		broadcast(room);
	end
end);

local function room_created(event)
	if not standin.is_healthcheck(event.room.jid) then
		event.room.jitsiMetadata = event.room.jitsiMetadata or {};
		event.room.metadata_sent = {};
	end
end

standin.on_muc(muc_component, function (_, host_module)
	host_module:hook("muc-room-created", room_created, -1);
	host_module:hook("room-metadata-changed", function (event)
		broadcast(event.room);
	end);
	host_module:hook("muc-occupant-left", function (event)
		if event.room.metadata_sent then
			event.room.metadata_sent[event.occupant.bare_jid] = nil;
		end
	end);
	-- Moderators say in presence how newcomers start.
	host_module:hook("muc-broadcast-presence", function (event)
		local room = event.room;
		local wish = event.occupant.role == "moderator"
			and event.stanza:get_child("startmuted", standin.NS .. "/start-muted");
		if not wish or not room.jitsiMetadata then
			return;
		end
		local start = room.jitsiMetadata.startMuted or {};
		local audio, video = wish.attr.audio == "true", wish.attr.video == "true";
		if start.audio ~= audio or start.video ~= video then
			start.audio, start.video = audio, video;
			room.jitsiMetadata.startMuted = start;
			broadcast(room);
		end
	end);
end);

if breakout_component then
	standin.on_muc(breakout_component, function (_, host_module)
		host_module:hook("muc-room-created", room_created, -1);
	end);
end

-- The own presence (status 110) ends a join: what is sent just before it is there when the client has joined.
local function before_own_presence(stanza)
	local x = stanza.name == "presence" and not stanza.attr.type
		and stanza:get_child("x", "http://jabber.org/protocol/muc#user");
	if not x then
		return stanza;
	end
	for status in x:childtags("status") do
		local room = status.attr.code == "110" and standin.room(standin.to_internal(jid.bare(stanza.attr.from)));
		local bare = jid.bare(stanza.attr.to);
		if room and room.metadata_sent and not room.metadata_sent[bare] then
			local occupant = room:get_occupant_by_real_jid(stanza.attr.to);
			if occupant then
				room.metadata_sent[bare] = true;
				send(room, occupant, true);
			end
		end
	end
	return stanza;
end

local function filter_session(session)
	filters.add_filter(session, "stanzas/out", before_own_presence, -3);
end

function module.load()
	filters.add_filter_hook(filter_session);
end

function module.unload()
	filters.remove_filter_hook(filter_session);
end

if occupants_only then
	standin.on_host(main_host, function (host_module)
		local function check(event)
			local room = standin.room_of_session(event.origin);
			if not room or not standin.occupant(room, event.stanza.attr.from or event.origin.full_jid) then
				event.origin.send(st.error_reply(event.stanza, "auth", "forbidden"));
				return true;
			end
		end
		for _, version in ipairs { 1, 2 } do
			host_module:hook("iq-get/host/urn:xmpp:extdisco:" .. version .. ":services", check, 100);
		end
	end);
end

standin.announce(main_host, "room_metadata", module.host);
