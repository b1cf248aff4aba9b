-- SPDX-License-Identifier: GPL-3.0-or-later
-- Prosody, as far as mod_muc_campus_room_names needs it: reads what is asked from standard input, one name a line (or an address, which a
-- person asks jicofo for), and prints for each "made" or the error.

local path, minimum, weak, own, existing = table.unpack(arg);

local function list(text)
	local found = {};
	for word in (text or ""):gmatch("[^,]+") do
		found[#found + 1] = word;
	end
	return found;
end

local options = {
	muc_mapper_domain_base = "meet.example.edu", campus_room_minimum = tonumber(minimum), campus_room_message = "choose another",
	campus_room_weak_names = list(weak), campus_room_refused_names = list(own)
};
local HOST = "conference.meet.example.edu";
local handlers = {};

local function split(address)
	return address:match("^(.-)@"), address:match("([^@]*)$");
end
package.preload["util.jid"] = function ()
	return { node = function (address) return (split(address)); end, prepped_split = split, join = function (node, host) return node .. "@" .. host; end };
end
package.preload["util.stanza"] = function ()
	return { error_reply = function (_, _, condition, text)
		return { said = condition .. " " .. text, tag = function (self, name) self.said = self.said .. " " .. name; return self; end };
	end };
end

prosody = { hosts = {
	[HOST] = { type = "component", modules = { muc = { get_room_from_jid = function (address) return address == existing; end } } },
	["meet.example.edu"] = { type = "local" }
} };
module = { host = HOST };
local function option(_, name, default)
	return options[name] or default;
end
module.get_option_string, module.get_option_number, module.get_option_array = option, option, option;
function module:log() end
function module:hook(name, handler)
	handlers[name] = handler;
end
module.hook_global = module.hook;
function module:context()
	return module;
end

dofile(path);

for line in io.lines() do
	local said = "made";
	local origin = { send = function (reply) said = reply.said; end };
	local event = { origin = origin, room = { jid = line .. "@" .. HOST }, stanza = { attr = { type = "set" }, get_child = function (_, name)
		return name == "conference" and { attr = { room = line } };
	end } };
	local stopped = handlers[line:find("@", 1, true) and "pre-iq/host" or "muc-room-pre-create"](event);
	assert((stopped == true) == (said ~= "made"));
	print(said);
end
