# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action plugin: what is open to whom, worked out here and loaded there, with a way back."""

from __future__ import annotations

import re
import time

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.campus.jitsi.plugins.module_utils import _ports
from ansible_collections.campus.jitsi.plugins.plugin_utils import _firewall
from ansible_collections.campus.jitsi.plugins.plugin_utils._topology import GROUPS, place_roles

ARGUMENTS = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "host": {"type": "str"},
    "only_update": {"type": "bool", "default": False},
    "ssh_port": {"type": "int", "default": 22},
    "ssh_sources": {"type": "list", "elements": "str", "default": []},
    "monitoring_sources": {"type": "list", "elements": "str", "default": []},
    "open": {"type": "list", "elements": "raw", "default": []},
    "rollback_after": {"type": "int", "default": 60},
}


def placed_roles(groups):
    """The hosts of each role, of all roles that are known."""
    return {**{role: list(groups.get(f"jitsi_{role}", ())) for role in GROUPS}, **place_roles(groups)}


def plan(host, arguments, task_vars, found):
    """The table of ``host`` as a script.

    :param found: what the module firewall_rules read there
    :raises ValueError: it cannot be worked out; the message says why
    """
    hostvars, placed = task_vars["hostvars"], placed_roles(task_vars["groups"])
    variables = {name: hostvars[host][name] for name in _ports.VARIABLES if name in hostvars[host]}
    memory = _firewall.remembered(found["file"])
    addresses = {name: _firewall.addresses_of(name, hostvars, memory) for name in _firewall.peers_needed(host, placed, variables)}
    for name, known in addresses.items():
        if not known:
            raise ValueError(f"{host}: nobody knows an address of {name}, which must reach it, so the rules were left as they are: give "
                             f"{name} a `jitsi_address` that can be resolved, or run this without --limit.")
    openings = _firewall.openings(
        host, placed, addresses=addresses, ssh_ports=found["ssh_ports"], ssh_sources=arguments["ssh_sources"],
        monitoring=arguments["monitoring_sources"], opened=arguments["open"], variables=variables)
    return _firewall.script(openings, addresses)


class ActionModule(ActionBase):
    """See the module of the same name."""

    TRANSFERS_FILES = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(ARGUMENTS)
        self._vars = task_vars
        if arguments["state"] == "absent":
            result.update(self._step("remove"))
            return result
        host = arguments["host"] or task_vars["inventory_hostname"]
        found = self._step("read", ssh_port=arguments["ssh_port"])
        if found.get("failed") or (arguments["only_update"] and not found["file"]):
            result.update(found)
            return result
        try:
            rules = plan(host, arguments, task_vars, found)
        except ValueError as error:
            raise AnsibleActionFail(str(error)) from error
        result.update(self._step("try", rules=rules, rollback_after=arguments["rollback_after"]))
        if not result.get("failed") and result["pending"]:
            self._come_back(host, arguments["rollback_after"])
        return result

    def _step(self, step, **arguments):
        return self._execute_module("campus.jitsi.firewall_rules", {"step": step, **arguments}, task_vars=self._vars)

    def _come_back(self, host, seconds):
        """Confirm the rules over a connection that they have let in, or wait until the host has its old ones back."""
        end = time.monotonic() + seconds + 30
        try:
            if self._connection.transport != "local":
                # The master of a shared connection, too: what it carries is known to the firewall as one that exists.
                self._connection.reset()
            confirmed = self._step("confirm")
        except AnsibleConnectionFailure as error:
            sentence = f"{host}: with the new rules no new SSH connection to it is possible"
            # What ssh itself said, of all that Ansible says around it.
            reason = (re.findall(r"ssh: ([^\r\n\"]+)", str(error)) or ["no answer"])[-1].strip()
            while time.monotonic() < end:
                time.sleep(1)
                try:
                    self._step("read")
                except AnsibleConnectionFailure:
                    continue
                raise AnsibleActionFail(f"{sentence} ({reason}), so it went back to the rules that it had. Look at `jitsi_ssh_sources` and "
                                        "at the port that its sshd listens on.") from None
            raise AnsibleActionFail(f"{sentence} ({reason}), and it cannot be reached after the time when it should have gone back to its "
                                    "old rules either. Look at its console.") from None
        if confirmed.get("failed"):
            raise AnsibleActionFail(f"{host}: {confirmed['msg']}")
