-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: polls in a meeting.

local jid = require "util.jid";
local json = require "util.json";
local standin = module:require "standin";

local MOST_POLLS = 128;
local LARGEST_MESSAGE = 1024;

local main_host = module:get_option_string("muc_mapper_domain_base");
if not main_host then
	module:log("error", "muc_mapper_domain_base must be set");
	return;
end

module:depends("jitsi_session");

local function all(list, test)
	if type(list) ~= "table" or #list == 0 then
		return false;
	end
	for _, item in ipairs(list) do
		if not test(item) then
			return false;
		end
	end
	return true;
end

local function is_new_poll(data)
	return type(data.question) == "string" and all(data.answers, function (answer)
		return type(answer) == "table" and type(answer.name) == "string";
	end);
end

local function is_vote(data)
	return all(data.answers, function (answer) return type(answer) == "boolean"; end);
end

local function tell_all(room, data)
	for _, occupant in room:each_occupant() do
		standin.send_json(occupant.jid, data);
	end
end

local function new_poll(room, data, sender_id, sender_name)
	if not is_new_poll(data) or #room.polls >= MOST_POLLS or room.polls[data.pollId] then
		module:log("warn", "Refused a poll in %s", room.jid);
		return;
	end
	local answers = {};
	for i, answer in ipairs(data.answers) do
		answers[i] = { name = answer.name };
	end
	local poll = {
		pollId = data.pollId, senderId = sender_id, senderName = sender_name, question = data.question,
		answers = answers
	};
	table.insert(room.polls, poll);
	room.polls[data.pollId] = poll;
	data.answers, data.senderId = answers, sender_id;
	tell_all(room, data);
end

local function vote(room, data, voter_id, voter_name)
	local poll = room.polls[data.pollId];
	if not poll or not is_vote(data) then
		module:log("warn", "Refused a vote in %s", room.jid);
		return;
	end
	for i, answer in ipairs(poll.answers) do
		local voters = {};
		for _, voter in ipairs(answer.voters or {}) do
			if voter.id ~= voter_id then
				table.insert(voters, voter);
			end
		end
		if data.answers[i] then
			table.insert(voters, { id = voter_id, name = voter_name });
		end
		answer.voters = #voters > 0 and voters or nil;
	end
	data.senderId, data.senderName = voter_id, voter_name;
	tell_all(room, data);
end

standin.serve("json-message", standin.NS, function (payload, room, _, event)
	local text = payload:get_text() or "";
	local occupant, in_room = standin.occupant(room, event.stanza.attr.from);
	local data = #text < LARGEST_MESSAGE and json.decode(text);
	if type(data) ~= "table" or data.type ~= "polls" or type(data.pollId) ~= "string" or not in_room.polls then
		return;
	end
	local id, name = jid.resource(occupant.nick), standin.display_name(occupant);
	if data.command == "new-poll" then
		new_poll(in_room, data, id, name);
	elseif data.command == "answer-poll" then
		vote(in_room, data, id, name);
	end
end);

local function watch(_, host_module)
	host_module:hook("muc-room-created", function (event)
		if not standin.is_healthcheck(event.room.jid) then
			event.room.polls = {};
		end
	end);
	host_module:hook("muc-occupant-joined", function (event)
		local polls = event.room.polls;
		if polls and #polls > 0 then
			local list = {};
			for i, poll in ipairs(polls) do
				list[i] = poll;
			end
			standin.send_json(event.occupant.jid, { type = "polls", command = "old-polls", polls = list });
		end
	end);
end

local prefix = module:get_option_string("muc_mapper_domain_prefix", "conference");
standin.on_muc(prefix .. "." .. main_host, watch);
standin.on_muc("breakout." .. main_host, watch);
standin.announce(main_host, "polls", module.host);
