-- SPDX-License-Identifier: GPL-3.0-or-later
-- Managed by campus.jitsi.
--
-- No new room under a name that strangers guess (prosody_room_policy). Rooms that are there are left alone, and so are breakout
-- rooms, which are on another host.
--
-- A person asks jicofo for the room before he enters, and jicofo makes it. So he is refused when he asks: Jitsi's clients show the
-- text of one error there only, that of a reservation. When he asks in a way that Prosody does not see, jicofo is refused the room.

local jid = require "util.jid";
local st = require "util.stanza";

local FOCUS = "http://jitsi.org/protocol/focus";
-- One letter in UTF-8.
local LETTER = "[\0-\127\194-\244][\128-\191]*";

local base = module:get_option_string("muc_mapper_domain_base");
local minimum = module:get_option_number("campus_room_minimum", 6);
local text = module:get_option_string("campus_room_message");

-- Letters with marks are compared as those without: in Spanish they are often left out.
local PLAIN = {};
for letter, forms in pairs {
	a = "áàâäãåÁÀÂÄÃÅ", c = "çÇ", e = "éèêëÉÈÊË", i = "íìîïÍÌÎÏ", n = "ñÑ", o = "óòôöõÓÒÔÖÕ", u = "úùûüÚÙÛÜ", y = "ýÿÝ"
} do
	for form in forms:gmatch(LETTER) do
		PLAIN[form] = letter;
	end
end

-- As people read it: lower case, without the escapes of URLs that Jitsi's client puts into a JID.
local function plain(name)
	name = name:gsub("^%[[^%]]*%]", ""):gsub("%%(%x%x)", function (code) return string.char(tonumber(code, 16)); end);
	return (name:lower():gsub(LETTER, PLAIN));
end

local function without_marks(name)
	return (name:gsub("[^%w\128-\255]", ""));
end

local function without_digits(name)
	return (name:gsub("^%d+", ""):gsub("%d+$", ""));
end

-- "teeest" is "test". Both sides of a comparison are squeezed, so "class" may be in the list.
local function squeezed(name)
	local last;
	return (name:gsub(LETTER, function (letter)
		local again = letter == last;
		last = letter;
		return again and "" or nil;
	end));
end

-- How a pattern is compared: its parts between the asterisks, one after the other.
local function fits(name, pattern)
	local parts = {};
	for part in (pattern .. "*"):gmatch("([^*]*)%*") do
		parts[#parts + 1] = part;
	end
	local first, last = parts[1], parts[#parts];
	if #name < #first + #last or name:sub(1, #first) ~= first or last ~= name:sub(#name - #last + 1) then
		return false;
	end
	local place, stop = #first + 1, #name - #last;
	for index = 2, #parts - 1 do
		local from, to = name:find(parts[index], place, true);
		if not from or to > stop then
			return false;
		end
		place = to + 1;
	end
	return true;
end

local words, weak, patterns = {}, {}, {};
for _, option in ipairs { "campus_room_weak_names", "campus_room_refused_names" } do
	for _, name in ipairs(module:get_option_array(option, {})) do
		if name:find("*", 1, true) then
			patterns[#patterns + 1] = plain(name);
		else
			local core = without_digits(without_marks(plain(name)));
			if core ~= "" then
				words[core], weak[squeezed(core)] = true, true;
			end
		end
	end
end

-- "testroom", "saladeprueba": nothing but words of the list.
local function made_of_words(name)
	local reached = { [0] = true };
	for stop = 1, #name do
		for word in pairs(words) do
			if reached[stop - #word] and name:sub(stop - #word + 1, stop) == word then
				reached[stop] = true;
				break;
			end
		end
	end
	return reached[#name];
end

-- What is wrong with a name, for the log.
local function weakness(name)
	name = plain(name);
	for _, pattern in ipairs(patterns) do
		if fits(name, pattern) then
			return "it is one of " .. pattern;
		end
	end
	name = without_marks(name);
	if select(2, name:gsub("[^\128-\191]", "")) < minimum then
		return "it is shorter than " .. minimum;
	end
	local core = without_digits(name);
	if core == "" then
		return "it has no letter";
	elseif weak[squeezed(core)] or made_of_words(core) then
		return core .. " is guessed";
	end
end

local function is_healthcheck(name)
	return name:sub(1, 21) == "__jicofo-health-check";
end

-- The name of a room that is not there yet, and must not be.
local function refused(name)
	local why = not is_healthcheck(name) and weakness(name);
	if why then
		module:log("info", "Refused to make the room %s: %s", name, why);
	end
	return why;
end

local function error_reply(stanza)
	return st.error_reply(stanza, "cancel", "not-allowed", text);
end

-- Clients see the room of a tenant on a host of its own: room@conference.tenant.base is [tenant]room@conference.base.
local function local_address(address)
	local name, host = jid.prepped_split(address);
	if not name or host == module.host then
		return name and jid.join(name, host);
	end
	local prefix = module.host:sub(1, -#base - 1);
	local tenant = host:sub(1, #prefix) == prefix and host:sub(-#base - 1) == "." .. base and host:sub(#prefix + 1, -#base - 2);
	return tenant and not tenant:find(".", 1, true) and jid.join("[" .. tenant .. "]" .. name, module.host) or nil;
end

local function asked(event)
	local stanza = event.stanza;
	local conference = stanza.attr.type == "set" and stanza:get_child("conference", FOCUS);
	local address = conference and local_address(conference.attr.room);
	if not address or prosody.hosts[module.host].modules.muc.get_room_from_jid(address) or not refused(jid.node(address)) then
		return;
	end
	event.origin.send(error_reply(stanza):tag("reservation-error", { xmlns = FOCUS, ["error-code"] = "403" }));
	return true;
end

module:hook("muc-room-pre-create", function (event)
	if refused(jid.node(event.room.jid)) then
		event.origin.send(error_reply(event.stanza));
		return true;
	end
end, 90);

-- Before a reservation is asked for, and wherever people log in.
local function watch(host)
	if prosody.hosts[host].type == "local" then
		local host_module = module:context(host);
		for _, kind in ipairs { "host", "bare", "full" } do
			host_module:hook("pre-iq/" .. kind, asked, 100);
		end
	end
end
module:hook_global("host-activated", watch);
for host in pairs(prosody.hosts) do
	watch(host);
end
