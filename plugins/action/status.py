# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action plugin: the matrix of ports of a host."""

from __future__ import annotations

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.campus.jitsi.plugins.action.firewall import plan, placed_roles
from ansible_collections.campus.jitsi.plugins.module_utils import _ports
from ansible_collections.campus.jitsi.plugins.plugin_utils import _firewall, _status

display = Display()


class ActionModule(ActionBase):
    """See the module of the same name."""

    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        host, arguments = task_vars["inventory_hostname"], self._task.args
        placed = placed_roles(task_vars["groups"])
        roles = arguments.get("roles") or _firewall.roles_of(host, placed)
        seen = self._execute_module(module_args={**arguments, "roles": roles}, task_vars=task_vars)
        if seen.get("failed"):
            result.update(seen)
            return result
        there = self._execute_module("campus.jitsi.firewall_rules", {"step": "read", "ssh_port": arguments.get("ssh_port", 22)}, task_vars=task_vars)
        if there.get("failed"):
            result.update(there)
            return result
        options = {name: arguments.get(name) or [] for name in ("ssh_sources", "monitoring_sources", "open")}
        wanted = arguments.get("firewall") == "nftables"
        firewall, covered, bad = self._firewall(host, wanted, options, task_vars, there)
        lines = _status.matrix(
            host, placed, [_status.Listener(*one) for one in seen["listeners"]], covered=covered, ssh_ports=there["ssh_ports"],
            ssh_sources=options["ssh_sources"], monitoring=options["monitoring_sources"], opened=options["open"],
            variables={name: task_vars["hostvars"][host][name] for name in _ports.VARIABLES if name in task_vars["hostvars"][host]},
            clients=tuple(seen["clients"]))
        table = _status.table(host, lines, seen["services"], firewall)
        display.display("\n".join(table))
        problems = [f"{host}: {firewall}."] if bad else []
        problems += [f"{host}: {one.port} {one.role}: {one.verdict}." for one in lines if one.bad]
        problems += [f"{host}: {one['unit']} is {one['state']}." for one in seen["services"] if one["state"] != "active"]
        result.update(changed=False, lines=[one._asdict() for one in lines], services=seen["services"], table=table,
                      msg="\n".join(problems) or "All is as it should be.")
        if problems:
            result["failed"] = True
        return result

    @staticmethod
    def _firewall(host, wanted, options, task_vars, there):
        """The firewall in words, whether it covers the host, and whether it is not as the inventory wants it."""
        if not wanted:
            return ("a firewall of campus.jitsi that the inventory does not ask for; run campus.jitsi.site", False, True) if there["file"] else (
                "no firewall of campus.jitsi", False, False)
        if not there["file"] or not there["loaded"]:
            return "the firewall is not loaded; run campus.jitsi.site --tags firewall", False, True
        try:
            rules = plan(host, options, task_vars, there)
        except ValueError as error:
            return f"the firewall cannot be compared: {error}", False, True
        if rules != there["file"]:
            return "the firewall is not what the inventory asks for; run campus.jitsi.site --tags firewall", False, True
        return "the firewall is loaded, as the inventory asks for", True, False
