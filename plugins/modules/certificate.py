#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the action plugin of this name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate
short_description: Put a certificate and its key on a host
version_added: 0.1.0
description:
  - With O(source=self_signed), issues a certificate of the installation's own authority when the host has none that is
    good, and again when a third of its life is left or its names or its key change. The key is derived from the root key.
  - With O(source=files), copies a certificate with its chain and its key from the controller, after checking that they
    match, cover O(names) and are in their time.
author: campus.jitsi contributors (@campus-jitsi)
extends_documentation_fragment: campus.jitsi.root_key
attributes:
  check_mode:
    description: Says what would change.
    support: full
  diff_mode:
    description: Shows the certificate, never the key.
    support: full
options:
  source:
    description: Where the certificate comes from.
    type: str
    choices: [self_signed, files]
    default: self_signed
  names:
    description: The host names that it must cover.
    type: list
    elements: str
    required: true
  certificate_path:
    description: Where the certificate goes, on the host.
    type: path
    required: true
  key_path:
    description: Where the key goes, on the host.
    type: path
    required: true
  owner:
    description: The owner of both.
    type: str
    default: root
  group:
    description: The group of both.
    type: str
    default: root
  key_mode:
    description: The permissions of the key.
    type: str
    default: '0640'
  secrets_file:
    description: The file with the root key, for O(source=self_signed).
    type: path
  ca_file:
    description: The authority's certificate on the controller, for O(source=self_signed).
    type: path
  label:
    description: The label of the key, for O(source=self_signed).
    type: str
  generation:
    description: The generation of the key, for O(source=self_signed).
    type: int
    default: 1
  days:
    description: How long the certificate is valid, for O(source=self_signed).
    type: int
    default: 3650
  certificate_file:
    description: The certificate with its chain behind it, on the controller, for O(source=files).
    type: path
  key_file:
    description: The key, on the controller, for O(source=files). It may be encrypted with Ansible vault.
    type: path
"""

EXAMPLES = r"""
- name: The certificate of the XMPP server
  campus.jitsi.certificate:
    names: [auth.meet.example.edu]
    certificate_path: /etc/prosody/certs/auth.meet.example.edu.crt
    key_path: /etc/prosody/certs/auth.meet.example.edu.key
    group: prosody
    label: tls/prosody
    secrets_file: "{{ inventory_dir }}/.jitsi/root.key"
    ca_file: "{{ inventory_dir }}/.jitsi/ca.crt"
"""

RETURN = r"""
reason:
  description: Why a new certificate was issued.
  type: str
  returned: when one was
"""
