# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action plugin: a certificate and its key on a host."""

from __future__ import annotations

import base64
import datetime
import os

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.path import unfrackpath

from ansible_collections.campus.jitsi.plugins.plugin_utils import _pki
from ansible_collections.campus.jitsi.plugins.plugin_utils._secrets import read_root
from ansible_collections.campus.jitsi.plugins.plugin_utils._vault import vault_functions

ARGUMENTS = {
    "source": {"type": "str", "choices": ["self_signed", "files"], "default": "self_signed"},
    "names": {"type": "list", "elements": "str", "required": True},
    "certificate_path": {"type": "path", "required": True},
    "key_path": {"type": "path", "required": True},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "key_mode": {"type": "str", "default": "0640"},
    "secrets_file": {"type": "path"},
    "ca_file": {"type": "path"},
    "label": {"type": "str"},
    "generation": {"type": "int", "default": 1},
    "days": {"type": "int", "default": 3650},
    "certificate_file": {"type": "path"},
    "key_file": {"type": "path"},
}
REQUIRED = [
    ("source", "self_signed", ["secrets_file", "ca_file", "label"]),
    ("source", "files", ["certificate_file", "key_file"]),
]


class ActionModule(ActionBase):
    """See the module of the same name."""

    TRANSFERS_FILES = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(ARGUMENTS, required_if=REQUIRED)
        now = datetime.datetime.now(datetime.timezone.utc)
        try:
            if arguments["source"] == "files":
                certificate, key, reason = self._given(arguments, now)
            else:
                certificate, key, reason = self._issued(arguments, now, task_vars)
        except (ValueError, OSError) as error:
            raise AnsibleActionFail(str(error)) from error
        # The key first: what reads both meanwhile reads them again when it is reloaded.
        results = [
            self._install(arguments["key_path"], key, arguments["key_mode"], arguments, [key], task_vars),
            self._install(arguments["certificate_path"], certificate, "0644", arguments, [], task_vars),
        ]
        for part in results:
            if part.get("failed"):
                return part
        result["changed"] = any(part.get("changed") for part in results)
        result["diff"] = [part["diff"] for part in results if part.get("changed") and "diff" in part]
        if reason:
            result["reason"] = reason
        return result

    def _given(self, arguments, now):
        certificate = self._text(arguments["certificate_file"])
        key = self._text(arguments["key_file"])
        problem = _pki.pair_problem(certificate, key, arguments["names"], now)
        if problem:
            raise _pki.CertificateError(f"{arguments['certificate_file']} and {arguments['key_file']}: {problem}.")
        return certificate, key, None

    def _text(self, path: str) -> str:
        real = self._loader.get_real_file(unfrackpath(path))
        with open(real, encoding="utf-8") as handle:
            return handle.read()

    def _issued(self, arguments, now, task_vars):
        root = read_root(unfrackpath(arguments["secrets_file"]), vault_functions(self._loader)[1])
        ca_file = unfrackpath(arguments["ca_file"])
        if self._task.check_mode and (root is None or not os.path.exists(ca_file)):
            root = root or bytes(32)
            ca = _pki.make_ca(root, arguments["names"][0], now)
        elif root is None:
            raise _pki.CertificateError(f"{arguments['secrets_file']} does not exist: run campus.jitsi.secrets before.")
        else:
            with open(ca_file, encoding="utf-8") as handle:
                ca = _pki.check_ca(handle.read(), root, ca_file)
        key = _pki.derived_key(root, arguments["label"], arguments["generation"])
        old = self._on_host(arguments["certificate_path"], task_vars)
        reason = _pki.renewal_reason(old, ca, key, arguments["names"], now)
        if reason is None:
            return old, _pki.pem(key), None
        return _pki.pem(_pki.issue(ca, root, key, arguments["names"], arguments["days"], now)), _pki.pem(key), reason

    def _on_host(self, path, task_vars):
        answer = self._execute_module("ansible.legacy.slurp", {"src": path}, task_vars=task_vars)
        if answer.get("failed"):
            return None
        return base64.b64decode(answer["content"]).decode(errors="replace")

    def _install(self, path, content, mode, arguments, sensitive, task_vars):
        return self._execute_module(
            "campus.jitsi.config_file",
            {"path": path, "content": content, "owner": arguments["owner"], "group": arguments["group"], "mode": mode,
             "sensitive": sensitive},
            task_vars=task_vars,
        )
