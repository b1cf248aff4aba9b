-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: URL parameters of a BOSH or WebSocket
-- connection, kept in the session.

module:set_global();

local formdecode = require "util.http".formdecode;
local region_header = module:get_option_string("region_header_name", "x_proxy_region");

local function remember(event)
	local session, request = event.session, event.request;
	local headers = request.headers;
	local query = request.url.query and formdecode(request.url.query) or {};
	if type(query) ~= "table" then
		query = {};
	end
	session.previd = query.previd;
	session.customusername = query.customusername;
	session.jitsi_web_query_room = query.room;
	session.jitsi_web_query_prefix = query.prefix or "";
	session.user_region = headers[region_header];
	session.user_agent_header = headers.user_agent;
	-- "Bearer ..." or the URL's token, which wins.
	session.auth_token = query.token or (headers.authorization and headers.authorization:sub(8));
end

module:hook_global("bosh-session", remember, 1);
module:hook_global("websocket-session", remember, 1);
