#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: firewall
short_description: Close a host but for what the installation uses
version_added: 0.1.0
description:
  - Works out from the groups of the inventory what is open to whom on a host, and loads it as the table C(inet campus_jitsi)
    of nftables, of both address families. Tables of others, those of Docker and libvirt too, and C(/etc/nftables.conf) are
    left alone; what is sent is not filtered.
  - New rules are checked first. Then the host is told to go back to its old ones by itself after O(rollback_after) seconds,
    the rules are loaded in one step, and only when the host answers over a new connection they stay.
  - Connections that exist stay, those that the host opened itself too.
  - The rules are kept in C(/etc/campus.jitsi/firewall.nft) and loaded by C(campus.jitsi-firewall.service) before the network
    is up. When C(nftables.service) empties all tables, it loads ours again.
  - The addresses of other hosts come from the inventory and from facts. A run that sees only some hosts keeps what an earlier
    one knew of the rest.
author: campus.jitsi contributors (@campus-jitsi)
seealso:
  - module: campus.jitsi.firewall_rules
attributes:
  check_mode:
    description: Says what would change.
    support: full
  diff_mode:
    description: Shows the rules.
    support: full
options:
  state:
    description: Whether the host has the table. V(absent) removes it with its file and its unit.
    type: str
    choices: [present, absent]
    default: present
  host:
    description: The inventory's name of the host that the task runs on. Default, the play's; with C(delegate_to) it is the other one's.
    type: str
  only_update:
    description: Leave a host alone that has no table of ours yet.
    type: bool
    default: false
  ssh_port:
    description: The port for SSH when the host does not know by itself over which one this run came.
    type: int
    default: 22
  ssh_sources:
    description: Addresses and networks that may use SSH, none for everybody.
    type: list
    elements: str
    default: []
  monitoring_sources:
    description: Addresses and networks that may read the health and metrics of jicofo and the bridges.
    type: list
    elements: str
    default: []
  open:
    description:
      - What else is open on this host. Each item is a text such as V(8443/tcp), or a dictionary with C(port) (or a range),
        C(protocol) and, when not everybody may, C(sources).
    type: list
    elements: raw
    default: []
  rollback_after:
    description: After how many seconds the host goes back to its old rules unless it answers over a new connection.
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Close all but what is used
  campus.jitsi.firewall:
    ssh_sources: [192.0.2.0/24]
    open: [8443/tcp, {port: 9100, protocol: tcp, sources: [192.0.2.9]}]
"""

RETURN = r"""
reason:
  description: Why the rules were loaded.
  type: str
  returned: when they were, or would be in check mode
"""
