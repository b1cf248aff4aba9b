-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: prosodyctl mod_roster_command: roster entries
-- from the command line.

if module.host ~= "*" then
	module:log("error", "This is a command of prosodyctl: do not load it in Prosody.");
	return;
end

local jid = require "util.jid";
local rostermanager = require "core.rostermanager";
local storagemanager = require "core.storagemanager";
local usermanager = require "core.usermanager";
local warn = require "util.prosodyctl".show_warning;

local hosts = prosody.hosts;
-- Rosters tell online users of a change; there are none in this process, but the tables must exist.
prosody.bare_sessions = prosody.bare_sessions or {};
_G.bare_sessions = _G.bare_sessions or prosody.bare_sessions;

local function open(host)
	if not hosts[host] then
		warn("The host '%s' is not configured for this server.", host);
		return false;
	end
	if hosts[host].users.name == "null" then
		storagemanager.initialize_host(host);
		usermanager.initialize_host(host);
	end
	return true;
end

--- user sees the presence of contact. A bare host (a component) has no roster of its own.
local function subscribe(user, contact)
	local user_node, user_host = jid.split(user);
	local contact_node, contact_host = jid.split(contact);
	if not open(user_host) then
		return;
	end
	if user_node then
		rostermanager.set_contact_pending_out(user_node, user_host, contact);
	end
	if hosts[contact_host] and open(contact_host) then
		if contact_node then
			rostermanager.set_contact_pending_in(contact_node, contact_host, user);
			rostermanager.subscribed(contact_node, contact_host, user);
		end
		if user_node then
			rostermanager.process_inbound_subscription_approval(user_node, user_host, contact);
		end
	end
end

local function unsubscribe(user, contact)
	local user_node, user_host = jid.split(user);
	local contact_node, contact_host = jid.split(contact);
	if not open(user_host) then
		return;
	end
	if user_node then
		rostermanager.unsubscribe(user_node, user_host, contact);
	end
	if hosts[contact_host] and contact_node and open(contact_host) then
		rostermanager.unsubscribed(contact_node, contact_host, user);
	end
end

local function both(command)
	return function (one, other)
		command(one, other);
		command(other, one);
	end;
end

local commands = {
	subscribe = subscribe;
	subscribe_both = both(subscribe);
	unsubscribe = unsubscribe;
	unsubscribe_both = both(unsubscribe);
};

function commands.remove(user, contact)
	commands.unsubscribe_both(user, contact);
	local node, host = jid.split(user);
	local roster = rostermanager.load_roster(node, host);
	roster[contact] = nil;
	rostermanager.save_roster(node, host, roster);
end

function commands.rename(user, contact, name, group)
	local node, host = jid.split(user);
	if not open(host) then
		return;
	end
	local roster = rostermanager.load_roster(node, host);
	local entry = roster[contact];
	if entry then
		entry.name = name or entry.name;
		if group then
			entry.groups = { [group] = true };
		end
		rostermanager.save_roster(node, host, roster);
	end
end

function module.command(arg)
	local command = table.remove(arg, 1);
	if not command then
		warn("Commands: subscribe, subscribe_both, unsubscribe, unsubscribe_both, remove, rename");
		return 0;
	end
	if not commands[command] then
		warn("Unknown command: %s", command);
		return 1;
	end
	commands[command](arg[1], arg[2], arg[3], arg[4]);
	return 0;
end
