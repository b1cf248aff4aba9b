#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: validate
short_description: Refuse an inventory that cannot work, before any host is touched
version_added: 0.1.0
description:
  - Compares the variables of a host with the argument specs of the collection's roles and fails with one sentence for
    each that is wrong, naming the variable and the fix.
  - Runs on the controller. It reads the host's facts when there are any and does not connect to it.
author: campus.jitsi contributors (@campus-jitsi)
requirements:
  - cryptography on the controller
attributes:
  check_mode:
    description: Changes nothing.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
options:
  site:
    description: Whether the inventory is to be that of a whole site, in which every role has its hosts.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Check the inventory
  campus.jitsi.validate:
"""

RETURN = r"""
problems:
  description: One sentence each.
  type: list
  elements: str
  returned: failure
"""
