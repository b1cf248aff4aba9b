#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: a service that runs what is on disk."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service
short_description: Keep a systemd service enabled, running, and running its present configuration
version_added: 0.1.0
description:
  - Starts a service that does not run, and restarts or reloads one that was started before its files last changed. The
    decision is made from the state of the host and not from handlers, so a run that died between changing a file and
    restarting the service is finished by the next run.
  - A service that people use at the moment can be drained before it is restarted.
author: campus.jitsi contributors (@campus-jitsi)
attributes:
  check_mode:
    description: Says what would be done.
    support: full
  diff_mode:
    description: Shows the state before and after.
    support: full
options:
  name:
    description: The unit, without C(.service).
    type: str
    required: true
  files:
    description: Files that the service reads when it starts. One that was written after the start asks for a restart.
    type: list
    elements: path
    default: []
  programs:
    description: Files of packages. One that was unpacked after the start asks for a restart.
    type: list
    elements: path
    default: []
  notice:
    description:
      - Files of packages that are worth a warning when they were unpacked after the start, and no restart, because a restart
        would disturb more than it helps.
    type: list
    elements: path
    default: []
  reload_files:
    description: Files that the service reads when it is reloaded. One that was written after that asks for a reload.
    type: list
    elements: path
    default: []
  pending:
    description: Whether a restart is needed for a reason that the files do not show, or would be in check mode.
    type: bool
    default: false
  pending_reload:
    description: Whether a reload is needed for a reason that the files do not show, or would be in check mode.
    type: bool
    default: false
  drain:
    description: How to empty the service before a restart. Without it, a restart is immediate.
    type: dict
    suboptions:
      start:
        description: URL to which a POST starts the drain. Without it, the service takes new users while the last ones are waited for.
        type: str
        default: ''
      undo:
        description: URL to which a POST ends it, when the wait was in vain. Without it, a service that has O(drain.start) takes no new users
          until it is restarted.
        type: str
        default: ''
      metrics:
        description: URL of Prometheus metrics.
        type: str
        required: true
      metric:
        description: The gauge that says how many use the service.
        type: str
        required: true
      timeout:
        description: How many seconds to wait for it to become 0.
        type: int
        default: 3600
  drain_only:
    description: Drain when the service runs, and leave it running. For what comes before an upgrade of its package.
    type: bool
    default: false
  ready_port:
    description: A TCP port on loopback to wait for after a start.
    type: int
  ready_url:
    description: A URL to wait for after a start, until it answers at all, be it with an error.
    type: str
  ready_timeout:
    description: How many seconds to wait for O(ready_port) or O(ready_url).
    type: int
    default: 60
"""

EXAMPLES = r"""
- name: Run jicofo
  campus.jitsi.service:
    name: jicofo
    files: [/etc/jitsi/jicofo/jicofo.conf, /etc/systemd/system/jicofo.service.d/campus.jitsi.conf]
    programs: [/usr/share/jicofo/jicofo.jar]
    ready_url: http://127.0.0.1:8888/about/health
"""

RETURN = r"""
action:
  description: What was done, or would be in check mode. One of C(none), C(started), C(restarted) and C(reloaded).
  type: str
  returned: success
reason:
  description: Why.
  type: str
  returned: success
"""

import contextlib
import datetime
import os
import re
import socket
import time
import typing as t
import urllib.error

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.urls import open_url

PROPERTIES = ("LoadState", "ActiveState", "SubState", "UnitFileState", "NeedDaemonReload", "ActiveEnterTimestamp",
              "StateChangeTimestamp")


def parse_timestamp(text: str) -> float:
    """``Mon 2026-11-23 10:00:00.000001 UTC`` (systemctl --timestamp=us+utc) to seconds since 1970, 0 when there is none.

    >>> parse_timestamp("Thu 1970-01-01 00:01:00.500000 UTC")
    60.5
    """
    match = re.search(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) UTC", text)
    if not match:
        return 0.0
    form = "%Y-%m-%d %H:%M:%S.%f" if "." in match.group(1) else "%Y-%m-%d %H:%M:%S"
    return datetime.datetime.strptime(match.group(1), form).replace(tzinfo=datetime.timezone.utc).timestamp()


def newest(paths: t.Iterable[str], attribute: str) -> tuple[float, str]:
    """``(time, path)`` of the file that changed last; ``(0, "")`` without any.

    :param attribute: ``st_mtime``, or ``st_ctime`` for what a package manager unpacks with old dates
    """
    found = (0.0, "")
    for path in paths:
        try:
            found = max(found, (getattr(os.stat(path), attribute), path))
        except FileNotFoundError:
            continue
    return found


def decide(*, state: t.Mapping[str, str], started: float, changed: float, reloaded: float, soft: float,
           pending: bool, pending_reload: bool) -> str:
    """``started``, ``restarted``, ``reloaded`` or ``none``.

    :param started: when the service was started; ``changed``: when what it reads at the start last changed
    :param reloaded: when it was last started or reloaded; ``soft``: when what it reads on a reload last changed
    """
    if state["ActiveState"] not in ("active", "reloading"):
        return "started"
    if pending or changed > started:
        return "restarted"
    if pending_reload or soft > reloaded:
        return "reloaded"
    return "none"


class Unit:
    """One systemd unit."""

    def __init__(self, module: AnsibleModule):
        self.module = module
        self.name = module.params["name"] + ".service"

    def systemctl(self, *words: str, check: bool = True) -> tuple[int, str]:
        code, out, err = self.module.run_command(["systemctl", "--no-ask-password", *words])
        if check and code:
            _code, log, _err = self.module.run_command(
                ["journalctl", "--no-pager", "--quiet", "--lines=15", "--output=cat", f"--unit={self.name}"])
            self.module.fail_json(msg=f"`systemctl {' '.join(words)}` failed: {(err or out).strip()}", journal=log.splitlines())
        return code, out

    def state(self) -> dict[str, str]:
        _code, out = self.systemctl("show", "--timestamp=us+utc", "--property=" + ",".join(PROPERTIES), self.name)
        return {**dict.fromkeys(PROPERTIES, ""), **dict(line.split("=", 1) for line in out.splitlines() if "=" in line)}


def post(url: str) -> bool:
    """POST nothing to ``url``. False when nobody answers."""
    try:
        open_url(url, data=b"", method="POST", timeout=10, use_proxy=False)
        return True
    except OSError:
        return False


#: How many seconds a service may take to say how many use it.
PATIENCE = 10


class Silent(Exception):
    """The service does not say how many use it; the message says what it does instead."""


def gauge(url: str, name: str) -> float | None:
    """The value of Prometheus gauge ``name`` at ``url``, None when nobody listens there.

    :raises Silent: somebody listens, and does not give that value, or not in time
    """
    try:
        # The bridge has an error 500 for who does not say what he accepts.
        text = open_url(url, timeout=PATIENCE, use_proxy=False, headers={"Accept": "text/plain"}).read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        raise Silent(f"answers {url} with HTTP {error.code}") from error
    except OSError as error:
        # Whoever is too busy to answer has users.
        if isinstance(getattr(error, "reason", error), ConnectionRefusedError):
            return None
        raise Silent(f"does not answer {url} ({getattr(error, 'reason', error)})") from error
    match = re.search(rf"(?m)^{re.escape(name)}(?:\{{[^}}]*\}})? ([0-9.eE+-]+)", text)
    if not match:
        raise Silent(f"has no {name} at {url}")
    return float(match.group(1))


def drain(module: AnsibleModule) -> None:
    """Empty the service; fails, with the drain undone, when it is still in use at the end of the time."""
    how = module.params["drain"]
    try:
        using = gauge(how["metrics"], how["metric"])
    except Silent as error:
        module.fail_json(msg=f"{module.params['name']} {error}, so that nobody knows how many use it; it was not restarted. "
                             f"Make it say so, or run `systemctl restart {module.params['name']}` when it may be cut off.")
    if not using:
        return
    if how["start"] and not post(how["start"]):
        module.fail_json(msg=f"{module.params['name']} has {using:.0f} users and does not take the drain at {how['start']}; "
                             "it was not restarted.")
    end = time.monotonic() + how["timeout"]
    while using:
        if time.monotonic() > end:
            if how["undo"]:
                post(how["undo"])
            again = "takes new ones again" if how["undo"] or not how["start"] else "takes no new ones until it is restarted"
            module.fail_json(
                msg=f"{module.params['name']} still has {using:.0f} users after {how['timeout']} s; it {again} "
                    "and runs with what it was started with. Run this again at a quieter time, or raise the drain timeout."
            )
        time.sleep(min(5, max(0.2, end - time.monotonic())))
        with contextlib.suppress(Silent):
            using = gauge(how["metrics"], how["metric"])


def ready(module: AnsibleModule) -> bool:
    """Whether the service answers where it should."""
    port, url = module.params["ready_port"], module.params["ready_url"]
    try:
        if port:
            with socket.create_connection(("localhost", port), timeout=2):
                pass
        if url:
            open_url(url, timeout=5, use_proxy=False)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def wait_until_ready(module: AnsibleModule, unit: Unit) -> None:
    """Wait for the service to answer; fails when it dies or never does."""
    end = time.monotonic() + module.params["ready_timeout"]
    while not ready(module):
        state = unit.state()
        if time.monotonic() > end or state["ActiveState"] == "failed":
            unit.systemctl("is-active", unit.name)
            module.fail_json(msg=f"{module.params['name']} runs and does not answer at "
                                 f"{module.params['ready_url'] or module.params['ready_port']}; its log says why.")
        time.sleep(0.1)


def main() -> None:
    """Look, decide, and unless in check mode act."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "files": {"type": "list", "elements": "path", "default": []},
            "programs": {"type": "list", "elements": "path", "default": []},
            "notice": {"type": "list", "elements": "path", "default": []},
            "reload_files": {"type": "list", "elements": "path", "default": []},
            "pending": {"type": "bool", "default": False},
            "pending_reload": {"type": "bool", "default": False},
            "drain": {
                "type": "dict",
                "options": {
                    "start": {"type": "str", "default": ""},
                    "undo": {"type": "str", "default": ""},
                    "metrics": {"type": "str", "required": True},
                    "metric": {"type": "str", "required": True},
                    "timeout": {"type": "int", "default": 3600},
                },
            },
            "drain_only": {"type": "bool", "default": False},
            "ready_port": {"type": "int"},
            "ready_url": {"type": "str"},
            "ready_timeout": {"type": "int", "default": 60},
        },
        required_if=[("drain_only", True, ["drain"])],
        supports_check_mode=True,
    )
    params = module.params
    unit = Unit(module)
    state = unit.state()
    if params["drain_only"]:
        if state["ActiveState"] == "active" and not module.check_mode:
            drain(module)
        module.exit_json(changed=False, action="none", reason="drained")
    if state["LoadState"] == "not-found" and not module.check_mode:
        module.fail_json(msg=f"This host has no unit {unit.name}: its package is not installed.")

    started, reloaded = (parse_timestamp(state[name]) for name in ("ActiveEnterTimestamp", "StateChangeTimestamp"))
    changed, file = max(newest(params["files"], "st_mtime"), newest(params["programs"], "st_ctime"))
    soft, soft_file = newest(params["reload_files"], "st_mtime")
    action = decide(state=state, started=started, changed=changed, reloaded=max(started, reloaded), soft=soft,
                    pending=params["pending"], pending_reload=params["pending_reload"])
    reason = {
        "started": f"it was {state['ActiveState'] or 'not there'}",
        "restarted": f"{file} is newer than its start" if changed > started else "asked for",
        "reloaded": f"{soft_file} is newer than its last reload" if soft > reloaded else "asked for",
        "none": "it runs what is on disk",
    }[action]
    unpacked, noticed = newest(params["notice"], "st_ctime")
    if action in ("none", "reloaded") and unpacked > started:
        module.warn(f"{params['name']} was started before {noticed} was upgraded and runs what it had: restart it at a quiet time "
                    f"(`systemctl restart {params['name']}`).")
    enable = state["UnitFileState"] not in ("enabled", "enabled-runtime", "static", "generated", "alias", "indirect")
    if not module.check_mode:
        # systemd says that it needs this only when a file changed that it knows; a first drop-in it does not know.
        if action != "none" or state["NeedDaemonReload"] == "yes":
            unit.systemctl("daemon-reload")
        if enable:
            unit.systemctl("enable", "--quiet", unit.name)
        if action == "restarted" and params["drain"]:
            drain(module)
        if action != "none":
            unit.systemctl({"started": "start", "restarted": "restart", "reloaded": "reload"}[action], unit.name)
            wait_until_ready(module, unit)
    after = {"started": "active, just started", "restarted": "active, just restarted", "reloaded": "active, just reloaded"}
    module.exit_json(
        changed=action != "none" or enable,
        action=action,
        reason=reason,
        diff={
            "before": f"{unit.name}: {'not ' if enable else ''}enabled, {state['ActiveState']}\n",
            "after": f"{unit.name}: enabled, {after.get(action, state['ActiveState'])}\n",
        },
    )


if __name__ == "__main__":
    main()
