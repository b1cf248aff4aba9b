-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: a token opens the room that it names.

local jid = require "util.jid";
local st = require "util.stanza";
local standin = module:require "standin";

local parent = module.host:match("^[^.]+%.(.+)$");
local tokens = module:require "token/util".new(module:context(parent));
if not tokens then
	return;
end

local allowed = module:get_option_set("token_verification_allowlist", {});
local need_token = module:get_option_boolean("token_verification_require_token_for_moderation");

local function check(event)
	local session, stanza = event.origin, event.stanza;
	local from = stanza.attr.from;
	if standin.is_admin(from) or allowed:contains(jid.host(from)) or allowed:contains(jid.bare(from)) then
		return;
	end
	if not tokens:verify_room(session, stanza.attr.to) then
		module:log("error", "User %s not allowed to join %s: token room %s, token sub %s", from, stanza.attr.to,
			tostring(session.jitsi_meet_room), tostring(session.jitsi_meet_domain));
		session.send(st.error_reply(stanza, "cancel", "not-allowed", "Room and token mismatched"));
		return true;
	end
end

module:hook("muc-room-pre-create", check, 99);
module:hook("muc-occupant-pre-join", check, 99);

local function check_owner(event)
	local session, stanza = event.origin, event.stanza;
	if need_token and not standin.is_admin(stanza.attr.from) and not (session.auth_token and session.jitsi_meet_room) then
		session.send(st.error_reply(stanza, "cancel", "not-allowed", "Room modification disabled for guests"));
		return true;
	end
end

module:hook("iq-set/bare/http://jabber.org/protocol/muc#owner:query", check_owner, -1);
module:hook("iq-set/host/http://jabber.org/protocol/muc#owner:query", check_owner, -1);
