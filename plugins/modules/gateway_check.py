#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: how the gateways to telephones of a host are."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gateway_check
short_description: Say how the gateways to telephones of a host are, and how many calls they have
version_added: 0.1.0
description:
  - Asks each jigasi of the host on loopback for its metrics. Without calls it is C(idle), with calls C(busy), and C(unhealthy) when it does
    not answer, is shutting down, is not registered, or fails its own check.
  - Fails when one is unhealthy, with one sentence that says what to look at. Of an account that is not registered it says what the log has of
    it, such as that the password is wrong. One that was started a moment ago is waited for.
  - A jigasi that has somebody to call for its own check (C(org.jitsi.jigasi.HEALTH_CHECK_SIP_URI)) finds out whether calls get through.
author: campus.jitsi contributors (@campus-jitsi)
attributes:
  check_mode:
    description: Changes nothing.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
options:
  gateways:
    description: The gateways.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The name of its account.
        type: str
        required: true
      http_port:
        description: The port of its HTTP.
        type: int
        required: true
      log:
        description: Its log, where it says what became of its registration.
        type: str
        default: /var/log/jitsi/jigasi.log
  own_check:
    description: Whether they have somebody to call for a check of their own.
    type: bool
    default: false
  limit:
    description: How many calls each may have before meetings make none through it; V(0) without.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: See how the gateways are
  campus.jitsi.gateway_check:
    gateways: [{name: main, http_port: 8788}]
    limit: 10
"""

RETURN = r"""
gateways:
  description: Each gateway, with C(name), C(state), C(calls) and C(why).
  type: list
  elements: dict
  returned: always
table:
  description: The same, line by line.
  type: list
  elements: str
  returned: always
"""

import time
import typing as t
import urllib.error

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url

from ansible_collections.campus.jitsi.plugins.module_utils import _telephony

#: How many seconds a registration may take, and how many bytes of a log are looked at.
PATIENCE = 10
TAIL = 256 * 1024


def ask(port: int, path: str) -> tuple[int, str] | None:
    """The status and text of an answer; None without one."""
    try:
        answer = open_url(f"http://127.0.0.1:{port}{path}", timeout=10, use_proxy=False)
        return answer.status, answer.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, ""
    except OSError:
        return None


def end_of(path: str) -> str:
    """The last lines of a log; empty when there is none."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, file.seek(0, 2) - TAIL))
            return file.read().decode("utf-8", "replace")
    except OSError:
        return ""


def look(gateway: t.Mapping[str, t.Any], own_check: bool) -> _telephony.Gateway:
    """How a gateway is."""
    end = time.monotonic() + PATIENCE
    while True:
        metrics = ask(gateway["http_port"], "/metrics")
        health = ask(gateway["http_port"], "/about/health")
        log = end_of(gateway["log"])
        registering = metrics and health and health[0] == _telephony.NOT_REGISTERED and _telephony.registration(log)[0] != _telephony.REFUSED
        if not registering or time.monotonic() > end:
            return _telephony.gateway(gateway["name"], metrics[1] if metrics else None, health[0] if health else None, own_check=own_check, log=log)
        time.sleep(1)


def main() -> None:
    """Look and tell."""
    module = AnsibleModule(
        argument_spec={
            "gateways": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "http_port": {"type": "int", "required": True},
                    "log": {"type": "str", "default": "/var/log/jitsi/jigasi.log"},
                },
            },
            "own_check": {"type": "bool", "default": False},
            "limit": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    found = [look(gateway, module.params["own_check"]) for gateway in module.params["gateways"]]
    result = {"gateways": [one._asdict() for one in found], "table": _telephony.table(found, module.params["limit"])}
    bad = [(one, gateway["log"]) for one, gateway in zip(found, module.params["gateways"]) if one.state == "unhealthy"]
    if bad:
        module.fail_json(msg=" ".join(f"The gateway {one.name} {one.why}: look at {log}." for one, log in bad), **result)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
