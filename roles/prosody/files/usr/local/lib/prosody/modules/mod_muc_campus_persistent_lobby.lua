-- SPDX-License-Identifier: GPL-3.0-or-later
-- Managed by campus.jitsi.
--
-- A lobby outlives an empty room (prosody_lobby_persistent). Jitsi's persistent_lobby does so with lobbies that another module made;
-- here those that a moderator turned on are, too.

-- After muc_lobby_rooms has made the lobby; that the room is for members only is set later.
module:hook("muc-config-submitted", function (event)
	local room = event.room;
	if room._data.lobbyroom and not room._data.persist_lobby then
		room._data.persist_lobby = true;
		room:set_persistent(true);
	end
end, -10);
