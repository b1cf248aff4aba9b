# SPDX-License-Identifier: GPL-3.0-or-later
"""What is easily written wrong in roles and playbooks, and which no linter sees."""

from __future__ import annotations

import pathlib
import re
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
