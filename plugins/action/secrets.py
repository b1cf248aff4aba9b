# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action plugin: make the root key, once."""

from __future__ import annotations

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.path import unfrackpath
from ansible_collections.campus.jitsi.plugins.plugin_utils._secrets import (
    VAULT_HEADER,
    SecretError,
    create_root,
    read_root,
    refuse_orphans,
)
from ansible_collections.campus.jitsi.plugins.plugin_utils._vault import vault_functions


ARGUMENTS = {
    "path": {"type": "path", "required": True},
    "dependents": {"type": "list", "elements": "path", "default": []},
}


class ActionModule(ActionBase):
    """See the module of the same name."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(ARGUMENTS)
        path = unfrackpath(arguments["path"])
        encrypt, decrypt = vault_functions(self._loader)
        try:
            made = read_root(path, decrypt) is None
            if made:
                refuse_orphans(path, [unfrackpath(name) for name in arguments["dependents"]])
            if made and not self._task.check_mode:
                made = create_root(path, encrypt)
                read_root(path, decrypt)
        except SecretError as error:
            raise AnsibleActionFail(str(error)) from error
        result.update(changed=made, path=path)
        if not (made and self._task.check_mode):
            with open(path, "rb") as handle:
                result["encrypted"] = handle.read(len(VAULT_HEADER)) == VAULT_HEADER
        return result
