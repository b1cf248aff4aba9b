-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: forwards IQs sent to the component to one
-- account, and its answers back.
--
-- The asking JID travels in the resource of our own address, so that the account can answer an IQ that came from a
-- client of which it knows nothing.

if module:get_host_type() ~= "component" then
	error("mod_client_proxy must be loaded as a component", 0);
end

local jid = require "util.jid";
local st = require "util.stanza";

local target = module:get_option_string("target_address");
-- Resources of the account that are online, in the order in which they came.
local online = {};

local function forget(resource)
	for i = #online, 1, -1 do
		if resource == nil or online[i] == resource then
			table.remove(online, i);
		end
	end
end

local function target_presence(stanza)
	local kind, resource = stanza.attr.type, jid.resource(stanza.attr.from);
	if kind == "error" then
		forget();
	elseif kind == "unavailable" then
		forget(resource);
	elseif kind == nil and resource then
		forget(resource);
		table.insert(online, resource);
	end
end

local function refuse(stanza, condition)
	if stanza.attr.type ~= "error" and stanza.attr.type ~= "result" then
		module:send(st.error_reply(stanza, "cancel", condition));
	end
end

local function from_target(stanza)
	local asker = jid.resource(stanza.attr.to);
	if not asker then
		if stanza.name == "presence" then
			target_presence(stanza);
		else
			refuse(stanza, "bad-request");
		end
	elseif stanza.name == "iq" and (stanza.attr.type == "result" or stanza.attr.type == "error") then
		asker = jid.prep(asker);
		if asker then
			stanza.attr.from, stanza.attr.to = module.host, asker;
			module:send(stanza);
		end
	else
		refuse(stanza, "feature-not-implemented");
	end
end

local function to_target(stanza)
	if stanza.name == "presence" then
		refuse(stanza, "bad-request");
	elseif stanza.name == "message" then
		refuse(stanza, "feature-not-implemented");
	elseif stanza.attr.type == "get" or stanza.attr.type == "set" then
		if #online == 0 then
			refuse(stanza, "service-unavailable");
			return;
		end
		stanza.attr.from = module.host .. "/" .. stanza.attr.from;
		stanza.attr.to = target .. "/" .. online[math.random(#online)];
		module:send(stanza);
	end
end

local function handle(event)
	if jid.bare(event.stanza.attr.from) == target then
		from_target(event.stanza);
	else
		to_target(event.stanza);
	end
	return true;
end

for _, name in ipairs { "iq", "message", "presence" } do
	for _, kind in ipairs { "bare", "full", "host" } do
		module:hook(name .. "/" .. kind, handle, -1);
	end
end

-- The account tells its presence only to whom it has in its roster (mod_roster_command, or Prosody's shell).
module:send(st.presence({ type = "subscribe", from = module.host, to = target }));
