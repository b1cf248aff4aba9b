-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the library of the same name: is this token good, and for this room?
--
-- Used as: local tokens = module:require "token/util".new(module);

-- As upstream's library it needs these two, which Debian has for older versions of Lua only.
local basexx = require "basexx";
require "inspect";

local async = require "util.async";
local cache = require "util.cache";
local digest = require "openssl.digest";
local hashes = require "util.hashes";
local http = require "net.http";
local jid = require "util.jid";
local json = require "cjson.safe";
local pkey = require "openssl.pkey";
local timer = require "util.timer";
local x509 = require "openssl.x509";

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

-- Seconds for an answer of a server; how often it is asked again when there is none; until all keys are fetched again, by default, after
-- a failure, and before the server says that they are old.
local PATIENCE, AGAIN = 30, 3;
local LATER, SOON, BEFORE = 6 * 3600, 30, 60;

--- What a server says and for how long that is good, for which only this session waits; nil when it will not say it.
local function get(url)
	for _ = 0, AGAIN do
		local wait, done = async.waiter();
		local content, code, response;
		local request = http.request(url, { method = "GET" }, function (text, status, answer)
			if not code then
				content, code, response = text, status, answer;
				done();
			end
		end);
		timer.add_task(PATIENCE, function ()
			if not code then
				code = "none";
				http.destroy_request(request);
				done();
			end
		end);
		wait();
		if code == 200 then
			local age = response and response.headers and (response.headers.cache_control or response.headers["cache-control"] or ""):match("max%-age=(%d+)");
			return content, tonumber(age);
		elseif code ~= "none" then
			module:log("warn", "Error on GET request: Code %s, Content %s", code, content);
			return nil;
		end
	end
	module:log("warn", "Timeout %s seconds fetching from: %s", PATIENCE, url);
end

-- The PEM text of a key of a JWKS (RFC 7517), which has its two numbers: by its DER (RFC 8017, A.1.1).
local function public_key(jwk)
	local function der(tag, text)
		local length = #text < 128 and string.char(#text) or "\130" .. string.pack(">I2", #text);
		return string.char(tag) .. length .. text;
	end
	local numbers = "";
	for _, name in ipairs { "n", "e" } do
		local bytes = basexx.from_url64(jwk[name]);
		numbers = numbers .. der(2, bytes:byte() > 127 and "\0" .. bytes or bytes);
	end
	local algorithm = der(48, der(6, "\42\134\72\134\247\13\1\1\1") .. der(5, ""));
	local text = basexx.to_base64(der(48, algorithm .. der(3, "\0" .. der(48, numbers))));
	return "-----BEGIN PUBLIC KEY-----\n" .. text:gsub(("."):rep(64), "%0\n") .. "\n-----END PUBLIC KEY-----\n";
end

--- The keys in a document by their ids: a JWKS, or a map of certificates.
local function keys_in(content)
	local found, document = {}, json.decode(content);
	if type(document) ~= "table" then
		module:log("warn", "The document with the keys is no JSON");
		return found;
	end
	for _, key in ipairs(type(document.keys) == "table" and document.keys or {}) do
		if key.kty == "RSA" and key.kid and key.n and key.e then
			found[key.kid] = public_key(key);
		end
	end
	for kid, text in pairs(document) do
		if type(text) == "string" and text:find("^%-%-%-%-%-BEGIN CERTIFICATE") then
			found[kid] = x509.new(text):getPublicKey():toPEM("public");
		end
	end
	return found;
end

--- Keeps the keys of a document, and fetches it again in time.
local function keep_keys(tokens, url)
	local fetch;
	fetch = async.runner(function ()
		local content, age = get(url);
		if content then
			tokens.keys = keys_in(content);
		end
		timer.add_task(not content and SOON or age and math.max(age - BEFORE, 1) or LATER, function () fetch:run(true); end);
	end);
	fetch:run(true);
end

function lib.new(host_module)
	local self = setmetatable({}, Tokens);
	self.id = host_module:get_option_string("app_id");
	self.secret = host_module:get_option_string("app_secret");
	self.key_server = host_module:get_option_string("asap_key_server");
	local document = host_module:get_option_string("cache_keys_url");
	local server = self.key_server or document;
	self.server = server;
	self.keys = {};
	self.known = cache.new(host_module:get_option_number("jwt_pubkey_cache_size", 128));
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
	if document then
		keep_keys(self, document);
	end
	return self;
end

--- The public key of an id, from the document or the server; nil when neither has it.
function Tokens:key_of(kid)
	local found = self.keys[kid] or self.known:get(kid);
	if not found and self.key_server then
		found = get(self.key_server:gsub("/$", "") .. "/" .. hashes.sha256(kid, true) .. ".pem");
		if found then
			self.known:set(kid, found);
		end
	end
	return found;
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
		local header = json.decode(basexx.from_url64(session.auth_token:match("^[^.]*")) or "");
		if type(header) ~= "table" then
			return false, "not-allowed", "bad token format";
		elseif type(header.kid) ~= "string" then
			return false, "not-allowed", "'kid' claim is missing";
		end
		key = self:key_of(header.kid);
		if not key then
			return false, "not-allowed", "could not obtain public key";
		end
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
