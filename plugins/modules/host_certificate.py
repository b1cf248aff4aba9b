#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: the host's side of M(campus.jitsi.certificate)."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_certificate
short_description: The host's side of campus.jitsi.certificate
version_added: 0.1.0
description:
  - M(campus.jitsi.certificate) runs this on the host. There is no reason to use it by itself.
  - Writes the description of a certificate, the issuer when there is one, and the script and timer that renew; then has that
    same script's code issue the certificate, or puts the given one in place.
author: campus.jitsi contributors (@campus-jitsi)
attributes:
  check_mode:
    description: Says what would change.
    support: full
  diff_mode:
    description: Shows the certificate, never a key.
    support: full
options:
  name:
    description: The name of the certificate on this host.
    type: str
    required: true
  source:
    description: Where it comes from.
    type: str
    choices: [self_signed, files, acme]
    required: true
  names:
    description: The host names that it must cover.
    type: list
    elements: str
    required: true
  certificate_path:
    description: Where the certificate goes.
    type: path
    required: true
  key_path:
    description: Where the key goes.
    type: path
    required: true
  owner:
    description: The owner of both.
    type: str
    required: true
  group:
    description: The group of both.
    type: str
    required: true
  key_mode:
    description: The permissions of the key.
    type: str
    required: true
  days:
    description: How long a certificate of the installation's own authority is valid.
    type: int
    required: true
  service:
    description: The systemd unit to reload after a renewal.
    type: str
    default: ''
  served:
    description: Where it is served.
    type: list
    elements: dict
    default: []
  certificate:
    description:
      - With O(source=files), the certificate. With O(source=acme), a placeholder until there is one.
    type: str
    default: ''
  key:
    description: The key, or that of the placeholder.
    type: str
    required: true
  issuer:
    description: The certificate of the issuer, with O(source=self_signed).
    type: str
    default: ''
  issuer_key:
    description: The key of the issuer, with O(source=self_signed).
    type: str
    default: ''
  script:
    description: The text of the script that renews.
    type: str
    required: true
"""

EXAMPLES = r"""
# See campus.jitsi.certificate.
"""

RETURN = r"""
reason:
  description: Why there is a new certificate.
  type: str
  returned: when there is one
ocsp_responder:
  description: The address that the certificate which is there names for questions whether it was revoked; empty when it names none.
  type: str
  returned: success
"""

import contextlib
import grp
import json
import os
import pwd
import shutil
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.campus.jitsi.plugins.module_utils import _certificates

UNITS = "/etc/systemd/system"


class Host:
    """The files of this host; in check mode it only says what would change."""

    def __init__(self, module: AnsibleModule):
        self.module = module
        self.changed = False
        self.diff: list[dict[str, str]] = []

    def file(self, path: str, text: str, owner: str = "root", group: str = "root", mode: int = 0o600) -> bool:
        """A file with this text, owner and mode. True when something changed."""
        if self.module.check_mode:
            changed = differs(path, text, owner, group, mode)
        else:
            changed = _certificates.install(path, text, owner, group, mode)
        self.changed |= changed
        return changed

    def no_file(self, path: str) -> None:
        if os.path.lexists(path):
            self.changed = True
            if not self.module.check_mode:
                os.unlink(path)

    def run(self, *words: str) -> None:
        """Run a command, unless in check mode."""
        self.changed = True
        if not self.module.check_mode:
            code, out, err = self.module.run_command(list(words))
            if code:
                self.module.fail_json(msg=f"`{' '.join(words)}` failed: {(err or out).strip()}")


def differs(path: str, text: str, owner: str, group: str, mode: int) -> bool:
    """Whether a file has another text, owner or mode than it should; also when the owner is not known yet."""
    try:
        info = os.stat(path)
        return (_certificates.read(path) != text
                or (info.st_uid, info.st_gid, info.st_mode & 0o7777) != (pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid, mode))
    except (FileNotFoundError, KeyError):
        return True


def machinery(host: Host) -> None:
    """The script, its timer and the folder of the descriptions."""
    folder = _certificates.FOLDER
    if not host.module.check_mode:
        os.makedirs(os.path.dirname(folder), mode=0o755, exist_ok=True)
        os.makedirs(folder, mode=0o700, exist_ok=True)
    host.file(_certificates.SCRIPT, host.module.params["script"], mode=0o644)
    units = [host.file(f"{UNITS}/{_certificates.UNIT}{ending}", text, mode=0o644)
             for ending, text in ((".service", _certificates.SERVICE), (".timer", _certificates.TIMER))]
    if any(units):
        host.run("systemctl", "daemon-reload")
    timer = _certificates.UNIT + ".timer"
    code, _out, _err = host.module.run_command(["systemctl", "is-active", "--quiet", timer])
    if code or not os.path.exists(f"{UNITS}/timers.target.wants/{timer}"):
        host.run("systemctl", "enable", "--quiet", "--now", timer)


def forget_lineage(host: Host, name: str) -> None:
    """What certbot has for a certificate that no longer comes from there would be renewed for ever, and put nowhere."""
    lineage = _certificates.lineage_name(name)
    if not os.path.exists(os.path.join(_certificates.CERTBOT, "renewal", lineage + ".conf")):
        return
    if shutil.which("certbot"):
        host.run("certbot", "delete", "--non-interactive", "--quiet", "--cert-name", lineage)
    else:
        host.no_file(os.path.join(_certificates.CERTBOT, "renewal", lineage + ".conf"))


def usable(description: dict[str, t.Any], now: float) -> bool:
    """Whether a service can start with what lies there, whoever it is of."""
    try:
        certificate = _certificates.look(_certificates.read(description["certificate"]))
        return certificate.end > now and certificate.public == _certificates.public_key(description["key"])
    except _certificates.CertificateError:
        return False


def own(host: Host, description: dict[str, t.Any]) -> str | None:
    """A certificate of the installation's own authority; why it was made, None when the old one is good."""
    params = host.module.params
    stem = _certificates.stem(params["name"])
    host.file(stem + ".issuer.key", params["issuer_key"])
    host.file(stem + ".issuer.crt", params["issuer"], mode=0o644)
    key_changed = host.file(params["key_path"], params["key"], params["owner"], params["group"], int(params["key_mode"], 8))
    if host.module.check_mode and (key_changed or _certificates.read(stem + ".issuer.crt") != params["issuer"]):
        # The files that the decision takes are not there in a check.
        return "its issuer or key would be new"
    reason = _certificates.renewal_reason(description, time.time())
    if reason is None:
        host.file(params["certificate_path"], _certificates.read(params["certificate_path"]), params["owner"], params["group"], 0o644)
    elif not host.module.check_mode:
        _certificates.put(description, _certificates.issue(description, time.time()))
    return reason


def given(host: Host) -> None:
    """The certificate and key of the task."""
    params = host.module.params
    host.file(params["key_path"], params["key"], params["owner"], params["group"], int(params["key_mode"], 8))
    host.file(params["certificate_path"], params["certificate"], params["owner"], params["group"], 0o644)


def responder(module: AnsibleModule) -> str:
    """Whom the certificate on this host says to ask (RFC 6960). In check mode there may be none yet."""
    path = module.params["certificate_path"]
    if not os.path.exists(path):
        return ""
    _code, out, _err = module.run_command(["openssl", "x509", "-noout", "-ocsp_uri", "-in", path], check_rc=True)
    return out.strip()


def main() -> None:
    """Describe, provide, and say what changed."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "source": {"type": "str", "choices": ["self_signed", "files", "acme"], "required": True},
            "names": {"type": "list", "elements": "str", "required": True},
            "certificate_path": {"type": "path", "required": True},
            "key_path": {"type": "path", "required": True, "no_log": False},
            "owner": {"type": "str", "required": True},
            "group": {"type": "str", "required": True},
            "key_mode": {"type": "str", "required": True, "no_log": False},
            "days": {"type": "int", "required": True},
            "service": {"type": "str", "default": ""},
            "served": {"type": "list", "elements": "dict", "default": []},
            "certificate": {"type": "str", "default": ""},
            "key": {"type": "str", "required": True, "no_log": True},
            "issuer": {"type": "str", "default": ""},
            "issuer_key": {"type": "str", "default": "", "no_log": True},
            "script": {"type": "str", "required": True},
        },
        supports_check_mode=True,
    )
    params = module.params
    host = Host(module)
    description = {key: params[key] for key in ("name", "source", "names", "owner", "group", "key_mode", "days", "service", "served")}
    description.update(certificate=params["certificate_path"], key=params["key_path"])
    before = _certificates.read(params["certificate_path"])
    reason = None
    try:
        with _certificates.one_at_a_time() if not module.check_mode else contextlib.nullcontext():
            machinery(host)
            # Before the certificate: from here on, nothing renews what the old description said.
            host.file(_certificates.stem(params["name"]) + ".json", json.dumps(description, indent=1, sort_keys=True) + "\n")
            if params["source"] != "self_signed":
                for ending in (".issuer.key", ".issuer.crt"):
                    host.no_file(_certificates.stem(params["name"]) + ending)
            if params["source"] != "acme":
                forget_lineage(host, params["name"])
            if params["source"] == "self_signed":
                reason = own(host, description)
            elif params["source"] == "files" or not usable(description, time.time()):
                given(host)
    except (_certificates.CertificateError, OSError, KeyError) as error:
        module.fail_json(msg=f"{params['certificate_path']}: {error}")
    result: dict[str, t.Any] = {"changed": host.changed or reason is not None, "invocation": None}
    after = _certificates.read(params["certificate_path"])
    if module.check_mode and reason:
        after = f"a new certificate for {', '.join(params['names'])}, because {reason}\n"
    elif module.check_mode and params["source"] == "files":
        after = params["certificate"]
    result["diff"] = {"before_header": params["certificate_path"], "after_header": params["certificate_path"], "before": before, "after": after}
    if reason:
        result["reason"] = reason
    result["ocsp_responder"] = responder(module)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
