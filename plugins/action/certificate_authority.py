# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action plugin: the certificate of the installation's own authority."""

from __future__ import annotations

import datetime
import os

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.path import unfrackpath

from ansible_collections.campus.jitsi.plugins.plugin_utils import _pki
from ansible_collections.campus.jitsi.plugins.plugin_utils._files import create_once
from ansible_collections.campus.jitsi.plugins.plugin_utils._secrets import read_root
from ansible_collections.campus.jitsi.plugins.plugin_utils._vault import vault_functions

ARGUMENTS = {
    "path": {"type": "path", "required": True},
    "secrets_file": {"type": "path", "required": True},
    "domain": {"type": "str", "required": True},
}


class ActionModule(ActionBase):
    """See the module of the same name."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(ARGUMENTS)
        path = unfrackpath(arguments["path"])
        try:
            root = read_root(unfrackpath(arguments["secrets_file"]), vault_functions(self._loader)[1])
            if root is None:
                # Only a check of a new installation comes here without a root key.
                result.update(changed=True, certificate="")
                return result
            made = not os.path.exists(path)
            if made:
                now = datetime.datetime.now(datetime.timezone.utc)
                text = _pki.pem(_pki.make_ca(root, arguments["domain"], now))
                if not self._task.check_mode:
                    made = create_once(path, text.encode(), 0o644)
            if not (made and self._task.check_mode):
                with open(path, encoding="utf-8") as handle:
                    text = handle.read()
            _pki.check_ca(text, root, path)
        except (ValueError, OSError) as error:
            raise AnsibleActionFail(str(error)) from error
        result.update(changed=made, certificate=text)
        return result
