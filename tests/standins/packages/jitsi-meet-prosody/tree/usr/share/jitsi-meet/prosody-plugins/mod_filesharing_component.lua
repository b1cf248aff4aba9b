-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: the list of the files that were shared in a
-- room. The files themselves are elsewhere.

local standin = module:require "standin";

local muc_component = module:get_option_string("muc_component");
local main_host = module:get_option_string("muc_mapper_domain_base");
if not muc_component or not main_host then
	module:log("error", "muc_component and muc_mapper_domain_base must be set");
	return;
end

module:depends("jitsi_session");

local jid = require "util.jid";
local json = require "util.json";
local st = require "util.stanza";

standin.serve("file-sharing", standin.NS, function (payload, room, occupant, event)
	local features = event.origin.jitsi_meet_context_features;
	local allowed = room:get_affiliation(occupant.bare_jid) == "owner";
	if features then
		allowed = tostring(features["file-upload"]) == "true";
	end
	if not allowed then
		event.origin.send(st.error_reply(event.stanza, "auth", "forbidden"));
		return;
	end
	room.jitsi_shared_files = room.jitsi_shared_files or {};
	if payload.attr.type == "add" then
		local file = json.decode(payload:get_text() or "");
		if type(file) ~= "table" or not file.fileId then
			module:log("warn", "Not a file: %s", payload);
			return;
		end
		file.authorParticipantId = jid.resource(occupant.nick);
		file.authorParticipantJid = occupant.jid;
		file.authorParticipantName = standin.display_name(occupant) or "anonymous";
		file.conferenceFullName = standin.to_public(room.jid);
		room.jitsi_shared_files[file.fileId] = file;
		standin.broadcast_json(room, { type = "file-sharing", event = "add", file = file }, occupant.nick);
	elseif payload.attr.type == "remove" and payload.attr.fileId then
		room.jitsi_shared_files[payload.attr.fileId] = nil;
		standin.broadcast_json(room,
			{ type = "file-sharing", event = "remove", fileId = payload.attr.fileId }, occupant.nick);
	end
end);

standin.on_muc(muc_component, function (_, host_module)
	host_module:hook("muc-occupant-joined", function (event)
		local files = event.room.jitsi_shared_files;
		if files and next(files) and not standin.is_admin(event.occupant.bare_jid) then
			standin.send_json(event.occupant.jid, { type = "file-sharing", event = "list", files = files });
		end
	end, -10);
end);

standin.announce(main_host, "file-sharing", module.host);
