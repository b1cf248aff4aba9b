-- SPDX-License-Identifier: GPL-3.0-or-later
-- Managed by campus.jitsi.
--
-- Whoever tries passwords waits. Wrong ones are counted
--
--  * for a name from one address (campus_login_attempts),
--  * for a name from anywhere (four times as many, so that somebody elsewhere does not lock out a teacher so soon),
--  * for an address (twenty times as many, for a lecture hall may share one).
--
-- At the limit a login is refused for campus_login_period seconds before the password is looked at, and each wrong one after that
-- doubles it, up to eight times. A right password forgets what was counted for its name; the rest is forgotten little by little.

local encodings = require "util.encodings";
local new_cache = require "util.cache".new;
local now = require "util.time".now;
local pton = require "util.net".pton;
local st = require "util.stanza";

local base64, nodeprep, saslprep = encodings.base64, encodings.stringprep.nodeprep, encodings.stringprep.saslprep;

local attempts = module:get_option_number("campus_login_attempts", 5);
local period = module:get_option_number("campus_login_period", 30);
local FOR_NAME, FOR_ADDRESS, LONGEST = 4, 20, 8;

-- Bounded, so that names that nobody has do not fill the memory.
local counts = new_cache(20000);

-- A network of IPv6 belongs to one customer.
local function place(address)
	local packed = address and pton(address) or "";
	if packed:sub(1, 12) == ("\0"):rep(10) .. "\255\255" then
		return packed:sub(13);
	end
	return packed:sub(1, 8);
end

-- Whose password is about to be looked at, by what the client sends first (RFC 4616, RFC 5802).
local function name_in(mechanism, text)
	local message = base64.decode(text or "");
	local name;
	if message and mechanism == "PLAIN" then
		name = message:match("^[^%z]*%z([^%z]+)%z");
	elseif message and mechanism and mechanism:match("^SCRAM%-") then
		name = message:match("^[nyp][^,]*,[^,]*,n=([^,]*)");
		name = name and name:gsub("=2C", ","):gsub("=3D", "=");
	end
	local prepared = name and saslprep(name);
	return prepared and nodeprep(prepared) or nil;
end

-- What is counted, with how many times as much as for a name from one address.
local function counted(session)
	local name, from = session.campus_login_name, place(session.ip);
	local keys = { ["address " .. from] = FOR_ADDRESS };
	if name then
		keys["name " .. name] = FOR_NAME;
		keys["both " .. from .. " " .. name] = 1;
	end
	return keys;
end

local function refuse(session, seconds)
	session.send(st.stanza("failure", { xmlns = "urn:ietf:params:xml:ns:xmpp-sasl" })
		:tag("temporary-auth-failure"):up()
		:tag("text"):text(("Too many wrong passwords: try again in %d seconds."):format(math.ceil(seconds))));
	return true;
end

local function look(event)
	local session, stanza = event.origin, event.stanza;
	if session.type ~= "c2s_unauthed" then
		return;
	end
	if stanza.name == "auth" then
		session.campus_login_name = name_in(stanza.attr.mechanism, stanza:get_text());
	end
	local wait, time = 0, now();
	for key in pairs(counted(session)) do
		local count = counts:get(key);
		wait = math.max(wait, count and count.till - time or 0);
	end
	if wait > 0 then
		return refuse(session, wait);
	end
end

-- Also the second step of SCRAM: others may have tried since the first.
module:hook("stanza/urn:ietf:params:xml:ns:xmpp-sasl:auth", look, 100);
module:hook("stanza/urn:ietf:params:xml:ns:xmpp-sasl:response", look, 100);

local function failed(event)
	-- Not what has nothing to do with a password: a directory that does not answer, a broken message.
	if event.condition ~= "not-authorized" and event.condition ~= "account-disabled" then
		return;
	end
	local session, time = event.session, now();
	for key, times in pairs(counted(session)) do
		local limit = attempts * times;
		local count = counts:get(key) or { level = 0, at = time, strikes = 0, till = 0 };
		local left = math.max(0, count.level - (time - count.at) * times / (LONGEST * period));
		if left == 0 then
			count.strikes = 0;
		end
		count.level, count.at = left + 1, time;
		if count.level > limit - 0.5 then
			local seconds = period * math.min(LONGEST, 2 ^ count.strikes);
			count.till, count.strikes = time + seconds, count.strikes + 1;
			session.log("warn", "Too many wrong passwords %s: no further one is looked at for %d seconds",
				times == FOR_ADDRESS and "from one address" or ("for %q"):format(session.campus_login_name), math.floor(seconds));
		end
		counts:set(key, count);
	end
end

local function succeeded(event)
	local session = event.session;
	for key, times in pairs(counted(session)) do
		-- Whoever has an account could go on with others' from his address.
		if times ~= FOR_ADDRESS then
			counts:set(key, nil);
		end
	end
	session.campus_login_name = nil;
end

module:hook("authentication-failure", failed);
module:hook("authentication-success", succeeded);
