-- SPDX-License-Identifier: GPL-3.0-or-later
-- Managed by campus.jitsi.
--
-- Two things that mod_external_services leaves open.
--
-- It names credentials for a TURN server after the second in which they end. All who come in one second are then one user to the
-- TURN server, and share one quota. Here each session is a user of its own, "END:REGION.ID": the region is the server's, the ID
-- belongs to the session and says nothing of it.
--
-- And it reads its settings once. Here it reads them again when Prosody reloads its configuration, so that a new secret or server
-- needs no restart, which would throw everybody out of every room.

local base64 = require "util.encodings".base64;
local hashes = require "util.hashes";
local modulemanager = require "core.modulemanager";
local new_id = require "util.id".long;

local salt = new_id();

local function password(secret, username)
	return base64.encode(hashes.hmac_sha1(secret, username));
end

local function name_session(event)
	local secret = module:get_option_string("external_service_secret");
	local regions = module:get_option("campus_turn_regions", {});
	local session = event.origin;
	local id = hashes.sha256(salt .. (session.full_jid or session.conn_id or ""), true):sub(1, 16);
	for _, service in ipairs(event.services) do
		local name = service.username;
		-- Only what was made with the secret of the installation.
		if secret and name and name:match("^%d+$") and service.password == password(secret, name) then
			local region = regions[service.host];
			service.username = name .. ":" .. (region and region .. "." or "") .. id;
			service.password = password(secret, service.username);
		end
	end
end

module:hook("external_service/services", name_session);
module:hook("external_service/credentials", name_session);

module:hook_global("config-reloaded", function()
	if modulemanager.is_loaded(module.host, "external_services") then
		local done, why = modulemanager.reload(module.host, "external_services");
		if not done then
			module:log("error", "The TURN servers are still the former ones: %s", why);
		end
	end
end);
