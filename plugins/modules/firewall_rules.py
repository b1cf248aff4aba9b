#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: one table of nftables, with a way back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: firewall_rules
short_description: Load a table of nftables with a way back
version_added: 0.1.0
description:
  - The steps on the host of M(campus.jitsi.firewall), which works out the rules and goes through the steps in order.
  - O(step=try) checks the rules, has systemd bring back the old ones after O(rollback_after) seconds, and loads the new ones.
    O(step=confirm) calls that off and makes them permanent. A run that dies in between leaves a host with its old rules.
author: campus.jitsi contributors (@campus-jitsi)
seealso:
  - module: campus.jitsi.firewall
attributes:
  check_mode:
    description: Says what would change.
    support: full
  diff_mode:
    description: Shows the rules.
    support: full
options:
  step:
    description: V(read) changes nothing and says what is there. V(remove) removes table, file and unit.
    type: str
    choices: [read, try, confirm, remove]
    required: true
  rules:
    description: The whole script for C(nft -f), for O(step=try).
    type: str
  rollback_after:
    description: Seconds until the old rules are back, for O(step=try).
    type: int
    default: 60
  ssh_port:
    description: For O(step=read), the port for SSH when nothing on the host says which it is.
    type: int
    default: 22
"""

EXAMPLES = r"""
- name: What is there
  campus.jitsi.firewall_rules:
    step: read
  register: firewall
"""

RETURN = r"""
file:
  description: The rules that are loaded when the host starts, empty without any.
  type: str
  returned: O(step=read)
loaded:
  description: Whether the table is there and says what the file says.
  type: bool
  returned: O(step=read)
ssh_ports:
  description: Where SSH listens beyond loopback, and where this run came to.
  type: list
  elements: int
  returned: O(step=read)
pending:
  description: Whether rules were loaded that wait to be confirmed.
  type: bool
  returned: O(step=try)
reason:
  description: Why.
  type: str
  returned: when something changed
"""

import contextlib
import os
import shutil
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.campus.jitsi.plugins.module_utils import _sockets

TABLE = ("inet", "campus_jitsi")
FILE = "/etc/campus.jitsi/firewall.nft"
SERVICE = "campus.jitsi-firewall.service"
UNIT = f"/etc/systemd/system/{SERVICE}"
DROPIN = "/etc/systemd/system/nftables.service.d/campus.jitsi.conf"
ROLLBACK = "campus.jitsi-firewall-rollback"
#: Gone after a reboot, and then the old rules are back anyway.
TRIAL = "/run/campus.jitsi-firewall"
CANDIDATE = f"{TRIAL}/new.nft"
BACK = f"{TRIAL}/old.nft"
GONE = f"table {' '.join(TABLE)}\ndelete table {' '.join(TABLE)}\n"

UNIT_TEXT = f"""\
# Managed by campus.jitsi.
[Unit]
Description=Firewall of campus.jitsi
Documentation=man:nft(8)
ConditionPathExists={FILE}
DefaultDependencies=no
Wants=network-pre.target
Before=network-pre.target shutdown.target
# Its default configuration empties all tables.
After=nftables.service
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
StandardInput=null
ProtectSystem=full
ProtectHome=true
ExecStart=/usr/sbin/nft -f {FILE}
ExecReload=/usr/sbin/nft -f {FILE}
ExecStop=-/usr/sbin/nft delete table {' '.join(TABLE)}

[Install]
WantedBy=sysinit.target
"""
AGAIN = f"-/bin/sh -c 'systemctl is-active --quiet {SERVICE} && exec /usr/sbin/nft -f {FILE}'"
DROPIN_TEXT = f"""\
# Managed by campus.jitsi: whatever nftables.service does to all tables, the one of campus.jitsi is there afterwards.
[Service]
ExecStartPost={AGAIN}
ExecReload={AGAIN}
ExecStopPost={AGAIN}
"""


def read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.read()
    except FileNotFoundError:
        return ""


def write(path: str, text: str) -> None:
    """Put ``text`` at ``path``, whole or not at all."""
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(path + ".new", path)


def complaint(text: str) -> str:
    """What nft says is wrong, without the lines that repeat the rule.

    >>> complaint("/run/x.nft:3:5-9: Error: syntax error\\n  tcp\\n  ^^^\\n")
    '/run/x.nft:3:5-9: Error: syntax error'
    """
    return next((line for line in text.splitlines() if "rror" in line), text.strip())


class Host:
    """What is on this host."""

    def __init__(self, module: AnsibleModule):
        self.module = module

    def nft(self, *words: str) -> tuple[int, str, str]:
        return self.module.run_command(["nft", *words])

    def systemctl(self, *words: str) -> str:
        """Run systemctl, fail when it fails."""
        code, out, err = self.module.run_command(["systemctl", "--no-ask-password", *words])
        if code:
            self.module.fail_json(msg=f"`systemctl {' '.join(words)}` failed: {(err or out).strip()}")
        return out

    def is_active(self, unit: str) -> bool:
        return self.module.run_command(["systemctl", "is-active", "--quiet", unit])[0] == 0

    def is_enabled(self) -> bool:
        return self.module.run_command(["systemctl", "is-enabled", "--quiet", SERVICE])[0] == 0

    def table(self) -> str | None:
        """The table as it is loaded, without counters and what is in named sets; None when it is not there."""
        if not shutil.which("nft"):
            return None
        code, out, _err = self.nft("--stateless", "--terse", "list", "table", *TABLE)
        return None if code else out

    def would_be(self, path: str) -> str | None:
        """What :meth:`table` would say after ``path`` was loaded: tried where no packet goes, in a network of its own."""
        code, out, _err = self.module.run_command(
            ["unshare", "--net", "sh", "-c", f'nft -f "$1" && nft --stateless --terse list table {" ".join(TABLE)}', "sh", path])
        return None if code else out

    def adopt(self) -> None:
        """Let connections that this host opened before the table was there go on.

        The kernel sees them from the middle. What comes to a port of ours is let in by its rule, but an answer is known as
        one only after the next question.
        """
        everything = _sockets.all_sockets()
        for version in (4, 6):
            elements = sorted({f"{one.peer} . {one.peer_port} . {one.port}" for one in _sockets.to_initiated(everything)
                               if (":" in one.peer) == (version == 6)})
            if elements:
                self.nft("add", "element", *TABLE, f"opened_before{version}", "{ " + ", ".join(elements) + " }")

    def stop_rollback(self) -> None:
        """Call the way back off."""
        self.module.run_command(["systemctl", "stop", f"{ROLLBACK}.timer", f"{ROLLBACK}.service"])
        self.module.run_command(["systemctl", "reset-failed", f"{ROLLBACK}.timer", f"{ROLLBACK}.service"])

    def forget_trial(self) -> None:
        self.stop_rollback()
        shutil.rmtree(TRIAL, ignore_errors=True)


def difference(host: Host, rules: str) -> str | None:
    """Why the rules must be loaded or written, None when all is so already."""
    if read(FILE) != rules:
        return "the rules are new" if read(FILE) else "there were none"
    if read(UNIT) != UNIT_TEXT or read(DROPIN) != DROPIN_TEXT or not host.is_enabled() or not host.is_active(SERVICE):
        return f"{SERVICE} was not as it should be"
    loaded = host.table()
    if loaded is None:
        return "the table was not loaded"
    return None if loaded == host.would_be(FILE) else "the table was not what the file says"


def try_rules(module: AnsibleModule, host: Host) -> dict[str, t.Any]:
    """Load the rules of the task, with the way back arranged before."""
    rules, seconds = module.params["rules"], module.params["rollback_after"]
    reason = difference(host, rules)
    result = {"changed": reason is not None, "pending": False, "reason": reason,
              "diff": {"before_header": FILE, "after_header": FILE, "before": read(FILE), "after": rules}}
    if reason is None:
        host.forget_trial()
        return result
    if module.check_mode:
        return result
    if not shutil.which("nft"):
        module.fail_json(msg="`nft` is not there: install the package nftables.")
    if os.path.exists(BACK) and host.is_active(f"{ROLLBACK}.timer"):
        # A run died in the middle. What it tried was never confirmed.
        host.nft("-f", BACK)
    host.forget_trial()
    os.makedirs(TRIAL, mode=0o700)
    write(CANDIDATE, rules)
    code, out, err = host.nft("--check", "--file", CANDIDATE)
    if code:
        shutil.rmtree(TRIAL, ignore_errors=True)
        module.fail_json(msg=f"nft does not accept the rules: {complaint(err or out)}. Nothing was changed.")
    code, out, _err = host.nft("list", "table", *TABLE)
    write(BACK, GONE + ("" if code else out))
    code, out, err = module.run_command([
        "systemd-run", "--collect", f"--unit={ROLLBACK}", f"--on-active={seconds}", "--timer-property=AccuracySec=100ms",
        "--description=Back to the old rules of the firewall of campus.jitsi", "nft", "-f", BACK])
    if code or not host.is_active(f"{ROLLBACK}.timer"):
        host.forget_trial()
        module.fail_json(msg=f"The way back to the old rules cannot be arranged: {(err or out).strip()}. Nothing was changed.")
    code, out, err = host.nft("-f", CANDIDATE)
    if code:
        host.forget_trial()
        module.fail_json(msg=f"nft does not load the rules: {complaint(err or out)}. Nothing was changed.")
    host.adopt()
    return {**result, "pending": True}


def confirm(module: AnsibleModule, host: Host) -> dict[str, t.Any]:
    """Call the way back off and keep the rules."""
    if not host.is_active(f"{ROLLBACK}.timer"):
        module.fail_json(msg="The host went back to its old rules, because it took too long to reach it again.")
    host.stop_rollback()
    if host.table() != host.would_be(CANDIDATE):
        host.forget_trial()
        module.fail_json(msg="The rules that are loaded are not those that were tried: somebody changed them meanwhile. Run this again.")
    # systemd takes a file with a new date for one that it has not read.
    stale = [(path, text) for path, text in ((UNIT, UNIT_TEXT), (DROPIN, DROPIN_TEXT)) if read(path) != text]
    for path, text in stale:
        write(path, text)
    write(FILE, read(CANDIDATE))
    if stale:
        host.systemctl("daemon-reload")
    if not host.is_enabled():
        host.systemctl("enable", "--quiet", SERVICE)
    if not host.is_active(SERVICE):
        host.systemctl("start", SERVICE)
        host.adopt()
    host.forget_trial()
    return {"changed": True}


def remove(module: AnsibleModule, host: Host) -> dict[str, t.Any]:
    """Leave nothing of ours."""
    files = [path for path in (UNIT, DROPIN, FILE) if os.path.lexists(path)]
    loaded = host.table() is not None
    changed = bool(files) or loaded
    before = read(FILE)
    if changed and not module.check_mode:
        host.forget_trial()
        if UNIT in files:
            host.systemctl("disable", "--quiet", "--now", SERVICE)
        if host.table() is not None:
            host.nft("delete", "table", *TABLE)
        for path in files:
            os.unlink(path)
            with contextlib.suppress(OSError):
                # Somebody else may have something there.
                if path != UNIT:
                    os.rmdir(os.path.dirname(path))
        host.systemctl("daemon-reload")
    return {"changed": changed, "reason": "it was there" if changed else None,
            "diff": {"before_header": FILE, "after_header": FILE, "before": before, "after": ""}}


def look(module: AnsibleModule, host: Host) -> dict[str, t.Any]:
    """What is there."""
    everything = _sockets.all_sockets()
    commands = _sockets.holders(_sockets.listening(everything))
    file, loaded = read(FILE), host.table()
    return {
        "changed": False,
        "file": file,
        "loaded": bool(file) and loaded is not None and loaded == host.would_be(FILE),
        "ssh_ports": _sockets.ssh_ports(everything, commands, module.params["ssh_port"]),
    }


def main() -> None:
    """Do one step."""
    module = AnsibleModule(
        argument_spec={
            "step": {"type": "str", "choices": ["read", "try", "confirm", "remove"], "required": True},
            "rules": {"type": "str"},
            "rollback_after": {"type": "int", "default": 60},
            "ssh_port": {"type": "int", "default": 22},
        },
        required_if=[("step", "try", ["rules"])],
        supports_check_mode=True,
    )
    steps = {"read": look, "try": try_rules, "confirm": confirm, "remove": remove}
    module.exit_json(**steps[module.params["step"]](module, Host(module)))


if __name__ == "__main__":
    main()
