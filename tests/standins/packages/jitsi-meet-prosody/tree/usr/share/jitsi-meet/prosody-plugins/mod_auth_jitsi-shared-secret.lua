-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: one password is good for any user name.

local sasl = require "util.sasl";
local standin = module:require "standin";

local secret = module:get_option_string("shared_secret");
if not secret then
	module:log("error", "No shared_secret specified. No secret to operate on!");
	return;
end
module:depends("jitsi_session");

local provider = standin.provider_without_passwords();

function provider.user_exists()
	return true;
end

function provider.get_password()
	return secret;
end

-- The previous secret is not looked at here, as in the real module.
function provider.get_sasl_handler()
	return sasl.new(module.host, {
		plain = function ()
			return secret, true;
		end;
	});
end

module:provides("auth", provider);
