#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run molecule for one scenario with everything that it needs around it.

    tests/scenario.py default:bookworm test              the whole sequence, on Debian 12 where the scenario leaves the choice
    tests/scenario.py split converge                     one command of molecule, the hosts stay
    tests/scenario.py split pytest -k roster             some of the tests that `verify` runs
    tests/scenario.py split ssh core [command ...]       a shell on a host of the scenario's lab

Builds and installs the collection's archive, finds or builds Jitsi's packages (JITSI_PACKAGES), and gives each scenario
and suite a lab and a folder of its own, so that two can run side by side.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import shutil
import sys

import tool

CHECKOUT = tool.CHECKOUT
sys.path.insert(0, str(CHECKOUT / "tests" / "lab"))
import lab  # noqa: E402


def lab_name(scenario: str, suite: str) -> str:
    return scenario.replace("_", "-") + (f"-{suite}" if suite else "")


def environment(scenario: str, suite: str) -> dict[str, str]:
    """The variables that .config/molecule/config.yml and the shared playbooks read."""
    name = lab_name(scenario, suite)
    place = tool.BUILD / "molecule" / name
    place.mkdir(parents=True, exist_ok=True)
    if not lab.Lab(lab.lab_id(name)).folder.exists():
        # Molecule would go on with hosts that are gone, and whose addresses others may have.
        shutil.rmtree(place / "ephemeral", ignore_errors=True)
    source = tool.packages(os.environ.get("JITSI_PACKAGES", "auto"))
    repository: dict[str, str] = {}
    if "release1" in source:
        # The lab serves the folder on its bridge, which its hosts know under this name.
        key = pathlib.Path(source["release1"]) / "jitsi-key.gpg.key"
        repository = {"uri": "http://gateway.lab.test:8000", "key": str(key)}
    binaries = tool.VENV / "bin"
    collections = tool.collection()
    modules = tool.kept_modules(collections)
    return {
        **os.environ,
        "PATH": f"{binaries}:{os.environ['PATH']}",
        "VIRTUAL_ENV": str(tool.VENV),
        "CAMPUS_LAB": name,
        "CAMPUS_MIRROR": str(place / "mirror"),
        "CAMPUS_RELEASE1": source.get("release1", str(place)),
        "CAMPUS_RELEASE2": source.get("release2", str(place)),
        "CAMPUS_REPOSITORY": json.dumps(repository),
        "CAMPUS_SUITE": suite or "trixie",
        "MOLECULE_EPHEMERAL_DIRECTORY": str(place / "ephemeral"),
        "MOLECULE_GLOB": "molecule/*/molecule.yml",
        "CAMPUS_MODULES": str(modules),
        "ANSIBLE_CALLBACK_PLUGINS": str(CHECKOUT / "tests" / "callback"),
        "ANSIBLE_CALLBACKS_ENABLED": "kept_modules",
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
        "ANSIBLE_INJECT_FACT_VARS": "false",
        "ANSIBLE_FORCE_COLOR": "0",
        "NO_COLOR": "1",
        "PY_COLORS": "0",
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenario", metavar="SCENARIO[:SUITE]")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    scenario, _colon, suite = options.scenario.partition(":")
    verb, *rest = options.command or ["test"]
    if verb == "ssh":
        # Without the rest: a look at a host must not build the collection anew under a test that runs.
        os.execv(CHECKOUT / "tests" / "lab" / "lab.py", ["lab.py", "ssh", lab_name(scenario, suite), *rest])
    try:
        values = environment(scenario, suite)
    except tool.Failure as failure:
        print(f"campus.jitsi: {failure}", file=sys.stderr)
        return 1
    os.chdir(CHECKOUT)
    if verb == "pytest":
        os.execve(tool.VENV / "bin" / "pytest", ["pytest", "tests/verify", *rest], values)
    os.execve(tool.VENV / "bin" / "molecule", ["molecule", verb, "--scenario-name", scenario, *rest], values)
    return 0


if __name__ == "__main__":
    sys.exit(main())
