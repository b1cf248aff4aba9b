-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: slows down addresses that log in too often and
-- sessions that send too much.

local cache = require "util.cache";
local filters = require "util.filters";
local ip = require "util.ip";
local now = require "util.time".now;
local throttle = require "util.throttle";

local login_rate = module:get_option_number("rate_limit_login_rate", 3);
local ip_rate = module:get_option_number("rate_limit_ip_rate", 2000);
local session_rate = module:get_option_number("rate_limit_session_rate", 1000);
local timeout = module:get_option_number("rate_limit_timeout", 60);
local max_violations = module:get_option_number("rate_limit_max_violations", 10);
local exempt = module:get_option_set("rate_limit_whitelist", { "127.0.0.1", "::1" });
local exempt_hosts = module:get_option_set("rate_limit_whitelist_hosts", {});
local cache_size = module:get_option_number("rate_limit_cache_size", 10000);
local stanza_rates = {
	presence = module:get_option_number("rate_limit_presence_rate", 4);
	iq = module:get_option_number("rate_limit_iq_rate", 15);
	message = module:get_option_number("rate_limit_message_rate", 3);
};

local logins = cache.new(cache_size);
local limited = cache.new(cache_size);

local function is_exempt(address)
	local parsed = ip.new_ip(address);
	for entry in exempt do
		if parsed and ip.match(parsed, ip.parse_cidr(entry)) then
			return true;
		end
	end
	return false;
end

--- Reads no more than rate bytes a second from the session.
local function slow_down(session, rate, seconds)
	if session.standin_slow or not (session.conn and session.conn.setlimit) then
		return;
	end
	module:log("info", "Limiting %s to %d bytes/s", session.ip, rate);
	session.standin_slow = true;
	session.conn:setlimit(rate);
	if seconds then
		module:add_timer(seconds, function ()
			if session.conn then
				session.conn:setlimit(0);
			end
			session.standin_slow, session.standin_violations = nil, 0;
		end);
	end
end

local function count_stanza(stanza, session)
	local rate = session.standin_rates and session.standin_rates[stanza.name];
	if rate and not rate:poll(1, true) then
		if session.standin_slow then
			session.standin_violations = (session.standin_violations or 0) + 1;
			if session.standin_violations >= max_violations then
				session:close({ condition = "policy-violation", text = "Rate limit exceeded" });
				return;
			end
		end
		slow_down(session, session_rate, timeout);
	end
	return stanza;
end

local function new_session(session)
	local address = session.ip;
	if session.outgoing or not address or is_exempt(address) or exempt_hosts:contains(session.host) then
		return;
	end
	local rate = logins:get(address);
	if not rate then
		rate = throttle.create(login_rate, 2);
		logins:set(address, rate);
	end
	if not rate:poll(1, true) then
		limited:set(address, now());
	end
	session.standin_rates = {};
	for name, per_second in pairs(stanza_rates) do
		session.standin_rates[name] = throttle.create(per_second, 2);
	end
	filters.add_filter(session, "stanzas/in", count_stanza);
	local since = limited:get(address);
	if since and now() - since < timeout then
		slow_down(session, ip_rate);
	elseif since then
		limited:set(address, nil);
	end
end

function module.load()
	filters.add_filter_hook(new_session);
end

function module.unload()
	filters.remove_filter_hook(new_session);
end
