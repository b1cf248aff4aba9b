#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: how many days a program's logs are kept."""

from __future__ import annotations

DOCUMENTATION = r"""
module: log_retention
short_description: Keep a program's logs for so many days
version_added: 0.1.0
description:
  - Once a day a timer on the host puts aside what was written into the log files, compressed, under the file's name with the time
    added, and deletes what was put aside and has a line that is older than O(days), by this timer and by logrotate.
  - The files of Debian's logrotate stay as they are, and may delete sooner.
  - The journal is the whole host's, and is not touched.
author: campus.jitsi contributors (@campus-jitsi)
attributes:
  check_mode:
    description: Says what would change.
    support: full
  diff_mode:
    description: Shows the description.
    support: full
options:
  name:
    description: The name of the description, such as the program's.
    type: str
    required: true
  files:
    description: The log files, without what was put aside of them.
    type: list
    elements: str
    required: true
  days:
    description: How many days a line is kept at most; V(0) for what the program's package says, without a timer of ours.
    type: int
    required: true
"""

EXAMPLES = r"""
- name: Keep Prosody's logs for a week
  campus.jitsi.log_retention:
    name: prosody
    files: [/var/log/prosody/prosody.log, /var/log/prosody/prosody.err]
    days: 7
"""

RETURN = r"""
path:
  description: The file with the description.
  type: str
  returned: success
"""

import inspect
import json
import os
import tempfile

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.campus.jitsi.plugins.module_utils import _logs

UNITS = "/etc/systemd/system"
TIMER = f"{_logs.UNIT}.timer"


def text_of(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as handle:
            return handle.read()
    except FileNotFoundError:
        return ""


def write(path: str, text: str) -> None:
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=os.path.dirname(path), prefix=".campus.jitsi-")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), 0o644)
        stream.write(text)
    os.replace(partial, path)


def wanted(path: str, description: str) -> dict[str, str]:
    """The text of each file of ours; an empty one for a file that should not be there.

    The timer and its script go with the last description.
    """
    others = [name for name in _logs.read() if name != os.path.basename(path)[: -len(".json")]]
    used = bool(description or others)
    return {
        path: description,
        _logs.SCRIPT: inspect.getsource(_logs) if used else "",
        f"{UNITS}/{_logs.UNIT}.service": _logs.SERVICE if used else "",
        f"{UNITS}/{TIMER}": _logs.TIMER if used else "",
    }


def main() -> None:
    """Compare, and unless in check mode write, and start or stop the timer."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "files": {"type": "list", "elements": "str", "required": True},
            "days": {"type": "int", "required": True},
        },
        supports_check_mode=True,
    )
    days, files = module.params["days"], module.params["files"]
    if days < 0:
        module.fail_json(msg=f"days is {days}: give how many days a line is kept, or 0 for what the program's package says.")
    if not files or any(not path.startswith("/var/log/") for path in files):
        module.fail_json(msg="files must be paths below /var/log: the timer may write nowhere else.")
    path = f"{_logs.FOLDER}/{module.params['name']}.json"
    description = json.dumps({"days": days, "files": files}, indent=1) + "\n" if days else ""
    before = text_of(path)
    texts = wanted(path, description)
    stale = {name: text for name, text in texts.items() if text_of(name) != text}
    # Started, and with the next start of the host.
    running = os.path.lexists(f"{UNITS}/timers.target.wants/{TIMER}") and module.run_command(["systemctl", "is-active", "--quiet", TIMER])[0] == 0
    used = bool(texts[f"{UNITS}/{TIMER}"])
    changed = bool(stale) or running != used
    if changed and not module.check_mode:
        if not used and os.path.lexists(f"{UNITS}/{TIMER}"):
            module.run_command(["systemctl", "disable", "--quiet", "--now", TIMER], check_rc=True)
        for name, text in stale.items():
            if text:
                write(name, text)
            else:
                os.unlink(name)
        if any(name.startswith(UNITS) for name in stale):
            module.run_command(["systemctl", "daemon-reload"], check_rc=True)
        if used and not running:
            module.run_command(["systemctl", "enable", "--quiet", "--now", TIMER], check_rc=True)
    module.exit_json(changed=changed, path=path, diff={"before": before, "after": description, "before_header": path, "after_header": path})


if __name__ == "__main__":
    main()
