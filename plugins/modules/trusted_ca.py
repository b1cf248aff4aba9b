#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: a certificate authority that this host trusts."""

from __future__ import annotations

DOCUMENTATION = r"""
module: trusted_ca
short_description: Have a host trust a certificate authority
version_added: 0.1.0
description:
  - Puts the certificate under C(/usr/local/share/ca-certificates) and brings the system's bundle up to date when it
    lacks it, which on Debian also reaches the trust store of Java.
  - A host without the package ca-certificates gets the file; the package takes it up when it is installed.
author: campus.jitsi contributors (@campus-jitsi)
attributes:
  check_mode:
    description: Says what would change.
    support: full
  diff_mode:
    description: There is nothing to show.
    support: none
options:
  name:
    description: The name of the file, without its ending.
    type: str
    required: true
  certificate:
    description: The authority's certificate, PEM. It may be several.
    type: str
    default: ''
  state:
    description: Whether it is trusted.
    type: str
    choices: [present, absent]
    default: present
"""

EXAMPLES = r"""
- name: Trust the installation's own authority
  campus.jitsi.trusted_ca:
    name: campus.jitsi
    certificate: "{{ lookup('ansible.builtin.file', 'ca.crt') }}"
"""

RETURN = r"""
path:
  description: The file.
  type: str
  returned: success
"""

import os
import shutil
import tempfile
import typing as t

from ansible.module_utils.basic import AnsibleModule

FOLDER = "/usr/local/share/ca-certificates"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


def read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as handle:
            return handle.read()
    except FileNotFoundError:
        return ""


def absent(module: AnsibleModule, path: str) -> t.NoReturn:
    """Take the file away, and out of the bundle."""
    there = os.path.exists(path)
    if there and not module.check_mode:
        os.unlink(path)
        update = shutil.which("update-ca-certificates", path="/usr/sbin:/sbin:/usr/bin:/bin")
        if update:
            module.run_command([update], check_rc=True)
    module.exit_json(changed=there, path=path)


def main() -> None:
    """Compare, and unless in check mode write and update."""
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "certificate": {"type": "str", "default": ""},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        },
        required_if=[("state", "present", ["certificate"])],
        supports_check_mode=True,
    )
    path = os.path.join(FOLDER, module.params["name"] + ".crt")
    if module.params["state"] == "absent":
        absent(module, path)
    text = module.params["certificate"].strip() + "\n"
    changed = read(path) != text
    if changed and not module.check_mode:
        os.makedirs(FOLDER, mode=0o755, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=FOLDER, prefix=".campus.jitsi-")
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            os.fchmod(stream.fileno(), 0o644)
            stream.write(text)
        os.replace(partial, path)
    # A run that died between the two steps left the file and not the bundle.
    update = shutil.which("update-ca-certificates", path="/usr/sbin:/sbin:/usr/bin:/bin")
    stale = bool(update) and text.strip() not in read(BUNDLE)
    if stale and not module.check_mode:
        code, out, err = module.run_command([update])
        if code:
            module.fail_json(msg=f"update-ca-certificates failed: {(err or out).strip()}")
        if text.strip() not in read(BUNDLE):
            module.fail_json(msg=f"update-ca-certificates did not take up {path}: is it a certificate authority?")
    module.exit_json(changed=changed or stale, path=path)


if __name__ == "__main__":
    main()
