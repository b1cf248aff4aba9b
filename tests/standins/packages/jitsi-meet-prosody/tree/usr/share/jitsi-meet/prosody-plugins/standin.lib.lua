-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests: what the other modules share.
--
-- Used as: local standin = module:require "standin";

local jid = require "util.jid";
local json = require "util.json";
local sasl = require "util.sasl";
local st = require "util.stanza";
local uuid = require "util.uuid".generate;

local hosts = prosody.hosts;
local lib = {};

lib.NS = "http://jitsi.org/jitmeet";
lib.NICK_NS = "http://jabber.org/protocol/nick";

-- Hosts and rooms -----------------------------------------------------------------------------------------------------

--- Calls handler(host_module) as soon as the host is there: now, or when Prosody activates it.
function lib.on_host(host, handler)
	if hosts[host] then
		handler(module:context(host));
	end
	module:hook_global("host-activated", function (activated)
		if activated == host then
			handler(module:context(host));
		end
	end);
end

--- Calls handler(muc, host_module) as soon as mod_muc is loaded on the component.
function lib.on_muc(host, handler)
	lib.on_host(host, function (host_module)
		local done = false;
		local function ready()
			local muc = hosts[host].modules.muc;
			if muc and not done then
				done = true;
				handler(muc, host_module);
			end
		end
		ready();
		if not done then
			host_module:hook("module-loaded", function (event)
				if event.module == "muc" then
					ready();
				end
			end);
		end
	end);
end

--- Tells the main host to announce a component in its service discovery, so that clients find it.
-- The registry makes the order in which hosts come up unimportant.
function lib.announce(main_host, name, host)
	local registry = module:shared("/*/standin/identities");
	registry[main_host] = registry[main_host] or {};
	registry[main_host][name] = host;
	if hosts[main_host] then
		module:context(main_host):fire_event("jitsi-add-identity", { name = name, host = host });
	end
end

function lib.room(room_jid)
	local host = hosts[jid.host(room_jid) or ""];
	return host and host.modules.muc and host.modules.muc.get_room_from_jid(jid.bare(room_jid)) or nil;
end

function lib.is_healthcheck(room_jid)
	return room_jid:find("__jicofo-health-check", 1, true) == 1;
end

--- Real JIDs configured as admins of this host or of all hosts: jicofo and the bridge.
function lib.is_admin(real_jid)
	local bare = jid.bare(real_jid);
	return module:get_option_inherited_set("admins", {}):contains(bare)
		or module:context("*"):get_option_set("admins", {}):contains(bare);
end

function lib.is_focus_nick(nick)
	return jid.resource(nick) == "focus";
end

--- True when the real JID begins like a recorder's or transcriber's (recorder_prefixes, transcriber_prefixes).
function lib.is_service(real_jid)
	for option, default in pairs {
		recorder_prefixes = { "recorder@recorder.", "jibria@recorder.", "jibrib@recorder." };
		transcriber_prefixes = { "transcriber@recorder.", "transcribera@recorder.", "transcriberb@recorder." };
	} do
		for prefix in module:get_option_inherited_set(option, default) do
			if real_jid:sub(1, #prefix) == prefix then
				return true;
			end
		end
	end
	return false;
end

-- Tenants: clients see room@conference.tenant.base, Prosody has [tenant]room@conference.base --------------------------

local base = module:get_option_string("muc_mapper_domain_base", module.host);
local prefix = module:get_option_string("muc_mapper_domain_prefix", "conference");
local muc_domain = module:get_option_string("muc_mapper_domain", prefix .. "." .. base);

lib.muc_domain = muc_domain;

local function literal(text)
	return (text:gsub("%p", "%%%0"));
end

local tenant_pattern = "^" .. literal(prefix) .. "%.([^%.]+)%." .. literal(base) .. "$";

--- From the address that clients use to the one of the room here.
function lib.to_internal(address)
	local node, host, resource = jid.split(address);
	local tenant = host and host:match(tenant_pattern);
	if not tenant then
		return address;
	end
	return jid.join(node and ("[" .. tenant .. "]" .. node), muc_domain, resource);
end

--- And back.
function lib.to_public(address)
	local node, host, resource = jid.split(address);
	if host ~= muc_domain or not node then
		return address;
	end
	local tenant, name = node:match("^%[([^%]]+)%](.+)$");
	if not tenant then
		return address;
	end
	return jid.join(name, prefix .. "." .. tenant .. "." .. base, resource);
end

--- The room that the URL of the client's connection named (mod_jitsi_session).
function lib.room_of_session(session)
	local name, tenant = session.jitsi_web_query_room, session.jitsi_web_query_prefix;
	if not name then
		return nil;
	end
	if tenant and tenant ~= "" and tenant ~= base then
		name = "[" .. tenant .. "]" .. name;
	end
	return lib.room(jid.join(name, muc_domain));
end

--- The occupant with this real JID in the room or in one of its breakout rooms; and the room that it is in.
function lib.occupant(room, real_jid)
	local occupant = room:get_occupant_by_real_jid(real_jid);
	if occupant then
		return occupant, room;
	end
	for breakout_jid in pairs(room._data.breakout_rooms or {}) do
		local breakout = lib.room(breakout_jid);
		occupant = breakout and breakout:get_occupant_by_real_jid(real_jid);
		if occupant then
			return occupant, breakout;
		end
	end
end

function lib.display_name(occupant)
	local presence = occupant:get_presence();
	return presence and presence:get_child_text("nick", lib.NICK_NS) or nil;
end

--- Registers ANONYMOUS, which is one for all hosts: that of a host with tokens must do for one with guests, and the other way.
-- A host's profile says whether somebody may enter, and may give him a name.
function lib.anonymous_mechanism()
	sasl.registerMechanism("ANONYMOUS", { "anonymous" }, function (handler)
		local name = uuid();
		local good, condition, reason = handler.profile.anonymous(handler, name, handler.realm);
		if not good then
			return "failure", condition, reason;
		end
		handler.username = handler.username or name;
		return "success";
	end);
end

--- An auth provider without passwords (usermanager asks for all of these).
function lib.provider_without_passwords()
	local provider = {};
	for _, name in ipairs { "test_password", "set_password", "create_user", "delete_user" } do
		provider[name] = function ()
			return nil, "No passwords here";
		end
	end
	function provider.get_password()
		return nil;
	end
	function provider.user_exists()
		return nil;
	end
	return provider;
end

--- The name of the session that a browser had before, by its resumption token.
function lib.resumed_name(previd)
	for _, other in pairs(previd and prosody.full_sessions or {}) do
		if other.resumption_token == previd then
			return other.username;
		end
	end
end

--- Refuses requests of occupants for features that they may not use; feature_of(stanza) names the feature that one asks for.
function lib.filter_iq(feature_of)
	module:hook("pre-iq/full", function (event)
		local stanza, session = event.stanza, event.origin;
		local feature = feature_of(stanza);
		if feature and not lib.allowed(session, stanza, feature) then
			module:log("info", "%s may not ask for %s", stanza.attr.from, feature);
			session.send(st.error_reply(stanza, "auth", "forbidden"));
			return true;
		end
	end);
end

--- Whether the occupant behind a stanza may use a feature: his token's features say so, or those that a moderator gave him, or else
-- his role.
function lib.allowed(session, stanza, feature)
	local features = session.jitsi_meet_context_features or session.granted_jitsi_meet_context_features;
	if features then
		return features[feature] == true or features[feature] == "true";
	end
	local room = lib.room(lib.to_internal(jid.bare(stanza.attr.to)));
	local occupant = room and room:get_occupant_by_real_jid(stanza.attr.from);
	return occupant ~= nil and occupant.role == "moderator";
end

-- Messages with JSON inside -------------------------------------------------------------------------------------------

function lib.json_message(from, to, data, attributes)
	local attr = { xmlns = lib.NS };
	for key, value in pairs(attributes or {}) do
		attr[key] = value;
	end
	return st.message({ from = from, to = to }):tag("json-message", attr):text(json.encode(data)):up();
end

function lib.send_json(to, data, attributes)
	module:send(lib.json_message(module.host, to, data, attributes));
end

--- To everybody in the room but the services that administrate it.
function lib.broadcast_json(room, data, except_nick)
	for _, occupant in room:each_occupant() do
		if occupant.nick ~= except_nick and not lib.is_admin(occupant.bare_jid) then
			lib.send_json(occupant.jid, data);
		end
	end
end

--- Frame of a component that serves the occupants of the room they connected for: finds room and sender, and calls
-- handler(payload, room, occupant, event) for a message that carries the element.
function lib.serve(element, xmlns, handler)
	module:hook("message/host", function (event)
		local stanza, session = event.stanza, event.origin;
		local payload = stanza.attr.type ~= "error" and stanza:get_child(element, xmlns);
		if not payload then
			return;
		end
		local room = session and lib.room_of_session(session);
		local occupant = room and lib.occupant(room, stanza.attr.from);
		if not occupant then
			module:log("debug", "No room or no occupant for %s", stanza.attr.from);
			return true;
		end
		handler(payload, room, occupant, event);
		return true;
	end);
end

return lib;
