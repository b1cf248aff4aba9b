#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: does a conference work?"""

from __future__ import annotations

DOCUMENTATION = r"""
module: conference_check
short_description: Hold a conference of two participants and say what does not work
version_added: 0.1.0
description:
  - From where it runs, usually the controller, and with nothing but Python's standard library, does over HTTPS what browsers
    do. It fetches the page and config.js, logs in over BOSH and over WebSocket, asks for a conference, enters a random room
    with two participants, waits for jicofo's invitation to a bridge, and sends an authenticated STUN check to each UDP
    candidate of the bridge. When Prosody tells of TURN servers, it gets a relayed address of each over each transport, with the
    credentials that Prosody gave.
  - The result is a table of steps with their times. The first step that fails ends it, with the layer at fault and the usual
    cause.
  - Where not everybody may enter, the last step tries to get in without a name, with a made-up account or a forged token, and as a guest
    whom nobody expects. It fails when one of them succeeds.
  - Certificates are always verified.
author: campus.jitsi contributors (@campus-jitsi)
attributes:
  check_mode:
    description: Changes nothing; the room is gone when the check ends.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
options:
  domain:
    description: The domain of the installation.
    type: str
    required: true
  port:
    description: Where the web site is.
    type: int
    default: 443
  address:
    description: Connect here instead of asking DNS. The certificate must still be the domain's.
    type: str
    default: ''
  fallback:
    description: Connect here when DNS does not know the domain.
    type: str
    default: ''
  ca:
    description: An authority to trust besides those of the system, as PEM text.
    type: str
    default: ''
  hosts:
    description: Where to find TURN servers that DNS does not know, by name.
    type: dict
    default: {}
  policy:
    description:
      - Who may enter, as in C(jitsi_auth). Everybody else tries to in the last step, and the check fails when somebody gets in.
    type: str
    choices: [anonymous, internal, ldap, jwt]
    default: anonymous
  guests:
    description: Whether guests may follow into a room that somebody opened. One of the two participants is then a guest.
    type: bool
    default: false
  user:
    description:
      - Whoever opens the room, where not everybody may. Without him and without O(token) the steps that need somebody inside are skipped.
    type: str
    default: ''
  password:
    description: His password.
    type: str
    default: ''
  token:
    description: A token (JWT) with which to open the room.
    type: str
    default: ''
  issuer:
    description: Whose tokens are taken; what a forged one says.
    type: str
    default: jitsi
  audience:
    description: For whom tokens must be; what a forged one says.
    type: str
    default: jitsi
  expired_token:
    description: A token that was good once, and must be refused. Without it that is not tried.
    type: str
    default: ''
  recorders:
    description: What M(campus.jitsi.recorder_check) found, by host. Each is one more line of the table, and the check fails when one is wrong.
    type: dict
    default: {}
  gateways:
    description: The same of M(campus.jitsi.gateway_check).
    type: dict
    default: {}
  timeout:
    description: How many seconds a step may take to get an answer.
    type: int
    default: 20
"""

EXAMPLES = r"""
- name: Does a conference work?
  campus.jitsi.conference_check:
    domain: meet.example.edu
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
steps:
  description: What became of each step.
  type: list
  elements: dict
  returned: always
  contains:
    name:
      description: The step.
      type: str
    ok:
      description: Whether nothing is wrong.
      type: bool
    skipped:
      description: Whether there was nothing to try. It then does not count as passed in RV(msg).
      type: bool
    seconds:
      description: How long it took.
      type: float
    detail:
      description: What was seen.
      type: str
    layer:
      description: What is at fault, when it failed.
      type: str
    hint:
      description: The usual cause, when it failed.
      type: str
table:
  description: The steps as lines of a table.
  type: list
  elements: str
  returned: always
msg:
  description: One sentence.
  type: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.campus.jitsi.plugins.module_utils._conference import POLICIES, REPORTS, Check, report, table, verdict
from ansible_collections.campus.jitsi.plugins.module_utils._xmpp import Login


def main() -> None:
    """Run the steps and tell."""
    module = AnsibleModule(
        argument_spec={
            "domain": {"type": "str", "required": True},
            "port": {"type": "int", "default": 443},
            "address": {"type": "str", "default": ""},
            "fallback": {"type": "str", "default": ""},
            "ca": {"type": "str", "default": ""},
            "hosts": {"type": "dict", "default": {}},
            "policy": {"type": "str", "choices": list(POLICIES), "default": "anonymous"},
            "guests": {"type": "bool", "default": False},
            "user": {"type": "str", "default": ""},
            "password": {"type": "str", "default": "", "no_log": True},
            "token": {"type": "str", "default": "", "no_log": True},
            "issuer": {"type": "str", "default": "jitsi"},
            "audience": {"type": "str", "default": "jitsi"},
            "expired_token": {"type": "str", "default": "", "no_log": True},
            "recorders": {"type": "dict", "default": {}},
            "gateways": {"type": "dict", "default": {}},
            "timeout": {"type": "int", "default": 20},
        },
        supports_check_mode=True,
    )
    params = module.params
    check = Check(params["domain"], port=params["port"], address=params["address"], fallback=params["fallback"], ca=params["ca"],
                  timeout=params["timeout"], hosts=params["hosts"], policy=params["policy"], guests=params["guests"],
                  login=Login(params["user"], params["password"], params["token"]), issuer=params["issuer"], audience=params["audience"],
                  expired=params["expired_token"])
    steps = check.run() + [report(name, host, found) for name in REPORTS for host, found in sorted(params[name].items())]
    result = {
        "changed": False,
        "steps": [step._asdict() for step in steps],
        "table": table(steps),
        "msg": verdict(params["domain"], steps),
    }
    if all(step.ok for step in steps):
        module.exit_json(**result)
    module.fail_json(**result)


if __name__ == "__main__":
    main()
