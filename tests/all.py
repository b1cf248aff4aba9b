#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything that CI runs (`make test`), three steps at a time, with the slowest named at the end.

    tests/all.py                    all steps
    tests/all.py --only lint        those that need no host; or one by its name, as often as you like
    tests/all.py --list             their names

A step's output goes to .build/logs/NAME.log; the end of it is shown when the step fails. The last line counts tests: those of
pytest one by one, and every other step as one.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import os
import pathlib
import re
import subprocess
import sys
import threading
import time

import tool

LOGS = tool.BUILD / "logs"
#: The machine that this is measured against has two cores. Of two steps, both wait for a fifth of the time: for browsers, calls and clocks.
WORKERS = 3


@dataclasses.dataclass
class Step:
    """One command."""

    name: str
    command: list[str]
    lint: bool = True
    code: int = -1
    seconds: float = 0.0

    @property
    def log(self) -> pathlib.Path:
        return LOGS / (self.name.replace(":", "-") + ".log")


def steps() -> list[Step]:
    """The long ones first, so that none of them is left alone at the end; but for jibri, whose browsers and encoders are no company for tests of calls."""
    binaries = tool.VENV / "bin"
    staged = str(tool.BUILD / "stage" / "ansible_collections" / "campus" / "jitsi")
    return [
        Step("default:trixie", ["tests/scenario.py", "default:trixie", "test"], lint=False),
        Step("split", ["tests/scenario.py", "split", "test"], lint=False),
        Step("perimeter", ["tests/scenario.py", "perimeter", "test"], lint=False),
        Step("default:bookworm", ["tests/scenario.py", "default:bookworm", "test"], lint=False),
        Step("jigasi", ["tests/scenario.py", "jigasi", "test"], lint=False),
        Step("tls", ["tests/scenario.py", "tls", "test"], lint=False),
        Step("jibri", ["tests/scenario.py", "jibri", "test"], lint=False),
        Step("auth_jwt", ["tests/scenario.py", "auth_jwt", "test"], lint=False),
        Step("coturn", ["tests/scenario.py", "coturn", "test"], lint=False),
        Step("auth_internal", ["tests/scenario.py", "auth_internal", "test"], lint=False),
        Step("auth_ldap", ["tests/scenario.py", "auth_ldap", "test"], lint=False),
        Step("lab", [str(binaries / "pytest"), "tests/lab", "-q", "--durations=5"], lint=False),
        Step("unit", [str(binaries / "pytest"), "tests/unit", "tests/standins", "-q", "--numprocesses=2", "--durations=10"]),
        Step("sanity", ["tests/tool.py", "sanity"]),
        Step("ansible-lint", ["env", "-C", staged, f"ANSIBLE_COLLECTIONS_PATH={tool.BUILD / 'stage'}", str(binaries / "ansible-lint"), "--offline"]),
        Step("yamllint", [str(binaries / "yamllint"), "--strict", "."]),
        Step("ruff", [str(binaries / "ruff"), "check", "."]),
        Step("docs", ["tests/tool.py", "docs", "--check"]),
        Step("changelog", [str(binaries / "antsibull-changelog"), "lint"]),
    ]


class Lanes:
    """Steps side by side, in their order; but those that need a lab wait until what labs are made of is there, and let others go first."""

    def __init__(self, chosen: list[Step], began: float) -> None:
        self.chosen, self.began = chosen, began
        self.waiting = list(chosen)
        self.done = 0
        self.prepared = chosen[0].name != "prepare"
        self.changed = threading.Condition()
        self.environment = {**os.environ, "PATH": f"{tool.VENV / 'bin'}:{os.environ['PATH']}", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}

    def run(self) -> None:
        lanes = [threading.Thread(target=self.lane) for _number in range(WORKERS)]
        for lane in lanes:
            lane.start()
        for lane in lanes:
            lane.join()

    def lane(self) -> None:
        while step := self.next():
            self.one(step)

    def next(self) -> Step | None:
        """The first step that can start, once there is one; None when none is left."""
        with self.changed:
            while self.waiting:
                for step in self.waiting:
                    if step.lint or self.prepared:
                        self.waiting.remove(step)
                        tool.say(f"{step.name} starts")
                        return step
                self.changed.wait()
        return None

    def one(self, step: Step) -> None:
        started = time.monotonic()
        with step.log.open("w", encoding="utf-8") as log:
            step.code = subprocess.run(step.command, cwd=tool.CHECKOUT, env=self.environment, stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=subprocess.STDOUT, check=False).returncode
        step.seconds = time.monotonic() - started
        with self.changed:
            self.done += 1
            tool.say(f"[{self.done}/{len(self.chosen)}, {time.monotonic() - self.began:.0f} s] {step.name}: "
                     f"{'FAILED' if step.code else 'ok'} in {step.seconds:.0f} s")
            if step.code:
                lines = step.log.read_text(encoding="utf-8", errors="replace").splitlines()
                print("\n".join(f"    {line[:400]}" for line in lines[-60:]), flush=True)
                tool.say(f"all of it is in {step.log.relative_to(tool.CHECKOUT)}")
            if step.name == "prepare":
                self.prepared = True
                if step.code:
                    for lost in [step for step in self.waiting if not step.lint]:
                        self.waiting.remove(lost)
                        self.chosen.remove(lost)
                        tool.say(f"{lost.name} has no host to run on")
            self.changed.notify_all()


def prepare() -> int:
    """Jitsi's packages and the images of fresh hosts, which everything that is no lint needs."""
    try:
        tool.packages(os.environ.get("JITSI_PACKAGES", "auto"))
        tool.run(sys.executable, tool.CHECKOUT / "tests" / "lab" / "lab.py", "base")
    except tool.Failure as failure:
        print(f"campus.jitsi: {failure}", file=sys.stderr)
        return 1
    return 0


def outcomes(step: Step) -> collections.Counter[str]:
    """How many tests passed, failed and were skipped in a step, from pytest's closing lines in its log.

    A step whose tests all passed and which failed all the same counts as one failure more.
    """
    text = step.log.read_text(encoding="utf-8", errors="replace")
    counts: collections.Counter[str] = collections.Counter()
    for line in re.findall(r"(?m)^=*\s*(\d+ (?:passed|failed|skipped|error).* in [0-9.]+s.*)$", text):
        for number, word in re.findall(r"(\d+) (passed|failed|skipped|errors?)", line):
            counts["failed" if word.startswith("error") else word] += int(number)
    if not counts:
        counts["failed" if step.code else "passed"] = 1
    elif step.code and not counts["failed"]:
        counts["failed"] = 1
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="NAME")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--prepare", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.prepare:
        return prepare()
    chosen = [step for step in steps() if not options.only or step.name in options.only or (step.lint and "lint" in options.only)]
    if options.list or not chosen:
        print("\n".join(step.name for step in steps()))
        return 0 if options.list else 2
    began = time.monotonic()
    try:
        tool.bootstrap("test")
        tool.say("building the collection")
        tool.collection()
    except tool.Failure as failure:
        print(f"campus.jitsi: {failure}", file=sys.stderr)
        return 1
    LOGS.mkdir(parents=True, exist_ok=True)
    if not all(step.lint for step in chosen):
        chosen.insert(0, Step("prepare", [sys.executable, "tests/all.py", "--prepare"]))
    Lanes(chosen, began).run()

    total: collections.Counter[str] = collections.Counter()
    print(f"\n{'step':<18} {'result':<7} {'seconds':>7}  tests")
    for step in sorted(chosen, key=lambda step: -step.seconds):
        counts = outcomes(step)
        total += counts
        print(f"{step.name:<18} {'FAILED' if step.code else 'ok':<7} {step.seconds:>7.0f}  {', '.join(f'{n} {word}' for word, n in sorted(counts.items()))}")
    failed = [f"{step.name}: {name}" for step in chosen if step.code
              for name in re.findall(r"(?m)^(?:FAILED|ERROR)\s+(\S+::\S+)", step.log.read_text(encoding="utf-8", errors="replace"))]
    if failed:
        print("\nfailed tests\n" + "\n".join(f"    {name}" for name in failed))
    print("\nslowest tests")
    slow: list[tuple[float, str]] = []
    for step in chosen:
        text = step.log.read_text(encoding="utf-8", errors="replace")
        slow += [(float(seconds), f"{step.name}: {name}") for seconds, name in re.findall(r"(?m)^([0-9.]+)s (?:call|setup)\s+(\S+)$", text)]
    for seconds, name in sorted(slow, reverse=True)[:8]:
        print(f"{seconds:>7.0f} s  {name}")
    print(f"\n{time.monotonic() - began:.0f} s in all")
    skipped = f", {total['skipped']} skipped" if total["skipped"] else ""
    print(f"{total['passed']} passed, {total['failed']} failed{skipped}")
    return 1 if total["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
