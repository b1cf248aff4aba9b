-- SPDX-License-Identifier: GPL-3.0-or-later
-- Managed by campus.jitsi.
--
-- Which key verifies a token, where Jitsi's own options are too narrow: they take one secret, so a new one would refuse all tokens
-- that are out already, and public keys only from a web server.
--
-- This says only which key is used. Jitsi's module verifies with it, and checks the algorithm and all claims.

local base64 = require "util.encodings".base64;
local hashes = require "util.hashes";
local json = require "util.json";
local array_secrets = module:get_option_array("campus_token_secrets", {});
local public_keys = module:get_option("campus_token_public_keys", {});

local function decode(text)
	local plain = text:gsub("[-_]", { ["-"] = "+", ["_"] = "/" });
	return base64.decode(plain .. ("="):rep(-#plain % 4));
end

local function refuse(reason)
	return { res = false, error = "not-allowed", reason = reason };
end

-- Which of several secrets made this signature: the newest, unless an older one did.
local function secret_of(signed, signature)
	for _, secret in ipairs(array_secrets) do
		if hashes.equals(hashes.hmac_sha256(secret, signed), signature) then
			return secret;
		end
	end
	return array_secrets[1];
end

local function choose(session)
	local token = session.auth_token;
	if session.host ~= module.host or not token then
		return;
	end
	-- It must not be left from elsewhere.
	session.public_key = nil;
	local signed, signature = token:match("^([%w_-]+%.[%w_-]+)%.([%w_-]*)$");
	if not signed then
		return refuse("this is no token");
	end
	if array_secrets[1] then
		session.public_key = secret_of(signed, decode(signature) or "");
		return;
	end
	local header = json.decode(decode(signed:match("^[^.]+")) or "");
	local kid = type(header) == "table" and header.kid;
	local key = type(kid) == "string" and public_keys[kid];
	if not key then
		return refuse("no key has the id of this token");
	end
	session.public_key = key;
end

-- Not module:hook_global: Jitsi's module fires it on the server's own events.
local events = prosody.events;
events.add_handler("pre-jitsi-authentication-fetch-key", choose);
function module.unload()
	events.remove_handler("pre-jitsi-authentication-fetch-key", choose);
end
