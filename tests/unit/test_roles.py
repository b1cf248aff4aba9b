# SPDX-License-Identifier: GPL-3.0-or-later
"""What is easily written wrong in roles and playbooks, and which no linter sees."""

from __future__ import annotations

import json
import os
import pathlib
import re
import subprocess
import sys
import typing as t

import pytest
import yaml

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
FILES = sorted(str(path.relative_to(CHECKOUT)) for folder in ("roles", "playbooks") for path in (CHECKOUT / folder).rglob("*.yml"))


def strings(node: t.Any) -> t.Iterator[str]:
    """All texts of a document."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from strings(key)
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)
    elif isinstance(node, str):
        yield node


@pytest.mark.parametrize("name", FILES)
def test_a_group_of_an_expression_is_written_with_one_backslash(name):
    """Ansible takes a backslash in an expression for itself; two of them, in a block that YAML leaves alone, are two, and no group."""
    text = (CHECKOUT / name).read_text(encoding="utf-8")
    found = [match[0] for document in yaml.safe_load_all(text) for one in strings(document) for match in re.finditer(r"\{\{.*?\}\}", one, re.DOTALL)
             if re.search(r"\\\\[0-9]", match[0])]
    assert found == []


def test_each_role_in_a_playbook_of_somebody_else_checks_what_it_is_told(tmp_path):
    """The site's playbook does it once, and tells the roles so; nobody else does."""
    roles = sorted(path.parents[1].name for path in (CHECKOUT / "roles").glob("*/tasks/main.yml"))
    assert len(roles) == 8
    tasks = [{"block": [{"ansible.builtin.include_role": {"name": "campus.jitsi.{{ item }}"}}, {"ansible.builtin.fail": {"msg": "it went on"}}],
              "rescue": [{"ansible.builtin.debug": {"msg": "{{ item }}: {{ ansible_failed_result.msg }}"}}]}]
    play = {"hosts": "localhost", "gather_facts": False, "connection": "local", "vars": {"jitsi_domain": "not a domain"},
            "tasks": [{"ansible.builtin.include_tasks": "tasks.yml", "loop": roles}]}
    (tmp_path / "tasks.yml").write_text(json.dumps(tasks), encoding="utf-8")
    (tmp_path / "play.yml").write_text(json.dumps([play]), encoding="utf-8")
    done = subprocess.run([str(pathlib.Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", str(tmp_path / "play.yml")],
                          env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / ".build" / "source"), "ANSIBLE_NOCOLOR": "1",
                               "ANSIBLE_PYTHON_INTERPRETER": sys.executable}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    said = re.findall(r'"msg": "(\w+): (.*)"', done.stdout)
    assert [role for role, why in said if why.startswith("`jitsi_domain` is no host name")] == roles, done.stdout[-3000:]
