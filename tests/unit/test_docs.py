# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written is true: examples in docstrings, argument specs and defaults, documents and what they name."""

from __future__ import annotations

import doctest
import importlib
import json
import pathlib
import re
import subprocess
import sys
import tarfile

import pytest
import yaml

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
ROLES = sorted(path.parent.name for path in CHECKOUT.glob("roles/*/meta"))
PLUGINS = sorted(path for path in CHECKOUT.glob("plugins/*/*.py") if path.stem != "__init__")
DOCUMENTS = sorted([*CHECKOUT.glob("*.md"), *CHECKOUT.glob("docs/**/*.md"), *CHECKOUT.glob("roles/*/README.md"), *CHECKOUT.glob("tests/**/*.md")])


@pytest.mark.parametrize("path", PLUGINS, ids=lambda path: str(path.relative_to(CHECKOUT / "plugins")))
def test_the_examples_in_docstrings(path):
    name = ".".join(["ansible_collections.campus.jitsi", *path.relative_to(CHECKOUT).with_suffix("").parts])
    assert doctest.testmod(importlib.import_module(name)).failed == 0


@pytest.mark.parametrize("name", ["demo", "all", "lab/lab", "call/call"])
def test_the_examples_in_docstrings_of_the_tools(name, monkeypatch):
    path = CHECKOUT / "tests" / f"{name}.py"
    monkeypatch.syspath_prepend(str(path.parent))
    assert doctest.testmod(importlib.import_module(path.stem)).failed == 0


def read(role: str, name: str):
    return yaml.safe_load((CHECKOUT / "roles" / role / name).read_text(encoding="utf-8")) or {}


@pytest.mark.parametrize("role", ROLES)
def test_every_public_variable_is_in_the_spec_and_has_a_default(role):
    options, defaults = read(role, "meta/argument_specs.yml")["argument_specs"]["main"]["options"], read(role, "defaults/main.yml")
    assert set(options) == set(defaults)
    assert all(name.startswith(f"{role}_") for name in options)
    for name, option in options.items():
        assert option.get("description") and option.get("type"), name
        assert option["type"] != "list" or "elements" in option, name
        default = defaults[name]
        if isinstance(default, str) and "{{" in default:
            assert "default" not in option, f"{name}: a computed default cannot be repeated in the spec"
        elif option.get("required"):
            assert "default" not in option, name
        elif "default" in option or not isinstance(default, list):
            assert option["default"] == default, name


@pytest.mark.parametrize("role", ROLES)
def test_secrets_are_kept_out_of_logs(role):
    options = read(role, "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    for name, option in options.items():
        if re.search(r"(password|secret|token)$", name):
            assert option.get("no_log") is True, name


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_its_shape(role):
    """One shape for every role, so that who knows one finds his way in all. The contract deploys nothing."""
    phases = {"main", "validate"} if role == "jitsi" else {"main", "install", "configure", "service"}
    assert {path.stem for path in (CHECKOUT / "roles" / role / "tasks").glob("*.yml")} - {"acme", "check", "directory", "surplus"} == phases
    for name in ("defaults/main.yml", "meta/main.yml", "README.md"):
        assert (CHECKOUT / "roles" / role / name).is_file(), name
    # One file, or a folder of them in a large role.
    assert (CHECKOUT / "roles" / role / "vars" / "main.yml").is_file() != (CHECKOUT / "roles" / role / "vars" / "main" / "main.yml").is_file()
    text = (CHECKOUT / "roles" / role / "tasks" / "main.yml").read_text(encoding="utf-8")
    assert "include_" not in text, "static imports let tags be inherited"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(CHECKOUT)))
def test_what_a_document_names_is_there(document):
    """Links to files, make targets and variables."""
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (document.parent / target).exists(), target
    targets = set(re.findall(r"(?m)^([a-z-]+):", (CHECKOUT / "Makefile").read_text(encoding="utf-8")))
    assert set(re.findall(r"`make ([a-z-]+)`", text)) <= targets
    known = {name for role in ROLES for name in read(role, "defaults/main.yml")}
    groups = {f"jitsi_{role}" for role in (*ROLES, "jibri", "jigasi", "coturn")}
    named = set(re.findall(r"(?<![\w./-])(?:jitsi|prosody|jicofo|jvb|nginx_meet|coturn|jigasi)_[a-z_]+(?![\w/*])", text))
    metrics = {name for name in named if name.startswith("jitsi_jvb_")}
    assert named - known - groups - metrics - {"prosody_account", "jicofo_log", "jitsi_meet", "nginx_meet_"} == set()


def test_every_trap_has_its_row_and_every_row_its_test():
    """docs/traps.md and the tests say the same."""
    text = (CHECKOUT / "docs" / "traps.md").read_text(encoding="utf-8")
    written = set(re.findall(r"`(test_[a-z0-9_]+)`", text))
    sources = {path: path.read_text(encoding="utf-8") for folder in ("unit", "verify") for path in (CHECKOUT / "tests" / folder).glob("test_*.py")}
    there = {name for source in sources.values() for name in re.findall(r"(?m)^def (test_\w+)", source)}
    traps = {name for name in there if name.startswith("test_trap_")}
    assert written - there == set()
    assert traps - written == set()


def test_every_promise_has_its_test():
    """docs/security.md: a row without a test that is there is no promise."""
    there = {name for folder in ("unit", "verify") for path in (CHECKOUT / "tests" / folder).glob("test_*.py")
             for name in re.findall(r"(?m)^def (test_\w+)", path.read_text(encoding="utf-8"))}
    promises = (CHECKOUT / "docs" / "security.md").read_text(encoding="utf-8").partition("## Not promised")[0]
    rows = [line for line in promises.splitlines() if line.startswith("| ") and not line.startswith(("| promise |", "| --- |"))]
    assert rows
    for row in rows:
        named = set(re.findall(r"`(test_\w+)`", row))
        assert named and named <= there, row


def test_every_role_and_plugin_has_a_page_in_ansible_doc():
    """From the installed archive, as users have it."""
    collections = CHECKOUT / ".build" / "collections"
    if not collections.is_dir():
        pytest.skip("tests/tool.py collection was not run")
    environment = {"ANSIBLE_COLLECTIONS_PATH": str(collections), "PATH": f"{pathlib.Path(sys.executable).parent}:/usr/bin:/bin", "HOME": str(collections)}
    kinds = {
        "module": [path.stem for path in PLUGINS if path.parent.name == "modules"],
        "lookup": [path.stem for path in PLUGINS if path.parent.name == "lookup"],
        "filter": [path.stem for path in CHECKOUT.glob("plugins/filter/*.yml")],
        "role": ROLES,
    }
    for kind, names in kinds.items():
        command = ["ansible-doc", "--json", "-t", kind, *(f"campus.jitsi.{name}" for name in names)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert set(json.loads(done.stdout)) == {f"campus.jitsi.{name}" for name in names}


def test_the_archive_holds_what_users_need_and_nothing_else():
    """Tests, hidden folders and tools stay at home."""
    archives = list((CHECKOUT / ".build" / "dist").glob("campus-jitsi-*.tar.gz"))
    if not archives:
        pytest.skip("tests/tool.py collection was not run")
    with tarfile.open(archives[0]) as archive:
        names = archive.getnames()
    assert {name.partition("/")[0] for name in names} == {
        "CHANGELOG.md", "FILES.json", "LICENSE", "MANIFEST.json", "README.md", "changelogs", "docs", "meta", "playbooks", "plugins", "roles"}
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]
