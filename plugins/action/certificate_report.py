# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action plugin: a table of all certificates, and what is wrong with them."""

from __future__ import annotations

import datetime
import os

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible.utils.path import unfrackpath

from ansible_collections.campus.jitsi.plugins.plugin_utils import _report

display = Display()

ARGUMENTS = {
    "seen": {"type": "dict", "required": True},
    "warn_days": {"type": "int", "default": 14},
    "ca_file": {"type": "path"},
}


class ActionModule(ActionBase):
    """See the module of the same name."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _validation, arguments = self.validate_argument_spec(ARGUMENTS)
        ca = ""
        path = unfrackpath(arguments["ca_file"]) if arguments["ca_file"] else ""
        try:
            if path and os.path.exists(path):
                with open(path, encoding="utf-8") as handle:
                    ca = handle.read()
            rows = _report.rows(arguments["seen"], ca, path, arguments["warn_days"], datetime.datetime.now(datetime.timezone.utc))
        except (ValueError, OSError) as error:
            raise AnsibleActionFail(str(error)) from error
        result["table"] = _report.table(rows)
        result["problems"] = [row.problem for row in rows if row.problem]
        for line, row in zip(result["table"], [None, *rows]):
            display.display(f"  {line}", color="red" if row and row.problem else None)
        result["changed"] = False
        if result["problems"]:
            result.update(failed=True, msg="\n".join(result["problems"]))
        return result
