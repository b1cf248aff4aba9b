-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: a reservation system is asked over HTTP before a
-- room is made, and its words are told to whom it refuses.
--
-- Only the requests of people of this host are seen, as with the real module, and only those over XMPP.

local datetime = require "util.datetime";
local http = require "net.http";
local jid = require "util.jid";
local json = require "util.json";
local st = require "util.stanza";
local standin = module:require "standin";

local FOCUS = "http://jitsi.org/protocol/focus";

local prefix = module:get_option("reservations_api_prefix");
local base = module:get_option_string("muc_mapper_domain_base");
local focus = module:get_option_string("focus_component", base and "focus." .. base);
local main_muc = module:get_option_string("main_muc");
if not prefix or not focus then
	module:log("error", "reservations_api_prefix is not set, or the focus is not known");
	return;
end
local headers = { ["User-Agent"] = "Prosody (stand-in)" };
for name, value in pairs(module:get_option("reservations_api_headers") or {}) do
	headers[name] = value;
end
local retries = tonumber(module:get_option("reservations_api_retry_count", 3));
local delay = tonumber(module:get_option("reservations_api_retry_delay", 3));

-- By address of the room: who waits for the answer, or the answer.
local asked = {};

local function request(method, path, fields, answer, left)
	http.request(prefix .. path, { method = method, headers = headers, body = fields and http.formencode(fields) }, function (body, code)
		if (code == 0 or code >= 500) and left > 0 then
			module:add_timer(delay, function () request(method, path, fields, answer, left - 1); end);
		else
			answer(body, code);
		end
	end);
end

local function settle(event, found)
	local origin, stanza = event.origin, event.stanza;
	if found.code then
		origin.send(st.error_reply(stanza, "cancel", "service-unavailable", found.text)
			:tag("reservation-error", { xmlns = FOCUS, ["error-code"] = tostring(found.code) }));
	else
		prosody.core_post_stanza(origin, stanza, false);
	end
end

local function ask(room, who)
	request("POST", "/conference", { name = jid.node(room), start_time = datetime.datetime(), mail_owner = jid.bare(who) }, function (body, code)
		local data, found = json.decode(body or ""), nil;
		data = type(data) == "table" and data or {};
		if (code == 200 or code == 201) and data.id and data.duration then
			found = { id = data.id };
		else
			found = { code = (code == 200 or code == 201) and 500 or code, text = data.message or "Rejected by reservation server" };
			module:add_timer(30, function () asked[room] = asked[room] == found and nil or asked[room]; end);
		end
		local waiting = asked[room].waiting;
		asked[room] = found;
		for _, event in ipairs(waiting) do
			settle(event, found);
		end
	end, retries);
end

module:hook("pre-iq/host", function (event)
	local stanza = event.stanza;
	local conference = stanza.attr.to == focus and stanza.attr.type == "set" and stanza:get_child("conference", FOCUS);
	if not conference or standin.room(conference.attr.room) then
		return;
	end
	local room = conference.attr.room;
	local found = asked[room];
	if found and not found.waiting then
		settle(event, found);
	elseif found then
		table.insert(found.waiting, event);
	else
		asked[room] = { waiting = { event } };
		ask(room, stanza.attr.from);
	end
	return true;
end);

standin.on_muc(main_muc, function (_, host_module)
	host_module:hook("muc-room-destroyed", function (event)
		local found = asked[event.room.jid];
		asked[event.room.jid] = nil;
		if found and found.id then
			request("DELETE", "/conference/" .. found.id, nil, function () end, retries);
		end
	end, -1);
end);
