-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: anonymous login with a random user name; one
-- that resumes an earlier session keeps its name.

local sasl = require "util.sasl";
local standin = module:require "standin";

module:depends("jitsi_session");

local provider = standin.provider_without_passwords();

function provider.get_sasl_handler(session)
	return sasl.new(module.host, {
		anonymous = function (handler)
			handler.username = standin.resumed_name(session.previd);
			return true;
		end;
	});
end

-- Prosody's own mechanism always takes a new name.
standin.anonymous_mechanism();

module:provides("auth", provider);

module:hook("pre-resource-unbind", function (event)
	prosody.events.fire_event("jitsi-pre-session-unbind", {
		jid = event.session.full_jid, session = event.session, error = event.error
	});
end, 11);
