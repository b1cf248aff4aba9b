#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: can a directory be used?"""

from __future__ import annotations

DOCUMENTATION = r"""
module: ldap_check
short_description: See whether a directory (LDAP) can be used from a host
version_added: 0.1.0
description:
  - From where it runs, and with nothing but Python's standard library, connects to each server, verifies its certificate, logs in as the
    account that searches for people, and looks for entries that must be there.
  - Fails when no server can be used, or when one refuses. It changes nothing.
author: campus.jitsi contributors (@campus-jitsi)
attributes:
  check_mode:
    description: It changes nothing anyway.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
options:
  servers:
    description: Names of servers, with a port behind a colon when it is not the usual one.
    type: list
    elements: str
    required: true
  tls:
    description: V(starttls), V(ldaps), or V(none).
    type: str
    choices: [starttls, ldaps, none]
    default: starttls
  ca:
    description: The authority of their certificates, as PEM text. Empty for those of the system.
    type: str
    default: ''
  bind_dn:
    description: The account that searches. Empty for an anonymous search.
    type: str
    default: ''
  bind_password:
    description: Its password.
    type: str
    default: ''
  names:
    description: DNs that must be there, by the name of the variable that says so.
    type: dict
    default: {}
  timeout:
    description: How many seconds a server may take to answer.
    type: int
    default: 5
"""

EXAMPLES = r"""
- name: Can the directory be used?
  campus.jitsi.ldap_check:
    servers: [ldap.example.edu]
    bind_dn: cn=reader,dc=example,dc=edu
    bind_password: "{{ vault_reader }}"
    names:
      jitsi_ldap_base: ou=people,dc=example,dc=edu
"""

RETURN = r"""
problems:
  description: What is wrong, one sentence each.
  type: list
  elements: str
  returned: failure
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.campus.jitsi.plugins.module_utils._ldap import look


def main() -> None:
    """Look, and tell."""
    module = AnsibleModule(
        argument_spec={
            "servers": {"type": "list", "elements": "str", "required": True},
            "tls": {"type": "str", "choices": ["starttls", "ldaps", "none"], "default": "starttls"},
            "ca": {"type": "str", "default": ""},
            "bind_dn": {"type": "str", "default": ""},
            "bind_password": {"type": "str", "default": "", "no_log": True},
            "names": {"type": "dict", "default": {}},
            "timeout": {"type": "int", "default": 5},
        },
        supports_check_mode=True,
    )
    params = module.params
    problems, warnings = look(params["servers"], params["tls"], params["ca"], params["bind_dn"], params["bind_password"], params["names"],
                              params["timeout"])
    for warning in warnings:
        module.warn(warning)
    if problems:
        module.fail_json(msg="\n".join(problems), problems=problems)
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
