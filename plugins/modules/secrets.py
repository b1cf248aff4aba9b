#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: secrets
short_description: Make the root key of an installation, once
version_added: 0.1.0
description:
  - Makes the file with the root key on the controller when it is missing, atomically and with mode 0600. Every other
    secret is derived from it by the lookup P(campus.jitsi.secret#lookup).
  - When the run has a vault password, the new file is encrypted with it.
  - An existing file is never written to. One that is truncated, unreadable or encrypted with another password is an
    error.
  - Runs on the controller, whatever the host of the task is.
author: campus.jitsi contributors (@campus-jitsi)
extends_documentation_fragment: campus.jitsi.root_key
attributes:
  check_mode:
    description: Says whether a key would be made.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
options:
  path:
    description: The file, on the controller.
    type: path
    required: true
  dependents:
    description:
      - Files on the controller that were made with the key, such as the authority's certificate. When one of them is there and
        the key is not, the key was lost, and no other is made in its place.
    type: list
    elements: path
    default: []
"""

EXAMPLES = r"""
- name: Make the root key
  campus.jitsi.secrets:
    path: "{{ inventory_dir }}/.jitsi/root.key"
  run_once: true
"""

RETURN = r"""
path:
  description: The file.
  type: str
  returned: success
encrypted:
  description: Whether the file is encrypted with Ansible vault.
  type: bool
  returned: when the file exists
"""
