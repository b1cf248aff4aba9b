-- SPDX-License-Identifier: GPL-3.0-or-later
-- Managed by campus.jitsi.
--
-- Guessing passwords takes time here: so many failures for one name, or twenty times as many from one address, and further tries are
-- turned away for a while, before anybody looks at the password. The while is short, so that who is attacked is not locked out for long.
--
-- And a directory that does not answer holds up all of Prosody while it is asked (mod_auth_ldap waits for it). Once that was seen,
-- logins are turned away at once for some seconds, and meetings go on.

local base64 = require "util.encodings".base64;
local new_cache = require "util.cache".new;
local now = require "util.time".now;
local st = require "util.stanza";

local attempts = module:get_option_number("campus_login_attempts", 10);
local period = module:get_option_number("campus_login_period", 60);
local ADDRESS_FACTOR = 20;
local SLOW, PAUSE = 2.5, 15; -- seconds
local xmlns_sasl = "urn:ietf:params:xml:ns:xmpp-sasl";

local failures = { user = new_cache(20000), address = new_cache(20000) };
local paused_until = 0;

-- How often it failed within the period; `add` counts one more.
local function count(kind, key, add)
	local entry = key and failures[kind]:get(key);
	if not entry or now() - entry.since > period then
		entry = { since = now(), number = 0 };
	end
	if add and key then
		entry.number = entry.number + 1;
		failures[kind]:set(key, entry);
	end
	return entry.number;
end

-- Who logs in, as far as the first message says: PLAIN (RFC 4616) or SCRAM (RFC 5802).
local function name_in(stanza)
	local text = base64.decode(stanza:get_text() or "") or "";
	local name = text:match("^[^%z]*%z([^%z]+)%z") or text:match("^[ny][^,]*,[^,]*,n=([^,]+),");
	return name and name:sub(1, 256):lower();
end

local function refuse(session, why)
	session.send(st.stanza("failure", { xmlns = xmlns_sasl }):tag("temporary-auth-failure"):up():text_tag("text", why));
	return true;
end

module:hook("stanza/" .. xmlns_sasl .. ":auth", function (event)
	local session, stanza = event.origin, event.stanza;
	if session.type ~= "c2s_unauthed" then
		return;
	end
	if now() < paused_until then
		return refuse(session, "The directory does not answer");
	end
	local name = name_in(stanza);
	if count("user", name) >= attempts or count("address", session.ip) >= attempts * ADDRESS_FACTOR then
		if name and count("user", name, true) == attempts + 1 then
			module:log("warn", "Too many failed logins as %s: further ones are turned away for %d s", name, period);
		end
		return refuse(session, "Too many attempts, try again later");
	end
	session.campus_login = { name = name, began = now() };
end, 10);

module:hook("authentication-failure", function (event)
	local login = event.session.campus_login;
	if not login then
		return;
	end
	if now() - login.began > SLOW then
		paused_until = now() + PAUSE;
		module:log("error", "The directory does not answer: logins are turned away for %d s", PAUSE);
		return;
	end
	count("user", login.name, true);
	count("address", event.session.ip, true);
	module:log("info", "Failed login as %s", login.name or "somebody");
end);

module:hook("authentication-success", function (event)
	local login = event.session.campus_login;
	if login and login.name then
		failures.user:set(login.name, nil);
	end
end);
