-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the library of the same name: is this token good, and for this room?
--
-- Used as: local tokens = module:require "token/util".new(module);

-- As upstream's library it needs these two, which Debian has for older versions of Lua only.
local basexx = require "basexx";
require "inspect";

local digest = require "openssl.digest";
local hashes = require "util.hashes";
local jid = require "util.jid";
local json = require "cjson.safe";
local pkey = require "openssl.pkey";

local lib = {};
local Tokens = {};
Tokens.__index = Tokens;

local VERIFY = {
	HS256 = function (text, signature, key)
		return hashes.equals(hashes.hmac_sha256(key, text), signature);
	end;
	RS256 = function (text, signature, key)
		local done, good = pcall(function ()
			return pkey.new(key):verify(signature, digest.new("sha256"):update(text));
		end);
		return done and good;
	end;
};

function lib.new(host_module)
	local self = setmetatable({}, Tokens);
	self.id = host_module:get_option_string("app_id");
	self.secret = host_module:get_option_string("app_secret");
	local server = host_module:get_option_string("asap_key_server") or host_module:get_option_string("cache_keys_url");
	self.server = server;
	if not self.id then
		module:log("error", "'app_id' must not be empty");
		return nil;
	end
	if not self.secret and not server then
		module:log("error", "'app_secret' or 'asap_key_server' or 'cache_keys_url' must be specified");
		return nil;
	end
	self.algorithm = host_module:get_option_string("signature_algorithm") or server and "RS256" or "HS256";
	if not VERIFY[self.algorithm] then
		module:log("error", "This stand-in has no algorithm %s", self.algorithm);
		return nil;
	end
	self.empty = host_module:get_option_boolean("allow_empty_token");
	if self.empty then
		module:log("warn", "WARNING - empty tokens allowed");
	end
	self.issuers = host_module:get_option_array("asap_accepted_issuers", { self.id });
	self.audiences = host_module:get_option_array("asap_accepted_audiences", { "*" });
	self.need_room = host_module:get_option_boolean("asap_require_room_claim", true);
	self.check_domain = host_module:get_option_boolean("enable_domain_verification", true);
	self.base = host_module:get_option_string("muc_mapper_domain_base");
	self.prefix = host_module:get_option_string("muc_mapper_domain_prefix", "conference");
	self.muc = host_module:get_option_string("muc_mapper_domain", self.base and self.prefix .. "." .. self.base);
	return self;
end

local function one_of(claim, list)
	for _, accepted in ipairs(list) do
		if accepted == "*" or accepted == claim then
			return true;
		end
	end
	return false;
end

--- The claims of a token, or nil and what is wrong with it.
function Tokens:claims(token, key)
	local first, second, third = token:match("^([^.]+)%.([^.]+)%.([^.]+)$");
	if not first then
		return nil, "Invalid token";
	end
	local header, body = json.decode(basexx.from_url64(first)), json.decode(basexx.from_url64(second));
	local signature = basexx.from_url64(third);
	if type(header) ~= "table" or type(body) ~= "table" or not signature then
		return nil, "Invalid header, body or signature";
	end
	if header.typ ~= "JWT" or header.alg ~= self.algorithm then
		return nil, "Invalid typ or alg";
	end
	if not VERIFY[self.algorithm](first .. "." .. second, signature, key) then
		return nil, "Invalid signature";
	end
	local now = os.time();
	for _, name in ipairs { "exp", "nbf" } do
		if body[name] and type(body[name]) ~= "number" then
			return nil, name .. " must be number";
		end
	end
	-- A token without an end has none, as with the real module.
	if body.exp and now >= body.exp or body.nbf and now < body.nbf then
		return nil, "Not acceptable by exp or nbf";
	end
	if body.iss == nil or not one_of(body.iss, self.issuers) then
		return nil, "invalid 'iss' claim";
	end
	if body.aud == nil or not one_of(body.aud, self.audiences) then
		return nil, "invalid 'aud' claim";
	end
	if self.need_room and body.room == nil then
		return nil, "'room' claim is missing";
	end
	if body.sub == nil then
		return nil, "'sub' claim is missing";
	end
	return body;
end

--- Verifies the token of a session and keeps in the session what it says.
function Tokens:process_and_verify_token(session)
	if session.auth_token == nil then
		if self.empty then
			return true;
		end
		return false, "not-allowed", "token required";
	end
	local key = session.public_key or not self.server and self.secret;
	if not key then
		return false, "not-allowed", "this stand-in gets no keys from a server";
	end
	local claims, why = self:claims(session.auth_token, key);
	if not claims then
		return false, "not-allowed", why;
	end
	local context = type(claims.context) == "table" and claims.context or {};
	session.jitsi_meet_room = claims.room;
	session.jitsi_meet_domain = claims.sub;
	session.jitsi_meet_context_user = context.user;
	session.jitsi_meet_context_group = context.group;
	session.jitsi_meet_context_features = context.features;
	session.jitsi_meet_context_room = context.room;
	return true;
end

--- Whether the token of a session is for a room.
function Tokens:verify_room(session, address)
	if self.empty and session.auth_token == nil then
		return true;
	end
	local node = jid.node(address);
	if not node then
		return true;
	end
	local room = session.jitsi_meet_room;
	if not self.check_domain then
		return room == nil or room == "*" or room:lower() == node;
	end
	-- Without a token there is nothing to compare, and the real module fails in the middle of it.
	local tenant, name = node:match("^%[([^%]]+)%](.+)$");
	local wanted = room == "*" and (name or node) or room;
	local domain = session.jitsi_meet_domain;
	if tenant then
		local sub = domain == "*" and tenant or domain;
		return jid.bare(address) == "[" .. sub:lower() .. "]" .. wanted:lower() .. "@" .. self.muc;
	end
	local host = domain == "*" and self.muc or self.prefix .. "." .. domain;
	return jid.bare(address) == wanted:lower() .. "@" .. host:lower();
end

return lib;
