-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: GET /room-size, /room and /sessions. Tokens are
-- not verified here.

local formdecode = require "util.http".formdecode;
local jid = require "util.jid";
local json = require "util.json";
local standin = module:require "standin";

module:depends("http");

local prefix = module:get_option_string("muc_mapper_domain_prefix", "conference");
if module:get_option_boolean("enable_roomsize_token_verification", false) then
	module:log("error", "The stand-in cannot verify tokens: room sizes are not served.");
	return;
end

local function find(event)
	local query = event.request.url.query and formdecode(event.request.url.query);
	if type(query) ~= "table" or not query.room or not query.domain then
		return nil, 400;
	end
	local name = query.room;
	if query.subdomain and query.subdomain ~= "" then
		name = "[" .. query.subdomain .. "]" .. name;
	end
	local room = standin.room(jid.join(name, prefix .. "." .. query.domain));
	return room, 404;
end

local function size(event)
	local room, status = find(event);
	if not room then
		return status;
	end
	local count = 0;
	for _ in room:each_occupant() do
		count = count + 1;
	end
	return json.encode({ participants = count > 1 and count - 1 or count });
end

local function occupants(event)
	local room, status = find(event);
	if not room then
		return status;
	end
	local list = {};
	for _, occupant in room:each_occupant() do
		if not standin.is_focus_nick(occupant.nick) then
			local presence = occupant:get_presence();
			table.insert(list, {
				jid = occupant.nick, email = presence:get_child_text("email") or "",
				display_name = standin.display_name(occupant) or ""
			});
		end
	end
	return #list == 0 and "[]" or json.encode(list);
end

local function sessions()
	local count = 0;
	for _ in pairs(prosody.full_sessions) do
		count = count + 1;
	end
	return tostring(count);
end

module:provides("http", {
	default_path = "/";
	route = { ["GET /room-size"] = size, ["GET /room"] = occupants, ["GET /sessions"] = sessions };
});
