-- SPDX-License-Identifier: GPL-3.0-or-later
-- STAND-IN of the campus.jitsi tests for the module of the same name: announces components in the main host's service
-- discovery.

module:hook("jitsi-add-identity", function (event)
	module:add_identity("component", event.name, event.host);
end);

-- Components that came up before this module.
for name, host in pairs(module:shared("/*/standin/identities")[module.host] or {}) do
	module:add_identity("component", name, host);
end
