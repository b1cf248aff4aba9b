-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: how long each occupant has been the one who
-- speaks.

local standin = module:require "standin";

local muc_component = module:get_option_string("muc_component");
local main_host = module:get_option_string("muc_mapper_domain_base");
if not muc_component or not main_host then
	module:log("error", "muc_component and muc_mapper_domain_base must be set");
	return;
end

module:depends("jitsi_session");

local gettime = require "util.time".now;
local jid = require "util.jid";

local history = module:get_option_number("faceLandmarks_history_size", 20);

local function milliseconds()
	return math.floor(gettime() * 1000);
end

--- Ends or begins a stretch of speech.
local function set_speaking(entry, speaking)
	if entry.since then
		entry.total = entry.total + milliseconds() - entry.since;
	end
	entry.since = speaking and milliseconds() or nil;
end

-- The client names the room itself here, so this does not go through standin.serve.
module:hook("message/host", function (event)
	local stanza = event.stanza;
	local speech = stanza:get_child("speakerstats", standin.NS);
	local face = stanza:get_child("faceLandmarks", standin.NS);
	local payload = speech or face;
	if stanza.attr.type == "error" or not payload or not payload.attr.room then
		return;
	end
	local room = standin.room(standin.to_internal(payload.attr.room));
	local stats = room and room.speakerStats;
	local occupant = stats and room:get_occupant_by_real_jid(stanza.attr.from);
	local entry = occupant and stats[occupant.jid];
	if not entry then
		return true;
	end
	if speech then
		for _, other in pairs(stats) do
			if other ~= entry and other.since then
				set_speaking(other, false);
			end
		end
		set_speaking(entry, speech.attr.silence ~= "true");
	else
		table.insert(entry.faces, {
			faceExpression = face.attr.faceExpression,
			timestamp = tonumber(face.attr.timestamp), duration = tonumber(face.attr.duration)
		});
		if #entry.faces > history then
			table.remove(entry.faces, 1);
		end
	end
	return true;
end);

local function joined(event)
	local room, occupant = event.room, event.occupant;
	local stats = room.speakerStats;
	if not stats or standin.is_admin(occupant.bare_jid) or standin.is_service(occupant.jid) then
		return;
	end
	local users = {};
	for real_jid, entry in pairs(stats) do
		local total = entry.total + (entry.since and milliseconds() - entry.since or 0);
		if total > 0 or #entry.faces > 0 or not room:get_occupant_jid(real_jid) then
			users[entry.nick] = {
				displayName = entry.name, totalDominantSpeakerTime = total, faceLandmarks = entry.faces
			};
		end
	end
	if next(users) then
		standin.send_json(occupant.jid, { type = "speakerstats", users = users });
	end
	stats[occupant.jid] = { nick = jid.resource(occupant.nick), total = 0, faces = {} };
end

local function leaves(event)
	local entry = event.room.speakerStats and event.room.speakerStats[event.occupant.jid];
	if entry then
		set_speaking(entry, false);
		entry.name = standin.display_name(event.occupant);
	end
end

local function watch(host)
	standin.on_muc(host, function (_, host_module)
		host_module:hook("muc-room-created", function (event)
			if not standin.is_healthcheck(event.room.jid) then
				event.room.speakerStats = {};
			end
		end, -1);
		host_module:hook("muc-occupant-joined", joined, -1);
		host_module:hook("muc-occupant-pre-leave", leaves, -1);
	end);
end

watch(muc_component);
watch("breakout." .. main_host);
standin.announce(main_host, "speakerstats", module.host);
