-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: maps room@conference.tenant.base, which clients
-- use, to [tenant]room@conference.base, which is one component.

local cache = require "util.cache";
local filters = require "util.filters";
local jid = require "util.jid";
local standin = module:require "standin";

if not module:get_option_string("muc_mapper_domain_base") then
	module:log("warn", "No 'muc_mapper_domain_base': tenants do not work.");
	return;
end

-- Requests to the component of a tenant itself, by their id: the answer must come from where the question went to.
local asked = cache.new(1000);

local function inward(event)
	local attr = event.stanza.attr;
	if not attr.to then
		return;
	end
	local to = standin.to_internal(attr.to);
	if to ~= attr.to and attr.id and not jid.node(to) then
		asked:set(attr.id, attr.to);
	end
	attr.to = to;
end

local function outward(event)
	local attr = event.stanza.attr;
	if not attr.from then
		return;
	end
	local is_answer = attr.type == "result" or attr.type == "error";
	local original = is_answer and attr.id and asked:get(attr.id);
	if original then
		asked:set(attr.id, nil);
		attr.from = original;
	else
		attr.from = standin.to_public(attr.from);
	end
end

-- What clients send (pre-) and what arrives at a host.
local function watch(host)
	local host_module = module:context(host);
	for _, name in ipairs { "message", "presence", "iq" } do
		for _, kind in ipairs { "host", "bare", "full" } do
			host_module:hook("pre-" .. name .. "/" .. kind, inward);
			host_module:hook(name .. "/" .. kind, outward);
		end
	end
end

local function rewrite(stanza, session)
	if stanza.skipMapping or session.type == "s2sout" or not stanza.attr then
		return stanza;
	end
	if stanza.name == "iq" then
		local conference = stanza:get_child("conference");
		if conference and conference.attr.room then
			conference.attr.room = standin.to_internal(conference.attr.room);
		end
	end
	inward({ stanza = stanza });
	outward({ stanza = stanza });
	return stanza;
end

local function filter_session(session)
	filters.add_filter(session, "stanzas/out", rewrite);
end

function module.load()
	filters.add_filter_hook(filter_session);
end

function module.unload()
	filters.remove_filter_hook(filter_session);
end

module:hook_global("host-activated", watch);
for host in pairs(prosody.hosts) do
	watch(host);
end
