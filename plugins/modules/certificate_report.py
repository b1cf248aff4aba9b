#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_report
short_description: Compare the certificates that are served with those on disk, and say how long they last
version_added: 0.1.0
description:
  - Prints a table of what M(campus.jitsi.served_certificates) found on all hosts, with the issuers of the hosts and the installation's
    own authority.
  - Fails when a port shows another certificate than the one on disk or none, or one that lasts for less than O(warn_days), and names
    host, port and what to do.
  - Runs on the controller, whatever the host of the task is.
author: campus.jitsi contributors (@campus-jitsi)
attributes:
  check_mode:
    description: Changes nothing.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
options:
  seen:
    description: The C(certificates) of each host, by its name.
    type: dict
    required: true
  warn_days:
    description: How many days a certificate must still last.
    type: int
    default: 14
  ca_file:
    description: The certificate of the installation's own authority, on the controller.
    type: path
"""

EXAMPLES = r"""
- name: Compare the certificates
  campus.jitsi.certificate_report:
    seen: {meet.example.edu: "{{ seen.certificates }}"}
  run_once: true
"""

RETURN = r"""
table:
  description: The table, line by line.
  type: list
  elements: str
  returned: always
problems:
  description: One sentence for each problem.
  type: list
  elements: str
  returned: always
"""
