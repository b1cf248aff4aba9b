-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: lets only so many join and leave a room each
-- second; the rest waits in a queue.

local queue = require "util.queue";
local st = require "util.stanza";
local throttle = require "util.throttle";

local LONGEST_QUEUE = 1000;
local joins = module:get_option_number("muc_rate_joins", 3);
local leaves = module:get_option_number("muc_rate_leaves", 5);

--- True when the event must wait; process(event) is called for it later, rate events a second.
local function hold_back(room, name, rate, event, process)
	local state = room[name];
	if not state then
		state = { throttle = throttle.create(rate, 1), waiting = queue.new(LONGEST_QUEUE) };
		room[name] = state;
	end
	if state.waiting:count() == 0 and state.throttle:poll(1) then
		return false;
	end
	if not state.waiting:push(event) then
		module:log("error", "The %s queue of %s is full", name, room.jid);
		return true;
	end
	if not state.timer then
		state.timer = module:add_timer(1, function ()
			for _ = 1, rate do
				local waiting = not room.destroying and state.waiting:pop();
				if not waiting then
					break;
				end
				process(waiting);
			end
			if state.waiting:count() > 0 and not room.destroying then
				return 1;
			end
			state.timer = nil;
		end);
	end
	return true;
end

-- The first of all: what waits here is checked by the other modules when its turn has come.
module:hook("muc-occupant-pre-join", function (event)
	local room, stanza = event.room, event.stanza;
	if stanza.standin_waited then
		stanza.standin_waited = nil;
		return;
	end
	return hold_back(room, "standin_joins", joins, event, function (waited)
		if waited.origin.conn then
			waited.stanza.standin_waited = true;
			room:handle_normal_presence(waited.origin, waited.stanza);
		end
	end) or nil;
end, 9);

module:hook("muc-occupant-pre-leave", function (event)
	local room, occupant = event.room, event.occupant;
	local role = occupant.role;
	local waits = hold_back(room, "standin_leaves", leaves, event, function (waited)
		room:publicise_occupant_status(occupant,
			st.stanza("x", { xmlns = "http://jabber.org/protocol/muc#user" }), nil, nil, nil, role);
		module:fire_event("muc-occupant-left", {
			room = room, nick = occupant.nick, occupant = occupant, origin = waited.origin, stanza = waited.stanza
		});
	end);
	if waits then
		-- Out of the room now, told to the others later.
		occupant.role = nil;
		room:save_occupant(occupant);
		return true;
	end
end);

module:hook("muc-room-destroyed", function (event)
	event.room.destroying = true;
end, 1);
