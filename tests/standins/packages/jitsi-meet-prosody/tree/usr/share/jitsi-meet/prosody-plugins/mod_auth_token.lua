-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: whoever has a good token is logged in.

local sasl = require "util.sasl";
local standin = module:require "standin";

local tokens = module:require "token/util".new(module);
if not tokens then
	return;
end

module:depends("jitsi_session");

local provider = standin.provider_without_passwords();

local function refuse(session, result)
	module:log("warn", "Error verifying token: %s, reason: %s", result.error, result.reason);
	session.auth_token = nil;
	return result;
end

--- The verdict on the token of a session: a table with `res`, and why or under which name.
local function judge(session)
	local fire = prosody.events.fire_event;
	local before = fire("pre-jitsi-authentication-fetch-key", session);
	if before and before.res == false then
		return refuse(session, before);
	end
	local good, condition, reason = tokens:process_and_verify_token(session);
	if good == false then
		return refuse(session, { res = false, error = condition, reason = reason });
	end
	if fire("jitsi-access-ban-check", session) == false then
		return { res = false, error = "not-allowed", reason = "user is banned" };
	end
	local name = fire("pre-jitsi-authentication", session);
	local after = fire("post-jitsi-authentication", session);
	if after and after.res == false then
		return refuse(session, after);
	end
	return { res = true, name = name };
end

function provider.get_sasl_handler(session)
	return sasl.new(module.host, {
		anonymous = function (handler)
			local verdict = judge(session);
			if not verdict.res then
				return false, verdict.error, verdict.reason;
			end
			handler.username = verdict.name or standin.resumed_name(session.previd);
			session._jitsi_auth_done = true;
			return true;
		end;
	});
end

standin.anonymous_mechanism();
module:provides("auth", provider);

module:hook("pre-resource-unbind", function (event)
	prosody.events.fire_event("jitsi-pre-session-unbind", {
		jid = event.session.full_jid, session = event.session, error = event.error
	});
end, 11);

-- A stream that is resumed brings its own token, whose claims then count.
module:hook_global("c2s-session-updated", function (event)
	local session, from = event.session, event.from_session;
	if session.host ~= module.host or not from.auth_token then
		return;
	end
	if from.host ~= module.host then
		session.auth_token = from.auth_token;
		if not judge(session).res then
			session:close();
		end
		return;
	end
	for _, field in ipairs { "auth_token", "jitsi_meet_context_user", "jitsi_meet_context_group", "jitsi_meet_context_features",
		"jitsi_meet_context_room", "jitsi_meet_room", "jitsi_meet_domain" } do
		session[field] = from[field];
	end
end, 1);
