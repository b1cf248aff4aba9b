#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: what runs and listens on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: status
short_description: Show what listens on a host, who can reach it, and which services run
version_added: 0.1.0
description:
  - Compares what listens with the table of ports, docs/ports.md, and with what the inventory opens besides, and prints a table.
  - Fails when a service does not run, when nothing listens where something should, when the firewall that the inventory asks
    for is not the one that is loaded, and when something listens beyond loopback that nobody else should reach and that no
    firewall covers.
author: campus.jitsi contributors (@campus-jitsi)
attributes:
  check_mode:
    description: Changes nothing.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
options:
  roles:
    description: The roles of the host. Default, those that the groups of the inventory say.
    type: list
    elements: str
    default: []
  firewall:
    description: What the inventory asks for, C(jitsi_firewall).
    type: str
    choices: [none, nftables]
    default: none
  ssh_port:
    description: As in M(campus.jitsi.firewall).
    type: int
    default: 22
  ssh_sources:
    description: As in M(campus.jitsi.firewall).
    type: list
    elements: str
    default: []
  monitoring_sources:
    description: As in M(campus.jitsi.firewall).
    type: list
    elements: str
    default: []
  open:
    description: As in M(campus.jitsi.firewall).
    type: list
    elements: raw
    default: []
"""

EXAMPLES = r"""
- name: Show what listens
  campus.jitsi.status:
    firewall: "{{ jitsi_firewall }}"
"""

RETURN = r"""
lines:
  description: The lines of the matrix, each with C(role), C(port), C(listening), C(open_to), C(verdict) and C(bad).
  type: list
  elements: dict
  returned: always
services:
  description: The services, each with C(unit), C(version), C(state) and C(since).
  type: list
  elements: dict
  returned: always
table:
  description: All of it as lines of text.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.campus.jitsi.plugins.module_utils import _sockets

#: The unit and the package of each role.
UNITS = {
    "prosody": ("prosody.service", "prosody"),
    "jicofo": ("jicofo.service", "jicofo"),
    "jvb": ("jitsi-videobridge2.service", "jitsi-videobridge2"),
    "nginx_meet": ("nginx.service", "nginx"),
    "coturn": ("coturn.service", "coturn"),
}


def service(module: AnsibleModule, unit: str, package: str) -> dict[str, str]:
    """State, start and version of a service."""
    _code, out, _err = module.run_command(["systemctl", "show", "--timestamp=utc", "--property=ActiveState,ActiveEnterTimestamp", unit])
    values = dict(row.split("=", 1) for row in out.splitlines() if "=" in row)
    _code, version, _err = module.run_command(["dpkg-query", "--show", "--showformat=${Version}", package])
    return {"unit": unit.partition(".")[0], "version": version.strip() or "-", "state": values.get("ActiveState", "-"),
            "since": values.get("ActiveEnterTimestamp", "") or "-"}


def main() -> None:
    """Look and tell; the action plugin makes the table."""
    module = AnsibleModule(
        argument_spec={
            "roles": {"type": "list", "elements": "str", "default": []},
            "firewall": {"type": "str", "choices": ["none", "nftables"], "default": "none"},
            "ssh_port": {"type": "int", "default": 22},
            "ssh_sources": {"type": "list", "elements": "str", "default": []},
            "monitoring_sources": {"type": "list", "elements": "str", "default": []},
            "open": {"type": "list", "elements": "raw", "default": []},
        },
        supports_check_mode=True,
    )
    wanted = _sockets.listening(_sockets.all_sockets())
    commands = _sockets.holders(wanted)
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as handle:
        clients = [int(word) for word in handle.read().split()]
    module.exit_json(
        changed=False,
        listeners=[[one.protocol, one.address, one.port, commands.get(one.inode, "")] for one in wanted],
        clients=clients,
        services=[service(module, *UNITS[role]) for role in module.params["roles"] if role in UNITS],
    )


if __name__ == "__main__":
    main()
