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
  - With O(source=self_signed), the host gets an issuer of the installation's own authority that can sign O(names) only, and issues
    the certificate with it; a timer on the host issues the next one when a third of its life is left, without Ansible. All keys are
    derived from the root key.
  - With O(source=files), copies a certificate with its chain and its key from the controller, after checking that they
    match, cover O(names), are in their time, and that the chain is complete.
  - With O(source=acme), sees to it that there is something to start with; M(campus.jitsi.acme_certificate) gets the certificate once
    the service answers.
  - Another O(source) than the last time ends the renewals of the old one.
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
    choices: [self_signed, files, acme]
    default: self_signed
  names:
    description: The host names that it must cover.
    type: list
    elements: str
    required: true
  not_below:
    description:
      - Names below O(names) that the host's issuer must not sign, because another host's certificate has them. A name that an
        authority may sign permits every name below it.
    type: list
    elements: str
    default: []
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
  service:
    description: The systemd unit to reload when the certificate was renewed by the timer or by certbot. Ansible's own runs leave that to
      M(campus.jitsi.service).
    type: str
    default: ''
  served:
    description:
      - Where the certificate is served, for M(campus.jitsi.served_certificates). Each has C(port), C(name) (the name to ask for) and
        optionally C(protocol) (V(tls), the default, or V(xmpp)) and C(address) (V(127.0.0.1) by default).
    type: list
    elements: dict
    default: []
  secrets_file:
    description: The file with the root key, for O(source=self_signed) and O(source=acme).
    type: path
  ca_file:
    description: The authority's certificate on the controller, for O(source=self_signed) and O(source=acme).
    type: path
  label:
    description: The label of the key, such as V(tls/web). Its second part is the name of the certificate on the host.
    type: str
    required: true
  generation:
    description: The generation of the key and of the issuer's.
    type: int
    default: 1
  days:
    description: How long the certificate is valid, for O(source=self_signed).
    type: int
    default: 90
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
    service: prosody
    served: [{port: 5222, name: auth.meet.example.edu, protocol: xmpp}]
    label: tls/prosody
    secrets_file: "{{ inventory_dir }}/.jitsi/root.key"
    ca_file: "{{ inventory_dir }}/.jitsi/ca.crt"
"""

RETURN = r"""
reason:
  description: Why a new certificate was issued.
  type: str
  returned: when one was
ocsp_responder:
  description: The address that the certificate on the host names for questions whether it was revoked; empty when it names none.
  type: str
  returned: success
"""
