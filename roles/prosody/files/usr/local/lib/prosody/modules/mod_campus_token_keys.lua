-- SPDX-License-Identifier: GPL-3.0-or-later
-- Managed by campus.jitsi.
--
-- Before Jitsi's module verifies a token: which key does it, and is the token one at all?
--
-- Jitsi's own options take one secret, so a new one would refuse all tokens that are out already, and public keys only from a web
-- server. Here are several secrets (campus_token_secrets), or public keys by their id (campus_token_public_keys).
--
-- Jitsi's module also takes a token without an end for ever, and fails with an error of Lua on one whose claims have odd types. Here
-- both are refused. It then checks algorithm, signature, times, issuer, audience and room.

local base64 = require "util.encodings".base64;
local hashes = require "util.hashes";
local json = require "util.json";

local secrets = module:get_option_array("campus_token_secrets", {});
local public_keys = module:get_option("campus_token_public_keys");

local function decode(text)
	local plain = text:gsub("[-_]", { ["-"] = "+", ["_"] = "/" });
	return base64.decode(plain .. ("="):rep(-#plain % 4));
end

local function is_object(value)
	return type(value) == "table" and value ~= json.null;
end

local function object(text)
	local found = json.decode(decode(text) or "");
	return is_object(found) and found or nil;
end

-- Which of the secrets made this signature; the newest, when none did, so that Jitsi's module says what is wrong.
local function secret_of(signed, signature)
	for _, secret in ipairs(secrets) do
		if hashes.equals(hashes.hmac_sha256(secret, signed), signature) then
			return secret;
		end
	end
	return secrets[1];
end

local function refuse(reason)
	return { res = false, error = "not-allowed", reason = reason };
end

local function is_text(value)
	return type(value) == "string" and value ~= "";
end

local function look(session)
	local token = session.auth_token;
	if session.host ~= module.host or not token then
		return;
	end
	session.public_key = nil;
	local head, body, signature = token:match("^([%w_-]+)%.([%w_-]+)%.([%w_-]+)$");
	local header, claims = head and object(head), body and object(body);
	if not header or not claims then
		return refuse("this is no token");
	end
	if type(claims.exp) ~= "number" or not (claims.exp < 2^53) then
		return refuse("the token has no end (exp)");
	end
	if not is_text(claims.room) or not is_text(claims.sub) or claims.context ~= nil and not is_object(claims.context) then
		return refuse("the token has claims (room, sub, context) of another type");
	end
	local user = claims.context and claims.context.user;
	if user ~= nil and not is_object(user) then
		return refuse("the token has a user of another type");
	end
	if public_keys then
		local key = is_text(header.kid) and public_keys[header.kid];
		if not key then
			return refuse("no key has the id of this token");
		end
		session.public_key = key;
	elseif secrets[1] then
		session.public_key = secret_of(head .. "." .. body, decode(signature) or "");
	end
end

-- Not module:hook_global: Jitsi's module fires it on the events of the server, and gives the session itself.
local events = prosody.events;
events.add_handler("pre-jitsi-authentication-fetch-key", look);
function module.unload()
	events.remove_handler("pre-jitsi-authentication-fetch-key", look);
end
