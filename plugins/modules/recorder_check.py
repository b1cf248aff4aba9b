#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: how the recorders of a host are."""

from __future__ import annotations

DOCUMENTATION = r"""
module: recorder_check
short_description: Say how the recorders of a host are, and how many meetings more they can record
version_added: 0.1.0
description:
  - Asks each jibri of the host on loopback for its health. It is C(idle), C(busy), C(unhealthy) when it says so or takes no work, and
    C(gone) when it does not answer.
  - Fails when one is unhealthy or gone, with one sentence that says what to look at. That all are busy is no failure.
author: campus.jitsi contributors (@campus-jitsi)
attributes:
  check_mode:
    description: Changes nothing.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
options:
  instances:
    description: How many recorders the host is to have.
    type: int
    required: true
  port:
    description: The port of the first one's HTTP; that of the second is the next, and so on.
    type: int
    default: 2222
"""

EXAMPLES = r"""
- name: See how the recorders are
  campus.jitsi.recorder_check:
    instances: 2
"""

RETURN = r"""
recorders:
  description: Each recorder, with C(number), C(state) and C(why).
  type: list
  elements: dict
  returned: always
table:
  description: The same, line by line, and how many are free.
  type: list
  elements: str
  returned: always
"""

import os
import urllib.error

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url

from ansible_collections.campus.jitsi.plugins.module_utils import _recording

PAUSED = "/run/jibri-paused"


def ask(port: int) -> str | None:
    """What a recorder says of its health; None without an answer."""
    try:
        return open_url(f"http://127.0.0.1:{port}/jibri/api/v1.0/health", timeout=10, use_proxy=False).read().decode("utf-8", "replace")
    except urllib.error.HTTPError:
        return ""
    except OSError:
        return None


def main() -> None:
    """Look and tell."""
    module = AnsibleModule(
        argument_spec={"instances": {"type": "int", "required": True}, "port": {"type": "int", "default": 2222}},
        supports_check_mode=True,
    )
    found = [_recording.recorder(number, ask(module.params["port"] + number - 1), os.path.exists(f"{PAUSED}/{number}"))
             for number in range(1, module.params["instances"] + 1)]
    result = {"recorders": [one._asdict() for one in found], "table": _recording.table(found)}
    bad = [one for one in found if one.why]
    if bad:
        module.fail_json(msg=" ".join(f"Recorder {one.number} {one.why}: look at `journalctl --unit jibri@{one.number} --unit jibri-keeper`."
                                      for one in bad), **result)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
