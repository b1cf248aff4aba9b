-- SPDX-License-Identifier: GPL-3.0-or-later
-- Managed by campus.jitsi.
--
-- What Prosody's auth_ldap leaves to chance. It waits for the directory, and everybody in every room waits with it, three times over for
-- each login. Here
--
--  * a server that did not answer is left out until a look from the side, for which nobody waits, finds it answering again;
--  * the others are asked instead, also when one takes connections and says nothing;
--  * while none is left, logins are refused at once, as a temporary failure, and the log says why;
--  * a connection that went dead is not kept (auth_ldap would try it again for as long as the system lets it), nor one that was idle,
--    which a firewall in between may have forgotten without a word;
--  * a reference to another server is no user (auth_ldap takes its address for a name; Active Directory has such at the top).

local lualdap = require "lualdap";
local server = require "net.server";
local socket = require "socket";
local now = require "util.time".now;
local st = require "util.stanza";
local usermanager = require "core.usermanager";

local option = module:get_option_string("ldap_server", "localhost");
local service, service_password = module:get_option_string("ldap_rootdn", ""), module:get_option_string("ldap_password", "");
-- Seconds between two looks at a server that is left out, for each look, and until the account that reads is tried again where it was
-- refused: some directories lock an account after a few wrong passwords.
local EVERY, LOOK, LOCKED = 5, 3, 60;
-- Seconds after which a connection is idle.
local IDLE = 30;

local servers = {};
for uri in option:gmatch("%S+") do
	servers[#servers + 1] = uri;
end
local away, watched = {}, false;

-- What says nothing of the password (in libldap's words): the server is not there, not what it should be, or busy.
local NOBODY = {
	["Can't contact LDAP server"] = "it cannot be reached, or its certificate is not accepted",
	["Connect error"] = "its certificate is not accepted",
	["Timed out"] = "it takes connections and says nothing",
	["Local error"] = "local error",
	["Decoding error"] = "it speaks no LDAP",
	["Protocol error"] = "it has no StartTLS",
	["Confidentiality required"] = "it wants TLS",
	["Server is busy"] = "it is busy",
	["Server is unavailable"] = "it is unavailable",
};

local function none_left()
	for _, uri in ipairs(servers) do
		if not away[uri] then
			return false;
		end
	end
	return true;
end

-- A request for StartTLS (RFC 4511, 4.14): every server says something to it, also one that expects TLS.
local REQUEST = "\48\29\2\1\1\119\24\128\22" .. "1.3.6.1.4.1.1466.20037";

local function back(uri)
	if away[uri] then
		away[uri] = nil;
		module:log("info", "LDAP server %s answers again", uri);
	end
end

-- One look, for which nobody waits.
local function look_at(uri)
	local scheme, host, port = uri:match("^(ldaps?)://([^:/]+):?(%d*)");
	local addresses = away[uri].addresses;
	if not addresses then
		-- libldap asked for the same name a moment ago.
		addresses = host and socket.dns.getaddrinfo(host) or {};
		away[uri].addresses = addresses;
	end
	if not addresses[1] then
		return back(uri);
	end
	for _, address in ipairs(addresses) do
		local connected, done = false, false;
		local listeners = {};
		function listeners.onconnect(conn)
			connected = true;
			conn:write(REQUEST);
		end
		function listeners.onincoming(conn)
			done = true;
			back(uri);
			conn:close();
		end
		function listeners.ondisconnect()
			-- Some end a connection without TLS at once, and without a word.
			if connected and not done and scheme == "ldaps" then
				back(uri);
			end
			done = true;
		end
		local conn = server.addclient(address.addr, tonumber(port) or (scheme == "ldaps" and 636 or 389), listeners, "*a");
		if conn then
			module:add_timer(LOOK, function ()
				if not done then
					done = true;
					conn:close();
				end
			end);
		end
	end
end

local function watch()
	for uri, state in pairs(away) do
		if now() >= state.till then
			look_at(uri);
		end
	end
	watched = next(away) ~= nil;
	return watched and EVERY or nil;
end

local function leave_out(uri, why, seconds)
	if away[uri] then
		return;
	end
	away[uri] = { why = why, till = now() + (seconds or 0) };
	if none_left() then
		local all = {};
		for _, each in ipairs(servers) do
			all[#all + 1] = each .. ": " .. away[each].why;
		end
		module:log("error", "No LDAP server answers, and logins are refused until one does (%s)", table.concat(all, "; "));
	else
		module:log("warn", "LDAP server %s is left out until it answers (%s)", uri, why);
	end
	if not watched then
		watched = true;
		module:add_timer(EVERY, watch);
	end
end

local open_simple = lualdap.open_simple;

-- A connection to the first server that has one, and which that is; or nothing, and why.
local function connect(reads, who, password, ...)
	for _, uri in ipairs(servers) do
		if not away[uri] then
			local ld, err = open_simple(uri, who, password, ...);
			if ld then
				return ld, uri;
			elseif reads and not NOBODY[err] then
				leave_out(uri, ("it refuses the account that reads, %q: %s"):format(service, err), LOCKED);
			elseif NOBODY[err] or tostring(err):match("^LuaLDAP: ") then
				leave_out(uri, NOBODY[err] or err);
			else
				return nil, err;
			end
		end
	end
	return nil, "no LDAP server answers";
end

-- A connection of the account that reads, as auth_ldap uses it.
local function guarded(ld, uri, tls)
	local proxy, used = {}, now();
	function proxy.search(_, what)
		if now() - used > IDLE then
			ld:close();
			ld, uri = connect(true, service, service_password, tls);
			if not ld then
				error(uri, 0);
			end
		end
		used = now();
		-- When this fails, auth_ldap connects anew.
		local iterator, invariant, initial = ld:search(what);
		return function (...)
			while true do
				local dn, attributes = iterator(...);
				if not dn and attributes then
					if tostring(attributes):match("timeout") then
						leave_out(uri, NOBODY["Timed out"]);
					end
					ld:close();
					error(attributes, 0);
				elseif not dn or attributes then
					return dn, attributes;
				end
			end
		end, invariant, initial;
	end
	function proxy.modify(_, ...)
		return ld:modify(...);
	end
	function proxy.close()
		return ld:close();
	end
	return proxy;
end

local function open(list, who, password, tls, ...)
	if list ~= option then
		return open_simple(list, who, password, tls, ...);
	end
	local reads = who == service and password == service_password;
	-- Without either, a directory takes it for a login as nobody, and says yes.
	if not reads and (not who or who == "" or not password or password == "") then
		return nil, "Invalid credentials";
	end
	local ld, uri = connect(reads, who, password, tls, ...);
	if not ld then
		return nil, uri;
	elseif reads then
		return guarded(ld, uri, tls);
	end
	-- It is not used any more, and the next collection of garbage may be far.
	ld:close();
	return true;
end

lualdap.open_simple = open;
function module.unload()
	if lualdap.open_simple == open then
		lualdap.open_simple = open_simple;
	end
end

local CONDITION, TEXT = "temporary-auth-failure", "The directory does not answer: try again later.";

module:hook("stanza/urn:ietf:params:xml:ns:xmpp-sasl:auth", function (event)
	local session = event.origin;
	if session.type ~= "c2s_unauthed" then
		return;
	end
	if none_left() then
		session.log("info", "Login refused: no LDAP server answers");
		session.send(st.stanza("failure", { xmlns = "urn:ietf:params:xml:ns:xmpp-sasl" }):tag(CONDITION):up():tag("text"):text(TEXT));
		return true;
	end
	-- The one whose login finds out hears the same, and not that his password is wrong.
	if not session.sasl_handler or session.sasl_handler.selected then
		session.sasl_handler = usermanager.get_sasl_handler(module.host, session);
	end
	local handler = session.sasl_handler;
	local process = handler.process;
	function handler.process(...)
		local status, condition, text = process(...);
		if status == "failure" and none_left() then
			return status, CONDITION, TEXT;
		end
		return status, condition, text;
	end
end, 50);
