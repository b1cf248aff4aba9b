-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: GET /room-census: all meetings with the number
-- of their participants. There is no authentication.

local json = require "util.json";
local standin = module:require "standin";

module:depends("http");

local component = module:get_option_string("muc_mapper_domain_prefix", "conference") .. "." .. module.host;

local function census()
	local host = prosody.hosts[component];
	if not host or not host.modules.muc then
		return 400;
	end
	local rooms = {};
	for room in host.modules.muc.each_room() do
		if not standin.is_healthcheck(room.jid) then
			local count = -1; -- the focus
			for _ in room:each_occupant() do
				count = count + 1;
			end
			table.insert(rooms, {
				room_name = room.jid, participants = count, created_time = room.created_timestamp, leaked = false
			});
		end
	end
	return '{"room_census":' .. (#rooms == 0 and "[]" or json.encode(rooms)) .. "}";
end

module:provides("http", { default_path = "/", route = { ["GET room-census"] = census } });
