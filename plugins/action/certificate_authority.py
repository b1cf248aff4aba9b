# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action plugin: the certificate of the installation's own authority."""

from __future__ import annotations

import datetime
import os

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible.utils.path import unfrackpath

from ansible_collections.campus.jitsi.plugins.plugin_utils import _pki
from ansible_collections.campus.jitsi.plugins.plugin_utils._files import create_once, replace
from ansible_collections.campus.jitsi.plugins.plugin_utils._secrets import read_root
from ansible_collections.campus.jitsi.plugins.plugin_utils._vault import vault_functions

display = Display()

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
            text = _pki.pem(_pki.make_ca(root, arguments["domain"], datetime.datetime.now(datetime.timezone.utc)))
            made = not os.path.exists(path)
            if made and not self._task.check_mode:
                made = create_once(path, text.encode(), 0o644)
            if not made:
                with open(path, encoding="utf-8") as handle:
                    old = handle.read()
                if _pki.is_old_ca(_pki.check_ca(old, root, path)):
                    # The same key and name, so what it signed stays good; who trusts the file must take the new one.
                    made = True
                    if not self._task.check_mode:
                        replace(path, text.encode(), 0o644)
                        display.warning(f"{path} was made anew, because the old one could not sign issuers: whoever trusts the old file "
                                        "(a browser, a student's machine) must take the new one.")
                else:
                    text = old
        except (ValueError, OSError) as error:
            raise AnsibleActionFail(str(error)) from error
        result.update(changed=made, certificate=text)
        return result
