#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_authority
short_description: Make the certificate of the installation's own authority, once
version_added: 0.1.0
description:
  - Writes the certificate of a small authority of the installation's own to a file on the controller, for the hosts and
    whoever else is to trust it. Its key is derived from the root key and is in no file.
  - The authority can sign names in O(domain) only, and issuers for such names.
  - An existing file is kept; one that belongs to another root key is an error. One of before the authority signed issuers is
    made anew with the same key and name, and who trusts the old file must take the new one.
  - Runs on the controller, whatever the host of the task is.
author: campus.jitsi contributors (@campus-jitsi)
extends_documentation_fragment: campus.jitsi.root_key
attributes:
  check_mode:
    description: Says whether the file would be made.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
options:
  path:
    description: The file, on the controller.
    type: path
    required: true
  secrets_file:
    description: The file with the root key, made by M(campus.jitsi.secrets).
    type: path
    required: true
  domain:
    description: The domain in which the authority can sign names.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Make the authority
  campus.jitsi.certificate_authority:
    path: "{{ inventory_dir }}/.jitsi/ca.crt"
    secrets_file: "{{ inventory_dir }}/.jitsi/root.key"
    domain: meet.example.edu
  run_once: true
"""

RETURN = r"""
certificate:
  description: The certificate, PEM.
  type: str
  returned: success
"""
