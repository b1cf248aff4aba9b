# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of each inventory that cannot work, by the action that judges it in a run, from the variables that it would have there."""

from __future__ import annotations

import pathlib
import sys

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible_collections.campus.jitsi.plugins.action.validate import ActionModule

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from refusals import GOOD, REFUSALS  # noqa: E402

ROLE = pathlib.Path(__file__).resolve().parents[2] / "roles" / "jitsi"


def problems(variables, roles):
    """What the play `Inventory` would say of its first host."""
    loader = DataLoader()
    groups = {"jitsi": ["meet"], **{f"jitsi_{role}": hosts for role, hosts in roles.items()}}
    groups["jitsi"] = sorted({"meet"}.union(*roles.values()))
    defaults, own = (loader.load_from_file(str(ROLE / part / "main.yml"), trusted_as_template=True) for part in ("defaults", "vars"))
    first = groups["jitsi"][0]
    task_vars = {**defaults, **variables, **own, "inventory_hostname": first, "inventory_dir": "/nonexistent", "groups": groups,
                 "ansible_play_hosts_all": groups["jitsi"],
                 "ansible_play_role_names": ["campus.jitsi.jitsi"], "hostvars": dict.fromkeys(groups["jitsi"], variables)}
    action = ActionModule(task=None, connection=None, play_context=None, loader=loader, templar=Templar(loader, task_vars), shared_loader_obj=None)
    return action._problems(task_vars) + action._place_problems(task_vars)


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_wrong_is_said(name):
    variables, roles, _words, said = REFUSALS[name]
    assert problems(variables, roles) == said


def test_nothing_is_wrong_with_what_is_good():
    assert problems(GOOD, {}) == []
