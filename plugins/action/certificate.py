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

from ansible_collections.campus.jitsi.plugins.module_utils import _certificates
from ansible_collections.campus.jitsi.plugins.plugin_utils import _pki
from ansible_collections.campus.jitsi.plugins.plugin_utils._secrets import read_root
from ansible_collections.campus.jitsi.plugins.plugin_utils._vault import vault_functions

ARGUMENTS = {
    "source": {"type": "str", "choices": ["self_signed", "files", "acme"], "default": "self_signed"},
    "names": {"type": "list", "elements": "str", "required": True},
    "not_below": {"type": "list", "elements": "str", "default": []},
    "certificate_path": {"type": "path", "required": True},
    "key_path": {"type": "path", "required": True},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "key_mode": {"type": "str", "default": "0640"},
    "service": {"type": "str", "default": ""},
    "served": {"type": "list", "elements": "dict", "default": []},
    "secrets_file": {"type": "path"},
    "ca_file": {"type": "path"},
    "label": {"type": "str", "required": True},
    "generation": {"type": "int", "default": 1},
    "days": {"type": "int", "default": 90},
    "certificate_file": {"type": "path"},
    "key_file": {"type": "path"},
}
REQUIRED = [
    ("source", "self_signed", ["secrets_file", "ca_file"]),
    ("source", "acme", ["secrets_file", "ca_file"]),
    ("source", "files", ["certificate_file", "key_file"]),
]


class ActionModule(ActionBase):
    """See the module of the same name."""

    TRANSFERS_FILES = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(ARGUMENTS, required_if=REQUIRED)
        now = datetime.datetime.now(datetime.timezone.utc)
        arguments["name"] = name_of(arguments["label"])
        given = ("name", "source", "names", "certificate_path", "key_path", "owner", "group", "key_mode", "days", "service", "served")
        try:
            with open(_certificates.__file__, encoding="utf-8") as handle:
                material = {"script": handle.read()}
            if arguments["source"] == "files":
                material.update(self._given(arguments, now))
            else:
                material.update(self._own(arguments, now, task_vars))
        except (ValueError, OSError) as error:
            raise AnsibleActionFail(str(error)) from error
        result.update(self._execute_module("campus.jitsi.host_certificate", {**{key: arguments[key] for key in given}, **material}, task_vars=task_vars))
        return result

    def _given(self, arguments, now):
        certificate = self._text(arguments["certificate_file"])
        key = self._text(arguments["key_file"])
        problem = _pki.pair_problem(certificate, key, arguments["names"], now, _pki.system_roots())
        if problem:
            raise _pki.CertificateError(f"{arguments['certificate_file']} and {arguments['key_file']}: {problem}.")
        return {"certificate": certificate, "key": key}

    def _text(self, path: str) -> str:
        real = self._loader.get_real_file(unfrackpath(path))
        with open(real, encoding="utf-8") as handle:
            return handle.read()

    def _own(self, arguments, now, task_vars):
        """The key, and either an issuer with which the host makes its certificate, or a placeholder for one of ACME."""
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
        if arguments["source"] == "acme":
            return {"certificate": _pki.pem(_pki.issue(ca, root, key, arguments["names"], arguments["days"], now)), "key": _pki.pem(key)}
        host = (task_vars or {}).get("inventory_hostname", "host")
        issuer_key = _pki.derived_key(root, f"tls/issuer/{host}/{arguments['name']}", arguments["generation"])
        issuer = self._on_host(_certificates.stem(arguments["name"]) + ".issuer.crt", task_vars)
        if _pki.issuer_reason(issuer, ca, issuer_key, arguments["names"], arguments["not_below"], now):
            issuer = _pki.pem(_pki.make_issuer(ca, root, issuer_key, arguments["names"], arguments["not_below"], now))
        return {"issuer": issuer, "issuer_key": _pki.pem(issuer_key), "key": _pki.pem(key)}

    def _on_host(self, path, task_vars):
        answer = self._execute_module("ansible.legacy.slurp", {"src": path}, task_vars=task_vars)
        if answer.get("failed"):
            return None
        return base64.b64decode(answer["content"]).decode(errors="replace")


def name_of(label: str) -> str:
    """The name of a certificate on its host.

    >>> name_of("tls/web"), name_of("tls/turn/relay1.example.edu")
    ('web', 'turn')
    """
    return label.split("/")[1]
