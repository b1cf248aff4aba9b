-- SPDX-License-Identifier: GPL-3.0-or-later
-- With `jitsi_privacy: strict`: no address of a person in any log of Prosody, at any level, also in lines of modules of others.
--
-- Prosody makes what writes a log (a sink) anew whenever it reads its configuration or opens its logs again, with a maker for each
-- kind. The makers are replaced by ones whose sinks get every line finished and with its addresses taken out. Addresses of this
-- host's loopback and "any" stay: they say where Prosody listens, and are nobody's.

module:set_global();

local manager = require "core.loggingmanager";
local format = require "util.format".format;
local pton = require "util.net".pton;

local kept = { ["0.0.0.0"] = true, ["::"] = true, ["::1"] = true };

local function version4(text)
	return (kept[text] or text:match("^127%.")) and text or "[address]";
end

-- Hexadecimal digits, dots and colons can be an address of IPv6 with a sentence around it, a time of day or a fingerprint.
local function version6(text)
	local first, last = text:find("[^.]"), #text;
	if text:match("^:[^:]", first) then
		first = first + 1;
	end
	while last > first do
		local address = text:sub(first, last);
		if pton(address) then
			return text:sub(1, first - 1) .. (kept[address] and address or "[address]") .. text:sub(last + 1);
		elseif not address:match("[.:]$") then
			break;
		end
		last = last - 1;
	end
	return text;
end

local function redact(text)
	return (text:gsub("%f[%d]%d+%.%d+%.%d+%.%d+%f[%D]", version4):gsub("[%x:.]*:[%x:.]*:[%x:.]*", version6));
end

local makers = {};

local function redacting(maker)
	local new = function (...)
		local sink = maker(...);
		return function (name, level, message, ...)
			return sink(name, level, "%s", redact(format(message, ...)));
		end
	end
	makers[new] = maker;
	return new;
end

local register = manager.register_sink_type;
local kinds = { "file", "stdout", "console", "syslog" };

-- What registers a kind of its own later gets the same.
function manager.register_sink_type(name, maker)
	return register(name, maker and redacting(maker));
end

for _, name in ipairs(kinds) do
	local maker = register(name, nil);
	if maker then
		register(name, redacting(maker));
	end
end
manager.reload_logging();

function module.unload()
	manager.register_sink_type = register;
	for _, name in ipairs(kinds) do
		local maker = register(name, nil);
		if maker then
			register(name, makers[maker] or maker);
		end
	end
	manager.reload_logging();
end
