#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: folders, links and placeholders that a host has, and what it must not have."""

from __future__ import annotations

DOCUMENTATION = r"""
module: paths
short_description: Bring folders, links and the absence of files to their state, all in one call
version_added: 0.1.0
description:
  - Removes what is in O(absent), makes O(folders), then O(placeholders), then O(links).
  - Does for many paths what M(ansible.builtin.file) does for one. Most of what a task takes is its call, and most of a role's paths are as
    they should be.
author: campus.jitsi contributors (@campus-jitsi)
attributes:
  check_mode:
    description: Says what would change. What would be missing by then is no error.
    support: full
  diff_mode:
    description: Shows which path becomes what.
    support: full
options:
  absent:
    description: Files, links and folders (with all that is in them) that must not be there. A link is removed, never what it leads to.
    type: list
    elements: path
    default: []
  folders:
    description: Folders that must be there. Those above them are made when they are missing.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Where.
        type: path
        required: true
      owner:
        description: Its owner.
        type: str
        default: root
      group:
        description: Its group.
        type: str
        default: root
      mode:
        description: Its permissions.
        type: str
        default: '0755'
  placeholders:
    description: Files that are made when they are missing, and left as they are otherwise.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Where. Its folder must be there.
        type: path
        required: true
      content:
        description: What is in it at first. No secrets.
        type: str
        default: ''
      owner:
        description: Its owner.
        type: str
        default: root
      group:
        description: Its group.
        type: str
        default: root
      mode:
        description: Its permissions.
        type: str
        default: '0644'
  links:
    description: Symbolic links, as path and what is in it. A link that leads elsewhere is replaced; a file or a folder in its place is an error.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Enable the site, and forget the one of before
  campus.jitsi.paths:
    absent: [/etc/nginx/sites-enabled/old.conf]
    links: {/etc/nginx/sites-enabled/new.conf: /etc/nginx/sites-available/new.conf}
"""

RETURN = r"""
changes:
  description: What was changed, a line each.
  type: list
  elements: str
  returned: success
  sample: ["/etc/nginx/sites-enabled/old.conf: removed"]
"""

import grp
import os
import pwd
import shutil
import tempfile
import typing as t

from ansible.module_utils.basic import AnsibleModule

PLACE = {
    "path": {"type": "path", "required": True},
    "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"},
    "mode": {"type": "str", "default": "0755"},
}


class Unfit(Exception):
    """Something else is in a path's place; the message says what, and the fix."""


def removed(path: str, write: bool) -> str | None:
    """What ``path`` was, when it was there; with ``write``, it is gone."""
    if not os.path.lexists(path):
        return None
    kind = "link" if os.path.islink(path) else "folder" if os.path.isdir(path) else "file"
    if write and kind == "folder":
        shutil.rmtree(path)
    elif write:
        os.unlink(path)
    return kind


def linked(path: str, target: str, write: bool) -> str | None:
    """Where the link at ``path`` led before, `` `` for nowhere, when it is not ``target``; with ``write``, it leads there, at any moment to one of them."""
    if os.path.islink(path):
        before = os.readlink(path)
        if before == target:
            return None
    elif os.path.lexists(path):
        kind = "a folder" if os.path.isdir(path) else "a file"
        raise Unfit(f"{path} is {kind} and has to be a link to {target}: move it away.")
    else:
        before = ""
    if write:
        with tempfile.TemporaryDirectory(dir=os.path.dirname(path), prefix=".campus.jitsi-") as folder:
            partial = os.path.join(folder, "link")
            os.symlink(target, partial)
            os.replace(partial, path)
    return before


def made(path: str, write: bool) -> bool:
    """Whether the folder ``path`` was missing; with ``write``, it is there."""
    if os.path.isdir(path):
        return False
    if os.path.lexists(path):
        raise Unfit(f"{path} is no folder and has to be one: move it away.")
    if write:
        os.makedirs(path, mode=0o755)
    return True


def filled(path: str, content: str, write: bool) -> bool:
    """Whether the file ``path`` was missing; with ``write``, it is there, for root only until it has its own mode."""
    if os.path.lexists(path):
        return False
    if write:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as handle:
            handle.write(content)
    return True


def dressed(module: AnsibleModule, place: dict[str, t.Any]) -> bool:
    """Whether owner, group or mode were others. In check mode, what is not there yet (a user, too) is for the run itself."""
    if module.check_mode:
        try:
            os.stat(place["path"]), pwd.getpwnam(place["owner"]), grp.getgrnam(place["group"])
        except (FileNotFoundError, KeyError):
            return False
    return module.set_fs_attributes_if_different(module.load_file_common_arguments(place, path=place["path"]), False)


def main() -> None:
    """One kind after the other, and a line for each change."""
    module = AnsibleModule(
        argument_spec={
            "absent": {"type": "list", "elements": "path", "default": []},
            "folders": {"type": "list", "elements": "dict", "default": [], "options": PLACE},
            "placeholders": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {**PLACE, "content": {"type": "str", "default": ""}, "mode": {"type": "str", "default": "0644"}},
            },
            "links": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    write, before, after = not module.check_mode, [], []

    def tell(path: str, was: str, becomes: str) -> None:
        before.append(f"{path}: {was}\n")
        after.append(f"{path}: {becomes}\n")

    try:
        for path in module.params["absent"]:
            if kind := removed(path, write):
                tell(path, kind, "removed")
        for folder in module.params["folders"]:
            if made(folder["path"], write):
                tell(folder["path"], "nothing", "folder")
                dressed(module, folder)
            elif dressed(module, folder):
                tell(folder["path"], "folder", f"folder of {folder['owner']}:{folder['group']}, {folder['mode']}")
        for file in module.params["placeholders"]:
            if filled(file["path"], file["content"], write):
                tell(file["path"], "nothing", "file")
                dressed(module, file)
        for path, target in module.params["links"].items():
            if (led := linked(path, target, write)) is not None:
                tell(path, f"link to {led}" if led else "nothing", f"link to {target}")
    except (Unfit, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(after), changes=[line.rstrip("\n") for line in after], diff={"before": "".join(before), "after": "".join(after)})


if __name__ == "__main__":
    main()
