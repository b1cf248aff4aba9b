#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: find out whether a directory can be asked for logins."""

from __future__ import annotations

DOCUMENTATION = r"""
module: ldap_check
short_description: Find out whether a directory can be asked for logins
version_added: 0.1.0
description:
  - Connects to each LDAP server from this host, verifies its certificate, logs in as the account that reads, and looks for the base,
    the group and anybody who could log in. Changes nothing.
  - Needs nothing on the host but Python.
author: campus.jitsi contributors (@campus-jitsi)
attributes:
  check_mode:
    description: Changes nothing.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
options:
  servers:
    description: Names of the servers, with a port behind a colon when it is another one than usual.
    type: list
    elements: str
    required: true
  tls:
    description: How the connection is encrypted.
    type: str
    choices: [starttls, ldaps, none]
    default: starttls
  ca:
    description: PEM text of the authorities that sign the servers' certificates. Empty, those that the host's system trusts.
    type: str
    default: ''
  base:
    description: The name of the entry below which people are.
    type: str
    required: true
  bind_dn:
    description: The name of the account that reads. Empty, nobody.
    type: str
    default: ''
  bind_password:
    description: Its password.
    type: str
    default: ''
  group:
    description: The name of a group that must be there. Empty, none.
    type: str
    default: ''
  filter:
    description: What finds a user, with C($user) for the name.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Look whether the directory answers
  campus.jitsi.ldap_check:
    servers: [ldap.example.edu]
    base: ou=people,dc=example,dc=edu
    filter: (uid=$user)
  register: ldap
"""

RETURN = r"""
problems:
  description:
    - What is in the way, one sentence each. One of several servers that cannot be reached is none, but a warning.
  type: list
  elements: str
  returned: success
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.campus.jitsi.plugins.module_utils._ldap import Directory, directory_problems


def main() -> None:
    """Look and tell."""
    module = AnsibleModule(
        argument_spec={
            "servers": {"type": "list", "elements": "str", "required": True},
            "tls": {"type": "str", "choices": ["starttls", "ldaps", "none"], "default": "starttls"},
            "ca": {"type": "str", "default": ""},
            "base": {"type": "str", "required": True},
            "bind_dn": {"type": "str", "default": ""},
            "bind_password": {"type": "str", "default": "", "no_log": True},
            "group": {"type": "str", "default": ""},
            "filter": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    params = module.params
    problems, warnings = directory_problems(Directory(
        servers=params["servers"], tls=params["tls"], base=params["base"], users=params["filter"], ca=params["ca"], bind_dn=params["bind_dn"],
        bind_password=params["bind_password"], group=params["group"]))
    for warning in warnings:
        module.warn(warning)
    module.exit_json(changed=False, problems=problems)


if __name__ == "__main__":
    main()
